/* cases_list.c: lists and exports: page by page, newest first, each case through the decision function. */
#include <string.h>

#include "cases_rules.h"
#include "cases_service_internal.h"

/* A page is looked for in so many cases at most; then the asker gets what there is and the mark to go on. */
enum { SCANS_MAX = 10 };

struct page {
	struct cases_shown *shown; /* with room for `limit`, as the next */
	uint32_t *withheld;
	struct cases_access *access; /* allowed_by is kept there */
	size_t count;
	struct cases_position last;
	bool more;
};

/* Adds those of the scanned cases that may be seen, until the page is full. */
static void add_to_page(struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter,
	size_t scanned, struct page *page)
{
	for (size_t i = 0; i < scanned; i++) {
		struct cases_sight sight = cases_service_decide(request, &service->scan[i]);
		if (!sight.allowed || !cases_rules_may_find(filter, sight.withheld)) {
			jk_metric_add(service->denied, 1);
			continue;
		}
		cases_service_note_seen(page->access, &service->scan[i].case_id, sight.under);
		page->withheld[page->count] = sight.withheld;
		page->shown[page->count] = (struct cases_shown){
			.summary = service->scan[i], .headline = "", .allowed_by = page->access->seen[page->count].under};
		page->count++;
		if (page->count < filter->limit)
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
		add_to_page(service, request, filter, scanned, page);
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

static struct page *new_page(struct jk_arena *arena, size_t limit, struct cases_access *access)
{
	struct page *page = jk_arena_alloc(arena, sizeof *page);

	if (!page)
		return NULL;
	*page = (struct page){.access = access};
	page->shown = jk_arena_alloc(arena, limit * sizeof *page->shown);
	page->withheld = jk_arena_alloc(arena, limit * sizeof *page->withheld);
	return page->shown && page->withheld ? page : NULL;
}

/* The cases that the filter finds and the asker may see, without what is withheld; NULL: refused. */
static struct page *list(struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter,
	struct cases_access *access, bool headlines)
{
	struct page *page = new_page(request->arena, filter->limit, access);
	enum jk_status status = page ? fill_page(service, request, filter, page) : JK_BROKEN;

	if (status == JK_OK && headlines)
		status = add_headlines(service, request, page);
	if (status != JK_OK) {
		cases_service_fail(service, request, status);
		return NULL;
	}
	for (size_t i = 0; i < page->count; i++)
		cases_rules_withhold(&page->shown[i].summary, page->withheld[i]);
	return page;
}

typedef bool pack_page(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed);

static void answer(struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter,
	struct cases_held **held_p, bool headlines, pack_page *pack)
{
	struct cases_packed packed;
	struct page *page;

	cases_wire_write_query(filter, (*held_p)->access.query);
	page = list(service, request, filter, &(*held_p)->access, headlines);
	if (page && pack(request, page->shown, page->count, page->more ? &page->last : NULL, &packed))
		cases_service_put_answer(service, held_p, &packed);
	else if (page)
		cases_service_refuse_unpacked(service, request);
	cases_held_free(held_p);
}

void cases_list_on_list(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct cases_filter filter;
	struct cases_reading reading;
	struct jk_refusal refusal;
	struct cases_held *held;

	jk_metric_add(service->lists, 1);
	if (!cases_wire_read_list(request, &filter, &reading, &refusal)) {
		cases_service_refuse(service, request, &refusal);
		return;
	}
	held = cases_service_hold(service, request, CASES_ASKED_LIST, &reading, filter.limit);
	if (held)
		answer(service, request, &filter, &held, true, cases_wire_pack_listed);
}

void cases_list_on_export(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct cases_filter filter;
	struct cases_reading reading;
	struct jk_refusal refusal;
	struct cases_held *held;
	bool headlines;

	jk_metric_add(service->exports, 1);
	if (!cases_wire_read_export(request, &filter, &headlines, &reading, &refusal)) {
		cases_service_refuse(service, request, &refusal);
		return;
	}
	held = cases_service_hold(service, request, CASES_ASKED_EXPORT, &reading, filter.limit);
	if (held)
		answer(service, request, &filter, &held, headlines, cases_wire_pack_exported);
}
