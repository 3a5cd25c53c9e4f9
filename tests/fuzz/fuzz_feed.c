/* A stored event's body, which another version may have written, on its way to desks, cases and webhooks. Whatever is in it: a
 * copy shows no group that is withheld and nothing that this build does not know, and adds up. First byte: bit 0 a mailbox, the
 * others which kind. */
#include "cases_wire.h"
#include "cases_work_wire.h"
#include "dispatch_event.h"
#include "dispatch_open_wire.h"
#include "dispatch_opened_wire.h"
#include "feed/feed_body.h"
#include "fuzz.h"
#include "notify_wire.h"
#include "wire/wire_body.h"

enum { WITHHELD = 1 << JK_GROUP_NARRATIVE | 1 << JK_GROUP_REPORTER | 1 << JK_GROUP_PERSONS };

static void copy_body(const uint8_t *body, size_t size, struct jk_arena *arena)
{
	const Jukwaa__V1__EventBody *copy = jk_body_copy(body, size, WITHHELD, arena);
	struct jk_refusal refusal;
	size_t packed_size;

	if (copy == NULL)
		return;
	const uint32_t withheld = jk_body_withheld(copy->n_groups, WITHHELD);
	fuzz_must(copy->stored_apart == 0);
	for (size_t i = 0; i < copy->n_groups; i++) {
		const Jukwaa__V1__Group *group = copy->groups[i];
		fuzz_must((withheld >> group->tag & 1) == 0 || (group->content.len == 0 && group->salt.len == 0));
		fuzz_must(group->base.n_unknown_fields == 0);
	}
	const uint8_t *packed = jk_body_pack(&copy->base, arena, &packed_size);
	fuzz_must(packed == NULL || jk_body_check(&jukwaa__v1__event_body__descriptor, packed, packed_size, &refusal));
}

/* What was done about it, and what is open: read by cases and by the part of dispatch that opens duties. */
static void read_work(const struct jk_event *row, struct jk_arena *arena)
{
	struct cases_work work = {0};
	struct dispatch_open_event open;
	struct jk_event_label label;

	if (cases_work_read(row->kind, row->body, row->body_size, arena, &work))
		fuzz_must(work.detail_size <= sizeof work.detail);
	if (dispatch_open_wire_read(row, arena, &open))
		fuzz_must(strlen(open.labels.named) < sizeof open.labels.named);
	(void)dispatch_opened_wire_label((struct jk_span){.data = row->body, .size = row->body_size}, arena, &label);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const int kinds[] = {JK_EVENT_INCIDENT, JK_EVENT_ERASED, JK_EVENT_DUTY};
	static const int mails[] = {
		JK_EVENT_DELIVERED, JK_EVENT_LAGGING, JK_EVENT_OPENED, JK_EVENT_ACTED, JK_EVENT_UNANSWERED, JK_EVENT_INCIDENT};
	static const uint8_t chain[32];
	struct jk_arena *arena = fuzz_arena(16 * 1024 * 1024);
	struct cases_event cases;
	struct notify_event notify;
	struct dispatch_event *event;

	if (size == 0)
		return 0;
	struct jk_event row = {
		.seq = 1, .kind = kinds[(bytes[0] >> 1) % 3], .chain = chain, .body = bytes + 1, .body_size = size - 1};
	if (bytes[0] & 1)
		row.kind = mails[(bytes[0] >> 1) % 6];
	(void)jk_text_copy(row.stream, sizeof row.stream, bytes[0] & 1 ? "@KPS" : "047");
	copy_body(row.body, row.body_size, arena);
	(void)cases_wire_read_event(&row, arena, &cases);
	(void)cases_wire_read_headline(row.body, row.body_size, arena, arena);
	read_work(&row, arena);
	(void)notify_wire_read_event(&row, arena, &notify);
	event = dispatch_event_new(&row, arena);
	if (event != NULL) {
		(void)dispatch_event_copy(event, WITHHELD, arena);
		(void)dispatch_event_copy(event, 0, arena);
	}
	dispatch_event_free(&event);
	return 0;
}
