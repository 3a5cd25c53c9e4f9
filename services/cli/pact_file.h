/* pact_file.h: documents and signed acts in files: as they travel between an agency and the operator. */
#pragma once

#include "agreement/agreement.h"
#include "services/cli/cli.h"

/* The file's bytes ("-": standard input) with a NUL behind them; free() them. NULL: said. At most a megabyte is read. */
char *pact_file_read(const char *path, size_t *ret_size);
/* Writes a new file, or standard output when path is NULL. False: said. */
bool pact_file_write(const char *path, const char *text, size_t size);

/* What a text is, by the field that names it. */
enum pact_file_kind { PACT_FILE_UNKNOWN, PACT_FILE_AGREEMENT, PACT_FILE_TASK_FORCE, PACT_FILE_ACT };
enum pact_file_kind pact_file_kind(const char *text, size_t size);

/* A signed act as it travels (jukwaa.v1.SignedAct). */
struct pact_act {
	const char *statement;
	struct jk_statement parts;
	uint8_t sign_key[JK_KEY_BYTES], signature[JK_SIGNATURE_BYTES];
	const char *document; /* canonical; "": none is with it */
};
/* Checks the shape and that the signature is the key's; not whose key it is. */
bool pact_act_read(const char *text, size_t size, struct jk_arena *arena, struct pact_act *ret, struct jk_refusal *ret_refusal);
/* Appends one line of JSON, with a line feed. */
void pact_act_write(const struct pact_act *act, struct jk_buffer *buffer);
