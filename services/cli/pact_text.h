/* pact_text.h: documents as people read them: in sentences, and as JSON with one field a line. */
#pragma once

#include "agreement/agreement.h"
#include "base/jk_text.h"

/* What a canonical document means, on standard output. False: it is not one. */
bool pact_text_explain(enum jk_pact_kind kind, const char *document, struct jk_arena *arena);
/* Warnings about what is allowed to be written and means nobody, on standard error; says how many. */
int pact_text_warn(enum jk_pact_kind kind, const char *document, struct jk_arena *arena);
/* Appends the document, one field a line, with a line feed at the end. */
void pact_text_pretty(const char *document, struct jk_buffer *buffer);
