#include "admin_document.h"

#include "clock.h"
#include "json.h"
#include "version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* For what is copied from the board, and made of it: only for as long as somebody asks. */
struct room {
    char now[BOARD_TEXT_MAX + 1];
    char keys[BOARD_KEYS_SIZE + 3];
    char metrics[METRICS_MAX];
};

/* NULL: there is no memory, and `out` has failed. */
static struct room *make_scratch(struct buf *out)
{
    struct room *room = malloc(sizeof *room);

    out->failed |= room == NULL;
    return room;
}

static void put_member_time(struct buf *out, const char *name, int64_t wall)
{
    char text[CLOCK_RFC3339_SIZE];

    if (wall == CLOCK_UNKNOWN) {
        buf_printf(out, ",\"%s\":null", name);
        return;
    }
    clock_format_rfc3339(wall, text);
    buf_printf(out, ",\"%s\":\"%s\"", name, text);
}

static void put_member_text(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, ",\"%s\":", name);
    json_put_text(out, text);
}

static const char *yes_or_no(bool yes)
{
    return yes ? "true" : "false";
}

/* ---- runs ---- */

static void put_run_head(struct buf *out, const struct ledger_run *run)
{
    buf_printf(out, "{\"id\":%" PRId64 ",\"mode\":\"%s\",\"by\":\"%s\"", run->id, ledger_mode_name(run),
               ledger_by_name(run->by));
}

static void put_counts(struct buf *out, const struct ledger_run *run)
{
    const struct metrics_run *figures = &run->figures.run;

    put_member_text(out, "state", report_state_name(figures->state));
    put_member_time(out, "startedAt", figures->started);
    put_member_time(out, "finishedAt", figures->finished);
    if (figures->finished == CLOCK_UNKNOWN)
        buf_puts(out, ",\"exitCode\":null");
    else
        buf_printf(out, ",\"exitCode\":%d,\"durationMs\":%" PRId64, figures->exit_code,
                   figures->finished > figures->started ? figures->finished - figures->started : 0);
    buf_printf(out,
               ",\"syncedFiles\":%" PRIu64 ",\"skippedFiles\":%" PRIu64 ",\"goneFiles\":%" PRIu64
               ",\"deletedFiles\":%" PRIu64 ",\"failedFiles\":%" PRIu64 ",\"totalSize\":%" PRIu64,
               figures->copied, figures->skipped, figures->gone, figures->deleted, figures->failed,
               figures->bytes);
}

/* With the members of its document, of which a parser has said that they are an object; else with what is known without. */
static void put_run(struct buf *out, const struct ledger_run *run, const char *text, const char *message)
{
    const struct board_figures *figures = &run->figures;

    put_run_head(out, run);
    if (text != NULL) {
        buf_printf(out, ",%s", text + 1);
        out->len--; /* its brace */
    } else {
        put_counts(out, run);
        put_member_text(out, "message", message);
    }
    buf_printf(out,
               ",\"progress\":{\"listed\":%" PRIu64 ",\"active\":%" PRIu64 ",\"movedBytes\":%" PRIu64 "}}",
               figures->listed, figures->active, figures->moved);
}

static void put_past_runs(struct buf *out, const struct ledger *ledger)
{
    const struct ledger_run *run = NULL;

    buf_puts(out, ",\"runs\":[");
    for (const char *comma = ""; (run = ledger_before(ledger, run)) != NULL; comma = ",") {
        buf_puts(out, comma);
        put_run_head(out, run);
        put_counts(out, run);
        buf_putc(out, '}');
    }
    buf_putc(out, ']');
}

/* ---- the rest ---- */

static uint64_t without(uint64_t all, uint64_t some)
{
    return all > some ? all - some : 0;
}

static void put_differences(struct buf *out, const struct ledger *ledger, struct room *room)
{
    char *keys = room->keys;
    struct board_figures figures;
    const struct metrics_run *found = &figures.run;
    struct error ignored;
    yyjson_doc *doc = NULL;
    uint64_t shown;

    buf_puts(out, ",\"differences\":");
    keys[0] = '[';
    if (ledger->compared_by != 0 && board_read_differences(ledger->board, &figures, keys + 1)) {
        size_t len = strlen(keys);

        keys[len++] = ']';
        doc = json_parse(keys, len, &ignored);
        keys[len] = '\0';
    }
    if (!yyjson_is_arr(yyjson_doc_get_root(doc))) {
        buf_puts(out, "null");
    } else {
        shown = yyjson_arr_size(yyjson_doc_get_root(doc));
        buf_printf(out, "{\"runId\":%" PRId64, ledger->compared_by);
        put_member_time(out, "at", found->finished);
        buf_printf(out,
                   ",\"missing\":%" PRIu64 ",\"different\":%" PRIu64 ",\"extra\":%" PRIu64
                   ",\"unknown\":%" PRIu64 ",\"objects\":%s,\"more\":%" PRIu64 "}",
                   found->missing, found->different, found->extra_checked, found->unknown, keys,
                   without(found->missing + found->different + found->extra_checked, shown));
    }
    yyjson_doc_free(doc);
}

static void put_schedules(struct buf *out, const struct admin_view *view)
{
    static const char *const names[WIRE_TASKS] = {"sync", "validate"};
    char next[CLOCK_RFC3339_SIZE];

    buf_puts(out, ",\"schedules\":{");
    for (int i = 0; i < WIRE_TASKS; i++) {
        buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", names[i]);
        if (view->next[i] == CLOCK_UNKNOWN) {
            buf_puts(out, "null");
            continue;
        }
        clock_format_rfc3339(view->next[i], next);
        buf_printf(out, "{\"next\":\"%s\"}", next);
    }
    buf_putc(out, '}');
}

/* The members that say what is synced: of the run under way, or the last one. */
static void put_context(struct buf *out, yyjson_val *root)
{
    static const char *const names[] = {"environment",  "environmentSource", "platform",
                                        "deploymentId", "deploymentSource",  "source",
                                        "destination"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        put_member_text(out, names[i], json_text(root, names[i], ""));
}

/* Is it an object that can be put into another one? The worker may have written anything. */
static bool is_object(const char *text, yyjson_doc *doc)
{
    return yyjson_obj_size(yyjson_doc_get_root(doc)) > 0 && text[0] == '{' && text[strlen(text) - 1] == '}';
}

void admin_put_status(const struct admin_view *view, struct buf *out, size_t *now_at)
{
    struct room *room = make_scratch(out);
    struct ledger *ledger = view->ledger;
    const struct ledger_run *last = ledger_before(ledger, ledger->running ? &ledger->current : NULL);
    struct error ignored;
    yyjson_doc *run = NULL, *before;

    if (room == NULL)
        return;
    if (ledger->running && ledger_look(ledger, room->now))
        run = json_parse(room->now, strlen(room->now), &ignored);
    before = json_parse(ledger->text, strlen(ledger->text), &ignored);
    buf_puts(out, "{\"version\":\"" STORSYNC_VERSION "\"");
    put_member_time(out, "now", clock_wall());
    *now_at = out->len - CLOCK_RFC3339_SIZE;
    put_member_time(out, "started", ledger->counted.started);
    buf_printf(out, ",\"readOnly\":%s", yes_or_no(view->read_only));
    if (!view->has_application)
        buf_puts(out, ",\"application\":null");
    else
        buf_printf(out, ",\"application\":{\"running\":%s,\"pid\":%d}", yes_or_no(view->application != 0),
                   (int)view->application);
    put_context(out, yyjson_doc_get_root(run != NULL ? run : before));
    buf_puts(out, ",\"run\":");
    if (ledger->running)
        put_run(out, &ledger->current, is_object(room->now, run) ? room->now : NULL, "Starting");
    else
        buf_puts(out, "null");
    buf_puts(out, ",\"last\":");
    if (last != NULL)
        put_run(out, last, is_object(ledger->text, before) ? ledger->text : NULL, ledger->message);
    else
        buf_puts(out, "null");
    put_past_runs(out, ledger);
    put_schedules(out, view);
    put_differences(out, ledger, room);
    buf_putc(out, '}');
    yyjson_doc_free(run);
    yyjson_doc_free(before);
    free(room);
}

bool admin_put_health(const struct admin_view *view, struct buf *out)
{
    const char *state;
    bool healthy = ledger_healthy(view->ledger, &state);

    buf_printf(out, "{\"healthy\":%s,\"message\":\"%s (%s)\"}", yes_or_no(healthy),
               healthy ? "healthy" : "unhealthy", state);
    return healthy;
}

bool admin_put_ready(const struct admin_view *view, struct buf *out)
{
    buf_printf(out, "{\"ready\":%s,\"message\":\"%s\"}", yes_or_no(view->ready),
               view->ready             ? "ready"
               : view->ledger->running ? "the first run is not over"
                                       : "the application does not run");
    return view->ready;
}

/* A text of the run under way, or the last one; NULL: it is not known, or empty. */
static const char *known(yyjson_doc *doc, const char *name)
{
    const char *text = json_text(yyjson_doc_get_root(doc), name, "");

    return *text != '\0' ? text : NULL;
}

void admin_put_metrics(const struct admin_view *view, struct buf *out)
{
    struct room *room = make_scratch(out);
    struct ledger *ledger = view->ledger;
    struct error ignored;
    yyjson_doc *doc;
    struct metrics metrics = {
        .last_sync = ledger->last_sync.finished != CLOCK_UNKNOWN ? &ledger->last_sync : NULL,
        .last_validation =
            ledger->last_validation.finished != CLOCK_UNKNOWN ? &ledger->last_validation : NULL,
        .last_success = ledger->last_success,
        .next_sync = view->next[WIRE_SYNC],
        .next_validation = view->next[WIRE_VALIDATE],
        .resident = &ledger->counted,
    };

    if (room == NULL)
        return;
    if (ledger->running && ledger_look(ledger, room->now))
        doc = json_parse(room->now, strlen(room->now), &ignored);
    else
        doc = json_parse(ledger->text, strlen(ledger->text), &ignored);
    metrics.environment = known(doc, "environment");
    metrics.deployment_id = known(doc, "deploymentId");
    metrics.source = known(doc, "source");
    metrics.destination = known(doc, "destination");
    ledger->counted.has_application = view->has_application;
    ledger->counted.application_running = view->application != 0;
    ledger->counted.running = ledger->running ? &ledger->current.figures.run : NULL;
    buf_append(out, room->metrics, metrics_render(&metrics, room->metrics, sizeof room->metrics));
    free(room);
    yyjson_doc_free(doc);
}

void admin_put_run(const struct ledger_run *run, struct buf *out)
{
    buf_printf(out, "{\"run\":{\"id\":%" PRId64 ",\"mode\":\"%s\"}}", run->id, ledger_mode_name(run));
}

void admin_put_error(const char *code, const char *message, int64_t run_id, struct buf *out)
{
    buf_printf(out, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"", code, message);
    if (run_id != 0)
        buf_printf(out, ",\"runId\":%" PRId64, run_id);
    buf_puts(out, "}}");
}
