/* Where credentials come from besides the side's own: shared files, a container's endpoint, EC2's metadata. */
#include "creds_fixture.h"

#include "creds_internal.h"

static void credentials_file(struct fixture *f, const char *text)
{
    assert_true(tempdir_file(f->dir, ".aws/credentials", text));
}

static void config_file(struct fixture *f, const char *text)
{
    assert_true(tempdir_file(f->dir, ".aws/config", text));
}

/* ---- shared files ---- */

static void test_default_profile(void **state)
{
    struct fixture *f = *state;
    char expected[200];

    credentials_file(f, "\xEF\xBB\xBF# mine\r\n[other]\r\naws_access_key_id=NO\r\n\r\n[default]\r\n"
                        "AWS_Access_Key_Id = AKID ; inline\r\naws_secret_access_key=se/cr+et==\t# why\r\n");
    config_file(f, "[default]\nregion = eu-west-1\naws_access_key_id = NO\naws_session_token = NO\n"
                   "s3 =\n    region = nested\n    endpoint_url = http://nested\n"
                   "endpoint_url = https://s3.example\n");
    assert_true(open_creds(f));
    assert_key(f, "AKID", 1);
    assert_string_equal(f->key.secret_access_key, "se/cr+et==");
    assert_string_equal(f->key.session_token, ""); /* not that of another file */
    assert_string_equal(creds_region(f->creds), "eu-west-1");
    assert_string_equal(creds_endpoint(f->creds), "https://s3.example");
    snprintf(expected, sizeof expected, "profile \"default\" of %s/.aws/credentials", f->dir);
    assert_string_equal(creds_source(f->creds), expected);
}

/* A side's own word comes first, and STS is asked where S3 is. */
static void test_variants_of_a_profile(void **state)
{
    struct fixture *f = *state;

    config_file(
        f, "[default]\nrole_arn = r\nsource_profile = base\nregion = eu-west-1\nuse_fips_endpoint = True\n"
           "use_dualstack_endpoint = true\n[profile base]\naws_access_key_id=A\naws_secret_access_key=S\n");
    assert_true(open_creds(f));
    assert_true(creds_variant(f->creds).fips && creds_variant(f->creds).dualstack);
    assert_string_equal(f->creds->sts.host, "sts-fips.eu-west-1.api.aws");
    f->side.use_fips_endpoint = SWITCH_NO;
    assert_true(open_creds(f));
    assert_false(creds_variant(f->creds).fips);
    assert_string_equal(f->creds->sts.host, "sts.eu-west-1.api.aws");
    config_file(f, "[default]\naws_access_key_id=A\naws_secret_access_key=S\nuse_fips_endpoint = false\n");
    f->side.use_fips_endpoint = SWITCH_AUTO;
    assert_true(open_creds(f));
    assert_false(creds_variant(f->creds).fips || creds_variant(f->creds).dualstack);
}

static void test_named_profile(void **state)
{
    static const char *const sections[] = {"[profile dev]", "[ profile  dev ]", "[profile \"dev\"] # c",
                                           "[profile 'dev']"};
    static const char *const others[] = {"[dev]", "[profiledev]", "[profile devil]", "[profile \"dev]",
                                         "[default]"};
    struct fixture *f = *state;
    char text[200];

    f->side.profile = "dev";
    for (size_t i = 0; i < sizeof sections / sizeof sections[0]; i++) {
        snprintf(text, sizeof text, "%s\naws_access_key_id=A\naws_secret_access_key=S", sections[i]);
        config_file(f, text);
        assert_true(open_creds(f));
        assert_key(f, "A", 1);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        snprintf(text, sizeof text, "%s\naws_access_key_id=A\naws_secret_access_key=S", others[i]);
        config_file(f, text);
        assert_refused(f, "profile \"dev\" is in neither");
    }
}

/* The variables, and a ~ in them. */
static void test_other_files(void **state)
{
    struct fixture *f = *state;

    assert_true(tempdir_file(f->dir, "c", "[default]\naws_access_key_id=A\naws_secret_access_key=S\n"));
    assert_true(tempdir_file(f->dir, "d", "[default]\nregion=r-1\n"));
    setenv("AWS_SHARED_CREDENTIALS_FILE", "~/c", 1);
    setenv("AWS_CONFIG_FILE", tempdir_path(f->dir, "d"), 1);
    assert_true(open_creds(f));
    assert_key(f, "A", 1);
    assert_string_equal(creds_region(f->creds), "r-1");
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/at/all", 1);
    assert_false(open_creds(f)); /* the default profile only has a region */
    assert_int_equal(f->error.kind, ERROR_CREDENTIALS);
}

static void test_bad_files(void **state)
{
    static const struct {
        const char *text;
        const char *part;
    } cases[] = {
        {"[default\n", ".aws/credentials:1: a section without its ]"},
        {"[default]\n\nnonsense\n", ".aws/credentials:3: neither"},
        {"[default]\n= b\n", ".aws/credentials:2: neither"},
        {"[default]\naws_access_key_id = A\n", "aws_access_key_id is set, but aws_secret_access_key is not"},
        {"[default]\ncredential_process = /bin/x\n", "credential_process is not supported"},
        {"[default]\nsso_session = s\n", "SSO is not supported"},
        {"[default]\nsso_start_url = https://s\n", "SSO is not supported"},
        {"[default]\nrole_arn = r\n", "role_arn needs source_profile"},
        {"[default]\nrole_arn = r\nmfa_serial = m\nsource_profile = d\n", "mfa_serial"},
        {"[default]\nrole_arn = r\nsource_profile = gone\n", "source_profile \"gone\" is not there"},
        {"[default]\nrole_arn = r\nsource_profile = default\n", "source_profile \"default\" has no keys"},
        {"[default]\nrole_arn = r\nsource_profile = b\n[b]\nrole_arn = r\nsource_profile = default\n",
         "profile \"b\" of "},
        {"[default]\nrole_arn = r\ncredential_source = Nowhere\n", "credential_source is Nowhere"},
        {"[default]\nrole_arn = r\ncredential_source = Environment\n", "credential_source is Environment"},
        {"[default]\nrole_arn = r\ncredential_source = Ec2InstanceMetadata\n", "credential_source is Ec2Ins"},
        {"[default]\nrole_arn = r\ncredential_source = EcsContainer\n", "credential_source is EcsContainer"},
    };
    struct fixture *f = *state;
    char *large = malloc(256 * 1024 + 2);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        credentials_file(f, cases[i].text);
        assert_refused(f, cases[i].part);
    }
    assert_non_null(large);
    memset(large, '#', 256 * 1024 + 1);
    large[256 * 1024 + 1] = '\0';
    credentials_file(f, large);
    free(large);
    assert_refused(f, "is larger than 256 KiB");
    unlink(tempdir_path(f->dir, ".aws/credentials"));
    mkdir(tempdir_path(f->dir, ".aws/credentials"), 0777);
    assert_refused(f, "cannot read");
}

/* What is odd in somebody else's part of the file, or what botocore takes as well, keeps nobody from his keys. */
static void test_odd_lines(void **state)
{
    static const char *const files[] = {
        "[other] /* s3://path */\nregion = x\n[default]\naws_access_key_id = A\naws_secret_access_key = S\n",
        "[default] text\naws_access_key_id = A\naws_secret_access_key = S\n",
        "[default]\naws_access_key_id: A\naws_secret_access_key :S\n",
        "before = all\n[default]\naws_access_key_id = A\naws_secret_access_key = S\n",
        "[other]\nnonsense\n= x\n[default]\naws_access_key_id = A\naws_secret_access_key = S\n",
        "[default]\naws_access_key_id = A\naws_secret_access_key = S\n[other\naws_access_key_id = NO\n",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        credentials_file(f, files[i]);
        assert_true(open_creds(f));
        assert_key(f, "A", 1);
        assert_string_equal(f->key.secret_access_key, "S");
    }
    credentials_file(f, "[default]\naws_access_key_id = A\naws_secret_access_key = a:b\n");
    assert_true(open_creds(f));
    assert_key(f, "A", 1);
    assert_string_equal(f->key.secret_access_key, "a:b");
}

static void test_chain_too_long(void **state)
{
    struct fixture *f = *state;
    char text[2000] = "";

    for (int i = 0; i < 20; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "[p%d]\nrole_arn=r\nsource_profile=p%d\n",
                 i, i + 1);
    credentials_file(f, text);
    f->side.profile = "p0";
    assert_refused(f, "too long");
}

/* A nested block is nobody's setting, an indented section is one. */
static void test_indentation(void **state)
{
    struct fixture *f = *state;

    config_file(
        f, "  [default]\n    aws_access_key_id = A\n    s3 =\n      aws_access_key_id = NO\n      nonsense\n"
           "    aws_secret_access_key = S\n");
    assert_true(open_creds(f));
    assert_key(f, "A", 1);
    assert_string_equal(f->key.secret_access_key, "S");
}

static void test_assumed_role(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(STS_KEY("AssumeRole", "ROLE", "59:00")));
    struct fixture *f = *state;
    const char *seen;

    serve(f, script);
    config_file(
        f, "[default]\nrole_arn = arn:r\nsource_profile = base\nexternal_id = x/1\nduration_seconds = 900\n"
           "role_session_name = me\nregion = eu-west-3\n"
           "[profile base]\naws_access_key_id=BASE\naws_secret_access_key=S\naws_session_token=T\n");
    f->side.sts_endpoint = f->url;
    assert_true(open_creds(f));
    assert_key(f, "ROLE", 1);
    seen = buf_str(&f->server.seen);
    assert_non_null(strstr(seen, "authorization: AWS4-HMAC-SHA256 Credential=BASE/"));
    assert_non_null(strstr(
        seen,
        "/eu-west-3/sts/aws4_request, SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature="));
    assert_non_null(strstr(seen, "x-amz-security-token: T\r\n"));
    assert_non_null(strstr(
        seen,
        "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Ar&RoleSessionName=me&DurationSeconds=900&ExternalId=x%2F1"));
}

/* Each role is assumed with what the one before has brought. */
static void test_chain(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(WEB_KEY("FIRST", "30:00")), ANSWER(STS_KEY("AssumeRole", "SECOND", "59:00")));
    struct fixture *f = *state;
    const char *seen;
    char text[300];

    serve(f, script);
    put_token(f, "jwt");
    snprintf(text, sizeof text,
             "[default]\nrole_arn = second\nsource_profile = base\n[base]\nrole_arn = first\n"
             "web_identity_token_file = %s\n",
             f->token);
    credentials_file(f, text);
    f->side.sts_endpoint = f->url;
    assert_true(open_creds(f));
    assert_key(f, "SECOND", 1);
    seen = strstr(buf_str(&f->server.seen), "WebIdentityToken=jwt");
    assert_non_null(seen);
    assert_non_null(strstr(seen, "Credential=FIRST/"));
    assert_non_null(strstr(seen, "x-amz-security-token: session-of-FIRST\r\n"));
    assert_non_null(strstr(seen, "RoleArn=second"));
}

/* A clock that is wrong is found out from the first answer. */
static void test_clock(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER("HTTP/1.1 403 No\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nConnection: close\r\n\r\n"
                      "<ErrorResponse><Error><Code>SignatureDoesNotMatch</Code></Error></ErrorResponse>"),
               ANSWER(STS_KEY("AssumeRole", "ROLE", "59:00")));
    struct fixture *f = *state;

    serve(f, script);
    credentials_file(f, "[default]\nrole_arn = r\nsource_profile = default\naws_access_key_id=A\n"
                        "aws_secret_access_key=S\n");
    f->side.sts_endpoint = f->url;
    assert_true(open_creds(f));
    assert_key(f, "ROLE", 1);
    assert_non_null(strstr(buf_str(&f->server.seen), "x-amz-date: 19941106T08"));
}

/* ---- a container's endpoint ---- */

#define JSON_KEY(id_, until_)                                                                                \
    HEAD_OF("200 OK")                                                                                        \
    "{\"Code\":\"Success\",\"AccessKeyId\":\"" id_ "\",\"SecretAccessKey\":\"secret-of-" id_                 \
    "\",\"Token\":\"session-of-" id_ "\",\"Expiration\":\"2026-11-22T18:" until_ "Z\"}"

static void test_container_urls(void **state)
{
    static const char *const good[] = {
        "http://127.0.0.1:9/x",       "http://127.8.8.8/",
        "http://localhost/x?a=b",     "http://169.254.170.2/v2/",
        "http://169.254.170.23/v1/c", "http://[fd00:ec2::23]/v1/c",
        "http://[fd00:ec2:0::23]/",   "http://[::1]:1/",
        "https://anywhere.example/x", "HTTP://LOCALHOST/x",
    };
    static const char *const bad[] = {
        "http://10.0.0.1/",
        "http://169.254.169.254/",
        "http://anywhere.example/",
        "http://localhost.example/",
        "http://127.0.0.1.example/",
        "http://127.1/",
        "http://2130706433/",
        "http://169.254.170.2@evil.example/",
        "http://evil.example#@169.254.170.2/",
        "http://evil.example\\@169.254.170.2/",
        "http://[fd00:ec2::24]/",
        "ftp://localhost/",
        "file:///etc/passwd",
        "/v2/x",
        "http://localhost/a b",
        "http://localhost/a\r\nx: y",
        "http://localhost/a#b",
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", good[i], 1);
        assert_true(open_creds(f));
        assert_string_equal(creds_source(f->creds), "the container's endpoint for credentials");
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", bad[i], 1);
        assert_refused(f, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    }
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "/v2/credentials/1",
           1); /* the full one does not count */
    assert_true(open_creds(f));
    assert_string_equal(f->creds->metadata_url, "http://169.254.170.2/v2/credentials/1");
    setenv("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "@evil.example/", 1);
    assert_refused(f, "does not begin with /");
}

static void open_container(struct fixture *f, const struct act *script)
{
    char url[100];

    serve(f, script);
    snprintf(url, sizeof url, "%s/v1/credentials?who=me", f->url);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "", 1);
    assert_true(open_creds(f));
}

static void test_container(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(JSON_KEY("ONE", "00:02")), ANSWER(JSON_KEY("TWO", "59:00")));
    struct fixture *f = *state;
    const char *seen;

    put_token(f, "first token\n");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", f->token, 1);
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "the file comes first", 1);
    open_container(f, script);
    assert_key(f, "ONE", 1);
    assert_string_equal(f->key.session_token, "session-of-ONE");
    put_token(f, "second token");
    let_pass(f, 2100);
    assert_key(f, "TWO", 2);
    seen = strstr(buf_str(&f->server.seen), "GET /v1/credentials?who=me HTTP/1.1\r\n");
    assert_non_null(seen);
    seen = strstr(seen, "authorization: first token\r\n");
    assert_non_null(seen);
    assert_non_null(strstr(seen, "authorization: second token\r\n"));
    unsetenv("http_proxy");
}

static void test_container_token(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(JSON_KEY("ONE", "59:00")));
    struct fixture *f = *state;

    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "Basic abc", 1);
    open_container(f, script);
    assert_key(f, "ONE", 1);
    assert_non_null(strstr(buf_str(&f->server.seen), "authorization: Basic abc\r\n"));
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "a\nx-evil: 1", 1);
    assert_true(open_creds(f));
    assert_failed(f, ERROR_CONFIG, "control characters");
    put_token(f, "a\r\nx-evil: 1");
    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", f->token, 1);
    assert_true(open_creds(f));
    assert_failed(f, ERROR_CREDENTIALS, "does not hold a token");
    unsetenv("http_proxy");
}

static void container_fails(void **state, const struct act *script, enum error_kind kind, const char *part)
{
    struct fixture *f = *state;

    setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "top-secret-token", 1);
    open_container(f, script);
    assert_failed(f, kind, part);
    assert_null(strstr(f->error.text, "top-secret"));
    unsetenv("http_proxy");
}

static void test_container_denied(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("401 No") "{\"code\":\"Unauthorized\",\"message\":\"no such task\"}"));

    container_fails(state, script, ERROR_CREDENTIALS, "refuses (HTTP 401, Unauthorized: no such task)");
}

static void test_container_quotes(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("401 No") "{\"message\":\"bad: authorization: top-secret-token\"}"));

    container_fails(state, script, ERROR_CREDENTIALS, "refuses (HTTP 401)");
}

static void test_container_throttled(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("429 Slow") ""), ANSWER(HEAD_OF("429 Slow") ""));

    container_fails(state, script, ERROR_UNREACHABLE, "HTTP 429");
}

static void test_container_garbage(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("200 OK") "{\"AccessKeyId\":"));

    container_fails(state, script, ERROR_PROTOCOL, "not what it should be: not JSON");
}

static void test_container_redirect(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER("HTTP/1.1 302 There\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n"));

    container_fails(state, script, ERROR_CREDENTIALS, "redirects");
}

/* ---- EC2's metadata ---- */

static void open_instance(struct fixture *f, const struct act *script)
{
    serve(f, script);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f->url, 1);
    assert_true(open_creds(f));
    assert_string_equal(creds_source(f->creds), "EC2 instance metadata");
}

static void test_instance(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("200 OK") "TOKEN=="), ANSWER(HEAD_OF("200 OK") "my role\n"),
               ANSWER(JSON_KEY("ONE", "59:00")));
    struct fixture *f = *state;
    const char *seen;

    open_instance(f, script);
    assert_key(f, "ONE", 1);
    seen = strstr(buf_str(&f->server.seen), "PUT /latest/api/token HTTP/1.1\r\n");
    assert_non_null(seen);
    seen = strstr(seen, "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n");
    assert_non_null(seen);
    seen = strstr(seen, "GET /latest/meta-data/iam/security-credentials/ HTTP/1.1\r\n");
    assert_non_null(seen);
    seen = strstr(seen, "x-aws-ec2-metadata-token: TOKEN==\r\n");
    assert_non_null(seen);
    seen = strstr(seen, "GET /latest/meta-data/iam/security-credentials/my%20role HTTP/1.1\r\n");
    assert_non_null(seen);
    assert_non_null(strstr(seen, "x-aws-ec2-metadata-token: TOKEN==\r\n"));
}

static void test_instance_without_role(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("200 OK") "TOKEN"), ANSWER(HEAD_OF("404 No") "<html>"));
    struct fixture *f = *state;

    open_instance(f, script);
    assert_failed(f, ERROR_CREDENTIALS, "no role is attached to this instance");
}

static void test_instance_refuses(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("403 No") ""));
    struct fixture *f = *state;

    open_instance(f, script);
    assert_failed(f, ERROR_CREDENTIALS, "gives no token: is it switched on for this instance? (HTTP 403)");
}

static void test_instance_says_no(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("200 OK") "TOKEN"), ANSWER(HEAD_OF("200 OK") "role"),
               ANSWER(HEAD_OF("200 OK") "{\"Code\":\"AssumeRoleUnauthorizedAccess\",\"Message\":\"trust\"}"));
    struct fixture *f = *state;

    open_instance(f, script);
    assert_failed(f, ERROR_CREDENTIALS, "AssumeRoleUnauthorizedAccess: trust");
}

static void test_instance_token_unclean(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("200 OK") "TOK\x01"
                                                                       "EN"));
    struct fixture *f = *state;

    open_instance(f, script);
    assert_failed(f, ERROR_PROTOCOL, "not that of EC2's metadata service");
}

/* Whoever is there says nothing: that there are no credentials shows soon, and says what to do. */
static void test_instance_silent(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, HOLD, ACCEPT, HOLD);
    struct fixture *f = *state;

    open_instance(f, script);
    assert_failed(f, ERROR_CREDENTIALS, "no credentials: set AWS_ACCESS_KEY_ID");
    assert_non_null(strstr(f->error.text, "not done after 1000 ms"));
    assert_int_equal(f->server.connections, 2);
}

static void test_instance_endpoints(void **state)
{
    struct fixture *f = *state;

    unsetenv("AWS_EC2_METADATA_DISABLED");
    assert_true(open_creds(f));
    assert_string_equal(f->creds->metadata_url, "http://169.254.169.254");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE", "ipv6", 1);
    assert_true(open_creds(f));
    assert_string_equal(f->creds->metadata_url, "http://[fd00:ec2::254]");
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense", 1);
    assert_refused(f, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_default_profile),
        TEST(test_named_profile),
        TEST(test_variants_of_a_profile),
        TEST(test_other_files),
        TEST(test_bad_files),
        TEST(test_odd_lines),
        TEST(test_chain_too_long),
        TEST(test_indentation),
        TEST(test_assumed_role),
        TEST(test_chain),
        TEST(test_clock),
        TEST(test_container_urls),
        TEST(test_container),
        TEST(test_container_token),
        TEST(test_container_denied),
        TEST(test_container_quotes),
        TEST(test_container_throttled),
        TEST(test_container_garbage),
        TEST(test_container_redirect),
        TEST(test_instance),
        TEST(test_instance_without_role),
        TEST(test_instance_refuses),
        TEST(test_instance_says_no),
        TEST(test_instance_token_unclean),
        TEST(test_instance_silent),
        TEST(test_instance_endpoints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
