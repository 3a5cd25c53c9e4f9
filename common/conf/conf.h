/* conf.h: settings from a file (ZPL, czmq's zconfig: `key = value`), overridden by the environment (JUKWAA_KEY_NAME),
 * by one table that also checks them and documents them. An unknown key in the file is an error. In ZPL a '#' begins a comment
 * wherever it stands: a value that holds one is put in "quotes". */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_refusal.h"

enum jk_conf_type {
	JK_CONF_TEXT,
	JK_CONF_PATH,
	JK_CONF_INT,   /* minimum..maximum */
	JK_CONF_BOOL,  /* true false yes no 1 0 */
	JK_CONF_REALM, /* LIVE EXERCISE */
};

/* One setting. The value lands in the struct at `offset`: const char * for TEXT and PATH ("" when unset), int64_t, bool,
 * enum jk_realm. */
struct jk_setting {
	const char *name; /* "intake-listen"; the environment's name is JUKWAA_INTAKE_LISTEN */
	enum jk_conf_type type;
	size_t offset;
	const char *fallback; /* as text; NULL: required */
	int64_t minimum, maximum;
	bool secret; /* value may also come from a file named by JUKWAA_…_FILE; never printed */
	const char *help;
};

struct jk_conf; /* owns the strings */

/* Loads path (NULL: no file) and environment into `target`. JK_BROKEN: ret_refusal says which setting and why. */
enum jk_status jk_conf_load(const struct jk_setting *table, size_t count, const char *path, void *target,
	struct jk_conf **ret_conf, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
void jk_conf_free(struct jk_conf **conf_p);

/* A value from the command line, and where values come from. The command line wins over the environment, that over the file. */
struct jk_conf_given {
	const char *name, *value; /* borrowed until the load returns */
};
struct jk_conf_sources {
	const char *path; /* NULL: no file */
	const struct jk_conf_given *given;
	size_t given_count;
};
/* As jk_conf_load, with values from the command line (secrets are refused there: other users can read it). */
enum jk_status jk_conf_load_from(const struct jk_setting *table, size_t count, const struct jk_conf_sources *sources,
	void *target, struct jk_conf **ret_conf, struct jk_refusal *ret_refusal) JK_MUST_CHECK;

enum { JK_CONF_ENV_BYTES = 96 };
/* "intake-listen" -> "JUKWAA_INTAKE_LISTEN". */
void jk_conf_env_name(char ret[JK_CONF_ENV_BYTES], const char *setting_name);

/* Prints to standard output: with a target its values, in the file's own form (--check-config; secrets as "(set)"); without
 * one (NULL) what can be set and how (--help). */
void jk_conf_print(const struct jk_setting *table, size_t count, const void *target);
