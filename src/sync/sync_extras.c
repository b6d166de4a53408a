#include "crash.h"
#include "log.h"
#include "sync_internal.h"

#include <stdio.h>

/* Has production made it, or changed it? What is there before this job's first sync is production's. */
static bool is_own_extra(const struct sync *sync)
{
    const struct lease *lease = sync->job->lease;

    return (lease != NULL && lease->own.span_count == 0) || sync_is_of_production(sync, &sync->path.join);
}

/* Is it one that delete=extra is about? Where production's own is to be kept, only what a sync has surely written. */
static bool may_go(const struct sync *sync)
{
    const struct settings *settings = sync->job->settings;
    const struct object_entry *there = sync->path.join.destination_entry;
    int64_t written = there->written != 0 ? there->written : there->modified;

    if (settings->deletion == DELETE_OFF || settings->conflict == CONFLICT_OVERWRITE)
        return settings->deletion != DELETE_OFF;
    return sync->job->lease != NULL && written != CLOCK_UNKNOWN &&
           lease_surely_wrote(sync->job->lease, written + there->touched);
}

void sync_note_extra(struct sync *sync)
{
    const struct settings *settings = sync->job->settings;

    sync->job->report->extra++;
    if (may_go(sync))
        sync->path.extra++;
    else if (settings->deletion == DELETE_OFF)
        sync_put_line(sync, FATE_KEEP, "extra", false);
    else if (settings->conflict == CONFLICT_FAIL && is_own_extra(sync))
        sync_leave_alone(sync, sync->path.join.destination_entry->key);
    else
        sync->own++;
}

/* Nothing more is begun. */
static void end_removing(struct sync *sync)
{
    sync->removable = 0;
    sync->halted = sync->removing;
}

static void fail_removal_of(struct sync *sync, const char *key, const char *why)
{
    struct error error;

    error_set(&error, ERROR_PROTOCOL, "%s", why);
    report_failed(sync->job->report, key, &error);
    end_removing(sync);
}

void sync_settle_removal(struct sync *sync, const struct slot *slot)
{
    struct report *report = sync->job->report;
    const struct removal *removal = &slot->removal;
    struct error why;

    switch (removal->result) {
    case REMOVAL_DONE:
        breaker_success(&sync->breaker);
        if (sync->keep != NULL)
            keep_done(sync->keep, slot->deed.entry.deed, slot->deed.kept_bytes);
        report_deleted(report, &removal->entry, slot->overwrites);
        crash_point("removing");
        break;
    case REMOVAL_GONE:
        report->extra--;
        break;
    case REMOVAL_BACK:
        log_info("%s has come to the source meanwhile: it stays", removal->key);
        break;
    case REMOVAL_HIDDEN:
        fail_removal_of(
            sync, removal->key,
            "the source has it, but does not list it: what it lists is not all, so nothing more is removed");
        break;
    case REMOVAL_CHANGED:
        if (sync->job->settings->conflict == CONFLICT_FAIL)
            sync_leave_alone(sync, removal->key);
        else
            report_kept(report, removal->key);
        break;
    case REMOVAL_FAILED:
        report_failed(report, removal->key, &removal->error);
        if (breaker_trips(&sync->breaker, &removal->error, &why))
            sync_stop(sync, &why);
        break;
    case REMOVAL_NONE:
        break;
    }
}

/* At once, or when the journal has it. False: there is no room for it now. */
static bool begin_removal(struct sync *sync, const struct object_entry *entry, bool own)
{
    struct keep_item item = {.deed = JOURNAL_DELETE, .overwrites = own, .before = entry};
    struct slot *slot;

    if (sync->keep != NULL)
        return sync_add_to_journal(sync, &item);
    slot = sync_free_slot(sync, false);
    if (slot == NULL)
        return false;
    slot->overwrites = own;
    removal_start(&slot->removal, entry, sync->path.asked);
    return true;
}

/* A dry run tells what would be removed, and plans what stays. False: no slot is free for it. */
static bool remove_extra(struct sync *sync)
{
    const struct object_entry *entry = sync->path.join.destination_entry;
    bool goes = sync->removable > 0 && may_go(sync);
    bool own = is_own_extra(sync);

    if (sync->job->settings->dry_run) {
        if (goes)
            report_deleted(sync->job->report, entry, own);
        sync_put_line(sync, goes ? FATE_DELETE : FATE_KEEP, "extra", own);
    } else if (goes && !begin_removal(sync, entry, own)) {
        return false;
    }
    sync->removable -= goes;
    return true;
}

/* What else it meets has been dealt with, or is the next sync's. */
bool sync_act_again(struct sync *sync)
{
    sync->path.seen += join_has_source(&sync->path.join);
    if (sync->path.join.step.action == PLAN_UNREADABLE) {
        sync_tell_unreadable(sync);
        end_removing(sync);
    } else if (sync->path.join.step.action == PLAN_EXTRA && sync->path.seen == 0 &&
               !sync->job->settings->dry_run) {
        log_warn("the source has nothing there any more: nothing more is removed");
        end_removing(sync);
    } else if (sync->path.join.step.action == PLAN_EXTRA && !remove_extra(sync)) {
        return false;
    }
    join_take(&sync->path.join);
    if (sync->removable == 0 && !sync->job->settings->dry_run)
        sync->path.listed = true;
    return true;
}

/* ---- the second pass ---- */

/* Is it no more than was allowed? If it is, nothing is removed. */
static bool is_within_limit(struct sync *sync)
{
    int64_t limit = sync->job->settings->max_delete;
    uint64_t most = limit >= 0
                        ? (uint64_t)limit
                        : sync->there / 100 * (uint64_t)-limit + sync->there % 100 * (uint64_t)-limit / 100;
    char shown[24];

    if (sync->removable <= most)
        return true;
    snprintf(shown, sizeof shown, "%lld%s", (long long)(limit >= 0 ? limit : -limit), limit >= 0 ? "" : "%");
    error_set(
        &sync->error, ERROR_PARTIAL,
        "%llu of the %llu objects in production are not at the source, which is more than may be removed at once (setting max_delete, %s): none was",
        (unsigned long long)sync->removable, (unsigned long long)sync->there, shown);
    return false;
}

/* Where the source is empty there is only something to plan. */
static void walk_part(struct sync *sync, int number)
{
    uint64_t kept_back = (sync->paths & UINT64_C(1) << number) == 0 ? sync->removable : 0;

    sync->removable -= kept_back;
    if (sync->removable > 0 || sync->job->settings->dry_run)
        sync_walk_path(sync, number);
    sync->removable += kept_back;
}

/* What stopped the removing before it began (max_delete) is not forgotten by a dry run that only plans. */
static void walk_again(struct sync *sync)
{
    const struct settings *settings = sync->job->settings;
    struct error why = sync->error;

    error_clear(&sync->error);
    sync->removing = true;
    sync->removal_plan =
        (struct removal_plan){.source = sync->job->source, .destination = sync->job->destination};
    for (int i = 0; i < sync->slot_count; i++)
        removal_init(&sync->slots[i].removal, &sync->removal_plan);
    for (int i = 0; i < settings_part_count(settings) && sync->error.kind == ERROR_NONE; i++)
        walk_part(sync, i);
    for (int i = 0; i < sync->slot_count; i++)
        removal_free(&sync->slots[i].removal);
    if (sync->error.kind == ERROR_NONE)
        sync->error = why;
}

/* INVARIANT: nothing is removed but after a pass that failed nowhere and whose listings were complete, and nothing at all where
 * the source is empty, or every object has vanished from it. What comes up beyond what was counted waits for the next sync. */
void sync_remove_extras(struct sync *sync)
{
    const struct report *report = sync->job->report;
    const struct settings *settings = sync->job->settings;
    bool clean = report->failed == 0 && (report->gone == 0 || report->gone < report->listed);
    bool planned = settings->dry_run && *settings->plan != '\0';

    if (settings->deletion == DELETE_OFF || sync->error.kind != ERROR_NONE || report->extra == 0)
        return;
    if (sync->own > 0)
        log_info(
            "%llu objects that only production has stay, because it has, or may have, made them (setting conflict)",
            (unsigned long long)sync->own);
    if (!clean && sync->removable > 0)
        log_warn("nothing is removed after a failure: %llu objects that only production has stay",
                 (unsigned long long)sync->removable);
    if (!clean || !is_within_limit(sync))
        end_removing(sync);
    if (sync->removable == 0 && !planned)
        return;
    walk_again(sync);
}
