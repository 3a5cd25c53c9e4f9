#include "notify_wire.h"

#include <ctype.h>
#include <string.h>

#include "base/jk_time.h"
#include "jukwaa/v1/notify.pb-c.h"
#include "json/json_map.h"

bool notify_wire_read_label(const uint8_t *body, size_t size, const char *county, int64_t recorded_at_us, struct jk_arena *arena,
	struct jk_label *ret_label, char ret_agency[33])
{
	struct jk_event_label label;
	if (jk_body_label(body, size, arena, &label) != JK_OK)
		return false;
	*ret_label = label.label;
	ret_label->recorded_at_us = recorded_at_us;
	return jk_text_copy(ret_label->county, sizeof ret_label->county, county) &&
	       jk_text_copy(ret_agency, 33, label.agency_code);
}

bool notify_wire_read_event(const struct jk_event *event, struct jk_arena *arena, struct notify_event *ret_event)
{
	struct jk_event_label label;
	if (jk_body_label(event->body, event->body_size, arena, &label) != JK_OK)
		return false;
	*ret_event = (struct notify_event){
		.event_id = event->event_id,
		.incident_id = event->incident_id,
		.kind = (enum jk_event_kind)event->kind,
		.recorded_at_us = event->recorded_at_us,
		.expires_us = label.expires_us,
		.category = label.category,
		.severity = label.severity,
		.label = label.label,
	};
	ret_event->label.recorded_at_us = event->recorded_at_us;
	return jk_text_copy(ret_event->label.county, sizeof ret_event->label.county, event->stream) &&
	       jk_text_copy(ret_event->agency, sizeof ret_event->agency, label.agency_code);
}

static void write_data(const struct notify_told *told, struct jk_buffer *buffer)
{
	Jukwaa__V1__WebhookData data = JUKWAA__V1__WEBHOOK_DATA__INIT;
	data.id = (char *)(uintptr_t)told->incident_id;
	data.county = (char *)(uintptr_t)told->county;
	data.category = (char *)(uintptr_t)jk_words_name(&jk_categories, told->category);
	data.severity = (char *)(uintptr_t)jk_words_name(&jk_severities, told->severity);
	jk_json_write(&data.base, buffer);
}

void notify_wire_write(const struct notify_told *told, struct jk_buffer *buffer)
{
	char time[JK_TIME_BYTES], realm[16];
	jk_time_format(time, told->time_us);
	(void)jk_text_copy(realm, sizeof realm, jk_words_name(&jk_realms, told->realm));
	for (char *at = realm; *at; at++)
		*at = (char)tolower((unsigned char)*at);
	jk_buffer_printf(buffer,
		"{\"specversion\":\"1.0\",\"id\":\"%s\",\"source\":\"urn:jukwaa:%s\",\"type\":\"ke.jukwaa.incident.v1\","
		"\"time\":\"%s\",\"datacontenttype\":\"application/json\",\"data\":",
		told->message_id, realm, time);
	write_data(told, buffer);
	jk_buffer_append(buffer, "}", 1);
}
