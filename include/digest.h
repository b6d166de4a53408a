/*
 * digest - MD5, which is what object stores name an object's bytes by: the ETag of what was put in one piece and not
 * encrypted with a key of one's own, and the Content-MD5 that a service compares a body with (RFC 1864).
 *
 * It finds damage, not attacks: nobody's trust may rest on it.
 */
#ifndef STORSYNC_DIGEST_H
#define STORSYNC_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DIGEST_SIZE ((size_t)16)
#define DIGEST_BLOCK ((size_t)64)
#define DIGEST_HEX_SIZE 33    /* with NUL */
#define DIGEST_BASE64_SIZE 25 /* with NUL */

/* May be copied: the copy goes on by itself. */
struct digest {
    uint32_t state[4];
    uint64_t count;                    /* bytes so far */
    unsigned char block[DIGEST_BLOCK]; /* those behind the last whole block */
};

void digest_begin(struct digest *digest);
void digest_add(struct digest *digest, const void *data, size_t len);
/* The same bytes to both, in the time that one of them takes if they are at the same place in a block (as a part of an object
 * and the whole of it are). */
void digest_add_both(struct digest *digest, struct digest *other, const void *data, size_t len);
void digest_hex(const struct digest *digest, char out[DIGEST_HEX_SIZE]); /* of all so far; it can go on */
void digest_of(const void *data, size_t len, char out[DIGEST_HEX_SIZE]);

/* 32 hexadecimal digits, in small letters or capitals? */
bool digest_is_hex(const char *text);
/* The bytes that such text stands for; false if it is no such text. */
bool digest_from_hex(const char *text, unsigned char out[DIGEST_SIZE]);
/* Adds them. `hex` must be one. */
void digest_add_hex(struct digest *digest, const char *hex);
/* As Content-MD5 wants it. `hex` must be one. */
void digest_base64(const char *hex, char out[DIGEST_BASE64_SIZE]);
bool digest_same(const char *hex, const char *other); /* capitals are as good as small letters */

#endif
