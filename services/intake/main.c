/* jukwaa-intake: wiring only. */
#include <stdlib.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "services/intake/intake_retain_pg.h"
#include "services/intake/intake_service.h"

struct settings {
	struct jk_daemon_settings daemon;
	const char *listen, *database, *key_file, *county_boundaries, *county_property, *hint_socket;
	enum jk_realm realm;
};

static const struct jk_setting table[] = {
	JK_DAEMON_SETTINGS(struct settings, "9101"),
	{"listen", JK_CONF_TEXT, offsetof(struct settings, listen), "tcp://127.0.0.1:7101", 0, 0, false,
		"where publishers connect"},
	{"database", JK_CONF_TEXT, offsetof(struct settings, database), NULL, 0, 0, true, "PostgreSQL connection string"},
	{"key-file", JK_CONF_PATH, offsetof(struct settings, key_file), NULL, 0, 0, false,
		"this service's key, made by `jukwaa key new`"},
	{"realm", JK_CONF_REALM, offsetof(struct settings, realm), NULL, 0, 0, false, "LIVE or EXERCISE; must be the database's"},
	{"county-boundaries", JK_CONF_PATH, offsetof(struct settings, county_boundaries), "", 0, 0, false,
		"GeoJSON of the counties; empty: coordinates route nothing"},
	{"county-property", JK_CONF_TEXT, offsetof(struct settings, county_property), "county_code", 0, 0, false,
		"its property with the three-digit county code"},
	{"hint-socket", JK_CONF_PATH, offsetof(struct settings, hint_socket), "", 0, 0, false,
		"socket that tells readers of the feed to look; empty: none, they find out by themselves"},
};

/* All that main opens. */
struct house {
	struct intake_parts parts;
	struct intake_service *service;
	struct jk_retain *retain;
	struct jk_key key;
	struct jk_refusal refusal;
};

static bool open_key(const struct settings *settings, struct house *house)
{
	if (jk_key_read(settings->key_file, &house->key, &house->refusal) == JK_OK)
		return true;
	jk_text_copy(house->refusal.field, sizeof house->refusal.field, "key-file");
	return false;
}

static bool open_boundaries(const struct settings *settings, struct house *house)
{
	char missing[256] = "";

	if (!*settings->county_boundaries) {
		jk_log(JK_LOG_WARN, "no_county_boundaries", "effect=%s", "coordinates route nothing");
		return true;
	}
	if (intake_boundaries_open(settings->county_boundaries, settings->county_property, &house->parts.boundaries, missing,
		    &house->refusal) != JK_OK) {
		jk_log(JK_LOG_ERROR, "county_boundaries_refused", "path=%s", settings->county_boundaries);
		return false;
	}
	if (*missing)
		jk_log(JK_LOG_WARN, "counties_without_boundary", "counties=%s", missing);
	return true;
}

/* In this order: the door opens last, and only after it is proven shut to strangers. */
static bool open_house(const struct settings *settings, struct house *house)
{
	struct intake_parts *parts = &house->parts;
	struct jk_refusal *why = &house->refusal;

	if (jk_crypt_init() != JK_OK || !open_key(settings, house) || intake_cap_open(&parts->cap) != JK_OK ||
		!open_boundaries(settings, house))
		return false;
	parts->loop = jk_loop_new();
	if (!parts->loop || intake_store_open(settings->database, &parts->store) != JK_OK ||
		jk_registry_watch_open(settings->database, "jukwaa-intake", settings->realm, &parts->watch) != JK_OK ||
		jk_bus_open(1, jk_registry_zap, parts->watch, &parts->bus) != JK_OK)
		return false;
	if (*settings->hint_socket && jk_hint_sender_open(parts->bus, settings->hint_socket, &parts->hint) != JK_OK)
		return jk_refuse(why, JK_CODE_UNAVAILABLE, "hint-socket", "cannot bind %.80s", settings->hint_socket);
	if (jk_router_open(parts->bus, settings->listen, &house->key, &parts->router, why) != JK_OK ||
		jk_router_self_test(parts->bus, parts->router, why) != JK_OK ||
		intake_service_open(parts, &house->service) != JK_OK ||
		jk_retain_open(parts->loop, settings->database, "jukwaa-intake-retain", intake_retain_kinds, INTAKE_RETAIN_KINDS,
			&house->retain) != JK_OK ||
		jk_daemon_watch(parts->daemon, parts->loop, intake_service_stop, house->service) != JK_OK ||
		jk_daemon_watch_port(parts->daemon, parts->loop, parts->bus, parts->router) != JK_OK)
		return false;
	return jk_daemon_serve_http(parts->daemon, why) == JK_OK;
}

static void close_house(struct house *house)
{
	struct intake_parts *parts = &house->parts;

	intake_store_close(&parts->store); /* first: no job may end any more */
	jk_retain_close(&house->retain);
	intake_service_close(&house->service);
	if (parts->router)
		jk_router_close(&parts->router);
	if (parts->hint)
		jk_hint_sender_close(&parts->hint);
	if (parts->bus)
		jk_bus_close(&parts->bus);
	if (parts->watch)
		jk_registry_watch_close(&parts->watch);
	if (parts->boundaries)
		intake_boundaries_close(&parts->boundaries);
	if (parts->cap)
		intake_cap_close(&parts->cap);
	if (parts->loop)
		jk_loop_free(&parts->loop);
	jk_key_wipe(&house->key);
}

int main(int argc, char **argv)
{
	struct settings settings = {0};
	struct house house = {0};
	int exit = EXIT_FAILURE;

	if (!jk_daemon_start(argc, argv, "intake", table, sizeof table / sizeof *table, &settings, &house.parts.daemon, &exit))
		return exit;
	if (open_house(&settings, &house)) {
		jk_log(JK_LOG_INFO, "listening", "endpoint=%s realm=%s", jk_router_endpoint(house.parts.router),
			jk_words_name(&jk_realms, settings.realm));
		jk_loop_run(house.parts.loop);
		exit = intake_service_exit(house.service);
	} else {
		exit = EXIT_FAILURE;
		jk_log(JK_LOG_ERROR, "cannot_start", "field=%s why=%s", house.refusal.field,
			*house.refusal.reason ? house.refusal.reason : "out of memory");
	}
	close_house(&house);
	return jk_daemon_end(&house.parts.daemon, exit);
}
