#include "plan.h"

#include <stddef.h>
#include <string.h>

static enum plan_reason plan_compare(enum compare rule, const struct object_entry *source,
                                     const struct object_entry *destination)
{
    if (source->size != destination->size)
        return PLAN_SIZE;
    if (rule == COMPARE_SIZE)
        return PLAN_SAME;
    if (source->modified > destination->modified)
        return PLAN_NEWER;
    if (rule == COMPARE_ETAG && object_etags_comparable(source->etag, destination->etag) &&
        strcmp(source->etag, destination->etag) != 0)
        return PLAN_ETAG;
    return PLAN_SAME;
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
    case PLAN_SAME:
        break;
    }
    return "already up-to-date";
}
