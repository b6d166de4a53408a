/* A status document for a person. It may come from anywhere: nothing in it is taken for granted. */
#include "report_internal.h"

#include "clock.h"
#include "log.h"

#include <inttypes.h>
#include <string.h>

/* A run that goes on writes its document every two seconds. */
#define SILENCE_MAX (INT64_C(60) * 1000) /* ms */

bool report_has_died(yyjson_val *root)
{
    int64_t updated = clock_parse_rfc3339(json_text(root, "updatedAt", ""));
    enum report_state state;

    return report_state_parse(json_text(root, "state", ""), &state) && state <= REPORT_WAITING &&
           updated != CLOCK_UNKNOWN && clock_wall() - updated > SILENCE_MAX;
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

static void say_document(struct buf *out, yyjson_val *root)
{
    say_pair(out, "State", json_text(root, "state", ""),
             report_has_died(root) ? "not updated for over a minute: that run has died" : "");
    say_text(out, "Message", root, "message");
    say_pair(out, "Environment", json_text(root, "environment", ""),
             json_text(root, "environmentSource", ""));
    say_text(out, "Platform", root, "platform");
    say_pair(out, "Deployment", json_text(root, "deploymentId", ""), json_text(root, "deploymentSource", ""));
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
    if (yyjson_obj_get(root, "valid") != NULL) {
        say_comparison(out, root);
    } else {
        say_number(out, "Synced", root, "syncedFiles");
        say_number(out, "Skipped", root, "skippedFiles");
        say_number(out, "Gone", root, "goneFiles");
        say_number(out, "Failed", root, "failedFiles");
        say_size(out, "Total size", root, "totalSize");
    }
    say_list(out, "Errors", yyjson_obj_get(root, "errors"), "error");
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
