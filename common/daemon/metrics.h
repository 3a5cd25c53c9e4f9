/* metrics.h: counters, gauges and histograms, written as Prometheus text format 0.0.4. Registered once at start, changed from
 * any thread, read by the HTTP port. */
#pragma once

#include <stdint.h>

struct jk_metric;

/* name: "jukwaa_intake_reports_total"; labels: "verdict=\"STORED\"" or "" (borrowed for ever, like help). Metrics of one name
 * share help and type and must be registered one after the other. */
struct jk_metric *jk_metric_counter(const char *name, const char *labels, const char *help);
struct jk_metric *jk_metric_gauge(const char *name, const char *labels, const char *help);
/* Fixed buckets in seconds from 0.5 ms to 30 s. */
struct jk_metric *jk_metric_histogram(const char *name, const char *labels, const char *help);
void jk_metric_add(struct jk_metric *metric, uint64_t value);
void jk_metric_set(struct jk_metric *metric, int64_t value);
void jk_metric_observe_us(struct jk_metric *metric, int64_t microseconds);
/* All metrics as text; malloc'd, caller frees. */
char *jk_metrics_text(void);
