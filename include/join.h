/*
 * join - the listings of both sides, side by side, and the plan's verdict on what is at their heads.
 *
 * What sync and validate have in common. Nothing here waits; join_step lets the listings move after each turn of
 * the http loop.
 *
 * A long listing is cut into ranges of keys, which are listed at the same time (pair.h), each page of each side waiting for its own
 * answer. Whose turn it is is whoever's pages have come: so the order of steps is that of the keys only within a range, or
 * where it was asked for. All ranges together have each key once, the same ones as without them.
 *
 * A range that is long, by what has come of it (keyspace.h), is cut in two while somebody waits for listings; a reader that is
 * busy itself has nothing of that. First a scout asks one side for the page behind the cut, and if that is full, the other side as
 * well. The range is cut only when both have begun where they were to begin: otherwise what they brought is thrown away, and all is
 * as before. What a cut costs, a page thrown away or one half wasted on each side, is limited: JOIN_COST_FIRST of them in the
 * beginning, by one for so many pages, and one in two hundred pages after that. A listing of a few pages is never cut.
 *
 * Memory: the entries of all pages together have JOIN_MEMORY bytes, whatever the services send, and each listing has the same share
 * of that (cursor_share). There are JOIN_RANGES_MAX ranges, and no more than have room for whole pages, by the longest that have
 * come: long keys make fewer ranges. Where keys are short first and become long, those that are there by then ask for fewer keys
 * at a time.
 *
 * INVARIANT: a range that breaks, or whose keys are out of order, is unknown from there on. The others go on to their ends; then
 * the whole of it is JOIN_FAILED, never JOIN_END.
 */
#ifndef STORSYNC_JOIN_H
#define STORSYNC_JOIN_H

#include "cursor.h"
#include "error.h"
#include "object.h"
#include "plan.h"
#include "store.h"

#include <stdbool.h>

#define JOIN_RANGES_MAX 12
#define JOIN_MEMORY (2 * CURSOR_ROOM)
#define JOIN_COST_FIRST 16

enum join_state {
    JOIN_WAIT,   /* a listing is still under way */
    JOIN_READY,  /* `step` says what to do */
    JOIN_END,    /* all listings are through */
    JOIN_FAILED, /* one broke: what it would have shown is unknown. See join_error. */
};

/* Who needs the order of the keys says so, and gets one range. */
enum join_order { JOIN_ANY_ORDER, JOIN_IN_ORDER };

struct join_work;

struct join {
    /* With JOIN_READY, borrowed until join_take: */
    struct plan_step step;
    const struct object_entry *source_entry;
    const struct object_entry *destination_entry;
    struct join_work *work; /* private */
};

/* The texts of the range, and its filter, are borrowed until join_close. */
bool join_open(struct join *join, struct store *source, struct store *destination,
               const struct store_range *range, struct plan_rule rule, enum join_order order,
               struct error *error);
void join_close(struct join *join);
/* From now on any order will do. */
void join_loosen(struct join *join);

enum join_state join_peek(struct join *join);
bool join_has_source(const struct join *join); /* has the source an object at its head? After JOIN_READY */
void join_take(struct join *join);             /* past the heads that the step uses up */
bool join_step(struct join *join);             /* true if anything moved */
/* With PLAN_UNREADABLE: what it is, and why. */
const char *join_unreadable(const struct join *join, struct error *error);
const struct error *join_error(const struct join *join);

#endif
