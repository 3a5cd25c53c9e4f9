#include "services/cli/watch_show.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/jk_time.h"
#include "base/jk_words.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"

static enum cli_tone tone_of(const char *severity)
{
	switch (jk_words_number(&jk_severities, severity)) {
	case JK_SEVERITY_EXTREME:
	case JK_SEVERITY_SEVERE:
		return CLI_BAD;
	case JK_SEVERITY_MODERATE:
		return CLI_WARN;
	default:
		return CLI_PLAIN;
	}
}

static void format_clock(char ret[16], int64_t time_us)
{
	time_t seconds = (time_t)(time_us / 1000000);
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(ret, 16, "%H:%M:%S", &local);
}

/* What is unusual about the event, in one mark. */
static const char *mark_of(const struct jukwaa_event *event)
{
	if (event->chain_broken)
		return " CHAIN BROKEN";
	if (!event->copy_verified)
		return " COPY DOES NOT ADD UP";
	if (strcmp(event->origin, "bad") == 0)
		return " NOT THE AGENCY'S OWN SIGNATURE";
	return "";
}

static bool is_mail(const struct jukwaa_event *event)
{
	return event->stream[0] == '@';
}

/* "08:15:30", with the day where it is not today's. */
static void format_since(char ret[24], int64_t since_us)
{
	time_t seconds = (time_t)(since_us / 1000000), now = time(NULL);
	struct tm local;

	localtime_r(&seconds, &local);
	strftime(ret, 24, now - seconds < 64800 ? "%H:%M:%S" : "%Y-%m-%d %H:%M", &local);
}

/* A publisher's mailbox: what a desk has, or has not. */
static void show_delivered(const struct cli *cli, const Jukwaa__V1__Deliver *deliver)
{
	(void)cli;
	cli_print_text(stdout, deliver->delivered->desk, 0);
	printf(" has %s up to #%" PRIu64, deliver->delivered->stream, deliver->delivered->up_to_seq);
}

static void show_lagging(const struct cli *cli, const Jukwaa__V1__Deliver *deliver)
{
	const Jukwaa__V1__Lagging *lagging = deliver->lagging;
	char since[24];

	printf("%s", cli_tone(cli, lagging->cleared ? CLI_GOOD : CLI_WARN));
	cli_print_text(stdout, lagging->desk, 0);
	printf(lagging->cleared ? " has caught up with %s" : " has not taken %s", lagging->stream);
	if (!lagging->cleared) {
		format_since(since, lagging->since_us);
		printf(" from #%" PRIu64 " on, since %s", lagging->from_seq, since);
	}
	printf("%s", cli_tone(cli, CLI_PLAIN));
}

/* Desk and agency are empty where the agreement keeps them from the owner. */
static const char *name_of_desk(const char *desk)
{
	return *desk ? desk : "a desk";
}

/* What a mailbox says of answering for an incident. */
static void write_answer(const Jukwaa__V1__Deliver *deliver, struct jk_buffer *text)
{
	char age[24];

	if (deliver->body_case == JUKWAA__V1__DELIVER__BODY_OPENED) {
		jk_buffer_printf(text, "read at %s", name_of_desk(deliver->opened->desk));
	} else if (deliver->body_case == JUKWAA__V1__DELIVER__BODY_ACTED) {
		jk_buffer_printf(text, "%s%s%s by %s", deliver->acted->discipline, *deliver->acted->discipline ? " " : "",
			deliver->acted->step, name_of_desk(deliver->acted->desk));
	} else if (deliver->body_case == JUKWAA__V1__DELIVER__BODY_UNANSWERED) {
		cli_format_age(age, (double)(jk_time_now_us() - deliver->unanswered->since_us) / 1e6);
		jk_buffer_printf(text, "%s in %s: %" PRIu32 " asked, %s", deliver->unanswered->discipline,
			deliver->unanswered->county, deliver->unanswered->desks_asked, age);
	}
}

/* With the incident after it: all of its id where there is room, else its end, which is what differs. */
static void show_answer(const struct cli *cli, const Jukwaa__V1__Deliver *deliver, const char *incident_id, int left)
{
	enum { END = 24 };
	struct jk_buffer text = {0};
	const char *mark = "";
	int room;

	write_answer(deliver, &text);
	room = left - (int)text.size - 2;
	if (room < (int)strlen(incident_id)) {
		incident_id += END;
		mark = "…";
	}
	printf("%s", cli_tone(cli, deliver->body_case == JUKWAA__V1__DELIVER__BODY_UNANSWERED ? CLI_BAD : CLI_GOOD));
	cli_print_text(stdout, text.data ? text.data : "", left);
	printf("%s", cli_tone(cli, CLI_PLAIN));
	if (room > (int)strlen(incident_id))
		printf("  %s%s%s%s", cli_tone(cli, CLI_DIM), mark, incident_id, cli_tone(cli, CLI_PLAIN));
	jk_buffer_done(&text);
}

static void show_mail(const struct cli *cli, const struct jukwaa_event *event, int left)
{
	Jukwaa__V1__Deliver *deliver = jukwaa__v1__deliver__unpack(NULL, event->body_size, event->body);

	if (deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_DELIVERED)
		show_delivered(cli, deliver);
	else if (deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_LAGGING)
		show_lagging(cli, deliver);
	else if (deliver)
		show_answer(cli, deliver, event->incident_id, left);
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
}

/* A word of an enum without its type's prefix. */
static const char *word_of(const ProtobufCEnumDescriptor *type, size_t prefix, int number)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);

	return value ? value->name + prefix : "?";
}
#define WORD(type, prefix, number) word_of(&jukwaa__v1__##type##__descriptor, sizeof(prefix) - 1, (int)(number))

/* "AMBULANCE ACCEPTED KRCS-NBO", "ASSIGNED KPS-NBO", "KRCS-7 ON_SCENE", "2 RESCUE_BOAT COMMITTED KNRS" */
static void write_step(const Jukwaa__V1__Work *work, struct jk_buffer *text)
{
	const char *about = "", *reason = "";

	switch (work->step_case) {
	case JUKWAA__V1__WORK__STEP_CASE_STEP:
		jk_buffer_printf(text, "%s", WORD(case_state, "CASE_STATE_", work->case_step->to));
		about = work->case_step->assignee;
		reason = work->case_step->reason;
		break;
	case JUKWAA__V1__WORK__STEP_DUTY_STEP:
		jk_buffer_printf(
			text, "%s %s", work->duty_step->discipline, WORD(duty_action, "DUTY_ACTION_", work->duty_step->action));
		about = work->duty_step->desk;
		reason = work->duty_step->reason;
		break;
	case JUKWAA__V1__WORK__STEP_UNIT_STEP:
		jk_buffer_printf(text, "%s %s", work->unit_step->unit, WORD(unit_state, "UNIT_STATE_", work->unit_step->to));
		reason = work->unit_step->reason;
		break;
	case JUKWAA__V1__WORK__STEP_AID_STEP:
		jk_buffer_printf(text, "%" PRIu32 " %s %s", work->aid_step->count, work->aid_step->capability,
			WORD(aid_state, "AID_STATE_", work->aid_step->to));
		about = work->aid_step->giver;
		reason = work->aid_step->reason;
		break;
	default:
		return;
	}
	jk_buffer_printf(text, "%s%s%s%s", *about ? " " : "", about, *reason ? ": " : "", reason);
}

/* What was done about the incident; without it, whoever may not know what still learns that. Returns the columns it took. */
static int show_work(const struct cli *cli, const struct jukwaa_event *event, int left)
{
	Jukwaa__V1__Deliver *deliver = jukwaa__v1__deliver__unpack(NULL, event->body_size, event->body);
	bool is_event = deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_EVENT;
	struct jk_span packed = is_event ? jk_body_work(deliver->event) : (struct jk_span){0};
	Jukwaa__V1__Work *work = packed.size > 0 ? jukwaa__v1__work__unpack(NULL, packed.size, packed.data) : NULL;
	struct jk_buffer text = {0};
	int took;

	if (work)
		write_step(work, &text);
	if (text.size == 0)
		printf("%s", cli_tone(cli, CLI_DIM));
	took = cli_print_text(stdout, text.size > 0 ? text.data : "(what was done is not shown)", left);
	printf("%s", cli_tone(cli, CLI_PLAIN));
	jk_buffer_done(&text);
	jukwaa__v1__work__free_unpacked(work, NULL);
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
	return took;
}

static bool is_work(const struct jukwaa_event *event)
{
	static const char *const kinds[] = {"CASE_STATE", "DUTY", "UNIT", "AID"};

	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (strcmp(event->kind, kinds[i]) == 0)
			return true;
	return false;
}

/* The desk had an earlier copy of the incident, and may not have this one. */
static void show_recall(const struct cli *cli, const struct jukwaa_event *event)
{
	Jukwaa__V1__Deliver *deliver = jukwaa__v1__deliver__unpack(NULL, event->body_size, event->body);

	printf("%sRECALLED", cli_tone(cli, CLI_WARN));
	if (deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_RECALLED) {
		printf(" ");
		cli_print_text(stdout, deliver->recalled->reason, 0);
	}
	printf("%s  your copy of incident %s no longer holds\n", cli_tone(cli, CLI_PLAIN), event->incident_id);
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
}

/* "erased: REPORTER PERSONS"; whoever keeps copies is to do the same. */
static void show_erased(const struct cli *cli, const struct jukwaa_event *event)
{
	static const char prefix[] = "GROUP_TAG_";
	Jukwaa__V1__Deliver *deliver = jukwaa__v1__deliver__unpack(NULL, event->body_size, event->body);
	const Jukwaa__V1__Erasure *erased =
		deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_EVENT ? deliver->event->erased : NULL;

	printf("%serased%s", cli_tone(cli, CLI_WARN),
		erased && erased->reason == JUKWAA__V1__ERASURE_REASON__ERASURE_REASON_RECTIFICATION ? " in earlier revisions:"
												     : ":");
	for (size_t i = 0; erased && i < erased->n_groups; i++) {
		const ProtobufCEnumValue *group =
			protobuf_c_enum_descriptor_get_value(&jukwaa__v1__group_tag__descriptor, (int)erased->groups[i]);

		if (group)
			printf(" %s", group->name + sizeof prefix - 1);
	}
	printf("%s", cli_tone(cli, CLI_PLAIN));
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
}

/* "no open incidents", or how many there were. */
static void show_end(const struct cli *cli, const struct jukwaa_event *event, bool backfill)
{
	printf("%s", cli_tone(cli, CLI_DIM));
	if (backfill)
		printf("backfilled: %" PRIu64 " events; that is all", event->snapshot_count);
	else if (event->snapshot_count == 0)
		printf("no open incidents");
	else
		printf("%" PRIu64 " incidents; what comes now is new", event->snapshot_count);
	printf("%s\n", cli_tone(cli, CLI_PLAIN));
}

/* "OPEN", "TRIAGED", "CLOSED", "CANCEL": of a snapshot, how it stands is more than what the newest report was. */
static const char *standing_of(const struct jukwaa_event *event)
{
	if (!event->snapshot)
		return event->kind;
	if (event->closed)
		return strcmp(event->kind, "CANCEL") == 0 ? "CANCEL" : "CLOSED";
	return *event->case_state ? event->case_state : "OPEN";
}

/* 08:15:30 047#12     SEVERE    FIRE      UPDATE    Fire in the market  KRCS */
void watch_show(const struct cli *cli, const struct jukwaa_event *event, bool backfill)
{
	enum { PLACE_COLUMNS = 10, KIND_COLUMNS = 9, WORD_COLUMNS = 9, WIDE = 70 };
	int columns = cli_columns(), left = columns;
	char clock[16], place[64];

	if (strcmp(event->kind, "SNAPSHOT_END") == 0) {
		show_end(cli, event, backfill);
		return;
	}
	format_clock(clock, event->recorded_at_us > 0 ? event->recorded_at_us : jk_time_now_us());
	(void)jk_text_format(place, sizeof place, "%s#%" PRIu64, event->stream, event->seq);
	left -= printf("%s %-*s ", clock, PLACE_COLUMNS, place);
	if (strcmp(event->kind, "RECALLED") == 0) {
		show_recall(cli, event);
		return;
	}
	if (!is_mail(event)) {
		printf("%s", cli_tone(cli, tone_of(event->severity)));
		left -= printf("%-*s ", WORD_COLUMNS, event->severity);
		printf("%s", cli_tone(cli, CLI_PLAIN));
		left -= printf("%-*s ", WORD_COLUMNS, event->category);
	}
	if (columns >= WIDE || strcmp(event->kind, "INCIDENT") != 0)
		left -= printf("%-*s ", KIND_COLUMNS, standing_of(event));
	/* Narrow: the headline goes on a line of its own. */
	if (left < 24) {
		printf("\n  ");
		left = columns - 2;
	}
	if (*mark_of(event)) {
		left -= (int)strlen(mark_of(event)) + 1;
		printf("%s%s%s ", cli_tone(cli, CLI_BAD), mark_of(event) + 1, cli_tone(cli, CLI_PLAIN));
	}
	if (is_mail(event))
		show_mail(cli, event, left);
	else if (is_work(event))
		left -= show_work(cli, event, left);
	else if (!strcmp(event->kind, "ERASED"))
		show_erased(cli, event);
	else if (left > 4)
		left -= cli_print_text(stdout, event->headline, left);
	if (left > (int)strlen(event->agency) + 3 && *event->agency) {
		printf("  %s", cli_tone(cli, CLI_DIM));
		cli_print_text(stdout, event->agency, 0);
		printf("%s", cli_tone(cli, CLI_PLAIN));
	}
	printf("\n");
}
