/*
 * deed - one entry of the journal, carried out: what is there is kept, then it is overwritten or removed. A state machine around
 * a transfer and a removal, which it borrows from its owner until it is idle.
 *
 * With versions (journal.h) the bucket itself keeps what was there; else it is copied below the run first. What cannot be kept is
 * left as it is.
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
    /* Valid from deed_start until the next one. */
    enum journal_deed what;
    uint64_t kept_bytes;     /* of what was there before */
    enum deed_result result; /* once idle again */

    /* Private. */
    struct deed_plan *plan;
    struct transfer *transfer;
    struct removal *removal;
    void (*state)(
        struct deed *deed); /* what happens once the transfer and the removal are idle; NULL: idle */
    bool stopping;
    int64_t listed;                    /* mono */
    struct object_entry before, after; /* their key is `key` */
    char key[OBJECT_KEY_MAX + 1];
    char kept[JOURNAL_KEY_SIZE];
};

/* The plan's keep, copy and conflict are set; deed_plan_free frees the rest. */
void deed_plan_init(struct deed_plan *plan, uint64_t part_size);
void deed_plan_free(struct deed_plan *plan);

/* Both are idle whenever a deed is started. */
void deed_init(struct deed *deed, struct deed_plan *plan, struct transfer *transfer, struct removal *removal);

/* `item` is valid for the call only. `listed` (mono): when the listing was begun that it is from. */
void deed_start(struct deed *deed, const struct keep_item *item, int64_t listed);
bool deed_idle(const struct deed *deed);
bool deed_step(struct deed *deed); /* true if anything moved */

/* Begins nothing more; transfer and removal are stopped by their owner. */
void deed_stop(struct deed *deed);

#endif
