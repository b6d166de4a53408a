/*
 * page - one page of a listing, between the store that fills it and the cursor that reads it.
 *
 * Entries are kept in an arena of the page, at most STORE_PAGE_KEYS of them. A page starts empty at a position (opaque
 * to the cursor: a continuation token, or a last key; "" is the beginning) and ends with the entries and the position
 * of the next one.
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

/* Copies the entry, unless it is beyond the end of the listing. False: the page is full, there is no memory, or the key is
 * too long. What is beyond the end is not looked at, but for one thing: nothing after it is from before the end. */
bool page_add(struct store_page *page, const struct object_entry *entry);

/* The end of the listing has been passed: nothing more is taken, and the page will be the last one. */
bool page_passed(const struct store_page *page);

/* `next` is the position to go on from; NULL: that was the last page. False: no memory, or too long a
 * position. */
bool page_end(struct store_page *page, const char *next);

/* ---- for the cursor ---- */

/* `walk` is what page_walk gives; `until` is borrowed. */
void page_init(struct store_page *page, void **walk, const char *until);
void page_free(struct store_page *page);

/* Empties the page and puts it behind `before`. False: no memory. */
bool page_follow(struct store_page *page, const struct store_page *before);

/* The page takes over the memory of the other one, which is left without entries; its own is freed. */
void page_take_over(struct store_page *page, struct store_page *other);

size_t page_memory(const struct store_page *page); /* of its entries, in bytes */

/* Its next page would be the same one again. */
bool page_repeats(const struct store_page *page);

/* The last of its keys, of which there has to be one. */
const char *page_last_key(const struct store_page *page);

/* What comes after it does not follow from it: the listing begins anew, at the range that is asked for then. */
void page_begin_anew(struct store_page *page);

/* Decodes the entry at `offset` of the page, and returns how many bytes it takes there. Its key is borrowed from the page. */
size_t page_entry(const struct store_page *page, size_t offset, struct object_entry *entry);

#endif
