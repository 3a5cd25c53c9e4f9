/* client_window.h: the reports a publisher has in hand: at most 256, each waiting to be sent, awaiting its receipt, or held
 * back after BUSY. Keeps copies and due times; knows neither sockets nor disks nor the clock. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { CLIENT_WINDOW_MAX = 256, CLIENT_WINDOW_DEFAULT = 64 };

enum client_report_state {
	REPORT_NONE, /* the place is free */
	REPORT_UNSENT,
	REPORT_FLYING, /* sent; sent again when due */
	REPORT_HELD,   /* BUSY; unsent again when due */
};

struct client_report {
	enum client_report_state state;
	uint64_t request; /* on the wire: ticket's place in the low 8 bits */
	uint64_t ticket;
	int format;
	bool strict, check, dry_run, retried;
	bool durable; /* also in the outbox */
	unsigned busy_tries, silent_tries;
	int64_t due_ms;
	char county[16];
	uint8_t *bytes; /* payload, then label with NUL; grows, is kept for the next one */
	size_t capacity, payload_size;
};

struct client_window {
	struct client_report reports[CLIENT_WINDOW_MAX];
	uint8_t free_places[CLIENT_WINDOW_MAX];
	unsigned size, free_count, unsent, flying, held;
	uint64_t last_request;
	int64_t next_due_ms; /* none is due before; 0: unknown */
};

void client_window_init(struct client_window *window, unsigned size);
void client_window_done(struct client_window *window);

/* A free place filled with copies, unsent; NULL: no room, or no memory (ret_no_memory). */
struct client_report *client_window_add(
	struct client_window *window, const void *payload, size_t payload_size, const char *label, bool *ret_no_memory);
const char *client_report_label(const struct client_report *report);
/* The report a receipt speaks of; NULL: none in hand, an answer that came twice. */
struct client_report *client_window_find(struct client_window *window, uint64_t request);
void client_window_remove(struct client_window *window, struct client_report *report);

/* The unsent report with the lowest ticket; NULL: none. */
struct client_report *client_window_next_unsent(struct client_window *window);
void client_window_sent(struct client_window *window, struct client_report *report, int64_t due_ms);
void client_window_hold(struct client_window *window, struct client_report *report, int64_t due_ms);
/* Makes unsent what is due; with `all`, everything that was sent (a new session). Returns how many were silent. */
unsigned client_window_wake(struct client_window *window, int64_t now_ms, bool all);
