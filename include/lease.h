/*
 * lease - one replica syncs at a time: epochs in the destination, made by create-if-absent only.
 *
 *     .storsync/<job>/lease/0000000000000007    one object an epoch, 16 digits; the highest is the one that counts
 *
 * An epoch's object says who holds it, with a nonce that only its owner knows and a counter of renewals. Whoever
 * wants the lease creates the epoch after the highest one: when there is none, when the highest is released, or when
 * it is stale. An observer calls it stale when it did not change for a whole TTL of the observer's own monotonic clock, or
 * at its first look, when it is older than a TTL and LEASE_CLOCK_MARGIN by the clock of the destination alone: Date against
 * Last-Modified of one answer, or where there is no Date the time of an object that the observer writes. The owner renews every third of the TTL: it rewrites its object and looks for
 * a higher epoch. docs/DESIGN.md has the assumptions; tests/model/lease.pml is the protocol, checked by spin.
 *
 * An object that cannot be understood (garbage, of any size, or of a later version) counts as held until it is stale.
 * A name in the folder that is no epoch, or one above LEASE_EPOCH_MAX, does not count. Both are told.
 *
 * INVARIANT (L1): an epoch is created with the one primitive, a store_write on STORE_IF_ABSENT, and by nobody twice.
 * INVARIANT (L2): an owner believes in its lease only while its last successful renewal began less than a TTL ago, and
 *   every renewal has a look that found no higher epoch, beside its write.
 * INVARIANT (L3): an answer that may have been lost (a create that timed out, a 412 after a retry) is settled by
 *   reading the object and comparing the nonce, never by assuming.
 * INVARIANT (L4): the highest epoch is never removed. Only an owner removes, and only epochs below its own.
 *   Where that does not hold (`removable`) the owner reads its epoch's object before each renewal: if it is gone, or another's, the
 *   lease is lost. A renewal that made it anew would hold what others have seen to be over.
 *
 * A service that has no create-if-absent is found out by creating the same epoch a second time, once for each store
 * (store_probe), and not where that is known to hold. Then the lease is advisory: the last writer of the epoch's object is its owner, after LEASE_SETTLE of quiet (a third of the TTL,
 * if that is less). That elects one of several that start together; it does not hold when a writer is delayed
 * for longer than that.
 */
#ifndef STORSYNC_LEASE_H
#define STORSYNC_LEASE_H

#include "error.h"
#include "job.h"
#include "lease_record.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* Besides a TTL, before the destination's clock says that a lease is over: Last-Modified has whole seconds, and the
 * machines of a service have a clock each. */
#define LEASE_CLOCK_MARGIN 3000 /* ms */
#define LEASE_CLOCK "clock"     /* the object that is written to read its time */

#define LEASE_SETTLE 2000   /* ms; advisory mode only */
#define LEASE_POLL_MIN 1000 /* ms between two looks at another's lease: at most one request a second */
#define LEASE_POLL_MAX 1500

/* Old epochs that one owner removes at most; there is rarely more than one. */
#define LEASE_OLDER_MAX 16

struct lease {
    const struct job *job;
    struct lease_record own;
    bool held;
    bool advisory;      /* the service has no create-if-absent */
    bool after_failure; /* whoever had it before has failed, or died */
    bool shards;        /* a listing of its folder has shown that there are some, or were (parts.h) */
    bool finished;      /* its owner says: nobody has to take it again. Given back, it is removed (parts.h) */
    bool removable;     /* its owner says: others may remove its highest epoch, too (parts.h) */
    /* Another one of ours, or NULL: renewed while this one is waited for; no longer than it is ours. */
    struct lease *beside;
    int64_t taken;   /* when our epoch was written, by the destination's clock; CLOCK_UNKNOWN */
    int64_t cleaned; /* when the last pass before ours ended, and well, by the destination's clock; else 0 */
    bool told_stranger;
    int64_t renewed; /* mono: when the last successful renewal began */

    /* Private: the renewal that is under way between lease_steps. */
    struct call call;
    struct cursor *cursor;
    enum { LEASE_RESTING, LEASE_CHECKING, LEASE_RENEWING } renewal;
    int64_t renewal_began;
    uint64_t highest;                /* epoch that this renewal's look has found so far */
    bool confirmed;                  /* a renewal that began after lease_confirm was called has succeeded */
    int64_t next_try;                /* mono */
    uint64_t older[LEASE_OLDER_MAX]; /* epochs that are still to be removed, */
    int older_count;
    bool older_stay;     /* some of them: there were more, or one could not be removed */
    struct call removal; /* one after the other */
};

/* Is there still something to do? Asked when another's lease has ended, after the lease was won, and now and then while
 * `waiting`: then one request has to do. LEASE_OVER ends lease_acquire: somebody else did the work. */
enum lease_need { LEASE_NEEDED, LEASE_OVER, LEASE_UNKNOWN };

struct lease_wait {
    int64_t limit; /* ms that may be spent waiting for others */
    bool patient;  /* at least as long as it takes to notice that the owner is dead */
    bool back_off; /* respect the backoff of a deployment that keeps failing */
    /* By the destination's clock: when it was known last that there is something to do; 0: that is not told. */
    int64_t needed_at;
    enum lease_need (*need)(void *ctx, bool waiting, struct error *error);
    void (*waiting)(void *ctx,
                    const struct lease_record *holder); /* at the first wait, and when the holder changes */
    /* An epoch of ours was just created: if it turns out to be the lease, nobody else has had that since before now, and what is
     * read from now on is not too old. NULL: nobody wants to know. It may come again, for another epoch, and
     * not for one whose create was not answered. */
    void (*created)(void *ctx);
    void *ctx;
};

enum lease_outcome {
    LEASE_WON,
    LEASE_DONE_BY_ANOTHER,
    LEASE_NOT_WON, /* *error: ERROR_BUSY, a stop, or what the service said */
};

/* Borrows the job. */
void lease_init(struct lease *lease, const struct job *job, const char *owner, const char *deployment_id,
                int64_t ttl);
void lease_free(struct lease *lease);

/* Asks already which epochs there are, unless that has been done: what is done next waits for that less. */
bool lease_begin_look(struct lease *lease, struct error *error);

enum lease_outcome lease_acquire(struct lease *lease, const struct lease_wait *wait, struct error *error);

/* Renews when it is time, without waiting; true if anything moved. Call at every turn of the loop, before new work is
 * begun. When `held` is false afterwards, the lease is lost: *error says to whom, and nothing more may be done. */
bool lease_step(struct lease *lease, struct error *error);

/* When lease_step has something to do at the latest: mono. */
int64_t lease_wake(const struct lease *lease);

/* Makes sure now, waiting for the answers: false, with *error, when the lease is not ours. Before the marker. */
bool lease_confirm(struct lease *lease, struct error *error);

/* For who writes nothing: learns what the next owner will know of those before it (`after_failure`, lease_wrote), without
 * becoming that. False with *error. */
bool lease_look(struct lease *lease, struct error *error);

/* Held, or looked at: may somebody who had the lease before have written what the destination says was written at `time`
 * (wall)? What is older than all that is known of them counts as theirs. */
bool lease_wrote(const struct lease *lease, int64_t time);
/* The same without what is as old as the first of them, who may not have been the first to write there. */
bool lease_surely_wrote(const struct lease *lease, int64_t time);

/* Held: others, whose leases are not in its folder, have written in that span of time (lease_wrote). */
void lease_add_span(struct lease *lease, struct lease_span span);

/* Gives it back, if it is held: `clean` says how the pass went. Waits at most `limit` ms, and also after a stop. A
 * release that does not get through only costs the others a TTL. */
void lease_release(struct lease *lease, bool clean, int64_t limit);

#endif
