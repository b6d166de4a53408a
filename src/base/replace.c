#include "replace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of /dev/stdout and the like, whatever is behind the descriptor. */
static bool leads_to_descriptor(const char *link)
{
    static const char place[] = "/proc/";
    char target[sizeof place - 1];

    return readlink(link, target, sizeof target) == (ssize_t)sizeof target &&
           memcmp(target, place, sizeof target) == 0;
}

static bool is_replaceable(const char *path)
{
    struct stat info;

    if (lstat(path, &info) != 0 || S_ISREG(info.st_mode))
        return true;
    return S_ISLNK(info.st_mode) && !leads_to_descriptor(path) &&
           (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

static bool give_up(struct replace *replace, struct error *error)
{
    error_set_errno(error, "cannot write %s %s", replace->what, replace->path);
    replace_drop(replace);
    return false;
}

bool replace_begin(struct replace *replace, const char *path, const char *what, struct error *error)
{
    int len = snprintf(replace->temporary, sizeof replace->temporary, "%s.XXXXXX", path);

    replace->what = what;
    replace->path = path;
    replace->fd = -1;
    if (len < 0 || (size_t)len >= sizeof replace->temporary)
        return error_set(error, ERROR_LOCAL, "cannot write %s: its path is too long", what);
    if (!is_replaceable(path))
        return error_set(error, ERROR_LOCAL, "cannot write %s %s: not a regular file", what, path);
    /* A new file under a name nobody can foresee (O_EXCL): nothing that waits there is followed or opened. */
    replace->fd = mkostemp(replace->temporary, O_CLOEXEC);
    return replace->fd >= 0 || give_up(replace, error);
}

bool replace_write(struct replace *replace, const char *data, size_t len, struct error *error)
{
    while (len > 0) {
        ssize_t n = write(replace->fd, data, len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return give_up(replace, error);
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* close(2) is not repeated: on Linux the descriptor is gone even after EINTR. */
bool replace_finish(struct replace *replace, struct error *error)
{
    int fd = replace->fd;

    if (fchmod(fd, 0644) != 0 || fsync(fd) != 0)
        return give_up(replace, error);
    replace->fd = -1;
    if ((close(fd) == 0 || errno == EINTR) && rename(replace->temporary, replace->path) == 0)
        return true;
    give_up(replace, error);
    unlink(replace->temporary);
    return false;
}

void replace_drop(struct replace *replace)
{
    if (replace->fd < 0)
        return;
    close(replace->fd);
    unlink(replace->temporary);
    replace->fd = -1;
}

bool replace_file(const char *path, const char *what, const struct buf *text, struct error *error)
{
    bool ended = text->len > 0 && text->data[text->len - 1] == '\n';
    struct replace file = {.fd = -1};

    return replace_begin(&file, path, what, error) && replace_write(&file, buf_str(text), text->len, error) &&
           replace_write(&file, "\n", ended ? 0 : 1, error) && replace_finish(&file, error);
}
