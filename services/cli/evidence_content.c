#include "services/cli/evidence_content.h"

#include <stdlib.h>
#include <string.h>

#include "wire/wire_body.h"

enum { ARENA_BYTES = 16 << 20 };

struct evidence_content {
	struct jk_arena *arena;
};

struct evidence_content *evidence_content_new(void)
{
	struct evidence_content *content = calloc(1, sizeof *content);

	if (content && !(content->arena = jk_arena_new(ARENA_BYTES)))
		evidence_content_free(&content);
	return content;
}

void evidence_content_free(struct evidence_content **content_p)
{
	if (*content_p)
		jk_arena_free(&(*content_p)->arena);
	free(*content_p);
	*content_p = NULL;
}

/* A mailbox's message is committed to as it is. */
static bool is_mail_as_committed(const struct evidence_event *event)
{
	const struct jk_span body = {event->body, event->body_size};
	uint8_t digest[32];

	jk_sha256(digest, &body, 1);
	return memcmp(digest, event->link.commitment, sizeof digest) == 0;
}

const char *evidence_content_judge(struct evidence_content *content, const struct evidence_event *event)
{
	const Jukwaa__V1__EventBody *body;
	struct jk_refusal refusal;

	if (event->link.commitment_size != sizeof event->link.commitment || !event->body)
		return event->link.stream[0] == '@' && event->link.commitment_size == 0 ? NULL : "it is committed to nothing";
	if (event->link.stream[0] == '@')
		return is_mail_as_committed(event) ? NULL : "the message is not the one that was recorded";
	jk_arena_reset(content->arena);
	body = (const void *)jk_body_unpack(
		&jukwaa__v1__event_body__descriptor, event->body, event->body_size, content->arena, &refusal);
	if (!body)
		return "the body cannot be read";
	return jk_body_verify(body, event->link.commitment) ? NULL : "the body is not the one that was recorded";
}
