/*
 * gate - one deployment's shards, or one replica that does all of the job, copy at a time.
 *
 * Each shard has a lease of its own (parts.h), so that those of one group work side by side. Of all others whoever has a lease
 * finds out here, after it was taken and before anything is copied, whether it may begin:
 *
 *     who has taken        looks at
 *     a shard's lease      the lease of all of the job, and those of other groups' shards
 *     that of all the job  those of all shards, if a listing of its folder has shown that there are any
 *
 * INVARIANT: the lease comes first, then the look. So of two that take theirs at the same time one sees the other at least (A1 of
 * docs/DESIGN.md). That both wait for each other for ever is prevented by an order: shards go before who does all of the job,
 * and the group whose name is the lower one before the other. Whoever is behind gives its lease back before it waits; whoever
 * is ahead keeps it, and waits for what has begun already. A shard that is done has no lease any more. The last one keeps its until
 * the marker is there. What has not changed for longer than any TTL is not asked for: it is over, and has left all in doubt.
 *
 * Two groups of one deployment, which differ in how many they are, are a mistake: ERROR_CONFIG as soon as the other one has been
 * seen to go on.
 *
 * What shards have written is told to the lease of all of the job (lease_add_span): for each group there is a span of time from its
 * first shard's beginning to the last change in its folder, and what a renewal may have left out. So `conflict` of later syncs
 * knows whose it is.
 */
#ifndef STORSYNC_GATE_H
#define STORSYNC_GATE_H

#include "error.h"
#include "lease.h"
#include "parts.h"

#include <stdbool.h>
#include <stdint.h>

enum gate_state { GATE_OPEN, GATE_CLOSED, GATE_UNKNOWN };

struct gate;

/* `lease` is ours. `parts`: it is this shard's; NULL: it is that of all of the job. Borrows all. NULL with *error. */
struct gate *gate_open(const struct job *job, const struct parts *parts, struct lease *lease,
                       struct error *error);
void gate_close(struct gate *gate);

/* Renews the lease. UNKNOWN with *error, also when it is lost. Otherwise lease->after_failure says also what is known of the others'
 * last passes. */
enum gate_state gate_look(struct gate *gate, struct error *error);

/* CLOSED: who is at work, and has our lease to be given back before that is waited for? */
const struct lease_record *gate_holder(const struct gate *gate);
bool gate_gives_way(const struct gate *gate);

/* Waits until that one has ended, renewing our lease if it is held. False with *error: it is `until` (mono), at which the `limit` (ms)
 * is over that began before the first wait; the lease is lost, perhaps to a rollback that was waited for, a stop was requested, or the
 * destination does not answer.
 * One that was watched for a TTL stays over for this gate, as long as nothing changes: a destination may tell no times, by which the
 * next look could know. */
bool gate_wait(struct gate *gate, int64_t until, int64_t limit, struct error *error);

/* For who writes the marker of the group: only tells `lease`, that of all of the job, what shards have written. It is the gate's
 * from then on. False with *error. */
bool gate_note(struct gate *gate, struct lease *lease, struct error *error);

#endif
