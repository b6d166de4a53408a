/*
 * The calls of dir_stream.h that write.
 */
#include "dir_object.h"
#include "dir_stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How much of a large body is written before the device begins with it. Twice as much is waited for: what the end has to wait
 * for should be little, as the run cannot look at its lease meanwhile. */
#define START_STEP (UINT64_C(8) * 1024 * 1024)

/* An object being put together in a temporary file. */
struct dir_upload {
    struct upload base;
    struct dir_commit commit;
    uint64_t size;
    uint64_t written; /* by the parts that are complete */
    struct object_meta meta;
    char version[OBJECT_VERSION_SIZE];
    char key[OBJECT_KEY_MAX + 1];
};

/* What the interface calls an upload is one of ours. */
static struct dir_upload *own_upload(struct upload *upload)
{
    return (struct dir_upload *)upload;
}

static void free_upload(struct dir_upload *upload)
{
    dir_batch_leave(&dir_store(upload->base.store)->batch, &upload->commit);
    dir_commit_drop(&upload->commit);
    object_meta_free(&upload->meta);
    free(upload);
}

static void end_writing(struct dir_call *work)
{
    if (work->writing)
        work->store->batch.writing--;
    work->writing = false;
}

void dir_upload_let_go(struct dir_call *work)
{
    end_writing(work);
    if (work->owns_upload)
        free_upload(work->upload);
    else if (work->upload != NULL)
        dir_batch_leave(&work->store->batch, &work->upload->commit);
    work->upload = NULL;
    work->owns_upload = false;
}

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
    upload->commit = (struct dir_commit){.body.fd = -1,
                                         .sidecar.fd = -1,
                                         .key = upload->key,
                                         .meta = &upload->meta,
                                         .condition = {target->condition.when, upload->version},
                                         .modified = target->modified};
    if (target->condition.when == STORE_IF_VERSION)
        snprintf(upload->version, sizeof upload->version, "%s", target->condition.version);
    memcpy(upload->key, target->key, strlen(target->key) + 1);
    object_meta_init(&upload->meta);
    upload->meta.mode = meta->mode;
    upload->meta.restored = meta->restored;
    errno = ENOMEM;
    if ((meta->pairs.len > 0 && !buf_append(&upload->meta.pairs, meta->pairs.data, meta->pairs.len)) ||
        !dir_file_open(&store->tree, &upload->commit.body, target->key)) {
        dir_fail(call, store, "writing", target->key);
        free_upload(upload);
        return NULL;
    }
    return upload;
}

/* The object waits for the others of its batch. What is left of an upload in parts is gone when its object is there. */
static bool commit_step(struct call *call, struct dir_call *work)
{
    struct store_dir *store = work->store;
    struct dir_upload *upload = work->upload;
    const struct dir_commit *commit = &upload->commit;
    int64_t wake;
    bool moved = dir_batch_step(&store->batch, &store->tree, &upload->commit, &wake);

    if (wake != 0)
        store_wake(&store->base, wake);
    if (commit->stage != DIR_NAMED)
        return moved;
    if (commit->error != 0) {
        errno = commit->error;
        dir_write_failed(call, store, upload->key, commit->condition.when);
    } else {
        work->owns_upload = true;
    }
    call->done = true;
    return true;
}

static void begin_commit(struct dir_call *work)
{
    work->step = commit_step;
    dir_batch_add(&work->store->batch, &work->upload->commit);
}

static void part_end(struct call *call, struct dir_call *work)
{
    end_writing(work);
    work->upload->written += work->part_size;
    if (work->owns_upload)
        begin_commit(work);
    else
        call->done = true;
}

static bool write_piece(const struct dir_call *work, const unsigned char *from, size_t len)
{
    const struct dir_file *file = &work->upload->commit.body;
    uint64_t steps = (work->offset + len) / START_STEP;

    if (!dir_file_write(file, from, len, work->offset))
        return false;
    if (steps == work->offset / START_STEP)
        return true;
    return dir_file_start(file) && (steps < 2 || dir_file_await(file, (steps - 2) * START_STEP, START_STEP));
}

static bool put_step(struct call *call, struct dir_call *work)
{
    const unsigned char *from;
    bool moved = false;
    size_t len;

    while ((len = pipe_peek(work->pipe, &from)) > 0) {
        if (len > work->left) {
            dir_fail_torn(call, work, "has more bytes than announced");
            return true;
        }
        if (!write_piece(work, from, len)) {
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
        dir_fail_torn(call, work, "ended before the last byte that was announced");
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
    work->writing = true;
    work->store->batch.writing++;
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
    if (reserve_space(upload->commit.body.fd, target->size)) {
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
    struct dir_call *work = dir_call_new(dir, call, own->key);

    if (work == NULL)
        return;
    if (own->written != own->size) {
        error_set(&call->error, ERROR_PROTOCOL, "the parts of %s are not all there", own->key);
        store_blame(&dir->base, &call->error);
        call->done = true;
        return;
    }
    work->upload = own;
    begin_commit(work);
}

void dir_upload_abort(struct upload *upload, struct call *call)
{
    free_upload(own_upload(upload));
    call->done = true;
}
