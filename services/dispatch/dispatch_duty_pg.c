/* dispatch_duty_pg.c: what is due, and what is known. Storing: dispatch_duty_store_pg.c. */
#include "dispatch_duty_pg.h"

#include <string.h>

enum { FORGET_MAX = 512 };

/* Life in danger first; but what has waited for two seconds waits for nobody any more. */
static const struct jk_db_statement due_statement = {
	.name = "dispatch_duty_due",
	.sql = "SELECT duty_id FROM dispatch.duty WHERE next_at <= clock_timestamp()"
	       " ORDER BY severity NOT IN (1, 2) AND next_at > clock_timestamp() - interval '2 s', next_at, duty_id"
	       " LIMIT $1::int8 OFFSET $2::int8",
	.params = 2,
};

/* One look into the index for each id, whatever the planner knows: as cases_load. */
#define IDS "unnest($1::uuid[]) AS u (id)"
static const struct jk_db_statement load_duties = {
	.name = "dispatch_duty_load",
	.sql = "SELECT d.duty_id, d.incident_id, d.county, d.discipline, d.version, d.state, d.answer_s, d.again_s, d.holder, "
	       "d.asked,"
	       " d.shift_to, d.offer_no, d.round, d.times, d.entries, d.opened_at, d.updated_at, d.due_at, "
	       "d.say_at,"
	       " d.escalate_at, d.shift_reason, o.closed_why, o.event_id, o.revision, o.body_at, o.agency, o.categories, "
	       "o.category,"
	       " o.severity, o.urgency, o.status, o.tlp, o.scope, o.named FROM " IDS
	       " CROSS JOIN LATERAL (SELECT * FROM dispatch.duty k WHERE k.duty_id = u.id OFFSET 0) AS d"
	       " LEFT JOIN LATERAL (SELECT * FROM dispatch.open_incident i WHERE i.incident_id = d.incident_id"
	       " AND i.stream = d.county OFFSET 0) AS o ON true",
	.params = 1,
};
static const struct jk_db_statement load_desks = {
	.name = "dispatch_duty_load_desks",
	.sql = "SELECT o.duty_id, o.desk_id, max(o.round), bool_or(o.ending IS DISTINCT FROM 4) FROM " IDS
	       " CROSS JOIN LATERAL (SELECT * FROM dispatch.duty_offer k WHERE k.duty_id = u.id OFFSET 0) AS o GROUP BY 1, 2",
	.params = 1,
};
static const struct jk_db_statement load_tellings = {
	.name = "dispatch_duty_load_tellings",
	.sql = "SELECT o.duty_id, o.escalation_id, o.role, o.desk_id, o.times, o.told_at, o.acknowledged_at FROM " IDS
	       " CROSS JOIN LATERAL (SELECT * FROM dispatch.duty_telling k WHERE k.duty_id = u.id OFFSET 0) AS o",
	.params = 1,
};
/* The newest body of each incident, and the counties that have it: those its newest report went to (less those it left), however
 * far each of them has been followed. An ERASED event goes to every county that ever had the incident: then it is the report of
 * its revision that counts. That is looked for among all events of the incident, so only then; was it removed by age, it is as if
 * the body had been. */
static const struct jk_db_statement load_bodies = {
	.name = "dispatch_duty_load_bodies",
	.sql = "SELECT i.incident_id, s.streams, b.revision, b.tlp, b.category, b.body FROM (SELECT DISTINCT d.incident_id "
	       "FROM " IDS
	       " CROSS JOIN LATERAL (SELECT k.incident_id FROM dispatch.duty k WHERE k.duty_id = u.id OFFSET 0) AS d) AS i"
	       " CROSS JOIN LATERAL (SELECT e.event_id, e.kind, e.revision, e.tlp, e.category, e.body FROM "
	       "dispatch.open_incident o"
	       " JOIN feed.event e ON e.stream = o.stream AND e.seq = o.body_seq WHERE o.incident_id = i.incident_id"
	       " ORDER BY o.revision DESC, o.body_at DESC, o.stream LIMIT 1) AS b"
	       " CROSS JOIN LATERAL (SELECT bit_or(1::int8 << k.stream::int4) AS streams FROM feed.event k"
	       " WHERE k.event_id = CASE WHEN b.kind <> 8 THEN b.event_id ELSE (SELECT r.event_id FROM feed.event r"
	       " WHERE r.incident_id = i.incident_id AND r.kind < 16 AND r.kind IN (1, 2, 3) AND r.revision = b.revision"
	       " ORDER BY r.recorded_at DESC LIMIT 1) END AND k.kind < 16 AND k.kind <> 5) AS s WHERE s.streams IS NOT NULL",
	.params = 1,
};
static const struct jk_db_statement load_commands = {
	.name = "dispatch_duty_load_commands",
	.sql = "SELECT c.command_id, c.digest, c.thing_id, c.version, c.state, c.number, c.desk_id FROM " IDS
	       " CROSS JOIN LATERAL (SELECT * FROM dispatch.duty_command k WHERE k.command_id = u.id OFFSET 0) AS c",
	.params = 1,
};
static const struct jk_db_statement load_holders = {
	.name = "dispatch_duty_load_holders",
	.sql = "SELECT u.id, (SELECT count(*) FROM dispatch.duty d WHERE d.holder = u.id) FROM unnest($1::int4[]) AS u (id)",
	.params = 1,
};
static const struct jk_db_statement held_statement = {
	.name = "dispatch_duty_held",
	.sql = "SELECT duty_id, holder FROM dispatch.duty WHERE holder IS NOT NULL AND (holder, duty_id) > ($1::int8::int4, "
	       "$2::uuid)"
	       " ORDER BY holder, duty_id LIMIT $3::int8",
	.params = 3,
};
static const struct jk_db_statement count_statement = {
	.name = "dispatch_duty_count",
	.sql = "SELECT state, count(*) FROM dispatch.duty WHERE state IN (1, 2, 3, 4) GROUP BY state",
	.params = 0,
};
static const struct jk_db_statement forget_statement = {
	.name = "dispatch_duty_forget",
	.sql = "SELECT dispatch.forget_closed($1::int8, $2::int8)",
	.params = 2,
};
static const struct jk_db_statement load_time = {
	.name = "dispatch_duty_time",
	.sql = "SELECT clock_timestamp(), set_config('plan_cache_mode', 'force_custom_plan', true),"
	       " set_config('enable_seqscan', 'off', true)",
	.params = 0,
};

void dispatch_duty_due_step(struct dispatch_duty_store *store, size_t max, size_t past, struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &due_statement};
	jk_db_bind_int8(ret_step, 0, &store->due_max, (int64_t)max);
	jk_db_bind_int8(ret_step, 1, &store->due_past, (int64_t)past);
}

void dispatch_duty_held_step(
	struct dispatch_duty_store *store, const struct dispatch_held_place *after, size_t max, struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &held_statement};
	jk_db_bind_int8(ret_step, 0, &store->held_desk, after->desk_id);
	jk_db_bind_bytes(ret_step, 1, after->duty_id.bytes, sizeof after->duty_id.bytes);
	jk_db_bind_int8(ret_step, 2, &store->held_max, (int64_t)max);
}

void dispatch_duty_count_step(struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &count_statement};
}

void dispatch_duty_forget_step(struct dispatch_duty_store *store, int64_t grace_s, struct jk_db_step *ret_step)
{
	*ret_step = (struct jk_db_step){.statement = &forget_statement};
	jk_db_bind_int8(ret_step, 0, &store->grace, grace_s);
	jk_db_bind_int8(ret_step, 1, &store->forget_max, FORGET_MAX);
}

void dispatch_duty_load_reset(struct dispatch_duty_store *store)
{
	jk_db_array_reset(&store->ids, JK_OID_UUID);
	jk_db_array_reset(&store->command_ids, JK_OID_UUID);
	jk_db_array_reset(&store->holders, JK_OID_INT4);
}

void dispatch_duty_load_add(struct dispatch_duty_store *store, const struct jk_id *duty_id)
{
	jk_db_array_add_id(&store->ids, duty_id);
}

void dispatch_duty_load_command(struct dispatch_duty_store *store, const struct jk_id *command_id)
{
	jk_db_array_add_id(&store->command_ids, command_id);
}

void dispatch_duty_load_holder(struct dispatch_duty_store *store, int32_t desk_id)
{
	jk_db_array_add_int(&store->holders, desk_id);
}

size_t dispatch_duty_load_steps(struct dispatch_duty_store *store, struct jk_db_step *steps)
{
	static const struct jk_db_statement *const statements[DISPATCH_DUTY_LOAD_STEPS] = {
		&load_time, &load_duties, &load_desks, &load_tellings, &load_bodies, &load_commands, &load_holders};

	for (int i = 0; i < DISPATCH_DUTY_LOAD_STEPS; i++) {
		steps[i] = (struct jk_db_step){.statement = statements[i]};
		if (statements[i]->params > 0)
			jk_db_bind_array(&steps[i], 0,
				statements[i] == &load_commands  ? &store->command_ids
				: statements[i] == &load_holders ? &store->holders
								 : &store->ids);
	}
	return DISPATCH_DUTY_LOAD_STEPS;
}

/* ---- what came ---- */

static void take_text(const PGresult *result, int row, int column, char *ret, size_t size)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);

	(void)jk_text_copy(ret, size, text == NULL ? "" : text);
}

static int32_t take_int(const PGresult *result, int row, int column)
{
	return (int32_t)jk_db_get_int(result, row, column);
}

static void take_duty(const PGresult *result, int row, struct dispatch_duty *duty)
{
	duty->duty_id = jk_db_get_id(result, row, 0);
	duty->incident_id = jk_db_get_id(result, row, 1);
	take_text(result, row, 2, duty->county, sizeof duty->county);
	take_text(result, row, 3, duty->discipline, sizeof duty->discipline);
	duty->version = take_int(result, row, 4);
	duty->state = (enum dispatch_duty_state)take_int(result, row, 5);
	duty->answer_s = take_int(result, row, 6);
	duty->again_s = take_int(result, row, 7);
	duty->holder = take_int(result, row, 8);
	duty->asked = take_int(result, row, 9);
	duty->shift_to = take_int(result, row, 10);
	duty->offer_no = take_int(result, row, 11);
	duty->round = take_int(result, row, 12);
	duty->times = take_int(result, row, 13);
	duty->entries = take_int(result, row, 14);
	duty->opened_us = jk_db_get_time_us(result, row, 15);
	duty->updated_us = jk_db_get_time_us(result, row, 16);
	duty->due_us = jk_db_get_time_us(result, row, 17);
	duty->say_us = jk_db_get_time_us(result, row, 18);
	duty->escalate_us = jk_db_get_time_us(result, row, 19);
}

void dispatch_duty_take_incident(const PGresult *result, int row, int column, struct dispatch_duty_incident *ret)
{
	struct dispatch_open_labels *labels = &ret->labels;

	ret->known = !PQgetisnull(result, row, column);
	ret->open = ret->known && take_int(result, row, column) == 0;
	ret->event_id = jk_db_get_id(result, row, column + 1);
	ret->revision = jk_db_get_int(result, row, column + 2);
	ret->body_us = jk_db_get_time_us(result, row, column + 3);
	take_text(result, row, column + 4, labels->agency, sizeof labels->agency);
	labels->categories = (uint16_t)take_int(result, row, column + 5);
	labels->category = take_int(result, row, column + 6);
	labels->severity = take_int(result, row, column + 7);
	labels->urgency = take_int(result, row, column + 8);
	labels->status = take_int(result, row, column + 9);
	labels->tlp = take_int(result, row, column + 10);
	labels->scope = take_int(result, row, column + 11);
	take_text(result, row, column + 12, labels->named, sizeof labels->named);
}

static bool take_items(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_item *item = dispatch_list_add(&batch->items, sizeof *item);

		if (item == NULL)
			return false;
		take_duty(result, row, &item->duty);
		item->loaded = item->duty.version;
		take_text(result, row, 20, item->shift_reason, sizeof item->shift_reason);
		dispatch_duty_take_incident(result, row, 21, &item->incident);
	}
	return true;
}

static bool take_desks(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_desk *desk = dispatch_list_add(&batch->desks, sizeof *desk);

		if (desk == NULL)
			return false;
		desk->duty_id = jk_db_get_id(result, row, 0);
		desk->desk_id = take_int(result, row, 1);
		desk->round = take_int(result, row, 2);
		desk->was_asked = jk_db_get_int(result, row, 3) != 0;
	}
	return true;
}

static bool take_tellings(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_telling *telling = dispatch_list_add(&batch->tellings, sizeof *telling);

		if (telling == NULL)
			return false;
		telling->duty_id = jk_db_get_id(result, row, 0);
		telling->escalation_id = take_int(result, row, 1);
		telling->role = take_int(result, row, 2);
		telling->desk_id = take_int(result, row, 3);
		telling->times = take_int(result, row, 4);
		telling->told_us = jk_db_get_time_us(result, row, 5);
		telling->acknowledged_us = jk_db_get_time_us(result, row, 6);
	}
	return true;
}

static bool take_bodies(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_body *body = dispatch_list_add(&batch->bodies, sizeof *body);

		if (body == NULL)
			return false;
		body->incident_id = jk_db_get_id(result, row, 0);
		body->streams = (uint64_t)jk_db_get_int(result, row, 1);
		body->revision = jk_db_get_int(result, row, 2);
		body->tlp = take_int(result, row, 3);
		body->category = take_int(result, row, 4);
		body->body.data = jk_db_get_bytes(result, row, 5, &body->body.size);
	}
	return true;
}

static bool take_commands(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_done *known = dispatch_list_add(&batch->known, sizeof *known);
		size_t size = 0;
		const void *digest = jk_db_get_bytes(result, row, 1, &size);

		if (known == NULL)
			return false;
		known->command_id = jk_db_get_id(result, row, 0);
		if (digest != NULL && size == sizeof known->digest)
			memcpy(known->digest, digest, size);
		known->thing_id = jk_db_get_id(result, row, 2);
		known->version = take_int(result, row, 3);
		take_text(result, row, 4, known->state, sizeof known->state);
		take_text(result, row, 5, known->number, sizeof known->number);
		known->desk_id = take_int(result, row, 6);
	}
	return true;
}

static bool take_holders(const PGresult *result, struct dispatch_duty_batch *batch)
{
	for (int row = 0; row < PQntuples(result); row++) {
		struct dispatch_duty_holder *holder = dispatch_list_add(&batch->holders, sizeof *holder);

		if (holder == NULL)
			return false;
		holder->desk_id = take_int(result, row, 0);
		holder->count = jk_db_get_int(result, row, 1);
	}
	return true;
}

bool dispatch_duty_take(PGresult *const *results, struct dispatch_duty_batch *batch)
{
	dispatch_duty_batch_reset(batch);
	batch->now_us = jk_db_get_time_us(results[0], 0, 0);
	return take_items(results[1], batch) && take_desks(results[2], batch) && take_tellings(results[3], batch) &&
	       take_bodies(results[4], batch) && take_commands(results[5], batch) && take_holders(results[6], batch);
}
