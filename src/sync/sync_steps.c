#include "sync_internal.h"

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
    const char *key = join_unreadable(&sync->join, &why);

    report_failed(sync->job->report, key, &why);
}

bool sync_is_of_production(const struct sync *sync)
{
    const struct object_entry *there = sync->join.destination_entry;
    const struct lease *lease = sync->job->lease;
    int64_t written;

    if (lease == NULL || !sync->join.step.take_destination)
        return false;
    written = there->written != 0 ? there->written : there->modified;
    return written != CLOCK_UNKNOWN && !lease_wrote(lease, written + there->touched);
}

static void start_transfer(const struct sync *sync, struct slot *slot)
{
    const struct join *join = &sync->join;

    slot->reason = join->step.reason;
    slot->overwrites = sync_is_of_production(sync);
    if (sync->job->settings->conflict == CONFLICT_OVERWRITE)
        transfer_start(&slot->transfer, join->source_entry);
    else
        transfer_start_over(&slot->transfer, join->source_entry,
                            join->step.take_destination ? join->destination_entry : NULL);
}

/* ---- a dry run ---- */

void sync_put_line(struct sync *sync, enum plan_fate fate, const char *reason, bool changed)
{
    const struct join *join = &sync->join;
    const struct object_entry *source = join->step.take_source ? join->source_entry : NULL;
    const struct object_entry *there = join->step.take_destination ? join->destination_entry : NULL;
    struct plan_line line = {.fate = fate,
                             .key = join->step.take_source ? join->source_entry->key
                                                           : join->destination_entry->key,
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
    const struct object_entry *entry = sync->join.source_entry;
    const char *reason = plan_reason_text(sync->join.step.reason);
    enum conflict conflict = (enum conflict)sync->job->settings->conflict;
    bool changed = sync_is_of_production(sync);

    if (changed && conflict != CONFLICT_OVERWRITE) {
        sync_leave_alone(sync, entry->key);
        sync_put_line(sync, conflict == CONFLICT_KEEP ? FATE_KEEP : FATE_CONFLICT, reason, true);
        return;
    }
    report_synced(sync->job->report, entry, reason);
    if (changed)
        report_overwritten(sync->job->report, entry->key);
    sync_put_line(sync, fate_of_copy(&sync->join), reason, changed);
}

/* The step at the heads of the listings waits in the journal. False: there is no room. */
static bool put_into_journal(struct sync *sync)
{
    const struct join *join = &sync->join;
    bool there = join->step.take_destination;
    struct keep_item item = {
        .deed = there ? JOURNAL_OVERWRITE : JOURNAL_CREATE,
        .reason = (int)join->step.reason,
        .overwrites = sync_is_of_production(sync),
        .before = there ? join->destination_entry : NULL,
        .after = join->source_entry,
    };

    return sync_add_to_journal(sync, &item);
}

/* ---- steps ---- */

/* Is the step at the heads of the listings another shard's? */
static bool is_elsewhere(const struct sync *sync)
{
    const struct join *join = &sync->join;
    const struct object_entry *named = join->step.take_source ? join->source_entry : join->destination_entry;

    return !shard_has(&sync->job->report->shard, named->key);
}

/* Carries out the step at the heads of the listings. False: no slot is free for it. */
static bool act_on_step(struct sync *sync)
{
    struct report *report = sync->job->report;
    const struct object_entry *entry = sync->join.source_entry;
    struct slot *slot;

    if (is_elsewhere(sync)) {
        report->elsewhere += sync->join.step.take_source;
        join_take(&sync->join);
        return true;
    }
    switch (sync->join.step.action) {
    case PLAN_COPY:
        if (sync->job->settings->dry_run) {
            plan_copy(sync);
            break;
        }
        if (sync->job->settings->conflict != CONFLICT_OVERWRITE && sync_is_of_production(sync)) {
            sync_leave_alone(sync, entry->key);
            break;
        }
        if (sync->keep != NULL) {
            if (!put_into_journal(sync))
                return false;
            break;
        }
        slot = sync_free_slot(sync, sync_is_large(sync, entry->size));
        if (slot == NULL)
            return false;
        start_transfer(sync, slot);
        if (transfer_idle(&slot->transfer))
            sync_settle(sync, slot);
        break;
    case PLAN_KEEP:
        report_skipped(report, entry, plan_reason_text(PLAN_SAME));
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
    if (sync->join.step.take_source)
        report->listed++;
    sync->there += sync->join.step.take_destination;
    join_take(&sync->join);
    return true;
}

bool sync_take_actions(struct sync *sync)
{
    bool moved = false;

    while (!sync->listed) {
        switch (join_peek(&sync->join)) {
        case JOIN_WAIT:
            return moved;
        case JOIN_READY:
            if (!(sync->removing ? sync_act_again(sync) : act_on_step(sync)))
                return moved;
            moved = true;
            break;
        case JOIN_FAILED:
            /* What is being copied already is right all the same: let it finish. */
            sync->error = *join_error(&sync->join);
            sync->listed = true;
            break;
        case JOIN_END:
            sync->listed = true;
            break;
        }
    }
    return moved;
}
