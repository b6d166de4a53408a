/*
 * replace - a small file for others to read, replaced at once.
 *
 * Written as a temporary file beside it, fsync, rename; so a reader sees the old text or the new one, never half of one. Its mode
 * is 0644. A symbolic link is replaced, not followed. Anything else that is no regular file is refused, and a link to such
 * (/dev/stdout, say, which others may need).
 */
#ifndef STORSYNC_REPLACE_H
#define STORSYNC_REPLACE_H

#include "buf.h"
#include "error.h"

#include <stdbool.h>

/* `what` names it in errors: "the status file". The file ends with a newline, whether `text` has one or not. */
bool replace_file(const char *path, const char *what, const struct buf *text, struct error *error);

#endif
