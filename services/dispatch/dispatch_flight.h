/* dispatch_flight.h: bytes sent and not acknowledged, of each agency's sessions and of all. Bounded, so that whoever takes
 * nothing does not stop the others: an agency may have three quarters of what the other agencies leave, a session an eighth of
 * what its agency leaves, and an agency that has nothing on its way is always sent something. Pure: no sockets, no time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DISPATCH_FLIGHT_MAX_BYTES = 64 * 1024 * 1024 };

/* What one agency's sessions have on their way. */
struct dispatch_share {
	struct dispatch_share *next;
	int32_t agency_id;
	size_t bytes;
};

struct dispatch_flight {
	size_t bytes;
	struct dispatch_share *shares; /* one an agency that has ever subscribed */
};

/* The agency's, made on first use; lives as long as the flight. NULL without memory. */
struct dispatch_share *dispatch_flight_share(struct dispatch_flight *flight, int32_t agency_id);
/* May a session of this agency, which has so many bytes on their way itself, be sent one more message? */
bool dispatch_flight_has_room(const struct dispatch_flight *flight, const struct dispatch_share *share, size_t session_bytes);
void dispatch_flight_add(struct dispatch_flight *flight, struct dispatch_share *share, size_t bytes);
void dispatch_flight_take(struct dispatch_flight *flight, struct dispatch_share *share, size_t bytes);
void dispatch_flight_done(struct dispatch_flight *flight);
