/*
 * An S3 store whose service is played by hand: a test starts an operation, looks at the request that was
 * prepared, and gives the answer through the hooks that http would call. Nothing goes over a network, nothing
 * waits.
 * Header-only: each test program includes it once.
 */
#ifndef S3_HAND_H
#define S3_HAND_H

#include "cursor.h"
#include "exchange.h"
#include "loop_fixture.h"
#include "store_ops.h"
#include "store_s3.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct hand {
    struct side side;
    struct loop *loop;
    struct store *store;
    struct call call;
    struct call *used; /* the one whose request is played: `call`, or the cursor's */
    struct pipe pipe;
    struct cursor *cursor;
    struct store_ops spied_ops; /* the store's, once it lists */
    char header[4096];
};

static inline struct http_request *hand_request(const struct hand *hand)
{
    return &((struct exchange *)hand->used->impl)->request;
}

/* With `endpoint` "" it is Amazon's. */
static inline void hand_side(struct hand *hand, const char *endpoint, const char *bucket)
{
    memset(hand, 0, sizeof *hand);
    hand->side = (struct side){.bucket = bucket,
                               .endpoint = endpoint,
                               .region = "",
                               .profile = "",
                               .access_key_id = "AKIDEXAMPLE",
                               .secret_access_key = "secret",
                               .session_token = "",
                               .role_arn = "",
                               .web_identity_token_file = "",
                               .role_session_name = "",
                               .sts_endpoint = "",
                               .ca_file = "",
                               .allow_http = 1};
}

/* After hand_side, and whatever is to be different. */
static inline void hand_open(struct hand *hand)
{
    struct error error = {0};

    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    setenv("AWS_CONFIG_FILE", "/dev/null", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null", 1);
    hand->loop = loop_make();
    hand->store = store_s3_open(&hand->side, hand->side.bucket, hand->loop, &error);
    call_init(&hand->call);
    hand->used = &hand->call;
    if (hand->store == NULL || !pipe_init(&hand->pipe)) {
        printf("hand_open: %s\n", error.text);
        abort();
    }
}

static inline void hand_end(struct hand *hand)
{
    cursor_close(hand->cursor);
    call_free(&hand->call);
    pipe_free(&hand->pipe);
    store_close(hand->store);
    loop_free(hand->loop);
}

static inline void hand_begin(struct hand *hand, const char *endpoint, const char *bucket)
{
    hand_side(hand, endpoint, bucket);
    hand_open(hand);
}

/* The next attempt, or the first one of what was just started. False, and the request is over, if it cannot
 * be made. */
static inline bool hand_attempt(struct hand *hand)
{
    struct http_request *request = hand_request(hand);
    struct error error = {0};

    request->status = 0;
    request->sent = request->received = 0;
    request->retryable = false;
    error_clear(&request->error);
    buf_clear(&request->url);
    buf_clear(&request->headers);
    request->upload_size = -1;
    if (!request->hooks->ready(request)) {
        printf("hand_attempt: not ready\n");
        abort();
    }
    if (request->hooks->prepare(request, &error))
        return true;
    http_cancel(request, &error);
    store_step(hand->used);
    return false;
}

/* The operation of the store under test, which hand_spy_list stands in front of. */
static struct hand *hand_listing;
static const struct store_ops *hand_real_ops;

static inline void hand_spy_list(struct store *store, struct call *call, const struct store_range *range,
                                 struct store_page *page)
{
    hand_listing->used = call;
    hand_real_ops->list(store, call, range, page);
}

/* Starts to list; what is played from now on is the cursor's call. */
static inline void hand_list_range(struct hand *hand, const struct store_range *range)
{
    struct error error = {0};

    hand_listing = hand;
    hand_real_ops = hand->store->ops;
    hand->spied_ops = *hand_real_ops;
    hand->spied_ops.list = hand_spy_list;
    hand->store->ops = &hand->spied_ops;
    hand->cursor = cursor_open(hand->store, range, &error);
    hand_attempt(hand);
}

static inline void hand_list(struct hand *hand, const char *prefix)
{
    hand_list_range(hand, &(struct store_range){.prefix = prefix});
}

/* ---- answers ---- */

/* `headers` are lines "name: value\n", names in lower case. */
static inline void hand_answer_head(struct hand *hand, int status, const char *headers)
{
    struct http_request *request = hand_request(hand);
    char *lines = strdup(headers);
    char *rest = lines;
    char *line;

    request->status = status;
    while (lines != NULL && (line = strsep(&rest, "\n")) != NULL) {
        char *colon = strchr(line, ':');

        if (colon == NULL)
            continue;
        *colon = '\0';
        request->hooks->header(request, line, colon + 1 + strspn(colon + 1, " "));
    }
    free(lines);
}

/* False: paused. */
static inline bool hand_answer_body(struct hand *hand, const char *data, size_t len)
{
    struct http_request *request = hand_request(hand);

    if (!request->hooks->body(request, data, len))
        return false;
    request->received += len;
    return true;
}

static inline enum http_verdict hand_answer_end(struct hand *hand)
{
    struct http_request *request = hand_request(hand);

    return request->hooks->finish(request);
}

/* A whole answer, its body in small pieces; NULL: no body. */
static inline enum http_verdict hand_answer(struct hand *hand, int status, const char *headers,
                                            const char *body)
{
    size_t len = body != NULL ? strlen(body) : 0;

    hand_answer_head(hand, status, headers);
    for (size_t at = 0; at < len; at += 7)
        hand_answer_body(hand, body + at, len - at < 7 ? len - at : 7);
    return hand_answer_end(hand);
}

/* The connection breaks. */
static inline enum http_verdict hand_break(struct hand *hand)
{
    struct http_request *request = hand_request(hand);

    error_set(&request->error, ERROR_UNREACHABLE, "the connection broke");
    request->retryable = true;
    return request->hooks->finish(request);
}

/* The service takes the whole body of the request, as far as there is one. */
static inline void hand_take_body(struct hand *hand, struct buf *out)
{
    struct http_request *request = hand_request(hand);
    char piece[1000];

    while (request->upload_size > 0 && request->sent < (uint64_t)request->upload_size) {
        long len = request->hooks->upload(request, piece, sizeof piece);

        if (len <= 0)
            break;
        request->sent += (uint64_t)len;
        if (out != NULL)
            buf_append(out, piece, (size_t)len);
    }
}

/* Ends the request as http does after HTTP_DONE, and lets the store draw its conclusions. */
static inline void hand_done(struct hand *hand)
{
    struct error error = hand_request(hand)->error;

    http_cancel(hand_request(hand), &error);
    store_step(hand->used);
}

/* ---- what was asked ---- */

static inline const char *hand_url(const struct hand *hand)
{
    return buf_str(&hand_request(hand)->url);
}

/* The value of a header of the request; NULL: it has none. Valid until the next call. */
static inline const char *hand_header(struct hand *hand, const char *name)
{
    const char *line = buf_str(&hand_request(hand)->headers);
    size_t len = strlen(name);

    for (; *line != '\0'; line += strcspn(line, "\n") + 1) {
        if (strncmp(line, name, len) != 0 || strncmp(line + len, ": ", 2) != 0)
            continue;
        line += len + 2;
        snprintf(hand->header, sizeof hand->header, "%.*s", (int)strcspn(line, "\n"), line);
        return hand->header;
    }
    return NULL;
}

#endif
