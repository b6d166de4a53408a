/*
 * parts - what the shards of a deployment have done, and who of them is at work.
 *
 * Shards that belong together are a group: those of one deployment that agree on how many they are.
 *
 *     .storsync/<job>/lease/shards/<group>/<shard>/lease/<epoch>   the shard's own lease
 *     .storsync/<job>/lease/shards/<group>/<shard>/done.json       it has synced its share; nothing is copied by it any more
 *     .storsync/<job>/lease/shards/<group>/begun                   when the first of them began, by the destination's clock
 *
 * <group> is 16 hexadecimal digits that follow from the deployment's id, and the number of shards: "0123456789abcdef-8". All of
 * it lies in the folder of the lease, so that who takes the lease for all of the job sees from the same listing that there are
 * shards (lease.h, `shards`), and pays for no request if there are none.
 *
 * A part is a small JSON document that says itself whose it is. What cannot be understood, or is another's, or of other paths
 * or rules (job.h), counts as missing.
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
enum parts_kind { PARTS_OTHER, PARTS_BEGUN, PARTS_EPOCH, PARTS_DONE };
struct parts_key {
    enum parts_kind kind;
    char group[PARTS_GROUP_SIZE]; /* "": OTHER */
    int index;                    /* of EPOCH and DONE */
    uint64_t epoch;
};
void parts_parse_key(const struct job *job, const char *key, struct parts_key *out);

/* Are they of the same deployment, if not of the same number of shards? */
bool parts_same_deployment(const char *group, const char *other);

/* Shows all there is, in order of keys; DONE comes before the EPOCHs of its shard, and all of a group's shards before BEGUN.
 * False with *error, also when `see` says so. */
bool parts_list(const struct job *job,
                bool (*see)(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                            struct error *error),
                void *ctx, struct error *error);

/* The first of the group says when it begins to write. */
bool parts_begin(const struct parts *parts, struct error *error);

/* This shard has synced its share: figures of the report, which says which shard it is. */
bool parts_write(const struct parts *parts, const struct report *report, int64_t now, struct error *error);

/* Which ones have. If none is missing each document is read, and *sum has their figures together: listed, synced, skipped, gone,
 * total_size. With `own` ours is done, has these figures, and needs no document. False with *error. */
struct parts_done {
    bool done[SHARD_COUNT_MAX];
    int count;
};
bool parts_look(const struct parts *parts, const struct report *own, struct parts_done *out,
                struct report *sum, struct error *error);

/* Removes the group, and what others have left for PARTS_KEPT before it `began` (CLOCK_UNKNOWN: nothing of theirs). `lease` is
 * that of all of the job; it is renewed meanwhile. What fails is left for the next one. */
void parts_remove(const struct parts *parts, struct lease *lease, int64_t began);

/* Before something is undone that a part says is synced: none of any deployment counts as done any more. `lease` is that of all of
 * the job; it is renewed meanwhile. False with *error. */
bool parts_forget(struct lease *lease, struct error *error);

#endif
