/* Metrics as text; also by promtool's judgement, where that is installed (Debian package prometheus). */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/metrics.h"

static void expect(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("\"%s\" is not in:\n%s", line, text);
}

static char *filled(void)
{
	struct jk_metric *stored = jk_metric_counter("jukwaa_test_reports_total", "verdict=\"STORED\"", "Reports by verdict.");
	struct jk_metric *busy = jk_metric_counter("jukwaa_test_reports_total", "verdict=\"BUSY\"", "Reports by verdict.");
	struct jk_metric *sessions = jk_metric_gauge("jukwaa_test_sessions", "", "Open sessions.");
	struct jk_metric *batch = jk_metric_histogram("jukwaa_test_batch_seconds", "", "Time of a batch.");
	struct jk_metric *split = jk_metric_histogram("jukwaa_test_step_seconds", "step=\"store\"", "Time of a step.");
	jk_metric_add(stored, 41);
	jk_metric_add(stored, 1);
	jk_metric_add(busy, 1);
	jk_metric_set(sessions, -3);
	jk_metric_set(sessions, 7);
	jk_metric_observe_us(batch, 500); /* its bucket's bound belongs to it */
	jk_metric_observe_us(batch, 501);
	jk_metric_observe_us(batch, 60000000); /* over the last */
	jk_metric_observe_us(batch, -5);       /* a clock that went back */
	jk_metric_observe_us(split, 1234567);
	return jk_metrics_text();
}

static void test_text(void **state)
{
	(void)state;
	char *text = filled();
	expect(text, "# HELP jukwaa_test_reports_total Reports by verdict.\n# TYPE jukwaa_test_reports_total counter\n"
		     "jukwaa_test_reports_total{verdict=\"STORED\"} 42\njukwaa_test_reports_total{verdict=\"BUSY\"} 1\n");
	expect(text, "# TYPE jukwaa_test_sessions gauge\njukwaa_test_sessions 7\n");
	expect(text, "jukwaa_test_batch_seconds_bucket{le=\"0.0005\"} 2\n");
	expect(text, "jukwaa_test_batch_seconds_bucket{le=\"0.001\"} 3\n");
	expect(text, "jukwaa_test_batch_seconds_bucket{le=\"30\"} 3\n");
	expect(text, "jukwaa_test_batch_seconds_bucket{le=\"+Inf\"} 4\n");
	expect(text, "jukwaa_test_batch_seconds_sum 60.001001\njukwaa_test_batch_seconds_count 4\n");
	expect(text, "jukwaa_test_step_seconds_bucket{step=\"store\",le=\"2\"} 1\n");
	expect(text, "jukwaa_test_step_seconds_sum{step=\"store\"} 1.234567\n");
	free(text);
}

static void test_the_same_metric_is_registered_once(void **state)
{
	(void)state;
	struct jk_metric *one = jk_metric_gauge("jukwaa_test_sessions", "", "Open sessions.");
	assert_ptr_equal(one, jk_metric_gauge("jukwaa_test_sessions", "", "Open sessions."));
}

static void test_promtool_has_no_complaint(void **state)
{
	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		print_message("promtool is not installed; its check is left out\n");
		skip();
	}
	char *text = filled();
	FILE *promtool = popen("promtool check metrics", "w");
	assert_non_null(promtool);
	fputs(text, promtool);
	assert_int_equal(pclose(promtool), 0);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_the_same_metric_is_registered_once),
		cmocka_unit_test(test_promtool_has_no_complaint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
