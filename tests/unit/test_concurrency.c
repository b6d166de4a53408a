#include "concurrency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define TURN 10 /* ms */

/* A service that is played: each transfer takes `latency` as long as there are at most `width` of them, then more. */
struct service {
    int latency;     /* ms */
    int width;       /* how many are served side by side */
    int bears;       /* with more at once it refuses; 0: however many */
    int failing;     /* of a hundred transfers so many fail */
    uint64_t size;   /* bytes of an object */
    uint64_t milli;  /* thousandths of a transfer that are done */
    uint64_t ended;  /* transfers */
    int64_t told_at; /* when it refused last */
    bool idle;       /* there is nothing to do */
};

static struct concurrency concurrency;
static struct concurrency_figures figures;
static int64_t now;
static int highest, lowest;

static void begin(int64_t setting)
{
    now = 1000;
    figures = (struct concurrency_figures){0};
    concurrency_init(&concurrency, setting, now);
    highest = lowest = concurrency.limit;
}

/* What the service gets done in one turn. */
static void serve(struct service *service)
{
    int at_once = concurrency.limit < service->width ? concurrency.limit : service->width;
    uint64_t ended;

    service->milli += (uint64_t)at_once * 1000 * TURN / (uint64_t)service->latency;
    ended = service->milli / 1000;
    service->milli %= 1000;
    for (; ended > 0; ended--) {
        if ((int)(service->ended++ % 100) < service->failing) {
            figures.failed++;
        } else {
            figures.finished++;
            figures.bytes += service->size;
        }
    }
    if (service->bears != 0 && concurrency.limit > service->bears && now >= service->told_at + 100) {
        service->told_at = now;
        figures.refused++;
    }
}

static void run(struct service *service, int64_t ms)
{
    for (int64_t end = now + ms; now < end; now += TURN) {
        if (!service->idle)
            serve(service);
        concurrency_step(&concurrency, &figures, !service->idle, now);
        if (concurrency.limit > highest)
            highest = concurrency.limit;
        if (concurrency.limit < lowest)
            lowest = concurrency.limit;
    }
}

static void grows_where_it_helps(void **state)
{
    struct service service = {.latency = 50, .width = 1000};

    (void)state;
    begin(0);
    assert_int_equal(concurrency.limit, CONCURRENCY_START);
    run(&service, 5000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
    run(&service, 60000);
    assert_int_equal(lowest, CONCURRENCY_START);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
}

static void grows_with_few_large_ones(void **state)
{
    struct service service = {.latency = 4000, .width = 1000, .size = (uint64_t)256 << 20};

    (void)state;
    begin(0);
    run(&service, 200000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
}

/* It waits its turn: what begins sooner only takes longer. */
static void stays_where_more_is_no_faster(void **state)
{
    static const int widths[] = {4, 16};

    (void)state;
    for (size_t i = 0; i < sizeof widths / sizeof widths[0]; i++) {
        struct service service = {.latency = 20, .width = widths[i]};
        int64_t above = 0;

        begin(0);
        for (int turn = 0; turn < 6000; turn++) {
            run(&service, TURN);
            above += concurrency.limit > CONCURRENCY_START ? TURN : 0;
        }
        assert_int_equal(lowest, CONCURRENCY_START);
        assert_int_equal(highest, 24);
        assert_true(above < 10000); /* it tries again now and then */
        assert_string_equal(concurrency.why, "more was no faster");
    }
}

static void stops_where_it_helps_no_more(void **state)
{
    struct service service = {.latency = 20, .width = 40};

    (void)state;
    begin(0);
    run(&service, 15000);
    assert_in_range(concurrency.limit, 30, 40);
}

static void a_service_that_gets_better_is_noticed(void **state)
{
    struct service service = {.latency = 20, .width = 16};

    (void)state;
    begin(0);
    run(&service, 10000);
    assert_int_equal(concurrency.limit, CONCURRENCY_START);
    service.width = 1000;
    run(&service, 30000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
}

static void falls_when_the_service_asks_for_it(void **state)
{
    struct service service = {.latency = 20, .width = 1000, .bears = 10};

    (void)state;
    begin(0);
    run(&service, 3 * TURN);
    assert_int_equal(concurrency.limit, 8);
    assert_string_equal(concurrency.why, "the service asks for less");
    run(&service, CONCURRENCY_PAUSE - 1000);
    assert_int_equal(concurrency.limit, 8);
    run(&service, 100000);
    assert_in_range(concurrency.limit, 6, 12);
    assert_int_equal(lowest, 6);

    /* Whatever it does, something is still tried. */
    service.bears = 1;
    run(&service, 100000);
    assert_int_equal(lowest, CONCURRENCY_MIN);
}

/* What was under way when the limit fell may be refused too, and says nothing new. */
static void falls_once_for_one_wave(void **state)
{
    (void)state;
    begin(0);
    for (int i = 0; i < 90; i++, now += TURN) {
        figures.refused++;
        concurrency_step(&concurrency, &figures, true, now);
    }
    assert_int_equal(concurrency.limit, 8);
    now += 1000;
    concurrency_step(&concurrency, &figures, true, now);
    assert_int_equal(concurrency.limit, 8);
    figures.refused++;
    concurrency_step(&concurrency, &figures, true, now);
    assert_int_equal(concurrency.limit, 4);
}

static void does_not_grow_while_objects_fail(void **state)
{
    struct service service = {.latency = 50, .width = 1000, .failing = 30};

    (void)state;
    begin(0);
    run(&service, 60000);
    assert_int_equal(highest, CONCURRENCY_START);
    service.failing = 1; /* a few odd ones are no reason */
    run(&service, 60000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
}

static void does_not_grow_without_use(void **state)
{
    struct service service = {.latency = 50, .width = 1000, .idle = true};

    (void)state;
    begin(0);
    run(&service, 60000);
    assert_int_equal(highest, CONCURRENCY_START);
    service.idle = false;
    run(&service, 5000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
}

static void a_number_stays_that_number(void **state)
{
    struct service service = {.latency = 50, .width = 1000, .bears = 2};

    (void)state;
    for (int setting = 1; setting <= CONCURRENCY_MAX; setting++) {
        begin(setting);
        run(&service, 3000);
        assert_int_equal(highest, setting);
        assert_int_equal(lowest, setting);
        assert_true(concurrency_has_room(&concurrency, true, setting - 1, setting - 1));
        assert_false(concurrency_has_room(&concurrency, false, setting, 0));
        assert_int_equal(concurrency_most(setting), setting);
        assert_int_equal(concurrency_usual(setting), setting);
    }
}

static void memory_is_bounded(void **state)
{
    struct service service = {.latency = 50, .width = 1000};

    (void)state;
    begin(0);
    assert_int_equal(concurrency_most(0), CONCURRENCY_MAX);
    assert_int_equal(concurrency_usual(0), CONCURRENCY_START);
    assert_true(concurrency_has_room(&concurrency, true, 15, 15));
    assert_false(concurrency_has_room(&concurrency, false, 16, 0));

    run(&service, 5000);
    assert_int_equal(concurrency.limit, CONCURRENCY_MAX);
    assert_true(concurrency_has_room(&concurrency, false, 63, 0));
    assert_false(concurrency_has_room(&concurrency, false, 64, 0));
    assert_false(concurrency_has_room(&concurrency, true, 16, 16));
    assert_true(concurrency_has_room(&concurrency, false, 31, 16)); /* as much as 63 small ones */
    assert_false(concurrency_has_room(&concurrency, false, 32, 16));
    assert_true(concurrency_has_room(&concurrency, true, 31, 15));
    assert_false(concurrency_has_room(&concurrency, true, 34, 15));
}

/* What 32 small ones held is there still when large ones come, and the other way round. */
static void memory_of_relays_is_bounded(void **state)
{
    struct service service = {.latency = 50, .width = 1000};

    (void)state;
    begin(0);
    run(&service, 5000);
    assert_true(concurrency_has_room(&concurrency, false, CONCURRENCY_MAX - 1,
                                     0)); /* copies, which are refused then */
    concurrency.relays = CONCURRENCY_TLS;
    for (int active = 0; active < CONCURRENCY_TLS; active++)
        assert_true(concurrency_has_room(&concurrency, false, active, 0));
    assert_false(concurrency_has_room(&concurrency, false, CONCURRENCY_TLS, 0));
    for (int large = 0; large < 6; large++)
        assert_true(concurrency_has_room(&concurrency, true, large, large));
    assert_false(concurrency_has_room(&concurrency, true, 6, 6));
    assert_true(concurrency_has_room(&concurrency, false, 6, 6));

    begin(0);
    concurrency.relays = CONCURRENCY_TLS;
    run(&service, 5000);
    for (int large = 0; large < CONCURRENCY_LARGE_RELAYS; large++)
        assert_true(concurrency_has_room(&concurrency, true, large, large));
    assert_false(
        concurrency_has_room(&concurrency, true, CONCURRENCY_LARGE_RELAYS, CONCURRENCY_LARGE_RELAYS));
    assert_true(concurrency_has_room(&concurrency, false, 19, 0));
    assert_false(concurrency_has_room(&concurrency, false, 20, 0));

    /* Those that were begun as copies, and refused, have come without asking. */
    begin(0);
    run(&service, 5000);
    concurrency.relays = CONCURRENCY_TLS;
    assert_false(concurrency_has_room(&concurrency, true, 16, 16));
    assert_true(concurrency_has_room(&concurrency, false, 19, 0));
    assert_false(concurrency_has_room(&concurrency, false, 20, 0));
    assert_true(concurrency_has_room(&concurrency, true, 0, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_where_it_helps),
        cmocka_unit_test(grows_with_few_large_ones),
        cmocka_unit_test(stays_where_more_is_no_faster),
        cmocka_unit_test(stops_where_it_helps_no_more),
        cmocka_unit_test(a_service_that_gets_better_is_noticed),
        cmocka_unit_test(falls_when_the_service_asks_for_it),
        cmocka_unit_test(falls_once_for_one_wave),
        cmocka_unit_test(does_not_grow_while_objects_fail),
        cmocka_unit_test(does_not_grow_without_use),
        cmocka_unit_test(a_number_stays_that_number),
        cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(memory_of_relays_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
