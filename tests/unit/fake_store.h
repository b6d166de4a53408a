/*
 * A bucket in memory, behind the same operations table as the real ones, for tests of what is above the store.
 *
 * Operations take a few store_steps, as if a network were there; a fault makes the n-th operation of a kind on a
 * key fail. `calls` counts what was asked for, `open_uploads` what was begun and neither finished nor aborted.
 * Header-only: each test program includes it once.
 */
#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "clock.h"
#include "crc32c.h"
#include "page.h"
#include "store.h"
#include "store_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FAKE_OBJECTS_MAX 4096
#define FAKE_FAULTS_MAX 16
#define FAKE_PAGE 3    /* keys a page: small, so that tests cross pages */
#define FAKE_LATENCY 2 /* store_steps before an answer */

enum fake_op {
    FAKE_LIST,
    FAKE_READ,
    FAKE_WRITE,
    FAKE_HEAD,
    FAKE_PEEK,
    FAKE_REMOVE,
    FAKE_TAGS,
    FAKE_ACL,
    FAKE_GET,
    FAKE_PUT,
    FAKE_COPY,
    FAKE_BEGIN,
    FAKE_PART,
    FAKE_PART_COPY,
    FAKE_FINISH,
    FAKE_ABORT,
    FAKE_OPS,
};

struct fake_object {
    char key[OBJECT_KEY_MAX + 1];
    char *data;
    size_t size;
    int64_t modified;
    char version[OBJECT_VERSION_SIZE]; /* its MD5, unless a test sets another */
    struct object_meta meta;
    char acl[40];   /* "": the usual one */
    int tags;       /* told; there is one */
    bool encrypted; /* its version looks like an MD5 and is none, which a listing does not tell */
    int unreadable; /* it is what a listing cannot look at */
};

struct fake_fault {
    enum fake_op op;
    const char *key; /* NULL: any */
    int skip;        /* let this many through first */
    int times;       /* then fail this many */
    enum error_kind kind;
    bool again;
    bool happens; /* only the answer is lost */
    size_t after; /* streamed operations: after this many bytes */
    int status;   /* HTTP's */
    const char *code;
};

struct fake_store {
    struct store base;
    struct fake_object objects[FAKE_OBJECTS_MAX]; /* sorted by key */
    int count;
    struct fake_fault faults[FAKE_FAULTS_MAX];
    int fault_count;
    int calls[FAKE_OPS];
    int open_uploads;
    bool copies;                   /* store_can_copy */
    bool hashless;                 /* as a directory is */
    bool sums;                     /* it knows a CRC32C instead of an MD5, as of Google's composite objects */
    bool ignores_versions;         /* as Ceph RGW up to 16 does when it copies */
    struct fake_store *other_view; /* another account: what its credentials see by the source's name */
    int lag;                       /* listings that do not show what is there yet */
    bool create_is_put;            /* a service without create-if-absent that does not say so */
    bool never_answers;            /* operations hang until cancelled */
    const char *held;              /* operations on that key do so until it is another one; NULL: none */
    int64_t now;                   /* `modified` of what is written without a time */
    int64_t served;                /* what an answer says the time is; 0: nothing */
    struct fake_store *peer;       /* for on_call: the other side, */
    int changes;                   /* and how often it changes */
    bool misjudges_quotes;         /* a version in quotes never holds, as of Ceph RGW up to 18 */
    bool misjudges_versions;       /* nor one without */
    bool tells_no_version;         /* when it is asked about an object */
    bool puts_early;               /* takes an object for written before it has read it */
    int damaged_gets;              /* so many more have a wrong byte */
    bool demands_md5;              /* as a bucket with Object Lock does */
    bool ignores_ranges;           /* the whole object is each part that is copied */
    void (*on_call)(struct fake_store *store, enum fake_op op,
                    const char *key); /* e.g. to change an object */
};

struct fake_upload {
    struct upload base;
    char key[OBJECT_KEY_MAX + 1];
    char *data;
    size_t size;
    uint64_t part_size; /* of the first one that is copied */
    int64_t modified;
    struct object_meta meta;
    char acl[40];
    enum store_when when;
    char version[OBJECT_VERSION_SIZE];
};

/* What a call is doing. */
struct fake_call {
    struct fake_store *store;
    enum fake_op op;
    int latency;
    struct fake_fault *fault;
    char key[OBJECT_KEY_MAX + 1];
    struct pipe *pipe;
    char *data; /* what is being read or written */
    size_t size, at;
    bool owned; /* `data` is ours */
    int64_t modified;
    struct object_meta meta;
    char acl[40];
    struct fake_upload *upload;
    enum store_when when; /* it may write */
    bool bare;
    char version[OBJECT_VERSION_SIZE];
};

static inline int fake_find(struct fake_store *store, const char *key, int *where)
{
    int low = 0;
    int high = store->count;

    while (low < high) {
        int middle = (low + high) / 2;
        int order = strcmp(store->objects[middle].key, key);

        if (order == 0) {
            *where = middle;
            return 1;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *where = low;
    return 0;
}

static inline void fake_copy_meta(struct object_meta *to, const struct object_meta *from)
{
    const char *name;
    const char *value;
    size_t at = 0;

    object_meta_clear(to);
    while (object_meta_next(from, &at, &name, &value))
        object_meta_add(to, name, value);
}

static inline struct fake_object *fake_put_bytes(struct fake_store *store, const char *key, const void *data,
                                                 size_t size, int64_t modified)
{
    struct fake_object *object;
    int where;

    if (!fake_find(store, key, &where)) {
        if (store->count == FAKE_OBJECTS_MAX)
            abort();
        memmove(&store->objects[where + 1], &store->objects[where],
                (size_t)(store->count - where) * sizeof store->objects[0]);
        memset(&store->objects[where], 0, sizeof store->objects[where]);
        object_meta_init(&store->objects[where].meta);
        store->count++;
    }
    object = &store->objects[where];
    snprintf(object->key, sizeof object->key, "%s", key);
    free(object->data);
    object->data = malloc(size + 1);
    if (size != 0)
        memcpy(object->data, data, size);
    object->size = size;
    object->modified = modified;
    digest_of(object->data, size, object->version);
    return object;
}

static inline struct fake_object *fake_get_object(struct fake_store *store, const char *key)
{
    int where;

    return fake_find(store, key, &where) ? &store->objects[where] : NULL;
}

static inline void fake_drop_object(struct fake_store *store, const char *key)
{
    int where;

    if (!fake_find(store, key, &where))
        return;
    free(store->objects[where].data);
    object_meta_free(&store->objects[where].meta);
    store->count--;
    memmove(&store->objects[where], &store->objects[where + 1],
            (size_t)(store->count - where) * sizeof store->objects[0]);
}

static inline void fake_fault(struct fake_store *store, struct fake_fault fault)
{
    store->faults[store->fault_count++] = fault;
}

/* ---- operations ---- */

static inline void fake_call_drop(struct fake_call *state)
{
    if (state->owned)
        free(state->data);
    object_meta_free(&state->meta);
    memset(state, 0, sizeof *state);
}

static inline struct fake_fault *fake_fault_for(struct fake_store *store, enum fake_op op, const char *key)
{
    for (int i = 0; i < store->fault_count; i++) {
        struct fake_fault *fault = &store->faults[i];

        if (fault->op != op || (fault->key != NULL && strcmp(fault->key, key) != 0) || fault->times == 0)
            continue;
        if (fault->skip > 0) {
            fault->skip--;
            continue;
        }
        fault->times--;
        return fault;
    }
    return NULL;
}

static inline struct fake_call *fake_begin(struct store *base, struct call *call, enum fake_op op,
                                           const char *key)
{
    struct fake_store *store = (struct fake_store *)base;
    struct fake_call *state = call->impl;

    if (state == NULL)
        state = call->impl = calloc(1, sizeof *state);
    else
        fake_call_drop(state);
    state->store = store;
    state->op = op;
    state->latency = FAKE_LATENCY;
    object_meta_init(&state->meta);
    snprintf(state->key, sizeof state->key, "%s", key);
    store->calls[op]++;
    if (store->on_call != NULL)
        store->on_call(store, op, key);
    state->fault = fake_fault_for(store, op, key);
    return state;
}

static inline void fake_fail(struct call *call, enum error_kind kind, bool again, const char *what)
{
    struct fake_call *state = call->impl;

    error_set(&call->error, kind, "fake %s: %s", what, state->key);
    if (state->fault != NULL) {
        call->error.status = state->fault->status;
        snprintf(call->error.code, sizeof call->error.code, "%s",
                 state->fault->code != NULL ? state->fault->code : "");
    }
    call->again = again;
    call->done = true;
}

static inline void fake_name(const struct fake_store *store, const struct fake_object *object,
                             char (*version)[OBJECT_VERSION_SIZE], struct object_hash *hash)
{
    uint32_t sum = store->sums ? crc32c_add(0, object->data, object->size) : 0;

    memcpy(*version, object->version, sizeof *version);
    object_hash_md5(hash, store->hashless ? "" : object->version);
    if (store->sums)
        *hash = (struct object_hash){OBJECT_HASH_CRC32C,
                                     {(unsigned char)(sum >> 24), (unsigned char)(sum >> 16),
                                      (unsigned char)(sum >> 8), (unsigned char)sum}};
}

static inline void fake_describe(struct call *call, const struct fake_object *object)
{
    const struct fake_call *state = call->impl;

    call->info.size = object->size;
    call->info.modified = object->modified;
    call->info.served = state->store->served != 0 ? state->store->served : CLOCK_UNKNOWN;
    call->info.tags = (uint64_t)object->tags;
    call->info.false_hash = object->encrypted;
    if (!state->store->tells_no_version)
        fake_name(state->store, object, &call->info.version, &call->info.hash);
    if (object->encrypted)
        call->info.hash.kind = OBJECT_HASH_NONE;
    fake_copy_meta(&call->meta, &object->meta);
    call->head_known = true;
}

static inline void fake_store_list(struct store *base, struct call *call, const struct store_range *range,
                                   struct store_page *page)
{
    const char *prefix = range->prefix;
    struct fake_store *store = (struct fake_store *)base;
    int added = 0;

    fake_begin(base, call, FAKE_LIST, prefix);
    if (store->lag > 0) {
        store->lag--;
        page_end(page, NULL);
        return;
    }
    for (int i = 0; i < store->count; i++) {
        const struct fake_object *object = &store->objects[i];
        struct object_entry entry = {.key = object->key, .size = object->size, .modified = object->modified};

        if (strncmp(object->key, prefix, strlen(prefix)) != 0 ||
            strcmp(object->key, page_position(page)) <= 0)
            continue;
        if (added == FAKE_PAGE) {
            page_end(page, store->objects[i - 1].key);
            return;
        }
        entry.unreadable = object->unreadable;
        fake_name(store, object, &entry.version, &entry.hash);
        page_add(page, &entry);
        added++;
    }
    page_end(page, NULL);
}

static inline void fake_store_read(struct store *base, struct call *call, const char *key)
{
    fake_begin(base, call, FAKE_READ, key);
}

static inline void fake_expect(struct fake_call *state, const struct store_condition *condition)
{
    state->when = condition->when;
    state->bare = condition->bare;
    snprintf(state->version, sizeof state->version, "%s",
             condition->when == STORE_IF_VERSION ? condition->version : "");
}

static inline void fake_store_write(struct store *base, struct call *call, const char *key, const char *data,
                                    size_t len, const struct store_condition *condition)
{
    struct fake_call *state = fake_begin(base, call, FAKE_WRITE, key);

    fake_expect(state, condition);
    state->data = malloc(len + 1);
    memcpy(state->data, data, len);
    state->owned = true;
    state->size = len;
}

static inline void fake_store_head(struct store *base, struct call *call, const char *key)
{
    fake_begin(base, call, FAKE_HEAD, key);
}

static inline void fake_store_remove(struct store *base, struct call *call, const char *key,
                                     const struct store_condition *condition)
{
    fake_expect(fake_begin(base, call, FAKE_REMOVE, key), condition);
}

static inline void fake_store_tags(struct store *base, struct call *call, const char *key)
{
    fake_begin(base, call, FAKE_TAGS, key);
}

static inline void fake_store_acl(struct store *base, struct call *call, const char *key)
{
    fake_begin(base, call, FAKE_ACL, key);
}

static inline void fake_store_get(const struct store_source *from, struct call *call, uint64_t offset,
                                  uint64_t length, struct pipe *sink)
{
    struct fake_call *state = fake_begin(from->store, call, FAKE_GET, from->key);
    struct fake_object *object = fake_get_object((struct fake_store *)from->store, from->key);

    state->pipe = sink;
    if (object == NULL) {
        fake_fail(call, ERROR_NOT_FOUND, false, "get");
        return;
    }
    if (from->version[0] != '\0' && strcmp(from->version, object->version) != 0) {
        fake_fail(call, ERROR_PRECONDITION, false, "get");
        return;
    }
    state->size = length < object->size - offset ? (size_t)length : object->size - (size_t)offset;
    state->data = malloc(state->size + 1);
    memcpy(state->data, object->data + offset, state->size);
    state->owned = true;
    if (state->store->damaged_gets > 0) {
        state->store->damaged_gets--;
        state->data[state->size / 2] ^= 1;
    }
}

/* Is the body refused because its MD5 is not known beforehand? */
static inline bool fake_wants_md5(struct call *call, struct store *base, const struct pipe *source)
{
    if (!((struct fake_store *)base)->demands_md5 || source->md5[0] != '\0')
        return false;
    base->traits.wants_md5 = true;
    fake_fail(call, ERROR_PROTOCOL, true, "no MD5");
    return true;
}

static inline void fake_keep_acl(struct fake_call *state, const struct store_target *target)
{
    const char *name = "", *value = "";
    size_t at = 0;

    if (target->acl != NULL)
        object_meta_next(target->acl, &at, &name, &value);
    snprintf(state->acl, sizeof state->acl, "%s", value);
}

static inline void fake_aim(struct fake_call *state, const struct store_target *target)
{
    state->size = (size_t)target->size;
    state->modified = target->modified;
    fake_copy_meta(&state->meta, target->meta);
    fake_keep_acl(state, target);
    fake_expect(state, &target->condition);
}

static inline void fake_store_put(struct store *base, struct call *call, const struct store_target *target,
                                  struct pipe *source)
{
    struct fake_call *state = fake_begin(base, call, FAKE_PUT, target->key);

    fake_aim(state, target);
    state->pipe = source;
    state->data = malloc(state->size + 1);
    state->owned = true;
    fake_wants_md5(call, base, source);
}

/* The bucket that the destination's credentials see by the source's name. */
static inline struct fake_store *fake_seen(struct store *to, struct store *from)
{
    struct fake_store *other = ((struct fake_store *)to)->other_view;

    return other != NULL ? other : (struct fake_store *)from;
}

static inline void fake_store_peek(struct store *base, struct call *call, const struct store_source *from)
{
    fake_begin(base, call, FAKE_PEEK, from->key)->store = fake_seen(base, from->store);
}

static inline void fake_store_copy(struct store *base, struct call *call, const struct store_target *target,
                                   const struct store_source *from)
{
    struct fake_call *state = fake_begin(base, call, FAKE_COPY, target->key);
    struct fake_object *object = fake_get_object(fake_seen(base, from->store), from->key);

    fake_expect(state, &target->condition);
    fake_keep_acl(state, target);
    if (object == NULL) {
        fake_fail(call, ERROR_NOT_FOUND, false, "copy");
    } else if (!((struct fake_store *)base)->ignores_versions && from->version[0] != '\0' &&
               strcmp(from->version, object->version) != 0) {
        fake_fail(call, ERROR_PRECONDITION, false, "copy");
    } else {
        state->data = malloc(object->size + 1);
        memcpy(state->data, object->data, object->size);
        state->owned = true;
        state->size = object->size;
        fake_copy_meta(&state->meta, &object->meta);
    }
}

static inline void fake_store_begin(struct store *base, struct call *call, const struct store_target *target)
{
    fake_aim(fake_begin(base, call, FAKE_BEGIN, target->key), target);
}

static inline void fake_store_part(struct upload *base, struct call *call, const struct store_part *part,
                                   struct pipe *source)
{
    struct fake_upload *upload = (struct fake_upload *)base;
    struct fake_call *state = fake_begin(base->store, call, FAKE_PART, upload->key);

    state->upload = upload;
    state->pipe = source;
    state->data = upload->data + part->offset;
    state->size = (size_t)part->size;
    fake_wants_md5(call, base->store, source);
}

/* What the last part of such an upload shows. */
static inline void fake_copied_whole(struct store *base, struct call *call)
{
    base->traits.whole_parts = true;
    fake_fail(call, ERROR_UNSUPPORTED, false, "part copy");
}

static inline void fake_store_part_copy(struct upload *base, struct call *call, const struct store_part *part,
                                        const struct store_source *from)
{
    struct fake_store *source = (struct fake_store *)from->store;
    struct fake_object *object = fake_get_object(source, from->key);
    struct fake_upload *upload = (struct fake_upload *)base;

    fake_begin(base->store, call, FAKE_PART_COPY, from->key);
    if (part->number == 1)
        upload->part_size = part->size;
    if (object == NULL)
        fake_fail(call, ERROR_NOT_FOUND, false, "part copy");
    else if (strcmp(from->version, object->version) != 0)
        fake_fail(call, ERROR_PRECONDITION, false, "part copy");
    else if (part->number > 1 && part->size < upload->part_size &&
             ((struct fake_store *)base->store)->ignores_ranges)
        fake_copied_whole(base->store, call);
    else if (!((struct fake_store *)base->store)->ignores_ranges)
        memcpy(upload->data + part->offset, object->data + part->offset, (size_t)part->size);
}

static inline void fake_store_finish(struct upload *base, struct call *call)
{
    struct fake_upload *upload = (struct fake_upload *)base;
    struct fake_call *state = fake_begin(base->store, call, FAKE_FINISH, upload->key);

    state->upload = upload;
    state->when = upload->when;
    memcpy(state->version, upload->version, sizeof state->version);
}

static inline void fake_upload_free(struct fake_upload *upload)
{
    ((struct fake_store *)upload->base.store)->open_uploads--;
    free(upload->data);
    object_meta_free(&upload->meta);
    free(upload);
}

static inline void fake_store_abort(struct upload *base, struct call *call)
{
    struct fake_upload *upload = (struct fake_upload *)base;

    fake_begin(base->store, call, FAKE_ABORT, upload->key);
    fake_upload_free(upload);
}

/* ---- answers ---- */

/* Moves bytes between the call and its pipe; true when all have moved. */
static inline bool fake_stream(struct call *call, struct fake_call *state)
{
    bool breaks = state->fault != NULL && !state->fault->happens;
    size_t limit = breaks && state->fault->after < state->size ? state->fault->after : state->size;

    if (state->op == FAKE_GET)
        state->at += pipe_write(state->pipe, state->data + state->at, limit - state->at);
    else
        state->at += pipe_read(state->pipe, state->data + state->at, limit - state->at);
    if (breaks && state->at == limit)
        fake_fail(call, state->fault->kind, state->fault->again, "stream");
    return state->at == state->size && !call->done;
}

static inline void fake_answer_object(struct call *call, struct fake_call *state)
{
    struct fake_object *object = fake_get_object(state->store, state->key);

    if (object == NULL) {
        fake_fail(call, ERROR_NOT_FOUND, false, "object");
        return;
    }
    if (state->op == FAKE_READ)
        buf_append(&call->body, object->data, object->size);
    if (state->op == FAKE_TAGS)
        object_meta_add(&call->meta, "tagging", "a=b");
    if (state->op == FAKE_ACL && object->acl[0] != '\0')
        object_meta_add(&call->meta, "grant", object->acl);
    if (state->op == FAKE_HEAD || state->op == FAKE_PEEK || state->op == FAKE_READ)
        fake_describe(call, object);
}

static inline void fake_answer_stored(struct call *call, struct fake_call *state)
{
    struct fake_object *object = fake_put_bytes(
        state->store, state->key, state->data, state->size,
        state->modified != CLOCK_UNKNOWN && state->op == FAKE_PUT ? state->modified : state->store->now);

    fake_copy_meta(&object->meta, &state->meta);
    memcpy(object->acl, state->acl, sizeof object->acl);
    fake_name(state->store, object, &call->info.version, &call->info.hash);
}

static inline void fake_answer_begin(struct call *call, const struct fake_call *state)
{
    struct fake_upload *upload = calloc(1, sizeof *upload);

    upload->base.store = &state->store->base;
    snprintf(upload->key, sizeof upload->key, "%s", state->key);
    upload->data = calloc(1, state->size + 1);
    upload->size = state->size;
    upload->modified = state->modified;
    upload->when = state->when;
    memcpy(upload->version, state->version, sizeof upload->version);
    object_meta_init(&upload->meta);
    fake_copy_meta(&upload->meta, &state->meta);
    memcpy(upload->acl, state->acl, sizeof upload->acl);
    state->store->open_uploads++;
    call->upload = &upload->base;
}

static inline void fake_answer_finish(struct fake_call *state)
{
    struct fake_upload *upload = state->upload;
    struct fake_object *object =
        fake_put_bytes(state->store, upload->key, upload->data, upload->size, state->store->now);

    fake_copy_meta(&object->meta, &upload->meta);
    memcpy(object->acl, upload->acl, sizeof object->acl);
    fake_upload_free(upload);
}

/* May it write? */
static inline bool fake_holds(const struct fake_call *state)
{
    const struct fake_object *object = fake_get_object(state->store, state->key);

    if (state->when == STORE_IF_ABSENT)
        return state->store->create_is_put || object == NULL;
    if (state->when == STORE_IF_VERSION &&
        (state->store->misjudges_versions || (state->store->misjudges_quotes && !state->bare)))
        return false;
    return state->when == STORE_ALWAYS || (object != NULL && strcmp(object->version, state->version) == 0);
}

static inline void fake_answer(struct call *call, struct fake_call *state)
{
    if (state->op != FAKE_BEGIN && !fake_holds(state)) {
        fake_fail(call, ERROR_PRECONDITION, false, "condition");
        return;
    }
    switch (state->op) {
    case FAKE_READ:
    case FAKE_HEAD:
    case FAKE_PEEK:
    case FAKE_TAGS:
    case FAKE_ACL:
        fake_answer_object(call, state);
        break;
    case FAKE_WRITE:
    case FAKE_PUT:
    case FAKE_COPY:
        fake_answer_stored(call, state);
        break;
    case FAKE_REMOVE:
        fake_drop_object(state->store, state->key);
        break;
    case FAKE_BEGIN:
        fake_answer_begin(call, state);
        break;
    case FAKE_FINISH:
        fake_answer_finish(state);
        break;
    case FAKE_GET:
        if (state->pipe->must != NULL && !pipe_matches(state->pipe, state->pipe->must)) {
            fake_fail(call, ERROR_PROTOCOL, true, "damaged");
            return;
        }
        state->pipe->closed = true;
        break;
    default:
        break;
    }
    call->done = true;
}

static inline bool fake_step(struct call *call)
{
    struct fake_call *state = call->impl;
    bool streams = state->op == FAKE_GET || state->op == FAKE_PUT || state->op == FAKE_PART;
    size_t before = state->at;

    if (call->done || state->store->never_answers ||
        (state->store->held != NULL && strcmp(state->store->held, state->key) == 0))
        return false;
    if (state->latency > 0) {
        state->latency--;
        return true;
    }
    if (state->fault != NULL && !state->fault->happens && (!streams || state->fault->after == 0)) {
        fake_fail(call, state->fault->kind, state->fault->again, "fault");
        return true;
    }
    if (state->op == FAKE_GET && !call->head_known) {
        struct fake_object *object = fake_get_object(state->store, state->key);

        if (object != NULL)
            fake_describe(call, object);
    }
    if (streams && !(state->op == FAKE_PUT && state->store->puts_early) && !fake_stream(call, state))
        return call->done || state->at != before;
    fake_answer(call, state);
    if (state->fault != NULL && state->fault->happens)
        fake_fail(call, state->fault->kind, state->fault->again, "fault");
    return true;
}

static inline void fake_cancel(struct call *call, const struct error *why)
{
    call->error = *why;
    call->done = true;
}

static inline void fake_release(struct call *call)
{
    fake_call_drop(call->impl);
    free(call->impl);
    call->impl = NULL;
}

static inline void fake_close(struct store *base)
{
    struct fake_store *store = (struct fake_store *)base;

    while (store->count > 0)
        fake_drop_object(store, store->objects[store->count - 1].key);
    free(store);
}

static inline bool fake_can_copy(const struct store *from, const struct store *to)
{
    return ((const struct fake_store *)from)->copies && ((const struct fake_store *)to)->copies;
}

static inline bool fake_sees(const struct store *to, const struct store *from)
{
    (void)from;
    return ((const struct fake_store *)to)->other_view == NULL;
}

/* `loop` may be NULL where nobody waits. */
static inline struct fake_store *fake_new(const char *name, struct loop *loop)
{
    static const struct store_ops ops = {
        .scheme = "fake",
        .close = fake_close,
        .can_copy = fake_can_copy,
        .list = fake_store_list,
        .read = fake_store_read,
        .write = fake_store_write,
        .head = fake_store_head,
        .remove = fake_store_remove,
        .tags = fake_store_tags,
        .acl = fake_store_acl,
        .get = fake_store_get,
        .put = fake_store_put,
        .copy = fake_store_copy,
        .sees = fake_sees,
        .peek = fake_store_peek,
        .upload_begin = fake_store_begin,
        .upload_part = fake_store_part,
        .upload_copy = fake_store_part_copy,
        .upload_finish = fake_store_finish,
        .upload_abort = fake_store_abort,
        .step = fake_step,
        .cancel = fake_cancel,
        .release = fake_release,
    };
    struct fake_store *store = calloc(1, sizeof *store);

    store->base.ops = &ops;
    store->base.loop = loop;
    store->base.traits.put_max = store->base.traits.copy_max = UINT64_C(1) << 40;
    store->base.traits.part_min = 1;
    store->base.traits.part_copy = UINT64_C(512) * 1024 * 1024;
    store->base.traits.part_count_max = 10000;
    store->now = 5000;
    snprintf(store->base.name, sizeof store->base.name, "%s", name);
    snprintf(store->base.url, sizeof store->base.url, "fake://%s", name);
    return store;
}

#endif
