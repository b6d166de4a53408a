/*
 * Our patches to expat, deps/patches/expat: it reads UTF-8 only, refuses a document type declaration where that
 * begins, and counts no lines. What xml.c makes of it is in test_xml.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <expat.h>

struct refusal {
    const char *encoding; /* that the application says it has */
    const char *document;
    int len;
    enum XML_Error code;
};

#define DOCUMENT(text) (text), (int)sizeof(text) - 1

static const struct refusal refusals[] = {
    {"UTF-16", DOCUMENT("\xFE\xFF\0<\0a\0/\0>"), XML_ERROR_UNKNOWN_ENCODING},
    {"UTF-16LE", DOCUMENT("<\0a\0/\0>\0"), XML_ERROR_UNKNOWN_ENCODING},
    {"ISO-8859-1", DOCUMENT("<a>\xE9</a>"), XML_ERROR_UNKNOWN_ENCODING},
    {"US-ASCII", DOCUMENT("<a/>"), XML_ERROR_UNKNOWN_ENCODING},
    {NULL, DOCUMENT("\xFE\xFF\0<\0a\0/\0>"), XML_ERROR_INVALID_TOKEN},
    {NULL, DOCUMENT("\xFF\xFE<\0a\0/\0>\0"), XML_ERROR_INVALID_TOKEN},
    {NULL, DOCUMENT("\0<\0a\0/\0>"), XML_ERROR_INVALID_TOKEN},
    {NULL, DOCUMENT("<\0a\0/\0>\0"), XML_ERROR_INVALID_TOKEN},
    {NULL, DOCUMENT("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>"), XML_ERROR_UNKNOWN_ENCODING},
    {"UTF-8", DOCUMENT("<?xml version='1.0' encoding='ISO-8859-1'?><a>\xE9</a>"), XML_ERROR_INVALID_TOKEN},
    {"UTF-8", DOCUMENT("<a>&#x1;</a>"), XML_ERROR_BAD_CHAR_REF},
    {"UTF-8", DOCUMENT("<!DOCTYPE a><a/>"), XML_ERROR_FEATURE_REQUIRES_XML_DTD},
    {"UTF-8", DOCUMENT("<?xml version='1.0'?><!-- c --><!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>"),
     XML_ERROR_FEATURE_REQUIRES_XML_DTD},
    {"UTF-8", DOCUMENT("<!DOCTYPE ]]>"), XML_ERROR_FEATURE_REQUIRES_XML_DTD},
    {"UTF-8", DOCUMENT("<!ELEMENT a EMPTY><a/>"), XML_ERROR_SYNTAX},
    {"UTF-8", DOCUMENT("<a><!DOCTYPE a></a>"), XML_ERROR_INVALID_TOKEN},
};

/* Whole, and byte by byte: what a refusal rests on may not be there yet. */
static void what_is_left_out_is_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const struct refusal *row = &refusals[i];

        for (int step = 1; step <= row->len; step += row->len - 1) {
            XML_Parser parser = XML_ParserCreate(row->encoding);
            enum XML_Status status = XML_STATUS_OK;

            assert_non_null(parser);
            for (int at = 0; at < row->len && status == XML_STATUS_OK; at += step) {
                int len = row->len - at < step ? row->len - at : step;

                status = XML_Parse(parser, row->document + at, len, at + len == row->len);
            }
            assert_int_equal(status, XML_STATUS_ERROR);
            assert_int_equal(XML_GetErrorCode(parser), row->code);
            XML_ParserFree(parser);
        }
    }
}

static void what_is_utf_8_is_read(void **state)
{
    static const char *const documents[] = {
        "\xEF\xBB\xBF<a/>",
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?>\n<?pi?><!-- c --><a b='c'>&#xE9;&amp;<![CDATA[<]]></a>\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        XML_Parser parser = XML_ParserCreate("UTF-8");

        for (const char *at = documents[i]; *at != '\0'; at++)
            assert_int_equal(XML_Parse(parser, at, 1, at[1] == '\0'), XML_STATUS_OK);
        XML_ParserFree(parser);
    }
}

static void lines_are_not_counted(void **state)
{
    XML_Parser parser = XML_ParserCreate("UTF-8");

    (void)state;
    assert_int_equal(XML_Parse(parser, "<a>\n\n<b>", 8, 0), XML_STATUS_OK);
    assert_int_equal(XML_Parse(parser, "\n</c>", 5, 0), XML_STATUS_ERROR);
    assert_int_equal(XML_GetCurrentLineNumber(parser), 1);
    assert_int_equal(XML_GetCurrentByteIndex(parser), 11);
    XML_ParserFree(parser);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_left_out_is_refused),
        cmocka_unit_test(what_is_utf_8_is_read),
        cmocka_unit_test(lines_are_not_counted),
    };
    return cmocka_run_group_tests_name("expat_patch", tests, NULL, NULL);
}
