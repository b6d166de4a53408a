/*
 * modes_internal - what a deploy has in common with one that is shared by several shards (shards.c); nobody else includes this.
 */
#ifndef STORSYNC_MODES_INTERNAL_H
#define STORSYNC_MODES_INTERNAL_H

#include "error.h"
#include "gate.h"
#include "job.h"
#include "lease.h"
#include "marker.h"
#include "run.h"
#include "sync.h"

#include <stdbool.h>
#include <stdint.h>

/* A lease that is lost is waited for again this often. */
#define MODES_LOSSES_MAX 3

/* The run is over. */
void modes_finish(struct run *run, enum report_state state, struct error *error);
void modes_finish_failed(struct run *run, struct error *error);
void modes_conclude(struct run *run, struct error *error);
void modes_conclude_marker(struct run *run, const struct marker_finding *found, struct error *error);

void modes_init_lease(const struct run *run, const struct job *job, struct lease *lease);

/* What lease_acquire asks of us. Of one that waits nothing but the marker counts. */
struct modes_contest {
    struct run *run;
    struct marker_finding found; /* what ended it, if somebody else did the work */
    struct sync_job *job;        /* that follows; NULL: none, or it begins when the lease was won */
    uint64_t listed;             /* the epoch under which its listings were begun */
};
enum lease_need modes_need(void *ctx, bool waiting, struct error *error);
void modes_tell_waiting(void *ctx, const struct lease_record *holder);

/* lease_acquire; then waits until nobody is at work who must not be beside us. */
enum lease_outcome modes_acquire(struct modes_contest *contest, struct lease *lease,
                                 const struct lease_wait *wait, struct gate *gate, struct error *error);

/* What modes_sync_all is to do. Borrows both. */
struct sync_job modes_make_job(struct run *run, struct lease *lease);

/* Copies what is new or changed, and tells whether every object got through. */
bool modes_sync_all(struct run *run, struct sync_job *job, struct error *error);

/* Gives the lease back, if it is held, when nothing was done under it. */
void modes_give_back_unused(struct lease *lease);

/* Gives the lease back when the pass is over, however it went. */
void modes_give_lease_back(const struct run *run, struct lease *lease, const struct error *error);

/* ---- shards.c ---- */

/* The deploy of a shard, once both stores are open. */
void shards_deploy(struct run *run, struct error *error);

/* May this mode be a shard's? */
bool shards_check(const struct run *run, struct error *error);

#endif
