#include "hash.h"

#include <bearssl_hash.h>

void hash_hex(const void *bytes, size_t len, char *digits)
{
    static const char digit[] = "0123456789abcdef";
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++) {
        *digits++ = digit[at[i] >> 4];
        *digits++ = digit[at[i] & 15];
    }
    *digits = '\0';
}

void hash_sha256(const void *data, size_t len, char out[HASH_SIZE])
{
    unsigned char hash[br_sha256_SIZE];
    br_sha256_context context;

    br_sha256_init(&context);
    br_sha256_update(&context, data, len);
    br_sha256_out(&context, hash);
    hash_hex(hash, sizeof hash, out);
}
