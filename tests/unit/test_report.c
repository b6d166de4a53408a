/* report: the human log of docs/LOG.md line for line, its JSON events, the status document, sizes. */
#include "plan.h"
#include "report_log.h"

#include "clock.h"
#include "json.h"
#include "log.h"
#include "machine.h"
#include "stop.h"
#include "version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define STARTED INT64_C(1764000000000) /* 2025-11-24T16:00:00Z */

static FILE *log_file;
static char seen[262144];
static struct report report;
static struct report_log log_lines;

static int set_up(void **state)
{
    (void)state;
    log_file = tmpfile();
    if (log_file == NULL)
        return -1;
    log_to(fileno(log_file));
    log_setup(LOG_TEXT, LOG_INFO, true);
    report_init(&report, STARTED);
    report_log_listen(&log_lines, &report);
    report.detection.production = true;
    report.detection.platform = "Heroku";
    strcpy(report.detection.environment_source, "NODE_ENV=production");
    strcpy(report.detection.deployment_id, "v42");
    strcpy(report.detection.deployment_source, "HEROKU_RELEASE_VERSION");
    strcpy(report.source, "dedw3n-dev-storage");
    strcpy(report.destination, "dedw3n-production-storage");
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    report_free(&report);
    fclose(log_file);
    log_to(STDERR_FILENO);
    return 0;
}

/* Everything logged since the last time. */
static const char *output(void)
{
    int fd = fileno(log_file);
    ssize_t n = pread(fd, seen, sizeof seen - 1, 0);

    assert_true(n >= 0 && (size_t)n < sizeof seen - 1);
    seen[n] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return seen;
}

static struct object_entry entry(const char *key, uint64_t size)
{
    return (struct object_entry){.key = key, .size = size};
}

static void synced(const char *path, const char *key, uint64_t size)
{
    struct object_entry object = entry(key, size);

    report.path = path;
    report_synced(&report, &object, plan_reason_text(PLAN_MISSING));
}

static void skipped(const char *path, const char *key)
{
    struct object_entry object = entry(key, 1);

    report.path = path;
    report_skipped(&report, &object, plan_reason_text(PLAN_SAME));
}

static void failed(const char *path, const char *key, const char *why)
{
    struct error error;

    error_set(&error, ERROR_PERMISSION, "%s", why);
    error.status = 403;
    error.side = "destination";
    strcpy(error.code, "AccessDenied");
    strcpy(error.request_id, "tx1");
    report.path = path;
    report_failed(&report, key, &error);
}

static void assert_class(yyjson_val *object)
{
    assert_string_equal(json_text(object, "kind", ""), "permission");
    assert_string_equal(json_text(object, "code", ""), "AccessDenied");
    assert_int_equal(json_number(object, "httpStatus", 0), 403);
    assert_string_equal(json_text(object, "side", ""), "destination");
    assert_string_equal(json_text(object, "requestId", ""), "tx1");
}

/* ---- the human log ---- */

static void test_the_log_of_a_sync(void **state)
{
    (void)state;
    report_begin(&report);
    report_path(&report, "public/");
    synced("public/", "public/avatars/user123.png", 148808);
    synced("public/", "public/images/product456.jpg", 535736);
    skipped("public/", "public/videos/demo.mp4");
    report_path_end(&report);
    report.synced = 42;
    report.skipped = 15;
    report.total_size = 13054771;
    report_finish(&report, REPORT_SYNCED, NULL, STARTED + 1000);
    assert_string_equal(
        output(),
        "storsync-init: environment is production because NODE_ENV=production; deployment v42 (HEROKU_RELEASE_VERSION), Heroku\n"
        "=== Production Storage Sync ===\n"
        "Environment: production\n"
        "Source: dedw3n-dev-storage\n"
        "Destination: dedw3n-production-storage\n"
        "Dry Run: NO\n"
        "\n"
        "Syncing path: public/\n"
        "  \xE2\x9C\x93 Synced: avatars/user123.png (145.32 KB)\n"
        "  \xE2\x9C\x93 Synced: images/product456.jpg (523.18 KB)\n"
        "  - Skipped: videos/demo.mp4 (already up-to-date)\n"
        "storsync-init: took 1.0 s (version " STORSYNC_VERSION ")\n"
        "\n"
        "=== Sync Summary ===\n"
        "\xE2\x9C\x93 Synced: 42\n"
        "- Skipped: 15\n"
        "\xE2\x9C\x97 Failed: 0\n"
        "Total Size: 12.45 MB\n"
        "\n"
        "=== Sync Complete ===\n");
    assert_string_equal(report.message, "Synced 42 objects (12.45 MB), 15 already up to date");
}

static void test_the_log_of_a_dry_run_in_ascii(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_INFO, false);
    report.dry_run = true;
    report_begin(&report);
    report_path(&report, "");
    synced("", "a", 1);
    report_path_end(&report);
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    const char *log = output();
    assert_non_null(strstr(
        log,
        "\nDry Run: YES\n\nSyncing path: (the whole bucket)\n  + Would sync: a (1 B)\nstorsync-init: took "));
    assert_non_null(strstr(log, "\n+ Would sync: 1\n- Skipped: 0\nx Failed: 0\nTotal Size: 1 B\n\n"
                                "=== Sync Complete ===\n"));
    assert_string_equal(report.message, "Would sync 1 object (1 B), 0 already up to date");
}

static void test_failures_are_shown(void **state)
{
    (void)state;
    report_begin(&report);
    report_path(&report, "private/");
    failed("private/", "private/x", "access denied");
    report_path_end(&report);
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    const char *log = output();
    assert_non_null(strstr(log, "\n  \xE2\x9C\x97 Failed: x (access denied)\n"));
    assert_non_null(strstr(log, "\n\xE2\x9C\x97 Failed: 1\n"));
    assert_non_null(strstr(log, "\n=== Sync Complete: 1 failed ===\n"));
    assert_string_equal(report.message, "Synced 0 objects (0 B), 0 already up to date, 1 failed");
}

static void test_what_production_changed_is_counted(void **state)
{
    struct buf json, text;
    struct error error;

    (void)state;
    report_begin(&report);
    report_path(&report, "public/");
    report_overwritten(&report, "public/a");
    report_kept(&report, "public/b");
    report_kept(&report, "c");
    report_path_end(&report);
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    const char *log = output();
    assert_non_null(
        strstr(log, "\n  - Overwrote: a (changed in production)\n  - Kept: b (changed in production)\n"));
    assert_non_null(strstr(log, "\n- Overwrote: 1 changed in production\n- Kept: 2 changed in production\n"));
    assert_non_null(strstr(report.message, ", 2 kept as production changed it"));
    buf_init(&json, REPORT_DETAILS_MAX);
    buf_init(&text, REPORT_DETAILS_MAX);
    assert_true(report_json(&report, false, &json));
    assert_non_null(strstr(buf_str(&json), "\"overwrittenFiles\":1,\"keptFiles\":2"));
    assert_true(report_text(buf_str(&json), json.len, &text, &error));
    assert_non_null(strstr(buf_str(&text), "Overwrote: 1\nKept: 2\n"));
    buf_free(&json);
    buf_free(&text);
}

static void test_gone_objects_are_counted_apart(void **state)
{
    struct object_entry entry = {.key = "public/x", .size = 5};

    (void)state;
    report_begin(&report);
    report_path(&report, "public/");
    report_gone(&report, &entry);
    report_path_end(&report);
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    const char *log = output();
    assert_non_null(strstr(log, "\n  - Skipped: x (no longer at the source)\n"));
    assert_non_null(strstr(log, "\n- Skipped: 0\n- Gone: 1\n\xE2\x9C\x97 Failed: 0\n"));
    assert_string_equal(report.message, "Synced 0 objects (0 B), 0 already up to date, 1 gone");
}

static void test_the_end_of_a_failed_run(void **state)
{
    (void)state;
    struct error error;

    error_set(&error, ERROR_NO_BUCKET, "bucket dev does not exist");
    report_begin(&report);
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    assert_non_null(strstr(output(), "\n\n=== Sync Failed: bucket dev does not exist ===\n"));
    assert_string_equal(report.message, "bucket dev does not exist");

    error_set(&error, ERROR_INTERRUPTED, "interrupted by signal 15");
    report.message[0] = '\0';
    report_finish(&report, REPORT_INTERRUPTED, &error, STARTED);
    assert_non_null(strstr(output(), "\n=== Sync Interrupted: interrupted by signal 15 ===\n"));
}

static void test_a_time_limit_says_what_it_was_waiting_for(void **state)
{
    struct error error;

    (void)state;
    stop_at(1);
    assert_true(stop_requested(&error));
    report_begin(&report);
    report_progress(&report, 2, 0);
    strcpy(report.host, "s3.example.com:9000");
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    assert_string_equal(
        report.message,
        "the time limit for the whole sync passed (setting timeout); it was waiting for 2 objects under way (s3.example.com:9000)");
    stop_reset();
    report.message[0] = '\0';
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    assert_string_equal(report.message, "the time limit for the whole sync passed (setting timeout)");
}

static void test_quiet_levels_keep_what_matters(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_ERROR, true);
    report_begin(&report);
    report_path(&report, "p/");
    synced("p/", "p/a", 1);
    failed("p/", "p/b", "access denied");
    report_path_end(&report);
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    assert_string_equal(output(), "  \xE2\x9C\x97 Failed: b (access denied)\n");
}

static void test_without_a_header_only_the_message(void **state)
{
    (void)state;
    static const struct {
        enum report_state state;
        const char *line;
    } ends[] = {
        {REPORT_ALREADY_SYNCED, "storsync-init: Deployment v42 is already synced\n"},
        {REPORT_TOO_SOON,
         "storsync-init: Deployment v42 is not synced: the last automatic sync was less than min_interval ago; the next is due at 2025-11-24T16:00:00.000Z\n"},
        {REPORT_INACTIVE, "storsync-init: Development environment: no automatic sync\n"},
        {REPORT_NOTHING_TO_DO, "storsync-init: Source and destination are the same: nothing to do\n"},
    };
    struct error error;

    report.due_at = STARTED;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        report.message[0] = '\0';
        report_finish(&report, ends[i].state, NULL, STARTED);
        assert_string_equal(output(), ends[i].line);
    }
    snprintf(report.source, sizeof report.source, "replit-objstore-1-a");
    report.message[0] = '\0';
    report_finish(&report, REPORT_NOTHING_TO_DO, NULL, STARTED);
    assert_string_equal(
        output(),
        "storsync-init: Development and production share one bucket, as is usual at Replit: nothing to do\n");
    report.message[0] = '\0';
    error_set(&error, ERROR_CONFIG, "bad");
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    assert_string_equal(output(), "storsync-init: error: bad\n");
}

static void test_a_message_that_is_there_stays(void **state)
{
    (void)state;
    strcpy(report.message, "mine");
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    assert_string_equal(report.message, "mine");
    assert_true(report.finished == STARTED);
}

static void test_environment_is_told_once(void **state)
{
    (void)state;
    strcpy(report.detection.warning, "strange id");
    report_environment(&report);
    assert_string_equal(
        output(),
        "storsync-init: environment is production because NODE_ENV=production; deployment v42 (HEROKU_RELEASE_VERSION), Heroku\n"
        "storsync-init: warning: strange id\n");
    report_environment(&report);
    assert_string_equal(output(), "");
}

static void test_environment_without_anything(void **state)
{
    (void)state;
    report.detection = (struct detection){.platform = "", .hint = ""};
    strcpy(report.detection.environment_source, "default");
    report_environment(&report);
    assert_string_equal(
        output(),
        "storsync-init: environment is development because nothing says otherwise; no deployment id\n");
}

/* Said where an id would have made a difference. */
static void test_the_hint_is_for_production(void **state)
{
    static const struct {
        enum report_mode mode;
        enum report_state state;
        bool production, told;
    } rows[] = {
        {REPORT_DEPLOY, REPORT_TOO_SOON, true, true},       {REPORT_DEPLOY, REPORT_SYNCED, true, true},
        {REPORT_DEPLOY, REPORT_NOTHING_TO_DO, true, false}, {REPORT_DEPLOY, REPORT_INACTIVE, false, false},
        {REPORT_DEPLOY, REPORT_TOO_SOON, false, false},     {REPORT_SYNC, REPORT_SYNCED, true, false},
    };

    (void)state;
    report.detection.deployment_id[0] = '\0';
    report.detection.hint = "set it";
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text;

        report.mode = rows[i].mode;
        report.detection.production = rows[i].production;
        report_finish(&report, rows[i].state, NULL, STARTED);
        text = strstr(output(),
                      "storsync-init: without a deployment id only the interval decides; on Heroku set it\n");
        assert_int_equal(text != NULL, rows[i].told);
    }
}

static void test_keys_are_shown_without_the_path(void **state)
{
    (void)state;
    synced("public/", "public/", 0);
    synced("public/", "other", 0);
    synced("", "x", 0);
    assert_string_equal(output(), "  \xE2\x9C\x93 Synced: public/ (0 B)\n"
                                  "  \xE2\x9C\x93 Synced: other (0 B)\n"
                                  "  \xE2\x9C\x93 Synced: x (0 B)\n");
}

static int count_lines(const char *text, const char *with)
{
    int lines = 0;

    for (const char *at = text; (at = strstr(at, with)) != NULL; at++)
        lines++;
    return lines;
}

static void test_skipped_lines_are_limited_per_path(void **state)
{
    (void)state;
    report_path(&report, "a/");
    for (int i = 0; i < REPORT_LOG_SKIPPED; i++)
        skipped("a/", "a/x");
    report_path_end(&report);
    assert_int_equal(count_lines(output(), "Skipped"), REPORT_LOG_SKIPPED);

    report_path(&report, "b/");
    for (int i = 0; i < REPORT_LOG_SKIPPED + 23; i++)
        skipped("b/", "b/x");
    report_path_end(&report);
    const char *log = output();
    assert_int_equal(count_lines(log, "Skipped"), REPORT_LOG_SKIPPED + 1);
    assert_non_null(strstr(log, "\n  - Skipped: 23 more\n"));
    assert_int_equal(report.skipped, 2 * REPORT_LOG_SKIPPED + 23);

    log_setup(LOG_TEXT, LOG_DEBUG, true);
    report_path(&report, "c/");
    for (int i = 0; i < REPORT_LOG_SKIPPED + 23; i++)
        skipped("c/", "c/x");
    report_path_end(&report);
    log = output();
    assert_int_equal(count_lines(log, "Skipped"), REPORT_LOG_SKIPPED + 23);
}

static void test_failures_for_one_reason_are_one_line(void **state)
{
    char key[32];

    (void)state;
    report_path(&report, "a/");
    for (int i = 0; i < REPORT_LOG_FAILED + 990; i++) {
        snprintf(key, sizeof key, "a/img/%04d", i);
        failed("a/", key, "access denied");
    }
    report_path_end(&report);
    const char *log = output();
    assert_int_equal(count_lines(log, "Failed: "), REPORT_LOG_FAILED + 1);
    assert_non_null(strstr(log, "Failed: img/0009 (access denied)\n"));
    assert_non_null(strstr(
        log,
        "Failed: 990 more that begin with \"a/img/0\" (\"a/img/0010\" and so on), like the first 10 (permission, HTTP 403 AccessDenied)\n"));
    assert_int_equal(report.failed, REPORT_LOG_FAILED + 990);

    log_setup(LOG_JSON, LOG_INFO, true);
    report_path(&report, "b/");
    for (int i = 0; i < REPORT_LOG_FAILED + 2; i++)
        failed("b/", i % 2 == 0 ? "b/1" : "b/2", "access denied");
    report_path_end(&report);
    log = strstr(output(), "\"failed-more\"");
    assert_non_null(log);
    assert_non_null(
        strstr(log, "\"count\":2,\"prefix\":\"b/\",\"firstKey\":\"b/1\",\"kind\":\"permission\""));

    log_setup(LOG_TEXT, LOG_DEBUG, true);
    report_path(&report, "c/");
    for (int i = 0; i < REPORT_LOG_FAILED + 2; i++)
        failed("c/", "c/1", "access denied");
    report_path_end(&report);
    assert_int_equal(count_lines(output(), "Failed: "), REPORT_LOG_FAILED + 2);
}

/* What the terminal shows: with the rate of the last second, or of as much longer as this test takes. */
static const char *progress_line(int terminal, uint64_t moved)
{
    size_t len = 0;

    log_lines.progress_shown = 0;
    log_lines.rate.since -= 1000;
    report_progress(&report, 2, moved);
    do { /* the kernel may hand it out in pieces */
        ssize_t n = read(terminal, seen + len, sizeof seen - 1 - len);

        assert_true(n > 0);
        len += (size_t)n;
        seen[len] = '\0';
    } while (strstr(seen, "B/s") == NULL);
    return strrchr(seen, '\r') != NULL ? strrchr(seen, '\r') + 1 : seen;
}

static void test_the_progress_line_tells_the_rate(void **state)
{
    int terminal = posix_openpt(O_RDWR | O_NOCTTY), fd;
    unsigned long long hundredths = 0;
    char unit = 0;
    const char *line;

    (void)state;
    if (terminal < 0)
        skip();
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    fd = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    assert_true(fd >= 0);
    log_to(fd);
    report.state = REPORT_RUNNING;
    log_lines.rate.since = clock_mono();
    assert_string_equal(progress_line(terminal, 0),
                        "  0 synced, 0 skipped, 0 failed; 2 under way, 0 B, 0 B/s");
    line = progress_line(terminal, 2048000);
    assert_non_null(strstr(line, "; 2 under way, 1.95 MB, "));
    line = strstr(line, "MB, ") + strlen("MB, ");
    assert_int_equal(sscanf(line, "%llu.%*2u %cB/s", &hundredths, &unit), 2);
    assert_true((unit == 'M' && hundredths == 1) || (unit == 'K' && hundredths > 50)); /* 1.95, a second */
    /* of a validation */
    report.mode = REPORT_VALIDATE;
    report.validation.checked = 7;
    report.validation.read = 3;
    assert_non_null(strstr(progress_line(terminal, 2048000),
                           "  7 compared, 3 of them read; 2 under way, 1.95 MB, 0 B/s"));
    log_transient(NULL);
    close(fd);
    close(terminal);
}

/* A run that goes on says so every 30 seconds, and what it waits for. */
static void test_never_silent(void **state)
{
    (void)state;
    report_tick(&report);
    assert_string_equal(output(), "");
    log_lines.told -= REPORT_LOG_SILENCE;
    report_tick(&report);
    assert_string_equal(
        output(),
        "storsync-init: still going on: 0 objects looked at, 0 synced, 0 failed, 0 B moved, 0 B/s; waiting for the first answers of the buckets\n");
    report_tick(&report);
    assert_string_equal(output(), "");

    report.state = REPORT_RUNNING;
    report.listed = 7;
    strcpy(report.host, "s3.example.com");
    report_progress(&report, 3, 30 * 1024);
    log_lines.told -= REPORT_LOG_SILENCE;
    report_tick(&report);
    const char *said = output();
    assert_non_null(strstr(said, "7 objects looked at, 0 synced, 0 failed, 30.00 KB moved, "));
    /* 1 KiB a second, or less by what this test takes. */
    assert_true(strstr(said, " moved, 1.00 KB/s; ") != NULL || strstr(said, " B/s; ") != NULL);
    assert_non_null(strstr(said, "/s; waiting for 3 objects under way (s3.example.com)\n"));
    report.host[0] = '\0';
    report_progress(&report, 0, 30 * 1024);
    log_lines.told -= REPORT_LOG_SILENCE;
    report_tick(&report);
    assert_non_null(strstr(output(), ", 0 B/s; waiting for the listings\n"));
    report_waiting(&report, "web-2", 7);
    output();
    log_lines.told -= REPORT_LOG_SILENCE;
    log_setup(LOG_JSON, LOG_INFO, true);
    report_tick(&report);
    assert_non_null(strstr(output(), "\"waitingFor\":\"replica web-2, which is syncing\""));
}

/* ---- JSON events ---- */

/* Parses the next line at *at, and moves on. NULL at the end. */
static yyjson_doc *next_event(const char **at)
{
    const char *end = strchr(*at, '\n');
    struct error error;

    if (end == NULL)
        return NULL;
    yyjson_doc *doc = json_parse(*at, (size_t)(end - *at), &error);
    assert_non_null(doc);
    *at = end + 1;
    return doc;
}

static void test_json_events_of_a_sync(void **state)
{
    (void)state;
    static const struct {
        const char *event, *message;
    } expected[] = {
        {"environment",
         "environment is production because NODE_ENV=production; deployment v42 (HEROKU_RELEASE_VERSION), Heroku"},
        {"sync-started", "Production Storage Sync"},
        {"path", "Syncing path: p/"},
        {"synced", "Synced: a (1.00 KB)"},
        {"skipped", "Skipped: b (already up-to-date)"},
        {"failed", "Failed: c (access denied)"},
        {"summary", "Sync Summary"},
        {"sync-finished", "Sync Complete: 1 failed"},
    };

    log_setup(LOG_JSON, LOG_INFO, true);
    report_begin(&report);
    report_path(&report, "p/");
    synced("p/", "p/a", 1024);
    skipped("p/", "p/b");
    failed("p/", "p/c", "access denied");
    report_path_end(&report);
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);

    const char *at = output();
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        yyjson_doc *doc = next_event(&at);
        yyjson_val *root = yyjson_doc_get_root(doc);
        assert_string_equal(json_text(root, "event", ""), expected[i].event);
        assert_string_equal(json_text(root, "message", ""), expected[i].message);
        if (strcmp(expected[i].event, "sync-started") == 0) {
            assert_string_equal(json_text(root, "source", ""), "dedw3n-dev-storage");
            assert_false(json_flag(root, "dryRun", true));
        } else if (strcmp(expected[i].event, "synced") == 0) {
            assert_string_equal(json_text(root, "key", ""), "p/a");
            assert_int_equal(json_number(root, "size", 0), 1024);
            assert_string_equal(json_text(root, "reason", ""), "missing");
        } else if (strcmp(expected[i].event, "failed") == 0) {
            assert_class(root);
            assert_string_equal(json_text(root, "level", ""), "error");
        } else if (strcmp(expected[i].event, "summary") == 0) {
            assert_int_equal(json_number(root, "syncedFiles", 0), 1);
            assert_int_equal(json_number(root, "skippedFiles", 0), 1);
            assert_int_equal(json_number(root, "failedFiles", 0), 1);
            assert_int_equal(json_number(root, "totalSize", 0), 1024);
        } else if (strcmp(expected[i].event, "sync-finished") == 0) {
            assert_string_equal(json_text(root, "state", ""), "partial");
        }
        yyjson_doc_free(doc);
    }
    assert_null(next_event(&at));
}

static void assert_finished(enum report_state end, enum error_kind kind, const char *level,
                            const char *message)
{
    struct error error;

    error_set(&error, kind, "bad");
    report.message[0] = '\0';
    report_finish(&report, end, &error, STARTED);
    const char *at = output();
    yyjson_doc *doc = next_event(&at);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_text(root, "event", ""), "sync-finished");
    assert_string_equal(json_text(root, "level", ""), level);
    assert_string_equal(json_text(root, "message", ""), message);
    assert_string_equal(json_text(root, "result", ""), report.message);
    yyjson_doc_free(doc);
}

static void test_json_event_of_a_run_without_a_header(void **state)
{
    (void)state;
    log_setup(LOG_JSON, LOG_INFO, true);
    assert_finished(REPORT_FAILED, ERROR_CONFIG, "error", "bad");
    assert_finished(REPORT_INTERRUPTED, ERROR_INTERRUPTED, "error", "bad");
    assert_finished(REPORT_ALREADY_SYNCED, ERROR_NONE, "info", "Deployment v42 is already synced");
}

/* ---- validation ---- */

static void differ(enum report_difference kind, int count, bool all)
{
    char key[32];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "public/%d", i);
        report_difference(&report, kind, key, plan_reason_text(PLAN_SIZE), all);
    }
}

static void test_the_log_of_a_validation(void **state)
{
    (void)state;
    report.mode = REPORT_VALIDATE;
    report_begin(&report);
    report_path(&report, "public/");
    report.validation.checked = 57;
    report.validation.hashed = 40;
    differ(REPORT_MISSING, 12, false);
    report_difference(&report, REPORT_MISMATCHED, "public/m", plan_reason_text(PLAN_ETAG), false);
    report_difference(&report, REPORT_EXTRA, "public/e", plan_reason_text(PLAN_SAME), false);
    report.validation.done = true;
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    const char *log = output();
    assert_non_null(strstr(log, "\n=== Production Storage Validation ===\nEnvironment: production\n"
                                "Source: dedw3n-dev-storage\nDestination: dedw3n-production-storage\n"
                                "\nValidating path: public/\n  \xE2\x9C\x97 Missing: public/0\n"));
    assert_int_equal(count_lines(log, "  \xE2\x9C\x97 Missing: "), REPORT_DIFFERENCES_MAX);
    assert_non_null(strstr(log, "\n  \xE2\x9C\x97 Mismatched: public/m (content differs)\n"
                                "  - Extra: public/e\nstorsync-init: took 0.0 s (version " STORSYNC_VERSION
                                ")\n\n=== Validation Summary ===\nChecked: 57\nBy hash: 40\n"
                                "\xE2\x9C\x97 Missing: 12\n\xE2\x9C\x97 Mismatched: 1\n- Extra: 1\n\n"
                                "=== Validation Complete: 13 differences, 1 extra ===\n"));
    assert_false(report_valid(&report));
    assert_string_equal(report.message, "Source and destination differ: 12 missing, 1 mismatched, 1 extra");
}

static void test_an_equal_validation(void **state)
{
    (void)state;
    report.mode = REPORT_VALIDATE;
    assert_false(report_valid(&report));
    report_begin(&report);
    report.validation.checked = 1;
    report.validation.done = true;
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    assert_non_null(strstr(output(), "\n=== Validation Complete: equal ===\n"));
    assert_true(report_valid(&report));
    assert_string_equal(report.message, "Source and destination are equal: 1 object");
    assert_null(strstr(output(), "By size and time only"));
}

static void test_a_strict_validation(void **state)
{
    (void)state;
    report.mode = REPORT_VALIDATE;
    report.validation.strict = true;
    report_begin(&report);
    differ(REPORT_EXTRA, 1, false);
    report.validation.done = true;
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    assert_false(report_valid(&report));
    assert_int_equal(report_exit_code(&report), 1);
    const char *log = output();
    assert_non_null(strstr(log, "\nStrict: extra objects are differences\n"));
    assert_non_null(strstr(log, "\n  \xE2\x9C\x97 Extra: public/0\n"));
    assert_non_null(strstr(log, "\n=== Validation Complete: 1 difference ===\n"));
}

static void test_a_validation_with_content(void **state)
{
    (void)state;
    report.mode = REPORT_VALIDATE;
    report.validation.percent = 10;
    report.validation.seed = 77;
    report_begin(&report);
    report_path(&report, "public/");
    report_changed(&report, "public/c");
    differ(REPORT_EXTRA, 1, false);
    report.validation.done = true;
    report.validation.checked = 57;
    report.validation.hashed = 40;
    report.validation.read = 5;
    report.validation.unhashed = 11;
    report.validation.bytes = 2048;
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    assert_true(report_valid(&report));
    assert_string_equal(
        report.message,
        "Source and destination are equal: 57 objects, 5 of them by reading, 11 of them by size and time only, 1 changed meanwhile, 1 extra at the destination");
    const char *log = output();
    assert_non_null(strstr(log, "\nContent: 10 % of what no hash compares is read (content_seed 77)\n"));
    assert_non_null(strstr(log, "\n  - Skipped: public/c (changed while it was compared)\n"));
    assert_non_null(strstr(log, "\nChecked: 57\nBy hash: 40\nBy reading: 5 (2.00 KB)\n"
                                "By size and time only: 11\n- Changed meanwhile: 1\n"));
    assert_non_null(strstr(log, "\n=== Validation Complete: equal, 1 extra ===\n"));
}

static void test_what_could_not_be_compared_by_hash_is_told(void **state)
{
    (void)state;
    report.mode = REPORT_VALIDATE;
    report_begin(&report);
    report.validation.done = true;
    report.validation.checked = 5;
    report.validation.unhashed = 2;
    report_finish(&report, REPORT_SYNCED, NULL, STARTED);
    assert_string_equal(report.message,
                        "Source and destination are equal: 5 objects, 2 of them by size and time only");
    assert_non_null(strstr(output(), "\nBy size and time only: 2\n"));
}

/* ---- the document ---- */

static yyjson_doc *document(void)
{
    struct buf out;
    struct error error;

    buf_init(&out, JSON_MAX);
    assert_true(report_json(&report, true, &out));
    yyjson_doc *doc = json_parse(buf_str(&out), out.len, &error);
    assert_non_null(doc);
    buf_free(&out);
    return doc;
}

static void test_document_of_a_sync(void **state)
{
    (void)state;
    report.configured = true;
    synced("p/", "p/a", UINT64_C(5) << 40);
    for (int i = 0; i < REPORT_ERRORS_MAX + 2; i++)
        failed("p/", "p/\xFF\n", "access denied");
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED + 1234);

    yyjson_doc *doc = document();
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_int_equal(json_number(root, "schema", 0), REPORT_SCHEMA);
    assert_string_equal(json_text(root, "version", ""), STORSYNC_VERSION);
    assert_string_equal(json_text(root, "mode", ""), "deploy");
    assert_string_equal(json_text(root, "state", ""), "partial");
    assert_false(json_flag(root, "success", true));
    assert_string_equal(json_text(root, "message", ""), report.message);
    assert_string_equal(json_text(root, "environment", ""), "production");
    assert_string_equal(json_text(root, "environmentSource", ""), "NODE_ENV=production");
    assert_string_equal(json_text(root, "platform", ""), "Heroku");
    assert_string_equal(json_text(root, "deploymentId", ""), "v42");
    assert_string_equal(json_text(root, "deploymentSource", ""), "HEROKU_RELEASE_VERSION");
    assert_true(json_flag(root, "configured", false));
    assert_true(json_flag(root, "hookActive", false));
    assert_false(json_flag(root, "dryRun", true));
    assert_string_equal(json_text(root, "source", ""), "dedw3n-dev-storage");
    assert_string_equal(json_text(root, "destination", ""), "dedw3n-production-storage");
    assert_string_equal(json_text(root, "startedAt", ""), "2025-11-24T16:00:00.000Z");
    assert_string_equal(json_text(root, "finishedAt", ""), "2025-11-24T16:00:01.234Z");
    assert_int_equal(json_number(root, "syncedFiles", 0), 1);
    assert_int_equal(json_number(root, "failedFiles", 0), REPORT_ERRORS_MAX + 2);
    assert_true(json_number(root, "totalSize", 0) == INT64_C(5) << 40);
    yyjson_val *errors = yyjson_obj_get(root, "errors");
    assert_int_equal(yyjson_arr_size(errors), REPORT_ERRORS_MAX);
    yyjson_val *error = yyjson_arr_get(errors, 0);
    assert_string_equal(json_text(error, "file", ""), "p/\xEF\xBF\xBD\n");
    assert_string_equal(json_text(error, "error", ""), "access denied");
    assert_class(error);
    assert_null(yyjson_obj_get(root, "valid"));
    yyjson_doc_free(doc);
}

static void test_document_of_a_run_that_failed(void **state)
{
    struct error error;

    (void)state;
    error_set(&error, ERROR_PERMISSION, "access denied");
    error.status = 403;
    error.side = "destination";
    strcpy(error.code, "AccessDenied");
    strcpy(error.request_id, "tx1");
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    yyjson_doc *doc = document();
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_class(yyjson_obj_get(root, "error"));
    assert_int_equal(json_number(root, "exitCode", 0), 77);
    yyjson_doc_free(doc);
}

static void test_document_during_the_run(void **state)
{
    (void)state;
    report_begin(&report);
    yyjson_doc *doc = document();
    yyjson_val *root = yyjson_doc_get_root(doc);

    assert_string_equal(json_text(root, "state", ""), "running");
    assert_false(json_flag(root, "success", true));
    assert_true(yyjson_is_null(yyjson_obj_get(root, "finishedAt")));
    assert_true(yyjson_is_null(yyjson_obj_get(root, "error")));
    assert_true(yyjson_is_null(yyjson_obj_get(root, "exitCode")));
    assert_string_not_equal(json_text(root, "message", ""), "");
    yyjson_doc_free(doc);
}

static yyjson_val *details_list(yyjson_doc *doc, const char *name)
{
    return yyjson_obj_get(yyjson_obj_get(yyjson_doc_get_root(doc), "details"), name);
}

static void test_document_of_a_validation(void **state)
{
    (void)state;
    differ(REPORT_MISSING, 12, false);
    differ(REPORT_MISMATCHED, 1, false);
    report.validation.checked = 20;
    report.validation.unhashed = 3;
    report.validation.hashed = 4;
    report.validation.read = 5;
    report.validation.changed = 6;
    report.validation.bytes = 7;
    report.validation.percent = 10;
    report.validation.seed = 8;
    report.validation.strict = true;
    report.validation.done = true;
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    yyjson_doc *doc = document();
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_false(json_flag(root, "valid", true));
    assert_int_equal(json_number(root, "checkedFiles", 0), 20);
    assert_int_equal(json_number(root, "unhashedFiles", 0), 3);
    assert_int_equal(json_number(root, "hashedFiles", 0), 4);
    assert_int_equal(json_number(root, "readFiles", 0), 5);
    assert_int_equal(json_number(root, "changedFiles", 0), 6);
    assert_int_equal(json_number(root, "bytesRead", 0), 7);
    assert_int_equal(json_number(root, "contentPercent", 0), 10);
    assert_int_equal(json_number(root, "contentSeed", 0), 8);
    assert_true(json_flag(root, "strict", false));
    assert_int_equal(json_number(root, "missingFiles", 0), 12);
    assert_int_equal(json_number(root, "mismatchedFiles", 0), 1);
    assert_int_equal(json_number(root, "extraFiles", -1), 0);
    assert_int_equal(yyjson_arr_size(details_list(doc, "missing")), REPORT_DIFFERENCES_MAX);
    assert_string_equal(yyjson_get_str(yyjson_arr_get(details_list(doc, "missing"), 9)), "public/9");
    yyjson_val *mismatched = yyjson_arr_get(details_list(doc, "mismatched"), 0);
    assert_string_equal(json_text(mismatched, "file", ""), "public/0");
    assert_string_equal(json_text(mismatched, "reason", ""), "size differs");
    assert_true(yyjson_is_arr(details_list(doc, "extra")));
    assert_true(json_flag(yyjson_obj_get(root, "details"), "truncated", false));
    yyjson_doc_free(doc);
}

static void test_document_with_all_differences(void **state)
{
    (void)state;
    differ(REPORT_EXTRA, 2000, true);
    report.validation.done = true;
    yyjson_doc *doc = document();
    assert_int_equal(yyjson_arr_size(details_list(doc, "extra")), 2000);
    assert_string_equal(yyjson_get_str(yyjson_arr_get(details_list(doc, "extra"), 1999)), "public/1999");
    assert_false(yyjson_get_bool(details_list(doc, "truncated")));
    yyjson_doc_free(doc);
}

static void test_lists_have_a_ceiling(void **state)
{
    (void)state;
    char key[1025];

    /* Every byte takes six in JSON: the greatest documents there are. */
    memset(key, '\x01', 1024);
    key[1024] = '\0';
    for (int i = 0; i < 60; i++)
        report_difference(&report, REPORT_MISMATCHED, key, plan_reason_text(PLAN_SIZE), true);
    /* A short one would still have room, but the list is the first ones. */
    report_difference(&report, REPORT_MISMATCHED, "short", plan_reason_text(PLAN_SIZE), true);
    for (int i = 0; i < 60; i++)
        report_difference(&report, REPORT_MISSING, key, plan_reason_text(PLAN_MISSING), true);
    for (int i = 0; i < 60; i++)
        report_difference(&report, REPORT_EXTRA, key, plan_reason_text(PLAN_MISSING), true);
    for (int i = 0; i < REPORT_ERRORS_MAX; i++)
        failed("", key, key);
    memset(report.message, '\x01', sizeof report.message - 1);
    memset(report.source, '\x01', sizeof report.source - 1);
    memset(report.destination, '\x01', sizeof report.destination - 1);
    report.validation.done = true;

    yyjson_doc *doc = document();
    yyjson_val *list = details_list(doc, "mismatched");
    size_t listed = yyjson_arr_size(list);
    assert_int_equal(json_number(yyjson_doc_get_root(doc), "mismatchedFiles", 0), 61);
    assert_true(listed > 30 && listed < 60);
    assert_string_equal(json_text(yyjson_arr_get(list, listed - 1), "file", ""), key);
    assert_true(yyjson_get_bool(details_list(doc, "truncated")));
    yyjson_doc_free(doc);
}

static void test_document_without_room(void **state)
{
    (void)state;
    struct buf out;

    buf_init(&out, 100);
    assert_false(report_json(&report, false, &out));
    buf_free(&out);
}

/* ---- the document as text ---- */

static void blank_time(char *at)
{
    assert_non_null(at);
    for (; *at != '\n'; at++)
        if (*at >= '0' && *at <= '9')
            *at = '_';
}

static void assert_text(const char *json, const char *expected)
{
    struct buf text;
    struct error error;

    buf_init(&text, JSON_MAX);
    assert_true(report_text(json, strlen(json), &text, &error));
    assert_string_equal(buf_str(&text), expected);
    buf_free(&text);
}

static void test_text_of_a_run_that_has_died(void **state)
{
    (void)state;
    assert_text("{\"state\":\"running\",\"updatedAt\":\"2025-11-24T16:00:00.000Z\"}",
                "State: running (not updated for over a minute: that run has died)\n"
                "Updated: 2025-11-24T16:00:00.000Z\n");
    assert_text("{\"state\":\"failed\",\"updatedAt\":\"2025-11-24T16:00:00.000Z\"}",
                "State: failed\nUpdated: 2025-11-24T16:00:00.000Z\n");
}

/* Where that can be known, at once. The pid is nobody's. */
static void test_text_of_a_run_whose_process_is_gone(void **state)
{
    struct machine_process self;
    char json[400];

    (void)state;
    machine_self(&self);
    snprintf(json, sizeof json, "{\"state\":\"running\",\"machine\":\"%s\",\"pid\":%d,\"pidStarted\":1}",
             self.machine, INT_MAX);
    assert_text(json, "State: running (its process is gone: that run has died)\n");
    snprintf(json, sizeof json, "{\"state\":\"running\",\"machine\":\"another\",\"pid\":%d}", INT_MAX);
    assert_text(json, "State: running\n");
}

static void test_text_with_a_run_by_hand(void **state)
{
    (void)state;
    assert_text(
        "{\"state\":\"synced\",\"manual\":{\"state\":\"running\",\"message\":\"Syncing\",\"startedAt\":\"s\",\"finishedAt\":null,\"updatedAt\":\"2025-11-24T16:00:00.000Z\"}}",
        "State: synced\n"
        "By hand: running (not updated for over a minute: that run has died)\n"
        "By hand, message: Syncing\nBy hand, started: s\n");
}

static void test_a_document_says_whose_run_it_is(void **state)
{
    yyjson_doc *doc;
    yyjson_val *root;
    struct machine_process self;

    (void)state;
    machine_self(&self);
    report.by_hand = true;
    strcpy(report.job, "shop");
    doc = document();
    root = yyjson_doc_get_root(doc);
    assert_true(json_flag(root, "byHand", false));
    assert_string_equal(json_text(root, "job", ""), "shop");
    assert_string_equal(json_text(root, "machine", ""), self.machine);
    assert_int_equal(json_number(root, "pid", 0), getpid());
    assert_int_equal(json_number(root, "pidStarted", 0), self.started);
    assert_null(yyjson_obj_get(root, "durationMs"));
    yyjson_doc_free(doc);
    report_finish(&report, REPORT_SYNCED, NULL, STARTED + 1234);
    doc = document();
    root = yyjson_doc_get_root(doc);
    assert_int_equal(json_number(root, "durationMs", 0), 1234);
    assert_string_equal(json_text(root, "version", ""), STORSYNC_VERSION);
    assert_null(yyjson_obj_get(root, "pid"));
    assert_string_equal(json_text(yyjson_obj_get(root, "lastSync"), "job", ""), "shop");
    yyjson_doc_free(doc);
}

/* The last sync stays in the document through runs that do not sync. */
static void test_the_last_sync_is_kept(void **state)
{
    static const char line[] = "Last sync: 2025-11-24T16:00:01.000Z, deployment v42, 1 synced (2.00 KB)\n";
    struct buf json, text;
    struct error error;

    (void)state;
    synced("p/", "p/a", 2048);
    report_finish(&report, REPORT_SYNCED, NULL, STARTED + 1000);
    buf_init(&json, JSON_MAX);
    buf_init(&text, JSON_MAX);
    for (int run = 0; run < 3; run++) {
        buf_clear(&json);
        buf_clear(&text);
        assert_true(report_json(&report, false, &json));
        assert_true(report_text(json.data, json.len, &text, &error));
        assert_non_null(strstr(buf_str(&text), line));
        report_free(&report);
        report_init(&report, STARTED);
        report_remember(&report, json.data, json.len);
        report_finish(&report, run == 0 ? REPORT_FAILED : REPORT_TOO_SOON, NULL, STARTED + 5000);
    }
    report_remember(&report, "no document", 11);
    assert_string_equal(report.last.finished_at, "");
    buf_free(&json);
    buf_free(&text);
}

static void test_text_of_a_document(void **state)
{
    (void)state;
    struct buf json;
    struct buf text;
    struct error error;

    synced("p/", "p/a", 2048);
    failed("p/", "p/b\n", "access denied");
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED + 1000);
    buf_init(&json, JSON_MAX);
    buf_init(&text, JSON_MAX);
    assert_true(report_json(&report, false, &json));
    assert_true(report_text(json.data, json.len, &text, &error));
    blank_time(strstr(text.data, "Updated: "));
    assert_string_equal(buf_str(&text), "State: partial\n"
                                        "Message: Synced 1 object (2.00 KB), 0 already up to date, 1 failed\n"
                                        "Environment: production (NODE_ENV=production)\n"
                                        "Platform: Heroku\n"
                                        "Deployment: v42 (HEROKU_RELEASE_VERSION)\n"
                                        "Configured: no\n"
                                        "Hook active: yes\n"
                                        "Mode: deploy\n"
                                        "Source: dedw3n-dev-storage\n"
                                        "Destination: dedw3n-production-storage\n"
                                        "Dry run: no\n"
                                        "Started: 2025-11-24T16:00:00.000Z\n"
                                        "Finished: 2025-11-24T16:00:01.000Z\n"
                                        "Updated: ____-__-__T__:__:__.___Z\n"
                                        "Synced: 1\n"
                                        "Skipped: 0\n"
                                        "Gone: 0\n"
                                        "Failed: 1\n"
                                        "Total size: 2.00 KB\n"
                                        "Errors:\n"
                                        "  p/b\\x0a (access denied)\n");
    buf_free(&json);
    buf_free(&text);
}

static void test_text_of_a_validation(void **state)
{
    (void)state;
    struct buf text;
    struct error error;
    static const char json[] =
        "{\"state\":\"partial\",\"valid\":false,\"checkedFiles\":3,\"missingFiles\":11,\"mismatchedFiles\":1,\"extraFiles\":0,\"details\":{\"missing\":[\"a\"],\"mismatched\":[{\"file\":\"b\",\"reason\":\"size differs\"},7],\"extra\":[],\"truncated\":true}}";

    buf_init(&text, JSON_MAX);
    assert_true(report_text(json, sizeof json - 1, &text, &error));
    assert_string_equal(buf_str(&text),
                        "State: partial\nValid: no\nChecked: 3\nMissing: 11\nMismatched: 1\nExtra: 0\n"
                        "Missing files:\n  a\nMismatched files:\n  b (size differs)\n  ?\n"
                        "  (not all are listed)\n");
    buf_free(&text);
}

static void test_text_of_what_is_no_document(void **state)
{
    (void)state;
    struct buf text;
    struct error error;

    buf_init(&text, JSON_MAX);
    assert_false(report_text("[]", 2, &text, &error));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    assert_false(report_text("", 0, &text, &error));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    buf_free(&text);

    buf_init(&text, 4);
    assert_false(report_text("{\"state\":\"synced\"}", 18, &text, &error));
    assert_int_equal(error.kind, ERROR_LOCAL);
    buf_free(&text);
}

/* ---- small things ---- */

static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        uint64_t bytes;
        const char *text;
    } sizes[] = {
        {0, "0 B"},
        {512, "512 B"},
        {1023, "1023 B"},
        {1024, "1.00 KB"},
        {1029, "1.00 KB"}, /* .00488 */
        {1030, "1.01 KB"}, /* .00586 */
        {1536, "1.50 KB"},
        {148808, "145.32 KB"},
        {1048570, "1023.99 KB"},
        {1048571, "1.00 MB"}, /* 1,023.9951 KB */
        {1048576, "1.00 MB"},
        {13054771, "12.45 MB"},
        {UINT64_C(1) << 30, "1.00 GB"},
        {UINT64_C(1) << 40, "1.00 TB"},
        {(UINT64_C(1) << 40) - 1, "1.00 TB"},
        {UINT64_C(1) << 50, "1024.00 TB"},
        {UINT64_MAX, "16777216.00 TB"},
    };
    char out[32];

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_string_equal(report_size(sizes[i].bytes, out), sizes[i].text);
}

static void test_states(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        bool healthy;
    } all[] = {
        {"starting", false},      {"running", false}, {"waiting", false},     {"synced", true},
        {"already-synced", true}, {"too-soon", true}, {"inactive", true},     {"nothing-to-do", true},
        {"partial", false},       {"failed", false},  {"interrupted", false},
    };
    enum report_state found;

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        assert_true(report_state_parse(all[i].name, &found));
        assert_string_equal(report_state_name(found), all[i].name);
        assert_int_equal(report_state_healthy(found), all[i].healthy);
    }
    assert_false(report_state_parse("Synced", &found));
    assert_false(report_state_parse("", &found));
}

static void assert_brief(size_t max, const char *expected)
{
    struct buf out;

    buf_init(&out, max);
    report_brief(&report, &out);
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

static void test_in_brief(void **state)
{
    (void)state;
    struct error error;

    report_finish(&report, REPORT_ALREADY_SYNCED, NULL, STARTED);
    assert_brief(4096, "already-synced: Deployment v42 is already synced\n");
    report.message[0] = '\0';
    error_set(&error, ERROR_NO_BUCKET, "bucket dev does not exist");
    report_finish(&report, REPORT_FAILED, &error, STARTED);
    assert_brief(4096, "failed: bucket dev does not exist\n");
    report.deleted = 2;
    assert_brief(4096, "failed: bucket dev does not exist\n"
                       "Synced 0 objects (0 B), 0 already up to date, 2 removed\n");
    report.deleted = 0;
    synced("p/", "p/a", 512);
    failed("p/", "p/b\n\xE2\x80\xAE", "access denied");
    assert_brief(4096, "failed: bucket dev does not exist\n"
                       "Synced 1 object (512 B), 0 already up to date, 1 failed\n"
                       "p/b\\x0a\\xe2\\x80\\xae: access denied\n");
    report.message[0] = '\0';
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    assert_brief(4096, "partial: Synced 1 object (512 B), 0 already up to date, 1 failed\n"
                       "p/b\\x0a\\xe2\\x80\\xae: access denied\n");
}

static void test_in_brief_only_whole_lines(void **state)
{
    (void)state;
    char key[1025];
    struct buf out;

    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    for (int i = 0; i < 40; i++)
        failed("p/", key, "access denied");
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    key[250] = '\0';
    buf_init(&out, 1000);
    report_brief(&report, &out);
    assert_true(out.len <= 1000 && !out.failed);
    const char *tail = "k: access denied\nand 37 more: see the log\n";
    assert_string_equal(buf_str(&out) + out.len - strlen(tail), tail);
    buf_free(&out);
    assert_brief(100, "and 40 more: see the log\n");
    assert_brief(10, "");
}

static void test_progress_stays_out_of_files(void **state)
{
    (void)state;
    report_progress(&report, 3, 1024);
    assert_string_equal(output(), "");
    assert_int_equal(report.active, 3);
    assert_int_equal(report.moved, 1024);
}

/* ---- listeners ---- */

#define HEARD_MAX 32

struct hearer {
    struct report_listener listener;
    struct hearer *after; /* NULL, or one that has to have heard it before */
    enum report_event_kind heard[HEARD_MAX];
    int count;
};

/* The facts are up to date by the time that somebody hears of them. */
static void assert_facts(const struct report *now, const struct report_event *event)
{
    switch (event->kind) {
    case REPORT_EVENT_WAITING:
        assert_int_equal(now->state, REPORT_WAITING);
        assert_string_equal(now->waiting_for, "web-2");
        assert_int_equal(now->waiting_epoch, 7);
        break;
    case REPORT_EVENT_LEASED:
        assert_int_equal(now->lease, REPORT_ADVISORY);
        break;
    case REPORT_EVENT_BEGUN:
        assert_int_equal(now->state, REPORT_RUNNING);
        break;
    case REPORT_EVENT_SYNCED:
        assert_int_equal(now->synced, 1);
        assert_int_equal(now->total_size, event->size);
        assert_string_equal(event->key, "p/a");
        assert_string_equal(event->reason, "missing");
        assert_string_equal(now->path, "p/");
        break;
    case REPORT_EVENT_FAILED:
        assert_int_equal(now->failed, 1);
        assert_string_equal(now->failures[0].error.text, event->error->text);
        break;
    case REPORT_EVENT_DIFFERENCE:
        assert_int_equal(now->validation.lists[event->difference].count, 1);
        break;
    case REPORT_EVENT_PATH_END:
        assert_string_equal(now->path, "p/");
        break;
    case REPORT_EVENT_FINISHED:
        assert_string_not_equal(now->message, "");
        break;
    default:
        break;
    }
}

static void hear(void *ctx, const struct report *now, const struct report_event *event)
{
    struct hearer *hearer = ctx;

    assert_true(hearer->count < HEARD_MAX);
    hearer->heard[hearer->count++] = event->kind;
    assert_true(hearer->after == NULL || hearer->after->count == hearer->count);
    assert_facts(now, event);
}

static void test_every_listener_hears_all_that_happens(void **state)
{
    static const enum report_event_kind all[] = {
        REPORT_EVENT_STARTING,   REPORT_EVENT_ENVIRONMENT, REPORT_EVENT_WAITING,  REPORT_EVENT_LEASED,
        REPORT_EVENT_BEGUN,      REPORT_EVENT_PATH,        REPORT_EVENT_SYNCED,   REPORT_EVENT_SKIPPED,
        REPORT_EVENT_FAILED,     REPORT_EVENT_GONE,        REPORT_EVENT_PROGRESS, REPORT_EVENT_TICK,
        REPORT_EVENT_DIFFERENCE, REPORT_EVENT_PATH_END,    REPORT_EVENT_FINISHED,
    };
    struct hearer first = {.listener = {.event = hear, .ctx = &first}};
    struct hearer second = {.listener = {.event = hear, .ctx = &second}, .after = &first};
    struct object_entry gone = entry("p/g", 1);

    (void)state;
    report_listen(&report, &first.listener);
    report_listen(&report, &second.listener);
    report_starting(&report);
    report_environment(&report);
    report_waiting(&report, "web-2", 7);
    report_leased(&report, true);
    report_begin(&report);
    report_path(&report, "p/");
    synced("p/", "p/a", 9);
    skipped("p/", "p/b");
    failed("p/", "p/c", "access denied");
    report_gone(&report, &gone);
    report_progress(&report, 1, 9);
    report_tick(&report);
    report_difference(&report, REPORT_EXTRA, "p/e", plan_reason_text(PLAN_SAME), false);
    report_path_end(&report);
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED);
    assert_int_equal(second.count, sizeof all / sizeof *all);
    assert_memory_equal(first.heard, all, sizeof all);
    assert_memory_equal(second.heard, all, sizeof all);
    assert_null(report.path);
}

static void test_the_log_of_waiting_and_of_an_advisory_lease(void **state)
{
    (void)state;
    report_waiting(&report, "web-2", 7);
    report_leased(&report, false);
    assert_string_equal(output(), "storsync-init: waiting for replica web-2, which is syncing\n");
    report_leased(&report, true);
    assert_non_null(strstr(output(), "storsync-init: warning: dedw3n-production-storage cannot create"));
    log_setup(LOG_JSON, LOG_INFO, true);
    report_waiting(&report, "web-2", 7);
    const char *at = output();
    yyjson_doc *doc = next_event(&at);
    yyjson_val *root = yyjson_doc_get_root(doc);
    assert_string_equal(json_text(root, "event", ""), "waiting");
    assert_string_equal(json_text(root, "message", ""), "waiting for replica web-2, which is syncing");
    assert_string_equal(json_text(root, "owner", ""), "web-2");
    assert_int_equal(json_number(root, "epoch", 0), 7);
    yyjson_doc_free(doc);
    doc = document();
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "lease", ""), "advisory");
    assert_string_equal(json_text(yyjson_doc_get_root(doc), "waitingFor", ""), "web-2");
    yyjson_doc_free(doc);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(test_##name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_log_of_a_sync),
        TEST(the_log_of_a_dry_run_in_ascii),
        TEST(failures_are_shown),
        TEST(gone_objects_are_counted_apart),
        TEST(what_production_changed_is_counted),
        TEST(the_end_of_a_failed_run),
        TEST(a_time_limit_says_what_it_was_waiting_for),
        TEST(quiet_levels_keep_what_matters),
        TEST(without_a_header_only_the_message),
        TEST(a_message_that_is_there_stays),
        TEST(environment_is_told_once),
        TEST(environment_without_anything),
        TEST(the_hint_is_for_production),
        TEST(keys_are_shown_without_the_path),
        TEST(skipped_lines_are_limited_per_path),
        TEST(failures_for_one_reason_are_one_line),
        TEST(the_progress_line_tells_the_rate),
        TEST(never_silent),
        TEST(json_events_of_a_sync),
        TEST(json_event_of_a_run_without_a_header),
        TEST(the_log_of_a_validation),
        TEST(an_equal_validation),
        TEST(a_strict_validation),
        TEST(a_validation_with_content),
        TEST(what_could_not_be_compared_by_hash_is_told),
        TEST(document_of_a_sync),
        TEST(document_of_a_run_that_failed),
        TEST(document_during_the_run),
        TEST(document_of_a_validation),
        TEST(document_with_all_differences),
        TEST(lists_have_a_ceiling),
        TEST(document_without_room),
        TEST(text_of_a_run_that_has_died),
        TEST(text_of_a_run_whose_process_is_gone),
        TEST(text_with_a_run_by_hand),
        TEST(a_document_says_whose_run_it_is),
        TEST(the_last_sync_is_kept),
        TEST(text_of_a_document),
        TEST(text_of_a_validation),
        TEST(text_of_what_is_no_document),
        TEST(sizes),
        TEST(states),
        TEST(in_brief),
        TEST(in_brief_only_whole_lines),
        TEST(progress_stays_out_of_files),
        TEST(every_listener_hears_all_that_happens),
        TEST(the_log_of_waiting_and_of_an_advisory_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
