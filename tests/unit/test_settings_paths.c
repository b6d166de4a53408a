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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
