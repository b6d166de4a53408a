#include "output.h"

#include "clock.h"
#include "stop.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define ALARM_MORE 10L /* ms after patience ran out, and again: the first may come before the write begins */

/* False after a signal as well. Who cannot ask (poll is not allowed, or no descriptor is) has to try. -1 in `ms`: no
 * limit. */
static bool wait_writable(int fd, int ms)
{
    struct pollfd writable = {.fd = fd, .events = POLLOUT};
    int ready = poll(&writable, 1, ms);

    return ready > 0 || (ready < 0 && errno != EINTR);
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

/* ---- a write that waits nevertheless ---- */

struct alarm_found {
    struct sigaction action;
    sigset_t mask;
    struct itimerval timer;
};

/* It only has to end a write. */
static void on_alarm(int signal)
{
    (void)signal;
}

static void set_alarm(int64_t ms, struct alarm_found *found)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = ms % 1000 * 1000},
                              .it_interval = {.tv_usec = ALARM_MORE * 1000}};
    sigset_t alarm;

    sigaction(SIGALRM, &action, &found->action);
    sigemptyset(&alarm);
    sigaddset(&alarm, SIGALRM);
    sigprocmask(SIG_UNBLOCK, &alarm, &found->mask);
    setitimer(ITIMER_REAL, &timer, &found->timer);
}

static void end_alarm(const struct alarm_found *found)
{
    static const struct itimerval none;

    setitimer(ITIMER_REAL, &none, NULL);
    sigprocmask(SIG_SETMASK, &found->mask, NULL);
    sigaction(SIGALRM, &found->action, NULL);
    setitimer(ITIMER_REAL, &found->timer, NULL);
}

static ssize_t write_within(int fd, const char *data, size_t len, int64_t *patience)
{
    struct alarm_found found;
    int64_t began = clock_mono();
    ssize_t n;
    int code;

    if (*patience == OUTPUT_FOREVER)
        return write(fd, data, len);
    set_alarm(*patience + ALARM_MORE, &found);
    n = write(fd, data, len);
    code = errno;
    end_alarm(&found);
    *patience -= clock_mono() - began;
    if (*patience < 0)
        *patience = 0;
    errno = code;
    return n;
}

/* ---- a write that does not wait ---- */

/* At most PIPE_BUF bytes, if there is room for them now, as with O_NONBLOCK for this one call: pipes and sockets, since Linux 6.5.
 * Else -1, whyever. */
static ssize_t write_at_once(int fd, const char *data, size_t len)
{
    static int unable = -1; /* the descriptor that was found to have no such thing: a terminal, most files */
    struct iovec piece = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    ssize_t n;

    if (fd == unable)
        return -1;
    n = pwritev2(fd, &piece, 1, -1, RWF_NOWAIT);
    if (n < 0 && errno != EAGAIN && errno != EINTR)
        unable = fd;
    return n;
}

size_t output_write(int fd, const char *data, size_t len, int64_t *patience)
{
    size_t at = 0;

    while (at < len) {
        size_t piece = len - at < PIPE_BUF ? len - at : PIPE_BUF;
        ssize_t n = write_at_once(fd, data + at, piece);

        if (n <= 0) {
            if (!wait_for_room(fd, patience))
                break;
            n = write_within(fd, data + at, piece, patience);
        }
        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || (errno != EINTR && errno != EAGAIN) || *patience == 0)
            break;
    }
    return at;
}
