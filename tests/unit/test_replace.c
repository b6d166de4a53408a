/* Files that appear whole or not at all. */
#include "replace.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char folder[TEMPDIR_SIZE];
static char file[PATH_MAX];
static struct replace replace;
static struct error error;

static int make_folder(void **state)
{
    (void)state;
    tempdir_make(folder);
    snprintf(file, sizeof file, "%s/file", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    tempdir_remove(folder);
    return 0;
}

static off_t size_of(const char *path)
{
    struct stat status;

    return lstat(path, &status) == 0 ? status.st_size : -1;
}

static void test_it_appears_at_the_end(void **state)
{
    (void)state;
    assert_true(replace_begin(&replace, file, "the plan", &error));
    assert_true(replace_write(&replace, "abc", 3, &error));
    assert_int_equal(size_of(file), -1);
    assert_true(replace_write(&replace, "de", 2, &error));
    assert_true(replace_finish(&replace, &error));
    assert_int_equal(size_of(file), 5);
    assert_int_equal(access(replace.temporary, F_OK), -1);
    replace_drop(&replace);
    assert_int_equal(size_of(file), 5);
}

static void test_what_is_dropped_changes_nothing(void **state)
{
    (void)state;
    assert_true(tempdir_file(folder, "file", "older"));
    assert_true(replace_begin(&replace, file, "the plan", &error));
    assert_true(replace_write(&replace, "newer one", 9, &error));
    replace_drop(&replace);
    assert_int_equal(size_of(file), 5);
    assert_int_equal(access(replace.temporary, F_OK), -1);
}

/* The descriptor is taken away under it: whatever fails, nothing is left behind. */
static void test_what_cannot_be_written_is_told(void **state)
{
    (void)state;
    assert_true(replace_begin(&replace, file, "the plan", &error));
    assert_int_equal(dup2(open("/dev/full", O_WRONLY), replace.fd), replace.fd);
    assert_false(replace_write(&replace, "x", 1, &error));
    assert_int_equal(error.kind, ERROR_LOCAL);
    assert_non_null(strstr(error.text, "cannot write the plan "));
    assert_non_null(strstr(error.text, "No space left on device"));
    assert_int_equal(replace.fd, -1);
    assert_int_equal(access(replace.temporary, F_OK), -1);

    assert_true(replace_begin(&replace, file, "the plan", &error));
    assert_int_equal(unlink(replace.temporary), 0);
    assert_false(replace_finish(&replace, &error));
    assert_int_equal(error.kind, ERROR_NOT_FOUND);
    assert_int_equal(size_of(file), -1);
}

static void test_a_path_that_is_too_long(void **state)
{
    char path[PATH_MAX];

    (void)state;
    memset(path, 'a', sizeof path - 1);
    path[sizeof path - 1] = '\0';
    assert_false(replace_begin(&replace, path, "the plan", &error));
    assert_string_equal(error.text, "cannot write the plan: its path is too long");
    replace_drop(&replace);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_it_appears_at_the_end, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_is_dropped_changes_nothing, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_written_is_told, make_folder, remove_folder),
        cmocka_unit_test(test_a_path_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
