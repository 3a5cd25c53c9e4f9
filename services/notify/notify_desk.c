#include "notify_desk.h"

bool notify_desk_may_have(
	const struct jk_registry *registry, int32_t desk_id, const char *agency, const struct jk_label *label, int64_t now_us)
{
	enum { TOLD = 1 << JK_GROUP_IDENTITY | 1 << JK_GROUP_CLASSIFICATION | 1 << JK_GROUP_PLACE };
	const struct jk_desk *desk = jk_registry_find_desk(registry, desk_id);
	const struct jk_agency *owner = jk_registry_find_agency(registry, agency);
	if (!desk || !owner)
		return false;
	struct jk_label owned = *label;
	jk_registry_label_owner(&owned, owner);
	struct jk_decision decision = jk_registry_decide_desk(registry, desk, JK_USE_NOTIFY, &owned, now_us);
	return decision.effect != JK_DENY && !(decision.withheld & TOLD);
}
