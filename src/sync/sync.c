#include "sync.h"

#include "breaker.h"
#include "clock.h"
#include "concurrency.h"
#include "crash.h"
#include "deed.h"
#include "join.h"
#include "keep.h"
#include "log.h"
#include "removal.h"
#include "stop.h"
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ms for transfers to end in order. With giving the lease back after it, less than a supervisor waits. */
static const int grace[STOP_REASONS] = {SYNC_STOP_GRACE, [STOP_SIGNAL] = 800, [STOP_DEADLINE] = 300};

struct slot {
    struct transfer transfer;
    struct removal removal;
    enum plan_reason reason;
    bool overwrites;  /* what was changed in production */
    struct deed deed; /* with a journal; it has transfer and removal then */
};

struct sync {
    struct sync_job *job;
    struct transfer_plan plan;
    char trial[JOB_PREFIX_SIZE + 3]; /* the plan's */
    struct keep *keep;               /* NULL: there is no journal */
    struct deed_plan deed_plan;
    struct slot *slots;
    int slot_count;
    struct concurrency concurrency;
    struct concurrency_figures figures;
    bool full; /* one more slot would have been used */
    struct join join;
    bool listed; /* nothing more to start in this path */
    struct breaker breaker;
    uint64_t bytes; /* of finished transfers */

    /* What only production has: counted in the first pass, and removed in a second one. */
    bool removing;    /* this is the second one */
    bool halted;      /* it ends: not even what is in the journal already is removed */
    bool source_seen; /* it has met an object of the source in this path */
    struct removal_plan removal_plan;
    uint64_t there;     /* objects of the destination */
    uint64_t own;       /* that only production has, because it made them */
    uint64_t extra;     /* that may be removed; of the path at hand */
    uint64_t removable; /* the same of all paths; in the second pass, of those not begun yet */
    uint64_t paths;     /* a bit for each in which something may be removed */
    int64_t path_began; /* mono */
    struct error error; /* why the run is ending */
    int64_t give_up;    /* mono; end of the grace after a stop */
};

/* ---- ending early ---- */

/* Starts nothing more; what is under way is cut short. The first reason is the one that is told. */
static void stop_sync(struct sync *sync, const struct error *why)
{
    if (sync->error.kind == ERROR_NONE)
        sync->error = *why;
    sync->listed = true;
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

/* Production has changed the object, which would be copied over. */
static void leave_alone(const struct sync *sync, const char *key)
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

static void settle_removal(struct sync *sync, const struct slot *slot);

static bool is_idle(const struct slot *slot)
{
    return transfer_idle(&slot->transfer) && removal_idle(&slot->removal) && deed_idle(&slot->deed);
}

static void settle(struct sync *sync, struct slot *slot)
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
        leave_alone(sync, transfer->key);
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
            stop_sync(sync, &why);
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
        settle(sync, slot);
        break;
    case DEED_REMOVED:
        settle_removal(sync, slot);
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
        if (transfer_idle(&slot->transfer))
            settle(sync, slot);
    } else {
        moved = removal_step(&slot->removal);
        if (removal_idle(&slot->removal))
            settle_removal(sync, slot);
    }
    return moved;
}

/* Moves what is under way and settles what has ended. Returns how many objects are still going. */
static int step_all(struct sync *sync, bool *moved)
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

/* Will the relay of an object of that size be a large one, if it is one? UINT64_MAX: the size is not known. */
static bool is_large(const struct sync *sync, uint64_t size)
{
    return size > CONCURRENCY_SMALL && transfer_would_relay(&sync->plan, size);
}

/* NULL: as many are under way as there should be. */
static struct slot *free_slot(struct sync *sync, bool for_large)
{
    struct slot *found = NULL;
    int active = 0, large = 0;

    for (int i = 0; i < sync->slot_count; i++) {
        struct slot *slot = &sync->slots[i];

        if (!is_idle(slot)) {
            active++;
            large += transfer_relayed(&slot->transfer) > CONCURRENCY_SMALL;
        } else if (found == NULL) {
            found = slot;
        }
    }
    sync->full = active >= sync->concurrency.limit;
    return concurrency_has_room(&sync->concurrency, for_large, active, large) ? found : NULL;
}

static uint64_t bytes_moved(const struct sync *sync)
{
    uint64_t bytes = sync->bytes;

    for (int i = 0; i < sync->slot_count; i++)
        if (!transfer_idle(&sync->slots[i].transfer))
            bytes += sync->slots[i].transfer.moved;
    return bytes;
}

/* What nothing else needs takes parts of large objects. */
static bool lend_slots(struct sync *sync)
{
    struct slot *slot;
    bool moved = false;

    for (int i = 0; i < sync->slot_count; i++) {
        struct transfer *lead = &sync->slots[i].transfer;

        while (transfer_can_lend(lead) && (slot = free_slot(sync, lead->relay)) != NULL &&
               transfer_take_part(&slot->transfer, lead))
            moved = true;
    }
    return moved;
}

/* ---- actions ---- */

static void tell_unreadable(const struct sync *sync)
{
    struct error why;
    const char *key = join_unreadable(&sync->join, &why);

    report_failed(sync->job->report, key, &why);
}

/* Has the destination an object at the heads that none of our syncs wrote? */
static bool is_of_production(const struct sync *sync)
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
    slot->overwrites = is_of_production(sync);
    if (sync->job->settings->conflict == CONFLICT_OVERWRITE)
        transfer_start(&slot->transfer, join->source_entry);
    else
        transfer_start_over(&slot->transfer, join->source_entry,
                            join->step.take_destination ? join->destination_entry : NULL);
}

/* ---- a dry run ---- */

static void put_line(struct sync *sync, enum plan_fate fate, const char *reason, bool changed)
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
        stop_sync(sync, &sync->job->plan->error);
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
    bool changed = is_of_production(sync);

    if (changed && conflict != CONFLICT_OVERWRITE) {
        leave_alone(sync, entry->key);
        put_line(sync, conflict == CONFLICT_KEEP ? FATE_KEEP : FATE_CONFLICT, reason, true);
        return;
    }
    report_synced(sync->job->report, entry, reason);
    if (changed)
        report_overwritten(sync->job->report, entry->key);
    put_line(sync, fate_of_copy(&sync->join), reason, changed);
}

/* ---- with a journal ---- */

static void start_deed(struct sync *sync, struct slot *slot, const struct keep_item *item)
{
    slot->reason = (enum plan_reason)item->reason;
    slot->overwrites = item->overwrites;
    deed_start(&slot->deed, item, sync->path_began);
}

/* Starts what is in the journal, as far as there are free slots, and brings the journal on. */
static bool step_journal(struct sync *sync)
{
    struct keep_item item;
    struct slot *slot;
    struct error why;
    bool moved = false;

    if (sync->keep == NULL || sync->give_up != 0)
        return false;
    if (!keep_step(sync->keep, sync->concurrency.limit, &moved, &why)) {
        stop_sync(sync, &why);
        return true;
    }
    while ((slot = free_slot(sync, is_large(sync, UINT64_MAX))) != NULL && sync->give_up == 0 &&
           keep_take(sync->keep, &item)) {
        if (item.deed != JOURNAL_DELETE || !sync->halted)
            start_deed(sync, slot, &item);
        moved = true;
    }
    return moved;
}

/* False: there is no room. */
static bool add_to_journal(struct sync *sync, const struct keep_item *item)
{
    struct error why;

    if (!keep_has_room(sync->keep))
        return false;
    if (!keep_add(sync->keep, item, &why))
        stop_sync(sync, &why);
    return true;
}

/* The step at the heads of the listings waits in the journal. False: there is no room. */
static bool put_into_journal(struct sync *sync)
{
    const struct join *join = &sync->join;
    bool there = join->step.take_destination;
    struct keep_item item = {
        .deed = there ? JOURNAL_OVERWRITE : JOURNAL_CREATE,
        .reason = (int)join->step.reason,
        .overwrites = is_of_production(sync),
        .before = there ? join->destination_entry : NULL,
        .after = join->source_entry,
    };

    return add_to_journal(sync, &item);
}

/* ---- what only production has ---- */

/* Has production made it, or changed it? What is there before this job's first sync is production's. */
static bool is_own_extra(const struct sync *sync)
{
    const struct lease *lease = sync->job->lease;

    return (lease != NULL && lease->own.span_count == 0) || is_of_production(sync);
}

/* Is it one that delete=extra is about? Where production's own is to be kept, only what a sync has surely written. */
static bool may_go(const struct sync *sync)
{
    const struct settings *settings = sync->job->settings;
    const struct object_entry *there = sync->join.destination_entry;
    int64_t written = there->written != 0 ? there->written : there->modified;

    if (settings->deletion == DELETE_OFF || settings->conflict == CONFLICT_OVERWRITE)
        return settings->deletion != DELETE_OFF;
    return sync->job->lease != NULL && written != CLOCK_UNKNOWN &&
           lease_surely_wrote(sync->job->lease, written + there->touched);
}

static void note_extra(struct sync *sync)
{
    const struct settings *settings = sync->job->settings;

    sync->job->report->extra++;
    if (may_go(sync))
        sync->extra++;
    else if (settings->deletion == DELETE_OFF)
        put_line(sync, FATE_KEEP, "extra", false);
    else if (settings->conflict == CONFLICT_FAIL && is_own_extra(sync))
        leave_alone(sync, sync->join.destination_entry->key);
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

static void settle_removal(struct sync *sync, const struct slot *slot)
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
            leave_alone(sync, removal->key);
        else
            report_kept(report, removal->key);
        break;
    case REMOVAL_FAILED:
        report_failed(report, removal->key, &removal->error);
        if (breaker_trips(&sync->breaker, &removal->error, &why))
            stop_sync(sync, &why);
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
        return add_to_journal(sync, &item);
    slot = free_slot(sync, false);
    if (slot == NULL)
        return false;
    slot->overwrites = own;
    removal_start(&slot->removal, entry, sync->path_began);
    return true;
}

/* A dry run tells what would be removed, and plans what stays. False: no slot is free for it. */
static bool remove_extra(struct sync *sync)
{
    const struct object_entry *entry = sync->join.destination_entry;
    bool goes = sync->removable > 0 && may_go(sync);
    bool own = is_own_extra(sync);

    if (sync->job->settings->dry_run) {
        if (goes)
            report_deleted(sync->job->report, entry, own);
        put_line(sync, goes ? FATE_DELETE : FATE_KEEP, "extra", own);
    } else if (goes && !begin_removal(sync, entry, own)) {
        return false;
    }
    sync->removable -= goes;
    return true;
}

/* The same of the second pass. What else it meets has been dealt with, or is the next sync's. */
static bool act_on_second_look(struct sync *sync)
{
    sync->source_seen |= join_has_source(&sync->join);
    if (sync->join.step.action == PLAN_UNREADABLE) {
        tell_unreadable(sync);
        end_removing(sync);
    } else if (sync->join.step.action == PLAN_EXTRA && !sync->source_seen && !sync->job->settings->dry_run) {
        log_warn("the source has nothing there any more: nothing more is removed");
        end_removing(sync);
    } else if (sync->join.step.action == PLAN_EXTRA && !remove_extra(sync)) {
        return false;
    }
    join_take(&sync->join);
    if (sync->removable == 0 && !sync->job->settings->dry_run)
        sync->listed = true;
    return true;
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
        if (sync->job->settings->conflict != CONFLICT_OVERWRITE && is_of_production(sync)) {
            leave_alone(sync, entry->key);
            break;
        }
        if (sync->keep != NULL) {
            if (!put_into_journal(sync))
                return false;
            break;
        }
        slot = free_slot(sync, is_large(sync, entry->size));
        if (slot == NULL)
            return false;
        start_transfer(sync, slot);
        if (transfer_idle(&slot->transfer))
            settle(sync, slot);
        break;
    case PLAN_KEEP:
        report_skipped(report, entry, plan_reason_text(PLAN_SAME));
        put_line(sync, FATE_SKIP, plan_reason_text(PLAN_SAME), false);
        break;
    case PLAN_EXTRA:
        note_extra(sync);
        break;
    case PLAN_UNREADABLE:
        tell_unreadable(sync);
        put_line(sync, FATE_FAIL, "unreadable", false);
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

/* Acts on everything that is known of both listings, as far as there are free slots. */
static bool take_actions(struct sync *sync)
{
    bool moved = false;

    while (!sync->listed) {
        switch (join_peek(&sync->join)) {
        case JOIN_WAIT:
            return moved;
        case JOIN_READY:
            if (!(sync->removing ? act_on_second_look(sync) : act_on_step(sync)))
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

/* ---- the loop ---- */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is due that the network does not tell: mono. */
static int64_t next_wake(const struct sync *sync)
{
    int64_t wake = sync->give_up != 0 ? sync->give_up : INT64_MAX;

    if (sync->job->lease != NULL)
        wake = earlier(wake, lease_wake(sync->job->lease));
    for (int i = 0; i < sync->slot_count; i++)
        wake = earlier(wake, transfer_wake(&sync->slots[i].transfer));
    return wake;
}

/* Keeps the lease. Comes before anything else in a turn: whoever slept through its TTL must not copy any more. */
static bool keep_lease(struct sync *sync)
{
    struct lease *lease = sync->job->lease;
    struct error why;
    bool moved;

    if (lease == NULL || sync->job->settings->dry_run || sync->give_up != 0)
        return false;
    moved = lease_step(lease, &why);
    if (!lease->held)
        stop_sync(sync, &why);
    return moved;
}

/* Once stopping, the signal and the deadline are known; only the aborts are waited for. */
static void turn_loop(struct sync *sync, bool moved)
{
    struct loop *loop = store_loop(sync->job->destination);
    int64_t wake = next_wake(sync);
    struct error why;

    if (sync->give_up != 0) {
        loop_tidy(loop, moved, wake);
    } else if (!loop_turn(loop, moved, wake, &why)) {
        keep_lease(sync); /* whoever slept through its TTL has none to give back */
        stop_sync(sync, &why);
    }
}

/* How many transfers there should be, by what has become of those before. */
static void follow_service(struct sync *sync, int64_t now)
{
    uint64_t bytes = bytes_moved(sync);

    if (bytes >
        sync->figures.bytes) /* what a transfer had moved that fails in the end is moved all the same */
        sync->figures.bytes = bytes;
    sync->figures.refused = http_refused(loop_http(store_loop(sync->job->destination)));
    if (concurrency_step(&sync->concurrency, &sync->figures, sync->full, now))
        log_debug("concurrency: %d transfers at once (%s)", sync->concurrency.limit, sync->concurrency.why);
    sync->job->report->concurrency = sync->concurrency.limit;
}

static bool turn_sync(struct sync *sync)
{
    bool moved = keep_lease(sync);
    int active;

    moved |= join_step(&sync->join);
    sync->full = false;
    moved |= take_actions(sync);
    moved |= step_journal(sync);
    moved |= lend_slots(sync);
    active = step_all(sync, &moved);
    if (active == 0 && sync->listed &&
        (sync->keep == NULL || sync->give_up != 0 || keep_is_empty(sync->keep)))
        return false;
    if (sync->give_up != 0 && clock_mono() >= sync->give_up)
        return false;
    follow_service(sync, clock_mono());
    report_progress(sync->job->report, active, bytes_moved(sync));
    turn_loop(sync, moved);
    return true;
}

/* A plan is written in the order of the keys, and whoever removes has to know that the source has something before it begins. */
static bool needs_order(const struct sync *sync)
{
    const struct settings *settings = sync->job->settings;

    return sync->removing || (settings->dry_run && *settings->plan != '\0');
}

/* Both listings from their beginnings to their ends, and whatever is to be done about them. */
static bool walk_path(struct sync *sync, const char *path)
{
    struct plan_rule rule = {
        .compare = (enum compare)sync->job->settings->compare,
        .doubtful = sync->job->lease != NULL && sync->job->lease->after_failure,
    };
    struct store_range range = {.prefix = path, .filter = settings_filter(sync->job->settings)};

    sync->listed = false;
    sync->source_seen = false;
    sync->path_began = clock_mono();
    if (!join_open(&sync->join, sync->job->source, sync->job->destination, &range, rule,
                   needs_order(sync) ? JOIN_IN_ORDER : JOIN_ANY_ORDER, &sync->error))
        return false;
    if (!sync->removing)
        report_path(sync->job->report, path);
    while (turn_sync(sync)) {
    }
    join_close(&sync->join);
    if (!sync->removing)
        report_path_end(sync->job->report);
    return true;
}

/* A path under which the source has nothing is more likely a mistake than meant so: a volume that is not mounted. */
static void sync_path(struct sync *sync, int number)
{
    const char *path = settings_part(sync->job->settings, number);
    const struct report *report = sync->job->report;
    uint64_t listed_before = report->listed + report->elsewhere;

    sync->extra = 0;
    if (!walk_path(sync, path) || sync->error.kind != ERROR_NONE)
        return;
    if (report->listed + report->elsewhere > listed_before) {
        sync->removable += sync->extra;
        sync->paths |= UINT64_C(1) << number;
        return;
    }
    log_info("nothing is listed under \"%s\" in %s", path, store_name(sync->job->source));
    if (sync->extra > 0)
        log_warn(
            "as the source has nothing under \"%s\", the %llu objects that production has there are not removed",
            path, (unsigned long long)sync->extra);
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
        walk_path(sync, settings_part(sync->job->settings, number));
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
static void remove_extras(struct sync *sync)
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

static void sync_prepare(struct sync *sync, struct sync_job *job)
{
    sync->job = job;
    sync->slot_count = concurrency_most(job->settings->concurrency);
    concurrency_init(&sync->concurrency, job->settings->concurrency, clock_mono());
    sync->breaker.max = job->settings->max_failures;
    sync->plan = (struct transfer_plan){
        .source = job->source,
        .destination = job->destination,
        .part_size = (uint64_t)job->settings->part_size,
        .tags = (enum tags)job->settings->tags,
        .server_copy = store_can_copy(job->source, job->destination),
        .seen = store_sees(job->destination, job->source),
    };
    object_meta_init(&sync->plan.acl);
    if (job->state != NULL) {
        snprintf(sync->trial, sizeof sync->trial, "%smd5", job->state->prefix);
        sync->plan.trial = sync->trial;
    }
}

/* Who owns the destination's bucket has to be known before grants can be given. */
static bool prepare_grants(const struct sync *sync, struct error *error)
{
    struct call call;

    call_init(&call);
    store_acl(sync->plan.destination, &call, "");
    store_wait(&call);
    *error = call.error;
    call_free(&call);
    return error->kind == ERROR_NONE;
}

/* Whoever asks for ACLs where there are none is told so; the objects are what matters. */
static bool prepare_acl(struct sync *sync, struct error *error)
{
    static const char *const canned[] = {
        [ACL_PRIVATE] = "private",
        [ACL_PUBLIC_READ] = "public-read",
        [ACL_AUTHENTICATED_READ] = "authenticated-read",
        [ACL_OWNER_READ] = "bucket-owner-read",
        [ACL_OWNER_FULL_CONTROL] = "bucket-owner-full-control",
    };
    struct transfer_plan *plan = &sync->plan;
    enum acl acl = (enum acl)sync->job->settings->acl;

    if (acl == ACL_BUCKET || sync->job->settings->dry_run)
        return true;
    plan->copy_acl = acl == ACL_COPY && store_shares_acls(plan->source, plan->destination);
    if (plan->copy_acl)
        return prepare_grants(sync, error);
    if (acl != ACL_COPY && store_traits(plan->destination)->has_acls)
        return object_meta_add(&plan->acl, "acl", canned[acl]) ||
               error_set(error, ERROR_LOCAL, "out of memory");
    log_warn("no ACLs can be %s %s: objects get what is usual there (setting acl)",
             acl == ACL_COPY ? "copied to" : "set in", store_name(plan->destination));
    return true;
}

/* The journal, if there is to be one. False: no memory. */
static bool begin_journal(struct sync *sync)
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

/* Tells, in the journal and in the log, how the run went. */
static void end_journal(struct sync *sync)
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

bool sync_run(struct sync_job *job, struct error *error)
{
    struct sync sync = {.listed = false};

    sync_prepare(&sync, job);
    if (!prepare_acl(&sync, error))
        return false;
    sync.slots = calloc((size_t)sync.slot_count, sizeof *sync.slots);
    if (sync.slots == NULL || !begin_journal(&sync)) {
        free(sync.slots);
        return error_set(error, ERROR_LOCAL, "out of memory");
    }
    for (int i = 0; i < sync.slot_count; i++) {
        struct slot *slot = &sync.slots[i];

        transfer_init(&slot->transfer, &sync.plan);
        deed_init(&slot->deed, &sync.deed_plan, &slot->transfer, &slot->removal);
    }
    for (int i = 0; i < settings_part_count(job->settings) && sync.error.kind == ERROR_NONE; i++)
        sync_path(&sync, i);
    remove_extras(&sync);
    if (sync.error.kind == ERROR_NONE && job->report->listed + job->report->elsewhere == 0)
        report_nothing(job->report, job->settings);
    for (int i = 0; i < sync.slot_count; i++) {
        transfer_free(&sync.slots[i].transfer);
        deed_free(&sync.slots[i].deed);
    }
    free(sync.slots);
    end_journal(&sync);
    object_meta_free(&sync.plan.acl);
    *error = sync.error;
    return error->kind == ERROR_NONE;
}
