/* agreement_internal.h: what reading and checking documents share. */
#pragma once

#include "agreement/agreement.h"
#include "jukwaa/v1/agreement.pb-c.h"

enum { AGREEMENT_TEXT_MAX_BYTES = 1000, AGREEMENT_LIST_MAX = 512, AGREEMENT_RETENTION_MAX_DAYS = 36500 };

/* Puts what may be written in several ways into one (order and repetition in lists, zones of times), checks every field and fills
 * ret, whose texts lie in the message or in the arena. */
bool agreement_check(
	Jukwaa__V1__Agreement *message, struct jk_arena *arena, struct jk_agreement *ret, struct jk_refusal *ret_refusal);
bool agreement_check_task_force(
	Jukwaa__V1__TaskForce *message, struct jk_arena *arena, struct jk_task_force *ret, struct jk_refusal *ret_refusal);
