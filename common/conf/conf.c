/* conf.c: finding each setting's value, checking it, putting it where the service wants it. */
#include <ctype.h>
#include <czmq.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "conf/conf.h"

struct jk_conf {
	char **strings; /* one a setting; NULL where none is held */
	size_t count;
};

enum { CONFIG_MAX_BYTES = 64 * 1024, SECRET_MAX_BYTES = 4096, SOURCE_BYTES = 320 };

/* One setting's value while it is looked for; source says where it comes from, for error messages. */
struct found {
	const char *value; /* NULL: nowhere */
	char source[SOURCE_BYTES];
	char secret[SECRET_MAX_BYTES]; /* read from a file */
};

void jk_conf_env_name(char ret[JK_CONF_ENV_BYTES], const char *setting_name)
{
	jk_text_format(ret, JK_CONF_ENV_BYTES, "JUKWAA_%s", setting_name);
	for (char *c = ret; *c; c++)
		*c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static const struct jk_setting *find_setting(const struct jk_setting *table, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(table[i].name, name) == 0)
			return &table[i];
	}
	return NULL;
}

/* Unknown keys, sections and repetitions: all of them are typing errors that would otherwise be ignored in silence. */
static bool check_file(
	zconfig_t *file, const char *path, const struct jk_setting *table, size_t count, struct jk_refusal *ret_refusal)
{
	for (zconfig_t *item = zconfig_child(file); item; item = zconfig_next(item)) {
		const char *name = zconfig_name(item);
		if (!find_setting(table, count, name))
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, name, "%s: there is no such setting", path);
		if (zconfig_child(item))
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, name, "%s: a setting has no indented lines", path);
		for (zconfig_t *other = zconfig_next(item); other; other = zconfig_next(other)) {
			if (strcmp(zconfig_name(other), name) == 0)
				return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, name, "%s: set twice", path);
		}
	}
	return true;
}

/* The whole file as text; false with errno. */
static bool read_file(const char *path, char *ret, size_t capacity)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	size_t size = 0;
	ssize_t got;
	while ((got = read(fd, ret + size, capacity - size)) > 0)
		size += (size_t)got;
	int error = got < 0 ? errno : EFBIG;
	close(fd);
	errno = error;
	if (got < 0 || size == capacity)
		return false;
	ret[size] = '\0';
	return true;
}

/* Not zconfig_load, which leaks its file when the text is wrong. */
static bool load_file(
	const char *path, const struct jk_setting *table, size_t count, zconfig_t **ret_file, struct jk_refusal *ret_refusal)
{
	char text[CONFIG_MAX_BYTES];
	if (!read_file(path, text, sizeof text))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "config", "cannot read %s: %s", path, strerror(errno));
	*ret_file = zconfig_str_load(text);
	explicit_bzero(text, sizeof text);
	if (!*ret_file)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "config",
			"%s does not consist of lines `name = value` (ZPL, RFC 4)", path);
	return check_file(*ret_file, path, table, count, ret_refusal);
}

/* One line, its end removed. */
static bool read_secret(const char *path, char ret[SECRET_MAX_BYTES])
{
	if (!read_file(path, ret, SECRET_MAX_BYTES))
		return false;
	size_t size = strlen(ret);
	while (size > 0 && (ret[size - 1] == '\n' || ret[size - 1] == '\r'))
		ret[--size] = '\0';
	return true;
}

static bool find_secret(const struct jk_setting *setting, struct found *ret, struct jk_refusal *ret_refusal)
{
	char env[JK_CONF_ENV_BYTES], env_file[JK_CONF_ENV_BYTES + 8];
	jk_conf_env_name(env, setting->name);
	jk_text_format(env_file, sizeof env_file, "%s_FILE", env);
	const char *path = getenv(env_file);
	if (!path || !*path)
		return true;
	if (getenv(env))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name, "both %s and %s are set", env, env_file);
	if (!read_secret(path, ret->secret))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name, "cannot read %s (named by %s): %s", path,
			env_file, strerror(errno));
	ret->value = ret->secret;
	jk_text_format(ret->source, sizeof ret->source, "%s", path);
	return true;
}

/* In order of rank: command line, environment, a secret's own file, configuration file, fallback. */
static bool find_value(const struct jk_setting *setting, const struct jk_conf_sources *sources, zconfig_t *file,
	struct found *ret, struct jk_refusal *ret_refusal)
{
	char env[JK_CONF_ENV_BYTES];
	ret->value = NULL;
	for (size_t i = 0; i < sources->given_count; i++) {
		if (strcmp(sources->given[i].name, setting->name) != 0)
			continue;
		if (setting->secret)
			return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name,
				"is a secret and does not belong on the command line, which everybody can read");
		ret->value = sources->given[i].value; /* the last one counts */
		jk_text_format(ret->source, sizeof ret->source, "--%s", setting->name);
	}
	if (ret->value)
		return true;
	if (setting->secret && !find_secret(setting, ret, ret_refusal))
		return false;
	if (ret->value)
		return true;
	jk_conf_env_name(env, setting->name);
	ret->value = getenv(env);
	jk_text_format(ret->source, sizeof ret->source, "%s in the environment", env);
	if (ret->value)
		return true;
	zconfig_t *item = file ? zconfig_locate(file, setting->name) : NULL;
	if (item) {
		ret->value = zconfig_value(item);
		jk_text_format(ret->source, sizeof ret->source, "%s", sources->path);
		return true;
	}
	ret->value = setting->fallback;
	jk_text_format(ret->source, sizeof ret->source, "the default");
	if (ret->value)
		return true;
	return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name,
		"is required: set it in the configuration file or as %s", env);
}

static bool parse_bool(const char *text, bool *ret)
{
	static const char *const words[][2] = {{"false", "true"}, {"no", "yes"}, {"0", "1"}};
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		for (int value = 0; value < 2; value++) {
			if (strcmp(text, words[i][value]) == 0) {
				*ret = value;
				return true;
			}
		}
	}
	return false;
}

static bool refuse_value(
	const struct jk_setting *setting, const struct found *found, const char *must_be, struct jk_refusal *ret_refusal)
{
	if (setting->secret)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name, "%s (%s)", must_be, found->source);
	return jk_refuse(
		ret_refusal, JK_CODE_RULE_VIOLATION, setting->name, "\"%s\" %s (%s)", found->value, must_be, found->source);
}

static bool apply_text(struct jk_conf *conf, size_t index, const struct jk_setting *setting, const struct found *found,
	const char **ret, struct jk_refusal *ret_refusal)
{
	if (!jk_text_is_utf8(found->value, strlen(found->value)))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, setting->name, "is not UTF-8 (%s)", found->source);
	if (!setting->fallback && !*found->value)
		return refuse_value(setting, found, "must not be empty", ret_refusal);
	conf->strings[index] = strdup(found->value);
	*ret = conf->strings[index];
	return *ret || jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, setting->name, "no memory");
}

static bool apply_int(const struct jk_setting *setting, const struct found *found, int64_t *ret, struct jk_refusal *ret_refusal)
{
	if (jk_text_to_int64(found->value, setting->minimum, setting->maximum, ret))
		return true;
	char must_be[96];
	jk_text_format(must_be, sizeof must_be, "must be a whole number from %lld to %lld", (long long)setting->minimum,
		(long long)setting->maximum);
	return refuse_value(setting, found, must_be, ret_refusal);
}

static bool apply_value(struct jk_conf *conf, size_t index, const struct jk_setting *setting, const struct found *found,
	void *target, struct jk_refusal *ret_refusal)
{
	void *place = (char *)target + setting->offset;
	int realm;
	switch (setting->type) {
	case JK_CONF_TEXT:
	case JK_CONF_PATH:
		return apply_text(conf, index, setting, found, place, ret_refusal);
	case JK_CONF_INT:
		return apply_int(setting, found, place, ret_refusal);
	case JK_CONF_BOOL:
		return parse_bool(found->value, place) ||
		       refuse_value(setting, found, "must be true, yes, 1, false, no or 0", ret_refusal);
	case JK_CONF_REALM:
		realm = jk_words_number(&jk_realms, found->value);
		*(enum jk_realm *)place = (enum jk_realm)realm;
		return realm > JK_REALM_NONE || refuse_value(setting, found, "must be LIVE or EXERCISE", ret_refusal);
	}
	return false;
}

enum jk_status jk_conf_load_from(const struct jk_setting *table, size_t count, const struct jk_conf_sources *sources,
	void *target, struct jk_conf **ret_conf, struct jk_refusal *ret_refusal)
{
	zconfig_t *file = NULL;
	struct found found = {0};
	struct jk_conf *conf = *ret_conf = calloc(1, sizeof *conf);
	bool good = conf && (conf->strings = calloc(count, sizeof *conf->strings));
	if (!good)
		jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "no memory");
	else
		conf->count = count;
	if (good && sources->path)
		good = load_file(sources->path, table, count, &file, ret_refusal);
	for (size_t i = 0; i < count && good; i++)
		good = find_value(&table[i], sources, file, &found, ret_refusal) &&
		       apply_value(conf, i, &table[i], &found, target, ret_refusal);
	explicit_bzero(found.secret, sizeof found.secret);
	zconfig_destroy(&file);
	if (good)
		return JK_OK;
	jk_conf_free(ret_conf);
	return JK_BROKEN;
}

enum jk_status jk_conf_load(const struct jk_setting *table, size_t count, const char *path, void *target,
	struct jk_conf **ret_conf, struct jk_refusal *ret_refusal)
{
	return jk_conf_load_from(table, count, &(struct jk_conf_sources){.path = path}, target, ret_conf, ret_refusal);
}

void jk_conf_free(struct jk_conf **conf_p)
{
	struct jk_conf *conf = *conf_p;
	if (!conf)
		return;
	*conf_p = NULL;
	for (size_t i = 0; i < conf->count; i++) {
		if (conf->strings[i])
			explicit_bzero(conf->strings[i], strlen(conf->strings[i]));
		free(conf->strings[i]);
	}
	free(conf->strings);
	free(conf);
}
