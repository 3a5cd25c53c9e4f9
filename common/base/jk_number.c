/* jk_number.c: numbers in text, whole text or nothing, whatever the locale. Declared in jk_text.h. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool jk_text_to_int64(const char *text, int64_t minimum, int64_t maximum, int64_t *ret)
{
	const char *digits = text + (*text == '-' || *text == '+');
	if (!is_digit(*digits))
		return false;
	for (const char *c = digits; *c; c++)
		if (!is_digit(*c))
			return false;

	errno = 0;
	long long value = strtoll(text, NULL, 10);
	if (errno != 0 || value < minimum || value > maximum)
		return false;
	*ret = value;
	return true;
}

static const char *skip_digits(const char *text)
{
	while (is_digit(*text))
		text++;
	return text;
}

/* [+-] digits [. digits] [e [+-] digits], or . digits: no hexadecimal, no words. */
static bool is_decimal(const char *text)
{
	text += *text == '-' || *text == '+';
	const char *end = skip_digits(text);
	size_t digits = (size_t)(end - text);
	if (*end == '.') {
		const char *fraction = end + 1;
		end = skip_digits(fraction);
		digits += (size_t)(end - fraction);
	}
	if (digits == 0)
		return false;
	if (*end == 'e' || *end == 'E') {
		end++;
		end += *end == '-' || *end == '+';
		if (!is_digit(*end))
			return false;
		end = skip_digits(end);
	}
	return *end == '\0';
}

static pthread_once_t c_locale_once = PTHREAD_ONCE_INIT;
static locale_t c_locale;

static void open_c_locale(void)
{
	c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

bool jk_text_to_double(const char *text, double *ret)
{
	(void)pthread_once(&c_locale_once, open_c_locale);
	if (!c_locale || !is_decimal(text))
		return false;
	double value = strtod_l(text, NULL, c_locale);
	if (!isfinite(value))
		return false;
	*ret = value;
	return true;
}
