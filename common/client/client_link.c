#include "client/client_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_frame.h"

enum {
	HELLO_AGAIN_MS = 2000,   /* HELLO without an answer is repeated */
	REBUILD_MS = 4000,       /* a socket that has not come up is replaced: libzmq waits ever longer between attempts */
	REFUSED_FIRST_MS = 1000, /* a key added just now is in force within 1 s */
	REFUSED_LIMIT_MS = 60000,
	LOOK_MS = 100, /* between looks at the link's monitor while a session is open */
	SLICE_MS = 10, /* while there is no session: the monitor cannot be waited for */
	PING_DEFAULT_MS = 5000,
	SILENT_INTERVALS = 3,
	ARENA_MAX_BYTES = 128 * 1024 * 1024, /* a 2 MiB body of small messages unpacks to some fifty times its size */
};

int64_t client_deadline(int timeout_ms)
{
	return timeout_ms < 0 ? INT64_MAX : jk_time_mono_ms() + timeout_ms;
}

int client_left_ms(int64_t deadline_ms)
{
	int64_t left = deadline_ms == INT64_MAX ? 60000 : deadline_ms - jk_time_mono_ms();

	if (left < 0)
		return 0;
	return left > 60000 ? 60000 : (int)left;
}

int64_t client_backoff_ms(int64_t base_ms, int64_t limit_ms, unsigned tries)
{
	int64_t wait = base_ms;
	uint32_t dice;

	while (tries-- > 0 && wait < limit_ms)
		wait *= 2;
	if (wait > limit_ms)
		wait = limit_ms;
	jk_random(&dice, sizeof dice);
	return wait / 2 + (int64_t)(dice % (uint64_t)(wait / 2 + 1));
}

int client_link_fail(struct client_link *link, int status, const char *code, const char *field, const char *reason)
{
	(void)jk_text_copy(link->error_code, sizeof link->error_code, code);
	(void)jk_text_copy(link->error_field, sizeof link->error_field, field ? field : "");
	(void)jk_text_copy(link->error_reason, sizeof link->error_reason, reason);
	link->error = (struct jukwaa_error){status, link->error_code, link->error_field, link->error_reason};
	return status;
}

static int fail_usage(char ret_reason[256], const char *what, const char *why)
{
	(void)jk_text_format(ret_reason, 256, "%s%s", what, why);
	return JUKWAA_E_USAGE;
}

static int read_server_key(struct client_link *link, const char *server_key, char ret_reason[256])
{
	struct jk_refusal refusal = {0};
	uint8_t sign_public[JK_KEY_BYTES], *key = link->server_keys[link->server_key_count++];

	if (jk_hex_decode(key, JK_KEY_BYTES, server_key))
		return JUKWAA_OK;
	if (jk_key_read_public(server_key, key, sign_public, &refusal) != JK_OK)
		return fail_usage(ret_reason, "server key: ", refusal.reason);
	return JUKWAA_OK;
}

/* One, or two with a comma between them while the exchange changes its key. */
static int read_server_keys(struct client_link *link, const char *server_keys, char ret_reason[256])
{
	char path[512];
	const char *comma;
	int status;

	if (!server_keys || !*server_keys)
		return fail_usage(ret_reason, "no server key given", "");
	comma = strchr(server_keys, ',');
	if (!comma)
		return read_server_key(link, server_keys, ret_reason);
	if (strchr(comma + 1, ','))
		return fail_usage(ret_reason, "server key: more than two", "");
	if (!jk_text_format(path, sizeof path, "%.*s", (int)(comma - server_keys), server_keys))
		return fail_usage(ret_reason, "server key: the path is too long", "");
	status = read_server_key(link, path, ret_reason);
	return status == JUKWAA_OK ? read_server_key(link, comma + 1, ret_reason) : status;
}

static int read_connection(struct client_link *link, const struct jukwaa_connection *connection, char ret_reason[256])
{
	struct jk_refusal refusal = {0};
	int realm = JK_REALM_NONE;

	if (!connection->endpoint || !jk_text_copy(link->endpoint, sizeof link->endpoint, connection->endpoint) ||
		!*link->endpoint)
		return fail_usage(ret_reason, "no endpoint given, or one longer than 255 bytes", "");
	if (!connection->key_file || !*connection->key_file)
		return fail_usage(ret_reason, "no key file given", "");
	if (jk_key_read(connection->key_file, &link->key, &refusal) != JK_OK)
		return fail_usage(ret_reason, "key: ", refusal.reason);
	if (connection->realm && (realm = jk_words_number(&jk_realms, connection->realm)) <= 0)
		return fail_usage(ret_reason, "realm is LIVE or EXERCISE, not ", connection->realm);
	link->realm = (enum jk_realm)realm;
	(void)jk_text_copy(link->name, sizeof link->name, connection->client ? connection->client : "libjukwaa");
	return read_server_keys(link, connection->server_key, ret_reason);
}

int client_link_open(struct client_link *link, const struct jukwaa_connection *connection, uint32_t window, char ret_reason[256])
{
	int status;

	*link = (struct client_link){.window_wanted = window, .ping_interval_ms = PING_DEFAULT_MS};
	ret_reason[0] = '\0';
	if (jk_crypt_init() != JK_OK)
		return fail_usage(ret_reason, "libsodium does not start", "");
	status = read_connection(link, connection, ret_reason);
	if (status != JUKWAA_OK)
		goto fail;
	link->arena = jk_arena_new(ARENA_MAX_BYTES);
	if (!link->arena || jk_bus_open(1, NULL, NULL, &link->bus) != JK_OK) {
		status = fail_usage(ret_reason, "ZeroMQ does not start: ", strerror(errno));
		goto fail;
	}
	(void)client_link_fail(link, JUKWAA_E_UNREACHABLE, "", NULL, "no answer yet");
	return JUKWAA_OK;
fail:
	client_link_close(link);
	return status;
}

void client_link_close(struct client_link *link)
{
	if (link->dealer)
		jk_dealer_close(&link->dealer);
	if (link->bus)
		jk_bus_close(&link->bus);
	jk_arena_free(&link->arena);
	free(link->packed);
	link->packed = NULL;
	jk_key_wipe(&link->key);
}

/* ---- sending and reading ---------------------------------------------------------------------------------------- */

static enum jk_status send_packed(struct client_link *link, uint16_t kind, const ProtobufCMessage *message)
{
	size_t size = protobuf_c_message_get_packed_size(message);
	enum jk_status status;

	if (!link->dealer)
		return JK_RETRY;
	if (size > JK_BODY_MAX_BYTES)
		return JK_BROKEN;
	if (size > link->packed_capacity) {
		uint8_t *grown = realloc(link->packed, size * 2);

		if (!grown)
			return JK_BROKEN;
		link->packed = grown;
		link->packed_capacity = size * 2;
	}
	protobuf_c_message_pack(message, link->packed);
	status = jk_dealer_send(link->dealer, kind, link->packed, size);
	if (status == JK_OK)
		link->said_ms = jk_time_mono_ms();
	return status;
}

enum jk_status client_link_send(struct client_link *link, uint16_t kind, const ProtobufCMessage *message)
{
	return link->state == CLIENT_OPEN ? send_packed(link, kind, message) : JK_RETRY;
}

ProtobufCMessage *client_link_read(
	struct client_link *link, const ProtobufCMessageDescriptor *type, const struct jk_dealer_message *message)
{
	struct jk_refusal refusal = {0};

	jk_arena_reset(link->arena);
	return jk_body_unpack(type, message->body, message->body_size, link->arena, &refusal);
}

bool client_link_is_later(int code)
{
	return code == JK_CODE_STOPPING || code == JK_CODE_UNAVAILABLE || code == JK_CODE_RATE_LIMITED;
}

/* ---- the state of the link -------------------------------------------------------------------------------------- */

static void drop_dealer(struct client_link *link, int64_t reopen_ms)
{
	if (link->dealer)
		jk_dealer_close(&link->dealer);
	link->state = CLIENT_CLOSED;
	link->session = 0;
	link->reopen_ms = reopen_ms;
}

static void raise_trouble(struct client_link *link, int status, const char *code, const char *field, const char *reason)
{
	(void)client_link_fail(link, status, code, field, reason);
	link->trouble = true;
}

/* Refused for good as far as libzmq goes: the socket is made anew, later each time. */
static void give_up_dealer(struct client_link *link, int64_t now_ms)
{
	link->reopen_after_ms = link->reopen_after_ms == 0 ? REFUSED_FIRST_MS : link->reopen_after_ms * 2;
	if (link->reopen_after_ms > REFUSED_LIMIT_MS)
		link->reopen_after_ms = REFUSED_LIMIT_MS;
	drop_dealer(link, now_ms + client_backoff_ms(link->reopen_after_ms, REFUSED_LIMIT_MS, 0));
}

static void open_dealer(struct client_link *link, int64_t now_ms)
{
	struct jk_refusal refusal = {0};

	if (jk_dealer_open(link->bus, link->endpoint, link->server_keys[link->server_key_at], &link->key, &link->dealer,
		    &refusal) != JK_OK) {
		raise_trouble(link, JUKWAA_E_USAGE, jk_words_name(&jk_codes, (int)refusal.code), refusal.field,
			refusal.reason[0] ? refusal.reason : "the endpoint cannot be used");
		link->state = CLIENT_OVER;
		return;
	}
	link->state = CLIENT_CONNECTING;
	link->opened_ms = now_ms;
}

static void say_hello(struct client_link *link, int64_t now_ms)
{
	Jukwaa__V1__Hello hello = JUKWAA__V1__HELLO__INIT;

	hello.client = link->name;
	hello.realm = (Jukwaa__V1__Realm)link->realm;
	hello.window = link->window_wanted;
	if (send_packed(link, JUKWAA__V1__KIND__KIND_HELLO, &hello.base) != JK_OK)
		return;
	link->state = CLIENT_HELLO_SENT;
	link->hello_ms = now_ms;
}

void client_link_restart(struct client_link *link)
{
	if (link->state != CLIENT_OPEN && link->state != CLIENT_HELLO_SENT)
		return;
	link->state = CLIENT_CONNECTING;
	link->session = 0;
	link->opened_ms = jk_time_mono_ms();
}

static void keep_down_link(struct client_link *link, enum jk_link how, int64_t now_ms)
{
	const char *reason = how == JK_LINK_LATER ? "the service is starting, or has no registry yet" : "nobody answers there";

	if (link->state == CLIENT_OPEN || link->state == CLIENT_HELLO_SENT) {
		link->state = CLIENT_CONNECTING;
		link->session = 0;
		link->opened_ms = now_ms;
	}
	if (link->error.status != JUKWAA_E_WRONG_SERVER && link->error.status != JUKWAA_E_UNKNOWN_KEY)
		(void)client_link_fail(link, JUKWAA_E_UNREACHABLE, "", NULL, reason);
	if (now_ms - link->opened_ms > REBUILD_MS)
		drop_dealer(link, now_ms);
}

/* False when all have been tried. */
static bool try_other_server_key(struct client_link *link, int64_t now_ms)
{
	link->server_key_at = (link->server_key_at + 1) % link->server_key_count;
	if (++link->server_keys_wrong < link->server_key_count) {
		drop_dealer(link, now_ms);
		return true;
	}
	link->server_keys_wrong = 0;
	return false;
}

static void keep_link(struct client_link *link, int64_t now_ms)
{
	enum jk_link how;

	link->looked_ms = now_ms;
	if (link->state == CLIENT_CLOSED && now_ms >= link->reopen_ms)
		open_dealer(link, now_ms);
	if (!link->dealer || link->state == CLIENT_OVER)
		return;
	how = jk_dealer_link(link->dealer);
	switch (how) {
	case JK_LINK_UP:
		if (link->state == CLIENT_CONNECTING && now_ms >= link->reopen_ms)
			say_hello(link, now_ms);
		else if (link->state == CLIENT_HELLO_SENT && now_ms - link->hello_ms > HELLO_AGAIN_MS)
			say_hello(link, now_ms);
		break;
	case JK_LINK_REFUSED:
		raise_trouble(link, JUKWAA_E_UNKNOWN_KEY, "NOT_PERMITTED", NULL, "the service does not know this key");
		give_up_dealer(link, now_ms);
		break;
	case JK_LINK_WRONG_SERVER:
		if (try_other_server_key(link, now_ms))
			break;
		raise_trouble(link, JUKWAA_E_WRONG_SERVER, "", NULL,
			"somebody answers there, but with another key than the server key given");
		give_up_dealer(link, now_ms);
		break;
	case JK_LINK_CONNECTING:
	case JK_LINK_LATER:
	case JK_LINK_UNREACHABLE:
		keep_down_link(link, how, now_ms);
		break;
	}
}

static void keep_session(struct client_link *link, int64_t now_ms)
{
	Jukwaa__V1__Ping ping = JUKWAA__V1__PING__INIT;

	if (now_ms - link->heard_ms > link->ping_interval_ms * SILENT_INTERVALS) {
		(void)client_link_fail(link, JUKWAA_E_UNREACHABLE, "", NULL, "the service has gone silent");
		drop_dealer(link, now_ms);
		return;
	}
	ping.session = link->session;
	if (now_ms - link->said_ms >= link->ping_interval_ms / 2)
		(void)!client_link_send(link, JUKWAA__V1__KIND__KIND_PING, &ping.base);
}

void client_link_keep(struct client_link *link)
{
	/* Nothing is received: the silence is ours. */
	link->heard_ms = link->polled_ms = jk_time_mono_ms();
	if (link->state == CLIENT_OPEN)
		keep_session(link, link->polled_ms);
}

/* ---- what the service says about the session -------------------------------------------------------------------- */

static bool on_welcome(struct client_link *link, const struct jk_dealer_message *message, int64_t now_ms)
{
	const Jukwaa__V1__Welcome *welcome = (const void *)client_link_read(link, &jukwaa__v1__welcome__descriptor, message);

	if (!welcome || welcome->session == 0 || link->state == CLIENT_OPEN)
		return false;
	link->state = CLIENT_OPEN;
	link->session = welcome->session;
	link->window = welcome->window;
	link->epoch = welcome->epoch;
	(void)jk_text_copy(link->agency, sizeof link->agency, welcome->agency);
	(void)jk_text_copy(link->desk, sizeof link->desk, welcome->desk);
	link->ping_interval_ms = welcome->ping_interval_ms >= 100 ? welcome->ping_interval_ms : PING_DEFAULT_MS;
	link->heard_ms = link->said_ms = link->looked_ms = now_ms;
	link->reopen_ms = link->reopen_after_ms = 0;
	link->trouble = false;
	link->server_keys_wrong = 0;
	(void)client_link_fail(link, JUKWAA_OK, "", NULL, "");
	return true;
}

/* A Refused with request 0 answers HELLO. Returns false when it is the caller's. */
static bool on_refused(struct client_link *link, const struct jk_dealer_message *message, int64_t now_ms)
{
	const Jukwaa__V1__Refused *refused = (const void *)client_link_read(link, &jukwaa__v1__refused__descriptor, message);

	if (!refused)
		return true;
	if (link->state != CLIENT_HELLO_SENT || refused->request != 0)
		return false;
	if (client_link_is_later((int)refused->code)) {
		link->state = CLIENT_CONNECTING;
		link->opened_ms = now_ms;
		link->reopen_ms = now_ms + client_backoff_ms(1000, 1000, 0);
		(void)client_link_fail(
			link, JUKWAA_E_UNREACHABLE, jk_words_name(&jk_codes, (int)refused->code), NULL, refused->reason);
		return true;
	}
	raise_trouble(link, JUKWAA_E_REFUSED, jk_words_name(&jk_codes, (int)refused->code), refused->field, refused->reason);
	give_up_dealer(link, now_ms);
	return true;
}

static void on_bye(struct client_link *link, const struct jk_dealer_message *message, int64_t now_ms)
{
	const Jukwaa__V1__Bye *bye = (const void *)client_link_read(link, &jukwaa__v1__bye__descriptor, message);

	if (!bye || bye->session != link->session)
		return;
	if (bye->code == JUKWAA__V1__CODE__CODE_REVOKED || bye->code == JUKWAA__V1__CODE__CODE_REPLACED ||
		bye->code == JUKWAA__V1__CODE__CODE_NOT_PERMITTED) {
		raise_trouble(link, JUKWAA_E_ENDED, jk_words_name(&jk_codes, (int)bye->code), NULL, bye->reason);
		jk_dealer_close(&link->dealer);
		link->state = CLIENT_OVER;
		return;
	}
	(void)client_link_fail(link, JUKWAA_E_UNREACHABLE, jk_words_name(&jk_codes, (int)bye->code), NULL, bye->reason);
	client_link_restart(link);
	link->reopen_ms = now_ms + client_backoff_ms(500, 500, 0);
}

static void on_bad_session(struct client_link *link, const struct jk_dealer_message *message)
{
	const Jukwaa__V1__BadSession *bad = (const void *)client_link_read(link, &jukwaa__v1__bad_session__descriptor, message);

	/* Messages sent under an earlier session number may still be answered after a new Welcome. */
	if (bad && link->state == CLIENT_OPEN && bad->session == link->session)
		client_link_restart(link);
}

/* True when the poll ends with *ret_event; the message is released unless it is the caller's. */
static bool take_message(
	struct client_link *link, struct jk_dealer_message *message, int64_t now_ms, enum client_event *ret_event)
{
	bool ends = false, callers = false;

	link->heard_ms = now_ms;
	*ret_event = CLIENT_NOTHING;
	switch (message->kind) {
	case JUKWAA__V1__KIND__KIND_WELCOME:
		ends = on_welcome(link, message, now_ms);
		*ret_event = CLIENT_OPENED;
		break;
	case JUKWAA__V1__KIND__KIND_PONG:
		break;
	case JUKWAA__V1__KIND__KIND_BAD_SESSION:
		on_bad_session(link, message);
		break;
	case JUKWAA__V1__KIND__KIND_BYE:
		on_bye(link, message, now_ms);
		break;
	case JUKWAA__V1__KIND__KIND_REFUSED:
		callers = !on_refused(link, message, now_ms);
		break;
	default:
		callers = true;
	}
	if (!callers) {
		jk_dealer_release(message);
		return ends;
	}
	*ret_event = CLIENT_MESSAGE;
	return true;
}

static int slice_ms(const struct client_link *link, int left_ms)
{
	int slice = link->state == CLIENT_OPEN ? LOOK_MS : SLICE_MS;

	return left_ms < slice ? left_ms : slice;
}

static void wait_without_dealer(int wait_ms)
{
	struct timespec pause = {0, wait_ms * 1000000L};

	if (wait_ms > 0)
		nanosleep(&pause, NULL);
}

enum client_event client_link_poll(struct client_link *link, int timeout_ms, struct jk_dealer_message *ret_message)
{
	int64_t deadline = client_deadline(timeout_ms), start = jk_time_mono_ms();
	enum client_event event;

	/* The caller was away: the silence was ours. */
	if (start - link->polled_ms > link->ping_interval_ms)
		link->heard_ms = start;
	for (;;) {
		int64_t now = jk_time_mono_ms();
		int wait;

		link->polled_ms = now;
		if (link->state != CLIENT_OPEN || now - link->looked_ms >= LOOK_MS)
			keep_link(link, now);
		if (link->state == CLIENT_OPEN)
			keep_session(link, now);
		if (link->trouble) {
			link->trouble = false;
			return CLIENT_TROUBLE;
		}
		wait = slice_ms(link, client_left_ms(deadline));
		if (!link->dealer)
			wait_without_dealer(wait);
		else if (jk_dealer_receive(link->dealer, wait, ret_message) &&
			 take_message(link, ret_message, jk_time_mono_ms(), &event))
			return event;
		if (!link->trouble && client_left_ms(deadline) == 0)
			return CLIENT_NOTHING;
	}
}

int client_link_timeout(struct client_link *link)
{
	if (link->state == CLIENT_OPEN)
		return client_link_fail(link, JUKWAA_E_TIMEOUT, "", NULL, "nothing came in the time given");
	return link->error.status == JUKWAA_OK ? client_link_fail(link, JUKWAA_E_UNREACHABLE, "", NULL, "the link is down")
					       : link->error.status;
}
