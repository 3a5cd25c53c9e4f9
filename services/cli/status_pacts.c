#include "services/cli/status_pacts.h"

#include <stdio.h>
#include <string.h>

#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "registry/registry.h"
#include "services/cli/pact_store_pg.h"
#include "json/json_map.h"

enum { BOOK_MAX_BYTES = 64 * 1024 * 1024, NOTICE_DAYS = 30, WARN_DAYS = 14, ALARM_DAYS = 3 };
static const int64_t day_us = INT64_C(86400000000);

static void print_warning(const struct cli *cli, const char *subject, const char *level, const char *about, const char *why)
{
	struct jk_buffer quoted = {0};
	enum cli_tone tone = strcmp(level, "ALARM") == 0 ? CLI_BAD : strcmp(level, "WARN") == 0 ? CLI_WARN : CLI_PLAIN;

	if (cli->json) {
		jk_json_quote(&quoted, why);
		printf("{\"part\":\"warning\",\"subject\":\"%s\",\"level\":\"%s\",\"about\":\"%s\",\"why\":%s}\n", subject, level,
			about, quoted.data ? quoted.data : "\"\"");
		jk_buffer_done(&quoted);
		return;
	}
	printf("warning   %s%s%s  %s%s%s  %s  ", cli_tone(cli, CLI_BOLD), subject, cli_tone(cli, CLI_PLAIN), cli_tone(cli, tone),
		level, cli_tone(cli, CLI_PLAIN), about);
	(void)cli_print_text(stdout, why, 0);
	printf("\n");
}

/* End of the version that holds; 0: none. */
static int64_t end_of(const struct pact_book *book, const struct jk_pact *pact, int version)
{
	struct jk_agreement agreement;
	struct jk_task_force task_force;
	struct jk_refusal ignored;
	const char *document = pact->versions[version].document;

	if (pact->kind == JK_PACT_AGREEMENT)
		return jk_agreement_read(document, book->arena, &agreement, &ignored) ? agreement.end_us : 0;
	return jk_task_force_read(document, book->arena, &task_force, &ignored) ? task_force.end_us : 0;
}

static void warn_of_end(const struct cli *cli, const struct pact_book *book, const char *subject, int64_t end_us)
{
	int64_t days = (end_us - book->now_us) / day_us;
	char when[JK_TIME_BYTES], why[80];

	if (end_us <= book->now_us || days >= NOTICE_DAYS)
		return;
	jk_time_format(when, end_us);
	(void)jk_text_format(why, sizeof why, "%s, in %d days", when, (int)days);
	print_warning(cli, subject, days < ALARM_DAYS ? "ALARM" : days < WARN_DAYS ? "WARN" : "NOTICE", "ENDS", why);
}

static bool has_signer(const struct pact_book *book, int32_t agency_id)
{
	for (size_t i = 0; i < book->signer_count; i++) {
		const struct pact_signer *signer = &book->signers[i];

		if (signer->agency_id == agency_id && pact_book_may_sign(signer, book->now_us))
			return true;
	}
	return false;
}

/* It can neither suspend nor accept: told once for each agency. */
static void warn_of_agency(const struct cli *cli, const struct pact_book *book, int32_t agency_id, bool *told, size_t told_count)
{
	char subject[64];

	if (agency_id < 0 || (size_t)agency_id >= told_count || told[agency_id] || has_signer(book, agency_id))
		return;
	told[agency_id] = true;
	for (size_t i = 0; i < book->signer_count; i++)
		if (book->signers[i].agency_id == agency_id) {
			(void)jk_text_format(subject, sizeof subject, "agency %s", book->signers[i].agency);
			print_warning(
				cli, subject, "WARN", "NO_SIGNING_KEY", "it has agreed, and no key of it may sign any more");
			return;
		}
}

static void warn_of_pacts(const struct cli *cli, struct pact_book *book)
{
	enum { AGENCIES_MAX = 4096 };
	bool told[AGENCIES_MAX] = {false};

	for (size_t i = 0; i < book->pact_count; i++) {
		struct jk_pact *pact = &book->pacts[i];
		struct jk_pact_state state;
		struct jk_refusal why;
		char subject[64];

		pact_book_decide(book, pact, &state, &why);
		(void)jk_text_format(subject, sizeof subject, "%s %s",
			pact->kind == JK_PACT_AGREEMENT ? "agreement" : "taskforce", pact->code);
		if (state.in_force < 0)
			continue;
		warn_of_end(cli, book, subject, end_of(book, pact, state.in_force));
		for (size_t k = 0; k < state.consented_count; k++)
			warn_of_agency(cli, book, state.consented[k], told, AGENCIES_MAX);
	}
}

/* NULL: it is of the other realm, or cannot be read. */
static struct jk_registry_watch *open_watch(const char *conninfo, enum jk_realm realm, const struct jk_registry **ret_registry)
{
	struct jk_registry_watch *watch;

	*ret_registry = NULL;
	if (jk_registry_watch_open(conninfo, "jukwaa status", realm, &watch) != JK_OK)
		return NULL;
	*ret_registry = jk_registry_acquire(watch);
	if (!*ret_registry)
		jk_registry_watch_close(&watch);
	return watch;
}

/* As every service holds them, having read the registry with all its signatures. */
static int show_closed(const struct cli *cli)
{
	const struct jk_registry *registry;
	struct jk_registry_watch *watch = open_watch(cli->database, JK_REALM_LIVE, &registry);
	int status = CLI_OK;

	if (!watch)
		watch = open_watch(cli->database, JK_REALM_EXERCISE, &registry);
	if (!watch)
		return CLI_OK; /* said by the services' own rows */
	for (size_t i = 0; i < registry->closed_count; i++) {
		const struct jk_closed_pact *pact = &registry->closed[i];
		char subject[64];

		(void)jk_text_format(subject, sizeof subject, "%s %s", pact->task_force ? "taskforce" : "agreement", pact->code);
		print_warning(cli, subject, "ALARM", "CLOSED", pact->reason);
		status = CLI_REFUSED;
	}
	jk_registry_release(watch, &registry);
	jk_registry_watch_close(&watch);
	return status;
}

int status_pacts_show(const struct cli *cli)
{
	int status = CLI_OK;
	struct jk_arena *arena = jk_crypt_init() == JK_OK ? jk_arena_new(BOOK_MAX_BYTES) : NULL;
	struct admin_store *store = arena ? admin_store_open(cli, 0, &status) : NULL;
	struct pact_book *book = store ? pact_store_load(store, arena, &status) : NULL;

	if (book) {
		warn_of_pacts(cli, book);
		status = show_closed(cli);
	}
	admin_store_close(&store);
	jk_arena_free(&arena);
	return status;
}
