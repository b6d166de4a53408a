/* settings: the prefixes to sync. */
#include "settings_fixture.h"

static void test_paths(void **state)
{
    static const struct {
        const char *public_paths, *private_dir, *expected;
        int problems;
    } cases[] = {
        {"", "", "public/|private/|", 0},
        {"/bucket/public", "/bucket/private", "public/|private/|", 0},
        {"/bucket/public/", "", "public/|", 0},
        {"bucket/public", "", "public/|", 0},
        {" /b/one , /c/two/deep ,, /d/three/ ", "/b/four", "one/|two/deep/|three/|four/|", 0},
        {"/b/a,/b/a/,/c/a", "/b/a", "a/|", 0},
        {"/b/a/b,/b/c,/b/a", "", "c/|a/|", 0},
        {"/b/a", "/b/a/b", "a/|", 0},
        {"/b/a", "/b/ab", "a/|ab/|", 0},
        {"/b", "", "|", 0},
        {"/b/", "/b/a", "|", 0},
        {"/b/a", "/b/", "|", 0},
        {"/b//a", "", "/a/|", 0},
        {"/b/a//", "", "a//|", 0},
        {"public", "", "public/|private/|", 1},
        {"public,/b/x", "", "x/|", 1},
        {"/", "/b/x", "x/|", 1},
        {",", "", "public/|private/|", 0},
        {"/b/\xC3\xA4 \xFF", "", "\xC3\xA4 \xFF/|", 0},
        {"", "/b/with,comma", "with,comma/|", 0},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char public_paths[100], private_dir[100];
        struct buf joined;
        int problems = 0;

        snprintf(public_paths, sizeof public_paths, "PUBLIC_OBJECT_SEARCH_PATHS=%s", cases[i].public_paths);
        snprintf(private_dir, sizeof private_dir, "PRIVATE_OBJECT_DIR=%s", cases[i].private_dir);
        assert_true(load_environ(fixture, ENVIRON(public_paths, private_dir)));
        buf_init(&joined, 200);
        for (int p = 0; p < settings_path_count(&fixture->settings); p++)
            buf_printf(&joined, "%s|", settings_path(&fixture->settings, p));
        assert_string_equal(buf_str(&joined), cases[i].expected);
        buf_free(&joined);
        assert_null(settings_path(&fixture->settings, settings_path_count(&fixture->settings)));
        while (settings_problem(&fixture->settings, problems) != NULL)
            problems++;
        assert_int_equal(problems, cases[i].problems);
    }
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
    assert_problem(fixture, ENVIRON("more than 64 paths", "path064"));
    /* A path that covers the others makes room. */
    snprintf(list + len, sizeof list - len, "/b");
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
    assert_problem(fixture, ENVIRON("--private-object-dir", "not /bucket/prefix"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(test_paths),
        SETTINGS_TEST(test_path_ceilings),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
