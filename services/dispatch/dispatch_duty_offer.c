/* dispatch_duty_offer.c: lists for desks, and offers to their open sessions. Another dispatcher may have made the offer: so what
 * is open for the desks that are here is looked up, and each session is sent what it has not been sent yet. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "base/jk_time.h"
#include "dispatch_duty_internal.h"
#include "dispatch_duty_list_pg.h"

enum {
	OPEN_MAX = 1024, /* offers looked up at once; the newest */
	LISTS_MAX = 256, /* questions that wait */
	LOOK_MS = 500,   /* unless something has happened here */
	PUSHES_MAX = 64, /* to one session in one turn */
	LOG_EVERY_MS = 10000,
};

/* A question on its way. */
struct list_ask {
	uint64_t session, request;
	struct dispatch_offer_ask ask;
};

/* An offer that is open, and its place in the order in which this process has seen them. */
struct open_offer {
	struct dispatch_offer offer;
	uint64_t serial;
};

/* How far a session was sent them. */
struct told_session {
	uint64_t number, serial;
	bool here;
};

struct dispatch_offers {
	struct jk_db *db;
	struct dispatch_offer_query query;
	struct dispatch_list asks, open, coming, told; /* list_ask, open_offer sorted by key, the same, told_session by number */
	struct list_ask flying;
	bool looks, unsent, woken;
	int64_t look_at_ms;
	uint64_t serial;
	struct dispatch_offer page[DISPATCH_OFFERS_MAX + 1];
};

/* ---- what may be shown ---- */

static bool shows(struct jk_decision decision)
{
	return decision.effect != JK_DENY && !(decision.withheld & (1U << JK_GROUP_IDENTITY | 1U << JK_GROUP_CLASSIFICATION));
}

static void fill_shown(const struct jk_registry *registry, const struct jk_desk *desk, struct dispatch_offer *offer)
{
	const struct dispatch_duty *duty = &offer->duty;
	struct jk_decision decision = dispatch_duty_decide(registry, desk, JK_USE_RESPOND, &offer->incident, duty->county);

	if (!shows(decision))
		decision = dispatch_duty_decide(registry, desk, JK_USE_VIEW, &offer->incident, duty->county);
	offer->shown = shows(decision);
	if (!offer->shown) {
		offer->reason[0] = '\0';
		return;
	}
	jk_term_name(offer->allowed_by, decision.term);
	(void)jk_text_copy(offer->holder, sizeof offer->holder,
		dispatch_duty_desk_code(registry, duty->holder, &offer->incident, duty->county));
}

/* ---- lists ---- */

static void refuse(struct dispatch_duties *duties, const struct list_ask *ask, const char *reason)
{
	struct jk_session *session = jk_session_find(duties->sessions, ask->session);
	struct jk_refusal refusal;

	(void)jk_refuse(&refusal, JK_CODE_UNAVAILABLE, NULL, "%s; ask again", reason);
	if (session != NULL)
		jk_session_refuse(duties->sessions, session, ask->request, &refusal);
}

void dispatch_duty_on_list(struct dispatch_duties *duties, const struct jk_request *request)
{
	struct list_ask ask = {.session = request->session->number, .request = dispatch_duty_wire_list_request(request)};
	struct jk_refusal refusal;
	struct list_ask *waiting;

	if (!dispatch_duty_wire_read_list(request, &ask.ask, &refusal)) {
		jk_session_refuse(duties->sessions, request->session, ask.request, &refusal);
		return;
	}
	if (duties->offers->asks.count >= LISTS_MAX || !jk_db_is_up(duties->offers->db) || jk_db_is_stuck(duties->offers->db) ||
		(waiting = dispatch_list_add(&duties->offers->asks, sizeof *waiting)) == NULL)
		refuse(duties, &ask, "the question cannot be answered now");
	else
		*waiting = ask;
}

static void answer_list(struct dispatch_duties *duties, const PGresult *result)
{
	struct dispatch_offers *offers = duties->offers;
	const struct list_ask *ask = &offers->flying;
	struct jk_session *session = jk_session_find(duties->sessions, ask->session);
	const struct jk_registry *registry = jk_sessions_registry(duties->sessions);
	const struct jk_desk *desk =
		session == NULL || registry == NULL ? NULL : jk_registry_find_desk(registry, session->desk_id);
	size_t count = (size_t)PQntuples(result);
	bool more = count > ask->ask.limit;
	struct dispatch_offer_place last;

	if (desk == NULL)
		return;
	count = more ? ask->ask.limit : count;
	for (size_t i = 0; i < count; i++) {
		dispatch_offer_read(result, (int)i, &offers->page[i]);
		fill_shown(registry, desk, &offers->page[i]);
	}
	if (more)
		last = (struct dispatch_offer_place){
			.at_us = offers->page[count - 1].at_us, .duty_id = offers->page[count - 1].duty.duty_id};
	if (dispatch_duty_wire_send_listed(duties->sessions, session, ask->request, offers->page, count, more ? &last : NULL) !=
		JK_OK)
		jk_log_limited(LOG_EVERY_MS, JK_LOG_WARN, "answer_not_sent", "what=offers");
}

static void on_page(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = arg;

	if (outcome->status == JK_OK)
		answer_list(duties, outcome->results[0]);
	else
		refuse(duties, &duties->offers->flying, "the database does not answer");
}

static void start_page(struct dispatch_duties *duties)
{
	struct dispatch_offers *offers = duties->offers;
	struct list_ask *asks = offers->asks.items;
	struct jk_session *session;
	struct jk_db_step step;

	offers->flying = asks[0];
	memmove(asks, asks + 1, --offers->asks.count * sizeof *asks);
	session = jk_session_find(duties->sessions, offers->flying.session);
	if (session == NULL)
		return;
	dispatch_offer_page_step(&offers->query, session->desk_id, &offers->flying.ask, &step);
	if (jk_db_start(offers->db, &step, 1, on_page, duties) != JK_OK)
		refuse(duties, &offers->flying, "the database does not answer");
}

/* ---- offers to open sessions ---- */

static int compare_numbers(int64_t a, int64_t b)
{
	return (a > b) - (a < b);
}

static int compare_open(const void *a, const void *b)
{
	const struct dispatch_offer *left = &((const struct open_offer *)a)->offer,
				    *right = &((const struct open_offer *)b)->offer;
	int order = compare_numbers(left->desk_id, right->desk_id);

	if (order == 0)
		order = memcmp(left->duty.duty_id.bytes, right->duty.duty_id.bytes, sizeof left->duty.duty_id.bytes);
	if (order == 0)
		order = compare_numbers(left->number, right->number);
	return order != 0 ? order : compare_numbers(left->times, right->times);
}

static void sort(struct dispatch_list *open)
{
	if (open->count > 0)
		qsort(open->items, open->count, sizeof(struct open_offer), compare_open);
}

static const struct open_offer *find_open(const struct dispatch_list *open, const struct open_offer *key)
{
	return open->count == 0 ? NULL : bsearch(key, open->items, open->count, sizeof *key, compare_open);
}

/* What was seen before keeps its place; the oldest of the new ones comes first. */
static void take_open(struct dispatch_offers *offers, const PGresult *result)
{
	struct dispatch_list before = offers->open;

	dispatch_list_clear(&offers->coming);
	for (int row = PQntuples(result) - 1; row >= 0; row--) {
		struct open_offer *open = dispatch_list_add(&offers->coming, sizeof *open);
		const struct open_offer *known;

		if (open == NULL)
			break;
		dispatch_offer_read(result, row, &open->offer);
		known = find_open(&offers->open, open);
		open->serial = known != NULL ? known->serial : ++offers->serial;
	}
	sort(&offers->coming);
	offers->open = offers->coming;
	offers->coming = before;
}

static void on_open(void *arg, const struct jk_db_outcome *outcome)
{
	struct dispatch_duties *duties = arg;

	if (outcome->status != JK_OK)
		return;
	take_open(duties->offers, outcome->results[0]);
	duties->offers->unsent = true;
}

static struct told_session *find_told(struct dispatch_offers *offers, uint64_t number)
{
	struct told_session *told = offers->told.items;

	for (size_t i = 0; i < offers->told.count; i++)
		if (told[i].number == number)
			return &told[i];
	told = dispatch_list_add(&offers->told, sizeof *told);
	if (told != NULL)
		told->number = number;
	return told;
}

void dispatch_duty_forget(struct dispatch_duties *duties, uint64_t session)
{
	struct told_session *told = duties->offers->told.items;

	for (size_t i = 0; i < duties->offers->told.count; i++) {
		if (told[i].number != session)
			continue;
		told[i] = told[--duties->offers->told.count];
		return;
	}
}

/* Index of the first offer of this desk, or of one after it. */
static size_t first_of(const struct dispatch_list *list, int32_t desk_id)
{
	const struct open_offer *open = list->items;
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (open[middle].offer.desk_id < desk_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The desk's next offer after this place. */
static struct open_offer *next_open(struct dispatch_offers *offers, int32_t desk_id, uint64_t serial)
{
	struct open_offer *open = offers->open.items, *next = NULL;

	for (size_t i = first_of(&offers->open, desk_id); i < offers->open.count && open[i].offer.desk_id == desk_id; i++)
		if (open[i].serial > serial && (next == NULL || open[i].serial < next->serial))
			next = &open[i];
	return next;
}

/* A pipe that is full gets the rest with the next turn. */
static void push_to(void *arg, struct jk_session *session)
{
	struct dispatch_duties *duties = arg;
	struct dispatch_offers *offers = duties->offers;
	const struct jk_registry *registry = jk_sessions_registry(duties->sessions);
	const struct jk_desk *desk =
		session->ended || session->desk_id < 0 ? NULL : jk_registry_find_desk(registry, session->desk_id);
	struct told_session *told = NULL;
	struct open_offer *next;

	if (desk != NULL && next_open(offers, session->desk_id, 0) != NULL)
		told = find_told(offers, session->number);

	for (int i = 0; told != NULL && (next = next_open(offers, session->desk_id, told->serial)) != NULL; i++) {
		if (i == PUSHES_MAX) {
			offers->unsent = true;
			return;
		}
		fill_shown(registry, desk, &next->offer);
		if (dispatch_duty_wire_send_offered(duties->sessions, session, &next->offer) != JK_OK)
			return;
		told->serial = next->serial;
		jk_metric_add(duties->metrics.pushed, 1);
	}
}

static void add_desk(void *arg, struct jk_session *session)
{
	struct dispatch_offers *offers = arg;

	if (!session->ended && session->desk_id >= 0)
		dispatch_offer_open_add(&offers->query, session->desk_id);
}

static void start_look(struct dispatch_duties *duties)
{
	struct dispatch_offers *offers = duties->offers;
	struct jk_db_step step;

	offers->woken = false;
	offers->look_at_ms = jk_time_mono_ms() + LOOK_MS;
	dispatch_offer_open_reset(&offers->query);
	jk_sessions_each(duties->sessions, add_desk, offers);
	if (offers->query.desks.count == 0)
		return;
	dispatch_offer_open_step(&offers->query, OPEN_MAX, &step);
	if (jk_db_start(offers->db, &step, 1, on_open, duties) != JK_OK)
		offers->woken = true;
}

void dispatch_offers_wake(struct dispatch_duties *duties)
{
	duties->offers->woken = true;
}

void dispatch_offers_on_timer(struct dispatch_duties *duties)
{
	struct dispatch_offers *offers = duties->offers;

	jk_db_on_timer(offers->db);
	offers->unsent = true; /* for sessions that are new, or whose pipe was full */
	if (jk_time_mono_ms() >= offers->look_at_ms)
		offers->woken = true;
}

void dispatch_offers_turn(struct dispatch_duties *duties)
{
	struct dispatch_offers *offers = duties->offers;

	if (offers->unsent && offers->open.count > 0 && jk_sessions_registry(duties->sessions) != NULL) {
		offers->unsent = false;
		jk_sessions_each(duties->sessions, push_to, duties);
	}
	if (!jk_db_is_idle(offers->db))
		return;
	offers->looks = !offers->looks;
	if (offers->woken && (offers->looks || offers->asks.count == 0))
		start_look(duties);
	else if (offers->asks.count > 0)
		start_page(duties);
}

enum jk_status dispatch_offers_open(struct dispatch_duties *duties)
{
	duties->offers = calloc(1, sizeof *duties->offers);
	if (duties->offers == NULL || jk_db_open(duties->around.conninfo, "jukwaa-dispatch-offer", &duties->offers->db) != JK_OK)
		return JK_BROKEN;
	return jk_loop_add_fd(duties->around.loop, jk_db_fd, jk_db_events, jk_db_on_ready, duties->offers->db);
}

void dispatch_offers_close(struct dispatch_duties *duties)
{
	struct dispatch_offers *offers = duties->offers;

	if (offers == NULL)
		return;
	duties->offers = NULL;
	jk_db_close(&offers->db);
	dispatch_offer_query_done(&offers->query);
	dispatch_list_done(&offers->asks);
	dispatch_list_done(&offers->open);
	dispatch_list_done(&offers->coming);
	dispatch_list_done(&offers->told);
	free(offers);
}
