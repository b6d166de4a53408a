/*
 * run - what every mode that touches the buckets has in common: both stores and the loop they share, the deadline,
 * the report and who listens to it outside.
 */
#ifndef STORSYNC_RUN_H
#define STORSYNC_RUN_H

#include "board.h"
#include "detect.h"
#include "error.h"
#include "job.h"
#include "options.h"
#include "plan_file.h"
#include "report.h"
#include "run_metrics.h"
#include "run_status.h"
#include "settings.h"
#include "store.h"
#include "timetable.h"
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
    struct job job; /* of a sync, once both stores are open */
    struct run_supervisor supervisor;
    struct run_status status;
    struct run_metrics metrics;
    struct plan_file plan; /* of a dry run */
    struct board_writer board;
    struct timetable timetable; /* with --serve, else empty */
};

/* How long the whole run may take from the start of the process, in ms; 0: as long as it needs. */
int64_t run_limit(const struct options *options, const struct settings *settings);

/* `run` borrows all it is given. `started` (mono) is when the process began. Sets the deadline. From now on the
 * supervisor (`wire`, NULL: nobody) and the status file are told; the log is the caller's to add. */
void run_begin(struct run *run, const struct options *options, const struct settings *settings,
               const struct detection *detection, int64_t started, const struct wire *wire);
void run_end(struct run *run); /* closes every connection and descriptor */

/* Warns of what is odd in the settings, then opens the loop, which tells the report of the time that passes, and both
 * stores. Asks no service anything. */
bool run_open(struct run *run, struct error *error);

/* The work is done: closes every connection and descriptor, and tells the status file what could not be told before. */
void run_close(struct run *run);

/* Tells others how it ended, by `until` (mono). */
void run_notify(struct run *run, int64_t until);

/* One store of it, which says in its errors whose it is, and is the caller's. */
struct store *run_open_side(const struct run *run, const struct side *side, struct error *error);

/* The run is over: how is told to all that listen. `error` is of kind ERROR_NONE if nothing failed. */
void run_finish(struct run *run, enum report_state state, const struct error *error);

/* For a run that somebody else has begun and not ended: what the log is told ... */
void run_tell_for(const struct options *options, const struct error *error);

/* ... and what is written down. Apart, because the place where it goes may be what hangs. */
void run_save_for(struct run *run, const struct wire_progress *progress, const struct error *error);

#endif
