#include "notify.h"

#include "notify_internal.h"

#include "clock.h"
#include "hash.h"
#include "http.h"
#include "log.h"
#include "loop.h"
#include "random.h"
#include "stop.h"
#include "uri.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RETRIES 2
#define ID_BYTES 16

/* ---- when ---- */

bool notify_wanted(const struct settings *settings)
{
    return *settings->notify_url != '\0' || *settings->notify_mail_to != '\0';
}

int64_t notify_time(const struct settings *settings, int64_t limit)
{
    int64_t most = limit != 0 ? limit / 4 : INT64_MAX;

    if (!notify_wanted(settings))
        return 0;
    return settings->notify_timeout < most ? settings->notify_timeout : most;
}

bool notify_due(const struct settings *settings, const struct report *report)
{
    bool healthy = report_state_healthy(report->state);

    if (!notify_wanted(settings) || report->dry_run || report->state == REPORT_INTERRUPTED ||
        report->state == REPORT_INACTIVE || report->state == REPORT_NOTHING_TO_DO)
        return false;
    if (settings->notify_on == NOTIFY_ON_ALWAYS)
        return true;
    if (settings->notify_on == NOTIFY_ON_CHANGE && report->before_known)
        return healthy != report->before_healthy;
    return !healthy;
}

/* ---- sending ---- */

/* One of the two. */
struct message {
    struct http_request request;
    struct http_mail mail;
    const struct settings *settings;
    const char *what; /* the setting that says where it goes */
    struct buf body;
    char id[2 * ID_BYTES + 1];
    size_t at;     /* so much of the body is sent */
    bool answered; /* a body has begun: what the status is, is known */
    bool used;
};

/* By a webhook; of a mail that is only known when it is done. */
static bool is_accepted(const struct message *message)
{
    return message->request.mail == NULL && message->request.status / 100 == 2;
}

static bool prepare_message(struct http_request *request, struct error *error)
{
    struct message *message = request->ctx;
    const struct settings *settings = message->settings;
    int64_t seconds = clock_wall() / 1000;
    bool good;

    message->at = 0;
    message->answered = false;
    request->upload_size = (int64_t)message->body.len;
    if (request->mail != NULL) {
        good = buf_puts(&request->url, settings->smtp_url);
    } else {
        good = buf_puts(&request->url, settings->notify_url) &&
               buf_printf(&request->headers,
                          "content-type: application/json\nwebhook-id: %s\nwebhook-timestamp: %" PRId64 "\n",
                          message->id, seconds);
        if (*settings->notify_secret != '\0')
            good = good && buf_puts(&request->headers, "webhook-signature: ") &&
                   notify_sign(settings->notify_secret, message->id, seconds, &message->body,
                               &request->headers) &&
                   buf_putc(&request->headers, '\n');
    }
    return good || error_set(error, ERROR_LOCAL, "out of memory");
}

static long upload_message(struct http_request *request, char *out, size_t room)
{
    struct message *message = request->ctx;
    size_t left = message->body.len - message->at;

    if (left > room)
        left = room;
    memcpy(out, message->body.data + message->at, left);
    message->at += left;
    return (long)left;
}

/* Nobody reads it: it may never end. */
static bool drop_body(struct http_request *request, const char *data, size_t len)
{
    struct message *message = request->ctx;

    (void)data;
    (void)len;
    message->answered = true;
    return true;
}

static enum http_verdict finish_message(struct http_request *request)
{
    int status = request->status;

    if (request->error.kind != ERROR_NONE)
        return request->retryable && !is_accepted(request->ctx) ? HTTP_RETRY : HTTP_DONE;
    if (request->mail != NULL || status / 100 == 2)
        return HTTP_DONE;
    if (status / 100 == 3)
        error_set(&request->error, ERROR_PROTOCOL,
                  "it answers with a redirect (status %d), which is not followed", status);
    else
        error_set(&request->error, ERROR_PROTOCOL, "it answers with status %d", status);
    return status == 408 || status == 429 || status >= 500 ? HTTP_RETRY : HTTP_DONE;
}

static const struct http_hooks hooks = {
    .prepare = prepare_message,
    .upload = upload_message,
    .body = drop_body,
    .finish = finish_message,
};

static void init_message(struct message *message, const struct settings *settings, const char *what)
{
    unsigned char id[ID_BYTES];

    *message = (struct message){.settings = settings, .what = what};
    random_bytes(id, sizeof id);
    hash_hex(id, sizeof id, message->id);
    buf_init(&message->body, NOTIFY_BODY_MAX);
    http_request_init(&message->request);
    message->request.hooks = &hooks;
    message->request.ctx = message;
    message->request.method = "POST";
    message->request.discreet = true;
    message->request.ca_file = *settings->notify_ca_file != '\0' ? settings->notify_ca_file : NULL;
}

static void free_message(struct message *message)
{
    http_request_free(&message->request);
    buf_free(&message->body);
}

/* Host and port only. */
static void put_place(const struct message *message, char *out, size_t room)
{
    const struct settings *settings = message->settings;
    const char *url = message->request.mail != NULL ? settings->smtp_url : settings->notify_url;
    const char *start = strstr(url, "://");

    start = start != NULL ? start + 3 : url;
    snprintf(out, room, "%.*s", (int)strcspn(start, "/?"), start);
}

/* Of an error that names the host itself, the rest. */
static void tell_outcome(const struct message *message, const struct error *why)
{
    char place[HTTP_HOST_SIZE];
    const char *text = message->request.done ? message->request.error.text : why->text;
    size_t len;

    if (!message->used)
        return;
    put_place(message, place, sizeof place);
    len = strlen(place);
    if (is_accepted(message) || (message->request.done && message->request.error.kind == ERROR_NONE)) {
        log_info("told %s how the run ended (%s)", place, message->what);
        return;
    }
    if (strncmp(text, place, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    log_warn("not told how the run ended: %s (%s): %s", place, message->what, text);
}

static bool is_under_way(const struct message *message)
{
    return message->used && !message->request.done && !(message->answered && is_accepted(message));
}

static void send_all(struct loop *loop, struct message messages[2], int64_t limit)
{
    struct error why = {.kind = ERROR_NONE};

    for (int i = 0; i < 2; i++)
        if (messages[i].used)
            http_submit(loop_http(loop), &messages[i].request);
    while (is_under_way(&messages[0]) || is_under_way(&messages[1]))
        if (!loop_turn(loop, false, INT64_MAX, &why))
            break;
    if (why.kind == ERROR_TIMEOUT)
        error_set(&why, ERROR_TIMEOUT, "no answer within %" PRId64 " ms (setting notify_timeout)", limit);
    for (int i = 0; i < 2; i++)
        tell_outcome(&messages[i], &why);
}

static bool make_messages(struct message messages[2], const struct settings *settings,
                          const struct report *report, struct error *error)
{
    char host[NOTIFY_HOST_SIZE] = "";
    struct message *hook = &messages[0], *mail = &messages[1];
    bool good = true;

    if (gethostname(host, sizeof host - 1) != 0)
        host[0] = '\0';
    if (*settings->notify_url != '\0') {
        hook->used = true;
        good = notify_put_json(report, host, &hook->body);
    }
    if (*settings->notify_mail_to != '\0') {
        mail->used = true;
        mail->mail = (struct http_mail){.from = settings->notify_mail_from,
                                        .to = settings->notify_mail_to,
                                        .user = settings->smtp_user,
                                        .password = settings->smtp_password,
                                        .plain = settings->notify_plain != 0};
        mail->request.mail = &mail->mail;
        good = notify_put_mail(report,
                               &(struct notify_mail){.from = settings->notify_mail_from,
                                                     .to = settings->notify_mail_to,
                                                     .host = host,
                                                     .id = mail->id,
                                                     .now = clock_wall()},
                               &mail->body) &&
               good;
    }
    return good || error_set(error, ERROR_LOCAL, "out of memory");
}

void notify_run(const struct settings *settings, const struct report *report, int64_t until)
{
    int64_t now = clock_mono();
    int64_t limit = settings->notify_timeout < until - now ? settings->notify_timeout : until - now;
    struct http_limits limits = {
        .connections = 2,
        .connect_timeout = limit,
        .stall_timeout = limit,
        .request_timeout = limit,
        .retries = RETRIES,
    };
    struct error error = {.kind = ERROR_NONE};
    struct message messages[2];
    struct loop *loop;

    if (!notify_due(settings, report))
        return;
    if (limit <= 0) {
        log_warn("not told how the run ended: there is no time left for it (setting timeout)");
        return;
    }
    stop_at(now + limit);
    init_message(&messages[0], settings, "notify_url");
    init_message(&messages[1], settings, "smtp_url");
    loop = loop_new(&limits, &error);
    if (loop != NULL && make_messages(messages, settings, report, &error))
        send_all(loop, messages, limit);
    else
        log_warn("not told how the run ended: %s", error.text);
    free_message(&messages[0]);
    free_message(&messages[1]);
    loop_free(loop);
}
