/* admin_migrate.c: `jukwaa admin migrate`: the folder of migrations and the file of passwords. The database is in
 * admin_migrate_pg.c. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/jk_arena.h"
#include "crypt/crypt.h"
#include "services/cli/admin.h"
#include "services/cli/admin_store_pg.h"

enum { MIGRATIONS_MAX = 999, SQL_MAX_BYTES = 16 * 1024 * 1024 };

struct options {
	const char *folder, *realm, *passwords;
	bool create_database;
	int wait_s;
};

static bool read_options(struct cli_args *args, struct options *ret)
{
	const char *sql = cli_setting("JUKWAA_SQL"), *value = NULL;
	int64_t number;
	*ret = (struct options){.folder = sql ? sql : JUKWAA_SQL_FOLDER, .realm = "LIVE"};
	while (cli_args_peek(args)) {
		if (cli_args_take(args, "--sql", &value))
			ret->folder = value;
		else if (cli_args_take(args, "--passwords", &value))
			ret->passwords = value;
		else if (cli_args_take(args, "--realm", &value))
			ret->realm = value ? jk_words_name(&jk_realms, jk_words_number(&jk_realms, value)) : "?";
		else if (cli_args_take(args, "--wait", &value))
			ret->wait_s = value && jk_text_to_int64(value, 0, 3600, &number) ? (int)number : -1;
		else if (cli_args_take(args, "--create-database", NULL)) {
			ret->create_database = true;
			continue;
		} else {
			cli_usage("admin", "migrate does not take '%s'", cli_args_peek(args));
			return false;
		}
		if (!value || ret->wait_s < 0 || !strcmp(ret->realm, "?")) {
			cli_usage("admin", "migrate: an option's value is missing or wrong");
			return false;
		}
	}
	return true;
}

/* The whole file as text in the arena; NULL: said. */
static char *read_file(struct jk_arena *arena, const char *path, size_t *ret_size)
{
	FILE *file = fopen(path, "re");
	char *text = NULL;
	if (file && fseek(file, 0, SEEK_END) == 0) {
		long size = ftell(file);
		rewind(file);
		text = size >= 0 ? jk_arena_alloc(arena, (size_t)size + 1) : NULL;
		if (text && fread(text, 1, (size_t)size, file) != (size_t)size)
			text = NULL;
		*ret_size = (size_t)size;
	}
	if (file)
		fclose(file);
	if (!text)
		cli_fail(CLI_USAGE, NULL, "cannot read %s", path);
	return text;
}

static int is_migration(const struct dirent *entry)
{
	const char *name = entry->d_name;
	size_t size = strlen(name);
	return size > 8 && strspn(name, "0123456789") == 3 && name[3] == '_' && !strcmp(name + size - 4, ".sql");
}

/* Reads NNN_name.sql, numbered 001, 002, … without a gap. Returns how many; -1: said. */
static int read_folder(struct jk_arena *arena, const char *folder, struct admin_migration *ret)
{
	struct dirent **entries;
	int found = scandir(folder, &entries, is_migration, alphasort), count = 0;
	if (found <= 0) {
		cli_fail(CLI_USAGE, "name the folder deploy/sql with --sql", "there are no migrations in %s", folder);
		return -1;
	}
	for (int i = 0; i < found; i++) {
		int64_t number = 0;
		char digits[4] = {entries[i]->d_name[0], entries[i]->d_name[1], entries[i]->d_name[2], 0};
		bool in_order = jk_text_to_int64(digits, 1, MIGRATIONS_MAX, &number) && number == i + 1;
		size_t size = 0;
		const char *path = jk_arena_printf(arena, "%s/%s", folder, entries[i]->d_name);
		const char *sql = in_order && path ? read_file(arena, path, &size) : NULL;
		if (!in_order)
			cli_fail(CLI_USAGE, NULL, "%s: expected number %03d", entries[i]->d_name, i + 1);
		if (sql && count == i) {
			ret[i] = (struct admin_migration){
				(int)number, jk_arena_string(arena, entries[i]->d_name, strlen(entries[i]->d_name)), sql, {0}};
			jk_sha256(ret[i].checksum, &(struct jk_span){sql, size}, 1);
			count++;
		}
		free(entries[i]);
	}
	free(entries);
	return count == found ? count : -1;
}

/* Cuts `line` at its colons into five parts as libpq does: a backslash takes the next character as it is. */
static bool split_pgpass(char *line, char *ret_parts[5])
{
	int parts = 0;
	char *out = line;

	ret_parts[parts++] = out;
	for (const char *c = line; *c && *c != '\n' && *c != '\r'; c++) {
		if (*c == '\\' && c[1] && c[1] != '\n') {
			*out++ = *++c;
		} else if (*c == ':' && parts < 5) {
			*out++ = '\0';
			ret_parts[parts++] = out;
		} else {
			*out++ = *c;
		}
	}
	*out = '\0';
	return parts == 5;
}

static FILE *open_pgpass(const char *path)
{
	FILE *file = fopen(path, "re");
	struct stat about;

	if (!file) {
		cli_fail(CLI_USAGE, NULL, "cannot read %s", path);
		return NULL;
	}
	if (fstat(fileno(file), &about) == 0 && (about.st_mode & 077) == 0)
		return file;
	cli_fail(CLI_USAGE, "chmod 600 the file", "%s holds passwords and is open to group or others", path);
	fclose(file);
	return NULL;
}

/* Lines host:port:database:role:password of a pgpass file; those of roles jukwaa_… are set. */
static int set_passwords(struct admin_store *store, const char *path)
{
	enum { ROLE = 3, PASSWORD = 4 };
	FILE *file = open_pgpass(path);
	char *line = NULL, *parts[5];
	size_t capacity = 0;
	int status = CLI_OK, roles = 0;

	if (!file)
		return CLI_USAGE;
	while (status == CLI_OK && getline(&line, &capacity, file) > 0) {
		if (line[0] == '#' || !split_pgpass(line, parts) || strncmp(parts[ROLE], "jukwaa_", 7) != 0)
			continue;
		status = admin_store_set_password(store, parts[ROLE], parts[PASSWORD]);
		roles++;
	}
	if (status == CLI_OK && roles == 0)
		status = cli_fail(CLI_USAGE, NULL, "%s has no line for a role jukwaa_…", path);
	fclose(file);
	if (line)
		explicit_bzero(line, capacity);
	free(line);
	return status;
}

int admin_migrate(const struct cli *cli, struct cli_args *args)
{
	struct options options;
	if (!read_options(args, &options) || jk_crypt_init() != JK_OK)
		return CLI_USAGE;
	struct jk_arena *arena = jk_arena_new(SQL_MAX_BYTES);
	struct admin_migration *list = calloc(MIGRATIONS_MAX, sizeof *list);
	int count = arena && list ? read_folder(arena, options.folder, list) : -1;
	int status = count < 0 ? CLI_USAGE : CLI_OK;
	if (status == CLI_OK && options.create_database)
		status = admin_store_create_database(cli, options.wait_s);
	struct admin_store *store = status == CLI_OK ? admin_store_open(cli, options.wait_s, &status) : NULL;
	if (store)
		status = admin_store_migrate(store, cli, list, count, options.realm);
	if (store && status == CLI_OK && options.passwords)
		status = set_passwords(store, options.passwords);
	admin_store_close(&store);
	jk_arena_free(&arena);
	free(list);
	return status;
}
