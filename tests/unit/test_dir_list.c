/*
 * The order of a listing against a sorted list of keys, for random trees, prefixes and window sizes.
 */
#include "dir_list.h"
#include "dir_object.h"
#include "tempdir.h"

#include "clock.h"
#include "stop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>

#include <cmocka.h>

static char root[TEMPDIR_SIZE];
static struct dir_tree tree;

static int set_up(void **state)
{
    (void)state;
    tempdir_make(root);
    tree = (struct dir_tree){.root = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC), .temp = -1};
    return tree.root < 0;
}

static int tear_down(void **state)
{
    (void)state;
    close(tree.root);
    if (tree.temp >= 0)
        close(tree.temp);
    tempdir_remove(root);
    return 0;
}

/* ---- what should be listed ---- */

#define KEYS_MAX 4000

struct keys {
    char *keys[KEYS_MAX];
    size_t count;
};

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void keys_add(struct keys *keys, const char *key)
{
    assert_true(keys->count < KEYS_MAX);
    keys->keys[keys->count] = strdup(key);
    assert_non_null(keys->keys[keys->count]);
    keys->count++;
}

static void keys_free(struct keys *keys)
{
    while (keys->count > 0)
        free(keys->keys[--keys->count]);
}

static void keys_sort(struct keys *keys)
{
    size_t unique = 0;

    qsort(keys->keys, keys->count, sizeof keys->keys[0], compare_keys);
    for (size_t i = 0; i < keys->count; i++) {
        if (unique > 0 && strcmp(keys->keys[unique - 1], keys->keys[i]) == 0)
            free(keys->keys[i]);
        else
            keys->keys[unique++] = keys->keys[i];
    }
    keys->count = unique;
}

/* Stores an object as a put would; its size is the length of its key. */
static void put(const char *key)
{
    struct object_meta meta;
    struct dir_commit commit = {.sidecar.fd = -1, .key = key, .meta = &meta, .modified = CLOCK_UNKNOWN};

    object_meta_init(&meta);
    assert_true(dir_file_open(&tree, &commit.body, key));
    assert_true(dir_file_write(&commit.body, key, strlen(key), 0));
    assert_true(dir_commit(&tree, &commit));
    object_meta_free(&meta);
}

/* The listing of `prefix` must be the keys that begin with it, in order. */
static void check(const struct keys *keys, const char *prefix, size_t window)
{
    struct error error;
    struct object_entry entry;
    struct dir_list *list = dir_list_open(&tree, prefix, window, &error);
    enum dir_list_state state;

    assert_non_null(list);
    for (size_t i = 0; i < keys->count; i++) {
        if (strncmp(keys->keys[i], prefix, strlen(prefix)) != 0)
            continue;
        assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
        assert_string_equal(entry.key, keys->keys[i]);
        assert_int_equal(entry.size, strlen(keys->keys[i]));
        assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
        assert_string_equal(entry.key, keys->keys[i]);
        dir_list_next(list);
    }
    state = dir_list_peek(list, &entry, &error);
    assert_int_equal(state, DIR_LIST_END);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    dir_list_close(list);
}

/* ---- tests ---- */

static void known_order(void **state)
{
    static const char *const names[] = {
        "a",
        "a.txt",
        "a/b",
        "a0",
        "a-b/c",
        "a-b.txt",
        "b/a/c",
        "b/a.c",
        "b/a0/c",
        "\x01",
        "\xff",
        "\xff/\xfe",
        "A",
        "Z/z",
        "z/Z",
        "a b/c",
        "a!",
        "a~/x",
        "..a",
        ".b/c",
        "a/",
        "/a",
        "//",
        "b//c",
        "b/",
        "../x",
        ".",
        "b/.",
        ".storsync",
        ".storsync/odd/61",
        "\xc3\xa9/\xe2\x82\xac",
    };
    static const char *const prefixes[] = {
        "",          "a",      "a/", "a.", "b/",  "b/a",  "b/a/", "b//",   "/",   "//",   "..",
        "../",       "../x",   ".",  "c",  "z/Z", "z/Z/", "\xff", "\xff/", "a/b", "a/b/", ".storsync/odd/",
        "b/a/c/d/e", "b/../a",
    };
    struct keys keys = {.count = 0};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        put(names[i]);
        keys_add(&keys, names[i]);
    }
    keys_sort(&keys);
    assert_int_equal(keys.count, sizeof names / sizeof names[0]);
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++)
        check(&keys, prefixes[i], DIR_LIST_WINDOW);
    keys_free(&keys);
}

static uint64_t random_state = 2463534242u;

static unsigned next_random(unsigned limit)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state % limit);
}

/* Few different bytes, with '/' and its neighbours in the order, so that names collide and nest. */
static void random_key(char *key, size_t max)
{
    static const char alphabet[] = "a/.0-a/\xff\x01";
    size_t len = 1 + next_random((unsigned)max);

    for (size_t i = 0; i < len; i++)
        key[i] = alphabet[next_random(sizeof alphabet - 1)];
    key[len] = '\0';
}

static void random_trees(void **state)
{
    (void)state;
    for (int round = 0; round < 6; round++) {
        struct keys keys = {.count = 0};
        char key[OBJECT_KEY_MAX + 1];

        set_up(NULL);
        for (int i = 0; i < 250; i++) {
            random_key(key, round % 2 ? 6 : 150);
            put(key);
            keys_add(&keys, key);
        }
        keys_sort(&keys);
        check(&keys, "", DIR_LIST_WINDOW);
        check(&keys, "", 1);
        for (int i = 0; i < 60; i++) {
            random_key(key, 4);
            check(&keys, key, i % 2 ? 1 : DIR_LIST_WINDOW);
        }
        for (size_t i = 0; i < keys.count; i++) {
            snprintf(key, sizeof key, "%.*s", (int)(1 + i % strlen(keys.keys[i])), keys.keys[i]);
            check(&keys, key, 1);
        }
        keys_free(&keys);
        tear_down(NULL);
    }
}

static void directories_larger_than_the_window(void **state)
{
    struct keys keys = {.count = 0};
    char key[300];

    (void)state;
    for (int i = 0; i < 1500; i++) {
        /* Names of all lengths, some of them directories with a file. */
        snprintf(key, sizeof key, "big/%0*d%s", 1 + (i * 7) % 240, (i * 7919) % 1500, i % 5 ? "" : "/x");
        if (!tempdir_file(root, key, key))
            continue;
        keys_add(&keys, key);
    }
    keys_sort(&keys);
    assert_true(keys.count > 1000);
    for (size_t window = 1; window < (size_t)1 << 20; window = window * 5 + 1)
        check(&keys, "", window);
    for (size_t window = 60000; window < 400000; window += 40000)
        check(&keys, "", window);
    check(&keys, "big/0000", 1);
    check(&keys, "big/1", 8000);
    keys_free(&keys);
}

/* The disk may be full, or there may be no folder for temporary files: then a directory is read more often. */
static void directories_that_cannot_be_sorted_on_disk(void **state)
{
    struct keys keys = {.count = 0};
    struct rlimit before, little;
    struct object_entry entry;
    struct dir_list *list;
    struct error error;
    char key[300];

    (void)state;
    for (int i = 0; i < 1500; i++) {
        snprintf(key, sizeof key, "big/%0*d", 200, (i * 7919) % 1500);
        assert_true(tempdir_file(root, key, key));
        keys_add(&keys, key);
    }
    keys_sort(&keys);
    assert_int_equal(mkfifoat(tree.root, "big/fifo", 0600), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    for (rlim_t size = 0; size < 300000; size += 75000) {
        little = before;
        little.rlim_cur = size;
        assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
        check(&keys, "", 200000);
    }
    list = dir_list_open(&tree, "", 200000, &error);
    assert_non_null(list);
    while (dir_list_peek(list, &entry, &error) == DIR_LIST_ENTRY)
        dir_list_next(list);
    assert_int_equal(dir_list_left_out(list), 1); /* though it was read more than once */
    dir_list_close(list);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    keys_free(&keys);
}

static void as_deep_as_a_key_allows(void **state)
{
    struct keys keys = {.count = 0};
    struct rlimit before, few;
    char key[OBJECT_KEY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < OBJECT_KEY_MAX; i++)
        key[i] = i % 2 ? '/' : 'd';
    key[OBJECT_KEY_MAX - 1] = 'e';
    key[OBJECT_KEY_MAX] = '\0';
    put(key);
    keys_add(&keys, key);
    key[OBJECT_KEY_MAX - 1] = '\0';
    key[OBJECT_KEY_MAX - 2] = 'f';
    put(key);
    keys_add(&keys, key);
    keys_sort(&keys);
    /* Descriptors do not add up with the depth. */
    getrlimit(RLIMIT_NOFILE, &before);
    few = before;
    few.rlim_cur = 32;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    check(&keys, "", DIR_LIST_WINDOW);
    setrlimit(RLIMIT_NOFILE, &before);
    keys_free(&keys);
}

static void too_long_a_path_is_left_out(void **state)
{
    struct keys keys = {.count = 0};
    struct error error;
    struct object_entry entry;
    struct dir_list *list;
    char path[1300];
    char name[251];
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    (void)state;
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    for (int i = 0; i < 5; i++) {
        int next;

        assert_int_equal(mkdirat(fd, name, 0755), 0);
        next = openat(fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(openat(fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
        close(fd);
        fd = next;
        assert_true(fd >= 0);
    }
    close(openat(fd, "f", O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
    close(fd);
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    assert_non_null(list);
    for (size_t i = 0; i < 5; i++) {
        snprintf(path + 251 * i, sizeof path - 251 * i, "f");
        keys_add(&keys, path);
        snprintf(path + 251 * i, sizeof path - 251 * i, "%s/", name);
    }
    keys_sort(&keys);
    for (size_t i = 0; i < keys.count; i++) {
        assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
        assert_string_equal(entry.key, keys.keys[i]);
        dir_list_next(list);
    }
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    assert_int_equal(dir_list_left_out(list), 1); /* the fifth directory; what is in it is not looked at */
    dir_list_close(list);
    keys_free(&keys);
}

static void what_is_no_file_is_left_out(void **state)
{
    struct keys keys = {.count = 0};
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    assert_true(tempdir_file(root, "d/f", "d/f"));
    assert_int_equal(symlink("d", tempdir_path(root, "link")), 0);
    assert_int_equal(symlink("/etc/passwd", tempdir_path(root, "d/passwd")), 0);
    assert_int_equal(symlink("..", tempdir_path(root, "d/up")), 0);
    assert_int_equal(mkfifo(tempdir_path(root, "d/fifo"), 0644), 0);
    assert_int_equal(mkdir(tempdir_path(root, "empty"), 0755), 0);
    keys_add(&keys, "d/f");
    check(&keys, "", DIR_LIST_WINDOW);
    check(&keys, "link/", DIR_LIST_WINDOW);
    check(&keys, "d/up/", DIR_LIST_WINDOW);
    check(&keys, "empty/", DIR_LIST_WINDOW);
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
    dir_list_next(list);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    assert_int_equal(dir_list_left_out(list), 4);
    dir_list_close(list);
    keys_free(&keys);
    list = dir_list_open(&tree, "link/", DIR_LIST_WINDOW, &error);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    /* Kernels before 5.6 do not tell it from a file, in which nothing is. */
    assert_int_equal(dir_open(tree.root, "link", 4, O_PATH), -1);
    assert_int_equal(dir_list_left_out(list), errno == ELOOP ? 1 : 0);
    dir_list_close(list);
}

static void things_that_change_meanwhile(void **state)
{
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    assert_true(tempdir_file(root, "a", "a") && tempdir_file(root, "b", "b") &&
                tempdir_file(root, "d/x", "x"));
    assert_true(tempdir_file(root, "e/x", "x") && tempdir_file(root, "f", "f") &&
                tempdir_file(root, "z", "z"));
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
    assert_string_equal(entry.key, "a");
    /* b is gone, d is now a link, e a file, and f a directory. */
    unlink(tempdir_path(root, "b"));
    tempdir_remove(tempdir_path(root, "d"));
    assert_int_equal(symlink("/", tempdir_path(root, "d")), 0);
    tempdir_remove(tempdir_path(root, "e"));
    assert_true(tempdir_file(root, "e", "e"));
    unlink(tempdir_path(root, "f"));
    assert_true(tempdir_file(root, "f/x", "x"));
    dir_list_next(list);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
    assert_string_equal(entry.key, "z");
    dir_list_next(list);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    dir_list_close(list);
}

static void both_a_plain_and_an_odd_name(void **state)
{
    struct keys keys = {.count = 0};

    (void)state;
    assert_true(tempdir_file(root, "abc", "abc") &&
                tempdir_file(root, ".storsync/odd/616263", "something else"));
    assert_true(tempdir_file(root, ".storsync/odd/61.bak", "?") &&
                tempdir_file(root, ".storsync/odd/61626364", "abcd"));
    keys_add(&keys, "abc");
    keys_add(&keys, "abcd");
    check(&keys, "", DIR_LIST_WINDOW);
    keys_free(&keys);
}

/* The next entry: its key, and whether it is unreadable. */
static void expect(struct dir_list *list, const char *key, int unreadable)
{
    struct error error;
    struct object_entry entry;

    for (int twice = 0; twice < 2; twice++) {
        assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
        assert_string_equal(entry.key, key);
        assert_int_equal(entry.unreadable, unreadable);
    }
    dir_list_next(list);
}

static void a_directory_that_cannot_be_read(void **state)
{
    static const char *const closed[] = {"d/b", "d/lost+found", "e", "lost+found"};
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    assert_true(tempdir_file(root, "a", "a") && tempdir_file(root, "d/b/b", "b") &&
                tempdir_file(root, "d/c", "c") && tempdir_file(root, "d/lost+found/b", "b") &&
                tempdir_file(root, "e/f", "f") && tempdir_file(root, "g", "g"));
    assert_int_equal(mkdir(tempdir_path(root, "lost+found"), 0), 0);
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        assert_int_equal(chmod(tempdir_path(root, closed[i]), i == 0 ? 0444 : i == 1 ? 0111 : 0), 0);
    assert_int_equal(chmod(root, 0755), 0);
    tempdir_not_root();
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    expect(list, "a", 0);
    expect(list, "d/b/", EACCES);
    expect(list, "d/c", 0);
    expect(list, "d/lost+found/", EACCES);
    expect(list, "e/", EACCES);
    expect(list, "g", 0);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    assert_int_equal(dir_list_left_out(list), 1);
    dir_list_close(list);

    list = dir_list_open(&tree, "e/", DIR_LIST_WINDOW, &error); /* all that is asked for */
    expect(list, "e/", EACCES);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    dir_list_close(list);
    list = dir_list_open(&tree, "e/f", DIR_LIST_WINDOW, &error); /* more keys than that would be unknown */
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_FAILED);
    assert_int_equal(error.kind, ERROR_PERMISSION);
    assert_non_null(strstr(error.text, "e/"));
    dir_list_close(list);
    tempdir_root_again();
    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++)
        chmod(tempdir_path(root, closed[i]), 0755);
}

/* Not even to find out that it may not. */
static void a_directory_that_is_not_wanted_is_not_read(void **state)
{
    struct filter *filter = filter_new();
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    assert_true(tempdir_file(root, "a/1", ""));
    assert_true(tempdir_file(root, "b/c/1", ""));
    assert_true(tempdir_file(root, "b/d/1", ""));
    assert_null(filter_add(filter, &(struct filter_rule){false, "/b/c/", ""}));
    assert_null(filter_add(filter, &(struct filter_rule){false, "*.tmp", ""}));
    assert_int_equal(chmod(root, 0755), 0);
    assert_int_equal(chmod(tempdir_path(root, "b/c"), 0), 0);
    tempdir_not_root();
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    dir_list_filter(list, filter);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
    assert_string_equal(entry.key, "a/1");
    dir_list_next(list);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_ENTRY);
    assert_string_equal(entry.key, "b/d/1");
    assert_int_equal(entry.unreadable, 0);
    dir_list_next(list);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_END);
    tempdir_root_again();
    dir_list_close(list);
    filter_free(filter);
    chmod(tempdir_path(root, "b/c"), 0755);
}

static void the_root_must_be_readable(void **state)
{
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    assert_int_equal(chmod(root, 0711), 0);
    tempdir_not_root();
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    assert_int_equal(dir_list_peek(list, &entry, &error), geteuid() == 0 ? DIR_LIST_END : DIR_LIST_FAILED);
    tempdir_root_again();
    dir_list_close(list);
}

static void a_stop_ends_a_long_listing(void **state)
{
    struct error error;
    struct object_entry entry;
    struct dir_list *list;

    (void)state;
    for (int i = 0; i < 1500; i++) {
        char name[32];

        snprintf(name, sizeof name, "d/%d", i);
        assert_true(tempdir_file(root, name, ""));
    }
    list = dir_list_open(&tree, "", DIR_LIST_WINDOW, &error);
    stop_signal(SIGTERM);
    assert_int_equal(dir_list_peek(list, &entry, &error), DIR_LIST_FAILED);
    assert_int_equal(error.kind, ERROR_INTERRUPTED);
    assert_int_equal(error.signal, SIGTERM);
    dir_list_close(list);
    stop_reset();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(known_order, set_up, tear_down),
        cmocka_unit_test(random_trees),
        cmocka_unit_test_setup_teardown(directories_larger_than_the_window, set_up, tear_down),
        cmocka_unit_test_setup_teardown(directories_that_cannot_be_sorted_on_disk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(as_deep_as_a_key_allows, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_long_a_path_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_file_is_left_out, set_up, tear_down),
        cmocka_unit_test_setup_teardown(things_that_change_meanwhile, set_up, tear_down),
        cmocka_unit_test_setup_teardown(both_a_plain_and_an_odd_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_cannot_be_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_not_wanted_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_root_must_be_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_stop_ends_a_long_listing, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
