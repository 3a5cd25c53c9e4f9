/* pact_file.c: reading is bounded, writing never replaces a file. */
#include "services/cli/pact_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "jukwaa/v1/agreement.pb-c.h"
#include "services/cli/json_slice.h"
#include "json/json_map.h"

enum { FILE_MAX_BYTES = 1024 * 1024 };

char *pact_file_read(const char *path, size_t *ret_size)
{
	bool standard = strcmp(path, "-") == 0;
	FILE *file = standard ? stdin : fopen(path, "re");
	char *text = file ? malloc(FILE_MAX_BYTES + 1) : NULL;

	if (!file)
		cli_fail(CLI_USAGE, NULL, "cannot read %s: %s", path, strerror(errno));
	if (!text) {
		if (file && !standard)
			(void)fclose(file);
		return NULL;
	}
	*ret_size = fread(text, 1, FILE_MAX_BYTES, file);
	bool good = !ferror(file), whole = *ret_size < FILE_MAX_BYTES;
	if (!standard)
		(void)fclose(file);
	text[*ret_size] = '\0';
	if (good && whole)
		return text;
	if (!good)
		cli_fail(CLI_USAGE, NULL, "cannot read %s", path);
	else
		cli_fail(CLI_REFUSED, NULL, "%s: OVERSIZE: a file has less than a megabyte", path);
	free(text);
	return NULL;
}

bool pact_file_write(const char *path, const char *text, size_t size)
{
	if (!path)
		return fwrite(text, 1, size, stdout) == size;
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (file < 0) {
		cli_fail(CLI_USAGE, NULL, "cannot make %s: %s", path, strerror(errno));
		return false;
	}
	bool good = write(file, text, size) == (ssize_t)size && fsync(file) == 0;
	good = close(file) == 0 && good;
	if (!good) {
		(void)unlink(path);
		cli_fail(CLI_USAGE, NULL, "cannot write %s", path);
	}
	return good;
}

enum pact_file_kind pact_file_kind(const char *text, size_t size)
{
	const struct json_slice whole = json_slice_trim((struct json_slice){text, text + size});
	struct json_slice value;

	if (json_slice_find(whole, "statement", &value))
		return PACT_FILE_ACT;
	if (json_slice_find(whole, "task_force", &value))
		return PACT_FILE_TASK_FORCE;
	return json_slice_find(whole, "agreement", &value) ? PACT_FILE_AGREEMENT : PACT_FILE_UNKNOWN;
}

static bool take_bytes(
	const char *field, const ProtobufCBinaryData *bytes, uint8_t *ret, size_t size, struct jk_refusal *ret_refusal)
{
	if (bytes->len != size)
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, field, "must have %zu bytes", size);
	memcpy(ret, bytes->data, size);
	return true;
}

bool pact_act_read(const char *text, size_t size, struct jk_arena *arena, struct pact_act *ret, struct jk_refusal *ret_refusal)
{
	memset(ret, 0, sizeof *ret);
	const Jukwaa__V1__SignedAct *message =
		(const Jukwaa__V1__SignedAct *)jk_json_read(&jukwaa__v1__signed_act__descriptor, text, size, arena, ret_refusal);
	if (!message)
		return false;
	ret->statement = message->statement;
	ret->document = message->document;
	if (!jk_statement_read(ret->statement, &ret->parts, ret_refusal) ||
		!take_bytes("sign_key", &message->sign_key, ret->sign_key, sizeof ret->sign_key, ret_refusal) ||
		!take_bytes("signature", &message->signature, ret->signature, sizeof ret->signature, ret_refusal))
		return false;
	return jk_verify(ret->signature, ret->sign_key, ret->statement, strlen(ret->statement)) ||
	       jk_refuse(ret_refusal, JK_CODE_BAD_SIGNATURE, "signature", "is not that of this key over this statement");
}

/* protobuf-c's fields are not const; what they point to is only read. */
static char *unconst(const char *text)
{
	union {
		const char *in;
		char *out;
	} pointer = {.in = text};
	return pointer.out;
}

void pact_act_write(const struct pact_act *act, struct jk_buffer *buffer)
{
	Jukwaa__V1__SignedAct message = JUKWAA__V1__SIGNED_ACT__INIT;
	struct pact_act copy = *act;

	message.statement = unconst(act->statement);
	message.document = unconst(act->document);
	message.sign_key = (ProtobufCBinaryData){.len = sizeof copy.sign_key, .data = copy.sign_key};
	message.signature = (ProtobufCBinaryData){.len = sizeof copy.signature, .data = copy.signature};
	jk_json_write(&message.base, buffer);
	jk_buffer_append(buffer, "\n", 1);
}
