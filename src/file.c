#include "file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Reads until the end or until `room` is used up. */
static bool read_up_to(int fd, char *out, size_t room, size_t *len)
{
    for (*len = 0; *len < room;) {
        ssize_t got = read(fd, out + *len, room - *len);

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return false;
        if (got > 0)
            *len += (size_t)got;
    }
    return true;
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
    else if (!read_up_to(fd, text, max + 1, len))
        error_set_errno(error, "cannot read %s", path);
    else if (*len > max)
        error_set(error, ERROR_CONFIG, "%s is larger than %zu KiB", path, max / 1024);
    else
        good = true;
    close(fd);
    if (!good) {
        file_free(text, *len);
        return NULL;
    }
    text[*len] = '\0';
    return text;
}

void file_free(char *text, size_t len)
{
    if (text != NULL)
        explicit_bzero(text, len);
    free(text);
}
