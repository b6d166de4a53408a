/*
 * runs - which syncs can be rolled back: what --runs prints.
 */
#ifndef STORSYNC_RUNS_H
#define STORSYNC_RUNS_H

#include "buf.h"
#include "error.h"
#include "run.h"

#include <stdbool.h>

/* Opens both buckets, and appends to `out` what the destination's journals say (docs/ROLLBACK.md), newest first. */
bool runs_put(struct run *run, bool json, struct buf *out, struct error *error);

#endif
