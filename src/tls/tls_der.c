#include "tls_cert.h"

#include <string.h>

/* Up to 3 bytes: 16 MiB, and no file is that large. */
static bool take_length(struct tls_span *in, size_t *len)
{
    size_t bytes;

    if (in->len == 0)
        return false;
    *len = *in->data++;
    in->len--;
    if (*len < 0x80)
        return true;
    bytes = *len & 0x7F;
    if (bytes == 0 || bytes > 3 || bytes > in->len || in->data[0] == 0)
        return false;
    *len = 0;
    for (; bytes > 0; bytes--, in->len--)
        *len = *len << 8 | *in->data++;
    return *len >= 0x80;
}

bool tls_der_take(struct tls_span *in, unsigned *tag, struct tls_span *value)
{
    struct tls_span rest = *in;
    size_t len;

    if (rest.len == 0 || (rest.data[0] & 0x1F) == 0x1F)
        return false;
    *tag = *rest.data++;
    rest.len--;
    if (!take_length(&rest, &len) || len > rest.len)
        return false;
    *value = (struct tls_span){rest.data, len};
    *in = (struct tls_span){rest.data + len, rest.len - len};
    return true;
}

bool tls_der_expect(struct tls_span *in, unsigned tag, struct tls_span *value)
{
    struct tls_span rest = *in;
    unsigned found;

    if (!tls_der_take(&rest, &found, value) || found != tag)
        return false;
    *in = rest;
    return true;
}

bool tls_span_equal(struct tls_span a, struct tls_span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}
