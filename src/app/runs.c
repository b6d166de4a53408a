#include "runs.h"

#include "clock.h"
#include "journal.h"
#include "log.h"

#include <inttypes.h>
#include <string.h>

/* A run, and whether it can be rolled back; if not, why. */
struct shown {
    struct journal_run run;
    const char *why; /* NULL: it can */
};

static bool look(const struct job *job, uint64_t number, struct shown *shown, struct error *error)
{
    shown->why = NULL;
    if (journal_look(job, number, &shown->run, error)) {
        if (shown->run.state == JOURNAL_ROLLED_BACK)
            shown->why = "it is rolled back already";
        return true;
    }
    if (error->kind != ERROR_PROTOCOL && error->kind != ERROR_NOT_FOUND)
        return false;
    shown->run = (struct journal_run){.head = {.run = number, .started = CLOCK_UNKNOWN}};
    shown->why =
        error->kind == ERROR_NOT_FOUND ? "parts of its journal are removed" : "its journal is not understood";
    error_clear(error);
    return true;
}

static void put_run_line(const struct shown *shown, struct buf *out)
{
    const struct journal_run *run = &shown->run;
    char time[CLOCK_RFC3339_SIZE] = "?", size[32], safe[LOG_SAFE_SIZE];

    if (run->head.started != CLOCK_UNKNOWN)
        clock_format_rfc3339(run->head.started, time);
    buf_printf(out, "%-6" PRIu64 " %s  %-11s", run->head.run, time, journal_state_name(run->state));
    if (run->state != JOURNAL_DIED)
        buf_printf(out, " %" PRIu64 " created, %" PRIu64 " overwritten, %" PRIu64 " deleted, %s kept",
                   run->created, run->overwritten, run->deleted, report_size(run->bytes, size));
    if (run->head.deployment[0] != '\0')
        buf_printf(out, "  deployment %s", log_safe(run->head.deployment, safe));
    if (shown->why != NULL)
        buf_printf(out, "  (cannot be rolled back: %s)", shown->why);
    buf_putc(out, '\n');
}

static bool add_json(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct shown *shown)
{
    const struct journal_run *run = &shown->run;
    yyjson_mut_val *object = yyjson_mut_arr_add_obj(doc, list);

    return object != NULL && yyjson_mut_obj_add_uint(doc, object, "run", run->head.run) &&
           json_add_text(doc, object, "state", journal_state_name(run->state)) &&
           json_add_text(doc, object, "deploymentId", run->head.deployment) &&
           json_add_time(doc, object, "startedAt", run->head.started) &&
           json_add_time(doc, object, "finishedAt", run->finished) &&
           json_add_text(doc, object, "keep", run->head.versions ? "versions" : "copies") &&
           yyjson_mut_obj_add_uint(doc, object, "created", run->created) &&
           yyjson_mut_obj_add_uint(doc, object, "overwritten", run->overwritten) &&
           yyjson_mut_obj_add_uint(doc, object, "deleted", run->deleted) &&
           yyjson_mut_obj_add_uint(doc, object, "bytesKept", run->bytes) &&
           yyjson_mut_obj_add_bool(doc, object, "canRollBack", shown->why == NULL) &&
           json_add_text(doc, object, "why", shown->why);
}

static bool put_runs(struct run *run, yyjson_mut_doc *doc, struct buf *out, struct error *error)
{
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "runs");
    struct journal_runs runs;
    struct shown shown;

    yyjson_mut_doc_set_root(doc, root);
    if (!journal_list(&run->job, &runs, error))
        return false;
    for (int i = runs.count - 1; i >= 0; i--) {
        if (!look(&run->job, runs.numbers[i], &shown, error))
            return false;
        if (doc == NULL)
            put_run_line(&shown, out);
        else if (!add_json(doc, list, &shown))
            return error_set(error, ERROR_LOCAL, "out of memory");
    }
    if (doc == NULL && runs.count == 0)
        buf_puts(out, "No sync can be rolled back: none has changed anything while keep_previous was set.\n");
    if (doc != NULL && (!json_write(doc, true, out) || !buf_putc(out, '\n')))
        return error_set(error, ERROR_LOCAL, "out of memory");
    return true;
}

bool runs_put(struct run *run, bool json, struct buf *out, struct error *error)
{
    yyjson_mut_doc *doc = json ? yyjson_mut_doc_new(NULL) : NULL;
    bool ok;

    if (!run_open(run, error))
        return false;
    job_init(&run->job, run->settings, run->source, run->destination);
    ok = put_runs(run, doc, out, error);
    yyjson_mut_doc_free(doc);
    return ok;
}
