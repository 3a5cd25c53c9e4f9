/* jk_status.c: names of statuses. */
#include "base/jk_status.h"

const char *jk_status_name(enum jk_status status)
{
	switch (status) {
	case JK_OK:
		return "ok";
	case JK_RETRY:
		return "retry";
	case JK_BROKEN:
		return "broken";
	}
	return "?";
}
