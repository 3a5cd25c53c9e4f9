/* feed_append.h: events to be appended to the feed: arrays for feed.append(), which is the last statement of the transaction that
 * does what the events say. Not here: what an event is made of (feed_body.h). */
#pragma once

#include "base/jk_id.h"
#include "base/jk_words.h"
#include "crypt/crypt.h"
#include "db/db.h"

/* One event. Texts and bytes are copied by jk_append_add. */
struct jk_append_event {
	const char *stream; /* "047", "@KPS" */
	struct jk_id event_id, incident_id;
	enum jk_event_kind kind;
	int64_t revision;
	int tlp, category;
	const uint8_t *commitment; /* 32 bytes */
	const uint8_t *body;
	size_t body_size;
};

/* Zero-initialise; reused from batch to batch. */
struct jk_append {
	struct jk_db_array columns[9];
	size_t count;
};
void jk_append_reset(struct jk_append *append);
void jk_append_add(struct jk_append *append, const struct jk_append_event *event);
/* One mail: an event of a publisher's mailbox, whose commitment is the hash of its packed message. */
struct jk_append_mail {
	const char *agency; /* the publisher's code */
	struct jk_id incident_id;
	enum jk_event_kind kind;
	int64_t revision;
	int tlp, category;
	struct jk_span body;
};
void jk_append_add_mail(struct jk_append *append, const struct jk_append_mail *mail);
/* The step; false: there is nothing to append. The arrays are borrowed until the job is done. Its result: ord int, seq bigint,
 * chain bytea, recorded_at timestamptz, epoch int. */
bool jk_append_step(struct jk_append *append, struct jk_db_step *ret_step);
void jk_append_done(struct jk_append *append);
