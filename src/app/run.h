/*
 * run - what every mode that touches the buckets has in common: both stores and the loop they share, the deadline,
 * the report and its status file.
 *
 * A status file that cannot be written is warned about once, and written all the same when it can be: each save tries
 * again, and run_end does for the last one, when the descriptors of the connections are free.
 */
#ifndef STORSYNC_RUN_H
#define STORSYNC_RUN_H

#include "detect.h"
#include "error.h"
#include "job.h"
#include "options.h"
#include "report.h"
#include "settings.h"
#include "store.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct run {
    const struct options *options;
    const struct settings *settings;
    struct report report;
    struct loop *loop;
    struct store *source;
    struct store *destination;
    struct job job;          /* of a sync, once both stores are open */
    const struct wire *wire; /* who hears how far it is */
    bool status_stale;       /* the status file could not be written the last time */
    bool status_told;        /* ... which was said, once */
    int64_t status_due;      /* mono; when the next tick writes it */
};

/* How long the whole run may take from the start of the process, in ms; 0: as long as it needs. */
int64_t run_limit(const struct options *options, const struct settings *settings);

/* `run` borrows all it is given. `started` (mono) is when the process began. Sets the deadline. */
void run_begin(struct run *run, const struct options *options, const struct settings *settings,
               const struct detection *detection, int64_t started, const struct wire *wire);
void run_end(struct run *run); /* closes every connection and descriptor */

/* Opens both stores, with a loop that saves the status every two seconds. Asks no service anything. */
bool run_open_stores(struct run *run, struct error *error);

/* Writes the status file now; not in a dry run, nor when validating. */
void run_save_status(struct run *run);

/* Ends the report with `state`, saves it and logs the summary. True unless `error` is one. */
bool run_finish(struct run *run, enum report_state state, const struct error *error);

/* For a run that somebody else has begun and not ended: what the log is told ... */
void run_tell_for(enum mode mode, const struct error *error);

/* ... and what is written down. Apart, because the place where it goes may be what hangs. */
void run_save_for(struct run *run, const struct wire_progress *progress, const struct error *error);

#endif
