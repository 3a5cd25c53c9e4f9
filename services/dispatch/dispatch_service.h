/* dispatch_service.h: the shell of dispatch: sessions, feed, fan-out and writing on one loop. Not here: settings, sockets'
 * opening (main.c). */
#pragma once

#include "bus/bus_hint.h"
#include "bus/bus_loop.h"
#include "bus/bus_router.h"
#include "crypt/crypt.h"
#include "daemon/daemon.h"
#include "registry/registry.h"

struct dispatch;

/* All borrowed until dispatch_close. */
struct dispatch_surroundings {
	struct jk_loop *loop;
	struct jk_router *router;
	struct jk_registry_watch *watch;
	struct jk_daemon *daemon;
	struct jk_hint_listener *hints;
	const struct jk_key *key;
	const char *conninfo;
	size_t cache_max_bytes;
	int64_t grace_s;       /* incidents closed for longer are not kept among the open ones */
	const char *head_file; /* signed heads are published here; "": nowhere */
	int64_t lag_after_s;   /* publishers are told of desks that lag for so long; 0: never */
	int64_t lag_again_s;   /* and again after so long */
};

enum jk_status dispatch_open(const struct dispatch_surroundings *surroundings, struct dispatch **ret_dispatch) JK_MUST_CHECK;
void dispatch_close(struct dispatch **dispatch_p);
/* Ends all sessions with STOPPING, saves what they acknowledged, then stops the loop. */
void dispatch_drain(void *dispatch);
/* EXIT_FAILURE when it stopped because the database is of another realm or another version; asked after the loop. */
int dispatch_exit_status(const struct dispatch *dispatch);
