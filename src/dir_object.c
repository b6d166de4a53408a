#include "dir_object.h"

#include "clock.h"
#include "dir_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

/* What setting the time to `wall` milliseconds takes. */
static bool set_modified(int fd, int64_t wall)
{
    int64_t seconds = wall / 1000;
    int64_t rest = wall % 1000;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

    if (rest < 0) {
        rest += 1000;
        seconds--;
    }
    times[1] = (struct timespec){.tv_sec = (time_t)seconds, .tv_nsec = (long)(rest * 1000000)};
    return futimens(fd, times) == 0;
}

/* Removes the regular file at `path`; that there is none is fine. */
static bool remove_file(const struct dir_tree *tree, const char *path)
{
    const char *leaf;
    struct stat status;
    bool ok;
    int why;
    int parent = dir_open_parent(tree->root, path, false, &leaf);

    if (parent < 0)
        return dir_is_absent(errno);
    ok = fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISREG(status.st_mode) || (unlinkat(parent, leaf, 0) == 0 && dir_sync(parent)));
    why = errno;
    close(parent);
    errno = why;
    return ok || dir_is_absent(why);
}

static bool place(const struct dir_tree *tree, struct dir_file *file, const char *key, bool create)
{
    char odd[DIR_PATH_SIZE];

    dir_odd_path(key, odd);
    if (dir_key_is_path(key)) {
        if (dir_file_place(tree, file, key, create))
            return remove_file(tree, odd);
        if (!dir_is_obstacle(errno))
            return false;
    }
    return dir_file_place(tree, file, odd, create);
}

bool dir_object_commit(struct dir_tree *tree, struct dir_file *file, const char *key, int64_t modified,
                       const struct object_meta *meta, bool create)
{
    struct stat status;

    if (create) {
        int fd = dir_open_object(tree, key, O_PATH, &status);

        if (fd >= 0) {
            close(fd);
            errno = EEXIST;
        }
        if (errno != ENOENT)
            return false;
    }
    if (modified != CLOCK_UNKNOWN && !set_modified(file->fd, modified))
        return false;
    return fstat(file->fd, &status) == 0 && dir_meta_save(tree, key, &status, meta) &&
           place(tree, file, key, create);
}

bool dir_object_remove(const struct dir_tree *tree, const char *key)
{
    char odd[DIR_PATH_SIZE];

    dir_odd_path(key, odd);
    return (!dir_key_is_path(key) || remove_file(tree, key)) && remove_file(tree, odd) &&
           dir_meta_remove(tree, key);
}
