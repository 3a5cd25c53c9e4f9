/* status_http.h: what a service says about itself on its HTTP port. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/jk_text.h"

enum status_ready { STATUS_UNREACHABLE, STATUS_NOT_READY, STATUS_READY };

struct status_service {
	const char *url;
	char name[32];    /* "intake"; "" when it did not say */
	char code[48];    /* "DATABASE_READ_ONLY"; "" when it has said none, or is ready */
	char reason[200]; /* why it is not ready, or not reached, in words */
	int64_t for_s;    /* how long it has been so; -1: not said */
	enum status_ready ready;
	struct jk_buffer metrics; /* Prometheus text */
};

/* Asks /readyz and /metrics over plain HTTP; waits at most 2 s each. */
void status_http_ask(struct status_service *service);
void status_http_done(struct status_service *service);
/* Sum of the samples of this name whose labels contain `labels` ("": all). False: there is none. */
bool status_http_metric(const struct status_service *service, const char *name, const char *labels, double *ret_sum);
