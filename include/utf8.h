/*
 * utf8 - one character of UTF-8 (RFC 3629).
 */
#ifndef STORSYNC_UTF8_H
#define STORSYNC_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* The length (1 to 4) of the character that `text` begins with, its code point in *code; 0 when `len` is 0 or
 * the bytes are not well-formed: overlong, a surrogate, beyond U+10FFFF, cut off. */
size_t utf8_decode(const char *text, size_t len, uint32_t *code);

#endif
