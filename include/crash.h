/*
 * crash - named places where a test can make the process die, as if by kill -9.
 *
 * Only in test builds (-DSTORSYNC_TEST): STORSYNC_CRASH_AT=name kills the process when it comes to that place. In
 * the release binary nothing of it exists.
 */
#ifndef STORSYNC_CRASH_H
#define STORSYNC_CRASH_H

#ifdef STORSYNC_TEST

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static inline void crash_point(const char *name)
{
    const char *wanted = getenv("STORSYNC_CRASH_AT");

    if (wanted != NULL && strcmp(wanted, name) == 0)
        raise(SIGKILL);
}

#else
#define crash_point(name) ((void)0)
#endif

#endif
