/*
 * pipe - the bounded buffer between the reading and the writing half of a transfer.
 *
 * A ring of fixed size, allocated once. The writer puts in what fits and stops; the reader takes what is there
 * and stops; neither ever waits here. `closed` says that the writer has put in its last byte.
 */
#ifndef STORSYNC_PIPE_H
#define STORSYNC_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Two of libcurl's largest write chunks: one being filled, one being drained. More makes no relay faster. */
#define PIPE_CAPACITY ((size_t)32 * 1024)

struct pipe {
    unsigned char *data; /* PIPE_CAPACITY bytes, owned */
    size_t head;         /* offset of the oldest byte */
    size_t len;          /* bytes waiting */
    uint64_t passed;     /* bytes ever put in since the last reset */
    bool closed;
};

bool pipe_init(struct pipe *pipe); /* false: no memory */
void pipe_free(struct pipe *pipe);
void pipe_reset(struct pipe *pipe);

size_t pipe_room(const struct pipe *pipe);
size_t pipe_write(struct pipe *pipe, const void *data, size_t len); /* returns how many fitted */
size_t pipe_read(struct pipe *pipe, void *data, size_t len);        /* returns how many there were */
bool pipe_drained(const struct pipe *pipe);                         /* closed and empty */

/* The same without a copy in between: the longest piece that is contiguous in the ring. Advance with what was
 * really used. */
size_t pipe_peek(const struct pipe *pipe, const unsigned char **data);
void pipe_consume(struct pipe *pipe, size_t len);
size_t pipe_reserve(struct pipe *pipe, unsigned char **data);
void pipe_commit(struct pipe *pipe, size_t len);

#endif
