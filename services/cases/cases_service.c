#include "cases_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "cases_rules.h"
#include "cases_store_pg.h"
#include "cases_wire.h"
#include "daemon/metrics.h"

enum {
	/* One event's body and its copy, or a page of summaries. */
	REQUEST_ARENA_BYTES = 8 * 1024 * 1024,
	SCRATCH_ARENA_BYTES = 4 * 1024 * 1024,
	/* A page is looked for in so many cases at most; then the asker gets what there is and the mark to go on. */
	SCANS_MAX = 10,
	WINDOW_DEFAULT = 16,
	WINDOW_MAX = 64,
	LOG_EVERY_MS = 10000,
};

struct cases_service {
	struct jk_sessions *sessions;
	struct jk_db *db;
	struct jk_arena *scratch;
	struct jk_handler handlers[2];
	struct cases_case scan[CASES_SCAN_MAX];
	struct jk_metric *lists, *shows, *denied;
};

/* What the asker may see of a case. */
struct sight {
	bool allowed;
	uint32_t withheld;
};

/* Each county stream that has the incident is a way to it; a group is withheld when every way withholds it. */
static struct sight decide_sight(const struct jk_request *request, const struct cases_case *row)
{
	const struct jk_agency *owner = jk_registry_find_agency(request->registry, row->labels.agency);
	struct jk_label label = {
		.categories = row->labels.categories,
		.severity = (uint8_t)row->labels.severity,
		.tlp = (enum jk_tlp)row->labels.tlp,
		.scope = (enum jk_scope)row->labels.scope,
		.status = (enum jk_cap_status)row->labels.status,
	};
	struct sight sight = {.withheld = UINT32_MAX};
	char counties[JK_COUNTY_MAX][JK_COUNTY_BYTES] = {""};
	size_t count = cases_county_list(row->counties, counties);
	int64_t now_us = jk_time_now_us();

	jk_registry_label_owner(&label, owner);
	/* In no county (any more): asked about once, without one, which leaves the owner. */
	for (size_t i = 0; i < (count ? count : 1); i++) {
		memcpy(label.county, counties[i], sizeof label.county);
		struct jk_decision decision = jk_registry_decide(request->registry, request->key, JK_USE_CASE, &label, now_us);
		if (decision.effect == JK_DENY)
			continue;
		sight.allowed = true;
		sight.withheld &= decision.withheld | JK_GROUPS_PROTECTED;
	}
	return sight;
}

static void refuse(struct cases_service *service, const struct jk_request *request, const struct jk_refusal *refusal)
{
	jk_session_refuse(service->sessions, request->session, cases_wire_request(request), refusal);
}

static void refuse_failure(struct cases_service *service, const struct jk_request *request, enum jk_status status)
{
	struct jk_refusal refusal;
	(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL,
		status == JK_RETRY ? "the database does not answer; ask again" : "the question cannot be answered now");
	jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "query_failed", "status=%s reason=%s", jk_status_name(status),
		jk_db_last_error(service->db));
	refuse(service, request, &refusal);
}

/* An answer that finds the client's pipe full or gone is lost; the client asks again. */
static void check_sent(struct cases_service *service, const struct jk_request *request, enum jk_status status)
{
	struct jk_refusal refusal;
	if (status == JK_OK)
		return;
	jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "status=%s", jk_status_name(status));
	if (status == JK_BROKEN && !request->session->ended) {
		(void)jk_refuse(&refusal, JK_CODE_OVERSIZE, NULL, "the answer does not fit a message");
		refuse(service, request, &refusal);
	}
}

struct page {
	struct cases_shown shown[CASES_PAGE_MAX];
	uint32_t withheld[CASES_PAGE_MAX];
	size_t count;
	struct cases_position last;
	bool more;
};

/* Adds those of the scanned cases that may be seen, until the page is full. */
static void add_to_page(
	struct cases_service *service, const struct jk_request *request, size_t limit, size_t scanned, struct page *page)
{
	for (size_t i = 0; i < scanned; i++) {
		struct sight sight = decide_sight(request, &service->scan[i]);
		if (!sight.allowed) {
			jk_metric_add(service->denied, 1);
			continue;
		}
		page->withheld[page->count] = sight.withheld;
		page->shown[page->count++] = (struct cases_shown){.summary = service->scan[i], .headline = ""};
		if (page->count < limit)
			continue;
		page->last = (struct cases_position){
			.opened_at_us = service->scan[i].opened_at_us, .case_id = service->scan[i].case_id};
		page->more = page->more || i + 1 < scanned;
		return;
	}
}

static enum jk_status fill_page(
	struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter, struct page *page)
{
	page->last = filter->after;
	page->more = true;
	for (int scan = 0; scan < SCANS_MAX && page->more && page->count < filter->limit; scan++) {
		size_t scanned;
		struct cases_position after = page->last;
		enum jk_status status =
			cases_store_page(service->db, filter, &after, service->scan, &scanned, &page->last, &page->more);
		if (status != JK_OK)
			return status;
		add_to_page(service, request, filter->limit, scanned, page);
	}
	return JK_OK;
}

struct headlines {
	struct cases_service *service;
	const struct jk_request *request;
	struct page *page;
	size_t from, to;
};

static void on_headline(void *arg, const struct jk_id *event_id, const uint8_t *body, size_t size)
{
	const struct headlines *headlines = arg;
	for (size_t i = headlines->from; i < headlines->to; i++) {
		struct cases_shown *shown = &headlines->page->shown[i];
		if (!jk_id_equal(&shown->summary.event_id, event_id))
			continue;
		if (!(headlines->page->withheld[i] >> JK_GROUP_NARRATIVE & 1))
			shown->headline =
				cases_wire_read_headline(body, size, headlines->service->scratch, headlines->request->arena);
		jk_arena_reset(headlines->service->scratch);
	}
}

static enum jk_status add_headlines(struct cases_service *service, const struct jk_request *request, struct page *page)
{
	struct jk_id ids[CASES_BODIES_MAX];
	for (size_t from = 0; from < page->count; from += CASES_BODIES_MAX) {
		struct headlines headlines = {.service = service, .request = request, .page = page, .from = from};
		headlines.to = from + CASES_BODIES_MAX < page->count ? from + CASES_BODIES_MAX : page->count;
		for (size_t i = from; i < headlines.to; i++)
			ids[i - from] = page->shown[i].summary.event_id;
		enum jk_status status = cases_store_bodies(service->db, ids, headlines.to - from, on_headline, &headlines);
		if (status != JK_OK)
			return status;
	}
	return JK_OK;
}

static void on_list(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct cases_filter filter;
	struct jk_refusal refusal;
	struct page *page = jk_arena_alloc(request->arena, sizeof *page);

	jk_metric_add(service->lists, 1);
	if (!cases_wire_read_list(request, &filter, &refusal)) {
		refuse(service, request, &refusal);
		return;
	}
	enum jk_status status = page ? fill_page(service, request, &filter, page) : JK_BROKEN;
	if (status == JK_OK)
		status = add_headlines(service, request, page);
	if (status != JK_OK) {
		refuse_failure(service, request, status);
		return;
	}
	for (size_t i = 0; i < page->count; i++)
		cases_rules_withhold(&page->shown[i].summary, page->withheld[i]);
	check_sent(service, request,
		cases_wire_send_listed(service->sessions, request, page->shown, page->count, page->more ? &page->last : NULL));
}

struct shown_body {
	struct jk_arena *arena;
	struct cases_body body;
};

/* Without memory the body's size alone is kept: it is there, and cannot be shown. */
static void keep_body(void *arg, const struct jk_id *event_id, const uint8_t *body, size_t size)
{
	struct shown_body *shown = arg;
	(void)event_id;
	shown->body.bytes = jk_arena_copy(shown->arena, body, size);
	shown->body.size = size;
}

/* The event may have been removed by age: then the case is shown without the incident. */
static void show(struct cases_service *service, const struct jk_request *request, const struct cases_case *row, uint32_t withheld)
{
	struct cases_entry *entries;
	size_t count;
	struct shown_body shown_body = {.arena = request->arena, .body = {.withheld = withheld}};
	struct cases_shown shown = {.summary = *row, .headline = ""};

	enum jk_status status = cases_store_entries(service->db, &row->case_id, request->arena, &entries, &count);
	if (status == JK_OK)
		status = cases_store_bodies(service->db, &row->event_id, 1, keep_body, &shown_body);
	if (status == JK_OK && !shown_body.body.bytes && shown_body.body.size > 0)
		status = JK_BROKEN;
	if (status != JK_OK) {
		refuse_failure(service, request, status);
		return;
	}
	if (shown_body.body.bytes && !(withheld >> JK_GROUP_NARRATIVE & 1))
		shown.headline =
			cases_wire_read_headline(shown_body.body.bytes, shown_body.body.size, service->scratch, request->arena);
	jk_arena_reset(service->scratch);
	cases_rules_withhold(&shown.summary, withheld);
	for (size_t i = 0; withheld >> JK_GROUP_IDENTITY & 1 && i < count; i++)
		entries[i].agency[0] = '\0';
	check_sent(service, request, cases_wire_send_shown(service->sessions, request, &shown, entries, count, &shown_body.body));
}

static void on_show(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct jk_id case_id;
	struct jk_refusal refusal;
	struct cases_case row;

	jk_metric_add(service->shows, 1);
	if (!cases_wire_read_show(request, &case_id, &refusal)) {
		refuse(service, request, &refusal);
		return;
	}
	enum jk_status status = cases_store_find(service->db, &case_id, &row);
	if (status != JK_OK) {
		refuse_failure(service, request, status);
		return;
	}
	struct sight sight = {0};
	if (row.version > 0)
		sight = decide_sight(request, &row);
	if (sight.allowed) {
		show(service, request, &row, sight.withheld);
		return;
	}
	jk_metric_add(service->denied, row.version > 0);
	/* One answer for both: who may not see a case must not learn that there is one. */
	(void)jk_refuse(&refusal, JK_CODE_NOT_FOUND, "case_id", "there is no such case, or not for you");
	refuse(service, request, &refusal);
}

enum jk_status cases_service_open(struct jk_loop *loop, struct jk_router *router, struct jk_registry_watch *watch,
	struct jk_db *db, struct cases_service **ret_service)
{
	struct cases_service *service = calloc(1, sizeof *service);
	if (!service)
		return JK_BROKEN;
	service->db = db;
	service->scratch = jk_arena_new(SCRATCH_ARENA_BYTES);
	cases_wire_list_handler(&service->handlers[0], on_list);
	cases_wire_show_handler(&service->handlers[1], on_show);
	service->lists = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"list\"", "Questions taken.");
	service->shows = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"show\"", "Questions taken.");
	service->denied = jk_metric_counter("jukwaa_cases_denied_total", "", "Cases kept back: the decision function said no.");
	const struct jk_service description = {
		.name = "cases",
		.handlers = service->handlers,
		.handler_count = sizeof service->handlers / sizeof *service->handlers,
		.service = service,
		.roles = 1 << JK_ROLE_DESK | 1 << JK_ROLE_OPERATOR | 1 << JK_ROLE_PUBLISHER,
		.window_default = WINDOW_DEFAULT,
		.window_max = WINDOW_MAX,
		.arena_bytes = REQUEST_ARENA_BYTES,
	};
	if (!service->scratch || jk_sessions_open(&description, loop, router, watch, &service->sessions) != JK_OK) {
		cases_service_close(&service);
		return JK_BROKEN;
	}
	*ret_service = service;
	return JK_OK;
}

void cases_service_close(struct cases_service **service_p)
{
	struct cases_service *service = *service_p;
	if (!service)
		return;
	*service_p = NULL;
	jk_sessions_close(&service->sessions);
	jk_arena_free(&service->scratch);
	free(service);
}

struct jk_sessions *cases_service_sessions(struct cases_service *service)
{
	return service->sessions;
}
