/* Reading receipts, which our own command line printed: `positions` of a report, or the one place of a copy. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/evidence.h"
#include "services/cli/json_slice.h"

static bool read_text(struct json_slice object, const char *name, char *ret, size_t capacity)
{
	struct json_slice value;
	size_t size;

	if (!json_slice_find(object, name, &value))
		return false;
	size = (size_t)(value.end - value.at);
	if (size < 2 || size - 2 >= capacity || value.at[0] != '"' || memchr(value.at, '\\', size))
		return false;
	memcpy(ret, value.at + 1, size - 2);
	ret[size - 2] = '\0';
	return true;
}

static bool read_seq(struct json_slice object, uint64_t *ret)
{
	struct json_slice value;
	char text[24];
	int64_t seq;

	if (!json_slice_find(object, "seq", &value) || (size_t)(value.end - value.at) >= sizeof text)
		return false;
	memcpy(text, value.at, (size_t)(value.end - value.at));
	text[value.end - value.at] = '\0';
	if (!jk_text_to_int64(text, 1, INT64_MAX, &seq))
		return false;
	*ret = (uint64_t)seq;
	return true;
}

static bool read_position(struct json_slice object, struct jk_leaf *ret)
{
	char chain[65];

	*ret = (struct jk_leaf){0};
	return (read_text(object, "county", ret->stream, sizeof ret->stream) ||
		       read_text(object, "stream", ret->stream, sizeof ret->stream)) &&
	       read_seq(object, &ret->seq) && read_text(object, "chain", chain, sizeof chain) && strlen(chain) == 64 &&
	       jk_hex_decode(ret->chain, sizeof ret->chain, chain);
}

/* Positions of one line; -1: it has none. */
static int64_t read_receipt(struct json_slice object, evidence_receipt_position *position, void *arg)
{
	struct json_slice positions, one;
	struct jk_leaf leaf;
	struct jk_id event_id;
	char id[JK_ID_TEXT_BYTES];
	int64_t count = 0;

	if (!read_text(object, "event_id", id, sizeof id) || !jk_id_parse(id, &event_id))
		return -1;
	if (!json_slice_find(object, "positions", &positions)) {
		if (!read_position(object, &leaf))
			return -1;
		position(arg, &leaf, &event_id);
		return 1;
	}
	if (!json_slice_enter(&positions, '['))
		return -1;
	for (; json_slice_element(&positions, &one); count++) {
		if (!read_position(one, &leaf))
			return -1;
		position(arg, &leaf, &event_id);
	}
	return count > 0 ? count : -1;
}

static int64_t read_lines(FILE *file, const char *path, evidence_receipt_position *position, void *arg)
{
	char *line = NULL;
	size_t capacity = 0;
	ssize_t size;
	int64_t count = 0, number = 0, more;

	while (count >= 0 && (size = getline(&line, &capacity, file)) >= 0) {
		const struct json_slice object = json_slice_trim((struct json_slice){line, line + size});

		number++;
		if (object.at == object.end)
			continue;
		more = read_receipt(object, position, arg);
		if (more < 0)
			cli_fail(CLI_REFUSED, "lines of jukwaa --json publish, or of jukwaa --json watch",
				"%s: line %lld is no receipt with positions", path, (long long)number);
		count = more < 0 ? -1 : count + more;
	}
	free(line);
	if (count == 0)
		cli_fail(CLI_REFUSED, NULL, "%s: there is no receipt in it", path);
	return count > 0 ? count : -1;
}

int64_t evidence_receipts_read(const char *path, evidence_receipt_position *position, void *arg)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	int64_t count;

	if (!file) {
		cli_fail(CLI_USAGE, NULL, "%s: %s", path, strerror(errno));
		return -1;
	}
	count = read_lines(file, path, position, arg);
	if (file != stdin)
		fclose(file);
	return count;
}
