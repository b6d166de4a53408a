/* One request of a renewal. Its answer is a document of a few KiB, looked at when it is complete. */
#include "creds_internal.h"

#include "clock.h"
#include "file.h"

#include <stdlib.h>
#include <string.h>

#define QUOTE_MIN 12 /* bytes in common are no accident */

/* "Elements of a request signature": a request is good for 5 minutes. Google's services are no stricter. */
#define SKEW_MAX (INT64_C(5) * 60 * 1000)

void creds_request_wipe(struct creds *creds)
{
    buf_clear(&creds->form);
    creds->form_secret = 0;
    buf_clear(&creds->request.headers);
    if (creds->answer != NULL)
        explicit_bzero(creds->answer, CREDS_ANSWER_MAX);
    creds->answer_len = 0;
}

bool creds_read_token(const char *path, struct buf *out, struct error *error)
{
    size_t len, read;
    char *text = file_read(path, CREDS_TOKEN_MAX, &read, error);
    bool good = text != NULL;

    if (text == NULL) {
        error->kind = ERROR_CREDENTIALS;
        return false;
    }
    /* SDKs send the file as it is, and fail if it ends with a newline. One at the end, which most tools write, can
     * do no harm once it is gone; anywhere else it would begin another header. */
    for (len = read; len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL; len--)
        ;
    text[len] = '\0';
    if (len == 0 || strlen(text) != len || !creds_is_clean(text))
        good = error_set(error, ERROR_CREDENTIALS, "%s does not hold a token", path);
    else if (!buf_append(out, text, len))
        good = error_set(error, ERROR_LOCAL, "out of memory");
    file_free(text, read);
    return good;
}

/* Does the text repeat a part of it? */
static bool quotes_secret(const char *text, const char *secret)
{
    size_t len = strlen(text);
    char part[QUOTE_MIN + 1] = "";

    for (size_t at = 0; secret != NULL && at + QUOTE_MIN <= len; at++) {
        memcpy(part, text + at, QUOTE_MIN);
        if (strstr(secret, part) != NULL)
            return true;
    }
    return false;
}

bool creds_quoted(const struct creds *creds, const char *text)
{
    return quotes_secret(text, creds->base.secret_access_key) ||
           quotes_secret(text, creds->base.session_token) ||
           quotes_secret(text, creds->now.secret_access_key) || quotes_secret(text, creds->now.session_token);
}

/* A service that quotes a token must not bring it into the log. */
static const char *without_secrets(const struct creds *creds, const char *text)
{
    const char *token = creds->form_secret != 0 ? buf_str(&creds->form) + creds->form_secret : NULL;

    return quotes_secret(text, token) || quotes_secret(text, buf_str(&creds->request.headers)) ? "" : text;
}

enum http_verdict creds_refuse(struct creds *creds, const char *text, const struct creds_answer *answer,
                               struct error *error)
{
    int status = creds->request.status;
    bool again = status == 429 || status >= 500;
    const char *code = answer != NULL ? without_secrets(creds, answer->code) : "";
    const char *message = answer != NULL ? without_secrets(creds, answer->message) : "";

    error_set(error, again ? ERROR_UNREACHABLE : ERROR_CREDENTIALS, "%s (HTTP %d%s%s%s%s)", text, status,
              *code != '\0' ? ", " : "", code, *message != '\0' ? ": " : "", message);
    error->status = status;
    return again ? HTTP_RETRY : HTTP_DONE;
}

void creds_hide(struct creds *creds)
{
    creds->form_secret = creds->form.len;
}

bool creds_learn_clock(struct creds *creds)
{
    int64_t apart = creds->date - clock_wall();

    if (creds->date == CLOCK_UNKNOWN || creds->clock_offset != 0 || llabs(apart) < SKEW_MAX)
        return false;
    creds->clock_offset = apart;
    return true;
}

bool creds_copy(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);

    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

bool creds_is_clean(const char *text)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text >= 0x7f)
            return false;
    return true;
}

bool creds_take(struct creds *creds, const struct creds_answer *answer, struct error *error)
{
    struct creds_set *next = &creds->next;

    if (answer->id[0] == '\0' || answer->secret[0] == '\0')
        return error_set(error, ERROR_PROTOCOL, "its answer has no credentials");
    if (!creds_is_clean(answer->id) || !creds_is_clean(answer->secret) || !creds_is_clean(answer->token))
        return error_set(error, ERROR_PROTOCOL, "its answer has credentials that cannot be used");
    next->expires = answer->expiration[0] != '\0' ? clock_parse_rfc3339(answer->expiration) : CLOCK_UNKNOWN;
    if (answer->expiration[0] != '\0' && next->expires == CLOCK_UNKNOWN)
        return error_set(error, ERROR_PROTOCOL,
                         "its answer does not say until when the credentials are good");
    memcpy(next->access_key_id, answer->id, sizeof next->access_key_id);
    memcpy(next->secret_access_key, answer->secret, sizeof next->secret_access_key);
    memcpy(next->session_token, answer->token, sizeof next->session_token);
    return true;
}

/* ---- hooks ---- */

static bool on_creds_prepare(struct http_request *request, struct error *error)
{
    struct creds *creds = request->ctx;

    creds_request_wipe(creds);
    creds->answer_too_large = false;
    creds->by_google = false;
    creds->date = CLOCK_UNKNOWN;
    if (!creds->steps[creds->step].ops->prepare(creds, error))
        return false;
    if (creds->form.len > 0)
        request->upload_size = (int64_t)creds->form.len;
    return (!creds->form.failed && !request->url.failed && !request->headers.failed) ||
           error_set(error, ERROR_CREDENTIALS, "what is to be sent is too large");
}

static void on_creds_header(struct http_request *request, const char *name, const char *value)
{
    struct creds *creds = request->ctx;

    if (strcmp(name, "date") == 0)
        creds->date = clock_parse_http(value);
    if (strcmp(name, "metadata-flavor") == 0 && strcmp(value, "Google") == 0)
        creds->by_google = true;
}

static bool on_creds_body(struct http_request *request, const char *data, size_t len)
{
    struct creds *creds = request->ctx;

    if (len > CREDS_ANSWER_MAX - creds->answer_len)
        creds->answer_too_large = true;
    if (creds->answer_too_large)
        return true;
    memcpy(creds->answer + creds->answer_len, data, len);
    creds->answer_len += len;
    return true;
}

static long on_creds_upload(struct http_request *request, char *out, size_t room)
{
    const struct creds *creds = request->ctx;
    size_t left = creds->form.len - (size_t)request->sent;
    size_t len = left < room ? left : room;

    memcpy(out, creds->form.data + request->sent, len);
    return (long)len;
}

static enum http_verdict judge_creds(struct creds *creds)
{
    const struct creds_step_ops *ops = creds->steps[creds->step].ops;
    struct http_request *request = &creds->request;
    struct error *error = &request->error;

    if (error->kind != ERROR_NONE)
        return request->retryable ? HTTP_RETRY : HTTP_DONE;
    if (request->status >= 300 && request->status < 400)
        return creds_refuse(creds, "it redirects elsewhere, and nothing is sent there: check the endpoint",
                            NULL, error);
    if (creds->answer_too_large)
        error_set(error, ERROR_PROTOCOL, "its answer has more than %zu KiB", CREDS_ANSWER_MAX / 1024);
    else if (request->status != 200)
        return ops->refused(creds, error);
    else if (!ops->take(creds, error) && error->kind == ERROR_UNREACHABLE)
        return HTTP_RETRY;
    return HTTP_DONE;
}

static enum http_verdict on_creds_finish(struct http_request *request)
{
    struct creds *creds = request->ctx;
    int attempts = creds->steps[creds->step].ops->attempts;
    enum http_verdict verdict = judge_creds(creds);

    creds_request_wipe(creds);
    if (request->retry_after < creds->pause * request->attempts)
        request->retry_after = creds->pause * request->attempts;
    return attempts != 0 && request->attempts >= attempts ? HTTP_DONE : verdict;
}

const struct http_hooks creds_hooks = {
    .prepare = on_creds_prepare,
    .header = on_creds_header,
    .body = on_creds_body,
    .upload = on_creds_upload,
    .finish = on_creds_finish,
};
