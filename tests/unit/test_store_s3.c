/* store_s3: opening, what is sent, and what is made of good answers. test_s3_errors and test_s3_upload have
 * the rest. */
#include "cursor.h"
#include "s3_hand.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define LIST_BEGIN XML "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
#define ENTRY(key)                                                                                           \
    "<Contents><Key>" key "</Key><LastModified>2026-11-22T15:04:05.678Z</LastModified>"                      \
    "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag><Size>5</Size></Contents>"

/* ---- opening ---- */

static bool allow_http = true;

static enum error_kind open_kind(const char *bucket, const char *endpoint, const char *region)
{
    struct hand hand;
    struct error error = {0};
    struct loop *loop = loop_make();
    struct store *store;

    hand_side(&hand, endpoint, bucket);
    hand.side.region = region;
    hand.side.allow_http = allow_http;
    store = store_s3_open(&hand.side, bucket, loop, &error);
    assert_true((store == NULL) == (error.kind != ERROR_NONE));
    if (store != NULL)
        store->ops->close(store);
    loop_free(loop);
    return error.kind;
}

static void test_open_checks_the_bundle(void **state)
{
    struct hand hand;
    struct error error = {0};
    struct loop *loop = loop_make();
    struct store *store;

    (void)state;
    hand_side(&hand, "https://host", "bucket");
    hand.side.ca_file = "/there/is/no/such/bundle.pem";
    assert_null(store_s3_open(&hand.side, "bucket", loop, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    assert_non_null(strstr(error.text, "/there/is/no/such/bundle.pem"));
    hand.side.endpoint = "http://localhost"; /* where nobody needs it */
    store = store_s3_open(&hand.side, "bucket", loop, &error);
    assert_non_null(store);
    store->ops->close(store);
    loop_free(loop);
}

static void test_open_checks_names(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'a', sizeof name);
    name[255] = '\0';
    assert_int_equal(open_kind(name, "", ""), ERROR_NONE);
    name[255] = 'a';
    name[256] = '\0';
    assert_int_equal(open_kind(name, "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("Old_Bucket.with-dots", "", ""), ERROR_NONE);
    assert_int_equal(open_kind("tenant:bucket", "http://h:1", ""), ERROR_NONE);
    assert_int_equal(open_kind("", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("..", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket/prefix", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("a b", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("a?b", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("b\xC3\xBC", "", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "ftp://host", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "host:9000", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "", "eu west"), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "", "x.evil.example/"), ERROR_CONFIG);
}

static void test_open_checks_encryption(void **state)
{
    (void)state;
    allow_http = false;
    assert_int_equal(open_kind("bucket", "http://h:1", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "HTTP://10.0.0.1", ""), ERROR_CONFIG);
    assert_int_equal(open_kind("bucket", "http://localhost:1", ""), ERROR_NONE);
    assert_int_equal(open_kind("bucket", "https://h:1", ""), ERROR_NONE);
    allow_http = true;
    assert_int_equal(open_kind("bucket", "http://h:1", ""), ERROR_NONE);
}

static void expect_head_url(const char *endpoint, const char *bucket, const char *region,
                            enum path_style style, const char *url)
{
    struct hand hand;

    hand_begin(&hand, endpoint, bucket);
    hand.store->ops->close(hand.store);
    hand.side.region = region;
    hand.side.path_style = style;
    hand.store = store_s3_open(&hand.side, bucket, hand.loop, &hand.call.error);
    assert_non_null(hand.store);
    store_head(hand.store, &hand.call, "a/b");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), url);
    hand_end(&hand);
}

static void test_addressing(void **state)
{
    (void)state;
    expect_head_url("", "buck", "", PATH_STYLE_AUTO, "https://buck.s3.us-east-1.amazonaws.com/a/b");
    expect_head_url("", "buck", "eu-west-1", PATH_STYLE_YES, "https://s3.eu-west-1.amazonaws.com/buck/a/b");
    expect_head_url("", "buck", "cn-north-1", PATH_STYLE_AUTO,
                    "https://buck.s3.cn-north-1.amazonaws.com.cn/a/b");
    expect_head_url("", "buck", "eusc-de-east-1", PATH_STYLE_AUTO,
                    "https://buck.s3.eusc-de-east-1.amazonaws.eu/a/b");
    expect_head_url("", "with.dots", "", PATH_STYLE_AUTO, "https://s3.us-east-1.amazonaws.com/with.dots/a/b");
    expect_head_url("", "Capital", "", PATH_STYLE_NO, "https://s3.us-east-1.amazonaws.com/Capital/a/b");
    expect_head_url("", "-dash", "", PATH_STYLE_AUTO, "https://s3.us-east-1.amazonaws.com/-dash/a/b");
    expect_head_url("http://127.0.0.1:9000", "buck", "", PATH_STYLE_AUTO, "http://127.0.0.1:9000/buck/a/b");
    expect_head_url("https://h:443/pre/fix/", "buck", "", PATH_STYLE_AUTO, "https://h/pre/fix/buck/a/b");
    expect_head_url("https://h/pre", "buck", "", PATH_STYLE_NO, "https://buck.h/pre/a/b");
    expect_head_url("http://h", "ten:buck", "", PATH_STYLE_AUTO, "http://h/ten%3Abuck/a/b");
}

static void test_variants(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "", "buck");
    hand.store->ops->close(hand.store);
    hand.side.use_fips_endpoint = SWITCH_YES;
    hand.side.use_dualstack_endpoint = SWITCH_YES;
    hand.store = store_s3_open(&hand.side, "buck", hand.loop, &hand.call.error);
    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "https://buck.s3-fips.dualstack.us-east-1.amazonaws.com/k");
    hand_end(&hand);
}

static void test_one_service(void **state)
{
    struct hand a, b;

    (void)state;
    hand_begin(&a, "http://one:9000", "dev");
    hand_begin(&b, "http://one:9000", "prod");
    assert_true(store_can_copy(a.store, b.store));
    assert_false(store_same(a.store, b.store));
    assert_true(store_same(a.store, a.store));
    hand_end(&b);
    hand_begin(&b, "http://two:9000", "dev");
    assert_false(store_can_copy(a.store, b.store));
    assert_false(store_same(a.store, b.store));
    hand_end(&b);
    hand_end(&a);
}

/* The name of a bucket is one bucket for all only at Amazon. */
static void test_two_accounts(void **state)
{
    static const char *const endpoints[] = {"http://one:9000", ""};

    (void)state;
    for (int amazon = 0; amazon < 2; amazon++) {
        struct hand a, b;

        hand_begin(&a, endpoints[amazon], "dev");
        hand_side(&b, endpoints[amazon], "dev");
        b.side.access_key_id = "ANOTHERKEY";
        hand_open(&b);
        assert_true(store_can_copy(a.store, b.store));
        assert_int_equal(store_same(a.store, b.store), amazon);
        assert_int_equal(store_sees(b.store, a.store), amazon);
        assert_true(store_sees(a.store, a.store));
        hand_end(&b);
        hand_end(&a);
    }
}

static void test_peek(void **state)
{
    static const char head[] =
        "content-length: 7\netag: \"5d41\"\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\n";
    struct hand hand, from;

    (void)state;
    hand_side(&from, "http://one:9000", "their-dev");
    from.side.access_key_id = "ANOTHERKEY";
    hand_open(&from);
    hand_begin(&hand, "http://one:9000", "our-prod");
    store_peek(hand.store, &hand.call, &(struct store_source){from.store, "a b", "", NULL});
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://one:9000/their-dev/a%20b");
    assert_non_null(strstr(hand_header(&hand, "authorization"), "AKIDEXAMPLE"));
    assert_int_equal(hand_answer(&hand, 200, head, NULL), HTTP_DONE);
    assert_int_equal(hand.call.info.size, 7);
    assert_string_equal(hand.call.info.version, "5d41");
    hand_end(&hand);
    hand_end(&from);
}

/* ---- requests ---- */

static void test_key_bytes(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_head(hand.store, &hand.call, "/x//../ +%?&\xC3\xBC\x01~");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b//x//../%20%2B%25%3F%26%C3%BC%01~");
    hand_end(&hand);
}

static void test_signature_headers(void **state)
{
    struct hand hand;
    const char *value;

    (void)state;
    hand_side(&hand, "http://h:9000", "b");
    hand.side.session_token = "TOKEN";
    hand_open(&hand);
    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    value = hand_header(&hand, "authorization");
    assert_ptr_equal(strstr(value, "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), value);
    assert_non_null(strstr(
        value,
        "/us-east-1/s3/aws4_request, SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature="));
    assert_string_equal(hand_header(&hand, "x-amz-security-token"), "TOKEN");
    assert_string_equal(hand_header(&hand, "x-amz-content-sha256"),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(strlen(hand_header(&hand, "x-amz-date")), CLOCK_BASIC_SIZE - 1);
    assert_null(hand_header(&hand, "host")); /* http takes it from the URL */
    hand_end(&hand);
}

static void test_no_credentials(void **state)
{
    struct error error = {0};
    struct loop *loop = loop_make();
    struct hand hand;

    (void)state;
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    hand_side(&hand, "http://h", "b");
    hand.side.access_key_id = hand.side.secret_access_key = "";
    assert_null(store_s3_open(&hand.side, "b", loop, &error));
    loop_free(loop);
    assert_int_equal(error.kind, ERROR_CREDENTIALS);
    assert_non_null(strstr(error.text, "AWS_SECRET_ACCESS_KEY"));
}

static void test_write(void **state)
{
    struct hand hand;
    struct buf body;

    (void)state;
    buf_init(&body, 100);
    hand_begin(&hand, "http://h", "b");
    store_write(hand.store, &hand.call, "k", "hello", 5, NULL);
    for (int attempt = 0; attempt < 2; attempt++) { /* the second sends the same again */
        assert_true(hand_attempt(&hand));
        assert_string_equal(hand_request(&hand)->method, "PUT");
        assert_int_equal(hand_request(&hand)->upload_size, 5);
        assert_string_equal(hand_header(&hand, "content-type"), "application/json");
        assert_null(hand_header(&hand, "if-none-match"));
        assert_string_equal(hand_header(&hand, "x-amz-content-sha256"),
                            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        buf_clear(&body);
        hand_take_body(&hand, &body);
        assert_string_equal(buf_str(&body), "hello");
        if (attempt == 0)
            assert_int_equal(hand_answer(&hand, 503, "", NULL), HTTP_RETRY);
    }
    assert_int_equal(hand_answer(&hand, 200, "etag: \"x\"\n", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
    buf_free(&body);
}

static void add_meta(struct object_meta *meta, const char *name, const char *value)
{
    assert_true(object_meta_add(meta, name, value));
}

static void test_metadata_is_sent(void **state)
{
    struct object_meta meta;
    struct hand hand;

    (void)state;
    object_meta_init(&meta);
    add_meta(&meta, "content-type", "text/x; charset=utf-8");
    add_meta(&meta, "user:some-name", "b\xC3\xA4r");
    add_meta(&meta, "user:custom:aclPolicy", "{}");
    add_meta(&meta, "user:storsync.x_y z", "1");
    add_meta(&meta, "user:", "2");
    add_meta(&meta, "user:empty", "");
    add_meta(&meta, "tagging", "a=b%20c&d=");
    hand_begin(&hand, "http://h", "b");
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 0, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "content-type"), "text/x; charset=utf-8");
    assert_string_equal(hand_header(&hand, "x-amz-meta-some-name"), "b\xC3\xA4r");
    assert_string_equal(hand_header(&hand, "x-amz-meta-empty"), "");
    assert_string_equal(hand_header(&hand, "x-amz-meta-storsync.custom%3aacl%50olicy"), "{}");
    assert_string_equal(hand_header(&hand, "x-amz-meta-storsync.storsync.x%5fy%20z"), "1");
    assert_string_equal(hand_header(&hand, "x-amz-tagging"), "a=b%20c&d=");
    assert_non_null(strstr(
        hand_header(&hand, "authorization"),
        "SignedHeaders=content-md5;content-type;host;x-amz-content-sha256;x-amz-date;x-amz-meta-empty;x-amz-meta-some-name;x-amz-meta-storsync.;x-amz-meta-storsync.custom%3aacl%50olicy;x-amz-meta-storsync.storsync.x%5fy%20z;x-amz-tagging,"));
    hand_end(&hand);
    object_meta_free(&meta);
}

/* Names that only other stores have are their own again. */
static void test_metadata_gets_its_own_names(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    hand_answer(
        &hand, 200,
        "etag: \"e\"\ncontent-length: 1\nx-amz-meta-plain: 1\n"
        "x-amz-meta-storsync.custom%3aacl%50olicy: {}\nx-amz-meta-storsync.: 2\nx-amz-meta-storsync.%zz: 3\n",
        NULL);
    hand_done(&hand);
    assert_string_equal(object_meta_get(&hand.call.meta, "user:plain"), "1");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:custom:aclPolicy"), "{}");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:"), "2");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:storsync.%zz"), "3");
    hand_end(&hand);
}

static void expect_meta_refused(const char *name, const char *value, const char *named)
{
    struct object_meta meta;
    struct hand hand;

    object_meta_init(&meta);
    add_meta(&meta, "user:same", "1");
    add_meta(&meta, name, value);
    hand_begin(&hand, "http://h", "b");
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 0, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    if (!hand.call.done)
        assert_false(hand_attempt(&hand));
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_UNSUPPORTED);
    assert_non_null(strstr(hand.call.error.text, named));
    hand_end(&hand);
    object_meta_free(&meta);
}

static void test_metadata_that_no_header_holds(void **state)
{
    (void)state;
    char longest[400] = "user:";

    memset(longest + 5, ':', 200);
    longest[205] = '\0';
    expect_meta_refused(longest, "x", "::::");
    expect_meta_refused("user:inject", "x\r\nx-amz-acl: public-read", "inject");
    expect_meta_refused("content-type", "a\nb", "content-type");
    expect_meta_refused("user:same", "2", "same");
}

static void begin_copy(struct hand *hand, struct store *from, const char *key, uint64_t size,
                       const char *version)
{
    store_copy(hand->store, &hand->call, &(struct store_target){.key = key, .size = size},
               &(struct store_source){from, key, version, NULL});
}

static void test_copy_request(void **state)
{
    struct hand hand, from;

    (void)state;
    hand_begin(&from, "http://h", "ten:src");
    hand_begin(&hand, "http://h", "b");
    begin_copy(&hand, from.store, "a b/+%?\xC3\xBC", 0, "5d41");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "x-amz-copy-source"), "/ten:src/a%20b/%2B%25%3F%C3%BC");
    assert_string_equal(hand_header(&hand, "x-amz-copy-source-if-match"), "\"5d41\"");
    assert_int_equal(hand_request(&hand)->upload_size, 0);
    assert_int_equal(hand_request(&hand)->patience, 0);
    hand_end(&hand);
    hand_end(&from);
}

/* Whoever is to pay has to say so in each request that is about the bucket, and in copies from it. */
static void test_request_payer(void **state)
{
    static const char name[] = "x-amz-request-payer";
    struct hand hand, from;

    (void)state;
    hand_begin(&from, "http://h", "src");
    hand_begin(&hand, "http://h", "b");
    store_head(from.store, &from.call, "k");
    assert_true(hand_attempt(&from));
    assert_null(hand_header(&from, name));
    begin_copy(&hand, from.store, "k", 0, "5d41");
    assert_true(hand_attempt(&hand));
    assert_null(hand_header(&hand, name));
    hand_end(&from);
    hand_end(&hand);

    hand_begin(&from, "http://h", "src");
    hand_begin(&hand, "http://h", "b");
    from.side.request_payer = PAYER_REQUESTER;
    store_head(from.store, &from.call, "k");
    assert_true(hand_attempt(&from));
    assert_string_equal(hand_header(&from, name), "requester");
    assert_non_null(strstr(hand_header(&from, "authorization"), ";x-amz-request-payer"));
    begin_copy(&hand, from.store, "k", 0, "5d41");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, name), "requester");
    hand_end(&hand);

    hand_begin(&hand, "http://h", "b");
    hand.side.request_payer = PAYER_REQUESTER;
    from.side.request_payer = PAYER_REQUESTER;
    begin_copy(&hand, from.store, "k", 0, "5d41"); /* both: once */
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, name), "requester");
    hand_end(&hand);
    hand_end(&from);
}

enum writing { WRITE, PUT, COPY, WRITINGS };

static void begin_writing(struct hand *hand, enum writing how, struct store_condition condition)
{
    struct object_meta meta;
    struct store_target target = {.key = "k", .size = 5, .meta = &meta, .condition = condition};

    object_meta_init(&meta);
    if (how == WRITE)
        store_write(hand->store, &hand->call, "k", "hello", 5, &condition);
    else if (how == PUT)
        store_put(hand->store, &hand->call, &target, &hand->pipe);
    else
        store_copy(hand->store, &hand->call, &target, &(struct store_source){hand->store, "s", "e", NULL});
    assert_true(hand_attempt(hand));
}

static void a_condition_is_sent(void **state)
{
    static const struct {
        struct store_condition condition;
        const char *absent, *version;
    } table[] = {
        {{.when = STORE_ALWAYS}, NULL, NULL},
        {{.when = STORE_IF_ABSENT}, "*", NULL},
        {{.when = STORE_IF_VERSION, .version = "5d41"}, NULL, "\"5d41\""},
    };

    (void)state;
    for (enum writing how = 0; how < WRITINGS; how++) {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            const char *absent, *version;
            struct hand hand;

            hand_begin(&hand, "http://h", "b");
            begin_writing(&hand, how, table[i].condition);
            absent = hand_header(&hand, "if-none-match");
            version = hand_header(&hand, "if-match");
            assert_int_equal(absent != NULL, table[i].absent != NULL);
            assert_int_equal(version != NULL, table[i].version != NULL);
            if (absent != NULL)
                assert_string_equal(absent, table[i].absent);
            if (version != NULL)
                assert_string_equal(version, table[i].version);
            hand_end(&hand);
        }
    }
}

/* And nobody sends it again when its answer is lost: it may have happened. */
static void a_condition_that_does_not_hold(void **state)
{
    static const struct {
        enum store_when when;
        int status;
        const char *code;
        enum error_kind kind;
        const char *text;
    } table[] = {
        {STORE_IF_ABSENT, 412, "PreconditionFailed", ERROR_PRECONDITION, "it exists already"},
        {STORE_IF_VERSION, 412, "PreconditionFailed", ERROR_PRECONDITION, "it has changed meanwhile"},
        {STORE_IF_VERSION, 404, "NoSuchKey", ERROR_PRECONDITION, "it has changed meanwhile"},
        {STORE_ALWAYS, 404, "NoSuchKey", ERROR_NOT_FOUND, ""},
        {STORE_IF_ABSENT, 501, "NotImplemented", ERROR_UNSUPPORTED, "no conditional writes"},
        {STORE_IF_VERSION, 501, "NotImplemented", ERROR_UNSUPPORTED, "no conditional writes"},
        {STORE_IF_VERSION, 500, "InternalError", ERROR_UNREACHABLE, ""},
    };

    (void)state;
    for (enum writing how = 0; how < WRITINGS; how++) {
        for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
            char body[100];
            struct hand hand;

            snprintf(body, sizeof body, "<Error><Code>%s</Code></Error>", table[i].code);
            hand_begin(&hand, "http://h", "b");
            begin_writing(
                &hand, how,
                (struct store_condition){.when = table[i].when,
                                         .version = table[i].when == STORE_IF_VERSION ? "e" : NULL});
            hand_request(&hand)->sent = 5;
            assert_int_equal(hand_answer(&hand, table[i].status, "", body), HTTP_DONE);
            hand_done(&hand);
            assert_int_equal(hand.call.error.kind, table[i].kind);
            assert_non_null(strstr(hand.call.error.text, table[i].text));
            hand_end(&hand);
        }
    }
}

static void test_copy_answers(void **state)
{
    static const char good[] =
        "<CopyObjectResult><ETag>&quot;d41d8cd98f00b204e9800998ecf8427e&quot;</ETag></CopyObjectResult>";
    static const char kms[] = "x-amz-server-side-encryption: aws:kms\n";
    static const char refused[] = "\n\n<Error><Code>InternalError</Code></Error>";
    struct hand hand;

    (void)state;
    for (int encrypted = 0; encrypted < 2; encrypted++) {
        hand_begin(&hand, "http://h", "b");
        begin_copy(&hand, hand.store, "k", UINT64_C(4) << 30, "e");
        assert_true(hand_attempt(&hand));
        assert_in_range(hand_request(&hand)->patience, 60 * 1000, 3600 * 1000);
        /* that it is being copied is said with white space, and 200, before it is known how it ends */
        assert_int_equal(hand_answer(&hand, 200, "", refused), HTTP_RETRY);
        assert_true(hand_attempt(&hand));
        assert_int_equal(hand_answer(&hand, 200, encrypted ? kms : "", good), HTTP_DONE);
        assert_string_equal(hand.call.info.version, "d41d8cd98f00b204e9800998ecf8427e");
        assert_int_equal(hand.call.info.false_hash, encrypted);
        hand_end(&hand);
    }
}

/* ---- listings ---- */

static const struct object_entry *next_entry(struct hand *hand)
{
    const struct object_entry *entry = NULL;

    cursor_next(hand->cursor);
    return cursor_peek(hand->cursor, &entry) == CURSOR_ENTRY ? entry : NULL;
}

static void expect_keys(struct hand *hand, const char *const *keys)
{
    for (; *keys != NULL; keys++) {
        const struct object_entry *entry = next_entry(hand);

        assert_non_null(entry);
        assert_string_equal(entry->key, *keys);
    }
}

/* Order and escapes of Ceph RGW 16.2: EncodingType in front, "%20". */
static void test_list_rgw(void **state)
{
    static const char page[] = LIST_BEGIN
        "<EncodingType>url</EncodingType><Name>b</Name><Prefix>p/</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>" ENTRY(
            "p%2F%22q%22&apos;") ENTRY("p%2Fa%20b") ENTRY("p%2Fplus%2B%20%2Bx")
            ENTRY(
                "p%2F%C3%BC%0A") "<NextContinuationToken>p/\xC3\xBC&amp; +</NextContinuationToken><KeyCount>4</KeyCount></ListBucketResult>";
    static const char last[] =
        LIST_BEGIN "<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>" ENTRY(
            "p%2F%FF") "</ListBucketResult>";
    const struct object_entry *entry;
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "p/");
    assert_string_equal(hand_url(&hand),
                        "http://h/b?encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", page), HTTP_DONE);
    hand_done(&hand);
    entry = next_entry(&hand);
    assert_string_equal(entry->key, "p/\"q\"'");
    assert_int_equal(entry->size, 5);
    assert_int_equal(entry->modified, clock_parse_rfc3339("2026-11-22T15:04:05.678Z"));
    assert_string_equal(entry->version, "5d41402abc4b2a76b9719d911017c592");
    expect_keys(&hand, (const char *const[]){"p/a b", "p/plus+ +x", "p/\xC3\xBC\n", NULL});
    /* The cursor asked for the next page as soon as it took this one. */
    assert_true(hand_attempt(&hand));
    assert_string_equal(
        hand_url(&hand),
        "http://h/b?continuation-token=p%2F%C3%BC%26%20%2B&encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F");
    assert_int_equal(hand_answer(&hand, 200, "", last), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"p/\xFF", NULL});
    assert_null(next_entry(&hand));
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_END);
    hand_end(&hand);
}

/* The first page begins behind the one bound, and nothing is asked for beyond the other. */
static void test_list_range(void **state)
{
    static const char page[] =
        LIST_BEGIN "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" ENTRY("p%2Fb")
            ENTRY("p%2Fc") "<NextContinuationToken>t</NextContinuationToken></ListBucketResult>";
    static const char second[] =
        LIST_BEGIN "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" ENTRY("p%2Fd")
            ENTRY("p%2Fz") "<NextContinuationToken>u</NextContinuationToken></ListBucketResult>";
    const struct object_entry *entry;
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list_range(&hand, &(struct store_range){"p/", "p/a +", "p/e", NULL, false});
    for (int attempt = 0; attempt < 2; attempt++) { /* the second asks for the same again */
        assert_string_equal(
            hand_url(&hand),
            "http://h/b?encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F&start-after=p%2Fa%20%2B");
        if (attempt == 0)
            assert_int_equal(hand_answer(&hand, 503, "", NULL), HTTP_RETRY);
        if (attempt == 0)
            assert_true(hand_attempt(&hand));
    }
    assert_int_equal(hand_answer(&hand, 200, "", page), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"p/b", "p/c", NULL});
    assert_true(hand_attempt(&hand));
    assert_string_equal(
        hand_url(&hand),
        "http://h/b?continuation-token=t&encoding-type=url&list-type=2&max-keys=1000&prefix=p%2F");
    assert_int_equal(hand_answer(&hand, 200, "", second), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"p/d", NULL});
    assert_null(next_entry(&hand));
    assert_int_equal(cursor_peek(hand.cursor, &entry), CURSOR_END);
    hand_end(&hand);
}

/* Order of MinIO (EncodingType behind the entries) and escapes of Amazon ("+" for a space). */
static void test_list_encoding_told_late(void **state)
{
    static const char page[] = LIST_BEGIN "<IsTruncated>false</IsTruncated>" ENTRY("a+b") ENTRY("a%2Bb")
        ENTRY("c%25") "<EncodingType>url</EncodingType></ListBucketResult>";
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    assert_int_equal(hand_answer(&hand, 200, "", page), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"a b", "a+b", "c%", NULL});
    hand_end(&hand);
}

/* A service that ignores encoding-type is found out, and asked again without. */
static void expect_plain(const char *first, const char *second)
{
    struct buf page;
    struct hand hand;

    buf_init(&page, 4096);
    buf_printf(
        &page,
        LIST_BEGIN
        "<Contents><Key>%s</Key><Size>1</Size></Contents><Contents><Key>%s</Key><Size>2</Size></Contents><IsTruncated>false</IsTruncated></ListBucketResult>",
        first, second);
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", buf_str(&page)),
                     HTTP_RETRY_NOW);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b?list-type=2&max-keys=1000");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", buf_str(&page)), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){first, second, NULL});
    hand_end(&hand);
    buf_free(&page);
}

static void test_list_not_encoded(void **state)
{
    (void)state;
    expect_plain("100%", "x");
    expect_plain("a+b", "x");
    expect_plain("a%20b", "x");
}

/* A broken attempt leaves nothing behind. */
static void test_list_again(void **state)
{
    static const char page[] =
        LIST_BEGIN ENTRY("a") ENTRY("b") "<IsTruncated>false</IsTruncated></ListBucketResult>";
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    hand_answer_head(&hand, 200, "content-type: application/xml\n");
    hand_answer_body(&hand, page, sizeof page / 2);
    assert_int_equal(hand_break(&hand), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "", page), HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"a", "b", NULL});
    assert_null(next_entry(&hand));
    hand_end(&hand);
}

#define LISTING(bucket, prefix)                                                                              \
    LIST_BEGIN "<Name>" bucket "</Name><Prefix>" prefix "</Prefix><IsTruncated>false</IsTruncated>"          \
               "</ListBucketResult>"

static void expect_own(const char *bucket, const char *body, bool own)
{
    struct hand hand;

    hand_begin(&hand, "http://h", bucket);
    hand_list(&hand, "p q+/");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", body),
                     own ? HTTP_DONE : HTTP_RETRY);
    if (!own)
        assert_non_null(strstr(hand_request(&hand)->error.text, "another bucket or prefix"));
    hand_end(&hand);
}

/* An answer that belongs to another request: a cache, or a connection on which answers have slipped. */
static void test_list_of_another(void **state)
{
    (void)state;
    expect_own("b", LISTING("b", "p q+/"), true);
    expect_own("b", LISTING("b", "p%20q%2B/"), true);
    expect_own("b", LISTING("b", "p+q%2B%2F"), true);
    expect_own("b", LISTING("b", ""), true);
    expect_own("tenant:b", LISTING("b", "p q+/"), true);
    expect_own("b", LISTING("b", "p q/"), false);
    expect_own("b", LISTING("b", "p%zzq+/"), false);
    expect_own("b", LISTING("dev", "p q+/"), false);
}

/* A gateway with a name of its own for the bucket says it each time, and nothing else is taken from then on. */
static void test_list_other_name(void **state)
{
    static const char page[] = LISTING("backend", ""), other[] = LISTING("b", "");
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "p/");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", page), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", page), HTTP_DONE);
    hand_done(&hand);
    cursor_close(hand.cursor);
    hand.store->ops = hand_real_ops;
    hand_list(&hand, "p/");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", other), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", page), HTTP_DONE);
    hand_end(&hand);
}

/* RGW's continuation token is the page's last key, unencoded; XML cannot hold every key. */
static void test_list_unwritable_token(void **state)
{
    static const char page[] =
        LIST_BEGIN "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>" ENTRY("a") ENTRY("b")
            ENTRY("c%01") "<NextContinuationToken>c&#x01;</NextContinuationToken></ListBucketResult>";
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", page), HTTP_RETRY_NOW);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b?encoding-type=url&list-type=2&max-keys=2");
    hand_end(&hand);
}

static void expect_list_error(const char *body, const char *text)
{
    struct hand hand;

    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    assert_int_equal(hand_answer(&hand, 200, "content-type: application/xml\n", body), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.used->error.kind, ERROR_PROTOCOL);
    assert_non_null(strstr(hand.used->error.text, text));
    hand_end(&hand);
}

/* What is in an entry's own elements is not the entry's, nor is what only looks like an entry. */
static void test_list_other_elements(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand_list(&hand, "");
    assert_int_equal(
        hand_answer(&hand, 200, "content-type: application/xml\n",
                    LIST_BEGIN
                    "<Contents><Owner><Key>x</Key></Owner><Key>a</Key><Size>1</Size></Contents>"
                    "<CommonPrefixes><Key>y</Key></CommonPrefixes><ContentsX><Key>z</Key></ContentsX>"
                    "<Contents><Size>2</Size><Contents><Key>u</Key></Contents><Key>b</Key><Owner/>"
                    "</Contents><IsTruncated>false</IsTruncated></ListBucketResult>"),
        HTTP_DONE);
    hand_done(&hand);
    expect_keys(&hand, (const char *const[]){"a", "b", NULL});
    hand_end(&hand);
}

static void test_list_nonsense(void **state)
{
    char key[1200];
    char page[2000];

    (void)state;
    expect_list_error(LIST_BEGIN "<IsTruncated>true</IsTruncated></ListBucketResult>", "from where");
    expect_list_error(LIST_BEGIN ENTRY("a") "</ListBucketResult>", "whether it is complete");
    expect_list_error(LIST_BEGIN "<Contents><Key>a</Key></Contents></ListBucketResult>", "how large");
    expect_list_error(LIST_BEGIN "<Contents><Key>a</Key><Size>-1</Size></Contents>", "how large");
    expect_list_error(LIST_BEGIN "<Contents><Key>a</Key><Size>18446744073709551616</Size></Contents>",
                      "how large");
    expect_list_error(LIST_BEGIN "<Contents><Size>1</Size></Contents></ListBucketResult>", "0 bytes");
    expect_list_error(LIST_BEGIN "<Contents/></ListBucketResult>", "0 bytes");
    expect_list_error(LIST_BEGIN "<Contents><Owner/></Contents></ListBucketResult>", "0 bytes");
    expect_list_error(XML "<ListAllMyBucketsResult/>", "does not answer like an S3 service");
    expect_list_error("", "does not answer like an S3 service");
    memset(key, 'k', sizeof key);
    key[1025] = '\0';
    snprintf(page, sizeof page,
             LIST_BEGIN "<Contents><Key>%s</Key><Size>1</Size></Contents></ListBucketResult>", key);
    expect_list_error(page, "1025 bytes");
}

/* ---- objects ---- */

static void test_read(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_read(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200,
                     "content-length: 5\netag: \"5d41\"\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\n"
                     "content-type: text/plain\ncontent-encoding: aws-chunked, gzip\nx-amz-meta-a: 1\n"
                     "x-amz-tagging-count: 2\nx-amz-id-2: no\n");
    hand_answer_body(&hand, "hel", 3);
    hand_answer_body(&hand, "lo", 2);
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_string_equal(buf_str(&hand.call.body), "hello");
    assert_true(hand.call.head_known);
    assert_int_equal(hand.call.info.size, 5);
    assert_int_equal(hand.call.info.modified, INT64_C(784111777000));
    assert_string_equal(hand.call.info.version, "5d41");
    assert_int_equal(hand.call.info.tags, 2);
    assert_string_equal(object_meta_get(&hand.call.meta, "content-type"), "text/plain");
    assert_string_equal(object_meta_get(&hand.call.meta, "content-encoding"), "gzip");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:a"), "1");
    assert_null(object_meta_get(&hand.call.meta, "user:no"));
    hand_end(&hand);
}

/* What an attempt that failed said is not mixed into the next one's. */
static void test_read_again(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_read(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200, "content-length: 5\nx-amz-meta-a: 1\nx-amz-tagging-count: 1\n");
    hand_answer_body(&hand, "hel", 3);
    assert_int_equal(hand_break(&hand), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    assert_int_equal(
        hand_answer(&hand, 200,
                    "content-length: 2\netag: \"e\"\nx-amz-meta-a: 2\ncontent-encoding: aws-chunked\n", "ok"),
        HTTP_DONE);
    hand_done(&hand);
    assert_string_equal(buf_str(&hand.call.body), "ok");
    assert_string_equal(object_meta_get(&hand.call.meta, "user:a"), "2");
    assert_null(object_meta_get(&hand.call.meta, "content-encoding"));
    assert_int_equal(hand.call.info.tags, 0);
    hand_end(&hand);
}

static void test_read_too_large(void **state)
{
    static char block[16384];
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_read(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200, "");
    /* A body without an end is given up. */
    for (int i = 0; i < 200 && !hand.call.done; i++) {
        if (!hand_request(&hand)->done)
            assert_true(hand_answer_body(&hand, block, sizeof block));
        store_step(&hand.call);
    }
    assert_true(hand.call.done);
    assert_int_equal(hand.call.error.kind, ERROR_UNSUPPORTED);
    hand_end(&hand);
}

static void test_head_and_tags(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_request(&hand)->method, "HEAD");
    assert_int_equal(hand_answer(&hand, 200, "content-length: 7\netag: W/\"e\"\n", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_true(hand.call.head_known);
    assert_int_equal(hand.call.info.size, 7);
    assert_string_equal(hand.call.info.version, "e");

    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.call.info.size == OBJECT_SIZE_UNKNOWN);
    assert_string_equal(hand.call.info.version, "");

    store_tags(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b/k?tagging=");
    assert_int_equal(
        hand_answer(
            &hand, 200, "",
            XML
            "<Tagging><TagSet><Tag><Key>a &amp; b</Key><Value>\xC3\xBC=+</Value></Tag><Tag><Key>c</Key><Value></Value></Tag></TagSet></Tagging>"),
        HTTP_DONE);
    hand_done(&hand);
    assert_string_equal(object_meta_get(&hand.call.meta, "tagging"), "a%20%26%20b=%C3%BC%3D%2B&c=");
    hand_end(&hand);
}

static void test_get_waits_for_the_pipe(void **state)
{
    static char block[16384];
    static char out[16384];
    struct hand hand;
    char head[64];

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_get(&(struct store_source){hand.store, "k", "v1", NULL}, &hand.call, 0, UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_null(hand_header(&hand, "if-match")); /* one answer is one version; it says which */
    assert_null(hand_header(&hand, "range"));
    assert_string_equal(hand_header(&hand, "accept-encoding"), "identity");
    assert_null(strstr(hand_header(&hand, "authorization"), "accept-encoding"));
    snprintf(head, sizeof head, "content-length: %zu\netag: \"v1\"\n", PIPE_CAPACITY + sizeof block);
    hand_answer_head(&hand, 200, head);
    assert_false(hand.call.head_known);
    for (size_t i = 0; i < PIPE_CAPACITY / sizeof block; i++)
        assert_true(hand_answer_body(&hand, block, sizeof block));
    assert_true(hand.call.head_known);
    assert_false(hand_answer_body(&hand, block, sizeof block));
    assert_false(store_step(&hand.call));
    pipe_read(&hand.pipe, out, sizeof out - 1);
    assert_false(store_step(&hand.call)); /* room, but not for the largest piece */
    pipe_read(&hand.pipe, out, 1);
    assert_true(store_step(&hand.call));
    assert_false(hand.pipe.closed);
    assert_true(hand_answer_body(&hand, block, sizeof block));
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.pipe.closed);
    hand_end(&hand);
}

/* One get of "bytes=10-13", answered like this. */
static void expect_range(int status, const char *headers, const char *body, enum error_kind kind)
{
    struct hand hand;

    hand_begin(&hand, "http://h", "b");
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 10, 4,
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "range"), "bytes=10-13");
    assert_int_equal(hand_answer(&hand, status, headers, body), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, kind);
    assert_int_equal(hand.pipe.closed, kind == ERROR_NONE);
    if (kind == ERROR_NONE)
        assert_int_equal(hand.call.info.size, 100);
    hand_end(&hand);
}

static void test_get_range(void **state)
{
    (void)state;
    expect_range(206, "content-range: bytes 10-13/100\ncontent-length: 4\n", "abcd", ERROR_NONE);
    expect_range(206, "content-range: bytes 11-14/100\ncontent-length: 4\n", "abcd", ERROR_PROTOCOL);
    expect_range(206, "content-length: 4\n", "abcd", ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-12/100\ncontent-length: 4\n", "abcd", ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-14/100\n", "abcd", ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-13\n", "abcd", ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-13/100\ncontent-length: 5\n", "abcde", ERROR_PRECONDITION);
    expect_range(200, "content-length: 4\n", "abcd", ERROR_PROTOCOL);
    expect_range(204, "", NULL, ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-13/100\n", "abc", ERROR_PROTOCOL);
    expect_range(206, "content-range: bytes 10-13/100\n", "abcde", ERROR_PROTOCOL);
}

static void test_get_edges(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    /* How large the whole is need not be said. */
    store_get(&(struct store_source){hand.store, "k", "v", NULL}, &hand.call, 0, 4, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "if-match"), "\"v\"");
    assert_int_equal(hand_answer(&hand, 206, "content-range: bytes 0-3/*\netag: W/\"v\"\n", "abcd"),
                     HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.call.info.size == OBJECT_SIZE_UNKNOWN);
    pipe_reset(&hand.pipe);
    /* Nothing cannot be asked for as a range. */
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0, 0,
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_null(hand_header(&hand, "range"));
    assert_int_equal(hand_answer(&hand, 200, "content-length: 0\n", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    assert_true(hand.call.head_known);
    assert_true(hand.pipe.closed);
    pipe_reset(&hand.pipe);
    /* Part of it is not all of it. */
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 206, "content-range: bytes 0-3/9\ncontent-length: 4\n", "abcd"),
                     HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    hand_end(&hand);
}

#define HELLO_MD5 "5d41402abc4b2a76b9719d911017c592"

/* One get of a version of five bytes, answered like this. Whatever comes, the last byte is not to be had before the
 * answer was found to be right. */
static void expect_whole(int status, const char *headers, const char *body, enum error_kind kind,
                         const char *text)
{
    struct hand hand;
    char out[16];

    hand_begin(&hand, "http://h", "b");
    hand.pipe.size = 5;
    pipe_hash(&hand.pipe);
    store_get(&(struct store_source){hand.store, "k", HELLO_MD5, NULL}, &hand.call, 0, UINT64_MAX,
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, status, headers);
    if (body != NULL)
        hand_answer_body(&hand, body, strlen(body));
    assert_true(pipe_read(&hand.pipe, out, sizeof out) < 5);
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, kind);
    assert_int_equal(hand.pipe.closed, kind == ERROR_NONE);
    if (text != NULL)
        assert_non_null(strstr(hand.call.error.text, text));
    assert_int_equal(pipe_read(&hand.pipe, out, sizeof out) == 1, kind == ERROR_NONE);
    hand_end(&hand);
}

#define ETAG "etag: \"" HELLO_MD5 "\"\n"

static void test_get_is_the_object(void **state)
{
    (void)state;
    expect_whole(200, ETAG "content-length: 5\n", "hello", ERROR_NONE, NULL);
    expect_whole(200, ETAG, "hello", ERROR_NONE, NULL); /* in chunks, or until the connection closes */
    expect_whole(200, ETAG, "hell", ERROR_PROTOCOL, "after 4 of 5 bytes");
    expect_whole(200, ETAG, "hello!", ERROR_PROTOCOL, "longer than the 5 bytes");
    expect_whole(200, ETAG "content-length: 4\n", "hell", ERROR_PROTOCOL, "changes bodies");
    expect_whole(200, ETAG "content-length: 4\ncontent-encoding: gzip\n", "\x1f\x8b..", ERROR_PROTOCOL,
                 "compress");
    expect_whole(200, ETAG, "hullo", ERROR_PROTOCOL, "damaged");
    expect_whole(200, ETAG "x-amz-server-side-encryption: AES256\n", "hullo", ERROR_PROTOCOL, "damaged");
    /* With a key of one's own an ETag is no MD5, whatever it looks like. */
    expect_whole(200, ETAG "x-amz-server-side-encryption: aws:kms\n", "hullo", ERROR_NONE, NULL);
    expect_whole(200, ETAG "x-amz-server-side-encryption-customer-algorithm: AES256\n", "hullo", ERROR_NONE,
                 NULL);
    expect_whole(200, "content-type: text/html\n", "hello", ERROR_PROTOCOL, "no ETag");
    expect_whole(200,
                 "etag: \"a\x01"
                 "b\"\n",
                 "hello", ERROR_PROTOCOL, "no ETag");
    expect_whole(200, "etag: \"other\"\n", "hello", ERROR_PRECONDITION, NULL);
    expect_whole(203, ETAG, "hello", ERROR_PROTOCOL, "HTTP 203");
    expect_whole(204, ETAG, NULL, ERROR_PROTOCOL, "HTTP 204");
    expect_whole(206, ETAG "content-range: bytes 0-4/5\n", "hello", ERROR_PROTOCOL, "another range");
}

/* Of a version that is not known nothing can be said but its size. */
static void test_get_any_version(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    hand.pipe.size = 5;
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "content-length: 4\n", "hell"), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PRECONDITION);
    pipe_reset(&hand.pipe);
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 200, "", "hello"), HTTP_DONE); /* 5 bytes, of how many? */
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    hand_end(&hand);
}

static void test_google_is_asked_for_what_is_stored(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "https://storage.googleapis.com", "b");
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_header(&hand, "accept-encoding"), "gzip");
    hand_end(&hand);
}

static void test_fields_that_come_twice(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_head(hand.store, &hand.call, "k");
    assert_true(hand_attempt(&hand));
    hand_answer(&hand, 200,
                "content-length: 5\ncontent-type: a/b\nx-amz-meta-x: 1\ncontent-type: c/d\nx-amz-meta-x: 2\n"
                "cache-control: private\ncache-control: no-transform\nx-amz-meta-x: 3\n",
                NULL);
    hand_done(&hand);
    assert_string_equal(object_meta_get(&hand.call.meta, "user:x"), "1, 2, 3");
    assert_string_equal(object_meta_get(&hand.call.meta, "cache-control"), "private, no-transform");
    assert_string_equal(object_meta_get(&hand.call.meta, "content-type"), "a/b");
    hand_end(&hand);
}

/* Below the interface an attempt may be repeated only until the first byte has gone out. */
static void test_get_again(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200, "content-length: 10\n");
    assert_int_equal(hand_break(&hand), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200, "content-length: 10\n");
    hand_answer_body(&hand, "abc", 3);
    assert_int_equal(hand_break(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_UNREACHABLE);
    assert_true(hand.call.again);
    assert_false(hand.pipe.closed);
    hand_end(&hand);
}

static void test_put_streams(void **state)
{
    struct object_meta meta = {0};
    struct hand hand;
    char piece[16];

    (void)state;
    object_meta_init(&meta);
    hand_begin(&hand, "http://h", "b");
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_request(&hand)->upload_size, 5);
    assert_string_equal(hand_header(&hand, "x-amz-content-sha256"), "UNSIGNED-PAYLOAD");
    assert_int_equal(hand_request(&hand)->hooks->upload(hand_request(&hand), piece, sizeof piece), 0);
    assert_false(store_step(&hand.call));
    pipe_write(&hand.pipe, "hel", 3);
    assert_true(store_step(&hand.call));
    assert_int_equal(hand_request(&hand)->hooks->upload(hand_request(&hand), piece, sizeof piece), 3);
    pipe_write(&hand.pipe, "lo, and more", 12);
    assert_int_equal(hand_request(&hand)->hooks->upload(hand_request(&hand), piece, sizeof piece), 2);
    assert_memory_equal(piece, "lo", 2);
    hand_request(&hand)->sent = 5;
    assert_int_equal(hand_answer(&hand, 200, "etag: \"x\"\n", NULL), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_NONE);
    hand_end(&hand);
}

/* A put of "hello", with what is known of it beforehand, and what the service says it got. */
static void expect_put(const char *md5, bool hashed, const char *sent, const char *headers, const char *text)
{
    struct object_meta meta = {0};
    struct hand hand;

    hand_begin(&hand, "http://h", "b");
    if (hashed)
        pipe_hash(&hand.pipe);
    snprintf(hand.pipe.md5, sizeof hand.pipe.md5, "%s", md5);
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    if (md5[0] != '\0')
        assert_string_equal(hand_header(&hand, "content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
    else
        assert_null(hand_header(&hand, "content-md5"));
    pipe_write(&hand.pipe, sent, strlen(sent));
    hand.pipe.closed = true;
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, 200, headers, NULL), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, text != NULL ? ERROR_PROTOCOL : ERROR_NONE);
    assert_int_equal(hand.call.again, text != NULL);
    if (text != NULL)
        assert_non_null(strstr(hand.call.error.text, text));
    hand_end(&hand);
}

static void test_put_is_what_was_sent(void **state)
{
    (void)state;
    expect_put(HELLO_MD5, false, "hello", ETAG, NULL);
    expect_put(HELLO_MD5, false, "hello", "etag: \"5D41402ABC4B2A76B9719D911017C592\"\n", NULL);
    expect_put("", true, "hello", ETAG, NULL);
    expect_put(HELLO_MD5, false, "hullo", "etag: \"b1946ac92492d2347c6235b4d2611184\"\n", "other bytes");
    expect_put("", true, "hullo", ETAG, "other bytes");
    expect_put("", false, "hullo", ETAG, NULL); /* nobody knows */
    expect_put(HELLO_MD5, true, "hello", "etag: \"not-a-hash\"\n", NULL);
    expect_put(HELLO_MD5, true, "hello",
               "etag: \"b1946ac92492d2347c6235b4d2611184\"\nx-amz-server-side-encryption: aws:kms:dsse\n",
               NULL);
}

/* Object Lock: who reads the body again is told so, and next time the MD5 is sent. */
static void test_put_needs_md5(void **state)
{
    struct object_meta meta = {0};
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    for (int round = 0; round < 2; round++) {
        if (round == 1)
            memcpy(hand.pipe.md5, HELLO_MD5, sizeof hand.pipe.md5);
        store_put(hand.store, &hand.call,
                  &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &meta},
                  &hand.pipe);
        assert_true(hand_attempt(&hand));
        assert_int_equal(hand_header(&hand, "content-md5") != NULL, round == 1);
        hand_answer(
            &hand, 400, "",
            XML
            "<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters</Message></Error>");
        hand_done(&hand);
        assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
        assert_int_equal(hand.call.again, round == 0); /* it was told: nothing more can be done */
        assert_true(store_traits(hand.store)->wants_md5);
    }
    hand_end(&hand);
}

static void test_put_again(void **state)
{
    struct object_meta meta;
    struct hand hand;
    char piece[16];

    (void)state;
    object_meta_init(&meta);
    hand_begin(&hand, "http://h", "b");
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    assert_int_equal(hand_answer(&hand, 503, "", NULL), HTTP_RETRY);
    assert_true(hand_attempt(&hand));
    pipe_write(&hand.pipe, "hel", 3);
    assert_int_equal(hand_request(&hand)->hooks->upload(hand_request(&hand), piece, sizeof piece), 3);
    assert_int_equal(hand_answer(&hand, 503, "", XML "<Error><Code>SlowDown</Code></Error>"), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_UNREACHABLE);
    assert_true(hand.call.again);
    /* The reading half ended early: no attempt of this half alone would mend that. */
    pipe_reset(&hand.pipe);
    store_put(hand.store, &hand.call,
              &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &meta},
              &hand.pipe);
    assert_true(hand_attempt(&hand));
    hand.pipe.closed = true;
    assert_int_equal(hand_request(&hand)->hooks->upload(hand_request(&hand), piece, sizeof piece), -1);
    assert_int_equal(hand_answer_end(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    hand_end(&hand);
}

static void test_cancel(void **state)
{
    struct error why = {0};
    struct hand hand;

    (void)state;
    error_set(&why, ERROR_INTERRUPTED, "stop");
    hand_begin(&hand, "http://h", "b");
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    call_cancel(&hand.call, &why); /* before its first attempt */
    assert_true(hand.call.done);
    assert_string_equal(hand.call.error.text, "stop");
    store_get(&(struct store_source){.store = hand.store, .key = "k", .version = ""}, &hand.call, 0,
              UINT64_MAX, &hand.pipe);
    assert_true(hand_attempt(&hand));
    hand_answer_head(&hand, 200, "content-length: 10\n");
    hand_answer_body(&hand, "abc", 3);
    call_cancel(&hand.call, &why); /* in the middle */
    assert_int_equal(hand.call.error.kind, ERROR_INTERRUPTED);
    assert_false(hand.call.again);
    hand_list(&hand, "");
    hand_answer_head(&hand, 200, "");
    hand_answer_body(&hand, LIST_BEGIN ENTRY("a"), strlen(LIST_BEGIN ENTRY("a")));
    hand_end(&hand); /* closes the cursor in the middle */
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_open_checks_the_bundle),
        cmocka_unit_test(test_open_checks_names),
        cmocka_unit_test(test_open_checks_encryption),
        cmocka_unit_test(test_addressing),
        cmocka_unit_test(test_variants),
        cmocka_unit_test(test_one_service),
        cmocka_unit_test(test_key_bytes),
        cmocka_unit_test(test_signature_headers),
        cmocka_unit_test(test_no_credentials),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_metadata_is_sent),
        cmocka_unit_test(test_metadata_gets_its_own_names),
        cmocka_unit_test(test_metadata_that_no_header_holds),
        cmocka_unit_test(test_copy_request),
        cmocka_unit_test(test_request_payer),
        cmocka_unit_test(a_condition_is_sent),
        cmocka_unit_test(a_condition_that_does_not_hold),
        cmocka_unit_test(test_copy_answers),
        cmocka_unit_test(test_two_accounts),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_list_rgw),
        cmocka_unit_test(test_list_range),
        cmocka_unit_test(test_list_encoding_told_late),
        cmocka_unit_test(test_list_not_encoded),
        cmocka_unit_test(test_list_again),
        cmocka_unit_test(test_list_of_another),
        cmocka_unit_test(test_list_other_name),
        cmocka_unit_test(test_list_unwritable_token),
        cmocka_unit_test(test_list_other_elements),
        cmocka_unit_test(test_list_nonsense),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_read_again),
        cmocka_unit_test(test_read_too_large),
        cmocka_unit_test(test_head_and_tags),
        cmocka_unit_test(test_get_waits_for_the_pipe),
        cmocka_unit_test(test_get_range),
        cmocka_unit_test(test_get_edges),
        cmocka_unit_test(test_get_is_the_object),
        cmocka_unit_test(test_get_any_version),
        cmocka_unit_test(test_google_is_asked_for_what_is_stored),
        cmocka_unit_test(test_fields_that_come_twice),
        cmocka_unit_test(test_get_again),
        cmocka_unit_test(test_put_streams),
        cmocka_unit_test(test_put_is_what_was_sent),
        cmocka_unit_test(test_put_needs_md5),
        cmocka_unit_test(test_put_again),
        cmocka_unit_test(test_cancel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
