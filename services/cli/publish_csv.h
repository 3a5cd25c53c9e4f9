/* publish_csv.h: rows of a CSV file to reports, by a mapping file (csv_map.h), a row at a time. */
#pragma once

#include "services/cli/publish_input.h"

/* As publish_read_file. map_file NULL: PUBLISH_NO_MAP. */
enum publish_result publish_read_csv(
	const char *path, const char *map_file, publish_take *take, void *arg, struct jk_refusal *ret_refusal);
