/* bus_loop.h: one thread's loop over ZeroMQ sockets, descriptors and timers, on zmq_poll. Every ready source is served once
 * a turn (czmq's zpoller starves later ones, its zloop ends at any signal). Not thread-safe. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_status.h"

struct jk_loop;

/* What a descriptor waits for; the numbers of libzmq's ZMQ_POLLIN and ZMQ_POLLOUT. */
enum { JK_LOOP_IN = 1, JK_LOOP_OUT = 2 };

typedef void jk_loop_ready(void *arg);

struct jk_loop *jk_loop_new(void);
void jk_loop_free(struct jk_loop **loop_p);

/* zmq_socket: a void * of libzmq. The callback must read until EAGAIN or a bound of its own; the loop is level-triggered. */
enum jk_status jk_loop_add_socket(struct jk_loop *loop, void *zmq_socket, jk_loop_ready *on_ready, void *arg) JK_MUST_CHECK;
/* events(arg) is asked before each turn: JK_LOOP_IN | JK_LOOP_OUT or 0 (events NULL: always JK_LOOP_IN); fd(arg) likewise, -1 for
 * "none now" (a database connection's descriptor changes with every reconnect). */
enum jk_status jk_loop_add_fd(
	struct jk_loop *loop, int (*fd)(void *arg), short (*events)(void *arg), jk_loop_ready *on_ready, void *arg) JK_MUST_CHECK;
/* Calls on_ready every interval_ms (first after one interval). */
enum jk_status jk_loop_add_timer(struct jk_loop *loop, int interval_ms, jk_loop_ready *on_ready, void *arg) JK_MUST_CHECK;
/* Called once at the end of every turn (flush queues, start batches). Returning true asks for another turn at once. */
void jk_loop_set_turn(struct jk_loop *loop, bool (*on_turn)(void *arg), void *arg);
/* Has a turn come in that many microseconds (1 to 999,999), whatever else is ready; the last wish counts. Timers are as coarse as
 * zmq_poll: a millisecond. */
void jk_loop_wake_in(struct jk_loop *loop, int us);
/* Runs until jk_loop_stop is called from a callback. */
void jk_loop_run(struct jk_loop *loop);
void jk_loop_stop(struct jk_loop *loop);
