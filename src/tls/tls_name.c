/*
 * Is a certificate for this host? RFC 6125, section 6.4, as RFC 9525 narrows it: only subjectAltName counts,
 * and a wildcard is a whole leftmost label. As everywhere, one needs two labels behind it.
 */
#include "tls_internal.h"

#include "text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { NAME_DNS = DER_CONTEXT + 2, NAME_ADDRESS = DER_CONTEXT + 7 };

/* The address in `host`, without brackets or zone; its length in bytes, 0 if it is none. */
static size_t address_of(const char *host, unsigned char out[16])
{
    char text[INET6_ADDRSTRLEN];
    size_t len;

    if (*host == '[')
        host++;
    len = strcspn(host, "]%");
    if (len >= sizeof text)
        return 0;
    memcpy(text, host, len);
    text[len] = '\0';
    if (inet_pton(AF_INET, text, out) == 1)
        return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool equal_nocase(struct tls_span a, struct tls_span b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        if (text_lower((char)a.data[i]) != text_lower((char)b.data[i]))
            return false;
    }
    return true;
}

static bool dns_matches(struct tls_span name, struct tls_span host)
{
    const unsigned char *dot;
    size_t label;

    if (name.len < 3 || name.data[0] != '*' || name.data[1] != '.')
        return name.len > 0 && equal_nocase(name, host);
    name.data++;
    name.len--;
    dot = memchr(host.data, '.', host.len);
    if (dot == NULL || dot == host.data || memchr(name.data + 1, '.', name.len - 1) == NULL)
        return false;
    label = (size_t)(dot - host.data);
    return equal_nocase(name, (struct tls_span){dot, host.len - label});
}

bool tls_names_match(struct tls_span names, const char *host)
{
    unsigned char address[16];
    size_t address_len = address_of(host, address);
    struct tls_span wanted = {(const unsigned char *)host, strlen(host)};
    struct tls_span value;
    unsigned tag;

    if (wanted.len > 1 && host[wanted.len - 1] == '.')
        wanted.len--;
    while (tls_der_take(&names, &tag, &value)) {
        if (address_len == 0 && tag == NAME_DNS && dns_matches(value, wanted))
            return true;
        if (address_len != 0 && tag == NAME_ADDRESS &&
            tls_span_equal(value, (struct tls_span){address, address_len}))
            return true;
    }
    return false;
}

void tls_names_describe(struct tls_span names, char *out, size_t room)
{
    char text[TLS_NAME_SIZE];
    struct tls_span value;
    unsigned tag;
    int more = 0;
    bool first = true;

    out[0] = '\0';
    while (tls_der_take(&names, &tag, &value)) {
        text[0] = '\0';
        if (tag == NAME_DNS)
            tls_text_append(text, sizeof text, value);
        else if (tag != NAME_ADDRESS || (value.len != 4 && value.len != 16) ||
                 inet_ntop(value.len == 4 ? AF_INET : AF_INET6, value.data, text, sizeof text) == NULL)
            continue;
        if (more > 0 || strlen(out) + strlen(text) + sizeof " and 1000 more" > room) {
            more++;
            continue;
        }
        snprintf(out + strlen(out), room - strlen(out), "%s%s", first ? "" : ", ", text);
        first = false;
    }
    if (more > 0)
        snprintf(out + strlen(out), room - strlen(out), " and %d more", more);
}
