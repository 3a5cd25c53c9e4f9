#include "services/intake/intake_examine.h"

#include <string.h>

#include "base/jk_text.h"
#include "services/intake/intake_locate.h"

static void hash_key(struct intake_key *ret, const struct intake_item *item, const char *external_id)
{
	uint8_t sizes[3][4], format[4], digest[JK_SHA256_BYTES];
	const struct jk_span spans[] = {{sizes[0], 4}, {item->agency, strlen(item->agency)}, {sizes[1], 4}, {format, 4},
		{sizes[2], 4}, {external_id, strlen(external_id)}};

	jk_put_be32(format, (uint32_t)item->format);
	for (int i = 0; i < 3; i++)
		jk_put_be32(sizes[i], (uint32_t)spans[2 * i + 1].size);
	jk_sha256(digest, spans, sizeof spans / sizeof *spans);
	memcpy(ret->bytes, digest, sizeof ret->bytes);
}

static bool fill_candidate(const struct intake_examiner *examiner, struct intake_item *item)
{
	struct intake_candidate *candidate = &item->candidate;
	const struct intake_report *report = &item->report;
	const struct jk_span content = {examiner->decoded.canonical, examiner->decoded.canonical_size};
	size_t count = report->reference_count < INTAKE_REFERENCES_MAX ? report->reference_count : INTAKE_REFERENCES_MAX;
	struct intake_key *references = count ? jk_arena_alloc(item->arena, count * sizeof *references) : NULL;

	if (count && !references)
		return false;
	hash_key(&candidate->key, item, report->external_id);
	for (size_t i = 0; i < count; i++)
		hash_key(&references[i], item, report->references[report->reference_count - count + i]);
	jk_keyed_hash(candidate->content, sizeof candidate->content, examiner->content_key, &content, 1);
	candidate->report = report;
	candidate->references = references;
	candidate->reference_count = count;
	candidate->event_id = jk_id_new();
	candidate->incident_id = jk_id_new();
	return true;
}

static bool keep_warnings(struct intake_item *item, const struct intake_warnings *warnings)
{
	if (warnings->count == 0)
		return true;
	item->warnings = jk_arena_copy(item->arena, warnings->list, warnings->count * sizeof *warnings->list);
	item->warning_count = warnings->count;
	return item->warnings != NULL;
}

/* Most events say nothing that a batch has to decide: they are sealed here, while the database is busy with the batch before. */
static bool seal_early(struct intake_item *item)
{
	const struct intake_filling filling = {.counties = item->candidate.counties};

	item->stands_alone = !item->check && intake_rules_stands_alone(&item->report, item->candidate.counties);
	return !item->stands_alone || intake_wire_seal(item, &filling, item->arena) == JK_OK;
}

/* Signed with the key that the session runs under, for its agency; wanted where the agency's policy says so. */
static bool check_origin(const struct jk_registry_key *key, const struct intake_publish *publish, struct intake_item *item,
	struct jk_refusal *ret_refusal)
{
	struct jk_origin *origin = &item->origin.origin;

	if (publish->origin_salt.size == 0 && publish->origin_signature.size == 0)
		return !key->agency->require_signature || jk_refuse(ret_refusal, JK_CODE_BAD_SIGNATURE, "origin_signature",
								  "%s signs its reports; this one is not signed", item->agency);
	if (publish->origin_salt.size != sizeof item->origin.salt || publish->origin_signature.size != sizeof origin->signature)
		return jk_refuse(ret_refusal, JK_CODE_BAD_SIGNATURE, "origin_signature", "a salt has 16 bytes, a signature 64");
	memcpy(item->origin.salt, publish->origin_salt.data, sizeof item->origin.salt);
	memcpy(origin->signature, publish->origin_signature.data, sizeof origin->signature);
	memcpy(origin->sign_key, key->sign_key, sizeof origin->sign_key);
	origin->format = (uint32_t)item->format;
	jk_origin_digest(origin->digest, item->origin.salt, publish->payload, publish->payload_size);
	if (!jk_origin_is_signed(origin, item->agency))
		return jk_refuse(ret_refusal, JK_CODE_BAD_SIGNATURE, "origin_signature",
			"it is not a signature over this report by the registered key of %s", item->agency);
	return item->origin.given = true;
}

bool intake_examine(struct intake_examiner *examiner, const struct jk_request *request, const struct intake_publish *publish,
	struct intake_item *item, struct jk_refusal *ret_refusal)
{
	const struct jk_registry_key *key = request->key;
	const struct intake_policy policy = {
		.realm = request->registry->realm,
		.agency = item->agency,
		.any_sender = key->any_sender,
		.cap_senders = key->cap_senders,
		.cap_sender_count = key->cap_sender_count,
	};
	struct intake_decoded *decoded = &examiner->decoded;
	struct intake_located located;

	decoded->warnings.count = 0;
	memset(decoded, 0, offsetof(struct intake_decoded, warnings));
	if (!check_origin(key, publish, item, ret_refusal) ||
		!intake_wire_read(examiner->cap, publish, item->arena, decoded, ret_refusal) ||
		!intake_wire_report(decoded, publish->county, item->arena, &item->report, &item->message, ret_refusal) ||
		!intake_rules_admit(&item->report, &policy, ret_refusal))
		return false;
	intake_locate(request->registry, examiner->boundaries, &item->report.place, &located);
	if (!intake_rules_place(&located, publish->strict, &item->candidate.counties, &decoded->warnings, ret_refusal))
		return false;
	if (!fill_candidate(examiner, item) || !keep_warnings(item, &decoded->warnings) || !seal_early(item))
		return jk_refuse(ret_refusal, JK_CODE_OVERSIZE, "payload", "it unpacks to more than is allowed");
	return true;
}
