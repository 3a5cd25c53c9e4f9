/* dispatch_duty_internal.h: what the files of duties share. */
#pragma once

#include "command/command.h"
#include "daemon/metrics.h"
#include "dispatch_duty.h"
#include "dispatch_duty_step.h"
#include "dispatch_duty_wire.h"

/* Ends of jobs start none: the next turn does. */
enum dispatch_tick_stage {
	DISPATCH_TICK_IDLE,
	DISPATCH_TICK_DUE,
	DISPATCH_TICK_FOUND,
	DISPATCH_TICK_LOAD,
	DISPATCH_TICK_DECIDED,
	DISPATCH_TICK_STORE
};

struct dispatch_tick { /* dispatch_duty_tick.c */
	struct jk_db *db;
	struct dispatch_duty_steps steps;
	enum dispatch_tick_stage stage;
	bool woken;            /* during a tick: once more */
	int64_t not_before_ms; /* after a failure */
	int64_t forget_at_ms, count_at_ms;
	bool counts, forgets; /* in the job under way */
	struct jk_db_int8 grace, forget_max;
	size_t due, past; /* found by the last look; left out by it */
	/* Those that are held are gone through: some at each count, all at once when the policy has changed. */
	struct dispatch_held_place held_from, held_after; /* the last look's first place, and the next one's */
	int64_t held_version;                             /* of the policy, of the last time */
	bool hurries, looks_at_held;
	bool single;        /* one by one: the database refuses something */
	size_t held_singly; /* so many of those that are held, likewise */
};

struct dispatch_duty_metrics {
	struct jk_metric *steps[DISPATCH_DUTY_ACTIONS], *states[DISPATCH_DUTY_STATES], *unsaid, *commands, *pushed;
};

struct dispatch_duties {
	struct dispatch_duty_around around;
	struct jk_sessions *sessions;
	struct dispatch_tick tick;
	struct jk_db *command_db;
	struct jk_commands *commands;
	struct dispatch_duty_steps command_steps;
	struct dispatch_offers *offers; /* dispatch_duty_offer.c */
	struct dispatch_duty_metrics metrics;
};

/* A transaction was committed: what it did is counted, and those who read the feed look. */
void dispatch_duty_count(struct dispatch_duties *duties, const struct dispatch_duty_steps *steps);

/* dispatch_duty_tick.c */
enum jk_status dispatch_tick_open(struct dispatch_duties *duties) JK_MUST_CHECK;
void dispatch_tick_close(struct dispatch_duties *duties);
void dispatch_tick_turn(struct dispatch_duties *duties);

/* dispatch_duty_command.c */
enum jk_status dispatch_command_open(struct dispatch_duties *duties) JK_MUST_CHECK;
void dispatch_command_close(struct dispatch_duties *duties);

/* dispatch_duty_offer.c */
enum jk_status dispatch_offers_open(struct dispatch_duties *duties) JK_MUST_CHECK;
void dispatch_offers_close(struct dispatch_duties *duties);
/* Offers were made or ended: sessions are told soon. */
void dispatch_offers_wake(struct dispatch_duties *duties);
void dispatch_offers_on_timer(struct dispatch_duties *duties);
void dispatch_offers_turn(struct dispatch_duties *duties);
