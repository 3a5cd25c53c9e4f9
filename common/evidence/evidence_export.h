/* evidence_export.h: evidence as a text file, for whoever checks it without the database: chain fields of all events, signed
 * heads with their positions, where streams begin and end. No content. One line each, words separated by one blank, hexadecimal
 * in lower case, in the order that evidence_check.h wants: first what is said of streams, then heads and events:
 *
 *   jukwaa-evidence-1
 *   streams all | some                         (some: the leaves of heads name others too)
 *   begin STREAM SEQ CHAIN HEAD_NO             (behind what was removed under that head; 0: this is only a part)
 *   end STREAM SEQ CHAIN whole | part
 *   head HEAD_NO SIGNED_AT_US ROOT PUBLIC_KEY SIGNATURE COUNT
 *   leaf STREAM SEQ CHAIN                      (COUNT of them, ascending)
 *   event STREAM SEQ EPOCH RECORDED_AT_US EVENT_ID KIND INCIDENT_ID REVISION TLP CATEGORY COMMITMENT CHAIN
 *                                              (COMMITMENT "-" where there is none)
 *   done LINES                                 (lines before this one) */
#pragma once

#include <stdio.h>

#include "evidence/evidence_check.h"

/* Writes one export; errors of the file stay with it (ferror). Zero-initialise but for file. */
struct jk_export {
	FILE *file;
	uint64_t lines;
};
void jk_export_start(struct jk_export *export, bool all_streams);
void jk_export_begin(struct jk_export *export, const struct jk_leaf *position, uint64_t head_no);
void jk_export_end(struct jk_export *export, const struct jk_leaf *position, bool whole);
void jk_export_head(struct jk_export *export, const struct jk_signed_head *head, const struct jk_leaf *leaves, size_t count);
void jk_export_event(struct jk_export *export, const struct jk_chain_link *link, const uint8_t chain[32]);
void jk_export_finish(struct jk_export *export);

/* Reads a whole export into a check (but for its finish). False: it is not one, or not all of it is there; field: the line. */
bool jk_export_read(FILE *file, struct jk_check *check, struct jk_refusal *ret_refusal) JK_MUST_CHECK;
