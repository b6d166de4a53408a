/*
 * run - what every mode that touches the buckets has in common: both stores and the loop they share, the deadline,
 * the report and its status file.
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

#include <stdbool.h>
#include <stdint.h>

struct run {
    const struct options *options;
    const struct settings *settings;
    struct report report;
    struct http *http; /* NULL while no side needs the network */
    struct store *source;
    struct store *destination;
    struct job job;      /* of a sync, once both stores are open */
    bool status_refused; /* the status file could not be written: said once */
    int64_t status_due;  /* mono; when the next tick writes it */
};

/* `run` borrows all it is given. Sets the deadline. */
void run_begin(struct run *run, const struct options *options, const struct settings *settings,
               const struct detection *detection);
void run_end(struct run *run); /* closes every connection and descriptor */

/* Opens both stores. Asks no service anything. */
bool run_open_stores(struct run *run, struct error *error);

/* Writes the status file now; not in a dry run, nor when validating. */
void run_save_status(struct run *run);

/* The same at most every two seconds; `ctx` is the run. */
void run_tick(void *ctx);

/* Ends the report with `state`, saves it and logs the summary. True unless `error` is one. */
bool run_finish(struct run *run, enum report_state state, const struct error *error);

#endif
