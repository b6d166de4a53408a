#include "resident.h"

#include "application.h"
#include "clock.h"
#include "log.h"
#include "schedule.h"
#include "stop.h"
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct resident {
    const struct resident_task *task;
    struct supervisor_result *result;
    struct supervisor_watch watch; /* of the worker, while there is one */
    struct application application;
    struct schedule schedules[WIRE_TASKS];
    int signals; /* descriptor */
    int timer;   /* likewise, for what is due next; -1 until there is such a thing */
    int stops;   /* so many signals have asked to stop */
    bool starting, working;
    bool over; /* nothing more begins */
    int code;
};

static void end_with(struct resident *resident, int code)
{
    resident->over = true;
    resident->code = code;
}

/* ---- the worker ---- */

static void start_worker_for(struct resident *resident, enum wire_task what)
{
    struct supervisor_task *task = resident->task->later[what];

    task->started = clock_mono();
    resident->working = supervisor_start(&resident->watch, task, resident->result);
    if (!resident->working)
        log_error(
            "no sync: no process could be made for it; is the limit of processes reached (pids, RLIMIT_NPROC)?");
}

static void ask_for_sync(struct resident *resident, const char *who)
{
    if (stop_signalled()) {
        log_warn("%s: no sync is started any more, as this process was told to end", who);
    } else if (resident->working) {
        log_warn("%s: another run is under way; no second one is started, ask again when it has ended", who);
    } else {
        log_info("%s: starting a sync", who);
        start_worker_for(resident, WIRE_SYNC);
    }
}

/* ---- the schedule ---- */

static const char *const task_names[WIRE_TASKS] = {"sync", "validation"};

/* The earlier one; a timer that the clock's being set ends as well. */
static void set_timer(struct resident *resident)
{
    int64_t due = INT64_MAX, left;
    struct itimerspec at = {.it_value = {.tv_sec = 0}};

    for (int i = 0; i < WIRE_TASKS; i++)
        if (schedule_due(&resident->schedules[i]) < due)
            due = schedule_due(&resident->schedules[i]);
    if (due != INT64_MAX && resident->timer < 0) {
        resident->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
        if (resident->timer < 0)
            log_warn(
                "no schedule: a timer (timerfd_create) is not allowed here, or the limit of descriptors is reached");
    }
    if (resident->timer < 0)
        return;
    if (due != INT64_MAX) {
        left = due - clock_wall();
        clock_gettime(CLOCK_REALTIME, &at.it_value);
        at.it_value.tv_sec += (time_t)(left / 1000) + 1; /* never early */
    }
    timerfd_settime(resident->timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL);
}

static void tell_next(const struct resident *resident)
{
    char next[CLOCK_RFC3339_SIZE];

    for (int i = 0; i < WIRE_TASKS; i++)
        if (resident->schedules[i].set) {
            clock_format_rfc3339(schedule_due(&resident->schedules[i]), next);
            log_info("next %s: %s", task_names[i], next);
        }
}

/* What the worker that has ended said of it. */
static void take_schedules(struct resident *resident)
{
    for (int i = 0; i < WIRE_TASKS; i++)
        if (resident->result->schedules_known[i])
            schedule_set(&resident->schedules[i], &resident->result->schedules[i], clock_wall());
    set_timer(resident);
    if (!resident->over)
        tell_next(resident);
}

/* It has come, or the clock was set. */
static void look_at_timer(struct resident *resident)
{
    uint64_t times;

    if (resident->timer < 0 || (read(resident->timer, &times, sizeof times) < 0 && errno == EAGAIN))
        return;
    for (int i = 0; i < WIRE_TASKS; i++)
        schedule_look(&resident->schedules[i], clock_wall());
    set_timer(resident);
}

static void begin_what_is_due(struct resident *resident)
{
    for (int i = 0; i < WIRE_TASKS && !resident->working; i++)
        if (resident->schedules[i].waiting && !stop_signalled()) {
            resident->schedules[i].waiting = false;
            log_info("schedule: starting a %s", task_names[i]);
            start_worker_for(resident, (enum wire_task)i);
        }
}

static void start_application(struct resident *resident)
{
    const struct resident_task *task = resident->task;

    if (application_start(&resident->application, task->become, task->ctx)) {
        log_info("the application runs as process %d; SIGUSR1 starts a sync", (int)resident->application.pid);
        return;
    }
    log_warn(
        "--serve: no process could be made for the application, so it takes the place of this one, and nothing starts a sync");
    prctl(PR_SET_CHILD_SUBREAPER, 0L, 0L, 0L, 0L);
    end_with(resident, task->become(task->ctx));
}

/* What follows the first worker: what would follow without --serve, except that this process stays. */
static void go_on(struct resident *resident)
{
    const struct supervisor_result *result = resident->result;
    struct error why;

    if (stop_requested(&why))
        end_with(resident, error_exit_code(&why));
    else if (!worker_goes_on(resident->task->options, result->policy.start, result->error.kind))
        end_with(resident, result->code);
    else if (resident->task->options->command != NULL)
        start_application(resident);
    else
        log_info("staying until told to end; SIGUSR1 starts a sync");
}

static void end_worker(struct resident *resident)
{
    resident->working = false;
    if (resident->starting)
        go_on(resident);
    else if (resident->result->error.kind != ERROR_NONE && resident->application.pid != 0)
        log_warn("the application goes on; the next sync copies what is missing");
    resident->starting = false;
    take_schedules(resident);
}

/* ---- signals ---- */

static void stop(struct resident *resident, int number)
{
    bool at_once = ++resident->stops > 1;

    stop_signal(number); /* the worker is told at its next step */
    if (at_once && resident->working)
        kill(resident->watch.process, SIGKILL);
    if (resident->application.pid == 0 && !resident->starting && !resident->over)
        end_with(resident, 0);
    if (resident->application.pid == 0 && at_once)
        _exit(resident->over && resident->task->options->command != NULL ? resident->code : 128 + number);
}

static void take_signals(struct resident *resident)
{
    struct handoff_signal signal;

    while (handoff_take_signal(resident->task->handoff, resident->signals, &signal)) {
        if (signal.number == SIGUSR1) {
            ask_for_sync(resident, "SIGUSR1");
            continue;
        }
        if (signal.asks_to_stop)
            stop(resident, signal.number);
        if (signal.forwardable)
            application_signal(&resident->application, signal.number);
    }
}

/* ---- processes ---- */

static void end_application(struct resident *resident)
{
    end_with(resident, resident->application.code);
    stop_signal(SIGTERM); /* a worker has nobody left to work for */
}

/* Every child that has ended, orphans that were given to us among them. */
static void reap(struct resident *resident)
{
    struct application *application = &resident->application;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED)) > 0) {
        if (pid == application->pid) {
            application_changed(application, status);
            if (application->pid == 0)
                end_application(resident);
        } else if (resident->working && pid == resident->watch.process && !WIFSTOPPED(status)) {
            resident->watch.reaped = true;
            resident->watch.status = status;
        }
    }
}

/* ---- the loop ---- */

/* Returns how long to wait, in ms; below 0: for as long as nothing happens. */
static int turn(struct resident *resident)
{
    int ms;

    take_signals(resident);
    reap(resident);
    look_at_timer(resident);
    begin_what_is_due(resident);
    if (!resident->working)
        return -1;
    ms = supervisor_step(&resident->watch);
    if (ms < 0) {
        end_worker(resident);
        return 0;
    }
    return ms;
}

static bool is_over(const struct resident *resident)
{
    return resident->over && !resident->working;
}

bool resident_run(const struct resident_task *task, struct supervisor_result *result, int *code)
{
    struct resident resident = {.task = task, .result = result, .starting = true, .timer = -1};

    resident.signals = handoff_collect();
    if (resident.signals < 0)
        return false;
    resident.working = supervisor_start(&resident.watch, task->first, result);
    if (!resident.working)
        return false;
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    while (!is_over(&resident)) {
        int ms = turn(&resident);
        struct pollfd fds[] = {
            {.fd = resident.signals, .events = POLLIN},
            {.fd = resident.working ? resident.watch.fd : -1, .events = POLLIN},
            {.fd = resident.timer, .events = POLLIN},
        };

        if (!is_over(&resident))
            handoff_poll(fds, 3, ms);
    }
    *code = resident.code;
    return true;
}
