/*
 * keep - the journal of the sync that is going on: what is decided upon waits here until its entry is durable (journal.h).
 *
 * Two batches: one is collected, then written as a chunk; what the other one has is handed out meanwhile. What has
 * come up while a chunk was written goes into the next one, so a transfer waits for one write at most, and for none while
 * the batch before it lasts. Nothing is asked or written before there is something to do.
 */
#ifndef STORSYNC_KEEP_H
#define STORSYNC_KEEP_H

#include "error.h"
#include "journal.h"
#include "page.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* What is going to be done. Borrowed: given away until keep_add returns, taken until the next keep_take. */
struct keep_item {
    enum journal_deed deed;
    int reason;                        /* the owner's, and so is ... */
    bool overwrites;                   /* ... this */
    const struct object_entry *before; /* at the destination; NULL: nothing */
    const struct object_entry *after;  /* at the source; NULL with JOURNAL_DELETE */
    uint64_t number;                   /* keep_take's: of its entry */
};

struct keep_batch {
    struct store_page before, after;
    struct {
        uint8_t deed, reason;
        bool overwrites;
    } how[JOURNAL_CHUNK];
    int count, taken;
    size_t before_at, after_at; /* in the pages, of the next one to take */
    uint64_t first;             /* number of its first entry */
    bool durable;
};

struct keep {
    const struct job *job;
    struct journal_run run; /* what will be in run.json */
    struct keep_batch *collected, *taken;
    struct keep_batch batches[2];
    struct object_entry entries[2]; /* of the item that was taken */
    struct buf chunk;
    struct call call;
    bool numbered; /* just now */
    bool writing;
    bool proving; /* `call` asks whether the bucket keeps versions; before the first chunk */
    bool proven;
    uint64_t entry_count;
    int replaced; /* entries */
};

/* Borrows the job. */
void keep_init(struct keep *keep, const struct job *job, const struct journal_head *head);
void keep_free(struct keep *keep);

/* Is there room for one more? If not, there will be after keep_step. */
bool keep_has_room(const struct keep *keep);
/* The first one waits until the run has its number. False, with *error: nothing may be done. */
bool keep_add(struct keep *keep, const struct keep_item *item, struct error *error);

/* Writes what has been collected, when no more than `low` items are left to take; not in the turn in which the run got its
 * number, which may have taken longer than the lease lasts: it is looked at first. False, with *error: the journal cannot be
 * written, and nothing may be done that was not taken yet. */
bool keep_step(struct keep *keep, int low, bool *moved, struct error *error);

/* The next one that may be done. False: there is none now. */
bool keep_take(struct keep *keep, struct keep_item *item);

/* Begins to write, with `call`, the entry that replaces the one of its number; the first one of that number if `first`. False,
 * with *error: it cannot. */
bool keep_replace(struct keep *keep, struct call *call, const struct journal_entry *entry, bool first,
                  struct error *error);

bool keep_is_empty(const struct keep *keep); /* nothing waits */

/* What an entry was about has been done; `bytes` of what was there before. */
void keep_done(struct keep *keep, enum journal_deed deed, uint64_t bytes);

#endif
