/* notify.h: what the service notify speaks about: rules, events as far as a rule looks at them, messages, what came of an
 * attempt. Plain values. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "authz/authz.h"
#include "base/jk_id.h"
#include "base/jk_words.h"

/* One row of notify.rule; it speaks for a desk and never tells what that desk may not see. */
struct notify_rule {
	int32_t rule_id, desk_id;
	char county[JK_COUNTY_BYTES]; /* "": any */
	int category;                 /* 0: any */
	int minimum_severity;         /* 0: any */
	bool include_test;
	int64_t added_at_us;
};

/* One event of one county stream. */
struct notify_event {
	struct jk_id event_id, incident_id;
	enum jk_event_kind kind;
	int64_t recorded_at_us;
	int64_t expires_us; /* 0: never */
	int category;       /* the first */
	int severity;
	struct jk_label label; /* with the stream's county; owner_agency_id -1 until looked up */
	char agency[33];
};

/* To be told: a new row of notify.message. */
struct notify_message {
	struct jk_id message_id, event_id, incident_id;
	int32_t rule_id;
	char county[JK_COUNTY_BYTES];
	int category, severity;
};

enum { NOTIFY_ERROR_BYTES = 160 };

/* What came of one attempt. */
struct notify_result {
	int http_status;                /* 0: no answer */
	bool uncertain;                 /* no answer, but the request, or part of it, was sent */
	int64_t retry_after_s;          /* the receiver's wish; 0: none */
	char error[NOTIFY_ERROR_BYTES]; /* "" when accepted; never the URL or the secret */
};
