/*
 * deploy - the main job: detect -> marker -> lease -> sync -> marker; and the same without the marker, by hand.
 *
 * INVARIANT: the marker is written only after a pass that went through with no failure, after the lease was confirmed
 * once more, and never by a dry run. What failed is tried again by the next start.
 */
#ifndef STORSYNC_DEPLOY_H
#define STORSYNC_DEPLOY_H

#include "error.h"
#include "run.h"

/* Both finish the run. *error, which begins as ERROR_NONE, says how it ended: by ERROR_PARTIAL if some objects failed. */

/* Automatic: production only, once per deployment, not within min_interval of the last one. */
void deploy_automatic(struct run *run, struct error *error);

/* --sync: in any environment, without looking at marker or interval, and leaving them as they are. Takes the lease. */
void deploy_manual(struct run *run, struct error *error);

#endif
