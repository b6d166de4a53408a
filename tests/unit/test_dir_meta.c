#include "dir_fixture.h"
#include "dir_meta.h"
#include "dir_stream.h"

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

/* ---- crashes ---- */

#define KEY "a.txt"

static struct dir_tree *tree(void)
{
    return &dir_store(store)->tree;
}

static void set_cache_control(const char *value)
{
    object_meta_clear(&meta);
    if (value != NULL)
        assert_true(object_meta_add(&meta, "cache-control", value));
}

/* A new body in a temporary place, with the size and time of all of them, and its sidecar: where a crash comes
 * before the rename. */
static void prepare(const char *value)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct stat old, next;
    struct dir_file sidecar;

    set_cache_control(value);
    assert_true(tempdir_file(root, ".storsync/tmp/body", "body"));
    assert_int_equal(utimensat(AT_FDCWD, tempdir_path(root, ".storsync/tmp/body"), times, 0), 0);
    assert_int_equal(stat(tempdir_path(root, ".storsync/tmp/body"), &next), 0);
    assert_int_equal(stat(tempdir_path(root, KEY), &old), 0);
    assert_true(dir_meta_write(tree(), KEY, &old, &next, &meta, &sidecar));
    assert_true(dir_meta_announce(tree(), KEY, &old, &sidecar));
}

static void move_body(void)
{
    assert_int_equal(rename(tempdir_path(root, ".storsync/tmp/body"), tempdir_path(root, KEY)), 0);
}

/* Three versions of one size and time, which only their metadata tell apart: each has its own at every moment. */
static void a_crash_costs_no_metadata(void **state)
{
    static const char *const values[] = {"one", "two", NULL, "three", "four", NULL, NULL, "five"};
    const char *before = "zero";

    (void)state;
    set_cache_control(before);
    assert_true(put(KEY, "body", 4, 4, 1000));
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const char *now = values[i];

        prepare(now);
        if (before != NULL)
            assert_meta(KEY, META("cache-control", before));
        else
            assert_meta(KEY, META("content-type", "text/plain"));
        move_body();
        if (now != NULL) /* or the old one's would still do: same size, same time */
            assert_meta(KEY, META("cache-control", now));
        if (now == NULL || i % 2 == 0) /* else the crash leaves it as the next one's */
            assert_true(dir_meta_settle(tree(), KEY, &meta));
        if (now != NULL)
            assert_meta(KEY, META("cache-control", now));
        else
            assert_meta(KEY, META("content-type", "text/plain"));
        before = now;
    }
    assert_int_equal(count_sidecars(), 1);
    store_remove(store, &call, KEY);
    assert_succeeds();
    assert_int_equal(count_sidecars(), 0);
}

/* A directory that was copied elsewhere has other inodes. */
static void a_copy_of_the_bucket_has_its_metadata(void **state)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};

    (void)state;
    set_cache_control("old");
    assert_true(put(KEY, "older", 5, 5, 1000));
    prepare("mine");
    move_body();
    unlink(tempdir_path(root, KEY));
    assert_true(tempdir_file(root, "other", "takes the inode"));
    assert_true(tempdir_file(root, KEY, "body"));
    assert_int_equal(utimensat(AT_FDCWD, tempdir_path(root, KEY), times, 0), 0);
    assert_meta(KEY, META("cache-control", "mine"));
}

static void a_body_that_cannot_be_put_keeps_the_old_metadata(void **state)
{
    (void)state;
    if (geteuid() != 0)
        skip();
    set_cache_control("old");
    assert_true(tempdir_file(root, "d/x", ""));
    assert_true(put("d/a.txt", "body", 4, 4, 1000));
    assert_int_equal(chmod(tempdir_path(root, "d"), 0555), 0);
    assert_int_equal(chmod(root, 0777), 0);
    store_close(store);
    store = open_at(root);
    for (int i = 0; i < 2; i++) {
        char command[2 * TEMPDIR_SIZE + 64];

        snprintf(command, sizeof command, "chown -R 65534 %s/.storsync %s/d/a.txt", root, root);
        assert_int_equal(system(command), 0); /* NOLINT: no user's words are in it */
        tempdir_not_root();
        set_cache_control(i == 0 ? "new" : NULL);
        assert_false(put("d/a.txt", "body", 4, 4, i == 0 ? 1000 : 2000));
        assert_int_equal(call.error.kind, ERROR_PERMISSION);
        assert_meta("d/a.txt", META("cache-control", "old"));
        tempdir_root_again();
        assert_int_equal(count_sidecars(), 1);
    }
    chmod(tempdir_path(root, "d"), 0755);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(metadata_round_trips),
        DIR_TEST(as_much_metadata_as_there_can_be),
        DIR_TEST(metadata_that_goes_without_saying),
        DIR_TEST(a_sidecar_belongs_to_one_version),
        DIR_TEST(malformed_sidecars_count_as_none),
        DIR_TEST(a_crash_costs_no_metadata),
        DIR_TEST(a_copy_of_the_bucket_has_its_metadata),
        DIR_TEST(a_body_that_cannot_be_put_keeps_the_old_metadata),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
