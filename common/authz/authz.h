/* authz.h: the one decision function: may this recipient have this copy? Pure: no clock, no memory, no protobuf. Every read
 * path (feeds, replay, case queries, notification) asks here and nowhere else. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/jk_words.h"

/* Who asks. agency_id < 0 or desk_id < 0: has none. A publisher (no desk) may see its own agency's copies only. */
struct jk_subject {
	int32_t agency_id;
	int32_t desk_id;
	enum jk_role role;
	enum jk_realm realm;
};

/* What the copy is labelled with. county: of the stream the copy is taken from. */
struct jk_label {
	int32_t owner_agency_id; /* < 0: unknown, which denies */
	char county[JK_COUNTY_BYTES];
	uint16_t categories; /* bit n: category n; 0 denies */
	enum jk_tlp tlp;     /* NONE denies */
	enum jk_scope scope; /* NONE denies */
	enum jk_cap_status status;
};

/* One explicit ALLOW row of the registry. < 0, "" or 0: any. */
struct jk_allow {
	int32_t allow_id;
	int32_t desk_id;
	int32_t owner_agency_id;
	char county[JK_COUNTY_BYTES];
	uint8_t category;
	enum jk_tlp tlp_ceiling;
	int64_t valid_from_us, valid_until_us; /* until: exclusive; 0: open */
};

enum jk_effect { JK_DENY = 0, JK_ALLOW, JK_ALLOW_REDACTED };
struct jk_decision {
	enum jk_effect effect;
	int32_t allow_id;   /* the row that allowed it; 0: the owner's own */
	uint32_t withheld;  /* bit n: group n is withheld (REDACTED: reporter and persons always are, on every feed) */
	const char *reason; /* fixed text, for explain and logs */
};

/* rows: those of this desk only, any order; count 0 denies everybody but the owner. now_us: when the copy is made. */
struct jk_decision jk_authz_decide(const struct jk_subject *subject, const struct jk_label *label, const struct jk_allow *rows,
	size_t count, int64_t now_us);
