/* parts: names, and what a key in the folder is. */
#include "parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define FOLDER ".storsync/shop/lease/shards/"
#define GROUP "8b53639f152c8fc6-8" /* sha256("d1") */

static const struct job job = {.prefix = ".storsync/shop/"};

static void names(void **state)
{
    struct parts parts;
    struct job shard;

    (void)state;
    parts_init(&parts, &job, "d1", &(struct shard){3, 8});
    assert_string_equal(parts.group, GROUP);
    parts_job(&job, parts.group, 3, &shard);
    assert_string_equal(shard.prefix, FOLDER GROUP "/3/");
    parts_init(&parts, &job, "d1", &(struct shard){999, 1000});
    assert_string_equal(parts.group, "8b53639f152c8fc6-1000");
    assert_true(parts_same_deployment(parts.group, GROUP));
    assert_false(parts_same_deployment("8b53639f152c8fc7-8", GROUP));
}

/* The longest job's name there can be still leaves room for the keys of a shard, whole. */
static void the_longest_names(void **state)
{
    struct job longest = {.prefix = ".storsync/"}, shard;
    struct parts_key key;
    struct parts parts;
    char text[LEASE_KEY_SIZE];

    (void)state;
    for (int i = 0; i < SETTINGS_SEGMENT_MAX; i++)
        strcat(longest.prefix, "j");
    strcat(longest.prefix, "/");
    parts_init(&parts, &longest, "d1", &(struct shard){999, 1000});
    parts_job(&longest, parts.group, 999, &shard);
    assert_non_null(strstr(shard.prefix, "/lease/shards/8b53639f152c8fc6-1000/999/"));
    lease_key(&shard, 7, text);
    parts_parse_key(&longest, text, &key);
    assert_int_equal(key.kind, PARTS_EPOCH);
    assert_int_equal(key.index, 999);
    assert_int_equal(key.epoch, 7);
    assert_string_equal(key.group, parts.group);
}

static void keys(void **state)
{
    static const struct {
        const char *key, *group;
        enum parts_kind kind;
        int index;
        uint64_t epoch;
    } known[] = {
        {FOLDER GROUP "/begun", GROUP, PARTS_BEGUN, 0, 0},
        {FOLDER GROUP "/0/done.json", GROUP, PARTS_DONE, 0, 0},
        {FOLDER GROUP "/7/lease/0000000000000012", GROUP, PARTS_EPOCH, 7, 12},
        {FOLDER GROUP "/7/clock", GROUP, PARTS_OTHER, 7, 0},
        {FOLDER GROUP "/7/lease/12", GROUP, PARTS_OTHER, 7, 0},
        {FOLDER GROUP "/7/lease/0000000000000000", GROUP, PARTS_OTHER, 7, 0},
        {FOLDER GROUP "/7x/done.json", GROUP, PARTS_OTHER, 0, 0},
        {FOLDER GROUP "/1000/done.json", GROUP, PARTS_OTHER, 0, 0},
        {FOLDER GROUP "/99999999999/done.json", GROUP, PARTS_OTHER, 0, 0},
        {FOLDER GROUP "/-1/done.json", GROUP, PARTS_OTHER, 0, 0},
        {FOLDER GROUP "/", GROUP, PARTS_OTHER, 0, 0},
        {FOLDER GROUP, "", PARTS_OTHER, 0, 0},
        {FOLDER, "", PARTS_OTHER, 0, 0},
        {FOLDER "a-name-that-is-longer-than-any-group/begun", "", PARTS_OTHER, 0, 0},
        {".storsync/shop/lease/0000000000000012", "", PARTS_OTHER, 0, 0},
        {".storsync/other/lease/shards/" GROUP "/begun", "", PARTS_OTHER, 0, 0},
        {"", "", PARTS_OTHER, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct parts_key key;

        parts_parse_key(&job, known[i].key, &key);
        if (key.kind != known[i].kind)
            fail_msg("%s is of kind %d", known[i].key, (int)key.kind);
        assert_string_equal(key.group, known[i].group);
        assert_int_equal(key.index, known[i].index);
        assert_int_equal(key.epoch, known[i].epoch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
        cmocka_unit_test(the_longest_names),
        cmocka_unit_test(keys),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
