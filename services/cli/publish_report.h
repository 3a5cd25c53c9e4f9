/* publish_report.h: how receipts are shown, and what they come to. */
#pragma once

#include "jukwaa/client.h"
#include "services/cli/cli.h"

struct publish_tally {
	size_t stored, duplicate, conflict, rejected, valid;
	size_t unreadable; /* files */
	bool dry_run;      /* receipts say who would see it */
};

/* One line on standard output, flushed when a person is looking. */
void publish_show(const struct cli *cli, const struct jukwaa_receipt *receipt, struct publish_tally *tally);
/* "48 STORED, 4 DUPLICATE" on standard error. */
void publish_show_tally(const struct publish_tally *tally);
size_t publish_tally_receipts(const struct publish_tally *tally);
/* All well: everything STORED, DUPLICATE or VALID. */
bool publish_tally_is_good(const struct publish_tally *tally);
