/*
 * Patterns against keys: a table of what rclone's and git's users expect, and of what is refused because the two would
 * expect different things.
 */
#include "filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* A filter of rules written "- pattern" or "+ pattern". */
static struct filter *filter_of(const char *const *rules)
{
    struct filter *filter = filter_new();

    assert_non_null(filter);
    for (; *rules != NULL; rules++) {
        const char *why = filter_add(filter, &(struct filter_rule){**rules == '+', *rules + 2, "a test"});

        if (why != NULL)
            fail_msg("\"%s\" %s", *rules + 2, why);
    }
    return filter;
}

static bool takes(const char *const *rules, const char *key)
{
    struct filter *filter = filter_of(rules);
    bool taken = filter_look(filter, key).taken;

    filter_free(filter);
    return taken;
}

static bool matches(const char *pattern, const char *key)
{
    char rule[FILTER_PATTERN_MAX + 3];

    snprintf(rule, sizeof rule, "- %s", pattern);
    return !takes((const char *const[]){rule, NULL}, key);
}

static void patterns_match_keys(void **state)
{
    static const struct {
        const char *pattern;
        const char *hits[5], *misses[5];
    } table[] = {
        /* The examples of rclone's page on filtering, each with the keys that are said of it. */
        {"file.jpg", {"file.jpg", "directory/file.jpg"}, {"afile.jpg", "directory/afile.jpg"}},
        {"/file.jpg", {"file.jpg"}, {"afile.jpg", "directory/file.jpg"}},
        {"*.jpg", {"file.jpg", "dir/file.jpg"}, {"file.png", "dir/file.png"}},
        {"/*.jpg", {"file.jpg", "file2.jpg"}, {"file.png", "dir/file.jpg"}},
        {"*.{jpg,png}", {"file.jpg", "dir/file.png"}, {"file.gif", "dir/file.gif"}},
        {"dir/**", {"dir/anyfile", "subdir/dir/subsubdir/anyfile"}, {"file.png", "subdir/file.png"}},
        {"*.t?t", {"file.txt", "dir/file.tzt"}, {"file.qxt", "dir/file.png"}},
        {"*.[a-z]", {"file.a", "dir/file.b"}, {"file.0", "dir/file.1"}},
        {"*.\\?\\?\\?", {"file.???", "dir/file.???"}, {"file.abc", "dir/file.def"}},
        {"potato", {"potato"}, {"POTATO"}},
        {"/excl/**", {"excl/123.jpg"}, {"incl/document.pdf", "a/excl/b"}},
        {"/dir/**", {"dir/a", "dir/b/c"}, {"sub/dir/a", "dir"}},
        {"*\\[{JP,KR,HK}\\]*", {"a[JP].txt", "d/[HK]"}, {"aJP.txt", "[US]"}},
        {"{A,B}/**", {"A/x", "B/y/z"}, {"C/x", "A"}},
        {"directory/*", {"directory/a"}, {"directory/a/b"}},
        {"/dir1/", {"dir1/a", "dir1/b/c"}, {"x/dir1/a", "dir1"}},
        {"{dir1/**,dir2/**}", {"dir1/a", "dir2/b/c", "x/dir2/b"}, {"dir3/a"}},
        {"{dir1,dir2}/**", {"dir1/a", "dir2/b/c"}, {"dir3/a"}},
        {"**", {"", "a", "a/b/c", "a/"}, {NULL}},
        {"potato,sausage", {"potato,sausage"}, {"potato", "sausage"}},
        {"potat[oa]", {"potato", "potata", "x/potato"}, {"potate", "potat/"}},
        {"potato**sausage", {"potatosausage", "potato/x/y/sausage", "potato-sausage"}, {"potato/sausages"}},
        {"[\\[\\]]", {"[", "]"}, {"a", "\\"}},
        {"a\\*b", {"a*b"}, {"axb"}},
        {"a\\\\b", {"a\\b"}, {"ab"}},
        /* What git's users know besides. */
        {"**/foo", {"foo", "a/foo", "a/b/foo"}, {"afoo", "foo/b"}},
        {"/**/foo", {"foo", "a/foo", "a/b/foo"}, {"afoo"}},
        {"/a/**/b", {"a/b", "a/x/b", "a/x/y/b"}, {"ab", "a/xb", "x/a/b"}},
        {"/abc/**", {"abc/x", "abc/x/y"}, {"abc", "x/abc/y"}},
        {"node_modules/", {"node_modules/a", "x/node_modules/y/z"}, {"node_modules", "my_node_modules/a"}},
        {"foo/*", {"foo/test.json"}, {"foo/bar/hello.c"}},
        {"[!a-c]x", {"dx", "-x"}, {"ax", "/x", "x"}},
        {"[^a-c]x", {"dx"}, {"bx"}},
        {"\\#x", {"#x"}, {"\\#x"}},
        {"a\\ b", {"a b"}, {"ab"}},
        /* Corners. */
        {"a/", {"a/", "a/b"}, {"a", "ba/c"}},
        {"*", {"", "a", "a/b"}, {NULL}}, /* of any segment, so of the last */
        {"/*", {"a"}, {"a/b"}},
        {"/*/", {"a/b", "a/b/c"}, {"a"}},
        {"a?b",
         {"a\xC3\xA4"
          "b",
          "a\xFF"
          "b"},
         {"a/b", "ab"}},
        {"[\xC3\xA4-\xC3\xB6]", {"\xC3\xA5"}, {"a", "\xC3\xA4\xC3\xA4"}},
        {"[]a]", {"]", "a"}, {"b"}},
        {"[a-]", {"a", "-"}, {"b"}},
        {"[+-/]x", {"+x", ".x"}, {"/x"}},
        {"[*?{]", {"*", "?", "{"}, {"a"}},
        {"x{,y}", {"x", "xy"}, {"xyy"}},
        {"{a,b{c,d}}e", {"ae", "bce", "bde"}, {"be", "e"}},
        {"{a/b,c}.d", {"a/b.d", "x/c.d"}, {"a/b"}},
        {"/a**", {"a", "a/b", "abc"}, {"b", "x/a"}},
        {"{}x", {"x"}, {"y"}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        for (size_t k = 0; k < 5; k++) {
            const char *hit = table[i].hits[k], *miss = table[i].misses[k];

            if (hit != NULL && !matches(table[i].pattern, hit))
                fail_msg("\"%s\" does not match \"%s\"", table[i].pattern, hit);
            if (miss != NULL && matches(table[i].pattern, miss))
                fail_msg("\"%s\" matches \"%s\"", table[i].pattern, miss);
        }
}

static void what_is_no_pattern_is_refused(void **state)
{
    static const char *const table[][2] = {
        {"", "empty"},
        {"/", "empty"},
        {"*.{{jpe?g}}", "regular expressions"}, /* rclone's */
        {"/{{.*\\.jpe?g}}", "regular expressions"},
        {"*.\\d\\d\\d", "[0-9]"},
        {"??[^[:punct:]]*", "named class"},
        {"potat[[:alpha:]]or", "named class"},
        {"***potato", "three stars"},
        {"***", "three stars"},
        {"ab]c", "without its ["},
        {"ab[c", "without its ]"},
        {"ab[", "without its ]"},
        {"ab[!", "without its ]"},
        {"ab[]", "without its ]"},
        {"ab[a-", "without its ]"},
        {"ab[\\", "ends with a backslash"},
        {"ab{}}cd", "without its {"},
        {"ab}c", "without its {"},
        {"ab{c", "without its }"},
        {"{a,{b,c}", "without its }"},
        {"[z-a]", "backwards"},
        {"a\\", "ends with a backslash"},
        {"a\\n", "letter or digit"},
        {"{a,{a,{a,{a,{a,{a,{a,{a,{a,b}}}}}}}}}", "braces in braces"},
    };
    char longest[FILTER_PATTERN_MAX + 2];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct filter *filter = filter_new();
        const char *why = filter_add(filter, &(struct filter_rule){false, table[i][0], "a test"});

        if (why == NULL || strstr(why, table[i][1]) == NULL)
            fail_msg("\"%s\" %s", table[i][0], why != NULL ? why : "is taken");
        assert_null(filter_rule(filter, 0));
        /* It leaves nothing behind. */
        assert_null(filter_add(filter, &(struct filter_rule){false, "b", "a test"}));
        assert_false(filter_look(filter, "b").taken);
        assert_true(filter_look(filter, "a").taken);
        filter_free(filter);
    }
    memset(longest, 'x', sizeof longest);
    longest[FILTER_PATTERN_MAX] = '\0';
    assert_true(matches(longest, longest));
    longest[FILTER_PATTERN_MAX] = 'x';
    longest[FILTER_PATTERN_MAX + 1] = '\0';
    struct filter *filter = filter_new();
    assert_non_null(strstr(filter_add(filter, &(struct filter_rule){false, longest, ""}), "longer"));
    filter_free(filter);
}

/* The examples of whole lists, from the same page. */
static void the_first_rule_decides(void **state)
{
    static const char *const sample[] = {"- secret*.jpg",   "+ *.jpg",   "+ *.png", "+ file2.avi",
                                         "- /dir/Trash/**", "+ /dir/**", "- *",     NULL};
    static const char *const folders[] = {"- /dir1/", "- /dir2/", "+ *.pdf", "- **", NULL};
    static const char *const bak[] = {"- *.bak", NULL};
    struct filter *filter;
    struct filter_verdict verdict;

    (void)state;
    assert_true(takes(sample, "file1.jpg"));
    assert_true(takes(sample, "x/file3.png"));
    assert_true(takes(sample, "file2.avi"));
    assert_true(takes(sample, "dir/a"));
    assert_true(takes(sample, "dir/Trash/a.png"));
    assert_false(takes(sample, "secret17.jpg"));
    assert_false(takes(sample, "dir/Trash/a"));
    assert_false(takes(sample, "non/a.txt"));
    assert_true(takes(folders, "a.pdf"));
    assert_true(takes(folders, "x/y/a.pdf"));
    assert_false(takes(folders, "dir1/a.pdf"));
    assert_false(takes(folders, "dir2/x/a.pdf"));
    assert_false(takes(folders, "a.txt"));
    assert_true(takes(bak, "a"));
    assert_false(takes(bak, "a.bak"));

    filter = filter_of(sample);
    verdict = filter_look(filter, "dir/x.jpg");
    assert_string_equal(verdict.rule->pattern, "*.jpg");
    assert_true(verdict.rule->include);
    assert_string_equal(verdict.rule->origin, "a test");
    /* A file's "!": what stands before it is forgotten. */
    filter_cut(filter, 0);
    assert_null(filter_add(filter, &(struct filter_rule){true, "42.doc", "a"}));
    assert_null(filter_add(filter, &(struct filter_rule){false, "*", "b"}));
    assert_true(filter_look(filter, "42.doc").taken);
    assert_false(filter_look(filter, "a.jpg").taken);
    assert_string_equal(filter_rule(filter, 1)->origin, "b");
    assert_null(filter_rule(filter, 2));
    filter_free(filter);
}

static void only_what_is_included(void **state)
{
    struct filter *filter = filter_of((const char *const[]){"- *.tmp", "+ /a/", "+ *.{png,jpg}", NULL});

    (void)state;
    assert_true(filter_look(filter, "b").taken);
    assert_false(filter_is_only_included(filter));
    filter_only_included(filter);
    assert_true(filter_is_only_included(filter));
    assert_false(filter_look(filter, "b").taken);
    assert_null(filter_look(filter, "b").rule);
    assert_true(filter_look(filter, "a/b").taken);
    assert_true(filter_look(filter, "b/c.png").taken);
    assert_false(filter_look(filter, "a/b.tmp").taken);
    filter_free(filter);
    assert_true(filter_look(NULL, "x").taken);
    assert_null(filter_rule(NULL, 0));
    assert_false(filter_is_only_included(NULL));
}

static void folders_are_pruned(void **state)
{
    static const struct {
        const char *rules[5];
        bool only;
        const char *key, *folder; /* "": none */
    } table[] = {
        {{"- /a/"}, false, "a/b/c", "a/"},
        {{"- /a/**"}, false, "a/b/c", "a/"},
        {{"- /a/b/"}, false, "a/b/c", "a/b/"},
        {{"- /a/b/"}, false, "a/bc/d", ""},
        {{"- tmp/"}, false, "x/y/tmp/z", "x/y/tmp/"},
        {{"- /a/*"}, false, "a/b", ""},
        {{"- /a/*"}, false, "a/b/c", ""},
        {{"- *.tmp"}, false, "a/b.tmp", ""},
        {{"- **"}, false, "a/b/c", "a/"},
        {{"- *"}, false, "a/b/c", ""}, /* of each segment alone: this is not known to be all */
        {{"- **/cache/**"}, false, "a/cache/b", "a/cache/"},
        {{"- {a,b}/"}, false, "b/c", "b/"},
        {{"- [!x]*/"}, false, "y/c", "y/"},
        /* What is included before may be in there. */
        {{"+ *.jpg", "- /a/"}, false, "a/b", ""},
        {{"+ /a/keep/", "- /a/"}, false, "a/b", ""},
        {{"+ /a/keep/", "- /a/"}, false, "a/b/c", "a/b/"},
        {{"+ /a/keep/", "- /a/"}, false, "a/keep/c", ""},
        {{"+ /c/", "- /a/"}, false, "a/b", "a/"},
        {{"- /a/", "+ *.jpg"}, false, "a/b", "a/"},
        /* And what is included only. */
        {{"+ /a/b/"}, true, "a/c", ""},
        {{"+ /a/b/"}, true, "a/c/d", "a/c/"},
        {{"+ /a/b/"}, true, "b/c/d", "b/"},
        {{"+ /a/b/"}, true, "a/b/d", ""},
        {{"+ *.jpg"}, true, "a/b/d", ""},
        {{"- /a/b/", "+ /a/"}, true, "a/b/d", "a/b/"},
        {{"- /a/"}, false, "a", ""},
        {{"- /a/"}, false, "", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct filter *filter = filter_of(table[i].rules);
        size_t len;

        if (table[i].only)
            filter_only_included(filter);
        len = filter_look(filter, table[i].key).folder;
        if (len != strlen(table[i].folder) || memcmp(table[i].key, table[i].folder, len) != 0)
            fail_msg("row %zu: \"%.*s\" of \"%s\" and not \"%s\"", i, (int)len, table[i].key, table[i].key,
                     table[i].folder);
        if (len > 0)
            assert_false(filter_look(filter, table[i].key).taken);
        filter_free(filter);
    }
}

/* With a matcher that tries one way after the other each of these takes longer than the universe is old. */
static void no_pattern_takes_long(void **state)
{
    char key[1025], pattern[FILTER_PATTERN_MAX + 1] = "/";
    struct filter *filter = filter_new();

    (void)state;
    memset(key, 'a', sizeof key - 1);
    key[1024] = '\0';
    while (strlen(pattern) + 10 < sizeof pattern)
        strcat(pattern, "*a");
    strcat(pattern, "b");
    assert_null(filter_add(filter, &(struct filter_rule){false, pattern, ""}));
    strcpy(pattern, "/");
    while (strlen(pattern) + 10 < sizeof pattern)
        strcat(pattern, "{a,**a,}");
    assert_null(filter_add(filter, &(struct filter_rule){false, strcat(pattern, "b"), ""}));
    strcpy(pattern, "");
    while (strlen(pattern) + 20 < sizeof pattern)
        strcat(pattern, "{,a,{a,aa,{,a}}}");
    assert_null(filter_add(filter, &(struct filter_rule){false, strcat(pattern, "b"), ""}));
    assert_true(filter_look(filter, key).taken);
    for (size_t i = 1; i < sizeof key - 1; i += 2)
        key[i] = '/';
    key[1023] = 'b';
    assert_false(filter_look(filter, key).taken);
    filter_free(filter);
}

/* Rules are bounded, and one too many takes none away. */
static void there_is_an_end_of_rules(void **state)
{
    struct filter *filter = filter_new();
    struct filter_rule rule = {.pattern = "0123456789", .origin = ""};
    const char *why = NULL;
    size_t count = 0;

    (void)state;
    while ((why = filter_add(filter, &rule)) == NULL)
        assert_true(++count < FILTER_NODES_MAX);
    assert_non_null(strstr(why, "too long"));
    assert_true(count > 1000);
    assert_non_null(filter_rule(filter, count - 1));
    assert_null(filter_rule(filter, count));
    assert_false(filter_look(filter, "0123456789").taken);
    assert_true(filter_look(filter, "012345678").taken);
    filter_free(filter);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns_match_keys),      cmocka_unit_test(what_is_no_pattern_is_refused),
        cmocka_unit_test(the_first_rule_decides),   cmocka_unit_test(only_what_is_included),
        cmocka_unit_test(folders_are_pruned),       cmocka_unit_test(no_pattern_takes_long),
        cmocka_unit_test(there_is_an_end_of_rules),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
