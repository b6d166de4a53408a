/* RFC 5322 (mail), RFC 2045 (base64), "Standard Webhooks Specification" 1.0.0; "Formatting text for app surfaces", Slack. */
#include "notify_internal.h"

#include "clock.h"
#include "hash.h"
#include "log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SUBJECT_SIZE 200
#define LINE_BYTES 57 /* become 76 characters of base64 */

/* ---- for a person ---- */

/* One line of ASCII: it stands in a header. */
static void put_subject(const struct report *report, char out[SUBJECT_SIZE])
{
    snprintf(out, SUBJECT_SIZE, "[storsync-init] %s %s: %.120s", report_mode_name(report->mode),
             report_state_name(report->state), report->destination);
    for (char *c = out; *c != '\0'; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

static void put_fact(struct buf *out, const char *label, const char *text)
{
    char safe[LOG_SAFE_SIZE];

    if (*text != '\0')
        buf_printf(out, "%s: %s\n", label, log_safe(text, safe));
}

static void put_instant(struct buf *out, const char *label, int64_t wall)
{
    char text[CLOCK_RFC3339_SIZE];

    clock_format_rfc3339(wall, text);
    put_fact(out, label, text);
}

static void put_prose(const struct report *report, const char *host, struct buf *out)
{
    struct buf brief;

    buf_init(&brief, NOTIFY_TEXT_MAX - 1000);
    report_brief(report, &brief);
    buf_puts(out, buf_str(&brief));
    out->failed |= brief.failed;
    buf_free(&brief);
    put_fact(out, "Host", host);
    put_fact(out, "Environment", report->detection.production ? "production" : "development");
    put_fact(out, "Deployment", report->detection.deployment_id);
    put_fact(out, "Source", report->source);
    put_fact(out, "Destination", report->destination);
    put_instant(out, "Started", report->started);
    put_instant(out, "Finished", report->finished);
}

/* ---- the webhook ---- */

/* "<!channel>" and "@everyone" in a key's name are not to wake everybody up: there is no more than text. */
static void put_plain(const char *text, struct buf *out)
{
    for (; *text != '\0'; text++) {
        if (*text == '&')
            buf_puts(out, "&amp;");
        else if (*text == '<')
            buf_puts(out, "&lt;");
        else if (*text == '>')
            buf_puts(out, "&gt;");
        else
            buf_putc(out, *text);
        if (*text == '@')
            buf_puts(out, "\xE2\x80\x8B"); /* ZERO WIDTH SPACE */
    }
}

bool notify_put_json(const struct report *report, const char *host, struct buf *out)
{
    char subject[SUBJECT_SIZE];
    struct buf text, plain;
    bool good;

    buf_init(&text, NOTIFY_TEXT_MAX * 2);
    buf_init(&plain, NOTIFY_TEXT_MAX * 10);
    put_subject(report, subject);
    buf_printf(&text, "%s\n", subject);
    put_prose(report, host, &text);
    put_plain(buf_str(&text), &plain);
    good = !text.failed && !plain.failed && report_json_notice(report, buf_str(&plain), out);
    buf_free(&text);
    buf_free(&plain);
    return good;
}

bool notify_sign(const char *secret, const char *id, int64_t seconds, const struct buf *body, struct buf *out)
{
    unsigned char hash[HASH_BYTES];
    struct buf text;
    bool good;

    buf_init(&text, body->len + 200);
    good = buf_printf(&text, "%s.%" PRId64 ".", id, seconds) && buf_append(&text, buf_str(body), body->len);
    if (good)
        hash_hmac(secret, strlen(secret), text.data, text.len, hash);
    buf_free(&text);
    return good && buf_puts(out, "v1,") && hash_base64(out, hash, sizeof hash, false);
}

/* ---- mail ---- */

static void put_body(const struct buf *text, struct buf *out)
{
    for (size_t at = 0; at < text->len; at += LINE_BYTES) {
        size_t left = text->len - at;

        hash_base64(out, text->data + at, left < LINE_BYTES ? left : LINE_BYTES, false);
        buf_puts(out, "\r\n");
    }
}

/* Addresses are a list, with white space as somebody typed it: one on each line. */
static void put_recipients(const char *to, struct buf *out)
{
    buf_puts(out, "To:");
    while (*to != '\0') {
        size_t len = strcspn(to, ", \t");

        if (len > 0)
            buf_printf(out, " %.*s%s", (int)len, to,
                       to[len + strspn(to + len, ", \t")] != '\0' ? ",\r\n" : "");
        to += len;
        to += strspn(to, ", \t");
    }
    buf_puts(out, "\r\n");
}

bool notify_put_mail(const struct report *report, const struct notify_mail *mail, struct buf *out)
{
    char subject[SUBJECT_SIZE], date[CLOCK_MAIL_SIZE];
    const char *at = strchr(mail->from, '@');
    struct buf text;
    bool good;

    put_subject(report, subject);
    clock_format_mail(mail->now, date);
    buf_printf(out, "Date: %s\r\nFrom: %s\r\n", date, mail->from);
    put_recipients(mail->to, out);
    buf_printf(out, "Subject: %s\r\nMessage-ID: <%s%s>\r\n", subject, mail->id,
               at != NULL ? at : "@localhost");
    buf_puts(out, "Auto-Submitted: auto-generated\r\nMIME-Version: 1.0\r\n"
                  "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\n");
    buf_init(&text, NOTIFY_TEXT_MAX * 2);
    put_prose(report, mail->host, &text);
    put_body(&text, out);
    good = !text.failed && !out->failed;
    buf_free(&text);
    return good;
}
