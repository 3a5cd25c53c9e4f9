/* dispatch_retain.c: what removal by age means to those who are being served. Numbers have no gaps, so where the feed holds
 * nothing at a number, what stood there was removed while the session was on its way to it: it cannot have what it was promised,
 * and is told so rather than passed over the hole. */
#include "base/jk_log.h"
#include "dispatch_internal.h"

#include <inttypes.h>

void dispatch_retain_end_behind(
	struct dispatch *dispatch, struct jk_session *session, const struct dispatch_subscription *subscription, size_t place_no)
{
	const struct dispatch_place *place = &subscription->places[place_no];

	jk_log(JK_LOG_WARN, "removed_before_taken", "holder=%s stream=%s seq=%" PRIu64, subscription->holder.name,
		place->stream->name, place->at.seq + 1);
	jk_session_end(dispatch->sessions, session, JK_CODE_RESYNC,
		"events that were not taken yet are no longer kept; start from the beginning or from now");
}
