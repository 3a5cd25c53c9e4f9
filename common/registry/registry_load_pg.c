/* registry_load_pg.c: all SQL of the registry's readers. */
#include "registry/registry_load_pg.h"

#include <string.h>

enum { LOAD_TIMEOUT_MS = 2000, ROWS_MAX_BYTES = 64 * 1024 * 1024 };

static const struct jk_db_statement state_statement = {
	.name = "registry_state",
	.sql = "SELECT version, coalesce((SELECT max(number) FROM meta.migration), 0)::int8,"
	       " coalesce((SELECT realm FROM meta.realm), '') FROM registry.version",
};

/* Each statement sees the database at its own moment. The version is therefore read first and last: where both agree, nothing
 * was changed in between, because every change moves it in its own transaction. */
enum load_step {
	LOAD_BEFORE,
	LOAD_KEYS,
	LOAD_SENDERS,
	LOAD_ALLOW,
	LOAD_PACTS,
	LOAD_VERSIONS,
	LOAD_ACTS,
	LOAD_DESKS,
	LOAD_AGENCIES,
	LOAD_COUNTIES,
	LOAD_BORDERS,
	LOAD_CONSTITUENCIES,
	LOAD_ALIASES,
	LOAD_DUTY_RULES,
	LOAD_DUTY_DESKS,
	LOAD_ESCALATIONS,
	LOAD_AFTER,
	LOAD_STEPS
};
static const struct jk_db_statement load_statements[LOAD_AFTER] = {
	[LOAD_KEYS] = {.name = "registry_keys",
		.sql = "SELECT curve_key, key_id, agency_id, coalesce(desk_id, -1), role, realm, revoked_at IS NOT NULL, "
		       "rate_limit, sign_key, may_sign, revoked_at, valid_from, expires_at FROM registry.key"},
	[LOAD_SENDERS] = {.name = "registry_senders",
		.sql = "SELECT key_id, unnest(cap_senders) FROM registry.key WHERE cap_senders <> '{}'"},
	/* Rows that never apply stay out, and so does an end at the epoch, which would read as "open". */
	[LOAD_ALLOW] = {.name = "registry_allow",
		.sql = "SELECT allow_id, desk_id, coalesce(agency_id, -1), coalesce(county, ''), coalesce(category, 0), "
		       "tlp_ceiling,"
		       " valid_from, valid_until FROM registry.allow"
		       " WHERE revoked_at IS NULL AND (valid_until IS NULL OR valid_until > 'epoch')"},
	[LOAD_PACTS] = {.name = "registry_pacts", .sql = "SELECT pact_id, kind, code FROM registry.pact ORDER BY pact_id"},
	[LOAD_VERSIONS] = {.name = "registry_pact_versions",
		.sql = "SELECT pact_id, version, document FROM registry.pact_version ORDER BY pact_id, version"},
	[LOAD_ACTS] = {.name = "registry_acts",
		.sql = "SELECT t.pact_id, t.version, t.act_no, t.act, t.agency_id, a.code, t.at, t.statement, t.sign_key,"
		       " t.signature, t.added_at FROM registry.act t JOIN registry.agency a USING (agency_id)"
		       " ORDER BY t.pact_id, t.act_no"},
	[LOAD_DESKS] = {.name = "registry_desks",
		.sql = "SELECT desk_id, agency_id, code, revoked_at IS NOT NULL FROM registry.desk"},
	[LOAD_AGENCIES] = {.name = "registry_agencies",
		.sql = "SELECT agency_id, code, strict, refuse_expired, revoked_at IS NOT NULL, agreements_only, "
		       "require_signature"
		       " FROM registry.agency"},
	[LOAD_COUNTIES] = {.name = "registry_counties", .sql = "SELECT county, iso_3166_2 FROM registry.county"},
	[LOAD_BORDERS] = {.name = "registry_borders", .sql = "SELECT county, neighbour FROM registry.neighbour"},
	[LOAD_CONSTITUENCIES] = {.name = "registry_constituencies",
		.sql = "SELECT county, constituency FROM registry.constituency"},
	[LOAD_ALIASES] = {.name = "registry_aliases", .sql = "SELECT county, alias FROM registry.county_alias"},
	[LOAD_DUTY_RULES] = {.name = "registry_duty_rules",
		.sql = "SELECT rule_id, rank, discipline, categories, severity_floor, urgency_floor, coalesce(county, ''),"
		       " answer_s, again_s FROM registry.duty_rule WHERE revoked_at IS NULL"},
	[LOAD_DUTY_DESKS] = {.name = "registry_duty_desks",
		.sql = "SELECT county, discipline, rank, desk_id FROM registry.duty_desk WHERE revoked_at IS NULL"},
	[LOAD_ESCALATIONS] = {.name = "registry_escalations",
		.sql = "SELECT escalation_id, role, severity_floor, coalesce(county, ''), after_s, again_s, desk_id"
		       " FROM registry.escalation WHERE revoked_at IS NULL"},
};

/* What the callback of a job has to fill. */
struct load {
	struct registry_state before, after;
	struct jk_registry *registry;
	struct jk_arena *arena; /* row arrays; their texts lie in the results */
	struct registry_known *known;
	struct jk_refusal refusal;
	bool broken;
	const struct jk_db *db;
	char *problem;
};

static void write_problem(const struct load *load, const struct jk_db_outcome *outcome)
{
	char trouble[JK_DB_TROUBLE_BYTES];

	if (outcome != NULL && (strcmp(outcome->sqlstate, "42P01") == 0 || strcmp(outcome->sqlstate, "3F000") == 0))
		(void)jk_text_copy(load->problem, REGISTRY_PROBLEM_BYTES,
			"SCHEMA_MISSING: the database has no Jukwaa schema yet: run jukwaa admin migrate");
	else if (jk_db_trouble(load->db, trouble) != JK_DB_FINE)
		(void)jk_text_copy(load->problem, REGISTRY_PROBLEM_BYTES, trouble);
	else
		(void)jk_text_format(load->problem, REGISTRY_PROBLEM_BYTES, "REGISTRY_NOT_READ: %s",
			outcome != NULL && outcome->message != NULL ? outcome->message : jk_db_last_error(load->db));
}

static const char *text_at(const PGresult *result, int row, int column)
{
	size_t size;
	const char *text = jk_db_get_bytes(result, row, column, &size);

	return text == NULL ? "" : text;
}

static int word_at(const struct jk_words *words, const PGresult *result, int row, int column)
{
	int number = jk_words_number(words, text_at(result, row, column));

	return number < 0 ? 0 : number;
}

static void read_state(const PGresult *result, struct registry_state *ret)
{
	*ret = (struct registry_state){0};
	if (PQntuples(result) != 1)
		return;
	ret->version = jk_db_get_int(result, 0, 0);
	ret->schema = jk_db_get_int(result, 0, 1);
	ret->realm = (enum jk_realm)word_at(&jk_realms, result, 0, 2);
}

/* Array for the rows of one result; counts lack of memory as broken. */
static void *rows_for(struct load *load, const PGresult *result, size_t size, size_t *ret_count)
{
	void *rows;

	*ret_count = (size_t)PQntuples(result);
	rows = jk_arena_alloc(load->arena, (*ret_count + 1) * size);
	if (rows == NULL) {
		*ret_count = 0;
		load->broken = true;
		(void)jk_refuse(&load->refusal, JK_CODE_UNAVAILABLE, "", "no memory for the registry's rows");
	}
	return rows;
}

/* Of exactly this size; else it stays as it is, zero. */
static void read_bytes(const PGresult *result, int row, int column, void *ret, size_t size)
{
	size_t found;
	const void *bytes = jk_db_get_bytes(result, row, column, &found);

	if (bytes != NULL && found == size)
		memcpy(ret, bytes, size);
}

static void read_keys(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_key_row *keys = rows_for(load, result, sizeof *keys, &rows->key_count);

	for (int i = 0; i < (int)rows->key_count; i++) {
		read_bytes(result, i, 0, keys[i].curve_key, sizeof keys[i].curve_key);
		keys[i].key_id = (int32_t)jk_db_get_int(result, i, 1);
		keys[i].agency_id = (int32_t)jk_db_get_int(result, i, 2);
		keys[i].desk_id = (int32_t)jk_db_get_int(result, i, 3);
		keys[i].role = (enum jk_role)word_at(&jk_roles, result, i, 4);
		keys[i].realm = (enum jk_realm)word_at(&jk_realms, result, i, 5);
		keys[i].revoked = jk_db_get_int(result, i, 6) != 0;
		keys[i].rate_limit = (int32_t)jk_db_get_int(result, i, 7);
		read_bytes(result, i, 8, keys[i].sign_key, sizeof keys[i].sign_key);
		keys[i].may_sign = jk_db_get_int(result, i, 9) != 0;
		keys[i].revoked_at_us = jk_db_get_time_us(result, i, 10);
		keys[i].valid_from_us = jk_db_get_time_us(result, i, 11);
		keys[i].expires_at_us = jk_db_get_time_us(result, i, 12);
	}
	rows->keys = keys;
}

static void read_senders(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_sender_row *senders = rows_for(load, result, sizeof *senders, &rows->sender_count);

	for (int i = 0; i < (int)rows->sender_count; i++)
		senders[i] = (struct registry_sender_row){
			.key_id = (int32_t)jk_db_get_int(result, i, 0), .sender = text_at(result, i, 1)};
	rows->senders = senders;
}

static void read_allow(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_allow_row *allow = rows_for(load, result, sizeof *allow, &rows->allow_count);

	for (int i = 0; i < (int)rows->allow_count; i++) {
		allow[i] = (struct registry_allow_row){
			.allow_id = (int32_t)jk_db_get_int(result, i, 0),
			.desk_id = (int32_t)jk_db_get_int(result, i, 1),
			.owner_agency_id = (int32_t)jk_db_get_int(result, i, 2),
			.category = (uint8_t)jk_db_get_int(result, i, 4),
			.tlp_ceiling = (enum jk_tlp)jk_db_get_int(result, i, 5),
			.valid_from_us = jk_db_get_time_us(result, i, 6),
			.valid_until_us = jk_db_get_time_us(result, i, 7),
		};
		(void)jk_text_copy(allow[i].county, sizeof allow[i].county, text_at(result, i, 3));
	}
	rows->allow = allow;
}

static void read_pacts(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_pact_row *pacts = rows_for(load, result, sizeof *pacts, &rows->pact_count);

	for (int i = 0; i < (int)rows->pact_count; i++)
		pacts[i] = (struct registry_pact_row){.pact_id = (int32_t)jk_db_get_int(result, i, 0),
			.kind = (enum jk_pact_kind)word_at(&jk_pact_kinds, result, i, 1),
			.code = text_at(result, i, 2)};
	rows->pacts = pacts;
}

static void read_versions(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct jk_pact_version_row *versions = rows_for(load, result, sizeof *versions, &rows->version_count);

	for (int i = 0; i < (int)rows->version_count; i++)
		versions[i] = (struct jk_pact_version_row){.pact_id = (int32_t)jk_db_get_int(result, i, 0),
			.version = (uint32_t)jk_db_get_int(result, i, 1),
			.document = text_at(result, i, 2)};
	rows->versions = versions;
}

static void read_acts(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct jk_act_row *acts = rows_for(load, result, sizeof *acts, &rows->act_count);
	int64_t *added_at_us = rows_for(load, result, sizeof *added_at_us, &rows->act_count);

	for (int i = 0; i < (int)rows->act_count; i++) {
		struct jk_act_row *act = &acts[i];

		act->pact_id = (int32_t)jk_db_get_int(result, i, 0);
		act->version = (uint32_t)jk_db_get_int(result, i, 1);
		act->act_no = (int)jk_db_get_int(result, i, 2);
		act->act = (enum jk_act)word_at(&jk_pact_acts, result, i, 3);
		act->agency_id = (int32_t)jk_db_get_int(result, i, 4);
		(void)jk_text_copy(act->agency, sizeof act->agency, text_at(result, i, 5));
		act->at_us = jk_db_get_time_us(result, i, 6);
		act->statement = text_at(result, i, 7);
		read_bytes(result, i, 8, act->sign_key, sizeof act->sign_key);
		read_bytes(result, i, 9, act->signature, sizeof act->signature);
		added_at_us[i] = jk_db_get_time_us(result, i, 10);
	}
	rows->acts = acts;
	rows->act_added_at_us = added_at_us;
}

static void read_desks(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct jk_desk *desks = rows_for(load, result, sizeof *desks, &rows->desk_count);

	for (int i = 0; i < (int)rows->desk_count; i++) {
		desks[i].desk_id = (int32_t)jk_db_get_int(result, i, 0);
		desks[i].agency_id = (int32_t)jk_db_get_int(result, i, 1);
		(void)jk_text_copy(desks[i].code, sizeof desks[i].code, text_at(result, i, 2));
		desks[i].revoked = jk_db_get_int(result, i, 3) != 0;
	}
	rows->desks = desks;
}

static void read_agencies(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct jk_agency *agencies = rows_for(load, result, sizeof *agencies, &rows->agency_count);

	for (int i = 0; i < (int)rows->agency_count; i++) {
		agencies[i].agency_id = (int32_t)jk_db_get_int(result, i, 0);
		(void)jk_text_copy(agencies[i].code, sizeof agencies[i].code, text_at(result, i, 1));
		agencies[i].strict = jk_db_get_int(result, i, 2) != 0;
		agencies[i].refuse_expired = jk_db_get_int(result, i, 3) != 0;
		agencies[i].revoked = jk_db_get_int(result, i, 4) != 0;
		agencies[i].agreements_only = jk_db_get_int(result, i, 5) != 0;
		agencies[i].require_signature = jk_db_get_int(result, i, 6) != 0;
	}
	rows->agencies = agencies;
}

static void read_counties(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	char(*counties)[JK_COUNTY_BYTES] = rows_for(load, result, sizeof *counties, &rows->county_count);

	for (int i = 0; i < (int)rows->county_count; i++)
		(void)jk_text_copy(counties[i], sizeof counties[i], text_at(result, i, 0));
	rows->counties = (const char(*)[JK_COUNTY_BYTES])counties;
}

static void read_borders(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_border *borders = rows_for(load, result, sizeof *borders, &rows->border_count);

	for (int i = 0; i < (int)rows->border_count; i++) {
		(void)jk_text_copy(borders[i].county, sizeof borders[i].county, text_at(result, i, 0));
		(void)jk_text_copy(borders[i].neighbour, sizeof borders[i].neighbour, text_at(result, i, 1));
	}
	rows->borders = borders;
}

/* Columns county, name. */
static void read_names(struct load *load, const PGresult *result, struct registry_names *ret)
{
	struct registry_name *items = rows_for(load, result, sizeof *items, &ret->count);

	for (int i = 0; i < (int)ret->count; i++) {
		(void)jk_text_copy(items[i].county, sizeof items[i].county, text_at(result, i, 0));
		items[i].name = text_at(result, i, 1);
	}
	ret->items = items;
}

static void read_duty_rules(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct jk_duty_rule *rules = rows_for(load, result, sizeof *rules, &rows->duty_rule_count);

	for (int i = 0; i < (int)rows->duty_rule_count; i++) {
		rules[i] = (struct jk_duty_rule){.rule_id = (int32_t)jk_db_get_int(result, i, 0),
			.rank = (int32_t)jk_db_get_int(result, i, 1),
			.categories = (uint16_t)jk_db_get_int(result, i, 3),
			.severity_floor = (uint8_t)jk_db_get_int(result, i, 4),
			.urgency_floor = (uint8_t)jk_db_get_int(result, i, 5),
			.answer_s = (int32_t)jk_db_get_int(result, i, 7),
			.again_s = (int32_t)jk_db_get_int(result, i, 8)};
		(void)jk_text_copy(rules[i].discipline, sizeof rules[i].discipline, text_at(result, i, 2));
		(void)jk_text_copy(rules[i].county, sizeof rules[i].county, text_at(result, i, 6));
	}
	rows->duty_rules = rules;
}

static void read_duty_desks(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_duty_desk_row *desks = rows_for(load, result, sizeof *desks, &rows->duty_desk_count);

	for (int i = 0; i < (int)rows->duty_desk_count; i++) {
		struct jk_duty_desk *duty = &desks[i].duty;

		(void)jk_text_copy(duty->county, sizeof duty->county, text_at(result, i, 0));
		(void)jk_text_copy(duty->discipline, sizeof duty->discipline, text_at(result, i, 1));
		duty->rank = (int32_t)jk_db_get_int(result, i, 2);
		desks[i].desk_id = (int32_t)jk_db_get_int(result, i, 3);
	}
	rows->duty_desks = desks;
}

static void read_escalations(struct load *load, const PGresult *result, struct registry_rows *rows)
{
	struct registry_escalation_row *escalations = rows_for(load, result, sizeof *escalations, &rows->escalation_count);

	for (int i = 0; i < (int)rows->escalation_count; i++) {
		struct jk_escalation *escalation = &escalations[i].escalation;

		escalation->escalation_id = (int32_t)jk_db_get_int(result, i, 0);
		escalation->role = (enum jk_escalation_role)word_at(&jk_escalation_roles, result, i, 1);
		escalation->severity_floor = (uint8_t)jk_db_get_int(result, i, 2);
		(void)jk_text_copy(escalation->county, sizeof escalation->county, text_at(result, i, 3));
		escalation->after_s = (int32_t)jk_db_get_int(result, i, 4);
		escalation->again_s = (int32_t)jk_db_get_int(result, i, 5);
		escalations[i].desk_id = (int32_t)jk_db_get_int(result, i, 6);
	}
	rows->escalations = escalations;
}

static void build_from(struct load *load, PGresult *const *results)
{
	struct registry_rows rows = {.version = load->before.version, .realm = load->before.realm, .known = load->known};

	registry_known_turn(load->known);

	read_keys(load, results[LOAD_KEYS], &rows);
	read_senders(load, results[LOAD_SENDERS], &rows);
	read_allow(load, results[LOAD_ALLOW], &rows);
	read_pacts(load, results[LOAD_PACTS], &rows);
	read_versions(load, results[LOAD_VERSIONS], &rows);
	read_acts(load, results[LOAD_ACTS], &rows);
	read_desks(load, results[LOAD_DESKS], &rows);
	read_agencies(load, results[LOAD_AGENCIES], &rows);
	read_counties(load, results[LOAD_COUNTIES], &rows);
	read_borders(load, results[LOAD_BORDERS], &rows);
	read_names(load, results[LOAD_COUNTIES], &rows.isos);
	read_names(load, results[LOAD_CONSTITUENCIES], &rows.constituencies);
	read_names(load, results[LOAD_ALIASES], &rows.aliases);
	read_duty_rules(load, results[LOAD_DUTY_RULES], &rows);
	read_duty_desks(load, results[LOAD_DUTY_DESKS], &rows);
	read_escalations(load, results[LOAD_ESCALATIONS], &rows);
	load->broken = load->broken || registry_build(&rows, &load->registry, &load->refusal) != JK_OK;
}

static void on_state(void *arg, const struct jk_db_outcome *outcome)
{
	struct load *load = arg;

	if (outcome->status != JK_OK)
		write_problem(load, outcome);
	else
		read_state(outcome->results[0], &load->before);
}

enum jk_status registry_load_state(struct jk_db *db, struct registry_state *ret, char ret_problem[REGISTRY_PROBLEM_BYTES])
{
	const struct jk_db_step step = {.statement = &state_statement};
	struct load load = {.db = db, .problem = ret_problem};
	enum jk_status status;

	ret_problem[0] = '\0';
	status = jk_db_run(db, &step, 1, LOAD_TIMEOUT_MS, on_state, &load);
	if (status != JK_OK && ret_problem[0] == '\0') /* the job could not even begin */
		write_problem(&load, NULL);
	*ret = load.before;
	/* A schema that is not there today may be migrated tomorrow. */
	return status == JK_OK ? JK_OK : JK_RETRY;
}

static void on_rows(void *arg, const struct jk_db_outcome *outcome)
{
	struct load *load = arg;

	if (outcome->status != JK_OK) {
		write_problem(load, outcome);
		return;
	}
	read_state(outcome->results[LOAD_BEFORE], &load->before);
	read_state(outcome->results[LOAD_AFTER], &load->after);
	if (load->before.version == load->after.version)
		build_from(load, outcome->results);
}

enum jk_status registry_load(struct jk_db *db, struct registry_known *known, struct jk_registry **ret_registry,
	char ret_problem[REGISTRY_PROBLEM_BYTES])
{
	struct jk_db_step steps[LOAD_STEPS];
	struct load load = {.db = db, .problem = ret_problem, .arena = jk_arena_new(ROWS_MAX_BYTES), .known = known};
	enum jk_status status = JK_RETRY;

	*ret_registry = NULL;
	ret_problem[0] = '\0';
	if (load.arena == NULL)
		return JK_RETRY;
	for (int i = LOAD_KEYS; i < LOAD_AFTER; i++)
		steps[i] = (struct jk_db_step){.statement = &load_statements[i]};
	steps[LOAD_BEFORE] = steps[LOAD_AFTER] = (struct jk_db_step){.statement = &state_statement};
	if (jk_db_run(db, steps, LOAD_STEPS, LOAD_TIMEOUT_MS, on_rows, &load) == JK_OK && load.registry != NULL)
		status = JK_OK;
	if (load.broken) {
		(void)jk_text_format(
			ret_problem, REGISTRY_PROBLEM_BYTES, "REGISTRY_BROKEN: %s: %s", load.refusal.field, load.refusal.reason);
		status = JK_BROKEN;
	}
	*ret_registry = load.registry;
	jk_arena_free(&load.arena);
	return status;
}
