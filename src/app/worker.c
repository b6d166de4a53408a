#include "worker.h"

#include "access.h"
#include "answer.h"
#include "crash.h"
#include "detect.h"
#include "handoff.h"
#include "hash.h"
#include "json.h"
#include "log.h"
#include "modes.h"
#include "notify.h"
#include "output.h"
#include "report_log.h"
#include "run.h"
#include "runs.h"
#include "status.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* While somebody waits for this process, an output that nobody reads is waited for so long, in ms. */
#define OUTPUT_PATIENCE 1000
/* Of the log, in a process that has a fraction of a second. */
#define SHORT_PATIENCE 100

/* Reads the settings, and sets up the log as they say. *error says what is wrong with them. */
static void load(const struct options *options, bool files, struct settings *settings, struct error *error)
{
    bool utf8 = log_locale_is_utf8((const char *const *)environ);

    settings_load(settings,
                  &(struct settings_input){
                      .environ_ = (const char *const *)environ,
                      .flags = options->flags,
                      .flag_count = options->flag_count,
                      .config = options->config,
                      .parts = options->parts,
                      .part_count = options->part_count,
                      .no_files = !files,
                  },
                  error);
    log_setup((enum log_format)settings->log_format, (enum log_level)settings->log_level, utf8);
}

/* ---- the work ---- */

/* Before anything is tried, so that nobody takes an older file for this run's. In development it is written once. */
static void tell_starting(struct run *run)
{
    if (run->options->mode == MODE_DEPLOY && !run->report.detection.production)
        return;
    report_starting(&run->report);
}

/* The work of this mode; *error is how it ended. */
static void work(struct run *run, struct error *error)
{
    tell_starting(run);
    crash_point("starting");
    /* A configuration that is broken is a failure like any other: told, and left to the failure policy. */
    if (error->kind != ERROR_NONE)
        run_finish(run, REPORT_FAILED, error);
    else if (run->options->mode == MODE_VALIDATE)
        mode_validate(run, error);
    else if (run->options->mode == MODE_ROLLBACK)
        mode_rollback(run, error);
    else if (run->options->mode == MODE_SYNC)
        mode_sync(run, error);
    else
        mode_deploy(run, error);
}

static int print_report(const struct run *run, int code)
{
    struct buf out;

    buf_init(&out, JSON_MAX);
    report_json(&run->report, true, &out);
    buf_putc(&out, '\n');
    return answer_print_within(&out, run->options->command != NULL ? OUTPUT_PATIENCE : OUTPUT_FOREVER, code);
}

/* When telling others has to be over: with the time that an application may be kept waiting. */
static int64_t notify_until(const struct worker *worker, int64_t limit)
{
    return limit != 0 ? worker->started + limit : INT64_MAX;
}

/* Does the work, and leaves nothing of it behind. `error` says how the settings fared. */
static int work_and_tell(const struct worker *worker, const struct settings *settings,
                         const struct wire *wire, struct error *error)
{
    const struct options *options = worker->options;
    struct detection detection;
    struct report_log log;
    struct run run;
    int code;

    detect(settings, (const char *const *)environ, &detection);
    run_begin(&run, options, settings, &detection, worker->started, wire);
    report_log_listen(&log, &run.report);
    work(&run, error);
    code = report_exit_code(&run.report);
    if (options->json)
        code = print_report(&run, code);
    run_notify(&run, notify_until(worker, run_limit(options, settings)));
    run_end(&run);
    return code;
}

/* Asks what the credentials may do. That is an answer, and no run: nobody reads of it in the status file. */
static int check_access(const struct worker *worker, const struct settings *settings, struct error *error)
{
    static struct access access; /* large */
    const struct options *options = worker->options;
    const struct detection unknown = {.platform = "", .hint = ""};
    struct run run;
    struct buf out;

    run_begin(&run, options, settings, &unknown, worker->started, NULL);
    if (error->kind == ERROR_NONE)
        access_check(&run, &access, error);
    if (access.source.store == NULL)
        log_error("%s", error->text);
    buf_init(&out, JSON_MAX);
    if (options->json)
        out.failed |= !access_put_json(&access, error, &out);
    else
        access_put_text(&access, &out);
    run_end(&run);
    return answer_print(&out, error_exit_code(error));
}

/* The same of the runs that can be rolled back. */
static int show_runs(const struct worker *worker, const struct settings *settings, struct error *error)
{
    const struct options *options = worker->options;
    const struct detection unknown = {.platform = "", .hint = ""};
    struct run run;
    struct buf out;

    run_begin(&run, options, settings, &unknown, worker->started, NULL);
    buf_init(&out, JSON_MAX);
    if (error->kind == ERROR_NONE)
        runs_put(&run, options->json, &out, error);
    if (error->kind != ERROR_NONE)
        log_error("%s", error->text);
    run_end(&run);
    return answer_print(&out, error_exit_code(error));
}

/* ---- what follows ---- */

bool worker_goes_on(const struct options *options, bool start_on_failure, enum error_kind ended)
{
    return (options->command != NULL || options->serve) && ended != ERROR_INTERRUPTED &&
           (ended == ERROR_NONE || start_on_failure);
}

/* Without a command somebody else starts the application, by this exit code. Kubernetes never starts it after an
 * init container that failed; so that on_failure=start can mean the same there, it has to be said: by default the
 * code tells what happened. */
static bool forgives(const struct options *options, const struct settings *settings)
{
    return options->mode == MODE_DEPLOY && options->command == NULL && !options->serve &&
           settings->on_failure == ON_FAILURE_START && !settings_is_default(settings, &settings->on_failure);
}

/* What the failure policy makes of it. */
static void tell_consequence(const struct options *options, bool start, bool forgive,
                             const struct error *error)
{
    if (error->kind == ERROR_NONE || error->kind == ERROR_INTERRUPTED)
        return;
    if (options->command == NULL && forgive)
        log_warn("ending with 0 all the same (on_failure=start)");
    else if (options->command != NULL && start)
        log_warn("starting the application all the same (on_failure=start)");
    else if (options->serve && start)
        log_warn("staying all the same (on_failure=start)");
    else if (options->serve && options->command == NULL)
        log_error("not staying (on_failure=stop)");
    else if (options->command != NULL)
        log_error("not starting the application (on_failure=stop)");
}

static void tell_admin(const struct settings *settings, const struct wire *wire)
{
    struct wire_message message = {.type = WIRE_ADMIN};
    struct wire_admin *admin = &message.admin;
    const char *token = settings->admin_token;

    snprintf(admin->listen, sizeof admin->listen, "%s", settings->admin_listen);
    snprintf(admin->hosts, sizeof admin->hosts, "%s", settings->admin_hosts);
    if (*token != '\0')
        hash_sha256(token, strlen(token), admin->token);
    if (strlen(settings->admin_hosts) > WIRE_HOSTS_MAX)
        log_warn("admin_hosts: only the first %d bytes count", WIRE_HOSTS_MAX);
    wire_tell(wire, &message);
}

static void tell_policy(const struct options *options, const struct settings *settings,
                        const struct wire *wire)
{
    /* The policy comes last: who knows it knows all. */
    wire_tell_names(wire, settings->drop_env);
    if (options->serve || options->asked)
        tell_admin(settings, wire);
    wire_tell(wire, &(struct wire_message){.type = WIRE_POLICY,
                                           .policy = {
                                               .start = settings->on_failure == ON_FAILURE_START,
                                               .forgive = forgives(options, settings),
                                               .limit = run_limit(options, settings),
                                               .log_format = (uint8_t)settings->log_format,
                                               .log_level = (uint8_t)settings->log_level,
                                               .log_utf8 = log_utf8(),
                                               .notify = (uint32_t)notify_time(settings, 0),
                                           }});
}

/* What is left to do for an application that starts: its environment is the supervisor's affair, this one's only counted. */
static void prepare_start(const struct settings *settings)
{
    if (log_enabled(LOG_DEBUG))
        log_debug("%d variables of drop_env were there", handoff_drop_env(settings->drop_env));
    status_termination_log(STATUS_TERMINATION_LOG, "");
}

/* ---- the interface ---- */

int worker_run(const struct worker *worker, const struct wire *wire)
{
    const struct options *options = worker->options;
    struct error error = {.kind = ERROR_NONE};
    struct settings settings;
    int code;

    crash_point("before-settings");
    stop_init(&error);
    load(options, true, &settings, &error);
    tell_policy(options, &settings, wire);
    crash_point("settings-known");
    for (int i = 0; settings_problem(&settings, i) != NULL; i++)
        log_warn("%s", settings_problem(&settings, i));
    if (options->mode == MODE_CHECK_ACCESS)
        code = check_access(worker, &settings, &error);
    else if (options->mode == MODE_RUNS)
        code = show_runs(worker, &settings, &error);
    else
        code = work_and_tell(worker, &settings, wire, &error);
    tell_consequence(options, settings.on_failure == ON_FAILURE_START, forgives(options, &settings), &error);
    if (error.kind != ERROR_NONE && error.kind != ERROR_INTERRUPTED && forgives(options, &settings))
        code = 0;
    if (worker_goes_on(options, settings.on_failure == ON_FAILURE_START, error.kind))
        prepare_start(&settings);
    settings_free(&settings);
    stop_close();
    log_end();
    crash_point("before-end");
    wire_tell(wire, &(struct wire_message){.type = WIRE_END,
                                           .end = {.kind = (uint8_t)error.kind, .code = (uint8_t)code}});
    crash_point("after-end");
    return code;
}

/* The log comes first, and without a look into any file: one of them may be what hangs. */
void worker_speak_for(const struct worker *worker, const struct worker_end *end)
{
    const struct options *options = worker->options;
    struct error ignored = {.kind = ERROR_NONE};
    struct detection detection;
    struct settings settings;
    struct run run;

    log_patience(SHORT_PATIENCE);
    if (options->mode == MODE_CHECK_ACCESS || options->mode == MODE_RUNS) {
        log_error("%s", end->error->text);
        return;
    }
    if (!end->files)
        load(options, false, &settings, &ignored);
    run_tell_for(options, end->error);
    tell_consequence(options, end->policy.start, end->policy.forgive, end->error);
    if (end->files)
        load(options, true, &settings, &ignored);
    detect(&settings, (const char *const *)environ, &detection);
    run_begin(&run, options, &settings, &detection, worker->started, &(struct wire){.board = end->board});
    run_save_for(&run, &end->progress, end->error);
    if (options->json)
        print_report(&run, error_exit_code(end->error));
    if (end->policy.notify != 0)
        run_notify(&run, notify_until(worker, end->policy.limit));
    run_end(&run);
    if (worker_goes_on(options, end->policy.start, end->error->kind))
        status_termination_log(STATUS_TERMINATION_LOG, "");
    settings_free(&settings);
}
