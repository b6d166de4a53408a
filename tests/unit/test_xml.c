#include "xml.h"

#include "buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Writes down what is reported, as "path=text;". Stops at the path `stop_at`, with an error or without. */
struct trace {
    struct buf seen;
    const char *stop_at;
    bool own_error;
};

static bool note(void *ctx, const char *path, const char *text, struct error *error)
{
    struct trace *trace = ctx;

    buf_printf(&trace->seen, "%s=%s;", path, text);
    if (trace->stop_at == NULL || strcmp(path, trace->stop_at) != 0)
        return true;
    if (trace->own_error)
        error_set(error, ERROR_LOCAL, "the page is full");
    return false;
}

static struct trace trace;
static struct xml *xml;
static struct error error;

static int set_up(void **state)
{
    (void)state;
    trace = (struct trace){.stop_at = NULL};
    buf_init(&trace.seen, 1 << 20);
    error_clear(&error);
    xml = xml_new(note, &trace);
    return xml == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    xml_free(xml);
    buf_free(&trace.seen);
    return 0;
}

static bool push(const char *text)
{
    return xml_push(xml, text, strlen(text), &error);
}

static void again(void)
{
    xml_reset(xml, &trace);
    buf_clear(&trace.seen);
    error_clear(&error);
}

static void expect(const char *document, const char *expected)
{
    again();
    if (!push(document) || !xml_finish(xml, &error))
        fail_msg("%s: %s", document, error.text);
    assert_string_equal(buf_str(&trace.seen), expected);
}

/* The document is refused with such a text, and nothing that follows is taken. */
static void expect_refused(const char *document, const char *part)
{
    again();
    assert_false(push(document) && xml_finish(xml, &error));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    if (strstr(error.text, part) == NULL)
        fail_msg("%s: %s", document, error.text);

    buf_clear(&trace.seen);
    error_clear(&error);
    assert_false(push("<a>b</a>"));
    assert_non_null(strstr(error.text, part));
    error_clear(&error);
    assert_false(xml_finish(xml, &error));
    assert_non_null(strstr(error.text, part));
    assert_string_equal(buf_str(&trace.seen), "");
}

static const char listing[] =
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
    "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n"
    "  <Name>bucket</Name><Prefix/><KeyCount>2</KeyCount><IsTruncated>false</IsTruncated>\n"
    "  <Contents><Key>public/a%20b&amp;c</Key><ETag>&quot;0f&quot;</ETag><Size>434234</Size>"
    "<Owner><ID>75aa</ID></Owner></Contents>\n"
    "  <Contents>\n    <Key>gr\xC3\xBC\xC3\x9F&#x65;</Key>\n    <Size>0</Size>\n  </Contents>\n"
    "</ListBucketResult>\n";
static const char listing_seen[] =
    "ListBucketResult/Name=bucket;ListBucketResult/Prefix=;ListBucketResult/KeyCount=2;ListBucketResult/IsTruncated=false;ListBucketResult/Contents/Key=public/a%20b&c;ListBucketResult/Contents/ETag=\"0f\";ListBucketResult/Contents/Size=434234;ListBucketResult/Contents/Owner/ID=75aa;ListBucketResult/Contents/Owner=;ListBucketResult/Contents=;ListBucketResult/Contents/Key=gr\xC3\xBC\xC3\x9F"
    "e;ListBucketResult/Contents/Size=0;ListBucketResult/Contents=;ListBucketResult=;";

static void leaves_are_reported_with_their_paths(void **state)
{
    (void)state;
    expect(listing, listing_seen);
    expect("<Error><Code>NoSuchKey</Code><Message/></Error>", "Error/Code=NoSuchKey;Error/Message=;Error=;");
    expect("<a/>", "a=;");
}

static void any_split_gives_the_same(void **state)
{
    const size_t len = sizeof listing - 1;

    (void)state;
    for (size_t split = 0; split <= len; split++) {
        again();
        assert_true(xml_push(xml, listing, split, &error));
        assert_true(xml_push(xml, listing + split, len - split, &error));
        assert_true(xml_finish(xml, &error));
        assert_string_equal(buf_str(&trace.seen), listing_seen);
    }
    again();
    for (size_t i = 0; i < len; i++)
        assert_true(xml_push(xml, listing + i, 1, &error));
    assert_true(xml_finish(xml, &error));
    assert_string_equal(buf_str(&trace.seen), listing_seen);
}

/* Whether it is taken must not depend on where it is cut. */
static void split_anywhere(const char *document, bool good, const char *seen)
{
    size_t len = strlen(document);

    for (size_t split = 0; split <= len; split++) {
        again();
        assert_int_equal(xml_push(xml, document, split, &error) &&
                             xml_push(xml, document + split, len - split, &error) && xml_finish(xml, &error),
                         good);
        assert_string_equal(buf_str(&trace.seen), seen);
    }
}

static void names_and_references_may_be_cut_anywhere(void **state)
{
    (void)state;
    split_anywhere("<p:q\xC3\xA9r><a:b:cd e:f='1' e:g='2' >1</a:b:cd\n><?x?><x-1.y/></p:q\xC3\xA9r>", true,
                   "q\xC3\xA9r/cd=1;q\xC3\xA9r/x-1.y=;q\xC3\xA9r=;");
    split_anywhere("<a>&quot;&#x41;&#0000066;&amp;</a>", true, "a=\"AB&;");
    split_anywhere("<ab></abc>", false, "");
    split_anywhere("<abc></ab>", false, "");
    split_anywhere("<a:b></ab>", false, "");
    split_anywhere("<a\xC3\xA9></a\xC3\xA8>", false, "");
    split_anywhere("<\xC3z\xA9/>", false, ""); /* a letter is between the two halves of another */
    split_anywhere("<a>&a#;</a>", false, "");
    split_anywhere("<a>&#000000000000066;</a>", false, "");
    split_anywhere("<a><?x?y?></a>", false, "");
}

static void text_is_that_of_leaves_only(void **state)
{
    (void)state;
    expect("<a> x <b> y </b> z <c/> </a>", "a/b= y ;a/c=;a=;");
    expect("<a>1<!-- 2 -->3<?pi 4?>5<![CDATA[<6>&amp;]]>7</a>", "a=135<6>&amp;7;");
    expect("<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;</a>", "a=<>&'\"A\xF0\x9F\x98\x80;");
    expect("<a>one\r\ntwo&#13;&#10;</a>", "a=one\ntwo\r\n;");
    expect("\xEF\xBB\xBF<a>bom</a>", "a=bom;");
    expect("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?><a>\xC3\xA9</a>", "a=\xC3\xA9;");
}

static void prefixes_and_attributes_do_not_count(void **state)
{
    (void)state;
    expect("<s3:R xmlns:s3=\"http://s3.amazonaws.com/doc/2006-03-01/\"><s3:Key>k</s3:Key></s3:R>",
           "R/Key=k;R=;");
    expect(
        "<Grantee xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xsi:type=\"CanonicalUser\"><ID a='1' b='&lt;'>i</ID></Grantee>",
        "Grantee/ID=i;Grantee=;");
}

static void what_is_not_xml_is_refused(void **state)
{
    (void)state;
    expect_refused("", "unusable XML");
    expect_refused("Service Unavailable", "unusable XML");
    expect_refused("{\"error\":1}", "unusable XML");
    expect_refused("<a><b></a></b>", "mismatched tag");
    expect_refused("<a></a><b></b>", "junk after document element");
    expect_refused("<a>\xFF</a>", "not well-formed");
    expect_refused("<a>\xC0\x80</a>", "not well-formed");
    expect_refused("<a>&#0;</a>", "reference to invalid character number");
    expect_refused("<a>&nbsp;</a>", "undefined entity");
    expect_refused("<a x='1' x='2'/>", "duplicate attribute");
    expect_refused("<a>\x01</a>", "at byte 3");
}

/* A surrogate where a name may be made expat 2.8.3 crash when it was compiled with XML_MIN_SIZE. */
static void utf16_is_refused(void **state)
{
    static const struct {
        const char *data;
        size_t len;
    } documents[] = {
        {"\xFE\xFF\0<\0a\0/\0>", 10}, {"\xFF\xFE<\0a\0/\0>\0", 10},   {"\xFE\xFF\xDB\x3C\xDC\x3C", 6},
        {"<\0\x3C\xDB\x3C\xDC", 6},   {"\0<\xDB\x3C\xDC\x3C\0\0", 8}, {"<a>b\0c</a>", 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        for (size_t split = 0; split < documents[i].len; split++) {
            again();
            assert_false(xml_push(xml, documents[i].data, split, &error) &&
                         xml_push(xml, documents[i].data + split, documents[i].len - split, &error));
            assert_int_equal(error.kind, ERROR_PROTOCOL);
            assert_string_equal(buf_str(&trace.seen), "");
        }
}

static void a_cut_document_is_not_complete(void **state)
{
    const size_t end = sizeof listing - 2; /* the newline after the last tag */

    (void)state;
    for (size_t len = 0; len < end; len++) {
        again();
        assert_true(xml_push(xml, listing, len, &error));
        assert_false(xml_finish(xml, &error));
        assert_int_equal(error.kind, ERROR_PROTOCOL);
    }
}

static void a_doctype_is_refused(void **state)
{
    (void)state;
    expect_refused("<!DOCTYPE html><html></html>", "document type");
    expect_refused("<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>", "document type");
    expect_refused("<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>", "document type");
    expect_refused("<!DOCTYPE a [<!ENTITY x '11'><!ENTITY y '&x;&x;'><!ENTITY z '&y;&y;'>]><a>&z;</a>",
                   "document type");
    expect_refused("<?xml version=\"1.0\"?><!DOCTYPE a [<!ATTLIST a b CDATA 'c'>]><a/>", "document type");
}

/* <e><e>...</e></e> with so many levels. */
static const char *nested(int levels)
{
    static char document[16 * XML_DEPTH_MAX];
    char *end = document;

    for (int i = 0; i < levels; i++)
        end += sprintf(end, "<e>");
    for (int i = 0; i < levels; i++)
        end += sprintf(end, "</e>");
    return document;
}

static void levels_have_a_ceiling(void **state)
{
    (void)state;
    assert_true(push(nested(XML_DEPTH_MAX)) && xml_finish(xml, &error));
    expect_refused(nested(XML_DEPTH_MAX + 1), "too many levels");
}

/* <aaa><b/></aaa> where the outer name has so many letters. */
static const char *named(int letters)
{
    static char document[3 * XML_PATH_MAX];
    static char name[XML_PATH_MAX + 2];

    memset(name, 'a', (size_t)letters);
    name[letters] = '\0';
    snprintf(document, sizeof document, "<%s><b/></%s>", name, name);
    return document;
}

static void paths_have_a_ceiling(void **state)
{
    char attribute[XML_PATH_MAX + 64];

    (void)state;
    assert_true(push(named(XML_PATH_MAX - 2)) && xml_finish(xml, &error));
    expect_refused(named(XML_PATH_MAX - 1), "too long a name");
    expect_refused(named(XML_PATH_MAX + 1), "too long a name");

    /* Neither is in the path, but both cost memory. */
    snprintf(attribute, sizeof attribute, "<a x%0*d='1'/>", XML_PATH_MAX, 0);
    expect_refused(attribute, "too long a name");
    snprintf(attribute, sizeof attribute, "<a%0*d:b/>", XML_PATH_MAX, 0);
    expect_refused(attribute, "too long a name");
}

static void text_has_a_ceiling(void **state)
{
    static char document[XML_TEXT_MAX + 16];

    (void)state;
    snprintf(document, sizeof document, "<a>%0*d</a>", XML_TEXT_MAX, 0);
    assert_true(push(document) && xml_finish(xml, &error));
    assert_int_equal(trace.seen.len, strlen("a=;") + XML_TEXT_MAX);
    snprintf(document, sizeof document, "<a>%0*d</a>", XML_TEXT_MAX + 1, 0);
    expect_refused(document, "too long a text");
    assert_string_equal(buf_str(&trace.seen), "");
}

/* S3 and others send white space while a copy or the completion of an upload takes its time. */
static void a_server_may_keep_the_connection_alive(void **state)
{
    static const char declaration[] = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>";

    (void)state;
    expect("\n \r\n\t<?xml version=\"1.0\"?><a>b</a>\n", "a=b;");
    again();
    for (int i = 0; i < 20000; i++)
        assert_true(push("\r\n      "));
    assert_true(push(declaration));
    for (int i = 0; i < 20000; i++)
        assert_true(push("\n       "));
    assert_true(push("<a>b</a>"));
    for (int i = 0; i < 20000; i++)
        assert_true(push("        "));
    assert_true(xml_finish(xml, &error));
    assert_string_equal(buf_str(&trace.seen), "a=b;");
    expect_refused("\n  ", "it ends too early");
}

static void text_that_nobody_sees_has_none(void **state)
{
    (void)state;
    assert_true(push("<a><b/>"));
    for (int i = 0; i < 20000; i++)
        assert_true(push("          "));
    assert_true(push("</a>") && xml_finish(xml, &error));
    assert_string_equal(buf_str(&trace.seen), "a/b=;a=;");
}

/* How many bytes of `piece` over and over are taken after `start`; at most `limit`. */
static size_t taken(const char *start, const char *piece, size_t limit)
{
    size_t total = 0;

    again();
    assert_true(push(start));
    while (total < limit && push(piece))
        total += strlen(piece);
    return total;
}

static void what_must_be_remembered_has_a_ceiling(void **state)
{
    static const size_t limit = 1 << 20;
    char name[64];
    int names = 0;

    (void)state;
    assert_in_range(taken("<", "aaaaaaaa", limit), XML_PATH_MAX - 8, XML_PATH_MAX);
    assert_in_range(taken("<a ", "aaaaaaaa", limit), XML_PATH_MAX - 8, XML_PATH_MAX);
    assert_in_range(taken("<a>&", "aaaa", limit), 12, 16);
    assert_non_null(strstr(error.text, "not well-formed at byte"));

    again();
    assert_true(push("<a"));
    do
        snprintf(name, sizeof name, " m%d=''", names);
    while (names++ < 100000 && push(name));
    assert_in_range(names, 100, 500);
    assert_non_null(strstr(error.text, "too many names in one place"));
}

/* What nobody looks at is passed over. */
static void what_need_not_be_remembered_has_none(void **state)
{
    static const size_t limit = 1 << 20;

    (void)state;
    assert_true(taken("<a b='", "cccccccccccccccc", limit) >= limit);
    assert_true(taken("<!--", " comment ", limit) >= limit);
    assert_true(taken("<?pi ", " instruction ", limit) >= limit);
    assert_true(taken("<?pi", "name", limit) >= limit);
    assert_true(taken("<a>", "<b c='d'/>", limit) >= limit);
    assert_true(push("</a>") && xml_finish(xml, &error));
}

/* What comes as a whole is not looked at step by step. It must make no difference, neither in what is wrong with it. */
static void expect_the_same_in_pieces(const char *document)
{
    struct error whole = {.kind = ERROR_NONE};
    static char seen[1 << 15];
    bool good;

    again();
    good = push(document) && xml_finish(xml, &error);
    whole = error;
    snprintf(seen, sizeof seen, "%s", buf_str(&trace.seen));
    again();
    for (const char *at = document; *at != '\0' && xml_push(xml, at, 1, &error);)
        at++;
    assert_int_equal(error.kind == ERROR_NONE && xml_finish(xml, &error), good);
    assert_string_equal(error.text, whole.text);
    assert_string_equal(buf_str(&trace.seen), seen);
}

static void the_whole_is_the_same_as_its_pieces(void **state)
{
    static const char *const documents[] = {
        listing,
        "<a><b>c</b></a>",
        "<a><b>c</b ></a>",
        "<a><b>c</a></b>",
        "<a><b>c</bb></a>",
        "<a><bb>c</b></a>",
        "<a><b>c</c></a>",
        "<a><-b>c</-b></a>",
        "<a><1>c</1></a>",
        "<a><></></a>",
        "<a><b>c</b></a></a>",
        "<a><b>c</b></a><a>",
        "<a><b>c</b></a>d",
        "<a><b>c</b></a>&amp;",
        "<a><b:c>d</b:c><b:c>d</c></a>",
        "<a>b]]>c</a>",
        "<a>b]]&gt;c]]d>]]</a>",
        "<a><b>]]</b>></a>",
        "<a>]]<b/>></a>",
        "<a>\r\nb\r&#10;\r<b/>\n\r</a>",
        "<a>&quot;&amp;&lt;&gt;&apos;&#34;&#x22;&#x20AC;</a>",
        "<a>&quote;</a>",
        "<a>&;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#0;</a>",
        "<a>&a#b;</a>",
        "<a>&#000000000000066;</a>",
        "<a>&#00000000000066;</a>",
        "<a>&amp</a>",
        "<a>&amp b;</a>",
        "<a>b\x01</a>",
        "<a>b\xC3</a>",
        "<a><b\xC3>c</b\xC3></a>",
        "<a>b<c>d</c>e</a>",
        "<a><b>c",
        "<a><b>c<",
        "<a><b>c</",
        "<a><b>c&",
        "<a><",
        "<a>b\xC3<c/></a>",
    };
    static char long_text[XML_TEXT_MAX + 64];
    char prefixes[2048];

    (void)state;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++)
        expect_the_same_in_pieces(documents[i]);
    for (int more = -3; more < 3; more++) {
        expect_the_same_in_pieces(nested(XML_DEPTH_MAX + more));
        snprintf(long_text, sizeof long_text, "<a><b>%0*d&amp;</b></a>", XML_TEXT_MAX + more, 0);
        expect_the_same_in_pieces(long_text);
        snprintf(prefixes, sizeof prefixes, "<a><%0*d/></a>", XML_PATH_MAX + more, 0);
        memset(prefixes + 4, 'b', strcspn(prefixes + 4, "/"));
        expect_the_same_in_pieces(prefixes);
        /* The same with an end tag: the path is full. */
        snprintf(prefixes, sizeof prefixes, "<a><b%0*d></b%0*d></a>", XML_PATH_MAX - 3 + more, 0,
                 XML_PATH_MAX - 3 + more, 0);
        expect_the_same_in_pieces(prefixes);
        /* Prefixes are not in the path, but take of what there is for names. */
        snprintf(prefixes, sizeof prefixes, "<a><b%0*d:c><b%0*d:c><b%0*d:c><b%0*d:c><d%0*d></d%0*d>", 240, 0,
                 240, 0, 240, 0, 240, 0, 42 + more, 0, 42 + more, 0);
        expect_the_same_in_pieces(prefixes);
    }
    trace.stop_at = "a/b";
    expect_the_same_in_pieces("<a><b>c</b><d/></a>");
    trace.own_error = true;
    expect_the_same_in_pieces("<a><b>c</b><d/></a>");
}

static void the_callback_can_stop(void **state)
{
    (void)state;
    trace.stop_at = "a/b";
    assert_false(push("<a><b/><c/></a>"));
    assert_string_equal(buf_str(&trace.seen), "a/b=;");
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    assert_non_null(strstr(error.text, "unexpected a/b"));

    again();
    trace.own_error = true;
    assert_false(push("<a><b>x</b><c/></a>"));
    assert_string_equal(buf_str(&trace.seen), "a/b=x;");
    assert_int_equal(error.kind, ERROR_LOCAL);
    assert_string_equal(error.text, "the page is full");
    error_clear(&error);
    assert_false(xml_finish(xml, &error));
    assert_string_equal(error.text, "the page is full");
}

static void a_parser_can_be_used_again(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        expect(listing, listing_seen);
        again();
        assert_true(xml_push(xml, listing, (size_t)i, &error)); /* left in the middle */
        expect_refused(nested(XML_DEPTH_MAX + 1), "too many levels");
        expect_refused("<a><b>", "it ends too early");
    }
    expect(listing, listing_seen);
}

static void nothing_follows_the_end(void **state)
{
    (void)state;
    assert_true(push("<a/>") && xml_finish(xml, &error));
    assert_false(push(" "));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
}

static void no_parser_can_be_freed(void **state)
{
    (void)state;
    xml_free(NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(leaves_are_reported_with_their_paths),
        TEST(any_split_gives_the_same),
        TEST(names_and_references_may_be_cut_anywhere),
        TEST(text_is_that_of_leaves_only),
        TEST(prefixes_and_attributes_do_not_count),
        TEST(what_is_not_xml_is_refused),
        TEST(utf16_is_refused),
        TEST(a_cut_document_is_not_complete),
        TEST(a_doctype_is_refused),
        TEST(levels_have_a_ceiling),
        TEST(paths_have_a_ceiling),
        TEST(text_has_a_ceiling),
        TEST(a_server_may_keep_the_connection_alive),
        TEST(text_that_nobody_sees_has_none),
        TEST(what_must_be_remembered_has_a_ceiling),
        TEST(what_need_not_be_remembered_has_none),
        TEST(the_whole_is_the_same_as_its_pieces),
        TEST(the_callback_can_stop),
        TEST(a_parser_can_be_used_again),
        TEST(nothing_follows_the_end),
        cmocka_unit_test(no_parser_can_be_freed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
