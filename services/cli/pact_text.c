/* pact_text.c: every sentence comes from the structure that decisions are compiled from, not from the text. */
#include "services/cli/pact_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/jk_time.h"
#include "services/cli/cli.h"

static const struct jk_words use_words = {(const char *const[]){"NONE", "VIEW", "CASE", "NOTIFY", "RESPOND"}, 5};

static void line(const char *name, const char *format, ...) JK_PRINTF(2, 3);
static void line(const char *name, const char *format, ...)
{
	char text[2048];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	printf("  %-13s ", name);
	(void)cli_print_text(stdout, text, 0);
	putchar('\n');
}

static void line_of(const char *name, struct jk_buffer *list, const char *none)
{
	line(name, "%s", list->size && !list->failed ? list->data : none);
	jk_buffer_done(list);
}

static void explain_counties(uint64_t counties)
{
	struct jk_buffer list = {0};

	if (counties == ((UINT64_C(1) << JK_COUNTY_MAX) - 1) << 1) {
		line("counties", "all");
		return;
	}
	for (int i = 1; i <= JK_COUNTY_MAX; i++)
		if (counties & UINT64_C(1) << i)
			jk_buffer_printf(&list, "%s%03d", list.size ? ", " : "", i);
	line_of("counties", &list, "none is named: nobody gets anything");
}

/* The words whose bits are set. */
static void explain_words(const char *name, const struct jk_words *words, unsigned bits, unsigned all, const char *none)
{
	struct jk_buffer list = {0};

	if (bits == all) {
		line(name, "all");
		return;
	}
	for (int i = 1; i < (int)words->count; i++)
		if (bits & 1u << i)
			jk_buffer_printf(&list, "%s%s", list.size ? ", " : "", jk_words_name(words, i));
	line_of(name, &list, none);
}

static void explain_times(int64_t start_us, int64_t end_us)
{
	char start[JK_TIME_BYTES], end[JK_TIME_BYTES];

	jk_time_format(start, start_us);
	jk_time_format(end, end_us);
	line("from", "%s, %s%s", start, end_us ? "until " : "without end", end_us ? end : "");
}

static const char *party_words(const struct jk_party *party)
{
	return party->kind == JK_PARTY_TASK_FORCE ? "task force " : "";
}

static const char *party_name(const struct jk_party *party)
{
	return party->kind == JK_PARTY_EVERYBODY ? "everybody" : party->code;
}

static void explain_parties(const struct jk_agreement *agreement)
{
	struct jk_buffer desks = {0};
	const char *each = agreement->provider.kind == JK_PARTY_AGENCY ? "" : " (each member of its own, once it has accepted)";

	if (agreement->provider.kind == JK_PARTY_EVERYBODY)
		each = " (each agency of its own)";
	line("gives", "%s%s%s", party_words(&agreement->provider), party_name(&agreement->provider), each);
	line("to", "%s%s", party_words(&agreement->recipient), party_name(&agreement->recipient));
	for (size_t i = 0; i < agreement->desk_count; i++)
		jk_buffer_printf(&desks, "%s%s", i ? ", " : "", agreement->desks[i]);
	line_of("desks", &desks, "all of the recipient's");
}

static void explain_agreement(const struct jk_agreement *agreement)
{
	printf("agreement %s, version %" PRIu32 ", %s\n", agreement->code, agreement->version,
		agreement->statutory ? "imposed by law" : "by consent");
	explain_parties(agreement);
	explain_counties(agreement->counties);
	explain_words("categories", &jk_categories, agreement->categories, ((1u << JK_CATEGORY_MAX) - 1) << 1,
		"none is named: nobody gets anything");
	line("severity", "%s%s",
		agreement->severity_floor ? jk_words_name(&jk_severities, agreement->severity_floor) : "any, UNKNOWN too",
		agreement->severity_floor ? " or worse" : "");
	line("labels", "up to TLP:%s", jk_words_name(&jk_tlps, (int)agreement->tlp_ceiling));
	line("shown", "%s, reporter %s, persons %s", jk_profile_name(agreement->profile),
		agreement->reporter ? "SHOWN" : "withheld", agreement->persons ? "SHOWN" : "withheld");
	explain_words("for", &use_words, agreement->uses, 0, "");
	line("purpose", "%s", agreement->purpose);
	line("legal basis", "%s", agreement->legal_basis);
	if (agreement->retention_days)
		line("kept", "at most %" PRIu32 " days", agreement->retention_days);
	else
		line("kept", "not limited here");
	line("passed on", "%s", agreement->redistribution ? "may be passed on" : "may not be passed on");
	explain_times(agreement->start_us, agreement->end_us);
}

static void explain_task_force(const struct jk_task_force *task_force)
{
	struct jk_buffer members = {0};

	printf("task force %s, version %" PRIu32 "\n", task_force->code, task_force->version);
	line("lead", "%s", task_force->lead);
	for (size_t i = 0; i < task_force->member_count; i++)
		jk_buffer_printf(&members, "%s%s", i ? ", " : "", task_force->members[i]);
	line_of("members", &members, "");
	explain_counties(task_force->counties);
	line("purpose", "%s", task_force->purpose);
	line("legal basis", "%s", task_force->legal_basis);
	explain_times(task_force->start_us, task_force->end_us);
}

bool pact_text_explain(enum jk_pact_kind kind, const char *document, struct jk_arena *arena)
{
	struct jk_agreement agreement;
	struct jk_task_force task_force;
	struct jk_refusal refusal;

	if (kind == JK_PACT_AGREEMENT) {
		if (!jk_agreement_read(document, arena, &agreement, &refusal))
			return false;
		explain_agreement(&agreement);
		return true;
	}
	if (!jk_task_force_read(document, arena, &task_force, &refusal))
		return false;
	explain_task_force(&task_force);
	return true;
}

int pact_text_warn(enum jk_pact_kind kind, const char *document, struct jk_arena *arena)
{
	struct jk_agreement agreement;
	struct jk_task_force task_force;
	struct jk_refusal ignored;
	bool no_county = false, no_category = false;

	if (kind == JK_PACT_AGREEMENT && jk_agreement_read(document, arena, &agreement, &ignored)) {
		no_county = agreement.counties == 0;
		no_category = agreement.categories == 0;
	} else if (kind == JK_PACT_TASK_FORCE && jk_task_force_read(document, arena, &task_force, &ignored)) {
		no_county = task_force.counties == 0;
	}
	if (no_county)
		fprintf(stderr, "jukwaa: warning: counties: none is named: nobody gets anything\n");
	if (no_category)
		fprintf(stderr, "jukwaa: warning: categories: none is named: nobody gets anything\n");
	return no_county + no_category;
}

/* Canonical documents are one object of scalars and lists of scalars. */
void pact_text_pretty(const char *document, struct jk_buffer *buffer)
{
	bool in_text = false, in_list = false;

	for (const char *c = document; *c; c++) {
		if (in_text && *c == '\\' && c[1]) {
			jk_buffer_append(buffer, c++, 2);
			continue;
		}
		if (*c == '"')
			in_text = !in_text;
		else if (!in_text && (*c == '[' || *c == ']'))
			in_list = *c == '[';
		if (!in_text && *c == '}')
			jk_buffer_append(buffer, "\n", 1);
		jk_buffer_append(buffer, c, 1);
		if (!in_text && *c == '{')
			jk_buffer_printf(buffer, "\n  ");
		else if (!in_text && *c == ',')
			jk_buffer_printf(buffer, "%s", in_list ? " " : "\n  ");
		else if (!in_text && *c == ':')
			jk_buffer_append(buffer, " ", 1);
	}
	jk_buffer_append(buffer, "\n", 1);
}
