/*
 * der_hand - certificates written by hand: DER as strings of hex digits, put together from the inside out.
 *
 *     T("30", T("06", "550403", NULL), T("0C", "41", NULL), NULL)
 *
 * is a SEQUENCE of an OID and a UTF8String. Everything lives until the program ends.
 */
#ifndef STORSYNC_DER_HAND_H
#define STORSYNC_DER_HAND_H

#include "tls_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char hand_pool[4 * 1024 * 1024];
static size_t hand_used;

static char *hand_take(size_t len)
{
    char *start = hand_pool + hand_used;

    hand_used += len + 1;
    assert_true(hand_used <= sizeof hand_pool);
    start[len] = '\0';
    return start;
}

/* An element: its tag, and what is in it, up to NULL. All in hex. */
static const char *T(const char *tag, ...)
{
    size_t len = 0;
    char head[16];
    const char *part;
    char *out;
    va_list parts;

    va_start(parts, tag);
    while ((part = va_arg(parts, const char *)) != NULL)
        len += strlen(part);
    va_end(parts);
    snprintf(head, sizeof head,
             len / 2 < 0x80    ? "%s%02zX"
             : len / 2 < 0x100 ? "%s81%02zX"
                               : "%s82%04zX",
             tag, len / 2);
    out = hand_take(strlen(head) + len);
    strcpy(out, head);
    va_start(parts, tag);
    while ((part = va_arg(parts, const char *)) != NULL)
        strcat(out, part);
    va_end(parts);
    return out;
}

/* Characters as hex. */
static const char *X(const char *text)
{
    char *out = hand_take(2 * strlen(text));

    for (size_t i = 0; text[i] != '\0'; i++)
        sprintf(out + 2 * i, "%02X", (unsigned char)text[i]);
    return out;
}

/* `count` times the same. */
static const char *REPEAT(const char *hex, size_t count)
{
    char *out = hand_take(strlen(hex) * count);

    for (size_t i = 0; i < count; i++)
        memcpy(out + i * strlen(hex), hex, strlen(hex));
    return out;
}

static inline const char *hand_join(const char *a, const char *b)
{
    char *out = hand_take(strlen(a) + strlen(b));

    strcpy(out, a);
    return strcat(out, b);
}

static struct tls_span bytes(const char *hex)
{
    size_t len = strlen(hex) / 2;
    unsigned char *out = (unsigned char *)hand_take(len);
    unsigned value;

    for (size_t i = 0; i < len; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &value), 1);
        out[i] = (unsigned char)value;
    }
    return (struct tls_span){out, len};
}

/* A name with one attribute: its type as in "03" for CN, and its tag. */
static const char *hand_name(const char *type, const char *tag, const char *text)
{
    return T("30", T("31", T("30", T("06", "5504", type, NULL), T(tag, X(text), NULL), NULL), NULL), NULL);
}

#define SHA256_RSA "300D06092A864886F70D01010B0500"
#define SHA1_RSA "300D06092A864886F70D0101050500"
#define RSA_KEY "300D06092A864886F70D0101010500"
#define EC_OID "06072A8648CE3D0201"
#define P256_OID "06082A8648CE3D030107"

/* What a certificate is made of; NULL: what is usual. */
struct hand_cert {
    const char *version, *serial, *inner, *issuer, *not_before, *not_after, *subject, *key, *tail,
        *extensions, *outer;
    const char *signature;
};

static const char *hand_rsa_key(size_t len, const char *exponent)
{
    return T(
        "30", RSA_KEY,
        T("03", "00", T("30", T("02", "00", REPEAT("F1", len), NULL), T("02", exponent, NULL), NULL), NULL),
        NULL);
}

static const char *hand_ec_key(const char *curve, size_t len)
{
    return T("30", T("30", EC_OID, curve, NULL), T("03", "0004", REPEAT("11", len - 1), NULL), NULL);
}

static struct tls_span hand_make(const struct hand_cert *c)
{
#define OR(field, usual) (c->field != NULL ? c->field : (usual))
    const char *extensions = c->extensions == NULL   ? ""
                             : c->extensions[0] == 0 ? ""
                                                     : T("A3", T("30", c->extensions, NULL), NULL);
    const char *inner = T("30", OR(version, "A003020102"), OR(serial, "020101"), OR(inner, SHA256_RSA),
                          OR(issuer, hand_name("03", "0C", "issuer")),
                          T("30", OR(not_before, T("17", X("200101000000Z"), NULL)),
                            OR(not_after, T("18", X("21000101000000Z"), NULL)), NULL),
                          OR(subject, hand_name("03", "0C", "subject")), OR(key, hand_rsa_key(256, "010001")),
                          OR(tail, ""), extensions, NULL);

    return bytes(
        T("30", inner, OR(outer, SHA256_RSA), OR(signature, T("03", "00", REPEAT("55", 256), NULL)), NULL));
#undef OR
}

/* An extension of id-ce: its last byte, "0101FF" if critical, and the value. */
static const char *hand_extension(const char *number, const char *critical, const char *value)
{
    return T("30", T("06", "551D", number, NULL), critical, T("04", value, NULL), NULL);
}

#endif
