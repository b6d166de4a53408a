/*
 * dir_file - temporary files, and putting them in their place in one step.
 *
 * They are in .storsync/tmp: a crash leaves nothing behind but files there. Where that is another volume than
 * the place of the object (one is mounted inside the bucket), a rename does not get there; the file is carried
 * over then, and from the first time on all temporary files are made beside their place, under names that no
 * listing shows.
 *
 * What nobody has touched for DIR_FILE_STALE is removed: from .storsync/tmp before the first write, elsewhere
 * by listings of a bucket that has been written to (dir_list.h).
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
#define DIR_FILE_NAME_SIZE (sizeof DIR_TEMP_PREFIX + 56)

struct dir_file {
    int fd;         /* -1: none */
    int folder;     /* the directory it is in */
    bool beside;    /* that is the place of an object, and the descriptor this file's own */
    int64_t opened; /* wall */
    char name[DIR_FILE_NAME_SIZE];
};

/* Creates an empty temporary file for `path`, which only its owner may read; before the first one also
 * DIR_TEMP, which is tidied up. */
bool dir_file_open(struct dir_tree *tree, struct dir_file *file, const char *path);

/* Removes the file `name` if nobody has touched it since `before`, wall time. It may fail, which is no reason
 * not to write. */
void dir_file_tidy_one(int folder, const char *name, int64_t before);

/* The same for all files in a directory. */
void dir_file_tidy(int folder, int64_t before);

/* Writes all of it, whatever write(2) takes at a time. */
bool dir_file_write(const struct dir_file *file, const void *data, size_t len, uint64_t offset);

/* Has the device begin with what was written, without waiting for it: so that many files, or the pieces of a large one, are
 * under way at once when they are waited for. */
bool dir_file_start(const struct dir_file *file);

/* Waits until the device has that piece. It is not flushed by that, but soon will be. */
bool dir_file_await(const struct dir_file *file, uint64_t offset, uint64_t len);

/* Makes it durable. */
bool dir_file_flush(const struct dir_file *file);

/*
 * Makes everything durable that is on its volume, with one flush of the device, which many small files wait for less than for
 * one each. False: that is not done, or did not work, and each file has to be flushed. It is done only where it is known to
 * take all of what fsync does (ext4, XFS; not FUSE, whose server is not told, nor what is like it), and while little is
 * waiting to be written on this machine, by whomever: otherwise it would wait for that as well.
 */
bool dir_file_flush_volume(const struct dir_file *file);

/* After that: have the bytes of this one arrived? */
bool dir_file_arrived(const struct dir_file *file);

/*
 * Moves it to `leaf` in `parent`, which is not synced. With `create` an existing file is not replaced (EEXIST);
 * EOPNOTSUPP when the file system can do neither that rename nor a link. EISDIR when something that is no regular
 * file stands there; EXDEV when that is another volume. The file is closed when that succeeds.
 */
bool dir_file_move(struct dir_file *file, int parent, const char *leaf, bool create);

/* Makes it a temporary file in `parent`, with the same bytes and nothing else of the old one. ECANCELED when
 * stop_requested() meanwhile. */
bool dir_file_carry(struct dir_tree *tree, struct dir_file *file, int parent);

/* Removes a file that was not moved; none is fine. Keeps errno. */
void dir_file_drop(struct dir_file *file);

#endif
