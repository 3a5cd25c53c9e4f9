#include "services/cli/bench_storm.h"

#include <dirent.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_time.h"
#include "bus/bus_dealer.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"
#include "services/cli/bench_load.h"
#include "wire/wire_field.h"

enum {
	STREAMS_MAX = 48,
	PATH_BYTES = 512,
	MESSAGES_A_VISIT = 16,
	PING_MS = 2000,
	HELLO_AGAIN_MS = 3000,
	LATER_MS = 1000,
	WARM_MS = 2000,
	LATENCIES_MAX = 16 * 1024 * 1024
};

enum desk_state { DESK_CONNECTING, DESK_HELLO, DESK_SUBSCRIBING, DESK_RUNNING, DESK_DONE };

struct storm_desk {
	struct jk_dealer *dealer;
	struct jk_key key;
	enum desk_state state;
	bool stopped; /* never acknowledges */
	uint64_t session, received, acked;
	uint32_t units; /* messages with deliveries that are not acknowledged */
	uint64_t last[STREAMS_MAX];
	int64_t sum, said_ms, due_ms;
	double done_s;
};

/* What all threads add to. measuring: the first events of each stream, for which ranges are written down, are over. */
struct storm_counts {
	_Atomic int64_t deliveries, messages, bytes, holes, repeats, refused, sessions_lost;
	_Atomic int open, done;
	_Atomic int64_t heard_ms, subscribed_us;
	_Atomic bool measuring, over;
};

struct storm_thread {
	pthread_t id;
	const struct bench_storm *storm;
	struct storm_counts *counts;
	const uint8_t *server_key;
	struct jk_bus *bus;
	struct storm_desk *desks;
	size_t count;
	int64_t began_us, deliveries, heard_us;
	struct bench_samples *latencies; /* NULL: not asked for */
	char reason[256];
};

/* ---- reading deliveries without unpacking them ---- */

static void take_deliver(struct storm_thread *thread, struct storm_desk *desk, struct jk_fields deliver)
{
	uint64_t delivery_no = 0, seq = 0, recorded_us = 0;
	unsigned stream = 0;
	struct jk_field field;
	while (jk_field_next(&deliver, &field)) {
		if (field.number == 2)
			delivery_no = field.value;
		else if (field.number == 4 && field.size == 3)
			stream = (unsigned)((field.data[0] - '0') * 100 + (field.data[1] - '0') * 10 + field.data[2] - '0') %
				 STREAMS_MAX;
		else if (field.number == 5)
			seq = field.value;
		else if (field.number == 9)
			recorded_us = field.value;
	}
	if (delivery_no != desk->received + 1)
		thread->counts->holes++;
	desk->received = delivery_no;
	if (seq <= desk->last[stream])
		thread->counts->repeats++;
	else
		desk->sum += (int64_t)(seq - desk->last[stream]);
	if (desk->last[stream] != 0 && seq > desk->last[stream] + 1)
		thread->counts->holes++;
	desk->last[stream] = seq;
	thread->deliveries++;
	if (thread->latencies && !desk->stopped && thread->counts->measuring)
		bench_samples_add(thread->latencies, thread->heard_us - (int64_t)recorded_us);
}

static void take_batch(struct storm_thread *thread, struct storm_desk *desk, struct jk_fields batch)
{
	struct jk_field field;
	while (jk_field_next(&batch, &field))
		if (field.number == 2)
			take_deliver(thread, desk, (struct jk_fields){field.data, field.data + field.size});
}

/* ---- talking ---- */

static void say(struct storm_desk *desk, uint16_t kind, const ProtobufCMessage *message)
{
	uint8_t packed[512];
	size_t size = protobuf_c_message_get_packed_size(message);
	if (size > sizeof packed)
		return;
	protobuf_c_message_pack(message, packed);
	if (jk_dealer_send(desk->dealer, kind, packed, size) == JK_OK)
		desk->said_ms = jk_time_mono_ms();
}

static void say_hello(struct storm_desk *desk, int64_t now_ms)
{
	Jukwaa__V1__Hello hello = JUKWAA__V1__HELLO__INIT;
	char name[] = "jukwaa bench storm";
	hello.client = name;
	desk->state = DESK_HELLO;
	desk->due_ms = now_ms + HELLO_AGAIN_MS;
	say(desk, JUKWAA__V1__KIND__KIND_HELLO, &hello.base);
}

static void say_subscribe(const struct storm_thread *thread, struct storm_desk *desk)
{
	const struct bench_storm *storm = thread->storm;
	Jukwaa__V1__Subscribe subscribe = JUKWAA__V1__SUBSCRIBE__INIT;
	char cursor[65] = "";
	(void)jk_text_copy(cursor, sizeof cursor, storm->cursor ? storm->cursor : "");
	subscribe.session = desk->session;
	subscribe.request = 1;
	subscribe.all = true;
	subscribe.window = storm->window;
	subscribe.batch_max_bytes = storm->batch_bytes;
	subscribe.cursor = cursor;
	subscribe.start_at = storm->cursor ? JUKWAA__V1__START_AT__START_AT_CURSOR : JUKWAA__V1__START_AT__START_AT_BEGINNING;
	if (storm->live_s > 0)
		subscribe.start_at = JUKWAA__V1__START_AT__START_AT_NOW;
	desk->state = DESK_SUBSCRIBING;
	desk->due_ms = INT64_MAX;
	desk->received = desk->acked = 0;
	desk->units = 0;
	say(desk, JUKWAA__V1__KIND__KIND_SUBSCRIBE, &subscribe.base);
}

static void acknowledge(struct storm_desk *desk)
{
	Jukwaa__V1__Ack ack = JUKWAA__V1__ACK__INIT;
	if (desk->stopped || desk->units == 0)
		return;
	ack.session = desk->session;
	ack.delivery_no = desk->received;
	say(desk, JUKWAA__V1__KIND__KIND_ACK, &ack.base);
	desk->acked = desk->received;
	desk->units = 0;
}

static void on_welcome(struct storm_thread *thread, struct storm_desk *desk, const struct jk_dealer_message *message)
{
	Jukwaa__V1__Welcome *welcome = jukwaa__v1__welcome__unpack(NULL, message->body_size, message->body);
	if (welcome && desk->state == DESK_HELLO) {
		desk->session = welcome->session;
		say_subscribe(thread, desk);
	}
	jukwaa__v1__welcome__free_unpacked(welcome, NULL);
}

/* Refused: again later. A session that ended: from HELLO on. */
static void on_no(struct storm_thread *thread, struct storm_desk *desk, bool lost, int64_t now_ms)
{
	if (lost && desk->state != DESK_CONNECTING)
		thread->counts->sessions_lost++;
	else if (!lost)
		thread->counts->refused++;
	desk->state = DESK_CONNECTING;
	desk->due_ms = now_ms + LATER_MS;
}

static void on_delivery(struct storm_thread *thread, struct storm_desk *desk, const struct jk_dealer_message *message)
{
	const struct jk_fields fields = {message->body, message->body + message->body_size};
	desk->units++;
	thread->deliveries = 0;
	thread->heard_us = jk_time_now_us();
	thread->counts->messages++;
	thread->counts->bytes += (int64_t)message->body_size;
	if (message->kind == JUKWAA__V1__KIND__KIND_DELIVER)
		take_deliver(thread, desk, fields);
	else
		take_batch(thread, desk, fields);
	thread->counts->deliveries += thread->deliveries;
	if (desk->units * 4 >= thread->storm->window)
		acknowledge(desk);
	if (desk->state == DESK_RUNNING && thread->storm->live_s == 0 && desk->sum >= thread->storm->total) {
		acknowledge(desk);
		desk->state = DESK_DONE;
		desk->done_s = (double)(jk_time_now_us() - thread->began_us) / 1e6;
		thread->counts->done++;
	}
}

static void take_message(
	struct storm_thread *thread, struct storm_desk *desk, const struct jk_dealer_message *message, int64_t now_ms)
{
	switch (message->kind) {
	case JUKWAA__V1__KIND__KIND_DELIVER:
	case JUKWAA__V1__KIND__KIND_DELIVER_BATCH:
		thread->counts->heard_ms = now_ms;
		on_delivery(thread, desk, message);
		break;
	case JUKWAA__V1__KIND__KIND_WELCOME:
		on_welcome(thread, desk, message);
		break;
	case JUKWAA__V1__KIND__KIND_SUBSCRIBED:
		desk->state = DESK_RUNNING;
		if (++thread->counts->open == thread->storm->desks)
			thread->counts->subscribed_us = jk_time_now_us() - thread->began_us;
		break;
	case JUKWAA__V1__KIND__KIND_REFUSED:
		on_no(thread, desk, false, now_ms);
		break;
	case JUKWAA__V1__KIND__KIND_BYE:
	case JUKWAA__V1__KIND__KIND_BAD_SESSION:
		on_no(thread, desk, true, now_ms);
		break;
	default:
		break;
	}
}

/* Everything that has come for one desk, a bit at a time. True: something had. */
static bool visit_desk(struct storm_thread *thread, struct storm_desk *desk, int64_t now_ms)
{
	Jukwaa__V1__Ping ping = JUKWAA__V1__PING__INIT;
	struct jk_dealer_message message;
	int taken = 0;
	if ((desk->state == DESK_CONNECTING || desk->state == DESK_HELLO) && now_ms >= desk->due_ms &&
		jk_dealer_link(desk->dealer) == JK_LINK_UP)
		say_hello(desk, now_ms);
	while (taken < MESSAGES_A_VISIT && jk_dealer_receive(desk->dealer, 0, &message)) {
		take_message(thread, desk, &message, now_ms);
		jk_dealer_release(&message);
		taken++;
	}
	if (taken < MESSAGES_A_VISIT)
		acknowledge(desk);
	ping.session = desk->session;
	if (desk->state >= DESK_SUBSCRIBING && now_ms - desk->said_ms > PING_MS)
		say(desk, JUKWAA__V1__KIND__KIND_PING, &ping.base);
	return taken > 0;
}

static void *run_thread(void *arg)
{
	struct storm_thread *thread = arg;
	const struct timespec pause = {0, 1000000};
	struct jk_refusal refusal = {0};
	for (size_t i = 0; i < thread->count; i++)
		if (jk_dealer_open(thread->bus, thread->storm->endpoint, thread->server_key, &thread->desks[i].key,
			    &thread->desks[i].dealer, &refusal) != JK_OK) {
			(void)jk_text_copy(thread->reason, sizeof thread->reason, refusal.reason);
			thread->counts->over = true;
		}
	while (!thread->counts->over) {
		int64_t now_ms = jk_time_mono_ms();
		bool any = false;
		for (size_t i = 0; i < thread->count; i++)
			any |= visit_desk(thread, &thread->desks[i], now_ms);
		if (!any)
			nanosleep(&pause, NULL);
	}
	for (size_t i = 0; i < thread->count; i++)
		jk_dealer_close(&thread->desks[i].dealer);
	return NULL;
}

/* ---- the whole ---- */

static int is_key_file(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');
	return dot && strcmp(dot, ".key") == 0;
}

static bool read_keys(const struct bench_storm *storm, struct storm_desk *desks, char ret_reason[256])
{
	struct dirent **names = NULL;
	struct jk_refusal refusal = {0};
	int found = scandir(storm->keys, &names, is_key_file, alphasort);
	bool good = found >= storm->desks;
	if (!good)
		(void)jk_text_format(ret_reason, 256, "%s has not as many keys (NAME.key)", storm->keys);
	for (int i = 0; i < found; i++) {
		char path[PATH_BYTES];
		if (good && i < storm->desks) {
			good = jk_text_format(path, sizeof path, "%s/%s", storm->keys, names[i]->d_name) &&
			       jk_key_read(path, &desks[i].key, &refusal) == JK_OK;
			if (!good)
				(void)jk_text_copy(ret_reason, 256, refusal.reason);
		}
		free(names[i]);
	}
	free(names);
	return good;
}

static bool read_server_key(const struct bench_storm *storm, uint8_t ret[JK_KEY_BYTES], char ret_reason[256])
{
	struct jk_refusal refusal = {0};
	uint8_t sign[JK_KEY_BYTES];
	if (jk_hex_decode(ret, JK_KEY_BYTES, storm->server_key) ||
		jk_key_read_public(storm->server_key, ret, sign, &refusal) == JK_OK)
		return true;
	(void)jk_text_copy(ret_reason, 256, refusal.reason);
	return false;
}

static void print_live(
	const struct cli *cli, const struct bench_storm *storm, struct storm_counts *counts, struct bench_samples *latencies)
{
	bench_samples_sort(latencies);
	printf(cli->json ? "{\"bench\":\"live\",\"desks\":%d,\"stopped\":%d,\"deliveries\":%lld,\"p50_ms\":%.3f,\"p99_ms\":%.3f,"
			   "\"holes\":%lld,\"repeats\":%lld,\"sessions_lost\":%lld}\n"
			 : "live      %d desks, %d stopped: %lld deliveries, from recording to desk p50 %.2f ms, p99 %.2f ms; "
			   "%lld "
			   "holes, %lld repeats, %lld sessions lost\n",
		storm->desks, storm->stopped, (long long)counts->deliveries, bench_samples_percentile_ms(latencies, 50),
		bench_samples_percentile_ms(latencies, 99), (long long)counts->holes, (long long)counts->repeats,
		(long long)counts->sessions_lost);
	fflush(stdout);
}

static void print_storm(const struct cli *cli, const struct bench_storm *storm, struct storm_counts *counts,
	const struct storm_desk *desks, double seconds)
{
	struct bench_samples done = {0};
	double rate = seconds > 0 ? (double)counts->deliveries / seconds : 0;
	if (!bench_samples_init(&done, (size_t)storm->desks))
		return;
	for (int i = 0; i < storm->desks; i++)
		if (desks[i].state == DESK_DONE)
			bench_samples_add(&done, (int64_t)(desks[i].done_s * 1e6));
	bench_samples_sort(&done);
	printf(cli->json
			? "{\"bench\":\"storm\",\"desks\":%d,\"done\":%d,\"seconds\":%.3f,\"subscribed_s\":%.3f,\"deliveries\":%"
			  "lld,"
			  "\"per_second\":%.0f,\"messages\":%lld,\"bytes\":%lld,\"p50_s\":%.3f,\"p99_s\":%.3f,\"holes\":%lld,"
			  "\"repeats\":%lld,\"refused\":%lld,\"sessions_lost\":%lld}\n"
			: "storm     %d desks, %d done in %.1f s (all subscribed after %.1f s): %lld deliveries, %.0f/s, in %lld "
			  "messages, %lld bytes; a desk is done after p50 %.1f s, p99 %.1f s; %lld holes, %lld repeats, "
			  "%lld refusals, %lld sessions lost\n",
		storm->desks, counts->done, seconds, (double)counts->subscribed_us / 1e6, (long long)counts->deliveries, rate,
		(long long)counts->messages, (long long)counts->bytes, bench_samples_percentile_ms(&done, 50) / 1000,
		bench_samples_percentile_ms(&done, 99) / 1000, (long long)counts->holes, (long long)counts->repeats,
		(long long)counts->refused, (long long)counts->sessions_lost);
	fflush(stdout);
	bench_samples_done(&done);
}

static bool start_threads(
	const struct bench_storm *storm, struct storm_thread *threads, const struct storm_thread *same, struct storm_desk *desks)
{
	size_t first = 0;
	for (int i = 0; i < storm->threads; i++) {
		threads[i] = *same;
		threads[i].desks = desks + first;
		threads[i].count = (size_t)((storm->desks + storm->threads - 1 - i) / storm->threads);
		first += threads[i].count;
		if (jk_bus_open(1, NULL, NULL, &threads[i].bus) != JK_OK)
			return false;
		if (pthread_create(&threads[i].id, NULL, run_thread, &threads[i]) != 0) {
			jk_bus_close(&threads[i].bus);
			return false;
		}
	}
	return true;
}

static void wait_for_end(const struct bench_storm *storm, struct storm_counts *counts)
{
	const struct timespec pause = {0, 5000000};
	int64_t live_ms = INT64_MAX;
	while (!counts->over && counts->done < storm->desks - storm->stopped && jk_time_mono_ms() < live_ms) {
		nanosleep(&pause, NULL);
		if (storm->live_s > 0 && live_ms == INT64_MAX && counts->open >= storm->desks)
			live_ms = jk_time_mono_ms() + WARM_MS + storm->live_s * 1000L;
		counts->measuring = live_ms != INT64_MAX && jk_time_mono_ms() > live_ms - storm->live_s * 1000L;
		if (jk_time_mono_ms() - counts->heard_ms > storm->timeout_s * 1000L)
			break;
	}
	counts->over = true;
}

int bench_storm_run(const struct cli *cli, const struct bench_storm *storm)
{
	struct storm_desk *desks = calloc((size_t)storm->desks, sizeof *desks);
	struct storm_thread *threads = calloc((size_t)storm->threads, sizeof *threads);
	struct storm_counts counts = {.heard_ms = jk_time_mono_ms()};
	struct bench_samples latencies = {0};
	uint8_t server_key[JK_KEY_BYTES];
	char reason[256] = "out of memory";
	bool good = (storm->live_s == 0 || bench_samples_init(&latencies, LATENCIES_MAX)) && desks && threads &&
		    jk_crypt_init() == JK_OK && read_server_key(storm, server_key, reason) && read_keys(storm, desks, reason);
	for (int i = 0; good && i < storm->stopped && i < storm->desks; i++)
		desks[i].stopped = true;
	struct storm_thread same = {.storm = storm,
		.counts = &counts,
		.server_key = server_key,
		.began_us = jk_time_now_us(),
		.latencies = storm->live_s > 0 ? &latencies : NULL};
	if (good) {
		good = start_threads(storm, threads, &same, desks);
		if (good)
			wait_for_end(storm, &counts);
		counts.over = true;
	}
	double seconds = (double)(jk_time_now_us() - same.began_us) / 1e6;
	for (int i = 0; threads && i < storm->threads && threads[i].bus; i++) {
		pthread_join(threads[i].id, NULL);
		jk_bus_close(&threads[i].bus);
		if (*threads[i].reason)
			(void)jk_text_copy(reason, sizeof reason, threads[i].reason);
	}
	if (!good)
		cli_fail(CLI_REFUSED, NULL, "%s", reason);
	else if (storm->live_s > 0)
		print_live(cli, storm, &counts, &latencies);
	else
		print_storm(cli, storm, &counts, desks, seconds);
	good = good && (storm->live_s > 0 || counts.done >= storm->desks - storm->stopped) && counts.holes == 0 &&
	       counts.repeats == 0;
	bench_samples_done(&latencies);
	free(desks);
	free(threads);
	return good ? CLI_OK : CLI_REFUSED;
}
