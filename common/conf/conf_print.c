/* conf_print.c: the table of settings for people. */
#include <inttypes.h>
#include <stdio.h>

#include "base/jk_text.h"
#include "conf/conf.h"

static void print_value(const struct jk_setting *setting, const void *target)
{
	const void *place = (const char *)target + setting->offset;
	switch (setting->type) {
	case JK_CONF_TEXT:
	case JK_CONF_PATH:
		if (setting->secret)
			printf("%s", **(const char *const *)place ? "(set)" : "(not set)");
		else
			printf("\"%s\"", *(const char *const *)place);
		break;
	case JK_CONF_INT:
		printf("%" PRId64, *(const int64_t *)place);
		break;
	case JK_CONF_BOOL:
		printf("%s", *(const bool *)place ? "true" : "false");
		break;
	case JK_CONF_REALM:
		printf("%s", jk_words_name(&jk_realms, *(const enum jk_realm *)place));
		break;
	}
}

static void print_help(const struct jk_setting *setting)
{
	char env[JK_CONF_ENV_BYTES];
	jk_conf_env_name(env, setting->name);
	if (setting->secret)
		printf("  %s or %s_FILE  (not on the command line)\n", env, env);
	else
		printf("  --%s VALUE  (%s)\n", setting->name, env);
	printf("      %s", setting->help);
	if (setting->type == JK_CONF_INT)
		printf("; %" PRId64 " to %" PRId64, setting->minimum, setting->maximum);
	if (!setting->fallback)
		printf("; required\n");
	else if (setting->fallback[0])
		printf("; default %s\n", setting->fallback);
	else
		printf("\n");
}

void jk_conf_print(const struct jk_setting *table, size_t count, const void *target)
{
	for (size_t i = 0; i < count; i++) {
		if (!target) {
			print_help(&table[i]);
			continue;
		}
		printf("%s%s = ", table[i].secret ? "# " : "", table[i].name);
		print_value(&table[i], target);
		printf("\n");
	}
}
