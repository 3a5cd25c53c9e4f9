/* cases_wire_find.c: the messages of find.proto. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_wire_internal.h"
#include "jukwaa/v1/find.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"

void cases_wire_export_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_EXPORT,
		.type = &jukwaa__v1__case_export__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseExport, session),
		.request_offset = offsetof(Jukwaa__V1__CaseExport, request),
	};
}

bool cases_wire_read_export(const struct jk_request *request, struct cases_filter *ret_filter, bool *ret_headlines,
	struct cases_reading *ret_reading, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseExport *export = (const void *)request->message;

	*ret_headlines = export->headlines;
	if (!export->list)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "list", "say which cases, and what for");
	return cases_wire_take_list(export->list, CASES_EXPORT_DEFAULT, CASES_EXPORT_MAX, ret_filter, ret_refusal) &&
	       cases_wire_take_reading(export->list->purpose, export->list->purpose_note, ret_reading, ret_refusal);
}

bool cases_wire_pack_exported(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseExported exported = JUKWAA__V1__CASE_EXPORTED__INIT;
	uint8_t page[CASES_PAGE_BYTES];

	exported.session = request->session->number;
	exported.request = cases_wire_request(request);
	exported.cases = cases_wire_write_summaries(shown, count, request->arena);
	exported.n_cases = count;
	exported.page = cases_wire_write_page(last, page);
	return exported.cases && cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_EXPORTED, &exported.base, ret_packed);
}

void cases_wire_similar_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_SIMILAR,
		.type = &jukwaa__v1__case_similar__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseSimilar, session),
		.request_offset = offsetof(Jukwaa__V1__CaseSimilar, request),
	};
}

bool cases_wire_read_similar(const struct jk_request *request, struct jk_id *ret_case_id, size_t *ret_limit,
	struct cases_reading *ret_reading, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseSimilar *similar = (const void *)request->message;

	*ret_limit = similar->limit ? similar->limit : CASES_SIMILAR_DEFAULT;
	if (similar->limit > CASES_SIMILAR_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "limit", "at most %d cases", CASES_SIMILAR_MAX);
	return cases_wire_take_id(similar->case_id, "case_id", ret_case_id, ret_refusal) &&
	       cases_wire_take_reading(similar->purpose, similar->purpose_note, ret_reading, ret_refusal);
}

static bool add_reason(Jukwaa__V1__SimilarCase *message, struct jk_arena *arena, const char *text)
{
	char *kept = jk_arena_copy(arena, text, strlen(text) + 1);

	if (kept)
		message->reasons[message->n_reasons++] = kept;
	return kept != NULL;
}

static bool write_reasons(const struct cases_similar *similar, struct jk_arena *arena, Jukwaa__V1__SimilarCase *message)
{
	static const char *const kinship[] = {[CASES_KIND_SAME] = "same category",
		[CASES_KIND_NEAR] = "related category",
		[CASES_KIND_OTHER] = "another category"};
	char text[CASES_SIMILAR_REASON_BYTES];
	int64_t minutes = (similar->later_us < 0 ? -similar->later_us : similar->later_us) / 60000000;

	message->reasons = cases_wire_alloc_pointers(arena, CASES_SIMILAR_REASONS);
	if (!message->reasons)
		return false;
	if (similar->measured)
		(void)jk_text_format(text, sizeof text, "%.0f m apart, where %zu others were in the time around it",
			sqrt(similar->squared_m2), similar->usual);
	else
		(void)jk_text_format(text, sizeof text, "%s; no position to compare",
			similar->same_constituency ? "same constituency" : "same county");
	if (!add_reason(message, arena, text))
		return false;
	(void)jk_text_format(text, sizeof text, "%lld min %s", (long long)minutes, similar->later_us < 0 ? "earlier" : "later");
	return add_reason(message, arena, text) && add_reason(message, arena, kinship[similar->kinship]) &&
	       add_reason(message, arena, similar->same_agency ? "same agency" : "another agency");
}

static Jukwaa__V1__SimilarCase *write_similar(
	const struct cases_shown *shown, const struct cases_similar *similar, struct jk_arena *arena)
{
	Jukwaa__V1__SimilarCase *message = jk_arena_alloc(arena, sizeof *message);

	if (!message)
		return NULL;
	jukwaa__v1__similar_case__init(message);
	message->summary = cases_wire_write_summary(shown, arena);
	message->score = (uint32_t)similar->score;
	message->later_ms = similar->later_us / 1000;
	if (similar->measured) {
		message->distance_present_case = JUKWAA__V1__SIMILAR_CASE__DISTANCE_PRESENT_DISTANCE_M;
		message->distance_m = sqrt(similar->squared_m2);
	}
	return message->summary && write_reasons(similar, arena, message) ? message : NULL;
}

bool cases_wire_pack_similar(const struct jk_request *request, const struct cases_shown *shown,
	const struct cases_similar *similar, size_t count, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseSimilarFound found = JUKWAA__V1__CASE_SIMILAR_FOUND__INIT;

	found.session = request->session->number;
	found.request = cases_wire_request(request);
	found.similar = cases_wire_alloc_pointers(request->arena, count);
	for (size_t i = 0; found.similar && i < count; i++) {
		found.similar[i] = write_similar(&shown[i], &similar[i], request->arena);
		if (!found.similar[i])
			return false;
	}
	found.n_similar = count;
	return found.similar && cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_SIMILAR_FOUND, &found.base, ret_packed);
}

void cases_wire_figures_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_FIGURES,
		.type = &jukwaa__v1__case_figures__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseFigures, session),
		.request_offset = offsetof(Jukwaa__V1__CaseFigures, request),
	};
}

bool cases_wire_read_figures(const struct jk_request *request, struct cases_filter *ret_filter, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseFigures *figures = (const void *)request->message;

	*ret_filter = (struct cases_filter){.after = {.opened_at_us = INT64_MAX}};
	return cases_wire_take_counties(figures->counties, figures->n_counties, &ret_filter->counties, ret_refusal) &&
	       cases_wire_take_agency(figures->agency, ret_filter->agency, ret_refusal) &&
	       cases_wire_take_period(figures->from_us, figures->to_us, ret_filter, ret_refusal) &&
	       cases_wire_take_reading(figures->purpose, figures->purpose_note, ret_reading, ret_refusal);
}

static Jukwaa__V1__CaseSpan *write_span(const struct cases_span_figure *span, struct jk_arena *arena)
{
	Jukwaa__V1__CaseSpan *message = jk_arena_alloc(arena, sizeof *message);

	if (!message)
		return NULL;
	jukwaa__v1__case_span__init(message);
	message->count = span->count;
	message->p50_ms = span->p50_ms;
	message->p90_ms = span->p90_ms;
	return message;
}

static Jukwaa__V1__CaseFigure *write_figure(const struct cases_figure *figure, struct jk_arena *arena)
{
	Jukwaa__V1__CaseFigure *message = jk_arena_alloc(arena, sizeof *message);

	if (!message)
		return NULL;
	jukwaa__v1__case_figure__init(message);
	message->county = (char *)(uintptr_t)figure->county;
	message->agency = (char *)(uintptr_t)figure->agency;
	message->count = figure->count;
	message->accepted = write_span(&figure->spans[CASES_SPAN_ACCEPTED], arena);
	message->dispatched = write_span(&figure->spans[CASES_SPAN_DISPATCHED], arena);
	message->on_scene = write_span(&figure->spans[CASES_SPAN_ON_SCENE], arena);
	message->resolved = write_span(&figure->spans[CASES_SPAN_RESOLVED], arena);
	message->open_hour = figure->open[CASES_AGE_HOUR];
	message->open_day = figure->open[CASES_AGE_DAY];
	message->open_week = figure->open[CASES_AGE_WEEK];
	message->open_older = figure->open[CASES_AGE_OLDER];
	return message->accepted && message->dispatched && message->on_scene && message->resolved ? message : NULL;
}

bool cases_wire_pack_figures(
	const struct jk_request *request, const struct cases_figures *figures, int64_t at_us, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseFiguresTold told = JUKWAA__V1__CASE_FIGURES_TOLD__INIT;

	told.session = request->session->number;
	told.request = cases_wire_request(request);
	told.at_us = at_us;
	told.all = write_figure(&figures->all, request->arena);
	told.figures = cases_wire_alloc_pointers(request->arena, figures->count);
	for (size_t i = 0; told.figures && i < figures->count; i++) {
		told.figures[i] = write_figure(&figures->rows[i], request->arena);
		if (!told.figures[i])
			return false;
	}
	told.n_figures = figures->count;
	return told.all && told.figures && cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_FIGURES_TOLD, &told.base, ret_packed);
}
