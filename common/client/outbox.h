/* outbox.h: reports kept on disk until the service has them: one SQLite file (WAL, synchronous=FULL), one writing process at a
 * time (flock on FILE.lock), and the dead letters: what was refused for good. Used by the publisher, and by `jukwaa outbox`.
 * Not here: sending. Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "base/jk_status.h"

struct jk_outbox;

/* A waiting report, or with verdict set a dead letter. When read: borrowed until the next call on the outbox. */
struct jk_outbox_report {
	uint64_t ticket;
	const char *id; /* RFC 9562 text, given when added */
	int format;     /* jk_formats */
	const void *payload;
	size_t payload_size;
	const char *county; /* "": none */
	bool strict;
	const char *label;
	int64_t added_us;
	const char *verdict, *code, *field, *reason; /* dead letters; else "" */
};

enum jk_outbox_use { JK_OUTBOX_READ, JK_OUTBOX_WRITE };

/* WRITE creates the file (mode 0600) and locks it; JK_RETRY: another process has it. READ looks at one that is there, also
 * while another process writes. max_bytes: of payloads waiting; 0: 1 GiB. */
enum jk_status jk_outbox_open(const char *path, enum jk_outbox_use use, uint64_t max_bytes, struct jk_outbox **ret_outbox,
	struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* Flushes, once: what cannot be written is sent again. NULL is fine. */
void jk_outbox_close(struct jk_outbox **outbox_p);

/* On disk when it returns JK_OK. JK_RETRY: full. JK_BROKEN: the file cannot be written. ticket and id of `report` are not
 * read. */
enum jk_status jk_outbox_add(struct jk_outbox *outbox, const struct jk_outbox_report *report, uint64_t *ret_ticket,
	struct jk_refusal *ret_refusal) JK_MUST_CHECK;
/* The waiting report with the lowest ticket above `after`, settled ones among them until they are flushed; false: none. */
bool jk_outbox_next(struct jk_outbox *outbox, uint64_t after, struct jk_outbox_report *ret);
/* It is stored: forget it. Once for each ticket. Kept in memory, and written together with others by flush; a loss means that
 * it is sent again. JK_RETRY: the file cannot be read, or no memory; it counts as waiting still. */
enum jk_status jk_outbox_settle(struct jk_outbox *outbox, uint64_t ticket) JK_MUST_CHECK;
/* It was refused for good: among the dead letters with it. As above. */
enum jk_status jk_outbox_bury(struct jk_outbox *outbox, uint64_t ticket, const char *verdict, const char *code, const char *field,
	const char *reason) JK_MUST_CHECK;
/* Writes what was settled and buried. JK_RETRY: not everything could be written; the rest is kept for the next time. */
enum jk_status jk_outbox_flush(struct jk_outbox *outbox) JK_MUST_CHECK;

/* Reports waiting, settled ones not counted. */
size_t jk_outbox_waiting(const struct jk_outbox *outbox);
/* The dead letter with the lowest ticket above `after`; false: none. */
bool jk_outbox_next_dead(struct jk_outbox *outbox, uint64_t after, struct jk_outbox_report *ret);
/* Moves dead letters back among the waiting, with new tickets: the one with this id, or all (NULL). Flushes first. */
enum jk_status jk_outbox_retry(struct jk_outbox *outbox, const char *id, size_t *ret_count) JK_MUST_CHECK;
