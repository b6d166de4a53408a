/* Bearer tokens: which source gives them, what it is asked, and how long they live. */
#include "gcp_fixture.h"

#define JSON_HEAD(status_) "HTTP/1.1 " status_ "\r\nConnection: close\r\n\r\n"
#define TOKEN(token_, life_)                                                                                 \
    JSON_HEAD("200 OK")                                                                                      \
    "{\"access_token\":\"" token_ "\",\"expires_in\":" life_ ",\"token_type\":\"Bearer\"}"
#define CREDENTIAL(token_) JSON_HEAD("200 OK") "{\"access_token\":\"" token_ "\"}"
#define FROM_GOOGLE(status_, body_)                                                                          \
    "HTTP/1.1 " status_ "\r\nMetadata-Flavor: Google\r\nConnection: close\r\n\r\n" body_

#define NO_JWT "eyJhbGciOiJub25lIn0.e30."

/* ---- which source ---- */

static void test_emulator(void **state)
{
    struct gcp_fixture *f = *state;

    setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere", 1); /* not looked at */
    setenv("STORAGE_EMULATOR_HOST", "localhost:4443", 1);
    assert_true(open_gcp(f));
    assert_true(gcp_anonymous(f->gcp));
    assert_string_equal(gcp_endpoint(f->gcp), "http://localhost:4443");
    assert_bearer(f, "", 0);
    assert_false(gcp_expired(f->gcp, 0));
    assert_false(gcp_quoted(f->gcp, "a text that is long enough"));
    assert_string_equal(gcp_source(f->gcp), "");
    setenv("STORAGE_EMULATOR_HOST", "https://emulator.example/x", 1);
    assert_true(open_gcp(f));
    assert_string_equal(gcp_endpoint(f->gcp), "https://emulator.example/x");
}

static void test_nothing(void **state)
{
    struct gcp_fixture *f = *state;

    setenv("NO_GCE_CHECK", "true", 1);
    assert_false(open_gcp(f));
    assert_int_equal(f->base.error.kind, ERROR_CREDENTIALS);
    assert_non_null(strstr(f->base.error.text, "no credentials for Google Cloud Storage: set GOOGLE_"));
}

/* Each one hides those after it, and one that is broken is no reason to go on. */
static void test_order(void **state)
{
    struct gcp_fixture *f = *state;
    char expected[200];

    assert_true(open_gcp(f));
    assert_string_equal(gcp_source(f->gcp), "Google's metadata server");
    assert_string_equal(gcp_endpoint(f->gcp), "https://storage.googleapis.com");
    assert_false(gcp_anonymous(f->gcp));
    setenv("REPL_ID", "r", 1); /* as in apps that have moved elsewhere */
    assert_true(open_gcp(f));
    assert_string_equal(gcp_source(f->gcp), "Google's metadata server");
    assert_false(gcp_of_replit(f->gcp));
    setenv("REPL_OWNER", "o", 1);
    assert_true(open_gcp(f));
    assert_string_equal(gcp_source(f->gcp), "Replit's sidecar");
    assert_true(gcp_of_replit(f->gcp));
    assert_true(tempdir_file(f->base.dir, ".config/gcloud/application_default_credentials.json", "{"));
    assert_gcp_refused(f, "application_default_credentials.json: not JSON");
    assert_true(tempdir_file(f->base.dir, "cloud/application_default_credentials.json",
                             "{\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\","
                             "\"refresh_token\":\"r\",\"quota_project_id\":\"p-1\"}"));
    setenv("CLOUDSDK_CONFIG", tempdir_path(f->base.dir, "cloud"), 1);
    assert_true(open_gcp(f));
    snprintf(expected, sizeof expected, "%s/cloud/application_default_credentials.json (authorized_user)",
             f->base.dir);
    assert_string_equal(gcp_source(f->gcp), expected);
    assert_string_equal(gcp_quota_project(f->gcp), "p-1");
    setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "p-2", 1);
    assert_true(open_gcp(f));
    assert_string_equal(gcp_quota_project(f->gcp), "p-2");
    setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere/key.json", 1);
    assert_gcp_refused(f, "GOOGLE_APPLICATION_CREDENTIALS: cannot open /nowhere/key.json");
}

#define ACCOUNT(more_) "{\"type\":\"service_account\",\"client_email\":\"a@b\"," more_ "}"
#define USER                                                                                                 \
    "\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\",\"refresh_token\":\"r\""
#define EXTERNAL "\"type\":\"external_account\",\"audience\":\"a\",\"subject_token_type\":\"t\""

static void test_bad_files(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"", "not JSON"},
        {"[]", "its type is \"\", which is not supported"},
        {"{}", "its type is \"\", which is not supported"},
        {"{\"type\":\"gdch_service_account\"}",
         "its type is \"gdch_service_account\", which is not supported"},
        {"{\"type\":\"service_account\"}", "it is a service_account without client_email"},
        {ACCOUNT("\"a\":1"), "it is a service_account without private_key"},
        {ACCOUNT("\"private_key\":\"x\""), "private_key is not an RSA key"},
        {ACCOUNT("\"private_key\":\"-----BEGIN PRIVATE KEY-----\\nMIIE!\\n\""),
         "private_key is not an RSA key"},
        {ACCOUNT("\"private_key\":\"x\",\"token_uri\":\"http://oauth2.example/token\""),
         "token_uri: a token would go over plain http to oauth2.example"},
        {ACCOUNT("\"private_key\":\"x\",\"token_uri\":\"nonsense\""), "token_uri"},
        {ACCOUNT("\"private_key\":\"x\",\"token_uri\":\"https://a/\\n\""), "token_uri is not a URL"},
        {"{\"type\":\"authorized_user\",\"client_id\":\"c\",\"client_secret\":\"s\"}",
         "it is a authorized_user without refresh_token"},
        {"{" USER ",\"universe_domain\":\"example.org\"}", "its universe_domain is \"example.org\""},
        {"{" EXTERNAL "}", "it is a external_account without token_url"},
        {"{" EXTERNAL ",\"token_url\":\"https://sts.example\"}",
         "its credential_source is none that is known: only a file, a url and aws1 are supported"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"url\":\"http://10.0.0.1/\"}}",
         "credential_source: a token would go over plain http to 10.0.0.1"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"executable\":{}}}",
         "its credential_source is an executable: only"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"certificate\":{}}}",
         "its credential_source is a certificate: only"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"environment_id\":\"aws2\"}}",
         "its credential_source is none that is known"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"environment_id\":\"aws1\"}}",
         "no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"},
        {"{\"type\":\"external_account_authorized_user\"}",
         "it is a external_account_authorized_user without token_url"},
        {"{\"type\":\"external_account_authorized_user\",\"token_url\":\"http://sts.example\"}",
         "token_url: a token would go over plain http to sts.example"},
        {"{\"type\":\"external_account_authorized_user\",\"token_url\":\"https://s\",\"client_id\":\"c\"}",
         "without client_secret"},
        {"{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":{\"file\":\"f\"},"
         "\"service_account_impersonation_url\":\"http://a.example/\"}",
         "service_account_impersonation_url: a token would go over plain http"},
        {"{\"type\":\"impersonated_service_account\"}", "its type is \"\""},
        {"{\"type\":\"impersonated_service_account\",\"source_credentials\":{" USER "}}",
         "without service_account_impersonation_url"},
        {"{\"type\":\"impersonated_service_account\",\"source_credentials\":"
         "{\"type\":\"impersonated_service_account\"}}",
         "its type is \"impersonated_service_account\", which is not supported"},
    };
    struct gcp_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_key_file(f, cases[i].text);
        assert_gcp_refused(f, cases[i].part);
        assert_non_null(strstr(f->base.error.text, "key.json: "));
        assert_non_null(strstr(f->base.error.text, "GOOGLE_APPLICATION_CREDENTIALS: "));
    }
    put_key_file(f, "{" EXTERNAL ",\"token_url\":\"https://s\",\"credential_source\":"
                    "{\"url\":\"http://169.254.169.254/metadata/identity/oauth2/token?resource=x\"}}");
    assert_true(open_gcp(f));
}

/* ---- Replit's sidecar ---- */

static void open_sidecar(struct gcp_fixture *f, const struct act *script)
{
    serve(&f->base, script);
    setenv("REPL_ID", "r", 1);
    setenv("REPL_OWNER", "o", 1);
    setenv("http_proxy", "http://127.0.0.1:9", 1);
    assert_true(open_gcp(f));
    f->gcp->sidecar = f->base.url;
    assert_int_equal(f->gcp->creds->pause, 1000);
    f->gcp->creds->pause = 0;
}

static void test_sidecar(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(CREDENTIAL("subject.of.app")), ANSWER(TOKEN("ya29.one", "\"3600\"")));
    struct gcp_fixture *f = *state;

    open_sidecar(f, script);
    assert_false(gcp_ready(f->gcp));
    assert_bearer(f, "Bearer ya29.one", 1);
    assert_seen(f, "GET /credential HTTP/1.1\r\n");
    assert_seen(f, "POST /token HTTP/1.1\r\n");
    assert_seen(f,
                "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&audience=replit&scope="
                "https%3A%2F%2Fwww.googleapis.com%2Fauth%2Fdevstorage.full_control&requested_token_type="
                "urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aaccess_token&subject_token_type=access_token&"
                "subject_token=subject.of.app");
    unsetenv("http_proxy");
}

/* As it is seconds after a burst, or while it starts. */
static void test_sidecar_late(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, RESET, ANSWER(JSON_HEAD("503 Busy")), ANSWER(CREDENTIAL(NO_JWT)),
        ANSWER(CREDENTIAL("subject.of.app")), ANSWER(JSON_HEAD("401 Unauthorized") "no allowed resources"),
        ANSWER(TOKEN("ya29.one", "3600")));
    struct http_limits limits = limits_of(4, 30000, 8);
    struct gcp_fixture *f = *state;

    loop_free(f->base.loop);
    f->base.loop = loop_new(&limits, &f->base.error);
    f->base.http = loop_http(f->base.loop);
    open_sidecar(f, script);
    assert_bearer(f, "Bearer ya29.one", 1);
    unsetenv("http_proxy");
}

/* It is given time, and then longer. What is longer than http waits for ends it. */
static void test_sidecar_pause(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(JSON_HEAD("503 Busy")));
    struct gcp_fixture *f = *state;

    open_sidecar(f, script);
    f->gcp->creds->pause = RETRY_AFTER_MAX + 1;
    assert_no_bearer(f, ERROR_UNREACHABLE, "it gives no token");
    assert_int_equal(f->gcp->creds->request.attempts, 1);
    assert_int_equal(f->gcp->creds->request.retry_after, RETRY_AFTER_MAX + 1);
    unsetenv("http_proxy");
}

static void test_sidecar_without_bucket(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(CREDENTIAL(NO_JWT)), ANSWER(CREDENTIAL(NO_JWT)));
    struct gcp_fixture *f = *state;

    open_sidecar(f, script);
    assert_no_bearer(f, ERROR_UNREACHABLE,
                     "Replit's sidecar: it gives no credential: attach the bucket to this app (in Object ");
    unsetenv("http_proxy");
}

static void test_sidecar_refuses(void **state)
{
    static const char refusal[] = JSON_HEAD("401 Unauthorized") "no allowed resources";
    static const struct act script[] =
        SCRIPT(ANSWER(CREDENTIAL("subject.of.app")), ANSWER(refusal), ANSWER(refusal));
    struct gcp_fixture *f = *state;

    open_sidecar(f, script);
    assert_no_bearer(f, ERROR_CREDENTIALS,
                     "it gives no token: attach the bucket to this app (in Object Storage), then deploy "
                     "again (HTTP 401");
    unsetenv("http_proxy");
}

/* ---- the metadata server ---- */

static void open_metadata(struct gcp_fixture *f, const struct act *script)
{
    serve(&f->base, script);
    setenv("GCE_METADATA_HOST", f->base.url + strlen("http://"), 1);
    assert_true(open_gcp(f));
}

static void test_metadata(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(FROM_GOOGLE("503 Not Yet", "")),
               ANSWER(FROM_GOOGLE("200 OK",
                                  "{\"access_token\":\"ya29.m\",\"expires_in\":3599,\"token_type\":\"B\"}")));
    struct gcp_fixture *f = *state;

    open_metadata(f, script);
    assert_bearer(f, "Bearer ya29.m", 1);
    assert_seen(f, "GET /computeMetadata/v1/instance/service-accounts/default/token HTTP/1.1\r\n");
    assert_seen(f, "metadata-flavor: Google\r\n");
}

static void test_metadata_refuses(void **state)
{
    static const struct {
        const char *answer;
        enum error_kind kind;
        const char *part;
    } cases[] = {
        {FROM_GOOGLE("404 Not Found", ""), ERROR_CREDENTIALS,
         "no service account is attached to this machine"},
        {FROM_GOOGLE("403 Forbidden", ""), ERROR_CREDENTIALS,
         "Google's metadata server: the service refuses (HTTP 403)"},
        {JSON_HEAD("404 Not Found"), ERROR_CREDENTIALS, "what answers is not Google's metadata server"},
        {TOKEN("ya29.m", "3599"), ERROR_PROTOCOL, "what answers is not Google's metadata server"},
        {FROM_GOOGLE("200 OK", "nonsense"), ERROR_PROTOCOL, "its answer is not what it should be: not JSON"},
        {FROM_GOOGLE("200 OK", "{}"), ERROR_PROTOCOL, "its answer has no token"},
        {FROM_GOOGLE("200 OK", "{\"access_token\":\"a\\nb\"}"), ERROR_PROTOCOL,
         "a token that cannot be used"},
        {FROM_GOOGLE("200 OK", "{\"access_token\":\"a b\"}"), ERROR_PROTOCOL, "a token that cannot be used"},
        {FROM_GOOGLE("200 OK", "{\"access_token\":\"a\",\"expires_in\":\"soon\"}"), ERROR_PROTOCOL,
         "until when"},
        {FROM_GOOGLE("200 OK", "{\"access_token\":\"a\",\"expires_in\":0}"), ERROR_CREDENTIALS,
         "have expired already"},
        {FROM_GOOGLE("302 Found", ""), ERROR_CREDENTIALS, "it redirects elsewhere"},
    };
    struct gcp_fixture *f = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct act script[] = SCRIPT(ANSWER(cases[i].answer));

        open_metadata(f, script);
        assert_no_bearer(f, cases[i].kind, cases[i].part);
        gcp_close(f->gcp);
        f->gcp = NULL;
        assert_true(server_finish(&f->base.server));
        buf_free(&f->base.server.seen);
        f->base.serving = false;
    }
}

/* Nobody there, and nothing said that somebody should be. */
static void test_no_metadata(void **state)
{
    struct gcp_fixture *f = *state;

    assert_true(open_gcp(f));
    snprintf(f->gcp->metadata_host, sizeof f->gcp->metadata_host, "127.0.0.1:9");
    assert_no_bearer(f, ERROR_CREDENTIALS, "no credentials for Google Cloud Storage: set GOOGLE_APPLICATION");
}

/* ---- the life of a token ---- */

#define METADATA_TOKEN(token_, life_)                                                                        \
    ANSWER(FROM_GOOGLE("200 OK", "{\"access_token\":\"" token_ "\",\"expires_in\":" life_ "}"))

/* One of four seconds is renewed in its last one, and not with each request. */
static void test_renewal(void **state)
{
    static const struct act script[] =
        SCRIPT(METADATA_TOKEN("ya29.one", "4"), METADATA_TOKEN("ya29.two", "3600"));
    struct gcp_fixture *f = *state;
    int64_t limit;

    open_metadata(f, script);
    assert_bearer(f, "Bearer ya29.one", 1);
    let_pass(&f->base, 1500);
    assert_bearer(f, "Bearer ya29.one", 1);
    assert_int_equal(f->base.server.connections, 1);
    for (limit = clock_mono() + 60000; f->generation == 1 && clock_mono() < limit;
         http_step(f->base.http, 20)) {
        assert_true(gcp_ready(f->gcp)); /* there is always one */
        assert_non_null(gcp_bearer(f->gcp, &f->generation, &f->base.error));
    }
    assert_bearer(f, "Bearer ya29.two", 2);
    assert_int_equal(f->gcp->creds->early, 225000);
}

static void test_expired_early(void **state)
{
    static const struct act script[] =
        SCRIPT(METADATA_TOKEN("ya29.one", "3600"), METADATA_TOKEN("ya29.two", "3600"));
    struct gcp_fixture *f = *state;

    open_metadata(f, script);
    assert_bearer(f, "Bearer ya29.one", 1);
    assert_true(gcp_expired(f->gcp, 1));
    assert_true(gcp_expired(f->gcp, 1)); /* another request with the same token */
    assert_false(gcp_ready(f->gcp));
    assert_bearer(f, "Bearer ya29.two", 2);
    assert_true(gcp_expired(f->gcp, 1));
    assert_false(gcp_expired(f->gcp, 2)); /* refused like the one before: there is no third */
}

static void test_quoted(void **state)
{
    static const struct act script[] = SCRIPT(METADATA_TOKEN("ya29.a-token-of-some-length", "3600"));
    struct gcp_fixture *f = *state;

    open_metadata(f, script);
    assert_non_null(ask_bearer(f));
    assert_true(gcp_quoted(f->gcp, "Invalid token: a-token-of-some"));
    assert_false(gcp_quoted(f->gcp, "Invalid Credentials"));
}

#define TEST(name_) cmocka_unit_test_setup_teardown(name_, gcp_set_up, gcp_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_emulator),
        TEST(test_nothing),
        TEST(test_order),
        TEST(test_bad_files),
        TEST(test_sidecar),
        TEST(test_sidecar_late),
        TEST(test_sidecar_pause),
        TEST(test_sidecar_without_bucket),
        TEST(test_sidecar_refuses),
        TEST(test_metadata),
        TEST(test_metadata_refuses),
        TEST(test_no_metadata),
        TEST(test_renewal),
        TEST(test_expired_early),
        TEST(test_quoted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
