#include "clock.h"
#include "crash.h"
#include "log.h"
#include "sync_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void start_deed(struct sync *sync, struct slot *slot, const struct keep_item *item)
{
    slot->reason = (enum plan_reason)item->reason;
    slot->overwrites = item->overwrites;
    deed_start(&slot->deed, item, sync->path.asked);
}

bool sync_step_journal(struct sync *sync)
{
    struct keep_item item;
    struct slot *slot;
    struct error why;
    bool moved = false;

    if (sync->keep == NULL || sync->give_up != 0)
        return false;
    if (!keep_step(sync->keep, sync->concurrency.limit, &moved, &why)) {
        sync_stop(sync, &why);
        return true;
    }
    while ((slot = sync_free_slot(sync, sync_is_large(sync, UINT64_MAX))) != NULL && sync->give_up == 0 &&
           keep_take(sync->keep, &item)) {
        if (item.deed != JOURNAL_DELETE || !sync->halted)
            start_deed(sync, slot, &item);
        moved = true;
    }
    return moved;
}

bool sync_add_to_journal(struct sync *sync, const struct keep_item *item)
{
    struct error why;

    if (!keep_has_room(sync->keep))
        return false;
    if (!keep_add(sync->keep, item, &why))
        sync_stop(sync, &why);
    return true;
}

bool sync_begin_journal(struct sync *sync)
{
    const struct sync_job *job = sync->job;
    struct journal_head head = {.started = job->report->started};

    if (job->settings->keep_previous == KEEP_OFF || job->settings->dry_run)
        return true;
    sync->keep = malloc(sizeof *sync->keep);
    if (sync->keep == NULL)
        return false;
    if (job->lease->advisory)
        log_warn(
            "as the destination cannot refuse to write what is there already, two syncs at once may write into one journal, which cannot be rolled back then (setting keep_previous)");
    head.run = job->lease->own.epoch;
    head.versions = job->settings->keep_previous == KEEP_VERSIONS;
    memcpy(head.nonce, job->lease->own.nonce, sizeof head.nonce);
    if (job->report->mode == REPORT_DEPLOY)
        snprintf(head.deployment, sizeof head.deployment, "%s", job->report->detection.deployment_id);
    keep_init(sync->keep, job->state, &head);
    sync->plan.exact = true;
    sync->deed_plan = (struct deed_plan){
        .keep = sync->keep, .copy = &sync->plan, .conflict = (enum conflict)job->settings->conflict};
    deed_plan_init(&sync->deed_plan, (uint64_t)job->settings->part_size);
    return true;
}

void sync_end_journal(struct sync *sync)
{
    struct journal_run *run;
    struct error why;
    char size[32];

    if (sync->keep == NULL)
        return;
    run = &sync->keep->run;
    sync->job->journaled = run->chunks > 0;
    run->state =
        sync->error.kind == ERROR_NONE && sync->job->report->failed == 0 ? JOURNAL_SYNCED : JOURNAL_FAILED;
    run->finished = clock_wall();
    crash_point("journal-end");
    if (run->chunks > 0 && sync->give_up == 0 && !journal_save_run(sync->job->state, run, &why))
        log_warn("the journal of run %llu has no end: %s", (unsigned long long)run->head.run, why.text);
    if (run->chunks > 0)
        log_info(
            "run %llu can be undone with --rollback: %llu created, %llu overwritten, %llu deleted; %s kept",
            (unsigned long long)run->head.run, (unsigned long long)run->created,
            (unsigned long long)run->overwritten, (unsigned long long)run->deleted,
            report_size(run->bytes, size));
    keep_free(sync->keep);
    free(sync->keep);
    deed_plan_free(&sync->deed_plan);
}
