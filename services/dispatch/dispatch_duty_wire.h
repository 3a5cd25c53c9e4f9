/* dispatch_duty_wire.h: protobuf <-> duties (proto/jukwaa/v1/duty.proto, work.proto, and the mails of feed.proto). */
#pragma once

#include "crypt/crypt.h"
#include "dispatch_duty_batch.h"
#include "session/session.h"

/* ---- what is told ---- */

/* A step of a duty as group WORK. Texts "" where there is none. */
struct dispatch_duty_work {
	const struct dispatch_duty *duty;
	enum dispatch_duty_action action;
	int64_t at_us, due_us;
	const char *by_agency, *by_desk, *desk, *reason, *role;
	int disposition;
};
/* Packed into arena memory; size 0: the arena is full. */
struct jk_span dispatch_duty_wire_work(const struct dispatch_duty_work *work, struct jk_arena *arena);
struct jk_span dispatch_duty_wire_acted(
	const char *step, const char *desk, const char *agency, const struct dispatch_duty *duty, struct jk_arena *arena);
struct jk_span dispatch_duty_wire_unanswered(const struct dispatch_duty *duty, uint32_t desks_asked, struct jk_arena *arena);

/* ---- commands ---- */

struct dispatch_duty_command {
	enum dispatch_duty_event event;
	bool all; /* HAND_OVER of all that the desk holds: no duty_id */
	struct jk_id duty_id;
	int32_t version;
	int disposition;
	const char *desk, *reason; /* borrowed from the message */
};
void dispatch_duty_wire_command_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request));
/* The id alone, whatever else is wrong; zero: none that is one. */
struct jk_id dispatch_duty_wire_command_duty(const ProtobufCMessage *message);
bool dispatch_duty_wire_read_command(
	const ProtobufCMessage *message, struct dispatch_duty_command *ret, struct jk_refusal *ret_refusal);

/* ---- lists and offers ---- */

enum { DISPATCH_OFFER_PAGE_BYTES = 24, DISPATCH_OFFERS_MAX = 200, DISPATCH_OFFERS_DEFAULT = 50 };
/* jukwaa.v1.OfferStanding */
enum dispatch_offer_standing {
	DISPATCH_STANDING_ASKED = 1,
	DISPATCH_STANDING_HOLDER = 2,
	DISPATCH_STANDING_PAST = 3,
	DISPATCH_STANDING_FORMER_HOLDER = 4,
	DISPATCH_STANDING_TOLD = 5,
};
enum dispatch_offer_filter { DISPATCH_FILTER_OPEN = 1, DISPATCH_FILTER_HELD = 2, DISPATCH_FILTER_ALL = 3 };

/* After (at, duty_id), downwards; the first page is after the end of time. */
struct dispatch_offer_place {
	int64_t at_us;
	struct jk_id duty_id;
};
struct dispatch_offer_ask {
	enum dispatch_offer_filter filter;
	uint32_t limit;
	struct dispatch_offer_place after;
};
void dispatch_duty_wire_list_handler(
	struct jk_handler *ret_handler, void (*on_message)(void *service, const struct jk_request *request));
uint64_t dispatch_duty_wire_list_request(const struct jk_request *request);
bool dispatch_duty_wire_read_list(
	const struct jk_request *request, struct dispatch_offer_ask *ret, struct jk_refusal *ret_refusal);

/* One duty as a desk sees it. Not shown: what is about the incident stays empty. */
struct dispatch_offer {
	struct dispatch_duty duty;
	struct dispatch_duty_incident incident;
	enum dispatch_offer_standing standing;
	int64_t at_us, due_us;
	int32_t desk_id, number; /* whose it is; offer_no, or of one that is told -escalation_id */
	int32_t role, times;
	bool shown;
	char holder[33], allowed_by[56];
	char reason[DISPATCH_REASON_MAX_BYTES + 1];
};
enum jk_status dispatch_duty_wire_send_offered(
	struct jk_sessions *sessions, struct jk_session *session, const struct dispatch_offer *offer) JK_MUST_CHECK;
/* next NULL: there is no more. */
enum jk_status dispatch_duty_wire_send_listed(struct jk_sessions *sessions, struct jk_session *session, uint64_t request,
	const struct dispatch_offer *offers, size_t count, const struct dispatch_offer_place *next) JK_MUST_CHECK;
