/*
 * Bodies that stream into and out of a directory bucket.
 */
#include "dir_fixture.h"
#include "sandbox.h"

#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- gets and puts ---- */

static void large_bodies_in_pieces(void **state)
{
    static char data[300000];
    const struct buf *body;
    char version[OBJECT_VERSION_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 31 + i / 251);
    assert_true(put("big", data, sizeof data, sizeof data, CLOCK_UNKNOWN));
    body = get("big", 0, UINT64_MAX, "");
    assert_int_equal(body->len, sizeof data);
    assert_memory_equal(body->data, data, sizeof data);
    memcpy(version, call.info.version, sizeof version);

    body = get("big", 1000, 123456, version);
    assert_int_equal(call.error.kind, ERROR_NONE);
    assert_int_equal(body->len, 123456);
    assert_memory_equal(body->data, data + 1000, 123456);
    assert_int_equal(call.info.size, sizeof data);
    body = get("big", sizeof data - 1, 1, version);
    assert_int_equal(body->len, 1);
    body = get("big", sizeof data, 0, version);
    assert_int_equal(call.error.kind, ERROR_NONE);
    assert_int_equal(body->len, 0);

    get("big", sizeof data - 1, 2, "");
    assert_fails(ERROR_PROTOCOL);
    assert_true(call.again);
    get("big", sizeof data + 1, UINT64_MAX, "");
    assert_fails(ERROR_PROTOCOL);
    get("big", 0, UINT64_MAX, "1-1");
    assert_fails(ERROR_PRECONDITION);
}

static void lengths_that_were_not_announced(void **state)
{
    (void)state;
    put_text("a", "before");
    assert_false(put("a", "abcdef", 6, 7, CLOCK_UNKNOWN));
    assert_fails(ERROR_PROTOCOL);
    assert_true(call.again);
    assert_false(put("a", "abcdef", 6, 5, CLOCK_UNKNOWN));
    assert_fails(ERROR_PROTOCOL);
    assert_false(put("a", "abcdef", 6, 0, CLOCK_UNKNOWN));
    assert_fails(ERROR_PROTOCOL);
    assert_holds("a", "before");
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

static void a_put_waits_for_the_end_of_its_source(void **state)
{
    struct pipe pipe;
    struct error why;

    (void)state;
    assert_true(pipe_init(&pipe));
    store_put(store, &call,
              &(struct store_target){.key = "a", .size = 3, .modified = CLOCK_UNKNOWN, .meta = &meta}, &pipe);
    assert_int_equal(pipe_write(&pipe, "abc", 3), 3);
    assert_true(store_step(&call));
    assert_false(
        store_step(&call)); /* all bytes are there, but their source may still find that it was torn */
    assert_false(call.done);
    assert_false(tempdir_has(root, "a"));
    assert_int_equal(count_in(".storsync/tmp"), 1);
    error_set(&why, ERROR_INTERRUPTED, "enough");
    call_cancel(&call, &why);
    assert_true(call.done);
    assert_int_equal(call.error.kind, ERROR_INTERRUPTED);
    assert_int_equal(count_in(".storsync/tmp"), 0);
    assert_false(tempdir_has(root, "a"));

    pipe_reset(&pipe);
    store_put(store, &call,
              &(struct store_target){.key = "a", .size = 0, .modified = CLOCK_UNKNOWN, .meta = &meta}, &pipe);
    assert_false(store_step(&call));
    pipe.closed = true;
    assert_true(store_step(&call));
    assert_succeeds();
    assert_true(tempdir_has(root, "a"));
    pipe_free(&pipe);
}

static void files_that_change_while_read(void **state)
{
    static char data[200000];
    static const struct {
        off_t size;
        bool rewrite;
    } changes[] = {{100000, false}, {0, false}, {300000, false}, {200000, true}};
    struct pipe pipe;

    (void)state;
    assert_true(pipe_init(&pipe));
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const char *path = tempdir_path(root, "a");
        int fd;

        memset(data, 'x', sizeof data);
        assert_true(put("a", data, sizeof data, sizeof data, 1000));
        pipe_reset(&pipe);
        store_get(&(struct store_source){store, "a", "", NULL}, &call, 0, UINT64_MAX, &pipe);
        assert_true(call.head_known);
        while (pipe.len == 0)
            store_step(&call);
        fd = open(path, O_WRONLY);
        assert_int_equal(ftruncate(fd, changes[i].size), 0);
        if (changes[i].rewrite)
            assert_int_equal(pwrite(fd, "y", 1, 0), 1);
        close(fd);
        while (!call.done) {
            pipe_consume(&pipe, pipe_peek(&pipe, &(const unsigned char *){NULL}));
            store_step(&call);
        }
        assert_fails(ERROR_PROTOCOL);
        assert_true(call.again);
        assert_false(pipe.closed);
    }
    pipe_free(&pipe);
}

/* Takes what comes until the get ends; how many bytes that were. */
static size_t drain(struct pipe *pipe)
{
    size_t got = 0;

    while (!call.done || pipe->len > 0) {
        const unsigned char *from;
        size_t len = pipe_peek(pipe, &from);

        pipe_consume(pipe, len);
        got += len;
        store_step(&call);
    }
    return got;
}

/* Lets the get read until the pipe is full. */
static void begin_get(const char *key, const char *version, struct pipe *pipe)
{
    pipe_reset(pipe);
    store_get(&(struct store_source){store, key, version, NULL}, &call, 0, UINT64_MAX, pipe);
    while (pipe->len < PIPE_CAPACITY && !call.done)
        store_step(&call);
    assert_false(call.done);
}

/* rsync --inplace -t, tar, cp -p: the size and the time are what they were. */
static void rewrite_keeping_the_time(const char *name, char fill)
{
    static char data[200000];
    struct stat status;
    struct timespec times[2];
    const char *path = tempdir_path(root, name);
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    memset(data, fill, sizeof data);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(pwrite(fd, data, (size_t)status.st_size, 0), status.st_size);
    times[0] = status.st_atim;
    times[1] = status.st_mtim;
    assert_int_equal(futimens(fd, times), 0);
    close(fd);
}

static void a_rewrite_that_keeps_the_time_is_seen(void **state)
{
    static char data[200000];
    struct pipe pipe;
    char version[OBJECT_VERSION_SIZE];

    (void)state;
    assert_true(pipe_init(&pipe));
    memset(data, 'x', sizeof data);
    assert_true(put("a", data, sizeof data, sizeof data, 1000));
    begin_get("a", "", &pipe);
    rewrite_keeping_the_time("a", 'y');
    assert_true(drain(&pipe) < sizeof data); /* the other half does not get all of it */
    assert_fails(ERROR_PROTOCOL);
    assert_true(call.again);
    assert_false(pipe.closed);

    /* And from one part to the next. */
    get("a", 0, 1000, "");
    memcpy(version, call.info.version, sizeof version);
    get("a", 1000, 1000, version);
    assert_int_equal(call.error.kind, ERROR_NONE);
    rewrite_keeping_the_time("a", 'z');
    get("a", 2000, 1000, version);
    assert_fails(ERROR_PRECONDITION);
    pipe_free(&pipe);
}

/* Somebody writes all the time, in place, so fast that many versions have one time. What is read is one of
 * them, or an error. */
static void never_bytes_of_two_versions(void **state)
{
    static char data[PIPE_CAPACITY];
    pid_t writer;

    (void)state;
    memset(data, 'a', sizeof data);
    assert_true(put("a", data, sizeof data, sizeof data, 1000));
    writer = fork();
    assert_true(writer >= 0);
    if (writer == 0) {
        int fd = open(tempdir_path(root, "a"), O_WRONLY | O_CLOEXEC);

        for (char fill = 'a';; fill = fill == 'z' ? 'a' : (char)(fill + 1)) {
            memset(data, fill, sizeof data);
            if (pwrite(fd, data, sizeof data, 0) != (ssize_t)sizeof data)
                _exit(1);
            if (fill == 'm')
                usleep(60000); /* so that some can be read */
        }
    }
    for (int i = 0; i < 30; i++) {
        const struct buf *body = get("a", 0, UINT64_MAX, "");

        if (call.error.kind != ERROR_NONE) {
            assert_fails(ERROR_PROTOCOL);
            continue;
        }
        assert_int_equal(body->len, sizeof data);
        for (size_t at = 1; at < body->len; at++)
            assert_int_equal(body->data[at], body->data[0]);
    }
    kill(writer, SIGKILL);
    assert_int_equal(waitpid(writer, NULL, 0), writer);
}

/* Its metadata might be those of the other version. */
static void a_replacement_breaks_the_reading(void **state)
{
    static char data[200000];
    struct pipe pipe;
    struct call other;

    (void)state;
    assert_true(pipe_init(&pipe));
    memset(data, 'x', sizeof data);
    assert_true(put("a", data, sizeof data, sizeof data, CLOCK_UNKNOWN));
    begin_get("a", "", &pipe);
    call_init(&other);
    store_write(store, &other, "a", "new", 3, NULL);
    assert_true(store_wait(&other));
    call_free(&other);
    assert_true(drain(&pipe) < sizeof data);
    assert_fails(ERROR_PROTOCOL);
    assert_true(call.again);
    assert_holds("a", "new");
    pipe_free(&pipe);
}

/* Offsets beyond 32 bits, in a file that is nearly all hole. */
static void more_than_4_gib(void **state)
{
    static const off_t end = INT64_C(5) << 30;
    int fd;

    (void)state;
    assert_true(tempdir_file(root, "big", "head"));
    fd = open(tempdir_path(root, "big"), O_WRONLY | O_CLOEXEC);
    assert_int_equal(pwrite(fd, "tail", 4, end), 4);
    close(fd);
    assert_string_equal(get("big", (uint64_t)end - 1, 5, "")->data + 1, "tail");
    assert_int_equal(call.info.size, end + 4);
    assert_string_equal(get("big", (uint64_t)end, UINT64_MAX, "")->data, "tail");
}

/* ---- uploads in parts ---- */

static bool part(struct upload *upload, int number, uint64_t offset, const char *text, size_t announced)
{
    struct pipe pipe;

    assert_true(pipe_init(&pipe));
    store_upload_part(upload, &call, &(struct store_part){number, offset, announced}, &pipe);
    assert_int_equal(pipe_write(&pipe, text, strlen(text)), strlen(text));
    pipe.closed = true;
    store_wait(&call);
    pipe_free(&pipe);
    return call.error.kind == ERROR_NONE;
}

static struct upload *begin(const char *key, uint64_t size)
{
    store_upload_begin(store, &call,
                       &(struct store_target){.key = key, .size = size, .modified = 5000, .meta = &meta});
    assert_succeeds();
    assert_non_null(call.upload);
    return call.upload;
}

static void parts_in_any_order(void **state)
{
    struct upload *upload;

    (void)state;
    assert_true(object_meta_add(&meta, "user:x", "y"));
    upload = begin("dir/a", 10);
    assert_true(part(upload, 3, 8, "IJ", 2));
    assert_false(part(upload, 1, 0, "abc", 4)); /* broke off; the same part again */
    assert_fails(ERROR_PROTOCOL);
    assert_true(call.again);
    assert_true(part(upload, 1, 0, "ABCD", 4));
    store_upload_finish(upload, &call);
    assert_fails(ERROR_PROTOCOL); /* the second part is missing */
    assert_absent("dir/a");
    assert_true(part(upload, 2, 4, "EFGH", 4));
    store_upload_finish(upload, &call);
    assert_succeeds();
    assert_holds("dir/a", "ABCDEFGHIJ");
    assert_meta("dir/a", META("user:x", "y"));
    assert_int_equal(call.info.modified, 5000);
    assert_int_equal(count_in(".storsync/tmp"), 0);
}

static void aborting_leaves_nothing(void **state)
{
    struct upload *upload = begin("a", 8);

    (void)state;
    assert_true(part(upload, 1, 0, "ABCD", 4));
    assert_int_equal(count_in(".storsync/tmp"), 1);
    store_upload_abort(upload, &call);
    assert_succeeds();
    assert_int_equal(count_in(".storsync/tmp"), 0);
    assert_absent("a");
}

static void copies_are_for_somebody_else(void **state)
{
    struct upload *upload = begin("a", 1);

    (void)state;
    store_copy(store, &call, &(struct store_target){.key = "b"},
               &(struct store_source){store, "b", "", NULL});
    assert_fails(ERROR_UNSUPPORTED);
    store_upload_copy(upload, &call, &(struct store_part){1, 0, 1},
                      &(struct store_source){store, "b", "", NULL});
    assert_fails(ERROR_UNSUPPORTED);
    store_upload_abort(upload, &call);
}

static void kernels_that_do_not_know_the_look(void **state)
{
    static const uint32_t refusals[] = {EPERM, EINVAL, ENOSYS};

    (void)state;
    put_text("a", "text");
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        pid_t child = fork();
        int status;

        if (child == 0) {
            if (sandbox_refuse(SYS_statx, refusals[i]))
                get("a", 0, UINT64_MAX, "");
            _exit(call.error.kind == ERROR_NONE ? 0 : 1);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
    }
}

/* A server that is gone, say: what is known of the file may be old. Has no end, so it comes last. */
static void a_file_that_cannot_be_looked_at_again(void **state)
{
    (void)state;
    put_text("a", "text");
    if (!sandbox_refuse(SYS_statx, EIO))
        skip();
    get("a", 0, UINT64_MAX, "");
    assert_fails(ERROR_LOCAL);
    assert_int_equal(call.error.sys, EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(large_bodies_in_pieces),
        DIR_TEST(lengths_that_were_not_announced),
        DIR_TEST(a_put_waits_for_the_end_of_its_source),
        DIR_TEST(files_that_change_while_read),
        DIR_TEST(a_rewrite_that_keeps_the_time_is_seen),
        DIR_TEST(never_bytes_of_two_versions),
        DIR_TEST(a_replacement_breaks_the_reading),
        DIR_TEST(more_than_4_gib),
        DIR_TEST(parts_in_any_order),
        DIR_TEST(aborting_leaves_nothing),
        DIR_TEST(copies_are_for_somebody_else),
        DIR_TEST(kernels_that_do_not_know_the_look),
        DIR_TEST(a_file_that_cannot_be_looked_at_again),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
