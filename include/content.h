/*
 * content - have the objects of one key on both sides the same bytes? A state machine for one pair at a time, as a transfer is for
 * one copy: content_step moves it as far as it can go now, after each turn of the loop.
 *
 * Where one side knows a hash of its object, the other side's is read and hashed the same way. Where neither does, or what
 * both know is not to be believed (the caller's decision: then their hashes differ), both are read side by side, up to the
 * first difference. Both have one size, as listed; empty objects are the same.
 *
 * Each is read in the version that was listed. Before two objects are called different, both sides are asked once more: one
 * that has changed since it was listed, or is gone by now (absence.h), is CONTENT_CHANGED. So is what differs from a hash that turns
 * out to be none of the content (SSE-KMS): then both are read.
 *
 * What is larger than a piece is read in ranges, one after the other, so that no request takes too long for its limits; a source
 * that tells no version is read in one stream. A read that breaks is tried again from the beginning of its piece, within the shared
 * retry budget.
 */
#ifndef STORSYNC_CONTENT_H
#define STORSYNC_CONTENT_H

#include "absence.h"
#include "digest.h"
#include "error.h"
#include "object.h"
#include "pipe.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

enum content_result { CONTENT_NONE, CONTENT_SAME, CONTENT_DIFFERS, CONTENT_CHANGED, CONTENT_FAILED };

struct content {
    /* Valid once idle again, until the next start. */
    char key[OBJECT_KEY_MAX + 1];
    enum content_result result; /* CONTENT_NONE: it was stopped */
    struct error error;         /* with CONTENT_FAILED */
    uint64_t read;              /* bytes so far, of both sides, in all attempts */

    /* Private. */
    void (*state)(struct content *content); /* what happens at the next step; NULL: idle */
    struct content_side {
        struct store *store;
        struct object_entry entry; /* its key is the one above */
        struct call call;
        struct pipe pipe; /* allocated when it is needed first */
    } sides[2];           /* source, destination */
    uint64_t piece;       /* the largest range that is asked for at once */
    uint64_t offset;      /* all before it is known to be the same, or is in ... */
    struct digest hash;   /* ... this one, if it is an MD5 that is wanted, */
    struct digest more;   /* (with what comes in now) */
    uint32_t sum;         /* or in this one */
    int one;              /* which side alone is read, and compared with the other's hash ... */
    bool both;            /* ... unless both are */
    int attempt;
    int64_t wake; /* mono; end of a backoff; 0: none */
    struct absence absence;
};

/* Both stores have one loop. `piece`: bytes. */
void content_init(struct content *content, struct store *source, struct store *destination, uint64_t piece);
void content_free(struct content *content);

/* Begins. It must be idle; the entries have one key. */
void content_start(struct content *content, const struct object_entry *source,
                   const struct object_entry *destination);

bool content_idle(const struct content *content);
bool content_step(struct content *content); /* true if anything moved */
void content_stop(struct content *content, const struct error *why);

/* Until when nothing will happen by itself (a backoff): mono time, or INT64_MAX. */
int64_t content_wake(const struct content *content);

#endif
