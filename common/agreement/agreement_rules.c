/* agreement_rules.c: what may happen to an agreement or a task force next: one table. No row means refusal. Applied by
 * agreement_state.c to acts that are known to be signed; the same rules serve whoever wants to sign one. */
#include <string.h>

#include "agreement_rules.h"
#include "base/jk_text.h"

/* Where a pact is, as one bit each. */
enum phase {
	NEW = 1,     /* nothing holds and nothing waits */
	WAITS = 2,   /* the first proposal waits */
	HOLDS = 4,   /* a version holds, suspended or not */
	CHANGES = 8, /* a version holds and the next one waits */
	OVER = 16,   /* ended for good */
};
/* Which version the act is about. */
enum about { NEXT, WAITING, HOLDING };
enum guard {
	ALWAYS,
	SAME_PARTIES, /* as the versions before: a code is never taken over */
	NOT_YET,      /* has not consented to that version, and has not left since it was proposed */
	IS_PROPOSER,  /* proposed it */
	MAY_SUSPEND,  /* speaks for a side, or has consented; has not suspended yet */
	HAS_SUSPENDED,
	SPEAKS_FOR_ITSELF, /* has consented, as a member and not for a side */
};
enum effect { DO_PROPOSE, DO_CONSENT_NEXT, DO_CONSENT, DO_SUSPEND, DO_RESUME, DO_DROP, DO_END, DO_LEAVE };

static const struct row {
	enum jk_act act;
	unsigned from;  /* phases */
	unsigned roles; /* any of them */
	enum about about;
	enum guard guard;
	enum effect effect;
	const char *why;
} rows[] = {
	{JK_ACT_PROPOSE, NEW | WAITS | HOLDS | CHANGES, ROLE_PARTY | ROLE_LEAD | ROLE_OPERATOR, NEXT, SAME_PARTIES, DO_PROPOSE,
		"a party proposes the next version; a proposal that waits gives way"},
	{JK_ACT_ACCEPT, WAITS | CHANGES, ROLE_PARTY | ROLE_MEMBER, WAITING, NOT_YET, DO_CONSENT_NEXT,
		"who has not proposed it accepts it"},
	{JK_ACT_ACCEPT, HOLDS | CHANGES, ROLE_PARTY | ROLE_MEMBER, HOLDING, NOT_YET, DO_CONSENT,
		"a member joins what others have in force"},
	{JK_ACT_SUSPEND, HOLDS | CHANGES, ROLE_PARTY | ROLE_MEMBER | ROLE_OPERATOR, HOLDING, MAY_SUSPEND, DO_SUSPEND,
		"either side stops it at once; a member stops its own part"},
	{JK_ACT_RESUME, HOLDS | CHANGES, ROLE_PARTY | ROLE_MEMBER | ROLE_OPERATOR, HOLDING, HAS_SUSPENDED, DO_RESUME,
		"who suspended, and nobody else, resumes"},
	{JK_ACT_WITHDRAW, WAITS | CHANGES, ROLE_PARTY | ROLE_LEAD | ROLE_MEMBER | ROLE_OPERATOR, WAITING, IS_PROPOSER, DO_DROP,
		"a proposal is taken back by who made it"},
	{JK_ACT_WITHDRAW, HOLDS | CHANGES, ROLE_PARTY | ROLE_OPERATOR, HOLDING, ALWAYS, DO_END, "either side ends it for good"},
	{JK_ACT_LEAVE, HOLDS | CHANGES, ROLE_MEMBER, HOLDING, SPEAKS_FOR_ITSELF, DO_LEAVE,
		"a member leaves; only a later version can have it back"},
};

/* ---- roles ---- */

static bool is_named(const struct jk_party *party, const char *agency)
{
	return party->kind == JK_PARTY_AGENCY && strcmp(party->code, agency) == 0;
}

static bool is_member(const struct jk_task_force *task_force, const char *agency)
{
	for (size_t i = 0; i < task_force->member_count; i++)
		if (strcmp(task_force->members[i], agency) == 0)
			return true;
	return false;
}

static unsigned roles_in_agreement(
	const struct jk_agreement *agreement, const char *agency, bool is_operator, const struct jk_task_force *task_force)
{
	bool gives = agreement->provider.kind == JK_PARTY_TASK_FORCE, takes = agreement->recipient.kind == JK_PARTY_TASK_FORCE;
	unsigned roles = 0;

	if (agreement->statutory)
		return is_operator ? ROLE_OPERATOR : 0;
	if (is_named(&agreement->provider, agency) || is_named(&agreement->recipient, agency))
		roles |= ROLE_PARTY;
	if (!gives && !takes)
		return roles;
	if (!task_force)
		return roles | ROLE_UNKNOWN | ROLE_LEAD | ROLE_MEMBER | (takes ? ROLE_PARTY : 0u);
	if (strcmp(task_force->lead, agency) == 0)
		roles |= ROLE_LEAD | (takes ? ROLE_PARTY : 0u);
	/* A lead that gives to its own task force needs somebody else's consent: any member's. */
	if (is_member(task_force, agency) && (gives || is_named(&agreement->provider, task_force->lead)))
		roles |= ROLE_MEMBER;
	return roles;
}

unsigned agreement_roles(const struct agreement_ledger *ledger, enum jk_act act, int version, const char *agency,
	bool is_operator, const struct jk_task_force *task_force)
{
	const struct agreement_version *of = &ledger->versions[version];

	if (!of->good)
		return 0;
	if (ledger->kind == JK_PACT_AGREEMENT)
		return roles_in_agreement(&of->agreement, agency, is_operator, task_force);
	/* Who leads decides what comes next: by the version that holds. */
	if (act == JK_ACT_PROPOSE && ledger->holds >= 0)
		of = &ledger->versions[ledger->holds];
	unsigned roles = is_member(&of->task_force, agency) ? ROLE_MEMBER : 0;
	if (strcmp(of->task_force.lead, agency) == 0)
		roles |= ROLE_LEAD | ROLE_PARTY;
	return roles;
}

/* ---- guards ---- */

static enum phase phase_of(const struct agreement_ledger *ledger)
{
	if (ledger->ended)
		return OVER;
	if (ledger->holds < 0)
		return ledger->proposed < 0 ? NEW : WAITS;
	return ledger->proposed < 0 ? HOLDS : CHANGES;
}

static bool is_statutory(const struct agreement_ledger *ledger)
{
	return ledger->kind == JK_PACT_AGREEMENT && ledger->versions[0].agreement.statutory;
}

/* The operator is one, whichever of its agencies its keys are of. */
static struct jk_standing *find_standing(const struct agreement_ledger *ledger, int32_t agency_id)
{
	for (size_t i = 0; i < ledger->standing_count; i++)
		if (ledger->standings[i].agency_id == agency_id || is_statutory(ledger))
			return &ledger->standings[i];
	return NULL;
}

static bool same_party(const struct jk_party *a, const struct jk_party *b)
{
	return a->kind == b->kind && strcmp(a->code, b->code) == 0;
}

static bool has_same_parties(const struct agreement_ledger *ledger, int version)
{
	const struct jk_agreement *first = &ledger->versions[0].agreement, *next = &ledger->versions[version].agreement;

	if (ledger->kind != JK_PACT_AGREEMENT)
		return true;
	return first->statutory == next->statutory && same_party(&first->provider, &next->provider) &&
	       same_party(&first->recipient, &next->recipient);
}

static bool guard_holds(enum guard guard, const struct agreement_ledger *ledger, const struct agreement_request *request)
{
	static const struct jk_standing nobody;
	const struct jk_standing *found = find_standing(ledger, request->agency_id), *standing = found ? found : &nobody;
	bool next = request->version == ledger->proposed;

	switch (guard) {
	case ALWAYS:
		return true;
	case SAME_PARTIES:
		return has_same_parties(ledger, request->version);
	case NOT_YET:
		return !(next ? standing->consents_next : standing->consents) &&
		       ledger->versions[request->version].version > standing->left;
	case IS_PROPOSER:
		return ledger->proposer_id == request->agency_id || is_statutory(ledger);
	case MAY_SUSPEND:
		return !standing->suspended && (standing->consents || request->roles & (ROLE_PARTY | ROLE_OPERATOR));
	case HAS_SUSPENDED:
		return standing->suspended;
	case SPEAKS_FOR_ITSELF:
		return standing->consents && (request->roles & ROLE_UNKNOWN || !(request->roles & ROLE_PARTY));
	}
	return false;
}

static bool is_about(enum about about, const struct agreement_ledger *ledger, int version)
{
	if (about == NEXT)
		return ledger->versions[version].version == ledger->last_proposed + 1;
	return version == (about == WAITING ? ledger->proposed : ledger->holds);
}

/* ---- asking ---- */

static const struct row *find_row(const struct agreement_ledger *ledger, const struct agreement_request *request)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].act == request->act && rows[i].from & phase_of(ledger) && rows[i].roles & request->roles &&
			is_about(rows[i].about, ledger, request->version) && guard_holds(rows[i].guard, ledger, request))
			return &rows[i];
	return NULL;
}

/* The nearest row says why there is none. */
static bool refuse(const struct agreement_ledger *ledger, const struct agreement_request *request, struct jk_refusal *ret_refusal)
{
	const char *act = jk_words_name(&jk_pact_acts, (int)request->act);
	bool phase = false, role = false, about = false;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].act != request->act)
			continue;
		bool fits = rows[i].from & phase_of(ledger);
		phase = phase || fits;
		role = role || rows[i].roles & request->roles;
		about = about || (fits && is_about(rows[i].about, ledger, request->version));
	}
	uint32_t version = ledger->versions[request->version].version;
	if (!ledger->versions[request->version].good)
		return jk_refuse(
			ret_refusal, JK_CODE_NOT_WELL_FORMED, "version", "version %u is not a document of this pact", version);
	if (!role)
		return jk_refuse(ret_refusal, JK_CODE_NOT_PERMITTED, "agency", "%s may not do %s here: it is not for this party",
			request->agency, act);
	if (!phase)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "act", "%s does not fit: %s", act,
			ledger->ended ? "it has ended for good" : "there is no version that it could be about");
	if (!about && request->act == JK_ACT_PROPOSE)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version", "the next version is %u, not %u",
			ledger->last_proposed + 1, version);
	if (!about)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "version",
			"version %u is stale: it neither waits nor holds", version);
	if (request->act == JK_ACT_PROPOSE)
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "provider",
			"kind and parties must be those of version 1; other parties need another code");
	return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "act", "%s by %s does not fit where version %u stands", act,
		request->agency, version);
}

bool agreement_may(const struct agreement_ledger *ledger, const struct agreement_request *request, struct jk_refusal *ret_refusal)
{
	return (ledger->versions[request->version].good && find_row(ledger, request)) || refuse(ledger, request, ret_refusal);
}

/* ---- doing ---- */

static struct jk_standing *make_standing(struct agreement_ledger *ledger, const struct agreement_request *request)
{
	struct jk_standing *standing = find_standing(ledger, request->agency_id);
	if (standing)
		return standing;
	standing = &ledger->standings[ledger->standing_count++];
	*standing = (struct jk_standing){.agency_id = request->agency_id};
	(void)jk_text_copy(standing->agency, sizeof standing->agency, request->agency);
	return standing;
}

static void forget_proposal(struct agreement_ledger *ledger)
{
	if (ledger->proposed >= 0)
		ledger->words[ledger->proposed] = JK_PACT_WITHDRAWN;
	ledger->proposed = -1;
	for (size_t i = 0; i < ledger->standing_count; i++)
		ledger->standings[i].consents_next = false;
}

static bool consents(const struct agreement_ledger *ledger, const char *agency, bool next)
{
	for (size_t i = 0; i < ledger->standing_count; i++)
		if (strcmp(ledger->standings[i].agency, agency) == 0)
			return next ? ledger->standings[i].consents_next : ledger->standings[i].consents;
	return false;
}

/* An agreement: every agency that it names, and two at least. A task force: its lead is enough for the first version, which is in
 * force for those that join; a change needs every member of it. */
static bool is_accepted(const struct agreement_ledger *ledger)
{
	const struct agreement_version *next = &ledger->versions[ledger->proposed];
	size_t count = 0;

	if (is_statutory(ledger))
		return true;
	if (ledger->kind == JK_PACT_TASK_FORCE) {
		for (size_t i = 0; ledger->holds >= 0 && i < next->task_force.member_count; i++)
			if (!consents(ledger, next->task_force.members[i], true))
				return false;
		return consents(ledger, next->task_force.lead, true);
	}
	const struct jk_party *sides[] = {&next->agreement.provider, &next->agreement.recipient};
	for (int i = 0; i < 2; i++)
		if (sides[i]->kind == JK_PARTY_AGENCY && !consents(ledger, sides[i]->code, true))
			return false;
	for (size_t i = 0; i < ledger->standing_count; i++)
		count += ledger->standings[i].consents_next;
	return count >= 2;
}

static void settle(struct agreement_ledger *ledger)
{
	if (ledger->proposed < 0 || !is_accepted(ledger))
		return;
	if (ledger->holds >= 0)
		ledger->words[ledger->holds] = JK_PACT_SUPERSEDED;
	ledger->holds = ledger->proposed;
	ledger->proposed = -1;
	ledger->words[ledger->holds] = JK_PACT_IN_FORCE;
	for (size_t i = 0; i < ledger->standing_count; i++) {
		ledger->standings[i].consents = ledger->standings[i].consents_next;
		ledger->standings[i].consents_next = false;
	}
}

void agreement_apply(struct agreement_ledger *ledger, const struct agreement_request *request)
{
	const struct row *row = find_row(ledger, request);
	struct jk_standing *standing = make_standing(ledger, request);

	switch (row->effect) {
	case DO_PROPOSE:
		forget_proposal(ledger);
		ledger->proposed = request->version;
		ledger->proposer_id = request->agency_id;
		ledger->last_proposed = ledger->versions[request->version].version;
		ledger->words[request->version] = JK_PACT_PROPOSED;
		standing->consents_next = true;
		break;
	case DO_CONSENT_NEXT:
		standing->consents_next = true;
		break;
	case DO_CONSENT:
		standing->consents = true;
		break;
	case DO_SUSPEND:
	case DO_RESUME:
		standing->suspended = row->effect == DO_SUSPEND;
		break;
	case DO_DROP:
		forget_proposal(ledger);
		break;
	case DO_END:
		forget_proposal(ledger);
		ledger->ended = true;
		ledger->words[ledger->holds] = JK_PACT_ENDED;
		break;
	case DO_LEAVE:
		standing->consents = standing->consents_next = false;
		standing->left = ledger->last_proposed;
		break;
	}
	settle(ledger);
}

/* ---- what holds in the end ---- */

bool agreement_stands(const struct agreement_ledger *ledger, const struct jk_task_force *task_force)
{
	if (ledger->holds < 0 || ledger->ended)
		return false;
	const struct jk_agreement *agreement = &ledger->versions[ledger->holds].agreement;
	bool gives = agreement->provider.kind == JK_PARTY_TASK_FORCE, takes = agreement->recipient.kind == JK_PARTY_TASK_FORCE;
	size_t count = 0, members = 0;

	if (ledger->kind == JK_PACT_TASK_FORCE)
		return consents(ledger, ledger->versions[ledger->holds].task_force.lead, false);
	if (!gives && !takes)
		return true;
	if (!task_force)
		return false;
	for (size_t i = 0; i < ledger->standing_count; i++) {
		const struct jk_standing *standing = &ledger->standings[i];
		bool member = is_member(task_force, standing->agency);
		bool named =
			is_named(&agreement->provider, standing->agency) || is_named(&agreement->recipient, standing->agency);
		if (standing->consents && !standing->suspended) {
			members += member;
			count += member || named;
		}
	}
	return count >= 2 && (!gives || members > 0) && (!takes || consents(ledger, task_force->lead, false));
}

bool agreement_is_suspended(const struct agreement_ledger *ledger, const struct jk_task_force *task_force)
{
	for (size_t i = 0; ledger->holds >= 0 && i < ledger->standing_count; i++) {
		const struct jk_standing *standing = &ledger->standings[i];
		bool is_operator = is_statutory(ledger);
		/* Without a task force nobody is taken for its lead; then it is not in force anyway. */
		unsigned roles = ledger->kind == JK_PACT_TASK_FORCE || task_force
					 ? agreement_roles(ledger, JK_ACT_SUSPEND, ledger->holds, standing->agency, is_operator,
						   task_force)
				 : is_operator ? ROLE_OPERATOR
					       : ROLE_PARTY;
		if (standing->suspended && roles & (ROLE_PARTY | ROLE_OPERATOR))
			return true;
	}
	return false;
}
