/* cases_rules.c: the table of effects. A case follows the newest revision that any stream has shown; its counties follow each
 * stream on its own; its timeline has one line for each report. So the end is the same in whatever order streams are read. */
#include "cases_rules.h"

#include <string.h>

#include "base/jk_text.h"
#include "cases_story_rules.h"

const struct cases_rule cases_rules[] = {
	/* clang-format off */
	/* kind             relation         opens  takes          county        entry                         why */
	{JK_EVENT_INCIDENT, CASES_ABSENT,    true,  CASES_ALL,     CASES_JOINS,  CASES_OPENED,                 "an incident opens its case"},
	{JK_EVENT_INCIDENT, CASES_NEWER,     false, CASES_ALL,     CASES_JOINS,  CASES_OPENED,                 "an older report was read first, in another stream"},
	{JK_EVENT_INCIDENT, CASES_NOT_NEWER, false, CASES_NOTHING, CASES_JOINS,  CASES_OPENED,                 "the same event in another county, or its update was read first"},
	{JK_EVENT_UPDATE,   CASES_ABSENT,    true,  CASES_ALL,     CASES_JOINS,  CASES_REVISED,                "read before its incident, which stands in another stream"},
	{JK_EVENT_UPDATE,   CASES_NEWER,     false, CASES_ALL,     CASES_JOINS,  CASES_REVISED,                "the current state"},
	{JK_EVENT_UPDATE,   CASES_NOT_NEWER, false, CASES_NOTHING, CASES_JOINS,  CASES_REVISED,                "the same event in another county, or a newer one was read first"},
	{JK_EVENT_CANCEL,   CASES_ABSENT,    true,  CASES_ALL,     CASES_JOINS,  CASES_CANCELLED_BY_PUBLISHER, "read before its incident, which stands in another stream"},
	{JK_EVENT_CANCEL,   CASES_NEWER,     false, CASES_ALL,     CASES_JOINS,  CASES_CANCELLED_BY_PUBLISHER, "the publisher takes it back; the work goes on until a desk ends it"},
	{JK_EVENT_CANCEL,   CASES_NOT_NEWER, false, CASES_NOTHING, CASES_JOINS,  CASES_CANCELLED_BY_PUBLISHER, "the same event in another county, or a newer one was read first"},
	{JK_EVENT_HISTORY,  CASES_ABSENT,    true,  CASES_ALL,     CASES_STAYS,  CASES_LATE_REPORT,            "read before the current state, which stands in another stream and names the counties"},
	{JK_EVENT_HISTORY,  CASES_NEWER,     false, CASES_ALL,     CASES_STAYS,  CASES_LATE_REPORT,            "newer than what has been read so far; the current state follows"},
	{JK_EVENT_HISTORY,  CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_LATE_REPORT,            "it came late and changes nothing but the timeline"},
	{JK_EVENT_MOVED_AWAY, CASES_NEWER,     false, CASES_NOTHING, CASES_LEAVES, CASES_ENTRY_NONE,           "the incident left this county"},
	{JK_EVENT_MOVED_AWAY, CASES_NOT_NEWER, false, CASES_NOTHING, CASES_LEAVES, CASES_ENTRY_NONE,           "the incident left this county; the report that moved it was read first"},
	{JK_EVENT_ERASED,   CASES_NEWER,     false, CASES_FORGETS, CASES_STAYS,  CASES_ENTRY_NONE,             "with its words went those it was for"},
	{JK_EVENT_ACK,      CASES_NEWER,     false, CASES_NOTHING, CASES_STAYS,  CASES_ACKNOWLEDGED,           "a receipt says nothing about the incident's state"},
	{JK_EVENT_ACK,      CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_ACKNOWLEDGED,           "a receipt says nothing about the incident's state"},
	{JK_EVENT_ERROR,    CASES_NEWER,     false, CASES_NOTHING, CASES_STAYS,  CASES_ERROR_REPORTED,         "a complaint about a message, not about the incident"},
	{JK_EVENT_ERROR,    CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_ERROR_REPORTED,         "a complaint about a message, not about the incident"},
	{JK_EVENT_DUTY,     CASES_NEWER,     false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_DUTY,             "what was done about it; the report itself is as it was"},
	{JK_EVENT_DUTY,     CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_DUTY,             "what was done about it; the report itself is as it was"},
	{JK_EVENT_UNIT,     CASES_NEWER,     false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_UNIT,             "what was done about it; the report itself is as it was"},
	{JK_EVENT_UNIT,     CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_UNIT,             "what was done about it; the report itself is as it was"},
	{JK_EVENT_AID,      CASES_NEWER,     false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_AID,              "what was done about it; the report itself is as it was"},
	{JK_EVENT_AID,      CASES_NOT_NEWER, false, CASES_NOTHING, CASES_STAYS,  CASES_ENTRY_AID,              "what was done about it; the report itself is as it was"},
	/* clang-format on */
};
const size_t cases_rules_count = sizeof cases_rules / sizeof *cases_rules;

enum cases_relation cases_rules_relate(const struct cases_case *incident_case, const struct cases_event *event)
{
	if (incident_case->version == 0)
		return CASES_ABSENT;
	if (event->revision != incident_case->revision)
		return event->revision > incident_case->revision ? CASES_NEWER : CASES_NOT_NEWER;
	bool later = memcmp(event->event_id.bytes, incident_case->event_id.bytes, sizeof event->event_id.bytes) > 0;
	return later && event->kind != JK_EVENT_HISTORY ? CASES_NEWER : CASES_NOT_NEWER;
}

const struct cases_rule *cases_rules_find(enum jk_event_kind kind, enum cases_relation relation)
{
	for (size_t i = 0; i < cases_rules_count; i++)
		if (cases_rules[i].kind == kind && cases_rules[i].relation == relation)
			return &cases_rules[i];
	return NULL;
}

static uint64_t move_county(uint64_t counties, uint64_t county, enum cases_membership membership)
{
	switch (membership) {
	case CASES_JOINS:
		return counties | county;
	case CASES_LEAVES:
		return counties & ~county;
	case CASES_STAYS:
		break;
	}
	return counties;
}

static void fill_entry(struct cases_entry *ret_entry, struct cases_case *incident_case, const struct cases_event *event,
	enum cases_entry_kind kind)
{
	*ret_entry = (struct cases_entry){
		.case_id = incident_case->case_id,
		.event_id = event->event_id,
		.entry_no = ++incident_case->entries,
		.at_us = event->recorded_at_us,
		.kind = kind,
		.revision = event->revision,
	};
	memcpy(ret_entry->agency, event->labels.agency, sizeof ret_entry->agency);
	memcpy(ret_entry->actor_agency, event->work.agency, sizeof ret_entry->actor_agency);
	memcpy(ret_entry->actor_desk, event->work.desk, sizeof ret_entry->actor_desk);
	ret_entry->detail = event->work.detail_size ? event->work.detail : NULL;
	ret_entry->detail_size = event->work.detail_size;
}

/* The first time, in whatever order the streams are read. */
static void reach(struct cases_steps *steps, const struct cases_work *work)
{
	int64_t *const times[] = {
		[CASES_WAS_ACCEPTED] = &steps->accepted_at_us,
		[CASES_WAS_DISPATCHED] = &steps->dispatched_at_us,
		[CASES_WAS_ON_SCENE] = &steps->on_scene_at_us,
	};

	if (work->milestone == CASES_NO_MILESTONE)
		return;
	int64_t *at_us = times[work->milestone];
	if (*at_us == 0 || work->at_us < *at_us)
		*at_us = work->at_us;
}

enum cases_entry_kind cases_rules_apply(
	struct cases_case *incident_case, const struct cases_event *event, bool entered, struct cases_entry *ret_entry)
{
	const struct cases_rule *rule = cases_rules_find(event->kind, cases_rules_relate(incident_case, event));
	if (!rule)
		return CASES_ENTRY_NONE;
	if (rule->opens)
		*incident_case = (struct cases_case){
			.case_id = event->incident_id, .state = CASES_NEW, .opened_at_us = event->recorded_at_us};
	uint64_t counties = move_county(incident_case->counties, event->county, rule->county);
	enum cases_entry_kind entry = entered ? CASES_ENTRY_NONE : rule->entry;
	bool forgets = rule->takes == CASES_FORGETS && !*event->labels.named && *incident_case->labels.named;
	if (rule->takes != CASES_ALL && !forgets && counties == incident_case->counties && entry == CASES_ENTRY_NONE)
		return CASES_ENTRY_NONE;

	incident_case->counties = counties;
	incident_case->version++;
	if (forgets)
		incident_case->labels.named[0] = '\0';
	if (rule->takes == CASES_ALL) {
		incident_case->labels = event->labels;
		incident_case->place = event->place;
		incident_case->revision = event->revision;
		incident_case->event_id = event->event_id;
		incident_case->event_at_us = event->recorded_at_us;
	}
	if (event->recorded_at_us < incident_case->opened_at_us)
		incident_case->opened_at_us = event->recorded_at_us;
	if (event->recorded_at_us > incident_case->updated_at_us)
		incident_case->updated_at_us = event->recorded_at_us;
	if (entry != CASES_ENTRY_NONE) {
		reach(&incident_case->steps, &event->work);
		fill_entry(ret_entry, incident_case, event, entry);
	}
	return entry;
}

void cases_rules_name(char named[CASES_NAMED_BYTES], const char *code)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"; /* as the registry has them */
	size_t used = strlen(named), size = strlen(code);

	/* Whole or not at all: a part of a desk's code may be its agency's. */
	if (size > 0 && strspn(code, letters) == size && used + 1 + size < CASES_NAMED_BYTES)
		(void)jk_text_format(named + used, CASES_NAMED_BYTES - used, "%s%s", used ? "," : "", code);
}

size_t cases_rules_names(char named[CASES_NAMED_BYTES], const char *ret[CASES_NAMED_MAX])
{
	size_t count = 0;
	for (char *rest = named, *code; (code = strtok_r(rest, ",", &rest)) && count < CASES_NAMED_MAX;)
		ret[count++] = code;
	return count;
}

uint64_t cases_county_bit(const char *county)
{
	if (strlen(county) != JK_COUNTY_BYTES - 1 || strspn(county, "0123456789") != JK_COUNTY_BYTES - 1)
		return 0;
	int number = (county[0] - '0') * 100 + (county[1] - '0') * 10 + (county[2] - '0');
	return number >= 1 && number <= JK_COUNTY_MAX ? UINT64_C(1) << number : 0;
}

size_t cases_county_list(uint64_t counties, char ret[JK_COUNTY_MAX][JK_COUNTY_BYTES])
{
	size_t count = 0;
	for (int number = 1; number <= JK_COUNTY_MAX; number++) {
		if (!(counties >> number & 1))
			continue;
		ret[count][0] = '0';
		ret[count][1] = (char)('0' + number / 10);
		ret[count][2] = (char)('0' + number % 10);
		ret[count++][3] = '\0';
	}
	return count;
}

bool cases_rules_may_find(const struct cases_filter *filter, uint32_t withheld)
{
	uint32_t asked = 0;

	if (filter->counties || *filter->constituency)
		asked |= 1U << JK_GROUP_PLACE;
	if (filter->category || filter->severity_floor)
		asked |= 1U << JK_GROUP_CLASSIFICATION;
	if (*filter->agency)
		asked |= 1U << JK_GROUP_IDENTITY;
	if (filter->breached)
		asked |= 1U << JK_GROUP_WORK;
	if (*filter->number && !cases_story_shows_numbers(withheld))
		return false;
	return (asked & withheld) == 0;
}

void cases_rules_withhold(struct cases_case *incident_case, uint32_t withheld)
{
	struct cases_labels *labels = &incident_case->labels;
	if (withheld >> JK_GROUP_IDENTITY & 1) {
		labels->agency[0] = '\0';
		labels->status = JK_CAP_STATUS_NONE;
		incident_case->revision = 0;
	}
	if (withheld >> JK_GROUP_CLASSIFICATION & 1)
		labels->category = labels->severity = labels->categories = 0;
	if (withheld >> JK_GROUP_PLACE & 1) {
		incident_case->counties = 0;
		incident_case->place.constituency[0] = '\0';
	}
	if (withheld >> JK_GROUP_POSITION & 1) {
		incident_case->place.located = false;
		incident_case->place.lat = incident_case->place.lon = 0;
	}
	if (withheld >> JK_GROUP_TIMES & 1)
		incident_case->place.occurred_at_us = 0;
	if (withheld & CASES_WITHHELD_PARTIES && incident_case->life.assigned_hidden)
		incident_case->life.assigned_agency[0] = incident_case->life.assigned_desk[0] = '\0';
	if (withheld & CASES_WITHHELD_PARTIES && incident_case->life.referred_hidden)
		incident_case->life.referred_agency[0] = incident_case->life.referred_service[0] = '\0';
	if (withheld >> JK_GROUP_WORK & 1) {
		incident_case->steps = (struct cases_steps){0};
		incident_case->life = (struct cases_life){0};
	}
	if (withheld >> JK_GROUP_HANDLING & 1)
		labels->tlp = labels->scope = 0;
}
