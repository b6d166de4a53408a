#include "store.h"

#include "clock.h"
#include "store_ops.h"

#include <stdio.h>
#include <string.h>

/* ---- calls ---- */

void call_init(struct call *call)
{
    *call = (struct call){.done = true, .info = {.modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN}};
    object_meta_init(&call->meta);
    buf_init(&call->body, STORE_SMALL_MAX);
}

static void call_release(struct call *call)
{
    if (call->impl != NULL)
        call->ops->release(call);
    call->impl = NULL;
}

void call_free(struct call *call)
{
    struct error why;

    error_set(&why, ERROR_INTERRUPTED, "no longer wanted");
    call_cancel(call, &why);
    call_release(call);
    object_meta_free(&call->meta);
    buf_free(&call->body);
}

void call_cancel(struct call *call, const struct error *why)
{
    if (!call->done)
        call->ops->cancel(call, why);
}

/* Makes the call ready for an operation of `store`. call->upload stays: its owner may still be using it. */
static void call_begin(struct call *call, struct store *store)
{
    call_release(call);
    call->done = false;
    error_clear(&call->error);
    call->again = false;
    call->lost = false;
    call->head_known = false;
    call->info = (struct object_info){.modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN};
    object_meta_clear(&call->meta);
    buf_clear(&call->body);
    call->store = store;
    call->ops = store->ops;
    call->loop = store->loop;
}

/* The same for an operation on a key. False, and the call is over, for a key that no store has. */
static bool call_begin_key(struct call *call, struct store *store, const char *key)
{
    size_t len = strnlen(key, OBJECT_KEY_MAX + 1);

    call_begin(call, store);
    if (len > 0 && len <= OBJECT_KEY_MAX)
        return true;
    error_set(&call->error, ERROR_UNSUPPORTED, "%s: a key has 1 to %d bytes, not %s%zu", store->name,
              OBJECT_KEY_MAX, len == 0 ? "" : "at least ", len);
    call->done = true;
    return false;
}

static void call_unsupported(struct call *call, const struct store *store, const char *what)
{
    error_set(&call->error, ERROR_UNSUPPORTED, "%s: %s is not supported", store->name, what);
    call->done = true;
}

/* ---- opening ---- */

void store_close(struct store *store)
{
    if (store != NULL)
        store->ops->close(store);
}

const char *store_name(const struct store *store)
{
    return store->name;
}

const char *store_url(const struct store *store)
{
    return store->url;
}

void store_take_side(struct store *store, const struct side *side)
{
    store->side = side;
}

void store_blame(const struct store *store, struct error *error)
{
    const struct side *side = store->side;
    char place[SETTINGS_PLACE_SIZE];

    if (side == NULL) {
        error_prefix(error, "%s: ", store->name);
        return;
    }
    error_prefix(error, "%s %s (%s): ", side->role, store->name, settings_place(side, &side->bucket, place));
    error->side = side->role;
}

void store_name_place(const char *place, struct error *error)
{
    size_t len = strlen(error->text);

    if (*place != '\0')
        snprintf(error->text + len, sizeof error->text - len, " (%s)", place);
}

void store_name_setting(const struct side *side, const void *field, struct error *error)
{
    char place[SETTINGS_PLACE_SIZE];

    store_name_place(settings_place(side, field, place), error);
}

const struct store_traits *store_traits(const struct store *store)
{
    return &store->traits;
}

struct loop *store_loop(const struct store *store)
{
    return store->loop;
}

void store_wake(const struct store *store, int64_t at)
{
    loop_wake(store->loop, at);
}

/* ---- two stores ---- */

bool store_same(const struct store *a, const struct store *b)
{
    if (a->ops != b->ops)
        return false;
    return a->ops->same != NULL ? a->ops->same(a, b) : strcmp(a->url, b->url) == 0;
}

bool store_can_copy(const struct store *from, const struct store *to)
{
    return from->ops == to->ops && to->ops->can_copy != NULL && to->ops->can_copy(from, to);
}

bool store_sees(const struct store *to, const struct store *from)
{
    return from->ops == to->ops && (to->ops->sees == NULL || to->ops->sees(to, from));
}

bool store_check_pair(const struct store *source, const struct store *destination, struct error *error)
{
    if (source->ops != destination->ops || source->ops->check_pair == NULL)
        return true;
    return source->ops->check_pair(source, destination, error);
}

/* ---- operations ---- */

static const struct store_condition always = {.when = STORE_ALWAYS};

void store_read(struct store *store, struct call *call, const char *key)
{
    if (call_begin_key(call, store, key))
        store->ops->read(store, call, key);
}

void store_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
                 const struct store_condition *condition)
{
    if (call_begin_key(call, store, key))
        store->ops->write(store, call, key, data, len, condition != NULL ? condition : &always);
}

enum store_finding store_probe(struct store *store, const struct call *call)
{
    switch (call->error.kind) {
    case ERROR_PRECONDITION:
        store->traits.if_absent = true;
        return STORE_HOLDS;
    case ERROR_NONE:
    case ERROR_UNSUPPORTED:
        return STORE_LACKS;
    default:
        return STORE_UNSURE;
    }
}

void store_head(struct store *store, struct call *call, const char *key)
{
    if (call_begin_key(call, store, key))
        store->ops->head(store, call, key);
}

void store_remove_if(struct store *store, struct call *call, const char *key,
                     const struct store_condition *condition)
{
    if (call_begin_key(call, store, key))
        store->ops->remove(store, call, key, condition);
}

void store_remove(struct store *store, struct call *call, const char *key)
{
    store_remove_if(store, call, key, &always);
}

void store_tags(struct store *store, struct call *call, const char *key)
{
    if (!call_begin_key(call, store, key))
        return;
    if (store->ops->tags != NULL)
        store->ops->tags(store, call, key);
    else
        call_unsupported(call, store, "reading tags");
}

bool store_shares_acls(const struct store *from, const struct store *to)
{
    return from->ops == to->ops && to->ops->acl != NULL;
}

void store_acl(struct store *store, struct call *call, const char *key)
{
    call_begin(call, store);
    if (store->ops->acl != NULL)
        store->ops->acl(store, call, key);
    else
        call_unsupported(call, store, "reading ACLs");
}

void store_refuse_past(struct error *error)
{
    error_set(error, ERROR_UNSUPPORTED,
              "the bucket keeps no versions: turn versioning on, or set keep_previous = copies");
}

void store_keeps_past(struct store *store, struct call *call)
{
    call_begin(call, store);
    if (store->ops->keeps_past != NULL)
        store->ops->keeps_past(store, call);
    else
        call_unsupported(call, store, "keeping versions");
}

void store_find_past(struct store *store, struct call *call, const struct object_entry *entry)
{
    if (!call_begin_key(call, store, entry->key))
        return;
    if (store->ops->find_past != NULL)
        store->ops->find_past(store, call, entry);
    else
        call_unsupported(call, store, "keeping versions");
}

void store_look(const struct store_source *from, struct call *call)
{
    if (!call_begin_key(call, from->store, from->key))
        return;
    if (from->past != NULL && from->store->ops->look != NULL)
        from->store->ops->look(from, call);
    else
        from->store->ops->head(from->store, call, from->key);
}

void store_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
               struct pipe *sink)
{
    if (call_begin_key(call, from->store, from->key))
        from->store->ops->get(from, call, offset, length, sink);
}

void store_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source)
{
    if (call_begin_key(call, to, target->key))
        to->ops->put(to, call, target, source);
}

void store_copy(struct store *to, struct call *call, const struct store_target *target,
                const struct store_source *from)
{
    if (!call_begin_key(call, to, target->key))
        return;
    if (to->ops->copy != NULL && from->store->ops == to->ops)
        to->ops->copy(to, call, target, from);
    else
        call_unsupported(call, to, "copying inside the service");
}

void store_peek(struct store *to, struct call *call, const struct store_source *from)
{
    if (!call_begin_key(call, to, from->key))
        return;
    if (to->ops->peek != NULL && from->store->ops == to->ops)
        to->ops->peek(to, call, from);
    else
        call_unsupported(call, to, "looking into another bucket");
}

void store_upload_begin(struct store *to, struct call *call, const struct store_target *target)
{
    call->upload = NULL;
    if (call_begin_key(call, to, target->key))
        to->ops->upload_begin(to, call, target);
}

void store_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                       struct pipe *source)
{
    call_begin(call, upload->store);
    upload->store->ops->upload_part(upload, call, part, source);
}

void store_upload_copy(struct upload *upload, struct call *call, const struct store_part *part,
                       const struct store_source *from)
{
    struct store *to = upload->store;

    if (!call_begin_key(call, to, from->key))
        return;
    if (to->ops->upload_copy != NULL && from->store->ops == to->ops)
        to->ops->upload_copy(upload, call, part, from);
    else
        call_unsupported(call, to, "copying inside the service");
}

void store_upload_finish(struct upload *upload, struct call *call)
{
    call_begin(call, upload->store);
    upload->store->ops->upload_finish(upload, call);
}

void store_upload_abort(struct upload *upload, struct call *call)
{
    call_begin(call, upload->store);
    upload->store->ops->upload_abort(upload, call);
}

void store_list(struct store *store, struct call *call, const struct store_range *range,
                struct store_page *page)
{
    call_begin(call, store);
    store->ops->list(store, call, range, page);
}

bool store_step(struct call *call)
{
    return !call->done && call->ops->step != NULL && call->ops->step(call);
}

bool store_wait(struct call *call)
{
    struct error why;

    while (!call->done)
        if (!loop_turn(call->loop, store_step(call), INT64_MAX, &why))
            call_cancel(call, &why);
    return call->error.kind == ERROR_NONE;
}

/* One turn of store_wait_for, which a stop makes shorter. */
static void turn_within(struct call *call, int64_t *until, bool *stopped)
{
    bool moved = store_step(call);
    struct error why;

    if (*stopped) {
        loop_tidy(call->loop, moved, *until);
    } else if (!loop_turn(call->loop, moved, *until, &why)) {
        int64_t now = clock_mono();

        *stopped = true;
        *until = *until - now < STORE_TIDY_MAX ? *until : now + STORE_TIDY_MAX;
    }
}

bool store_wait_for(struct call *call, int64_t limit)
{
    int64_t until = clock_mono() + limit;
    bool stopped = false;
    struct error why;

    while (!call->done && clock_mono() < until)
        turn_within(call, &until, &stopped);
    if (!call->done) {
        error_set(&why, ERROR_TIMEOUT, "no answer within the %lld ms that it may take",
                  (long long)(stopped ? STORE_TIDY_MAX : limit));
        call_cancel(call, &why);
    }
    return call->error.kind == ERROR_NONE;
}
