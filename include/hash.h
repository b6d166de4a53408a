/*
 * hash - SHA-256 (FIPS 180-4) as text, for names and signatures; HMAC with it; bytes as hexadecimal digits and in base64; and a hash
 * that is no more than fast.
 */
#ifndef STORSYNC_HASH_H
#define STORSYNC_HASH_H

#include "buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HASH_SIZE 65 /* with NUL */
#define HASH_BYTES 32

void hash_sha256(const void *data, size_t len, char out[HASH_SIZE]);

/* A number that is spread evenly, and differs with the seed: to pick some of many by, not to trust in. It is the same in every
 * version of this program: shards depend on it. */
uint32_t hash_spread(const char *text, uint32_t seed);

/* In small letters, with a NUL behind them: room for 2 * len + 1. */
void hash_hex(const void *bytes, size_t len, char *digits);
bool hash_is_hex(const void *bytes, size_t len, const char *digits); /* are these what hash_hex gives? */

/* RFC 2104. `out` may be `key`. */
void hash_hmac(const void *key, size_t key_len, const void *data, size_t len, unsigned char out[HASH_BYTES]);

/* Appends base64 of RFC 4648: section 5 without padding (`url`), or section 4. */
bool hash_base64(struct buf *out, const void *data, size_t len, bool url);

#endif
