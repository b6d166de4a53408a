/*
 * What all stores have in common: opening by scheme, the life of a call, waiting for one.
 */
#include "clock.h"
#include "loop_fixture.h"
#include "stop.h"
#include "store.h"
#include "store_open.h"
#include "store_ops.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---- opening ---- */

static struct side side_of(const char *bucket)
{
    return (struct side){.bucket = bucket,
                         .endpoint = "",
                         .region = "",
                         .profile = "",
                         .access_key_id = "a",
                         .secret_access_key = "s",
                         .session_token = "",
                         .role_arn = "",
                         .web_identity_token_file = "",
                         .role_session_name = "",
                         .sts_endpoint = "",
                         .ca_file = ""};
}

static void schemes(void **state)
{
    static const struct {
        const char *bucket;
        const char *scheme; /* NULL: refused */
        const char *text;   /* the name, or in the error */
    } cases[] = {
        {"name", "s3", "name"},
        {"s3://name", "s3", "name"},
        {"s3://name/", "s3", "name"},
        {"file:///srv/dev", "file", "file:///srv/dev"},
        {"file://localhost/srv", "file", "file://localhost/srv"},
        {"", NULL, "no bucket"},
        {"s3://", NULL, "s3://NAME"},
        {"s3://name/prefix", NULL, "without a key"},
        {"name/prefix", NULL, "without a key"},
        {"name/", NULL, "without a key"},
        {"/srv/dev", NULL, "write file:///srv/dev"},
        {"file:/srv/dev", NULL, "file:///PATH"},
        {"file://srv/dev", NULL, "file:///PATH"},
        {"gs://name", "gs", "name"},
        {"gs://", NULL, "is no bucket name"},
        {"https://name", NULL, "unknown scheme"},
    };
    struct error error;
    struct loop *loop = loop_make();

    (void)state;
    setenv("STORAGE_EMULATOR_HOST", "http://h", 1); /* no credentials are looked for */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct side side = side_of(cases[i].bucket);
        struct store *store = store_open(&side, loop, &error);

        if (cases[i].scheme == NULL) {
            assert_null(store);
            assert_int_equal(error.kind, ERROR_CONFIG);
            assert_non_null(strstr(error.text, cases[i].text));
            continue;
        }
        assert_non_null(store);
        assert_string_equal(store->ops->scheme, cases[i].scheme);
        assert_string_equal(store_name(store), cases[i].text);
        assert_int_equal(store_needs_network(&side), strcmp(cases[i].scheme, "file") != 0);
        assert_true(store_traits(store)->put_max >= store_traits(store)->part_min);
        assert_true(store_traits(store)->part_count_max >= 10000);
        store_close(store);
    }
    loop_free(loop);
    store_close(NULL);
}

/* ---- calls, with a store that only counts ---- */

struct counts {
    struct store base;
    int steps_left; /* until the operation is done; negative: never */
    int begun, cancelled, released;
};
static struct counts counts;

static void count_head(struct store *store, struct call *call, const char *key)
{
    (void)store;
    (void)key;
    assert_null(call->impl);
    assert_false(call->done);
    assert_int_equal(call->error.kind, ERROR_NONE);
    assert_false(call->again || call->head_known);
    assert_int_equal(call->info.modified, CLOCK_UNKNOWN);
    assert_int_equal(call->body.len, 0);
    assert_int_equal(call->meta.pairs.len, 0);
    call->impl = &counts;
    counts.begun++;
}

static bool count_step(struct call *call)
{
    if (counts.steps_left < 0)
        return false;
    if (counts.steps_left-- > 0)
        return true;
    /* What the next operation must not find. */
    error_set(&call->error, ERROR_NOT_FOUND, "counted");
    call->again = call->head_known = true;
    call->info.modified = 7;
    buf_puts(&call->body, "body");
    object_meta_add(&call->meta, "a", "b");
    call->done = true;
    return true;
}

static void count_cancel(struct call *call, const struct error *why)
{
    counts.cancelled++;
    call->error = *why;
    call->done = true;
}

static void count_release(struct call *call)
{
    assert_ptr_equal(call->impl, &counts);
    counts.released++;
}

static const struct store_ops count_ops = {
    .scheme = "count",
    .head = count_head,
    .step = count_step,
    .cancel = count_cancel,
    .release = count_release,
};

static struct call call;

static int set_up(void **state)
{
    (void)state;
    counts =
        (struct counts){.base = {.ops = &count_ops, .loop = loop_make(), .name = "count", .url = "count"}};
    call_init(&call);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    call_free(&call);
    loop_free(counts.base.loop);
    stop_reset();
    return 0;
}

static void a_call_is_used_again(void **state)
{
    (void)state;
    for (int i = 1; i <= 3; i++) {
        counts.steps_left = i;
        store_head(&counts.base, &call, "key");
        assert_false(store_wait(&call));
        assert_string_equal(call.error.text, "counted");
        assert_int_equal(counts.begun, i);
        assert_int_equal(counts.released, i - 1);
        assert_false(store_step(&call));
    }
    call_cancel(&call, &call.error); /* too late to matter */
    assert_int_equal(counts.cancelled, 0);
    call_free(&call);
    assert_int_equal(counts.released, 3);
    call_init(&call);
}

static void a_call_that_was_never_used(void **state)
{
    struct error why = {.kind = ERROR_TIMEOUT};

    (void)state;
    assert_true(call.done);
    assert_false(store_step(&call));
    call_cancel(&call, &why);
    assert_int_equal(call.error.kind, ERROR_NONE);
}

static void freeing_cancels(void **state)
{
    (void)state;
    counts.steps_left = -1;
    store_head(&counts.base, &call, "key");
    call_free(&call);
    assert_int_equal(counts.cancelled, 1);
    assert_int_equal(counts.released, 1);
    call_init(&call);
}

static void waiting_ends_with_a_signal_or_the_deadline(void **state)
{
    (void)state;
    counts.steps_left = -1;
    stop_signal(SIGTERM);
    store_head(&counts.base, &call, "key");
    assert_false(store_wait(&call));
    assert_int_equal(call.error.kind, ERROR_INTERRUPTED);
    assert_int_equal(call.error.signal, SIGTERM);
    assert_int_equal(counts.cancelled, 1);

    stop_reset();
    stop_at(clock_mono() + 1);
    store_head(&counts.base, &call, "key");
    assert_false(store_wait(&call));
    assert_int_equal(call.error.kind, ERROR_TIMEOUT);
    assert_int_equal(counts.cancelled, 2);
}

static void what_a_probe_shows(void **state)
{
    static const struct {
        enum error_kind kind;
        enum store_finding finding;
    } table[] = {
        {ERROR_TIMEOUT, STORE_UNSURE},    {ERROR_UNREACHABLE, STORE_UNSURE}, {ERROR_NONE, STORE_LACKS},
        {ERROR_UNSUPPORTED, STORE_LACKS}, {ERROR_PRECONDITION, STORE_HOLDS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        call.error.kind = table[i].kind;
        assert_int_equal(store_probe(&counts.base, &call), table[i].finding);
        assert_int_equal(store_traits(&counts.base)->if_absent, table[i].finding == STORE_HOLDS);
    }
}

static void what_a_store_does_not_do(void **state)
{
    struct counts twin = counts;

    (void)state;
    store_tags(&counts.base, &call, "key");
    assert_false(store_wait(&call));
    assert_int_equal(call.error.kind, ERROR_UNSUPPORTED);
    store_copy(&counts.base, &call, &(struct store_target){.key = "key"},
               &(struct store_source){&twin.base, "key", "", NULL});
    assert_int_equal(call.error.kind, ERROR_UNSUPPORTED);
    store_upload_copy(&(struct upload){&counts.base}, &call, &(struct store_part){1, 0, 1},
                      &(struct store_source){&twin.base, "key", "", NULL});
    assert_int_equal(call.error.kind, ERROR_UNSUPPORTED);
    assert_true(call.done);
    assert_false(store_can_copy(&counts.base, &twin.base));
    assert_true(store_check_pair(&counts.base, &twin.base, &call.error));
    assert_true(store_same(&counts.base, &twin.base));
    strcpy(twin.base.url, "other");
    assert_false(store_same(&counts.base, &twin.base));
}

static void keys_that_no_store_has(void **state)
{
    char key[OBJECT_KEY_MAX + 2];

    (void)state;
    memset(key, 'k', sizeof key);
    key[OBJECT_KEY_MAX + 1] = '\0';
    store_head(&counts.base, &call, key);
    assert_true(call.done);
    assert_int_equal(call.error.kind, ERROR_UNSUPPORTED);
    store_head(&counts.base, &call, "");
    assert_true(call.done);
    assert_int_equal(call.error.kind, ERROR_UNSUPPORTED);
    assert_int_equal(counts.begun, 0);
    key[OBJECT_KEY_MAX] = '\0';
    store_head(&counts.base, &call, key);
    assert_int_equal(counts.begun, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schemes),
        TEST(a_call_is_used_again),
        TEST(a_call_that_was_never_used),
        TEST(freeing_cancels),
        TEST(waiting_ends_with_a_signal_or_the_deadline),
        TEST(what_a_probe_shows),
        TEST(what_a_store_does_not_do),
        TEST(keys_that_no_store_has),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
