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

static void only_two_md5_can_be_compared(void **state)
{
    static const char md5[] = "d41d8cd98f00b204e9800998ecf8427e";

    (void)state;
    assert_true(object_etags_comparable(md5, "D41D8CD98F00B204E9800998ECF8427F"));
    assert_false(object_etags_comparable(md5, ""));
    assert_false(object_etags_comparable("", ""));
    assert_false(object_etags_comparable(md5, "d41d8cd98f00b204e9800998ecf8427e-2"));
    assert_false(object_etags_comparable("d41d8cd98f00b204e9800998ecf8427", md5));
    assert_false(object_etags_comparable("d41d8cd98f00b204e9800998ecf8427g", md5));
    assert_false(object_etags_comparable(md5, "\"d41d8cd98f00b204e9800998ecf8427\""));
}

static void capitals_are_the_same_hash(void **state)
{
    static const char small[] = "d41d8cd98f00b204e9800998ecf8427e",
                      large[] = "D41D8CD98F00B204E9800998ECF8427E";

    (void)state;
    assert_false(object_etags_differ(small, large));
    assert_true(object_etags_equal(small, large));
    assert_true(object_etags_differ(small, "D41D8CD98F00B204E9800998ECF8427F"));
    assert_false(object_etags_equal(small, "D41D8CD98F00B204E9800998ECF8427F"));
    /* what is no hash differs in nothing, and is equal as text only */
    assert_false(object_etags_differ("aa-2", "bb-2"));
    assert_true(object_etags_equal("aa-2", "aa-2"));
    assert_false(object_etags_equal("aa-2", "AA-2"));
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
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
