/*
 * pair - one range of keys, listed on both sides: two cursors and the plan's verdict on their heads. For join.h.
 */
#ifndef STORSYNC_PAIR_H
#define STORSYNC_PAIR_H

#include "cursor.h"
#include "error.h"
#include "object.h"
#include "plan.h"

#include <stdbool.h>

enum pair_state {
    PAIR_WAIT,   /* a listing is still under way */
    PAIR_READY,  /* `step` says what to do */
    PAIR_END,    /* both listings are through */
    PAIR_FAILED, /* one broke: what it would have shown is unknown. See pair_error. */
};

struct pair {
    struct plan_rule rule;
    struct cursor *source;
    struct cursor *destination;
    /* With PAIR_READY, borrowed until pair_take: */
    struct plan_step step;
    const struct object_entry *source_entry;
    const struct object_entry *destination_entry;
    /* Private. The last key that was PLAN_UNREADABLE: what either side has there is passed over, because nothing
     * can be said of it. */
    char unknown[OBJECT_KEY_MAX + 1];
};

/* Takes both cursors over. */
void pair_open(struct pair *pair, struct cursor *source, struct cursor *destination, struct plan_rule rule);
void pair_close(struct pair *pair);

enum pair_state pair_peek(struct pair *pair);
void pair_take(struct pair *pair); /* past the heads that the step uses up */
bool pair_step(struct pair *pair); /* true if anything moved */
/* With PLAN_UNREADABLE: what it is, and why. */
const char *pair_unreadable(const struct pair *pair, struct error *error);
const struct error *pair_error(const struct pair *pair);

#endif
