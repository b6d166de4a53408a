#include "clock.h"
#include "crash.h"
#include "lease_internal.h"
#include "log.h"

#include <string.h>

#define RECORD_MAX ((size_t)8192)

/* After a renewal that failed: when to try again, in ms. */
#define RENEWAL_PAUSE 1000

/* ---- writing ---- */

/* False, with lease->call.error: there is no memory. */
static bool begin_write(struct lease *lease, bool create)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    char key[LEASE_KEY_SIZE];
    struct buf json;
    bool ok;

    lease_key(lease->job, lease->own.epoch, key);
    buf_init(&json, RECORD_MAX);
    ok = lease_write_record(&lease->own, &json);
    if (ok)
        store_write(lease->job->store, &lease->call, key, json.data, json.len, create ? &absent : NULL);
    else
        error_set(&lease->call.error, ERROR_LOCAL, "out of memory");
    buf_free(&json);
    return ok;
}

bool lease_write(struct lease *lease, bool create)
{
    return begin_write(lease, create) && store_wait(&lease->call);
}

/* ---- a renewal, step by step ---- */

static void end_renewal(struct lease *lease)
{
    lease_drop_look(lease);
    lease->renewal = LEASE_RESTING;
}

static void put_off_renewal(struct lease *lease)
{
    end_renewal(lease);
    lease->next_try = clock_mono() + RENEWAL_PAUSE;
}

static void lose_lease(struct lease *lease, struct error *error, const char *why)
{
    lease->held = false;
    end_renewal(lease);
    error_set(error, ERROR_BUSY, "the lease is lost: %s", why);
}

/* The look goes along with the write, and may be answered before it: whoever took over while the write was under way had found our
 * last renewal a TTL old, so is_past_its_ttl knows by then. What the look is for has happened long before: A2. */
static void write_renewal(struct lease *lease, struct error *error)
{
    lease->highest = 0;
    if (lease_begin_look(lease, error) && begin_write(lease, false))
        lease->renewal = LEASE_RENEWING;
    else
        put_off_renewal(lease);
}

static void begin_renewal(struct lease *lease, struct error *error)
{
    char key[LEASE_KEY_SIZE];

    lease->renewal_began = clock_mono();
    lease->own.renewals++;
    if (!lease->advisory && !lease->removable) {
        write_renewal(lease, error);
        return;
    }
    /* Somebody may have written over it, or removed it: a rewrite would take it away from them again. */
    lease_key(lease->job, lease->own.epoch, key);
    store_read(lease->job->store, &lease->call, key);
    lease->renewal = LEASE_CHECKING;
}

static void renewal_is_checked(struct lease *lease, struct error *error)
{
    struct lease_record found;

    if (lease->removable && lease->call.error.kind == ERROR_NOT_FOUND) {
        lose_lease(lease, error, "others have seen it end, and removed it");
        return;
    }
    if (lease->call.error.kind != ERROR_NONE) {
        put_off_renewal(lease);
        return;
    }
    lease_read_record(buf_str(&lease->call.body), lease->call.body.len, &found);
    if (strcmp(found.nonce, lease->own.nonce) != 0)
        lose_lease(lease, error, "another replica has written over it");
    else
        write_renewal(lease, error);
}

static void renewal_is_answered(struct lease *lease, enum cursor_state listing, struct error *error)
{
    crash_point("renewing");
    if (lease->highest > lease->own.epoch) {
        lose_lease(lease, error, "another replica has taken over");
    } else if (listing == CURSOR_FAILED || lease->call.error.kind != ERROR_NONE) {
        put_off_renewal(lease);
    } else {
        end_renewal(lease);
        lease->renewed = lease->renewal_began;
        lease->next_try = 0;
        lease->confirmed = true;
    }
}

static bool step_renewal(struct lease *lease, struct error *error)
{
    struct lease_epochs epochs = {.highest = 0};
    enum cursor_state listing = CURSOR_END;
    bool moved = store_step(&lease->call);

    if (lease->renewal == LEASE_RENEWING) {
        moved |= cursor_step(lease->cursor);
        listing = lease_note_epochs(lease, lease->cursor, &epochs);
    }
    if (epochs.highest > lease->highest)
        lease->highest = epochs.highest;
    if (listing == CURSOR_WAIT || !lease->call.done)
        return moved;
    if (lease->renewal == LEASE_CHECKING)
        renewal_is_checked(lease, error);
    else
        renewal_is_answered(lease, listing, error);
    return true;
}

/* What has become of the last removal. */
static void settle_epoch_removal(struct lease *lease)
{
    struct call *call = &lease->removal;

    if (call->error.kind == ERROR_PERMISSION)
        log_warn(
            "old epochs of the lease cannot be removed, and each sync leaves one more (the right to remove what is below %s is enough): %s",
            lease->job->prefix, call->error.text);
    if (call->error.kind != ERROR_NONE) {
        lease->older_count = 0;
        lease->older_stay = true;
    }
    error_clear(&call->error);
}

/* INVARIANT (L4): only what is below our own epoch is removed. Nobody waits for it; what fails, or is not over when the lease is given
 * back, is left for the next owner. */
static bool step_removal(struct lease *lease)
{
    struct call *call = &lease->removal;
    bool moved = store_step(call);
    char key[LEASE_KEY_SIZE];

    if (!call->done)
        return moved;
    settle_epoch_removal(lease);
    if (lease->older_count == 0)
        return moved;
    lease_key(lease->job, lease->older[--lease->older_count], key);
    store_remove(lease->job->store, call, key);
    return true;
}

/* INVARIANT (L2): a lease that could not be renewed for a whole TTL is not believed in, whatever the reason. */
static bool is_past_its_ttl(const struct lease *lease)
{
    return clock_mono() - lease->renewed >= lease->own.ttl;
}

int64_t lease_wake(const struct lease *lease)
{
    int64_t due = lease->renewed + lease->own.ttl / 3, over = lease->renewed + lease->own.ttl;

    if (!lease->held)
        return INT64_MAX;
    if (lease->next_try != 0) /* the last one has failed, perhaps before it was due */
        due = lease->next_try;
    return lease->renewal == LEASE_RESTING && due < over ? due : over;
}

bool lease_step(struct lease *lease, struct error *error)
{
    bool moved;

    if (!lease->held)
        return false;
    moved = step_removal(lease);
    if (is_past_its_ttl(lease)) {
        lose_lease(lease, error, "it could not be renewed for longer than its TTL");
        return true;
    }
    if (lease->renewal != LEASE_RESTING)
        return step_renewal(lease, error) || moved;
    if (clock_mono() < lease_wake(lease))
        return moved;
    begin_renewal(lease, error);
    return true;
}

/* ---- making sure ---- */

/* One turn of waiting for a renewal. False, with *error, when the lease is lost, or a stop was requested. */
static bool turn_renewal(struct lease *lease, struct error *error)
{
    bool moved = lease_step(lease, error);

    return lease->held && loop_turn(store_loop(lease->job->store), moved, lease_wake(lease), error);
}

bool lease_confirm(struct lease *lease, struct error *error)
{
    /* A renewal that is under way began before now: it does not count. */
    while (lease->held && lease->renewal != LEASE_RESTING)
        if (!turn_renewal(lease, error))
            return false;
    if (!lease->held)
        return false;
    lease->confirmed = false;
    begin_renewal(lease, error);
    while (!lease->confirmed)
        if (!turn_renewal(lease, error))
            return false;
    return true;
}

/* ---- giving it back ---- */

/* L4: ours is the highest. If no older one is there, none is afterwards. */
static bool is_last_epoch(const struct lease *lease)
{
    const struct call *removal = &lease->removal;

    return removal->done && removal->error.kind == ERROR_NONE && lease->older_count == 0 &&
           !lease->older_stay;
}

void lease_release(struct lease *lease, bool clean_pass, int64_t limit)
{
    char key[LEASE_KEY_SIZE];
    struct error why;

    end_renewal(lease);
    if (!lease->held)
        return;
    lease->held = false;
    if (lease->removable && is_past_its_ttl(lease)) /* what is there may be another's, who made it anew */
        return;
    lease->own.state = clean_pass || lease->finished ? LEASE_RELEASED : LEASE_FAILED;
    lease->own.renewals++;
    error_set(&why, ERROR_INTERRUPTED, "the lease is being released");
    call_cancel(&lease->call, &why);
    if (lease->finished && is_last_epoch(lease)) {
        lease_key(lease->job, lease->own.epoch, key);
        store_remove(lease->job->store, &lease->call, key);
        if (store_wait_for(&lease->call, limit))
            return;
    }
    if (begin_write(lease, false) && !store_wait_for(&lease->call, limit))
        log_warn("the lease could not be released; others will wait for it: %s", lease->call.error.text);
    /* After a short pass it was answered meanwhile, if at all. */
    store_step(&lease->removal);
    if (lease->removal.done)
        settle_epoch_removal(lease);
}
