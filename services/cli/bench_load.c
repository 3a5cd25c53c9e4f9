#include "services/cli/bench_load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_text.h"
#include "base/jk_time.h"
#include "base/jk_words.h"
#include "jukwaa/v1/incident.pb-c.h"

bool bench_samples_init(struct bench_samples *samples, size_t capacity)
{
	samples->us = calloc(capacity, sizeof *samples->us);
	samples->capacity = capacity;
	atomic_init(&samples->count, 0);
	return samples->us;
}

void bench_samples_add(struct bench_samples *samples, int64_t us)
{
	size_t at = atomic_fetch_add(&samples->count, 1);
	if (at < samples->capacity)
		samples->us[at] = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;
}

static int by_value(const void *a, const void *b)
{
	uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
	return (left > right) - (left < right);
}

void bench_samples_sort(struct bench_samples *samples)
{
	if (samples->count > samples->capacity)
		samples->count = samples->capacity;
	qsort(samples->us, samples->count, sizeof *samples->us, by_value);
}

double bench_samples_percentile_ms(const struct bench_samples *samples, double percentile)
{
	if (!samples->count)
		return 0;
	return samples->us[(size_t)(percentile / 100 * (double)(samples->count - 1))] / 1000.0;
}

void bench_samples_done(struct bench_samples *samples)
{
	free(samples->us);
	samples->us = NULL;
}

/* One made-up report of about 300 bytes, packed into bytes. Returns the size. */
static size_t make_report(const struct bench_options *options, int64_t number, uint8_t *bytes, size_t capacity)
{
	char external_id[64], county[JK_COUNTY_BYTES];
	jk_text_format(external_id, sizeof external_id, "%s-%lld", options->run_name, (long long)number);
	jk_text_format(county, sizeof county, "%03d", (int)(number % options->counties) + 1);

	Jukwaa__V1__Incident incident = JUKWAA__V1__INCIDENT__INIT;
	Jukwaa__V1__Identity identity = JUKWAA__V1__IDENTITY__INIT;
	identity.external_id = external_id;
	identity.status = JUKWAA__V1__STATUS__STATUS_ACTUAL;
	identity.msg_type = JUKWAA__V1__MSG_TYPE__MSG_TYPE_ALERT;
	Jukwaa__V1__Classification classification = JUKWAA__V1__CLASSIFICATION__INIT;
	Jukwaa__V1__Category categories[] = {JUKWAA__V1__CATEGORY__CATEGORY_TRANSPORT};
	classification.categories = categories;
	classification.n_categories = 1;
	char event[] = "Road crash";
	classification.event = event;
	classification.urgency = JUKWAA__V1__URGENCY__URGENCY_IMMEDIATE;
	classification.severity = JUKWAA__V1__SEVERITY__SEVERITY_MODERATE;
	classification.certainty = JUKWAA__V1__CERTAINTY__CERTAINTY_OBSERVED;
	Jukwaa__V1__PlaceCode code = JUKWAA__V1__PLACE_CODE__INIT, *codes[] = {&code};
	code.scheme = JUKWAA__V1__PLACE_SCHEME__PLACE_SCHEME_COUNTY;
	code.code = county;
	Jukwaa__V1__Place place = JUKWAA__V1__PLACE__INIT;
	place.codes = codes;
	place.n_codes = 1;
	Jukwaa__V1__Text text = JUKWAA__V1__TEXT__INIT, *texts[] = {&text};
	char language[] = "en", headline[] = "Two vehicles, one lane closed";
	char description[] =
		"A lorry and a saloon car have collided at the junction; one person is hurt. Traffic is led past on the "
		"shoulder. A tow truck has been asked for and the traffic police are on the way.";
	text.language = language;
	text.headline = headline;
	text.description = description;
	Jukwaa__V1__Narrative narrative = JUKWAA__V1__NARRATIVE__INIT;
	narrative.texts = texts;
	narrative.n_texts = 1;
	Jukwaa__V1__Handling handling = JUKWAA__V1__HANDLING__INIT;
	handling.tlp = JUKWAA__V1__TLP__TLP_GREEN;
	handling.scope = JUKWAA__V1__SCOPE__SCOPE_PUBLIC;
	incident.identity = &identity;
	incident.classification = &classification;
	incident.place = &place;
	incident.narrative = &narrative;
	incident.handling = &handling;
	size_t size = jukwaa__v1__incident__get_packed_size(&incident);
	return size <= capacity ? jukwaa__v1__incident__pack(&incident, bytes) : 0;
}

struct thread {
	pthread_t id;
	struct bench_load *load;
	int64_t first, step;
};

static void fail(struct bench_load *load, const char *what, const struct jukwaa_error *error)
{
	if (!atomic_exchange(&load->failed, true))
		jk_text_format(load->reason, sizeof load->reason, "%s: %s", what, error && error->reason ? error->reason : "");
}

static bool take_receipt(struct bench_load *load, struct jukwaa_publisher *publisher, int timeout_ms)
{
	struct jukwaa_receipt receipt;
	int status = jukwaa_publisher_receive(publisher, timeout_ms, &receipt);
	/* Nobody there within a short wait is nothing yet: the caller's patience decides. */
	if (status == JUKWAA_E_TIMEOUT || status == JUKWAA_E_UNREACHABLE)
		return false;
	if (status != JUKWAA_OK) {
		fail(load, "receiving", jukwaa_publisher_error(publisher));
		return false;
	}
	int64_t number = strtoll(receipt.label, NULL, 10);
	bench_samples_add(&load->receipts, jk_time_now_us() - load->sent_us[number]);
	if (!strcmp(receipt.verdict, "STORED"))
		load->stored++;
	else
		load->refused++;
	return true;
}

static bool send_report(struct thread *thread, struct jukwaa_publisher *publisher, int64_t number)
{
	struct bench_load *load = thread->load;
	uint8_t bytes[1024];
	char label[24];
	jk_text_format(label, sizeof label, "%lld", (long long)number);
	struct jukwaa_report report = {.format = "protobuf", .payload = bytes, .label = label};
	report.payload_size = make_report(load->options, number, bytes, sizeof bytes);
	load->sent_us[number] = jk_time_now_us();
	if (jukwaa_publisher_send(publisher, &report, load->options->timeout_s * 1000, NULL) == JUKWAA_OK)
		return true;
	fail(load, "sending", jukwaa_publisher_error(publisher));
	return false;
}

static void *publish_thread(void *arg)
{
	struct thread *thread = arg;
	struct bench_load *load = thread->load;
	const struct bench_options *options = load->options;
	struct jukwaa_publisher_options how = {.connection = options->publisher, .window = options->window};
	struct jukwaa_publisher *publisher = NULL;
	char reason[256];
	if (jukwaa_publisher_open(&how, &publisher, reason) != JUKWAA_OK) {
		struct jukwaa_error error = {.reason = reason};
		fail(load, "opening", &error);
		return NULL;
	}
	int64_t began_us = jk_time_now_us();
	for (int64_t number = thread->first; number < options->reports && !load->failed; number += thread->step) {
		while (options->rate > 0 && !load->failed) {
			int64_t due_us = began_us + (int64_t)((double)number / options->rate * 1e6), now_us = jk_time_now_us();
			if (now_us >= due_us)
				break;
			take_receipt(load, publisher, (int)((due_us - now_us) / 1000) + 1);
		}
		while (jukwaa_publisher_outstanding(publisher) >= options->window && !load->failed)
			if (!take_receipt(load, publisher, options->timeout_s * 1000))
				fail(load, "no receipt in time", NULL);
		if (!load->failed)
			send_report(thread, publisher, number);
	}
	while (jukwaa_publisher_outstanding(publisher) && !load->failed)
		if (!take_receipt(load, publisher, options->timeout_s * 1000))
			fail(load, "no receipt in time", NULL);
	jukwaa_publisher_close(&publisher);
	return NULL;
}

int bench_load_run(const struct bench_options *options, struct bench_load *ret_load)
{
	*ret_load = (struct bench_load){.options = options};
	ret_load->sent_us = calloc((size_t)options->reports, sizeof *ret_load->sent_us);
	struct thread *threads = calloc((size_t)options->clients, sizeof *threads);
	if (!threads || !ret_load->sent_us || !bench_samples_init(&ret_load->receipts, (size_t)options->reports)) {
		free(threads);
		jk_text_copy(ret_load->reason, sizeof ret_load->reason, "out of memory");
		return JUKWAA_E_USAGE;
	}
	int64_t began_us = jk_time_now_us();
	int started = 0;
	for (; started < options->clients; started++) {
		threads[started] = (struct thread){.load = ret_load, .first = started, .step = options->clients};
		if (pthread_create(&threads[started].id, NULL, publish_thread, &threads[started])) {
			fail(ret_load, "cannot start a thread", NULL);
			break;
		}
	}
	for (int i = 0; i < started; i++)
		pthread_join(threads[i].id, NULL);
	ret_load->seconds = (double)(jk_time_now_us() - began_us) / 1e6;
	free(threads);
	bench_samples_sort(&ret_load->receipts);
	return ret_load->failed ? JUKWAA_E_REFUSED : JUKWAA_OK;
}

void bench_load_done(struct bench_load *load)
{
	bench_samples_done(&load->receipts);
	free(load->sent_us);
	load->sent_us = NULL;
}

int64_t bench_load_number(const char *run_name, const char *external_id)
{
	size_t size = strlen(run_name);
	int64_t number;
	if (strncmp(external_id, run_name, size) != 0 || external_id[size] != '-')
		return -1;
	return jk_text_to_int64(external_id + size + 1, 0, INT64_MAX, &number) ? number : -1;
}
