/*
 * join - the listings of both sides, side by side: two cursors and the plan's verdict on their heads.
 *
 * What sync and validate have in common. Nothing here waits; join_step lets the cursors move after each turn of
 * the http loop.
 */
#ifndef STORSYNC_JOIN_H
#define STORSYNC_JOIN_H

#include "error.h"
#include "object.h"
#include "plan.h"
#include "store.h"

#include <stdbool.h>

enum join_state {
    JOIN_WAIT,   /* a listing is still under way */
    JOIN_READY,  /* `step` says what to do */
    JOIN_END,    /* both listings are through */
    JOIN_FAILED, /* one broke: what it would have shown is unknown. See join_error. */
};

struct join {
    struct plan_rule rule;
    struct cursor *source;
    struct cursor *destination;
    /* With JOIN_READY, borrowed until join_take: */
    struct plan_step step;
    const struct object_entry *source_entry;
    const struct object_entry *destination_entry;
    /* Private. The last key that was PLAN_UNREADABLE: what either side has there is passed over, because nothing
     * can be said of it. */
    char unknown[OBJECT_KEY_MAX + 1];
};

bool join_open(struct join *join, struct store *source, struct store *destination,
               const struct store_range *range, struct plan_rule rule, struct error *error);
void join_close(struct join *join);

enum join_state join_peek(struct join *join);
bool join_has_source(const struct join *join); /* has the source an object at its head? After JOIN_READY */
void join_take(struct join *join);             /* past the heads that the step uses up */
bool join_step(struct join *join);             /* true if anything moved */
/* With PLAN_UNREADABLE: what it is, and why. */
const char *join_unreadable(const struct join *join, struct error *error);
const struct error *join_error(const struct join *join);

#endif
