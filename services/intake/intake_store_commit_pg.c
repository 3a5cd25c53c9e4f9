/* Committing: everything that one batch decided, in one transaction; the feed's append comes last in it. */
#include <stdlib.h>
#include <string.h>

#include "services/intake/intake_store_pg.h"
#include "services/intake/intake_store_sql.h"

/* Columns of sql_append. */
enum { A_ORD, A_SEQ, A_CHAIN, A_EPOCH };
enum { DEDUP = 7, REPORT = 11, PROTECTED = 5, OPEN = 10, AMEND = 10, AWAIT = 2, AWAIT_OVER = 1, TOUCH = 1, APPEND = 9 };
enum { STEPS_MAX = 10 };

static void reset_all(struct intake_store *store)
{
	static const unsigned dedup[DEDUP] = {
		JK_OID_BYTEA, JK_OID_INT8, JK_OID_BYTEA, JK_OID_UUID, JK_OID_UUID, JK_OID_BYTEA, JK_OID_BOOL};
	static const unsigned report[REPORT] = {JK_OID_UUID, JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_INT2, JK_OID_TEXT,
		JK_OID_INT8, JK_OID_BYTEA, JK_OID_BYTEA, JK_OID_BYTEA, JK_OID_BYTEA};
	static const unsigned protected[PROTECTED] = {JK_OID_UUID, JK_OID_BYTEA, JK_OID_BYTEA, JK_OID_BYTEA, JK_OID_BYTEA};
	static const unsigned opened[OPEN] = {JK_OID_UUID, JK_OID_INT8, JK_OID_UUID, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2,
		JK_OID_INT2, JK_OID_BOOL, JK_OID_BOOL, JK_OID_INT4};
	static const unsigned amended[AMEND] = {JK_OID_UUID, JK_OID_INT8, JK_OID_UUID, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2,
		JK_OID_INT2, JK_OID_BOOL, JK_OID_BOOL, JK_OID_UUID};
	static const unsigned await[AWAIT] = {JK_OID_BYTEA, JK_OID_UUID};
	static const unsigned append[APPEND] = {JK_OID_TEXT, JK_OID_UUID, JK_OID_INT2, JK_OID_UUID, JK_OID_INT8, JK_OID_INT2,
		JK_OID_INT2, JK_OID_BYTEA, JK_OID_BYTEA};

	store_arrays_reset(&store->dedup, dedup, DEDUP);
	store_arrays_reset(&store->report, report, REPORT);
	store_arrays_reset(&store->protected, protected, PROTECTED);
	store_arrays_reset(&store->opened, opened, OPEN);
	store_arrays_reset(&store->amended, amended, AMEND);
	store_arrays_reset(&store->await, await, AWAIT);
	store_arrays_reset(&store->await_over, await, AWAIT_OVER);
	store_arrays_reset(&store->touched, opened, TOUCH);
	store_arrays_reset(&store->append, append, APPEND);
	store->slot_count = 0;
}

static void add_dedup(struct intake_store *store, const struct intake_item *item)
{
	struct jk_db_array *of = store->dedup.of;
	const struct intake_candidate *candidate = &item->candidate;

	jk_db_array_add(&of[0], &candidate->key, sizeof candidate->key);
	jk_db_array_add_int(&of[1], item->report.revision);
	jk_db_array_add(&of[2], candidate->content, sizeof candidate->content);
	jk_db_array_add_id(&of[3], &item->answer->incident_id);
	jk_db_array_add_id(&of[4], &item->answer->event_id);
	jk_db_array_add(&of[5], item->answer->warnings, (int)item->answer->warnings_size);
	jk_db_array_add_int(&of[6], item->decision.first_of_key);
}

static void add_report(struct intake_store *store, const struct intake_item *item)
{
	struct jk_db_array *of = store->report.of;

	jk_db_array_add_id(&of[0], &item->answer->event_id);
	jk_db_array_add_id(&of[1], &item->answer->incident_id);
	jk_db_array_add_int(&of[2], item->candidate.agency_id);
	jk_db_array_add_int(&of[3], item->key_id);
	jk_db_array_add_int(&of[4], item->format);
	jk_db_array_add_text(&of[5], item->report.external_id);
	jk_db_array_add_int(&of[6], item->report.revision);
	jk_db_array_add(&of[7], item->bytes, (int)item->size);
	jk_db_array_add(&of[8], item->origin.given ? item->origin.salt : NULL, sizeof item->origin.salt);
	jk_db_array_add(&of[9], item->origin.given ? item->origin.origin.sign_key : NULL, sizeof item->origin.origin.sign_key);
	jk_db_array_add(&of[10], item->origin.given ? item->origin.origin.signature : NULL, sizeof item->origin.origin.signature);
}

static void add_protected(struct intake_store *store, const struct intake_item *item)
{
	struct jk_db_array *of = store->protected.of;
	const struct intake_protected *const groups[] = {&item->sealed.reporter, &item->sealed.persons};

	if (!groups[0]->content && !groups[1]->content)
		return;
	jk_db_array_add_id(&of[0], &item->answer->event_id);
	for (int i = 0; i < 2; i++) {
		jk_db_array_add(&of[1 + 2 * i], groups[i]->content, (int)groups[i]->size);
		jk_db_array_add(&of[2 + 2 * i], groups[i]->content ? groups[i]->salt : NULL, sizeof groups[i]->salt);
	}
}

/* The incident's columns that opening and amending share: $1 to $9. */
static void add_incident(struct jk_db_array *of, const struct intake_incident *incident)
{
	char codes[JK_COUNTY_MAX][JK_COUNTY_BYTES], list[JK_COUNTY_MAX * JK_COUNTY_BYTES + 1] = "";
	size_t count = intake_county_list(incident->counties, codes);

	for (size_t i = 0; i < count; i++) {
		memcpy(list + i * JK_COUNTY_BYTES, codes[i], JK_COUNTY_BYTES - 1);
		list[i * JK_COUNTY_BYTES + JK_COUNTY_BYTES - 1] = i + 1 < count ? ',' : '\0';
	}
	jk_db_array_add_id(&of[0], &incident->incident_id);
	jk_db_array_add_int(&of[1], incident->current_revision);
	jk_db_array_add_id(&of[2], &incident->current_event_id);
	jk_db_array_add_text(&of[3], list);
	jk_db_array_add_int(&of[4], incident->category);
	jk_db_array_add_int(&of[5], incident->categories);
	jk_db_array_add_int(&of[6], incident->severity);
	jk_db_array_add_int(&of[7], incident->orphan);
	jk_db_array_add_int(&of[8], incident->cancelled);
}

static void add_changes(struct intake_store *store)
{
	struct intake_change change;
	struct intake_wait wait;

	for (void *at = NULL; intake_ledger_next_change(store->work.ledger, &at, &change);) {
		struct jk_db_array *of = change.opened ? store->opened.of : store->amended.of;
		add_incident(of, change.now);
		if (change.opened)
			jk_db_array_add_int(&of[9], change.now->agency_id);
		else
			jk_db_array_add_id(&of[9], &change.seen_event_id);
	}
	for (void *at = NULL; intake_ledger_next_wait(store->work.ledger, &at, &wait);) {
		if (wait.ends)
			jk_db_array_add(&store->await_over.of[0], &wait.key, sizeof wait.key);
		if (!wait.begins)
			continue;
		jk_db_array_add(&store->await.of[0], &wait.key, sizeof wait.key);
		jk_db_array_add_id(&store->await.of[1], &wait.incident_id);
	}
}

/* ---- the feed ---- */

static bool add_slot(struct intake_store *store, struct intake_item *item, size_t position)
{
	if (store->slot_count == store->slot_capacity) {
		size_t capacity = store->slot_capacity ? 2 * store->slot_capacity : INTAKE_BATCH_MAX;
		void *slots = realloc(store->slots, capacity * sizeof *store->slots);
		if (!slots)
			return false;
		store->slots = slots;
		store->slot_capacity = capacity;
	}
	store->slots[store->slot_count++] = (struct append_slot){item, position};
	return true;
}

static void add_event(struct intake_store *store, const struct intake_item *item, const char *stream, enum jk_event_kind kind)
{
	struct jk_db_array *of = store->append.of;

	jk_db_array_add_text(&of[0], stream);
	jk_db_array_add_id(&of[1], &item->answer->event_id);
	jk_db_array_add_int(&of[2], kind);
	jk_db_array_add_id(&of[3], &item->answer->incident_id);
	jk_db_array_add_int(&of[4], item->report.revision);
	jk_db_array_add_int(&of[5], item->report.tlp);
	jk_db_array_add_int(&of[6], item->report.category ? item->report.category : item->decision.after.category);
	jk_db_array_add(&of[7], item->answer->commitment, sizeof item->answer->commitment);
	jk_db_array_add(&of[8], item->sealed.body, (int)item->sealed.body_size);
}

/* One event in each stream, all under one event_id. */
static bool add_events(struct intake_store *store, struct intake_item *item)
{
	const struct intake_decision *decision = &item->decision;
	char codes[JK_COUNTY_MAX][JK_COUNTY_BYTES], left[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = intake_county_list(decision->counties | decision->moved_away, codes);
	size_t left_count = intake_county_list(decision->moved_away, left), at_left = 0;
	struct intake_position *positions = jk_arena_alloc(store->work.arena, count * sizeof *positions);

	if (!positions)
		return false;
	for (size_t i = 0; i < count; i++) {
		bool moved = at_left < left_count && strcmp(codes[i], left[at_left]) == 0;
		at_left += moved;
		memcpy(positions[i].stream, codes[i], sizeof positions[i].stream);
		add_event(store, item, codes[i], moved ? JK_EVENT_MOVED_AWAY : decision->kind);
		if (!add_slot(store, item, i))
			return false;
	}
	item->answer->positions = positions;
	item->answer->position_count = count;
	return true;
}

/* What each element of append was given; false when the answer is not one row for each. */
static bool read_appended(struct intake_store *store, const PGresult *result)
{
	if ((size_t)PQntuples(result) != store->slot_count)
		return false;
	for (int row = 0; row < PQntuples(result); row++) {
		int64_t ord = jk_db_get_int(result, row, A_ORD);
		size_t size = 0;
		const void *chain = jk_db_get_bytes(result, row, A_CHAIN, &size);
		if (ord < 1 || (uint64_t)ord > store->slot_count || size != JK_SHA256_BYTES)
			return false;
		const struct append_slot *slot = &store->slots[ord - 1];
		struct intake_position *position = &slot->item->answer->positions[slot->position];
		position->seq = (uint64_t)jk_db_get_int(result, row, A_SEQ);
		memcpy(position->chain, chain, size);
		slot->item->answer->epoch = store->epoch = (uint32_t)jk_db_get_int(result, row, A_EPOCH);
	}
	return true;
}

static void on_committed(void *arg, const struct jk_db_outcome *end)
{
	struct intake_store *store = arg;

	if (end->status == JK_OK && store->slot_count && !read_appended(store, end->results[end->count - 1])) {
		store->done(store->arg, INTAKE_REFUSED, "feed.append did not answer for each event");
		return;
	}
	store_finish(store, end);
}

/* ---- the job ---- */

static int compare_keys(const void *a, const void *b)
{
	const struct intake_item *one = *(struct intake_item *const *)a, *other = *(struct intake_item *const *)b;
	int order = memcmp(&one->candidate.key, &other->candidate.key, sizeof one->candidate.key);

	if (order)
		return order;
	return (one->report.revision > other->report.revision) - (one->report.revision < other->report.revision);
}

static bool fill(struct intake_store *store)
{
	struct intake_item *by_key[INTAKE_BATCH_MAX] = {NULL};
	size_t count = 0;

	for (size_t i = 0; i < store->work.count; i++) {
		struct intake_item *item = store->work.items[i];
		if (item->verdict != JK_VERDICT_STORED)
			continue;
		by_key[count++] = item;
		add_report(store, item);
		add_protected(store, item);
		if (!item->decision.opens)
			jk_db_array_add_id(&store->touched.of[0], &item->answer->incident_id);
		if (!add_events(store, item))
			return false;
	}
	/* In key order, so that two intakes with keys in common wait for each other instead of locking each other out. */
	qsort(by_key, count, sizeof *by_key, compare_keys);
	for (size_t i = 0; i < count; i++)
		add_dedup(store, by_key[i]);
	add_changes(store);
	return true;
}

static size_t fill_steps(struct intake_store *store, struct jk_db_step *steps)
{
	size_t count = 0;

	if (store->work.assumed)
		steps[count++] = store_step(&sql_none_awaited, &store->dedup, 1);
	steps[count++] = store_step(&sql_dedup, &store->dedup, DEDUP);
	steps[count++] = store_step(&sql_report, &store->report, REPORT);
	if (store->protected.of[0].count)
		steps[count++] = store_step(&sql_protected, &store->protected, PROTECTED);
	if (store->opened.of[0].count)
		steps[count++] = store_step(&sql_open, &store->opened, OPEN);
	if (store->amended.of[0].count) {
		steps[count] = store_step(&sql_amend, &store->amended, AMEND);
		jk_db_bind_int8(&steps[count++], AMEND, &store->amended_count, store->amended.of[0].count);
	}
	/* In this order: where another incident waits from now on, the key stands in both. */
	if (store->await_over.of[0].count)
		steps[count++] = store_step(&sql_await_over, &store->await_over, AWAIT_OVER);
	if (store->await.of[0].count)
		steps[count++] = store_step(&sql_await, &store->await, AWAIT);
	if (store->touched.of[0].count)
		steps[count++] = store_step(&sql_touch, &store->touched, TOUCH);
	steps[count++] = store_step(&sql_append, &store->append, APPEND);
	return count;
}

enum jk_status intake_store_commit(struct intake_store *store, const struct intake_work *work, intake_store_done *done, void *arg)
{
	struct jk_db_step steps[STEPS_MAX] = {{.statement = &sql_confirm}};
	size_t count = 1;

	store->work = *work;
	reset_all(store);
	if (!fill(store))
		return JK_BROKEN;
	if (store->slot_count)
		count = fill_steps(store, steps);
	return store_start(store, steps, count, on_committed, done, arg);
}
