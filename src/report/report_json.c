/* The status document: docs/STATUS.md and docs/status.schema.json. */
#include "report_internal.h"

#include "clock.h"
#include "json.h"
#include "machine.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

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

static void put_text(struct object *object, const char *name, const char *text)
{
    object->ok = object->ok && json_add_text(object->doc, object->value, name, text);
}

static void put_integer(struct object *object, const char *name, uint64_t number)
{
    object->ok = object->ok && yyjson_mut_obj_add_uint(object->doc, object->value, name, number);
}

static void put_flag(struct object *object, const char *name, bool flag)
{
    object->ok = object->ok && yyjson_mut_obj_add_bool(object->doc, object->value, name, flag);
}

static void put_value(struct object *object, const char *name, yyjson_mut_val *value)
{
    object->ok = object->ok && yyjson_mut_obj_add_val(object->doc, object->value, name, value);
}

static void put_time(struct object *object, const char *name, int64_t wall)
{
    object->ok = object->ok && json_add_time(object->doc, object->value, name, wall);
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

/* How long it took, or the process that is at it. */
static void put_whereabouts(struct object *root, const struct report *report)
{
    struct machine_process self;

    if (report->finished != CLOCK_UNKNOWN) {
        int64_t took = report->finished - report->started;

        put_integer(root, "durationMs", took > 0 ? (uint64_t)took : 0);
        return;
    }
    if (report->concurrency != 0)
        put_integer(root, "concurrency", (uint64_t)report->concurrency);
    machine_self(&self);
    put_text(root, "machine", self.machine);
    put_integer(root, "pid", (uint64_t)self.pid);
    put_integer(root, "pidStarted", (uint64_t)self.started);
}

static void put_situation(struct object *root, const struct report *report)
{
    const struct detection *found = &report->detection;
    char shard[32];

    put_text(root, "state", report_state_name(report->state));
    put_flag(root, "success", report_state_healthy(report->state));
    put_text(root, "message", message(report));
    put_text(root, "environment", found->production ? "production" : "development");
    put_text(root, "environmentSource", found->environment_source);
    put_text(root, "platform", found->platform);
    put_text(root, "deploymentId", found->deployment_id);
    put_text(root, "deploymentSource", found->deployment_source);
    put_flag(root, "configured", report->configured);
    put_flag(root, "hookActive", found->production);
    put_text(root, "source", report->source);
    put_text(root, "destination", report->destination);
    put_flag(root, "dryRun", report->dry_run);
    put_flag(root, "byHand", report->by_hand);
    put_flag(root, "asked", report->asked);
    put_text(root, "job", report->job);
    if (report->shard.count != 0) {
        snprintf(shard, sizeof shard, "%d/%d", report->shard.index, report->shard.count);
        put_text(root, "shard", shard);
        put_integer(root, "shardsDone", (uint64_t)report->shards_done);
    }
    put_text(root, "lease", leases[report->lease]);
    put_text(root, "waitingFor", report->state == REPORT_WAITING ? report->waiting_for : "");
    put_time(root, "startedAt", report->started);
    put_time(root, "finishedAt", report->finished);
    put_time(root, "updatedAt", clock_wall());
    put_whereabouts(root, report);
}

static void put_figures(struct object *root, const struct report *report)
{
    const struct report_validation *validation = &report->validation;

    put_integer(root, "syncedFiles", report->synced);
    put_integer(root, "skippedFiles", report->skipped);
    put_integer(root, "goneFiles", report->gone);
    put_integer(root, "overwrittenFiles", report->overwritten);
    put_integer(root, "keptFiles", report->kept);
    put_integer(root, "deletedFiles", report->deleted);
    put_integer(root, "failedFiles", report->failed);
    put_integer(root, "extraFiles", validation->done ? validation->lists[REPORT_EXTRA].count : report->extra);
    put_integer(root, "totalSize", report->total_size);
}

static void put_class(struct object *object, const struct error *error)
{
    put_text(object, "kind", error_kind_name(error->kind));
    put_text(object, "code", error->code);
    put_integer(object, "httpStatus", (uint64_t)error->status);
    put_text(object, "side", error->side != NULL ? error->side : "");
    put_text(object, "requestId", error->request_id);
}

/* This run's, once everything is synced, or the one that was known before it. */
static void put_last_sync(struct object *root, const struct report *report)
{
    bool own = report->state == REPORT_SYNCED && report->mode < REPORT_VALIDATE && !report->dry_run &&
               report->shards_done == report->shard.count;
    struct object last = begin(root->doc);

    if (own) {
        put_time(&last, "finishedAt", report->finished);
        put_text(&last, "mode", report_mode_name(report->mode));
        put_text(&last, "deploymentId", report->detection.deployment_id);
        put_text(&last, "job", report->job);
        put_integer(&last, "syncedFiles", report->synced);
        put_integer(&last, "totalSize", report->total_size);
    } else if (report->last.finished_at[0] != '\0') {
        put_text(&last, "finishedAt", report->last.finished_at);
        put_text(&last, "mode", report->last.mode);
        put_text(&last, "deploymentId", report->last.deployment_id);
        put_text(&last, "job", report->last.job);
        put_integer(&last, "syncedFiles", report->last.synced);
        put_integer(&last, "totalSize", report->last.total_size);
    } else {
        last.value = yyjson_mut_null(root->doc);
    }
    root->ok = root->ok && last.ok;
    put_value(root, "lastSync", last.value);
}

/* A run by hand comes after one by hand. Who says that it goes on has died: another one begins. */
static void remember_outcome(struct report *report, yyjson_val *root)
{
    yyjson_val *manual = yyjson_obj_get(root, "manual");
    enum report_state state;

    if (report->by_hand && manual != NULL)
        root = manual;
    report->before_known = report->mode != REPORT_VALIDATE && report_is_by_hand(root) == report->by_hand &&
                           report_state_parse(json_text(root, "state", ""), &state);
    report->before_healthy = report->before_known && report_state_healthy(state);
}

void report_remember(struct report *report, const char *json, size_t len)
{
    struct report_last *last = &report->last;
    struct error ignored;
    yyjson_doc *doc = json_parse(json, len, &ignored);
    yyjson_val *found = yyjson_doc_get_root(doc);
    int64_t synced, size;

    *last = (struct report_last){.synced = 0};
    remember_outcome(report, found);
    if (strcmp(json_text(found, "state", ""), "synced") != 0 ||
        strcmp(json_text(found, "mode", ""), "validate") == 0)
        found = yyjson_obj_get(found, "lastSync");
    synced = json_number(found, "syncedFiles", 0);
    size = json_number(found, "totalSize", 0);
    snprintf(last->finished_at, sizeof last->finished_at, "%s", json_text(found, "finishedAt", ""));
    snprintf(last->mode, sizeof last->mode, "%s", json_text(found, "mode", ""));
    snprintf(last->deployment_id, sizeof last->deployment_id, "%s", json_text(found, "deploymentId", ""));
    snprintf(last->job, sizeof last->job, "%s", json_text(found, "job", ""));
    last->synced = synced > 0 ? (uint64_t)synced : 0;
    last->total_size = size > 0 ? (uint64_t)size : 0;
    yyjson_doc_free(doc);
}

/* How the run has ended; null for what is not so, or not yet. */
static void put_end(struct object *root, const struct report *report)
{
    struct object error = begin(root->doc);

    if (report->error.kind != ERROR_NONE)
        put_class(&error, &report->error);
    root->ok = root->ok && error.ok;
    put_value(root, "error", report->error.kind != ERROR_NONE ? error.value : yyjson_mut_null(root->doc));
    if (report->finished != CLOCK_UNKNOWN)
        put_integer(root, "exitCode", (uint64_t)report_exit_code(report));
    else
        put_value(root, "exitCode", yyjson_mut_null(root->doc));
}

static void put_errors(struct object *root, const struct report *report)
{
    yyjson_mut_val *errors = yyjson_mut_arr(root->doc);

    for (int i = 0; i < report->failure_count; i++) {
        struct object error = begin(root->doc);
        put_text(&error, "file", report->failures[i].file);
        put_text(&error, "error", report->failures[i].error.text);
        put_class(&error, &report->failures[i].error);
        root->ok = root->ok && error.ok && yyjson_mut_arr_append(errors, error.value);
    }
    put_value(root, "errors", errors);
}

static void put_list(struct object *details, const char *name, const struct report_list *list)
{
    if (list->json.len > 0)
        put_value(details, name, yyjson_mut_rawn(details->doc, list->json.data, list->json.len));
    else
        put_value(details, name, yyjson_mut_arr(details->doc));
}

static void put_validation(struct object *root, const struct report *report, bool all)
{
    const struct report_validation *validation = &report->validation;
    const struct report_list *lists = validation->lists;
    struct object details = begin(root->doc);
    bool truncated = false;

    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        truncated = truncated || lists[i].listed < lists[i].count;
    put_flag(root, "valid", report_valid(report));
    put_flag(root, "strict", validation->strict);
    put_integer(root, "checkedFiles", validation->checked);
    put_integer(root, "hashedFiles", validation->hashed);
    put_integer(root, "readFiles", validation->read);
    put_integer(root, "unhashedFiles", validation->unhashed);
    put_integer(root, "changedFiles", validation->changed);
    put_integer(root, "bytesRead", validation->bytes);
    put_integer(root, "contentPercent", validation->percent);
    put_integer(root, "contentSeed", validation->seed);
    put_integer(root, "missingFiles", lists[REPORT_MISSING].count);
    put_integer(root, "mismatchedFiles", lists[REPORT_MISMATCHED].count);
    if (!all)
        return;
    put_list(&details, "missing", &lists[REPORT_MISSING]);
    put_list(&details, "mismatched", &lists[REPORT_MISMATCHED]);
    put_list(&details, "extra", &lists[REPORT_EXTRA]);
    put_flag(&details, "truncated", truncated);
    root->ok = root->ok && details.ok;
    put_value(root, "details", details.value);
}

/* `named`: with the members that say what kind of document it is. */
static struct object make_document(yyjson_mut_doc *doc, const struct report *report, bool named, bool all)
{
    struct object root = begin(doc);

    if (named) {
        put_integer(&root, "schema", REPORT_SCHEMA);
        put_text(&root, "version", STORSYNC_VERSION);
        put_text(&root, "mode", report_mode_name(report->mode));
    }
    put_situation(&root, report);
    put_figures(&root, report);
    put_end(&root, report);
    put_last_sync(&root, report);
    put_time(&root, "nextSync", report->next_sync);
    put_errors(&root, report);
    if (report->validation.done)
        put_validation(&root, report, all);
    return root;
}

static bool write_document(struct object *root, bool pretty, struct buf *out)
{
    bool ok;

    yyjson_mut_doc_set_root(root->doc, root->value);
    ok = root->ok && json_write(root->doc, pretty, out);
    yyjson_mut_doc_free(root->doc);
    return ok;
}

bool report_json(const struct report *report, bool pretty, struct buf *out)
{
    struct object root = make_document(yyjson_mut_doc_new(NULL), report, true, true);

    return write_document(&root, pretty, out);
}

bool report_json_members(const struct report *report, struct buf *out)
{
    struct object root = make_document(yyjson_mut_doc_new(NULL), report, false, false);

    return write_document(&root, false, out);
}

bool report_json_notice(const struct report *report, const char *text, struct buf *out)
{
    struct object notice = begin(yyjson_mut_doc_new(NULL));
    struct object root = make_document(notice.doc, report, true, false);

    put_text(&notice, "text", text);
    put_value(&notice, "run", root.value);
    notice.ok = notice.ok && root.ok;
    return write_document(&notice, false, out);
}
