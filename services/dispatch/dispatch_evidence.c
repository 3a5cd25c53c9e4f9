/* dispatch_evidence.c: what dispatch itself adds to the record: DELIVERED receipts in the publishers' mailboxes, and signed
 * heads. Both keep what flies until it is committed. Two dispatches may say the same: harmless. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_heads.h"
#include "dispatch_internal.h"
#include "evidence/evidence_witness.h"

#include <string.h>

/* ---- DELIVERED ---- */

static const struct jk_agency *find_agency(const struct jk_registry *registry, int32_t agency_id)
{
	for (size_t i = 0; i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == agency_id)
			return &registry->agencies[i];
	return NULL;
}

/* The mail for the agency, but for its body; NULL without memory. */
static struct dispatch_mail *add_mail(struct dispatch_list *list, const struct jk_agency *agency, int kind)
{
	struct dispatch_mail *mail = dispatch_list_add(list, sizeof *mail);

	if (mail == NULL)
		return NULL;
	(void)jk_text_format(mail->stream, sizeof mail->stream, "@%s", agency->code);
	mail->event_id = jk_id_new();
	mail->incident_id = jk_id_new();
	mail->kind = kind;
	return mail;
}

static void seal_mail(struct dispatch_mail *mail, size_t body_size)
{
	const struct jk_span body = {.data = mail->body, .size = body_size};

	mail->body_size = body_size;
	jk_sha256(mail->commitment, &body, 1);
}

static void add_receipt(struct dispatch *dispatch, const struct jk_registry *registry, const struct dispatch_receipt *receipt)
{
	const struct jk_agency *agency = find_agency(registry, receipt->agency_id);
	const struct jk_desk *desk = jk_registry_find_desk(registry, receipt->desk_id);
	struct dispatch_mail *mail;

	if (agency == NULL || desk == NULL)
		return;
	mail = add_mail(&dispatch->writing.mails, agency, JK_EVENT_DELIVERED);
	if (mail != NULL)
		seal_mail(mail, dispatch_wire_write_delivered(
					mail->body, sizeof mail->body, desk->code, receipt->stream, receipt->up_to_seq));
}

void dispatch_evidence_notice(struct dispatch *dispatch, const struct jk_agency *agency, const struct dispatch_lagging *lagging)
{
	struct dispatch_mail *mail = add_mail(&dispatch->writing.notices, agency, JK_EVENT_LAGGING);

	if (mail == NULL)
		return;
	seal_mail(mail, dispatch_wire_write_lagging(mail->body, sizeof mail->body, lagging));
	jk_metric_add(dispatch->metrics.notices, 1);
}

bool dispatch_evidence_append_is_due(const struct dispatch *dispatch, int64_t now_ms)
{
	const struct dispatch_writing *writing = &dispatch->writing;

	return now_ms >= writing->append_at_ms &&
	       (writing->mails.count + writing->notices.count > 0 || dispatch_receipts_count(writing->receipts) > 0);
}

enum jk_status dispatch_evidence_append(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	struct dispatch_writing *writing = &dispatch->writing;
	const struct jk_registry *registry = jk_sessions_registry(dispatch->sessions);
	struct dispatch_receipt receipts[DISPATCH_MAILS_MAX];
	size_t count;

	if (registry == NULL)
		return JK_RETRY;
	writing->append_at_ms = jk_time_mono_ms() + DISPATCH_SAVE_MS;
	if (writing->mails.count == 0) {
		(void)dispatch_list_move_some(
			&writing->mails, &writing->notices, DISPATCH_MAILS_MAX, sizeof(struct dispatch_mail));
		count = dispatch_receipts_take(writing->receipts, receipts, DISPATCH_MAILS_MAX);
		for (size_t i = 0; i < count; i++)
			add_receipt(dispatch, registry, &receipts[i]);
	}
	if (writing->mails.count == 0)
		return JK_RETRY;
	return dispatch_store_append(dispatch->store, writing->mails.items, writing->mails.count, done);
}

void dispatch_evidence_appended(struct dispatch *dispatch)
{
	jk_metric_add(dispatch->metrics.receipts, dispatch->writing.mails.count);
	dispatch_list_clear(&dispatch->writing.mails);
	dispatch->feed.heads_due = true;
}

/* ---- signed heads ---- */

bool dispatch_evidence_head_is_due(const struct dispatch *dispatch, int64_t now_ms)
{
	const struct dispatch_writing *writing = &dispatch->writing;
	uint64_t total = dispatch->feed.total_seq;
	uint64_t new_events = total >= writing->head_total ? total - writing->head_total : DISPATCH_HEAD_EVERY_EVENTS;

	return !dispatch->feed.reading && dispatch_heads_is_due(new_events, now_ms - writing->head_at_ms);
}

static bool load_heads(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;
	size_t count;
	struct dispatch_stream *const *streams = dispatch_cache_streams(dispatch->cache, &count);

	dispatch_list_clear(&writing->heads);
	dispatch_list_clear(&writing->leaves);
	for (size_t i = 0; i < count; i++) {
		struct jk_head *head;

		if (streams[i]->last_seq == 0)
			continue;
		head = dispatch_list_add(&writing->heads, sizeof *head);
		if (head == NULL || dispatch_list_add(&writing->leaves, sizeof(uint8_t[32])) == NULL)
			return false;
		memcpy(head->stream, streams[i]->name, sizeof head->stream);
		head->last_seq = streams[i]->last_seq;
		memcpy(head->last_chain, streams[i]->last_chain, sizeof head->last_chain);
	}
	return writing->heads.count > 0;
}

static void on_head_number(void *arg, size_t index, int64_t head_no)
{
	struct dispatch *dispatch = arg;

	(void)index;
	dispatch->writing.head_flying.head_no = (uint64_t)head_no;
}

enum jk_status dispatch_evidence_sign(struct dispatch *dispatch, const struct dispatch_store_done *done)
{
	struct dispatch_writing *writing = &dispatch->writing;

	if (!load_heads(dispatch))
		return JK_RETRY;
	writing->head_flying_total = dispatch->feed.total_seq;
	dispatch_heads_sign(writing->heads.items, writing->heads.count, dispatch->around.key, jk_time_now_us(),
		writing->leaves.items, &writing->head_flying);
	return dispatch_store_add_head(
		dispatch->store, &writing->head_flying, writing->heads.items, writing->heads.count, on_head_number, done);
}

void dispatch_evidence_signed(struct dispatch *dispatch)
{
	struct dispatch_writing *writing = &dispatch->writing;

	writing->head = writing->head_flying;
	writing->head_total = writing->head_flying_total;
	writing->head_at_ms = jk_time_mono_ms();
	writing->head_number++;
	jk_metric_add(dispatch->metrics.heads_signed, 1);
}

/* It waits for the disk, so not at each of a hundred heads a second: the newest holds all before it. */
void dispatch_evidence_publish(struct dispatch *dispatch, int64_t now_ms)
{
	struct dispatch_writing *writing = &dispatch->writing;
	struct jk_refusal why;

	if (dispatch->around.head_file[0] == '\0' || writing->published_number == writing->head_number ||
		now_ms < writing->publish_at_ms)
		return;
	writing->publish_at_ms = now_ms + DISPATCH_HEAD_BEAT_MS;
	if (jk_witness_append(dispatch->around.head_file, &writing->head, &why) == JK_OK)
		writing->published_number = writing->head_number;
	else
		jk_log_limited(60000, JK_LOG_WARN, "head_not_published", "why=%s", why.reason);
}
