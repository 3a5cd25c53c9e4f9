/* The session layer with messages as a peer may send them, one after another: known, revoked and unknown keys, any route, any
 * kind, any body. There is no socket: what is sent is looked at instead. A message is: who (1 byte), kind (1), size of the
 * body (2), body; a Publish or Ping in which bit 7 of `who` is set gets the number of the newest session. */
#include "base/jk_log.h"
#include "bus/bus_router.h"
#include "fuzz.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "registry/registry_snapshot.h"
#include "session/session_internal.h"
#include "wire/wire_body.h"

enum { KEYS = 4, UNKNOWN = 3, MESSAGES_MAX = 64 };

static struct {
	struct jk_sessions *sessions;
	uint64_t newest; /* session number of the last WELCOME */
	bool known;      /* the sender of the message under way is in the registry and not revoked */
} house;

/* ---- in place of the socket ---- */

void *jk_router_socket(struct jk_router *router)
{
	(void)router;
	return &house;
}

bool jk_router_receive(struct jk_router *router, struct jk_received *ret)
{
	(void)router;
	(void)ret;
	return false;
}

void jk_router_release(struct jk_received *received)
{
	(void)received;
}

void jk_router_cut(struct jk_router *router, const struct jk_received *received)
{
	(void)router;
	(void)received;
}

void jk_router_guard(struct jk_router *router)
{
	(void)router;
}

enum jk_status jk_router_send(
	struct jk_router *router, const struct jk_route *route, uint16_t kind, const void *body, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {
		[JUKWAA__V1__KIND__KIND_WELCOME] = &jukwaa__v1__welcome__descriptor,
		[JUKWAA__V1__KIND__KIND_PONG] = &jukwaa__v1__pong__descriptor,
		[JUKWAA__V1__KIND__KIND_BAD_SESSION] = &jukwaa__v1__bad_session__descriptor,
		[JUKWAA__V1__KIND__KIND_REFUSED] = &jukwaa__v1__refused__descriptor,
		[JUKWAA__V1__KIND__KIND_BYE] = &jukwaa__v1__bye__descriptor};
	struct jk_refusal refusal;
	Jukwaa__V1__Welcome *welcome;

	(void)router;
	fuzz_must(route->size <= sizeof route->bytes && kind < sizeof types / sizeof *types && types[kind] != NULL);
	fuzz_must(jk_body_check(types[kind], body, size, &refusal));
	fuzz_must(house.known || kind != JUKWAA__V1__KIND__KIND_WELCOME);
	if (kind == JUKWAA__V1__KIND__KIND_WELCOME) {
		welcome = jukwaa__v1__welcome__unpack(NULL, size, body);
		fuzz_must(welcome != NULL);
		house.newest = welcome->session;
		jukwaa__v1__welcome__free_unpacked(welcome, NULL);
	}
	return JK_OK;
}

/* ---- the service ---- */

static void on_message(void *service, const struct jk_request *request)
{
	(void)service;
	fuzz_must(house.known && !request->session->ended && !request->key->revoked);
	if (request->message->descriptor == &jukwaa__v1__case_show__descriptor)
		jk_session_end(house.sessions, request->session, JK_CODE_REPLACED, "enough");
}

static const struct jk_handler handlers[] = {
	{.kind = JUKWAA__V1__KIND__KIND_PUBLISH,
		.type = &jukwaa__v1__publish__descriptor,
		.roles = 1U << JK_ROLE_PUBLISHER,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__Publish, session),
		.request_offset = offsetof(Jukwaa__V1__Publish, request),
		.rate_limited = true},
	{.kind = JUKWAA__V1__KIND__KIND_ACK,
		.type = &jukwaa__v1__ack__descriptor,
		.roles = 1U << JK_ROLE_PUBLISHER | 1U << JK_ROLE_DESK,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__Ack, session)},
	{.kind = JUKWAA__V1__KIND__KIND_CASE_SHOW,
		.type = &jukwaa__v1__case_show__descriptor,
		.roles = 1U << JK_ROLE_DESK,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseShow, session),
		.request_offset = offsetof(Jukwaa__V1__CaseShow, request)},
};

static struct jk_registry_watch *open_watch(void)
{
	static const struct jk_agency agencies[] = {{.agency_id = 1, .code = "NPS"}};
	static const struct jk_desk desks[] = {{.desk_id = 1, .agency_id = 1, .code = "NAIROBI"}};
	const struct registry_key_row rows[] = {
		{.curve_key = {0}, .key_id = 1, .agency_id = 1, .desk_id = -1, .role = JK_ROLE_PUBLISHER, .realm = JK_REALM_LIVE},
		{.curve_key = {1}, .key_id = 2, .agency_id = 1, .desk_id = 1, .role = JK_ROLE_DESK, .realm = JK_REALM_LIVE},
		{.curve_key = {2},
			.key_id = 3,
			.agency_id = 1,
			.desk_id = -1,
			.revoked = true,
			.role = JK_ROLE_PUBLISHER,
			.realm = JK_REALM_LIVE},
	};
	const struct registry_rows all = {.version = 1,
		.realm = JK_REALM_LIVE,
		.agencies = agencies,
		.agency_count = 1,
		.desks = desks,
		.desk_count = 1,
		.keys = rows,
		.key_count = UNKNOWN};
	struct jk_registry *registry;
	struct jk_registry_watch *watch = NULL;
	struct jk_refusal refusal;

	fuzz_must(registry_build(&all, &registry, &refusal) == JK_OK && registry_watch_open_fixed(&registry, &watch) == JK_OK);
	return watch;
}

static void open_house(void)
{
	static const struct jk_service service = {.name = "fuzz",
		.handlers = handlers,
		.handler_count = sizeof handlers / sizeof *handlers,
		.roles = 1U << JK_ROLE_PUBLISHER | 1U << JK_ROLE_DESK,
		.window_default = 64,
		.window_max = 256,
		.sessions_max = 8};
	static struct jk_registry_watch *watch;
	static struct jk_loop *loop;

	if (watch == NULL) {
		jk_log_init("fuzz", false, JK_LOG_ERROR); /* refusals are warnings: gigabytes in half an hour */
		watch = open_watch();
		fuzz_must(jk_crypt_init() == JK_OK);
	}
	jk_loop_free(&loop);
	fuzz_must((loop = jk_loop_new()) != NULL);
	fuzz_must(jk_sessions_open(&service, loop, NULL, watch, &house.sessions) == JK_OK);
	house.newest = 0;
}

/* ---- messages ---- */

/* The session's number as field 1 in front: a number set twice is refused, so the body must bring none of its own. */
static size_t put_session(uint8_t *ret)
{
	uint64_t number = house.newest;
	size_t size = 0;

	ret[size++] = 0x08;
	for (; number > 0x7f; number >>= 7)
		ret[size++] = (uint8_t)(number | 0x80);
	ret[size++] = (uint8_t)number;
	return size;
}

static size_t take_message(const uint8_t *bytes, size_t size)
{
	size_t body_size = (size_t)bytes[2] << 8 | bytes[3], taken, front = 0;
	uint8_t *body = malloc(body_size + 16);
	struct jk_received received = {.kind = bytes[1], .other_version = bytes[0] & 0x40};

	fuzz_must(body != NULL);
	if (body_size > size - 4)
		body_size = size - 4;
	if (bytes[0] & 0x80)
		front = put_session(body);
	memcpy(body + front, bytes + 4, body_size);
	taken = 4 + body_size;
	received.curve_key[0] = bytes[0] % KEYS;
	received.route.size = bytes[0] >> 2 & 7;
	received.route.bytes[0] = (uint8_t)(bytes[0] % KEYS);
	received.body = body;
	received.body_size = front + body_size;
	house.known = received.curve_key[0] < 2;
	session_on_message(house.sessions, &received);
	free(body);
	return taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	open_house();
	for (int i = 0; i < MESSAGES_MAX && size >= 4; i++) {
		size_t taken = take_message(bytes, size);
		bytes += taken;
		size -= taken;
	}
	house.known = true; /* BYE to all */
	jk_sessions_close(&house.sessions);
	return 0;
}
