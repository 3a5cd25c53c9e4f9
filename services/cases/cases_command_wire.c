#include "cases_command_wire.h"

#include <string.h>

#include "base/jk_text.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/life.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

typedef Jukwaa__V1__CaseCommand message_of_command;

_Static_assert((int)CASES_DISPOSITION_REFERRED == (int)JUKWAA__V1__DISPOSITION__DISPOSITION_REFERRED &&
		       (int)CASES_DISPOSITION_MAX == (int)JUKWAA__V1__DISPOSITION__DISPOSITION_NO_RESOURCES &&
		       (int)CASES_PRECEDES == (int)JUKWAA__V1__CASE_RELATION__CASE_RELATION_PRECEDES &&
		       (int)CASES_TASK_CANCELLED == (int)JUKWAA__V1__CASE_TASK_STATE__CASE_TASK_STATE_CANCELLED,
	"numbers as in the .proto files");
_Static_assert((int)JUKWAA__V1__CASE_COMMAND__ACTION_TRIAGE - (int)CASES_TRIAGE ==
			       (int)JUKWAA__V1__CASE_COMMAND__ACTION_EVIDENCE - (int)CASES_EVIDENCE &&
		       (int)JUKWAA__V1__CASE_COMMAND__ACTION_MERGE - (int)CASES_MERGE ==
			       (int)JUKWAA__V1__CASE_COMMAND__ACTION_TRIAGE - (int)CASES_TRIAGE,
	"actions in the order of CaseCommand.action");
enum { ACTION_OFFSET = (int)JUKWAA__V1__CASE_COMMAND__ACTION_TRIAGE - (int)CASES_TRIAGE };

/* Until 2100. */
static const int64_t time_max_us = INT64_C(4102444800000000);

/* ---- reading ------------------------------------------------------------------------------------------------------------ */

static bool read_id(ProtobufCBinaryData bytes, const char *field, struct jk_id *ret, struct jk_refusal *ret_refusal)
{
	if (bytes.len != sizeof ret->bytes)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "an id has 16 bytes");
	memcpy(ret->bytes, bytes.data, sizeof ret->bytes);
	return !jk_id_is_zero(ret) || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "it says no id");
}

static bool read_text(const char *text, const char *field, size_t max, const char **ret, struct jk_refusal *ret_refusal)
{
	*ret = text;
	return strlen(text) <= max || jk_refuse(ret_refusal, JK_CODE_OVERSIZE, field, "at most %zu bytes", max);
}

static bool read_reason(const char *reason, bool wanted, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	if (!read_text(reason, "reason", CASES_REASON_MAX_BYTES, &ret->reason, ret_refusal))
		return false;
	return *reason || !wanted || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "reason", "it wants a reason");
}

/* A code of the registry, or of a social service. */
static bool read_code(const char *code, const char *field, const char **ret, struct jk_refusal *ret_refusal)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

	*ret = code;
	return (strlen(code) < CASES_CODE_BYTES && strspn(code, letters) == strlen(code)) ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, field, "a code is 1 to %d of A-Z 0-9 _ -", CASES_CODE_BYTES - 1);
}

/* The shape of BCP 47 (RFC 5646 §2.1): parts of 1 to 8 letters and digits, the first of letters. */
static bool is_language(const char *tag)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", digits[] = "0123456789";
	size_t size = strspn(tag, letters);

	if (strlen(tag) > 35 || size < 1 || size > 8 || (size == 1 && !strchr("xXiI", *tag)) || (size == 1 && !tag[1]))
		return false;
	for (tag += size; *tag; tag += size) {
		if (*tag++ != '-')
			return false;
		for (size = 0; tag[size] && (strchr(letters, tag[size]) || strchr(digits, tag[size]));)
			size++;
		if (size < 1 || size > 8)
			return false;
	}
	return true;
}

/* Something before a colon, something behind it, nothing that is not written in a URI (RFC 3986). */
static bool is_uri(const char *text)
{
	const char *colon = strchr(text, ':');

	if (!colon || colon == text || !colon[1])
		return false;
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~' || strchr("\"<>\\^`{|}", *c))
			return false;
	return true;
}

/* RFC 6838 §4.2, without parameters. */
static bool is_media_type(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&-^_.+";
	size_t type = strspn(text, letters);

	if (type < 1 || text[type] != '/')
		return false;
	size_t subtype = strspn(text + type + 1, letters);
	return subtype >= 1 && !text[type + 1 + subtype] && strlen(text) <= 127;
}

static bool read_move(const Jukwaa__V1__CaseMove *move, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	bool wanted = ret->action == CASES_HOLD || ret->action == CASES_REOPEN || ret->action == CASES_DECLINE_REFERRAL;

	return read_reason(move->reason, wanted, ret, ret_refusal);
}

static bool read_assign(const Jukwaa__V1__CaseAssign *assign, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	return read_code(assign->agency, "agency", &ret->agency, ret_refusal) &&
	       read_code(assign->desk, "desk", &ret->desk, ret_refusal) && read_reason(assign->reason, false, ret, ret_refusal);
}

static bool read_refer(const Jukwaa__V1__CaseRefer *refer, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	if (!*refer->agency && !*refer->service)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "agency", "say to which agency, or to which service");
	return read_code(refer->agency, "agency", &ret->agency, ret_refusal) &&
	       read_code(refer->service, "service", &ret->service, ret_refusal) &&
	       read_reason(refer->reason, false, ret, ret_refusal);
}

static bool read_resolve(const Jukwaa__V1__CaseResolve *resolve, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	ret->disposition = (int)resolve->disposition;
	if (ret->disposition <= CASES_DISPOSITION_NONE || ret->disposition > CASES_DISPOSITION_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "disposition", "say how it ended");
	return read_reason(resolve->reason, false, ret, ret_refusal);
}

static bool read_merge(const Jukwaa__V1__CaseMerge *merge, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	ret->other_version = merge->into_version;
	return read_id(merge->into_id, "into_id", &ret->other_id, ret_refusal) &&
	       read_reason(merge->reason, false, ret, ret_refusal);
}

static bool read_number(const Jukwaa__V1__CaseNumbered *number, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	if (!*number->number && !*number->ob_number)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "number", "say a number, or an OB number");
	return read_text(number->number, "number", CASES_NUMBER_BYTES - 1, &ret->number, ret_refusal) &&
	       read_text(number->ob_number, "ob_number", CASES_NUMBER_BYTES - 1, &ret->ob_number, ret_refusal);
}

static bool read_link(const Jukwaa__V1__CaseLinkTo *link, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	ret->relation = (enum cases_relation_kind)link->relation;
	if (ret->relation < CASES_RELATED || ret->relation > CASES_PRECEDES)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "relation", "say how they belong together");
	return read_id(link->other_id, "other_id", &ret->other_id, ret_refusal) &&
	       read_reason(link->reason, false, ret, ret_refusal);
}

static bool read_note(const Jukwaa__V1__CaseNote *note, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	if (!*note->text)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "text", "the note is empty");
	ret->language = note->language;
	if (*note->language && !is_language(note->language))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "language", "a BCP 47 tag, such as sw or en-KE");
	return read_text(note->text, "text", CASES_TEXT_MAX_BYTES, &ret->text, ret_refusal);
}

static bool read_task(const Jukwaa__V1__CaseTaskAdd *task, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	ret->due_us = task->due_us;
	ret->blocking = task->blocking;
	if (!*task->title)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "title", "say what is to be done");
	if (task->due_us < 0 || task->due_us > time_max_us)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "due_us", "a time until 2100");
	return read_text(task->title, "title", CASES_TITLE_MAX_BYTES, &ret->text, ret_refusal) &&
	       read_code(task->agency, "agency", &ret->agency, ret_refusal) &&
	       read_code(task->desk, "desk", &ret->desk, ret_refusal);
}

static bool read_task_end(const Jukwaa__V1__CaseTaskEnd *end, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	return read_id(end->task_id, "task_id", &ret->task_id, ret_refusal) && read_reason(end->reason, false, ret, ret_refusal);
}

static bool read_evidence(const Jukwaa__V1__CaseEvidence *evidence, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	if (evidence->digest.len != CASES_DIGEST_BYTES)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "digest", "a SHA-256 of 32 bytes");
	ret->digest = evidence->digest.data;
	ret->media_type = evidence->media_type;
	if (!read_text(evidence->location, "location", CASES_LOCATION_MAX_BYTES, &ret->location, ret_refusal))
		return false;
	if (!is_uri(evidence->location))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "location", "a URI that says where it lies");
	return is_media_type(evidence->media_type) ||
	       jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "media_type", "a media type, such as image/jpeg");
}

static bool read_action(const message_of_command *message, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	switch (ret->action) {
	case CASES_ASSIGN:
		return read_assign(message->assign, ret, ret_refusal);
	case CASES_REFER:
		return read_refer(message->refer, ret, ret_refusal);
	case CASES_RESOLVE:
		return read_resolve(message->resolve, ret, ret_refusal);
	case CASES_MERGE:
		return read_merge(message->merge, ret, ret_refusal);
	case CASES_NUMBER:
		return read_number(message->number, ret, ret_refusal);
	case CASES_LINK:
		return read_link(message->link, ret, ret_refusal);
	case CASES_NOTE:
		return read_note(message->note, ret, ret_refusal);
	case CASES_TASK_ADD:
		return read_task(message->task_add, ret, ret_refusal);
	case CASES_TASK_DONE:
	case CASES_TASK_CANCEL:
		return read_task_end(message->task_done, ret, ret_refusal);
	case CASES_EVIDENCE:
		return read_evidence(message->evidence, ret, ret_refusal);
	default:
		return read_move(message->triage, ret, ret_refusal);
	}
}

bool cases_command_read(const ProtobufCMessage *message, struct cases_command *ret, struct jk_refusal *ret_refusal)
{
	const message_of_command *command = (const void *)message;
	int action = (int)command->action_case - ACTION_OFFSET;

	*ret = (struct cases_command){.version = command->version,
		.reason = "",
		.agency = "",
		.desk = "",
		.service = "",
		.text = "",
		.language = "",
		.number = "",
		.ob_number = "",
		.location = "",
		.media_type = ""};
	if (action < CASES_TRIAGE || action >= CASES_ACTIONS)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "action", "say what is to be done");
	ret->action = (enum cases_action)action;
	if (command->version > INT32_MAX)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "no case has this version");
	return read_id(command->case_id, "case_id", &ret->case_id, ret_refusal) && read_action(command, ret, ret_refusal);
}

uint64_t cases_command_request(const struct jk_request *request)
{
	return ((const message_of_command *)(const void *)request->message)->request;
}

void cases_command_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_COMMAND,
		.type = &jukwaa__v1__case_command__descriptor,
		.roles = 1 << JK_ROLE_DESK | 1 << JK_ROLE_OPERATOR,
		.on_message = on_message,
		.session_offset = offsetof(message_of_command, session),
		.request_offset = offsetof(message_of_command, request),
		.rate_limited = true,
	};
}

/* ---- writing ------------------------------------------------------------------------------------------------------------ */

static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData bytes_of(const void *bytes, size_t size)
{
	return (ProtobufCBinaryData){.len = bytes ? size : 0, .data = (uint8_t *)(uintptr_t)bytes};
}

static ProtobufCBinaryData id_bytes(const struct jk_id *id)
{
	return bytes_of(jk_id_is_zero(id) ? NULL : id->bytes, sizeof id->bytes);
}

static const char *disposition_word(int disposition)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(&jukwaa__v1__disposition__descriptor, disposition);
	return value && disposition > 0 ? value->name + strlen("DISPOSITION_") : "";
}

static struct jk_span pack(const ProtobufCMessage *message, struct jk_arena *arena)
{
	struct jk_span packed;
	packed.data = jk_body_pack(message, arena, &packed.size);
	return packed;
}

/* Whom it was given to: the narrowest that is said. */
static const char *assignee_of(const struct cases_deed *deed)
{
	const struct cases_command *command = deed->command;
	const struct cases_life *life = &deed->row->life;

	switch (command->action) {
	case CASES_ASSIGN:
	case CASES_ACCEPT_REFERRAL:
		return *life->assigned_desk ? life->assigned_desk : life->assigned_agency;
	case CASES_REFER:
		return *command->agency ? command->agency : command->service;
	case CASES_TASK_ADD:
		return *command->desk ? command->desk : command->agency;
	default:
		return "";
	}
}

struct jk_span cases_command_write_detail(const struct cases_deed *deed, struct jk_arena *arena)
{
	Jukwaa__V1__CaseEntry entry = JUKWAA__V1__CASE_ENTRY__INIT;
	const struct cases_command *command = deed->command;

	entry.action = word(cases_life_action_name(command->action));
	if (cases_life_moves(command->action)) {
		entry.from = (Jukwaa__V1__CaseState)deed->from;
		entry.to = (Jukwaa__V1__CaseState)deed->row->state;
	}
	entry.version = (uint32_t)deed->row->version;
	entry.reason = word(command->reason);
	entry.disposition = word(disposition_word(command->disposition));
	entry.assignee = word(assignee_of(deed));
	entry.thing_id = id_bytes(deed->other ? &deed->other->case_id : &deed->thing_id);
	entry.relation = (Jukwaa__V1__CaseRelation)command->relation;
	entry.text = word(command->text);
	entry.language = word(command->language);
	entry.number = word(command->number);
	entry.ob_number = word(command->ob_number);
	entry.digest = bytes_of(command->digest, CASES_DIGEST_BYTES);
	entry.location = word(command->location);
	entry.media_type = word(command->media_type);
	entry.due_us = command->due_us;
	entry.blocking = command->blocking;
	return pack(&entry.base, arena);
}

struct jk_span cases_command_write_other(const struct cases_deed *deed, struct jk_arena *arena)
{
	Jukwaa__V1__CaseEntry entry = JUKWAA__V1__CASE_ENTRY__INIT;

	entry.action = word(cases_life_action_name(deed->command->action));
	entry.version = (uint32_t)deed->other->version;
	entry.reason = word(deed->command->reason);
	entry.thing_id = id_bytes(&deed->row->case_id);
	if (deed->command->action == CASES_LINK)
		entry.relation = (Jukwaa__V1__CaseRelation)cases_life_reverse(deed->command->relation);
	return pack(&entry.base, arena);
}

struct jk_span cases_command_write_work(const struct cases_deed *deed, struct jk_arena *arena)
{
	Jukwaa__V1__Work work = JUKWAA__V1__WORK__INIT;
	Jukwaa__V1__CaseStep step = JUKWAA__V1__CASE_STEP__INIT;

	step.case_id = id_bytes(&deed->row->case_id);
	step.from = (Jukwaa__V1__CaseState)deed->from;
	step.to = (Jukwaa__V1__CaseState)deed->row->state;
	step.version = (uint32_t)deed->row->version;
	step.action = word(cases_life_action_name(deed->command->action));
	step.reason = word(deed->command->reason);
	step.disposition = (Jukwaa__V1__Disposition)deed->command->disposition;
	step.merged_into_id = id_bytes(&deed->row->life.merged_into);
	work.at_us = deed->at_us;
	if (!deed->actor->hidden) {
		step.assignee = word(assignee_of(deed));
		work.agency = word(deed->actor->agency);
		work.desk = word(deed->actor->desk);
	}
	work.step_case = JUKWAA__V1__WORK__STEP_CASE_STEP;
	work.case_step = &step;
	return pack(&work.base, arena);
}

struct jk_span cases_command_write_acted(
	const char *step, const char *agency, const char *desk, int64_t at_us, struct jk_arena *arena)
{
	Jukwaa__V1__Acted acted = JUKWAA__V1__ACTED__INIT;

	acted.step = word(step);
	acted.agency = word(agency);
	acted.desk = word(desk);
	acted.at_us = at_us;
	return pack(&acted.base, arena);
}

/* ---- the table of states ------------------------------------------------------------------------------------------------ */

void cases_states_handler(struct jk_handler *ret, void (*on_message)(void *service, const struct jk_request *request))
{
	*ret = (struct jk_handler){
		.kind = JUKWAA__V1__KIND__KIND_CASE_STATES,
		.type = &jukwaa__v1__case_states__descriptor,
		.roles = 1 << JK_ROLE_DESK | 1 << JK_ROLE_OPERATOR | 1 << JK_ROLE_PUBLISHER,
		.on_message = on_message,
		.session_offset = offsetof(Jukwaa__V1__CaseStates, session),
		.request_offset = offsetof(Jukwaa__V1__CaseStates, request),
	};
}

/* "somebody has it, no open task blocks it" */
static char *write_words(unsigned bits, const char *(*words)(unsigned bit), struct jk_arena *arena)
{
	char *text = jk_arena_printf(arena, "%s", "");

	for (unsigned bit = 1; bit <= bits; bit <<= 1)
		if (bits & bit)
			text = jk_arena_printf(arena, "%s%s%s", text ? text : "", text && *text ? ", " : "", words(bit));
	return text;
}

static Jukwaa__V1__CaseStateRow *write_row(const struct cases_life_row *from, struct jk_arena *arena)
{
	Jukwaa__V1__CaseStateRow *row = jk_arena_alloc(arena, sizeof *row);

	if (!row)
		return NULL;
	jukwaa__v1__case_state_row__init(row);
	row->from = (Jukwaa__V1__CaseState)from->from;
	row->event = word(cases_life_action_name(from->action));
	row->guard = write_words(from->guard, cases_life_guard_words, arena);
	row->to = (Jukwaa__V1__CaseState)from->to;
	row->effects = write_words(from->effects, cases_life_effect_words, arena);
	row->why = word(from->why);
	return row->guard && row->effects ? row : NULL;
}

enum jk_status cases_states_send(struct jk_sessions *sessions, const struct jk_request *request)
{
	Jukwaa__V1__CaseStatesTold told = JUKWAA__V1__CASE_STATES_TOLD__INIT;

	told.session = request->session->number;
	told.request = ((const Jukwaa__V1__CaseStates *)(const void *)request->message)->request;
	told.rows = jk_arena_alloc(request->arena, cases_life_row_count * sizeof *told.rows);
	if (!told.rows)
		return JK_BROKEN;
	for (; told.n_rows < cases_life_row_count; told.n_rows++) {
		told.rows[told.n_rows] = write_row(&cases_life_rows[told.n_rows], request->arena);
		if (!told.rows[told.n_rows])
			return JK_BROKEN;
	}
	return jk_session_send(sessions, request->session, JUKWAA__V1__KIND__KIND_CASE_STATES_TOLD, &told.base);
}
