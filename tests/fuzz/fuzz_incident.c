/* A report in protobuf or JSON all the way through intake's wire side: reading, checking, the rules' view of it, sealing. What is
 * sealed must be a body that others can read, without reporter and persons. First byte: bit 0 JSON, bit 1 strict. */
#include "feed/feed_body.h"
#include "feed/feed_parts.h"
#include "fuzz.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/intake/intake_wire.h"
#include "wire/wire_body.h"

/* Each group holds its own fields alone, and the protected ones nothing. */
static void check_group(const Jukwaa__V1__Group *group)
{
	int tag = (int)group->tag;

	fuzz_must((tag != JK_GROUP_REPORTER && tag != JK_GROUP_PERSONS) || group->content.len == 0);
	fuzz_must(jk_parts_own(JK_GROUP_COUNT, tag, (struct jk_span){group->content.data, group->content.len}));
}

static void check_sealed(const struct intake_sealed *sealed, struct jk_arena *arena)
{
	struct jk_event_label label;
	Jukwaa__V1__EventBody *copy;

	fuzz_must(jk_body_label(sealed->body, sealed->body_size, arena, &label) == JK_OK);
	copy = jk_body_copy(sealed->body, sealed->body_size, 0, arena);
	fuzz_must(copy == NULL || jk_body_verify(copy, sealed->commitment));
	for (size_t i = 0; copy != NULL && i < copy->n_groups; i++)
		check_group(copy->groups[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	struct jk_arena *arena = fuzz_arena(32 * 1024 * 1024);
	static struct intake_decoded decoded;
	struct intake_item item = {.arena = arena, .agency = "KPS"};
	const struct intake_filling filling = {.counties = 1};
	struct jk_refusal refusal = {0};

	if (size == 0)
		return 0;
	const struct intake_publish publish = {.format = bytes[0] & 1 ? JK_FORMAT_JSON : JK_FORMAT_PROTOBUF,
		.payload = bytes + 1,
		.payload_size = size - 1,
		.county = "047",
		.strict = bytes[0] & 2};
	decoded = (struct intake_decoded){0};
	if (jk_crypt_init() != JK_OK)
		abort();
	if (!intake_wire_read(NULL, &publish, arena, &decoded, &refusal) ||
		!intake_wire_report(&decoded, publish.county, arena, &item.report, &item.message, &refusal)) {
		fuzz_must_say_why(&refusal);
		return 0;
	}
	if (intake_wire_seal(&item, &filling, arena) == JK_OK)
		check_sealed(&item.sealed, arena);
	return 0;
}
