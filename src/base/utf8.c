/* UTF-8 as RFC 3629, section 4 defines it. */
#include "utf8.h"

#include <string.h>

static size_t length_from_lead(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    if (lead >= 0xF0 && lead <= 0xF4)
        return 4;
    return 0;
}

size_t utf8_decode(const char *text, size_t len, uint32_t *code)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char *in = (const unsigned char *)text;

    if (len == 0)
        return 0;
    size_t n = length_from_lead(in[0]);
    if (n == 0 || n > len)
        return 0;
    uint32_t value = n == 1 ? in[0] : in[0] & (0x7FU >> n);
    for (size_t i = 1; i < n; i++) {
        if ((in[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (in[i] & 0x3FU);
    }
    if (value < smallest[n] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *code = value;
    return n;
}

size_t utf8_encode(uint32_t code, char *text)
{
    size_t len = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;

    for (size_t i = len - 1; i > 0; i--, code >>= 6)
        text[i] = (char)(0x80 | (code & 0x3F));
    text[0] = (char)(len == 1 ? code : (0xF00U >> len & 0xF0) | code);
    return len;
}

size_t utf8_prefix(const char *text, size_t len)
{
    size_t at = 0;
    uint32_t code;

    for (size_t n; (n = utf8_decode(text + at, len - at, &code)) > 0;)
        at += n;
    return at;
}

bool utf8_is_text(const char *text)
{
    size_t len = strlen(text);

    return utf8_prefix(text, len) == len;
}
