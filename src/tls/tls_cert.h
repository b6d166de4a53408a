/*
 * tls_cert - certificates: DER, PEM, X.509. Pure, and knows nothing of BearSSL, which decides about trust;
 * this finds what may be a trust anchor, checks what BearSSL does not, and what it says is for people.
 * Everything is bounded by its input, nothing is allocated.
 *
 * Only the files of tls include this, and the generator of the built-in roots.
 */
#ifndef STORSYNC_TLS_CERT_H
#define STORSYNC_TLS_CERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- tls_der.c: DER (X.690, section 10): definite and shortest lengths, tags of one byte ---- */

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_UTF8 = 0x0C,
    DER_BMP = 0x1E,
    DER_UTC_TIME = 0x17,
    DER_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80, /* + number: context-specific, primitive */
    DER_EXPLICIT = 0xA0 /* + number: context-specific, constructed */
};

/* Bytes that somebody else owns. */
struct tls_span {
    const unsigned char *data;
    size_t len;
};

/* Takes the first element off `in`: its tag, and what is in it. False, and nothing taken: there is none,
 * or it is damaged. */
bool tls_der_take(struct tls_span *in, unsigned *tag, struct tls_span *value);

/* The same if its tag is `tag`. */
bool tls_der_expect(struct tls_span *in, unsigned tag, struct tls_span *value);

bool tls_span_equal(struct tls_span a, struct tls_span b);

/* Is it the bytes of that string literal? */
#define TLS_IS(span, literal)                                                                                \
    tls_span_equal(span, (struct tls_span){(const unsigned char *)(literal), sizeof(literal) - 1})

/* ---- tls_cert.c: a certificate (RFC 5280, section 4) ---- */

#define TLS_DN_MAX 1024 /* bytes of a name; as in curl, and nobody needs more */

enum tls_key { TLS_KEY_OTHER, TLS_KEY_RSA, TLS_KEY_EC };
enum tls_signature {
    TLS_SIGNATURE_OTHER,
    TLS_SIGNATURE_SHA2,
    TLS_SIGNATURE_SHA1,
    TLS_SIGNATURE_MD5,
    TLS_SIGNATURE_PSS
};

/* The spans point into the certificate. */
struct tls_cert {
    struct tls_span issuer, subject; /* with tag and length: names are compared, and hashed, like this */
    int64_t not_before, not_after;   /* wall */
    enum tls_signature signature;
    size_t signature_len; /* bytes */

    enum tls_key key;
    int curve;            /* number of RFC 8422, 5.1.1 (secp256r1 is 23), 0 for any but the three in use */
    int bits;             /* of the RSA modulus */
    struct tls_span n, e; /* RSA, without leading zeros */
    struct tls_span q;    /* EC: the point */

    int version;                  /* 1 to 3 */
    bool ca;                      /* basicConstraints say so */
    bool has_key_usage, may_sign; /* digitalSignature */
    bool has_extended_usage, for_servers;
    bool for_clients;
    bool has_names;
    struct tls_span names; /* the GeneralNames of subjectAltName */
    bool constrained;      /* has critical nameConstraints */
    bool issuer_elsewhere; /* authorityInfoAccess says where the issuer's certificate can be had */
};

/* False: damaged. `der` is exactly one certificate. */
bool tls_cert_parse(struct tls_span der, struct tls_cert *cert);

/* Is the list of purposes (the content of a SEQUENCE OF OID) one for servers? Sets *clients if it names
 * clients. */
bool tls_cert_for_servers(struct tls_span purposes, bool *clients);

/* Can it be an anchor for BearSSL? */
bool tls_cert_usable(const struct tls_cert *cert);

/* May it be one that signs others? By its basicConstraints; one of version 1, which can have none, if it
 * has signed itself. */
bool tls_cert_is_authority(const struct tls_cert *cert);

/* A name for people: CN, else OU, else O, as valid UTF-8 without control characters, cut to fit. "?" if it
 * has none. */
#define TLS_NAME_SIZE 80
void tls_cert_name(struct tls_span name, char out[TLS_NAME_SIZE]);

/* Appends `text` (UTF-8, or nearly) to the string in `out` of `room` bytes, made safe like that and cut at
 * a character's end. */
void tls_text_append(char *out, size_t room, struct tls_span text);

/* Kind of key in the records of built-in roots (tls_roots.c); else it is the curve. */
#define TLS_ROOT_RSA 1

/* How many bytes of a name's SHA-256 stand for the name in a trust anchor: deps/patches/bearssl says why that is enough. */
#define TLS_NAME_HASH 8

/* ---- tls_pem.c: certificates in a file (RFC 7468, and what OpenSSL writes) ---- */

/*
 * Decodes every certificate of a file in place and moves them to its front, one after the other: what `keep`
 * says no to is left out. Returns how many bytes there are. Base64 always shrinks, so there is room.
 *
 * Takes PEM: blocks CERTIFICATE, X509 CERTIFICATE and TRUSTED CERTIFICATE (whose further data may say that it
 * is not for servers: left out without a word); lines ended as anyone does; white space before them and a
 * byte order mark; whatever else is between blocks. Or DER: the file is one certificate. *damaged counts the
 * blocks that are neither.
 */
size_t tls_pem_decode(unsigned char *file, size_t len, bool (*keep)(void *ctx, const struct tls_cert *cert),
                      void *ctx, int *damaged);

#endif
