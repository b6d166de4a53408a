/*
 * Listings of file systems that do not say what a name is of (d_type: NFS, old volumes), and where not everything can be looked at;
 * and how often a folder is read. The calls that look are the test's own.
 */
#include <dirent.h>
#include <stdbool.h>
#include <sys/stat.h>

static struct dirent *look_readdir(DIR *stream);
static int look_fstatat(int folder, const char *name, struct stat *status, int flags);

#define readdir look_readdir
#define fstatat look_fstatat
#include "dir_list.c" /* NOLINT(bugprone-suspicious-include) */
#undef readdir
#undef fstatat

#include "dir_sort.h"
#include "tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char root[TEMPDIR_SIZE];
static struct dir_tree tree;
static bool says_types;
static int reads;
static int repeats; /* of each name */

/* The first looks at this name fail. */
static struct {
    const char *name;
    int error, times;
} blind;

static struct dirent *look_readdir(DIR *stream)
{
    static struct dirent *entry;
    static int again;

    if (entry != NULL && again > 0) {
        again--;
        return entry;
    }
    entry = readdir(stream);
    again = repeats;
    reads++;
    if (entry != NULL && !says_types)
        entry->d_type = DT_UNKNOWN;
    return entry;
}

static int look_fstatat(int folder, const char *name, struct stat *status, int flags)
{
    if (blind.name != NULL && strcmp(name, blind.name) == 0 && blind.times > 0) {
        blind.times--;
        errno = blind.error;
        return -1;
    }
    return fstatat(folder, name, status, flags);
}

static int set_up(void **state)
{
    (void)state;
    tempdir_make(root);
    tree = (struct dir_tree){
        .root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .temp = -1, .stale = CLOCK_UNKNOWN};
    says_types = false;
    blind.name = NULL;
    reads = repeats = 0;
    return tree.root < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(tree.root);
    tempdir_remove(root);
    return 0;
}

/* All keys, each with its error if it has one, and a space; and what was left out. */
static const char *listed(size_t window)
{
    static char text[1024];
    struct error error;
    struct object_entry entry;
    struct dir_list *list = dir_list_open(&tree, "", window, &error);
    enum dir_list_state state;

    assert_non_null(list);
    text[0] = '\0';
    while ((state = dir_list_peek(list, &entry, &error)) == DIR_LIST_ENTRY) {
        size_t len = strlen(text);

        if (entry.unreadable != 0)
            snprintf(text + len, sizeof text - len, "%s:%s ", entry.key,
                     entry.unreadable == EISDIR ? "EISDIR"
                     : entry.unreadable == EIO  ? "EIO"
                                                : "?");
        else
            snprintf(text + len, sizeof text - len, "%s ", entry.key);
        dir_list_next(list);
    }
    assert_int_equal(state, DIR_LIST_END);
    snprintf(text + strlen(text), sizeof text - strlen(text), "-%d", (int)dir_list_left_out(list));
    dir_list_close(list);
    return text;
}

static void make_some(void)
{
    assert_true(tempdir_file(root, "a", "") && tempdir_file(root, "d/x", "") &&
                tempdir_file(root, "d/y", "") && tempdir_file(root, "d.txt", "") &&
                tempdir_file(root, "z", ""));
    assert_int_equal(symlink("a", tempdir_path(root, "link")), 0);
}

static void each_name_is_looked_at(void **state)
{
    (void)state;
    make_some();
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z -1");
    says_types = true;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z -1");
}

/* It could not be looked at when its folder was read, so it was taken for a file; what is in it is unknown, not missing. */
static void a_folder_that_was_taken_for_a_file(void **state)
{
    (void)state;
    make_some();
    blind.name = "d";
    blind.error = EIO;
    blind.times = 1;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d:EISDIR d.txt z -1");
    blind.times = 2;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d:EIO d.txt z -1");
}

static void a_file_that_was_taken_for_one(void **state)
{
    (void)state;
    make_some();
    blind.name = "z";
    blind.error = EIO;
    blind.times = 1;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z -1");
    blind.times = 2;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z:EIO -1");
    blind.name = "link"; /* no file and no folder, as is seen at last */
    blind.times = 1;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z -0");
}

/* That is no guess: it was there when the folder was read. */
static void what_vanishes_is_not_there(void **state)
{
    (void)state;
    make_some();
    blind.error = ENOENT;
    for (blind.times = 1; blind.times < 3; blind.times += 2) {
        blind.name = "d";
        assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt z -1");
    }
    says_types = true;
    blind.name = "z";
    blind.times = 1;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y -1");
}

/* The same name again, as some file systems give one that is replaced meanwhile; at worst nothing but that. */
static void names_that_come_again(void **state)
{
    (void)state;
    make_some();
    repeats = 1;
    assert_string_equal(listed(DIR_LIST_WINDOW), "a d.txt d/x d/y z -2");
    repeats = 3000;
    assert_string_equal(listed(1), "a d.txt d/x d/y z -3001");
    assert_string_equal(listed(30000), "a d.txt d/x d/y z -3001");
}

/* Its names are more than memory holds: in order, and it is read once, not for each window of them. */
static void a_flat_folder_is_read_once(void **state)
{
    enum { NAMES = 60000 };
    struct dir_sort *sort = dir_sort_new(-1, (size_t)1 << 20);
    struct error error;
    struct object_entry entry;
    struct dir_list *list;
    char name[32];
    int folder;

    (void)state;
    if (sort == NULL) /* nowhere but in memory */
        skip();
    dir_sort_free(sort);
    assert_int_equal(mkdir(tempdir_path(root, "flat"), 0755), 0);
    folder = open(tempdir_path(root, "flat"), O_PATH | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < NAMES; i++) {
        snprintf(name, sizeof name, "%08d.jpg", i * 7919 % NAMES);
        assert_int_equal(mknodat(folder, name, S_IFREG | 0644, 0), 0);
    }
    close(folder);
    says_types = true;
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    assert_non_null(list);
    for (int i = 0; i < NAMES; i++) {
        assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
        snprintf(name, sizeof name, "flat/%08d.jpg", i);
        assert_string_equal(entry.key, name);
        dir_list_next(list);
    }
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    dir_list_close(list);
    assert_true(reads < NAMES + 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(each_name_is_looked_at, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_folder_that_was_taken_for_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_taken_for_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_vanishes_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_that_come_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_flat_folder_is_read_once, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
