/* cases_similar.c: CaseSimilar: what is near a case, as far as the asker may see it, ranked by cases_similar_rules. */
#include "cases_rules.h"
#include "cases_service_internal.h"
#include "cases_similar_rules.h"

_Static_assert((int)CASES_NEAR_MAX * 2 <= (int)CASES_SCAN_MAX, "both looks fit the room of a scan");

/* What is being compared: without what is withheld from the asker. */
struct comparison {
	const struct jk_request *request;
	struct cases_case *cases; /* of the service's room */
	char (*under)[CASES_UNDER_BYTES];
	size_t count;
};

/* Keeps of `found` those that the asker may see: measured ones with a position and time that are shown, or the others. */
static void keep_seen(struct comparison *comparison, const struct cases_case *found, size_t count, bool measured)
{
	for (size_t i = 0; i < count; i++) {
		struct cases_sight sight = cases_service_decide(comparison->request, &found[i]);
		struct cases_case shown = found[i];

		cases_rules_withhold(&shown, sight.withheld);
		if (!sight.allowed || shown.labels.status == JK_CAP_STATUS_TEST || shown.labels.status == JK_CAP_STATUS_SYSTEM ||
			measured != (shown.place.located && !(sight.withheld >> JK_GROUP_TIMES & 1)))
			continue;
		comparison->cases[comparison->count] = shown;
		(void)jk_text_copy(comparison->under[comparison->count++], CASES_UNDER_BYTES, sight.under);
	}
}

/* Adds the ranking of one look to what is there; both looks are of different cases. */
static size_t rank(const struct comparison *comparison, size_t from, const struct cases_case *asked, double hours,
	struct cases_similar *ret, size_t found, size_t limit)
{
	size_t more =
		cases_similar_rank(asked, comparison->cases + from, comparison->count - from, hours, ret + found, limit - found);

	for (size_t i = found; i < found + more; i++)
		ret[i].at += from;
	return found + more;
}

/* Near by position; and, where one of the two positions is not seen, opened around the same time. */
static enum jk_status look(struct cases_service *service, struct comparison *comparison, const struct cases_case *asked,
	struct cases_similar *ret, size_t limit, size_t *ret_found)
{
	struct cases_case *found = jk_arena_alloc(comparison->request->arena, CASES_NEAR_MAX * sizeof *found);
	enum jk_status status = found ? JK_OK : JK_BROKEN;
	size_t count, from;
	double hours;

	*ret_found = 0;
	if (status == JK_OK && asked->place.located) {
		status = cases_store_near(service->db, asked, found, &count, &hours);
		if (status == JK_OK) {
			keep_seen(comparison, found, count, true);
			*ret_found = rank(comparison, 0, asked, hours, ret, 0, limit);
		}
	}
	if (status == JK_OK)
		status = cases_store_near_time(service->db, asked->opened_at_us, found, &count, &hours);
	if (status != JK_OK)
		return status;
	from = comparison->count;
	keep_seen(comparison, found, count, false);
	if (!asked->place.located)
		keep_seen(comparison, found, count, true);
	*ret_found = rank(comparison, from, asked, hours, ret, *ret_found, limit);
	return JK_OK;
}

static void answer(struct cases_service *service, const struct jk_request *request, const struct cases_case *asked, size_t limit,
	struct cases_held **held_p)
{
	struct comparison comparison = {.request = request, .cases = service->scan};
	struct cases_similar similar[CASES_SIMILAR_MAX];
	struct cases_shown *shown = jk_arena_alloc(request->arena, limit * sizeof *shown);
	struct cases_packed packed;
	enum jk_status status = JK_BROKEN;
	size_t count = 0;

	comparison.under = jk_arena_alloc(request->arena, CASES_SCAN_MAX * sizeof *comparison.under);
	if (shown && comparison.under)
		status = look(service, &comparison, asked, similar, limit, &count);
	if (status != JK_OK) {
		cases_service_fail(service, request, status);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		const struct cases_case *row = &comparison.cases[similar[i].at];
		const char *under = comparison.under[similar[i].at];

		cases_service_note_seen(&(*held_p)->access, &row->case_id, under);
		shown[i] = (struct cases_shown){.summary = *row, .headline = "", .allowed_by = under};
	}
	if (cases_wire_pack_similar(request, shown, similar, count, &packed))
		cases_service_put_answer(service, held_p, &packed);
	else
		cases_service_refuse_unpacked(service, request);
}

void cases_similar_on_question(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	struct cases_reading reading;
	struct cases_sight sight = {0};
	struct jk_refusal refusal;
	struct cases_held *held;
	struct jk_id case_id;
	struct cases_case row;
	enum jk_status status;
	size_t limit;

	jk_metric_add(service->similars, 1);
	if (!cases_wire_read_similar(request, &case_id, &limit, &reading, &refusal)) {
		cases_service_refuse(service, request, &refusal);
		return;
	}
	held = cases_service_hold(service, request, CASES_ASKED_SIMILAR, &reading, limit + 1);
	if (!held)
		return;
	status = cases_store_find(service->db, &case_id, &row);
	if (status == JK_OK && row.version > 0)
		sight = cases_service_decide(request, &row);
	cases_service_note_seen(&held->access, &case_id, sight.under);
	if (status != JK_OK) {
		cases_service_fail(service, request, status);
	} else if (!sight.allowed) {
		cases_service_put_not_found(service, &held);
	} else {
		cases_rules_withhold(&row, sight.withheld);
		/* Its place alone, without its time, is no ground to look around it. */
		if (sight.withheld >> JK_GROUP_TIMES & 1)
			row.place.located = false;
		answer(service, request, &row, limit, &held);
	}
	cases_held_free(&held);
}
