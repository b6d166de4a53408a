/* "Objects: get", "insert" and "delete", Cloud Storage JSON API reference: one object. What an object is sent with
 * does not tell its metadata, so to get one takes two requests, the second of which asks for the generation that the
 * first one showed. */
#include "gcs_internal.h"

#include "digest.h"
#include "hash.h"
#include "random.h"

#include <stdio.h>
#include <string.h>

/* ---- reading ---- */

static enum http_verdict gcs_media_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    (void)root;
    (void)error;
    return exchange_finish_object(&c->base);
}

/* A generation that was there, and is not any more, has been replaced or removed: whoever wanted it looks again. */
static bool gcs_media_failed(struct gcs_call *c, struct error *error)
{
    if (error->kind != ERROR_NOT_FOUND || strstr(buf_str(&c->target), "&generation=") == NULL)
        return false;
    error_set(error, ERROR_PRECONDITION, "it has changed meanwhile");
    return true;
}

static const struct gcs_operation gcs_read_operation = {
    .base = {.method = "GET", .doing = "reading", .answer = EXCHANGE_OBJECT},
    .size = sizeof(struct gcs_call),
    .permission = "storage.objects.get",
    .failed = gcs_media_failed,
    .answered = gcs_media_answered,
};

static void gcs_media_target(struct gcs_call *c, const char *version)
{
    gcs_target(c, "/storage/v1/b/", c->store, c->base.key);
    gcs_target_query(c, NULL);
    gcs_param(c, "alt", "media");
    gcs_param_version(c, "generation", NULL, version);
}

void gcs_read(struct store *store, struct call *call, const char *key)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_read_operation, key);

    if (c == NULL)
        return;
    gcs_media_target(c, "");
    gcs_submit(c);
}

/* ---- all of an object, with its metadata ---- */

struct gcs_get_call {
    struct gcs_call base;
    struct object_info info; /* what its resource says */
    struct object_meta meta;
};

/* What was known of the object before its bytes were asked for. */
static void gcs_whole_prepare(struct gcs_call *c)
{
    struct gcs_get_call *get = (struct gcs_get_call *)c;
    const char *name, *value;
    size_t at = 0;

    c->base.call->info = get->info;
    while (object_meta_next(&get->meta, &at, &name, &value))
        object_meta_add(&c->base.call->meta, name, value);
}

static void gcs_get_release(struct gcs_call *c)
{
    object_meta_free(&((struct gcs_get_call *)c)->meta);
}

static const struct gcs_operation gcs_whole_operation = {
    .base = {.method = "GET", .doing = "reading", .answer = EXCHANGE_OBJECT},
    .size = sizeof(struct gcs_get_call),
    .permission = "storage.objects.get",
    .prepare = gcs_whole_prepare,
    .failed = gcs_media_failed,
    .answered = gcs_media_answered,
    .release = gcs_get_release,
};

/* The resource has come: is it the version that is wanted? Then its bytes are asked for. */
static enum http_verdict gcs_get_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_get_call *get = (struct gcs_get_call *)c;
    struct object_info *info = &c->base.call->info;
    const char *wanted = c->base.wanted;

    if (!gcs_resource_info(c, root, error) || !gcs_resource_meta(root, &get->meta, error))
        return HTTP_DONE;
    if (wanted[0] != '\0' && strcmp(wanted, info->version) != 0) {
        error_set(error, ERROR_PRECONDITION, "it has changed meanwhile");
        return HTTP_DONE;
    }
    get->info = *info;
    c->resource_known = true;
    memcpy(c->base.wanted, info->version, sizeof c->base.wanted);
    exchange_go_on(&c->base, &gcs_whole_operation.base);
    buf_clear(&c->target);
    gcs_media_target(c, info->version);
    return HTTP_DONE;
}

static void gcs_get_prepare(struct gcs_call *c)
{
    object_meta_clear(&((struct gcs_get_call *)c)->meta);
}

static const struct gcs_operation gcs_get_operation = {
    .base = {.method = "GET", .doing = "reading"},
    .size = sizeof(struct gcs_get_call),
    .permission = "storage.objects.get",
    .json = true,
    .prepare = gcs_get_prepare,
    .answered = gcs_get_answered,
    .release = gcs_get_release,
};

static void gcs_resource_target(struct gcs_call *c)
{
    gcs_target(c, "/storage/v1/b/", c->store, c->base.key);
    gcs_target_query(c, NULL);
    gcs_param(c, "fields", GCS_FIELDS);
}

static void gcs_get_whole(const struct store_source *from, struct call *call, struct pipe *sink)
{
    struct gcs_call *c = gcs_begin(from->store, call, &gcs_get_operation, from->key);

    if (c == NULL)
        return;
    object_meta_init(&((struct gcs_get_call *)c)->meta);
    memcpy(c->base.wanted, from->version, strlen(from->version) + 1);
    exchange_receive(&c->base, sink, 0, UINT64_MAX);
    gcs_resource_target(c);
    gcs_submit(c);
}

void gcs_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
             struct pipe *sink)
{
    struct gcs_call *c;

    if (offset == 0 && length == UINT64_MAX) {
        gcs_get_whole(from, call, sink);
        return;
    }
    c = gcs_begin(from->store, call, &gcs_read_operation, from->key);
    if (c == NULL)
        return;
    memcpy(c->base.wanted, from->version, strlen(from->version) + 1);
    exchange_receive(&c->base, sink, offset, length);
    gcs_media_target(c, from->version);
    gcs_submit(c);
}

/* ---- looking ---- */

static enum http_verdict gcs_head_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct call *call = c->base.call;

    object_meta_clear(&call->meta);
    call->head_known = gcs_resource_info(c, root, error) && gcs_resource_meta(root, &call->meta, error);
    return HTTP_DONE;
}

static const struct gcs_operation gcs_head_operation = {
    .base = {.method = "GET", .doing = "looking at"},
    .size = sizeof(struct gcs_call),
    .permission = "storage.objects.get",
    .json = true,
    .answered = gcs_head_answered,
};

void gcs_look(const struct store_source *from, struct call *call)
{
    struct gcs_call *c = gcs_begin(from->store, call, &gcs_head_operation, from->key);

    if (c == NULL)
        return;
    gcs_resource_target(c);
    gcs_param(c, "generation", from->past);
    gcs_submit(c);
}

struct gcs_past_call {
    struct gcs_call base;
    char wanted[OBJECT_VERSION_SIZE];
};

/* Of a version, the generation is enough to find it: what is behind the dot changes with the metadata. */
static bool is_of_generation(const char *version, const char *wanted)
{
    return strncmp(version, wanted, strcspn(wanted, ".") + 1) == 0;
}

static enum http_verdict gcs_past_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct call *call = c->base.call;

    buf_clear(&call->body);
    if (!gcs_resource_info(c, root, error))
        return HTTP_DONE;
    if (!is_of_generation(call->info.version, ((struct gcs_past_call *)c)->wanted))
        error_set(error, ERROR_PROTOCOL, "the answer is about another version of the object");
    else if (!buf_puts(&call->body, json_text(root, "generation", "")))
        error_set(error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

static const struct gcs_operation gcs_past_operation = {
    .base = {.method = "GET", .doing = "looking for a version of"},
    .size = sizeof(struct gcs_past_call),
    .permission = "storage.objects.get",
    .json = true,
    .answered = gcs_past_answered,
};

void gcs_find_past(struct store *store, struct call *call, const struct object_entry *entry)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_past_operation, entry->key);

    if (c == NULL)
        return;
    memcpy(((struct gcs_past_call *)c)->wanted, entry->version, sizeof entry->version);
    gcs_resource_target(c);
    gcs_param_version(c, "generation", NULL, entry->version);
    gcs_submit(c);
}

/* "Object Versioning": a field of the bucket's own resource. */
static enum http_verdict gcs_keeps_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    (void)c;
    if (!json_flag(yyjson_obj_get(root, "versioning"), "enabled", false))
        store_refuse_past(error);
    return HTTP_DONE;
}

static const struct gcs_operation gcs_keeps_operation = {
    .base = {.method = "GET", .doing = "asking whether versions are kept"},
    .size = sizeof(struct gcs_call),
    .permission = "storage.buckets.get",
    .about_bucket = true,
    .json = true,
    .answered = gcs_keeps_answered,
};

void gcs_keeps_past(struct store *store, struct call *call)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_keeps_operation, "");

    if (c == NULL)
        return;
    buf_printf(&c->target, "%s/storage/v1/b/", c->store->endpoint.path);
    uri_encode(&c->target, c->store->bucket, "");
    gcs_target_query(c, NULL);
    gcs_param(c, "fields", "versioning");
    gcs_submit(c);
}

void gcs_head(struct store *store, struct call *call, const char *key)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_head_operation, key);

    if (c == NULL)
        return;
    gcs_resource_target(c);
    gcs_submit(c);
}

/* ---- writing ---- */

enum http_verdict gcs_answered_receipt(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    uint64_t sent = c->base.source != NULL ? c->base.length : c->base.call->info.size;

    if (!gcs_resource_info(c, root, error))
        return HTTP_DONE;
    if (c->base.source != NULL && c->base.call->info.size != sent)
        error_set(error, ERROR_PROTOCOL, "the service has %llu bytes of the %llu that were sent",
                  (unsigned long long)c->base.call->info.size, (unsigned long long)sent);
    else if (!exchange_check_stored(&c->base, error))
        return exchange_retry(&c->base, HTTP_RETRY);
    return HTTP_DONE;
}

/* To replace an object is to delete it ("IAM permissions for JSON methods"). */
static const struct gcs_operation gcs_write_operation = {
    .base = {.method = "POST", .doing = "writing"},
    .size = sizeof(struct gcs_call),
    .permission = "storage.objects.create, and storage.objects.delete to replace one",
    .json = true,
    .answered = gcs_answered_receipt,
};

/* "Multipart uploads": the resource and the bytes in one request. Returns with the payload up to where the bytes
 * begin, and the tail behind them. False: the call is over. */
static bool gcs_begin_multipart(struct gcs_call *c, const struct object_meta *meta, const char *md5,
                                const struct store_condition *condition)
{
    const char *type = object_meta_get(meta, "content-type");
    unsigned char random[16];
    char boundary[2 * sizeof random + 1], field[80];
    struct buf *payload = &c->base.payload;
    struct error error;

    if (!gcs_check_key(c))
        return false;
    gcs_target(c, "/upload/storage/v1/b/", c->store, NULL);
    gcs_target_query(c, NULL);
    gcs_param(c, "uploadType", "multipart");
    gcs_param(c, "name", c->base.key);
    gcs_param(c, "fields", GCS_FIELDS);
    gcs_param_condition(c, condition);
    random_bytes(random, sizeof random);
    hash_hex(random, sizeof random, boundary);
    snprintf(field, sizeof field, "multipart/related; boundary=%s", boundary);
    exchange_field(&c->base, "content-type", field);
    buf_printf(payload, "--%s\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n", boundary);
    if (!gcs_write_resource(meta, md5, payload, &error)) {
        gcs_refuse(c, &error);
        return false;
    }
    buf_printf(payload, "\r\n--%s\r\nContent-Type: %s\r\n\r\n", boundary,
               type != NULL && exchange_is_field_value(type) ? type : "application/octet-stream");
    buf_printf(&c->base.tail, "\r\n--%s--\r\n", boundary);
    return true;
}

/* Publicly readable objects are kept in caches, unless they say otherwise. */
static bool gcs_state_meta(struct object_meta *meta)
{
    object_meta_init(meta);
    return object_meta_add(meta, "content-type", "application/json") &&
           object_meta_add(meta, "cache-control", "no-store");
}

void gcs_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
               const struct store_condition *condition)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_write_operation, key);
    char md5[DIGEST_HEX_SIZE];
    struct object_meta meta;

    if (c == NULL)
        return;
    c->base.once = call->once;
    digest_of(data, len, md5);
    gcs_state_meta(&meta);
    if (gcs_begin_multipart(c, &meta, md5, condition)) {
        buf_append(&c->base.payload, data, len);
        buf_append(&c->base.payload, buf_str(&c->base.tail), c->base.tail.len);
        buf_clear(&c->base.tail);
        gcs_submit(c);
    }
    object_meta_free(&meta);
}

void gcs_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source)
{
    struct gcs_call *c = gcs_begin(to, call, &gcs_write_operation, target->key);

    if (c == NULL)
        return;
    exchange_send(&c->base, source, target->size);
    if (target->size == 0)
        digest_of("", 0, source->md5);
    if (!gcs_begin_multipart(c, target->meta, source->md5, &target->condition))
        return;
    gcs_param_acl(c, "predefinedAcl", target);
    gcs_submit(c);
}

/* ---- removing ---- */

static bool gcs_is_removed(struct gcs_call *c, struct error *error)
{
    (void)c;
    if (error->kind != ERROR_NOT_FOUND)
        return false;
    error_clear(error);
    return true;
}

static const struct gcs_operation gcs_remove_operation = {
    .base = {.method = "DELETE", .doing = "removing"},
    .size = sizeof(struct gcs_call),
    .permission = "storage.objects.delete",
    .failed = gcs_is_removed,
};

void gcs_remove(struct store *store, struct call *call, const char *key,
                const struct store_condition *condition)
{
    struct gcs_call *c = gcs_begin(store, call, &gcs_remove_operation, key);

    if (c == NULL)
        return;
    gcs_target(c, "/storage/v1/b/", c->store, key);
    gcs_target_query(c, NULL);
    gcs_param_condition(c, condition);
    c->base.once = false; /* that it was removed already is no reason against trying again */
    gcs_submit(c);
}
