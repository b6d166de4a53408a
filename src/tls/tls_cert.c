/*
 * The fields of RFC 5280, 4.1 and 4.2, that matter here; algorithms of RFC 3279, RFC 4055, RFC 5480, RFC
 * 5758.
 */
#include "tls_cert.h"

#include "clock.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

/* OIDs, as DER encodes them. */
#define OID_RSA "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01"
#define OID_RSA_SIGNATURES "\x2A\x86\x48\x86\xF7\x0D\x01\x01" /* and one byte */
#define OID_EC "\x2A\x86\x48\xCE\x3D\x02\x01"
#define OID_ECDSA_SHA1 "\x2A\x86\x48\xCE\x3D\x04\x01"
#define OID_ECDSA_SHA2 "\x2A\x86\x48\xCE\x3D\x04\x03" /* and one byte */
#define OID_P256 "\x2A\x86\x48\xCE\x3D\x03\x01\x07"
#define OID_P384 "\x2B\x81\x04\x00\x22"
#define OID_P521 "\x2B\x81\x04\x00\x23"
#define OID_EXTENSIONS "\x55\x1D" /* and one byte */
#define OID_AUTHORITY_INFO "\x2B\x06\x01\x05\x05\x07\x01\x01"
#define OID_CA_ISSUERS "\x2B\x06\x01\x05\x05\x07\x30\x02"
#define OID_SERVER "\x2B\x06\x01\x05\x05\x07\x03\x01"
#define OID_CLIENT "\x2B\x06\x01\x05\x05\x07\x03\x02"
#define OID_ANY_PURPOSE "\x55\x1D\x25\x00"
#define OID_ATTRIBUTES "\x55\x04" /* and one byte */

enum {
    EXTENSION_KEY_USAGE = 15,
    EXTENSION_NAMES = 17,
    EXTENSION_BASIC = 19,
    EXTENSION_CONSTRAINTS = 30,
    EXTENSION_EXTENDED_USAGE = 37
};

enum { ATTRIBUTE_CN = 3, ATTRIBUTE_O = 10, ATTRIBUTE_OU = 11 };

/* The last byte of an OID that is `prefix` and one byte; -1 if it is not. */
static int oid_below(struct tls_span oid, const char *prefix, size_t len)
{
    if (oid.len != len + 1 || memcmp(oid.data, prefix, len) != 0)
        return -1;
    return oid.data[len];
}
#define OID_BELOW(oid, prefix) oid_below(oid, prefix, sizeof(prefix) - 1)

/* ---- its parts ---- */

/* UTCTime is YYMMDDhhmmssZ with years from 1950 to 2049, GeneralizedTime has YYYY. */
static bool take_asn1_time(struct tls_span *in, int64_t *wall)
{
    struct tls_span value;
    unsigned tag;
    char text[32];
    const char *d;
    const char *century = "";

    if (!tls_der_take(in, &tag, &value) || (tag != DER_UTC_TIME && tag != DER_TIME) ||
        value.len != (tag == DER_TIME ? 15 : 13))
        return false;
    d = (const char *)value.data;
    if (tag == DER_UTC_TIME)
        century = d[0] < '5' ? "20" : "19";
    snprintf(text, sizeof text, "%s%.*s-%.2s-%.2sT%.2s:%.2s:%.3s", century, (int)value.len - 11, d,
             d + value.len - 11, d + value.len - 9, d + value.len - 7, d + value.len - 5, d + value.len - 3);
    *wall = clock_parse_rfc3339(text);
    return *wall != CLOCK_UNKNOWN;
}

static bool parse_signature(struct tls_span algorithm, struct tls_cert *cert)
{
    struct tls_span oid;

    if (!tls_der_expect(&algorithm, DER_OID, &oid))
        return false;
    if (TLS_IS(oid, OID_ECDSA_SHA1))
        cert->signature = TLS_SIGNATURE_SHA1;
    else if (OID_BELOW(oid, OID_ECDSA_SHA2) >= 2)
        cert->signature = TLS_SIGNATURE_SHA2;
    switch (OID_BELOW(oid, OID_RSA_SIGNATURES)) {
    case 2: /* MD2 */
    case 3: /* MD4 */
    case 4:
        cert->signature = TLS_SIGNATURE_MD5;
        break;
    case 5:
        cert->signature = TLS_SIGNATURE_SHA1;
        break;
    case 10:
        cert->signature = TLS_SIGNATURE_PSS;
        break;
    case 11:
    case 12:
    case 13:
        cert->signature = TLS_SIGNATURE_SHA2;
        break;
    default:
        break;
    }
    return true;
}

/* A positive INTEGER, without the zero that keeps it positive. */
static bool take_integer(struct tls_span *in, struct tls_span *number)
{
    if (!tls_der_expect(in, DER_INTEGER, number) || number->len == 0 || number->data[0] >= 0x80)
        return false;
    for (; number->len > 0 && number->data[0] == 0; number->len--)
        number->data++;
    return true;
}

/* The content of a BIT STRING of whole bytes. */
static bool take_bits(struct tls_span *in, struct tls_span *bits)
{
    if (!tls_der_expect(in, DER_BIT_STRING, bits) || bits->len == 0 || bits->data[0] != 0)
        return false;
    bits->data++;
    bits->len--;
    return true;
}

static bool parse_rsa(struct tls_span bits, struct tls_cert *cert)
{
    struct tls_span key;

    if (!tls_der_expect(&bits, DER_SEQUENCE, &key) || !take_integer(&key, &cert->n) ||
        !take_integer(&key, &cert->e) || cert->n.len == 0 || cert->e.len == 0)
        return false;
    cert->key = TLS_KEY_RSA;
    cert->bits = (int)cert->n.len * 8;
    for (unsigned top = cert->n.data[0]; top < 0x80; top <<= 1)
        cert->bits--;
    return true;
}

static int curve_of(struct tls_span oid)
{
    if (TLS_IS(oid, OID_P256))
        return 23;
    if (TLS_IS(oid, OID_P384))
        return 24;
    return TLS_IS(oid, OID_P521) ? 25 : 0;
}

static bool parse_key(struct tls_span info, struct tls_cert *cert)
{
    struct tls_span algorithm;
    struct tls_span oid;
    struct tls_span bits;
    struct tls_span curve;

    if (!tls_der_expect(&info, DER_SEQUENCE, &algorithm) || !tls_der_expect(&algorithm, DER_OID, &oid) ||
        !take_bits(&info, &bits))
        return false;
    if (TLS_IS(oid, OID_RSA))
        return parse_rsa(bits, cert);
    if (TLS_IS(oid, OID_EC)) {
        cert->key = TLS_KEY_EC;
        cert->q = bits;
        cert->curve = tls_der_expect(&algorithm, DER_OID, &curve) ? curve_of(curve) : 0;
    }
    return true;
}

/* ---- extensions ---- */

bool tls_cert_for_servers(struct tls_span purposes, bool *clients)
{
    struct tls_span oid;
    bool found = false;

    *clients = false;
    while (tls_der_expect(&purposes, DER_OID, &oid)) {
        found = found || TLS_IS(oid, OID_SERVER) || TLS_IS(oid, OID_ANY_PURPOSE);
        *clients = *clients || TLS_IS(oid, OID_CLIENT);
    }
    return found;
}

/* BasicConstraints ::= SEQUENCE { cA BOOLEAN DEFAULT FALSE, pathLen INTEGER OPTIONAL } */
static bool parse_basic(struct tls_span value, struct tls_cert *cert)
{
    struct tls_span content;
    struct tls_span flag;

    if (!tls_der_expect(&value, DER_SEQUENCE, &content))
        return false;
    cert->ca = tls_der_expect(&content, DER_BOOLEAN, &flag) && flag.len == 1 && flag.data[0] != 0;
    return true;
}

static bool parse_key_usage(struct tls_span value, struct tls_cert *cert)
{
    struct tls_span bits;

    if (!tls_der_expect(&value, DER_BIT_STRING, &bits) || bits.len == 0)
        return false;
    cert->has_key_usage = true;
    cert->may_sign = bits.len >= 2 && (bits.data[1] & 0x80) != 0;
    return true;
}

/* AuthorityInfoAccess ::= SEQUENCE OF SEQUENCE { accessMethod OID, accessLocation GeneralName } */
static void parse_authority_info(struct tls_span value, struct tls_cert *cert)
{
    struct tls_span list;
    struct tls_span entry;
    struct tls_span method;

    if (!tls_der_expect(&value, DER_SEQUENCE, &list))
        return;
    while (tls_der_expect(&list, DER_SEQUENCE, &entry)) {
        if (tls_der_expect(&entry, DER_OID, &method) && TLS_IS(method, OID_CA_ISSUERS))
            cert->issuer_elsewhere = true;
    }
}

static bool parse_extension(struct tls_span oid, bool critical, struct tls_span value, struct tls_cert *cert)
{
    struct tls_span content;

    switch (OID_BELOW(oid, OID_EXTENSIONS)) {
    case EXTENSION_KEY_USAGE:
        return parse_key_usage(value, cert);
    case EXTENSION_NAMES:
        cert->has_names = true;
        return tls_der_expect(&value, DER_SEQUENCE, &cert->names);
    case EXTENSION_BASIC:
        return parse_basic(value, cert);
    case EXTENSION_CONSTRAINTS:
        cert->constrained = critical;
        return true;
    case EXTENSION_EXTENDED_USAGE:
        cert->has_extended_usage = true;
        if (!tls_der_expect(&value, DER_SEQUENCE, &content))
            return false;
        cert->for_servers = tls_cert_for_servers(content, &cert->for_clients);
        return true;
    default:
        if (TLS_IS(oid, OID_AUTHORITY_INFO))
            parse_authority_info(value, cert);
        return true;
    }
}

/* Extension ::= SEQUENCE { extnID OID, critical BOOLEAN DEFAULT FALSE, extnValue OCTET STRING }. One that
 * comes twice is forbidden (4.2). */
static bool parse_extensions(struct tls_span list, struct tls_cert *cert)
{
    struct tls_span extension;
    struct tls_span oid;
    struct tls_span flag;
    struct tls_span value;
    uint64_t seen = 0;

    while (list.len > 0) {
        bool critical = false;
        int number;

        if (!tls_der_expect(&list, DER_SEQUENCE, &extension) || !tls_der_expect(&extension, DER_OID, &oid))
            return false;
        if (tls_der_expect(&extension, DER_BOOLEAN, &flag))
            critical = flag.len == 1 && flag.data[0] != 0;
        number = OID_BELOW(oid, OID_EXTENSIONS);
        if (number >= 0 && number < 64) {
            if ((seen >> number & 1) != 0)
                return false;
            seen |= UINT64_C(1) << number;
        }
        if (!tls_der_expect(&extension, DER_OCTET_STRING, &value) || extension.len != 0 ||
            !parse_extension(oid, critical, value, cert))
            return false;
    }
    return true;
}

/* ---- the whole ---- */

/* A Name, with its tag and length. */
static bool take_name(struct tls_span *in, struct tls_span *name)
{
    struct tls_span content;

    name->data = in->data;
    if (!tls_der_expect(in, DER_SEQUENCE, &content))
        return false;
    name->len = (size_t)(in->data - name->data);
    return true;
}

/* What follows the public key: issuerUniqueID [1], subjectUniqueID [2], extensions [3], all optional. */
static bool parse_tail(struct tls_span tail, struct tls_cert *cert)
{
    struct tls_span value;
    struct tls_span list;

    tls_der_expect(&tail, DER_CONTEXT + 1, &value);
    tls_der_expect(&tail, DER_CONTEXT + 2, &value);
    if (tail.len == 0)
        return true;
    return tls_der_expect(&tail, DER_EXPLICIT + 3, &value) && tail.len == 0 &&
           tls_der_expect(&value, DER_SEQUENCE, &list) && value.len == 0 && parse_extensions(list, cert);
}

static bool parse_version(struct tls_span *in, struct tls_cert *cert)
{
    struct tls_span wrapped;
    struct tls_span number;

    cert->version = 1;
    if (!tls_der_expect(in, DER_EXPLICIT + 0, &wrapped))
        return true;
    if (!tls_der_expect(&wrapped, DER_INTEGER, &number) || number.len != 1 || number.data[0] > 2)
        return false;
    cert->version = number.data[0] + 1;
    return true;
}

bool tls_cert_parse(struct tls_span der, struct tls_cert *cert)
{
    struct tls_span outer;
    struct tls_span in;
    struct tls_span skipped;
    struct tls_span algorithm;
    struct tls_span dates;
    struct tls_span key;

    *cert = (struct tls_cert){.version = 1};
    return tls_der_expect(&der, DER_SEQUENCE, &outer) && der.len == 0 &&
           tls_der_expect(&outer, DER_SEQUENCE, &in) && parse_version(&in, cert) &&
           tls_der_expect(&in, DER_INTEGER, &skipped) && tls_der_expect(&in, DER_SEQUENCE, &skipped) &&
           take_name(&in, &cert->issuer) && tls_der_expect(&in, DER_SEQUENCE, &dates) &&
           take_asn1_time(&dates, &cert->not_before) && take_asn1_time(&dates, &cert->not_after) &&
           take_name(&in, &cert->subject) && tls_der_expect(&in, DER_SEQUENCE, &key) &&
           parse_key(key, cert) && parse_tail(in, cert) && tls_der_expect(&outer, DER_SEQUENCE, &algorithm) &&
           parse_signature(algorithm, cert) && take_bits(&outer, &skipped) && outer.len == 0 &&
           (cert->signature_len = skipped.len) > 0;
}

bool tls_cert_usable(const struct tls_cert *cert)
{
    static const size_t point_len[] = {65, 97, 133}; /* uncompressed, by curve */

    if (cert->subject.len > TLS_DN_MAX)
        return false;
    if (cert->key == TLS_KEY_RSA)
        return cert->bits >= 2048 && cert->bits <= 4096 && cert->e.len <= 8;
    return cert->key == TLS_KEY_EC && cert->curve != 0 && cert->q.len == point_len[cert->curve - 23] &&
           cert->q.data[0] == 4;
}

bool tls_cert_is_authority(const struct tls_cert *cert)
{
    return cert->ca || (cert->version < 3 && tls_span_equal(cert->issuer, cert->subject));
}

/* ---- names for people ---- */

/* Characters that would end a line, move the cursor, or show text in another order than it is in. */
static bool is_printable(uint32_t code)
{
    return code >= 0x20 && (code < 0x7F || code >= 0xA0) && code != '"' && code != 0x061C &&
           (code < 0x200B || code > 0x200F) && (code < 0x2028 || code > 0x202E) &&
           (code < 0x2060 || code > 0x206F) && code != 0xFEFF && (code < 0xFFF9 || code > 0xFFFF) &&
           code < 0xE0000;
}

void tls_text_append(char *out, size_t room, struct tls_span text)
{
    size_t len = strlen(out);
    size_t dots = len; /* where they go if not all of it fits */
    const char *in = (const char *)text.data;

    while (text.len > 0) {
        uint32_t code;
        size_t size = utf8_decode(in, text.len, &code);
        bool good = size > 0 && is_printable(code);
        size_t step = size > 0 ? size : 1;
        size_t put = good ? size : 1;

        if (len + put >= room) {
            for (len = dots; len < dots + 3 && len + 1 < room; len++)
                out[len] = '.';
            break;
        }
        memcpy(out + len, good ? in : "?", put);
        len += put;
        if (len + 3 < room)
            dots = len;
        in += step;
        text.len -= step;
    }
    out[len] = '\0';
}

/* UCS-2, of which only what is ASCII is shown. */
static void append_bmp(char out[TLS_NAME_SIZE], struct tls_span text)
{
    unsigned char ascii[TLS_NAME_SIZE + 1];
    size_t len = 0;

    for (; text.len >= 2 && len < sizeof ascii; text.len -= 2, text.data += 2)
        ascii[len++] = text.data[0] == 0 && text.data[1] < 0x80 ? text.data[1] : 0;
    tls_text_append(out, TLS_NAME_SIZE, (struct tls_span){ascii, len});
}

/* The first attribute of that type. Name ::= SEQUENCE OF SET OF SEQUENCE { type OID, value ANY } */
static bool find_attribute(struct tls_span name, int type, unsigned *tag, struct tls_span *value)
{
    struct tls_span list;
    struct tls_span set;
    struct tls_span attribute;
    struct tls_span oid;

    if (!tls_der_expect(&name, DER_SEQUENCE, &list))
        return false;
    while (tls_der_expect(&list, DER_SET, &set)) {
        while (tls_der_expect(&set, DER_SEQUENCE, &attribute)) {
            if (tls_der_expect(&attribute, DER_OID, &oid) && OID_BELOW(oid, OID_ATTRIBUTES) == type &&
                tls_der_take(&attribute, tag, value) && value->len > 0)
                return true;
        }
    }
    return false;
}

void tls_cert_name(struct tls_span name, char out[TLS_NAME_SIZE])
{
    static const int types[] = {ATTRIBUTE_CN, ATTRIBUTE_OU, ATTRIBUTE_O};
    struct tls_span value;
    unsigned tag = 0;

    out[0] = '\0';
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (!find_attribute(name, types[i], &tag, &value))
            continue;
        if (tag == DER_BMP)
            append_bmp(out, value);
        else
            tls_text_append(out, TLS_NAME_SIZE, value);
        return;
    }
    memcpy(out, "?", sizeof "?");
}
