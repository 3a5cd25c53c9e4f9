#include "notify_sign.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "crypt/crypt.h"

static const char prefix[] = "whsec_";
enum { FILE_MAX_BYTES = 256 };

/* RFC 4648 §4 to §5: the same digits but two, and no padding. */
static void fold_base64(char *text)
{
	for (char *at = text; *at; at++) {
		if (*at == '+')
			*at = '-';
		else if (*at == '/')
			*at = '_';
	}
	size_t size = strlen(text);
	while (size > 0 && text[size - 1] == '=')
		text[--size] = '\0';
}

static bool read_text(int fd, char ret[FILE_MAX_BYTES], struct jk_refusal *ret_refusal)
{
	struct stat about;
	if (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "secret_file", "the secret file is not a regular file");
	if (about.st_mode & (S_IRWXG | S_IRWXO))
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "secret_file",
			"the secret file is open to others than its owner (mode 0600 is asked for)");
	ssize_t size = read(fd, ret, FILE_MAX_BYTES - 1);
	if (size < 0 || size == FILE_MAX_BYTES - 1)
		return jk_refuse(
			ret_refusal, JK_CODE_NOT_WELL_FORMED, "secret_file", "the secret file is too long or unreadable");
	ret[size] = '\0';
	ret[strcspn(ret, "\r\n")] = '\0';
	return true;
}

static bool decode(char *text, struct notify_secret *ret_secret, struct jk_refusal *ret_refusal)
{
	if (strncmp(text, prefix, sizeof prefix - 1) != 0)
		return jk_refuse(
			ret_refusal, JK_CODE_NOT_WELL_FORMED, "secret_file", "the secret does not start with %s", prefix);
	fold_base64(text);
	if (!jk_base64url_decode(ret_secret->bytes, sizeof ret_secret->bytes, &ret_secret->size, text + sizeof prefix - 1))
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "secret_file",
			"the secret is not base64 of at most %d bytes", NOTIFY_SECRET_MAX_BYTES);
	if (ret_secret->size < NOTIFY_SECRET_MIN_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "secret_file", "the secret is shorter than %d bytes",
			NOTIFY_SECRET_MIN_BYTES);
	return true;
}

bool notify_sign_read_secret(const char *path, struct notify_secret *ret_secret, struct jk_refusal *ret_refusal)
{
	char text[FILE_MAX_BYTES] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return jk_refuse(ret_refusal, JK_CODE_NOT_FOUND, "secret_file", "the secret file cannot be read");
	bool good = read_text(fd, text, ret_refusal) && decode(text, ret_secret, ret_refusal);
	close(fd);
	explicit_bzero(text, sizeof text);
	return good;
}

void notify_sign_wipe(struct notify_secret *secret)
{
	explicit_bzero(secret, sizeof *secret);
}

void notify_sign(char ret[NOTIFY_SIGNATURE_BYTES], const struct notify_secret *secret, const char *id, int64_t timestamp_s,
	const void *body, size_t size)
{
	uint8_t mac[32];
	char middle[32];
	(void)jk_text_format(middle, sizeof middle, ".%" PRId64 ".", timestamp_s);
	const struct jk_span spans[] = {{id, strlen(id)}, {middle, strlen(middle)}, {body, size}};
	jk_hmac_sha256(mac, secret->bytes, secret->size, spans, sizeof spans / sizeof *spans);
	memcpy(ret, "v1,", 3);
	size_t digits = jk_base64url_encode(ret + 3, mac, sizeof mac);
	for (size_t i = 3; i < 3 + digits; i++) {
		if (ret[i] == '-')
			ret[i] = '+';
		else if (ret[i] == '_')
			ret[i] = '/';
	}
	ret[3 + digits] = '='; /* 32 bytes are 43 digits and one sign of padding */
	ret[4 + digits] = '\0';
}
