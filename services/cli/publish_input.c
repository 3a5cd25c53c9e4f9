#include "services/cli/publish_input.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "services/cli/json_slice.h"
#include "services/cli/publish_csv.h"

enum { FILE_MAX_BYTES = 1024 * 1024 * 1024, CHUNK_BYTES = 256 * 1024 };

static enum publish_result refuse_file(
	struct jk_refusal *ret_refusal, enum publish_result result, const char *what, const char *why)
{
	(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "%s: %s", what, why);
	return result;
}

static bool read_whole(int fd, struct jk_buffer *ret)
{
	static char chunk[CHUNK_BYTES];
	ssize_t got;

	while ((got = read(fd, chunk, sizeof chunk)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return false;
		jk_buffer_append(ret, chunk, (size_t)got);
		errno = ret->failed ? ENOMEM : EFBIG;
		if (ret->failed || ret->size > FILE_MAX_BYTES)
			return false;
	}
	return true;
}

static bool read_path(const char *path, struct jk_buffer *ret)
{
	int fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	bool good;
	int error;

	if (fd < 0)
		return false;
	good = read_whole(fd, ret);
	error = errno;
	close(fd);
	errno = error;
	return good;
}

/* By the end of the name; NULL: it does not tell. */
static const char *format_of_name(const char *path)
{
	static const struct {
		const char *end, *format;
	} ends[] = {
		{".xml", "cap"},
		{".cap", "cap"},
		{".json", "json"},
		{".jsonl", "json"},
		{".ndjson", "json"},
		{".csv", "csv"},
		{".pb", "protobuf"},
	};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof ends / sizeof ends[0]; i++)
		if (strcasecmp(dot, ends[i].end) == 0)
			return ends[i].format;
	return NULL;
}

/* By the first character that is not blank. */
static const char *format_of_content(struct json_slice text)
{
	text = json_slice_trim(text);
	if (text.at < text.end && *text.at == '<')
		return "cap";
	return text.at < text.end && (*text.at == '{' || *text.at == '[') ? "json" : NULL;
}

/* The report as it stands between the ends, or its refusal for its size. */
static bool give(struct publish_item *item, struct json_slice text, publish_take *take, void *arg)
{
	item->payload = text.at;
	item->payload_size = (size_t)(text.end - text.at);
	item->refusal.code = JK_CODE_NONE;
	if (item->payload_size > PUBLISH_PAYLOAD_MAX_BYTES) {
		(void)jk_refuse(
			&item->refusal, JK_CODE_OVERSIZE, "payload", "%zu bytes; a report has at most 2 MiB", item->payload_size);
		item->payload_size = 0;
	}
	return take(arg, item);
}

/* JSON Lines: the first value ends with its line, and there are more lines. */
static bool is_json_lines(struct json_slice text)
{
	struct json_slice first, line = text;

	line.end = memchr(text.at, '\n', (size_t)(text.end - text.at));
	if (!line.end || !json_slice_take(&line, &first))
		return false;
	line = json_slice_trim(line);
	return line.at == line.end;
}

static enum publish_result give_json_lines(struct publish_item *item, struct json_slice text, publish_take *take, void *arg)
{
	while (text.at < text.end) {
		const char *end = memchr(text.at, '\n', (size_t)(text.end - text.at));
		struct json_slice line = json_slice_trim((struct json_slice){text.at, end ? end : text.end});

		if (line.at < line.end && !give(item, line, take, arg))
			return PUBLISH_STOPPED;
		text.at = end ? end + 1 : text.end;
	}
	return PUBLISH_READ;
}

/* One object, several one after another, or an array. What is not complete goes as it is: intake says what is wrong. */
static enum publish_result give_json(struct publish_item *item, struct json_slice text, publish_take *take, void *arg)
{
	struct json_slice after = text, value;
	bool is_array = *text.at == '[' && json_slice_take(&after, &value) && json_slice_trim(after).at == text.end;

	if (is_array)
		(void)json_slice_enter(&text, '[');
	while (is_array ? json_slice_element(&text, &value) : json_slice_take(&text, &value))
		if (!give(item, value, take, arg))
			return PUBLISH_STOPPED;
	text = json_slice_trim(text);
	if (text.at == text.end || (is_array && text.at + 1 == text.end))
		return PUBLISH_READ;
	return give(item, text, take, arg) ? PUBLISH_READ : PUBLISH_STOPPED;
}

static enum publish_result give_reports(struct publish_item *item, struct json_slice text, publish_take *take, void *arg)
{
	struct json_slice trimmed = json_slice_trim(text);

	if (strcmp(item->format, "json") != 0 || trimmed.at == trimmed.end)
		return give(item, text, take, arg) ? PUBLISH_READ : PUBLISH_STOPPED;
	return is_json_lines(trimmed) ? give_json_lines(item, trimmed, take, arg) : give_json(item, trimmed, take, arg);
}

enum publish_result publish_read_file(
	const char *path, const struct publish_options *options, publish_take *take, void *arg, struct jk_refusal *ret_refusal)
{
	struct publish_item item = {.file = path, .format = options->format ? options->format : format_of_name(path)};
	struct jk_buffer bytes = {0};
	struct json_slice text;
	enum publish_result result;

	if (item.format && strcmp(item.format, "csv") == 0)
		return publish_read_csv(path, options->map_file, take, arg, ret_refusal);
	if (!read_path(path, &bytes)) {
		result = refuse_file(ret_refusal, PUBLISH_UNREADABLE, path, strerror(errno));
		jk_buffer_done(&bytes);
		return result;
	}
	text = (struct json_slice){bytes.data ? bytes.data : "", bytes.data ? bytes.data + bytes.size : ""};
	if (!item.format)
		item.format = format_of_content(text);
	if (item.format)
		result = give_reports(&item, text, take, arg);
	else
		result = refuse_file(ret_refusal, PUBLISH_UNREADABLE, path,
			"neither name nor content tells its format: give --format cap, json, csv or pb");
	jk_buffer_done(&bytes);
	return result;
}
