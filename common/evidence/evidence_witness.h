/* evidence_witness.h: files of signed heads, one JSON object a line: what dispatch publishes (`head-file`) and what a desk keeps
 * of its beats (`jukwaa watch --heads`). Kept by somebody else than the exchange, such a file holds it to its history. Lines are
 * only added; whoever owns the file may move it away at any time. */
#pragma once

#include "base/jk_status.h"
#include "evidence/evidence_head.h"

/* {"head_no":7,"signed_at_us":1764190684123456,"signed_at":"2026-…Z","root":"…","public_key":"…","signature":"…"} and a newline;
 * hexadecimal; head_no is left out when 0. */
void jk_witness_write(struct jk_buffer *line, const struct jk_signed_head *head);
/* Adds the head's line to the file (made with 0644 when it is not there) and waits for the disk. After a line that a crash has
 * cut it begins a new one. */
enum jk_status jk_witness_append(
	const char *path, const struct jk_signed_head *head, struct jk_refusal *ret_reason) JK_MUST_CHECK;

/* One line without its newline; false: not a head. Signatures are not looked at. */
bool jk_witness_parse(const char *line, size_t size, struct jk_signed_head *ret);
/* All heads of a file in order; *ret_bad counts lines that are none (blank ones aside). JK_BROKEN: it cannot be read. */
typedef void jk_witness_head(void *arg, const struct jk_signed_head *head);
enum jk_status jk_witness_read(
	const char *path, jk_witness_head *head, void *arg, size_t *ret_bad, struct jk_refusal *ret_reason) JK_MUST_CHECK;
