/*
 * storsync-init - a container's entrypoint: brings the production bucket up to date with the development bucket
 * once per deployment, and then becomes the application. README.md is for users, docs/DESIGN.md for readers.
 */
#include "answer.h"
#include "clock.h"
#include "handoff.h"
#include "log.h"
#include "options.h"
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
    struct worker worker;
    const struct handoff *handoff;
    struct error error; /* why the application could not be executed */
};

static int do_work(void *ctx, const struct wire *wire)
{
    const struct work *work = ctx;

    return worker_run(&work->worker, wire);
}

static void tell_end(void *ctx, const struct supervisor_result *result)
{
    const struct work *work = ctx;

    worker_speak_for(&work->worker, &(struct worker_end){
                                        .files = result->policy_known,
                                        .policy = result->policy,
                                        .progress = result->progress,
                                        .error = &result->error,
                                    });
}

static void tell_no_application(void *ctx)
{
    const struct work *work = ctx;

    log_error("%s", work->error.text);
    status_termination_log(STATUS_TERMINATION_LOG, work->error.text);
}

static int become(struct work *work, const char *drop_env)
{
    int code;

    handoff_drop_env(drop_env);
    code = handoff_exec(work->handoff, work->worker.options->command, &work->error);
    if (!supervisor_aside(work->handoff, tell_no_application, work))
        log_error("%s", work->error.text);
    return code;
}

static int supervise(const struct handoff *handoff, const struct options *options,
                     const struct settings_input *input, int64_t started)
{
    struct work work = {.worker = {.options = options, .started = started}, .handoff = handoff};
    static struct supervisor_result result; /* as in main */
    struct settings_peeked peeked;

    settings_peek(input, &peeked);
    supervisor_run(
        &(struct supervisor_task){
            .handoff = handoff,
            .started = started,
            .unknown = peeked.timeout_set && peeked.timeout != 0 && peeked.timeout < SUPERVISOR_UNKNOWN
                           ? peeked.timeout
                           : SUPERVISOR_UNKNOWN,
            .policy = {.start = peeked.start,
                       .forgive = options->mode == MODE_DEPLOY && peeked.start && peeked.on_failure_set},
            .work = do_work,
            .tell = tell_end,
            .ctx = &work,
        },
        &result);
    if (worker_starts_application(options, result.policy.start, result.error.kind))
        return become(&work, result.policy_known ? result.names : peeked.drop_env);
    return result.code;
}

int main(int argc, char **argv)
{
    static struct handoff handoff; /* large things are static: RLIMIT_STACK may be small */
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
        options.mode == MODE_CHECK_ACCESS)
        return supervise(&handoff, &options, &input, started);
    handoff_release(&handoff);
    if (options.mode == MODE_HELP)
        return answer_help(options.all);
    if (options.mode == MODE_VERSION)
        return answer_version();
    return answer_from_settings(&options, &input);
}
