/* Settings: every source, every type, and errors that name setting, fault and source. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/jk_text.h"
#include "conf/conf.h"

struct settings {
	const char *listen, *folder, *password;
	int64_t window;
	bool strict;
	enum jk_realm realm;
};

static const struct jk_setting table[] = {
	{"test-listen", JK_CONF_TEXT, offsetof(struct settings, listen), "tcp://127.0.0.1:7101", 0, 0, false, "where to listen"},
	{"test-folder", JK_CONF_PATH, offsetof(struct settings, folder), NULL, 0, 0, false, "where things are"},
	{"test-db", JK_CONF_TEXT, offsetof(struct settings, password), "", 0, 0, true, "connection string"},
	{"test-window", JK_CONF_INT, offsetof(struct settings, window), "64", 1, 1024, false, "messages in flight"},
	{"test-strict", JK_CONF_BOOL, offsetof(struct settings, strict), "no", 0, 0, false, "refuse more"},
	{"test-realm", JK_CONF_REALM, offsetof(struct settings, realm), "LIVE", 0, 0, false, "which realm"},
};
enum { COUNT = sizeof table / sizeof *table };

static char config_path[64], secret_path[64];
static struct jk_conf *kept; /* owns the strings of the last good load */

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	(void)state;
	static const char *const names[] = {"JUKWAA_TEST_LISTEN", "JUKWAA_TEST_FOLDER", "JUKWAA_TEST_DB", "JUKWAA_TEST_DB_FILE",
		"JUKWAA_TEST_WINDOW", "JUKWAA_TEST_STRICT", "JUKWAA_TEST_REALM"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		unsetenv(names[i]);
	snprintf(config_path, sizeof config_path, "/tmp/jk-conf-test-%d", (int)getpid());
	snprintf(secret_path, sizeof secret_path, "/tmp/jk-conf-test-%d.secret", (int)getpid());
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(config_path);
	unlink(secret_path);
	jk_conf_free(&kept);
	return 0;
}

/* Loads from a file with this text (NULL: none); fails with the setting and a part of the reason where these are given. */
static struct settings load(const char *text, const char *bad_setting, const char *bad_reason)
{
	struct settings settings = {0};
	struct jk_conf *conf;
	struct jk_refusal refusal = {0};
	if (text)
		write_file(config_path, text);
	enum jk_status status = jk_conf_load(table, COUNT, text ? config_path : NULL, &settings, &conf, &refusal);
	if (!bad_setting) {
		assert_string_equal(refusal.reason, "");
		assert_int_equal(status, JK_OK);
		jk_conf_free(&kept);
		kept = conf;
		return settings;
	}
	assert_int_equal(status, JK_BROKEN);
	assert_null(conf);
	assert_string_equal(refusal.field, bad_setting);
	if (!strstr(refusal.reason, bad_reason))
		fail_msg("\"%s\" is not in \"%s\"", bad_reason, refusal.reason);
	return settings;
}

static void test_file_and_defaults(void **state)
{
	(void)state;
	struct settings settings = load("# a comment\n"
					"test-folder = /var/lib/jukwaa   # another\n"
					"test-db = \"host=/run dbname=jukwaa password=a#b\"\n"
					"test-window = 16\n"
					"test-strict = yes\n"
					"test-realm = exercise\n",
		NULL, NULL);
	assert_string_equal(settings.listen, "tcp://127.0.0.1:7101");
	assert_string_equal(settings.folder, "/var/lib/jukwaa");
	assert_string_equal(settings.password, "host=/run dbname=jukwaa password=a#b");
	assert_int_equal(settings.window, 16);
	assert_true(settings.strict);
	assert_int_equal(settings.realm, JK_REALM_EXERCISE);
}

static void test_environment_wins_over_the_file(void **state)
{
	(void)state;
	setenv("JUKWAA_TEST_WINDOW", "32", 1);
	setenv("JUKWAA_TEST_LISTEN", "", 1);
	struct settings settings = load("test-folder = /x\ntest-window = 16\n", NULL, NULL);
	assert_int_equal(settings.window, 32);
	assert_string_equal(settings.listen, ""); /* set to nothing is set */
}

static void test_the_command_line_wins_over_all(void **state)
{
	(void)state;
	struct settings settings = {0};
	struct jk_conf *conf;
	struct jk_refusal refusal = {0};
	const struct jk_conf_given given[] = {{"test-window", "7"}, {"test-folder", "/y"}, {"test-window", "8"}};
	const struct jk_conf_sources sources = {NULL, given, 3};
	setenv("JUKWAA_TEST_WINDOW", "32", 1);
	assert_int_equal(jk_conf_load_from(table, COUNT, &sources, &settings, &conf, &refusal), JK_OK);
	assert_int_equal(settings.window, 8);
	assert_string_equal(settings.folder, "/y");
	jk_conf_free(&conf);
	const struct jk_conf_given secret[] = {{"test-folder", "/y"}, {"test-db", "password=x"}};
	const struct jk_conf_sources told = {NULL, secret, 2};
	assert_int_equal(jk_conf_load_from(table, COUNT, &told, &settings, &conf, &refusal), JK_BROKEN);
	assert_string_equal(refusal.field, "test-db");
	assert_null(strstr(refusal.reason, "password"));
}

static void test_a_secret_from_its_own_file(void **state)
{
	(void)state;
	write_file(secret_path, "host=/run password=hidden\n");
	setenv("JUKWAA_TEST_DB_FILE", secret_path, 1);
	assert_string_equal(load("test-folder = /x\n", NULL, NULL).password, "host=/run password=hidden");
	setenv("JUKWAA_TEST_DB", "other", 1);
	load("test-folder = /x\n", "test-db", "both JUKWAA_TEST_DB and JUKWAA_TEST_DB_FILE");
	unsetenv("JUKWAA_TEST_DB");
	setenv("JUKWAA_TEST_DB_FILE", "/nowhere/at/all", 1);
	load("test-folder = /x\n", "test-db", "/nowhere/at/all");
}

static void test_faults_are_named_with_their_source(void **state)
{
	(void)state;
	load("", "test-folder", "JUKWAA_TEST_FOLDER");
	load("test-folder = \"\"\n", "test-folder", "must not be empty");
	load("test-folder = /x\ntest-window = 0\n", "test-window", "from 1 to 1024");
	load("test-folder = /x\ntest-window = 64k\n", "test-window", "\"64k\"");
	load("test-folder = /x\ntest-window = 64k\n", "test-window", config_path);
	load("test-folder = /x\ntest-strict = perhaps\n", "test-strict", "\"perhaps\"");
	load("test-folder = /x\ntest-realm = drill\n", "test-realm", "LIVE or EXERCISE");
	load("test-folder = /x\ntest-realm = unspecified\n", "test-realm", "LIVE or EXERCISE");
	load("test-folder = /x\ntest-foldr = /y\n", "test-foldr", "no such setting");
	load("test-folder = /x\ntest-folder = /y\n", "test-folder", "twice");
	load("test-folder = /x\n    inner = 1\n", "test-folder", "indented");
	setenv("JUKWAA_TEST_WINDOW", "-1", 1);
	load("test-folder = /x\n", "test-window", "JUKWAA_TEST_WINDOW in the environment");
	unsetenv("JUKWAA_TEST_WINDOW");
	load("test-folder ? /x\n", "config", config_path);
	unlink(config_path);
	struct settings settings;
	struct jk_conf *conf;
	struct jk_refusal refusal = {0};
	assert_int_equal(jk_conf_load(table, COUNT, config_path, &settings, &conf, &refusal), JK_BROKEN);
	assert_non_null(strstr(refusal.reason, "No such file"));
}

static void test_names_of_the_environment(void **state)
{
	(void)state;
	char name[JK_CONF_ENV_BYTES];
	jk_conf_env_name(name, "intake-listen");
	assert_string_equal(name, "JUKWAA_INTAKE_LISTEN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_file_and_defaults, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_environment_wins_over_the_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_the_command_line_wins_over_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_secret_from_its_own_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_faults_are_named_with_their_source, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_names_of_the_environment, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
