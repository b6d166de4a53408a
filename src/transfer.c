#include "transfer.h"

#include "clock.h"

#include <string.h>

/* How often a source object may change under one transfer before it counts as failed. */
#define VERSION_CHANGES_MAX 3

/* A part of a server-side copy costs no traffic, so it is as large as a request may reasonably take. */
#define COPY_PART_SIZE (UINT64_C(512) * 1024 * 1024)

static void begin(struct transfer *t);
static void begin_part(struct transfer *t);

void transfer_init(struct transfer *t, struct transfer_plan *plan)
{
    *t = (struct transfer){.plan = plan};
    t->entry.key = t->key;
    call_init(&t->get);
    call_init(&t->put);
    object_meta_init(&t->meta);
}

void transfer_free(struct transfer *t)
{
    call_free(&t->get);
    call_free(&t->put);
    object_meta_free(&t->meta);
    pipe_free(&t->pipe);
}

bool transfer_idle(const struct transfer *t)
{
    return t->state == NULL;
}

int64_t transfer_wake(const struct transfer *t)
{
    return t->wake != 0 ? t->wake : INT64_MAX;
}

/* ---- endings ---- */

static void end(struct transfer *t, enum transfer_result result)
{
    t->state = NULL;
    t->result = result;
}

static void wait_for_abort(struct transfer *t)
{
    if (!t->put.done)
        return;
    t->upload = NULL;
    if (t->again_after_abort)
        begin(t);
    else
        end(t, t->result);
}

/* Gives up what was begun at the destination, then either ends with `result` or starts over. */
static void abandon(struct transfer *t, enum transfer_result result, bool again)
{
    t->result = result;
    t->again_after_abort = again;
    if (t->upload != NULL) {
        store_upload_abort(t->plan->destination, &t->put, t->upload);
        t->state = wait_for_abort;
    } else if (again) {
        begin(t);
    } else {
        end(t, result);
    }
}

static void fail(struct transfer *t, const struct error *error)
{
    t->error = *error;
    abandon(t, TRANSFER_FAILED, false);
}

/* ---- trying again ---- */

static void wait_for_backoff(struct transfer *t)
{
    if (clock_mono() < t->wake)
        return;
    t->wake = 0;
    if (t->upload != NULL)
        begin_part(t);
    else
        begin(t);
}

/* A half of a relay broke in a way that another attempt may mend. */
static void try_again(struct transfer *t, const struct error *error)
{
    int64_t wait = retry_wait(t->plan->retry, ++t->attempt, 0);

    if (wait < 0) {
        fail(t, error);
        return;
    }
    t->wake = clock_mono() + wait;
    t->state = wait_for_backoff;
}

static void wait_for_look(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind == ERROR_NOT_FOUND) {
        abandon(t, TRANSFER_GONE, false);
        return;
    }
    if (t->get.error.kind != ERROR_NONE) {
        fail(t, &t->get.error);
        return;
    }
    t->entry.size = t->get.info.size;
    memcpy(t->entry.etag, t->get.info.etag, sizeof t->entry.etag);
    if (t->get.info.modified != CLOCK_UNKNOWN)
        t->entry.modified = t->get.info.modified;
    abandon(t, TRANSFER_NONE, true);
}

/* The source is not the version that was listed: look what it is now and begin again with that. */
static void look_again(struct transfer *t)
{
    if (++t->version_changes > VERSION_CHANGES_MAX) {
        error_set(&t->error, ERROR_PRECONDITION, "it keeps changing while it is copied");
        abandon(t, TRANSFER_FAILED, false);
        return;
    }
    store_head(t->plan->source, &t->get, t->key);
    t->state = wait_for_look;
}

/* What an error of the reading half, or of a server-side copy, means for the object. */
static void source_failed(struct transfer *t, const struct call *call)
{
    if (call->error.kind == ERROR_NOT_FOUND)
        abandon(t, TRANSFER_GONE, false);
    else if (call->error.kind == ERROR_PRECONDITION)
        look_again(t);
    else if (call->again)
        try_again(t, &call->error);
    else
        fail(t, &call->error);
}

/* ---- server-side copy ---- */

static bool refused(const struct error *error)
{
    return error->kind == ERROR_PERMISSION || error->kind == ERROR_UNSUPPORTED;
}

static void copy_failed(struct transfer *t)
{
    if (!refused(&t->put.error)) {
        source_failed(t, &t->put);
        return;
    }
    /* The destination's credentials may be unable to read the source, whose own can: bring it over ourselves. If
     * the very first copy is refused, so will be the others. */
    if (!t->plan->copied && t->put.error.kind == ERROR_PERMISSION)
        t->plan->server_copy = false;
    t->relay = true;
    abandon(t, TRANSFER_NONE, true);
}

static void wait_for_copy(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        copy_failed(t);
        return;
    }
    t->plan->copied = true;
    t->moved = t->entry.size;
    end(t, TRANSFER_COPIED);
}

/* ---- the two halves of a relay ---- */

/* 1: both halves are through; 0: still going; -1: one broke and the transfer is on another course already. */
static int relay_settle(struct transfer *t)
{
    if (t->get.done && t->get.error.kind != ERROR_NONE) {
        call_cancel(&t->put, &t->get.error);
        source_failed(t, &t->get);
        return -1;
    }
    if (t->put.done && t->put.error.kind != ERROR_NONE) {
        call_cancel(&t->get, &t->put.error);
        if (t->put.again)
            try_again(t, &t->put.error);
        else
            fail(t, &t->put.error);
        return -1;
    }
    return t->get.done && t->put.done ? 1 : 0;
}

static bool keep_meta(struct transfer *t, const struct object_meta *from)
{
    const char *name;
    const char *value;
    size_t at = 0;

    while (object_meta_next(from, &at, &name, &value))
        if (!object_meta_add(&t->meta, name, value))
            return false;
    return true;
}

static void meta_too_large(struct transfer *t)
{
    error_set(&t->error, ERROR_LOCAL, "its metadata has more than %zu bytes", OBJECT_META_MAX);
    call_cancel(&t->get, &t->error);
    abandon(t, TRANSFER_FAILED, false);
}

/* ---- small objects: one get, one put ---- */

static void wait_for_relay(struct transfer *t)
{
    if (relay_settle(t) <= 0)
        return;
    t->moved = t->entry.size;
    retry_success(t->plan->retry);
    end(t, TRANSFER_COPIED);
}

static void put_whole(struct transfer *t)
{
    store_put(t->plan->destination, &t->put, t->key, t->entry.size, t->entry.modified, &t->meta, &t->pipe);
    t->state = wait_for_relay;
}

static void wait_for_tags(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        call_cancel(&t->get, &t->put.error);
        source_failed(t, &t->put);
    } else if (!keep_meta(t, &t->put.meta)) {
        meta_too_large(t);
    } else {
        t->after_tags(t);
    }
}

/* Everything about the object is known but its tags; fetches them if it has any, then goes on with `next`. */
static void with_tags(struct transfer *t, void (*next)(struct transfer *t))
{
    t->after_tags = next;
    if (!t->get.info.tagged) {
        next(t);
        return;
    }
    store_tags(t->plan->source, &t->put, t->key);
    t->state = wait_for_tags;
}

static void wait_for_head_of_get(struct transfer *t)
{
    if (t->get.done && t->get.error.kind != ERROR_NONE) {
        source_failed(t, &t->get);
        return;
    }
    if (!t->get.head_known)
        return;
    t->entry.size = t->get.info.size;
    object_meta_clear(&t->meta);
    if (!keep_meta(t, &t->get.meta))
        meta_too_large(t);
    else
        with_tags(t, put_whole);
}

static void begin_relay_whole(struct transfer *t)
{
    pipe_reset(&t->pipe);
    store_get(t->plan->source, &t->get, t->key, 0, UINT64_MAX, "", &t->pipe);
    t->state = wait_for_head_of_get;
}

/* ---- large objects: in parts ---- */

static void wait_for_finish(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        fail(t, &t->put.error);
        return;
    }
    t->upload = NULL;
    end(t, TRANSFER_COPIED);
}

static void finish_upload(struct transfer *t)
{
    store_upload_finish(t->plan->destination, &t->put, t->upload);
    t->state = wait_for_finish;
}

static void wait_for_same_version(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE)
        source_failed(t, &t->get);
    else if (strcmp(t->get.info.etag, t->entry.etag) != 0)
        look_again(t);
    else
        finish_upload(t);
}

static void next_part(struct transfer *t)
{
    t->moved += t->part_length;
    t->part_offset += t->part_length;
    t->part++;
    t->attempt = 0;
    if (t->part_offset < t->entry.size) {
        begin_part(t);
    } else if (t->relay) {
        finish_upload(t);
    } else {
        /* Ceph RGW up to 16 ignores the ETag that a copied part is asked for by. */
        store_head(t->plan->source, &t->get, t->key);
        t->state = wait_for_same_version;
    }
}

static void wait_for_part_relay(struct transfer *t)
{
    if (relay_settle(t) <= 0)
        return;
    retry_success(t->plan->retry);
    next_part(t);
}

static void wait_for_part_copy(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        copy_failed(t);
        return;
    }
    t->plan->copied = true;
    next_part(t);
}

static void begin_part(struct transfer *t)
{
    uint64_t left = t->entry.size - t->part_offset;

    t->part_length = left < t->part_size ? left : t->part_size;
    if (t->relay) {
        pipe_reset(&t->pipe);
        store_get(t->plan->source, &t->get, t->key, t->part_offset, t->part_length, t->entry.etag, &t->pipe);
        store_upload_part(t->plan->destination, &t->put, t->upload, t->part, t->part_offset, t->part_length,
                          &t->pipe);
        t->state = wait_for_part_relay;
    } else {
        store_upload_copy(t->plan->destination, &t->put, t->upload, t->part, t->part_offset, t->part_length,
                          t->plan->source, t->key, t->entry.etag);
        t->state = wait_for_part_copy;
    }
}

static void wait_for_upload(struct transfer *t)
{
    if (!t->put.done)
        return;
    t->upload = t->put.upload;
    t->put.upload = NULL;
    if (t->put.error.kind != ERROR_NONE)
        fail(t, &t->put.error);
    else if (t->stopping)
        abandon(t, TRANSFER_FAILED, false);
    else
        begin_part(t);
}

/* Parts as large as asked for, larger if there would be too many of them. */
static uint64_t choose_part_size(const struct transfer *t)
{
    uint64_t count_max = (uint64_t)store_part_count_max(t->plan->destination);
    uint64_t size = t->relay ? t->plan->part_size : COPY_PART_SIZE;
    uint64_t least = t->entry.size / count_max + (t->entry.size % count_max != 0 ? 1 : 0);

    if (size < store_part_min(t->plan->destination))
        size = store_part_min(t->plan->destination);
    return size < least ? least : size;
}

static void begin_upload(struct transfer *t)
{
    t->part = 1;
    t->part_offset = 0;
    t->part_size = choose_part_size(t);
    t->moved = 0;
    store_upload_begin(t->plan->destination, &t->put, t->key, t->entry.size, t->entry.modified, &t->meta);
    t->state = wait_for_upload;
}

static void wait_for_head(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        source_failed(t, &t->get);
        return;
    }
    t->entry.size = t->get.info.size;
    memcpy(t->entry.etag, t->get.info.etag, sizeof t->entry.etag);
    object_meta_clear(&t->meta);
    if (!keep_meta(t, &t->get.meta))
        meta_too_large(t);
    else
        with_tags(t, begin_upload);
}

static void begin_in_parts(struct transfer *t)
{
    store_head(t->plan->source, &t->get, t->key);
    t->state = wait_for_head;
}

/* ---- the way in ---- */

static void begin(struct transfer *t)
{
    if (!t->plan->server_copy)
        t->relay = true;
    if (t->relay && t->pipe.data == NULL && !pipe_init(&t->pipe)) {
        error_set(&t->error, ERROR_LOCAL, "out of memory");
        abandon(t, TRANSFER_FAILED, false);
    } else if (t->relay && t->entry.size <= t->plan->part_size) {
        begin_relay_whole(t);
    } else if (!t->relay && t->entry.size <= store_copy_limit(t->plan->destination)) {
        store_copy(t->plan->destination, &t->put, t->key, t->plan->source, t->entry.etag);
        t->state = wait_for_copy;
    } else {
        begin_in_parts(t);
    }
}

void transfer_start(struct transfer *t, const struct object_entry *entry)
{
    size_t len = strnlen(entry->key, OBJECT_KEY_MAX);

    memcpy(t->key, entry->key, len);
    t->key[len] = '\0';
    t->entry = *entry;
    t->entry.key = t->key;
    t->result = TRANSFER_NONE;
    error_clear(&t->error);
    t->moved = 0;
    t->attempt = 0;
    t->version_changes = 0;
    t->relay = false;
    t->stopping = false;
    begin(t);
}

bool transfer_step(struct transfer *t)
{
    bool moved = false;

    /* A state that hands over to another may have work for it at once. Each change of state starts a call or
     * ends, so this terminates. */
    while (t->state != NULL) {
        void (*before)(struct transfer * t) = t->state;

        if (!t->get.done)
            moved |= store_step(&t->get);
        if (!t->put.done)
            moved |= store_step(&t->put);
        t->state(t);
        if (t->state == before)
            break;
        moved = true;
    }
    return moved;
}

void transfer_stop(struct transfer *t, const struct error *why)
{
    if (t->state == NULL || t->stopping)
        return;
    t->stopping = true;
    t->wake = 0;
    t->error = *why;
    /* An upload that is being opened has an id which only its answer tells; one that is being aborted is on
     * its way out. Both are let finish. */
    if (t->state == wait_for_upload)
        return;
    t->again_after_abort = false;
    t->result = TRANSFER_FAILED;
    if (t->state == wait_for_abort)
        return;
    call_cancel(&t->get, why);
    call_cancel(&t->put, why);
    abandon(t, TRANSFER_FAILED, false);
}
