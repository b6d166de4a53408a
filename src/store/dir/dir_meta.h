/*
 * dir_meta - the metadata of a directory bucket's objects, in sidecar files.
 *
 *     .storsync/meta/<2 digits>/<SHA-256 of the key, 64 digits>.json
 *     {"schema":1,"key":"a.png","etag":"1f-18a...","inode":8,"replaces":7,
 *      "metadata":[["cache-control","no-cache"],["user:x","y"]]}
 *
 * `etag` (dir_stamp: size and time) names the version of the body that it belongs to; a sidecar of another
 * version counts for nothing, so a file that was changed by other means has no metadata. A text that is not
 * UTF-8 is written as {"hex":...}.
 *
 * There is no sidecar for metadata that reading would give anyway: none, or just the content type that the
 * key's extension stands for.
 *
 * Writing an object: dir_meta_write makes the new version's sidecar, a temporary file; once that is flushed,
 * dir_meta_announce puts it beside the old one, as ".next" instead of ".json", and dir_meta_sync makes that durable;
 * then the body is put in its place; then dir_meta_settle renames the sidecar. Readers take the one of the two that
 * belongs to the body that is there, so a crash or failure in between costs neither version its metadata. Two versions
 * of the same size and time are told apart by their inodes' numbers: a temporary file keeps its own when it is renamed.
 *
 * All functions that fail set errno.
 */
#ifndef STORSYNC_DIR_META_H
#define STORSYNC_DIR_META_H

#include "dir_file.h"
#include "dir_tree.h"
#include "object.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Before the body: `old` is the status of the one that is there, or NULL; `next` that of the new one. If no sidecar is needed,
 * `file` is none (its fd is -1), which is for the others here to know as well. */
bool dir_meta_write(struct dir_tree *tree, const char *key, const struct stat *old, const struct stat *next,
                    const struct object_meta *meta, struct dir_file *file);
bool dir_meta_announce(const struct dir_tree *tree, const char *key, const struct stat *old,
                       struct dir_file *file);

/* Which of the directories a key's sidecars are in. One sync is good for all that were announced there before it. */
#define DIR_META_SHELVES 256
unsigned dir_meta_shelf(const char *key);
bool dir_meta_sync(struct dir_tree *tree, unsigned shelf);

/* The path of such a directory, with a '/' behind it. */
#define DIR_META_FOLDER (sizeof DIR_META + 4)
const char *dir_meta_folder(unsigned shelf, char path[DIR_META_FOLDER]);

/* After it; with the same metadata. */
bool dir_meta_settle(const struct dir_tree *tree, const char *key, const struct object_meta *meta);

/* Instead of that, if the body could not be put in its place. Keeps errno. */
void dir_meta_forget(const struct dir_tree *tree, const char *key);

/* Adds to `meta` (empty) what the sidecar says, or else the guessed content type. A malformed sidecar
 * counts as none; one that cannot be read is a failure, because its metadata would be lost by whoever
 * copies the object. */
bool dir_meta_load(const struct dir_tree *tree, const char *key, const struct stat *status,
                   struct object_meta *meta);

bool dir_meta_remove(const struct dir_tree *tree, const char *key);

#endif
