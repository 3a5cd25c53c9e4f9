/* notify_store_pg.h: all SQL of notify. Following: positions, rules and new messages, for feed_follow. Sending: rules with their
 * targets, claiming what is due, recording what came of it. Steps borrow from the structs given until their job is done. */
#pragma once

#include "feed/feed_follow.h"
#include "notify_rules.h"

extern const struct jk_db_statement notify_store_positions, notify_store_move, notify_store_rules;

enum { NOTIFY_RULES_MAX = 1024, NOTIFY_URL_BYTES = 2048 };

/* Rules in force, from a result of notify_store_rules; returns how many (at most NOTIFY_RULES_MAX; *ret_cut: there are more).
 * ret_registry_version: the registry's when the rules were read; 0 without rules. */
size_t notify_store_read_rules(
	const PGresult *result, struct notify_rule *ret_rules, bool *ret_cut, int64_t *ret_registry_version);

/* New messages, one array a column. */
enum { NOTIFY_MESSAGE_COLUMNS = 7 };
struct notify_store_messages {
	struct jk_db_array columns[NOTIFY_MESSAGE_COLUMNS];
	size_t count;
};
void notify_store_reset_messages(struct notify_store_messages *messages);
void notify_store_add_message(struct notify_store_messages *messages, const struct notify_message *message);
/* What (rule, incident, county) has been told of is passed over. 0 when there is nothing to add. */
size_t notify_store_add_step(struct notify_store_messages *messages, struct jk_db_step *ret_step);
/* Rows really added by the step. */
size_t notify_store_added(const PGresult *result);
void notify_store_done_messages(struct notify_store_messages *messages);

/* Where a rule sends; also rules no longer in force, whose messages must come to an end. */
struct notify_target {
	int32_t rule_id, desk_id;
	bool revoked;
	char url[NOTIFY_URL_BYTES]; /* "": longer than that */
	char secret_file[512];
};
enum { NOTIFY_TARGETS_STEPS = 2 }; /* the first one's result is read below */
void notify_store_targets_steps(struct jk_db_step ret_steps[NOTIFY_TARGETS_STEPS]);
size_t notify_store_count_targets(const PGresult *result);
void notify_store_read_target(const PGresult *result, int row, struct notify_target *ret_target);
/* Messages that wait, counted up to 100,000. */
int64_t notify_store_read_pending(const PGresult *result);

/* Claims up to room[i] due messages of rule_id[i]: counts the attempt, writes its row, and puts the message off by lease_s, after
 * which an attempt without a recorded end counts as lost. */
struct notify_store_claim {
	struct jk_db_array rule_ids, rooms;
	struct jk_db_int8 lease_s;
};
void notify_store_claim_step(struct notify_store_claim *claim, const int32_t *rule_ids, const int *rooms, size_t count,
	int lease_s, struct jk_db_step *ret_step);
/* A claimed message. body: of its event, borrowed from the result; NULL: the event is not in the feed. */
struct notify_claimed {
	struct notify_message message;
	int attempts, attempt_no;
	int64_t recorded_at_us;
	const uint8_t *body;
	size_t body_size;
};
void notify_store_read_claimed(const PGresult *result, int row, struct notify_claimed *ret);
void notify_store_done_claim(struct notify_store_claim *claim);

/* What came of attempts. */
struct notify_ended {
	struct jk_id message_id;
	int attempts, attempt_no;
	struct notify_result result;
	struct notify_next next;
};
enum { NOTIFY_ENDED_COLUMNS = 9 };
struct notify_store_ended {
	struct jk_db_array columns[NOTIFY_ENDED_COLUMNS];
};
enum { NOTIFY_RECORD_STEPS = 2 };
void notify_store_record_steps(struct notify_store_ended *store, const struct notify_ended *ended, size_t count,
	struct jk_db_step ret_steps[NOTIFY_RECORD_STEPS]);
void notify_store_done_ended(struct notify_store_ended *store);
