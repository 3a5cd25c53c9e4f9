/* Loading: which reports of the batch are known, and how the incidents stand that they may join. */
#include <stdlib.h>
#include <string.h>

#include "services/intake/intake_store_pg.h"
#include "services/intake/intake_store_sql.h"

/* Columns of sql_known, and of sql_newest and sql_awaited. */
enum { K_KEY, K_REVISION, K_CONTENT, K_INCIDENT, K_EVENT, K_WARNINGS, K_STREAM, K_SEQ, K_CHAIN, K_EPOCH, K_COMMITMENT };
enum {
	I_KEY,
	I_REVISION,
	I_INCIDENT,
	I_AGENCY,
	I_CURRENT_REVISION,
	I_CURRENT_EVENT,
	I_COUNTIES,
	I_CATEGORY,
	I_CATEGORIES,
	I_SEVERITY,
	I_ORPHAN,
	I_CANCELLED,
};

static bool get_exact(const PGresult *result, int row, int column, void *ret, size_t size)
{
	size_t found = 0;
	const void *bytes = jk_db_get_bytes(result, row, column, &found);

	if (bytes && found == size)
		memcpy(ret, bytes, size);
	return bytes && found == size;
}

static bool same_report(const PGresult *result, int row, int other)
{
	return memcmp(PQgetvalue(result, row, K_KEY), PQgetvalue(result, other, K_KEY), sizeof(struct intake_key)) == 0 &&
	       jk_db_get_int(result, row, K_REVISION) == jk_db_get_int(result, other, K_REVISION);
}

/* Rows first..last belong to one report; one that was asked for twice comes in equal neighbours. */
static bool read_positions(const PGresult *result, int first, int last, struct intake_answer *answer, struct jk_arena *arena)
{
	struct intake_position *positions = jk_arena_alloc(arena, (size_t)(last - first + 1) * sizeof *positions);
	size_t count = 0;

	if (!positions)
		return false;
	for (int row = first; row <= last; row++) {
		if (PQgetisnull(result, row, K_STREAM))
			continue;
		const char *stream = PQgetvalue(result, row, K_STREAM);
		if (count && strcmp(positions[count - 1].stream, stream) == 0)
			continue;
		struct intake_position *position = &positions[count++];
		if (!jk_text_copy(position->stream, sizeof position->stream, stream) ||
			!get_exact(result, row, K_CHAIN, position->chain, sizeof position->chain) ||
			!get_exact(result, row, K_COMMITMENT, answer->commitment, sizeof answer->commitment))
			return false;
		position->seq = (uint64_t)jk_db_get_int(result, row, K_SEQ);
		answer->epoch = (uint32_t)jk_db_get_int(result, row, K_EPOCH);
	}
	answer->positions = positions;
	answer->position_count = count;
	return true;
}

static bool read_answer(const PGresult *result, int first, int last, struct jk_arena *arena, struct intake_answer **ret_answer)
{
	struct intake_answer *answer = jk_arena_alloc(arena, sizeof *answer);

	if (!answer)
		return false;
	*ret_answer = answer;
	answer->incident_id = jk_db_get_id(result, first, K_INCIDENT);
	answer->event_id = jk_db_get_id(result, first, K_EVENT);
	if (!PQgetisnull(result, first, K_WARNINGS)) {
		const void *warnings = jk_db_get_bytes(result, first, K_WARNINGS, &answer->warnings_size);
		answer->warnings = jk_arena_copy(arena, warnings, answer->warnings_size);
		if (!answer->warnings)
			return false;
	}
	return read_positions(result, first, last, answer, arena);
}

static bool seed_known(const PGresult *result, const struct intake_work *work)
{
	int rows = PQntuples(result);

	for (int first = 0, last; first < rows; first = last + 1) {
		for (last = first; last + 1 < rows && same_report(result, first, last + 1);)
			last++;
		struct intake_answer *answer;
		if (!read_answer(result, first, last, work->arena, &answer))
			return false;
		struct intake_known known = {
			.revision = jk_db_get_int(result, first, K_REVISION),
			.incident_id = answer->incident_id,
			.answer = answer,
		};
		if (!get_exact(result, first, K_KEY, &known.key, sizeof known.key) ||
			!get_exact(result, first, K_CONTENT, known.content, sizeof known.content) ||
			!intake_ledger_add_known(work->ledger, &known))
			return false;
	}
	return true;
}

/* "016,047" as array_to_string writes it. */
static uint64_t counties_of(const char *list)
{
	uint64_t counties = 0;

	for (const char *at = list; strlen(at) >= JK_COUNTY_BYTES - 1; at += JK_COUNTY_BYTES) {
		const char county[JK_COUNTY_BYTES] = {at[0], at[1], at[2], '\0'};
		counties |= intake_county_bit(county);
		if (at[JK_COUNTY_BYTES - 1] == '\0')
			break;
	}
	return counties;
}

static bool seed_incident(const PGresult *result, int row, const struct intake_work *work)
{
	const struct intake_incident incident = {
		.incident_id = jk_db_get_id(result, row, I_INCIDENT),
		.agency_id = (int32_t)jk_db_get_int(result, row, I_AGENCY),
		.current_revision = jk_db_get_int(result, row, I_CURRENT_REVISION),
		.current_event_id = jk_db_get_id(result, row, I_CURRENT_EVENT),
		.counties = counties_of(PQgetvalue(result, row, I_COUNTIES)),
		.category = (int)jk_db_get_int(result, row, I_CATEGORY),
		.categories = (uint16_t)jk_db_get_int(result, row, I_CATEGORIES),
		.severity = (int)jk_db_get_int(result, row, I_SEVERITY),
		.orphan = jk_db_get_int(result, row, I_ORPHAN) != 0,
		.cancelled = jk_db_get_int(result, row, I_CANCELLED) != 0,
	};

	return intake_ledger_add_incident(work->ledger, &incident);
}

static bool seed_newest(const PGresult *result, const struct intake_work *work)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct intake_known known = {
			.revision = jk_db_get_int(result, row, I_REVISION),
			.incident_id = jk_db_get_id(result, row, I_INCIDENT),
		};
		if (!get_exact(result, row, I_KEY, &known.key, sizeof known.key) || !seed_incident(result, row, work) ||
			!intake_ledger_add_newest(work->ledger, &known))
			return false;
	}
	return true;
}

static bool seed_awaited(const PGresult *result, const struct intake_work *work)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct jk_id incident_id = jk_db_get_id(result, row, I_INCIDENT);
		struct intake_key key;
		if (!get_exact(result, row, I_KEY, &key, sizeof key) || !seed_incident(result, row, work) ||
			!intake_ledger_add_awaited(work->ledger, &key, &incident_id))
			return false;
	}
	return true;
}

static void on_loaded(void *arg, const struct jk_db_outcome *end)
{
	struct intake_store *store = arg;

	if (end->status == JK_OK) {
		bool seeded = seed_known(end->results[0], &store->work) && seed_awaited(end->results[1], &store->work) &&
			      (!store->asks_newest || seed_newest(end->results[2], &store->work));
		if (!seeded) {
			store->done(store->arg, INTAKE_POISON,
				"what is known of these reports does not fit in memory, or is not ours");
			return;
		}
	}
	store_finish(store, end);
}

static int compare_keys(const void *one, const void *other)
{
	return memcmp(one, other, sizeof(struct intake_key));
}

/* A report may name one hundreds of times: each is asked about once. */
static size_t distinct_references(const struct intake_candidate *candidate, struct intake_key ret[INTAKE_REFERENCES_MAX])
{
	size_t count = 0;

	if (!candidate->reference_count)
		return 0;
	memcpy(ret, candidate->references, candidate->reference_count * sizeof *ret);
	qsort(ret, candidate->reference_count, sizeof *ret, compare_keys);
	for (size_t i = 0; i < candidate->reference_count; i++) {
		if (!count || compare_keys(&ret[count - 1], &ret[i]) != 0)
			ret[count++] = ret[i];
	}
	return count;
}

static void ask_about(struct intake_store *store, const struct intake_item *item)
{
	const struct intake_candidate *candidate = &item->candidate;
	const struct intake_key *key = &candidate->key;
	struct intake_key references[INTAKE_REFERENCES_MAX];
	size_t count = distinct_references(candidate, references);

	jk_db_array_add(&store->known.of[0], key, sizeof *key);
	jk_db_array_add_int(&store->known.of[1], item->report.revision);
	jk_db_array_add(&store->awaited.of[0], key, sizeof *key);
	if (item->report.key_has_revision)
		jk_db_array_add(&store->newest.of[0], key, sizeof *key);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add(&store->awaited.of[0], &references[i], sizeof *key);
		jk_db_array_add(&store->newest.of[0], &references[i], sizeof *key);
	}
}

enum jk_status intake_store_load(struct intake_store *store, const struct intake_work *work, intake_store_done *done, void *arg)
{
	static const unsigned known_types[] = {JK_OID_BYTEA, JK_OID_INT8};
	struct jk_db_step steps[3];
	size_t count = 2;

	store->work = *work;
	store_arrays_reset(&store->known, known_types, 2);
	store_arrays_reset(&store->awaited, known_types, 1);
	store_arrays_reset(&store->newest, known_types, 1);
	for (size_t i = 0; i < work->count; i++)
		ask_about(store, work->items[i]);
	steps[0] = store_step(&sql_known, &store->known, 2);
	steps[1] = store_step(&sql_awaited, &store->awaited, 1);
	store->asks_newest = store->newest.of[0].count > 0;
	if (store->asks_newest)
		steps[count++] = store_step(&sql_newest, &store->newest, 1);
	return store_start(store, steps, count, on_loaded, done, arg);
}
