/*
 * keyspace - guesses about keys that have not been listed yet: where the middle of a stretch is, and how much is left of it. Pure.
 *
 * Keys are taken for numbers. What may stand at a place is guessed from what stands there in the key at hand: a decimal digit may be
 * another one, a letter another one of its case, both a hexadecimal digit where no other letters were seen, and what is not ASCII
 * any character between the lowest and the highest that were. Guesses cost time when they are wrong, nothing else.
 */
#ifndef STORSYNC_KEYSPACE_H
#define STORSYNC_KEYSPACE_H

#include "object.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keyspace {
    bool has_hex;              /* letters that may be hexadecimal digits */
    bool has_lower, has_upper; /* letters that are none */
    uint32_t low, high;        /* what is not ASCII; 0: there was none */
};

/* A stretch of keys: those that begin with the first `level` bytes of `reach`, or as far as `end` if that comes before ("": it does
 * not). `first` begins with these as well, and comes before `reach`. */
struct keyspace_stretch {
    size_t level;
    const char *first, *reach, *end;
};

/* What the key has from `from` on, up to a full stop, is what others have there. */
void keyspace_learn(struct keyspace *space, const char *key, size_t from);

/* How many pages may come after `reach`, when there were so many from `first` to there. */
uint64_t keyspace_left(const struct keyspace *space, const struct keyspace_stretch *stretch, uint64_t pages);

/* A text in the middle between `reach` and the end; false: there is none. It comes after the one and before the other, and it can be
 * written in a URL and in XML. */
bool keyspace_middle(const struct keyspace *space, const struct keyspace_stretch *stretch,
                     char middle[OBJECT_KEY_MAX + 1]);

#endif
