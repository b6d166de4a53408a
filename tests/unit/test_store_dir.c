/*
 * A directory as a bucket: its root, objects, keys and listing.
 */
#include "cursor.h"
#include "dir_fixture.h"
#include "page.h"
#include "sandbox.h"

#include <sys/syscall.h>
#include <sys/wait.h>

/* ---- the root ---- */

static void urls(void **state)
{
    static const char *const bad[] = {
        "file:/srv", "file://host/srv", "file://", "file:", "file://srv", "file:///%zz", "file:///%00"};
    struct error error;
    struct store *opened;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_null(store_dir_open(bad[i], loop, &error));
        assert_int_equal(error.kind, ERROR_CONFIG);
    }
    opened = store_dir_open("file://localhost/a%20b", loop, &error);
    assert_non_null(opened);
    assert_string_equal(store_name(opened), "file://localhost/a%20b");
    store_close(opened);
}

static void a_percent_encoded_root(void **state)
{
    char url[PATH_MAX];
    struct error error;
    struct store *other;

    (void)state;
    assert_true(tempdir_file(root, "a %b/key", "text"));
    snprintf(url, sizeof url, "file://%s/a%%20%%25b/", root);
    other = store_dir_open(url, loop, &error);
    assert_non_null(other);
    store_read(other, &call, "key");
    assert_succeeds();
    assert_string_equal(buf_str(&call.body), "text");
    store_close(other);
}

static void roots_that_are_none(void **state)
{
    struct store *other = open_at(tempdir_path(root, "missing"));

    (void)state;
    store_head(other, &call, "a");
    assert_fails(ERROR_NO_BUCKET);
    assert_non_null(strstr(call.error.text, "create"));
    store_write(other, &call, "a", "x", 1, NULL);
    assert_fails(ERROR_NO_BUCKET);
    assert_false(tempdir_has(root, "missing"));
    assert_int_equal(mkdir(tempdir_path(root, "missing"), 0755), 0);
    store_head(other, &call, "a"); /* it is looked for again */
    assert_fails(ERROR_NOT_FOUND);
    store_close(other);

    assert_true(tempdir_file(root, "file", "x"));
    other = open_at(tempdir_path(root, "file"));
    store_head(other, &call, "a");
    assert_fails(ERROR_NO_BUCKET);
    store_close(other);
}

static void permissions(void **state)
{
    struct store *closed = open_at(tempdir_path(root, "closed"));
    struct store *read_only = open_at(tempdir_path(root, "read-only"));

    (void)state;
    assert_true(tempdir_file(root, "closed/a", "a") && tempdir_file(root, "read-only/a", "a"));
    assert_true(tempdir_file(root, "read-only/secret", "a"));
    chmod(tempdir_path(root, "closed"), 0);
    chmod(tempdir_path(root, "read-only"), 0555);
    chmod(tempdir_path(root, "read-only/secret"), 0);
    chmod(root, 0755);
    tempdir_not_root();
    store_read(closed, &call, "a");
    assert_fails(ERROR_PERMISSION);
    store_read(read_only, &call, "a");
    assert_succeeds();
    store_read(read_only, &call, "secret");
    assert_fails(ERROR_PERMISSION);
    store_head(read_only, &call, "secret");
    assert_succeeds();
    store_write(read_only, &call, "b", "x", 1, NULL);
    assert_fails(ERROR_PERMISSION);
    store_remove(read_only, &call, "a");
    assert_fails(ERROR_PERMISSION);
    tempdir_root_again();
    chmod(tempdir_path(root, "closed"), 0755);
    chmod(tempdir_path(root, "read-only"), 0755);
    store_close(closed);
    store_close(read_only);
}

static void same_and_nested(void **state)
{
    struct store *sub = open_at(tempdir_path(root, "a/sub"));
    struct store *sibling = open_at(tempdir_path(root, "a/subway"));
    struct store *missing = open_at(tempdir_path(root, "missing/x"));
    struct store *alias, *dots, *outer = store;
    struct error error;

    (void)state;
    assert_true(tempdir_file(root, "a/sub/f", "x") && tempdir_file(root, "a/subway/f", "x"));
    assert_int_equal(symlink("a/sub", tempdir_path(root, "link")), 0);
    alias = open_at(tempdir_path(root, "link"));
    dots = open_at(tempdir_path(root, "a/subway/../sub/."));
    assert_true(store_same(sub, alias) && store_same(alias, dots) && store_same(sub, sub));
    assert_false(store_same(sub, sibling) || store_same(sub, store) || store_same(missing, missing));
    assert_false(store_can_copy(sub, sibling));

    assert_true(store_check_pair(sub, sibling, &error));
    assert_true(store_check_pair(sub, alias, &error)); /* the same: nothing to do, and no harm */
    assert_true(store_check_pair(sub, missing, &error));
    assert_true(store_check_pair(missing, sub, &error));
    assert_false(store_check_pair(outer, sub, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    assert_non_null(strstr(error.text, "destination"));
    assert_false(store_check_pair(alias, outer, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
    store_close(sub);
    store_close(sibling);
    store_close(missing);
    store_close(alias);
    store_close(dots);
}

/* ---- objects ---- */

static void round_trip(void **state)
{
    struct stat status;

    (void)state;
    assert_true(put("public/a/b.png", "body", 4, 4, INT64_C(1700000000123)));
    assert_int_equal(stat(tempdir_path(root, "public/a/b.png"), &status), 0);
    assert_int_equal(status.st_mtim.tv_sec, 1700000000);
    assert_int_equal(status.st_mtim.tv_nsec, 123000000);
    assert_int_equal(status.st_nlink, 1);
    assert_int_equal(status.st_mode & 0600, 0600);
    assert_int_equal(count_in(".storsync/tmp"), 0);
    assert_holds("public/a/b.png", "body");

    store_head(store, &call, "public/a/b.png");
    assert_succeeds();
    assert_true(call.head_known);
    assert_int_equal(call.info.size, 4);
    assert_int_equal(call.info.modified, INT64_C(1700000000123));
    assert_int_equal(strncmp(call.info.version, "4-17979cfe3d7ed4c0-", 19), 0);
    assert_string_equal(object_meta_get(&call.meta, "content-type"), "image/png");
    assert_int_equal(call.info.tags, 0);

    assert_true(put("public/a/b.png", "", 0, 0, INT64_C(-1)));
    assert_holds("public/a/b.png", "");
    store_head(store, &call, "public/a/b.png");
    assert_int_equal(call.info.modified, -1);
    store_remove(store, &call, "public/a/b.png");
    assert_succeeds();
    assert_absent("public/a/b.png");
    store_remove(store, &call, "public/a/b.png");
    assert_succeeds();
    store_remove(store, &call, "not/even/a/directory");
    assert_succeeds();
    assert_true(tempdir_has(root, "public/a"));
}

static void small_objects_have_a_limit(void **state)
{
    static char data[STORE_SMALL_MAX + 1];

    (void)state;
    memset(data, 'x', sizeof data);
    assert_true(put("a", data, STORE_SMALL_MAX, STORE_SMALL_MAX, CLOCK_UNKNOWN));
    store_read(store, &call, "a");
    assert_succeeds();
    assert_int_equal(call.body.len, STORE_SMALL_MAX);
    assert_true(put("a", data, sizeof data, sizeof data, CLOCK_UNKNOWN));
    store_read(store, &call, "a");
    assert_fails(ERROR_UNSUPPORTED);
}

/* ---- keys ---- */

static void odd_keys_round_trip(void **state)
{
    static const char *const odd[] = {
        "/",
        "//",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "../a",
        "a/../b",
        "a/.",
        ".storsync",
        ".storsync/",
        ".storsync/odd/61",
        ".storsync/tmp/x",
        "x/",
        "x//",
        "\n",
        "a\xff/",
    };
    char expected[64];

    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        snprintf(expected, sizeof expected, "body of %s", odd[i]);
        put_text(odd[i], expected);
    }
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        snprintf(expected, sizeof expected, "body of %s", odd[i]);
        assert_holds(odd[i], expected);
    }
    assert_string_equal(listing("a/"), "a/ a/. a/../b a//b ");
    assert_string_equal(listing("x"), "x/ x// ");
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        store_remove(store, &call, odd[i]);
        assert_succeeds();
        assert_absent(odd[i]);
    }
    assert_string_equal(listing(""), "");
}

static void the_longest_keys(void **state)
{
    char key[OBJECT_KEY_MAX + 2];

    (void)state;
    for (int odd = 0; odd < 2; odd++) {
        for (size_t i = 0; i < sizeof key; i++)
            key[i] = odd ? '/' : i % 200 == 199 ? '/' : 'k';
        key[OBJECT_KEY_MAX - 1] = 'k';
        key[OBJECT_KEY_MAX] = '\0';
        put_text(key, key);
        assert_holds(key, key);
        assert_memory_equal(listing(odd ? "//" : "kk"), key, OBJECT_KEY_MAX);
        key[OBJECT_KEY_MAX] = 'k';
        key[OBJECT_KEY_MAX + 1] = '\0';
        store_head(store, &call, key);
        assert_fails(ERROR_UNSUPPORTED);
    }
    store_head(store, &call, "");
    assert_fails(ERROR_UNSUPPORTED);
}

static void files_and_directories_in_each_others_way(void **state)
{
    (void)state;
    put_text("a/b", "1");
    put_text("a", "2");     /* a directory is there */
    put_text("a/b/c", "3"); /* a file is there */
    put_text("a/b/c/d", "4");
    assert_holds("a/b", "1");
    assert_holds("a", "2");
    assert_holds("a/b/c", "3");
    assert_holds("a/b/c/d", "4");
    assert_string_equal(listing(""), "a a/b a/b/c a/b/c/d ");
    assert_string_equal(listing("a/b/"), "a/b/c a/b/c/d ");
    store_remove(store, &call, "a/b");
    assert_succeeds();
    assert_string_equal(listing(""), "a a/b/c a/b/c/d ");
    put_text("a/b/c", "5"); /* now there is room, and the odd name goes */
    assert_holds("a/b/c", "5");
    assert_true(tempdir_has(root, "a/b/c"));
    assert_int_equal(count_in(".storsync/odd"), 2);
    assert_string_equal(listing(""), "a a/b/c a/b/c/d ");
    store_write(store, &call, "a/b", "6", 1, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_succeeds();
    store_write(store, &call, "a/b", "7", 1, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_fails(ERROR_PRECONDITION);
    assert_holds("a/b", "6");
}

/* ---- conditions ---- */

enum writing { WRITE, PUT, UPLOAD, WRITINGS };

/* Writes one byte, in whatever way. */
static void write_if(enum writing how, const char *byte, enum store_when when, const char *version)
{
    struct store_condition condition = {.when = when, .version = version};
    struct store_target target = {
        .key = "a", .size = 1, .modified = CLOCK_UNKNOWN, .meta = &meta, .condition = condition};
    struct upload *upload = NULL;
    struct error error;
    struct pipe pipe;

    assert_true(pipe_init(&pipe));
    pipe_write(&pipe, byte, 1);
    pipe.closed = true;
    if (how == WRITE) {
        store_write(store, &call, "a", byte, 1, &condition);
    } else if (how == PUT) {
        store_put(store, &call, &target, &pipe);
        store_wait(&call);
    } else {
        store_upload_begin(store, &call, &target);
        assert_succeeds();
        upload = call.upload;
        store_upload_part(upload, &call, &(struct store_part){1, 0, 1}, &pipe);
        assert_succeeds();
        store_upload_finish(upload, &call);
        store_wait(&call);
        error = call.error;
        if (error.kind != ERROR_NONE) {
            store_upload_abort(upload, &call);
            call.error = error;
        }
    }
    assert_true(call.done);
    pipe_free(&pipe);
}

static void writes_on_a_condition(void **state)
{
    char version[OBJECT_VERSION_SIZE];

    (void)state;
    for (enum writing how = 0; how < WRITINGS; how++) {
        store_remove(store, &call, "a");
        assert_succeeds();
        write_if(how, "0", STORE_IF_VERSION, "1-2-3");
        assert_fails(ERROR_PRECONDITION);
        assert_absent("a");
        write_if(how, "1", STORE_IF_ABSENT, NULL);
        assert_succeeds();
        write_if(how, "2", STORE_IF_ABSENT, NULL);
        assert_fails(ERROR_PRECONDITION);
        assert_holds("a", "1");
        memcpy(version, call.info.version, sizeof version);
        write_if(how, "3", STORE_IF_VERSION, version);
        assert_succeeds();
        assert_holds("a", "3");
        write_if(how, "4", STORE_IF_VERSION, version);
        assert_fails(ERROR_PRECONDITION);
        assert_holds("a", "3");
        assert_int_equal(count_in(".storsync/tmp"), 0);
    }
}

/* NFS says so of files and folders that its server does not have any more: that is a failure, not another version. In a process of
 * its own, as nothing can be opened from then on. */
static void a_stale_handle_is_no_other_version(void **state)
{
    char version[OBJECT_VERSION_SIZE];
    int end = 0;
    pid_t child;

    (void)state;
    put_text("a", "1");
    store_head(store, &call, "a");
    assert_succeeds();
    memcpy(version, call.info.version, sizeof version);
    child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (!sandbox_refuse(SYS_openat2, ESTALE))
            _exit(2);
        for (enum writing how = 0; how < WRITINGS; how++) {
            write_if(how, "3", STORE_IF_VERSION, version);
            if (call.error.kind != ERROR_LOCAL || call.error.sys != ESTALE)
                _exit(3);
        }
        store_remove_if(store, &call, "a",
                        &(struct store_condition){.when = STORE_IF_VERSION, .version = version});
        _exit(store_wait(&call) || call.error.kind != ERROR_LOCAL ? 4 : 0);
    }
    assert_int_equal(waitpid(child, &end, 0), child);
    assert_true(WIFEXITED(end));
    if (WEXITSTATUS(end) == 2)
        skip();
    assert_int_equal(WEXITSTATUS(end), 0);
    assert_holds("a", "1");
}

/* It cannot be told whether there is such an object: nobody may take it for absent, and so remove its copy. */
static void assert_hidden(const char *key)
{
    store_head(store, &call, key);
    assert_fails(ERROR_LOCAL);
    assert_int_equal(call.error.sys, ELOOP);
}

/* The object fails, and the error says because of what. */
static void assert_in_the_way(const char *key, const char *thing)
{
    char text[128];

    object_meta_clear(&meta);
    assert_true(object_meta_add(&meta, "cache-control", "no-cache"));
    assert_false(put(key, "mine", 4, 4, CLOCK_UNKNOWN));
    assert_int_equal(call.error.kind, ERROR_LOCAL);
    assert_int_equal(call.error.sys, ELOOP);
    snprintf(text, sizeof text, ": %sis a symbolic link", thing);
    assert_non_null(strstr(call.error.text, text));
    store_write(store, &call, key, "mine", 4, &(struct store_condition){.when = STORE_IF_ABSENT});
    assert_fails(ERROR_LOCAL);
    assert_hidden(key);
}

static void links_are_never_followed(void **state)
{
    char outside[TEMPDIR_SIZE];

    (void)state;
    tempdir_make(outside);
    assert_true(tempdir_file(outside, "secret", "secret"));
    assert_int_equal(symlink(outside, tempdir_path(root, "dir")), 0);
    assert_int_equal(symlink(tempdir_path(outside, "secret"), tempdir_path(root, "file")), 0);
    assert_hidden("dir/secret");
    assert_hidden("file");
    assert_int_equal(mkfifo(tempdir_path(root, "fifo"), 0644), 0);
    assert_in_the_way("dir/secret", "dir ");
    assert_in_the_way("dir/new/deep", "dir ");
    assert_in_the_way("file", "file ");
    assert_in_the_way("fifo", "fifo ");
    assert_in_the_way("fifo/below", "fifo ");
    store_remove(store, &call, "file");
    assert_succeeds();
    store_remove(store, &call, "dir/secret");
    assert_succeeds();
    assert_true(tempdir_has(root, "file"));
    assert_true(tempdir_has(outside, "secret"));
    assert_false(tempdir_has(outside, "new"));
    assert_string_equal(listing(""), "");
    assert_int_equal(count_in(".storsync/odd"), 0);
    assert_int_equal(count_in(".storsync/tmp"), 0);
    assert_int_equal(count_sidecars(), 0);
    /* Nor when the program's own directories are links. */
    unlink(tempdir_path(root, "dir"));
    tempdir_remove(tempdir_path(root, ".storsync"));
    assert_int_equal(symlink(outside, tempdir_path(root, ".storsync")), 0);
    store_close(store);
    store = open_at(root);
    store_write(store, &call, "x", "x", 1, NULL);
    assert_fails(ERROR_LOCAL);
    assert_non_null(strstr(call.error.text, ": .storsync is a symbolic link"));
    assert_false(tempdir_has(outside, "tmp"));
    tempdir_remove(outside);
}

static void a_range_of_keys(void **state)
{
    static const char *const keys[] = {"a", "b/1", "b/2", "b//", "b0", "c"};

    (void)state;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put_text(keys[i], "x");
    assert_string_equal(listing(""), "a b// b/1 b/2 b0 c ");
    assert_string_equal(listing_of((struct store_range){"", "a", "c", NULL, false}), "b// b/1 b/2 b0 ");
    assert_string_equal(listing_of((struct store_range){"", "b/", "b/2", NULL, false}), "b// b/1 ");
    assert_string_equal(listing_of((struct store_range){"b/", "b/1", NULL, NULL, false}), "b/2 ");
    assert_string_equal(listing_of((struct store_range){"b/", NULL, "a", NULL, false}), "");
    assert_string_equal(listing_of((struct store_range){"", "c", NULL, NULL, false}), "");
}

/* ---- listing ---- */

static void many_pages(void **state)
{
    const struct object_entry *entry;
    struct error error;
    struct cursor *cursor;
    enum cursor_state cursor_state;
    char name[32], version[OBJECT_VERSION_SIZE];
    int seen = 0;

    (void)state;
    for (int i = 0; i < 2 * STORE_PAGE_KEYS + 1; i++) {
        snprintf(name, sizeof name, "p%d/%04d", i / 600, i);
        assert_true(tempdir_file(root, name, name));
    }
    cursor = cursor_open(store, &(struct store_range){.prefix = "p"}, &error);
    while ((cursor_state = cursor_peek(cursor, &entry)) != CURSOR_END) {
        if (cursor_state == CURSOR_WAIT) {
            assert_true(cursor_step(cursor));
            continue;
        }
        assert_int_equal(cursor_state, CURSOR_ENTRY);
        snprintf(name, sizeof name, "p%d/%04d", seen / 600, seen);
        assert_string_equal(entry->key, name);
        assert_int_equal(entry->size, 7);
        snprintf(version, sizeof version, "%s", entry->version);
        if (seen % 500 == 0) {
            store_head(store, &call, name);
            assert_succeeds();
            assert_string_equal(call.info.version, version);
            assert_int_equal(entry->hash.kind, OBJECT_HASH_NONE);
            assert_int_equal(call.info.modified, entry->modified);
        }
        cursor_next(cursor);
        seen++;
    }
    assert_int_equal(seen, 2 * STORE_PAGE_KEYS + 1);
    cursor_close(cursor);
}

static void a_warning_for_what_is_left_out(void **state)
{
    char text[512] = "";
    int out[2];

    (void)state;
    assert_true(tempdir_file(root, "p/a", "x"));
    assert_int_equal(symlink("a", tempdir_path(root, "p/link")), 0);
    assert_int_equal(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    log_to(out[1]);
    log_setup(LOG_TEXT, LOG_WARN, false);
    assert_string_equal(listing("p/"), "p/a ");
    assert_string_equal(listing("q/"), "");
    log_to(STDERR_FILENO);
    assert_true(read(out[0], text, sizeof text - 1) > 0);
    assert_non_null(strstr(text, "1 "));
    assert_non_null(strstr(text, "p/"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    close(out[0]);
    close(out[1]);
}

static void listing_what_is_not_there(void **state)
{
    struct store *missing = open_at(tempdir_path(root, "missing"));
    const struct object_entry *entry;
    struct error error;
    struct cursor *cursor = cursor_open(missing, &(struct store_range){.prefix = "p/"}, &error);

    (void)state;
    assert_non_null(cursor);
    assert_int_equal(cursor_peek(cursor, &entry), CURSOR_FAILED);
    assert_int_equal(cursor_error(cursor)->kind, ERROR_NO_BUCKET);
    cursor_close(cursor);
    store_close(missing);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(urls),
        DIR_TEST(a_percent_encoded_root),
        DIR_TEST(roots_that_are_none),
        DIR_TEST(permissions),
        DIR_TEST(same_and_nested),
        DIR_TEST(round_trip),
        DIR_TEST(small_objects_have_a_limit),
        DIR_TEST(odd_keys_round_trip),
        DIR_TEST(the_longest_keys),
        DIR_TEST(files_and_directories_in_each_others_way),
        DIR_TEST(writes_on_a_condition),
        DIR_TEST(a_stale_handle_is_no_other_version),
        DIR_TEST(a_range_of_keys),
        DIR_TEST(links_are_never_followed),
        DIR_TEST(many_pages),
        DIR_TEST(a_warning_for_what_is_left_out),
        DIR_TEST(listing_what_is_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
