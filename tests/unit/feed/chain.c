/* The chain's hash against values computed with another program (Python: hashlib and struct, from the list in feed.proto). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"

static struct jk_chain_link first_link(void)
{
	struct jk_chain_link link = {.stream = "047",
		.seq = 1,
		.epoch = 1,
		.recorded_at_us = 1772352930123456,
		.kind = JK_EVENT_INCIDENT,
		.revision = -5,
		.tlp = 2,
		.category = 9,
		.commitment_size = 32};

	for (uint8_t i = 0; i < 16; i++) {
		link.event_id.bytes[i] = i;
		link.incident_id.bytes[i] = (uint8_t)(16 + i);
		link.commitment[i] = (uint8_t)(32 + i);
		link.commitment[16 + i] = (uint8_t)(48 + i);
	}
	return link;
}

static void the_values_are_those_of_another_program(void **state)
{
	(void)state;
	struct jk_chain_link link = first_link();
	uint8_t chain[32], next[32];
	char hex[65];

	jk_chain_next(chain, NULL, &link);
	jk_hex_encode(hex, chain, sizeof chain);
	assert_string_equal(hex, "5f1bbc2a3fcda5190e579823f403e543ce6534a7eb5be21149de366c82237e91");
	link.stream = "@NPS";
	link.seq = 1ULL << 40;
	link.epoch = 3;
	link.recorded_at_us++;
	link.kind = JK_EVENT_DELIVERED;
	link.revision = 1LL << 62;
	link.tlp = link.category = 0;
	link.commitment_size = 0;
	jk_chain_next(next, chain, &link);
	jk_hex_encode(hex, next, sizeof next);
	assert_string_equal(hex, "213a18bcc1983bb1bff297adebb286c53d6e5536ec9b7ef674a089c97ed6414a");
}

/* Every field counts: changing any one of them changes the hash. */
static void every_field_is_covered(void **state)
{
	(void)state;
	const struct jk_chain_link original = first_link();
	struct jk_chain_link changed[12];
	uint8_t hashes[14][32], previous[32] = {1};

	for (int i = 0; i < 12; i++)
		changed[i] = original;
	changed[0].stream = "048";
	changed[1].seq++;
	changed[2].epoch++;
	changed[3].recorded_at_us++;
	changed[4].event_id.bytes[15]++;
	changed[5].incident_id.bytes[0]++;
	changed[6].kind++;
	changed[7].revision++;
	changed[8].tlp++;
	changed[9].category++;
	changed[10].commitment[31]++;
	changed[11].commitment_size = 31;
	for (int i = 0; i < 12; i++)
		jk_chain_next(hashes[i], NULL, &changed[i]);
	jk_chain_next(hashes[12], NULL, &original);
	jk_chain_next(hashes[13], previous, &original);
	for (int i = 0; i < 14; i++)
		for (int j = 0; j < i; j++)
			assert_memory_not_equal(hashes[i], hashes[j], 32);
}

static int init(void **state)
{
	(void)state;
	return jk_crypt_init() == JK_OK ? 0 : -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_values_are_those_of_another_program),
		cmocka_unit_test(every_field_is_covered),
	};
	return cmocka_run_group_tests_name("feed chain", tests, init, NULL);
}
