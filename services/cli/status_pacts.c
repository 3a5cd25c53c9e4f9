/* status_pacts.c: see status_pacts.h. */
#include "services/cli/status_pacts.h"

#include "registry/registry.h"

/* NULL: it is of the other realm, or cannot be read. */
static struct jk_registry_watch *open_watch(const char *conninfo, enum jk_realm realm, const struct jk_registry **ret_registry)
{
	struct jk_registry_watch *watch;

	*ret_registry = NULL;
	if (jk_registry_watch_open(conninfo, "jukwaa status", realm, &watch) != JK_OK)
		return NULL;
	*ret_registry = jk_registry_acquire(watch);
	if (!*ret_registry)
		jk_registry_watch_close(&watch);
	return watch;
}

void status_pacts_read(const char *conninfo, status_row *row, void *arg)
{
	const struct jk_registry *registry;
	struct jk_registry_watch *watch = open_watch(conninfo, JK_REALM_LIVE, &registry);

	if (!watch)
		watch = open_watch(conninfo, JK_REALM_EXERCISE, &registry);
	if (!watch)
		return;
	for (size_t i = 0; i < registry->closed_count; i++) {
		const struct jk_closed_pact *pact = &registry->closed[i];
		row(arg, pact->task_force ? "taskforce" : "agreement", pact->code, "closed", pact->reason);
	}
	jk_registry_release(watch, &registry);
	jk_registry_watch_close(&watch);
}
