/* bench_decide.c: see bench_decide.h. Every desk decides the same events; one thread. */
#include "services/cli/bench_decide.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "registry/registry.h"

struct decided {
	int64_t decisions, allowed;
	double mean_ns, worst_desk_ns, first_load_ms;
};

static int64_t mono_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* An event of any agency, in any county, with what a real one may have. */
static struct jk_label make_label(const struct jk_registry *registry)
{
	uint32_t chance[4];
	size_t county_count;
	const char(*counties)[JK_COUNTY_BYTES] = jk_registry_counties(registry, &county_count);
	struct jk_label label = {.scope = JK_SCOPE_PUBLIC, .status = JK_CAP_STATUS_ACTUAL, .recorded_at_us = jk_time_now_us()};

	jk_random(chance, sizeof chance);
	jk_registry_label_owner(&label, &registry->agencies[chance[0] % registry->agency_count]);
	memcpy(label.county, counties[chance[1] % county_count], sizeof label.county);
	label.categories = (uint16_t)(1U << (1 + chance[2] % JK_CATEGORY_MAX));
	label.severity = (uint8_t)(1 + chance[3] % JK_SEVERITY_MAX);
	label.tlp = (enum jk_tlp)(1 + (chance[3] >> 8) % JK_TLP_AMBER_STRICT);
	return label;
}

static void decide_all(
	const struct jk_registry *registry, const struct jk_label *labels, int64_t events, struct decided *ret_decided)
{
	const int64_t now_us = jk_time_now_us(), began_ns = mono_ns();

	for (size_t i = 0; i < registry->desk_count; i++) {
		int64_t desk_began_ns = mono_ns();
		double desk_ns;

		for (int64_t n = 0; n < events; n++) {
			struct jk_decision decision =
				jk_registry_decide_desk(registry, &registry->desks[i], JK_USE_VIEW, &labels[n], now_us);
			ret_decided->allowed += decision.effect != JK_DENY;
		}
		desk_ns = (double)(mono_ns() - desk_began_ns) / (double)events;
		if (desk_ns > ret_decided->worst_desk_ns)
			ret_decided->worst_desk_ns = desk_ns;
	}
	ret_decided->decisions = events * (int64_t)registry->desk_count;
	if (ret_decided->decisions > 0)
		ret_decided->mean_ns = (double)(mono_ns() - began_ns) / (double)ret_decided->decisions;
}

static void print_decided(const struct cli *cli, const struct jk_registry *registry, const struct decided *decided)
{
	if (cli->json)
		printf("{\"bench\":\"decide\",\"desks\":%zu,\"terms\":%zu,\"closed\":%zu,\"decisions\":%" PRId64
		       ",\"allowed\":%" PRId64 ",\"mean_ns\":%.0f,\"worst_desk_ns\":%.0f,\"first_load_ms\":%.0f}\n",
			registry->desk_count, registry->term_count, registry->closed_count, decided->decisions, decided->allowed,
			decided->mean_ns, decided->worst_desk_ns, decided->first_load_ms);
	else
		printf("decide    %8zu desks, %zu terms: %.0f ns a decision, %.0f ns at the slowest desk; %" PRId64 " of %" PRId64
		       " allowed; first load %.0f ms\n",
			registry->desk_count, registry->term_count, decided->mean_ns, decided->worst_desk_ns, decided->allowed,
			decided->decisions, decided->first_load_ms);
}

static int decide_with(const struct cli *cli, const struct jk_registry *registry, int64_t events, struct decided *decided)
{
	struct jk_label *labels;

	if (registry == NULL || registry->agency_count == 0 || registry->desk_count == 0)
		return cli_fail(CLI_UNREACHABLE, NULL, "the registry cannot be read, or has no desks");
	labels = calloc((size_t)events, sizeof *labels);
	if (labels == NULL)
		return cli_fail(CLI_USAGE, NULL, "out of memory");
	for (int64_t n = 0; n < events; n++)
		labels[n] = make_label(registry);
	decide_all(registry, labels, events, decided);
	free(labels);
	print_decided(cli, registry, decided);
	return CLI_OK;
}

int bench_decide_run(const struct cli *cli, int64_t events)
{
	struct jk_registry_watch *watch = NULL;
	const struct jk_registry *registry;
	struct decided decided = {0};
	int64_t began_ns = mono_ns();
	int status;

	if (!cli->database)
		return cli_fail(CLI_USAGE, "set JUKWAA_DATABASE", "do not know which registry to read");
	if (jk_crypt_init() != JK_OK || jk_registry_watch_open(cli->database, "jukwaa bench", JK_REALM_LIVE, &watch) != JK_OK)
		return cli_fail(CLI_UNREACHABLE, NULL, "the registry cannot be read");
	registry = jk_registry_acquire(watch);
	decided.first_load_ms = (double)(mono_ns() - began_ns) / 1e6;
	status = decide_with(cli, registry, events, &decided);
	jk_registry_release(watch, &registry);
	jk_registry_watch_close(&watch);
	return status;
}
