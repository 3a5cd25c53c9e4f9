#include "services/intake/intake_batch.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "services/intake/intake_assume.h"
#include "services/intake/intake_meter.h"
#include "services/intake/intake_wire.h"

enum {
	BATCH_MAX_BYTES = 4 * 1024 * 1024, /* as received, for each county; one report may be larger than that alone */
	/* Bodies, once for each stream they go to: of a batch, and so of one report. All of it is held here, in libpq and several
	 * times in PostgreSQL, and until it is stored nobody else appends to these streams. */
	EVENTS_MAX_BYTES = 32 * 1024 * 1024,
	LEDGER_MAX_BYTES = 64 * 1024 * 1024,
	PATIENCE_MS = 3000, /* then the publishers are told BUSY and keep their reports */
	AGAIN_AFTER_MS = 20,
};

enum batch_state {
	BATCH_IDLE,
	BATCH_LOADING,
	BATCH_COMMITTING,
	BATCH_WAITING, /* to be loaded again */
};

/* items[from .. from + span) is under way: all that is left of the batch, or the part of it in which a poison row is sought. */
struct intake_batch {
	struct intake_batch_options options;
	enum batch_state state;
	struct intake_item *items[INTAKE_BATCH_MAX];
	size_t count, from, span;
	/* In turn: the answers of one batch are read while the next is loaded. */
	struct jk_arena *arenas[2], *arena;
	struct intake_ledger *ledger;
	struct intake_assume assume;
	bool assumes;        /* the part under way was decided without loading */
	size_t stored;       /* of the part under way: decided to be */
	size_t events_bytes; /* of these, in all streams */
	int64_t started_ms, again_ms, commit_us;
	int64_t taken_us, ended_us;      /* of this batch, or the last one */
	int64_t down_since_ms;           /* 0: the database is up */
	struct intake_warnings warnings; /* scratch */
};

static void load(struct intake_batch *batch);

enum jk_status intake_batch_open(const struct intake_batch_options *options, struct intake_batch **ret_batch)
{
	struct intake_batch *batch = calloc(1, sizeof *batch);

	if (!batch)
		return JK_BROKEN;
	batch->options = *options;
	batch->arenas[0] = jk_arena_new(LEDGER_MAX_BYTES);
	batch->arenas[1] = jk_arena_new(LEDGER_MAX_BYTES);
	batch->arena = batch->arenas[0];
	if (!batch->arenas[0] || !batch->arenas[1]) {
		intake_batch_close(&batch);
		return JK_BROKEN;
	}
	*ret_batch = batch;
	return JK_OK;
}

void intake_batch_close(struct intake_batch **batch_p)
{
	struct intake_batch *batch = *batch_p;

	if (!batch)
		return;
	for (size_t i = batch->from; i < batch->count && batch->state != BATCH_IDLE; i++) {
		batch->items[i]->verdict = JK_VERDICT_BUSY;
		batch->options.on_reply(batch->options.arg, batch->items[i]);
	}
	jk_arena_free(&batch->arenas[0]);
	jk_arena_free(&batch->arenas[1]);
	free(batch);
	*batch_p = NULL;
}

bool intake_batch_is_idle(const struct intake_batch *batch)
{
	return batch->state == BATCH_IDLE;
}

static struct intake_work work_of(struct intake_batch *batch)
{
	return (struct intake_work){batch->items + batch->from, batch->span, batch->ledger, batch->arena, batch->assumes};
}

/* Answers the part under way and turns to what is left, or to the next batch. The database gets its work first: receipts are
 * packed and sent while it loads. */
static void finish(struct intake_batch *batch)
{
	struct intake_item *answered[INTAKE_BATCH_MAX];
	size_t count = batch->span;

	memcpy(answered, batch->items + batch->from, count * sizeof *answered);
	batch->from += count;
	batch->span = batch->count - batch->from;
	batch->ended_us = jk_time_mono_us();
	batch->started_ms = batch->ended_us / 1000;
	batch->state = BATCH_IDLE;
	batch->arena = batch->arena == batch->arenas[0] ? batch->arenas[1] : batch->arenas[0];
	if (batch->span)
		load(batch);
	else
		(void)intake_batch_run(batch); /* where it pauses, the turn that follows asks how long */
	for (size_t i = 0; i < count; i++)
		batch->options.on_reply(batch->options.arg, answered[i]);
}

/* The publishers keep these reports and try again; what is left of the batch is tried at the next turn. */
static void give_up(struct intake_batch *batch, const char *why)
{
	jk_log_limited(1000, JK_LOG_ERROR, "batch_not_stored", "reports=%zu why=%s", batch->span, why);
	for (size_t i = 0; i < batch->span; i++) {
		struct intake_item *item = batch->items[batch->from + i];
		item->verdict = JK_VERDICT_BUSY;
		item->refusal = NULL; /* it was decided, but not answered */
		batch->options.on_reply(batch->options.arg, item);
	}
	batch->from += batch->span;
	batch->span = batch->count - batch->from;
	batch->state = batch->span ? BATCH_WAITING : BATCH_IDLE;
	batch->again_ms = 0;
}

static void again(struct intake_batch *batch, const char *why)
{
	int64_t now_ms = jk_time_mono_ms();

	intake_meter_again();
	if (now_ms - batch->started_ms >= PATIENCE_MS) {
		give_up(batch, why);
		return;
	}
	jk_log_limited(1000, JK_LOG_WARN, "batch_repeated", "reports=%zu why=%s", batch->span, why);
	batch->again_ms = now_ms + AGAIN_AFTER_MS;
	batch->state = BATCH_WAITING;
}

/* Half of the part under way is begun anew, the rest comes after it; false: it is a report alone. */
static bool halve(struct intake_batch *batch)
{
	if (batch->span <= 1)
		return false;
	batch->span /= 2;
	load(batch);
	return true;
}

/* What was decided of the part is dropped as well: a ledger that has no room may hold a report in part, which must neither be
 * stored nor make its repetition a DUPLICATE. */
static void take_fewer(struct intake_batch *batch, const char *why)
{
	if (!halve(batch))
		give_up(batch, why);
}

/* Only the row itself is refused; its neighbours are stored. */
static void refuse_poison(struct intake_batch *batch, const char *why)
{
	if (halve(batch))
		return;
	struct intake_item *item = batch->items[batch->from];
	jk_log(JK_LOG_WARN, "poison_report", "agency=%s why=%s", item->agency, why);
	item->verdict = JK_VERDICT_REJECTED;
	item->refusal = jk_arena_alloc(item->arena, sizeof *item->refusal);
	if (item->refusal)
		jk_refuse(item->refusal, JK_CODE_INVALID_SCHEMA, "", "the database refuses this report: %s", why);
	finish(batch);
}

/* ---- deciding ---- */

static bool reject(struct intake_item *item, const struct jk_refusal *refusal)
{
	item->verdict = JK_VERDICT_REJECTED;
	item->refusal = jk_arena_copy(item->arena, refusal, sizeof *refusal);
	return false;
}

static bool accept(struct intake_batch *batch, struct intake_item *item, int64_t now_us)
{
	const struct intake_policy policy = {.agency = item->agency, .refuse_expired = item->refuse_expired};
	struct intake_warnings *warnings = &batch->warnings;
	const struct intake_decision *decision = &item->decision;
	struct jk_refusal refusal;

	warnings->count = 0;
	for (size_t i = 0; i < item->warning_count; i++)
		warnings->list[warnings->count++] = item->warnings[i];
	if (!intake_rules_accept(&item->report, &policy, decision->counties, now_us, warnings, &refusal))
		return reject(item, &refusal);
	if (decision->orphan)
		intake_rules_warn(warnings, JK_CODE_ORPHAN, "references", "none of the reports it refers to is known yet");
	if (decision->late)
		intake_rules_warn(warnings, JK_CODE_LATE_REVISION, "revision", "a newer revision is known and stays current");
	item->answer->warnings = intake_wire_pack_warnings(warnings, batch->arena, &item->answer->warnings_size);
	if (warnings->count && !item->answer->warnings)
		item->verdict = JK_VERDICT_BUSY;
	return item->verdict == JK_VERDICT_STORED;
}

static bool seal(struct intake_batch *batch, struct intake_item *item)
{
	const struct intake_decision *decision = &item->decision;
	/* HISTORY tells where things were when it was written; the stream it stands in tells where they are now. */
	const struct intake_filling filling = {
		.counties = decision->late && item->candidate.counties ? item->candidate.counties : decision->after.counties,
		.orphan = decision->orphan,
		.incident = item->report.categories ? NULL : &decision->after,
	};

	return item->stands_alone || intake_wire_seal(item, &filling, batch->arena) == JK_OK;
}

/* What its event takes in the feed: the body, once for each stream. Refuses what would be too much for a batch of its own. */
static bool measure(struct intake_item *item, size_t *ret_bytes)
{
	const struct intake_decision *decision = &item->decision;
	int streams = __builtin_popcountll(decision->counties | decision->moved_away);
	struct jk_refusal refusal;

	*ret_bytes = item->sealed.body_size * (size_t)streams;
	if (*ret_bytes <= EVENTS_MAX_BYTES)
		return true;
	jk_refuse(&refusal, JK_CODE_OVERSIZE, "payload",
		"its event has %zu bytes in each of %d counties; %d MiB in all are the most: say less, or to fewer counties",
		item->sealed.body_size, streams, EVENTS_MAX_BYTES / (1024 * 1024));
	return reject(item, &refusal);
}

/* BUSY: the batch has no room for it. */
static void decide(struct intake_batch *batch, struct intake_item *item, int64_t now_us)
{
	/* Receipts of its duplicates in this batch read the answer too: it must outlive the item. */
	item->answer = jk_arena_alloc(batch->arena, sizeof *item->answer);
	item->candidate.answer = item->answer;
	if (!item->answer) {
		item->verdict = JK_VERDICT_BUSY;
		return;
	}
	intake_ledger_decide(batch->ledger, &item->candidate, &item->decision);
	item->verdict = item->decision.verdict;
	if (item->verdict != JK_VERDICT_STORED || !accept(batch, item, now_us))
		return;
	item->answer->incident_id = item->decision.after.incident_id;
	item->answer->event_id = item->candidate.event_id;
	size_t bytes = 0;
	if (!seal(batch, item)) {
		item->verdict = JK_VERDICT_BUSY;
		return;
	}
	if (!measure(item, &bytes))
		return;
	if (item->check) {
		item->verdict = JK_VERDICT_VALID;
		return;
	}
	batch->events_bytes += bytes;
	if (batch->events_bytes > EVENTS_MAX_BYTES || !intake_ledger_record(batch->ledger, &item->candidate, &item->decision))
		item->verdict = JK_VERDICT_BUSY;
	memcpy(item->answer->commitment, item->sealed.commitment, sizeof item->answer->commitment);
}

/* How many reports of the part under way were decided how. */
struct tally {
	size_t stored, refused;
	size_t to_commit; /* answers that promise that something is stored: duplicates wait for a commit too (intake_store_commit)
			   */
	bool met_known;   /* a report or an incident that was there before, be it by this batch */
	bool no_room;     /* for all of them at once: fewer will fit */
};

static struct tally decide_all(struct intake_batch *batch)
{
	int64_t now_us = jk_time_now_us();
	struct tally tally = {0};

	batch->events_bytes = 0;
	for (size_t i = 0; i < batch->span && !tally.no_room; i++) {
		struct intake_item *item = batch->items[batch->from + i];
		decide(batch, item, now_us);
		tally.no_room = item->verdict == JK_VERDICT_BUSY;
		bool stored = item->verdict == JK_VERDICT_STORED;
		bool repeated = item->verdict == JK_VERDICT_DUPLICATE || item->verdict == JK_VERDICT_CONFLICT;
		tally.stored += stored;
		tally.to_commit += stored || item->verdict == JK_VERDICT_DUPLICATE;
		tally.refused += !stored && !repeated;
		tally.met_known = tally.met_known || repeated || (stored && !item->decision.opens);
	}
	batch->stored = tally.stored;
	return tally;
}

/* ---- the two jobs ---- */

static void on_committed(void *arg, enum intake_outcome outcome, const char *why)
{
	struct intake_batch *batch = arg;

	switch (outcome) {
	case INTAKE_DONE:
		break;
	case INTAKE_AGAIN:
		if (batch->assumes && jk_db_is_up(intake_store_db(batch->options.store))) {
			intake_assume_was_wrong(&batch->assume);
			intake_meter_assumed(false);
			load(batch);
		} else {
			again(batch, why);
		}
		return;
	case INTAKE_POISON:
		refuse_poison(batch, why);
		return;
	case INTAKE_REFUSED:
		give_up(batch, why);
		return;
	}
	if (batch->assumes) {
		intake_assume_was_right(&batch->assume);
		intake_meter_assumed(true);
	}
	batch->options.on_stored(batch->options.arg, batch->stored, jk_time_now_us() - batch->commit_us);
	finish(batch);
}

static void commit(struct intake_batch *batch)
{
	const struct intake_work work = work_of(batch);

	batch->state = BATCH_COMMITTING;
	batch->commit_us = jk_time_now_us();
	enum jk_status status = intake_store_commit(batch->options.store, &work, on_committed, batch);
	if (status == JK_RETRY)
		again(batch, "no connection to the database");
	else if (status == JK_BROKEN)
		take_fewer(batch, "out of memory");
}

static void on_loaded(void *arg, enum intake_outcome outcome, const char *why)
{
	struct intake_batch *batch = arg;

	if (outcome == INTAKE_AGAIN) {
		again(batch, why);
		return;
	}
	if (outcome == INTAKE_POISON) {
		take_fewer(batch, why);
		return;
	}
	if (outcome == INTAKE_REFUSED) {
		give_up(batch, why);
		return;
	}
	const struct tally tally = decide_all(batch);
	if (tally.no_room) {
		take_fewer(batch, "a batch has no room for it");
		return;
	}
	if (tally.met_known)
		intake_assume_saw_known(&batch->assume);
	if (tally.to_commit)
		commit(batch);
	else
		finish(batch);
}

static bool begin(struct intake_batch *batch)
{
	jk_arena_reset(batch->arena);
	batch->ledger = intake_ledger_new(batch->arena);
	return batch->ledger;
}

static void load(struct intake_batch *batch)
{
	batch->assumes = false;
	batch->state = BATCH_LOADING;
	bool begun = begin(batch);
	const struct intake_work work = work_of(batch);
	enum jk_status status = begun ? intake_store_load(batch->options.store, &work, on_loaded, batch) : JK_BROKEN;
	if (status == JK_RETRY)
		again(batch, "no connection to the database");
	else if (status == JK_BROKEN)
		give_up(batch, "out of memory");
}

/* Every report can be decided alone: what it says names no other, and whether it is known shows when it is stored. */
static bool may_assume(const struct intake_batch *batch)
{
	for (size_t i = 0; i < batch->count; i++) {
		if (batch->items[i]->check || batch->items[i]->candidate.reference_count)
			return false;
	}
	return true;
}

/* Decides as if nothing were known. A refusal is no reason to answer yet: what is known is answered as the first time. */
static void assume(struct intake_batch *batch)
{
	bool begun = begin(batch);
	const struct tally tally = begun ? decide_all(batch) : (struct tally){0};

	batch->assumes = tally.stored && !tally.refused;
	if (batch->assumes)
		commit(batch);
	else
		load(batch);
}

static void take(struct intake_batch *batch)
{
	size_t bytes = 0; /* as received, once for each county that is named: an estimate of what they take in the feed */

	batch->count = 0;
	while (batch->count < INTAKE_BATCH_MAX && bytes < BATCH_MAX_BYTES) {
		struct intake_item *item = intake_queue_take(batch->options.queue);
		if (!item)
			break;
		batch->items[batch->count++] = item;
		int counties = __builtin_popcountll(item->candidate.counties);
		bytes += item->size * (size_t)(counties ? counties : 1);
	}
	intake_queue_end_draw(batch->options.queue);
	batch->from = 0;
	batch->span = batch->count;
	batch->taken_us = jk_time_mono_us();
	/* What waited through the patience for the database is answered without another wait. */
	batch->started_ms = batch->down_since_ms ? batch->down_since_ms : jk_time_mono_ms();
}

static int pause_us(const struct intake_batch *batch)
{
	int64_t pause = (batch->ended_us - batch->taken_us) / 2;

	if (pause > INTAKE_PAUSE_MAX_US)
		pause = INTAKE_PAUSE_MAX_US;
	pause -= jk_time_mono_us() - batch->ended_us;
	return pause > 0 && intake_queue_can_pause(batch->options.queue) ? (int)pause : 0;
}

int intake_batch_run(struct intake_batch *batch)
{
	const struct jk_db *db = intake_store_db(batch->options.store);

	if (jk_db_is_up(db))
		batch->down_since_ms = 0;
	else if (!batch->down_since_ms)
		batch->down_since_ms = jk_time_mono_ms();
	if (batch->state == BATCH_WAITING && jk_time_mono_ms() >= batch->again_ms)
		load(batch);
	if (batch->state != BATCH_IDLE || (jk_db_is_up(db) && !jk_db_is_idle(db)))
		return 0;
	int pause = pause_us(batch);
	if (pause)
		return pause;
	take(batch);
	if (!batch->count)
		return 0;
	if (intake_assume_ask(&batch->assume, may_assume(batch)))
		assume(batch);
	else
		load(batch);
	return 0;
}
