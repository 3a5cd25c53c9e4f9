/* dispatch_apart.h: the protected groups of one event, as they were read for one range. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { DISPATCH_APART_GROUPS = 2 /* reporter, persons */ };

/* Borrowed. content NULL: not given, erased meanwhile, or never there; the copy then carries the digest alone. */
struct dispatch_apart {
	const uint8_t *salt[DISPATCH_APART_GROUPS], *content[DISPATCH_APART_GROUPS];
	size_t size[DISPATCH_APART_GROUPS];
};
