/*
 * A directory of its own for a test, and files in it. Header-only.
 *
 * In TMPDIR, else in memory (/dev/shm) where fsync costs nothing, else in /tmp.
 */
#ifndef TEMPDIR_H
#define TEMPDIR_H

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMPDIR_SIZE 64

static inline void tempdir_make(char path[TEMPDIR_SIZE])
{
    const char *base = getenv("TMPDIR");

    if (base == NULL)
        base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    if (snprintf(path, TEMPDIR_SIZE, "%s/storsync-test-XXXXXX", base) >= TEMPDIR_SIZE ||
        mkdtemp(path) == NULL)
        abort();
}

static inline int tempdir_remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)where;
    return type == FTW_DP ? rmdir(path) : unlink(path);
}

static inline void tempdir_remove(const char *path)
{
    /* A limit of descriptors; to musl it is one of depth, and a key of 1,024 bytes is up to 512 folders deep. */
    if (nftw(path, tempdir_remove_one, 600, FTW_DEPTH | FTW_PHYS) != 0)
        abort();
}

/* Good until the call after the next. */
static inline const char *tempdir_path(const char *dir, const char *name)
{
    static char path[2][2 * PATH_MAX];
    static int turn;

    turn = 1 - turn;
    snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
    return path[turn];
}

/* Creates a file, and the directories that lead to it; false if that path cannot be. */
static inline bool tempdir_file(const char *dir, const char *name, const char *text)
{
    char path[PATH_MAX];
    int fd;
    bool ok;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    for (char *at = path + strlen(dir) + 1; (at = strchr(at, '/')) != NULL; *at++ = '/') {
        *at = '\0';
        mkdir(path, 0755);
    }
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0)
        return false;
    ok = write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    close(fd);
    return ok;
}

static inline bool tempdir_has(const char *dir, const char *name)
{
    struct stat status;

    return lstat(tempdir_path(dir, name), &status) == 0;
}

/* Permissions mean nothing to root: be somebody else in between, for tests of them. */
static inline void tempdir_not_root(void)
{
    if (getuid() == 0 && seteuid(65534) != 0)
        abort();
}

static inline void tempdir_root_again(void)
{
    if (getuid() == 0 && seteuid(0) != 0)
        abort();
}

#endif
