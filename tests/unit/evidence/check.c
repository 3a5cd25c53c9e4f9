/* The check of streams against heads, with events made here: what a database cannot be made to show. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "evidence/evidence_check.h"

enum { EVENTS = 12 };
#define DAY_US (24 * 3600 * INT64_C(1000000))

static struct jk_key key;
static uint8_t keys[1][32];
static struct jk_chain_link links[EVENTS + 1]; /* by number, from 1 */
static uint8_t chains[EVENTS + 1][32];

struct found {
	char codes[8][24];
	uint64_t seqs[8];
	size_t count;
};

static void on_finding(void *arg, const struct jk_finding *finding)
{
	struct found *found = arg;

	assert_true(found->count < 8);
	(void)jk_text_copy(found->codes[found->count], sizeof found->codes[0], finding->code);
	found->seqs[found->count++] = finding->seq;
}

static struct jk_leaf leaf_at(uint64_t seq)
{
	struct jk_leaf leaf = {.stream = "047", .seq = seq};

	memcpy(leaf.chain, chains[seq], sizeof leaf.chain);
	return leaf;
}

/* In other streams the same chains stand; of those no events are ever said. */
static struct jk_leaf leaf_of(const char *stream, uint64_t seq)
{
	struct jk_leaf leaf = leaf_at(seq);

	(void)jk_text_copy(leaf.stream, sizeof leaf.stream, stream);
	return leaf;
}

static struct jk_leaf changed(struct jk_leaf leaf)
{
	leaf.chain[0] ^= 1;
	return leaf;
}

static struct jk_signed_head head_at(const struct jk_leaf *leaves, size_t count, uint64_t head_no, int64_t signed_at_us)
{
	struct jk_signed_head head = {.head_no = head_no, .signed_at_us = signed_at_us};
	uint8_t hashes[8][32];

	assert_true(count <= 8);
	for (size_t i = 0; i < count; i++)
		jk_leaf_hash(hashes[i], leaves[i].stream, leaves[i].seq, leaves[i].chain);
	jk_merkle_root(head.root, hashes, count);
	jk_head_sign(&head, &key);
	return head;
}

static struct jk_signed_head head_over(const struct jk_leaf *leaf, uint64_t head_no)
{
	return head_at(leaf, 1, head_no, (int64_t)head_no * 1000);
}

static struct jk_check *begin(struct found *found)
{
	struct jk_check *check = jk_check_new(keys, 1, on_finding, found);

	assert_non_null(check);
	*found = (struct found){0};
	return check;
}

static void say_head(struct jk_check *check, uint64_t seq, uint64_t head_no)
{
	struct jk_leaf leaf = leaf_at(seq);
	struct jk_signed_head head = head_over(&leaf, head_no);

	jk_check_head(check, &head, &leaf, 1);
}

static void say_heads(struct jk_check *check, const struct jk_leaf *leaves, size_t count, uint64_t head_no)
{
	struct jk_signed_head head = head_at(leaves, count, head_no, (int64_t)head_no * 1000);

	jk_check_head(check, &head, leaves, count);
}

static void say_events(struct jk_check *check, uint64_t first, uint64_t last)
{
	for (uint64_t seq = first; seq <= last; seq++)
		jk_check_event(check, &links[seq], chains[seq]);
}

static void say_end(struct jk_check *check, uint64_t seq, bool whole)
{
	struct jk_leaf leaf = leaf_at(seq);

	assert_true(jk_check_end(check, &leaf, whole));
}

static void say_begin(struct jk_check *check, struct jk_leaf leaf, uint64_t head_no)
{
	assert_true(jk_check_begin(check, &leaf, head_no));
}

/* A stream all of which is removed. */
static void say_emptied(struct jk_check *check, struct jk_leaf leaf, uint64_t head_no)
{
	say_begin(check, leaf, head_no);
	assert_true(jk_check_end(check, &leaf, true));
}

static struct jk_check_sum finish(struct jk_check *check)
{
	struct jk_check_sum sum = jk_check_finish(check);

	jk_check_free(&check);
	assert_null(check);
	return sum;
}

static void test_heads_of_two_dispatches(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_check_sum sum;
	(void)state;

	/* The second one was a little behind; nothing of it has gone by. */
	say_end(check, EVENTS, true);
	say_head(check, 6, 1);
	say_head(check, 4, 2);
	say_head(check, 6, 3);
	say_events(check, 1, 4);
	say_head(check, 9, 4);
	say_head(check, 4, 5);
	say_events(check, 5, EVENTS);
	sum = finish(check);
	assert_int_equal(found.count, 0);
	assert_int_equal(sum.findings, 0);
	assert_int_equal(sum.events, EVENTS);
	assert_int_equal(sum.heads, 5);
	assert_int_equal(sum.unsigned_events, EVENTS - 9);
	assert_int_equal(sum.partial_streams, 0);
}

static void test_a_head_out_of_its_place(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	(void)state;

	say_end(check, EVENTS, true);
	say_head(check, 6, 1);
	say_events(check, 1, 8);
	say_head(check, 3, 2);
	say_events(check, 9, EVENTS);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "HEAD_BEHIND");
}

static void test_numbers(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	(void)state;

	say_end(check, EVENTS, true);
	say_events(check, 1, 5);
	say_events(check, 4, 4);
	say_events(check, 8, EVENTS);
	assert_int_equal(finish(check).findings, 2);
	assert_string_equal(found.codes[0], "NUMBER_REPEATED");
	assert_int_equal(found.seqs[0], 4);
	assert_string_equal(found.codes[1], "NUMBER_MISSING");
	assert_int_equal(found.seqs[1], 6);
}

/* A part of a stream, between a beginning and an end that are no beginning and no end. */
static void test_a_part(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf leaf = leaf_at(3);
	struct jk_check_sum sum;
	(void)state;

	say_end(check, 9, false);
	say_begin(check, leaf, 0);
	say_head(check, 2, 1);
	say_head(check, 6, 2);
	say_head(check, EVENTS, 3);
	say_events(check, 4, 9);
	sum = finish(check);
	assert_int_equal(sum.findings, 0);
	assert_int_equal(found.count, 0);
	assert_int_equal(sum.partial_streams, 1);
	assert_false(sum.all_streams);

	/* From there to its end is a part, too. */
	check = begin(&found);
	say_end(check, EVENTS, true);
	say_begin(check, leaf, 0);
	say_events(check, 4, EVENTS);
	assert_int_equal(finish(check).partial_streams, 1);
}

/* Else what came before it, changed, would be as good as any. */
static void test_a_beginning_in_the_middle(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf fifth = leaf_at(5), other = leaf_of("@M", 1);
	struct jk_chain_link false_link = links[5];
	uint8_t false_chain[32];
	(void)state;

	false_link.tlp++;
	jk_chain_next(false_chain, chains[4], &false_link);
	say_end(check, EVENTS, true);
	say_head(check, 9, 1);
	assert_false(jk_check_begin(check, &other, 0));
	say_events(check, 1, 4);
	jk_check_event(check, &false_link, false_chain);
	assert_false(jk_check_begin(check, &fifth, 0));
	say_events(check, 6, EVENTS);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "CHAIN_BROKEN");
	assert_int_equal(found.seqs[0], 6);

	check = begin(&found);
	say_begin(check, other, 0);
	assert_false(jk_check_begin(check, &other, 0));
	say_begin(check, fifth, 0);
	(void)finish(check);
}

/* Else heads that know more would be passed over as beyond a part, and the part be called whole when they have gone by. */
static void test_an_end_said_again(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf end = leaf_at(7), other = leaf_of("@M", 1);
	struct jk_check_sum sum;
	(void)state;

	say_end(check, 7, false);
	assert_false(jk_check_end(check, &end, true));
	say_head(check, 9, 1);
	say_events(check, 1, 7);
	assert_false(jk_check_end(check, &end, true));
	assert_false(jk_check_end(check, &other, true));
	sum = finish(check);
	assert_int_equal(sum.findings, 0);
	assert_int_equal(sum.streams, 1);
	assert_int_equal(sum.partial_streams, 1);
}

static void test_a_beginning_under_a_head(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf leaf = leaf_at(3);
	(void)state;

	say_end(check, EVENTS, true);
	say_begin(check, leaf, 2);
	say_head(check, 3, 2);
	say_events(check, 4, EVENTS);
	assert_int_equal(finish(check).findings, 0);

	check = begin(&found);
	say_end(check, EVENTS, true);
	say_begin(check, leaf, 2);
	say_head(check, 4, 2);
	say_events(check, 4, EVENTS);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "BEGINS_NOWHERE");
}

/* A head from before what was removed by age need not be kept; all later ones must be. */
static void test_witnesses(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf removed = leaf_at(3), old = leaf_at(1), rewritten = leaf_at(7);
	struct jk_signed_head witnessed;
	struct jk_check_sum sum;
	(void)state;

	witnessed = head_over(&old, 1);
	jk_check_witness(check, &witnessed);
	witnessed = head_over(&removed, 2);
	jk_check_witness(check, &witnessed);
	jk_check_witness(check, &witnessed);
	rewritten.chain[0] ^= 1;
	witnessed = head_over(&rewritten, 3);
	jk_check_witness(check, &witnessed);
	say_end(check, EVENTS, true);
	say_begin(check, removed, 2);
	say_head(check, 3, 2);
	say_head(check, 7, 3);
	say_head(check, 9, 4);
	say_events(check, 4, EVENTS);
	sum = finish(check);
	assert_int_equal(sum.witnessed, 2);
	assert_int_equal(sum.witnessed_before_kept, 1);
	assert_int_equal(sum.findings, 1);
	assert_string_equal(found.codes[0], "NOT_WITNESSED");
	assert_int_equal(found.seqs[0], 4);
}

/* As feed.remove leaves it: all streams that the newest head covers begin at its leaves; but one was removed further already,
 * under a head of another dispatch that was ahead, and one came later. */
static void test_removal_of_several_streams(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	const struct jk_leaf before[] = {leaf_at(2), leaf_of("@A", 4), leaf_of("@M", 1)};
	const struct jk_leaf leaves[] = {leaf_at(5), leaf_of("@A", 3), leaf_of("@M", 2)};
	struct jk_signed_head witnessed = head_over(&before[0], 1);
	struct jk_chain_link link = {.stream = "@N", .seq = 1};
	struct jk_leaf later = {.stream = "@N", .seq = 1};
	struct jk_check_sum sum;
	(void)state;

	jk_chain_next(later.chain, NULL, &link);
	jk_check_all_streams(check);
	jk_check_witness(check, &witnessed);
	say_end(check, EVENTS, true);
	say_begin(check, leaves[0], 3);
	say_emptied(check, before[1], 2);
	say_emptied(check, leaves[2], 3);
	assert_true(jk_check_end(check, &later, true));
	say_heads(check, before, 3, 2);
	say_heads(check, leaves, 3, 3);
	say_events(check, 6, EVENTS);
	jk_check_event(check, &link, later.chain);
	sum = finish(check);
	assert_int_equal(found.count, 0);
	assert_int_equal(sum.findings, 0);
	assert_int_equal(sum.witnessed_before_kept, 1);
	assert_int_equal(sum.partial_streams, 0);
	assert_true(sum.all_streams);
}

/* A quiet stream that is said to be removed under the newest head does not make all heads before it too old to be kept. */
static void test_removal_of_one_stream_alone(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	const struct jk_leaf true_leaf = changed(leaf_at(5)), leaves[] = {leaf_at(9), leaf_of("@M", 3)};
	struct jk_signed_head witnessed = head_over(&true_leaf, 1);
	struct jk_check_sum sum;
	(void)state;

	jk_check_witness(check, &witnessed);
	say_end(check, EVENTS, true);
	say_emptied(check, leaves[1], 2);
	say_heads(check, leaves, 2, 2);
	say_events(check, 1, EVENTS);
	sum = finish(check);
	assert_int_equal(found.count, 3);
	assert_string_equal(found.codes[0], "BEGINS_NOWHERE");
	assert_int_equal(found.seqs[0], 3);
	assert_string_equal(found.codes[1], "NOT_WITNESSED");
	assert_int_equal(sum.witnessed_before_kept, 0);
}

/* Where only a part is looked at, it may begin before what the others were removed up to: nothing is wrong. */
static void test_removal_beside_a_part(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	const struct jk_leaf leaves[] = {leaf_at(5), leaf_of("@M", 3), leaf_of("@N", 4)};
	(void)state;

	say_end(check, EVENTS, true);
	say_begin(check, leaf_at(3), 0);
	say_emptied(check, leaves[1], 2);
	say_heads(check, leaves, 3, 2);
	say_events(check, 4, EVENTS);
	assert_int_equal(finish(check).findings, 0);
}

/* One more head, signed by the exchange over a quiet stream alone, and that stream removed up to it. What is older than a
 * witnessed head and still here tells that no heads were removed by age; but dispatch may have signed late. */
static void test_removal_under_a_head_made_for_it(void **state)
{
	static const int64_t witnessed_us[] = {10 * DAY_US, DAY_US / 2};
	(void)state;

	for (size_t i = 0; i < 2; i++) {
		struct found found;
		struct jk_check *check = begin(&found);
		const struct jk_leaf quiet = leaf_of("@M", 3), true_leaf = changed(leaf_at(5));
		struct jk_signed_head witnessed = head_at(&true_leaf, 1, 1, witnessed_us[i]),
				      made = head_at(&quiet, 1, 2, 11 * DAY_US);

		jk_check_witness(check, &witnessed);
		say_end(check, EVENTS, true);
		say_emptied(check, quiet, 2);
		jk_check_head(check, &made, &quiet, 1);
		say_events(check, 1, EVENTS);
		assert_int_equal(finish(check).witnessed_before_kept, i);
		assert_int_equal(found.count, 1 - i);
		if (i > 0)
			continue;
		assert_string_equal(found.codes[0], "NOT_WITNESSED");
		assert_int_equal(found.seqs[0], 1);
	}
}

/* Also where nothing comes behind what was removed; that it was cut off is not known. */
static void test_receipts_of_what_was_removed(void **state)
{
	const struct jk_leaf removed = leaf_at(3), receipts[] = {leaf_at(2), leaf_at(3), changed(leaf_at(3)), leaf_at(4)};
	static const char *const codes[] = {"NOT_CHECKED", "NOT_CHECKED", "NOT_AS_RECEIPTED", "CUT_OFF"};
	(void)state;

	for (size_t i = 0; i < 4; i++) {
		struct found found;
		struct jk_check *check = begin(&found);

		jk_check_expect(check, &receipts[i]);
		say_emptied(check, removed, 2);
		say_head(check, 3, 2);
		assert_int_equal(finish(check).findings, 1);
		assert_string_equal(found.codes[0], codes[i]);
		assert_int_equal(found.seqs[0], receipts[i].seq);
	}
}

static void test_receipts_of_a_stream_that_is_gone(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf leaf = leaf_at(3);
	(void)state;

	jk_check_all_streams(check);
	jk_check_expect(check, &leaf);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "CUT_OFF");
}

/* What cannot be checked is not said to be good. */
static void test_receipts_that_cannot_be_checked(void **state)
{
	struct found found;
	struct jk_check *check = begin(&found);
	struct jk_leaf leaf = leaf_at(3), early = leaf_at(2), inside = leaf_at(5), late = leaf_at(10), other = leaf_at(1);
	(void)state;

	(void)jk_text_copy(other.stream, sizeof other.stream, "999");
	jk_check_expect(check, &inside);
	jk_check_expect(check, &other);
	say_end(check, 9, false);
	say_begin(check, leaf, 0);
	say_events(check, 4, 9);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "NOT_CHECKED");

	check = begin(&found);
	jk_check_expect(check, &early);
	say_end(check, 9, false);
	say_begin(check, leaf, 0);
	say_events(check, 4, 9);
	assert_int_equal(finish(check).findings, 1);
	assert_string_equal(found.codes[0], "NOT_CHECKED");
	assert_int_equal(found.seqs[0], 2);

	check = begin(&found);
	jk_check_expect(check, &late);
	say_end(check, 9, false);
	say_begin(check, leaf, 0);
	say_events(check, 4, 9);
	assert_int_equal(finish(check).findings, 1);
	assert_int_equal(found.seqs[0], 10);
}

static int init(void **state)
{
	(void)state;
	if (jk_crypt_init() != JK_OK)
		return -1;
	jk_key_new(&key);
	memcpy(keys[0], key.sign_public, 32);
	for (uint64_t seq = 1; seq <= EVENTS; seq++) {
		links[seq] = (struct jk_chain_link){
			.stream = "047", .seq = seq, .epoch = 1, .recorded_at_us = (int64_t)seq, .kind = 1};
		jk_random(&links[seq].event_id, sizeof links[seq].event_id);
		jk_chain_next(chains[seq], seq == 1 ? NULL : chains[seq - 1], &links[seq]);
	}
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_heads_of_two_dispatches),
		cmocka_unit_test(test_a_head_out_of_its_place),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_a_part),
		cmocka_unit_test(test_a_beginning_in_the_middle),
		cmocka_unit_test(test_an_end_said_again),
		cmocka_unit_test(test_a_beginning_under_a_head),
		cmocka_unit_test(test_witnesses),
		cmocka_unit_test(test_removal_of_several_streams),
		cmocka_unit_test(test_removal_of_one_stream_alone),
		cmocka_unit_test(test_removal_beside_a_part),
		cmocka_unit_test(test_removal_under_a_head_made_for_it),
		cmocka_unit_test(test_receipts_of_what_was_removed),
		cmocka_unit_test(test_receipts_of_a_stream_that_is_gone),
		cmocka_unit_test(test_receipts_that_cannot_be_checked),
	};

	return cmocka_run_group_tests(tests, init, NULL);
}
