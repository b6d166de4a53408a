/* http: transport errors, limits and retries. */
#include "http_probe.h"
#include "log.h"

/* ---- what can go wrong ---- */

static void test_transport_errors(void **state)
{
    static const struct {
        const char *answer;
        enum act_kind ending;
        enum error_kind kind;
        bool retryable;
        int status;
        const char *text;
    } rows[] = {
        {"", ACT_RESET, ERROR_UNREACHABLE, true, 0, "the connection broke"},
        {"", ACT_HANG_UP, ERROR_UNREACHABLE, true, 0, "closed without an answer"},
        {"HTTP/1.1 200 OK\r\nContent-Le", ACT_HANG_UP, ERROR_UNREACHABLE, true, 200, "before the end"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ACT_HANG_UP, ERROR_UNREACHABLE, true, 200,
         "closed before the end of the answer"},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", ACT_RESET, ERROR_UNREACHABLE, true, 200,
         "before the end of the answer"},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", ACT_HANG_UP, ERROR_UNREACHABLE, true,
         200, "before the end of the answer"},
        {"SSH-2.0-OpenSSH_9.2p1\r\nand so on\r\n", ACT_HANG_UP, ERROR_PROTOCOL, false, 0, "not HTTP"},
        {"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n", ACT_HOLD, ERROR_PROTOCOL, false, 200,
         "not valid HTTP"},
    };
    struct act script[] = SCRIPT(ACCEPT, REQUEST, SEND(NULL), HOLD);
    struct single single;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        script[2].text = rows[i].answer;
        script[3].kind = rows[i].ending;
        single_get(&single, script);
        assert_error(&single.probe, rows[i].kind, rows[i].retryable, rows[i].text);
        assert_int_equal(single.probe.request.status, rows[i].status);
        assert_int_equal(single.probe.finished, 1);
        assert_int_equal(single.probe.request.attempts, 1);
        single_end(&single);
    }
}

/* A line of 9,000 bytes, one that does not end, and many headers. */
static void test_heads_that_are_too_large(void **state)
{
    static const struct act long_line[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nX: "), FILL(9000), SEND("\r\n\r\n"), HOLD);
    static const struct act endless_line[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nX: "), FILL(200000), HOLD);
    static const struct act many_lines[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nA: "), FILL(8000), SEND("\r\nB: "), FILL(8000),
               SEND("\r\nC: "), FILL(8000), SEND("\r\nD: "), FILL(8000), SEND("\r\nE: "), FILL(8000),
               SEND("\r\nF: "), FILL(8000), SEND("\r\nG: "), FILL(8000), SEND("\r\nH: "), FILL(8000),
               SEND("\r\nI: "), FILL(8000), SEND("\r\n\r\n"), HOLD);
    const struct act *const scripts[] = {long_line, endless_line, many_lines};
    struct single single;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        single_get(&single, scripts[i]);
        assert_error(&single.probe, ERROR_PROTOCOL, false, "head of the answer is too large");
        assert_int_equal(single.probe.request.status, 200);
        assert_int_equal(single.probe.finished, 1);
        single_end(&single);
    }
}

static void test_connection_refused(void **state)
{
    static const struct act script[] = {ACT(END)};
    struct server server;
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;
    (void)state;
    server_start(&server, script);
    assert_true(server_finish(&server)); /* nobody listens on its port any more */
    probe_init(&probe, &server, "GET", "/?secret=1");
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_error(&probe, ERROR_UNREACHABLE, true, "cannot connect: Connection refused");
    assert_null(strstr(probe.request.error.text, "secret"));
    assert_int_equal(probe.request.error.sys, ECONNREFUSED);
    assert_int_equal(http_requests(http), 0);
    probe_free(&probe);
    http_free(http);
    buf_free(&server.seen);
}
static void test_name_that_does_not_exist(void **state)
{
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;
    (void)state;
    probe_init(&probe, NULL, "GET", "/"); /* A label of more than 63 bytes never leaves this machine. */
    snprintf(probe.url, sizeof probe.url, "http://user:pass@%070d.invalid:9000/x", 0);
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_int_equal(probe.request.error.kind, ERROR_UNREACHABLE);
    assert_true(probe.request.retryable);
    assert_non_null(strstr(probe.request.error.text, "000.invalid:9000: the name cannot be resolved"));
    assert_null(strstr(probe.request.error.text, "pass"));
    probe_free(&probe);
    http_free(http);
}
static void test_urls_that_are_none(void **state)
{
    static const char *const urls[] = {"ftp://127.0.0.1:1/", "http://127.0.0.1:99999/", ""};
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;
    (void)state;
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
        probe_init(&probe, NULL, "GET", "/");
        snprintf(probe.url, sizeof probe.url, "%s", urls[i]);
        http_submit(http, &probe.request);
        run(http, &probe.request);
        assert_int_equal(probe.request.error.kind, ERROR_CONFIG);
        assert_false(probe.request.retryable);
        probe_free(&probe);
    }
    http_free(http);
}
static void test_header_injection_is_refused(void **state)
{
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;
    (void)state;
    probe_init(&probe, NULL, "GET", "/");
    probe.headers = "X-A: 1\r\nX-B: 2\n";
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_int_equal(probe.request.error.kind, ERROR_UNSUPPORTED);
    assert_int_equal(probe.finished, 0);
    probe_free(&probe);
    http_free(http);
}
static void test_prepare_that_fails(void **state)
{
    struct http *http = new_http(4, 30000, 3);
    struct probe probe;
    (void)state;
    probe_init(&probe, NULL, "GET", "/");
    probe.prepare_error = "no credentials";
    http_submit(http, &probe.request);
    http_step(http, 60000); /* nothing is left to wait for */
    assert_true(probe.request.done);
    assert_int_equal(probe.request.error.kind, ERROR_CREDENTIALS);
    assert_string_equal(probe.request.error.text, "no credentials");
    assert_int_equal(probe.request.attempts, 1);
    assert_int_equal(probe.finished, 0);
    probe_free(&probe);
    http_free(http);
}
static void test_tls_handshakes_that_fail(void **state)
{
    static const struct {
        struct act answer;
        bool retryable;
        const char *text;
    } rows[] = {
        {SEND("HTTP/1.1 400 Bad Request\r\n\r\n"), false, "is it an http:// endpoint?"},
        {SEND("\x15\x03\x03"), true, "the connection broke during the TLS handshake"},
        {{ACT_SEND_ALERT, 70, NULL}, false, "only TLS 1.3"},
        {{ACT_SEND_ALERT, 40, NULL}, false, "ciphers and curves"},
        {{ACT_SEND_ALERT, 48, NULL}, false, "client certificate"},
        {{ACT_SEND_ALERT, 80, NULL}, true, "internal error"},
    };
    struct act script[] = SCRIPT(ACCEPT, HOLD, HANG_UP);
    struct single single;
    struct http_request *request = &single.probe.request;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        script[1] = rows[i].answer;
        single_begin(&single, script, "GET");
        snprintf(single.probe.url, sizeof single.probe.url, "https://localhost:%d/", single.server.port);
        single_run(&single);
        assert_int_equal(request->error.kind, ERROR_UNREACHABLE);
        assert_int_equal(request->retryable, rows[i].retryable);
        assert_non_null(strstr(request->error.text, rows[i].text));
        assert_int_equal(http_requests(single.http), 0);
        single_end(&single);
    }
}

static void test_ca_file_that_does_not_exist(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT);
    struct single single;

    (void)state;
    single_begin(&single, script, "GET");
    single.probe.request.ca_file = "/nonexistent/ca.pem";
    snprintf(single.probe.url, sizeof single.probe.url, "https://localhost:%d/", single.server.port);
    single_run(&single);
    assert_int_equal(single.probe.request.error.kind, ERROR_CONFIG);
    assert_false(single.probe.request.retryable);
    assert_non_null(strstr(single.probe.request.error.text,
                           "the CA file cannot be used: cannot open /nonexistent/ca.pem"));
    single_end(&single);
}

static void test_proxy_that_refuses(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST,
               SEND("HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n"
                    "Content-Length: 0\r\n\r\n"),
               HOLD);
    struct single single;
    char proxy[64], expected[128];

    (void)state;
    single_begin(&single, script, "GET");
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", single.server.port);
    setenv("https_proxy", proxy, 1);
    setenv("no_proxy", "", 1);
    snprintf(single.probe.url, sizeof single.probe.url, "https://bucket.invalid/");
    single_run(&single);
    unsetenv("https_proxy");
    snprintf(expected, sizeof expected,
             "bucket.invalid: the proxy does not connect to it, status 407 (https_proxy: 127.0.0.1:%d)",
             single.server.port);
    assert_string_equal(single.probe.request.error.text, expected);
    assert_false(single.probe.request.retryable);
    assert_int_equal(single.probe.request.status, 0);
    assert_string_equal(buf_str(&single.probe.seen_headers), "");
    single_end(&single);
}

/* ---- limits ---- */

/* However much moves: the limit of one attempt passes, and another attempt may be made. */
static void test_a_request_that_takes_too_long(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), HOLD);
    struct http_limits limits = {4, 30000, 30000, 0, 200, 0, 0, 0};
    struct single single;
    struct error error;

    (void)state;
    single_begin(&single, script, "GET");
    http_free(single.http);
    single.http = http_new(&limits, &error);
    assert_non_null(single.http);
    single_run(&single);
    assert_error(&single.probe, ERROR_TIMEOUT, true, "not done after 200 ms");
    assert_int_equal(single.probe.finished, 1);
    single_end(&single);
}

static void test_stall(void **state)
{
    static const struct act never_answers[] = SCRIPT(ACCEPT, REQUEST, HOLD);
    static const struct act stops_in_the_body[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), HOLD);
    const struct act *const scripts[] = {never_answers, stops_in_the_body};
    struct single single;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        single_begin(&single, scripts[i], "GET");
        http_free(single.http);
        single.http = new_http(4, 200, 0);
        single_run(&single);
        assert_error(&single.probe, ERROR_TIMEOUT, true, "nothing moved for 200 ms");
        assert_int_equal(single.probe.finished, 1);
        single_end(&single);
    }
}

/* A peer that copies something large says nothing for long. */
static void test_patience(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, HOLD);
    struct single single;
    int64_t began = clock_mono();

    (void)state;
    single_begin(&single, script, "PUT");
    http_free(single.http);
    single.http = new_http(4, 100, 0);
    single.probe.request.patience = 400;
    single_run(&single);
    assert_error(&single.probe, ERROR_TIMEOUT, true, "nothing moved for 500 ms");
    assert_true(clock_mono() - began >= 500);
    single_end(&single);
}

static void test_stalled_upload(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, HEAD, WAIT);
    struct single single;

    (void)state;
    single_begin(&single, script, "PUT");
    http_free(single.http);
    single.http = new_http(4, 200, 0);
    single.probe.upload_size =
        (int64_t)1024 * 1024 * 1024 * 1024; /* the kernel's buffers are full before that */
    single_run(&single);
    assert_error(&single.probe, ERROR_TIMEOUT, true, "nothing moved");
    assert_true(single.probe.request.sent > 0);
    assert_int_equal(write(single.server.gate[1], "", 1), 1);
    single_end(&single);
}

static void test_no_tls_handshake(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, HOLD);
    struct http_limits limits = {4, 200, 30000, 0, 0, 0, 0, 0};
    struct error error = {0};
    struct single single;

    (void)state;
    single_begin(&single, script, "GET");
    http_free(single.http);
    single.http = http_new(&limits, &error);
    snprintf(single.probe.url, sizeof single.probe.url, "https://localhost:%d/", single.server.port);
    single_run(&single);
    assert_int_equal(single.probe.request.error.kind, ERROR_UNREACHABLE);
    assert_true(single.probe.request.retryable);
    assert_non_null(strstr(single.probe.request.error.text, "no connection within 200 ms"));
    single_end(&single);
}

/* ---- retries ---- */

static void test_retry_after(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 3\r\n\r\n"),
               REQUEST, SEND(ANSWER_200), HOLD);
    struct server server;
    struct http *http = new_http(4, 30000, 3);
    struct probe probe;
    int64_t begin = clock_mono();
    FILE *told = tmpfile();
    char text[400];
    ssize_t n;

    (void)state;
    assert_non_null(told);
    log_to(fileno(told)); /* a wait of that length is told */
    server_start(&server, script);
    probe_init(&probe, &server, "GET", "/");
    probe.on_status = HTTP_RETRY;
    probe.final_error = "busy";
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_int_equal(probe.request.error.kind, ERROR_NONE);
    assert_int_equal(probe.request.status, 200);
    assert_int_equal(probe.request.attempts, 2);
    assert_int_equal(probe.request.retry_after, 0); /* of the last attempt */
    assert_int_equal(probe.retry_after, 3000);
    assert_true(clock_mono() - begin >= 3000);
    n = pread(fileno(told), text, sizeof text - 1, 0);
    log_to(STDERR_FILENO);
    fclose(told);
    assert_true(n > 0);
    text[n] = '\0';
    assert_non_null(strstr(text, "warning: trying again in 3 s (attempt 2 of 4): busy\n"));
    assert_string_equal(buf_str(&probe.body), "ok");
    assert_int_equal(http_retry(http)->tokens, RETRY_BUDGET - RETRY_COST + 1);
    probe_free(&probe);
    http_free(http);
    assert_true(server_finish(&server));
    assert_int_equal(server.connections, 1);
    buf_free(&server.seen);
}

static void test_retries_end(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_503), REQUEST, SEND(ANSWER_503), REQUEST, SEND(ANSWER_503), HOLD);
    static const char *const errors[] = {"what the owner says", NULL};
    static const enum http_verdict verdicts[] = {HTTP_RETRY, HTTP_RETRY_NOW};
    struct server server;
    struct http *http;
    struct probe probe;

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        http = new_http(4, 30000, 2); /* two retries of either kind */
        server_start(&server, script);
        probe_init(&probe, &server, "GET", "/");
        probe.on_status = verdicts[i % 2];
        probe.final_error = errors[i / 2];
        http_submit(http, &probe.request);
        run(http, &probe.request);
        assert_int_equal(probe.request.attempts, 3);
        assert_int_equal(probe.finished, 3);
        assert_int_equal(http_requests(http), 3);
        if (probe.final_error != NULL)
            assert_string_equal(probe.request.error.text, probe.final_error);
        else
            assert_error(&probe, ERROR_UNREACHABLE, false, "still status 503 after 3 attempts");
        probe_free(&probe);
        http_free(http);
        assert_true(server_finish(&server));
        buf_free(&server.seen);
    }
}

static void test_budget_is_shared(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_503), HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "GET");
    http_retry(single.http)->limit = 5;
    http_retry(single.http)->tokens = RETRY_COST - 1;
    single.probe.on_status = HTTP_RETRY;
    single_run(&single);
    assert_int_equal(single.probe.request.attempts, 1);
    single_end(&single);
}

static void test_transport_error_is_retried(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, RESET, ACCEPT, REQUEST,
                                              SEND("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"),
                                              HANG_UP, ACCEPT, REQUEST, SEND(ANSWER_200), HOLD);
    struct server server;
    struct http *http = new_http(4, 30000, 3);
    struct probe probe;

    (void)state;
    server_start(&server, script);
    probe_init(&probe, &server, "PUT", "/");
    probe.upload_size = 40000;
    probe.on_error = HTTP_RETRY;
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_int_equal(probe.request.error.kind, ERROR_NONE);
    assert_int_equal(probe.request.status, 200);
    assert_int_equal(probe.request.attempts, 3);
    assert_int_equal(probe.request.sent, 40000);
    assert_int_equal(probe.request.received, 2);
    assert_string_equal(buf_str(&probe.body), "ok");
    probe_free(&probe);
    http_free(http);
    assert_true(server_finish(&server));
    buf_free(&server.seen);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transport_errors),
        cmocka_unit_test(test_heads_that_are_too_large),
        cmocka_unit_test(test_connection_refused),
        cmocka_unit_test(test_name_that_does_not_exist),
        cmocka_unit_test(test_urls_that_are_none),
        cmocka_unit_test(test_header_injection_is_refused),
        cmocka_unit_test(test_prepare_that_fails),
        cmocka_unit_test(test_tls_handshakes_that_fail),
        cmocka_unit_test(test_ca_file_that_does_not_exist),
        cmocka_unit_test(test_proxy_that_refuses),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_a_request_that_takes_too_long),
        cmocka_unit_test(test_patience),
        cmocka_unit_test(test_stalled_upload),
        cmocka_unit_test(test_no_tls_handshake),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_retries_end),
        cmocka_unit_test(test_budget_is_shared),
        cmocka_unit_test(test_transport_error_is_retried),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
