/* dispatch_ask.c: SUBSCRIBE as it comes: its shape, the streams it means, the seals it brings. What is sound waits for the
 * database (dispatch_subscribe.c). */
#include "dispatch_internal.h"

#include <stdlib.h>
#include <string.h>

static bool add_county(const struct jk_request *request, struct dispatch_streams *streams, const char *county, bool neighbours)
{
	size_t count = 0;
	const char(*list)[JK_COUNTY_BYTES];

	if (!dispatch_streams_add(streams, county))
		return false;
	if (!neighbours)
		return true;
	list = jk_registry_neighbours(request->registry, county, &count);
	for (size_t i = 0; i < count; i++)
		if (!dispatch_streams_add(streams, list[i]))
			return false;
	return true;
}

static bool add_mailbox(const struct jk_request *request, struct dispatch_streams *streams)
{
	char name[DISPATCH_STREAM_BYTES];

	return jk_text_format(name, sizeof name, "@%s", request->key->agency->code) && dispatch_streams_add(streams, name);
}

/* The streams that are meant. The mailbox is the agency's own: there is no way to name another's. */
static bool resolve_streams(const struct jk_request *request, const struct dispatch_ask *ask, struct dispatch_streams *streams,
	struct jk_refusal *ret_refusal)
{
	size_t all_count = 0;
	const char(*all)[JK_COUNTY_BYTES] = jk_registry_counties(request->registry, &all_count);
	bool fits = !ask->mailbox || add_mailbox(request, streams);

	for (size_t i = 0; i < ask->county_count; i++) {
		char field[32];

		if (!jk_registry_county_exists(request->registry, ask->counties[i])) {
			(void)jk_text_format(field, sizeof field, "counties[%zu]", i);
			return jk_refuse(ret_refusal, JK_CODE_UNKNOWN_COUNTY, field,
				"no such county; national codes are three digits, as in 047");
		}
		fits = fits && add_county(request, streams, ask->counties[i], ask->neighbours);
	}
	for (size_t i = 0; ask->all && i < all_count; i++)
		fits = fits && dispatch_streams_add(streams, all[i]);
	return fits || jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "counties", "more streams than there can be");
}

/* Positions of streams that are not asked for are passed over: a token may serve a narrower subscription. */
static bool keep_seals(const struct dispatch_ask *ask, struct dispatch_pending *pending, struct jk_refusal *ret_refusal)
{
	for (size_t i = 0; i < ask->position_count; i++) {
		const struct dispatch_sealed *sealed = &ask->positions[i];
		int index = dispatch_streams_find(&pending->streams, sealed->stream);

		if (sealed->size != DISPATCH_SEAL_BYTES)
			return jk_refuse(ret_refusal, JK_CODE_NOT_WELL_FORMED, "positions", "a sealed position is %d bytes long",
				DISPATCH_SEAL_BYTES);
		if (index < 0)
			continue;
		memcpy(pending->seals[index], sealed->seal, DISPATCH_SEAL_BYTES);
		pending->sealed[index] = true;
	}
	return true;
}

static bool fill_pending(const struct jk_request *request, const struct dispatch_ask *ask, struct dispatch_pending *pending,
	struct jk_refusal *ret_refusal)
{
	const struct jk_session *session = request->session;
	bool any = ask->county_count > 0 || ask->all || ask->mailbox;

	if (!ask->agreement_fits)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "only_agreement",
			"an agreement's code has at most %d characters", DISPATCH_AGREEMENT_BYTES - 1);
	if (!dispatch_rules_check_ask(&ask->filter, ask->start, ask->cursor, ask->window, any, ret_refusal) ||
		!dispatch_rules_check_backfill(&ask->filter, ask->start, ask->cursor, ask->mailbox, ret_refusal) ||
		!resolve_streams(request, ask, &pending->streams, ret_refusal))
		return false;
	if (ask->start == DISPATCH_START_TOKEN && !keep_seals(ask, pending, ret_refusal))
		return false;
	pending->session = session->number;
	pending->request = ask->request;
	pending->key_id = session->key_id;
	pending->desk_id = session->desk_id;
	pending->agency_id = session->agency_id;
	pending->filter = ask->filter;
	pending->start = ask->start;
	pending->window = dispatch_rules_window(ask->window);
	pending->batch_max_bytes = dispatch_rules_batch_bytes(ask->batch_max_bytes);
	pending->lagging = ask->lagging;
	pending->recalled = ask->recalled;
	pending->work = ask->work;
	pending->include_closed = ask->include_closed;
	(void)jk_text_copy(pending->cursor, sizeof pending->cursor, ask->cursor);
	dispatch_seal_holder(&pending->holder, session->desk_id, session->agency_id, &pending->filter);
	return true;
}

/* *count: how many stand in the list, the session's own or not. */
static bool is_waiting(const struct dispatch_pending *list, uint64_t session, size_t *count)
{
	bool found = false;

	for (; list != NULL; list = list->next, ++*count)
		found = found || list->session == session;
	return found;
}

static bool accept_ask(struct dispatch *dispatch, const struct jk_request *request, const struct dispatch_ask *ask,
	struct jk_refusal *ret_refusal)
{
	struct dispatch_writing *writing = &dispatch->writing;
	struct dispatch_pending *pending;
	uint64_t session = request->session->number;
	size_t waiting = 0;

	if (is_waiting(writing->pending, session, &waiting) || is_waiting(writing->finding, session, &waiting))
		return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "the subscription before this one is not answered yet");
	if (waiting >= DISPATCH_PENDING_MAX)
		return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "many subscribe at once; try again");
	pending = calloc(1, sizeof *pending);
	if (pending == NULL)
		return jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "out of memory");
	if (!fill_pending(request, ask, pending, ret_refusal)) {
		free(pending);
		return false;
	}
	dispatch_subscribe_add(&writing->pending, pending);
	return true;
}

void dispatch_on_subscribe(void *service, const struct jk_request *request)
{
	struct dispatch *dispatch = service;
	struct jk_refusal refusal = {.code = JK_CODE_NONE};
	struct dispatch_ask ask = {.request = 0};

	if (!dispatch_wire_read_subscribe(request, &ask))
		(void)jk_refuse(&refusal, JK_CODE_OVERSIZE, "positions", "too many positions");
	else if (accept_ask(dispatch, request, &ask, &refusal))
		return;
	jk_session_refuse(dispatch->sessions, request->session, ask.request, &refusal);
}
