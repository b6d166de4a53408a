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

struct report_log {
    struct report_listener listener;
    bool environment_shown;
    bool header_shown;        /* without it, the end is one line with the message */
    uint64_t skipped_in_path; /* with a line or not */
    int64_t progress_shown;   /* mono; 0: not yet */
};

/* `log` has to live as long as the report. */
void report_log_listen(struct report_log *log, struct report *report);

#endif
