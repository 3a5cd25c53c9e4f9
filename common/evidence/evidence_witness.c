#include "evidence/evidence_witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_arena.h"
#include "base/jk_file.h"
#include "base/jk_time.h"
#include "evidence/evidence_wire.h"

enum { ARENA_BYTES = 64 * 1024, LINE_MAX_BYTES = 4096 };

void jk_witness_write(struct jk_buffer *line, const struct jk_signed_head *head)
{
	jk_buffer_append(line, "{", 1);
	evidence_write_head(line, head);
	jk_buffer_append(line, "}\n", 2);
}

static enum jk_status refuse_file(struct jk_refusal *ret_reason, const char *path)
{
	(void)jk_refuse(ret_reason, JK_CODE_UNAVAILABLE, "heads", "%s: %s", path, strerror(errno));
	return JK_BROKEN;
}

/* The file does not end with a whole line. */
static bool is_cut(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);
	char last = '\n';

	return size > 0 && pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

enum jk_status jk_witness_append(const char *path, const struct jk_signed_head *head, struct jk_refusal *ret_reason)
{
	struct jk_buffer line = {0};
	enum jk_status status = JK_OK;
	int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);

	if (fd < 0)
		return refuse_file(ret_reason, path);
	if (is_cut(fd))
		jk_buffer_append(&line, "\n", 1);
	jk_witness_write(&line, head);
	if (line.failed)
		errno = ENOMEM;
	if (line.failed || !jk_write_all(fd, line.data, line.size) || fsync(fd) != 0)
		status = refuse_file(ret_reason, path);
	close(fd);
	jk_buffer_done(&line);
	return status;
}

bool jk_witness_parse(const char *line, size_t size, struct jk_signed_head *ret)
{
	struct jk_arena *arena = size <= LINE_MAX_BYTES ? jk_arena_new(ARENA_BYTES) : NULL;
	struct jk_refusal refusal;
	const Jukwaa__V1__SignedHead *head =
		arena ? (const void *)jk_json_read(&jukwaa__v1__signed_head__descriptor, line, size, arena, &refusal) : NULL;
	bool good = head && evidence_read_head(head, ret);

	jk_arena_free(&arena);
	return good;
}

enum jk_status jk_witness_read(const char *path, jk_witness_head *head, void *arg, size_t *ret_bad, struct jk_refusal *ret_reason)
{
	FILE *file = fopen(path, "re");
	struct jk_signed_head read;
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;
	bool good;

	*ret_bad = 0;
	if (!file)
		return refuse_file(ret_reason, path);
	while ((size = getline(&line, &capacity, file)) >= 0) {
		while (size > 0 && strchr("\r\n \t", line[size - 1]))
			size--;
		if (size == 0)
			continue;
		if (jk_witness_parse(line, (size_t)size, &read))
			head(arg, &read);
		else
			++*ret_bad;
	}
	good = !ferror(file);
	free(line);
	fclose(file);
	return good ? JK_OK : refuse_file(ret_reason, path);
}
