/* cases_life.h: what desks do with a case, as plain values: how far it has come, a command, its actor, tasks and links. Not here:
 * what a command may do (cases_life_rules.h), messages (cases_command_wire.h), SQL (cases_command_pg.h). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_id.h"

/* jukwaa.v1.CaseState; cases_wire.c asserts that the numbers agree. */
enum cases_state {
	CASES_STATE_NONE = 0,
	CASES_NEW = 1,
	CASES_TRIAGED = 2,
	CASES_ASSIGNED = 3,
	CASES_IN_PROGRESS = 4,
	CASES_ON_HOLD = 5,
	CASES_REFERRED = 6,
	CASES_RESOLVED = 7,
	CASES_CLOSED = 8,
	CASES_REOPENED = 9,
	CASES_MERGED = 10,
	CASES_STATE_MAX = 10,
};

/* What a command wants: the events of the table of states. In the order of CaseCommand.action. */
enum cases_action {
	CASES_ACT_NONE,
	CASES_TRIAGE,
	CASES_ASSIGN,
	CASES_START,
	CASES_HOLD,
	CASES_RESUME,
	CASES_REFER,
	CASES_ACCEPT_REFERRAL,
	CASES_DECLINE_REFERRAL,
	CASES_RESOLVE,
	CASES_CLOSE,
	CASES_REOPEN,
	CASES_MERGE,
	CASES_NUMBER,
	CASES_LINK,
	CASES_NOTE,
	CASES_TASK_ADD,
	CASES_TASK_DONE,
	CASES_TASK_CANCEL,
	CASES_EVIDENCE,
	CASES_ACTIONS,
};

/* jukwaa.v1.Disposition; cases_command_wire.c asserts both ends. */
enum { CASES_DISPOSITION_NONE = 0, CASES_DISPOSITION_REFERRED = 4, CASES_DISPOSITION_MAX = 7 };
/* jukwaa.v1.CaseRelation */
enum cases_relation_kind {
	CASES_RELATED = 1,
	CASES_SAME_PLACE = 2,
	CASES_CAUSED_BY = 3,
	CASES_CAUSES = 4,
	CASES_FOLLOWS = 5,
	CASES_PRECEDES = 6,
};
/* jukwaa.v1.CaseTaskState */
enum cases_task_state { CASES_TASK_NONE = 0, CASES_TASK_OPEN = 1, CASES_TASK_DONE_STATE = 2, CASES_TASK_CANCELLED = 3 };

enum {
	CASES_CODE_BYTES = 33,
	CASES_REASON_MAX_BYTES = 200,
	CASES_TITLE_MAX_BYTES = 200,
	CASES_TEXT_MAX_BYTES = 4096,
	CASES_LOCATION_MAX_BYTES = 512,
	CASES_NUMBER_BYTES = 65,
	CASES_DIGEST_BYTES = 32,
};

/* How far a case has come. Codes are "" and times 0 where there is none. */
struct cases_life {
	char assigned_agency[CASES_CODE_BYTES], assigned_desk[CASES_CODE_BYTES];
	char referred_agency[CASES_CODE_BYTES], referred_service[CASES_CODE_BYTES];
	bool assigned_hidden, referred_hidden; /* under a term that keeps the name from others */
	int disposition;
	int32_t blocking; /* open tasks that keep it from being resolved */
	int32_t took_in;  /* cases that were merged into it */
	struct jk_id merged_into;
	int64_t triaged_at_us, assigned_at_us, started_at_us, closed_at_us; /* of resolving: cases_steps in cases.h */
	int64_t target_triage_at_us, target_resolve_at_us;
	int32_t since_version; /* the newest that changed more than the timeline */
};

/* A checked command. Texts are never NULL, and borrowed. */
struct cases_command {
	enum cases_action action;
	struct jk_id case_id;
	struct jk_id other_id; /* of MERGE and LINK */
	struct jk_id task_id;  /* of TASK_DONE and TASK_CANCEL */
	uint32_t version, other_version;
	const char *reason, *agency, *desk, *service;
	const char *text, *language; /* a note's; text: a task's title too */
	const char *number, *ob_number;
	const char *location, *media_type;
	const uint8_t *digest; /* CASES_DIGEST_BYTES; NULL: none */
	int disposition;
	enum cases_relation_kind relation;
	int64_t due_us;
	bool blocking;
};

/* Who acts: with a desk. hidden: under a term that keeps its name from others. */
struct cases_actor {
	const char *agency, *desk;
	int32_t key_id;
	bool hidden;
};

struct cases_task {
	struct jk_id task_id, case_id;
	char title[CASES_TITLE_MAX_BYTES + 1];
	char agency[CASES_CODE_BYTES], desk[CASES_CODE_BYTES];
	int64_t due_us, made_at_us, ended_at_us;
	bool blocking, hidden;
	enum cases_task_state state;
};
