/* cli_key.c: `jukwaa key new|show`. */
#include <stdio.h>
#include <string.h>

#include "crypt/crypt.h"
#include "services/cli/cli.h"
#include "json/json_map.h"

static void print_public(const struct cli *cli, const char *path, const uint8_t curve[32], const uint8_t sign[32])
{
	char curve_hex[JK_KEY_HEX_BYTES], sign_hex[JK_KEY_HEX_BYTES], fingerprint[JK_FINGERPRINT_BYTES];
	jk_key_fingerprint(fingerprint, curve);
	jk_hex_encode(curve_hex, curve, JK_KEY_BYTES);
	jk_hex_encode(sign_hex, sign, JK_KEY_BYTES);
	if (cli->json) {
		struct jk_buffer file = {0};
		jk_json_quote(&file, path);
		printf("{\"file\":%s,\"curve_public\":\"%s\",\"sign_public\":\"%s\",\"fingerprint\":\"%s\"}\n",
			file.failed ? "null" : file.data, curve_hex, sign_hex, fingerprint);
		jk_buffer_done(&file);
	} else {
		printf("%s\n  CURVE public    %s\n  Ed25519 public  %s\n  fingerprint     %s\n", path, curve_hex, sign_hex,
			fingerprint);
	}
}

static int key_new(const struct cli *cli, struct cli_args *args)
{
	const char *path = NULL;
	while (cli_args_peek(args))
		if (!cli_args_take(args, "--out", &path) || !path)
			return cli_usage("key", "new takes --out FILE");
	if (!path)
		return cli_usage("key", "new needs --out FILE");
	struct jk_key key;
	struct jk_refusal refusal;
	jk_key_new(&key);
	bool good = jk_key_write(&key, path, &refusal) == JK_OK;
	if (good)
		print_public(cli, path, key.curve_public, key.sign_public);
	jk_key_wipe(&key);
	if (good && !cli->json)
		printf("Keep %s secret; give %s.pub to the exchange's operator.\n", path, path);
	return good ? CLI_OK : cli_fail(CLI_REFUSED, NULL, "%s", refusal.reason);
}

static int key_show(const struct cli *cli, struct cli_args *args)
{
	const char *path = cli_args_word(args);
	uint8_t curve[JK_KEY_BYTES], sign[JK_KEY_BYTES];
	struct jk_refusal refusal;
	if (!path || cli_args_peek(args))
		return cli_usage("key", "show takes one FILE");
	if (jk_key_read_public(path, curve, sign, &refusal) != JK_OK)
		return cli_fail(CLI_REFUSED, NULL, "%s", refusal.reason);
	print_public(cli, path, curve, sign);
	return CLI_OK;
}

int cli_key(const struct cli *cli, int argc, char **argv)
{
	struct cli_args args = {argc, argv, 1, false};
	const char *word = cli_args_word(&args);
	if (!word || !strcmp(word, "--help")) {
		printf("jukwaa key new --out FILE   makes a key pair: FILE (secret, mode 0600) and FILE.pub\n"
		       "jukwaa key show FILE        prints the public halves of FILE or FILE.pub\n");
		return CLI_OK;
	}
	if (jk_crypt_init() != JK_OK)
		return cli_fail(CLI_REFUSED, NULL, "libsodium does not start");
	if (!strcmp(word, "new"))
		return key_new(cli, &args);
	if (!strcmp(word, "show"))
		return key_show(cli, &args);
	return cli_usage("key", "do not know '%s': new or show", word);
}
