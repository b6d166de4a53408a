/* The life of a key, with STS as the service. */
#include "creds_fixture.h"

#include "creds_internal.h"
#include "s3_internal.h"

static void test_keys(void **state)
{
    struct fixture *f = *state;

    f->side.access_key_id = "AKID";
    f->side.secret_access_key = "secret";
    f->side.session_token = "token";
    f->side.profile = "not there"; /* keys come first */
    assert_true(open_creds(f));
    assert_key(f, "AKID", 1);
    assert_string_equal(f->key.secret_access_key, "secret");
    assert_string_equal(f->key.session_token, "token");
    assert_false(creds_expired(f->creds, 1, true));
    assert_false(creds_outlived(f->creds, 1));
    assert_string_equal(creds_source(f->creds), "access_key_id and secret_access_key");
}

static void test_halves(void **state)
{
    struct fixture *f = *state;

    f->side.access_key_id = "AKID";
    assert_refused(f, "access_key_id is set, but secret_access_key is not");
    f->side.access_key_id = "";
    f->side.secret_access_key = "secret";
    assert_refused(f, "secret_access_key is set, but access_key_id is not");
    f->side.secret_access_key = "";
    f->side.session_token = "token";
    assert_refused(f, "session_token is set, but access_key_id is not");
    f->side.session_token = "";
    f->side.role_arn = "arn";
    assert_refused(f, "role_arn is set, but web_identity_token_file is not");
    f->side.role_arn = "";
    f->side.web_identity_token_file = "/f";
    assert_refused(f, "web_identity_token_file is set, but role_arn is not");
}

static void test_nothing(void **state)
{
    struct fixture *f = *state;

    assert_false(open_creds(f));
    assert_int_equal(f->error.kind, ERROR_CREDENTIALS);
    assert_non_null(strstr(f->error.text, "no credentials: set AWS_ACCESS_KEY_ID"));
}

static void test_sts_endpoint(void **state)
{
    struct fixture *f = *state;

    f->side.role_arn = "arn";
    f->side.web_identity_token_file = "/f";
    f->side.sts_endpoint = "http://10.0.0.1";
    assert_refused(f, "plain http to 10.0.0.1");
    f->side.sts_endpoint = "ftp://10.0.0.1";
    assert_refused(f, "neither http:// nor https://");
    f->side.sts_endpoint = "sts";
    assert_refused(f, "sts_endpoint");
    f->side.sts_endpoint = "";
    f->side.region = "evil.example/";
    assert_refused(f, "not the name of a region");
    f->side.region = "cn-north-1";
    assert_true(open_creds(f));
    f->side.sts_endpoint = "http://10.0.0.1";
    f->side.allow_http = 1;
    assert_true(open_creds(f));
}

/* ---- web identity ---- */

static void test_web_identity(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(WEB_KEY("ONE", "59:00")));
    struct fixture *f = *state;
    const char *seen;

    open_web(f, script);
    assert_int_equal(creds_get(f->creds, &f->key, &f->error), CREDS_PENDING);
    assert_key(f, "ONE", 1);
    assert_string_equal(f->key.secret_access_key, "secret-of-ONE");
    assert_string_equal(f->key.session_token, "session-of-ONE");
    assert_key(f, "ONE", 1); /* and asks no more */
    seen = buf_str(&f->server.seen);
    assert_non_null(strstr(seen, "POST / HTTP/1.1\r\n"));
    assert_non_null(strstr(seen, "content-type: application/x-www-form-urlencoded"));
    assert_null(strstr(seen, "authorization"));
    assert_non_null(strstr(
        seen,
        "\r\n\r\nAction=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr&RoleSessionName=storsync-init-"));
    assert_non_null(strstr(seen, "&WebIdentityToken=ey.first.token"));
    assert_null(strstr(seen, "%0A"));
}

static void test_token_file(void **state)
{
    static const char *const bad[] = {"", "\n", "a\r\nb", "a\nb\n", "a\x01"};
    struct fixture *f = *state;

    f->side.role_arn = "arn";
    f->side.sts_endpoint = "http://127.0.0.1:1";
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        put_token(f, bad[i]);
        f->side.web_identity_token_file = f->token;
        assert_true(open_creds(f));
        assert_failed(f, ERROR_CREDENTIALS, "does not hold a token");
    }
    unlink(f->token);
    assert_true(open_creds(f));
    assert_failed(f, ERROR_CREDENTIALS, "cannot open");
}

/* The old key is used while a new one is fetched, with the token that is there then. */
static void test_renewal(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(WEB_KEY("ONE", "00:08")), ACCEPT, REQUEST, WAIT,
                                              SEND(WEB_KEY("TWO", "59:00")), HANG_UP);
    struct fixture *f = *state;
    int64_t until;

    open_web(f, script);
    assert_key(f, "ONE", 1);
    assert_false(creds_outlived(f->creds, 1));
    put_token(f, "ey.second.token");
    until = clock_mono() + 60000;
    while (f->server.connections < 2) {
        assert_key(f, "ONE", 1);
        assert_true(clock_mono() < until);
        http_step(f->http, 20);
    }
    assert_int_equal(write(f->server.gate[1], "", 1), 1);
    await_generation(f, 2);
    assert_string_equal(f->key.access_key_id, "TWO");
    assert_non_null(strstr(buf_str(&f->server.seen), "WebIdentityToken=ey.second.token"));
    assert_true(creds_outlived(f->creds, 1));
    assert_true(creds_expired(f->creds, 1, true)); /* which asks nobody: there is another one */
    assert_true(creds_expired(f->creds, 1, false));
    assert_false(creds_expired(f->creds, 2, false));
    assert_key(f, "TWO", 2);
}

/* It fails twice while the old key is good, then works. */
static void test_renewal_fails(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(WEB_KEY("ONE", "00:06")), ANSWER(STS_ERROR("403 No", "AccessDenied", "not now")),
               ANSWER(STS_ERROR("403 No", "AccessDenied", "not now")), ANSWER(WEB_KEY("TWO", "59:00")));
    struct fixture *f = *state;

    open_web(f, script);
    assert_key(f, "ONE", 1);
    for (int64_t until = clock_mono() + 60000; f->key.generation != 2;) {
        enum creds_state now =
            ask(f); /* on a slow machine the old key may run out before: that is a failure */

        assert_true(now == CREDS_READY || f->error.kind == ERROR_CREDENTIALS);
        assert_true(clock_mono() < until);
        http_step(f->http, 20);
    }
    assert_string_equal(f->key.access_key_id, "TWO");
}

/* Nobody waits for an old key: when it has run out, they wait for the new one. */
static void test_runs_out(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(WEB_KEY("ONE", "00:02")), ANSWER(WEB_KEY("TWO", "59:00")));
    struct fixture *f = *state;

    open_web(f, script);
    assert_key(f, "ONE", 1);
    let_pass(f, 1100);
    assert_true(creds_outlived(f->creds, 1));
    assert_int_equal(creds_get(f->creds, &f->key, &f->error), CREDS_PENDING);
    assert_key(f, "TWO", 2);
}

static void test_expired_early(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(WEB_KEY("ONE", "59:00")), ANSWER(WEB_KEY("TWO", "59:00")));
    struct fixture *f = *state;

    open_web(f, script);
    assert_key(f, "ONE", 1);
    assert_true(creds_expired(f->creds, 1, true));
    assert_true(creds_expired(f->creds, 1, true)); /* all that were under way say so */
    assert_int_equal(creds_get(f->creds, &f->key, &f->error), CREDS_PENDING);
    assert_true(creds_expired(f->creds, 1, true));
    assert_key(f, "TWO", 2);
    assert_true(creds_expired(f->creds, 1, true));
    assert_key(f, "TWO", 2);
    assert_false(creds_expired(f->creds, 2, true)); /* the new one as well? That leads nowhere. */
}

static void test_expired_on_arrival(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(WEB_KEY("ONE", "00:00")));
    struct fixture *f = *state;

    open_web(f, script);
    assert_failed(f, ERROR_CREDENTIALS, "have expired already");
    /* Nor is it asked again at once. */
    assert_failed(f, ERROR_CREDENTIALS, "have expired already");
}

static void test_throttled(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(STS_ERROR("400 Bad", "Throttling", "Rate exceeded")), ANSWER(WEB_KEY("ONE", "59:00")));
    struct fixture *f = *state;

    open_web(f, script);
    assert_key(f, "ONE", 1);
}

static void test_unavailable(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("503 Busy") "busy"), ANSWER(HEAD_OF("503 Busy") "busy"));
    struct fixture *f = *state;

    open_web(f, script);
    assert_failed(f, ERROR_UNREACHABLE, "HTTP 503");
    assert_non_null(strstr(f->error.text, "role arn:aws:iam::1:role/r with the token in"));
}

/* Each of these is final after one request. */
static void fails_with(void **state, const struct act *script, enum error_kind kind, const char *part)
{
    struct fixture *f = *state;

    open_web(f, script);
    assert_failed(f, kind, part);
    assert_null(strstr(f->error.text, "ey.first"));
    assert_int_equal(f->server.connections, 1);
}

static void test_denied(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(
        STS_ERROR("403 No", "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")));

    fails_with(
        state, script, ERROR_CREDENTIALS,
        "check its trust policy (HTTP 403, AccessDenied: Not authorized to perform sts:AssumeRoleWithWeb");
}

static void test_denied_by_ceph(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(HEAD_OF("403 No") "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"));

    fails_with(state, script, ERROR_CREDENTIALS, "check its trust policy (HTTP 403, AccessDenied)");
}

static void test_token_is_not_quoted(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER(STS_ERROR("400 Bad", "InvalidIdentityToken", "cannot parse 'ey.first.token' at all")));

    fails_with(state, script, ERROR_CREDENTIALS, "does not accept the web identity token (HTTP 400, Invalid");
}

static void test_redirect(void **state)
{
    static const struct act script[] =
        SCRIPT(ANSWER("HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nConnection: close\r\n\r\n"));

    fails_with(state, script, ERROR_CREDENTIALS, "redirects");
}

static void test_too_large(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND(HEAD_OF("200 OK")), FILL(64 * 1024 + 1), HANG_UP);

    fails_with(state, script, ERROR_PROTOCOL, "more than 64 KiB");
}

static void test_foreign(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("200 OK") "<html><body>hello<br></body>"));

    fails_with(state, script, ERROR_PROTOCOL, "not that of an STS service");
}

static void test_without_credentials(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(HEAD_OF("200 OK") "<html/>"));

    fails_with(state, script, ERROR_PROTOCOL, "no credentials: check sts_endpoint");
}

/* What would begin another header is no key. */
static void test_unclean(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(WEB_KEY("A&#10;x-evil: 1", "59:00")));

    fails_with(state, script, ERROR_PROTOCOL, "cannot be used");
}

static void test_no_end(void **state)
{
    static const struct act script[] = SCRIPT(ANSWER(WEB_KEY("ONE", "99:99")));

    fails_with(state, script, ERROR_PROTOCOL, "until when");
}

/* ---- in a store ---- */

static void finish_call(struct fixture *f, struct call *call)
{
    for (int64_t until = clock_mono() + 60000; !call->done;) {
        assert_true(clock_mono() < until);
        http_step(f->http, 1000);
        store_step(call);
    }
}

#define EXPIRED                                                                                              \
    HEAD_OF("400 Bad")                                                                                       \
    "<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>"

/* An S3 service that plays a script, and a store there with keys from STS. */
static struct store *open_store(struct fixture *f, const struct act *sts, const struct act *s3,
                                struct server *service)
{
    struct store *store;

    open_web(f, sts);
    server_start(service, s3);
    snprintf(f->s3_url, sizeof f->s3_url, "http://127.0.0.1:%d", service->port);
    f->side.endpoint = f->s3_url;
    store = store_s3_open(&f->side, "bucket", f->loop, &f->error);
    assert_non_null(store);
    return store;
}

/* It has been asked with ONE, and with the session `token`. */
static void close_store(struct store *store, struct server *service, const char *token)
{
    store_close(store);
    assert_true(server_finish(service));
    assert_non_null(strstr(buf_str(&service->seen), "x-amz-security-token: session-of-ONE"));
    assert_non_null(strstr(buf_str(&service->seen), token));
    buf_free(&service->seen);
}

static void read_object(struct fixture *f, const struct act *sts, const struct act *s3, struct call *call)
{
    struct server service;
    struct store *store = open_store(f, sts, s3, &service);

    call_init(call);
    store_read(store, call, "key");
    finish_call(f, call);
    close_store(store, &service, "x-amz-security-token: session-of-TWO");
}

static void test_store_renews(void **state)
{
    static const struct act sts[] = SCRIPT(ANSWER(WEB_KEY("ONE", "59:00")), ANSWER(WEB_KEY("TWO", "59:00")));
    static const struct act s3[] = SCRIPT(
        ANSWER(EXPIRED),
        ANSWER(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"e\"\r\nLast-Modified: Sun, 22 Nov 2026 18:00:00 GMT\r\nConnection: close\r\n\r\nhello"));
    struct call call;

    read_object(*state, sts, s3, &call);
    assert_int_equal(call.error.kind, ERROR_NONE);
    assert_string_equal(buf_str(&call.body), "hello");
    call_free(&call);
}

/* A key that was replaced while it was under way is no reason to give up, even if this call has renewed one before. */
static void test_store_renews_again(void **state)
{
    static const struct act sts[] = SCRIPT(ANSWER(WEB_KEY("ONE", "59:00")), ANSWER(WEB_KEY("TWO", "59:00")),
                                           ANSWER(WEB_KEY("THREE", "59:00")));
    static const struct act s3[] = SCRIPT(ANSWER(EXPIRED), ACCEPT, REQUEST, WAIT, SEND(EXPIRED), HANG_UP,
                                          ANSWER(HEAD_OF("404 No") "<Error><Code>NoSuchKey</Code></Error>"));
    struct fixture *f = *state;
    struct server service;
    struct call call;
    struct store *store = open_store(f, sts, s3, &service);
    struct creds *creds = ((struct store_s3 *)store)->creds;

    call_init(&call);
    store_read(store, &call, "key");
    while (service.connections < 2)
        http_step(f->http, 20);
    creds->forced_at = 0; /* as long ago as it takes */
    assert_true(creds_expired(creds, 2, true));
    assert_int_equal(write(service.gate[1], "", 1), 1);
    finish_call(f, &call);
    assert_int_equal(call.error.kind, ERROR_NOT_FOUND);
    call_free(&call);
    close_store(store, &service, "x-amz-security-token: session-of-THREE");
}

/* Before its time once in each request, however often the service says so. */
static void test_store_renews_once(void **state)
{
    static const struct act sts[] = SCRIPT(ANSWER(WEB_KEY("ONE", "59:00")), ANSWER(WEB_KEY("TWO", "59:00")));
    static const struct act s3[] = SCRIPT(ANSWER(EXPIRED), ANSWER(EXPIRED));
    struct call call;

    read_object(*state, sts, s3, &call);
    assert_int_equal(call.error.kind, ERROR_CREDENTIALS);
    assert_string_equal(call.error.code, "ExpiredToken");
    call_free(&call);
}

/* Ceph's way to say it, after the key's time. */
static void test_store_renews_after_silence(void **state)
{
    static const struct act sts[] = SCRIPT(ANSWER(WEB_KEY("ONE", "00:03")), ANSWER(WEB_KEY("TWO", "59:00")));
    static const struct act s3[] =
        SCRIPT(ACCEPT, REQUEST, WAIT, SEND(HEAD_OF("403 No") "<Error><Code>AccessDenied</Code></Error>"),
               HANG_UP, ANSWER(HEAD_OF("404 No") "<Error><Code>NoSuchKey</Code></Error>"));
    struct fixture *f = *state;
    struct server service;
    struct store *store = open_store(f, sts, s3, &service);
    struct call call;

    call_init(&call);
    store_read(store, &call, "key");
    while (service.connections == 0)
        http_step(f->http, 20);
    let_pass(f, 2100);
    assert_int_equal(write(service.gate[1], "", 1), 1);
    finish_call(f, &call);
    assert_int_equal(call.error.kind, ERROR_NOT_FOUND);
    call_free(&call);
    close_store(store, &service, "x-amz-security-token: session-of-TWO");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_keys),
        TEST(test_halves),
        TEST(test_nothing),
        TEST(test_sts_endpoint),
        TEST(test_web_identity),
        TEST(test_token_file),
        TEST(test_renewal),
        TEST(test_renewal_fails),
        TEST(test_runs_out),
        TEST(test_expired_early),
        TEST(test_expired_on_arrival),
        TEST(test_throttled),
        TEST(test_unavailable),
        TEST(test_denied),
        TEST(test_denied_by_ceph),
        TEST(test_token_is_not_quoted),
        TEST(test_redirect),
        TEST(test_too_large),
        TEST(test_foreign),
        TEST(test_without_credentials),
        TEST(test_unclean),
        TEST(test_no_end),
        TEST(test_store_renews),
        TEST(test_store_renews_again),
        TEST(test_store_renews_once),
        TEST(test_store_renews_after_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
