/* admin_secret.c: the signing secret of a webhook rule. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypt/crypt.h"
#include "services/cli/admin.h"

/* Standard Webhooks: "whsec_" and base64 of 24 to 64 random bytes. */
enum { SECRET_BYTES = 24 };

static void make_secret(char ret[64])
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	uint8_t bytes[SECRET_BYTES];
	jk_random(bytes, sizeof bytes);
	size_t out = (size_t)snprintf(ret, 64, "whsec_");
	for (size_t i = 0; i < sizeof bytes; i += 3) {
		unsigned bits = (unsigned)bytes[i] << 16 | (unsigned)bytes[i + 1] << 8 | bytes[i + 2];
		for (int shift = 18; shift >= 0; shift -= 6)
			ret[out++] = alphabet[bits >> shift & 63];
	}
	ret[out++] = '\n';
	ret[out] = '\0';
	explicit_bzero(bytes, sizeof bytes);
}

/* The file is there already: it must be a secret, and nobody else's business. */
static int check_secret(const char *path)
{
	char start[7] = "";
	struct stat about;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (file < 0)
		return cli_fail(CLI_USAGE, NULL, "cannot read %s: %s", path, strerror(errno));
	bool good = fstat(file, &about) == 0 && S_ISREG(about.st_mode) && read(file, start, 6) == 6;
	close(file);
	if (good && (about.st_mode & 077) != 0)
		return cli_fail(CLI_USAGE, "chmod 600 the file", "%s is open to group or others", path);
	if (!good || strcmp(start, "whsec_") != 0)
		return cli_fail(CLI_USAGE, "name a file that is not there: it is made", "%s holds no whsec_ secret", path);
	return CLI_OK;
}

int admin_secret_file(const char *path)
{
	if (path[0] != '/')
		return cli_fail(
			CLI_USAGE, NULL, "%s: give the whole path: the notify service reads the file, from another folder", path);
	int file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (file < 0 && errno == EEXIST)
		return check_secret(path);
	if (file < 0)
		return cli_fail(CLI_USAGE, NULL, "cannot make %s: %s", path, strerror(errno));
	char secret[64];
	make_secret(secret);
	ssize_t size = (ssize_t)strlen(secret);
	bool good = write(file, secret, (size_t)size) == size && fsync(file) == 0;
	good = close(file) == 0 && good;
	explicit_bzero(secret, sizeof secret);
	if (good)
		return CLI_OK;
	unlink(path);
	return cli_fail(CLI_USAGE, NULL, "cannot write %s", path);
}
