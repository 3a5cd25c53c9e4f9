/* crypt_key.c: key files, four lines `name = hex`. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jk_file.h"
#include "base/jk_text.h"
#include "crypt/crypt.h"

enum { FILE_MAX_BYTES = 4096 };

/* A key in hex, as it stands in the file: the four lines in order. */
struct line {
	const char *name;
	size_t size; /* of the value in bytes */
};
enum { CURVE_PUBLIC, CURVE_SECRET, SIGN_PUBLIC, SIGN_SECRET, LINES };
static const struct line lines[LINES] = {
	[CURVE_PUBLIC] = {"curve-public", 32},
	[CURVE_SECRET] = {"curve-secret", 32},
	[SIGN_PUBLIC] = {"sign-public", 32},
	[SIGN_SECRET] = {"sign-secret", 64},
};

static uint8_t *value_of(struct jk_key *key, int line)
{
	uint8_t *values[LINES] = {key->curve_public, key->curve_secret, key->sign_public, key->sign_secret};
	return values[line];
}

static enum jk_status fail(struct jk_refusal *ret_reason, enum jk_code code, const char *path, const char *what, int error)
{
	if (error)
		(void)jk_refuse(ret_reason, code, NULL, "%s: %s: %s", path, what, strerror(error));
	else
		(void)jk_refuse(ret_reason, code, NULL, "%s: %s", path, what);
	return JK_BROKEN;
}

static enum jk_status fail_errno(struct jk_refusal *ret_reason, const char *path, const char *what)
{
	return fail(ret_reason, errno == ENOENT ? JK_CODE_NOT_FOUND : JK_CODE_UNAVAILABLE, path, what, errno);
}

/* The whole text into a new file, on disk before this returns. Half a file is not left behind. */
static enum jk_status write_new(const char *path, mode_t mode, const char *text, size_t size, struct jk_refusal *ret_reason)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0 && errno == EEXIST)
		return fail(ret_reason, JK_CODE_RULE_VIOLATION, path, "exists already and is not overwritten", 0);
	if (fd < 0)
		return fail_errno(ret_reason, path, "cannot be created");

	bool good = fchmod(fd, mode) == 0; /* whatever the umask */
	good = good && jk_write_all(fd, text, size) && fsync(fd) == 0;
	int error = errno;
	if (close(fd) != 0 && good) {
		good = false;
		error = errno;
	}
	if (good)
		return JK_OK;
	(void)unlink(path);
	return fail(ret_reason, JK_CODE_UNAVAILABLE, path, "cannot be written", error);
}

/* Makes the new names last. */
static void sync_folder(const char *path)
{
	char copy[PATH_MAX];
	if (!jk_text_copy(copy, sizeof copy, path))
		return;
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)fsync(fd);
	(void)close(fd);
}

static void put_line(char *text, size_t capacity, const struct jk_key *key, int line)
{
	char hex[2 * 64 + 1];
	struct jk_key copy = *key;
	size_t size = strlen(text);

	jk_hex_encode(hex, value_of(&copy, line), lines[line].size);
	(void)jk_text_format(text + size, capacity - size, "%s = %s\n", lines[line].name, hex);
	sodium_memzero(hex, sizeof hex);
	jk_key_wipe(&copy);
}

enum jk_status jk_key_write(const struct jk_key *key, const char *path, struct jk_refusal *ret_reason)
{
	char public_path[PATH_MAX];
	char text[1024] = "# Jukwaa key: keep it to yourself. The public halves are in the file ending in .pub.\n";
	char public_text[512] = "# Public halves of a Jukwaa key, for `jukwaa admin key add`.\n";

	if (!jk_text_format(public_path, sizeof public_path, "%s.pub", path))
		return fail(ret_reason, JK_CODE_RULE_VIOLATION, path, "the path is too long", 0);
	if (access(path, F_OK) == 0)
		return fail(ret_reason, JK_CODE_RULE_VIOLATION, path, "exists already and is not overwritten", 0);
	for (int line = 0; line < LINES; line++)
		put_line(text, sizeof text, key, line);
	put_line(public_text, sizeof public_text, key, CURVE_PUBLIC);
	put_line(public_text, sizeof public_text, key, SIGN_PUBLIC);

	/* The public file first: what fails afterwards leaves nothing secret behind. */
	enum jk_status status = write_new(public_path, 0644, public_text, strlen(public_text), ret_reason);
	if (status == JK_OK) {
		status = write_new(path, 0600, text, strlen(text), ret_reason);
		if (status != JK_OK)
			(void)unlink(public_path);
	}
	sodium_memzero(text, sizeof text);
	sync_folder(path);
	return status;
}

/* The file's text with a NUL; ret_mode: its permissions. */
static enum jk_status read_file(const char *path, char text[FILE_MAX_BYTES], mode_t *ret_mode, struct jk_refusal *ret_reason)
{
	struct stat about;
	size_t size = 0;
	ssize_t got = 1;

	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return fail_errno(ret_reason, path, "cannot be opened");
	if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode)) {
		(void)close(fd);
		return fail(ret_reason, JK_CODE_RULE_VIOLATION, path, "is not a file", 0);
	}
	while (size < FILE_MAX_BYTES && got != 0) {
		got = read(fd, text + size, FILE_MAX_BYTES - size);
		if (got < 0 && errno != EINTR)
			break;
		size += got > 0 ? (size_t)got : 0;
	}
	int error = errno;
	(void)close(fd);
	if (got < 0)
		return fail(ret_reason, JK_CODE_UNAVAILABLE, path, "cannot be read", error);
	if (size >= FILE_MAX_BYTES || memchr(text, 0, size))
		return fail(ret_reason, JK_CODE_NOT_WELL_FORMED, path, "is not a key file", 0);
	text[size] = '\0';
	*ret_mode = about.st_mode;
	return JK_OK;
}

static char *trim(char *text)
{
	text += strspn(text, " \t\r");
	size_t size = strlen(text);
	while (size > 0 && strchr(" \t\r", text[size - 1]))
		size--;
	text[size] = '\0';
	return text;
}

/* One line into key; false when it is no comment and no `name = hex`, or the name came before. */
static bool parse_line(char *text, struct jk_key *key, unsigned *have)
{
	text = trim(text);
	if (!*text || *text == '#')
		return true;
	char *value = strchr(text, '=');
	if (!value)
		return false;
	*value++ = '\0';
	text = trim(text);
	value = trim(value);
	for (int line = 0; line < LINES; line++) {
		if (strcmp(text, lines[line].name) != 0)
			continue;
		if (*have & 1u << line || !jk_hex_decode(value_of(key, line), lines[line].size, value))
			return false;
		*have |= 1u << line;
		return true;
	}
	return false;
}

/* text is changed. ret_have: a bit for each line found. */
static enum jk_status parse(char *text, const char *path, struct jk_key *ret, unsigned *ret_have, struct jk_refusal *ret_reason)
{
	int number = 1;

	memset(ret, 0, sizeof *ret);
	*ret_have = 0;
	for (char *next; text; text = next, number++) {
		next = strchr(text, '\n');
		if (next)
			*next++ = '\0';
		if (!parse_line(text, ret, ret_have)) {
			(void)jk_refuse(
				ret_reason, JK_CODE_NOT_WELL_FORMED, NULL, "%s: line %d is not one of a key file", path, number);
			return JK_BROKEN;
		}
	}
	return JK_OK;
}

static bool pairs_belong(const struct jk_key *key)
{
	uint8_t curve_public[32], sign_public[32], sign_secret[64];

	bool good = crypto_scalarmult_base(curve_public, key->curve_secret) == 0 &&
		    jk_bytes_equal(curve_public, key->curve_public, sizeof curve_public);
	/* The first half of an Ed25519 secret key is the seed of the pair. */
	good = good && crypto_sign_seed_keypair(sign_public, sign_secret, key->sign_secret) == 0 &&
	       jk_bytes_equal(sign_public, key->sign_public, sizeof sign_public) &&
	       jk_bytes_equal(sign_secret, key->sign_secret, sizeof sign_secret);
	sodium_memzero(sign_secret, sizeof sign_secret);
	return good;
}

enum jk_status jk_key_read(const char *path, struct jk_key *ret, struct jk_refusal *ret_reason)
{
	char text[FILE_MAX_BYTES];
	unsigned have;
	mode_t mode;

	jk_key_wipe(ret);
	enum jk_status status = read_file(path, text, &mode, ret_reason);
	if (status != JK_OK)
		return status;
	status = parse(text, path, ret, &have, ret_reason);
	sodium_memzero(text, sizeof text);
	if (status == JK_OK && have == (1u << CURVE_PUBLIC | 1u << SIGN_PUBLIC))
		status = fail(
			ret_reason, JK_CODE_NOT_WELL_FORMED, path, "holds the public halves only; name the key file itself", 0);
	else if (status == JK_OK && have != (1u << LINES) - 1)
		status = fail(ret_reason, JK_CODE_NOT_WELL_FORMED, path, "is not a whole key file", 0);
	else if (status == JK_OK && mode & 077)
		status = fail(ret_reason, JK_CODE_RULE_VIOLATION, path, "is open to group or others; chmod 600 it", 0);
	else if (status == JK_OK && !pairs_belong(ret))
		status =
			fail(ret_reason, JK_CODE_NOT_WELL_FORMED, path, "its public and secret halves do not belong together", 0);
	if (status != JK_OK)
		jk_key_wipe(ret);
	return status;
}

enum jk_status jk_key_read_public(const char *path, uint8_t ret_curve[32], uint8_t ret_sign[32], struct jk_refusal *ret_reason)
{
	const unsigned needed = 1u << CURVE_PUBLIC | 1u << SIGN_PUBLIC;
	char text[FILE_MAX_BYTES];
	struct jk_key key;
	unsigned have;
	mode_t mode;

	enum jk_status status = read_file(path, text, &mode, ret_reason);
	if (status != JK_OK)
		return status;
	status = parse(text, path, &key, &have, ret_reason);
	sodium_memzero(text, sizeof text);
	if (status == JK_OK && (have & needed) != needed)
		status = fail(ret_reason, JK_CODE_NOT_WELL_FORMED, path, "holds no public key", 0);
	if (status == JK_OK) {
		memcpy(ret_curve, key.curve_public, 32);
		memcpy(ret_sign, key.sign_public, 32);
	}
	jk_key_wipe(&key);
	return status;
}
