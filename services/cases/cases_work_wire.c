#include "cases_work_wire.h"

#include <string.h>

#include "base/jk_text.h"
#include "feed/feed_body.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/work.pb-c.h"
#include "wire/wire_body.h"

/* The name of an enum's value without what all its names begin with; "" for none of ours and for 0. */
static char *word_of(const ProtobufCEnumDescriptor *type, int number, const char *prefix)
{
	const ProtobufCEnumValue *value = protobuf_c_enum_descriptor_get_value(type, number);
	return value && number != 0 ? (char *)(uintptr_t)value->name + strlen(prefix) : (char *)(uintptr_t) "";
}

static char *disposition_word(Jukwaa__V1__Disposition disposition)
{
	return word_of(&jukwaa__v1__disposition__descriptor, (int)disposition, "DISPOSITION_");
}

static void read_duty(const Jukwaa__V1__DutyStep *step, Jukwaa__V1__CaseEntry *entry, struct cases_work *ret)
{
	entry->thing_id = step->duty_id;
	entry->action = word_of(&jukwaa__v1__duty_action__descriptor, (int)step->action, "DUTY_ACTION_");
	entry->county = step->county;
	entry->discipline = step->discipline;
	entry->assignee = *step->desk ? step->desk : step->role;
	entry->due_us = step->due_us;
	entry->reason = step->reason;
	entry->disposition = disposition_word(step->disposition);
	if (step->action == JUKWAA__V1__DUTY_ACTION__DUTY_ACTION_ACCEPTED)
		ret->milestone = CASES_WAS_ACCEPTED;
}

static void read_unit(const Jukwaa__V1__UnitStep *step, Jukwaa__V1__CaseEntry *entry, struct cases_work *ret)
{
	entry->thing_id = step->assignment_id;
	entry->action = word_of(&jukwaa__v1__unit_state__descriptor, (int)step->to, "UNIT_STATE_");
	entry->unit = step->unit;
	entry->discipline = step->discipline;
	entry->reason = step->reason;
	if (step->to == JUKWAA__V1__UNIT_STATE__UNIT_STATE_DISPATCHED)
		ret->milestone = CASES_WAS_DISPATCHED;
	else if (step->to == JUKWAA__V1__UNIT_STATE__UNIT_STATE_ON_SCENE)
		ret->milestone = CASES_WAS_ON_SCENE;
}

static void read_aid(const Jukwaa__V1__AidStep *step, Jukwaa__V1__CaseEntry *entry)
{
	entry->thing_id = step->aid_id;
	entry->action = word_of(&jukwaa__v1__aid_state__descriptor, (int)step->to, "AID_STATE_");
	entry->capability = step->capability;
	entry->count = step->count;
	entry->assignee = step->giver;
	entry->reason = step->reason;
}

/* False: what it says is not what its event's kind promises. */
static bool read_step(enum jk_event_kind kind, const Jukwaa__V1__Work *work, Jukwaa__V1__CaseEntry *entry, struct cases_work *ret)
{
	if (kind == JK_EVENT_DUTY && work->step_case == JUKWAA__V1__WORK__STEP_DUTY_STEP)
		read_duty(work->duty_step, entry, ret);
	else if (kind == JK_EVENT_UNIT && work->step_case == JUKWAA__V1__WORK__STEP_UNIT_STEP)
		read_unit(work->unit_step, entry, ret);
	else if (kind == JK_EVENT_AID && work->step_case == JUKWAA__V1__WORK__STEP_AID_STEP)
		read_aid(work->aid_step, entry);
	else
		return false;
	return true;
}

static const Jukwaa__V1__Work *find_work(const uint8_t *body, size_t size, struct jk_arena *arena)
{
	struct jk_refusal refusal;
	const Jukwaa__V1__EventBody *unpacked =
		(const void *)jk_body_unpack(&jukwaa__v1__event_body__descriptor, body, size, arena, &refusal);
	struct jk_span packed = unpacked ? jk_body_work(unpacked) : (struct jk_span){0};

	if (packed.size == 0)
		return NULL;
	return (const void *)jk_body_unpack(&jukwaa__v1__work__descriptor, packed.data, packed.size, arena, &refusal);
}

bool cases_work_read(enum jk_event_kind kind, const uint8_t *body, size_t size, struct jk_arena *arena, struct cases_work *ret)
{
	Jukwaa__V1__CaseEntry entry = JUKWAA__V1__CASE_ENTRY__INIT;
	const Jukwaa__V1__Work *work = find_work(body, size, arena);

	*ret = (struct cases_work){0};
	if (!work || !read_step(kind, work, &entry, ret))
		return false;
	ret->at_us = work->at_us;
	(void)jk_text_copy(ret->agency, sizeof ret->agency, work->agency);
	(void)jk_text_copy(ret->desk, sizeof ret->desk, work->desk);
	/* Longer than any that keeps to work.proto: then the line says the action alone. */
	if (protobuf_c_message_get_packed_size(&entry.base) > sizeof ret->detail) {
		char *action = entry.action;
		jukwaa__v1__case_entry__init(&entry);
		entry.action = action;
	}
	ret->detail_size = protobuf_c_message_pack(&entry.base, ret->detail);
	return true;
}
