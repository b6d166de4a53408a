/*
 * worker - the whole work of a mode that touches the buckets, from the settings to the status file.
 *
 * It runs in a process of its own, which may hang, crash or be killed without keeping the application from its start
 * (supervisor.h). It tells what the supervisor has to know: the policy as soon as it is known, how far it is, and
 * last of all how it ended.
 */
#ifndef STORSYNC_WORKER_H
#define STORSYNC_WORKER_H

#include "error.h"
#include "options.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct worker {
    const struct options *options;
    int64_t started; /* mono; when the process began */
};

/* Returns the exit code where no application starts. */
int worker_run(const struct worker *worker, const struct wire *wire);

/* What follows, the application or with --serve a process that stays, does so if all is well, or if the failure policy says
 * so; after a signal it does not. */
bool worker_goes_on(const struct options *options, bool start_on_failure, enum error_kind ended);

/* Tells what became of a worker that could not do so itself: what the log, the status file and Kubernetes get to know, and last,
 * if the policy has time for that, others (notify.h).
 * `files`: its settings were read, so the files among them can be read again. */
struct worker_end {
    bool files;
    struct wire_policy policy;
    struct wire_progress progress;
    const struct error *error;
    struct board *board; /* NULL: none */
};
void worker_speak_for(const struct worker *worker, const struct worker_end *end);

#endif
