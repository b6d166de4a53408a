/* json_split: the same pieces, wherever the text is cut; and nothing that is no JSON object. */
#include "json_split.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* Each piece as "name=JSON;". */
static bool write_piece(void *ctx, const char *name, yyjson_val *piece, struct error *error)
{
    struct buf *out = ctx;
    char *text = yyjson_val_write(piece, 0, NULL);

    buf_printf(out, "%s=%s;", name, text);
    free(text);
    return strcmp(name, "refused") != 0 || error_set(error, ERROR_PROTOCOL, "not this one");
}

/* In pieces of `step` bytes. False: it is not taken. */
static bool split(const char *text, size_t step, struct buf *out)
{
    size_t len = strlen(text);
    struct error error = {0};
    struct json_split s;
    bool ok = true;

    json_split_init(&s, 100, write_piece, out);
    buf_clear(out);
    for (size_t at = 0; ok && at < len; at += step)
        ok = json_split_push(&s, text + at, len - at < step ? len - at : step, &error);
    ok = ok && json_split_finish(&s, &error);
    assert_int_equal(ok, error.kind == ERROR_NONE);
    json_split_free(&s);
    return ok;
}

static void pieces(void **state)
{
    static const struct {
        const char *text, *pieces;
    } table[] = {
        {"{}", ""},
        {" {\n} \r\n\t", ""},
        {"{\"a\":1}", "a=1;"},
        {"{ \"a\" : -15 , \"b\" : null }", "a=-15;b=null;"},
        {"{\"a\":\"x,]}\\\"\\\\\",\"b\":true}", "a=\"x,]}\\\"\\\\\";b=true;"},
        {"{\"items\":[]}", ""},
        {"{\"items\":[ ] ,\"t\":\"n\"}", "t=\"n\";"},
        {"{\"items\":[{\"a\":[1,{\"b\":\"]}\"}]},{}],\"t\":\"n\"}",
         "items={\"a\":[1,{\"b\":\"]}\"}]};items={};t=\"n\";"},
        {"{\"items\":[1 , \"two\",[3],null]}", "items=1;items=\"two\";items=[3];items=null;"},
        {"{\"o\":{\"a\":[]},\"q\\\"\":0}", "o={\"a\":[]};q\\\"=0;"},
        {"{\"0123456789012345678901234567890123456789012345678901234567890123456789\":0}",
         "012345678901234567890123456789012345678901234567890123456789012=0;"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(table); i++)
        for (size_t step = 1; step <= strlen(table[i].text); step++) {
            assert_true(split(table[i].text, step, &out));
            assert_string_equal(buf_str(&out), table[i].pieces);
        }
    buf_free(&out);
}

static void what_is_none(void **state)
{
    static const char *const table[] = {
        "",
        "x",
        "[]",
        "<html>",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{\"a\":,}",
        "{\"a\" 1}",
        "{a:1}",
        "{\"a\":1}}",
        "{\"a\":1}x",
        "{\"a\":tru}",
        "{\"a\":1 2}",
        "{\"a\":\"x\"\"y\"}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":[1}",
        "{\"a\":{1]}",
        "{\"a\":[1]",
        "{\"a\":[1],\"b\":[2}",
        "{\"a\":]}",
        "{\"refused\":1}",
        "{\"a\":\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789\"}",
    };
    struct buf out;

    (void)state;
    buf_init(&out, 10000);
    for (size_t i = 0; i < COUNT(table); i++)
        for (size_t step = 1; step <= strlen(table[i]) + 1; step++)
            if (split(table[i], step, &out))
                fail_msg("row %zu is taken: %s", i, table[i]);
    buf_free(&out);
}

static void another_document(void **state)
{
    struct error error = {0};
    struct json_split s;
    struct buf out;

    (void)state;
    buf_init(&out, 100);
    json_split_init(&s, 100, write_piece, &out);
    assert_true(json_split_push(&s, "{\"a\":[\"x", 8, &error));
    assert_false(json_split_finish(&s, &error));
    json_split_reset(&s);
    assert_true(json_split_push(&s, "{\"b\":2}", 7, &error));
    assert_true(json_split_finish(&s, &error));
    assert_string_equal(buf_str(&out), "b=2;");
    json_split_free(&s);
    buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pieces),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(another_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
