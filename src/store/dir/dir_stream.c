#include "dir_stream.h"

#include "clock.h"
#include "dir_meta.h"

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

struct store_dir *dir_store(struct store *store)
{
    return (struct store_dir *)store;
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
    if (when == STORE_IF_VERSION && why == DIR_CHANGED)
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

void dir_fail_torn(struct call *call, const struct dir_call *work, const char *what)
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

static void let_go(struct dir_call *work)
{
    if (work->fd >= 0)
        close(work->fd);
    work->fd = -1;
    dir_upload_let_go(work);
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

/* A sandbox says EPERM. For kernels before 4.11 the C library asks by an older call, which refuses the flag: EINVAL. */
static bool is_unknown_call(int code)
{
    return code == EPERM || code == EINVAL || code == ENOSYS;
}

/* Is the file still the version that the call is about? False: the call is over. */
static bool is_unchanged(struct call *call, struct dir_call *work)
{
    struct stat status;
    struct statx ignored;

    /* Over a network, fstat may tell what was so a minute ago; this makes it ask. */
    if ((statx(work->fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_BASIC_STATS, &ignored) != 0 &&
         !is_unknown_call(errno)) ||
        fstat(work->fd, &status) != 0)
        dir_fail(call, work->store, "reading", work->key);
    else if (!dir_is_version(&status, call->info.version))
        dir_fail_torn(call, work, "changed while it was read");
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
        dir_fail_torn(call, work, "became shorter while it was read");
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
        dir_fail_torn(call, work, "is shorter than it was");
    } else {
        work->offset = offset;
        work->left = length != UINT64_MAX ? length : call->info.size - offset;
        work->quiet_at = quiet_at(&status);
    }
    if (call->done)
        let_go(work);
}
