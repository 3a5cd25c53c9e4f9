#include "services/intake/intake_meter.h"

#include <stddef.h>

#include "base/jk_text.h"
#include "daemon/metrics.h"

/* Counted elsewhere as totals; here the difference is added. */
struct follower {
	struct jk_metric *metric;
	uint64_t seen;
};

static struct {
	struct jk_metric *verdicts[JK_VERDICT_VALID + 1];
	struct jk_metric *refusals[JK_CODE_RATE_LIMITED + 1];
	struct jk_metric *receipts_lost, *batches, *batch_reports, *commit_seconds, *again, *assumed[2];
	struct jk_metric *sessions, *queued, *queue_bytes;
	struct follower malformed, no_identity, unknown_kind, rate_limited, opened, zap_allowed, zap_later, zap_refused;
} meter;

static void open_verdicts(void)
{
	static const char *const labels[] = {[JK_VERDICT_STORED] = "verdict=\"STORED\"",
		[JK_VERDICT_DUPLICATE] = "verdict=\"DUPLICATE\"",
		[JK_VERDICT_CONFLICT] = "verdict=\"CONFLICT\"",
		[JK_VERDICT_REJECTED] = "verdict=\"REJECTED\"",
		[JK_VERDICT_BUSY] = "verdict=\"BUSY\"",
		[JK_VERDICT_VALID] = "verdict=\"VALID\""};

	for (int verdict = JK_VERDICT_STORED; verdict <= JK_VERDICT_VALID; verdict++)
		meter.verdicts[verdict] =
			jk_metric_counter("jukwaa_intake_reports_total", labels[verdict], "reports answered, by verdict");
}

static void open_refusals(void)
{
	static char labels[JK_CODE_RATE_LIMITED + 1][48];

	for (int code = JK_CODE_NOT_WELL_FORMED; code <= JK_CODE_RATE_LIMITED; code++) {
		jk_text_format(labels[code], sizeof labels[code], "code=\"%s\"", jk_words_name(&jk_codes, code));
		meter.refusals[code] =
			jk_metric_counter("jukwaa_intake_refusals_total", labels[code], "reports rejected, by code");
	}
}

void intake_meter_open(void)
{
	open_verdicts();
	open_refusals();
	meter.receipts_lost = jk_metric_counter(
		"jukwaa_intake_receipts_lost_total", "", "receipts nobody took: the session ended, or its pipe was full");
	meter.batches = jk_metric_counter("jukwaa_intake_batches_total", "", "batches committed");
	meter.batch_reports = jk_metric_counter("jukwaa_intake_batch_reports_total", "", "reports in committed batches");
	meter.again = jk_metric_counter("jukwaa_intake_batches_repeated_total", "", "batches loaded and decided again");
	meter.assumed[false] = jk_metric_counter("jukwaa_intake_batches_assumed_total", "result=\"wrong\"",
		"batches decided without loading what is known; a wrong one is loaded and decided again");
	meter.assumed[true] = jk_metric_counter("jukwaa_intake_batches_assumed_total", "result=\"right\"",
		"batches decided without loading what is known; a wrong one is loaded and decided again");
	meter.commit_seconds =
		jk_metric_histogram("jukwaa_intake_commit_seconds", "", "from the start of a batch's store job to its commit");
	meter.sessions = jk_metric_gauge("jukwaa_intake_sessions", "", "open sessions");
	meter.queued = jk_metric_gauge("jukwaa_intake_queue_reports", "", "reports that wait for a batch");
	meter.queue_bytes = jk_metric_gauge("jukwaa_intake_queue_bytes", "", "memory of reports in flight");
	meter.opened.metric = jk_metric_counter("jukwaa_intake_sessions_total", "", "sessions opened");
	meter.malformed.metric =
		jk_metric_counter("jukwaa_intake_dropped_total", "why=\"malformed\"", "messages dropped without an answer");
	meter.no_identity.metric =
		jk_metric_counter("jukwaa_intake_dropped_total", "why=\"no_identity\"", "messages dropped without an answer");
	meter.unknown_kind.metric =
		jk_metric_counter("jukwaa_intake_dropped_total", "why=\"unknown_kind\"", "messages dropped without an answer");
	meter.rate_limited.metric =
		jk_metric_counter("jukwaa_intake_rate_limited_total", "", "messages refused by a key's rate limit");
	meter.zap_allowed.metric = jk_metric_counter("jukwaa_intake_handshakes_total", "verdict=\"allowed\"", "CURVE handshakes");
	meter.zap_later.metric = jk_metric_counter("jukwaa_intake_handshakes_total", "verdict=\"later\"", "CURVE handshakes");
	meter.zap_refused.metric = jk_metric_counter("jukwaa_intake_handshakes_total", "verdict=\"refused\"", "CURVE handshakes");
}

void intake_meter_receipt(const struct intake_item *item)
{
	jk_metric_add(meter.verdicts[item->verdict], 1);
	if (item->verdict == JK_VERDICT_REJECTED && item->refusal && item->refusal->code <= JK_CODE_RATE_LIMITED)
		jk_metric_add(meter.refusals[item->refusal->code], 1);
}

void intake_meter_receipt_lost(void)
{
	jk_metric_add(meter.receipts_lost, 1);
}

void intake_meter_batch(size_t reports, int64_t commit_us)
{
	jk_metric_add(meter.batches, 1);
	jk_metric_add(meter.batch_reports, reports);
	jk_metric_observe_us(meter.commit_seconds, commit_us);
}

void intake_meter_again(void)
{
	jk_metric_add(meter.again, 1);
}

void intake_meter_assumed(bool right)
{
	jk_metric_add(meter.assumed[right], 1);
}

static void follow(struct follower *follower, uint64_t total)
{
	jk_metric_add(follower->metric, total - follower->seen);
	follower->seen = total;
}

void intake_meter_refresh(
	struct jk_bus *bus, struct jk_router *router, const struct jk_sessions *sessions, size_t queued, size_t queue_bytes)
{
	struct jk_bus_counts zap = jk_bus_counts(bus);
	struct jk_router_counts frames = jk_router_counts(router);
	struct jk_sessions_counts counts = jk_sessions_counts(sessions);

	follow(&meter.zap_allowed, zap.allowed);
	follow(&meter.zap_later, zap.later);
	follow(&meter.zap_refused, zap.refused);
	follow(&meter.malformed, frames.malformed + counts.malformed);
	follow(&meter.no_identity, frames.no_identity);
	follow(&meter.unknown_kind, counts.unknown_kind);
	follow(&meter.rate_limited, counts.rate_limited);
	follow(&meter.opened, counts.opened);
	jk_metric_set(meter.sessions, (int64_t)jk_sessions_count(sessions));
	jk_metric_set(meter.queued, (int64_t)queued);
	jk_metric_set(meter.queue_bytes, (int64_t)queue_bytes);
}
