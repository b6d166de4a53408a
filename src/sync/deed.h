/*
 * deed - one entry of the journal, carried out: what is there is kept, then it is overwritten or removed. A state machine around
 * a transfer and a removal, which it borrows from its owner until it is idle.
 *
 * With versions (journal.h) the bucket itself keeps what was there; else it is copied below the run first. What cannot be kept is
 * left as it is.
 *
 * Only the version that the journal has, or that was copied, is written over: on that condition where the service has one, else
 * right after a look. What production makes of the object meanwhile is kept as well, if it is to be overwritten at all (setting
 * conflict): the entry is replaced in the journal, what is there now takes the place of what was kept, and it is tried again,
 * DEED_AGAIN_MAX times. An object that changes faster stays production's.
 */
#ifndef STORSYNC_DEED_H
#define STORSYNC_DEED_H

#include "error.h"
#include "journal.h"
#include "keep.h"
#include "object.h"
#include "removal.h"
#include "transfer.h"

#include <stdbool.h>
#include <stdint.h>

#define DEED_AGAIN_MAX 3

/* What the deeds of one run have in common. */
struct deed_plan {
    struct keep *keep;
    struct transfer_plan *copy;  /* from the source to the destination */
    struct transfer_plan inside; /* from the destination into its journal */
    enum conflict conflict;
};

enum deed_result {
    DEED_STOPPED,
    DEED_WRITTEN, /* or not: the transfer's result says how that ended */
    DEED_REMOVED, /* or not: the removal's */
    DEED_GONE,    /* it was to be removed, and somebody else has done so */
};

struct deed {
    /* Valid from deed_start until the next one; so is `entry`, as it is in the journal now. */
    enum deed_result result; /* once idle again */
    bool changed;            /* by production, since it was listed */
    uint64_t kept_bytes;     /* of what was there before */

    /* Private. */
    bool stopping;
    int again;      /* how often the entry was replaced */
    int64_t listed; /* mono */
    struct deed_plan *plan;
    struct transfer *transfer;
    struct removal *removal;
    void (*state)(struct deed *deed); /* what happens once none of these is under way; NULL: idle */
    struct call call;
    struct journal_entry entry;
    char kept[JOURNAL_KEY_SIZE];
};

/* The plan's keep, copy and conflict are set; deed_plan_free frees the rest. */
void deed_plan_init(struct deed_plan *plan, uint64_t part_size);
void deed_plan_free(struct deed_plan *plan);

/* Both are idle whenever a deed is started. */
void deed_init(struct deed *deed, struct deed_plan *plan, struct transfer *transfer, struct removal *removal);
void deed_free(struct deed *deed);

/* `item` is valid for the call only. `listed` (mono): when the listing was begun that it is from. */
void deed_start(struct deed *deed, const struct keep_item *item, int64_t listed);
bool deed_idle(const struct deed *deed);
bool deed_step(struct deed *deed); /* true if anything moved */

/* Begins nothing more, because of `why`; transfer and removal are stopped by their owner. */
void deed_stop(struct deed *deed, const struct error *why);

#endif
