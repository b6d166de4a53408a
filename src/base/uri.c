/* RFC 3986. Percent-encoding: "UriEncode()" in "Signature Calculations for the Authorization Header:
 * Transferring Payload in a Single Chunk", Amazon S3 API Reference. */
#include "uri.h"

#include "text.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#define PORT_MAX 65535

static bool is_unreserved(char c)
{
    return text_is_letter(c) || text_is_digit(c) || text_is_one_of(c, "-._~");
}

static int hex_value(char c)
{
    if (text_is_digit(c))
        return c - '0';
    c = text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uri_encode(struct buf *out, const char *text, const char *keep)
{
    static const char digits[] = "0123456789ABCDEF";

    for (; *text != '\0'; text++) {
        unsigned char byte = (unsigned char)*text;
        char escape[] = {'%', digits[byte >> 4], digits[byte & 15]};
        bool plain = is_unreserved(*text) || text_is_one_of(*text, keep);

        if (!(plain ? buf_putc(out, *text) : buf_append(out, escape, sizeof escape)))
            return false;
    }
    return true;
}

/* The byte that the %XX at `text` stands for, or -1. */
static int escaped_byte(const char *text)
{
    int high = hex_value(text[1]);
    int low = high < 0 ? -1 : hex_value(text[2]);

    return low < 0 ? -1 : high * 16 + low;
}

bool uri_decode(char *text, bool plus)
{
    char *out = text;

    while (*text != '\0') {
        if (*text == '%') {
            int byte = escaped_byte(text);

            if (byte <= 0) {
                *out = '\0';
                return false;
            }
            *out++ = (char)byte;
            text += 3;
        } else {
            *out++ = plus && *text == '+' ? ' ' : *text;
            text++;
        }
    }
    *out = '\0';
    return true;
}

/* The parsers of the parts move *text past what they take. They return what is wrong, or NULL. None of it
 * repeats the text: it may hold a password. */

static const char *parse_scheme(const char **text, struct uri *out)
{
    static const char problem[] = "not an absolute URL, such as https://host:port";
    const char *end = strstr(*text, "://");
    size_t len = end != NULL ? (size_t)(end - *text) : 0;

    if (len == 0 || len >= sizeof out->scheme || !text_is_letter(**text))
        return problem;
    for (size_t i = 0; i < len; i++) {
        char c = (*text)[i];

        if (!text_is_letter(c) && !text_is_digit(c) && !text_is_one_of(c, "+-."))
            return problem;
        out->scheme[i] = text_lower(c);
    }
    *text = end + strlen("://");
    return NULL;
}

/* RFC 3986, 3.2.2. Underscores are in no host name of the DNS, but in many of container networks. */
static bool is_host(const char *host)
{
    struct in6_addr address;
    char inner[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    if (host[0] != '[') {
        while (text_is_letter(*host) || text_is_digit(*host) || text_is_one_of(*host, "-._"))
            host++;
        return *host == '\0';
    }
    if (host[len - 1] != ']' || len - 2 >= sizeof inner)
        return false;
    memcpy(inner, host + 1, len - 2);
    inner[len - 2] = '\0';
    return inet_pton(AF_INET6, inner, &address) == 1;
}

/* The decimal number from `text` to `end`; 0 if it is not a port. */
static int port_number(const char *text, const char *end)
{
    int port = 0;

    for (; text < end; text++) {
        if (!text_is_digit(*text))
            return 0;
        port = port * 10 + (*text - '0');
        if (port > PORT_MAX)
            return 0;
    }
    return port;
}

static const char *parse_authority(const char **text, struct uri *out)
{
    const char *start = *text;
    const char *end = start + strcspn(start, "/?#");
    const char *host_end = start + strcspn(start, *start == '[' ? "]/?#" : ":/?#");
    size_t len;

    if (memchr(start, '@', (size_t)(end - start)) != NULL)
        return "a user name or password in the URL is not supported";
    if (*host_end == ']')
        host_end++;
    len = (size_t)(host_end - start);
    if (len == 0 && strcmp(out->scheme, "file") != 0)
        return "the URL has no host";
    if (len >= sizeof out->host)
        return "the host in the URL is too long";
    for (size_t i = 0; i < len; i++)
        out->host[i] = text_lower(start[i]);
    if (!is_host(out->host) || (host_end < end && *host_end != ':'))
        return "the host in the URL is neither a name nor an address";
    if (host_end < end) {
        out->port = port_number(host_end + 1, end);
        if (out->port == 0)
            return "the port in the URL is not a number from 1 to 65535";
    }
    *text = end;
    return NULL;
}

static const char *parse_path(const char *text, struct uri *out)
{
    size_t len = strcspn(text, "?#");

    if (text[len] != '\0')
        return "a query or fragment in the URL is not supported";
    for (size_t i = 0; i < len; i++) {
        bool fine = text[i] == '%' ? escaped_byte(text + i) > 0
                                   : is_unreserved(text[i]) || text_is_one_of(text[i], "/:@!$&'()*+,;=");

        if (!fine)
            return "the path in the URL has a character that must be written as %XX";
    }
    while (len > 0 && text[len - 1] == '/')
        len--;
    if (len >= sizeof out->path)
        return "the path in the URL is too long";
    memcpy(out->path, text, len);
    return NULL;
}

bool uri_parse(const char *text, const char *what, struct uri *out, struct error *error)
{
    const char *problem;

    *out = (struct uri){0};
    problem = parse_scheme(&text, out);
    if (problem == NULL)
        problem = parse_authority(&text, out);
    if (problem == NULL)
        problem = parse_path(text, out);
    return problem == NULL || error_set(error, ERROR_CONFIG, "%s: %s", what, problem);
}

bool uri_mask(struct buf *out, const char *text)
{
    const char *scheme = strstr(text, "://");
    const char *start = scheme != NULL ? scheme + strlen("://") : text;
    const char *at = strrchr(start, '@');
    const char *query;

    if (*start == '/') /* no authority: a path */
        return buf_puts(out, text);
    buf_append(out, text, (size_t)(start - text));
    if (at != NULL) {
        buf_puts(out, "****@");
        start = at + 1;
    }
    query = strchr(start, '?');
    if (query == NULL)
        return buf_puts(out, start);
    buf_append(out, start, (size_t)(query - start));
    return buf_puts(out, "?****");
}

static bool is_localhost(const char *host)
{
    static const char name[] = "localhost";
    size_t len = strlen(host), tail = sizeof name - 1;

    return len >= tail && strcasecmp(host + len - tail, name) == 0 &&
           (len == tail || host[len - tail - 1] == '.');
}

bool uri_is_loopback(const struct uri *uri)
{
    struct in_addr address;

    if (inet_pton(AF_INET, uri->host, &address) == 1)
        return ntohl(address.s_addr) >> 24 == 127;
    return strcmp(uri->host, "[::1]") == 0 || is_localhost(uri->host);
}

/* `bytes` in the order of the network. */
static bool is_near_v4(const unsigned char *bytes)
{
    return bytes[0] == 127 || bytes[0] == 0 || (bytes[0] == 169 && bytes[1] == 254);
}

static bool is_near_v6(const struct in6_addr *address)
{
    static const unsigned char amazon[] = {0xfd, 0x00, 0x0e, 0xc2};

    return IN6_IS_ADDR_LOOPBACK(address) || IN6_IS_ADDR_UNSPECIFIED(address) ||
           IN6_IS_ADDR_LINKLOCAL(address) || memcmp(address->s6_addr, amazon, sizeof amazon) == 0 ||
           (IN6_IS_ADDR_V4MAPPED(address) && is_near_v4(address->s6_addr + 12));
}

bool uri_is_near(const char *host)
{
    char inner[INET6_ADDRSTRLEN];
    struct in6_addr six;
    struct in_addr four;
    size_t len = strcspn(host, "%]"); /* a zone comes behind a % */

    if (host[0] == '[') {
        if (len > sizeof inner)
            return false;
        memcpy(inner, host + 1, len - 1);
        inner[len - 1] = '\0';
        return inet_pton(AF_INET6, inner, &six) == 1 && is_near_v6(&six);
    }
    if (inet_aton(host, &four) != 0)
        return is_near_v4((const unsigned char *)&four.s_addr);
    return is_localhost(host);
}

static int default_port(const char *scheme)
{
    if (strcmp(scheme, "https") == 0)
        return 443;
    return strcmp(scheme, "http") == 0 ? 80 : 0;
}

bool uri_authority(const struct uri *uri, struct buf *out)
{
    if (uri->port == 0 || uri->port == default_port(uri->scheme))
        return buf_puts(out, uri->host);
    return buf_printf(out, "%s:%d", uri->host, uri->port);
}
