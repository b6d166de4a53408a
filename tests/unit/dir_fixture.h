/*
 * For tests of the directory store: a bucket in a directory of its own, the calls of store.h with their
 * answers, and a look at the files from outside. Header-only.
 */
#ifndef DIR_FIXTURE_H
#define DIR_FIXTURE_H

#include "clock.h"
#include "cursor.h"
#include "log.h"
#include "loop_fixture.h"
#include "pipe.h"
#include "store.h"
#include "store_dir.h"
#include "tempdir.h"

#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static char root[TEMPDIR_SIZE];
static struct loop *loop;
static struct store *store;
static struct call call;
static struct object_meta meta;

static inline struct store *open_at(const char *path)
{
    struct error error;
    char url[PATH_MAX + 8];
    struct store *opened;

    snprintf(url, sizeof url, "file://%s", path);
    opened = store_dir_open(url, loop, &error);
    assert_non_null(opened);
    return opened;
}

static inline int set_up(void **state)
{
    (void)state;
    log_setup(LOG_TEXT, LOG_ERROR, false);
    tempdir_make(root);
    loop = loop_make();
    store = open_at(root);
    call_init(&call);
    object_meta_init(&meta);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    object_meta_free(&meta);
    call_free(&call);
    store_close(store);
    loop_free(loop);
    tempdir_remove(root);
    return 0;
}

static inline void assert_succeeds(void)
{
    if (!store_wait(&call))
        fail_msg("%s", call.error.text);
}

static inline void assert_fails(enum error_kind kind)
{
    assert_false(store_wait(&call));
    assert_int_equal(call.error.kind, kind);
    assert_non_null(strstr(call.error.text, "file://"));
}

/* Fills the pipe from `data` while the put takes from it. */
static inline bool put(const char *key, const char *data, size_t size, size_t announced, int64_t modified)
{
    struct pipe pipe;
    size_t at = 0;

    assert_true(pipe_init(&pipe));
    store_put(store, &call,
              &(struct store_target){.key = key, .size = announced, .modified = modified, .meta = &meta},
              &pipe);
    while (!call.done) {
        at += pipe_write(&pipe, data + at, size - at);
        pipe.closed = at == size;
        store_step(&call);
    }
    pipe_free(&pipe);
    return call.error.kind == ERROR_NONE;
}

static inline void put_text(const char *key, const char *text)
{
    if (!put(key, text, strlen(text), strlen(text), CLOCK_UNKNOWN))
        fail_msg("%s", call.error.text);
}

/* The body that a get streams, in a buffer that is good until the next one. */
static inline const struct buf *get(const char *key, uint64_t offset, uint64_t length, const char *etag)
{
    static char memory[400000];
    static struct buf body;
    struct pipe pipe;

    assert_true(pipe_init(&pipe));
    body = (struct buf){.data = memory, .max = sizeof memory};
    store_get(&(struct store_source){store, key, etag, NULL}, &call, offset, length, &pipe);
    while (!call.done || pipe.len > 0) {
        store_step(&call);
        body.len += pipe_read(&pipe, memory + body.len, 1 + body.len % 70000);
    }
    assert_true(pipe.closed == (call.error.kind == ERROR_NONE));
    memory[body.len] = '\0';
    pipe_free(&pipe);
    return &body;
}

static inline void assert_holds(const char *key, const char *text)
{
    const struct buf *body = get(key, 0, UINT64_MAX, "");

    if (call.error.kind != ERROR_NONE)
        fail_msg("%s", call.error.text);
    assert_string_equal(body->data, text);
    assert_int_equal(call.info.size, strlen(text));
    store_read(store, &call, key);
    assert_succeeds();
    assert_string_equal(buf_str(&call.body), text);
}

static inline void assert_absent(const char *key)
{
    store_head(store, &call, key);
    assert_fails(ERROR_NOT_FOUND);
    get(key, 0, UINT64_MAX, "");
    assert_fails(ERROR_NOT_FOUND);
}

/* How many entries a directory below the root has; 0 if there is none. */
static inline int count_in(const char *name)
{
    DIR *dir = opendir(tempdir_path(root, name));
    int count = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static inline int count_sidecars(void)
{
    DIR *dir = opendir(tempdir_path(root, ".storsync/meta"));
    const struct dirent *entry;
    int count = 0;

    if (dir == NULL)
        return 0;
    while ((entry = readdir(dir)) != NULL) {
        char name[PATH_MAX];

        snprintf(name, sizeof name, ".storsync/meta/%s", entry->d_name);
        if (entry->d_name[0] != '.')
            count += count_in(name);
    }
    closedir(dir);
    return count;
}

/* All keys, each followed by a space. */
static inline const char *listing_of(struct store_range range)
{
    static char text[8192];
    const struct object_entry *entry;
    struct error error;
    struct cursor *cursor = cursor_open(store, &range, &error);
    enum cursor_state state;

    assert_non_null(cursor);
    text[0] = '\0';
    while ((state = cursor_peek(cursor, &entry)) != CURSOR_END) {
        if (state == CURSOR_WAIT) {
            cursor_step(cursor);
            continue;
        }
        if (state == CURSOR_FAILED)
            fail_msg("%s", cursor_error(cursor)->text);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", entry->key);
        cursor_next(cursor);
    }
    cursor_close(cursor);
    return text;
}

static inline const char *listing(const char *prefix)
{
    return listing_of((struct store_range){.prefix = prefix});
}

/* The metadata that a head shows: names and values in turn. */
static inline void assert_meta(const char *key, const char *const *pairs)
{
    const char *name, *value;
    size_t at = 0;

    store_head(store, &call, key);
    assert_succeeds();
    for (; *pairs != NULL; pairs += 2) {
        assert_true(object_meta_next(&call.meta, &at, &name, &value));
        assert_string_equal(name, pairs[0]);
        assert_string_equal(value, pairs[1]);
    }
    assert_false(object_meta_next(&call.meta, &at, &name, &value));
}
#define META(...) ((const char *const[]){__VA_ARGS__, NULL})

#define DIR_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
