/* json: ceilings, lookups, and strings of any bytes. */
#include "json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void assert_refused(const char *text, size_t len, const char *reason)
{
    struct error error = {.kind = ERROR_NONE};

    assert_null(json_parse(text, len, &error));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    assert_non_null(strstr(error.text, reason));
}

static void test_what_is_not_json_is_refused(void **state)
{
    (void)state;
    assert_refused("", 0, "not JSON");
    assert_refused("{", 1, "not JSON");
    assert_refused("{} {}", 5, "at byte 3");
    assert_refused("{\"a\":1,}", 8, "not JSON");
    assert_refused("[1] // x", 8, "not JSON");
    assert_refused("\"\xFF\"", 3, "not JSON");
    assert_refused("NaN", 3, "not JSON");
}

static void test_depth_has_a_ceiling(void **state)
{
    (void)state;
    char text[2 * (JSON_DEPTH + 1)];
    struct error error;

    memset(text, '[', JSON_DEPTH + 1);
    memset(text + JSON_DEPTH + 1, ']', JSON_DEPTH + 1);
    assert_refused(text, sizeof text, "levels");
    yyjson_doc *doc = json_parse(text + 1, sizeof text - 2, &error);
    assert_non_null(doc);
    yyjson_doc_free(doc);

    /* Brackets in strings, behind escapes too, are no levels. */
    static const char strings[] =
        "[\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[[[\",{\"\\\\\":1}]";
    doc = json_parse(strings, sizeof strings - 1, &error);
    assert_non_null(doc);
    yyjson_doc_free(doc);
}

static void test_size_has_a_ceiling(void **state)
{
    (void)state;
    char *text = malloc(JSON_MAX + 1);
    struct error error;

    memset(text, ' ', JSON_MAX + 1);
    text[0] = '1';
    assert_refused(text, JSON_MAX + 1, "bytes");
    yyjson_doc *doc = json_parse(text, JSON_MAX, &error);
    assert_non_null(doc);
    yyjson_doc_free(doc);
    free(text);
}

static void test_lookups_give_the_member_or_otherwise(void **state)
{
    (void)state;
    static const char text[] =
        "{\"s\":\"x\",\"n\":-5,\"big\":9223372036854775807,\"huge\":9223372036854775808,\"real\":1.0,\"reals\":[-0.5,1e9,1E-9,2.5e+3],\"t\":true,\"null\":null,\"o\":{}}";
    struct error error;
    yyjson_doc *doc = json_parse(text, sizeof text - 1, &error);
    yyjson_val *root = yyjson_doc_get_root(doc);

    assert_string_equal(json_text(root, "s", "d"), "x");
    assert_string_equal(json_text(root, "n", "d"), "d");
    assert_string_equal(json_text(root, "none", "d"), "d");
    assert_null(json_text(root, "null", NULL));
    assert_true(json_number(root, "n", 7) == -5);
    assert_true(json_number(root, "big", 7) == INT64_MAX);
    assert_true(json_number(root, "huge", 7) == 7);
    assert_true(json_number(root, "real", 7) == 7);
    assert_true(json_number(root, "s", 7) == 7);
    assert_true(json_flag(root, "t", false));
    assert_true(json_flag(root, "n", true));
    assert_false(json_flag(root, "none", false));

    /* no conversion of what nobody asks for: see deps/build */
    assert_int_equal(yyjson_arr_size(yyjson_obj_get(root, "reals")), 4);
    assert_true(isnan(yyjson_get_real(yyjson_arr_get_first(yyjson_obj_get(root, "reals")))));
    assert_refused("[1.5-3]", 7, "not JSON");
    assert_refused("[1.e3]", 6, "not JSON");

    yyjson_val *text_value = yyjson_obj_get(root, "s");
    assert_string_equal(json_text(text_value, "s", "d"), "d");
    assert_true(json_number(NULL, "s", 7) == 7);
    yyjson_doc_free(doc);
}

static void test_texts_are_put_as_they_are_written(void **state)
{
    static const char *const texts[][2] = {{"plain", "\"plain\""},
                                           {"", "\"\""},
                                           {"\"\\\n\x01\x7F", "\"\\\"\\\\\\u000a\\u0001\x7F\""},
                                           {"caf\xC3\xA9", "\"caf\xC3\xA9\""},
                                           {"\xFF\xFE<", "\"\\ufffd\\ufffd<\""},
                                           {"cut \xE2\x9C", "\"cut \\ufffd\\ufffd\""}};
    struct buf out;

    (void)state;
    buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buf_clear(&out);
        assert_true(json_put_text(&out, texts[i][0]));
        assert_string_equal(buf_str(&out), texts[i][1]);
    }
    buf_free(&out);
    buf_init(&out, 4);
    assert_false(json_put_text(&out, "longer"));
    buf_free(&out);
}

/* {"k": text} as json_write makes it. */
static void assert_written(const char *text, const char *expected)
{
    struct buf out;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    buf_init(&out, 4096);
    assert_true(json_add_text(doc, root, "k", text));
    assert_true(json_write(doc, false, &out));
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
    yyjson_mut_doc_free(doc);
}

static void test_strings_of_any_bytes_become_json(void **state)
{
    (void)state;
    assert_written("plain", "{\"k\":\"plain\"}");
    assert_written("", "{\"k\":\"\"}");
    assert_written(NULL, "{\"k\":null}");
    assert_written("\"\\\n\x01\x7F", "{\"k\":\"\\\"\\\\\\n\\u0001\x7F\"}");
    assert_written("caf\xC3\xA9", "{\"k\":\"caf\xC3\xA9\"}");
    assert_written("\xFF", "{\"k\":\"\xEF\xBF\xBD\"}");
    assert_written("a\xFF\xFE"
                   "b",
                   "{\"k\":\"a\xEF\xBF\xBD\xEF\xBF\xBD"
                   "b\"}");
    assert_written("cut \xE2\x9C", "{\"k\":\"cut \xEF\xBF\xBD\xEF\xBF\xBD\"}");
    assert_written("\xED\xA0\x80", "{\"k\":\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"}");
    assert_written("\xF0\x9F\x98\x80", "{\"k\":\"\xF0\x9F\x98\x80\"}");
}

static void test_writing_respects_room(void **state)
{
    (void)state;
    struct buf out;
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    json_add_text(doc, root, "k", "v");
    buf_init(&out, 8);
    assert_false(json_write(doc, false, &out));
    assert_true(out.failed);
    buf_free(&out);

    buf_init(&out, 64);
    assert_true(json_write(doc, true, &out));
    assert_string_equal(buf_str(&out), "{\n  \"k\": \"v\"\n}");
    buf_free(&out);
    yyjson_mut_doc_free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_not_json_is_refused),
        cmocka_unit_test(test_depth_has_a_ceiling),
        cmocka_unit_test(test_size_has_a_ceiling),
        cmocka_unit_test(test_lookups_give_the_member_or_otherwise),
        cmocka_unit_test(test_strings_of_any_bytes_become_json),
        cmocka_unit_test(test_texts_are_put_as_they_are_written),
        cmocka_unit_test(test_writing_respects_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
