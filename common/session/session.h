/* session.h: sessions on a ROUTER, the same for intake, dispatch and cases: receive -> identity -> decode and shape-check ->
 * authorise -> handler. Answers HELLO, PING, BAD_SESSION and refusals itself; ends sessions after three silent intervals, and
 * those of revoked and expired keys within one tick. Every refusal is logged with the key's fingerprint, a line a second for each
 * key and code at most. Used from the loop's thread. */
#pragma once

#include <protobuf-c/protobuf-c.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "bus/bus_loop.h"
#include "bus/bus_router.h"
#include "registry/registry.h"

struct jk_sessions;

/* One client. Fields are read-only to handlers except `user`. */
struct jk_session {
	uint64_t number; /* random, never 0 */
	struct jk_route route;
	uint8_t curve_key[32];
	int32_t key_id, agency_id, desk_id; /* desk_id -1: none */
	uint32_t window;
	int64_t last_heard_ms;
	bool ended; /* nothing more is sent or received; on_end and freeing follow when no handler is running */
	void *user; /* the service's own state; freed by its on_end */
};

struct jk_request {
	struct jk_session *session;
	const struct jk_registry *registry; /* of this turn */
	const struct jk_registry_key *key;  /* never NULL, revoked or expired */
	const ProtobufCMessage *message;    /* checked and unpacked; lives until the handler returns */
	const uint8_t *body;                /* its bytes */
	size_t body_size;
	struct jk_arena *arena; /* for the handler's needs until it returns */
};

/* What a kind is and who may send it. roles: bits 1 << JK_ROLE_…. */
struct jk_handler {
	uint16_t kind;
	const ProtobufCMessageDescriptor *type;
	unsigned roles;
	void (*on_message)(void *service, const struct jk_request *request);
	/* Offset of `uint64_t session` and `uint64_t request` in the unpacked struct (offsetof). request_offset 0: the message
	 * has none; such a message (an Ack) is taken while draining too. */
	size_t session_offset, request_offset;
	bool rate_limited; /* counts against the key's rate_limit; beyond it the answer is RATE_LIMITED */
};

struct jk_service {
	const char *name; /* "intake" */
	const struct jk_handler *handlers;
	size_t handler_count;
	void *service;                                              /* first argument of the callbacks */
	void (*on_open)(void *service, struct jk_session *session); /* may be NULL */
	/* May be NULL. Never called from within a handler or jk_session_send, but soon after, before the next message. */
	void (*on_end)(void *service, struct jk_session *session);
	unsigned roles; /* who may say HELLO */
	uint32_t window_default, window_max;
	size_t arena_bytes;               /* limit for one message unpacked; at least 64 KiB */
	uint32_t sessions_max;            /* 0: 4,096 */
	uint32_t sessions_per_key_max;    /* 0: 64 */
	uint32_t (*epoch)(void *service); /* for WELCOME; may be NULL */
};

/* Binds to the router and the loop (socket and a 250 ms timer). All are borrowed. */
enum jk_status jk_sessions_open(const struct jk_service *service, struct jk_loop *loop, struct jk_router *router,
	struct jk_registry_watch *watch, struct jk_sessions **ret_sessions) JK_MUST_CHECK;
void jk_sessions_close(struct jk_sessions **sessions_p);

/* Packs and sends. JK_RETRY: pipe full, keep it; JK_BROKEN: peer gone, key revoked or message too large (the session is ended).
 * Checks that the key is still good in the newest snapshot before every message. */
enum jk_status jk_session_send(
	struct jk_sessions *sessions, struct jk_session *session, uint16_t kind, const ProtobufCMessage *message) JK_MUST_CHECK;
/* The same for a body that is packed already. */
enum jk_status jk_session_send_packed(
	struct jk_sessions *sessions, struct jk_session *session, uint16_t kind, const uint8_t *body, size_t size) JK_MUST_CHECK;
void jk_session_refuse(
	struct jk_sessions *sessions, struct jk_session *session, uint64_t request, const struct jk_refusal *refusal);
/* For a refusal that the service gives in another form (a receipt): the line that tells the operator, under the same limit as all
 * about this key. what: the event's name. */
void jk_session_log(
	struct jk_sessions *sessions, const struct jk_session *session, const char *what, enum jk_code code, const char *field);
/* Sends BYE and ends it. */
void jk_session_end(struct jk_sessions *sessions, struct jk_session *session, enum jk_code code, const char *reason);
/* NULL when no such session is open. */
struct jk_session *jk_session_find(struct jk_sessions *sessions, uint64_t number);
/* Calls visit for each open session, starting one further each time (round robin). */
void jk_sessions_each(struct jk_sessions *sessions, void (*visit)(void *arg, struct jk_session *session), void *arg);
size_t jk_sessions_count(const struct jk_sessions *sessions);
/* The newest snapshot; NULL before the first. Stays valid until the caller returns to the loop. */
const struct jk_registry *jk_sessions_registry(struct jk_sessions *sessions);
/* Stop taking new work: HELLO and commands are answered STOPPING; what is in flight goes on. */
void jk_sessions_drain(struct jk_sessions *sessions);

struct jk_sessions_counts {
	uint64_t opened, ended, refused, malformed, unknown_kind, rate_limited, bad_session;
};
struct jk_sessions_counts jk_sessions_counts(const struct jk_sessions *sessions);
