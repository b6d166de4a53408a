/* schedule: what becomes due when the clock goes on, jumps and is set back. */
#include "clock.h"
#include "schedule.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

static struct schedule schedule;

static int64_t at(const char *time)
{
    char text[40];

    snprintf(text, sizeof text, "2026-11-%sZ", time);
    return clock_parse_rfc3339(text);
}

static void set_at(const char *now, const char *cron, int64_t delay)
{
    struct wire_schedule told = {.delay = delay};

    snprintf(told.cron, sizeof told.cron, "%s", cron);
    schedule_set(&schedule, &told, at(now));
}

static int set_up(void **state)
{
    (void)state;
    memset(&schedule, 0, sizeof schedule);
    return 0;
}

/* At a time: is it begun, and when is it due next? */
static void assert_look(const char *now, bool begun, const char *due)
{
    schedule_look(&schedule, at(now));
    assert_int_equal(schedule.waiting, begun);
    assert_int_equal(schedule_due(&schedule), at(due));
    schedule.waiting = false;
}

static void test_comes_and_goes(void **state)
{
    (void)state;
    assert_int_equal(schedule_due(&schedule), INT64_MAX);
    schedule_look(&schedule, at("25T12:00:00"));
    assert_false(schedule.waiting);
    set_at("25T12:00:00", "0 3 * * *", 0);
    assert_look("25T12:00:00", false, "26T03:00:00");
    assert_look("26T02:59:59", false, "26T03:00:00");
    assert_look("26T03:00:00", true, "27T03:00:00");
    assert_look("26T03:00:01", false, "27T03:00:00");
    set_at("26T12:00:00", "", 0);
    assert_int_equal(schedule_due(&schedule), INT64_MAX);
}

/* Each run tells the schedule again. */
static void test_told_again(void **state)
{
    (void)state;
    set_at("25T12:00:00", "0 3 * * *", 0);
    schedule_look(&schedule, at("26T03:00:00"));
    assert_true(schedule.waiting);
    set_at("26T03:10:00", "0 3 * * *", 0);
    assert_true(schedule.waiting);
    set_at("26T03:10:00", "0 4 * * *", 0);
    assert_look("26T03:10:00", false, "26T04:00:00");
}

static void test_missed_ones_are_one(void **state)
{
    (void)state;
    set_at("25T12:00:00", "*/10 * * * *", 0);
    schedule_look(&schedule, at("25T12:10:00"));
    schedule_look(&schedule, at("25T12:20:00"));
    assert_look("25T12:35:00", true, "25T12:40:00");
    assert_look("25T12:36:00", false, "25T12:40:00");
    assert_look("28T00:00:00", true, "28T00:10:00"); /* asleep, or the clock jumped */
}

static void test_clock_is_set_back(void **state)
{
    (void)state;
    set_at("25T02:00:00", "0 3 * * *", 0);
    assert_look("25T03:00:00", true, "26T03:00:00");
    assert_look("25T02:59:58", false, "26T03:00:00"); /* a little: it has been done */
    assert_look("25T03:00:00", false, "26T03:00:00");
    assert_look("20T01:00:00", false, "20T03:00:00"); /* much: it was wrong before */
    assert_look("20T03:00:00", true, "21T03:00:00");
}

static void test_delay(void **state)
{
    (void)state;
    set_at("25T02:00:00", "0 3 * * *", 90000);
    assert_look("25T03:00:00", false, "25T03:01:30"); /* the clock was set just then */
    assert_look("25T03:01:30", true, "26T03:01:30");
    assert_look("25T03:02:00", false, "26T03:01:30");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_comes_and_goes, set_up),
        cmocka_unit_test_setup(test_told_again, set_up),
        cmocka_unit_test_setup(test_missed_ones_are_one, set_up),
        cmocka_unit_test_setup(test_clock_is_set_back, set_up),
        cmocka_unit_test_setup(test_delay, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
