#include "notify_desk.h"

static const struct jk_agency *find_agency(const struct jk_registry *registry, int32_t agency_id)
{
	for (size_t i = 0; i < registry->agency_count; i++)
		if (registry->agencies[i].agency_id == agency_id)
			return &registry->agencies[i];
	return NULL;
}

bool notify_desk_may_have(
	const struct jk_registry *registry, int32_t desk_id, const char *agency, const struct jk_label *label, int64_t now_us)
{
	enum { TOLD = 1 << JK_GROUP_IDENTITY | 1 << JK_GROUP_CLASSIFICATION | 1 << JK_GROUP_PLACE };
	const struct jk_desk *desk = jk_registry_find_desk(registry, desk_id);
	const struct jk_agency *home = desk ? find_agency(registry, desk->agency_id) : NULL;
	const struct jk_agency *owner = jk_registry_find_agency(registry, agency);
	if (!home || !owner || desk->revoked || home->revoked)
		return false;
	struct jk_subject subject = {
		.agency_id = desk->agency_id, .desk_id = desk->desk_id, .role = JK_ROLE_DESK, .realm = registry->realm};
	struct jk_label owned = *label;
	owned.owner_agency_id = owner->agency_id;
	struct jk_decision decision = jk_authz_decide(&subject, &owned, desk->allow, desk->allow_count, now_us);
	return decision.effect != JK_DENY && !(decision.withheld & TOLD);
}
