/* jukwaa watch: a desk's feed, or a publisher's mailbox, one event a line. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/jk_time.h"
#include "services/cli/cli_commands.h"
#include "services/cli/cli_link.h"
#include "services/cli/watch_show.h"

enum { LIST_MAX = 64, SLICE_MS = 200, FIRST_ANSWER_S = 5, WINDOW_DEFAULT = 64 };

struct watching {
	const struct cli *cli;
	struct jukwaa_connection connection;
	struct jukwaa_subscription subscription;
	const char *counties[LIST_MAX], *categories[LIST_MAX];
	char *county_text, *category_text;
	struct jukwaa_subscriber *subscriber;
	int64_t count, timeout_s;             /* 0: no end */
	bool no_ack, tokens, snapshot, ended; /* ended: the backfill, whose end was given */
	uint64_t newest;                      /* delivery shown */
	uint32_t unacked;
	int64_t shown, start_ms;
	bool heard, lost_said, unwritten; /* unwritten: what came last could not be shown */
};

/* Ctrl-C ends the watch in order: what was shown is acknowledged, the resume file is written. A second one ends it at once. */
static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
	interrupted = 1;
	signal(number, SIG_DFL);
}

static void catch_interrupts(void)
{
	struct sigaction action = {.sa_handler = on_interrupt};

	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/* ---- showing ---------------------------------------------------------------------------------------------------- */

static void show_json(const struct watching *w, const struct jukwaa_event *event)
{
	size_t size = strlen(event->json);
	const char *token = w->tokens ? jukwaa_subscriber_token(w->subscriber) : NULL;

	/* The token goes in before the closing brace. */
	fwrite(event->json, 1, size - 1, stdout);
	if (token)
		printf(",\"token\":\"%s\"", token);
	printf("}\n");
}

/* False: the reader has not got it, so it must not be acknowledged. */
static bool show_event(struct watching *w, const struct jukwaa_event *event)
{
	if (w->cli->json)
		show_json(w, event);
	else
		watch_show(w->cli, event, w->subscription.backfill != NULL);
	if (fflush(stdout) != 0 || ferror(stdout))
		return false;
	if (strcmp(event->kind, "SNAPSHOT_END") != 0)
		w->shown++;
	else if (w->subscription.backfill)
		w->ended = true;
	return true;
}

/* ---- the loop --------------------------------------------------------------------------------------------------- */

static int fail_watch(const struct watching *w, int status)
{
	const struct jukwaa_error *error = jukwaa_subscriber_error(w->subscriber);

	return cli_link_fail(&w->connection, status, error->code, error->field, error->reason);
}

/* Everything shown is with the reader now. */
static int acknowledge(struct watching *w)
{
	int status = w->no_ack ? JUKWAA_OK : jukwaa_subscriber_ack(w->subscriber, w->newest);

	w->unacked = 0;
	return status;
}

/* Acknowledged in one go: when half the window is used up, or the feed pauses. */
static int on_event(struct watching *w, const struct jukwaa_event *event)
{
	uint32_t window = w->subscription.window ? w->subscription.window : WINDOW_DEFAULT;
	int status = JUKWAA_OK;

	w->heard = true;
	w->lost_said = false;
	/* A line with a token must be covered by it; when the reader gets the one, it has the other. */
	if (w->tokens) {
		w->newest = event->delivery_no;
		status = acknowledge(w);
	}
	if (status == JUKWAA_OK && !show_event(w, event)) {
		w->unwritten = true;
		return status;
	}
	w->newest = event->delivery_no;
	w->unacked += !w->tokens;
	if (status == JUKWAA_OK && w->unacked >= (window + 1) / 2)
		status = acknowledge(w);
	return status;
}

static bool is_over(const struct watching *w)
{
	return w->timeout_s > 0 && jk_time_mono_ms() - w->start_ms >= w->timeout_s * 1000;
}

/* Nothing came. JUKWAA_OK: go on. */
static int on_quiet(struct watching *w, int status)
{
	if (status == JUKWAA_E_TIMEOUT) {
		w->heard = true;
		w->lost_said = false;
	}
	if (w->unacked > 0)
		return acknowledge(w);
	if (is_over(w))
		return status;
	if (status == JUKWAA_E_TIMEOUT)
		return JUKWAA_OK;
	if (!w->heard)
		return jk_time_mono_ms() - w->start_ms > FIRST_ANSWER_S * 1000 ? status : JUKWAA_OK;
	if (!w->lost_said)
		fprintf(stderr, "jukwaa: the link to %s is down; trying again\n", w->connection.endpoint);
	w->lost_said = true;
	return JUKWAA_OK;
}

static int wait_ms(const struct watching *w)
{
	int64_t left = w->timeout_s ? w->start_ms + w->timeout_s * 1000 - jk_time_mono_ms() : SLICE_MS;

	if (w->unacked > 0 || left <= 0)
		return 0;
	return left < SLICE_MS ? (int)left : SLICE_MS;
}

static bool has_all(const struct watching *w)
{
	return w->ended || (w->count > 0 && w->shown >= w->count);
}

static int watch_feed(struct watching *w)
{
	struct jukwaa_event event;
	int status = JUKWAA_OK;

	w->start_ms = jk_time_mono_ms();
	while (status == JUKWAA_OK && !interrupted && !w->unwritten && !has_all(w)) {
		status = jukwaa_subscriber_next(w->subscriber, wait_ms(w), &event);
		if (status == JUKWAA_OK)
			status = on_event(w, &event);
		else if (status == JUKWAA_E_TIMEOUT || status == JUKWAA_E_UNREACHABLE)
			status = on_quiet(w, status);
	}
	if (w->unacked > 0 && status == JUKWAA_OK)
		status = acknowledge(w);
	if (w->unwritten)
		return cli_fail(CLI_REFUSED, NULL, "standard output cannot be written; what was not shown is not acknowledged");
	if (status == JUKWAA_E_TIMEOUT && w->count > 0)
		return cli_fail(CLI_REFUSED, "a longer --timeout", "%" PRId64 " of %" PRId64 " events came in %" PRId64 " s",
			w->shown, w->count, w->timeout_s);
	return status == JUKWAA_OK || status == JUKWAA_E_TIMEOUT ? CLI_OK : fail_watch(w, status);
}

/* ---- arguments -------------------------------------------------------------------------------------------------- */

/* "047,001" to a list in ret; the text is cut in place. Returns the count, 0: too many or an empty one. */
static size_t split_list(char *text, const char **ret)
{
	size_t count = 0;
	char *next;

	for (; text; text = next) {
		next = strchr(text, ',');
		if (next)
			*next++ = '\0';
		if (!*text || count == LIST_MAX)
			return 0;
		ret[count++] = text;
	}
	return count;
}

struct watch_texts {
	const char *county, *category, *minimum, *from, *cursor, *resume, *heads, *count, *timeout, *window, *backfill;
};

static bool take_option(struct cli_args *args, struct watch_texts *texts)
{
	return cli_args_take(args, "--county", &texts->county) || cli_args_take(args, "--category", &texts->category) ||
	       cli_args_take(args, "--min-severity", &texts->minimum) || cli_args_take(args, "--from", &texts->from) ||
	       cli_args_take(args, "--cursor", &texts->cursor) || cli_args_take(args, "--resume", &texts->resume) ||
	       cli_args_take(args, "--heads", &texts->heads) || cli_args_take(args, "--count", &texts->count) ||
	       cli_args_take(args, "--timeout", &texts->timeout) || cli_args_take(args, "--window", &texts->window) ||
	       cli_args_take(args, "--backfill", &texts->backfill);
}

static bool take_switch(struct cli_args *args, struct watching *w)
{
	struct jukwaa_subscription *s = &w->subscription;

	if (cli_args_take(args, "--all", NULL))
		return s->all = true;
	if (cli_args_take(args, "--mailbox", NULL))
		return s->mailbox = true;
	if (cli_args_take(args, "--neighbours", NULL))
		return s->neighbours = true;
	if (cli_args_take(args, "--include-test", NULL))
		return s->include_test = true;
	if (cli_args_take(args, "--tokens", NULL))
		return w->tokens = true;
	if (cli_args_take(args, "--snapshot", NULL))
		return w->snapshot = true;
	if (cli_args_take(args, "--include-closed", NULL))
		return s->include_closed = true;
	if (cli_args_take(args, "--no-ack", NULL))
		return w->no_ack = true;
	return cli_args_take(args, "--ack", NULL);
}

static int read_numbers(struct watching *w, const struct watch_texts *texts)
{
	int64_t window = 0;

	if (texts->count && !jk_text_to_int64(texts->count, 1, INT64_MAX, &w->count))
		return cli_usage("watch", "--count is a number from 1, not '%s'", texts->count);
	if (texts->timeout && !jk_text_to_int64(texts->timeout, 1, 31536000, &w->timeout_s))
		return cli_usage("watch", "--timeout is in seconds, not '%s'", texts->timeout);
	if (texts->window && !jk_text_to_int64(texts->window, 1, 256, &window))
		return cli_usage("watch", "--window is 1 to 256, not '%s'", texts->window);
	w->subscription.window = (uint32_t)window;
	return CLI_OK;
}

static int read_lists(struct watching *w, const struct watch_texts *texts)
{
	struct jukwaa_subscription *s = &w->subscription;

	if (texts->county) {
		w->county_text = strdup(texts->county);
		s->county_count = w->county_text ? split_list(w->county_text, w->counties) : 0;
		if (s->county_count == 0)
			return cli_usage("watch", "--county is a list such as 047,001, not '%s'", texts->county);
		for (size_t i = 0; i < s->county_count; i++)
			if (strlen(w->counties[i]) != 3 || strspn(w->counties[i], "0123456789") != 3)
				return cli_usage("watch", "a county is three digits, such as 047 for Nairobi City, not '%s'",
					w->counties[i]);
		s->counties = w->counties;
	}
	if (texts->category) {
		w->category_text = strdup(texts->category);
		s->category_count = w->category_text ? split_list(w->category_text, w->categories) : 0;
		for (size_t i = 0; i < s->category_count; i++)
			if (jk_words_number(&jk_categories, w->categories[i]) <= 0)
				return cli_usage("watch",
					"there is no category '%s': GEO MET SAFETY SECURITY RESCUE FIRE HEALTH ENV "
					"TRANSPORT INFRA CBRNE OTHER",
					w->categories[i]);
		s->categories = w->categories;
	}
	if (texts->minimum && jk_words_number(&jk_severities, texts->minimum) <= 0)
		return cli_usage("watch", "--min-severity is EXTREME, SEVERE, MODERATE or MINOR, not '%s'", texts->minimum);
	s->minimum_severity = texts->minimum;
	return CLI_OK;
}

static int read_arguments(struct watching *w, struct cli_args *args)
{
	struct watch_texts texts = {0};
	struct jukwaa_subscription *s = &w->subscription;
	int status;

	while (cli_args_peek(args))
		if (!take_option(args, &texts) && !take_switch(args, w))
			return cli_usage("watch", "'%s' is not an option of watch", cli_args_peek(args));
	if (cli_args_missing(args))
		return cli_usage("watch", "%s wants a value", cli_args_missing(args));
	status = read_numbers(w, &texts);
	if (status == CLI_OK)
		status = read_lists(w, &texts);
	if (w->snapshot && texts.from)
		return cli_usage("watch", "--snapshot says where to start; leave --from out");
	if (s->include_closed && !w->snapshot)
		return cli_usage("watch", "--include-closed goes with --snapshot");
	if (texts.backfill && (w->snapshot || texts.from || texts.cursor || texts.resume || s->mailbox))
		return cli_usage("watch",
			"--backfill starts at the beginning, and goes without --snapshot, --from, --cursor, --resume, --mailbox");
	/* A token is acknowledged before its line is written. */
	if (w->tokens && (texts.cursor || texts.resume))
		return cli_usage(
			"watch", "--tokens goes without --cursor and --resume: who keeps the tokens goes on with --from");
	s->from = w->snapshot ? "snapshot" : texts.from;
	s->backfill = texts.backfill;
	s->cursor = texts.cursor;
	s->resume_file = texts.resume;
	s->heads_file = texts.heads;
	if (status == CLI_OK && !s->all && !s->mailbox && s->county_count == 0)
		return cli_usage("watch", "say what to watch: --county 047, --all or --mailbox");
	return status;
}

int cli_watch(const struct cli *cli, int argc, char **argv)
{
	struct watching w = {.cli = cli};
	struct cli_args args = {.argc = argc, .argv = argv, .at = 1};
	char reason[256];
	int status = read_arguments(&w, &args);

	if (status == CLI_OK && !cli_link_connection(cli, "JUKWAA_DISPATCH", &w.connection))
		status = CLI_USAGE;
	if (status == CLI_OK) {
		w.subscription.skip_json = !cli->json;
		status = jukwaa_subscriber_open(&w.connection, &w.subscription, &w.subscriber, reason);
		if (status != JUKWAA_OK) {
			status = cli_link_fail(&w.connection, status, "", "", reason);
		} else {
			catch_interrupts();
			status = watch_feed(&w);
			jukwaa_subscriber_close(&w.subscriber);
		}
	}
	free(w.county_text);
	free(w.category_text);
	return status;
}
