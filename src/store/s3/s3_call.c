/* The life of a call: from its start to http, through the pipe, to its end. */
#include "s3_internal.h"

#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX ((size_t)4 * 1024 * 1024) /* the list of 10,000 parts */

/* A body chunk of http's may be this large, and it is taken whole or not at all. */
#define CHUNK_MAX ((size_t)16 * 1024)

/* What is thrown away of a body that is no use, before the connection is given up instead. */
#define WASTE_MAX (UINT64_C(1024) * 1024)

const struct s3_operation *s3_operation(enum s3_op op)
{
    static const char copy[] = "s3:PutObject here and s3:GetObject at the source";
    static const struct s3_operation operations[] = {
        [S3_LIST] = {.method = "GET",
                     .doing = "listing",
                     .permission = "s3:ListBucket",
                     .root = "ListBucketResult"},
        [S3_READ] = {.method = "GET",
                     .doing = "reading",
                     .permission = "s3:GetObject",
                     .body_is_object = true,
                     .describes_object = true},
        [S3_WRITE] = {.method = "PUT", .doing = "writing", .permission = "s3:PutObject", .gives_etag = true},
        [S3_HEAD] = {.method = "HEAD",
                     .doing = "looking at",
                     .permission = "s3:GetObject",
                     .describes_object = true},
        [S3_REMOVE] = {.method = "DELETE", .doing = "removing", .permission = "s3:DeleteObject"},
        [S3_TAGS] = {.method = "GET",
                     .doing = "reading the tags of",
                     .permission = "s3:GetObjectTagging",
                     .root = "Tagging"},
        [S3_GET] = {.method = "GET",
                    .doing = "reading",
                    .permission = "s3:GetObject",
                    .body_is_object = true,
                    .describes_object = true},
        [S3_PUT] = {.method = "PUT", .doing = "writing", .permission = "s3:PutObject", .gives_etag = true},
        [S3_COPY] = {.method = "PUT",
                     .doing = "copying to",
                     .permission = copy,
                     .root = "CopyObjectResult",
                     .gives_etag = true},
        [S3_UPLOAD_BEGIN] = {.method = "POST",
                             .doing = "beginning to write",
                             .permission = "s3:PutObject",
                             .root = "InitiateMultipartUploadResult"},
        [S3_UPLOAD_PART] = {.method = "PUT",
                            .doing = "writing a part of",
                            .permission = "s3:PutObject",
                            .gives_etag = true},
        [S3_UPLOAD_COPY] = {.method = "PUT",
                            .doing = "copying a part to",
                            .permission = copy,
                            .root = "CopyPartResult",
                            .gives_etag = true},
        [S3_UPLOAD_FINISH] = {.method = "POST",
                              .doing = "finishing",
                              .permission = "s3:PutObject",
                              .root = "CompleteMultipartUploadResult"},
        [S3_UPLOAD_ABORT] = {.method = "DELETE",
                             .doing = "aborting the upload of",
                             .permission = "s3:AbortMultipartUpload"},
        [S3_UPLOAD_VERIFY] = {.method = "HEAD",
                              .doing = "finishing",
                              .permission = "s3:GetObject",
                              .describes_object = true},
        [S3_UPLOAD_TAG] = {.method = "PUT", .doing = "tagging", .permission = "s3:PutObjectTagging"},
    };

    return &operations[op];
}

struct s3_call *s3_begin(struct store *base, struct call *call, enum s3_op op, const char *key)
{
    struct store_s3 *store = (struct store_s3 *)base;
    struct s3_call *c = calloc(1, sizeof *c);

    call->impl = c;
    if (c == NULL) {
        error_set(&call->error, ERROR_LOCAL, "out of memory");
        call->done = true;
        return NULL;
    }
    c->call = call;
    c->store = store;
    c->named = store;
    c->paid = store->side->request_payer == PAYER_REQUESTER;
    c->op = op;
    http_request_init(&c->request);
    buf_init(&c->path, S3_PATH_MAX);
    buf_init(&c->query, S3_QUERY_MAX);
    buf_init(&c->payload, PAYLOAD_MAX);
    buf_init(&c->entry_key, XML_TEXT_MAX);
    buf_init(&c->gathered, S3_QUERY_MAX);
    object_meta_init(&c->fields);
    c->request.hooks = &s3_hooks;
    c->request.ctx = c;
    c->request.ca_file = store->side->ca_file[0] != '\0' ? store->side->ca_file : NULL;
    if (strlen(key) > OBJECT_KEY_MAX) {
        struct error error;

        error_set(&error, ERROR_UNSUPPORTED, "the key has more than %d bytes", OBJECT_KEY_MAX);
        s3_refuse(c, &error);
        return NULL;
    }
    memcpy(c->key, key, strlen(key) + 1);
    return c;
}

/* Says in front of an error what was being done to what. */
static void add_context(const struct s3_call *c, struct error *error)
{
    const char *doing = s3_operation(c->op)->doing;

    if (c->key[0] != '\0')
        error_prefix(error, "%s \"%.200s\" in %s: ", doing, c->key, c->named->bucket);
    else
        error_prefix(error, "%s %s: ", doing, c->store->bucket);
}

static void settle(struct s3_call *c)
{
    struct call *call = c->call;

    call->error = c->request.error;
    call->again = c->again;
    if (call->error.kind != ERROR_NONE)
        add_context(c, &call->error);
    s3_upload_settle(c);
    call->done = true;
}

void s3_refuse(struct s3_call *c, const struct error *error)
{
    c->request.error = *error;
    settle(c);
}

void s3_submit(struct s3_call *c)
{
    struct error error;

    if (c->store->http == NULL) {
        error_set(&error, ERROR_LOCAL, "no network");
        s3_refuse(c, &error);
        return;
    }
    c->request.method = s3_operation(c->op)->method;
    buf_clear(&c->path);
    s3_build_path(c);
    http_submit(c->store->http, &c->request);
}

/* True when the pipe has what the paused request waits for. */
static bool can_resume(const struct s3_call *c)
{
    if (c->op == S3_GET)
        return pipe_room(c->pipe) >= CHUNK_MAX;
    return pipe_readable(c->pipe);
}

bool s3_step(struct call *call)
{
    struct s3_call *c = call->impl;

    if (call->done)
        return false;
    if (c->request.done) {
        if (c->next && c->request.error.kind == ERROR_NONE) {
            c->next = false;
            s3_submit(c);
        } else {
            settle(c);
        }
        return true;
    }
    if (c->wasted > WASTE_MAX) {
        http_cancel(&c->request, &c->failure);
        return true;
    }
    if (!c->paused || !can_resume(c))
        return false;
    c->paused = false;
    http_resume(&c->request);
    return true;
}

void s3_cancel(struct call *call, const struct error *why)
{
    struct s3_call *c = call->impl;

    if (!c->request.done)
        http_cancel(&c->request, why);
    c->request.error = *why;
    c->again = false;
    settle(c);
    call->error = *why;
}

void s3_release(struct call *call)
{
    struct s3_call *c = call->impl;

    if (c == NULL)
        return;
    http_request_free(&c->request);
    buf_free(&c->path);
    buf_free(&c->query);
    buf_free(&c->payload);
    buf_free(&c->entry_key);
    buf_free(&c->gathered);
    object_meta_free(&c->fields);
    xml_free(c->xml);
    free(c);
    call->impl = NULL;
}

/* ---- what http pulls ---- */

static long upload_from_memory(struct s3_call *c, char *out, size_t room)
{
    size_t left = c->payload.len - c->payload_sent;
    size_t len = left < room ? left : room;

    memcpy(out, c->payload.data + c->payload_sent, len);
    c->payload_sent += len;
    return (long)len;
}

static long on_upload(struct http_request *request, char *out, size_t room)
{
    struct s3_call *c = request->ctx;
    uint64_t left = c->length - c->streamed;
    size_t len;

    if (c->pipe == NULL)
        return upload_from_memory(c, out, room);
    len = pipe_read(c->pipe, out, left < room ? (size_t)left : room);
    if (len == 0 && c->pipe->closed) {
        error_set(&request->error, ERROR_PROTOCOL, "the source ended after %llu of %llu bytes",
                  (unsigned long long)c->streamed, (unsigned long long)c->length);
        return -1;
    }
    c->paused = len == 0;
    c->streamed += len;
    return (long)len;
}

const struct http_hooks s3_hooks = {
    .ready = s3_ready,
    .prepare = s3_prepare,
    .header = s3_on_header,
    .body = s3_on_body,
    .upload = on_upload,
    .finish = s3_on_finish,
};
