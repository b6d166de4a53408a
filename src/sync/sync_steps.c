#include "sync_internal.h"

#include <string.h>

void sync_leave_alone(const struct sync *sync, const char *key)
{
    struct error why;

    if (sync->job->settings->conflict == CONFLICT_KEEP) {
        report_kept(sync->job->report, key);
        return;
    }
    error_set(
        &why, ERROR_PRECONDITION, "%s",
        sync->job->settings->conflict == CONFLICT_OVERWRITE
            ? "it keeps changing in production, and what is there now is not kept: the next sync overwrites it (setting keep_previous)"
            : "it was changed in production since it was synced (setting conflict)");
    report_failed(sync->job->report, key, &why);
}

void sync_tell_unreadable(const struct sync *sync)
{
    struct error why;
    const char *key = join_unreadable(&sync->path.join, &why);

    report_failed(sync->job->report, key, &why);
}

bool sync_is_of_production(const struct sync *sync, const struct join *join)
{
    const struct object_entry *there = join->destination_entry;
    const struct lease *lease = sync->job->lease;
    int64_t written;

    if (lease == NULL || !join->step.take_destination)
        return false;
    written = there->written != 0 ? there->written : there->modified;
    return written != CLOCK_UNKNOWN && !lease_wrote(lease, written + there->touched);
}

static const char *key_of_step(const struct join *join)
{
    return join->step.take_source ? join->source_entry->key : join->destination_entry->key;
}

static void start_transfer(const struct sync *sync, struct slot *slot, const struct join *join)
{
    slot->reason = join->step.reason;
    slot->overwrites = sync_is_of_production(sync, join);
    if (sync->job->settings->conflict == CONFLICT_OVERWRITE)
        transfer_start(&slot->transfer, join->source_entry);
    else
        transfer_start_over(&slot->transfer, join->source_entry,
                            join->step.take_destination ? join->destination_entry : NULL);
}

/* ---- a dry run ---- */

void sync_put_line(struct sync *sync, enum plan_fate fate, const char *reason, bool changed)
{
    const struct join *join = &sync->path.join;
    const struct object_entry *source = join->step.take_source ? join->source_entry : NULL;
    const struct object_entry *there = join->step.take_destination ? join->destination_entry : NULL;
    struct plan_line line = {.fate = fate,
                             .key = key_of_step(join),
                             .reason = reason,
                             .source = source,
                             .destination = there,
                             .changed = changed};

    if (fate == FATE_FAIL)
        line.source = line.destination = NULL;
    if (sync->job->plan != NULL && !plan_file_put(sync->job->plan, &line))
        sync_stop(sync, &sync->job->plan->error);
}

static enum plan_fate fate_of_copy(const struct join *join)
{
    if (!join->step.take_destination)
        return FATE_CREATE;
    return object_hashes_equal(&join->source_entry->hash, &join->destination_entry->hash) ? FATE_METADATA
                                                                                          : FATE_OVERWRITE;
}

/* What would be copied. */
static void plan_copy(struct sync *sync)
{
    const struct object_entry *entry = sync->path.join.source_entry;
    const char *reason = plan_reason_text(sync->path.join.step.reason);
    enum conflict conflict = (enum conflict)sync->job->settings->conflict;
    bool changed = sync_is_of_production(sync, &sync->path.join);

    if (changed && conflict != CONFLICT_OVERWRITE) {
        sync_leave_alone(sync, entry->key);
        sync_put_line(sync, conflict == CONFLICT_KEEP ? FATE_KEEP : FATE_CONFLICT, reason, true);
        return;
    }
    report_synced(sync->job->report, entry, reason);
    if (changed)
        report_overwritten(sync->job->report, entry->key);
    sync_put_line(sync, fate_of_copy(&sync->path.join), reason, changed);
}

/* The step at the heads of the listings waits in the journal. False: there is no room. */
static bool put_into_journal(struct sync *sync)
{
    const struct join *join = &sync->path.join;
    bool there = join->step.take_destination;
    struct keep_item item = {
        .deed = there ? JOURNAL_OVERWRITE : JOURNAL_CREATE,
        .reason = (int)join->step.reason,
        .overwrites = sync_is_of_production(sync, join),
        .before = there ? join->destination_entry : NULL,
        .after = join->source_entry,
    };

    return sync_add_to_journal(sync, &item);
}

/* ---- steps ---- */

/* Is the step at the heads of the listings another shard's? */
static bool is_elsewhere(const struct sync *sync, const struct join *join)
{
    return !shard_has(&sync->job->report->shard, key_of_step(join));
}

/* Production has changed it, and that is not to be overwritten. */
static bool is_left_alone(const struct sync *sync, const struct join *join)
{
    return sync->job->settings->conflict != CONFLICT_OVERWRITE && sync_is_of_production(sync, join);
}

/* False: no slot is free for it. */
static bool begin_copy(struct sync *sync, const struct path *path)
{
    const struct join *join = &path->join;
    struct slot *slot = sync_free_slot(sync, sync_is_large(sync, join->source_entry->size));

    if (slot == NULL)
        return false;
    start_transfer(sync, slot, join);
    slot->ahead = path == &sync->next;
    if (transfer_idle(&slot->transfer) && !slot->ahead)
        sync_settle(sync, slot);
    return true;
}

static bool act_on_copy(struct sync *sync, const struct path *path)
{
    if (sync->job->settings->dry_run) {
        plan_copy(sync);
    } else if (is_left_alone(sync, &path->join)) {
        sync_leave_alone(sync, path->join.source_entry->key);
    } else if (sync->keep != NULL) {
        return put_into_journal(sync);
    } else {
        return begin_copy(sync, path);
    }
    return true;
}

/* Past the step at the heads of its listings. */
static void end_step(struct path *path)
{
    const char *key = key_of_step(&path->join);

    memcpy(path->reached, key, strlen(key) + 1);
    path->seen += path->join.step.take_source;
    join_take(&path->join);
}

/* Carries out the step at the heads of the path's listings. False: no slot is free for it. */
static bool act_on_step(struct sync *sync, struct path *path)
{
    struct report *report = sync->job->report;
    const struct join *join = &path->join;

    if (is_elsewhere(sync, join)) {
        report->elsewhere += join->step.take_source;
        end_step(path);
        return true;
    }
    switch (join->step.action) {
    case PLAN_COPY:
        if (!act_on_copy(sync, path))
            return false;
        break;
    case PLAN_KEEP:
        report_skipped(report, join->source_entry, plan_reason_text(PLAN_SAME));
        sync_put_line(sync, FATE_SKIP, plan_reason_text(PLAN_SAME), false);
        break;
    case PLAN_EXTRA:
        sync_note_extra(sync);
        break;
    case PLAN_UNREADABLE:
        sync_tell_unreadable(sync);
        sync_put_line(sync, FATE_FAIL, "unreadable", false);
        break;
    case PLAN_END:
        break;
    }
    report->listed += join->step.take_source;
    sync->there += join->step.take_destination;
    end_step(path);
    return true;
}

bool sync_take_actions(struct sync *sync)
{
    struct path *path = &sync->path;
    bool moved = false;

    while (!path->listed) {
        switch (join_peek(&path->join)) {
        case JOIN_WAIT:
            return moved;
        case JOIN_READY:
            if (!(sync->removing ? sync_act_again(sync) : act_on_step(sync, path)))
                return moved;
            moved = true;
            break;
        case JOIN_FAILED:
            /* What is being copied already is right all the same: let it finish. */
            sync->error = *join_error(&path->join);
            path->listed = true;
            break;
        case JOIN_END:
            path->listed = true;
            break;
        }
    }
    return moved;
}

/* ---- the path that comes next ---- */

/* Is there nothing to be told, counted or written of the step before its object is copied? */
static bool is_silent(const struct sync *sync, const struct join *join)
{
    return is_elsewhere(sync, join) || (join->step.action == PLAN_COPY && !is_left_alone(sync, join));
}

/* The log, the plan and the journal are in the order of the paths. */
static bool may_go_ahead(const struct sync *sync)
{
    const struct path *next = &sync->next;

    return sync->path.listed && sync->error.kind == ERROR_NONE && next->asked != 0 && !sync_is_stale(next) &&
           sync->keep == NULL && !sync->job->settings->dry_run;
}

bool sync_take_ahead(struct sync *sync)
{
    struct path *next = &sync->next;
    bool moved = false;

    while (may_go_ahead(sync) && sync_has_room_ahead(sync) && join_peek(&next->join) == JOIN_READY &&
           is_silent(sync, &next->join) && act_on_step(sync, next))
        moved = true;
    return moved;
}
