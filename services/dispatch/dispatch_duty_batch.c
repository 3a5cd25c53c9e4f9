#include "dispatch_duty_batch.h"

#include <string.h>

#include "base/jk_text.h"

/* A type, or what is declared, cannot stand in parentheses. NOLINTBEGIN(bugprone-macro-parentheses) */
#define EACH(type, name, list)                                                                                                   \
	for (type *name = (list)->items; name != NULL && name < (type *)(list)->items + (list)->count; name++)
/* NOLINTEND(bugprone-macro-parentheses) */

void dispatch_duty_batch_reset(struct dispatch_duty_batch *batch)
{
	struct dispatch_list *lists[] = {&batch->items, &batch->desks, &batch->tellings, &batch->bodies, &batch->known,
		&batch->offers, &batch->offers_ended, &batch->holdings, &batch->holdings_ended, &batch->entries, &batch->done,
		&batch->shifts, &batch->holders};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		dispatch_list_clear(lists[i]);
	batch->now_us = 0;
	batch->failed = false;
}

void dispatch_duty_batch_done(struct dispatch_duty_batch *batch)
{
	struct dispatch_list *lists[] = {&batch->items, &batch->desks, &batch->tellings, &batch->bodies, &batch->known,
		&batch->offers, &batch->offers_ended, &batch->holdings, &batch->holdings_ended, &batch->entries, &batch->done,
		&batch->shifts, &batch->holders};

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
		dispatch_list_done(lists[i]);
}

struct dispatch_duty_item *dispatch_duty_batch_find(const struct dispatch_duty_batch *batch, const struct jk_id *duty_id)
{
	EACH(struct dispatch_duty_item, item, &batch->items)
	if (jk_id_equal(&item->duty.duty_id, duty_id))
		return item;
	return NULL;
}

struct dispatch_duty_telling *dispatch_duty_batch_telling(
	const struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t escalation_id)
{
	EACH(struct dispatch_duty_telling, telling, &batch->tellings)
	if (telling->escalation_id == escalation_id && jk_id_equal(&telling->duty_id, duty_id))
		return telling;
	return NULL;
}

const struct dispatch_duty_body *dispatch_duty_batch_body(
	const struct dispatch_duty_batch *batch, const struct jk_id *incident_id)
{
	EACH(struct dispatch_duty_body, body, &batch->bodies)
	if (jk_id_equal(&body->incident_id, incident_id))
		return body;
	return NULL;
}

const struct dispatch_duty_done *dispatch_duty_batch_known(
	const struct dispatch_duty_batch *batch, const struct jk_id *command_id)
{
	EACH(struct dispatch_duty_done, known, &batch->known)
	if (jk_id_equal(&known->command_id, command_id))
		return known;
	EACH(struct dispatch_duty_done, done, &batch->done)
	if (jk_id_equal(&done->command_id, command_id))
		return done;
	return NULL;
}

struct dispatch_duty_desk_facts dispatch_duty_batch_facts(
	const struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t desk_id)
{
	struct dispatch_duty_desk_facts facts = {.desk_id = desk_id};

	EACH(struct dispatch_duty_desk, desk, &batch->desks)
	if (desk->desk_id == desk_id && desk->was_asked && jk_id_equal(&desk->duty_id, duty_id))
		facts.was_asked = true;
	EACH(struct dispatch_duty_telling, telling, &batch->tellings)
	if (telling->desk_id == desk_id && jk_id_equal(&telling->duty_id, duty_id))
		facts.is_told = true;
	return facts;
}

size_t dispatch_duty_batch_asked(
	const struct dispatch_duty_batch *batch, const struct dispatch_duty *duty, int32_t *ret_desks, size_t max)
{
	size_t count = 0;

	EACH(struct dispatch_duty_desk, desk, &batch->desks)
	if (count < max && desk->round == duty->round && jk_id_equal(&desk->duty_id, &duty->duty_id))
		ret_desks[count++] = desk->desk_id;
	return count;
}

uint32_t dispatch_duty_batch_count_asked(const struct dispatch_duty_batch *batch, const struct jk_id *duty_id)
{
	uint32_t count = 0;

	EACH(struct dispatch_duty_desk, desk, &batch->desks)
	count += desk->was_asked && jk_id_equal(&desk->duty_id, duty_id);
	return count;
}

/* ---- what a step has changed ---- */

static void *add(struct dispatch_duty_batch *batch, struct dispatch_list *list, size_t size)
{
	void *item = dispatch_list_add(list, size);

	batch->failed = batch->failed || item == NULL;
	return item;
}

static struct dispatch_duty_offer *find_new_offer(
	const struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t offer_no)
{
	EACH(struct dispatch_duty_offer, offer, &batch->offers)
	if (offer->offer_no == offer_no && jk_id_equal(&offer->duty_id, duty_id))
		return offer;
	return NULL;
}

/* One that was made in this batch is stored ended. */
static void end_offer(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty,
	const struct dispatch_duty_change *change, const char *reason)
{
	struct dispatch_duty_offer *offer = find_new_offer(batch, &duty->duty_id, change->ended_offer);

	if (offer == NULL && (offer = add(batch, &batch->offers_ended, sizeof *offer)) == NULL)
		return;
	offer->duty_id = duty->duty_id;
	offer->offer_no = change->ended_offer;
	offer->ended_us = duty->updated_us;
	offer->ending = change->ending;
	if (change->ending == DISPATCH_ENDING_DECLINED)
		(void)jk_text_copy(offer->reason, sizeof offer->reason, reason);
}

static struct dispatch_duty_desk *find_desk(struct dispatch_duty_batch *batch, const struct jk_id *duty_id, int32_t desk_id)
{
	EACH(struct dispatch_duty_desk, desk, &batch->desks)
	if (desk->desk_id == desk_id && jk_id_equal(&desk->duty_id, duty_id))
		return desk;
	return add(batch, &batch->desks, sizeof(struct dispatch_duty_desk));
}

static void note_desk(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty, int32_t desk_id, bool was_asked)
{
	struct dispatch_duty_desk *desk = find_desk(batch, &duty->duty_id, desk_id);

	if (desk == NULL)
		return;
	desk->duty_id = duty->duty_id;
	desk->desk_id = desk_id;
	desk->round = duty->round;
	desk->was_asked = desk->was_asked || was_asked;
}

static void make_offer(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty,
	const struct dispatch_duty_change *change, const struct dispatch_duty_saying *saying)
{
	bool skipped = change->ending == DISPATCH_ENDING_SKIPPED;
	struct dispatch_duty_offer *offer = add(batch, &batch->offers, sizeof *offer);

	if (offer == NULL)
		return;
	offer->duty_id = duty->duty_id;
	offer->offer_no = change->made_offer;
	offer->round = duty->round;
	offer->desk_id = saying->desk_id;
	offer->by_desk = saying->by_desk;
	offer->at_us = duty->updated_us;
	offer->due_us = skipped ? 0 : duty->due_us;
	offer->ended_us = skipped ? duty->updated_us : 0;
	offer->ending = skipped ? change->ending : DISPATCH_ENDING_NONE;
	(void)jk_text_copy(offer->reason, sizeof offer->reason, saying->reason);
	note_desk(batch, duty, saying->desk_id, !skipped);
}

static void end_holding(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty)
{
	struct dispatch_duty_holding *ended = NULL;

	EACH(struct dispatch_duty_holding, holding, &batch->holdings)
	if (holding->until_us == 0 && jk_id_equal(&holding->duty_id, &duty->duty_id))
		ended = holding;
	if (ended == NULL && (ended = add(batch, &batch->holdings_ended, sizeof *ended)) == NULL)
		return;
	ended->duty_id = duty->duty_id;
	ended->until_us = duty->updated_us;
}

static void make_holding(struct dispatch_duty_batch *batch, const struct dispatch_duty *duty)
{
	struct dispatch_duty_holding *holding = add(batch, &batch->holdings, sizeof *holding);

	if (holding != NULL)
		*holding = (struct dispatch_duty_holding){.duty_id = duty->duty_id,
			.holding_no = duty->entries,
			.desk_id = duty->holder,
			.since_us = duty->updated_us};
}

static void add_entry(struct dispatch_duty_batch *batch, struct dispatch_duty *duty, const struct dispatch_duty_change *change,
	const struct dispatch_duty_saying *saying)
{
	struct dispatch_duty_entry *entry = add(batch, &batch->entries, sizeof *entry);

	duty->entries++;
	if (entry == NULL)
		return;
	*entry = (struct dispatch_duty_entry){.duty_id = duty->duty_id,
		.command_id = saying->command_id,
		.event_id = saying->event_id,
		.entry_no = duty->entries,
		.version = duty->version,
		.action = (int32_t)change->action,
		.by_desk = saying->by_desk,
		.desk_id = saying->desk_id,
		.disposition = saying->disposition,
		.role = saying->role,
		.at_us = duty->updated_us};
	(void)jk_text_copy(entry->reason, sizeof entry->reason, saying->reason);
}

void dispatch_duty_batch_note(struct dispatch_duty_batch *batch, struct dispatch_duty_item *item,
	const struct dispatch_duty_change *change, const struct dispatch_duty_saying *saying)
{
	if (!change->advances)
		return;
	item->changed = true;
	if (change->action != DISPATCH_ACTION_NONE || saying->by_desk != 0)
		add_entry(batch, &item->duty, change, saying);
	if (change->ended_offer != 0)
		end_offer(batch, &item->duty, change, saying->reason);
	if (change->made_offer != 0)
		make_offer(batch, &item->duty, change, saying);
	if (change->freed != 0)
		end_holding(batch, &item->duty);
	if (change->holds != 0)
		make_holding(batch, &item->duty);
}
