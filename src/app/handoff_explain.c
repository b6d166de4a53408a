/*
 * Why a command that is there cannot be run: execve(2) says ENOENT as well when the interpreter of a script or the
 * dynamic loader of a program is missing, which sends people looking for the wrong file.
 */
#include "handoff.h"

#include "env.h"
#include "text.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HEAD_SIZE 256 /* the kernel reads no more of a first line (BINPRM_BUF_SIZE) */

/* A descriptor of the regular file, or -1. */
static int open_file(const char *path)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    if (fd >= 0 && (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode))) {
        close(fd);
        return -1;
    }
    return fd;
}

/* The same for a command, looked up in PATH if it has no slash. */
static int open_command(const char *command)
{
    const char *folders = env_text("PATH");
    char path[PATH_MAX];
    int fd = -1;

    if (strchr(command, '/') != NULL)
        return open_file(command);
    while (*folders != '\0' && fd < 0) {
        size_t len = strcspn(folders, ":");
        int needed = snprintf(path, sizeof path, "%.*s/%s", (int)len, len > 0 ? folders : ".", command);

        if (needed > 0 && (size_t)needed < sizeof path && access(path, X_OK) == 0)
            fd = open_file(path);
        folders += len + (folders[len] == ':');
    }
    return fd;
}

/* `line` begins behind "#!". */
static void explain_script(const char *command, char *line, struct error *error)
{
    const char *what = " is not";

    line[strcspn(line, "\n")] = '\0';
    line += strspn(line, " \t");
    line[strcspn(line, " \t")] = '\0';
    if (access(line, F_OK) == 0)
        what = " cannot be loaded: it was built for another C library";
    if (line[strcspn(line, "\r")] == '\r')
        what = "\\r is not: the file has Windows line ends (CR LF), it needs LF";
    line[strcspn(line, "\r")] = '\0';
    error_set(error, ERROR_NOT_FOUND, "cannot run \"%.150s\": it is there, but its interpreter %.150s%s",
              command, line, what);
}

bool handoff_explain(const char *command, struct error *error)
{
    char head[HEAD_SIZE + 1];
    int fd = open_command(command);
    ssize_t len;

    if (fd < 0)
        return false;
    len = read(fd, head, HEAD_SIZE);
    close(fd);
    head[len > 0 ? len : 0] = '\0';
    if (text_begins(head, "#!"))
        explain_script(command, head + 2, error);
    else if (strncmp(head, ELFMAG, SELFMAG) == 0)
        error_set(
            error, ERROR_NOT_FOUND,
            "cannot run \"%.200s\": it is there, but its dynamic loader is not: it was built for another C library",
            command);
    else
        return false;
    return true;
}
