/*
 * http_answer - the head of an HTTP/1.1 answer, line by line. Pure.
 *
 * Lines are fed in as they arrive. What is reported is the final answer only: interim answers (1xx) and the
 * trailer fields after a chunked body are passed over. A head is at most HTTP_HEAD_MAX bytes, all interim
 * answers and trailers included, and a line of it at most HTTP_HEADER_MAX. A Content-Length that is no number, or two that
 * differ, leave open where the body ends (RFC 9112, 6.3): such an answer is none.
 */
#ifndef STORSYNC_HTTP_ANSWER_H
#define STORSYNC_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_HEADER_MAX ((size_t)8 * 1024)
#define HTTP_HEAD_MAX ((size_t)64 * 1024)
#define HTTP_RETRY_AFTER_MAX ((int64_t)24 * 60 * 60 * 1000) /* ms; what http_retry_after gives for more */

/* Zeroed before the first line of an attempt. */
struct http_answer {
    int status;  /* of the final answer, 0 until its status line came */
    bool ended;  /* its head is complete */
    size_t size; /* bytes of all lines so far */
    bool length_known;
    uint64_t length; /* Content-Length */
};

/* One header: `name` in lower case, `value` without surrounding white space; both are in `text`. */
struct http_header {
    const char *name;
    const char *value;
    char text[HTTP_HEADER_MAX + 1];
};

enum http_line {
    HTTP_LINE_STATUS,
    HTTP_LINE_HEADER,
    HTTP_LINE_IGNORED,
    HTTP_LINE_TOO_LARGE,
    HTTP_LINE_BAD_LENGTH,
};

/* Takes one line, with or without its line end. Fills in `header` with HTTP_LINE_HEADER. */
enum http_line http_answer_line(struct http_answer *answer, const char *line, size_t len,
                                struct http_header *header);

/* Milliseconds to wait by the value of a Retry-After header (RFC 9110, 10.2.3): seconds, or a date compared
 * with `wall`. 0 for a time that is over and for what is neither. */
int64_t http_retry_after(const char *value, int64_t wall);

#endif
