/*
 * The deploy of a shard: its share of the keys under a lease of its own, the note that they are synced, and, if it is the last
 * one, the marker, which is written under the lease of all of the job. The last shard's own lease is held until then: who waits
 * for shards to end finds the marker.
 */
#include "modes_internal.h"

#include "clock.h"
#include "crash.h"
#include "log.h"
#include "parts.h"

#include <stdio.h>
#include <string.h>

/* How long the shard that is done may wait for the lease of all of the job, at least: others hold it for moments only. */
#define MARKER_PATIENCE INT64_C(30000) /* ms */

struct shards {
    struct modes_contest contest;
    struct run *run;
    struct parts parts;
    struct job job; /* where the shard's own lease is */
    struct lease lease;
    struct parts_done done; /* as it was looked at last ... */
    struct report sum;      /* ... and the figures of all of them, if none is missing */
};

bool shards_check(const struct run *run, struct error *error)
{
    const struct options *options = run->options;
    bool deploy = options->mode == MODE_DEPLOY;

    if (run->settings->share.count == 0 || options->mode == MODE_ROLLBACK)
        return true;
    if (!deploy || options->serve || options->asked)
        return error_set(error, ERROR_CONFIG,
                         "shard=%s is for deploys that end by themselves: leave it out of --sync and --serve",
                         run->settings->shard);
    if (options->command != NULL)
        return error_set(
            error, ERROR_CONFIG,
            "shard=%s: no command can follow, as others may not be done then; leave one of the two out",
            run->settings->shard);
    return run->report.detection.deployment_id[0] != '\0' ||
           error_set(
               error, ERROR_CONFIG,
               "shard=%s: shards find each other by the deployment's id, and there is none: set deployment_id to the same in all of them",
               run->settings->shard);
}

/* ---- who has done what ---- */

/* Reads which shards are done. `own`: the figures of ours, if it is; else NULL. */
static bool look_at_parts(struct shards *s, const struct report *own, struct error *error)
{
    struct report *report = &s->run->report;
    int len = 0;

    if (!parts_look(&s->parts, own, &s->done, &s->sum, error))
        return false;
    report->shards_done = s->done.count;
    report->shards_left[0] = '\0';
    for (int i = 0; i < s->parts.shard.count && len + 16 < (int)sizeof report->shards_left; i++)
        if (!s->done.done[i])
            len += snprintf(report->shards_left + len, sizeof report->shards_left - (size_t)len, "%s%d",
                            len > 0 ? ", " : "", i);
    if (len + 16 >= (int)sizeof report->shards_left)
        snprintf(report->shards_left + len, sizeof report->shards_left - (size_t)len, " ...");
    return true;
}

static bool is_done(const struct shards *s)
{
    return s->done.done[s->parts.shard.index];
}

/* Shards have no interval: a share that is missing keeps the deployment from being synced, whatever else was synced lately. */
static enum lease_need need_of_marker(void *ctx, bool waiting, struct error *error)
{
    (void)waiting;
    return modes_need(ctx, true, error);
}

/* Asked while somebody else has this shard's lease, and when he has ended: he may have done our part. */
static enum lease_need need_of_shard(void *ctx, bool waiting, struct error *error)
{
    struct shards *s = ctx;
    enum lease_need need = need_of_marker(&s->contest, waiting, error);

    if (need != LEASE_NEEDED)
        return need;
    if (!look_at_parts(s, NULL, error))
        return LEASE_UNKNOWN;
    return is_done(s) ? LEASE_OVER : LEASE_NEEDED;
}

/* ---- the marker ---- */

/* Held: the lease of all of the job. What the shards have written is told to those who have it after us. Whether other groups are
 * at work is not the question: ours has ended. */
static void mark(struct shards *s, struct lease *lease, struct error *error)
{
    struct gate *gate = gate_open(&s->run->job, &s->parts, lease);

    if (gate == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return;
    }
    if (gate_note(gate, error) && lease_confirm(lease, error) &&
        marker_commit(&s->run->job, s->parts.deployment, &s->sum, clock_wall(), error)) {
        crash_point("shards-marked");
        modes_give_lease_back(s->run, &s->lease, error);
        parts_remove(&s->parts, lease, gate_began(gate));
    } else {
        error_prefix(error, "all shards are done, but the marker could not be written: ");
    }
    gate_close(gate);
}

/* All parts are there. Of several shards that see this at the same time one writes. */
static void mark_alone(struct shards *s, struct error *error)
{
    int64_t limit = s->run->settings->wait;
    struct lease_wait wait = {
        .limit = limit > MARKER_PATIENCE ? limit : MARKER_PATIENCE,
        .patient = true,
        .need = need_of_marker,
        .waiting = modes_tell_waiting,
        .ctx = &s->contest,
    };
    struct lease lease;

    if (s->sum.gone > 0 && s->sum.gone == s->sum.listed) {
        error_set(error, ERROR_PARTIAL, "of %llu listed objects none is at the source any more",
                  (unsigned long long)s->sum.listed);
        return;
    }
    crash_point("shards-done");
    modes_init_lease(s->run, &s->run->job, &lease);
    if (lease_acquire(&lease, &wait, error) == LEASE_WON) {
        mark(s, &lease, error);
        modes_give_back_unused(&lease); /* no object was written, and none was looked at, under it */
    }
    lease_free(&lease);
}

static bool is_complete(const struct shards *s)
{
    return s->done.count == s->parts.shard.count;
}

static void conclude_part(struct shards *s, enum report_state state, struct error *error)
{
    modes_give_lease_back(s->run, &s->lease, error);
    if (error->kind == ERROR_NONE)
        modes_finish(s->run, state, error);
    else
        modes_conclude(s->run, error);
}

/* Our share is synced. The last shard holds its lease until the marker is there, and needs no document. Any other gives it back
 * first, as who marks removes it; of several that are the last at the same time each sees the others' documents afterwards. */
static void finish_part(struct shards *s, struct error *error)
{
    const struct report *own = &s->run->report;

    if (look_at_parts(s, own, error) && !is_complete(s)) {
        modes_give_lease_back(s->run, &s->lease, error);
        if (parts_write(&s->parts, own, clock_wall(), error))
            look_at_parts(s, own, error);
    }
    if (error->kind == ERROR_NONE && is_complete(s))
        mark_alone(s, error);
    conclude_part(s, REPORT_SYNCED, error);
}

/* It was synced before. */
static void repeat_part(struct shards *s, struct error *error)
{
    if (is_complete(s))
        mark_alone(s, error);
    conclude_part(s, REPORT_ALREADY_SYNCED, error);
}

/* ---- the part ---- */

/* NEEDED: the lease is held, and nobody is at work who may not be. UNKNOWN: *error. There is no backoff of ours: whoever starts
 * shards repeats them, and has one of his own. */
static enum lease_need take_lease(struct shards *s, struct gate *gate, struct error *error)
{
    struct lease_wait wait = {
        .limit = s->run->settings->wait,
        .patient = true,
        .need = need_of_shard,
        .waiting = modes_tell_waiting,
        .ctx = s,
    };
    enum lease_outcome outcome = modes_acquire(&s->contest, &s->lease, &wait, gate, error);

    if (outcome != LEASE_WON)
        return outcome == LEASE_DONE_BY_ANOTHER ? LEASE_OVER : LEASE_UNKNOWN;
    /* Somebody may have done it all before there was a lease of ours to wait for. */
    return need_of_shard(s, false, error);
}

/* INVARIANT: a part says that it is done only after a pass that failed nowhere, to whose end the lease was ours. */
static bool sync_part(struct shards *s, const struct gate *gate, struct error *error)
{
    bool journaled;

    s->lease.own.span_count =
        0; /* who else has written is not known to a shard: all of it counts as a sync's */
    report_leased(&s->run->report, s->lease.advisory);
    if ((gate_began(gate) == CLOCK_UNKNOWN && !parts_begin(&s->parts, error)) ||
        !modes_sync_all(s->run, &s->lease, &journaled, error))
        return false;
    crash_point("synced");
    return lease_confirm(&s->lease, error);
}

static void conclude_over(struct shards *s, struct error *error)
{
    modes_give_back_unused(&s->lease);
    if (s->contest.found.verdict == MARKER_DUE) {
        repeat_part(s, error);
        return;
    }
    s->run->report.shards_done = s->parts.shard.count;
    modes_conclude_marker(s->run, &s->contest.found, error);
}

/* As the one process that does this share. */
static void sync_until_done(struct shards *s, struct gate *gate, struct error *error)
{
    const struct report *report = &s->run->report;
    enum lease_need need;

    for (int losses = 0;; losses++) {
        need = take_lease(s, gate, error);
        if (need == LEASE_OVER) {
            conclude_over(s, error);
            return;
        }
        if (need == LEASE_NEEDED && sync_part(s, gate, error)) {
            if (report->listed + report->elsewhere == 0)
                break; /* nothing is no proof; sync has warned */
            finish_part(s, error);
            return;
        }
        if (need != LEASE_NEEDED || s->lease.held || error->kind != ERROR_BUSY || losses == MODES_LOSSES_MAX)
            break;
        log_warn("%s; copying nothing more, and waiting for the other replica", error->text);
    }
    if (need == LEASE_NEEDED)
        modes_give_lease_back(s->run, &s->lease, error);
    else
        modes_give_back_unused(&s->lease);
    modes_conclude(s->run, error);
}

/* The common ends first: the deployment is synced (one request), or our part is done (two). */
static bool is_part_due(struct shards *s, struct error *error)
{
    struct marker_finding *found = &s->contest.found;

    marker_check_deployment(&s->run->job, s->parts.deployment, found, error);
    if (found->warning[0] != '\0')
        log_warn("%s", found->warning);
    if (found->verdict == MARKER_DUE && look_at_parts(s, NULL, error) && is_done(s)) {
        repeat_part(s, error);
        return false;
    }
    if (error->kind == ERROR_NONE && found->verdict == MARKER_DUE)
        return true;
    if (found->verdict == MARKER_ALREADY_SYNCED)
        s->run->report.shards_done = s->parts.shard.count;
    if (error->kind == ERROR_NONE)
        modes_conclude_marker(s->run, found, error);
    else
        modes_finish_failed(s->run, error);
    return false;
}

void shards_deploy(struct run *run, struct error *error)
{
    static struct shards s; /* large */
    struct gate *gate;

    s = (struct shards){.run = run, .contest.run = run};
    parts_init(&s.parts, &run->job, run->report.detection.deployment_id, &run->report.shard);
    parts_job(&run->job, s.parts.group, s.parts.shard.index, &s.job);
    modes_init_lease(run, &s.job, &s.lease);
    gate = gate_open(&run->job, &s.parts, &s.lease);
    if (gate == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        modes_finish_failed(run, error);
    } else if (is_part_due(&s, error)) {
        sync_until_done(&s, gate, error);
    }
    gate_close(gate);
    lease_free(&s.lease);
}
