/* notify_sign.h: Standard Webhooks signatures: HMAC-SHA-256 over "id.timestamp.body" with the secret of a file that holds
 * "whsec_" and base64. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"

enum { NOTIFY_SECRET_MIN_BYTES = 24, NOTIFY_SECRET_MAX_BYTES = 64 };

struct notify_secret {
	uint8_t bytes[NOTIFY_SECRET_MAX_BYTES];
	size_t size;
};

/* Reads it anew for each use: a changed secret is in force at once, and none stays in memory. False: ret_refusal says why,
 * without the path (not a regular file, readable or writable by group or others, not the form above, 24 to 64 bytes). */
bool notify_sign_read_secret(const char *path, struct notify_secret *ret_secret, struct jk_refusal *ret_refusal);
void notify_sign_wipe(struct notify_secret *secret);

enum { NOTIFY_SIGNATURE_BYTES = 3 + 44 + 1 };
/* "v1," and base64. */
void notify_sign(char ret[NOTIFY_SIGNATURE_BYTES], const struct notify_secret *secret, const char *id, int64_t timestamp_s,
	const void *body, size_t size);
