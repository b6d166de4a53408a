/*
 * pipe - the bounded buffer between the reading and the writing half of a transfer, and what is known of the body that
 * passes through it.
 *
 * A ring that is allocated once, and may be made larger for as long as a large body needs it. The writer puts in what fits and stops; the reader takes what is there
 * and stops; neither ever waits here. `closed` says that the writer has put in its last byte, and that all of them
 * were right.
 *
 * INVARIANT: while `held` and not closed, the reader does not get the last byte. So a body whose end shows that it was
 * wrong (too long, another version, damaged) never completes what is made of it.
 */
#ifndef STORSYNC_PIPE_H
#define STORSYNC_PIPE_H

#include "digest.h"
#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PIPE_CAPACITY ((size_t)32 * 1024)

#define PIPE_SIZE_UNKNOWN UINT64_MAX

struct pipe {
    unsigned char *data; /* owned */
    size_t capacity;     /* of data, in bytes */
    size_t head;         /* offset of the oldest byte */
    size_t len;          /* bytes waiting */
    bool closed;
    bool held; /* the writer's, from its beginning */

    /* Of the body, until the next reset. */
    uint64_t size; /* how many bytes it must have; PIPE_SIZE_UNKNOWN: whoever puts them in will know */
    char md5[DIGEST_HEX_SIZE]; /* what its MD5 must be; "" while not known */
    bool hashed;               /* `digest` is kept: of all that was put in */
    bool
        spared; /* it is not, once `md5` is known: whoever reads is known to refuse a body with another one */
    uint64_t taken; /* bytes that the reader has had */
    struct digest digest;
    struct digest *more; /* borrowed, or NULL: of a larger body that this one is part of */
    bool summed;         /* `sum` is kept: the CRC32C of all that was put in, and of what it began with */
    uint32_t sum;
    const struct object_hash *must; /* borrowed, or NULL: a CRC32C that `sum` has to be in the end */
};

bool pipe_init(struct pipe *pipe);                    /* of PIPE_CAPACITY; false: no memory */
bool pipe_resize(struct pipe *pipe, size_t capacity); /* it must be empty. False: no memory */
void pipe_free(struct pipe *pipe);
void pipe_free_large(struct pipe *pipe); /* if it has grown: it counts for as long as it is there */
void pipe_reset(struct pipe *pipe);      /* empty, not closed, nothing known */
void pipe_hash(struct pipe *pipe);       /* keeps a digest from now on */
void pipe_sum(struct pipe *pipe,
              uint32_t before); /* keeps a CRC32C, which goes on from that of what was before */

/* With `hashed`: what was put in has another MD5 than `md5`. */
bool pipe_differs(const struct pipe *pipe, const char *md5);
/* What was put in has that hash; of its kind one has to be kept. */
bool pipe_matches(const struct pipe *pipe, const struct object_hash *hash);

size_t pipe_room(const struct pipe *pipe);
size_t pipe_write(struct pipe *pipe, const void *data, size_t len); /* returns how many fitted */
size_t pipe_read(struct pipe *pipe, void *data, size_t len);        /* returns how many there were */
bool pipe_readable(const struct pipe *pipe); /* the reader can go on: with bytes, or because it is closed */

/* The same without a copy in between: the longest piece that is contiguous in the ring. Advance with what was
 * really used. */
size_t pipe_peek(const struct pipe *pipe, const unsigned char **data);
void pipe_consume(struct pipe *pipe, size_t len);
size_t pipe_reserve(struct pipe *pipe, unsigned char **data);
void pipe_commit(struct pipe *pipe, size_t len);

#endif
