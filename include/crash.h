/*
 * crash - named places where a test can make the process die or hang.
 *
 * Only in test builds (-DSTORSYNC_TEST): STORSYNC_CRASH_AT=name makes it happen at that place, and STORSYNC_CRASH_HOW
 * says what: the number of a signal that this process sends itself (11: as if by a fault, 19: stopped), or nothing:
 * then the supervisor dies as well, as if the container were killed. In the release binary nothing of it exists.
 */
#ifndef STORSYNC_CRASH_H
#define STORSYNC_CRASH_H

#ifdef STORSYNC_TEST

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static inline void crash_point(const char *name)
{
    const char *wanted = getenv("STORSYNC_CRASH_AT");
    const char *how = getenv("STORSYNC_CRASH_HOW");

    if (wanted == NULL || strcmp(wanted, name) != 0)
        return;
    if (how == NULL)
        kill(getppid(), SIGKILL);
    raise(how == NULL ? SIGKILL : (int)strtol(how, NULL, 10));
}

#else
#define crash_point(name) ((void)0)
#endif

#endif
