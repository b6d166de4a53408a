#include "transfer_internal.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>

/* Before any copy has worked, this many refused ones are enough: the others will be refused as well. */
#define COPIES_REFUSED_MAX 3

static bool copies_in_parts(const struct transfer_plan *plan, uint64_t size)
{
    return size > store_traits(plan->destination)->copy_max;
}

static struct copy_way *copy_way(const struct transfer *t)
{
    return copies_in_parts(t->plan, t->entry.size) ? &t->plan->parts : &t->plan->whole;
}

bool transfer_would_relay(const struct transfer_plan *plan, uint64_t size)
{
    return !plan->server_copy || (copies_in_parts(plan, size) ? plan->parts.off : plan->whole.off);
}

static void stop_copying(const struct transfer *t, struct copy_way *way, const char *why)
{
    if (way->off)
        return;
    way->off = true;
    log_info("%s are not copied inside the service but through this machine: %s",
             way == &t->plan->parts ? "large objects" : "objects", why);
}

/* Counts a copy that was refused, if the reason can be one for other objects as well. */
static void copy_refused(const struct transfer *t, const struct error *error)
{
    struct copy_way *way = copy_way(t);
    bool lacking = error->status == 501 || error->status == 405;

    if (copies_in_parts(t->plan, t->entry.size) && store_traits(t->plan->destination)->whole_parts)
        stop_copying(t, way, error->text);
    if (way->worked || strcmp(error->code, "InvalidObjectState") == 0 ||
        (error->kind == ERROR_UNSUPPORTED && !lacking))
        return;
    if (lacking || ++way->refused >= COPIES_REFUSED_MAX)
        stop_copying(t, way, error->text);
}

/* The destination's credentials may be unable to read the source, whose own can: bring it over ourselves. */
static void relay_instead(struct transfer *t)
{
    t->relay = true;
    transfer_abandon(t, TRANSFER_NONE, true);
}

/* The destination's view was that the source is not there, or another version. What is it by its own credentials? */
static void wait_for_truth(struct transfer *t)
{
    struct error why;

    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE ||
        (t->get.info.version[0] != '\0' && !object_versions_equal(t->get.info.version, t->entry.version))) {
        transfer_wait_for_look(t);
        return;
    }
    /* A part has no condition but the source's. */
    if (t->upload == NULL && transfer_settle_condition(t))
        return;
    error_set(&why, ERROR_NOT_FOUND, "the destination's credentials do not see what the source's do: %s",
              t->put.error.text);
    copy_refused(t, &why);
    relay_instead(t);
}

void transfer_copy_failed(struct transfer *t)
{
    if (t->put.again) { /* it may have happened: what is there has to be looked at before it is tried again */
        transfer_try_again(t, &t->put.error);
        return;
    }
    switch (t->put.error.kind) {
    case ERROR_NOT_FOUND:
    case ERROR_PRECONDITION:
        transfer_ask_source(t, wait_for_truth);
        break;
    case ERROR_UNREACHABLE:
    case ERROR_TIMEOUT:
    case ERROR_LOCAL:
    case ERROR_INTERRUPTED:
        transfer_fail(t, &t->put.error);
        break;
    default: /* 501 as well: it is the copy that is not known here, and the condition may hold for other writes */
        copy_refused(t, &t->put.error);
        t->attempt += t->put.error.kind == ERROR_PROTOCOL; /* it may have been made all the same */
        relay_instead(t);
        break;
    }
}

static void note_copied(struct transfer *t)
{
    copy_way(t)->worked = true;
    t->moved = t->entry.size;
    transfer_arrived(t);
}

/* The copy has another content hash than was listed. */
static void wait_for_copy_check(struct transfer *t)
{
    if (!t->get.done)
        return;
    if (t->get.error.kind != ERROR_NONE) {
        transfer_fail(t, &t->get.error);
    } else if (t->get.info.false_hash) {
        t->plan->false_hashes = true;
        note_copied(t);
    } else if (object_versions_equal(t->get.info.version, t->put.info.version) && !t->plan->copy_acl &&
               transfer_adopt(t, &t->get.error)) {
        /* Ceph RGW up to 16 ignores the version that is asked for: it has copied the new version (and given it the grants
           that the old one had, if they were asked for: then all is done anew). */
        note_copied(t);
    } else if (object_versions_equal(t->get.info.version, t->entry.version)) {
        log_warn(
            "a copy of \"%s\" inside the service has other content than the source: it is copied again, and all others as well, through this machine",
            t->key);
        t->plan->server_copy = false;
        t->version_changes++; /* what is there now may be that copy: no conflict */
        transfer_over_own(t);
        transfer_begin(t);
    } else {
        transfer_wait_for_look(t);
    }
}

static void wait_for_copy(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        transfer_copy_failed(t);
    } else if (object_hashes_differ(&t->put.info.hash, &t->entry.hash) && !t->plan->false_hashes) {
        transfer_ask_source(t, wait_for_copy_check);
    } else {
        note_copied(t);
    }
}

/* ---- which bucket is it? ---- */

static bool is_the_object(const struct object_info *is, const struct object_entry *entry)
{
    return object_same_version(entry->version, is->version) && is->size == entry->size &&
           is->modified != CLOCK_UNKNOWN && entry->modified != CLOCK_UNKNOWN &&
           llabs(is->modified - entry->modified) < 1000;
}

static void wait_for_sight(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && is_the_object(&t->put.info, &t->entry)) {
        t->plan->seen = true;
        transfer_begin(t);
        return;
    }
    if (t->put.error.kind == ERROR_NONE)
        error_set(&t->put.error, ERROR_NOT_FOUND,
                  "the destination's credentials see another bucket by the name of %s",
                  store_name(t->plan->source));
    copy_refused(t, &t->put.error);
    relay_instead(t);
}

/* Does the destination's key see the source's bucket by this name, or another account's? An object that has the version, the
 * size and the time of the one that was listed is that object. */
static void begin_sight(struct transfer *t)
{
    struct store_source source = transfer_source(t);

    store_peek(t->plan->destination, &t->put, &source);
    t->state = wait_for_sight;
}

static void begin_whole_copy(struct transfer *t)
{
    struct store_source source = transfer_source(t);
    struct store_target target = transfer_target(t);

    store_copy(t->plan->destination, &t->put, &target, &source);
    t->state = wait_for_copy;
}

void transfer_begin_copy(struct transfer *t)
{
    if (!t->plan->seen && t->entry.size == 0) {
        t->relay = true; /* empty ones that one script has made in one second are all alike */
        transfer_begin(t);
    } else if (!t->plan->seen) {
        begin_sight(t);
    } else if (copies_in_parts(t->plan, t->entry.size)) {
        transfer_begin_parts(t);
    } else {
        transfer_with_acl(t, begin_whole_copy);
    }
}
