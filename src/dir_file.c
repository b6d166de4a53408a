#include "dir_file.h"

#include "clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

/* RENAME_NOREPLACE of <linux/fs.h>, which musl does not bring along. */
#define NO_REPLACE 1U

/* ---- the directory of temporary files ---- */

/* By the time of the last change of any kind (ctime), because the modification time is set to the
 * object's. */
static bool is_stale(int temp, const char *name, int64_t now)
{
    struct stat status;

    return fstatat(temp, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
           (int64_t)status.st_ctim.tv_sec * 1000 < now - DIR_FILE_STALE;
}

void dir_file_tidy(int temp, int64_t now)
{
    int fd = openat(temp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        if (is_stale(temp, entry->d_name, now))
            unlinkat(temp, entry->d_name, 0);
    closedir(dir);
}

static bool open_temp(struct dir_tree *tree)
{
    tree->temp = dir_open(tree->root, DIR_TEMP, sizeof DIR_TEMP - 1, O_PATH, true);
    if (tree->temp < 0)
        return false;
    dir_file_tidy(tree->temp, clock_wall());
    /* Without random numbers the process id has to do. */
    if (getrandom(&tree->random, sizeof tree->random, GRND_NONBLOCK) != (ssize_t)sizeof tree->random)
        tree->random = (uint64_t)clock_wall();
    return true;
}

/* ---- one file ---- */

bool dir_file_open(struct dir_tree *tree, struct dir_file *file)
{
    file->fd = -1;
    if (tree->temp < 0 && !open_temp(tree))
        return false;
    snprintf(file->name, sizeof file->name, "%ld-%" PRIx64 "-%u", (long)getpid(), tree->random,
             tree->temp_count++);
    file->fd = openat(tree->temp, file->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    return file->fd >= 0;
}

bool dir_file_write(const struct dir_file *file, const void *data, size_t len, uint64_t offset)
{
    const char *at = data;

    while (len > 0) {
        ssize_t done = pwrite(file->fd, at, len, (off_t)offset);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            if (done == 0)
                errno = ENOSPC;
            return false;
        }
        at += done;
        len -= (size_t)done;
        offset += (uint64_t)done;
    }
    return true;
}

void dir_file_drop(const struct dir_tree *tree, struct dir_file *file)
{
    int before = errno;

    if (file->fd < 0)
        return;
    close(file->fd);
    unlinkat(tree->temp, file->name, 0);
    file->fd = -1;
    errno = before;
}

/* link(2) fails when the name exists, atomically. Over NFS its answer can be lost and the repetition be
 * told that the name exists; the link count knows better. */
static bool link_new(const struct dir_tree *tree, const struct dir_file *file, int parent, const char *leaf)
{
    struct stat status;

    if (linkat(tree->temp, file->name, parent, leaf, 0) != 0) {
        int why = errno;

        if (fstat(file->fd, &status) != 0 || status.st_nlink != 2) {
            errno = why == EPERM || why == ENOSYS ? EOPNOTSUPP : why;
            return false;
        }
    }
    unlinkat(tree->temp, file->name, 0);
    return true;
}

static bool move_new(const struct dir_tree *tree, const struct dir_file *file, int parent, const char *leaf)
{
    if (syscall(SYS_renameat2, tree->temp, file->name, parent, leaf, NO_REPLACE) == 0)
        return true;
    /* A file system, kernel or sandbox that does not know it; EEXIST and real failures are the answer. */
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP)
        return false;
    return link_new(tree, file, parent, leaf);
}

static bool move(const struct dir_tree *tree, const struct dir_file *file, int parent, const char *leaf,
                 bool create)
{
    struct stat status;

    if (fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    return create ? move_new(tree, file, parent, leaf) : renameat(tree->temp, file->name, parent, leaf) == 0;
}

bool dir_file_place(const struct dir_tree *tree, struct dir_file *file, const char *path, bool create)
{
    const char *leaf;
    int parent;
    int why;
    bool moved;
    bool ok = false;

    if (fsync(file->fd) != 0)
        return false;
    parent = dir_open_parent(tree->root, path, true, &leaf);
    if (parent < 0)
        return false;
    moved = move(tree, file, parent, leaf, create);
    if (moved) {
        close(file->fd);
        file->fd = -1;
        ok = dir_sync(parent);
    }
    why = errno;
    close(parent);
    errno = why;
    return ok;
}
