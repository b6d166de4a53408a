/* http_answer: the head of an answer, and Retry-After. */
#include "http_answer.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum http_line feed(struct http_answer *answer, const char *line, struct http_header *header)
{
    return http_answer_line(answer, line, strlen(line), header);
}

static void test_head(void **state)
{
    struct http_answer answer = {0};
    struct http_header header;

    (void)state;
    assert_int_equal(feed(&answer, "HTTP/1.1 206 Partial Content\r\n", &header), HTTP_LINE_STATUS);
    assert_int_equal(answer.status, 206);
    assert_int_equal(feed(&answer, "ETag:\"x\"\r\n", &header), HTTP_LINE_HEADER);
    assert_string_equal(header.name, "etag");
    assert_string_equal(header.value, "\"x\"");
    assert_int_equal(feed(&answer, "X-Amz-META-a_B: \t a: b \t\r\n", &header), HTTP_LINE_HEADER);
    assert_string_equal(header.name, "x-amz-meta-a_b");
    assert_string_equal(header.value, "a: b");
    assert_int_equal(feed(&answer, "Empty:\n", &header), HTTP_LINE_HEADER);
    assert_string_equal(header.value, "");
    assert_int_equal(feed(&answer, "Last: line", &header), HTTP_LINE_HEADER);
    assert_string_equal(header.value, "line");
    assert_false(answer.ended);
    assert_int_equal(feed(&answer, "\r\n", &header), HTTP_LINE_IGNORED);
    assert_true(answer.ended);
    assert_int_equal(feed(&answer, "X-Trailer: 1\r\n", &header), HTTP_LINE_IGNORED);
    assert_int_equal(feed(&answer, "HTTP/1.1 500 No\r\n", &header), HTTP_LINE_IGNORED);
    assert_int_equal(answer.status, 206);
}

static void test_interim(void **state)
{
    struct http_answer answer = {0};
    struct http_header header;

    (void)state;
    assert_int_equal(feed(&answer, "HTTP/1.1 100 Continue\r\n", &header), HTTP_LINE_IGNORED);
    assert_int_equal(feed(&answer, "X: interim\r\n", &header), HTTP_LINE_IGNORED);
    assert_int_equal(feed(&answer, "\r\n", &header), HTTP_LINE_IGNORED);
    assert_false(answer.ended);
    assert_int_equal(feed(&answer, "HTTP/1.0 503\r\n", &header), HTTP_LINE_STATUS);
    assert_int_equal(answer.status, 503);
}

static void test_lines_that_are_none(void **state)
{
    static const char *const statuses[] = {"HTTP/1.1",    "HTTP/1.1 ",       "HTTP/1.1 2x0 OK",
                                           "HTTP/1.1 20", "http/1.1 200 OK", ""};
    static const char *const headers[] = {"no colon\r\n", ": no name\r\n", " folded: line\r\n",
                                          "\tfolded: line\r\n"};
    struct http_answer answer = {0};
    struct http_header header;

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
        assert_int_equal(feed(&answer, statuses[i], &header), HTTP_LINE_IGNORED);
    assert_int_equal(answer.status, 0);
    assert_int_equal(feed(&answer, "HTTP/1.1 200 OK\r\n", &header), HTTP_LINE_STATUS);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++)
        assert_int_equal(feed(&answer, headers[i], &header), HTTP_LINE_IGNORED);
    assert_false(answer.ended);
}

static void test_limits(void **state)
{
    struct http_answer answer = {0};
    struct http_header header;
    char *line = malloc(HTTP_HEADER_MAX + 3);

    (void)state;
    assert_non_null(line);
    memset(line, 'v', HTTP_HEADER_MAX + 1);
    line[1] = ':';
    memcpy(line + HTTP_HEADER_MAX, "\r\n", 3);
    assert_int_equal(feed(&answer, "HTTP/1.1 200 OK\r\n", &header), HTTP_LINE_STATUS);
    assert_int_equal(feed(&answer, line, &header), HTTP_LINE_HEADER);
    assert_int_equal(strlen(header.value), HTTP_HEADER_MAX - 2);
    line[HTTP_HEADER_MAX] = 'v';
    line[HTTP_HEADER_MAX + 1] = '\0';
    assert_int_equal(feed(&answer, line, &header), HTTP_LINE_TOO_LARGE);

    answer = (struct http_answer){0};
    line[HTTP_HEADER_MAX] = '\0';
    for (size_t i = 0; i < HTTP_HEAD_MAX / HTTP_HEADER_MAX; i++) /* interim lines count, too */
        assert_int_equal(feed(&answer, line, &header), HTTP_LINE_IGNORED);
    assert_int_equal(answer.size, HTTP_HEAD_MAX);
    assert_int_equal(feed(&answer, "x", &header), HTTP_LINE_TOO_LARGE);
    free(line);
}

/* Where the body ends must be certain. */
static void test_content_length(void **state)
{
    static const char *const bad[] = {
        "", "x", "-1", "+1", "1 2", "0x10", "1, 1", "1,2", "99999999999999999999"};
    struct http_header header;
    char line[80];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct http_answer answer = {0};

        feed(&answer, "HTTP/1.1 200 OK\r\n", &header);
        snprintf(line, sizeof line, "Content-Length: %s\r\n", bad[i]);
        assert_int_equal(feed(&answer, line, &header), HTTP_LINE_BAD_LENGTH);
    }
    {
        struct http_answer answer = {0};

        feed(&answer, "HTTP/1.1 200 OK\r\n", &header);
        assert_int_equal(feed(&answer, "content-length:  18\r\n", &header), HTTP_LINE_HEADER);
        assert_int_equal(feed(&answer, "Content-Length: 18\r\n", &header), HTTP_LINE_HEADER);
        assert_int_equal(feed(&answer, "Content-Length: 17\r\n", &header), HTTP_LINE_BAD_LENGTH);
    }
}

static void test_retry_after(void **state)
{
    int64_t date = clock_parse_http("Sun, 06 Nov 1994 08:49:37 GMT");

    (void)state;
    assert_int_equal(http_retry_after("0", 0), 0);
    assert_int_equal(http_retry_after("120", 0), 120000);
    assert_int_equal(http_retry_after("86400", 0), HTTP_RETRY_AFTER_MAX);
    assert_int_equal(http_retry_after("86401", 0), HTTP_RETRY_AFTER_MAX);
    assert_int_equal(http_retry_after("99999999999999999999999999", 0), HTTP_RETRY_AFTER_MAX);
    assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", date - 1500), 1500);
    assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", date + 1), 0);
    assert_int_equal(http_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", 0), HTTP_RETRY_AFTER_MAX);
    assert_int_equal(http_retry_after("", 0), 0);
    assert_int_equal(http_retry_after("-1", 0), 0);
    assert_int_equal(http_retry_after("1.5", 0), 0);
    assert_int_equal(http_retry_after("5 minutes", 0), 0);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_interim),
        cmocka_unit_test(test_lines_that_are_none),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_content_length),
        cmocka_unit_test(test_retry_after),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
