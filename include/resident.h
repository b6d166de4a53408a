/*
 * resident - the supervisor that stays (--serve).
 *
 * It has the first worker do what a start does, deploy. Then it does not become the application: the application is its child,
 * or there is none (a sidecar, a central service). From then on SIGUSR1 has another worker sync, whatever marker and
 * interval say, in production and in development. There is one worker at a time: who asks for a second one is refused.
 *
 * The settings `schedule` and `validate_schedule` have workers as well, which tell it of them (schedule.h has what happens
 * when one is due while another runs, and when the clock is set). It is woken when the next one is due, and when the clock
 * is set.
 *
 * It is a good parent, PID 1 or not:
 * - Every signal that can be caught is passed on to the application, but for SIGUSR1. (SIGHUP means "read your configuration
 *   again", so only the one of a terminal that is gone stops a worker as well.)
 * - Every process that ends is reaped, orphans too.
 * - It ends when the application ends, with its exit code, or with 128+N if signal N ended it.
 *
 * SIGTERM, SIGINT and SIGQUIT (none that was ignored at the start) stop it. While the first worker is at work: as without
 * --serve (supervisor.h). Then no sync begins any more, and one that runs is told to end and has 1.5 s; a second signal kills
 * it. The application has all the time that it takes. Without an application the end is exit code 0, or of a second signal
 * 128+N at once.
 *
 * Over HTTP it tells how it is doing, and takes orders (src/serve/admin.h).
 *
 * While nothing happens it sleeps. It opens no file, and needs no answer from anybody; only who asks over HTTP costs memory.
 */
#ifndef STORSYNC_RESIDENT_H
#define STORSYNC_RESIDENT_H

#include "handoff.h"
#include "options.h"
#include "supervisor.h"

#include <stdbool.h>

/* What a worker can be asked for once the first one is over. */
enum resident_order {
    RESIDENT_SYNC = WIRE_SYNC, /* which the schedule asks for, too, */
    RESIDENT_VALIDATE = WIRE_VALIDATE,
    RESIDENT_ROLLBACK,
};
#define RESIDENT_ORDERS 3

struct resident_task {
    const struct handoff *handoff;
    const struct options *options;
    const struct supervisor_task *first; /* the worker at the start */
    struct supervisor_task
        *later[RESIDENT_ORDERS];            /* each that is asked for, or due; `started` is set here */
    struct options *asked[RESIDENT_ORDERS]; /* what these are to do; more of it is set here, for one run */
    struct board *board;                    /* that all of them write on; NULL: none */
    /* Becomes the application, in a process that may be this one. Returns only if that failed, with the exit code. */
    int (*become)(void *ctx);
    void *ctx;
};

/* Returns the exit code in *code. `result` is the workers', one after the other; at the start of the application that of the
 * first. False: nothing was done, as signals cannot be collected here, or no process be made. */
bool resident_run(const struct resident_task *task, struct supervisor_result *result, int *code);

#endif
