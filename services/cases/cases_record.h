/* cases_record.h: answers that wait until it is recorded who is shown what, and what for. Many are recorded by one commit: what
 * is put while one is under way goes with the next. Not here: what is answered, SQL. Used from the loop's thread; never blocks.
 */
#pragma once

#include "base/jk_refusal.h"
#include "cases.h"
#include "db/db.h"

/* An answer on its way, in one piece of memory with what it points to but the body. */
struct cases_held {
	struct cases_held *next;
	uint64_t session, request;
	int64_t since_ms;
	uint16_t kind;
	uint8_t *body; /* NULL: the answer is the refusal */
	size_t body_size;
	struct jk_refusal refusal;
	struct cases_access access; /* access.seen: its own room */
};
/* With room for that many cases in access.seen. NULL: no memory. */
struct cases_held *cases_held_new(size_t seen_max);
void cases_held_free(struct cases_held **held_p);

struct cases_record;

/* Called once for each that was put, also when it is closed. recorded false: the answer must not go out. */
typedef void cases_record_done(void *arg, struct cases_held *held, bool recorded);

/* db: borrowed, used for this alone. JK_BROKEN: out of memory. */
enum jk_status cases_record_open(
	struct jk_db *db, cases_record_done *on_done, void *arg, struct cases_record **ret_record) JK_MUST_CHECK;
void cases_record_close(struct cases_record **record_p);

/* May this session ask now? False: the database is away, or too much waits, of this session or in all. */
bool cases_record_has_room(const struct cases_record *record, uint64_t session);
/* Takes it away. */
void cases_record_put(struct cases_record *record, struct cases_held **held_p);
/* At the end of each turn. */
void cases_record_run(struct cases_record *record);
/* At least every 250 ms: what has waited too long is given back as not recorded. */
void cases_record_on_timer(struct cases_record *record);
size_t cases_record_count(const struct cases_record *record);
