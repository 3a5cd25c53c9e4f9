/* agreement_act.c: the text that is signed. Reading accepts nothing but what writing makes. */
#include <string.h>

#include "agreement_internal.h"
#include "base/jk_text.h"
#include "base/jk_time.h"

static const char first_line[] = "jukwaa-act-1";

size_t jk_act_write(char ret[JK_STATEMENT_MAX_BYTES], enum jk_pact_kind kind, const char *code, const struct jk_act_row *act,
	const uint8_t document_digest[JK_SHA256_BYTES], const char *previous_statement)
{
	char document[2 * JK_SHA256_BYTES + 1], previous[2 * JK_SHA256_BYTES + 1] = "", at[JK_TIME_BYTES];
	uint8_t digest[JK_SHA256_BYTES];

	jk_hex_encode(document, document_digest, JK_SHA256_BYTES);
	if (previous_statement) {
		jk_pact_digest(digest, previous_statement);
		jk_hex_encode(previous, digest, sizeof digest);
	}
	jk_time_format(at, act->at_us);
	bool fits = jk_text_format(ret, JK_STATEMENT_MAX_BYTES,
		"%s\npact: %s %s\nversion: %u\nact: %s\nact_no: %d\nagency: %s\nat: %s\ndocument: %s\nprevious: %s\n", first_line,
		jk_words_name(&jk_pact_kinds, (int)kind), code, act->version, jk_words_name(&jk_pact_acts, (int)act->act),
		act->act_no, act->agency, at, document, previous);
	return fits ? strlen(ret) : 0;
}

/* The value of the line "NAME: VALUE\n" at *text_p, which moves past it. */
static bool take_line(const char **text_p, const char *name, char *ret, size_t capacity)
{
	size_t name_size = strlen(name);
	const char *end = strchr(*text_p, '\n');

	if (!end || strncmp(*text_p, name, name_size) != 0 || strncmp(*text_p + name_size, ": ", 2) != 0)
		return false;
	const char *value = *text_p + name_size + 2;
	if (value > end || (size_t)(end - value) >= capacity)
		return false;
	memcpy(ret, value, (size_t)(end - value));
	ret[end - value] = '\0';
	*text_p = end + 1;
	return true;
}

/* A whole number as jk_act_write writes it. */
static bool take_number(const char **text_p, const char *name, int64_t *ret)
{
	char value[16];
	return take_line(text_p, name, value, sizeof value) && value[0] != '+' && value[0] != '0' &&
	       jk_text_to_int64(value, 1, INT32_MAX, ret);
}

/* An exact word of the list: jk_words_number is kinder than a signature can be. */
static int find_word(const struct jk_words *words, const char *word)
{
	for (int i = 1; i < (int)words->count; i++)
		if (strcmp(words->names[i], word) == 0)
			return i;
	return 0;
}

static bool take_pact(const char **text_p, struct jk_statement *ret)
{
	char value[16 + JK_PACT_CODE_BYTES];
	if (!take_line(text_p, "pact", value, sizeof value))
		return false;
	char *code = strchr(value, ' ');
	if (!code)
		return false;
	*code++ = '\0';
	ret->kind = (enum jk_pact_kind)find_word(&jk_pact_kinds, value);
	return ret->kind != JK_PACT_NONE && *code && jk_text_copy(ret->code, sizeof ret->code, code);
}

static bool take_digest(const char **text_p, const char *name, uint8_t ret[JK_SHA256_BYTES], bool *ret_given)
{
	char value[2 * JK_SHA256_BYTES + 1], again[2 * JK_SHA256_BYTES + 1];
	if (!take_line(text_p, name, value, sizeof value))
		return false;
	*ret_given = value[0] != '\0';
	if (!*ret_given)
		return true;
	if (!jk_hex_decode(ret, JK_SHA256_BYTES, value))
		return false;
	jk_hex_encode(again, ret, JK_SHA256_BYTES);
	return strcmp(again, value) == 0;
}

static bool read_lines(const char *text, struct jk_statement *ret)
{
	char value[JK_TIME_BYTES], again[JK_TIME_BYTES];
	int64_t version = 0, act_no = 0;
	bool has_document = false;

	if (strncmp(text, first_line, sizeof first_line - 1) != 0 || text[sizeof first_line - 1] != '\n')
		return false;
	text += sizeof first_line;
	if (!take_pact(&text, ret) || !take_number(&text, "version", &version) || !take_line(&text, "act", value, sizeof value))
		return false;
	ret->version = (uint32_t)version;
	ret->act = (enum jk_act)find_word(&jk_pact_acts, value);
	if (ret->act == JK_ACT_NONE || !take_number(&text, "act_no", &act_no) ||
		!take_line(&text, "agency", ret->agency, sizeof ret->agency) || !ret->agency[0] ||
		!take_line(&text, "at", value, sizeof value) || !jk_time_parse(value, &ret->at_us))
		return false;
	ret->act_no = (int)act_no;
	jk_time_format(again, ret->at_us);
	if (strcmp(again, value) != 0)
		return false;
	return take_digest(&text, "document", ret->document, &has_document) && has_document &&
	       take_digest(&text, "previous", ret->previous, &ret->has_previous) && *text == '\0' &&
	       ret->has_previous == (ret->act_no > 1);
}

bool jk_statement_read(const char *text, struct jk_statement *ret, struct jk_refusal *ret_refusal)
{
	memset(ret, 0, sizeof *ret);
	if (strnlen(text, JK_STATEMENT_MAX_BYTES) < JK_STATEMENT_MAX_BYTES && read_lines(text, ret))
		return true;
	memset(ret, 0, sizeof *ret);
	return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "statement", "is not the statement of an act");
}
