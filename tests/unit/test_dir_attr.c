#include "dir_attr.h"
#include "dir_fixture.h"
#include "dir_tree.h"

#include <sys/mount.h>

static mode_t mode_of(const char *name)
{
    struct stat status;

    assert_int_equal(lstat(tempdir_path(root, name), &status), 0);
    return status.st_mode & 07777;
}

static void put_with_mode(const char *key, int mode)
{
    meta.mode = mode;
    put_text(key, "body");
    meta.mode = OBJECT_MODE_UNKNOWN;
}

/* What was there before, what comes, and what it becomes, with a umask of 027. */
static void permissions_are_kept_or_narrowed(void **state)
{
    static const struct {
        int old, source;
        mode_t result;
    } cases[] = {
        {-1, 0644, 0640}, {-1, 0600, 0600},   {-1, 0444, 0440},   {-1, 0755, 0750},   {-1, 0, 0400},
        {-1, -1, 0640},   {0600, 0644, 0600}, {0644, 0600, 0600}, {0664, 0644, 0644}, {0664, -1, 0664},
        {0600, -1, 0600}, {0200, 0444, 0400}, {06755, -1, 0755},
    };
    mode_t before = umask(027);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_true(tempdir_file(root, "d/other", ""));
        if (cases[i].old >= 0) {
            assert_true(tempdir_file(root, "d/a", "old"));
            assert_int_equal(chmod(tempdir_path(root, "d/a"), (mode_t)cases[i].old), 0);
        }
        put_with_mode("d/a", cases[i].source);
        assert_int_equal(mode_of("d/a"), cases[i].result);
        unlink(tempdir_path(root, "d/a"));
    }
    umask(022);
    assert_true(tempdir_file(root, "d/b", "old"));
    put_with_mode("d/new", -1);
    assert_int_equal(mode_of("d/new"), 0644);
    umask(before);
}

/* Not even while the object is being written. */
static void nobody_else_reads_what_is_unfinished(void **state)
{
    struct pipe pipe;
    struct dirent *entry;
    DIR *dir;
    char name[PATH_MAX] = "";

    (void)state;
    assert_true(pipe_init(&pipe));
    meta.mode = 0644;
    store_put(store, &call,
              &(struct store_target){.key = "a", .size = 4, .modified = CLOCK_UNKNOWN, .meta = &meta}, &pipe);
    pipe_write(&pipe, "secr", 4);
    store_step(&call);
    dir = opendir(tempdir_path(root, ".storsync/tmp"));
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL)
        if (strncmp(entry->d_name, DIR_TEMP_PREFIX, sizeof DIR_TEMP_PREFIX - 1) == 0)
            snprintf(name, sizeof name, ".storsync/tmp/%s", entry->d_name);
    closedir(dir);
    assert_int_equal(mode_of(".storsync/tmp/") & 07, 0);
    assert_int_equal(mode_of(name), 0600);
    pipe.closed = true;
    assert_succeeds();
    assert_int_equal(mode_of("a") & 0600, 0600);
    pipe_free(&pipe);
}

static void state_and_sidecars_are_not_for_others(void **state)
{
    mode_t before = umask(0);

    (void)state;
    assert_int_equal(chmod(root, 0777), 0);
    assert_true(object_meta_add(&meta, "user:owner", "alice"));
    put_text("a.txt", "body"); /* SHA-256 of the key: see test_dir_meta.c */
    store_write(store, &call, ".storsync/lease/1", "{}", 2,
                &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_succeeds();
    assert_int_equal(mode_of(".storsync"), 0750);
    assert_int_equal(mode_of(".storsync/meta/18"), 0750);
    assert_int_equal(
        mode_of(".storsync/meta/18/18b7cb099a9ea3f50ba899b5ba81e0d377a5f3b16f8f6eeb8b3e58cd4692b993.json"),
        0640);
    assert_int_equal(mode_of(".storsync/lease/1"), 0640);
    assert_int_equal(mode_of("a.txt"), 0644);
    umask(before);
}

static void a_file_that_is_replaced_keeps_its_owner(void **state)
{
    struct stat status;

    if (geteuid() != 0)
        skip();
    (void)state;
    assert_true(tempdir_file(root, "a", "old"));
    assert_int_equal(chown(tempdir_path(root, "a"), 1234, 4321), 0);
    assert_int_equal(chmod(tempdir_path(root, "a"), 0640), 0);
    put_text("a", "new");
    assert_int_equal(stat(tempdir_path(root, "a"), &status), 0);
    assert_int_equal(status.st_uid, 1234);
    assert_int_equal(status.st_gid, 4321);
    assert_int_equal(status.st_mode & 0777, 0640);
}

/* Who may not set the group must not let another one read instead. */
static void another_group_gets_no_more_than_others(void **state)
{
    struct stat status;

    if (geteuid() != 0)
        skip();
    (void)state;
    assert_int_equal(chmod(root, 0777), 0);
    assert_true(tempdir_file(root, "a", "old"));
    assert_int_equal(chmod(tempdir_path(root, "a"), 0664), 0);
    tempdir_not_root();
    put_text("a", "new");
    tempdir_root_again();
    assert_int_equal(stat(tempdir_path(root, "a"), &status), 0);
    if (status.st_gid == 0) /* the effective group is still root's */
        assert_int_equal(status.st_mode & 0777, 0664);
    else
        assert_int_equal(status.st_mode & 0777, 0644);
    assert_int_equal(chown(tempdir_path(root, "a"), 0, 4321), 0);
    assert_int_equal(chmod(tempdir_path(root, "a"), 0664), 0);
    tempdir_not_root();
    put_text("a", "newer");
    tempdir_root_again();
    assert_int_equal(stat(tempdir_path(root, "a"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0644);
}

/* The web server's group, say: as if the file had been made there. */
static void set_group_id_of_a_directory_counts(void **state)
{
    struct stat status;

    if (geteuid() != 0)
        skip();
    (void)state;
    assert_true(tempdir_file(root, "d/x", ""));
    assert_int_equal(chown(tempdir_path(root, "d"), 0, 4321), 0);
    put_text("d/a", "body");
    assert_int_equal(stat(tempdir_path(root, "d/a"), &status), 0);
    assert_int_equal(status.st_gid, getegid());
    assert_int_equal(chmod(tempdir_path(root, "d"), 02775), 0);
    put_text("d/b", "body");
    put_text("d/sub/c", "body");
    assert_int_equal(stat(tempdir_path(root, "d/b"), &status), 0);
    assert_int_equal(status.st_gid, 4321);
    assert_int_equal(stat(tempdir_path(root, "d/sub/c"), &status), 0);
    assert_int_equal(status.st_gid, 4321);
}

static void a_file_tells_its_permissions(void **state)
{
    (void)state;
    assert_true(tempdir_file(root, "a", "body"));
    assert_int_equal(chmod(tempdir_path(root, "a"), 04640), 0);
    store_head(store, &call, "a");
    assert_succeeds();
    assert_int_equal(call.meta.mode, 0640);
    get("a", 0, UINT64_MAX, "");
    assert_int_equal(call.meta.mode, 0640);
}

/* ---- time ---- */

/* Needs a file system that keeps whole seconds: ext4 with small inodes, in a file. */
static bool mount_coarse(char image[TEMPDIR_SIZE + 8])
{
    char command[512];
    int fd;

    snprintf(image, TEMPDIR_SIZE + 8, "%s.image", root);
    fd = open(image, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, 8 << 20) != 0)
        return false;
    close(fd);
    snprintf(command, sizeof command, "{ mkfs.ext4 -q -F -I 128 %s && mount -o loop %s %s; } >/dev/null 2>&1",
             image, image, root);
    return system(command) == 0; /* NOLINT: no user's words are in it */
}

static int64_t modified_of(const char *key)
{
    store_head(store, &call, key);
    assert_succeeds();
    return call.info.modified;
}

static void coarse_times_never_look_older(void **state)
{
    char image[TEMPDIR_SIZE + 8];
    int64_t now;

    if (geteuid() != 0)
        skip();
    set_up(state);
    if (!mount_coarse(image)) {
        unlink(image);
        tear_down(state);
        skip();
    }
    assert_true(put("a", "body", 4, 4, INT64_C(1700000000700)));
    assert_int_equal(modified_of("a"), INT64_C(1700000001000));
    assert_true(put("a", "body", 4, 4, INT64_C(1700000000000)));
    assert_int_equal(modified_of("a"), INT64_C(1700000000000));
    assert_true(put("a", "body", 4, 4, INT64_C(-1500)));
    assert_int_equal(modified_of("a"), INT64_C(-1000));
    /* The second is not over: what changes once more in it must be newer. */
    now = clock_wall() / 1000 * 1000 + 999;
    assert_true(put("a", "body", 4, 4, now));
    assert_true(modified_of("a") < now);
    /* The sidecar is that of the time which was kept. */
    assert_true(object_meta_add(&meta, "cache-control", "no-cache"));
    assert_true(put("a", "body", 4, 4, INT64_C(1700000000700)));
    assert_meta("a", META("cache-control", "no-cache"));
    store_close(store);
    store = open_at(root);
    umount2(root, MNT_DETACH);
    unlink(image);
    tear_down(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(permissions_are_kept_or_narrowed),       DIR_TEST(nobody_else_reads_what_is_unfinished),
        DIR_TEST(state_and_sidecars_are_not_for_others),  DIR_TEST(a_file_that_is_replaced_keeps_its_owner),
        DIR_TEST(another_group_gets_no_more_than_others), DIR_TEST(set_group_id_of_a_directory_counts),
        DIR_TEST(a_file_tells_its_permissions),           cmocka_unit_test(coarse_times_never_look_older),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
