/*
 * The errors of libcurl (https://curl.se/libcurl/c/libcurl-errors.html), in words for a person.
 */
#include "http_internal.h"

#include "env.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FAILURE_SIZE 480

/* host[:port] of a URL, without user info. */
static const char *authority_of(const char *url, char out[HTTP_HOST_SIZE])
{
    const char *start = strstr(url, "://");
    const char *at;
    size_t len;

    start = start != NULL ? start + 3 : url;
    len = strcspn(start, "/?#");
    at = memchr(start, '@', len);
    if (at != NULL) {
        len -= (size_t)(at + 1 - start);
        start = at + 1;
    }
    snprintf(out, HTTP_HOST_SIZE, "%.*s", (int)len, start);
    return out;
}

const char *http_awaited(const struct http *http, char out[HTTP_HOST_SIZE])
{
    const struct http_transfer *each = http->transfers;

    while (each != NULL && (each->body_paused || each->upload_paused || each->blocked || each->held != 0))
        each = each->next;
    return authority_of(each != NULL ? buf_str(&each->request->url) : "", out);
}

const char *http_host(const char *url, char out[HTTP_HOST_SIZE])
{
    char *end;

    authority_of(url, out);
    end = strchr(out, out[0] == '[' ? ']' : ':');
    if (end != NULL)
        end[out[0] == '['] = '\0';
    return out;
}

struct failure {
    CURLcode code;
    enum error_kind kind;
    bool retryable;
    const char *text;
};

/* The ones that need no closer look; the last row is for all others. */
static const struct failure failures[] = {
    {CURLE_COULDNT_RESOLVE_HOST, ERROR_UNREACHABLE, true,
     "the name cannot be resolved: check the spelling of the endpoint and the DNS of this machine"},
    {CURLE_COULDNT_RESOLVE_PROXY, ERROR_UNREACHABLE, true,
     "the name of the proxy cannot be resolved: check http_proxy, https_proxy and no_proxy"},
    {CURLE_PROXY, ERROR_UNREACHABLE, true,
     "no connection through the proxy: check http_proxy, https_proxy and no_proxy"},
    {CURLE_GOT_NOTHING, ERROR_UNREACHABLE, true, "the connection was closed without an answer"},
    {CURLE_SEND_FAIL_REWIND, ERROR_UNREACHABLE, true, "the connection was closed without an answer"},
    {CURLE_SEND_ERROR, ERROR_UNREACHABLE, true, "the connection broke while the request was sent"},
    {CURLE_RECV_ERROR, ERROR_UNREACHABLE, true, "the connection broke before the end of the answer"},
    {CURLE_PARTIAL_FILE, ERROR_UNREACHABLE, true, "the connection was closed before the end of the answer"},
    {CURLE_WEIRD_SERVER_REPLY, ERROR_PROTOCOL, false, "the answer is not valid HTTP: check the endpoint"},
    {CURLE_TOO_LARGE, ERROR_PROTOCOL, false, "the head of the answer is too large"},
    {CURLE_URL_MALFORMAT, ERROR_CONFIG, false, "not a host name and port: check the endpoint"},
    {CURLE_OUT_OF_MEMORY, ERROR_LOCAL, false, "out of memory"},
    {CURLE_OK, ERROR_UNREACHABLE, false, "the request failed inside the HTTP library"},
};

void http_fail(struct http_request *request, enum error_kind kind, const char *format, ...)
{
    char host[HTTP_HOST_SIZE];
    char text[FAILURE_SIZE];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    error_set(&request->error, kind, "%s: %s", authority_of(buf_str(&request->url), host), text);
}

/* Appends which variable names the proxy, and which one that is: libcurl looks for them in this order. */
static void name_proxy(struct http_request *request)
{
    static const char *const names[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
    bool tls = strncmp(buf_str(&request->url), "https:", 6) == 0;
    size_t len = strlen(request->error.text);
    char host[HTTP_HOST_SIZE];

    request->at_proxy = true;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *name = i < 2 && !tls ? "http_proxy" : names[i];
        const char *proxy = env_find((const char *const *)environ, name);

        if (proxy == NULL || *proxy == '\0')
            continue;
        snprintf(request->error.text + len, sizeof request->error.text - len, " (%s: %s)", name,
                 authority_of(proxy, host));
        return;
    }
}

static void fail_connect(struct http_transfer *transfer)
{
    long code = 0;
    long proxy = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_OS_ERRNO, &code);
    curl_easy_getinfo(transfer->easy, CURLINFO_USED_PROXY, &proxy);
    transfer->request->retryable = true;
    http_fail(transfer->request, ERROR_UNREACHABLE, "cannot connect%s%s%s", proxy != 0 ? " to the proxy" : "",
              code != 0 ? ": " : "", code != 0 ? strerror((int)code) : "");
    if (proxy != 0)
        name_proxy(transfer->request);
    transfer->request->error.sys = (int)code;
}

/* The only timeout that libcurl has been given is the one for connecting. */
static void fail_connect_timeout(struct http_transfer *transfer)
{
    long long limit = http_connect_limit(transfer);
    curl_off_t resolved = 0;
    long proxy = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_NAMELOOKUP_TIME_T, &resolved);
    curl_easy_getinfo(transfer->easy, CURLINFO_USED_PROXY, &proxy);
    transfer->request->retryable = true;
    if (resolved == 0)
        http_fail(transfer->request, ERROR_UNREACHABLE, "no answer from DNS within %lld ms", limit);
    else if (proxy != 0)
        http_fail(
            transfer->request, ERROR_UNREACHABLE,
            "no connection through the proxy within %lld ms: check http_proxy, https_proxy and no_proxy",
            limit);
    else
        http_fail(transfer->request, ERROR_UNREACHABLE,
                  "no connection within %lld ms: check address, port, scheme and the firewalls in between",
                  limit);
    if (resolved != 0 && proxy != 0)
        name_proxy(transfer->request);
}

/* With the engine's error as our patch to libcurl writes it (handshake-by-application), or none. */
static void fail_tls(struct http_transfer *transfer)
{
    static const char mark[] = "BearSSL error ";
    const char *number = strstr(transfer->detail, mark);
    int code = number != NULL ? (int)strtol(number + sizeof mark - 1, NULL, 10) : 0;
    char text[FAILURE_SIZE];

    transfer->request->retryable = tls_explain(transfer->peer, code, text, sizeof text);
    http_fail(transfer->request, ERROR_UNREACHABLE, "%s", text);
}

/* A proxy's answer to CONNECT that was not 2xx. */
static bool fail_proxy(struct http_transfer *transfer)
{
    long status = 0;

    curl_easy_getinfo(transfer->easy, CURLINFO_HTTP_CONNECTCODE, &status);
    if (transfer->connected || status / 100 == 2 || status == 0)
        return false;
    transfer->request->retryable = status >= 500;
    http_fail(transfer->request, ERROR_UNREACHABLE, "the proxy does not connect to it, status %ld", status);
    name_proxy(transfer->request);
    return true;
}

/* Where a mail server has said no, in its words. */
static bool fail_mail(struct http_transfer *transfer, CURLcode code)
{
    struct http_request *request = transfer->request;
    bool refused = request->status >= 400;

    if (request->mail == NULL || code == CURLE_COULDNT_CONNECT || code == CURLE_SSL_CONNECT_ERROR ||
        code == CURLE_COULDNT_RESOLVE_HOST)
        return false;
    request->retryable = request->status < 500;
    if (code == CURLE_USE_SSL_FAILED) {
        request->retryable = false;
        http_fail(request, ERROR_PROTOCOL,
                  "it offers no STARTTLS, and nothing is sent without (notify_plain=true allows that)");
    } else if (code == CURLE_LOGIN_DENIED && !refused) {
        request->retryable = false;
        http_fail(request, ERROR_CREDENTIALS, "it takes neither AUTH PLAIN nor AUTH LOGIN");
    } else if (refused) {
        http_fail(request, code == CURLE_LOGIN_DENIED ? ERROR_CREDENTIALS : ERROR_PROTOCOL,
                  "it refuses the mail: %s", transfer->said);
    } else {
        return false;
    }
    return true;
}

void http_fail_curl(struct http_transfer *transfer, CURLcode code)
{
    const struct failure *row = failures;

    if (transfer->request->error.kind != ERROR_NONE || fail_mail(transfer, code) || fail_proxy(transfer))
        return;
    switch (code) {
    case CURLE_COULDNT_CONNECT:
        fail_connect(transfer);
        return;
    case CURLE_OPERATION_TIMEDOUT:
        fail_connect_timeout(transfer);
        return;
    case CURLE_SSL_CONNECT_ERROR:
        fail_tls(transfer);
        return;
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
        if (!transfer->connected) {
            fail_tls(transfer);
            return;
        }
        break;
    case CURLE_UNSUPPORTED_PROTOCOL:
        if (transfer->connected)
            http_fail(transfer->request, ERROR_PROTOCOL,
                      "the answer is not HTTP: is it an https:// endpoint?");
        else
            http_fail(transfer->request, ERROR_CONFIG, "an endpoint begins with http:// or https://");
        return;
    default:
        break;
    }
    while (row->code != code && row->code != CURLE_OK)
        row++;
    transfer->request->retryable = row->retryable;
    if (row->code == code)
        http_fail(transfer->request, row->kind, "%s", row->text);
    else
        http_fail(transfer->request, row->kind, "%s (error %d of libcurl)", row->text, (int)code);
    if (code == CURLE_PROXY || code == CURLE_COULDNT_RESOLVE_PROXY)
        name_proxy(transfer->request);
}
