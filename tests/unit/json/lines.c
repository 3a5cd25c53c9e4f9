/* lines.c: reads incidents as JSON, one a line; says "ok" or code, field and reason for each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jukwaa/v1/incident.pb-c.h"
#include "json/json_map.h"

int main(void)
{
	struct jk_arena *arena = jk_arena_new(16 << 20);
	char *line = NULL;
	size_t capacity = 0;

	if (!arena)
		return 1;
	while (getline(&line, &capacity, stdin) > 0) {
		struct jk_refusal refusal;
		jk_arena_reset(arena);
		if (jk_json_read(&jukwaa__v1__incident__descriptor, line, strlen(line), arena, &refusal))
			puts("ok");
		else
			printf("%s\t%s\t%s\n", jk_words_name(&jk_codes, refusal.code), refusal.field, refusal.reason);
	}
	free(line);
	jk_arena_free(&arena);
	return 0;
}
