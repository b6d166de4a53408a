/*
 * run_status - the two listeners that tell others how far the run is: the supervisor, and whoever reads the status
 * file.
 *
 * Both are told when the run starts, begins to copy, waits and ends, and every two seconds in between.
 *
 * The status file is not touched by a dry run or a validation. One that cannot be written is warned about once, and
 * written all the same when it can be: each event tries again, and run_status_end does for the last one, when the
 * descriptors of the connections are free. With the end of the run, unless it was a dry one or `asked` for while the process
 * stays, Kubernetes' reason is written too.
 */
#ifndef STORSYNC_RUN_STATUS_H
#define STORSYNC_RUN_STATUS_H

#include "report.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct run_supervisor {
    struct report_listener listener;
    const struct wire *wire;
    int64_t due; /* mono; when the next tick tells it */
};

struct run_status {
    struct report_listener listener;
    const char *path;
    bool stale; /* the file could not be written the last time */
    bool told;  /* ... which was said, once */
    int64_t due;
};

/* Both have to live as long as the report. `wire` may be NULL. */
void run_supervisor_listen(struct run_supervisor *supervisor, struct report *report, const struct wire *wire);

/* `path` is the setting status_file, borrowed. What is there tells the report of the last sync. */
void run_status_listen(struct run_status *status, struct report *report, const char *path);
void run_status_end(struct run_status *status, const struct report *report);

#endif
