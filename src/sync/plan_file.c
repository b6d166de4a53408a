#include "plan_file.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "output.h"
#include "text.h"
#include "uri.h"
#include "utf8.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA 1
#define OUT_MAX ((size_t)64 * 1024)    /* more than one line, and what is written at once */
#define OUT_ENOUGH ((size_t)16 * 1024) /* to be written */
#define REASON_SIZE 40

static const char *const fates[PLAN_FATES] = {
    [FATE_CREATE] = "create", [FATE_OVERWRITE] = "overwrite", [FATE_METADATA] = "metadata",
    [FATE_DELETE] = "delete", [FATE_KEEP] = "keep",           [FATE_CONFLICT] = "conflict",
    [FATE_SKIP] = "skip",     [FATE_FAIL] = "fail",
};

static bool is_manifest(const struct plan_file *plan)
{
    return plan->settings->plan_format >= PLAN_FORMAT_S3_BATCH;
}

static bool is_stdout(const struct plan_file *plan)
{
    return strcmp(plan->settings->plan, "-") == 0;
}

static bool flush(struct plan_file *plan)
{
    int64_t patience = OUTPUT_FOREVER;
    size_t len = plan->out.len;

    if (plan->error.kind != ERROR_NONE)
        return false;
    if (plan->out.failed)
        error_set(&plan->error, ERROR_LOCAL, "cannot write the plan: out of memory");
    else if (!is_stdout(plan))
        replace_write(&plan->file, buf_str(&plan->out), len, &plan->error);
    else if (output_write(STDOUT_FILENO, buf_str(&plan->out), len, &patience) != len)
        error_set(&plan->error, ERROR_LOCAL, "cannot write the plan to standard output");
    buf_clear(&plan->out);
    return plan->error.kind == ERROR_NONE;
}

/* ---- JSON ---- */

static yyjson_mut_val *begin_line(yyjson_mut_doc *doc, const char *type)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_add_text(doc, root, "type", type);
    return root;
}

/* A member for which there was no memory is missing, and so has to be the whole line. */
static void end_line(struct plan_file *plan, yyjson_mut_doc *doc, bool good)
{
    if (!good || !json_write(doc, false, &plan->out))
        plan->out.failed = true;
    buf_putc(&plan->out, '\n');
    yyjson_mut_doc_free(doc);
}

static bool put_moment(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, int64_t wall)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall != CLOCK_UNKNOWN)
        clock_format_rfc3339(wall, text);
    return json_add_text(doc, object, name, wall != CLOCK_UNKNOWN ? text : NULL);
}

static bool put_entry(yyjson_mut_doc *doc, yyjson_mut_val *line, const char *name,
                      const struct object_entry *entry)
{
    yyjson_mut_val *value;
    int64_t modified;

    if (entry == NULL)
        return yyjson_mut_obj_add_null(doc, line, name);
    modified = entry->modified != CLOCK_UNKNOWN ? entry->modified + entry->touched : CLOCK_UNKNOWN;
    value = yyjson_mut_obj_add_obj(doc, line, name);
    return yyjson_mut_obj_add_uint(doc, value, "size", entry->size) &&
           put_moment(doc, value, "modified", modified) &&
           json_add_text(doc, value, "version", entry->version[0] != '\0' ? entry->version : NULL);
}

static bool put_head(struct plan_file *plan)
{
    const struct settings *settings = plan->settings;
    const struct report *report = plan->report;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *line = begin_line(doc, "plan");
    bool good = yyjson_mut_obj_add_uint(doc, line, "schema", SCHEMA) &&
                json_add_text(doc, line, "version", STORSYNC_VERSION) &&
                put_moment(doc, line, "time", clock_wall()) &&
                json_add_text(doc, line, "source", report->source) &&
                json_add_text(doc, line, "destination", report->destination) &&
                json_add_text(doc, line, "job", report->job) &&
                yyjson_mut_obj_add_bool(doc, line, "all", settings->plan_format == PLAN_FORMAT_JSON_ALL);

    end_line(plan, doc, good);
    return good;
}

/* "size differs" as one word. */
static const char *word_of(const char *text, char out[REASON_SIZE])
{
    snprintf(out, REASON_SIZE, "%s", text);
    for (char *c = out; *c != '\0'; c++)
        if (*c == ' ')
            *c = '-';
    return out;
}

/* A key that is no text is shown as well as it can be, and told exactly beside that. */
static bool put_key(yyjson_mut_doc *doc, yyjson_mut_val *line, const char *key)
{
    struct buf exact;
    bool good = json_add_text(doc, line, "key", key);

    if (utf8_is_text(key))
        return good;
    buf_init(&exact, (size_t)3 * OBJECT_KEY_MAX);
    good = uri_encode(&exact, key, "/") && json_add_text(doc, line, "keyEncoded", buf_str(&exact)) && good;
    buf_free(&exact);
    return good;
}

static void put_object(struct plan_file *plan, const struct plan_line *line)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *object = begin_line(doc, "object");
    const struct object_entry *subject = line->source != NULL ? line->source : line->destination;
    char reason[REASON_SIZE];
    bool good = json_add_text(doc, object, "action", fates[line->fate]) && put_key(doc, object, line->key) &&
                yyjson_mut_obj_add_uint(doc, object, "size", subject != NULL ? subject->size : 0) &&
                json_add_text(doc, object, "reason", word_of(line->reason, reason)) &&
                yyjson_mut_obj_add_bool(doc, object, "changedInProduction", line->changed) &&
                put_entry(doc, object, "source", line->source) &&
                put_entry(doc, object, "destination", line->destination);

    end_line(plan, doc, good);
}

static void put_summary(struct plan_file *plan, enum report_state state, bool complete,
                        const struct error *why)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *line = begin_line(doc, "summary");
    bool good = yyjson_mut_obj_add_bool(doc, line, "complete", complete) &&
                json_add_text(doc, line, "state", report_state_name(state)) &&
                json_add_text(doc, line, "error", why->kind != ERROR_NONE ? why->text : NULL) &&
                yyjson_mut_obj_add_uint(doc, line, "bytes", plan->bytes);

    for (int i = 0; i < PLAN_FATES; i++)
        good = good && yyjson_mut_obj_add_uint(doc, line, fates[i], plan->counts[i]);
    end_line(plan, doc, good);
}

/* ---- manifests ---- */

static void put_s3_batch(struct plan_file *plan, const struct object_entry *entry)
{
    if (entry->size > UINT64_C(5) * 1000 * 1000 * 1000) {
        plan->left_out++;
        return;
    }
    buf_printf(&plan->out, "%s,", plan->report->source);
    uri_encode(&plan->out, entry->key, "/");
    buf_putc(&plan->out, '\n');
}

static void put_sts(struct plan_file *plan, const struct object_entry *entry)
{
    const char *key = entry->key;

    if (!utf8_is_text(key) || text_ends(key, "/") || strpbrk(key, "\r\n") != NULL) {
        plan->left_out++;
        return;
    }
    buf_putc(&plan->out, '"');
    for (; *key != '\0'; key++) {
        if (*key == '"')
            buf_putc(&plan->out, '"');
        buf_putc(&plan->out, *key);
    }
    buf_putc(&plan->out, '"');
    if (plan->has_generations)
        buf_printf(&plan->out, ",%.*s", (int)strcspn(entry->version, "."), entry->version);
    buf_putc(&plan->out, '\n');
}

static void warn_of_limits(const struct plan_file *plan)
{
    const uint64_t *counts = plan->counts;

    log_warn(
        "%s is a list of what to copy, and what production changes before that is overwritten; not in it: %" PRIu64
        " to delete, %" PRIu64 " that production has changed, %" PRIu64
        " that such a job does not take; of those in it, %" PRIu64 " differ in metadata alone%s",
        plan->settings->plan, counts[FATE_DELETE], counts[FATE_KEEP] + counts[FATE_CONFLICT], plan->left_out,
        counts[FATE_METADATA],
        plan->settings->plan_format == PLAN_FORMAT_STS ? ", which it may pass over" : "");
}

/* ---- the interface ---- */

bool plan_file_begin(struct plan_file *plan, const struct settings *settings, const struct report *report,
                     struct error *error)
{
    *plan = (struct plan_file){.settings = settings, .report = report};
    buf_init(&plan->out, OUT_MAX);
    if (*settings->plan == '\0' || !settings->dry_run)
        return true;
    plan->open = (is_stdout(plan) || replace_begin(&plan->file, settings->plan, "the plan", error));
    return plan->open;
}

bool plan_file_check(struct plan_file *plan, const struct store *source, const struct store *destination,
                     struct error *error)
{
    if (!plan->open || !is_manifest(plan))
        return true;
    if (plan->settings->plan_format == PLAN_FORMAT_S3_BATCH)
        return (text_begins(store_url(source), "s3://") && store_can_copy(source, destination)) ||
               error_set(error, ERROR_CONFIG, "plan_format=s3-batch: not two buckets of one S3 service");
    plan->has_generations = text_begins(store_url(source), "gs://");
    return (text_begins(store_url(destination), "gs://") && !text_begins(store_url(source), "file://")) ||
           error_set(error, ERROR_CONFIG, "plan_format=sts: not from a bucket to one of Google's");
}

static void begin_file(struct plan_file *plan)
{
    if (!plan->begun && !is_manifest(plan))
        put_head(plan);
    plan->begun = true;
}

bool plan_file_put(struct plan_file *plan, const struct plan_line *line)
{
    bool copied = line->fate <= FATE_METADATA;

    if (!plan->open)
        return true;
    begin_file(plan);
    plan->counts[line->fate]++;
    if (copied)
        plan->bytes += line->source->size;
    if (!is_manifest(plan)) {
        if (line->fate != FATE_SKIP || plan->settings->plan_format == PLAN_FORMAT_JSON_ALL)
            put_object(plan, line);
    } else if (copied && plan->settings->plan_format == PLAN_FORMAT_S3_BATCH) {
        put_s3_batch(plan, line->source);
    } else if (copied) {
        put_sts(plan, line->source);
    }
    return (plan->out.len < OUT_ENOUGH && !plan->out.failed) || flush(plan);
}

/* What is left of a manifest goes out only if that is all of it. */
static void close_file(struct plan_file *plan, bool whole)
{
    if (whole && flush(plan) && !is_stdout(plan))
        replace_finish(&plan->file, &plan->error);
    if (!is_stdout(plan))
        replace_drop(&plan->file);
    buf_free(&plan->out);
}

bool plan_file_finish(struct plan_file *plan, enum report_state state, struct error *error)
{
    bool ended = error->kind == ERROR_NONE || error->kind == ERROR_PARTIAL;
    bool complete = ended && plan->counts[FATE_FAIL] == 0;

    if (!plan->open)
        return true;
    plan->open = false;
    begin_file(plan);
    if (!is_manifest(plan))
        put_summary(plan, state, complete, error);
    close_file(plan, complete || !is_manifest(plan));
    if (plan->error.kind != ERROR_NONE && ended) {
        *error = plan->error;
        return false;
    }
    if (is_manifest(plan) && complete)
        warn_of_limits(plan);
    else if (is_manifest(plan) && ended)
        log_warn("no manifest is written, because something could not be looked at");
    return true;
}
