/* What follows from a key file: signatures, and the requests of each type. */
#include "gcp_fixture.h"
#include "hash.h"

#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define TOKEN(token_) OK "{\"access_token\":\"" token_ "\",\"expires_in\":3600}"
#define REFUSAL(status_, code_, text_)                                                                       \
    HEAD_OF(status_) "{\"error\":\"" code_ "\",\"error_description\":\"" text_ "\"}"

/* A file in which %s is where the service is. */
static void open_file(struct gcp_fixture *f, const struct act *script, const char *format)
{
    char text[4096];
    const char *hole = strstr(format, "%s");

    serve(&f->base, script);
    if (hole == NULL)
        snprintf(text, sizeof text, "%s", format);
    else
        snprintf(text, sizeof text, "%.*s%s%s", (int)(hole - format), format, f->base.url, hole + 2);
    put_key_file(f, text);
    if (!open_gcp(f))
        print_error("%s\n", f->base.error.text);
    assert_non_null(f->gcp);
    f->gcp->token_url = f->base.url;
}

/* ---- signatures ---- */

/* RFC 7515, appendix A.2. */
static void test_rs256(void **state)
{
    static const char input[] = "eyJhbGciOiJSUzI1NiJ9."
                                "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
                                "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    static const char expected[] = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7"
                                   "AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4"
                                   "BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K"
                                   "0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv"
                                   "hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrB"
                                   "p0igcN_IoypGlUPQGe77Rw";
    unsigned char signature[GCP_SIGNATURE_MAX];
    struct buf text;
    yyjson_doc *doc;
    struct error error;
    const char *pem;

    (void)state;
    doc = json_parse("{\"k\":\"" GCP_TEST_KEY "\"}", sizeof "{\"k\":\"" GCP_TEST_KEY "\"}" - 1, &error);
    assert_non_null(doc);
    pem = json_text(yyjson_doc_get_root(doc), "k", "");
    assert_int_equal(gcp_rs256(pem, input, strlen(input), signature), 256);
    buf_init(&text, 1024);
    assert_true(hash_base64(&text, signature, 256, true));
    assert_string_equal(buf_str(&text), expected);
    buf_free(&text);
    assert_int_equal(gcp_rs256("", input, strlen(input), signature), 0);
    assert_int_equal(gcp_rs256("-----BEGIN PRIVATE KEY-----\nAAAA\n", input, strlen(input), signature), 0);
    gcp_wipe(doc);
}

/* Is this on the stack, where functions that were called before had their variables? */
static __attribute__((noinline)) bool is_left_over(const unsigned char *what, size_t len)
{
    unsigned char room[32 * 1024];

    __asm__ volatile("" : "=m"(room)); /* what is in it, is in it */
    return memmem(room, sizeof room, what, len) != NULL;
}

/* How the first prime begins in DER; and the second one as the numbers of 31 bits that BearSSL makes of it, the last one
 * first. */
static void test_nothing_of_the_key_is_left(void **state)
{
    static const unsigned char der[] = {0xe0, 0x1c, 0xc4, 0x10, 0xeb, 0x48, 0xa6, 0x65};
    static const unsigned char words[] = {0xd7, 0x59, 0x51, 0x3f, 0x26, 0x06, 0x24, 0x61};
    static const char text[] = "{\"k\":\"" GCP_TEST_KEY "\"}";
    unsigned char signature[GCP_SIGNATURE_MAX];
    struct error error;
    yyjson_doc *doc;

    (void)state;
    doc = json_parse(text, sizeof text - 1, &error);
    assert_non_null(doc);
    assert_int_equal(gcp_rs256(json_text(yyjson_doc_get_root(doc), "k", ""), "x", 1, signature), 256);
    assert_false(is_left_over(der, sizeof der));
    assert_int_equal(gcp_rs256(json_text(yyjson_doc_get_root(doc), "k", ""), "x", 1, signature), 256);
    assert_false(is_left_over(words, sizeof words));
    gcp_wipe(doc);
}

/* RFC 4648, section 10, and what section 5 has other digits for. */
static void test_base64(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } rows[] = {
        {"", ""},
        {"f", "Zg=="},
        {"fo", "Zm8="},
        {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="},
        {"fooba", "Zm9vYmE="},
        {"foobar", "Zm9vYmFy"},
        {"\xfb\xff\xbf", "+/+/"},
    };
    struct buf out;

    (void)state;
    buf_init(&out, 64);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buf_clear(&out);
        hash_base64(&out, rows[i].in, strlen(rows[i].in), false);
        assert_string_equal(buf_str(&out), rows[i].out);
    }
    buf_clear(&out);
    hash_base64(&out, "\xfb\xff\xbf\xfb", 4, true);
    assert_string_equal(buf_str(&out), "-_-_-w");
    buf_free(&out);
}

/* ---- a service account ---- */

#define ACCOUNT                                                                                                 \
    "{\"type\":\"service_account\",\"client_email\":\"a@p.iam.gserviceaccount.com\",\"private_key_id\":\"k1\"," \
    "\"private_key\":\"" GCP_TEST_KEY "\",\"token_uri\":\"%s/token\"}"

/* The claims of the JWT that begins there, decoded by hand. */
static void assert_claims(const char *jwt, const char *part)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *at = strchr(jwt, '.') + 1;
    char claims[1024];
    unsigned bits = 0, have = 0;
    size_t len = 0;

    for (; *at != '.'; at++) {
        const char *digit = strchr(digits, *at);

        assert_non_null(digit);
        bits = bits << 6 | (unsigned)(digit - digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            assert_true(len < sizeof claims - 1);
            claims[len++] = (char)(bits >> have);
        }
    }
    claims[len] = '\0';
    if (strstr(claims, part) == NULL)
        print_error("%s\n", claims);
    assert_non_null(strstr(claims, part));
}

/* Without a request, until that token is refused. */
static void test_service_account(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(TOKEN("ya29.exchanged")));
    struct gcp_fixture *f = *state;

    open_file(f, script, ACCOUNT);
    assert_non_null(ask_bearer(f));
    assert_int_equal(f->base.server.connections, 0);
    assert_memory_equal(f->bearer, "Bearer eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImsxIn0.", 58);
    assert_claims(
        f->bearer,
        "{\"iss\":\"a@p.iam.gserviceaccount.com\",\"sub\":\"a@p.iam.gserviceaccount.com\",\"scope\":"
        "\"https://www.googleapis.com/auth/cloud-platform\",\"iat\":");
    assert_true(gcp_expired(f->gcp, 1));
    assert_bearer(f, "Bearer ya29.exchanged", 2);
    assert_seen(f, "POST /token HTTP/1.1\r\n");
    assert_seen(f, "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=eyJ");
    assert_claims(strstr(buf_str(&f->base.server.seen), "assertion="), "/token\",\"iat\":");
}

/* The answer's Date is days from ours: the next JWT is by that clock. What is refused is not quoted. */
static void test_service_account_clock(void **state)
{
    static const struct act script[] = SCRIPT(
        ANSWER(REFUSAL("400 Bad Request", "invalid_grant", "Invalid JWT: it must be a short-lived token")),
        ANSWER(REFUSAL("400 Bad Request", "invalid_grant", "Invalid JWT signature")));
    struct gcp_fixture *f = *state;
    char issued[40];

    open_file(f, script, ACCOUNT);
    assert_non_null(ask_bearer(f));
    assert_true(gcp_expired(f->gcp, 1));
    assert_no_bearer(
        f, ERROR_CREDENTIALS,
        "key.json (service_account): the key of the service account is not accepted: is it deleted, or the "
        "account? (HTTP 400, invalid_grant: Invalid JWT signature)");
    snprintf(issued, sizeof issued, "\"iat\":%lld",
             (long long)clock_parse_rfc3339("2026-11-22T18:00:00Z") / 100000);
    assert_claims(strstr(strstr(buf_str(&f->base.server.seen), "assertion=") + 1, "assertion="), issued);
}

/* ---- a user ---- */

#define USER                                                                                                 \
    "{\"type\":\"authorized_user\",\"client_id\":\"id.apps\",\"client_secret\":\"s3cr3t-of-some-length\","   \
    "\"refresh_token\":\"1//refresh-of-some-length\"}"

static void test_user(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(REFUSAL("400 Bad Request", "internal_failure", "")), ANSWER(TOKEN("ya29.user")));
    struct gcp_fixture *f = *state;

    open_file(f, script, USER);
    assert_bearer(f, "Bearer ya29.user", 1);
    assert_seen(f, "grant_type=refresh_token&client_id=id.apps&client_secret=s3cr3t-of-some-length&"
                   "refresh_token=1%2F%2Frefresh-of-some-length");
}

/* Whom another provider knows: the client shows itself in a header. */
static void test_external_user(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(TOKEN("ya29.user")));
    struct gcp_fixture *f = *state;

    open_file(f, script,
              "{\"type\":\"external_account_authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\","
              "\"refresh_token\":\"1//r\",\"token_url\":\"%s/oauthtoken\"}");
    assert_bearer(f, "Bearer ya29.user", 1);
    assert_seen(f, "POST /oauthtoken HTTP/1.1\r\n");
    assert_seen(f, "authorization: Basic Yzpz\r\n");
    assert_seen(f, "\r\n\r\ngrant_type=refresh_token&refresh_token=1%2F%2Fr");
    assert_null(strstr(buf_str(&f->base.server.seen), "client_secret"));
}

static void test_user_is_not_quoted(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(REFUSAL("400 Bad Request", "invalid_grant", "Bad token 1//refresh-of-some-length")));
    struct gcp_fixture *f = *state;

    open_file(f, script, USER);
    assert_no_bearer(f, ERROR_CREDENTIALS,
                     "the login is over: log in again with gcloud auth application-default login (HTTP 400, "
                     "invalid_grant)");
    assert_null(strstr(f->base.error.text, "refresh-of"));
}

/* ---- somebody whom another provider knows ---- */

#define EXTERNAL(source_, more_)                                                                                \
    "{\"type\":\"external_account\",\"audience\":\"//iam.googleapis.com/projects/1/x\",\"subject_token_type\":" \
    "\"urn:ietf:params:oauth:token-type:jwt\",\"token_url\":\""                                                 \
    "%s"                                                                                                        \
    "/sts\",\"credential_source\":" source_ more_ "}"

static void test_external_file(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(TOKEN("ya29.sts")));
    struct gcp_fixture *f = *state;
    char text[1024];

    put_token(&f->base, "ey.first.token\n");
    snprintf(text, sizeof text, EXTERNAL("{\"file\":\"%s\"}", ",\"client_id\":\"c\",\"client_secret\":\"s\""),
             "%s", f->base.token);
    open_file(f, script, text);
    assert_bearer(f, "Bearer ya29.sts", 1);
    assert_seen(f, "POST /sts HTTP/1.1\r\n");
    assert_seen(f, "authorization: Basic Yzpz\r\n");
    assert_seen(
        f,
        "&audience=%2F%2Fiam.googleapis.com%2Fprojects%2F1%2Fx&scope=https%3A%2F%2Fwww.googleapis.com%2Fauth%2F"
        "cloud-platform&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&"
        "subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Ajwt&subject_token=ey.first.token");
    assert_null(strstr(buf_str(&f->base.server.seen), "%0A"));
}

/* Before anything is asked. */
static void test_external_file_is_gone(void **state)
{
    struct gcp_fixture *f = *state;

    put_key_file(
        f, "{\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\",\"token_url\":"
           "\"https://127.0.0.1:9/\",\"credential_source\":{\"file\":\"/nowhere/token\"}}");
    assert_true(open_gcp(f));
    assert_no_bearer(f, ERROR_CREDENTIALS, "key.json (external_account): cannot open /nowhere/token");
}

/* A URL with its headers, JSON around the token, and then a service account in whose name. */
static void test_external_url(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(OK "{\"value\":\"ey.from.azure\"}"), ANSWER(TOKEN("ya29.sts-of-some-length")),
               ANSWER(OK "{\"accessToken\":\"ya29.account\",\"expireTime\":\"2099-01-01T00:00:00Z\"}"));
    struct gcp_fixture *f = *state;
    char text[1024], service[64];

    serve(&f->base, script);
    snprintf(service, sizeof service, "%s", f->base.url);
    snprintf(
        text, sizeof text,
        EXTERNAL(
            "{\"url\":\"%s/subject?x=1\",\"headers\":{\"Metadata\":\"True\"},\"format\":{\"type\":\"json\","
            "\"subject_token_field_name\":\"value\"}}",
            ",\"service_account_impersonation_url\":\"%s/a:generateAccessToken\","
            "\"service_account_impersonation\":{\"token_lifetime_seconds\":600}"),
        service, service, service);
    put_key_file(f, text);
    assert_true(open_gcp(f));
    assert_bearer(f, "Bearer ya29.account", 1);
    assert_seen(f, "GET /subject?x=1 HTTP/1.1\r\n");
    assert_seen(f, "Metadata: True\r\n");
    assert_seen(f, "&subject_token=ey.from.azure");
    assert_seen(f, "POST /a:generateAccessToken HTTP/1.1\r\n");
    assert_seen(f, "authorization: Bearer ya29.sts-of-some-length\r\n");
    assert_seen(f, "{\"scope\":[\"https://www.googleapis.com/auth/cloud-platform\"],\"lifetime\":\"600s\"}");
}

#define AWS EXTERNAL("{\"environment_id\":\"aws1\",\"url\":\"http://10.0.0.1/not-asked\"}", "")

/* The key of the environment, which signs for a region's STS. */
static void test_external_aws(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(TOKEN("ya29.sts")));
    struct gcp_fixture *f = *state;

    f->base.side.access_key_id = "AKIATEST";
    f->base.side.secret_access_key = "a-secret-of-some-length";
    f->base.side.session_token = "a/session";
    f->base.side.region = "eu-west-1";
    open_file(f, script, AWS);
    assert_bearer(f, "Bearer ya29.sts", 1);
    assert_seen(
        f, "&subject_token=%257B%2522url%2522%253A%2522https%253A%252F%252Fsts.eu-west-1.amazonaws.com%252F"
           "%253FAction%253DGetCallerIdentity%2526Version%253D2011-06-15%2522%252C%2522method%2522%253A%2522"
           "POST%2522%252C%2522headers%2522%253A%255B%257B%2522key%2522%253A%2522host%2522%252C%2522value");
    assert_seen(f, "Credential%253DAKIATEST%252F");
    assert_seen(f, "%252Feu-west-1%252Fsts%252Faws4_request");
    assert_seen(
        f, "SignedHeaders%253Dhost%253Bx-amz-date%253Bx-amz-security-token%253Bx-goog-cloud-target-resource");
    assert_null(strstr(buf_str(&f->base.server.seen), "a-secret"));
    assert_string_equal(f->gcp->creds->now.access_key_id, "");
}

static void test_external_aws_bad_audience(void **state)
{
    struct gcp_fixture *f = *state;

    f->base.side.access_key_id = "AKIATEST";
    f->base.side.secret_access_key = "secret";
    put_key_file(
        f, "{\"type\":\"external_account\",\"audience\":\"a\\\"b\",\"subject_token_type\":\"t\","
           "\"token_url\":\"https://127.0.0.1:9/\",\"credential_source\":{\"environment_id\":\"aws1\"}}");
    assert_true(open_gcp(f));
    assert_no_bearer(f, ERROR_CREDENTIALS, "audience or key cannot stand in a signed request");
}

/* An instance's role, and the region that the instance is in. */
static void test_external_aws_instance(void **state)
{
    static const struct act script[] = SCRIPT(
        ANSWER(OK "metadata-token"), ANSWER(OK "my-role"),
        ANSWER(OK "{\"Code\":\"Success\",\"AccessKeyId\":\"ASIAROLE\",\"SecretAccessKey\":\"s\",\"Token\":"
                  "\"session\",\"Expiration\":\"2099-01-01T00:00:00Z\"}"),
        ANSWER(OK "ap-south-2"), ANSWER(TOKEN("ya29.sts")));
    struct gcp_fixture *f = *state;
    char text[1024];

    serve(&f->base, script);
    setenv("AWS_EC2_METADATA_DISABLED", "false", 1);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f->base.url, 1);
    snprintf(text, sizeof text, AWS, f->base.url);
    put_key_file(f, text);
    assert_true(open_gcp(f));
    assert_bearer(f, "Bearer ya29.sts", 1);
    assert_seen(f, "GET /latest/meta-data/placement/region HTTP/1.1\r\n");
    assert_seen(f, "Credential%253DASIAROLE%252F");
    assert_seen(f, "%252F%252Fsts.ap-south-2.amazonaws.com%252F");
    assert_seen(f, "%2522x-amz-security-token%2522%252C%2522value%2522%253A%2522session%2522");
    assert_int_equal(f->gcp->creds->step_count, 5);
}

/* ---- in the name of a service account ---- */

static void test_impersonated(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(TOKEN("ya29.user-of-some-length")),
               ANSWER(HEAD_OF(
                   "403 Forbidden") "{\"error\":{\"code\":403,\"status\":\"PERMISSION_DENIED\",\"message\":"
                                    "\"Permission iam.serviceAccounts.getAccessToken denied\"}}"));
    struct gcp_fixture *f = *state;

    open_file(f, script,
              "{\"type\":\"impersonated_service_account\",\"delegates\":[\"d\"],\"source_credentials\":" USER
              ",\"service_account_impersonation_url\":\"%s/a:generateAccessToken\"}");
    assert_no_bearer(
        f, ERROR_CREDENTIALS,
        "the service account may not be impersonated: give the role roles/iam.serviceAccountTokenCreator on "
        "it (HTTP 403, PERMISSION_DENIED: Permission iam");
    assert_seen(f, "\"lifetime\":\"3600s\",\"delegates\":[\"d\"]}");
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, gcp_set_up, gcp_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rs256),
        cmocka_unit_test(test_nothing_of_the_key_is_left),
        cmocka_unit_test(test_base64),
        TEST(test_service_account),
        TEST(test_service_account_clock),
        TEST(test_user),
        TEST(test_user_is_not_quoted),
        TEST(test_external_file),
        TEST(test_external_file_is_gone),
        TEST(test_external_url),
        TEST(test_external_user),
        TEST(test_external_aws),
        TEST(test_external_aws_bad_audience),
        TEST(test_external_aws_instance),
        TEST(test_impersonated),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
