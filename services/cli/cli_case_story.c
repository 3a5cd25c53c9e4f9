/* cli_case_story.c: what was done with a case, for people. */
#include <inttypes.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "services/cli/cli_case_act.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 64 * 1024 * 1024 };

/* What the parts share. */
struct story {
	const struct cli *cli;
	struct json_slice answer;
	struct jk_arena *arena;
};

static void print_text(const char *before, const char *text)
{
	if (!*text)
		return;
	printf("%s", before);
	cli_print_text(stdout, text, 0);
}

static void print_id(const char *before, const ProtobufCBinaryData *bytes)
{
	char text[JK_ID_TEXT_BYTES];
	struct jk_id id;

	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(text, &id);
	printf("%s%s", before, text);
}

static void print_time(const char *before, int64_t at_us)
{
	char text[JK_TIME_BYTES];

	if (at_us == 0)
		return;
	jk_time_format(text, at_us);
	text[19] = '\0';
	text[10] = ' ';
	printf("%s%sZ", before, text);
}

/* The word of an enum's value without what all its names begin with. */
static const char *word_of(const ProtobufCEnumDescriptor *type, int number, const char *prefix)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

	return value && number != 0 ? value->name + strlen(prefix) : "";
}

/* ---- who has it, by when ------------------------------------------------------------------------------------------------ */

static void print_life(const struct cli *cli, const Jukwaa__V1__CaseSummary *summary)
{
	const char *late = cli_tone(cli, CLI_BAD), *plain = cli_tone(cli, CLI_PLAIN);

	printf("  version %" PRIu32, summary->version);
	print_text(", with ", summary->assigned_agency);
	print_text("/", summary->assigned_desk);
	print_text(", referred to ", summary->referred_agency);
	print_text(*summary->referred_agency ? " as " : ", referred to ", summary->referred_service);
	print_text(", ended as ", summary->disposition);
	print_id(", merged into ", &summary->merged_into_id);
	printf("\n");
	if (summary->triage_due_us) {
		print_time("  triage by ", summary->triage_due_us);
		printf("%s%s%s\n", late, summary->triage_late ? " LATE" : "", plain);
	}
	if (summary->resolve_due_us) {
		print_time("  resolve by ", summary->resolve_due_us);
		printf("%s%s%s\n", late, summary->resolve_late ? " LATE" : "", plain);
	}
}

/* ---- the timeline ------------------------------------------------------------------------------------------------------- */

static const char *kind_words(Jukwaa__V1__CaseEntryKind kind)
{
	static const char *const words[] = {
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_UNSPECIFIED] = "?",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_OPENED] = "opened",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_REVISED] = "revised",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_CANCELLED_BY_PUBLISHER] = "cancelled by its publisher",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_LATE_REPORT] = "an older report came late",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_ACKNOWLEDGED] = "acknowledged",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_ERROR_REPORTED] = "an error was reported",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_MOVED] = "moved",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_NUMBERED] = "number",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_LINKED] = "linked",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_NOTE] = "note",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_TASK] = "task",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_EVIDENCE] = "evidence",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_TOOK_IN] = "took in another case",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_DUTY] = "duty",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_UNIT] = "unit",
		[JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_AID] = "aid",
	};

	return (size_t)kind < sizeof words / sizeof *words && words[kind] ? words[kind] : "?";
}

/* What it says beside its kind, on lines of its own where it is long. */
static void print_details(const Jukwaa__V1__CaseEntry *entry)
{
	print_text(" ", entry->unit);
	print_text(" ", entry->discipline);
	print_text(" ", entry->capability);
	print_text(" ", entry->action);
	print_text(" to ", entry->assignee);
	if (entry->to)
		printf(": %s -> %s", word_of(&jukwaa__v1__case_state__descriptor, (int)entry->from, "CASE_STATE_"),
			word_of(&jukwaa__v1__case_state__descriptor, (int)entry->to, "CASE_STATE_"));
	print_text(", ", entry->disposition);
	print_text(" ", word_of(&jukwaa__v1__case_relation__descriptor, (int)entry->relation, "CASE_RELATION_"));
	print_text(" ", entry->number);
	print_text(" OB ", entry->ob_number);
	print_text(" by ", entry->by_desk);
	print_text(*entry->by_desk ? ", " : " by ", entry->by_agency);
	print_time(", due ", entry->due_us);
	print_id("\n       ", &entry->thing_id);
	print_text("\n       ", entry->text);
	print_text(" (", entry->language);
	printf("%s", *entry->language ? ")" : "");
	print_text("\n       ", entry->location);
	print_text(" ", entry->media_type);
	print_text("\n       because: ", entry->reason);
}

static void print_entry(const struct story *story, const void *message)
{
	const Jukwaa__V1__CaseEntry *entry = message;
	bool report = entry->kind < JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_MOVED;

	(void)story;
	printf("  %3" PRIu32, entry->entry_no);
	print_time("  ", entry->at_us);
	printf("  %s", kind_words(entry->kind));
	if (report) {
		print_text(" by ", entry->agency);
		printf(", revision %" PRId64, entry->revision);
	} else {
		print_details(entry);
	}
	print_id("\n       of case ", &entry->case_id);
	printf("\n");
}

/* ---- tasks, numbers, links ---------------------------------------------------------------------------------------------- */

static void print_task(const struct story *story, const void *message)
{
	const Jukwaa__V1__CaseTask *task = message;

	printf("  ");
	cli_print_text(stdout, task->title, 0);
	printf("\n      %s%s", word_of(&jukwaa__v1__case_task_state__descriptor, (int)task->state, "CASE_TASK_STATE_"),
		task->blocking ? ", blocking" : "");
	print_text(", for ", task->agency);
	print_text("/", task->desk);
	print_time(", due ", task->due_us);
	printf("%s%s%s", cli_tone(story->cli, CLI_BAD), task->late ? " LATE" : "", cli_tone(story->cli, CLI_PLAIN));
	print_id("\n      ", &task->task_id);
	printf("\n");
}

static void print_number(const struct story *story, const void *message)
{
	const Jukwaa__V1__CaseNumber *number = message;

	(void)story;
	print_text("  ", number->agency);
	print_text("  ", number->number);
	print_text("  OB ", number->ob_number);
	printf("\n");
}

static void print_link(const struct story *story, const void *message)
{
	const Jukwaa__V1__CaseLink *link = message;

	(void)story;
	printf("  %s", word_of(&jukwaa__v1__case_relation__descriptor, (int)link->relation, "CASE_RELATION_"));
	print_id("  ", &link->other_id);
	printf("\n");
}

static void print_list(const struct story *story, const char *name, const ProtobufCMessageDescriptor *type,
	void (*print)(const struct story *story, const void *message))
{
	struct json_slice list, one;
	struct jk_refusal refusal;
	bool titled = false;

	if (!json_slice_find(story->answer, name, &list) || !json_slice_enter(&list, '['))
		return;
	while (json_slice_element(&list, &one)) {
		const void *message = jk_json_read(type, one.at, (size_t)(one.end - one.at), story->arena, &refusal);

		if (message && !titled)
			printf("%s%s%s\n", cli_tone(story->cli, CLI_BOLD), name, cli_tone(story->cli, CLI_PLAIN));
		titled = titled || message;
		if (message)
			print(story, message);
	}
}

void cli_case_print_story(const struct cli *cli, const char *json)
{
	struct story story = {.cli = cli, .answer = {json, json + strlen(json)}, .arena = jk_arena_new(ARENA_BYTES)};
	struct json_slice part;
	struct jk_refusal refusal;
	const Jukwaa__V1__CaseSummary *summary = NULL;

	if (!story.arena)
		return;
	if (json_slice_find(story.answer, "case", &part))
		summary = (const void *)jk_json_read(
			&jukwaa__v1__case_summary__descriptor, part.at, (size_t)(part.end - part.at), story.arena, &refusal);
	if (summary)
		print_life(cli, summary);
	print_list(&story, "tasks", &jukwaa__v1__case_task__descriptor, print_task);
	print_list(&story, "numbers", &jukwaa__v1__case_number__descriptor, print_number);
	print_list(&story, "links", &jukwaa__v1__case_link__descriptor, print_link);
	print_list(&story, "timeline", &jukwaa__v1__case_entry__descriptor, print_entry);
	jk_arena_free(&story.arena);
}
