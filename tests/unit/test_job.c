/* job: which syncs share their state. */
#include "fake_store.h"
#include "job.h"
#include "settings_fixture.h"

#define KEPT 8 /* results that a test can compare */

static char prefix[KEPT][JOB_PREFIX_SIZE];

/* Where the state is when the source is the fake bucket `source`. */
static const char *prefix_of(struct fixture *fixture, const char *source, const char *const *environ_)
{
    static int turn;
    struct fake_store *from = fake_new(source, NULL);
    struct job job;

    assert_true(load_environ(fixture, environ_));
    job_init(&job, &fixture->settings, &from->base, NULL);
    store_close(&from->base);
    turn = (turn + 1) % KEPT;
    memcpy(prefix[turn], job.prefix, sizeof prefix[turn]);
    return prefix[turn];
}

static void the_name_is_the_setting(void **state)
{
    assert_string_equal(prefix_of(*state, "dev", ENVIRON("STORSYNC_JOB=shop_2.eu-1")),
                        ".storsync/shop_2.eu-1/");
}

static void without_a_name_it_is_source_and_paths(void **state)
{
    /* h() { printf '%s\n%s %s\n' "$1" "$2" "$3" | sha256sum | cut -c 1-64; }
     * h "$(h "$(h '' source fake://dev)" path a/)" path b/ | cut -c 1-16
     * This must stay: a new version has to find the state of the one before. */
    assert_string_equal(prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a,/x/b")),
                        ".storsync/b0f4f9b39ff0e5ff/");
}

static void the_order_of_paths_does_not_count(void **state)
{
    const char *one = prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a,/x/b"));

    assert_string_equal(one, prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/y/b/,/x/a,/x/b")));
    assert_string_equal(
        one, prefix_of(*state, "dev",
                       ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/b,/x/a/1", "PRIVATE_OBJECT_DIR=/x/a")));
}

static void another_source_or_path_is_another_job(void **state)
{
    const char *one = prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a,/x/b"));

    assert_string_not_equal(one, prefix_of(*state, "dev2", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a,/x/b")));
    assert_string_not_equal(one, prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a")));
    assert_string_not_equal(one,
                            prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/a,/x/b,/x/c")));
    assert_string_not_equal(one, prefix_of(*state, "dev", ENVIRON("PUBLIC_OBJECT_SEARCH_PATHS=/x/ab")));
}

static void a_name_is_one_segment_of_a_key(void **state)
{
    static const char *const bad[] = {
        "a/b",  "..",    ".hidden",
        "-x",   "a b",   "caf\xC3\xA9",
        "meta", "lease", "1234567890123456789012345678901234567890123456789012345678901234+"};
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char variable[128];

        snprintf(variable, sizeof variable, "STORSYNC_JOB=%s", bad[i]);
        const char *without = prefix_of(fixture, "dev", ENVIRON("HOME=/"));

        assert_string_equal(prefix_of(fixture, "dev", ENVIRON(variable)), without);
        assert_non_null(strstr(settings_problem(&fixture->settings, 0), "STORSYNC_JOB"));
    }
}

static void the_longest_name_fits(void **state)
{
    static const char name[] = "1234567890123456789012345678901234567890123456789012345678901234";

    assert_string_equal(
        prefix_of(*state, "dev",
                  ENVIRON("STORSYNC_JOB=1234567890123456789012345678901234567890123456789012345678901234")) +
            strlen(".storsync/"),
        "1234567890123456789012345678901234567890123456789012345678901234/");
    assert_int_equal(sizeof name - 1, SETTINGS_SEGMENT_MAX);
}

static void other_rules_are_another_job(void **state)
{
    const char *none = prefix_of(*state, "dev", ENVIRON("A=b"));
    const char *one = prefix_of(*state, "dev", ENVIRON("STORSYNC_EXCLUDE=a,b"));

    assert_string_not_equal(none, one);
    assert_string_equal(one, prefix_of(*state, "dev", ENVIRON("STORSYNC_EXCLUDE=a, b,")));
    assert_string_not_equal(one, prefix_of(*state, "dev", ENVIRON("STORSYNC_EXCLUDE=b,a")));
    assert_string_not_equal(one, prefix_of(*state, "dev", ENVIRON("STORSYNC_INCLUDE=a,b")));
    assert_string_not_equal(one, prefix_of(*state, "dev", ENVIRON("STORSYNC_EXCLUDE=a")));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_name_is_the_setting),
        TEST(without_a_name_it_is_source_and_paths),
        TEST(the_order_of_paths_does_not_count),
        TEST(another_source_or_path_is_another_job),
        TEST(other_rules_are_another_job),
        TEST(a_name_is_one_segment_of_a_key),
        TEST(the_longest_name_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
