#include "lease.h"

#include "clock.h"
#include "lease_internal.h"
#include "random.h"

#include <inttypes.h>
#include <stdio.h>

/* Races that may be lost before something must be wrong with the service: each was won by another replica. */
#define RACES_MAX 100

/* While waiting, every so many looks at the lease are one at the marker: its owner may have died between the two. */
#define NEED_EVERY 4

void lease_init(struct lease *lease, const struct job *job, const char *owner, const char *deployment_id,
                int64_t ttl)
{
    *lease = (struct lease){.job = job, .own = {.ttl = ttl}};
    snprintf(lease->own.owner, sizeof lease->own.owner, "%s", owner);
    snprintf(lease->own.deployment, sizeof lease->own.deployment, "%s", deployment_id);
    call_init(&lease->call);
    call_init(&lease->removal);
    /* A renewal that arrives a second time, after a later one, would bring back a record that an observer has seen
     * before, who might take the lease for stale. Each attempt is one of our own, with a counter of its own. */
    lease->call.once = true;
    lease->call.urgent = true;
}

void lease_free(struct lease *lease)
{
    lease_drop_look(lease);
    call_free(&lease->call);
    call_free(&lease->removal);
}

/* ---- waiting for others ---- */

/* One lease_acquire. */
struct acquisition {
    struct lease *lease;
    const struct lease_wait *wait;
    struct lease_watch watch;
    int64_t waiting; /* mono: since when; 0: not yet */
    int looks;
};

/* False, with *outcome, when there is nothing left to do, or that cannot be told (*error). */
static bool is_still_needed(const struct acquisition *a, bool waiting, enum lease_outcome *outcome,
                            struct error *error)
{
    enum lease_need need = a->wait->need(a->wait->ctx, waiting, error);

    *outcome = need == LEASE_OVER ? LEASE_DONE_BY_ANOTHER : LEASE_NOT_WON;
    return need == LEASE_NEEDED;
}

/* How long others may be waited for. Who is patient waits until a dead owner must be noticed: a TTL, and two looks. */
static int64_t longest_wait(const struct acquisition *a)
{
    int64_t needed = lease_watch_patience(&a->watch) + 2 * (int64_t)LEASE_POLL_MAX;

    return a->wait->patient && needed > a->wait->limit ? needed : a->wait->limit;
}

static bool is_tired_of_waiting(struct acquisition *a, struct error *error)
{
    int64_t now = clock_mono();
    int64_t limit = longest_wait(a);

    if (a->waiting == 0)
        a->waiting = now;
    if (now - a->waiting < limit)
        return false;
    error_set(error, ERROR_BUSY, "replica \"%s\" is still syncing after %" PRId64 " s (setting wait)",
              a->watch.record.owner, limit / 1000);
    return true;
}

/* Between two looks: full of jitter, so that many replicas spread out. Shorter when staleness or the limit is due. */
static int64_t next_look(const struct acquisition *a)
{
    int64_t now = clock_mono();
    int64_t stale_at = a->watch.seen + lease_watch_patience(&a->watch);
    int64_t tired_at = a->waiting + longest_wait(a);
    int64_t next = now + LEASE_POLL_MIN + (int64_t)(random_number() % (LEASE_POLL_MAX - LEASE_POLL_MIN + 1));

    if (stale_at > now && stale_at < next)
        next = stale_at;
    return tired_at < next ? tired_at : next;
}

/* A look at the lease, or now and then at the marker. */
static bool look_again(struct acquisition *a, enum lease_outcome *outcome, struct error *error)
{
    if (++a->looks % NEED_EVERY == 0)
        return is_still_needed(a, true, outcome, error);
    return lease_watch_look(&a->watch, error) &&
           (a->watch.epoch != 0 || lease_watch_highest(&a->watch, error));
}

/* Waits until the watched lease can be taken. False: it will not be, as *outcome says. */
static bool wait_for_end(struct acquisition *a, enum lease_outcome *outcome, struct error *error)
{
    uint64_t told = 0;

    *outcome = LEASE_NOT_WON;
    while (!lease_watch_is_over(&a->watch)) {
        if (is_tired_of_waiting(a, error))
            return false;
        if (told != a->watch.epoch)
            a->wait->waiting(a->wait->ctx, &a->watch.record);
        told = a->watch.epoch;
        if (!lease_wait_until(a->lease, next_look(a), error) || !look_again(a, outcome, error))
            return false;
    }
    return true;
}

/* ---- the way to it ---- */

/* Had all who had the lease before us ended when it was known last that there is something to do? Then that is so still: what they
 * wrote they wrote before they gave it back. */
static bool is_needed_since(const struct acquisition *a)
{
    const struct lease_watch *watch = &a->watch;

    return watch->epoch == 0 || (watch->record.state != LEASE_HELD && watch->info.modified != CLOCK_UNKNOWN &&
                                 watch->info.modified + LEASE_CLOCK_MARGIN <= a->wait->needed_at);
}

/* The lease is ours, but others had it before: did one of them do the work meanwhile? */
static enum lease_outcome settle_need(const struct acquisition *a, struct error *error)
{
    enum lease_outcome outcome;

    if (is_needed_since(a) || is_still_needed(a, false, &outcome, error))
        return LEASE_WON;
    a->lease->own.unused = true;
    lease_release(a->lease, outcome == LEASE_DONE_BY_ANOTHER, LEASE_RELEASE_UNUSED);
    return outcome;
}

/* Another replica was faster. A listing that does not show its epoch yet lags behind. */
static bool find_winner(struct acquisition *a, int races, struct error *error)
{
    uint64_t lost = a->lease->own.epoch;

    for (int asked = 1; asked <= LEASE_LOOKS_MAX; asked++) {
        if (!lease_pause(a->lease, asked > 1 ? asked : races, error) ||
            !lease_watch_highest(&a->watch, error))
            return false;
        if (a->watch.epoch >= lost)
            return true;
    }
    return error_set(error, ERROR_PROTOCOL,
                     "epochs of the lease that others have created are not listed by the destination");
}

/* Until the next epoch can be created. False: it is not going to be, as *outcome says. */
static bool prepare_to_take(struct acquisition *a, enum lease_outcome *outcome, struct error *error)
{
    bool waited = a->waiting != 0;

    if (!wait_for_end(a, outcome, error))
        return false;
    /* Whoever we waited for has ended: mostly because the work is done. */
    if (!waited && a->waiting != 0 && a->watch.record.state == LEASE_RELEASED &&
        !is_still_needed(a, false, outcome, error))
        return false;
    return !a->wait->back_off || !lease_watch_backs_off(&a->watch, error);
}

enum lease_outcome lease_acquire(struct lease *lease, const struct lease_wait *wait, struct error *error)
{
    struct acquisition a = {.lease = lease, .wait = wait};
    enum lease_outcome outcome;

    error_clear(error);
    lease_watch_init(&a.watch, lease);
    if (!lease_watch_highest(&a.watch, error))
        return LEASE_NOT_WON;
    for (int races = 1; races <= RACES_MAX; races++) {
        if (!prepare_to_take(&a, &outcome, error))
            return outcome;
        switch (lease_take(lease, &a.watch, wait, error)) {
        case LEASE_TAKEN:
            error_clear(error); /* of attempts that failed before */
            return settle_need(&a, error);
        case LEASE_NOT_TAKEN:
            return LEASE_NOT_WON;
        case LEASE_TAKEN_BY_ANOTHER:
            if (!find_winner(&a, races, error))
                return LEASE_NOT_WON;
            break;
        }
    }
    error_set(error, ERROR_BUSY, "%d replicas in a row were faster", RACES_MAX);
    return LEASE_NOT_WON;
}
