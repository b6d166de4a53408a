/*
 * cron - a schedule of five fields, as crontab(5) of Vixie cron has it, and the next time that it means.
 *
 *     minute 0-59   hour 0-23   day of the month 1-31   month 1-12 or jan-dec   day of the week 0-7 or sun-sat
 *
 * A field is `*`, a value, a range `a-b`, either of the first and the last with a step `/n`, or several of these separated by
 * commas. 0 and 7 are Sunday. If both days are restricted (neither begins with `*`), either one is enough. @hourly, @daily,
 * @midnight, @weekly, @monthly, @yearly and @annually are short for what they say. A schedule that never comes is refused.
 *
 * Times are the zone's. When its clocks are set forward, what is due in the hour that there is not is due at its end. When
 * they are set back, the hour that there is twice counts once, the first time. A schedule whose hour begins with `*` goes by
 * the time that really passes instead: nothing is left out and nothing made up.
 */
#ifndef STORSYNC_CRON_H
#define STORSYNC_CRON_H

#include "error.h"
#include "zone.h"

#include <stdbool.h>
#include <stdint.h>

#define CRON_TEXT_MAX 200 /* bytes of a schedule */

/* The values that count, a bit each. */
struct cron {
    uint64_t minute, hour, day, month, weekday;
    bool any_hour, any_day, any_weekday; /* the field begins with `*` */
};

/* False with ERROR_CONFIG, which names the field, what is wrong with it and what to write. */
bool cron_parse(const char *text, struct cron *cron, struct error *error);

/* The first time after `wall`, ms. */
int64_t cron_next(const struct cron *cron, const struct zone *zone, int64_t wall);

#endif
