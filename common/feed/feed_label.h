/* feed_label.h: whom a label may name: for those who make the label of an event that is not stored yet, so that it says what
 * jk_body_label (feed_body.h) would say of the stored one. Not here: labels themselves (authz.h). */
#pragma once

/* Of Handling.addresses, the first so many that can be codes; what is longer is none. Nobody is let in by a name beyond these. */
enum { JK_LABEL_NAMED_MAX = 256, JK_LABEL_NAMED_MAX_BYTES = 32 };
