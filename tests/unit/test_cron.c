/* cron and zone: what is a schedule, and when it comes next. */
#include "clock.h"
#include "cron.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define BERLIN "CET-1CEST,M3.5.0,M10.5.0/3"
#define NEW_YORK "EST5EDT,M3.2.0,M11.1.0"
#define LORD_HOWE "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0"
#define MELBOURNE "AEST-10AEDT,M10.1.0,M4.1.0/3"

static void assert_next(const char *schedule, const char *rule, const char *from, const char *expected)
{
    struct error error = {.kind = ERROR_NONE};
    char got[CLOCK_RFC3339_SIZE];
    struct cron cron;
    struct zone zone;

    if (!cron_parse(schedule, &cron, &error))
        fail_msg("%s: %s", schedule, error.text);
    assert_true(zone_parse(rule, &zone));
    clock_format_rfc3339(cron_next(&cron, &zone, clock_parse_rfc3339(from)), got);
    if (strncmp(got, expected, strlen(expected)) != 0)
        fail_msg("%s in %s after %s: %s, not %s", schedule, rule, from, got, expected);
}

static void test_next(void **state)
{
    static const struct {
        const char *schedule, *from, *expected;
    } cases[] = {
        /* after, never at */
        {"* * * * *", "2026-11-25T12:00:00Z", "2026-11-25T12:01:00"},
        {"* * * * *", "2026-11-25T12:00:59.999Z", "2026-11-25T12:01:00"},
        {"0 3 * * *", "2026-11-25T03:00:00Z", "2026-11-26T03:00:00"},
        {"0 3 * * *", "2026-11-25T02:59:59.999Z", "2026-11-25T03:00:00"},
        {"59 23 31 12 *", "2026-12-31T23:59:00Z", "2027-12-31T23:59:00"},
        /* steps, ranges, lists, names */
        {"*/15 * * * *", "2026-11-25T12:46:00Z", "2026-11-25T13:00:00"},
        {"5-20/5 * * * *", "2026-11-25T12:20:00Z", "2026-11-25T13:05:00"},
        {"1,2,40-41 * * * *", "2026-11-25T12:02:30Z", "2026-11-25T12:40:00"},
        {"0 9-17 * * mon-fri", "2026-11-27T17:00:00Z", "2026-11-30T09:00:00"},
        {"0 0 * Jan,JUL *", "2026-11-25T00:00:00Z", "2027-01-01T00:00:00"},
        {"0 0 * * 7", "2026-11-25T00:00:00Z", "2026-11-29T00:00:00"},
        {"0 0 * * 0", "2026-11-25T00:00:00Z", "2026-11-29T00:00:00"},
        {"0 0 * * sat-sun", "2026-11-25T00:00:00Z", "2026-11-28T00:00:00"},
        {"0 0 * * 5-7", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00"},
        {" 0\t4  * * * ", "2026-11-25T00:00:00Z", "2026-11-25T04:00:00"},
        /* short ones */
        {"@hourly", "2026-11-25T12:00:00Z", "2026-11-25T13:00:00"},
        {"@daily", "2026-11-25T12:00:00Z", "2026-11-26T00:00:00"},
        {"@Midnight", "2026-11-25T12:00:00Z", "2026-11-26T00:00:00"},
        {"@weekly", "2026-11-25T12:00:00Z", "2026-11-29T00:00:00"},
        {"@monthly", "2026-11-25T12:00:00Z", "2026-12-01T00:00:00"},
        {"@yearly", "2026-11-25T12:00:00Z", "2027-01-01T00:00:00"},
        {"@annually", "2026-11-25T12:00:00Z", "2027-01-01T00:00:00"},
        /* either day is enough, if both are restricted */
        {"0 0 13 * fri", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00"},
        {"0 0 13 * fri", "2026-12-11T00:00:00Z", "2026-12-13T00:00:00"},
        {"0 0 13 * *", "2026-11-25T00:00:00Z", "2026-12-13T00:00:00"},
        {"0 0 */2 * fri", "2026-11-25T00:00:00Z", "2026-11-27T00:00:00"},
        {"0 0 */2 * sat", "2026-11-25T00:00:00Z", "2026-12-05T00:00:00"},
        {"0 0 30 2 mon", "2026-11-25T00:00:00Z", "2027-02-01T00:00:00"},
        /* months of different lengths */
        {"0 0 31 * *", "2026-08-31T00:00:00Z", "2026-10-31T00:00:00"},
        {"0 0 29 2 *", "2026-11-25T00:00:00Z", "2028-02-29T00:00:00"},
        {"0 0 29 2 *", "2096-02-29T00:00:00Z", "2104-02-29T00:00:00"},
        {"0 0 29,30 2 *", "2028-02-29T00:00:00Z", "2032-02-29T00:00:00"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_next(cases[i].schedule, "UTC", cases[i].from, cases[i].expected);
}

static void test_next_in_zones(void **state)
{
    static const struct {
        const char *schedule, *zone, *from, *expected;
    } cases[] = {
        {"0 3 * * *", BERLIN, "2026-11-25T12:00:00Z", "2026-11-26T02:00:00"},
        {"0 3 * * *", BERLIN, "2026-07-25T12:00:00Z", "2026-07-26T01:00:00"},
        {"0 0 1 * *", "JST-9", "2026-11-25T12:00:00Z", "2026-11-30T15:00:00"},
        {"15 10 * * *", "<+0545>-5:45", "2026-11-25T12:00:00Z", "2026-11-26T04:30:00"},
        {"0 12 * * sun", MELBOURNE, "2026-01-01T00:00:00Z", "2026-01-04T01:00:00"},
        {"0 12 * * sun", MELBOURNE, "2026-07-01T00:00:00Z", "2026-07-05T02:00:00"},
        /* The 29th of March, 2026: 2:00 to 3:00 is left out in Berlin, at 1:00 UTC. */
        {"30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00"},
        {"30 2 * * *", BERLIN, "2026-03-29T01:00:00Z", "2026-03-30T00:30:00"},
        {"0 3 * * *", BERLIN, "2026-03-28T12:00:00Z", "2026-03-29T01:00:00"},
        {"30 1,2,3 * * *", BERLIN, "2026-03-29T00:30:00Z", "2026-03-29T01:00:00"},
        {"30 1,2,3 * * *", BERLIN, "2026-03-29T01:00:00Z", "2026-03-29T01:30:00"},
        {"30 * * * *", BERLIN, "2026-03-29T00:30:00Z", "2026-03-29T01:30:00"},
        {"30 */2 * * *", BERLIN, "2026-03-29T00:30:00Z", "2026-03-29T02:30:00"},
        {"30 2 28 * *", BERLIN, "2026-03-28T12:00:00Z", "2026-04-28T00:30:00"},
        /* The 25th of October: 2:00 to 3:00 is there twice, from 0:00 to 2:00 UTC. */
        {"30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", "2026-10-25T00:30:00"},
        {"30 2 * * *", BERLIN, "2026-10-25T00:30:00Z", "2026-10-26T01:30:00"},
        {"30 2 * * *", BERLIN, "2026-10-25T00:45:00Z", "2026-10-26T01:30:00"},
        {"0 3 * * *", BERLIN, "2026-10-24T12:00:00Z", "2026-10-25T02:00:00"},
        {"30 * * * *", BERLIN, "2026-10-25T00:30:00Z", "2026-10-25T01:30:00"},
        {"*/20 * * * *", BERLIN, "2026-10-25T00:40:00Z", "2026-10-25T01:00:00"},
        /* By default the United States' rules. Half an hour in Lord Howe. */
        {"30 2 * * *", "EST5EDT", "2026-03-08T00:00:00Z", "2026-03-08T07:00:00"},
        {"30 1 * * *", NEW_YORK, "2026-11-01T05:30:00Z", "2026-11-02T06:30:00"},
        {"15 2 * * *", LORD_HOWE, "2026-10-03T10:00:00Z", "2026-10-03T15:30:00"},
        {"45 1 * * *", LORD_HOWE, "2026-04-04T14:45:00Z", "2026-04-05T15:15:00"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_next(cases[i].schedule, cases[i].zone, cases[i].from, cases[i].expected);
}

/* What is not a schedule: the field and the remedy are named. */
static void test_refused(void **state)
{
    static const struct {
        const char *schedule, *said;
    } cases[] = {
        {"", "0 fields"},
        {"0 3 * *", "4 fields; write five"},
        {"0 0 3 * * *", "6 fields"},
        {"@reboot", "1 fields"},
        {"60 * * * *", "minute \"60\": 0 to 59"},
        {"-1 * * * *", "minute \"-1\""},
        {"99999999999999999999 * * * *", "minute"},
        {"* 24 * * *", "hour \"24\": 0 to 23"},
        {"* * 0 * *", "day of the month \"0\": 1 to 31"},
        {"* * 32 * *", "day of the month"},
        {"* * * 13 *", "month \"13\": 1 to 12 or a name of three letters"},
        {"* * * feb-jan *", "month \"feb-jan\""},
        {"* * * * 8", "day of the week \"8\": 0 to 7"},
        {"* * * * frid", "day of the week \"frid\""},
        {"* jan * * *", "hour \"jan\""},
        {"*/0 * * * *", "minute \"*/0\""},
        {"*/60 * * * *", "minute \"*/60\""},
        {"*/ * * * *", "minute"},
        {"5/15 * * * *", "minute \"5/15\""},
        {"20-10 * * * *", "minute \"20-10\""},
        {"1- * * * *", "minute"},
        {"1,,2 * * * *", "minute \"\""},
        {"1, * * * *", "minute \"\""},
        {"** * * * *", "minute \"**\""},
        {"? * * * *", "minute \"?\""},
        {"0 0 30 2 *", "never comes"},
        {"0 0 31 2,4,6,9,11 *", "never comes"},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {.kind = ERROR_NONE};
        struct cron cron;

        if (cron_parse(cases[i].schedule, &cron, &error))
            fail_msg("\"%s\" is taken for a schedule", cases[i].schedule);
        assert_int_equal(error.kind, ERROR_CONFIG);
        if (strstr(error.text, cases[i].said) == NULL)
            fail_msg("\"%s\": %s", cases[i].schedule, error.text);
    }
}

static void test_too_long(void **state)
{
    struct error error = {.kind = ERROR_NONE};
    char text[CRON_TEXT_MAX + 20];
    struct cron cron;
    (void)state;

    memset(text, ' ', sizeof text);
    memcpy(text, "* * * * *", 9);
    text[CRON_TEXT_MAX] = '\0';
    assert_true(cron_parse(text, &cron, &error));
    text[CRON_TEXT_MAX] = ' ';
    text[CRON_TEXT_MAX + 1] = '\0';
    assert_false(cron_parse(text, &cron, &error));
}

static void test_offsets(void **state)
{
    static const struct {
        const char *zone, *when;
        int64_t minutes;
    } cases[] = {
        {"", "2026-01-01T00:00:00Z", 0},
        {"UTC", "2026-01-01T00:00:00Z", 0},
        {"UTC0", "2026-01-01T00:00:00Z", 0},
        {"XYZ-5:30:00", "2026-01-01T00:00:00Z", 330},
        {BERLIN, "2026-03-29T00:59:59Z", 60},
        {BERLIN, "2026-03-29T01:00:00Z", 120},
        {BERLIN, "2026-10-25T00:59:59Z", 120},
        {BERLIN, "2026-10-25T01:00:00Z", 60},
        {BERLIN, "2026-12-31T23:59:59Z", 60},
        {MELBOURNE, "2026-12-31T23:59:59Z", 660},
        {MELBOURNE, "2026-04-04T15:59:59Z", 660},
        {MELBOURNE, "2026-04-04T16:00:00Z", 600},
        /* days of the year, with and without the 29th of February */
        {"AAA0BBB,J60,J300", "2028-02-29T12:00:00Z", 0},
        {"AAA0BBB,J60,J300", "2028-03-01T12:00:00Z", 60},
        {"AAA0BBB,59,299", "2028-02-29T12:00:00Z", 60},
        {"AAA0BBB,59,299", "2028-02-28T12:00:00Z", 0},
        /* Greenland's rule has a negative time */
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T00:59:59Z", -120},
        {"<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-03-29T01:00:00Z", -60},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct zone zone;

        assert_true(zone_parse(cases[i].zone, &zone));
        assert_int_equal(zone_offset(&zone, clock_parse_rfc3339(cases[i].when) / 1000),
                         cases[i].minutes * 60);
    }
}

static void test_no_zones(void **state)
{
    static const char *const cases[] = {
        "Europe/Berlin",
        "CET",
        "C-1",
        "CET-1CEST,",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,J1",
        "CET-1CEST,M3.5.0,M10.5.0 ",
        "CET-25",
        "CET-1:60",
        "<CET-1",
        ":Europe/Berlin",
        "UTC0,M3.5.0,M10.5.0/3x",
        "CET-1CEST,M3.5.0/168,M10.5.0",
    };
    struct zone zone;
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (zone_parse(cases[i], &zone))
            fail_msg("\"%s\" is taken for a zone", cases[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),    cmocka_unit_test(test_next_in_zones),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_offsets), cmocka_unit_test(test_no_zones),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
