/* digest.h: SHA-256, on libcrypto: four times as fast as libsodium's (it uses the processor's SHA instructions), and eleven
 * hashes go into each report. Thread-safe, never fails. Not here: keyed hashes, signatures, keys (crypt.h, which includes this).
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { JK_SHA256_BYTES = 32 };

struct jk_span {
	const void *data;
	size_t size;
};
/* SHA-256 (FIPS 180-4) over the spans in order. */
void jk_sha256(uint8_t ret[JK_SHA256_BYTES], const struct jk_span *spans, size_t count);
