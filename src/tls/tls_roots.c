/*
 * The roots that Debian trusts for servers, as deps/roots makes them out of Mozilla's certdata.txt: one block
 * of constant data, records one after the other: kind of key (TLS_ROOT_RSA, or the number of the curve),
 * length of the RSA exponent, length of the key (two bytes, the high one first), hash of the name, key, exponent.
 */
#include "tls_internal.h"

#include "tls_roots_data.h"

size_t tls_roots_count(void)
{
    return tls_roots_records;
}

const char *tls_roots_version(void)
{
    return TLS_ROOTS_VERSION;
}

/* BearSSL's structures have no const, but it does not write there. */
static unsigned char *take_record_bytes(const unsigned char **at, size_t len)
{
    union {
        const unsigned char *constant;
        unsigned char *plain;
    } start = {*at};

    *at += len;
    return start.plain;
}

void tls_roots_fill(br_x509_trust_anchor *anchors)
{
    const unsigned char *at = tls_roots_data;

    for (size_t i = 0; i < tls_roots_records; i++) {
        br_x509_pkey *key = &anchors[i].pkey;
        int kind = at[0];
        size_t exponent_len = at[1];
        size_t key_len = (size_t)at[2] << 8 | at[3];
        unsigned char *data;

        at += 4;
        anchors[i].dn = (br_x500_name){take_record_bytes(&at, TLS_NAME_HASH), TLS_NAME_HASH};
        anchors[i].flags = BR_X509_TA_CA;
        data = take_record_bytes(&at, key_len);
        if (kind == TLS_ROOT_RSA) {
            key->key_type = BR_KEYTYPE_RSA;
            key->key.rsa =
                (br_rsa_public_key){data, key_len, take_record_bytes(&at, exponent_len), exponent_len};
        } else {
            key->key_type = BR_KEYTYPE_EC;
            key->key.ec = (br_ec_public_key){kind, data, key_len};
        }
    }
}
