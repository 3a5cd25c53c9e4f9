/* The boundary file's reader on any bytes, then questions to what it read. */
#include "services/intake/intake_place_geos.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const double ring[] = {-1, 36, -1, 37, 1, 38, -1, 36};
	char counties[INTAKE_COUNTIES_MAX][4], missing[256];
	struct intake_boundaries *boundaries;
	struct jk_refusal refusal;
	size_t count;

	if (intake_boundaries_read((const char *)bytes, size, "county_code", &boundaries, missing, &refusal) != JK_OK)
		return 0;
	intake_boundaries_of_point(boundaries, -1.28, 36.82, counties[0]);
	intake_boundaries_of_ring(boundaries, ring, 4, counties, &count);
	intake_boundaries_of_circle(boundaries, 0.5, 36.5, 40, counties, &count);
	intake_boundaries_close(&boundaries);
	return 0;
}
