/* jukwaa resource: help that agencies ask of each other. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "jukwaa/v1/unit.pb-c.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_work.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 64 * 1024 * 1024, COUNT_MAX = 1000 };

/* ,"count":N */
static bool add_count(const struct cli_work *work, struct jk_buffer *json)
{
	int64_t count;

	if (!work->count || !jk_text_to_int64(work->count, 1, COUNT_MAX, &count)) {
		cli_usage("resource", "--count is 1 to %d", COUNT_MAX);
		return false;
	}
	jk_buffer_printf(json, ",\"count\":%" PRId64, count);
	return true;
}

static bool write_request(const struct cli_work *work, struct jk_buffer *json)
{
	if (work->capability_count != 1) {
		cli_usage("resource", "--capability is wanted once, such as RESCUE_BOAT");
		return false;
	}
	jk_buffer_printf(json, ",\"ask\":{\"capability\":");
	jk_json_quote(json, work->capabilities[0]);
	cli_work_add(json, "incident_id", work->words[0]);
	if (work->by)
		cli_work_add(json, "needed_by_us", work->by);
	if (work->to)
		cli_work_add(json, "to_agency", work->to);
	if (!add_count(work, json))
		return false;
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_offer(const struct cli_work *work, struct jk_buffer *json)
{
	size_t start;

	cli_work_add(json, "aid_id", work->words[0]);
	jk_buffer_printf(json, ",\"offer\":");
	start = json->size;
	if (!add_count(work, json))
		return false;
	json->data[start] = '{';
	jk_buffer_printf(json, "}");
	return true;
}

/* ,"aid_id":"…","action":{…} */
static bool write_action(const struct cli_work *work, struct jk_buffer *json, const char *action)
{
	cli_work_add(json, "aid_id", work->words[0]);
	jk_buffer_printf(json, ",\"%s\":{", action);
	if (work->reason) {
		jk_buffer_printf(json, "\"reason\":");
		jk_json_quote(json, work->reason);
	}
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_commit(const struct cli_work *work, struct jk_buffer *json)
{
	return write_action(work, json, "commit");
}

static bool write_release(const struct cli_work *work, struct jk_buffer *json)
{
	return write_action(work, json, "release");
}

static bool write_return(const struct cli_work *work, struct jk_buffer *json)
{
	return write_action(work, json, "return_back");
}

static bool write_decline(const struct cli_work *work, struct jk_buffer *json)
{
	return write_action(work, json, "decline");
}

static bool write_withdraw(const struct cli_work *work, struct jk_buffer *json)
{
	return write_action(work, json, "withdraw");
}

static bool write_list(const struct cli_work *work, struct jk_buffer *json)
{
	char state[32];

	jk_buffer_printf(json, ",\"limit\":%" PRId64, work->limit);
	if (work->incident)
		cli_work_add(json, "incident_id", work->incident);
	if (work->state) {
		cli_work_upper(state, sizeof state, work->state);
		cli_work_add(json, "state", state);
	}
	return true;
}

static void print_id(const char *name, const ProtobufCBinaryData *bytes)
{
	char text[JK_ID_TEXT_BYTES];
	struct jk_id id;

	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(text, &id);
	printf("%s%s", name, text);
}

static void print_aid(const struct cli_work *work, const Jukwaa__V1__Aid *aid)
{
	const ProtobufCEnumValue *state =
		protobuf_c_enum_descriptor_get_value(&jukwaa__v1__aid_state__descriptor, (int)aid->state);
	static const char unnamed[] = "an agency that is not named"; /* an agreement hides it */
	char at[JK_TIME_BYTES];

	print_id("", &aid->aid_id);
	printf(" %s%-9s%s version %" PRIu32 "\n", cli_tone(work->cli, CLI_BOLD), state ? state->name + strlen("AID_STATE_") : "?",
		cli_tone(work->cli, CLI_PLAIN), aid->version);
	printf("  %" PRIu32 " x %s for %s", aid->count, aid->capability, *aid->requester ? aid->requester : unnamed);
	if (aid->offered)
		printf(", %" PRIu32 " offered by %s\n", aid->offered, *aid->giver ? aid->giver : unnamed);
	else
		printf(", of %s\n", *aid->giver ? aid->giver : "all who may answer");
	print_id("  incident ", &aid->incident_id);
	printf("\n");
	if (aid->needed_by_us) {
		jk_time_format(at, aid->needed_by_us);
		printf("  by %s\n", at);
	}
	if (*aid->reason) {
		printf("  ");
		cli_print_text(stdout, aid->reason, 0);
		printf("\n");
	}
}

static void print_aids(struct cli_work *work, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	struct jk_refusal refusal;
	const Jukwaa__V1__AidListed *listed =
		arena ? (const void *)jk_json_read(&jukwaa__v1__aid_listed__descriptor, json, strlen(json), arena, &refusal)
		      : NULL;

	for (size_t i = 0; listed && i < listed->n_aids; i++, work->printed++)
		print_aid(work, listed->aids[i]);
	jk_arena_free(&arena);
}

#define STEPS " --version --command-id "
static const struct cli_work_verb verbs[] = {
	{"request", "AidCommand", "INCIDENT", " --command-id --capability --count --by --to ", write_request, NULL, NULL},
	{"offer", "AidCommand", "ID", STEPS "--count ", write_offer, NULL, NULL},
	{"commit", "AidCommand", "ID", STEPS, write_commit, NULL, NULL},
	{"release", "AidCommand", "ID", STEPS, write_release, NULL, NULL},
	{"return", "AidCommand", "ID", STEPS, write_return, NULL, NULL},
	{"decline", "AidCommand", "ID", STEPS "--reason ", write_decline, NULL, NULL},
	{"withdraw", "AidCommand", "ID", STEPS "--reason ", write_withdraw, NULL, NULL},
	{"list", "AidList", "", " --incident --state --limit ", write_list, print_aids, "aids"},
	{0},
};

int cli_resource(const struct cli *cli, int argc, char **argv)
{
	return cli_work_run(cli, "resource", verbs, argc, argv);
}
