/* A service's configuration file, with settings of every type. */
#include "conf/conf.h"
#include "fuzz.h"

struct settings {
	const char *listen, *file, *database;
	int64_t count;
	bool on;
	enum jk_realm realm;
};

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct jk_setting table[] = {
		{"listen", JK_CONF_TEXT, offsetof(struct settings, listen), "tcp://127.0.0.1:7101", 0, 0, false, ""},
		{"key-file", JK_CONF_PATH, offsetof(struct settings, file), "", 0, 0, false, ""},
		{"database", JK_CONF_TEXT, offsetof(struct settings, database), "", 0, 0, true, ""},
		{"cache-mib", JK_CONF_INT, offsetof(struct settings, count), "16", 1, 1024, false, ""},
		{"allow", JK_CONF_BOOL, offsetof(struct settings, on), "false", 0, 0, false, ""},
		{"realm", JK_CONF_REALM, offsetof(struct settings, realm), "LIVE", 0, 0, false, ""},
	};
	struct settings settings = {0};
	struct jk_conf *conf = NULL;
	struct jk_refusal refusal = {0};

	if (jk_conf_load(table, sizeof table / sizeof *table, fuzz_file(bytes, size), &settings, &conf, &refusal) == JK_OK)
		fuzz_must(settings.listen != NULL && settings.count >= 1 && settings.count <= 1024);
	else
		fuzz_must(refusal.code != JK_CODE_NONE);
	jk_conf_free(&conf);
	return 0;
}
