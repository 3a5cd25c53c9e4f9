#include "services/cli/case_rows.h"

#include <inttypes.h>
#include <string.h>

#include "base/jk_id.h"
#include "base/jk_time.h"
#include "base/jk_words.h"
#include "json/json_map.h"

enum { VALUE_BYTES = 1024 };

/* The columns: one place for the head, the rows and the properties. */
enum column {
	CASE_ID,
	STATE,
	CASE_VERSION,
	COUNTIES,
	CONSTITUENCY,
	LAT,
	LON,
	AGENCY,
	CATEGORY,
	SEVERITY,
	STATUS,
	TLP,
	HEADLINE,
	OPENED_AT,
	UPDATED_AT,
	OCCURRED_AT,
	ACCEPTED_AT,
	DISPATCHED_AT,
	ON_SCENE_AT,
	RESOLVED_AT,
	REVISION,
	ALLOWED_BY,
	COLUMNS
};
static const char *const names[COLUMNS] = {"case_id", "state", "version", "counties", "constituency", "lat", "lon", "agency",
	"category", "severity", "status", "tlp", "headline", "opened_at", "updated_at", "occurred_at", "accepted_at",
	"dispatched_at", "on_scene_at", "resolved_at", "revision", "allowed_by"};

static void format_time(char ret[VALUE_BYTES], bool known, int64_t time_us)
{
	ret[0] = '\0';
	if (known && time_us)
		jk_time_format(ret, time_us);
}

/* No value, no word: what is withheld is not "UNSPECIFIED". */
static void format_word(char ret[VALUE_BYTES], const struct jk_words *words, int number)
{
	(void)jk_text_copy(ret, VALUE_BYTES, number > 0 ? jk_words_name(words, number) : "");
}

static void format_state(char ret[VALUE_BYTES], Jukwaa__V1__CaseState state)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&jukwaa__v1__case_state__descriptor, (int)state);

	(void)jk_text_copy(ret, VALUE_BYTES, value && value->value ? value->name + strlen("CASE_STATE_") : "");
}

static void format_counties(char ret[VALUE_BYTES], const Jukwaa__V1__CaseSummary *summary)
{
	ret[0] = '\0';
	for (size_t i = 0; i < summary->n_counties; i++)
		(void)jk_text_format(ret + strlen(ret), VALUE_BYTES - strlen(ret), "%s%s", i ? " " : "", summary->counties[i]);
}

static void format_id(char ret[VALUE_BYTES], const ProtobufCBinaryData *bytes)
{
	struct jk_id id;

	ret[0] = '\0';
	if (bytes->len != sizeof id.bytes)
		return;
	memcpy(id.bytes, bytes->data, sizeof id.bytes);
	jk_id_format(ret, &id);
}

/* 1e-7 degrees are a centimetre. */
static void format_degrees(char ret[VALUE_BYTES], const Jukwaa__V1__Point *point, bool lat)
{
	ret[0] = '\0';
	if (point)
		(void)jk_text_format(ret, VALUE_BYTES, "%.7f", lat ? point->lat : point->lon);
}

static const Jukwaa__V1__Point *position_of(const Jukwaa__V1__CaseSummary *summary)
{
	return summary->position_present_case == JUKWAA__V1__CASE_SUMMARY__POSITION_PRESENT_POSITION ? summary->position : NULL;
}

static void format_step(char ret[VALUE_BYTES], const Jukwaa__V1__CaseSummary *summary, enum column column)
{
	switch (column) {
	case OCCURRED_AT:
		format_time(ret, summary->occurred_present_case != 0, summary->occurred_at_us);
		break;
	case ACCEPTED_AT:
		format_time(ret, summary->accepted_present_case != 0, summary->accepted_at_us);
		break;
	case DISPATCHED_AT:
		format_time(ret, summary->dispatched_present_case != 0, summary->dispatched_at_us);
		break;
	case ON_SCENE_AT:
		format_time(ret, summary->on_scene_present_case != 0, summary->on_scene_at_us);
		break;
	default:
		format_time(ret, summary->resolved_present_case != 0, summary->resolved_at_us);
	}
}

static void format_value(char ret[VALUE_BYTES], const Jukwaa__V1__CaseSummary *summary, enum column column)
{
	switch (column) {
	case CASE_ID:
		format_id(ret, &summary->case_id);
		break;
	case STATE:
		format_state(ret, summary->state);
		break;
	case CASE_VERSION:
		(void)jk_text_format(ret, VALUE_BYTES, "%" PRIu32, summary->version);
		break;
	case COUNTIES:
		format_counties(ret, summary);
		break;
	case CONSTITUENCY:
		(void)jk_text_copy(ret, VALUE_BYTES, summary->constituency);
		break;
	case LAT:
	case LON:
		format_degrees(ret, position_of(summary), column == LAT);
		break;
	case AGENCY:
		(void)jk_text_copy(ret, VALUE_BYTES, summary->agency);
		break;
	case CATEGORY:
		format_word(ret, &jk_categories, (int)summary->category);
		break;
	case SEVERITY:
		format_word(ret, &jk_severities, (int)summary->severity);
		break;
	case STATUS:
		format_word(ret, &jk_cap_statuses, (int)summary->status);
		break;
	case TLP:
		format_word(ret, &jk_tlps, (int)summary->tlp);
		break;
	case HEADLINE:
		(void)jk_text_copy(ret, VALUE_BYTES, summary->headline);
		break;
	case OPENED_AT:
		format_time(ret, true, summary->opened_at_us);
		break;
	case UPDATED_AT:
		format_time(ret, true, summary->updated_at_us);
		break;
	case REVISION:
		(void)jk_text_format(ret, VALUE_BYTES, "%" PRId64, summary->revision);
		break;
	case ALLOWED_BY:
		(void)jk_text_copy(ret, VALUE_BYTES, summary->allowed_by);
		break;
	default:
		format_step(ret, summary, column);
	}
}

void case_rows_write_field(struct jk_buffer *out, const char *text)
{
	bool formula = *text && strchr("=+-@\t\r", *text);

	if (!formula && !text[strcspn(text, ",\"\r\n")]) {
		jk_buffer_append(out, text, strlen(text));
		return;
	}
	jk_buffer_append(out, "\"", 1);
	if (formula)
		jk_buffer_append(out, "'", 1);
	for (; *text; text++)
		jk_buffer_append(out, *text == '"' ? "\"\"" : text, *text == '"' ? 2 : 1);
	jk_buffer_append(out, "\"", 1);
}

void case_rows_write_head(struct jk_buffer *out)
{
	for (int column = 0; column < COLUMNS; column++)
		jk_buffer_printf(out, "%s%s", column ? "," : "", names[column]);
	jk_buffer_append(out, "\r\n", 2);
}

void case_rows_write_row(struct jk_buffer *out, const Jukwaa__V1__CaseSummary *summary)
{
	char value[VALUE_BYTES];

	for (int column = 0; column < COLUMNS; column++) {
		format_value(value, summary, (enum column)column);
		if (column)
			jk_buffer_append(out, ",", 1);
		/* South and west are numbers of our own making, and no formulas. */
		if (column == LAT || column == LON || column == REVISION)
			jk_buffer_append(out, value, strlen(value));
		else
			case_rows_write_field(out, value);
	}
	jk_buffer_append(out, "\r\n", 2);
}

void case_rows_open_features(struct jk_buffer *out)
{
	jk_buffer_printf(out, "{\"type\":\"FeatureCollection\",\"features\":[");
}

void case_rows_write_feature(struct jk_buffer *out, const Jukwaa__V1__CaseSummary *summary, bool first)
{
	const Jukwaa__V1__Point *point = position_of(summary);
	char value[VALUE_BYTES];

	format_value(value, summary, CASE_ID);
	jk_buffer_printf(out, "%s\n{\"type\":\"Feature\",\"id\":\"%s\",\"geometry\":", first ? "" : ",", value);
	if (point)
		jk_buffer_printf(out, "{\"type\":\"Point\",\"coordinates\":[%.7f,%.7f]}", point->lon, point->lat);
	else
		jk_buffer_printf(out, "null");
	jk_buffer_printf(out, ",\"properties\":{");
	for (int column = STATE; column < COLUMNS; column++) {
		if (column == LAT || column == LON)
			continue;
		format_value(value, summary, (enum column)column);
		jk_buffer_printf(out, "%s\"%s\":", column == STATE ? "" : ",", names[column]);
		if (!*value)
			jk_buffer_append(out, "null", 4);
		else if (column == CASE_VERSION || column == REVISION)
			jk_buffer_append(out, value, strlen(value));
		else
			jk_json_quote(out, value);
	}
	jk_buffer_append(out, "}}", 2);
}

void case_rows_close_features(struct jk_buffer *out)
{
	jk_buffer_printf(out, "\n]}\n");
}
