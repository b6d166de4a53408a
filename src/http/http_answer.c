/*
 * RFC 9112, sections 4 and 5 (status line, field lines), 7.1.2 (trailer section); RFC 9110, 10.2.3 and 15.2.
 * Obsolete line folding (RFC 9112, 5.2) is passed over: no object store sends it.
 */
#include "http_answer.h"

#include "clock.h"
#include "text.h"

#include <string.h>

#define SPACE " \t\r\n"

/* "HTTP/1.1 200 OK" -> 200; 0 if it is no status line. */
static int status_of(const char *line, size_t len)
{
    const char *space;
    const char *digits;

    if (len < 5 || memcmp(line, "HTTP/", 5) != 0)
        return 0;
    space = memchr(line, ' ', len);
    if (space == NULL || line + len - space < 4)
        return 0;
    digits = space + 1;
    if (!text_is_digit(digits[0]) || !text_is_digit(digits[1]) || !text_is_digit(digits[2]))
        return 0;
    return (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0');
}

static enum http_line split_header(const char *line, size_t len, struct http_header *header)
{
    char *colon;
    char *value;
    char *p;

    memcpy(header->text, line, len);
    header->text[len] = '\0';
    colon = memchr(header->text, ':', len);
    if (colon == NULL || colon == header->text || text_is_one_of(line[0], SPACE))
        return HTTP_LINE_IGNORED;
    *colon = '\0';
    for (p = header->text; p < colon; p++)
        *p = text_lower(*p);
    value = colon + 1;
    while (text_is_one_of(*value, SPACE))
        value++;
    header->name = header->text;
    header->value = value;
    return HTTP_LINE_HEADER;
}

/* RFC 9110, 8.6. */
static bool keep_length(struct http_answer *answer, const char *value)
{
    uint64_t length = 0;
    const char *p;

    for (p = value; text_is_digit(*p); p++) {
        if (length > (UINT64_MAX - 9) / 10)
            return false;
        length = length * 10 + (uint64_t)(*p - '0');
    }
    if (p == value || *p != '\0' || (answer->length_known && answer->length != length))
        return false;
    answer->length_known = true;
    answer->length = length;
    return true;
}

enum http_line http_answer_line(struct http_answer *answer, const char *line, size_t len,
                                struct http_header *header)
{
    enum http_line kind;
    int status;

    if (len > HTTP_HEAD_MAX - answer->size)
        return HTTP_LINE_TOO_LARGE;
    answer->size += len;
    while (len > 0 && text_is_one_of(line[len - 1], SPACE))
        len--;
    if (len > HTTP_HEADER_MAX)
        return HTTP_LINE_TOO_LARGE;
    if (answer->ended)
        return HTTP_LINE_IGNORED;
    if (answer->status == 0) {
        status = status_of(line, len);
        if (status < 200)
            return HTTP_LINE_IGNORED;
        answer->status = status;
        return HTTP_LINE_STATUS;
    }
    if (len == 0) {
        answer->ended = true;
        return HTTP_LINE_IGNORED;
    }
    kind = split_header(line, len, header);
    if (kind == HTTP_LINE_HEADER && strcmp(header->name, "content-length") == 0 &&
        !keep_length(answer, header->value))
        return HTTP_LINE_BAD_LENGTH;
    return kind;
}

int64_t http_retry_after(const char *value, int64_t wall)
{
    const char *p = value;
    int64_t wait = 0;
    int64_t date;

    while (text_is_digit(*p) && wait < HTTP_RETRY_AFTER_MAX)
        wait = wait * 10 + (int64_t)(*p++ - '0') * 1000;
    while (text_is_digit(*p))
        p++;
    if (p == value || *p != '\0') {
        date = clock_parse_http(value);
        wait = date == CLOCK_UNKNOWN || date <= wall ? 0 : date - wall;
    }
    return wait < HTTP_RETRY_AFTER_MAX ? wait : HTTP_RETRY_AFTER_MAX;
}
