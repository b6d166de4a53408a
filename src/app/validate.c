#include "validate.h"

#include "breaker.h"
#include "concurrency.h"
#include "content.h"
#include "hash.h"
#include "join.h"
#include "log.h"
#include "random.h"

#include <inttypes.h>
#include <stdlib.h>

struct validation {
    struct store *source, *destination;
    const struct settings *settings;
    struct report *report;
    bool all;
    struct plan_rule rule;
    struct content *slots; /* none without a content check */
    int slot_count;
    struct breaker breaker;
    struct join join;
    bool stopped; /* *error says why */
    struct error *error;
};

/* ---- objects whose content is looked at ---- */

/* Is it one of the share that is read? The same seed takes the same ones, whatever else there is. */
static bool is_sampled(const struct validation *v, const char *key)
{
    const struct report_validation *validation = &v->report->validation;

    return hash_spread(key, validation->seed) % 100 < validation->percent;
}

static struct content *free_look(const struct validation *v)
{
    for (int i = 0; i < v->slot_count; i++)
        if (content_idle(&v->slots[i]))
            return &v->slots[i];
    return NULL;
}

static void stop_validation(struct validation *v, const struct error *why)
{
    if (!v->stopped)
        *v->error = *why;
    v->stopped = true;
    for (int i = 0; i < v->slot_count; i++)
        if (!content_idle(&v->slots[i]))
            content_stop(&v->slots[i], why);
}

static void settle_look(struct validation *v, const struct content *look)
{
    struct report *report = v->report;
    struct error why;

    report->validation.bytes += look->read;
    switch (look->result) {
    case CONTENT_DIFFERS:
        report_difference(report, REPORT_MISMATCHED, look->key, plan_reason_text(PLAN_ETAG), v->all);
        /* fall through */
    case CONTENT_SAME:
        report->validation.read++;
        breaker_success(&v->breaker);
        break;
    case CONTENT_CHANGED:
        report_changed(report, look->key);
        break;
    case CONTENT_FAILED:
        report_failed(report, look->key, &look->error);
        if (breaker_trips(&v->breaker, &look->error, &why))
            stop_validation(v, &why);
        break;
    case CONTENT_NONE:
        break;
    }
}

/* Moves them, and settles those that are over. Returns how many are still going. */
static int step_looks(struct validation *v, bool *moved, uint64_t *bytes, int64_t *wake)
{
    int active = 0;

    *wake = INT64_MAX;
    for (int i = 0; i < v->slot_count && !v->stopped; i++) {
        struct content *look = &v->slots[i];

        if (content_idle(look))
            continue;
        *moved |= content_step(look);
        if (content_idle(look)) {
            settle_look(v, look);
            continue;
        }
        active++;
        *bytes += look->read;
        if (content_wake(look) < *wake)
            *wake = content_wake(look);
    }
    *bytes += v->report->validation.bytes;
    return active;
}

/* ---- what the listings say ---- */

static void tell_failed_look(const struct join *join, struct report *report)
{
    struct error why;
    const char *key = join_unreadable(join, &why);

    report_failed(report, key, &why);
}

/* Do hash, size and time leave open whether the content is the same? */
static bool is_open_question(const struct join *join)
{
    const struct plan_step *step = &join->step;

    return (step->action == PLAN_KEEP &&
            !object_hashes_equal(&join->source_entry->hash, &join->destination_entry->hash)) ||
           (step->action == PLAN_COPY && step->reason == PLAN_UNKNOWN);
}

static void tell_difference(const struct validation *v)
{
    const struct join *join = &v->join;
    const struct plan_step *step = &join->step;
    bool extra = step->action == PLAN_EXTRA;
    enum report_difference kind = extra                          ? REPORT_EXTRA
                                  : step->reason == PLAN_MISSING ? REPORT_MISSING
                                                                 : REPORT_MISMATCHED;

    report_difference(v->report, kind, extra ? join->destination_entry->key : join->source_entry->key,
                      plan_reason_text(step->reason), v->all);
}

/* False: no look is free for it. */
static bool compare_heads(struct validation *v)
{
    struct join *join = &v->join;
    struct report_validation *validation = &v->report->validation;
    bool open = is_open_question(join);

    if (open && v->slot_count > 0 && is_sampled(v, join->source_entry->key)) {
        struct content *look = free_look(v);

        if (look == NULL)
            return false;
        content_start(look, join->source_entry, join->destination_entry);
        if (content_idle(look))
            settle_look(v, look);
    } else if (join->step.action == PLAN_UNREADABLE) {
        tell_failed_look(join, v->report);
        return true;
    } else if (join->step.action != PLAN_KEEP) {
        validation->hashed += join->step.reason == PLAN_ETAG;
        tell_difference(v);
    } else if (open) {
        validation->unhashed++;
    } else {
        validation->hashed++;
    }
    validation->checked += join->step.take_source;
    return true;
}

/* Compares what is known of both listings, as far as looks are free. False: the listings are through. */
static bool take_heads(struct validation *v, bool *moved)
{
    while (!v->stopped) {
        enum join_state state = join_peek(&v->join);

        if (state == JOIN_END)
            return false;
        if (state == JOIN_FAILED)
            stop_validation(v, join_error(&v->join));
        if (state != JOIN_READY || !compare_heads(v))
            return true;
        join_take(&v->join);
        *moved = true;
    }
    return true;
}

/* ---- the loop ---- */

static bool turn_validation(struct validation *v)
{
    bool moved = join_step(&v->join);
    bool more = take_heads(v, &moved);
    uint64_t bytes = 0;
    int64_t wake;
    int active = step_looks(v, &moved, &bytes, &wake);
    struct error why;

    if (v->stopped || (!more && active == 0))
        return false;
    report_progress(v->report, active, bytes);
    if (!loop_turn(store_loop(v->destination), moved, wake, &why))
        stop_validation(v, &why);
    return !v->stopped;
}

static void validate_path(struct validation *v, const char *path)
{
    struct store_range range = {.prefix = path, .filter = settings_filter(v->settings)};

    if (!join_open(&v->join, v->source, v->destination, &range, v->rule, JOIN_ANY_ORDER, v->error)) {
        v->stopped = true;
        return;
    }
    report_path(v->report, path);
    while (turn_validation(v)) {
    }
    join_close(&v->join);
    report_path_end(v->report);
}

/* False: no memory. */
static bool make_looks(struct validation *v)
{
    int count = concurrency_usual(v->settings->concurrency);

    if (v->settings->content == 0)
        return true;
    v->slots = calloc((size_t)count, sizeof *v->slots);
    if (v->slots == NULL)
        return false;
    for (; v->slot_count < count; v->slot_count++)
        content_init(&v->slots[v->slot_count], v->source, v->destination, (uint64_t)v->settings->part_size);
    return true;
}

static void free_looks(struct validation *v)
{
    for (int i = 0; i < v->slot_count; i++)
        content_free(&v->slots[i]);
    free(v->slots);
}

/* What is asked for, into the report. */
static void prepare_validation(const struct settings *settings, struct report_validation *validation)
{
    validation->strict = settings->strict != 0;
    validation->percent = (unsigned)settings->content;
    if (settings->content == 0 || settings->content == 100) /* there is nothing to choose */
        return;
    validation->seed = (uint32_t)settings->content_seed;
    while (validation->seed == 0)
        validation->seed = (uint32_t)random_number();
}

bool validate_run(struct store *source, struct store *destination, const struct settings *settings, bool all,
                  struct report *report, struct error *error)
{
    struct validation v = {
        .source = source,
        .destination = destination,
        .settings = settings,
        .report = report,
        .all = all,
        .rule.compare = settings_is_default(settings, &settings->compare) ? COMPARE_ETAG
                                                                          : (enum compare)settings->compare,
        .breaker.max = settings->max_failures,
        .error = error,
    };

    if (!make_looks(&v))
        return error_set(error, ERROR_LOCAL, "out of memory");
    prepare_validation(settings, &report->validation);
    report_begin(report);
    for (int i = 0; i < settings_path_count(settings) && !v.stopped; i++)
        validate_path(&v, settings_path(settings, i));
    free_looks(&v);
    if (v.stopped)
        return false;
    if (report->validation.checked == 0)
        report_nothing(report, settings);
    report->validation.done = true;
    if (settings->deletion != DELETE_OFF && report->validation.lists[REPORT_EXTRA].count > 0)
        log_info("a sync removes what is extra, as far as conflict and max_delete let it (setting delete)");
    if (report->failed == 0)
        return true;
    return error_set(error, ERROR_PARTIAL,
                     "%" PRIu64 " thing%s could not be read: what is there was not compared", report->failed,
                     report->failed == 1 ? "" : "s");
}
