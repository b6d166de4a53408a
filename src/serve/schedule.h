/*
 * schedule - when something is due next, whatever the clock does.
 *
 * Its time is the schedule's, and later by its delay. What becomes due waits until it is begun; however often it would have been
 * due until then, it is begun once. So it is when the clock jumps forward, or the machine was asleep. When the clock is set
 * back by less than three hours, what has been due is not due again; by more, it is taken for having been wrong.
 */
#ifndef STORSYNC_SCHEDULE_H
#define STORSYNC_SCHEDULE_H

#include "wire.h"

#include <stdbool.h>
#include <stdint.h>

struct schedule {
    struct wire_schedule told;
    struct cron cron;
    struct zone zone;
    bool set;
    int64_t planned; /* wall: the schedule's own time; it is due `told.delay` later */
    int64_t last;    /* the last such time that became due; 0: none */
    bool waiting;    /* it is due: whoever begins it sets this to false */
};

/* What counts from now on; nothing changes if it did already. Begins zeroed. */
void schedule_set(struct schedule *schedule, const struct wire_schedule *told, int64_t now);

/* To be called when it is due, when the clock was set, or at any time. */
void schedule_look(struct schedule *schedule, int64_t now);

/* Wall; INT64_MAX: never. */
int64_t schedule_due(const struct schedule *schedule);

#endif
