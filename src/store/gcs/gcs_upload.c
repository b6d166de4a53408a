/*
 * "Resumable uploads", Cloud Storage documentation: an object in parts, which the service puts one behind the other.
 *
 * The last part makes the object: so the session begins with the MD5 that all of it must have, where that is known,
 * and the finish has nothing left to ask. The service may keep less of a part than it was sent, and a connection may
 * break: then the part is sent again, and first the service says from where on. Bytes that it has already are taken
 * out of the pipe and dropped. A session may be gone (404, 410), or have less than all parts before this one: the
 * upload is lost then and begins anew.
 *
 * The address of a session is all that one needs to write to it: it is never logged, and no credentials are sent
 * there.
 */
#include "gcs_internal.h"

#include "hash.h"
#include "log.h"
#include "text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SESSION_EXPIRES "the service drops it after a week"

/* An upload in parts. */
struct gcs_upload {
    struct upload base;
    char key[OBJECT_KEY_MAX + 1];
    uint64_t size;
    struct buf session; /* path and query of its address */
    bool unsure;        /* a part has failed: how much the service has is not known */
    bool finished;      /* it is an object */
    struct object_info info;
};

struct gcs_upload_call {
    struct gcs_call base;
    struct gcs_upload *upload;
    struct buf location;
    struct store_part part;
    struct pipe *source;
    uint64_t skip; /* bytes of the part that the service has, and that are still to come out of the pipe */
    bool lost;
};

static struct gcs_upload_call *gcs_upload_call(struct gcs_call *c)
{
    return (struct gcs_upload_call *)c;
}

static void gcs_upload_free(struct gcs_upload *upload)
{
    if (upload == NULL)
        return;
    buf_free(&upload->session);
    free(upload);
}

/* NULL: the call is over. */
static struct gcs_call *gcs_upload_call_begin(struct gcs_upload *upload, struct call *call,
                                              const struct gcs_operation *operation)
{
    struct gcs_call *c = gcs_begin(upload->base.store, call, operation, upload->key);

    if (c != NULL)
        gcs_upload_call(c)->upload = upload;
    return c;
}

static void gcs_upload_conclude(struct gcs_call *c)
{
    struct error none = {.kind = ERROR_NONE};

    gcs_refuse(c, &none);
}

/* ---- beginning ---- */

/* What follows the host: our own requests go to the host that we know. */
static enum http_verdict gcs_begin_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_upload_call *u = gcs_upload_call(c);
    const char *host = strstr(buf_str(&u->location), "://");
    const char *path = host != NULL ? strchr(host + 3, '/') : NULL;

    (void)root;
    if (path == NULL || u->location.failed)
        error_set(error, ERROR_PROTOCOL, "the service gave the upload no address");
    else if (!buf_puts(&u->upload->session, path))
        error_set(error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

/* It is the caller's from now on. */
static void gcs_begin_settle(struct gcs_call *c)
{
    struct gcs_upload *upload = gcs_upload_call(c)->upload;
    bool failed = c->base.request.error.kind != ERROR_NONE;

    c->base.call->upload = failed ? NULL : &upload->base;
    if (failed)
        gcs_upload_free(upload);
}

static void gcs_begin_release(struct gcs_call *c)
{
    buf_free(&gcs_upload_call(c)->location);
}

static const struct gcs_operation gcs_begin_operation = {
    .base = {.method = "POST", .doing = "beginning to write"},
    .size = sizeof(struct gcs_upload_call),
    .permission = "storage.objects.create, and storage.objects.delete to replace one",
    .answered = gcs_begin_answered,
    .settle = gcs_begin_settle,
    .release = gcs_begin_release,
};

static struct gcs_upload *gcs_upload_new(struct store *to, const struct store_target *target)
{
    struct gcs_upload *upload = calloc(1, sizeof *upload);

    if (upload == NULL)
        return NULL;
    upload->base.store = to;
    upload->size = target->size;
    snprintf(upload->key, sizeof upload->key, "%s", target->key);
    buf_init(&upload->session, HTTP_URL_MAX);
    return upload;
}

static void gcs_begin_target(struct gcs_call *c, const struct store_target *target)
{
    char length[24];

    gcs_target(c, "/upload/storage/v1/b/", c->store, NULL);
    gcs_target_query(c, NULL);
    gcs_param(c, "uploadType", "resumable");
    gcs_param(c, "name", target->key);
    gcs_param(c, "fields", GCS_FIELDS);
    gcs_param_condition(c, &target->condition);
    gcs_param_acl(c, "predefinedAcl", target);
    snprintf(length, sizeof length, "%llu", (unsigned long long)target->size);
    exchange_field(&c->base, "x-upload-content-length", length);
    exchange_field(&c->base, "content-type", "application/json; charset=UTF-8");
}

void gcs_upload_begin(struct store *to, struct call *call, const struct store_target *target)
{
    struct gcs_upload *upload = gcs_upload_new(to, target);
    struct gcs_call *c = gcs_begin(to, call, &gcs_begin_operation, target->key);
    char md5[DIGEST_HEX_SIZE] = "";
    struct error error;

    if (c == NULL) {
        gcs_upload_free(upload);
        return;
    }
    gcs_upload_call(c)->upload = upload;
    buf_init(&gcs_upload_call(c)->location, HTTP_URL_MAX);
    c->location = &gcs_upload_call(c)->location;
    if (upload == NULL) {
        exchange_submit_if(&c->base, false);
        return;
    }
    if (!gcs_check_key(c))
        return;
    if (target->hash.kind == OBJECT_HASH_MD5)
        hash_hex(target->hash.bytes, DIGEST_SIZE, md5);
    gcs_begin_target(c, target);
    if (gcs_write_resource(target->meta, md5, &c->base.payload, &error))
        gcs_submit(c);
    else
        gcs_refuse(c, &error);
}

/* ---- parts ---- */

static const struct gcs_operation gcs_part_operation;

static uint64_t gcs_part_end(const struct gcs_upload_call *u)
{
    return u->part.offset + u->part.size;
}

/* "bytes=0-N": so many bytes are kept. Without a Range: none are. */
static uint64_t gcs_kept(const struct gcs_call *c)
{
    uint64_t last;

    return text_begins(c->session, "bytes=0-") && exchange_number(c->session + 8, &last) ? last + 1 : 0;
}

/* The service has answered with what it made of all parts. */
static void gcs_upload_finished(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_upload *upload = gcs_upload_call(c)->upload;

    if (!gcs_resource_info(c, root, error))
        return;
    upload->finished = true;
    upload->info = c->base.call->info;
    if (upload->info.size != upload->size)
        error_set(error, ERROR_PROTOCOL,
                  "the service did not make one object of %llu bytes of the parts that it was sent",
                  (unsigned long long)upload->size);
}

static void gcs_upload_lost(struct gcs_call *c, struct error *error, const char *why)
{
    gcs_upload_call(c)->lost = true;
    c->base.again = true;
    error_set(error, ERROR_UNREACHABLE, "%s, so it has to begin anew", why);
}

static enum http_verdict gcs_part_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_upload_call *u = gcs_upload_call(c);
    uint64_t end = gcs_part_end(u), kept = gcs_kept(c);
    bool last = end == u->upload->size;

    if (root != NULL && last) {
        gcs_upload_finished(c, root, error);
    } else if (root != NULL) {
        error_set(error, ERROR_PROTOCOL, "the service took a part for all of it");
    } else if (kept != end || last) {
        error_set(error, ERROR_UNREACHABLE, "the service has kept %llu bytes of the %llu that it was sent",
                  (unsigned long long)kept, (unsigned long long)end);
        return exchange_retry(&c->base, HTTP_RETRY);
    }
    return HTTP_DONE;
}

/* "404: the session has expired; 410: it cannot go on" (Status codes). */
static bool gcs_part_failed(struct gcs_call *c, struct error *error)
{
    int status = c->base.request.status;

    if (status != 404 && status != 410)
        return false;
    gcs_upload_lost(c, error, "the service does not know the upload any more");
    error->status = status;
    return true;
}

static void gcs_part_settle(struct gcs_call *c)
{
    struct gcs_upload_call *u = gcs_upload_call(c);

    u->upload->unsure |= c->base.request.error.kind != ERROR_NONE;
    c->base.call->lost = u->lost;
}

static const struct gcs_operation gcs_part_operation = {
    .base = {.method = "PUT", .doing = "writing a part of"},
    .size = sizeof(struct gcs_upload_call),
    .permission = "storage.objects.create, and storage.objects.delete to replace one",
    .json = true,
    .by_session = true,
    .good = 308,
    .failed = gcs_part_failed,
    .answered = gcs_part_answered,
    .settle = gcs_part_settle,
};

/* The part, without those bytes of it that the service has. */
static void gcs_part_ask(struct gcs_call *c, uint64_t has)
{
    struct gcs_upload_call *u = gcs_upload_call(c);
    char range[80];

    exchange_send(&c->base, u->source, u->part.size - has);
    snprintf(range, sizeof range, "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, u->part.offset + has,
             gcs_part_end(u) - 1, u->upload->size);
    exchange_field(&c->base, "content-range", range);
}

/* How much does the service have? If all of this part, what is in the pipe still has to be taken out of it. */
static enum http_verdict gcs_query_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    struct gcs_upload_call *u = gcs_upload_call(c);
    uint64_t kept = gcs_kept(c);

    if (root != NULL) {
        gcs_upload_finished(c, root, error);
        kept = u->upload->size;
    }
    if (error->kind != ERROR_NONE)
        return HTTP_DONE;
    if (kept < u->part.offset || kept > gcs_part_end(u)) {
        gcs_upload_lost(c, error, "the service has not all parts that it was sent");
        return HTTP_DONE;
    }
    u->upload->unsure = false;
    u->skip = kept - u->part.offset;
    exchange_go_on(&c->base, &gcs_part_operation.base);
    gcs_part_ask(c, u->skip);
    return HTTP_DONE;
}

static const struct gcs_operation gcs_query_operation = {
    .base = {.method = "PUT", .doing = "writing a part of"},
    .size = sizeof(struct gcs_upload_call),
    .permission = "storage.objects.create, and storage.objects.delete to replace one",
    .json = true,
    .by_session = true,
    .good = 308,
    .failed = gcs_part_failed,
    .answered = gcs_query_answered,
    .settle = gcs_part_settle,
};

void gcs_upload_part(struct upload *base, struct call *call, const struct store_part *part,
                     struct pipe *source)
{
    struct gcs_upload *upload = (struct gcs_upload *)base;
    struct gcs_call *c =
        gcs_upload_call_begin(upload, call, upload->unsure ? &gcs_query_operation : &gcs_part_operation);
    struct gcs_upload_call *u = gcs_upload_call(c);
    char range[40];

    if (c == NULL)
        return;
    u->part = *part;
    u->source = source;
    buf_puts(&c->target, buf_str(&upload->session));
    if (upload->unsure) {
        snprintf(range, sizeof range, "bytes */%llu", (unsigned long long)upload->size);
        exchange_field(&c->base, "content-range", range);
    } else {
        gcs_part_ask(c, 0);
    }
    gcs_submit(c);
}

/* Takes out of the pipe what the service has. True: all of that has come. */
static bool gcs_part_skip(struct gcs_upload_call *u, bool *moved)
{
    const unsigned char *data;

    while (u->skip > 0) {
        size_t len = pipe_peek(u->source, &data);

        if (len == 0)
            return false;
        if (len > u->skip)
            len = (size_t)u->skip;
        pipe_consume(u->source, len);
        u->skip -= len;
        *moved = true;
    }
    return true;
}

/* Between the query and the rest of the part. */
static bool gcs_is_between(const struct gcs_call *c)
{
    return gcs_operation(c) == &gcs_part_operation && c->base.next && c->base.request.done &&
           c->base.request.error.kind == ERROR_NONE;
}

bool gcs_step(struct call *call)
{
    struct gcs_call *c = call->impl;
    bool moved = false;

    if (call->done || !gcs_is_between(c))
        return exchange_step(call);
    if (!gcs_part_skip(gcs_upload_call(c), &moved))
        return moved;
    if (c->base.length > 0)
        return exchange_step(call);
    if (!gcs_upload_call(c)->source->closed)
        return moved;
    gcs_upload_conclude(c);
    return true;
}

/* ---- finishing ---- */

/* Once it has succeeded, nobody needs the upload. */
static void gcs_finish_settle(struct gcs_call *c)
{
    if (c->base.request.error.kind == ERROR_NONE)
        gcs_upload_free(gcs_upload_call(c)->upload);
}

static const struct gcs_operation gcs_finish_operation = {
    .base = {.method = "PUT", .doing = "finishing"},
    .size = sizeof(struct gcs_upload_call),
    .by_session = true,
    .settle = gcs_finish_settle,
};

void gcs_upload_finish(struct upload *base, struct call *call)
{
    struct gcs_upload *upload = (struct gcs_upload *)base;
    struct gcs_call *c = gcs_upload_call_begin(upload, call, &gcs_finish_operation);
    struct error error;

    if (c == NULL)
        return;
    if (upload->finished) {
        call->info = upload->info;
        gcs_upload_conclude(c);
        return;
    }
    error_set(&error, ERROR_PROTOCOL, "the service has all parts, and made no object of them");
    gcs_refuse(c, &error);
}

/* ---- aborting ---- */

/* "499: the upload was cancelled". One that is gone is as good. */
static bool gcs_is_cancelled(struct gcs_call *c, struct error *error)
{
    int status = c->base.request.status;

    if (status != 499 && status != 404 && status != 410)
        return false;
    error_clear(error);
    return true;
}

static void gcs_abort_settle(struct gcs_call *c)
{
    const struct error *error = &c->base.request.error;

    if (error->kind != ERROR_NONE)
        log_info("an upload of \"%.200s\" to %s was not cancelled: " SESSION_EXPIRES ". The reason: %.300s",
                 c->base.key, c->store->bucket, error->text);
    gcs_upload_free(gcs_upload_call(c)->upload);
}

static const struct gcs_operation gcs_abort_operation = {
    .base = {.method = "DELETE", .doing = "cancelling the upload of"},
    .size = sizeof(struct gcs_upload_call),
    .permission = "storage.objects.create",
    .by_session = true,
    .failed = gcs_is_cancelled,
    .settle = gcs_abort_settle,
};

void gcs_upload_abort(struct upload *base, struct call *call)
{
    struct gcs_upload *upload = (struct gcs_upload *)base;
    struct gcs_call *c = gcs_upload_call_begin(upload, call, &gcs_abort_operation);

    if (c == NULL) {
        gcs_upload_free(upload);
        return;
    }
    if (upload->finished) {
        gcs_upload_conclude(c);
        return;
    }
    buf_puts(&c->target, buf_str(&upload->session));
    gcs_submit(c);
}
