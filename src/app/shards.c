/*
 * The deploy of a shard: its share of the keys under a lease of its own, the note that they are synced, and, if it is the last
 * one, the marker, which is written under the lease of all of the job. A shard's own lease is held until its note is there, that of
 * the last one until the marker is: who waits for shards to end finds it.
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
    struct gate *gate;
    struct parts_done done; /* as it was looked at last ... */
    struct report sum;      /* ... and before the marker the figures of all of them */
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

/* Reads which shards are done; with `lease`, that of all of the job, what each of them says. */
static bool look_at_parts(struct shards *s, struct lease *lease, struct error *error)
{
    struct report *report = &s->run->report;
    int len = 0;

    if (!parts_look(&s->parts, lease, &s->done, &s->sum, error))
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

static bool is_complete(const struct shards *s)
{
    return s->done.count == s->parts.shard.count;
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

    if (need == LEASE_NEEDED && !look_at_parts(s, NULL, error))
        return LEASE_UNKNOWN;
    if (need == LEASE_NEEDED && s->done.done[s->parts.shard.index])
        need = LEASE_OVER;
    s->lease.finished = need == LEASE_OVER;
    return need;
}

/* ---- the marker ---- */

/* Held: the lease of all of the job, so what was complete may be undone by now. What the shards have written is told to those who
 * have it after us. Whether other groups are at work is not the question: ours has ended. */
static bool mark(struct shards *s, struct lease *lease, struct error *error)
{
    if (!gate_note(s->gate, lease, error) || !look_at_parts(s, lease, error))
        return false;
    if (!is_complete(s))
        return true;
    if (s->sum.gone > 0 && s->sum.gone == s->sum.listed)
        return error_set(error, ERROR_PARTIAL, "of %llu listed objects none is at the source any more",
                         (unsigned long long)s->sum.listed);
    if (!lease_confirm(lease, error) ||
        !marker_commit(&s->run->job, s->parts.deployment, &s->sum, clock_wall(), lease, error))
        return false;
    crash_point("shards-marked");
    modes_give_lease_back(s->run, &s->lease, error);
    parts_remove(s->parts.deployment, lease);
    return true;
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

    crash_point("shards-done");
    modes_init_lease(s->run, &s->run->job, &lease);
    lease.beside = &s->lease;
    if (lease_acquire(&lease, &wait, error) == LEASE_WON)
        mark(s, &lease, error);
    modes_give_back_unused(&lease); /* no object was written, and none was looked at, under it */
    lease_free(&lease);
    if (error->kind != ERROR_NONE && error->kind != ERROR_PARTIAL)
        error_prefix(error, "all shards are done, but the marker could not be written: ");
}

/* It was there: removed with all the others, as the deployment has its marker, or undone. */
static void explain_missing_part(struct shards *s, struct error *error)
{
    enum lease_need need = need_of_marker(&s->contest, true, error);

    if (need == LEASE_OVER)
        s->run->report.shards_done = s->parts.shard.count;
    else if (need == LEASE_NEEDED)
        error_set(error, ERROR_BUSY, "what this shard did was undone meanwhile by a rollback");
}

/* Whoever has written the marker removes the whole group, and with it our lease: that is how most are lost here. */
static void look_behind_loss(struct shards *s, struct error *error)
{
    struct error ignored;

    if (error->kind != ERROR_BUSY || s->lease.held ||
        need_of_marker(&s->contest, true, &ignored) != LEASE_OVER)
        return;
    error_clear(error);
    s->run->report.shards_done = s->parts.shard.count;
}

/* Our share is done, now or before. */
static void end_share(struct shards *s, enum report_state state, struct error *error)
{
    if (error->kind == ERROR_NONE && is_complete(s))
        mark_alone(s, error);
    look_behind_loss(s, error);
    if (error->kind == ERROR_NONE && !s->done.done[s->parts.shard.index])
        explain_missing_part(s, error);
    modes_give_lease_back(s->run, &s->lease, error);
    if (error->kind == ERROR_NONE)
        modes_finish(s->run, state, error);
    else
        modes_conclude(s->run, error);
}

/* Our share is synced. INVARIANT: of several that are the last at the same time each has its part there before it looks. */
static void finish_part(struct shards *s, struct error *error)
{
    crash_point("synced");
    if (parts_write(&s->parts, &s->run->report, clock_wall(), error)) {
        crash_point("part-written");
        s->lease.finished = true;
        look_at_parts(s, NULL, error);
    }
    end_share(s, REPORT_SYNCED, error);
}

/* ---- the part ---- */

/* NEEDED: the lease is held, and nobody is at work who may not be. UNKNOWN: *error. There is no backoff of ours: whoever starts
 * shards repeats them, and has one of his own. */
static enum lease_need take_lease(struct shards *s, struct error *error)
{
    struct lease_wait wait = {
        .limit = s->run->settings->wait,
        .patient = true,
        .need = need_of_shard,
        .waiting = modes_tell_waiting,
        .ctx = s,
    };
    enum lease_outcome outcome = modes_acquire(&s->contest, &s->lease, &wait, s->gate, error);

    if (outcome != LEASE_WON)
        return outcome == LEASE_DONE_BY_ANOTHER ? LEASE_OVER : LEASE_UNKNOWN;
    /* Somebody may have done it all before there was a lease of ours to wait for. */
    return need_of_shard(s, false, error);
}

/* INVARIANT: a part says that it is done only after a pass that failed nowhere, to whose end the lease was ours. */
static bool sync_part(struct shards *s, struct error *error)
{
    struct sync_job job = modes_make_job(s->run, &s->lease);

    s->lease.own.span_count =
        0; /* who else has written is not known to a shard: all of it counts as a sync's */
    report_leased(&s->run->report, s->lease.advisory);
    s->run->report.undone = s->done.undone;
    return (s->done.begun || parts_begin(&s->parts, error)) && modes_sync_all(s->run, &job, error) &&
           lease_confirm(&s->lease, error);
}

static void conclude_over(struct shards *s, struct error *error)
{
    modes_give_back_unused(&s->lease);
    if (s->contest.found.verdict == MARKER_DUE) {
        end_share(s, REPORT_ALREADY_SYNCED, error);
        return;
    }
    s->run->report.shards_done = s->parts.shard.count;
    modes_conclude_marker(s->run, &s->contest.found, error);
}

/* As the one process that does this share. The common ends first: the deployment is synced, or our part is done. */
static void sync_until_done(struct shards *s, struct error *error)
{
    const struct report *report = &s->run->report;
    enum lease_need need = need_of_shard(s, false, error);

    if (s->contest.found.warning[0] != '\0')
        log_warn("%s", s->contest.found.warning);
    for (int losses = 0; need == LEASE_NEEDED; losses++) {
        need = take_lease(s, error);
        if (need != LEASE_NEEDED)
            break;
        if (sync_part(s, error)) {
            if (report->listed + report->elsewhere == 0)
                break; /* nothing is no proof; sync has warned */
            finish_part(s, error);
            return;
        }
        if (s->lease.held || error->kind != ERROR_BUSY || losses == MODES_LOSSES_MAX)
            break;
        log_warn("%s; copying nothing more, and waiting for the other replica", error->text);
    }
    if (need == LEASE_OVER) {
        conclude_over(s, error);
        return;
    }
    if (need == LEASE_NEEDED)
        modes_give_lease_back(s->run, &s->lease, error);
    else
        modes_give_back_unused(&s->lease);
    modes_conclude(s->run, error);
}

void shards_deploy(struct run *run, struct error *error)
{
    static struct shards s; /* large */

    s = (struct shards){.run = run, .contest.run = run};
    parts_init(&s.parts, &run->job, run->report.detection.deployment_id, &run->report.shard);
    parts_job(&run->job, s.parts.group, s.parts.shard.index, &s.job);
    modes_init_lease(run, &s.job, &s.lease);
    s.lease.removable = true;
    s.gate = gate_open(&run->job, &s.parts, &s.lease, error);
    if (s.gate == NULL)
        modes_finish_failed(run, error);
    else
        sync_until_done(&s, error);
    gate_close(s.gate);
    lease_free(&s.lease);
}
