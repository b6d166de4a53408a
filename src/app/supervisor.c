#include "supervisor.h"

#include "clock.h"
#include "log.h"
#include "stop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* All in ms. Of the second that the application may wait beyond the limit: */
#define GRACE 600      /* for the worker, to clean up */
#define TELL_LATE 200  /* for the process that tells what became of it */
#define REAP_LIMIT 100 /* after SIGKILL, for each of them */
/* And of the two seconds after a signal: */
#define STOP_GRACE 1500

#define TELL_LIMIT 500 /* when it is not late */
#define END_GRACE 500  /* after the last message */
#define MESSAGE_PATIENCE 500
#define NEVER INT64_MAX
#define WAIT_MAX 60000

#define OOM_SCORE_MORE 200
#define OOM_SCORE_MAX 1000L

/* ---- messages ---- */

static void take_names(struct supervisor_result *result, const char *text, size_t len)
{
    size_t have = result->names_known ? strlen(result->names) : 0;

    if (len > sizeof result->names - 1 - have)
        len = sizeof result->names - 1 - have;
    memcpy(result->names + have, text, len);
    result->names[have + len] = '\0';
    result->names_known = true;
}

static void take_end(struct supervisor_result *result, const struct wire_end *end)
{
    error_set(&result->error, (enum error_kind)end->kind, "the sync failed");
    result->code = end->code;
    result->ended = true;
}

/* What the worker says counts for what it is; the first end is the end. */
static void take_message(void *ctx, const struct wire_message *message)
{
    struct supervisor_result *result = ctx;

    if (result->ended)
        return;
    switch (message->type) {
    case WIRE_POLICY:
        result->policy = message->policy;
        result->policy_known = true;
        log_setup(message->policy.log_format == LOG_JSON ? LOG_JSON : LOG_TEXT,
                  message->policy.log_level <= LOG_DEBUG ? (enum log_level)message->policy.log_level
                                                         : LOG_INFO,
                  message->policy.log_utf8);
        break;
    case WIRE_NAMES:
        take_names(result, message->names.text, message->names.len);
        break;
    case WIRE_PROGRESS:
        result->progress = message->progress;
        break;
    case WIRE_SCHEDULE:
        result->schedules[message->schedule.task] = message->schedule;
        result->schedules_known[message->schedule.task] = true;
        break;
    case WIRE_ADMIN:
        result->admin = message->admin;
        result->admin_known = true;
        break;
    case WIRE_END:
        if (message->end.kind <= ERROR_PARTIAL)
            take_end(result, &message->end);
        break;
    }
}

/* In the worker. A report of progress may get lost while nobody reads; for the others there is a wait: the pipe of a user
 * who has many holds no more than a page. */
static void send_message(void *ctx, const struct wire_message *message)
{
    const int *fd = ctx;
    struct pollfd room = {.fd = *fd, .events = POLLOUT};
    unsigned char bytes[WIRE_MAX];
    size_t len = wire_encode(message, bytes);

    if (message->type != WIRE_PROGRESS)
        poll(&room, 1, MESSAGE_PATIENCE);
    while (write(*fd, bytes, len) < 0 && errno == EINTR)
        ;
}

static void close_messages(struct supervisor_watch *watch)
{
    if (watch->fd >= 0)
        close(watch->fd);
    watch->fd = -1;
}

/* Takes what has arrived. */
static void read_messages(struct supervisor_watch *watch)
{
    struct wire_message message;

    while (watch->fd >= 0) {
        size_t room;
        unsigned char *at = wire_room(&watch->reader, &room);
        ssize_t len = read(watch->fd, at, room);

        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (len <= 0) {
            close_messages(watch);
            return;
        }
        wire_filled(&watch->reader, (size_t)len);
        while (wire_next(&watch->reader, &message))
            take_message(watch->result, &message);
    }
}

/* ---- processes ---- */

/* When memory is short, this process is to go before the one that becomes the application. Where that is not allowed
 * (only root may, in a process that is not dumpable), the larger one is the likelier. */
static void volunteer_for_oom(void)
{
    char text[16] = "";
    int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
    long score;
    int len;

    if (fd < 0)
        return;
    if (read(fd, text, sizeof text - 1) > 0) {
        score = strtol(text, NULL, 10) + OOM_SCORE_MORE;
        len = snprintf(text, sizeof text, "%ld", score < OOM_SCORE_MAX ? score : OOM_SCORE_MAX);
        if (pwrite(fd, text, (size_t)len, 0) < 0) {
            /* Not allowed after all. */
        }
    }
    close(fd);
}

/* In a new child: dies with its parent, which has the number 0 if it is outside of the child's PID namespace. */
static void settle_child(const struct handoff *handoff, pid_t parent)
{
    prctl(PR_SET_PDEATHSIG, (long)SIGKILL, 0L, 0L, 0L);
    if (getppid() != parent && getppid() != 0)
        _exit(1);
    handoff_worker(handoff);
    volunteer_for_oom();
}

static _Noreturn void be_worker(const struct supervisor_task *task, pid_t parent, const int messages[2])
{
    struct wire wire = {.take = send_message, .ctx = (void *)&messages[1], .board = task->board};

    settle_child(task->handoff, parent);
    if (messages[0] >= 0)
        close(messages[0]);
    if (messages[1] < 0)
        wire.take = NULL;
    exit(task->work(task->ctx, &wire));
}

/* -1: no process. Without descriptors for a pipe its exit code has to do. */
static pid_t start_worker(const struct supervisor_task *task, int *reader)
{
    int messages[2] = {-1, -1};
    pid_t parent = getpid();
    pid_t pid;

    if (pipe2(messages, O_CLOEXEC | O_NONBLOCK) != 0)
        messages[0] = messages[1] = -1;
    pid = fork();
    if (pid == 0)
        be_worker(task, parent, messages);
    if (messages[1] >= 0)
        close(messages[1]);
    *reader = messages[0];
    return pid;
}

/* A process that does something and ends. -1: none is to be had. */
static pid_t start_aside(const struct handoff *handoff, void (*what)(void *ctx), void *ctx)
{
    pid_t parent = getpid();
    pid_t pid = fork();

    if (pid == 0) {
        settle_child(handoff, parent);
        what(ctx);
        _exit(0);
    }
    return pid;
}

static bool reap_child(pid_t pid, int *status)
{
    pid_t ended;

    do
        ended = waitpid(pid, status, WNOHANG);
    while (ended < 0 && errno == EINTR);
    if (ended < 0 && errno != ECHILD)
        return false; /* not allowed to know: its messages have to do */
    if (ended < 0)
        *status = 0; /* somebody has reaped it */
    return ended != 0;
}

/* ---- watching ---- */

/* Whom to watch from now on, and until when. */
static void watch_process(struct supervisor_watch *watch, pid_t pid, int64_t limit_at)
{
    watch->process = pid;
    watch->limit_at = limit_at;
    watch->soon_at = NEVER;
    watch->gone = watch->killed = watch->reaped = false;
}

static void kill_within(struct supervisor_watch *watch, int64_t ms)
{
    int64_t at = clock_mono() + ms;

    if (at < watch->soon_at)
        watch->soon_at = at;
}

/* When the worker has to be gone, as far as is known now. */
static int64_t limit_of(const struct supervisor_watch *watch)
{
    const struct supervisor_result *result = watch->result;
    int64_t limit = result->policy_known ? result->policy.limit : watch->task->unknown;

    return limit != 0 ? watch->task->started + limit + GRACE : NEVER;
}

/* Messages, and what follows from them. */
static void listen_to_worker(struct supervisor_watch *watch)
{
    bool known = watch->result->policy_known;
    bool silent = watch->result->ended || watch->fd < 0;

    read_messages(watch);
    if (!known && watch->result->policy_known)
        watch->limit_at = limit_of(watch);
    if (!silent && (watch->result->ended || watch->fd < 0))
        kill_within(watch, END_GRACE);
}

/* The first signal that asks to stop. */
static void pass_signal_on(struct supervisor_watch *watch)
{
    struct error why;

    if (watch->forwarded || !stop_signalled())
        return;
    stop_requested(&why);
    kill(watch->process, why.signal);
    kill_within(watch, STOP_GRACE);
    watch->forwarded = true;
}

void supervisor_cancel(struct supervisor_watch *watch)
{
    if (watch->gone || watch->telling || watch->cancelled)
        return;
    kill(watch->process, SIGTERM);
    kill_within(watch, STOP_GRACE);
    watch->cancelled = true;
}

static int64_t time_left(const struct supervisor_watch *watch)
{
    int64_t at = watch->killed || watch->soon_at < watch->limit_at ? watch->soon_at : watch->limit_at;

    return at == NEVER ? WAIT_MAX : at - clock_mono();
}

static void kill_process(struct supervisor_watch *watch)
{
    kill(watch->process, SIGKILL);
    watch->killed = true;
    watch->soon_at = clock_mono() + REAP_LIMIT;
}

/* How long it may be left alone, in ms; below 0: it is gone, or will not go. */
static int64_t look_at_process(struct supervisor_watch *watch)
{
    int64_t left;

    if (!watch->reaped)
        watch->reaped = reap_child(watch->process, &watch->status);
    if (watch->fd >= 0)
        listen_to_worker(watch);
    if (watch->reaped)
        return -1;
    if (!watch->telling)
        pass_signal_on(watch);
    else if (stop_signalled() && !watch->killed)
        kill_within(watch, TELL_LATE);
    left = time_left(watch);
    if (left <= 0 && watch->killed)
        return -1;
    if (left <= 0) {
        kill_process(watch);
        left = REAP_LIMIT;
    }
    return left < WAIT_MAX ? left : WAIT_MAX;
}

/* ---- how it ended ---- */

static void explain_late(const struct supervisor_watch *watch, struct error *error)
{
    if (!watch->result->policy_known)
        error_set(
            error, ERROR_TIMEOUT,
            "the settings could not be read in time: does a file system hang below one of their files?");
    else if (watch->result->policy.limit != 0)
        error_set(
            error, ERROR_TIMEOUT,
            "the time limit for the whole sync passed (setting timeout), and its process did not end: does a file system hang, or was it stopped?");
    else
        error_set(error, ERROR_LOCAL, "the sync's process did not end");
}

static const char cancelled_text[] = "ended by request";

/* Of a worker that has not said how it ended. */
static void explain_end(const struct supervisor_watch *watch, struct error *error)
{
    int signal = watch->reaped && WIFSIGNALED(watch->status) ? WTERMSIG(watch->status) : 0;

    if (stop_signalled())
        stop_requested(error);
    else if (watch->cancelled)
        error_set(error, ERROR_LOCAL, cancelled_text);
    else if (error->kind == ERROR_INTERRUPTED)
        error_set(error, ERROR_LOCAL, "the sync's process was told to end (and only it)");
    else if (watch->killed)
        explain_late(watch, error);
    else if (signal == SIGKILL)
        error_set(error, ERROR_LOCAL, "the sync's process was killed (signal %d): was the memory used up?",
                  signal);
    else if (signal == SIGSYS)
        error_set(
            error, ERROR_LOCAL,
            "the sync's process made a system call that the container's seccomp profile forbids (signal %d)",
            signal);
    else if (signal != 0)
        error_set(error, ERROR_LOCAL, "the sync's process crashed (signal %d, %s): please report this",
                  signal, strsignal(signal));
    else
        error_set(error, ERROR_LOCAL,
                  "the sync's process ended without a word (exit code %d): please report this",
                  WEXITSTATUS(watch->status));
}

static void tell_result(void *ctx)
{
    const struct supervisor_watch *watch = ctx;

    watch->task->tell(watch->task->ctx, watch->result);
}

/* How long telling others may take, in ms: not past the limit, and not after a signal. */
static int64_t time_to_notify(const struct supervisor_watch *watch)
{
    const struct wire_policy *policy = &watch->result->policy;
    int64_t left = policy->limit != 0 ? watch->task->started + policy->limit - clock_mono() : policy->notify;

    if (left < 0 || stop_signalled())
        return 0;
    return left < policy->notify ? left : policy->notify;
}

/* What it has not said itself. True: a process that tells it is watched now. */
static bool conclude_worker(struct supervisor_watch *watch)
{
    struct supervisor_result *result = watch->result;
    pid_t teller;

    if (!watch->has_messages && watch->reaped && WIFEXITED(watch->status))
        take_end(result,
                 &(struct wire_end){.kind = WEXITSTATUS(watch->status) == 0 ? ERROR_NONE : ERROR_LOCAL,
                                    .code = (uint8_t)WEXITSTATUS(watch->status)});
    if (result->ended && (result->error.kind != ERROR_INTERRUPTED || stop_requested(&result->error)))
        return false;
    if (result->ended && watch->cancelled) {
        error_set(&result->error, ERROR_LOCAL, cancelled_text);
        result->code = error_exit_code(&result->error);
        return false;
    }
    result->ended = false;
    explain_end(watch, &result->error);
    result->code = error_exit_code(&result->error);
    if (result->policy.forgive && result->error.kind != ERROR_INTERRUPTED)
        result->code = 0;
    teller = start_aside(watch->task->handoff, tell_result, watch);
    if (teller > 0)
        watch_process(watch, teller,
                      clock_mono() + (watch->killed ? TELL_LATE : TELL_LIMIT) + time_to_notify(watch));
    return teller > 0;
}

static bool died_of_itself(const struct supervisor_watch *watch)
{
    return watch->reaped && !watch->killed && WIFSIGNALED(watch->status);
}

/* What nobody else has told. */
static void tell_here(const struct supervisor_watch *watch)
{
    bool told = watch->telling && !died_of_itself(watch);

    if (!watch->result->ended && !told)
        log_error("%s", watch->result->error.text);
}

/* ---- the interface ---- */

bool supervisor_start(struct supervisor_watch *watch, const struct supervisor_task *task,
                      struct supervisor_result *result)
{
    pid_t worker;

    *result = (struct supervisor_result){.policy = task->policy};
    *watch = (struct supervisor_watch){.task = task, .result = result};
    worker = start_worker(task, &watch->fd);
    if (worker < 0) {
        close_messages(watch);
        return false;
    }
    watch->has_messages = watch->fd >= 0;
    watch_process(watch, worker, limit_of(watch));
    handoff_set_worker(worker);
    return true;
}

int supervisor_step(struct supervisor_watch *watch)
{
    int64_t left = -1;

    if (!watch->gone) {
        left = look_at_process(watch);
        if (left >= 0)
            return (int)left;
        handoff_set_worker(0); /* its number may be somebody else's from now on */
        close_messages(watch);
        watch->gone = true;
        if (!watch->telling)
            return 0;
    }
    if (!watch->telling && conclude_worker(watch)) {
        watch->telling = true;
        return 0;
    }
    tell_here(watch);
    return -1;
}

static void work_here(const struct supervisor_task *task, struct supervisor_result *result)
{
    struct wire wire = {.take = take_message, .ctx = result, .board = task->board};

    handoff_unblock();
    task->work(task->ctx, &wire);
}

void supervisor_run(const struct supervisor_task *task, struct supervisor_result *result)
{
    struct supervisor_watch watch;
    int ms;

    if (!supervisor_start(&watch, task, result)) {
        work_here(task, result);
        return;
    }
    while ((ms = supervisor_step(&watch)) >= 0)
        handoff_wait(watch.fd, ms);
}

bool supervisor_aside(const struct handoff *handoff, void (*what)(void *ctx), void *ctx)
{
    struct supervisor_watch watch = {.fd = -1, .telling = true};
    pid_t pid = start_aside(handoff, what, ctx);

    if (pid < 0)
        return false;
    watch_process(&watch, pid, clock_mono() + TELL_LIMIT);
    for (int64_t left; (left = look_at_process(&watch)) >= 0;)
        handoff_wait(-1, (int)left);
    return !died_of_itself(&watch);
}
