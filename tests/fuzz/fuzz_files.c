/* Small files of the client's side: a key file and its public half, the resume file with its token, the environment file of
 * `jukwaa --config`. First byte: which. */
#include "client/client_positions.h"
#include "client/client_resume.h"
#include "crypt/crypt.h"
#include "fuzz.h"
#include "services/cli/cli.h"
#include "services/cli/cli_config.h"

/* In place of the command line's own. */
int cli_fail(enum cli_exit status, const char *next, const char *format, ...)
{
	(void)next;
	(void)format;
	return status;
}

static void read_key(const char *path)
{
	static const struct jk_key empty;
	struct jk_key key;
	uint8_t curve[32], sign[32];
	struct jk_refusal refusal = {0};

	if (jk_key_read(path, &key, &refusal) != JK_OK)
		fuzz_must(memcmp(&key, &empty, sizeof key) == 0 && refusal.code != JK_CODE_NONE);
	jk_key_wipe(&key);
	(void)jk_key_read_public(path, curve, sign, &refusal);
}

static void read_resume(const char *path)
{
	struct client_positions positions = {0};
	struct jk_buffer token = {0};
	struct jk_refusal refusal = {0};

	if (client_resume_read(path, &token, &refusal) == JK_OK && token.data != NULL)
		(void)client_positions_parse(&positions, token.data);
	client_positions_done(&positions);
	jk_buffer_done(&token);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0 || jk_crypt_init() != JK_OK)
		return 0;
	const char *path = fuzz_file(bytes + 1, size - 1);
	switch (bytes[0] % 3) {
	case 0:
		read_key(path);
		break;
	case 1:
		read_resume(path);
		break;
	default:
		(void)cli_config_load(path);
		(void)cli_setting("JUKWAA_KEY");
		cli_config_done();
	}
	return 0;
}
