#include "client/client_resume.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_file.h"

#define RESUME_MARK "jukwaa-resume-1 "
enum { RESUME_MAX_BYTES = 256 * 1024 };

static enum jk_status refuse_file(struct jk_refusal *ret_refusal, const char *path, const char *why)
{
	(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "resume", "resume file %s: %s", path, why);
	return JK_BROKEN;
}

enum jk_status client_resume_read(const char *path, struct jk_buffer *ret_token, struct jk_refusal *ret_refusal)
{
	struct jk_buffer text = {0};
	char chunk[4096];
	enum jk_status status = JK_OK;
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	ret_token->size = 0;
	if (fd < 0)
		return errno == ENOENT ? JK_OK : refuse_file(ret_refusal, path, strerror(errno));
	while ((got = read(fd, chunk, sizeof chunk)) > 0 && text.size < RESUME_MAX_BYTES)
		jk_buffer_append(&text, chunk, (size_t)got);
	close(fd);
	if (got < 0)
		status = refuse_file(ret_refusal, path, strerror(errno));
	else if (text.failed || text.size <= strlen(RESUME_MARK) + 1 || text.data[text.size - 1] != '\n' ||
		 strncmp(text.data, RESUME_MARK, strlen(RESUME_MARK)) != 0)
		status = refuse_file(ret_refusal, path, "is not one that Jukwaa wrote; move it away to start afresh");
	else
		jk_buffer_append(ret_token, text.data + strlen(RESUME_MARK), text.size - strlen(RESUME_MARK) - 1);
	jk_buffer_done(&text);
	return status;
}

static bool write_beside(const char *path, const char *token)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool good;

	if (fd < 0)
		return false;
	good = jk_write_all(fd, RESUME_MARK, strlen(RESUME_MARK)) && jk_write_all(fd, token, strlen(token)) &&
	       jk_write_all(fd, "\n", 1) && fsync(fd) == 0;
	return close(fd) == 0 && good;
}

static bool sync_folder(const char *path)
{
	char copy[PATH_MAX];
	bool good;
	int fd;

	if (!jk_text_copy(copy, sizeof copy, path))
		return false;
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return false;
	good = fsync(fd) == 0;
	close(fd);
	return good;
}

enum jk_status client_resume_write(const char *path, const char *token, struct jk_refusal *ret_refusal)
{
	char beside[PATH_MAX];

	if (!jk_text_format(beside, sizeof beside, "%s.new", path))
		return refuse_file(ret_refusal, path, "path too long");
	if (write_beside(beside, token) && rename(beside, path) == 0 && sync_folder(path))
		return JK_OK;
	return refuse_file(ret_refusal, path, strerror(errno));
}
