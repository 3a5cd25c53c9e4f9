/* cases_life_rules.h: the life of a case: one table of what each command does in each state. No row: WRONG_STATE. Pure. Not here:
 * who may (the decision function), what an event of the feed does (cases_rules.h). */
#pragma once

#include "base/jk_refusal.h"
#include "cases.h"

/* What must hold beside the state; all that a row names. */
enum cases_guard {
	CASES_FREELY = 0,
	CASES_HAS_ASSIGNEE = 1 << 0,
	CASES_HAS_NO_ASSIGNEE = 1 << 1,
	CASES_NOTHING_BLOCKS = 1 << 2,
	CASES_BY_THE_REFERRED = 1 << 3,
	CASES_ENDS_REFERRED = 1 << 4, /* the disposition is REFERRED */
	CASES_OTHER_GOES_ON = 1 << 5, /* another one, neither merged nor closed */
	CASES_TOOK_NONE_IN = 1 << 6,
	CASES_TASK_IS_OPEN = 1 << 7,
	CASES_GUARD_BITS = 8,
};

enum cases_effect {
	CASES_NO_EFFECT = 0,
	CASES_SETS_ASSIGNEE = 1 << 0,
	CASES_CLEARS_ASSIGNEE = 1 << 1,
	CASES_SETS_REFERRAL = 1 << 2,
	CASES_CLEARS_REFERRAL = 1 << 3,
	CASES_STAMPS_TRIAGED = 1 << 4,
	CASES_STAMPS_STARTED = 1 << 5,
	CASES_STAMPS_RESOLVED = 1 << 6, /* and its disposition */
	CASES_STAMPS_CLOSED = 1 << 7,
	CASES_CLEARS_ENDING = 1 << 8,
	CASES_JOINS_OTHER = 1 << 9,
	CASES_TELLS_OWNER = 1 << 10,       /* a mail ACTED */
	CASES_TELLS_OWNER_FIRST = 1 << 11, /* the first time */
	CASES_EFFECT_BITS = 12,
};

struct cases_life_row {
	enum cases_state from; /* NONE: every state but CLOSED and MERGED */
	enum cases_action action;
	unsigned guard;
	enum cases_state to; /* NONE: it stays */
	unsigned effects;
	const char *why;
};

/* The whole table. Of several rows for one state and action the first whose guard holds counts. */
extern const struct cases_life_row cases_life_rows[];
extern const size_t cases_life_row_count;

/* "TRIAGE"; "" for what is none. */
const char *cases_life_action_name(enum cases_action action);
/* "NEW" */
const char *cases_life_state_name(enum cases_state state);
/* One guard or effect (a single bit) in words. */
const char *cases_life_guard_words(unsigned bit);
const char *cases_life_effect_words(unsigned bit);
/* Does the command move a case to a state? Then it must say the version it was made for. */
bool cases_life_moves(enum cases_action action);
/* Another case is changed with it. */
bool cases_life_wants_other(enum cases_action action);
enum cases_relation_kind cases_life_reverse(enum cases_relation_kind relation);

/* What a command meets. other: of MERGE and LINK, task: of TASK_DONE and TASK_CANCEL, else NULL. */
struct cases_scene {
	struct cases_case *subject, *other;
	struct cases_task *task;
	struct cases_actor actor;
	bool names_merged; /* the actor may know into what a merged case went */
};

/* NULL: refused. Nothing is changed. Versions are checked here too: STALE_VERSION. */
const struct cases_life_row *cases_life_decide(
	const struct cases_scene *scene, const struct cases_command *command, struct jk_refusal *ret_refusal);

/* Does it: state, effects, counts, version, one line more; of MERGE and LINK the other case too. tells: the owner is to be told.
 */
void cases_life_apply(struct cases_scene *scene, const struct cases_command *command, const struct cases_life_row *row,
	int64_t now_us, bool *ret_tells);

/* Targets: the thing was not done in time, or has not been until now. */
bool cases_life_is_late(int64_t target_us, int64_t done_us, int64_t now_us);
