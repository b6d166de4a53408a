#include "transfer_internal.h"

#include <string.h>

/* ---- what came with the object ---- */

static bool wants_tags(const struct transfer *t)
{
    return t->plan->tags != TAGS_IGNORE && !t->plan->tags_dropped && !t->untagged;
}

static bool keep_meta(struct transfer *t, const struct object_meta *from)
{
    const char *name;
    const char *value;
    size_t at = 0;

    while (object_meta_next(from, &at, &name, &value))
        if ((wants_tags(t) || strcmp(name, "tagging") != 0) && !object_meta_add(&t->meta, name, value))
            return false;
    if (from->mode != OBJECT_MODE_UNKNOWN)
        t->meta.mode = from->mode;
    t->meta.restored = t->plan->restores;
    return true;
}

static void meta_too_large(struct transfer *t)
{
    error_set(&t->error, ERROR_LOCAL, "its metadata has more than %zu bytes", OBJECT_META_MAX);
    call_cancel(&t->get, &t->error);
    transfer_abandon(t, TRANSFER_FAILED, false);
}

/* ---- what has to be asked for ---- */

static void asking_failed(struct transfer *t)
{
    call_cancel(&t->get, &t->put.error);
    transfer_source_failed(t, &t->put);
}

static void wait_for_same_meta(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && !object_versions_equal(t->put.info.version, t->get.info.version))
        error_set(&t->put.error, ERROR_PRECONDITION, "it has changed while its tags or grants were read");
    if (t->put.error.kind != ERROR_NONE)
        asking_failed(t);
    else
        t->after_meta(t);
}

/* An answer with tags or grants does not say of which version they are: it has to be the present one still. */
static void ask_version_again(struct transfer *t)
{
    store_head(t->plan->source, &t->put, t->key);
    t->state = wait_for_same_meta;
}

static void wait_for_acl(struct transfer *t)
{
    const char *name, *value;
    size_t at = 0;

    if (!t->put.done)
        return;
    if (t->put.error.kind != ERROR_NONE) {
        asking_failed(t);
        return;
    }
    object_meta_clear(&t->acl);
    while (object_meta_next(&t->put.meta, &at, &name, &value)) {
        if (!object_meta_add(&t->acl, name, value)) {
            meta_too_large(t);
            return;
        }
    }
    t->after_acl(t);
}

void transfer_with_acl(struct transfer *t, void (*next)(struct transfer *t))
{
    if (!t->plan->copy_acl) {
        next(t);
        return;
    }
    t->after_acl = next;
    store_acl(t->plan->source, &t->put, t->key);
    t->state = wait_for_acl;
}

static uint64_t count_tags(const struct object_meta *meta)
{
    const char *tagging = object_meta_get(meta, "tagging");
    uint64_t count = tagging != NULL ? 1 : 0;

    for (; tagging != NULL && (tagging = strchr(tagging, '&')) != NULL; tagging++)
        count++;
    return count;
}

/* There have to be as many as this version has. */
static void wait_for_tags(struct transfer *t)
{
    if (!t->put.done)
        return;
    if (t->put.error.kind == ERROR_NONE && count_tags(&t->put.meta) != t->get.info.tags)
        error_set(&t->put.error, ERROR_PRECONDITION, "it has other tags meanwhile");
    if (t->put.error.kind != ERROR_NONE)
        asking_failed(t);
    else if (!keep_meta(t, &t->put.meta))
        meta_too_large(t);
    else
        transfer_with_acl(t, ask_version_again);
}

void transfer_with_meta(struct transfer *t, const struct object_meta *from, void (*next)(struct transfer *t))
{
    t->after_meta = next;
    object_meta_clear(&t->meta);
    if (t->past != NULL && t->get.info.tags > 0 && wants_tags(t)) {
        error_set(&t->error, ERROR_UNSUPPORTED,
                  "the tags of a past version are copied only with objects of one piece");
        transfer_abandon(t, TRANSFER_FAILED, false);
    } else if (!keep_meta(t, from)) {
        meta_too_large(t);
    } else if (t->get.info.tags > 0 && wants_tags(t)) {
        store_tags(t->plan->source, &t->put, t->key);
        t->state = wait_for_tags;
    } else {
        transfer_with_acl(t, t->plan->copy_acl ? ask_version_again : next);
    }
}
