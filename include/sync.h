/*
 * sync - the loop: free slot? next action -> start transfer -> wait. Its files: sync_internal.h.
 *
 * Walks every path with both listings side by side, keeps up to `slots` transfers going, and counts and logs what
 * becomes of them. One object's failure does not stop the others. What stops the run: a listing that breaks, a
 * bucket that is gone, credentials that are refused, a service that does not answer any more,
 * stop_requested(), and the loss of the lease.
 *
 * The path after the one at hand is listed meanwhile, and when that one is listed its copies are begun. Nothing is told of them, to
 * the report or the breaker, before all of the path at hand is through.
 *
 * INVARIANT: when sync_run returns, no transfer is under way and no upload in parts is open, unless the service
 * did not answer to the abort within SYNC_STOP_GRACE.
 */
#ifndef STORSYNC_SYNC_H
#define STORSYNC_SYNC_H

#include "error.h"
#include "job.h"
#include "lease.h"
#include "plan_file.h"
#include "report.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* After a stop: how long uploads may take to be aborted, in ms; less after a signal or the deadline. */
#define SYNC_STOP_GRACE 1000

struct sync_job {
    struct store *source; /* both sides have one loop */
    struct store *destination;
    const struct settings *settings; /* paths, compare, part_size, concurrency, retries, dry_run */
    struct report *report;
    struct lease
        *lease; /* held. Renewed from this loop; when it is lost, the run ends. In a dry run only looked at */
    struct plan_file *plan;      /* of a dry run, told each object; NULL: none */
    const struct job *state;     /* whose journal it writes (keep_previous), and where it tries things out */
    bool journaled;              /* out: it has one now, as it has changed something */
    struct sync_listings *begun; /* by sync_begin_listings; NULL: nothing */
};

/* Asks for the first listings already, and for those that were asked for before once more: sync_run, which uses them, waits for
 * that less. Nothing is acted upon before that. What others do to the destination meanwhile is missed: so not before an epoch of
 * the lease was created (lease_wait.created). Without memory nothing is asked. */
void sync_begin_listings(struct sync_job *job);
/* They are not going to be used. */
void sync_drop_listings(struct sync_job *job);

/* False with *error when the run could not be carried through; failed objects alone leave it true and are in
 * the report's counters. */
bool sync_run(struct sync_job *job, struct error *error);

#endif
