/* subscribe.c: shows the events of the counties given (or of all), and goes on where it was after a restart.
 *   cc subscribe.c -o subscribe $(pkg-config --cflags --libs jukwaa)
 *   JUKWAA_DISPATCH=… JUKWAA_KEY=… JUKWAA_SERVER_KEY=… ./subscribe 047 022
 * Ctrl-C ends it; events of the last fifth of a second may come again at the next start: tell them by event_id. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <jukwaa/client.h>

enum { WAIT_MS = 1000 };

static int show_feed(struct jukwaa_subscriber *subscriber)
{
	struct jukwaa_event event;

	for (;;) {
		int status = jukwaa_subscriber_next(subscriber, WAIT_MS, &event);

		if (status == JUKWAA_E_TIMEOUT || status == JUKWAA_E_UNREACHABLE)
			continue; /* the library takes the link up again by itself */
		if (status != JUKWAA_OK) {
			const struct jukwaa_error *error = jukwaa_subscriber_error(subscriber);

			fprintf(stderr, "%s %s\n", error->code, error->reason);
			return EXIT_FAILURE;
		}
		printf("%s#%" PRIu64 " %s %s %s%s\n", event.stream, event.seq, event.kind, event.severity, event.headline,
			event.copy_verified && !event.chain_broken ? "" : " THE COPY DOES NOT ADD UP");
		fflush(stdout);
		/* Here it would be stored; then: */
		if (jukwaa_subscriber_ack(subscriber, event.delivery_no) != JUKWAA_OK)
			fprintf(stderr, "%s\n", jukwaa_subscriber_error(subscriber)->reason);
	}
}

int main(int argc, char **argv)
{
	struct jukwaa_connection connection = {
		.endpoint = getenv("JUKWAA_DISPATCH"),
		.key_file = getenv("JUKWAA_KEY"),
		.server_key = getenv("JUKWAA_SERVER_KEY"),
		.client = "subscribe.c",
	};
	struct jukwaa_subscription subscription = {
		.counties = (const char *const *)argv + 1,
		.county_count = (size_t)argc - 1,
		.all = argc == 1,
		.from = "beginning",
		.resume_file = "subscribe.resume",
	};
	struct jukwaa_subscriber *subscriber;
	char reason[256];
	int status;

	if (jukwaa_subscriber_open(&connection, &subscription, &subscriber, reason) != JUKWAA_OK) {
		fprintf(stderr, "%s\n", reason);
		return EXIT_FAILURE;
	}
	status = show_feed(subscriber);
	jukwaa_subscriber_close(&subscriber);
	return status;
}
