/*
 * timetable - when syncs and validations come by themselves, as the settings say.
 *
 * Times are those of TZ: a rule of POSIX's (zone.h), or a name of the time zone database, if its file is there; the rule
 * for all years from now on is its last line (RFC 8536). Without TZ they are UTC. Replicas that start at one time are spread by
 * schedule_jitter: each one's part of it follows from the name of its host, so it is the same every time.
 */
#ifndef STORSYNC_TIMETABLE_H
#define STORSYNC_TIMETABLE_H

#include "settings.h"
#include "wire.h"

#include <stdint.h>

struct timetable {
    struct wire_schedule schedules[WIRE_TASKS];
};

/* Reads the file of a zone, and warns if there is none. */
void timetable_read(struct timetable *timetable, const struct settings *settings);
void timetable_tell(const struct timetable *timetable, const struct wire *wire);

/* The next sync after `now` (wall), or CLOCK_UNKNOWN if none comes by itself. */
int64_t timetable_next_sync(const struct timetable *timetable, int64_t now);

#endif
