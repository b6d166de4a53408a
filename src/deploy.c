#include "deploy.h"

#include "clock.h"
#include "log.h"
#include "marker.h"
#include "sync.h"

static bool finish(struct run *run, enum report_state state, struct error *error)
{
    error_clear(error);
    return run_finish(run, state, error);
}

static bool finish_failed(struct run *run, struct error *error)
{
    return run_finish(run, error->kind == ERROR_INTERRUPTED ? REPORT_INTERRUPTED : REPORT_FAILED, error);
}

/* Copies what is new or changed, and tells whether every object got through. */
static bool sync_all(struct run *run, struct error *error)
{
    struct sync_job job = {
        .http = run->http,
        .source = run->source,
        .destination = run->destination,
        .settings = run->settings,
        .report = &run->report,
        .tick = run_tick,
        .ctx = run,
    };

    run_save_status(run);
    report_header(&run->report);
    if (!sync_run(&job, error))
        return false;
    if (run->report.failed != 0) {
        unsigned long long failed = run->report.failed;

        return error_set(error, ERROR_PARTIAL, "%llu object%s could not be copied", failed, failed == 1 ? "" : "s");
    }
    return true;
}

static bool conclude(struct run *run, struct error *error)
{
    if (error->kind == ERROR_NONE)
        return finish(run, REPORT_SYNCED, error);
    if (error->kind == ERROR_PARTIAL)
        return run_finish(run, REPORT_PARTIAL, error);
    return finish_failed(run, error);
}

/* True if the stores are open and differ. False: the run is over, *error says how. */
static bool open_stores(struct run *run, struct error *error)
{
    if (!run_open_stores(run, error)) {
        finish_failed(run, error);
        return false;
    }
    if (store_same(run->source, run->destination)) {
        finish(run, REPORT_NOTHING_TO_DO, error);
        return false;
    }
    return true;
}

static void commit(struct run *run, struct error *error)
{
    const struct report *report = &run->report;

    if (report->dry_run)
        return;
    if (!marker_commit(run->http, run->destination, report->detection.deployment_id, report, clock_wall(), error))
        error_prefix(error, "everything is copied, but the marker could not be written: ");
}

bool deploy_automatic(struct run *run, struct error *error)
{
    struct marker_finding found;

    report_environment(&run->report);
    if (!run->report.detection.production)
        return finish(run, REPORT_INACTIVE, error);
    if (!open_stores(run, error))
        return error->kind == ERROR_NONE;
    marker_check(run->http, run->destination, run->report.detection.deployment_id, run->settings->min_interval,
                 clock_wall(), &found, error);
    if (found.warning[0] != '\0')
        log_warn("%s", found.warning);
    switch (found.verdict) {
    case MARKER_ALREADY_SYNCED:
        return finish(run, REPORT_ALREADY_SYNCED, error);
    case MARKER_TOO_SOON:
        run->report.due_at = found.due_at;
        return finish(run, REPORT_TOO_SOON, error);
    case MARKER_FAILED:
        return finish_failed(run, error);
    case MARKER_DUE:
        break;
    }
    if (sync_all(run, error))
        commit(run, error);
    return conclude(run, error);
}

bool deploy_manual(struct run *run, struct error *error)
{
    if (!open_stores(run, error))
        return error->kind == ERROR_NONE;
    sync_all(run, error);
    return conclude(run, error);
}
