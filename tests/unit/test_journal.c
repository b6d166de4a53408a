/* journal, undo, keep: the documents, and what follows from them. */
#include "journal.h"

#include "clock.h"
#include "undo.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#define NOW INT64_C(1764000000000)

static const struct job job = {.prefix = OBJECT_STATE_PREFIX "shop/"};

static struct object_entry object(uint64_t size, int64_t modified, const char *version)
{
    struct object_entry entry = {.size = size, .modified = modified};

    memcpy(entry.version, version, strlen(version) + 1);
    object_hash_md5(&entry.hash, version);
    return entry;
}

#define MD5_A "0cc175b9c0f1b6a831c399e269772661"
#define MD5_B "92eb5ffee6ae2fec3ad71c777531578f"

static struct journal_entry an_entry(enum journal_deed deed, const char *key)
{
    struct journal_entry entry = {.deed = deed, .number = 17};

    memcpy(entry.key, key, strlen(key) + 1);
    entry.before = object(3, NOW - 5000, MD5_A);
    entry.after = object(4, NOW, MD5_B);
    return entry;
}

/* ---- keys ---- */

static void test_entries_that_are_replaced(void **state)
{
    static struct journal_again again;

    (void)state;
    assert_false(journal_has_again(&again, 1));
    for (again.count = 0; again.count < JOURNAL_AGAIN_MAX; again.count++)
        again.numbers[again.count] = 2 * (uint64_t)again.count + 2;
    for (uint64_t number = 0; number < 2 * JOURNAL_AGAIN_MAX + 4; number++)
        assert_int_equal(journal_has_again(&again, number),
                         number > 0 && number % 2 == 0 && number <= 2 * JOURNAL_AGAIN_MAX);
}

static void test_keys(void **state)
{
    char key[JOURNAL_KEY_SIZE];
    uint64_t run;

    (void)state;
    journal_chunk_key(&job, 7, 1, key);
    assert_string_equal(key, ".storsync/shop/runs/0000000000000007/chunk-000000000001.json");
    assert_true(journal_parse_run(&job, key, &run));
    assert_int_equal(run, 7);
    journal_kept_key(&job, LEASE_EPOCH_MAX, 123456789012, key);
    assert_string_equal(key, ".storsync/shop/runs/1000000000000000/kept/123456789012");
    journal_run_key(&job, 7, key);
    assert_string_equal(key, ".storsync/shop/runs/0000000000000007/run.json");
    journal_again_key(&job, 7, 42, key);
    assert_string_equal(key, ".storsync/shop/runs/0000000000000007/again/000000000042.json");
    assert_true(journal_parse_again(&job, 7, key, &run));
    assert_int_equal(run, 42);
    assert_false(journal_parse_again(&job, 8, key, &run));
    assert_false(
        journal_parse_again(&job, 7, ".storsync/shop/runs/0000000000000007/again/000000000042.jsonx", &run));
    assert_false(journal_parse_again(&job, 7, ".storsync/shop/runs/0000000000000007/again/42.json", &run));
    assert_false(journal_parse_again(&job, 7, ".storsync/shop/runs/0000000000000007/run.json", &run));
    journal_prefix(&job, 0, "", key);
    assert_string_equal(key, ".storsync/shop/runs/");
    assert_false(journal_parse_run(&job, ".storsync/shop/runs/0000000000000007", &run));
    assert_false(journal_parse_run(&job, ".storsync/shop/runs/0000000000000000/run.json", &run));
    assert_false(journal_parse_run(&job, ".storsync/shop/runs/9999999999999999/run.json", &run));
    assert_false(journal_parse_run(&job, ".storsync/other/runs/0000000000000007/run.json", &run));
    assert_false(journal_parse_run(&job, ".storsync/shop/runs/7/run.json", &run));
}

/* ---- documents ---- */

static const struct journal_head head = {
    .run = 7, .nonce = "abc", .deployment = "v42 \"\xc3\xa9\"", .versions = true, .started = NOW};

static void write_chunk(const struct journal_entry *entries, int count, struct buf *out)
{
    buf_init(out, STORE_SMALL_MAX);
    journal_begin_chunk(&head, out);
    for (int i = 0; i < count; i++)
        journal_add(&entries[i], out);
    journal_end_chunk(out);
    assert_false(out->failed);
}

static void check_object(const struct object_entry *is, const struct object_entry *was)
{
    assert_int_equal(is->size, was->size);
    assert_int_equal(is->modified, was->modified);
    assert_string_equal(is->version, was->version);
    assert_true(object_hashes_equal(&is->hash, &was->hash));
}

static void test_chunk(void **state)
{
    struct journal_entry was[3] = {an_entry(JOURNAL_CREATE, "a b/\"\xff\x01%/\xc3\xa9"),
                                   an_entry(JOURNAL_OVERWRITE, "public/b"),
                                   an_entry(JOURNAL_DELETE, "public/c")};
    struct journal_chunk chunk;
    struct journal_entry is;
    struct buf json;

    (void)state;
    was[1].before.hash = (struct object_hash){.kind = OBJECT_HASH_CRC32C, .bytes = {0xde, 0xad, 0xbe, 0xef}};
    was[1].before.touched = 0;
    memset(was[0].key + strlen(was[0].key), 'k', OBJECT_KEY_MAX - strlen(was[0].key));
    was[0].key[OBJECT_KEY_MAX] = '\0';
    write_chunk(was, 3, &json);
    assert_true(journal_open(json.data, json.len, &chunk));
    assert_int_equal(chunk.head.run, 7);
    assert_string_equal(chunk.head.nonce, "abc");
    assert_string_equal(chunk.head.deployment, head.deployment);
    assert_true(chunk.head.versions);
    assert_int_equal(chunk.head.started, NOW);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(journal_next(&chunk, &is), 1);
        assert_string_equal(is.key, was[i].key);
        assert_int_equal(is.deed, was[i].deed);
        assert_int_equal(is.number, 17);
        if (is.deed != JOURNAL_CREATE)
            check_object(&is.before, &was[i].before);
        if (is.deed != JOURNAL_DELETE)
            check_object(&is.after, &was[i].after);
    }
    assert_int_equal(journal_next(&chunk, &is), 0);
    journal_close(&chunk);
    buf_free(&json);
}

/* The longest entries there can be fit into what a chunk that is "full" leaves. */
static void test_a_full_chunk_has_room_for_one_more(void **state)
{
    struct journal_entry entry = an_entry(JOURNAL_OVERWRITE, "");
    struct buf json;

    (void)state;
    memset(entry.key, 0xff, OBJECT_KEY_MAX);
    entry.before.size = entry.after.size = UINT64_MAX / 2;
    memset(entry.before.version, 1, OBJECT_VERSION_SIZE - 1);
    memset(entry.after.version, 1, OBJECT_VERSION_SIZE - 1);
    write_chunk(&entry, 1, &json);
    assert_true(json.len < STORE_SMALL_MAX - JOURNAL_CHUNK_FULL);
    buf_free(&json);
}

static void test_what_is_no_chunk(void **state)
{
    static const char *const documents[] = {
        "",
        "{",
        "[]",
        "{}",
        "{\"schema\":2,\"run\":7,\"keep\":\"copies\",\"entries\":[]}",
        "{\"schema\":1,\"run\":0,\"keep\":\"copies\",\"entries\":[]}",
        "{\"schema\":1,\"run\":-7,\"keep\":\"copies\",\"entries\":[]}",
        "{\"schema\":1,\"run\":7,\"keep\":\"tape\",\"entries\":[]}",
        "{\"schema\":1,\"run\":7,\"keep\":\"copies\",\"entries\":{}}",
        "{\"schema\":1,\"run\":7,\"keep\":\"copies\"}",
    };
    struct journal_chunk chunk;

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        assert_false(journal_open(documents[i], strlen(documents[i]), &chunk));
}

static void test_what_is_no_entry(void **state)
{
    static const char *const entries[] = {
        "7",
        "{}",
        "{\"n\":1,\"key\":\"a\",\"do\":\"burn\"}",
        "{\"n\":0,\"key\":\"a\",\"do\":\"create\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\"\",\"do\":\"create\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\"%zz\",\"do\":\"create\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\"%00\",\"do\":\"create\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\".storsync/shop/lease/1\",\"do\":\"create\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\"a\",\"do\":\"create\"}",
        "{\"n\":1,\"key\":\"a\",\"do\":\"create\",\"after\":{\"size\":-1}}",
        "{\"n\":1,\"key\":\"a\",\"do\":\"overwrite\",\"after\":{\"size\":1}}",
        "{\"n\":1,\"key\":\"a\",\"do\":\"delete\",\"after\":{\"size\":1}}",
    };
    struct journal_chunk chunk;
    struct journal_entry entry;
    char json[300];

    (void)state;
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++) {
        int len = snprintf(json, sizeof json, "{\"schema\":1,\"run\":7,\"keep\":\"copies\",\"entries\":[%s]}",
                           entries[i]);

        assert_true(journal_open(json, (size_t)len, &chunk));
        assert_int_equal(journal_next(&chunk, &entry), -1);
        assert_int_equal(journal_next(&chunk, &entry), 0);
        journal_close(&chunk);
    }
}

static void test_run(void **state)
{
    static const char died[] = "{\"schema\":1,\"run\":7,\"keep\":\"copies\",\"state\":\"died\"}";
    struct journal_run was = {.head = head,
                              .state = JOURNAL_ROLLED_BACK,
                              .finished = NOW + 5,
                              .chunks = 2,
                              .created = 3,
                              .overwritten = 4,
                              .deleted = 5,
                              .bytes = 6};
    struct journal_run is;
    struct buf json;

    (void)state;
    buf_init(&json, STORE_SMALL_MAX);
    assert_true(journal_write_run(&was, &json));
    assert_true(journal_read_run(json.data, json.len, &is));
    assert_int_equal(is.state, JOURNAL_ROLLED_BACK);
    assert_int_equal(is.head.run, 7);
    assert_int_equal(is.finished, NOW + 5);
    assert_int_equal(
        is.chunks + 10 * is.created + 100 * is.overwritten + 1000 * is.deleted + 10000 * is.bytes, 65432);
    assert_false(journal_read_run(json.data, json.len - 3, &is));
    assert_false(journal_read_run(died, strlen(died), &is));
    buf_free(&json);
}

/* ---- what is to be undone ---- */

static struct object_info there(const struct object_entry *entry)
{
    struct object_info info = {.size = entry->size, .modified = entry->modified, .hash = entry->hash};

    memcpy(info.version, entry->version, sizeof info.version);
    return info;
}

enum now { NOTHING, BEFORE, AFTER, BEFORE_AGAIN, OTHER, OTHER_OF_ITS_SIZE };

static enum undo_verdict decide(enum journal_deed deed, enum now what, bool keeps_times, bool ours)
{
    struct journal_entry entry = an_entry(deed, "k");
    struct object_info now;

    if (keeps_times) /* no hashes */
        entry.before.hash.kind = entry.after.hash.kind = OBJECT_HASH_NONE;
    now = there(what == AFTER ? &entry.after : &entry.before);
    if (what == AFTER && keeps_times)
        memcpy(now.version, "4-1-2", 6);
    if (what == BEFORE_AGAIN && keeps_times)
        memcpy(now.version, "3-1-3", 6);
    if (what == BEFORE_AGAIN && !keeps_times)
        now.modified = NOW + 60000;
    if (what == OTHER)
        now.size = 99;
    if (what == OTHER_OF_ITS_SIZE) {
        now.size = deed == JOURNAL_DELETE ? 3 : 4;
        now.modified = NOW + 60000;
        object_hash_md5(&now.hash, "00000000000000000000000000000000");
    }
    if (what == OTHER || what == OTHER_OF_ITS_SIZE)
        memcpy(now.version, "other", 6);
    return undo_decide(&entry, what == NOTHING ? NULL : &now, keeps_times, ours);
}

static void test_decide(void **state)
{
    static const struct {
        enum journal_deed deed;
        enum now now;
        enum undo_verdict files, objects, not_ours;
    } rows[] = {
        {JOURNAL_CREATE, NOTHING, UNDO_NOTHING, UNDO_NOTHING, UNDO_NOTHING},
        {JOURNAL_CREATE, AFTER, UNDO_REMOVE, UNDO_REMOVE, UNDO_LEAVE},
        {JOURNAL_CREATE, OTHER, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_CREATE, OTHER_OF_ITS_SIZE, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_OVERWRITE, NOTHING, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_OVERWRITE, BEFORE, UNDO_NOTHING, UNDO_NOTHING, UNDO_NOTHING},
        {JOURNAL_OVERWRITE, AFTER, UNDO_RESTORE, UNDO_RESTORE, UNDO_LEAVE},
        {JOURNAL_OVERWRITE, BEFORE_AGAIN, UNDO_NOTHING, UNDO_RESTORE, UNDO_LEAVE},
        {JOURNAL_OVERWRITE, OTHER, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_OVERWRITE, OTHER_OF_ITS_SIZE, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_DELETE, NOTHING, UNDO_RESTORE, UNDO_RESTORE, UNDO_RESTORE},
        {JOURNAL_DELETE, BEFORE, UNDO_NOTHING, UNDO_NOTHING, UNDO_NOTHING},
        {JOURNAL_DELETE, BEFORE_AGAIN, UNDO_NOTHING, UNDO_NOTHING, UNDO_LEAVE},
        {JOURNAL_DELETE, OTHER, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
        {JOURNAL_DELETE, OTHER_OF_ITS_SIZE, UNDO_LEAVE, UNDO_LEAVE, UNDO_LEAVE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("row %zu\n", i);
        assert_int_equal(decide(rows[i].deed, rows[i].now, true, false), rows[i].files);
        assert_int_equal(decide(rows[i].deed, rows[i].now, false, true), rows[i].objects);
        assert_int_equal(decide(rows[i].deed, rows[i].now, false, false), rows[i].not_ours);
    }
}

/* The content is what it was before, and so is the ETag: only the time tells that it was written. */
static void test_the_same_content_was_written(void **state)
{
    struct journal_entry entry = an_entry(JOURNAL_OVERWRITE, "k");
    struct object_info now;

    (void)state;
    entry.after = entry.before;
    entry.after.modified = NOW;
    now = there(&entry.after);
    now.modified = NOW + 1000;
    assert_int_equal(undo_decide(&entry, &now, false, true), UNDO_RESTORE);
    assert_int_equal(undo_decide(&entry, &now, false, false), UNDO_LEAVE);
    /* A look tells whole seconds, a listing more. */
    entry.before.modified = NOW - 4321;
    now.modified = NOW - 5000;
    assert_int_equal(undo_decide(&entry, &now, false, true), UNDO_NOTHING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_entries_that_are_replaced),
        cmocka_unit_test(test_chunk),
        cmocka_unit_test(test_a_full_chunk_has_room_for_one_more),
        cmocka_unit_test(test_what_is_no_chunk),
        cmocka_unit_test(test_what_is_no_entry),
        cmocka_unit_test(test_run),
        cmocka_unit_test(test_decide),
        cmocka_unit_test(test_the_same_content_was_written),
    };

    return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
