/* The names of base/jk_words.h are those of the .proto files, none missing on either side. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/jk_words.h"
#include "jukwaa/v1/feed.pb-c.h"
#include "jukwaa/v1/incident.pb-c.h"
#include "jukwaa/v1/intake.pb-c.h"
#include "jukwaa/v1/session.pb-c.h"

struct pair {
	const struct jk_words *words;
	const ProtobufCEnumDescriptor *type;
};
static const struct pair pairs[] = {
	{&jk_codes, &jukwaa__v1__code__descriptor},
	{&jk_realms, &jukwaa__v1__realm__descriptor},
	{&jk_roles, &jukwaa__v1__role__descriptor},
	{&jk_cap_statuses, &jukwaa__v1__status__descriptor},
	{&jk_msg_types, &jukwaa__v1__msg_type__descriptor},
	{&jk_scopes, &jukwaa__v1__scope__descriptor},
	{&jk_categories, &jukwaa__v1__category__descriptor},
	{&jk_urgencies, &jukwaa__v1__urgency__descriptor},
	{&jk_severities, &jukwaa__v1__severity__descriptor},
	{&jk_certainties, &jukwaa__v1__certainty__descriptor},
	{&jk_response_types, &jukwaa__v1__response_type__descriptor},
	{&jk_tlps, &jukwaa__v1__tlp__descriptor},
	{&jk_formats, &jukwaa__v1__format__descriptor},
	{&jk_verdicts, &jukwaa__v1__verdict__descriptor},
	{&jk_event_kinds, &jukwaa__v1__event_kind__descriptor},
	{&jk_place_schemes, &jukwaa__v1__place_scheme__descriptor},
};

static void same_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
		const ProtobufCEnumDescriptor *type = pairs[i].type;
		size_t prefix = strlen(type->values[0].name) - strlen("UNSPECIFIED");
		size_t ours = 0;
		for (size_t number = 0; number < pairs[i].words->count; number++)
			ours += pairs[i].words->names[number] ? 1 : 0;
		assert_int_equal(ours, type->n_values);
		for (unsigned v = 0; v < type->n_values; v++)
			assert_string_equal(jk_words_name(pairs[i].words, type->values[v].value), type->values[v].name + prefix);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(same_names)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
