/* publish.c: publishes one JSON report and prints its receipt.
 *   cc publish.c -o publish $(pkg-config --cflags --libs jukwaa)
 *   JUKWAA_INTAKE=… JUKWAA_KEY=… JUKWAA_SERVER_KEY=… ./publish
 * With an outbox (options.outbox) the report would be kept on disk until it is stored. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jukwaa/client.h>

enum { TIMEOUT_MS = 10000 };

static int fail(const char *what, const struct jukwaa_error *error)
{
	fprintf(stderr, "%s: %s %s\n", what, error->code, error->reason);
	return EXIT_FAILURE;
}

static int publish(struct jukwaa_publisher *publisher)
{
	char json[512];
	struct jukwaa_receipt receipt;
	struct jukwaa_report report = {.format = "json", .payload = json, .label = "example"};

	snprintf(json, sizeof json,
		"{\"identity\":{\"external_id\":\"example-c-%jd\",\"status\":\"ACTUAL\"},"
		"\"classification\":{\"categories\":[\"FIRE\"],\"severity\":\"SEVERE\",\"event\":\"Market fire\"},"
		"\"place\":{\"codes\":[{\"scheme\":\"COUNTY\",\"code\":\"047\"}]},"
		"\"handling\":{\"tlp\":\"GREEN\",\"scope\":\"PUBLIC\"}}",
		(intmax_t)time(NULL));
	report.payload_size = strlen(json);
	if (jukwaa_publisher_send(publisher, &report, TIMEOUT_MS, NULL) != JUKWAA_OK)
		return fail("not sent", jukwaa_publisher_error(publisher));
	if (jukwaa_publisher_receive(publisher, TIMEOUT_MS, &receipt) != JUKWAA_OK)
		return fail("no receipt", jukwaa_publisher_error(publisher));

	printf("%s %s %s", receipt.verdict, receipt.external_id, receipt.incident_id);
	for (size_t i = 0; i < receipt.position_count; i++)
		printf(" %s#%" PRIu64, receipt.positions[i].stream, receipt.positions[i].seq);
	printf("%s%s %s\n", receipt.code[0] ? " " : "", receipt.code, receipt.reason);
	return strcmp(receipt.verdict, "STORED") == 0 || strcmp(receipt.verdict, "DUPLICATE") == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(void)
{
	struct jukwaa_publisher_options options = {
		.connection = {.endpoint = getenv("JUKWAA_INTAKE"),
			.key_file = getenv("JUKWAA_KEY"),
			.server_key = getenv("JUKWAA_SERVER_KEY"),
			.client = "publish.c"},
	};
	struct jukwaa_publisher *publisher;
	char reason[256];
	int status;

	if (jukwaa_publisher_open(&options, &publisher, reason) != JUKWAA_OK) {
		fprintf(stderr, "%s\n", reason);
		return EXIT_FAILURE;
	}
	status = publish(publisher);
	jukwaa_publisher_close(&publisher);
	return status;
}
