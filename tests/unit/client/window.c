/* The publisher's window: places, order, what becomes due when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "client/client_window.h"

static struct client_report *add(struct client_window *window, const char *payload)
{
	bool no_memory;

	return client_window_add(window, payload, strlen(payload), "label", &no_memory);
}

static void holds_no_more_than_its_size(void **state)
{
	struct client_window window;
	bool no_memory = true;

	(void)state;
	client_window_init(&window, 2);
	assert_non_null(add(&window, "a"));
	assert_non_null(add(&window, "b"));
	assert_null(client_window_add(&window, "c", 1, "", &no_memory));
	assert_false(no_memory);
	client_window_done(&window);
}

static void keeps_copies(void **state)
{
	struct client_window window;
	char payload[] = "payload";
	struct client_report *report;

	(void)state;
	client_window_init(&window, 1);
	report = add(&window, payload);
	payload[0] = 'X';
	assert_int_equal(report->payload_size, 7);
	assert_memory_equal(report->bytes, "payload", 7);
	assert_string_equal(client_report_label(report), "label");
	client_window_done(&window);
}

static void a_receipt_finds_its_report_once(void **state)
{
	struct client_window window;
	uint64_t first;

	(void)state;
	client_window_init(&window, 1);
	first = add(&window, "a")->request;
	assert_non_null(client_window_find(&window, first));
	assert_null(client_window_find(&window, first + 256));
	client_window_remove(&window, client_window_find(&window, first));
	assert_null(client_window_find(&window, first));
	/* The place is taken again: the late answer to the first does not touch the second. */
	assert_int_not_equal(add(&window, "b")->request, first);
	assert_null(client_window_find(&window, first));
	client_window_done(&window);
}

static void sends_in_the_order_given(void **state)
{
	struct client_window window;
	struct client_report *a, *b, *c;

	(void)state;
	client_window_init(&window, 3);
	a = add(&window, "a");
	b = add(&window, "b");
	client_window_remove(&window, a);
	c = add(&window, "c"); /* in the place of a */
	assert_ptr_equal(client_window_next_unsent(&window), b);
	client_window_sent(&window, b, 100);
	assert_ptr_equal(client_window_next_unsent(&window), c);
	client_window_sent(&window, c, 100);
	assert_null(client_window_next_unsent(&window));
	client_window_done(&window);
}

static void silence_makes_unsent_when_due_and_not_before(void **state)
{
	struct client_window window;
	struct client_report *early, *late;

	(void)state;
	client_window_init(&window, 2);
	early = add(&window, "a");
	late = add(&window, "b");
	client_window_sent(&window, early, 100);
	client_window_sent(&window, late, 200);
	assert_int_equal(client_window_wake(&window, 99, false), 0);
	assert_int_equal(client_window_wake(&window, 100, false), 1);
	assert_int_equal(early->state, REPORT_UNSENT);
	assert_true(early->retried);
	assert_int_equal(early->silent_tries, 1);
	assert_int_equal(late->state, REPORT_FLYING);
	assert_false(late->retried);
	assert_int_equal(window.next_due_ms, 200);
	assert_int_equal(client_window_wake(&window, 200, false), 1);
	assert_int_equal(window.unsent, 2);
	client_window_done(&window);
}

static void busy_is_held_back(void **state)
{
	struct client_window window;
	struct client_report *report;

	(void)state;
	client_window_init(&window, 1);
	report = add(&window, "a");
	client_window_sent(&window, report, 2000);
	client_window_hold(&window, report, 50);
	assert_int_equal(window.flying, 0);
	assert_null(client_window_next_unsent(&window));
	assert_int_equal(client_window_wake(&window, 49, false), 0);
	assert_int_equal(report->state, REPORT_HELD);
	/* No silence: the service did answer. */
	assert_int_equal(client_window_wake(&window, 50, false), 0);
	assert_int_equal(report->state, REPORT_UNSENT);
	assert_int_equal(report->silent_tries, 0);
	assert_true(report->retried);
	client_window_done(&window);
}

static void a_new_session_repeats_everything_open(void **state)
{
	struct client_window window;

	(void)state;
	client_window_init(&window, 3);
	client_window_sent(&window, add(&window, "a"), 5000);
	client_window_sent(&window, add(&window, "b"), 5000);
	client_window_hold(&window, &window.reports[0], 9000);
	add(&window, "c");
	assert_int_equal(client_window_wake(&window, 1, true), 1);
	assert_int_equal(window.unsent, 3);
	assert_int_equal(window.flying + window.held, 0);
	client_window_done(&window);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(holds_no_more_than_its_size),
		cmocka_unit_test(keeps_copies),
		cmocka_unit_test(a_receipt_finds_its_report_once),
		cmocka_unit_test(sends_in_the_order_given),
		cmocka_unit_test(silence_makes_unsent_when_due_and_not_before),
		cmocka_unit_test(busy_is_held_back),
		cmocka_unit_test(a_new_session_repeats_everything_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
