/* cases_wire.h: protobuf <-> the domain of cases (proto/jukwaa/v1/cases.proto and the bodies of events). Not here: decisions. */
#pragma once

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "cases.h"
#include "cases_similar_rules.h"
#include "cases_story.h"
#include "cases_tally.h"
#include "feed/feed_reader.h"
#include "session/session.h"

/* False: not an event of ours in a county stream (counted by the caller, and passed over). arena: for the call. */
bool cases_wire_read_event(const struct jk_event *event, struct jk_arena *arena, struct cases_event *ret_event);

/* Number of bytes of CaseList.after and CaseListed.page. */
enum { CASES_PAGE_BYTES = 24 };
/* False: ret_refusal says which field is wrong. */
bool cases_wire_read_list(const struct jk_request *request, struct cases_filter *ret_filter, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal);
bool cases_wire_read_show(const struct jk_request *request, struct jk_id *ret_case_id, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal);
bool cases_wire_read_similar(const struct jk_request *request, struct jk_id *ret_case_id, size_t *ret_limit,
	struct cases_reading *ret_reading, struct jk_refusal *ret_refusal);
/* Of the filter: counties, agency, from_us, to_us. */
bool cases_wire_read_figures(const struct jk_request *request, struct cases_filter *ret_filter, struct cases_reading *ret_reading,
	struct jk_refusal *ret_refusal);
bool cases_wire_read_export(const struct jk_request *request, struct cases_filter *ret_filter, bool *ret_headlines,
	struct cases_reading *ret_reading, struct jk_refusal *ret_refusal);
/* The filter for people, as it is recorded: "counties=031,047 state=NEW limit=50". */
void cases_wire_write_query(const struct cases_filter *filter, char ret[CASES_QUERY_BYTES]);
/* `request` of any of them. */
uint64_t cases_wire_request(const struct jk_request *request);

/* Handler rows for the session layer. */
void cases_wire_list_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
void cases_wire_show_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
void cases_wire_similar_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
void cases_wire_figures_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));
void cases_wire_export_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request));

/* A case as the asker may see it. headline: "" where there is none or it is withheld. */
struct cases_shown {
	struct cases_case summary;
	const char *headline;
	const char *allowed_by;          /* as in cases_seen */
	const struct jk_id *merged_into; /* NULL: into none, or not for the asker to know */
};
/* An answer ready to be sent with jk_session_send_packed; the caller frees the bytes. */
struct cases_packed {
	uint16_t kind;
	uint8_t *bytes;
	size_t size;
};
/* last: where the next page starts; NULL: there is no more. False: out of memory, or larger than a message. */
bool cases_wire_pack_listed(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed);
/* The same as CaseExported. */
bool cases_wire_pack_exported(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed);
/* shown[i] is what similar[i] is about. */
bool cases_wire_pack_similar(const struct jk_request *request, const struct cases_shown *shown,
	const struct cases_similar *similar, size_t count, struct cases_packed *ret_packed);
bool cases_wire_pack_figures(
	const struct jk_request *request, const struct cases_figures *figures, int64_t at_us, struct cases_packed *ret_packed);
/* body: the event's, of which the groups in `withheld` go out as digests. */
struct cases_body {
	const uint8_t *bytes;
	size_t size;
	uint32_t withheld;
};
/* story: cut down to what the asker may see; known: other cases that may be named (cases_story_wire.c). */
bool cases_wire_pack_shown(const struct jk_request *request, const struct cases_shown *shown, const struct cases_story *story,
	const struct cases_body *body, struct cases_packed *ret_packed);
/* The first headline of a body, cut to CASES_HEADLINE_BYTES; "" where it has none. scratch: for the call; arena: keeps the text.
 */
enum { CASES_HEADLINE_BYTES = 200 };
const char *cases_wire_read_headline(const uint8_t *body, size_t size, struct jk_arena *scratch, struct jk_arena *arena);
