/* cases_list.c: lists and exports: page by page, newest first, each case through the decision function. */
#include <string.h>

#include "cases_rules.h"
#include "cases_service_internal.h"

/* A page is looked for in so many cases at most; then the asker gets what there is and the mark to go on. */
enum { LOOK_AT_MAX = 10000, FETCH_MIN = 100 };

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
	const struct cases_scan *scan, struct page *page)
{
	page->last = scan->last;
	page->more = scan->more;
	for (size_t i = 0; i < scan->count; i++) {
		const struct cases_case *row = &scan->cases[i];
		struct cases_sight sight = cases_service_decide(request, row);
		if (!sight.allowed || !cases_rules_may_find(filter, sight.withheld)) {
			jk_metric_add(service->denied, 1);
			continue;
		}
		cases_service_note_seen(page->access, &row->case_id, sight.under);
		page->withheld[page->count] = sight.withheld;
		page->shown[page->count] = (struct cases_shown){
			.summary = *row, .headline = "", .allowed_by = page->access->seen[page->count].under};
		page->count++;
		if (page->count < filter->limit)
			continue;
		page->last = (struct cases_position){.opened_at_us = row->opened_at_us, .case_id = row->case_id};
		page->more = page->more || i + 1 < scan->count;
		return;
	}
}

/* Adds the owner of a term to those whose cases can be seen. */
static void add_owner(
	const struct jk_registry *registry, const struct jk_term *term, const char **owners, struct cases_reach *reach)
{
	if (term->owner_agency_id < 0)
		reach->any_owner = true;
	for (size_t i = 0; i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == term->owner_agency_id)
			owners[reach->owner_count++] = registry->agencies[i].code;
}

/* By the terms of the asker's desk, whatever else they say; terms of one owner lie together. */
static bool find_reach(const struct jk_request *request, struct cases_reach *ret)
{
	static const uint64_t all_counties = ((UINT64_C(1) << (JK_COUNTY_MAX + 1)) - 1) & ~UINT64_C(1);
	const struct jk_desk *desk = request->key->desk;
	size_t count = desk ? desk->term_count : 0;
	const char **owners = jk_arena_alloc(request->arena, (count + 1) * sizeof *owners);

	*ret = (struct cases_reach){.own = request->key->agency->code, .owners = owners};
	if (!owners)
		return false;
	for (size_t i = 0; i < count; i++) {
		ret->counties |= desk->terms[i].counties;
		if (i == 0 || desk->terms[i].owner_agency_id != desk->terms[i - 1].owner_agency_id)
			add_owner(request->registry, &desk->terms[i], owners, ret);
	}
	ret->any_county = (ret->counties & all_counties) == all_counties;
	return true;
}

static enum jk_status fill_page(
	struct cases_service *service, const struct jk_request *request, const struct cases_filter *filter, struct page *page)
{
	size_t left = LOOK_AT_MAX;
	struct cases_reach reach;

	if (!find_reach(request, &reach))
		return JK_BROKEN;
	page->last = filter->after;
	page->more = true;
	while (left > 0 && page->more && page->count < filter->limit) {
		size_t wanted = filter->limit - page->count + 1;
		struct cases_scan scan = {.look_at_max = left, .cases = service->scan};
		struct cases_position after = page->last;
		enum jk_status status;

		scan.fetch_max = wanted < FETCH_MIN ? FETCH_MIN : wanted < CASES_SCAN_MAX ? wanted : CASES_SCAN_MAX;
		status = cases_store_page(service->db, filter, &reach, &after, &scan);
		if (status != JK_OK)
			return status;
		left -= scan.looked_at < left ? scan.looked_at : left;
		add_to_page(service, request, filter, &scan, page);
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
