/* cases_wire_find.c: the messages of find.proto. */
#include <stddef.h>
#include <string.h>

#include "base/jk_text.h"
#include "cases_wire_internal.h"
#include "jukwaa/v1/find.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"

void cases_wire_export_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_EXPORT,
		.type = &jukwaa__v1__case_export__descriptor,
		.roles = CASES_ROLES,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseExport, session),
		.request_offset = offsetof(Jukwaa__V1__CaseExport, request),
	};
}

bool cases_wire_read_export(const struct jk_request *request, struct cases_filter *ret_filter, bool *ret_headlines,
	struct cases_reading *ret_reading, struct jk_refusal *ret_refusal)
{
	const Jukwaa__V1__CaseExport *export = (const void *)request->message;

	*ret_headlines = export->headlines;
	if (!export->list)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "list", "say which cases, and what for");
	return cases_wire_take_list(export->list, CASES_EXPORT_DEFAULT, CASES_EXPORT_MAX, ret_filter, ret_refusal) &&
	       cases_wire_take_reading(export->list->purpose, export->list->purpose_note, ret_reading, ret_refusal);
}

bool cases_wire_pack_exported(const struct jk_request *request, const struct cases_shown *shown, size_t count,
	const struct cases_position *last, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseExported exported = JUKWAA__V1__CASE_EXPORTED__INIT;
	uint8_t page[CASES_PAGE_BYTES];

	exported.session = request->session->number;
	exported.request = cases_wire_request(request);
	exported.cases = cases_wire_write_summaries(shown, count, request->arena);
	exported.n_cases = count;
	exported.page = cases_wire_write_page(last, page);
	return exported.cases && cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_EXPORTED, &exported.base, ret_packed);
}
