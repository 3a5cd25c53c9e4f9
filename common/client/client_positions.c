#include "client/client_positions.h"

#include <stdlib.h>
#include <string.h>

void client_positions_done(struct client_positions *positions)
{
	free(positions->items);
	*positions = (struct client_positions){0};
}

bool client_position_read(const Jukwaa__V1__SealedPosition *wire, struct client_position *ret)
{
	if (!wire || wire->stream[0] == '\0' || wire->seal.len == 0 || wire->seal.len > sizeof ret->seal)
		return false;
	if (!jk_text_copy(ret->stream, sizeof ret->stream, wire->stream))
		return false;
	memcpy(ret->seal, wire->seal.data, wire->seal.len);
	ret->seal_size = (uint16_t)wire->seal.len;
	return true;
}

bool client_positions_set(struct client_positions *positions, const struct client_position *position)
{
	for (size_t i = 0; i < positions->count; i++) {
		if (strcmp(positions->items[i].stream, position->stream) == 0) {
			positions->items[i] = *position;
			return true;
		}
	}
	if (positions->count >= CLIENT_STREAMS_MAX)
		return false;
	if (positions->count == positions->capacity) {
		size_t capacity = positions->capacity ? positions->capacity * 2 : 8;
		struct client_position *grown = realloc(positions->items, capacity * sizeof *grown);

		if (!grown)
			return false;
		positions->items = grown;
		positions->capacity = capacity;
	}
	positions->items[positions->count++] = *position;
	return true;
}

bool client_positions_copy(struct client_positions *to, const struct client_positions *from)
{
	to->count = 0;
	for (size_t i = 0; i < from->count; i++)
		if (!client_positions_set(to, &from->items[i]))
			return false;
	return true;
}

bool client_positions_write(
	const struct client_positions *positions, struct client_wire_positions *room, Jukwaa__V1__Subscribe *subscribe)
{
	*room = (struct client_wire_positions){0};
	if (positions->count == 0)
		return true;
	room->items = calloc(positions->count, sizeof *room->items);
	room->pointers = calloc(positions->count, sizeof(void *));
	if (!room->items || !room->pointers)
		return false;
	for (size_t i = 0; i < positions->count; i++) {
		jukwaa__v1__sealed_position__init(&room->items[i]);
		room->items[i].stream = positions->items[i].stream;
		room->items[i].seal.data = positions->items[i].seal;
		room->items[i].seal.len = positions->items[i].seal_size;
		room->pointers[i] = &room->items[i];
	}
	subscribe->positions = room->pointers;
	subscribe->n_positions = positions->count;
	return true;
}

void client_wire_positions_done(struct client_wire_positions *room)
{
	free(room->items);
	free(room->pointers);
	*room = (struct client_wire_positions){0};
}

bool client_positions_token(const struct client_positions *positions, struct jk_buffer *ret)
{
	Jukwaa__V1__Subscribe subscribe = JUKWAA__V1__SUBSCRIBE__INIT;
	struct client_wire_positions room = {0};
	uint8_t *packed = NULL;
	char *text = NULL;
	size_t size;

	ret->size = 0;
	if (client_positions_write(positions, &room, &subscribe)) {
		size = jukwaa__v1__subscribe__get_packed_size(&subscribe);
		packed = malloc(size + 1);
		text = malloc((size * 4 + 2) / 3 + 1);
		if (packed && text) {
			jukwaa__v1__subscribe__pack(&subscribe, packed);
			jk_buffer_append(ret, text, jk_base64url_encode(text, packed, size));
		}
	}
	free(text);
	free(packed);
	client_wire_positions_done(&room);
	return ret->size > 0 && !ret->failed;
}

bool client_positions_parse(struct client_positions *ret, const char *token)
{
	size_t capacity = strlen(token) * 3 / 4 + 3, size;
	uint8_t *packed = malloc(capacity);
	Jukwaa__V1__Subscribe *subscribe = NULL;
	bool good = false;

	ret->count = 0;
	if (packed && jk_base64url_decode(packed, capacity, &size, token) && size > 0)
		subscribe = jukwaa__v1__subscribe__unpack(NULL, size, packed);
	if (subscribe) {
		good = subscribe->n_positions > 0;
		for (size_t i = 0; i < subscribe->n_positions; i++) {
			struct client_position position;

			good = good && client_position_read(subscribe->positions[i], &position) &&
			       client_positions_set(ret, &position);
		}
		jukwaa__v1__subscribe__free_unpacked(subscribe, NULL);
	}
	free(packed);
	return good;
}
