/* A status document for a person. It may come from anywhere: nothing in it is taken for granted. */
#include "report_internal.h"

#include "clock.h"
#include "log.h"
#include "machine.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A run that goes on writes its document every two seconds. */
#define SILENCE_MAX (INT64_C(60) * 1000) /* ms */

const char *report_death(yyjson_val *root)
{
    int64_t updated = clock_parse_rfc3339(json_text(root, "updatedAt", ""));
    struct machine_process process = {.pid = json_number(root, "pid", 0),
                                      .started = json_number(root, "pidStarted", 0)};
    enum report_state state;

    if (!report_state_parse(json_text(root, "state", ""), &state) || state > REPORT_WAITING)
        return NULL;
    snprintf(process.machine, sizeof process.machine, "%s", json_text(root, "machine", ""));
    if (machine_has_lost(&process))
        return "its process is gone: that run has died";
    return updated != CLOCK_UNKNOWN && clock_wall() - updated > SILENCE_MAX
               ? "not updated for over a minute: that run has died"
               : NULL;
}

bool report_is_by_hand(yyjson_val *root)
{
    return json_flag(root, "byHand", strcmp(json_text(root, "mode", ""), "sync") == 0);
}

static void say_line(struct buf *out, const char *label, const char *text)
{
    char safe[LOG_SAFE_SIZE];

    buf_printf(out, "%s: %s\n", label, log_safe(text, safe));
}

/* "label: text (detail)"; without the text nothing, without the detail no brackets. */
static void say_pair(struct buf *out, const char *label, const char *text, const char *detail)
{
    char safe[LOG_SAFE_SIZE];

    if (*text == '\0')
        return;
    buf_printf(out, "%s: %s", label, log_safe(text, safe));
    if (*detail != '\0')
        buf_printf(out, " (%s)", log_safe(detail, safe));
    buf_putc(out, '\n');
}

static void say_text(struct buf *out, const char *label, yyjson_val *root, const char *name)
{
    say_pair(out, label, json_text(root, name, ""), "");
}

static void say_flag(struct buf *out, const char *label, yyjson_val *root, const char *name)
{
    if (yyjson_is_bool(yyjson_obj_get(root, name)))
        say_line(out, label, json_flag(root, name, false) ? "yes" : "no");
}

static void say_number(struct buf *out, const char *label, yyjson_val *root, const char *name)
{
    int64_t number = json_number(root, name, -1);

    if (number >= 0)
        buf_printf(out, "%s: %" PRId64 "\n", label, number);
}

static void say_size(struct buf *out, const char *label, yyjson_val *root, const char *name)
{
    int64_t number = json_number(root, name, -1);
    char size[32];

    if (number >= 0)
        say_line(out, label, report_size((uint64_t)number, size));
}

/* An array of keys, or of objects with a key in "file" and what is wrong with it in `detail`. */
static void say_list(struct buf *out, const char *label, yyjson_val *list, const char *detail)
{
    char safe[LOG_SAFE_SIZE];
    yyjson_arr_iter iter;

    if (yyjson_arr_size(list) == 0)
        return;
    buf_printf(out, "%s:\n", label);
    yyjson_arr_iter_init(list, &iter);
    for (yyjson_val *item; (item = yyjson_arr_iter_next(&iter)) != NULL;) {
        const char *file = yyjson_is_str(item) ? yyjson_get_str(item) : json_text(item, "file", "?");
        const char *what = json_text(item, detail, "");

        buf_printf(out, "  %s", log_safe(file, safe));
        if (*what != '\0')
            buf_printf(out, " (%s)", log_safe(what, safe));
        buf_putc(out, '\n');
    }
}

static void say_comparison(struct buf *out, yyjson_val *root)
{
    yyjson_val *details = yyjson_obj_get(root, "details");

    say_flag(out, "Valid", root, "valid");
    say_number(out, "Checked", root, "checkedFiles");
    say_number(out, "Missing", root, "missingFiles");
    say_number(out, "Mismatched", root, "mismatchedFiles");
    say_number(out, "Extra", root, "extraFiles");
    say_list(out, "Missing files", yyjson_obj_get(details, "missing"), "reason");
    say_list(out, "Mismatched files", yyjson_obj_get(details, "mismatched"), "reason");
    say_list(out, "Extra files", yyjson_obj_get(details, "extra"), "reason");
    if (json_flag(details, "truncated", false))
        buf_puts(out, "  (not all are listed)\n");
}

static void say_last_sync(struct buf *out, yyjson_val *last)
{
    char size[32], safe[LOG_SAFE_SIZE];
    int64_t synced = json_number(last, "syncedFiles", 0), bytes = json_number(last, "totalSize", 0);

    if (!yyjson_is_obj(last))
        return;
    buf_printf(out, "Last sync: %s", log_safe(json_text(last, "finishedAt", "?"), safe));
    if (*json_text(last, "deploymentId", "") != '\0')
        buf_printf(out, ", deployment %s", log_safe(json_text(last, "deploymentId", ""), safe));
    buf_printf(out, ", %" PRId64 " synced (%s)%s\n", synced,
               report_size(bytes > 0 ? (uint64_t)bytes : 0, size),
               strcmp(json_text(last, "mode", ""), "sync") == 0 ? ", by hand" : "");
}

static void say_state(struct buf *out, const char *label, yyjson_val *root)
{
    const char *death = report_death(root);

    say_pair(out, label, json_text(root, "state", ""), death != NULL ? death : "");
}

/* The last run by hand, beside the last one of a deployment. */
static void say_by_hand(struct buf *out, yyjson_val *run)
{
    say_state(out, "By hand", run);
    say_text(out, "By hand, message", run, "message");
    say_text(out, "By hand, started", run, "startedAt");
    say_text(out, "By hand, finished", run, "finishedAt");
}

static void say_document(struct buf *out, yyjson_val *root)
{
    say_state(out, "State", root);
    say_text(out, "Message", root, "message");
    say_pair(out, "Environment", json_text(root, "environment", ""),
             json_text(root, "environmentSource", ""));
    say_text(out, "Platform", root, "platform");
    say_pair(out, "Deployment", json_text(root, "deploymentId", ""), json_text(root, "deploymentSource", ""));
    if (yyjson_obj_get(root, "shard") != NULL)
        say_text(out, "Shard", root, "shard");
    say_flag(out, "Configured", root, "configured");
    say_flag(out, "Hook active", root, "hookActive");
    say_text(out, "Mode", root, "mode");
    say_text(out, "Source", root, "source");
    say_text(out, "Destination", root, "destination");
    say_flag(out, "Dry run", root, "dryRun");
    say_text(out, "Started", root, "startedAt");
    say_text(out, "Finished", root, "finishedAt");
    say_text(out, "Updated", root, "updatedAt");
    say_last_sync(out, yyjson_obj_get(root, "lastSync"));
    say_text(out, "Next sync", root, "nextSync");
    if (yyjson_obj_get(root, "valid") != NULL) {
        say_comparison(out, root);
    } else {
        say_number(out, "Synced", root, "syncedFiles");
        say_number(out, "Skipped", root, "skippedFiles");
        say_number(out, "Gone", root, "goneFiles");
        if (json_number(root, "overwrittenFiles", 0) > 0)
            say_number(out, "Overwrote", root, "overwrittenFiles");
        if (json_number(root, "keptFiles", 0) > 0)
            say_number(out, "Kept", root, "keptFiles");
        if (json_number(root, "deletedFiles", 0) > 0)
            say_number(out, "Removed", root, "deletedFiles");
        say_number(out, "Failed", root, "failedFiles");
        say_size(out, "Total size", root, "totalSize");
    }
    say_list(out, "Errors", yyjson_obj_get(root, "errors"), "error");
    say_by_hand(out, yyjson_obj_get(root, "manual"));
}

bool report_text(const char *json, size_t len, struct buf *out, struct error *error)
{
    yyjson_doc *doc = json_parse(json, len, error);

    if (doc == NULL)
        return false;
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool is_object = yyjson_is_obj(root);
    if (is_object)
        say_document(out, root);
    yyjson_doc_free(doc);
    if (!is_object)
        return error_set(error, ERROR_PROTOCOL, "not a status document: no JSON object");
    return !out->failed || error_set(error, ERROR_LOCAL, "no room for the status");
}
