#include "sync.h"

#include "breaker.h"
#include "clock.h"
#include "crash.h"
#include "join.h"
#include "log.h"
#include "stop.h"
#include "transfer.h"

#include <stdlib.h>
#include <string.h>

/* ms for transfers to end in order. With giving the lease back after it, less than a supervisor waits. */
static const int grace[STOP_REASONS] = {SYNC_STOP_GRACE, [STOP_SIGNAL] = 800, [STOP_DEADLINE] = 300};

struct slot {
    struct transfer transfer;
    enum plan_reason reason;
    bool overwrites; /* what was changed in production */
};

struct sync {
    struct sync_job *job;
    struct transfer_plan plan;
    struct slot *slots;
    int slot_count;
    struct join join;
    bool listed; /* nothing more to start in this path */
    struct breaker breaker;
    uint64_t bytes;     /* of finished transfers */
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
    for (int i = 0; i < sync->slot_count; i++)
        transfer_stop(&sync->slots[i].transfer, why);
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
    error_set(&why, ERROR_PRECONDITION,
              "it was changed in production since it was synced (setting conflict)");
    report_failed(sync->job->report, key, &why);
}

static void settle(struct sync *sync, struct slot *slot)
{
    struct report *report = sync->job->report;
    struct transfer *transfer = &slot->transfer;
    struct error why;

    switch (transfer->result) {
    case TRANSFER_COPIED:
        breaker_success(&sync->breaker);
        sync->bytes += transfer->entry.size;
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
        report_failed(report, transfer->key, &transfer->error);
        if (breaker_trips(&sync->breaker, &transfer->error, &why))
            stop_sync(sync, &why);
        break;
    case TRANSFER_NONE:
        break;
    }
    transfer->result = TRANSFER_NONE;
}

/* Moves the transfers and settles those that have ended. Returns how many are still going. */
static int step_transfers(struct sync *sync, bool *moved)
{
    int active = 0;

    for (int i = 0; i < sync->slot_count; i++) {
        struct slot *slot = &sync->slots[i];

        if (transfer_idle(&slot->transfer))
            continue;
        if (transfer_step(&slot->transfer))
            *moved = true;
        if (transfer_idle(&slot->transfer))
            settle(sync, slot);
        else
            active++;
    }
    return active;
}

static struct slot *free_slot(struct sync *sync)
{
    for (int i = 0; i < sync->slot_count; i++)
        if (transfer_idle(&sync->slots[i].transfer))
            return &sync->slots[i];
    return NULL;
}

static uint64_t bytes_moved(const struct sync *sync)
{
    uint64_t bytes = sync->bytes;

    for (int i = 0; i < sync->slot_count; i++)
        if (!transfer_idle(&sync->slots[i].transfer))
            bytes += sync->slots[i].transfer.moved;
    return bytes;
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

/* ---- steps ---- */

/* Carries out the step at the heads of the listings. False: no slot is free for it. */
static bool act_on_step(struct sync *sync)
{
    struct report *report = sync->job->report;
    const struct object_entry *entry = sync->join.source_entry;
    struct slot *slot;

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
        slot = free_slot(sync);
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
        report->extra++;
        put_line(sync, FATE_KEEP, "extra", false);
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
            if (!act_on_step(sync))
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

static bool turn_sync(struct sync *sync)
{
    bool moved = keep_lease(sync);
    int active;

    moved |= join_step(&sync->join);
    moved |= take_actions(sync);
    active = step_transfers(sync, &moved);
    if (active == 0 && sync->listed)
        return false;
    if (sync->give_up != 0 && clock_mono() >= sync->give_up)
        return false;
    report_progress(sync->job->report, active, bytes_moved(sync));
    turn_loop(sync, moved);
    return true;
}

static void sync_path(struct sync *sync, const char *path)
{
    struct plan_rule rule = {
        .compare = (enum compare)sync->job->settings->compare,
        .doubtful = sync->job->lease != NULL && sync->job->lease->after_failure,
    };
    struct store_range range = {.prefix = path, .filter = settings_filter(sync->job->settings)};
    uint64_t listed_before = sync->job->report->listed;

    sync->listed = false;
    if (!join_open(&sync->join, sync->job->source, sync->job->destination, &range, rule, &sync->error))
        return;
    report_path(sync->job->report, path);
    while (turn_sync(sync)) {
    }
    join_close(&sync->join);
    report_path_end(sync->job->report);
    if (sync->error.kind == ERROR_NONE && sync->job->report->listed == listed_before)
        log_info("nothing is listed under \"%s\" in %s", path, store_name(sync->job->source));
}

static void sync_prepare(struct sync *sync, struct sync_job *job)
{
    sync->job = job;
    sync->slot_count = (int)job->settings->concurrency;
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

bool sync_run(struct sync_job *job, struct error *error)
{
    struct sync sync = {.listed = false};

    sync_prepare(&sync, job);
    if (!prepare_acl(&sync, error))
        return false;
    sync.slots = calloc((size_t)sync.slot_count, sizeof *sync.slots);
    if (sync.slots == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    for (int i = 0; i < sync.slot_count; i++)
        transfer_init(&sync.slots[i].transfer, &sync.plan);
    for (int i = 0; i < settings_part_count(job->settings) && sync.error.kind == ERROR_NONE; i++)
        sync_path(&sync, settings_part(job->settings, i));
    if (sync.error.kind == ERROR_NONE && job->report->listed == 0)
        report_nothing(job->report, job->settings);
    for (int i = 0; i < sync.slot_count; i++)
        transfer_free(&sync.slots[i].transfer);
    free(sync.slots);
    object_meta_free(&sync.plan.acl);
    *error = sync.error;
    return error->kind == ERROR_NONE;
}
