#include "dispatch_flight.h"

#include <assert.h>
#include <stdlib.h>

enum { SESSIONS_PART = 8 };

struct dispatch_share *dispatch_flight_share(struct dispatch_flight *flight, int32_t agency_id)
{
	struct dispatch_share *share = flight->shares;

	while (share != NULL && share->agency_id != agency_id)
		share = share->next;
	if (share != NULL)
		return share;
	share = calloc(1, sizeof *share);
	if (share == NULL)
		return NULL;
	share->agency_id = agency_id;
	share->next = flight->shares;
	flight->shares = share;
	return share;
}

bool dispatch_flight_has_room(const struct dispatch_flight *flight, const struct dispatch_share *share, size_t session_bytes)
{
	size_t others = flight->bytes - share->bytes;
	size_t limit = others < DISPATCH_FLIGHT_MAX_BYTES ? (DISPATCH_FLIGHT_MAX_BYTES - others) / 4 * 3 : 0;

	if (share->bytes == 0)
		return true;
	return share->bytes < limit && session_bytes <= (limit - share->bytes) / SESSIONS_PART;
}

void dispatch_flight_add(struct dispatch_flight *flight, struct dispatch_share *share, size_t bytes)
{
	flight->bytes += bytes;
	share->bytes += bytes;
}

void dispatch_flight_take(struct dispatch_flight *flight, struct dispatch_share *share, size_t bytes)
{
	assert(share->bytes >= bytes && flight->bytes >= bytes);
	flight->bytes -= bytes;
	share->bytes -= bytes;
}

void dispatch_flight_done(struct dispatch_flight *flight)
{
	while (flight->shares != NULL) {
		struct dispatch_share *share = flight->shares;

		flight->shares = share->next;
		free(share);
	}
}
