/*
 * Names sorted on disk, against the same names sorted in memory.
 *
 * Needs a folder for temporary files that is on a disk; without one all but the last test are skipped.
 */
#include "dir_sort.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define NAMES 5000

static char names[NAMES][DIR_SORT_NAME];

static uint32_t next_random(uint32_t below)
{
    static uint64_t state = 42;

    state = state * 6364136223846793005U + 1442695040888963407U;
    return (uint32_t)(state >> 33) % below;
}

/* One in four stands there twice, one in four is as long as a name may be. */
static void make_names(void)
{
    for (size_t i = 0; i < NAMES; i++) {
        size_t len = next_random(4) == 0 ? DIR_SORT_NAME - 1 : 1 + next_random(30);

        if (i > 0 && next_random(4) == 0) {
            memcpy(names[i], names[next_random((uint32_t)i)], DIR_SORT_NAME);
            continue;
        }
        for (size_t k = 0; k < len; k++)
            names[i][k] = (char)(next_random(2) ? 'a' : 1 + next_random(255));
        names[i][len] = '\0';
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static struct dir_sort *open_sort(size_t memory)
{
    struct dir_sort *sort = dir_sort_new(-1, memory);

    if (sort == NULL)
        skip();
    return sort;
}

/* Adds the names in runs of `size`. */
static bool add_runs(struct dir_sort *sort, size_t size)
{
    uint32_t starts[NAMES];

    for (size_t i = 0; i < NAMES; i += size) {
        size_t count = size < NAMES - i ? size : NAMES - i;

        qsort(names[i], count, sizeof names[0], compare_names);
        for (size_t k = 0; k < count; k++)
            starts[k] = (uint32_t)((i + k) * sizeof names[0]);
        if (!dir_sort_add(sort, names[0], starts, count))
            return false;
    }
    return true;
}

static void sorted_as_in_memory(void **state)
{
    static const size_t sizes[] = {NAMES, NAMES - 1, 700, 61, 40};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t runs = (NAMES + sizes[i] - 1) / sizes[i];
        struct dir_sort *sort = open_sort(runs * DIR_SORT_PART + i);
        const char *last = NULL;

        make_names();
        assert_true(add_runs(sort, sizes[i]));
        assert_true(dir_sort_merge(sort));
        qsort(names, NAMES, sizeof names[0], compare_names);
        for (size_t k = 0; k < NAMES; k++) {
            if (last != NULL && strcmp(last, names[k]) == 0)
                continue;
            last = names[k];
            assert_string_equal(dir_sort_next(sort), last);
        }
        for (int again = 0; again < 2; again++) {
            errno = EINVAL;
            assert_null(dir_sort_next(sort));
            assert_int_equal(errno, 0);
        }
        dir_sort_free(sort);
    }
}

static void nothing_to_sort(void **state)
{
    (void)state;
    for (int runs = 0; runs < 3; runs++) {
        struct dir_sort *sort = open_sort(4 * DIR_SORT_PART);

        for (int i = 0; i < runs; i++)
            assert_true(dir_sort_add(sort, "", NULL, 0));
        assert_true(dir_sort_merge(sort));
        assert_null(dir_sort_next(sort));
        assert_int_equal(errno, 0);
        dir_sort_free(sort);
    }
}

static void too_many_runs(void **state)
{
    struct dir_sort *sort = open_sort(3 * DIR_SORT_PART);
    const uint32_t start = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true(dir_sort_add(sort, "a", &start, 1));
    assert_false(dir_sort_add(sort, "a", &start, 1));
    assert_int_equal(errno, EFBIG);
    dir_sort_free(sort);
}

static void a_full_disk(void **state)
{
    struct dir_sort *sort = open_sort(NAMES * DIR_SORT_PART);
    struct rlimit before, little;

    (void)state;
    make_names();
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 100000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_false(add_runs(sort, 100));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(errno, EFBIG);
    signal(SIGXFSZ, SIG_DFL);
    dir_sort_free(sort);
}

/* The descriptor of the sort that was made last: none other of this process is a file without a name. */
static int nameless(void)
{
    char path[40], target[200];

    for (int fd = 3; fd < 100; fd++) {
        ssize_t len;

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        len = readlink(path, target, sizeof target - 1);
        if (len < 0)
            continue;
        target[len] = '\0';
        if (strstr(target, "/.storsync-tmp-names-") != NULL && strstr(target, " (deleted)") != NULL)
            return fd;
    }
    return -1;
}

static void a_file_that_is_cut_or_overwritten(void **state)
{
    static char rubbish[20000];

    (void)state;
    memset(rubbish, 'x', sizeof rubbish);
    for (int cut = 0; cut < 2; cut++) {
        struct dir_sort *sort = open_sort(50 * DIR_SORT_PART);
        int fd = nameless();
        const char *name;

        assert_true(fd >= 0);
        make_names();
        assert_true(add_runs(sort, 100));
        if (cut)
            assert_int_equal(ftruncate(fd, 60000), 0);
        else
            assert_int_equal(pwrite(fd, rubbish, sizeof rubbish, 60000), sizeof rubbish);
        if (dir_sort_merge(sort)) {
            while ((name = dir_sort_next(sort)) != NULL)
                assert_true(strlen(name) < DIR_SORT_NAME);
        }
        assert_int_equal(errno, EIO);
        dir_sort_free(sort);
    }
}

/* That would be the memory that there is too little of. */
static void not_in_memory(void **state)
{
    int folder = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct dir_sort *sort = dir_sort_new(folder, 4 * DIR_SORT_PART);
    char path[40], target[200] = "";

    (void)state;
    if (sort != NULL) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", nameless());
        assert_true(readlink(path, target, sizeof target - 1) > 0);
        assert_null(strstr(target, "/dev/shm/"));
    }
    dir_sort_free(sort);
    close(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sorted_as_in_memory),
        cmocka_unit_test(nothing_to_sort),
        cmocka_unit_test(too_many_runs),
        cmocka_unit_test(a_full_disk),
        cmocka_unit_test(a_file_that_is_cut_or_overwritten),
        cmocka_unit_test(not_in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
