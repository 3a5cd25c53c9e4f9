#include "feed/feed_append.h"

#include "base/jk_text.h"

enum { COLUMNS = 9, STREAM_BYTES = 40 };

static const struct jk_db_statement append_statement = {
	.name = "jk_append",
	.sql = "SELECT ord, seq, chain, recorded_at, epoch FROM feed.append($1::text[], $2::uuid[], $3::int2[], $4::uuid[],"
	       " $5::int8[], $6::int2[], $7::int2[], $8::bytea[], $9::bytea[])",
	.params = COLUMNS,
};

void jk_append_reset(struct jk_append *append)
{
	static const unsigned oids[COLUMNS] = {JK_OID_TEXT, JK_OID_UUID, JK_OID_INT2, JK_OID_UUID, JK_OID_INT8, JK_OID_INT2,
		JK_OID_INT2, JK_OID_BYTEA, JK_OID_BYTEA};

	append->count = 0;
	for (size_t i = 0; i < COLUMNS; i++)
		jk_db_array_reset(&append->columns[i], oids[i]);
}

void jk_append_add(struct jk_append *append, const struct jk_append_event *event)
{
	struct jk_db_array *column = append->columns;

	jk_db_array_add_text(column++, event->stream);
	jk_db_array_add_id(column++, &event->event_id);
	jk_db_array_add_int(column++, event->kind);
	jk_db_array_add_id(column++, &event->incident_id);
	jk_db_array_add_int(column++, event->revision);
	jk_db_array_add_int(column++, event->tlp);
	jk_db_array_add_int(column++, event->category);
	jk_db_array_add(column++, event->commitment, JK_SHA256_BYTES);
	jk_db_array_add(column++, event->body, (int)event->body_size);
	append->count++;
}

void jk_append_add_mail(struct jk_append *append, const struct jk_append_mail *mail)
{
	char stream[STREAM_BYTES];
	uint8_t commitment[JK_SHA256_BYTES];
	const struct jk_append_event event = {.stream = stream,
		.event_id = jk_id_new(),
		.incident_id = mail->incident_id,
		.kind = mail->kind,
		.revision = mail->revision,
		.tlp = mail->tlp,
		.category = mail->category,
		.commitment = commitment,
		.body = mail->body.data,
		.body_size = mail->body.size};

	(void)jk_text_format(stream, sizeof stream, "@%s", mail->agency);
	jk_sha256(commitment, &mail->body, 1);
	jk_append_add(append, &event);
}

bool jk_append_step(struct jk_append *append, struct jk_db_step *ret_step)
{
	if (append->count == 0)
		return false;
	*ret_step = (struct jk_db_step){.statement = &append_statement};
	for (int i = 0; i < COLUMNS; i++)
		jk_db_bind_array(ret_step, i, &append->columns[i]);
	return true;
}

void jk_append_done(struct jk_append *append)
{
	for (size_t i = 0; i < COLUMNS; i++)
		jk_db_array_done(&append->columns[i]);
}
