#include "deed.h"

#include "crash.h"

#include <string.h>

void deed_plan_init(struct deed_plan *plan, uint64_t part_size)
{
    transfer_plan_within(&plan->inside, plan->copy->destination, part_size);
}

void deed_plan_free(struct deed_plan *plan)
{
    object_meta_free(&plan->inside.acl);
}

void deed_init(struct deed *deed, struct deed_plan *plan, struct transfer *transfer, struct removal *removal)
{
    *deed = (struct deed){.plan = plan, .transfer = transfer, .removal = removal};
}

bool deed_idle(const struct deed *deed)
{
    return deed->state == NULL;
}

void deed_stop(struct deed *deed)
{
    deed->stopping = true;
}

static void end_deed(struct deed *deed, enum deed_result result)
{
    deed->result = result;
    deed->state = NULL;
}

/* ---- the deed itself ---- */

static void wait_until_written(struct deed *deed)
{
    end_deed(deed, DEED_WRITTEN);
}

static void wait_until_done(struct deed *deed)
{
    end_deed(deed, DEED_REMOVED);
}

/* The journal has it, and what was there is kept. */
static void do_it(struct deed *deed)
{
    transfer_use(deed->transfer, deed->plan->copy);
    if (deed->what == JOURNAL_DELETE) {
        removal_start(deed->removal, &deed->before, deed->listed);
        deed->state = wait_until_done;
        return;
    }
    if (deed->plan->conflict == CONFLICT_OVERWRITE)
        transfer_start(deed->transfer, &deed->after);
    else
        transfer_start_over(deed->transfer, &deed->after,
                            deed->what == JOURNAL_OVERWRITE ? &deed->before : NULL);
    deed->state = wait_until_written;
}

/* ---- before it ---- */

/* The version before has been kept, or not. Without it nothing is overwritten. */
static void wait_until_kept(struct deed *deed)
{
    struct transfer *transfer = deed->transfer;

    if (deed->stopping) { /* nothing is begun any more; what was kept stays */
        end_deed(deed, DEED_STOPPED);
    } else if (transfer->result == TRANSFER_COPIED) {
        crash_point("kept");
        deed->kept_bytes = transfer->entry.size;
        do_it(deed);
    } else if (transfer->result == TRANSFER_GONE && deed->what == JOURNAL_DELETE) {
        end_deed(deed, DEED_GONE);
    } else {
        if (transfer->result == TRANSFER_GONE)
            error_set(&transfer->error, ERROR_PRECONDITION, "it was removed in production meanwhile");
        error_prefix(&transfer->error, "what is there cannot be kept (setting keep_previous): ");
        transfer->result = TRANSFER_FAILED;
        end_deed(deed, DEED_WRITTEN);
    }
}

static void keep_before(struct deed *deed)
{
    transfer_use(deed->transfer, &deed->plan->inside);
    transfer_start_as(deed->transfer, &deed->before, deed->kept, NULL, NULL);
    deed->state = wait_until_kept;
}

static void take_over(struct deed *deed, const struct object_entry *entry, struct object_entry *own)
{
    *own = *entry;
    own->key = deed->key;
}

void deed_start(struct deed *deed, const struct keep_item *item, int64_t listed)
{
    const struct keep *keep = deed->plan->keep;
    const char *key = item->after != NULL ? item->after->key : item->before->key;

    deed->what = item->deed;
    deed->listed = listed;
    deed->stopping = false;
    deed->kept_bytes = item->before != NULL ? item->before->size : 0;
    memcpy(deed->key, key, strlen(key) + 1);
    if (item->after != NULL)
        take_over(deed, item->after, &deed->after);
    if (item->before != NULL)
        take_over(deed, item->before, &deed->before);
    journal_kept_key(keep->job, keep->run.head.run, item->number, deed->kept);
    if (item->before != NULL && !keep->run.head.versions)
        keep_before(deed);
    else
        do_it(deed);
}

bool deed_step(struct deed *deed)
{
    bool moved = false;

    while (!deed_idle(deed)) {
        moved |= transfer_step(deed->transfer);
        moved |= removal_step(deed->removal);
        if (!transfer_idle(deed->transfer) || !removal_idle(deed->removal))
            break;
        deed->state(deed);
        moved = true;
    }
    return moved;
}
