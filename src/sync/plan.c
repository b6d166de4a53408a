#include "plan.h"

#include "clock.h"

#include <stddef.h>
#include <string.h>

static enum plan_reason compare_times(const struct object_entry *source,
                                      const struct object_entry *destination)
{
    if (source->modified == CLOCK_UNKNOWN || destination->modified == CLOCK_UNKNOWN)
        return object_hashes_comparable(&source->hash, &destination->hash) ? PLAN_SAME : PLAN_UNKNOWN;
    return source->modified + source->touched > destination->modified ? PLAN_NEWER : PLAN_SAME;
}

/* Do the hashes count, which differ? */
static bool hashes_count(enum compare rule, const struct object_entry *source,
                         const struct object_entry *destination)
{
    if (rule == COMPARE_ETAG || source->modified == CLOCK_UNKNOWN || destination->modified == CLOCK_UNKNOWN)
        return true;
    return destination->modified - source->modified <= PLAN_COPY_TIME;
}

static enum plan_reason plan_compare(enum compare rule, const struct object_entry *source,
                                     const struct object_entry *destination)
{
    enum plan_reason reason;

    if (source->size != destination->size)
        return PLAN_SIZE;
    if (rule == COMPARE_SIZE)
        return PLAN_SAME;
    reason = compare_times(source, destination);
    if (reason == PLAN_SAME && object_hashes_differ(&source->hash, &destination->hash) &&
        hashes_count(rule, source, destination))
        return PLAN_ETAG;
    return reason;
}

struct plan_step plan_next(enum compare rule, const struct object_entry *source,
                           const struct object_entry *destination)
{
    enum plan_reason reason;
    int order;

    if (source == NULL && destination == NULL)
        return (struct plan_step){.action = PLAN_END};
    if (source == NULL)
        order = 1;
    else if (destination == NULL)
        order = -1;
    else
        order = strcmp(source->key, destination->key);
    if (order <= 0 && source->unreadable != 0)
        return (struct plan_step){.action = PLAN_UNREADABLE, .take_source = true};
    if (order >= 0 && destination->unreadable != 0)
        return (struct plan_step){.action = PLAN_UNREADABLE, .take_destination = true};
    if (order < 0)
        return (struct plan_step){.action = PLAN_COPY, .reason = PLAN_MISSING, .take_source = true};
    if (order > 0)
        return (struct plan_step){.action = PLAN_EXTRA, .take_destination = true};
    reason = plan_compare(rule, source, destination);
    return (struct plan_step){
        .action = reason == PLAN_SAME ? PLAN_KEEP : PLAN_COPY,
        .reason = reason,
        .take_source = true,
        .take_destination = true,
    };
}

const char *plan_reason_text(enum plan_reason reason)
{
    switch (reason) {
    case PLAN_MISSING:
        return "missing";
    case PLAN_SIZE:
        return "size differs";
    case PLAN_NEWER:
        return "source is newer";
    case PLAN_ETAG:
        return "content differs";
    case PLAN_UNKNOWN:
        return "time is not known";
    case PLAN_SAME:
        break;
    }
    return "already up-to-date";
}
