/*
 * dir_meta - the metadata of a directory bucket's objects, in sidecar files.
 *
 *     .storsync/meta/<2 digits>/<SHA-256 of the key, 64 digits>.json
 *     {"schema":1,"key":"a.png","etag":"1f-18a...","metadata":[["cache-control","no-cache"],["user:x","y"]]}
 *
 * `etag` (size and time) names the version of the body that it belongs to; a sidecar of another version
 * counts for nothing, so a file that was changed by other means has no metadata. A text that is not UTF-8 is
 * written as {"hex":...}.
 *
 * There is no sidecar for metadata that reading would give anyway: none, or just the content type that the
 * key's extension stands for.
 */
#ifndef STORSYNC_DIR_META_H
#define STORSYNC_DIR_META_H

#include "dir_tree.h"
#include "object.h"

#include <stdbool.h>
#include <sys/stat.h>

/* Writes, or removes, the sidecar of the body whose status this is. False with errno. */
bool dir_meta_save(struct dir_tree *tree, const char *key, const struct stat *status,
                   const struct object_meta *meta);

/* Adds to `meta` (empty) what the sidecar says, or else the guessed content type. A malformed sidecar
 * counts as none; one that cannot be read is a failure, because its metadata would be lost by whoever
 * copies the object. */
bool dir_meta_load(const struct dir_tree *tree, const char *key, const struct stat *status,
                   struct object_meta *meta);

bool dir_meta_remove(const struct dir_tree *tree, const char *key);

#endif
