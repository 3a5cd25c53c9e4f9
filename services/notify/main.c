/* main.c: wiring of notify: one connection follows the feed, one serves the sender; one loop. Nothing listens but the HTTP port.
 */
#include <stddef.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "bus/bus_hint.h"
#include "crypt/crypt.h"
#include "daemon/daemon.h"
#include "notify_feed.h"
#include "notify_retain_pg.h"
#include "notify_sender.h"

enum { TIMER_MS = 250 };

struct settings {
	struct jk_daemon_settings daemon;
	const char *database, *hint_sockets;
	enum jk_realm realm;
	bool allow_private_targets;
	int64_t attempts_max;
};

static const struct jk_setting table[] = {
	JK_DAEMON_SETTINGS(struct settings, "9104"),
	{"database", JK_CONF_TEXT, offsetof(struct settings, database), NULL, 0, 0, true, "PostgreSQL connection string"},
	{"realm", JK_CONF_REALM, offsetof(struct settings, realm), NULL, 0, 0, false, "LIVE or EXERCISE; must be the database's"},
	{"hint-sockets", JK_CONF_TEXT, offsetof(struct settings, hint_sockets), "", 0, 0, false,
		"sockets of services that append to the feed, separated by commas; empty: it looks by itself"},
	{"allow-private-targets", JK_CONF_BOOL, offsetof(struct settings, allow_private_targets), "false", 0, 0, false,
		"also send to loopback, link-local and private addresses"},
	{"attempts-max", JK_CONF_INT, offsetof(struct settings, attempts_max), "10", 1, 100, false,
		"attempts until a message becomes a dead letter"},
};

struct app {
	struct settings settings;
	struct jk_daemon *daemon;
	struct jk_registry_watch *watch;
	struct jk_bus *bus;
	struct jk_hint_listener *hints;
	struct jk_loop *loop;
	struct jk_db *feed_db, *send_db;
	struct notify_feed *feed;
	struct notify_sender *sender;
	struct jk_retain *retain;
	bool stopping, failed;
};

static void on_hint(void *arg)
{
	struct app *app = arg;
	if (jk_hint_listener_take(app->hints))
		jk_follow_hint(notify_feed_follow(app->feed));
}

/* What keeps notify from being ready, most basic first; "" when nothing does. */
static void find_problem(struct app *app, const char *registry_problem, char ret[256])
{
	const struct jk_follow *follow = notify_feed_follow(app->feed);
	ret[0] = '\0';
	if (jk_db_trouble(app->send_db, ret) != JK_DB_FINE || jk_db_trouble(app->feed_db, ret) != JK_DB_FINE)
		return;
	(void)jk_text_copy(ret, 256,
		*registry_problem                      ? registry_problem
		: jk_registry_version(app->watch) == 0 ? "REGISTRY_NOT_READ: the registry is not loaded yet"
		: jk_follow_is_started(follow)         ? jk_follow_problem(follow)
						       : "FEED_NOT_FOLLOWED: the feed is not being followed yet");
}

static void on_timer(void *arg)
{
	struct app *app = arg;
	char registry_problem[256], problem[256];
	bool fatal;
	jk_follow_on_timer(notify_feed_follow(app->feed));
	jk_registry_watch_problem(app->watch, registry_problem, &fatal);
	find_problem(app, registry_problem, problem);
	if (!app->stopping)
		jk_daemon_set_ready(app->daemon, problem);
	if (fatal) {
		jk_log(JK_LOG_ERROR, "registry_refused", "reason=%s", registry_problem);
		app->failed = true;
		jk_loop_stop(app->loop);
	}
}

static bool on_turn(void *arg)
{
	struct app *app = arg;
	if (!app->stopping)
		notify_feed_turn(app->feed);
	else if (notify_sender_drain(app->sender))
		jk_loop_stop(app->loop);
	notify_sender_turn(app->sender);
	return false;
}

/* Attempts under way may end and be recorded; those that take longer are made again. */
static void on_stop(void *arg)
{
	struct app *app = arg;
	app->stopping = true;
}

/* What was sent and not answered, or answered and not written down, comes again when its lease is over. */
static void tell_left(struct app *app)
{
	size_t in_flight, unrecorded;
	notify_sender_left(app->sender, &in_flight, &unrecorded);
	jk_log(in_flight + unrecorded ? JK_LOG_WARN : JK_LOG_INFO, "left",
		"webhooks_in_flight=%zu outcomes_unrecorded=%zu batch_under_way=%s events_behind=%llu", in_flight, unrecorded,
		jk_db_is_up(app->feed_db) && !jk_db_is_idle(app->feed_db) ? "yes" : "no",
		(unsigned long long)jk_follow_lag(notify_feed_follow(app->feed)));
}

static bool open_outside(struct app *app, struct jk_refusal *refusal)
{
	const struct settings *settings = &app->settings;
	app->loop = jk_loop_new();
	if (!app->loop || jk_crypt_init() != JK_OK || jk_bus_open(1, NULL, NULL, &app->bus) != JK_OK)
		return jk_refuse(refusal, JK_CODE_UNAVAILABLE, NULL, "out of memory");
	if (jk_db_open(settings->database, "jukwaa-notify-feed", &app->feed_db) != JK_OK ||
		jk_db_open(settings->database, "jukwaa-notify", &app->send_db) != JK_OK ||
		jk_registry_watch_open(settings->database, "jukwaa-notify", settings->realm, &app->watch) != JK_OK)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "database", "not a connection string, or out of memory");
	return jk_hint_listener_open(app->bus, settings->hint_sockets, &app->hints, refusal) == JK_OK &&
	       jk_loop_add_socket(app->loop, jk_hint_listener_socket(app->hints), on_hint, app) == JK_OK;
}

static bool open_inside(struct app *app, struct jk_refusal *refusal)
{
	const struct notify_sender_settings sender = {
		.realm = app->settings.realm,
		.allow_private_targets = app->settings.allow_private_targets,
		.attempts_max = (int)app->settings.attempts_max,
	};
	jk_loop_set_turn(app->loop, on_turn, app);
	if (notify_sender_open(&sender, app->loop, app->send_db, app->watch, &app->sender) != JK_OK ||
		notify_feed_open(app->feed_db, app->watch, notify_sender_wake, app->sender, &app->feed) != JK_OK ||
		jk_loop_add_fd(app->loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->feed_db) != JK_OK ||
		jk_loop_add_timer(app->loop, TIMER_MS, on_timer, app) != JK_OK ||
		jk_retain_open(app->loop, app->settings.database, "jukwaa-notify-retain", notify_retain_kinds,
			NOTIFY_RETAIN_KINDS, &app->retain) != JK_OK ||
		jk_daemon_watch(app->daemon, app->loop, on_stop, app) != JK_OK)
		return jk_refuse(refusal, JK_CODE_UNAVAILABLE, NULL, "out of memory or descriptors");
	return jk_daemon_serve_http(app->daemon, refusal) == JK_OK;
}

static void close_all(struct app *app)
{
	jk_retain_close(&app->retain);
	notify_feed_close(&app->feed);
	notify_sender_close(&app->sender);
	jk_loop_free(&app->loop);
	jk_hint_listener_close(&app->hints);
	jk_bus_close(&app->bus);
	jk_registry_watch_close(&app->watch);
	jk_db_close(&app->send_db);
	jk_db_close(&app->feed_db);
}

int main(int argc, char **argv)
{
	struct app app = {0};
	struct jk_refusal refusal = {0};
	int status;
	if (!jk_daemon_start(argc, argv, "notify", table, sizeof table / sizeof *table, &app.settings, &app.daemon, &status))
		return status;
	if (open_outside(&app, &refusal) && open_inside(&app, &refusal)) {
		jk_log(JK_LOG_INFO, "started", "realm=%s", jk_words_name(&jk_realms, (int)app.settings.realm));
		jk_loop_run(app.loop);
		tell_left(&app);
	} else {
		jk_log(JK_LOG_ERROR, "cannot_start", "field=%s why=%s", refusal.field, refusal.reason);
		app.failed = true;
	}
	close_all(&app);
	return jk_daemon_end(&app.daemon, app.failed ? 1 : 0);
}
