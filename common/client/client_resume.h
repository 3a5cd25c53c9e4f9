/* client_resume.h: the file that holds the newest token: one line "jukwaa-resume-1 TOKEN". Replaced whole: written beside,
 * fsync, rename, fsync of the folder. */
#pragma once

#include <stdbool.h>

#include "base/jk_refusal.h"
#include "base/jk_text.h"

/* The token into ret_token; left empty when there is no such file. JK_BROKEN: unreadable, or not a resume file. */
enum jk_status client_resume_read(const char *path, struct jk_buffer *ret_token, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
enum jk_status client_resume_write(const char *path, const char *token, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
