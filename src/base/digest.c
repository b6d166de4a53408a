/* RFC 1321; RFC 4648, section 4. */
#include "digest.h"

#include "hash.h"
#include "text.h"

#include <string.h>
#include <strings.h>

void digest_begin(struct digest *digest)
{
    br_md5_init(&digest->md5);
}

void digest_add(struct digest *digest, const void *data, size_t len)
{
    br_md5_update(&digest->md5, data, len);
}

/* -1: it is no hexadecimal digit. */
static int hex_nibble(char c)
{
    if (text_is_digit(c))
        return c - '0';
    c = text_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool digest_from_hex(const char *text, unsigned char out[DIGEST_SIZE])
{
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        int high = hex_nibble(text[2 * i]);
        int low = high >= 0 ? hex_nibble(text[2 * i + 1]) : -1;

        if (low < 0)
            return false;
        out[i] = (unsigned char)(high << 4 | low);
    }
    return text[2 * DIGEST_SIZE] == '\0';
}

void digest_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE])
{
    unsigned char hash[DIGEST_SIZE];

    br_md5_out(&digest->md5, hash);
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
