#include "services/cli/disclosures_show.h"

#include <inttypes.h>
#include <string.h>

#include "base/jk_time.h"
#include "json/json_map.h"

static bool is_possible(const struct disclosed_copy *copy)
{
	return strcmp(copy->under, "?") == 0;
}

void disclosures_print_copy_json(const struct disclosed_copy *copy, const char *type)
{
	struct jk_buffer line = {0};
	char reserved_at[JK_TIME_BYTES], noted_at[JK_TIME_BYTES] = "";

	jk_time_format(reserved_at, copy->reserved_at_us);
	if (copy->noted_at_us > 0)
		jk_time_format(noted_at, copy->noted_at_us);
	jk_buffer_printf(&line, "{\"type\":\"%s\",\"stream\":\"%s\",\"seq\":%" PRId64 ",\"kind\":\"%s\",\"desk\":", type,
		copy->stream, copy->seq, jk_words_name(&jk_event_kinds, copy->kind));
	jk_json_quote(&line, copy->desk);
	jk_buffer_printf(&line, ",\"agency\":");
	jk_json_quote(&line, copy->agency);
	jk_buffer_printf(&line, ",\"under\":");
	jk_json_quote(&line, is_possible(copy) ? "" : copy->under);
	jk_buffer_printf(&line,
		",\"possibly\":%s,\"acknowledged\":%s,\"reserved_at\":\"%s\",\"noted_at\":\"%s\",\"policy_version\":%" PRId64
		",\"key_id\":%" PRId32 "}\n",
		is_possible(copy) ? "true" : "false", copy->acknowledged ? "true" : "false", reserved_at, noted_at,
		copy->policy_version, copy->key_id);
	if (line.data)
		fputs(line.data, stdout);
	jk_buffer_done(&line);
}

void disclosures_print_copy(const struct cli *cli, const struct disclosed_copy *copy)
{
	char reserved_at[JK_TIME_BYTES], noted_at[JK_TIME_BYTES];

	jk_time_format(reserved_at, copy->reserved_at_us);
	jk_time_format(noted_at, copy->noted_at_us);
	printf("%s (%s)  ", copy->desk, copy->agency);
	if (is_possible(copy))
		printf("%spossibly sent%s after %s", cli_tone(cli, CLI_WARN), cli_tone(cli, CLI_PLAIN), reserved_at);
	else
		printf("%s, sent between %s and %s, %s%s%s", copy->under, reserved_at, noted_at,
			cli_tone(cli, copy->acknowledged ? CLI_GOOD : CLI_WARN),
			copy->acknowledged ? "acknowledged" : "not acknowledged", cli_tone(cli, CLI_PLAIN));
	printf("  (policy %" PRId64 ", key %" PRId32 ")\n", copy->policy_version, copy->key_id);
}
