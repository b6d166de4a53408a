/*
 * The loop, on libcurl's multi interface: https://curl.se/libcurl/c/libcurl-multi.html.
 */
#include "http_internal.h"

#include "clock.h"
#include "log.h"
#include "random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PIECE (INT64_C(16) * 1024) /* what libcurl hands over of a body at most (CURL_MAX_WRITE_SIZE) */
/* Another request gets a large buffer if fewer have one. A relay has two of them when it is under way, and one large pipe even when its
 * get is over: so there are never more large pipes than that. */
#define LARGE_MOST 8
#define LARGE_BODY (16 * HTTP_BUFFER_LARGE)
#define AT_ONCE_MAX 2 /* HTTP_RETRY_NOW verdicts that are followed */

/* From the pool or new; NULL, with *error: no memory. */
static struct http_transfer *transfer_take(struct http *http, struct error *error)
{
    struct http_transfer *transfer = http->pool;

    if (transfer != NULL) {
        http->pool = transfer->next;
        http->pooled--;
        return transfer;
    }
    transfer = http_transfer_new(http);
    if (transfer == NULL)
        error_set(error, ERROR_LOCAL, "out of memory");
    return transfer;
}

static void transfer_put_back(struct http_transfer *transfer)
{
    struct http *http = transfer->http;

    if (http->pooled >= http->limits.connections || transfer->request->mail != NULL) {
        http_transfer_free(transfer);
        return;
    }
    transfer->request = NULL;
    transfer->next = http->pool;
    http->pool = transfer;
    http->pooled++;
}

/* The request is done; what request->error says is final. */
static void end_request(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    struct http_transfer **link = &http->transfers;

    http_transfer_deactivate(transfer);
    while (*link != transfer)
        link = &(*link)->next;
    *link = transfer->next;
    http->ended++;
    for (struct http_transfer *other = http->transfers; other != NULL; other = other->next)
        other->blocked = false;
    transfer->request->transfer = NULL;
    transfer->request->done = true;
    transfer_put_back(transfer);
}

/* A query can hold a token, so the log does not get it. */
static void wait_for_retry(struct http_transfer *transfer, int64_t wait)
{
    const struct http_request *request = transfer->request;
    const char *url = buf_str(&request->url);
    char status[16];

    snprintf(status, sizeof status, "%d", request->status);
    transfer->due = clock_mono() + wait;
    if (wait > RETRY_QUIET)
        log_warn("trying again in %lld s (attempt %d of %d): %s%s", (long long)wait / 1000,
                 request->attempts + 1, transfer->http->retry.limit + 1,
                 request->error.kind != ERROR_NONE ? "" : "status ",
                 request->error.kind != ERROR_NONE ? request->error.text : status);
    if (!request->discreet)
        log_debug("%s %.*s again in %lld ms: status %d%s%s", request->method, (int)strcspn(url, "?"), url,
                  (long long)wait, request->status, request->error.kind != ERROR_NONE ? ", " : "",
                  request->error.text);
}

/* The attempt is over: asks the owner what to make of it. */
static void judge_attempt(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    struct http_request *request = transfer->request;
    int64_t wait = -1;

    http->refused += request->status == 429 || request->status == 503;
    switch (request->hooks->finish(request)) {
    case HTTP_DONE:
        if (request->status != 0 && request->status < 500 && !request->retryable)
            retry_success(&http->retry);
        end_request(transfer);
        return;
    case HTTP_RETRY_NOW:
        if (transfer->at_once < AT_ONCE_MAX) {
            transfer->at_once++;
            wait = 0;
        }
        break;
    case HTTP_RETRY:
        wait = retry_wait(&http->retry, request->attempts - transfer->at_once, request->retry_after);
        break;
    }
    if (wait >= 0) {
        wait_for_retry(transfer, wait);
        return;
    }
    if (request->error.kind == ERROR_NONE)
        http_fail(request, ERROR_UNREACHABLE, "still status %d after %d attempts", request->status,
                  request->attempts);
    end_request(transfer);
}

/* What libcurl has taken may still be in its buffer when an early answer ends the request: it has not been sent. */
static void note_sent(struct http_transfer *transfer)
{
    struct http_request *request = transfer->request;
    curl_off_t sent;

    if (curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK && sent >= 0 &&
        (uint64_t)sent < request->sent)
        request->sent = (uint64_t)sent;
}

/* The attempt is over for libcurl. */
static void complete_attempt(struct http_transfer *transfer, CURLcode code)
{
    note_sent(transfer);
    /* libcurl takes a head that ends with the connection for a complete one. */
    if (code == CURLE_OK && !transfer->answer.ended && transfer->request->mail == NULL)
        code = CURLE_PARTIAL_FILE;
    if (code != CURLE_OK)
        http_fail_curl(transfer, code);
    http_transfer_deactivate(transfer);
    judge_attempt(transfer);
}

/* ---- the loop ---- */

static bool is_blocked(struct http_transfer *transfer)
{
    const struct http_request *request = transfer->request;

    if (!transfer->blocked && request->hooks->ready != NULL)
        transfer->blocked = !request->hooks->ready(transfer->request);
    return transfer->blocked;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* When the limits of a second let it begin: mono. */
static int64_t turn_of(struct http *http, const struct http_transfer *transfer, int64_t now)
{
    if (transfer->request->urgent || http->stop_seen)
        return now;
    return later(pace_wake(&http->pace_requests, now), pace_wake(&http->pace_bytes, now));
}

static void start_due(struct http *http)
{
    int64_t now = clock_mono();
    struct http_transfer *next;

    for (struct http_transfer *transfer = http->transfers; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (http->active >= http->limits.connections)
            break;
        if (!transfer->active && transfer->due <= now && !is_blocked(transfer) &&
            turn_of(http, transfer, now) <= now && !http_transfer_activate(transfer))
            end_request(transfer);
    }
}

/* Takes out of the hold of max_bytes those that were in it longest, as many as there is something for. */
static void end_holds(struct http *http)
{
    int64_t now = clock_mono();
    struct pace *pace = &http->pace_bytes;
    int64_t pieces;

    if (pace->rate == 0 || !pace_allows(pace, now))
        return;
    for (pieces = pace->level / 1000 / PIECE + 1; pieces > 0; pieces--) {
        struct http_transfer *first = NULL;

        for (struct http_transfer *each = http->transfers; each != NULL; each = each->next)
            if (each->active && each->held != 0 && (first == NULL || each->held < first->held))
                first = each;
        if (first == NULL)
            return;
        first->began += now - first->held;
        first->held = 0;
        first->resume = true;
    }
}

static void resume_paused(struct http *http)
{
    struct http_transfer *next;
    CURLcode code;

    for (struct http_transfer *transfer = http->transfers; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (!transfer->active || !transfer->resume)
            continue;
        transfer->resume = false;
        transfer->body_paused = false;
        transfer->upload_paused = false;
        http_transfer_moved(transfer);
        code = curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
        /* CURLE_BAD_FUNCTION_ARGUMENT: it has no connection at the moment, so there is nothing to resume. */
        if (code != CURLE_OK && code != CURLE_BAD_FUNCTION_ARGUMENT)
            complete_attempt(transfer, code);
    }
}

static void end_overdue(struct http *http)
{
    int64_t now = clock_mono();
    struct http_transfer *next;

    for (struct http_transfer *transfer = http->transfers; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (http_has_stalled(transfer, now))
            http_fail(transfer->request, ERROR_TIMEOUT, "connected, but nothing moved for %lld ms",
                      (long long)http_stall_limit(transfer));
        else if (http_takes_too_long(transfer, now))
            http_fail(transfer->request, ERROR_TIMEOUT, "not done after %lld ms%s",
                      (long long)http_attempt_limit(transfer),
                      transfer->request->time_limit != 0 ? "" : " (setting request_timeout)");
        else
            continue;
        transfer->request->retryable = true;
        complete_attempt(transfer, CURLE_OPERATION_TIMEDOUT);
    }
}

/* Milliseconds until something is to be done without the network's help, at most `wait`. */
static int next_http_wake(struct http *http, int wait)
{
    int64_t now = clock_mono();
    int64_t left = wait;
    int64_t until;

    for (const struct http_transfer *transfer = http->transfers; transfer != NULL;
         transfer = transfer->next) {
        if (transfer->held != 0)
            until = pace_wake(&http->pace_bytes, now);
        else if (http_limit_of(transfer) != INT64_MAX)
            until = http_limit_of(transfer);
        else if (!transfer->active && !transfer->blocked && http->active < http->limits.connections)
            until = later(transfer->due, turn_of(http, transfer, now));
        else
            continue;
        until -= now;
        if (until < left)
            left = until;
    }
    return left > 0 ? (int)left : 0;
}

static void complete_finished(struct http *http)
{
    char *transfer;
    CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(http->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        if (curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer) == CURLE_OK)
            complete_attempt((struct http_transfer *)(void *)transfer, message->data.result);
    }
}

/* The multi handle itself failed (no memory, no poll): no transfer in it would ever end. */
static void end_active(struct http *http, CURLMcode code)
{
    struct http_transfer *next;

    for (struct http_transfer *transfer = http->transfers; transfer != NULL; transfer = next) {
        next = transfer->next;
        if (!transfer->active)
            continue;
        http_fail(transfer->request, ERROR_LOCAL, "the HTTP library failed with code %d", (int)code);
        end_request(transfer);
    }
}

/* Ends what is over by now. */
static void complete_all(struct http *http, CURLMcode code)
{
    complete_finished(http);
    if (code != CURLM_OK)
        end_active(http, code);
}

void http_step(struct http *http, int wait)
{
    uint64_t ended = http->ended, moved = http->moved;

    end_holds(http);
    start_due(http);
    resume_paused(http);
    complete_all(http, http_go_on(http));
    if (http->ended != ended || http->moved != moved)
        wait = 0;
    complete_all(http, http_wait(http, next_http_wake(http, wait)));
    end_overdue(http);
}

/* ---- the rest of the interface ---- */

struct http *http_new(const struct http_limits *limits, struct error *error)
{
    struct http *http = calloc(1, sizeof *http);

    if (http != NULL) {
        http->limits = *limits;
        if (http->limits.connections < 1)
            http->limits.connections = 1;
        if (http->limits.buffer < HTTP_BUFFER_MIN)
            http->limits.buffer = HTTP_BUFFER_MIN;
        if (http->limits.buffer > HTTP_BUFFER_MAX)
            http->limits.buffer = HTTP_BUFFER_MAX;
    }
    if (http == NULL || !http_sockets_init(http)) {
        free(http);
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    retry_init(&http->retry, limits->retries, random_number());
    pace_init(&http->pace_requests, limits->max_requests, clock_mono());
    pace_init(&http->pace_bytes, limits->max_bytes, clock_mono());
    return http;
}

static CURLM *new_multi(long connections)
{
    CURLM *multi = curl_multi_init();

    if (multi != NULL && curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections) == CURLM_OK &&
        curl_multi_setopt(multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, connections) == CURLM_OK)
        return multi;
    curl_multi_cleanup(multi);
    return NULL;
}

static void end_libcurl(struct http *http)
{
    curl_multi_cleanup(http->multi);
    tls_free(http->tls);
    http->multi = NULL;
    http->tls = NULL;
    curl_global_cleanup();
}

/* libcurl and the authorities, when the first one needs them. */
static bool start_libcurl(struct http *http, struct error *error)
{
    if (http->multi != NULL)
        return true;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_set(error, ERROR_LOCAL, "cannot set up the HTTP library");
    http->ca_file = tls_file(NULL);
    http->tls = tls_new();
    http->multi = new_multi(http->limits.connections);
    if (http->tls != NULL && http->multi != NULL && http_sockets_watch(http))
        return true;
    end_libcurl(http);
    return error_set(error, ERROR_LOCAL, "cannot set up the HTTP library");
}

void http_free(struct http *http)
{
    struct error error = {0};
    struct http_transfer *transfer;

    if (http == NULL)
        return;
    error_set(&error, ERROR_INTERRUPTED, "cancelled");
    while (http->transfers != NULL)
        http_cancel(http->transfers->request, &error);
    while ((transfer = http->pool) != NULL) {
        http->pool = transfer->next;
        http_transfer_free(transfer);
    }
    if (http->multi != NULL)
        end_libcurl(http);
    http_sockets_free(http);
    free(http);
}

bool http_check_trust(struct http *http, const char *ca_file, struct error *error)
{
    bool own = ca_file != NULL && *ca_file != '\0';

    return start_libcurl(http, error) && tls_trust(http->tls, own ? ca_file : http->ca_file, error) != NULL;
}

void http_request_init(struct http_request *request)
{
    memset(request, 0, sizeof *request);
    buf_init(&request->url, HTTP_URL_MAX);
    buf_init_secret(&request->headers, HTTP_HEADERS_MAX);
    request->upload_size = -1;
}

void http_request_free(struct http_request *request)
{
    struct error error = {0};

    error_set(&error, ERROR_INTERRUPTED, "cancelled");
    http_cancel(request, &error);
    buf_free(&request->url);
    buf_free(&request->headers);
}

void http_submit(struct http *http, struct http_request *request)
{
    struct http_transfer **link = &http->transfers;
    struct http_transfer *transfer;

    http_transfer_reset(request);
    request->attempts = 0;
    transfer = start_libcurl(http, &request->error) ? transfer_take(http, &request->error) : NULL;
    request->done = transfer == NULL;
    if (transfer == NULL)
        return;
    transfer->request = request;
    transfer->next = NULL;
    transfer->blocked = false;
    transfer->at_once = 0;
    transfer->due = clock_mono();
    while (*link != NULL)
        link = &(*link)->next;
    *link = transfer;
    request->transfer = transfer;
}

void http_resume(struct http_request *request)
{
    struct http_transfer *transfer = request->transfer;

    if (transfer != NULL && (transfer->body_paused || transfer->upload_paused))
        transfer->resume = true;
}

void http_cancel(struct http_request *request, const struct error *why)
{
    if (request->transfer == NULL)
        return;
    request->error = *why;
    end_request(request->transfer);
}

size_t http_buffer(const struct http *http, uint64_t size)
{
    int large = 0;

    if (size < LARGE_BODY || size == UINT64_MAX || http->limits.buffer >= HTTP_BUFFER_LARGE)
        return http->limits.buffer;
    for (const struct http_transfer *each = http->transfers; each != NULL; each = each->next)
        large += each->request->large;
    return large < LARGE_MOST ? HTTP_BUFFER_LARGE : http->limits.buffer;
}

struct retry *http_retry(struct http *http)
{
    return &http->retry;
}

uint64_t http_requests(const struct http *http)
{
    return http->requests;
}

uint64_t http_refused(const struct http *http)
{
    return http->refused;
}
