/* What desks and publishers ask of dispatch and cases: Subscribe with its sealed positions, CaseList, CaseShow, and how
 * cases are found (find.proto). First byte: which. */
#include <stdlib.h>
#include <string.h>

#include "cases_wire.h"
#include "dispatch_wire.h"
#include "fuzz.h"
#include "jukwaa/v1/cases.pb-c.h"
#include "jukwaa/v1/dispatch.pb-c.h"
#include "jukwaa/v1/find.pb-c.h"
#include "wire/wire_body.h"

static void ask_dispatch(const struct jk_request *request)
{
	static const uint8_t key[DISPATCH_SEAL_KEY_BYTES] = {1};
	struct dispatch_ask ask;
	struct dispatch_streams streams = {0};
	struct dispatch_holder holder;
	struct dispatch_position position;
	struct jk_refusal refusal = {0};

	fuzz_must(dispatch_wire_read_subscribe(request, &ask));
	if (!dispatch_rules_check_ask(&ask.filter, ask.start, ask.cursor, ask.window, ask.county_count > 0, &refusal))
		fuzz_must_say_why(&refusal);
	fuzz_must(dispatch_rules_window(ask.window) > 0);
	dispatch_seal_holder(&holder, 1, 1, &ask.filter);
	for (size_t i = 0; i < ask.county_count; i++)
		(void)dispatch_streams_add(&streams, ask.counties[i]);
	for (size_t i = 0; i < ask.position_count; i++)
		if (dispatch_streams_find(&streams, ask.positions[i].stream) >= 0)
			(void)dispatch_seal_read(key, &holder, &ask.positions[i], &position, &refusal);
}

/* filter->limit 0: not asked for. */
static bool read_question(
	const struct jk_request *request, struct cases_filter *filter, struct cases_reading *reading, struct jk_refusal *refusal)
{
	const ProtobufCMessageDescriptor *type = request->message->descriptor;
	struct jk_id id;
	size_t limit;
	bool headlines;

	if (type == &jukwaa__v1__case_list__descriptor)
		return cases_wire_read_list(request, filter, reading, refusal);
	if (type == &jukwaa__v1__case_export__descriptor)
		return cases_wire_read_export(request, filter, &headlines, reading, refusal);
	if (type == &jukwaa__v1__case_figures__descriptor)
		return cases_wire_read_figures(request, filter, reading, refusal);
	if (type == &jukwaa__v1__case_similar__descriptor)
		return cases_wire_read_similar(request, &id, &limit, reading, refusal);
	return cases_wire_read_show(request, &id, reading, refusal);
}

static void ask_cases(const struct jk_request *request)
{
	struct cases_filter filter = {0};
	struct cases_reading reading;
	char query[CASES_QUERY_BYTES];
	struct jk_refusal refusal = {0};

	(void)cases_wire_request(request);
	if (!read_question(request, &filter, &reading, &refusal)) {
		fuzz_must_say_why(&refusal);
		return;
	}
	cases_wire_write_query(&filter, query);
	fuzz_must(filter.limit <= CASES_EXPORT_MAX && filter.from_us >= 0 && filter.to_us >= 0);
	if (!*reading.purpose || strlen(reading.note) > CASES_NOTE_MAX_BYTES)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	static const ProtobufCMessageDescriptor *const types[] = {&jukwaa__v1__subscribe__descriptor,
		&jukwaa__v1__case_list__descriptor, &jukwaa__v1__case_show__descriptor, &jukwaa__v1__case_export__descriptor,
		&jukwaa__v1__case_figures__descriptor, &jukwaa__v1__case_similar__descriptor};
	static const size_t count = sizeof types / sizeof *types;
	struct jk_request request = {.arena = fuzz_arena(16 * 1024 * 1024)};
	struct jk_refusal refusal;

	if (size == 0 || jk_crypt_init() != JK_OK)
		return 0;
	request.message = jk_body_unpack(types[bytes[0] % count], bytes + 1, size - 1, request.arena, &refusal);
	if (request.message == NULL)
		return 0;
	if (bytes[0] % count == 0)
		ask_dispatch(&request);
	else
		ask_cases(&request);
	return 0;
}
