#include "services/cli/offer_show.h"

#include <inttypes.h>
#include <string.h>

#include "base/jk_arena.h"
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "json/json_map.h"

enum { ARENA_BYTES = 1024 * 1024, SECOND_US = 1000000 };

static const char *enum_word(const ProtobufCEnumDescriptor *type, const char *prefix, int number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

	return value && strncmp(value->name, prefix, strlen(prefix)) == 0 ? value->name + strlen(prefix) : "?";
}

static void format_id(char ret[JK_ID_TEXT_BYTES], const ProtobufCBinaryData *bytes)
{
	struct jk_id id;

	(void)jk_text_copy(ret, JK_ID_TEXT_BYTES, "-");
	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(ret, &id);
}

/* What the desk has to do with it; at most 30 characters. */
static void print_standing(const struct cli *cli, const Jukwaa__V1__Offered *offered)
{
	double left = (double)(offered->due_us - jk_time_now_us()) / SECOND_US;
	char age[24] = "";

	switch (offered->standing) {
	case JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_ASKED:
		if (offered->due_us > 0 && left > 0)
			cli_format_age(age, left);
		printf("%syou are asked%s%s%s%s", cli_tone(cli, CLI_BOLD), *age ? ": " : "", age, *age ? " left" : "",
			cli_tone(cli, CLI_PLAIN));
		break;
	case JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_HOLDER:
		printf("%syou have it%s", cli_tone(cli, CLI_GOOD), cli_tone(cli, CLI_PLAIN));
		break;
	case JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_PAST:
		printf("you were asked");
		break;
	case JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_FORMER_HOLDER:
		printf("you had it");
		break;
	case JUKWAA__V1__OFFER_STANDING__OFFER_STANDING_TOLD:
		printf("%snobody has it: you are told%s", cli_tone(cli, CLI_BAD), cli_tone(cli, CLI_PLAIN));
		break;
	default:
		printf("?");
	}
}

/* A line of what there is: the incident as far as an agreement gives it. */
static void print_incident(const Jukwaa__V1__Offered *offered)
{
	char incident[JK_ID_TEXT_BYTES];

	if (offered->incident_id.len == 0) {
		printf("  the incident is not shown: no agreement gives it to this desk\n");
		return;
	}
	format_id(incident, &offered->incident_id);
	printf("  incident %s %s", incident, jk_words_name(&jk_severities, (int)offered->severity));
	for (size_t i = 0; i < offered->n_categories && i < 1; i++)
		printf(" %s", jk_words_name(&jk_categories, (int)offered->categories[i]));
	printf(" %s\n", jk_words_name(&jk_urgencies, (int)offered->urgency));
}

static void print_rest(const Jukwaa__V1__Offered *offered)
{
	char since[JK_TIME_BYTES];

	jk_time_format(since, offered->since_us);
	printf("  %s since %.19sZ", enum_word(&jukwaa__v1__duty_state__descriptor, "DUTY_STATE_", (int)offered->state), since);
	if (*offered->holder) {
		printf("; ");
		(void)cli_print_text(stdout, offered->holder, 0);
		printf(" has it");
	}
	if (*offered->role)
		printf("; as %s, %" PRIu32 ".", offered->role, offered->times);
	printf("\n");
	if (*offered->reason) {
		printf("  reason: ");
		(void)cli_print_text(stdout, offered->reason, cli_columns() - 10);
		printf("\n");
	}
}

void offer_print(const struct cli *cli, struct json_slice json)
{
	struct jk_arena *arena = jk_arena_new(ARENA_BYTES);
	const Jukwaa__V1__Offered *offered = NULL;
	struct jk_refusal refusal;
	char duty[JK_ID_TEXT_BYTES];

	if (arena)
		offered = (const void *)jk_json_read(
			&jukwaa__v1__offered__descriptor, json.at, (size_t)(json.end - json.at), arena, &refusal);
	if (offered) {
		format_id(duty, &offered->duty_id);
		printf("%s %s %s ", duty, offered->discipline, offered->county);
		print_standing(cli, offered);
		printf("\n");
		print_incident(offered);
		print_rest(offered);
	}
	jk_arena_free(&arena);
}
