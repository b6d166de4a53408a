/*
 * undo - takes back what one run has done to the destination, by its journal (journal.h).
 *
 * For each entry of the journal the destination's object is looked at, as it is now:
 *
 *     what was done   what is there now                              what is done
 *     create          what the run has written                       it is removed
 *     overwrite       what the run has written                       the version before is put back
 *     delete          nothing                                        the version before is put back
 *     any             what was there before: it was not carried out  nothing
 *     any             anything else: production has changed it       it is left, and told
 *
 * "What the run has written" is what has the size and, where both are known, the hash of the source's object, and the time of
 * it where the destination keeps those. Elsewhere it has to be written while one of us had the lease.
 *
 * It can die anywhere and be begun anew: what is put back already is found as it was before, or put back once more. The kept
 * versions are removed only after all of it was done and told in run.json.
 */
#ifndef STORSYNC_UNDO_H
#define STORSYNC_UNDO_H

#include "error.h"
#include "journal.h"
#include "lease.h"
#include "report.h"
#include "store.h"

#include <stdbool.h>

struct undo_job {
    struct store *destination;
    const struct settings *settings;
    struct report *report;
    struct lease *lease; /* held */
    const struct job *state;
    /* Set by undo_run: it has put back what production had written itself and what no hash tells from what older runs wrote. */
    bool doubtful;
};

/* Of each object the report is told: synced (put back or removed), skipped (as it was before), kept (changed in production), or
 * failed. False with *error when it could not be carried through. */
bool undo_run(struct undo_job *job, struct journal_run *run, struct error *error);

/* The pure part. */
enum undo_verdict { UNDO_NOTHING, UNDO_RESTORE, UNDO_REMOVE, UNDO_LEAVE };

/* `now`: NULL if there is nothing. `ours`: it was written when one of us had the lease, which is not asked for where the
 * destination `keeps_times`. */
enum undo_verdict undo_decide(const struct journal_entry *entry, const struct object_info *now,
                              bool keeps_times, bool ours);

#endif
