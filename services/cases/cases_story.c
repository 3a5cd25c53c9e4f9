/* cases_story.c: one case with its story, cut down to what the asker may see: the room that answers CaseShow. */
#include <string.h>

#include "base/jk_log.h"
#include "cases_rules.h"
#include "cases_service_internal.h"
#include "cases_story.h"
#include "cases_story_rules.h"

/* What may be said of other cases goes to the front; how many. */
struct other_sight {
	const struct jk_request *request;
	struct cases_access *access;
	struct cases_story *story;
};

static bool may_know(struct other_sight *look, const struct cases_case *other)
{
	if (other->version == 0 || !cases_service_decide(look->request, other).allowed)
		return false;
	look->story->known[look->story->known_count++] = other->case_id;
	return true;
}

/* Cases that were merged into it: what is shown of them is recorded as shown. */
static void keep_took_in(struct other_sight *look, uint32_t *withheld)
{
	struct cases_story *story = look->story;
	size_t kept = 0;

	for (size_t i = 0; i < story->took_in_count; i++) {
		const struct cases_case *row = &story->took_in[i];
		struct cases_sight sight = cases_service_decide(look->request, row);

		if (!may_know(look, row))
			continue;
		cases_service_note_seen(look->access, &row->case_id, sight.under);
		withheld[kept] = sight.withheld;
		story->took_in[kept++] = *row;
	}
	story->took_in_count = kept;
}

static void keep_links(struct other_sight *look)
{
	struct cases_story *story = look->story;
	size_t kept = 0;

	for (size_t i = 0; i < story->link_count; i++)
		if (may_know(look, &story->links[i].other))
			story->links[kept++] = story->links[i];
	story->link_count = kept;
}

/* Each line by the sight of the case it stands in. */
static void keep_entries(struct other_sight *look, const struct cases_case *row, uint32_t own, const uint32_t *withheld)
{
	struct cases_story *story = look->story;
	size_t kept = 0;

	for (size_t i = 0; i < story->entry_count; i++) {
		struct cases_entry entry = story->entries[i];
		uint32_t hides = own;

		for (size_t k = 0; k < story->took_in_count; k++)
			if (jk_id_equal(&story->took_in[k].case_id, &entry.case_id))
				hides = withheld[k];
		if (cases_story_sight(entry.kind, hides) == CASES_LINE_NOT)
			continue;
		cases_story_withhold(&entry, look->request->key->agency->code, hides);
		if (jk_id_equal(&entry.case_id, &row->case_id))
			entry.case_id = (struct jk_id){{0}};
		story->entries[kept++] = entry;
	}
	story->entry_count = kept;
}

/* The story as the asker may see it. */
static enum jk_status gather(
	struct cases_service *service, struct other_sight *look, const struct cases_case *row, uint32_t withheld)
{
	struct jk_id ids[1 + CASES_TOOK_IN_MAX] = {row->case_id};
	uint32_t others_withheld[CASES_TOOK_IN_MAX];
	struct cases_story *story = look->story;
	struct jk_arena *arena = look->request->arena;

	enum jk_status status = cases_story_read(service->db, row, arena, story);
	if (status != JK_OK)
		return status;
	story->known = jk_arena_alloc(arena, (1 + CASES_TOOK_IN_MAX + CASES_STORY_LINKS_MAX) * sizeof *story->known);
	if (!story->known)
		return JK_BROKEN;
	if (!may_know(look, &story->into))
		story->into = (struct cases_case){0};
	memset(others_withheld, 0xff, sizeof others_withheld); /* everything, until it is known */
	keep_took_in(look, others_withheld);
	keep_links(look);
	if (!cases_story_shows_texts(withheld))
		story->task_count = 0;
	for (size_t i = 0; i < story->task_count; i++)
		if (story->tasks[i].hidden && strcmp(story->tasks[i].agency, look->request->key->agency->code) != 0)
			story->tasks[i].agency[0] = story->tasks[i].desk[0] = '\0';
	if (!cases_story_shows_numbers(withheld))
		story->number_count = 0;
	for (size_t i = 0; i < story->took_in_count; i++)
		ids[1 + i] = story->took_in[i].case_id;
	status = cases_story_read_entries(service->db, ids, 1 + story->took_in_count, arena, story);
	if (status == JK_OK)
		keep_entries(look, row, withheld, others_withheld);
	return status;
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
static bool show(struct cases_service *service, const struct jk_request *request, const struct cases_case *row,
	const struct cases_sight *sight, struct cases_access *access, struct cases_packed *ret_packed)
{
	struct cases_story story = {0};
	struct other_sight look = {.request = request, .access = access, .story = &story};
	struct shown_body shown_body = {.arena = request->arena, .body = {.withheld = sight->withheld}};
	struct cases_shown shown = {.summary = *row, .headline = "", .allowed_by = sight->under};

	enum jk_status status = gather(service, &look, row, sight->withheld);
	if (status == JK_OK)
		status = cases_store_bodies(service->db, &row->event_id, 1, keep_body, &shown_body);
	if (status == JK_OK && !shown_body.body.bytes && shown_body.body.size > 0)
		status = JK_BROKEN;
	if (status != JK_OK) {
		cases_service_fail(service, request, status);
		return false;
	}
	if (shown_body.body.bytes && !(sight->withheld >> JK_GROUP_NARRATIVE & 1))
		shown.headline =
			cases_wire_read_headline(shown_body.body.bytes, shown_body.body.size, service->scratch, request->arena);
	jk_arena_reset(service->scratch);
	cases_rules_withhold(&shown.summary, sight->withheld);
	if (story.into.version > 0)
		shown.merged_into = &story.into.case_id;
	if (cases_wire_pack_shown(request, &shown, &story, &shown_body.body, ret_packed))
		return true;
	cases_service_refuse_unpacked(service, request);
	return false;
}

void cases_story_on_show(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct jk_id case_id;
	struct cases_reading reading;
	struct cases_packed packed;
	struct jk_refusal refusal;
	struct cases_case row;
	struct cases_sight sight = {0};

	jk_metric_add(service->shows, 1);
	if (!cases_wire_read_show(request, &case_id, &reading, &refusal)) {
		cases_service_refuse(service, request, &refusal);
		return;
	}
	struct cases_held *held = cases_service_hold(service, request, CASES_ASKED_SHOW, &reading, 1 + CASES_TOOK_IN_MAX);
	if (!held)
		return;
	enum jk_status status = cases_store_find(service->db, &case_id, &row);
	if (status == JK_OK && row.version > 0)
		sight = cases_service_decide(request, &row);
	cases_service_note_seen(&held->access, &case_id, sight.under);
	jk_metric_add(service->denied, status == JK_OK && row.version > 0 && !sight.allowed);
	if (status != JK_OK)
		cases_service_fail(service, request, status);
	else if (!sight.allowed)
		cases_service_put_not_found(service, &held);
	else if (show(service, request, &row, &sight, &held->access, &packed))
		cases_service_put_answer(service, &held, &packed);
	cases_held_free(&held);
}
