/* RFC 1321; RFC 4648, section 4. */
#include "digest.h"

#include "hash.h"

#include <string.h>
#include <strings.h>

/* floor(2^32 * |sin(i)|), i from 1: RFC 1321, 3.4. */
static const uint32_t sines[64] = {
    0xD76AA478, 0xE8C7B756, 0x242070DB, 0xC1BDCEEE, 0xF57C0FAF, 0x4787C62A, 0xA8304613, 0xFD469501,
    0x698098D8, 0x8B44F7AF, 0xFFFF5BB1, 0x895CD7BE, 0x6B901122, 0xFD987193, 0xA679438E, 0x49B40821,
    0xF61E2562, 0xC040B340, 0x265E5A51, 0xE9B6C7AA, 0xD62F105D, 0x02441453, 0xD8A1E681, 0xE7D3FBC8,
    0x21E1CDE6, 0xC33707D6, 0xF4D50D87, 0x455A14ED, 0xA9E3E905, 0xFCEFA3F8, 0x676F02D9, 0x8D2A4C8A,
    0xFFFA3942, 0x8771F681, 0x6D9D6122, 0xFDE5380C, 0xA4BEEA44, 0x4BDECFA9, 0xF6BB4B60, 0xBEBFBC70,
    0x289B7EC6, 0xEAA127FA, 0xD4EF3085, 0x04881D05, 0xD9D4D039, 0xE6DB99E5, 0x1FA27CF8, 0xC4AC5665,
    0xF4292244, 0x432AFF97, 0xAB9423A7, 0xFC93A039, 0x655B59C3, 0x8F0CCC92, 0xFFEFF47D, 0x85845DD1,
    0x6FA87E4F, 0xFE2CE6E0, 0xA3014314, 0x4E0811A1, 0xF7537E82, 0xBD3AF235, 0x2AD7D2BB, 0xEB86D391,
};

static uint32_t rotate_left(uint32_t x, int by)
{
    return x << by | x >> (32 - by);
}

static uint32_t read_word(const unsigned char *at)
{
    return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* The four functions of RFC 1321, 3.4, in forms that take fewer steps. */
#define F(x, y, z) ((((y) ^ (z)) & (x)) ^ (z))
#define G(x, y, z) (((x) & (z)) + ((y) & ~(z)))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))

/* Each step waits for the one before it, so a CPU has time for two chains of them. */
#define STEP(f, a, b, c, d, at, by)                                                                          \
    do {                                                                                                     \
        uint32_t more = words[(at)&15] + *sine++;                                                            \
        p[a] = p[b] + rotate_left(p[a] + more + f(p[b], p[c], p[d]), by);                                    \
        q[a] = q[b] + rotate_left(q[a] + more + f(q[b], q[c], q[d]), by);                                    \
    } while (0)

#define ROUND(f, first, step, r, s, t, u)                                                                    \
    for (int at = (first); sine < round_end; at += 4 * (step)) {                                             \
        STEP(f, 0, 1, 2, 3, at, r);                                                                          \
        STEP(f, 3, 0, 1, 2, at + (step), s);                                                                 \
        STEP(f, 2, 3, 0, 1, at + 2 * (step), t);                                                             \
        STEP(f, 1, 2, 3, 0, at + 3 * (step), u);                                                             \
    }

static void add_block(uint32_t x[4], uint32_t y[4], const unsigned char *block)
{
    const uint32_t *sine = sines, *round_end = sines + 16;
    uint32_t words[16], p[4], q[4];

    for (size_t i = 0; i < 16; i++)
        words[i] = read_word(block + 4 * i);
    memcpy(p, x, sizeof p);
    memcpy(q, y, sizeof q);
    ROUND(F, 0, 1, 7, 12, 17, 22)
    round_end += 16;
    ROUND(G, 1, 5, 5, 9, 14, 20)
    round_end += 16;
    ROUND(H, 5, 3, 4, 11, 16, 23)
    round_end += 16;
    ROUND(I, 0, 7, 6, 10, 15, 21)
    for (int i = 0; i < 4; i++) {
        x[i] += p[i];
        y[i] += q[i];
    }
}

void digest_begin(struct digest *digest)
{
    *digest = (struct digest){.state = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476}};
}

/* Both are at the same place, with the same bytes in their blocks. */
static void add_to_both(struct digest *x, struct digest *y, const unsigned char *data, size_t len)
{
    while (len > 0) {
        size_t at = (size_t)(x->count % DIGEST_BLOCK);
        size_t piece = DIGEST_BLOCK - at < len ? DIGEST_BLOCK - at : len;
        const unsigned char *block = data;

        if (piece < DIGEST_BLOCK) {
            memcpy(x->block + at, data, piece);
            memcpy(y->block + at, data, piece);
            block = x->block;
        }
        if (at + piece == DIGEST_BLOCK)
            add_block(x->state, y->state, block);
        x->count += piece;
        y->count += piece;
        data += piece;
        len -= piece;
    }
}

void digest_add(struct digest *digest, const void *data, size_t len)
{
    struct digest unused = *digest;

    add_to_both(digest, &unused, data, len);
}

void digest_add_both(struct digest *digest, struct digest *other, const void *data, size_t len)
{
    size_t at = (size_t)(digest->count % DIGEST_BLOCK);

    if (other->count % DIGEST_BLOCK == at && memcmp(digest->block, other->block, at) == 0) {
        add_to_both(digest, other, data, len);
        return;
    }
    digest_add(digest, data, len);
    digest_add(other, data, len);
}

/* The padding and the length in bits: RFC 1321, 3.1 and 3.2. */
static void finish_digest(const struct digest *digest, unsigned char out[DIGEST_SIZE])
{
    static const unsigned char padding[DIGEST_BLOCK] = {0x80};
    struct digest last = *digest;
    uint64_t bits = digest->count * 8;
    unsigned char length[8];

    for (int i = 0; i < 8; i++)
        length[i] = (unsigned char)(bits >> 8 * i);
    digest_add(&last, padding, DIGEST_BLOCK - (size_t)((digest->count + sizeof length) % DIGEST_BLOCK));
    digest_add(&last, length, sizeof length);
    for (size_t i = 0; i < DIGEST_SIZE; i++)
        out[i] = (unsigned char)(last.state[i / 4] >> 8 * (i % 4));
}

/* What a hexadecimal digit stands for, and 16 more; 0: it is none. */
static const unsigned char nibbles[256] = {
    ['0'] = 16, ['1'] = 17, ['2'] = 18, ['3'] = 19, ['4'] = 20, ['5'] = 21, ['6'] = 22, ['7'] = 23,
    ['8'] = 24, ['9'] = 25, ['a'] = 26, ['b'] = 27, ['c'] = 28, ['d'] = 29, ['e'] = 30, ['f'] = 31,
    ['A'] = 26, ['B'] = 27, ['C'] = 28, ['D'] = 29, ['E'] = 30, ['F'] = 31,
};

bool digest_from_hex(const char *text, unsigned char out[DIGEST_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        unsigned high = nibbles[(unsigned char)text[2 * i]];
        unsigned low = high != 0 ? nibbles[(unsigned char)text[2 * i + 1]] : 0;

        if (low == 0)
            return false;
        out[i] = (unsigned char)(high << 4 | (low & 15));
    }
    return text[2 * DIGEST_SIZE] == '\0';
}

void digest_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE])
{
    unsigned char hash[DIGEST_SIZE];

    finish_digest(digest, hash);
    hash_hex(hash, sizeof hash, out);
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
    unsigned char hash[DIGEST_SIZE];

    return digest_from_hex(text, hash);
}

void digest_add_hex(struct digest *digest, const char *hex)
{
    unsigned char hash[DIGEST_SIZE];

    digest_from_hex(hex, hash);
    digest_add(digest, hash, sizeof hash);
}

void digest_base64(const char *hex, char out[DIGEST_BASE64_SIZE])
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char hash[DIGEST_SIZE + 2] = {0}; /* filled up to a multiple of three */

    digest_from_hex(hex, hash);
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
