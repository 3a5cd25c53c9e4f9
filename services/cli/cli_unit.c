/* jukwaa unit: the agency's units, their steps, and which of all is nearest. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "jukwaa/v1/unit.pb-c.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_work.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

/* ---- what is sent ----------------------------------------------------------------------------------------------- */

static void add_code(const struct cli_work *work, struct jk_buffer *json)
{
	cli_work_add(json, "code", work->words[0]);
}

static void add_reason(const struct cli_work *work, struct jk_buffer *json)
{
	if (work->reason)
		cli_work_add(json, "reason", work->reason);
}

/* ,"action":{"record":{…}} */
static bool write_record(const struct cli_work *work, struct jk_buffer *json, const char *action)
{
	add_code(work, json);
	if (!work->discipline) {
		cli_usage("unit", "--discipline is wanted, such as AMBULANCE");
		return false;
	}
	jk_buffer_printf(json, ",\"%s\":{\"record\":{\"discipline\":", action);
	jk_json_quote(json, work->discipline);
	cli_work_add_capabilities(json, work);
	if (work->county)
		cli_work_add(json, "county", work->county);
	if (work->desk)
		cli_work_add(json, "desk", work->desk);
	if (!cli_work_add_point(json, "unit", "base_point", work->at))
		return false;
	jk_buffer_printf(json, "}}");
	return true;
}

static bool write_add(const struct cli_work *work, struct jk_buffer *json)
{
	return write_record(work, json, "add");
}

static bool write_change(const struct cli_work *work, struct jk_buffer *json)
{
	return write_record(work, json, "change");
}

static bool write_position(const struct cli_work *work, struct jk_buffer *json)
{
	size_t start;

	add_code(work, json);
	jk_buffer_printf(json, ",\"position\":");
	start = json->size;
	if (!cli_work_add_point(json, "unit", "point", work->at))
		return false;
	json->data[start] = '{';
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_assign(const struct cli_work *work, struct jk_buffer *json)
{
	add_code(work, json);
	jk_buffer_printf(json, ",\"assign\":{\"incident_id\":");
	jk_json_quote(json, work->words[1]);
	add_reason(work, json);
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_advance(const struct cli_work *work, struct jk_buffer *json)
{
	char state[32];

	cli_work_upper(state, sizeof state, work->words[1]);
	add_code(work, json);
	jk_buffer_printf(json, ",\"advance\":{\"to\":");
	jk_json_quote(json, state);
	add_reason(work, json);
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_out(const struct cli_work *work, struct jk_buffer *json)
{
	add_code(work, json);
	jk_buffer_printf(json, ",\"out_of_service\":{\"reason\":");
	jk_json_quote(json, work->reason ? work->reason : "");
	jk_buffer_printf(json, "}");
	return true;
}

static bool write_in(const struct cli_work *work, struct jk_buffer *json)
{
	add_code(work, json);
	jk_buffer_printf(json, ",\"in_service\":{}");
	return true;
}

static bool write_remove(const struct cli_work *work, struct jk_buffer *json)
{
	add_code(work, json);
	jk_buffer_printf(json, ",\"remove\":{}");
	return true;
}

static bool write_list(const struct cli_work *work, struct jk_buffer *json)
{
	char state[32];

	jk_buffer_printf(json, ",\"limit\":%" PRId64, work->limit);
	if (work->state) {
		cli_work_upper(state, sizeof state, work->state);
		cli_work_add(json, "state", state);
	}
	if (work->discipline)
		cli_work_add(json, "discipline", work->discipline);
	if (work->words[0])
		add_code(work, json);
	return true;
}

static bool write_recommend(const struct cli_work *work, struct jk_buffer *json)
{
	jk_buffer_printf(json, ",\"limit\":%" PRId64, work->limit);
	cli_work_add(json, "incident_id", work->words[0]);
	if (work->discipline)
		cli_work_add(json, "discipline", work->discipline);
	cli_work_add_capabilities(json, work);
	return true;
}

static bool write_states(const struct cli_work *work, struct jk_buffer *json)
{
	(void)work;
	jk_buffer_printf(json, ",\"ladder\":true");
	return true;
}

/* ---- what is printed -------------------------------------------------------------------------------------------- */

static const char *state_name(Jukwaa__V1__UnitState state)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&jukwaa__v1__unit_state__descriptor, (int)state);

	return value ? value->name + strlen("UNIT_STATE_") : "?";
}

static void print_time(const char *name, int64_t time_us)
{
	char text[JK_TIME_BYTES];

	if (time_us == 0)
		return;
	jk_time_format(text, time_us / 1000000 * 1000000);
	printf("  %-14s %s\n", name, text);
}

static void print_id(const char *name, const ProtobufCBinaryData *bytes)
{
	char text[JK_ID_TEXT_BYTES];
	struct jk_id id;

	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(text, &id);
	printf("  %-14s %s\n", name, text);
}

static void print_capabilities(char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		printf("%s", i ? " " : "");
		cli_print_text(stdout, words[i], 0);
	}
	printf("\n");
}

static void print_unit(const struct cli_work *work, const Jukwaa__V1__Unit *unit)
{
	printf("%s%-14s%s %-14s ", cli_tone(work->cli, CLI_BOLD), unit->code, cli_tone(work->cli, CLI_PLAIN),
		state_name(unit->state));
	if (unit->record)
		printf("%-16s %-3s ", unit->record->discipline, unit->record->county);
	printf("version %" PRIu32 "\n", unit->version);
	print_id("incident", &unit->incident_id);
}

static void print_whole_unit(const struct cli_work *work, const Jukwaa__V1__Unit *unit)
{
	print_unit(work, unit);
	print_id("unit", &unit->unit_id);
	if (unit->record) {
		printf("  %-14s ", "capabilities");
		print_capabilities(unit->record->capabilities, unit->record->n_capabilities);
		if (unit->record->base_point)
			printf("  %-14s %.5f,%.5f\n", "base", unit->record->base_point->lat, unit->record->base_point->lon);
		if (*unit->record->desk)
			printf("  %-14s %s\n", "desk", unit->record->desk);
	}
	if (unit->position)
		printf("  %-14s %.5f,%.5f\n", "position", unit->position->lat, unit->position->lon);
	print_time("said at", unit->position_at_us);
	print_time("in this state", unit->state_at_us);
	print_time("dispatched", unit->dispatched_at_us);
	print_time("en route", unit->en_route_at_us);
	print_time("on scene", unit->on_scene_at_us);
	print_time("transporting", unit->transporting_at_us);
}

/* The answer as its message, in the arena; NULL: without memory. */
static const void *read_answer(const ProtobufCMessageDescriptor *type, const char *json, struct jk_arena *arena)
{
	struct jk_refusal refusal;

	return arena ? jk_json_read(type, json, strlen(json), arena, &refusal) : NULL;
}

static void print_units(struct cli_work *work, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	const Jukwaa__V1__UnitListed *listed = read_answer(&jukwaa__v1__unit_listed__descriptor, json, arena);

	for (size_t i = 0; listed && i < listed->n_units; i++, work->printed++)
		if (work->words[0])
			print_whole_unit(work, listed->units[i]);
		else
			print_unit(work, listed->units[i]);
	jk_arena_free(&arena);
}

static void print_ladder(struct cli_work *work, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	const Jukwaa__V1__UnitListed *listed = read_answer(&jukwaa__v1__unit_listed__descriptor, json, arena);

	for (size_t i = 0; listed && i < listed->n_ladder; i++, work->printed++) {
		const Jukwaa__V1__UnitRung *rung = listed->ladder[i];
		bool removed = rung->to == JUKWAA__V1__UNIT_STATE__UNIT_STATE_UNSPECIFIED;

		printf("%-14s %-9s -> %-14s %s%s\n", state_name(rung->from), rung->event,
			removed ? "(removed)" : state_name(rung->to), rung->wants_reason ? "with a reason; " : "",
			rung->told ? "told" : "");
	}
	jk_arena_free(&arena);
}

static void print_choice(const struct cli_work *work, const Jukwaa__V1__UnitChoice *choice)
{
	char age[24];

	printf("%s%-14s%s %-14s %-16s ", cli_tone(work->cli, CLI_BOLD), choice->code, cli_tone(work->cli, CLI_PLAIN),
		choice->agency, choice->discipline);
	if (choice->distance_present_case == JUKWAA__V1__UNIT_CHOICE__DISTANCE_PRESENT_DISTANCE_KM)
		printf("%.1f km ", choice->distance_km);
	printf("%s\n  by %s", choice->same_county ? "same county" : "", choice->allowed_by);
	if (choice->position_age_present_case == JUKWAA__V1__UNIT_CHOICE__POSITION_AGE_PRESENT_POSITION_AGE_S) {
		cli_format_age(age, choice->position_age_s);
		printf("; position %s old", age);
	}
	printf("\n");
}

static void print_nearest(struct cli_work *work, const char *json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	const Jukwaa__V1__UnitRecommended *told = read_answer(&jukwaa__v1__unit_recommended__descriptor, json, arena);

	for (size_t i = 0; told && i < told->n_choices; i++)
		print_choice(work, told->choices[i]);
	if (told && told->order == JUKWAA__V1__UNIT_ORDER__UNIT_ORDER_COUNTY)
		printf("The incident's point is not known here: units of its counties come first.\n");
	if (told)
		printf("Not shown: %" PRIu32 " further away, %" PRIu32 " busy, %" PRIu32 " out of service, %" PRIu32
		       " lack a\ncapability, %" PRIu32 " may not be sent there.\n",
			told->further, told->busy, told->out_of_service, told->lacking, told->not_allowed);
	jk_arena_free(&arena);
}

#define STEPS " --version --command-id "
#define RECORD STEPS "--discipline --at --capability --county --desk "
static const struct cli_work_verb verbs[] = {
	{"add", "UnitCommand", "CODE", RECORD, write_add, NULL, NULL},
	{"change", "UnitCommand", "CODE", RECORD, write_change, NULL, NULL},
	{"list", "UnitList", "", " --state --discipline --limit ", write_list, print_units, "units"},
	{"show", "UnitList", "CODE", " ", write_list, print_units, "units"},
	{"position", "UnitCommand", "CODE", " --at --command-id ", write_position, NULL, NULL},
	{"assign", "UnitCommand", "CODE INCIDENT", STEPS "--reason ", write_assign, NULL, NULL},
	{"advance", "UnitCommand", "CODE STATE", STEPS "--reason ", write_advance, NULL, NULL},
	{"out-of-service", "UnitCommand", "CODE", STEPS "--reason ", write_out, NULL, NULL},
	{"in-service", "UnitCommand", "CODE", STEPS, write_in, NULL, NULL},
	{"remove", "UnitCommand", "CODE", STEPS, write_remove, NULL, NULL},
	{"recommend", "UnitRecommend", "INCIDENT", " --discipline --capability --limit ", write_recommend, print_nearest, NULL},
	{"states", "UnitList", "", " ", write_states, print_ladder, "ladder"},
	{0},
};

int cli_unit(const struct cli *cli, int argc, char **argv)
{
	return cli_work_run(cli, "unit", verbs, argc, argv);
}
