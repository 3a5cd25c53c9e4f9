/* publish_csv.h: rows of a CSV file to reports, by a mapping file. */
#pragma once

#include "services/cli/json_slice.h"
#include "services/cli/publish_input.h"

/* As publish_read_file, for the text of a file. map_file NULL: PUBLISH_NO_MAP. */
enum publish_result publish_read_csv(const char *file, struct json_slice text, const char *map_file, publish_take *take,
	void *arg, struct jk_refusal *ret_refusal);
