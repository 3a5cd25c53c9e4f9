/* daemon_options.c: the command line of every service. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/jk_text.h"
#include "daemon/daemon_internal.h"

enum { OPTIONS_MAX = 96, OPTION_CONFIG = 1000, OPTION_CHECK, OPTION_VERSION, OPTION_HELP };

/* What stood on the command line. */
struct arguments {
	struct option options[OPTIONS_MAX];
	struct jk_conf_given given[OPTIONS_MAX];
	size_t given_count;
	const char *config;
	bool check;
};

static void print_usage(FILE *out, const char *service)
{
	fprintf(out, "usage: jukwaa-%s [--config FILE] [--check-config] [--NAME VALUE]...\n", service);
}

static void print_help(const char *service, const struct jk_setting *table, size_t count)
{
	print_usage(stdout, service);
	printf("\n"
	       "  --config FILE    settings, one `name = value` a line\n"
	       "  --check-config   checks the settings, prints those in force, and ends\n"
	       "  --version        prints the version and ends\n"
	       "  --help           prints this and ends\n\n"
	       "Settings, by rank: command line, environment, file, default.\n\n");
	jk_conf_print(table, count, NULL);
}

static void make_options(struct option *options, const struct jk_setting *table, size_t count)
{
	static const struct option fixed[] = {
		{"config", required_argument, NULL, OPTION_CONFIG},
		{"check-config", no_argument, NULL, OPTION_CHECK},
		{"version", no_argument, NULL, OPTION_VERSION},
		{"help", no_argument, NULL, OPTION_HELP},
	};
	size_t next = sizeof fixed / sizeof *fixed;
	memcpy(options, fixed, sizeof fixed);
	for (size_t i = 0; i < count && next < OPTIONS_MAX - 1; i++, next++)
		options[next] = (struct option){table[i].name, required_argument, NULL, (int)i};
	options[next] = (struct option){0};
}

/* Returns false when the process should end with *ret_exit. */
static bool parse(int argc, char **argv, const char *service, const struct jk_setting *table, size_t count,
	struct arguments *arguments, int *ret_exit)
{
	int option;
	optind = 1;
	while ((option = getopt_long(argc, argv, "", arguments->options, NULL)) != -1) {
		if (option == OPTION_HELP) {
			print_help(service, table, count);
			*ret_exit = 0;
			return false;
		}
		if (option == OPTION_VERSION) {
			printf("jukwaa-%s %s\n", service, JUKWAA_VERSION);
			*ret_exit = 0;
			return false;
		}
		if (option == OPTION_CONFIG)
			arguments->config = optarg;
		else if (option == OPTION_CHECK)
			arguments->check = true;
		else if (option >= 0 && (size_t)option < count && arguments->given_count < OPTIONS_MAX)
			arguments->given[arguments->given_count++] = (struct jk_conf_given){table[option].name, optarg};
		else
			break;
	}
	if (option == -1 && optind == argc)
		return true;
	if (option == -1)
		fprintf(stderr, "jukwaa-%s: unexpected argument \"%s\"\n", service, argv[optind]);
	print_usage(stderr, service);
	fprintf(stderr, "Try jukwaa-%s --help.\n", service);
	*ret_exit = 2;
	return false;
}

bool jk_daemon_split_address(const char *address, char ret_host[64], char ret_port[8])
{
	const char *colon = strrchr(address, ':');
	int64_t port;
	if (!colon || !jk_text_to_int64(colon + 1, 0, 65535, &port) || !jk_text_copy(ret_port, 8, colon + 1))
		return false;
	size_t size = (size_t)(colon - address);
	if (size >= 2 && address[0] == '[' && colon[-1] == ']') {
		address++;
		size -= 2;
	} else if (memchr(address, ':', size)) {
		return false; /* IPv6 without brackets */
	}
	if (size == 0 || size >= 64)
		return false;
	memcpy(ret_host, address, size);
	ret_host[size] = '\0';
	return true;
}

/* What the table of settings cannot check. */
static bool check_common(const struct jk_daemon_settings *settings, struct jk_refusal *ret_refusal)
{
	enum jk_log_level level;
	char host[64], port[8];
	if (strcmp(settings->log_format, "text") != 0 && strcmp(settings->log_format, "json") != 0)
		return jk_refuse(
			ret_refusal, JK_CODE_RULE_VIOLATION, "log-format", "\"%s\" must be text or json", settings->log_format);
	if (!jk_log_level_parse(settings->log_level, &level))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "log-level", "\"%s\" must be debug, info, warn or error",
			settings->log_level);
	if (settings->http_listen[0] && !jk_daemon_split_address(settings->http_listen, host, port))
		return jk_refuse(ret_refusal, JK_CODE_RULE_VIOLATION, "http-listen",
			"\"%s\" must be ADDRESS:PORT, as in 127.0.0.1:9101 or [::1]:9101", settings->http_listen);
	return true;
}

bool jk_daemon_read_options(int argc, char **argv, const char *service, const struct jk_setting *table, size_t count,
	struct jk_daemon *daemon, void *settings, int *ret_exit)
{
	struct arguments arguments = {0};
	struct jk_refusal refusal = {0};
	make_options(arguments.options, table, count);
	if (!parse(argc, argv, service, table, count, &arguments, ret_exit))
		return false;
	const struct jk_conf_sources sources = {arguments.config, arguments.given, arguments.given_count};
	daemon->settings = settings;
	if (jk_conf_load_from(table, count, &sources, settings, &daemon->conf, &refusal) != JK_OK ||
		!check_common(daemon->settings, &refusal)) {
		fprintf(stderr, "jukwaa-%s: %s%s%s\n", service, refusal.field, refusal.field[0] ? ": " : "", refusal.reason);
		*ret_exit = 2;
		return false;
	}
	if (!arguments.check)
		return true;
	jk_conf_print(table, count, settings);
	*ret_exit = 0;
	return false;
}
