/* jukwaa/client.h: publish incidents to Jukwaa and subscribe to its feeds from a C program. Link with
 * `pkg-config --cflags --libs jukwaa`.
 *
 * Threads: an object is used by one thread at a time; different objects may be used by different threads at once. The
 * library starts threads of its own (ZeroMQ); do not fork after the first open. Block signals you want for yourself before it.
 * Strings are UTF-8. A function that returns int gives 0 or one of JUKWAA_E_…; jukwaa_publisher_error and
 * jukwaa_subscriber_error say more. timeout_ms: 0 does not wait, negative waits without end.
 *
 * The library works while one of its functions is called. TIMEOUT and UNREACHABLE come at the end of the time given and leave
 * everything open: call again. WRONG_SERVER and UNKNOWN_KEY come as soon as they are known, within 2 s of the first call that
 * waits; later calls try again by themselves, ever more slowly.
 */
#ifndef JUKWAA_CLIENT_H
#define JUKWAA_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define JUKWAA_API __attribute__((visibility("default")))

enum {
	JUKWAA_OK = 0,
	JUKWAA_E_TIMEOUT = 1,      /* nothing came in the time given; all is still open */
	JUKWAA_E_REFUSED = 2,      /* the service said no: jukwaa_error() has code, field, reason */
	JUKWAA_E_UNREACHABLE = 3,  /* nobody answers at the endpoint */
	JUKWAA_E_WRONG_SERVER = 4, /* somebody answers, with another key than the one given */
	JUKWAA_E_UNKNOWN_KEY = 5,  /* the service does not know, or no longer knows, our key */
	JUKWAA_E_USAGE = 6,        /* arguments or files; nothing was sent */
	JUKWAA_E_STORAGE = 7,      /* outbox or resume file cannot be written */
	JUKWAA_E_ENDED = 8,        /* the service ended the session for good (revoked, replaced): see jukwaa_error() */
};

/* What went wrong last on an object; valid until its next call. code is a stable word ("NOT_PERMITTED"), or "". */
struct jukwaa_error {
	int status;
	const char *code, *field, *reason;
};

struct jukwaa_connection {
	const char *endpoint;   /* "tcp://host:7101" */
	const char *server_key; /* 64 hex digits, or path of a .pub file; two with a comma while the exchange changes its key */
	const char *key_file;   /* made by `jukwaa key new` */
	const char *client;     /* what to call us in the service's log; NULL: "libjukwaa" */
	const char *realm;      /* "LIVE", "EXERCISE", or NULL for the key's own */
};

/* ---- publishing ------------------------------------------------------------------------------------------------- */

struct jukwaa_publisher;

struct jukwaa_publisher_options {
	struct jukwaa_connection connection;
	uint32_t window; /* most reports awaiting a receipt, 1 to 256; 0: 64 */
	/* NULL: none. Else reports are first written durably to this SQLite file (one process at a time), then sent, and kept
	 * until STORED or DUPLICATE; REJECTED and CONFLICT stay as dead letters. Reports left from an earlier run go first. */
	const char *outbox;
	bool sign;                 /* each report with the Ed25519 half of the key, so that receivers can check whose it is */
	uint64_t outbox_max_bytes; /* 0: 1 GiB; beyond it, send fails with JUKWAA_E_STORAGE */
};

struct jukwaa_report {
	const char *format; /* "cap", "json", "protobuf", "csv" (a row already mapped: jukwaa/v1 Incident) */
	const void *payload;
	size_t payload_size;
	const char *county; /* "047" wins over any shape in the payload; NULL: none */
	bool strict;        /* refuse what would only be warned of */
	bool check;         /* ask what would happen; nothing is stored */
	bool dry_run;       /* the same, and who would see it */
	const char *label;  /* the caller's name for it (a file name), given back with the receipt; NULL: "" */
};

struct jukwaa_position {
	char stream[40];
	uint64_t seq;
	uint8_t chain[32];
};
struct jukwaa_warning {
	const char *code, *field, *reason;
};
/* Who would get a copy, from which county's stream, and under what. */
struct jukwaa_reader {
	const char *county;
	const char *desk, *agency; /* "": members of a task force that the publisher is not in */
	uint32_t hidden_desks;     /* how many those are */
	const char *effect;        /* ALLOW ALLOW_REDACTED */
	const char *agreement;     /* "": the owner's own, or the operator's rule */
	uint32_t version;
	const char *profile, *reason;
};
/* Valid until the next call on the publisher. */
struct jukwaa_receipt {
	uint64_t ticket;
	const char *label;
	const char *verdict; /* STORED DUPLICATE CONFLICT REJECTED VALID; never BUSY: that is retried inside */
	const char *external_id;
	int64_t revision;
	char incident_id[37], event_id[37]; /* "" when there is none */
	const struct jukwaa_position *positions;
	size_t position_count;
	uint32_t epoch;
	const struct jukwaa_warning *warnings;
	size_t warning_count;
	const char *code, *field, *reason;    /* "" unless CONFLICT or REJECTED */
	bool retried;                         /* BUSY or silence was met on the way */
	const struct jukwaa_reader *audience; /* of a dry run that is VALID */
	size_t audience_count, audience_more; /* more: not listed */
};

/* Opens; does not wait for the service. */
JUKWAA_API int jukwaa_publisher_open(
	const struct jukwaa_publisher_options *options, struct jukwaa_publisher **ret_publisher, char ret_reason[256]);
JUKWAA_API void jukwaa_publisher_close(struct jukwaa_publisher **publisher_p);
/* Takes a copy of the report (with an outbox: on disk) and sends it when the window allows; waits up to timeout_ms for room
 * (with an outbox: never). ret_ticket may be NULL. A payload is at most 2 MiB. */
JUKWAA_API int jukwaa_publisher_send(
	struct jukwaa_publisher *publisher, const struct jukwaa_report *report, int timeout_ms, uint64_t *ret_ticket);
/* Next receipt, in any order. BUSY (also a service that is stopping, and a report over the key's rate limit) and silence are
 * repeated inside, ever more slowly; nothing else is. */
JUKWAA_API int jukwaa_publisher_receive(struct jukwaa_publisher *publisher, int timeout_ms, struct jukwaa_receipt *ret_receipt);
/* Reports sent or waiting without a receipt. With an outbox: what became of the others is written there by the calls that follow
 * and by close, again while the file cannot be written; what close could not write goes again at the next start. */
JUKWAA_API size_t jukwaa_publisher_outstanding(const struct jukwaa_publisher *publisher);
JUKWAA_API const struct jukwaa_error *jukwaa_publisher_error(const struct jukwaa_publisher *publisher);

/* ---- subscribing ------------------------------------------------------------------------------------------------ */

struct jukwaa_subscriber;

struct jukwaa_subscription {
	const char *const *counties; /* "047", … */
	size_t county_count;
	bool all, neighbours, mailbox, include_test;
	const char *const *categories; /* "FIRE", …; none: all */
	size_t category_count;
	const char *minimum_severity; /* "SEVERE": that or worse; NULL: all */
	/* "now" (NULL), "beginning", "snapshot" (first the incidents that are open, the gravest first, then SNAPSHOT_END, then
	 * what comes after exactly that), or a token from jukwaa_subscriber_token. */
	const char *from;
	const char *cursor; /* name of a durable cursor kept by the service; NULL: none */
	/* File that holds the newest token; read at start (it wins over `from` when it exists), replaced (write, fsync, rename)
	 * by each acknowledgement, at most every 200 ms and at close. NULL: none. */
	const char *resume_file;
	/* Messages under way before an acknowledgement is due, 1 to 256; 0: 64. While it catches up a message holds many events,
	 * else one. Acknowledge after so many events at the latest, and when none comes. */
	uint32_t window;
	/* File to which the signed heads that the exchange tells are added, one JSON object a line: whoever keeps it can later
	 * show that history was not rewritten (jukwaa evidence verify --heads). NULL: none. */
	const char *heads_file;
	bool skip_json;      /* leave jukwaa_event.json NULL: who reads `body` need not pay for it */
	bool include_closed; /* the snapshot also has incidents closed within the exchange's grace time (a day), in their last
				state */
	/* Code of an agreement, for what it newly gives: only what the desk may have under it, from the beginning up to now, then
	 * SNAPSHOT_END and nothing more. `from`, `cursor`, `resume_file` and `mailbox` do
	 * not go with it. NULL: none. */
	const char *backfill;
};

/* One event; valid until the next call on the subscriber. */
struct jukwaa_event {
	uint64_t delivery_no; /* 1, 2, 3 … for this object, counted on over lost links */
	const char *stream;
	uint64_t seq;
	uint32_t epoch;
	/* INCIDENT UPDATE CANCEL HISTORY MOVED_AWAY ACK ERROR ERASED; CASE_STATE DUTY UNIT AID: something was done about the
	 * incident, the groups are those of its newest revision, and "work" in `json` says what, where it is shown. In mailboxes
	 * DELIVERED LAGGING OPENED ACTED UNANSWERED. RECALLED: the copy of the incident held here no longer holds, and the desk
	 * may have no newer one; ids alone, labels and commitment are empty. */
	const char *kind; /* also SNAPSHOT_END: all that is open, or of a backfill, was given; acknowledge it like an event */
	char event_id[37], incident_id[37];
	int64_t revision, recorded_at_us;
	const char *tlp, *category, *severity, *status, *agency, *headline;
	uint8_t commitment[32], chain[32];
	/* "verified": the publisher signed its report, as the agency and with the key that the copy names; "bad": the copy says
	 * so, and it does not hold; "none": not signed, or not shown. That the key is the agency's is the exchange's word. */
	const char *origin;
	/* What is shown adds up to the commitment, is no more than the profile that the copy names, and lies where it belongs. */
	bool copy_verified;
	/* The chain of this stream adds up from the event before it in this session; false for the first event of a stream that
	 * does not start at 1, and after events the desk may not see. chain_broken: it should have added up and did not. */
	bool chain_verified, chain_broken;
	const char *json; /* one line: all of the above and the incident's groups */
	const void *body; /* packed jukwaa.v1.Deliver as received (out of a DeliverBatch: with session 0) */
	size_t body_size;
	const char *copy_problem; /* why copy_verified is false; "" when it is true */
	/* Under which agreement the copy was made: its code and version, or "" and 0 (the agency's own, or a row of the
	 * operator). */
	const char *agreement;
	uint32_t agreement_version;
	const char *profile;     /* what it shows, "COARSE_PLACE@1"; "": the agency's own */
	uint32_t retention_days; /* how long it may be kept; 0: the agreement sets no limit */
	bool redistribution;     /* it may be passed on */
	/* Part of a snapshot: what is known of the incident, whatever the number; and its end. snapshot_begins: it is the first
	 * of it (the end, where nothing is open): after a broken link a snapshot that was not complete starts anew, and what was
	 * given of it before counts no more. */
	bool snapshot, snapshot_begins;
	const char *case_state;  /* of a snapshot: NEW TRIAGED … where it may be shown, else "" */
	bool closed;             /* of a snapshot: it is over */
	uint64_t snapshot_count; /* of SNAPSHOT_END: how many came before it */
};

JUKWAA_API int jukwaa_subscriber_open(const struct jukwaa_connection *connection, const struct jukwaa_subscription *subscription,
	struct jukwaa_subscriber **ret_subscriber, char ret_reason[256]);
JUKWAA_API void jukwaa_subscriber_close(struct jukwaa_subscriber **subscriber_p);
/* Next event. After a lost link it resumes from the newest position received, with a cursor from the newest acknowledged: what
 * the cursor passes is with the caller. An event that was not acknowledged may come twice: tell by event_id. */
JUKWAA_API int jukwaa_subscriber_next(struct jukwaa_subscriber *subscriber, int timeout_ms, struct jukwaa_event *ret_event);
/* Everything up to and including this delivery is safe with the caller. Must be called for the feed to go on. */
JUKWAA_API int jukwaa_subscriber_ack(struct jukwaa_subscriber *subscriber, uint64_t delivery_no);
/* Resume token after the newest acknowledged delivery, at first where the subscription began; text for `from`. Valid until the
 * next call. NULL before the service has answered. */
JUKWAA_API const char *jukwaa_subscriber_token(struct jukwaa_subscriber *subscriber);
JUKWAA_API const struct jukwaa_error *jukwaa_subscriber_error(const struct jukwaa_subscriber *subscriber);

/* ---- asking cases ----------------------------------------------------------------------------------------------- */

/* What cases are read for. Every question is recorded with it, under the key that asks, before it is answered; without it the
 * service refuses (field "purpose"). */
struct jukwaa_purpose {
	const char *word; /* RESPONSE INVESTIGATION COORDINATION STATISTICS AUDIT SUBJECT_REQUEST FOLLOW_UP */
	const char *note; /* for people, at most 200 bytes; NULL: none */
};

struct jukwaa_case_query {
	struct jukwaa_purpose purpose;
	const char *const *counties;
	size_t county_count;
	const char *state; /* "NEW"; NULL: all */
	bool include_test;
	uint32_t limit;
	const char *after; /* `page` of the answer before; NULL: from the newest */
};
/* JSON text (one object), malloc'd; the caller frees it. */
JUKWAA_API int jukwaa_case_list(const struct jukwaa_connection *connection, const struct jukwaa_case_query *query, int timeout_ms,
	char **ret_json, char ret_reason[256]);
/* Without "incident" where its events have been removed by age. Not as in 0.1.0: the purpose is a parameter. */
JUKWAA_API int jukwaa_case_show(const struct jukwaa_connection *connection, const char *case_id,
	const struct jukwaa_purpose *purpose, int timeout_ms, char **ret_json, char ret_reason[256]);

/* ---- the work of a desk ----------------------------------------------------------------------------------------- */

/* One command or question by its message's name ("OfferCommand", "UnitList"; see share/jukwaa/proto), with its fields as a JSON
 * object: names as in the .proto, ids as UUIDs, times as RFC 3339 text, words of enums without their prefix. session and request
 * are filled in; a command without command_id gets one. While the service says "later" or nothing, it is sent again under the
 * same command_id, which does nothing twice; a caller that gets JUKWAA_E_TIMEOUT and wants to go on gives a command_id of its
 * own. ret_json: the answer's fields (CommandDone for a command), malloc'd; the caller frees it. Refused: JUKWAA_E_REFUSED, and
 * ret_reason is "CODE field: reason". */
JUKWAA_API int jukwaa_call(const struct jukwaa_connection *connection, const char *name, const char *json, int timeout_ms,
	char **ret_json, char ret_reason[256]);

/* The offers a desk is asked to answer, and what it is told, as they come: one session kept up over lost links. */
struct jukwaa_offers;

JUKWAA_API int jukwaa_offers_open(
	const struct jukwaa_connection *connection, struct jukwaa_offers **ret_offers, char ret_reason[256]);
JUKWAA_API void jukwaa_offers_close(struct jukwaa_offers **offers_p);
/* The next one: Offered (duty.proto) as JSON on one line, valid until the next call. First those that are open already; each
 * once, and again when its duty or what the desk has to do with it has changed. JUKWAA_E_TIMEOUT: none came. Other statuses but
 * JUKWAA_E_ENDED and JUKWAA_E_UNKNOWN_KEY may pass: call again. */
JUKWAA_API int jukwaa_offers_next(struct jukwaa_offers *offers, int timeout_ms, const char **ret_json);
JUKWAA_API const struct jukwaa_error *jukwaa_offers_error(const struct jukwaa_offers *offers);

/* "0.1.0" */
JUKWAA_API const char *jukwaa_version(void);

#ifdef __cplusplus
}
#endif
#endif
