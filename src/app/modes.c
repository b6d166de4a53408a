#include "modes.h"

#include "modes_internal.h"

#include "clock.h"
#include "crash.h"
#include "journal.h"
#include "lease.h"
#include "log.h"
#include "marker.h"
#include "parts.h"
#include "stop.h"
#include "sync.h"
#include "undo.h"
#include "validate.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long giving the lease back may take, in ms. */
static const int release_limit[STOP_REASONS] = {5000, [STOP_SIGNAL] = 500, [STOP_DEADLINE] = 200};

/* ---- endings ---- */

static void finish_with(struct run *run, enum report_state state, struct error *error)
{
    if (!plan_file_finish(&run->plan, state, error))
        state = REPORT_FAILED;
    run_finish(run, state, error);
}

void modes_finish(struct run *run, enum report_state state, struct error *error)
{
    error_clear(error);
    finish_with(run, state, error);
}

void modes_finish_failed(struct run *run, struct error *error)
{
    finish_with(run, error->kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED, error);
}

/* How a sync ended. */
void modes_conclude(struct run *run, struct error *error)
{
    if (error->kind == ERROR_NONE)
        modes_finish(run, REPORT_SYNCED, error);
    else if (error->kind == ERROR_PARTIAL)
        finish_with(run, REPORT_PARTIAL, error);
    else
        modes_finish_failed(run, error);
}

/* How a look at the marker ended that found nothing to do. */
void modes_conclude_marker(struct run *run, const struct marker_finding *found, struct error *error)
{
    switch (found->verdict) {
    case MARKER_ALREADY_SYNCED:
        modes_finish(run, REPORT_ALREADY_SYNCED, error);
        break;
    case MARKER_TOO_SOON:
        run->report.due_at = found->due_at;
        modes_finish(run, REPORT_TOO_SOON, error);
        break;
    default:
        modes_finish_failed(run, error);
        break;
    }
}

/* ---- steps ---- */

/* The segment of its prefix that is its own. */
static void name_job(struct run *run)
{
    const char *name = run->job.prefix + strlen(OBJECT_STATE_PREFIX);

    snprintf(run->report.job, sizeof run->report.job, "%.*s", (int)strcspn(name, "/"), name);
}

/* False: the run is over. */
static bool begin_plan(struct run *run, struct error *error)
{
    if (run->options->json && strcmp(run->settings->plan, "-") == 0)
        error_set(error, ERROR_CONFIG, "plan=- and --json would both go to standard output");
    else if (plan_file_begin(&run->plan, run->settings, &run->report, error))
        return true;
    modes_finish_failed(run, error);
    return false;
}

/* True if the stores are open and differ. False: the run is over, *error says how. */
static bool begin_sync(struct run *run, struct error *error)
{
    if (!run_open(run, error)) {
        modes_finish_failed(run, error);
        return false;
    }
    if (!shards_check(run, error)) {
        modes_finish_failed(run, error);
        return false;
    }
    if (store_same(run->source, run->destination)) {
        modes_finish(run, REPORT_NOTHING_TO_DO, error);
        return false;
    }
    job_init(&run->job, run->settings, run->source, run->destination);
    name_job(run);
    log_debug("state of this job: %s in %s", run->job.prefix, store_name(run->destination));
    if (plan_file_check(&run->plan, run->source, run->destination, error))
        return true;
    modes_finish_failed(run, error);
    return false;
}

/* Is a sync due, by the marker and the interval? `lease` is what is asked for next then; NULL: nothing is. */
static void look_at_marker(struct modes_contest *contest, struct lease *lease, struct error *error)
{
    const struct run *run = contest->run;
    const char *id = run->report.detection.deployment_id;
    struct marker_finding *found = &contest->found;
    struct error ignored;

    marker_check_deployment(&run->job, id, found, error);
    if (found->verdict == MARKER_DUE && lease != NULL)
        lease_begin_look(lease, &ignored);
    if (found->verdict == MARKER_DUE)
        marker_check_interval(&run->job, id, run->settings->min_interval, clock_wall(), found, error);
    if (found->warning[0] != '\0')
        log_warn("%s", found->warning);
}

struct sync_job modes_make_job(struct run *run, struct lease *lease)
{
    return (struct sync_job){
        .source = run->source,
        .destination = run->destination,
        .settings = run->settings,
        .report = &run->report,
        .lease = lease,
        .plan = &run->plan,
        .state = &run->job,
    };
}

bool modes_sync_all(struct run *run, struct sync_job *job, struct error *error)
{
    bool ended;

    report_begin(&run->report);
    ended = sync_run(job, error);
    sync_drop_listings(job);
    if (!ended)
        return false;
    if (run->report.failed != 0) {
        unsigned long long failed = run->report.failed;

        return error_set(error, ERROR_PARTIAL, "%llu object%s could not be copied%s", failed,
                         failed == 1 ? "" : "s", run->settings->deletion == DELETE_OFF ? "" : " or removed");
    }
    /* Each of them was proven gone; all of them at once is no sync of anything. */
    if (run->report.gone > 0 && run->report.gone == run->report.listed + run->report.elsewhere)
        return error_set(error, ERROR_PARTIAL, "of %llu listed objects none is at the source any more",
                         (unsigned long long)run->report.gone);
    return true;
}

static void commit_marker(struct run *run, struct lease *lease, struct error *error)
{
    const struct report *report = &run->report;

    if (report->listed == 0) /* nothing is no proof; sync has warned */
        return;
    crash_point("synced");
    if (!lease_confirm(lease, error))
        return;
    crash_point("before-marker");
    if (!marker_commit(&run->job, report->detection.deployment_id, report, clock_wall(), lease, error))
        error_prefix(error, "everything is copied, but the marker could not be written: ");
    else if (lease->shards)
        parts_remove(report->detection.deployment_id, lease);
    crash_point("after-marker");
}

/* ---- the lease ---- */

enum lease_need modes_need(void *ctx, bool waiting, struct error *error)
{
    struct modes_contest *contest = ctx;
    const char *id = contest->run->report.detection.deployment_id;

    if (waiting && id[0] != '\0')
        marker_check_deployment(&contest->run->job, id, &contest->found, error);
    else
        look_at_marker(contest, NULL, error);
    if (contest->found.verdict == MARKER_FAILED)
        return LEASE_UNKNOWN;
    return contest->found.verdict == MARKER_DUE ? LEASE_NEEDED : LEASE_OVER;
}

static enum lease_need need_always(void *ctx, bool waiting, struct error *error)
{
    (void)ctx;
    (void)waiting;
    (void)error;
    return LEASE_NEEDED;
}

void modes_tell_waiting(void *ctx, const struct lease_record *holder)
{
    struct modes_contest *contest = ctx;

    report_waiting(&contest->run->report, holder->owner, (int64_t)holder->epoch);
}

/* What is in the buckets may be asked for while it is proven that the lease is ours. */
static void begin_listings(void *ctx)
{
    struct modes_contest *contest = ctx;

    if (contest->job == NULL)
        return;
    contest->listed = contest->job->lease->own.epoch;
    sync_begin_listings(contest->job);
}

/* The lease is another epoch than that under which they were begun, or shards may have been at work until the gate was passed, or its
 * create has excluded nobody. */
static bool are_outdated(const struct modes_contest *contest, const struct lease *lease)
{
    return lease->own.epoch != contest->listed || lease->shards || lease->advisory;
}

/* Nothing was done under it. */
void modes_give_back_unused(struct lease *lease)
{
    lease->own.idle = lease->own.unused = true;
    lease->own.attempts--;
    lease_release(lease, !lease->after_failure, release_limit[stop_reason()]);
}

/* The lease was won: waits until nobody is at work who must not be beside us. OPEN: it is held, and we may begin. CLOSED: it was given
 * back, and can be taken again now. UNKNOWN: *error says why neither. */
static enum gate_state pass_gate(struct modes_contest *contest, struct gate *gate, struct lease *lease,
                                 int64_t until, int64_t limit, struct error *error)
{
    enum gate_state state;

    while ((state = gate_look(gate, error)) == GATE_CLOSED) {
        modes_tell_waiting(contest, gate_holder(gate));
        if (gate_gives_way(gate))
            modes_give_back_unused(lease);
        if (!gate_wait(gate, until, limit, error))
            return GATE_UNKNOWN;
        if (!lease->held)
            return GATE_CLOSED;
    }
    return state;
}

/* Taken by others meanwhile, and not given back by us. */
static bool is_lost(const struct lease *lease)
{
    return !lease->held && lease->own.state == LEASE_HELD;
}

enum lease_outcome modes_acquire(struct modes_contest *contest, struct lease *lease,
                                 const struct lease_wait *wait, struct gate *gate, struct error *error)
{
    /* All others together, at the gate. Who is patient waits at least until one that is dead must be noticed. */
    int64_t needed = wait->patient ? lease->own.ttl + LEASE_POLL_MAX : 0;
    int64_t limit = wait->limit > needed ? wait->limit : needed;
    int64_t until = clock_mono() + limit;
    enum gate_state state;

    for (int losses = 0;;) {
        enum lease_outcome outcome = lease_acquire(lease, wait, error);

        if (outcome != LEASE_WON)
            return outcome;
        state = pass_gate(contest, gate, lease, until, limit, error);
        if (state == GATE_OPEN)
            return LEASE_WON;
        if (state == GATE_UNKNOWN && !(is_lost(lease) && losses++ < MODES_LOSSES_MAX))
            break;
    }
    modes_give_back_unused(lease);
    return LEASE_NOT_WON;
}

static enum lease_outcome acquire(struct modes_contest *contest, struct lease *lease, bool automatic,
                                  struct error *error)
{
    struct run *run = contest->run;
    struct lease_wait wait = {
        .limit = run->settings->wait,
        .back_off = automatic,
        .needed_at = contest->found.looked_at,
        .patient = !automatic,
        .need = automatic ? modes_need : need_always,
        .waiting = modes_tell_waiting,
        .created = begin_listings,
        .ctx = contest,
    };
    enum lease_outcome outcome = LEASE_NOT_WON;
    struct gate *gate = gate_open(&run->job, NULL, lease, error);

    if (gate != NULL)
        outcome = modes_acquire(contest, lease, &wait, gate, error);
    gate_close(gate);
    if (contest->job != NULL && (outcome != LEASE_WON || are_outdated(contest, lease)))
        sync_drop_listings(contest->job);
    if (outcome == LEASE_WON)
        report_leased(&run->report, lease->advisory);
    return outcome;
}

/* Gives the lease back when the pass is over, however it went. */
void modes_give_lease_back(const struct run *run, struct lease *lease, const struct error *error)
{
    /* What a failed sync has left is in doubt until all of it was looked at. A rollback looks at what its journals tell of. */
    bool partly = settings_part(run->settings, 0) != settings_path(run->settings, 0) ||
                  run->options->mode == MODE_ROLLBACK;
    bool clean = error->kind == ERROR_NONE && !(partly && lease->after_failure);

    lease->own.idle = run->report.synced == 0;
    crash_point("before-release");
    lease_release(lease, clean, release_limit[stop_reason()]);
    crash_point("released");
}

/* Syncs as the one replica that may. A lease that is lost on the way is waited for again: by then the other one
 * has done the work, mostly. */
static void sync_alone(struct modes_contest *contest, struct lease *lease, bool automatic,
                       struct error *error)
{
    struct run *run = contest->run;
    struct sync_job *job = contest->job;

    for (int losses = 0;; losses++) {
        switch (acquire(contest, lease, automatic, error)) {
        case LEASE_DONE_BY_ANOTHER:
            modes_conclude_marker(run, &contest->found, error);
            return;
        case LEASE_NOT_WON:
            modes_finish_failed(run, error);
            return;
        case LEASE_WON:
            break;
        }
        if (modes_sync_all(run, job, error) && automatic)
            commit_marker(run, lease, error);
        if (job->journaled && error->kind == ERROR_NONE)
            journal_prune(&run->job, run->settings->runs_kept, lease);
        if (lease->held || error->kind != ERROR_BUSY || losses == MODES_LOSSES_MAX)
            break;
        log_warn("%s; copying nothing more, and waiting for the other replica", error->text);
    }
    modes_give_lease_back(run, lease, error);
    modes_conclude(run, error);
}

void modes_init_lease(const struct run *run, const struct job *job, struct lease *lease)
{
    char host[LEASE_OWNER_SIZE] = "";

    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "unknown");
    lease_init(lease, job, host, run->report.detection.deployment_id, run->settings->lease_ttl);
}

static void sync_with_lease(struct modes_contest *contest, struct lease *lease, bool automatic,
                            struct error *error)
{
    struct run *run = contest->run;
    struct sync_job job = modes_make_job(run, lease);

    if (!run->report.dry_run) {
        contest->job = &job;
        sync_alone(contest, lease, automatic, error);
        contest->job = NULL;
    } else {
        if (lease_look(lease, error))
            modes_sync_all(run, &job, error);
        modes_conclude(run, error);
    }
}

/* ---- back ---- */

/* What is to be undone: the first run of a list, which ends with the newest. */
static bool find_first_run(const struct run *run, const struct journal_runs *runs, int *first,
                           struct error *error)
{
    uint64_t wanted = run->options->run;
    struct journal_run look;

    for (int i = runs->count - 1; i >= 0; i--) {
        if (wanted != 0 && runs->numbers[i] > wanted)
            continue;
        if (wanted != 0 && runs->numbers[i] < wanted)
            break;
        if (!journal_look(&run->job, runs->numbers[i], &look, error))
            return false;
        *first = i;
        if (look.state != JOURNAL_ROLLED_BACK)
            return true;
        if (wanted != 0)
            return error_set(error, ERROR_NOT_FOUND, "run %llu is rolled back already",
                             (unsigned long long)wanted);
    }
    if (wanted != 0)
        return error_set(error, ERROR_NOT_FOUND,
                         "there is no journal of run %llu: --runs shows which there are",
                         (unsigned long long)wanted);
    return error_set(error, ERROR_NOT_FOUND,
                     "no sync can be rolled back: none has changed anything while keep_previous was set");
}

/* All of it is back. What was kept is not needed any more, unless there is something that production has changed, or may lose
 * when older runs are rolled back. */
static bool close_run(struct run *run, struct lease *lease, struct journal_run *undone, bool doubtful,
                      struct error *error)
{
    uint64_t bytes = 0;
    char size[32];

    undone->state = JOURNAL_ROLLED_BACK;
    undone->finished = clock_wall();
    crash_point("undone");
    if (!lease_confirm(lease, error) ||
        !marker_commit(&run->job, undone->head.deployment, &run->report, clock_wall(), lease, error) ||
        !journal_save_run(&run->job, undone, error))
        return false;
    crash_point("undone-told");
    if (run->report.kept == 0 && !doubtful && !undone->head.versions &&
        journal_remove(&run->job, undone->head.run, "kept/", lease, &bytes, error) && bytes > 0)
        log_info("%s that run %llu had kept are removed", report_size(bytes, size),
                 (unsigned long long)undone->head.run);
    return error->kind == ERROR_NONE;
}

/* *doubtful: what older runs wrote cannot be told any more from what production did. */
static bool undo_one(struct run *run, struct lease *lease, uint64_t number, bool *doubtful,
                     struct error *error)
{
    struct journal_run undone;
    struct undo_job job = {
        .destination = run->destination,
        .settings = run->settings,
        .report = &run->report,
        .lease = lease,
        .state = &run->job,
    };

    if (!journal_look(&run->job, number, &undone, error))
        return false;
    if (undone.state == JOURNAL_ROLLED_BACK)
        return true;
    log_info("rolling back run %llu%s%s", (unsigned long long)number,
             undone.head.deployment[0] != '\0' ? " of deployment " : "", undone.head.deployment);
    if (!undo_run(&job, &undone, error))
        return false;
    if (run->report.failed != 0)
        return error_set(error, ERROR_PARTIAL,
                         "%llu object%s could not be rolled back: what is left can be tried again",
                         (unsigned long long)run->report.failed, run->report.failed == 1 ? "" : "s");
    *doubtful = job.doubtful;
    return close_run(run, lease, &undone, job.doubtful, error);
}

static void undo_runs(struct run *run, struct lease *lease, struct error *error)
{
    struct journal_runs runs;
    bool doubtful = false;
    int first = 0;

    if (!journal_list(&run->job, &runs, error) || !find_first_run(run, &runs, &first, error) ||
        (lease->shards && !parts_forget(lease, error)))
        return;
    report_begin(&run->report);
    for (int i = runs.count - 1; i >= first && error->kind == ERROR_NONE; i--)
        if (undo_one(run, lease, runs.numbers[i], &doubtful, error) && doubtful && i > first)
            error_set(
                error, ERROR_PARTIAL,
                "older runs are not rolled back: run %llu had overwritten or removed what production has changed itself, which is back now, and no hash tells that from what they wrote; to roll them back all the same, do it again",
                (unsigned long long)runs.numbers[i]);
    if (error->kind == ERROR_NONE)
        log_info(
            "no start of these deployments syncs again; the next deployment does: mend the source before it");
}

void mode_rollback(struct run *run, struct error *error)
{
    struct modes_contest contest = {.run = run};
    struct lease lease;

    if (run->report.dry_run) {
        error_set(error, ERROR_CONFIG, "a rollback cannot be tried (dry_run): --runs shows what there is");
        modes_finish_failed(run, error);
        return;
    }
    if (!begin_sync(run, error))
        return;
    modes_init_lease(run, &run->job, &lease);
    if (acquire(&contest, &lease, false, error) == LEASE_WON) {
        undo_runs(run, &lease, error);
        modes_give_lease_back(run, &lease, error);
    }
    if (error->kind == ERROR_NONE)
        modes_finish(run, REPORT_ROLLED_BACK, error);
    else
        modes_conclude(run, error);
    lease_free(&lease);
}

/* ---- the modes ---- */

void mode_deploy(struct run *run, struct error *error)
{
    struct modes_contest contest = {.run = run};
    struct lease lease;

    report_environment(&run->report);
    if (!begin_plan(run, error))
        return;
    if (!run->report.detection.production) {
        modes_finish(run, REPORT_INACTIVE, error);
        return;
    }
    if (!begin_sync(run, error))
        return;
    if (run->report.shard.count != 0 && !run->report.dry_run) {
        shards_deploy(run, error);
        return;
    }
    modes_init_lease(run, &run->job, &lease);
    look_at_marker(&contest, &lease, error);
    if (contest.found.verdict == MARKER_DUE)
        sync_with_lease(&contest, &lease, true, error);
    else
        modes_conclude_marker(run, &contest.found, error);
    lease_free(&lease);
}

void mode_sync(struct run *run, struct error *error)
{
    struct modes_contest contest = {.run = run};
    struct lease lease;

    if (!begin_plan(run, error) || !begin_sync(run, error))
        return;
    modes_init_lease(run, &run->job, &lease);
    sync_with_lease(&contest, &lease, false, error);
    lease_free(&lease);
}

void mode_validate(struct run *run, struct error *error)
{
    struct report *report = &run->report;

    if (run_open(run, error) &&
        validate_run(run->source, run->destination, run->settings, run->options->json, report, error))
        modes_finish(run, report_valid(report) ? REPORT_SYNCED : REPORT_PARTIAL, error);
    else
        modes_finish_failed(run, error);
}
