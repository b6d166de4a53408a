/*
 * Names of user metadata. S3 has them as parts of header names: no capitals, and few other characters. A name from a
 * store that allows more ("custom:aclPolicy") is written as ESCAPED, and then each of its bytes but a-z 0-9 . - as a
 * percent sign and two hexadecimal digits in small letters; when it is read it gets its own form again. An
 * underscore is among these: some services make a dash of it.
 */
#include "s3_internal.h"

#include "text.h"

#include <string.h>

#define ESCAPED "storsync."

/* RFC 9110, 5.6.2, in small letters. */
static bool is_plain_name(const char *name)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    if (*name == '\0' || text_begins(name, ESCAPED))
        return false;
    for (; *name != '\0'; name++)
        if (!(*name >= 'a' && *name <= 'z') && !text_is_digit(*name) && !text_is_one_of(*name, marks))
            return false;
    return true;
}

bool s3_meta_name(const char *name, struct buf *out)
{
    if (is_plain_name(name))
        return buf_puts(out, name);
    buf_puts(out, ESCAPED);
    for (; *name != '\0'; name++) {
        if ((*name >= 'a' && *name <= 'z') || text_is_digit(*name) || text_is_one_of(*name, ".-"))
            buf_putc(out, *name);
        else
            buf_printf(out, "%%%02x", (unsigned char)*name);
    }
    return !out->failed;
}

void s3_meta_own_name(char *name)
{
    size_t len = strlen(ESCAPED);
    char decoded[S3_META_NAME_SIZE];

    if (!text_begins(name, ESCAPED) || strlen(name) >= sizeof decoded)
        return;
    memcpy(decoded, name + len, strlen(name + len) + 1);
    if (uri_decode(decoded, false))
        memcpy(name, decoded, strlen(decoded) + 1);
}
