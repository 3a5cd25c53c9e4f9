/* notify_desk.h: may the desk that a rule speaks for have this copy? Asks the one decision function, when an event is matched and
 * again before each attempt. */
#pragma once

#include "notify.h"
#include "registry/registry.h"

/* label: with county; the owner is looked up by its code. What a message says are the groups identity (that there is an
 * incident), classification and place: a copy that withholds one of them is no copy for a message. */
bool notify_desk_may_have(
	const struct jk_registry *registry, int32_t desk_id, const char *agency, const struct jk_label *label, int64_t now_us);
