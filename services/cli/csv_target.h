/* csv_target.h: a field of jukwaa.v1.Incident named by its path ("times.onset_us"), and setting it from text. Paths are those of
 * the JSON form; what comes of them is read off the message's descriptor, so that a new field needs no line here. */
#pragma once

#include <protobuf-c/protobuf-c.h>

#include "base/jk_arena.h"
#include "base/jk_refusal.h"
#include "jukwaa/v1/incident.pb-c.h"

enum { CSV_TARGET_LEVELS = 4 };

struct csv_target {
	const ProtobufCFieldDescriptor *levels[CSV_TARGET_LEVELS]; /* from the incident's group down to the field */
	size_t count;
	char key[96];    /* of classification.parameters[KEY], …; "" for others */
	int scheme;      /* of place.codes[SCHEME]; 0 for others */
	bool is_list;    /* each value adds one; else the first value stays */
	bool is_time;    /* microseconds: a field *_us */
	bool is_integer; /* may be made of a time, then in milliseconds: identity.revision */
};

/* false: there is no such field, or it cannot be set from a cell; ret_reason says which. */
bool csv_target_find(const char *path, struct csv_target *ret, const char **ret_reason);

/* text: not empty. time_us: for is_time. Returns NULL, or what is wrong with the text. Arena memory. */
const char *csv_target_set(const struct csv_target *target, Jukwaa__V1__Incident *incident, const char *text, int64_t time_us,
	struct jk_arena *arena);
