/*
 * dir_file - temporary files in .storsync/tmp, and putting them in their place in one step.
 *
 * A crash leaves nothing behind but files in that directory. The next program that writes removes those that
 * nobody has touched for DIR_FILE_STALE.
 *
 * All functions that fail set errno.
 */
#ifndef STORSYNC_DIR_FILE_H
#define STORSYNC_DIR_FILE_H

#include "dir_tree.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIR_FILE_STALE (INT64_C(24) * 60 * 60 * 1000) /* ms */
#define DIR_FILE_NAME_SIZE 48

struct dir_file {
    int fd; /* -1: none */
    char name[DIR_FILE_NAME_SIZE];
};

/* Creates an empty temporary file; before the first one also its directory, which is tidied up. */
bool dir_file_open(struct dir_tree *tree, struct dir_file *file);

/* Removes stale files from the directory `temp`; `now` is wall time. It may fail, which is no reason not
 * to write. */
void dir_file_tidy(int temp, int64_t now);

/* Writes all of it, whatever write(2) takes at a time. */
bool dir_file_write(const struct dir_file *file, const void *data, size_t len, uint64_t offset);

/*
 * Syncs the file, moves it to `path` below the root and syncs the directory there; missing directories are
 * made. With `create` an existing file is not replaced (EEXIST); EOPNOTSUPP when the file system can do
 * neither that rename nor a link. EISDIR when something that is no regular file stands there. The file is
 * closed when that succeeds.
 */
bool dir_file_place(const struct dir_tree *tree, struct dir_file *file, const char *path, bool create);

/* Removes a file that was not placed; none is fine. Keeps errno. */
void dir_file_drop(const struct dir_tree *tree, struct dir_file *file);

#endif
