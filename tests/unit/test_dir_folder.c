/*
 * Folders that last: by what is flushed, and by what each flush says.
 */
#include "dir_tree.h"
#include "flushes.h"
#include "sandbox.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char root[TEMPDIR_SIZE];
static struct dir_tree tree;

/* As a process does that begins. */
static void begin_process(void)
{
    static uint64_t random;

    if (tree.root > 0)
        close(tree.root);
    tree = (struct dir_tree){.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .temp = -1};
    tree.random = ++random * UINT64_C(0x9e3779b97f4a7c15);
}

static int set_up(void **state)
{
    (void)state;
    tempdir_make(root);
    begin_process();
    flushes_begin(root);
    flushes_fail(NULL, 0);
    return tree.root < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(tree.root);
    tree.root = -1;
    tempdir_remove(root);
    return 0;
}

static void make(const char *path)
{
    const char *leaf;
    int fd = dir_folder_make_parent(&tree, path, &leaf);

    assert_true(fd >= 0);
    assert_string_equal(leaf, strrchr(path, '/') + 1);
    close(fd);
}

static void assert_fails_to_settle(const char *path, int error)
{
    errno = 0;
    assert_false(dir_folder_settle(&tree, path));
    assert_int_equal(errno, error);
}

/* ---- making ---- */

static mode_t mode_of(const char *name)
{
    struct stat status;

    assert_int_equal(lstat(tempdir_path(root, name), &status), 0);
    return status.st_mode & 0777;
}

static void what_is_missing_is_made(void **state)
{
    mode_t before = umask(022);
    const char *leaf;
    int fd;

    (void)state;
    make("n/e/w");
    make("n/other/w");
    make(".storsync/odd/61_/62");
    assert_true(tempdir_has(root, "n/e") && tempdir_has(root, "n/other"));
    assert_false(tempdir_has(root, "n/e/w"));
    assert_int_equal(mode_of("n"), 0755);
    assert_int_equal(mode_of("n/e"), 0755);
    assert_int_equal(mode_of(".storsync"), 0750);
    assert_int_equal(mode_of(".storsync/odd/61_"), 0750);
    umask(before);
    fd = dir_folder_make_parent(&tree, "plain", &leaf);
    assert_true(fd >= 0);
    assert_string_equal(leaf, "plain");
    close(fd);
    assert_int_equal(flushes_count(NULL), 0);
}

static void nothing_is_made_elsewhere(void **state)
{
    char path[600];
    const char *leaf;

    (void)state;
    assert_true(tempdir_file(root, "file", "") && tempdir_file(root, "in/in/in", ""));
    assert_int_equal(symlink("in", tempdir_path(root, "link")), 0);
    assert_int_equal(symlink("nowhere", tempdir_path(root, "in/dangling")), 0);
    assert_int_equal(dir_folder_make_parent(&tree, "file/x/y", &leaf), -1);
    assert_int_equal(errno, ENOTDIR);
    assert_int_equal(dir_folder_make_parent(&tree, "link/x/y", &leaf), -1);
    assert_false(tempdir_has(root, "in/x"));
    assert_int_equal(dir_folder_make_parent(&tree, "in/dangling/x/y", &leaf), -1);
    assert_false(tempdir_has(root, "in/nowhere"));
    assert_int_equal(dir_folder_make_parent(&tree, "../x/y", &leaf), -1);
    assert_int_equal(dir_folder_make_parent(&tree, "in/../x/y", &leaf), -1);
    assert_int_equal(dir_folder_make_parent(&tree, "in//x/y", &leaf), -1);
    assert_false(tempdir_has(root, "in/x") || tempdir_has(root, "x") || tempdir_has(root, "../x"));
    memset(path, 'n', sizeof path);
    memcpy(path + sizeof path - 3, "/x", 3);
    assert_int_equal(dir_folder_make_parent(&tree, path, &leaf), -1);
    path[255] = path[450] = '/';
    make(path);
}

/* ---- flushing ---- */

static void one_flush_is_good_for_all_that_is_in_a_folder(void **state)
{
    char path[32];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "a/b/%d/x", i);
        make(path);
    }
    dir_folder_begin(&tree);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof path, "a/b/%d/x", i);
        assert_true(dir_folder_settle(&tree, path));
    }
    assert_int_equal(flushes_count(""), 1);
    assert_int_equal(flushes_count("a"), 1);
    assert_int_equal(flushes_count("a/b"), 1);
    assert_int_equal(flushes_count(NULL), 3);
    dir_folder_begin(&tree);
    assert_true(dir_folder_settle(&tree, "a/b/7/x"));
    assert_true(dir_folder_settle(&tree, "x"));
    assert_int_equal(flushes_count(NULL), 3);

    make("a/b/7/n/x"); /* in the middle of a turn */
    make("a/b/n/x");
    assert_true(dir_folder_settle(&tree, "a/b/7/n/x"));
    assert_true(dir_folder_settle(&tree, "a/b/n/x"));
    assert_int_equal(flushes_count("a/b/7"), 1);
    assert_int_equal(flushes_count("a/b"), 2);
    assert_int_equal(flushes_count(NULL), 5);
    make("a/b/8/m/x");
    assert_true(dir_folder_settle(&tree, "a/b/8/m/x"));
    make("a/b/8/n/x");
    assert_true(dir_folder_settle(&tree, "a/b/8/n/x"));
    assert_int_equal(flushes_count("a/b/8"), 2);
}

/* Another process may have been killed between mkdir and the flush; or somebody has removed it meanwhile. */
static void what_is_found_is_not_believed(void **state)
{
    (void)state;
    make("a/b/x");
    assert_int_equal(mkdir(tempdir_path(root, "a/c"), 0755), 0);
    begin_process();
    dir_folder_begin(&tree);
    assert_true(dir_folder_settle(&tree, "a/b/x"));
    assert_int_equal(flushes_count(""), 1);
    assert_int_equal(flushes_count("a"), 1);
    dir_folder_begin(&tree);
    assert_true(dir_folder_settle(&tree, "a/c/x"));
    assert_int_equal(flushes_count(""), 1);
    assert_int_equal(flushes_count("a"), 2);

    assert_int_equal(rmdir(tempdir_path(root, "a/b")), 0);
    make("a/b/x");
    dir_folder_begin(&tree);
    assert_true(dir_folder_settle(&tree, "a/b/x"));
    assert_int_equal(flushes_count("a"), 3);
}

static void a_volume_that_was_flushed(void **state)
{
    (void)state;
    make("a/b/c/x");
    dir_folder_begin(&tree);
    dir_folder_believe(&tree, "a/b/x");
    assert_true(dir_folder_settle(&tree, "a/b/x"));
    assert_int_equal(flushes_count(NULL), 0);
    assert_true(dir_folder_settle(&tree, "a/b/c/x"));
    assert_int_equal(flushes_count("a/b"), 1);
    assert_int_equal(flushes_count(NULL), 1);
}

/* ---- failures ---- */

static void a_failure_is_that_of_all_that_is_in_a_folder(void **state)
{
    (void)state;
    assert_true(tempdir_file(root, "a/old/file", "") && tempdir_file(root, "a/b/.keep", ""));
    assert_int_equal(mkdir(tempdir_path(root, "a/empty"), 0755), 0);
    make("a/new/deep/x");
    make("a/full/x");
    assert_true(tempdir_file(root, "a/full/x", ""));
    make("other/x");
    flushes_fail("a", EIO);
    dir_folder_begin(&tree);
    assert_fails_to_settle("a/new/deep/x", EIO);
    assert_fails_to_settle("a/old/x", EIO);
    assert_fails_to_settle("a/full/x", EIO);
    assert_fails_to_settle("a/empty/x", EIO);
    assert_true(dir_folder_settle(&tree, "a/x")); /* that one lasts */
    assert_true(dir_folder_settle(&tree, "other/x"));
    assert_int_equal(flushes_count("a"), 1); /* what the kernel tells once */
    assert_false(tempdir_has(root, "a/new"));
    assert_true(tempdir_has(root, "a/old/file") && tempdir_has(root, "a/full/x"));
    assert_true(tempdir_has(root, "a/empty")); /* somebody else's */

    flushes_fail(NULL, 0);
    assert_fails_to_settle("a/old/x", EIO); /* still the same turn */
    dir_folder_begin(&tree);
    make("a/new/deep/x");
    assert_true(dir_folder_settle(&tree, "a/new/deep/x"));
    assert_true(dir_folder_settle(&tree, "a/old/x"));
    assert_int_equal(flushes_count("a"), 2);
}

static void more_failures_than_are_kept(void **state)
{
    char path[32];

    (void)state;
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%d/x/x", i);
        make(path);
        assert_true(tempdir_file(root, path, ""));
    }
    flushes_fail("*", EIO);
    dir_folder_begin(&tree);
    dir_folder_believe(&tree, "4/x");
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 30; i++) {
            snprintf(path, sizeof path, "%d/x/x", i);
            assert_fails_to_settle(path, EIO);
        }
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%d", i);
        assert_true(flushes_count(path) <= 1);
        snprintf(path, sizeof path, "%d/x", i);
        dir_folder_believe(&tree, path);
    }
    assert_int_equal(flushes_count(""), 1);
    dir_folder_begin(&tree);
    flushes_fail("*", EIO);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 30; i++) {
            snprintf(path, sizeof path, "%d/x/x", i);
            assert_fails_to_settle(path, EIO);
        }
    for (int i = 0; i < 30; i++) {
        snprintf(path, sizeof path, "%d", i);
        assert_true(flushes_count(path) <= 1);
    }
}

static void what_has_vanished(void **state)
{
    (void)state;
    dir_folder_begin(&tree);
    assert_fails_to_settle("gone/x/x", ENOENT);
    dir_folder_begin(&tree);
    assert_int_equal(symlink(".", tempdir_path(root, "link")), 0);
    assert_false(dir_folder_settle(&tree, "link/x/x"));
}

/* What was settled lasts. */
static void whatever_comes(void **state)
{
    enum { TOPS = 4, SUBS = 12 };
    static bool made[TOPS][SUBS], lasts[TOPS][SUBS]; /* [0]: the one above */
    uint32_t random = 1;

    (void)state;
    memset(made, 0, sizeof made);
    memset(lasts, 0, sizeof lasts);
    dir_folder_begin(&tree);
    for (int round = 0; round < 8000; round++) {
        char path[32], above[16];
        int top, sub;

        random = random * 1664525 + 1013904223;
        top = (int)(random >> 8) % TOPS;
        sub = 1 + (int)(random >> 16) % (SUBS - 1);
        snprintf(above, sizeof above, "%d", top);
        snprintf(path, sizeof path, "%d/%d/x", top, sub);
        switch (random >> 29) {
        case 0:
            if (round % 50 == 0)
                begin_process();
            dir_folder_begin(&tree);
            break;
        case 1:
            flushes_fail(sub % 3 == 0 ? above : sub % 3 == 1 ? "" : NULL, EIO);
            break;
        case 2:
            if (made[top][sub] && rmdir(tempdir_path(root, strtok(path, "x"))) == 0)
                made[top][sub] = lasts[top][sub] = false;
            break;
        default:
            flushes_begin(root);
            make(path);
            if (dir_folder_settle(&tree, path) &&
                (!(lasts[top][0] || flushes_done("")) || !(lasts[top][sub] || flushes_done(above))))
                fail_msg("round %d: %s", round, path);
            made[top][0] = tempdir_has(root, above);
            for (int i = 0; i < TOPS; i++) {
                snprintf(path, sizeof path, "%d", i);
                lasts[i][0] = tempdir_has(root, path) && (lasts[i][0] || flushes_done(""));
            }
            for (int i = 1; i < SUBS; i++) {
                snprintf(path, sizeof path, "%d/%d", top, i);
                made[top][i] = tempdir_has(root, path);
                lasts[top][i] = made[top][i] && (lasts[top][i] || flushes_done(above));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_missing_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nothing_is_made_elsewhere, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_flush_is_good_for_all_that_is_in_a_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_found_is_not_believed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_volume_that_was_flushed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_failure_is_that_of_all_that_is_in_a_folder, set_up, tear_down),
        cmocka_unit_test_setup_teardown(more_failures_than_are_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_has_vanished, set_up, tear_down),
        cmocka_unit_test_setup_teardown(whatever_comes, set_up, tear_down),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    /* From here on as with an old kernel, or in a sandbox that does not know the call. */
    if (failed == 0 && sandbox_refuse(SYS_openat2, EPERM))
        failed = cmocka_run_group_tests_name("one component after the other", tests, NULL, NULL);
    return failed;
}
