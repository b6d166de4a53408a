#include "dir_fixture.h"

static void metadata_round_trips(void **state)
{
    static const char *const pairs[] = {
        "content-type",
        "text/html; charset=utf-8",
        "user:custom:aclPolicy",
        "{\"owner\":\"x\",\"visibility\":\"public\"}",
        "user:latin",
        "caf\xe9",
        "user:utf8",
        "caf\xc3\xa9 \xe2\x82\xac",
        "user:empty",
        "",
        "user:control",
        "\x01\t\n\x7f",
        "tagging",
        "a=b&c=d%20e",
        "user:\xff",
        "name of any bytes",
        NULL,
    };

    (void)state;
    for (size_t i = 0; pairs[i] != NULL; i += 2)
        assert_true(object_meta_add(&meta, pairs[i], pairs[i + 1]));
    put_text("a.html", "body");
    put_text("odd//\xfe", "body");
    assert_meta("a.html", pairs);
    assert_meta("odd//\xfe", pairs);
    get("a.html", 0, UINT64_MAX, "");
    assert_string_equal(object_meta_get(&call.meta, "user:latin"), "caf\xe9");
    store_tags(store, &call, "a.html");
    assert_succeeds();
    assert_string_equal(object_meta_get(&call.meta, "tagging"), "a=b&c=d%20e");
    assert_int_equal(count_sidecars(), 2);
    store_remove(store, &call, "a.html");
    assert_succeeds();
    assert_int_equal(count_sidecars(), 1);
}

static void as_much_metadata_as_there_can_be(void **state)
{
    static char value[OBJECT_META_MAX];

    (void)state;
    memset(value, '\x01', sizeof value); /* six bytes each in JSON */
    value[sizeof value - 8] = '\0';
    assert_true(object_meta_add(&meta, "user:x", value));
    put_text("a", "body");
    assert_meta("a", META("user:x", value));
    object_meta_clear(&meta);
    memset(value, '\xff', sizeof value - 8);
    assert_true(object_meta_add(&meta, "user:x", value));
    put_text("a", "body");
    assert_meta("a", META("user:x", value));
}

static void metadata_that_goes_without_saying(void **state)
{
    (void)state;
    put_text("a.css", "1");
    assert_meta("a.css", META("content-type", "text/css"));
    assert_true(object_meta_add(&meta, "content-type", "text/css"));
    put_text("a.css", "22");
    assert_meta("a.css", META("content-type", "text/css"));
    assert_int_equal(count_sidecars(), 0);
    assert_false(tempdir_has(root, ".storsync/meta"));
    put_text("no-extension", "1");
    assert_meta("no-extension", META("content-type", "text/css"));
    assert_int_equal(count_sidecars(), 1);
    object_meta_clear(&meta);
    put_text("no-extension", "1");
    assert_meta("no-extension", (const char *const[]){NULL});
    assert_int_equal(count_sidecars(), 0);
}

static void a_sidecar_belongs_to_one_version(void **state)
{
    (void)state;
    assert_true(object_meta_add(&meta, "cache-control", "no-cache"));
    assert_true(put("a.txt", "body", 4, 4, 1000));
    assert_meta("a.txt", META("cache-control", "no-cache"));
    assert_true(tempdir_file(root, "a.txt", "edited by hand"));
    assert_meta("a.txt", META("content-type", "text/plain"));
    assert_true(put("a.txt", "body", 4, 4, 2000));
    assert_meta("a.txt", META("cache-control", "no-cache"));
}

static void malformed_sidecars_count_as_none(void **state)
{
    static const char *const bodies[] = {
        "",
        "{",
        "[]",
        "null",
        "{\"schema\":2}",
        "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":[[\"a\"]]}",
        "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":[[\"a\",\"b\"],[\"a\",7]]}",
        "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":[[\"a\",{\"hex\":\"6\"}]]}",
        "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":[[\"a\",{\"hex\":\"00\"}]]}",
        "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":{\"a\":\"b\"}}",
        "{\"schema\":1,\"etag\":\"5-3b9aca00\",\"metadata\":[[\"a\",\"b\"]]}",
    };
    /* SHA-256 of "a.txt". */
    static const char path[] =
        ".storsync/meta/18/18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993.json";

    (void)state;
    assert_true(object_meta_add(&meta, "user:x", "y"));
    assert_true(put("a.txt", "body", 4, 4, 1000));
    assert_meta("a.txt", META("user:x", "y"));
    assert_true(tempdir_has(root, path));
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        assert_true(tempdir_file(root, path, bodies[i]));
        assert_meta("a.txt", META("content-type", "text/plain"));
    }
    assert_true(tempdir_file(
        root, path, "{\"schema\":1,\"etag\":\"4-3b9aca00\",\"metadata\":[[\"a\",{\"hex\":\"62ff\"}]]}"));
    assert_meta("a.txt", META("a", "b\xff"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(metadata_round_trips),
        DIR_TEST(as_much_metadata_as_there_can_be),
        DIR_TEST(metadata_that_goes_without_saying),
        DIR_TEST(a_sidecar_belongs_to_one_version),
        DIR_TEST(malformed_sidecars_count_as_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
