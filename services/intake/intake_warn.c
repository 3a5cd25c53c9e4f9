#include "services/intake/intake_decoded.h"

#include <stdarg.h>
#include <stdio.h>

bool intake_warn(struct intake_decoded *decoded, bool strict, struct jk_refusal *ret_refusal, enum jk_code code,
	const char *field, const char *reason_format, ...)
{
	char reason[sizeof ret_refusal->reason];
	va_list arguments;

	va_start(arguments, reason_format);
	vsnprintf(reason, sizeof reason, reason_format, arguments);
	va_end(arguments);
	if (strict)
		return jk_refuse(ret_refusal, code, field, "%s", reason);
	if (decoded->warnings.count < INTAKE_WARNINGS_MAX)
		jk_refuse(&decoded->warnings.list[decoded->warnings.count++], code, field, "%s", reason);
	return true;
}
