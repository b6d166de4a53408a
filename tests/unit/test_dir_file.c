/*
 * Writing whole or not at all: rivals, crashes, full disks.
 */
#include "dir_file.h"
#include "dir_fixture.h"
#include "dir_stream.h"

#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

/* ---- create ---- */

static void exactly_one_creates(void **state)
{
    enum { RIVALS = 12 };
    pid_t rivals[RIVALS];
    int won = 0;
    int gate[2];

    (void)state;
    assert_int_equal(pipe2(gate, O_CLOEXEC), 0);
    for (int i = 0; i < RIVALS; i++) {
        rivals[i] = fork();
        assert_true(rivals[i] >= 0);
        if (rivals[i] == 0) {
            char text[32];
            char byte;

            close(gate[1]);
            if (read(gate[0], &byte, 1) != 0) /* until all are there */
                _exit(3);
            snprintf(text, sizeof text, "rival %d", i);
            store_write(store, &call, ".storsync/lease/1", text, strlen(text),
                        &(struct store_condition){.when = STORE_IF_ABSENT});
            _exit(store_wait(&call) ? 0 : call.error.kind == ERROR_PRECONDITION ? 1 : 2);
        }
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < RIVALS; i++) {
        int status;
        char text[32];

        assert_int_equal(waitpid(rivals[i], &status, 0), rivals[i]);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) <= 1);
        if (WEXITSTATUS(status) == 0) {
            won++;
            snprintf(text, sizeof text, "rival %d", i);
            assert_holds(".storsync/lease/1", text);
        }
    }
    assert_int_equal(won, 1);
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

static void state_keys(void **state)
{
    (void)state;
    store_write(store, &call, ".storsync/deployments/x.json", "{}", 2,
                &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_succeeds();
    store_write(store, &call, ".storsync/deployments/x.json", "[]", 2,
                &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_fails(ERROR_PRECONDITION);
    assert_holds(".storsync/deployments/x.json", "{}");
    assert_true(tempdir_has(root, ".storsync/deployments/x.json"));
    store_write(store, &call, ".storsync/deployments/x.json", "[]", 2, NULL);
    assert_succeeds();
    assert_holds(".storsync/deployments/x.json", "[]");
    assert_int_equal(count_sidecars(), 0);
    assert_string_equal(listing(""), "");
    assert_string_equal(listing(".storsync/"), "");
    assert_string_equal(listing(".storsync/deployments/"), ".storsync/deployments/x.json ");
    store_remove(store, &call, ".storsync/deployments/x.json");
    assert_succeeds();
    assert_absent(".storsync/deployments/x.json");
}

/* ---- crashes and full disks ---- */

static void stale_files_go_and_fresh_ones_stay(void **state)
{
    struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    int temp;

    (void)state;
    /* A modification time in the past is no sign of age: every object's is set. */
    assert_true(tempdir_file(root, ".storsync/tmp/1-2-3", "unfinished"));
    assert_true(tempdir_file(root, ".storsync/tmp/dir/file", "not ours"));
    assert_int_equal(utimensat(AT_FDCWD, tempdir_path(root, ".storsync/tmp/1-2-3"), old, 0), 0);
    put_text("a", "x");
    assert_int_equal(count_in(".storsync/tmp"), 2);
    assert_string_equal(listing(""), "a ");

    temp = open(tempdir_path(root, ".storsync/tmp"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    dir_file_tidy(temp, clock_wall() - 60000);
    assert_int_equal(count_in(".storsync/tmp"), 2);
    dir_file_tidy(temp, clock_wall() + 60000);
    assert_int_equal(count_in(".storsync/tmp"), 1);
    assert_true(tempdir_has(root, ".storsync/tmp/dir/file"));
    close(temp);
    dir_file_tidy(-1, 0);
}

static void a_crash_leaves_the_old_version(void **state)
{
    pid_t child;
    int status;

    (void)state;
    put_text("a", "old");
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct pipe pipe;

        if (!pipe_init(&pipe))
            _exit(1);
        store_put(store, &call,
                  &(struct store_target){.key = "a", .size = 6, .modified = CLOCK_UNKNOWN, .meta = &meta},
                  &pipe);
        pipe_write(&pipe, "new", 3);
        store_step(&call);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(count_in(".storsync/tmp"), 1);
    assert_holds("a", "old");
    assert_string_equal(listing(""), "a ");
}

static void a_file_that_may_not_grow(void **state)
{
    struct rlimit before, limit;
    static char data[100000];
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);

    (void)state;
    put_text("a", "old");
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 50000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
    assert_false(put("a", data, sizeof data, sizeof data, CLOCK_UNKNOWN));
    store_upload_begin(
        store, &call,
        &(struct store_target){.key = "a", .size = sizeof data, .modified = CLOCK_UNKNOWN, .meta = &meta});
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    assert_fails(ERROR_LOCAL);
    assert_int_equal(call.error.sys, EFBIG);
    assert_null(call.upload);
    assert_holds("a", "old");
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

/* Needs a file system of its own, so root; also what a read-only one says. */
static void full_and_read_only_file_systems(void **state)
{
    static char data[2000000];

    if (geteuid() != 0)
        skip();
    set_up(state);
    if (mount("tmpfs", root, "tmpfs", 0, "size=1m") != 0) {
        tear_down(state);
        skip();
    }
    assert_false(put("a/b", data, sizeof data, sizeof data, CLOCK_UNKNOWN));
    assert_int_equal(call.error.kind, ERROR_LOCAL);
    assert_int_equal(call.error.sys, ENOSPC);
    assert_non_null(strstr(call.error.text, "a/b: No space left on device"));
    assert_int_equal(count_in(".storsync/tmp"), 0);
    put_text("a/b", "fits"); /* and everything is as before */
    store_upload_begin(
        store, &call,
        &(struct store_target){.key = "c", .size = sizeof data, .modified = CLOCK_UNKNOWN, .meta = &meta});
    assert_fails(ERROR_LOCAL); /* before a byte was sent */
    assert_int_equal(call.error.sys, ENOSPC);
    assert_int_equal(count_in(".storsync/tmp"), 0);

    assert_int_equal(mount("tmpfs", root, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
    assert_holds("a/b", "fits");
    assert_string_equal(listing(""), "a/b ");
    store_write(store, &call, "a/b", "x", 1, NULL);
    assert_fails(ERROR_PERMISSION);
    assert_int_equal(call.error.sys, EROFS);
    store_close(store);
    store = open_at(root);
    umount2(root, MNT_DETACH);
    tear_down(state);
}

/* ---- a volume inside the bucket ---- */

static bool is_temporary(const char *name)
{
    return strncmp(name, ".storsync-tmp-", 14) == 0;
}

static int count_temporary(const char *folder)
{
    DIR *dir = opendir(tempdir_path(root, folder));
    const struct dirent *entry;
    int count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        count += is_temporary(entry->d_name);
    closedir(dir);
    return count;
}

static void fill_volume(void)
{
    static char data[300000];
    struct pipe pipe;

    memset(data, 'x', sizeof data);
    assert_true(object_meta_add(&meta, "cache-control", "no-cache"));
    assert_true(put("public/big", data, sizeof data, sizeof data, 1000));
    assert_memory_equal(get("public/big", 0, UINT64_MAX, "")->data, data, sizeof data);
    assert_meta("public/big", META("cache-control", "no-cache"));
    assert_int_equal(count_temporary("public") + count_in(".storsync/tmp"), 0);

    /* From now on what is unfinished is there from the beginning, and no object. */
    assert_true(pipe_init(&pipe));
    store_put(
        store, &call,
        &(struct store_target){.key = "public/sub/a", .size = 3, .modified = CLOCK_UNKNOWN, .meta = &meta},
        &pipe);
    assert_int_equal(count_temporary("public/sub"), 1);
    assert_string_equal(listing(""), "public/big ");
    pipe_write(&pipe, "new", 3);
    pipe.closed = true;
    assert_succeeds();
    pipe_free(&pipe);
    assert_holds("public/sub/a", "new");
    put_text("elsewhere", "on the outer volume");
    put_text("public//odd", "odd");
    put_text("public/big/below a file", "odd");
    assert_string_equal(listing(""),
                        "elsewhere public//odd public/big public/big/below a file public/sub/a ");
    assert_int_equal(count_temporary("public") + count_temporary("public/sub") + count_temporary("."), 0);

    /* A failure takes its file along. */
    assert_false(put("public/sub/b", data, 10, 9, CLOCK_UNKNOWN));
    store_write(store, &call, "public/sub/c", "1", 1, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_succeeds();
    store_write(store, &call, "public/sub/c", "2", 1, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_fails(ERROR_PRECONDITION);
    assert_int_equal(count_temporary("public/sub"), 0);
}

/* Needs to mount, so root. */
static void a_volume_inside_the_bucket(void **state)
{
    bool mounted;

    if (geteuid() != 0)
        skip();
    set_up(state);
    assert_int_equal(mkdir(tempdir_path(root, "public"), 0755), 0);
    mounted = mount("tmpfs", tempdir_path(root, "public"), "tmpfs", 0, "size=4m") == 0;
    if (mounted)
        fill_volume();
    store_close(store);
    store = open_at(root);
    if (mounted)
        umount2(tempdir_path(root, "public"), MNT_DETACH);
    tear_down(state);
    if (!mounted)
        skip();
}

/* What a crash left beside an object goes with the first listing of a process that writes there. */
static void listings_tidy_up(void **state)
{
    (void)state;
    assert_true(tempdir_file(root, "a/" DIR_TEMP_PREFIX "1-2-3", "unfinished"));
    assert_true(tempdir_file(root, "a/b", "body"));
    assert_string_equal(listing("a/"), "a/b ");
    assert_int_equal(count_in("a"), 2);
    put_text("c", "x");
    assert_string_equal(listing(""), "a/b c ");
    assert_int_equal(count_in("a"), 2); /* it is fresh */
    dir_store(store)->tree.stale = clock_wall() + 60000;
    assert_string_equal(listing(""), "a/b c ");
    assert_int_equal(count_in("a"), 1);
    /* A key that looks like one is no path. */
    put_text("a/" DIR_TEMP_PREFIX "x/y", "body");
    assert_false(tempdir_has(root, "a/" DIR_TEMP_PREFIX "x"));
    assert_string_equal(listing("a/"), "a/" DIR_TEMP_PREFIX "x/y a/b ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(exactly_one_creates),
        DIR_TEST(state_keys),
        DIR_TEST(stale_files_go_and_fresh_ones_stay),
        DIR_TEST(a_crash_leaves_the_old_version),
        DIR_TEST(a_file_that_may_not_grow),
        cmocka_unit_test(full_and_read_only_file_systems),
        cmocka_unit_test(a_volume_inside_the_bucket),
        DIR_TEST(listings_tidy_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
