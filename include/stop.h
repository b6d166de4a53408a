/*
 * stop - the reasons to end the run before its work is done: a signal, or the deadline.
 *
 * Process-wide, because signals are. Whoever waits asks stop_requested() at each turn and polls stop_fd() beside
 * its own descriptors; it becomes readable when a signal arrives. stop_signal() is what the signal handler calls
 * and is async-signal-safe.
 */
#ifndef STORSYNC_STOP_H
#define STORSYNC_STOP_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

bool stop_init(struct error *error); /* makes the descriptor; close-on-exec */
void stop_close(void);               /* closes it; later signals are only remembered */

void stop_signal(int signal);
bool stop_signalled(void); /* has one arrived? Async-signal-safe, too */
int stop_fd(void);         /* -1 before stop_init */

void stop_at(int64_t mono); /* the deadline of the whole run; 0: none */

/* Milliseconds that may be waited before the deadline, at most `limit`; never negative. */
int stop_wait(int limit);

/* True when the run should end, with the reason in `error` (ERROR_INTERRUPTED or ERROR_TIMEOUT). */
bool stop_requested(struct error *error);

/* The same in short, for how long cleaning up may take: a supervisor waits for it (supervisor.h), and after the
 * deadline so does the application. */
enum stop_reason { STOP_NONE, STOP_SIGNAL, STOP_DEADLINE };
#define STOP_REASONS 3
enum stop_reason stop_reason(void);

/* Between tests. */
void stop_reset(void);

#endif
