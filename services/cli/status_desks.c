#include "services/cli/status_desks.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "services/cli/cli_commands.h"
#include "json/json_map.h"

enum { SHOWN_MAX = 10, CODE_BYTES = 33 };

struct desk {
	char code[CODE_BYTES];
	int64_t behind, oldest_s;
};
struct desks {
	struct desk *items;
	size_t count, capacity;
};

static struct desk *find_desk(struct desks *desks, const char *code, size_t size)
{
	/* The samples of a desk stand together. */
	struct desk *last = desks->count > 0 ? &desks->items[desks->count - 1] : NULL;

	if (last && strlen(last->code) == size && memcmp(last->code, code, size) == 0)
		return last;
	if (desks->count == desks->capacity) {
		size_t capacity = desks->capacity ? desks->capacity * 2 : 64;
		struct desk *grown = realloc(desks->items, capacity * sizeof *grown);

		if (!grown)
			return NULL;
		desks->items = grown;
		desks->capacity = capacity;
	}
	last = &desks->items[desks->count++];
	*last = (struct desk){.code = ""};
	memcpy(last->code, code, size);
	return last;
}

/* jukwaa_dispatch_desk_lag{desk="KRCS-1",measure="events"} 12 */
static void read_sample(struct desks *desks, const char *line, size_t size)
{
	static const char start[] = "jukwaa_dispatch_desk_lag{desk=\"", events[] = "\",measure=\"events\"} ",
			  seconds[] = "\",measure=\"seconds\"} ";
	const char *code = line + sizeof start - 1, *rest;
	struct desk *desk;

	if (size < sizeof start || strncmp(line, start, sizeof start - 1) != 0)
		return;
	rest = memchr(code, '"', size - (sizeof start - 1));
	if (!rest || rest - code >= CODE_BYTES || !(desk = find_desk(desks, code, (size_t)(rest - code))))
		return;
	if (strncmp(rest, events, sizeof events - 1) == 0)
		desk->behind = strtoll(rest + sizeof events - 1, NULL, 10);
	else if (strncmp(rest, seconds, sizeof seconds - 1) == 0)
		desk->oldest_s = strtoll(rest + sizeof seconds - 1, NULL, 10);
}

static int worst_first(const void *a, const void *b)
{
	const struct desk *left = a, *right = b;

	if (left->oldest_s != right->oldest_s)
		return left->oldest_s < right->oldest_s ? 1 : -1;
	if (left->behind != right->behind)
		return left->behind < right->behind ? 1 : -1;
	return strcmp(left->code, right->code);
}

static void print_json(const struct desks *desks)
{
	for (size_t i = 0; i < desks->count; i++)
		printf("{\"part\":\"lag\",\"subject\":\"%s\",\"behind\":%" PRId64 ",\"oldest_s\":%" PRId64 "}\n",
			desks->items[i].code, desks->items[i].behind, desks->items[i].oldest_s);
}

static void print_desk(const struct cli *cli, const struct desk *desk)
{
	char behind[24], age[24];
	int column = printf("lag       ") + cli_print_text(stdout, desk->code, 0);

	(void)jk_text_format(behind, sizeof behind, "%" PRId64, desk->behind);
	cli_format_age(age, (double)desk->oldest_s);
	printf("%s", cli_tone(cli, CLI_WARN));
	cli_print_figure(&column, "behind", behind);
	cli_print_figure(&column, "oldest", age);
	printf("%s\n", cli_tone(cli, CLI_PLAIN));
}

void status_desks_show(const struct cli *cli, const struct status_service *dispatch)
{
	struct desks desks = {0};
	size_t lagging = 0;

	for (const char *line = dispatch->metrics.data; line && *line;) {
		size_t size = strcspn(line, "\n");

		read_sample(&desks, line, size);
		line += size + (line[size] == '\n');
	}
	if (desks.count > 0)
		qsort(desks.items, desks.count, sizeof *desks.items, worst_first);
	for (size_t i = 0; i < desks.count; i++)
		lagging += desks.items[i].behind > 0;
	if (cli->json) {
		print_json(&desks);
	} else if (desks.count > 0) {
		size_t shown = 0;

		printf("lag       %zu of %zu desks are behind\n", lagging, desks.count);
		for (size_t i = 0; i < desks.count && shown < SHOWN_MAX; i++)
			if (desks.items[i].behind > 0 && ++shown)
				print_desk(cli, &desks.items[i]);
	}
	free(desks.items);
}
