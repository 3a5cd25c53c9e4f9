#include "services/cli/publish_csv.h"

enum publish_result publish_read_csv(const char *file, struct json_slice text, const char *map_file, publish_take *take,
	void *arg, struct jk_refusal *ret_refusal)
{
	(void)text;
	(void)map_file;
	(void)take;
	(void)arg;
	(void)jk_refuse(ret_refusal, JK_CODE_UNAVAILABLE, NULL, "%s: this build reads no CSV", file);
	return PUBLISH_NO_MAP;
}
