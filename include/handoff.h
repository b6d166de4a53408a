/*
 * handoff - being PID 1, and then becoming the application.
 *
 * The kernel ignores signals that PID 1 does not handle, so they are caught from the first statement of main on:
 * SIGTERM, SIGINT, SIGHUP and SIGQUIT ask the run to stop (stop.h); a second one ends the process at once.
 * SIGPIPE is ignored. A signal that was ignored when we were started (nohup) stays ignored.
 *
 * The application gets argument vector and environment byte for byte (but for what drop_env takes away), the signal
 * mask and dispositions as they were found, and no descriptor that we opened.
 *
 * Until then the process leaves no core dump, and nobody but root can look into its memory: it has the secrets of two
 * buckets. The kernel ends that when the application is executed.
 */
#ifndef STORSYNC_HANDOFF_H
#define STORSYNC_HANDOFF_H

#include "error.h"

#include <signal.h>
#include <stdbool.h>

#define HANDOFF_SIGNALS 5

struct handoff {
    struct sigaction found[HANDOFF_SIGNALS];
};

void handoff_begin(struct handoff *handoff);

/* Takes variables out of the environment: names separated by commas or white space, where one that ends in '*' means
 * all that begin so. Returns how many there were. */
int handoff_drop_env(const char *names);

/* Becomes `command` (looked up in PATH as execvp(3) does). Returns only if that failed, with the exit code:
 * 127 not found, 126 found but not runnable, 128+N when signal N arrived before. */
int handoff_exec(const struct handoff *handoff, char **command, struct error *error);

#endif
