/* The form that OpenSSL 3 calls deprecated: its context stands on the stack. The new one wants one on the heap for each thread,
 * can fail, and takes half as long again for the short texts hashed here. */
#define OPENSSL_API_COMPAT 0x10100000L
#include "digest/digest.h"

#include <openssl/sha.h>

_Static_assert(JK_SHA256_BYTES == SHA256_DIGEST_LENGTH, "SHA-256");

void jk_sha256(uint8_t ret[JK_SHA256_BYTES], const struct jk_span *spans, size_t count)
{
	SHA256_CTX state;

	(void)SHA256_Init(&state);
	for (size_t i = 0; i < count; i++)
		(void)SHA256_Update(&state, spans[i].data, spans[i].size);
	(void)SHA256_Final(ret, &state);
}
