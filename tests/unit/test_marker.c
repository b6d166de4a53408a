/* marker: the pure parts, and what is asked of a store and in which order. */
#include "marker.h"

#include "clock.h"
#include "json.h"
#include "store_ops.h"
#include "version.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#define NOW INT64_C(1764000000000) /* 2025-11-24T16:00:00Z */
#define HOUR INT64_C(3600000)
#define DEPLOYMENT_KEY ".storsync/shop/deployments/v42.json"
#define LAST_SYNC_KEY ".storsync/shop/last-sync.json"

/* ---- a store in memory ---- */

#define OBJECTS_MAX 4

static struct {
    char key[128];
    char data[1024];
} objects[OBJECTS_MAX];
static char requests[1024]; /* "read KEY\nwrite KEY\n..." */
static const char *broken;  /* the key that cannot be reached */

static void note(const char *operation, const char *key)
{
    size_t at = strlen(requests);

    snprintf(requests + at, sizeof requests - at, "%s %s\n", operation, key);
}

static void put_object(const char *key, const char *data)
{
    int i = 0;

    while (objects[i].key[0] != '\0' && strcmp(objects[i].key, key) != 0)
        i++;
    assert_true(i < OBJECTS_MAX);
    snprintf(objects[i].key, sizeof objects[i].key, "%s", key);
    snprintf(objects[i].data, sizeof objects[i].data, "%s", data);
}

static const char *get_object(const char *key)
{
    for (int i = 0; i < OBJECTS_MAX; i++) {
        if (strcmp(objects[i].key, key) == 0)
            return objects[i].data;
    }
    return NULL;
}

static bool is_broken(struct call *call, const char *key)
{
    call->done = true;
    if (broken == NULL || strcmp(broken, key) != 0)
        return false;
    error_set(&call->error, ERROR_PERMISSION, "%s: access denied", key);
    return true;
}

static void memory_read(struct store *store, struct call *call, const char *key)
{
    (void)store;
    note("read", key);
    if (is_broken(call, key))
        return;
    const char *data = get_object(key);
    if (data != NULL)
        buf_puts(&call->body, data);
    else
        error_set(&call->error, ERROR_NOT_FOUND, "%s: no such key", key);
}

static void memory_write(struct store *store, struct call *call, const char *key, const char *data,
                         size_t len, const struct store_condition *condition)
{
    (void)store;
    char text[1024];

    note("write", key);
    assert_int_equal(condition->when, STORE_ALWAYS);
    assert_true(len < sizeof text);
    memcpy(text, data, len);
    text[len] = '\0';
    if (!is_broken(call, key))
        put_object(key, text);
}

static const struct store_ops memory_ops = {.scheme = "memory", .read = memory_read, .write = memory_write};
static struct store memory = {.ops = &memory_ops, .name = "memory", .url = "memory://"};
static const struct job shop = {.store = &memory, .prefix = ".storsync/shop/"};

static struct lease lease;

static int set_up(void **state)
{
    (void)state;
    memset(objects, 0, sizeof objects);
    requests[0] = '\0';
    broken = NULL;
    lease_init(&lease, &shop, "pod", "v42", 600000);
    lease.held = true;
    lease.renewed = clock_mono();
    return 0;
}

static struct error last_error;

static struct marker_finding check(const char *id)
{
    struct marker_finding found;

    requests[0] = '\0';
    error_clear(&last_error);
    marker_check_deployment(&shop, id, &found, &last_error);
    if (found.verdict == MARKER_DUE)
        marker_check_interval(&shop, id, HOUR, NOW, &found, &last_error);
    return found;
}

static bool commit(const char *id)
{
    struct report report;

    requests[0] = '\0';
    report_init(&report, NOW - 5000);
    report.synced = 42;
    report.skipped = 15;
    report.total_size = 13054771;
    bool ok = marker_commit(&shop, id, &report, NOW, &lease, &last_error);
    report_free(&report);
    return ok;
}

static void put_last_sync(const char *finished_at)
{
    char json[128];

    snprintf(json, sizeof json, "{\"schema\":1,\"finishedAt\":\"%s\"}", finished_at);
    put_object(LAST_SYNC_KEY, json);
}

/* ---- keys ---- */

static void assert_key(const char *id, const char *expected)
{
    char key[MARKER_KEY_MAX];

    assert_true(marker_key(&shop, id, key));
    assert_string_equal(key, expected);
}

static void test_keys(void **state)
{
    (void)state;
    char key[MARKER_KEY_MAX];

    assert_key("v42", DEPLOYMENT_KEY);
    assert_key("registry.fly.io/app:deployment-01",
               ".storsync/shop/deployments/registry.fly.io%2Fapp%3Adeployment-01.json");
    assert_key("..", ".storsync/shop/deployments/...json");
    assert_key("a b%\xC3\xA9", ".storsync/shop/deployments/a%20b%25%C3%A9.json");
    assert_false(marker_key(&shop, "", key));
}

static void test_long_ids_are_hashed(void **state)
{
    (void)state;
    char id[257];
    char key[MARKER_KEY_MAX];
    char other[MARKER_KEY_MAX];

    memset(id, 'a', 200);
    id[200] = '\0';
    assert_true(marker_key(&shop, id, key));
    assert_int_equal(strlen(key), strlen(".storsync/shop/deployments/.json") + 200);

    memset(id, '/', 67); /* 201 bytes when encoded */
    id[67] = '\0';
    assert_true(marker_key(&shop, id, key));
    /* python3 -c 'import hashlib; print(hashlib.sha256(b"/"*67).hexdigest())' */
    assert_string_equal(
        key,
        ".storsync/shop/deployments/sha256-3eb1349aab9dc074e2028d6801ffe27e5de46b30e87a4e66e5fbb0b764f514e1.json");
    memset(id, '/', 256);
    id[256] = '\0';
    assert_true(marker_key(&shop, id, other));
    assert_string_not_equal(key, other);
}

/* ---- the interval ---- */

static enum marker_verdict judge(const char *json, struct marker_finding *found)
{
    return marker_judge(LAST_SYNC_KEY, json, strlen(json), "v42", HOUR, NOW, found);
}

static void test_the_interval(void **state)
{
    (void)state;
    struct marker_finding found;

    assert_int_equal(judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T15:00:00.001Z\"}", &found),
                     MARKER_TOO_SOON);
    assert_true(found.due_at == NOW + 1);
    assert_string_equal(found.warning, "");
    assert_int_equal(judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T15:00:00.000Z\"}", &found), MARKER_DUE);
    assert_true(found.due_at == CLOCK_UNKNOWN);

    static const char just_now[] = "{\"schema\":1,\"finishedAt\":\"2025-11-24T16:00:00Z\"}";
    assert_int_equal(marker_judge(LAST_SYNC_KEY, just_now, sizeof just_now - 1, "", 0, NOW, &found),
                     MARKER_DUE);
    assert_int_equal(marker_judge(LAST_SYNC_KEY, just_now, sizeof just_now - 1, "", 1, NOW, &found),
                     MARKER_TOO_SOON);
}

static void test_a_last_sync_of_this_deployment(void **state)
{
    (void)state;
    struct marker_finding found;

    assert_int_equal(
        judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T15:59:00Z\",\"deploymentId\":\"v42\"}", &found),
        MARKER_ALREADY_SYNCED);
    assert_true(found.due_at == CLOCK_UNKNOWN);
    assert_int_equal(
        judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T15:59:00Z\",\"deploymentId\":\"v43\"}", &found),
        MARKER_TOO_SOON);
    assert_int_equal(
        judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T15:00:00Z\",\"deploymentId\":\"v42\"}", &found),
        MARKER_DUE);
    static const char nobody[] =
        "{\"schema\":1,\"finishedAt\":\"2025-11-24T15:59:00Z\",\"deploymentId\":\"\"}";
    assert_int_equal(marker_judge(LAST_SYNC_KEY, nobody, sizeof nobody - 1, "", HOUR, NOW, &found),
                     MARKER_TOO_SOON);
}

static void test_a_last_sync_in_the_future(void **state)
{
    (void)state;
    struct marker_finding found;

    /* Another machine's clock is a little ahead. */
    assert_int_equal(judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T16:05:00Z\"}", &found),
                     MARKER_TOO_SOON);
    assert_string_equal(found.warning, "");
    assert_int_equal(judge("{\"schema\":1,\"finishedAt\":\"2025-11-24T16:05:00.001Z\"}", &found), MARKER_DUE);
    assert_non_null(strstr(found.warning, "2025-11-24T16:05:00.001Z"));
    assert_true(found.due_at == CLOCK_UNKNOWN);
    assert_int_equal(judge("{\"schema\":1,\"finishedAt\":\"9999-12-31T23:59:59Z\"}", &found), MARKER_DUE);
}

static void test_what_is_no_state_file(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{",
        "[]",
        "null",
        "{}",
        "{\"schema\":2,\"finishedAt\":\"2025-11-24T15:59:00Z\"}",
        "{\"finishedAt\":\"2025-11-24T15:59:00Z\"}",
        "{\"schema\":1,\"finishedAt\":\"yesterday\"}",
        "{\"schema\":1,\"finishedAt\":1764000000}",
    };
    struct marker_finding found;

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        assert_int_equal(judge(texts[i], &found), MARKER_DUE);
        assert_non_null(strstr(found.warning, "last-sync.json"));
        assert_true(found.due_at == CLOCK_UNKNOWN);
    }
}

/* ---- with a store ---- */

static void test_a_first_start_is_due(void **state)
{
    (void)state;
    struct marker_finding found = check("v42");

    assert_int_equal(found.verdict, MARKER_DUE);
    assert_string_equal(found.warning, "");
    assert_string_equal(requests, "read " DEPLOYMENT_KEY "\nread " LAST_SYNC_KEY "\n");
}

static void test_a_synced_deployment_costs_one_request(void **state)
{
    (void)state;
    assert_true(commit("v42"));
    assert_int_equal(check("v42").verdict, MARKER_ALREADY_SYNCED);
    assert_string_equal(requests, "read " DEPLOYMENT_KEY "\n");
    /* The next one has to wait for the interval. */
    struct marker_finding found = check("v43");
    assert_int_equal(found.verdict, MARKER_TOO_SOON);
    assert_true(found.due_at == NOW + HOUR);
}

/* Who looks between the two writes, or after a writer that died there. */
static void test_the_time_of_the_last_sync_is_ahead_of_the_marker(void **state)
{
    (void)state;
    put_object(LAST_SYNC_KEY,
               "{\"schema\":1,\"deploymentId\":\"v42\",\"finishedAt\":\"2025-11-24T15:59:00Z\"}");
    struct marker_finding found = check("v42");
    assert_int_equal(found.verdict, MARKER_ALREADY_SYNCED);
    assert_true(found.due_at == CLOCK_UNKNOWN);
    assert_int_equal(check("v43").verdict, MARKER_TOO_SOON);
    assert_int_equal(check("").verdict, MARKER_TOO_SOON);
}

static void test_without_an_id_only_the_interval_counts(void **state)
{
    (void)state;
    assert_int_equal(check("").verdict, MARKER_DUE);
    assert_string_equal(requests, "read " LAST_SYNC_KEY "\n");
    assert_true(commit(""));
    assert_string_equal(requests, "write " LAST_SYNC_KEY "\n");
    assert_int_equal(check("").verdict, MARKER_TOO_SOON);
}

static void test_what_is_committed(void **state)
{
    (void)state;
    assert_true(commit("v42"));
    assert_string_equal(requests, "write " LAST_SYNC_KEY "\nwrite " DEPLOYMENT_KEY "\n");
    assert_string_equal(
        get_object(DEPLOYMENT_KEY),
        "{\"schema\":1,\"version\":\"" STORSYNC_VERSION
        "\",\"deploymentId\":\"v42\",\"finishedAt\":\"2025-11-24T16:00:00.000Z\",\"syncedFiles\":42,\"skippedFiles\":15,\"totalSize\":13054771}\n");
    assert_string_equal(get_object(LAST_SYNC_KEY), get_object(DEPLOYMENT_KEY));
}

static void test_an_unreadable_marker_counts_as_none(void **state)
{
    (void)state;
    put_object(DEPLOYMENT_KEY, "garbage");
    struct marker_finding found = check("v42");
    assert_int_equal(found.verdict, MARKER_DUE);
    assert_non_null(strstr(found.warning, DEPLOYMENT_KEY));

    put_last_sync("2025-11-24T15:59:00Z");
    found = check("v42");
    assert_int_equal(found.verdict, MARKER_TOO_SOON);
    assert_non_null(strstr(found.warning, DEPLOYMENT_KEY));
    assert_true(commit("v42"));
    assert_int_equal(check("v42").verdict, MARKER_ALREADY_SYNCED);
}

/* Copied by hand, or the answer to another request. */
static void test_another_deployments_marker_is_none(void **state)
{
    (void)state;
    assert_true(commit("v41"));
    put_object(DEPLOYMENT_KEY, get_object(".storsync/shop/deployments/v41.json"));
    memset(objects[0].data, 0, sizeof objects[0].data); /* the last sync */
    struct marker_finding found = check("v42");
    assert_int_equal(found.verdict, MARKER_DUE);
    assert_int_equal(check("v41").verdict, MARKER_ALREADY_SYNCED);
    marker_check_deployment(&shop, "v42", &found, &last_error);
    assert_int_equal(found.verdict, MARKER_DUE);
    assert_non_null(strstr(found.warning, "the state file of another deployment"));
    /* As it was written, whatever its bytes are. */
    assert_true(commit("\xff-\xc3\xa4\"\\"));
    assert_int_equal(check("\xff-\xc3\xa4\"\\").verdict, MARKER_ALREADY_SYNCED);
}

static void test_an_error_is_not_absence(void **state)
{
    (void)state;
    broken = DEPLOYMENT_KEY;
    assert_int_equal(check("v42").verdict, MARKER_FAILED);
    assert_int_equal(last_error.kind, ERROR_PERMISSION);
    assert_non_null(strstr(last_error.text, "access denied"));
    assert_string_equal(requests, "read " DEPLOYMENT_KEY "\n");

    broken = LAST_SYNC_KEY;
    assert_int_equal(check("v42").verdict, MARKER_FAILED);
    assert_int_equal(last_error.kind, ERROR_PERMISSION);
}

/* Both say what is proven by then: either of them alone is true. Which one failed is told. */
static void test_of_the_two_one_may_be_missing(void **state)
{
    (void)state;
    broken = LAST_SYNC_KEY;
    assert_false(commit("v42"));
    assert_int_equal(last_error.kind, ERROR_PERMISSION);
    assert_non_null(strstr(last_error.text, LAST_SYNC_KEY));
    broken = NULL;
    assert_int_equal(check("v42").verdict, MARKER_ALREADY_SYNCED);
    assert_int_equal(check("v43").verdict, MARKER_DUE);

    memset(objects, 0, sizeof objects);
    broken = DEPLOYMENT_KEY;
    assert_false(commit("v42"));
    assert_int_equal(last_error.kind, ERROR_PERMISSION);
    assert_non_null(strstr(last_error.text, DEPLOYMENT_KEY));
    broken = NULL;
    assert_int_equal(check("v42").verdict, MARKER_ALREADY_SYNCED);
    assert_int_equal(check("v43").verdict, MARKER_TOO_SOON);
}

/* Whoever has it now may be rolling back what this would tell of. */
static void test_who_slept_after_the_confirmation_writes_nothing(void **state)
{
    (void)state;
    lease.renewed = clock_mono() - lease.own.ttl;
    assert_false(commit("v42"));
    assert_int_equal(last_error.kind, ERROR_BUSY);
    assert_false(lease.held);
    assert_string_equal(requests, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(test_##name, set_up)
    const struct CMUnitTest tests[] = {
        TEST(keys),
        TEST(long_ids_are_hashed),
        TEST(the_interval),
        TEST(a_last_sync_of_this_deployment),
        TEST(a_last_sync_in_the_future),
        TEST(what_is_no_state_file),
        TEST(a_first_start_is_due),
        TEST(a_synced_deployment_costs_one_request),
        TEST(the_time_of_the_last_sync_is_ahead_of_the_marker),
        TEST(without_an_id_only_the_interval_counts),
        TEST(what_is_committed),
        TEST(an_unreadable_marker_counts_as_none),
        TEST(another_deployments_marker_is_none),
        TEST(an_error_is_not_absence),
        TEST(of_the_two_one_may_be_missing),
        TEST(who_slept_after_the_confirmation_writes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
