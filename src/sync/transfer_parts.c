#include "transfer_internal.h"

#include "crash.h"
#include "hash.h"

#include <string.h>

/* By which a part that is copied grows until the last part is a shorter one. */
#define COPY_PART_STEP (UINT64_C(1024) * 1024)

static void wait_for_finish(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        transfer_write_failed(t);
        return;
    }
    t->upload = NULL;
    transfer_arrived(t);
}

static void finish_now(struct transfer *t)
{
    store_upload_finish(t->upload, &t->put);
    t->state = wait_for_finish;
}

/* All parts are there, which may have taken long: not every service keeps to the condition of a finish. */
static void finish_upload(struct transfer *t)
{
    transfer_look_there(t, finish_now);
}

static void wait_for_same_version(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE)
        transfer_source_failed(t, &t->get);
    else if (!object_same_version(t->get.info.version, t->entry.version))
        transfer_wait_for_look(t);
    else
        finish_upload(t);
}

/* By the hash of all parts, of which the last one is in the pipe. */
static bool is_undamaged(const struct transfer *t, const char *must_be)
{
    char is[DIGEST_HEX_SIZE];

    if (t->pipe.summed)
        return pipe_matches(&t->pipe, &t->entry.hash);
    digest_hex(&t->parts, is);
    return t->pipe.more == NULL || strcmp(is, must_be) == 0;
}

/* Whether the whole was damaged on the way shows when all parts are through: before it is an object. */
static void finish_relay(struct transfer *t)
{
    const struct object_hash *hash = &t->entry.hash;
    char must_be[DIGEST_HEX_SIZE];

    hash_hex(hash->bytes, object_hash_size(hash->kind), must_be);
    if (is_undamaged(t, must_be)) {
        finish_upload(t);
        return;
    }
    error_set(&t->error, ERROR_PROTOCOL,
              "reading \"%.200s\" in %s: it was damaged on the way: its %s is not %s, as the bucket says",
              t->key, store_name(t->plan->source), hash->kind == OBJECT_HASH_MD5 ? "MD5" : "CRC32C", must_be);
    transfer_abandon(t, TRANSFER_FAILED, ++t->version_changes <= VERSION_CHANGES_MAX);
}

void transfer_upload_lost(struct transfer *t)
{
    t->error = t->put.error;
    transfer_abandon(t, TRANSFER_FAILED, ++t->version_changes <= VERSION_CHANGES_MAX);
}

/* ---- whose part is it? ---- */

/* So many others take parts of one object. */
#define LENT_MAX 15

static void wait_for_part_relay(struct transfer *t);
static void wait_for_part_copy(struct transfer *t);

/* The next one that nobody has begun yet. */
static void take_next_part(struct transfer *t, struct transfer *lead)
{
    uint64_t offset = (uint64_t)lead->begun * lead->part_size;
    uint64_t left = lead->entry.size - offset;

    t->part = (struct store_part){
        .number = ++lead->begun, .offset = offset, .size = left < lead->part_size ? left : lead->part_size};
    transfer_begin_part(t);
}

static bool has_more(const struct transfer *t)
{
    return (uint64_t)t->begun * t->part_size < t->entry.size;
}

/* Between two parts, and after its last one until those that others have are through. */
static void wait_for_parts(struct transfer *t)
{
    t->state = wait_for_parts;
    if (t->broken > 0)
        return;
    if (has_more(t))
        take_next_part(t, t);
    else if (t->lent > 0)
        return;
    else if (t->relay)
        finish_relay(t);
    else if (store_traits(t->plan->destination)->copies_version)
        finish_upload(t);
    else
        transfer_ask_source(t, wait_for_same_version);
}

/* Is the hash of all parts found here? */
static bool is_looked_at(const struct transfer *t)
{
    return t->entry.hash.kind == OBJECT_HASH_MD5 &&
           (store_traits(t->plan->source)->plain || !store_traits(t->plan->destination)->checks_md5);
}

/* From one directory into another there is one thread that does it all. */
static bool gains(const struct store_traits *from, const struct store_traits *to)
{
    return !(from->local && to->local) && !to->in_order && !to->wants_md5;
}

bool transfer_can_lend(const struct transfer *t)
{
    const struct store_traits *to = store_traits(t->plan->destination);
    bool copies = t->state == wait_for_part_copy && t->plan->parts.worked;
    bool relays = t->state == wait_for_part_relay && !is_looked_at(t) &&
                  t->entry.hash.kind != OBJECT_HASH_CRC32C && gains(store_traits(t->plan->source), to);

    return (copies || relays) && t->lead == NULL && t->broken == 0 && t->lent < LENT_MAX && has_more(t);
}

bool transfer_take_part(struct transfer *t, struct transfer *lead)
{
    if (lead->relay && t->pipe.data == NULL && !pipe_init(&t->pipe))
        return false;
    transfer_prepare(t, &lead->entry);
    t->plan = lead->plan;
    t->past = lead->past;
    t->relay = lead->relay;
    t->upload = lead->upload;
    t->lead = lead;
    lead->lent++;
    take_next_part(t, lead);
    return true;
}

static void hand_over(struct transfer *t);

void transfer_leave(struct transfer *t)
{
    struct error why;

    error_set(&why, ERROR_INTERRUPTED, "no longer wanted");
    call_cancel(&t->get, &why);
    call_cancel(&t->put, &why);
    t->lead->lent--;
    t->lead->broken -= t->state == hand_over;
    t->lead = NULL;
    t->upload = NULL;
    transfer_end(t, TRANSFER_NONE);
}

static bool is_unwanted(const struct transfer *t)
{
    return t->lead != NULL && t->lead->state == transfer_wait_for_others;
}

static void copy_outcome(struct call *to, const struct call *from)
{
    to->error = from->error;
    to->again = from->again;
    to->lost = from->lost;
}

/* As if it had been a part of the other's own, as soon as that has none under way. */
static void hand_over(struct transfer *t)
{
    struct transfer *lead = t->lead;

    if (lead->state == wait_for_parts) {
        lead->part = t->part;
        copy_outcome(&lead->get, &t->get);
        copy_outcome(&lead->put, &t->put);
        lead->state = t->relay ? wait_for_part_relay : wait_for_part_copy;
    } else if (!is_unwanted(t)) {
        return;
    }
    transfer_leave(t);
}

bool transfer_hands_over(struct transfer *t)
{
    if (t->lead == NULL)
        return false;
    t->lead->broken++;
    t->state = hand_over;
    return true;
}

static void end_part(struct transfer *t)
{
    crash_point("part");
    if (t->lead != NULL) {
        t->lead->moved += t->part.size;
        transfer_leave(t);
        return;
    }
    t->moved += t->part.size;
    t->attempt = 0;
    t->measured[0] = '\0';
    t->parts = t->parts_more;
    t->sum = t->pipe.sum;
    wait_for_parts(t);
}

static void wait_for_part_relay(struct transfer *t)
{
    if (is_unwanted(t)) {
        transfer_leave(t);
        return;
    }
    if (transfer_relay_settle(t) <= 0)
        return;
    retry_success(transfer_retry(t));
    end_part(t);
}

static void wait_for_part_copy(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE) {
        t->plan->parts.worked = true;
        end_part(t);
    } else if (!transfer_hands_over(t)) {
        transfer_copy_failed(t);
    }
}

static void relay_part(struct transfer *t, const struct store_source *source, const struct store_part *part)
{
    const struct store_traits *to = store_traits(t->plan->destination);

    memcpy(t->pipe.md5, t->measured, sizeof t->pipe.md5);
    if (to->checks_md5 && (to->plain || t->attempt > 0))
        pipe_hash(&t->pipe);
    t->parts_more = t->parts;
    if (is_looked_at(t))
        t->pipe.more = &t->parts_more;
    if (t->entry.hash.kind == OBJECT_HASH_CRC32C)
        pipe_sum(&t->pipe, t->sum);
    store_get(source, &t->get, part->offset, part->size, &t->pipe);
    store_upload_part(t->upload, &t->put, part, &t->pipe);
    t->state = wait_for_part_relay;
}

void transfer_begin_part(struct transfer *t)
{
    struct store_source source = transfer_source(t);

    if (t->relay)
        pipe_reset(&t->pipe);
    if (t->relay && transfer_must_measure(t, false)) {
        transfer_begin_measure(t, t->part.offset, t->part.size);
    } else if (t->relay) {
        relay_part(t, &source, &t->part);
    } else {
        store_upload_copy(t->upload, &t->put, &t->part, &source);
        t->state = wait_for_part_copy;
    }
}

void transfer_wait_for_upload(struct transfer *t)
{
    if (!t->put.done)
        return;
    t->upload = t->put.upload;
    t->put.upload = NULL;
    if (t->stopping)
        transfer_abandon(t, TRANSFER_FAILED, false);
    else if (t->put.error.kind != ERROR_NONE)
        transfer_write_failed(t);
    else
        wait_for_parts(t);
}

/* Parts as large as asked for, larger if there would be too many of them. */
static uint64_t choose_part_size(const struct transfer *t)
{
    const struct store_traits *to = store_traits(t->plan->destination);
    uint64_t count_max = (uint64_t)to->part_count_max;
    uint64_t size = t->relay ? t->plan->part_size : to->part_copy;
    uint64_t least = t->entry.size / count_max + (t->entry.size % count_max != 0 ? 1 : 0);

    if (size < to->part_min)
        size = to->part_min;
    if (size < least)
        size = least;
    if (to->part_multiple > 0 && size % to->part_multiple != 0)
        size += to->part_multiple - size % to->part_multiple;
    while (!t->relay && size < t->entry.size && t->entry.size % size == 0)
        size += COPY_PART_STEP;
    return size;
}

static void begin_upload(struct transfer *t)
{
    struct store_target target = transfer_target(t);

    t->whole = false;
    t->begun = 0;
    t->part_size = choose_part_size(t);
    t->moved = 0;
    t->measured[0] = '\0';
    digest_begin(&t->parts);
    t->sum = 0;
    store_upload_begin(t->plan->destination, &t->put, &target);
    t->state = transfer_wait_for_upload;
}

/* Ranges of a source that tells no version could be of different ones. */
static void relay_in_one_stream(struct transfer *t)
{
    if (t->entry.size > store_traits(t->plan->destination)->put_max) {
        error_set(&t->error, ERROR_UNSUPPORTED,
                  "%s tells no version of \"%.200s\", and it is too large to be written in one piece",
                  store_name(t->plan->source), t->key);
        transfer_abandon(t, TRANSFER_FAILED, false);
        return;
    }
    t->relay = true;
    transfer_begin(t);
}

static void wait_for_head(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        transfer_source_failed(t, &t->get);
        return;
    }
    if (!transfer_adopt(t, &t->get.error)) {
        transfer_fail(t, &t->get.error);
        return;
    }
    if (t->one_stream) {
        relay_in_one_stream(t);
        return;
    }
    transfer_with_meta(t, &t->get.meta, begin_upload);
}

void transfer_begin_parts(struct transfer *t)
{
    transfer_ask_source(t, wait_for_head);
}
