#include "services/intake/intake_ledger.h"

#include <string.h>

/* uthash on the batch's arena: nothing is freed one by one, and a full arena is an answer, not an exit. */
#define HASH_NONFATAL_OOM 1
#define uthash_malloc(size) jk_arena_alloc(ledger->arena, size)
#define uthash_free(memory, size) ((void)0)
#define uthash_nonfatal_oom(element) (ledger->full = true)
#include <uthash.h>

struct report_key {
	struct intake_key key;
	int64_t revision;
};

struct known_entry {
	struct report_key id;
	struct intake_known known;
	UT_hash_handle hh;
};

struct newest_entry {
	struct intake_key key;
	int64_t revision;
	struct jk_id incident_id;
	UT_hash_handle hh;
};

struct incident_entry {
	struct intake_incident now;
	struct jk_id seen_event_id;
	bool opened, touched;
	struct incident_entry *next_touched;
	UT_hash_handle hh;
};

/* The incident that waits for a key. One of each key: where several would, the oldest is joined, and then all wait no more. A
 * wait for each would let one key make so many of them that no batch which names it could be loaded. */
struct wait_entry {
	struct intake_key key;
	struct jk_id incident_id;
	bool stored; /* the database has a wait for this key */
	bool begins; /* but not of this incident */
	bool over;   /* the report has come */
	struct wait_entry *next;
	UT_hash_handle hh;
};

struct intake_ledger {
	struct jk_arena *arena;
	struct known_entry *known;
	struct newest_entry *newest;
	struct incident_entry *incidents, *touched, **touched_end;
	struct wait_entry *waits, *all_waits;
	bool full; /* something was left out: nothing can be told from it any more */
};

struct intake_ledger *intake_ledger_new(struct jk_arena *arena)
{
	struct intake_ledger *ledger = jk_arena_alloc(arena, sizeof *ledger);

	if (!ledger)
		return NULL;
	ledger->arena = arena;
	ledger->touched_end = &ledger->touched;
	return ledger;
}

static void *take_memory(struct intake_ledger *ledger, size_t bytes)
{
	void *memory = jk_arena_alloc(ledger->arena, bytes);

	ledger->full = ledger->full || !memory;
	return memory;
}

/* ---- the tables ---- */

static struct known_entry *find_known(const struct intake_ledger *ledger, const struct intake_key *key, int64_t revision)
{
	struct report_key id = {*key, revision};
	struct known_entry *entry;

	HASH_FIND(hh, ledger->known, &id, sizeof id, entry);
	return entry;
}

static struct newest_entry *find_newest(const struct intake_ledger *ledger, const struct intake_key *key)
{
	struct newest_entry *entry;

	HASH_FIND(hh, ledger->newest, key, sizeof *key, entry);
	return entry;
}

static struct incident_entry *find_incident(const struct intake_ledger *ledger, const struct jk_id *incident_id)
{
	struct incident_entry *entry;

	HASH_FIND(hh, ledger->incidents, incident_id, sizeof *incident_id, entry);
	return entry;
}

static struct wait_entry *find_wait(const struct intake_ledger *ledger, const struct intake_key *key)
{
	struct wait_entry *entry;

	HASH_FIND(hh, ledger->waits, key, sizeof *key, entry);
	return entry;
}

bool intake_ledger_add_known(struct intake_ledger *ledger, const struct intake_known *known)
{
	if (find_known(ledger, &known->key, known->revision))
		return true;
	struct known_entry *entry = take_memory(ledger, sizeof *entry);
	if (!entry)
		return false;
	entry->known = *known;
	entry->id = (struct report_key){known->key, known->revision};
	HASH_ADD(hh, ledger->known, id, sizeof entry->id, entry);
	return !ledger->full;
}

bool intake_ledger_add_newest(struct intake_ledger *ledger, const struct intake_known *known)
{
	struct newest_entry *entry = find_newest(ledger, &known->key);

	if (entry && entry->revision >= known->revision)
		return true;
	if (!entry) {
		entry = take_memory(ledger, sizeof *entry);
		if (!entry)
			return false;
		entry->key = known->key;
		HASH_ADD(hh, ledger->newest, key, sizeof entry->key, entry);
	}
	entry->revision = known->revision;
	entry->incident_id = known->incident_id;
	return !ledger->full;
}

static struct incident_entry *add_incident(struct intake_ledger *ledger, const struct intake_incident *incident)
{
	struct incident_entry *entry = take_memory(ledger, sizeof *entry);

	if (!entry)
		return NULL;
	entry->now = *incident;
	entry->seen_event_id = incident->current_event_id;
	HASH_ADD(hh, ledger->incidents, now.incident_id, sizeof entry->now.incident_id, entry);
	return ledger->full ? NULL : entry;
}

bool intake_ledger_add_incident(struct intake_ledger *ledger, const struct intake_incident *incident)
{
	return find_incident(ledger, &incident->incident_id) || add_incident(ledger, incident);
}

/* Version 7 ids are in the order of time. */
static bool is_older(const struct jk_id *one, const struct jk_id *other)
{
	return memcmp(one, other, sizeof *one) < 0;
}

/* The entry in which this incident is the one that waits now; NULL: it need not be, or the arena is full. */
static struct wait_entry *add_wait(struct intake_ledger *ledger, const struct intake_key *key, const struct jk_id *incident_id)
{
	struct wait_entry *entry = find_wait(ledger, key);

	if (entry && (entry->over || !is_older(incident_id, &entry->incident_id)))
		return NULL;
	if (!entry) {
		entry = take_memory(ledger, sizeof *entry);
		if (!entry)
			return NULL;
		entry->key = *key;
		entry->next = ledger->all_waits;
		ledger->all_waits = entry;
		HASH_ADD(hh, ledger->waits, key, sizeof entry->key, entry);
	}
	entry->incident_id = *incident_id;
	return entry;
}

bool intake_ledger_add_awaited(struct intake_ledger *ledger, const struct intake_key *key, const struct jk_id *incident_id)
{
	struct wait_entry *entry = add_wait(ledger, key, incident_id);

	if (entry)
		entry->stored = true;
	return !ledger->full;
}

/* ---- deciding ---- */

static struct incident_entry *incident_awaiting(const struct intake_ledger *ledger, const struct intake_key *key)
{
	const struct wait_entry *wait = find_wait(ledger, key);

	return wait && !wait->over ? find_incident(ledger, &wait->incident_id) : NULL;
}

/* The incident of the newest known report that the candidate refers to. */
static struct incident_entry *incident_referred(const struct intake_ledger *ledger, const struct intake_candidate *candidate)
{
	const struct newest_entry *newest = NULL;

	for (size_t i = 0; i < candidate->reference_count; i++) {
		const struct newest_entry *entry = find_newest(ledger, &candidate->references[i]);
		if (entry && (!newest || entry->revision >= newest->revision))
			newest = entry;
	}
	return newest ? find_incident(ledger, &newest->incident_id) : NULL;
}

static struct incident_entry *incident_awaiting_same(const struct intake_ledger *ledger, const struct intake_candidate *candidate)
{
	struct incident_entry *entry = NULL;

	for (size_t i = 0; i < candidate->reference_count && !entry; i++)
		entry = incident_awaiting(ledger, &candidate->references[i]);
	return entry;
}

/* Finds the incident in the order that the header gives, and says how. */
static struct incident_entry *find_home(
	const struct intake_ledger *ledger, const struct intake_candidate *candidate, struct intake_decision *decision)
{
	const struct newest_entry *own = find_newest(ledger, &candidate->key);
	struct incident_entry *home = own ? find_incident(ledger, &own->incident_id) : NULL;

	decision->first_of_key = !own;
	if (home)
		return home;
	home = incident_awaiting(ledger, &candidate->key);
	decision->awaited = home != NULL;
	bool refers = candidate->report->msg_type != JK_MSG_TYPE_ALERT && candidate->reference_count > 0;
	if (!refers)
		return home;
	struct incident_entry *referred = incident_referred(ledger, candidate);
	decision->orphan = !referred;
	if (home)
		return home;
	return referred ? referred : incident_awaiting_same(ledger, candidate);
}

static enum jk_event_kind kind_of(const struct intake_report *report, const struct intake_incident *before)
{
	if (report->msg_type == JK_MSG_TYPE_ACK)
		return JK_EVENT_ACK;
	if (report->msg_type == JK_MSG_TYPE_ERROR)
		return JK_EVENT_ERROR;
	if (before->current_revision == INTAKE_REVISION_NONE)
		return JK_EVENT_INCIDENT;
	if (report->revision < before->current_revision)
		return JK_EVENT_HISTORY;
	return report->msg_type == JK_MSG_TYPE_CANCEL ? JK_EVENT_CANCEL : JK_EVENT_UPDATE;
}

/* The incident takes the report's state; what the report leaves out stays as it was. */
static void take_state(struct intake_incident *incident, const struct intake_candidate *candidate)
{
	const struct intake_report *report = candidate->report;

	incident->current_revision = report->revision;
	incident->current_event_id = candidate->event_id;
	incident->cancelled = report->msg_type == JK_MSG_TYPE_CANCEL;
	if (candidate->counties)
		incident->counties = candidate->counties;
	if (report->categories) {
		incident->categories = report->categories;
		incident->category = report->category;
		incident->severity = report->severity;
	}
}

static void decide_stored(
	const struct intake_ledger *ledger, const struct intake_candidate *candidate, struct intake_decision *decision)
{
	const struct incident_entry *home = find_home(ledger, candidate, decision);
	struct intake_incident *after = &decision->after;

	decision->verdict = JK_VERDICT_STORED;
	decision->opens = !home;
	if (home) {
		*after = home->now;
	} else {
		after->incident_id = candidate->incident_id;
		after->agency_id = candidate->agency_id;
		after->current_revision = INTAKE_REVISION_NONE;
		after->current_event_id = candidate->event_id;
		after->counties = candidate->counties;
		after->category = JK_CATEGORY_OTHER;
		after->categories = 1 << JK_CATEGORY_OTHER;
		after->severity = JK_SEVERITY_UNKNOWN;
		after->orphan = decision->orphan;
	}
	if (decision->awaited)
		after->orphan = decision->orphan;
	decision->kind = kind_of(candidate->report, after);
	decision->late = decision->kind == JK_EVENT_HISTORY;
	uint64_t left = after->counties;
	if (!decision->late && decision->kind != JK_EVENT_ACK && decision->kind != JK_EVENT_ERROR)
		take_state(after, candidate);
	decision->counties = after->counties;
	decision->moved_away = left & ~after->counties;
}

void intake_ledger_decide(
	const struct intake_ledger *ledger, const struct intake_candidate *candidate, struct intake_decision *ret_decision)
{
	const struct known_entry *entry = find_known(ledger, &candidate->key, candidate->report->revision);

	*ret_decision = (struct intake_decision){0};
	if (ledger->full) {
		ret_decision->verdict = JK_VERDICT_BUSY;
		return;
	}
	if (!entry) {
		decide_stored(ledger, candidate, ret_decision);
		return;
	}
	bool same = memcmp(entry->known.content, candidate->content, INTAKE_CONTENT_BYTES) == 0;
	ret_decision->verdict = same ? JK_VERDICT_DUPLICATE : JK_VERDICT_CONFLICT;
	ret_decision->first = entry->known.answer;
}

/* ---- recording ---- */

static bool record_incident(struct intake_ledger *ledger, const struct intake_decision *decision)
{
	struct incident_entry *entry = find_incident(ledger, &decision->after.incident_id);

	if (!entry) {
		entry = add_incident(ledger, &decision->after);
		if (!entry)
			return false;
		entry->opened = true;
	}
	entry->now = decision->after;
	if (!entry->touched) {
		entry->touched = true;
		*ledger->touched_end = entry;
		ledger->touched_end = &entry->next_touched;
	}
	return true;
}

static bool record_waits(
	struct intake_ledger *ledger, const struct intake_candidate *candidate, const struct intake_decision *decision)
{
	struct wait_entry *own = find_wait(ledger, &candidate->key);

	if (own)
		own->over = true;
	for (size_t i = 0; decision->orphan && i < candidate->reference_count; i++) {
		struct wait_entry *entry = add_wait(ledger, &candidate->references[i], &decision->after.incident_id);
		if (entry)
			entry->begins = true;
	}
	return !ledger->full;
}

bool intake_ledger_record(
	struct intake_ledger *ledger, const struct intake_candidate *candidate, const struct intake_decision *decision)
{
	struct intake_known known = {
		.key = candidate->key,
		.revision = candidate->report->revision,
		.incident_id = decision->after.incident_id,
		.answer = candidate->answer,
	};

	memcpy(known.content, candidate->content, sizeof known.content);
	bool replies_only =
		!decision->opens && !decision->awaited && (decision->kind == JK_EVENT_ACK || decision->kind == JK_EVENT_ERROR);
	return intake_ledger_add_known(ledger, &known) && intake_ledger_add_newest(ledger, &known) &&
	       (replies_only || record_incident(ledger, decision)) && record_waits(ledger, candidate, decision);
}

bool intake_ledger_next_change(const struct intake_ledger *ledger, void **position_p, struct intake_change *ret_change)
{
	struct incident_entry *entry = *position_p ? ((struct incident_entry *)*position_p)->next_touched : ledger->touched;

	if (!entry)
		return false;
	*position_p = entry;
	*ret_change = (struct intake_change){&entry->now, entry->opened, entry->seen_event_id};
	return true;
}

bool intake_ledger_next_wait(const struct intake_ledger *ledger, void **position_p, struct intake_wait *ret_wait)
{
	struct wait_entry *entry = *position_p ? ((struct wait_entry *)*position_p)->next : ledger->all_waits;

	for (; entry; entry = entry->next) {
		bool ends = entry->stored && (entry->over || entry->begins);
		bool begins = entry->begins && !entry->over;
		if (!ends && !begins) /* waiting as before, or come and gone within the batch: nothing to store */
			continue;
		*position_p = entry;
		*ret_wait = (struct intake_wait){entry->key, entry->incident_id, ends, begins};
		return true;
	}
	return false;
}
