/*
 * zone - a time zone as a rule: what the variable TZ holds by POSIX (Base Definitions, 8.3), without any file.
 *
 *     UTC0    CET-1CEST,M3.5.0,M10.5.0/3    <+0330>-3:30    EST5EDT
 *
 * Offsets count to the west there; here they are seconds to the east. A change may be at -167 to 167 hours of its day, as in
 * RFC 8536. Daylight saving time without rules has those of the United States, as in other C libraries. "UTC", "GMT" and "" are
 * UTC. Names such as Europe/Berlin are no rules: who may open files finds one at the end of the file of that name.
 */
#ifndef STORSYNC_ZONE_H
#define STORSYNC_ZONE_H

#include <stdbool.h>
#include <stdint.h>

#define ZONE_TEXT_MAX 100 /* bytes of a rule */

struct zone_change {
    char
        kind; /* 'M': month, week, day of the week; 'J': a day of 1 to 365; 'N': of 0 to 365, leap days count */
    int month, week, day;
    int64_t time; /* seconds after midnight */
};

struct zone {
    int64_t standard, daylight; /* seconds east of UTC */
    bool has_daylight;
    struct zone_change begin, end; /* of daylight saving time */
};

/* False: it is no such rule. */
bool zone_parse(const char *text, struct zone *zone);

/* What is added to `seconds` since 1970 in UTC for the time on the wall. */
int64_t zone_offset(const struct zone *zone, int64_t seconds);

#endif
