/*
 * output - writing to a descriptor that is shared with others, and that perhaps nobody reads.
 *
 * Setting O_NONBLOCK would change it for everybody who has it, the application among them. So each write, of PIPE_BUF bytes at
 * most, is tried with RWF_NOWAIT first, which is O_NONBLOCK for one write. Where that has no room or is unknown (terminals, most
 * files, older kernels) poll has to say that there is room: a pipe then takes it without waiting, unless
 * somebody else fills it in between. A terminal says so when one byte fits, and waits for the rest. So a write that
 * waits nevertheless is interrupted (SIGALRM, whose disposition and timer are put back).
 */
#ifndef STORSYNC_OUTPUT_H
#define STORSYNC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OUTPUT_FOREVER (-1)

/* Can something be written without waiting? Also true when a write would fail. */
bool output_has_room(int fd);

/* Writes `data`, and waits for room at most *patience ms in all, which are taken off it; OUTPUT_FOREVER until a signal
 * asks to stop. Returns how much got out: less than `len` if patience ran out or a write failed. */
size_t output_write(int fd, const char *data, size_t len, int64_t *patience);

#endif
