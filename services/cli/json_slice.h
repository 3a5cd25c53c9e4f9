/* json_slice.h: where values begin and end in JSON text, without reading it: for files of many reports, which are passed on
 * byte for byte, and for showing JSON that our own library made. Whether it is right JSON is judged elsewhere. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct json_slice {
	const char *at, *end;
};

struct json_slice json_slice_trim(struct json_slice text);
/* Cuts the value that begins at text->at (after blanks) off the front. False: none there, or not complete. */
bool json_slice_take(struct json_slice *text, struct json_slice *ret_value);
/* Elements of an array, members of an object: set text to the value, then call until false. ret_name without quotes. */
bool json_slice_enter(struct json_slice *text, char bracket);
bool json_slice_element(struct json_slice *text, struct json_slice *ret_value);
bool json_slice_member(struct json_slice *text, struct json_slice *ret_name, struct json_slice *ret_value);
/* The member of that name of an object; false: none. */
bool json_slice_find(struct json_slice object, const char *name, struct json_slice *ret_value);
