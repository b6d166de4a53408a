/*
 * One attempt at a request: https://curl.se/libcurl/c/curl_easy_setopt.html.
 */
#include "http_internal.h"

#include "clock.h"
#include "stop.h"
#include "uri.h"
#include "version.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef STORSYNC_VERSION
#define STORSYNC_VERSION "dev"
#endif

/* Sets an option, or remembers in `ok` that one could not be set. */
#define SET(option, value) (ok = curl_easy_setopt(easy, option, value) == CURLE_OK && ok)

const char *http_ca_file(const struct http_transfer *transfer)
{
    return transfer->request->ca_file != NULL ? transfer->request->ca_file : transfer->http->ca_file;
}

static void count_bytes(const struct http_transfer *transfer, uint64_t bytes)
{
    pace_spend(&transfer->http->pace_bytes, (int64_t)bytes);
}

/* Has its body to wait for its turn? */
static bool is_held(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    int64_t now;

    if (http->limits.max_bytes == 0 || transfer->request->urgent)
        return false;
    now = clock_mono();
    if (http->stop_seen || pace_allows(&http->pace_bytes, now))
        return false;
    if (transfer->held == 0)
        transfer->held = now;
    return true;
}

/* ---- callbacks of libcurl; `size` is always 1 ---- */

/* The request goes out next, on a new connection or on a kept one. libcurl comes here again when a kept one
 * turns out to be dead and nothing of the body was taken yet. */
/* NOLINTNEXTLINE(readability-non-const-parameter): libcurl says what the type is. */
static int on_curl_connected(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
    struct http_transfer *transfer = ctx;

    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    if (transfer->connected)
        pace_spend(&transfer->http->pace_requests, 1);
    count_bytes(transfer, transfer->request->url.len + transfer->request->headers.len);
    transfer->connected = true;
    transfer->body_paused = false;
    transfer->upload_paused = false;
    transfer->delivered = 0;
    transfer->http->requests++;
    http_transfer_moved(transfer);
    return CURL_PREREQFUNC_OK;
}

/* libcurl goes on with an upload that is answered with 2xx, and waits for its end. But nobody can have what was not sent. */
static bool is_early(const struct http_transfer *transfer)
{
    const struct http_request *request = transfer->request;
    curl_off_t sent;

    return request->status < 300 && request->upload_size > 0 &&
           curl_easy_getinfo(transfer->easy, CURLINFO_SIZE_UPLOAD_T, &sent) == CURLE_OK &&
           sent < request->upload_size;
}

/* A line of a mail server's. It is connected before the first one. */
static void take_mail_line(struct http_transfer *transfer, const char *line, size_t count)
{
    transfer->connected = true;
    snprintf(transfer->said, sizeof transfer->said, "%.*s", (int)count, line);
    transfer->said[strcspn(transfer->said, "\r\n")] = '\0';
    transfer->request->status = (int)strtol(transfer->said, NULL, 10);
}

static size_t on_curl_header(char *line, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    struct http_request *request = transfer->request;
    struct http_header header;
    bool ended = transfer->answer.ended;

    (void)size;
    count_bytes(transfer, count);
    http_transfer_moved(transfer);
    transfer->http->moved++;
    if (request->mail != NULL) {
        take_mail_line(transfer, line, count);
        return count;
    }
    switch (http_answer_line(&transfer->answer, line, count, &header)) {
    case HTTP_LINE_STATUS:
        request->status = transfer->answer.status;
        break;
    case HTTP_LINE_HEADER:
        if (strcmp(header.name, "retry-after") == 0)
            request->retry_after = http_retry_after(header.value, clock_wall());
        if (request->hooks->header != NULL)
            request->hooks->header(request, header.name, header.value);
        break;
    case HTTP_LINE_IGNORED:
        if (ended || !transfer->answer.ended || !is_early(transfer))
            break;
        http_fail(request, ERROR_PROTOCOL,
                  "HTTP %d came before all of it had been sent: what answers cannot have it",
                  request->status);
        request->retryable = true;
        return CURL_WRITEFUNC_ERROR;
    case HTTP_LINE_TOO_LARGE:
        http_fail(request, ERROR_PROTOCOL, "the head of the answer is too large");
        return CURL_WRITEFUNC_ERROR;
    case HTTP_LINE_BAD_LENGTH:
        http_fail(
            request, ERROR_PROTOCOL,
            "the answer does not say how long it is: its Content-Length is no number, or there are two");
        return CURL_WRITEFUNC_ERROR;
    }
    return count;
}

/* In both directions: nothing is sent any more, and for the other one libcurl would come here once more. */
static void stop_receiving(struct http_transfer *transfer)
{
    transfer->request->enough = false;
    if (!transfer->body_paused && curl_easy_pause(transfer->easy, CURLPAUSE_ALL) == CURLE_OK)
        transfer->body_paused = true;
}

static size_t on_curl_body(char *data, size_t size, size_t count, void *ctx)
{
    struct http_transfer *transfer = ctx;
    struct http_request *request = transfer->request;

    (void)size;
    /* What was received with the piece that was enough has its room. Held, it would go on by itself later. */
    if (!transfer->body_paused && is_held(transfer))
        return CURL_WRITEFUNC_PAUSE;
    http_transfer_moved(transfer);
    transfer->http->moved++;
    if (request->hooks->body != NULL && !request->hooks->body(request, data, count)) {
        transfer->body_paused = true;
        return CURL_WRITEFUNC_PAUSE;
    }
    request->received += count;
    count_bytes(transfer, count);
    if (request->enough)
        stop_receiving(transfer);
    return count;
}

static size_t on_curl_upload(char *out, size_t size, size_t room, void *ctx)
{
    struct http_transfer *transfer = ctx;
    struct http_request *request = transfer->request;
    long taken = -1;

    (void)size;
    if (is_held(transfer))
        return CURL_READFUNC_PAUSE;
    transfer->http->moved++;
    if (request->hooks->upload != NULL)
        taken = request->hooks->upload(request, out, room);
    if (taken == 0) {
        transfer->upload_paused = true;
        return CURL_READFUNC_PAUSE;
    }
    if (taken < 0 || (size_t)taken > room) {
        if (request->error.kind == ERROR_NONE)
            http_fail(request, ERROR_LOCAL, "the body of the request could not be read");
        return CURL_READFUNC_ABORT;
    }
    request->sent += (uint64_t)taken;
    count_bytes(transfer, (uint64_t)taken);
    return (size_t)taken;
}

/* Bytes that were taken from the owner are gone, so only what has not begun can begin anew. */
static int on_curl_seek(void *ctx, curl_off_t offset, int origin)
{
    const struct http_transfer *transfer = ctx;

    if (transfer->request->sent == 0 && offset == 0 && origin == SEEK_SET)
        return CURL_SEEKFUNC_OK;
    return CURL_SEEKFUNC_FAIL;
}

/* A handshake begins: with the request's host, or with an https proxy, for which the same authorities count. */
static CURLcode on_curl_handshake(CURL *easy, void *client, void *ctx)
{
    struct http_transfer *transfer = ctx;
    struct http *http = transfer->http;
    const struct tls_trust *trust = tls_trust(http->tls, http_ca_file(transfer), &transfer->request->error);

    (void)easy;
    if (trust == NULL)
        return CURLE_ABORTED_BY_CALLBACK;
    tls_begin(http->tls, transfer->peer, trust, client);
    return CURLE_OK;
}

/* ---- the handle ---- */

/* What stays the same from one request to the next. */
static bool set_constants(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    bool ok = true;

    SET(CURLOPT_PRIVATE, transfer);
    SET(CURLOPT_ERRORBUFFER, transfer->detail);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_QUICK_EXIT, 1L); /* cancelling does not wait for a name to be resolved */
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_USERAGENT, "storsync-init/" STORSYNC_VERSION);
    SET(CURLOPT_PATH_AS_IS, 1L); /* "." and ".." are keys like any other */
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    SET(CURLOPT_TCP_NODELAY, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_SSL_CTX_FUNCTION, on_curl_handshake);
    SET(CURLOPT_SSL_CTX_DATA, transfer);
    SET(CURLOPT_PREREQFUNCTION, on_curl_connected);
    SET(CURLOPT_PREREQDATA, transfer);
    SET(CURLOPT_HEADERFUNCTION, on_curl_header);
    SET(CURLOPT_HEADERDATA, transfer);
    SET(CURLOPT_WRITEFUNCTION, on_curl_body);
    SET(CURLOPT_WRITEDATA, transfer);
    SET(CURLOPT_READFUNCTION, on_curl_upload);
    SET(CURLOPT_READDATA, transfer);
    SET(CURLOPT_SEEKFUNCTION, on_curl_seek);
    SET(CURLOPT_SEEKDATA, transfer);
    return ok;
}

struct http_transfer *http_transfer_new(struct http *http)
{
    struct http_transfer *transfer = calloc(1, sizeof *transfer);

    if (transfer == NULL)
        return NULL;
    transfer->http = http;
    transfer->easy = curl_easy_init();
    transfer->peer = tls_peer_new();
    if (transfer->easy == NULL || transfer->peer == NULL || !set_constants(transfer)) {
        http_transfer_free(transfer);
        return NULL;
    }
    return transfer;
}

void http_transfer_free(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    tls_peer_free(transfer->peer);
    free(transfer);
}

/* ---- an attempt ---- */

/* Adds a line in libcurl's dialect: a header with an empty value ends in ';', because "Name:" would remove
 * one. The line is changed only for the moment of copying it. */
static bool add_header(struct curl_slist **list, char *line, size_t len, struct error *error)
{
    struct curl_slist *longer;
    char *colon = memchr(line, ':', len);
    char *cut = line + len;
    char kept = *cut;

    if (colon == NULL || memchr(line, '\r', len) != NULL || memchr(line, '\0', len) != NULL)
        return error_set(error, ERROR_UNSUPPORTED, "a header of the request holds a line break or a NUL");
    *cut = '\0';
    if (colon[1 + strspn(colon + 1, " \t")] == '\0') {
        *cut = kept;
        cut = colon + 1;
        kept = *cut;
        *colon = ';';
        *cut = '\0';
    }
    longer = curl_slist_append(*list, line);
    *cut = kept;
    *colon = ':';
    if (longer == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    *list = longer;
    return true;
}

/* The owner's headers, and an "Expect:" that keeps libcurl from sending "Expect: 100-continue". */
static bool add_headers(struct http_transfer *transfer, struct error *error)
{
    struct buf *headers = &transfer->request->headers;
    char *newline;
    char *line;
    char *stop;

    transfer->headers = curl_slist_append(NULL, "Expect:");
    if (transfer->headers == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    if (headers->len == 0)
        return true;
    stop = headers->data + headers->len;
    for (line = headers->data; line < stop; line = newline + 1) {
        newline = memchr(line, '\n', (size_t)(stop - line));
        if (newline == NULL)
            newline = stop;
        if (!add_header(&transfer->headers, line, (size_t)(newline - line), error))
            return false;
    }
    return true;
}

static size_t buffer_of(const struct http_transfer *transfer)
{
    return transfer->request->buffer != 0 ? transfer->request->buffer : transfer->http->limits.buffer;
}

/* The one for uploads is each request's own, while the one for answers is shared by all. */
static size_t upload_buffer(const struct http_transfer *transfer)
{
    size_t most = buffer_of(transfer);

    return transfer->request->upload_size > (int64_t)most ? most : HTTP_BUFFER_MIN;
}

/* One recipient a line of the list. */
static bool add_recipients(struct http_transfer *transfer)
{
    const char *to = transfer->request->mail->to;
    struct curl_slist *longer;
    char address[320];

    while (*(to += strspn(to, ", \t")) != '\0') {
        size_t len = strcspn(to, ", \t");

        snprintf(address, sizeof address, "<%.*s>", (int)len, to);
        longer = curl_slist_append(transfer->headers, address);
        if (longer == NULL)
            return false;
        transfer->headers = longer;
        to += len;
    }
    return true;
}

/* A handle that sent a mail is not used for anything else. libcurl waits for the answer to the message itself, and for nothing
 * beside it meanwhile: its own limit ends that. */
static bool set_mail(struct http_transfer *transfer, struct error *error)
{
    const struct http_request *request = transfer->request;
    const struct http_mail *mail = request->mail;
    CURL *easy = transfer->easy;
    bool ok = add_recipients(transfer);
    int left = stop_wait((int)http_attempt_limit(transfer));

    SET(CURLOPT_PROTOCOLS_STR, "smtp,smtps");
    SET(CURLOPT_HTTPHEADER, NULL); /* whatever the handle's last request was */
    SET(CURLOPT_CUSTOMREQUEST, NULL);
    SET(CURLOPT_URL, buf_str(&request->url));
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_CAINFO, http_ca_file(transfer));
    SET(CURLOPT_USE_SSL, (long)(mail->plain ? CURLUSESSL_TRY : CURLUSESSL_ALL));
    SET(CURLOPT_USERNAME, *mail->user != '\0' ? mail->user : NULL);
    SET(CURLOPT_PASSWORD, *mail->user != '\0' ? mail->password : NULL);
    SET(CURLOPT_MAIL_FROM, mail->from);
    SET(CURLOPT_MAIL_RCPT, transfer->headers);
    SET(CURLOPT_MAIL_RCPT_ALLOWFAILS, 1L);
    SET(CURLOPT_UPLOAD, 1L);
    SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->upload_size);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http_connect_limit(transfer));
    SET(CURLOPT_TIMEOUT_MS, left > 0 ? (long)left : 1L); /* 0 would be no limit */
    return ok ? true : error_set(error, ERROR_LOCAL, "out of memory");
}

/* What is different in every request. */
static bool set_request(struct http_transfer *transfer, struct error *error)
{
    const struct http_request *request = transfer->request;
    const char *method = request->method;
    char host[HTTP_HOST_SIZE];
    CURL *easy = transfer->easy;
    bool ok = true;

    if (request->url.failed || request->headers.failed)
        return error_set(error, ERROR_LOCAL, "the URL or the headers of a request are too large");
    if (request->mail != NULL)
        return set_mail(transfer, error);
    if (!add_headers(transfer, error))
        return false;
    SET(CURLOPT_URL, buf_str(&request->url));
    SET(CURLOPT_HTTPHEADER, transfer->headers);
    /* Nobody reads that file here: it keeps connections and sessions of different trust apart. */
    SET(CURLOPT_CAINFO, http_ca_file(transfer));
    SET(CURLOPT_PROXY_CAINFO, http_ca_file(transfer));
    SET(CURLOPT_BUFFERSIZE, (long)buffer_of(transfer));
    SET(CURLOPT_HTTPGET, 1L); /* whatever the handle's last request was */
    if (strcmp(method, "HEAD") == 0)
        SET(CURLOPT_NOBODY, 1L);
    if (request->upload_size >= 0 || strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0) {
        SET(CURLOPT_UPLOAD, 1L);
        SET(CURLOPT_UPLOAD_BUFFERSIZE, (long)upload_buffer(transfer));
        SET(CURLOPT_INFILESIZE_LARGE, (curl_off_t)(request->upload_size > 0 ? request->upload_size : 0));
    }
    SET(CURLOPT_CUSTOMREQUEST, method);
    /* A proxy is another machine: what is near means something else there, and gets the keys that are sent. */
    SET(CURLOPT_PROXY, request->direct || uri_is_near(http_host(buf_str(&request->url), host)) ? "" : NULL);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)http_connect_limit(transfer));
    return ok ? true : error_set(error, ERROR_LOCAL, "out of memory");
}

void http_transfer_reset(struct http_request *request)
{
    request->status = 0;
    request->retry_after = 0;
    request->received = 0;
    request->sent = 0;
    request->enough = false;
    request->retryable = false;
    request->at_proxy = false;
    error_clear(&request->error);
}

bool http_transfer_activate(struct http_transfer *transfer)
{
    struct http_request *request = transfer->request;
    struct error error = {0};

    http_transfer_reset(request);
    request->attempts++;
    buf_clear(&request->url);
    buf_clear(&request->headers);
    request->upload_size = -1;
    transfer->answer = (struct http_answer){0};
    transfer->connected = false;
    transfer->began = clock_mono();
    transfer->body_paused = false;
    transfer->upload_paused = false;
    transfer->resume = false;
    transfer->held = 0;
    transfer->detail[0] = '\0';
    transfer->said[0] = '\0';
    if (!request->hooks->prepare(request, &error) || !set_request(transfer, &error)) {
        request->error = error;
        return false;
    }
    if (curl_multi_add_handle(transfer->http->multi, transfer->easy) != CURLM_OK)
        return error_set(&request->error, ERROR_LOCAL, "out of memory");
    pace_spend(&transfer->http->pace_requests, 1);
    transfer->active = true;
    transfer->http->active++;
    return true;
}

void http_transfer_deactivate(struct http_transfer *transfer)
{
    if (transfer->active) {
        curl_multi_remove_handle(transfer->http->multi, transfer->easy);
        transfer->active = false;
        transfer->http->active--;
    }
    for (struct curl_slist *line = transfer->headers; line != NULL; line = line->next)
        explicit_bzero(line->data, strlen(line->data)); /* tokens among them */
    curl_slist_free_all(transfer->headers);
    transfer->headers = NULL;
}
