#include "report_internal.h"

#include "clock.h"
#include "json.h"
#include "stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const modes[REPORT_MODES] = {
    [REPORT_DEPLOY] = "deploy",
    [REPORT_SYNC] = "sync",
    [REPORT_VALIDATE] = "validate",
    [REPORT_ROLLBACK] = "rollback",
};

static const struct {
    const char *name;
    bool healthy;
} states[] = {
    [REPORT_STARTING] = {"starting", false},
    [REPORT_RUNNING] = {"running", false},
    [REPORT_WAITING] = {"waiting", false},
    [REPORT_SYNCED] = {"synced", true},
    [REPORT_ALREADY_SYNCED] = {"already-synced", true},
    [REPORT_TOO_SOON] = {"too-soon", true},
    [REPORT_INACTIVE] = {"inactive", true},
    [REPORT_NOTHING_TO_DO] = {"nothing-to-do", true},
    [REPORT_ROLLED_BACK] = {"rolled-back", true},
    [REPORT_PARTIAL] = {"partial", false},
    [REPORT_FAILED] = {"failed", false},
    [REPORT_INTERRUPTED] = {"interrupted", false},
};

const char *report_mode_name(enum report_mode mode)
{
    return modes[mode];
}

const char *report_state_name(enum report_state state)
{
    return states[state].name;
}

bool report_state_parse(const char *name, enum report_state *state)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++) {
        if (strcmp(states[i].name, name) == 0) {
            *state = (enum report_state)i;
            return true;
        }
    }
    return false;
}

bool report_state_healthy(enum report_state state)
{
    return states[state].healthy;
}

void report_init(struct report *report, int64_t now)
{
    *report = (struct report){
        .state = REPORT_STARTING,
        .detection = {.platform = "", .hint = ""},
        .started = now,
        .finished = CLOCK_UNKNOWN,
        .due_at = CLOCK_UNKNOWN,
        .next_sync = CLOCK_UNKNOWN,
    };
    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        buf_init(&report->validation.lists[i].json, REPORT_DETAILS_MAX);
}

void report_free(struct report *report)
{
    for (int i = 0; i < report->failure_count; i++)
        free(report->failures[i].file);
    report->failure_count = 0;
    for (int i = 0; i < REPORT_DIFFERENCES; i++)
        buf_free(&report->validation.lists[i].json);
}

bool report_valid(const struct report *report)
{
    const struct report_validation *validation = &report->validation;

    return validation->done && report->failed == 0 && validation->lists[REPORT_MISSING].count == 0 &&
           validation->lists[REPORT_MISMATCHED].count == 0 &&
           (!validation->strict || validation->lists[REPORT_EXTRA].count == 0);
}

int report_exit_code(const struct report *report)
{
    int code = error_exit_code(&report->error);

    return code == 0 && report->mode == REPORT_VALIDATE && !report_valid(report) ? 1 : code;
}

/* ---- listeners ---- */

void report_listen(struct report *report, struct report_listener *listener)
{
    struct report_listener **end = &report->listeners;

    while (*end != NULL)
        end = &(*end)->next;
    listener->next = NULL;
    *end = listener;
}

static void tell(const struct report *report, struct report_event event)
{
    for (const struct report_listener *each = report->listeners; each != NULL; each = each->next)
        each->event(each->ctx, report, &event);
}

static void tell_kind(const struct report *report, enum report_event_kind kind)
{
    tell(report, (struct report_event){.kind = kind});
}

/* ---- the run ---- */

void report_starting(struct report *report)
{
    report->state = REPORT_STARTING;
    tell_kind(report, REPORT_EVENT_STARTING);
}

void report_environment(struct report *report)
{
    tell_kind(report, REPORT_EVENT_ENVIRONMENT);
}

void report_waiting(struct report *report, const char *owner, int64_t epoch)
{
    report->state = REPORT_WAITING;
    snprintf(report->waiting_for, sizeof report->waiting_for, "%s", owner);
    report->waiting_epoch = epoch;
    tell_kind(report, REPORT_EVENT_WAITING);
}

void report_leased(struct report *report, bool advisory)
{
    report->lease = advisory ? REPORT_ADVISORY : REPORT_EXCLUSIVE;
    tell_kind(report, REPORT_EVENT_LEASED);
}

void report_begin(struct report *report)
{
    report->state = REPORT_RUNNING;
    tell_kind(report, REPORT_EVENT_BEGUN);
}

void report_nothing(struct report *report, const struct settings *settings)
{
    tell(report, (struct report_event){.kind = REPORT_EVENT_NOTHING, .settings = settings});
}

void report_progress(struct report *report, int active, uint64_t moved)
{
    report->active = active;
    report->moved = moved;
    tell_kind(report, REPORT_EVENT_PROGRESS);
}

void report_tick(struct report *report)
{
    tell_kind(report, REPORT_EVENT_TICK);
}

/* A time limit alone does not tell what took so long. */
static void name_awaited(const struct report *report, struct error *error)
{
    char what[REPORT_AWAITED_SIZE];
    size_t len = strlen(error->text);

    if (error->kind == ERROR_TIMEOUT && stop_reason() == STOP_DEADLINE)
        snprintf(error->text + len, sizeof error->text - len, "; it was waiting for %s",
                 report_awaited(report, what));
}

void report_finish(struct report *report, enum report_state state, const struct error *error, int64_t now)
{
    if (error != NULL) {
        report->error = *error;
        name_awaited(report, &report->error);
    }
    report->state = state;
    report->finished = now;
    if (report->message[0] == '\0')
        report_make_message(report);
    tell_kind(report, REPORT_EVENT_FINISHED);
}

/* ---- objects ---- */

void report_path(struct report *report, const char *path)
{
    report->path = path;
    tell_kind(report, REPORT_EVENT_PATH);
}

void report_path_end(struct report *report)
{
    tell_kind(report, REPORT_EVENT_PATH_END);
    report->path = NULL;
}

void report_synced(struct report *report, const struct object_entry *entry, const char *reason)
{
    report->synced++;
    report->total_size += entry->size;
    tell(report, (struct report_event){
                     .kind = REPORT_EVENT_SYNCED, .key = entry->key, .size = entry->size, .reason = reason});
}

void report_skipped(struct report *report, const struct object_entry *entry, const char *reason)
{
    report->skipped++;
    tell(report, (struct report_event){.kind = REPORT_EVENT_SKIPPED, .key = entry->key, .reason = reason});
}

void report_gone(struct report *report, const struct object_entry *entry)
{
    report->gone++;
    tell(report, (struct report_event){
                     .kind = REPORT_EVENT_GONE, .key = entry->key, .reason = "no longer at the source"});
}

static const char of_production[] = "changed in production";

void report_overwritten(struct report *report, const char *key)
{
    report->overwritten++;
    tell(report,
         (struct report_event){.kind = REPORT_EVENT_OVERWRITTEN, .key = key, .reason = of_production});
}

void report_kept(struct report *report, const char *key)
{
    report->kept++;
    tell(report, (struct report_event){.kind = REPORT_EVENT_KEPT, .key = key, .reason = of_production});
}

void report_deleted(struct report *report, const struct object_entry *entry, bool own)
{
    report->deleted++;
    report->extra--;
    tell(report, (struct report_event){.kind = REPORT_EVENT_DELETED,
                                       .key = entry->key,
                                       .size = entry->size,
                                       .reason = own ? "not at the source; made or changed in production"
                                                     : "not at the source",
                                       .own = own});
}

static void keep_failure(struct report *report, const char *key, const struct error *error)
{
    struct report_failure *failure = &report->failures[report->failure_count];

    failure->file = strdup(key);
    if (failure->file == NULL)
        return;
    failure->error = *error;
    report->failure_count++;
}

void report_failed(struct report *report, const char *key, const struct error *error)
{
    report->failed++;
    if (report->failure_count < REPORT_ERRORS_MAX)
        keep_failure(report, key, error);
    tell(report, (struct report_event){.kind = REPORT_EVENT_FAILED, .key = key, .error = error});
}

/* ---- differences ---- */

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

void report_difference(struct report *report, enum report_difference difference, const char *key,
                       const char *reason, bool all)
{
    struct report_list *list = &report->validation.lists[difference];

    /* Only while nothing was left out: the list is the first ones, without gaps. */
    if (list->listed == list->count && (all || list->count < REPORT_DIFFERENCES_MAX))
        list_difference(list, difference, key, reason);
    list->count++;
    tell(report,
         (struct report_event){
             .kind = REPORT_EVENT_DIFFERENCE, .key = key, .reason = reason, .difference = difference});
}

void report_changed(struct report *report, const char *key)
{
    report->validation.changed++;
    tell(report, (struct report_event){
                     .kind = REPORT_EVENT_CHANGED, .key = key, .reason = "changed while it was compared"});
}
