/* bus_hint.h: the internal bus of hints: PUB/SUB over ipc:// in the services' private directory. A hint says "these streams
 * have grown"; it may be lost, the reader's polling is the guarantee. */
#pragma once

#include <stdbool.h>

#include "base/jk_refusal.h"
#include "bus/bus_context.h"

struct jk_hint_sender;
struct jk_hint_listener;

/* path: of the socket file, at most 100 bytes. */
enum jk_status jk_hint_sender_open(struct jk_bus *bus, const char *path, struct jk_hint_sender **ret) JK_MUST_CHECK;
void jk_hint_sender_close(struct jk_hint_sender **sender_p);
/* Never blocks; drops when nobody listens. */
void jk_hint_send(struct jk_hint_sender *sender);

/* paths: separated by commas or blanks (the setting hint-sockets), none for a listener that hears nothing. Connects to each; the
 * sender may come later. JK_BROKEN: ret_refusal says which path does not fit (100 bytes), or that memory is out. */
enum jk_status jk_hint_listener_open(
	struct jk_bus *bus, const char *paths, struct jk_hint_listener **ret, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
void jk_hint_listener_close(struct jk_hint_listener **listener_p);
void *jk_hint_listener_socket(struct jk_hint_listener *listener);
/* Takes all pending hints; true when there was one. */
bool jk_hint_listener_take(struct jk_hint_listener *listener);
