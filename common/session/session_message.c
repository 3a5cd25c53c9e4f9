/* session_message.c: one message, step by step; each step answers a refusal itself and then stops. */
#include <string.h>

#include "base/jk_time.h"
#include "jukwaa/v1/session.pb-c.h"
#include "session/session_internal.h"
#include "wire/wire_body.h"
#include "wire/wire_frame.h"

enum { CLIENT_NAME_MAX_BYTES = 64 };

/* The message on its way through the steps. */
struct incoming {
	struct jk_sessions *sessions;
	const struct jk_received *received;
	const struct jk_registry *registry;
	const struct jk_registry_key *key;
	int64_t now_ms;
};

static void refuse(const struct incoming *incoming, uint64_t request, enum jk_code code, const char *field, const char *reason)
{
	struct jk_refusal refusal;

	(void)jk_refuse(&refusal, code, field, "%s", reason);
	session_refuse_to(incoming->sessions, &incoming->received->route, incoming->received->curve_key, request, &refusal);
}

static char *mutable_text(const char *constant)
{
	union {
		const char *in;
		char *out;
	} pointer = {.in = constant};

	return pointer.out;
}

/* A key that is revoked or expired, or gone from the registry. Cutting would overtake a BYE that is still on its way out, so
 * whoever has a session is told and ended; whoever has none was told before, or learns it at the door when it comes back. */
static void turn_away(const struct incoming *incoming)
{
	struct jk_sessions *sessions = incoming->sessions;
	struct session_entry *entry = session_table_find_route(&sessions->table, &incoming->received->route);

	sessions->counts.refused++;
	if (entry != NULL) {
		session_end_for_key(sessions, entry);
	} else {
		session_log(sessions, incoming->received->curve_key, "turned_away", JK_CODE_REVOKED, "");
		jk_router_cut(sessions->router, incoming->received);
	}
}

/* Who is it? Answers and returns false when the message goes no further. */
static bool identify(struct incoming *incoming)
{
	struct jk_sessions *sessions = incoming->sessions;

	if (!session_refresh(sessions) || sessions->registry == NULL) {
		refuse(incoming, 0, JK_CODE_UNAVAILABLE, "", "the service is starting, try again");
		return false;
	}
	incoming->registry = sessions->registry;
	incoming->key = jk_registry_find_key(incoming->registry, incoming->received->curve_key);
	if (incoming->key == NULL || jk_registry_key_standing(incoming->key, jk_time_now_us()) != JK_STANDING_GOOD) {
		turn_away(incoming);
		return false;
	}
	if (incoming->received->other_version) {
		refuse(incoming, 0, JK_CODE_UNSUPPORTED_VERSION, "version", "this service speaks version 1 of the protocol");
		return false;
	}
	if (incoming->key->realm != incoming->registry->realm) {
		refuse(incoming, 0, JK_CODE_WRONG_REALM, "realm", "the key is registered for the other realm");
		return false;
	}
	return true;
}

static ProtobufCMessage *unpack(const struct incoming *incoming, const ProtobufCMessageDescriptor *type)
{
	struct jk_sessions *sessions = incoming->sessions;
	struct jk_refusal refusal;
	ProtobufCMessage *message;

	jk_arena_reset(sessions->arena);
	message = jk_body_unpack(type, incoming->received->body, incoming->received->body_size, sessions->arena, &refusal);
	if (message == NULL) {
		sessions->counts.malformed++;
		session_refuse_to(sessions, &incoming->received->route, incoming->received->curve_key, 0, &refusal);
	}
	return message;
}

/* The open session of that number, if it is this peer's; else answers BAD_SESSION. */
static struct session_entry *claim_session(const struct incoming *incoming, uint64_t number)
{
	struct jk_sessions *sessions = incoming->sessions;
	const struct jk_received *received = incoming->received;
	struct session_entry *entry = session_table_find(&sessions->table, number);
	Jukwaa__V1__BadSession bad = JUKWAA__V1__BAD_SESSION__INIT;

	if (entry != NULL && entry->session.route.size == received->route.size &&
		memcmp(entry->session.route.bytes, received->route.bytes, received->route.size) == 0 &&
		memcmp(entry->session.curve_key, received->curve_key, sizeof received->curve_key) == 0 &&
		session_key_is_good(sessions, entry)) {
		entry->session.last_heard_ms = incoming->now_ms;
		return entry;
	}
	sessions->counts.bad_session++;
	if (entry != NULL) /* somebody else's */
		session_log(sessions, received->curve_key, "foreign_session", JK_CODE_NOT_PERMITTED, "session");
	bad.session = number;
	/* Should it be lost, the client's next message asks again. */
	if (session_send_to(sessions, &received->route, JUKWAA__V1__KIND__KIND_BAD_SESSION, &bad.base) != JK_OK)
		return NULL;
	return NULL;
}

/* Who may open a session, and how many. */
static bool admit(const struct incoming *incoming, const Jukwaa__V1__Hello *hello)
{
	struct jk_sessions *sessions = incoming->sessions;
	const struct jk_service *service = &sessions->service;

	if (sessions->draining)
		refuse(incoming, 0, JK_CODE_STOPPING, "", "the service stops, try again");
	else if ((service->roles >> incoming->key->role & 1) == 0)
		refuse(incoming, 0, JK_CODE_NOT_PERMITTED, "", "this service does not serve the key's role");
	else if (hello->realm != JUKWAA__V1__REALM__REALM_UNSPECIFIED && (int)hello->realm != (int)incoming->registry->realm)
		refuse(incoming, 0, JK_CODE_WRONG_REALM, "realm", "this service serves the other realm");
	else if (strlen(hello->client) > CLIENT_NAME_MAX_BYTES)
		refuse(incoming, 0, JK_CODE_RULE_VIOLATION, "client", "at most 64 bytes");
	else if (session_table_open_count(&sessions->table) >= service->sessions_max)
		refuse(incoming, 0, JK_CODE_UNAVAILABLE, "", "too many sessions are open here, try again");
	else if (session_table_open_of_key(&sessions->table, incoming->key->curve_key) >= service->sessions_per_key_max)
		refuse(incoming, 0, JK_CODE_UNAVAILABLE, "", "too many sessions of this key are open here");
	else
		return true;
	return false;
}

static uint64_t new_number(const struct session_table *table)
{
	uint64_t number;

	do
		jk_random(&number, sizeof number);
	while (number == 0 || session_table_find(table, number) != NULL);
	return number;
}

static struct session_entry *open_session(const struct incoming *incoming, uint32_t window_asked)
{
	struct jk_sessions *sessions = incoming->sessions;
	const struct jk_service *service = &sessions->service;
	const struct jk_registry_key *key = incoming->key;
	uint32_t window = window_asked == 0 ? service->window_default : window_asked;
	struct jk_session session = {
		.number = new_number(&sessions->table),
		.route = incoming->received->route,
		.key_id = key->key_id,
		.agency_id = key->agency->agency_id,
		.desk_id = key->desk == NULL ? -1 : key->desk->desk_id,
		.window = window < service->window_max ? window : service->window_max,
		.last_heard_ms = incoming->now_ms,
	};
	struct session_entry *entry;

	memcpy(session.curve_key, key->curve_key, sizeof session.curve_key);
	entry = session_table_add(&sessions->table, &session, incoming->now_ms);
	if (entry != NULL)
		sessions->counts.opened++;
	return entry;
}

static void on_hello(const struct incoming *incoming)
{
	struct jk_sessions *sessions = incoming->sessions;
	const struct jk_service *service = &sessions->service;
	const struct jk_registry_key *key = incoming->key;
	const struct jk_route *route = &incoming->received->route;
	const Jukwaa__V1__Hello *hello = (const Jukwaa__V1__Hello *)unpack(incoming, &jukwaa__v1__hello__descriptor);
	Jukwaa__V1__Welcome welcome = JUKWAA__V1__WELCOME__INIT;
	struct session_entry *entry = session_table_find_route(&sessions->table, route);

	if (hello == NULL)
		return;
	/* A client that says HELLO again has given up what it had. */
	if (entry != NULL)
		session_end_silently(sessions, entry);
	if (!admit(incoming, hello))
		return;
	entry = open_session(incoming, hello->window);
	if (entry == NULL) {
		refuse(incoming, 0, JK_CODE_UNAVAILABLE, "", "no memory for a session, try again");
		return;
	}
	welcome.session = entry->session.number;
	welcome.realm = (Jukwaa__V1__Realm)incoming->registry->realm;
	welcome.epoch = service->epoch == NULL ? 0 : service->epoch(service->service);
	welcome.window = entry->session.window;
	welcome.ping_interval_ms = SESSION_PING_INTERVAL_MS;
	welcome.agency = mutable_text(key->agency->code);
	welcome.desk = mutable_text(key->desk == NULL ? "" : key->desk->code);
	welcome.role = (Jukwaa__V1__Role)key->role;
	welcome.body_max_bytes = JK_BODY_MAX_BYTES;
	welcome.service = mutable_text(service->name);
	if (service->on_open != NULL)
		service->on_open(service->service, &entry->session);
	/* Without WELCOME the client says HELLO again. */
	if (!entry->session.ended && session_send_to(sessions, route, JUKWAA__V1__KIND__KIND_WELCOME, &welcome.base) != JK_OK)
		session_end_silently(sessions, entry);
}

static void on_ping(const struct incoming *incoming)
{
	const Jukwaa__V1__Ping *ping = (const Jukwaa__V1__Ping *)unpack(incoming, &jukwaa__v1__ping__descriptor);
	Jukwaa__V1__Pong pong = JUKWAA__V1__PONG__INIT;

	if (ping == NULL || claim_session(incoming, ping->session) == NULL)
		return;
	pong.session = ping->session;
	/* Any other message is a sign of life too. */
	if (session_send_to(incoming->sessions, &incoming->received->route, JUKWAA__V1__KIND__KIND_PONG, &pong.base) != JK_OK)
		return;
}

static const struct jk_handler *find_handler(const struct jk_service *service, uint16_t kind)
{
	for (size_t i = 0; i < service->handler_count; i++)
		if (service->handlers[i].kind == kind)
			return &service->handlers[i];
	return NULL;
}

static uint64_t number_at(const ProtobufCMessage *message, size_t offset)
{
	uint64_t number;

	memcpy(&number, (const char *)message + offset, sizeof number);
	return number;
}

/* May this key do that now? */
static bool authorise(
	const struct incoming *incoming, const struct jk_handler *handler, struct session_entry *entry, uint64_t request)
{
	struct jk_sessions *sessions = incoming->sessions;

	if ((handler->roles >> incoming->key->role & 1) == 0) {
		refuse(incoming, request, JK_CODE_NOT_PERMITTED, "", "the key's role may not do this");
		return false;
	}
	if (sessions->draining && handler->request_offset != 0) {
		refuse(incoming, request, JK_CODE_STOPPING, "", "the service stops, try again");
		return false;
	}
	if (handler->rate_limited && !session_key_take(entry->key, incoming->key->rate_limit, incoming->now_ms)) {
		sessions->counts.rate_limited++;
		refuse(incoming, request, JK_CODE_RATE_LIMITED, "", "more than the key's rate limit, try again later");
		return false;
	}
	return true;
}

static void on_command(const struct incoming *incoming, const struct jk_handler *handler)
{
	struct jk_sessions *sessions = incoming->sessions;
	const ProtobufCMessage *message = unpack(incoming, handler->type);
	struct session_entry *entry;
	uint64_t request;

	if (message == NULL)
		return;
	entry = claim_session(incoming, number_at(message, handler->session_offset));
	request = handler->request_offset == 0 ? 0 : number_at(message, handler->request_offset);
	if (entry == NULL || !authorise(incoming, handler, entry, request))
		return;
	handler->on_message(sessions->service.service, &(const struct jk_request){.session = &entry->session,
							       .registry = incoming->registry,
							       .key = incoming->key,
							       .message = message,
							       .body = incoming->received->body,
							       .body_size = incoming->received->body_size,
							       .arena = sessions->arena});
}

void session_on_message(struct jk_sessions *sessions, const struct jk_received *received)
{
	struct incoming incoming = {.sessions = sessions, .received = received, .now_ms = jk_time_mono_ms()};
	const struct jk_handler *handler;

	if (!identify(&incoming))
		return;
	if (received->kind == JUKWAA__V1__KIND__KIND_HELLO) {
		on_hello(&incoming);
	} else if (received->kind == JUKWAA__V1__KIND__KIND_PING) {
		on_ping(&incoming);
	} else if ((handler = find_handler(&sessions->service, received->kind)) != NULL) {
		on_command(&incoming, handler);
	} else {
		sessions->counts.unknown_kind++;
		refuse(&incoming, 0, JK_CODE_NOT_WELL_FORMED, "kind", "this service does not know the kind of message");
	}
}
