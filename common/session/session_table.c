#include "session/session_table.h"

#include <stdlib.h>
#include <string.h>

enum { BURST_S = 10, MESSAGE_MILLI = 1000, CAPACITY_AT_FIRST = 16 };

enum jk_status session_table_init(struct session_table *table, size_t capacity)
{
	size_t buckets = 16;

	while (buckets < capacity)
		buckets *= 2;
	*table = (struct session_table){.bucket_mask = buckets - 1};
	table->by_number = calloc(buckets, sizeof(struct session_entry *));
	table->by_route = calloc(buckets, sizeof(struct session_entry *));
	table->keys = calloc(buckets, sizeof(struct session_key *));
	if (table->by_number != NULL && table->by_route != NULL && table->keys != NULL)
		return JK_OK;
	session_table_done(table);
	return JK_BROKEN;
}

void session_table_done(struct session_table *table)
{
	for (size_t i = 0; table->keys != NULL && i <= table->bucket_mask; i++) {
		while (table->keys[i] != NULL) {
			struct session_key *key = table->keys[i];
			table->keys[i] = key->next;
			free(key);
		}
	}
	free(table->entries);
	free(table->by_number);
	free(table->by_route);
	free(table->keys);
	*table = (struct session_table){0};
}

/* FNV-1a: routing ids are ours and session numbers random, so nobody can choose them to collide. */
static size_t bucket_of(const struct session_table *table, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	uint64_t hash = 0xcbf29ce484222325ULL;

	for (size_t i = 0; i < size; i++)
		hash = (hash ^ at[i]) * 0x100000001b3ULL;
	return (size_t)hash & table->bucket_mask;
}

static struct session_entry **number_bucket(const struct session_table *table, uint64_t number)
{
	return &table->by_number[(size_t)number & table->bucket_mask];
}

static struct session_entry **route_bucket(const struct session_table *table, const struct jk_route *route)
{
	return &table->by_route[bucket_of(table, route->bytes, route->size)];
}

static bool is_same_route(const struct jk_route *a, const struct jk_route *b)
{
	return a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

struct session_entry *session_table_find(const struct session_table *table, uint64_t number)
{
	struct session_entry *entry = *number_bucket(table, number);

	while (entry != NULL && entry->session.number != number)
		entry = entry->next_by_number;
	return entry == NULL || entry->session.ended ? NULL : entry;
}

struct session_entry *session_table_find_route(const struct session_table *table, const struct jk_route *route)
{
	struct session_entry *entry = *route_bucket(table, route);

	/* An ended session of the same route may still be in the chain. */
	while (entry != NULL && (entry->session.ended || !is_same_route(&entry->session.route, route)))
		entry = entry->next_by_route;
	return entry;
}

static struct session_key **find_key(const struct session_table *table, const uint8_t curve_key[32])
{
	struct session_key **at = &table->keys[bucket_of(table, curve_key, 32)];

	while (*at != NULL && memcmp((*at)->curve_key, curve_key, 32) != 0)
		at = &(*at)->next;
	return at;
}

uint32_t session_table_open_of_key(const struct session_table *table, const uint8_t curve_key[32])
{
	const struct session_key *key = *find_key(table, curve_key);

	return key == NULL ? 0 : key->open_count;
}

struct session_key *session_table_key(struct session_table *table, const uint8_t curve_key[32], int64_t now_ms)
{
	struct session_key **at = find_key(table, curve_key);

	if (*at == NULL) {
		*at = calloc(1, sizeof **at);
		if (*at != NULL) {
			memcpy((*at)->curve_key, curve_key, sizeof(*at)->curve_key);
			(*at)->filled_at_ms = now_ms;
		}
	}
	return *at;
}

static bool grow(struct session_table *table)
{
	size_t capacity = table->capacity == 0 ? CAPACITY_AT_FIRST : 2 * table->capacity;
	struct session_entry **entries;

	if (table->count < table->capacity)
		return true;
	entries = realloc(table->entries, capacity * sizeof(struct session_entry *));
	if (entries == NULL)
		return false;
	table->entries = entries;
	table->capacity = capacity;
	return true;
}

struct session_entry *session_table_add(struct session_table *table, const struct jk_session *session, int64_t now_ms)
{
	struct session_entry *entry = calloc(1, sizeof *entry);
	struct session_entry **by_number = number_bucket(table, session->number);
	struct session_entry **by_route = route_bucket(table, &session->route);

	if (entry == NULL || !grow(table) || (entry->key = session_table_key(table, session->curve_key, now_ms)) == NULL) {
		free(entry);
		return NULL;
	}
	entry->session = *session;
	entry->key->open_count++;
	entry->next_by_number = *by_number;
	*by_number = entry;
	entry->next_by_route = *by_route;
	*by_route = entry;
	table->entries[table->count++] = entry;
	return entry;
}

void session_table_end(struct session_table *table, struct session_entry *entry)
{
	if (entry->session.ended)
		return;
	entry->session.ended = true;
	entry->key->open_count--;
	entry->key = NULL;
	table->ended_count++;
}

void session_table_remove(struct session_table *table, size_t position)
{
	struct session_entry *entry = table->entries[position];
	struct session_entry **at = number_bucket(table, entry->session.number);

	while (*at != entry)
		at = &(*at)->next_by_number;
	*at = entry->next_by_number;
	at = route_bucket(table, &entry->session.route);
	while (*at != entry)
		at = &(*at)->next_by_route;
	*at = entry->next_by_route;
	table->entries[position] = table->entries[--table->count];
	table->ended_count--;
	free(entry);
}

static void fill_bucket(struct session_key *key, int64_t now_ms)
{
	int64_t most_milli = (int64_t)key->rate_limit * BURST_S * MESSAGE_MILLI;
	int64_t elapsed_ms = now_ms - key->filled_at_ms;

	/* A bucket fills within BURST_S; longer spans would only overflow the product. */
	if (elapsed_ms > BURST_S * 1000)
		elapsed_ms = BURST_S * 1000;
	key->filled_at_ms = now_ms;
	key->tokens_milli += elapsed_ms * key->rate_limit;
	if (key->tokens_milli > most_milli)
		key->tokens_milli = most_milli;
}

bool session_key_take(struct session_key *key, int32_t rate_limit, int64_t now_ms)
{
	if (rate_limit <= 0)
		return true;
	if (key->rate_limit != rate_limit) {
		/* The first message under this limit: a full bucket. */
		key->rate_limit = rate_limit;
		key->tokens_milli = (int64_t)rate_limit * BURST_S * MESSAGE_MILLI;
	}
	fill_bucket(key, now_ms);
	if (key->tokens_milli < MESSAGE_MILLI)
		return false;
	key->tokens_milli -= MESSAGE_MILLI;
	return true;
}

void session_table_forget_keys(struct session_table *table, int64_t now_ms)
{
	for (size_t i = 0; i <= table->bucket_mask; i++) {
		for (struct session_key **at = &table->keys[i]; *at != NULL;) {
			struct session_key *key = *at;
			if (key->open_count == 0 && now_ms - key->filled_at_ms > BURST_S * 1000) {
				*at = key->next;
				free(key);
			} else {
				at = &key->next;
			}
		}
	}
}
