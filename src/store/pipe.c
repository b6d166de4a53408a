#include "pipe.h"

#include "crc32c.h"
#include "hash.h"

#include <stdlib.h>
#include <string.h>

bool pipe_init(struct pipe *pipe)
{
    *pipe =
        (struct pipe){.data = malloc(PIPE_CAPACITY), .capacity = PIPE_CAPACITY, .size = PIPE_SIZE_UNKNOWN};
    return pipe->data != NULL;
}

void pipe_free(struct pipe *pipe)
{
    free(pipe->data);
    *pipe = (struct pipe){.data = NULL};
}

void pipe_free_large(struct pipe *pipe)
{
    if (pipe->capacity > PIPE_CAPACITY)
        pipe_free(pipe);
}

void pipe_reset(struct pipe *pipe)
{
    *pipe = (struct pipe){.data = pipe->data, .capacity = pipe->capacity, .size = PIPE_SIZE_UNKNOWN};
}

bool pipe_resize(struct pipe *pipe, size_t capacity)
{
    unsigned char *data;

    if (capacity == pipe->capacity)
        return true;
    data = malloc(capacity);
    if (data == NULL)
        return false;
    free(pipe->data);
    pipe->data = data;
    pipe->capacity = capacity;
    return true;
}

void pipe_hash(struct pipe *pipe)
{
    pipe->hashed = true;
    digest_begin(&pipe->digest);
}

bool pipe_differs(const struct pipe *pipe, const char *md5)
{
    char is[DIGEST_HEX_SIZE];

    digest_hex(&pipe->digest, is);
    return !digest_same(is, md5);
}

void pipe_sum(struct pipe *pipe, uint32_t before)
{
    pipe->summed = true;
    pipe->sum = before;
}

bool pipe_matches(const struct pipe *pipe, const struct object_hash *hash)
{
    const unsigned char *sum = hash->bytes;
    char md5[DIGEST_HEX_SIZE];

    if (hash->kind == OBJECT_HASH_CRC32C)
        return pipe->sum ==
               ((uint32_t)sum[0] << 24 | (uint32_t)sum[1] << 16 | (uint32_t)sum[2] << 8 | sum[3]);
    hash_hex(hash->bytes, DIGEST_SIZE, md5);
    return !pipe_differs(pipe, md5);
}

size_t pipe_room(const struct pipe *pipe)
{
    return pipe->capacity - pipe->len;
}

/* Bytes that the reader may have. */
static size_t available_bytes(const struct pipe *pipe)
{
    return pipe->held && !pipe->closed && pipe->len > 0 ? pipe->len - 1 : pipe->len;
}

bool pipe_readable(const struct pipe *pipe)
{
    return available_bytes(pipe) > 0 || pipe->closed;
}

size_t pipe_peek(const struct pipe *pipe, const unsigned char **data)
{
    size_t to_end = pipe->capacity - pipe->head;
    size_t len = available_bytes(pipe);

    *data = pipe->data + pipe->head;
    return len < to_end ? len : to_end;
}

void pipe_consume(struct pipe *pipe, size_t len)
{
    pipe->len -= len;
    pipe->taken += len;
    /* An empty ring starts over, so that the next piece is as long as can be. */
    pipe->head = pipe->len == 0 ? 0 : (pipe->head + len) % pipe->capacity;
}

size_t pipe_reserve(struct pipe *pipe, unsigned char **data)
{
    size_t tail = (pipe->head + pipe->len) % pipe->capacity;
    size_t to_end = pipe->capacity - tail;

    *data = pipe->data + tail;
    return pipe_room(pipe) < to_end ? pipe_room(pipe) : to_end;
}

void pipe_commit(struct pipe *pipe, size_t len)
{
    const unsigned char *data = pipe->data + (pipe->head + pipe->len) % pipe->capacity;

    if (pipe->hashed && pipe->more != NULL)
        digest_add_both(&pipe->digest, pipe->more, data, len);
    else if (pipe->hashed)
        digest_add(&pipe->digest, data, len);
    else if (pipe->more != NULL)
        digest_add(pipe->more, data, len);
    if (pipe->summed)
        pipe->sum = crc32c_add(pipe->sum, data, len);
    pipe->len += len;
}

size_t pipe_write(struct pipe *pipe, const void *data, size_t len)
{
    const unsigned char *from = data;
    size_t done = 0;

    while (done < len) {
        unsigned char *to;
        size_t piece = pipe_reserve(pipe, &to);

        if (piece == 0)
            break;
        if (piece > len - done)
            piece = len - done;
        memcpy(to, from + done, piece);
        pipe_commit(pipe, piece);
        done += piece;
    }
    return done;
}

size_t pipe_read(struct pipe *pipe, void *data, size_t len)
{
    unsigned char *to = data;
    size_t done = 0;

    while (done < len) {
        const unsigned char *from;
        size_t piece = pipe_peek(pipe, &from);

        if (piece == 0)
            break;
        if (piece > len - done)
            piece = len - done;
        memcpy(to + done, from, piece);
        pipe_consume(pipe, piece);
        done += piece;
    }
    return done;
}
