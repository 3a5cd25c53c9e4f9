/* intake_wire_cap_parts.h: what the pieces of the CAP reader share. For intake_wire_cap*.c alone. Every function that returns
 * bool has filled reading->refusal when it returns false. */
#pragma once

#include <libxml/tree.h>

#include "services/intake/intake_decoded.h"

#define CAP_NAMESPACE "urn:oasis:names:tc:emergency:cap:1.2"
#define CAP_NO_TEXT ((char *)protobuf_c_empty_string) /* never written to */

/* How much of a thing one alert may hold; beyond it is a RULE_VIOLATION that names the element. Together they stay far under the
 * 524,288 fields that jk_body_check lets pass (a point is three fields, a named value too), so that what is stored can also
 * be read by those it is sent to. */
enum {
	CAP_INFOS_MAX = 64,
	CAP_AREAS_MAX = 256,
	CAP_SHAPES_MAX = 1024,
	CAP_POINTS_MAX = 16384,
	CAP_NAMED_VALUES_MAX = 3072,
	CAP_RESOURCES_MAX = 256,
	CAP_LIST_MAX = 256, /* codes; references; incidents; addresses: each */
};

/* Elements in the whole alert, repeats included: the size of the arrays to be filled. */
struct cap_counts {
	size_t infos, categories, response_types, event_codes, parameters, resources, areas, polygons, circles, geocodes, codes;
};

struct cap_reading {
	const xmlNode *alert;
	bool strict;
	struct jk_arena *arena;
	struct intake_decoded *decoded;
	Jukwaa__V1__Incident *incident;
	struct jk_refusal *refusal;
	struct cap_counts counts;
	int64_t sent_us;
	size_t points; /* kept so far */
};

/* intake_wire_cap_node.c: elements, texts, messages. */

/* Element children in CAP's namespace; others (signatures) are passed over. NULL at the end. */
const xmlNode *cap_first(const xmlNode *parent);
const xmlNode *cap_next(const xmlNode *node);
bool cap_is(const xmlNode *node, const char *name);
/* The first child of that name; NULL when there is none. */
const xmlNode *cap_child(const xmlNode *parent, const char *name);

/* Arena memory, zeroed; NULL: refused as OVERSIZE. */
void *cap_alloc(struct cap_reading *reading, size_t bytes);
/* Room for that many pointers and one more. */
void *cap_list(struct cap_reading *reading, size_t pointers);
/* An empty message of that type in the arena; NULL: refused as OVERSIZE. */
void *cap_message(struct cap_reading *reading, const ProtobufCMessageDescriptor *type);
/* The text of an element, as written. */
bool cap_text(struct cap_reading *reading, const xmlNode *node, char **ret_text);
/* The same without white space around it: XML Schema's "collapse" for one word. */
bool cap_word(struct cap_reading *reading, const xmlNode *node, char **ret_word);
/* The text of the child of that name; *ret_text stays as it is when there is none. */
bool cap_child_text(struct cap_reading *reading, const xmlNode *parent, const char *name, char **ret_text);
/* The number of the word an element holds; the schema has let it pass. */
bool cap_number(struct cap_reading *reading, const xmlNode *node, const struct jk_words *words, int *ret_number);
bool cap_time(struct cap_reading *reading, const xmlNode *node, int64_t *ret_time_us);
bool cap_is_blank(const char *text);
bool cap_is_space(char c);

/* "alert/info[2]/area/polygon[3]"; an index only where there are several. */
void cap_path(char *ret, size_t capacity, const xmlNode *node);
bool cap_refuse(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason_format, ...)
	JK_PRINTF(4, 5);
/* A warning; under strict a refusal, as RULE_VIOLATION. */
bool cap_warn(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason);
/* A warning that strict mode lets pass too. */
void cap_note(struct cap_reading *reading, enum jk_code code, const xmlNode *node, const char *reason);

/* intake_wire_cap_parse.c: bytes to a tree that the caller frees; NULL: refused as NOT_WELL_FORMED (or OVERSIZE). */
xmlDocPtr cap_parse(const uint8_t *bytes, size_t size, struct jk_refusal *ret_refusal);

/* intake_wire_cap_alert.c: the alert element: identity, handling, references. Fills decoded but for canonical. */
bool cap_read_alert(struct cap_reading *reading);

/* intake_wire_cap_info.c: all info elements: classification, times, narrative, resources. */
bool cap_read_infos(struct cap_reading *reading);

/* A list of words parted by white space, "…" around a word that holds some (CAP 1.2 §3.2.1 addresses, incidents). At most
 * CAP_LIST_MAX. *ret_unclosed: the last quote is not closed; the rest of the text is then the last word. */
bool cap_read_list(struct cap_reading *reading, const xmlNode *node, size_t *ret_count, char ***ret_words, bool *ret_unclosed);

/* intake_wire_cap_area.c: all area elements: place. */
bool cap_read_areas(struct cap_reading *reading);
