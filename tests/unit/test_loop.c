/* The loop without a network: when a turn sleeps, and what ends it. */
#include "clock.h"
#include "loop_fixture.h"
#include "stop.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define LONG INT64_C(50000) /* ms; what has to be woken from */

static struct loop *loop;
static struct error why;

static int set_up(void **state)
{
    (void)state;
    stop_reset();
    loop = loop_make();
    return stop_init(&why) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    loop_free(loop);
    stop_close();
    stop_reset();
    return 0;
}

static void a_turn_sleeps_until_its_time(void **state)
{
    int64_t until = clock_mono() + 30;
    int turns = 0;

    (void)state;
    while (clock_mono() < until) {
        assert_true(loop_turn(loop, false, until, &why));
        turns++;
    }
    assert_true(turns <= 2); /* poll may be early by less than a millisecond */
}

static void what_has_moved_or_is_due_is_not_slept_over(void **state)
{
    int64_t begin = clock_mono();

    (void)state;
    assert_true(loop_turn(loop, true, begin + LONG, &why));
    assert_true(loop_turn(loop, false, begin, &why));
    assert_true(loop_turn(loop, false, 0, &why));
    loop_tidy(loop, true, begin + LONG);
    loop_tidy(loop, false, begin);
    assert_true(clock_mono() - begin < LONG);
}

static void no_turn_is_longer_than_a_second_or_so(void **state)
{
    int64_t begin = clock_mono();

    (void)state;
    assert_true(loop_turn(loop, false, INT64_MAX, &why));
    assert_true(clock_mono() - begin < LONG);
}

static void who_waits_for_time_only_is_not_slept_over(void **state)
{
    int64_t begin = clock_mono();

    (void)state;
    for (int i = 0; i < 60; i++) { /* at a second each it would take longer */
        loop_wake(loop, begin + LONG);
        loop_wake(loop, begin);
        assert_true(loop_turn(loop, false, INT64_MAX, &why));
    }
    assert_true(clock_mono() - begin < LONG);
}

static void to_be_woken_is_a_matter_of_one_turn(void **state)
{
    (void)state;
    loop_wake(loop, 0);
    assert_true(loop_turn(loop, true, INT64_MAX, &why));
    a_turn_sleeps_until_its_time(NULL);
}

static void raise_a_signal(void *ctx)
{
    (void)ctx;
    stop_signal(SIGTERM);
}

static void a_signal_ends_a_turn_and_those_after_it(void **state)
{
    int64_t begin = clock_mono();

    (void)state;
    loop_watch(loop, raise_a_signal, NULL);
    assert_false(loop_turn(loop, false, begin + LONG, &why));
    assert_int_equal(why.kind, ERROR_INTERRUPTED);
    assert_int_equal(why.signal, SIGTERM);
    error_clear(&why);
    assert_false(loop_turn(loop, false, begin + LONG, &why));
    assert_int_equal(why.kind, ERROR_INTERRUPTED);
    assert_true(clock_mono() - begin < LONG);
}

static void the_deadline_ends_a_turn(void **state)
{
    int64_t begin = clock_mono();

    (void)state;
    stop_at(begin + 20);
    while (loop_turn(loop, false, begin + LONG, &why))
        assert_true(clock_mono() - begin < LONG);
    assert_int_equal(why.kind, ERROR_TIMEOUT);
    assert_true(clock_mono() - begin >= 20);
}

static void tidying_up_sleeps_although_a_signal_has_come(void **state)
{
    int64_t begin = clock_mono();
    int turns = 0;

    (void)state;
    stop_signal(SIGTERM);
    while (clock_mono() < begin + 30) {
        loop_tidy(loop, false, begin + 30);
        turns++;
    }
    assert_true(turns <= 3); /* the descriptor wakes once */
}

static void count(void *ctx)
{
    ++*(int *)ctx;
}

static void whoever_watches_sees_every_turn_of_a_run(void **state)
{
    int seen = 0;

    (void)state;
    loop_watch(loop, count, &seen);
    assert_true(loop_turn(loop, true, INT64_MAX, &why));
    assert_true(loop_turn(loop, true, INT64_MAX, &why));
    assert_int_equal(seen, 2);
    loop_tidy(loop, true, INT64_MAX);
    loop_watch(loop, NULL, NULL);
    assert_true(loop_turn(loop, true, INT64_MAX, &why));
    stop_signal(SIGTERM);
    loop_watch(loop, count, &seen);
    assert_false(loop_turn(loop, true, INT64_MAX, &why));
    assert_int_equal(seen, 2);
}

static void retries_share_the_budget_of_requests(void **state)
{
    (void)state;
    assert_ptr_equal(loop_retry(loop), http_retry(loop_http(loop)));
    assert_int_equal(loop_retry(loop)->limit, 3);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_turn_sleeps_until_its_time),
        TEST(what_has_moved_or_is_due_is_not_slept_over),
        TEST(no_turn_is_longer_than_a_second_or_so),
        TEST(who_waits_for_time_only_is_not_slept_over),
        TEST(to_be_woken_is_a_matter_of_one_turn),
        TEST(a_signal_ends_a_turn_and_those_after_it),
        TEST(the_deadline_ends_a_turn),
        TEST(tidying_up_sleeps_although_a_signal_has_come),
        TEST(whoever_watches_sees_every_turn_of_a_run),
        TEST(retries_share_the_budget_of_requests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
