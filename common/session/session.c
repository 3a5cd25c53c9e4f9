/* session.c: the life of sessions, and what is sent to them. */
#include "session/session.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "base/jk_words.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/session.pb-c.h"
#include "session/session_internal.h"
#include "wire/wire_frame.h"

enum { SESSIONS_MAX = 4096, SESSIONS_PER_KEY_MAX = 64, ARENA_MIN_BYTES = 64 * 1024 };

static struct session_entry *entry_of(struct jk_session *session)
{
	return (struct session_entry *)session;
}

bool session_refresh(struct jk_sessions *sessions)
{
	const struct jk_registry *newest;

	if (sessions->registry != NULL && sessions->registry->version == jk_registry_version(sessions->watch))
		return true;
	if (sessions->registry != NULL && sessions->retired_count == SESSION_RETIRED_MAX)
		return false;
	newest = jk_registry_acquire(sessions->watch);
	if (newest == NULL)
		return true;
	if (sessions->registry != NULL)
		sessions->retired[sessions->retired_count++] = sessions->registry;
	sessions->registry = newest;
	sessions->registry_number++;
	return true;
}

bool session_key_is_good(struct jk_sessions *sessions, struct session_entry *entry)
{
	const struct jk_registry *registry = sessions->registry;
	const struct jk_session *session = &entry->session;
	const struct jk_registry_key *key;

	if (registry == NULL)
		return false;
	if (entry->checked == sessions->registry_number)
		return entry->expires_at_us == 0 || jk_time_now_us() < entry->expires_at_us;
	key = jk_registry_find_key(registry, session->curve_key);
	if (key == NULL || jk_registry_key_standing(key, jk_time_now_us()) != JK_STANDING_GOOD || key->realm != registry->realm ||
		key->key_id != session->key_id || key->agency->agency_id != session->agency_id ||
		(key->desk == NULL ? -1 : key->desk->desk_id) != session->desk_id ||
		(sessions->service.roles >> key->role & 1) == 0)
		return false;
	entry->checked = sessions->registry_number;
	entry->expires_at_us = key->expires_at_us;
	return true;
}

void session_end_silently(struct jk_sessions *sessions, struct session_entry *entry)
{
	if (!entry->session.ended)
		sessions->counts.ended++;
	session_table_end(&sessions->table, entry);
}

/* Nothing of ours is on the stack: frees what ended, and lets go of older snapshots. */
static void sweep(struct jk_sessions *sessions)
{
	struct session_table *table = &sessions->table;

	for (size_t i = 0; table->ended_count != 0 && i < table->count;) {
		struct session_entry *entry = table->entries[i];
		if (!entry->session.ended) {
			i++;
			continue;
		}
		if (sessions->service.on_end != NULL)
			sessions->service.on_end(sessions->service.service, &entry->session);
		session_table_remove(table, i);
	}
	while (sessions->retired_count != 0)
		jk_registry_release(sessions->watch, &sessions->retired[--sessions->retired_count]);
}

static void on_readable(void *arg)
{
	struct jk_sessions *sessions = arg;
	struct jk_received received;

	sweep(sessions);
	/* Bounded, so that a flood of messages does not keep the database and other sockets waiting. */
	for (int i = 0; i < SESSION_MESSAGES_A_TURN_MAX && jk_router_receive(sessions->router, &received); i++) {
		session_on_message(sessions, &received);
		jk_router_release(&received);
	}
}

static void on_tick(void *arg)
{
	struct jk_sessions *sessions = arg;
	int64_t now_ms = jk_time_mono_ms();

	sweep(sessions);
	(void)session_refresh(sessions);
	for (size_t i = 0; i < sessions->table.count; i++) {
		struct session_entry *entry = sessions->table.entries[i];
		if (entry->session.ended)
			continue;
		if (!session_key_is_good(sessions, entry))
			session_end_for_key(sessions, entry);
		else if (now_ms - entry->session.last_heard_ms > SESSION_SILENCE_MAX_MS)
			session_end_silently(sessions, entry); /* if it comes back it learns BAD_SESSION */
	}
	session_table_forget_keys(&sessions->table, now_ms);
	sweep(sessions);
}

static void on_guard(void *arg)
{
	jk_router_guard(((struct jk_sessions *)arg)->router);
}

enum jk_status jk_sessions_open(const struct jk_service *service, struct jk_loop *loop, struct jk_router *router,
	struct jk_registry_watch *watch, struct jk_sessions **ret_sessions)
{
	struct jk_sessions *sessions = calloc(1, sizeof *sessions);

	*ret_sessions = NULL;
	if (sessions == NULL)
		return JK_BROKEN;
	sessions->service = *service;
	sessions->router = router;
	sessions->watch = watch;
	if (sessions->service.sessions_max == 0)
		sessions->service.sessions_max = SESSIONS_MAX;
	if (sessions->service.sessions_per_key_max == 0)
		sessions->service.sessions_per_key_max = SESSIONS_PER_KEY_MAX;
	sessions->arena = jk_arena_new(service->arena_bytes < ARENA_MIN_BYTES ? ARENA_MIN_BYTES : service->arena_bytes);
	if (sessions->arena == NULL || session_table_init(&sessions->table, sessions->service.sessions_max) != JK_OK ||
		jk_loop_add_socket(loop, jk_router_socket(router), on_readable, sessions) != JK_OK ||
		jk_loop_add_timer(loop, SESSION_TICK_MS, on_tick, sessions) != JK_OK ||
		jk_loop_add_timer(loop, JK_ROUTER_GUARD_MS, on_guard, sessions) != JK_OK) {
		jk_sessions_close(&sessions);
		return JK_BROKEN;
	}
	(void)session_refresh(sessions);
	*ret_sessions = sessions;
	return JK_OK;
}

void jk_sessions_close(struct jk_sessions **sessions_p)
{
	struct jk_sessions *sessions = *sessions_p;

	*sessions_p = NULL;
	if (sessions == NULL)
		return;
	for (size_t i = 0; i < sessions->table.count; i++)
		jk_session_end(sessions, &sessions->table.entries[i]->session, JK_CODE_STOPPING, "the service stops");
	sweep(sessions);
	jk_registry_release(sessions->watch, &sessions->registry);
	session_table_done(&sessions->table);
	jk_arena_free(&sessions->arena);
	free(sessions->out);
	free(sessions);
}

static bool make_room(struct jk_sessions *sessions, size_t size)
{
	uint8_t *out;

	if (size <= sessions->out_capacity)
		return true;
	out = realloc(sessions->out, size);
	if (out == NULL)
		return false;
	sessions->out = out;
	sessions->out_capacity = size;
	return true;
}

enum jk_status session_send_to(
	struct jk_sessions *sessions, const struct jk_route *route, uint16_t kind, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);

	if (size > JK_BODY_MAX_BYTES)
		return JK_BROKEN;
	if (!make_room(sessions, size))
		return JK_RETRY;
	protobuf_c_message_pack(message, sessions->out);
	return jk_router_send(sessions->router, route, kind, sessions->out, size);
}

/* May anything be sent to it now? Asked anew before every message. */
static enum jk_status look_at_key(struct jk_sessions *sessions, struct jk_session *session)
{
	if (session->ended)
		return JK_BROKEN;
	if (!session_refresh(sessions))
		return JK_RETRY;
	if (session_key_is_good(sessions, entry_of(session)))
		return JK_OK;
	session_end_for_key(sessions, entry_of(session));
	return JK_BROKEN;
}

enum jk_status jk_session_send(
	struct jk_sessions *sessions, struct jk_session *session, uint16_t kind, const ProtobufCMessage *message)
{
	enum jk_status status = look_at_key(sessions, session);

	if (status != JK_OK)
		return status;
	status = session_send_to(sessions, &session->route, kind, message);
	if (status == JK_BROKEN)
		session_end_silently(sessions, entry_of(session));
	return status;
}

enum jk_status jk_session_send_packed(
	struct jk_sessions *sessions, struct jk_session *session, uint16_t kind, const uint8_t *body, size_t size)
{
	enum jk_status status = look_at_key(sessions, session);

	if (status != JK_OK)
		return status;
	status = jk_router_send(sessions->router, &session->route, kind, body, size);
	if (status == JK_BROKEN)
		session_end_silently(sessions, entry_of(session));
	return status;
}

/* protobuf-c's strings are not const; what it packs is only read. */
static char *text(const char *constant)
{
	union {
		const char *in;
		char *out;
	} pointer = {.in = constant};

	return pointer.out;
}

void session_send_bye(
	struct jk_sessions *sessions, const struct jk_route *route, uint64_t number, enum jk_code code, const char *reason)
{
	Jukwaa__V1__Bye bye = JUKWAA__V1__BYE__INIT;

	bye.session = number;
	bye.code = (Jukwaa__V1__Code)code;
	bye.reason = text(reason);
	/* Whoever cannot take it learns the same from BAD_SESSION. */
	if (session_send_to(sessions, route, JUKWAA__V1__KIND__KIND_BYE, &bye.base) != JK_OK)
		return;
}

/* Busy and stopping are ours, not the client's doing. */
static bool is_worth_a_line(enum jk_code code)
{
	return code != JK_CODE_UNAVAILABLE && code != JK_CODE_STOPPING && code != JK_CODE_REPLACED;
}

void session_log(
	struct jk_sessions *sessions, const uint8_t curve_key[32], const char *what, enum jk_code code, const char *field)
{
	int64_t now_ms = jk_time_mono_ms();
	struct session_key *kept = is_worth_a_line(code) ? session_table_key(&sessions->table, curve_key, now_ms) : NULL;
	struct session_told *told = kept == NULL ? NULL : &kept->told[((size_t)code + strlen(what)) % SESSION_TOLD_SLOTS];
	const struct jk_registry_key *key =
		sessions->registry == NULL ? NULL : jk_registry_find_key(sessions->registry, curve_key);
	char fingerprint[JK_FINGERPRINT_BYTES];

	if (told == NULL)
		return;
	if (told->at_ms != 0 && now_ms - told->at_ms < SESSION_LOG_MS) {
		told->untold++;
		return;
	}
	jk_key_fingerprint(fingerprint, curve_key);
	jk_log(JK_LOG_WARN, what, "key=%s agency=%s standing=%s code=%s field=%s untold=%u", fingerprint,
		key == NULL ? "" : key->agency->code,
		key == NULL ? "unknown" : jk_registry_standing_name(jk_registry_key_standing(key, jk_time_now_us())),
		jk_words_name(&jk_codes, (int)code), field, told->untold);
	*told = (struct session_told){.at_ms = now_ms};
}

void session_end_for_key(struct jk_sessions *sessions, struct session_entry *entry)
{
	session_log(sessions, entry->session.curve_key, "session_revoked", JK_CODE_REVOKED, "");
	jk_session_end(sessions, &entry->session, JK_CODE_REVOKED, "the key's registration was withdrawn or changed");
}

void session_refuse_to(struct jk_sessions *sessions, const struct jk_route *route, const uint8_t curve_key[32], uint64_t request,
	const struct jk_refusal *refusal)
{
	Jukwaa__V1__Refused refused = JUKWAA__V1__REFUSED__INIT;

	sessions->counts.refused++;
	session_log(sessions, curve_key, "refused", refusal->code, refusal->field);
	refused.request = request;
	refused.code = (Jukwaa__V1__Code)refusal->code;
	refused.field = text(refusal->field);
	refused.reason = text(refusal->reason);
	/* A lost refusal is a lost answer: the client repeats, and is refused again. */
	if (session_send_to(sessions, route, JUKWAA__V1__KIND__KIND_REFUSED, &refused.base) != JK_OK)
		return;
}

void jk_session_refuse(
	struct jk_sessions *sessions, struct jk_session *session, uint64_t request, const struct jk_refusal *refusal)
{
	if (!session->ended)
		session_refuse_to(sessions, &session->route, session->curve_key, request, refusal);
}

void jk_session_end(struct jk_sessions *sessions, struct jk_session *session, enum jk_code code, const char *reason)
{
	if (session->ended)
		return;
	session_send_bye(sessions, &session->route, session->number, code, reason);
	session_end_silently(sessions, entry_of(session));
}

void jk_session_log(
	struct jk_sessions *sessions, const struct jk_session *session, const char *what, enum jk_code code, const char *field)
{
	session_log(sessions, session->curve_key, what, code, field);
}

struct jk_session *jk_session_find(struct jk_sessions *sessions, uint64_t number)
{
	struct session_entry *entry = session_table_find(&sessions->table, number);

	return entry == NULL ? NULL : &entry->session;
}

void jk_sessions_each(struct jk_sessions *sessions, void (*visit)(void *arg, struct jk_session *session), void *arg)
{
	size_t count = sessions->table.count, from = count == 0 ? 0 : sessions->visit_from++ % count;

	for (size_t i = 0; i < count; i++) {
		struct jk_session *session = &sessions->table.entries[(from + i) % count]->session;
		if (!session->ended)
			visit(arg, session);
	}
}

size_t jk_sessions_count(const struct jk_sessions *sessions)
{
	return session_table_open_count(&sessions->table);
}

const struct jk_registry *jk_sessions_registry(struct jk_sessions *sessions)
{
	(void)session_refresh(sessions);
	return sessions->registry;
}

void jk_sessions_drain(struct jk_sessions *sessions)
{
	sessions->draining = true;
}

struct jk_sessions_counts jk_sessions_counts(const struct jk_sessions *sessions)
{
	return sessions->counts;
}
