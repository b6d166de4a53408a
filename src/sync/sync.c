#include "clock.h"
#include "log.h"
#include "sync_internal.h"

#include <stdio.h>
#include <stdlib.h>

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
        sync_stop(sync, &why);
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
        sync_stop(sync, &why);
    }
}

/* How many transfers there should be, by what has become of those before. */
static void follow_service(struct sync *sync, int64_t now)
{
    uint64_t bytes = sync_bytes_moved(sync);

    if (bytes >
        sync->figures.bytes) /* what a transfer had moved that fails in the end is moved all the same */
        sync->figures.bytes = bytes;
    sync->figures.refused = http_refused(loop_http(store_loop(sync->job->destination)));
    if (concurrency_step(&sync->concurrency, &sync->figures, sync->full, now))
        log_debug("concurrency: %d transfers at once (%s)", sync->concurrency.limit, sync->concurrency.why);
    sync->job->report->concurrency = sync->concurrency.limit;
}

/* Is all of the path at hand done? Once stopping, what goes on of the next one has to end, too. */
static bool is_path_done(const struct sync *sync, int active)
{
    if (sync->give_up != 0)
        return active == 0;
    return sync->path.listed && active == sync_count_ahead(sync) &&
           (sync->keep == NULL || keep_is_empty(sync->keep));
}

static bool turn_sync(struct sync *sync)
{
    bool moved = keep_lease(sync);
    int active;

    moved |= join_step(&sync->path.join);
    if (sync->next.asked != 0)
        moved |= join_step(&sync->next.join);
    sync->full = false;
    moved |= sync_take_actions(sync);
    moved |= sync_open_next(sync);
    moved |= sync_step_journal(sync);
    moved |= sync_lend_slots(sync);
    moved |= sync_take_ahead(sync);
    active = sync_step_slots(sync, &moved);
    if (is_path_done(sync, active) || (sync->give_up != 0 && clock_mono() >= sync->give_up))
        return false;
    follow_service(sync, clock_mono());
    report_progress(sync->job->report, active, sync_bytes_moved(sync));
    turn_loop(sync, moved);
    return true;
}

/* ---- the paths ---- */

bool sync_walk_path(struct sync *sync, int number)
{
    if (!sync_begin_path(sync, number))
        return false;
    if (!sync->removing)
        report_path(sync->job->report, settings_part(sync->job->settings, number));
    sync_settle_ahead(sync);
    while (turn_sync(sync)) {
    }
    sync_close_path(&sync->path);
    if (!sync->removing)
        report_path_end(sync->job->report);
    return true;
}

/* A path under which the source has nothing is more likely a mistake than meant so: a volume that is not mounted. */
static void sync_path(struct sync *sync, int number)
{
    const char *path = settings_part(sync->job->settings, number);

    if (!sync_walk_path(sync, number) || sync->error.kind != ERROR_NONE)
        return;
    if (sync->path.seen > 0) {
        sync->removable += sync->path.extra;
        sync->paths |= UINT64_C(1) << number;
        return;
    }
    log_info("nothing is listed under \"%s\" in %s", path, store_name(sync->job->source));
    if (sync->path.extra > 0)
        log_warn(
            "as the source has nothing under \"%s\", the %llu objects that production has there are not removed",
            path, (unsigned long long)sync->path.extra);
}

/* A stop ends those that are under way: what has been begun of the next one is told in its place. */
static void sync_paths(struct sync *sync)
{
    int count = settings_part_count(sync->job->settings);

    for (int i = 0; i < count && (sync->error.kind == ERROR_NONE || sync_is_ahead(sync)); i++)
        sync_path(sync, i);
    sync_close_path(&sync->next);
    sync_close_path(&sync->later);
}

/* ---- the run ---- */

/* With a number that is set there are more slots than that, for what waits to be told. */
static int count_slots(int64_t concurrency)
{
    int most = concurrency_most(concurrency);

    return concurrency == 0 ? most : most + (most < SYNC_AHEAD_MAX ? most : SYNC_AHEAD_MAX);
}

static void sync_prepare(struct sync *sync, struct sync_job *job)
{
    sync->job = job;
    job->journaled = false;
    sync->slot_count = count_slots(job->settings->concurrency);
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

bool sync_run(struct sync_job *job, struct error *error)
{
    struct sync sync = {.full = false};

    sync_prepare(&sync, job);
    if (!prepare_acl(&sync, error))
        return false;
    sync.slots = calloc((size_t)sync.slot_count, sizeof *sync.slots);
    if (sync.slots == NULL || !sync_begin_journal(&sync)) {
        free(sync.slots);
        return error_set(error, ERROR_LOCAL, "out of memory");
    }
    for (int i = 0; i < sync.slot_count; i++) {
        struct slot *slot = &sync.slots[i];

        transfer_init(&slot->transfer, &sync.plan);
        deed_init(&slot->deed, &sync.deed_plan, &slot->transfer, &slot->removal);
    }
    sync_take_listings(&sync);
    sync_paths(&sync);
    sync_remove_extras(&sync);
    if (sync.error.kind == ERROR_NONE && job->report->listed + job->report->elsewhere == 0)
        report_nothing(job->report, job->settings);
    for (int i = 0; i < sync.slot_count; i++) {
        transfer_free(&sync.slots[i].transfer);
        deed_free(&sync.slots[i].deed);
    }
    free(sync.slots);
    sync_end_journal(&sync);
    object_meta_free(&sync.plan.acl);
    *error = sync.error;
    return error->kind == ERROR_NONE;
}
