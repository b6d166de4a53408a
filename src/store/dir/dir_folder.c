#include "dir_folder.h"

#include "dir_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* ---- what is known ---- */

/* FNV-1a, from a number that nobody knows who chooses keys. The path of the root is "". */
static uint64_t hash_start(const struct dir_tree *tree)
{
    return tree->random ^ UINT64_C(0xcbf29ce484222325);
}

static uint64_t hash_byte(uint64_t hash, char byte)
{
    return (hash ^ (unsigned char)byte) * UINT64_C(0x100000001b3);
}

static uint64_t hash_path(const struct dir_tree *tree, const char *path, size_t len)
{
    uint64_t hash = hash_start(tree);

    while (len-- > 0)
        hash = hash_byte(hash, *path++);
    return hash;
}

/* What can be known of a folder. */
enum fact {
    IT_LASTS,
    WE_MADE_IT,      /* and it may not last */
    FLUSHED_IN_TURN, /* and so on, the number of a turn behind it */
};

static uint64_t folder_fact(uint64_t folder, uint64_t fact)
{
    return (folder ^ fact * UINT64_C(0x9e3779b97f4a7c15)) | 1; /* 0: none */
}

static uint64_t *fact_row(struct dir_folders *folders, uint64_t fact)
{
    return folders->facts[(fact >> 32) % (sizeof folders->facts / sizeof folders->facts[0])];
}

static bool is_fact(struct dir_folders *folders, uint64_t fact)
{
    const uint64_t *row = fact_row(folders, fact);

    return row[0] == fact || row[1] == fact;
}

static void add_fact(struct dir_folders *folders, uint64_t fact)
{
    uint64_t *row = fact_row(folders, fact);

    if (row[0] == fact)
        return;
    row[1] = row[0];
    row[0] = fact;
}

static void remove_fact(struct dir_folders *folders, uint64_t fact)
{
    uint64_t *row = fact_row(folders, fact);

    for (int i = 0; i < 2; i++)
        if (row[i] == fact)
            row[i] = 0;
}

/* ---- making them ---- */

/* Makes the folder that is the first `len` bytes of `path`, in `parent`, where it is called `name`. That it is there is fine. */
static bool make_one(struct dir_tree *tree, int parent, const char *path, size_t len, const char *name)
{
    uint64_t folder = hash_path(tree, path, len);
    char leaf[NAME_MAX + 1];
    size_t size = (size_t)(path + len - name);

    memcpy(leaf, name, size);
    leaf[size] = '\0';
    if (mkdirat(parent, leaf, dir_path_is_state(path) ? 0750 : 0755) != 0)
        return errno == EEXIST;
    remove_fact(&tree->folders, folder_fact(folder, IT_LASTS));
    add_fact(&tree->folders, folder_fact(folder, WE_MADE_IT));
    tree->folders.turn++;
    return true;
}

/* Opens the first `len` bytes of `path`, of which `name` in `parent` is the last component. */
static int enter_or_make(struct dir_tree *tree, int parent, const char *path, size_t len, const char *name)
{
    size_t size = (size_t)(path + len - name);
    int fd;

    if (!dir_is_component(name, size)) {
        errno = ENOENT;
        return -1;
    }
    fd = dir_open(parent, name, size, O_PATH);
    if (fd >= 0 || errno != ENOENT || !make_one(tree, parent, path, len, name))
        return fd;
    return dir_open(parent, name, size, O_PATH);
}

int dir_folder_make(struct dir_tree *tree, const char *path, size_t len)
{
    const char *name = path;
    int fd = dir_open(tree->root, path, len, O_PATH);

    if (fd >= 0 || errno != ENOENT)
        return fd;
    fd = tree->root;
    for (;;) {
        const char *slash = memchr(name, '/', (size_t)(path + len - name));
        size_t end = slash != NULL ? (size_t)(slash - path) : len;
        int next = enter_or_make(tree, fd, path, end, name);

        if (fd != tree->root)
            dir_close(fd);
        if (next < 0 || slash == NULL)
            return next;
        fd = next;
        name = slash + 1;
    }
}

int dir_folder_make_parent(struct dir_tree *tree, const char *path, const char **leaf)
{
    const char *slash = strrchr(path, '/');

    *leaf = slash != NULL ? slash + 1 : path;
    return dir_folder_make(tree, path, slash != NULL ? (size_t)(slash - path) : 0);
}

/* ---- making them last ---- */

static void note_that_it_lasts(struct dir_folders *folders, uint64_t folder)
{
    remove_fact(folders, folder_fact(folder, WE_MADE_IT));
    add_fact(folders, folder_fact(folder, IT_LASTS));
}

void dir_folder_begin(struct dir_tree *tree)
{
    tree->folders.turn++;
    tree->folders.failures = 0;
}

static bool failed_to_flush(struct dir_folders *folders, uint64_t folder, int error)
{
    folders->failed[folders->failures].folder = folder;
    folders->failed[folders->failures].error = error;
    folders->failures++;
    errno = error;
    return false;
}

/* Makes last what is in the folder that is the first `len` bytes of `path`. Where so many have failed, all the rest has. */
static bool flush_folder(struct dir_tree *tree, const char *path, size_t len, uint64_t folder)
{
    struct dir_folders *folders = &tree->folders;
    const size_t most = sizeof folders->failed / sizeof folders->failed[0];
    uint64_t flushed = folder_fact(folder, FLUSHED_IN_TURN + folders->turn);

    for (size_t i = 0; i < folders->failures; i++)
        if (folders->failed[i].folder == folder || i + 1 == most) {
            errno = folders->failed[i].error;
            return false;
        }
    if (is_fact(folders, flushed))
        return true;
    if (!dir_sync_at(tree->root, path, len))
        return failed_to_flush(folders, folder, errno);
    add_fact(folders, flushed);
    return true;
}

/* Removes the folder that is the first `len` bytes of `path`, and is perhaps known to be ours. */
static bool unmake_one(struct dir_tree *tree, const char *path, size_t len)
{
    char folder[DIR_PATH_SIZE];
    const char *leaf;
    int parent;
    bool ok;

    if (!is_fact(&tree->folders, folder_fact(hash_path(tree, path, len), WE_MADE_IT)))
        return false;
    memcpy(folder, path, len);
    folder[len] = '\0';
    parent = dir_open_parent(tree->root, folder, &leaf);
    ok = parent >= 0 && unlinkat(parent, leaf, AT_REMOVEDIR) == 0;
    if (parent >= 0)
        close(parent);
    return ok;
}

/* From the last folder on the way to `path` up to the one that is its first `len` bytes. Keeps errno. */
static void unmake_folders(struct dir_tree *tree, const char *path, size_t len)
{
    int before = errno;

    for (size_t end = strlen(path); end-- > len;)
        if (path[end] == '/' && !unmake_one(tree, path, end))
            break;
    errno = before;
}

bool dir_folder_settle(struct dir_tree *tree, const char *path)
{
    uint64_t above = hash_start(tree);
    uint64_t folder = above;
    size_t above_len = 0;

    for (size_t len = 0; path[len] != '\0'; folder = hash_byte(folder, path[len++])) {
        if (path[len] != '/')
            continue;
        if (!is_fact(&tree->folders, folder_fact(folder, IT_LASTS))) {
            if (!flush_folder(tree, path, above_len, above)) {
                unmake_folders(tree, path, len);
                return false;
            }
            note_that_it_lasts(&tree->folders, folder);
        }
        above = folder;
        above_len = len;
    }
    return true;
}

void dir_folder_believe(struct dir_tree *tree, const char *path)
{
    uint64_t folder = hash_start(tree);

    for (; *path != '\0'; folder = hash_byte(folder, *path++))
        if (*path == '/')
            note_that_it_lasts(&tree->folders, folder);
}
