/*
 * dir_batch - objects that have all their bytes, until they are durable: which of them are flushed together, and when.
 *
 * To flush one file takes about as long as to flush sixty of them, and waits for the device. So what comes while that goes on
 * waits for the next flush; and as long as others are still being written, a flush waits for them as long as the last one
 * took: what that costs is never more than it takes anyway.
 *
 * Named is what was flushed in a later turn of the run's loop, at the next step of the one who had it flushed: at the
 * beginning of each turn the run looks whether it may go on, and a flush can take long (INVARIANT: the lease was looked
 * at after the flush and before the first rename).
 *
 * A flush that takes long ends in the middle: the rest waits for the next one, or a run on a slow volume would lose its lease in
 * each, and never name anything.
 *
 * Memory: none of its own; there are as many as the run has transfers. Two descriptors each, so no more than `most` wait for
 * others.
 */
#ifndef STORSYNC_DIR_BATCH_H
#define STORSYNC_DIR_BATCH_H

#include "dir_object.h"

#include <stdbool.h>
#include <stdint.h>

struct dir_batch {
    struct dir_commit *written, *flushed; /* lists, in the order in which they came */
    struct dir_commit *leader;            /* of `flushed`: at whose next step they are named */
    int writing;                          /* objects that are being written */
    int count, most;                      /* of both lists */
    int64_t took;                         /* ms, the last flush */
};

void dir_batch_init(struct dir_batch *batch);

/* All bytes of it are there. It is borrowed until it is named, or left. */
void dir_batch_add(struct dir_batch *batch, struct dir_commit *commit);

/* Moves on; true if anything moved. If not, *wake (mono) is when it is to be called again; 0: when others have moved. */
bool dir_batch_step(struct dir_batch *batch, struct dir_tree *tree, struct dir_commit *commit, int64_t *wake);

/* It is not wanted any more. One that is not there is fine. */
void dir_batch_leave(struct dir_batch *batch, struct dir_commit *commit);

#endif
