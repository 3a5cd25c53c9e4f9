/* notify_webhook.h: HTTP POSTs, many at once, without blocking: the only file with libcurl. No redirects, no proxy, http and
 * https only, addresses checked when the connection is made, so that no name can point inside. Not here: what to send, when
 * again. */
#pragma once

#include "base/jk_status.h"
#include "notify.h"

struct notify_webhooks;

enum { NOTIFY_TIMEOUT_MS = 10000, NOTIFY_PER_HOST_MAX = 8, NOTIFY_HOST_BYTES = 256 };

/* Called from notify_webhook_on_ready for each call that has ended. tag: the caller's. */
typedef void notify_webhook_answer(void *arg, size_t tag, const struct notify_result *result);

/* allow_private: also addresses that are not of the public internet. JK_BROKEN: out of memory or descriptors. */
enum jk_status notify_webhook_open(
	bool allow_private, notify_webhook_answer *on_answer, void *arg, struct notify_webhooks **ret_webhooks) JK_MUST_CHECK;
/* Calls under way end without an answer. */
void notify_webhook_close(struct notify_webhooks **webhooks_p);
/* For jk_loop_add_fd: one descriptor for all calls and timers. */
int notify_webhook_fd(void *webhooks);
short notify_webhook_events(void *webhooks);
void notify_webhook_on_ready(void *webhooks);

/* One POST of a CloudEvents document; everything is copied. */
struct notify_call {
	size_t tag;
	const char *url;
	const char *id, *signature; /* headers webhook-id, webhook-signature */
	int64_t timestamp_s;        /* webhook-timestamp */
	const char *body;
	size_t body_size;
};
/* JK_BROKEN: not a URL for us, or out of memory; there will be no answer. */
enum jk_status notify_webhook_start(struct notify_webhooks *webhooks, const struct notify_call *call) JK_MUST_CHECK;

/* "host:port" of a URL, for limits and logs: never its path or query; "" when it is not an http or https URL. */
void notify_webhook_host(const char *url, char ret[NOTIFY_HOST_BYTES]);
