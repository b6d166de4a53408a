/*
 * random - bytes that no other process has, and that nobody can guess.
 *
 * SHA-256 makes them of all there is that differs between two processes: what getrandom(2) gives without waiting, the 16 bytes
 * that the kernel hands every program at its start (AT_RANDOM, getauxval(3)), the process's id, both clocks, the host's
 * name, an address (which is random), and a counter. Where getrandom is refused (a strict seccomp profile, a very old
 * kernel) or has nothing yet, the others still differ.
 */
#ifndef STORSYNC_RANDOM_H
#define STORSYNC_RANDOM_H

#include <stddef.h>
#include <stdint.h>

void random_bytes(void *out, size_t len);
uint64_t random_number(void);

#endif
