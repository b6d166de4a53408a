/*
 * dir_sort - more names than memory holds, in byte order: sorted runs on disk, then a merge of all of them.
 *
 * The runs are in a file that has no name from the beginning: whatever happens, nothing stays behind. It is made in
 * the first of these folders where that works: the one that the caller names, /tmp, /var/tmp. What is memory (tmpfs)
 * is passed over, for memory is what there is too little of.
 *
 * Memory: about `memory` bytes, taken when the merge begins. Each run has an equal part of them, of at least
 * DIR_SORT_PART bytes, so there can be `memory` / DIR_SORT_PART runs. With runs of `memory` bytes 768 KiB sort more
 * than 1 GiB of names, and that much of the disk is taken at the most.
 *
 * Source: Knuth, The Art of Computer Programming, volume 3, 5.4.1 (multiway merging).
 */
#ifndef STORSYNC_DIR_SORT_H
#define STORSYNC_DIR_SORT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for a name with what a caller adds to it, and its NUL; none may be longer. */
#define DIR_SORT_NAME (NAME_MAX + 2)
#define DIR_SORT_PART ((size_t)2 * DIR_SORT_NAME)

struct dir_sort;

/* NULL with errno if there is no folder for it. `folder` is borrowed for this call; -1: none. */
struct dir_sort *dir_sort_new(int folder, size_t memory);
void dir_sort_free(struct dir_sort *sort);

/* Adds a run: `count` names in order, each at `names` + its start, with its NUL. False with errno; EFBIG for too many
 * runs. After a failure the sort is only good for dir_sort_free. */
bool dir_sort_add(struct dir_sort *sort, const char *names, const uint32_t *starts, size_t count);

/* After the last run. False with errno. */
bool dir_sort_merge(struct dir_sort *sort);

/* The next name; one that was added twice comes once. It is valid until the next call. NULL: after the last one with
 * errno 0, else for a failure. */
const char *dir_sort_next(struct dir_sort *sort);

#endif
