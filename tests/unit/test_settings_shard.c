/* settings: which shard this is, and what cannot be done in shards. */
#include "settings_fixture.h"

#define INDEX "JOB_COMPLETION_INDEX="

static void assert_share(struct fixture *fixture, int index, int count)
{
    struct error error;

    assert_no_problem(fixture);
    assert_null(settings_refusal(&fixture->settings, 0));
    assert_true(settings_usable(&fixture->settings, &error));
    assert_int_equal(fixture->settings.share.index, index);
    assert_int_equal(fixture->settings.share.count, count);
}

static void assert_refused(struct fixture *fixture, const char *what)
{
    struct error error;

    assert_false(settings_usable(&fixture->settings, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    if (strstr(error.text, what) == NULL)
        fail_msg("\"%s\" is not in: %s", what, error.text);
    assert_int_equal(fixture->settings.share.count, 0);
}

static void test_which_it_is(void **state)
{
    struct fixture *fixture = *state;

    load_environ(fixture, ENVIRON("A=b"));
    assert_share(fixture, 0, 0);
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/8"));
    assert_share(fixture, 2, 8);
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/8", INDEX "2"));
    assert_share(fixture, 2, 8);
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/8", INDEX "5"));
    assert_share(fixture, 5, 8);
    load_ini(fixture, "shard = /3\n", ENVIRON(INDEX "0"));
    assert_share(fixture, 0, 3);
    load_flag(fixture, "shard", "1/2");
    assert_share(fixture, 1, 2);
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=0/1", "STORSYNC_DELETE=extra")); /* all of it */
    assert_share(fixture, 0, 0);
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/1"));
    assert_share(fixture, 0, 0);
}

/* Never all of it, or another's share, where somebody has asked for a share. */
static void test_what_cannot_be_told_lets_no_sync_begin(void **state)
{
    struct fixture *fixture = *state;

    load_environ(fixture, ENVIRON("STORSYNC_SHARD=8/8"));
    assert_refused(fixture, "\"8/8\" is not I/N or /N");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=8", INDEX "1"));
    assert_refused(fixture, "no sync begins");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/8"));
    assert_refused(fixture, "JOB_COMPLETION_INDEX, which is \"\": it has");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/8", INDEX));
    assert_refused(fixture, "from 0 to 7");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/8", INDEX "8"));
    assert_refused(fixture, "which is \"8\": it has to be from 0 to 7");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=/8", INDEX "1.0"));
    assert_refused(fixture, "which is \"1.0\"");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/3", INDEX "0"));
    assert_refused(fixture, "shard=2/3, but JOB_COMPLETION_INDEX is 0: shard=/3 takes it from there");
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/3", INDEX "3"));
    assert_refused(fixture, "shard=2/3, but JOB_COMPLETION_INDEX is 3");
}

static void test_an_index_alone_is_no_shard(void **state)
{
    struct fixture *fixture = *state;

    load_environ(fixture, ENVIRON(INDEX "3"));
    assert_share(fixture, 0, 0);
    assert_non_null(settings_note(&fixture->settings, 0));
    assert_non_null(
        strstr(settings_note(&fixture->settings, 0), "JOB_COMPLETION_INDEX is set and shard is not"));
}

static void test_what_no_shard_does(void **state)
{
    struct fixture *fixture = *state;

    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/8", "STORSYNC_DELETE=extra"));
    assert_non_null(strstr(settings_refusal(&fixture->settings, 0), "delete"));
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/8", "STORSYNC_KEEP_PREVIOUS=versions"));
    assert_non_null(strstr(settings_refusal(&fixture->settings, 0), "keep_previous"));
    load_environ(fixture, ENVIRON("STORSYNC_SHARD=2/8", "STORSYNC_CONFLICT=fail"));
    assert_non_null(strstr(settings_refusal(&fixture->settings, 0), "conflict"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_which_it_is),
        SETTINGS_TEST(test_what_cannot_be_told_lets_no_sync_begin),
        SETTINGS_TEST(test_an_index_alone_is_no_shard),
        SETTINGS_TEST(test_what_no_shard_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
