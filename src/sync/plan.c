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

static bool are_times_known(const struct object_entry *source, const struct object_entry *destination)
{
    return source->modified != CLOCK_UNKNOWN && destination->modified != CLOCK_UNKNOWN;
}

/* Was the source changed so shortly before the destination that it may have been while it was copied? */
static bool is_close(const struct object_entry *source, const struct object_entry *destination)
{
    return destination->modified - source->modified <= PLAN_COPY_TIME;
}

/* Do the hashes count, which differ? */
static bool hashes_count(enum compare rule, const struct object_entry *source,
                         const struct object_entry *destination)
{
    return rule == COMPARE_ETAG || !are_times_known(source, destination) || is_close(source, destination);
}

/* A destination that keeps the source's time shows by it of which version it is. */
static bool is_doubtful(const struct object_entry *source, const struct object_entry *destination)
{
    return are_times_known(source, destination) && destination->modified > source->modified &&
           is_close(source, destination) && !object_hashes_comparable(&source->hash, &destination->hash);
}

static enum plan_reason plan_compare(struct plan_rule rule, const struct object_entry *source,
                                     const struct object_entry *destination)
{
    enum plan_reason reason;

    if (source->size != destination->size)
        return PLAN_SIZE;
    if (rule.compare == COMPARE_SIZE)
        return PLAN_SAME;
    reason = compare_times(source, destination);
    if (reason != PLAN_SAME)
        return reason;
    if (object_hashes_differ(&source->hash, &destination->hash) &&
        hashes_count(rule.compare, source, destination))
        return PLAN_ETAG;
    return rule.doubtful && is_doubtful(source, destination) ? PLAN_DOUBTFUL : PLAN_SAME;
}

struct plan_step plan_next(struct plan_rule rule, const struct object_entry *source,
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
    case PLAN_DOUBTFUL:
        return "the last sync failed";
    case PLAN_SAME:
        break;
    }
    return "already up-to-date";
}
