/* metrics.c: a list of metrics that only grows; their values are atomics. */
#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "daemon/metrics.h"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Upper bounds as Prometheus shows them and in microseconds; the last bucket is +Inf. */
static const struct {
	const char *text;
	int64_t us;
} buckets[] = {
	{"0.0005", 500},
	{"0.001", 1000},
	{"0.002", 2000},
	{"0.005", 5000},
	{"0.01", 10000},
	{"0.02", 20000},
	{"0.05", 50000},
	{"0.1", 100000},
	{"0.2", 200000},
	{"0.5", 500000},
	{"1", 1000000},
	{"2", 2000000},
	{"5", 5000000},
	{"10", 10000000},
	{"30", 30000000},
};
enum { BUCKETS = sizeof buckets / sizeof *buckets };

struct jk_metric {
	struct jk_metric *next;
	enum metric_type type;
	const char *name, *labels, *help;
	_Atomic int64_t value;                /* of a counter or gauge; sum in microseconds of a histogram */
	_Atomic uint64_t counts[BUCKETS + 1]; /* each observation in exactly one */
};

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct jk_metric *first_metric, *last_metric;

static struct jk_metric *register_metric(enum metric_type type, const char *name, const char *labels, const char *help)
{
	pthread_mutex_lock(&list_lock);
	struct jk_metric *metric = first_metric;
	while (metric && (strcmp(metric->name, name) != 0 || strcmp(metric->labels, labels) != 0))
		metric = metric->next;
	if (!metric) {
		metric = calloc(1, sizeof *metric);
		assert(metric); /* at start-up; nothing sensible can follow */
		metric->type = type;
		metric->name = name;
		metric->labels = labels;
		metric->help = help;
		if (last_metric)
			last_metric->next = metric;
		else
			first_metric = metric;
		last_metric = metric;
	}
	assert(metric->type == type);
	pthread_mutex_unlock(&list_lock);
	return metric;
}

struct jk_metric *jk_metric_counter(const char *name, const char *labels, const char *help)
{
	return register_metric(METRIC_COUNTER, name, labels, help);
}

struct jk_metric *jk_metric_gauge(const char *name, const char *labels, const char *help)
{
	return register_metric(METRIC_GAUGE, name, labels, help);
}

struct jk_metric *jk_metric_histogram(const char *name, const char *labels, const char *help)
{
	return register_metric(METRIC_HISTOGRAM, name, labels, help);
}

void jk_metric_add(struct jk_metric *metric, uint64_t value)
{
	assert(metric->type != METRIC_HISTOGRAM);
	atomic_fetch_add_explicit(&metric->value, (int64_t)value, memory_order_relaxed);
}

void jk_metric_set(struct jk_metric *metric, int64_t value)
{
	assert(metric->type != METRIC_HISTOGRAM);
	atomic_store_explicit(&metric->value, value, memory_order_relaxed);
}

void jk_metric_observe_us(struct jk_metric *metric, int64_t microseconds)
{
	assert(metric->type == METRIC_HISTOGRAM);
	size_t bucket = 0;
	if (microseconds < 0)
		microseconds = 0;
	while (bucket < BUCKETS && microseconds > buckets[bucket].us)
		bucket++;
	atomic_fetch_add_explicit(&metric->counts[bucket], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&metric->value, microseconds, memory_order_relaxed);
}

static void print_value(struct jk_buffer *text, const struct jk_metric *metric)
{
	bool labelled = metric->labels[0];
	jk_buffer_printf(text, "%s%s%s%s %" PRId64 "\n", metric->name, labelled ? "{" : "", metric->labels, labelled ? "}" : "",
		(int64_t)metric->value);
}

static void print_histogram(struct jk_buffer *text, const struct jk_metric *metric)
{
	const char *name = metric->name, *labels = metric->labels;
	bool labelled = labels[0];
	const char *open = labelled ? "{" : "", *close = labelled ? "}" : "";
	uint64_t count = 0;
	int64_t sum_us = metric->value;
	for (size_t i = 0; i <= BUCKETS; i++) {
		count += metric->counts[i];
		jk_buffer_printf(text, "%s_bucket{%s%sle=\"%s\"} %" PRIu64 "\n", name, labels, labelled ? "," : "",
			i < BUCKETS ? buckets[i].text : "+Inf", count);
	}
	jk_buffer_printf(
		text, "%s_sum%s%s%s %" PRId64 ".%06" PRId64 "\n", name, open, labels, close, sum_us / 1000000, sum_us % 1000000);
	jk_buffer_printf(text, "%s_count%s%s%s %" PRIu64 "\n", name, open, labels, close, count);
}

char *jk_metrics_text(void)
{
	static const char *const type_names[] = {"counter", "gauge", "histogram"};
	struct jk_buffer text = {0};
	const char *previous = "";
	jk_buffer_append(&text, "", 0);
	pthread_mutex_lock(&list_lock);
	for (const struct jk_metric *metric = first_metric; metric; metric = metric->next) {
		if (strcmp(metric->name, previous) != 0)
			jk_buffer_printf(&text, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
				type_names[metric->type]);
		previous = metric->name;
		if (metric->type == METRIC_HISTOGRAM)
			print_histogram(&text, metric);
		else
			print_value(&text, metric);
	}
	pthread_mutex_unlock(&list_lock);
	if (text.failed) {
		jk_buffer_done(&text);
		return NULL;
	}
	return text.data;
}
