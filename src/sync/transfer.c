#include "transfer_internal.h"

#include "clock.h"
#include "log.h"

#include <stdio.h>
#include <string.h>

void transfer_plan_within(struct transfer_plan *plan, struct store *store, uint64_t part_size)
{
    *plan = (struct transfer_plan){
        .source = store,
        .destination = store,
        .part_size = part_size,
        .server_copy = store_can_copy(store, store),
        .seen = true,
        .restores = true,
    };
    object_meta_init(&plan->acl);
}

void transfer_init(struct transfer *t, struct transfer_plan *plan)
{
    *t = (struct transfer){.plan = plan};
    t->entry.key = t->key;
    call_init(&t->get);
    call_init(&t->put);
    object_meta_init(&t->meta);
    object_meta_init(&t->acl);
}

void transfer_free(struct transfer *t)
{
    call_free(&t->get);
    call_free(&t->put);
    object_meta_free(&t->meta);
    object_meta_free(&t->acl);
    pipe_free(&t->pipe);
    absence_end(&t->absence);
}

bool transfer_idle(const struct transfer *t)
{
    return t->state == NULL;
}

int64_t transfer_wake(const struct transfer *t)
{
    return t->wake != 0 ? t->wake : INT64_MAX;
}

const char *transfer_key_there(const struct transfer *t)
{
    return t->to != NULL ? t->to : t->key;
}

struct store_source transfer_source(const struct transfer *t)
{
    return (struct store_source){
        .store = t->plan->source, .key = t->key, .version = t->entry.version, .past = t->past};
}

static struct store_condition condition_of(const struct transfer *t)
{
    struct store_condition condition = {.when = STORE_ALWAYS, .version = t->over, .bare = t->plan->bare};

    if (t->guarded)
        condition.when = t->over[0] != '\0' ? STORE_IF_VERSION : STORE_IF_ABSENT;
    if (t->plan->lacks[condition.when])
        condition.when = STORE_ALWAYS;
    return condition;
}

struct store_target transfer_target(struct transfer *t)
{
    t->sent = condition_of(t);
    return (struct store_target){.condition = t->sent,
                                 .key = transfer_key_there(t),
                                 .size = t->entry.size,
                                 .modified = t->entry.modified,
                                 .meta = &t->meta,
                                 .acl = t->plan->copy_acl ? &t->acl : &t->plan->acl,
                                 .hash = t->entry.hash};
}

/* ---- endings ---- */

void transfer_end(struct transfer *t, enum transfer_result result)
{
    t->state = NULL;
    t->result = result;
    pipe_free_large(&t->pipe);
}

static void wait_for_abort(struct transfer *t)
{
    if (!t->put.done)
        return;
    t->upload = NULL;
    if (t->again_after_abort)
        transfer_begin(t);
    else
        transfer_end(t, t->result);
}

void transfer_wait_for_others(struct transfer *t)
{
    if (t->lent == 0)
        transfer_abandon(t, t->result, t->again_after_abort);
}

void transfer_abandon(struct transfer *t, enum transfer_result result, bool again)
{
    t->result = result;
    t->again_after_abort = again;
    if (t->lent > 0) {
        t->state = transfer_wait_for_others;
    } else if (t->upload != NULL) {
        t->put.urgent = true;
        store_upload_abort(t->upload, &t->put);
        t->put.urgent = false; /* it has begun */
        t->state = wait_for_abort;
    } else if (again) {
        transfer_begin(t);
    } else {
        transfer_end(t, result);
    }
}

void transfer_fail(struct transfer *t, const struct error *error)
{
    t->error = *error;
    transfer_abandon(t, TRANSFER_FAILED, false);
}

/* The write has failed, if it has. A file that was replaced during it is copied as it is now: the version before it may be at
 * the destination by now, later than the change. */
static void wait_for_doubt(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind == ERROR_NONE && !object_same_version(t->get.info.version, t->entry.version) &&
        ++t->version_changes <= VERSION_CHANGES_MAX && transfer_adopt(t, &t->get.error)) {
        t->attempt = 0;
        transfer_abandon(t, TRANSFER_NONE, true);
    } else {
        transfer_abandon(t, TRANSFER_FAILED, false);
    }
}

void transfer_give_up(struct transfer *t, const struct error *error)
{
    const struct store_traits *from = store_traits(t->plan->source), *to = store_traits(t->plan->destination);

    t->error = *error;
    if (from->local && !to->keeps_times && t->entry.hash.kind == OBJECT_HASH_NONE)
        transfer_ask_source(t, wait_for_doubt);
    else
        transfer_abandon(t, TRANSFER_FAILED, false);
}

/* Is what the destination has, as t->put was just told, what this is to replace? An answer that names no version says nothing
 * against it. */
static bool is_still_there(const struct transfer *t)
{
    const char *now = t->put.info.version;

    if (t->put.error.kind == ERROR_NOT_FOUND)
        return t->over[0] == '\0';
    return t->over[0] != '\0' && (now[0] == '\0' || object_versions_equal(now, t->over));
}

/* A write before this one, whose outcome is not known, may be what is there. Is it, as t->put was just told? */
static bool is_own_attempt(const struct transfer *t)
{
    const struct object_info *now = &t->put.info;

    return t->attempt > 0 && t->upload == NULL && t->put.error.kind == ERROR_NONE &&
           now->size == t->entry.size && object_hashes_equal(&now->hash, &t->entry.hash);
}

/* The destination has something else than this is to replace. Where that may be an attempt of ours it is no conflict. */
static void meet_another(struct transfer *t)
{
    if (is_own_attempt(t)) {
        t->moved = t->entry.size;
        transfer_arrived(t);
        return;
    }
    if (t->error.kind == ERROR_NONE)
        error_set(&t->error, ERROR_PRECONDITION, "it has changed at the destination meanwhile");
    transfer_abandon(t, t->attempt > 0 || t->version_changes > 0 ? TRANSFER_FAILED : TRANSFER_CONFLICT,
                     false);
}

/* Ceph RGW up to 18 refuses any write on the condition of a version in quotes, whatever it has; without them it does what it
 * should, in buckets without versions. Nothing but that version itself proves that a refusal is wrong: not a look that failed,
 * nor one that names none. */
static void wait_for_reason(struct transfer *t)
{
    bool looked = t->put.error.kind == ERROR_NONE || t->put.error.kind == ERROR_NOT_FOUND;

    if (!t->put.done)
        return;
    if (!looked) {
        transfer_fail(t, &t->put.error);
    } else if (is_still_there(t) && (t->over[0] == '\0' || t->put.info.version[0] != '\0')) {
        if (t->sent.when == STORE_IF_VERSION && !t->sent.bare)
            t->plan->bare = true;
        else
            t->plan->lacks[t->sent.when] = true;
        transfer_abandon(t, TRANSFER_FAILED, true);
    } else {
        meet_another(t);
    }
}

bool transfer_settle_condition(struct transfer *t)
{
    enum store_when when = t->sent.when;

    if (when == STORE_ALWAYS ||
        (t->put.error.kind != ERROR_PRECONDITION && t->put.error.kind != ERROR_UNSUPPORTED))
        return false;
    t->error = t->put.error;
    if (t->put.error.kind == ERROR_UNSUPPORTED) {
        t->plan->lacks[when] = true;
        transfer_abandon(t, TRANSFER_FAILED, true);
    } else {
        store_head(t->plan->destination, &t->put, transfer_key_there(t));
        t->state = wait_for_reason;
    }
    return true;
}

void transfer_over_own(struct transfer *t)
{
    snprintf(t->over, sizeof t->over, "%s", t->put.info.version);
    t->guarded = t->guarded && t->over[0] != '\0';
}

/* What was removed since it was listed is no change that could be lost, but one that a rollback has to know. */
static void wait_for_there(struct transfer *t)
{
    bool gone = t->put.error.kind == ERROR_NOT_FOUND;

    if (!t->put.done)
        return;
    if (!gone && t->put.error.kind != ERROR_NONE)
        transfer_fail(t, &t->put.error);
    else if (is_still_there(t) || (gone && !t->plan->exact))
        t->after_look(t);
    else
        meet_another(t);
}

void transfer_look_there(struct transfer *t, void (*next)(struct transfer *t))
{
    t->after_look = next;
    if (!t->guarded) {
        next(t);
        return;
    }
    store_head(t->plan->destination, &t->put, transfer_key_there(t));
    t->state = wait_for_there;
}

static void begin_over(struct transfer *t)
{
    if (t->put.error.kind == ERROR_NOT_FOUND)
        t->over[0] = '\0';
    transfer_begin(t);
}

static void look_before(struct transfer *t)
{
    transfer_look_there(t, begin_over);
}

/* ---- trying again ---- */

struct retry *transfer_retry(const struct transfer *t)
{
    return loop_retry(store_loop(t->plan->destination));
}

static void wait_for_backoff(struct transfer *t)
{
    if (clock_mono() < t->wake)
        return;
    t->wake = 0;
    if (t->upload != NULL)
        transfer_begin_part(t);
    else
        look_before(t);
}

void transfer_try_again(struct transfer *t, const struct error *error)
{
    int64_t wait = retry_wait(transfer_retry(t), ++t->attempt, 0);

    t->plan->in_parts |= t->whole;
    if (wait < 0) {
        transfer_give_up(t, error);
        return;
    }
    t->measured[0] = '\0'; /* of bytes that may have been other ones */
    t->wake = clock_mono() + wait;
    t->state = wait_for_backoff;
    if (wait > RETRY_QUIET)
        log_warn("trying again in %lld s: %s", (long long)wait / 1000, error->text);
}

/* ---- is it gone? ---- */

static void wait_for_absence(struct transfer *t)
{
    struct error why;

    switch (absence_look(&t->absence, &why)) {
    case ABSENCE_WAIT:
        return;
    case ABSENCE_PROVEN:
        absence_end(&t->absence);
        transfer_abandon(t, TRANSFER_GONE, false);
        break;
    case ABSENCE_FAILED:
        absence_end(&t->absence);
        transfer_fail(t, &why);
        break;
    }
}

/* The source itself says that there is no such object. Of a past version nothing is listed that could speak against it. */
static void not_found(struct transfer *t)
{
    struct error why;

    if (t->past != NULL)
        transfer_abandon(t, TRANSFER_GONE, false);
    else if (!absence_begin(&t->absence, t->plan->source, t->key, &why))
        transfer_fail(t, &why);
    else
        t->state = wait_for_absence;
}

/* ---- another version ---- */

/* The version before the one that was listed, so an answer out of a cache. Times in headers are whole seconds; a directory's
 * are its users' affair. */
static bool is_stale(const struct transfer *t)
{
    int64_t is = t->get.info.modified, listed = t->entry.modified;

    return !store_traits(t->plan->source)->keeps_times && is != CLOCK_UNKNOWN && listed != CLOCK_UNKNOWN &&
           is / 1000 < listed / 1000;
}

uint64_t transfer_relayed(const struct transfer *t)
{
    return !transfer_idle(t) && t->relay ? t->entry.size : 0;
}

bool transfer_adopt(struct transfer *t, struct error *error)
{
    const struct object_info *info = &t->get.info;
    bool same = object_same_version(info->version, t->entry.version);

    if (!same && t->past != NULL)
        return error_set(error, ERROR_PROTOCOL,
                         "%s answers with another version of \"%.200s\" than was asked for",
                         store_name(t->plan->source), t->key);
    if (!same && is_stale(t))
        return error_set(
            error, ERROR_PROTOCOL,
            "%s answers with an older version of \"%.200s\" than it lists: something before it keeps old answers",
            store_name(t->plan->source), t->key);
    if (same && info->size != OBJECT_SIZE_UNKNOWN && info->size != t->entry.size)
        return error_set(error, ERROR_PROTOCOL,
                         "%s lists \"%.200s\" with %llu bytes, and says that the same version has %llu",
                         store_name(t->plan->source), t->key, (unsigned long long)t->entry.size,
                         (unsigned long long)info->size);
    if (info->size == OBJECT_SIZE_UNKNOWN && !same)
        return error_set(error, ERROR_PROTOCOL, "%s does not say how large \"%.200s\" is",
                         store_name(t->plan->source), t->key);
    if (info->version[0] == '\0' && t->entry.version[0] != '\0' && info->size != t->entry.size)
        return error_set(
            error, ERROR_PROTOCOL,
            "%s says that \"%.200s\" has another size than was listed, but not which version it is",
            store_name(t->plan->source), t->key);
    if (info->size != OBJECT_SIZE_UNKNOWN)
        t->entry.size = info->size;
    if (info->version[0] != '\0') {
        memcpy(t->entry.version, info->version, sizeof t->entry.version);
        t->entry.hash = info->hash;
    }
    /* A listing tells milliseconds, a HEAD does not. */
    if (!same && info->modified != CLOCK_UNKNOWN)
        t->entry.modified = info->modified;
    t->measured[0] = '\0';
    t->one_stream = info->version[0] == '\0';
    return true;
}

void transfer_wait_for_look(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind == ERROR_NOT_FOUND) {
        not_found(t);
    } else if (t->get.error.kind == ERROR_NONE && ++t->version_changes > VERSION_CHANGES_MAX) {
        error_set(&t->error, ERROR_PRECONDITION, "it keeps changing while it is copied");
        transfer_abandon(t, TRANSFER_FAILED, false);
    } else if (t->get.error.kind != ERROR_NONE || !transfer_adopt(t, &t->get.error)) {
        transfer_fail(t, &t->get.error);
    } else {
        transfer_abandon(t, TRANSFER_NONE, true);
    }
}

void transfer_ask_source(struct transfer *t, void (*next)(struct transfer *t))
{
    struct store_source source = transfer_source(t);

    store_look(&source, &t->get);
    t->state = next;
}

void transfer_source_failed(struct transfer *t, const struct call *call)
{
    if (call->error.kind == ERROR_NOT_FOUND)
        not_found(t);
    else if (call->error.kind == ERROR_PRECONDITION)
        transfer_ask_source(t, transfer_wait_for_look);
    else if (call->again)
        transfer_try_again(t, &call->error);
    else
        transfer_fail(t, &call->error);
}

/* ---- all bytes are there ---- */

static void wait_for_last_look(struct transfer *t)
{
    if (!t->get.done)
        return;
    /* What changes all the time, or cannot be looked at, has been copied all the same. */
    if (t->stopping || t->get.error.kind != ERROR_NONE || t->get.info.version[0] == '\0' ||
        object_versions_equal(t->get.info.version, t->entry.version) ||
        ++t->version_changes > VERSION_CHANGES_MAX || !transfer_adopt(t, &t->get.error)) {
        transfer_end(t, TRANSFER_COPIED);
        return;
    }
    transfer_over_own(t);
    transfer_begin(t);
}

/* The next second has begun: what is written now has another time. */
static void wait_for_next_second(struct transfer *t)
{
    if (t->stopping) { /* all of it is there */
        transfer_end(t, TRANSFER_COPIED);
        return;
    }
    if (clock_mono() < t->wake)
        return;
    t->wake = 0;
    transfer_ask_source(t, wait_for_last_look);
}

/* The copy has the source's time, in whole seconds (Amazon's), and was read before that second was over: another version of
 * the same second and size would look the same. By the source's clock. */
static bool may_have_a_twin(const struct transfer *t)
{
    return store_traits(t->plan->destination)->keeps_times && !store_traits(t->plan->source)->keeps_times &&
           t->entry.modified != CLOCK_UNKNOWN && t->entry.modified % 1000 == 0 &&
           t->get.info.served != CLOCK_UNKNOWN && t->get.info.served < t->entry.modified + 1000;
}

/* Will both listings show a hash, or what looks like one? Those of a changed object differ then. */
static bool hashes_will_tell(const struct transfer *t)
{
    return object_hashes_comparable(&t->entry.hash, &t->put.info.hash) ||
           (t->entry.hash.kind != OBJECT_HASH_NONE && t->put.info.false_hash);
}

/* May a change since the bytes were read be hidden from the next run? Not where hashes tell, and not where the copy has the
 * source's time. */
static bool may_hide_a_change(const struct transfer *t)
{
    return !store_traits(t->plan->destination)->keeps_times && t->entry.version[0] != '\0' &&
           !hashes_will_tell(t);
}

void transfer_arrived(struct transfer *t)
{
    if (t->untagged && !t->plan->tags_dropped) {
        t->plan->tags_dropped = true;
        log_warn("%s takes no tags, so objects are copied without theirs (setting tags)",
                 store_name(t->plan->destination));
    }
    if (may_have_a_twin(t)) {
        t->wake = clock_mono() + 1000;
        t->state = wait_for_next_second;
    } else if (may_hide_a_change(t)) {
        transfer_ask_source(t, wait_for_last_look);
    } else {
        transfer_end(t, TRANSFER_COPIED);
    }
}

/* ---- the way in ---- */

void transfer_begin(struct transfer *t)
{
    if (transfer_would_relay(t->plan, t->entry.size))
        t->relay = true;
    if (t->relay && t->past != NULL) {
        error_set(&t->error, ERROR_UNSUPPORTED,
                  "a version of the bucket's can only be copied inside the service: %s", t->put.error.text);
        transfer_abandon(t, TRANSFER_FAILED, false);
        return;
    }
    if (t->relay && t->pipe.data == NULL && !pipe_init(&t->pipe)) {
        error_set(&t->error, ERROR_LOCAL, "out of memory");
        transfer_abandon(t, TRANSFER_FAILED, false);
    } else if (t->relay && transfer_begin_trial(t)) {
        return;
    } else if (t->relay && (t->one_stream || t->entry.size <= t->plan->part_size || transfer_fits_whole(t))) {
        transfer_begin_relay(t);
    } else if (!t->relay) {
        transfer_begin_copy(t);
    } else {
        transfer_begin_parts(t);
    }
}

void transfer_prepare(struct transfer *t, const struct object_entry *entry)
{
    size_t len = strnlen(entry->key, OBJECT_KEY_MAX);

    memcpy(t->key, entry->key, len);
    t->key[len] = '\0';
    t->entry = *entry;
    t->entry.key = t->key;
    if (entry->modified != CLOCK_UNKNOWN) /* as a look tells it */
        t->entry.modified += entry->touched;
    t->result = TRANSFER_NONE;
    error_clear(&t->error);
    t->moved = 0;
    t->attempt = 0;
    t->version_changes = 0;
    t->relay = false;
    t->untagged = false;
    t->one_stream = false;
    t->whole = false;
    t->measured[0] = '\0';
    t->guarded = false;
    t->sent = (struct store_condition){.when = STORE_ALWAYS};
    t->stopping = false;
    t->to = NULL;
    t->past = NULL;
}

void transfer_start(struct transfer *t, const struct object_entry *entry)
{
    transfer_prepare(t, entry);
    transfer_begin(t);
}

void transfer_start_over(struct transfer *t, const struct object_entry *entry,
                         const struct object_entry *there)
{
    transfer_prepare(t, entry);
    snprintf(t->over, sizeof t->over, "%s", there != NULL ? there->version : "");
    t->guarded = there == NULL || t->over[0] != '\0'; /* else there is nothing to compare with */
    look_before(t);
}

/* Which version goes by that name is only a listing's word so far, and not every service keeps to the condition of a copy. */
static void wait_for_past(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE)
        transfer_source_failed(t, &t->get);
    else if (!transfer_adopt(t, &t->get.error))
        transfer_fail(t, &t->get.error);
    else
        transfer_begin(t);
}

void transfer_start_as(struct transfer *t, const struct object_entry *entry, const char *to, const char *past,
                       const char *over)
{
    transfer_prepare(t, entry);
    t->to = to;
    t->past = past;
    t->guarded = over != NULL;
    snprintf(t->over, sizeof t->over, "%s", t->guarded ? over : "");
    if (past != NULL)
        transfer_ask_source(t, wait_for_past);
    else
        transfer_begin(t);
}

void transfer_use(struct transfer *t, struct transfer_plan *plan)
{
    t->plan = plan;
}

bool transfer_step(struct transfer *t)
{
    bool moved = false;

    /* A state that hands over to another may have work for it at once. Each change of state starts a call or
     * ends, so this terminates. */
    while (t->state != NULL) {
        void (*before)(struct transfer * t) = t->state;
        size_t waiting;

        if (!t->get.done)
            moved |= store_step(&t->get);
        if (!t->put.done)
            moved |= store_step(&t->put);
        moved |= absence_step(&t->absence);
        waiting = t->pipe.len;
        t->state(t);
        moved |= t->pipe.len != waiting;
        if (t->state == before)
            break;
        moved = true;
    }
    return moved;
}

void transfer_stop(struct transfer *t, const struct error *why)
{
    if (t->lead != NULL)
        transfer_leave(t);
    if (t->state == NULL || t->stopping)
        return;
    t->stopping = true;
    t->wake = 0;
    t->error = *why;
    /* An upload that is being opened has an id which only its answer tells; one that is being aborted is on
     * its way out. Both are let finish, and so is what has only been waiting to be looked at again. */
    if (t->state == transfer_wait_for_upload || t->state == wait_for_next_second)
        return;
    if (t->state == wait_for_last_look) { /* all of it is there */
        call_cancel(&t->get, why);
        return;
    }
    t->again_after_abort = false;
    t->result = TRANSFER_FAILED;
    if (t->state == wait_for_abort)
        return;
    call_cancel(&t->get, why);
    call_cancel(&t->put, why);
    absence_end(&t->absence);
    transfer_abandon(t, TRANSFER_FAILED, false);
}
