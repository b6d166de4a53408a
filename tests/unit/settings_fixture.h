/* What the tests of settings share: loading from this and that, and what is expected of the problems. */
#ifndef STORSYNC_SETTINGS_FIXTURE_H
#define STORSYNC_SETTINGS_FIXTURE_H

#include "settings_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ENVIRON(...) ((const char *const[]){__VA_ARGS__, NULL})

struct fixture {
    struct settings settings;
    struct error error;
    char folder[32];
    char file[48]; /* the INI file, once it is written */
};

static inline int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);

    if (fixture == NULL)
        return -1;
    strcpy(fixture->folder, "/tmp/test_settings.XXXXXX");
    if (mkdtemp(fixture->folder) == NULL) {
        free(fixture);
        return -1;
    }
    snprintf(fixture->file, sizeof fixture->file, "%s/storsync.ini", fixture->folder);
    *state = fixture;
    return 0;
}

static inline int tear_down(void **state)
{
    struct fixture *fixture = *state;

    settings_free(&fixture->settings);
    unlink(fixture->file);
    rmdir(fixture->folder);
    free(fixture);
    return 0;
}

static inline void write_bytes(const char *path, const void *bytes, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static inline bool load(struct fixture *fixture, const struct settings_input *input)
{
    settings_free(&fixture->settings);
    error_clear(&fixture->error);
    return settings_load(&fixture->settings, input, &fixture->error);
}

static inline bool load_environ(struct fixture *fixture, const char *const *environ_)
{
    return load(fixture, &(struct settings_input){.environ_ = environ_, .config = "/dev/null"});
}

static inline bool load_ini(struct fixture *fixture, const char *text, const char *const *environ_)
{
    write_bytes(fixture->file, text, strlen(text));
    return load(fixture, &(struct settings_input){.environ_ = environ_, .config = fixture->file});
}

static inline bool load_flag(struct fixture *fixture, const char *name, const char *value)
{
    struct settings_flag flag = {name, value};

    return load(fixture,
                &(struct settings_input){
                    .environ_ = ENVIRON("A=b"), .flags = &flag, .flag_count = 1, .config = "/dev/null"});
}

/* There is exactly one problem, and it says all of these things. */
static inline void assert_problem(struct fixture *fixture, const char *const *parts)
{
    const char *problem = settings_problem(&fixture->settings, 0);

    assert_non_null(problem);
    for (; *parts != NULL; parts++)
        if (strstr(problem, *parts) == NULL)
            fail_msg("\"%s\" is not in: %s", *parts, problem);
    assert_null(settings_problem(&fixture->settings, 1));
}

static inline void assert_no_problem(struct fixture *fixture)
{
    if (settings_problem(&fixture->settings, 0) != NULL)
        fail_msg("%s", settings_problem(&fixture->settings, 0));
}

#define assert_origin(fixture, member, expected)                                                             \
    assert_string_equal(settings_origin(&(fixture)->settings, &(fixture)->settings.member), expected)

#define SETTINGS_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
