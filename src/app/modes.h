/*
 * modes - what the modes that touch the buckets do: deploy (detect -> marker -> lease -> sync -> marker), --sync, the
 * same by hand and without the marker, and --validate.
 *
 * Each finishes the run. *error, which begins as ERROR_NONE, says how it ended: by ERROR_PARTIAL if some objects
 * failed.
 *
 * INVARIANT: the marker is written only after a pass that went through with no failure, after the lease was confirmed
 * once more, and never by a dry run. What failed is tried again by the next start.
 */
#ifndef STORSYNC_MODES_H
#define STORSYNC_MODES_H

#include "error.h"
#include "run.h"

/* Production only, once per deployment, not within min_interval of the last one. */
void mode_deploy(struct run *run, struct error *error);

/* In any environment, without looking at marker or interval, and leaving them as they are. Takes the lease. */
void mode_sync(struct run *run, struct error *error);

/* Takes back what the last sync has done, or all of them back to the one that is asked for, newest first (undo.h). Takes the
 * lease. The markers of their deployments are written (again), so that none of them syncs once more when it starts. */
void mode_rollback(struct run *run, struct error *error);

/* Both listings, side by side. That they differ is in the report, and no error. */
void mode_validate(struct run *run, struct error *error);

#endif
