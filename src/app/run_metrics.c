#include "run_metrics.h"

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "replace.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* "storsync.prom" becomes "storsync.validate.prom": what reads the folder goes by the extension. */
static void name_for_validation(const char *path, char out[PATH_MAX])
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(slash != NULL ? slash : path, '.');
    size_t len = dot != NULL ? (size_t)(dot - path) : strlen(path);

    snprintf(out, PATH_MAX, "%.*s.validate%s", (int)len, path, path + len);
}

static int64_t last_success(const struct report *report)
{
    if (report->state == REPORT_SYNCED)
        return report->finished;
    return clock_parse_rfc3339(report->last.finished_at);
}

static bool render(const struct report *report, const struct settings *settings, struct buf *text)
{
    char out[METRICS_MAX];
    bool validates = report->mode == REPORT_VALIDATE;
    struct metrics_run run;

    metrics_take(&run, report);
    return buf_append(text, out,
                      metrics_render(
                          &(struct metrics){
                              .sync = settings->job,
                              .environment = report->detection.production ? "production" : "development",
                              .deployment_id = report->detection.deployment_id,
                              .source = report->source,
                              .destination = report->destination,
                              .last_sync = validates ? NULL : &run,
                              .last_validation = validates ? &run : NULL,
                              .last_success = last_success(report),
                              .next_sync = report->next_sync,
                              .next_validation = CLOCK_UNKNOWN,
                              .beside = validates,
                          },
                          out, sizeof out));
}

static void write_metrics(const struct run_metrics *metrics, const struct report *report)
{
    const char *path = metrics->settings->metrics_file;
    struct error error = {.kind = ERROR_NONE};
    char beside[PATH_MAX];
    struct buf text;

    if (report->mode == REPORT_VALIDATE) {
        name_for_validation(path, beside);
        path = beside;
    }
    buf_init(&text, METRICS_MAX);
    if (!render(report, metrics->settings, &text))
        error_set(&error, ERROR_LOCAL, "out of memory");
    if (error.kind != ERROR_NONE || !replace_file(path, "the metrics file", &text, &error))
        log_warn("no metrics: %s", error.text);
    buf_free(&text);
}

static void on_metrics_event(void *ctx, const struct report *report, const struct report_event *event)
{
    const struct run_metrics *metrics = ctx;

    if (event->kind == REPORT_EVENT_FINISHED && !report->dry_run && *metrics->settings->metrics_file != '\0')
        write_metrics(metrics, report);
}

void run_metrics_listen(struct run_metrics *metrics, struct report *report, const struct settings *settings)
{
    *metrics =
        (struct run_metrics){.listener = {.event = on_metrics_event, .ctx = metrics}, .settings = settings};
    report_listen(report, &metrics->listener);
}
