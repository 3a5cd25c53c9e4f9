/* offer_show.h: an offer (Offered, duty.proto) for people. */
#pragma once

#include "services/cli/cli.h"
#include "services/cli/json_slice.h"

/* Prints one, of our own library's JSON; what is no offer prints nothing. */
void offer_print(const struct cli *cli, struct json_slice json);
