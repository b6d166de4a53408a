#include "dir_stream.h"

#include "clock.h"
#include "dir_meta.h"
#include "dir_object.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How far apart two changes must be to have two ctimes, ms: a tick of the kernel's clock, or what a file system
 * that has no fractions of a second keeps. */
#define CTIME_STEP 20
#define CTIME_STEP_COARSE 2000

/* How long one write may take, ms, on a machine that is busy or a disk that is slow: a file has its ctime when the write
 * begins, and the old bytes until it ends. */
#define WRITE_TIME 100

/* An object being put together in a temporary file. */
struct dir_upload {
    struct upload base;
    struct dir_file file;
    uint64_t size;
    uint64_t written; /* by the parts that are complete */
    int64_t modified;
    struct object_meta meta;
    enum store_when when; /* it may become an object */
    char version[OBJECT_VERSION_SIZE];
    char key[OBJECT_KEY_MAX + 1];
};

struct store_dir *dir_store(struct store *store)
{
    return (struct store_dir *)store;
}

/* What the interface calls an upload is one of ours. */
static struct dir_upload *own_upload(struct upload *upload)
{
    return (struct dir_upload *)upload;
}

/* ---- calls ---- */

static void open_failed(const struct store_dir *store, struct error *error)
{
    if (errno == ENOENT)
        error_set(error, ERROR_NO_BUCKET, "there is no directory %s: create or mount it, or correct the path",
                  store->path);
    else if (errno == ENOTDIR)
        error_set(error, ERROR_NO_BUCKET, "%s is not a directory: correct the path", store->path);
    else
        error_set_errno(error, "opening the directory");
    store_blame(&store->base, error);
}

bool dir_ready(struct store_dir *store, struct call *call)
{
    if (store->tree.root < 0)
        store->tree.root = open(store->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (store->tree.root >= 0)
        return true;
    open_failed(store, &call->error);
    call->done = true;
    return false;
}

/* What the person on call can do about it; "" if that is not known. */
static const char *remedy(int error)
{
    static const struct {
        int error;
        const char *text;
    } remedies[] = {
        {ENOSPC, "; make room on its volume"},
        {EDQUOT, "; the quota of the user or the volume is used up"},
        {EROFS, "; mount it writable"},
        {EFBIG, "; the limit of the process (ulimit -f) or of the file system is lower"},
        {EACCES, "; the user that runs this lacks the right"},
        {EIO, "; its device or server failed: see the kernel's log"},
        {ENAMETOOLONG, "; the file system has no room for such names"},
    };

    for (size_t i = 0; i < sizeof remedies / sizeof *remedies; i++)
        if (remedies[i].error == error)
            return remedies[i].text;
    return "";
}

void dir_fail(struct call *call, const struct store_dir *store, const char *doing, const char *key)
{
    size_t len;

    error_set_errno(&call->error, "%s %.200s", doing, key);
    len = strlen(call->error.text);
    snprintf(call->error.text + len, sizeof call->error.text - len, "%s", remedy(call->error.sys));
    store_blame(&store->base, &call->error);
    call->done = true;
}

void dir_write_failed(struct call *call, const struct store_dir *store, const char *key, enum store_when when)
{
    char thing[DIR_PATH_SIZE];
    struct error *error = &call->error;
    int why = errno;

    dir_fail(call, store, "writing", key);
    if (when == STORE_IF_ABSENT && why == EEXIST)
        call->error.kind = ERROR_PRECONDITION;
    if (when == STORE_IF_ABSENT && why == EOPNOTSUPP)
        call->error.kind = ERROR_UNSUPPORTED;
    if (when == STORE_IF_VERSION && why == ESTALE)
        error_set(error, ERROR_PRECONDITION, "%.200s has changed meanwhile", key);
    if (why == ENOTUNIQ)
        error_set(
            error, ERROR_LOCAL,
            "nothing was written for %.200s: its file system takes that for another name, which is there already and differs in case or in how letters are composed; use one that tells them apart",
            key);
    if ((why == ELOOP || why == ENOTDIR) &&
        (dir_find_foreign(&store->tree, key, thing) || dir_find_foreign(&store->tree, DIR_TEMP, thing)))
        error_set(
            error, ERROR_LOCAL,
            "%.150s is a symbolic link or a device, which is never followed or replaced: nothing was written for %.150s; put a directory or file there, or mount there what the link leads to",
            thing, key);
    if (error->sys == 0) /* it is another one by now */
        store_blame(&store->base, error);
    call->error.sys = why;
}

/* Ends the call because the bytes were not those that were announced; another attempt may find them. */
static void fail_torn(struct call *call, const struct dir_call *work, const char *what)
{
    error_set(&call->error, ERROR_PROTOCOL, "%s %s", work->key, what);
    store_blame(&work->store->base, &call->error);
    call->again = true;
    call->done = true;
}

struct dir_call *dir_call_new(struct store_dir *store, struct call *call, const char *key)
{
    struct dir_call *work = calloc(1, sizeof *work);

    if (work == NULL) {
        dir_fail(call, store, "working on", key);
        return NULL;
    }
    work->store = store;
    work->fd = -1;
    memcpy(work->key, key, strlen(key) + 1);
    call->impl = work;
    return work;
}

static void free_upload(struct dir_upload *upload)
{
    dir_file_drop(&upload->file);
    object_meta_free(&upload->meta);
    free(upload);
}

static void let_go(struct dir_call *work)
{
    if (work->fd >= 0)
        close(work->fd);
    work->fd = -1;
    if (work->owns_upload)
        free_upload(work->upload);
    work->upload = NULL;
    work->owns_upload = false;
}

bool dir_step(struct call *call)
{
    struct dir_call *work = call->impl;
    bool moved = work->step(call, work);

    if (call->done)
        let_go(work);
    return moved || call->done;
}

void dir_cancel(struct call *call, const struct error *why)
{
    if (call->impl != NULL)
        let_go(call->impl);
    call->error = *why;
    call->done = true;
}

void dir_release(struct call *call)
{
    let_go(call->impl);
    free(call->impl);
}

/* ---- get ---- */

bool dir_describe(struct store_dir *store, struct call *call, const char *key, const struct stat *status,
                  bool meta)
{
    if (meta && !dir_meta_load(&store->tree, key, status, &call->meta))
        return false;
    call->meta.mode = (int)(status->st_mode & 0777);
    call->info.size = (uint64_t)status->st_size;
    call->info.modified = dir_modified(status);
    dir_version(status, call->info.version);
    call->head_known = true;
    return true;
}

/* Is the file still the version that the call is about? False: the call is over. */
static bool is_unchanged(struct call *call, struct dir_call *work)
{
    struct stat status;
    struct statx ignored;

    /* Over a network, fstat may tell what was so a minute ago; this makes it ask. */
    statx(work->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &ignored);
    if (fstat(work->fd, &status) != 0)
        dir_fail(call, work->store, "reading", work->key);
    else if (!dir_is_version(&status, call->info.version))
        fail_torn(call, work, "changed while it was read");
    return !call->done;
}

/*
 * When reading may begin. Two changes within one step of the clock that makes a ctime look like one, and the
 * second could come while we read; or the last one is still being written. So a change that is younger than both is
 * waited for.
 */
static int64_t quiet_at(const struct stat *status)
{
    int64_t step = status->st_ctim.tv_nsec == 0 ? CTIME_STEP_COARSE : CTIME_STEP;
    int64_t wait = step > WRITE_TIME ? step : WRITE_TIME;
    int64_t age = clock_wall() - (int64_t)status->st_ctim.tv_sec * 1000 - status->st_ctim.tv_nsec / 1000000;

    if (age >= wait || age <= -wait)
        return 0;
    return clock_mono() + (age < wait - step ? wait - age : step);
}

/* True when the wait is over and nothing changed meanwhile. */
static bool is_quiet(struct call *call, struct dir_call *work)
{
    if (clock_mono() < work->quiet_at) {
        store_wake(&work->store->base, work->quiet_at);
        return false;
    }
    work->quiet_at = 0;
    return is_unchanged(call, work);
}

/* Reads what there is room for. 0: there is none, or the call is over. */
static size_t read_piece(struct call *call, struct dir_call *work)
{
    unsigned char *to;
    size_t room = pipe_reserve(work->pipe, &to);
    ssize_t len;

    if (room > work->left)
        room = (size_t)work->left;
    if (room == 0)
        return 0;
    do
        len = pread(work->fd, to, room, (off_t)work->offset);
    while (len < 0 && errno == EINTR);
    if (len < 0)
        dir_fail(call, work->store, "reading", work->key);
    if (len == 0)
        fail_torn(call, work, "became shorter while it was read");
    return len > 0 ? (size_t)len : 0;
}

static bool get_step(struct call *call, struct dir_call *work)
{
    bool moved = false;

    if (work->quiet_at != 0 && !is_quiet(call, work))
        return call->done;
    for (;;) {
        size_t len = read_piece(call, work);

        if (call->done || (len == 0 && work->left > 0))
            return moved || call->done;
        /* Before the last byte is handed on: with it the other half has the whole object. */
        if (len == work->left)
            break;
        pipe_commit(work->pipe, len);
        work->offset += len;
        work->left -= len;
        moved = true;
    }
    if (is_unchanged(call, work)) {
        pipe_commit(work->pipe, (size_t)work->left);
        work->pipe->closed = true;
        call->done = true;
    }
    return true;
}

void dir_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
             struct pipe *sink)
{
    struct store_dir *dir = dir_store(from->store);
    const char *key = from->key;
    struct stat status;
    struct dir_call *work;

    if (!dir_ready(dir, call) || (work = dir_call_new(dir, call, key)) == NULL)
        return;
    work->step = get_step;
    work->pipe = sink;
    work->fd = dir_open_object(&dir->tree, key, O_RDONLY, &status);
    if (work->fd < 0 || !dir_describe(dir, call, key, &status, true)) {
        dir_fail(call, dir, "reading", key);
    } else if (from->version[0] != '\0' && !dir_is_version(&status, from->version)) {
        error_set(&call->error, ERROR_PRECONDITION, "%s changed since it was listed", key);
        store_blame(&dir->base, &call->error);
        call->done = true;
    } else if (offset > call->info.size || (length != UINT64_MAX && length > call->info.size - offset)) {
        fail_torn(call, work, "is shorter than it was");
    } else {
        work->offset = offset;
        work->left = length != UINT64_MAX ? length : call->info.size - offset;
        work->quiet_at = quiet_at(&status);
    }
    if (call->done)
        let_go(work);
}

/* ---- put, and uploads in parts ---- */

/* Asks for the space beforehand, so that a full disk is met before gigabytes have moved. Where that cannot be
 * asked (EOPNOTSUPP and the like), the writes will tell. */
static bool reserve_space(int fd, uint64_t size)
{
    if (size == 0 || fallocate(fd, 0, 0, (off_t)size) == 0)
        return true;
    return errno != ENOSPC && errno != EDQUOT && errno != EFBIG;
}

static struct dir_upload *new_upload(struct store_dir *store, struct call *call,
                                     const struct store_target *target)
{
    struct dir_upload *upload = calloc(1, sizeof *upload);
    const struct object_meta *meta = target->meta;

    if (upload == NULL) {
        dir_fail(call, store, "writing", target->key);
        return NULL;
    }
    upload->base.store = &store->base;
    upload->size = target->size;
    upload->modified = target->modified;
    upload->when = target->condition.when;
    if (upload->when == STORE_IF_VERSION)
        snprintf(upload->version, sizeof upload->version, "%s", target->condition.version);
    upload->file.fd = -1;
    memcpy(upload->key, target->key, strlen(target->key) + 1);
    object_meta_init(&upload->meta);
    upload->meta.mode = meta->mode;
    upload->meta.restored = meta->restored;
    errno = ENOMEM;
    if ((meta->pairs.len > 0 && !buf_append(&upload->meta.pairs, meta->pairs.data, meta->pairs.len)) ||
        !dir_file_open(&store->tree, &upload->file, target->key)) {
        dir_fail(call, store, "writing", target->key);
        free_upload(upload);
        return NULL;
    }
    return upload;
}

/* Makes the object of a complete upload. Ends the call. */
static void commit_upload(struct store_dir *store, struct call *call, struct dir_upload *upload)
{
    struct store_condition condition = {.when = upload->when, .version = upload->version};

    if (!dir_object_commit(&store->tree, &upload->file, upload->key, upload->modified, &upload->meta,
                           &condition))
        dir_write_failed(call, store, upload->key, upload->when);
    call->done = true;
}

static void part_end(struct call *call, struct dir_call *work)
{
    work->upload->written += work->part_size;
    if (work->owns_upload)
        commit_upload(work->store, call, work->upload);
    call->done = true;
}

static bool put_step(struct call *call, struct dir_call *work)
{
    const unsigned char *from;
    bool moved = false;
    size_t len;

    while ((len = pipe_peek(work->pipe, &from)) > 0) {
        if (len > work->left) {
            fail_torn(call, work, "has more bytes than announced");
            return true;
        }
        if (!dir_file_write(&work->upload->file, from, len, work->offset)) {
            dir_fail(call, work->store, "writing", work->key);
            return true;
        }
        pipe_consume(work->pipe, len);
        work->offset += len;
        work->left -= len;
        moved = true;
    }
    if (!work->pipe->closed)
        return moved;
    if (work->left > 0)
        fail_torn(call, work, "ended before the last byte that was announced");
    else
        part_end(call, work);
    return true;
}

static void begin_writing(struct dir_call *work, struct dir_upload *upload, uint64_t offset, uint64_t size,
                          struct pipe *source)
{
    work->step = put_step;
    work->upload = upload;
    work->pipe = source;
    work->offset = offset;
    work->left = size;
    work->part_size = size;
}

void dir_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source)
{
    struct store_dir *dir = dir_store(to);
    struct dir_upload *upload;
    struct dir_call *work;

    if (!dir_ready(dir, call) || (upload = new_upload(dir, call, target)) == NULL)
        return;
    work = dir_call_new(dir, call, target->key);
    if (work == NULL) {
        free_upload(upload);
        return;
    }
    begin_writing(work, upload, 0, target->size, source);
    work->owns_upload = true;
}

void dir_upload_begin(struct store *to, struct call *call, const struct store_target *target)
{
    struct store_dir *dir = dir_store(to);
    struct dir_upload *upload;

    if (!dir_ready(dir, call) || (upload = new_upload(dir, call, target)) == NULL)
        return;
    if (reserve_space(upload->file.fd, target->size)) {
        call->upload = &upload->base;
    } else {
        dir_fail(call, dir, "writing", target->key);
        free_upload(upload);
    }
    call->done = true;
}

/* Of a part, the offset says it all. */
void dir_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                     struct pipe *source)
{
    struct dir_upload *own = own_upload(upload);
    struct dir_call *work = dir_call_new(dir_store(upload->store), call, own->key);

    if (work != NULL)
        begin_writing(work, own, part->offset, part->size, source);
}

void dir_upload_finish(struct upload *upload, struct call *call)
{
    struct store_dir *dir = dir_store(upload->store);
    struct dir_upload *own = own_upload(upload);

    if (own->written != own->size) {
        error_set(&call->error, ERROR_PROTOCOL, "the parts of %s are not all there", own->key);
        store_blame(&dir->base, &call->error);
        call->done = true;
        return;
    }
    commit_upload(dir, call, own);
    if (call->error.kind == ERROR_NONE)
        free_upload(own);
}

void dir_upload_abort(struct upload *upload, struct call *call)
{
    free_upload(own_upload(upload));
    call->done = true;
}
