/* client_receipt.h: a receipt from the wire to the public struct. Not here: what follows from it. */
#pragma once

#include "client/client_link.h"

/* Most warnings and positions handed on; a receipt with more is cut to that. */
enum { CLIENT_POSITIONS_MAX = 64, CLIENT_WARNINGS_MAX = 64, CLIENT_AUDIENCE_MAX = 512 };

struct client_receipt {
	struct jukwaa_position positions[CLIENT_POSITIONS_MAX];
	struct jukwaa_warning warnings[CLIENT_WARNINGS_MAX];
	struct jukwaa_reader audience[CLIENT_AUDIENCE_MAX];
};

/* Reads a packed jukwaa.v1.Receipt into ret; texts live in the link's arena, arrays in `room`. False: not a receipt. */
bool client_receipt_read(
	struct client_link *link, const uint8_t *body, size_t size, struct client_receipt *room, struct jukwaa_receipt *ret);
