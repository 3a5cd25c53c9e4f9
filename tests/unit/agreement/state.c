/* What is in force after a row of acts: every state, every act, every agency, every version; then what one altered byte does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "agreement/agreement.h"
#include "base/jk_text.h"

enum { VERSIONS = 3, ACTS_MAX = 16, KPS = 0, KRCS, KWS, NMS, EVIL, OPS, AGENCIES };
static const char *const agencies[AGENCIES] = {"KPS", "KRCS", "KWS", "NMS", "EVIL", "OPS"};
static const char act_letters[] = "-PASRLW";
static const char word_letters[] = "-PISEWXC";

static struct jk_key keys[AGENCIES];
static struct jk_arena *arena;
static int revoked; /* an agency whose key may not sign; -1: none */
static bool cached;
static int verified_before;

/* A pact that can be changed. */
struct world {
	struct jk_pact pact;
	char documents[VERSIONS][1024];
	char statements[ACTS_MAX][JK_STATEMENT_MAX_BYTES];
	struct jk_pact_version_row versions[VERSIONS];
	struct jk_act_row acts[ACTS_MAX];
};
static struct world world;
static struct jk_task_force north, *north_now;
static const char *const north_members[] = {"KPS", "KWS", "NMS"};

static bool may_sign(void *arg, const uint8_t sign_key[JK_KEY_BYTES], int32_t agency_id, bool operator_act, int64_t at_us)
{
	assert_ptr_equal(arg, &world);
	assert_true(at_us > 0);
	for (int i = 0; i < AGENCIES; i++)
		if (memcmp(keys[i].sign_public, sign_key, JK_KEY_BYTES) == 0)
			return i + 1 == agency_id && i != revoked && (!operator_act || i == OPS);
	return false;
}

static bool is_known(void *arg, const uint8_t digest[JK_SHA256_BYTES])
{
	(void)arg;
	(void)digest;
	verified_before += cached;
	return cached;
}

static void decide(struct jk_pact_state *ret, struct jk_refusal *ret_refusal)
{
	const struct jk_signers signers = {.may_sign = may_sign, .is_known = is_known, .arg = &world};
	world.pact.task_force = north_now;
	jk_pact_decide(&world.pact, &signers, arena, ret, ret_refusal);
}

/* kind and the parties, for three versions that differ. */
static void make_world(enum jk_pact_kind kind, const char *words)
{
	memset(&world, 0, sizeof world);
	for (int i = 0; i < VERSIONS; i++) {
		struct jk_refusal refusal;
		const char *document;
		char json[1024];
		/* A third version of a task force has another lead and one member less. */
		const char *other = i < 2 ? "\"lead\":\"KPS\",\"members\":[\"KPS\",\"KWS\",\"NMS\"]"
					  : "\"lead\":\"KWS\",\"members\":[\"KWS\",\"NMS\"]";
		if (kind == JK_PACT_AGREEMENT)
			assert_true(jk_text_format(json, sizeof json,
				"{\"agreement\":\"X\",\"version\":%d,%s,\"counties\":[\"00%d\"],\"all_categories\":true,"
				"\"tlp_ceiling\":\"AMBER\",\"profile\":\"FULL@1\",\"actions\":[\"VIEW\"],\"purpose\":\"p\","
				"\"legal_basis\":\"l\",\"start\":\"2026-01-01T00:00:00Z\"}",
				i + 1, words, i + 1));
		else
			assert_true(jk_text_format(json, sizeof json,
				"{\"task_force\":\"NORTH\",\"version\":%d,%s,\"counties\":[\"*\"],\"purpose\":\"p\","
				"\"legal_basis\":\"l\",\"start\":\"2026-01-01T00:00:00Z\",\"end\":\"2026-0%d-01T00:00:00Z\"}",
				i + 1, other, i + 2));
		jk_arena_reset(arena);
		if (!jk_pact_canonical(kind, json, strlen(json), arena, &document, &refusal))
			fail_msg("%s: %s", refusal.field, refusal.reason);
		assert_true(jk_text_copy(world.documents[i], sizeof world.documents[i], document));
		world.versions[i] =
			(struct jk_pact_version_row){.pact_id = 1, .version = (uint32_t)i + 1, .document = world.documents[i]};
	}
	world.pact = (struct jk_pact){.pact_id = 1,
		.kind = kind,
		.code = kind == JK_PACT_AGREEMENT ? "X" : "NORTH",
		.versions = world.versions,
		.version_count = VERSIONS,
		.acts = world.acts};
}

static void sign_last(int agency)
{
	struct jk_act_row *act = &world.acts[world.pact.act_count - 1];
	jk_sign(act->signature, &keys[agency], act->statement, strlen(act->statement));
	memcpy(act->sign_key, keys[agency].sign_public, JK_KEY_BYTES);
}

static void add_act(int agency, enum jk_act kind, uint32_t version)
{
	size_t at = world.pact.act_count++;
	struct jk_act_row *act = &world.acts[at];
	uint8_t digest[JK_SHA256_BYTES];

	assert_true(at < ACTS_MAX);
	*act = (struct jk_act_row){.pact_id = 1,
		.version = version,
		.act_no = (int)at + 1,
		.act = kind,
		.agency_id = agency + 1,
		.at_us = 1000000 + (int64_t)at,
		.statement = world.statements[at]};
	assert_true(jk_text_copy(act->agency, sizeof act->agency, agencies[agency]));
	jk_pact_digest(digest, world.documents[version - 1]);
	assert_true(jk_act_write(
		world.statements[at], world.pact.kind, world.pact.code, act, digest, at > 0 ? world.statements[at - 1] : NULL));
	sign_last(agency);
}

static void drop_act(void)
{
	world.pact.act_count--;
}

/* "KPS:P1 KRCS:A1" */
static void play(const char *script)
{
	char word[16];
	world.pact.act_count = 0;
	while (sscanf(script, "%15s", word) == 1) {
		char *mark = strchr(word, ':');
		*mark = '\0';
		int agency = 0;
		while (strcmp(agencies[agency], word) != 0)
			agency++;
		add_act(agency, (enum jk_act)(strchr(act_letters, mark[1]) - act_letters), (uint32_t)(mark[2] - '0'));
		script = strchr(script, ' ') ? strchr(script, ' ') + 1 : "";
	}
}

struct scene {
	const char *script;
	int in_force;        /* version; 0: none */
	const char *words;   /* a letter a version */
	const char *consent; /* who counts */
	const char *may;     /* every act that may follow; all others may not */
};

static bool is_listed(const char *list, const char *word)
{
	size_t size = strlen(word);
	for (const char *at = strstr(list, word); at; at = strstr(at + 1, word))
		if ((at == list || at[-1] == ' ') && (at[size] == ' ' || at[size] == '\0'))
			return true;
	return false;
}

static void check_state(const struct scene *scene, const struct jk_pact_state *state)
{
	char words[VERSIONS + 1] = "", consent[64] = "";

	for (int i = 0; i < VERSIONS; i++)
		words[i] = word_letters[state->words[i]];
	for (size_t i = 0; i < state->consented_count; i++)
		assert_true(jk_text_format(consent + strlen(consent), sizeof consent - strlen(consent), "%s%s", i ? " " : "",
			agencies[state->consented[i] - 1]));
	int in_force = state->in_force < 0 ? 0 : (int)world.versions[state->in_force].version;
	if (in_force != scene->in_force || strcmp(words, scene->words) != 0 || strcmp(consent, scene->consent) != 0)
		fail_msg("after '%s': in force %d, words %s, consented '%s'", scene->script, in_force, words, consent);
	assert_int_equal(state->suspended, strchr(words, 'S') != NULL);
	assert_int_equal(state->ended, strchr(words, 'E') != NULL);
}

/* task force sides: jk_pact_decide cannot know who was lead or member when an act was signed, and takes more. */
static void walk(const struct scene *scenes, size_t count, bool has_task_force_side)
{
	for (size_t i = 0; i < count; i++) {
		struct jk_pact_state state, after;
		struct jk_refusal refusal;
		int allowed = 0, listed = scenes[i].may[0] != '\0';

		play(scenes[i].script);
		jk_arena_reset(arena);
		decide(&state, &refusal);
		if (state.closed)
			fail_msg("after '%s': %s: %s", scenes[i].script, refusal.field, refusal.reason);
		check_state(&scenes[i], &state);
		for (int agency = 0; agency < AGENCIES; agency++)
			for (int act = JK_ACT_PROPOSE; act <= JK_ACT_WITHDRAW; act++)
				for (int version = 1; version <= VERSIONS; version++) {
					char word[16];
					assert_true(jk_text_format(
						word, sizeof word, "%s:%c%d", agencies[agency], act_letters[act], version));
					bool expected = is_listed(scenes[i].may, word);
					bool may = jk_pact_may(&world.pact, &state, (enum jk_act)act, (uint32_t)version,
						agencies[agency], agency == OPS, arena, &refusal);
					if (may != expected)
						fail_msg("after '%s': %s %s: %s %s", scenes[i].script, word,
							may ? "taken" : "refused", refusal.field, refusal.reason);
					assert_true(may || (refusal.code != JK_CODE_NONE && refusal.reason[0]));
					allowed += may;
					add_act(agency, (enum jk_act)act, (uint32_t)version);
					decide(&after, &refusal);
					if (after.closed == may && !(has_task_force_side && !may))
						fail_msg("after '%s': %s: closed %d: %s", scenes[i].script, word, after.closed,
							refusal.reason);
					assert_true(!after.closed || (after.in_force == -1 && after.consented_count == 0));
					drop_act();
				}
		for (const char *c = scenes[i].may; *c; c++)
			listed += *c == ' ';
		assert_int_equal(allowed, listed);
	}
}
#define WALK(scenes, side) walk(scenes, sizeof(scenes) / sizeof *(scenes), side)

static void two_agencies(void **state)
{
	(void)state;
#define BEGUN "KPS:P1 KRCS:A1"
	static const struct scene scenes[] = {
		{"", 0, "---", "", "KPS:P1 KRCS:P1"},
		{"KPS:P1", 0, "P--", "", "KPS:P2 KRCS:P2 KRCS:A1 KPS:W1"},
		{"KRCS:P1", 0, "P--", "", "KPS:P2 KRCS:P2 KPS:A1 KRCS:W1"},
		{"KPS:P1 KPS:W1", 0, "W--", "", "KPS:P2 KRCS:P2"},
		{"KPS:P1 KRCS:P2", 0, "WP-", "", "KPS:P3 KRCS:P3 KPS:A2 KRCS:W2"},
		{BEGUN, 1, "I--", "KPS KRCS", "KPS:P2 KRCS:P2 KPS:S1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1", 0, "S--", "KRCS", "KPS:P2 KRCS:P2 KRCS:S1 KPS:R1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1 KRCS:S1", 0, "S--", "", "KPS:P2 KRCS:P2 KRCS:R1 KPS:R1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1 KRCS:S1 KPS:R1", 0, "S--", "KPS", "KPS:P2 KRCS:P2 KRCS:R1 KPS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1 KPS:R1", 1, "I--", "KPS KRCS", "KPS:P2 KRCS:P2 KPS:S1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KRCS:P2", 1, "IP-", "KPS KRCS", "KPS:P3 KRCS:P3 KPS:A2 KRCS:W2 KPS:S1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KRCS:P2 KPS:A2", 2, "XI-", "KPS KRCS", "KPS:P3 KRCS:P3 KPS:S2 KRCS:S2 KPS:W2 KRCS:W2"},
		{BEGUN " KRCS:P2 KRCS:W2", 1, "IW-", "KPS KRCS", "KPS:P3 KRCS:P3 KPS:S1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KRCS:P2 KPS:P3", 1, "IWP", "KPS KRCS", "KRCS:A3 KPS:W3 KPS:S1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1 KRCS:P2", 0, "SP-", "KRCS", "KPS:P3 KRCS:P3 KPS:A2 KRCS:W2 KPS:R1 KRCS:S1 KPS:W1 KRCS:W1"},
		{BEGUN " KPS:S1 KRCS:P2 KPS:A2", 0, "XS-", "KRCS", "KPS:P3 KRCS:P3 KPS:R2 KRCS:S2 KPS:W2 KRCS:W2"},
		{BEGUN " KRCS:W1", 0, "E--", "KPS KRCS", ""},
		{BEGUN " KPS:S1 KRCS:W1", 0, "E--", "KRCS", ""},
		{BEGUN " KRCS:P2 KPS:W1", 0, "EW-", "KPS KRCS", ""},
	};
	make_world(JK_PACT_AGREEMENT, "\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KPS\",\"recipient\":\"KRCS\"");
	WALK(scenes, false);
}

static void by_law(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"", 0, "---", "", "OPS:P1"},
		{"OPS:P1", 1, "I--", "OPS", "OPS:P2 OPS:S1 OPS:W1"},
		{"OPS:P1 OPS:S1", 0, "S--", "", "OPS:P2 OPS:R1 OPS:W1"},
		{"OPS:P1 OPS:P2", 2, "XI-", "OPS", "OPS:P3 OPS:S2 OPS:W2"},
		{"OPS:P1 OPS:S1 OPS:P2", 0, "XS-", "", "OPS:P3 OPS:R2 OPS:W2"},
		{"OPS:P1 OPS:W1", 0, "E--", "OPS", ""},
	};
	make_world(JK_PACT_AGREEMENT, "\"kind\":\"STATUTORY\",\"provider\":\"*\",\"recipient\":\"KRCS\"");
	WALK(scenes, false);
}

static void a_task_force(void **state)
{
	(void)state;
#define JOINED "KPS:P1 KWS:A1"
#define EXTENDED JOINED " KPS:P2 KWS:A2 NMS:A2"
	static const struct scene scenes[] = {
		{"", 0, "---", "", "KPS:P1"},
		{"KPS:P1", 1, "I--", "KPS", "KPS:P2 KWS:A1 NMS:A1 KPS:S1 KPS:W1"},
		{"KPS:P1 KPS:S1", 0, "S--", "", "KPS:P2 KWS:A1 NMS:A1 KPS:R1 KPS:W1"},
		{JOINED, 1, "I--", "KPS KWS", "KPS:P2 NMS:A1 KPS:S1 KWS:S1 KPS:W1 KWS:L1"},
		{JOINED " KWS:S1", 1, "I--", "KPS", "KPS:P2 NMS:A1 KPS:S1 KWS:R1 KPS:W1 KWS:L1"},
		{JOINED " KWS:L1", 1, "I--", "KPS", "KPS:P2 NMS:A1 KPS:S1 KPS:W1"},
		{JOINED " KPS:P2", 1, "IP-", "KPS KWS", "KPS:P3 KWS:A2 NMS:A2 NMS:A1 KPS:W2 KPS:S1 KWS:S1 KPS:W1 KWS:L1"},
		{JOINED " KPS:P2 KWS:A2", 1, "IP-", "KPS KWS", "KPS:P3 NMS:A2 NMS:A1 KPS:W2 KPS:S1 KWS:S1 KPS:W1 KWS:L1"},
		{JOINED " KPS:P2 KWS:L1", 1, "IP-", "KPS", "KPS:P3 NMS:A2 NMS:A1 KPS:W2 KPS:S1 KPS:W1"},
		{JOINED " KPS:P2 KWS:A2 KWS:L1 NMS:A2", 1, "IP-", "KPS", "KPS:P3 NMS:A1 KPS:W2 KPS:S1 KPS:W1"},
		{EXTENDED, 2, "XI-", "KPS KWS NMS", "KPS:P3 KPS:S2 KWS:S2 NMS:S2 KPS:W2 KWS:L2 NMS:L2"},
		{EXTENDED " KWS:L2 KPS:P3", 2, "XIP", "KPS NMS", "KWS:A3 NMS:A3 KPS:W3 KPS:S2 NMS:S2 KPS:W2 NMS:L2"},
		{EXTENDED " KPS:P3", 2, "XIP", "KPS KWS NMS", "KWS:A3 NMS:A3 KPS:W3 KPS:S2 KWS:S2 NMS:S2 KPS:W2 KWS:L2 NMS:L2"},
		{EXTENDED " KPS:P3 KWS:A3 NMS:A3", 3, "XXI", "KWS NMS", "KWS:S3 NMS:S3 KWS:W3 NMS:L3"},
		{EXTENDED " KPS:S2 KPS:P3 KWS:A3 NMS:A3", 3, "XXI", "KWS NMS", "KWS:S3 NMS:S3 KWS:W3 NMS:L3"},
		{"KPS:P1 KPS:W1", 0, "E--", "KPS", ""},
	};
	make_world(JK_PACT_TASK_FORCE, "");
	WALK(scenes, false);
}

static void an_agency_gives_to_a_task_force(void **state)
{
	(void)state;
	static const struct scene scenes[] = {
		{"", 0, "---", "", "KRCS:P1 KPS:P1"},
		{"KRCS:P1", 0, "P--", "", "KRCS:P2 KPS:P2 KPS:A1 KRCS:W1"},
		{"KRCS:P1 KPS:A1", 1, "I--", "KPS KRCS", "KRCS:P2 KPS:P2 KRCS:S1 KPS:S1 KRCS:W1 KPS:W1"},
		{"KRCS:P1 KPS:A1 KPS:S1", 0, "S--", "KRCS", "KRCS:P2 KPS:P2 KRCS:S1 KPS:R1 KRCS:W1 KPS:W1"},
		{"KRCS:P1 KPS:A1 KRCS:W1", 0, "E--", "KPS KRCS", ""},
	};
	static const struct scene other_lead[] = {
		{"KRCS:P1 KPS:A1", 0, "P--", "KPS KRCS", "KRCS:P2 KWS:P2 KWS:A1 KRCS:S1 KWS:S1 KRCS:W1 KWS:W1"},
		{"KRCS:P1 KPS:A1 KPS:S1", 0, "P--", "KRCS", "KRCS:P2 KWS:P2 KWS:A1 KRCS:S1 KWS:S1 KRCS:W1 KWS:W1"},
		{"KRCS:P1 KPS:A1 KWS:A1", 1, "I--", "KPS KRCS KWS", "KRCS:P2 KWS:P2 KRCS:S1 KWS:S1 KRCS:W1 KWS:W1"},
	};
	static const struct scene no_task_force[] = {
		{"KRCS:P1 KPS:A1", 0, "P--", "KRCS", "KRCS:P2 KRCS:S1 KRCS:W1"},
	};
	make_world(JK_PACT_AGREEMENT, "\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KRCS\",\"recipient\":\"taskforce:NORTH\"");
	/* standings are in the order of the acts */
	struct scene ordered[sizeof scenes / sizeof *scenes];
	memcpy(ordered, scenes, sizeof scenes);
	ordered[2].consent = "KRCS KPS";
	ordered[4].consent = "KRCS KPS";
	WALK(ordered, true);
	(void)jk_text_copy(north.lead, sizeof north.lead, "KWS");
	struct scene led[sizeof other_lead / sizeof *other_lead];
	memcpy(led, other_lead, sizeof other_lead);
	led[0].consent = "KRCS KPS";
	led[2].consent = "KRCS KPS KWS";
	WALK(led, true);
	(void)jk_text_copy(north.lead, sizeof north.lead, "KPS");
	north_now = NULL;
	WALK(no_task_force, true);
	north_now = &north;
}

static void a_task_force_gives(void **state)
{
	(void)state;
	static const struct scene to_an_agency[] = {
		{"", 0, "---", "", "KRCS:P1 KPS:P1"},
		{"KPS:P1", 0, "P--", "", "KPS:P2 KRCS:P2 KRCS:A1 KWS:A1 NMS:A1 KPS:W1"},
		{"KPS:P1 KWS:A1", 0, "P--", "", "KPS:P2 KRCS:P2 KRCS:A1 NMS:A1 KPS:W1"},
		{"KPS:P1 KRCS:A1", 1, "I--", "KPS KRCS", "KPS:P2 KRCS:P2 KWS:A1 NMS:A1 KPS:S1 KRCS:S1 KRCS:W1 KPS:L1"},
		{"KPS:P1 KRCS:A1 KPS:S1", 0, "P--", "KRCS", "KPS:P2 KRCS:P2 KWS:A1 NMS:A1 KPS:R1 KRCS:S1 KRCS:W1 KPS:L1"},
		{"KPS:P1 KRCS:A1 KWS:A1 KPS:L1", 1, "I--", "KRCS KWS", "KPS:P2 KRCS:P2 NMS:A1 KWS:S1 KRCS:S1 KRCS:W1 KWS:L1"},
	};
	static const struct scene to_itself[] = {
		{"", 0, "---", "", "KPS:P1"},
		{"KPS:P1", 0, "P--", "", "KPS:P2 KWS:A1 NMS:A1 KPS:W1"},
		{"KPS:P1 KWS:A1", 1, "I--", "KPS KWS", "KPS:P2 NMS:A1 KPS:S1 KWS:S1 KPS:W1 KWS:L1"},
		{"KPS:P1 KWS:A1 KWS:S1", 0, "P--", "KPS", "KPS:P2 NMS:A1 KPS:S1 KWS:R1 KPS:W1 KWS:L1"},
		{"KPS:P1 KWS:A1 NMS:A1 KWS:L1", 1, "I--", "KPS NMS", "KPS:P2 KPS:S1 NMS:S1 KPS:W1 NMS:L1"},
	};
	static const struct scene of_its_lead[] = {
		{"KPS:P1", 0, "P--", "", "KPS:P2 KWS:A1 NMS:A1 KPS:W1"},
		{"KPS:P1 KWS:A1", 1, "I--", "KPS KWS", "KPS:P2 NMS:A1 KPS:S1 KWS:S1 KPS:W1 KWS:L1"},
	};
	make_world(JK_PACT_AGREEMENT, "\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"taskforce:NORTH\",\"recipient\":\"KRCS\"");
	WALK(to_an_agency, true);
	make_world(JK_PACT_AGREEMENT,
		"\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"taskforce:NORTH\",\"recipient\":\"taskforce:NORTH\"");
	WALK(to_itself, true);
	make_world(JK_PACT_AGREEMENT, "\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KPS\",\"recipient\":\"taskforce:NORTH\"");
	WALK(of_its_lead, true);
}

static void assert_closed(const char *what)
{
	struct jk_pact_state state;
	struct jk_refusal refusal;

	jk_arena_reset(arena);
	decide(&state, &refusal);
	if (!state.closed || state.in_force != -1 || state.consented_count != 0 || state.holds != -1 ||
		state.words[0] != JK_PACT_CLOSED)
		fail_msg("not closed: %s", what);
	assert_true(refusal.code != JK_CODE_NONE && refusal.field[0] && refusal.reason[0]);
	assert_false(jk_pact_may(&world.pact, &state, JK_ACT_SUSPEND, 1, "KPS", false, arena, &refusal));
}

static void begin(void)
{
	struct jk_pact_state state;
	struct jk_refusal refusal;

	make_world(JK_PACT_AGREEMENT, "\"kind\":\"MUTUAL_CONSENT\",\"provider\":\"KPS\",\"recipient\":\"KRCS\"");
	play(BEGUN);
	jk_arena_reset(arena);
	decide(&state, &refusal);
	assert_int_equal(state.in_force, 0);
}

static void any_altered_bit_closes(void **state)
{
	(void)state;
	begin();
	struct span {
		const char *what;
		void *data;
		size_t size;
	} spans[] = {
		{"document", world.documents[0], strlen(world.documents[0])},
		{"first statement", world.statements[0], strlen(world.statements[0])},
		{"last statement", world.statements[1], strlen(world.statements[1])},
		{"first signature", world.acts[0].signature, JK_SIGNATURE_BYTES},
		{"last signature", world.acts[1].signature, JK_SIGNATURE_BYTES},
		{"first key", world.acts[0].sign_key, JK_KEY_BYTES},
		{"last key", world.acts[1].sign_key, JK_KEY_BYTES},
		{"act_no", &world.acts[1].act_no, sizeof world.acts[1].act_no},
		{"version", &world.acts[1].version, sizeof world.acts[1].version},
		{"act", &world.acts[1].act, sizeof world.acts[1].act},
		{"agency_id", &world.acts[1].agency_id, sizeof world.acts[1].agency_id},
		{"agency", world.acts[1].agency, strlen(world.acts[1].agency)},
		{"time", &world.acts[1].at_us, 6},
	};
	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++)
		for (size_t at = 0; at < spans[i].size; at++)
			for (int bit = 0; bit < 8; bit++) {
				((uint8_t *)spans[i].data)[at] ^= (uint8_t)(1 << bit);
				assert_closed(spans[i].what);
				((uint8_t *)spans[i].data)[at] ^= (uint8_t)(1 << bit);
			}
	begin();
}

static void what_a_hostile_party_might_insert(void **state)
{
	(void)state;
	begin();
	world.acts[1] = world.acts[0]; /* an act twice, an act missing */
	assert_closed("repeated");
	begin();
	world.pact.acts = world.acts + 1;
	world.pact.act_count = 1;
	assert_closed("first act missing");

	/* An old acceptance for a new version. */
	begin();
	play(BEGUN " KRCS:P2");
	memcpy(&world.acts[3], &world.acts[1], sizeof world.acts[1]);
	world.acts[3].act_no = 4;
	world.pact.act_count = 4;
	assert_closed("replayed acceptance");
	world.acts[3].version = 2;
	assert_closed("replayed acceptance of another version");

	/* A widening signed by one side in the other's name. */
	begin();
	play(BEGUN " KRCS:P2 KPS:A2");
	sign_last(KRCS);
	assert_closed("the other's consent under one's own key");
	world.acts[3].agency_id = KRCS + 1;
	assert_closed("with one's own agency");
	play(BEGUN " EVIL:P2");
	assert_closed("a stranger");

	/* The same acts for another pact, or for a document of the same number. */
	begin();
	world.pact.code = "Y";
	assert_closed("another code");
	begin();
	world.pact.kind = JK_PACT_TASK_FORCE;
	assert_closed("another kind");
	begin();
	world.versions[0].document = world.documents[1];
	assert_closed("a wider document under the old number");

	/* Other parties under an old code. */
	begin();
	char *party = strstr(world.documents[1], "\"KRCS\"");
	memcpy(party, "\"EVIL\"", 6);
	play(BEGUN " KPS:P2");
	assert_closed("other parties");

	/* Documents that are good in themselves, under a number or a code that is not theirs; signed by a party. */
	begin();
	world.pact.code = "Y";
	play("KPS:P1");
	assert_closed("a document of another code");
	begin();
	(void)jk_text_copy(world.documents[1], sizeof world.documents[1], world.documents[2]);
	play(BEGUN " KPS:P2");
	assert_closed("a document of another version");

	begin();
	revoked = KRCS;
	assert_closed("a key that may not sign");
	revoked = -1;
}

static void what_was_verified_is_not_verified_again(void **state)
{
	(void)state;
	struct jk_pact_state decided;
	struct jk_refusal refusal;

	begin();
	cached = true;
	verified_before = 0;
	world.acts[0].signature[0] ^= 1;
	decide(&decided, &refusal);
	assert_int_equal(decided.in_force, 0);
	assert_int_equal(verified_before, 2);
	/* What is known is the signature only; who may sign is asked each time. */
	revoked = KPS;
	assert_closed("revoked");
	revoked = -1;
	cached = false;
	assert_closed("not known any more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_agencies),
		cmocka_unit_test(by_law),
		cmocka_unit_test(a_task_force),
		cmocka_unit_test(an_agency_gives_to_a_task_force),
		cmocka_unit_test(a_task_force_gives),
		cmocka_unit_test(any_altered_bit_closes),
		cmocka_unit_test(what_a_hostile_party_might_insert),
		cmocka_unit_test(what_was_verified_is_not_verified_again),
	};
	if (jk_crypt_init() != JK_OK || !(arena = jk_arena_new(64 * 1024 * 1024)))
		return 1;
	for (int i = 0; i < AGENCIES; i++)
		jk_key_new(&keys[i]);
	revoked = -1;
	(void)jk_text_copy(north.lead, sizeof north.lead, "KPS");
	north.members = north_members;
	north.member_count = 3;
	north_now = &north;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	jk_arena_free(&arena);
	return failed;
}
