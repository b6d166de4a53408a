#include "join.h"

#include "cursor.h"
#include "keyspace.h"
#include "log.h"
#include "pair.h"

#include <stdlib.h>
#include <string.h>

/* A cut has to be worth its cost: so many pages are left of the range, about. */
#define CUT_MIN 8

/* Of no listing are more pages expected. Where a guess comes to more, keys have more in common than it takes into account. */
#define LEFT_MAX 100000

struct range {
    struct pair pair;
    char mark[OBJECT_KEY_MAX + 1]; /* one of its keys, the first in the beginning; "": none yet */
    char last[OBJECT_KEY_MAX + 1]; /* with which it ends; "": with the whole listing */
    char soft[OBJECT_KEY_MAX + 1]; /* behind it comes less than a page, as a scout saw; "": not known */
    uint64_t marked;               /* so many pages had come then */
    struct keyspace space;         /* what keys have behind what they have in common with it */
    size_t level;                  /* how many bytes at the beginning of the keys to take as given */
    size_t inside;                 /* no further out than there: that was in vain; 0: nobody has looked */
    size_t worked;                 /* it was not in vain to look there, nor further in; 0: nobody has */
    struct cursor *scout;          /* behind `middle`; NULL: nobody is under way */
    struct cursor *other;          /* once that has found something: the other side's */
    char middle[OBJECT_KEY_MAX + 1];
    uint64_t left; /* pages of the range, as was guessed when the scout was sent */
    bool scouts_source;
};

struct join_work {
    struct store *source, *destination;
    struct store_range asked;
    struct plan_rule rule;
    size_t prefix;                         /* its length */
    struct range *ranges[JOIN_RANGES_MAX]; /* in order of their keys */
    int count;
    int current;        /* of them; its heads are shown */
    struct error error; /* of the first one that broke */

    bool cutting; /* it may be cut */
    int scouts;
    uint64_t over;   /* pages of ranges that are over */
    uint64_t looked; /* pages at the last look for a cut */
    uint64_t cost;   /* of cuts, in pages */
    size_t page;     /* the largest one so far, in bytes */
};

/* ---- ranges ---- */

/* Opens the one behind `after` up to `last`. NULL: no memory. */
static struct cursor *open_side(const struct join_work *work, struct store *store, const char *after,
                                const char *last, struct error *error)
{
    struct store_range range = work->asked;
    struct cursor *cursor;

    if (after[0] != '\0')
        range.after = after;
    cursor = cursor_open(store, &range, error);
    if (cursor != NULL && last[0] != '\0')
        cursor_limit(cursor, last);
    return cursor;
}

/* Each listing has as much as any other one; a scout has two. */
static void share_memory(const struct join_work *work)
{
    size_t share =
        JOIN_MEMORY / 2 / (size_t)(work->count + work->scouts > 0 ? work->count + work->scouts : 1);

    for (int i = 0; i < work->count; i++) {
        const struct range *range = work->ranges[i];

        cursor_share(range->pair.source, share);
        cursor_share(range->pair.destination, share);
        if (range->scout != NULL)
            cursor_share(range->scout, share);
        if (range->other != NULL)
            cursor_share(range->other, share);
    }
}

static void close_scout(struct join_work *work, struct range *range)
{
    if (range->scout == NULL)
        return;
    cursor_close(range->scout);
    cursor_close(range->other);
    range->scout = range->other = NULL;
    work->scouts--;
    share_memory(work);
}

static uint64_t pages_of(const struct pair *pair)
{
    return cursor_pages(pair->source) + cursor_pages(pair->destination);
}

static void close_range(struct join_work *work, int at)
{
    struct range *range = work->ranges[at];

    work->over += pages_of(&range->pair);
    close_scout(work, range);
    pair_close(&range->pair);
    free(range);
    work->count--;
    for (int i = at; i < work->count; i++)
        work->ranges[i] = work->ranges[i + 1];
    share_memory(work);
}

/* Takes both cursors over, in any case. NULL: one of them is NULL, or there is no memory. */
static struct range *new_range(const struct join_work *work, struct cursor *source,
                               struct cursor *destination)
{
    struct range *range = source != NULL && destination != NULL ? calloc(1, sizeof *range) : NULL;

    if (range == NULL) {
        cursor_close(source);
        cursor_close(destination);
        return NULL;
    }
    pair_open(&range->pair, source, destination, work->rule);
    return range;
}

bool join_open(struct join *join, struct store *source, struct store *destination,
               const struct store_range *range, struct plan_rule rule, enum join_order order,
               struct error *error)
{
    struct join_work *work = calloc(1, sizeof *work);
    struct cursor *cursor;

    *join = (struct join){.work = work};
    error_set(error, ERROR_LOCAL, "out of memory");
    if (work == NULL)
        return false;
    work->source = source;
    work->destination = destination;
    work->asked = *range;
    work->rule = rule;
    work->prefix = strlen(range->prefix);
    if (order == JOIN_ANY_ORDER)
        join_loosen(join);
    cursor = open_side(work, source, "", "", error);
    work->ranges[0] =
        new_range(work, cursor, cursor != NULL ? open_side(work, destination, "", "", error) : NULL);
    if (work->ranges[0] == NULL) {
        join_close(join);
        return false;
    }
    work->count = 1;
    error_clear(error);
    return true;
}

void join_loosen(struct join *join)
{
    struct join_work *work = join->work;

    work->cutting = work->error.kind == ERROR_NONE && store_traits(work->source)->seeks &&
                    store_traits(work->destination)->seeks;
}

void join_close(struct join *join)
{
    struct join_work *work = join->work;

    if (work == NULL)
        return;
    while (work->count > 0)
        close_range(work, work->count - 1);
    free(work);
    *join = (struct join){.work = NULL};
}

/* ---- cutting ---- */

/* What may be spent for cuts, in pages, when so many have come. */
static uint64_t allowance(uint64_t pages)
{
    return (pages / 8 < JOIN_COST_FIRST ? pages / 8 : JOIN_COST_FIRST) + pages / 200;
}

static uint64_t count_pages(const struct join_work *work)
{
    uint64_t pages = work->over;

    for (int i = 0; i < work->count; i++)
        pages += pages_of(&work->ranges[i]->pair);
    return pages;
}

static size_t larger(size_t one, size_t other)
{
    return one > other ? one : other;
}

/* How many ranges there may be for their pages to fit, and what is there now. From now on they are read with less memory. */
static int count_room(struct join_work *work)
{
    size_t there = 0, most;

    for (int i = 0; i < work->count; i++) {
        const struct range *range = work->ranges[i];

        work->page = larger(work->page, cursor_spare(range->pair.source));
        work->page = larger(work->page, cursor_spare(range->pair.destination));
        there =
            larger(there, larger(cursor_bytes(range->pair.source), cursor_bytes(range->pair.destination)));
        if (range->scout != NULL)
            there = larger(there, cursor_bytes(range->scout));
        if (range->other != NULL)
            there = larger(there, cursor_bytes(range->other));
    }
    most = JOIN_MEMORY / 2 / (larger(work->page, there) + 1);
    return most < JOIN_RANGES_MAX ? (int)most : JOIN_RANGES_MAX;
}

static size_t whole_characters(const char *key, size_t len, size_t at_least)
{
    while (len > at_least && ((unsigned char)key[len] & 0xC0) == 0x80)
        len--;
    return len;
}

/* How many bytes at the beginning of the key both have in common: whole characters, and at least those. */
static size_t common_bytes(const char *key, const char *other, size_t at_least)
{
    size_t len = at_least;

    while (key[len] != '\0' && key[len] == other[len])
        len++;
    return whole_characters(key, len, at_least);
}

/* The side that has more in this range, which has more pages to come. NULL: neither has. */
static struct cursor *longer_side(const struct pair *pair)
{
    bool source = cursor_outlook(pair->source) == CURSOR_ENTRY;
    bool destination = cursor_outlook(pair->destination) == CURSOR_ENTRY;

    if (source && destination)
        source = cursor_pages(pair->source) >= cursor_pages(pair->destination);
    return source ? pair->source : destination ? pair->destination : NULL;
}

/* From here on it is looked how far the keys go with a page. */
static void set_mark(struct range *range, const struct cursor *cursor)
{
    const char *reach = cursor_reach(cursor);

    memcpy(range->mark, reach, strlen(reach) + 1);
    range->marked = cursor_pages(cursor);
    range->space = (struct keyspace){.low = 0};
}

/* How much is left of the range, in pages, and where: at the level at which it is to be looked for, or further out, as far as
 * anything of it is there. */
static uint64_t measure(struct range *range, struct keyspace_stretch *stretch, uint64_t pages, size_t prefix)
{
    size_t inner = common_bytes(stretch->reach, range->mark, prefix);
    size_t outer = stretch->end[0] != '\0' ? common_bytes(stretch->reach, stretch->end, prefix) : prefix;
    uint64_t left;

    keyspace_learn(&range->space, range->mark, inner);
    keyspace_learn(&range->space, stretch->reach, inner);
    outer = outer < inner ? outer : inner;
    stretch->level = range->level < outer ? outer : range->level < inner ? range->level : inner;
    for (;;) {
        stretch->level = whole_characters(stretch->reach, stretch->level, outer);
        left = keyspace_left(&range->space, stretch, pages);
        if (left >= CUT_MIN || stretch->level == outer)
            return left;
        stretch->level = outer + (stretch->level - outer) / 2;
    }
}

static uint64_t look_ahead(struct join_work *work, struct range *range, struct keyspace_stretch *stretch)
{
    const struct cursor *cursor = longer_side(&range->pair);
    uint64_t pages, left;

    if (cursor == NULL || range->scout != NULL || range->mark[0] == '\0' ||
        cursor_pages(cursor) <= range->marked)
        return 0;
    pages = cursor_pages(cursor) - range->marked;
    *stretch = (struct keyspace_stretch){.first = range->mark,
                                         .reach = cursor_reach(cursor),
                                         .end = range->soft[0] != '\0' ? range->soft : range->last};
    left = measure(range, stretch, pages, work->prefix);
    if (left < CUT_MIN && pages >= CUT_MIN)
        set_mark(range, cursor);
    return left;
}

static bool comes_after(const char *key, const struct pair *pair)
{
    return strcmp(key, cursor_reach(pair->source)) > 0 && strcmp(key, cursor_reach(pair->destination)) > 0;
}

/* Nothing came of that cut: the next one is looked for further in. */
static void draw_in(struct range *range, size_t prefix)
{
    const struct cursor *cursor = range->scouts_source ? range->pair.source : range->pair.destination;
    size_t inner = common_bytes(cursor_reach(cursor), range->mark, prefix);

    if (range->worked > range->level && range->worked < inner)
        inner = range->worked;
    if (range->level < inner)
        range->level += (inner - range->level + 1) / 2;
    set_mark(range, cursor);
}

/* There is hardly anything behind its `middle`. Where keys take up only a part of what could be there, the next guess no further in is
 * half as far. Where they have more in common it is in vain again. */
static void draw_in_end(struct range *range, size_t prefix)
{
    memcpy(range->soft, range->middle, sizeof range->soft);
    range->inside = range->level + (range->left > LEFT_MAX);
    draw_in(range, prefix);
}

static void send_scout(struct join_work *work, struct range *range, const struct keyspace_stretch *stretch,
                       uint64_t left)
{
    struct store *store;
    struct error why;

    range->left = left;
    range->level = stretch->level;
    range->scouts_source = longer_side(&range->pair) == range->pair.source;
    if (!keyspace_middle(&range->space, stretch, range->middle)) {
        draw_in(range, work->prefix);
        return;
    }
    if (filter_look(work->asked.filter, range->middle).folder > 0) { /* nothing is wanted there */
        draw_in_end(range, work->prefix);
        return;
    }
    if (!comes_after(range->middle, &range->pair))
        return;
    store = range->scouts_source ? work->source : work->destination;
    range->scout = open_side(work, store, range->middle, range->last, &why);
    work->scouts += range->scout != NULL;
    work->cost++;
    share_memory(work);
}

/* Cuts the longest ranges there are. */
static void look_for_cuts(struct join_work *work)
{
    uint64_t pages = count_pages(work);

    if (pages == work->looked)
        return;
    work->looked = pages;
    while (work->cost < allowance(pages) && work->count + work->scouts < count_room(work)) {
        struct keyspace_stretch stretch, best;
        struct range *longest = NULL;
        uint64_t most = CUT_MIN - 1;

        for (int i = 0; i < work->count; i++) {
            uint64_t left = look_ahead(work, work->ranges[i], &stretch);

            if (left > most) {
                most = left;
                longest = work->ranges[i];
                best = stretch;
            }
        }
        if (longest == NULL)
            return;
        send_scout(work, longest, &best, most);
        if (longest->scout == NULL)
            return;
    }
}

/* What the scouts have begun becomes a range of its own. */
static void cut_range(struct join_work *work, int at)
{
    struct range *range = work->ranges[at], *next;

    next = range->scouts_source ? new_range(work, range->scout, range->other)
                                : new_range(work, range->other, range->scout);
    range->scout = range->other = NULL;
    work->scouts--;
    if (next == NULL)
        return;
    memcpy(next->last, range->last, sizeof next->last);
    memcpy(next->soft, range->soft, sizeof next->soft);
    next->level = next->inside = range->inside;
    next->worked = range->level;
    range->level = 0;
    cursor_limit(range->pair.source, range->middle);
    cursor_limit(range->pair.destination, range->middle);
    memcpy(range->last, range->middle, sizeof range->last);
    range->soft[0] = '\0';
    for (int i = work->count++; i > at + 1; i--)
        work->ranges[i] = work->ranges[i - 1];
    work->ranges[at + 1] = next;
    work->current += work->current > at;
    log_debug("listing \"%s\": a range is cut at \"%.150s\", there are %d", work->asked.prefix, range->last,
              work->count);
}

/* The scout has found a page: the other side is asked for its own. */
static bool send_other(const struct join_work *work, struct range *range)
{
    struct error why;

    if (range->other == NULL)
        range->other = open_side(work, range->scouts_source ? work->destination : work->source, range->middle,
                                 range->last, &why);
    share_memory(work);
    return range->other != NULL;
}

/* Does the other side say that it has nothing there, although its own listing has not come to its end? It may as well not know how
 * to begin there: no key shows where it did. */
static bool is_unproven(const struct range *range)
{
    const struct cursor *own = range->scouts_source ? range->pair.destination : range->pair.source;

    return cursor_outlook(range->other) == CURSOR_END && cursor_reach(range->other)[0] == '\0' &&
           cursor_outlook(own) != CURSOR_END;
}

/* What the scouts of the range have found. Whatever it is, it is also in the range's own listings, as long as it is not cut. */
static void settle_scout(struct join_work *work, int at)
{
    struct range *range = work->ranges[at];
    enum cursor_state found = cursor_outlook(range->scout), other = CURSOR_ENTRY;

    if (found == CURSOR_ENTRY && comes_after(range->middle, &range->pair) && send_other(work, range))
        other = cursor_outlook(range->other);
    if (found == CURSOR_WAIT || other == CURSOR_WAIT)
        return;
    if (found == CURSOR_END)
        draw_in_end(range, work->prefix);
    else if (range->other != NULL && is_unproven(range))
        set_mark(range, range->scouts_source ? range->pair.source : range->pair.destination);
    else if (found == CURSOR_FAILED || other == CURSOR_FAILED)
        work->cutting = false; /* a service that does not know how to begin there, say: then without */
    else if (range->other != NULL && comes_after(range->middle, &range->pair) && work->cutting)
        cut_range(work, at);
    close_scout(work, range);
}

static void cut_ranges(struct join_work *work)
{
    for (int i = work->count - 1; i >= 0; i--)
        if (work->ranges[i]->scout != NULL)
            settle_scout(work, i);
    if (work->cutting)
        look_for_cuts(work);
}

/* ---- the reader's ---- */

static void show_heads(struct join *join)
{
    struct join_work *work = join->work;
    struct range *range = work->ranges[work->current];
    const struct pair *pair = &range->pair;
    const struct object_entry *head = pair->step.take_source ? pair->source_entry : pair->destination_entry;

    join->step = pair->step;
    join->source_entry = pair->source_entry;
    join->destination_entry = pair->destination_entry;
    if (range->mark[0] == '\0')
        memcpy(range->mark, head->key, strlen(head->key) + 1);
}

static void note_failure(struct join_work *work, const struct pair *pair)
{
    if (work->error.kind == ERROR_NONE)
        work->error = *pair_error(pair);
    work->cutting = false;
}

enum join_state join_peek(struct join *join)
{
    struct join_work *work = join->work;
    int waiting = 0;

    while (waiting < work->count) {
        const struct pair *pair = &work->ranges[work->current]->pair;

        switch (pair_peek(&work->ranges[work->current]->pair)) {
        case PAIR_READY:
            show_heads(join);
            return JOIN_READY;
        case PAIR_WAIT:
            waiting++;
            work->current++;
            break;
        case PAIR_FAILED:
            note_failure(work, pair);
            close_range(work, work->current);
            break;
        case PAIR_END:
            close_range(work, work->current);
            break;
        }
        if (work->current >= work->count)
            work->current = 0;
    }
    if (work->count == 0)
        return work->error.kind != ERROR_NONE ? JOIN_FAILED : JOIN_END;
    if (work->cutting || work->scouts > 0)
        cut_ranges(work);
    return JOIN_WAIT;
}

const char *join_unreadable(const struct join *join, struct error *error)
{
    return pair_unreadable(&join->work->ranges[join->work->current]->pair, error);
}

bool join_has_source(const struct join *join)
{
    return join->source_entry != NULL;
}

void join_take(struct join *join)
{
    struct join_work *work = join->work;

    pair_take(&work->ranges[work->current]->pair);
}

bool join_step(struct join *join)
{
    struct join_work *work = join->work;
    bool moved = false;

    for (int i = 0; i < work->count; i++) {
        moved |= pair_step(&work->ranges[i]->pair);
        if (work->ranges[i]->scout != NULL)
            moved |= cursor_step(work->ranges[i]->scout);
        if (work->ranges[i]->other != NULL)
            moved |= cursor_step(work->ranges[i]->other);
    }
    return moved;
}

const struct error *join_error(const struct join *join)
{
    return &join->work->error;
}
