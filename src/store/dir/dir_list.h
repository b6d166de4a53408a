/*
 * dir_list - the objects of a directory bucket in byte order of their keys, in bounded memory.
 *
 * Two walks are merged: the tree of plain paths and that of odd names (dir_tree.h). A walk is a stack of the
 * directories on the way to the current file. Of each it keeps a window: the smallest names behind the last
 * one handed out, as many as fit; when they are used up and there are more, the directory is read again. A
 * directory's name sorts with a '/' behind it, which makes the order of paths that of keys ("a.txt", "a/b",
 * "a0").
 *
 * Memory: all windows of a walk together have about `window` bytes, of which a directory gets half of what
 * the ones above it leave (but at least DIR_LIST_LEVEL_MIN). Names that do not fit are sorted on disk
 * (dir_sort.h); where there is no room for it, their directory is read once more for each window's worth of them.
 *
 * Left out: what is neither a regular file nor a directory, and paths longer than a key may be. A file that
 * vanishes before it is reached is left out, one that appears behind the last key may be listed. (lost+found, which
 * is root's, may not be readable.)
 *
 * A directory that cannot be read, or a file that cannot be looked at, is an entry that says so (object.h): what is
 * not listed would count as missing. That is a failure where no entry could tell it: for the root, a window after
 * the first, odd names, and when it is this process that lacks memory or descriptors.
 *
 * Temporary files (DIR_TEMP_PREFIX) are passed over; in a directory that this process has written to, those of
 * crashed runs are removed on the way. stop_requested() ends it within a thousand directory entries.
 */
#ifndef STORSYNC_DIR_LIST_H
#define STORSYNC_DIR_LIST_H

#include "dir_tree.h"
#include "error.h"
#include "filter.h"
#include "object.h"

#include <stddef.h>
#include <stdint.h>

#define DIR_LIST_WINDOW ((size_t)1536 * 1024)
#define DIR_LIST_LEVEL_MIN ((size_t)2 * 1024)

struct dir_list;
enum dir_list_state { DIR_LIST_ENTRY, DIR_LIST_END, DIR_LIST_FAILED };

/* NULL with *error. `prefix` has at most OBJECT_KEY_MAX bytes; `tree` is borrowed until dir_list_close. */
struct dir_list *dir_list_open(const struct dir_tree *tree, const char *prefix, size_t window,
                               struct error *error);
void dir_list_close(struct dir_list *list);

/* From now on no directory is entered of which `filter` takes nothing; NULL takes all. Borrowed. */
void dir_list_filter(struct dir_list *list, struct filter *filter);

/* The next object; its key is valid until dir_list_next. ERROR_PERMISSION and the like with
 * DIR_LIST_FAILED. */
enum dir_list_state dir_list_peek(struct dir_list *list, struct object_entry *entry, struct error *error);
void dir_list_next(struct dir_list *list);

/* How many things were left out so far. */
uint64_t dir_list_left_out(const struct dir_list *list);

#endif
