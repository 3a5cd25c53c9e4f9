/* client_positions.h: sealed positions, the newest of each stream, and the resume token made of them: base64url of a packed
 * jukwaa.v1.Subscribe that holds nothing but positions. The seals are dispatch's; here they are bytes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_text.h"
#include "jukwaa/v1/dispatch.pb-c.h"

enum { CLIENT_STREAM_BYTES = 40, CLIENT_SEAL_MAX_BYTES = 256, CLIENT_STREAMS_MAX = 256 };

struct client_position {
	char stream[CLIENT_STREAM_BYTES];
	uint8_t seal[CLIENT_SEAL_MAX_BYTES];
	uint16_t seal_size;
};

struct client_positions {
	struct client_position *items;
	size_t count, capacity;
};

void client_positions_done(struct client_positions *positions);
/* False: a stream name or seal that is empty or too long. */
bool client_position_read(const Jukwaa__V1__SealedPosition *wire, struct client_position *ret);
/* Replaces the stream's position, or adds it. False: too many streams, or no memory. */
bool client_positions_set(struct client_positions *positions, const struct client_position *position);
bool client_positions_copy(struct client_positions *to, const struct client_positions *from);

/* Appends the token to `ret`, which is emptied first. False: no memory. */
bool client_positions_token(const struct client_positions *positions, struct jk_buffer *ret);
/* False: not a token. */
bool client_positions_parse(struct client_positions *ret, const char *token);

/* Fills subscribe->positions with borrowed entries kept in `room`, which it allocates; client_wire_positions_done() frees it,
 * also after false: no memory. */
struct client_wire_positions {
	Jukwaa__V1__SealedPosition *items, **pointers;
};
bool client_positions_write(
	const struct client_positions *positions, struct client_wire_positions *room, Jukwaa__V1__Subscribe *subscribe);
void client_wire_positions_done(struct client_wire_positions *room);
