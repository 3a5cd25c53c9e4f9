/* client_link.h: the client's end of a session: one DEALER, HELLO, PING, BAD_SESSION, BYE, the connection rebuilt with a
 * back-off of its own. Publisher, subscriber and case queries stand on it. No thread of its own: it lives while it is polled.
 * Not here: what a command means. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/jk_arena.h"
#include "bus/bus_dealer.h"
#include "jukwaa/client.h"

enum client_state {
	CLIENT_CLOSED,     /* no socket; opened anew at reopen_ms */
	CLIENT_CONNECTING, /* socket there, no HELLO sent */
	CLIENT_HELLO_SENT,
	CLIENT_OPEN, /* the session number is known to the service */
	CLIENT_OVER, /* ended for good by the service */
};

/* What a poll met. */
enum client_event {
	CLIENT_NOTHING, /* the time is over */
	CLIENT_OPENED,  /* a new session: say again what is open */
	CLIENT_MESSAGE, /* a message that is the caller's to read and release */
	CLIENT_TROUBLE, /* link->error says what; said once each time it is found out */
};

enum { CLIENT_SERVER_KEYS_MAX = 2 };

struct client_link {
	struct jk_bus *bus;
	struct jk_dealer *dealer;
	struct jk_key key;
	uint8_t server_keys[CLIENT_SERVER_KEYS_MAX][JK_KEY_BYTES];
	unsigned server_key_count, server_key_at, server_keys_wrong; /* wrong: tried in vain since a session was open */
	char endpoint[256], name[65];
	enum jk_realm realm;
	uint32_t window_wanted;

	enum client_state state;
	bool trouble; /* found, not yet said */
	uint64_t session;
	uint32_t window, epoch;
	char agency[64], desk[64];
	int64_t ping_interval_ms;
	int64_t opened_ms, hello_ms, reopen_ms, reopen_after_ms, heard_ms, said_ms, looked_ms, polled_ms;

	struct jk_arena *arena; /* of the message being read */
	uint8_t *packed;        /* scratch for sending */
	size_t packed_capacity;
	struct jukwaa_error error;
	char error_code[48], error_field[100], error_reason[256];
};

/* Reads the key files and prepares; connects at the first poll. window: wanted of the service, 0 its default.
 * JUKWAA_E_USAGE with a sentence. */
int client_link_open(struct client_link *link, const struct jukwaa_connection *connection, uint32_t window, char ret_reason[256]);
void client_link_close(struct client_link *link);

/* Upkeep, then waits up to timeout_ms (0: not at all) for something to happen. */
enum client_event client_link_poll(struct client_link *link, int timeout_ms, struct jk_dealer_message *ret_message);
/* For a caller that is busy with what it has received: tells the service that we are there, and receives nothing. */
void client_link_keep(struct client_link *link);
/* Packs and sends without waiting. JK_RETRY: not open, or the pipe is full; JK_BROKEN: too large, or no memory. */
enum jk_status client_link_send(struct client_link *link, uint16_t kind, const ProtobufCMessage *message) JK_MUST_CHECK;
/* Unpacks into link->arena, which is emptied first; NULL for what is not of this type (counted as not heard). */
ProtobufCMessage *client_link_read(
	struct client_link *link, const ProtobufCMessageDescriptor *type, const struct jk_dealer_message *message);
/* Forgets the session and says HELLO again. */
void client_link_restart(struct client_link *link);

/* Sets link->error and gives status back. field may be NULL. */
int client_link_fail(struct client_link *link, int status, const char *code, const char *field, const char *reason);
/* What a call says whose time is over: TIMEOUT within a session, else why there is none. */
int client_link_timeout(struct client_link *link);
/* Refusals that mean "not now": the command is repeated, as after BUSY. */
bool client_link_is_later(int code);

/* Milliseconds left until the deadline (client_deadline), never negative; at most 60,000. timeout_ms < 0: no end. */
int64_t client_deadline(int timeout_ms);
int client_left_ms(int64_t deadline_ms);
/* base_ms doubled `tries` times up to limit_ms, then 50 to 100 % of it at random. */
int64_t client_backoff_ms(int64_t base_ms, int64_t limit_ms, unsigned tries);
