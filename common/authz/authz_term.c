/* authz_term.c: what a term is called in copies and records. */
#include <inttypes.h>

#include "authz/authz.h"
#include "base/jk_text.h"

void jk_term_name(char ret[JK_TERM_NAME_BYTES], const struct jk_term *term)
{
	if (term == NULL)
		(void)jk_text_copy(ret, JK_TERM_NAME_BYTES, "owner");
	else if (term->pact_id == 0)
		(void)jk_text_format(ret, JK_TERM_NAME_BYTES, "allow:%" PRId32, term->allow_id);
	else
		(void)jk_text_format(ret, JK_TERM_NAME_BYTES, "agreement:%s@%" PRIu32, term->code, term->version);
}
