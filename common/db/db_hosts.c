/* db_hosts.c: a list of hosts is gone through in a ring. libpq goes to the next host only where connecting itself fails; one
 * that accepts and says nothing, hangs up or refuses the login ends its attempt. So the next attempt begins behind that host. */
#include <stdlib.h>
#include <string.h>

#include "db/db_internal.h"

static size_t count_entries(const char *list)
{
	size_t count = 1;
	for (; *list; list++)
		count += *list == ',';
	return count;
}

static bool entry_is(const char *list, size_t index, const char *text)
{
	for (; index > 0; index--) {
		list = strchr(list, ',');
		if (!list)
			return false;
		list++;
	}
	return strncmp(list, text, strlen(text)) == 0 && strcspn(list, ",") == strlen(text);
}

/* "a,b,c" with 1 -> "b,c,a". Replaces *list_p; NULL stays. */
static void turn_list(char **list_p, const char *list, size_t count)
{
	const char *rest = list;
	char *turned = malloc(strlen(list) + 1);
	for (; count > 0 && rest; count--) {
		rest = strchr(rest, ',');
		rest = rest ? rest + 1 : NULL;
	}
	if (turned && rest) {
		size_t tail = strlen(rest), head = (size_t)(rest - list) - 1;
		memcpy(turned, rest, tail);
		turned[tail] = ',';
		memcpy(turned + tail + 1, list, head);
		turned[tail + 1 + head] = '\0';
		free(*list_p);
		*list_p = turned;
		return;
	}
	free(turned); /* one port for all hosts, or no memory: as it was */
}

static const char *value_of(const PQconninfoOption *options, const char *keyword)
{
	for (; options->keyword; options++)
		if (strcmp(options->keyword, keyword) == 0)
			return options->val ? options->val : "";
	return "";
}

static bool pass_over(struct jk_db *db, const PQconninfoOption *options)
{
	const char *host = value_of(options, "host"), *address = value_of(options, "hostaddr"), *port = value_of(options, "port");
	const char *names = *host ? host : address, *failed_host = PQhost(db->connection), *failed_port = PQport(db->connection);
	size_t count = count_entries(names), failed = 0;
	if (count < 2)
		return false;
	while (failed < count &&
		!(entry_is(names, failed, failed_host) && (count_entries(port) < count || entry_is(port, failed, failed_port))))
		failed++;
	if (failed >= count) /* an entry that libpq fills in by itself; so much is lost: the order stays */
		return false;
	db->passed_over += failed + 1;
	if (failed + 1 < count) {
		if (*host)
			turn_list(&db->hosts, host, failed + 1);
		if (*address)
			turn_list(&db->addresses, address, failed + 1);
		turn_list(&db->ports, port, failed + 1);
	}
	if (db->passed_over < count)
		return true;
	db->passed_over = 0;
	return false;
}

bool jk_db_hosts_next(struct jk_db *db)
{
	PQconninfoOption *options = db->connection ? PQconninfo(db->connection) : NULL;
	bool more = options && pass_over(db, options);
	PQconninfoFree(options);
	return more;
}

void jk_db_hosts_free(struct jk_db *db)
{
	free(db->hosts);
	free(db->addresses);
	free(db->ports);
}
