#include "output.h"

#include "clock.h"
#include "stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

/* False after a signal as well. -1 in `ms`: no limit. */
static bool wait_writable(int fd, int ms)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};

    return poll(&writable, 1, ms) > 0;
}

bool output_has_room(int fd)
{
    return wait_writable(fd, 0);
}

static bool wait_for_room(int fd, int64_t *patience)
{
    int64_t began;
    bool room = output_has_room(fd);

    while (!room && *patience != 0) {
        began = clock_mono();
        room = wait_writable(fd, *patience > INT_MAX ? INT_MAX : (int)*patience);
        if (*patience == OUTPUT_FOREVER) {
            if (!room && stop_signalled())
                return false;
            continue;
        }
        *patience -= clock_mono() - began;
        if (*patience < 0)
            *patience = 0;
    }
    return room;
}

size_t output_write(int fd, const char *data, size_t len, int64_t *patience)
{
    size_t at = 0;

    while (at < len && wait_for_room(fd, patience)) {
        ssize_t n = write(fd, data + at, len - at < PIPE_BUF ? len - at : PIPE_BUF);

        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN))
            break;
    }
    return at;
}
