/* bus_loop.c: zmq_poll looks at ZMQ_EVENTS before it waits, which makes sockets level-triggered (ZMQ_FD alone is not). */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <zmq.h>

#include "base/jk_time.h"
#include "bus/bus_loop.h"

struct source {
	void *socket; /* NULL: a descriptor */
	int (*fd)(void *arg);
	short (*events)(void *arg); /* NULL: always JK_LOOP_IN */
	jk_loop_ready *on_ready;
	void *arg;
};

struct timer {
	int interval_ms;
	int64_t due_ms;
	jk_loop_ready *on_ready;
	void *arg;
};

enum { LOOP_SOURCES_MAX = 64, LOOP_TIMERS_MAX = 32 };

struct jk_loop {
	struct source sources[LOOP_SOURCES_MAX];
	size_t source_count;
	struct timer timers[LOOP_TIMERS_MAX];
	size_t timer_count;
	bool (*on_turn)(void *arg);
	void *turn_arg;
	int wake_fd; /* a timerfd */
	bool again, stopped;
};

static int wake_fd(void *arg)
{
	return ((struct jk_loop *)arg)->wake_fd;
}

/* The turn that it is for comes by itself. */
static void on_wake(void *arg)
{
	uint64_t expirations;
	ssize_t got = read(((struct jk_loop *)arg)->wake_fd, &expirations, sizeof expirations);

	assert(got == sizeof expirations || errno == EAGAIN);
	(void)got;
}

struct jk_loop *jk_loop_new(void)
{
	struct jk_loop *loop = calloc(1, sizeof *loop);

	if (!loop)
		return NULL;
	loop->wake_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (loop->wake_fd < 0 || jk_loop_add_fd(loop, wake_fd, NULL, on_wake, loop) != JK_OK)
		jk_loop_free(&loop);
	return loop;
}

void jk_loop_free(struct jk_loop **loop_p)
{
	if (*loop_p && (*loop_p)->wake_fd >= 0)
		close((*loop_p)->wake_fd);
	free(*loop_p);
	*loop_p = NULL;
}

static enum jk_status add_source(struct jk_loop *loop, struct source source)
{
	if (loop->source_count == LOOP_SOURCES_MAX)
		return JK_BROKEN;
	loop->sources[loop->source_count++] = source;
	return JK_OK;
}

enum jk_status jk_loop_add_socket(struct jk_loop *loop, void *zmq_socket, jk_loop_ready *on_ready, void *arg)
{
	assert(zmq_socket);
	return add_source(loop, (struct source){.socket = zmq_socket, .on_ready = on_ready, .arg = arg});
}

enum jk_status jk_loop_add_fd(
	struct jk_loop *loop, int (*fd)(void *arg), short (*events)(void *arg), jk_loop_ready *on_ready, void *arg)
{
	return add_source(loop, (struct source){.fd = fd, .events = events, .on_ready = on_ready, .arg = arg});
}

enum jk_status jk_loop_add_timer(struct jk_loop *loop, int interval_ms, jk_loop_ready *on_ready, void *arg)
{
	assert(interval_ms > 0);
	if (loop->timer_count == LOOP_TIMERS_MAX)
		return JK_BROKEN;
	loop->timers[loop->timer_count++] = (struct timer){
		.interval_ms = interval_ms, .due_ms = jk_time_mono_ms() + interval_ms, .on_ready = on_ready, .arg = arg};
	return JK_OK;
}

void jk_loop_set_turn(struct jk_loop *loop, bool (*on_turn)(void *arg), void *arg)
{
	loop->on_turn = on_turn;
	loop->turn_arg = arg;
}

void jk_loop_wake_in(struct jk_loop *loop, int us)
{
	const struct itimerspec at = {.it_value.tv_nsec = us * 1000L};

	assert(us > 0 && us < 1000000);
	(void)timerfd_settime(loop->wake_fd, 0, &at, NULL); /* refuses nothing but such numbers */
}

/* Fills items with what can become ready; owners[i] is the source of items[i]. */
static int collect(struct jk_loop *loop, zmq_pollitem_t *items, struct source **owners)
{
	int count = 0;
	for (size_t i = 0; i < loop->source_count; i++) {
		struct source *source = &loop->sources[i];
		zmq_pollitem_t item = {.socket = source->socket, .fd = -1, .events = ZMQ_POLLIN};
		if (!source->socket) {
			item.fd = source->fd(source->arg);
			item.events = source->events ? source->events(source->arg) : JK_LOOP_IN;
			if (item.fd < 0 || item.events == 0)
				continue;
		}
		owners[count] = source;
		items[count++] = item;
	}
	return count;
}

static long wait_ms(const struct jk_loop *loop)
{
	if (loop->again)
		return 0;
	int64_t now_ms = jk_time_mono_ms();
	int64_t least_ms = -1;
	for (size_t i = 0; i < loop->timer_count; i++) {
		int64_t left_ms = loop->timers[i].due_ms - now_ms;
		if (left_ms < 0)
			left_ms = 0;
		if (least_ms < 0 || left_ms < least_ms)
			least_ms = left_ms;
	}
	return (long)least_ms;
}

static void serve_timers(struct jk_loop *loop)
{
	int64_t now_ms = jk_time_mono_ms();
	for (size_t i = 0; i < loop->timer_count; i++) {
		struct timer *timer = &loop->timers[i];
		if (timer->due_ms > now_ms)
			continue;
		timer->due_ms = now_ms + timer->interval_ms; /* a late timer does not catch up */
		timer->on_ready(timer->arg);
	}
}

void jk_loop_run(struct jk_loop *loop)
{
	zmq_pollitem_t items[LOOP_SOURCES_MAX];
	struct source *owners[LOOP_SOURCES_MAX];
	loop->stopped = false;
	while (!loop->stopped) {
		int count = collect(loop, items, owners);
		int ready = zmq_poll(items, count, wait_ms(loop));
		if (ready < 0 && errno != EINTR)
			return; /* the context is gone */
		for (int i = 0; i < count && ready > 0; i++) {
			if (items[i].revents)
				owners[i]->on_ready(owners[i]->arg);
		}
		serve_timers(loop);
		loop->again = loop->on_turn && loop->on_turn(loop->turn_arg);
	}
}

void jk_loop_stop(struct jk_loop *loop)
{
	loop->stopped = true;
}
