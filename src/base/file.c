#include "file.h"

#include "clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define PIPE_WAIT 5000 /* ms, for all that a pipe has to say */

/* Waits until there is something to read, or the end. A named pipe that nobody has opened for writing yet waits, too. */
static bool wait_for_bytes(int fd, int64_t until)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    for (;;) {
        int64_t left = until - clock_mono();
        int ready = left > 0 ? poll(&pollfd, 1, (int)left) : 0;

        if (ready > 0)
            return true;
        if (ready == 0)
            errno = ETIMEDOUT;
        if (errno != EINTR)
            return false;
    }
}

/* Reads until the end or until `room` is used up. */
static bool read_up_to(int fd, bool patient, char *out, size_t room, size_t *len)
{
    int64_t until = clock_mono() + PIPE_WAIT;

    for (*len = 0; *len < room;) {
        ssize_t got;

        if (patient && !wait_for_bytes(fd, until))
            return false;
        got = read(fd, out + *len, room - *len);
        if (got == 0)
            break;
        if (got < 0 && errno != EINTR && !(patient && errno == EAGAIN))
            return false;
        if (got > 0)
            *len += (size_t)got;
    }
    return true;
}

static bool read_text(int fd, const char *path, char *text, size_t max, size_t *len, struct error *error)
{
    struct stat status;
    bool patient = fstat(fd, &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);

    if (!read_up_to(fd, patient, text, max + 1, len)) {
        if (patient && errno == ETIMEDOUT)
            return error_set(error, ERROR_CONFIG, "cannot read %s: its writer was not done within %d s", path,
                             PIPE_WAIT / 1000);
        return error_set_errno(error, "cannot read %s", path);
    }
    return *len <= max || error_set(error, ERROR_CONFIG, "%s is larger than %zu KiB", path, max / 1024);
}

char *file_read(const char *path, size_t max, size_t *len, struct error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    char *text;
    bool good = false;

    *len = 0;
    if (fd < 0) {
        error_set_errno(error, "cannot open %s", path);
        return NULL;
    }
    text = malloc(max + 2);
    if (text == NULL)
        error_set(error, ERROR_LOCAL, "cannot read %s: out of memory", path);
    else
        good = read_text(fd, path, text, max, len, error);
    close(fd);
    if (!good) {
        file_free(text, *len);
        return NULL;
    }
    text[*len] = '\0';
    return text;
}

const char *file_exposure(const char *path)
{
    struct statvfs system;
    struct stat status;

    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode))
        return NULL;
    if ((status.st_mode & S_IWOTH) != 0)
        return "can be changed by anybody";
    if ((status.st_mode & S_IROTH) == 0 || (statvfs(path, &system) == 0 && (system.f_flag & ST_RDONLY) != 0))
        return NULL;
    return "can be read by anybody";
}

void file_free(char *text, size_t len)
{
    if (text != NULL)
        explicit_bzero(text, len);
    free(text);
}
