/*
 * dir_object - an object of a directory bucket as a whole: its body, in the plain or the odd place, and its
 * sidecar.
 *
 * Many that are finished at the same time become durable together, in steps of which each is done for all of them
 * before the next one begins:
 *
 *     flush    permissions, time and sidecar of each; the folders on the way to them are made to last (dir_folder.h); then
 *              fsync of all temporary files, which the device has begun to write before the first one is waited for; or
 *              all of that by a flush of their volume, if that is better (dir_file_flush_volume)
 *     name     the sidecars become the next ones, and their directories are synced; the bodies are renamed to their
 *              places, and these directories are synced, each once, or their volume; the sidecars are settled
 *
 * INVARIANT: a rename that shows bytes comes after the fsync of these bytes, the rename of a body after the fsync of its
 * sidecar's directory, and nobody is told of an object before the fsync of its own directory, or before the folders on the
 * way to it last. What fails with one object
 * is that one's failure.
 *
 * All functions that fail set errno.
 */
#ifndef STORSYNC_DIR_OBJECT_H
#define STORSYNC_DIR_OBJECT_H

#include "dir_file.h"
#include "dir_tree.h"
#include "object.h"
#include "store.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

/* What no file system says, unlike ESTALE, by which NFS tells that it has lost its files. */
#define DIR_CHANGED EBADE

enum dir_stage {
    DIR_WRITING, /* the body may still grow */
    DIR_WRITTEN, /* all of it is there: to be flushed */
    DIR_FLUSHED, /* to be named */
    DIR_NAMED,   /* it is the object, durably, unless `error` says why not */
};

/* An object on its way to its place. */
struct dir_commit {
    struct dir_file body; /* owned; closed once it is in its place */
    const char *key;      /* this and the next two are borrowed */
    const struct object_meta *meta;
    struct store_condition condition;
    int64_t modified; /* CLOCK_UNKNOWN: the time of its writing */

    enum dir_stage stage;
    int error; /* errno of what has failed; 0: nothing yet */
    struct dir_commit *next;
    int64_t since; /* dir_batch.h */

    /* Private. */
    struct dir_file sidecar;
    struct stat old; /* of what it replaces */
    bool replaces;
    bool odd;       /* its place */
    bool announced; /* its sidecar is the next one */
};

/* Both take a list of what has come that far, and bring it to the next stage. EEXIST if there is an object that must be
 * absent, DIR_CHANGED if a version that must be there is not: that is looked at just before, not in one step with the rename.
 * ENOTUNIQ if the file system takes the key's path for another one (dir_names.h), ELOOP if a symbolic link or a device is
 * in the way (dir_find_foreign). The object and the metadata of one that fails are what they were; but for a directory
 * that cannot be synced, when it is there and may not survive a crash.
 *
 * From `until` (mono) on no further one is flushed: how many were is returned, at least one. The others stay as they are. */
int dir_commits_flush(struct dir_tree *tree, struct dir_commit *first, int64_t until);
void dir_commits_name(struct dir_tree *tree, struct dir_commit *first);

/* The same for one that is all written. */
bool dir_commit(struct dir_tree *tree, struct dir_commit *commit);

/* Removes what is not in its place. */
void dir_commit_drop(struct dir_commit *commit);

/* Removes body and sidecar; no such object is fine. Directories that become empty stay. DIR_CHANGED: it is not the version of the
 * condition. */
bool dir_object_remove(const struct dir_tree *tree, const char *key, const struct store_condition *condition);

#endif
