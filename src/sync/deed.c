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
    call_init(&deed->call);
}

void deed_free(struct deed *deed)
{
    call_free(&deed->call);
}

bool deed_idle(const struct deed *deed)
{
    return deed->state == NULL;
}

void deed_stop(struct deed *deed, const struct error *why)
{
    deed->stopping = true;
    call_cancel(&deed->call, why);
}

static void end_deed(struct deed *deed, enum deed_result result)
{
    deed->result = result;
    deed->state = NULL;
}

/* As if the transfer had failed, with its error. */
static void fail_deed(struct deed *deed, const char *what)
{
    error_prefix(&deed->transfer->error, "%s", what);
    deed->transfer->result = TRANSFER_FAILED;
    end_deed(deed, DEED_WRITTEN);
}

/* ---- the deed itself ---- */

static void see_again(struct deed *deed);

static void wait_until_written(struct deed *deed)
{
    bool conflict = deed->transfer->result == TRANSFER_CONFLICT;

    if (conflict && deed->stopping)
        end_deed(deed, DEED_STOPPED);
    else if (conflict && deed->again < DEED_AGAIN_MAX)
        see_again(deed);
    else
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
    if (deed->entry.deed == JOURNAL_DELETE) {
        removal_start(deed->removal, &deed->entry.before, deed->listed);
        deed->state = wait_until_done;
        return;
    }
    transfer_start_over(deed->transfer, &deed->entry.after,
                        deed->entry.deed == JOURNAL_OVERWRITE ? &deed->entry.before : NULL);
    deed->state = wait_until_written;
}

/* ---- before it ---- */

/* What is overwritten is what was kept, which may be later than what was listed. */
static void note_kept(struct deed *deed)
{
    const struct object_entry *kept = &deed->transfer->entry;

    crash_point("kept");
    deed->kept_bytes = kept->size;
    if (deed->entry.deed != JOURNAL_OVERWRITE || deed->plan->conflict != CONFLICT_OVERWRITE)
        return;
    deed->changed |= !object_versions_equal(kept->version, deed->entry.before.version);
    memcpy(deed->entry.before.version, kept->version, sizeof deed->entry.before.version);
}

/* The version before has been kept, or not. Without it nothing is overwritten. */
static void wait_until_kept(struct deed *deed)
{
    struct transfer *transfer = deed->transfer;

    if (deed->stopping) { /* nothing is begun any more; what was kept stays */
        end_deed(deed, DEED_STOPPED);
    } else if (transfer->result == TRANSFER_COPIED) {
        note_kept(deed);
        do_it(deed);
    } else if (transfer->result == TRANSFER_GONE && deed->entry.deed == JOURNAL_DELETE) {
        end_deed(deed, DEED_GONE);
    } else if (transfer->result == TRANSFER_GONE && deed->again < DEED_AGAIN_MAX) {
        see_again(deed);
    } else {
        if (transfer->result == TRANSFER_GONE)
            error_set(&transfer->error, ERROR_PRECONDITION, "it was removed in production meanwhile");
        fail_deed(deed, "what is there cannot be kept (setting keep_previous): ");
    }
}

/* The entry is durable. */
static void begin_deed(struct deed *deed)
{
    if (deed->entry.deed == JOURNAL_CREATE || deed->plan->keep->run.head.versions) {
        do_it(deed);
        return;
    }
    transfer_use(deed->transfer, &deed->plan->inside);
    transfer_start_as(deed->transfer, &deed->entry.before, deed->kept, NULL, NULL);
    deed->state = wait_until_kept;
}

/* ---- once more, over what production has made of it ---- */

static void wait_until_replaced(struct deed *deed)
{
    if (deed->stopping) {
        end_deed(deed, DEED_STOPPED);
    } else if (deed->call.error.kind != ERROR_NONE) {
        deed->transfer->error = deed->call.error;
        fail_deed(deed, "its entry in the journal cannot be replaced (setting keep_previous): ");
    } else {
        crash_point("replaced");
        begin_deed(deed);
    }
}

static void replace_entry(struct deed *deed)
{
    if (!keep_replace(deed->plan->keep, &deed->call, &deed->entry, deed->again == 0,
                      &deed->transfer->error)) {
        fail_deed(deed, "its entry in the journal cannot be replaced (setting keep_previous): ");
        return;
    }
    deed->again++;
    deed->state = wait_until_replaced;
}

static void wait_until_seen(struct deed *deed)
{
    const struct object_info *now = &deed->call.info;
    bool gone = deed->call.error.kind == ERROR_NOT_FOUND;

    if (deed->stopping) {
        end_deed(deed, DEED_STOPPED);
        return;
    }
    if (!gone && deed->call.error.kind == ERROR_NONE && now->size == OBJECT_SIZE_UNKNOWN)
        error_set(&deed->call.error, ERROR_PROTOCOL, "it is not told how large it is");
    if (!gone && deed->call.error.kind != ERROR_NONE) {
        deed->transfer->error = deed->call.error;
        fail_deed(deed, "what is there cannot be looked at (setting keep_previous): ");
        return;
    }
    if (!gone && deed->plan->conflict != CONFLICT_OVERWRITE) {
        deed->transfer->result = TRANSFER_CONFLICT;
        end_deed(deed, DEED_WRITTEN);
        return;
    }
    deed->changed |= !gone;
    deed->entry.deed = gone ? JOURNAL_CREATE : JOURNAL_OVERWRITE;
    deed->kept_bytes = gone ? 0 : now->size;
    deed->entry.before = (struct object_entry){
        .key = deed->entry.key, .size = now->size, .modified = now->modified, .hash = now->hash};
    memcpy(deed->entry.before.version, now->version, sizeof deed->entry.before.version);
    replace_entry(deed);
}

static void see_again(struct deed *deed)
{
    store_head(deed->plan->copy->destination, &deed->call, deed->entry.key);
    deed->state = wait_until_seen;
}

/* ---- the way in ---- */

static void take_over(struct deed *deed, const struct object_entry *entry, struct object_entry *own)
{
    *own = *entry;
    own->key = deed->entry.key;
}

void deed_start(struct deed *deed, const struct keep_item *item, int64_t listed)
{
    const struct keep *keep = deed->plan->keep;
    const char *key = item->after != NULL ? item->after->key : item->before->key;

    deed->entry.deed = item->deed;
    deed->entry.number = item->number;
    deed->listed = listed;
    deed->stopping = false;
    deed->changed = false;
    deed->again = 0;
    deed->kept_bytes = item->before != NULL ? item->before->size : 0;
    memcpy(deed->entry.key, key, strlen(key) + 1);
    if (item->after != NULL)
        take_over(deed, item->after, &deed->entry.after);
    if (item->before != NULL)
        take_over(deed, item->before, &deed->entry.before);
    journal_kept_key(keep->job, keep->run.head.run, item->number, deed->kept);
    begin_deed(deed);
}

bool deed_step(struct deed *deed)
{
    bool moved = false;

    while (!deed_idle(deed)) {
        moved |= transfer_step(deed->transfer);
        moved |= removal_step(deed->removal);
        moved |= store_step(&deed->call);
        if (!transfer_idle(deed->transfer) || !removal_idle(deed->removal) || !deed->call.done)
            break;
        deed->state(deed);
        moved = true;
    }
    return moved;
}
