/* `jukwaa publish` on a file of unknown format: which it is, and where one report ends and the next begins. Reports lie within
 * the file, one behind the other. */
#include "fuzz.h"
#include "services/cli/json_slice.h"
#include "services/cli/publish_input.h"

struct taken {
	const char *last_end;
	size_t bytes, size;
};

static bool take(void *arg, const struct publish_item *item)
{
	struct taken *taken = arg;
	struct json_slice value = {item->payload, (const char *)item->payload + item->payload_size}, found;

	fuzz_must(taken->last_end == NULL || item->payload_size == 0 || (const char *)item->payload >= taken->last_end);
	taken->last_end = value.end;
	taken->bytes += item->payload_size;
	fuzz_must(taken->bytes <= taken->size);
	(void)json_slice_find(value, "identity", &found);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	const struct publish_options guess = {0}, json = {.format = "json"};
	struct jk_refusal refusal = {0};

	for (int i = 0; i < 2; i++) {
		struct taken taken = {.size = size};
		if (publish_read_file(fuzz_file(bytes, size), i ? &json : &guess, take, &taken, &refusal) == PUBLISH_UNREADABLE)
			fuzz_must(refusal.code != JK_CODE_NONE);
	}
	return 0;
}
