#include "cases_service.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "cases_command_wire.h"
#include "cases_rules.h"
#include "cases_service_internal.h"

enum {
	/* One event's body, its copy and the case's story, or a page of summaries. */
	REQUEST_ARENA_BYTES = 16 * 1024 * 1024,
	SCRATCH_ARENA_BYTES = 4 * 1024 * 1024,
	WINDOW_DEFAULT = 16,
	WINDOW_MAX = 64,
	LATE_EVERY_TICKS = 20,
};

struct cases_sight cases_service_decide(const struct jk_request *request, const struct cases_case *row)
{
	return cases_sight_of_key(request->registry, request->key, JK_USE_CASE, row);
}

void cases_service_refuse(struct cases_service *service, const struct jk_request *request, const struct jk_refusal *refusal)
{
	jk_session_refuse(service->sessions, request->session, cases_wire_request(request), refusal);
}

void cases_service_fail(struct cases_service *service, const struct jk_request *request, enum jk_status status)
{
	struct jk_refusal refusal;
	(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL,
		status == JK_RETRY ? "the database does not answer; ask again" : "the question cannot be answered now");
	jk_log_limited(CASES_LOG_EVERY_MS, JK_LOG_WARN, "query_failed", "status=%s reason=%s", jk_status_name(status),
		jk_db_last_error(service->db));
	cases_service_refuse(service, request, &refusal);
}

/* ---- what waits for its record ------------------------------------------------------------------------------------------ */

struct cases_held *cases_service_hold(struct cases_service *service, const struct jk_request *request, enum cases_asked asked,
	const struct cases_reading *reading, size_t seen_max)
{
	struct cases_held *held =
		cases_record_has_room(service->record, request->session->number) ? cases_held_new(seen_max) : NULL;
	struct jk_refusal refusal;

	if (!held) {
		(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "readings are recorded, and cannot be now; ask again");
		cases_service_refuse(service, request, &refusal);
		return NULL;
	}
	held->session = request->session->number;
	held->request = cases_wire_request(request);
	held->access.key_id = request->key->key_id;
	held->access.agency_id = request->key->agency->agency_id;
	held->access.desk_id = request->key->desk ? request->key->desk->desk_id : -1;
	held->access.policy_version = (int64_t)request->registry->version;
	held->access.asked = asked;
	held->access.purpose = reading->purpose;
	(void)jk_text_copy(held->access.note, sizeof held->access.note, reading->note);
	return held;
}

void cases_service_note_seen(struct cases_access *access, const struct jk_id *case_id, const char *under)
{
	struct cases_seen *seen = &access->seen[access->seen_count++];
	seen->case_id = *case_id;
	(void)jk_text_copy(seen->under, sizeof seen->under, under);
}

void cases_service_put_answer(struct cases_service *service, struct cases_held **held_p, const struct cases_packed *packed)
{
	struct cases_held *held = *held_p;

	held->access.granted = true;
	held->kind = packed->kind;
	held->body = packed->bytes;
	held->body_size = packed->size;
	cases_record_put(service->record, held_p);
}

void cases_service_refuse_unpacked(struct cases_service *service, const struct jk_request *request)
{
	struct jk_refusal refusal;
	(void)jk_refuse(&refusal, JK_CODE_OVERSIZE, NULL, "the answer does not fit a message");
	cases_service_refuse(service, request, &refusal);
}

/* What was decided under a policy that is not the newest any more does not go out: the client asks again, and it is decided anew.
 * An answer that finds the client's pipe full or gone is lost; the client asks again. */
static void on_recorded(void *arg, struct cases_held *held, bool recorded)
{
	struct cases_service *service = arg;
	struct jk_session *session = jk_session_find(service->sessions, held->session);
	const struct jk_registry *registry = jk_sessions_registry(service->sessions);
	struct jk_refusal *refusal = &held->refusal;

	if (!session)
		return;
	if (!recorded)
		(void)jk_refuse(
			refusal, JK_CODE_UNAVAILABLE, NULL, "readings are recorded, and this one could not be; ask again");
	else if (!registry || (int64_t)registry->version != held->access.policy_version)
		(void)jk_refuse(refusal, JK_CODE_UNAVAILABLE, NULL, "who may see what has just changed; ask again");
	if (refusal->code != JK_CODE_NONE) {
		jk_session_refuse(service->sessions, session, held->request, refusal);
		return;
	}
	enum jk_status status = jk_session_send_packed(service->sessions, session, held->kind, held->body, held->body_size);
	if (status != JK_OK)
		jk_log_limited(CASES_LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "status=%s", jk_status_name(status));
}

void cases_service_put_not_found(struct cases_service *service, struct cases_held **held_p)
{
	(void)jk_refuse(&(*held_p)->refusal, JK_CODE_NOT_FOUND, "case_id", "there is no such case, or not for you");
	cases_record_put(service->record, held_p);
}

/* ---- commands, and the table they follow ----------------------------------------------------------------------------------- */

static void on_command(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	cases_commands_put(service->commands, request);
}

static void on_states(void *arg, const struct jk_request *request)
{
	struct cases_service *service = arg;
	enum jk_status status = cases_states_send(service->sessions, request);

	if (status != JK_OK)
		jk_log_limited(
			CASES_LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "what=states status=%s", jk_status_name(status));
}

/* ---- the room itself ------------------------------------------------------------------------------------------------------ */

enum jk_status cases_service_open(struct jk_loop *loop, struct jk_router *router, struct jk_registry_watch *watch,
	const struct cases_service_dbs *dbs, struct cases_service **ret_service)
{
	struct cases_service *service = calloc(1, sizeof *service);
	if (!service)
		return JK_BROKEN;
	service->db = dbs->questions;
	service->scratch = jk_arena_new(SCRATCH_ARENA_BYTES);
	cases_wire_list_handler(&service->handlers[0], cases_list_on_list);
	cases_wire_show_handler(&service->handlers[1], cases_story_on_show);
	cases_wire_export_handler(&service->handlers[2], cases_list_on_export);
	cases_wire_similar_handler(&service->handlers[3], cases_similar_on_question);
	cases_wire_figures_handler(&service->handlers[4], cases_figures_on_question);
	cases_command_handler(&service->handlers[CASES_HANDLERS - 2], on_command);
	cases_states_handler(&service->handlers[CASES_HANDLERS - 1], on_states);
	service->lists = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"list\"", "Questions taken.");
	service->shows = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"show\"", "Questions taken.");
	service->exports = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"export\"", "Questions taken.");
	service->similars = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"similar\"", "Questions taken.");
	service->figure_questions = jk_metric_counter("jukwaa_cases_queries_total", "kind=\"figures\"", "Questions taken.");
	service->late_triage =
		jk_metric_gauge("jukwaa_cases_late", "target=\"triage\"", "Cases past a time target that they have not reached.");
	service->late_resolve = jk_metric_gauge(
		"jukwaa_cases_late", "target=\"resolve\"", "Cases past a time target that they have not reached.");
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
	if (!service->scratch || cases_figures_open(dbs->figures, &service->figures) != JK_OK ||
		cases_record_open(dbs->record, on_recorded, service, &service->record) != JK_OK ||
		jk_sessions_open(&description, loop, router, watch, &service->sessions) != JK_OK ||
		cases_commands_open(service->sessions, dbs->commands, &service->commands) != JK_OK) {
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
	cases_record_close(&service->record);
	cases_figures_close(&service->figures);
	cases_commands_close(&service->commands);
	jk_sessions_close(&service->sessions);
	jk_arena_free(&service->scratch);
	free(service);
}

struct jk_sessions *cases_service_sessions(struct cases_service *service)
{
	return service->sessions;
}

void cases_service_run(struct cases_service *service)
{
	cases_record_run(service->record);
	cases_figures_run(service->figures);
	cases_commands_run(service->commands);
}

static void count_late(struct cases_service *service)
{
	struct cases_late late;

	if (cases_store_late(service->db, &late) != JK_OK)
		return;
	jk_metric_set(service->late_triage, late.to_triage);
	jk_metric_set(service->late_resolve, late.to_resolve);
}

void cases_service_on_timer(struct cases_service *service)
{
	cases_record_on_timer(service->record);
	cases_figures_on_timer(service->figures);
	if (service->ticks++ % LATE_EVERY_TICKS == 0)
		count_late(service);
	cases_commands_on_timer(service->commands);
}

size_t cases_service_waiting(const struct cases_service *service)
{
	return cases_record_count(service->record) + cases_commands_count(service->commands);
}
