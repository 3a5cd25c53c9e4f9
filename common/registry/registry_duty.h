/* registry_duty.h: who has to answer for what: the operator's rules, the desks asked in order, the roles told when nobody acts.
 * Part of the snapshot, written by `jukwaa admin duty`. Not here: what comes of it (services/dispatch/dispatch_duty_rules.h). */
#pragma once

#include <stdint.h>

#include "base/jk_words.h"

struct jk_desk;

enum { JK_DISCIPLINE_BYTES = 17 }; /* "POLICE", "AMBULANCE", "FIRE", …: 1 to 16 of A-Z 0-9 _ */

/* An incident that a rule fits needs this discipline. Several may fit: each discipline counts once, under the first that fits by
 * (rank, rule_id). */
struct jk_duty_rule {
	int32_t rule_id, rank;
	uint16_t categories;          /* bit n: category n; fits when one of the incident's is in it */
	uint8_t severity_floor;       /* this or worse; 0: any, UNKNOWN too */
	uint8_t urgency_floor;        /* this or more urgent; 0: any */
	char county[JK_COUNTY_BYTES]; /* "": every county */
	char discipline[JK_DISCIPLINE_BYTES];
	int32_t answer_s; /* seconds a desk has to answer an offer */
	int32_t again_s;  /* seconds between two sayings of "nobody has this" */
};

/* Desks of a county for a discipline, in the order they are asked; sorted by (county, discipline, rank, desk_id). */
struct jk_duty_desk {
	char county[JK_COUNTY_BYTES];
	char discipline[JK_DISCIPLINE_BYTES];
	int32_t rank;
	const struct jk_desk *desk;
};

enum jk_escalation_role { JK_ROLE_COUNTY_COMMISSIONER = 1, JK_ROLE_REGIONAL = 2, JK_ROLE_NATIONAL = 3, JK_ESCALATION_ROLES = 4 };
/* "COUNTY_COMMISSIONER", …: as in the registry and in DutyStep.role. */
extern const struct jk_words jk_escalation_roles;

/* Told when a duty of such an incident has had no holder for after_s, and every again_s from then on; sorted by escalation_id. */
struct jk_escalation {
	int32_t escalation_id;
	enum jk_escalation_role role;
	uint8_t severity_floor;
	char county[JK_COUNTY_BYTES]; /* "": every county */
	int32_t after_s, again_s;
	const struct jk_desk *desk; /* who is told */
};
