/* evidence.h: what the subcommands of `jukwaa evidence` share. */
#pragma once

#include "evidence/evidence_check.h"
#include "services/cli/cli.h"

/* The exchange's Ed25519 keys: as --public-key names them, else the one of JUKWAA_SERVER_KEY where that is a .pub file. */
enum { EVIDENCE_KEYS_MAX = 16 };
struct evidence_keys {
	uint8_t keys[EVIDENCE_KEYS_MAX][32];
	size_t count;
};
/* --public-key: a .pub or key file, or 64 hex digits. CLI_OK, or said on standard error. */
int evidence_keys_add(struct evidence_keys *keys, const char *file_or_hex);
/* Where none was given. */
int evidence_keys_default(const struct cli *cli, struct evidence_keys *keys);

/* Receipts (lines of `jukwaa --json publish`) and copies (lines of `jukwaa --json watch`): streams, numbers and chains. path "-":
 * standard input. Calls position for each of them; event_id is the report's. Returns how many, -1: said on standard error. */
typedef void evidence_receipt_position(void *arg, const struct jk_leaf *position, const struct jk_id *event_id);
int64_t evidence_receipts_read(const char *path, evidence_receipt_position *position, void *arg);

int evidence_prove(const struct cli *cli, const char *receipt, const char *out);
struct evidence_verify {
	const char *proof, *export, *heads, *receipt;
	bool database, content;
	struct evidence_keys keys;
};
int evidence_verify(const struct cli *cli, const struct evidence_verify *what);
