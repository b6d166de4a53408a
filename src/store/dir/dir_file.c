#include "dir_file.h"

#include "clock.h"
#include "random.h"
#include "stop.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* RENAME_NOREPLACE of <linux/fs.h>, which musl does not bring along. */
#define NO_REPLACE 1U

/* Of <linux/magic.h>, likewise. */
#define EXT4_MAGIC 0xEF53
#define XFS_MAGIC 0x58465342

/* What may be waiting to be written on this machine when a whole volume is flushed, KiB. */
#define QUIET_MAX (32UL * 1024)

/* Bytes that are carried to another volume between two looks at stop_requested(). */
#define CARRY_STEP ((size_t)4 * 1024 * 1024)

/* ---- the directory of temporary files ---- */

/* By the time of the last change of any kind (ctime), because the modification time is set to the
 * object's. */
void dir_file_tidy_one(int folder, const char *name, int64_t before)
{
    struct stat status;

    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(status.st_mode) &&
        (int64_t)status.st_ctim.tv_sec * 1000 < before)
        unlinkat(folder, name, 0);
}

void dir_file_tidy(int folder, int64_t before)
{
    int fd = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((entry = readdir(dir)) != NULL)
        dir_file_tidy_one(folder, entry->d_name, before);
    closedir(dir);
}

static bool open_temp(struct dir_tree *tree)
{
    tree->random = random_number();
    tree->temp = dir_folder_make(tree, DIR_TEMP, sizeof DIR_TEMP - 1);
    if (tree->temp < 0)
        return false;
    tree->stale = clock_wall() - DIR_FILE_STALE;
    dir_file_tidy(tree->temp, tree->stale);
    return true;
}

/* ---- one file ---- */

static bool open_in(struct dir_tree *tree, struct dir_file *file, int folder, bool beside)
{
    *file = (struct dir_file){.folder = folder, .beside = beside, .opened = clock_wall()};
    snprintf(file->name, sizeof file->name, DIR_TEMP_PREFIX "%ld-%" PRIx64 "-%u", (long)getpid(),
             tree->random, tree->temp_count++);
    file->fd = openat(folder, file->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return file->fd >= 0;
}

/* Does a rename not get from the one to the other? (Nor does it between two mounts of one volume, which the rename tells.) */
static bool is_other_volume(int a, int b)
{
    struct stat status_a, status_b;

    return fstat(a, &status_a) == 0 && fstat(b, &status_b) == 0 && status_a.st_dev != status_b.st_dev;
}

/* In the directory that will hold `path`, if that is on another volume, or may be. */
static bool open_beside(struct dir_tree *tree, struct dir_file *file, const char *path)
{
    const char *leaf;
    int parent = dir_folder_make_parent(tree, path, &leaf);

    if (parent < 0)
        return false;
    tree->beside |= is_other_volume(parent, tree->temp);
    if (tree->beside && open_in(tree, file, parent, true))
        return true;
    dir_close(parent);
    return false;
}

bool dir_file_open(struct dir_tree *tree, struct dir_file *file, const char *path)
{
    file->fd = -1;
    if (tree->temp < 0 && !open_temp(tree))
        return false;
    /* Whatever keeps it from being made there, will be told by the attempt to put it there. */
    if (dir_key_is_path(path) && !dir_path_is_state(path) && open_beside(tree, file, path))
        return true;
    return open_in(tree, file, tree->temp, false);
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

/* ---- durable ---- */

static bool is_unsupported(int error)
{
    return error == EINVAL || error == ENOSYS || error == EPERM || error == ESPIPE || error == EOPNOTSUPP;
}

/* What cannot do it does all of it when it is flushed. A real failure (no space to be had for what was taken into memory)
 * may be told here and never again. */
bool dir_file_start(const struct dir_file *file)
{
    return sync_file_range(file->fd, 0, 0, SYNC_FILE_RANGE_WRITE) == 0 || is_unsupported(errno);
}

/* 1: the device has that piece; 0: with errno; -1: the kernel, or a sandbox, does not do that. All else may be the piece's own
 * failure, which is told once. */
static int await(const struct dir_file *file, uint64_t offset, uint64_t len)
{
    const unsigned flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (sync_file_range(file->fd, (off_t)offset, (off_t)len, flags) == 0)
        return 1;
    return errno == ENOSYS || errno == EPERM ? -1 : 0;
}

bool dir_file_await(const struct dir_file *file, uint64_t offset, uint64_t len)
{
    return await(file, offset, len) != 0;
}

bool dir_file_flush(const struct dir_file *file)
{
    return fsync(file->fd) == 0;
}

static bool is_known_volume(int fd)
{
    struct statfs status;

    return fstatfs(fd, &status) == 0 && (status.f_type == EXT4_MAGIC || status.f_type == XFS_MAGIC);
}

/* KiB that one line of /proc/meminfo tells; a lot if it does not. */
static unsigned long meminfo_line(const char *text, const char *name)
{
    const char *line = strstr(text, name);

    return line != NULL ? strtoul(line + strlen(name), NULL, 10) : ULONG_MAX / 2;
}

/* Is little waiting to be written? */
static bool is_quiet_machine(void)
{
    char text[2048];
    int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;

    if (fd >= 0)
        close(fd);
    if (len < 0)
        return false;
    text[len] = '\0';
    return meminfo_line(text, "\nDirty:") + meminfo_line(text, "\nWriteback:") <= QUIET_MAX;
}

bool dir_file_flush_volume(const struct dir_file *file)
{
    return is_known_volume(file->fd) && is_quiet_machine() && syncfs(file->fd) == 0;
}

/* INVARIANT: a failure is told once; after one, nothing else may be asked. */
bool dir_file_arrived(const struct dir_file *file)
{
    int arrived = await(file, 0, 0);

    return arrived > 0 || (arrived < 0 && dir_file_flush(file));
}

/* Lets go of a file whose name is gone, or was moved. */
static void release_file(struct dir_file *file)
{
    dir_close(file->fd);
    if (file->beside)
        dir_close(file->folder);
    file->fd = -1;
}

void dir_file_drop(struct dir_file *file)
{
    int before = errno;

    if (file->fd < 0)
        return;
    unlinkat(file->folder, file->name, 0);
    release_file(file);
    errno = before;
}

/* ---- to its place ---- */

static bool copy_bytes(int from, int to)
{
    struct error why;
    off_t at = 0;
    ssize_t len;

    while ((len = sendfile(to, from, &at, CARRY_STEP)) != 0) {
        if (len < 0 && errno != EINTR)
            return false;
        if (stop_requested(&why)) {
            errno = ECANCELED;
            return false;
        }
    }
    return true;
}

bool dir_file_carry(struct dir_tree *tree, struct dir_file *file, int parent)
{
    struct dir_file copy;
    int folder = dir_open(parent, "", 0, O_PATH);

    tree->beside = true;
    if (folder < 0)
        return false;
    if (!open_in(tree, &copy, folder, true)) {
        dir_close(folder);
        return false;
    }
    copy.opened = file->opened;
    if (!copy_bytes(file->fd, copy.fd)) {
        dir_file_drop(&copy);
        return false;
    }
    dir_file_drop(file);
    *file = copy;
    return true;
}

/* link(2) fails when the name exists, atomically. Over NFS its answer can be lost and the repetition be
 * told that the name exists; the link count knows better. */
static bool link_new(const struct dir_file *file, int parent, const char *leaf)
{
    struct stat status;

    if (linkat(file->folder, file->name, parent, leaf, 0) != 0) {
        int why = errno;

        if (fstat(file->fd, &status) != 0 || status.st_nlink != 2) {
            errno = why == EPERM || why == ENOSYS ? EOPNOTSUPP : why;
            return false;
        }
    }
    unlinkat(file->folder, file->name, 0);
    return true;
}

static bool move_new(const struct dir_file *file, int parent, const char *leaf)
{
    if (syscall(SYS_renameat2, file->folder, file->name, parent, leaf, NO_REPLACE) == 0)
        return true;
    /* A file system, kernel or sandbox that does not know it; EEXIST and real failures are the answer. */
    if (errno != EINVAL && errno != ENOSYS && errno != EPERM && errno != EOPNOTSUPP)
        return false;
    return link_new(file, parent, leaf);
}

static bool move_file(const struct dir_file *file, int parent, const char *leaf, bool create)
{
    struct stat status;

    if (fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(status.st_mode)) {
        errno = EISDIR;
        return false;
    }
    return create ? move_new(file, parent, leaf) : renameat(file->folder, file->name, parent, leaf) == 0;
}

bool dir_file_move(struct dir_file *file, int parent, const char *leaf, bool create)
{
    if (!move_file(file, parent, leaf, create))
        return false;
    release_file(file);
    return true;
}
