#include "run_status.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "status.h"

#define INTERVAL 2000 /* ms */

/* Is this something to tell about now? Then the next interval begins. */
static bool is_due(const struct report_event *event, int64_t *due)
{
    switch (event->kind) {
    case REPORT_EVENT_STARTING:
    case REPORT_EVENT_WAITING:
    case REPORT_EVENT_BEGUN:
    case REPORT_EVENT_FINISHED:
        break;
    case REPORT_EVENT_TICK:
        if (clock_mono() >= *due)
            break;
        return false;
    default:
        return false;
    }
    *due = clock_mono() + INTERVAL;
    return true;
}

/* ---- the supervisor ---- */

static void tell_supervisor(void *ctx, const struct report *report, const struct report_event *event)
{
    struct run_supervisor *supervisor = ctx;

    if (!is_due(event, &supervisor->due))
        return;
    wire_tell(supervisor->wire, &(struct wire_message){.type = WIRE_PROGRESS,
                                                       .progress = {
                                                           .synced = report->synced,
                                                           .skipped = report->skipped,
                                                           .failed = report->failed,
                                                           .extra = report->extra,
                                                           .deleted = report->deleted,
                                                           .total_size = report->total_size,
                                                       }});
}

void run_supervisor_listen(struct run_supervisor *supervisor, struct report *report, const struct wire *wire)
{
    *supervisor =
        (struct run_supervisor){.listener = {.event = tell_supervisor, .ctx = supervisor}, .wire = wire};
    report_listen(report, &supervisor->listener);
}

/* ---- the status file ---- */

/* Keeps in mind that the file does not say what it should. */
static void note_result(struct run_status *status, bool written, const struct error *error)
{
    status->stale = !written;
    if (written || status->told)
        return;
    log_warn("no status file: %s", error->text);
    status->told = true;
}

static void save_status(struct run_status *status, const struct report *report)
{
    struct error error = {.kind = ERROR_NONE};
    struct buf json;
    bool written = false;

    buf_init(&json, JSON_MAX);
    if (report_json(report, true, &json) && !json.failed)
        written = report->by_hand ? status_write_by_hand(status->path, &json, &error)
                                  : status_write(status->path, &json, &error);
    else
        error_set(&error, ERROR_LOCAL, "the status document does not fit into memory");
    note_result(status, written, &error);
    buf_free(&json);
}

/* Why this container ended, if it ends here: the application's reasons are its own (see worker.c). */
static void save_reason(const struct report *report)
{
    struct buf text;

    buf_init(&text, STATUS_TERMINATION_MAX);
    report_brief(report, &text);
    status_termination_log(STATUS_TERMINATION_LOG, buf_str(&text));
    buf_free(&text);
}

static void write_down(void *ctx, const struct report *report, const struct report_event *event)
{
    struct run_status *status = ctx;

    if (report->dry_run || !is_due(event, &status->due))
        return;
    if (report->mode != REPORT_VALIDATE)
        save_status(status, report);
    if (event->kind == REPORT_EVENT_FINISHED && !report->asked)
        save_reason(report);
}

/* Before it is replaced. */
static void remember(struct report *report, const char *path)
{
    struct error ignored;
    struct buf json;

    buf_init(&json, JSON_MAX);
    if (status_read(path, &json, NULL, &ignored))
        report_remember(report, buf_str(&json), json.len);
    buf_free(&json);
}

void run_status_listen(struct run_status *status, struct report *report, const char *path)
{
    remember(report, path);
    *status = (struct run_status){.listener = {.event = write_down, .ctx = status}, .path = path};
    report_listen(report, &status->listener);
}

void run_status_end(struct run_status *status, const struct report *report)
{
    if (status->stale)
        save_status(status, report);
}
