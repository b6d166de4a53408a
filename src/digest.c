/* RFC 1321; RFC 4648, section 4. BearSSL's MD5 is made to be small, and takes twice as long in a binary that is. */
#include "digest.h"

#include <endian.h>
#include <string.h>
#include <strings.h>

#define HEX_LEN ((size_t)DIGEST_HEX_SIZE - 1)

/* ---- MD5 ---- */

/* The functions F, G, H and I of RFC 1321, 3.4. */
static inline uint32_t choose(uint32_t x, uint32_t y, uint32_t z)
{
    return z ^ (x & (y ^ z));
}

static inline uint32_t pick(uint32_t x, uint32_t y, uint32_t z)
{
    return y ^ (z & (x ^ y));
}

static inline uint32_t parity(uint32_t x, uint32_t y, uint32_t z)
{
    return x ^ y ^ z;
}

static inline uint32_t last(uint32_t x, uint32_t y, uint32_t z)
{
    return y ^ (x | ~z);
}

#define STEP(f, a, b, c, d, shift, word, constant)                                                           \
    ((a) += f((b), (c), (d)) + words[word] + UINT32_C(constant),                                             \
     (a) = ((a) << (shift) | (a) >> (32 - (shift))) + (b))

#define FOUR(f, s0, s1, s2, s3, w0, w1, w2, w3, k0, k1, k2, k3)                                              \
    (STEP(f, a, b, c, d, s0, w0, k0), STEP(f, d, a, b, c, s1, w1, k1), STEP(f, c, d, a, b, s2, w2, k2),      \
     STEP(f, b, c, d, a, s3, w3, k3))

static void add_block(uint32_t state[4], const unsigned char *data)
{
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3];
    uint32_t words[16];

    memcpy(words, data, sizeof words);
    for (int i = 0; i < 16; i++)
        words[i] = le32toh(words[i]);
    /* clang-format off */
    FOUR(choose, 7, 12, 17, 22, 0, 1, 2, 3, 0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee);
    FOUR(choose, 7, 12, 17, 22, 4, 5, 6, 7, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501);
    FOUR(choose, 7, 12, 17, 22, 8, 9, 10, 11, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be);
    FOUR(choose, 7, 12, 17, 22, 12, 13, 14, 15, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821);
    FOUR(pick, 5, 9, 14, 20, 1, 6, 11, 0, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa);
    FOUR(pick, 5, 9, 14, 20, 5, 10, 15, 4, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8);
    FOUR(pick, 5, 9, 14, 20, 9, 14, 3, 8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed);
    FOUR(pick, 5, 9, 14, 20, 13, 2, 7, 12, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a);
    FOUR(parity, 4, 11, 16, 23, 5, 8, 11, 14, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c);
    FOUR(parity, 4, 11, 16, 23, 1, 4, 7, 10, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70);
    FOUR(parity, 4, 11, 16, 23, 13, 0, 3, 6, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05);
    FOUR(parity, 4, 11, 16, 23, 9, 12, 15, 2, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665);
    FOUR(last, 6, 10, 15, 21, 0, 7, 14, 5, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039);
    FOUR(last, 6, 10, 15, 21, 12, 3, 10, 1, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1);
    FOUR(last, 6, 10, 15, 21, 8, 15, 6, 13, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1);
    FOUR(last, 6, 10, 15, 21, 4, 11, 2, 9, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391);
    /* clang-format on */
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

void digest_begin(struct digest *digest)
{
    *digest = (struct digest){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void digest_add(struct digest *digest, const void *data, size_t len)
{
    const unsigned char *from = data;
    size_t used = digest->len % sizeof digest->block;

    digest->len += len;
    if (used > 0) {
        size_t piece = sizeof digest->block - used < len ? sizeof digest->block - used : len;

        memcpy(digest->block + used, from, piece);
        from += piece;
        len -= piece;
        if (used + piece < sizeof digest->block)
            return;
        add_block(digest->state, digest->block);
    }
    for (; len >= sizeof digest->block; len -= sizeof digest->block, from += sizeof digest->block)
        add_block(digest->state, from);
    if (len > 0)
        memcpy(digest->block, from, len);
}

static void finish(struct digest copy, unsigned char out[DIGEST_SIZE])
{
    static const unsigned char padding[64] = {0x80};
    uint64_t bits = htole64(copy.len * 8);
    size_t used = copy.len % sizeof copy.block;

    digest_add(&copy, padding, (used < 56 ? 56 : 120) - used);
    digest_add(&copy, &bits, sizeof bits);
    for (int i = 0; i < 4; i++)
        copy.state[i] = htole32(copy.state[i]);
    memcpy(out, copy.state, DIGEST_SIZE);
}

/* ---- as text ---- */

static void to_hex(const unsigned char hash[DIGEST_SIZE], char out[DIGEST_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        *out++ = digits[hash[i] >> 4];
        *out++ = digits[hash[i] & 15];
    }
    *out = '\0';
}

static unsigned nibble(char c)
{
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0');
    return (unsigned)((c | 0x20) - 'a') + 10;
}

static void from_hex(const char *hex, unsigned char out[DIGEST_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        out[i] = (unsigned char)(nibble(hex[2 * i]) << 4 | nibble(hex[2 * i + 1]));
}

void digest_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE])
{
    unsigned char hash[DIGEST_SIZE];

    finish(*digest, hash);
    to_hex(hash, out);
}

void digest_of(const void *data, size_t len, char out[DIGEST_HEX_SIZE])
{
    struct digest digest;

    digest_begin(&digest);
    digest_add(&digest, data, len);
    digest_hex(&digest, out);
}

bool digest_is_hex(const char *text)
{
    return strlen(text) == HEX_LEN && strspn(text, "0123456789abcdefABCDEF") == HEX_LEN;
}

void digest_add_hex(struct digest *digest, const char *hex)
{
    unsigned char hash[DIGEST_SIZE];

    from_hex(hex, hash);
    digest_add(digest, hash, sizeof hash);
}

void digest_base64(const char *hex, char out[DIGEST_BASE64_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char hash[DIGEST_SIZE + 2] = {0}; /* filled up to a multiple of three */

    from_hex(hex, hash);
    for (size_t i = 0; i < sizeof hash; i += 3) {
        uint32_t three = (uint32_t)hash[i] << 16 | (uint32_t)hash[i + 1] << 8 | hash[i + 2];

        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = digits[three >> shift & 63];
    }
    memcpy(out - 2, "==", 3);
}

bool digest_same(const char *hex, const char *other)
{
    return strcasecmp(hex, other) == 0;
}
