/* cases_story_wire.c: CaseShown: a case with its story. */
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "cases_story_rules.h"
#include "cases_wire_internal.h"
#include "feed/feed_body.h"
#include "feed/feed_parts.h"
#include "jukwaa/v1/session.pb-c.h"
#include "wire/wire_body.h"
#include "wire/wire_frame.h"

static char *word(const char *text)
{
	return (char *)(uintptr_t)text;
}

static ProtobufCBinaryData id_bytes(const struct jk_id *id)
{
	if (jk_id_is_zero(id))
		return (ProtobufCBinaryData){0};
	return (ProtobufCBinaryData){.len = sizeof id->bytes, .data = (uint8_t *)(uintptr_t)id->bytes};
}

static bool is_known(const struct cases_story *story, ProtobufCBinaryData id)
{
	for (size_t i = 0; i < story->known_count; i++)
		if (id.len == sizeof story->known[i].bytes && memcmp(id.data, story->known[i].bytes, id.len) == 0)
			return true;
	return false;
}

/* A line that is about another case names it to those who may see that one too. */
static void hide_other(const struct cases_story *story, Jukwaa__V1__CaseEntry *entry)
{
	bool about_other = entry->kind == JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_LINKED ||
			   entry->kind == JUKWAA__V1__CASE_ENTRY_KIND__CASE_ENTRY_KIND_TOOK_IN ||
			   entry->to == JUKWAA__V1__CASE_STATE__CASE_STATE_MERGED;

	if (about_other && !is_known(story, entry->thing_id))
		entry->thing_id = (ProtobufCBinaryData){0};
}

/* What the line says beside its columns is stored as a message of this type; one that is none says nothing. */
static Jukwaa__V1__CaseEntry *write_entry(const struct cases_story *story, const struct cases_entry *from, struct jk_arena *arena)
{
	struct jk_refusal refusal;
	Jukwaa__V1__CaseEntry *entry = NULL;

	if (from->detail)
		entry = (void *)jk_body_unpack(
			&jukwaa__v1__case_entry__descriptor, from->detail, from->detail_size, arena, &refusal);
	if (!entry) {
		entry = jk_arena_alloc(arena, sizeof *entry);
		if (!entry)
			return NULL;
		jukwaa__v1__case_entry__init(entry);
	}
	entry->entry_no = (uint32_t)from->entry_no;
	entry->at_us = from->at_us;
	entry->kind = (Jukwaa__V1__CaseEntryKind)from->kind;
	entry->event_id = id_bytes(&from->event_id);
	entry->case_id = id_bytes(&from->case_id);
	entry->revision = from->revision;
	entry->agency = word(from->agency);
	entry->by_agency = word(from->actor_agency);
	entry->by_desk = word(from->actor_desk);
	/* Who is hidden is so as an assignee too. */
	if (from->hidden && !*from->actor_agency)
		entry->assignee = word("");
	hide_other(story, entry);
	return entry;
}

static bool write_timeline(const struct cases_story *story, struct jk_arena *arena, Jukwaa__V1__CaseShown *reply)
{
	reply->timeline = cases_wire_alloc_pointers(arena, story->entry_count);
	for (; reply->timeline && reply->n_timeline < story->entry_count; reply->n_timeline++) {
		reply->timeline[reply->n_timeline] = write_entry(story, &story->entries[reply->n_timeline], arena);
		if (!reply->timeline[reply->n_timeline])
			return false;
	}
	return reply->timeline != NULL;
}

static bool write_tasks(const struct cases_story *story, struct jk_arena *arena, Jukwaa__V1__CaseShown *reply)
{
	Jukwaa__V1__CaseTask *tasks = jk_arena_alloc(arena, (story->task_count + 1) * sizeof *tasks);
	int64_t now_us = jk_time_now_us();

	reply->tasks = cases_wire_alloc_pointers(arena, story->task_count);
	if (!tasks || !reply->tasks)
		return false;
	for (; reply->n_tasks < story->task_count; reply->n_tasks++) {
		const struct cases_task *from = &story->tasks[reply->n_tasks];
		Jukwaa__V1__CaseTask *task = reply->tasks[reply->n_tasks] = &tasks[reply->n_tasks];

		jukwaa__v1__case_task__init(task);
		task->task_id = id_bytes(&from->task_id);
		task->title = word(from->title);
		task->agency = word(from->agency);
		task->desk = word(from->desk);
		task->due_us = from->due_us;
		task->blocking = from->blocking;
		task->state = (Jukwaa__V1__CaseTaskState)from->state;
		task->made_at_us = from->made_at_us;
		task->ended_at_us = from->ended_at_us;
		task->late = from->state == CASES_TASK_OPEN && from->due_us != 0 && from->due_us < now_us;
	}
	return true;
}

/* The publisher's own OB number as its report says it, where that is shown. NULL: none. */
static const Jukwaa__V1__Identity *read_identity(const Jukwaa__V1__EventBody *incident, struct jk_arena *arena)
{
	struct jk_span packed = {0};
	struct jk_refusal refusal;

	if (!incident || !jk_parts_merge(incident, JK_GROUP_IDENTITY, arena, &packed) || packed.size == 0)
		return NULL;
	return (const void *)jk_body_unpack(&jukwaa__v1__identity__descriptor, packed.data, packed.size, arena, &refusal);
}

static bool write_numbers(const struct cases_story *story, struct jk_arena *arena, Jukwaa__V1__CaseShown *reply)
{
	Jukwaa__V1__CaseNumber *numbers = jk_arena_alloc(arena, (story->number_count + 1) * sizeof *numbers);
	const Jukwaa__V1__Identity *identity = read_identity(reply->incident, arena);

	reply->numbers = cases_wire_alloc_pointers(arena, story->number_count + 1);
	if (!numbers || !reply->numbers)
		return false;
	if (identity && *identity->ob_number) {
		jukwaa__v1__case_number__init(numbers);
		numbers->agency = identity->agency;
		numbers->ob_number = identity->ob_number;
		reply->numbers[reply->n_numbers++] = numbers++;
	}
	for (size_t i = 0; i < story->number_count; i++, numbers++) {
		jukwaa__v1__case_number__init(numbers);
		numbers->agency = word(story->numbers[i].agency);
		numbers->number = word(story->numbers[i].number);
		numbers->ob_number = word(story->numbers[i].ob_number);
		reply->numbers[reply->n_numbers++] = numbers;
	}
	return true;
}

static bool write_others(const struct cases_story *story, struct jk_arena *arena, Jukwaa__V1__CaseShown *reply)
{
	Jukwaa__V1__CaseLink *links = jk_arena_alloc(arena, (story->link_count + 1) * sizeof *links);

	reply->links = cases_wire_alloc_pointers(arena, story->link_count);
	reply->took_in_ids = jk_arena_alloc(arena, (story->took_in_count + 1) * sizeof *reply->took_in_ids);
	if (!links || !reply->links || !reply->took_in_ids)
		return false;
	for (; reply->n_links < story->link_count; reply->n_links++) {
		Jukwaa__V1__CaseLink *link = reply->links[reply->n_links] = &links[reply->n_links];

		jukwaa__v1__case_link__init(link);
		link->other_id = id_bytes(&story->links[reply->n_links].other.case_id);
		link->relation = (Jukwaa__V1__CaseRelation)story->links[reply->n_links].relation;
		link->at_us = story->links[reply->n_links].at_us;
	}
	for (; reply->n_took_in_ids < story->took_in_count; reply->n_took_in_ids++)
		reply->took_in_ids[reply->n_took_in_ids] = id_bytes(&story->took_in[reply->n_took_in_ids].case_id);
	return true;
}

static bool is_too_much(const Jukwaa__V1__CaseShown *reply)
{
	return protobuf_c_message_get_packed_size(&reply->base) > JK_BODY_MAX_BYTES;
}

/* That it is there, and who made it: as a line whose detail was not read. */
static void make_bare(Jukwaa__V1__CaseEntry *entry)
{
	Jukwaa__V1__CaseEntry bare = JUKWAA__V1__CASE_ENTRY__INIT;

	bare.entry_no = entry->entry_no;
	bare.at_us = entry->at_us;
	bare.kind = entry->kind;
	bare.event_id = entry->event_id;
	bare.case_id = entry->case_id;
	bare.revision = entry->revision;
	bare.agency = entry->agency;
	bare.by_agency = entry->by_agency;
	bare.by_desk = entry->by_desk;
	*entry = bare;
}

/* Where all of it with the body is more than a message holds, the older half of the lines goes without what is long, then the
 * older half of the rest; where that is not enough, without the lines; at last without tasks and links. */
static void cut(Jukwaa__V1__CaseShown *reply)
{
	for (size_t at = 0, until; at < reply->n_timeline && is_too_much(reply);)
		for (until = at + (reply->n_timeline - at + 1) / 2; at < until; at++)
			if (protobuf_c_message_get_packed_size(&reply->timeline[at]->base) > CASES_DETAIL_SHORT_BYTES)
				make_bare(reply->timeline[at]);
	while (reply->n_timeline > 0 && is_too_much(reply)) {
		size_t leave = (reply->n_timeline + 1) / 2;
		reply->timeline += leave;
		reply->n_timeline -= leave;
	}
	if (is_too_much(reply))
		reply->n_tasks = reply->n_links = 0;
}

bool cases_wire_pack_shown(const struct jk_request *request, const struct cases_shown *shown, const struct cases_story *story,
	const struct cases_body *body, struct cases_packed *ret_packed)
{
	Jukwaa__V1__CaseShown reply = JUKWAA__V1__CASE_SHOWN__INIT;
	struct jk_arena *arena = request->arena;

	reply.session = request->session->number;
	reply.request = cases_wire_request(request);
	reply.summary = cases_wire_write_summary(shown, arena);
	reply.incident = body->bytes ? jk_body_copy(body->bytes, body->size, body->withheld, arena) : NULL;
	if (!reply.summary || (body->bytes && !reply.incident) || !write_timeline(story, arena, &reply) ||
		!write_tasks(story, arena, &reply) || !write_numbers(story, arena, &reply) || !write_others(story, arena, &reply))
		return false;
	cut(&reply);
	return cases_wire_pack(JUKWAA__V1__KIND__KIND_CASE_SHOWN, &reply.base, ret_packed);
}
