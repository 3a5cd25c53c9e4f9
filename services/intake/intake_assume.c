#include "services/intake/intake_assume.h"

/* Batches loaded after a wrong assumption: few at first, for one late repetition is common; doubled by each further one. */
enum { LOADS_MIN = 16, LOADS_MAX = 1024 };

bool intake_assume_ask(struct intake_assume *assume, bool may)
{
	if (assume->loads_left) {
		assume->loads_left--;
		return false;
	}
	return may;
}

void intake_assume_was_right(struct intake_assume *assume)
{
	if (assume->penalty)
		assume->penalty--;
}

void intake_assume_was_wrong(struct intake_assume *assume)
{
	assume->penalty = assume->penalty ? 2 * assume->penalty : LOADS_MIN;
	if (assume->penalty > LOADS_MAX)
		assume->penalty = LOADS_MAX;
	assume->loads_left = assume->penalty;
}

void intake_assume_saw_known(struct intake_assume *assume)
{
	if (assume->loads_left < assume->penalty)
		assume->loads_left = assume->penalty;
}
