/* registry_duties.c: rows of who has to answer for what into sorted arrays. */
#include <stdlib.h>
#include <string.h>

#include "registry/registry.h"
#include "registry/registry_duties.h"

static const char *const role_names[JK_ESCALATION_ROLES] = {"UNSPECIFIED", "COUNTY_COMMISSIONER", "REGIONAL", "NATIONAL"};
const struct jk_words jk_escalation_roles = {role_names, JK_ESCALATION_ROLES};

static int compare_ids(int32_t a, int32_t b)
{
	return (a > b) - (a < b);
}

static int compare_rules(const void *a, const void *b)
{
	const struct jk_duty_rule *left = a, *right = b;
	int order = compare_ids(left->rank, right->rank);

	return order != 0 ? order : compare_ids(left->rule_id, right->rule_id);
}

static int compare_duties(const void *a, const void *b)
{
	const struct jk_duty_desk *left = a, *right = b;
	int order = strcmp(left->county, right->county);

	if (order == 0)
		order = strcmp(left->discipline, right->discipline);
	if (order == 0)
		order = compare_ids(left->rank, right->rank);
	return order != 0 ? order : compare_ids(left->desk->desk_id, right->desk->desk_id);
}

static int compare_escalations(const void *a, const void *b)
{
	return compare_ids(((const struct jk_escalation *)a)->escalation_id, ((const struct jk_escalation *)b)->escalation_id);
}

static int compare_desks(const void *a, const void *b)
{
	return compare_ids(((const struct jk_desk *)a)->desk_id, ((const struct jk_desk *)b)->desk_id);
}

static const struct jk_desk *find_desk(
	const struct registry_duty_desks *desks, int32_t desk_id, const char *what, struct jk_refusal *refusal)
{
	const struct jk_desk wanted = {.desk_id = desk_id};
	const struct jk_desk *found =
		desks->count == 0 ? NULL : bsearch(&wanted, desks->items, desks->count, sizeof wanted, compare_desks);

	if (found == NULL)
		(void)jk_refuse(refusal, JK_CODE_UNAVAILABLE, what, "desk %d is not there", (int)desk_id);
	return found;
}

bool registry_duties_build(const struct registry_rows *rows, const struct registry_duty_desks *desks, struct jk_arena *arena,
	struct registry_duties *ret, struct jk_refusal *ret_refusal)
{
	/* One more than there are, so that an empty list has an address too. */
	struct jk_duty_rule *rules = jk_arena_alloc(arena, (rows->duty_rule_count + 1) * sizeof *rules);
	struct jk_duty_desk *duties = jk_arena_alloc(arena, (rows->duty_desk_count + 1) * sizeof *duties);
	struct jk_escalation *escalations = jk_arena_alloc(arena, (rows->escalation_count + 1) * sizeof *escalations);

	if (rules == NULL || duties == NULL || escalations == NULL)
		return false;
	for (size_t i = 0; i < rows->duty_rule_count; i++)
		rules[i] = rows->duty_rules[i];
	for (size_t i = 0; i < rows->duty_desk_count; i++) {
		duties[i] = rows->duty_desks[i].duty;
		duties[i].desk = find_desk(desks, rows->duty_desks[i].desk_id, "duty_desk", ret_refusal);
		if (duties[i].desk == NULL)
			return false;
	}
	for (size_t i = 0; i < rows->escalation_count; i++) {
		escalations[i] = rows->escalations[i].escalation;
		escalations[i].desk = find_desk(desks, rows->escalations[i].desk_id, "escalation", ret_refusal);
		if (escalations[i].desk == NULL)
			return false;
	}
	qsort(rules, rows->duty_rule_count, sizeof *rules, compare_rules);
	qsort(duties, rows->duty_desk_count, sizeof *duties, compare_duties);
	qsort(escalations, rows->escalation_count, sizeof *escalations, compare_escalations);
	*ret = (struct registry_duties){.rules = rules, .desks = duties, .escalations = escalations};
	return true;
}
