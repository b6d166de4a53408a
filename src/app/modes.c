#include "modes.h"

#include "clock.h"
#include "crash.h"
#include "lease.h"
#include "log.h"
#include "marker.h"
#include "stop.h"
#include "sync.h"
#include "validate.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* How long giving the lease back may take, in ms. */
static const int release_limit[STOP_REASONS] = {5000, [STOP_SIGNAL] = 500, [STOP_DEADLINE] = 200};

/* A lease that is lost is waited for again this often. */
#define LOSSES_MAX 3

/* ---- endings ---- */

static void finish_with(struct run *run, enum report_state state, struct error *error)
{
    if (!plan_file_finish(&run->plan, state, error))
        state = REPORT_FAILED;
    run_finish(run, state, error);
}

static void finish(struct run *run, enum report_state state, struct error *error)
{
    error_clear(error);
    finish_with(run, state, error);
}

static void finish_failed(struct run *run, struct error *error)
{
    finish_with(run, error->kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED, error);
}

/* How a sync ended. */
static void conclude(struct run *run, struct error *error)
{
    if (error->kind == ERROR_NONE)
        finish(run, REPORT_SYNCED, error);
    else if (error->kind == ERROR_PARTIAL)
        finish_with(run, REPORT_PARTIAL, error);
    else
        finish_failed(run, error);
}

/* How a look at the marker ended that found nothing to do. */
static void conclude_marker(struct run *run, const struct marker_finding *found, struct error *error)
{
    switch (found->verdict) {
    case MARKER_ALREADY_SYNCED:
        finish(run, REPORT_ALREADY_SYNCED, error);
        break;
    case MARKER_TOO_SOON:
        run->report.due_at = found->due_at;
        finish(run, REPORT_TOO_SOON, error);
        break;
    default:
        finish_failed(run, error);
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
    finish_failed(run, error);
    return false;
}

/* True if the stores are open and differ. False: the run is over, *error says how. */
static bool begin_sync(struct run *run, struct error *error)
{
    if (!run_open(run, error)) {
        finish_failed(run, error);
        return false;
    }
    if (store_same(run->source, run->destination)) {
        finish(run, REPORT_NOTHING_TO_DO, error);
        return false;
    }
    job_init(&run->job, run->settings, run->source, run->destination);
    name_job(run);
    log_debug("state of this job: %s in %s", run->job.prefix, store_name(run->destination));
    if (plan_file_check(&run->plan, run->source, run->destination, error))
        return true;
    finish_failed(run, error);
    return false;
}

static void look_at_marker(struct run *run, struct marker_finding *found, struct error *error)
{
    marker_check(&run->job, run->report.detection.deployment_id, run->settings->min_interval, clock_wall(),
                 found, error);
    if (found->warning[0] != '\0')
        log_warn("%s", found->warning);
}

/* Copies what is new or changed, and tells whether every object got through. */
static bool sync_all(struct run *run, struct lease *lease, struct error *error)
{
    struct sync_job job = {
        .source = run->source,
        .destination = run->destination,
        .settings = run->settings,
        .report = &run->report,
        .lease = lease,
        .plan = &run->plan,
    };

    report_begin(&run->report);
    if (!sync_run(&job, error))
        return false;
    if (run->report.failed != 0) {
        unsigned long long failed = run->report.failed;

        return error_set(error, ERROR_PARTIAL, "%llu object%s could not be copied", failed,
                         failed == 1 ? "" : "s");
    }
    /* Each of them was proven gone; all of them at once is no sync of anything. */
    if (run->report.gone > 0 && run->report.gone == run->report.listed)
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
    if (!marker_commit(&run->job, report->detection.deployment_id, report, clock_wall(), error))
        error_prefix(error, "everything is copied, but the marker could not be written: ");
    crash_point("after-marker");
}

/* ---- the lease ---- */

/* What lease_acquire asks of us. */
struct contest {
    struct run *run;
    struct marker_finding found; /* what ended it, if somebody else did the work */
};

static enum lease_need need_by_marker(void *ctx, bool waiting, struct error *error)
{
    struct contest *contest = ctx;
    const char *id = contest->run->report.detection.deployment_id;

    if (waiting && id[0] != '\0')
        marker_check_deployment(&contest->run->job, id, &contest->found, error);
    else
        look_at_marker(contest->run, &contest->found, error);
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

static void tell_waiting(void *ctx, const struct lease_record *holder)
{
    struct contest *contest = ctx;

    report_waiting(&contest->run->report, holder->owner, (int64_t)holder->epoch);
}

static enum lease_outcome acquire(struct contest *contest, struct lease *lease, bool automatic,
                                  struct error *error)
{
    struct run *run = contest->run;
    struct lease_wait wait = {
        .limit = run->settings->wait,
        .back_off = automatic,
        .patient = !automatic,
        .need = automatic ? need_by_marker : need_always,
        .waiting = tell_waiting,
        .ctx = contest,
    };
    enum lease_outcome outcome = lease_acquire(lease, &wait, error);

    if (outcome == LEASE_WON)
        report_leased(&run->report, lease->advisory);
    return outcome;
}

/* Gives the lease back when the pass is over, however it went. */
static void give_lease_back(const struct run *run, struct lease *lease, const struct error *error)
{
    /* What a failed sync has left is in doubt until all of it was looked at. */
    bool partly = settings_part(run->settings, 0) != settings_path(run->settings, 0);
    bool clean = error->kind == ERROR_NONE && !(partly && lease->after_failure);

    crash_point("before-release");
    lease_release(lease, clean, release_limit[stop_reason()]);
    crash_point("released");
}

/* Syncs as the one replica that may. A lease that is lost on the way is waited for again: by then the other one
 * has done the work, mostly. */
static void sync_alone(struct run *run, struct lease *lease, bool automatic, struct error *error)
{
    struct contest contest = {.run = run};

    for (int losses = 0;; losses++) {
        switch (acquire(&contest, lease, automatic, error)) {
        case LEASE_DONE_BY_ANOTHER:
            conclude_marker(run, &contest.found, error);
            return;
        case LEASE_NOT_WON:
            finish_failed(run, error);
            return;
        case LEASE_WON:
            break;
        }
        if (sync_all(run, lease, error) && automatic)
            commit_marker(run, lease, error);
        if (lease->held || error->kind != ERROR_BUSY || losses == LOSSES_MAX)
            break;
        log_warn("%s; copying nothing more, and waiting for the other replica", error->text);
    }
    give_lease_back(run, lease, error);
    conclude(run, error);
}

static void sync_with_lease(struct run *run, bool automatic, struct error *error)
{
    char host[LEASE_OWNER_SIZE] = "";
    struct lease lease;

    if (gethostname(host, sizeof host - 1) != 0)
        snprintf(host, sizeof host, "unknown");
    lease_init(&lease, &run->job, host, run->report.detection.deployment_id, run->settings->lease_ttl);
    if (!run->report.dry_run) {
        sync_alone(run, &lease, automatic, error);
    } else {
        if (lease_look(&lease, error))
            sync_all(run, &lease, error);
        conclude(run, error);
    }
    lease_free(&lease);
}

/* ---- the modes ---- */

void mode_deploy(struct run *run, struct error *error)
{
    struct marker_finding found;

    report_environment(&run->report);
    if (!begin_plan(run, error))
        return;
    if (!run->report.detection.production) {
        finish(run, REPORT_INACTIVE, error);
        return;
    }
    if (!begin_sync(run, error))
        return;
    look_at_marker(run, &found, error);
    if (found.verdict == MARKER_DUE)
        sync_with_lease(run, true, error);
    else
        conclude_marker(run, &found, error);
}

void mode_sync(struct run *run, struct error *error)
{
    if (begin_plan(run, error) && begin_sync(run, error))
        sync_with_lease(run, false, error);
}

void mode_validate(struct run *run, struct error *error)
{
    struct report *report = &run->report;

    if (run_open(run, error) &&
        validate_run(run->source, run->destination, run->settings, run->options->json, report, error))
        finish(run, report_valid(report) ? REPORT_SYNCED : REPORT_PARTIAL, error);
    else
        finish_failed(run, error);
}
