#include "dir_tree.h"
#include "sandbox.h"
#include "tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static void clean_paths_are_keys(void **state)
{
    static const char *const good[] = {
        "a",
        "a/b",
        "...",
        ".a",
        "a.",
        "..a/b",
        "a b",
        "\xff/\x01",
        "-",
        "a/...",
        ".storsync/last-sync.json",
        ".storsync/deployments/x.json",
        ".storsync/oddly",
        ".storsyncx/odd/61",
        "x/.storsync/odd/61",
        ".storsync/o",
    };
    static const char *const bad[] = {
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/.",
        "a/..",
        "./a",
        "../a",
        "a/../b",
        "a/./b",
        "//",
        ".storsync",
        ".storsync/odd",
        ".storsync/odd/61",
        ".storsync/meta/x",
        ".storsync/tmp",
        ".storsync/tmp/y",
    };
    char name[300];

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(dir_key_is_path(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(dir_key_is_path(bad[i]));
    memset(name, 'n', sizeof name);
    name[255] = '\0';
    assert_true(dir_key_is_path(name));
    name[255] = 'n';
    name[256] = '\0';
    assert_false(dir_key_is_path(name));
    name[256] = 'n';
    name[128] = '/';
    name[299] = '\0';
    assert_true(dir_key_is_path(name));
}

static void odd_names_known(void **state)
{
    char path[DIR_PATH_SIZE];
    char key[OBJECT_KEY_MAX + 1];

    (void)state;
    dir_odd_path("a/", path);
    assert_string_equal(path, ".storsync/odd/612f");
    memset(key, 'A', 64);
    key[64] = '\0';
    dir_odd_path(key, path);
    assert_int_equal(strlen(path), strlen(".storsync/odd/") + 128);
    key[64] = '\xff';
    key[65] = '\0';
    dir_odd_path(key, path);
    assert_int_equal(strlen(path), strlen(".storsync/odd/") + 128 + 2 + 2);
    assert_string_equal(path + strlen(".storsync/odd/") + 126, "41_/ff");
}

static uint64_t random_state = 88172645463325252u;

static unsigned next_random(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % limit);
}

/* A key whose length is around the edges of the pieces, mostly of few different bytes, so that beginnings
 * are shared. */
static void random_key(char key[OBJECT_KEY_MAX + 1])
{
    static const size_t lengths[] = {1, 2, 63, 64, 65, 127, 128, 129, 960, 1023, 1024};
    size_t len = lengths[next_random(sizeof lengths / sizeof lengths[0])];

    for (size_t i = 0; i < len; i++)
        key[i] = next_random(50) == 0 ? (char)(1 + next_random(255)) : '/';
    key[len] = '\0';
}

static int sign(int n)
{
    return (n > 0) - (n < 0);
}

static void odd_names_round_trip_in_order(void **state)
{
    char keys[2][OBJECT_KEY_MAX + 1], back[OBJECT_KEY_MAX + 1];
    char paths[2][DIR_PATH_SIZE];

    (void)state;
    for (int i = 0; i < 3000; i++) {
        random_key(keys[i % 2]);
        dir_odd_path(keys[i % 2], paths[i % 2]);
        assert_true(dir_odd_key(paths[i % 2] + strlen(".storsync/odd/"), back));
        assert_string_equal(back, keys[i % 2]);
        if (i > 0)
            assert_int_equal(sign(strcmp(paths[0], paths[1])), sign(strcmp(keys[0], keys[1])));
        for (const char *at = paths[i % 2]; (at = strchr(at, '/')) != NULL; at++)
            assert_true(strcspn(at + 1, "/") <= 130);
    }
}

static void foreign_names_are_not_odd_names(void **state)
{
    char key[OBJECT_KEY_MAX + 1];
    char path[3000];

    (void)state;
    assert_false(dir_odd_key("", key));
    assert_false(dir_odd_key("6", key));
    assert_false(dir_odd_key("6G", key));
    assert_false(dir_odd_key("4A", key)); /* one name only: lower case */
    assert_false(dir_odd_key("00", key));
    assert_false(dir_odd_key("61/62", key));
    assert_false(dir_odd_key("61_/62", key)); /* not a full piece */
    assert_false(dir_odd_key("61.bak", key));
    memset(path, '6', sizeof path);
    path[130] = '\0';
    assert_false(dir_odd_key(path, key)); /* more than a piece */
    path[128] = '_';
    path[129] = '/';
    assert_false(dir_odd_key(path, key)); /* "<piece>_/" and no more */
    path[129] = '\0';
    assert_false(dir_odd_key(path, key));
    for (size_t i = 0; i < 17; i++) {
        memset(path + i * 130, '6', 128);
        memcpy(path + i * 130 + 128, "_/", 2);
    }
    path[16 * 130 + 2] = '\0';
    assert_false(dir_odd_key(path, key)); /* a key of 1,025 bytes */
    path[16 * 130 - 2] = '\0';
    assert_true(dir_odd_key(path, key));
    assert_int_equal(strlen(key), OBJECT_KEY_MAX);
}

/* ---- the file system ---- */

static char outside[TEMPDIR_SIZE], root[TEMPDIR_SIZE + 8];

static int set_up(void **state)
{
    (void)state;
    tempdir_make(outside);
    snprintf(root, sizeof root, "%s/root", outside);
    return !(tempdir_file(outside, "secret", "secret") && tempdir_file(outside, "root/a/b/c", "inside"));
}

static int tear_down(void **state)
{
    (void)state;
    tempdir_remove(outside);
    return 0;
}

static void nothing_leads_out(void **state)
{
    static const char *const ways[] = {
        "../secret",  "a/../../secret", "a/b/../../../secret",
        "up/secret",  "a/up/secret",    "file",
        "a/loop/x",   "/etc/passwd",    "//etc/passwd",
        "abs/passwd", "a//b/c",         "./a/b/c",
        "a/b/c/",     "dot/a/b/c",      "inside",
        "a/b/c/d",
    };
    struct stat status;
    const char *leaf;
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(symlink("..", tempdir_path(root, "up")), 0);
    assert_int_equal(symlink("../..", tempdir_path(root, "a/up")), 0);
    assert_int_equal(symlink("../secret", tempdir_path(root, "file")), 0);
    assert_int_equal(symlink("loop", tempdir_path(root, "a/loop")), 0);
    assert_int_equal(symlink("/etc", tempdir_path(root, "abs")), 0);
    assert_int_equal(symlink(".", tempdir_path(root, "dot")), 0);
    assert_int_equal(symlink("a/b/c", tempdir_path(root, "inside")), 0);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        errno = 0;
        assert_int_equal(dir_open_file(fd, ways[i], O_RDONLY, &status), -1);
        assert_int_equal(errno, ENOENT);
        assert_int_equal(dir_open_file(fd, ways[i], O_PATH, &status), -1);
        assert_int_equal(errno, ENOENT);
    }
    assert_int_equal(dir_open_parent(fd, "up/root/x", &leaf), -1);
    assert_int_equal(dir_open_parent(fd, "../root/x", &leaf), -1);
    assert_int_equal(dir_open(fd, "up", 2, O_PATH), -1);
    assert_int_equal(dir_open(fd, "up", 2, O_RDONLY), -1);
    close(fd);
}

static void what_is_inside_opens(void **state)
{
    struct stat status;
    struct buf text;
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int file = dir_open_file(fd, "a/b/c", O_RDONLY, &status);
    const char *leaf;
    int parent;

    (void)state;
    assert_true(file >= 0);
    assert_int_equal(status.st_size, 6);
    buf_init(&text, 6);
    assert_true(dir_read(file, &text));
    assert_string_equal(buf_str(&text), "inside");
    assert_int_equal(lseek(file, 0, SEEK_SET), 0);
    assert_false(dir_read(file, &text)); /* no room for more */
    assert_int_equal(errno, EFBIG);
    buf_free(&text);
    close(file);

    parent = dir_open_parent(fd, "a/b/new", &leaf);
    assert_true(parent >= 0);
    assert_string_equal(leaf, "new");
    assert_true(dir_sync(parent));
    close(parent);
    assert_true(dir_sync_at(fd, "a/b", 3));
    errno = 0;
    assert_int_equal(dir_open_parent(fd, "n/e/w", &leaf), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(dir_open_parent(fd, "a/b/c/d", &leaf), -1);
    assert_int_equal(errno, ENOTDIR);
    close(fd);
}

static void only_regular_files_open(void **state)
{
    struct stat status;
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    assert_int_equal(mkfifo(tempdir_path(root, "fifo"), 0644), 0);
    assert_int_equal(dir_open_file(fd, "fifo", O_RDONLY, &status), -1); /* and does not wait for a writer */
    assert_int_equal(errno, ENOENT);
    assert_int_equal(dir_open_file(fd, "a/b", O_RDONLY, &status), -1);
    assert_int_equal(errno, ENOENT);
    close(fd);
}

static void large_files_open(void **state)
{
    struct stat status;
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    int file;

    (void)state;
    assert_int_equal(truncate(tempdir_path(root, "a/b/c"), INT64_C(3) << 30), 0);
    file = dir_open_file(fd, "a/b/c", O_RDONLY, &status);
    assert_true(file >= 0);
    assert_true(status.st_size == INT64_C(3) << 30);
    close(file);
    close(fd);
}

static void times_and_versions(void **state)
{
    struct stat status = {.st_size = 31,
                          .st_mtim = {.tv_sec = 1, .tv_nsec = 999999999},
                          .st_ctim = {.tv_sec = 2, .tv_nsec = 255}};
    char version[OBJECT_VERSION_SIZE];

    (void)state;
    dir_stamp(&status, version);
    assert_string_equal(version, "1f-773593ff");
    dir_version(&status, version);
    assert_string_equal(version, "1f-773593ff-773594ff");
    assert_int_equal(dir_modified(&status), 1999);
    status.st_mtim = (struct timespec){.tv_sec = -1, .tv_nsec = 1000000};
    assert_int_equal(dir_modified(&status), -999);
    status.st_mtim = (struct timespec){.tv_sec = INT64_MAX};
    assert_true(dir_modified(&status) > INT64_MAX - 4000);
    dir_version(&status, version);
    status.st_mtim = (struct timespec){.tv_sec = INT64_MIN};
    assert_true(dir_modified(&status) < INT64_MIN + 4000);
}

/* It is opened, and says nothing: that is another failure than not to be there, for what is not there may be made anew. In a
 * process of its own, as nobody can look at anything from then on. */
static void a_file_that_says_nothing(void **state)
{
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    pid_t child = fork();
    struct stat status;
    int end = 0;

    (void)state;
    if (child == 0) {
        if (!sandbox_refuse(SYS_fstat, EIO) || !sandbox_refuse(SYS_newfstatat, EIO))
            _exit(2);
        _exit(dir_open_file(fd, "a/b/c", O_RDONLY, &status) != -1 || errno != EIO);
    }
    close(fd);
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFEXITED(end));
    if (WEXITSTATUS(end) == 2)
        skip();
    assert_int_equal(WEXITSTATUS(end), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clean_paths_are_keys),
        cmocka_unit_test(odd_names_known),
        cmocka_unit_test(odd_names_round_trip_in_order),
        cmocka_unit_test(foreign_names_are_not_odd_names),
        cmocka_unit_test(times_and_versions),
    };

    const struct CMUnitTest ways[] = {
        cmocka_unit_test_setup_teardown(nothing_leads_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_inside_opens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(only_regular_files_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_files_open, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_says_nothing, set_up, tear_down),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL) + cmocka_run_group_tests(ways, NULL, NULL);

    /* From here on as with an old kernel, or in a sandbox that does not know the call. */
    if (failed == 0 && sandbox_refuse(SYS_openat2, EPERM))
        failed = cmocka_run_group_tests_name("ways, one component after the other", ways, NULL, NULL);
    return failed;
}
