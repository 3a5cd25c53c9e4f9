/* jukwaa-dispatch: wiring only. */
#include <stdlib.h>
#include <string.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "dispatch_retain_pg.h"
#include "dispatch_service.h"

struct settings {
	struct jk_daemon_settings daemon;
	const char *listen, *database, *key_file, *hint_sockets, *head_file;
	enum jk_realm realm;
	int64_t cache_mib, lag_after_s, lag_again_s, closed_keep_s;
};

static const struct jk_setting table[] = {
	JK_DAEMON_SETTINGS(struct settings, "9102"),
	{"listen", JK_CONF_TEXT, offsetof(struct settings, listen), "tcp://127.0.0.1:7102", 0, 0, false,
		"where desks, and publishers for their mailboxes, connect"},
	{"database", JK_CONF_TEXT, offsetof(struct settings, database), NULL, 0, 0, true, "PostgreSQL connection string"},
	{"key-file", JK_CONF_PATH, offsetof(struct settings, key_file), NULL, 0, 0, false,
		"this service's key, made by `jukwaa key new`; it also signs the heads"},
	{"realm", JK_CONF_REALM, offsetof(struct settings, realm), NULL, 0, 0, false, "LIVE or EXERCISE; must be the database's"},
	{"hint-sockets", JK_CONF_TEXT, offsetof(struct settings, hint_sockets), "", 0, 0, false,
		"sockets of those who append to the feed, separated by commas; empty: look every 250 ms"},
	{"head-file", JK_CONF_PATH, offsetof(struct settings, head_file), "", 0, 0, false,
		"signed heads are added to this file, one a line, for whoever wants to hold the exchange to them"},
	{"cache-mib", JK_CONF_INT, offsetof(struct settings, cache_mib), "16", 1, 65536, false,
		"memory for events that sessions share"},
	{"lag-after-s", JK_CONF_INT, offsetof(struct settings, lag_after_s), "300", 0, 86400, false,
		"a publisher is told in its mailbox when its events have waited for a desk so many seconds; 0: never"},
	{"lag-again-s", JK_CONF_INT, offsetof(struct settings, lag_again_s), "3600", 1, 604800, false,
		"and again after so many, while it lasts"},
	{"closed-keep-s", JK_CONF_INT, offsetof(struct settings, closed_keep_s), "86400", 60, 31536000, false,
		"seconds that a closed incident is still kept among the open ones, for snapshots that ask for it"},
};

/* All that main opens. */
struct house {
	struct dispatch_surroundings around;
	struct dispatch *dispatch;
	struct jk_retain *retain;
	struct jk_bus *bus;
	struct jk_key key;
	struct jk_refusal refusal;
};

/* In this order: the door is proven shut to strangers before anybody is served. */
static bool open_house(const struct settings *settings, struct house *house)
{
	struct dispatch_surroundings *around = &house->around;
	struct jk_refusal *why = &house->refusal;

	around->key = &house->key;
	around->conninfo = settings->database;
	around->cache_max_bytes = (size_t)settings->cache_mib << 20;
	around->head_file = settings->head_file;
	around->lag_after_s = settings->lag_after_s;
	around->lag_again_s = settings->lag_again_s;
	around->grace_s = settings->closed_keep_s;
	if (jk_crypt_init() != JK_OK || jk_key_read(settings->key_file, &house->key, why) != JK_OK)
		return false;
	around->loop = jk_loop_new();
	if (around->loop == NULL ||
		jk_registry_watch_open(settings->database, "jukwaa-dispatch", settings->realm, &around->watch) != JK_OK ||
		jk_bus_open(1, jk_registry_zap, around->watch, &house->bus) != JK_OK ||
		jk_hint_listener_open(house->bus, settings->hint_sockets, &house->around.hints, &house->refusal) != JK_OK)
		return false;
	if (jk_router_open(house->bus, settings->listen, &house->key, &around->router, why) != JK_OK ||
		jk_router_self_test(house->bus, around->router, why) != JK_OK ||
		dispatch_open(around, &house->dispatch) != JK_OK ||
		jk_retain_open(around->loop, settings->database, "jukwaa-dispatch-retain", dispatch_retain_kinds,
			DISPATCH_RETAIN_KINDS, &house->retain) != JK_OK ||
		jk_daemon_watch(around->daemon, around->loop, dispatch_drain, house->dispatch) != JK_OK ||
		jk_daemon_watch_port(around->daemon, around->loop, house->bus, around->router) != JK_OK)
		return false;
	return jk_daemon_serve_http(around->daemon, why) == JK_OK;
}

static void close_house(struct house *house)
{
	struct dispatch_surroundings *around = &house->around;

	jk_retain_close(&house->retain);
	dispatch_close(&house->dispatch);
	if (around->router != NULL)
		jk_router_close(&around->router);
	jk_hint_listener_close(&around->hints);
	if (house->bus != NULL)
		jk_bus_close(&house->bus);
	if (around->watch != NULL)
		jk_registry_watch_close(&around->watch);
	if (around->loop != NULL)
		jk_loop_free(&around->loop);
	jk_key_wipe(&house->key);
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct house house = {0};
	int exit = EXIT_FAILURE;

	if (!jk_daemon_start(argc, argv, "dispatch", table, sizeof table / sizeof *table, &settings, &house.around.daemon, &exit))
		return exit;
	if (open_house(&settings, &house)) {
		jk_log(JK_LOG_INFO, "listening", "endpoint=%s realm=%s", jk_router_endpoint(house.around.router),
			jk_words_name(&jk_realms, settings.realm));
		jk_loop_run(house.around.loop);
		exit = dispatch_exit_status(house.dispatch);
	} else {
		exit = EXIT_FAILURE;
		jk_log(JK_LOG_ERROR, "cannot_start", "field=%s why=%s", house.refusal.field,
			house.refusal.reason[0] != '\0' ? house.refusal.reason : "out of memory");
	}
	close_house(&house);
	return jk_daemon_end(&house.around.daemon, exit);
}
