/*
 * storsync-init - a container's entrypoint: brings the production bucket up to date with the development bucket
 * once per deployment, and then becomes the application. README.md is for users, docs/DESIGN.md for readers.
 */
#include "answer.h"
#include "board.h"
#include "clock.h"
#include "handoff.h"
#include "log.h"
#include "options.h"
#include "resident.h"
#include "status.h"
#include "supervisor.h"
#include "worker.h"

#include <unistd.h>

/* ---- answers ---- */

static void set_up_log(const struct settings *settings)
{
    bool utf8 = log_locale_is_utf8((const char *const *)environ);

    log_setup((enum log_format)settings->log_format, (enum log_level)settings->log_level, utf8);
}

static int print_config(const struct settings *settings, bool json, const struct error *error)
{
    for (int i = 0; settings_problem(settings, i) != NULL; i++)
        log_warn("%s", settings_problem(settings, i));
    return answer_print_config(settings, json, error);
}

/* Inlined it would enlarge main's frame, and RLIMIT_STACK may be small. */
static __attribute__((noinline)) int answer_from_settings(const struct options *options,
                                                          const struct settings_input *input)
{
    struct error error = {.kind = ERROR_NONE};
    struct settings settings;
    int code;

    settings_load(&settings, input, &error);
    set_up_log(&settings);
    if (options->mode == MODE_CHECK_CONFIG)
        code = answer_check_config(options, &settings, &error);
    else if (options->mode == MODE_PRINT_CONFIG)
        code = print_config(&settings, options->json, &error);
    else if (options->mode == MODE_EXPLAIN)
        code = answer_explain(&settings, options->key, options->json, &error);
    else if (options->mode == MODE_STATUS)
        code = answer_status(&settings, options->json);
    else
        code = answer_health(&settings, options->json);
    settings_free(&settings);
    return code;
}

/* ---- work ---- */

struct work {
    const struct options *options;
    struct supervisor_task task;
    struct error error; /* why the application could not be executed */
};

static struct worker worker_of(const struct work *work)
{
    return (struct worker){.options = work->options, .started = work->task.started};
}

static int do_work(void *ctx, const struct wire *wire)
{
    struct worker worker = worker_of(ctx);

    return worker_run(&worker, wire);
}

static void tell_end(void *ctx, const struct supervisor_result *result)
{
    const struct work *work = ctx;
    struct worker worker = worker_of(work);

    worker_speak_for(&worker, &(struct worker_end){
                                  .files = result->policy_known,
                                  .policy = result->policy,
                                  .progress = result->progress,
                                  .error = &result->error,
                                  .board = work->task.board,
                              });
}

static void set_up_work(struct work *work, const struct options *options, const struct handoff *handoff,
                        const struct settings_peeked *peeked)
{
    *work = (struct work){
        .options = options,
        .task = {
            .handoff = handoff,
            .unknown = peeked->timeout_set && peeked->timeout != 0 && peeked->timeout < SUPERVISOR_UNKNOWN
                           ? peeked->timeout
                           : SUPERVISOR_UNKNOWN,
            .policy = {.start = peeked->start,
                       .forgive = options->mode == MODE_DEPLOY && peeked->start && peeked->on_failure_set},
            .work = do_work,
            .tell = tell_end,
            .ctx = work,
        }};
}

/* ---- the application ---- */

struct becoming {
    struct work *work;
    const struct supervisor_result *result;
    const char *drop_env; /* as long as the policy is not known */
};

static void tell_no_application(void *ctx)
{
    const struct work *work = ctx;

    log_error("%s", work->error.text);
    status_termination_log(STATUS_TERMINATION_LOG, work->error.text);
}

static int become(void *ctx)
{
    const struct becoming *becoming = ctx;
    struct work *work = becoming->work;
    int code;

    handoff_drop_env(becoming->result->policy_known ? becoming->result->names : becoming->drop_env);
    code = handoff_exec(work->task.handoff, work->options->command, &work->error);
    if (!supervisor_aside(work->task.handoff, tell_no_application, work))
        log_error("%s", work->error.text);
    return code;
}

/* Large things are static: RLIMIT_STACK may be small. */
static struct supervisor_result result;

/* False: it cannot stay here, and has done nothing. */
static bool serve(struct becoming *becoming, const struct settings_peeked *peeked, int *code)
{
    struct work *work = becoming->work;
    static const enum mode modes[RESIDENT_ORDERS] = {[RESIDENT_SYNC] = MODE_SYNC,
                                                     [RESIDENT_VALIDATE] = MODE_VALIDATE,
                                                     [RESIDENT_ROLLBACK] = MODE_ROLLBACK};
    static struct options asked[RESIDENT_ORDERS];
    struct work later[RESIDENT_ORDERS];
    struct board *board = board_make();

    work->task.board = board;

    for (int i = 0; i < RESIDENT_ORDERS; i++) {
        asked[i] = *work->options;
        asked[i].mode = modes[i];
        asked[i].command = NULL;
        asked[i].serve = asked[i].json = false;
        asked[i].asked = true;
        set_up_work(&later[i], &asked[i], work->task.handoff, peeked);
        later[i].task.board = board;
    }
    if (resident_run(&(struct resident_task){.handoff = work->task.handoff,
                                             .options = work->options,
                                             .first = &work->task,
                                             .later = {&later[0].task, &later[1].task, &later[2].task},
                                             .asked = {&asked[0], &asked[1], &asked[2]},
                                             .board = board,
                                             .become = become,
                                             .ctx = becoming},
                     &result, code))
        return true;
    log_warn(
        "--serve does not work here: too few processes or descriptors, or a sandbox that allows no signalfd; going on without it");
    return false;
}

static int supervise(const struct handoff *handoff, const struct options *options,
                     const struct settings_input *input, int64_t started)
{
    struct settings_peeked peeked;
    struct work work;
    struct becoming becoming = {.work = &work, .result = &result};
    int code;

    settings_peek(input, &peeked);
    set_up_work(&work, options, handoff, &peeked);
    work.task.started = started;
    becoming.drop_env = peeked.drop_env;
    if (options->serve && serve(&becoming, &peeked, &code))
        return code;
    supervisor_run(&work.task, &result);
    return worker_goes_on(options, result.policy.start, result.error.kind) && options->command != NULL
               ? become(&becoming)
               : result.code;
}

int main(int argc, char **argv)
{
    static struct handoff handoff;
    static struct options options;
    struct settings_input input;
    struct error error = {.kind = ERROR_NONE};
    int64_t started;

    handoff_begin(&handoff);
    started = clock_mono();
    if (!options_parse(argc, argv, &options, &error)) {
        handoff_release(&handoff);
        log_error("%s", error.text);
        status_termination_log(STATUS_TERMINATION_LOG, error.text);
        return error_exit_code(&error);
    }
    input = (struct settings_input){
        .environ_ = (const char *const *)environ,
        .flags = options.flags,
        .flag_count = options.flag_count,
        .config = options.config,
        .parts = options.parts,
        .part_count = options.part_count,
    };
    if (options.mode == MODE_DEPLOY || options.mode == MODE_SYNC || options.mode == MODE_VALIDATE ||
        options.mode == MODE_CHECK_ACCESS || options.mode == MODE_RUNS || options.mode == MODE_ROLLBACK)
        return supervise(&handoff, &options, &input, started);
    handoff_release(&handoff);
    if (options.mode == MODE_HELP)
        return answer_help(options.all);
    if (options.mode == MODE_VERSION)
        return answer_version();
    return answer_from_settings(&options, &input);
}
