#include "metrics.h"

#include "clock.h"
#include "utf8.h"
#include "version.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- figures ---- */

void metrics_take(struct metrics_run *run, const struct report *report)
{
    const struct report_validation *validation = &report->validation;

    *run = (struct metrics_run){
        .mode = report->mode,
        .dry_run = report->dry_run,
        .state = report->state,
        .started = report->started,
        .finished = report->finished,
        .exit_code = report_exit_code(report),
        .copied = report->synced,
        .skipped = report->skipped,
        .gone = report->gone,
        .kept = report->kept,
        .deleted = report->deleted,
        .failed = report->failed,
        .extra = report->extra,
        .overwritten = report->overwritten,
        .bytes = report->total_size,
        .checked = validation->checked,
        .missing = validation->lists[REPORT_MISSING].count,
        .different = validation->lists[REPORT_MISMATCHED].count,
        .extra_checked = validation->lists[REPORT_EXTRA].count,
        .unknown = validation->changed,
    };
}

static enum metrics_result metrics_result_of(const struct metrics_run *run)
{
    if (run->state == REPORT_INTERRUPTED)
        return METRICS_INTERRUPTED;
    if (run->state == REPORT_PARTIAL)
        return METRICS_PARTIAL;
    return report_state_healthy(run->state) ? METRICS_SUCCESS : METRICS_FAILED;
}

void metrics_count(struct metrics_resident *resident, const struct metrics_run *run)
{
    struct metrics_run *total = &resident->total;

    resident->runs[run->dry_run ? REPORT_MODES : run->mode][metrics_result_of(run)]++;
    if (run->dry_run)
        return;
    total->copied += run->copied;
    total->skipped += run->skipped;
    total->gone += run->gone;
    total->kept += run->kept;
    total->deleted += run->deleted;
    total->failed += run->failed;
    total->overwritten += run->overwritten;
    total->bytes += run->bytes;
}

/* ---- text ---- */

struct writer {
    char *out;
    size_t room, len;
    const char *sync;
    bool full;
};

static void put(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...)
{
    size_t left = writer->room - writer->len;
    va_list arguments;
    int len;

    va_start(arguments, format);
    len = vsnprintf(writer->out + writer->len, left, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= left)
        writer->full = true;
    else
        writer->len += (size_t)len;
}

/* One byte that is not UTF-8 would cost all the figures. */
static void put_escaped(struct writer *writer, const char *text)
{
    uint32_t code;
    size_t len;

    for (; *text != '\0'; text += len) {
        len = utf8_decode(text, strlen(text), &code);
        if (len == 0)
            put(writer, "\xEF\xBF\xBD");
        else if (code == '\n')
            put(writer, "\\n");
        else
            put(writer, "%s%.*s", code == '\\' || code == '"' ? "\\" : "", (int)len, text);
        len = len == 0 ? 1 : len;
    }
}

static void family(struct writer *writer, const char *name, const char *type, const char *help)
{
    put(writer, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* The most that a series has of its own: name, value, name, ... NULL. */
#define LABELS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void put_labels(struct writer *writer, const char *name, const char *const *labels)
{
    const char *between = "{";

    put(writer, "%s", name);
    if (writer->sync != NULL && *writer->sync != '\0') {
        put(writer, "{sync=\"");
        put_escaped(writer, writer->sync);
        put(writer, "\"");
        between = ",";
    }
    for (; labels[0] != NULL; labels += 2) {
        put(writer, "%s%s=\"", between, labels[0]);
        put_escaped(writer, labels[1]);
        put(writer, "\"");
        between = ",";
    }
    put(writer, "%s ", *between == ',' ? "}" : "");
}

static void sample(struct writer *writer, const char *name, const char *const *labels, uint64_t value)
{
    put_labels(writer, name, labels);
    put(writer, "%" PRIu64 "\n", value);
}

/* Of milliseconds; what is not known has no series. */
static void sample_seconds(struct writer *writer, const char *name, const char *const *labels, int64_t ms)
{
    if (ms == CLOCK_UNKNOWN)
        return;
    ms = ms > 0 ? ms : 0;
    put_labels(writer, name, labels);
    put(writer, "%" PRId64 ".%03d\n", ms / 1000, (int)(ms % 1000));
}

/* ---- what a run did ---- */

struct figure {
    const char *name;
    size_t at; /* in struct metrics_run */
};
#define FIGURE(name, member)                                                                                 \
    {                                                                                                        \
        name, offsetof(struct metrics_run, member)                                                           \
    }

static const struct figure outcomes[] = {
    FIGURE("copied", copied),
    FIGURE("skipped", skipped),
    FIGURE("gone", gone),
    FIGURE("kept", kept),
    FIGURE("deleted", deleted),
    FIGURE("failed", failed),
    {NULL, 0},
};
static const struct figure conflicts[] = {
    FIGURE("overwritten", overwritten), FIGURE("kept", kept), {NULL, 0}};
static const struct figure findings[] = {
    FIGURE("checked", checked),     FIGURE("missing", missing), FIGURE("different", different),
    FIGURE("extra", extra_checked), FIGURE("unknown", unknown), {NULL, 0},
};

/* `mode` is the first label, unless it is NULL. */
static void figures_of(struct writer *writer, const char *name, const char *label, const char *mode,
                       const struct figure *figure, const struct metrics_run *run)
{
    for (; figure->name != NULL; figure++) {
        uint64_t value;

        memcpy(&value, (const char *)run + figure->at, sizeof value);
        sample(writer, name,
               mode != NULL ? LABELS("mode", mode, label, figure->name) : LABELS(label, figure->name), value);
    }
}

static const char *metrics_mode(const struct metrics_run *run)
{
    return run->dry_run ? "dry-run" : report_mode_name(run->mode);
}

/* ---- the last ones ---- */

struct last {
    const struct metrics_run *run[2];
    int count;
};

/* One that took no time, or one whose clock was set back, took none. */
static int64_t duration_of(const struct metrics_run *run)
{
    return run->finished == CLOCK_UNKNOWN ? CLOCK_UNKNOWN : run->finished - run->started;
}

static void put_last_times(struct writer *writer, const struct last *last)
{
    static const struct {
        const char *name, *help;
    } times[] = {
        {"storsync_last_run_start_timestamp_seconds", "When the last run began."},
        {"storsync_last_run_end_timestamp_seconds", "When the last run ended."},
        {"storsync_last_run_duration_seconds", "How long the last run took."},
    };

    for (int i = 0; i < 3; i++) {
        family(writer, times[i].name, "gauge", times[i].help);
        for (int j = 0; j < last->count; j++) {
            const struct metrics_run *run = last->run[j];
            const int64_t values[] = {run->started, run->finished, duration_of(run)};

            sample_seconds(writer, times[i].name, LABELS("mode", metrics_mode(run)), values[i]);
        }
    }
}

static void put_last_end(struct writer *writer, const struct last *last)
{
    static const char success[] = "storsync_last_run_success", state[] = "storsync_last_run_state",
                      code[] = "storsync_last_run_exit_code";

    family(writer, success, "gauge", "Whether the last run ended as it should: nothing failed.");
    for (int i = 0; i < last->count; i++)
        sample(writer, success, LABELS("mode", metrics_mode(last->run[i])),
               report_state_healthy(last->run[i]->state));
    family(writer, state, "gauge", "How the last run ended: 1 for its state, 0 for all others.");
    for (int i = 0; i < last->count; i++)
        for (enum report_state each = REPORT_SYNCED; each <= REPORT_INTERRUPTED; each++)
            sample(writer, state,
                   LABELS("mode", metrics_mode(last->run[i]), "state", report_state_name(each)),
                   each == last->run[i]->state);
    family(writer, code, "gauge", "Exit code of the last run, before on_failure forgives it.");
    for (int i = 0; i < last->count; i++)
        sample(writer, code, LABELS("mode", metrics_mode(last->run[i])), (uint64_t)last->run[i]->exit_code);
}

static void put_last_synced(struct writer *writer, const struct metrics_run *run)
{
    static const char objects[] = "storsync_last_run_objects", conflict[] = "storsync_last_run_conflicts",
                      bytes[] = "storsync_last_run_copied_bytes", extra[] = "storsync_last_run_extra_objects";

    if (run == NULL)
        return;
    family(writer, objects, "gauge", "Objects at the source in the last run, by what became of them.");
    figures_of(writer, objects, "outcome", metrics_mode(run), outcomes, run);
    family(writer, conflict, "gauge",
           "Objects that production had changed, by what the last run did about them.");
    figures_of(writer, conflict, "resolution", metrics_mode(run), conflicts, run);
    family(writer, bytes, "gauge", "Size of the objects that the last run copied.");
    sample(writer, bytes, LABELS("mode", metrics_mode(run)), run->bytes);
    family(writer, extra, "gauge", "Objects that only the destination had in the last run.");
    sample(writer, extra, LABELS("mode", metrics_mode(run)), run->extra);
}

static void put_last_validation(struct writer *writer, const struct metrics_run *run)
{
    static const char name[] = "storsync_last_validation_objects";

    if (run == NULL)
        return;
    family(writer, name, "gauge", "Objects in the last validation, by what it found.");
    figures_of(writer, name, "finding", NULL, findings, run);
}

/* ---- the process that stays ---- */

static void put_running(struct writer *writer, const struct metrics_run *run)
{
    static const char active[] = "storsync_run_in_progress",
                      started[] = "storsync_run_start_timestamp_seconds", objects[] = "storsync_run_objects",
                      bytes[] = "storsync_run_copied_bytes";

    family(writer, active, "gauge", "Whether a run is under way.");
    sample(writer, active, LABELS(NULL), run != NULL);
    if (run == NULL)
        return;
    family(writer, started, "gauge", "When the run that is under way began.");
    sample_seconds(writer, started, LABELS("mode", metrics_mode(run)), run->started);
    family(writer, objects, "gauge", "Objects that the run which is under way is done with.");
    figures_of(writer, objects, "outcome", metrics_mode(run), outcomes, run);
    family(writer, bytes, "gauge", "Size of the objects that the run which is under way has copied.");
    sample(writer, bytes, LABELS("mode", metrics_mode(run)), run->bytes);
}

static void put_counters(struct writer *writer, const struct metrics_resident *resident)
{
    static const char *const results[METRICS_RESULTS] = {"success", "partial", "failed", "interrupted"};
    static const char runs[] = "storsync_runs_total", objects[] = "storsync_objects_total",
                      conflict[] = "storsync_conflicts_total", bytes[] = "storsync_copied_bytes_total";

    family(writer, runs, "counter", "Runs that have ended since the process began.");
    for (int mode = 0; mode < METRICS_MODES; mode++)
        for (int result = 0; result < METRICS_RESULTS; result++)
            sample(writer, runs,
                   LABELS("mode", mode < REPORT_MODES ? report_mode_name((enum report_mode)mode) : "dry-run",
                          "result", results[result]),
                   resident->runs[mode][result]);
    family(writer, objects, "counter", "Objects at the source in all those runs, by what became of them.");
    figures_of(writer, objects, "outcome", NULL, outcomes, &resident->total);
    family(writer, conflict, "counter", "Objects that production had changed, by what was done about them.");
    figures_of(writer, conflict, "resolution", NULL, conflicts, &resident->total);
    family(writer, bytes, "counter", "Size of the objects that were copied.");
    sample(writer, bytes, LABELS(NULL), resident->total.bytes);
}

static void put_resident(struct writer *writer, const struct metrics_resident *resident)
{
    static const char started[] = "process_start_time_seconds", running[] = "storsync_application_running";

    if (resident == NULL)
        return;
    family(writer, started, "gauge", "When this process began.");
    sample_seconds(writer, started, LABELS(NULL), resident->started);
    if (resident->has_application) {
        family(writer, running, "gauge", "Whether the application runs.");
        sample(writer, running, LABELS(NULL), resident->application_running);
    }
    put_running(writer, resident->running);
    put_counters(writer, resident);
}

/* ---- all of it ---- */

static const char *known_or_empty(const char *text)
{
    return text != NULL ? text : "";
}

static void put_who(struct writer *writer, const struct metrics *metrics)
{
    static const char build[] = "storsync_build_info", info[] = "storsync_info";

    family(writer, build, "gauge", "The program; always 1.");
    sample(writer, build, LABELS("version", STORSYNC_VERSION), 1);
    family(writer, info, "gauge", "What is synced; always 1.");
    sample(writer, info,
           LABELS("environment", known_or_empty(metrics->environment), "deployment_id",
                  known_or_empty(metrics->deployment_id), "source", known_or_empty(metrics->source),
                  "destination", known_or_empty(metrics->destination)),
           1);
}

static void put_plan(struct writer *writer, const struct metrics *metrics)
{
    static const char success[] = "storsync_last_success_timestamp_seconds",
                      next[] = "storsync_next_run_timestamp_seconds";

    if (metrics->last_success != CLOCK_UNKNOWN) {
        family(writer, success, "gauge", "When a run ended that had synced everything.");
        sample_seconds(writer, success, LABELS(NULL), metrics->last_success);
    }
    if (metrics->next_sync == CLOCK_UNKNOWN && metrics->next_validation == CLOCK_UNKNOWN)
        return;
    family(writer, next, "gauge", "When the next run begins, by the schedule.");
    sample_seconds(writer, next, LABELS("mode", report_mode_name(REPORT_SYNC)), metrics->next_sync);
    sample_seconds(writer, next, LABELS("mode", report_mode_name(REPORT_VALIDATE)), metrics->next_validation);
}

size_t metrics_render(const struct metrics *metrics, char *out, size_t room)
{
    struct writer writer = {.out = out, .room = room, .sync = metrics->sync, .full = room == 0};
    struct last last = {.count = 0};

    if (writer.full)
        return 0;
    out[0] = '\0';
    if (metrics->last_sync != NULL)
        last.run[last.count++] = metrics->last_sync;
    if (metrics->last_validation != NULL)
        last.run[last.count++] = metrics->last_validation;
    if (!metrics->beside) {
        put_who(&writer, metrics);
        put_plan(&writer, metrics);
    }
    if (last.count > 0) {
        put_last_times(&writer, &last);
        put_last_end(&writer, &last);
    }
    put_last_synced(&writer, metrics->last_sync);
    put_last_validation(&writer, metrics->last_validation);
    put_resident(&writer, metrics->resident);
    return writer.full ? 0 : writer.len;
}
