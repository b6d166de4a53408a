#include "retry.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_generator_is_xorshift64star(void **state)
{
    struct retry retry;

    (void)state;
    /* From state 1 its first number is 0x47E4CE4B896CDD1D; 0x47E4CE4B / 2^32 of 0..400 is 112. */
    retry_init(&retry, 3, 1);
    assert_int_equal(retry_wait(&retry, 1, 0), 112);
    assert_int_equal(retry.random, 0x2000001);

    retry_init(&retry, 3, 0);
    assert_true(retry.random != 0);
}

/* The least and the most of many waits after this attempt. */
static void waits(int attempt, int64_t after, int64_t *least, int64_t *most)
{
    struct retry retry;

    retry_init(&retry, INT_MAX, 42);
    *least = INT64_MAX;
    *most = INT64_MIN;
    for (int i = 0; i < 20000; i++) {
        int64_t wait = retry_wait(&retry, attempt, after);

        retry.tokens = RETRY_BUDGET;
        if (wait < *least)
            *least = wait;
        if (wait > *most)
            *most = wait;
    }
}

static void jitter_is_full_and_doubles_to_the_cap(void **state)
{
    int64_t least, most, ceiling = RETRY_BASE;

    (void)state;
    for (int attempt = 1; attempt <= 70; attempt++) {
        ceiling = ceiling * 2 < RETRY_CAP ? ceiling * 2 : RETRY_CAP;
        waits(attempt, 0, &least, &most);
        assert_in_range(least, 0, ceiling / 100);
        assert_in_range(most, ceiling - ceiling / 100, ceiling);
    }
    waits(INT_MAX, 0, &least, &most);
    assert_in_range(most, RETRY_CAP - RETRY_CAP / 100, RETRY_CAP);
    waits(1, 0, &least, &most);
    assert_int_equal(least, 0);
    assert_int_equal(most, 2 * RETRY_BASE);
}

static void neighbouring_seeds_wait_differently(void **state)
{
    int low = 0, high = 0;

    (void)state;
    for (uint64_t seed = 1732287845123; seed < 1732287845123 + 100; seed++) {
        struct retry retry;
        int64_t wait;

        retry_init(&retry, 1, seed);
        wait = retry_wait(&retry, 1, 0);
        low += wait < RETRY_BASE / 2;
        high += wait > RETRY_BASE * 3 / 2;
    }
    assert_in_range(low, 10, 40);
    assert_in_range(high, 10, 40);
}

static void retry_after_is_a_lower_bound(void **state)
{
    struct retry retry;
    int64_t least, most;

    (void)state;
    waits(1, 3000, &least, &most);
    assert_int_equal(least, 3000);
    assert_int_equal(most, 3000 + 2 * RETRY_BASE);
    waits(1, -5, &least, &most);
    assert_int_equal(least, 0);
    waits(1, RETRY_AFTER_MAX, &least, &most);
    assert_int_equal(least, RETRY_AFTER_MAX);

    retry_init(&retry, 3, 1);
    assert_int_equal(retry_wait(&retry, 1, RETRY_AFTER_MAX + 1), -1);
    assert_int_equal(retry_wait(&retry, 1, INT64_MAX), -1);
    assert_int_equal(retry.tokens, RETRY_BUDGET);
}

static void one_thing_is_retried_up_to_its_limit(void **state)
{
    struct retry retry;

    (void)state;
    retry_init(&retry, 2, 7);
    assert_true(retry_wait(&retry, 1, 0) >= 0);
    assert_true(retry_wait(&retry, 2, 0) >= 0);
    assert_int_equal(retry_wait(&retry, 3, 0), -1);
    assert_int_equal(retry_wait(&retry, INT_MAX, 0), -1);
    assert_int_equal(retry.tokens, RETRY_BUDGET - 2 * RETRY_COST);

    retry_init(&retry, 0, 7);
    assert_int_equal(retry_wait(&retry, 1, 0), -1);
}

static void the_budget_is_shared(void **state)
{
    struct retry retry;

    (void)state;
    retry_init(&retry, INT_MAX, 7);
    for (int i = 0; i < RETRY_BUDGET / RETRY_COST; i++)
        assert_true(retry_wait(&retry, 1, 0) >= 0);
    assert_int_equal(retry_wait(&retry, 1, 0), -1);

    for (int i = 1; i < RETRY_COST; i++)
        retry_success(&retry);
    assert_int_equal(retry_wait(&retry, 1, 0), -1);
    retry_success(&retry);
    assert_true(retry_wait(&retry, 1, 0) >= 0);
    assert_int_equal(retry_wait(&retry, 1, 0), -1);

    for (int i = 0; i < 2 * RETRY_BUDGET; i++)
        retry_success(&retry);
    assert_int_equal(retry.tokens, RETRY_BUDGET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_generator_is_xorshift64star),
        cmocka_unit_test(jitter_is_full_and_doubles_to_the_cap),
        cmocka_unit_test(neighbouring_seeds_wait_differently),
        cmocka_unit_test(retry_after_is_a_lower_bound),
        cmocka_unit_test(one_thing_is_retried_up_to_its_limit),
        cmocka_unit_test(the_budget_is_shared),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
