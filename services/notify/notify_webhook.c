/* notify_webhook.c: curl's multi interface behind one epoll descriptor, which also holds its timer. */
#include "notify_webhook.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/jk_text.h"
#include "notify_rules.h"

enum { CONNECT_TIMEOUT_MS = 5000, EVENTS_MAX = 32, HEADER_BYTES = 128 };

struct notify_webhooks {
	CURLM *multi;
	int epoll_fd, timer_fd;
	bool allow_private;
	notify_webhook_answer *on_answer;
	void *arg;
	struct call *calls; /* under way */
};

struct call {
	struct call *next;
	struct notify_webhooks *webhooks;
	CURL *easy;
	struct curl_slist *headers;
	size_t tag;
	bool refused; /* by the policy of addresses */
	char body[];
};

static int on_curl_timer(CURLM *multi, long timeout_ms, void *arg)
{
	const struct notify_webhooks *webhooks = arg;
	(void)multi;
	/* 0 is "at once", which timerfd takes for "never". */
	struct itimerspec when = {
		.it_value = {.tv_sec = timeout_ms / 1000, .tv_nsec = timeout_ms == 0 ? 1 : timeout_ms % 1000 * 1000000}};
	if (timeout_ms < 0)
		when = (struct itimerspec){0};
	return timerfd_settime(webhooks->timer_fd, 0, &when, NULL);
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *known)
{
	const struct notify_webhooks *webhooks = arg;
	struct epoll_event event = {.data.fd = fd};
	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		(void)epoll_ctl(webhooks->epoll_fd, EPOLL_CTL_DEL, fd, NULL); /* may be closed already */
		return 0;
	}
	event.events = (what & CURL_POLL_IN ? EPOLLIN : 0) | (what & CURL_POLL_OUT ? EPOLLOUT : 0);
	if (epoll_ctl(webhooks->epoll_fd, known ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd, &event) != 0)
		return -1;
	curl_multi_assign(webhooks->multi, fd, (void *)webhooks);
	return 0;
}

/* The address itself, when the connection is made: what the name said before is no promise. */
static curl_socket_t on_open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct call *call = arg;
	bool is_public = false;
	(void)purpose;
	if (address->family == AF_INET)
		is_public = notify_rules_address_is_public(
			(const uint8_t *)&((const struct sockaddr_in *)(const void *)&address->addr)->sin_addr, 4);
	else if (address->family == AF_INET6)
		is_public = notify_rules_address_is_public(
			((const struct sockaddr_in6 *)(const void *)&address->addr)->sin6_addr.s6_addr, 16);
	if (!is_public && !call->webhooks->allow_private) {
		call->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* What the receiver says beyond its status is of no use here. */
static size_t on_body(char *bytes, size_t size, size_t count, void *arg)
{
	(void)bytes;
	(void)arg;
	return size * count;
}

static bool add_header(struct call *call, const char *name, const char *value)
{
	char line[HEADER_BYTES];
	if (!jk_text_format(line, sizeof line, "%s: %s", name, value))
		return false;
	struct curl_slist *longer = curl_slist_append(call->headers, line);
	if (longer)
		call->headers = longer;
	return longer != NULL;
}

static bool add_headers(struct call *call, const struct notify_call *from)
{
	char timestamp[32];
	return jk_text_format(timestamp, sizeof timestamp, "%" PRId64, from->timestamp_s) &&
	       add_header(call, "Content-Type", "application/cloudevents+json; charset=utf-8") &&
	       add_header(call, "webhook-id", from->id) && add_header(call, "webhook-timestamp", timestamp) &&
	       add_header(call, "webhook-signature", from->signature);
}

static bool set_options(struct call *call, const struct notify_call *from)
{
	CURL *easy = call->easy;
	const char *body = call->body;
	return curl_easy_setopt(easy, CURLOPT_URL, from->url) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PROXY, "") == CURLE_OK && /* one would connect where no check is made */
	       curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
	       /* On a kept connection that has died, curl would silently send again: one attempt is one request. */
	       curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)NOTIFY_TIMEOUT_MS) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_USERAGENT, "jukwaa-notify/" JUKWAA_VERSION) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)from->body_size) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->headers) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, call) == CURLE_OK &&
	       curl_easy_setopt(easy, CURLOPT_PRIVATE, call) == CURLE_OK;
}

static void free_call(struct call *call)
{
	if (call->easy)
		curl_easy_cleanup(call->easy);
	curl_slist_free_all(call->headers);
	free(call);
}

enum jk_status notify_webhook_start(struct notify_webhooks *webhooks, const struct notify_call *from)
{
	struct call *call = calloc(1, sizeof *call + from->body_size + 1);
	if (!call)
		return JK_BROKEN;
	memcpy(call->body, from->body, from->body_size);
	call->webhooks = webhooks;
	call->tag = from->tag;
	call->easy = curl_easy_init();
	if (!call->easy || !add_headers(call, from) || !set_options(call, from) ||
		curl_multi_add_handle(webhooks->multi, call->easy) != CURLM_OK) {
		free_call(call);
		return JK_BROKEN;
	}
	call->next = webhooks->calls;
	webhooks->calls = call;
	return JK_OK;
}

/* Curl's fixed words, never its detailed message: that may hold parts of the URL. */
static struct notify_result result_of(const struct call *call, CURLcode code)
{
	struct notify_result result = {0};
	long status = 0, request_bytes = 0;
	curl_off_t retry_after_s = 0;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	(void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &request_bytes);
	(void)curl_easy_getinfo(call->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
	result.http_status = (int)status;
	result.retry_after_s = retry_after_s;
	result.uncertain = status == 0 && request_bytes > 0;
	if (status >= 200 && status < 300)
		return result;
	if (status != 0)
		(void)jk_text_format(result.error, sizeof result.error, "the receiver answered %ld", status);
	else if (call->refused)
		(void)jk_text_copy(result.error, sizeof result.error, "the address is not of the public internet");
	else
		(void)jk_text_format(result.error, sizeof result.error, "%s%s", curl_easy_strerror(code),
			result.uncertain ? ", after the request was sent" : "");
	return result;
}

static void end_call(struct call *call, CURLcode code)
{
	struct notify_webhooks *webhooks = call->webhooks;
	struct notify_result result = result_of(call, code);
	size_t tag = call->tag;
	for (struct call **at = &webhooks->calls; *at; at = &(*at)->next) {
		if (*at == call) {
			*at = call->next;
			break;
		}
	}
	curl_multi_remove_handle(webhooks->multi, call->easy);
	free_call(call);
	webhooks->on_answer(webhooks->arg, tag, &result);
}

static void take_ended(struct notify_webhooks *webhooks)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(webhooks->multi, &left))) {
		struct call *call = NULL;
		CURLcode code = message->data.result; /* the message is gone with its handle */
		if (message->msg == CURLMSG_DONE &&
			curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call) == CURLE_OK && call)
			end_call(call, code);
	}
}

void notify_webhook_on_ready(void *arg)
{
	struct notify_webhooks *webhooks = arg;
	struct epoll_event events[EVENTS_MAX];
	int running, count = epoll_wait(webhooks->epoll_fd, events, EVENTS_MAX, 0);
	for (int i = 0; i < count; i++) {
		int fd = events[i].data.fd, what = 0;
		uint64_t expirations;
		if (fd == webhooks->timer_fd) {
			if (read(fd, &expirations, sizeof expirations) == (ssize_t)sizeof expirations)
				curl_multi_socket_action(webhooks->multi, CURL_SOCKET_TIMEOUT, 0, &running);
			continue;
		}
		what |= events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0;
		what |= events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0;
		what |= events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0;
		curl_multi_socket_action(webhooks->multi, fd, what, &running);
	}
	take_ended(webhooks);
}

int notify_webhook_fd(void *arg)
{
	const struct notify_webhooks *webhooks = arg;
	return webhooks->epoll_fd;
}

short notify_webhook_events(void *webhooks)
{
	(void)webhooks;
	return POLLIN;
}

static bool open_descriptors(struct notify_webhooks *webhooks)
{
	struct epoll_event event = {.events = EPOLLIN};
	webhooks->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	webhooks->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	event.data.fd = webhooks->timer_fd;
	return webhooks->epoll_fd >= 0 && webhooks->timer_fd >= 0 &&
	       epoll_ctl(webhooks->epoll_fd, EPOLL_CTL_ADD, webhooks->timer_fd, &event) == 0;
}

enum jk_status notify_webhook_open(
	bool allow_private, notify_webhook_answer *on_answer, void *arg, struct notify_webhooks **ret_webhooks)
{
	struct notify_webhooks *webhooks = calloc(1, sizeof *webhooks);
	if (!webhooks)
		return JK_BROKEN;
	*webhooks = (struct notify_webhooks){
		.allow_private = allow_private, .on_answer = on_answer, .arg = arg, .epoll_fd = -1, .timer_fd = -1};
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(webhooks->multi = curl_multi_init()) ||
		!open_descriptors(webhooks) ||
		curl_multi_setopt(webhooks->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) != CURLM_OK ||
		curl_multi_setopt(webhooks->multi, CURLMOPT_SOCKETDATA, webhooks) != CURLM_OK ||
		curl_multi_setopt(webhooks->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer) != CURLM_OK ||
		curl_multi_setopt(webhooks->multi, CURLMOPT_TIMERDATA, webhooks) != CURLM_OK ||
		curl_multi_setopt(webhooks->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)NOTIFY_PER_HOST_MAX) != CURLM_OK) {
		notify_webhook_close(&webhooks);
		return JK_BROKEN;
	}
	*ret_webhooks = webhooks;
	return JK_OK;
}

void notify_webhook_close(struct notify_webhooks **webhooks_p)
{
	struct notify_webhooks *webhooks = *webhooks_p;
	if (!webhooks)
		return;
	*webhooks_p = NULL;
	while (webhooks->calls) {
		struct call *call = webhooks->calls;
		webhooks->calls = call->next;
		curl_multi_remove_handle(webhooks->multi, call->easy);
		free_call(call);
	}
	if (webhooks->multi)
		curl_multi_cleanup(webhooks->multi);
	if (webhooks->timer_fd >= 0)
		close(webhooks->timer_fd);
	if (webhooks->epoll_fd >= 0)
		close(webhooks->epoll_fd);
	curl_global_cleanup();
	free(webhooks);
}

void notify_webhook_host(const char *url, char ret[NOTIFY_HOST_BYTES])
{
	char *scheme = NULL, *host = NULL, *port = NULL;
	CURLU *parts = curl_url();
	ret[0] = '\0';
	if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
		curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
		curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		!jk_text_format(ret, NOTIFY_HOST_BYTES, "%s:%s", host, port))
		ret[0] = '\0';
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(parts);
}
