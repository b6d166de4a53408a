/*
 * supervisor - the process that becomes the application: it has the work done by another one, and waits.
 *
 * It forks a worker and does nothing itself that can block, crash or need memory: it reads the worker's messages (wire.h),
 * passes on the first signal that asks to stop, and keeps the time. A worker that overstays is killed. Whatever
 * became of it (it ended, crashed, was killed or stopped, hangs in the kernel), supervisor_run returns:
 *
 *     limit of the policy + 1 s        nothing ended in time; without a limit there is no such bound
 *     2 s                              after a signal
 *     SUPERVISOR_UNKNOWN + 1 s         no policy was told: the settings cannot be read
 *
 * What a worker that did not say its last word has left untold (log, status file) is told by a second process, which
 * has a fraction of a second. Children are reaped; only one that even SIGKILL does not end, because it hangs in
 * the kernel, is left behind.
 *
 * Where no process can be forked, the work is done in this one, with its own limits only.
 */
#ifndef STORSYNC_SUPERVISOR_H
#define STORSYNC_SUPERVISOR_H

#include "error.h"
#include "handoff.h"
#include "wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SUPERVISOR_UNKNOWN 10000   /* ms: most time until the policy has to be known */
#define SUPERVISOR_NAMES_SIZE 8193 /* drop_env is a text setting: at most 8,192 bytes */

struct supervisor_result;

struct supervisor_task {
    const struct handoff *handoff;
    int64_t started;           /* mono; limits count from here */
    int64_t unknown;           /* ms, at most SUPERVISOR_UNKNOWN: how long the policy may stay untold */
    struct wire_policy policy; /* what counts until then */

    /* In the worker, once: all the work. Tells its policy, and WIRE_END last; returns the exit code. */
    int (*work)(void *ctx, const struct wire *wire);
    /* In a process of its own: tells what became of the worker. */
    void (*tell)(void *ctx, const struct supervisor_result *result);
    void *ctx;
    struct board *board; /* for both; NULL: none */
};

struct supervisor_result {
    struct error error; /* how it ended; of an end that the worker has told, only kind and signal */
    int code;           /* the exit code where no application starts */
    bool policy_known, names_known, ended;
    struct wire_policy policy;
    struct wire_progress progress;
    char names[SUPERVISOR_NAMES_SIZE];
    struct wire_schedule schedules[WIRE_TASKS];
    bool schedules_known[WIRE_TASKS];
    struct wire_admin admin;
    bool admin_known;
};

void supervisor_run(const struct supervisor_task *task, struct supervisor_result *result);

/* The same in steps, for who has more to wait for. A worker, and after it, if need be, the process that tells of it. All but
 * `process` and `fd` is the supervisor's own. */
struct supervisor_watch {
    const struct supervisor_task *task;
    struct supervisor_result *result;
    struct wire_reader reader;
    pid_t process;
    int fd;           /* the worker's messages; -1 when there are none any more */
    int64_t limit_at; /* mono: when it is killed, by the policy ... */
    int64_t
        soon_at; /* ... because it was told to stop, or has said its last word; then, when it is given up */
    bool has_messages, telling;
    bool forwarded; /* the signal that asks to stop */
    bool cancelled; /* supervisor_cancel */
    bool gone;      /* as far as is known */
    bool killed;    /* by us */
    bool reaped;    /* by whoever: with its end in `status` */
    int status;     /* of waitpid, once reaped */
};

/* False: there is no process to be had. `task` and `result` are borrowed until the last step. */
bool supervisor_start(struct supervisor_watch *watch, const struct supervisor_task *task,
                      struct supervisor_result *result);

/* Does what can be done, and says how long to wait for `fd` (-1: none), a signal or a child's end before the next step, in
 * ms. Below 0: it is over, and `result` complete. */
int supervisor_step(struct supervisor_watch *watch);

/* Has the worker end, as SIGTERM does: it has as long to clean up, and is killed then. */
void supervisor_cancel(struct supervisor_watch *watch);

/* Does something that may block in a process of its own, for a fraction of a second. False: there is none to be had,
 * or it crashed. */
bool supervisor_aside(const struct handoff *handoff, void (*what)(void *ctx), void *ctx);

#endif
