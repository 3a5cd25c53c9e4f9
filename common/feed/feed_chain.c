/* feed_chain.c: the chain's hash, field by field as proto/jukwaa/v1/feed.proto lists them. The other place that computes it is
 * feed.append in deploy/sql/004_feed.sql; tests/store/feed_chain_test.c holds the two together. */
#include <string.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"

enum { CHAIN_FIELDS = 13 };

/* Fields and the storage for those that are not bytes already. */
struct chain_input {
	struct jk_span spans[2 * CHAIN_FIELDS]; /* length, content, length, content, … */
	uint8_t lengths[CHAIN_FIELDS][4];
	uint8_t integers[CHAIN_FIELDS][8];
	size_t count;
};

static void add_bytes(struct chain_input *input, const void *data, size_t size)
{
	size_t i = input->count++;

	jk_put_be32(input->lengths[i], (uint32_t)size);
	input->spans[2 * i] = (struct jk_span){.data = input->lengths[i], .size = sizeof input->lengths[i]};
	input->spans[2 * i + 1] = (struct jk_span){.data = data, .size = size};
}

static void add_integer(struct chain_input *input, int64_t value)
{
	uint8_t *bytes = input->integers[input->count];

	jk_put_be64(bytes, (uint64_t)value);
	add_bytes(input, bytes, 8);
}

void jk_chain_next(uint8_t ret[32], const uint8_t *previous, const struct jk_chain_link *link)
{
	struct chain_input input = {.count = 0};

	add_bytes(&input, "jk1", 3);
	add_bytes(&input, previous == NULL ? (const uint8_t *)"" : previous, previous == NULL ? 0 : JK_SHA256_BYTES);
	add_bytes(&input, link->stream, strlen(link->stream));
	add_integer(&input, (int64_t)link->seq);
	add_integer(&input, link->epoch);
	add_integer(&input, link->recorded_at_us);
	add_bytes(&input, link->event_id.bytes, sizeof link->event_id.bytes);
	add_integer(&input, link->kind);
	add_bytes(&input, link->incident_id.bytes, sizeof link->incident_id.bytes);
	add_integer(&input, link->revision);
	add_integer(&input, link->tlp);
	add_integer(&input, link->category);
	add_bytes(&input, link->commitment, link->commitment_size);
	jk_sha256(ret, input.spans, 2 * input.count);
}
