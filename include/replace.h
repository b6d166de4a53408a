/*
 * replace - a file that appears whole or not at all: it is written under another name beside its own, and renamed.
 *
 * What is there must be a regular file, a link to one, or nothing: rename(2) would replace a device (/dev/null, say) as readily.
 * A link itself is replaced, and not what it leads to.
 */
#ifndef STORSYNC_REPLACE_H
#define STORSYNC_REPLACE_H

#include "buf.h"
#include "error.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct replace {
    const char *path, *what; /* where it is, and "the status file" in errors; borrowed */
    int fd;                  /* -1: nothing is open */
    char temporary[PATH_MAX];
};

/* The errors of all three say what could not be written, and why (error_set_errno, or ERROR_LOCAL). After one of them nothing is
 * open, and nothing is left behind. */
bool replace_begin(struct replace *replace, const char *path, const char *what, struct error *error);
bool replace_write(struct replace *replace, const char *data, size_t len, struct error *error);
/* All of it is on the disk, readable for everybody, and in its place. */
bool replace_finish(struct replace *replace, struct error *error);

/* What is there stays. Also if nothing is open. */
void replace_drop(struct replace *replace);

/* All of that for a small one. It ends with a newline, whether `text` has one or not. */
bool replace_file(const char *path, const char *what, const struct buf *text, struct error *error);

#endif
