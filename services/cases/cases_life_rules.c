#include "cases_life_rules.h"

#include <string.h>

#include "base/jk_text.h"

#define ASSIGNED_AND_FREE (CASES_HAS_ASSIGNEE | CASES_NOTHING_BLOCKS)
#define OTHER (CASES_OTHER_GOES_ON | CASES_TOOK_NONE_IN)
#define TAKES (CASES_SETS_ASSIGNEE | CASES_CLEARS_REFERRAL | CASES_TELLS_OWNER_FIRST)
#define STARTS (CASES_STAMPS_STARTED | CASES_TELLS_OWNER_FIRST)
#define ENDS (CASES_STAMPS_RESOLVED | CASES_CLEARS_REFERRAL | CASES_TELLS_OWNER)
#define REOPENS (CASES_CLEARS_ENDING | CASES_CLEARS_ASSIGNEE)

const struct cases_life_row cases_life_rows[] = {
	/* clang-format off */
	/* from             action                  guard                  to                 effects                why */
	{CASES_NEW,         CASES_TRIAGE,           CASES_FREELY,          CASES_TRIAGED,     CASES_STAMPS_TRIAGED,  "somebody has looked at it"},
	{CASES_REOPENED,    CASES_TRIAGE,           CASES_FREELY,          CASES_TRIAGED,     CASES_STAMPS_TRIAGED,  "it is looked at anew"},
	{CASES_TRIAGED,     CASES_ASSIGN,           CASES_FREELY,          CASES_ASSIGNED,    TAKES,                 "a desk or an agency has it"},
	{CASES_REOPENED,    CASES_ASSIGN,           CASES_FREELY,          CASES_ASSIGNED,    TAKES,                 "it is known well enough"},
	{CASES_ASSIGNED,    CASES_ASSIGN,           CASES_FREELY,          CASES_ASSIGNED,    TAKES,                 "another one has it, before work began"},
	{CASES_IN_PROGRESS, CASES_ASSIGN,           CASES_FREELY,          CASES_ASSIGNED,    TAKES,                 "another one has it, and begins anew"},
	{CASES_ON_HOLD,     CASES_ASSIGN,           CASES_FREELY,          CASES_ASSIGNED,    TAKES,                 "another one has it, and begins anew"},
	{CASES_ASSIGNED,    CASES_START,            CASES_HAS_ASSIGNEE,    CASES_IN_PROGRESS, STARTS,                "work begins"},
	{CASES_IN_PROGRESS, CASES_HOLD,             CASES_FREELY,          CASES_ON_HOLD,     CASES_NO_EFFECT,       "it waits for something"},
	{CASES_ON_HOLD,     CASES_RESUME,           CASES_FREELY,          CASES_IN_PROGRESS, CASES_NO_EFFECT,       "work goes on"},
	{CASES_REFERRED,    CASES_RESUME,           CASES_HAS_ASSIGNEE,    CASES_IN_PROGRESS, CASES_CLEARS_REFERRAL, "the referral is taken back: who had it goes on"},
	{CASES_REFERRED,    CASES_RESUME,           CASES_HAS_NO_ASSIGNEE, CASES_TRIAGED,     CASES_CLEARS_REFERRAL, "the referral is taken back: nobody had it"},
	{CASES_TRIAGED,     CASES_REFER,            CASES_FREELY,          CASES_REFERRED,    CASES_SETS_REFERRAL,   "another agency is asked, or a social service"},
	{CASES_ASSIGNED,    CASES_REFER,            CASES_FREELY,          CASES_REFERRED,    CASES_SETS_REFERRAL,   "another agency is asked, or a social service"},
	{CASES_IN_PROGRESS, CASES_REFER,            CASES_FREELY,          CASES_REFERRED,    CASES_SETS_REFERRAL,   "another agency is asked, or a social service"},
	{CASES_ON_HOLD,     CASES_REFER,            CASES_FREELY,          CASES_REFERRED,    CASES_SETS_REFERRAL,   "another agency is asked, or a social service"},
	{CASES_REFERRED,    CASES_ACCEPT_REFERRAL,  CASES_BY_THE_REFERRED, CASES_ASSIGNED,    TAKES,                 "the agency that was asked has it now"},
	{CASES_REFERRED,    CASES_DECLINE_REFERRAL, CASES_BY_THE_REFERRED | CASES_HAS_ASSIGNEE, CASES_IN_PROGRESS, CASES_CLEARS_REFERRAL, "the agency said no: who had it goes on"},
	{CASES_REFERRED,    CASES_DECLINE_REFERRAL, CASES_BY_THE_REFERRED | CASES_HAS_NO_ASSIGNEE, CASES_TRIAGED, CASES_CLEARS_REFERRAL, "the agency said no: nobody had it"},
	{CASES_ASSIGNED,    CASES_RESOLVE,          ASSIGNED_AND_FREE,     CASES_RESOLVED,    ENDS,                  "it needed no work, or it is done"},
	{CASES_IN_PROGRESS, CASES_RESOLVE,          ASSIGNED_AND_FREE,     CASES_RESOLVED,    ENDS,                  "the work is done"},
	{CASES_REFERRED,    CASES_RESOLVE,          CASES_ENDS_REFERRED | CASES_NOTHING_BLOCKS, CASES_RESOLVED, ENDS, "who was asked goes on outside the exchange"},
	{CASES_RESOLVED,    CASES_CLOSE,            CASES_NOTHING_BLOCKS,  CASES_CLOSED,      CASES_STAMPS_CLOSED | CASES_TELLS_OWNER, "nothing is left to do"},
	{CASES_RESOLVED,    CASES_REOPEN,           CASES_FREELY,          CASES_REOPENED,    REOPENS,               "it was not done after all"},
	{CASES_CLOSED,      CASES_REOPEN,           CASES_FREELY,          CASES_REOPENED,    REOPENS,               "it was not done after all"},
	{CASES_NEW,         CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_TRIAGED,     CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_ASSIGNED,    CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_IN_PROGRESS, CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_ON_HOLD,     CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_REFERRED,    CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_REOPENED,    CASES_MERGE,            OTHER,                 CASES_MERGED,      CASES_JOINS_OTHER,     "the same matter as another case"},
	{CASES_STATE_NONE,  CASES_NUMBER,           CASES_FREELY,          CASES_STATE_NONE,  CASES_NO_EFFECT,       "each agency has its own books"},
	{CASES_STATE_NONE,  CASES_LINK,             CASES_OTHER_GOES_ON,   CASES_STATE_NONE,  CASES_NO_EFFECT,       "two matters have to do with each other"},
	{CASES_STATE_NONE,  CASES_NOTE,             CASES_FREELY,          CASES_STATE_NONE,  CASES_NO_EFFECT,       "what is known is written down"},
	{CASES_STATE_NONE,  CASES_TASK_ADD,         CASES_FREELY,          CASES_STATE_NONE,  CASES_NO_EFFECT,       "something is to be done"},
	{CASES_STATE_NONE,  CASES_TASK_DONE,        CASES_TASK_IS_OPEN,    CASES_STATE_NONE,  CASES_NO_EFFECT,       "it is done"},
	{CASES_STATE_NONE,  CASES_TASK_CANCEL,      CASES_TASK_IS_OPEN,    CASES_STATE_NONE,  CASES_NO_EFFECT,       "it need not be done"},
	{CASES_STATE_NONE,  CASES_EVIDENCE,         CASES_FREELY,          CASES_STATE_NONE,  CASES_NO_EFFECT,       "it is said where something lies, and what it is"},
	/* clang-format on */
};
const size_t cases_life_row_count = sizeof cases_life_rows / sizeof *cases_life_rows;

/* ---- words -------------------------------------------------------------------------------------------------------------- */

const char *cases_life_action_name(enum cases_action action)
{
	static const char *const names[CASES_ACTIONS] = {
		[CASES_ACT_NONE] = "",
		[CASES_TRIAGE] = "TRIAGE",
		[CASES_ASSIGN] = "ASSIGN",
		[CASES_START] = "START",
		[CASES_HOLD] = "HOLD",
		[CASES_RESUME] = "RESUME",
		[CASES_REFER] = "REFER",
		[CASES_ACCEPT_REFERRAL] = "ACCEPT_REFERRAL",
		[CASES_DECLINE_REFERRAL] = "DECLINE_REFERRAL",
		[CASES_RESOLVE] = "RESOLVE",
		[CASES_CLOSE] = "CLOSE",
		[CASES_REOPEN] = "REOPEN",
		[CASES_MERGE] = "MERGE",
		[CASES_NUMBER] = "NUMBER",
		[CASES_LINK] = "LINK",
		[CASES_NOTE] = "NOTE",
		[CASES_TASK_ADD] = "TASK_ADD",
		[CASES_TASK_DONE] = "TASK_DONE",
		[CASES_TASK_CANCEL] = "TASK_CANCEL",
		[CASES_EVIDENCE] = "EVIDENCE",
	};
	return (unsigned)action < CASES_ACTIONS ? names[action] : "";
}

const char *cases_life_state_name(enum cases_state state)
{
	static const char *const names[] = {"", "NEW", "TRIAGED", "ASSIGNED", "IN_PROGRESS", "ON_HOLD", "REFERRED", "RESOLVED",
		"CLOSED", "REOPENED", "MERGED"};
	return (unsigned)state < sizeof names / sizeof *names ? names[state] : "";
}

static const char *const guard_words[CASES_GUARD_BITS] = {
	"somebody has it",
	"nobody has it",
	"no open task blocks it",
	"by a desk of the agency it is referred to",
	"with the disposition REFERRED",
	"another case, neither merged nor closed",
	"no case was merged into it",
	"the task is the case's, and open",
};

static const char *const effect_words[CASES_EFFECT_BITS] = {
	"sets who has it",
	"nobody has it",
	"sets whom it is referred to",
	"ends the referral",
	"first triage",
	"first start",
	"time of resolving, disposition",
	"time of closing",
	"clears times and disposition of its end",
	"the other case takes it in",
	"tells the owner",
	"tells the owner, the first time",
};

static const char *words_of(const char *const *words, size_t count, unsigned bit)
{
	for (size_t i = 0; i < count; i++)
		if (bit == 1U << i)
			return words[i];
	return "";
}

const char *cases_life_guard_words(unsigned bit)
{
	return words_of(guard_words, CASES_GUARD_BITS, bit);
}

const char *cases_life_effect_words(unsigned bit)
{
	return words_of(effect_words, CASES_EFFECT_BITS, bit);
}

bool cases_life_moves(enum cases_action action)
{
	return action >= CASES_TRIAGE && action <= CASES_MERGE;
}

bool cases_life_wants_other(enum cases_action action)
{
	return action == CASES_MERGE || action == CASES_LINK;
}

enum cases_relation_kind cases_life_reverse(enum cases_relation_kind relation)
{
	switch (relation) {
	case CASES_CAUSED_BY:
		return CASES_CAUSES;
	case CASES_CAUSES:
		return CASES_CAUSED_BY;
	case CASES_FOLLOWS:
		return CASES_PRECEDES;
	case CASES_PRECEDES:
		return CASES_FOLLOWS;
	case CASES_RELATED:
	case CASES_SAME_PLACE:
		break;
	}
	return relation;
}

bool cases_life_is_late(int64_t target_us, int64_t done_us, int64_t now_us)
{
	return target_us != 0 && (done_us ? done_us : now_us) > target_us;
}

/* ---- deciding ----------------------------------------------------------------------------------------------------------- */

static bool goes_on(const struct cases_scene *scene)
{
	return scene->other && !jk_id_equal(&scene->other->case_id, &scene->subject->case_id) &&
	       scene->other->state != CASES_MERGED && scene->other->state != CASES_CLOSED;
}

/* The guards among `wanted` that do not hold. */
static unsigned failing(const struct cases_scene *scene, const struct cases_command *command, unsigned wanted)
{
	const struct cases_life *life = &scene->subject->life;
	bool assigned = *life->assigned_agency != '\0';
	unsigned holds = 0;

	holds |= assigned ? CASES_HAS_ASSIGNEE : CASES_HAS_NO_ASSIGNEE;
	holds |= life->blocking == 0 ? CASES_NOTHING_BLOCKS : 0;
	holds |= *life->referred_agency && strcmp(life->referred_agency, scene->actor.agency) == 0 ? CASES_BY_THE_REFERRED : 0;
	holds |= command->disposition == CASES_DISPOSITION_REFERRED ? CASES_ENDS_REFERRED : 0;
	holds |= goes_on(scene) ? CASES_OTHER_GOES_ON : 0;
	holds |= life->took_in == 0 ? CASES_TOOK_NONE_IN : 0;
	holds |= scene->task && jk_id_equal(&scene->task->case_id, &scene->subject->case_id) &&
				 scene->task->state == CASES_TASK_OPEN
			 ? CASES_TASK_IS_OPEN
			 : 0;
	return wanted & ~holds;
}

static bool fits(const struct cases_life_row *row, enum cases_state state, enum cases_action action)
{
	if (row->action != action)
		return false;
	return row->from == state || (row->from == CASES_STATE_NONE && state != CASES_CLOSED && state != CASES_MERGED);
}

/* Lines that the feed added since then (a duty was accepted, a unit is on its way) make no decision stale. */
static bool is_fresh(const struct cases_case *row, uint32_t version)
{
	return version >= (uint32_t)row->life.since_version && version <= (uint32_t)row->version;
}

static bool check_versions(const struct cases_scene *scene, const struct cases_command *command, struct jk_refusal *ret_refusal)
{
	uint32_t version = (uint32_t)scene->subject->version;

	if (!is_fresh(scene->subject, command->version) && (command->version != 0 || cases_life_moves(command->action)))
		return jk_refuse(ret_refusal, JK_CODE_STALE_VERSION, "version", "the case has version %u", (unsigned)version);
	if (scene->other && command->other_version != 0 && !is_fresh(scene->other, command->other_version))
		return jk_refuse(ret_refusal, JK_CODE_STALE_VERSION, "into_version", "the other case has version %u",
			(unsigned)scene->other->version);
	return true;
}

static bool check_merged(const struct cases_scene *scene, struct jk_refusal *ret_refusal)
{
	char into[JK_ID_TEXT_BYTES];

	if (scene->subject->state != CASES_MERGED)
		return true;
	jk_id_format(into, &scene->subject->life.merged_into);
	return jk_refuse(ret_refusal, JK_CODE_WRONG_STATE, "case_id", "it was merged into another case%s%s",
		scene->names_merged ? ": " : "", scene->names_merged ? into : "");
}

const struct cases_life_row *cases_life_decide(
	const struct cases_scene *scene, const struct cases_command *command, struct jk_refusal *ret_refusal)
{
	enum cases_state state = scene->subject->state;
	unsigned lacks = 0;

	if (!check_merged(scene, ret_refusal) || !check_versions(scene, command, ret_refusal))
		return NULL;
	for (size_t i = 0; i < cases_life_row_count; i++) {
		const struct cases_life_row *row = &cases_life_rows[i];
		if (!fits(row, state, command->action))
			continue;
		unsigned fails = failing(scene, command, row->guard);
		if (!fails)
			return row;
		lacks = lacks ? lacks : fails & -fails;
	}
	if (lacks)
		(void)jk_refuse(ret_refusal, JK_CODE_WRONG_STATE, "case_id", "%s wants: %s",
			cases_life_action_name(command->action), cases_life_guard_words(lacks));
	else
		(void)jk_refuse(ret_refusal, JK_CODE_WRONG_STATE, "case_id", "a case that is %s knows no %s",
			cases_life_state_name(state), cases_life_action_name(command->action));
	return NULL;
}

/* ---- doing -------------------------------------------------------------------------------------------------------------- */

/* What nobody is named by goes to the actor's own desk. */
static void take_assignee(const struct cases_command *command, const struct cases_actor *actor, char *agency, char *desk)
{
	bool own = command->action == CASES_ACCEPT_REFERRAL || (!*command->agency && !*command->desk);

	(void)jk_text_copy(agency, CASES_CODE_BYTES, own ? actor->agency : command->agency);
	(void)jk_text_copy(desk, CASES_CODE_BYTES, own ? actor->desk : command->desk);
}

static void set_parties(
	struct cases_life *life, const struct cases_scene *scene, const struct cases_command *command, unsigned effects)
{
	if (effects & (CASES_CLEARS_ASSIGNEE | CASES_SETS_ASSIGNEE)) {
		life->assigned_agency[0] = life->assigned_desk[0] = '\0';
		life->assigned_hidden = effects & CASES_SETS_ASSIGNEE && scene->actor.hidden;
	}
	if (effects & (CASES_CLEARS_REFERRAL | CASES_SETS_REFERRAL)) {
		life->referred_agency[0] = life->referred_service[0] = '\0';
		life->referred_hidden = effects & CASES_SETS_REFERRAL && scene->actor.hidden;
	}
	if (effects & CASES_SETS_ASSIGNEE)
		take_assignee(command, &scene->actor, life->assigned_agency, life->assigned_desk);
	if (effects & CASES_SETS_REFERRAL) {
		(void)jk_text_copy(life->referred_agency, sizeof life->referred_agency, command->agency);
		(void)jk_text_copy(life->referred_service, sizeof life->referred_service, command->service);
	}
}

static void stamp(int64_t *at_us, bool when, int64_t now_us)
{
	if (when && *at_us == 0)
		*at_us = now_us;
}

static void set_times(struct cases_case *row, const struct cases_command *command, unsigned effects, int64_t now_us)
{
	struct cases_life *life = &row->life;

	if (effects & CASES_CLEARS_ENDING) {
		row->steps.resolved_at_us = life->closed_at_us = 0;
		life->disposition = CASES_DISPOSITION_NONE;
	}
	stamp(&life->triaged_at_us, effects & CASES_STAMPS_TRIAGED, now_us);
	stamp(&life->assigned_at_us, effects & CASES_SETS_ASSIGNEE, now_us);
	stamp(&life->started_at_us, effects & CASES_STAMPS_STARTED, now_us);
	stamp(&row->steps.resolved_at_us, effects & CASES_STAMPS_RESOLVED, now_us);
	stamp(&life->closed_at_us, effects & CASES_STAMPS_CLOSED, now_us);
	if (effects & CASES_STAMPS_RESOLVED)
		life->disposition = command->disposition;
}

static void touch(struct cases_case *row, int64_t now_us)
{
	row->version++;
	row->life.since_version = row->version;
	row->entries++;
	if (now_us > row->updated_at_us)
		row->updated_at_us = now_us;
}

static void end_task(struct cases_scene *scene, enum cases_task_state state, int64_t now_us)
{
	scene->task->state = state;
	scene->task->ended_at_us = now_us;
	scene->subject->life.blocking -= scene->task->blocking;
}

void cases_life_apply(struct cases_scene *scene, const struct cases_command *command, const struct cases_life_row *row,
	int64_t now_us, bool *ret_tells)
{
	struct cases_case *subject = scene->subject;
	bool first = (row->effects & CASES_SETS_ASSIGNEE && subject->life.assigned_at_us == 0) ||
		     (row->effects & CASES_STAMPS_STARTED && subject->life.started_at_us == 0);

	*ret_tells = row->effects & CASES_TELLS_OWNER || (row->effects & CASES_TELLS_OWNER_FIRST && first);
	set_parties(&subject->life, scene, command, row->effects);
	set_times(subject, command, row->effects, now_us);
	if (row->to != CASES_STATE_NONE)
		subject->state = row->to;
	if (row->effects & CASES_JOINS_OTHER) {
		subject->life.merged_into = scene->other->case_id;
		scene->other->life.took_in++;
	}
	if (command->action == CASES_TASK_ADD)
		subject->life.blocking += command->blocking;
	else if (command->action == CASES_TASK_DONE || command->action == CASES_TASK_CANCEL)
		end_task(scene, command->action == CASES_TASK_DONE ? CASES_TASK_DONE_STATE : CASES_TASK_CANCELLED, now_us);
	touch(subject, now_us);
	if (scene->other)
		touch(scene->other, now_us);
}
