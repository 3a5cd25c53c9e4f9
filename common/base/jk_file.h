/* jk_file.h: writing files. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* All of it, over interruptions and short writes; blocks as the file does. False: errno says why, and part of it may be written.
 */
bool jk_write_all(int fd, const void *bytes, size_t size);
