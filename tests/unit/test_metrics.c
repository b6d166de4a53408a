/* metrics: the text line for line, what is left out, what no text may break, and counting. */
#include "metrics.h"

#include "clock.h"
#include "version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STARTED INT64_C(1764000000250) /* 2025-11-24T16:00:00.250Z */

static char text[METRICS_MAX];

static struct metrics_run run_of(enum report_mode mode, enum report_state state)
{
    return (struct metrics_run){.mode = mode,
                                .state = state,
                                .started = STARTED,
                                .finished = STARTED + 1234,
                                .copied = 42,
                                .skipped = 15,
                                .gone = 3,
                                .kept = 2,
                                .failed = 1,
                                .extra = 9,
                                .overwritten = 4,
                                .bytes = UINT64_C(13054771),
                                .checked = 60,
                                .missing = 5,
                                .different = 6,
                                .extra_checked = 7,
                                .unknown = 8};
}

static struct metrics nothing_of(const char *sync)
{
    return (struct metrics){.sync = sync,
                            .last_success = CLOCK_UNKNOWN,
                            .next_sync = CLOCK_UNKNOWN,
                            .next_validation = CLOCK_UNKNOWN};
}

static void render(const struct metrics *metrics)
{
    size_t len = metrics_render(metrics, text, sizeof text);

    assert_true(len > 0);
    assert_int_equal(len, strlen(text));
    assert_int_equal(text[len - 1], '\n');
}

/* Is there exactly this line? */
static void assert_line(const char *line)
{
    const char *at = text;
    size_t len = strlen(line);

    while (at != NULL && (strncmp(at, line, len) != 0 || at[len] != '\n')) {
        at = strchr(at, '\n');
        at = at != NULL ? at + 1 : NULL;
    }
    if (at == NULL || *at == '\0')
        fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void assert_none(const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" is in:\n%s", part, text);
}

static void test_of_a_sync(void **state)
{
    struct metrics_run run = run_of(REPORT_DEPLOY, REPORT_PARTIAL);
    struct metrics metrics = nothing_of("");

    (void)state;
    run.exit_code = 75;
    metrics.environment = "production";
    metrics.deployment_id = "v42";
    metrics.source = "dev";
    metrics.destination = "prod";
    metrics.last_sync = &run;
    metrics.last_success = STARTED - 1000;
    metrics.next_sync = STARTED + 60750;
    render(&metrics);
    assert_line("# TYPE storsync_build_info gauge");
    assert_line("storsync_build_info{version=\"" STORSYNC_VERSION "\"} 1");
    assert_line(
        "storsync_info{environment=\"production\",deployment_id=\"v42\",source=\"dev\",destination=\"prod\"} 1");
    assert_line("storsync_last_run_start_timestamp_seconds{mode=\"deploy\"} 1764000000.250");
    assert_line("storsync_last_run_end_timestamp_seconds{mode=\"deploy\"} 1764000001.484");
    assert_line("storsync_last_run_duration_seconds{mode=\"deploy\"} 1.234");
    assert_line("storsync_last_run_success{mode=\"deploy\"} 0");
    assert_line("storsync_last_run_state{mode=\"deploy\",state=\"partial\"} 1");
    assert_line("storsync_last_run_state{mode=\"deploy\",state=\"synced\"} 0");
    assert_line("storsync_last_run_state{mode=\"deploy\",state=\"interrupted\"} 0");
    assert_none("state=\"running\"");
    assert_line("storsync_last_run_exit_code{mode=\"deploy\"} 75");
    assert_line("storsync_last_run_objects{mode=\"deploy\",outcome=\"copied\"} 42");
    assert_line("storsync_last_run_objects{mode=\"deploy\",outcome=\"skipped\"} 15");
    assert_line("storsync_last_run_objects{mode=\"deploy\",outcome=\"gone\"} 3");
    assert_line("storsync_last_run_objects{mode=\"deploy\",outcome=\"kept\"} 2");
    assert_line("storsync_last_run_objects{mode=\"deploy\",outcome=\"failed\"} 1");
    assert_line("storsync_last_run_conflicts{mode=\"deploy\",resolution=\"overwritten\"} 4");
    assert_line("storsync_last_run_conflicts{mode=\"deploy\",resolution=\"kept\"} 2");
    assert_line("storsync_last_run_copied_bytes{mode=\"deploy\"} 13054771");
    assert_line("storsync_last_run_extra_objects{mode=\"deploy\"} 9");
    assert_line("storsync_last_success_timestamp_seconds 1763999999.250");
    assert_line("storsync_next_run_timestamp_seconds{mode=\"sync\"} 1764000061.000");
    assert_none("{mode=\"validate\"}");
    assert_none("validation");
    assert_none("storsync_run_");
    assert_none("_total");
}

static void test_of_a_validation_beside(void **state)
{
    struct metrics_run run = run_of(REPORT_VALIDATE, REPORT_SYNCED);
    struct metrics metrics = nothing_of(NULL);

    (void)state;
    metrics.last_validation = &run;
    metrics.last_success = STARTED;
    metrics.beside = true;
    render(&metrics);
    assert_line("storsync_last_run_success{mode=\"validate\"} 1");
    assert_line("storsync_last_validation_objects{finding=\"checked\"} 60");
    assert_line("storsync_last_validation_objects{finding=\"missing\"} 5");
    assert_line("storsync_last_validation_objects{finding=\"different\"} 6");
    assert_line("storsync_last_validation_objects{finding=\"extra\"} 7");
    assert_line("storsync_last_validation_objects{finding=\"unknown\"} 8");
    assert_none("storsync_build_info");
    assert_none("storsync_info");
    assert_none("last_success");
    assert_none("outcome");
}

static void test_of_a_process_that_stays(void **state)
{
    struct metrics_run sync = run_of(REPORT_SYNC, REPORT_SYNCED);
    struct metrics_run validation = run_of(REPORT_VALIDATE, REPORT_PARTIAL);
    struct metrics_run running = run_of(REPORT_SYNC, REPORT_RUNNING);
    struct metrics_resident resident = {.started = STARTED - 1000, .has_application = true};
    struct metrics metrics = nothing_of("");

    (void)state;
    running.finished = CLOCK_UNKNOWN;
    metrics_count(&resident, &sync);
    metrics_count(&resident, &sync);
    metrics_count(&resident, &validation);
    sync.dry_run = true;
    metrics_count(&resident, &sync);
    sync.dry_run = false;
    metrics.last_sync = &sync;
    metrics.last_validation = &validation;
    metrics.next_validation = STARTED;
    metrics.resident = &resident;
    render(&metrics);
    assert_line("process_start_time_seconds 1763999999.250");
    assert_line("storsync_application_running 0");
    assert_line("storsync_run_in_progress 0");
    assert_none("storsync_run_objects");
    assert_line("# TYPE storsync_runs_total counter");
    assert_line("storsync_runs_total{mode=\"sync\",result=\"success\"} 2");
    assert_line("storsync_runs_total{mode=\"validate\",result=\"partial\"} 1");
    assert_line("storsync_runs_total{mode=\"dry-run\",result=\"success\"} 1");
    assert_line("storsync_runs_total{mode=\"deploy\",result=\"interrupted\"} 0");
    assert_line("storsync_objects_total{outcome=\"copied\"} 126");
    assert_line("storsync_conflicts_total{resolution=\"overwritten\"} 12");
    assert_line("storsync_copied_bytes_total 39164313");
    assert_line("storsync_last_run_success{mode=\"sync\"} 1");
    assert_line("storsync_last_run_success{mode=\"validate\"} 0");
    assert_line("storsync_next_run_timestamp_seconds{mode=\"validate\"} 1764000000.250");

    resident.running = &running;
    resident.application_running = true;
    render(&metrics);
    assert_line("storsync_application_running 1");
    assert_line("storsync_run_in_progress 1");
    assert_line("storsync_run_start_timestamp_seconds{mode=\"sync\"} 1764000000.250");
    assert_line("storsync_run_objects{mode=\"sync\",outcome=\"copied\"} 42");
    assert_line("storsync_run_copied_bytes{mode=\"sync\"} 13054771");

    resident.has_application = false;
    render(&metrics);
    assert_none("storsync_application_running");
}

/* A family whose lines do not stand together, or that is told of twice, is refused by Prometheus: the whole text. */
static void test_families_stand_together(void **state)
{
    struct metrics_run run = run_of(REPORT_SYNC, REPORT_SYNCED);
    struct metrics_resident resident = {.started = STARTED, .has_application = true, .running = &run};
    struct metrics metrics = nothing_of("shop");
    char family[128] = "", seen[8192] = "";

    (void)state;
    metrics.last_sync = metrics.last_validation = &run;
    metrics.last_success = metrics.next_sync = metrics.next_validation = STARTED;
    metrics.resident = &resident;
    render(&metrics);
    for (char *rest = NULL, *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            char marked[140];

            snprintf(family, sizeof family, "%.*s", (int)strcspn(line + 7, " "), line + 7);
            snprintf(marked, sizeof marked, " %s ", family);
            assert_null(strstr(seen, marked));
            strncat(seen, marked, sizeof seen - strlen(seen) - 1);
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_memory_equal(line + 7, family, strlen(family));
        } else {
            assert_memory_equal(line, family, strlen(family));
            assert_int_equal(line[strlen(family)], '{');
            assert_non_null(strstr(line, "{sync=\"shop\""));
        }
    }
    assert_true(strlen(seen) > 500);
}

static void test_texts_do_no_harm(void **state)
{
    struct metrics metrics = nothing_of("");

    (void)state;
    metrics.deployment_id = "a\"b\\c\nd";
    metrics.source = "b\xC3\xBC"
                     "cher";
    metrics.destination = "bad\xFF\xC3";
    render(&metrics);
    assert_line("storsync_info{environment=\"\",deployment_id=\"a\\\"b\\\\c\\nd\",source=\"b\xC3\xBC"
                "cher\",destination=\"bad\xEF\xBF\xBD\xEF\xBF\xBD\"} 1");
}

static void test_clock_that_was_set_back(void **state)
{
    struct metrics_run run = run_of(REPORT_SYNC, REPORT_FAILED);
    struct metrics metrics = nothing_of("");

    (void)state;
    run.finished = run.started - 5000;
    metrics.last_sync = &run;
    render(&metrics);
    assert_line("storsync_last_run_duration_seconds{mode=\"sync\"} 0.000");
}

static void test_room(void **state)
{
    static char longest[1100];
    struct metrics_run run = run_of(REPORT_VALIDATE, REPORT_ALREADY_SYNCED);
    struct metrics_resident resident = {.started = INT64_MAX, .has_application = true, .running = &run};
    struct metrics metrics = nothing_of("0123456789012345678901234567890123456789012345678901234567890123");
    char *small;

    (void)state;
    memset(longest, '\xFF', sizeof longest - 1);
    memset(&run.copied, 0xFF, sizeof run - offsetof(struct metrics_run, copied));
    run.finished = INT64_MAX;
    memset(resident.runs, 0xFF, sizeof resident.runs);
    resident.total = run;
    metrics.deployment_id = metrics.source = metrics.destination = longest;
    metrics.last_sync = metrics.last_validation = &run;
    metrics.last_success = metrics.next_sync = metrics.next_validation = INT64_MAX;
    metrics.resident = &resident;
    render(&metrics);
    for (size_t room = strlen(text); room > 0; room = room > 97 ? room - 97 : room - 1) {
        small = malloc(room);
        assert_non_null(small);
        assert_int_equal(metrics_render(&metrics, small, room), 0);
        free(small);
    }
    assert_int_equal(metrics_render(&metrics, NULL, 0), 0);
}

static void test_taken_from_a_report(void **state)
{
    struct metrics_run run;
    struct report report;

    (void)state;
    report_init(&report, STARTED);
    report.mode = REPORT_VALIDATE;
    report.synced = 1;
    report.kept = 2;
    report.overwritten = 3;
    report.validation.lists[REPORT_EXTRA].count = 4;
    report.validation.changed = 5;
    report_finish(&report, REPORT_PARTIAL, NULL, STARTED + 1);
    metrics_take(&run, &report);
    assert_int_equal(run.mode, REPORT_VALIDATE);
    assert_int_equal(run.state, REPORT_PARTIAL);
    assert_int_equal(run.exit_code, 1);
    assert_int_equal(run.finished, STARTED + 1);
    assert_int_equal(run.copied, 1);
    assert_int_equal(run.kept, 2);
    assert_int_equal(run.overwritten, 3);
    assert_int_equal(run.extra_checked, 4);
    assert_int_equal(run.unknown, 5);
    report_free(&report);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_sync),
        cmocka_unit_test(test_of_a_validation_beside),
        cmocka_unit_test(test_of_a_process_that_stays),
        cmocka_unit_test(test_families_stand_together),
        cmocka_unit_test(test_texts_do_no_harm),
        cmocka_unit_test(test_clock_that_was_set_back),
        cmocka_unit_test(test_room),
        cmocka_unit_test(test_taken_from_a_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
