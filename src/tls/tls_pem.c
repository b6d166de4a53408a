#include "tls_cert.h"

#include <string.h>

/* One line, without its end and without the white space (or byte order mark) around it. Takes it off `in`. */
static struct tls_span take_pem_line(struct tls_span *in)
{
    const unsigned char *end = memchr(in->data, '\n', in->len);
    struct tls_span line = {in->data, end != NULL ? (size_t)(end - in->data) : in->len};
    size_t taken = line.len + (end != NULL);

    in->data += taken;
    in->len -= taken;
    if (line.len >= 3 && memcmp(line.data, "\xEF\xBB\xBF", 3) == 0) {
        line.data += 3;
        line.len -= 3;
    }
    for (; line.len > 0 && strchr(" \t\r\f\v", line.data[0]) != NULL && line.data[0] != '\0'; line.len--)
        line.data++;
    while (line.len > 0 && line.data[line.len - 1] != '\0' &&
           strchr(" \t\r\f\v", line.data[line.len - 1]) != NULL)
        line.len--;
    return line;
}

enum label { LABEL_NONE, LABEL_OTHER, LABEL_CERTIFICATE, LABEL_TRUSTED };

/* What the line "-----BEGIN ...-----", or END, is about. */
static enum label label_of(struct tls_span line, const char *word)
{
    size_t start = strlen(word);

    if (line.len < start + 5 || memcmp(line.data, word, start) != 0 ||
        memcmp(line.data + line.len - 5, "-----", 5) != 0)
        return LABEL_NONE;
    line.data += start;
    line.len -= start + 5;
    if (TLS_IS(line, "CERTIFICATE") || TLS_IS(line, "X509 CERTIFICATE"))
        return LABEL_CERTIFICATE;
    return TLS_IS(line, "TRUSTED CERTIFICATE") ? LABEL_TRUSTED : LABEL_OTHER;
}

static int base64_value(unsigned char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 of RFC 4648, section 4, in any number of lines. */
struct base64 {
    unsigned char *out;
    size_t len;
    uint32_t bits;
    int digits; /* in `bits` */
    int padding;
};

static bool base64_add(struct base64 *base64, struct tls_span line)
{
    for (size_t i = 0; i < line.len; i++) {
        int value = base64_value(line.data[i]);

        if (line.data[i] == '=') {
            base64->padding++;
            continue;
        }
        if (line.data[i] == ' ' || line.data[i] == '\t')
            continue;
        if (value < 0 || base64->padding > 0)
            return false;
        base64->bits = base64->bits << 6 | (uint32_t)value;
        if (++base64->digits < 4)
            continue;
        base64->out[base64->len++] = (unsigned char)(base64->bits >> 16);
        base64->out[base64->len++] = (unsigned char)(base64->bits >> 8);
        base64->out[base64->len++] = (unsigned char)base64->bits;
        base64->digits = 0;
    }
    return true;
}

/* The last one to three digits. */
static bool base64_end(struct base64 *base64)
{
    if (base64->digits == 0)
        return base64->padding == 0;
    if (base64->digits + base64->padding != 4 || base64->digits == 1)
        return false;
    base64->bits <<= 6 * base64->padding;
    base64->out[base64->len++] = (unsigned char)(base64->bits >> 16);
    if (base64->digits == 3)
        base64->out[base64->len++] = (unsigned char)(base64->bits >> 8);
    return true;
}

/* Decodes the lines of a block up to its END line into `out`, which is not behind them. On damage `in` is
 * at the line that may begin the next block. */
static bool take_block(struct tls_span *in, enum label label, unsigned char *out, size_t *len)
{
    struct base64 base64 = {0};

    base64.out = out;
    while (in->len > 0) {
        struct tls_span before = *in;
        struct tls_span line = take_pem_line(in);

        if (label_of(line, "-----END ") == label) {
            *len = base64.len;
            if (!base64_end(&base64))
                return false;
            *len = base64.len;
            return true;
        }
        if (label_of(line, "-----BEGIN ") != LABEL_NONE) {
            *in = before;
            return false;
        }
        if (!base64_add(&base64, line))
            return false;
    }
    return false;
}

/* The X509_CERT_AUX behind a TRUSTED CERTIFICATE: SEQUENCE { trust SEQUENCE OF OID OPTIONAL, reject [0]
 * SEQUENCE OF OID OPTIONAL, ... }. Is it, by that, trusted to vouch for servers? */
static bool trusted_for_servers(struct tls_span aux)
{
    struct tls_span content;
    struct tls_span purposes;
    bool clients;

    if (aux.len == 0)
        return true;
    if (!tls_der_expect(&aux, DER_SEQUENCE, &content))
        return false;
    if (content.len > 0 && content.data[0] == DER_SEQUENCE &&
        (!tls_der_expect(&content, DER_SEQUENCE, &purposes) || !tls_cert_for_servers(purposes, &clients)))
        return false;
    return !tls_der_expect(&content, DER_EXPLICIT, &purposes) || !tls_cert_for_servers(purposes, &clients);
}

struct decoding {
    unsigned char *out; /* where the next certificate goes */
    bool (*keep)(void *ctx, const struct tls_cert *cert);
    void *ctx;
    int *damaged;
};

/* Takes or leaves the certificate (with what follows it) that is in `der`, at decoding->out. */
static void add_decoded(struct decoding *decoding, struct tls_span der, enum label label)
{
    struct tls_span rest = der;
    struct tls_span content;
    struct tls_cert cert;

    if (!tls_der_expect(&rest, DER_SEQUENCE, &content) || (rest.len > 0 && label != LABEL_TRUSTED) ||
        !tls_cert_parse((struct tls_span){der.data, der.len - rest.len}, &cert))
        (*decoding->damaged)++;
    else if (trusted_for_servers(rest) && decoding->keep(decoding->ctx, &cert))
        decoding->out += der.len - rest.len;
}

size_t tls_pem_decode(unsigned char *file, size_t len, bool (*keep)(void *ctx, const struct tls_cert *cert),
                      void *ctx, int *damaged)
{
    struct decoding decoding = {file, keep, ctx, damaged};
    struct tls_span in = {file, len};

    *damaged = 0;
    if (len > 0 && file[0] == DER_SEQUENCE) {
        add_decoded(&decoding, in, LABEL_CERTIFICATE);
        return (size_t)(decoding.out - file);
    }
    while (in.len > 0) {
        enum label label = label_of(take_pem_line(&in), "-----BEGIN ");
        size_t size = 0;

        if (label != LABEL_CERTIFICATE && label != LABEL_TRUSTED)
            continue;
        if (take_block(&in, label, decoding.out, &size))
            add_decoded(&decoding, (struct tls_span){decoding.out, size}, label);
        else
            (*damaged)++;
    }
    return (size_t)(decoding.out - file);
}
