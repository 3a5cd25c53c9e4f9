/* intake_wire_cap.h: CAP 1.2 XML -> incident, on libxml2 (no network, no entities, no DOCTYPE, 2 MiB at most). Validated by our
 * own schema (deploy/schema/cap12.xsd, compiled in) and by the rules of CAP 1.2 §3 that no schema sees. */
#pragma once

#include "services/intake/intake_decoded.h"

struct intake_cap; /* compiled schema; shared by nothing, one thread */

/* JK_BROKEN: the schema did not compile (a build fault). Sets libxml2's process-wide refusing entity loader. */
enum jk_status intake_cap_open(struct intake_cap **ret_cap) JK_MUST_CHECK;
void intake_cap_close(struct intake_cap **cap_p);

/* Refusals in this order: OVERSIZE; NOT_WELL_FORMED (field "doctype" for any DOCTYPE, else "line N"); root is no CAP alert:
 * NOT_AN_ALERT, WRONG_NAMESPACE, or OLD_NAMESPACE (CAP 1.0, 1.1, draft namespaces); INVALID_SCHEMA (field = element path; also
 * where identifier or sender has more than 256 bytes); RULE_VIOLATION (CAP 1.2 §3: references missing for Update, Cancel, Ack,
 * Error; blanks, commas, < or & in identifier or sender; Private without addresses; Restricted without restriction; a malformed
 * reference). Warnings (strict: refusals with code RULE_VIOLATION): BAD_SHAPE (unclosed, empty, out of range, fewer than 4
 * points, circle malformed: the shape is left out), EXPIRES_NOT_AFTER_SENT; note CONTENT_NOT_CARRIED is only a note and never
 * refused. All texts are copied into the arena. */
bool intake_cap_read(struct intake_cap *cap, const uint8_t *bytes, size_t size, bool strict, struct jk_arena *arena,
	struct intake_decoded *ret, struct jk_refusal *ret_refusal);
