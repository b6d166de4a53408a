#include "transfer.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* How often a source object may change under one transfer before it counts as failed. */
#define VERSION_CHANGES_MAX 3

/* Before any copy has worked, this many refused ones are enough: the others will be refused as well. */
#define COPIES_REFUSED_MAX 3

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
    absence_end(&t->absence);
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

/* ---- is it gone? ---- */

static void wait_for_absence(struct transfer *t)
{
    struct error why;

    switch (absence_look(&t->absence, &why)) {
    case ABSENCE_WAIT:
        return;
    case ABSENCE_PROVEN:
        absence_end(&t->absence);
        abandon(t, TRANSFER_GONE, false);
        break;
    case ABSENCE_FAILED:
        absence_end(&t->absence);
        fail(t, &why);
        break;
    }
}

/* The source itself says that there is no such object. */
static void not_found(struct transfer *t)
{
    struct error why;

    if (!absence_begin(&t->absence, t->plan->source, t->key, &why))
        fail(t, &why);
    else
        t->state = wait_for_absence;
}

/* ---- another version ---- */

/* The version before the one that was listed, so an answer out of a cache. Times in headers are whole seconds; a directory's
 * are its users' affair. */
static bool is_stale(const struct transfer *t)
{
    int64_t is = t->get.info.modified, listed = t->entry.modified;

    return !store_keeps_times(t->plan->source) && is != CLOCK_UNKNOWN && listed != CLOCK_UNKNOWN &&
           is / 1000 < listed / 1000;
}

/* Takes over what a HEAD said of the source. What it left out is as it was listed, if it is that version; an answer that
 * names no version does not replace one that does. */
static bool adopt(struct transfer *t, struct error *error)
{
    const struct object_info *info = &t->get.info;
    bool same = object_same_version(info->etag, t->entry.etag);

    if (!same && is_stale(t))
        return error_set(
            error, ERROR_PROTOCOL,
            "%s answers with an older version of \"%.200s\" than it lists: something before it keeps "
            "old answers",
            store_name(t->plan->source), t->key);
    if (info->size == OBJECT_SIZE_UNKNOWN && !same)
        return error_set(error, ERROR_PROTOCOL, "%s does not say how large \"%.200s\" is",
                         store_name(t->plan->source), t->key);
    if (info->etag[0] == '\0' && t->entry.etag[0] != '\0' && info->size != t->entry.size)
        return error_set(
            error, ERROR_PROTOCOL,
            "%s says that \"%.200s\" has another size than was listed, but not which version it is",
            store_name(t->plan->source), t->key);
    if (info->size != OBJECT_SIZE_UNKNOWN)
        t->entry.size = info->size;
    if (info->etag[0] != '\0')
        memcpy(t->entry.etag, info->etag, sizeof t->entry.etag);
    /* A listing tells milliseconds, a HEAD does not. */
    if (!same && info->modified != CLOCK_UNKNOWN)
        t->entry.modified = info->modified;
    t->measured[0] = '\0';
    t->one_stream = info->etag[0] == '\0';
    t->hashed = t->plan->source->digests && !info->opaque_etag && digest_is_hex(t->entry.etag);
    return true;
}

static void wait_for_look(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind == ERROR_NOT_FOUND) {
        not_found(t);
    } else if (t->get.error.kind == ERROR_NONE && ++t->version_changes > VERSION_CHANGES_MAX) {
        error_set(&t->error, ERROR_PRECONDITION, "it keeps changing while it is copied");
        abandon(t, TRANSFER_FAILED, false);
    } else if (t->get.error.kind != ERROR_NONE || !adopt(t, &t->get.error)) {
        fail(t, &t->get.error);
    } else {
        abandon(t, TRANSFER_NONE, true);
    }
}

/* What is the object now, by its own bucket and the source's credentials? */
static void ask_source(struct transfer *t, void (*next)(struct transfer *t))
{
    store_head(t->plan->source, &t->get, t->key);
    t->state = next;
}

/* What an error of the reading half means for the object. */
static void source_failed(struct transfer *t, const struct call *call)
{
    if (call->error.kind == ERROR_NOT_FOUND)
        not_found(t);
    else if (call->error.kind == ERROR_PRECONDITION)
        ask_source(t, wait_for_look);
    else if (call->again)
        try_again(t, &call->error);
    else
        fail(t, &call->error);
}

/* ---- server-side copy ---- */

static bool copies_in_parts(const struct transfer *t)
{
    return t->entry.size > store_copy_limit(t->plan->destination);
}

static struct copy_way *copy_way(const struct transfer *t)
{
    return copies_in_parts(t) ? &t->plan->parts : &t->plan->whole;
}

static void stop_copying(const struct transfer *t, struct copy_way *way, const char *why)
{
    if (way->off)
        return;
    way->off = true;
    log_info("%s are not copied inside the service but through this machine: %s",
             way == &t->plan->parts ? "large objects" : "objects", why);
}

/* Counts a copy that was refused, if the reason can be one for other objects as well. */
static void copy_refused(const struct transfer *t, const struct error *error)
{
    struct copy_way *way = copy_way(t);
    bool lacking = error->status == 501 || error->status == 405;

    if (way->worked || strcmp(error->code, "InvalidObjectState") == 0 ||
        (error->kind == ERROR_UNSUPPORTED && !lacking))
        return;
    if (lacking || ++way->refused >= COPIES_REFUSED_MAX)
        stop_copying(t, way, error->text);
}

/* The destination's credentials may be unable to read the source, whose own can: bring it over ourselves. */
static void relay_instead(struct transfer *t)
{
    t->relay = true;
    abandon(t, TRANSFER_NONE, true);
}

/* The destination's view was that the source is not there, or another version. What is it by its own credentials? */
static void wait_for_truth(struct transfer *t)
{
    struct error why;

    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE ||
        (t->get.info.etag[0] != '\0' && !object_etags_equal(t->get.info.etag, t->entry.etag))) {
        wait_for_look(t);
        return;
    }
    error_set(&why, ERROR_NOT_FOUND, "the destination's credentials do not see what the source's do: %s",
              t->put.error.text);
    copy_refused(t, &why);
    relay_instead(t);
}

static void copy_failed(struct transfer *t)
{
    switch (t->put.error.kind) {
    case ERROR_NOT_FOUND:
    case ERROR_PRECONDITION:
        ask_source(t, wait_for_truth);
        break;
    case ERROR_UNREACHABLE:
    case ERROR_TIMEOUT:
    case ERROR_LOCAL:
    case ERROR_INTERRUPTED:
        fail(t, &t->put.error);
        break;
    default:
        copy_refused(t, &t->put.error);
        relay_instead(t);
        break;
    }
}

/* ---- all bytes are there ---- */

static void wait_for_last_look(struct transfer *t)
{
    if (!t->get.done)
        return;
    /* What changes all the time, or cannot be looked at, has been copied all the same. */
    if (t->stopping || t->get.error.kind != ERROR_NONE || t->get.info.etag[0] == '\0' ||
        object_etags_equal(t->get.info.etag, t->entry.etag) || ++t->version_changes > VERSION_CHANGES_MAX ||
        !adopt(t, &t->get.error)) {
        end(t, TRANSFER_COPIED);
        return;
    }
    begin(t);
}

/* May a change since the bytes were read be hidden from the next run? Not where both listings have content hashes, and not
 * where the copy has the source's time. */
static bool may_hide_a_change(const struct transfer *t)
{
    return !store_keeps_times(t->plan->destination) && t->entry.etag[0] != '\0' &&
           !object_etags_comparable(t->entry.etag, t->put.info.etag);
}

static void arrived(struct transfer *t)
{
    if (t->untagged && !t->plan->tags_dropped) {
        t->plan->tags_dropped = true;
        log_warn("%s takes no tags, so objects are copied without theirs (setting tags)",
                 store_name(t->plan->destination));
    }
    if (may_hide_a_change(t))
        ask_source(t, wait_for_last_look);
    else
        end(t, TRANSFER_COPIED);
}

static void copied(struct transfer *t)
{
    copy_way(t)->worked = true;
    t->moved = t->entry.size;
    arrived(t);
}

/* The copy has another content hash than was listed. */
static void wait_for_copy_check(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        fail(t, &t->get.error);
    } else if (t->get.info.opaque_etag) {
        t->plan->opaque_etags = true;
        copied(t);
    } else if (object_etags_equal(t->get.info.etag, t->put.info.etag) && adopt(t, &t->get.error)) {
        /* Ceph RGW up to 16 ignores the ETag that is asked for: it has copied the new version. */
        copied(t);
    } else if (object_etags_equal(t->get.info.etag, t->entry.etag)) {
        log_warn("a copy of \"%s\" inside the service has other content than the source: it is copied again, "
                 "and all others as well, through this machine",
                 t->key);
        t->plan->server_copy = false;
        begin(t);
    } else {
        wait_for_look(t);
    }
}

static void wait_for_copy(struct transfer *t)
{
    const struct object_info *is = &t->put.info;

    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        copy_failed(t);
    } else if (object_etags_differ(is->etag, t->entry.etag) && !is->opaque_etag && !t->plan->opaque_etags) {
        ask_source(t, wait_for_copy_check);
    } else {
        copied(t);
    }
}

static void begin_copy(struct transfer *t)
{
    store_copy(t->plan->destination, &t->put, t->plan->source, &t->entry);
    t->state = wait_for_copy;
}

static bool is_the_object(const struct object_info *is, const struct object_entry *entry)
{
    return entry->etag[0] != '\0' && object_etags_equal(is->etag, entry->etag) && is->size == entry->size &&
           is->modified != CLOCK_UNKNOWN && entry->modified != CLOCK_UNKNOWN &&
           llabs(is->modified - entry->modified) < 1000;
}

static void wait_for_sight(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && is_the_object(&t->put.info, &t->entry)) {
        t->plan->seen = true;
        begin(t);
        return;
    }
    if (t->put.error.kind == ERROR_NONE)
        error_set(&t->put.error, ERROR_NOT_FOUND,
                  "the destination's credentials see another bucket by the name of %s",
                  store_name(t->plan->source));
    copy_refused(t, &t->put.error);
    relay_instead(t);
}

/* Does the destination's key see the source's bucket by this name, or another account's? An object that has the ETag, the
 * size and the time of the one that was listed is that object. */
static void begin_sight(struct transfer *t)
{
    store_peek(t->plan->destination, &t->put, t->plan->source, t->key);
    t->state = wait_for_sight;
}

/* ---- the two halves of a relay ---- */

/* Some services refuse what has tags, whatever they say then: try it without them. */
static bool may_be_the_tags(const struct transfer *t)
{
    return t->plan->tags == TAGS_AUTO && !t->untagged && object_meta_get(&t->meta, "tagging") != NULL &&
           (t->put.error.status == 400 || t->put.error.status == 501);
}

static void write_failed(struct transfer *t)
{
    if (may_be_the_tags(t)) {
        t->untagged = true;
        abandon(t, TRANSFER_NONE, true);
    } else {
        fail(t, &t->put.error);
    }
}

/* Is a digest of the bytes worth its time? It is when it can be compared with something, and nobody else would notice
 * damage: not TLS, and not the destination, which refuses a body with another MD5 than it is told. After a failure it
 * tells which half was to blame. */
static bool want_digest(const struct transfer *t)
{
    const struct store *from = t->plan->source, *to = t->plan->destination;
    bool known = from->digests && digest_is_hex(t->entry.etag);

    return (known && (from->plain || !to->digests || t->attempt > 0)) ||
           (to->digests && (to->plain || t->attempt > 0));
}

/* Must the MD5 of the body be found before it is sent? */
static bool must_measure(const struct transfer *t, bool whole)
{
    bool known = whole && t->plan->source->digests && digest_is_hex(t->entry.etag) && t->attempt == 0;

    return t->plan->destination->wants_md5 && t->measured[0] == '\0' && !known;
}

static void wait_for_measure(struct transfer *t)
{
    const unsigned char *data;
    size_t len;

    while ((len = pipe_peek(&t->pipe, &data)) > 0)
        pipe_consume(&t->pipe, len);
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        source_failed(t, &t->get);
        return;
    }
    digest_hex(&t->pipe.digest, t->measured);
    if (t->upload != NULL)
        begin_part(t);
    else
        begin(t);
}

static void begin_measure(struct transfer *t, uint64_t offset, uint64_t length)
{
    pipe_hash(&t->pipe);
    store_get(t->plan->source, &t->get, t->key, offset, length, t->entry.etag, &t->pipe);
    t->state = wait_for_measure;
}

/* The reading half ended well: was it what the destination was promised? */
static bool check_read(struct transfer *t)
{
    uint64_t size = t->get.info.size;

    if (size == OBJECT_SIZE_UNKNOWN || size == t->entry.size)
        return true;
    return error_set(&t->get.error, ERROR_PRECONDITION, "%s: \"%.200s\" has another size meanwhile",
                     store_name(t->plan->source), t->key);
}

/* A writing half that ended well before the reading one has not had all bytes. */
static void check_written(struct transfer *t)
{
    if (t->put.done && t->put.error.kind == ERROR_NONE && !t->get.done && !t->pipe.closed) {
        error_set(&t->put.error, ERROR_PROTOCOL, "%s: \"%.200s\" was taken before all of it was there",
                  store_name(t->plan->destination), t->key);
        t->put.again = true;
    }
}

/* 1: both halves are through; 0: still going; -1: one broke and the transfer is on another course already. They end
 * together: none waits for a pipe whose other end is gone. */
static int relay_settle(struct transfer *t)
{
    if (t->get.done && t->get.error.kind == ERROR_NONE)
        check_read(t);
    check_written(t);
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
            write_failed(t);
        return -1;
    }
    return t->get.done && t->put.done ? 1 : 0;
}

static bool wants_tags(const struct transfer *t)
{
    return t->plan->tags != TAGS_IGNORE && !t->plan->tags_dropped && !t->untagged;
}

static bool keep_meta(struct transfer *t, const struct object_meta *from)
{
    const char *name;
    const char *value;
    size_t at = 0;

    while (object_meta_next(from, &at, &name, &value))
        if ((wants_tags(t) || strcmp(name, "tagging") != 0) && !object_meta_add(&t->meta, name, value))
            return false;
    if (from->mode != OBJECT_MODE_UNKNOWN)
        t->meta.mode = from->mode;
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
    arrived(t);
}

static void put_whole(struct transfer *t)
{
    store_put(t->plan->destination, &t->put, t->key, t->entry.size, t->entry.modified, &t->meta, &t->pipe);
    t->state = wait_for_relay;
}

static void tags_failed(struct transfer *t)
{
    call_cancel(&t->get, &t->put.error);
    source_failed(t, &t->put);
}

static void wait_for_tagged_version(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && !object_etags_equal(t->put.info.etag, t->get.info.etag))
        error_set(&t->put.error, ERROR_PRECONDITION, "it has changed while its tags were read");
    if (t->put.error.kind != ERROR_NONE)
        tags_failed(t);
    else
        t->after_tags(t);
}

static uint64_t count_tags(const struct object_meta *meta)
{
    const char *tagging = object_meta_get(meta, "tagging");
    uint64_t count = tagging != NULL ? 1 : 0;

    for (; tagging != NULL && (tagging = strchr(tagging, '&')) != NULL; tagging++)
        count++;
    return count;
}

/* An answer with tags does not say of which version they are. There have to be as many as this version has, and it
 * has to be the present one still. */
static void wait_for_tags(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && count_tags(&t->put.meta) != t->get.info.tags)
        error_set(&t->put.error, ERROR_PRECONDITION, "it has other tags meanwhile");
    if (t->put.error.kind != ERROR_NONE) {
        tags_failed(t);
    } else if (!keep_meta(t, &t->put.meta)) {
        meta_too_large(t);
    } else {
        store_head(t->plan->source, &t->put, t->key);
        t->state = wait_for_tagged_version;
    }
}

/* Everything about the object is known but its tags; fetches them if it has any, then goes on with `next`. */
static void with_tags(struct transfer *t, void (*next)(struct transfer *t))
{
    t->after_tags = next;
    if (t->get.info.tags == 0 || !wants_tags(t)) {
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
    /* An empty body is known to be one when it has ended. */
    if (!t->get.head_known || (t->entry.size == 0 && !t->get.done))
        return;
    object_meta_clear(&t->meta);
    if (!keep_meta(t, &t->get.meta))
        meta_too_large(t);
    else
        with_tags(t, put_whole);
}

static void begin_relay_whole(struct transfer *t)
{
    pipe_reset(&t->pipe);
    t->pipe.size = t->entry.size;
    if (must_measure(t, true)) {
        begin_measure(t, 0, UINT64_MAX);
        return;
    }
    memcpy(t->pipe.md5, t->measured, sizeof t->pipe.md5);
    if (want_digest(t))
        pipe_hash(&t->pipe);
    store_get(t->plan->source, &t->get, t->key, 0, UINT64_MAX, t->entry.etag, &t->pipe);
    t->state = wait_for_head_of_get;
}

/* ---- large objects: in parts ---- */

static void wait_for_finish(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        write_failed(t);
        return;
    }
    t->upload = NULL;
    arrived(t);
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
    else if (!object_same_version(t->get.info.etag, t->entry.etag))
        wait_for_look(t);
    else
        finish_upload(t);
}

/* Whether the whole was damaged on the way shows when all parts are through: before it is an object. */
static void finish_relay(struct transfer *t)
{
    char is[DIGEST_HEX_SIZE];

    digest_hex(&t->parts, is);
    if (t->pipe.more == NULL || digest_same(is, t->entry.etag)) {
        finish_upload(t);
        return;
    }
    error_set(&t->error, ERROR_PROTOCOL,
              "reading \"%.200s\" in %s: it was damaged on the way: its MD5 is not the ETag %s", t->key,
              store_name(t->plan->source), t->entry.etag);
    abandon(t, TRANSFER_FAILED, ++t->version_changes <= VERSION_CHANGES_MAX);
}

static void next_part(struct transfer *t)
{
    t->moved += t->part_length;
    t->part_offset += t->part_length;
    t->part++;
    t->attempt = 0;
    t->measured[0] = '\0';
    t->parts = t->parts_more;
    if (t->part_offset < t->entry.size) {
        begin_part(t);
    } else if (t->relay) {
        finish_relay(t);
    } else {
        /* Ceph RGW up to 16 ignores the ETag that a copied part is asked for by. */
        ask_source(t, wait_for_same_version);
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
    t->plan->parts.worked = true;
    next_part(t);
}

static void begin_part(struct transfer *t)
{
    uint64_t left = t->entry.size - t->part_offset;

    t->part_length = left < t->part_size ? left : t->part_size;
    if (t->relay)
        pipe_reset(&t->pipe);
    if (t->relay && must_measure(t, false)) {
        begin_measure(t, t->part_offset, t->part_length);
    } else if (t->relay) {
        memcpy(t->pipe.md5, t->measured, sizeof t->pipe.md5);
        if (t->plan->destination->digests && (t->plan->destination->plain || t->attempt > 0))
            pipe_hash(&t->pipe);
        t->parts_more = t->parts;
        if (t->hashed && (t->plan->source->plain || !t->plan->destination->digests))
            t->pipe.more = &t->parts_more;
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
    if (t->stopping)
        abandon(t, TRANSFER_FAILED, false);
    else if (t->put.error.kind != ERROR_NONE)
        write_failed(t);
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
    t->measured[0] = '\0';
    digest_begin(&t->parts);
    store_upload_begin(t->plan->destination, &t->put, t->key, t->entry.size, t->entry.modified, &t->meta);
    t->state = wait_for_upload;
}

/* Ranges of a source that tells no version could be of different ones. */
static void relay_in_one_stream(struct transfer *t)
{
    if (t->entry.size > store_put_limit(t->plan->destination)) {
        error_set(&t->error, ERROR_UNSUPPORTED,
                  "%s tells no version of \"%.200s\", and it is too large to be written in one piece",
                  store_name(t->plan->source), t->key);
        abandon(t, TRANSFER_FAILED, false);
        return;
    }
    t->relay = true;
    begin(t);
}

static void wait_for_head(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        source_failed(t, &t->get);
        return;
    }
    if (!adopt(t, &t->get.error)) {
        fail(t, &t->get.error);
        return;
    }
    if (t->one_stream) {
        relay_in_one_stream(t);
        return;
    }
    object_meta_clear(&t->meta);
    if (!keep_meta(t, &t->get.meta))
        meta_too_large(t);
    else
        with_tags(t, begin_upload);
}

static void begin_in_parts(struct transfer *t)
{
    ask_source(t, wait_for_head);
}

/* ---- the way in ---- */

static void begin(struct transfer *t)
{
    if (!t->plan->server_copy || copy_way(t)->off)
        t->relay = true;
    if (t->relay && t->pipe.data == NULL && !pipe_init(&t->pipe)) {
        error_set(&t->error, ERROR_LOCAL, "out of memory");
        abandon(t, TRANSFER_FAILED, false);
    } else if (t->relay && (t->one_stream || t->entry.size <= t->plan->part_size)) {
        begin_relay_whole(t);
    } else if (!t->relay && !t->plan->seen) {
        begin_sight(t);
    } else if (!t->relay && !copies_in_parts(t)) {
        begin_copy(t);
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
    t->untagged = false;
    t->one_stream = false;
    t->hashed = false;
    t->measured[0] = '\0';
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
        size_t waiting;

        if (!t->get.done)
            moved |= store_step(&t->get);
        if (!t->put.done)
            moved |= store_step(&t->put);
        moved |= absence_step(&t->absence);
        waiting = t->pipe.len;
        t->state(t);
        moved |= t->pipe.len != waiting;
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
    if (t->state == wait_for_last_look) { /* all of it is there */
        call_cancel(&t->get, why);
        return;
    }
    t->again_after_abort = false;
    t->result = TRANSFER_FAILED;
    if (t->state == wait_for_abort)
        return;
    call_cancel(&t->get, why);
    call_cancel(&t->put, why);
    absence_end(&t->absence);
    abandon(t, TRANSFER_FAILED, false);
}
