/* store_s3: what follows from answers that are not good: errors, regions, clocks, and answers that are not
 * S3's. */
#include "s3_hand.h"

#include "clock.h"
#include "log.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define ERROR_BODY(code)                                                                                     \
    XML "<Error><Code>" code "</Code><Message>m</Message><RequestId>tx1</RequestId></Error>"

enum way { LIST, READ, HEAD, PUT, CREATE, COPY, REMOVE, TAGS };

static const struct object_meta no_meta;

static void start(struct hand *hand, enum way way)
{
    switch (way) {
    case LIST:
        hand_list(hand, "");
        return;
    case READ:
        store_read(hand->store, &hand->call, "k");
        break;
    case HEAD:
        store_head(hand->store, &hand->call, "k");
        break;
    case PUT:
        pipe_write(&hand->pipe, "hello", 5);
        store_put(hand->store, &hand->call,
                  &(struct store_target){.key = "k", .size = 5, .modified = CLOCK_UNKNOWN, .meta = &no_meta},
                  &hand->pipe);
        break;
    case CREATE:
        store_write(hand->store, &hand->call, "k", "hello", 5,
                    &(struct store_condition){.when = STORE_IF_ABSENT});
        break;
    case COPY:
        store_copy(hand->store, &hand->call, &(struct store_target){.key = "k"},
                   &(struct store_source){hand->store, "k", "e", NULL});
        break;
    case REMOVE:
        store_remove(hand->store, &hand->call, "k");
        break;
    case TAGS:
        store_tags(hand->store, &hand->call, "k");
        break;
    }
    assert_true(hand_attempt(hand));
}

/* ---- the tables ---- */

static void test_errors(void **state)
{
    static const struct {
        enum way way;
        int status;
        const char *body;
        enum http_verdict verdict;
        enum error_kind kind;
        const char *text;
    } rows[] = {
        {LIST, 404, ERROR_BODY("NoSuchBucket"), HTTP_DONE, ERROR_NO_BUCKET,
         "bucket \"b\" does not exist at http://h"},
        {LIST, 403, ERROR_BODY("AccessDenied"), HTTP_DONE, ERROR_PERMISSION, "s3:ListBucket"},
        {READ, 403, ERROR_BODY("AccessDenied"), HTTP_DONE, ERROR_PERMISSION, "b: reading \"k\": "},
        {PUT, 403, ERROR_BODY("AccessDenied"), HTTP_DONE, ERROR_PERMISSION, "s3:PutObject"},
        {COPY, 403, ERROR_BODY("AccessDenied"), HTTP_DONE, ERROR_PERMISSION, "s3:GetObject at the source"},
        {LIST, 403, ERROR_BODY("InvalidAccessKeyId"), HTTP_DONE, ERROR_CREDENTIALS, "access key"},
        {LIST, 403, ERROR_BODY("SignatureDoesNotMatch"), HTTP_DONE, ERROR_CREDENTIALS, "secret access key"},
        {LIST, 400, ERROR_BODY("ExpiredToken"), HTTP_DONE, ERROR_CREDENTIALS, "expired"},
        {READ, 404, ERROR_BODY("NoSuchKey"), HTTP_DONE, ERROR_NOT_FOUND, "no such object"},
        {READ, 403, ERROR_BODY("InvalidObjectState"), HTTP_DONE, ERROR_PERMISSION, "archived"},
        {READ, 412, ERROR_BODY("PreconditionFailed"), HTTP_DONE, ERROR_PRECONDITION, "changed"},
        {COPY, 412, ERROR_BODY("PreconditionFailed"), HTTP_DONE, ERROR_PRECONDITION, "changed"},
        {READ, 416, ERROR_BODY("InvalidRange"), HTTP_DONE, ERROR_PRECONDITION, "shorter"},
        {PUT, 400, ERROR_BODY("KeyTooLongError"), HTTP_DONE, ERROR_UNSUPPORTED, "key is longer"},
        {PUT, 400, ERROR_BODY("EntityTooLarge"), HTTP_DONE, ERROR_UNSUPPORTED, "larger than"},
        {PUT, 501, ERROR_BODY("NotImplemented"), HTTP_DONE, ERROR_UNSUPPORTED, "cannot do this"},
        {READ, 503, ERROR_BODY("SlowDown"), HTTP_RETRY, ERROR_UNREACHABLE, "fewer requests"},
        {READ, 500, ERROR_BODY("InternalError"), HTTP_RETRY, ERROR_UNREACHABLE,
         "InternalError: m, request tx1"},
        {PUT, 400, ERROR_BODY("RequestTimeout"), HTTP_RETRY, ERROR_UNREACHABLE, "too long"},
        {COPY, 409, ERROR_BODY("OperationAborted"), HTTP_RETRY, ERROR_UNREACHABLE, "conflicting"},
        {READ, 429, "<html/>", HTTP_RETRY, ERROR_UNREACHABLE, "HTTP 429"},
        {READ, 502, "<html>", HTTP_RETRY, ERROR_UNREACHABLE, "HTTP 502"},
        {READ, 599, NULL, HTTP_RETRY, ERROR_UNREACHABLE, "HTTP 599"},
        {READ, 400, ERROR_BODY("Strange"), HTTP_DONE, ERROR_PROTOCOL, "(HTTP 400, Strange: m, request tx1)"},
        {HEAD, 404, NULL, HTTP_DONE, ERROR_NOT_FOUND, "no such object"},
        {HEAD, 403, NULL, HTTP_DONE, ERROR_PERMISSION, "s3:GetObject"},
        {HEAD, 503, NULL, HTTP_RETRY, ERROR_UNREACHABLE, "HTTP 503"},
        {HEAD, 401, NULL, HTTP_DONE, ERROR_CREDENTIALS, "HTTP 401"},
        {REMOVE, 404, ERROR_BODY("NoSuchKey"), HTTP_DONE, ERROR_NONE, ""},
        {REMOVE, 204, NULL, HTTP_DONE, ERROR_NONE, ""},
        {REMOVE, 404, ERROR_BODY("NoSuchBucket"), HTTP_DONE, ERROR_NO_BUCKET, "does not exist"},
        {TAGS, 404, ERROR_BODY("NoSuchTagSetError"), HTTP_DONE, ERROR_NONE, ""},
        /* A copy answers before it knows how it ends, and keeps the connection alive with white space. */
        {COPY, 200, "  \n" ERROR_BODY("SlowDown"), HTTP_RETRY, ERROR_UNREACHABLE, "HTTP 200, SlowDown"},
        {COPY, 200, ERROR_BODY("NoSuchKey"), HTTP_DONE, ERROR_NOT_FOUND, "no such object"},
        {COPY, 200, " \n" XML "<CopyObjectResult><ETag>e</ETag></CopyObjectResult>", HTTP_DONE, ERROR_NONE,
         ""},
        {COPY, 200, XML " <CopyObjectResult>", HTTP_RETRY, ERROR_PROTOCOL, "XML"},
        {COPY, 200, XML "<CopyObjectResult></CopyObjectResult>", HTTP_DONE, ERROR_PROTOCOL,
         "like an S3 service"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand;

        hand_begin(&hand, "http://h", "b");
        start(&hand, rows[i].way);
        assert_int_equal(hand_answer(&hand, rows[i].status, "content-type: application/xml\n", rows[i].body),
                         rows[i].verdict);
        hand_done(&hand);
        assert_true(hand.used->done);
        assert_int_equal(hand.used->error.kind, rows[i].kind);
        if (strstr(hand.used->error.text, rows[i].text) == NULL)
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].text, hand.used->error.text);
        if (rows[i].kind != ERROR_NONE && rows[i].kind != ERROR_PROTOCOL)
            assert_int_equal(hand.used->error.status, rows[i].status);
        hand_end(&hand);
    }
}

/* Of a side of a sync an error says which, where its bucket comes from, and where to change what it is about. */
static void test_side_and_cure(void **state)
{
    static const char *const environment[] = {"PROD_STORAGE_BUCKET=b",
                                              "STORSYNC_DESTINATION_ENDPOINT=http://localhost/b",
                                              "AWS_ACCESS_KEY_ID=AKID", "AWS_SECRET_ACCESS_KEY=secret", NULL};
    static const struct {
        int status;
        const char *body;
        const char *text;
    } rows[] = {
        {403, ERROR_BODY("InvalidAccessKeyId"), "belongs to this service (AWS_ACCESS_KEY_ID) (HTTP 403"},
        {403, ERROR_BODY("SignatureDoesNotMatch"), "changes the request (AWS_SECRET_ACCESS_KEY) (HTTP 403"},
        {403, ERROR_BODY("AccessDenied"),
         "the credentials need s3:GetObject and s3:ListBucket; if they have it"},
        {403, ERROR_BODY("AccessDenied"), "(AWS_ACCESS_KEY_ID) (HTTP 403, AccessDenied"},
        {400, XML "<Error><Code>AuthorizationHeaderMalformed</Code><Region>us-east-1</Region></Error>",
         "the service expects another region: set region to us-east-1 (AWS_REGION) (HTTP 400"},
        {404, ERROR_BODY("NoSuchBucket"),
         "check bucket and endpoint (STORSYNC_DESTINATION_ENDPOINT) (HTTP 404"},
        {403, "<html>login</html>",
         "like an S3 service (HTTP 403): check endpoint (STORSYNC_DESTINATION_ENDPOINT)"},
    };
    static const char place[] = "destination b (PROD_STORAGE_BUCKET): reading \"k\": ";
    struct settings settings;
    struct error error;

    (void)state;
    settings_load(&settings, &(struct settings_input){.environ_ = environment}, &error);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand = {.loop = loop_make(), .used = &hand.call};

        hand.store = store_s3_open(&settings.destination, "b", hand.loop, &error);
        assert_non_null(hand.store);
        store_take_side(hand.store, &settings.destination);
        call_init(&hand.call);
        assert_true(pipe_init(&hand.pipe));
        start(&hand, READ);
        hand_answer(&hand, rows[i].status, "x-amz-request-id: tx7\n", rows[i].body);
        hand_done(&hand);
        assert_int_equal(strncmp(hand.call.error.text, place, sizeof place - 1), 0);
        if (strstr(hand.call.error.text, rows[i].text) == NULL)
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].text, hand.call.error.text);
        assert_string_equal(hand.call.error.side, "destination");
        assert_true(hand.call.error.request_id[0] != '\0');
        hand_end(&hand);
    }
    settings_free(&settings);
}

/* Consoles show endpoints with the bucket in them. */
static void test_endpoint_with_the_bucket_in_it(void **state)
{
    static const struct {
        const char *endpoint;
        const char *asked;
    } rows[] = {
        {"https://acc.r2.cloudflarestorage.com/buck", "https://acc.r2.cloudflarestorage.com/buck/k"},
        {"https://buck.s3.eu-west-1.amazonaws.com", "https://s3.eu-west-1.amazonaws.com/buck/k"},
        {"https://buck.nyc3.digitaloceanspaces.com", "https://nyc3.digitaloceanspaces.com/buck/k"},
        /* Their addresses, whatever the bucket is called. */
        {"https://gateway.example.com/buck", "https://gateway.example.com/buck/buck/k"},
        {"https://buck.example.com", "https://buck.example.com/buck/k"},
        {"https://buck.r2.cloudflarestorage.com", "https://buck.r2.cloudflarestorage.com/buck/k"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand;

        hand_begin(&hand, rows[i].endpoint, "buck");
        start(&hand, READ);
        assert_string_equal(buf_str(&hand_request(&hand)->url), rows[i].asked);
        hand_end(&hand);
    }
    struct hand hand;
    hand_begin(&hand, "https://gateway.example.com/buck", "buck");
    start(&hand, LIST);
    hand_answer(&hand, 404, "", ERROR_BODY("NoSuchKey"));
    hand_done(&hand);
    assert_int_equal(hand.used->error.kind, ERROR_CONFIG);
    assert_non_null(strstr(hand.used->error.text, "ends with the name of the bucket: leave that out"));
    hand_end(&hand);
}

static void test_code_is_kept(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    start(&hand, READ);
    hand_answer(&hand, 404, "", ERROR_BODY("NoSuchKey"));
    hand_done(&hand);
    assert_string_equal(hand.call.error.code, "NoSuchKey");
    hand_end(&hand);
}

static void test_not_s3(void **state)
{
    static const struct {
        enum way way;
        int status;
        const char *headers;
        const char *body;
    } rows[] = {
        {LIST, 404, "content-type: text/html\n", "<html><body>Not found<br></html>"},
        {LIST, 404, "", NULL},
        {LIST, 200, "content-type: text/html\n", "<!DOCTYPE html><p>Welcome"},
        {LIST, 200, "content-type: application/json\n", "{}"},
        {LIST, 200, "", NULL},
        {READ, 403, "content-type: text/html\n", "<html>forbidden</html>"},
        {PUT, 200, "content-type: text/html\n", "<html>login</html>"},
        {COPY, 200, "content-type: text/html\n", "<html>login</html>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand;

        hand_begin(&hand, "http://h:81/x", "b");
        start(&hand, rows[i].way);
        assert_int_equal(hand_answer(&hand, rows[i].status, rows[i].headers, rows[i].body), HTTP_DONE);
        hand_done(&hand);
        assert_int_equal(hand.used->error.kind, ERROR_PROTOCOL);
        assert_non_null(strstr(hand.used->error.text, "http://h:81/x does not answer like an S3 service"));
        hand_end(&hand);
    }
}

/* nginx and others answer so before the body is read: the endpoint is right, its limit is too low. */
static void test_body_too_large(void **state)
{
    struct hand hand;

    (void)state;
    hand_begin(&hand, "http://h", "b");
    start(&hand, PUT);
    assert_int_equal(
        hand_answer(&hand, 413, "content-type: text/html\n", "<html>413 Request Entity Too Large</html>"),
        HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.used->error.kind, ERROR_UNSUPPORTED);
    assert_non_null(strstr(hand.used->error.text, "too large for the service, or for a proxy"));
    assert_null(strstr(hand.used->error.text, "check endpoint"));
    hand_end(&hand);
}

/* The action that is missing stands at the end of a long sentence. */
static void test_denied_action(void **state)
{
    static const char *const rows[][2] = {
        {"kms:GenerateDataKey on resource: arn:aws:kms:x", "need kms:GenerateDataKey for the key"},
        {"s3:PutObjectAcl.", "need s3:PutObjectAcl ("},
        {"", "need s3:PutObject;"},
        {"nothing", "need s3:PutObject;"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand;
        char body[1000];

        snprintf(
            body, sizeof body,
            XML
            "<Error><Code>AccessDenied</Code><Message>User: arn:aws:sts::123456789012:assumed-role/%0200d is not authorized to perform: %s</Message></Error>",
            0, rows[i][0]);
        hand_begin(&hand, "http://h", "b");
        start(&hand, PUT);
        assert_int_equal(hand_answer(&hand, 403, "", body), HTTP_DONE);
        hand_done(&hand);
        assert_int_equal(hand.used->error.kind, ERROR_PERMISSION);
        assert_non_null(strstr(hand.used->error.text, rows[i][1]));
        hand_end(&hand);
    }
}

/* Whoever is sent a token may send it back, in any field. */
static void test_secrets_are_not_repeated(void **state)
{
    static const struct {
        int status;
        const char *headers;
        const char *body;
    } rows[] = {
        {403, "",
         XML "<Error><Code>InvalidToken</Code><Message>bad: the-session-token-9876</Message></Error>"},
        {403, "", XML "<Error><Code>the-session-token-9876</Code></Error>"},
        {500, "", XML "<Error><Code>X</Code><RequestId>the-session-token-9876</RequestId></Error>"},
        {301, "location: http://other/?t=session-token-9876\n", NULL},
        {301, "x-amz-bucket-region: the-session-token-9876\n", NULL},
        {301, "", XML "<Error><Code>PermanentRedirect</Code><Endpoint>session-token-9876</Endpoint></Error>"},
        {400, "content-type: the-session-token-9876\n", "no XML"},
        {200, "content-type: the-session-token-9876\n", "no XML"},
        {403, "", XML "<Error><Code>AccessDenied</Code><Message>a-secret-of-ours-1234</Message></Error>"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct hand hand;

        hand_side(&hand, "http://h", "b");
        hand.side.session_token = "the-session-token-9876";
        hand.side.secret_access_key = "a-secret-of-ours-1234";
        hand_open(&hand);
        start(&hand, PUT);
        hand_take_body(&hand, NULL);
        hand_answer(&hand, rows[i].status, rows[i].headers, rows[i].body);
        hand_done(&hand);
        assert_int_not_equal(hand.used->error.kind, ERROR_NONE);
        assert_null(strstr(hand.used->error.text, "token-9876"));
        assert_null(strstr(hand.used->error.code, "token-9876"));
        assert_null(strstr(hand.used->error.text, "ours-1234"));
        hand_end(&hand);
    }
}

static void test_endless_error_body(void **state)
{
    static char block[16384];
    struct hand hand;
    int blocks = 0;

    (void)state;
    memset(block, ' ', sizeof block);
    hand_begin(&hand, "http://h", "b");
    start(&hand, READ);
    hand_answer_head(&hand, 403, "content-type: application/xml\n");
    hand_answer_body(&hand, "<Error>", 7);
    for (; blocks < 1000 && !hand.call.done; blocks++) {
        if (!hand_request(&hand)->done)
            hand_answer_body(&hand, block, sizeof block);
        store_step(&hand.call);
    }
    assert_true(hand.call.done);
    assert_true(blocks < 100);
    assert_int_equal(hand.call.error.kind, ERROR_PROTOCOL);
    hand_end(&hand);
}

/* ---- create-if-absent ---- */

static void expect_create(int status, const char *body, enum http_verdict verdict, enum error_kind kind)
{
    struct hand hand;

    hand_begin(&hand, "http://h", "b");
    start(&hand, CREATE);
    assert_string_equal(hand_header(&hand, "if-none-match"), "*");
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_answer(&hand, status, "etag: \"e\"\n", body), verdict);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, kind);
    hand_end(&hand);
}

static void test_create(void **state)
{
    struct hand hand;

    (void)state;
    expect_create(200, NULL, HTTP_DONE, ERROR_NONE);
    expect_create(412, ERROR_BODY("PreconditionFailed"), HTTP_DONE, ERROR_PRECONDITION);
    expect_create(409, ERROR_BODY("ConditionalRequestConflict"), HTTP_RETRY, ERROR_UNREACHABLE);
    expect_create(503, ERROR_BODY("SlowDown"), HTTP_RETRY, ERROR_UNREACHABLE);
    expect_create(501, ERROR_BODY("NotImplemented"), HTTP_DONE, ERROR_UNSUPPORTED);
    expect_create(400, ERROR_BODY("InvalidArgument"), HTTP_DONE, ERROR_UNSUPPORTED);
    /* It may have happened: another attempt could not tell its own object from somebody else's. */
    expect_create(500, ERROR_BODY("InternalError"), HTTP_DONE, ERROR_UNREACHABLE);
    expect_create(504, NULL, HTTP_DONE, ERROR_UNREACHABLE);

    hand_begin(&hand, "http://h", "b");
    start(&hand, CREATE);
    assert_int_equal(hand_break(&hand), HTTP_RETRY); /* the body was not sent, so it cannot have happened */
    assert_true(hand_attempt(&hand));
    hand_take_body(&hand, NULL);
    assert_int_equal(hand_break(&hand), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_UNREACHABLE);
    hand_end(&hand);
}

/* ---- regions ---- */

static void expect_region_learnt(enum way way, int status, const char *headers, const char *body)
{
    struct hand hand;

    hand_begin(&hand, "", "buck");
    start(&hand, way);
    assert_non_null(strstr(hand_url(&hand), "https://buck.s3.us-east-1.amazonaws.com/"));
    assert_int_equal(hand_answer(&hand, status, headers, body), HTTP_RETRY_NOW);
    assert_true(hand_attempt(&hand));
    assert_non_null(strstr(hand_url(&hand), "https://buck.s3.eu-west-1.amazonaws.com/"));
    assert_non_null(strstr(hand_header(&hand, "authorization"), "/eu-west-1/s3/aws4_request"));
    assert_non_null(strstr(store_url(hand.store), "eu-west-1"));
    hand_end(&hand);
}

static void test_region_of_amazon(void **state)
{
    (void)state;
    expect_region_learnt(LIST, 301, "x-amz-bucket-region: eu-west-1\n", ERROR_BODY("PermanentRedirect"));
    expect_region_learnt(HEAD, 301, "x-amz-bucket-region: eu-west-1\n", NULL);
    expect_region_learnt(HEAD, 400, "x-amz-bucket-region: eu-west-1\n", NULL);
    expect_region_learnt(
        READ, 400, "", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-1</Region></Error>");
    expect_region_learnt(
        READ, 307, "location: https://evil.example/\n",
        "<Error><Code>TemporaryRedirect</Code><Endpoint>buck.s3-eu-west-1.amazonaws.com</Endpoint></Error>");
    expect_region_learnt(
        READ, 301, "",
        "<Error><Code>PermanentRedirect</Code><Endpoint>s3.eu-west-1.amazonaws.com</Endpoint></Error>");
}

static void expect_region_refused(const char *endpoint, int status, const char *headers, const char *body,
                                  const char *text)
{
    struct hand hand;

    hand_begin(&hand, endpoint, "buck");
    start(&hand, READ);
    assert_int_equal(hand_answer(&hand, status, headers, body), HTTP_DONE);
    hand_done(&hand);
    assert_int_equal(hand.call.error.kind, ERROR_CONFIG);
    assert_non_null(strstr(hand.call.error.text, text));
    hand_end(&hand);
}

static void test_region_is_not_a_way_out(void **state)
{
    struct hand hand;

    (void)state;
    /* The answer cannot choose a host. */
    expect_region_refused("", 301, "x-amz-bucket-region: a.evil.example/\n", ERROR_BODY("PermanentRedirect"),
                          "a.evil.example");
    expect_region_refused("", 307, "location: https://evil.example/\n",
                          "<Error><Code>TemporaryRedirect</Code><Endpoint>evil.example</Endpoint></Error>",
                          "set endpoint");
    expect_region_refused("http://h", 301, "x-amz-bucket-region: eu-west-1\n",
                          ERROR_BODY("PermanentRedirect"), "set region and endpoint");
    expect_region_refused("http://h", 308, "location: https://h/b/k\n", NULL, "redirects to https://h/b/k");
    /* Elsewhere only the signature follows. */
    hand_begin(&hand, "http://h", "b");
    start(&hand, READ);
    assert_int_equal(
        hand_answer(&hand, 400, "",
                    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>here</Region></Error>"),
        HTTP_RETRY_NOW);
    assert_true(hand_attempt(&hand));
    assert_string_equal(hand_url(&hand), "http://h/b/k");
    assert_non_null(strstr(hand_header(&hand, "authorization"), "/here/s3/aws4_request"));
    /* The same answer to that would be no news. */
    assert_int_equal(
        hand_answer(&hand, 400, "",
                    "<Error><Code>AuthorizationHeaderMalformed</Code><Region>here</Region></Error>"),
        HTTP_DONE);
    hand_end(&hand);
}

/* ---- clocks ---- */

static int64_t now(void)
{
    return clock_wall();
}

/* The time of the request's signature. */
static int64_t signed_at(struct hand *hand)
{
    const char *stamp = hand_header(hand, "x-amz-date");
    char text[32];

    snprintf(text, sizeof text, "%.4s-%.2s-%.2sT%.2s:%.2s:%.2sZ", stamp, stamp + 4, stamp + 6, stamp + 9,
             stamp + 11, stamp + 13);
    return clock_parse_rfc3339(text);
}

static void expect_clock_learnt(enum way way, const char *code, bool in_body)
{
    static const int64_t apart = INT64_C(-7200) * 1000;
    char time[CLOCK_RFC3339_SIZE], body[400] = "", header[100] = "";
    struct hand hand;

    if (in_body) {
        clock_format_rfc3339(now() + apart, time);
        snprintf(body, sizeof body, "<Error><Code>%s</Code><ServerTime>%s</ServerTime></Error>", code, time);
    } else {
        snprintf(header, sizeof header, "date: Sun, 06 Nov 1994 08:49:37 GMT\n");
    }
    hand_begin(&hand, "http://h", "b");
    start(&hand, way);
    assert_int_equal(hand_answer(&hand, 403, header, in_body ? body : NULL), HTTP_RETRY_NOW);
    assert_true(hand_attempt(&hand));
    if (in_body)
        assert_true(llabs(signed_at(&hand) - (now() + apart)) < INT64_C(60) * 1000);
    else
        assert_true(llabs(signed_at(&hand) - INT64_C(784111777000)) < INT64_C(60) * 1000);
    /* Once is enough: if that did not help, it is not the clock. */
    assert_int_equal(hand_answer(&hand, 403, "date: Sun, 06 Nov 1994 08:49:37 GMT\n", in_body ? body : NULL),
                     HTTP_DONE);
    hand_end(&hand);
}

static void test_clock(void **state)
{
    struct hand hand;

    (void)state;
    expect_clock_learnt(READ, "RequestTimeTooSkewed", true);
    expect_clock_learnt(HEAD, "", false);
    /* A refusal by a service with the same time is not about the clock. */
    hand_begin(&hand, "http://h", "b");
    start(&hand, HEAD);
    assert_int_equal(hand_answer(&hand, 403, "", NULL), HTTP_DONE);
    hand_end(&hand);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_side_and_cure),
        cmocka_unit_test(test_endpoint_with_the_bucket_in_it),
        cmocka_unit_test(test_code_is_kept),
        cmocka_unit_test(test_not_s3),
        cmocka_unit_test(test_body_too_large),
        cmocka_unit_test(test_denied_action),
        cmocka_unit_test(test_secrets_are_not_repeated),
        cmocka_unit_test(test_endless_error_body),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_region_of_amazon),
        cmocka_unit_test(test_region_is_not_a_way_out),
        cmocka_unit_test(test_clock),
    };

    log_setup(LOG_TEXT, LOG_ERROR, false); /* what is learnt is told as info and warning */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
