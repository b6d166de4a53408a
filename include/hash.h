/*
 * hash - SHA-256 (FIPS 180-4) as text, for names and signatures; and bytes as hexadecimal digits.
 */
#ifndef STORSYNC_HASH_H
#define STORSYNC_HASH_H

#include <stddef.h>

#define HASH_SIZE 65 /* with NUL */

void hash_sha256(const void *data, size_t len, char out[HASH_SIZE]);

/* In small letters, with a NUL behind them: room for 2 * len + 1. */
void hash_hex(const void *bytes, size_t len, char *digits);

#endif
