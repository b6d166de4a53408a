#include "dir_object.h"

#include "clock.h"
#include "dir_attr.h"
#include "dir_meta.h"
#include "dir_names.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What is being committed. */
struct body {
    struct dir_file *file;
    const char *key;
    int64_t modified;
    const struct object_meta *meta;
    const struct stat *old; /* what it replaces; NULL: nothing */
    bool create;
};

/* Removes the regular file at `path`; that there is none is fine. */
static bool remove_file(const struct dir_tree *tree, const char *path)
{
    const char *leaf;
    struct stat status;
    bool ok;
    int parent = dir_open_parent(tree->root, path, false, &leaf);

    if (parent < 0)
        return dir_is_absent(errno);
    ok = fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISREG(status.st_mode) || (unlinkat(parent, leaf, 0) == 0 && dir_sync(parent)));
    dir_close(parent);
    return ok || dir_is_absent(errno);
}

/* ---- into its place ---- */

/* Everything about the body and its metadata, then the rename: what is there before it stays valid, what is
 * there after it is whole. The time is set on the volume that keeps it, because it names the version. */
static bool put_in_place(struct dir_tree *tree, const struct body *body, int parent, const char *leaf,
                         bool own)
{
    struct stat status;
    int fd = body->file->fd, mode = body->meta->mode;

    if (!dir_attr_protect(fd, parent, body->old, mode, own))
        return false;
    if (body->meta->restored && mode != OBJECT_MODE_UNKNOWN)
        fchmod(fd, (mode_t)mode); /* as in dir_attr_protect, it may be refused */
    return (body->modified == CLOCK_UNKNOWN || dir_attr_set_time(fd, body->modified, body->file->opened)) &&
           fstat(fd, &status) == 0 && dir_meta_prepare(tree, body->key, body->old, &status, body->meta) &&
           dir_file_place(body->file, parent, leaf, body->create);
}

static bool place_at(struct dir_tree *tree, const struct body *body, const char *path)
{
    bool own = dir_path_is_state(path);
    const char *leaf;
    int parent = dir_open_parent(tree->root, path, true, &leaf);
    bool ok;

    if (parent < 0)
        return false;
    ok = put_in_place(tree, body, parent, leaf, own);
    if (!ok && errno == EXDEV)
        ok = dir_file_carry(tree, body->file, parent) && put_in_place(tree, body, parent, leaf, own);
    dir_close(parent);
    return ok;
}

static bool place_body(struct dir_tree *tree, const struct body *body)
{
    char odd[DIR_PATH_SIZE];

    if (dir_key_is_path(body->key)) {
        if (dir_names_clash(tree->root, body->key)) {
            errno = ENOTUNIQ;
            return false;
        }
        if (place_at(tree, body, body->key)) {
            dir_odd_path(body->key, odd);
            return remove_file(tree, odd);
        }
        if (!dir_is_obstacle(errno))
            return false;
        /* What is no object's and no directory's was put there by somebody who does not mean this key. */
        if (dir_find_foreign(tree, body->key, odd)) {
            errno = ELOOP;
            return false;
        }
    }
    dir_odd_path(body->key, odd);
    return place_at(tree, body, odd);
}

/* False with errno. `is` is what is there now; NULL: nothing. */
static bool meets_condition(const struct store_condition *condition, const struct stat *is)
{
    if (condition->when == STORE_IF_ABSENT && is != NULL) {
        errno = EEXIST;
        return false;
    }
    if (condition->when == STORE_IF_VERSION && (is == NULL || !dir_is_version(is, condition->version))) {
        errno = ESTALE;
        return false;
    }
    return true;
}

bool dir_object_commit(struct dir_tree *tree, struct dir_file *file, const char *key, int64_t modified,
                       const struct object_meta *meta, const struct store_condition *condition)
{
    struct stat old;
    int fd = dir_open_object(tree, key, O_PATH, &old);
    struct body body = {.file = file,
                        .key = key,
                        .modified = modified,
                        .meta = meta,
                        .create = condition->when == STORE_IF_ABSENT};

    if (fd < 0 && errno != ENOENT)
        return false;
    if (fd >= 0) {
        close(fd);
        body.old = &old;
    }
    if (!meets_condition(condition, body.old))
        return false;
    if (place_body(tree, &body))
        return dir_meta_settle(tree, key, meta);
    if (file->fd >= 0)
        dir_meta_forget(tree, key);
    return false;
}

/* Is the version of the condition there, or nothing? False with errno. */
static bool may_be_removed(const struct dir_tree *tree, const char *key,
                           const struct store_condition *condition)
{
    struct stat status;
    int fd;

    if (condition->when == STORE_ALWAYS)
        return true;
    fd = dir_open_object(tree, key, O_PATH, &status);
    if (fd < 0)
        return dir_is_absent(errno);
    close(fd);
    return meets_condition(condition, &status);
}

bool dir_object_remove(const struct dir_tree *tree, const char *key, const struct store_condition *condition)
{
    char odd[DIR_PATH_SIZE];

    if (!may_be_removed(tree, key, condition))
        return false;
    dir_odd_path(key, odd);
    return (!dir_key_is_path(key) || remove_file(tree, key)) && remove_file(tree, odd) &&
           dir_meta_remove(tree, key);
}
