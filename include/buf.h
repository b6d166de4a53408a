/*
 * buf - a byte buffer that grows up to a ceiling.
 *
 * The owner is whoever called buf_init; buf_free may be called any number of times. The content is always
 * followed by a NUL that `len` does not count, so `data` can be used as a string after the first append or
 * through buf_str. An append that would pass the ceiling or finds no memory changes nothing, returns false and
 * leaves `failed` set until buf_clear: a series of appends needs one check at its end.
 */
#ifndef STORSYNC_BUF_H
#define STORSYNC_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;
    size_t len;
    size_t cap;
    size_t max; /* ceiling of len, in bytes */
    bool failed;
    bool secret; /* all memory that it gives up is wiped */
};

void buf_init(struct buf *buf, size_t max);
void buf_init_secret(struct buf *buf, size_t max);
void buf_free(struct buf *buf);
void buf_clear(struct buf *buf); /* empties it, keeps the memory */
/* From now on that is the ceiling, or what is in it if that is more; memory for more than that is given up. */
void buf_limit(struct buf *buf, size_t max);

bool buf_append(struct buf *buf, const void *data, size_t len);
bool buf_puts(struct buf *buf, const char *text);
bool buf_putc(struct buf *buf, char c);
bool buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As an append of so many bytes, which the caller then writes, from what it returns on. NULL: no room. */
char *buf_extend(struct buf *buf, size_t more);

/* Never NULL; "" while nothing was appended. Valid until the next change. */
const char *buf_str(const struct buf *buf);

#endif
