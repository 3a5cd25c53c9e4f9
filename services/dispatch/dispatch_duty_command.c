/* dispatch_duty_command.c: what desks command: accept, decline, hand over, complete, acknowledge. All commands of a batch are
 * decided in their order, each upon what those before it changed, and committed together. */
#include <string.h>

#include "base/jk_text.h"
#include "dispatch_duty_internal.h"

static size_t load(void *service, struct jk_command *const *commands, size_t count, struct jk_db_step *steps)
{
	struct dispatch_duties *duties = service;
	struct dispatch_duty_store *store = &duties->command_steps.store;

	dispatch_duty_load_reset(store);
	for (size_t i = 0; i < count; i++) {
		struct jk_id duty_id = dispatch_duty_wire_command_duty(commands[i]->message);
		bool known = false;

		for (size_t k = 0; k < i && !known; k++) {
			struct jk_id before = dispatch_duty_wire_command_duty(commands[k]->message);

			known = jk_id_equal(&before, &duty_id);
		}
		if (jk_id_is_zero(&duty_id))
			dispatch_duty_load_holder(store, commands[i]->desk_id);
		else if (!known)
			dispatch_duty_load_add(store, &duty_id);
		dispatch_duty_load_command(store, &commands[i]->command_id);
	}
	return dispatch_duty_load_steps(store, steps);
}

/* ---- deciding ---- */

/* One answer for both: who was not asked must not learn that there is one. */
static bool refuse_absent(struct jk_command *command)
{
	return jk_refuse(&command->refusal, JK_CODE_NOT_FOUND, "duty_id", "there is no such duty, or not for you");
}

static bool refuse_state(struct jk_command *command, const struct dispatch_duty *duty, enum dispatch_duty_event event)
{
	enum jk_code code = dispatch_duty_refusal(duty, event);

	if (code == JK_CODE_TAKEN)
		return jk_refuse(&command->refusal, code, "duty_id", "another desk has it");
	if (code == JK_CODE_NOT_PERMITTED)
		return jk_refuse(&command->refusal, code, "duty_id", "the desk that has it may do that");
	return jk_refuse(&command->refusal, code, "duty_id", "the duty is %s; that does not go now",
		jk_words_name(&dispatch_duty_states, (int)duty->state));
}

static const struct jk_desk *find_desk(const struct jk_registry *registry, const char *code)
{
	for (size_t i = 0; i < registry->desk_count; i++)
		if (strcmp(registry->desks[i].code, code) == 0)
			return &registry->desks[i];
	return NULL;
}

/* NULL: refused. */
static const struct jk_desk *find_target(struct dispatch_duty_steps *steps, struct jk_command *command, const char *code)
{
	const struct jk_desk *desk = find_desk(steps->registry, code);

	if (desk == NULL || desk->revoked)
		(void)jk_refuse(&command->refusal, JK_CODE_NOT_FOUND, "desk", "there is no such desk");
	else if (desk->desk_id == command->desk_id)
		(void)jk_refuse(&command->refusal, JK_CODE_RULE_VIOLATION, "desk", "this is the desk that hands over");
	else
		return desk;
	return NULL;
}

/* Declining and acknowledging give nothing away, and are always good to have. */
static bool needs_incident(enum dispatch_duty_event event)
{
	return event == DISPATCH_DUTY_ACCEPT || event == DISPATCH_DUTY_HAND_OVER || event == DISPATCH_DUTY_COMPLETE;
}

static bool may_respond(
	const struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, const struct jk_desk *desk)
{
	return dispatch_duty_decide(steps->registry, desk, JK_USE_RESPOND, &item->incident, item->duty.county).effect != JK_DENY;
}

static bool is_related(const struct dispatch_duty *duty, const struct dispatch_duty_desk_facts *facts)
{
	return facts->was_asked || facts->is_told || duty->holder == facts->desk_id || duty->asked == facts->desk_id;
}

/* The rule that the command takes; NULL: refused. */
static const struct dispatch_duty_rule *find_rule(struct dispatch_duty_steps *steps, struct jk_command *command,
	const struct dispatch_duty_command *ask, const struct dispatch_duty_item *item)
{
	const struct dispatch_duty_desk_facts facts = dispatch_duty_batch_facts(&steps->batch, &ask->duty_id, command->desk_id);
	const struct jk_desk *desk = jk_registry_find_desk(steps->registry, command->desk_id);
	const struct dispatch_duty_rule *rule;
	bool looks_at_version = ask->event != DISPATCH_DUTY_ACCEPT && ask->event != DISPATCH_DUTY_ACKNOWLEDGE;

	if (!is_related(&item->duty, &facts) || (needs_incident(ask->event) && !may_respond(steps, item, desk))) {
		(void)refuse_absent(command);
		return NULL;
	}
	if (looks_at_version && ask->version != 0 && ask->version != item->duty.version) {
		(void)jk_refuse(&command->refusal, JK_CODE_STALE_VERSION, "version", "the duty has version %d now",
			(int)item->duty.version);
		return NULL;
	}
	rule = dispatch_duty_find(&item->duty, ask->event, &facts);
	if (rule == NULL)
		(void)refuse_state(command, &item->duty, ask->event);
	else if (ask->event == DISPATCH_DUTY_ACCEPT && !item->incident.open)
		(void)jk_refuse(&command->refusal, JK_CODE_WRONG_STATE, "duty_id", "the incident is closed");
	else
		return rule;
	return NULL;
}

static void quiet(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty, int32_t desk_id)
{
	struct dispatch_duty_telling *tellings = batch->tellings.items;

	for (size_t i = 0; i < batch->tellings.count; i++) {
		if (tellings[i].desk_id != desk_id || !jk_id_equal(&tellings[i].duty_id, &duty->duty_id))
			continue;
		tellings[i].acknowledged_us = duty->updated_us;
		tellings[i].changed = true;
	}
}

static void keep_answer(struct dispatch_duty_steps *steps, const struct jk_command *command)
{
	struct dispatch_duty_done *done = dispatch_list_add(&steps->batch.done, sizeof *done);

	if (done == NULL) {
		steps->failed = true;
		return;
	}
	done->command_id = command->command_id;
	done->thing_id = command->answer.thing_id;
	memcpy(done->digest, command->digest, sizeof done->digest);
	done->desk_id = command->desk_id;
	done->version = (int32_t)command->answer.version;
	(void)jk_text_copy(done->state, sizeof done->state, command->answer.state);
	(void)jk_text_copy(done->number, sizeof done->number, command->answer.number);
}

static void answer(struct jk_command *command, const struct dispatch_duty *duty)
{
	command->answer.thing_id = duty->duty_id;
	command->answer.version = (uint32_t)duty->version;
	(void)jk_text_copy(
		command->answer.state, sizeof command->answer.state, jk_words_name(&dispatch_duty_states, (int)duty->state));
}

static void take(struct dispatch_duty_steps *steps, struct jk_command *command, const struct dispatch_duty_command *ask,
	struct dispatch_duty_item *item)
{
	const struct dispatch_duty_rule *rule = find_rule(steps, command, ask, item);
	struct dispatch_duty_saying saying = {.desk_id = command->desk_id,
		.by_desk = command->desk_id,
		.disposition = ask->disposition,
		.reason = ask->reason,
		.command_id = command->command_id};
	const struct jk_desk *target = NULL;

	if (rule == NULL)
		return;
	if (rule->effects & DISPATCH_DUTY_OFFERS) {
		target = find_target(steps, command, ask->desk);
		if (target == NULL)
			return;
		if (!may_respond(steps, item, target)) {
			(void)jk_refuse(&command->refusal, JK_CODE_NOT_PERMITTED, "desk", "no agreement gives it the incident");
			return;
		}
		saying.desk_id = target->desk_id;
	}
	dispatch_duty_take_step(steps, item, rule, &saying);
	if (rule->effects & DISPATCH_DUTY_QUIETS)
		quiet(&steps->batch, &item->duty, command->desk_id);
	answer(command, &item->duty);
	/* Nothing has changed: as if the same command had come twice. */
	command->answer.repeated = rule->from == rule->to && rule->effects == 0 && rule->action == DISPATCH_ACTION_NONE;
	if (!command->answer.repeated)
		keep_answer(steps, command);
}

static int64_t count_held(const struct dispatch_duty_batch *batch, int32_t desk_id)
{
	const struct dispatch_duty_holder *holders = batch->holders.items;

	for (size_t i = 0; i < batch->holders.count; i++)
		if (holders[i].desk_id == desk_id)
			return holders[i].count;
	return 0;
}

static void take_shift(struct dispatch_duty_steps *steps, struct jk_command *command, const struct dispatch_duty_command *ask)
{
	const struct jk_desk *target = find_target(steps, command, ask->desk);
	struct dispatch_duty_shift *shift = target == NULL ? NULL : dispatch_list_add(&steps->batch.shifts, sizeof *shift);

	if (target == NULL)
		return;
	if (shift == NULL) {
		steps->failed = true;
		return;
	}
	shift->from = command->desk_id;
	shift->to = target->desk_id;
	(void)jk_text_copy(shift->reason, sizeof shift->reason, ask->reason);
	(void)jk_text_format(command->answer.number, sizeof command->answer.number, "%lld",
		(long long)count_held(&steps->batch, command->desk_id));
	keep_answer(steps, command);
}

/* Was it done before? Then it is answered. */
static bool is_known(const struct dispatch_duty_steps *steps, struct jk_command *command)
{
	const struct dispatch_duty_done *known = dispatch_duty_batch_known(&steps->batch, &command->command_id);

	if (known == NULL)
		return false;
	if (memcmp(known->digest, command->digest, sizeof known->digest) != 0) {
		(void)jk_refuse(&command->refusal, JK_CODE_RULE_VIOLATION, "command_id", "another command has had this id");
		return true;
	}
	command->answer.thing_id = known->thing_id;
	command->answer.version = (uint32_t)known->version;
	(void)jk_text_copy(command->answer.state, sizeof command->answer.state, known->state);
	(void)jk_text_copy(command->answer.number, sizeof command->answer.number, known->number);
	command->answer.repeated = true;
	return true;
}

static void decide(struct dispatch_duty_steps *steps, struct jk_command *command)
{
	struct dispatch_duty_command ask;
	struct dispatch_duty_item *item;

	if (is_known(steps, command) || !dispatch_duty_wire_read_command(command->message, &ask, &command->refusal))
		return;
	if (ask.all) {
		take_shift(steps, command, &ask);
		return;
	}
	item = dispatch_duty_batch_find(&steps->batch, &ask.duty_id);
	if (item == NULL || item->duty.state == DISPATCH_DUTY_NONE)
		(void)refuse_absent(command);
	else
		take(steps, command, &ask, item);
}

static void on_loaded(void *service, const struct jk_db_outcome *outcome, const struct jk_registry *registry,
	struct jk_command *const *commands, size_t count)
{
	struct dispatch_duties *duties = service;
	struct dispatch_duty_steps *steps = &duties->command_steps;
	bool taken = dispatch_duty_take(outcome->results, &steps->batch);

	dispatch_duty_steps_begin(steps, registry);
	for (size_t i = 0; taken && i < count; i++)
		decide(steps, commands[i]);
	if (taken && !steps->failed)
		return;
	for (size_t i = 0; i < count; i++)
		(void)jk_refuse(&commands[i]->refusal, JK_CODE_UNAVAILABLE, NULL, "no memory; send it again");
	dispatch_duty_batch_reset(&steps->batch);
	dispatch_duty_steps_begin(steps, registry);
}

static size_t store(void *service, struct jk_db_step *steps)
{
	struct dispatch_duties *duties = service;

	return dispatch_duty_steps_store(&duties->command_steps, steps);
}

static void on_stored(void *service, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = service;

	if (outcome == NULL)
		return;
	dispatch_duty_count(duties, &duties->command_steps);
	dispatch_duty_wake(duties);
	dispatch_offers_wake(duties);
}

void dispatch_duty_on_command(struct dispatch_duties *duties, const struct jk_request *request)
{
	jk_metric_add(duties->metrics.commands, 1);
	jk_commands_put(duties->commands, request);
}

_Static_assert((int)DISPATCH_DUTY_STORE_STEPS + 1 <= (int)JK_COMMANDS_STEPS_MAX &&
		       (int)DISPATCH_DUTY_ITEMS_MAX >= (int)JK_COMMANDS_BATCH_MAX,
	"a batch of commands fits");

enum jk_status dispatch_command_open(struct dispatch_duties *duties)
{
	const struct jk_command_service service = {
		.service = duties, .load = load, .on_loaded = on_loaded, .store = store, .on_stored = on_stored};

	if (dispatch_duty_steps_open(&duties->command_steps) != JK_OK ||
		jk_db_open(duties->around.conninfo, "jukwaa-dispatch-command", &duties->command_db) != JK_OK ||
		jk_loop_add_fd(duties->around.loop, jk_db_fd, jk_db_events, jk_db_on_ready, duties->command_db) != JK_OK)
		return JK_BROKEN;
	return jk_commands_open(&service, duties->sessions, duties->command_db, &duties->commands);
}

void dispatch_command_close(struct dispatch_duties *duties)
{
	jk_commands_close(&duties->commands);
	jk_db_close(&duties->command_db);
	dispatch_duty_steps_done(&duties->command_steps);
}
