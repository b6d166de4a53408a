#include "schedule.h"

#include <string.h>

#define SET_BACK_MAX (INT64_C(3) * 3600 * 1000) /* ms */

static void plan(struct schedule *schedule, int64_t now)
{
    int64_t from = now - schedule->told.delay;

    if (schedule->last > from && schedule->last - from < SET_BACK_MAX)
        from = schedule->last;
    schedule->planned = cron_next(&schedule->cron, &schedule->zone, from);
}

void schedule_set(struct schedule *schedule, const struct wire_schedule *told, int64_t now)
{
    struct error ignored;

    if (schedule->told.delay == told->delay && strcmp(schedule->told.cron, told->cron) == 0 &&
        strcmp(schedule->told.zone, told->zone) == 0)
        return;
    schedule->told = *told;
    schedule->set =
        cron_parse(told->cron, &schedule->cron, &ignored) && zone_parse(told->zone, &schedule->zone);
    schedule->waiting = false;
    if (schedule->set)
        plan(schedule, now);
}

int64_t schedule_due(const struct schedule *schedule)
{
    return schedule->set ? schedule->planned + schedule->told.delay : INT64_MAX;
}

void schedule_look(struct schedule *schedule, int64_t now)
{
    if (!schedule->set)
        return;
    if (now >= schedule_due(schedule)) {
        schedule->waiting = true;
        schedule->last = schedule->planned;
    }
    plan(schedule, now);
}
