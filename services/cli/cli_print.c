#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "services/cli/cli.h"

enum { COLUMNS_DEFAULT = 100, COLUMNS_MIN = 20 };

int cli_columns(void)
{
	const char *wanted = getenv("COLUMNS");
	struct winsize size;
	int64_t columns = COLUMNS_DEFAULT;

	if (!wanted || !jk_text_to_int64(wanted, 1, 1000, &columns))
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
			columns = size.ws_col;
	return columns < COLUMNS_MIN ? COLUMNS_MIN : (int)columns;
}

const char *cli_tone(const struct cli *cli, enum cli_tone tone)
{
	static const char *const codes[] = {
		[CLI_PLAIN] = "\033[0m",
		[CLI_BOLD] = "\033[1m",
		[CLI_DIM] = "\033[2m",
		[CLI_GOOD] = "\033[32m",
		[CLI_WARN] = "\033[33m",
		[CLI_BAD] = "\033[31m",
	};

	return cli->color ? codes[tone] : "";
}

/* Bytes of the character at text; 1 for what is not UTF-8. */
static int character_size(const char *text)
{
	unsigned char first = (unsigned char)*text;
	int size = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;

	for (int i = 1; i < size; i++)
		if (((unsigned char)text[i] & 0xc0) != 0x80)
			return 1;
	return size;
}

static int count_characters(const char *text)
{
	int count = 0;

	for (; *text; text += character_size(text))
		count++;
	return count;
}

/* C0, DEL and C1 (U+0080 to U+009F): a terminal would obey them. */
static bool is_control(const char *text, int size)
{
	unsigned char first = (unsigned char)text[0];

	if (size == 1)
		return first < 0x20 || first >= 0x7f;
	return size == 2 && first == 0xc2 && (unsigned char)text[1] < 0xa0;
}

int cli_print_text(FILE *out, const char *text, int columns)
{
	int total = count_characters(text), limit = columns > 0 && total > columns ? columns - 1 : total;

	for (int i = 0; i < limit; i++) {
		int size = character_size(text);

		if (is_control(text, size))
			fputc(*text == '\n' || *text == '\t' ? ' ' : '?', out);
		else
			fwrite(text, 1, (size_t)size, out);
		text += size;
	}
	if (limit < total)
		fputs("…", out);
	return limit < total ? limit + 1 : limit;
}

int cli_fail(enum cli_exit status, const char *next, const char *format, ...)
{
	char sentence[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	fflush(stdout);
	fputs("jukwaa: ", stderr);
	cli_print_text(stderr, sentence, 0);
	fputc('\n', stderr);
	if (next)
		fprintf(stderr, "  try: %s\n", next);
	return status;
}

int cli_usage(const char *command, const char *format, ...)
{
	char sentence[1024], next[128];
	va_list args;

	va_start(args, format);
	vsnprintf(sentence, sizeof sentence, format, args);
	va_end(args);
	(void)jk_text_format(next, sizeof next, "jukwaa %s%s--help", command ? command : "", command ? " " : "");
	return cli_fail(CLI_USAGE, next, "%s", sentence);
}

int cli_fail_refusal(const struct jk_refusal *refusal)
{
	bool forbidden = refusal->code == JK_CODE_NOT_PERMITTED || refusal->code == JK_CODE_REVOKED;

	return cli_fail(forbidden ? CLI_NOT_PERMITTED : CLI_REFUSED, NULL, "%s%s%s: %s",
		jk_words_name(&jk_codes, (int)refusal->code), refusal->field[0] ? " " : "", refusal->field, refusal->reason);
}

void cli_format_age(char ret[24], double seconds)
{
	long whole = (long)seconds;

	if (whole < 120)
		(void)jk_text_format(ret, 24, "%ld s", whole);
	else if (whole < 7200)
		(void)jk_text_format(ret, 24, "%ld min", whole / 60);
	else if (whole < 172800)
		(void)jk_text_format(ret, 24, "%ld h", whole / 3600);
	else
		(void)jk_text_format(ret, 24, "%ld days", whole / 86400);
}

void cli_print_figure(int *column, const char *name, const char *value)
{
	enum { INDENT = 2 };
	int size = (int)(strlen(name) + strlen(value)) + 3;

	if (*column + size > cli_columns()) {
		printf("\n%*s", INDENT, "");
		*column = INDENT;
	}
	printf("  %s %s", name, value);
	*column += size;
}
