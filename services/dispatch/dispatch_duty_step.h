/* dispatch_duty_step.h: takes steps of duties: rule, policy, the event that says it and the mail to the publisher, collected for
 * one transaction. The same for the tick and for commands. Not here: when a step is taken (dispatch_duty_tick.c, _command.c). */
#pragma once

#include "dispatch_duty_pg.h"
#include "feed/feed_append.h"
#include "registry/registry.h"

enum { DISPATCH_DUTY_ACTIONS = 12 };

/* Of one transaction. */
struct dispatch_duty_steps {
	struct dispatch_duty_batch batch;
	struct dispatch_duty_store store;
	struct jk_append append;
	struct jk_arena *arena;             /* for one event at a time */
	const struct jk_registry *registry; /* while deciding */
	uint64_t counts[DISPATCH_DUTY_ACTIONS], unsaid;
	bool failed;
	struct dispatch_list mails; /* of steps, so that of equal ones the newest is kept */
};
enum jk_status dispatch_duty_steps_open(struct dispatch_duty_steps *steps) JK_MUST_CHECK;
void dispatch_duty_steps_done(struct dispatch_duty_steps *steps);
/* Before a batch is decided: nothing was done yet. */
void dispatch_duty_steps_begin(struct dispatch_duty_steps *steps, const struct jk_registry *registry);
/* Fills the steps that store it, feed.append last; 0: nothing to store. */
size_t dispatch_duty_steps_store(struct dispatch_duty_steps *steps, struct jk_db_step *ret_steps);

/* May the desk have the duty's incident, for this use? */
struct jk_decision dispatch_duty_decide(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct dispatch_duty_incident *incident, const char *county);
/* The desk's code as others may read it: "" for none, and where its agreement hides it, or none lets it have the incident any
 * more. */
const char *dispatch_duty_desk_code(
	const struct jk_registry *registry, int32_t desk_id, const struct dispatch_duty_incident *incident, const char *county);

/* Takes the step that the rule says. saying->desk_id: the desk the rule is about. Its command is noted with it. */
void dispatch_duty_take_step(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item,
	const struct dispatch_duty_rule *rule, const struct dispatch_duty_saying *saying);
/* A desk on the list was passed over. */
void dispatch_duty_take_skip(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, int32_t desk_id);
/* A role was told that nobody has it. */
void dispatch_duty_take_telling(
	struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, const struct jk_escalation *escalation);
