#include "object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void pairs_come_back_in_order(void **state)
{
    struct object_meta meta;
    const char *name, *value;
    size_t at = 0;

    (void)state;
    object_meta_init(&meta);
    assert_false(object_meta_next(&meta, &at, &name, &value));
    assert_null(object_meta_get(&meta, "expires"));

    assert_true(object_meta_add(&meta, "content-type", "text/html; charset=utf-8"));
    assert_true(object_meta_add(&meta, "user:custom:aclPolicy", "{\"owner\":\"\xC3\xA9\"}"));
    assert_true(object_meta_add(&meta, "user:", ""));

    assert_true(object_meta_next(&meta, &at, &name, &value));
    assert_string_equal(name, "content-type");
    assert_string_equal(value, "text/html; charset=utf-8");
    assert_true(object_meta_next(&meta, &at, &name, &value));
    assert_string_equal(name, "user:custom:aclPolicy");
    assert_string_equal(value, "{\"owner\":\"\xC3\xA9\"}");
    assert_true(object_meta_next(&meta, &at, &name, &value));
    assert_string_equal(name, "user:");
    assert_string_equal(value, "");
    assert_false(object_meta_next(&meta, &at, &name, &value));

    assert_string_equal(object_meta_get(&meta, "user:"), "");
    assert_null(object_meta_get(&meta, "text/html; charset=utf-8")); /* a value, not a name */
    assert_null(object_meta_get(&meta, "Content-Type"));

    object_meta_clear(&meta);
    assert_null(object_meta_get(&meta, "content-type"));
    assert_true(object_meta_add(&meta, "expires", "0"));
    assert_string_equal(object_meta_get(&meta, "expires"), "0");
    object_meta_free(&meta);
}

static void a_second_value_is_joined_to_the_first(void **state)
{
    struct object_meta meta;
    const char *name, *value;
    static char big[OBJECT_META_MAX];
    size_t at = 0;

    (void)state;
    object_meta_init(&meta);
    assert_true(object_meta_join(&meta, "a", "1"));
    assert_true(object_meta_join(&meta, "b", "2"));
    assert_true(object_meta_join(&meta, "a", "three"));
    assert_true(object_meta_join(&meta, "b", ""));
    memset(big, 'v', sizeof big - 1);
    assert_false(object_meta_join(&meta, "a", big));
    assert_true(object_meta_next(&meta, &at, &name, &value));
    assert_string_equal(value, "1, three");
    assert_true(object_meta_next(&meta, &at, &name, &value));
    assert_string_equal(name, "b");
    assert_string_equal(value, "2, ");
    assert_false(object_meta_next(&meta, &at, &name, &value));
    object_meta_free(&meta);
}

static void a_version_that_is_unknown_is_no_version(void **state)
{
    (void)state;
    assert_true(object_same_version("a", "a"));
    assert_false(object_same_version("a", "b"));
    assert_false(object_same_version("a", ""));
    assert_false(object_same_version("", ""));
}

static void a_pair_that_does_not_fit_leaves_no_half(void **state)
{
    static char value[OBJECT_META_MAX];
    struct object_meta meta;

    (void)state;
    memset(value, 'v', sizeof value - 1);
    object_meta_init(&meta);
    assert_true(object_meta_add(&meta, "a", "1"));
    /* Now the name fits and the value does not. */
    assert_false(object_meta_add(&meta, "big", value));
    assert_null(object_meta_get(&meta, "big"));
    assert_true(object_meta_add(&meta, "b", "2"));
    assert_string_equal(object_meta_get(&meta, "a"), "1");
    assert_string_equal(object_meta_get(&meta, "b"), "2");

    /* The ceiling itself can be reached: two names, two values, four NULs. */
    object_meta_clear(&meta);
    assert_true(object_meta_add(&meta, "a", "1"));
    value[OBJECT_META_MAX - 4 - 3] = '\0';
    assert_false(object_meta_add(&meta, "bb", value));
    assert_true(object_meta_add(&meta, "b", value));
    assert_int_equal(meta.pairs.len, OBJECT_META_MAX);
    assert_string_equal(object_meta_get(&meta, "b"), value);
    object_meta_free(&meta);
}

static void content_headers_are_six(void **state)
{
    (void)state;
    assert_true(object_meta_is_content_header("content-type"));
    assert_true(object_meta_is_content_header("cache-control"));
    assert_true(object_meta_is_content_header("content-encoding"));
    assert_true(object_meta_is_content_header("content-disposition"));
    assert_true(object_meta_is_content_header("content-language"));
    assert_true(object_meta_is_content_header("expires"));
    assert_false(object_meta_is_content_header("content-length"));
    assert_false(object_meta_is_content_header("content-range"));
    assert_false(object_meta_is_content_header("content-md5"));
    assert_false(object_meta_is_content_header("Content-Type"));
    assert_false(object_meta_is_content_header("etag"));
    assert_false(object_meta_is_content_header(""));
}

static struct object_hash md5(const char *text)
{
    struct object_hash hash;

    object_hash_md5(&hash, text);
    return hash;
}

static bool are_comparable(const char *a, const char *b)
{
    struct object_hash left = md5(a), right = md5(b);

    return object_hashes_comparable(&left, &right);
}

static void only_two_md5_can_be_compared(void **state)
{
    static const char empty[] = "d41d8cd98f00b204e9800998ecf8427e";

    (void)state;
    assert_true(are_comparable(empty, "D41D8CD98F00B204E9800998ECF8427F"));
    assert_false(are_comparable(empty, ""));
    assert_false(are_comparable("", ""));
    assert_false(are_comparable(empty, "d41d8cd98f00b204e9800998ecf8427e-2"));
    assert_false(are_comparable("d41d8cd98f00b204e9800998ecf8427", empty));
    assert_false(are_comparable("d41d8cd98f00b204e9800998ecf8427g", empty));
    assert_false(are_comparable(empty, "\"d41d8cd98f00b204e9800998ecf8427\""));
}

static void capitals_are_the_same_hash(void **state)
{
    static const char small[] = "d41d8cd98f00b204e9800998ecf8427e",
                      large[] = "D41D8CD98F00B204E9800998ECF8427E",
                      other[] = "D41D8CD98F00B204E9800998ECF8427F";
    struct object_hash hash = md5(small), same = md5(large), differs = md5(other), none = md5("aa-2");

    (void)state;
    assert_false(object_hashes_differ(&hash, &same));
    assert_true(object_hashes_equal(&hash, &same));
    assert_true(object_hashes_differ(&hash, &differs));
    assert_false(object_hashes_equal(&hash, &differs));
    assert_true(object_versions_equal(small, large));
    assert_false(object_versions_equal(small, other));
    /* what is no hash differs in nothing and equals nothing; as a version it is equal as text only */
    assert_false(object_hashes_differ(&none, &none));
    assert_false(object_hashes_equal(&none, &none));
    assert_true(object_versions_equal("aa-2", "aa-2"));
    assert_false(object_versions_equal("aa-2", "AA-2"));
}

static void hashes_of_two_kinds_say_nothing(void **state)
{
    struct object_hash hash = md5("d41d8cd98f00b204e9800998ecf8427e");
    struct object_hash crc = {OBJECT_HASH_CRC32C, {0xd4, 0x1d, 0x8c, 0xd9}}, other = crc;

    (void)state;
    assert_false(object_hashes_comparable(&hash, &crc));
    assert_false(object_hashes_differ(&hash, &crc));
    assert_false(object_hashes_equal(&hash, &crc));
    assert_true(object_hashes_equal(&other, &crc));
    other.bytes[4] = 1; /* none of its bytes */
    assert_true(object_hashes_equal(&other, &crc));
    other.bytes[3] = 1;
    assert_true(object_hashes_differ(&other, &crc));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_come_back_in_order),
        cmocka_unit_test(a_second_value_is_joined_to_the_first),
        cmocka_unit_test(a_version_that_is_unknown_is_no_version),
        cmocka_unit_test(a_pair_that_does_not_fit_leaves_no_half),
        cmocka_unit_test(content_headers_are_six),
        cmocka_unit_test(only_two_md5_can_be_compared),
        cmocka_unit_test(capitals_are_the_same_hash),
        cmocka_unit_test(hashes_of_two_kinds_say_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
