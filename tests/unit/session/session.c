/* Sessions over a real ROUTER and real DEALERs on loopback, with a registry made by hand. The service runs in a thread of its
 * own, as a process would; what is checked is what a client sees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "bus/bus_internal.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "registry/registry_snapshot.h"
#include "session/session.h"
#include "wire/wire_frame.h"

enum { WAIT_MS = 5000, QUIET_MS = 400, NPS = 1, KRCS = 2, DESK = 10, DEALERS_MAX = 8 };
enum who { PUBLISHER, LIMITED, AT_DESK, OPERATOR, OTHER_REALM, REVOKED, UNKNOWN, WHO_COUNT };
#define ROLE(role) (1U << JK_ROLE_##role)

struct fixture {
	struct jk_key server, keys[WHO_COUNT];
	struct jk_bus *bus;
	struct jk_router *router;
	struct jk_loop *loop;
	struct jk_registry_watch *watch;
	struct jk_sessions *sessions;
	pthread_t thread;
	struct jk_dealer *dealers[DEALERS_MAX]; /* closed at the end, whether a test passed or not */
	int64_t version;
	/* Orders to the service's thread, obeyed every 10 ms; and what its callbacks counted. */
	_Atomic bool stop, drain, age, push, door_shut;
	_Atomic int opened, ended, published, acked, obeyed, pushed;
};

static struct fixture fixture;

/* --- the service ------------------------------------------------------------------------------------------------------ */

static void on_publish(void *service, const struct jk_request *request)
{
	const Jukwaa__V1__Publish *publish = (const Jukwaa__V1__Publish *)request->message;
	Jukwaa__V1__Receipt receipt = JUKWAA__V1__RECEIPT__INIT;

	(void)service;
	fixture.published++;
	assert_int_equal(request->session->agency_id, request->key->agency->agency_id);
	if (strcmp(publish->county, "999") == 0) {
		jk_session_end(fixture.sessions, request->session, JK_CODE_REPLACED, "enough");
		assert_true(request->session->ended);
		assert_null(jk_session_find(fixture.sessions, request->session->number));
	}
	receipt.session = request->session->number;
	receipt.request = publish->request;
	assert_int_equal(jk_session_send(fixture.sessions, request->session, JUKWAA__V1__KIND__KIND_RECEIPT, &receipt.base),
		request->session->ended ? JK_BROKEN : JK_OK);
}

static void on_subscribe(void *service, const struct jk_request *request)
{
	struct jk_refusal refusal;

	(void)service;
	(void)jk_refuse(&refusal, JK_CODE_NOT_FOUND, "counties", "no such county");
	jk_session_refuse(
		fixture.sessions, request->session, ((const Jukwaa__V1__Subscribe *)request->message)->request, &refusal);
}

static void on_ack(void *service, const struct jk_request *request)
{
	(void)service;
	(void)request;
	fixture.acked++;
}

static const struct jk_handler handlers[] = {
	{.kind = JUKWAA__V1__KIND__KIND_PUBLISH,
		.type = &jukwaa__v1__publish__descriptor,
		.roles = ROLE(PUBLISHER),
		.on_message = on_publish,
		.session_offset = offsetof(Jukwaa__V1__Publish, session),
		.request_offset = offsetof(Jukwaa__V1__Publish, request),
		.rate_limited = true},
	{.kind = JUKWAA__V1__KIND__KIND_SUBSCRIBE,
		.type = &jukwaa__v1__subscribe__descriptor,
		.roles = ROLE(DESK),
		.on_message = on_subscribe,
		.session_offset = offsetof(Jukwaa__V1__Subscribe, session),
		.request_offset = offsetof(Jukwaa__V1__Subscribe, request)},
	{.kind = JUKWAA__V1__KIND__KIND_ACK,
		.type = &jukwaa__v1__ack__descriptor,
		.roles = ROLE(DESK) | ROLE(PUBLISHER),
		.on_message = on_ack,
		.session_offset = offsetof(Jukwaa__V1__Ack, session)},
};

static void on_open(void *service, struct jk_session *session)
{
	(void)service;
	session->user = &fixture;
	fixture.opened++;
}

static void on_end(void *service, struct jk_session *session)
{
	(void)service;
	assert_ptr_equal(session->user, &fixture);
	fixture.ended++;
}

static uint32_t epoch(void *service)
{
	(void)service;
	return 3;
}

static void push_beat(void *arg, struct jk_session *session)
{
	Jukwaa__V1__Beat beat = JUKWAA__V1__BEAT__INIT;

	(void)arg;
	beat.session = session->number;
	if (jk_session_send(fixture.sessions, session, JUKWAA__V1__KIND__KIND_BEAT, &beat.base) == JK_OK)
		fixture.pushed++;
}

static void make_old(void *arg, struct jk_session *session)
{
	(void)arg;
	session->last_heard_ms -= 16000;
}

static void obey(void *arg)
{
	(void)arg;
	if (fixture.stop)
		jk_loop_stop(fixture.loop);
	if (fixture.drain)
		jk_sessions_drain(fixture.sessions);
	if (fixture.age)
		jk_sessions_each(fixture.sessions, make_old, NULL);
	if (fixture.push)
		jk_sessions_each(fixture.sessions, push_beat, NULL);
	fixture.age = false;
	fixture.obeyed++;
}

static void *run_service(void *arg)
{
	(void)arg;
	jk_loop_run(fixture.loop);
	return NULL;
}

/* --- the registry ----------------------------------------------------------------------------------------------------- */

static void set_registry(uint32_t revoked)
{
	static const struct jk_agency agencies[] = {{.agency_id = NPS, .code = "NPS"}, {.agency_id = KRCS, .code = "KRCS"}};
	static const struct jk_desk desks[] = {{.desk_id = DESK, .agency_id = KRCS, .code = "KRCS-047"}};
	struct registry_key_row rows[WHO_COUNT - 1];
	struct jk_registry *registry;
	struct jk_refusal refusal;

	for (int who = 0; who < UNKNOWN; who++) {
		rows[who] = (struct registry_key_row){.key_id = 100 + who,
			.agency_id = who == AT_DESK ? KRCS : NPS,
			.desk_id = who == AT_DESK ? DESK : -1,
			.role = who == AT_DESK    ? JK_ROLE_DESK
				: who == OPERATOR ? JK_ROLE_OPERATOR
						  : JK_ROLE_PUBLISHER,
			.realm = who == OTHER_REALM ? JK_REALM_EXERCISE : JK_REALM_LIVE,
			.revoked = who == REVOKED || (revoked >> who & 1) != 0,
			.rate_limit = who == LIMITED ? 1 : 0};
		memcpy(rows[who].curve_key, fixture.keys[who].curve_public, 32);
	}
	const struct registry_rows all = {.version = ++fixture.version,
		.realm = JK_REALM_LIVE,
		.agencies = agencies,
		.agency_count = 2,
		.desks = desks,
		.desk_count = 1,
		.keys = rows,
		.key_count = UNKNOWN};
	assert_int_equal(registry_build(&all, &registry, &refusal), JK_OK);
	registry_watch_swap(fixture.watch, &registry);
}

/* While the door stands open everybody gets through: then it is sessions that must turn them away. */
static enum jk_zap_verdict decide(void *arg, const uint8_t curve_public[32], const char *address)
{
	(void)arg;
	return fixture.door_shut ? jk_registry_zap(fixture.watch, curve_public, address) : JK_ZAP_ALLOW;
}

static int set_up(void **state)
{
	const struct jk_service service = {.name = "sample",
		.handlers = handlers,
		.handler_count = sizeof handlers / sizeof *handlers,
		.service = &fixture,
		.on_open = on_open,
		.on_end = on_end,
		.roles = ROLE(PUBLISHER) | ROLE(DESK),
		.window_default = 16,
		.window_max = 64,
		.arena_bytes = 65536,
		.sessions_max = 4,
		.sessions_per_key_max = 3,
		.epoch = epoch};
	struct jk_registry *none = NULL;
	struct jk_refusal refusal;

	(void)state;
	memset(&fixture, 0, sizeof fixture);
	if (jk_crypt_init() != JK_OK)
		return -1;
	jk_key_new(&fixture.server);
	for (int who = 0; who < WHO_COUNT; who++)
		jk_key_new(&fixture.keys[who]);
	if (registry_watch_open_fixed(&none, &fixture.watch) != JK_OK)
		return -1;
	fixture.loop = jk_loop_new();
	return jk_bus_open(1, decide, NULL, &fixture.bus) == JK_OK &&
			       jk_router_open(fixture.bus, "tcp://127.0.0.1:*", &fixture.server, &fixture.router, &refusal) ==
				       JK_OK &&
			       jk_sessions_open(&service, fixture.loop, fixture.router, fixture.watch, &fixture.sessions) ==
				       JK_OK &&
			       jk_loop_add_timer(fixture.loop, 10, obey, NULL) == JK_OK &&
			       pthread_create(&fixture.thread, NULL, run_service, NULL) == 0
		       ? 0
		       : -1;
}

static int set_up_with_registry(void **state)
{
	int failed = set_up(state);

	if (failed == 0)
		set_registry(0);
	return failed;
}

static void stop_service(void)
{
	if (fixture.stop)
		return;
	fixture.stop = true;
	pthread_join(fixture.thread, NULL);
}

static int tear_down(void **state)
{
	(void)state;
	stop_service();
	for (int i = 0; i < DEALERS_MAX; i++)
		jk_dealer_close(&fixture.dealers[i]);
	jk_sessions_close(&fixture.sessions);
	assert_int_equal(fixture.opened, fixture.ended);
	jk_loop_free(&fixture.loop);
	jk_router_close(&fixture.router);
	jk_bus_close(&fixture.bus);
	jk_registry_watch_close(&fixture.watch);
	return 0;
}

/* --- a client --------------------------------------------------------------------------------------------------------- */

static struct jk_dealer *connect_as(enum who who)
{
	struct jk_dealer *dealer;
	struct jk_refusal refusal;

	int i = 0;

	assert_int_equal(jk_dealer_open(fixture.bus, jk_router_endpoint(fixture.router), fixture.server.curve_public,
				 &fixture.keys[who], &dealer, &refusal),
		JK_OK);
	while (fixture.dealers[i] != NULL)
		assert_true(++i < DEALERS_MAX);
	fixture.dealers[i] = dealer;
	return dealer;
}

static void hang_up(struct jk_dealer *dealer)
{
	for (int i = 0; i < DEALERS_MAX; i++)
		if (fixture.dealers[i] == dealer)
			jk_dealer_close(&fixture.dealers[i]);
}

static void send(struct jk_dealer *dealer, int kind, const ProtobufCMessage *message)
{
	uint8_t body[4096];
	size_t size = protobuf_c_message_get_packed_size(message);
	int64_t until_ms = jk_time_mono_ms() + WAIT_MS;
	enum jk_status status;

	assert_true(size <= sizeof body);
	protobuf_c_message_pack(message, body);
	/* RETRY: the handshake is still under way. */
	while ((status = jk_dealer_send(dealer, (uint16_t)kind, body, size)) == JK_RETRY && jk_time_mono_ms() < until_ms)
		zmq_poll(NULL, 0, 1);
	assert_int_equal(status, JK_OK);
}

/* The next message, which must be of that kind; unpacked, to be freed by the caller with done(). */
static void *expect(struct jk_dealer *dealer, int kind, const ProtobufCMessageDescriptor *type)
{
	struct jk_dealer_message message;
	ProtobufCMessage *unpacked;

	assert_true(jk_dealer_receive(dealer, WAIT_MS, &message));
	assert_int_equal(message.kind, kind);
	unpacked = protobuf_c_message_unpack(type, NULL, message.body_size, message.body);
	assert_non_null(unpacked);
	jk_dealer_release(&message);
	return unpacked;
}

static void done(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

static void expect_refused(struct jk_dealer *dealer, uint64_t request, enum jk_code code, const char *field)
{
	Jukwaa__V1__Refused *refused = expect(dealer, JUKWAA__V1__KIND__KIND_REFUSED, &jukwaa__v1__refused__descriptor);

	assert_int_equal(refused->code, code);
	assert_int_equal(refused->request, request);
	assert_string_equal(refused->field, field);
	assert_true(strlen(refused->reason) > 5);
	done(refused);
}

static void expect_bad_session(struct jk_dealer *dealer, uint64_t number)
{
	Jukwaa__V1__BadSession *bad = expect(dealer, JUKWAA__V1__KIND__KIND_BAD_SESSION, &jukwaa__v1__bad_session__descriptor);

	assert_int_equal(bad->session, number);
	done(bad);
}

static void expect_bye(struct jk_dealer *dealer, uint64_t number, enum jk_code code)
{
	Jukwaa__V1__Bye *bye = expect(dealer, JUKWAA__V1__KIND__KIND_BYE, &jukwaa__v1__bye__descriptor);

	assert_int_equal(bye->session, number);
	assert_int_equal(bye->code, code);
	done(bye);
}

static void expect_receipt(struct jk_dealer *dealer, uint64_t request)
{
	Jukwaa__V1__Receipt *receipt = expect(dealer, JUKWAA__V1__KIND__KIND_RECEIPT, &jukwaa__v1__receipt__descriptor);

	assert_int_equal(receipt->request, request);
	done(receipt);
}

static void expect_silence(struct jk_dealer *dealer)
{
	struct jk_dealer_message message;

	assert_false(jk_dealer_receive(dealer, QUIET_MS, &message));
}

static void hello(struct jk_dealer *dealer, int realm, uint32_t window)
{
	Jukwaa__V1__Hello message = JUKWAA__V1__HELLO__INIT;

	message.client = (char[]){"test"};
	message.realm = (Jukwaa__V1__Realm)realm;
	message.window = window;
	send(dealer, JUKWAA__V1__KIND__KIND_HELLO, &message.base);
}

static uint64_t open_session(struct jk_dealer *dealer)
{
	Jukwaa__V1__Welcome *welcome;
	uint64_t number;

	hello(dealer, 0, 0);
	welcome = expect(dealer, JUKWAA__V1__KIND__KIND_WELCOME, &jukwaa__v1__welcome__descriptor);
	number = welcome->session;
	assert_int_not_equal(number, 0);
	done(welcome);
	return number;
}

static void publish(struct jk_dealer *dealer, uint64_t session, uint64_t request, const char *county)
{
	Jukwaa__V1__Publish message = JUKWAA__V1__PUBLISH__INIT;
	char text[8];

	(void)jk_text_copy(text, sizeof text, county);
	message.session = session;
	message.request = request;
	message.county = text;
	send(dealer, JUKWAA__V1__KIND__KIND_PUBLISH, &message.base);
}

static void ping(struct jk_dealer *dealer, uint64_t session)
{
	Jukwaa__V1__Ping message = JUKWAA__V1__PING__INIT;

	message.session = session;
	send(dealer, JUKWAA__V1__KIND__KIND_PING, &message.base);
}

static void expect_pong(struct jk_dealer *dealer, uint64_t session)
{
	Jukwaa__V1__Pong *pong = expect(dealer, JUKWAA__V1__KIND__KIND_PONG, &jukwaa__v1__pong__descriptor);

	assert_int_equal(pong->session, session);
	done(pong);
}

static void wait_for(const _Atomic int *counter, int at_least)
{
	int64_t until_ms = jk_time_mono_ms() + WAIT_MS;

	while (*counter < at_least && jk_time_mono_ms() < until_ms)
		zmq_poll(NULL, 0, 2);
	assert_true(*counter >= at_least);
}

/* --- refusals --------------------------------------------------------------------------------------------------------- */

static void without_a_registry_nobody_gets_a_session(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);

	hello(dealer, 0, 0);
	expect_refused(dealer, 0, JK_CODE_UNAVAILABLE, "");
	set_registry(0);
	(void)open_session(dealer);
}

static void keys_that_are_unknown_or_revoked_are_cut_off(void **state)
{
	(void)state;
	static const enum who wicked[] = {UNKNOWN, REVOKED};

	for (int i = 0; i < 2; i++) {
		fixture.door_shut = false;
		struct jk_dealer *dealer = connect_as(wicked[i]);
		int64_t until_ms = jk_time_mono_ms() + WAIT_MS;
		hello(dealer, 0, 0);
		fixture.door_shut = true;
		/* It comes back by itself, and learns it at the door. */
		while (jk_dealer_link(dealer) != JK_LINK_REFUSED && jk_time_mono_ms() < until_ms)
			zmq_poll(NULL, 0, 5);
		assert_int_equal(jk_dealer_link(dealer), JK_LINK_REFUSED);
		expect_silence(dealer);
		hang_up(dealer);
	}
	assert_int_equal(fixture.opened, 0);
}

static void the_other_realm_is_refused(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(OTHER_REALM);

	hello(dealer, 0, 0);
	expect_refused(dealer, 0, JK_CODE_WRONG_REALM, "realm");
	hang_up(dealer);
	dealer = connect_as(PUBLISHER);
	hello(dealer, JK_REALM_EXERCISE, 0);
	expect_refused(dealer, 0, JK_CODE_WRONG_REALM, "realm");
	hello(dealer, JK_REALM_LIVE, 0);
	done(expect(dealer, JUKWAA__V1__KIND__KIND_WELCOME, &jukwaa__v1__welcome__descriptor));
}

static void a_role_that_is_not_served_is_refused(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(OPERATOR);

	hello(dealer, 0, 0);
	expect_refused(dealer, 0, JK_CODE_NOT_PERMITTED, "");
}

static void a_role_may_send_only_its_own_kinds(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(AT_DESK);
	uint64_t session = open_session(dealer);

	publish(dealer, session, 41, "");
	expect_refused(dealer, 41, JK_CODE_NOT_PERMITTED, "");
	assert_int_equal(fixture.published, 0);
}

static void an_unknown_kind_is_refused_and_counted(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);

	assert_int_not_equal(open_session(dealer), 0);
	ping(dealer, 0);
	expect_bad_session(dealer, 0);
	Jukwaa__V1__Ping message = JUKWAA__V1__PING__INIT;
	send(dealer, 4711, &message.base);
	expect_refused(dealer, 0, JK_CODE_NOT_WELL_FORMED, "kind");
	/* Replies are not commands. */
	send(dealer, JUKWAA__V1__KIND__KIND_WELCOME, &message.base);
	expect_refused(dealer, 0, JK_CODE_NOT_WELL_FORMED, "kind");
	stop_service();
	assert_int_equal(jk_sessions_counts(fixture.sessions).unknown_kind, 2);
	assert_int_equal(jk_sessions_counts(fixture.sessions).bad_session, 1);
}

static void malformed_bodies_are_refused_with_their_field(void **state)
{
	(void)state;
	/* session 1, then a cut field; county "\xff"; format 99 */
	static const struct {
		const char *bytes;
		enum jk_code code;
		const char *field;
	} broken[] = {{"\x08\x01\x22\x09", JK_CODE_NOT_WELL_FORMED, "payload"},
		{"\x2a\x01\xff", JK_CODE_NOT_WELL_FORMED, "county"}, {"\x18\x63", JK_CODE_INVALID_SCHEMA, "format"}};
	struct jk_dealer *dealer = connect_as(PUBLISHER);
	struct jk_dealer_message message;

	(void)open_session(dealer);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(
			jk_dealer_send(dealer, JUKWAA__V1__KIND__KIND_PUBLISH, broken[i].bytes, strlen(broken[i].bytes)), JK_OK);
		assert_true(jk_dealer_receive(dealer, WAIT_MS, &message));
		Jukwaa__V1__Refused *refused = jukwaa__v1__refused__unpack(NULL, message.body_size, message.body);
		assert_int_equal(message.kind, JUKWAA__V1__KIND__KIND_REFUSED);
		assert_string_equal(refused->field, broken[i].field);
		assert_true(refused->code == JUKWAA__V1__CODE__CODE_NOT_WELL_FORMED ||
			    refused->code == JUKWAA__V1__CODE__CODE_INVALID_SCHEMA);
		done(refused);
		jk_dealer_release(&message);
	}
	stop_service();
	assert_int_equal(jk_sessions_counts(fixture.sessions).malformed, 3);
	assert_int_equal(fixture.published, 0);
}

/* A raw DEALER that speaks version 2. */
static void another_protocol_version_is_refused(void **state)
{
	(void)state;
	static const uint8_t header[] = {'J', 'K', 2, 0, 0, 1, 0, 0};
	const struct jk_key *key = &fixture.keys[PUBLISHER];
	void *raw = zmq_socket(fixture.bus->context, ZMQ_DEALER);
	uint8_t answer[3][512];
	int wait_ms = WAIT_MS, linger = 0, size;

	zmq_setsockopt(raw, ZMQ_RCVTIMEO, &wait_ms, sizeof wait_ms);
	zmq_setsockopt(raw, ZMQ_LINGER, &linger, sizeof linger);
	zmq_setsockopt(raw, ZMQ_CURVE_SERVERKEY, fixture.server.curve_public, 32);
	zmq_setsockopt(raw, ZMQ_CURVE_PUBLICKEY, key->curve_public, 32);
	zmq_setsockopt(raw, ZMQ_CURVE_SECRETKEY, key->curve_secret, 32);
	assert_int_equal(zmq_connect(raw, jk_router_endpoint(fixture.router)), 0);
	assert_int_equal(zmq_send(raw, header, sizeof header, ZMQ_SNDMORE), sizeof header);
	assert_int_equal(zmq_send(raw, "", 0, 0), 0);
	assert_int_equal(zmq_recv(raw, answer[0], sizeof answer[0], 0), 8);
	assert_int_equal(answer[0][5], JUKWAA__V1__KIND__KIND_REFUSED);
	size = zmq_recv(raw, answer[1], sizeof answer[1], 0);
	assert_true(size > 0);
	Jukwaa__V1__Refused *refused = jukwaa__v1__refused__unpack(NULL, (size_t)size, answer[1]);
	assert_int_equal(refused->code, JK_CODE_UNSUPPORTED_VERSION);
	assert_string_equal(refused->field, "version");
	done(refused);
	zmq_close(raw);
}

static void a_session_belongs_to_its_route_and_key(void **state)
{
	(void)state;
	struct jk_dealer *owner = connect_as(PUBLISHER), *twin = connect_as(PUBLISHER), *other = connect_as(LIMITED);
	uint64_t session = open_session(owner);

	publish(twin, session, 1, "");
	expect_bad_session(twin, session);
	publish(other, session, 1, "");
	expect_bad_session(other, session);
	publish(owner, session + 1, 1, "");
	expect_bad_session(owner, session + 1);
	assert_int_equal(fixture.published, 0);
	publish(owner, session, 2, "");
	expect_receipt(owner, 2);
}

static void a_key_and_a_service_have_only_so_many_sessions(void **state)
{
	(void)state;
	struct jk_dealer *dealers[6];

	for (int i = 0; i < 3; i++) {
		dealers[i] = connect_as(PUBLISHER);
		(void)open_session(dealers[i]);
	}
	dealers[3] = connect_as(PUBLISHER);
	hello(dealers[3], 0, 0);
	expect_refused(dealers[3], 0, JK_CODE_UNAVAILABLE, "");
	dealers[4] = connect_as(AT_DESK);
	(void)open_session(dealers[4]);
	dealers[5] = connect_as(LIMITED);
	hello(dealers[5], 0, 0);
	expect_refused(dealers[5], 0, JK_CODE_UNAVAILABLE, "");
	/* Saying HELLO again on an open route needs no further place. */
	(void)open_session(dealers[0]);
}

static void the_rate_limit_outlives_the_session(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(LIMITED);
	uint64_t session = open_session(dealer);

	/* 1 a second, averaged over ten: ten at once. */
	for (uint64_t i = 1; i <= 10; i++)
		publish(dealer, session, i, "");
	for (uint64_t i = 1; i <= 10; i++)
		expect_receipt(dealer, i);
	publish(dealer, session, 11, "");
	expect_refused(dealer, 11, JK_CODE_RATE_LIMITED, "");
	hang_up(dealer);
	dealer = connect_as(LIMITED);
	session = open_session(dealer);
	publish(dealer, session, 12, "");
	publish(dealer, session, 13, "");
	publish(dealer, session, 14, "");
	/* A second may have passed meanwhile, but not three. */
	struct jk_dealer_message message;
	bool refused = false;
	for (int i = 0; i < 3; i++) {
		assert_true(jk_dealer_receive(dealer, WAIT_MS, &message));
		refused = refused || message.kind == JUKWAA__V1__KIND__KIND_REFUSED;
		jk_dealer_release(&message);
	}
	assert_true(refused);
}

/* --- what works ------------------------------------------------------------------------------------------------------- */

static void welcome_says_who_and_what(void **state)
{
	(void)state;
	static const uint32_t windows[][2] = {{0, 16}, {5, 5}, {64, 64}, {1000, 64}};
	struct jk_dealer *dealer = connect_as(AT_DESK);

	for (int i = 0; i < 4; i++) {
		hello(dealer, JK_REALM_LIVE, windows[i][0]);
		Jukwaa__V1__Welcome *welcome = expect(dealer, JUKWAA__V1__KIND__KIND_WELCOME, &jukwaa__v1__welcome__descriptor);
		assert_int_equal(welcome->window, windows[i][1]);
		assert_int_equal(welcome->realm, JK_REALM_LIVE);
		assert_int_equal(welcome->epoch, 3);
		assert_int_equal(welcome->ping_interval_ms, 5000);
		assert_string_equal(welcome->agency, "KRCS");
		assert_string_equal(welcome->desk, "KRCS-047");
		assert_int_equal(welcome->role, JK_ROLE_DESK);
		assert_int_equal(welcome->body_max_bytes, JK_BODY_MAX_BYTES);
		assert_string_equal(welcome->service, "sample");
		done(welcome);
	}
	/* Each HELLO of the route replaced the session before. */
	wait_for(&fixture.ended, 3);
	assert_int_equal(fixture.opened, 4);
}

static void commands_are_answered_and_pings_too(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER), *desk = connect_as(AT_DESK);
	uint64_t session = open_session(dealer), at_desk = open_session(desk);
	Jukwaa__V1__Subscribe subscribe = JUKWAA__V1__SUBSCRIBE__INIT;
	Jukwaa__V1__Ack ack = JUKWAA__V1__ACK__INIT;

	publish(dealer, session, 77, "047");
	expect_receipt(dealer, 77);
	ping(dealer, session);
	expect_pong(dealer, session);
	subscribe.session = at_desk;
	subscribe.request = 78;
	send(desk, JUKWAA__V1__KIND__KIND_SUBSCRIBE, &subscribe.base);
	expect_refused(desk, 78, JK_CODE_NOT_FOUND, "counties");
	ack.session = at_desk;
	send(desk, JUKWAA__V1__KIND__KIND_ACK, &ack.base);
	wait_for(&fixture.acked, 1);
}

static void a_new_hello_makes_the_old_number_bad(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);
	uint64_t old = open_session(dealer), new = open_session(dealer);

	assert_int_not_equal(old, new);
	ping(dealer, old);
	expect_bad_session(dealer, old);
	ping(dealer, new);
	expect_pong(dealer, new);
}

static void a_handler_may_end_the_session_it_serves(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);
	uint64_t session = open_session(dealer);

	publish(dealer, session, 1, "999");
	expect_bye(dealer, session, JK_CODE_REPLACED);
	expect_silence(dealer);
	wait_for(&fixture.ended, 1);
	ping(dealer, session);
	expect_bad_session(dealer, session);
}

static void silence_ends_a_session(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);
	uint64_t session = open_session(dealer);

	fixture.age = true;
	wait_for(&fixture.ended, 1);
	ping(dealer, session);
	expect_bad_session(dealer, session);
}

static void a_revoked_key_is_told_while_idle(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(AT_DESK), *other = connect_as(PUBLISHER);
	uint64_t session = open_session(dealer), unharmed = open_session(other);
	int64_t swapped_at_ms = jk_time_mono_ms();

	set_registry(1U << AT_DESK);
	expect_bye(dealer, session, JK_CODE_REVOKED);
	assert_true(jk_time_mono_ms() - swapped_at_ms < 1000);
	ping(other, unharmed);
	expect_pong(other, unharmed);
}

static void a_revoked_key_changes_nothing_more(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER);
	uint64_t session = open_session(dealer);

	set_registry(1U << PUBLISHER);
	publish(dealer, session, 1, "");
	expect_bye(dealer, session, JK_CODE_REVOKED);
	assert_int_equal(fixture.published, 0);
}

/* Beats go out every 10 ms; after the swap not one more may, whichever callback notices first. */
static void a_revoked_key_is_sent_nothing_more(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(AT_DESK);
	struct jk_dealer_message message;
	int beats = 0, kind = 0;

	(void)open_session(dealer);
	fixture.push = true;
	wait_for(&fixture.pushed, 5);
	/* The service's thread stands still while the registry changes, so that the count is exact. */
	fixture.push = false;
	int obeyed = fixture.obeyed;
	wait_for(&fixture.obeyed, obeyed + 2);
	set_registry(1U << AT_DESK);
	int pushed = fixture.pushed;
	fixture.push = true;
	while (kind != JUKWAA__V1__KIND__KIND_BYE) {
		assert_true(jk_dealer_receive(dealer, WAIT_MS, &message));
		kind = message.kind;
		beats += kind == JUKWAA__V1__KIND__KIND_BEAT;
		jk_dealer_release(&message);
	}
	assert_int_equal(beats, pushed);
	expect_silence(dealer);
	assert_int_equal(fixture.pushed, pushed);
}

static void a_key_that_is_reinstated_works_without_a_restart(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(AT_DESK);

	(void)open_session(dealer);
	set_registry(1U << AT_DESK);
	wait_for(&fixture.ended, 1);
	set_registry(0);
	struct jk_dealer *again = connect_as(AT_DESK);
	(void)open_session(again);
}

static void draining_refuses_new_work_and_takes_acks(void **state)
{
	(void)state;
	struct jk_dealer *dealer = connect_as(PUBLISHER), *late = connect_as(PUBLISHER);
	uint64_t session = open_session(dealer);
	Jukwaa__V1__Ack ack = JUKWAA__V1__ACK__INIT;
	int obeyed;

	fixture.drain = true;
	obeyed = fixture.obeyed;
	wait_for(&fixture.obeyed, obeyed + 2);
	publish(dealer, session, 5, "");
	expect_refused(dealer, 5, JK_CODE_STOPPING, "");
	hello(late, 0, 0);
	expect_refused(late, 0, JK_CODE_STOPPING, "");
	ack.session = session;
	send(dealer, JUKWAA__V1__KIND__KIND_ACK, &ack.base);
	wait_for(&fixture.acked, 1);
	ping(dealer, session);
	expect_pong(dealer, session);
	assert_int_equal(fixture.published, 0);
}

#define BARE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up_with_registry, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BARE(without_a_registry_nobody_gets_a_session),
		TEST(keys_that_are_unknown_or_revoked_are_cut_off),
		TEST(the_other_realm_is_refused),
		TEST(a_role_that_is_not_served_is_refused),
		TEST(a_role_may_send_only_its_own_kinds),
		TEST(an_unknown_kind_is_refused_and_counted),
		TEST(malformed_bodies_are_refused_with_their_field),
		TEST(another_protocol_version_is_refused),
		TEST(a_session_belongs_to_its_route_and_key),
		TEST(a_key_and_a_service_have_only_so_many_sessions),
		TEST(the_rate_limit_outlives_the_session),
		TEST(welcome_says_who_and_what),
		TEST(commands_are_answered_and_pings_too),
		TEST(a_new_hello_makes_the_old_number_bad),
		TEST(a_handler_may_end_the_session_it_serves),
		TEST(silence_ends_a_session),
		TEST(a_revoked_key_is_told_while_idle),
		TEST(a_revoked_key_changes_nothing_more),
		TEST(a_revoked_key_is_sent_nothing_more),
		TEST(a_key_that_is_reinstated_works_without_a_restart),
		TEST(draining_refuses_new_work_and_takes_acks),
	};
	return cmocka_run_group_tests_name("sessions", tests, NULL, NULL);
}
