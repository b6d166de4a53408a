/*
 * Objects that become durable together: each on its own, whatever happens to the others.
 */
#include "dir_fixture.h"
#include "dir_stream.h"
#include "flushes.h"
#include "sandbox.h"

#include <sys/syscall.h>

#define COUNT 6

/* Puts under way, of which all bytes are there. */
static struct call calls[COUNT];
static struct pipe pipes[COUNT];

static const char *key_of(int i)
{
    static const char *const keys[COUNT] = {"d/a", "d/b", "e/f/c", "//odd", "e", "f"};

    return keys[i];
}

static struct dir_batch *batch(void)
{
    return &dir_store(store)->batch;
}

/* Each has its key as its body; `version` is in the metadata. */
static void begin(int i, enum store_when when, const char *version)
{
    const char *key = key_of(i);

    object_meta_clear(&meta);
    assert_true(object_meta_add(&meta, "user:version", version));
    store_put(
        store, &calls[i],
        &(struct store_target){
            .key = key, .size = strlen(key), .modified = 1000, .meta = &meta, .condition = {.when = when}},
        &pipes[i]);
    pipe_write(&pipes[i], key, strlen(key));
    pipes[i].closed = true;
}

static void begin_all(const char *version)
{
    for (int i = 0; i < COUNT; i++) {
        pipe_reset(&pipes[i]);
        begin(i, STORE_ALWAYS, version);
    }
}

static void step_all(void)
{
    for (int i = 0; i < COUNT; i++)
        store_step(&calls[i]);
}

static int count_done(void)
{
    int count = 0;

    for (int i = 0; i < COUNT; i++)
        count += calls[i].done;
    return count;
}

static void finish_all(void)
{
    for (int turn = 0; turn < 5; turn++)
        step_all();
    assert_int_equal(count_done(), COUNT);
    assert_int_equal(batch()->count, 0);
    assert_int_equal(batch()->writing, 0);
    assert_null(batch()->written);
    assert_null(batch()->flushed);
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

static int set_up_all(void **state)
{
    set_up(state);
    for (int i = 0; i < COUNT; i++) {
        call_init(&calls[i]);
        if (!pipe_init(&pipes[i]))
            return -1;
    }
    return 0;
}

static int tear_down_all(void **state)
{
    for (int i = 0; i < COUNT; i++) {
        call_free(&calls[i]);
        pipe_free(&pipes[i]);
    }
    return tear_down(state);
}

/* But for one, which failed with that. */
static void assert_all_but(int failed, enum error_kind kind, const char *version)
{
    for (int i = 0; i < COUNT; i++) {
        if (i == failed) {
            assert_int_equal(calls[i].error.kind, kind);
            continue;
        }
        if (calls[i].error.kind != ERROR_NONE)
            fail_msg("%s", calls[i].error.text);
        assert_holds(key_of(i), key_of(i));
        assert_meta(key_of(i), META("user:version", version));
    }
}

static void they_are_flushed_and_then_named(void **state)
{
    (void)state;
    begin_all("1");
    assert_int_equal(batch()->writing, COUNT);
    step_all(); /* all are written */
    assert_int_equal(batch()->writing, 0);
    assert_true(store_step(&calls[2])); /* leads */
    assert_null(batch()->written);
    for (int i = 0; i < COUNT; i++)
        if (i != 2)
            assert_false(store_step(&calls[i])); /* in the same turn of the loop */
    assert_int_equal(count_done(), 0);
    assert_string_equal(listing(""), "");
    assert_true(store_step(&calls[2]));
    assert_string_equal(listing(""), "//odd d/a d/b e e/f/c f ");
    assert_int_equal(count_done(), 1);
    step_all();
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");
    assert_int_equal(count_sidecars(), COUNT);
    begin_all("2");
    finish_all();
    assert_all_but(-1, ERROR_NONE, "2");
    assert_int_equal(count_sidecars(), COUNT);
}

static void what_is_written_waits_for_others_for_a_while(void **state)
{
    (void)state;
    begin_all("1");
    batch()->took = 60;
    pipes[1].closed = false;
    for (int turn = 0; turn < 3; turn++)
        step_all();
    assert_int_equal(batch()->count, COUNT - 1);
    assert_non_null(batch()->written);
    assert_null(batch()->flushed);
    pipes[1].closed = true; /* then there is nobody to wait for */
    store_step(&calls[1]);
    store_step(&calls[0]);
    assert_null(batch()->written);
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");

    begin_all("2");
    pipes[1].closed = false;
    batch()->took = 20;
    while (count_done() < COUNT - 1)
        step_all();
    assert_false(calls[1].done);
    pipes[1].closed = true;
    finish_all();
    assert_all_but(-1, ERROR_NONE, "2");
}

static int length_of(const struct dir_commit *list)
{
    int length = 0;

    for (; list != NULL; list = list->next)
        length++;
    return length;
}

static void few_descriptors_make_small_batches(void **state)
{
    (void)state;
    batch()->most = 4;
    batch()->took = 1000;
    begin_all("1");
    pipes[5].closed = false; /* nobody waits for it */
    step_all();
    step_all();
    assert_int_equal(length_of(batch()->flushed), 4);
    assert_int_equal(length_of(batch()->written), 1);
    assert_string_equal(listing(""), ""); /* they are named in another turn */
    pipes[5].closed = true;
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");
}

/* A volume that is so slow that the lease would be lost: one is flushed in any case. */
static void a_flush_that_takes_long_ends_in_the_middle(void **state)
{
    struct dir_tree *tree = &dir_store(store)->tree;
    struct error why;

    (void)state;
    begin_all("1");
    step_all();
    tree->beside = true; /* so none is flushed with its volume */
    assert_int_equal(dir_commits_flush(tree, batch()->written, 0), 1);
    assert_int_equal(batch()->written->stage, DIR_FLUSHED);
    for (const struct dir_commit *rest = batch()->written->next; rest != NULL; rest = rest->next)
        assert_int_equal(rest->stage, DIR_WRITTEN);
    error_set(&why, ERROR_INTERRUPTED, "stopped");
    for (int i = 0; i < COUNT; i++)
        call_cancel(&calls[i], &why);
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

/* ---- what is flushed ---- */

/* In folders of which none was there: each file once, each folder once, and that is all. */
static void each_folder_is_flushed_once(void **state)
{
    (void)state;
    begin_all("1");
    step_all();
    flushes_begin(root);
    step_all();
    for (int i = 0; i < COUNT; i++)
        assert_true(count_done() == 0);
    assert_int_equal(flushes_count(""), 1);
    assert_int_equal(flushes_count("e"), 1);
    assert_int_equal(flushes_count("d"), 0); /* nothing is in it yet */
    assert_int_equal(flushes_count(".storsync"), 1);
    assert_int_equal(flushes_count(".storsync/meta"), 1);
    assert_int_equal(flushes_count(NULL), 4 + 2 * COUNT);
    flushes_begin(root);
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");
    for (int i = 0; i < 3; i++)
        assert_int_equal(flushes_count(((const char *const[]){"", "d", "e/f"})[i]), 1);
    assert_int_equal(flushes_count("e"), 0);

    flushes_begin(root); /* they are known by now */
    begin_all("2");
    finish_all();
    assert_all_but(-1, ERROR_NONE, "2");
    assert_int_equal(flushes_count("e"), 0);
    assert_int_equal(flushes_count(""), 1);
    assert_int_equal(flushes_count("e/f"), 1);
}

/* The folder above cannot be flushed: no object is named that might lose its folder. */
static void a_folder_that_may_not_last(void **state)
{
    (void)state;
    flushes_begin(root);
    flushes_fail("e", EIO);
    begin_all("1");
    finish_all();
    assert_all_but(2, ERROR_LOCAL, "1");
    assert_int_equal(calls[2].error.sys, EIO);
    assert_int_equal(flushes_count("e"), 1);
    assert_string_equal(listing(""), "//odd d/a d/b e f ");
    assert_false(tempdir_has(root, "e/f"));
    assert_int_equal(count_sidecars(), COUNT - 1);

    flushes_begin(root);
    flushes_fail("", EIO);
    begin_all("2"); /* the folders are known to last by now */
    finish_all();
    assert_int_equal(flushes_count(""), 1);
    flushes_fail(NULL, 0);
    assert_int_equal(calls[5].error.sys, EIO); /* the name itself */
    assert_holds("f", "f");
    calls[5].error.kind = ERROR_NONE;
    assert_all_but(-1, ERROR_NONE, "2");
    begin_all("3");
    finish_all();
    assert_all_but(-1, ERROR_NONE, "3");
}

/* They were made while the objects were written, and are gone when these are flushed or named. */
static void folders_that_vanish(void **state)
{
    (void)state;
    for (int turns = 1; turns < 3; turns++) {
        begin_all("1");
        step_all();
        if (turns == 2)
            store_step(&calls[0]);
        tempdir_remove(tempdir_path(root, "d"));
        tempdir_remove(tempdir_path(root, "e"));
        flushes_begin(root);
        finish_all();
        assert_all_but(-1, ERROR_NONE, "1");
        assert_true(flushes_done("") && flushes_done("d") && flushes_done("e/f"));
        assert_true(turns == 1 || flushes_done("e"));
        for (int i = 0; i < COUNT; i++) {
            store_remove(store, &call, key_of(i));
            assert_succeeds();
        }
    }
}

/* ---- failures ---- */

static struct dir_commit *commit_of(struct dir_commit *list, int i)
{
    while (strcmp(list->key, key_of(i)) != 0)
        list = list->next;
    return list;
}

/* A file that cannot be made durable: a pipe in its place cannot be synced. */
static void one_cannot_be_flushed(void **state)
{
    int ends[2];

    (void)state;
    begin_all("1");
    finish_all();
    for (int failed = 0; failed < COUNT; failed++) {
        begin_all("2");
        step_all();
        assert_int_equal(pipe(ends), 0);
        assert_true(dup2(ends[0], commit_of(batch()->written, failed)->body.fd) >= 0);
        close(ends[0]);
        close(ends[1]);
        finish_all();
        assert_all_but(failed, ERROR_LOCAL, "2");
        assert_int_equal(calls[failed].error.sys, EINVAL);
        assert_holds(key_of(failed), key_of(failed));
        assert_meta(key_of(failed), META("user:version", "1"));
        begin_all("1");
        finish_all();
    }
}

/* The same of its sidecar. */
static void one_has_a_sidecar_that_cannot_be_flushed(void **state)
{
    (void)state;
    begin_all("1");
    finish_all();
    begin_all("2");
    step_all();
    store_step(&calls[0]);
    close(commit_of(batch()->flushed, 1)->sidecar.fd); /* as if it had failed */
    commit_of(batch()->flushed, 1)->sidecar.fd = -1;
    commit_of(batch()->flushed, 1)->error = EIO;
    step_all();
    for (int turn = 0; turn < 3; turn++)
        step_all();
    assert_int_equal(count_done(), COUNT);
    assert_all_but(1, ERROR_LOCAL, "2");
    assert_meta(key_of(1), META("user:version", "1"));
}

/* Something comes into the way of one after the flush. */
static void one_cannot_be_named(void **state)
{
    (void)state;
    begin_all("1");
    pipe_reset(&pipes[5]);
    call_free(&calls[5]);
    call_init(&calls[5]);
    begin(5, STORE_IF_ABSENT, "1");
    step_all();
    store_step(&calls[0]);
    assert_true(tempdir_file(root, "f", "somebody else's"));
    finish_all();
    assert_all_but(5, ERROR_PRECONDITION, "1");
    assert_holds("f", "somebody else's");
    assert_int_equal(count_sidecars(), COUNT - 1);

    begin_all("2");
    step_all();
    store_step(&calls[0]);
    assert_int_equal(unlink(tempdir_path(root, "f")), 0);
    assert_int_equal(symlink("d/a", tempdir_path(root, "f")), 0);
    finish_all();
    assert_all_but(5, ERROR_LOCAL, "2");
    assert_non_null(strstr(calls[5].error.text, "symbolic link"));
    assert_holds("d/a", "d/a");
    assert_int_equal(count_sidecars(), COUNT - 1);
}

/* A directory stands where the file should be: it becomes odd after all, though it was flushed for the plain place. */
static void one_has_to_go_elsewhere(void **state)
{
    (void)state;
    begin_all("1");
    step_all();
    store_step(&calls[0]);
    assert_int_equal(mkdir(tempdir_path(root, "f"), 0755), 0);
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");
    assert_true(tempdir_has(root, ".storsync/odd/66"));
    assert_true(tempdir_has(root, ".storsync/odd/65")); /* "e", beside "e/f/c" */
}

/* ---- those that are not wanted any more ---- */

static void cancelled_ones_leave_nothing(void **state)
{
    struct error why;

    (void)state;
    error_set(&why, ERROR_INTERRUPTED, "stopped");
    for (int turns = 0; turns < 3; turns++) {
        begin_all("1");
        for (int turn = 0; turn < turns; turn++)
            step_all();
        call_cancel(&calls[0], &why); /* which leads, after the second turn */
        call_cancel(&calls[4], &why);
        assert_int_equal(batch()->count, turns == 0 ? 0 : COUNT - 2);
        finish_all();
        assert_string_equal(listing(""), "//odd d/b e/f/c f ");
        assert_int_equal(count_sidecars(), COUNT - 2);
        for (int i = 1; i < COUNT; i++) {
            store_remove(store, &call, key_of(i));
            assert_succeeds();
        }
    }
}

/* Kernels and sandboxes that do not know it. Has no end, so it comes last. */
static void without_the_hint(void **state)
{
    (void)state;
    if (!sandbox_refuse(SYS_sync_file_range, ENOSYS))
        skip();
    begin_all("1");
    finish_all();
    assert_all_but(-1, ERROR_NONE, "1");
}

#define BATCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up_all, tear_down_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BATCH_TEST(they_are_flushed_and_then_named),
        BATCH_TEST(what_is_written_waits_for_others_for_a_while),
        BATCH_TEST(few_descriptors_make_small_batches),
        BATCH_TEST(a_flush_that_takes_long_ends_in_the_middle),
        BATCH_TEST(each_folder_is_flushed_once),
        BATCH_TEST(a_folder_that_may_not_last),
        BATCH_TEST(folders_that_vanish),
        BATCH_TEST(one_cannot_be_flushed),
        BATCH_TEST(one_has_a_sidecar_that_cannot_be_flushed),
        BATCH_TEST(one_cannot_be_named),
        BATCH_TEST(one_has_to_go_elsewhere),
        BATCH_TEST(cancelled_ones_leave_nothing),
        BATCH_TEST(without_the_hint),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
