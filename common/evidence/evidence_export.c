#include "evidence/evidence_export.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FORM "jukwaa-evidence-1"
/* A head has a leaf for each county and each agency. */
enum { LINE_MAX_BYTES = 1024, WORDS_MAX = 13, LEAVES_MAX = 65536 };

/* ---- writing ---------------------------------------------------------------------------------------------------- */

void jk_export_start(struct jk_export *export, bool all_streams)
{
	fprintf(export->file, FORM "\nstreams %s\n", all_streams ? "all" : "some");
	export->lines += 2;
}

static void write_position(struct jk_export *export, const char *word, const struct jk_leaf *position)
{
	char chain[65];

	jk_hex_encode(chain, position->chain, sizeof position->chain);
	fprintf(export->file, "%s %s %" PRIu64 " %s", word, position->stream, position->seq, chain);
	export->lines++;
}

void jk_export_begin(struct jk_export *export, const struct jk_leaf *position, uint64_t head_no)
{
	write_position(export, "begin", position);
	fprintf(export->file, " %" PRIu64 "\n", head_no);
}

void jk_export_end(struct jk_export *export, const struct jk_leaf *position, bool whole)
{
	write_position(export, "end", position);
	fprintf(export->file, " %s\n", whole ? "whole" : "part");
}

void jk_export_head(struct jk_export *export, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count)
{
	char root[65], key[65], signature[129];

	jk_hex_encode(root, head->root, sizeof head->root);
	jk_hex_encode(key, head->public_key, sizeof head->public_key);
	jk_hex_encode(signature, head->signature, sizeof head->signature);
	fprintf(export->file, "head %" PRIu64 " %" PRId64 " %s %s %s %zu\n", head->head_no, head->signed_at_us, root, key,
		signature, count);
	export->lines++;
	for (size_t i = 0; i < count; i++) {
		write_position(export, "leaf", &leaves[i]);
		fputc('\n', export->file);
	}
}

void jk_export_event(struct jk_export *export, const struct jk_chain_link *link, const uint8_t chain[32])
{
	char event_id[JK_ID_TEXT_BYTES], incident_id[JK_ID_TEXT_BYTES], commitment[65], hex[65];

	jk_id_format(event_id, &link->event_id);
	jk_id_format(incident_id, &link->incident_id);
	jk_hex_encode(commitment, link->commitment, link->commitment_size);
	jk_hex_encode(hex, chain, 32);
	fprintf(export->file, "event %s %" PRIu64 " %" PRIu32 " %" PRId64 " %s %d %s %" PRId64 " %d %d %s %s\n", link->stream,
		link->seq, link->epoch, link->recorded_at_us, event_id, link->kind, incident_id, link->revision, link->tlp,
		link->category, link->commitment_size ? commitment : "-", hex);
	export->lines++;
}

void jk_export_finish(struct jk_export *export)
{
	fprintf(export->file, "done %" PRIu64 "\n", export->lines);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct reading {
	FILE *file;
	struct jk_check *check;
	struct jk_refusal *refusal;
	uint64_t line;
	char text[LINE_MAX_BYTES];
	char *words[WORDS_MAX];
	size_t count;
	struct jk_leaf *leaves;
	bool done;
};

static bool refuse(struct reading *r, const char *why)
{
	char field[32];

	(void)jk_text_format(field, sizeof field, "line %" PRIu64, r->line);
	return jk_refuse(r->refusal, JK_CODE_NOT_WELL_FORMED, field, "%s", why);
}

/* The next line, cut into words in place. False: refused, at the end of the file too. */
static bool next_line(struct reading *r)
{
	size_t size;
	char *at = r->text;

	r->line++;
	if (!fgets(r->text, sizeof r->text, r->file))
		return refuse(r, ferror(r->file) ? "the file cannot be read" : "the file ends before its last line");
	size = strlen(r->text);
	if (size == 0 || r->text[size - 1] != '\n')
		return refuse(r, "too long, or cut off");
	r->text[size - 1] = '\0';
	for (r->count = 0; at; r->count++) {
		char *blank = strchr(at, ' ');

		if (r->count == WORDS_MAX)
			return refuse(r, "too many words");
		if (blank)
			*blank++ = '\0';
		r->words[r->count] = at;
		at = blank;
	}
	return true;
}

static bool take_number(const char *word, int64_t minimum, int64_t maximum, int64_t *ret)
{
	return jk_text_to_int64(word, minimum, maximum, ret);
}

static bool take_hex(const char *word, uint8_t *ret, size_t size)
{
	return strlen(word) == 2 * size && jk_hex_decode(ret, size, word);
}

/* STREAM SEQ CHAIN from words[1] on. */
static bool take_position(const struct reading *r, struct jk_leaf *ret)
{
	int64_t seq;

	if (*r->words[1] == '\0' || !jk_text_copy(ret->stream, sizeof ret->stream, r->words[1]) ||
		!take_number(r->words[2], 0, INT64_MAX, &seq) || !take_hex(r->words[3], ret->chain, sizeof ret->chain))
		return false;
	ret->seq = (uint64_t)seq;
	return true;
}

/* First, and never again: said behind heads it would come too late for what they name. */
static bool read_start(struct reading *r)
{
	if (!next_line(r))
		return false;
	if (r->count != 1 || strcmp(r->words[0], FORM) != 0)
		return refuse(r, "not an export of evidence: " FORM);
	if (!next_line(r))
		return false;
	if (r->count != 2 || strcmp(r->words[0], "streams") != 0)
		return refuse(r, "all or some streams must be said first");
	if (strcmp(r->words[1], "all") == 0)
		jk_check_all_streams(r->check);
	else if (strcmp(r->words[1], "some") != 0)
		return refuse(r, "all or some streams");
	return true;
}

static bool read_begin(struct reading *r)
{
	struct jk_leaf position;
	int64_t head_no;

	if (!take_position(r, &position) || !take_number(r->words[4], 0, INT64_MAX, &head_no))
		return refuse(r, "not a position");
	return jk_check_begin(r->check, &position, (uint64_t)head_no) ||
	       refuse(r, "a stream begins once, before all heads and events");
}

static bool read_end(struct reading *r)
{
	struct jk_leaf position;
	bool whole = strcmp(r->words[4], "whole") == 0;

	if (!take_position(r, &position) || (!whole && strcmp(r->words[4], "part") != 0))
		return refuse(r, "not a position");
	return jk_check_end(r->check, &position, whole) ||
	       refuse(r, "the end of a stream is said once, before all heads and events");
}

static bool read_head(struct reading *r)
{
	struct jk_signed_head head;
	int64_t head_no, count;

	if (!take_number(r->words[1], 1, INT64_MAX, &head_no) ||
		!take_number(r->words[2], INT64_MIN, INT64_MAX, &head.signed_at_us) || !take_hex(r->words[3], head.root, 32) ||
		!take_hex(r->words[4], head.public_key, 32) || !take_hex(r->words[5], head.signature, 64) ||
		!take_number(r->words[6], 0, LEAVES_MAX, &count))
		return refuse(r, "not a signed head");
	head.head_no = (uint64_t)head_no;
	for (int64_t i = 0; i < count; i++)
		if (!next_line(r))
			return false;
		else if (r->count != 4 || strcmp(r->words[0], "leaf") != 0 || !take_position(r, &r->leaves[i]))
			return refuse(r, "not a leaf of the head above");
	jk_check_head(r->check, &head, r->leaves, (size_t)count);
	return true;
}

static bool read_event(struct reading *r)
{
	struct jk_chain_link link = {.stream = r->words[1]};
	uint8_t chain[32];
	int64_t seq, epoch, kind, tlp, category;
	bool bare = strcmp(r->words[11], "-") == 0;

	if (*r->words[1] == '\0' || strlen(r->words[1]) >= JK_LEAF_STREAM_BYTES ||
		!take_number(r->words[2], 1, INT64_MAX, &seq) || !take_number(r->words[3], 0, UINT32_MAX, &epoch) ||
		!take_number(r->words[4], INT64_MIN, INT64_MAX, &link.recorded_at_us) ||
		!jk_id_parse(r->words[5], &link.event_id) || !take_number(r->words[6], INT16_MIN, INT16_MAX, &kind) ||
		!jk_id_parse(r->words[7], &link.incident_id) || !take_number(r->words[8], INT64_MIN, INT64_MAX, &link.revision) ||
		!take_number(r->words[9], INT16_MIN, INT16_MAX, &tlp) ||
		!take_number(r->words[10], INT16_MIN, INT16_MAX, &category) ||
		(!bare && !take_hex(r->words[11], link.commitment, sizeof link.commitment)) || !take_hex(r->words[12], chain, 32))
		return refuse(r, "not an event");
	link.seq = (uint64_t)seq;
	link.epoch = (uint32_t)epoch;
	link.kind = (int)kind;
	link.tlp = (int)tlp;
	link.category = (int)category;
	link.commitment_size = bare ? 0 : sizeof link.commitment;
	jk_check_event(r->check, &link, chain);
	return true;
}

static bool read_done(struct reading *r)
{
	int64_t lines;

	if (!take_number(r->words[1], 0, INT64_MAX, &lines) || (uint64_t)lines != r->line - 1)
		return refuse(r, "lines are missing, or too many");
	r->done = true;
	return true;
}

static bool read_line(struct reading *r)
{
	static const struct {
		const char *word;
		size_t count;
		bool (*read)(struct reading *r);
	} kinds[] = {
		{"event", 13, read_event},
		{"head", 7, read_head},
		{"begin", 5, read_begin},
		{"end", 5, read_end},
		{"done", 2, read_done},
	};

	if (!next_line(r))
		return false;
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
		if (r->count == kinds[i].count && strcmp(r->words[0], kinds[i].word) == 0)
			return kinds[i].read(r);
	return refuse(r, "not a line of an export");
}

bool jk_export_read(FILE *file, struct jk_check *check, struct jk_refusal *ret_refusal)
{
	struct reading *r = calloc(1, sizeof *r);
	bool good = false;

	if (r)
		*r = (struct reading){.file = file,
			.check = check,
			.refusal = ret_refusal,
			.leaves = calloc(LEAVES_MAX, sizeof(struct jk_leaf))};
	if (!r || !r->leaves) {
		(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, "", "no memory");
	} else {
		good = read_start(r);
		while (good && !r->done)
			good = read_line(r);
	}
	if (good && fgetc(file) != EOF)
		good = refuse(r, "something stands behind the last line");
	if (r)
		free(r->leaves);
	free(r);
	return good;
}
