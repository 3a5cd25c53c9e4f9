#include "services/cli/status_http.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_MS = 2000, ANSWER_MAX_BYTES = 4 * 1024 * 1024 };

static size_t take_bytes(char *bytes, size_t size, size_t count, void *arg)
{
	struct jk_buffer *answer = arg;

	if (answer->size + size * count > ANSWER_MAX_BYTES)
		return 0;
	jk_buffer_append(answer, bytes, size * count);
	return answer->failed ? 0 : size * count;
}

/* HTTP status; 0: no answer, and ret_reason says why. */
static long get_page(CURL *curl, const char *url, const char *path, struct jk_buffer *ret_answer, char ret_reason[200])
{
	char full[512];
	long status = 0;
	CURLcode code;

	ret_answer->size = 0;
	if (!jk_text_format(full, sizeof full, "%s%s", url, path))
		return 0;
	curl_easy_setopt(curl, CURLOPT_URL, full);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_bytes);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, ret_answer);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK) {
		(void)jk_text_copy(ret_reason, 200, curl_easy_strerror(code));
		return 0;
	}
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

/* From the first metric of its own: "jukwaa_intake_reports_total" is intake's. */
static void read_name(struct status_service *service)
{
	static const char *const names[] = {"intake", "dispatch", "cases", "notify"};
	char mark[48];

	for (size_t i = 0; service->metrics.data && i < sizeof names / sizeof names[0]; i++) {
		(void)jk_text_format(mark, sizeof mark, "\njukwaa_%s_", names[i]);
		if (strstr(service->metrics.data, mark))
			(void)jk_text_copy(service->name, sizeof service->name, names[i]);
	}
}

bool status_http_ask(struct status_service *service)
{
	CURL *curl = curl_easy_init();
	struct jk_buffer answer = {0};
	long status;

	if (!curl)
		return false;
	status = get_page(curl, service->url, "/readyz", &answer, service->reason);
	service->ready = status == 0 ? STATUS_UNREACHABLE : status == 200 ? STATUS_READY : STATUS_NOT_READY;
	if (service->ready == STATUS_NOT_READY && answer.data) {
		answer.data[strcspn(answer.data, "\r\n")] = '\0';
		(void)jk_text_copy(service->reason, sizeof service->reason, answer.data);
	}
	if (service->ready != STATUS_UNREACHABLE &&
		get_page(curl, service->url, "/metrics", &service->metrics, service->reason) == 200)
		read_name(service);
	jk_buffer_done(&answer);
	curl_easy_cleanup(curl);
	return true;
}

void status_http_done(struct status_service *service)
{
	jk_buffer_done(&service->metrics);
}

bool status_http_metric(const struct status_service *service, const char *name, const char *labels, double *ret_sum)
{
	const char *line = service->metrics.data;
	size_t size = strlen(name);
	bool found = false;

	*ret_sum = 0;
	for (; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		const char *end = line + strcspn(line, "\n"), *value;

		if (strncmp(line, name, size) != 0 || (line[size] != ' ' && line[size] != '{'))
			continue;
		if (*labels && !memmem(line, (size_t)(end - line), labels, strlen(labels)))
			continue;
		for (value = end; value > line && value[-1] != ' '; value--)
			;
		*ret_sum += strtod(value, NULL);
		found = true;
	}
	return found;
}
