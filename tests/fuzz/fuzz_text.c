/* Words of one line that come from outside: a webhook's URL and the addresses it may lead to, times, identifiers, numbers,
 * base64url, hex. First byte: which. */
#include "base/jk_id.h"
#include "base/jk_time.h"
#include "fuzz.h"
#include "notify_rules.h"
#include "notify_webhook.h"
#include "services/cli/csv_time.h"

static void read_url(const char *text)
{
	char host[NOTIFY_HOST_BYTES];

	notify_webhook_host(text, host);
	fuzz_must(strlen(host) < sizeof host && strpbrk(host, " \r\n") == NULL);
}

/* No form of an address that is not public may pass as one that is: an IPv4 address within IPv6 is judged like the address
 * itself. */
static void read_address(const uint8_t *bytes, size_t size)
{
	uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff}, translated[16] = {0x00, 0x64, 0xff, 0x9b};

	if (size == 16)
		(void)notify_rules_address_is_public(bytes, 16);
	if (size != 4)
		return;
	memcpy(mapped + 12, bytes, 4);
	memcpy(translated + 12, bytes, 4);
	if (!notify_rules_address_is_public(bytes, 4))
		fuzz_must(!notify_rules_address_is_public(mapped, 16) && !notify_rules_address_is_public(translated, 16));
	fuzz_must((bytes[0] != 127 && bytes[0] != 10 && bytes[0] != 0 && bytes[0] < 224) ||
		  !notify_rules_address_is_public(bytes, 4));
}

static void read_time(const char *text)
{
	static const char *const patterns[] = {"rfc3339", "dd/mm/yyyy HH:MM", "yyyy-mm-dd HH:MM:SSzone", "d mon yyyy"};
	char again[JK_TIME_BYTES];
	int64_t time_us, time_again_us;
	int zone_s = 10800;

	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		(void)csv_time_parse(patterns[i], &zone_s, text, &time_us);
	if (!jk_time_parse(text, &time_us))
		return;
	jk_time_format(again, time_us);
	fuzz_must(jk_time_parse(again, &time_again_us) && time_again_us == time_us);
}

/* pattern TAB text */
static void read_pattern(char *text)
{
	char *tab = strchr(text, '\t');
	int64_t time_us;

	if (tab == NULL)
		return;
	*tab = '\0';
	if (csv_time_is_pattern(text))
		(void)csv_time_parse(text, NULL, tab + 1, &time_us);
}

static void read_codes(const char *text)
{
	size_t capacity = strlen(text) * 3 / 4 + 3, size;
	uint8_t *bytes = malloc(capacity);
	char *again = malloc(capacity * 2);
	struct jk_id id;
	int64_t number;
	double real;

	fuzz_must(bytes != NULL && again != NULL);
	if (jk_base64url_decode(bytes, capacity, &size, text)) {
		fuzz_must(size <= capacity);
		(void)jk_base64url_encode(again, bytes, size);
		fuzz_must(strlen(again) == strlen(text));
	}
	if (jk_id_parse(text, &id)) {
		char form[JK_ID_TEXT_BYTES];
		jk_id_format(form, &id);
	}
	if (jk_hex_decode(bytes, strlen(text) / 2, text))
		fuzz_must(strlen(text) % 2 == 0);
	if (jk_text_to_int64(text, -1000, 1000, &number))
		fuzz_must(number >= -1000 && number <= 1000);
	if (jk_text_to_double(text, &real))
		fuzz_must(real - real == 0);
	free(bytes);
	free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
	if (size == 0)
		return 0;
	char *text = fuzz_text(bytes + 1, size - 1);
	switch (bytes[0] % 5) {
	case 0:
		read_url(text);
		break;
	case 1:
		read_address(bytes + 1, size - 1);
		break;
	case 2:
		read_time(text);
		break;
	case 3:
		read_pattern(text);
		break;
	default:
		read_codes(text);
	}
	free(text);
	return 0;
}
