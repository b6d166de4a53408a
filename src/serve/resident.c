#include "resident.h"

#include "admin.h"
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
#include <sys/mman.h>
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
    struct admin_host admin_host;
    struct admin admin;
    int signals; /* descriptor */
    int timer;   /* likewise, for what is due next; -1 until there is such a thing */
    int stops;   /* so many signals have asked to stop */
    bool starting, working;
    bool over; /* nothing more begins */
    int code;
};

static struct ledger *ledger; /* large: only who stays has one */

static const char *const task_names[RESIDENT_ORDERS] = {"sync", "validation", "rollback"};

static void end_with(struct resident *resident, int code)
{
    resident->over = true;
    resident->code = code;
}

/* ---- the worker ---- */

/* What the worker is to do besides, as if it had been given on the command line. */
static void give_order(struct options *options, const struct admin_order *order)
{
    if (order->dry_run && options->flag_count < OPTIONS_FLAGS_MAX)
        options->flags[options->flag_count++] = (struct settings_flag){.name = "dry-run"};
    options->run = order->run;
    options->parts = (char **)order->paths;
    options->part_count = order->path_count;
}

static bool start_worker_for(struct resident *resident, enum resident_order what, enum ledger_by by,
                             const struct admin_order *order)
{
    static const enum report_mode modes[RESIDENT_ORDERS] = {REPORT_SYNC, REPORT_VALIDATE, REPORT_ROLLBACK};
    struct supervisor_task *task = resident->task->later[what];
    struct options *options = resident->task->asked[what], as_ever = *options;

    if (order != NULL)
        give_order(options, order);
    task->started = clock_mono();
    ledger_begin(ledger, modes[what], order != NULL && order->dry_run, by);
    resident->working = supervisor_start(&resident->watch, task, resident->result);
    *options = as_ever; /* the worker has its own */
    if (!resident->working) {
        ledger_end(ledger, resident->result);
        log_error(
            "no sync: no process could be made for it; is the limit of processes reached (pids, RLIMIT_NPROC)?");
    }
    return resident->working;
}

static void ask_for_sync(struct resident *resident, const char *who)
{
    if (stop_signalled()) {
        log_warn("%s: no sync is started any more, as this process was told to end", who);
    } else if (resident->working) {
        log_warn("%s: another run is under way; no second one is started, ask again when it has ended", who);
    } else {
        log_info("%s: starting a sync", who);
        start_worker_for(resident, RESIDENT_SYNC, LEDGER_SIGNAL, NULL);
    }
}

/* ---- the schedule ---- */

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
        if (resident->timer >= 0)
            handoff_add_private(resident->timer);
        else
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
            start_worker_for(resident, (enum resident_order)i, LEDGER_SCHEDULE, NULL);
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
    admin_end(&resident->admin);
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
    ledger_end(ledger, resident->result);
    if (resident->starting)
        go_on(resident);
    else if (resident->result->error.kind != ERROR_NONE && resident->application.pid != 0)
        log_warn("the application goes on; the next sync copies what is missing");
    resident->starting = false;
    take_schedules(resident);
}

/* ---- the admin endpoint ---- */

static void show(void *ctx, struct admin_view *view)
{
    const struct resident *resident = ctx;

    view->ledger = ledger;
    view->has_application = resident->task->options->command != NULL;
    view->application = resident->application.pid;
    view->ready = !resident->starting && (!view->has_application || view->application != 0);
    for (int i = 0; i < WIRE_TASKS; i++)
        view->next[i] = resident->schedules[i].set ? schedule_due(&resident->schedules[i]) : CLOCK_UNKNOWN;
}

static bool start_by_admin(void *ctx, enum resident_order what, const struct admin_order *order,
                           bool *stopping)
{
    struct resident *resident = ctx;

    *stopping = stop_signalled();
    if (*stopping || resident->working)
        return false;
    log_info("admin endpoint: starting a %s", task_names[what]);
    return start_worker_for(resident, what, LEDGER_HTTP, order);
}

static bool cancel_by_admin(void *ctx)
{
    struct resident *resident = ctx;

    if (!resident->working)
        return false;
    log_info("admin endpoint: ending the run");
    supervisor_cancel(&resident->watch);
    return true;
}

/* Once the settings are known: whatever the sync does then. */
static void look_at_admin(struct resident *resident)
{
    struct supervisor_result *result = resident->result;

    if (result->policy_known && result->admin_known) {
        result->admin_known = false;
        admin_tell(&resident->admin, &resident->admin_host, &result->admin);
    }
    admin_step(&resident->admin);
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
    if (resident->application.pid == 0 && at_once) {
        admin_end(&resident->admin);
        _exit(resident->over && resident->task->options->command != NULL ? resident->code : 128 + number);
    }
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
    bool worked;
    int ms = -1;

    take_signals(resident);
    reap(resident);
    look_at_timer(resident);
    begin_what_is_due(resident);
    worked = resident->working;
    if (worked)
        ms = supervisor_step(&resident->watch);
    if (worked && ms < 0)
        end_worker(resident);
    look_at_admin(resident);
    return ms < 0 && (worked || resident->working) ? 0 : ms;
}

static bool is_over(const struct resident *resident)
{
    return resident->over && !resident->working;
}

static void wait_for_more(const struct resident *resident, int ms)
{
    int patience = admin_patience(&resident->admin);
    struct pollfd fds[3 + ADMIN_DESCRIPTORS] = {
        {.fd = resident->signals, .events = POLLIN},
        {.fd = resident->working ? resident->watch.fd : -1, .events = POLLIN},
        {.fd = resident->timer, .events = POLLIN},
    };

    if (patience >= 0 && (ms < 0 || patience < ms))
        ms = patience;
    if (ms < 0)
        handoff_rest();
    admin_prepare(&resident->admin, fds + 3);
    handoff_poll(fds, 3 + ADMIN_DESCRIPTORS, ms);
}

bool resident_run(const struct resident_task *task, struct supervisor_result *result, int *code)
{
    struct resident resident = {.task = task, .result = result, .starting = true, .timer = -1};

    resident.admin_host = (struct admin_host){
        .ctx = &resident, .view = show, .start = start_by_admin, .cancel = cancel_by_admin};
    ledger = mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (ledger == MAP_FAILED)
        return false;
    ledger_open(ledger, task->board, clock_wall() - (clock_mono() - task->first->started));

    resident.signals = handoff_collect();
    if (resident.signals < 0)
        return false;
    ledger_begin(ledger, REPORT_DEPLOY, false, LEDGER_START);
    resident.working = supervisor_start(&resident.watch, task->first, result);
    if (!resident.working)
        return false;
    prctl(PR_SET_CHILD_SUBREAPER, 1L, 0L, 0L, 0L);
    while (!is_over(&resident)) {
        int ms = turn(&resident);

        if (!is_over(&resident))
            wait_for_more(&resident, ms);
    }
    admin_end(&resident.admin);
    *code = resident.code;
    return true;
}
