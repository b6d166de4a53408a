/* Known answers: the four examples of "Signature Calculations for the Authorization Header" (Amazon S3 API
 * Reference), and cases of AWS's published test suite for Signature Version 4. */
#include "hash.h"
#include "sigv4.h"

#include "clock.h"
#include "uri.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key s3_key = {"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
                                        "us-east-1", "s3", NULL};
static const struct sigv4_key suite_key = {"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                           "us-east-1", "service", NULL};

static void expect_s3(const char *method, const char *path, const char *query,
                      const struct sigv4_header *headers, size_t count, const char *hash,
                      const char *expected)
{
    struct sigv4_request request = {method, path, query, headers, count, hash};
    struct buf out;

    buf_init(&out, 4096);
    assert_true(sigv4_authorization(&request, &s3_key, clock_parse_rfc3339("2013-05-24T00:00:00Z"), &out));
    assert_string_equal(buf_str(&out), expected);
    buf_free(&out);
}

#define S3_AUTHORIZATION                                                                                     \
    "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "

static void s3_get_object(void **state)
{
    static const struct sigv4_header headers[] = {
        {"host", "examplebucket.s3.amazonaws.com"},
        {"range", "bytes=0-9"},
        {"x-amz-content-sha256", EMPTY_HASH},
        {"x-amz-date", "20130524T000000Z"},
    };

    (void)state;
    expect_s3(
        "GET", "/test.txt", "", headers, COUNT(headers), EMPTY_HASH,
        S3_AUTHORIZATION
        "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
}

static void s3_put_object(void **state)
{
    static const char body[] = "Welcome to Amazon S3.";
    char hash[HASH_SIZE];
    const struct sigv4_header headers[] = {
        {"date", "Fri, 24 May 2013 00:00:00 GMT"},
        {"host", "examplebucket.s3.amazonaws.com"},
        {"x-amz-content-sha256", hash},
        {"x-amz-date", "20130524T000000Z"},
        {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
    };
    struct buf path;

    (void)state;
    hash_sha256(body, strlen(body), hash);
    assert_string_equal(hash, "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
    buf_init(&path, 100);
    assert_true(uri_encode(&path, "/test$file.text", "/"));
    expect_s3(
        "PUT", buf_str(&path), "", headers, COUNT(headers), hash,
        S3_AUTHORIZATION
        "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    buf_free(&path);
}

static const struct sigv4_header s3_plain_headers[] = {
    {"host", "examplebucket.s3.amazonaws.com"},
    {"x-amz-content-sha256", EMPTY_HASH},
    {"x-amz-date", "20130524T000000Z"},
};

static void s3_get_lifecycle(void **state)
{
    (void)state;
    expect_s3(
        "GET", "/", "lifecycle=", s3_plain_headers, COUNT(s3_plain_headers), EMPTY_HASH,
        S3_AUTHORIZATION
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
}

static void s3_list_objects(void **state)
{
    (void)state;
    expect_s3(
        "GET", "/", "max-keys=2&prefix=J", s3_plain_headers, COUNT(s3_plain_headers), EMPTY_HASH,
        S3_AUTHORIZATION
        "SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

/* A request of the test suite: a host, up to two more headers, and what its signature is. */
struct suite_case {
    const char *name;
    const char *method, *path, *query;
    struct sigv4_header before_date[2];
    const char *token;
    const char *signature;
};

#define HOST "example.amazonaws.com"
#define UNRESERVED "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define LONG_TOKEN                                                                                           \
    "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmx"               \
    "fpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0K"               \
    "PkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZb"               \
    "qBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA=="

static const struct suite_case suite[] = {
    {.name = "get-vanilla", .signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
    {.name = "get-vanilla-query-order-key-case",
     .query = "Param1=value1&Param2=value2",
     .signature = "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
    {.name = "get-vanilla-query-order-value",
     .query = "Param1=value1&Param1=value2",
     .signature = "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
    {.name = "get-vanilla-query-order-encoded",
     .query = "%E1%88%B4=Value1&Param=Value2&Param-3=Value3",
     .signature = "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac"},
    {.name = "get-vanilla-query-unreserved",
     .query = UNRESERVED "=" UNRESERVED,
     .signature = "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
    {.name = "get-unreserved",
     .path = "/" UNRESERVED,
     .signature = "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
    {.name = "get-utf8",
     .path = "/\xE1\x88\xB4",
     .signature = "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
    {.name = "get-header-value-trim",
     .before_date = {{"my-header1", " value1"}, {"my-header2", " \"a   b   c\""}},
     .signature = "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
    {.name = "post-vanilla",
     .method = "POST",
     .signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
    {.name = "post-header-key-sort",
     .method = "POST",
     .before_date = {{"my-header1", "value1"}},
     .signature = "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
    {.name = "post-header-value-case",
     .method = "POST",
     .before_date = {{"my-header1", "VALUE1"}},
     .signature = "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d"},
    {.name = "get-vanilla-with-session-token",
     .token = "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267",
     .signature = "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8"},
    {.name = "post-sts-header-before",
     .method = "POST",
     .token = LONG_TOKEN,
     .signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead"},
};

static void expect_suite(const struct suite_case *each)
{
    struct sigv4_header headers[5];
    struct sigv4_request request = {.headers = headers};
    struct buf path, out;
    const char *signature;

    headers[request.header_count++] = (struct sigv4_header){"host", HOST};
    for (size_t i = 0; i < 2 && each->before_date[i].name != NULL; i++)
        headers[request.header_count++] = each->before_date[i];
    headers[request.header_count++] = (struct sigv4_header){"x-amz-date", "20150830T123600Z"};
    if (each->token != NULL)
        headers[request.header_count++] = (struct sigv4_header){"x-amz-security-token", each->token};

    buf_init(&path, 1024);
    buf_init(&out, 1024);
    assert_true(uri_encode(&path, each->path != NULL ? each->path : "/", "/"));
    request.method = each->method != NULL ? each->method : "GET";
    request.path = buf_str(&path);
    request.query = each->query != NULL ? each->query : "";
    request.payload_hash = EMPTY_HASH;
    assert_true(sigv4_authorization(&request, &suite_key, clock_parse_rfc3339("2015-08-30T12:36:00Z"), &out));
    signature = strstr(buf_str(&out), "Signature=");
    assert_non_null(signature);
    if (strcmp(signature + strlen("Signature="), each->signature) != 0)
        fail_msg("%s: %s", each->name, buf_str(&out));
    buf_free(&path);
    buf_free(&out);
}

static void cases_of_the_test_suite(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(suite); i++)
        expect_suite(&suite[i]);
}

static void white_space_in_header_values(void **state)
{
    static const struct sigv4_header headers[] = {
        {"a", ""},
        {"b", " \t "},
        {"c", "\t one  two \t\r\n three "},
        {"d", "caf\xC3\xA9"},
    };
    struct sigv4_request request = {"PUT", "/b/k", "x=", headers, COUNT(headers), SIGV4_UNSIGNED};
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    assert_true(sigv4_canonical_request(&request, &out));
    assert_string_equal(buf_str(&out), "PUT\n/b/k\nx=\na:\nb:\nc:one two three\nd:caf\xC3\xA9\n\na;b;c;d\n"
                                       "UNSIGNED-PAYLOAD");
    buf_free(&out);
}

static void hashes(void **state)
{
    char hash[HASH_SIZE];

    (void)state;
    hash_sha256("", 0, hash);
    assert_string_equal(hash, EMPTY_HASH);
    hash_sha256("abc", 3, hash); /* FIPS 180-2, B.1 */
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static char *letters(size_t len)
{
    char *text = malloc(len + 1);

    assert_non_null(text);
    memset(text, 'x', len);
    text[len] = '\0';
    return text;
}

/* What is kept from one call must not show in another with another day, region or service. */
static void a_kept_key_gives_the_same_signatures(void **state)
{
    static const int64_t days[] = {INT64_C(1369353600000), INT64_C(1369353600000), INT64_C(1440938160000)};
    static const char *const regions[] = {"us-east-1", "eu-central-1"};
    struct sigv4_request request = {"GET", "/", "", s3_plain_headers, COUNT(s3_plain_headers), EMPTY_HASH};
    struct sigv4_derived derived = {.scope = ""};
    struct buf plain;
    struct buf kept;

    (void)state;
    buf_init(&plain, 4096);
    buf_init(&kept, 4096);
    for (size_t i = 0; i < 2 * COUNT(days) * COUNT(regions); i++) {
        struct sigv4_key key = s3_key;

        key.region = regions[i / 2 % COUNT(regions)];
        assert_true(sigv4_authorization(&request, &key, days[i % COUNT(days)], &plain));
        key.derived = &derived;
        assert_true(sigv4_authorization(&request, &key, days[i % COUNT(days)], &kept));
        assert_string_equal(buf_str(&plain), buf_str(&kept));
        assert_true(derived.scope[0] != '\0');
        buf_clear(&plain);
        buf_clear(&kept);
    }
    buf_free(&plain);
    buf_free(&kept);
}

static void what_does_not_fit_is_an_error(void **state)
{
    struct sigv4_request request = {"GET", "/", "", s3_plain_headers, COUNT(s3_plain_headers), EMPTY_HASH};
    struct sigv4_key key = s3_key;
    char *long_text = letters(70000);
    struct buf out;

    (void)state;
    buf_init(&out, 1024);
    request.path = long_text;
    assert_false(sigv4_authorization(&request, &key, 0, &out));
    request.path = "/";
    key.secret_access_key = long_text;
    assert_false(sigv4_authorization(&request, &key, 0, &out));
    key.secret_access_key = long_text + 70000 - 4000;
    assert_true(sigv4_authorization(&request, &key, 0, &out));
    key.access_key_id = long_text;
    assert_false(sigv4_authorization(&request, &key, 0, &out));
    buf_free(&out);

    buf_init(&out, 100); /* less than any value of the header */
    assert_false(sigv4_authorization(&request, &s3_key, 0, &out));
    buf_free(&out);
    free(long_text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(s3_get_object),
        cmocka_unit_test(s3_put_object),
        cmocka_unit_test(s3_get_lifecycle),
        cmocka_unit_test(s3_list_objects),
        cmocka_unit_test(cases_of_the_test_suite),
        cmocka_unit_test(white_space_in_header_values),
        cmocka_unit_test(hashes),
        cmocka_unit_test(a_kept_key_gives_the_same_signatures),
        cmocka_unit_test(what_does_not_fit_is_an_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
