/* nearest: what is near, and which of several is suggested. */
#include "nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdbool.h>
#include <string.h>

static void test_nearest(void **state)
{
    static const struct {
        const char *word, *candidate;
        bool near;
    } cases[] = {
        {"sync", "sync", true},       {"snyc", "sync", false},      {"synk", "sync", true},
        {"", "sync", false},          {"sy", "sync", false},        {"syn", "sync", true},
        {"timeuot", "timeout", true}, {"env", "environment", true}, {"invironment", "environment", true},
        {"health", "status", false},
    };
    (void)state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct nearest nearest;
        char hint[NEAREST_HINT_SIZE];

        nearest_init(&nearest, cases[i].word);
        nearest_offer(&nearest, cases[i].candidate, "SHOWN");
        assert_string_equal(nearest_hint(&nearest, hint), cases[i].near ? "; did you mean SHOWN?" : "");
    }

    struct nearest nearest;
    char word[200];
    nearest_init(&nearest, "retris");
    nearest_offer(&nearest, "retires", "worse");
    nearest_offer(&nearest, "retries", "better");
    nearest_offer(&nearest, "retrias", "later");
    assert_string_equal(nearest.best, "better");
    memset(word, 'a', sizeof word - 1);
    word[sizeof word - 1] = '\0';
    nearest_init(&nearest, word);
    nearest_offer(&nearest, word, word);
    assert_string_equal(nearest.best, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
