/* session_internal.h: what session.c and session_message.c share. */
#pragma once

#include "session/session_table.h"

enum {
	SESSION_PING_INTERVAL_MS = 5000,
	SESSION_SILENCE_MAX_MS = 3 * SESSION_PING_INTERVAL_MS,
	SESSION_TICK_MS = 250,
	SESSION_MESSAGES_A_TURN_MAX = 32, /* a report takes 25 us to read; whoever else is ready waits that long */
	SESSION_RETIRED_MAX = 8,
	SESSION_LOG_MS = 1000, /* between two lines about one key's refusals */
};

struct jk_sessions {
	struct jk_service service;
	struct jk_router *router;
	struct jk_registry_watch *watch;
	struct session_table table;
	struct jk_arena *arena;             /* of the message being handled */
	const struct jk_registry *registry; /* newest one taken */
	uint64_t registry_number;           /* counts those taken */
	/* Older ones that a handler or caller of this turn may still look at. */
	const struct jk_registry *retired[SESSION_RETIRED_MAX];
	size_t retired_count;
	size_t visit_from; /* round robin of jk_sessions_each */
	bool draining;
	uint8_t *out; /* packed messages on their way out */
	size_t out_capacity;
	struct jk_sessions_counts counts;
};

/* Takes the newest snapshot. False: there is a newer one that cannot be taken now, so nothing may be sent. */
bool session_refresh(struct jk_sessions *sessions);
/* True while the session's key is registered as it was when it said HELLO, neither revoked nor expired. */
bool session_key_is_good(struct jk_sessions *sessions, struct session_entry *entry);
/* Packs and sends to a route without any session. */
enum jk_status session_send_to(
	struct jk_sessions *sessions, const struct jk_route *route, uint16_t kind, const ProtobufCMessage *message) JK_MUST_CHECK;
void session_send_bye(
	struct jk_sessions *sessions, const struct jk_route *route, uint64_t number, enum jk_code code, const char *reason);
void session_refuse_to(struct jk_sessions *sessions, const struct jk_route *route, const uint8_t curve_key[32], uint64_t request,
	const struct jk_refusal *refusal);
/* The line that tells the operator of it. what: the event's name. */
void session_log(
	struct jk_sessions *sessions, const uint8_t curve_key[32], const char *what, enum jk_code code, const char *field);
/* Sends BYE to a session whose key may not be used any more, and ends it. */
void session_end_for_key(struct jk_sessions *sessions, struct session_entry *entry);
/* Ends it without a word. */
void session_end_silently(struct jk_sessions *sessions, struct session_entry *entry);

/* receive -> identity -> decode and shape-check -> authorise -> handler, for one message. */
void session_on_message(struct jk_sessions *sessions, const struct jk_received *received);
