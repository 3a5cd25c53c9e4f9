/* registry_watch.c: the thread that keeps the newest snapshot, and the counted hand-out of it. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/jk_log.h"
#include "base/jk_text.h"
#include "base/jk_time.h"
#include "crypt/crypt.h"
#include "registry/registry_load_pg.h"

enum { POLL_INTERVAL_MS = 250, FIRST_SNAPSHOT_MS = 2000, DOOR_LOG_MS = 1000, DOOR_SLOTS = 64 };

struct jk_registry_watch {
	struct jk_db *db; /* of the thread; NULL in a fixed watch */
	enum jk_realm realm;
	pthread_t thread;
	pthread_mutex_t lock; /* over everything below but `version` */
	pthread_cond_t wake;
	bool stopping;
	const struct jk_registry *current;
	_Atomic int64_t version;
	char problem[REGISTRY_PROBLEM_BYTES];
	bool fatal;
	struct registry_known known;    /* of the thread */
	int64_t told_at_ms[DOOR_SLOTS]; /* by the key's first byte: when the log last told of such a key at the door */
};

static void set_problem(struct jk_registry_watch *watch, const char *problem, bool fatal)
{
	pthread_mutex_lock(&watch->lock);
	(void)jk_text_copy(watch->problem, sizeof watch->problem, problem);
	watch->fatal = fatal;
	pthread_cond_broadcast(&watch->wake);
	pthread_mutex_unlock(&watch->lock);
}

void registry_watch_swap(struct jk_registry_watch *watch, struct jk_registry **registry_p)
{
	const struct jk_registry *old;

	pthread_mutex_lock(&watch->lock);
	old = watch->current;
	watch->current = *registry_p;
	watch->version = watch->current == NULL ? 0 : watch->current->version;
	pthread_mutex_unlock(&watch->lock);
	*registry_p = NULL;
	registry_drop(&old);
}

/* True when the database is ours; else says why not. */
static bool check_state(struct jk_registry_watch *watch, const struct registry_state *state)
{
	char problem[REGISTRY_PROBLEM_BYTES];

	if (state->realm != JK_REALM_NONE && state->realm != watch->realm) {
		(void)jk_text_format(problem, sizeof problem,
			"WRONG_REALM: the database serves realm %s, this service is set to %s",
			jk_words_name(&jk_realms, (int)state->realm), jk_words_name(&jk_realms, (int)watch->realm));
		set_problem(watch, problem, true);
		return false;
	}
	if (state->schema < REGISTRY_SCHEMA_NEEDED || state->realm == JK_REALM_NONE) {
		(void)jk_text_format(problem, sizeof problem,
			"SCHEMA_OLD: the database's schema is at migration %d, this build needs %d%s: run jukwaa admin migrate",
			(int)state->schema, REGISTRY_SCHEMA_NEEDED, state->realm == JK_REALM_NONE ? " and a realm" : "");
		set_problem(watch, problem, false);
		return false;
	}
	return true;
}

static bool was_closed(const struct jk_registry *before, const struct jk_closed_pact *pact)
{
	for (size_t i = 0; before != NULL && i < before->closed_count; i++)
		if (before->closed[i].task_force == pact->task_force && strcmp(before->closed[i].code, pact->code) == 0 &&
			strcmp(before->closed[i].reason, pact->reason) == 0)
			return true;
	return false;
}

/* Once, when it closes; what is closed is in the snapshot, for whoever asks. */
static void log_closed(const struct jk_registry *before, const struct jk_registry *now)
{
	for (size_t i = 0; i < now->closed_count; i++)
		if (!was_closed(before, &now->closed[i]))
			jk_log(JK_LOG_WARN, now->closed[i].task_force ? "task_force_closed" : "agreement_closed",
				"code=%s reason=%s", now->closed[i].code, now->closed[i].reason);
}

static void poll_once(struct jk_registry_watch *watch)
{
	char problem[REGISTRY_PROBLEM_BYTES];
	struct registry_state state;
	struct jk_registry *registry;
	int64_t began_ms = jk_time_mono_ms();

	if (registry_load_state(watch->db, &state, problem) != JK_OK) {
		set_problem(watch, problem, false);
		return;
	}
	if (!check_state(watch, &state))
		return;
	if (state.version != watch->version) {
		/* RETRY without a problem: the registry moved while it was read; the next turn reads it again. */
		if (registry_load(watch->db, &watch->known, &registry, problem) != JK_OK) {
			set_problem(watch, problem, false);
			return;
		}
		log_closed(watch->current, registry);
		jk_log(JK_LOG_DEBUG, "registry_loaded", "version=%lld terms=%zu closed=%zu bytes=%zu load_ms=%lld",
			(long long)registry->version, registry->term_count, registry->closed_count, registry_bytes(registry),
			(long long)(jk_time_mono_ms() - began_ms));
		registry_watch_swap(watch, &registry);
	}
	set_problem(watch, "", false);
}

static struct timespec from_now(int wait_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += wait_ms * INT64_C(1000000);
	until.tv_sec += until.tv_nsec / 1000000000L;
	until.tv_nsec %= 1000000000L;
	return until;
}

/* False when it is time to end. */
static bool sleep_a_turn(struct jk_registry_watch *watch)
{
	const struct timespec until = from_now(POLL_INTERVAL_MS);
	bool stopping;

	pthread_mutex_lock(&watch->lock);
	while (!watch->stopping && pthread_cond_timedwait(&watch->wake, &watch->lock, &until) != ETIMEDOUT)
		;
	stopping = watch->stopping;
	pthread_mutex_unlock(&watch->lock);
	return !stopping;
}

static void *run_watch(void *arg)
{
	struct jk_registry_watch *watch = arg;

	do
		poll_once(watch);
	while (sleep_a_turn(watch));
	return NULL;
}

/* For the first snapshot, or for the certainty that there will be none. */
static void await_first(struct jk_registry_watch *watch)
{
	const struct timespec until = from_now(FIRST_SNAPSHOT_MS);

	pthread_mutex_lock(&watch->lock);
	while (watch->version == 0 && !watch->fatal && pthread_cond_timedwait(&watch->wake, &watch->lock, &until) != ETIMEDOUT)
		;
	pthread_mutex_unlock(&watch->lock);
}

static struct jk_registry_watch *watch_new(void)
{
	struct jk_registry_watch *watch = calloc(1, sizeof *watch);
	pthread_condattr_t attributes;

	if (watch == NULL)
		return NULL;
	pthread_mutex_init(&watch->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&watch->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	return watch;
}

static void watch_free(struct jk_registry_watch *watch)
{
	registry_drop(&watch->current);
	registry_known_done(&watch->known);
	jk_db_close(&watch->db);
	pthread_cond_destroy(&watch->wake);
	pthread_mutex_destroy(&watch->lock);
	free(watch);
}

enum jk_status jk_registry_watch_open(
	const char *conninfo, const char *service, enum jk_realm realm, struct jk_registry_watch **ret_watch)
{
	struct jk_registry_watch *watch = watch_new();

	*ret_watch = NULL;
	if (watch == NULL)
		return JK_BROKEN;
	watch->realm = realm;
	set_problem(watch, "REGISTRY_NOT_READ: the registry has not been read yet", false);
	if (jk_db_open(conninfo, service, &watch->db) != JK_OK || pthread_create(&watch->thread, NULL, run_watch, watch) != 0) {
		watch_free(watch);
		return JK_BROKEN;
	}
	await_first(watch);
	*ret_watch = watch;
	return JK_OK;
}

enum jk_status registry_watch_open_fixed(struct jk_registry **registry_p, struct jk_registry_watch **ret_watch)
{
	*ret_watch = watch_new();
	if (*ret_watch == NULL)
		return JK_BROKEN;
	registry_watch_swap(*ret_watch, registry_p);
	return JK_OK;
}

void jk_registry_watch_close(struct jk_registry_watch **watch_p)
{
	struct jk_registry_watch *watch = *watch_p;

	*watch_p = NULL;
	if (watch == NULL)
		return;
	if (watch->db != NULL) {
		pthread_mutex_lock(&watch->lock);
		watch->stopping = true;
		pthread_cond_broadcast(&watch->wake);
		pthread_mutex_unlock(&watch->lock);
		jk_db_interrupt(watch->db);
		pthread_join(watch->thread, NULL);
	}
	watch_free(watch);
}

const struct jk_registry *jk_registry_acquire(struct jk_registry_watch *watch)
{
	const struct jk_registry *registry;

	pthread_mutex_lock(&watch->lock);
	registry = watch->current;
	if (registry != NULL)
		atomic_fetch_add(&((struct registry_index *)registry->index)->holders, 1);
	pthread_mutex_unlock(&watch->lock);
	return registry;
}

void jk_registry_release(struct jk_registry_watch *watch, const struct jk_registry **registry_p)
{
	(void)watch;
	registry_drop(registry_p);
}

int64_t jk_registry_version(struct jk_registry_watch *watch)
{
	return watch->version;
}

void jk_registry_watch_problem(struct jk_registry_watch *watch, char ret[256], bool *ret_fatal)
{
	pthread_mutex_lock(&watch->lock);
	memcpy(ret, watch->problem, sizeof watch->problem);
	*ret_fatal = watch->fatal;
	pthread_mutex_unlock(&watch->lock);
}

/* A key that tries without end fills the log with a line a second, and hides no other. */
static bool is_time_to_tell(struct jk_registry_watch *watch, const uint8_t curve_public[32])
{
	int64_t now_ms = jk_time_mono_ms(), *told_at_ms = &watch->told_at_ms[curve_public[0] % DOOR_SLOTS];
	bool is_time;

	pthread_mutex_lock(&watch->lock);
	is_time = *told_at_ms == 0 || now_ms - *told_at_ms >= DOOR_LOG_MS;
	if (is_time)
		*told_at_ms = now_ms;
	pthread_mutex_unlock(&watch->lock);
	return is_time;
}

/* What a revoked key may learn is that it is refused, like any other; the operator learns which one it was. */
static enum jk_zap_verdict judge_at_door(
	struct jk_registry_watch *watch, const struct jk_registry *registry, const uint8_t curve_public[32])
{
	const struct jk_registry_key *key = jk_registry_find_key(registry, curve_public);
	enum jk_key_standing standing;
	char fingerprint[JK_FINGERPRINT_BYTES];

	if (key == NULL)
		return JK_ZAP_REFUSE;
	standing = jk_registry_key_standing(key, jk_time_now_us());
	if (standing == JK_STANDING_GOOD)
		return JK_ZAP_ALLOW;
	if (is_time_to_tell(watch, curve_public)) {
		jk_key_fingerprint(fingerprint, curve_public);
		jk_log(JK_LOG_WARN, "key_at_door", "key=%s agency=%s standing=%s", fingerprint, key->agency->code,
			jk_registry_standing_name(standing));
	}
	return JK_ZAP_REVOKED;
}

enum jk_zap_verdict jk_registry_zap(void *arg, const uint8_t curve_public[32], const char *address)
{
	struct jk_registry_watch *watch = arg;
	const struct jk_registry *registry = jk_registry_acquire(watch);
	enum jk_zap_verdict verdict = JK_ZAP_LATER;

	(void)address;
	if (registry != NULL) {
		verdict = judge_at_door(watch, registry, curve_public);
	}
	jk_registry_release(watch, &registry);
	return verdict;
}
