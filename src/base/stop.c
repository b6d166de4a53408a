#include "stop.h"

#include "clock.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <unistd.h>

static volatile sig_atomic_t stop_received; /* the first signal, 0 if none */
static volatile sig_atomic_t stop_descriptor = -1;
static int64_t stop_deadline;

bool stop_init(struct error *error)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return error_set_errno(error, "eventfd");
    stop_descriptor = fd;
    return true;
}

void stop_close(void)
{
    int fd = stop_descriptor;

    stop_descriptor = -1;
    if (fd >= 0)
        close(fd);
}

void stop_signal(int signal)
{
    static const uint64_t one = 1;
    int before = errno;

    if (stop_received == 0)
        stop_received = signal;
    if (stop_descriptor >= 0 && write(stop_descriptor, &one, sizeof one) < 0) {
        /* The counter is full, so the descriptor is readable already. */
    }
    errno = before;
}

bool stop_signalled(void)
{
    return stop_received != 0;
}

int stop_fd(void)
{
    return stop_descriptor;
}

void stop_at(int64_t mono)
{
    stop_deadline = mono;
}

int stop_wait(int limit)
{
    int64_t left;

    if (stop_received != 0)
        return 0;
    if (stop_deadline == 0)
        return limit;
    left = stop_deadline - clock_mono();
    if (left < 0)
        return 0;
    return left < limit ? (int)left : limit;
}

bool stop_requested(struct error *error)
{
    int received = stop_received;

    if (received != 0) {
        error_set(error, ERROR_INTERRUPTED, "interrupted by signal %d", received);
        error->signal = received;
        return true;
    }
    if (stop_deadline != 0 && clock_mono() >= stop_deadline) {
        error_set(error, ERROR_TIMEOUT, "the time limit for the whole sync passed (setting timeout)");
        return true;
    }
    return false;
}

enum stop_reason stop_reason(void)
{
    if (stop_received != 0)
        return STOP_SIGNAL;
    return stop_deadline != 0 && clock_mono() >= stop_deadline ? STOP_DEADLINE : STOP_NONE;
}

void stop_reset(void)
{
    stop_received = 0;
    stop_deadline = 0;
}
