/*
 * parts - what the shards of a deployment have done, and who of them is at work.
 *
 * Shards that belong together are a group: those of one deployment that agree on how many they are.
 *
 *     .storsync/<job>/lease/shards/<group>/<shard>/lease/<epoch>   the shard's own lease
 *     .storsync/<job>/lease/shards/<group>/<shard>/done.json       it has synced its share; nothing is copied by it any more
 *     .storsync/<job>/lease/shards/<group>/begun                   when the first of them began, by the destination's clock
 *     .storsync/<job>/lease/shards/<group>/lease/<epoch>           all of it was undone, under that epoch of the lease of all of the job
 *
 * <group> is 16 hexadecimal digits that follow from the deployment's id, and the number of shards: "0123456789abcdef-8". All of
 * it lies in the folder of the lease, so that who takes the lease for all of the job sees from the same listing that there are
 * shards (lease.h, `shards`), and pays for no request if there are none.
 *
 * A part is a small JSON document that says itself whose it is. What cannot be understood, or is another's, or of other paths
 * or rules (job.h), counts as missing, and is written over when that shard is started again.
 *
 * INVARIANT: a part counts only if nothing was undone since its shard began: it names the newest epoch of its group's folder
 * as it was then. So one that arrives late, after a rollback, counts no more, whoever has slept or died.
 *
 * A shard's part is written while its lease is held, and that is removed then (lease.h, `finished`): who looks asks only for those
 * that are at work, or have failed. L4 is not needed: whoever takes the lease anew finds the part. Whoever slept until its epoch was
 * gone finds that out before its next renewal (lease.h, `removable`).
 *
 * A group whose deployment has its marker is removed (parts_remove), with what others have left for PARTS_KEPT.
 */
#ifndef STORSYNC_PARTS_H
#define STORSYNC_PARTS_H

#include "error.h"
#include "job.h"
#include "lease.h"
#include "object.h"
#include "report.h"
#include "shard.h"

#include <stdbool.h>
#include <stdint.h>

#define PARTS_GROUP_SIZE 24
#define PARTS_KEPT (INT64_C(30) * 24 * 3600 * 1000) /* ms */

/* The shards of one deployment of a job. */
struct parts {
    const struct job *job;
    const char *deployment; /* never "" */
    struct shard shard;
    char group[PARTS_GROUP_SIZE];
};

/* Borrows the job and the id. */
void parts_init(struct parts *parts, const struct job *job, const char *deployment,
                const struct shard *shard);

/* Where the lease of a shard is: to be given to lease_init. */
void parts_job(const struct job *job, const char *group, int index, struct job *out);

/* What a key in the folder is. */
enum parts_kind { PARTS_OTHER, PARTS_BEGUN, PARTS_EPOCH, PARTS_DONE, PARTS_UNDONE };
struct parts_key {
    enum parts_kind kind;
    char group[PARTS_GROUP_SIZE]; /* "": OTHER */
    int index;                    /* of EPOCH and DONE */
    uint64_t epoch;               /* of EPOCH and UNDONE */
};
void parts_parse_key(const struct job *job, const char *key, struct parts_key *out);

/* Are they of the same deployment, if not of the same number of shards? */
bool parts_same_deployment(const char *group, const char *other);

/* Shows all there is, of one group or ("") of all, in order of keys; DONE comes before the EPOCHs of its shard, all of a group's shards
 * before BEGUN. False with *error, also when `see` says so. */
bool parts_list(const struct job *job, const char *group,
                bool (*see)(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                            struct error *error),
                void *ctx, struct error *error);

/* The first of the group says when it begins to write. */
bool parts_begin(const struct parts *parts, struct error *error);

/* This shard has synced its share: figures of the report, which says which shard it is, and what was undone when it began. */
bool parts_write(const struct parts *parts, const struct report *report, int64_t now, struct error *error);

/* Which ones have, by what is listed; our own part is read as well. With `lease`, that of all of the job, which is renewed
 * meanwhile, each part is, and *sum has their figures together: listed, synced, skipped, gone, total_size. False with *error. */
struct parts_done {
    bool done[SHARD_COUNT_MAX];
    int count, of;
    bool begun;
    uint64_t undone; /* the epoch under which it was undone last; 0: never */
};
bool parts_look(const struct parts *parts, struct lease *lease, struct parts_done *out, struct report *sum,
                struct error *error);

/* Removes the groups of a deployment that has its marker, and what others have left for PARTS_KEPT. `lease` is that of all of the
 * job, under which what they have written was looked for; it is renewed meanwhile. What fails is left for the next one. */
void parts_remove(const char *deployment, struct lease *lease);

/* Before something is undone that a part says is synced: none of any deployment counts as done any more, even if it arrives
 * later, and no shard has a lease any more: the gate is passed, so whoever has one was taken for dead, or waits at the gate for us. `lease` is that of all of the
 * job; it is renewed meanwhile. False with *error. */
bool parts_forget(struct lease *lease, struct error *error);

#endif
