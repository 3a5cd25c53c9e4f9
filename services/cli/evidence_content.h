/* evidence_content.h: does a stored body add up to what its event is committed to? Not here: the chain. */
#pragma once

#include "services/cli/evidence_store_pg.h"

struct evidence_content;
struct evidence_content *evidence_content_new(void);
void evidence_content_free(struct evidence_content **content_p);
/* NULL: it does; else what is wrong, in words. */
const char *evidence_content_judge(struct evidence_content *content, const struct evidence_event *event);
