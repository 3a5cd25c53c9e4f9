/* Agreements out of a real PostgreSQL (JUKWAA_TEST_PG, a superuser's connection string; skipped without): what both have signed
 * is in force within a second, and so is what either takes back; rows that somebody has bent close theirs alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <poll.h>

#include "base/jk_time.h"
#include "db/db.h"
#include "pact_rows.h"

enum { TIMEOUT_MS = 5000, IN_FORCE_MS = 1000, NPS = 1, KRCS = 2 };

static struct jk_db *db;
static struct jk_registry_watch *watch;
static struct pact_rows pacts;
static struct jk_key keys[3];
static size_t acts_written; /* of pacts.acts */

#define SQL(label, text) static const struct jk_db_statement label = {.name = #label, .sql = text}
#define SQL_WITH(label, count, text) static const struct jk_db_statement label = {.name = #label, .params = (count), .sql = text}
SQL(add_agencies, "INSERT INTO registry.agency (code, name) VALUES ('NPS', 'Police'), ('KRCS', 'Red Cross')");
SQL(add_desk, "INSERT INTO registry.desk (code, agency_id, name) SELECT 'KRCS-047', agency_id, 'Nairobi' FROM registry.agency"
	      " WHERE code = 'KRCS'");
SQL_WITH(add_key, 3,
	"INSERT INTO registry.key (curve_key, sign_key, role, realm, agency_id, may_sign)"
	" VALUES ($1, $2, 'PUBLISHER', 'LIVE', $3::int8::integer, true)");
SQL_WITH(add_pact, 1, "INSERT INTO registry.pact (kind, code) VALUES ('AGREEMENT', convert_from($1, 'UTF8'))");
SQL_WITH(add_version, 3,
	"INSERT INTO registry.pact_version (pact_id, version, document, digest)"
	" SELECT $1::int8::integer, $2::int8::integer, convert_from($3, 'UTF8'), sha256($3)");
SQL_WITH(add_act, 9,
	"INSERT INTO registry.act (pact_id, version, act_no, act, agency_id, at, statement, sign_key, signature)"
	" SELECT $1::int8::integer, $2::int8::integer, $3::int8::integer, convert_from($4, 'UTF8'), $5::int8::integer,"
	" 'epoch'::timestamptz + $6::int8 * interval '1 microsecond', convert_from($7, 'UTF8'), $8, $9");
SQL(bend_document, "UPDATE registry.pact_version SET document = replace(document, 'COARSE_PLACE', 'FULL') WHERE pact_id = 1");
SQL(mend_document, "UPDATE registry.pact_version SET document = replace(document, 'FULL', 'COARSE_PLACE') WHERE pact_id = 1");
SQL(drop_last_act, "DELETE FROM registry.act WHERE pact_id = 2 AND act_no = 3");
SQL(revoke_key, "UPDATE registry.key SET revoked_at = clock_timestamp() WHERE agency_id = 2");
SQL(backdate_revocation, "UPDATE registry.key SET revoked_at = 'epoch' WHERE agency_id = 2");

static void run_step(const struct jk_db_step *step)
{
	if (jk_db_run(db, step, 1, TIMEOUT_MS, NULL, NULL) != JK_OK)
		fail_msg("%s: %s", step->statement->name, jk_db_last_error(db));
}

static void run(const struct jk_db_statement *statement)
{
	const struct jk_db_step step = {.statement = statement};

	run_step(&step);
}

/* ---- rows into tables ---- */

static void write_key(int agency_id)
{
	struct jk_db_step step = {.statement = &add_key};
	struct jk_db_int8 agency;

	jk_key_new(&keys[agency_id]);
	jk_db_bind_bytes(&step, 0, keys[agency_id].curve_public, sizeof keys[agency_id].curve_public);
	jk_db_bind_bytes(&step, 1, keys[agency_id].sign_public, sizeof keys[agency_id].sign_public);
	jk_db_bind_int8(&step, 2, &agency, agency_id);
	run_step(&step);
}

static void write_pact(const char *code, const struct jk_pact_version_row *version)
{
	struct jk_db_step pact = {.statement = &add_pact}, step = {.statement = &add_version};
	struct jk_db_int8 numbers[2];

	jk_db_bind_bytes(&pact, 0, code, strlen(code));
	run_step(&pact);
	jk_db_bind_int8(&step, 0, &numbers[0], version->pact_id);
	jk_db_bind_int8(&step, 1, &numbers[1], version->version);
	jk_db_bind_bytes(&step, 2, version->document, strlen(version->document));
	run_step(&step);
}

static void write_act(const struct jk_act_row *act)
{
	struct jk_db_step step = {.statement = &add_act};
	struct jk_db_int8 numbers[5];
	const char *name = jk_words_name(&jk_pact_acts, (int)act->act);

	jk_db_bind_int8(&step, 0, &numbers[0], act->pact_id);
	jk_db_bind_int8(&step, 1, &numbers[1], act->version);
	jk_db_bind_int8(&step, 2, &numbers[2], act->act_no);
	jk_db_bind_bytes(&step, 3, name, strlen(name));
	jk_db_bind_int8(&step, 4, &numbers[3], act->agency_id);
	jk_db_bind_int8(&step, 5, &numbers[4], act->at_us);
	jk_db_bind_bytes(&step, 6, act->statement, strlen(act->statement));
	jk_db_bind_bytes(&step, 7, act->sign_key, sizeof act->sign_key);
	jk_db_bind_bytes(&step, 8, act->signature, sizeof act->signature);
	run_step(&step);
}

static void sign(enum jk_act act, int agency_id)
{
	const struct pact_signer by = {.agency_id = agency_id,
		.agency = agency_id == NPS ? "NPS" : "KRCS",
		.key = &keys[agency_id],
		.at_us = jk_time_now_us()};

	(void)pact_rows_sign(&pacts, 1, act, &by);
	for (; acts_written < pacts.act_count; acts_written++)
		write_act(&pacts.acts[acts_written]);
}

static void add_agreement(const char *code, const char *county)
{
	char json[1024];

	assert_true(jk_text_format(json, sizeof json,
		"{\"agreement\":\"%s\",\"version\":1,\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"NPS\",\"recipient\":\"KRCS\","
		"\"counties\":[\"%s\"],\"all_categories\":true,\"tlp_ceiling\":\"AMBER\",\"profile\":\"COARSE_PLACE@1\","
		"\"actions\":[\"VIEW\"],\"purpose\":\"relief\",\"legal_basis\":\"consent\",\"start\":\"2026-01-01T00:00:00Z\"}",
		code, county));
	(void)pact_rows_add(&pacts, JK_PACT_AGREEMENT, code, json);
	write_pact(code, &pacts.versions[pacts.version_count - 1]);
	sign(JK_ACT_PROPOSE, NPS);
}

/* ---- questions ---- */

static bool gets(const struct jk_registry *registry, const char *county)
{
	struct jk_label label = {.owner_agency_id = NPS,
		.categories = 1 << 5,
		.tlp = JK_TLP_AMBER,
		.scope = JK_SCOPE_PUBLIC,
		.status = JK_CAP_STATUS_ACTUAL};

	memcpy(label.county, county, sizeof label.county);
	return jk_registry_decide_desk(registry, &registry->desks[0], JK_USE_VIEW, &label, jk_time_now_us()).effect != JK_DENY;
}

/* Until the desk gets (or does not get) what is of this county; the limit is what a change may take. */
static void await(const char *county, bool wanted, size_t closed)
{
	int64_t until_ms = jk_time_mono_ms() + IN_FORCE_MS;
	bool as_wanted = false;

	while (!as_wanted && jk_time_mono_ms() < until_ms) {
		const struct jk_registry *registry = jk_registry_acquire(watch);

		as_wanted = gets(registry, county) == wanted && registry->closed_count == closed;
		jk_registry_release(watch, &registry);
		if (!as_wanted)
			poll(NULL, 0, 5);
	}
	assert_true(as_wanted);
}

static void what_both_sign_is_in_force_within_a_second(void **state)
{
	(void)state;
	add_agreement("A", "047");
	await("047", false, 0);
	sign(JK_ACT_ACCEPT, KRCS);
	await("047", true, 0);
	await("001", false, 0);
}

static void what_either_suspends_is_over_within_a_second(void **state)
{
	(void)state;
	add_agreement("B", "001");
	sign(JK_ACT_ACCEPT, KRCS);
	await("001", true, 0);
	sign(JK_ACT_SUSPEND, KRCS);
	await("001", false, 0);
	await("047", true, 0);
}

/* Somebody with access to the tables cannot widen one; taking away the newest act is what heads and witnesses find. */
static void a_bent_document_closes_that_agreement_alone(void **state)
{
	(void)state;
	run(&bend_document);
	await("047", false, 1);
	run(&drop_last_act);
	await("001", true, 1);
	run(&mend_document);
	await("047", true, 0);
}

/* Last: the key's agreements go with it when it was bad already at their time. */
static void a_key_revoked_later_leaves_what_it_signed(void **state)
{
	(void)state;
	run(&revoke_key);
	await("047", true, 0);
	run(&backdate_revocation);
	await("047", false, 2);
	await("001", false, 2);
}

static int open_all(void **state)
{
	(void)state;
	pact_rows_init(&pacts);
	if (jk_db_open(getenv("JUKWAA_TEST_PG"), "test", &db) != JK_OK)
		return -1;
	run(&add_agencies);
	run(&add_desk);
	write_key(NPS);
	write_key(KRCS);
	return jk_registry_watch_open(getenv("JUKWAA_TEST_PG"), "test", JK_REALM_LIVE, &watch) == JK_OK &&
			       jk_registry_version(watch) > 0
		       ? 0
		       : -1;
}

static int close_all(void **state)
{
	(void)state;
	jk_registry_watch_close(&watch);
	jk_db_close(&db);
	pact_rows_done(&pacts);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_both_sign_is_in_force_within_a_second),
		cmocka_unit_test(what_either_suspends_is_over_within_a_second),
		cmocka_unit_test(a_bent_document_closes_that_agreement_alone),
		cmocka_unit_test(a_key_revoked_later_leaves_what_it_signed),
	};

	if (getenv("JUKWAA_TEST_PG") == NULL) {
		fprintf(stderr, "skipped: needs JUKWAA_TEST_PG\n");
		return 77;
	}
	return cmocka_run_group_tests_name("agreements out of the database", tests, open_all, close_all);
}
