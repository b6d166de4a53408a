/*
 * plan - the merge-join of two listings: what to do about the two entries at their heads. Pure.
 *
 * Both listings come in strictly increasing byte order of keys, so one comparison decides: the smaller key is
 * missing on the other side; equal keys are compared by the rule. Memory does not depend on how many there are.
 *
 * COMPARE_NEWER. A source object can be replaced while its old version is being copied: the copy is then the later of the
 * two. So a destination that is later by no more than PLAN_COPY_TIME, and whose content is known to be other by both
 * ETags, is copied again. Production's own changes stay where they are later than that. Copying again ends it: the times
 * are further apart then, or the ETags equal.
 *
 * A sync that failed or died may have left such a copy without knowing it: of what was written, and answered with an error,
 * say. The sync after it is `doubtful` of every copy that can be one: later than its source by no more than PLAN_COPY_TIME,
 * with nothing to compare the content by. It copies them again.
 *
 * A time that a listing does not tell says nothing: content hashes decide then, and where they cannot, the object is copied.
 */
#ifndef STORSYNC_PLAN_H
#define STORSYNC_PLAN_H

#include "object.h"
#include "settings.h"

#include <stdbool.h>

enum plan_action {
    PLAN_COPY,       /* missing, or different by the rule; `reason` says which */
    PLAN_KEEP,       /* up to date */
    PLAN_EXTRA,      /* only at the destination; a sync leaves it alone */
    PLAN_UNREADABLE, /* no object: one side could not look at what is there */
    PLAN_END,
};

enum plan_reason {
    PLAN_SAME,
    PLAN_MISSING,
    PLAN_SIZE,
    PLAN_NEWER,
    PLAN_ETAG,
    PLAN_UNKNOWN,
    PLAN_DOUBTFUL,
};

struct plan_rule {
    enum compare compare;
    bool doubtful; /* the sync before this one did not end well */
};

/* Longer than it takes to copy an object whose ETag is a content hash, so one that was written in one piece, in ms. */
#define PLAN_COPY_TIME (INT64_C(10) * 60 * 1000)

struct plan_step {
    enum plan_action action;
    enum plan_reason reason;
    bool take_source, take_destination; /* which heads this step uses up */
};

/* NULL: that listing is at its end. */
struct plan_step plan_next(struct plan_rule rule, const struct object_entry *source,
                           const struct object_entry *destination);

const char *plan_reason_text(enum plan_reason reason); /* "missing", "size differs", ... */

#endif
