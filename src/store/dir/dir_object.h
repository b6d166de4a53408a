/*
 * dir_object - an object of a directory bucket as a whole: its body, in the plain or the odd place, and its
 * sidecar.
 *
 * All functions set errno when they fail.
 */
#ifndef STORSYNC_DIR_OBJECT_H
#define STORSYNC_DIR_OBJECT_H

#include "dir_file.h"
#include "dir_tree.h"
#include "object.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* Makes a finished temporary file the object's body: sets its time (unless `modified` is CLOCK_UNKNOWN),
 * writes the sidecar, puts it in its place. EEXIST if there is an object that must be absent, ESTALE if a version that
 * must be there is not: that is looked at just before, not in one step with the rename. ENOTUNIQ if
 * the file system takes the key's path for another one (dir_names.h), ELOOP if a symbolic link or a device is in the way (dir_find_foreign). The file is closed when that succeeds; if not, the
 * object and its metadata are what they were. */
bool dir_object_commit(struct dir_tree *tree, struct dir_file *file, const char *key, int64_t modified,
                       const struct object_meta *meta, const struct store_condition *condition);

/* Removes body and sidecar; no such object is fine. Directories that become empty stay. ESTALE: it is not the version of the
 * condition. */
bool dir_object_remove(const struct dir_tree *tree, const char *key, const struct store_condition *condition);

#endif
