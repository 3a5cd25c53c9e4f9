#include "jukwaa/client.h"

const char *jukwaa_version(void)
{
	return JUKWAA_VERSION;
}
