/*
 * The rules of the filter: from where, in which order, and what is no rule. And the parts of the paths that --sync names.
 */
#include "settings_fixture.h"

/* All rules, as "+pattern@origin ". */
static const char *rules_of(const struct fixture *fixture)
{
    static char text[2048];
    const struct filter_rule *rule;

    text[0] = '\0';
    for (size_t i = 0; (rule = filter_rule(settings_filter(&fixture->settings), i)) != NULL; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%c%s@%s ", rule->include ? '+' : '-',
                 rule->pattern, rule->origin);
    return text;
}

static void assert_refused(const struct fixture *fixture, const char *part)
{
    const char *refusal = settings_refusal(&fixture->settings, 0);
    struct error error;

    if (refusal == NULL || strstr(refusal, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, refusal != NULL ? refusal : "(no refusal)");
    assert_false(settings_usable(&fixture->settings, &error));
}

static void without_rules_there_is_no_filter(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("A=b", "STORSYNC_EXCLUDE= , ")));
    assert_null(settings_filter(&fixture->settings));
}

static void every_source_adds_its_own(void **state)
{
    struct fixture *fixture = *state;
    const struct settings_flag flags[] = {{"include", "f1"}, {"exclude", "f2,f3"}, {"include", "f4"}};
    char expected[512];

    write_bytes(fixture->file, "", 0);
    assert_true(load_ini(fixture, "include = i1\nexclude = i2, i{3,4}\ninclude = i5\n", ENVIRON("A=b")));
    assert_true(load(fixture, &(struct settings_input){.environ_ = ENVIRON("STORSYNC_INCLUDE=e1,[,]e\\,2",
                                                                           "STORSYNC_EXCLUDE=e3\ne4"),
                                                       .flags = flags,
                                                       .flag_count = 3,
                                                       .config = fixture->file}));
    snprintf(
        expected, sizeof expected,
        "+f1@--include -f2@--exclude -f3@--exclude +f4@--include -e3@STORSYNC_EXCLUDE -e4@STORSYNC_EXCLUDE "
        "+e1@STORSYNC_INCLUDE +[,]e\\,2@STORSYNC_INCLUDE +i1@%s:1 -i2@%s:2 -i{3,4}@%s:2 +i5@%s:3 ",
        fixture->file, fixture->file, fixture->file, fixture->file);
    assert_string_equal(rules_of(fixture), expected);
    assert_true(filter_is_only_included(settings_filter(&fixture->settings)));
    assert_string_equal(fixture->settings.exclude, "f2,f3,e3,e4,i2, i{3,4}");
    assert_origin(fixture, exclude, "--exclude");
    assert_no_problem(fixture);
    assert_null(settings_refusal(&fixture->settings, 0));
}

static void exclusions_alone_leave_the_rest(void **state)
{
    struct fixture *fixture = *state;

    assert_true(load_environ(fixture, ENVIRON("STORSYNC_EXCLUDE=*.tmp")));
    assert_false(filter_is_only_included(settings_filter(&fixture->settings)));
    assert_true(filter_look(settings_filter(&fixture->settings), "a").taken);
    assert_false(filter_look(settings_filter(&fixture->settings), "a.tmp").taken);
}

static void a_file_has_more(void **state)
{
    struct fixture *fixture = *state;
    char setting[96], expected[256];
    static const char text[] =
        "# a comment\r\n+ gone\n!\n; another\n\n  - *.tmp  \r\n+ a,b # not a comment\n-  c";

    write_bytes(fixture->file, text, strlen(text));
    snprintf(setting, sizeof setting, "STORSYNC_FILTER_FILE=%s", fixture->file);
    assert_true(load_environ(fixture, ENVIRON(setting, "STORSYNC_EXCLUDE=x")));
    snprintf(expected, sizeof expected, "-x@STORSYNC_EXCLUDE -*.tmp@%s:6 +a,b # not a comment@%s:7 -c@%s:8 ",
             fixture->file, fixture->file, fixture->file);
    assert_string_equal(rules_of(fixture), expected);
    assert_false(filter_is_only_included(settings_filter(&fixture->settings)));
    assert_null(settings_refusal(&fixture->settings, 0));
}

static void a_file_that_is_none_is_refused(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        const char *why;
    } table[] = {
        {"*.tmp\n", 6, ":1: \"*.tmp\" is no rule"},
        {"- a\n-\n", 6, ":2: \"-\" is no rule"},
        {"-a\n", 3, "\"-a\" is no rule"},
        {"- a\n+ [\n", 8, ":2: \"[\" has a ["},
        {"- a\0b", 5, "NUL"},
    };
    struct fixture *fixture = *state;
    char setting[96];

    snprintf(setting, sizeof setting, "STORSYNC_FILTER_FILE=%s", fixture->file);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        write_bytes(fixture->file, table[i].text, table[i].len);
        load_environ(fixture, ENVIRON(setting));
        assert_refused(fixture, table[i].why);
    }
    load_environ(fixture, ENVIRON("STORSYNC_FILTER_FILE=/nowhere/at/all"));
    assert_refused(fixture, "STORSYNC_FILTER_FILE: ");
    assert_refused(fixture, "/nowhere/at/all");
}

static void what_is_no_pattern_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char expected[96];

    load_environ(fixture, ENVIRON("STORSYNC_EXCLUDE=a,{{x}}"));
    assert_refused(fixture,
                   "STORSYNC_EXCLUDE: \"{{x}}\" has {{: regular expressions are not known; no sync begins");
    load_ini(fixture, "include = a\nexclude = \\d\n", ENVIRON("A=b"));
    snprintf(expected, sizeof expected, "%s:2: exclude: \"\\d\" has a backslash before", fixture->file);
    assert_refused(fixture, expected);
}

static const char *parts_of(struct fixture *fixture, const char *paths, char **parts, int count)
{
    static char text[512];

    load(fixture,
         &(struct settings_input){
             .environ_ = ENVIRON(paths), .config = "/dev/null", .parts = parts, .part_count = count});
    text[0] = '\0';
    for (int i = 0; i < settings_part_count(&fixture->settings); i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ",
                 settings_part(&fixture->settings, i));
    return text;
}

static void a_part_is_in_a_path(void **state)
{
    static const char paths[] = "PUBLIC_OBJECT_SEARCH_PATHS=/b/p/a,/b/p/c,/b/q";
    static const struct {
        char *parts[2];
        int count;
        const char *expected; /* NULL: refused */
    } table[] = {
        {{NULL, NULL}, 0, "p/a/ p/c/ q/ "},
        {{"q/x", NULL}, 1, "q/x/ "},
        {{"/b/q/x/", "p/a"}, 2, "q/x/ p/a/ "},
        {{"p", NULL}, 1, "p/a/ p/c/ "},
        {{"s3://b/q", NULL}, 1, "q/ "},
        {{"qq", NULL}, 1, NULL},
        {{"q", "x"}, 2, NULL},
        {{"node", NULL}, 1, NULL},
        {{"", NULL}, 1, NULL},
        {{"/q", NULL}, 1, NULL},
        {{"/usr/bin/node", NULL}, 1, NULL},
    };
    struct fixture *fixture = *state;

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        char *parts[2] = {table[i].parts[0], table[i].parts[1]};
        const char *found = parts_of(fixture, paths, parts, table[i].count);

        if (table[i].expected == NULL) {
            assert_refused(fixture, "--sync: ");
            continue;
        }
        assert_string_equal(found, table[i].expected);
        assert_null(settings_refusal(&fixture->settings, 0));
        assert_int_equal(settings_path_count(&fixture->settings), 3);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SETTINGS_TEST(without_rules_there_is_no_filter),
        SETTINGS_TEST(every_source_adds_its_own),
        SETTINGS_TEST(exclusions_alone_leave_the_rest),
        SETTINGS_TEST(a_file_has_more),
        SETTINGS_TEST(a_file_that_is_none_is_refused),
        SETTINGS_TEST(what_is_no_pattern_is_refused),
        SETTINGS_TEST(a_part_is_in_a_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
