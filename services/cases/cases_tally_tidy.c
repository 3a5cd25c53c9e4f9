/* cases_tally_tidy.c: letting go of what no case has any more: an incident that is sent again and again to ever other addressees,
 * or moves from county to county, has a label of its own each time. */
#include <stdlib.h>

#include "cases_tally_internal.h"

/* So many dead labels are kept (in case they come back), and one more for so many cases: few, as each may name 1 KiB of codes,
 * and enough for a tidying to cost no more than a look at so many cases for each label. */
enum { DEAD_MAX = 1024, CASES_A_DEAD = 32 };

/* Those that hold cases close up, and their labels learn where they stand. */
static void keep_shelves(struct cases_tally *tally)
{
	size_t kept = 0;

	for (size_t i = 0; i < tally->shelf_count; i++) {
		const struct shelf shelf = tally->shelves[i];

		if (shelf.count == 0) {
			free(shelf.rows);
			continue;
		}
		for (uint32_t row = 0; row < shelf.count; row++)
			tally->labels[shelf.rows[row].label].shelf = (uint32_t)kept;
		tally->shelves[kept++] = shelf;
	}
	tally->shelf_count = kept;
}

/* Those that cases have close up, and their cases learn where they stand. places: room for one number a label. */
static void keep_labels(struct cases_tally *tally, uint32_t *places)
{
	size_t kept = 0;

	for (size_t i = 0; i < tally->label_count; i++) {
		if (tally->labels[i].cases == 0) {
			free(tally->labels[i].named);
			continue;
		}
		places[i] = (uint32_t)kept;
		tally->labels[kept++] = tally->labels[i];
	}
	tally->label_count = kept;
	tally->dead = 0;
	for (size_t i = 0; i < tally->shelf_count; i++)
		for (struct tally_row *row = tally->shelves[i].rows, *end = row + tally->shelves[i].count; row < end; row++)
			row->label = places[row->label];
}

void cases_tally_tidy(struct cases_tally *tally)
{
	uint32_t *places;

	if (tally->dead <= DEAD_MAX + tally->count / CASES_A_DEAD)
		return;
	places = malloc(tally->label_count * sizeof *places);
	if (!places)
		return; /* it stays as it is, and correct */
	keep_shelves(tally);
	keep_labels(tally, places);
	cases_tally_fill_tables(tally);
	tally->tidied++;
	free(places);
}
