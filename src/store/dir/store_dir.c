/*
 * The URL is that of RFC 8089, "The file URI Scheme", with an empty or local authority.
 */
#include "store_dir.h"

#include "clock.h"
#include "dir_list.h"
#include "dir_object.h"
#include "dir_stream.h"
#include "log.h"
#include "page.h"
#include "store_ops.h"
#include "text.h"
#include "uri.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Entries of a listing that one step looks up. */
#define LIST_STEP 100

/* ---- small objects ---- */

static void dir_op_read(struct store *store, struct call *call, const char *key)
{
    struct store_dir *dir = dir_store(store);
    struct stat status;
    int fd;

    if (!dir_ready(dir, call))
        return;
    fd = dir_open_object(&dir->tree, key, O_RDONLY, &status);
    if (fd < 0 || !dir_describe(dir, call, key, &status, false) || !dir_read(fd, &call->body)) {
        bool too_large = errno == EFBIG;

        dir_fail(call, dir, "reading", key);
        if (too_large)
            call->error.kind = ERROR_UNSUPPORTED;
    }
    if (fd >= 0)
        close(fd);
    call->done = true;
}

static void dir_op_head(struct store *store, struct call *call, const char *key)
{
    struct store_dir *dir = dir_store(store);
    struct stat status;
    char thing[DIR_PATH_SIZE];
    int fd;

    if (!dir_ready(dir, call))
        return;
    fd = dir_open_object(&dir->tree, key, O_PATH, &status);
    if (fd < 0 && errno == ENOENT &&
        dir_key_is_path(key)) /* what is behind a link is not known to be absent */
        errno = dir_find_foreign(&dir->tree, key, thing) ? ELOOP : ENOENT;
    if (fd < 0 || !dir_describe(dir, call, key, &status, true))
        dir_fail(call, dir, "looking at", key);
    if (fd >= 0)
        close(fd);
    call->done = true;
}

static void dir_op_remove(struct store *store, struct call *call, const char *key,
                          const struct store_condition *condition)
{
    struct store_dir *dir = dir_store(store);

    if (!dir_ready(dir, call))
        return;
    if (!dir_object_remove(&dir->tree, key, condition)) {
        bool changed = errno == DIR_CHANGED;

        dir_fail(call, dir, "removing", key);
        if (changed)
            call->error.kind = ERROR_PRECONDITION;
    }
    call->done = true;
}

static void dir_op_write(struct store *store, struct call *call, const char *key, const char *data,
                         size_t len, const struct store_condition *condition)
{
    struct store_dir *dir = dir_store(store);
    struct object_meta none; /* a state file's content type is nobody's business here: no sidecar for it */
    struct dir_commit commit = {.body.fd = -1,
                                .sidecar.fd = -1,
                                .key = key,
                                .meta = &none,
                                .condition = *condition,
                                .modified = CLOCK_UNKNOWN};

    if (!dir_ready(dir, call))
        return;
    object_meta_init(&none);
    if (!dir_file_open(&dir->tree, &commit.body, key) || !dir_file_write(&commit.body, data, len, 0) ||
        !dir_commit(&dir->tree, &commit))
        dir_write_failed(call, dir, key, condition->when);
    dir_commit_drop(&commit);
    call->done = true;
}

/* ---- listing ---- */

static void list_end(struct call *call, struct dir_call *work, const struct dir_list *list)
{
    uint64_t left_out = dir_list_left_out(list);

    if (left_out > 0)
        log_warn(
            "%s: %" PRIu64
            " things under \"%s\" are left out: they are no regular files, or their paths are longer than a key may be",
            work->store->base.name, left_out, work->key);
    page_end(work->page, NULL);
    call->done = true;
}

static void list_failed(struct call *call, const struct dir_call *work)
{
    if (call->error.kind != ERROR_INTERRUPTED && call->error.kind != ERROR_TIMEOUT) {
        error_prefix(&call->error, "listing \"%s\": ", work->key);
        store_blame(&work->store->base, &call->error);
    }
    call->done = true;
}

/* Adds one entry. The page is over when it takes no more: the next one begins with this entry. */
static void list_one(struct call *call, struct dir_call *work, struct dir_list *list)
{
    struct object_entry entry;

    switch (dir_list_peek(list, &entry, &call->error)) {
    case DIR_LIST_ENTRY:
        if (page_add(work->page, &entry)) {
            work->page_used = true;
            dir_list_next(list);
        } else if (work->page_used && page_end(work->page, entry.key)) {
            call->done = true;
        } else {
            error_set(&call->error, ERROR_LOCAL, "out of memory");
            list_failed(call, work);
        }
        break;
    case DIR_LIST_END:
        list_end(call, work, list);
        break;
    case DIR_LIST_FAILED:
        list_failed(call, work);
        break;
    }
}

static bool list_step(struct call *call, struct dir_call *work)
{
    struct dir_list *list = *page_walk(work->page);

    for (int i = 0; i < LIST_STEP && !call->done; i++) {
        list_one(call, work, list);
        if (page_passed(work->page))
            list_end(call, work, list);
    }
    return true;
}

static void dir_op_list(struct store *store, struct call *call, const struct store_range *range,
                        struct store_page *page)
{
    struct store_dir *dir = dir_store(store);
    struct dir_call *work;

    if (!dir_ready(dir, call) || (work = dir_call_new(dir, call, range->prefix)) == NULL)
        return;
    work->step = list_step;
    work->page = page;
    if (*page_walk(page) == NULL)
        *page_walk(page) = dir_list_open(&dir->tree, range->prefix, DIR_LIST_WINDOW, &call->error);
    if (*page_walk(page) == NULL)
        list_failed(call, work);
    else
        dir_list_filter(*page_walk(page), range->filter);
}

static void dir_op_list_end(void *walk)
{
    dir_list_close(walk);
}

/* ---- two directories ---- */

static bool is_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

static bool dir_op_same(const struct store *a, const struct store *b)
{
    struct stat status_a, status_b;

    return stat(((const struct store_dir *)a)->path, &status_a) == 0 &&
           stat(((const struct store_dir *)b)->path, &status_b) == 0 && is_same_file(&status_a, &status_b);
}

/* Is one of the directories above `inner` the directory `outer`? By going up, which symbolic links and
 * bind mounts cannot mislead. What cannot be opened will be reported when it is used. */
static bool is_inside(const char *inner, const char *outer)
{
    struct stat target, status, above;
    bool inside = false;
    int fd = open(inner, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 || stat(outer, &target) != 0 || fstat(fd, &status) != 0) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    for (;;) {
        int up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

        close(fd);
        fd = up;
        if (fd < 0 || fstat(fd, &above) != 0 || is_same_file(&above, &status))
            break;
        if ((inside = is_same_file(&above, &target)))
            break;
        status = above;
    }
    if (fd >= 0)
        close(fd);
    return inside;
}

static bool dir_op_check_pair(const struct store *source, const struct store *destination,
                              struct error *error)
{
    const char *from = ((const struct store_dir *)source)->path;
    const char *to = ((const struct store_dir *)destination)->path;

    if (is_inside(to, from))
        return error_set(
            error, ERROR_CONFIG,
            "the destination %s lies inside the source %s: every copy would become part of the source; choose another directory",
            destination->name, source->name);
    if (is_inside(from, to))
        return error_set(
            error, ERROR_CONFIG,
            "the source %s lies inside the destination %s: it would be part of what is compared; choose another directory",
            source->name, destination->name);
    return true;
}

/* ---- opening ---- */

static void dir_op_close(struct store *store)
{
    struct store_dir *dir = dir_store(store);

    if (dir->tree.root >= 0)
        close(dir->tree.root);
    if (dir->tree.temp >= 0)
        close(dir->tree.temp);
    free(dir);
}

static const struct store_ops dir_ops = {
    .scheme = "file",
    .close = dir_op_close,
    .same = dir_op_same,
    .check_pair = dir_op_check_pair,
    .list = dir_op_list,
    .list_end = dir_op_list_end,
    .read = dir_op_read,
    .write = dir_op_write,
    .head = dir_op_head,
    .remove = dir_op_remove,
    .tags = dir_op_head, /* the metadata has them */
    .get = dir_get,
    .put = dir_put,
    .upload_begin = dir_upload_begin,
    .upload_part = dir_upload_part,
    .upload_finish = dir_upload_finish,
    .upload_abort = dir_upload_abort,
    .step = dir_step,
    .cancel = dir_cancel,
    .release = dir_release,
};

/* The path in a file URL, or NULL. */
static const char *url_path(const char *url)
{
    static const char *const beginnings[] = {"file://localhost/", "file:///"};

    for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++)
        if (text_begins(url, beginnings[i]))
            return url + strlen(beginnings[i]) - 1;
    return NULL;
}

struct store *store_dir_open(const char *url, struct loop *loop, struct error *error)
{
    struct store_dir *dir = calloc(1, sizeof *dir);
    const char *path = url_path(url);

    if (dir == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    dir->base = (struct store){
        .ops = &dir_ops,
        .loop = loop,
        .traits = {.put_max = UINT64_MAX / 2,
                   .copy_max = UINT64_MAX / 2,
                   .part_min = 1,
                   .part_count_max = 1 << 30,
                   .local = true,
                   .if_absent = true,
                   .keeps_times = true},
    };
    dir->tree = (struct dir_tree){.root = -1, .temp = -1, .stale = CLOCK_UNKNOWN};
    dir_batch_init(&dir->batch);
    if (path == NULL || strlen(url) >= sizeof dir->base.name) {
        error_set(error, ERROR_CONFIG, "bucket \"%s\" is no directory: write file:///PATH", url);
    } else {
        snprintf(dir->base.name, sizeof dir->base.name, "%s", url);
        snprintf(dir->base.url, sizeof dir->base.url, "%s", url);
        snprintf(dir->path, sizeof dir->path, "%s", path);
        if (uri_decode(dir->path, false))
            return &dir->base;
        error_set(error, ERROR_CONFIG,
                  "bucket \"%s\": %% must be followed by two hexadecimal digits (%%25 is a %%)", url);
    }
    free(dir);
    return NULL;
}
