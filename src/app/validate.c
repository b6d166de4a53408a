#include "validate.h"

#include "join.h"

#include <inttypes.h>

static void tell_failed_look(const struct join *join, struct report *report)
{
    struct error why;
    const char *key = join_unreadable(join, &why);

    report_failed(report, key, &why);
}

static void compare_heads(struct join *join, bool all, struct report *report)
{
    const struct plan_step *step = &join->step;

    if (step->action == PLAN_UNREADABLE) {
        tell_failed_look(join, report);
        return;
    }
    if (step->take_source)
        report->validation.checked++;
    if (step->action == PLAN_EXTRA)
        report_difference(report, REPORT_EXTRA, join->destination_entry->key, plan_reason_text(step->reason),
                          all);
    else if (step->action == PLAN_COPY && step->reason == PLAN_MISSING)
        report_difference(report, REPORT_MISSING, join->source_entry->key, plan_reason_text(step->reason),
                          all);
    else if (step->action == PLAN_COPY)
        report_difference(report, REPORT_MISMATCHED, join->source_entry->key, plan_reason_text(step->reason),
                          all);
    else if (!object_hashes_equal(&join->source_entry->hash, &join->destination_entry->hash))
        report->validation.unhashed++;
}

/* Compares one path to its end. */
static bool validate_path(struct loop *loop, struct join *join, bool all, struct report *report,
                          struct error *error)
{
    for (;;) {
        enum join_state state = join_peek(join);

        if (state == JOIN_END)
            return true;
        if (state == JOIN_FAILED) {
            *error = *join_error(join);
            return false;
        }
        if (state == JOIN_READY) {
            compare_heads(join, all, report);
            join_take(join);
            continue;
        }
        if (!loop_turn(loop, join_step(join), INT64_MAX, error))
            return false;
    }
}

bool validate_run(struct store *source, struct store *destination, const struct settings *settings, bool all,
                  struct report *report, struct error *error)
{
    enum compare rule =
        settings_is_default(settings, &settings->compare) ? COMPARE_ETAG : (enum compare)settings->compare;

    report_begin(report);
    for (int i = 0; i < settings_path_count(settings); i++) {
        struct join join;
        bool done;

        report_path(report, settings_path(settings, i));
        if (!join_open(&join, source, destination, settings_path(settings, i),
                       (struct plan_rule){.compare = rule}, error))
            return false;
        done = validate_path(store_loop(destination), &join, all, report, error);
        join_close(&join);
        report_path_end(report);
        if (!done)
            return false;
    }
    if (report->validation.checked == 0)
        report_nothing(report, settings);
    report->validation.done = true;
    if (report->failed == 0)
        return true;
    return error_set(error, ERROR_PARTIAL,
                     "%" PRIu64 " thing%s could not be read: what is there was not compared", report->failed,
                     report->failed == 1 ? "" : "s");
}
