/* What desks command: cases, duties, units and aid, what they ask about the last three, and the mark that an incident was opened.
 * A command on a case is carried through: decided, done, written. First byte: which, and the state that the case is in. */
#include "cases_command_wire.h"
#include "dispatch_duty_wire.h"
#include "dispatch_opened_wire.h"
#include "dispatch_unit_wire.h"
#include "fuzz.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/duty.pb-c.h"
#include "jukwaa/v1/life.pb-c.h"
#include "jukwaa/v1/unit.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

enum { NOW_S = 1600000000, CODE_MAX = 64 };

static void must_be(const ProtobufCMessageDescriptor *type, struct jk_span packed)
{
	struct jk_refusal refusal;

	fuzz_must(packed.data == NULL || jk_body_check(type, packed.data, packed.size, &refusal));
}

static void write_deed(const struct cases_deed *deed, struct jk_arena *arena)
{
	must_be(&jukwaa__v1__case_entry__descriptor, cases_command_write_detail(deed, arena));
	must_be(&jukwaa__v1__work__descriptor, cases_command_write_work(deed, arena));
	if (deed->other)
		must_be(&jukwaa__v1__case_entry__descriptor, cases_command_write_other(deed, arena));
}

static bool is_same(const struct cases_case *one, const struct cases_case *other)
{
	return one->state == other->state && one->version == other->version && one->entries == other->entries &&
	       memcmp(&one->life, &other->life, sizeof one->life) == 0;
}

/* Refused, it changes nothing; done, the version and the timeline have grown by one, and it leads where the row says. */
static void command_case(const struct jk_request *request, unsigned choice)
{
	struct cases_command command;
	struct jk_refusal refusal = {0};

	if (!cases_command_read(request->message, &command, &refusal)) {
		fuzz_must_say_why(&refusal);
		return;
	}
	struct cases_case subject = {.case_id = command.case_id, .version = 3, .entries = 5};
	struct cases_case other = {.case_id = command.other_id, .version = 3, .entries = 2, .state = CASES_TRIAGED};
	struct cases_task task = {.task_id = command.task_id, .case_id = command.case_id, .state = CASES_TASK_OPEN};
	bool wants_other = cases_life_wants_other(command.action);
	bool wants_task = command.action == CASES_TASK_DONE || command.action == CASES_TASK_CANCEL;
	struct cases_scene scene = {.subject = &subject,
		.other = wants_other ? &other : NULL,
		.task = wants_task ? &task : NULL,
		.actor = {.agency = "KPS", .desk = "KPS-1", .hidden = choice & 1}};

	subject.state = (enum cases_state)(1 + choice % CASES_STATE_MAX);
	subject.life.since_version = 2;
	if (choice & 2)
		(void)jk_text_copy(subject.life.assigned_agency, sizeof subject.life.assigned_agency, "KPS");
	const struct cases_case before = subject, other_before = other;
	const struct cases_life_row *row = cases_life_decide(&scene, &command, &refusal);
	if (row == NULL) {
		fuzz_must_say_why(&refusal);
		fuzz_must(is_same(&subject, &before) && is_same(&other, &other_before));
		return;
	}
	bool tells;
	cases_life_apply(&scene, &command, row, INT64_C(1000000) * NOW_S, &tells);
	fuzz_must(subject.version == before.version + 1 && subject.entries == before.entries + 1 && subject.life.blocking >= -1);
	fuzz_must(subject.state == (row->to == CASES_STATE_NONE ? before.state : row->to));
	write_deed(&(struct cases_deed){.command = &command,
			   .actor = &scene.actor,
			   .row = &subject,
			   .other = scene.other,
			   .from = before.state,
			   .thing_id = command.task_id,
			   .at_us = INT64_C(1000000) * NOW_S},
		request->arena);
}

static void command_duty(const struct jk_request *request, unsigned choice)
{
	struct dispatch_duty_command command = {0};
	struct jk_refusal refusal = {0};
	const struct jk_id duty = dispatch_duty_wire_command_duty(request->message);

	(void)choice;
	if (!dispatch_duty_wire_read_command(request->message, &command, &refusal)) {
		fuzz_must_say_why(&refusal);
		return;
	}
	fuzz_must(command.all || memcmp(duty.bytes, command.duty_id.bytes, sizeof duty.bytes) == 0);
	fuzz_must(strlen(command.reason) <= DISPATCH_REASON_MAX_BYTES && command.version >= 0);
}

static void list_duties(const struct jk_request *request, unsigned choice)
{
	struct dispatch_offer_ask ask;
	struct jk_refusal refusal = {0};

	(void)choice;
	(void)dispatch_duty_wire_list_request(request);
	if (!dispatch_duty_wire_read_list(request, &ask, &refusal))
		fuzz_must_say_why(&refusal);
	else
		fuzz_must(ask.limit > 0 && ask.limit <= DISPATCH_OFFERS_MAX);
}

static void command_unit(const struct jk_request *request, unsigned choice)
{
	struct dispatch_unit_order order = {0};
	struct jk_refusal refusal = {0};

	(void)choice;
	fuzz_must(dispatch_unit_wire_is_unit(request->message));
	if (!dispatch_unit_wire_read(request->message, &order, &refusal))
		fuzz_must_say_why(&refusal);
	else
		fuzz_must(!jk_id_is_zero(&order.unit_id) || strlen(order.code) < CODE_MAX);
}

static void command_aid(const struct jk_request *request, unsigned choice)
{
	struct dispatch_aid_order order = {0};
	struct jk_refusal refusal = {0};

	(void)choice;
	fuzz_must(!dispatch_unit_wire_is_unit(request->message));
	if (!dispatch_unit_wire_read_aid(request->message, &order, &refusal))
		fuzz_must_say_why(&refusal);
	else
		fuzz_must(order.count >= 0 && order.needed_by_us >= 0);
}

static void ask_units(const struct jk_request *request, unsigned choice)
{
	struct dispatch_unit_question question;
	struct jk_refusal refusal = {0};

	(void)choice;
	if (!dispatch_unit_wire_read_question(request->message, &question, &refusal))
		fuzz_must_say_why(&refusal);
	else
		fuzz_must(question.limit <= DISPATCH_UNIT_PAGE_MAX);
}

static void mark_opened(const struct jk_request *request, unsigned choice)
{
	struct jk_id incident;

	(void)choice;
	if (dispatch_opened_wire_incident(request->message, &incident))
		fuzz_must(!jk_id_is_zero(&incident));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const struct {
		const ProtobufCMessageDescriptor *type;
		void (*take)(const struct jk_request *request, unsigned choice);
	} kinds[] = {
		{&jukwaa__v1__case_command__descriptor, command_case},
		{&jukwaa__v1__offer_command__descriptor, command_duty},
		{&jukwaa__v1__offer_list__descriptor, list_duties},
		{&jukwaa__v1__unit_command__descriptor, command_unit},
		{&jukwaa__v1__aid_command__descriptor, command_aid},
		{&jukwaa__v1__unit_list__descriptor, ask_units},
		{&jukwaa__v1__unit_recommend__descriptor, ask_units},
		{&jukwaa__v1__aid_list__descriptor, ask_units},
		{&jukwaa__v1__incident_mark__descriptor, mark_opened},
	};
	static const size_t count = sizeof kinds / sizeof *kinds;
	struct jk_request request = {.arena = fuzz_arena(16 * 1024 * 1024)};
	struct jk_refusal refusal;

	if (size == 0 || jk_crypt_init() != JK_OK)
		return 0;
	request.message = jk_body_unpack(kinds[bytes[0] % count].type, bytes + 1, size - 1, request.arena, &refusal);
	if (request.message)
		kinds[bytes[0] % count].take(&request, (unsigned)(bytes[0] / count));
	return 0;
}
