/*
 * A settings file and an environment. The input is the file's text up to the first byte 0x1E, then variables
 * ("NAME=value"), one a line. Whatever they say, every setting is in its range, a value that was written down reads
 * back as the same value, and a secret is not printed.
 */
#include "settings_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SEPARATOR 0x1E
#define VARIABLES_MAX 64
#define SECRET "fuzzed-secret"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition)
        abort();
}

/* A file in memory; `path` gets its name. -1: no memory. */
static int make_file(const void *text, size_t len, char path[64])
{
    int fd = memfd_create("settings", MFD_CLOEXEC);

    if (fd < 0)
        return -1;
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    if (len > 0 && write(fd, text, len) != (ssize_t)len) {
        close(fd);
        return -1;
    }
    return fd;
}

/* Cuts `text` into lines. Files that the environment names could be anything on this machine: not those. */
static void split_variables(char *text, const char *variables[VARIABLES_MAX + 1])
{
    int count = 0;

    variables[count++] = "STORSYNC_SOURCE_SECRET_ACCESS_KEY=" SECRET;
    for (char *line = strtok(text, "\n"); line != NULL && count < VARIABLES_MAX; line = strtok(NULL, "\n"))
        if (strstr(line, "_FILE=") == NULL)
            variables[count++] = line;
    variables[count] = NULL;
}

/* "start|stop": two. */
static int64_t count_choices(const char *choices)
{
    int64_t count = 1;

    for (; *choices != '\0'; choices++)
        count += *choices == '|';
    return count;
}

static void check_numbers(const struct settings *settings)
{
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);
        const void *field = (const char *)settings + slot.offset;

        switch (slot.setting->type) {
        case SETTING_NUMBER:
        case SETTING_DURATION:
        case SETTING_SIZE:
        case SETTING_LIMIT:
        case SETTING_SHARE:
            require((slot.setting->also != NULL && *(const int64_t *)field == 0) ||
                    (*(const int64_t *)field >= slot.setting->min &&
                     *(const int64_t *)field <= slot.setting->max));
            break;
        case SETTING_FLAG:
            require(*(const int64_t *)field == 0 || *(const int64_t *)field == 1);
            break;
        case SETTING_CHOICE:
            require(*(const int64_t *)field >= 0 &&
                    *(const int64_t *)field < count_choices(slot.setting->choices));
            break;
        default:
            require(*(const char *const *)field != NULL);
            break;
        }
    }
}

/* Every value, written down, is accepted and stays the same. */
static void check_values(const struct settings *settings)
{
    struct settings again = *settings;
    struct buf first, second;

    buf_init(&first, SETTINGS_TEXT_MAX);
    buf_init(&second, SETTINGS_TEXT_MAX);
    for (int i = 0; i < SETTINGS_SLOTS; i++) {
        struct slot slot = settings_slot(i);

        buf_clear(&first);
        buf_clear(&second);
        settings_format(settings, &slot, &first);
        require(settings_parse(&again, &slot, buf_str(&first)));
        settings_format(&again, &slot, &second);
        require(strcmp(buf_str(&first), buf_str(&second)) == 0);
    }
    buf_free(&first);
    buf_free(&second);
}

static void check_paths(const struct settings *settings)
{
    int count = settings_path_count(settings);

    require(count > 0 && count <= SETTINGS_PATHS_MAX);
    for (int i = 0; i < count; i++) {
        const char *path = settings_path(settings, i);

        require(*path == '\0' || path[strlen(path) - 1] == '/');
        for (int other = 0; other < count; other++)
            require(other == i || strncmp(path, settings_path(settings, other),
                                          strlen(settings_path(settings, other))) != 0);
    }
}

static void check_printing(const struct settings *settings, struct buf *out, bool secret)
{
    buf_clear(out);
    require(settings_print(settings, NULL, 0, out));
    require(!secret || strstr(buf_str(out), SECRET) == NULL);
    buf_clear(out);
    require(settings_print_json(settings, NULL, 0, out));
    require(!secret || strstr(buf_str(out), SECRET) == NULL);
}

/* `secret`: the secret is in no other place than where it belongs. */
static void check_load(const char *path, const char *const *variables, bool secret)
{
    struct settings_input input = {.environ_ = variables, .config = path};
    struct settings settings;
    struct error error = {.kind = ERROR_NONE};
    struct buf out;
    bool good = settings_load(&settings, &input, &error);

    require(good == (error.kind == ERROR_NONE));
    require(good || error.kind == ERROR_CONFIG);
    check_numbers(&settings);
    check_values(&settings);
    check_paths(&settings);
    buf_init(&out, (size_t)4 * 1024 * 1024);
    check_printing(&settings, &out, secret);
    buf_free(&out);
    settings_free(&settings);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *variables[VARIABLES_MAX + 1];
    const uint8_t *separator = size > 0 ? memchr(data, SEPARATOR, size) : NULL;
    size_t len = separator != NULL ? (size_t)(separator - data) : size;
    char *text = separator != NULL ? strndup((const char *)separator + 1, size - len - 1) : strdup("");
    char path[64];
    int fd = make_file(data, len, path);

    if (text != NULL && fd >= 0) {
        split_variables(text, variables);
        check_load(path, variables, memmem(data, size, SECRET, strlen(SECRET)) == NULL);
    }
    if (fd >= 0)
        close(fd);
    free(text);
    return 0;
}
