/*
 * metrics - figures of runs as Prometheus' text format, version 0.0.4:
 * https://prometheus.io/docs/instrumenting/exposition_formats/. docs/METRICS.md says what each one means.
 *
 * Pure: figures in, text out, no memory, no clock. Who writes a file shows the last run (metrics_take makes its figures out of a
 * report); a process that stays also has what it has counted since it began, and the run that is under way.
 */
#ifndef STORSYNC_METRICS_H
#define STORSYNC_METRICS_H

#include "report.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Enough for whatever the figures are, as long as no text has more bytes than its member of a report. */
#define METRICS_MAX ((size_t)32 * 1024)

/* One run, over or not. All zero but the times is one of which nothing is known yet. */
struct metrics_run {
    enum report_mode mode;
    bool dry_run;
    enum report_state state;
    int64_t started, finished; /* wall; CLOCK_UNKNOWN: not yet */
    int exit_code;
    uint64_t copied, skipped, gone, kept, failed;        /* objects at the source; each is one of these, */
    uint64_t extra;                                      /* or has none there, only at the destination */
    uint64_t deleted;                                    /* or had none, and was removed there */
    uint64_t overwritten;                                /* among the copied: changed in production */
    uint64_t bytes;                                      /* of the copied */
    uint64_t checked, missing, different, extra_checked; /* of a validation ... */
    uint64_t unknown;                                    /* changed while they were compared */
};

/* Takes the figures out of a report. */
void metrics_take(struct metrics_run *run, const struct report *report);

enum metrics_result { METRICS_SUCCESS, METRICS_PARTIAL, METRICS_FAILED, METRICS_INTERRUPTED };
#define METRICS_RESULTS 4
#define METRICS_MODES (REPORT_MODES + 1) /* and the dry run */

/* What a process that stays has seen since it began. Begins zeroed, but for the times. */
struct metrics_resident {
    int64_t started; /* wall; of the process */
    bool has_application, application_running;
    const struct metrics_run *running; /* NULL: none */
    uint64_t runs[METRICS_MODES][METRICS_RESULTS];
    struct metrics_run total; /* the sums of all runs but dry ones; only its figures count */
};

/* A run that is over. */
void metrics_count(struct metrics_resident *resident, const struct metrics_run *run);

struct metrics {
    const char *sync; /* a label of every series, to tell several apart in one folder; "" or NULL: none */
    const char *environment, *deployment_id, *source, *destination; /* as in a report; NULL: not known */
    const struct metrics_run *last_sync, *last_validation; /* the last ones that are over; NULL: none */
    int64_t last_success; /* wall; when a run ended that had synced everything, or CLOCK_UNKNOWN */
    int64_t next_sync, next_validation; /* wall; by the schedule, or CLOCK_UNKNOWN */
    bool beside; /* it stands beside a text of the syncs in one folder, and leaves out what that one has */
    const struct metrics_resident *resident; /* NULL: the process ends with its run */
};

/* Writes the text with a NUL behind it, and returns its length; 0 if there is no room. */
size_t metrics_render(const struct metrics *metrics, char *out, size_t room);

#endif
