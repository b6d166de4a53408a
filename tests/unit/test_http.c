/* http: what is sent, what is made of the answers, pausing, connections, cancelling. */
#include "http_probe.h"

#include "stop.h"

/* ---- answers ---- */

static void test_get(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST,
        SEND(
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Amz-Meta-A:   two words \t\r\nETag: \"q\"\r\n\r\nhello"),
        HOLD);
    struct single single;

    (void)state;
    single_get(&single, script);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.status, 200);
    assert_int_equal(single.probe.request.attempts, 1);
    assert_int_equal(single.probe.request.received, 5);
    assert_int_equal(single.probe.finished, 1);
    assert_int_equal(http_requests(single.http), 1);
    assert_string_equal(buf_str(&single.probe.body), "hello");
    assert_string_equal(buf_str(&single.probe.seen_headers),
                        "content-length=5\nx-amz-meta-a=two words\netag=\"q\"\n");
    single_end(&single);
}

static void test_request_bytes(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 204 No Content\r\n\r\n"), HOLD);
    struct single single;
    const char *seen;

    (void)state;
    single_begin(&single, script, "GET");
    snprintf(single.probe.url, sizeof single.probe.url, "http://127.0.0.1:%d/b/../a/./%%2E//x?y=&z",
             single.server.port);
    single.probe.headers = "X-Full: a:b;c \nX-Empty:\nX-Blank:  \nX-Last: end";
    single_run(&single);
    http_free(single.http);
    single.http = new_http(1, 1, 0); /* the connection is closed, so the server is at its end */
    seen = buf_str(&single.server.seen);
    assert_int_equal(single.probe.request.status, 204);
    assert_ptr_equal(strstr(seen, "GET /b/../a/./%2E//x?y=&z HTTP/1.1\r\nHost: 127.0.0.1:"), seen);
    assert_non_null(strstr(seen, "\r\nX-Full: a:b;c \r\nX-Empty:\r\nX-Blank:\r\nX-Last: end\r\n"));
    assert_non_null(strstr(seen, "\r\nUser-Agent: storsync-init/"));
    assert_null(strstr(seen, "Accept-Encoding"));
    assert_null(strstr(seen, "Expect"));
    assert_null(strstr(seen, "Content-Length"));
    assert_null(strstr(seen, "Cookie"));
    single_end(&single);
}

static void test_chunked_with_trailer(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST,
        SEND(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nX-Late: 1\r\n\r\n"),
        HOLD);
    struct single single;

    (void)state;
    single_get(&single, script);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_string_equal(buf_str(&single.probe.body), "abcdefg");
    assert_string_equal(buf_str(&single.probe.seen_headers), "transfer-encoding=chunked\n");
    single_end(&single);
}

static void test_interim_answers_are_passed_over(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST,
               SEND("HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                    "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nX-Final: 1\r\n\r\ngone"),
               HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "PUT");
    single.probe.upload_size = 10;
    single_run(&single);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.status, 404);
    assert_string_equal(buf_str(&single.probe.seen_headers), "content-length=4\nx-final=1\n");
    assert_string_equal(buf_str(&single.probe.body), "gone");
    single_end(&single);
}

static void test_bodies_that_are_none(void **state)
{
    static const char *const methods[] = {"GET", "HEAD", "DELETE", "GET"};
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), REQUEST,
        SEND("HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n"), REQUEST,
        SEND("HTTP/1.1 204 No Content\r\n\r\n"), REQUEST, SEND("HTTP/1.1 304 Not Modified\r\n\r\n"), HOLD);
    static const int statuses[] = {200, 200, 204, 304};
    struct server server;
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;

    (void)state;
    server_start(&server, script);
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        probe_init(&probe, &server, methods[i], "/");
        http_submit(http, &probe.request);
        run(http, &probe.request);
        assert_int_equal(probe.request.error.kind, ERROR_NONE);
        assert_int_equal(probe.request.status, statuses[i]);
        assert_int_equal(probe.request.received, 0);
        if (i == 1)
            assert_string_equal(buf_str(&probe.seen_headers), "content-length=12345\n");
        probe_free(&probe);
    }
    http_free(http);
    assert_true(server_finish(&server));
    assert_int_equal(server.connections, 1); /* every one of them left the connection usable */
    assert_ptr_equal(strstr(strstr(buf_str(&server.seen), "HEAD / HTTP/1.1"), "Content-Length"), NULL);
    buf_free(&server.seen);
}

static void test_redirect_is_an_answer(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST,
        SEND(
            "HTTP/1.1 301 Moved Permanently\r\nLocation: http://127.0.0.1:1/\r\nx-amz-bucket-region: eu-west-1\r\n"
            "Content-Length: 3\r\n\r\nxml"),
        HOLD);
    struct single single;

    (void)state;
    single_get(&single, script);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.status, 301);
    assert_non_null(strstr(buf_str(&single.probe.seen_headers), "x-amz-bucket-region=eu-west-1\n"));
    assert_string_equal(buf_str(&single.probe.body), "xml");
    single_end(&single);
}

static void test_large_body(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 3000001\r\n\r\n"), FILL(3000001), HOLD);
    struct single single;

    (void)state;
    single_get(&single, script);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.received, 3000001);
    assert_int_equal(single.probe.body.len, 3000001);
    single_end(&single);
}

/* ---- uploads ---- */

static void test_upload(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), REQUEST,
               SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), REQUEST,
               SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), REQUEST,
               SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), HOLD);
    static const struct {
        const char *method;
        int64_t size;
        size_t step;
        const char *head;
        uint64_t sent;
    } rows[] = {
        {"PUT", 2000003, 0, "\r\nContent-Length: 2000003\r\n", 2000003},
        {"POST", 7, 1, "\r\nContent-Length: 7\r\n", 7},
        {"PUT", 0, 0, "\r\nContent-Length: 0\r\n", 0},
        {"POST", -1, 0, "\r\nContent-Length: 0\r\n", 0},
    };
    struct server server;
    struct http *http = new_http(4, 30000, 0);
    struct probe probe;
    const char *at;

    (void)state;
    server_start(&server, script);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        probe_init(&probe, &server, rows[i].method, "/");
        probe.upload_size = rows[i].size;
        probe.upload_step = rows[i].step;
        http_submit(http, &probe.request);
        run(http, &probe.request);
        assert_int_equal(probe.request.error.kind, ERROR_NONE);
        assert_int_equal(probe.request.status, 200);
        assert_int_equal(probe.request.sent, rows[i].sent);
        probe_free(&probe);
    }
    http_free(http);
    assert_true(server_finish(&server));
    assert_int_equal(server.connections, 1);
    at = buf_str(&server.seen);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_ptr_equal(strstr(at, rows[i].method), at);
        assert_non_null(strstr(at, rows[i].head));
        at = strstr(at, "\r\n\r\n") + 4;
        assert_int_equal(strspn(at, "u"), rows[i].sent);
        at += rows[i].sent;
    }
    assert_null(strstr(buf_str(&server.seen), "Expect"));
    assert_null(strstr(buf_str(&server.seen), "chunked"));
    assert_null(strstr(buf_str(&server.seen), "Content-Type"));
    buf_free(&server.seen);
}

static void test_answer_before_the_body_is_sent(void **state)
{
    /* The server reads the head only, answers, and then closes with unread data (a RST). */
    static const struct act script[] =
        SCRIPT(ACCEPT, HEAD,
               SEND("HTTP/1.1 403 Forbidden\r\nContent-Length: 6\r\nConnection: close\r\n\r\ndenied"), HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "PUT");
    single.probe.upload_size = (int64_t)1024 * 1024 * 1024 * 1024;
    single_run(&single);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.status, 403);
    assert_string_equal(buf_str(&single.probe.body), "denied");
    single_end(&single);
}

static void test_answer_while_the_upload_is_paused(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, HEAD, SEND("HTTP/1.1 503 Slow Down\r\nContent-Length: 0\r\nRetry-After: 7\r\n\r\n"), HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "PUT");
    single.probe.upload_size = 100;
    single.probe.upload_pauses = true;
    single_run(&single);
    assert_int_equal(single.probe.request.error.kind, ERROR_NONE);
    assert_int_equal(single.probe.request.status, 503);
    assert_int_equal(single.probe.request.retry_after, 7000);
    assert_int_equal(single.probe.request.sent, 0);
    single_end(&single);
}

/* libcurl would wait for the upload's end. */
static void test_success_before_the_body_is_sent(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, HEAD, SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), HOLD);
    struct single single;

    (void)state;
    for (int pauses = 0; pauses < 2; pauses++) {
        single_begin(&single, script, "PUT");
        single.probe.upload_size = (int64_t)1024 * 1024 * 1024 * 1024;
        single.probe.upload_pauses = pauses != 0;
        single_run(&single);
        assert_int_equal(single.probe.request.error.kind, ERROR_PROTOCOL);
        assert_non_null(strstr(single.probe.request.error.text, "before all of it had been sent"));
        assert_true(single.probe.request.retryable);
        single_end(&single);
    }
}

static void test_upload_that_fails(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "PUT");
    single.probe.upload_size = 100;
    single.probe.upload_fails = true;
    single_run(&single);
    assert_error(&single.probe, ERROR_LOCAL, false, "could not be read");
    assert_int_equal(single.probe.finished, 1);
    single_end(&single);
}

/* ---- pausing ---- */

static void test_paused_upload(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), HOLD);
    struct single single;
    struct http_request *request = &single.probe.request;
    int pauses = 0;

    (void)state;
    single_begin(&single, script, "PUT");
    single.probe.upload_size = 50000;
    single.probe.upload_step = 9000;
    single.probe.upload_pauses = true;
    http_submit(single.http, request);
    while (!request->done) {
        http_step(single.http, 1000);
        if (single.probe.pauses > pauses) {
            pauses = single.probe.pauses;
            single.probe.upload_ready = true;
            http_resume(request);
        }
    }
    assert_int_equal(request->error.kind, ERROR_NONE);
    assert_int_equal(request->sent, 50000);
    assert_int_equal(single.probe.pauses, 6); /* before each of 9,000 + 9,000 + ... + 5,000 */
    single_end(&single);
}

static void test_paused_body(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"), FILL(300000), HOLD);
    struct single single;
    struct http_request *request = &single.probe.request;

    (void)state;
    single_begin(&single, script, "GET");
    single.probe.body_refused = true;
    http_submit(single.http, request);
    while (!request->done) {
        http_step(single.http, 1000);
        if (single.probe.body_refused && single.probe.pauses > 0) {
            single.probe.body_refused = false;
            http_resume(request);
        }
    }
    assert_int_equal(request->error.kind, ERROR_NONE);
    assert_int_equal(request->received, 300000);
    assert_int_equal(single.probe.body.len, 300000);
    assert_int_equal(strspn(buf_str(&single.probe.body), "x"), 300000);
    single_end(&single);
}

/* Who has enough gets what had come with it, and no more until he asks for it: nothing is kept in between. */
static void test_enough_of_a_body(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"), FILL(300000), HOLD);
    struct single single;
    struct http_request *request = &single.probe.request;
    size_t taken;

    (void)state;
    single_begin(&single, script, "GET");
    request->buffer = HTTP_BUFFER_MIN;
    single.probe.has_enough = true;
    http_submit(single.http, request);
    for (int turns = 0; !request->done; turns++) {
        taken = single.probe.body.len;
        http_step(single.http, taken > 0 ? 10 : 1000);
        assert_true(turns < 300000 && single.probe.body.len - taken <= 2 * HTTP_BUFFER_MIN);
        if (taken > 0 && single.probe.body.len == taken)
            http_resume(request);
    }
    assert_int_equal(request->error.kind, ERROR_NONE);
    assert_true(single.probe.pauses > 10);
    assert_int_equal(single.probe.body.len, 300000);
    assert_int_equal(strspn(buf_str(&single.probe.body), "x"), 300000);
    single_end(&single);
}

/* What is held back by max_bytes goes on by itself, and what has had enough does not. */
static void test_who_has_enough_is_not_held(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n"), FILL(300000), HOLD);
    struct http_limits limits = limits_of(1, 30000, 0);
    struct single single;
    struct http_request *request = &single.probe.request;
    struct error error;
    int64_t until;
    size_t taken;

    (void)state;
    single_begin(&single, script, "GET");
    http_free(single.http);
    limits.max_bytes = 40000;
    single.http = http_new(&limits, &error);
    request->buffer = HTTP_BUFFER_LARGE;
    single.probe.has_enough = true;
    http_submit(single.http, request);
    while (single.probe.pauses == 0)
        http_step(single.http, 1000);
    taken = single.probe.body.len;
    until = clock_mono() + 3000;
    while (clock_mono() < until)
        http_step(single.http, 100);
    assert_int_equal(single.probe.body.len, taken);
    assert_false(request->done);
    single_end(&single);
}

/* As in a relay: the body that comes in lets the upload go on, from inside a hook. */
static void test_resume_in_a_hook(void **state)
{
    static const struct act in[] = SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_200), HOLD);
    static const struct act out[] = SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_200), HOLD);
    struct server server;
    struct single single;
    struct probe upload;

    (void)state;
    server_start(&server, out);
    single_begin(&single, in, "GET");
    probe_init(&upload, &server, "PUT", "/");
    upload.upload_size = 100;
    upload.upload_pauses = true;
    single.probe.wakes = &upload;
    http_submit(single.http, &upload.request);
    while (upload.pauses == 0)
        http_step(single.http, 1000);
    single_run(&single);
    run(single.http, &upload.request);
    assert_int_equal(upload.request.status, 200);
    assert_int_equal(upload.request.sent, 100);
    probe_free(&upload);
    single_end(&single);
    assert_true(server_finish(&server));
    buf_free(&server.seen);
}

/* Paused in both directions in turn: the loop sleeps, and the stall limit, smaller than the pause, does not count. Only
 * lower bounds of time are checked. */
static void test_a_paused_request_neither_spins_nor_stalls(void **state)
{
    static const struct act script[] = SCRIPT(
        ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"), FILL(100000), HOLD);
    struct server server;
    struct http *http = new_http(4, 500, 0);
    struct probe probe;
    int64_t begin;

    (void)state;
    server_start(&server, script);
    probe_init(&probe, &server, "PUT", "/");
    probe.upload_size = 10;
    probe.upload_pauses = true;
    probe.body_refused = true;
    http_submit(http, &probe.request);
    while (probe.pauses == 0)
        http_step(http, 1000);
    http_step(http, 0);
    begin = clock_mono();
    for (int i = 0; i < 4; i++)
        http_step(http, 150);
    assert_true(clock_mono() - begin >= 500);
    assert_false(probe.request.done);

    probe.pauses = 0;
    probe.upload_ready = true;
    http_resume(&probe.request);
    while (probe.pauses == 0 && !probe.request.done)
        http_step(http, 1000);
    http_step(http, 0);
    begin = clock_mono();
    for (int i = 0; i < 4; i++)
        http_step(http, 150);
    assert_true(clock_mono() - begin >= 500);
    assert_false(probe.request.done);

    probe.body_refused = false;
    http_resume(&probe.request);
    run(http, &probe.request);
    assert_int_equal(probe.request.error.kind, ERROR_NONE);
    assert_int_equal(probe.request.received, 100000);
    probe_free(&probe);
    http_free(http);
    assert_true(server_finish(&server));
    buf_free(&server.seen);
}

/* ---- kept connections ---- */

/* A kept connection that the server closes when the next request comes: libcurl repeats a request without a
 * body; one whose body was taken cannot be repeated and is the owner's to retry. */
static void test_stale_connection(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_200), HEAD, HANG_UP, ACCEPT, REQUEST, SEND(ANSWER_200), HEAD,
               HANG_UP, ACCEPT, REQUEST, SEND(ANSWER_200), HOLD);
    struct server server;
    struct http *http = new_http(4, 30000, 3);
    struct probe probe;

    (void)state;
    server_start(&server, script);
    for (int i = 0; i < 2; i++) {
        probe_init(&probe, &server, "GET", "/");
        http_submit(http, &probe.request);
        run(http, &probe.request);
        assert_int_equal(probe.request.error.kind, ERROR_NONE);
        assert_int_equal(probe.request.status, 200);
        assert_int_equal(probe.request.attempts, 1);
        probe_free(&probe);
    }
    probe_init(&probe, &server, "PUT", "/");
    probe.upload_size = 3;
    http_submit(http, &probe.request);
    run(http, &probe.request);
    assert_error(&probe, ERROR_UNREACHABLE, true, "closed without an answer");
    assert_int_equal(probe.request.sent, 3);
    probe.on_error = HTTP_RETRY;
    http_submit(http, &probe.request); /* and the same request can be submitted again */
    run(http, &probe.request);
    assert_int_equal(probe.request.status, 200);
    assert_int_equal(probe.request.attempts, 1);
    probe_free(&probe);
    http_free(http);
    assert_true(server_finish(&server));
    assert_int_equal(server.connections, 3);
    buf_free(&server.seen);
}

static void test_connections_are_limited(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_200), REQUEST, SEND(ANSWER_200), REQUEST, SEND(ANSWER_200), HOLD);
    struct server server;
    struct http *http = new_http(1, 30000, 0);
    struct probe probes[3];

    (void)state;
    server_start(&server, script);
    for (int i = 0; i < 3; i++) {
        probe_init(&probes[i], &server, "GET", "/");
        http_submit(http, &probes[i].request);
    }
    for (int i = 0; i < 3; i++)
        run(http, &probes[i].request);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(probes[i].request.status, 200);
        probe_free(&probes[i]);
    }
    http_free(http);
    assert_true(server_finish(&server));
    assert_int_equal(server.connections, 1);
    buf_free(&server.seen);
}

static void test_submit_in_finish(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND(ANSWER_200), REQUEST, SEND(ANSWER_503), HOLD);
    struct single single;
    struct probe next;

    (void)state;
    single_begin(&single, script, "GET");
    probe_init(&next, &single.server, "GET", "/next");
    single.probe.http = single.http;
    single.probe.also = &next.request;
    single_run(&single);
    run(single.http, &next.request);
    assert_int_equal(next.request.status, 503);
    probe_free(&next);
    single_end(&single);
}

/* ---- cancelling and stopping ---- */

/* With a single connection: what waits for another request does not stand in its way. */
static void test_ready_after_another(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfirst"), REQUEST,
               SEND("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nsecond"), HOLD);
    struct single single;
    struct probe first;

    (void)state;
    single_begin(&single, script, "GET");
    http_free(single.http);
    single.http = new_http(1, 30000, 0);
    probe_init(&first, &single.server, "GET", "/first");
    single.probe.http = single.http;
    single.probe.needs = &first;
    single_run(&single);
    assert_string_equal(buf_str(&first.body), "first");
    assert_string_equal(buf_str(&single.probe.body), "second");
    assert_int_equal(single.probe.asked, 2);
    assert_int_equal(single.probe.request.attempts, 1);
    probe_free(&first);
    single_end(&single);
}

/* What it waits for ends without an answer, too. */
static void test_ready_after_a_cancel(void **state)
{
    static const struct act script[] =
        SCRIPT(ACCEPT, REQUEST, WAIT, ACCEPT, REQUEST, SEND("HTTP/1.1 204 No Content\r\n\r\n"), HOLD);
    struct error why = {.kind = ERROR_TIMEOUT};
    struct single single;
    struct probe first;

    (void)state;
    single_begin(&single, script, "GET");
    probe_init(&first, &single.server, "GET", "/first");
    single.probe.http = single.http;
    single.probe.needs = &first;
    http_submit(single.http, &single.probe.request);
    while (single.server.seen.len == 0)
        http_step(single.http, 10);
    http_cancel(&first.request, &why);
    assert_int_equal(write(single.server.gate[1], "", 1), 1);
    run(single.http, &single.probe.request);
    assert_int_equal(single.probe.request.status, 204);
    probe_free(&first);
    single_end(&single);
}

/* Its own limit is shorter than everybody's, which are none here. */
static void test_time_limit(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "GET");
    single.probe.request.time_limit = 50;
    single_run(&single);
    assert_error(&single.probe, ERROR_TIMEOUT, true, "not done after 50 ms");
    single_end(&single);
}

/* The proxy does not exist. A direct request does not notice, nor does one for what is near. */
static void test_direct(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, SEND("HTTP/1.1 204 No Content\r\n\r\n"), HOLD);
    struct single single;

    (void)state;
    single_begin(&single, script, "GET");
    unsetenv("no_proxy");
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    single_run(&single);
    assert_int_equal(single.probe.request.status, 204);
    strcpy(single.probe.url, "http://192.0.2.1/"); /* RFC 5737: nobody's */
    single_run(&single);
    assert_non_null(strstr(single.probe.request.error.text, "192.0.2.1: cannot connect to the proxy"));
    single.probe.request.direct = true;
    single.probe.request.time_limit = 50;
    single_run(&single);
    assert_null(strstr(single.probe.request.error.text, "proxy"));
    unsetenv("http_proxy");
    single_end(&single);
}

static void test_cancel(void **state)
{
    static const struct act script[] = SCRIPT(ACCEPT, REQUEST, HOLD, ACCEPT, HOLD);
    struct server server;
    struct http *http = new_http(1, 30000, 3);
    struct probe active, waiting, left;
    struct error why = {0};

    (void)state;
    error_set(&why, ERROR_INTERRUPTED, "interrupted");
    server_start(&server, script);
    probe_init(&active, &server, "GET", "/");
    probe_init(&waiting, &server, "GET", "/");
    probe_init(&left, &server, "GET", "/");
    http_cancel(&left.request, &why); /* at rest */
    assert_false(left.request.done);
    http_submit(http, &active.request);
    http_submit(http, &waiting.request);
    http_submit(http, &left.request);
    while (http_requests(http) == 0)
        http_step(http, 1000);
    http_cancel(&waiting.request, &why);
    http_cancel(&active.request, &why);
    assert_true(active.request.done && waiting.request.done && !left.request.done);
    assert_string_equal(active.request.error.text, "interrupted");
    assert_int_equal(waiting.request.attempts, 0);
    assert_int_equal(active.finished, 0);
    while (http_requests(http) == 1)
        http_step(http, 1000);
    http_free(http); /* ends what is left */
    assert_true(left.request.done);
    assert_int_equal(left.request.error.kind, ERROR_INTERRUPTED);
    probe_free(&active);
    probe_free(&waiting);
    probe_free(&left);
    assert_true(server_finish(&server));
    buf_free(&server.seen);
}

static void test_stop_wakes_once(void **state)
{
    struct http *http = new_http(1, 30000, 3);
    struct error error = {0};
    int64_t begin = clock_mono();

    (void)state;
    assert_true(stop_init(&error));
    stop_signal(15);
    http_step(http, 60000);
    assert_true(clock_mono() - begin < 50000);
    begin = clock_mono();
    http_step(http, 50); /* the descriptor is still readable */
    assert_true(clock_mono() - begin >= 49);
    stop_close();
    stop_reset();
    http_free(http);
}

/* Memory is bounded: a few large bodies get large buffers, and give them back. */
static void test_buffers_of_large_bodies(void **state)
{
    static const uint64_t large = UINT64_C(64) << 20;
    struct http *http = new_http(4, 30000, 3);
    struct http_request requests[20];
    size_t usual = http_buffer(http, 1);
    int given = 0;

    (void)state;
    assert_int_equal(http_buffer(http, UINT64_MAX), usual);
    for (size_t i = 0; i < 20; i++) {
        http_request_init(&requests[i]);
        requests[i].buffer = http_buffer(http, large);
        requests[i].large = requests[i].buffer > usual;
        given += requests[i].buffer == HTTP_BUFFER_LARGE;
        http_submit(http, &requests[i]);
    }
    assert_int_equal(given, 8);
    assert_int_equal(http_buffer(http, large), usual);
    http_request_free(&requests[0]);
    assert_int_equal(http_buffer(http, large), HTTP_BUFFER_LARGE);
    for (size_t i = 1; i < 20; i++)
        http_request_free(&requests[i]);
    http_free(http);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_request_bytes),
        cmocka_unit_test(test_chunked_with_trailer),
        cmocka_unit_test(test_interim_answers_are_passed_over),
        cmocka_unit_test(test_bodies_that_are_none),
        cmocka_unit_test(test_redirect_is_an_answer),
        cmocka_unit_test(test_large_body),
        cmocka_unit_test(test_upload),
        cmocka_unit_test(test_answer_before_the_body_is_sent),
        cmocka_unit_test(test_answer_while_the_upload_is_paused),
        cmocka_unit_test(test_success_before_the_body_is_sent),
        cmocka_unit_test(test_upload_that_fails),
        cmocka_unit_test(test_paused_upload),
        cmocka_unit_test(test_paused_body),
        cmocka_unit_test(test_enough_of_a_body),
        cmocka_unit_test(test_who_has_enough_is_not_held),
        cmocka_unit_test(test_resume_in_a_hook),
        cmocka_unit_test(test_a_paused_request_neither_spins_nor_stalls),
        cmocka_unit_test(test_stale_connection),
        cmocka_unit_test(test_connections_are_limited),
        cmocka_unit_test(test_submit_in_finish),
        cmocka_unit_test(test_ready_after_another),
        cmocka_unit_test(test_ready_after_a_cancel),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_stop_wakes_once),
        cmocka_unit_test(test_buffers_of_large_bodies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
