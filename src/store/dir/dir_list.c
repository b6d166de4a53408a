#include "dir_list.h"

#include "clock.h"
#include "dir_file.h"
#include "dir_sort.h"
#include "stop.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The name of a directory entry as it sorts: a directory has a '/' behind it. */
#define NAME_SIZE DIR_SORT_NAME

/* Entries of a directory that are read between two looks at stop_requested(). */
#define READ_STEP 1000

/* The smallest window that is worth a file, in bytes. */
#define SORT_FROM ((size_t)16 * 1024)

/* One directory on the way down. `names` holds names with their NUL, `starts` where each begins, in order. */
struct level {
    size_t path_len; /* its path is that much of walk->path, with a '/' at the end unless empty */
    struct buf names;
    uint32_t *starts;
    size_t count, cap;
    size_t next;  /* the first name not handed out */
    size_t limit; /* bytes of names and starts */
    bool begun;   /* its first window was read */
    size_t bound; /* while reading, and `more`: the index of the largest name */
    bool more;    /* there are names behind the last one of the window; true before the first reading */
    bool sorts;   /* what does not fit is sorted on disk */
    struct dir_sort *sort; /* NULL: not needed so far, or not to be had */
};

enum walk_state {
    WALK_ON,   /* to be moved to the next file */
    WALK_FILE, /* `file` is the current one, `path` its path */
    WALK_END,
};

struct walk {
    enum walk_state state;
    int base; /* the directory that paths are relative to; -1: there is none, so nothing in it */
    int here; /* the current level's directory, O_PATH; -1: to be opened */
    struct level *levels;
    size_t depth, cap;
    size_t window;
    char path[DIR_PATH_SIZE]; /* of the current level, then of the current file */
    size_t path_max;
    char filter[DIR_PATH_SIZE]; /* names of the first level begin with this */
    struct filter *wanted;      /* by it; NULL: all */
    uint64_t left_out;
    const struct dir_tree *tree;
    bool tells_unreadable; /* as entries; else they are failures */
    bool guesses;          /* there was a name of which nobody could say what it is of */
    struct object_entry file;
};

struct dir_list {
    struct walk plain, odd;
    char odd_key[OBJECT_KEY_MAX + 1];
    bool from_plain, from_odd; /* where the entry that peek showed comes from */
};

/* ---- a level's window ---- */

static size_t window_size(const struct level *level)
{
    return level->names.len + level->count * sizeof level->starts[0];
}

/* The sort has as much as the window that could not hold all names. */
static size_t level_size(const struct level *level)
{
    return window_size(level) + (level->sort != NULL ? level->limit : 0);
}

static const char *level_name(const struct level *level, size_t index)
{
    return level->names.data + level->starts[index];
}

static void level_free(struct level *level)
{
    buf_free(&level->names);
    free(level->starts);
    dir_sort_free(level->sort);
}

static void level_clear(struct level *level)
{
    buf_clear(&level->names);
    level->count = level->next = 0;
}

static int compare_starts(const void *a, const void *b, void *names)
{
    return strcmp((const char *)names + *(const uint32_t *)a, (const char *)names + *(const uint32_t *)b);
}

/* Some file systems give a name again that was replaced while its directory is read (btrfs, tmpfs). */
static void level_sort(struct level *level)
{
    size_t kept = 0;

    if (level->count > 1)
        qsort_r(level->starts, level->count, sizeof level->starts[0], compare_starts, level->names.data);
    for (size_t i = 0; i < level->count; i++)
        if (kept == 0 || strcmp(level_name(level, i), level_name(level, kept - 1)) != 0)
            level->starts[kept++] = level->starts[i];
    level->count = kept;
}

static bool level_add(struct level *level, const char *name)
{
    uint32_t start = (uint32_t)level->names.len;

    if (level->count == level->cap) {
        size_t cap = level->cap != 0 ? 2 * level->cap : 16;
        uint32_t *starts = realloc(level->starts, cap * sizeof *starts);

        if (starts == NULL)
            return false;
        level->starts = starts;
        level->cap = cap;
    }
    if (!buf_append(&level->names, name, strlen(name) + 1))
        return false;
    level->starts[level->count++] = start;
    return true;
}

/* Keeps the smaller half of the names. From then on only names below the largest of them are added, so it
 * stays the largest until the next cut. */
static bool level_cut(struct level *level)
{
    struct buf kept;
    size_t count;

    level_sort(level);
    count = (level->count + 1) / 2;
    buf_init(&kept, level->names.max);
    for (size_t i = 0; i < count; i++) {
        const char *name = level_name(level, i);

        level->starts[i] = (uint32_t)kept.len;
        if (!buf_append(&kept, name, strlen(name) + 1)) {
            buf_free(&kept);
            return false;
        }
    }
    buf_free(&level->names);
    level->names = kept;
    level->count = count;
    level->bound = count - 1;
    level->more = true;
    return true;
}

/* Makes room in a full window: what is in it becomes a run of the sort, or its larger half is left for later. */
static bool level_make_room(struct level *level, int folder)
{
    bool ok;

    if (level->sorts && level->sort == NULL)
        level->sort = dir_sort_new(folder, level->limit);
    if (level->sort == NULL) {
        level->sorts = false;
        return level_cut(level);
    }
    level_sort(level);
    ok = dir_sort_add(level->sort, level->names.data, level->starts, level->count);
    level_clear(level);
    return ok;
}

/* After the last name: from now on all come out of the sort, which has the window's memory. */
static bool level_merge(struct level *level)
{
    bool ok = dir_sort_add(level->sort, level->names.data, level->starts, level->count);

    level_clear(level);
    buf_free(&level->names);
    free(level->starts);
    level->starts = NULL;
    level->cap = 0;
    level->more = true;
    return ok && dir_sort_merge(level->sort);
}

/* Lets the window be the next name of the sort. */
static bool level_take_sorted(struct level *level)
{
    const char *name = dir_sort_next(level->sort);

    level_clear(level);
    level->more = name != NULL;
    return name != NULL ? level_add(level, name) : errno == 0;
}

/* ---- reading a directory ---- */

/* What the last level's window may have: half of what the levels above it leave. */
static size_t level_limit(const struct walk *walk)
{
    size_t used = 0;

    for (size_t i = 0; i + 1 < walk->depth; i++)
        used += level_size(&walk->levels[i]);
    if (used + 2 * DIR_LIST_LEVEL_MIN > walk->window)
        return DIR_LIST_LEVEL_MIN;
    return (walk->window - used) / 2;
}

/* DT_REG, DT_DIR, anything else for other things; DT_UNKNOWN for what has vanished. What cannot be looked at counts as a file, of
 * which an entry will tell that. */
static unsigned char type_of(struct walk *walk, const struct dirent *entry)
{
    struct stat status;

    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type;
    if (fstatat(walk->here, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
        walk->guesses |= errno != ENOENT;
        return errno == ENOENT ? DT_UNKNOWN : DT_REG;
    }
    return S_ISREG(status.st_mode) ? DT_REG : S_ISDIR(status.st_mode) ? DT_DIR : DT_CHR;
}

/* Hidden names are no objects' and are not counted as left out. A temporary file that a crash left among them
 * is removed. */
static bool is_hidden(const struct walk *walk, const struct level *level, const char *name)
{
    if (text_begins(name, DIR_TEMP_PREFIX)) {
        if (walk->tree->stale != CLOCK_UNKNOWN)
            dir_file_tidy_one(walk->here, name, walk->tree->stale);
        return true;
    }
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return true;
    if (level->path_len == 0 && strcmp(name, DIR_STATE) == 0)
        return true;
    return level == walk->levels && !text_begins(name, walk->filter);
}

/* Puts a directory entry into the window if it belongs there: behind `after`, and below the largest name once
 * there are more than fit. What is left out is counted in the first reading, where `after` is "". */
static bool consider_entry(struct walk *walk, struct level *level, const struct dirent *entry,
                           const char *after)
{
    unsigned char type;
    char name[NAME_SIZE];
    size_t len = strlen(entry->d_name);

    if (is_hidden(walk, level, entry->d_name))
        return true;
    type = type_of(walk, entry);
    if (type == DT_UNKNOWN)
        return true;
    /* FUSE and CIFS know names longer than NAME_MAX. */
    if ((type != DT_REG && type != DT_DIR) || len > NAME_MAX ||
        level->path_len + len + (type == DT_DIR ? 2 : 0) > walk->path_max) {
        walk->left_out += after[0] == '\0';
        return true;
    }
    memcpy(name, entry->d_name, len);
    if (type == DT_DIR)
        name[len++] = '/';
    name[len] = '\0';
    if (strcmp(name, after) <= 0 || (level->more && strcmp(name, level_name(level, level->bound)) >= 0))
        return true;
    if (level_add(level, name) &&
        (window_size(level) <= level->limit || level_make_room(level, walk->tree->temp)))
        return true;
    errno = ENOMEM;
    return false;
}

/* Opens the current level's directory, if it is not. */
static bool walk_here(struct walk *walk)
{
    size_t len = walk->levels[walk->depth - 1].path_len;

    if (walk->here < 0)
        walk->here = dir_open(walk->base, walk->path, len > 0 ? len - 1 : 0, O_PATH);
    return walk->here >= 0;
}

static void walk_leave_here(struct walk *walk)
{
    if (walk->here >= 0)
        close(walk->here);
    walk->here = -1;
}

static DIR *open_stream(struct walk *walk)
{
    int fd = walk_here(walk) ? dir_open(walk->here, "", 0, O_RDONLY) : -1;
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;

    if (stream == NULL && fd >= 0)
        close(fd);
    return stream;
}

static bool is_stopped(void)
{
    struct error why;

    if (!stop_requested(&why))
        return false;
    errno = ECANCELED;
    return true;
}

/* Reads the names behind `after`: as many of them as the window holds, or all into the sort. */
static bool read_names(struct walk *walk, struct level *level, DIR *stream, const char *after)
{
    const struct dirent *entry;
    bool ok = true;

    level_clear(level);
    level->more = false;
    for (unsigned seen = 1; ok && (errno = 0, entry = readdir(stream)) != NULL; seen++)
        ok = consider_entry(walk, level, entry, after) && (seen % READ_STEP != 0 || !is_stopped());
    ok = ok && errno == 0;
    level_sort(level);
    return ok && (level->sort == NULL || level_merge(level));
}

/* The disk is full, say: the directory is read more often instead. */
static bool read_without_sort(struct walk *walk, struct level *level, DIR *stream)
{
    dir_sort_free(level->sort);
    level->sort = NULL;
    level->sorts = false;
    rewinddir(stream);
    return read_names(walk, level, stream, "");
}

/* Fills the current level's window with what comes behind its last name. */
static bool read_window(struct walk *walk)
{
    struct level *level = &walk->levels[walk->depth - 1];
    uint64_t left_out = walk->left_out;
    char after[NAME_SIZE] = "";
    DIR *stream = open_stream(walk);
    bool ok;
    int why;

    if (stream == NULL)
        return false;
    if (level->count > 0)
        memcpy(after, level_name(level, level->count - 1), strlen(level_name(level, level->count - 1)) + 1);
    level->limit = level_limit(walk);
    level->names.max = level->limit + NAME_SIZE;
    level->sorts = !level->begun && level->limit >= SORT_FROM;
    ok = read_names(walk, level, stream, after);
    if (!ok && level->sort != NULL && errno != ECANCELED) {
        walk->left_out = left_out;
        ok = read_without_sort(walk, level, stream);
    }
    why = errno;
    closedir(stream);
    errno = why;
    level->begun = level->begun || ok;
    return ok;
}

/* ---- walking ---- */

/* Adds a level for the directory that walk->path names. */
static bool push_level(struct walk *walk)
{
    if (walk->depth == walk->cap) {
        size_t cap = walk->cap != 0 ? 2 * walk->cap : 8;
        struct level *levels = realloc(walk->levels, cap * sizeof *levels);

        if (levels == NULL)
            return false;
        walk->levels = levels;
        walk->cap = cap;
    }
    walk->levels[walk->depth++] = (struct level){.path_len = strlen(walk->path), .more = true};
    return true;
}

static void pop_level(struct walk *walk)
{
    level_free(&walk->levels[--walk->depth]);
    walk_leave_here(walk);
}

/* Goes down into the directory `name` (with its '/') of the current level, which walk->path names. */
static bool enter_level(struct walk *walk, const char *name)
{
    int fd;

    if (!walk_here(walk))
        return false;
    fd = dir_open(walk->here, name, strlen(name) - 1, O_PATH);
    if (fd < 0)
        return false;
    walk_leave_here(walk);
    walk->here = fd;
    return push_level(walk);
}

static bool look_at_file(struct walk *walk, const char *name)
{
    struct stat status;

    if (!walk_here(walk) || fstatat(walk->here, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    if (!S_ISREG(status.st_mode)) {
        errno = walk->guesses && S_ISDIR(status.st_mode) ? EISDIR : ENOENT;
        return false;
    }
    walk->file = (struct object_entry){
        .size = (uint64_t)status.st_size, .modified = dir_modified(&status), .written = dir_written(&status)};
    dir_version(&status, walk->file.version);
    walk->state = WALK_FILE;
    return true;
}

/* Moves to the next name of the current level. False with errno. */
static bool next_name(struct walk *walk, struct level *level)
{
    const char *name = level_name(level, level->next++);
    size_t len = strlen(name);
    char *at = walk->path + level->path_len;

    memcpy(at, name, len + 1);
    if (at[len - 1] == '/' && filter_look(walk->wanted, walk->path).folder > 0)
        return true;
    return at[len - 1] == '/' ? enter_level(walk, at) : look_at_file(walk, at);
}

/* Did the last call fail because its directory entry has vanished, or become something else? Or because it
 * is that of a freshly made file system, which belongs to root and holds no objects? Or because a symbolic link is on the way to
 * all that was asked for? */
static bool may_pass_over(struct walk *walk)
{
    if (errno == ELOOP || (errno == EACCES && strcmp(walk->path, "lost+found/") == 0)) {
        walk->left_out++;
        return true;
    }
    return errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG;
}

/*
 * Did the last call fail because of what walk->path names, and may that be told as an entry? Not if it is all that
 * was asked for without a name of its own, if some of it was handed out already, or if this process lacks something.
 */
static bool show_unreadable(struct walk *walk)
{
    const struct level *level = &walk->levels[walk->depth - 1];
    bool is_level = walk->path[level->path_len] == '\0';

    if (!walk->tells_unreadable || walk->path[0] == '\0' || errno == ENOMEM || errno == EMFILE ||
        errno == ENFILE || errno == ECANCELED)
        return false;
    if (is_level && (level->begun || (level == walk->levels && walk->filter[0] != '\0')))
        return false;
    walk->file = (struct object_entry){.unreadable = errno};
    walk->state = WALK_FILE;
    return true;
}

/* Moves to the next file. False with errno. */
static bool walk_on(struct walk *walk)
{
    while (walk->state == WALK_ON && walk->depth > 0) {
        struct level *level = &walk->levels[walk->depth - 1];

        walk->path[level->path_len] = '\0';
        if (level->next < level->count) {
            if (!next_name(walk, level) && !may_pass_over(walk) && !show_unreadable(walk))
                return false;
        } else if (!level->more) {
            pop_level(walk);
        } else if (level->sort != NULL ? !level_take_sorted(level) : !read_window(walk)) {
            if (!may_pass_over(walk) && !show_unreadable(walk))
                return false;
            pop_level(walk);
        }
    }
    if (walk->state == WALK_ON)
        walk->state = WALK_END;
    return true;
}

/* Begins a walk of the paths that start with `prefix`. `base` becomes the walk's. */
static bool walk_open(struct walk *walk, int base, const char *prefix, size_t path_max, size_t window,
                      const struct dir_tree *tree)
{
    const char *slash = strrchr(prefix, '/');
    size_t dir_len = slash != NULL ? (size_t)(slash - prefix) + 1 : 0;

    *walk = (struct walk){
        .state = WALK_ON, .base = base, .here = -1, .window = window, .path_max = path_max, .tree = tree};
    memcpy(walk->path, prefix, dir_len);
    memcpy(walk->filter, prefix + dir_len, strlen(prefix + dir_len) + 1);
    return push_level(walk);
}

static void walk_close(struct walk *walk)
{
    while (walk->depth > 0)
        pop_level(walk);
    free(walk->levels);
    if (walk->base >= 0)
        close(walk->base);
}

/* ---- the merge ---- */

/* No plain path is a key that starts like this: such keys are odd ones, or what is there is the store's own. Of
 * the program's state, a listing shows one folder at a time. */
static bool nothing_plain(const char *prefix)
{
    static const char *const own[] = {DIR_ODD "/", DIR_META "/", DIR_TEMP "/"};

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (text_begins(prefix, own[i]))
            return true;
    return prefix[0] == '/' ||
           (text_begins(prefix, DIR_STATE "/") && strchr(prefix + sizeof DIR_STATE, '/') == NULL);
}

static bool open_walks(struct dir_list *list, const struct dir_tree *tree, const char *prefix, size_t window)
{
    char odd[DIR_PATH_SIZE];
    int root = dir_open(tree->root, "", 0, O_PATH);
    int odd_root;

    list->plain.base = list->odd.base = -1;
    if (root < 0 || !walk_open(&list->plain, root, prefix, OBJECT_KEY_MAX, window, tree))
        return false;
    list->plain.tells_unreadable = true;
    if (nothing_plain(prefix))
        list->plain.state = WALK_END;
    odd_root = dir_open(tree->root, DIR_ODD, sizeof DIR_ODD - 1, O_PATH);
    if (odd_root < 0 && !dir_is_absent(errno))
        return false;
    dir_odd_path(prefix, odd);
    if (!walk_open(&list->odd, odd_root, odd + sizeof DIR_ODD, DIR_PATH_SIZE - sizeof DIR_ODD - 1, window,
                   tree))
        return false;
    if (odd_root < 0)
        list->odd.state = WALK_END;
    return true;
}

struct dir_list *dir_list_open(const struct dir_tree *tree, const char *prefix, size_t window,
                               struct error *error)
{
    struct dir_list *list = calloc(1, sizeof *list);

    errno = ENOMEM;
    if (list != NULL && open_walks(list, tree, prefix, window))
        return list;
    error_set_errno(error, "reading %s, which is for its owner and group", DIR_STATE);
    dir_list_close(list);
    return NULL;
}

void dir_list_close(struct dir_list *list)
{
    if (list == NULL)
        return;
    walk_close(&list->plain);
    walk_close(&list->odd);
    free(list);
}

/* The paths of odd names say nothing of their keys' folders. */
void dir_list_filter(struct dir_list *list, struct filter *filter)
{
    list->plain.wanted = filter;
}

static bool odd_on(struct dir_list *list)
{
    while (list->odd.state == WALK_ON) {
        if (!walk_on(&list->odd))
            return false;
        /* What has no name of ours was not put there by us. */
        if (list->odd.state == WALK_FILE && !dir_odd_key(list->odd.path, list->odd_key))
            list->odd.state = WALK_ON;
    }
    return true;
}

static enum dir_list_state fail_listing(const char *base, const char *path, struct error *error)
{
    if (errno != ECANCELED || !stop_requested(error))
        error_set_errno(error, "reading \"%s%s\"", base, path);
    return DIR_LIST_FAILED;
}

enum dir_list_state dir_list_peek(struct dir_list *list, struct object_entry *entry, struct error *error)
{
    int order;

    if (!walk_on(&list->plain))
        return fail_listing("", list->plain.path, error);
    if (!odd_on(list))
        return fail_listing(DIR_ODD "/", list->odd.path, error);
    if (list->plain.state == WALK_END && list->odd.state == WALK_END)
        return DIR_LIST_END;
    if (list->plain.state == WALK_END)
        order = 1;
    else
        order = list->odd.state == WALK_END ? -1 : strcmp(list->plain.path, list->odd_key);
    list->from_plain = order <= 0;
    list->from_odd = order >= 0;
    *entry = list->from_plain ? list->plain.file : list->odd.file;
    entry->key = list->from_plain ? list->plain.path : list->odd_key;
    return DIR_LIST_ENTRY;
}

void dir_list_next(struct dir_list *list)
{
    if (list->from_plain)
        list->plain.state = WALK_ON;
    if (list->from_odd)
        list->odd.state = WALK_ON;
}

uint64_t dir_list_left_out(const struct dir_list *list)
{
    return list->plain.left_out;
}
