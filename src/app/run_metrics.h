/*
 * run_metrics - the listener that writes the figures of a run into the file that the setting metrics_file names, when the run is
 * over, well or badly. A dry run leaves it as it is.
 *
 * A validation's figures go into a file of its own beside it, with ".validate" before the extension, so that each shows the last
 * run of its kind. One that cannot be written is a warning.
 */
#ifndef STORSYNC_RUN_METRICS_H
#define STORSYNC_RUN_METRICS_H

#include "report.h"
#include "settings.h"

struct run_metrics {
    struct report_listener listener;
    const struct settings *settings;
};

/* Both have to live as long as the report. Without a metrics_file nothing happens. */
void run_metrics_listen(struct run_metrics *metrics, struct report *report, const struct settings *settings);

#endif
