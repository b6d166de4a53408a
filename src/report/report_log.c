#include "report_log.h"

#include "report_internal.h"

#include "clock.h"
#include "log.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_INTERVAL 200 /* ms */
#define RATE_INTERVAL 1000    /* ms */

static const char *environment_name(const struct report *report)
{
    return report->detection.production ? "production" : "development";
}

static bool is_validation(const struct report *report)
{
    return report->mode == REPORT_VALIDATE;
}

static const char *what_run(const struct report *report)
{
    return is_validation(report) ? "Validation" : report->mode == REPORT_ROLLBACK ? "Rollback" : "Sync";
}

static void blank_line(void)
{
    log_layout(LOG_PLAIN, "%s", "");
}

/* The key without the path, unless nothing would be left of it, or whole keys are shown. */
static const char *shown_key(const struct report *report, const char *key)
{
    size_t len = report->path != NULL && !is_validation(report) ? strlen(report->path) : 0;

    return len > 0 && strncmp(key, report->path, len) == 0 && key[len] != '\0' ? key + len : key;
}

/* ---- the beginning ---- */

static void log_environment(struct report_log *log, const struct report *report)
{
    const struct detection *found = &report->detection;
    bool by_default = strcmp(found->environment_source, "default") == 0;
    char deployment[sizeof found->deployment_id + sizeof found->deployment_source + 16] = "no deployment id";

    if (log->environment_shown)
        return;
    log->environment_shown = true;
    if (found->deployment_id[0] != '\0')
        snprintf(deployment, sizeof deployment, "deployment %s (%s)", found->deployment_id,
                 found->deployment_source);
    log_event(LOG_INFO, LOG_DIAGNOSTIC, "environment",
              LOG_FIELDS(LOG_STR("environment", environment_name(report)),
                         LOG_STR("environmentSource", found->environment_source),
                         LOG_STR("deploymentId", found->deployment_id),
                         LOG_STR("deploymentSource", found->deployment_source),
                         LOG_STR("platform", found->platform), LOG_STR("version", STORSYNC_VERSION)),
              "environment is %s because %s; %s%s%s", environment_name(report),
              by_default ? "nothing says otherwise" : found->environment_source, deployment,
              found->platform[0] != '\0' ? ", " : "", found->platform);
    if (found->warning[0] != '\0')
        log_warn("%s", found->warning);
}

/* Where it would have made a difference. */
static void log_hint(const struct report *report)
{
    const struct detection *found = &report->detection;
    bool counts = report->state == REPORT_SYNCED || report->state == REPORT_TOO_SOON;

    if (counts && report->mode == REPORT_DEPLOY && found->production && found->hint[0] != '\0')
        log_info("without a deployment id only the interval decides; on %s %s", found->platform, found->hint);
}

static void log_waiting(const struct report *report)
{
    log_event(LOG_INFO, LOG_DIAGNOSTIC, "waiting",
              LOG_FIELDS(LOG_STR("owner", report->waiting_for), LOG_NUM("epoch", report->waiting_epoch)),
              "waiting for replica %s, which is syncing", report->waiting_for);
}

static void log_lease(const struct report *report)
{
    if (report->lease == REPORT_ADVISORY)
        log_warn(
            "%s cannot create an object only if it is absent: two replicas that start together may both sync (harmless, but the work is done twice)",
            report->destination);
}

/* What a validation looks at. */
static void log_scope(const struct report_validation *validation)
{
    if (validation->percent == 100)
        log_layout(LOG_PLAIN, "Content: read where no hash compares it");
    else if (validation->percent > 0)
        log_layout(LOG_PLAIN, "Content: %u %% of what no hash compares is read (content_seed %" PRIu32 ")",
                   validation->percent, validation->seed);
    if (validation->strict)
        log_layout(LOG_PLAIN, "Strict: extra objects are differences");
}

static void log_header(struct report_log *log, const struct report *report)
{
    bool validation = is_validation(report);

    log_environment(log, report);
    log->header_shown = true;
    log_event(LOG_INFO, LOG_HEADING, validation ? "validation-started" : "sync-started",
              LOG_FIELDS(LOG_STR("mode", report_mode_name(report->mode)),
                         LOG_STR("environment", environment_name(report)), LOG_STR("source", report->source),
                         LOG_STR("destination", report->destination), LOG_FLAG("dryRun", report->dry_run),
                         LOG_STR("version", STORSYNC_VERSION)),
              "Production Storage %s", what_run(report));
    log_layout(LOG_PLAIN, "Environment: %s", environment_name(report));
    log_layout(LOG_PLAIN, "Source: %s", report->source);
    log_layout(LOG_PLAIN, "Destination: %s", report->destination);
    if (report->shard.count != 0)
        log_layout(LOG_PLAIN, "Shard: %d/%d", report->shard.index, report->shard.count);
    if (validation)
        log_scope(&report->validation);
    else
        log_layout(LOG_PLAIN, "Dry Run: %s", report->dry_run ? "YES" : "NO");
}

/* ---- objects ---- */

static void log_path(struct report_log *log, const struct report *report)
{
    const char *path = report->path;

    log->skipped_in_path = 0;
    blank_line();
    log_event(LOG_INFO, LOG_PLAIN, "path", LOG_FIELDS(LOG_STR("path", path)), "%s path: %s",
              is_validation(report) ? "Validating" : "Syncing",
              path[0] != '\0' ? path : "(the whole bucket)");
}

static void log_synced(const struct report *report, const struct report_event *event)
{
    char size[32];

    log_event(LOG_INFO, LOG_OK, report->dry_run ? "would-sync" : "synced",
              LOG_FIELDS(LOG_STR("key", event->key), LOG_NUM("size", event->size),
                         LOG_STR("reason", event->reason)),
              "%s: %s (%s)", report_deed(report), shown_key(report, event->key),
              report_size(event->size, size));
}

static void log_deleted(const struct report *report, const struct report_event *event)
{
    log_event(event->own ? LOG_WARN : LOG_INFO, LOG_SKIP, report->dry_run ? "would-remove" : "removed",
              LOG_FIELDS(LOG_STR("key", event->key), LOG_NUM("size", event->size),
                         LOG_STR("reason", event->reason)),
              "%s: %s (%s)", report->dry_run ? "Would remove" : "Removed", shown_key(report, event->key),
              event->reason);
}

/* Also what is gone, or changed. */
static void log_skipped(const struct report *report, const struct report_event *event)
{
    log_event(LOG_INFO, LOG_SKIP, "skipped",
              LOG_FIELDS(LOG_STR("key", event->key), LOG_STR("reason", event->reason)), "Skipped: %s (%s)",
              shown_key(report, event->key), event->reason);
}

/* What was changed in production: overwritten, or kept. */
static const char *conflict_word(const struct report *report, bool kept)
{
    if (report->dry_run)
        return kept ? "Would keep" : "Would overwrite";
    return kept ? "Kept" : "Overwrote";
}

static void log_conflict(const struct report *report, const struct report_event *event, const char *name)
{
    log_event(LOG_WARN, LOG_SKIP, name,
              LOG_FIELDS(LOG_STR("key", event->key), LOG_STR("reason", event->reason)), "%s: %s (%s)",
              conflict_word(report, event->kind == REPORT_EVENT_KEPT), shown_key(report, event->key),
              event->reason);
}

/* There may be millions of these. */
static void count_skipped(struct report_log *log, const struct report *report,
                          const struct report_event *event)
{
    log->skipped_in_path++;
    if (log->skipped_in_path <= REPORT_LOG_SKIPPED || log_enabled(LOG_DEBUG))
        log_skipped(report, event);
}

static void log_failed(const struct report *report, const struct report_event *event)
{
    const struct error *error = event->error;

    log_event(LOG_ERROR, LOG_FAIL, "failed",
              LOG_FIELDS(LOG_STR("key", event->key), LOG_STR("error", error->text),
                         LOG_STR("kind", error_kind_name(error->kind)), LOG_NUM("status", error->status),
                         LOG_NUM("httpStatus", error->status), LOG_STR("code", error->code),
                         LOG_STR("side", error->side != NULL ? error->side : ""),
                         LOG_STR("requestId", error->request_id)),
              "Failed: %s (%s)", shown_key(report, event->key), error->text);
}

/* How long a beginning two keys share. */
static size_t shared_length(const char *a, const char *b)
{
    size_t len = 0;

    while (a[len] != '\0' && a[len] == b[len])
        len++;
    return len;
}

/* Where failures like this one are counted; NULL: there are too many reasons. */
static struct report_log_reason *reason_of(struct report_log *log, const struct error *error)
{
    for (int i = 0; i < REPORT_LOG_REASONS; i++) {
        struct report_log_reason *reason = &log->reasons[i];

        if (reason->count == 0) {
            *reason = (struct report_log_reason){.kind = error->kind, .status = error->status};
            memcpy(reason->code, error->code, sizeof reason->code);
            return reason;
        }
        if (reason->kind == error->kind && reason->status == error->status &&
            strcmp(reason->code, error->code) == 0)
            return reason;
    }
    return NULL;
}

/* There may be millions of these, too. */
static void count_failed(struct report_log *log, const struct report *report,
                         const struct report_event *event)
{
    struct report_log_reason *reason = reason_of(log, event->error);
    size_t shared;

    if (reason == NULL || ++reason->count <= REPORT_LOG_FAILED || log_enabled(LOG_DEBUG)) {
        log_failed(report, event);
        return;
    }
    if (reason->count == REPORT_LOG_FAILED + 1) {
        snprintf(reason->key, sizeof reason->key, "%s", event->key);
        reason->shared = strlen(reason->key);
    }
    shared = shared_length(reason->key, event->key);
    if (shared < reason->shared)
        reason->shared = shared;
}

/* One line for all that had none. */
static void log_failed_more(const struct report_log_reason *reason)
{
    uint64_t more = reason->count - REPORT_LOG_FAILED;
    char http[24] = "", prefix[OBJECT_KEY_MAX + 1];

    if (reason->status != 0)
        snprintf(http, sizeof http, ", HTTP %d", reason->status);
    snprintf(prefix, sizeof prefix, "%.*s", (int)reason->shared, reason->key);
    log_event(LOG_ERROR, LOG_FAIL, "failed-more",
              LOG_FIELDS(LOG_NUM("count", more), LOG_STR("prefix", prefix), LOG_STR("firstKey", reason->key),
                         LOG_STR("kind", error_kind_name(reason->kind)),
                         LOG_NUM("httpStatus", reason->status), LOG_STR("code", reason->code)),
              "Failed: %" PRIu64
              " more that begin with \"%s\" (\"%s\" and so on), like the first %d (%s%s%s%s)",
              more, prefix, reason->key, REPORT_LOG_FAILED, error_kind_name(reason->kind), http,
              reason->code[0] != '\0' ? " " : "", reason->code);
}

static void log_path_end(struct report_log *log)
{
    uint64_t more = log->skipped_in_path - REPORT_LOG_SKIPPED;

    log->progress_shown = 0;
    log_transient(NULL);
    for (int i = 0; i < REPORT_LOG_REASONS; i++) {
        if (log->reasons[i].count > REPORT_LOG_FAILED && !log_enabled(LOG_DEBUG))
            log_failed_more(&log->reasons[i]);
        log->reasons[i].count = 0;
    }
    if (log->skipped_in_path > REPORT_LOG_SKIPPED && !log_enabled(LOG_DEBUG))
        log_event(LOG_INFO, LOG_SKIP, "skipped-more", LOG_FIELDS(LOG_NUM("count", more)),
                  "Skipped: %" PRIu64 " more", more);
}

static void log_nothing(const struct report *report, const struct settings *settings)
{
    struct buf paths;

    buf_init(&paths, 1024);
    for (int i = 0; i < settings_part_count(settings); i++)
        buf_printf(&paths, "%s\"%s\"", i > 0 ? ", " : "", settings_part(settings, i));
    log_warn(
        "the source %s has no objects under %s%s: check bucket and paths (public_object_search_paths, private_object_dir)%s",
        report->source, buf_str(&paths),
        settings_filter(settings) != NULL ? " that the filters let through (exclude, include, filter_file)"
                                          : "",
        is_validation(report) ? "" : "; nothing is marked as synced");
    buf_free(&paths);
}

/* ---- the end ---- */

/* Something that needs attention is shown at every level that shows such things. */
static enum log_level result_level(const struct report *report)
{
    if (report->state == REPORT_FAILED || report->state == REPORT_INTERRUPTED)
        return LOG_ERROR;
    return report->state == REPORT_PARTIAL ? LOG_WARN : LOG_INFO;
}

static void log_result(const struct report_log *log, const struct report *report, const char *event,
                       const char *what, const char *remark)
{
    const struct error *error = &report->error;
    const struct log_field *fields = LOG_FIELDS(
        LOG_STR("state", report_state_name(report->state)), LOG_STR("result", report->message),
        LOG_NUM("exitCode", report_exit_code(report)), LOG_STR("kind", error_kind_name(error->kind)),
        LOG_STR("code", error->code), LOG_NUM("httpStatus", error->status),
        LOG_STR("side", error->side != NULL ? error->side : ""), LOG_STR("requestId", error->request_id),
        LOG_NUM("durationMs", report->finished - report->started));
    enum log_level level = result_level(report);

    if (!log->header_shown)
        log_event(level, LOG_DIAGNOSTIC, event, fields, "%s", report->message);
    else if (report->state == REPORT_FAILED)
        log_event(level, LOG_HEADING, event, fields, "%s Failed: %s", what, report->message);
    else if (report->state == REPORT_INTERRUPTED)
        log_event(level, LOG_HEADING, event, fields, "%s Interrupted: %s", what, report->message);
    else
        log_event(level, LOG_HEADING, event, fields, "%s Complete%s%s", what, *remark != '\0' ? ": " : "",
                  remark);
}

static void log_figures(const struct report *report)
{
    char size[32];

    blank_line();
    log_event(LOG_INFO, LOG_HEADING, "summary",
              LOG_FIELDS(LOG_NUM("syncedFiles", report->synced), LOG_NUM("skippedFiles", report->skipped),
                         LOG_NUM("goneFiles", report->gone), LOG_NUM("failedFiles", report->failed),
                         LOG_NUM("overwrittenFiles", report->overwritten), LOG_NUM("keptFiles", report->kept),
                         LOG_NUM("deletedFiles", report->deleted), LOG_NUM("totalSize", report->total_size)),
              "%s Summary", what_run(report));
    log_layout(LOG_OK, "%s: %" PRIu64, report_deed(report), report->synced);
    log_layout(LOG_SKIP, "Skipped: %" PRIu64, report->skipped);
    if (report->gone > 0)
        log_layout(LOG_SKIP, "Gone: %" PRIu64, report->gone);
    if (report->overwritten > 0)
        log_layout(LOG_SKIP, "%s: %" PRIu64 " changed in production", conflict_word(report, false),
                   report->overwritten);
    if (report->kept > 0)
        log_layout(LOG_SKIP, "%s: %" PRIu64 " changed in production", conflict_word(report, true),
                   report->kept);
    if (report->deleted > 0)
        log_layout(LOG_SKIP, "%s: %" PRIu64, report->dry_run ? "Would remove" : "Removed", report->deleted);
    log_layout(LOG_FAIL, "Failed: %" PRIu64, report->failed);
    log_layout(LOG_PLAIN, "Total Size: %s", report_size(report->total_size, size));
    blank_line();
}

static void log_end_of_sync(const struct report_log *log, const struct report *report)
{
    char remark[40] = "";

    if (log->header_shown)
        log_figures(report);
    if (report->failed > 0)
        snprintf(remark, sizeof remark, "%" PRIu64 " failed", report->failed);
    log_result(log, report, "sync-finished", what_run(report),
               report->state == REPORT_PARTIAL && report->failed == 0 ? report->message : remark);
}

/* ---- validation ---- */

static const char *const difference_words[] = {
    [REPORT_MISSING] = "Missing",
    [REPORT_MISMATCHED] = "Mismatched",
    [REPORT_EXTRA] = "Extra",
};

static const char *const difference_kinds[] = {
    [REPORT_MISSING] = "missing",
    [REPORT_MISMATCHED] = "mismatched",
    [REPORT_EXTRA] = "extra",
};

static enum log_style difference_style(const struct report *report, enum report_difference kind)
{
    return kind == REPORT_EXTRA && !report->validation.strict ? LOG_SKIP : LOG_FAIL;
}

static void log_difference(const struct report *report, const struct report_event *event)
{
    enum report_difference difference = event->difference;
    bool differs = difference == REPORT_MISMATCHED;
    char remark[48] = "";

    if (report->validation.lists[difference].count > REPORT_DIFFERENCES_MAX)
        return;
    if (differs)
        snprintf(remark, sizeof remark, " (%s)", event->reason);
    log_event(LOG_INFO, difference_style(report, difference), "difference",
              LOG_FIELDS(LOG_STR("kind", difference_kinds[difference]), LOG_STR("key", event->key),
                         LOG_STR("reason", differs ? event->reason : "")),
              "%s: %s%s", difference_words[difference], event->key, remark);
}

static void log_comparison(const struct report *report)
{
    const struct report_validation *validation = &report->validation;
    const struct report_list *lists = validation->lists;
    char size[32];

    blank_line();
    log_event(
        LOG_INFO, LOG_HEADING, "validation-summary",
        LOG_FIELDS(LOG_FLAG("valid", report_valid(report)), LOG_NUM("checkedFiles", validation->checked),
                   LOG_NUM("hashedFiles", validation->hashed), LOG_NUM("readFiles", validation->read),
                   LOG_NUM("unhashedFiles", validation->unhashed),
                   LOG_NUM("changedFiles", validation->changed), LOG_NUM("bytesRead", validation->bytes),
                   LOG_NUM("contentPercent", validation->percent), LOG_NUM("contentSeed", validation->seed),
                   LOG_FLAG("strict", validation->strict),
                   LOG_NUM("missingFiles", lists[REPORT_MISSING].count),
                   LOG_NUM("mismatchedFiles", lists[REPORT_MISMATCHED].count),
                   LOG_NUM("extraFiles", lists[REPORT_EXTRA].count)),
        "Validation Summary");
    log_layout(LOG_PLAIN, "Checked: %" PRIu64, validation->checked);
    log_layout(LOG_PLAIN, "By hash: %" PRIu64, validation->hashed);
    if (validation->percent > 0)
        log_layout(LOG_PLAIN, "By reading: %" PRIu64 " (%s)", validation->read,
                   report_size(validation->bytes, size));
    if (validation->unhashed > 0)
        log_layout(LOG_PLAIN, "By size and time only: %" PRIu64, validation->unhashed);
    if (validation->changed > 0)
        log_layout(LOG_SKIP, "Changed meanwhile: %" PRIu64, validation->changed);
    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        log_layout(difference_style(report, (enum report_difference)i), "%s: %" PRIu64, difference_words[i],
                   lists[i].count);
    blank_line();
}

static void log_end_of_validation(const struct report_log *log, const struct report *report)
{
    const struct report_list *lists = report->validation.lists;
    uint64_t extra = lists[REPORT_EXTRA].count;
    uint64_t differences = lists[REPORT_MISSING].count + lists[REPORT_MISMATCHED].count;
    char verdict[48] = "equal", more[32] = "", remark[80];

    if (log->header_shown)
        log_comparison(report);
    if (report->validation.strict)
        differences += extra;
    else if (extra > 0)
        snprintf(more, sizeof more, ", %" PRIu64 " extra", extra);
    if (differences > 0)
        snprintf(verdict, sizeof verdict, "%" PRIu64 " difference%s", differences,
                 differences == 1 ? "" : "s");
    snprintf(remark, sizeof remark, "%s%s", verdict, more);
    log_result(log, report, "validation-finished", "Validation", remark);
}

static void log_duration(const struct report *report)
{
    int64_t ms = report->finished - report->started;

    log_layout(LOG_DIAGNOSTIC, "took %" PRId64 ".%" PRId64 " s (version %s)", ms / 1000, ms % 1000 / 100,
               STORSYNC_VERSION);
}

static void log_finished(const struct report_log *log, const struct report *report)
{
    if (log->header_shown)
        log_duration(report);
    if (is_validation(report))
        log_end_of_validation(log, report);
    else
        log_end_of_sync(log, report);
    log_hint(report);
}

/* ---- progress ---- */

/* Bytes a second, of the last second or so. */
static uint64_t rate_of(struct report_log *log, const struct report *report, int64_t now)
{
    struct report_log_rate *rate = &log->rate;

    if (now - rate->since >= RATE_INTERVAL || report->moved < rate->moved) {
        bool known = rate->since != 0 && report->moved >= rate->moved;

        rate->per_second = known ? (report->moved - rate->moved) * 1000 / (uint64_t)(now - rate->since) : 0;
        rate->since = now;
        rate->moved = report->moved;
    }
    return rate->per_second;
}

/* On a terminal: one line that is rewritten at most five times a second. */
static void show_progress(struct report_log *log, const struct report *report)
{
    int64_t now = clock_mono();
    char size[32], rate[32];
    char line[160];

    if (!log_enabled(LOG_INFO) || now - log->progress_shown < PROGRESS_INTERVAL)
        return;
    log->progress_shown = now;
    if (report->state == REPORT_STARTING)
        snprintf(line, sizeof line, "  asking the buckets");
    else if (report->state == REPORT_WAITING)
        snprintf(line, sizeof line, "  waiting for replica %.100s", report->waiting_for);
    else if (is_validation(report))
        snprintf(line, sizeof line,
                 "  %" PRIu64 " compared, %" PRIu64 " of them read; %d under way, %s, %s/s",
                 report->validation.checked, report->validation.read, report->active,
                 report_size(report->moved, size), report_size(rate_of(log, report, now), rate));
    else
        snprintf(line, sizeof line,
                 "  %" PRIu64 " synced, %" PRIu64 " skipped, %" PRIu64 " failed; %d under way, %s, %s/s",
                 report->synced, report->skipped, report->failed, report->active,
                 report_size(report->moved, size), report_size(rate_of(log, report, now), rate));
    log_transient(line);
}

/* A run that goes on is not silent, wherever its log is read. */
static void log_still(struct report_log *log, const struct report *report)
{
    int64_t now = clock_mono();
    uint64_t moved = report->moved >= log->told_moved ? report->moved - log->told_moved : 0;
    uint64_t objects = is_validation(report) ? report->validation.checked : report->listed;
    char size[32], rate[32], what[REPORT_AWAITED_SIZE];

    if (now - log->told < REPORT_LOG_SILENCE)
        return;
    moved = moved * 1000 / (uint64_t)(now - log->told);
    log_event(LOG_INFO, LOG_DIAGNOSTIC, "progress",
              LOG_FIELDS(LOG_NUM("objects", objects), LOG_NUM("syncedFiles", report->synced),
                         LOG_NUM("skippedFiles", report->skipped), LOG_NUM("failedFiles", report->failed),
                         LOG_NUM("bytes", report->moved), LOG_NUM("bytesPerSecond", moved),
                         LOG_STR("waitingFor", report_awaited(report, what))),
              "still going on: %" PRIu64 " objects looked at, %" PRIu64 " synced, %" PRIu64
              " failed, %s moved, %s/s; waiting for %s",
              objects, report->synced, report->failed, report_size(report->moved, size),
              report_size(moved, rate), report_awaited(report, what));
    log->told = now;
    log->told_moved = report->moved;
}

/* ---- the listener ---- */

static void on_event(void *ctx, const struct report *report, const struct report_event *event)
{
    struct report_log *log = ctx;

    switch (event->kind) {
    case REPORT_EVENT_ENVIRONMENT:
        log_environment(log, report);
        break;
    case REPORT_EVENT_WAITING:
        log_waiting(report);
        break;
    case REPORT_EVENT_LEASED:
        log_lease(report);
        break;
    case REPORT_EVENT_BEGUN:
        log_header(log, report);
        break;
    case REPORT_EVENT_PATH:
        log_path(log, report);
        break;
    case REPORT_EVENT_SYNCED:
        log_synced(report, event);
        break;
    case REPORT_EVENT_SKIPPED:
        count_skipped(log, report, event);
        break;
    case REPORT_EVENT_GONE:
    case REPORT_EVENT_CHANGED:
        log_skipped(report, event);
        break;
    case REPORT_EVENT_OVERWRITTEN:
        log_conflict(report, event, report->dry_run ? "would-overwrite" : "overwritten");
        break;
    case REPORT_EVENT_KEPT:
        log_conflict(report, event, report->dry_run ? "would-keep" : "kept");
        break;
    case REPORT_EVENT_DELETED:
        log_deleted(report, event);
        break;
    case REPORT_EVENT_FAILED:
        count_failed(log, report, event);
        break;
    case REPORT_EVENT_DIFFERENCE:
        log_difference(report, event);
        break;
    case REPORT_EVENT_PATH_END:
        log_path_end(log);
        break;
    case REPORT_EVENT_NOTHING:
        log_nothing(report, event->settings);
        break;
    case REPORT_EVENT_PROGRESS:
        show_progress(log, report);
        break;
    case REPORT_EVENT_FINISHED:
        log_transient(NULL);
        log_finished(log, report);
        break;
    case REPORT_EVENT_TICK:
        show_progress(log, report);
        log_still(log, report);
        break;
    case REPORT_EVENT_STARTING:
        break;
    }
}

void report_log_listen(struct report_log *log, struct report *report)
{
    *log = (struct report_log){.listener = {.event = on_event, .ctx = log}, .told = clock_mono()};
    report_listen(report, &log->listener);
}
