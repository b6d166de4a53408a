/* The life of a call: from its start to http, through the pipe, to its end. */
#include "exchange_internal.h"

#include "store_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAYLOAD_MAX ((size_t)4 * 1024 * 1024) /* the list of 10,000 parts */
#define TAIL_MAX ((size_t)1024)               /* the end of a multipart body */

/* What is thrown away of a body that is no use, before the connection is given up instead. */
#define WASTE_MAX (UINT64_C(1024) * 1024)

static const struct http_hooks exchange_hooks;

struct exchange *exchange_new(struct call *call, size_t size, const struct exchange_service *service,
                              const struct exchange_operation *operation, const struct exchange_peer *peer)
{
    struct exchange *x = calloc(1, size);

    call->impl = x;
    if (x == NULL) {
        error_set(&call->error, ERROR_LOCAL, "out of memory");
        call->done = true;
        return NULL;
    }
    x->call = call;
    x->service = service;
    x->operation = operation;
    x->peer = *peer;
    http_request_init(&x->request);
    x->request.ca_file = peer->side->ca_file[0] != '\0' ? peer->side->ca_file : NULL;
    x->request.hooks = &exchange_hooks;
    x->request.ctx = x;
    x->request.urgent = call->urgent;
    buf_init(&x->payload, PAYLOAD_MAX);
    buf_init(&x->tail, TAIL_MAX);
    object_meta_init(&x->fields);
    return x;
}

bool exchange_set_key(struct exchange *x, const char *key)
{
    size_t len = strlen(key);
    struct error error;

    if (len > OBJECT_KEY_MAX) {
        error_set(&error, ERROR_UNSUPPORTED, "the key has more than %d bytes", OBJECT_KEY_MAX);
        exchange_refuse(x, &error);
        return false;
    }
    memcpy(x->key, key, len + 1);
    return true;
}

/* Says in front of an error what was being done to what, and where. */
static void add_context(const struct exchange *x, struct error *error)
{
    const struct store *store = x->call->store;
    bool elsewhere = strcmp(x->peer.bucket, store->name) != 0;

    if (elsewhere)
        error_prefix(error, " in %s: ", x->peer.bucket);
    else
        error_prefix(error, ": ");
    if (x->key[0] != '\0')
        error_prefix(error, "%s \"%.200s\"", x->operation->doing, x->key);
    else
        error_prefix(error, "%s", x->operation->doing);
    store_blame(store, error);
}

/* No answer has come, and that is neither a proxy's fault nor theirs who give the credentials. */
static bool is_endpoint(const struct exchange *x, const struct error *error)
{
    return x->request.status == 0 && !x->request.at_proxy && !x->elsewhere && error->side != NULL &&
           (error->kind == ERROR_UNREACHABLE || error->kind == ERROR_PROTOCOL || error->kind == ERROR_CONFIG);
}

static void end_call(struct exchange *x)
{
    struct call *call = x->call;

    call->error = x->request.error;
    call->again = x->again;
    if (call->error.kind != ERROR_NONE)
        add_context(x, &call->error);
    if (is_endpoint(x, &call->error))
        x->service->name_endpoint(x, &call->error);
    x->service->settle(x);
    call->done = true;
}

void exchange_refuse(struct exchange *x, const struct error *error)
{
    x->request.error = *error;
    end_call(x);
}

void exchange_submit(struct exchange *x)
{
    x->request.method = x->operation->method;
    http_submit(loop_http(x->call->loop), &x->request);
}

void exchange_submit_if(struct exchange *x, bool ok)
{
    struct error error;

    if (ok) {
        exchange_submit(x);
        return;
    }
    error_set(&error, ERROR_LOCAL, "out of memory");
    exchange_refuse(x, &error);
}

void exchange_go_on(struct exchange *x, const struct exchange_operation *operation)
{
    x->operation = operation;
    x->next = true;
    x->once = false;
    buf_clear(&x->payload);
    buf_clear(&x->tail);
    object_meta_clear(&x->fields);
}

/* True when the pipe has what the paused request waits for. */
static bool can_resume(const struct exchange *x)
{
    if (x->sink != NULL)
        return pipe_room(x->sink) >= x->request.buffer;
    return pipe_readable(x->source);
}

bool exchange_step(struct call *call)
{
    struct exchange *x = call->impl;

    if (call->done)
        return false;
    if (x->request.done) {
        if (x->next && x->request.error.kind == ERROR_NONE) {
            x->next = false;
            exchange_submit(x);
        } else {
            end_call(x);
        }
        return true;
    }
    if (x->wasted > WASTE_MAX) {
        http_cancel(&x->request, &x->failure);
        return true;
    }
    if (!x->paused || !can_resume(x))
        return false;
    x->paused = false;
    http_resume(&x->request);
    return true;
}

void exchange_cancel(struct call *call, const struct error *why)
{
    struct exchange *x = call->impl;

    if (!x->request.done)
        http_cancel(&x->request, why);
    x->request.error = *why;
    x->again = false;
    end_call(x);
    call->error = *why;
}

void exchange_release(struct call *call)
{
    struct exchange *x = call->impl;

    if (x == NULL)
        return;
    http_request_free(&x->request);
    x->service->release(x);
    buf_free(&x->payload);
    buf_free(&x->tail);
    object_meta_free(&x->fields);
    free(x);
    call->impl = NULL;
}

/* ---- what is asked ---- */

/* RFC 9110, 5.5: no control characters; what lies beyond ASCII goes through as it is. */
bool exchange_is_field_value(const char *text)
{
    for (; *text != '\0'; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return false;
    return true;
}

void exchange_field(struct exchange *x, const char *name, const char *value)
{
    if (exchange_is_field_value(value))
        object_meta_add(&x->fields, name, value);
    else
        x->bad_field = true;
}

void exchange_send(struct exchange *x, struct pipe *source, uint64_t length)
{
    size_t usual = http_buffer(loop_http(x->call->loop), 0);
    size_t half = source->capacity / 2;

    x->source = source;
    x->length = length;
    x->request.buffer = half > usual ? half : usual;
    if (x->request.buffer > source->capacity)
        x->request.buffer = source->capacity;
    x->request.large = x->request.buffer > usual;
}

/* A pipe for all of it never pauses. Any other one has room for twice what comes at once: for what is on its way, while the
 * other end takes what has come. False: no memory. */
static bool make_room_for_body(struct exchange *x, struct pipe *sink, uint64_t length)
{
    uint64_t expected = length != UINT64_MAX ? length : sink->size;
    const struct http *http = loop_http(x->call->loop);

    x->request.buffer = http_buffer(http, expected);
    x->request.large = x->request.buffer > http_buffer(http, 0);
    return pipe_resize(sink, expected <= PIPE_CAPACITY ? PIPE_CAPACITY : 2 * x->request.buffer);
}

void exchange_receive(struct exchange *x, struct pipe *sink, uint64_t offset, uint64_t length)
{
    char range[64];
    int used;

    x->cramped = !make_room_for_body(x, sink, length);
    x->sink = sink;
    sink->held = true;
    x->offset = offset;
    x->length = length;
    /* No range can ask for nothing. */
    x->ranged = (offset > 0 || length != UINT64_MAX) && length > 0;
    if (!x->ranged)
        return;
    used = snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)offset);
    if (length != UINT64_MAX)
        snprintf(range + used, sizeof range - (size_t)used, "%llu",
                 (unsigned long long)(offset + length - 1));
    exchange_field(x, "range", range);
}

/* ---- http's hooks ---- */

static bool on_ready(struct http_request *request)
{
    struct exchange *x = request->ctx;

    return x->service->ready(x);
}

static uint64_t size_to_send(const struct exchange *x)
{
    return x->payload.len + (x->source != NULL ? x->length : 0) + x->tail.len;
}

static bool on_prepare(struct http_request *request, struct error *error)
{
    struct exchange *x = request->ctx;

    if (x->cramped)
        return error_set(error, ERROR_LOCAL, "out of memory");
    exchange_answer_reset(x);
    x->elsewhere = false;
    x->paused = false;
    x->payload_sent = x->tail_sent = 0;
    if (x->source != NULL || strcmp(request->method, "PUT") == 0 || strcmp(request->method, "POST") == 0)
        request->upload_size = (int64_t)size_to_send(x);
    return x->service->prepare(x, error);
}

static long upload_from_memory(const struct buf *from, size_t *sent, char *out, size_t room)
{
    size_t left = from->len - *sent;
    size_t len = left < room ? left : room;

    memcpy(out, buf_str(from) + *sent, len);
    *sent += len;
    return (long)len;
}

static long on_upload(struct http_request *request, char *out, size_t room)
{
    struct exchange *x = request->ctx;
    uint64_t left = x->length - x->streamed;
    size_t len;

    if (x->payload_sent < x->payload.len)
        return upload_from_memory(&x->payload, &x->payload_sent, out, room);
    if (x->source == NULL || left == 0)
        return upload_from_memory(&x->tail, &x->tail_sent, out, room);
    len = pipe_read(x->source, out, left < room ? (size_t)left : room);
    if (len == 0 && x->source->closed) {
        error_set(&request->error, ERROR_PROTOCOL, "the source ended after %llu of %llu bytes",
                  (unsigned long long)x->streamed, (unsigned long long)x->length);
        return -1;
    }
    x->paused = len == 0;
    x->streamed += len;
    return (long)len;
}

/* May this attempt have had an effect that another would trip over? Part of a body cannot have had one. 429 is said
 * instead of doing anything (RFC 6585, 4). */
static bool is_ambiguous(const struct exchange *x)
{
    return !x->refused && x->request.status != 429 &&
           (x->payload.len == 0 || x->request.sent >= size_to_send(x));
}

enum http_verdict exchange_retry(struct exchange *x, enum http_verdict how)
{
    if (x->streamed > 0) {
        x->again = true;
        return HTTP_DONE;
    }
    if (how == HTTP_RETRY_NOW || !is_ambiguous(x))
        return how;
    x->may_have_done = true;
    x->again = x->once;
    return x->once ? HTTP_DONE : HTTP_RETRY;
}

static enum http_verdict on_finish(struct http_request *request)
{
    struct exchange *x = request->ctx;

    if (request->error.kind != ERROR_NONE)
        return request->retryable ? exchange_retry(x, HTTP_RETRY) : HTTP_DONE;
    return x->service->judge(x);
}

static const struct http_hooks exchange_hooks = {
    .ready = on_ready,
    .prepare = on_prepare,
    .header = exchange_on_header,
    .body = exchange_on_body,
    .upload = on_upload,
    .finish = on_finish,
};
