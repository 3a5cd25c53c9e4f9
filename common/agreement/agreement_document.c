/* agreement_document.c: documents between their JSON forms, the canonical one and the structures. */
#include <string.h>

#include "agreement_internal.h"
#include "json/json_map.h"

const struct jk_words jk_pact_kinds = {(const char *const[]){"NONE", "AGREEMENT", "TASK_FORCE"}, 3};
const struct jk_words jk_pact_acts = {
	(const char *const[]){"NONE", "PROPOSE", "ACCEPT", "SUSPEND", "RESUME", "LEAVE", "WITHDRAW"}, 7};
const struct jk_words jk_pact_words = {
	(const char *const[]){"NONE", "PROPOSED", "IN_FORCE", "SUSPENDED", "ENDED", "WITHDRAWN", "SUPERSEDED", "CLOSED"}, 8};

/* One document in all its forms. */
struct forms {
	const char *canonical;
	struct jk_agreement agreement;
	struct jk_task_force task_force;
};

static bool write_canonical(
	const ProtobufCMessage *message, struct jk_arena *arena, const char **ret_document, struct jk_refusal *ret_refusal)
{
	struct jk_buffer buffer = {0};

	jk_json_write(message, &buffer);
	bool fits = !buffer.failed && buffer.size <= JK_PACT_DOCUMENT_MAX_BYTES;
	*ret_document = fits ? jk_arena_string(arena, buffer.data, buffer.size) : NULL;
	jk_buffer_done(&buffer);
	return *ret_document ||
	       jk_refuse(ret_refusal, JK_CODE_OVERSIZE, NULL, "a document has at most %d bytes", JK_PACT_DOCUMENT_MAX_BYTES);
}

/* Strict: everything is checked. */
static bool read_forms(enum jk_pact_kind kind, const char *json, size_t size, struct jk_arena *arena, struct forms *ret,
	struct jk_refusal *ret_refusal)
{
	memset(ret, 0, sizeof *ret);
	if (size > JK_PACT_DOCUMENT_MAX_BYTES)
		return jk_refuse(
			ret_refusal, JK_CODE_OVERSIZE, NULL, "a document has at most %d bytes", JK_PACT_DOCUMENT_MAX_BYTES);
	const ProtobufCMessageDescriptor *type =
		kind == JK_PACT_AGREEMENT ? &jukwaa__v1__agreement__descriptor : &jukwaa__v1__task_force__descriptor;
	ProtobufCMessage *message = jk_json_read(type, json, size, arena, ret_refusal);
	if (!message)
		return false;
	if (kind == JK_PACT_AGREEMENT
			? !agreement_check((Jukwaa__V1__Agreement *)message, arena, &ret->agreement, ret_refusal)
			: !agreement_check_task_force((Jukwaa__V1__TaskForce *)message, arena, &ret->task_force, ret_refusal))
		return false;
	return write_canonical(message, arena, &ret->canonical, ret_refusal);
}

static bool read_stored(
	enum jk_pact_kind kind, const char *document, struct jk_arena *arena, struct forms *ret, struct jk_refusal *ret_refusal)
{
	if (!read_forms(kind, document, strlen(document), arena, ret, ret_refusal))
		return false;
	return strcmp(document, ret->canonical) == 0 ||
	       jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, NULL, "the document is not in its canonical form");
}

bool jk_pact_canonical(enum jk_pact_kind kind, const char *json, size_t size, struct jk_arena *arena, const char **ret_document,
	struct jk_refusal *ret_refusal)
{
	struct forms forms;
	if (!read_forms(kind, json, size, arena, &forms, ret_refusal))
		return false;
	*ret_document = forms.canonical;
	return true;
}

bool jk_agreement_read(const char *document, struct jk_arena *arena, struct jk_agreement *ret, struct jk_refusal *ret_refusal)
{
	struct forms forms;
	bool good = read_stored(JK_PACT_AGREEMENT, document, arena, &forms, ret_refusal);
	*ret = forms.agreement;
	if (!good)
		memset(ret, 0, sizeof *ret);
	return good;
}

bool jk_task_force_read(const char *document, struct jk_arena *arena, struct jk_task_force *ret, struct jk_refusal *ret_refusal)
{
	struct forms forms;
	bool good = read_stored(JK_PACT_TASK_FORCE, document, arena, &forms, ret_refusal);
	*ret = forms.task_force;
	if (!good)
		memset(ret, 0, sizeof *ret);
	return good;
}

bool jk_pact_name_read(enum jk_pact_kind kind, const char *document, struct jk_arena *arena, struct jk_pact_name *ret,
	struct jk_refusal *ret_refusal)
{
	struct forms forms;
	memset(ret, 0, sizeof *ret);
	if (!read_forms(kind, document, strlen(document), arena, &forms, ret_refusal))
		return false;
	bool agreement = kind == JK_PACT_AGREEMENT;
	(void)jk_text_copy(ret->code, sizeof ret->code, agreement ? forms.agreement.code : forms.task_force.code);
	ret->version = agreement ? forms.agreement.version : forms.task_force.version;
	return true;
}

void jk_pact_digest(uint8_t ret[JK_SHA256_BYTES], const char *text)
{
	const struct jk_span span = {text, strlen(text)};
	jk_sha256(ret, &span, 1);
}
