/*
 * utf8 - UTF-8 (RFC 3629): one character, or a whole text.
 */
#ifndef STORSYNC_UTF8_H
#define STORSYNC_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The length (1 to 4) of the character that `text` begins with, its code point in *code; 0 when `len` is 0 or
 * the bytes are not well-formed: overlong, a surrogate, beyond U+10FFFF, cut off. */
size_t utf8_decode(const char *text, size_t len, uint32_t *code);

/* The other way round, of a code point that is none of those: `text` gets 1 to 4 bytes without a NUL. Returns how many. */
size_t utf8_encode(uint32_t code, char *text);

size_t utf8_prefix(const char *text, size_t len); /* the length of the longest well-formed beginning */
bool utf8_is_text(const char *text);              /* is all of it well-formed? */

#endif
