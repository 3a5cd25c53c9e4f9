/* evidence_head.h: signed heads: one Merkle root over the newest event of every stream, signed. Dispatch makes them; whoever
 * checks evidence takes them apart. The exact bytes are listed here and, for outsiders, in README.md. Not here:
 * storing and publishing them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"
#include "base/jk_text.h"
#include "crypt/crypt.h"

/* A stream's newest event under a head: a leaf of its tree. A stream's name has at most 33 bytes. */
enum { JK_LEAF_STREAM_BYTES = 40 };
struct jk_leaf {
	char stream[JK_LEAF_STREAM_BYTES];
	uint64_t seq;
	uint8_t chain[32];
};

/* head_no: the number under which the exchange stores it; 0 where it is not known (a desk's witness). */
struct jk_signed_head {
	uint64_t head_no;
	int64_t signed_at_us;
	uint8_t root[32], public_key[32], signature[64];
};

/* Hash of a leaf, as in RFC 6962 §2.1 (SHA-256 over a zero byte and the leaf), over:
 *   length of the stream's name, 32 bits big-endian | name | seq, 64 bits big-endian | chain, 32 bytes
 * Leaves of a tree are ascending by name, byte by byte. A name that is longer than it may be is cut. */
void jk_leaf_hash(uint8_t ret[32], const char *stream, uint64_t seq, const uint8_t chain[32]);

/* Ed25519 over "jk-head-1" | root | signed_at_us, 64 bits big-endian. */
void jk_head_sign(struct jk_signed_head *head, const struct jk_key *key);
bool jk_head_is_signed(const struct jk_signed_head *head);

/* The way from a leaf to the root: what stands beside it, level by level. */
enum { JK_AUDIT_MAX = 32 };
struct jk_audit_step {
	uint8_t digest[32];
	bool left; /* it stands on the left: node = SHA-256(0x01 | digest | node), else SHA-256(0x01 | node | digest) */
};
/* Of leaf `index` of `count` leaves already hashed, which are overwritten. Returns the number of steps. */
size_t jk_audit_path(uint8_t (*leaves)[32], size_t count, size_t index, struct jk_audit_step ret_steps[JK_AUDIT_MAX]);
/* The root that a leaf's hash leads to. */
void jk_audit_root(uint8_t ret[32], const uint8_t leaf[32], const struct jk_audit_step *steps, size_t count);
