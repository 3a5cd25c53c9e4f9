#include "notify_store_pg.h"

#include <string.h>

const struct jk_db_statement notify_store_positions = {
	.name = "notify_positions", .sql = "SELECT stream, seq FROM notify.cursor", .params = 0};
/* Lost in a crash of the database, positions and messages are lost together and made again, with other ids: a message that was
 * sent in between would go out twice. So this commit is waited for, unlike that of cases. */
const struct jk_db_statement notify_store_move = {
	.name = "notify_move", .sql = "SELECT notify.move($1::text[], $2::int8[], $3::int8[])", .params = 3};
const struct jk_db_statement notify_store_rules = {
	.name = "notify_rules",
	.sql = "SELECT rule_id, desk_id, coalesce(county, ''), coalesce(category, 0), coalesce(minimum_severity, 0), "
	       "include_test,"
	       " added_at, (SELECT version FROM registry.version) FROM notify.rule WHERE revoked_at IS NULL ORDER BY rule_id "
	       "LIMIT 1025",
	.params = 0,
};

static const struct jk_db_statement add_messages = {
	.name = "notify_add",
	.sql = "WITH put AS (INSERT INTO notify.message (message_id, rule_id, event_id, incident_id, county, category, severity)"
	       " SELECT * FROM unnest($1::uuid[], $2::int4[], $3::uuid[], $4::uuid[], $5::text[], $6::int2[], $7::int2[])"
	       " ON CONFLICT (rule_id, incident_id, county) DO NOTHING RETURNING 1) SELECT count(*) FROM put",
	.params = 7,
};
/* For the connection that sends: a plan kept from when the tables were small would go on reading all of them. */
static const struct jk_db_statement plan_anew = {
	.name = "notify_plan_anew", .sql = "SELECT set_config('plan_cache_mode', 'force_custom_plan', false)", .params = 0};
static const struct jk_db_statement read_targets = {
	.name = "notify_targets",
	.sql = "SELECT rule_id, desk_id, revoked_at IS NOT NULL, url, secret_file,"
	       " (SELECT count(*) FROM (SELECT FROM notify.message WHERE state = 'PENDING' LIMIT 100000) waiting)"
	       " FROM notify.rule r WHERE revoked_at IS NULL OR EXISTS"
	       " (SELECT FROM notify.message m WHERE m.rule_id = r.rule_id AND m.state = 'PENDING') ORDER BY rule_id LIMIT 1024",
	.params = 0,
};
/* SKIP LOCKED and the lease let two senders share the work. attempt_no goes on where a requeue began anew. */
static const struct jk_db_statement claim_messages = {
	.name = "notify_claim",
	.sql = "WITH due AS (SELECT m.message_id FROM unnest($1::int4[], $2::int4[]) AS r (rule_id, room) CROSS JOIN LATERAL"
	       " (SELECT k.message_id FROM notify.message k WHERE k.rule_id = r.rule_id AND k.state = 'PENDING'"
	       " AND k.next_attempt_at <= now() ORDER BY k.next_attempt_at LIMIT r.room FOR UPDATE SKIP LOCKED) m),"
	       " claimed AS (UPDATE notify.message m SET attempts = m.attempts + 1,"
	       " next_attempt_at = now() + $3::int8 * interval '1 second'"
	       " FROM due WHERE m.message_id = due.message_id RETURNING m.*),"
	       " tried AS (INSERT INTO notify.attempt (message_id, attempt_no) SELECT c.message_id,"
	       " 1 + coalesce((SELECT max(a.attempt_no) FROM notify.attempt a WHERE a.message_id = c.message_id), 0)"
	       " FROM claimed c RETURNING message_id, attempt_no)"
	       " SELECT c.message_id, c.event_id, c.incident_id, c.rule_id, c.county, c.category, c.severity, c.attempts,"
	       " t.attempt_no, e.recorded_at, e.body FROM claimed c JOIN tried t USING (message_id) LEFT JOIN LATERAL"
	       " (SELECT k.recorded_at, k.body FROM feed.event k WHERE k.event_id = c.event_id AND k.stream = c.county LIMIT 1) e"
	       " ON true",
	.params = 3,
};
/* An acceptance stands whoever reports it; anything else only while no later attempt has been claimed. */
static const struct jk_db_statement record_messages = {
	.name = "notify_record",
	.sql = "UPDATE notify.message m SET state = u.state, last_error = u.reason,"
	       " next_attempt_at = now() + u.delay_ms * interval '1 millisecond'"
	       " FROM unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[], $5::text[]) AS u (id, attempts, state, delay_ms, "
	       "reason)"
	       " WHERE m.message_id = u.id AND m.state = 'PENDING' AND (u.state = 'ACCEPTED' OR m.attempts = u.attempts)",
	.params = 5,
};
static const struct jk_db_statement record_attempts = {
	.name = "notify_record_attempts",
	.sql = "UPDATE notify.attempt a SET http_status = nullif(u.status, 0), error = u.error, uncertain = u.uncertain"
	       " FROM unnest($1::uuid[], $2::int4[], $3::int4[], $4::text[], $5::bool[]) AS u (id, attempt_no, status, error, "
	       "uncertain)"
	       " WHERE a.message_id = u.id AND a.attempt_no = u.attempt_no",
	.params = 5,
};

/* A column's text into a field; "" when it does not fit, rather than something cut. */
static void read_text(char *ret, size_t capacity, const PGresult *result, int row, int column)
{
	const char *text = jk_db_get_bytes(result, row, column, NULL);
	if (!jk_text_copy(ret, capacity, text ? text : ""))
		ret[0] = '\0';
}

size_t notify_store_read_rules(
	const PGresult *result, struct notify_rule *ret_rules, bool *ret_cut, int64_t *ret_registry_version)
{
	size_t count = (size_t)PQntuples(result);
	*ret_registry_version = count > 0 ? jk_db_get_int(result, 0, 7) : 0;
	*ret_cut = count > NOTIFY_RULES_MAX;
	if (*ret_cut)
		count = NOTIFY_RULES_MAX;
	for (size_t i = 0; i < count; i++) {
		struct notify_rule *rule = &ret_rules[i];
		*rule = (struct notify_rule){
			.rule_id = (int32_t)jk_db_get_int(result, (int)i, 0),
			.desk_id = (int32_t)jk_db_get_int(result, (int)i, 1),
			.category = (int)jk_db_get_int(result, (int)i, 3),
			.minimum_severity = (int)jk_db_get_int(result, (int)i, 4),
			.include_test = jk_db_get_int(result, (int)i, 5) != 0,
			.added_at_us = jk_db_get_time_us(result, (int)i, 6),
		};
		read_text(rule->county, sizeof rule->county, result, (int)i, 2);
	}
	return count;
}

void notify_store_reset_messages(struct notify_store_messages *messages)
{
	static const unsigned oids[NOTIFY_MESSAGE_COLUMNS] = {
		JK_OID_UUID, JK_OID_INT4, JK_OID_UUID, JK_OID_UUID, JK_OID_TEXT, JK_OID_INT2, JK_OID_INT2};
	for (size_t i = 0; i < NOTIFY_MESSAGE_COLUMNS; i++)
		jk_db_array_reset(&messages->columns[i], oids[i]);
	messages->count = 0;
}

void notify_store_add_message(struct notify_store_messages *messages, const struct notify_message *message)
{
	struct jk_db_array *column = messages->columns;
	jk_db_array_add_id(column++, &message->message_id);
	jk_db_array_add_int(column++, message->rule_id);
	jk_db_array_add_id(column++, &message->event_id);
	jk_db_array_add_id(column++, &message->incident_id);
	jk_db_array_add_text(column++, message->county);
	jk_db_array_add_int(column++, message->category);
	jk_db_array_add_int(column++, message->severity);
	messages->count++;
}

size_t notify_store_add_step(struct notify_store_messages *messages, struct jk_db_step *ret_step)
{
	if (messages->count == 0)
		return 0;
	*ret_step = (struct jk_db_step){.statement = &add_messages};
	for (int i = 0; i < NOTIFY_MESSAGE_COLUMNS; i++)
		jk_db_bind_array(ret_step, i, &messages->columns[i]);
	return 1;
}

size_t notify_store_added(const PGresult *result)
{
	return PQntuples(result) == 1 ? (size_t)jk_db_get_int(result, 0, 0) : 0;
}

void notify_store_done_messages(struct notify_store_messages *messages)
{
	for (size_t i = 0; i < NOTIFY_MESSAGE_COLUMNS; i++)
		jk_db_array_done(&messages->columns[i]);
}

void notify_store_targets_steps(struct jk_db_step ret_steps[NOTIFY_TARGETS_STEPS])
{
	ret_steps[0] = (struct jk_db_step){.statement = &read_targets};
	ret_steps[1] = (struct jk_db_step){.statement = &plan_anew};
}

size_t notify_store_count_targets(const PGresult *result)
{
	return (size_t)PQntuples(result);
}

void notify_store_read_target(const PGresult *result, int row, struct notify_target *ret_target)
{
	*ret_target = (struct notify_target){
		.rule_id = (int32_t)jk_db_get_int(result, row, 0),
		.desk_id = (int32_t)jk_db_get_int(result, row, 1),
		.revoked = jk_db_get_int(result, row, 2) != 0,
	};
	read_text(ret_target->url, sizeof ret_target->url, result, row, 3);
	read_text(ret_target->secret_file, sizeof ret_target->secret_file, result, row, 4);
}

int64_t notify_store_read_pending(const PGresult *result)
{
	return PQntuples(result) > 0 ? jk_db_get_int(result, 0, 5) : 0;
}

void notify_store_claim_step(struct notify_store_claim *claim, const int32_t *rule_ids, const int *rooms, size_t count,
	int lease_s, struct jk_db_step *ret_step)
{
	jk_db_array_reset(&claim->rule_ids, JK_OID_INT4);
	jk_db_array_reset(&claim->rooms, JK_OID_INT4);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_int(&claim->rule_ids, rule_ids[i]);
		jk_db_array_add_int(&claim->rooms, rooms[i]);
	}
	*ret_step = (struct jk_db_step){.statement = &claim_messages};
	jk_db_bind_array(ret_step, 0, &claim->rule_ids);
	jk_db_bind_array(ret_step, 1, &claim->rooms);
	jk_db_bind_int8(ret_step, 2, &claim->lease_s, lease_s);
}

void notify_store_read_claimed(const PGresult *result, int row, struct notify_claimed *ret)
{
	*ret = (struct notify_claimed){
		.message =
			{
				.message_id = jk_db_get_id(result, row, 0),
				.event_id = jk_db_get_id(result, row, 1),
				.incident_id = jk_db_get_id(result, row, 2),
				.rule_id = (int32_t)jk_db_get_int(result, row, 3),
				.category = (int)jk_db_get_int(result, row, 5),
				.severity = (int)jk_db_get_int(result, row, 6),
			},
		.attempts = (int)jk_db_get_int(result, row, 7),
		.attempt_no = (int)jk_db_get_int(result, row, 8),
		.recorded_at_us = jk_db_get_time_us(result, row, 9),
	};
	read_text(ret->message.county, sizeof ret->message.county, result, row, 4);
	ret->body = jk_db_get_bytes(result, row, 10, &ret->body_size);
}

void notify_store_done_claim(struct notify_store_claim *claim)
{
	jk_db_array_done(&claim->rule_ids);
	jk_db_array_done(&claim->rooms);
}

static void bind_columns(struct jk_db_step *ret_step, const struct jk_db_statement *statement, struct notify_store_ended *store,
	const int *columns)
{
	*ret_step = (struct jk_db_step){.statement = statement};
	for (int i = 0; i < statement->params; i++)
		jk_db_bind_array(ret_step, i, &store->columns[columns[i]]);
}

void notify_store_record_steps(struct notify_store_ended *store, const struct notify_ended *ended, size_t count,
	struct jk_db_step ret_steps[NOTIFY_RECORD_STEPS])
{
	enum { ID, ATTEMPTS, STATE, DELAY, REASON, NUMBER, STATUS, ERROR_TEXT, UNCERTAIN };
	static const unsigned oids[NOTIFY_ENDED_COLUMNS] = {JK_OID_UUID, JK_OID_INT4, JK_OID_TEXT, JK_OID_INT8, JK_OID_TEXT,
		JK_OID_INT4, JK_OID_INT4, JK_OID_TEXT, JK_OID_BOOL};
	static const int of_messages[] = {ID, ATTEMPTS, STATE, DELAY, REASON};
	static const int of_attempts[] = {ID, NUMBER, STATUS, ERROR_TEXT, UNCERTAIN};
	struct jk_db_array *columns = store->columns;
	for (size_t i = 0; i < NOTIFY_ENDED_COLUMNS; i++)
		jk_db_array_reset(&columns[i], oids[i]);
	for (size_t i = 0; i < count; i++) {
		jk_db_array_add_id(&columns[ID], &ended[i].message_id);
		jk_db_array_add_int(&columns[ATTEMPTS], ended[i].attempts);
		jk_db_array_add_text(&columns[STATE], notify_rules_state_name(ended[i].next.state));
		jk_db_array_add_int(&columns[DELAY], ended[i].next.delay_ms);
		jk_db_array_add_text(&columns[REASON], ended[i].next.reason);
		jk_db_array_add_int(&columns[NUMBER], ended[i].attempt_no);
		jk_db_array_add_int(&columns[STATUS], ended[i].result.http_status);
		jk_db_array_add_text(&columns[ERROR_TEXT], ended[i].result.error);
		jk_db_array_add_int(&columns[UNCERTAIN], ended[i].result.uncertain);
	}
	bind_columns(&ret_steps[0], &record_messages, store, of_messages);
	bind_columns(&ret_steps[1], &record_attempts, store, of_attempts);
}

void notify_store_done_ended(struct notify_store_ended *store)
{
	for (size_t i = 0; i < NOTIFY_ENDED_COLUMNS; i++)
		jk_db_array_done(&store->columns[i]);
}
