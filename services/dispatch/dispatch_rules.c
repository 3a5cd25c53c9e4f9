/* dispatch_rules.c: see dispatch_rules.h. */
#include "dispatch_rules.h"

#include <string.h>

enum { CATEGORIES_ALL = ((1 << (JK_CATEGORY_MAX + 1)) - 1) & ~1 };

static bool is_for_tests(uint8_t status)
{
	return status != JK_CAP_STATUS_ACTUAL && status != JK_CAP_STATUS_EXERCISE;
}

bool dispatch_rules_filter_passes(
	const struct dispatch_filter *filter, const struct dispatch_projection *projection, uint32_t withheld)
{
	bool classified = (withheld & (1U << JK_GROUP_CLASSIFICATION)) == 0;
	uint16_t categories = classified ? projection->categories : (uint16_t)(1U << projection->category);
	uint8_t severity = classified ? projection->severity : JK_SEVERITY_UNKNOWN;
	/* Where the copy does not say whether it is a test, leaving it out would say so. */
	bool identified = (withheld & (1U << JK_GROUP_IDENTITY)) == 0;

	if (identified && is_for_tests(projection->status) && !filter->include_test)
		return false;
	if (filter->categories != 0 && (filter->categories & categories) == 0)
		return false;
	if (filter->minimum_severity == JK_SEVERITY_NONE)
		return true;
	return severity != JK_SEVERITY_NONE && severity != JK_SEVERITY_UNKNOWN && severity <= filter->minimum_severity;
}

bool dispatch_rules_is_work(int kind)
{
	switch (kind) {
	case JK_EVENT_CASE_STATE:
	case JK_EVENT_DUTY:
	case JK_EVENT_UNIT:
	case JK_EVENT_AID:
	case JK_EVENT_OPENED:
	case JK_EVENT_ACTED:
	case JK_EVENT_UNANSWERED:
		return true;
	default:
		return false;
	}
}

size_t dispatch_rules_write_filter(uint8_t ret[DISPATCH_FILTER_FORM_BYTES], const struct dispatch_filter *filter)
{
	uint16_t categories = filter->categories & CATEGORIES_ALL;
	size_t agreement = strlen(filter->agreement);

	if (categories == CATEGORIES_ALL)
		categories = 0;
	ret[0] = (uint8_t)(categories >> 8);
	ret[1] = (uint8_t)categories;
	ret[2] = filter->minimum_severity;
	ret[3] = filter->include_test;
	memcpy(ret + 4, filter->agreement, agreement);
	return 4 + agreement;
}

static bool is_cursor_name(const char *name)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
	size_t length = strlen(name);

	return length > 0 && length < DISPATCH_CURSOR_BYTES && strspn(name, allowed) == length;
}

bool dispatch_rules_check_ask(const struct dispatch_filter *filter, enum dispatch_start start, const char *cursor,
	uint32_t window, bool any_stream, struct jk_refusal *ret_refusal)
{
	if (!any_stream)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "counties", "name counties, or ask for all or the mailbox");
	if (start == DISPATCH_START_NONE)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "start_at",
			"say where to start: now, beginning, token, cursor or snapshot");
	if (start == DISPATCH_START_CURSOR && cursor[0] == '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "cursor", "a start from a cursor needs the cursor's name");
	if (cursor[0] != '\0' && !is_cursor_name(cursor))
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "cursor", "a cursor's name is 1 to 64 of A-Z a-z 0-9 . _ -");
	if (filter->minimum_severity >= JK_SEVERITY_UNKNOWN)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "minimum_severity", "UNKNOWN is no threshold; leave it out");
	if (window > DISPATCH_WINDOW_MAX)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "window", "a window is 1 to %d deliveries", DISPATCH_WINDOW_MAX);
	return true;
}

bool dispatch_rules_check_backfill(const struct dispatch_filter *filter, enum dispatch_start start, const char *cursor,
	bool mailbox, struct jk_refusal *ret_refusal)
{
	if (filter->agreement[0] == '\0')
		return true;
	if (start != DISPATCH_START_BEGINNING && start != DISPATCH_START_TOKEN)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "start_at", "a backfill starts at the beginning");
	if (cursor[0] != '\0')
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "cursor",
			"a backfill keeps no cursor: what another rule allows is not in it");
	if (mailbox)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "mailbox", "no agreement is about a mailbox");
	return true;
}

uint32_t dispatch_rules_window(uint32_t asked)
{
	return asked == 0 ? DISPATCH_WINDOW_DEFAULT : asked;
}

uint32_t dispatch_rules_batch_bytes(uint32_t asked)
{
	return asked < DISPATCH_BATCH_MAX_BYTES ? asked : DISPATCH_BATCH_MAX_BYTES;
}

int dispatch_streams_find(const struct dispatch_streams *streams, const char *name)
{
	for (size_t i = 0; i < streams->count; i++)
		if (strcmp(streams->names[i], name) == 0)
			return (int)i;
	return -1;
}

bool dispatch_streams_add(struct dispatch_streams *streams, const char *name)
{
	size_t place = 0, size = strlen(name) + 1;

	if (size > DISPATCH_STREAM_BYTES)
		return false;
	while (place < streams->count && strcmp(streams->names[place], name) < 0)
		place++;
	if (place < streams->count && strcmp(streams->names[place], name) == 0)
		return true;
	if (streams->count == DISPATCH_STREAMS_MAX)
		return false;
	memmove(streams->names[place + 1], streams->names[place], (streams->count - place) * sizeof streams->names[0]);
	memcpy(streams->names[place], name, size);
	streams->count++;
	return true;
}

uint64_t dispatch_rules_block_of(uint64_t seq)
{
	return (seq - 1) / DISPATCH_BLOCK_EVENTS;
}

uint64_t dispatch_rules_block_first(uint64_t block)
{
	return block * DISPATCH_BLOCK_EVENTS + 1;
}

static bool refuse_resync(struct jk_refusal *ret_refusal, const char *stream, const char *why)
{
	return jk_refuse(
		ret_refusal, JK_CODE_RESYNC, "positions", "stream %s: %s; start from the beginning or from now", stream, why);
}

/* The claimed position as this feed knows it. */
static bool claim_holds(const char *stream, const struct dispatch_found *found, struct jk_refusal *ret_refusal)
{
	const struct dispatch_position *claim = &found->claim;
	const uint8_t *chain8 = found->kept ? found->kept_chain8 : found->last.chain8;

	if (claim->seq > found->last.seq)
		return refuse_resync(ret_refusal, stream, "the position is beyond this feed's end");
	if (claim->seq > 0 && (found->kept || claim->seq == found->last.seq)) {
		if (memcmp(claim->chain8, chain8, DISPATCH_CHAIN8_BYTES) != 0)
			return refuse_resync(ret_refusal, stream, "this feed has another event at the position");
		return true;
	}
	/* The event itself is gone: nothing is missed only if all that follow it are there. */
	if (found->first_seq != 0 ? claim->seq + 1 < found->first_seq : claim->seq < found->last.seq)
		return refuse_resync(ret_refusal, stream, "events after the position are no longer kept");
	return true;
}

bool dispatch_rules_decide_start(enum dispatch_start start, const char *stream, const struct dispatch_found *found,
	struct dispatch_position *ret_position, struct jk_refusal *ret_refusal)
{
	*ret_position = (struct dispatch_position){.seq = 0};
	/* A snapshot says itself where it stands, when it is taken. */
	if (start == DISPATCH_START_NOW || start == DISPATCH_START_SNAPSHOT) {
		*ret_position = found->last;
		return true;
	}
	if (start == DISPATCH_START_TOKEN && !found->claimed)
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "positions",
			"the token has no position for stream %s; a wider subscription starts from now or from the beginning",
			stream);
	if (start == DISPATCH_START_BEGINNING || !found->claimed) {
		if (found->first_seq == 0)
			*ret_position = found->last;
		else
			ret_position->seq = found->first_seq - 1;
		return true;
	}
	if (!claim_holds(stream, found, ret_refusal))
		return false;
	*ret_position = found->claim;
	return true;
}

enum dispatch_cursor_fate dispatch_rules_decide_cursor(enum dispatch_start start, size_t asked, size_t matching, size_t held)
{
	bool fits = held == 0 || matching == asked;

	if (start == DISPATCH_START_BEGINNING || start == DISPATCH_START_SNAPSHOT)
		return DISPATCH_CURSOR_RENEW;
	if (fits)
		return DISPATCH_CURSOR_CONTINUE;
	return start == DISPATCH_START_CURSOR ? DISPATCH_CURSOR_REFUSE : DISPATCH_CURSOR_RENEW;
}

bool dispatch_rules_should_reserve(uint64_t next_seq, uint64_t reserved_to)
{
	return next_seq + DISPATCH_RESERVE_EVENTS / 2 > reserved_to;
}

uint64_t dispatch_rules_reserve_count(uint64_t behind)
{
	uint64_t count = behind / DISPATCH_RESERVE_EVENTS * DISPATCH_RESERVE_EVENTS;

	if (count < DISPATCH_RESERVE_EVENTS)
		return DISPATCH_RESERVE_EVENTS;
	return count < DISPATCH_RESERVE_MAX ? count : DISPATCH_RESERVE_MAX;
}
