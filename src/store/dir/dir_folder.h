/*
 * dir_folder - the folders on the way to an object: made where they are missing, and made to last.
 *
 * A folder lasts once the one above it was flushed while it was there. That one is flushed once for all of a batch.
 *
 * INVARIANT: that a folder is there is no reason to believe that it lasts. It may be of a process that was killed before it
 * flushed, or the flush has failed. So a process flushes above each folder that it puts something into, once: a flush for
 * each folder that has such ones in it.
 *
 * What is known to last is kept by a hash of its path, some thousand of them. What is forgotten is flushed once more.
 */
#ifndef STORSYNC_DIR_FOLDER_H
#define STORSYNC_DIR_FOLDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dir_tree;

/* Part of a dir_tree; all zero at first. */
struct dir_folders {
    uint64_t facts[512][2]; /* about folders, by hash */
    uint64_t turn;          /* another one after dir_folder_begin, and after each folder that is made */
    struct {
        uint64_t folder;
        int error;
    } failed[8]; /* since dir_folder_begin */
    unsigned failures;
};

/* As dir_open and dir_open_parent, from the root; missing folders are made, 0755 less the umask, and DIR_STATE with no rights
 * for others. */
int dir_folder_make(struct dir_tree *tree, const char *path, size_t len);
int dir_folder_make_parent(struct dir_tree *tree, const char *path, const char **leaf);

/* Begins a turn. In one a folder is flushed once for all that is in it, and once more when another folder was made. INVARIANT: a
 * failure is told once, so the same flush is not tried again. */
void dir_folder_begin(struct dir_tree *tree);

/* Makes all folders on the way to `path` last. A folder for which that fails is removed if we have made it and it is empty:
 * another flush might succeed without having done what the first one could not. */
bool dir_folder_settle(struct dir_tree *tree, const char *path);

/* They do: the volume was flushed. */
void dir_folder_believe(struct dir_tree *tree, const char *path);

#endif
