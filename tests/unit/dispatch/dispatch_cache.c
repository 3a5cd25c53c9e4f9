/* The cache: blocks are whole up to loaded_to or not there; bytes are bounded; copies are made once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_text.h"
#include "dispatch_cache.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/dispatch.pb-c.h"

enum { ARENA_BYTES = 1 << 20, LIMIT_BYTES = 64 * 1024, WITHHELD = 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS };

static struct jk_arena *arena;

static int set_up(void **state)
{
	(void)state;
	arena = jk_arena_new(ARENA_BYTES);
	return arena == NULL || jk_crypt_init() != JK_OK;
}

static int tear_down(void **state)
{
	(void)state;
	jk_arena_free(&arena);
	return 0;
}

/* Puts a bodiless event; nobody can read it, which does not matter here. */
static void put(struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t after, uint64_t seq)
{
	static const uint8_t chain[32];
	struct jk_event row = {.seq = seq, .chain = chain, .category = 6};
	struct dispatch_event *event;

	(void)jk_text_copy(row.stream, sizeof row.stream, stream->name);
	event = dispatch_event_new(&row, arena);
	assert_non_null(event);
	dispatch_cache_put(cache, stream, after, &event);
	assert_null(event);
}

static void test_streams_are_sorted_and_kept(void **state)
{
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *second = dispatch_cache_stream(cache, "047");
	size_t count;
	struct dispatch_stream *const *streams;
	char name[8];
	(void)state;

	assert_ptr_not_equal(dispatch_cache_stream(cache, "001"), second);
	for (int i = 100; i < 300; i++) {
		(void)jk_text_format(name, sizeof name, "@%d", i);
		assert_non_null(dispatch_cache_stream(cache, name));
	}
	assert_ptr_equal(dispatch_cache_stream(cache, "047"), second);
	streams = dispatch_cache_streams(cache, &count);
	assert_int_equal(count, 202);
	for (size_t i = 1; i < count; i++)
		assert_true(strcmp(streams[i - 1]->name, streams[i]->name) < 0);
	dispatch_cache_free(&cache);
	assert_null(cache);
}

static void put_incident(struct dispatch_cache *cache, struct dispatch_stream *stream, uint64_t seq, uint8_t incident)
{
	static const uint8_t chain[32];
	struct jk_event row = {.seq = seq, .chain = chain, .category = 6, .incident_id = {{incident}}};
	struct dispatch_event *event;

	(void)jk_text_copy(row.stream, sizeof row.stream, stream->name);
	event = dispatch_event_new(&row, arena);
	assert_non_null(event);
	dispatch_cache_put(cache, stream, seq - 1, &event);
}

static void test_what_was_erased_is_dropped(void **state)
{
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *one = dispatch_cache_stream(cache, "001"), *other = dispatch_cache_stream(cache, "002");
	const struct jk_id erased = {{7}}, unknown = {{9}};
	(void)state;

	for (uint64_t seq = 1; seq <= 3; seq++)
		put_incident(cache, one, seq, seq == 2 ? 7 : 1);
	put_incident(cache, other, 1, 7);
	put_incident(cache, other, DISPATCH_BLOCK_EVENTS + 1, 1); /* a block of its own */
	assert_int_equal(dispatch_cache_drop_incident(cache, &unknown), 0);
	assert_int_equal(dispatch_cache_drop_incident(cache, &erased), 2);
	assert_null(dispatch_cache_peek(cache, one, 1));
	assert_null(dispatch_cache_peek(cache, other, 1));
	assert_non_null(dispatch_cache_peek(cache, other, DISPATCH_BLOCK_EVENTS + 1));
	assert_int_equal(dispatch_cache_drop_incident(cache, &erased), 0);
	dispatch_cache_free(&cache);
}

static void test_blocks_are_whole(void **state)
{
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *stream = dispatch_cache_stream(cache, "047");
	struct dispatch_block *block;
	(void)state;

	put(cache, stream, 4, 5); /* what comes before is not here */
	assert_null(dispatch_cache_find(cache, stream, 0));
	put(cache, stream, 0, 1);
	put(cache, stream, 1, 2);
	put(cache, stream, 3, 4); /* 3 is missing */
	block = dispatch_cache_find(cache, stream, 0);
	assert_int_equal(block->loaded_to, 2);
	assert_null(block->events[3]);
	put(cache, stream, 1, 2); /* again */
	put(cache, stream, 2, 5); /* 3 and 4 were removed from the feed */
	assert_int_equal(block->loaded_to, 5);
	assert_null(block->events[2]);
	assert_int_equal(block->events[4]->seq, 5);
	dispatch_cache_put_nothing(cache, stream, 5, 9);
	assert_int_equal(block->loaded_to, 9);
	dispatch_cache_put_nothing(cache, stream, 11, 12);
	assert_int_equal(block->loaded_to, 9);
	/* One reading runs over the end of a block. */
	put(cache, stream, 9, DISPATCH_BLOCK_EVENTS);
	put(cache, stream, DISPATCH_BLOCK_EVENTS, DISPATCH_BLOCK_EVENTS + 1);
	assert_int_equal(dispatch_cache_find(cache, stream, 1)->loaded_to, DISPATCH_BLOCK_EVENTS + 1);
	dispatch_cache_free(&cache);
}

static void test_bytes_are_bounded_and_the_oldest_goes(void **state)
{
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *stream = dispatch_cache_stream(cache, "047");
	const uint64_t blocks = 40;
	(void)state;

	for (uint64_t block = 0; block < blocks; block++) {
		uint64_t first = dispatch_rules_block_first(block);

		for (uint64_t seq = first; seq < first + 20; seq++)
			put(cache, stream, seq - 1, seq);
		assert_true(dispatch_cache_bytes(cache) <= LIMIT_BYTES);
		if (block > 0)
			assert_non_null(dispatch_cache_find(cache, stream, 0)); /* in use all the time */
	}
	assert_null(dispatch_cache_find(cache, stream, 1));
	assert_non_null(dispatch_cache_find(cache, stream, blocks - 1));
	dispatch_cache_forget(cache);
	assert_int_equal(dispatch_cache_bytes(cache), 0);
	dispatch_cache_free(&cache);
}

/* Bodies so big that one block fills the cache: the newest stays, what was dropped is known to be. */
static void test_one_block_is_bounded_too(void **state)
{
	static const uint8_t chain[32], big[LIMIT_BYTES / 3];
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *stream = dispatch_cache_stream(cache, "047");
	struct dispatch_block *block;
	(void)state;

	for (uint64_t seq = 1; seq <= 10; seq++) {
		struct jk_event row = {.stream = "047", .seq = seq, .chain = chain, .body = big, .body_size = sizeof big};
		struct dispatch_event *event = dispatch_event_new(&row, arena);

		dispatch_cache_put(cache, stream, seq - 1, &event);
		assert_true(dispatch_cache_bytes(cache) <= LIMIT_BYTES);
	}
	block = dispatch_cache_find(cache, stream, 0);
	assert_int_equal(block->loaded_to, 10);
	assert_in_range(block->loaded_from, 8, 10);
	for (uint64_t seq = 1; seq <= 10; seq++)
		assert_int_equal(block->events[seq - 1] != NULL, seq >= block->loaded_from);
	dispatch_cache_drop(cache, &block);
	assert_null(dispatch_cache_find(cache, stream, 0));
	assert_int_equal(dispatch_cache_bytes(cache), 0);
	dispatch_cache_free(&cache);
}

static struct dispatch_event *sealed_event(const uint8_t *extra, size_t extra_size)
{
	struct jk_group groups[JK_GROUP_COUNT] = {{.content = NULL}};
	static const uint8_t chain[32];
	uint8_t body[4096];
	const uint8_t *sealed;
	size_t size;
	struct jk_event row = {.seq = 1, .chain = chain, .category = 6, .stream = "047"};

	assert_int_equal(jk_body_seal(groups, arena, (uint8_t[32]){0}, &sealed, &size), JK_OK);
	assert_true(size + extra_size <= sizeof body);
	memcpy(body, sealed, size);
	if (extra_size > 0)
		memcpy(body + size, extra, extra_size);
	row.body = body;
	row.body_size = size + extra_size;
	return dispatch_event_new(&row, arena);
}

static void test_copies(void **state)
{
	static const uint8_t unknown[] = {0xfa, 0x06, 3, 'x', 'y', 'z'};
	struct dispatch_event *plain = sealed_event(NULL, 0), *dirty = sealed_event(unknown, sizeof unknown);
	const struct dispatch_copy *copy;
	Jukwaa__V1__Deliver *deliver;
	(void)state;

	plain->readable = dirty->readable = true; /* an empty incident has no label; its groups copy all the same */
	copy = dispatch_event_copy(plain, WITHHELD, arena);
	assert_non_null(copy);
	assert_ptr_equal(copy->bytes, plain->stored); /* costs no memory */
	assert_ptr_equal(dispatch_event_copy(plain, WITHHELD, arena), copy);
	assert_ptr_not_equal(dispatch_event_copy(plain, WITHHELD | 1 << JK_GROUP_PLACE, arena), copy);
	copy = dispatch_event_copy(dirty, WITHHELD, arena);
	assert_non_null(copy);
	assert_ptr_equal(copy->bytes, copy->own);
	assert_int_equal(copy->size, dirty->body_offset + dirty->body_size - sizeof unknown);
	deliver = jukwaa__v1__deliver__unpack(NULL, copy->size, copy->bytes); /* all but what is a recipient's own */
	assert_non_null(deliver);
	assert_int_equal(deliver->seq, dirty->seq);
	assert_int_equal(deliver->body_case, JUKWAA__V1__DELIVER__BODY_EVENT);
	assert_int_equal(deliver->delivery_no, 0);
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
	dirty->readable = false;
	assert_null(dispatch_event_copy(dirty, 0, arena));
	dispatch_event_free(&plain);
	dispatch_event_free(&dirty);
}

/* Copies for desks under other terms take memory too, and nothing is put in between. */
static void test_copies_are_bounded(void **state)
{
	struct dispatch_cache *cache = dispatch_cache_new(LIMIT_BYTES);
	struct dispatch_stream *stream = dispatch_cache_stream(cache, "047");
	const uint64_t blocks = 8;
	struct dispatch_block *block;
	(void)state;

	for (uint64_t number = 0; number < blocks; number++)
		for (uint64_t i = 0, seq = dispatch_rules_block_first(number); i < 3; i++, seq++) {
			struct dispatch_event *event = sealed_event(NULL, 0);

			event->readable = true;
			event->seq = seq;
			dispatch_cache_put(cache, stream, seq - 1, &event);
		}
	for (uint32_t withheld = 1; withheld < 60 && dispatch_cache_bytes(cache) <= LIMIT_BYTES; withheld++)
		for (uint64_t number = 0; number < blocks; number++)
			if ((block = dispatch_cache_find(cache, stream, number)) != NULL)
				assert_non_null(dispatch_cache_copy(cache, block, block->events[0], withheld << 1, arena));
	assert_true(dispatch_cache_bytes(cache) > LIMIT_BYTES);
	dispatch_cache_trim(cache);
	assert_in_range(dispatch_cache_bytes(cache), LIMIT_BYTES / 2, LIMIT_BYTES);
	assert_non_null(dispatch_cache_find(cache, stream, blocks - 1));
	assert_null(dispatch_cache_find(cache, stream, 0));
	dispatch_cache_forget(cache);
	dispatch_cache_trim(cache);
	assert_int_equal(dispatch_cache_bytes(cache), 0);
	dispatch_cache_free(&cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_streams_are_sorted_and_kept),
		cmocka_unit_test(test_what_was_erased_is_dropped),
		cmocka_unit_test(test_blocks_are_whole),
		cmocka_unit_test(test_bytes_are_bounded_and_the_oldest_goes),
		cmocka_unit_test(test_one_block_is_bounded_too),
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_copies_are_bounded),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
