/* cli_bench.c: `jukwaa bench publish|deliver|latency|storm`: load for a running exchange, and what it shows. Reports are made up
 * and real to the exchange: run it on a trial system. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_time.h"
#include "base/jk_words.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "services/cli/bench_load.h"
#include "services/cli/bench_storm.h"
#include "services/cli/cli.h"

struct desk {
	pthread_t id;
	struct bench_load *load;
	struct bench_samples arrivals; /* send to arrival at the desk */
	_Atomic bool listening, failed;
	char reason[256];
	double last_arrival_s; /* after the load's start */
	int64_t began_us;
};

/* External id of a delivered event; false when its registration is withheld or malformed. */
static bool read_external_id(const struct jukwaa_event *event, char *ret, size_t capacity)
{
	Jukwaa__V1__Deliver *deliver = jukwaa__v1__deliver__unpack(NULL, event->body_size, event->body);
	bool found = false;
	if (deliver && deliver->body_case == JUKWAA__V1__DELIVER__BODY_EVENT && deliver->event->n_groups == JK_GROUP_COUNT) {
		const Jukwaa__V1__Group *group = deliver->event->groups[JK_GROUP_REGISTRATION - 1];
		Jukwaa__V1__Identity *identity = jukwaa__v1__identity__unpack(NULL, group->content.len, group->content.data);
		found = identity && jk_text_copy(ret, capacity, identity->external_id);
		jukwaa__v1__identity__free_unpacked(identity, NULL);
	}
	jukwaa__v1__deliver__free_unpacked(deliver, NULL);
	return found;
}

static void desk_fail(struct desk *desk, const char *reason)
{
	jk_text_copy(desk->reason, sizeof desk->reason, reason);
	desk->failed = true;
	desk->listening = true;
}

static void take_event(
	struct desk *desk, struct jukwaa_subscriber *subscriber, const struct jukwaa_event *event, int64_t *ret_left)
{
	const struct bench_options *options = desk->load->options;
	char external_id[96];
	int64_t now_us = jk_time_now_us(), number = -1;
	if (read_external_id(event, external_id, sizeof external_id))
		number = bench_load_number(options->run_name, external_id);
	if (number >= 0 && number < options->reports) {
		bench_samples_add(&desk->arrivals, now_us - desk->load->sent_us[number]);
		desk->last_arrival_s = (double)(now_us - desk->began_us) / 1e6;
		--*ret_left;
	}
	if (event->delivery_no % 32 == 0 || *ret_left == 0)
		jukwaa_subscriber_ack(subscriber, event->delivery_no);
}

static void *desk_thread(void *arg)
{
	struct desk *desk = arg;
	const struct bench_options *options = desk->load->options;
	struct jukwaa_subscription all = {.all = true, .from = "now", .window = 256};
	struct jukwaa_subscriber *subscriber = NULL;
	char reason[256];
	if (jukwaa_subscriber_open(&options->desk, &all, &subscriber, reason) != JUKWAA_OK) {
		desk_fail(desk, reason);
		return NULL;
	}
	struct jukwaa_event event;
	/* One wait that ends without an event leaves the subscription in place: from "now" on. */
	int status = jukwaa_subscriber_next(subscriber, 1500, &event);
	desk->listening = true;
	int64_t left = options->reports, quiet_since_ms = jk_time_mono_ms();
	uint64_t newest = 0;
	while (left > 0) {
		if (status == JUKWAA_OK) {
			take_event(desk, subscriber, &event, &left);
			newest = event.delivery_no;
			quiet_since_ms = jk_time_mono_ms();
		} else if (status != JUKWAA_E_TIMEOUT) {
			desk_fail(desk, jukwaa_subscriber_error(subscriber)->reason);
			break;
		} else if (newest) {
			jukwaa_subscriber_ack(subscriber, newest);
		}
		if (jk_time_mono_ms() - quiet_since_ms > options->timeout_s * 1000L) {
			desk_fail(desk, "events are missing at the desk");
			break;
		}
		status = jukwaa_subscriber_next(subscriber, 200, &event);
	}
	jukwaa_subscriber_close(&subscriber);
	return NULL;
}

static void print_load(const struct cli *cli, const struct bench_load *load, const char *what)
{
	double rate = (double)load->receipts.count / load->seconds;
	double p50 = bench_samples_percentile_ms(&load->receipts, 50), p99 = bench_samples_percentile_ms(&load->receipts, 99);
	if (cli->json)
		printf("{\"bench\":\"%s\",\"reports\":%zu,\"stored\":%lld,\"seconds\":%.3f,\"per_second\":%.0f,\"p50_ms\":%.3f,"
		       "\"p99_ms\":%.3f}\n",
			what, load->receipts.count, (long long)load->stored, load->seconds, rate, p50, p99);
	else
		printf("%-9s %8zu receipts in %6.2f s: %7.0f/s   p50 %7.2f ms   p99 %7.2f ms\n", what, load->receipts.count,
			load->seconds, rate, p50, p99);
	fflush(stdout);
}

static void print_desk(const struct cli *cli, const struct desk *desk, double publish_seconds)
{
	double rate = desk->last_arrival_s > 0 ? (double)desk->arrivals.count / desk->last_arrival_s : 0;
	double p50 = bench_samples_percentile_ms(&desk->arrivals, 50), p99 = bench_samples_percentile_ms(&desk->arrivals, 99);
	double lag = desk->last_arrival_s - publish_seconds;
	if (cli->json)
		printf("{\"bench\":\"deliver\",\"events\":%zu,\"per_second\":%.0f,\"p50_ms\":%.3f,\"p99_ms\":%.3f,\"lag_at_end_"
		       "s\":%.3f}\n",
			desk->arrivals.count, rate, p50, p99, lag);
	else
		printf("%-9s %8zu events                : %7.0f/s   p50 %7.2f ms   p99 %7.2f ms   lag at the end %.2f s\n",
			"at desk", desk->arrivals.count, rate, p50, p99, lag);
}

static int bench_publish(const struct cli *cli, const struct bench_options *options, const char *what)
{
	struct bench_load load;
	int status = bench_load_run(options, &load);
	if (status == JUKWAA_OK)
		print_load(cli, &load, what);
	else
		cli_fail(CLI_REFUSED, NULL, "%s", load.reason);
	bool all = load.stored == options->reports;
	bench_load_done(&load);
	return status == JUKWAA_OK && all ? CLI_OK : CLI_REFUSED;
}

static int bench_deliver(const struct cli *cli, const struct bench_options *options)
{
	struct bench_load load = {.options = options};
	struct desk desk = {.load = &load};
	if (!bench_samples_init(&desk.arrivals, (size_t)options->reports) || pthread_create(&desk.id, NULL, desk_thread, &desk))
		return cli_fail(CLI_USAGE, NULL, "out of memory");
	while (!desk.listening)
		usleep(10000);
	desk.began_us = jk_time_now_us();
	int status = desk.failed ? JUKWAA_E_REFUSED : bench_load_run(options, &load);
	pthread_join(desk.id, NULL);
	bench_samples_sort(&desk.arrivals);
	if (status == JUKWAA_OK) {
		print_load(cli, &load, "publish");
		print_desk(cli, &desk, load.seconds);
	}
	bool good = status == JUKWAA_OK && !desk.failed && load.stored == options->reports;
	if (!good)
		cli_fail(CLI_REFUSED, NULL, "%s%s", load.reason, desk.reason);
	bench_samples_done(&desk.arrivals);
	bench_load_done(&load);
	return good ? CLI_OK : CLI_REFUSED;
}

static bool take_number(struct cli_args *args, const char *name, int64_t minimum, int64_t maximum, int64_t *ret, bool *ret_bad)
{
	const char *value;
	if (!cli_args_take(args, name, &value))
		return false;
	*ret_bad = *ret_bad || !value || !jk_text_to_int64(value, minimum, maximum, ret);
	return true;
}

static int bench_storm(const struct cli *cli, int argc, char **argv)
{
	int64_t desks = 1000, threads = 4, window = 64, total = 0, batch = 32768, stopped = 0, live = 0, timeout = 60;
	struct bench_storm storm = {.server_key = cli->server_key};
	struct cli_args args = {argc, argv, 1, false};
	bool bad = false;
	storm.endpoint = cli->endpoint ? cli->endpoint : cli_setting("JUKWAA_DISPATCH");
	while (cli_args_peek(&args)) {
		const char *word;
		if (take_number(&args, "--desks", 1, 4096, &desks, &bad) ||
			take_number(&args, "--threads", 1, 16, &threads, &bad) ||
			take_number(&args, "--window", 1, 256, &window, &bad) ||
			take_number(&args, "--total", 1, INT64_MAX, &total, &bad) ||
			take_number(&args, "--batch-bytes", 0, 32768, &batch, &bad) ||
			take_number(&args, "--stopped", 0, 4096, &stopped, &bad) ||
			take_number(&args, "--live", 1, 3600, &live, &bad) ||
			take_number(&args, "--timeout", 1, 600, &timeout, &bad) || cli_args_take(&args, "--keys", &storm.keys) ||
			cli_args_take(&args, "--cursor", &storm.cursor))
			continue;
		if (!(word = cli_args_word(&args)) || strcmp(word, "storm") != 0)
			return cli_usage("bench", "do not know '%s'", word ? word : cli_args_peek(&args));
	}
	if (bad || !storm.keys || (total == 0) == (live == 0))
		return cli_usage("bench",
			bad ? "a number is missing or out of range" : "storm wants --keys FOLDER, and --total N or --live S");
	if (!storm.endpoint || !storm.server_key)
		return cli_fail(CLI_USAGE, "set JUKWAA_DISPATCH and JUKWAA_SERVER_KEY", "do not know where the desks connect");
	storm.desks = (int)desks;
	storm.threads = (int)threads;
	storm.window = (uint32_t)window;
	storm.total = total;
	storm.batch_bytes = (uint32_t)batch;
	storm.stopped = (int)stopped;
	storm.live_s = (int)live;
	storm.timeout_s = (int)timeout;
	return bench_storm_run(cli, &storm);
}

int cli_bench(const struct cli *cli, int argc, char **argv)
{
	int64_t clients = 8, window = 64, reports = 100000, counties = 47, rate = 0, timeout = 30;
	const char *what = NULL, *word, *desk_key = cli->key_file;
	struct cli_args args = {argc, argv, 1, false};
	bool bad = false;
	if (argc > 1 && strcmp(argv[1], "storm") == 0)
		return bench_storm(cli, argc, argv);
	while (cli_args_peek(&args)) {
		if (take_number(&args, "--clients", 1, 64, &clients, &bad) ||
			take_number(&args, "--window", 1, 256, &window, &bad) ||
			take_number(&args, "--reports", 1, 5000000, &reports, &bad) ||
			take_number(&args, "--counties", 1, 47, &counties, &bad) ||
			take_number(&args, "--rate", 0, 1000000, &rate, &bad) ||
			take_number(&args, "--timeout", 1, 600, &timeout, &bad) || cli_args_take(&args, "--desk-key", &desk_key))
			continue;
		if (!(word = cli_args_word(&args)) || what)
			return cli_usage("bench", "do not know '%s'", word ? word : cli_args_peek(&args));
		what = word;
	}
	if (bad || !what)
		return cli_usage(
			"bench", bad ? "a number is missing or out of range" : "say what: publish, deliver, latency or storm");
	char run_name[40];
	jk_text_format(run_name, sizeof run_name, "bench-%lld", (long long)jk_time_now_us());
	struct bench_options options = {.clients = (int)clients,
		.window = (uint32_t)window,
		.reports = reports,
		.counties = (int)counties,
		.rate = (double)rate,
		.timeout_s = (int)timeout,
		.run_name = run_name};
	options.publisher = (struct jukwaa_connection){.endpoint = cli->endpoint ? cli->endpoint : cli_setting("JUKWAA_INTAKE"),
		.server_key = cli->server_key,
		.key_file = cli->key_file,
		.client = "jukwaa bench"};
	options.desk = options.publisher;
	options.desk.endpoint = cli_setting("JUKWAA_DISPATCH");
	options.desk.key_file = desk_key;
	if (!options.publisher.endpoint || !options.publisher.server_key || !options.publisher.key_file)
		return cli_fail(CLI_USAGE, "set JUKWAA_INTAKE, JUKWAA_KEY and JUKWAA_SERVER_KEY",
			"do not know where to publish, or as whom");
	if (!strcmp(what, "publish"))
		return bench_publish(cli, &options, "publish");
	if (!strcmp(what, "latency")) {
		options.clients = 1;
		options.window = 1;
		return bench_publish(cli, &options, "latency");
	}
	if (!strcmp(what, "deliver"))
		return options.desk.endpoint ? bench_deliver(cli, &options)
					     : cli_fail(CLI_USAGE, "set JUKWAA_DISPATCH", "do not know where the desk listens");
	return cli_usage("bench", "do not know '%s': publish, deliver, latency or storm", what);
}
