#include "services/cli/cli_commands.h"

#include <stdlib.h>
#include <string.h>

#define CATEGORY_WORDS "GEO MET SAFETY SECURITY RESCUE FIRE HEALTH ENV TRANSPORT INFRA CBRNE OTHER"
#define SEVERITY_WORDS "EXTREME SEVERE MODERATE MINOR"

const struct cli_option cli_global_options[] = {
	{"--endpoint", "ENDPOINT", "where the service is, such as tcp://host:7101; wins over the environment", NULL},
	{"--key", "FILE", "key to act with (JUKWAA_KEY)", NULL},
	{"--server-key", "FILE", "public key of the exchange, a .pub file or 64 hex digits (JUKWAA_SERVER_KEY)", NULL},
	{"--config", "FILE", "settings as NAME=VALUE lines; the environment wins over them", NULL},
	{"--json", NULL, "one JSON object a line on standard output", NULL},
	{"--color", "WHEN", "auto (on a terminal, unless NO_COLOR is set), always, never", "auto always never"},
	{"--help", NULL, "this help, of the command where one is named", NULL},
	{"--version", NULL, "the version (before a command)", NULL},
	{0},
};

static const struct cli_option publish_options[] = {
	{"--format", "FORMAT", "cap, json, csv or pb; otherwise the file's name or content tells", "cap json csv pb"},
	{"--county", "CODE", "three digits; wins over the place in the report", NULL},
	{"--map", "FILE", "for CSV: the mapping file", NULL},
	{"--strict", NULL, "refuse what would only be warned of", NULL},
	{"--sign", NULL, "sign each report, so that receivers can check whose it is", NULL},
	{"--check", NULL, "ask what would happen; nothing is stored", NULL},
	{"--dry-run", NULL, "the same, and who would see it, as what, and why", NULL},
	{"--print", NULL, "send nothing, print what would be sent", NULL},
	{"--outbox", "FILE", "keep reports in this file until they are stored; what is left goes first", NULL},
	{"--window", "N", "reports under way at once, 1 to 256 (64)", NULL},
	{"--timeout", "S", "give up after so long without an answer (5, then 30)", NULL},
	{0},
};
static const struct cli_option watch_options[] = {
	{"--county", "LIST", "county codes, such as 047,001", NULL},
	{"--all", NULL, "every county this key may see", NULL},
	{"--mailbox", NULL, "the agency's own mailbox: what became of its reports", NULL},
	{"--neighbours", NULL, "also the counties that border on those named", NULL},
	{"--category", "LIST", "only these", CATEGORY_WORDS},
	{"--min-severity", "WORD", "this or worse", SEVERITY_WORDS},
	{"--include-test", NULL, "also events with status TEST and SYSTEM", NULL},
	{"--from", "WHERE", "now (default), beginning, or a token", "now beginning"},
	{"--snapshot", NULL, "first the incidents that are open, the gravest first; then what comes after", NULL},
	{"--include-closed", NULL, "with --snapshot: also those closed within a day", NULL},
	{"--backfill", "AGREEMENT", "only what this agreement gives, from the beginning up to now", NULL},
	{"--cursor", "NAME", "go on where this name stood; the exchange remembers", NULL},
	{"--resume", "FILE", "go on where this file says; it is kept up to date", NULL},
	{"--heads", "FILE", "add the exchange's signed heads to this file: it then cannot rewrite history unnoticed", NULL},
	{"--count", "N", "end with status 0 after so many events", NULL},
	{"--timeout", "S", "end after so long; with status 1 when --count is not reached", NULL},
	{"--window", "N", "events under way at once, 1 to 256 (64)", NULL},
	{"--tokens", NULL, "with --json: each line has the token that goes on after it", NULL},
	{"--ack", NULL, "acknowledge what was shown (this is the default)", NULL},
	{"--no-ack", NULL, "show without acknowledging, until the window is full", NULL},
	{0},
};
static const struct cli_option case_options[] = {
	{"--county", "CODE", "list, export, figures: of this county; may be given again", NULL},
	{"--constituency", "CODE", "list, export: of this constituency", NULL},
	{"--category", "WORD", "list, export: of this category", CATEGORY_WORDS},
	{"--min-severity", "WORD", "list, export: this or worse", SEVERITY_WORDS},
	{"--agency", "CODE", "list, export, figures: reported by this agency; assign, refer, task add: to which", NULL},
	{"--state", "STATE", "list, export: in this state; may be given again",
		"NEW TRIAGED ASSIGNED IN_PROGRESS ON_HOLD REFERRED RESOLVED CLOSED REOPENED MERGED"},
	{"--open", NULL, "list, export: neither resolved nor closed nor merged", NULL},
	{"--breached", NULL, "list, export: triaged or resolved too late, or late already", NULL},
	{"--number", "TEXT", "list, export: a number or OB number that an agency gave it; number: the agency's own", NULL},
	{"--from", "TIME", "list, export, figures: opened from then on (2026-11-27, or with time)", NULL},
	{"--to", "TIME|ID", "list, export, figures: opened before then; link: the other case", NULL},
	{"--include-test", NULL, "list, export: also those of status TEST and SYSTEM", NULL},
	{"--limit", "N", "list: at most so many, newest first (50); similar: at most so many (10)", NULL},
	{"--format", "FORMAT", "export: csv (default), geojson or json", "csv geojson json"},
	{"--headlines", NULL, "export: with headlines, where they may be shown", NULL},
	{"--purpose", "WORD", "what it is read for, which is recorded (JUKWAA_PURPOSE)",
		"RESPONSE INVESTIGATION COORDINATION STATISTICS AUDIT SUBJECT_REQUEST FOLLOW_UP"},
	{"--note", "TEXT", "recorded with the purpose; at most 200 bytes", NULL},
	{"--version", "N", "the version it was decided on; what moves the case wants it", NULL},
	{"--reason", "TEXT", "at most 200 bytes", NULL},
	{"--desk", "CODE", "assign, task add: to which desk; otherwise the own one", NULL},
	{"--service", "CODE", "refer: a social service",
		"GBV_RECOVERY_CENTRE CHILD_PROTECTION COUNSELLING LEGAL_AID REHABILITATION"},
	{"--disposition", "WORD", "resolve: how it ended",
		"RESOLVED UNFOUNDED DUPLICATE REFERRED PROSECUTION CANCELLED NO_RESOURCES"},
	{"--into", "ID", "merge: the case that goes on", NULL},
	{"--into-version", "N", "merge: its version", NULL},
	{"--relation", "WORD", "link: how they belong together", "RELATED SAME_PLACE CAUSED_BY CAUSES FOLLOWS PRECEDES"},
	{"--ob", "TEXT", "number: its occurrence book number", NULL},
	{"--language", "TAG", "note: of the text, such as sw", NULL},
	{"--due", "TIME", "task add: RFC 3339", NULL},
	{"--blocking", NULL, "task add: the case cannot be resolved before", NULL},
	{"--digest", "HEX", "evidence: SHA-256 of what lies there", NULL},
	{"--location", "URI", "evidence: where it lies", NULL},
	{"--media-type", "TYPE", "evidence: such as image/jpeg", NULL},
	{"--command-id", "UUID", "to send a command again that may have been done", NULL},
	{"--dot", NULL, "states: as a graph for dot(1)", NULL},
	{"--timeout", "S", "give up after so long (10)", NULL},
	{0},
};
static const struct cli_option offer_options[] = {
	{"--held", NULL, "list: what this desk has", NULL},
	{"--all", NULL, "list: all that it was ever asked, newest first", NULL},
	{"--limit", "N", "list: at most so many (50)", NULL},
	{"--desk", "CODE", "hand-over, hand-over-all: who is to take it", NULL},
	{"--disposition", "WORD", "complete: how it ended",
		"RESOLVED UNFOUNDED DUPLICATE REFERRED PROSECUTION CANCELLED NO_RESOURCES"},
	{"--reason", "TEXT", "at most 200 bytes; decline needs one", NULL},
	{"--version", "N", "refuse it when the duty has changed since this version", NULL},
	{"--command-id", "ID", "given again, it is done once all the same; otherwise made", NULL},
	{"--count", "N", "watch: end with status 0 after so many", NULL},
	{"--timeout", "S", "give up after so long (10); watch: end, with status 1 when --count is not reached", NULL},
	{0},
};
static const struct cli_option opened_options[] = {
	{"--timeout", "S", "give up after so long (10)", NULL},
	{0},
};
static const struct cli_option unit_options[] = {
	{"--at", "LAT,LON", "add, change: where its base is; position: where it is", NULL},
	{"--discipline", "WORD", "POLICE, AMBULANCE, FIRE, …", NULL},
	{"--capability", "WORD", "what it can do, or must be able to; may be given again", NULL},
	{"--county", "CODE", "add, change: the base's county", NULL},
	{"--desk", "CODE", "add, change: the desk that runs it; otherwise any of the agency", NULL},
	{"--reason", "TEXT", "at most 200 bytes; whoever has the incident in full may read it", NULL},
	{"--state", "STATE", "list: only these", "available dispatched en-route on-scene transporting cleared out-of-service"},
	{"--limit", "N", "list: at most so many (50); recommend: 1 to 50 (10)", NULL},
	{"--version", "N", "refuse the command when the unit is not at this version any more", NULL},
	{"--command-id", "UUID", "to send a command again that may have been done", NULL},
	{"--timeout", "S", "give up after so long (10)", NULL},
	{0},
};
static const struct cli_option resource_options[] = {
	{"--capability", "WORD", "request: what is needed, such as RESCUE_BOAT", NULL},
	{"--count", "N", "request, offer: how many, 1 to 1000", NULL},
	{"--by", "TIME", "request: when at the latest (2026-03-01T08:15:30Z)", NULL},
	{"--to", "AGENCY", "request: whom; otherwise all that may answer the incident", NULL},
	{"--reason", "TEXT", "decline, withdraw: why, at most 200 bytes", NULL},
	{"--incident", "UUID", "list: only of this one", NULL},
	{"--state", "STATE", "list: only these", "requested offered committed released returned declined withdrawn"},
	{"--limit", "N", "list: at most so many, newest first (50)", NULL},
	{"--version", "N", "refuse the command when it is not at this version any more", NULL},
	{"--command-id", "UUID", "to send a command again that may have been done", NULL},
	{"--timeout", "S", "give up after so long (10)", NULL},
	{0},
};
static const struct cli_option explain_options[] = {
	{"--desk", "CODE", "the desk that asks", NULL},
	{"--at", "TIME", "by the records: what had been reserved and sent by then (2026-03-01T08:15:30Z)", NULL},
	{0},
};
static const struct cli_option evidence_options[] = {
	{"--public-key", "FILE", "verify: the exchange's .pub file, or its sign-public as 64 hex digits; may be given again",
		NULL},
	{"--database", NULL, "verify: the feed in the database (JUKWAA_DATABASE)", NULL},
	{"--content", NULL, "verify --database: also that stored bodies are what was recorded", NULL},
	{"--export", "FILE", "verify: what evidence export wrote", NULL},
	{"--heads", "FILE", "verify: heads that others hold (jukwaa watch --heads, dispatch's head-file)", NULL},
	{"--receipt", "FILE", "verify: receipts or copies that must be among the events", NULL},
	{"--county", "LIST", "export: only these streams, such as 047,@KPS", NULL},
	{"--from", "SEQ", "export: from this number of the one stream on", NULL},
	{"--to", "SEQ", "export: up to this number", NULL},
	{"--out", "FILE", "export, prove: a new file; otherwise standard output", NULL},
	{"--watch-file", "FILE", "head: the newest of a file of heads, instead of the database's", NULL},
	{0},
};
static const struct cli_option outbox_options[] = {
	{"--all", NULL, "retry: all dead letters", NULL},
	{0},
};
static const struct cli_option agreement_options[] = {
	{"--act", "ACT", "sign: what is signed", "propose accept suspend resume withdraw leave"},
	{"--agency", "CODE", "sign: for which agency", NULL},
	{"--after", "FILE", "sign: the newest act, where FILE is a document", NULL},
	{"--out", "FILE", "sign: where the signed act goes; default: standard output", NULL},
	{0},
};
static const struct cli_option key_options[] = {
	{"--out", "FILE", "new: where the secret goes; FILE.pub gets the public halves", NULL},
	{0},
};
static const struct cli_option bench_options[] = {
	{"--clients", "N", "publishing threads (8)", NULL},
	{"--window", "N", "reports under way of each (64)", NULL},
	{"--reports", "N", "in all (100000)", NULL},
	{"--counties", "N", "spread over this many (47)", NULL},
	{"--rate", "N", "reports a second in all; 0: as fast as it goes", NULL},
	{"--timeout", "S", "without progress (30)", NULL},
	{"--events", "N", "decide: made-up events for each desk (2000)", NULL},
	{"--desk-key", "FILE", "deliver: the key of the desk that watches", NULL},
	{"--keys", "FOLDER", "storm: the keys of its desks, NAME.key", NULL},
	{"--desks", "N", "storm: sessions that come at once (1000)", NULL},
	{"--total", "N", "storm: a desk is done when its last numbers add up to this", NULL},
	{"--cursor", "NAME", "storm: go on from a durable cursor instead of the beginning", NULL},
	{"--batch-bytes", "N", "storm: largest batch taken; 0: none (32768)", NULL},
	{"--live", "S", "storm: no backlog; events as they come, how late they are", NULL},
	{"--stopped", "N", "storm: so many of the desks never acknowledge", NULL},
	{"--threads", "N", "storm: threads the sessions share (4)", NULL},
	{0},
};

const struct cli_command cli_commands[] = {
	{"publish", "[OPTIONS] FILE… | -", "send reports, print their receipts", cli_publish, publish_options, NULL,
		"A receipt says STORED, DUPLICATE (known already, with the same content: fine), CONFLICT\n"
		"(known with other content) or REJECTED with a code, the field and the reason.\n"
		"A JSON file holds one report, an array, or one a line. Publishing again is harmless.\n\n"
		"  jukwaa publish --county 047 alert.cap.xml\n"
		"  jukwaa publish --check reports.jsonl\n"
		"  jukwaa publish --dry-run alert.json\n"
		"  jukwaa publish --map ma3route.map crashes.csv\n"
		"  jukwaa publish --outbox /var/lib/agency/outbox.db alert.json",
		false},
	{"watch", "--county LIST | --all | --mailbox [OPTIONS]", "show a desk's feed as it comes", cli_watch, watch_options, NULL,
		"Events come in order, each once. What was shown is acknowledged; Ctrl-C ends in order.\n"
		"The link is taken up again by itself.\n\n"
		"  jukwaa watch --county 047 --neighbours --min-severity SEVERE\n"
		"  jukwaa --json watch --all --resume /var/lib/desk/resume\n"
		"  jukwaa watch --mailbox --from beginning --count 10 --timeout 5",
		false},
	{"offer", "list | watch | ANSWER DUTY [OPTIONS]", "what this desk is asked to answer for, and its answers", cli_offer,
		offer_options, "list watch accept decline hand-over hand-over-all complete acknowledge",
		"One desk at most has a duty: who accepts first. Another that tries is told TAKEN. An offer that\n"
		"is not answered in time goes to the next desk; accepting it late counts while nobody has it.\n\n"
		"  jukwaa offer watch\n"
		"  jukwaa offer accept 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a\n"
		"  jukwaa offer decline 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a --reason 'no car left'\n"
		"  jukwaa offer hand-over-all --desk KILIMANI --reason 'end of shift'\n"
		"  jukwaa offer complete 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a --disposition resolved",
		false},
	{"opened", "INCIDENT…", "say that a person at this desk has opened the incident", cli_opened, opened_options, NULL,
		"Its owner reads OPENED in its mailbox, once for each incident and desk. That is more than that\n"
		"the copy was delivered, and less than that somebody acts: jukwaa offer accept says that.\n\n"
		"  jukwaa opened 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a",
		false},
	{"case", "VERB [ID] [OPTIONS]", "the cases opened for incidents, and what is done with them", cli_case, case_options,
		"list show similar export figures triage assign start hold resume refer accept-referral decline-referral resolve "
		"close"
		" reopen merge link number note task evidence states",
		"  list | show ID | similar ID | export | figures | states [--dot]\n"
		"  triage|start|resume|accept-referral|close ID --version N [--reason TEXT]\n"
		"  hold|decline-referral|reopen ID --version N --reason TEXT\n"
		"  assign ID --version N [--agency CODE] [--desk CODE]\n"
		"  refer ID --version N --agency CODE | --service CODE\n"
		"  resolve ID --version N --disposition WORD | merge ID --version N --into ID\n"
		"  link ID --to ID --relation WORD | number ID [--number TEXT] [--ob TEXT]\n"
		"  note ID TEXT [--language TAG] | task add ID TITLE [--due TIME] [--blocking]\n"
		"  task done|cancel ID TASK | evidence ID --digest HEX --location URI --media-type TYPE\n\n"
		"Who read which case, when, what for and under which agreement is recorded before the answer\n"
		"comes; jukwaa admin access list shows it to auditors. What is done is an event of the incident.\n\n"
		"  jukwaa case list --purpose response --county 047 --open\n"
		"  jukwaa case similar 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a --purpose response\n"
		"  jukwaa case export --purpose statistics --format geojson --from 2026-11-01 > cases.geojson\n"
		"  jukwaa case figures --purpose statistics --county 047\n"
		"  jukwaa case triage 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a --version 2",
		false},
	{"unit", "VERB [CODE] [OPTIONS]", "the agency's units: where they are, what they do, which is nearest", cli_unit,
		unit_options, "add change list show position assign advance out-of-service in-service remove recommend states",
		"  add|change CODE --discipline WORD --at LAT,LON [--capability WORD]... [--county CODE] [--desk CODE]\n"
		"  list [--state STATE] [--discipline WORD] | show CODE | states\n"
		"  position CODE --at LAT,LON\n"
		"  assign CODE INCIDENT | advance CODE en-route|on-scene|transporting|cleared|available\n"
		"  out-of-service CODE | in-service CODE | remove CODE\n"
		"  recommend INCIDENT [--discipline WORD] [--capability WORD]...\n\n"
		"Each step of an assignment goes to the streams that have the incident; nothing after it does.\n\n"
		"  jukwaa unit recommend 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a --discipline AMBULANCE\n"
		"  jukwaa unit assign KE-7 01980b2e-7f5e-7c61-8a1e-3f0f4b1d2c3a",
		false},
	{"resource", "VERB [ID] [OPTIONS]", "help of other agencies for an incident", cli_resource, resource_options,
		"request offer commit release return decline withdraw list",
		"  request INCIDENT --capability WORD --count N [--by TIME] [--to AGENCY]\n"
		"  offer ID --count N | commit ID | release ID | return ID\n"
		"  decline ID --reason TEXT | withdraw ID | list\n\n"
		"The requester commits and releases; the giver offers and returns. An offer to a request that was\n"
		"made to all has an id of its own, which offer prints.",
		false},
	{"status", "", "services, database, feed and desks on one screen", cli_status, NULL, NULL,
		"Asks the services named in JUKWAA_HTTP (blanks between; default http://127.0.0.1:9101 to 9104)\n"
		"and, where JUKWAA_DATABASE is set, the database. Ends with 3 when one does not answer,\n"
		"with 1 when one is not ready.",
		false},
	{"explain", "INCIDENT --desk DESK [--at TIME]", "may this desk have this incident, and why", cli_explain, explain_options,
		NULL,
		"Asks the decision function, with the registry as it is now (needs JUKWAA_DATABASE).\n"
		"Ends with 0 when some county's copy is allowed, with 1 when none is.\n"
		"With --at nothing is decided again: the records of what was reserved and sent answer.",
		false},
	{"disclosures", "INCIDENT", "who got what of this incident, and who has not confirmed its newest change", cli_disclosures,
		NULL, NULL,
		"For the operator, who may tell the owner (needs JUKWAA_DATABASE): it names every desk, those of\n"
		"task forces too. Of each copy: under which agreement, version and profile, when it was reserved,\n"
		"sent and acknowledged; what is only possibly disclosed. Ends with 1 while somebody that had a\n"
		"copy has not confirmed the newest update or cancellation.",
		false},
	{"evidence", "head | export | prove RECEIPT | verify PROOF | verify --export FILE | verify --database",
		"prove that history was not changed", cli_evidence, evidence_options, "head export prove verify",
		"A proof needs nothing but the exchange's public key to be checked. verify ends with 1 when something was\n"
		"changed, and says which number of which stream comes first.\n\n"
		"  jukwaa --json publish alert.json > receipt.json\n"
		"  jukwaa evidence prove receipt.json --out proof.json\n"
		"  jukwaa evidence verify proof.json --receipt receipt.json --public-key exchange.key.pub\n"
		"  jukwaa evidence verify --database --heads witnessed.jsonl --public-key exchange.key.pub",
		false},
	{"outbox", "list FILE | retry FILE ID | retry FILE --all", "what waits in an outbox, and its dead letters", cli_outbox,
		outbox_options, "list retry",
		"A dead letter is a report that was refused for good. When the reason is gone, send it again\n"
		"with retry, then jukwaa publish --outbox FILE.",
		false},
	{"agreement", "sign FILE --act ACT --agency CODE [OPTIONS] | show FILE", "sign an agreement's act away from the exchange",
		cli_agreement, agreement_options, "sign show",
		"FILE is a document (JSON), or an act that the operator exported or the other side signed: it carries\n"
		"the document. The operator submits what was signed: jukwaa admin agreement submit FILE.\n\n"
		"  jukwaa agreement show kps-krcs.json\n"
		"  jukwaa agreement sign kps-krcs.json --act propose --agency KPS --key police.key --out proposed.json\n"
		"  jukwaa agreement sign proposed.json --act accept --agency KRCS --key krcs.key --out accepted.json",
		false},
	{"key", "new --out FILE | show FILE", "make a key pair, show its public halves", cli_key, key_options, "new show",
		"Keep FILE secret (it has mode 0600); FILE.pub goes to the exchange's operator.", false},
	{"admin", "OBJECT VERB …", "the operator's commands: registry, database, notification", cli_admin, NULL,
		"migrate agency desk key agreement taskforce allow duty target rule dead epoch retention access hold erase "
		"erasure "
		"notify",
		NULL, true},
	{"notify", "rule|dead VERB …", "the same as jukwaa admin notify", cli_notify, NULL, "rule dead", NULL, true},
	{"bench", "publish|deliver|latency|storm|decide [OPTIONS]", "load for a trial exchange, and figures", cli_bench,
		bench_options, "publish deliver latency storm decide",
		"The reports are made up, and real to the exchange: use it on a trial system.", false},
	{"completion", "bash", "a script for the shell: . <(jukwaa completion bash)", cli_completion, NULL, "bash", NULL, false},
	{"help", "[COMMAND]", "help on a command", cli_help, NULL, NULL, NULL, false},
	{0},
};

const struct cli_command *cli_command_find(const char *name)
{
	for (const struct cli_command *command = cli_commands; command->name; command++)
		if (strcmp(command->name, name) == 0)
			return command;
	return NULL;
}

/* `jukwaa notify X` is `jukwaa admin notify X`. */
int cli_notify(const struct cli *cli, int argc, char **argv)
{
	static char admin[] = "admin", notify[] = "notify";
	char **longer = calloc((size_t)argc + 2, sizeof *longer);
	int status;

	if (!longer)
		return cli_fail(CLI_REFUSED, NULL, "no memory");
	longer[0] = admin;
	longer[1] = notify;
	memcpy(longer + 2, argv + 1, (size_t)(argc - 1) * sizeof *longer);
	status = cli_admin(cli, argc + 1, longer);
	free(longer);
	return status;
}
