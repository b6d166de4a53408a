/* settings: the prefixes to sync. */
#include "settings_fixture.h"

static void test_paths(void **state)
{
    static const struct {
        const char *public_paths, *private_dir, *expected;
    } cases[] = {
        {"", "", "public/|private/|"},
        {"/bucket/public", "/bucket/private", "public/|private/|"},
        {"/bucket/public/", "", "public/|"},
        {"bucket/public", "", "public/|"},
        {" /b/one , /c/two/deep ,, /d/three/ ", "/b/four", "one/|two/deep/|three/|four/|"},
        {"/b/a,/b/a/,/c/a", "/b/a", "a/|"},
        {"/b/a/b,/b/c,/b/a", "", "c/|a/|"},
        {"/b/a", "/b/a/b", "a/|"},
        {"/b/a", "/b/ab", "a/|ab/|"},
        {"/b/*", "", "|"},
        {"b/*", "/b/a", "|"},
        {"/b/a", "/b/*", "|"},
        {"/b//a", "", "/a/|"},
        {"/b/.storsync-x,/b/.storsyn", "/b/x/.storsync/", ".storsync-x/|.storsyn/|x/.storsync/|"},
        {"/b/a//", "", "a//|"},
        {"/b/\xC3\xA4 \xFF", "", "\xC3\xA4 \xFF/|"},
        {"", "/b/with,comma", "with,comma/|"},
        {"[\"/a/public\"]", "", "public/|"},
        {" [ \"/a/public\" , '/a/img/' ] ", "[\"/a/private\"]", "public/|img/|private/|"},
        {"[/a/public,/a/x]", "", "public/|x/|"},
        {"\"/a/public\"", "'/a/private'", "public/|private/|"},
        {"/a/x\n/a/y\n", "", "x/|y/|"},
        {"[\n  \"/a/x\",\n\t\"/a/y\"\n]", "", "x/|y/|"},
        {"s3://a/public", "s3://b/private/", "public/|private/|"},
        {"gs://a/public", "", "public/|"},
        {"s3://b/*", "", "|"},
        {"/[x]/a", "", "a/|"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char public_paths[100], private_dir[100];
        struct buf joined;

        snprintf(public_paths, sizeof public_paths, "PUBLIC_OBJECT_SEARCH_PATHS=%s", cases[i].public_paths);
        snprintf(private_dir, sizeof private_dir, "PRIVATE_OBJECT_DIR=%s", cases[i].private_dir);
        assert_true(load_environ(fixture, ENVIRON(public_paths, private_dir)));
        buf_init(&joined, 200);
        for (int p = 0; p < settings_path_count(&fixture->settings); p++)
            buf_printf(&joined, "%s|", settings_path(&fixture->settings, p));
        assert_string_equal(buf_str(&joined), cases[i].expected);
        buf_free(&joined);
        assert_null(settings_path(&fixture->settings, settings_path_count(&fixture->settings)));
        assert_no_problem(fixture);
    }
}

/* A bucket's name without a prefix may be meant as a prefix: neither everything nor the default is a fair guess. */
static void test_refused_paths(void **state)
{
    static const struct {
        const char *paths, *part;
    } cases[] = {
        {"shop", "\"shop\" names no prefix in a bucket: write /bucket/prefix, or /bucket/* for all of it"},
        {"/shop", "\"/shop\""},
        {"/shop/", "\"/shop/\""},
        {"shop/", "\"shop/\""},
        {"/b/x,shop", "\"shop\""},
        {" shop , /b/x", "\"shop\""},
        {"/", "\"/\""},
        {"*", "\"*\""},
        {",", "names no path"},
        {"/b/.storsync", "\"/b/.storsync\" is where the state of syncs is kept"},
        {"/b/.storsync/shop/,/b/x", "is where the state"},
        {"s3://b/.storsync/x", "is where the state"},
        {"s3://shop", "\"s3://shop\" names no prefix"},
        {"s3://shop/", "names no prefix"},
        {"s3://", "names no prefix"},
        {"file:///srv/other/public", "names no prefix"},
        {"https://b.example/public", "names no prefix"},
        {"[\"shop\"]", "\"shop\" names no prefix"},
        {"[]", "names no path"},
        {"\"\"", "names no path"},
        {"a\x01/b", "is not text without control characters, at most 8192 bytes; no sync begins"},
    };
    static const char *const variables[] = {"PUBLIC_OBJECT_SEARCH_PATHS", "PRIVATE_OBJECT_DIR"};
    struct fixture *fixture = *state;
    char variable[100];

    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const char *paths = cases[i / 2].paths;

        if (strchr(paths, ',') != NULL && i % 2 == 1)
            continue; /* that one is not a list */
        snprintf(variable, sizeof variable, "%s=%s", variables[i % 2], paths);
        assert_true(
            load_environ(fixture, ENVIRON("DEV_STORAGE_BUCKET=a", "PROD_STORAGE_BUCKET=b", variable)));
        assert_false(settings_usable(&fixture->settings, &fixture->error));
        assert_int_equal(fixture->error.kind, ERROR_CONFIG);
        assert_non_null(strstr(fixture->error.text, variables[i % 2]));
        assert_non_null(strstr(fixture->error.text, cases[i / 2].part));
        for (int p = 0; p < settings_path_count(&fixture->settings); p++)
            assert_string_equal(settings_path(&fixture->settings, p), "x/");
    }
}

static void assert_refused(struct fixture *fixture, const char *part)
{
    assert_false(settings_usable(&fixture->settings, &fixture->error));
    assert_non_null(strstr(fixture->error.text, part));
}

/* A bucket in a path may be written as the setting of the bucket is. */
static void test_paths_with_a_bucket_of_ours(void **state)
{
    static const struct {
        const char *source, *destination, *paths, *expected;
    } cases[] = {
        {"file:///srv/dev", "prod", "file:///srv/dev/public", "public/|"},
        {"file:///srv/dev/", "prod", "file:///srv/dev/public/,/prod/x", "public/|x/|"},
        {"s3://dev/", "file:///srv/prod", "s3://dev/a,file:///srv/prod/b/*", "a/|b/*/|"},
        {"tenant:dev", "prod", "/tenant:dev/a", "a/|"},
        {"dev", "dev-2", "/dev-2/a,/dev/b", "a/|b/|"},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char source[100], destination[100], paths[100];
        struct buf joined;

        snprintf(source, sizeof source, "DEV_STORAGE_BUCKET=%s", cases[i].source);
        snprintf(destination, sizeof destination, "PROD_STORAGE_BUCKET=%s", cases[i].destination);
        snprintf(paths, sizeof paths, "PUBLIC_OBJECT_SEARCH_PATHS=%s", cases[i].paths);
        assert_true(load_environ(fixture, ENVIRON(source, destination, paths)));
        buf_init(&joined, 200);
        for (int p = 0; p < settings_path_count(&fixture->settings); p++)
            buf_printf(&joined, "%s|", settings_path(&fixture->settings, p));
        assert_string_equal(buf_str(&joined), cases[i].expected);
        buf_free(&joined);
        assert_null(settings_note(&fixture->settings, 0));
    }
}

/* It is what is behind the bucket that counts: a bucket that is neither side's is likely a mistake. Said once a setting. */
static void test_paths_with_another_bucket(void **state)
{
    static const struct {
        const char *source, *paths;
        bool told;
    } cases[] = {
        {"dev", "/other/public,/third/img", true}, {"dev", "s3://other/public", true},
        {"dev", "/developer/public", true},        {"dev", "/DEV/public", true},
        {"dev", "/dev/public,/prod/img", false},   {"s3://dev", "/dev/public", false},
        {"file:///srv/dev", "/any/public", false},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char source[100], paths[100];

        snprintf(source, sizeof source, "DEV_STORAGE_BUCKET=%s", cases[i].source);
        snprintf(paths, sizeof paths, "PUBLIC_OBJECT_SEARCH_PATHS=%s", cases[i].paths);
        assert_true(load_environ(fixture, ENVIRON(source, "PROD_STORAGE_BUCKET=prod", paths)));
        assert_true(settings_usable(&fixture->settings, &fixture->error));
        assert_no_problem(fixture);
        assert_int_equal(settings_note(&fixture->settings, 0) != NULL, cases[i].told);
        assert_null(settings_note(&fixture->settings, 1));
        if (cases[i].told)
            assert_non_null(
                strstr(settings_note(&fixture->settings, 0), "is neither side's (these are dev and prod)"));
    }
}

/* No default stands in for a path or a bucket that was set: it is not what was asked for. */
static void test_values_without_a_substitute(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("PROD_STORAGE_BUCKET=b", "DEV_STORAGE_BUCKET=a\x01")));
    assert_problem(fixture, ENVIRON("DEV_STORAGE_BUCKET", "no sync begins"));
    assert_refused(fixture, "DEV_STORAGE_BUCKET: the value is not text");
    assert_string_equal(fixture->settings.source.bucket, "");
    assert_null(settings_assumption(&fixture->settings, 1));
    assert_true(
        load_environ(fixture, ENVIRON("PRIVATE_OBJECT_DIR=/a/b\x7F", "PUBLIC_OBJECT_SEARCH_PATHS=/b/x")));
    assert_refused(fixture, "PRIVATE_OBJECT_DIR: \"/a/b");
}

static void test_path_ceilings(void **state)
{
    struct fixture *fixture = *state;
    char list[4096];
    size_t len = 0;

    for (int i = 0; i < SETTINGS_PATHS_MAX + 1; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "/b/path%03d,", i);
    assert_true(load_flag(fixture, "public-object-search-paths", list));
    assert_int_equal(settings_path_count(&fixture->settings), SETTINGS_PATHS_MAX);
    assert_refused(fixture, "more than 64 paths");
    /* A path that covers the others makes room. */
    snprintf(list + len, sizeof list - len, "/b/*");
    assert_true(load_flag(fixture, "public-object-search-paths", list));
    assert_int_equal(settings_path_count(&fixture->settings), 1);

    memcpy(list, "/b/", 3);
    memset(list + 3, 'x', 1025);
    list[3 + 1024] = '\0';
    assert_true(load_flag(fixture, "private-object-dir", list));
    assert_int_equal(strlen(settings_path(&fixture->settings, 0)), 1025);
    list[3 + 1024] = 'x';
    list[3 + 1025] = '\0';
    assert_true(load_flag(fixture, "private-object-dir", list));
    assert_refused(fixture, "is too long");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_paths),
        SETTINGS_TEST(test_refused_paths),
        SETTINGS_TEST(test_path_ceilings),
        SETTINGS_TEST(test_paths_with_a_bucket_of_ours),
        SETTINGS_TEST(test_paths_with_another_bucket),
        SETTINGS_TEST(test_values_without_a_substitute),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
