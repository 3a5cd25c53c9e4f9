/* cases_command_batch.h: inside this part: a batch of commands, what is known when they are decided, and what comes of them. */
#pragma once

#include "base/jk_arena.h"
#include "cases_command_pg.h"
#include "cases_command_wire.h"
#include "command/command.h"
#include "feed/feed_append.h"

enum {
	/* A command has to do with two cases at most, and with those that they were merged into. */
	CASES_SEATS_MAX = 4 * JK_COMMANDS_BATCH_MAX,
	CASES_NUMBERS_MAX = 3 * JK_COMMANDS_BATCH_MAX,
	CASES_LINKS_MAX = 4096,
};

/* A case that commands of the batch have to do with. */
struct cases_seat {
	struct cases_case row; /* as it is after what has been decided; version 0: there is none */
	int32_t loaded;
	bool has_newest;
	struct cases_newest newest;
};

/* A mail to the owner: of several equal ones for a case the newest. */
struct cases_mail {
	const struct cases_seat *seat;
	enum cases_state step;
	char agency[CASES_CODE_BYTES], desk[CASES_CODE_BYTES];
};

struct cases_command_batch {
	struct jk_command *const *queued;
	size_t count;
	struct cases_command commands[JK_COMMANDS_BATCH_MAX];
	struct cases_seat seats[CASES_SEATS_MAX];
	size_t seat_count;
	struct cases_done_command done[JK_COMMANDS_BATCH_MAX];
	size_t done_count;
	struct cases_task tasks[JK_COMMANDS_BATCH_MAX];
	bool task_ended[JK_COMMANDS_BATCH_MAX];
	size_t task_count;
	struct cases_known_number numbers[CASES_NUMBERS_MAX];
	bool numbered[CASES_NUMBERS_MAX];
	size_t number_count;
	struct cases_known_link links[CASES_LINKS_MAX];
	size_t link_count;
	struct cases_mail mails[JK_COMMANDS_BATCH_MAX];
	size_t mail_count;
	int64_t now_us; /* the database's */
	size_t event_bytes;
	/* What comes of it. */
	struct cases_deeds deeds;
	struct jk_append append;
	struct jk_arena *arena; /* for one line or event */
	size_t done_anew, repeated, refused, silent;
};

/* NULL: it is none of the batch's. */
struct cases_seat *cases_batch_seat(struct cases_command_batch *batch, const struct jk_id *case_id);
/* Decides all of them, in this order, each upon what those before it changed. */
void cases_command_decide(struct cases_command_batch *batch, const struct jk_registry *registry);
