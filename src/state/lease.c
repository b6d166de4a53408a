#include "lease.h"

#include "clock.h"
#include "crash.h"
#include "cursor.h"
#include "log.h"
#include "random.h"
#include "stop.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define RECORD_MAX ((size_t)4096)

/* Old epochs that one owner removes at most; there is rarely more than one. */
#define CLEAN_MAX 16

/* How long giving back a lease that nobody worked under may take, in ms. */
#define RELEASE_UNUSED 500

/* After a renewal that failed: when to try again, in ms. */
#define RENEWAL_PAUSE 1000

/* Races that may be lost before something must be wrong with the service: each was won by another replica. */
#define RACES_MAX 100

/* How often the service is asked again for what it does not show although it is there, or must be. */
#define LOOKS_MAX 10

/* Before each of those, in ms: twice as long as before the one before. */
#define PAUSE_MIN 200
#define PAUSE_MAX 3000

/* How often a create is tried whose answer was lost and which did not happen. */
#define CREATE_TRIES 3

/* While waiting, every so many looks at the lease are one at the marker: its owner may have died between the two. */
#define NEED_EVERY 4

/* ---- the record of our own ---- */

static void make_nonce(char out[LEASE_NONCE_SIZE])
{
    unsigned char bytes[(LEASE_NONCE_SIZE - 1) / 2];

    random_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

void lease_init(struct lease *lease, const struct job *job, const char *owner, const char *deployment_id,
                int64_t ttl)
{
    *lease = (struct lease){.job = job, .own = {.ttl = ttl}};
    snprintf(lease->own.owner, sizeof lease->own.owner, "%s", owner);
    snprintf(lease->own.deployment, sizeof lease->own.deployment, "%s", deployment_id);
    call_init(&lease->call);
    /* A renewal that arrives a second time, after a later one, would bring back a record that an observer has seen
     * before, who might take the lease for stale. Each attempt is one of our own, with a counter of its own. */
    lease->call.once = true;
}

void lease_free(struct lease *lease)
{
    cursor_close(lease->cursor);
    lease->cursor = NULL;
    call_free(&lease->call);
}

/* Begins to write our object. */
static bool begin_write(struct lease *lease, bool create)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    char key[LEASE_KEY_SIZE];
    struct buf json;
    bool ok;

    lease_key(lease->job, lease->own.epoch, key);
    buf_init(&json, RECORD_MAX);
    ok = lease_write_record(&lease->own, &json);
    if (ok)
        store_write(lease->job->store, &lease->call, key, json.data, json.len, create ? &absent : NULL);
    else
        error_set(&lease->call.error, ERROR_LOCAL, "out of memory");
    buf_free(&json);
    return ok;
}

static bool write_and_wait(struct lease *lease, bool create)
{
    return begin_write(lease, create) && store_wait(&lease->call);
}

/* Reads an epoch's object: false with lease->call.error. One that cannot be understood, if only for its size, is
 * somebody's nevertheless. */
static bool read_and_wait(struct lease *lease, uint64_t epoch, struct lease_record *out)
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

/* INVARIANT (L3): is the object of our epoch ours? */
static bool is_ours(struct lease *lease, struct lease_record *found)
{
    return read_and_wait(lease, lease->own.epoch, found) && strcmp(found->nonce, lease->own.nonce) == 0;
}

/* ---- waiting ---- */

static uint64_t up_to(int64_t limit)
{
    return random_number() % (uint64_t)(limit + 1);
}

static struct loop *loop_of(const struct lease *lease)
{
    return store_loop(lease->job->store);
}

static bool wait_until(const struct lease *lease, int64_t until, struct error *error)
{
    while (clock_mono() < until)
        if (!loop_turn(loop_of(lease), false, until, error))
            return false;
    return true;
}

/* Before the service is asked once more: `asked` times it was before. False: to stop was asked for. */
static bool pause_between(struct lease *lease, int asked, struct error *error)
{
    int64_t longest = PAUSE_MIN;

    while (--asked > 0 && longest < PAUSE_MAX)
        longest *= 2;
    if (longest > PAUSE_MAX)
        longest = PAUSE_MAX;
    return wait_until(lease, clock_mono() + longest / 2 + (int64_t)up_to(longest / 2), error);
}

/* ---- looking for the highest epoch ---- */

struct epochs {
    uint64_t highest; /* 0: none */
    uint64_t below[CLEAN_MAX];
    int below_count; /* lower ones, as far as they fit */
};

static void note_epoch(struct epochs *epochs, uint64_t epoch)
{
    if (epochs->highest != 0 && epochs->below_count < CLEAN_MAX)
        epochs->below[epochs->below_count++] = epochs->highest;
    epochs->highest = epoch;
}

static void tell_stranger(struct lease *lease, const char *key)
{
    if (!lease->told_stranger)
        log_warn("%.200s in the destination is not an epoch of the lease: ignored, and can be removed", key);
    lease->told_stranger = true;
}

/* Takes what the listing has by now. CURSOR_END: all of it. */
static enum cursor_state take_epochs(struct lease *lease, struct cursor *cursor, struct epochs *epochs)
{
    const struct object_entry *entry;
    enum cursor_state state;
    uint64_t epoch;

    while ((state = cursor_peek(cursor, &entry)) == CURSOR_ENTRY) {
        if (lease_parse_key(lease->job, entry->key, &epoch))
            note_epoch(epochs, epoch);
        else
            tell_stranger(lease, entry->key);
        cursor_next(cursor);
    }
    return state;
}

static struct cursor *open_listing(const struct lease *lease, struct error *error)
{
    char prefix[LEASE_KEY_SIZE];

    snprintf(prefix, sizeof prefix, "%s" LEASE_FOLDER, lease->job->prefix);
    return cursor_open(lease->job->store, &(struct store_range){.prefix = prefix}, error);
}

static bool list_and_wait(struct lease *lease, struct epochs *epochs, struct error *error)
{
    struct cursor *cursor = open_listing(lease, error);
    enum cursor_state state;

    *epochs = (struct epochs){.highest = 0};
    if (cursor == NULL)
        return false;
    while ((state = take_epochs(lease, cursor, epochs)) == CURSOR_WAIT)
        if (!loop_turn(loop_of(lease), cursor_step(cursor), INT64_MAX, error))
            break;
    if (state == CURSOR_FAILED)
        *error = *cursor_error(cursor);
    cursor_close(cursor);
    return state == CURSOR_END;
}

/* ---- watching another's lease ---- */

struct watch {
    const struct lease_wait *wait;
    uint64_t epoch; /* the highest that is known; 0: none */
    struct lease_record record;
    struct object_info info; /* what the last look said of its object */
    int64_t seen;            /* mono: end of the first look that showed this record */
    int64_t looked;          /* mono: begin of the last look */
    bool clock_asked;
    int64_t clock;   /* the destination's clock minus our monotonic one; CLOCK_UNKNOWN */
    int64_t waiting; /* mono: since when; 0: not yet */
    int looks;
};

/* The version tells of changes in a record of a version that is not understood. */
static bool same_record(const struct watch *watch, const struct lease_record *record,
                        const struct object_info *info)
{
    const struct lease_record *known = &watch->record;

    return record->epoch == known->epoch && record->renewals == known->renewals &&
           record->state == known->state && strcmp(record->nonce, known->nonce) == 0 &&
           strcmp(info->version, watch->info.version) == 0;
}

static void tell_strange_record(const struct lease *lease, const struct watch *watch)
{
    char key[LEASE_KEY_SIZE];

    lease_key(lease->job, watch->epoch, key);
    log_warn(
        "%s in the destination is no record of this version of the program: it counts as a lease that is held, until nobody has changed it for %" PRId64
        " s",
        key, lease->own.ttl / 1000);
}

/* Looks at the watched epoch. False with *error; its object being gone (its successor removed it) is no error
 * but makes the epoch 0. */
static bool look(struct lease *lease, struct watch *watch, struct error *error)
{
    struct lease_record record;
    uint64_t before = watch->record.epoch;

    watch->looked = clock_mono();
    if (!read_and_wait(lease, watch->epoch, &record)) {
        if (lease->call.error.kind != ERROR_NOT_FOUND) {
            *error = lease->call.error;
            return false;
        }
        watch->epoch = 0;
        return true;
    }
    record.epoch = watch->epoch;
    if (!same_record(watch, &record, &lease->call.info)) {
        watch->record = record;
        watch->seen = clock_mono();
    }
    watch->info = lease->call.info;
    if (record.strange && before != record.epoch)
        tell_strange_record(lease, watch);
    return true;
}

/* Not every store says what time it is, a directory never: its files' times are those of a server, perhaps. What we
 * write ourselves gets a time of the same clock. It is a little old when we have read it, which is the safe side. */
static void ask_clock(struct lease *lease, struct watch *watch)
{
    static const char nothing[] = "{}\n";
    char key[LEASE_KEY_SIZE];

    watch->clock_asked = true;
    snprintf(key, sizeof key, "%s" LEASE_CLOCK, lease->job->prefix);
    store_write(lease->job->store, &lease->call, key, nothing, sizeof nothing - 1, NULL);
    if (!store_wait(&lease->call))
        return;
    store_read(lease->job->store, &lease->call, key);
    if (store_wait(&lease->call) && lease->call.info.modified != CLOCK_UNKNOWN)
        watch->clock = lease->call.info.modified - clock_mono();
}

/* How long ago the watched record was written, by the destination's own clock alone, so that it survives our restart;
 * in ms, -1 if that cannot be told. */
static int64_t age(struct lease *lease, struct watch *watch)
{
    int64_t now = watch->info.served;

    if (watch->info.modified == CLOCK_UNKNOWN)
        return -1;
    if (now == CLOCK_UNKNOWN && !watch->clock_asked)
        ask_clock(lease, watch);
    if (now == CLOCK_UNKNOWN && watch->clock != CLOCK_UNKNOWN)
        now = clock_mono() + watch->clock;
    if (now == CLOCK_UNKNOWN)
        return -1;
    return now > watch->info.modified ? now - watch->info.modified : 0;
}

static bool look_for_highest(struct lease *lease, struct watch *watch, struct error *error)
{
    /* Between the listing and the look its object may have gone, because there is a higher one; or the listing lags. */
    for (int asked = 1; asked <= LOOKS_MAX; asked++) {
        struct epochs epochs;

        if (!list_and_wait(lease, &epochs, error))
            return false;
        watch->epoch = epochs.highest;
        if (watch->epoch == 0)
            return true;
        if (!look(lease, watch, error))
            return false;
        if (watch->epoch != 0)
            return true;
        if (!pause_between(lease, asked, error))
            return false;
    }
    return error_set(error, ERROR_PROTOCOL, "the lease's epochs cannot be read although they are listed");
}

/* How long the watched record has to stay the same to be stale: the owner's TTL, or ours if that is longer. */
static int64_t patience(const struct lease *lease, const struct watch *watch)
{
    return watch->record.ttl > lease->own.ttl ? watch->record.ttl : lease->own.ttl;
}

/* INVARIANT (L2): its owner does not believe in it any more, by our clock or by the destination's. The latter needs no
 * waiting, so that one owner that was killed stops nobody who has no time to wait. */
static bool stale(struct lease *lease, struct watch *watch)
{
    return watch->looked - watch->seen >= patience(lease, watch) ||
           age(lease, watch) >= patience(lease, watch) + LEASE_CLOCK_MARGIN;
}

static bool can_be_taken(struct lease *lease, struct watch *watch)
{
    return watch->epoch == 0 || watch->record.state != LEASE_HELD || stale(lease, watch);
}

/* The deployment's attempts so far that ended without a clean pass. */
static int failed_attempts(const struct lease *lease, const struct watch *watch)
{
    if (watch->epoch == 0 || watch->record.state == LEASE_RELEASED ||
        strcmp(watch->record.deployment, lease->own.deployment) != 0)
        return 0;
    return watch->record.attempts;
}

/* A deployment that fails again and again, or dies, must not hammer the service. */
static bool backed_off(struct lease *lease, struct watch *watch, struct error *error)
{
    int attempts = failed_attempts(lease, watch);
    int64_t wait = lease_backoff(attempts);
    int64_t since = watch->wait->back_off && wait > 0 ? age(lease, watch) : -1;

    if (since < 0 || since >= wait)
        return false;
    error_set(error, ERROR_BUSY,
              "the sync of this deployment has failed %d times in a row; the next attempt is due in %" PRId64
              " s",
              attempts, (wait - since + 999) / 1000);
    return true;
}

/* ---- taking it ---- */

enum taking { TAKEN, TAKEN_BY_ANOTHER, NOT_TAKEN };

/* Without the primitive the last writer wins: writes, lets everybody else's writes come in, and looks who it was. */
static enum taking take_advisory(struct lease *lease, struct error *error)
{
    struct lease_record found;
    /* Within the TTL, which began with this write, there has to be time to renew it. */
    int64_t settle = lease->own.ttl / 3 < LEASE_SETTLE ? lease->own.ttl / 3 : LEASE_SETTLE;
    int64_t until = clock_mono() + settle;

    lease->advisory = true;
    if (!write_and_wait(lease, false)) {
        *error = lease->call.error;
        return NOT_TAKEN;
    }
    if (!wait_until(lease, until, error))
        return NOT_TAKEN;
    if (is_ours(lease, &found))
        return TAKEN;
    *error = lease->call.error;
    return error->kind == ERROR_NONE ? TAKEN_BY_ANOTHER : NOT_TAKEN;
}

/* The create went through. Would a second one, too? Then it proves nothing. */
static enum taking prove(struct lease *lease, struct error *error)
{
    write_and_wait(lease, true);
    if (lease->call.error.kind == ERROR_NONE || lease->call.error.kind == ERROR_UNSUPPORTED)
        return take_advisory(lease, error);
    if (lease->call.error.kind == ERROR_INTERRUPTED || lease->call.error.kind == ERROR_TIMEOUT) {
        *error = lease->call.error;
        return stop_requested(error) ? NOT_TAKEN : TAKEN;
    }
    return TAKEN;
}

/* INVARIANT (L1): the only place that creates an epoch. */
static enum taking create(struct lease *lease, struct error *error)
{
    for (int i = 0; i < CREATE_TRIES; i++) {
        struct lease_record found;
        struct error failure;

        if (write_and_wait(lease, true)) {
            lease->held = true;
            return prove(lease, error);
        }
        failure = lease->call.error;
        if (failure.kind == ERROR_UNSUPPORTED)
            return take_advisory(lease, error);
        if (stop_requested(error) || failure.kind == ERROR_PERMISSION || failure.kind == ERROR_CREDENTIALS) {
            *error = failure;
            return NOT_TAKEN;
        }
        if (is_ours(lease, &found)) {
            lease->held = true;
            return TAKEN;
        }
        if (lease->call.error.kind == ERROR_NONE)
            return TAKEN_BY_ANOTHER;
        /* It was there, and is gone: removed by the owner of a higher one. */
        if (failure.kind == ERROR_PRECONDITION && lease->call.error.kind == ERROR_NOT_FOUND)
            return TAKEN_BY_ANOTHER;
        *error = failure;
        if (lease->call.error.kind != ERROR_NOT_FOUND || !pause_between(lease, i + 1, error))
            return NOT_TAKEN;
    }
    return NOT_TAKEN;
}

/* Is the epoch that was just created the highest? One below it may have been created by somebody who was late: the
 * higher one's owner had removed its predecessor. A listing that does not show ours yet lags behind, and proves nothing. */
static enum taking check_highest(struct lease *lease, struct epochs *epochs, struct error *error)
{
    for (int asked = 1; asked <= LOOKS_MAX; asked++) {
        if (!list_and_wait(lease, epochs, error))
            return NOT_TAKEN;
        if (epochs->highest >= lease->own.epoch)
            return epochs->highest == lease->own.epoch ? TAKEN : TAKEN_BY_ANOTHER;
        if (!pause_between(lease, asked, error))
            return NOT_TAKEN;
    }
    error_set(error, ERROR_PROTOCOL,
              "an epoch of the lease that was just created is not listed by the destination");
    return NOT_TAKEN;
}

/* INVARIANT (L4): removes epochs below our own. Nobody depends on it; what fails is left for the next owner. */
static void clean(struct lease *lease, const struct epochs *epochs)
{
    char key[LEASE_KEY_SIZE];

    for (int i = 0; i < epochs->below_count; i++) {
        lease_key(lease->job, epochs->below[i], key);
        store_remove(lease->job->store, &lease->call, key);
        if (store_wait(&lease->call))
            continue;
        if (lease->call.error.kind == ERROR_PERMISSION)
            log_warn(
                "old epochs of the lease cannot be removed, and each sync leaves one more (the right s3:DeleteObject on %s* is enough): %s",
                lease->job->prefix, lease->call.error.text);
        return;
    }
}

static enum taking take(struct lease *lease, const struct watch *watch, struct error *error)
{
    int64_t began = clock_mono();
    struct epochs epochs;
    enum taking taking;

    if (watch->epoch == LEASE_EPOCH_MAX) {
        error_set(error, ERROR_PROTOCOL,
                  "the lease has no epochs left: remove %s" LEASE_FOLDER " from the destination",
                  lease->job->prefix);
        return NOT_TAKEN;
    }
    lease->own.epoch = watch->epoch + 1;
    lease->own.state = LEASE_HELD;
    lease->own.renewals = 0;
    lease->own.attempts = failed_attempts(lease, watch) + 1;
    lease->renewed = began;
    lease->next_try = 0;
    make_nonce(lease->own.nonce);
    crash_point("lease-before-create");
    taking = create(lease, error);
    crash_point("lease-created");
    if (taking == TAKEN)
        taking = check_highest(lease, &epochs, error);
    if (taking == TAKEN) {
        lease->held = true;
        clean(lease, &epochs);
    } else if (taking == TAKEN_BY_ANOTHER) {
        lease->held = false;
    } else {
        /* Created, but not seen through (a signal, say): nobody should wait for it. An advisory one may be
         * another's by now, and has to become stale. */
        lease->held = lease->held && !lease->advisory;
        lease_release(lease, false, RELEASE_UNUSED);
    }
    return taking;
}

/* ---- the way to it ---- */

/* How long others may be waited for. Who is patient waits until a dead owner must be noticed: a TTL, and two looks. */
static int64_t longest_wait(const struct lease *lease, const struct watch *watch)
{
    int64_t needed = patience(lease, watch) + 2 * (int64_t)LEASE_POLL_MAX;

    return watch->wait->patient && needed > watch->wait->limit ? needed : watch->wait->limit;
}

static bool tired_of_waiting(const struct lease *lease, struct watch *watch, struct error *error)
{
    int64_t now = clock_mono();
    int64_t limit = longest_wait(lease, watch);

    if (watch->waiting == 0)
        watch->waiting = now;
    if (now - watch->waiting < limit)
        return false;
    error_set(error, ERROR_BUSY, "replica \"%s\" is still syncing after %" PRId64 " s (setting wait)",
              watch->record.owner, limit / 1000);
    return true;
}

/* Between two looks: full of jitter, so that many replicas spread out. Shorter when staleness or the limit is due. */
static int64_t rest_until(const struct watch *watch, const struct lease *lease)
{
    int64_t now = clock_mono();
    int64_t stale_at = watch->seen + patience(lease, watch);
    int64_t tired_at = watch->waiting + longest_wait(lease, watch);
    int64_t next = now + LEASE_POLL_MIN + (int64_t)up_to(LEASE_POLL_MAX - LEASE_POLL_MIN);

    if (stale_at > now && stale_at < next)
        next = stale_at;
    return tired_at < next ? tired_at : next;
}

/* Waits until the watched lease can be taken. False: no need any more (*outcome says why). */
static bool await(struct lease *lease, struct watch *watch, enum lease_outcome *outcome, struct error *error)
{
    uint64_t told = 0;

    *outcome = LEASE_NOT_WON;
    while (!can_be_taken(lease, watch)) {
        if (tired_of_waiting(lease, watch, error))
            return false;
        if (told != watch->epoch)
            watch->wait->waiting(watch->wait->ctx, &watch->record);
        told = watch->epoch;
        if (!wait_until(lease, rest_until(watch, lease), error))
            return false;
        if (++watch->looks % NEED_EVERY == 0) {
            enum lease_need need = watch->wait->need(watch->wait->ctx, true, error);

            *outcome = need == LEASE_OVER ? LEASE_DONE_BY_ANOTHER : LEASE_NOT_WON;
            if (need != LEASE_NEEDED)
                return false;
        } else if (!look(lease, watch, error) ||
                   (watch->epoch == 0 && !look_for_highest(lease, watch, error))) {
            return false;
        }
    }
    return true;
}

/* The lease is ours, but others had it before: did one of them do the work meanwhile? */
static enum lease_outcome settle_need(struct lease *lease, const struct watch *watch, struct error *error)
{
    enum lease_need need = LEASE_NEEDED;

    if (watch->epoch != 0)
        need = watch->wait->need(watch->wait->ctx, false, error);
    if (need == LEASE_NEEDED)
        return LEASE_WON;
    lease_release(lease, need == LEASE_OVER, RELEASE_UNUSED);
    return need == LEASE_OVER ? LEASE_DONE_BY_ANOTHER : LEASE_NOT_WON;
}

/* Another replica was faster. A listing that does not show its epoch yet lags behind. */
static bool find_winner(struct lease *lease, struct watch *watch, int races, struct error *error)
{
    uint64_t lost = lease->own.epoch;

    for (int asked = 1; asked <= LOOKS_MAX; asked++) {
        if (!pause_between(lease, asked > 1 ? asked : races, error) || !look_for_highest(lease, watch, error))
            return false;
        if (watch->epoch >= lost)
            return true;
    }
    return error_set(error, ERROR_PROTOCOL,
                     "epochs of the lease that others have created are not listed by the destination");
}

/* Whoever we waited for has ended: mostly because the work is done. */
static bool still_needed(const struct watch *watch, enum lease_outcome *outcome, struct error *error)
{
    enum lease_need need = watch->wait->need(watch->wait->ctx, false, error);

    *outcome = need == LEASE_OVER ? LEASE_DONE_BY_ANOTHER : LEASE_NOT_WON;
    return need == LEASE_NEEDED;
}

enum lease_outcome lease_acquire(struct lease *lease, const struct lease_wait *wait, struct error *error)
{
    struct watch watch = {
        .wait = wait, .clock = CLOCK_UNKNOWN, .info = {.modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN}};
    enum lease_outcome outcome;

    error_clear(error);
    if (!look_for_highest(lease, &watch, error))
        return LEASE_NOT_WON;
    for (int races = 1; races <= RACES_MAX; races++) {
        bool waited = watch.waiting != 0;

        if (!await(lease, &watch, &outcome, error))
            return outcome;
        if (!waited && watch.waiting != 0 && watch.record.state == LEASE_RELEASED &&
            !still_needed(&watch, &outcome, error))
            return outcome;
        if (backed_off(lease, &watch, error))
            return LEASE_NOT_WON;
        switch (take(lease, &watch, error)) {
        case TAKEN:
            error_clear(error); /* of attempts that failed before */
            return settle_need(lease, &watch, error);
        case NOT_TAKEN:
            return LEASE_NOT_WON;
        case TAKEN_BY_ANOTHER:
            if (!find_winner(lease, &watch, races, error))
                return LEASE_NOT_WON;
            break;
        }
    }
    error_set(error, ERROR_BUSY, "%d replicas in a row were faster", RACES_MAX);
    return LEASE_NOT_WON;
}

/* ---- keeping it ---- */

static void end_renewal(struct lease *lease)
{
    cursor_close(lease->cursor);
    lease->cursor = NULL;
    lease->renewal = LEASE_RESTING;
}

static void lose(struct lease *lease, struct error *error, const char *why)
{
    lease->held = false;
    end_renewal(lease);
    error_set(error, ERROR_BUSY, "the lease is lost: %s", why);
}

/* INVARIANT (L2): a lease that could not be renewed for a whole TTL is not believed in, whatever the reason. */
static bool expired(const struct lease *lease)
{
    return clock_mono() - lease->renewed >= lease->own.ttl;
}

static void renewal_failed(struct lease *lease)
{
    end_renewal(lease);
    lease->next_try = clock_mono() + RENEWAL_PAUSE;
}

static void begin_renewal(struct lease *lease)
{
    lease->renewal_began = clock_mono();
    lease->own.renewals++;
    if (lease->advisory) {
        char key[LEASE_KEY_SIZE];

        /* Somebody may have written over it: a rewrite would take it away from them again. */
        lease_key(lease->job, lease->own.epoch, key);
        store_read(lease->job->store, &lease->call, key);
        lease->renewal = LEASE_CHECKING;
    } else if (begin_write(lease, false)) {
        lease->renewal = LEASE_WRITING;
    } else {
        renewal_failed(lease);
    }
}

static void after_check(struct lease *lease, struct error *error)
{
    struct lease_record found;

    lease_read_record(buf_str(&lease->call.body), lease->call.body.len, &found);
    if (strcmp(found.nonce, lease->own.nonce) != 0)
        lose(lease, error, "another replica has written over it");
    else if (begin_write(lease, false))
        lease->renewal = LEASE_WRITING;
    else
        renewal_failed(lease);
}

static void after_write(struct lease *lease, struct error *error)
{
    crash_point("renewing");
    lease->cursor = open_listing(lease, error);
    lease->highest = 0;
    if (lease->cursor != NULL)
        lease->renewal = LEASE_LOOKING;
    else
        renewal_failed(lease);
}

static void after_call(struct lease *lease, struct error *error)
{
    if (lease->call.error.kind != ERROR_NONE)
        renewal_failed(lease);
    else if (lease->renewal == LEASE_CHECKING)
        after_check(lease, error);
    else
        after_write(lease, error);
}

static void after_look(struct lease *lease, enum cursor_state state, struct error *error)
{
    if (state == CURSOR_FAILED) {
        renewal_failed(lease);
    } else if (lease->highest > lease->own.epoch) {
        lose(lease, error, "another replica has taken over");
    } else {
        end_renewal(lease);
        lease->renewed = lease->renewal_began;
        lease->next_try = 0;
        lease->confirmed = true;
    }
}

static bool renewal_due(const struct lease *lease)
{
    return clock_mono() >= lease_wake(lease);
}

int64_t lease_wake(const struct lease *lease)
{
    int64_t due = lease->renewed + lease->own.ttl / 3;

    if (!lease->held || lease->renewal != LEASE_RESTING)
        return INT64_MAX;
    return lease->next_try > due ? lease->next_try : due;
}

static bool step_renewal(struct lease *lease, struct error *error)
{
    struct epochs epochs = {.highest = 0};
    enum cursor_state state;
    bool moved;

    if (lease->renewal == LEASE_LOOKING) {
        moved = cursor_step(lease->cursor);
        state = take_epochs(lease, lease->cursor, &epochs);
        if (epochs.highest > lease->highest)
            lease->highest = epochs.highest;
        if (state == CURSOR_WAIT)
            return moved;
        after_look(lease, state, error);
        return true;
    }
    moved = store_step(&lease->call);
    if (!lease->call.done)
        return moved;
    after_call(lease, error);
    return true;
}

bool lease_step(struct lease *lease, struct error *error)
{
    if (!lease->held)
        return false;
    if (expired(lease)) {
        lose(lease, error, "it could not be renewed for longer than its TTL");
        return true;
    }
    if (lease->renewal != LEASE_RESTING)
        return step_renewal(lease, error);
    if (!renewal_due(lease))
        return false;
    begin_renewal(lease);
    return true;
}

/* One turn of waiting for a renewal. False, with *error, when the lease is lost, or a stop was requested. */
static bool turn_renewal(struct lease *lease, struct error *error)
{
    bool moved = lease_step(lease, error);

    return lease->held && loop_turn(loop_of(lease), moved, lease_wake(lease), error);
}

bool lease_confirm(struct lease *lease, struct error *error)
{
    /* A renewal that is under way began before now: it does not count. */
    while (lease->held && lease->renewal != LEASE_RESTING)
        if (!turn_renewal(lease, error))
            return false;
    if (!lease->held)
        return false;
    lease->confirmed = false;
    begin_renewal(lease);
    while (!lease->confirmed)
        if (!turn_renewal(lease, error))
            return false;
    return true;
}

void lease_release(struct lease *lease, bool clean_pass, int64_t limit)
{
    struct error why;

    if (!lease->held)
        return;
    lease->held = false;
    lease->own.state = clean_pass ? LEASE_RELEASED : LEASE_FAILED;
    lease->own.renewals++;
    error_set(&why, ERROR_INTERRUPTED, "the lease is being released");
    call_cancel(&lease->call, &why);
    if (begin_write(lease, false) && !store_wait_for(&lease->call, limit))
        log_warn("the lease could not be released; others will wait for it: %s", lease->call.error.text);
}
