/* The lines of docs/LOG.md. Their wording and layout are an interface: people and scripts know them from the
 * system that this program replaces. */
#include "report.h"

#include "clock.h"
#include "json.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define PROGRESS_INTERVAL 200 /* ms */

static const char *environment_name(const struct report *report)
{
    return report->detection.production ? "production" : "development";
}

static bool is_validation(const struct report *report)
{
    return strcmp(report->mode, "validate") == 0;
}

static void blank_line(void)
{
    log_layout(LOG_PLAIN, "%s", "");
}

/* The key without the path, unless nothing would be left of it. */
static const char *shown_key(const char *path, const char *key)
{
    size_t len = strlen(path);

    return strncmp(key, path, len) == 0 && key[len] != '\0' ? key + len : key;
}

/* ---- the beginning ---- */

void report_environment(struct report *report)
{
    const struct detection *found = &report->detection;
    bool by_default = strcmp(found->environment_source, "default") == 0;
    char deployment[sizeof found->deployment_id + sizeof found->deployment_source + 16] = "no deployment id";

    if (report->environment_shown)
        return;
    report->environment_shown = true;
    if (found->deployment_id[0] != '\0')
        snprintf(deployment, sizeof deployment, "deployment %s (%s)", found->deployment_id,
                 found->deployment_source);
    log_event(LOG_INFO, LOG_DIAGNOSTIC, "environment",
              LOG_FIELDS(LOG_STR("environment", environment_name(report)),
                         LOG_STR("environmentSource", found->environment_source),
                         LOG_STR("deploymentId", found->deployment_id),
                         LOG_STR("deploymentSource", found->deployment_source),
                         LOG_STR("platform", found->platform)),
              "environment is %s because %s; %s%s%s", environment_name(report),
              by_default ? "nothing says otherwise" : found->environment_source, deployment,
              found->platform[0] != '\0' ? ", " : "", found->platform);
    if (found->warning[0] != '\0')
        log_warn("%s", found->warning);
    if (found->production && found->hint[0] != '\0')
        log_info("without a deployment id only the interval decides; on %s %s", found->platform, found->hint);
}

void report_waiting(struct report *report, const char *owner, int64_t epoch)
{
    report->state = REPORT_WAITING;
    snprintf(report->waiting_for, sizeof report->waiting_for, "%s", owner);
    log_event(LOG_INFO, LOG_DIAGNOSTIC, "waiting",
              LOG_FIELDS(LOG_STR("owner", owner), LOG_NUM("epoch", epoch)),
              "waiting for replica %s, which is syncing", owner);
}

void report_lease(struct report *report, bool advisory)
{
    snprintf(report->lease, sizeof report->lease, "%s", advisory ? "advisory" : "exclusive");
    if (advisory)
        log_warn(
            "%s cannot create an object only if it is absent: two replicas that start together may both sync (harmless, but the work is done twice)",
            report->destination);
}

void report_header(struct report *report)
{
    bool validation = is_validation(report);

    report_environment(report);
    report->header_shown = true;
    log_event(LOG_INFO, LOG_HEADING, validation ? "validation-started" : "sync-started",
              LOG_FIELDS(LOG_STR("mode", report->mode), LOG_STR("environment", environment_name(report)),
                         LOG_STR("source", report->source), LOG_STR("destination", report->destination),
                         LOG_FLAG("dryRun", report->dry_run)),
              "Production Storage %s", validation ? "Validation" : "Sync");
    log_layout(LOG_PLAIN, "Environment: %s", environment_name(report));
    log_layout(LOG_PLAIN, "Source: %s", report->source);
    log_layout(LOG_PLAIN, "Destination: %s", report->destination);
    if (!validation)
        log_layout(LOG_PLAIN, "Dry Run: %s", report->dry_run ? "YES" : "NO");
}

/* ---- objects ---- */

void report_path(struct report *report, const char *path)
{
    report->skipped_in_path = 0;
    blank_line();
    log_event(LOG_INFO, LOG_PLAIN, "path", LOG_FIELDS(LOG_STR("path", path)), "%s path: %s",
              is_validation(report) ? "Validating" : "Syncing",
              path[0] != '\0' ? path : "(the whole bucket)");
}

void report_synced(struct report *report, const char *path, const struct object_entry *entry,
                   const char *reason)
{
    char size[32];

    report->synced++;
    report->total_size += entry->size;
    log_event(LOG_INFO, LOG_OK, report->dry_run ? "would-sync" : "synced",
              LOG_FIELDS(LOG_STR("key", entry->key), LOG_NUM("size", entry->size), LOG_STR("reason", reason)),
              "%s: %s (%s)", report->dry_run ? "Would sync" : "Synced", shown_key(path, entry->key),
              report_size(entry->size, size));
}

void report_skipped(struct report *report, const char *path, const struct object_entry *entry,
                    const char *why)
{
    report->skipped++;
    report->skipped_in_path++;
    if (report->skipped_in_path > REPORT_SKIPPED_LINES && !log_enabled(LOG_DEBUG))
        return;
    log_event(LOG_INFO, LOG_SKIP, "skipped", LOG_FIELDS(LOG_STR("key", entry->key), LOG_STR("reason", why)),
              "Skipped: %s (%s)", shown_key(path, entry->key), why);
}

void report_gone(struct report *report, const char *path, const struct object_entry *entry)
{
    static const char why[] = "no longer at the source";

    report->gone++;
    log_event(LOG_INFO, LOG_SKIP, "skipped", LOG_FIELDS(LOG_STR("key", entry->key), LOG_STR("reason", why)),
              "Skipped: %s (%s)", shown_key(path, entry->key), why);
}

void report_failed(struct report *report, const char *path, const char *key, const struct error *error)
{
    report->failed++;
    if (report->failure_count < REPORT_ERRORS_MAX) {
        struct report_failure *failure = &report->failures[report->failure_count];

        failure->file = strdup(key);
        if (failure->file != NULL) {
            snprintf(failure->error, sizeof failure->error, "%s", error->text);
            report->failure_count++;
        }
    }
    log_event(LOG_ERROR, LOG_FAIL, "failed",
              LOG_FIELDS(LOG_STR("key", key), LOG_STR("error", error->text),
                         LOG_STR("kind", error_kind_name(error->kind)), LOG_NUM("status", error->status),
                         LOG_STR("code", error->code)),
              "Failed: %s (%s)", shown_key(path, key), error->text);
}

void report_path_end(struct report *report)
{
    if (report->skipped_in_path <= REPORT_SKIPPED_LINES || log_enabled(LOG_DEBUG))
        return;
    uint64_t more = report->skipped_in_path - REPORT_SKIPPED_LINES;
    log_event(LOG_INFO, LOG_SKIP, "skipped-more", LOG_FIELDS(LOG_NUM("count", more)),
              "Skipped: %" PRIu64 " more", more);
}

void report_nothing(const struct report *report, const struct settings *settings)
{
    struct buf paths;

    buf_init(&paths, 1024);
    for (int i = 0; i < settings_path_count(settings); i++)
        buf_printf(&paths, "%s\"%s\"", i > 0 ? ", " : "", settings_path(settings, i));
    log_warn(
        "the source %s has no objects under %s: check bucket and paths (public_object_search_paths, private_object_dir)%s",
        report->source, buf_str(&paths), is_validation(report) ? "" : "; nothing is marked as synced");
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

static void log_result(const struct report *report, const char *event, const char *what, const char *remark)
{
    const struct log_field *fields =
        LOG_FIELDS(LOG_STR("state", report_state_name(report->state)), LOG_STR("result", report->message));
    enum log_level level = result_level(report);

    if (!report->header_shown)
        log_event(level, LOG_DIAGNOSTIC, event, fields, "%s", report->message);
    else if (report->state == REPORT_FAILED)
        log_event(level, LOG_HEADING, event, fields, "%s Failed: %s", what, report->message);
    else if (report->state == REPORT_INTERRUPTED)
        log_event(level, LOG_HEADING, event, fields, "%s Interrupted: %s", what, report->message);
    else
        log_event(level, LOG_HEADING, event, fields, "%s Complete%s%s", what, *remark != '\0' ? ": " : "",
                  remark);
}

void report_summary(struct report *report)
{
    char size[32];
    char remark[40] = "";

    if (report->header_shown) {
        blank_line();
        log_event(LOG_INFO, LOG_HEADING, "summary",
                  LOG_FIELDS(LOG_NUM("syncedFiles", report->synced), LOG_NUM("skippedFiles", report->skipped),
                             LOG_NUM("goneFiles", report->gone), LOG_NUM("failedFiles", report->failed),
                             LOG_NUM("totalSize", report->total_size)),
                  "Sync Summary");
        log_layout(LOG_OK, "%s: %" PRIu64, report->dry_run ? "Would sync" : "Synced", report->synced);
        log_layout(LOG_SKIP, "Skipped: %" PRIu64, report->skipped);
        if (report->gone > 0)
            log_layout(LOG_SKIP, "Gone: %" PRIu64, report->gone);
        log_layout(LOG_FAIL, "Failed: %" PRIu64, report->failed);
        log_layout(LOG_PLAIN, "Total Size: %s", report_size(report->total_size, size));
        blank_line();
    }
    if (report->failed > 0)
        snprintf(remark, sizeof remark, "%" PRIu64 " failed", report->failed);
    log_result(report, "sync-finished", "Sync", remark);
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

static enum log_style difference_style(enum report_difference kind)
{
    return kind == REPORT_EXTRA ? LOG_SKIP : LOG_FAIL;
}

/* One element of a list: a key, or for what differs an object with the reason. */
static bool make_difference(enum report_difference kind, const char *key, const char *reason, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *value;
    bool ok = true;

    if (kind == REPORT_MISMATCHED) {
        value = yyjson_mut_obj(doc);
        ok = json_add_text(doc, value, "file", key) && json_add_text(doc, value, "reason", reason);
    } else {
        value = json_make_text(doc, key);
    }
    yyjson_mut_doc_set_root(doc, value);
    ok = ok && json_write(doc, false, out);
    yyjson_mut_doc_free(doc);
    return ok;
}

/* The list's JSON is a whole array after each: an element replaces the bracket at the end. */
static void list_difference(struct report_list *list, enum report_difference kind, const char *key,
                            const char *reason)
{
    struct buf tail;
    size_t keep = list->json.len > 0 ? list->json.len - 1 : 0;

    buf_init(&tail, REPORT_DETAILS_MAX);
    buf_putc(&tail, keep == 0 ? '[' : ',');
    make_difference(kind, key, reason, &tail);
    buf_putc(&tail, ']');
    if (!tail.failed && keep + tail.len <= REPORT_DETAILS_MAX) {
        size_t whole = list->json.len;
        list->json.len = keep;
        if (buf_append(&list->json, tail.data, tail.len))
            list->listed++;
        else
            list->json.len = whole;
    }
    buf_free(&tail);
}

void report_difference(struct report *report, enum report_difference kind, const char *key,
                       const char *reason, bool all)
{
    struct report_list *list = &report->validation.lists[kind];
    char remark[48] = "";

    /* Only while nothing was left out: the list is the first ones, without gaps. */
    if (list->listed == list->count && (all || list->count < REPORT_DIFFERENCES_MAX))
        list_difference(list, kind, key, reason);
    if (++list->count > REPORT_DIFFERENCES_MAX)
        return;
    if (kind == REPORT_MISMATCHED)
        snprintf(remark, sizeof remark, " (%s)", reason);
    log_event(LOG_INFO, difference_style(kind), "difference",
              LOG_FIELDS(LOG_STR("kind", difference_kinds[kind]), LOG_STR("key", key),
                         LOG_STR("reason", kind == REPORT_MISMATCHED ? reason : "")),
              "%s: %s%s", difference_words[kind], key, remark);
}

void report_validation_summary(struct report *report)
{
    const struct report_validation *validation = &report->validation;
    const struct report_list *lists = validation->lists;
    uint64_t differences =
        lists[REPORT_MISSING].count + lists[REPORT_MISMATCHED].count + lists[REPORT_EXTRA].count;
    char remark[48] = "equal";

    if (report->header_shown) {
        blank_line();
        log_event(LOG_INFO, LOG_HEADING, "validation-summary",
                  LOG_FIELDS(LOG_FLAG("valid", report_valid(report)),
                             LOG_NUM("checkedFiles", validation->checked),
                             LOG_NUM("unhashedFiles", validation->unhashed),
                             LOG_NUM("missingFiles", lists[REPORT_MISSING].count),
                             LOG_NUM("mismatchedFiles", lists[REPORT_MISMATCHED].count),
                             LOG_NUM("extraFiles", lists[REPORT_EXTRA].count)),
                  "Validation Summary");
        log_layout(LOG_PLAIN, "Checked: %" PRIu64, validation->checked);
        if (validation->unhashed > 0)
            log_layout(LOG_PLAIN, "By size and time only: %" PRIu64, validation->unhashed);
        for (int i = 0; i < REPORT_DIFFERENCES; i++)
            log_layout(difference_style((enum report_difference)i), "%s: %" PRIu64, difference_words[i],
                       lists[i].count);
        blank_line();
    }
    if (differences > 0)
        snprintf(remark, sizeof remark, "%" PRIu64 " difference%s", differences, differences == 1 ? "" : "s");
    log_result(report, "validation-finished", "Validation", remark);
}

/* ---- progress ---- */

void report_progress(struct report *report, int active, uint64_t bytes)
{
    int64_t now = clock_mono();
    char size[32];
    char line[160];

    if (!log_enabled(LOG_INFO) || now - report->progress_shown < PROGRESS_INTERVAL)
        return;
    report->progress_shown = now;
    snprintf(line, sizeof line,
             "  %" PRIu64 " synced, %" PRIu64 " skipped, %" PRIu64 " failed; %d under way, %s",
             report->synced, report->skipped, report->failed, active, report_size(bytes, size));
    log_transient(line);
}

void report_progress_clear(struct report *report)
{
    report->progress_shown = 0;
    log_transient(NULL);
}
