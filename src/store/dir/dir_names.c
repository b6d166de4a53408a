#include "dir_names.h"

#include "dir_tree.h"
#include "text.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

/* Changes the case of the first ASCII letter; false if there is none. */
static bool change_case(char *name)
{
    while (*name != '\0' && !text_is_letter(*name))
        name++;
    if (*name == '\0')
        return false;
    *name = (char)(*name ^ ('a' ^ 'A'));
    return true;
}

/* Do both names lead to one file? */
static bool is_one_file(int folder, const char *a, const char *b)
{
    struct stat status_a, status_b;

    return fstatat(folder, a, &status_a, AT_SYMLINK_NOFOLLOW) == 0 &&
           fstatat(folder, b, &status_b, AT_SYMLINK_NOFOLLOW) == 0 && status_a.st_dev == status_b.st_dev &&
           status_a.st_ino == status_b.st_ino;
}

/* True also if the directory cannot be read. */
static bool is_listed(int folder, const char *name)
{
    int fd = dir_open(folder, "", 0, O_RDONLY);
    DIR *stream = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *entry;

    if (stream == NULL) {
        if (fd >= 0)
            close(fd);
        return true;
    }
    while ((entry = readdir(stream)) != NULL && strcmp(entry->d_name, name) != 0) {
    }
    closedir(stream);
    return entry != NULL;
}

static bool is_ascii(const char *name)
{
    while (*name != '\0' && (unsigned char)*name < 0x80)
        name++;
    return *name == '\0';
}

static bool is_clash(int folder, const char *name)
{
    char other[NAME_MAX + 1];
    struct stat status;

    if (!is_ascii(name))
        return fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) == 0 && !is_listed(folder, name);
    memcpy(other, name, strlen(name) + 1);
    return change_case(other) && is_one_file(folder, other, name) && !is_listed(folder, name);
}

bool dir_names_clash(int root, const char *path)
{
    int folder = dir_open(root, "", 0, O_PATH);
    bool clash = false;

    while (folder >= 0) {
        char name[NAME_MAX + 1];
        size_t len = strcspn(path, "/");
        int next = -1;

        memcpy(name, path, len);
        name[len] = '\0';
        clash = is_clash(folder, name);
        if (!clash && path[len] == '/')
            next = dir_open(folder, name, len, O_PATH);
        close(folder);
        folder = next;
        path += len + 1;
    }
    return clash;
}
