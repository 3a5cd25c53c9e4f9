/* dispatch_duty_store_pg.c: storing what steps have made of duties, set by set. See dispatch_duty_pg.h. */
#include "dispatch_duty_pg.h"

#include <stdlib.h>
#include <string.h>

/* A type, or what is declared, cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define EACH(type, name, list)                                                                                                   \
	for (const type *name = (list)->items; name != NULL && name < (const type *)(list)->items + (list)->count; name++)
/* NOLINTEND(bugprone-macro-parentheses) */

static const struct jk_db_statement change_duties = {
	.name = "dispatch_duty_change",
	.sql = "WITH put AS (UPDATE dispatch.duty d SET version = u.version, state = u.state, severity = u.severity,"
	       " holder = u.holder, asked = u.asked, shift_to = u.shift_to, offer_no = u.offer_no, round = u.round,"
	       " times = u.times, entries = u.entries, opened_at = u.opened_at,"
	       " updated_at = u.updated_at, due_at = u.due_at, say_at = u.say_at, escalate_at = u.escalate_at"
	       " FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int2[], $5::int2[], $6::int4[], $7::int4[], $8::int4[],"
	       " $9::int4[], $10::int4[], $11::int4[], $12::int4[], $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],"
	       " $16::timestamptz[], $17::timestamptz[]) AS u (duty_id, loaded, version, state, severity,"
	       " holder, asked, shift_to, offer_no, round, times, entries, opened_at, updated_at, due_at, say_at,"
	       " escalate_at) WHERE d.duty_id = u.duty_id AND d.version = u.loaded RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM put), $18::int8)",
	.params = 18,
};
static const struct jk_db_statement end_offers = {
	.name = "dispatch_duty_end_offers",
	.sql = "WITH put AS (UPDATE dispatch.duty_offer o SET ended_at = u.ended_at, ending = u.ending,"
	       " reason = CASE WHEN u.reason = '' THEN o.reason ELSE u.reason END"
	       " FROM unnest($1::uuid[], $2::int4[], $3::timestamptz[], $4::int2[], $5::text[])"
	       " AS u (duty_id, offer_no, ended_at, ending, reason)"
	       " WHERE o.duty_id = u.duty_id AND o.offer_no = u.offer_no AND o.ended_at IS NULL RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM put), $6::int8)",
	.params = 6,
};
static const struct jk_db_statement make_offers = {
	.name = "dispatch_duty_make_offers",
	.sql = "INSERT INTO dispatch.duty_offer (duty_id, offer_no, round, desk_id, by_desk, at, due_at, ended_at, ending, "
	       "reason)"
	       " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::int4[], $5::int4[], $6::timestamptz[],"
	       " $7::timestamptz[], $8::timestamptz[], $9::int2[], $10::text[])",
	.params = 10,
};
static const struct jk_db_statement end_holdings = {
	.name = "dispatch_duty_end_holdings",
	.sql = "WITH put AS (UPDATE dispatch.duty_holding h SET until = u.until FROM unnest($1::uuid[], $2::timestamptz[])"
	       " AS u (duty_id, until) WHERE h.duty_id = u.duty_id AND h.until IS NULL RETURNING 1)"
	       " SELECT dispatch.expect((SELECT count(*) FROM put), $3::int8)",
	.params = 3,
};
static const struct jk_db_statement make_holdings = {
	.name = "dispatch_duty_make_holdings",
	.sql = "INSERT INTO dispatch.duty_holding (duty_id, holding_no, desk_id, since, until)"
	       " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::timestamptz[], $5::timestamptz[])",
	.params = 5,
};
static const struct jk_db_statement put_tellings = {
	.name = "dispatch_duty_put_tellings",
	.sql = "INSERT INTO dispatch.duty_telling (duty_id, escalation_id, role, desk_id, times, told_at, acknowledged_at)"
	       " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::int2[], $4::int4[], $5::int4[], $6::timestamptz[],"
	       " $7::timestamptz[]) ON CONFLICT (duty_id, escalation_id) DO UPDATE SET role = excluded.role,"
	       " desk_id = excluded.desk_id, times = excluded.times, told_at = excluded.told_at,"
	       " acknowledged_at = excluded.acknowledged_at",
	.params = 7,
};
static const struct jk_db_statement add_entries = {
	.name = "dispatch_duty_add_entries",
	.sql = "INSERT INTO dispatch.duty_entry (duty_id, entry_no, at, version, action, by_desk, desk_id, reason, disposition, "
	       "role,"
	       " command_id, event_id) SELECT * FROM unnest($1::uuid[], $2::int4[], $3::timestamptz[], $4::int4[], $5::int2[],"
	       " $6::int4[], $7::int4[], $8::text[], $9::int2[], $10::int2[], $11::uuid[], $12::uuid[])",
	.params = 12,
};
static const struct jk_db_statement add_commands = {
	.name = "dispatch_duty_add_commands",
	.sql = "INSERT INTO dispatch.duty_command (command_id, digest, desk_id, thing_id, version, state, number)"
	       " SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::int4[], $4::uuid[], $5::int4[], $6::text[], $7::text[])",
	.params = 7,
};
/* The next tick hands them over, one by one. */
static const struct jk_db_statement shift_duties = {
	.name = "dispatch_duty_shift",
	.sql = "UPDATE dispatch.duty d SET version = d.version + 1, shift_to = u.to_desk, shift_reason = u.reason,"
	       " due_at = clock_timestamp() FROM unnest($1::int4[], $2::int4[], $3::text[]) AS u (from_desk, to_desk, reason)"
	       " WHERE d.holder = u.from_desk",
	.params = 3,
};

/* ---- columns ---- */

static void reset(struct jk_db_array *columns, const unsigned *oids, size_t count)
{
	for (size_t i = 0; i < count; i++)
		jk_db_array_reset(&columns[i], oids[i]);
}

static size_t bind(struct jk_db_step *ret_step, const struct jk_db_statement *statement, struct jk_db_array *columns, int count)
{
	*ret_step = (struct jk_db_step){.statement = statement};
	for (int i = 0; i < count; i++)
		jk_db_bind_array(ret_step, i, &columns[i]);
	return 1;
}

/* 0: NULL. */
static void add_number(struct jk_db_array *column, int64_t value)
{
	if (value == 0)
		jk_db_array_add(column, NULL, 0);
	else
		jk_db_array_add_int(column, value);
}

static void add_time(struct jk_db_array *column, int64_t time_us)
{
	if (time_us == 0)
		jk_db_array_add(column, NULL, 0);
	else
		jk_db_array_add_time(column, time_us);
}

static void add_id(struct jk_db_array *column, const struct jk_id *id)
{
	if (jk_id_is_zero(id))
		jk_db_array_add(column, NULL, 0);
	else
		jk_db_array_add_id(column, id);
}

/* ---- sets ---- */

static void add_duty(struct jk_db_array *column, const struct dispatch_duty_item *item)
{
	const struct dispatch_duty *duty = &item->duty;

	jk_db_array_add_id(column++, &duty->duty_id);
	jk_db_array_add_int(column++, item->loaded);
	jk_db_array_add_int(column++, duty->version);
	jk_db_array_add_int(column++, duty->state);
	jk_db_array_add_int(column++, item->incident.labels.severity);
	add_number(column++, duty->holder);
	add_number(column++, duty->asked);
	add_number(column++, duty->shift_to);
	jk_db_array_add_int(column++, duty->offer_no);
	jk_db_array_add_int(column++, duty->round);
	jk_db_array_add_int(column++, duty->times);
	jk_db_array_add_int(column++, duty->entries);
	jk_db_array_add_time(column++, duty->opened_us);
	jk_db_array_add_time(column++, duty->updated_us);
	add_time(column++, duty->due_us);
	add_time(column++, duty->say_us);
	add_time(column, duty->escalate_us);
}

static int compare_items(const void *a, const void *b)
{
	const struct dispatch_duty_item *const *left = a, *const *right = b;

	return memcmp((*left)->duty.duty_id.bytes, (*right)->duty.duty_id.bytes, sizeof(struct jk_id));
}

/* In the order of their ids, so that two who change the same ones wait for each other in one direction only. */
static size_t duties_step(struct dispatch_duty_store *store, const struct dispatch_duty_batch *batch, struct jk_db_step *ret_step)
{
	static const unsigned oids[17] = {JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_INT2, JK_OID_INT2, JK_OID_INT4,
		JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_TIMESTAMPTZ,
		JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ};
	const struct dispatch_duty_item *changed[DISPATCH_DUTY_ITEMS_MAX];
	size_t count = 0;

	EACH(struct dispatch_duty_item, item, &batch->items)
	if (item->changed && count < DISPATCH_DUTY_ITEMS_MAX)
		changed[count++] = item;
	if (count == 0)
		return 0;
	qsort(changed, count, sizeof *changed, compare_items);
	reset(store->duties, oids, 17);
	for (size_t i = 0; i < count; i++)
		add_duty(store->duties, changed[i]);
	(void)bind(ret_step, &change_duties, store->duties, 17);
	jk_db_bind_int8(ret_step, 17, &store->changed, (int64_t)count);
	return 1;
}

static size_t ends_step(struct dispatch_duty_store *store, const struct dispatch_list *ended, struct jk_db_step *ret_step)
{
	static const unsigned oids[5] = {JK_OID_UUID, JK_OID_INT4, JK_OID_TIMESTAMPTZ, JK_OID_INT2, JK_OID_TEXT};

	if (ended->count == 0)
		return 0;
	reset(store->ends, oids, 5);
	EACH(struct dispatch_duty_offer, offer, ended)
	{
		jk_db_array_add_id(&store->ends[0], &offer->duty_id);
		jk_db_array_add_int(&store->ends[1], offer->offer_no);
		jk_db_array_add_time(&store->ends[2], offer->ended_us);
		jk_db_array_add_int(&store->ends[3], offer->ending);
		jk_db_array_add_text(&store->ends[4], offer->reason);
	}
	(void)bind(ret_step, &end_offers, store->ends, 5);
	jk_db_bind_int8(ret_step, 5, &store->ended, (int64_t)ended->count);
	return 1;
}

static size_t offers_step(struct dispatch_duty_store *store, const struct dispatch_list *offers, struct jk_db_step *ret_step)
{
	static const unsigned oids[10] = {JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_INT4, JK_OID_TIMESTAMPTZ,
		JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ, JK_OID_INT2, JK_OID_TEXT};
	struct jk_db_array *column = store->offers;

	if (offers->count == 0)
		return 0;
	reset(column, oids, 10);
	EACH(struct dispatch_duty_offer, offer, offers)
	{
		jk_db_array_add_id(&column[0], &offer->duty_id);
		jk_db_array_add_int(&column[1], offer->offer_no);
		jk_db_array_add_int(&column[2], offer->round);
		jk_db_array_add_int(&column[3], offer->desk_id);
		add_number(&column[4], offer->by_desk);
		jk_db_array_add_time(&column[5], offer->at_us);
		add_time(&column[6], offer->due_us);
		add_time(&column[7], offer->ended_us);
		add_number(&column[8], offer->ending);
		jk_db_array_add_text(&column[9], offer->reason);
	}
	return bind(ret_step, &make_offers, column, 10);
}

static size_t freed_step(struct dispatch_duty_store *store, const struct dispatch_list *ended, struct jk_db_step *ret_step)
{
	static const unsigned oids[2] = {JK_OID_UUID, JK_OID_TIMESTAMPTZ};

	if (ended->count == 0)
		return 0;
	reset(store->freed, oids, 2);
	EACH(struct dispatch_duty_holding, holding, ended)
	{
		jk_db_array_add_id(&store->freed[0], &holding->duty_id);
		jk_db_array_add_time(&store->freed[1], holding->until_us);
	}
	(void)bind(ret_step, &end_holdings, store->freed, 2);
	jk_db_bind_int8(ret_step, 2, &store->let_go, (int64_t)ended->count);
	return 1;
}

static size_t holdings_step(struct dispatch_duty_store *store, const struct dispatch_list *holdings, struct jk_db_step *ret_step)
{
	static const unsigned oids[5] = {JK_OID_UUID, JK_OID_INT4, JK_OID_INT4, JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ};

	if (holdings->count == 0)
		return 0;
	reset(store->holdings, oids, 5);
	EACH(struct dispatch_duty_holding, holding, holdings)
	{
		jk_db_array_add_id(&store->holdings[0], &holding->duty_id);
		jk_db_array_add_int(&store->holdings[1], holding->holding_no);
		jk_db_array_add_int(&store->holdings[2], holding->desk_id);
		jk_db_array_add_time(&store->holdings[3], holding->since_us);
		add_time(&store->holdings[4], holding->until_us);
	}
	return bind(ret_step, &make_holdings, store->holdings, 5);
}

static size_t tellings_step(struct dispatch_duty_store *store, const struct dispatch_list *tellings, struct jk_db_step *ret_step)
{
	static const unsigned oids[7] = {
		JK_OID_UUID, JK_OID_INT4, JK_OID_INT2, JK_OID_INT4, JK_OID_INT4, JK_OID_TIMESTAMPTZ, JK_OID_TIMESTAMPTZ};
	struct jk_db_array *column = store->tellings;

	reset(column, oids, 7);
	EACH(struct dispatch_duty_telling, telling, tellings)
	{
		if (!telling->changed)
			continue;
		jk_db_array_add_id(&column[0], &telling->duty_id);
		jk_db_array_add_int(&column[1], telling->escalation_id);
		jk_db_array_add_int(&column[2], telling->role);
		jk_db_array_add_int(&column[3], telling->desk_id);
		jk_db_array_add_int(&column[4], telling->times);
		jk_db_array_add_time(&column[5], telling->told_us);
		add_time(&column[6], telling->acknowledged_us);
	}
	return column[0].count == 0 ? 0 : bind(ret_step, &put_tellings, column, 7);
}

static size_t entries_step(struct dispatch_duty_store *store, const struct dispatch_list *entries, struct jk_db_step *ret_step)
{
	static const unsigned oids[12] = {JK_OID_UUID, JK_OID_INT4, JK_OID_TIMESTAMPTZ, JK_OID_INT4, JK_OID_INT2, JK_OID_INT4,
		JK_OID_INT4, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2, JK_OID_UUID, JK_OID_UUID};
	struct jk_db_array *column = store->entries;

	if (entries->count == 0)
		return 0;
	reset(column, oids, 12);
	EACH(struct dispatch_duty_entry, entry, entries)
	{
		jk_db_array_add_id(&column[0], &entry->duty_id);
		jk_db_array_add_int(&column[1], entry->entry_no);
		jk_db_array_add_time(&column[2], entry->at_us);
		jk_db_array_add_int(&column[3], entry->version);
		jk_db_array_add_int(&column[4], entry->action);
		add_number(&column[5], entry->by_desk);
		add_number(&column[6], entry->desk_id);
		jk_db_array_add_text(&column[7], entry->reason);
		jk_db_array_add_int(&column[8], entry->disposition);
		jk_db_array_add_int(&column[9], entry->role);
		add_id(&column[10], &entry->command_id);
		add_id(&column[11], &entry->event_id);
	}
	return bind(ret_step, &add_entries, column, 12);
}

static size_t commands_step(struct dispatch_duty_store *store, const struct dispatch_list *done, struct jk_db_step *ret_step)
{
	static const unsigned oids[7] = {
		JK_OID_UUID, JK_OID_BYTEA, JK_OID_INT4, JK_OID_UUID, JK_OID_INT4, JK_OID_TEXT, JK_OID_TEXT};
	struct jk_db_array *column = store->done;

	if (done->count == 0)
		return 0;
	reset(column, oids, 7);
	EACH(struct dispatch_duty_done, command, done)
	{
		jk_db_array_add_id(&column[0], &command->command_id);
		jk_db_array_add(&column[1], command->digest, sizeof command->digest);
		jk_db_array_add_int(&column[2], command->desk_id);
		jk_db_array_add_id(&column[3], &command->thing_id);
		jk_db_array_add_int(&column[4], command->version);
		jk_db_array_add_text(&column[5], command->state);
		jk_db_array_add_text(&column[6], command->number);
	}
	return bind(ret_step, &add_commands, column, 7);
}

static size_t shifts_step(struct dispatch_duty_store *store, const struct dispatch_list *shifts, struct jk_db_step *ret_step)
{
	static const unsigned oids[3] = {JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT};

	if (shifts->count == 0)
		return 0;
	reset(store->shifts, oids, 3);
	EACH(struct dispatch_duty_shift, shift, shifts)
	{
		jk_db_array_add_int(&store->shifts[0], shift->from);
		jk_db_array_add_int(&store->shifts[1], shift->to);
		jk_db_array_add_text(&store->shifts[2], shift->reason);
	}
	return bind(ret_step, &shift_duties, store->shifts, 3);
}

size_t dispatch_duty_store_steps(
	struct dispatch_duty_store *store, const struct dispatch_duty_batch *batch, struct jk_db_step *steps)
{
	size_t count = duties_step(store, batch, steps);

	count += ends_step(store, &batch->offers_ended, &steps[count]);
	count += offers_step(store, &batch->offers, &steps[count]);
	count += freed_step(store, &batch->holdings_ended, &steps[count]);
	count += holdings_step(store, &batch->holdings, &steps[count]);
	count += tellings_step(store, &batch->tellings, &steps[count]);
	count += entries_step(store, &batch->entries, &steps[count]);
	count += commands_step(store, &batch->done, &steps[count]);
	count += shifts_step(store, &batch->shifts, &steps[count]);
	return count;
}

void dispatch_duty_store_done(struct dispatch_duty_store *store)
{
	struct {
		struct jk_db_array *columns;
		size_t count;
	} all[] = {{&store->ids, 1}, {&store->command_ids, 1}, {&store->holders, 1}, {store->duties, 17}, {store->ends, 5},
		{store->offers, 10}, {store->freed, 2}, {store->holdings, 5}, {store->tellings, 7}, {store->entries, 12},
		{store->done, 7}, {store->shifts, 3}};

	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		for (size_t k = 0; k < all[i].count; k++)
			jk_db_array_done(&all[i].columns[k]);
}
