/*
 * page - one page of a listing, between the store that fills it and the cursor that reads it.
 *
 * Entries are kept in an arena of the page, at most STORE_PAGE_KEYS of them and no more bytes than page_limit allows, but one entry
 * in any case. A page starts empty at a position (opaque to the cursor: a continuation token, or a last key; "" is the beginning) and
 * ends with the entries and the position of the next one.
 *
 * A service may send more than there is room for. Such a page is crowded: it has what fitted, and what it says of the next one is
 * of no use. It is asked for again with fewer keys. Where the service has sent more of them than it was asked for, that
 * would be in vain: the listing begins anew behind the last key.
 */
#ifndef STORSYNC_PAGE_H
#define STORSYNC_PAGE_H

#include "buf.h"
#include "object.h"

#include <stdbool.h>
#include <stddef.h>

#define STORE_PAGE_KEYS 1000

struct store_page {
    struct buf arena;
    int count;
    struct buf position; /* where the page begins */
    struct buf next;     /* where the one after it begins */
    const char *until;   /* where the listing ends; "": at its end */
    size_t tail;         /* where the last entry's key begins in the arena, once there is one */
    bool passed;         /* a key from there on has come */
    bool disordered;     /* and after it one from before there */
    int keys;            /* how many are asked for */
    bool crowded;        /* more have come than there was room for */
    bool ended, last;    /* page_end was called; with NULL, or `passed` */
    void **walk;         /* see page_walk */
};

/* ---- for the store ---- */

const char *page_position(const struct store_page *page);

/* Something that an implementation wants to remember from page to page; NULL before the first. The cursor
 * hands it to ops->list_end when it closes. */
void **page_walk(struct store_page *page);

/* Drops the entries of a broken attempt, keeps the position. */
void page_reset(struct store_page *page);

/* How many keys it is to have at most. */
int page_keys(const struct store_page *page);

/* Copies the entry, unless it is beyond the end of the listing. False: the page is full, there is no memory, or the key is
 * too long. What is beyond the end is not looked at, but for one thing: nothing after it is from before the end. */
bool page_add(struct store_page *page, const struct object_entry *entry);

/* The same for a service that sends whole pages: one that there is no room for is left out, and the page is crowded. */
bool page_receive(struct store_page *page, const struct object_entry *entry);

/* The end of the listing has been passed: nothing more is taken, and the page will be the last one. */
bool page_passed(const struct store_page *page);

/* `next` is the position to go on from; NULL: that was the last page. False: no memory, or too long a
 * position. */
bool page_end(struct store_page *page, const char *next);

/* ---- for the cursor ---- */

/* `walk` is what page_walk gives; `until` is borrowed. */
void page_init(struct store_page *page, void **walk, const char *until);
void page_free(struct store_page *page);

/* Empties the page and puts it behind `before`. As many keys are asked for as then, or twice as many if they took less than half of
 * `room`. False: no memory. */
bool page_follow(struct store_page *page, const struct store_page *before, size_t room);

/* From now on its entries take so many bytes at most, if they do not take more already; memory for more is given up. */
void page_limit(struct store_page *page, size_t room);

/* It is crowded, and with fewer keys it would not have been. */
bool page_asks_too_much(const struct store_page *page);
/* Empties it for being asked for again. */
void page_ask_less(struct store_page *page);

/* The page takes over the memory of the other one, which is left without entries; its own is freed. */
void page_take_over(struct store_page *page, struct store_page *other);

size_t page_bytes(const struct store_page *page);  /* of its entries */
size_t page_memory(const struct store_page *page); /* that is kept for them, in bytes */
/* What its entries would take if no fewer than usual had been asked for. */
size_t page_full(const struct store_page *page);

/* Its next page would be the same one again. */
bool page_repeats(const struct store_page *page);

/* The last of its keys, of which there has to be one. */
const char *page_last_key(const struct store_page *page);

/* What comes after it does not follow from it: the listing begins anew, at the range that is asked for then. */
void page_begin_anew(struct store_page *page);

/* Decodes the entry at `offset` of the page, and returns how many bytes it takes there. Its key is borrowed from the page. */
size_t page_entry(const struct store_page *page, size_t offset, struct object_entry *entry);

#endif
