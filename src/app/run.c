#include "run.h"

#include "clock.h"
#include "concurrency.h"
#include "join.h"
#include "log.h"
#include "notify.h"
#include "report_log.h"
#include "stop.h"
#include "store_open.h"
#include "uri.h"

#include <stdio.h>
#include <string.h>

#define SHOWN_MAX ((size_t)16 * 1024)
#define CHECK_LIMIT (INT64_C(5) * 60 * 1000) /* ms; of --check-access, where there is no other */

static enum report_mode mode_of(const struct options *options)
{
    switch (options->mode) {
    case MODE_SYNC:
        return REPORT_SYNC;
    case MODE_VALIDATE:
        return REPORT_VALIDATE;
    case MODE_ROLLBACK:
        return REPORT_ROLLBACK;
    default:
        return REPORT_DEPLOY;
    }
}

/* The deadline is for the sake of an application that waits. A manual run that nothing waits for is only
 * limited if somebody asked for it. */
int64_t run_limit(const struct options *options, const struct settings *settings)
{
    bool answers = options->mode == MODE_CHECK_ACCESS || options->mode == MODE_RUNS;

    if (answers && settings->timeout == 0)
        return CHECK_LIMIT;
    if (options->mode == MODE_DEPLOY || answers || options->command != NULL ||
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

    *run = (struct run){.options = options, .settings = settings};
    report_init(report, clock_wall() - (clock_mono() - started));
    report->mode = mode_of(options);
    report->detection = *detection;
    report->dry_run = settings->dry_run != 0;
    if (options->mode == MODE_DEPLOY)
        report->shard = settings->share;
    report->asked = options->asked;
    report->by_hand = options->mode != MODE_DEPLOY && options->command == NULL && !options->asked;
    report->configured = !settings_is_default(settings, &settings->source.bucket) &&
                         !settings_is_default(settings, &settings->destination.bucket);
    show_bucket(settings->source.bucket, report->source, sizeof report->source);
    show_bucket(settings->destination.bucket, report->destination, sizeof report->destination);
    run_supervisor_listen(&run->supervisor, report, wire);
    if (options->mode != MODE_CHECK_ACCESS && options->mode != MODE_RUNS) { /* an answer is no run */
        run_status_listen(&run->status, report, settings->status_file);
        run_metrics_listen(&run->metrics, report, settings);
    }
    board_listen(&run->board, wire != NULL ? wire->board : NULL, report);
    if (options->serve || options->asked) {
        timetable_read(&run->timetable, settings);
        timetable_tell(&run->timetable, wire);
    }
    report->next_sync = timetable_next_sync(&run->timetable, clock_wall());
    if (limit != 0)
        stop_at(started + limit - notify_time(settings, limit));
}

void run_close(struct run *run)
{
    store_close(run->source);
    store_close(run->destination);
    loop_free(run->loop);
    run->source = NULL;
    run->destination = NULL;
    run->loop = NULL;
    run_status_end(&run->status, &run->report);
}

void run_notify(struct run *run, int64_t until)
{
    run_close(run);
    notify_run(run->settings, &run->report, until);
}

void run_end(struct run *run)
{
    run_close(run);
    board_end(&run->board);
    report_free(&run->report);
}

/* `ctx` is the run. */
static void tick(void *ctx)
{
    struct run *run = ctx;
    char host[HTTP_HOST_SIZE];

    snprintf(run->report.host, sizeof run->report.host, "%s", http_awaited(loop_http(run->loop), host));
    report_tick(&run->report);
}

/* What the bodies of all transfers may have waiting inside libcurl, about. Twice as much waits in their pipes. */
#define BUFFERS_MAX ((size_t)512 * 1024)

static bool make_loop(struct run *run, struct error *error)
{
    const struct settings *settings = run->settings;
    struct http_limits limits = {
        /* Both halves of every relay, both listings of every range, and what they all may wait for: the two sides'
         * credentials, and the lease. */
        .connections = concurrency_most(settings->concurrency) * 2 + JOIN_RANGES_MAX * 2 + 2,
        .connect_timeout = settings->connect_timeout,
        .stall_timeout = settings->stall_timeout,
        .request_timeout = settings->request_timeout,
        .retries = (int)settings->retries,
        .buffer = BUFFERS_MAX / (size_t)concurrency_usual(settings->concurrency),
        .max_requests = settings->max_requests,
        .max_bytes = settings->max_bytes,
    };

    run->loop = loop_new(&limits, error);
    if (run->loop == NULL)
        return false;
    loop_watch(run->loop, tick, run);
    return true;
}

/* A documented default is nothing to warn about at every start; who checks the configuration may have forgotten it. */
static void tell_notes(const struct run *run)
{
    const struct settings *settings = run->settings;
    bool checking = run->options->mode == MODE_CHECK_CONFIG;

    for (int i = 0; settings_note(settings, i) != NULL; i++)
        log_warn("%s", settings_note(settings, i));
    for (int i = 0; settings_assumption(settings, i) != NULL; i++)
        if (checking)
            log_warn("%s", settings_assumption(settings, i));
        else
            log_info("%s", settings_assumption(settings, i));
    if (settings_filter(settings) != NULL)
        log_info("filters leave something out (exclude, include, filter_file): --print-config shows them");
}

struct store *run_open_side(const struct run *run, const struct side *side, struct error *error)
{
    const struct report *report = &run->report;
    const char *shown = side == &run->settings->source ? report->source : report->destination;
    struct store *store = store_open(side, run->loop, error);
    char place[SETTINGS_PLACE_SIZE];

    if (store != NULL) {
        store_take_side(store, side);
        return store;
    }
    error_prefix(error, "%s %.100s (%s): ", side->role, shown, settings_place(side, &side->bucket, place));
    error->side = side->role;
    return NULL;
}

static bool open_stores(struct run *run, struct error *error)
{
    run->source = run_open_side(run, &run->settings->source, error);
    if (run->source == NULL)
        return false;
    run->destination = run_open_side(run, &run->settings->destination, error);
    if (run->destination == NULL)
        return false;
    snprintf(run->report.source, sizeof run->report.source, "%s", store_name(run->source));
    snprintf(run->report.destination, sizeof run->report.destination, "%s", store_name(run->destination));
    return store_same(run->source, run->destination) ||
           store_check_pair(run->source, run->destination, error);
}

bool run_open(struct run *run, struct error *error)
{
    tell_notes(run);
    return settings_usable(run->settings, error) && make_loop(run, error) && open_stores(run, error);
}

void run_finish(struct run *run, enum report_state state, const struct error *error)
{
    run->report.next_sync = timetable_next_sync(&run->timetable, clock_wall());
    report_finish(&run->report, state, error, clock_wall());
}

static enum report_state state_of_failure(const struct error *error)
{
    return error->kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED;
}

void run_tell_for(const struct options *options, const struct error *error)
{
    struct report report;
    struct report_log log;

    report_init(&report, clock_wall());
    report.mode = mode_of(options);
    report_log_listen(&log, &report);
    report_finish(&report, state_of_failure(error), error, clock_wall());
    report_free(&report);
}

void run_save_for(struct run *run, const struct wire_progress *progress, const struct error *error)
{
    struct report *report = &run->report;

    report->synced = progress->synced;
    report->skipped = progress->skipped;
    report->failed = progress->failed;
    report->extra = progress->extra;
    report->deleted = progress->deleted;
    report->total_size = progress->total_size;
    run_finish(run, state_of_failure(error), error);
}
