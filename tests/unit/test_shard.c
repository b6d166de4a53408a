/* shard: which one this is, and whose a key is. */
#include "shard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

static void texts(void **state)
{
    static const struct {
        const char *text;
        int index, count;
    } good[] = {{"0/1", 0, 1},
                {"0/8", 0, 8},
                {"7/8", 7, 8},
                {"007/008", 7, 8},
                {"999/1000", 999, 1000},
                {"/8", SHARD_UNKNOWN, 8},
                {"/1000", SHARD_UNKNOWN, 1000}};
    static const char *const bad[] = {"",     "8",    "/",      "1/",    "/0",     "0/0",
                                      "8/8",  "9/8",  "-1/8",   "+1/8",  " 1/8",   "1/8 ",
                                      "1 /8", "1/ 8", "1/8/",   "1//8",  "1/8.0",  "1/0x8",
                                      "a/8",  "1/b",  "0/1001", "0/1e3", "//8",    "1/4294967304",
                                      "/-8",  "\\/8", "1|8",    "1/8,",  "1001/8", "18446744073709551617/8"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct shard shard;

        assert_true(shard_parse(good[i].text, &shard));
        assert_int_equal(shard.index, good[i].index);
        assert_int_equal(shard.count, good[i].count);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct shard shard = {.index = 5, .count = 6};

        if (shard_parse(bad[i], &shard))
            fail_msg("\"%s\" is a shard", bad[i]);
        assert_int_equal(shard.index, 5);
        assert_int_equal(shard.count, 6);
    }
}

static void numbers(void **state)
{
    static const char *const bad[] = {"", "8", "-1", " 1", "1 ", "1x", "99999999999", "0x1"};
    int index = -7;

    (void)state;
    assert_true(shard_parse_index("0", 8, &index));
    assert_int_equal(index, 0);
    assert_true(shard_parse_index("7", 8, &index));
    assert_int_equal(index, 7);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(shard_parse_index(bad[i], 8, &index));
    assert_int_equal(index, 7);
}

/* These may never change: shards of one deployment can be of two versions of the program, and a key that both leave to the other
 * would be in nobody's share. */
static void known_answers(void **state)
{
    static const struct {
        const char *key;
        int of_8, of_1000;
    } known[] = {
        {"", 4, 521},         {"public/index.html", 3, 435},    {"public/1", 5, 650},
        {"public/2", 6, 807}, {"private/\xC3\xA4.pdf", 5, 657}, {"\xFF", 1, 160},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        assert_true(shard_has(&(struct shard){known[i].of_8, 8}, known[i].key));
        assert_true(shard_has(&(struct shard){known[i].of_1000, 1000}, known[i].key));
    }
}

/* Every key is in exactly one share, and the shares are of about the same size, whatever keys look like. */
static void shares(void **state)
{
    static const int counts[] = {1, 2, 3, 7, 8, 64, 1000};
    static const char *const shapes[] = {"public/%d", "%08d.jpg", "a/%d/b", "%x-%d"};

    (void)state;
    for (size_t c = 0; c < sizeof counts / sizeof counts[0]; c++) {
        int keys = counts[c] == 1000 ? 50000 : 20000;
        static int members[1000];

        for (int i = 0; i < counts[c]; i++)
            members[i] = 0;
        for (int n = 0; n < keys; n++) {
            char key[64];
            int owners = 0;

            snprintf(key, sizeof key, shapes[n % 4], n, n);
            for (int i = 0; i < counts[c]; i++)
                if (shard_has(&(struct shard){i, counts[c]}, key)) {
                    owners++;
                    members[i]++;
                }
            assert_int_equal(owners, 1);
        }
        /* Six standard deviations of a fair draw. */
        for (int i = 0; i < counts[c] && counts[c] > 1; i++) {
            int fair = keys / counts[c], off = members[i] - fair;

            assert_true(off * off < 36 * fair);
        }
    }
}

static void none(void **state)
{
    (void)state;
    assert_true(shard_has(&(struct shard){0, 0}, "any"));
    assert_true(shard_has(&(struct shard){0, 0}, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts),  cmocka_unit_test(numbers), cmocka_unit_test(known_answers),
        cmocka_unit_test(shares), cmocka_unit_test(none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
