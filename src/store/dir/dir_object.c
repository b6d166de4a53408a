#include "dir_object.h"

#include "clock.h"
#include "crash.h"
#include "dir_attr.h"
#include "dir_meta.h"
#include "dir_names.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* From so many files on it is worth while to flush their volume. */
#define MANY 6

/* Removes the regular file at `path`; that there is none is fine. */
static bool remove_file(const struct dir_tree *tree, const char *path)
{
    const char *leaf;
    struct stat status;
    bool ok;
    int parent = dir_open_parent(tree->root, path, &leaf);

    if (parent < 0)
        return dir_is_absent(errno);
    ok = fstatat(parent, leaf, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
         (!S_ISREG(status.st_mode) || (unlinkat(parent, leaf, 0) == 0 && dir_sync(parent)));
    dir_close(parent);
    return ok || dir_is_absent(errno);
}

/* ---- before it is flushed ---- */

/* False with errno. `is` is what is there now; NULL: nothing. */
static bool meets_condition(const struct store_condition *condition, const struct stat *is)
{
    if (condition->when == STORE_IF_ABSENT && is != NULL) {
        errno = EEXIST;
        return false;
    }
    if (condition->when == STORE_IF_VERSION && (is == NULL || !dir_is_version(is, condition->version))) {
        errno = DIR_CHANGED;
        return false;
    }
    return true;
}

static const struct stat *old_of(const struct dir_commit *commit)
{
    return commit->replaces ? &commit->old : NULL;
}

/* Is what is there now what it may replace? */
static bool look_at_old(const struct dir_tree *tree, struct dir_commit *commit)
{
    int fd = dir_open_object(tree, commit->key, O_PATH, &commit->old);

    commit->replaces = fd >= 0;
    if (fd >= 0)
        close(fd);
    else if (errno != ENOENT)
        return false;
    return meets_condition(&commit->condition, old_of(commit));
}

static bool is_free_of_clashes(const struct dir_tree *tree, const char *key)
{
    if (!dir_names_clash(tree->root, key))
        return true;
    errno = ENOTUNIQ;
    return false;
}

/* Everything about the body and its metadata. The time is set on the volume that keeps it, because it names the version. */
static bool dress(struct dir_tree *tree, struct dir_commit *commit, int parent, bool own)
{
    const struct object_meta *meta = commit->meta;
    const struct stat *old = old_of(commit);
    int fd = commit->body.fd;
    struct stat status;

    dir_file_drop(&commit->sidecar);
    if (!dir_attr_protect(fd, parent, old, meta->mode, own))
        return false;
    if (meta->restored && meta->mode != OBJECT_MODE_UNKNOWN)
        fchmod(fd, (mode_t)meta->mode); /* as in dir_attr_protect, it may be refused */
    return (commit->modified == CLOCK_UNKNOWN ||
            dir_attr_set_time(fd, commit->modified, commit->body.opened)) &&
           fstat(fd, &status) == 0 && dir_meta_write(tree, commit->key, old, &status, meta, &commit->sidecar);
}

static bool dress_for(struct dir_tree *tree, struct dir_commit *commit, const char *path)
{
    const char *leaf;
    int parent = dir_folder_make_parent(tree, path, &leaf);
    bool ok;

    if (parent < 0)
        return false;
    ok = dress(tree, commit, parent, dir_path_is_state(path));
    dir_close(parent);
    return ok;
}

/* After a failure with the plain path: is the odd one its place? What is no object's and no directory's was put there by
 * somebody who does not mean this key. */
static bool goes_odd(const struct dir_tree *tree, struct dir_commit *commit)
{
    char thing[DIR_PATH_SIZE];

    if (!dir_is_obstacle(errno))
        return false;
    if (dir_find_foreign(tree, commit->key, thing)) {
        errno = ELOOP;
        return false;
    }
    commit->odd = true;
    return true;
}

static bool prepare_files(struct dir_tree *tree, struct dir_commit *commit)
{
    char odd[DIR_PATH_SIZE];

    commit->odd = !dir_key_is_path(commit->key);
    if (!look_at_old(tree, commit))
        return false;
    if (!commit->odd) {
        if (!is_free_of_clashes(tree, commit->key))
            return false;
        if (dress_for(tree, commit, commit->key))
            return true;
        if (!goes_odd(tree, commit))
            return false;
    }
    dir_odd_path(commit->key, odd);
    return dress_for(tree, commit, odd);
}

/* ---- flushing ---- */

/* With body and sidecar. */
static bool with_both(const struct dir_commit *commit, bool (*what)(const struct dir_file *file))
{
    return what(&commit->body) && (commit->sidecar.fd < 0 || what(&commit->sidecar));
}

/* Keeps the first error of each. */
static void note(struct dir_commit *commit, bool ok)
{
    if (!ok && commit->error == 0)
        commit->error = errno;
}

/* Where there are many, their volume as a whole; false: each of them has to be flushed. With `beside` they may be on several.
 * Kernels before 5.17 keep some failures to themselves; the fsync of one of them has these. INVARIANT: what it tells is told
 * once, so it is that one's failure. */
static bool flush_volume(const struct dir_tree *tree, struct dir_commit *first)
{
    struct dir_commit *one = NULL;
    int count = 0;

    for (; first != NULL; first = first->next)
        if (first->error == 0) {
            one = first;
            count += first->sidecar.fd < 0 ? 1 : 2;
        }
    if (count < MANY || tree->beside || !dir_file_flush_volume(&one->body))
        return false;
    note(one, dir_file_flush(&one->body));
    return one->error == 0;
}

/* For tests: the death of this process while an object is under way, not a state file. */
static void may_die(const struct dir_commit *commit, const char *where)
{
    if (!dir_path_is_state(commit->key))
        crash_point(where);
    (void)where;
}

/* The path of the body. `odd` may be used for it. */
static const char *body_path(const struct dir_commit *commit, char odd[DIR_PATH_SIZE])
{
    if (!commit->odd)
        return commit->key;
    dir_odd_path(commit->key, odd);
    return odd;
}

/* Makes the folders last that body and sidecar will be in. With `together` they do. One that has vanished is made again before
 * the rename, and settled after it. */
static bool settle_places(struct dir_tree *tree, const struct dir_commit *commit, bool together)
{
    char odd[DIR_PATH_SIZE], shelf[DIR_META_FOLDER];
    const char *paths[] = {body_path(commit, odd), dir_meta_folder(dir_meta_shelf(commit->key), shelf)};

    for (size_t i = 0; i < (commit->sidecar.fd < 0 ? 1 : 2); i++)
        if (together)
            dir_folder_believe(tree, paths[i]);
        else if (!dir_folder_settle(tree, paths[i]) && !dir_is_absent(errno))
            return false;
    return true;
}

int dir_commits_flush(struct dir_tree *tree, struct dir_commit *first, int64_t until)
{
    bool together;
    int count = 0;

    may_die(first, "dir-written");
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next)
        note(commit, prepare_files(tree, commit) && with_both(commit, dir_file_start));
    together = flush_volume(tree, first);
    dir_folder_begin(tree);
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next) {
        if (count > 0 && !together && clock_mono() >= until)
            break;
        if (commit->error == 0)
            note(commit, settle_places(tree, commit, together) &&
                             with_both(commit, together ? dir_file_arrived : dir_file_flush));
        commit->stage = DIR_FLUSHED;
        count++;
    }
    may_die(first, "dir-waited");
    return count;
}

/* ---- naming ---- */

static bool announce(const struct dir_tree *tree, struct dir_commit *commit)
{
    bool has_sidecar = commit->sidecar.fd >= 0;

    if (!dir_meta_announce(tree, commit->key, old_of(commit), &commit->sidecar))
        return false;
    commit->announced |= has_sidecar;
    return true;
}

/* The sidecars of all. Each of their directories is synced once, for whoever has one there; or their volume, on which the
 * bodies still are, and one directory, which tells what the volume kept to itself. */
static void announce_all(struct dir_tree *tree, struct dir_commit *first)
{
    bool used[DIR_META_SHELVES] = {false};
    int errors[DIR_META_SHELVES] = {0};
    const struct dir_commit *one = NULL;
    bool together;
    int count = 0;

    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next) {
        if (commit->error == 0)
            note(commit, (commit->condition.when == STORE_ALWAYS || look_at_old(tree, commit)) &&
                             announce(tree, commit));
        if (commit->error == 0 && commit->announced) {
            bool *shelf = &used[dir_meta_shelf(commit->key)];

            count += !*shelf;
            *shelf = true;
            one = commit;
        }
    }
    together = count >= MANY && !tree->beside && dir_file_flush_volume(&one->body);
    dir_folder_begin(tree);
    for (unsigned i = 0; i < DIR_META_SHELVES; i++) {
        unsigned shelf = (i + (together ? dir_meta_shelf(one->key) : 0)) % DIR_META_SHELVES;

        if (used[shelf] && !dir_meta_sync(tree, shelf))
            errors[shelf] = errno;
        else if (together && used[shelf])
            break;
    }
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next)
        if (commit->error == 0 && commit->announced)
            commit->error = errors[dir_meta_shelf(commit->key)];
}

/* All that was done before, for another file or another place. */
static bool begin_anew(struct dir_tree *tree, struct dir_commit *commit, const char *path)
{
    return dress_for(tree, commit, path) && with_both(commit, dir_file_flush) && announce(tree, commit) &&
           (!commit->announced || dir_meta_sync(tree, dir_meta_shelf(commit->key)));
}

/* Others of the batch may have taken long. */
static bool is_still_wanted(const struct dir_tree *tree, struct dir_commit *commit)
{
    return commit->condition.when != STORE_IF_VERSION || look_at_old(tree, commit);
}

static bool move_to(struct dir_tree *tree, struct dir_commit *commit, const char *path)
{
    bool create = commit->condition.when == STORE_IF_ABSENT;
    const char *leaf;
    int parent = dir_folder_make_parent(tree, path, &leaf);
    bool ok;

    if (parent < 0)
        return false;
    ok = is_still_wanted(tree, commit) && dir_file_move(&commit->body, parent, leaf, create);
    if (!ok && errno == EXDEV)
        ok = dir_file_carry(tree, &commit->body, parent) && begin_anew(tree, commit, path) &&
             is_still_wanted(tree, commit) && dir_file_move(&commit->body, parent, leaf, create);
    dir_close(parent);
    return ok;
}

/* Names are compared once more: another one of this batch may have come in between. */
static bool place(struct dir_tree *tree, struct dir_commit *commit)
{
    char odd[DIR_PATH_SIZE];

    if (!commit->odd) {
        if (!is_free_of_clashes(tree, commit->key))
            return false;
        if (move_to(tree, commit, commit->key))
            return true;
        if (!goes_odd(tree, commit))
            return false;
        dir_odd_path(commit->key, odd);
        return begin_anew(tree, commit, odd) && move_to(tree, commit, odd);
    }
    dir_odd_path(commit->key, odd);
    return move_to(tree, commit, odd);
}

/* The bytes of its path that are its directory's. */
static size_t folder_length(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash != NULL ? (size_t)(slash - path) : 0;
}

static bool sync_folder(struct dir_tree *tree, const struct dir_commit *commit)
{
    char odd[DIR_PATH_SIZE];
    const char *path = body_path(commit, odd);

    return dir_folder_settle(tree, path) && dir_sync_at(tree->root, path, folder_length(path));
}

/* One before it that was put into the same directory, which was synced for it, well or not; NULL: none. */
static const struct dir_commit *find_neighbour(const struct dir_commit *first,
                                               const struct dir_commit *commit)
{
    size_t len = folder_length(commit->key);

    for (; first != commit; first = first->next)
        if (first->body.fd < 0 && !first->odd && !commit->odd && folder_length(first->key) == len &&
            memcmp(first->key, commit->key, len) == 0)
            return first;
    return NULL;
}

/* Flushes the volume that this folder is on. */
static bool flush_volume_at(const struct dir_tree *tree, const struct dir_commit *commit)
{
    char odd[DIR_PATH_SIZE];
    const char *path = body_path(commit, odd);
    struct dir_file folder = {.fd = dir_open(tree->root, path, folder_length(path), O_RDONLY)};
    bool ok = folder.fd >= 0 && dir_file_flush_volume(&folder);

    if (folder.fd >= 0)
        close(folder.fd);
    return ok;
}

/* Syncs the folders of all, each once; or their volume, as announce_all does. */
static void sync_folders(struct dir_tree *tree, struct dir_commit *first)
{
    struct dir_commit *one = NULL;
    bool together;
    int count = 0;

    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next)
        if (commit->error == 0 && find_neighbour(first, commit) == NULL) {
            one = one != NULL ? one : commit;
            count++;
        }
    together = count >= MANY && !tree->beside && flush_volume_at(tree, one);
    dir_folder_begin(tree);
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next) {
        const struct dir_commit *neighbour = find_neighbour(first, commit);

        if (commit->error == 0 && neighbour != NULL)
            commit->error = neighbour->error;
        else if (commit->error == 0 && (!together || commit == one || one->error != 0))
            note(commit, sync_folder(tree, commit));
    }
}

static void place_all(struct dir_tree *tree, struct dir_commit *first)
{
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next)
        if (commit->error == 0) {
            note(commit, place(tree, commit));
            may_die(commit, "dir-named");
        }
    sync_folders(tree, first);
}

/* What came before it, and is in the way of it no longer. */
static bool settle_files(const struct dir_tree *tree, const struct dir_commit *commit)
{
    char odd[DIR_PATH_SIZE];

    if (!commit->odd && commit->replaces) { /* else it was looked for */
        dir_odd_path(commit->key, odd);
        if (!remove_file(tree, odd))
            return false;
    }
    return dir_meta_settle(tree, commit->key, commit->meta);
}

void dir_commits_name(struct dir_tree *tree, struct dir_commit *first)
{
    may_die(first, "dir-flushed");
    announce_all(tree, first);
    may_die(first, "dir-announced");
    place_all(tree, first);
    may_die(first, "dir-synced");
    for (struct dir_commit *commit = first; commit != NULL; commit = commit->next) {
        if (commit->error == 0)
            note(commit, settle_files(tree, commit));
        else if (commit->announced && commit->body.fd >= 0)
            dir_meta_forget(tree, commit->key);
        commit->stage = DIR_NAMED;
    }
}

bool dir_commit(struct dir_tree *tree, struct dir_commit *commit)
{
    dir_commits_flush(tree, commit, INT64_MAX);
    dir_commits_name(tree, commit);
    errno = commit->error;
    return commit->error == 0;
}

void dir_commit_drop(struct dir_commit *commit)
{
    dir_file_drop(&commit->body);
    dir_file_drop(&commit->sidecar);
}

/* ---- removing ---- */

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
