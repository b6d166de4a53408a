/*
 * report_log - the listener that writes the log: the lines of docs/LOG.md.
 *
 * Their wording and layout are an interface: people and scripts know them from the system that this program replaces.
 */
#ifndef STORSYNC_REPORT_LOG_H
#define STORSYNC_REPORT_LOG_H

#include "report.h"

#include <stdbool.h>
#include <stdint.h>

#define REPORT_LOG_SKIPPED 100 /* "Skipped" lines a path at level info; all of them at debug */

#define REPORT_LOG_FAILED 10 /* "Failed" lines of a path for one reason at level info; all of them at debug */
#define REPORT_LOG_REASONS 8 /* that are told apart in a path; further ones are told one by one */
#define REPORT_LOG_SILENCE 30000 /* ms; after so long without one, a line says how far the run is */

/* Failures for one reason. */
struct report_log_reason {
    enum error_kind kind;
    int status;
    char code[48];
    uint64_t count;               /* in this path; 0: the place is free */
    char key[OBJECT_KEY_MAX + 1]; /* of the first one without a line */
    size_t shared;                /* so many bytes of it all of those begin with */
};

struct report_log {
    struct report_listener listener;
    bool environment_shown;
    bool header_shown;        /* without it, the end is one line with the message */
    uint64_t skipped_in_path; /* with a line or not */
    int64_t progress_shown;   /* mono; 0: not yet */
    int64_t told;             /* mono; when something was last said of how far it is, or the run began */
    uint64_t told_moved;      /* ... and how many bytes had moved by then */
    struct report_log_rate {
        int64_t since; /* mono */
        uint64_t moved, per_second;
    } rate; /* of the progress line */
    struct report_log_reason reasons[REPORT_LOG_REASONS];
};

/* `log` has to live as long as the report. */
void report_log_listen(struct report_log *log, struct report *report);

#endif
