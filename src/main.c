/*
 * storsync-init - a container's entrypoint: brings the production bucket up to date with the development bucket
 * once per deployment, and then becomes the application. README.md is for users, docs/DESIGN.md for readers.
 */
#include "answer.h"
#include "deploy.h"
#include "detect.h"
#include "handoff.h"
#include "json.h"
#include "log.h"
#include "options.h"
#include "run.h"
#include "status.h"
#include "stop.h"
#include "validate.h"

#include <stdlib.h>
#include <unistd.h>

static const char *get_environment(void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static void set_up_log(const struct settings *settings)
{
    bool utf8 = log_locale_is_utf8(getenv("LC_ALL"), getenv("LC_CTYPE"), getenv("LANG"));

    log_setup((enum log_format)settings->log_format, (enum log_level)settings->log_level, utf8);
}

/* What the settings had to say, before anything is done with them. */
static void tell_problems(const struct settings *settings)
{
    for (int i = 0; settings_problem(settings, i) != NULL; i++)
        log_warn("%s", settings_problem(settings, i));
}

static void validate(struct run *run, struct error *error)
{
    bool compared =
        run_open_stores(run, error) && validate_run(run->http, run->source, run->destination, run->settings,
                                                    run->options->json, &run->report, error);

    enum report_state state = report_valid(&run->report) ? REPORT_SYNCED : REPORT_PARTIAL;

    if (compared)
        error_clear(error);
    run_finish(run, compared ? state : REPORT_FAILED, error);
}

/* The work of this mode; *error is how it ended. */
static void work(struct run *run, struct error *error)
{
    /* A configuration that is broken is a failure like any other: told, and left to the failure policy. */
    if (error->kind != ERROR_NONE)
        run_finish(run, REPORT_FAILED, error);
    else if (run->options->mode == MODE_VALIDATE)
        validate(run, error);
    else if (run->options->mode == MODE_SYNC)
        deploy_manual(run, error);
    else
        deploy_automatic(run, error);
}

static int print_report(const struct report *report, int code)
{
    struct buf out;

    buf_init(&out, JSON_MAX);
    report_json(report, true, &out);
    buf_putc(&out, '\n');
    return answer_print(&out, code);
}

/* Does the work, and leaves nothing of it behind in the process. `error` says how the settings fared. */
static int work_and_tell(const struct options *options, const struct settings *settings, struct error *error)
{
    struct detection detection;
    struct run run;
    int code;

    detect(settings, get_environment, NULL, &detection);
    run_begin(&run, options, settings, &detection);
    work(&run, error);
    code = error_exit_code(error);
    if (options->mode == MODE_VALIDATE && code == 0 && !report_valid(&run.report))
        code = 1;
    if (options->json)
        code = print_report(&run.report, code);
    run_end(&run);
    return code;
}

/* The application starts if all is well, or if the failure policy says so; after a signal it does not. */
static bool application_starts(const struct options *options, const struct settings *settings,
                               const struct error *error)
{
    if (options->command == NULL || error->kind == ERROR_INTERRUPTED)
        return false;
    if (error->kind == ERROR_NONE)
        return true;
    if (settings->on_failure == ON_FAILURE_START)
        log_warn("starting the application all the same (on_failure=start)");
    else
        log_error("not starting the application (on_failure=stop)");
    return settings->on_failure == ON_FAILURE_START;
}

/* Without a command somebody else starts the application, by this exit code. Kubernetes never starts it after an
 * init container that failed; so that on_failure=start can mean the same there, it has to be said: by default the
 * code tells what happened. */
static bool failure_is_forgiven(const struct options *options, const struct settings *settings,
                                const struct error *error)
{
    if (options->mode != MODE_DEPLOY || options->command != NULL || error->kind == ERROR_NONE ||
        error->kind == ERROR_INTERRUPTED || settings->on_failure != ON_FAILURE_START ||
        settings_is_default(settings, &settings->on_failure))
        return false;
    log_warn("ending with 0 all the same (on_failure=start)");
    return true;
}

static int become(const struct handoff *handoff, const struct settings *settings, char **command)
{
    int dropped = handoff_drop_env(settings->drop_env);
    struct error error;
    int code;

    stop_close();
    log_debug("%d variables of drop_env were there", dropped);
    status_termination_log(STATUS_TERMINATION_LOG, "");
    code = handoff_exec(handoff, command, &error);
    log_error("%s", error.text);
    status_termination_log(STATUS_TERMINATION_LOG, error.text);
    return code;
}

static int perform(const struct options *options, const struct settings *settings, struct error *error,
                   const struct handoff *handoff)
{
    int code;

    switch (options->mode) {
    case MODE_CHECK_CONFIG:
        return answer_check_config(options, settings, error);
    case MODE_PRINT_CONFIG:
        tell_problems(settings);
        return answer_print_config(settings, options->json, error);
    case MODE_STATUS:
        return answer_status(settings, options->json);
    case MODE_HEALTH:
        return answer_health(settings);
    default:
        break;
    }
    tell_problems(settings);
    code = work_and_tell(options, settings, error);
    if (application_starts(options, settings, error))
        return become(handoff, settings, options->command);
    return failure_is_forgiven(options, settings, error) ? 0 : code;
}

int main(int argc, char **argv)
{
    struct handoff handoff;
    struct options options;
    struct settings settings;
    struct error error = {.kind = ERROR_NONE};
    int code;

    handoff_begin(&handoff);
    if (!options_parse(argc, argv, &options, &error)) {
        log_error("%s", error.text);
        status_termination_log(STATUS_TERMINATION_LOG, error.text);
        return error_exit_code(&error);
    }
    if (options.mode == MODE_HELP)
        return answer_help();
    if (options.mode == MODE_VERSION)
        return answer_version();
    if (options.mode == MODE_DOCUMENT)
        return answer_document(options.document);
    stop_init(&error);
    settings_load(&settings,
                  &(struct settings_input){
                      .environ_ = (const char *const *)environ,
                      .flags = options.flags,
                      .flag_count = options.flag_count,
                      .config = options.config,
                  },
                  &error);
    set_up_log(&settings);
    code = perform(&options, &settings, &error, &handoff);
    settings_free(&settings);
    return code;
}
