/* The status document: docs/STATUS.md and docs/status.schema.json. */
#include "report.h"

#include "clock.h"
#include "json.h"
#include "version.h"

/* An object under construction. */
struct object {
    yyjson_mut_doc *doc;
    yyjson_mut_val *value;
    bool ok;
};

static struct object begin(yyjson_mut_doc *doc)
{
    yyjson_mut_val *value = yyjson_mut_obj(doc);

    return (struct object){.doc = doc, .value = value, .ok = value != NULL};
}

static void add_text(struct object *object, const char *name, const char *text)
{
    object->ok = object->ok && json_add_text(object->doc, object->value, name, text);
}

static void add_number(struct object *object, const char *name, uint64_t number)
{
    object->ok = object->ok && yyjson_mut_obj_add_uint(object->doc, object->value, name, number);
}

static void add_flag(struct object *object, const char *name, bool flag)
{
    object->ok = object->ok && yyjson_mut_obj_add_bool(object->doc, object->value, name, flag);
}

static void add_value(struct object *object, const char *name, yyjson_mut_val *value)
{
    object->ok = object->ok && yyjson_mut_obj_add_val(object->doc, object->value, name, value);
}

static void add_time(struct object *object, const char *name, int64_t wall)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall != CLOCK_UNKNOWN)
        clock_format_rfc3339(wall, text);
    add_text(object, name, wall != CLOCK_UNKNOWN ? text : NULL);
}

static const char *message(const struct report *report)
{
    if (report->message[0] != '\0')
        return report->message;
    if (report->state == REPORT_STARTING)
        return "Starting";
    return report->state == REPORT_WAITING ? "Waiting for another replica to sync" : "Syncing";
}

static const char *const leases[] = {
    [REPORT_NO_LEASE] = "",
    [REPORT_EXCLUSIVE] = "exclusive",
    [REPORT_ADVISORY] = "advisory",
};

static void add_situation(struct object *root, const struct report *report)
{
    const struct detection *found = &report->detection;

    add_number(root, "schema", REPORT_SCHEMA);
    add_text(root, "version", STORSYNC_VERSION);
    add_text(root, "mode", report_mode_name(report->mode));
    add_text(root, "state", report_state_name(report->state));
    add_flag(root, "success", report_state_healthy(report->state));
    add_text(root, "message", message(report));
    add_text(root, "environment", found->production ? "production" : "development");
    add_text(root, "environmentSource", found->environment_source);
    add_text(root, "platform", found->platform);
    add_text(root, "deploymentId", found->deployment_id);
    add_text(root, "deploymentSource", found->deployment_source);
    add_flag(root, "configured", report->configured);
    add_flag(root, "hookActive", found->production);
    add_text(root, "source", report->source);
    add_text(root, "destination", report->destination);
    add_flag(root, "dryRun", report->dry_run);
    add_text(root, "lease", leases[report->lease]);
    add_text(root, "waitingFor", report->state == REPORT_WAITING ? report->waiting_for : "");
    add_time(root, "startedAt", report->started);
    add_time(root, "finishedAt", report->finished);
}

static void add_figures(struct object *root, const struct report *report)
{
    const struct report_validation *validation = &report->validation;

    add_number(root, "syncedFiles", report->synced);
    add_number(root, "skippedFiles", report->skipped);
    add_number(root, "goneFiles", report->gone);
    add_number(root, "failedFiles", report->failed);
    add_number(root, "extraFiles", validation->done ? validation->lists[REPORT_EXTRA].count : report->extra);
    add_number(root, "totalSize", report->total_size);
}

static void add_errors(struct object *root, const struct report *report)
{
    yyjson_mut_val *errors = yyjson_mut_arr(root->doc);

    for (int i = 0; i < report->failure_count; i++) {
        struct object error = begin(root->doc);
        add_text(&error, "file", report->failures[i].file);
        add_text(&error, "error", report->failures[i].error);
        root->ok = root->ok && error.ok && yyjson_mut_arr_append(errors, error.value);
    }
    add_value(root, "errors", errors);
}

static void add_list(struct object *details, const char *name, const struct report_list *list)
{
    if (list->json.len > 0)
        add_value(details, name, yyjson_mut_rawn(details->doc, list->json.data, list->json.len));
    else
        add_value(details, name, yyjson_mut_arr(details->doc));
}

static void add_validation(struct object *root, const struct report *report)
{
    const struct report_list *lists = report->validation.lists;
    struct object details = begin(root->doc);
    bool truncated = false;

    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        truncated = truncated || lists[i].listed < lists[i].count;
    add_flag(root, "valid", report_valid(report));
    add_number(root, "checkedFiles", report->validation.checked);
    add_number(root, "unhashedFiles", report->validation.unhashed);
    add_number(root, "missingFiles", lists[REPORT_MISSING].count);
    add_number(root, "mismatchedFiles", lists[REPORT_MISMATCHED].count);
    add_list(&details, "missing", &lists[REPORT_MISSING]);
    add_list(&details, "mismatched", &lists[REPORT_MISMATCHED]);
    add_list(&details, "extra", &lists[REPORT_EXTRA]);
    add_flag(&details, "truncated", truncated);
    root->ok = root->ok && details.ok;
    add_value(root, "details", details.value);
}

bool report_json(const struct report *report, bool pretty, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    struct object root = begin(doc);

    yyjson_mut_doc_set_root(doc, root.value);
    add_situation(&root, report);
    add_figures(&root, report);
    add_errors(&root, report);
    if (report->validation.done)
        add_validation(&root, report);
    bool ok = root.ok && json_write(doc, pretty, out);
    yyjson_mut_doc_free(doc);
    return ok;
}
