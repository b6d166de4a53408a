#include "pace.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* How many units are had from `from` to `to` by somebody who asks each `step` ms and takes all he gets, `unit` at a time. */
static int64_t take(struct pace *pace, int64_t from, int64_t to, int64_t step, int64_t unit)
{
    int64_t had = 0;

    for (int64_t now = from; now < to; now += step)
        while (pace_allows(pace, now)) {
            pace_spend(pace, unit);
            had += unit;
        }
    return had;
}

static void no_rate_is_no_limit(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, 0, 7);
    for (int i = 0; i < 1000; i++) {
        assert_true(pace_allows(&pace, 7));
        pace_spend(&pace, PACE_MAX);
    }
    assert_int_equal(pace_wake(&pace, 9), 9);
}

static void a_second_has_what_the_rate_says(void **state)
{
    static const int64_t rates[] = {1,   2,    3,    7,     10,    33,      100,
                                    999, 1000, 1001, 12345, 65536, 1 << 30, PACE_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        int64_t rate = rates[i], unit = rate / 1000 + 1, had;
        struct pace pace;

        pace_init(&pace, rate, 1000000);
        had = take(&pace, 1000000, 1000000 + 10000, 1, unit);
        assert_in_range(had, 10 * rate - unit, 10 * rate + rate / 10 + unit);
    }
}

static void late_by_less_than_a_tenth_costs_nothing(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, 1000, 0);
    assert_in_range(take(&pace, 0, 10000, 90, 1), 9900, 10100);
}

static void rest_is_not_saved_up(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, 100, 0);
    assert_int_equal(take(&pace, 3600000, 3600001, 1, 1), 10);
    pace_init(&pace, 3, 0);
    assert_int_equal(take(&pace, INT64_MAX / 2, INT64_MAX / 2 + 1, 1, 1), 1);
}

static void debt_is_made_up_for(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, 1000, 0);
    pace_spend(&pace, 1 + 5000);
    assert_false(pace_allows(&pace, 0));
    assert_int_equal(pace_wake(&pace, 0), 5001);
    assert_false(pace_allows(&pace, 5000));
    assert_true(pace_allows(&pace, 5001));
    assert_in_range(take(&pace, 5001, 6000, 1, 1), 998, 1000);
}

/* Not before, so that nobody asks in vain, and not a millisecond after. */
static void the_wake_is_the_first_moment(void **state)
{
    struct pace pace;

    (void)state;
    for (int64_t rate = 1; rate < 5000; rate += 17) {
        int64_t now = 500, wake;

        pace_init(&pace, rate, now);
        for (int i = 0; i < 5; i++) {
            pace_spend(&pace, 1 + i);
            wake = pace_wake(&pace, now);
            if (wake > now) {
                assert_false(pace_allows(&pace, wake - 1));
                assert_true(pace_allows(&pace, wake));
            }
            now = wake;
        }
    }
}

static void a_clock_that_stands_still_brings_nothing(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, 10, 100);
    pace_spend(&pace, 1);
    for (int i = 0; i < 1000; i++) {
        assert_false(pace_allows(&pace, 100));
        assert_false(pace_allows(&pace, 50));
    }
    assert_int_equal(pace_wake(&pace, 50), 200);
}

/* Whatever is spent, nothing overflows, and it ends. */
static void no_debt_is_endless(void **state)
{
    struct pace pace;

    (void)state;
    pace_init(&pace, PACE_MAX, 0);
    for (int i = 0; i < 1000000; i++)
        pace_spend(&pace, PACE_MAX);
    assert_in_range(pace_wake(&pace, 0), 1, 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_rate_is_no_limit),
        cmocka_unit_test(a_second_has_what_the_rate_says),
        cmocka_unit_test(late_by_less_than_a_tenth_costs_nothing),
        cmocka_unit_test(rest_is_not_saved_up),
        cmocka_unit_test(debt_is_made_up_for),
        cmocka_unit_test(the_wake_is_the_first_moment),
        cmocka_unit_test(a_clock_that_stands_still_brings_nothing),
        cmocka_unit_test(no_debt_is_endless),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
