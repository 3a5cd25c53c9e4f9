/* jk_refusal.h: a refusal or a warning as a value: which rule, about which field, in words. */
#pragma once

#include "base/jk_status.h"
#include "base/jk_words.h"

struct jk_refusal {
	enum jk_code code; /* JK_CODE_NONE: nothing is refused */
	char field[96];    /* path of the field, "" where there is none; cut with "…" when longer */
	char reason[224];  /* one sentence for people, no personal data; cut with "…" when longer */
};

/* Fills ret_refusal and returns false, so that a check can `return jk_refuse(...)`. field may be NULL. */
bool jk_refuse(struct jk_refusal *ret_refusal, enum jk_code code, const char *field, const char *reason_format, ...)
	JK_PRINTF(4, 5);
