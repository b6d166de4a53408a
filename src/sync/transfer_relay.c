#include "transfer_internal.h"

#include "clock.h"

#include <string.h>

/* ---- who looks at the MD5? ---- */

/* The trial is a request, and an object of that size takes as long to look at. */
#define TRIAL_SIZE (UINT64_C(16) << 20)

/* As much as so many parts may be sent once more if one piece does not get through. */
#define WHOLE_PARTS 8

/* Nobody here has to look at the bytes if the destination compares them with the source's MD5. After a failure it tells which half
 * was to blame. */
static bool may_be_spared(const struct transfer *t)
{
    const struct store_traits *from = store_traits(t->plan->source), *to = store_traits(t->plan->destination);

    return t->entry.hash.kind == OBJECT_HASH_MD5 && t->attempt == 0 && to->checks_md5 &&
           (from->plain || to->plain);
}

static bool is_spared(const struct transfer *t)
{
    return may_be_spared(t) && store_traits(t->plan->destination)->refuses_md5;
}

bool transfer_fits_whole(const struct transfer *t)
{
    return is_spared(t) && !t->plan->in_parts && t->entry.size / WHOLE_PARTS <= t->plan->part_size &&
           t->entry.size <= store_traits(t->plan->destination)->put_max;
}

/* All that would be spared wait for it: it is one request. */
static void wait_for_end_of_trial(struct transfer *t)
{
    if (!t->plan->trying)
        transfer_begin(t);
}

static void end_trial(struct transfer *t)
{
    if (!t->put.done)
        return;
    t->plan->trying = false;
    t->plan->tried = true;
    transfer_begin(t);
}

/* A refusal for that reason is learnt by the store (refuses_md5). Anything else proves nothing. Where there is no answer, it may
 * have been taken. */
static void wait_for_trial(struct transfer *t)
{
    if (t->put.done && (t->put.error.kind == ERROR_NONE || t->put.error.status == 0)) {
        store_remove(t->plan->destination, &t->put, t->plan->trial);
        t->state = end_trial;
    } else {
        end_trial(t);
    }
}

bool transfer_begin_trial(struct transfer *t)
{
    static const struct object_meta none;
    struct store_target target = {.key = t->plan->trial,
                                  .size = 1,
                                  .modified = CLOCK_UNKNOWN,
                                  .meta = &none,
                                  .condition.when = STORE_ALWAYS};

    if (t->plan->trial == NULL || t->plan->tried || is_spared(t) || !may_be_spared(t) ||
        t->entry.size < TRIAL_SIZE)
        return false;
    t->state = wait_for_end_of_trial;
    if (t->plan->trying)
        return true;
    t->plan->trying = true;
    pipe_reset(&t->pipe);
    pipe_write(&t->pipe, "?", 1);
    t->pipe.closed = true;
    digest_of("", 0, t->pipe.md5);
    store_put(t->plan->destination, &t->put, &target, &t->pipe);
    t->state = wait_for_trial;
    return true;
}

/* ---- the two halves of a relay ---- */

/* Some services refuse what has tags, whatever they say then: try it without them. */
static bool may_be_the_tags(const struct transfer *t)
{
    return t->plan->tags == TAGS_AUTO && !t->untagged && object_meta_get(&t->meta, "tagging") != NULL &&
           (t->put.error.status == 400 || t->put.error.status == 501);
}

/* For the service, or for a proxy before it, whatever they call it: parts may not be. */
static bool may_be_the_size(const struct transfer *t)
{
    return t->whole && t->put.error.status / 100 == 4;
}

void transfer_write_failed(struct transfer *t)
{
    if (transfer_settle_condition(t))
        return;
    if (may_be_the_size(t)) {
        t->plan->in_parts = true;
        transfer_abandon(t, TRANSFER_NONE, true);
    } else if (may_be_the_tags(t)) {
        t->untagged = true;
        transfer_abandon(t, TRANSFER_NONE, true);
    } else {
        transfer_give_up(t, &t->put.error);
    }
}

/* Is a digest of the bytes worth its time? It is when it can be compared with something, and nobody else would notice
 * damage: not TLS, and not the destination, which refuses a body with another MD5 than it is told. After a failure it
 * tells which half was to blame. */
static bool want_digest(const struct transfer *t)
{
    const struct store_traits *from = store_traits(t->plan->source), *to = store_traits(t->plan->destination);
    bool known = t->entry.hash.kind == OBJECT_HASH_MD5;

    return (known && (from->plain || !to->checks_md5 || t->attempt > 0)) ||
           (to->checks_md5 && ((to->plain && t->measured[0] == '\0') || t->attempt > 0));
}

/* The service may demand it. And where no TLS would notice damage, a file that is put in one piece is an object before the
 * answer tells of it; to read it twice costs no traffic. */
bool transfer_must_measure(const struct transfer *t, bool whole)
{
    const struct store_traits *from = store_traits(t->plan->source), *to = store_traits(t->plan->destination);
    bool known = whole && t->entry.hash.kind == OBJECT_HASH_MD5 && t->attempt == 0;
    bool exposed = whole && from->local && to->checks_md5 && to->plain;

    return (to->wants_md5 || exposed) && t->measured[0] == '\0' && !known;
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
        transfer_source_failed(t, &t->get);
        return;
    }
    digest_hex(&t->pipe.digest, t->measured);
    if (t->upload != NULL)
        transfer_begin_part(t);
    else
        transfer_begin(t);
}

void transfer_begin_measure(struct transfer *t, uint64_t offset, uint64_t length)
{
    struct store_source source = transfer_source(t);

    pipe_hash(&t->pipe);
    store_get(&source, &t->get, offset, length, &t->pipe);
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

int transfer_relay_settle(struct transfer *t)
{
    if (t->get.done && t->get.error.kind == ERROR_NONE)
        check_read(t);
    check_written(t);
    if (t->get.done && t->get.error.kind != ERROR_NONE) {
        call_cancel(&t->put, &t->get.error);
        if (!transfer_hands_over(t))
            transfer_source_failed(t, &t->get);
        return -1;
    }
    if (t->put.done && t->put.error.kind != ERROR_NONE) {
        call_cancel(&t->get, &t->put.error);
        error_clear(&t->get.error);
        if (transfer_hands_over(t))
            return -1;
        if (t->put.lost)
            transfer_upload_lost(t);
        else if (t->put.again)
            transfer_try_again(t, &t->put.error);
        else
            transfer_write_failed(t);
        return -1;
    }
    return t->get.done && t->put.done ? 1 : 0;
}

/* ---- small objects: one get, one put ---- */

static void wait_for_relay(struct transfer *t)
{
    t->moved = t->pipe.taken;
    if (transfer_relay_settle(t) <= 0)
        return;
    t->moved = t->entry.size;
    retry_success(transfer_retry(t));
    transfer_arrived(t);
}

static void put_whole(struct transfer *t)
{
    struct store_target target = transfer_target(t);

    store_put(t->plan->destination, &t->put, &target, &t->pipe);
    t->state = wait_for_relay;
}

static void wait_for_head_of_get(struct transfer *t)
{
    if (t->get.done && t->get.error.kind != ERROR_NONE) {
        transfer_source_failed(t, &t->get);
        return;
    }
    /* An empty body is known to be one when it has ended. */
    if (!t->get.head_known || (t->entry.size == 0 && !t->get.done))
        return;
    transfer_with_meta(t, &t->get.meta, put_whole);
}

void transfer_begin_relay(struct transfer *t)
{
    struct store_source source = transfer_source(t);

    pipe_reset(&t->pipe);
    t->pipe.size = t->entry.size;
    if (t->entry.hash.kind == OBJECT_HASH_CRC32C) {
        pipe_sum(&t->pipe, 0);
        t->pipe.must = &t->entry.hash;
    }
    if (transfer_must_measure(t, true)) {
        transfer_begin_measure(t, 0, UINT64_MAX);
        return;
    }
    memcpy(t->pipe.md5, t->measured, sizeof t->pipe.md5);
    t->whole = !t->one_stream && t->entry.size > t->plan->part_size;
    if (want_digest(t))
        pipe_hash(&t->pipe);
    t->pipe.spared = is_spared(t);
    store_get(&source, &t->get, 0, UINT64_MAX, &t->pipe);
    t->state = wait_for_head_of_get;
}
