/* dispatch_unit_wire.h: protobuf <-> units and help between agencies (proto/jukwaa/v1/unit.proto, Work and Acted). What comes in
 * is checked here for its shape. Not here: deciding, storing. */
#pragma once

#include "dispatch_recommend_rules.h"
#include "dispatch_unit.h"
#include "session/session.h"

enum dispatch_unit_action {
	DISPATCH_ORDER_ADD,
	DISPATCH_ORDER_CHANGE,
	DISPATCH_ORDER_REMOVE,
	DISPATCH_ORDER_POSITION,
	DISPATCH_ORDER_ASSIGN,
	DISPATCH_ORDER_ADVANCE,
	DISPATCH_ORDER_OUT,
	DISPATCH_ORDER_IN,
};

/* A UnitCommand. Texts are borrowed from the message. */
struct dispatch_unit_order {
	enum dispatch_unit_action action;
	struct jk_id unit_id; /* zero: by its code */
	const char *code;
	uint32_t version;                   /* 0: any */
	struct dispatch_unit_record record; /* desk_id is left -1 */
	const char *desk;                   /* its code; "": any */
	double lat, lon;
	struct jk_id incident_id;
	enum dispatch_unit_state to;
	const char *reason;
};

/* An AidCommand. */
struct dispatch_aid_order {
	enum dispatch_aid_event event;
	struct jk_id aid_id, incident_id;
	uint32_t version;
	const char *capability, *to_agency, *reason;
	int32_t count;
	int64_t needed_by_us; /* 0: none */
};

bool dispatch_unit_wire_is_unit(const ProtobufCMessage *message);
/* False: refused. */
bool dispatch_unit_wire_read(
	const ProtobufCMessage *message, struct dispatch_unit_order *ret_order, struct jk_refusal *ret_refusal);
bool dispatch_unit_wire_read_aid(
	const ProtobufCMessage *message, struct dispatch_aid_order *ret_order, struct jk_refusal *ret_refusal);

/* Handler rows for the session layer. */
enum { DISPATCH_UNIT_HANDLERS = 5 };
typedef void dispatch_unit_on_message(void *service, const struct jk_request *request);
void dispatch_unit_wire_handlers(struct jk_handler ret_handlers[DISPATCH_UNIT_HANDLERS], dispatch_unit_on_message *on_command,
	dispatch_unit_on_message *on_question);

/* ---- what was done ---- */

/* Who did it; both "" where that is not to be told. */
struct dispatch_actor {
	const char *agency, *desk;
};
struct dispatch_told_unit {
	const struct jk_id *assignment_id;
	const char *code, *discipline, *reason;
	enum dispatch_unit_state from, to;
};
struct dispatch_told_aid {
	const struct dispatch_aid *aid;
	enum dispatch_aid_state from;
	const char *giver; /* "": all, or not to be told */
	int32_t count;
};
/* Packed Work, in the arena; size 0: it is full. */
struct jk_span dispatch_unit_wire_work(
	struct jk_arena *arena, int64_t at_us, const struct dispatch_actor *actor, const struct dispatch_told_unit *told);
struct jk_span dispatch_unit_wire_aid_work(
	struct jk_arena *arena, int64_t at_us, const struct dispatch_actor *actor, const struct dispatch_told_aid *told);
/* Packed Acted. */
struct jk_span dispatch_unit_wire_acted(struct jk_arena *arena, int64_t at_us, const struct dispatch_acted *acted);

/* ---- questions ---- */

enum dispatch_unit_asks { DISPATCH_ASKS_UNITS, DISPATCH_ASKS_NEAREST, DISPATCH_ASKS_AID, DISPATCH_ASKS_LADDER };
enum { DISPATCH_UNIT_PAGE_MAX = 500, DISPATCH_UNIT_PAGE_DEFAULT = 50, DISPATCH_NEAREST_MAX = 50, DISPATCH_NEAREST_DEFAULT = 10 };

/* UnitList, UnitRecommend or AidList, its own memory. */
struct dispatch_unit_question {
	enum dispatch_unit_asks asks;
	uint64_t session, request;
	int state; /* 0: every */
	char discipline[JK_DISCIPLINE_BYTES];
	char code[DISPATCH_UNIT_CODE_BYTES];
	char capabilities[DISPATCH_CAPABILITIES_BYTES];
	size_t limit;
	char after[DISPATCH_UNIT_CODE_BYTES]; /* of UnitList */
	struct jk_id after_id, incident_id;   /* of AidList: below this id; zero: from the newest */
};
bool dispatch_unit_wire_read_question(
	const ProtobufCMessage *message, struct dispatch_unit_question *ret, struct jk_refusal *ret_refusal);

/* Answers, put together in the arena and sent; JK_BROKEN too when it is full. Of units beyond the question's limit: there is
 * another page. more: where the next page of aid begins; NULL: there is none. */
enum jk_status dispatch_unit_wire_send_units(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_unit *units, struct jk_arena *arena) JK_MUST_CHECK;
enum jk_status dispatch_unit_wire_send_aids(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_aid *aids, const struct jk_id *more,
	struct jk_arena *arena) JK_MUST_CHECK;
enum jk_status dispatch_unit_wire_send_ladder(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, struct jk_arena *arena) JK_MUST_CHECK;
enum jk_status dispatch_unit_wire_send_nearest(struct jk_sessions *sessions, struct jk_session *session,
	const struct dispatch_unit_question *question, const struct dispatch_nearest *nearest,
	struct jk_arena *arena) JK_MUST_CHECK;
