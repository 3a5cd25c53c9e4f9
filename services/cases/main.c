/* main.c: wiring of cases: database connections (one follows the feed, one answers, one records, one does commands, one
 * counts, one removes by age), one ROUTER, one loop. */
#include <stddef.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "bus/bus_hint.h"
#include "cases_feed.h"
#include "cases_retain_pg.h"
#include "cases_service.h"
#include "daemon/daemon.h"

enum { TIMER_MS = 250 };

struct settings {
	struct jk_daemon_settings daemon;
	const char *listen, *database, *key_file, *hint_sockets;
	enum jk_realm realm;
};

static const struct jk_setting table[] = {
	JK_DAEMON_SETTINGS(struct settings, "9103"),
	{"listen", JK_CONF_TEXT, offsetof(struct settings, listen), "tcp://127.0.0.1:7103", 0, 0, false,
		"ZeroMQ endpoint for desks"},
	{"database", JK_CONF_TEXT, offsetof(struct settings, database), NULL, 0, 0, true, "libpq connection string"},
	{"key-file", JK_CONF_PATH, offsetof(struct settings, key_file), NULL, 0, 0, false, "this service's key file"},
	{"realm", JK_CONF_REALM, offsetof(struct settings, realm), NULL, 0, 0, false, "LIVE or EXERCISE"},
	{"hint-sockets", JK_CONF_TEXT, offsetof(struct settings, hint_sockets), "", 0, 0, false,
		"socket files of services that append to the feed, separated by commas"},
};

struct app {
	struct settings settings;
	struct jk_daemon *daemon;
	struct jk_key key;
	struct jk_registry_watch *watch;
	struct jk_bus *bus;
	struct jk_hint_listener *hints;
	struct jk_router *router;
	struct jk_loop *loop;
	struct jk_db *feed_db, *query_db, *record_db, *command_db, *figures_db;
	struct cases_feed *feed;
	struct cases_service *service;
	struct jk_retain *retain;
	bool stopping, failed;
};

static void on_hint(void *arg)
{
	struct app *app = arg;
	if (jk_hint_listener_take(app->hints))
		jk_follow_hint(cases_feed_follow(app->feed));
}

/* What keeps cases from being ready, most basic first; "" when nothing does. */
static void find_problem(struct app *app, const char *registry_problem, char ret[256])
{
	const struct jk_follow *follow = cases_feed_follow(app->feed);
	ret[0] = '\0';
	if (jk_db_trouble(app->query_db, ret) != JK_DB_FINE || jk_db_trouble(app->record_db, ret) != JK_DB_FINE ||
		jk_db_trouble(app->command_db, ret) != JK_DB_FINE || jk_db_trouble(app->feed_db, ret) != JK_DB_FINE)
		return;
	(void)jk_text_copy(ret, 256,
		*registry_problem                      ? registry_problem
		: jk_registry_version(app->watch) == 0 ? "REGISTRY_NOT_READ: the registry is not loaded yet"
		: *jk_follow_problem(follow)           ? jk_follow_problem(follow)
		: jk_follow_is_started(follow)         ? ""
						       : "FEED_NOT_FOLLOWED: the feed is not being followed yet");
}

static void report_readiness(struct app *app)
{
	char registry_problem[256], problem[256];
	bool fatal;
	jk_registry_watch_problem(app->watch, registry_problem, &fatal);
	if (fatal) {
		jk_log(JK_LOG_ERROR, "registry_refused", "reason=%s", registry_problem);
		app->failed = true;
		jk_loop_stop(app->loop);
		return;
	}
	find_problem(app, registry_problem, problem);
	jk_daemon_set_ready(app->daemon, problem);
}

static void on_timer(void *arg)
{
	struct app *app = arg;
	jk_db_on_timer(app->query_db);
	cases_service_on_timer(app->service);
	jk_follow_on_timer(cases_feed_follow(app->feed));
	report_readiness(app);
}

static bool on_turn(void *arg)
{
	struct app *app = arg;
	cases_service_run(app->service);
	jk_follow_turn(cases_feed_follow(app->feed));
	if (app->stopping && cases_service_waiting(app->service) == 0)
		jk_loop_stop(app->loop);
	return false;
}

/* A batch of events is one transaction, and need not be waited for; answers wait for their record, two seconds at most. */
static void on_stop(void *arg)
{
	struct app *app = arg;
	jk_sessions_drain(cases_service_sessions(app->service));
	app->stopping = true;
}

/* False: the database is not for this service. */
static bool check_registry(struct app *app, struct jk_refusal *refusal)
{
	char problem[256];
	bool fatal;
	jk_registry_watch_problem(app->watch, problem, &fatal);
	return !fatal || jk_refuse(refusal, JK_CODE_WRONG_REALM, "database", "%s", problem);
}

static bool open_outside(struct app *app, struct jk_refusal *refusal)
{
	const struct settings *settings = &app->settings;
	if (jk_crypt_init() != JK_OK || jk_key_read(settings->key_file, &app->key, refusal) != JK_OK)
		return false;
	if (jk_db_open(settings->database, "jukwaa-cases-feed", &app->feed_db) != JK_OK ||
		jk_db_open(settings->database, "jukwaa-cases", &app->query_db) != JK_OK ||
		jk_db_open(settings->database, "jukwaa-cases-record", &app->record_db) != JK_OK ||
		jk_db_open(settings->database, "jukwaa-cases-figures", &app->figures_db) != JK_OK ||
		jk_db_open(settings->database, "jukwaa-cases-command", &app->command_db) != JK_OK ||
		jk_registry_watch_open(settings->database, "jukwaa-cases", settings->realm, &app->watch) != JK_OK)
		return jk_refuse(refusal, JK_CODE_RULE_VIOLATION, "database", "not a connection string, or out of memory");
	if (jk_bus_open(1, jk_registry_zap, app->watch, &app->bus) != JK_OK)
		return jk_refuse(refusal, JK_CODE_UNAVAILABLE, NULL, "ZeroMQ does not start");
	return check_registry(app, refusal) &&
	       jk_router_open(app->bus, settings->listen, &app->key, &app->router, refusal) == JK_OK &&
	       jk_router_self_test(app->bus, app->router, refusal) == JK_OK;
}

static bool add_to_loop(struct app *app)
{
	struct jk_loop *loop = app->loop;
	jk_loop_set_turn(loop, on_turn, app);
	return jk_loop_add_socket(loop, jk_hint_listener_socket(app->hints), on_hint, app) == JK_OK &&
	       jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->feed_db) == JK_OK &&
	       jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->query_db) == JK_OK &&
	       jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->record_db) == JK_OK &&
	       jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->figures_db) == JK_OK &&
	       jk_loop_add_fd(loop, jk_db_fd, jk_db_events, jk_db_on_ready, app->command_db) == JK_OK &&
	       jk_loop_add_timer(loop, TIMER_MS, on_timer, app) == JK_OK &&
	       jk_daemon_watch(app->daemon, loop, on_stop, app) == JK_OK &&
	       jk_daemon_watch_port(app->daemon, loop, app->bus, app->router) == JK_OK;
}

static bool open_inside(struct app *app, struct jk_refusal *refusal)
{
	const struct cases_service_dbs dbs = {app->query_db, app->record_db, app->command_db, app->figures_db};

	app->loop = jk_loop_new();
	if (!app->loop || cases_feed_open(app->feed_db, &app->feed) != JK_OK ||
		cases_service_open(app->loop, app->router, app->watch, &dbs, &app->service) != JK_OK ||
		jk_retain_open(app->loop, app->settings.database, "jukwaa-cases-retain", cases_retain_kinds, CASES_RETAIN_KINDS,
			&app->retain) != JK_OK ||
		jk_hint_listener_open(app->bus, app->settings.hint_sockets, &app->hints, refusal) != JK_OK || !add_to_loop(app))
		return refusal->code == JK_CODE_NONE && jk_refuse(refusal, JK_CODE_UNAVAILABLE, NULL, "out of memory");
	return jk_daemon_serve_http(app->daemon, refusal) == JK_OK;
}

static void close_all(struct app *app)
{
	jk_retain_close(&app->retain);
	cases_service_close(&app->service);
	cases_feed_close(&app->feed);
	jk_loop_free(&app->loop);
	jk_router_close(&app->router);
	jk_hint_listener_close(&app->hints);
	jk_bus_close(&app->bus);
	jk_registry_watch_close(&app->watch);
	jk_db_close(&app->figures_db);
	jk_db_close(&app->command_db);
	jk_db_close(&app->record_db);
	jk_db_close(&app->query_db);
	jk_db_close(&app->feed_db);
	jk_key_wipe(&app->key);
}

int main(int argc, char **argv)
{
	struct app app = {0};
	struct jk_refusal refusal = {0};
	int status;
	if (!jk_daemon_start(argc, argv, "cases", table, sizeof table / sizeof *table, &app.settings, &app.daemon, &status))
		return status;
	if (open_outside(&app, &refusal) && open_inside(&app, &refusal)) {
		jk_log(JK_LOG_INFO, "listening", "endpoint=%s", jk_router_endpoint(app.router));
		jk_loop_run(app.loop);
		jk_log(JK_LOG_INFO, "left", "batch_under_way=%s events_behind=%llu answers_held=%zu sessions=%zu",
			jk_db_is_up(app.feed_db) && !jk_db_is_idle(app.feed_db) ? "yes" : "no",
			(unsigned long long)jk_follow_lag(cases_feed_follow(app.feed)), cases_service_waiting(app.service),
			jk_sessions_count(cases_service_sessions(app.service)));
	} else {
		jk_log(JK_LOG_ERROR, "cannot_start", "field=%s why=%s", refusal.field, refusal.reason);
		app.failed = true;
	}
	close_all(&app);
	return jk_daemon_end(&app.daemon, app.failed ? 1 : 0);
}
