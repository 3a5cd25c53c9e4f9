#include "notify_rules.h"

#include <assert.h>
#include <string.h>

#include "base/jk_text.h"

enum {
	BACKOFF_FIRST_MS = 1000,
	BACKOFF_MAX_MS = 3600 * 1000,
	/* A receiver may ask for patience, not for oblivion. */
	RETRY_AFTER_MAX_S = 24 * 3600,
	HTTP_GONE = 410,
};

static bool status_passes(const struct notify_rule *rule, enum jk_cap_status status)
{
	switch (status) {
	case JK_CAP_STATUS_ACTUAL:
	case JK_CAP_STATUS_EXERCISE: /* the realm of exercises takes nothing else */
		return true;
	case JK_CAP_STATUS_TEST:
	case JK_CAP_STATUS_SYSTEM:
		return rule->include_test;
	default:
		return false;
	}
}

static bool severity_passes(const struct notify_rule *rule, int severity)
{
	if (rule->minimum_severity == JK_SEVERITY_NONE)
		return true;
	return severity >= JK_SEVERITY_EXTREME && severity <= rule->minimum_severity && severity != JK_SEVERITY_UNKNOWN;
}

enum notify_match notify_rules_match(const struct notify_rule *rule, const struct notify_event *event, int64_t now_us)
{
	if (event->kind != JK_EVENT_INCIDENT && event->kind != JK_EVENT_UPDATE)
		return NOTIFY_NOT_OF_A_KIND;
	if (event->recorded_at_us < rule->added_at_us)
		return NOTIFY_BEFORE_RULE;
	if (event->expires_us != 0 && event->expires_us <= now_us)
		return NOTIFY_EXPIRED;
	if (rule->county[0] && strcmp(rule->county, event->label.county) != 0)
		return NOTIFY_OTHER_COUNTY;
	if (rule->category != JK_CATEGORY_NONE && !(event->label.categories >> rule->category & 1))
		return NOTIFY_OTHER_CATEGORY;
	if (!severity_passes(rule, event->severity))
		return NOTIFY_TOO_MILD;
	return status_passes(rule, event->label.status) ? NOTIFY_TELL : NOTIFY_A_TEST;
}

int notify_rules_category(const struct notify_rule *rule, const struct notify_event *event)
{
	return rule->category != JK_CATEGORY_NONE ? rule->category : event->category;
}

const char *notify_rules_state_name(enum notify_state state)
{
	static const char *const names[] = {[NOTIFY_PENDING] = "PENDING", [NOTIFY_ACCEPTED] = "ACCEPTED", [NOTIFY_DEAD] = "DEAD"};
	assert(state <= NOTIFY_DEAD);
	return names[state];
}

/* Full jitter: anything from nothing to the whole step, so that messages that failed together do not return together. */
static int64_t backoff_ms(int attempts, uint32_t chance)
{
	int64_t step_ms = BACKOFF_FIRST_MS;
	for (int i = 1; i < attempts && step_ms < BACKOFF_MAX_MS; i++)
		step_ms *= 2;
	if (step_ms > BACKOFF_MAX_MS)
		step_ms = BACKOFF_MAX_MS;
	return (int64_t)((uint64_t)step_ms * chance >> 32);
}

struct notify_next notify_rules_decide(const struct notify_result *result, int attempts, int attempts_max, uint32_t chance)
{
	struct notify_next next = {.state = NOTIFY_PENDING};
	int64_t asked_s = result->retry_after_s < RETRY_AFTER_MAX_S ? result->retry_after_s : RETRY_AFTER_MAX_S;
	if (result->http_status >= 200 && result->http_status < 300) {
		next.state = NOTIFY_ACCEPTED;
	} else if (result->http_status == HTTP_GONE) {
		next.state = NOTIFY_DEAD;
		(void)jk_text_copy(next.reason, sizeof next.reason, "the receiver wants no more (410)");
	} else if (attempts >= attempts_max) {
		next.state = NOTIFY_DEAD;
		(void)jk_text_format(next.reason, sizeof next.reason, "given up after %d attempts: %s", attempts, result->error);
	} else {
		next.delay_ms = backoff_ms(attempts, chance);
		if (next.delay_ms < asked_s * 1000)
			next.delay_ms = asked_s * 1000;
		(void)jk_text_copy(next.reason, sizeof next.reason, result->error);
	}
	return next;
}

struct network {
	uint8_t bytes[16];
	int bits;
};

static bool is_within(const uint8_t *address, const struct network *network)
{
	int whole = network->bits / 8, rest = network->bits % 8;
	if (memcmp(address, network->bytes, (size_t)whole) != 0)
		return false;
	return rest == 0 || ((address[whole] ^ network->bytes[whole]) & (0xff << (8 - rest)) & 0xff) == 0;
}

static bool is_in_any(const uint8_t *address, const struct network *networks, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (is_within(address, &networks[i]))
			return true;
	return false;
}

/* RFC 6890 and the IANA special-purpose registries. */
static bool is_public_ipv4(const uint8_t *bytes)
{
	static const struct network special[] = {
		{{0}, 8},             /* this network */
		{{10}, 8},            /* private */
		{{100, 64}, 10},      /* carrier-grade NAT */
		{{127}, 8},           /* this host */
		{{169, 254}, 16},     /* this link; cloud metadata */
		{{172, 16}, 12},      /* private */
		{{192, 0, 0}, 24},    /* protocol assignments */
		{{192, 0, 2}, 24},    /* documentation */
		{{192, 88, 99}, 24},  /* 6to4 relays */
		{{192, 168}, 16},     /* private */
		{{198, 18}, 15},      /* benchmarks */
		{{198, 51, 100}, 24}, /* documentation */
		{{203, 0, 113}, 24},  /* documentation */
		{{224}, 3},           /* multicast, reserved, broadcast */
	};
	return !is_in_any(bytes, special, sizeof special / sizeof *special);
}

/* Only global unicast, 2000::/3, and of that not what stands for something else. */
static bool is_public_ipv6(const uint8_t *bytes)
{
	static const struct network mapped = {{[10] = 0xff, 0xff}, 96}; /* ::ffff:a.b.c.d */
	static const struct network nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
	static const struct network sixtofour = {{0x20, 0x02}, 16};
	static const struct network unicast = {{0x20}, 3};
	static const struct network special[] = {
		{{0x20, 0x01, 0x00}, 23},       /* protocol assignments: Teredo, benchmarks, … */
		{{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
		{{0x3f, 0xff, 0x00}, 20},       /* documentation */
	};
	if (is_within(bytes, &mapped) || is_within(bytes, &nat64))
		return is_public_ipv4(bytes + 12);
	if (is_within(bytes, &sixtofour))
		return is_public_ipv4(bytes + 2);
	return is_within(bytes, &unicast) && !is_in_any(bytes, special, sizeof special / sizeof *special);
}

bool notify_rules_address_is_public(const uint8_t *bytes, size_t size)
{
	if (size == 4)
		return is_public_ipv4(bytes);
	return size == 16 && is_public_ipv6(bytes);
}
