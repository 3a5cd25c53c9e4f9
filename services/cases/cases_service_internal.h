/* cases_service_internal.h: what the rooms that answer share (cases_service.c, cases_story.c, cases_list.c, cases_similar.c,
 * cases_figures.c): the service itself, the decision about one case, and answers that are held until they are recorded. For these
 * files alone. */
#pragma once

#include "cases_command.h"
#include "cases_figures.h"
#include "cases_record.h"
#include "cases_service.h"
#include "cases_sight.h"
#include "cases_store_pg.h"
#include "cases_wire.h"
#include "daemon/metrics.h"

enum { CASES_HANDLERS = 7, CASES_LOG_EVERY_MS = 10000 };

struct cases_service {
	struct jk_sessions *sessions;
	struct jk_db *db;
	struct cases_record *record;
	struct cases_commands *commands;
	struct jk_arena *scratch;
	struct jk_handler handlers[CASES_HANDLERS];
	struct cases_case scan[CASES_SCAN_MAX];
	struct cases_figures_room *figures;
	struct jk_metric *lists, *shows, *exports, *figure_questions, *similars, *denied, *late_triage, *late_resolve;
	unsigned ticks; /* of 250 ms */
};

/* Each county stream that has the incident is a way to it. The way that withholds least is taken, whole: what is shown is what
 * one agreement gives. */
struct cases_sight cases_service_decide(const struct jk_request *request, const struct cases_case *row);

void cases_service_refuse(struct cases_service *service, const struct jk_request *request, const struct jk_refusal *refusal);
/* The database did not do it: UNAVAILABLE, and a line in the log. */
void cases_service_fail(struct cases_service *service, const struct jk_request *request, enum jk_status status);
/* The answer does not fit a message. */
void cases_service_refuse_unpacked(struct cases_service *service, const struct jk_request *request);

/* Room for an answer and its record; NULL: refused. The caller gives it to one of the two below, or frees it. */
struct cases_held *cases_service_hold(struct cases_service *service, const struct jk_request *request, enum cases_asked asked,
	const struct cases_reading *reading, size_t seen_max);
/* Notes a case that the answer shows, or that was asked for (under "": and not granted). */
void cases_service_note_seen(struct cases_access *access, const struct jk_id *case_id, const char *under);
/* The answer goes out once it is recorded. */
void cases_service_put_answer(struct cases_service *service, struct cases_held **held_p, const struct cases_packed *packed);
/* One answer for both: who may not see a case must not learn that there is one. That it was asked for is recorded for both. */
void cases_service_put_not_found(struct cases_service *service, struct cases_held **held_p);

/* Handlers of the other rooms. */
void cases_story_on_show(void *service, const struct jk_request *request);
void cases_list_on_list(void *service, const struct jk_request *request);
void cases_list_on_export(void *service, const struct jk_request *request);
void cases_similar_on_question(void *service, const struct jk_request *request);
void cases_figures_on_question(void *service, const struct jk_request *request);
