/*
 * Which files and folders are flushed, in place of the C library's fsync: one of them fails if a test says so, and a flush of the
 * volume is not to be had. Header-only.
 */
#ifndef FLUSHES_H
#define FLUSHES_H

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FLUSHES_MAX 1000

static struct {
    char root[PATH_MAX];
    char failing[PATH_MAX];
    int error; /* 0: none fails */
    int count;
    struct {
        char path[256]; /* below the root, which is "" */
        bool done;
    } list[FLUSHES_MAX];
} flushes;

/* Forgets them; those below `folder` are noted. */
static inline void flushes_begin(const char *folder)
{
    snprintf(flushes.root, sizeof flushes.root, "%s", folder);
    flushes.count = 0;
}

/* From now on that one fails; "*": all do; NULL: none. */
static inline void flushes_fail(const char *path, int error)
{
    flushes.error = path != NULL ? error : 0;
    snprintf(flushes.failing, sizeof flushes.failing, "%s", path != NULL ? path : "");
}

/* How often it was tried; NULL: of all. */
static inline int flushes_count(const char *path)
{
    int count = 0;

    for (int i = 0; i < flushes.count; i++)
        count += path == NULL || strcmp(flushes.list[i].path, path) == 0;
    return count;
}

static inline bool flushes_done(const char *path)
{
    for (int i = 0; i < flushes.count; i++)
        if (flushes.list[i].done && strcmp(flushes.list[i].path, path) == 0)
            return true;
    return false;
}

int fsync(int fd)
{
    char self[32], path[PATH_MAX];
    size_t len = strlen(flushes.root);
    ssize_t size;
    bool fails;

    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    size = readlink(self, path, sizeof path - 1);
    if (size < 0)
        return -1;
    path[size] = '\0';
    if (len == 0 || strncmp(path, flushes.root, len) != 0 || (path[len] != '/' && path[len] != '\0'))
        return (int)syscall(SYS_fsync, fd);
    memmove(path, path + len + (path[len] == '/'), strlen(path + len) + 1);
    fails = flushes.error != 0 && (strcmp(flushes.failing, "*") == 0 || strcmp(flushes.failing, path) == 0);
    if (flushes.count < FLUSHES_MAX) {
        snprintf(flushes.list[flushes.count].path, sizeof flushes.list[0].path, "%.255s", path);
        flushes.list[flushes.count++].done = !fails;
    }
    if (!fails)
        return (int)syscall(SYS_fsync, fd);
    errno = flushes.error;
    return -1;
}

int syncfs(int fd)
{
    (void)fd;
    errno = ENOSYS;
    return -1;
}

#endif
