#include "run.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "status.h"
#include "stop.h"
#include "store_open.h"
#include "uri.h"

#include <stdio.h>
#include <string.h>

#define STATUS_INTERVAL 2000 /* ms */
#define SHOWN_MAX ((size_t)16 * 1024)

static const char *mode_name(enum mode mode)
{
    switch (mode) {
    case MODE_SYNC:
        return "sync";
    case MODE_VALIDATE:
        return "validate";
    default:
        return "deploy";
    }
}

/* The deadline is for the sake of an application that waits. A manual run that nothing waits for is only
 * limited if somebody asked for it. */
int64_t run_limit(const struct options *options, const struct settings *settings)
{
    if (options->mode == MODE_DEPLOY || options->command != NULL ||
        !settings_is_default(settings, &settings->timeout))
        return settings->timeout;
    return 0;
}

/* As it was typed: it may be a URL with a password. */
static void show_bucket(const char *bucket, char *out, size_t room)
{
    struct buf text;

    buf_init(&text, SHOWN_MAX);
    uri_mask(&text, bucket);
    snprintf(out, room, "%s", buf_str(&text));
    buf_free(&text);
}

void run_begin(struct run *run, const struct options *options, const struct settings *settings,
               const struct detection *detection, int64_t started, const struct wire *wire)
{
    struct report *report = &run->report;
    int64_t limit = run_limit(options, settings);

    *run = (struct run){.options = options, .settings = settings, .wire = wire};
    report_init(report, clock_wall() - (clock_mono() - started));
    report->detection = *detection;
    report->hook_active = detection->production;
    report->dry_run = settings->dry_run != 0;
    report->configured = !settings_is_default(settings, &settings->source.bucket) &&
                         !settings_is_default(settings, &settings->destination.bucket);
    snprintf(report->mode, sizeof report->mode, "%s", mode_name(options->mode));
    show_bucket(settings->source.bucket, report->source, sizeof report->source);
    show_bucket(settings->destination.bucket, report->destination, sizeof report->destination);
    if (limit != 0)
        stop_at(started + limit);
}

void run_end(struct run *run)
{
    store_close(run->source);
    store_close(run->destination);
    loop_free(run->loop);
    run->source = NULL;
    run->destination = NULL;
    run->loop = NULL;
    if (run->status_stale)
        run_save_status(run);
    report_free(&run->report);
}

/* `ctx` is the run. */
static void tick(void *ctx)
{
    struct run *run = ctx;

    if (clock_mono() >= run->status_due)
        run_save_status(run);
}

static bool make_loop(struct run *run, struct error *error)
{
    const struct settings *settings = run->settings;
    struct http_limits limits = {
        /* Both halves of every relay, the two listings, and what they all may wait for: the two sides' credentials. */
        .connections = (int)settings->concurrency * 2 + 4,
        .connect_timeout = settings->connect_timeout,
        .stall_timeout = settings->stall_timeout,
        .request_timeout = settings->request_timeout,
        .retries = (int)settings->retries,
    };

    run->loop = loop_new(&limits, error);
    if (run->loop == NULL)
        return false;
    loop_watch(run->loop, tick, run);
    return true;
}

bool run_open_stores(struct run *run, struct error *error)
{
    const struct settings *settings = run->settings;

    for (int i = 0; settings_note(settings, i) != NULL; i++)
        log_warn("%s", settings_note(settings, i));
    if (!settings_usable(settings, error) || !make_loop(run, error))
        return false;
    run->source = store_open(&settings->source, run->loop, error);
    if (run->source == NULL) {
        error_prefix(error, "source: ");
        return false;
    }
    run->destination = store_open(&settings->destination, run->loop, error);
    if (run->destination == NULL) {
        error_prefix(error, "destination: ");
        return false;
    }
    snprintf(run->report.source, sizeof run->report.source, "%s", store_name(run->source));
    snprintf(run->report.destination, sizeof run->report.destination, "%s", store_name(run->destination));
    return store_same(run->source, run->destination) ||
           store_check_pair(run->source, run->destination, error);
}

static void tell_progress(const struct run *run)
{
    const struct report *report = &run->report;

    wire_tell(run->wire, &(struct wire_message){.type = WIRE_PROGRESS,
                                                .progress = {
                                                    .synced = report->synced,
                                                    .skipped = report->skipped,
                                                    .failed = report->failed,
                                                    .extra = report->extra,
                                                    .total_size = report->total_size,
                                                }});
}

/* Keeps in mind that the file does not say what it should. */
static void note_status(struct run *run, bool written, const struct error *error)
{
    run->status_stale = !written;
    if (written || run->status_told)
        return;
    log_warn("no status file: %s", error->text);
    run->status_told = true;
}

void run_save_status(struct run *run)
{
    struct error error = {.kind = ERROR_NONE};
    struct buf json;
    bool written = false;

    run->status_due = clock_mono() + STATUS_INTERVAL;
    tell_progress(run);
    if (run->report.dry_run || run->options->mode == MODE_VALIDATE)
        return;
    buf_init(&json, JSON_MAX);
    if (report_json(&run->report, true, &json) && !json.failed)
        written = status_write(run->settings->status_file, &json, &error);
    else
        error_set(&error, ERROR_LOCAL, "the status document does not fit into memory");
    note_status(run, written, &error);
    buf_free(&json);
}

/* Why this container ended, if it ends here: the application's reasons are its own (see main). */
static void save_reason(const struct run *run)
{
    struct buf text;

    if (run->report.dry_run)
        return;
    buf_init(&text, STATUS_TERMINATION_MAX);
    report_brief(&run->report, &text);
    status_termination_log(STATUS_TERMINATION_LOG, buf_str(&text));
    buf_free(&text);
}

static void tell_summary(enum mode mode, struct report *report)
{
    if (mode == MODE_VALIDATE)
        report_validation_summary(report);
    else
        report_summary(report);
}

bool run_finish(struct run *run, enum report_state state, const struct error *error)
{
    report_finish(&run->report, state, error, clock_wall());
    run_save_status(run);
    save_reason(run);
    tell_summary(run->options->mode, &run->report);
    return error->kind == ERROR_NONE;
}

static enum report_state state_of_failure(const struct error *error)
{
    return error->kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED;
}

void run_tell_for(enum mode mode, const struct error *error)
{
    struct report report;

    report_init(&report, clock_wall());
    report_finish(&report, state_of_failure(error), error, clock_wall());
    tell_summary(mode, &report);
    report_free(&report);
}

void run_save_for(struct run *run, const struct wire_progress *progress, const struct error *error)
{
    struct report *report = &run->report;

    report->synced = progress->synced;
    report->skipped = progress->skipped;
    report->failed = progress->failed;
    report->extra = progress->extra;
    report->total_size = progress->total_size;
    report_finish(report, state_of_failure(error), error, clock_wall());
    run_save_status(run);
    save_reason(run);
}
