/*
 * crc32c - the CRC-32C of RFC 3720 (Castagnoli's polynomial), which is what Google Cloud Storage knows of each object's bytes.
 *
 * It finds damage, not attacks.
 */
#ifndef STORSYNC_CRC32C_H
#define STORSYNC_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* The sum of what `before` is the sum of, and `data` behind it. Of nothing it is 0. */
uint32_t crc32c_add(uint32_t before, const void *data, size_t len);

/* The same without the CPU's instruction for it; for tests. */
uint32_t crc32c_add_by_table(uint32_t before, const void *data, size_t len);

#endif
