/* notify: which runs are told of, how long that may take, and what is said: JSON, mail, signature. */
#include "notify.h"

#include "clock.h"
#include "hash.h"
#include "json.h"
#include "log.h"
#include "notify_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTED INT64_C(1764000000250) /* 2025-11-24T16:00:00.250Z, a Monday */

static struct settings settings;
static struct report report;
static struct buf out;

static int set_up(void **state)
{
    (void)state;
    settings = (struct settings){.notify_url = "https://hooks.test/x",
                                 .notify_mail_to = "",
                                 .notify_timeout = 10000,
                                 .notify_on = NOTIFY_ON_FAILURE};
    report_init(&report, STARTED);
    report.mode = REPORT_SYNC;
    strcpy(report.source, "dev");
    strcpy(report.destination, "prod");
    buf_init(&out, NOTIFY_BODY_MAX);
    log_setup(LOG_TEXT, LOG_INFO, true);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    report_free(&report);
    buf_free(&out);
    return 0;
}

static void finish(enum report_state state)
{
    report_finish(&report, state, NULL, STARTED + 1000);
}

/* ---- when ---- */

static void test_due(void **state)
{
    static const struct {
        enum report_state state;
        int before; /* -1: not known, 0: failed, 1: well */
        bool failure, change, always;
    } rows[] = {
        {REPORT_FAILED, -1, true, true, true},         {REPORT_FAILED, 0, true, false, true},
        {REPORT_FAILED, 1, true, true, true},          {REPORT_PARTIAL, 1, true, true, true},
        {REPORT_SYNCED, -1, false, false, true},       {REPORT_SYNCED, 0, false, true, true},
        {REPORT_SYNCED, 1, false, false, true},        {REPORT_ALREADY_SYNCED, 1, false, false, true},
        {REPORT_ALREADY_SYNCED, 0, false, true, true}, {REPORT_INTERRUPTED, 1, false, false, false},
        {REPORT_INACTIVE, 0, false, false, false},     {REPORT_NOTHING_TO_DO, 0, false, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool expected[] = {rows[i].failure, rows[i].change, rows[i].always};

        report.state = rows[i].state;
        report.before_known = rows[i].before >= 0;
        report.before_healthy = rows[i].before == 1;
        for (int on = NOTIFY_ON_FAILURE; on <= NOTIFY_ON_ALWAYS; on++) {
            settings.notify_on = on;
            if (notify_due(&settings, &report) != expected[on])
                fail_msg("row %zu, notify_on %d", i, on);
        }
    }
    settings.notify_on = NOTIFY_ON_ALWAYS;
    report.state = REPORT_FAILED;
    report.dry_run = true;
    assert_false(notify_due(&settings, &report));
    report.dry_run = false;
    settings.notify_url = "";
    assert_false(notify_due(&settings, &report));
    settings.notify_mail_to = "a@b";
    assert_true(notify_due(&settings, &report));
}

static void test_time(void **state)
{
    (void)state;
    assert_int_equal(notify_time(&settings, 0), 10000);
    assert_int_equal(notify_time(&settings, 300000), 10000);
    assert_int_equal(notify_time(&settings, 8000), 2000);
    settings.notify_url = "";
    assert_int_equal(notify_time(&settings, 300000), 0);
}

/* ---- what the run before did ---- */

static void remember(const char *json)
{
    report.before_known = report.before_healthy = true;
    report_remember(&report, json, strlen(json));
}

static void test_run_before(void **state)
{
    (void)state;
    remember("{\"state\":\"failed\",\"mode\":\"deploy\",\"byHand\":false}");
    assert_true(report.before_known);
    assert_false(report.before_healthy);
    remember("{\"state\":\"synced\",\"mode\":\"deploy\",\"byHand\":false}");
    assert_true(report.before_known && report.before_healthy);
    remember("{\"state\":\"running\",\"mode\":\"deploy\",\"byHand\":false}"); /* it has died */
    assert_true(report.before_known);
    assert_false(report.before_healthy);
    remember("{\"state\":\"nonsense\",\"byHand\":false}");
    assert_false(report.before_known);
    remember("no document");
    assert_false(report.before_known);

    report.by_hand = true;
    remember("{\"state\":\"synced\",\"mode\":\"deploy\",\"byHand\":false}");
    assert_false(report.before_known);
    remember("{\"state\":\"synced\",\"mode\":\"deploy\",\"byHand\":false,"
             "\"manual\":{\"state\":\"failed\",\"mode\":\"sync\",\"byHand\":true}}");
    assert_true(report.before_known);
    assert_false(report.before_healthy);
    report.mode = REPORT_VALIDATE; /* which leaves no status */
    remember("{\"state\":\"failed\",\"mode\":\"sync\",\"byHand\":true}");
    assert_false(report.before_known);
}

/* ---- what is said ---- */

static void test_json(void **state)
{
    struct error error = {.kind = ERROR_NONE}, why = {.kind = ERROR_NONE};
    yyjson_doc *doc;
    const char *text;

    (void)state;
    error_set(&why, ERROR_NO_BUCKET, "<!channel> & @here: no bucket");
    report_finish(&report, REPORT_FAILED, &why, STARTED + 1000);
    assert_true(notify_put_json(&report, "web-1", &out));
    assert_null(strchr(buf_str(&out), '\n'));
    doc = json_parse(buf_str(&out), out.len, &error);
    assert_non_null(doc);
    text = json_text(yyjson_doc_get_root(doc), "text", "");
    assert_string_equal(text, "[storsync-init] sync failed: prod\n"
                              "failed: &lt;!channel&gt; &amp; @\xE2\x80\x8Bhere: no bucket\n"
                              "Host: web-1\nEnvironment: development\nSource: dev\nDestination: prod\n"
                              "Started: 2025-11-24T16:00:00.250Z\nFinished: 2025-11-24T16:00:01.250Z\n");
    assert_string_equal(json_text(yyjson_obj_get(yyjson_doc_get_root(doc), "run"), "state", ""), "failed");
    yyjson_doc_free(doc);
}

/* Ten failures of the longest keys, and lists of differences: the body is bounded all the same, and all of it is there. */
static void check_long_json(char filling)
{
    static char key[1025];
    struct error why = {.kind = ERROR_NONE};

    memset(key, filling, sizeof key - 1);
    memset(report.destination, '&', sizeof report.destination - 1);
    memset(report.source, '@', sizeof report.source - 1);
    error_set(&why, ERROR_LOCAL, "%.500s", key);
    report.validation.done = true;
    for (int i = 0; i < 20; i++) {
        report_failed(&report, key, &why);
        report_difference(&report, REPORT_MISSING, key, "", true);
    }
    finish(REPORT_PARTIAL);
    assert_true(notify_put_json(&report, "h", &out));
    assert_null(strstr(buf_str(&out), "\"details\""));
    assert_true(out.len < NOTIFY_BODY_MAX);
    assert_false(out.failed);
}

static void test_json_that_is_long(void **state)
{
    (void)state;
    check_long_json('<');
}

/* Each is six characters in JSON. */
static void test_json_of_control_characters(void **state)
{
    yyjson_doc *doc;
    struct error error;

    (void)state;
    check_long_json('\x01');
    assert_true(out.len > (size_t)10 * 6 * 1024);
    doc = json_parse(buf_str(&out), out.len, &error);
    assert_non_null(doc);
    assert_int_equal(
        yyjson_arr_size(yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "run"), "errors")), 10);
    yyjson_doc_free(doc);
}

/* The digest was made by openssl dgst -sha256 -hmac. */
static void test_signature(void **state)
{
    struct buf body;

    (void)state;
    buf_init(&body, 100);
    buf_puts(&body, "{\"test\": 2432232314}");
    assert_true(notify_sign("plain secret", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, &body, &out));
    assert_string_equal(buf_str(&out), "v1,gke7k785FD6W2FuaDcrvG3sQcmFE9YVaaAmarK4oi68=");
    buf_free(&body);
}

/* RFC 4231, test case 2. */
static void test_hmac(void **state)
{
    unsigned char hash[HASH_BYTES];
    char hex[HASH_SIZE];

    (void)state;
    hash_hmac("Jefe", 4, "what do ya want for nothing?", 28, hash);
    hash_hex(hash, sizeof hash, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void put_mail(const char *to)
{
    assert_true(notify_put_mail(
        &report,
        &(struct notify_mail){
            .from = "storsync@example.com", .to = to, .host = "web-1", .id = "0123", .now = STARTED},
        &out));
}

static void test_mail(void **state)
{
    (void)state;
    finish(REPORT_FAILED);
    put_mail("a@b, \tc@d");
    assert_string_equal(buf_str(&out),
                        "Date: Mon, 24 Nov 2025 16:00:00 +0000\r\n"
                        "From: storsync@example.com\r\n"
                        "To: a@b,\r\n c@d\r\n"
                        "Subject: [storsync-init] sync failed: prod\r\n"
                        "Message-ID: <0123@example.com>\r\n"
                        "Auto-Submitted: auto-generated\r\n"
                        "MIME-Version: 1.0\r\n"
                        "Content-Type: text/plain; charset=utf-8\r\n"
                        "Content-Transfer-Encoding: base64\r\n"
                        "\r\n"
                        "ZmFpbGVkOiBmYWlsZWQKSG9zdDogd2ViLTEKRW52aXJvbm1lbnQ6IGRldmVsb3BtZW50ClNvdXJj\r\n"
                        "ZTogZGV2CkRlc3RpbmF0aW9uOiBwcm9kClN0YXJ0ZWQ6IDIwMjUtMTEtMjRUMTY6MDA6MDAuMjUw\r\n"
                        "WgpGaW5pc2hlZDogMjAyNS0xMS0yNFQxNjowMDowMS4yNTBaCg==\r\n");
}

/* Whatever a bucket is called, the head stays as it is: one line each, ASCII. */
static void test_subject(void **state)
{
    const char *subject;

    (void)state;
    strcpy(report.destination, "b\r\nBcc: evil@example.com\r\n\r\n\xC3\xBC\xFF");
    finish(REPORT_FAILED);
    put_mail("a@b");
    subject = strstr(buf_str(&out), "Subject: ");
    assert_non_null(subject);
    assert_null(strstr(buf_str(&out), "\nBcc:"));
    assert_memory_equal(
        subject, "Subject: [storsync-init] sync failed: b??Bcc: evil@example.com???????\r\nMessage-ID: ",
        strlen("Subject: [storsync-init] sync failed: b??Bcc: evil@example.com???????\r\nMessage-ID: "));
}

static void test_date(void **state)
{
    static const struct {
        int64_t wall;
        const char *text;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {INT64_C(951782399999), "Mon, 28 Feb 2000 23:59:59 +0000"},
        {INT64_C(951782400000), "Tue, 29 Feb 2000 00:00:00 +0000"},
        {INT64_C(1798761599000), "Thu, 31 Dec 2026 23:59:59 +0000"},
        {INT64_MAX, "Thu, 01 Jan 1970 00:00:00 +0000"},
    };
    char text[CLOCK_MAIL_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        clock_format_mail(rows[i].wall, text);
        assert_string_equal(text, rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_due, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_run_before, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_that_is_long, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_json_of_control_characters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_signature, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hmac, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_mail, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_subject, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_date, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
