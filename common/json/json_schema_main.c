/* json_schema_main.c: writes the JSON Schema of jukwaa.v1.Incident on standard output; run by the build, not installed. */
#include <stdio.h>

#include "jukwaa/v1/incident.pb-c.h"
#include "json/json_map.h"

int main(void)
{
	struct jk_buffer buffer = {0};

	jk_json_schema(&jukwaa__v1__incident__descriptor, "urn:jukwaa:v1:incident", &buffer);
	bool good = !buffer.failed && puts(buffer.data) >= 0 && fflush(stdout) == 0;
	jk_buffer_done(&buffer);
	return good ? 0 : 1;
}
