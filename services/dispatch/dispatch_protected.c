/* dispatch_protected.c: see dispatch_protected.h. */
#include "base/jk_log.h"
#include "base/jk_time.h"
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
	FETCHED_MAX_BYTES = 16 * 1024 * 1024, /* plus what one job brings */
	FETCHED_FOR_MS = 1000,
	WANTED_MAX = 1024,
	SALT_BYTES = 16,
};

struct dispatch_fetched {
	struct dispatch_fetched *next;
	uint64_t serial, seq;
	uint16_t place;
	int64_t at_ms;
	size_t bytes;
	struct dispatch_apart apart; /* points into own */
	uint8_t own[];
};

/* ---- what is here ---- */

static void unlink_after(struct dispatch_protected *lane, struct dispatch_fetched *before, struct dispatch_fetched *fetched)
{
	*(before == NULL ? &lane->oldest : &before->next) = fetched->next;
	if (lane->newest == fetched)
		lane->newest = before;
	lane->bytes -= fetched->bytes;
	explicit_bzero(fetched->own, fetched->bytes - sizeof *fetched);
	free(fetched);
}

static bool is_of(
	const struct dispatch_fetched *fetched, const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq)
{
	return fetched->serial == subscription->serial && fetched->place == place_no && fetched->seq == seq;
}

const struct dispatch_apart *dispatch_protected_find(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq)
{
	int64_t since_ms = jk_time_mono_ms() - FETCHED_FOR_MS;

	for (struct dispatch_fetched *f = dispatch->protected.oldest; f != NULL; f = f->next)
		if (is_of(f, subscription, place_no, seq) && f->at_ms >= since_ms)
			return &f->apart;
	return NULL;
}

void dispatch_protected_drop(
	struct dispatch *dispatch, const struct dispatch_subscription *subscription, size_t place_no, uint64_t seq)
{
	struct dispatch_fetched *before = NULL;

	for (struct dispatch_fetched *f = dispatch->protected.oldest; f != NULL; before = f, f = f->next) {
		if (!is_of(f, subscription, place_no, seq))
			continue;
		unlink_after(&dispatch->protected, before, f);
		return;
	}
}

void dispatch_protected_tick(struct dispatch *dispatch)
{
	struct dispatch_protected *protected = &dispatch->protected;
	int64_t since_ms = jk_time_mono_ms() - FETCHED_FOR_MS;

	while (protected->oldest != NULL && protected->oldest->at_ms < since_ms)
		unlink_after(protected, NULL, protected->oldest);
}

void dispatch_protected_forget(struct dispatch *dispatch)
{
	while (dispatch->protected.oldest != NULL)
		unlink_after(&dispatch->protected, NULL, dispatch->protected.oldest);
	dispatch->protected.stale = true;
}

/* Without memory it is not here, and will be asked for again. */
static void keep(struct dispatch *dispatch, const struct dispatch_protected_want *want, const struct dispatch_apart *apart)
{
	struct dispatch_protected *protected = &dispatch->protected;
	struct dispatch_fetched *fetched;
	size_t size = sizeof *fetched;
	uint8_t *at;

	for (int i = 0; i < DISPATCH_APART_GROUPS; i++)
		size += apart->content[i] == NULL ? 0 : SALT_BYTES + apart->size[i];
	fetched = calloc(1, size);
	if (fetched == NULL)
		return;
	fetched->serial = want->serial;
	fetched->seq = want->seq;
	fetched->place = want->place;
	fetched->at_ms = jk_time_mono_ms();
	fetched->bytes = size;
	at = fetched->own;
	for (int i = 0; i < DISPATCH_APART_GROUPS; i++) {
		if (apart->content[i] == NULL)
			continue;
		fetched->apart.salt[i] = memcpy(at, apart->salt[i], SALT_BYTES);
		at += SALT_BYTES;
		fetched->apart.content[i] = at;
		fetched->apart.size[i] = apart->size[i];
		if (apart->size[i] > 0)
			memcpy(at, apart->content[i], apart->size[i]);
		at += apart->size[i];
	}
	*(protected->newest == NULL ? &protected->oldest : &protected->newest->next) = fetched;
	protected->newest = fetched;
	protected->bytes += size;
	while (protected->bytes > FETCHED_MAX_BYTES && protected->oldest != fetched)
		unlink_after(protected, NULL, protected->oldest);
}

/* ---- what is on its way ---- */

bool dispatch_protected_want(struct dispatch *dispatch, struct dispatch_subscription *subscription, size_t place_no,
	const struct dispatch_event *event, const struct dispatch_range *range)
{
	struct dispatch_list *wanted = &dispatch->protected.wanted;
	struct dispatch_protected_want *want = wanted->count < WANTED_MAX ? dispatch_list_add(wanted, sizeof *want) : NULL;

	if (want == NULL)
		return false;
	*want = (struct dispatch_protected_want){.session = subscription->session,
		.serial = subscription->serial,
		.seq = event->seq,
		.policy_version = subscription->policy_version,
		.place = (uint16_t)place_no,
		.disclosure_id = range->disclosure_id,
		.event_id = event->event_id};
	subscription->places[place_no].fetching = true;
	return true;
}

/* The subscription that asked, if it is still the same. */
static struct dispatch_subscription *asker_of(struct dispatch *dispatch, const struct dispatch_protected_want *want)
{
	struct jk_session *session = jk_session_find(dispatch->sessions, want->session);
	struct dispatch_subscription *subscription = session == NULL ? NULL : session->user;

	return subscription != NULL && subscription->serial == want->serial ? subscription : NULL;
}

/* What is refused although this side believes in its range goes out as a digest: the stream must not stand still for it. */
static void on_protected(void *arg, size_t index, const char *refused, const struct dispatch_apart *apart)
{
	static const struct dispatch_apart nothing;
	struct dispatch *dispatch = arg;
	const struct dispatch_protected_want *want =
		&((const struct dispatch_protected_want *)dispatch->protected.flying.items)[index];
	const struct dispatch_subscription *subscription = asker_of(dispatch, want);
	char id[JK_ID_TEXT_BYTES];

	if (subscription == NULL || subscription->policy_version != want->policy_version || dispatch->protected.stale ||
		strcmp(refused, "LATER") == 0)
		return;
	if (refused[0] != '\0') {
		jk_id_format(id, &want->event_id);
		jk_metric_add(dispatch->metrics.protected_refused, 1);
		jk_log_limited(5000, JK_LOG_ERROR, "protected_refused", "event=%s holder=%s why=%s", id,
			subscription->holder.name, refused);
	}
	keep(dispatch, want, refused[0] == '\0' ? apart : &nothing);
}

static void on_fetched(void *arg, enum jk_status status)
{
	struct dispatch *dispatch = arg;
	struct dispatch_protected *protected = &dispatch->protected;
	const struct dispatch_protected_want *wants = protected->flying.items;

	for (size_t i = 0; i < protected->flying.count; i++) {
		struct dispatch_subscription *subscription = asker_of(dispatch, &wants[i]);

		if (subscription != NULL)
			subscription->places[wants[i].place].fetching = false;
	}
	dispatch_list_clear(&protected->flying);
	dispatch->generation++;
	if (status == JK_OK)
		return;
	protected->not_before_ms = jk_time_mono_ms() + DISPATCH_RETRY_MS;
	jk_metric_add(dispatch->metrics.failures, 1);
	jk_log_limited(5000, JK_LOG_WARN, "protected_failed", "status=%s problem=%s", jk_status_name(status),
		dispatch_store_problem(dispatch->store));
}

void dispatch_protected_turn(struct dispatch *dispatch)
{
	struct dispatch_protected *protected = &dispatch->protected;
	const struct dispatch_store_done done = {dispatch, on_fetched};

	if (protected->flying.count > 0 || protected->wanted.count == 0 || jk_time_mono_ms() < protected->not_before_ms ||
		!dispatch_store_can_fetch(dispatch->store))
		return;
	if (!dispatch_list_move_some(
		    &protected->flying, &protected->wanted, DISPATCH_FETCH_MAX, sizeof(struct dispatch_protected_want)))
		return;
	protected->stale = false;
	if (dispatch_store_fetch_protected(
		    dispatch->store, protected->flying.items, protected->flying.count, on_protected, &done) != JK_OK)
		on_fetched(dispatch, JK_RETRY);
}

void dispatch_protected_done(struct dispatch *dispatch)
{
	dispatch_protected_forget(dispatch);
	dispatch_list_done(&dispatch->protected.wanted);
	dispatch_list_done(&dispatch->protected.flying);
}
