/* Hints: taken together, lost without harm, and a listener may be there first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "bus/bus_hint.h"
#include "bus/bus_internal.h"

static bool wait_for_hint(struct jk_hint_sender *sender, struct jk_hint_listener *listener)
{
	int64_t until_ms = jk_time_mono_ms() + 3000;
	while (jk_time_mono_ms() < until_ms) {
		jk_hint_send(sender);
		zmq_pollitem_t item = {jk_hint_listener_socket(listener), 0, ZMQ_POLLIN, 0};
		if (zmq_poll(&item, 1, 20) > 0)
			return jk_hint_listener_take(listener);
	}
	return false;
}

static void test_hints_arrive_also_after_a_restart_of_the_sender(void **state)
{
	(void)state;
	char folder[] = "/tmp/jk-hint-XXXXXX", path[64], other[64];
	struct jk_bus *bus;
	struct jk_hint_sender *sender;
	struct jk_hint_listener *listener;
	struct jk_refusal refusal;
	assert_non_null(mkdtemp(folder));
	jk_text_format(path, sizeof path, "%s/a", folder);
	jk_text_format(other, sizeof other, "%s/b", folder);
	char paths[160];
	jk_text_format(paths, sizeof paths, "%s, %s", path, other); /* the other never comes */
	assert_int_equal(jk_bus_open(1, NULL, NULL, &bus), JK_OK);
	assert_int_equal(jk_hint_listener_open(bus, paths, &listener, &refusal), JK_OK);
	assert_false(jk_hint_listener_take(listener));
	for (int round = 0; round < 2; round++) {
		assert_int_equal(jk_hint_sender_open(bus, path, &sender), JK_OK);
		assert_true(wait_for_hint(sender, listener));
		for (int i = 0; i < 5000; i++)
			jk_hint_send(sender);
		zmq_poll(NULL, 0, 50);
		while (jk_hint_listener_take(listener))
			zmq_poll(NULL, 0, 10);
		jk_hint_sender_close(&sender);
		assert_null(sender);
	}
	jk_hint_listener_close(&listener);
	jk_bus_close(&bus);
	unlink(path);
	rmdir(folder);
}

static void test_a_path_too_long_for_a_socket_is_refused(void **state)
{
	(void)state;
	char path[160];
	struct jk_bus *bus;
	struct jk_hint_sender *sender;
	memset(path, 'x', sizeof path - 1);
	path[0] = '/';
	path[sizeof path - 1] = '\0';
	assert_int_equal(jk_bus_open(1, NULL, NULL, &bus), JK_OK);
	assert_int_equal(jk_hint_sender_open(bus, path, &sender), JK_BROKEN);
	assert_null(sender);
	jk_bus_close(&bus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hints_arrive_also_after_a_restart_of_the_sender),
		cmocka_unit_test(test_a_path_too_long_for_a_socket_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
