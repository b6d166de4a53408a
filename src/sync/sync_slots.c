#include "clock.h"
#include "crash.h"
#include "stop.h"
#include "sync_internal.h"

/* ms for transfers to end in order. With giving the lease back after it, less than a supervisor waits. */
static const int grace[STOP_REASONS] = {SYNC_STOP_GRACE, [STOP_SIGNAL] = 800, [STOP_DEADLINE] = 300};

/* ---- ending early ---- */

void sync_stop(struct sync *sync, const struct error *why)
{
    if (sync->error.kind == ERROR_NONE)
        sync->error = *why;
    sync->path.listed = true;
    if (sync->give_up != 0)
        return;
    sync->give_up = clock_mono() + grace[stop_reason()];
    for (int i = 0; i < sync->slot_count; i++) {
        deed_stop(&sync->slots[i].deed, why);
        transfer_stop(&sync->slots[i].transfer, why);
        removal_stop(&sync->slots[i].removal, why);
    }
}

/* ---- transfers ---- */

static bool is_idle(const struct slot *slot)
{
    return transfer_idle(&slot->transfer) && removal_idle(&slot->removal) && deed_idle(&slot->deed);
}

void sync_settle(struct sync *sync, struct slot *slot)
{
    struct report *report = sync->job->report;
    struct transfer *transfer = &slot->transfer;
    struct error why;

    switch (transfer->result) {
    case TRANSFER_COPIED:
        breaker_success(&sync->breaker);
        if (sync->keep != NULL)
            keep_done(sync->keep, slot->deed.entry.deed, slot->deed.kept_bytes);
        sync->bytes += transfer->entry.size;
        sync->figures.finished++;
        report_synced(report, &transfer->entry, plan_reason_text(slot->reason));
        if (slot->overwrites)
            report_overwritten(report, transfer->key);
        crash_point("copying");
        break;
    case TRANSFER_CONFLICT:
        sync_leave_alone(sync, transfer->key);
        break;
    case TRANSFER_GONE:
        report_gone(report, &transfer->entry);
        break;
    case TRANSFER_FAILED:
        /* What a stop cut short is no failure of the object: the next run copies it. */
        if (transfer->stopping)
            break;
        sync->figures.failed++;
        report_failed(report, transfer->key, &transfer->error);
        if (breaker_trips(&sync->breaker, &transfer->error, &why))
            sync_stop(sync, &why);
        break;
    case TRANSFER_NONE:
        break;
    }
    transfer->result = TRANSFER_NONE;
}

static void settle_deed(struct sync *sync, struct slot *slot)
{
    slot->overwrites |= slot->deed.changed;
    switch (slot->deed.result) {
    case DEED_WRITTEN:
        sync_settle(sync, slot);
        break;
    case DEED_REMOVED:
        sync_settle_removal(sync, slot);
        break;
    case DEED_GONE:
        sync->job->report->extra--;
        break;
    case DEED_STOPPED:
        break;
    }
}

static bool step_slot(struct sync *sync, struct slot *slot)
{
    bool moved;

    if (!deed_idle(&slot->deed)) {
        moved = deed_step(&slot->deed);
        if (deed_idle(&slot->deed))
            settle_deed(sync, slot);
    } else if (!transfer_idle(&slot->transfer)) {
        moved = transfer_step(&slot->transfer);
        if (transfer_idle(&slot->transfer) && !slot->ahead)
            sync_settle(sync, slot);
    } else {
        moved = removal_step(&slot->removal);
        if (removal_idle(&slot->removal))
            sync_settle_removal(sync, slot);
    }
    return moved;
}

int sync_step_slots(struct sync *sync, bool *moved)
{
    int active = 0;

    for (int i = 0; i < sync->slot_count; i++) {
        struct slot *slot = &sync->slots[i];

        if (is_idle(slot))
            continue;
        *moved |= step_slot(sync, slot);
        active += !is_idle(slot) && slot->transfer.lead == NULL;
    }
    return active;
}

bool sync_is_large(const struct sync *sync, uint64_t size)
{
    return size > CONCURRENCY_SMALL && transfer_would_relay(&sync->plan, size);
}

static bool has_tls(const struct store_traits *traits)
{
    return !traits->plain && !traits->local;
}

/* How many relays there may be at once, if there are any: `relaying` tells that there are, as copies were refused. */
static int most_relays(const struct sync *sync, bool relaying)
{
    const struct store_traits *from = store_traits(sync->plan.source),
                              *to = store_traits(sync->plan.destination);

    if ((!relaying && !transfer_would_relay(&sync->plan, 1)) || (from->local && to->local))
        return 0;
    return has_tls(from) || has_tls(to) ? CONCURRENCY_TLS : CONCURRENCY_PLAIN;
}

struct slot *sync_free_slot(struct sync *sync, bool for_large)
{
    struct slot *found = NULL;
    int active = 0, large = 0;
    bool relaying = false;

    for (int i = 0; i < sync->slot_count; i++) {
        struct slot *slot = &sync->slots[i];

        if (!is_idle(slot)) {
            active++;
            relaying |= transfer_relayed(&slot->transfer) > 0;
            large += transfer_relayed(&slot->transfer) > CONCURRENCY_SMALL;
        } else if (found == NULL && !slot->ahead) { /* nothing of an object is in it any more */
            found = slot;
        }
    }
    sync->full = active >= sync->concurrency.limit;
    sync->concurrency.relays = most_relays(sync, relaying);
    return concurrency_has_room(&sync->concurrency, for_large, active, large) ? found : NULL;
}

uint64_t sync_bytes_moved(const struct sync *sync)
{
    uint64_t bytes = sync->bytes;

    for (int i = 0; i < sync->slot_count; i++)
        if (!transfer_idle(&sync->slots[i].transfer) || sync->slots[i].ahead)
            bytes += sync->slots[i].transfer.moved;
    return bytes;
}

bool sync_lend_slots(struct sync *sync)
{
    struct slot *slot;
    bool moved = false;

    for (int i = 0; i < sync->slot_count; i++) {
        struct transfer *lead = &sync->slots[i].transfer;

        while (transfer_can_lend(lead) && (slot = sync_free_slot(sync, lead->relay)) != NULL &&
               transfer_take_part(&slot->transfer, lead))
            moved = true;
    }
    return moved;
}

/* ---- the path that comes next ---- */

bool sync_has_room_ahead(const struct sync *sync)
{
    int most = sync->slot_count - sync->concurrency.limit, taken = 0;

    for (int i = 0; i < sync->slot_count; i++)
        taken += sync->slots[i].ahead;
    return taken < SYNC_AHEAD_MAX && taken < most;
}

int sync_count_ahead(const struct sync *sync)
{
    int active = 0;

    for (int i = 0; i < sync->slot_count; i++)
        active += sync->slots[i].ahead && !is_idle(&sync->slots[i]);
    return active;
}

bool sync_is_ahead(const struct sync *sync)
{
    for (int i = 0; i < sync->slot_count; i++)
        if (sync->slots[i].ahead)
            return true;
    return false;
}

void sync_settle_ahead(struct sync *sync)
{
    for (int i = 0; i < sync->slot_count; i++) {
        struct slot *slot = &sync->slots[i];

        if (slot->ahead && is_idle(slot))
            sync_settle(sync, slot);
        slot->ahead = false;
    }
}
