/*
 * removal - one object of production that the source does not have, and its end: a state machine like transfer.
 *
 * That the source's listing does not show a key proves nothing by itself: a listing can be out of date, cut off, or read in
 * another way than it was meant. So the source is asked for the key itself, with its own credentials, and where the key can be
 * spelt in several ways its listing once more (absence.h). Then the destination is looked at: what is removed is the version
 * that was listed, on that condition where the service has it, else right after that look. A file has no condition that
 * another process would heed, so there remains the moment between the look and the removal.
 *
 * INVARIANT: nothing is removed that the source has not answered "not there" of, after the listings were through.
 */
#ifndef STORSYNC_REMOVAL_H
#define STORSYNC_REMOVAL_H

#include "absence.h"
#include "error.h"
#include "object.h"
#include "store.h"

#include <stdbool.h>

/* What the removals of one run have in common. */
struct removal_plan {
    struct store *source, *destination; /* both have one loop */
    bool lacks_condition;               /* learnt: the destination has none, or misjudges it */
};

enum removal_result {
    REMOVAL_NONE,
    REMOVAL_DONE,
    REMOVAL_GONE,    /* it was not there any more */
    REMOVAL_BACK,    /* the source has it: it came meanwhile ... */
    REMOVAL_HIDDEN,  /* ... or it was there before, and the listing does not show it */
    REMOVAL_CHANGED, /* production has another version by now */
    REMOVAL_FAILED,
};

struct removal {
    /* Valid from removal_start until the next one. */
    char key[OBJECT_KEY_MAX + 1];
    struct object_entry entry;  /* its key is the one above */
    enum removal_result result; /* once idle again */
    struct error error;         /* with REMOVAL_FAILED */

    /* Private. */
    struct removal_plan *plan;
    void (*state)(struct removal *removal); /* NULL: idle */
    int64_t listed;                         /* mono */
    bool conditional;                       /* it was sent on the condition that it has this version, ... */
    bool refused;                           /* ... and that was refused */
    struct call call;
    struct absence absence;
};

void removal_init(struct removal *removal, struct removal_plan *plan);
void removal_free(struct removal *removal);

/* `entry` is the destination's, from a listing that was begun at `listed` (mono), and stays valid for the call only. */
void removal_start(struct removal *removal, const struct object_entry *entry, int64_t listed);
bool removal_idle(const struct removal *removal);
bool removal_step(struct removal *removal); /* true if anything moved */

/* Ends what is under way, with REMOVAL_NONE: a removal may have happened. */
void removal_stop(struct removal *removal, const struct error *why);

#endif
