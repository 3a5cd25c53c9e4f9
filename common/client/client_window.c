#include "client/client_window.h"

#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"

enum { PLACE_BITS = 8 };

void client_window_init(struct client_window *window, unsigned size)
{
	memset(window, 0, sizeof *window);
	window->size = size;
	for (unsigned i = 0; i < size; i++)
		window->free_places[i] = (uint8_t)(size - 1 - i);
	window->free_count = size;
}

void client_window_done(struct client_window *window)
{
	for (unsigned i = 0; i < window->size; i++)
		free(window->reports[i].bytes);
	window->size = window->free_count = 0;
}

static bool copy_report(struct client_report *report, const void *payload, size_t payload_size, const char *label)
{
	size_t label_size = strlen(label) + 1, need = payload_size + label_size;

	if (need > report->capacity) {
		uint8_t *grown = realloc(report->bytes, need * 2);

		if (!grown)
			return false;
		report->bytes = grown;
		report->capacity = need * 2;
	}
	if (payload_size > 0)
		memcpy(report->bytes, payload, payload_size);
	memcpy(report->bytes + payload_size, label, label_size);
	report->payload_size = payload_size;
	return true;
}

struct client_report *client_window_add(
	struct client_window *window, const void *payload, size_t payload_size, const char *label, bool *ret_no_memory)
{
	struct client_report *report;
	unsigned place;

	*ret_no_memory = false;
	if (window->free_count == 0)
		return NULL;
	place = window->free_places[window->free_count - 1];
	report = &window->reports[place];
	if (!copy_report(report, payload, payload_size, label)) {
		*ret_no_memory = true;
		return NULL;
	}
	window->free_count--;
	window->unsent++;
	report->state = REPORT_UNSENT;
	report->request = ++window->last_request << PLACE_BITS | place;
	report->strict = report->check = report->dry_run = report->retried = report->durable = false;
	report->busy_tries = report->silent_tries = 0;
	report->due_ms = 0;
	report->county[0] = '\0';
	return report;
}

const char *client_report_label(const struct client_report *report)
{
	return (const char *)report->bytes + report->payload_size;
}

struct client_report *client_window_find(struct client_window *window, uint64_t request)
{
	struct client_report *report = &window->reports[request & (CLIENT_WINDOW_MAX - 1)];

	return report->state != REPORT_NONE && report->request == request ? report : NULL;
}

static unsigned *counter_of(struct client_window *window, enum client_report_state state)
{
	if (state == REPORT_UNSENT)
		return &window->unsent;
	return state == REPORT_FLYING ? &window->flying : &window->held;
}

static void change_state(struct client_window *window, struct client_report *report, enum client_report_state state)
{
	--*counter_of(window, report->state);
	report->state = state;
	if (state != REPORT_NONE)
		++*counter_of(window, state);
}

void client_window_remove(struct client_window *window, struct client_report *report)
{
	enum { KEEP_BYTES = 64 * 1024 };

	change_state(window, report, REPORT_NONE);
	window->free_places[window->free_count++] = (uint8_t)(report - window->reports);
	if (report->capacity > KEEP_BYTES) {
		free(report->bytes);
		report->bytes = NULL;
		report->capacity = 0;
	}
}

struct client_report *client_window_next_unsent(struct client_window *window)
{
	struct client_report *found = NULL;

	for (unsigned i = 0, seen = 0; seen < window->unsent; i++) {
		struct client_report *report = &window->reports[i];

		if (report->state != REPORT_UNSENT)
			continue;
		seen++;
		if (!found || report->request < found->request)
			found = report;
	}
	return found;
}

static void set_due(struct client_window *window, struct client_report *report, int64_t due_ms)
{
	report->due_ms = due_ms;
	if (window->next_due_ms == 0 || due_ms < window->next_due_ms)
		window->next_due_ms = due_ms;
}

void client_window_sent(struct client_window *window, struct client_report *report, int64_t due_ms)
{
	change_state(window, report, REPORT_FLYING);
	set_due(window, report, due_ms);
}

void client_window_hold(struct client_window *window, struct client_report *report, int64_t due_ms)
{
	change_state(window, report, REPORT_HELD);
	report->retried = true;
	set_due(window, report, due_ms);
}

unsigned client_window_wake(struct client_window *window, int64_t now_ms, bool all)
{
	unsigned silent = 0;
	int64_t next_due_ms = 0;

	if (!all && (window->flying + window->held == 0 || now_ms < window->next_due_ms))
		return 0;
	for (unsigned i = 0; i < window->size; i++) {
		struct client_report *report = &window->reports[i];

		if (report->state != REPORT_FLYING && report->state != REPORT_HELD)
			continue;
		if (all || report->due_ms <= now_ms) {
			if (report->state == REPORT_FLYING) {
				silent++;
				report->silent_tries += !all;
				report->retried = true;
			}
			change_state(window, report, REPORT_UNSENT);
		} else if (next_due_ms == 0 || report->due_ms < next_due_ms) {
			next_due_ms = report->due_ms;
		}
	}
	window->next_due_ms = next_due_ms;
	return silent;
}
