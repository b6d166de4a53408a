/*
 * job - which sync this is, and where the destination keeps its state.
 *
 *     .storsync/<job>/deployments/<id>.json   marker: this deployment is synced
 *     .storsync/<job>/last-sync.json          when the last automatic sync completed
 *     .storsync/<job>/lease/<epoch>           lease: who is syncing now
 *     .storsync/<job>/lease/shards/...        parts: the same of each shard, and what it has done
 *     .storsync/<job>/clock                   lease: what time it is at the destination
 *     .storsync/<job>/md5                     what the destination should refuse (transfer.h): gone at once if it does not
 *
 * A production bucket can serve several applications, whose deployments may even have the same id (a commit, "v42"). So
 * marker, interval and lease belong to a job. Its name is the setting `job`, else 16 hexadecimal digits that follow from
 * the source's URL, the set of paths (neither their order nor one that is named twice counts) and the rules of the filter in
 * their order. Other paths or rules, or another source, are another job, which has not synced yet. The account that reads the source is no part of it, because keys
 * are changed now and then.
 *
 * The leases of two jobs know nothing of each other.
 */
#ifndef STORSYNC_JOB_H
#define STORSYNC_JOB_H

#include "hash.h"
#include "settings.h"
#include "store.h"

/* Room for ".storsync/<job>/", and for what a shard has behind it (parts.h). */
#define JOB_SHARD_SIZE 48
#define JOB_PREFIX_SIZE (sizeof OBJECT_STATE_PREFIX + SETTINGS_SEGMENT_MAX + 1 + JOB_SHARD_SIZE)

struct job {
    struct store *store; /* the destination */
    char prefix[JOB_PREFIX_SIZE];
    char config[HASH_SIZE]; /* the whole hash, also of one that has a name */
};

/* Borrows the destination. Asks nobody. */
void job_init(struct job *job, const struct settings *settings, const struct store *source,
              struct store *destination);

#endif
