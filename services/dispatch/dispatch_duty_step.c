#include "dispatch_duty_step.h"

#include <string.h>

#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_duty_wire.h"
#include "feed/feed_body.h"

/* A body with WORK added, and Work itself; jk_body_add_work copies a body once. */
enum { ARENA_BYTES = 8 * 1024 * 1024, LOG_EVERY_MS = 10000 };

struct step_mail {
	struct jk_id incident_id;
	enum jk_event_kind kind;
	enum dispatch_duty_action action;
	char discipline[JK_DISCIPLINE_BYTES], county[JK_COUNTY_BYTES];
	char agency[33];
	int64_t revision;
	int tlp, category;
	size_t size;
	uint8_t body[512];
};

enum jk_status dispatch_duty_steps_open(struct dispatch_duty_steps *steps)
{
	steps->arena = jk_arena_new(ARENA_BYTES);
	return steps->arena == NULL ? JK_BROKEN : JK_OK;
}

void dispatch_duty_steps_done(struct dispatch_duty_steps *steps)
{
	dispatch_duty_batch_done(&steps->batch);
	dispatch_duty_store_done(&steps->store);
	jk_append_done(&steps->append);
	jk_arena_free(&steps->arena);
	dispatch_list_done(&steps->mails);
}

void dispatch_duty_steps_begin(struct dispatch_duty_steps *steps, const struct jk_registry *registry)
{
	jk_append_reset(&steps->append);
	dispatch_list_clear(&steps->mails);
	memset(steps->counts, 0, sizeof steps->counts);
	steps->unsaid = 0;
	steps->failed = false;
	steps->registry = registry;
}

/* ---- policy ---- */

struct jk_decision dispatch_duty_decide(const struct jk_registry *registry, const struct jk_desk *desk, enum jk_use use,
	const struct dispatch_duty_incident *incident, const char *county)
{
	const struct dispatch_open_labels *labels = &incident->labels;
	char codes[DISPATCH_NAMED_BYTES];
	const char *named[DISPATCH_NAMED_MAX];
	struct jk_label label = {
		.categories = labels->categories,
		.severity = (uint8_t)labels->severity,
		.tlp = (enum jk_tlp)labels->tlp,
		.scope = (enum jk_scope)labels->scope,
		.status = (enum jk_cap_status)labels->status,
		.named = named,
		.recorded_at_us = incident->body_us,
	};

	if (!incident->known || desk == NULL || desk->revoked)
		return (struct jk_decision){.effect = JK_DENY, .withheld = UINT32_MAX, .reason = "nothing is known of it"};
	memcpy(codes, labels->named, sizeof codes);
	label.named_count = dispatch_open_names(codes, named);
	memcpy(label.county, county, sizeof label.county);
	jk_registry_label_owner(&label, jk_registry_find_agency(registry, labels->agency));
	return jk_registry_decide_desk(registry, desk, use, &label, jk_time_now_us());
}

const char *dispatch_duty_desk_code(
	const struct jk_registry *registry, int32_t desk_id, const struct dispatch_duty_incident *incident, const char *county)
{
	const struct jk_desk *desk = desk_id == 0 ? NULL : jk_registry_find_desk(registry, desk_id);
	struct jk_decision decision = dispatch_duty_decide(registry, desk, JK_USE_RESPOND, incident, county);

	return decision.effect == JK_DENY || (decision.term != NULL && decision.term->hides_recipient) ? "" : desk->code;
}

/* Who is passed over is named: it has no agreement, so none hides it. */
static const char *name_of(const struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item,
	enum dispatch_duty_action action, int32_t desk_id)
{
	const struct jk_desk *desk = jk_registry_find_desk(steps->registry, desk_id);

	if (action == DISPATCH_ACTION_SKIPPED || action == DISPATCH_ACTION_ESCALATED)
		return desk == NULL ? "" : desk->code;
	return dispatch_duty_desk_code(steps->registry, desk_id, &item->incident, item->duty.county);
}

static const char *agency_code(const struct dispatch_duty_steps *steps, int32_t desk_id, const char *desk_code)
{
	const struct jk_desk *desk =
		desk_id == 0 || desk_code[0] == '\0' ? NULL : jk_registry_find_desk(steps->registry, desk_id);

	return desk == NULL ? "" : desk->agency->code;
}

/* ---- what is said ---- */

static void append_to_counties(
	struct dispatch_duty_steps *steps, const struct dispatch_duty_body *body, struct jk_append_event event)
{
	char stream[JK_COUNTY_BYTES];

	event.stream = stream;
	for (int county = 1; county <= JK_COUNTY_MAX; county++) {
		if (!(body->streams >> county & 1))
			continue;
		(void)jk_text_format(stream, sizeof stream, "%03d", county);
		jk_append_add(&steps->append, &event);
	}
}

/* The event in each county that has the incident; zero: it cannot be said (its body was removed by age, or is of a form that
 * nothing can be added to), and the history alone has it. */
static struct jk_id say(
	struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, const struct dispatch_duty_work *work)
{
	const struct dispatch_duty_body *body = dispatch_duty_batch_body(&steps->batch, &item->duty.incident_id);
	struct jk_append_event event = {.incident_id = item->duty.incident_id, .kind = JK_EVENT_DUTY};
	uint8_t commitment[JK_SHA256_BYTES];
	struct jk_span packed;

	jk_arena_reset(steps->arena);
	packed = dispatch_duty_wire_work(work, steps->arena);
	if (packed.size == 0 || body == NULL ||
		jk_body_add_work(body->body, packed, steps->arena, commitment, &event.body, &event.body_size) != JK_OK) {
		steps->unsaid++;
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "duty_step_without_event", "why=%s",
			body == NULL ? "the incident's body is not kept any more" : "nothing can be added to the body");
		return (struct jk_id){{0}};
	}
	event.event_id = jk_id_new();
	event.commitment = commitment;
	event.revision = body->revision;
	event.tlp = body->tlp;
	event.category = body->category;
	append_to_counties(steps, body, event);
	return event.event_id;
}

static struct step_mail *find_mail(
	struct dispatch_duty_steps *steps, const struct dispatch_duty *duty, enum dispatch_duty_action action)
{
	struct step_mail *mails = steps->mails.items;

	for (size_t i = 0; i < steps->mails.count; i++)
		if (mails[i].action == action && jk_id_equal(&mails[i].incident_id, &duty->incident_id) &&
			strcmp(mails[i].discipline, duty->discipline) == 0 && strcmp(mails[i].county, duty->county) == 0)
			return &mails[i];
	return dispatch_list_add(&steps->mails, sizeof *mails);
}

/* Of several equal steps the newest is told. */
static void put_mail(struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, enum jk_event_kind kind,
	enum dispatch_duty_action action, struct jk_span body)
{
	const struct dispatch_duty *duty = &item->duty;
	const struct dispatch_duty_incident *incident = &item->incident;
	struct step_mail *mail;

	if (!incident->known || incident->labels.agency[0] == '\0')
		return;
	mail = find_mail(steps, duty, action);
	if (mail == NULL || body.size == 0 || body.size > sizeof mail->body) {
		steps->failed = true;
		return;
	}
	mail->incident_id = duty->incident_id;
	mail->kind = kind;
	mail->action = action;
	memcpy(mail->discipline, duty->discipline, sizeof mail->discipline);
	memcpy(mail->county, duty->county, sizeof mail->county);
	(void)jk_text_copy(mail->agency, sizeof mail->agency, incident->labels.agency);
	mail->revision = incident->revision;
	mail->tlp = incident->labels.tlp;
	mail->category = incident->labels.category;
	mail->size = body.size;
	memcpy(mail->body, body.data, body.size);
}

static void tell_acted(struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item, enum dispatch_duty_action action,
	const struct dispatch_duty_work *work)
{
	const char *step = action == DISPATCH_ACTION_ACCEPTED      ? "ACCEPTED"
			   : action == DISPATCH_ACTION_HANDED_OVER ? "HANDED_OVER"
			   : action == DISPATCH_ACTION_COMPLETED   ? "COMPLETED"
								   : NULL;

	if (step == NULL)
		return;
	jk_arena_reset(steps->arena);
	put_mail(steps, item, JK_EVENT_ACTED, action,
		dispatch_duty_wire_acted(step, work->by_desk, work->by_agency, &item->duty, steps->arena));
}

static void tell_unanswered(struct dispatch_duty_steps *steps, const struct dispatch_duty_item *item)
{
	jk_arena_reset(steps->arena);
	put_mail(steps, item, JK_EVENT_UNANSWERED, DISPATCH_ACTION_UNANSWERED,
		dispatch_duty_wire_unanswered(
			&item->duty, dispatch_duty_batch_count_asked(&steps->batch, &item->duty.duty_id), steps->arena));
}

/* ---- steps ---- */

static void say_step(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item,
	const struct dispatch_duty_change *change, struct dispatch_duty_saying *saying)
{
	const struct dispatch_duty *duty = &item->duty;
	struct dispatch_duty_work work = {.duty = duty,
		.action = change->action,
		.at_us = duty->updated_us,
		.due_us = change->action == DISPATCH_ACTION_OFFERED ? duty->due_us : 0,
		.reason = saying->reason,
		.role = saying->role == 0 ? "" : jk_words_name(&jk_escalation_roles, saying->role),
		.disposition = saying->disposition};

	work.desk = name_of(steps, item, change->action, saying->desk_id);
	work.by_desk = dispatch_duty_desk_code(steps->registry, saying->by_desk, &item->incident, duty->county);
	work.by_agency = agency_code(steps, saying->by_desk, work.by_desk);
	saying->event_id = say(steps, item, &work);
	tell_acted(steps, item, change->action, &work);
}

static void take(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, const struct dispatch_duty_change *change,
	const struct dispatch_duty_saying *said, bool loudly)
{
	struct dispatch_duty_saying saying = *said;

	if (change->action != DISPATCH_ACTION_NONE) {
		steps->counts[change->action]++;
		if (loudly)
			say_step(steps, item, change, &saying);
	}
	if (change->tells)
		tell_unanswered(steps, item);
	dispatch_duty_batch_note(&steps->batch, item, change, &saying);
	steps->failed = steps->failed || steps->batch.failed;
}

void dispatch_duty_take_step(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item,
	const struct dispatch_duty_rule *rule, const struct dispatch_duty_saying *saying)
{
	struct dispatch_duty_change change = dispatch_duty_apply(&item->duty, rule, saying->desk_id, steps->batch.now_us);

	take(steps, item, &change, saying, true);
}

/* In the first round it is said; that nothing has changed since is not. */
void dispatch_duty_take_skip(struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, int32_t desk_id)
{
	const struct dispatch_duty_saying saying = {.desk_id = desk_id, .reason = ""};
	struct dispatch_duty_change change = dispatch_duty_skip(&item->duty, steps->batch.now_us);

	take(steps, item, &change, &saying, item->duty.round == 1);
}

void dispatch_duty_take_telling(
	struct dispatch_duty_steps *steps, struct dispatch_duty_item *item, const struct jk_escalation *escalation)
{
	struct dispatch_duty *duty = &item->duty;
	struct dispatch_duty_telling *telling =
		dispatch_duty_batch_telling(&steps->batch, &duty->duty_id, escalation->escalation_id);
	const struct dispatch_duty_saying saying = {
		.desk_id = escalation->desk->desk_id, .role = (int32_t)escalation->role, .reason = ""};
	const struct dispatch_duty_change change = {.action = DISPATCH_ACTION_ESCALATED, .advances = true};

	if (telling == NULL && (telling = dispatch_list_add(&steps->batch.tellings, sizeof *telling)) == NULL) {
		steps->failed = true;
		return;
	}
	duty->version++;
	duty->updated_us = duty->updated_us < steps->batch.now_us ? steps->batch.now_us : duty->updated_us;
	*telling = (struct dispatch_duty_telling){.duty_id = duty->duty_id,
		.escalation_id = escalation->escalation_id,
		.role = (int32_t)escalation->role,
		.desk_id = escalation->desk->desk_id,
		.times = telling->times + 1,
		.told_us = duty->updated_us,
		.changed = true};
	take(steps, item, &change, &saying, true);
}

/* ---- storing ---- */

static void append_mails(struct dispatch_duty_steps *steps)
{
	const struct step_mail *mails = steps->mails.items;

	for (size_t i = 0; i < steps->mails.count; i++) {
		const struct jk_append_mail mail = {.agency = mails[i].agency,
			.incident_id = mails[i].incident_id,
			.kind = mails[i].kind,
			.revision = mails[i].revision,
			.tlp = mails[i].tlp,
			.category = mails[i].category,
			.body = {.data = mails[i].body, .size = mails[i].size}};

		jk_append_add_mail(&steps->append, &mail);
	}
	dispatch_list_clear(&steps->mails);
}

size_t dispatch_duty_steps_store(struct dispatch_duty_steps *steps, struct jk_db_step *ret_steps)
{
	size_t count = dispatch_duty_store_steps(&steps->store, &steps->batch, ret_steps);

	append_mails(steps);
	if (jk_append_step(&steps->append, &ret_steps[count]))
		count++;
	return count;
}
