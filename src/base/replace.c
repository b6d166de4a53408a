#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool write_bytes(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* Closes `fd` in every case. close(2) is not repeated: on Linux the descriptor is gone even after EINTR. */
static bool fill_file(int fd, const struct buf *text)
{
    bool ended = text->len > 0 && text->data[text->len - 1] == '\n';
    bool ok = write_bytes(fd, buf_str(text), text->len) && write_bytes(fd, "\n", ended ? 0 : 1) &&
              fchmod(fd, 0644) == 0 && fsync(fd) == 0;
    int code = errno;

    if (close(fd) != 0 && ok && errno != EINTR)
        return false;
    errno = code;
    return ok;
}

/* Of /dev/stdout and the like, whatever is behind the descriptor. */
static bool leads_to_descriptor(const char *link)
{
    static const char place[] = "/proc/";
    char target[sizeof place - 1];

    return readlink(link, target, sizeof target) == (ssize_t)sizeof target &&
           memcmp(target, place, sizeof target) == 0;
}

/* rename(2) would replace a device or a socket (/dev/null, say) as readily as a file, and a link to one. */
static bool is_replaceable(const char *path)
{
    struct stat info;

    if (lstat(path, &info) != 0 || S_ISREG(info.st_mode))
        return true;
    return S_ISLNK(info.st_mode) && !leads_to_descriptor(path) &&
           (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

bool replace_file(const char *path, const char *what, const struct buf *text, struct error *error)
{
    char temporary[PATH_MAX];
    int len = snprintf(temporary, sizeof temporary, "%s.XXXXXX", path);

    if (len < 0 || (size_t)len >= sizeof temporary)
        return error_set(error, ERROR_LOCAL, "cannot write %s: its path is too long", what);
    if (!is_replaceable(path))
        return error_set(error, ERROR_LOCAL, "cannot write %s %s: not a regular file", what, path);
    /* A new file under a name nobody can foresee (O_EXCL): nothing that waits there is followed or opened. */
    int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0)
        return error_set_errno(error, "cannot write %s %s", what, path);
    if (fill_file(fd, text) && rename(temporary, path) == 0)
        return true;
    error_set_errno(error, "cannot write %s %s", what, path);
    unlink(temporary);
    return false;
}
