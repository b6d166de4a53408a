/* RFC 9110: what an answer's headers say, and what it must be to have the object in it that was asked for. */
#include "exchange_internal.h"

#include "clock.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

bool exchange_is_success(const struct exchange *x)
{
    return x->request.status >= 200 && x->request.status <= 299;
}

bool exchange_is_about_object(const struct exchange *x)
{
    return x->operation->answer != EXCHANGE_TEXT && exchange_is_success(x);
}

void exchange_answer_reset(struct exchange *x)
{
    struct call *call = x->call;

    x->head = (struct exchange_head){.date = CLOCK_UNKNOWN, .range_total = OBJECT_SIZE_UNKNOWN};
    x->refused = false;
    error_clear(&x->failure);
    x->wasted = 0;
    if (x->operation->answer == EXCHANGE_TEXT)
        return;
    call->head_known = false;
    call->info =
        (struct object_info){.size = OBJECT_SIZE_UNKNOWN, .modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN};
    object_meta_clear(&call->meta);
    buf_clear(&call->body);
}

/* ---- headers ---- */

bool exchange_number(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (*text < '0' || *text > '9' || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

/* "bytes 0-99/1234", or "bytes 0-99/" and a star (RFC 9110, 14.4). */
static void parse_range(struct exchange_head *head, const char *value)
{
    char text[80];
    char *first = text + strlen("bytes "), *dash, *slash;

    if (!text_begins(value, "bytes ") || strlen(value) >= sizeof text)
        return;
    memcpy(text, value, strlen(value) + 1);
    dash = strchr(first, '-');
    slash = strchr(first, '/');
    if (dash == NULL || slash == NULL || dash > slash)
        return;
    *dash = *slash = '\0';
    head->range_known = exchange_number(first, &head->range_first) &&
                        exchange_number(dash + 1, &head->range_last) &&
                        (strcmp(slash + 1, "*") == 0 || exchange_number(slash + 1, &head->range_total));
}

/* A field that came before: RFC 9110, 5.3. Only lists and the owner's own are joined; of the others, "text/html, text/html"
 * would be nonsense, and the first one counts. */
static bool is_list(const char *name)
{
    return text_begins(name, "user:") || strcmp(name, "cache-control") == 0 ||
           strcmp(name, "content-encoding") == 0 || strcmp(name, "content-language") == 0;
}

void exchange_keep_meta(struct exchange *x, const char *name, const char *value)
{
    struct object_meta *meta = &x->call->meta;

    if (!is_list(name) && object_meta_get(meta, name) != NULL)
        return;
    if (!object_meta_join(meta, name, value) && x->failure.kind == ERROR_NONE)
        error_set(&x->failure, ERROR_UNSUPPORTED, "its metadata has more than %zu bytes", OBJECT_META_MAX);
}

static void keep_head(struct exchange_head *head, const char *name, const char *value)
{
    if (strcmp(name, "content-type") == 0)
        snprintf(head->content_type, sizeof head->content_type, "%s", value);
    else if (strcmp(name, "content-length") == 0)
        head->length_known = exchange_number(value, &head->content_length);
    else if (strcmp(name, "content-range") == 0)
        parse_range(head, value);
    else if (strcmp(name, "date") == 0)
        head->date = clock_parse_http(value);
    else if (strcmp(name, "location") == 0)
        snprintf(head->location, sizeof head->location, "%s", value);
}

static void keep_object_header(struct exchange *x, const char *name, const char *value)
{
    if (strcmp(name, "last-modified") == 0)
        x->call->info.modified = clock_parse_http(value);
    else if (object_meta_is_content_header(name))
        exchange_keep_meta(x, name, value);
}

void exchange_on_header(struct http_request *request, const char *name, const char *value)
{
    struct exchange *x = request->ctx;

    if (x->service->header(x, name, value))
        return;
    keep_head(&x->head, name, value);
    x->call->info.served = x->head.date;
    if (exchange_is_about_object(x))
        keep_object_header(x, name, value);
}

/* ---- is it what was asked for? ---- */

/* 200 is the whole object, 206 the range that it names (RFC 9110, 15.3.1 and 15.3.7). Anything else that is good has no
 * object in it. */
static bool check_status(const struct exchange *x, struct error *error)
{
    const struct exchange_head *head = &x->head;
    int status = x->request.status;

    if (!x->ranged && status == 200)
        return true;
    if (x->ranged && status == 206 && head->range_known && head->range_first == x->offset &&
        (x->length == UINT64_MAX || head->range_last == x->offset + (x->length - 1)))
        return true;
    if (status == 200 || status == 206)
        return error_set(error, ERROR_PROTOCOL, "another range came than was asked for (HTTP %d)", status);
    return error_set(error, ERROR_PROTOCOL, "HTTP %d came where an object was asked for", status);
}

/* Of a body that goes into a pipe; OBJECT_SIZE_UNKNOWN: nobody knows. */
static uint64_t expected_length(const struct exchange *x)
{
    if (x->length != UINT64_MAX)
        return x->length;
    if (x->sink->size != PIPE_SIZE_UNKNOWN)
        return x->sink->size;
    return x->head.length_known ? x->head.content_length : OBJECT_SIZE_UNKNOWN;
}

static bool check_length(const struct exchange *x, struct error *error)
{
    uint64_t expected = expected_length(x);

    if (!x->head.length_known || x->head.content_length == expected)
        return true;
    if (x->wanted[0] == '\0')
        return error_set(error, ERROR_PRECONDITION, "it has another size meanwhile");
    return error_set(
        error, ERROR_PROTOCOL,
        "the answer has %llu bytes where this version has %llu: something between here and %s changes bodies (it may compress them), or the service lies",
        (unsigned long long)x->head.content_length, (unsigned long long)expected, x->peer.address);
}

/* The headers of a good answer about an object are complete. Sets `failure` if it is not what was asked for. */
static void check_head(struct exchange *x)
{
    struct object_info *info = &x->call->info;
    const char *md5 = x->service->md5(x);

    if (x->ranged)
        info->size = x->head.range_total;
    else if (x->head.length_known)
        info->size = x->head.content_length;
    if (x->failure.kind != ERROR_NONE || !check_status(x, &x->failure) ||
        !x->service->check_version(x, &x->failure))
        return;
    if (x->sink == NULL || !check_length(x, &x->failure))
        return;
    if (x->ranged || md5 == NULL)
        return;
    memcpy(x->sink->md5, md5, sizeof x->sink->md5);
    if (x->sink->spared)
        x->sink->hashed = false;
}

/* ---- the object's body ---- */

/* For what is received at once. */
static bool has_room_for_next(const struct exchange *x)
{
    uint64_t left = expected_length(x) - x->streamed;

    return pipe_room(x->sink) >= (left < x->request.buffer ? left : x->request.buffer);
}

static bool stream_body(struct exchange *x, const char *data, size_t len)
{
    if (x->failure.kind == ERROR_NONE && x->streamed == 0)
        check_head(x);
    if (x->failure.kind == ERROR_NONE && len > expected_length(x) - x->streamed)
        error_set(&x->failure, ERROR_PROTOCOL, "the body is longer than the %llu bytes asked for",
                  (unsigned long long)expected_length(x));
    if (x->failure.kind != ERROR_NONE)
        return true;
    if (pipe_room(x->sink) < len) {
        x->paused = true;
        return false;
    }
    x->call->head_known = true;
    x->streamed += pipe_write(x->sink, data, len);
    if (!has_room_for_next(x))
        x->paused = x->request.enough = true;
    return true;
}

bool exchange_on_body(struct http_request *request, const char *data, size_t len)
{
    struct exchange *x = request->ctx;

    if (x->failure.kind != ERROR_NONE)
        x->wasted += len;
    if (!exchange_is_success(x) || x->operation->answer != EXCHANGE_OBJECT) {
        x->service->text(x, data, len);
        return true;
    }
    if (x->sink != NULL)
        return stream_body(x, data, len);
    if (x->failure.kind == ERROR_NONE && !buf_append(&x->call->body, data, len))
        error_set(&x->failure, ERROR_UNSUPPORTED, "the object has more than %zu bytes", STORE_SMALL_MAX);
    return true;
}

/* The last byte has come. Nobody gets it before all of them are known to be right. */
static enum http_verdict finish_body(struct exchange *x)
{
    struct error *error = &x->request.error;
    uint64_t expected = expected_length(x);

    if (expected == OBJECT_SIZE_UNKNOWN) {
        error_set(error, ERROR_PROTOCOL, "the answer does not say how large the object is");
        return HTTP_DONE;
    }
    if (x->streamed != expected) {
        error_set(error, ERROR_PROTOCOL, "the body ended after %llu of %llu bytes",
                  (unsigned long long)x->streamed, (unsigned long long)expected);
        return exchange_retry(x, HTTP_RETRY);
    }
    if (x->sink->hashed && x->sink->md5[0] != '\0' && pipe_differs(x->sink, x->sink->md5)) {
        error_set(error, ERROR_PROTOCOL,
                  "the body is damaged: its MD5 is not the %s %s; check what is between here and %s",
                  x->service->md5_name, x->sink->md5, x->peer.address);
        return exchange_retry(x, HTTP_RETRY);
    }
    if (x->sink->must != NULL && !pipe_matches(x->sink, x->sink->must)) {
        error_set(error, ERROR_PROTOCOL,
                  "the body is damaged: its CRC32C is not the object's; check what is between here and %s",
                  x->peer.address);
        return exchange_retry(x, HTTP_RETRY);
    }
    x->sink->closed = true;
    return HTTP_DONE;
}

enum http_verdict exchange_finish_object(struct exchange *x)
{
    if (!x->call->head_known)
        check_head(x);
    if (x->failure.kind != ERROR_NONE) {
        x->request.error = x->failure;
        return HTTP_DONE;
    }
    x->call->head_known = true;
    return x->sink != NULL ? finish_body(x) : HTTP_DONE;
}

bool exchange_check_stored(const struct exchange *x, struct error *error)
{
    const struct pipe *source = x->source;
    const char *md5 = x->service->md5(x);
    bool same = true;

    if (source == NULL || md5 == NULL)
        return true;
    if (source->md5[0] != '\0')
        same = digest_same(source->md5, md5);
    else if (source->hashed)
        same = !pipe_differs(source, md5);
    return same ||
           error_set(
               error, ERROR_PROTOCOL,
               "the service has other bytes than were sent (%s %s): they were damaged on the way; check what is between here and %s",
               x->service->md5_name, md5, x->peer.address);
}
