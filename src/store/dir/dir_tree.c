#include "dir_tree.h"
#include "hash.h"
#include "text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Of <linux/openat2.h>, which musl does not bring along. */
struct open_how {
    uint64_t flags, mode, resolve;
};
#define RESOLVE_NO_SYMLINKS UINT64_C(4)

/* Bytes of a key in one component of an odd path, and their digits. */
#define PIECE ((size_t)64)
#define PIECE_DIGITS (2 * PIECE)

/* ---- keys and paths ---- */

bool dir_is_component(const char *name, size_t len)
{
    if (len == 0 || len > NAME_MAX)
        return false;
    return !(name[0] == '.' && (len == 1 || (len == 2 && name[1] == '.')));
}

/* Does `key` name `path` or something inside it? */
static bool is_within(const char *key, const char *path)
{
    size_t len = strlen(path);

    return strncmp(key, path, len) == 0 && (key[len] == '\0' || key[len] == '/');
}

bool dir_path_is_state(const char *path)
{
    return is_within(path, DIR_STATE);
}

bool dir_key_is_path(const char *key)
{
    size_t len;

    if (strcmp(key, DIR_STATE) == 0 || is_within(key, DIR_ODD) || is_within(key, DIR_META) ||
        is_within(key, DIR_TEMP))
        return false;
    for (;; key += len + 1) {
        len = strcspn(key, "/");
        if (!dir_is_component(key, len) || text_begins(key, DIR_TEMP_PREFIX))
            return false;
        if (key[len] == '\0')
            return true;
    }
}

static int digit_value(char digit)
{
    if (text_is_digit(digit))
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return -1;
}

bool dir_unhex(const char *digits, size_t len, char *bytes)
{
    if (len % 2 != 0)
        return false;
    for (size_t i = 0; i < len; i += 2) {
        int high = digit_value(digits[i]);
        int low = digit_value(digits[i + 1]);

        if (high < 0 || low < 0 || (high == 0 && low == 0))
            return false;
        *bytes++ = (char)(high << 4 | low);
    }
    *bytes = '\0';
    return true;
}

void dir_odd_path(const char *key, char path[DIR_PATH_SIZE])
{
    size_t left = strlen(key);

    memcpy(path, DIR_ODD "/", sizeof DIR_ODD);
    path += sizeof DIR_ODD;
    while (left > PIECE) {
        hash_hex(key, PIECE, path);
        memcpy(path + PIECE_DIGITS, "_/", 3);
        key += PIECE;
        left -= PIECE;
        path += PIECE_DIGITS + 2;
    }
    hash_hex(key, left, path);
}

bool dir_odd_key(const char *path, char key[OBJECT_KEY_MAX + 1])
{
    size_t room = OBJECT_KEY_MAX;
    size_t len;

    for (;; path += PIECE_DIGITS + 2, key += PIECE, room -= PIECE) {
        len = strcspn(path, "_");
        if (len > PIECE_DIGITS || len / 2 > room || !dir_unhex(path, len, key))
            return false;
        if (path[len] == '\0')
            return len > 0;
        if (len != PIECE_DIGITS || path[len + 1] != '/')
            return false;
    }
}

/* ---- descriptors ---- */

bool dir_is_obstacle(int error)
{
    return error == ENOTDIR || error == EISDIR || error == ELOOP || error == ENXIO || error == ENAMETOOLONG ||
           error == EINVAL || error == EILSEQ;
}

bool dir_is_absent(int error)
{
    return error == ENOENT || dir_is_obstacle(error);
}

void dir_close(int fd)
{
    int before = errno;

    close(fd);
    errno = before;
}

bool dir_sync(int directory)
{
    return dir_sync_at(directory, "", 0);
}

/* Would each of its components be one of ours? */
static bool is_walkable(const char *path, size_t len)
{
    const char *end = path + len;

    for (;;) {
        const char *slash = memchr(path, '/', (size_t)(end - path));

        if (!dir_is_component(path, (size_t)((slash != NULL ? slash : end) - path)))
            return false;
        if (slash == NULL)
            return true;
        path = slash + 1;
    }
}

/* The way in one step, which ends at a symbolic link with ELOOP. False: it has to be gone step by step. Kernels before 5.6 do
 * not know this call (ENOSYS), a sandbox may refuse what it does not know (EPERM), and a file of more than 2 GiB wants to be
 * opened with a flag that openat adds (EOVERFLOW). */
static bool open_at_once(int from, const char *path, size_t len, int flags, int *fd)
{
    char name[DIR_PATH_SIZE];
    struct open_how how = {.flags = (unsigned)flags, .resolve = RESOLVE_NO_SYMLINKS};

    *fd = -1;
    if (len >= sizeof name)
        return false;
    if (!is_walkable(path, len)) {
        errno = ENOENT;
        return true;
    }
    memcpy(name, path, len);
    name[len] = '\0';
    *fd = (int)syscall(SYS_openat2, from, name, &how, sizeof how);
    return *fd >= 0 || (errno != ENOSYS && errno != EPERM && errno != EAGAIN && errno != EOVERFLOW);
}

static int open_component(int parent, const char *component, size_t len, int flags)
{
    char name[NAME_MAX + 1];

    if (!dir_is_component(component, len)) {
        errno = ENOENT;
        return -1;
    }
    memcpy(name, component, len);
    name[len] = '\0';
    return openat(parent, name, flags);
}

static int walk(int from, const char *path, size_t len, int flags)
{
    const char *end = path + len;
    int fd = from;

    for (;;) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        size_t component = (size_t)((slash != NULL ? slash : end) - path);
        int next = open_component(fd, path, component,
                                  slash != NULL ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : flags);

        if (fd != from)
            dir_close(fd);
        if (next < 0 || slash == NULL)
            return next;
        fd = next;
        path = slash + 1;
    }
}

int dir_open(int from, const char *path, size_t len, int flags)
{
    int fd;

    if (len == 0)
        return openat(from, ".", flags | O_DIRECTORY | O_CLOEXEC);
    flags |= O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    return open_at_once(from, path, len, flags, &fd) ? fd : walk(from, path, len, flags);
}

bool dir_sync_at(int from, const char *path, size_t len)
{
    int fd = dir_open(from, path, len, O_RDONLY);
    bool ok;

    if (fd < 0)
        return errno == EACCES;
    ok = fsync(fd) == 0 || errno == EINVAL;
    dir_close(fd);
    return ok;
}

int dir_open_parent(int from, const char *path, const char **leaf)
{
    const char *slash = strrchr(path, '/');

    *leaf = slash != NULL ? slash + 1 : path;
    return dir_open(from, path, slash != NULL ? (size_t)(slash - path) : 0, O_PATH);
}

int dir_open_file(int from, const char *path, int flags, struct stat *status)
{
    size_t len = strlen(path);
    int fd;

    /* O_NONBLOCK: a FIFO in the tree must not make us wait for its writer. */
    flags |= O_NOFOLLOW | O_CLOEXEC | ((flags & O_PATH) != 0 ? 0 : O_NONBLOCK | O_NOCTTY);
    if (!open_at_once(from, path, len, flags, &fd))
        fd = walk(from, path, len, flags);
    if (fd >= 0) {
        errno = 0;
        if (fstat(fd, status) == 0 && S_ISREG(status->st_mode))
            return fd;
        errno = errno != 0 ? errno : ENOENT; /* what cannot be looked at may well be there */
        dir_close(fd);
    }
    if (dir_is_absent(errno))
        errno = ENOENT;
    return -1;
}

int dir_open_object(const struct dir_tree *tree, const char *key, int flags, struct stat *status)
{
    char odd[DIR_PATH_SIZE];
    int fd = -1;

    errno = ENOENT;
    if (dir_key_is_path(key))
        fd = dir_open_file(tree->root, key, flags, status);
    if (fd >= 0 || errno != ENOENT)
        return fd;
    dir_odd_path(key, odd);
    return dir_open_file(tree->root, odd, flags, status);
}

bool dir_find_foreign(const struct dir_tree *tree, const char *path, char thing[DIR_PATH_SIZE])
{
    size_t len = 0;

    do {
        const char *leaf;
        struct stat status;
        int parent;
        bool known;

        len += strcspn(path + len, "/");
        memcpy(thing, path, len);
        thing[len] = '\0';
        parent = dir_open_parent(tree->root, thing, &leaf);
        if (parent < 0)
            return false;
        known = fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0;
        close(parent);
        if (!known || S_ISREG(status.st_mode))
            return false;
        if (!S_ISDIR(status.st_mode))
            return true;
    } while (path[len++] != '\0');
    return false;
}

bool dir_read(int fd, struct buf *out)
{
    char piece[4096];
    ssize_t len;

    while ((len = read(fd, piece, sizeof piece)) != 0) {
        if (len < 0 && errno == EINTR)
            continue;
        if (len < 0)
            return false;
        if (!buf_append(out, piece, (size_t)len)) {
            errno = (size_t)len > out->max - out->len ? EFBIG : ENOMEM;
            return false;
        }
    }
    return true;
}

/* ---- what a file's status says ---- */

static int64_t wall_of(const struct timespec *time)
{
    const int64_t limit = INT64_MAX / 1000 - 1;
    int64_t seconds = time->tv_sec;

    if (seconds > limit)
        seconds = limit;
    if (seconds < -limit)
        seconds = -limit;
    return seconds * 1000 + time->tv_nsec / 1000000;
}

int64_t dir_modified(const struct stat *status)
{
    return wall_of(&status->st_mtim);
}

int64_t dir_written(const struct stat *status)
{
    return wall_of(&status->st_ctim);
}

/* Unsigned: a time that does not fit wraps around, and is as good a version as any. */
static uint64_t nanoseconds(const struct timespec *time)
{
    return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
}

void dir_stamp(const struct stat *status, char stamp[OBJECT_VERSION_SIZE])
{
    snprintf(stamp, OBJECT_VERSION_SIZE, "%" PRIx64 "-%" PRIx64, (uint64_t)status->st_size,
             nanoseconds(&status->st_mtim));
}

void dir_version(const struct stat *status, char version[OBJECT_VERSION_SIZE])
{
    snprintf(version, OBJECT_VERSION_SIZE, "%" PRIx64 "-%" PRIx64 "-%" PRIx64, (uint64_t)status->st_size,
             nanoseconds(&status->st_mtim), nanoseconds(&status->st_ctim));
}

bool dir_is_version(const struct stat *status, const char *version)
{
    char now[OBJECT_VERSION_SIZE];

    dir_version(status, now);
    return strcmp(now, version) == 0;
}
