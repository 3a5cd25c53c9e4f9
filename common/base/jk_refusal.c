/* jk_refusal.c: filling a refusal. */
#include "base/jk_refusal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/jk_text.h"

static const char ellipsis[] = "…";

/* Copies text; what does not fit ends in "…" at a character's border. */
static void copy_cut(char *ret, size_t capacity, const char *text)
{
	if (jk_text_copy(ret, capacity, text))
		return;
	(void)jk_text_copy(ret, capacity - (sizeof ellipsis - 1), text);
	memcpy(ret + strlen(ret), ellipsis, sizeof ellipsis);
}

bool jk_refuse(struct jk_refusal *ret_refusal, enum jk_code code, const char *field, const char *reason_format, ...)
{
	char reason[2 * sizeof ret_refusal->reason];
	va_list arguments;

	va_start(arguments, reason_format);
	int length = vsnprintf(reason, sizeof reason, reason_format, arguments);
	va_end(arguments);
	ret_refusal->code = code;
	copy_cut(ret_refusal->field, sizeof ret_refusal->field, field ? field : "");
	copy_cut(ret_refusal->reason, sizeof ret_refusal->reason, length < 0 ? "" : reason);
	return false;
}
