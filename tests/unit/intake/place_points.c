/* place_points BOUNDARIES: for each line "lat lon" of standard input the county, or "-"; figures on standard error. */
#include <stdio.h>
#include <time.h>

#include "services/intake/intake_place_geos.h"

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	struct intake_boundaries *boundaries;
	struct jk_refusal refusal = {0};
	char missing[256], county[4];
	double lat, lon, before = now_s(), loaded, asked = 0;
	size_t points = 0;

	if (argc != 2 || intake_boundaries_open(argv[1], "county_code", &boundaries, missing, &refusal) != JK_OK) {
		fprintf(stderr, "%s\n", argc == 2 ? refusal.reason : "one argument: the boundary file");
		return 1;
	}
	loaded = now_s();
	while (scanf("%lf %lf", &lat, &lon) == 2) {
		double start = now_s();
		bool found = intake_boundaries_of_point(boundaries, lat, lon, county);

		asked += now_s() - start;
		points++;
		puts(found ? county : "-");
	}
	fprintf(stderr, "loaded in %.1f ms; %zu points, %.2f us each; missing: \"%s\"\n", (loaded - before) * 1e3, points,
		points == 0 ? 0.0 : asked / (double)points * 1e6, missing);
	intake_boundaries_close(&boundaries);
	return 0;
}
