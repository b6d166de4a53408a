#include "clock.h"
#include "crash.h"
#include "lease_internal.h"
#include "log.h"
#include "random.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>

/* How often a create is tried whose answer was lost and which did not happen. */
#define CREATE_TRIES 3

static void make_nonce(char out[LEASE_NONCE_SIZE])
{
    unsigned char bytes[(LEASE_NONCE_SIZE - 1) / 2];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* INVARIANT (L3): is the object of our epoch ours? False with lease->call.error if it cannot be read. */
static bool is_ours(struct lease *lease)
{
    struct lease_record found;

    return lease_read(lease, lease->own.epoch, &found) && strcmp(found.nonce, lease->own.nonce) == 0;
}

/* Without the primitive the last writer wins: writes, lets everybody else's writes come in, and looks who it was. */
static enum lease_taking take_advisory(struct lease *lease, struct error *error)
{
    /* Within the TTL, which began with this write, there has to be time to renew it. */
    int64_t settle = lease->own.ttl / 3 < LEASE_SETTLE ? lease->own.ttl / 3 : LEASE_SETTLE;
    int64_t until = clock_mono() + settle;

    lease->advisory = true;
    lease_drop_look(lease);
    if (!lease_write(lease, false)) {
        *error = lease->call.error;
        return LEASE_NOT_TAKEN;
    }
    if (!lease_wait_until(lease, until, error))
        return LEASE_NOT_TAKEN;
    if (is_ours(lease))
        return LEASE_TAKEN;
    *error = lease->call.error;
    return error->kind == ERROR_NONE ? LEASE_TAKEN_BY_ANOTHER : LEASE_NOT_TAKEN;
}

/* The create went through. Would a second one, too? Then it proves nothing. Meanwhile the listing comes that check_highest wants:
 * it shows the first create in any case, and a second one of an epoch that was removed means nothing. */
static enum lease_taking prove_create(struct lease *lease, struct error *error)
{
    struct store *store = lease->job->store;

    if (store_traits(store)->if_absent)
        return LEASE_TAKEN;
    if (!lease_begin_look(lease, error))
        return LEASE_NOT_TAKEN;
    lease_write(lease, true);
    switch (store_probe(store, &lease->call)) {
    case STORE_HOLDS:
        break;
    case STORE_LACKS:
        return take_advisory(lease, error);
    case STORE_UNSURE:
        if ((lease->call.error.kind == ERROR_INTERRUPTED || lease->call.error.kind == ERROR_TIMEOUT) &&
            stop_requested(error))
            return LEASE_NOT_TAKEN;
        break;
    }
    return LEASE_TAKEN;
}

/* The create failed, or its answer was lost. Whose is the epoch? NOT_TAKEN: nobody's, or lease->call.error. */
static enum lease_taking settle_create(struct lease *lease, const struct error *failure)
{
    if (is_ours(lease)) {
        lease->held = true;
        return LEASE_TAKEN;
    }
    if (lease->call.error.kind == ERROR_NONE)
        return LEASE_TAKEN_BY_ANOTHER;
    /* It was there, and is gone: removed by the owner of a higher one. */
    if (failure->kind == ERROR_PRECONDITION && lease->call.error.kind == ERROR_NOT_FOUND)
        return LEASE_TAKEN_BY_ANOTHER;
    return LEASE_NOT_TAKEN;
}

/* INVARIANT (L1): the only place that creates an epoch. */
static enum lease_taking create_epoch(struct lease *lease, const struct lease_wait *wait, struct error *error)
{
    for (int tries = 1; tries <= CREATE_TRIES; tries++) {
        struct error failure;
        enum lease_taking taking;

        if (lease_write(lease, true)) {
            lease->held = true;
            if (wait->created != NULL)
                wait->created(wait->ctx);
            return prove_create(lease, error);
        }
        failure = lease->call.error;
        if (failure.kind == ERROR_UNSUPPORTED)
            return take_advisory(lease, error);
        if (stop_requested(error) || failure.kind == ERROR_PERMISSION || failure.kind == ERROR_CREDENTIALS) {
            *error = failure;
            return LEASE_NOT_TAKEN;
        }
        taking = settle_create(lease, &failure);
        if (taking != LEASE_NOT_TAKEN)
            return taking;
        *error = failure;
        if (lease->call.error.kind != ERROR_NOT_FOUND || !lease_pause(lease, tries, error))
            return LEASE_NOT_TAKEN;
    }
    return LEASE_NOT_TAKEN;
}

/* Is the epoch that was just created the highest? One below it may have been created by somebody who was late: the
 * higher one's owner had removed its predecessor. A listing that does not show ours yet lags behind, and proves
 * nothing. */
static enum lease_taking check_highest(struct lease *lease, struct lease_epochs *epochs, struct error *error)
{
    for (int asked = 1; asked <= LEASE_LOOKS_MAX; asked++) {
        if (!lease_list(lease, epochs, error))
            return LEASE_NOT_TAKEN;
        if (epochs->highest >= lease->own.epoch)
            return epochs->highest == lease->own.epoch ? LEASE_TAKEN : LEASE_TAKEN_BY_ANOTHER;
        if (!lease_pause(lease, asked, error))
            return LEASE_NOT_TAKEN;
    }
    error_set(error, ERROR_PROTOCOL,
              "an epoch of the lease that was just created is not listed by the destination");
    return LEASE_NOT_TAKEN;
}

void lease_add_span(struct lease *lease, struct lease_span span)
{
    struct lease_record *own = &lease->own;

    /* What overlaps a known one makes that longer: looking again and again at the same group takes no more room. But not the one
     * of unknown beginning, which tells less (lease_surely_wrote). */
    for (int i = 0; i < own->span_count; i++) {
        struct lease_span *known = &own->spans[i];

        if (span.from < known->from || span.from > known->to)
            continue;
        if (span.to <= known->to)
            return;
        if (known->from != 0) {
            known->to = span.to;
            return;
        }
    }
    if (own->span_count == LEASE_SPANS_MAX) {
        own->spans[1].from = own->spans[0].from;
        memmove(own->spans, own->spans + 1, sizeof own->spans - sizeof own->spans[0]);
        own->span_count--;
    }
    own->spans[own->span_count++] = span;
}

/* When the owners before us may have written: what the last one knows of those before it, and its own time. A time that the
 * destination does not tell is as early, or as late, as can be. */
static void take_over_spans(struct lease *lease, const struct lease_watch *watch)
{
    const struct lease_record *last = &watch->record;
    struct lease_record *own = &lease->own;
    int64_t end = INT64_MAX, now = watch->info.served;

    own->span_count = 0;
    own->began = 0;
    if (watch->epoch == 0)
        return;
    if (watch->info.modified != CLOCK_UNKNOWN)
        end = watch->info.modified + LEASE_CLOCK_MARGIN +
              (last->state == LEASE_HELD ? lease_watch_patience(watch) : 0);
    memcpy(own->spans, last->spans, sizeof own->spans);
    own->span_count = last->span_count;
    /* The first one is kept as well: without any, nobody knows when syncs have written. */
    if ((!last->unused && (!last->idle || last->state != LEASE_RELEASED)) || own->span_count == 0)
        lease_add_span(lease, (struct lease_span){last->began, end});
    if (now == CLOCK_UNKNOWN && store_traits(lease->job->store)->keeps_times)
        now = clock_wall() - LEASE_CLOCK_MARGIN;
    own->began = now != CLOCK_UNKNOWN && now > end ? now : end;
}

bool lease_wrote(const struct lease *lease, int64_t time)
{
    const struct lease_record *own = &lease->own;

    for (int i = 0; i < own->span_count; i++)
        if (time >= own->spans[i].from && time <= own->spans[i].to)
            return true;
    return own->span_count == 0;
}

/* What those before it have left to the next owner. */
static void inherit(struct lease *lease, const struct lease_watch *watch)
{
    lease->after_failure |= watch->epoch != 0 && watch->record.state != LEASE_RELEASED;
    lease->cleaned = lease_watch_cleaned(watch);
    take_over_spans(lease, watch);
}

bool lease_look(struct lease *lease, struct error *error)
{
    struct lease_watch watch;

    lease_watch_init(&watch, lease);
    if (!lease_watch_highest(&watch, error))
        return false;
    inherit(lease, &watch);
    return true;
}

bool lease_surely_wrote(const struct lease *lease, int64_t time)
{
    const struct lease_record *own = &lease->own;
    int from = own->span_count > 0 && own->spans[0].from == 0;

    for (int i = from; i < own->span_count; i++)
        if (time >= own->spans[i].from && time <= own->spans[i].to)
            return from == 0 || time > own->spans[0].to;
    return false;
}

static void begin_epoch(struct lease *lease, const struct lease_watch *watch)
{
    lease->own.epoch = watch->epoch + 1;
    lease->own.state = LEASE_HELD;
    lease->own.unused = false;
    lease->own.renewals = 0;
    lease->own.attempts = lease_watch_attempts(watch) + 1;
    inherit(lease, watch);
    lease->renewed = clock_mono();
    lease->next_try = 0;
    make_nonce(lease->own.nonce);
}

enum lease_taking lease_take(struct lease *lease, const struct lease_watch *watch,
                             const struct lease_wait *wait, struct error *error)
{
    struct lease_epochs epochs;
    enum lease_taking taking;

    if (watch->epoch == LEASE_EPOCH_MAX) {
        error_set(error, ERROR_PROTOCOL,
                  "the lease has no epochs left: remove %s" LEASE_FOLDER " from the destination",
                  lease->job->prefix);
        return LEASE_NOT_TAKEN;
    }
    begin_epoch(lease, watch);
    crash_point("lease-before-create");
    taking = create_epoch(lease, wait, error);
    crash_point("lease-created");
    if (taking == LEASE_TAKEN)
        taking = check_highest(lease, &epochs, error);
    if (taking == LEASE_TAKEN) {
        lease->held = true;
        lease->taken = epochs.written;
        memcpy(lease->older, epochs.older, sizeof lease->older);
        lease->older_count = epochs.older_count;
        lease->older_stay = epochs.older_count == LEASE_OLDER_MAX;
    } else if (taking == LEASE_TAKEN_BY_ANOTHER) {
        lease->held = false;
    } else {
        /* Created, but not seen through (a signal, say): nobody should wait for it. An advisory one may be
         * another's by now, and has to become stale. */
        lease->held = lease->held && !lease->advisory;
        lease_release(lease, false, LEASE_RELEASE_UNUSED);
    }
    return taking;
}
