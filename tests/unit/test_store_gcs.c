/* store_gcs: what is asked of the service, and what follows from its answers. */
#include "gcs_hand.h"

#include "clock.h"
#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
#define MD5_OF_ABC "900150983cd24fb0d6963f7d28e17f72"
#define BASE64_OF_ABC "kAFQmDzST7DWlj99KOF/cg=="
#define JSON_TYPE "content-type: application/json; charset=UTF-8\n"
#define RESOURCE(more)                                                                                       \
    "{\"bucket\":\"bucket\",\"name\":\"k\",\"size\":\"3\",\"generation\":\"17\",\"metageneration\":\"2\","   \
    "\"timeCreated\":\"2026-11-25T10:00:00.123Z\",\"updated\":\"2026-11-25T10:00:05.000Z\"," more            \
    "\"md5Hash\":\"" BASE64_OF_ABC "\",\"crc32c\":\"NkstDg==\"}"
#define MEDIA_HEAD                                                                                           \
    "content-length: 3\nx-goog-generation: 17\nx-goog-metageneration: 2\nx-goog-hash: crc32c=NkstDg==\n"     \
    "x-goog-hash: md5=" BASE64_OF_ABC "\n"

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void expect_error(const struct hand *hand, enum error_kind kind, const char *text)
{
    assert_true(hand->call.done);
    assert_int_equal(hand->call.error.kind, kind);
    expect_in(hand->call.error.text, text);
}

/* ---- opening ---- */

static void names_of_buckets(void **state)
{
    static const char *const wrong[] = {"", "ab", "a b c", "a/b/c", "...", "caf\xC3\xA9"};
    struct loop *loop = loop_make();
    struct side side = {.ca_file = "", .user_project = ""};
    struct error error = {0};

    (void)state;
    setenv("STORAGE_EMULATOR_HOST", "h:1", 1);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_null(store_gcs_open(&side, wrong[i], loop, &error));
        assert_int_equal(error.kind, ERROR_CONFIG);
    }
    setenv("STORAGE_EMULATOR_HOST", "ftp://h", 1);
    assert_null(store_gcs_open(&side, "bucket", loop, &error));
    loop_free(loop);
}

/* ---- listing ---- */

static void a_listing_is_asked_for(void **state)
{
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    hand_list_range(&hand,
                    &(struct store_range){.prefix = "a b/", .after = "a b/&", .until = "a b/\xC3\xA4"});
    assert_string_equal(
        hand_url(&hand),
        "http://h/storage/v1/b/bucket/o?prettyPrint=false&maxResults=1000&fields=kind%2CnextPageToken%2Citems%28bucket%2Cname%2Csize%2Cupdated%2CtimeCreated%2Cgeneration%2Cmetageneration%2Cmd5Hash%2Ccrc32c%29&prefix=a%20b%2F&startOffset=a%20b%2F%26&endOffset=a%20b%2F%C3%A4");
    hand_end(&hand);
}

static void entries(void **state)
{
    static const char body[] =
        "{\"kind\":\"storage#objects\",\"items\":["
        "{\"bucket\":\"bucket\",\"name\":\"a\",\"size\":\"3\",\"generation\":\"17\",\"metageneration\":\"2\",\"timeCreated\":\"2026-11-25T10:00:00.123Z\",\"updated\":\"2026-11-25T10:00:05.000Z\",\"md5Hash\":\"" BASE64_OF_ABC
        "\",\"crc32c\":\"NkstDg==\"},"
        "{\"bucket\":\"bucket\",\"name\":\"b\\u00e4/\\\"\",\"size\":\"0\",\"generation\":\"18\",\"metageneration\":\"1\",\"timeCreated\":\"2026-11-25T10:00:00Z\",\"updated\":\"2026-11-25T10:00:00Z\",\"crc32c\":\"NkstDg==\"}]}";
    const struct object_entry *entry;
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    hand_list(&hand, "");
    assert_int_equal(hand_answer(&hand, 200, JSON_TYPE, body), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_ENTRY);
    assert_string_equal(entry->key, "a");
    assert_int_equal(entry->size, 3);
    assert_string_equal(entry->version, "17.2");
    assert_int_equal(entry->modified, clock_parse_rfc3339("2026-11-25T10:00:00.123Z"));
    assert_int_equal(entry->touched, 4877);
    assert_int_equal(entry->hash.kind, OBJECT_HASH_MD5);
    assert_int_equal(entry->hash.bytes[0], 0x90);
    cursor_next(hand.cursor);
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_ENTRY);
    assert_string_equal(entry->key, "b\xC3\xA4/\"");
    assert_int_equal(entry->touched, 0);
    assert_int_equal(entry->hash.kind, OBJECT_HASH_CRC32C);
    assert_int_equal(entry->hash.bytes[0], 0x36);
    cursor_next(hand.cursor);
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_END);
    hand_end(&hand);
}

/* A page may be empty and have a token all the same. */
static void an_empty_page_is_not_the_end(void **state)
{
    const struct object_entry *entry;
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    hand_list(&hand, "p/");
    hand_answer(&hand, 200, JSON_TYPE, "{\"kind\":\"storage#objects\",\"nextPageToken\":\"T+/=\"}");
    hand_done(&hand);
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_WAIT);
    assert_true(hand_attempt(&hand));
    expect_in(hand_url(&hand), "&prefix=p%2F&pageToken=T%2B%2F%3D");
    hand_answer(&hand, 200, JSON_TYPE, "{\"kind\":\"storage#objects\"}");
    hand_done(&hand);
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_END);
    hand_end(&hand);
}

static void listings_that_are_none(void **state)
{
    static const struct {
        const char *body;
        enum http_verdict verdict;
        const char *text;
    } table[] = {
        {"<html>hello</html>", HTTP_RETRY, "does not answer like Google Cloud Storage"},
        {"{}", HTTP_RETRY, "does not answer like Google Cloud Storage"},
        {"{\"kind\":\"storage#objects\",\"items\":[", HTTP_RETRY, "does not answer like"},
        {"{\"kind\":\"storage#objects\",\"items\":[{\"bucket\":\"other\",\"name\":\"a\",\"size\":\"1\"}]}",
         HTTP_RETRY, "another bucket"},
        {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\"}]}", HTTP_DONE, "how large"},
        {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\",\"size\":\"-1\"}]}", HTTP_DONE,
         "how large"},
        {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"\",\"size\":\"1\"}]}", HTTP_DONE, "0 bytes"},
        {"{\"kind\":\"storage#objects\",\"items\":[{\"name\":\"a\\u0000b\",\"size\":\"1\"}]}", HTTP_DONE,
         "NUL"},
        {"{\"kind\":\"storage#objects\",\"items\":[7]}", HTTP_DONE, "0 bytes"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct hand hand;

        gcs_hand_begin(&hand, "bucket");
        hand_list(&hand, "");
        assert_int_equal(hand_answer(&hand, 200, JSON_TYPE, table[i].body), table[i].verdict);
        expect_in(hand_request(&hand)->error.text, table[i].text);
        hand_end(&hand);
    }
}

/* No page that was asked for is as long. */
static void a_listing_without_an_end(void **state)
{
    static char item[30 * 1024];
    struct hand hand;
    size_t come = 0;

    (void)state;
    memset(item, ' ', sizeof item - 1);
    memcpy(item, "{\"name\":\"a\",\"size\":\"1\"", 22);
    memcpy(item + sizeof item - 3, "},", 2);
    gcs_hand_begin(&hand, "bucket");
    hand_list(&hand, "");
    hand_answer_head(&hand, 200, JSON_TYPE);
    hand_answer_body(&hand, "{\"kind\":\"storage#objects\",\"items\":[", 35);
    while (((struct exchange *)hand.used->impl)->failure.kind == ERROR_NONE) {
        assert_in_range(come += sizeof item - 1, 1, 64 << 20);
        hand_answer_body(&hand, item, sizeof item - 1);
    }
    assert_in_range(come, 1000 * sizeof item, 64 << 20);
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    expect_in(hand_request(&hand)->error.text, "too long");
    hand_end(&hand);
}

/* ---- reading ---- */

static void a_small_object(void **state)
{
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    hand.side.user_project = "pays";
    store_read(hand.store, &hand.call, "a/../ b?\xC3\xA4");
    assert_true(hand_attempt(&hand));
    assert_string_equal(
        hand_url(&hand),
        "http://h/storage/v1/b/bucket/o/a%2F..%2F%20b%3F%C3%A4?prettyPrint=false&userProject=pays&alt=media");
    assert_string_equal(hand_header(&hand, "accept-encoding"), "gzip");
    assert_null(hand_header(&hand, "authorization"));
    assert_int_equal(hand_answer(&hand, 200, MEDIA_HEAD, "abc"), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_string_equal(buf_str(&hand.call.body), "abc");
    assert_string_equal(hand.call.info.version, "17.2");
    assert_int_equal(hand.call.info.hash.kind, OBJECT_HASH_MD5);
    hand_end(&hand);
}

/* What is found is the generation that was asked for, or it is an error; its metadata may have changed since. */
static void the_past_is_the_generation_that_was_asked_for(void **state)
{
    static const struct {
        const char *asked, *parameter;
        enum error_kind kind;
    } rows[] = {
        {"17.1", "&generation=17", ERROR_NONE},
        {"17.2", "&generation=17", ERROR_NONE},
        {"16.2", "&generation=16", ERROR_PROTOCOL},
        {"1.2", "&generation=1", ERROR_PROTOCOL},
        {"17", "", ERROR_PROTOCOL},
        {"", "", ERROR_PROTOCOL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct object_entry entry = {.key = "k"};
        struct hand hand;

        memcpy(entry.version, rows[i].asked, strlen(rows[i].asked) + 1);
        gcs_hand_begin(&hand, "bucket");
        store_find_past(hand.store, &hand.call, &entry);
        assert_true(hand_attempt(&hand));
        expect_in(hand_url(&hand), rows[i].parameter);
        assert_int_equal(hand_answer(&hand, 200, JSON_TYPE, RESOURCE("")), HTTP_DONE);
        hand_done(&hand);
        if (rows[i].kind == ERROR_NONE) {
            assert_int_equal(hand.call.error.kind, ERROR_NONE);
            assert_string_equal(buf_str(&hand.call.body), "17");
        } else {
            expect_error(&hand, rows[i].kind, "about another version of the object");
        }
        hand_end(&hand);
    }
}

static void what_is_no_object(void **state)
{
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    store_read(hand.store, &hand.call, "k");
    hand_attempt(&hand);
    hand_answer(&hand, 200, "content-length: 3\ncontent-type: text/html\n", "abc");
    hand_done(&hand);
    expect_error(&hand, ERROR_PROTOCOL, "names no generation");
    hand_end(&hand);
}

static void begin_get(struct hand *hand, const char *version)
{
    gcs_hand_begin(hand, "bucket");
    store_get(&(struct store_source){hand->store, "k", version, NULL}, &hand->call, 0, UINT64_MAX,
              &hand->pipe);
    assert_true(hand_attempt(hand));
    expect_in(hand_url(hand), "http://h/storage/v1/b/bucket/o/k?prettyPrint=false&fields=name%2Cbucket");
}

/* The metadata come with the resource, the bytes with the second request, of the same generation. */
static void all_of_an_object(void **state)
{
    struct hand hand;

    (void)state;
    begin_get(&hand, "17.2");
    hand_answer(
        &hand, 200, JSON_TYPE,
        RESOURCE(
            "\"contentType\":\"a/b\",\"contentEncoding\":\"gzip\",\"metadata\":{\"custom:aclPolicy\":\"{}\",\"\":\"\\u00e4\",\"storsync.expires\":\"later\"},"));
    gcs_hand_next(&hand);
    assert_string_equal(hand_url(&hand),
                        "http://h/storage/v1/b/bucket/o/k?prettyPrint=false&alt=media&generation=17");
    hand_answer(&hand, 200, MEDIA_HEAD "content-type: x/y\ncache-control: public\n", "abc");
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.pipe.closed);
    assert_string_equal(hand.pipe.md5, MD5_OF_ABC);
    assert_string_equal(hand.call.info.version, "17.2");
    assert_int_equal(hand.call.info.modified, clock_parse_rfc3339("2026-11-25T10:00:05Z"));
    assert_string_equal(object_meta_get(&hand.call.meta, "content-type"), "a/b");
    assert_string_equal(object_meta_get(&hand.call.meta, "content-encoding"), "gzip");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:custom:aclPolicy"), "{}");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:"), "\xC3\xA4");
    assert_string_equal(object_meta_get(&hand.call.meta, "expires"), "later");
    assert_null(object_meta_get(&hand.call.meta, "cache-control"));
    hand_end(&hand);
}

static void an_object_that_changes(void **state)
{
    struct hand hand;

    (void)state;
    /* its metadata alone, before the bytes are asked for */
    begin_get(&hand, "17.1");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it has changed");
    hand_end(&hand);
    /* or all of it, between the two requests */
    begin_get(&hand, "17.2");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    gcs_hand_next(&hand);
    hand_answer(&hand, 404, "content-type: text/html\n", "No such object: bucket/k");
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it has changed");
    hand_end(&hand);
    /* or the service does not care for what it is asked for */
    begin_get(&hand, "17.2");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    gcs_hand_next(&hand);
    hand_answer(&hand, 200, "content-length: 3\nx-goog-generation: 18\n", "abc");
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it has changed");
    assert_false(hand.pipe.closed);
    hand_end(&hand);
    /* or its metadata alone, between the two requests */
    begin_get(&hand, "17.2");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    gcs_hand_next(&hand);
    hand_answer(&hand, 200, "content-length: 3\nx-goog-generation: 17\nx-goog-metageneration: 3\n", "abc");
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it has changed");
    assert_false(hand.pipe.closed);
    hand_end(&hand);
    /* or while it is read range by range */
    gcs_hand_begin(&hand, "bucket");
    store_get(&(struct store_source){hand.store, "k", "17.2", NULL}, &hand.call, 1, 2, &hand.pipe);
    assert_true(hand_attempt(&hand));
    hand_answer(
        &hand, 206,
        "content-length: 2\ncontent-range: bytes 1-2/3\nx-goog-generation: 17\nx-goog-metageneration: 3\n",
        "bc");
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it has changed");
    hand_end(&hand);
}

/* What the first request has shown is no word of the second one's answer. */
static void bytes_without_a_generation(void **state)
{
    struct hand hand;

    (void)state;
    begin_get(&hand, "17.2");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    gcs_hand_next(&hand);
    hand_answer(&hand, 200, "content-length: 3\ncontent-type: text/html\n", "abc");
    hand_done(&hand);
    expect_error(&hand, ERROR_PROTOCOL, "names no generation");
    assert_false(hand.pipe.closed);
    hand_end(&hand);
}

static void a_range(void **state)
{
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    store_get(&(struct store_source){hand.store, "k", "17.2", NULL}, &hand.call, 1, 2, &hand.pipe);
    assert_true(hand_attempt(&hand));
    expect_in(hand_url(&hand), "&alt=media&generation=17");
    assert_string_equal(hand_header(&hand, "range"), "bytes=1-2");
    hand_answer(&hand, 206, "content-length: 2\ncontent-range: bytes 1-2/3\nx-goog-generation: 17\n", "bc");
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.pipe.closed);
    hand_end(&hand);
}

static void resources_that_make_no_sense(void **state)
{
    static const struct {
        const char *body;
        enum error_kind kind;
        const char *text;
    } table[] = {
        {"", ERROR_PROTOCOL, "does not answer like"},
        {"[]", ERROR_PROTOCOL, "does not answer like"},
        {"{\"bucket\":\"bucket\",\"name\":\"other\"}", ERROR_PROTOCOL, "another object"},
        {"{\"bucket\":\"other\",\"name\":\"k\"}", ERROR_PROTOCOL, "another object"},
        {"{\"bucket\":\"bucket\",\"name\":\"k\",\"size\":\"3\"}", ERROR_PROTOCOL, "generation"},
        {"{\"bucket\":\"bucket\",\"name\":\"k\",\"size\":3,\"generation\":\"1\",\"metageneration\":\"1\"}",
         ERROR_PROTOCOL, "size"},
        {RESOURCE("\"metadata\":{\"n\":7},"), ERROR_UNSUPPORTED, "no text"},
        {RESOURCE("\"metadata\":{\"n\":\"a\\u0000b\"},"), ERROR_UNSUPPORTED, "NUL"},
        {RESOURCE("\"metadata\":{\"a\\u0000b\":\"\"},"), ERROR_UNSUPPORTED, "NUL"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct hand hand;

        gcs_hand_begin(&hand, "bucket");
        store_head(hand.store, &hand.call, "k");
        hand_attempt(&hand);
        assert_int_equal(hand_answer(&hand, 200, JSON_TYPE, table[i].body), HTTP_DONE);
        hand_done(&hand);
        expect_error(&hand, table[i].kind, table[i].text);
        assert_false(hand.call.head_known);
        hand_end(&hand);
    }
}

/* ---- writing ---- */

static void a_small_object_is_written(void **state)
{
    struct hand hand;
    struct buf sent;

    (void)state;
    buf_init(&sent, 10000);
    gcs_hand_begin(&hand, "bucket");
    store_write(hand.store, &hand.call, "k", "abc", 3, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_true(hand_attempt(&hand));
    expect_in(hand_url(&hand),
              "http://h/upload/storage/v1/b/bucket/o?prettyPrint=false&uploadType=multipart&name=k&");
    expect_in(hand_url(&hand), "&ifGenerationMatch=0");
    hand_take_body(&hand, &sent);
    expect_in(buf_str(&sent),
              "\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{\"md5Hash\":\"" BASE64_OF_ABC
              "\",\"contentType\":\"application/json\",\"cacheControl\":\"no-store\"}\r\n--");
    expect_in(buf_str(&sent), "\r\nContent-Type: application/json\r\n\r\nabc\r\n--");
    assert_string_equal(sent.data + sent.len - 4, "--\r\n");
    assert_int_equal(hand_answer(&hand, 200, JSON_TYPE, RESOURCE("")), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
    buf_free(&sent);
}

/* Who loses a race to create hears 412, or 429: then the next attempt tells. */
static void a_lost_race(void **state)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    store_write(hand.store, &hand.call, "k", "abc", 3, &absent);
    hand_attempt(&hand);
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, 429, JSON_TYPE, "{\"error\":{\"code\":429,\"message\":\"slow\"}}"),
                     HTTP_RETRY);
    hand_attempt(&hand);
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, 412, JSON_TYPE, "{\"error\":{\"code\":412,\"message\":\"no\"}}"),
                     HTTP_DONE);
    hand_done(&hand);
    expect_error(&hand, ERROR_PRECONDITION, "it exists already");
    /* An answer that is lost is for the caller to find out about. */
    store_write(hand.store, &hand.call, "k", "abc", 3, &absent);
    hand_attempt(&hand);
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_break(&hand), HTTP_DONE);
    hand_end(&hand);
}

static void begin_put(struct hand *hand, const struct object_meta *meta, const char *body)
{
    gcs_hand_begin(hand, "bucket");
    pipe_write(&hand->pipe, body, strlen(body));
    hand->pipe.closed = true;
    store_put(hand->store, &hand->call,
              &(struct store_target){
                  .key = "k", .size = strlen(body), .meta = meta, .condition = {STORE_IF_VERSION, "17.2"}},
              &hand->pipe);
}

static void an_object_is_put(void **state)
{
    struct object_meta meta;
    struct hand hand;
    struct buf sent;

    (void)state;
    object_meta_init(&meta);
    buf_init(&sent, 10000);
    object_meta_add(&meta, "content-type", "a/b");
    object_meta_add(&meta, "content-language", "de");
    object_meta_add(&meta, "expires", "later");
    object_meta_add(&meta, "user:custom:aclPolicy", "{\"a\"}");
    begin_put(&hand, &meta, "abc");
    assert_true(hand_attempt(&hand));
    expect_in(hand_url(&hand), "&ifGenerationMatch=17&ifMetagenerationMatch=2");
    hand_take_body(&hand, &sent);
    expect_in(
        buf_str(&sent),
        "{\"contentType\":\"a/b\",\"contentLanguage\":\"de\",\"metadata\":{\"storsync.expires\":\"later\",\"custom:aclPolicy\":\"{\\\"a\\\"}\"}}\r\n");
    expect_in(buf_str(&sent), "\r\nContent-Type: a/b\r\n\r\nabc\r\n--");
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_string_equal(hand.call.info.version, "17.2");
    hand_end(&hand);
    buf_free(&sent);
    object_meta_free(&meta);
}

static void what_the_service_made_of_it(void **state)
{
    struct object_meta meta;
    struct hand hand;

    (void)state;
    object_meta_init(&meta);
    begin_put(&hand, &meta, "ab");
    hand_attempt(&hand);
    hand_take_body(&hand, NULL);
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    hand_done(&hand);
    expect_error(&hand, ERROR_PROTOCOL, "3 bytes of the 2");
    hand_end(&hand);
    begin_put(&hand, &meta, "abd");
    strcpy(hand.pipe.md5, "4911e516e5aa21d327512e0c8b197616");
    hand_attempt(&hand);
    hand_take_body(&hand, NULL);
    hand_answer(&hand, 200, JSON_TYPE, RESOURCE(""));
    hand_done(&hand);
    expect_error(&hand, ERROR_PROTOCOL, "other bytes than were sent");
    assert_true(hand.call.again);
    hand_end(&hand);
    object_meta_free(&meta);
}

static void metadata_that_the_service_cannot_have(void **state)
{
    struct object_meta meta;
    struct hand hand;

    (void)state;
    object_meta_init(&meta);
    object_meta_add(&meta, "tagging", "a=b");
    begin_put(&hand, &meta, "abc");
    expect_error(&hand, ERROR_UNSUPPORTED, "has no tags");
    assert_int_equal(hand.call.error.status, 501);
    hand_end(&hand);
    object_meta_clear(&meta);
    object_meta_add(&meta, "user:n", "\xff");
    begin_put(&hand, &meta, "abc");
    expect_error(&hand, ERROR_UNSUPPORTED, "not UTF-8");
    hand_end(&hand);
    object_meta_free(&meta);
}

static void removed(void **state)
{
    struct hand hand;

    (void)state;
    gcs_hand_begin(&hand, "bucket");
    for (int status = 204; status <= 404; status += 200) {
        store_remove(hand.store, &hand.call, "k");
        hand_attempt(&hand);
        assert_string_equal(hand_request(&hand)->method, "DELETE");
        hand_answer(&hand, status, "", NULL);
        hand_done(&hand);
        assert_int_equal(hand.call.error.kind, ERROR_NONE);
    }
    hand_end(&hand);
}

/* ---- copying ---- */

static void begin_copy(struct hand *hand)
{
    gcs_hand_begin(hand, "bucket");
    store_copy(hand->store, &hand->call, &(struct store_target){.key = "k", .size = 3},
               &(struct store_source){hand->store, "from/x", "9.4", NULL});
    assert_true(hand_attempt(hand));
}

static void a_copy_in_several_requests(void **state)
{
    static const char first[] =
        "http://h/storage/v1/b/bucket/o/from%2Fx/rewriteTo/b/bucket/o/k?prettyPrint=false&ifSourceGenerationMatch=9&ifSourceMetagenerationMatch=4";
    char second[400];
    struct hand hand;

    (void)state;
    begin_copy(&hand);
    assert_string_equal(hand_url(&hand), first);
    assert_int_equal(hand_request(&hand)->upload_size, 0);
    hand_answer(&hand, 200, JSON_TYPE,
                "{\"done\":false,\"totalBytesRewritten\":\"1\",\"rewriteToken\":\"t/1\"}");
    gcs_hand_next(&hand);
    snprintf(second, sizeof second, "%s&rewriteToken=t%%2F1", first);
    assert_string_equal(hand_url(&hand), second);
    hand_answer(&hand, 200, JSON_TYPE, "{\"done\":true,\"resource\":" RESOURCE("") "}");
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_string_equal(hand.call.info.version, "17.2");
    hand_end(&hand);
}

/* S3's names for what is the same here; nothing is sent unless asked for. */
static void an_acl_is_sent_in_the_words_of_the_service(void **state)
{
    static const struct {
        const char *name, *param;
    } rows[] = {
        {"private", "redefinedAcl=private"},
        {"public-read", "redefinedAcl=publicRead"},
        {"bucket-owner-full-control", "redefinedAcl=bucketOwnerFullControl"},
        {NULL, NULL},
    };
    static const struct object_meta no_meta;
    struct object_meta acl;
    struct store_target target = {
        .key = "k", .size = 3, .modified = CLOCK_UNKNOWN, .meta = &no_meta, .acl = &acl};
    struct hand hand;

    (void)state;
    for (size_t i = 0; i < 3 * sizeof rows / sizeof rows[0]; i++) {
        object_meta_init(&acl);
        if (rows[i / 3].name != NULL)
            object_meta_add(&acl, "acl", rows[i / 3].name);
        gcs_hand_begin(&hand, "bucket");
        if (i % 3 == 0)
            store_put(hand.store, &hand.call, &target, &hand.pipe);
        else if (i % 3 == 1)
            store_upload_begin(hand.store, &hand.call, &target);
        else
            store_copy(hand.store, &hand.call, &target, &(struct store_source){hand.store, "x", "", NULL});
        assert_true(hand_attempt(&hand));
        if (rows[i / 3].name != NULL)
            assert_non_null(strstr(hand_url(&hand), rows[i / 3].param));
        else
            assert_null(strstr(hand_url(&hand), "Acl"));
        hand_end(&hand);
        object_meta_free(&acl);
    }
}

static void a_copy_that_does_not_end(void **state)
{
    int requests = 1;
    struct hand hand;

    (void)state;
    begin_copy(&hand);
    hand_answer(&hand, 200, JSON_TYPE, "{\"done\":false,\"totalBytesRewritten\":\"1\"}");
    hand_done(&hand);
    expect_error(&hand, ERROR_PROTOCOL, "does not say from where");
    hand_end(&hand);
    begin_copy(&hand);
    for (;; requests++) {
        hand_answer(&hand, 200, JSON_TYPE,
                    "{\"done\":false,\"totalBytesRewritten\":\"1\",\"rewriteToken\":\"t\"}");
        hand_done(&hand);
        if (hand.call.done)
            break;
        hand_attempt(&hand);
        assert_true(requests < 100);
    }
    expect_error(&hand, ERROR_UNREACHABLE, "no progress");
    hand_end(&hand);
}

/* ---- uploads ---- */

#define PART ((size_t)256 * 1024)
#define SIZE (2 * PART + 5)

static void answer_and_end(struct hand *hand, int status, const char *headers, const char *body)
{
    hand_answer(hand, status, headers, body);
    hand_done(hand);
}

static struct upload *begin_upload(struct hand *hand)
{
    static const struct object_meta no_meta;
    struct store_target target = {.key = "k", .size = SIZE, .meta = &no_meta, .modified = CLOCK_UNKNOWN};
    struct buf sent;

    buf_init(&sent, 1000);
    gcs_hand_begin(hand, "bucket");
    object_hash_md5(&target.hash, MD5_OF_ABC);
    store_upload_begin(hand->store, &hand->call, &target);
    assert_true(hand_attempt(hand));
    expect_in(hand_url(hand), "/upload/storage/v1/b/bucket/o?prettyPrint=false&uploadType=resumable&name=k&");
    assert_string_equal(hand_header(hand, "x-upload-content-length"), "524293");
    hand_take_body(hand, &sent);
    assert_string_equal(buf_str(&sent), "{\"md5Hash\":\"" BASE64_OF_ABC "\"}");
    buf_free(&sent);
    answer_and_end(hand, 200, "location: https://elsewhere.example/upload/s?upload_id=1\n", NULL);
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
    return hand->call.upload;
}

/* Fills the pipe as often as the request takes it. */
static void send_part(struct hand *hand, size_t size)
{
    static char zeros[16 * 1024];

    for (size_t done = 0; done < size;) {
        size_t len = size - done < sizeof zeros ? size - done : sizeof zeros;

        assert_int_equal(pipe_write(&hand->pipe, zeros, len), len);
        done += len;
        hand->pipe.closed = done == size;
        hand_take_body(hand, NULL);
    }
}

static void begin_part(struct hand *hand, struct upload *upload, int number)
{
    struct store_part part = {number, (uint64_t)(number - 1) * PART, number < 3 ? PART : 5};

    pipe_reset(&hand->pipe);
    store_upload_part(upload, &hand->call, &part, &hand->pipe);
    assert_true(hand_attempt(hand));
    assert_string_equal(hand_url(hand), "http://h/upload/s?upload_id=1");
}

static void finish(struct hand *hand, struct upload *upload)
{
    begin_part(hand, upload, 3);
    assert_string_equal(hand_header(hand, "content-range"), "bytes 524288-524292/524293");
    send_part(hand, 5);
    answer_and_end(
        hand, 200, JSON_TYPE,
        "{\"bucket\":\"bucket\",\"name\":\"k\",\"size\":\"524293\",\"generation\":\"17\",\"metageneration\":\"1\"}");
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
    store_upload_finish(upload, &hand->call);
    assert_true(hand->call.done);
    assert_int_equal(hand->call.error.kind, ERROR_NONE);
    assert_string_equal(hand->call.info.version, "17.1");
}

static void an_upload(void **state)
{
    struct hand hand;
    struct upload *upload = begin_upload(&hand);

    (void)state;
    begin_part(&hand, upload, 1);
    assert_string_equal(hand_header(&hand, "content-range"), "bytes 0-262143/524293");
    assert_null(hand_header(&hand, "authorization"));
    send_part(&hand, PART);
    answer_and_end(&hand, 308, "range: bytes=0-262143\n", NULL);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    begin_part(&hand, upload, 2);
    send_part(&hand, PART);
    answer_and_end(&hand, 308, "range: bytes=0-524287\n", NULL);
    finish(&hand, upload);
    hand_end(&hand);
}

/* Less is kept than was sent: the part is sent again from there on. */
static void a_part_that_is_not_kept(void **state)
{
    struct hand hand;
    struct upload *upload = begin_upload(&hand);
    static char zeros[16 * 1024];

    (void)state;
    begin_part(&hand, upload, 1);
    send_part(&hand, PART);
    answer_and_end(&hand, 308, "range: bytes=0-99999\n", NULL);
    expect_error(&hand, ERROR_UNREACHABLE, "has kept 100000 bytes of the 262144");
    assert_true(hand.call.again);
    assert_false(hand.call.lost);
    begin_part(&hand, upload, 1);
    assert_string_equal(hand_header(&hand, "content-range"), "bytes */524293");
    assert_int_equal(hand_request(&hand)->upload_size, 0);
    answer_and_end(&hand, 308, "range: bytes=0-99999\n", NULL);
    for (int i = 0; i < 6; i++) { /* 98,304 bytes go by, and then 1,696 of what follows */
        assert_int_equal(pipe_write(&hand.pipe, zeros, sizeof zeros), sizeof zeros);
        assert_true(store_step(&hand.call));
        assert_int_equal(hand.pipe.len, 0);
    }
    assert_int_equal(pipe_write(&hand.pipe, zeros, sizeof zeros), sizeof zeros);
    assert_true(store_step(&hand.call));
    assert_int_equal(hand.pipe.len, sizeof zeros - 1696);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "content-range"), "bytes 100000-262143/524293");
    assert_int_equal(hand_request(&hand)->upload_size, 162144);
    hand_take_body(&hand, NULL);
    send_part(&hand, 162144 - (sizeof zeros - 1696));
    answer_and_end(&hand, 308, "range: bytes=0-262143\n", NULL);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    begin_part(&hand, upload, 2);
    send_part(&hand, PART);
    answer_and_end(&hand, 308, "range: bytes=0-524287\n", NULL);
    finish(&hand, upload);
    hand_end(&hand);
}

/* The answer to the last part was lost: the service has the object already. */
static void the_last_part_was_taken(void **state)
{
    struct hand hand;
    struct upload *upload = begin_upload(&hand);

    (void)state;
    begin_part(&hand, upload, 3);
    send_part(&hand, 5);
    assert_int_equal(hand_break(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.again);
    begin_part(&hand, upload, 3);
    answer_and_end(
        &hand, 200, JSON_TYPE,
        "{\"bucket\":\"bucket\",\"name\":\"k\",\"size\":\"524293\",\"generation\":\"17\",\"metageneration\":\"1\"}");
    assert_false(hand.call.done);
    pipe_write(&hand.pipe, "12345", 5);
    hand.pipe.closed = true;
    assert_true(store_step(&hand.call));
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_int_equal(hand.pipe.len, 0);
    store_upload_finish(upload, &hand.call);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
}

static void uploads_that_are_lost(void **state)
{
    static const struct {
        int status;
        const char *headers;
    } table[] = {
        {404, ""}, {410, ""}, {308, ""}, {308, "range: bytes=0-100\n"}, {308, "range: bytes=0-999999\n"}};

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct hand hand;
        struct upload *upload = begin_upload(&hand);

        begin_part(&hand, upload, 2);
        send_part(&hand, PART);
        hand_break(&hand);
        hand_done(&hand);
        begin_part(&hand, upload, 2);
        answer_and_end(&hand, table[i].status, table[i].headers, NULL);
        expect_error(&hand, ERROR_UNREACHABLE, "it has to begin anew");
        assert_true(hand.call.again && hand.call.lost);
        store_upload_abort(upload, &hand.call);
        hand_attempt(&hand);
        assert_string_equal(hand_request(&hand)->method, "DELETE");
        answer_and_end(&hand, i == 0 ? 404 : 499, "", NULL);
        assert_int_equal(hand.call.error.kind, ERROR_NONE);
        hand_end(&hand);
    }
}

/* ---- errors ---- */

static void errors(void **state)
{
    static const struct {
        int status;
        const char *body;
        enum error_kind kind;
        enum http_verdict verdict;
        const char *text;
    } table[] = {
        {400,
         "{\"error\":{\"code\":400,\"message\":\"Bucket is a requester pays bucket but no user project provided.\",\"errors\":[{\"reason\":\"required\"}]}}",
         ERROR_CONFIG, HTTP_DONE, "set user_project"},
        {401, "{\"error\":{\"code\":401,\"message\":\"Invalid Credentials\"}}", ERROR_CREDENTIALS, HTTP_DONE,
         "does not accept the credentials (STORAGE_EMULATOR_HOST) (HTTP 401: Invalid Credentials)"},
        {403,
         "{\"error\":{\"code\":403,\"message\":\"x@y does not have storage.objects.get access to it.\",\"errors\":[{\"reason\":\"forbidden\"}]}}",
         ERROR_PERMISSION, HTTP_DONE,
         "the credentials need storage.objects.get (STORAGE_EMULATOR_HOST) (HTTP 403, forbidden"},
        {403, "{\"error\":{\"errors\":[{\"reason\":\"userRateLimitExceeded\"}]}}", ERROR_UNREACHABLE,
         HTTP_RETRY, "fewer requests"},
        {403, "{\"error\":{\"message\":\"m\",\"errors\":[{\"reason\":\"retentionPolicyNotMet\"}]}}",
         ERROR_PERMISSION, HTTP_DONE, "retention policy"},
        {403, "{\"error\":{\"message\":\"m\",\"errors\":[{\"reason\":\"objectUnderActiveHold\"}]}}",
         ERROR_PERMISSION, HTTP_DONE, "a hold protects"},
        {404, "{\"error\":{\"code\":404,\"message\":\"The specified bucket does not exist.\"}}",
         ERROR_NO_BUCKET, HTTP_DONE,
         "does not exist at http://h: create it, or check its name (STORAGE_EMULATOR_HOST)"},
        {404, "{\"error\":{\"code\":404,\"message\":\"No such object: bucket/k\"}}", ERROR_NOT_FOUND,
         HTTP_DONE, "no such object"},
        {404, "<html>what?</html>", ERROR_PROTOCOL, HTTP_DONE,
         "does not answer like Google Cloud Storage (HTTP 404) (STORAGE_EMULATOR_HOST)"},
        {408, "", ERROR_UNREACHABLE, HTTP_RETRY, "too long"},
        {429, "{\"error\":{\"message\":\"m\",\"errors\":[{\"reason\":\"rateLimitExceeded\"}]}}",
         ERROR_UNREACHABLE, HTTP_RETRY, "fewer requests"},
        {500, "oops", ERROR_UNREACHABLE, HTTP_RETRY, "problem of its own"},
        {503, "<html>busy</html>", ERROR_UNREACHABLE, HTTP_RETRY, "overloaded"},
        {301, "<html>moved</html>", ERROR_PROTOCOL, HTTP_DONE, "does not answer like"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(table); i++) {
        struct hand hand;

        gcs_hand_begin(&hand, "bucket");
        store_head(hand.store, &hand.call, "k");
        hand_attempt(&hand);
        assert_int_equal(hand_answer(&hand, table[i].status, "x-guploader-uploadid: R1\n", table[i].body),
                         table[i].verdict);
        assert_int_equal(hand_request(&hand)->error.kind, table[i].kind);
        assert_int_equal(hand_request(&hand)->error.status, table[i].status);
        expect_in(hand_request(&hand)->error.text, table[i].text);
        if (table[i].kind != ERROR_PROTOCOL)
            assert_string_equal(hand_request(&hand)->error.request_id, "R1");
        if (strstr(table[i].text, "need storage.objects.get") != NULL)
            assert_string_equal(hand_request(&hand)->error.permission, "storage.objects.get");
        hand_end(&hand);
    }
}

static void keys_that_the_service_cannot_have(void **state)
{
    static const char *const keys[] = {".", "..", "a\nb", "a\rb", "\xff", "a\xC3"};
    static const struct object_meta no_meta;

    (void)state;
    for (size_t i = 0; i < COUNT(keys); i++) {
        struct hand hand;

        gcs_hand_begin(&hand, "bucket");
        store_put(hand.store, &hand.call, &(struct store_target){.key = keys[i], .meta = &no_meta},
                  &hand.pipe);
        expect_error(&hand, ERROR_UNSUPPORTED, "can have no object of this name");
        store_upload_begin(hand.store, &hand.call, &(struct store_target){.key = keys[i], .meta = &no_meta});
        expect_error(&hand, ERROR_UNSUPPORTED, "can have no object of this name");
        hand_end(&hand);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_of_buckets),
        cmocka_unit_test(a_listing_is_asked_for),
        cmocka_unit_test(entries),
        cmocka_unit_test(an_empty_page_is_not_the_end),
        cmocka_unit_test(listings_that_are_none),
        cmocka_unit_test(a_listing_without_an_end),
        cmocka_unit_test(a_small_object),
        cmocka_unit_test(the_past_is_the_generation_that_was_asked_for),
        cmocka_unit_test(what_is_no_object),
        cmocka_unit_test(all_of_an_object),
        cmocka_unit_test(an_object_that_changes),
        cmocka_unit_test(bytes_without_a_generation),
        cmocka_unit_test(a_range),
        cmocka_unit_test(resources_that_make_no_sense),
        cmocka_unit_test(a_small_object_is_written),
        cmocka_unit_test(a_lost_race),
        cmocka_unit_test(an_object_is_put),
        cmocka_unit_test(what_the_service_made_of_it),
        cmocka_unit_test(metadata_that_the_service_cannot_have),
        cmocka_unit_test(removed),
        cmocka_unit_test(a_copy_in_several_requests),
        cmocka_unit_test(an_acl_is_sent_in_the_words_of_the_service),
        cmocka_unit_test(a_copy_that_does_not_end),
        cmocka_unit_test(an_upload),
        cmocka_unit_test(a_part_that_is_not_kept),
        cmocka_unit_test(the_last_part_was_taken),
        cmocka_unit_test(uploads_that_are_lost),
        cmocka_unit_test(errors),
        cmocka_unit_test(keys_that_the_service_cannot_have),
    };

    log_setup(LOG_TEXT, LOG_ERROR, false);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
