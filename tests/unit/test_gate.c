/* gate and parts: what shards have left, against a bucket in memory. */
#include "clock.h"
#include "fake_store.h"
#include "gate.h"
#include "log.h"
#include "loop_fixture.h"
#include "parts.h"
#include "stop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define PREFIX OBJECT_STATE_PREFIX "shop/"
#define FOLDER PREFIX "lease/shards/"
#define NOW INT64_C(1800000000000)
#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)
#define MANY 1000

struct scene {
    struct loop *loop;
    struct fake_store *store;
    struct job job;
    struct lease lease; /* of all of the job, held */
    struct report report, sum;
    struct parts_done done;
};

static enum lease_need is_needed(void *ctx, bool waiting, struct error *error)
{
    (void)ctx;
    (void)waiting;
    (void)error;
    return LEASE_NEEDED;
}

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof *scene);
    struct lease_wait wait = {.limit = 5000, .need = is_needed};
    struct error error;

    stop_reset();
    scene->loop = loop_make();
    scene->store = fake_new("prod", scene->loop);
    scene->store->now = NOW;
    scene->job = (struct job){.store = &scene->store->base, .prefix = PREFIX, .config = "rules"};
    lease_init(&scene->lease, &scene->job, "pod", "d1", 1000000);
    assert_int_equal(lease_acquire(&scene->lease, &wait, &error), LEASE_WON);
    return scene;
}

static void scene_free(struct scene *scene)
{
    lease_free(&scene->lease);
    store_close(&scene->store->base);
    loop_free(scene->loop);
    free(scene);
    stop_reset();
}

static void put(struct scene *scene, const char *group, const char *rest, const char *text, int64_t age)
{
    char key[256];

    snprintf(key, sizeof key, FOLDER "%s/%s", group, rest);
    fake_put_bytes(scene->store, key, text, strlen(text), NOW - age);
}

static void put_record(struct scene *scene, const char *group, int index, int64_t age)
{
    char rest[64];

    snprintf(rest, sizeof rest, "%d/lease/%016d", index, 1);
    put(scene, group, rest,
        "{\"schema\":1,\"epoch\":1,\"state\":\"held\",\"owner\":\"dead\",\"ttl\":30000,\"nonce\":\"ab\"}",
        age);
}

static int left(struct scene *scene, const char *group)
{
    char prefix[256];
    int count = 0;

    snprintf(prefix, sizeof prefix, FOLDER "%s", group);
    for (int i = 0; i < scene->store->count; i++)
        count += strncmp(scene->store->objects[i].key, prefix, strlen(prefix)) == 0;
    return count;
}

static enum gate_state look(struct scene *scene, bool *after_failure)
{
    struct error error;
    struct gate *gate = gate_open(&scene->job, NULL, &scene->lease, &error);
    enum gate_state state;

    scene->lease.shards = true;
    scene->lease.after_failure = false;
    scene->store->calls[FAKE_READ] = 0;
    state = gate_look(gate, &error);
    *after_failure = scene->lease.after_failure;
    gate_close(gate);
    return state;
}

/* ---- a thousand that died ---- */

static void the_long_dead_are_not_asked_for(void **state)
{
    struct scene *scene = scene_new();
    bool doubt;

    (void)state;
    for (int i = 0; i < MANY; i++)
        put_record(scene, "0123456789abcdef-1000", i, 2 * HOUR);
    assert_int_equal(look(scene, &doubt), GATE_OPEN);
    assert_true(doubt);
    assert_int_equal(scene->store->calls[FAKE_READ], 0);
    /* A pass since then has seen to what they left. */
    scene->lease.cleaned = NOW - HOUR;
    assert_int_equal(look(scene, &doubt), GATE_OPEN);
    assert_false(doubt);
    /* One that may be alive is. */
    put_record(scene, "0123456789abcdef-1000", 500, 0);
    assert_int_equal(look(scene, &doubt), GATE_CLOSED);
    assert_in_range(scene->store->calls[FAKE_READ], 1, 2); /* its record, and what time it is */
    scene_free(scene);
}

static void what_is_left_is_removed_after_a_month(void **state)
{
    struct scene *scene = scene_new();
    struct parts own;

    (void)state;
    parts_init(&own, &scene->job, "d1", &(struct shard){0, 3});
    for (int i = 0; i < MANY; i++)
        put_record(scene, "0123456789abcdef-1000", i, 31 * DAY);
    put(scene, "0123456789abcdef-1000", "begun", "{}", 31 * DAY);
    put(scene, "a name that is longer than that of a group", "x", "?", 31 * DAY);
    put_record(scene, "1123456789abcdef-2", 0, 29 * DAY);
    /* Of the deployment that has its marker by now, under this number and another. */
    put_record(scene, own.group, 0, 0);
    put(scene, own.group, "1/done.json", "{}", 0);
    own.group[17] = '7';
    put(scene, own.group, "6/done.json", "{}", 0);
    parts_remove("d1", &scene->lease);
    assert_int_equal(left(scene, ""), 1);
    assert_int_equal(left(scene, "1123456789abcdef-2"), 1);
    assert_true(scene->lease.held);
    scene_free(scene);
}

static void a_lease_that_is_lost_removes_nothing_more(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    for (int i = 0; i < 3; i++)
        put_record(scene, "0123456789abcdef-3", i, 31 * DAY);
    scene->lease.renewed = clock_mono() - scene->lease.own.ttl;
    parts_remove("d1", &scene->lease);
    assert_int_equal(left(scene, ""), 3);
    scene_free(scene);
}

/* ---- where times tell nothing ---- */

static void put_dead(struct scene *scene, int index, int renewals)
{
    char rest[64], text[200];

    snprintf(rest, sizeof rest, "%d/lease/%016d", index, 1);
    snprintf(
        text, sizeof text,
        "{\"schema\":1,\"epoch\":1,\"state\":\"held\",\"owner\":\"dead\",\"ttl\":50,\"nonce\":\"ab\",\"renewals\":%d}",
        renewals);
    put(scene, "0123456789abcdef-9", rest, text, -HOUR);
}

static void who_was_waited_for_stays_over(void **state)
{
    struct scene *scene = scene_new();
    struct error error;
    struct gate *gate;

    (void)state;
    scene->lease.own.ttl = 50; /* of those that are watched */
    gate = gate_open(&scene->job, NULL, &scene->lease, &error);
    scene->lease.own.ttl = 1000000;
    scene->lease.shards = true;
    put_dead(scene, 3, 0);
    put_dead(scene, 7, 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(gate_look(gate, &error), GATE_CLOSED);
        assert_true(gate_wait(gate, clock_mono() + 600000, 600000, &error));
    }
    assert_int_equal(gate_look(gate, &error), GATE_OPEN);
    assert_true(scene->lease.after_failure);
    put_dead(scene, 3, 1); /* it slept */
    assert_int_equal(gate_look(gate, &error), GATE_CLOSED);
    gate_close(gate);
    scene_free(scene);
}

/* ---- parts ---- */

static void write_part(struct scene *scene, struct parts *parts, int index, int count)
{
    struct error error = {.kind = ERROR_NONE};

    parts_init(parts, &scene->job, "d1", &(struct shard){index, count});
    scene->report.shard = parts->shard;
    scene->report.listed = 7;
    assert_true(parts_write(parts, &scene->report, NOW, &error));
}

static int parts_done(struct scene *scene, const struct parts *parts, struct lease *lease)
{
    struct error error;

    assert_true(parts_look(parts, lease, &scene->done, &scene->sum, &error));
    return scene->done.count;
}

static void only_ones_own_part_is_read_before_the_end(void **state)
{
    struct scene *scene = scene_new();
    struct parts parts;

    (void)state;
    for (int i = 0; i < 3; i++)
        write_part(scene, &parts, i, 3);
    scene->store->calls[FAKE_READ] = 0;
    assert_int_equal(parts_done(scene, &parts, NULL), 3);
    assert_int_equal(scene->store->calls[FAKE_READ], 1);
    assert_int_equal(parts_done(scene, &parts, &scene->lease), 3);
    assert_int_equal(scene->store->calls[FAKE_READ], 4);
    assert_int_equal(scene->sum.listed, 21);
    scene_free(scene);
}

static void a_part_that_is_none_is_ones_own_to_do_again(void **state)
{
    static const char *const texts[] = {"", "{", "[]", "{\"schema\":1}", "\xff"};
    struct scene *scene = scene_new();
    struct parts first, second;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        write_part(scene, &first, 0, 2);
        write_part(scene, &second, 1, 2);
        put(scene, first.group, "0/done.json", texts[i], 0);
        assert_int_equal(parts_done(scene, &second, NULL), 2);
        assert_int_equal(parts_done(scene, &first, NULL), 1);
        assert_false(scene->done.done[0]);
        assert_int_equal(parts_done(scene, &second, &scene->lease), 1);
        assert_false(scene->done.done[0]);
    }
    scene_free(scene);
}

static void what_was_undone_does_not_count_however_late_it_comes(void **state)
{
    struct scene *scene = scene_new();
    struct parts parts, other;
    struct error error = {.kind = ERROR_NONE};

    (void)state;
    write_part(scene, &other, 0, 3);
    write_part(scene, &parts, 0, 1);
    assert_int_equal(parts_done(scene, &parts, NULL), 1);
    assert_int_equal(scene->done.undone, 0);
    scene->store->calls[FAKE_WRITE] = 0;
    assert_true(parts_forget(&scene->lease, &error));
    assert_int_equal(scene->store->calls[FAKE_WRITE], 1 + 2); /* the lease, and once for each group */
    assert_int_equal(parts_done(scene, &parts, NULL), 0);
    assert_int_equal(scene->done.undone, scene->lease.own.epoch);
    write_part(scene, &parts, 0, 1); /* by who began before */
    assert_int_equal(parts_done(scene, &parts, NULL), 0);
    assert_int_equal(parts_done(scene, &parts, &scene->lease), 0);
    scene->report.undone = scene->done.undone;
    write_part(scene, &parts, 0, 1);
    assert_int_equal(parts_done(scene, &parts, &scene->lease), 1);
    scene_free(scene);
}

/* The lease of one of two shards, won. */
static void take_shard(struct scene *scene, struct parts *parts, struct job *job, struct lease *shard)
{
    struct lease_wait wait = {.limit = 5000, .need = is_needed};
    struct error error;

    parts_init(parts, &scene->job, "d1", &(struct shard){0, 2});
    parts_job(&scene->job, parts->group, 0, job);
    lease_init(shard, job, "pod", "d1", 1000000);
    shard->removable = true;
    assert_int_equal(lease_acquire(shard, &wait, &error), LEASE_WON);
}

/* Who was taken for dead, and goes on, finds out: before a renewal, or at the latest with its part. */
static void no_shard_has_its_lease_when_something_is_undone(void **state)
{
    struct scene *scene = scene_new();
    struct error error = {.kind = ERROR_NONE};
    struct parts parts;
    struct lease shard;
    struct job job;

    (void)state;
    take_shard(scene, &parts, &job, &shard);
    put_record(scene, "1123456789abcdef-2", 1, 2 * HOUR);
    assert_true(parts_forget(&scene->lease, &error));
    assert_int_equal(left(scene, ""), 2); /* that it was undone */
    assert_false(lease_confirm(&shard, &error));
    assert_false(shard.held);
    lease_free(&shard);
    scene_free(scene);
}

/* Who waits at the gate for a rollback is not dead, but has no epoch any more: nobody would see that it is at work. */
static void who_waited_for_a_rollback_has_to_take_its_lease_anew(void **state)
{
    struct scene *scene = scene_new();
    struct error error = {.kind = ERROR_NONE};
    struct parts parts;
    struct lease shard;
    struct gate *gate;
    struct job job;

    (void)state;
    take_shard(scene, &parts, &job, &shard);
    gate = gate_open(&scene->job, &parts, &shard, &error);
    assert_int_equal(gate_look(gate, &error), GATE_CLOSED);
    assert_true(parts_forget(&scene->lease, &error));
    lease_release(&scene->lease, true, 5000);
    assert_false(gate_wait(gate, clock_mono() + 600000, 600000, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_false(shard.held);
    gate_close(gate);
    lease_free(&shard);
    scene_free(scene);
}

static void nothing_is_undone_before_all_of_it_is_forgotten(void **state)
{
    struct scene *scene = scene_new();
    struct parts parts;
    struct error error = {.kind = ERROR_NONE};

    (void)state;
    write_part(scene, &parts, 0, 1);
    fake_fault(scene->store,
               (struct fake_fault){.op = FAKE_WRITE, .skip = 1, .times = 1, .kind = ERROR_PERMISSION});
    assert_false(parts_forget(&scene->lease, &error));
    assert_int_equal(error.kind, ERROR_PERMISSION);
    assert_int_equal(parts_done(scene, &parts, NULL), 0); /* to be done again, by whom it is */
    scene_free(scene);
}

static int quiet(void **state)
{
    (void)state;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_long_dead_are_not_asked_for),
        cmocka_unit_test(what_is_left_is_removed_after_a_month),
        cmocka_unit_test(a_lease_that_is_lost_removes_nothing_more),
        cmocka_unit_test(who_was_waited_for_stays_over),
        cmocka_unit_test(only_ones_own_part_is_read_before_the_end),
        cmocka_unit_test(a_part_that_is_none_is_ones_own_to_do_again),
        cmocka_unit_test(what_was_undone_does_not_count_however_late_it_comes),
        cmocka_unit_test(no_shard_has_its_lease_when_something_is_undone),
        cmocka_unit_test(who_waited_for_a_rollback_has_to_take_its_lease_anew),
        cmocka_unit_test(nothing_is_undone_before_all_of_it_is_forgotten),
    };

    return cmocka_run_group_tests(tests, quiet, NULL);
}
