/* cases_command_decide.c: who may, what the rules say, and what is written of it: command by command. */
#include <string.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "cases_command_batch.h"
#include "cases_rules.h"
#include "cases_sight.h"
#include "feed/feed_body.h"

/* Events of one batch: the same body once for each county. One command is done whatever it takes. */
enum { EVENTS_MAX_BYTES = 64 * 1024 * 1024 };

/* One command at hand. */
struct hand {
	struct cases_command_batch *batch;
	const struct jk_registry *registry;
	const struct jk_registry_key *key;
	struct jk_command *queued;
	struct cases_command *command;
	struct cases_seat *seat, *other;
	struct cases_scene scene;
	const struct cases_life_row *row;
	size_t task; /* index + 1 */
};

static bool refuse(struct hand *hand, enum jk_code code, const char *field, const char *reason)
{
	return jk_refuse(&hand->queued->refusal, code, field, "%s", reason);
}

/* ---- done before? -------------------------------------------------------------------------------------------------------- */

static void answer_again(struct hand *hand, const struct jk_command_answer *answer, bool same)
{
	if (!same) {
		(void)refuse(hand, JK_CODE_RULE_VIOLATION, "command_id", "another command was sent under this id");
		return;
	}
	hand->queued->answer = *answer;
	hand->queued->answer.repeated = true;
	hand->batch->repeated++;
}

static bool was_stored(struct hand *hand)
{
	const struct cases_command_batch *batch = hand->batch;

	for (size_t i = 0; i < batch->done_count; i++) {
		const struct cases_done_command *done = &batch->done[i];
		struct jk_command_answer answer = {.thing_id = done->thing_id, .version = (uint32_t)done->version};

		if (!jk_id_equal(&done->command_id, &hand->queued->command_id))
			continue;
		(void)jk_text_copy(answer.state, sizeof answer.state, cases_life_state_name(done->state));
		(void)jk_text_copy(answer.number, sizeof answer.number, done->number);
		answer_again(hand, &answer, memcmp(done->digest, hand->queued->digest, sizeof done->digest) == 0);
		return true;
	}
	return false;
}

/* By one that stands before it in the batch. What was refused there did nothing, and is decided anew. */
static bool was_just_done(struct hand *hand, size_t before)
{
	for (size_t i = 0; i < before; i++) {
		const struct jk_command *earlier = hand->batch->queued[i];

		if (!jk_id_equal(&earlier->command_id, &hand->queued->command_id) || earlier->refusal.code != JK_CODE_NONE)
			continue;
		answer_again(hand, &earlier->answer, memcmp(earlier->digest, hand->queued->digest, sizeof earlier->digest) == 0);
		return true;
	}
	return false;
}

/* ---- who may ------------------------------------------------------------------------------------------------------------- */

static bool may_see(const struct hand *hand, const struct cases_seat *seat)
{
	return seat && seat->row.version > 0 && cases_sight_of_key(hand->registry, hand->key, JK_USE_CASE, &seat->row).allowed;
}

/* Of the case, or of the other one: the same answer for what is not there and for what may not be seen. */
static bool check_case(struct hand *hand, const struct cases_seat *seat, const char *field, struct cases_sight *ret_sight)
{
	if (!may_see(hand, seat))
		return refuse(hand, JK_CODE_NOT_FOUND, field, "there is no such case, or not for you");
	if (!hand->key->desk)
		return refuse(hand, JK_CODE_NOT_PERMITTED, field, "it takes a desk to act");
	*ret_sight = cases_sight_of_key(hand->registry, hand->key, JK_USE_RESPOND, &seat->row);
	return ret_sight->allowed || refuse(hand, JK_CODE_NOT_PERMITTED, field, "your agreements let you see it, not act on it");
}

static bool check_actor(struct hand *hand)
{
	struct cases_sight sight = {0}, other_sight = {0};
	struct cases_seat *into = NULL;

	hand->key = jk_registry_find_key(hand->registry, hand->queued->curve_key);
	if (!hand->key || jk_registry_key_standing(hand->key, jk_time_now_us()) != JK_STANDING_GOOD)
		return refuse(hand, JK_CODE_REVOKED, NULL, "the key is not in force any more");
	if (!check_case(hand, hand->seat, "case_id", &sight))
		return false;
	if (cases_life_wants_other(hand->command->action) &&
		!check_case(hand, hand->other, hand->command->action == CASES_MERGE ? "into_id" : "other_id", &other_sight))
		return false;
	into = cases_batch_seat(hand->batch, &hand->seat->row.life.merged_into);
	hand->scene = (struct cases_scene){
		.subject = &hand->seat->row,
		.other = hand->other ? &hand->other->row : NULL,
		.task = hand->task ? &hand->batch->tasks[hand->task - 1] : NULL,
		.actor = {.agency = hand->key->agency->code,
			.desk = hand->key->desk->code,
			.key_id = hand->key->key_id,
			.hidden = sight.hides || other_sight.hides},
		.names_merged = may_see(hand, into),
	};
	return true;
}

/* ---- whom it names ------------------------------------------------------------------------------------------------------- */

static const struct jk_desk *find_desk(const struct jk_registry *registry, const char *code)
{
	for (size_t i = 0; i < registry->desk_count; i++)
		if (strcmp(registry->desks[i].code, code) == 0)
			return &registry->desks[i];
	return NULL;
}

/* A desk of the agency that may answer for the case. */
static bool agency_may(struct hand *hand, const struct jk_agency *agency)
{
	for (size_t i = 0; i < hand->registry->desk_count; i++)
		if (hand->registry->desks[i].agency == agency &&
			cases_sight_desk_may(hand->registry, &hand->registry->desks[i], JK_USE_RESPOND, &hand->seat->row,
				&hand->scene.actor.hidden))
			return true;
	return false;
}

/* What is given to somebody who can neither see nor act would lie there for ever. Where it must not be known who it is, the whole
 * step names nobody. */
static bool check_desk(struct hand *hand)
{
	struct cases_command *command = hand->command;
	const struct jk_desk *desk = find_desk(hand->registry, command->desk);

	if (!desk || desk->revoked || (*command->agency && strcmp(desk->agency->code, command->agency) != 0))
		return refuse(hand, JK_CODE_RULE_VIOLATION, "desk", "there is no such desk, or not of this agency");
	command->agency = desk->agency->code;
	return cases_sight_desk_may(hand->registry, desk, JK_USE_RESPOND, &hand->seat->row, &hand->scene.actor.hidden) ||
	       refuse(hand, JK_CODE_RULE_VIOLATION, "desk", "no agreement lets this desk act on the case");
}

static bool check_agency(struct hand *hand)
{
	const struct jk_agency *agency = jk_registry_find_agency(hand->registry, hand->command->agency);

	if (!agency || agency->revoked)
		return refuse(hand, JK_CODE_RULE_VIOLATION, "agency", "there is no such agency");
	return agency_may(hand, agency) ||
	       refuse(hand, JK_CODE_RULE_VIOLATION, "agency", "no agreement lets this agency act on the case");
}

/* A task that names nobody is the desk's own. (The rules see to a case that is.) */
static bool check_named(struct hand *hand)
{
	struct cases_command *command = hand->command;

	if (command->action == CASES_TASK_ADD && !*command->agency && !*command->desk) {
		command->agency = hand->scene.actor.agency;
		command->desk = hand->scene.actor.desk;
	}
	if (*command->desk)
		return check_desk(hand);
	return !*command->agency || check_agency(hand);
}

/* ---- numbers and links --------------------------------------------------------------------------------------------------- */

static bool check_number(struct hand *hand)
{
	const struct cases_command_batch *batch = hand->batch;

	for (size_t i = 0; *hand->command->number && i < batch->number_count; i++)
		if (!jk_id_equal(&batch->numbers[i].case_id, &hand->seat->row.case_id) &&
			strcmp(batch->numbers[i].agency, hand->scene.actor.agency) == 0 &&
			strcmp(batch->numbers[i].number, hand->command->number) == 0)
			return refuse(hand, JK_CODE_TAKEN, "number", "your agency has given this number to another case");
	return true;
}

static void put_number(struct hand *hand)
{
	struct cases_command_batch *batch = hand->batch;
	size_t at = 0;

	while (at < batch->number_count && (!jk_id_equal(&batch->numbers[at].case_id, &hand->seat->row.case_id) ||
						   strcmp(batch->numbers[at].agency, hand->scene.actor.agency) != 0))
		at++;
	if (at == batch->number_count)
		batch->number_count++;
	struct cases_known_number *number = &batch->numbers[at];
	number->case_id = hand->seat->row.case_id;
	(void)jk_text_copy(number->agency, sizeof number->agency, hand->scene.actor.agency);
	(void)jk_text_copy(number->number, sizeof number->number, hand->command->number);
	(void)jk_text_copy(number->ob_number, sizeof number->ob_number, hand->command->ob_number);
	batch->numbered[at] = true;
}

static bool check_link(struct hand *hand)
{
	const struct cases_command_batch *batch = hand->batch;

	for (size_t i = 0; i < batch->link_count; i++)
		if (jk_id_equal(&batch->links[i].case_id, &hand->command->case_id) &&
			jk_id_equal(&batch->links[i].other_id, &hand->command->other_id) &&
			batch->links[i].relation == hand->command->relation)
			return refuse(hand, JK_CODE_WRONG_STATE, "other_id", "they are linked like this already");
	return batch->link_count + 2 <= CASES_LINKS_MAX ||
	       refuse(hand, JK_CODE_UNAVAILABLE, NULL, "too many links at once; send it again");
}

static void put_link(struct hand *hand)
{
	struct cases_command_batch *batch = hand->batch;
	const struct cases_known_link there = {hand->command->case_id, hand->command->other_id, hand->command->relation};
	const struct cases_known_link back = {there.other_id, there.case_id, cases_life_reverse(hand->command->relation)};

	batch->links[batch->link_count++] = there;
	batch->links[batch->link_count++] = back;
	cases_deeds_link(&batch->deeds, &there, batch->now_us);
	cases_deeds_link(&batch->deeds, &back, batch->now_us);
}

/* ---- what is written of it ------------------------------------------------------------------------------------------------ */

static enum cases_entry_kind entry_kind(enum cases_action action)
{
	switch (action) {
	case CASES_NUMBER:
		return CASES_ENTRY_NUMBERED;
	case CASES_LINK:
		return CASES_ENTRY_LINKED;
	case CASES_NOTE:
		return CASES_ENTRY_NOTE;
	case CASES_TASK_ADD:
	case CASES_TASK_DONE:
	case CASES_TASK_CANCEL:
		return CASES_ENTRY_TASK;
	case CASES_EVIDENCE:
		return CASES_ENTRY_EVIDENCE;
	default:
		return CASES_ENTRY_MOVED;
	}
}

static void enter(struct hand *hand, const struct cases_case *row, enum cases_entry_kind kind, const struct jk_id *event_id,
	struct jk_span detail, struct jk_id thing_id)
{
	bool first = row == &hand->seat->row;
	struct cases_line line = {
		.entry = {.case_id = row->case_id,
			.event_id = *event_id,
			.entry_no = row->entries,
			.at_us = hand->batch->now_us,
			.kind = kind,
			.revision = row->revision,
			.hidden = hand->scene.actor.hidden,
			.detail = detail.data,
			.detail_size = detail.size},
		.key_id = hand->scene.actor.key_id,
		.command_id = first ? &hand->queued->command_id : NULL,
		.digest = first ? hand->queued->digest : NULL,
		.version = row->version,
		.state = row->state,
		.thing_id = thing_id,
		.number = hand->command->number,
	};
	(void)jk_text_copy(line.entry.agency, sizeof line.entry.agency, row->labels.agency);
	(void)jk_text_copy(line.entry.actor_agency, sizeof line.entry.actor_agency, hand->scene.actor.agency);
	(void)jk_text_copy(line.entry.actor_desk, sizeof line.entry.actor_desk, hand->scene.actor.desk);
	cases_deeds_enter(&hand->batch->deeds, &line);
}

/* One event in each county that the newest report is in: the incident as it is known, and what was done. */
static void append_event(struct hand *hand, const struct jk_id *event_id, struct jk_span work)
{
	const struct cases_newest *newest = &hand->seat->newest;
	char counties[JK_COUNTY_MAX][JK_COUNTY_BYTES];
	size_t count = cases_county_list(newest->counties, counties);
	uint8_t commitment[JK_SHA256_BYTES];
	struct jk_append_event event = {.event_id = *event_id,
		.incident_id = hand->seat->row.case_id,
		.kind = JK_EVENT_CASE_STATE,
		.revision = newest->revision,
		.tlp = newest->tlp,
		.category = newest->category,
		.commitment = commitment};

	if (!hand->seat->has_newest || !work.data ||
		jk_body_add_work((struct jk_span){.data = newest->body, .size = newest->size}, work, hand->batch->arena,
			commitment, &event.body, &event.body_size) != JK_OK) {
		hand->batch->silent++;
		return;
	}
	for (size_t i = 0; i < count; i++) {
		event.stream = counties[i];
		jk_append_add(&hand->batch->append, &event);
	}
	hand->batch->event_bytes += event.body_size * count;
}

static void put_mail(struct hand *hand)
{
	struct cases_command_batch *batch = hand->batch;
	const struct cases_actor *actor = &hand->scene.actor;
	size_t at = 0;

	while (at < batch->mail_count && (batch->mails[at].seat != hand->seat || batch->mails[at].step != hand->seat->row.state))
		at++;
	if (at == batch->mail_count)
		batch->mail_count++;
	struct cases_mail *mail = &batch->mails[at];
	*mail = (struct cases_mail){.seat = hand->seat, .step = hand->seat->row.state};
	(void)jk_text_copy(mail->agency, sizeof mail->agency, actor->hidden ? "" : actor->agency);
	(void)jk_text_copy(mail->desk, sizeof mail->desk, actor->hidden ? "" : actor->desk);
}

static void append_mail(struct cases_command_batch *batch, const struct cases_mail *mail, const struct jk_registry *registry)
{
	const struct cases_case *row = &mail->seat->row;
	const struct jk_agency *owner = jk_registry_find_agency(registry, row->labels.agency);

	jk_arena_reset(batch->arena);
	struct jk_span body = cases_command_write_acted(
		cases_life_state_name(mail->step), mail->agency, mail->desk, batch->now_us, batch->arena);
	if (!owner || !body.data)
		return;
	jk_append_add_mail(&batch->append, &(struct jk_append_mail){.agency = owner->code,
						   .incident_id = row->case_id,
						   .kind = JK_EVENT_ACTED,
						   .revision = row->revision,
						   .tlp = row->labels.tlp,
						   .category = row->labels.category,
						   .body = body});
}

static void add_task(struct hand *hand, struct jk_id task_id)
{
	struct cases_task task = {.task_id = task_id,
		.case_id = hand->seat->row.case_id,
		.due_us = hand->command->due_us,
		.made_at_us = hand->batch->now_us,
		.blocking = hand->command->blocking,
		.hidden = hand->scene.actor.hidden};

	(void)jk_text_copy(task.title, sizeof task.title, hand->command->text);
	(void)jk_text_copy(task.agency, sizeof task.agency, hand->command->agency);
	(void)jk_text_copy(task.desk, sizeof task.desk, hand->command->desk);
	cases_deeds_add_task(&hand->batch->deeds, &task);
}

/* What the command was about or has made. */
static struct jk_id thing_of(const struct hand *hand, const struct jk_id *event_id)
{
	switch (hand->command->action) {
	case CASES_NOTE:
	case CASES_EVIDENCE:
		return *event_id;
	case CASES_TASK_ADD:
		return jk_id_new();
	case CASES_TASK_DONE:
	case CASES_TASK_CANCEL:
		return hand->command->task_id;
	default:
		return hand->seat->row.case_id;
	}
}

static void write_deed(struct hand *hand, enum cases_state from, bool tells)
{
	struct cases_command_batch *batch = hand->batch;
	enum cases_action action = hand->command->action;
	struct jk_id event_id = jk_id_new();
	struct cases_deed deed = {.command = hand->command,
		.actor = &hand->scene.actor,
		.row = &hand->seat->row,
		.other = hand->other ? &hand->other->row : NULL,
		.from = from,
		.thing_id = thing_of(hand, &event_id),
		.at_us = batch->now_us};

	jk_arena_reset(batch->arena);
	enter(hand, deed.row, entry_kind(action), &event_id, cases_command_write_detail(&deed, batch->arena), deed.thing_id);
	if (deed.other)
		enter(hand, deed.other, action == CASES_MERGE ? CASES_ENTRY_TOOK_IN : CASES_ENTRY_LINKED, &event_id,
			cases_command_write_other(&deed, batch->arena), deed.row->case_id);
	if (cases_life_moves(action))
		append_event(hand, &event_id, cases_command_write_work(&deed, batch->arena));
	if (tells)
		put_mail(hand);
	if (action == CASES_TASK_ADD)
		add_task(hand, deed.thing_id);
	if (hand->task)
		batch->task_ended[hand->task - 1] = true;
	if (action == CASES_NUMBER)
		put_number(hand);
	if (action == CASES_LINK)
		put_link(hand);
	hand->queued->answer.thing_id = deed.thing_id;
}

/* ---- one command --------------------------------------------------------------------------------------------------------- */

/* The bodies of all that is moved at once are bounded; the first one always goes. */
static bool check_room(struct hand *hand)
{
	const struct cases_seat *seat = hand->seat;
	size_t bytes = seat->newest.size * (size_t)__builtin_popcountll(seat->newest.counties);

	if (!cases_life_moves(hand->command->action) || !seat->has_newest)
		return true;
	if (seat->newest.body && (hand->batch->event_bytes == 0 || hand->batch->event_bytes + bytes <= EVENTS_MAX_BYTES))
		return true;
	return refuse(hand, JK_CODE_UNAVAILABLE, NULL, "too much at once; send it again, under the same command_id");
}

static bool check(struct hand *hand)
{
	enum cases_action action = hand->command->action;

	if (!check_actor(hand) || !(hand->row = cases_life_decide(&hand->scene, hand->command, &hand->queued->refusal)))
		return false;
	return check_named(hand) && (action != CASES_NUMBER || check_number(hand)) &&
	       (action != CASES_LINK || check_link(hand)) && check_room(hand);
}

static size_t find_task(const struct cases_command_batch *batch, const struct cases_command *command)
{
	if (command->action != CASES_TASK_DONE && command->action != CASES_TASK_CANCEL)
		return 0;
	for (size_t i = 0; i < batch->task_count; i++)
		if (jk_id_equal(&batch->tasks[i].task_id, &command->task_id))
			return i + 1;
	return 0;
}

static void decide_one(struct cases_command_batch *batch, const struct jk_registry *registry, size_t i)
{
	struct cases_command *command = &batch->commands[i];
	struct hand hand = {.batch = batch,
		.registry = registry,
		.queued = batch->queued[i],
		.command = command,
		.seat = cases_batch_seat(batch, &command->case_id),
		.other = cases_life_wants_other(command->action) ? cases_batch_seat(batch, &command->other_id) : NULL,
		.task = find_task(batch, command)};
	bool tells;

	if (was_stored(&hand) || was_just_done(&hand, i))
		return;
	if (!check(&hand))
		return;
	enum cases_state from = hand.seat->row.state;
	cases_life_apply(&hand.scene, command, hand.row, batch->now_us, &tells);
	write_deed(&hand, from, tells);
	hand.queued->answer.version = (uint32_t)hand.seat->row.version;
	(void)jk_text_copy(
		hand.queued->answer.state, sizeof hand.queued->answer.state, cases_life_state_name(hand.seat->row.state));
	(void)jk_text_copy(hand.queued->answer.number, sizeof hand.queued->answer.number, command->number);
	batch->done_anew++;
}

void cases_command_decide(struct cases_command_batch *batch, const struct jk_registry *registry)
{
	batch->mail_count = batch->event_bytes = batch->done_anew = batch->repeated = batch->refused = batch->silent = 0;
	cases_deeds_reset(&batch->deeds);
	jk_append_reset(&batch->append);
	for (size_t i = 0; i < batch->count; i++) {
		decide_one(batch, registry, i);
		batch->refused += batch->queued[i]->refusal.code != JK_CODE_NONE;
	}
	for (size_t i = 0; i < batch->mail_count; i++)
		append_mail(batch, &batch->mails[i], registry);
}
