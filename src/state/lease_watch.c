#include "clock.h"
#include "lease_internal.h"
#include "log.h"
#include "random.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Before the service is asked once more, in ms: twice as long as before the time before. */
#define PAUSE_MIN 200
#define PAUSE_MAX 3000

/* ---- waiting ---- */

bool lease_wait_until(const struct lease *lease, int64_t until, struct error *error)
{
    struct lease *beside = lease->beside;
    bool kept = beside != NULL && beside->held;

    while (clock_mono() < until) {
        bool moved = kept && lease_step(beside, error);
        int64_t wake = kept ? lease_wake(beside) : until;

        if ((kept && !beside->held) ||
            !loop_turn(store_loop(lease->job->store), moved, wake < until ? wake : until, error))
            return false;
    }
    return true;
}

bool lease_pause(const struct lease *lease, int asked, struct error *error)
{
    int64_t longest = PAUSE_MIN;

    while (--asked > 0 && longest < PAUSE_MAX)
        longest *= 2;
    if (longest > PAUSE_MAX)
        longest = PAUSE_MAX;
    return lease_wait_until(
        lease, clock_mono() + longest / 2 + (int64_t)(random_number() % (uint64_t)(longest / 2 + 1)), error);
}

/* ---- which epochs there are ---- */

static void note_epoch(struct lease_epochs *epochs, uint64_t epoch, int64_t written)
{
    if (epochs->highest != 0 && epochs->older_count < LEASE_OLDER_MAX)
        epochs->older[epochs->older_count++] = epochs->highest;
    epochs->highest = epoch;
    epochs->written = written;
}

static void note_stranger(struct lease *lease, const char *key)
{
    if (text_begins(key + strlen(lease->job->prefix) + sizeof LEASE_FOLDER - 1, LEASE_SHARDS)) {
        lease->shards = true;
        return;
    }
    if (!lease->told_stranger)
        log_warn("%.200s in the destination is not an epoch of the lease: ignored, and can be removed", key);
    lease->told_stranger = true;
}

bool lease_begin_look(struct lease *lease, struct error *error)
{
    const struct object_entry *entry;
    char prefix[LEASE_KEY_SIZE];

    if (lease->cursor == NULL) {
        snprintf(prefix, sizeof prefix, "%s" LEASE_FOLDER, lease->job->prefix);
        lease->cursor =
            cursor_open(lease->job->store, &(struct store_range){.prefix = prefix, .urgent = true}, error);
    }
    if (lease->cursor != NULL)
        cursor_peek(lease->cursor, &entry);
    return lease->cursor != NULL;
}

void lease_drop_look(struct lease *lease)
{
    cursor_close(lease->cursor);
    lease->cursor = NULL;
}

enum cursor_state lease_note_epochs(struct lease *lease, struct cursor *cursor, struct lease_epochs *epochs)
{
    const struct object_entry *entry;
    enum cursor_state state;
    uint64_t epoch;

    while ((state = cursor_peek(cursor, &entry)) == CURSOR_ENTRY) {
        if (lease_parse_key(lease->job, entry->key, &epoch))
            note_epoch(epochs, epoch, entry->modified);
        else
            note_stranger(lease, entry->key);
        cursor_next(cursor);
    }
    return state;
}

bool lease_list(struct lease *lease, struct lease_epochs *epochs, struct error *error)
{
    enum cursor_state state;

    *epochs = (struct lease_epochs){.highest = 0};
    if (!lease_begin_look(lease, error))
        return false;
    while ((state = lease_note_epochs(lease, lease->cursor, epochs)) == CURSOR_WAIT)
        if (!loop_turn(store_loop(lease->job->store), cursor_step(lease->cursor), INT64_MAX, error))
            break;
    if (state == CURSOR_FAILED)
        *error = *cursor_error(lease->cursor);
    lease_drop_look(lease);
    return state == CURSOR_END;
}

/* ---- looking at one ---- */

bool lease_read(struct lease *lease, uint64_t epoch, struct lease_record *out)
{
    char key[LEASE_KEY_SIZE];

    lease_key(lease->job, epoch, key);
    store_read(lease->job->store, &lease->call, key);
    if (!store_wait(&lease->call) && lease->call.error.kind != ERROR_UNSUPPORTED)
        return false;
    error_clear(&lease->call.error);
    lease_read_record(buf_str(&lease->call.body), lease->call.body.len, out);
    return true;
}

void lease_watch_init(struct lease_watch *watch, struct lease *lease)
{
    *watch = (struct lease_watch){
        .lease = lease, .info = {.modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN}, .clock = CLOCK_UNKNOWN};
}

/* The version tells of changes in a record of a version that is not understood. */
static bool is_same_record(const struct lease_watch *watch, const struct lease_record *record,
                           const struct object_info *info)
{
    const struct lease_record *known = &watch->record;

    return record->epoch == known->epoch && record->renewals == known->renewals &&
           record->state == known->state && strcmp(record->nonce, known->nonce) == 0 &&
           strcmp(info->version, watch->info.version) == 0;
}

static void tell_strange_record(const struct lease_watch *watch)
{
    char key[LEASE_KEY_SIZE];

    lease_key(watch->lease->job, watch->epoch, key);
    log_warn(
        "%s in the destination is no record of this version of the program: it counts as a lease that is held, until nobody has changed it for %" PRId64
        " s",
        key, watch->lease->own.ttl / 1000);
}

bool lease_watch_look(struct lease_watch *watch, struct error *error)
{
    const struct call *call = &watch->lease->call;
    struct lease_record record;
    uint64_t before = watch->record.epoch;

    watch->looked = clock_mono();
    if (!lease_read(watch->lease, watch->epoch, &record)) {
        if (call->error.kind != ERROR_NOT_FOUND) {
            *error = call->error;
            return false;
        }
        watch->epoch = 0;
        return true;
    }
    record.epoch = watch->epoch;
    if (!is_same_record(watch, &record, &call->info)) {
        watch->record = record;
        watch->seen = clock_mono();
    }
    watch->info = call->info;
    if (record.strange && before != record.epoch)
        tell_strange_record(watch);
    return true;
}

bool lease_watch_highest(struct lease_watch *watch, struct error *error)
{
    /* Between the listing and the look its object may have gone, because there is a higher one; or the listing lags. */
    for (int asked = 1; asked <= LEASE_LOOKS_MAX; asked++) {
        struct lease_epochs epochs;

        if (!lease_list(watch->lease, &epochs, error))
            return false;
        watch->epoch = epochs.highest;
        if (watch->epoch == 0)
            return true;
        if (!lease_watch_look(watch, error))
            return false;
        if (watch->epoch != 0)
            return true;
        if (!lease_pause(watch->lease, asked, error))
            return false;
    }
    return error_set(error, ERROR_PROTOCOL, "the lease's epochs cannot be read although they are listed");
}

/* ---- is it over? ---- */

/* Not every store says what time it is, a directory never: its files' times are those of a server, perhaps. What we
 * write ourselves gets a time of the same clock. It is a little old when we have read it, which is the safe side. */
static void ask_clock(struct lease_watch *watch)
{
    static const char nothing[] = "{}\n";
    const struct job *job = watch->lease->job;
    struct call *call = &watch->lease->call;
    char key[LEASE_KEY_SIZE];

    watch->clock_asked = true;
    snprintf(key, sizeof key, "%s" LEASE_CLOCK, job->prefix);
    store_write(job->store, call, key, nothing, sizeof nothing - 1, NULL);
    if (!store_wait(call))
        return;
    store_read(job->store, call, key);
    if (store_wait(call) && call->info.modified != CLOCK_UNKNOWN)
        watch->clock = call->info.modified - clock_mono();
}

/* How long ago the watched record was written, by the destination's own clock alone, so that it survives our restart;
 * in ms, -1 if that cannot be told. */
static int64_t age_of_record(struct lease_watch *watch)
{
    int64_t now = watch->info.served;

    if (watch->info.modified == CLOCK_UNKNOWN)
        return -1;
    if (now == CLOCK_UNKNOWN && !watch->clock_asked)
        ask_clock(watch);
    if (now == CLOCK_UNKNOWN && watch->clock != CLOCK_UNKNOWN)
        now = clock_mono() + watch->clock;
    if (now == CLOCK_UNKNOWN)
        return -1;
    return now > watch->info.modified ? now - watch->info.modified : 0;
}

int64_t lease_watch_patience(const struct lease_watch *watch)
{
    return watch->record.ttl > watch->lease->own.ttl ? watch->record.ttl : watch->lease->own.ttl;
}

/* INVARIANT (L2): its owner does not believe in it any more, by our clock or by the destination's. The latter needs no
 * waiting, so that one owner that was killed stops nobody who has no time to wait. */
static bool is_stale_record(struct lease_watch *watch)
{
    return watch->looked - watch->seen >= lease_watch_patience(watch) ||
           age_of_record(watch) >= lease_watch_patience(watch) + LEASE_CLOCK_MARGIN;
}

bool lease_watch_is_over(struct lease_watch *watch)
{
    return watch->epoch == 0 || watch->record.state != LEASE_HELD || is_stale_record(watch);
}

int64_t lease_watch_cleaned(const struct lease_watch *watch)
{
    bool clean = watch->epoch != 0 && watch->record.state == LEASE_RELEASED && !watch->record.unused;

    return clean && watch->info.modified != CLOCK_UNKNOWN ? watch->info.modified : 0;
}

int lease_watch_attempts(const struct lease_watch *watch)
{
    if (watch->epoch == 0 || watch->record.state == LEASE_RELEASED ||
        strcmp(watch->record.deployment, watch->lease->own.deployment) != 0)
        return 0;
    return watch->record.attempts;
}

bool lease_watch_backs_off(struct lease_watch *watch, struct error *error)
{
    int attempts = lease_watch_attempts(watch);
    int64_t wait = lease_backoff(attempts);
    int64_t since = wait > 0 ? age_of_record(watch) : -1;

    if (since < 0 || since >= wait)
        return false;
    error_set(error, ERROR_BUSY,
              "the sync of this deployment has failed %d times in a row; the next attempt is due in %" PRId64
              " s",
              attempts, (wait - since + 999) / 1000);
    return true;
}
