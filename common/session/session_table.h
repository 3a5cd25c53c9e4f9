/* session_table.h: inside this part: sessions by number and by route, and what is kept for each key. Not here: sockets, time of
 * day, the registry. */
#pragma once

#include "session/session.h"

enum { SESSION_TOLD_SLOTS = 16 };

/* What all sessions of one key share. Outlives them until its bucket is full again, or a new HELLO would refill it. */
struct session_key {
	struct session_key *next; /* in the same bucket */
	uint8_t curve_key[32];
	uint32_t open_count;
	int64_t tokens_milli; /* thousandths of a message that may still be taken */
	int64_t filled_at_ms;
	int32_t rate_limit;
	/* By kind of refusal: when the log last told of one, and how many since. */
	struct session_told {
		int64_t at_ms;
		uint32_t untold;
	} told[SESSION_TOLD_SLOTS];
};

struct session_entry {
	struct jk_session session; /* first: the public face of the same address */
	struct session_entry *next_by_number, *next_by_route;
	struct session_key *key;
	uint64_t checked;      /* number of the snapshot in which the key was last found good */
	int64_t expires_at_us; /* of the key in that snapshot; 0: never */
};

struct session_table {
	struct session_entry **entries; /* all, ended ones too until they are swept */
	size_t count, ended_count, capacity;
	struct session_entry **by_number, **by_route;
	struct session_key **keys;
	size_t bucket_mask;
};

/* Room for `capacity` open sessions. */
enum jk_status session_table_init(struct session_table *table, size_t capacity) JK_MUST_CHECK;
/* The sessions must have been removed. */
void session_table_done(struct session_table *table);

/* NULL when unknown or ended. */
struct session_entry *session_table_find(const struct session_table *table, uint64_t number);
struct session_entry *session_table_find_route(const struct session_table *table, const struct jk_route *route);
/* Sessions of the key that are open. */
uint32_t session_table_open_of_key(const struct session_table *table, const uint8_t curve_key[32]);
/* Copies session; its number must be free. NULL: no memory. */
struct session_entry *session_table_add(struct session_table *table, const struct jk_session *session, int64_t now_ms);
/* Marks it ended; it stays in `entries` until removed. */
void session_table_end(struct session_table *table, struct session_entry *entry);
/* Takes an ended entry at this position out and frees it; another takes its place. */
void session_table_remove(struct session_table *table, size_t position);
static inline size_t session_table_open_count(const struct session_table *table)
{
	return table->count - table->ended_count;
}

/* What is kept for a key, made when it is not there yet. NULL: no memory. */
struct session_key *session_table_key(struct session_table *table, const uint8_t curve_key[32], int64_t now_ms);

/* Token bucket: true when one more message fits into rate_limit a second, averaged over ten. 0: always. */
bool session_key_take(struct session_key *key, int32_t rate_limit, int64_t now_ms);
/* Forgets keys without sessions whose bucket is full again. */
void session_table_forget_keys(struct session_table *table, int64_t now_ms);
