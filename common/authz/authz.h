/* authz.h: the one decision function: may this recipient have this copy, redacted how, and under which agreement? Pure: no clock,
 * no memory, no protobuf. Every read path (feeds, replay, case queries, notification) asks here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz_profile.h"
#include "base/jk_words.h"

/* What the copy is for; the numbers of jukwaa.v1.Action. */
enum jk_use { JK_USE_NONE = 0, JK_USE_VIEW = 1, JK_USE_CASE = 2, JK_USE_NOTIFY = 3, JK_USE_RESPOND = 4 };

/* Who asks. agency_id < 0 or desk_id < 0: has none. A publisher (no desk) may see its own agency's copies only. */
struct jk_subject {
	int32_t agency_id;
	int32_t desk_id;
	enum jk_role role;
	enum jk_realm realm;
	enum jk_use use;
	const char *desk_code; /* for labels that name their recipients; "" none */
	const char *agency_code;
};

/* What the copy is labelled with. county: of the stream the copy is taken from. */
struct jk_label {
	int32_t owner_agency_id; /* < 0: unknown, which denies */
	char county[JK_COUNTY_BYTES];
	uint16_t categories; /* bit n: category n; 0 denies */
	uint8_t severity;    /* 0 and UNKNOWN meet no floor */
	enum jk_tlp tlp;     /* NONE denies */
	enum jk_scope scope; /* NONE denies */
	enum jk_cap_status status;
	/* Handling.addresses, read for PRIVATE, RESTRICTED and RED only; borrowed. Desks (and for PRIVATE and RESTRICTED
	 * agencies) are named by their code. */
	const char *const *named;
	size_t named_count;
	bool owner_agreements_only; /* the owner's policy: the operator's rows do not count */
	/* When the event was recorded; of one that is not yet: now. 0: unknown, which no term with retention_days covers. */
	int64_t recorded_at_us;
};

/* One direction of one agreement in force (or one row of registry.allow), compiled for one desk. */
struct jk_term {
	int32_t pact_id;  /* 0: a row of registry.allow */
	int32_t allow_id; /* of that row; 0: an agreement */
	uint32_t version;
	const char *code;        /* of the agreement; "" for a row */
	int32_t owner_agency_id; /* < 0: every owner */
	uint64_t counties;       /* bit n: county n; 0: nobody */
	uint16_t categories;     /* 0: nobody */
	uint8_t severity_floor;  /* 0: any */
	enum jk_tlp tlp_ceiling;
	uint16_t uses;     /* bit n: enum jk_use n */
	uint32_t withheld; /* by the profile, less the protected groups that the agreement gives */
	enum jk_profile profile;
	uint32_t retention_days; /* 0: no limit; else a copy of an event that is older is not given any more */
	bool redistribution, statutory;
	bool hides_recipient;      /* a task force that the owner is not in: who its members are is not the owner's to know */
	int64_t from_us, until_us; /* until: exclusive; 0: open */
};

enum { JK_TERM_NAME_BYTES = 56 };
/* "owner" (NULL), "allow:12", "agreement:KPS-KRCS@2": programs read it in copies and records. */
void jk_term_name(char ret[JK_TERM_NAME_BYTES], const struct jk_term *term);

enum jk_effect { JK_DENY = 0, JK_ALLOW, JK_ALLOW_REDACTED };
struct jk_decision {
	enum jk_effect effect;
	const struct jk_term *term; /* what allowed it; NULL: denied, or the owner's own */
	uint32_t withheld;          /* bit n: group n is withheld; everything when denied */
	const char *reason;         /* fixed text, for explain and logs */
};

/* terms: those of this desk only, ascending by (owner_agency_id, pact_id, allow_id); count 0 denies everybody but the owner.
 * now_us: when the copy is made. Of several that allow, the one that withholds least, then the lowest pact_id, then allow_id. */
struct jk_decision jk_authz_decide(const struct jk_subject *subject, const struct jk_label *label, const struct jk_term *terms,
	size_t count, int64_t now_us);
