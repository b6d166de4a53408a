#include "hash.h"

#include <bearssl_hash.h>
#include <bearssl_hmac.h>
#include <string.h>

/* Of each byte: its two digits. */
static const char pairs[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
                            "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f"
                            "404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f"
                            "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f"
                            "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
                            "a0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebf"
                            "c0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedf"
                            "e0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";

static const char *pair_of(unsigned char byte)
{
    return pairs + (size_t)byte * 2;
}

void hash_hex(const void *bytes, size_t len, char *digits)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++, digits += 2)
        memcpy(digits, pair_of(at[i]), 2);
    *digits = '\0';
}

bool hash_is_hex(const void *bytes, size_t len, const char *digits)
{
    const unsigned char *at = bytes;

    for (size_t i = 0; i < len; i++, digits += 2) {
        const char *pair = pair_of(at[i]);

        if (digits[0] != pair[0] || digits[1] != pair[1])
            return false;
    }
    return *digits == '\0';
}

/* FNV-1a of 64 bits (G. Fowler, L. Noll, K.-P. Vo), which begins with the seed; multiplied once more, because the last bytes have not
 * reached the upper half yet. */
uint32_t hash_spread(const char *text, uint32_t seed)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325) ^ (seed * UINT64_C(0x9E3779B97F4A7C15));

    for (; *text != '\0'; text++)
        hash = (hash ^ (unsigned char)*text) * UINT64_C(0x100000001B3);
    hash ^= hash >> 32;
    return (uint32_t)(hash * UINT64_C(0x9E3779B97F4A7C15) >> 32);
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

void hash_hmac(const void *key, size_t key_len, const void *data, size_t len, unsigned char out[HASH_BYTES])
{
    br_hmac_key_context prepared;
    br_hmac_context context;

    br_hmac_key_init(&prepared, &br_sha256_vtable, key, key_len);
    br_hmac_init(&context, &prepared, 0);
    br_hmac_update(&context, data, len);
    br_hmac_out(&context, out);
    explicit_bzero(&prepared, sizeof prepared);
    explicit_bzero(&context, sizeof context);
}

bool hash_base64(struct buf *out, const void *data, size_t len, bool url)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *in = data;

    for (size_t i = 0; i < len; i += 3) {
        size_t left = len - i < 3 ? len - i : 3;
        unsigned bits =
            (unsigned)in[i] << 16 | (left > 1 ? (unsigned)in[i + 1] << 8 : 0) | (left > 2 ? in[i + 2] : 0);

        for (size_t k = 0; k < 4; k++) {
            char c = k > left ? '=' : digits[bits >> (18 - 6 * k) & 63];

            if (!url)
                buf_putc(out, c);
            else if (c != '=')
                buf_putc(out, (char)(c == '+' ? '-' : c == '/' ? '_' : c));
        }
    }
    return !out->failed;
}
