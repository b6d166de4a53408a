#include "clock.h"
#include "plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MD5_A "0cc175b9c0f1b6a831c399e269772661"
#define MD5_B "92eb5ffee6ae2fec3ad71c777531578f"

static struct object_entry entry(const char *key, uint64_t size, int64_t modified, const char *md5)
{
    struct object_entry made = {.key = key, .size = size, .modified = modified};

    object_hash_md5(&made.hash, md5);
    return made;
}

/* A change of its metadata alone makes the source newer; one of the destination's hides nothing. */
static void metadata_that_were_touched(void **state)
{
    struct object_entry source = entry("a", 1, 5, MD5_A), destination = entry("a", 1, 7, MD5_A);

    (void)state;
    destination.touched = 100;
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, &source, &destination).reason,
                     PLAN_SAME);
    source.touched = 2;
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, &source, &destination).reason,
                     PLAN_SAME);
    source.touched = 3;
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, &source, &destination).reason,
                     PLAN_NEWER);
}

static void both_ended(void **state)
{
    (void)state;
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, NULL, NULL).action, PLAN_END);
}

static void only_at_the_source(void **state)
{
    struct object_entry a = entry("a", 1, 1, "");
    struct object_entry b = entry("b", 1, 1, "");
    struct plan_step step = plan_next((struct plan_rule){COMPARE_NEWER, false}, &a, &b);

    (void)state;
    assert_int_equal(step.action, PLAN_COPY);
    assert_int_equal(step.reason, PLAN_MISSING);
    assert_true(step.take_source);
    assert_false(step.take_destination);
    step = plan_next((struct plan_rule){COMPARE_NEWER, false}, &a, NULL);
    assert_int_equal(step.action, PLAN_COPY);
    assert_false(step.take_destination);
}

static void only_at_the_destination(void **state)
{
    struct object_entry a = entry("a", 1, 1, "");
    struct object_entry b = entry("b", 1, 1, "");
    struct plan_step step = plan_next((struct plan_rule){COMPARE_NEWER, false}, &b, &a);

    (void)state;
    assert_int_equal(step.action, PLAN_EXTRA);
    assert_false(step.take_source);
    assert_true(step.take_destination);
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, NULL, &a).action, PLAN_EXTRA);
}

static void keys_are_ordered_as_unsigned_bytes(void **state)
{
    struct object_entry ascii = entry("z", 1, 1, "");
    struct object_entry high = entry("\xC3\xA4", 1, 1, "");

    (void)state;
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, &ascii, &high).action, PLAN_COPY);
    assert_int_equal(plan_next((struct plan_rule){COMPARE_NEWER, false}, &high, &ascii).action, PLAN_EXTRA);
}

/* source size and time, destination size and time, rule, expected */
static void the_rules(void **state)
{
    static const struct {
        uint64_t source_size, destination_size;
        int64_t source_time, destination_time;
        const char *source_etag, *destination_etag;
        enum compare rule;
        enum plan_reason expected;
    } table[] = {
        {1, 1, 5, 5, "", "", COMPARE_NEWER, PLAN_SAME},
        {1, 1, 5, 6, "", "", COMPARE_NEWER, PLAN_SAME},
        {1, 1, 6, 5, "", "", COMPARE_NEWER, PLAN_NEWER},
        {2, 1, 5, 6, "", "", COMPARE_NEWER, PLAN_SIZE},
        {1, 1, 6, 5, "", "", COMPARE_SIZE, PLAN_SAME},
        {2, 1, 5, 5, "", "", COMPARE_SIZE, PLAN_SIZE},
        /* replaced while its old version was being copied; or changed in production, later than that can be */
        {1, 1, 5, 5, MD5_A, MD5_B, COMPARE_NEWER, PLAN_ETAG},
        {1, 1, 5, 5 + PLAN_COPY_TIME, MD5_A, MD5_B, COMPARE_NEWER, PLAN_ETAG},
        {1, 1, 5, 6 + PLAN_COPY_TIME, MD5_A, MD5_B, COMPARE_NEWER, PLAN_SAME},
        {1, 1, 5, 5, MD5_A, MD5_A, COMPARE_NEWER, PLAN_SAME},
        {1, 1, 5, 5, MD5_A "-2", MD5_B, COMPARE_NEWER, PLAN_SAME},
        {1, 1, 5, 6 + PLAN_COPY_TIME, MD5_A, MD5_B, COMPARE_ETAG, PLAN_ETAG},
        {1, 1, 5, 6, MD5_A, MD5_B, COMPARE_SIZE, PLAN_SAME},
        /* capitals are no other content */
        {1, 1, 5, 6, "ABCDEF89C0F1B6A831C399E269772661", "abcdef89c0f1b6a831c399e269772661", COMPARE_ETAG,
         PLAN_SAME},
        /* a time that is not told is not taken for an early one */
        {1, 1, CLOCK_UNKNOWN, 6, MD5_A, MD5_B, COMPARE_NEWER, PLAN_ETAG},
        {1, 1, CLOCK_UNKNOWN, 6, MD5_A, MD5_A, COMPARE_NEWER, PLAN_SAME},
        {1, 1, CLOCK_UNKNOWN, 6, "", MD5_B, COMPARE_NEWER, PLAN_UNKNOWN},
        {1, 1, 6, CLOCK_UNKNOWN, MD5_A, MD5_A, COMPARE_NEWER, PLAN_SAME},
        {1, 1, 6, CLOCK_UNKNOWN, "x", "x", COMPARE_ETAG, PLAN_UNKNOWN},
        {1, 1, CLOCK_UNKNOWN, CLOCK_UNKNOWN, "", "", COMPARE_SIZE, PLAN_SAME},
        {1, 1, 5, 6, MD5_A, MD5_B, COMPARE_ETAG, PLAN_ETAG},
        {1, 1, 5, 6, MD5_A, MD5_A, COMPARE_ETAG, PLAN_SAME},
        {1, 1, 6, 5, MD5_A, MD5_A, COMPARE_ETAG, PLAN_NEWER},
        /* ETags of multipart uploads are no content hashes */
        {1, 1, 5, 6, MD5_A "-2", MD5_B, COMPARE_ETAG, PLAN_SAME},
        {1, 1, 5, 6, "", MD5_B, COMPARE_ETAG, PLAN_SAME},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct object_entry source =
            entry("k", table[i].source_size, table[i].source_time, table[i].source_etag);
        struct object_entry destination =
            entry("k", table[i].destination_size, table[i].destination_time, table[i].destination_etag);
        struct plan_step step = plan_next((struct plan_rule){table[i].rule, false}, &source, &destination);

        assert_int_equal(step.reason, table[i].expected);
        assert_int_equal(step.action, table[i].expected == PLAN_SAME ? PLAN_KEEP : PLAN_COPY);
        assert_true(step.take_source && step.take_destination);
    }
}

/* What a sync that did not end well may have left: copied again, unless it cannot be of an older version. */
static void a_copy_is_doubted_after_a_failure(void **state)
{
    static const struct {
        int64_t source_time, destination_time;
        const char *source_etag, *destination_etag;
        enum compare rule;
        enum plan_reason expected;
    } table[] = {
        {5, 6, "", "", COMPARE_NEWER, PLAN_DOUBTFUL},
        {5, 6, "", MD5_B, COMPARE_NEWER, PLAN_DOUBTFUL},
        {5, 6, MD5_A "-2", MD5_B "-2", COMPARE_ETAG, PLAN_DOUBTFUL},
        {5, 5 + PLAN_COPY_TIME, "", "", COMPARE_NEWER, PLAN_DOUBTFUL},
        {5, 6 + PLAN_COPY_TIME, "", "", COMPARE_NEWER, PLAN_SAME},
        {5, 5, "", "", COMPARE_NEWER, PLAN_SAME},
        {6, 5, "", "", COMPARE_NEWER, PLAN_NEWER},
        {5, 6, MD5_A, MD5_A, COMPARE_NEWER, PLAN_SAME},
        {5, 6, MD5_A, MD5_B, COMPARE_NEWER, PLAN_ETAG},
        {5, 6, "", "", COMPARE_SIZE, PLAN_SAME},
        {CLOCK_UNKNOWN, 6, "", "", COMPARE_NEWER, PLAN_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct object_entry source = entry("k", 1, table[i].source_time, table[i].source_etag);
        struct object_entry destination = entry("k", 1, table[i].destination_time, table[i].destination_etag);

        assert_int_equal(plan_next((struct plan_rule){table[i].rule, true}, &source, &destination).reason,
                         table[i].expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ended),
        cmocka_unit_test(metadata_that_were_touched),
        cmocka_unit_test(only_at_the_source),
        cmocka_unit_test(only_at_the_destination),
        cmocka_unit_test(keys_are_ordered_as_unsigned_bytes),
        cmocka_unit_test(the_rules),
        cmocka_unit_test(a_copy_is_doubted_after_a_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
