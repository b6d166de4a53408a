#include "gate.h"

#include "clock.h"
#include "lease_internal.h"
#include "random.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Leases that are remembered. */
#define DEAD_MAX 8

/* One that was watched until it was over, and may look alive when it is looked at anew: where no times are told. */
struct dead {
    struct job job;
    struct lease_watch watch;
};

/* A shard in the listing. */
struct chain {
    int index; /* -1: none yet */
    uint64_t epoch;
    int64_t written;
};

struct gate {
    const struct job *job;
    const struct parts *parts;
    struct lease *lease;
    bool closed, gives_way;
    bool noting;                  /* nobody is looked at */
    char rival[PARTS_GROUP_SIZE]; /* the group of who is at work, if it is of our deployment; else "" */

    /* Who was looked at last; if closed, who is at work. */
    struct job other_job;
    struct lease other;
    struct lease_watch watch;
    struct dead dead[DEAD_MAX]; /* as they were seen last; the newest takes the place of the oldest */
    int died;

    /* A look: the group and the shard at which the listing is. */
    char group[PARTS_GROUP_SIZE];
    int64_t group_began, group_changed;
    struct chain chain;
    int64_t cleaned; /* what was left before then, somebody has looked at since */
};

struct gate *gate_open(const struct job *job, const struct parts *parts, struct lease *lease,
                       struct error *error)
{
    struct gate *gate = malloc(sizeof *gate);

    if (gate == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    *gate = (struct gate){.job = job, .parts = parts, .lease = lease};
    lease_init(&gate->other, &gate->other_job, "", "", lease->own.ttl);
    gate->other.beside = lease;
    return gate;
}

void gate_close(struct gate *gate)
{
    if (gate != NULL)
        lease_free(&gate->other);
    free(gate);
}

/* ---- one of the others ---- */

/* Where the one that is looked at is remembered, or NULL. */
static struct dead *find_dead(struct gate *gate)
{
    for (int i = 0; i < gate->died && i < DEAD_MAX; i++)
        if (strcmp(gate->dead[i].job.prefix, gate->other_job.prefix) == 0)
            return &gate->dead[i];
    return NULL;
}

/* Of one that was waited for before, the watch goes on: if nothing has changed since, it is over still. */
static void begin_watch(struct gate *gate)
{
    const struct dead *dead = find_dead(gate);

    if (dead != NULL)
        gate->watch = dead->watch;
    else
        lease_watch_init(&gate->watch, &gate->other);
}

static void remember_dead(struct gate *gate)
{
    struct dead *dead = find_dead(gate);

    if (gate->watch.epoch == 0 || gate->watch.record.state != LEASE_HELD)
        return;
    if (dead == NULL)
        dead = &gate->dead[gate->died++ % DEAD_MAX];
    *dead = (struct dead){gate->other_job, gate->watch};
}

static bool is_own_group(const struct gate *gate, const char *group)
{
    return gate->parts != NULL && strcmp(gate->parts->group, group) == 0;
}

/* The watched one is there. Is it at work, or has it left something undone? */
static void judge(struct gate *gate, bool gives_way)
{
    const struct lease_record *record = &gate->watch.record;

    if (gate->watch.epoch == 0)
        return;
    if (!lease_watch_is_over(&gate->watch)) {
        gate->closed = true;
        gate->gives_way = gives_way;
    } else if (record->state != LEASE_RELEASED &&
               (gate->watch.info.modified == CLOCK_UNKNOWN || gate->watch.info.modified >= gate->cleaned)) {
        gate->lease->after_failure = true;
    }
}

static bool look_at_whole_job(struct gate *gate, struct error *error)
{
    gate->other_job = *gate->job;
    begin_watch(gate);
    if (!lease_watch_highest(&gate->watch, error))
        return false;
    judge(gate, false);
    gate->cleaned = lease_watch_cleaned(&gate->watch);
    return true;
}

/* Its highest epoch was in the listing. If it is gone by now there is a higher one, or all of the group was removed. */
static bool look_at_shard(struct gate *gate, struct error *error)
{
    parts_job(gate->job, gate->group, gate->chain.index, &gate->other_job);
    begin_watch(gate);
    gate->watch.epoch = gate->chain.epoch;
    if (!lease_watch_look(&gate->watch, error) ||
        (gate->watch.epoch == 0 && !lease_watch_highest(&gate->watch, error)))
        return false;
    judge(gate, gate->parts == NULL || strcmp(gate->parts->group, gate->group) > 0);
    if (gate->closed && gate->parts != NULL && parts_same_deployment(gate->parts->group, gate->group))
        memcpy(gate->rival, gate->group, sizeof gate->rival);
    return true;
}

/* ---- the listing ---- */

/* The listing is past a shard. */
static bool end_chain(struct gate *gate, struct error *error)
{
    const struct chain *chain = &gate->chain;
    struct lease *lease = gate->lease;

    if (chain->epoch == 0 || gate->noting || gate->closed || is_own_group(gate, gate->group))
        return true;
    /* Over, whatever its TTL was. To learn that it was given back would be a request for each of those that were left behind. */
    if (chain->written != CLOCK_UNKNOWN && lease->taken != CLOCK_UNKNOWN &&
        chain->written + LEASE_TTL_MAX + LEASE_CLOCK_MARGIN < lease->taken) {
        lease->after_failure |= chain->written >= gate->cleaned;
        return true;
    }
    /* Of very many, looking takes longer than a TTL. */
    lease_step(lease, error);
    return lease->held && look_at_shard(gate, error);
}

/* The listing is past a group. */
static bool end_group(struct gate *gate, struct error *error)
{
    if (!end_chain(gate, error))
        return false;
    if ((gate->parts == NULL || gate->noting) && gate->group_began != CLOCK_UNKNOWN)
        lease_add_span(gate->lease,
                       (struct lease_span){gate->group_began - LEASE_CLOCK_MARGIN,
                                           gate->group_changed + gate->lease->own.ttl + LEASE_CLOCK_MARGIN});
    return true;
}

static void begin_chain(struct gate *gate, int index)
{
    gate->chain = (struct chain){.index = index};
}

static bool see_key(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                    struct error *error)
{
    struct gate *gate = ctx;
    bool of_shard = key->kind == PARTS_EPOCH || key->kind == PARTS_DONE;

    if (strcmp(key->group, gate->group) != 0) {
        if (!end_group(gate, error))
            return false;
        memcpy(gate->group, key->group, sizeof gate->group);
        gate->group_began = gate->group_changed = CLOCK_UNKNOWN;
        begin_chain(gate, -1);
    }
    if (of_shard && key->index != gate->chain.index) {
        if (!end_chain(gate, error))
            return false;
        begin_chain(gate, key->index);
    }
    /* Others, the clock, say, are not written by shards, and perhaps long after they have died. */
    if ((of_shard || key->kind == PARTS_BEGUN) && entry->modified > gate->group_changed)
        gate->group_changed = entry->modified;
    if (key->kind == PARTS_BEGUN) {
        gate->group_began = entry->modified;
    } else if (key->kind == PARTS_EPOCH) {
        gate->chain.epoch = key->epoch;
        gate->chain.written = entry->modified;
    }
    return true;
}

static void begin_look(struct gate *gate, bool noting)
{
    gate->closed = false;
    gate->noting = noting;
    gate->rival[0] = '\0';
    gate->group[0] = '\0';
    gate->group_began = gate->group_changed = CLOCK_UNKNOWN;
    gate->cleaned = gate->lease->cleaned;
    begin_chain(gate, -1);
}

static bool look_at_shards(struct gate *gate, struct error *error)
{
    return parts_list(gate->job, "", see_key, gate, error) && end_group(gate, error);
}

enum gate_state gate_look(struct gate *gate, struct error *error)
{
    begin_look(gate, false);
    if (gate->parts == NULL && !gate->lease->shards)
        return GATE_OPEN;
    if ((gate->parts != NULL && !look_at_whole_job(gate, error)) ||
        (!gate->closed && !look_at_shards(gate, error)))
        return GATE_UNKNOWN;
    return gate->closed ? GATE_CLOSED : GATE_OPEN;
}

bool gate_note(struct gate *gate, struct lease *lease, struct error *error)
{
    gate->lease = lease;
    begin_look(gate, true);
    return look_at_shards(gate, error);
}

const struct lease_record *gate_holder(const struct gate *gate)
{
    return &gate->watch.record;
}

bool gate_gives_way(const struct gate *gate)
{
    return gate->gives_way;
}

/* ---- waiting ---- */

/* One that was killed may have been started anew with another number. One that goes on is a mistake. */
static bool agrees(struct gate *gate, int64_t seen, struct error *error)
{
    return gate->rival[0] == '\0' || gate->watch.seen == seen || lease_watch_is_over(&gate->watch) ||
           error_set(
               error, ERROR_CONFIG,
               "the shards of this deployment do not agree on how many they are: %s works as one of %s, this one as one of %d (setting shard)",
               gate->watch.record.owner, gate->rival + strcspn(gate->rival, "-") + 1,
               gate->parts->shard.count);
}

bool gate_wait(struct gate *gate, int64_t until, int64_t limit, struct error *error)
{
    int64_t seen = gate->watch.seen;

    while (gate->watch.epoch != 0 && !lease_watch_is_over(&gate->watch)) {
        int64_t next = clock_mono() + LEASE_POLL_MIN +
                       (int64_t)(random_number() % (LEASE_POLL_MAX - LEASE_POLL_MIN + 1));

        if (clock_mono() >= until)
            return error_set(error, ERROR_BUSY,
                             "replica \"%s\" is still syncing after %" PRId64 " s (setting wait)",
                             gate->watch.record.owner, limit / 1000);
        if (!lease_wait_until(&gate->other, next < until ? next : until, error) ||
            !lease_watch_look(&gate->watch, error) || !agrees(gate, seen, error))
            return false;
    }
    remember_dead(gate);
    /* A rollback that was waited for may have removed our epoch (parts_forget): nobody would see us at work. */
    return !gate->lease->held || !gate->lease->removable || lease_confirm(gate->lease, error);
}
