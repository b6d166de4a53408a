/*
 * dir_tree - the paths of a directory bucket: which path a key has, and how to get there without leaving the
 * root.
 *
 * Every path is walked from the root's descriptor without following a symbolic link: in one step where the kernel can
 * (openat2), else component by component with O_NOFOLLOW. Components that are empty, "." or ".." are refused. So
 * neither a key nor a symbolic link in the tree leads out of it.
 *
 * All functions here that fail set errno as system calls do. ENOENT also stands for whatever is in the way
 * but is no object: a symbolic link, a device, a file where a directory would have to be.
 */
#ifndef STORSYNC_DIR_TREE_H
#define STORSYNC_DIR_TREE_H

#include "dir_folder.h"
#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#define DIR_STATE ".storsync"
#define DIR_ODD DIR_STATE "/odd"
#define DIR_META DIR_STATE "/meta"
#define DIR_TEMP DIR_STATE "/tmp"

/* Temporary files outside of DIR_TEMP (dir_file.h) have names that begin like this, and no key has. */
#define DIR_TEMP_PREFIX ".storsync-tmp-"

/* Room for the longest path of a key: ".storsync/odd/", two digits a byte, "_/" after every 64 bytes. */
#define DIR_PATH_SIZE (sizeof DIR_ODD + (size_t)OBJECT_KEY_MAX * 2 + (size_t)OBJECT_KEY_MAX / 64 * 2 + 1)

struct dir_tree {
    int root;        /* -1: not opened yet */
    int temp;        /* DIR_TEMP; -1 until the first write */
    bool beside;     /* a file was found to be on another volume than DIR_TEMP */
    int64_t stale;   /* wall; temporary files that were last touched before may go; CLOCK_UNKNOWN: none may */
    uint64_t random; /* part of the names of temporary files, and what hashes begin with */
    unsigned temp_count;
    struct dir_folders folders;
};

/* ---- keys and paths ---- */

/* Can it be the name of a file or folder? */
bool dir_is_component(const char *name, size_t len);

/* Can the key be a path as it is? See store_dir.h for the rule. */
bool dir_key_is_path(const char *key);

/* Is the path inside DIR_STATE? */
bool dir_path_is_state(const char *path);

/* The path of a key that cannot. It is also the beginning of the paths of all keys that begin with `key`. At
 * most OBJECT_KEY_MAX bytes. */
void dir_odd_path(const char *key, char path[DIR_PATH_SIZE]);

/* The way back, from the part below DIR_ODD. False for a path that dir_odd_path does not make. */
bool dir_odd_key(const char *path, char key[OBJECT_KEY_MAX + 1]);

/* Back from what hash_hex gives; false for anything else, or a NUL byte in the
 * result. */
bool dir_unhex(const char *digits, size_t len, char *bytes);

/* ---- descriptors; close-on-exec, the caller closes them ---- */

/* Opens the directory that is the first `len` bytes of `path` below `from`; 0: `from` itself. `flags` is
 * O_RDONLY or O_PATH. */
int dir_open(int from, const char *path, size_t len, int flags);

/* Opens the directory that holds `path`; *leaf becomes its last component. */
int dir_open_parent(int from, const char *path, const char **leaf);

/* Opens a regular file; anything else is ENOENT. */
int dir_open_file(int from, const char *path, int flags, struct stat *status);

/* Opens the regular file that holds the object: its plain path, else its odd one. */
int dir_open_object(const struct dir_tree *tree, const char *key, int flags, struct stat *status);

/* Is there a symbolic link, a device or the like on the way to `path`, or at its end? `thing` is its path. */
bool dir_find_foreign(const struct dir_tree *tree, const char *path, char thing[DIR_PATH_SIZE]);

/* Closes without disturbing the errno that tells why. */
void dir_close(int fd);

/* Makes the entries of a directory survive a crash. Passes over file systems that cannot (EINVAL), and a
 * directory that may not be read, which cannot be opened for it. */
bool dir_sync(int directory);
/* The same of the directory that dir_open finds with these. */
bool dir_sync_at(int from, const char *path, size_t len);

/* Appends the whole file to `out`. EFBIG when it is larger than that may become. */
bool dir_read(int fd, struct buf *out);

/* Errors that mean: no file can be at this path, because something else is there or the file system has no
 * such names. And those that mean: none is there, for this reason or because it does not exist. */
bool dir_is_obstacle(int error);
bool dir_is_absent(int error);

/* ---- what a file's status says ---- */

int64_t dir_modified(const struct stat *status); /* wall ms */
int64_t dir_written(const struct stat *status);  /* or its name or rights changed: what nobody can set */

/*
 * "<size>-<modification time in ns>", hexadecimal: what names a version of a body also in a copy or a backup
 * of the directory. And the same with "-<time of the last change of any kind in ns>" (ctime, which nobody can
 * set): it differs as well when a file is rewritten and its modification time put back.
 */
void dir_stamp(const struct stat *status, char stamp[OBJECT_VERSION_SIZE]);
void dir_version(const struct stat *status, char version[OBJECT_VERSION_SIZE]);
bool dir_is_version(const struct stat *status, const char *version);

#endif
