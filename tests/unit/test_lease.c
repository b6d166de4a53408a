/* The lease between replicas, against a bucket in memory. Clocks are real, so TTLs are short. */
#include "clock.h"
#include "fake_store.h"
#include "lease.h"
#include "log.h"
#include "loop_fixture.h"
#include "marker.h"
#include "stop.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#define TTL 90           /* where it is to pass */
#define LONG_TTL 1000000 /* where it is not, however slow the machine is */
#define PREFIX OBJECT_STATE_PREFIX "shop/"

static const struct job shop = {.prefix = PREFIX};

struct scene {
    struct loop *loop;
    struct fake_store *store;
    struct job job;
    struct lease_wait wait;
    enum lease_need need;
    int asked;
    int waits;
    int created, writes; /* how often, and writes by then */
    char holder[LEASE_OWNER_SIZE];
};

static enum lease_need tell_need(void *ctx, bool waiting, struct error *error)
{
    struct scene *scene = ctx;

    (void)waiting;
    scene->asked++;
    if (scene->need == LEASE_UNKNOWN)
        error_set(error, ERROR_UNREACHABLE, "marker");
    return scene->need;
}

static void note_wait(void *ctx, const struct lease_record *holder)
{
    struct scene *scene = ctx;

    scene->waits++;
    snprintf(scene->holder, sizeof scene->holder, "%s", holder->owner);
}

static void note_created(void *ctx)
{
    struct scene *scene = ctx;

    scene->created++;
    scene->writes = scene->store->calls[FAKE_WRITE];
}

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof *scene);

    stop_reset();
    scene->loop = loop_make();
    scene->store = fake_new("prod", scene->loop);
    scene->job = (struct job){.store = &scene->store->base, .prefix = PREFIX};
    scene->need = LEASE_NEEDED;
    scene->wait = (struct lease_wait){.limit = 5000,
                                      .back_off = true,
                                      .need = tell_need,
                                      .waiting = note_wait,
                                      .created = note_created,
                                      .ctx = scene};
    return scene;
}

static void scene_free(struct scene *scene)
{
    store_close(&scene->store->base);
    loop_free(scene->loop);
    free(scene);
    stop_reset();
}

static struct lease *replica(struct scene *scene, const char *owner)
{
    struct lease *lease = malloc(sizeof *lease);

    lease_init(lease, &scene->job, owner, "v1", LONG_TTL);
    return lease;
}

static void drop(struct lease *lease)
{
    lease_free(lease);
    free(lease);
}

/* Turns it until what the one before has left is removed, or was refused. */
static void clean_up(struct lease *lease)
{
    struct error error;

    do
        assert_true(lease_step(lease, &error) || lease->removal.done);
    while (!lease->removal.done || lease->older_count > 0);
}

static struct lease_record record_of(struct scene *scene, uint64_t epoch)
{
    char key[LEASE_KEY_SIZE];
    struct fake_object *object;
    struct lease_record record;

    lease_key(&shop, epoch, key);
    object = fake_get_object(scene->store, key);
    assert_non_null(object);
    assert_true(lease_read_record(object->data, object->size, &record));
    return record;
}

static void put_record(struct scene *scene, const struct lease_record *record, int64_t modified)
{
    char key[LEASE_KEY_SIZE];
    struct buf json;

    buf_init(&json, 4096);
    assert_true(lease_write_record(record, &json));
    lease_key(&shop, record->epoch, key);
    fake_put_bytes(scene->store, key, json.data, json.len, modified);
    buf_free(&json);
}

static void pass_time(int64_t ms)
{
    int64_t until = clock_mono() + ms;

    while (clock_mono() < until)
        usleep(1000);
}

/* ---- the record ---- */

static void a_record_round_trips(void **state)
{
    struct lease_record in = {.epoch = 7,
                              .state = LEASE_FAILED,
                              .nonce = "00ff",
                              .owner = "a \"b\"\n",
                              .deployment = "d/1",
                              .renewals = 3,
                              .ttl = 30000,
                              .attempts = 4,
                              .began = 1700000000000,
                              .spans = {{0, 17}, {20, INT64_MAX}},
                              .span_count = 2};
    struct lease_record out;
    struct buf json;

    (void)state;
    buf_init(&json, 4096);
    assert_true(lease_write_record(&in, &json));
    assert_true(lease_read_record(json.data, json.len, &out));
    assert_int_equal(out.epoch, 7);
    assert_int_equal(out.state, LEASE_FAILED);
    assert_string_equal(out.nonce, "00ff");
    assert_string_equal(out.owner, "a \"b\"\n");
    assert_string_equal(out.deployment, "d/1");
    assert_int_equal(out.renewals, 3);
    assert_int_equal(out.ttl, 30000);
    assert_int_equal(out.attempts, 4);
    assert_int_equal(out.began, 1700000000000);
    assert_int_equal(out.span_count, 2);
    assert_memory_equal(out.spans, in.spans, 2 * sizeof in.spans[0]);
    assert_false(lease_read_record("{}", 2, &out));
    assert_int_equal(out.state, LEASE_HELD);
    assert_false(lease_read_record("nonsense", 8, &out));
    assert_true(out.strange);
    /* numbers that this program does not write */
    assert_false(lease_read_record("{\"schema\":1,\"ttl\":3600001}", 26, &out));
    assert_false(lease_read_record("{\"schema\":1,\"renewals\":-1}", 26, &out));
    assert_false(lease_read_record("{\"schema\":1,\"attempts\":2147483647}", 34, &out));
    assert_true(lease_read_record("{\"schema\":1,\"ttl\":3600000}", 26, &out));
    assert_false(out.strange);
    buf_free(&json);
}

/* Every owner hands on when those before it may have written. */
static void who_wrote_when_is_handed_on(void **state)
{
    struct lease_record old = {.epoch = 1, .state = LEASE_RELEASED, .ttl = LONG_TTL, .deployment = "v1"};
    struct scene *scene = scene_new();
    struct lease *lease = replica(scene, "a");
    struct error error;
    int written;

    (void)state;
    /* The first one knows of nobody: all that is there may be its own. */
    assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
    assert_true(lease_wrote(lease, 0));
    assert_true(lease_wrote(lease, 1000000));
    lease_release(lease, true, 1000);
    drop(lease);

    /* A record without times, as older versions write: everything before its end. The owner after it begins later. */
    put_record(scene, &old, 1000000);
    scene->store->served = 2000000;
    lease = replica(scene, "b");
    assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
    assert_true(lease_wrote(lease, 0));
    assert_true(lease_wrote(lease, 1000000 + LEASE_CLOCK_MARGIN));
    assert_false(lease_wrote(lease, 1000001 + LEASE_CLOCK_MARGIN));
    assert_false(lease_wrote(lease, 2000000));
    scene->store->now = 2050000;
    lease_release(lease, true, 1000);
    drop(lease);

    scene->store->served = 3000000;
    lease = replica(scene, "c");
    assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
    assert_true(lease_wrote(lease, 1000000));
    assert_false(lease_wrote(lease, 1999999));
    assert_true(lease_wrote(lease, 2000000));
    assert_true(lease_wrote(lease, 2050000 + LEASE_CLOCK_MARGIN));
    assert_false(lease_wrote(lease, 2050001 + LEASE_CLOCK_MARGIN));
    scene->store->now = 3050000;
    lease_release(lease, true, 1000);
    drop(lease);

    /* Who only looks knows the same, and writes nothing. */
    lease = replica(scene, "d");
    written = scene->store->calls[FAKE_WRITE] + scene->store->calls[FAKE_REMOVE];
    assert_true(lease_look(lease, &error));
    assert_int_equal(scene->store->calls[FAKE_WRITE] + scene->store->calls[FAKE_REMOVE], written);
    assert_false(lease->held);
    assert_false(lease->after_failure);
    assert_true(lease_wrote(lease, 1000000));
    assert_false(lease_wrote(lease, 1999999));
    assert_true(lease_wrote(lease, 3050000));
    assert_false(lease_wrote(lease, 3050001 + LEASE_CLOCK_MARGIN));
    drop(lease);
    scene_free(scene);
}

/* A pass that wrote nothing has no span of its own; whoever died, or failed, may have written. */
static void who_wrote_nothing_is_forgotten(void **state)
{
    static const enum lease_state ends[] = {LEASE_RELEASED, LEASE_FAILED};

    (void)state;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        struct lease_record old = {
            .epoch = 1, .state = ends[i], .idle = true, .ttl = LONG_TTL, .began = 990000};
        struct scene *scene = scene_new();
        struct lease *lease = replica(scene, "a");
        struct error error;

        old.spans[0] = (struct lease_span){0, 100};
        old.span_count = 1;
        put_record(scene, &old, 1000000);
        scene->store->served = 2000000;
        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(lease->own.span_count, ends[i] == LEASE_RELEASED ? 1 : 2);
        assert_true(lease_wrote(lease, 100));
        assert_int_equal(lease_wrote(lease, 995000), ends[i] != LEASE_RELEASED);
        assert_false(lease->own.idle);
        lease_release(lease, true, 1000);
        assert_false(record_of(scene, 2).idle);
        drop(lease);
        scene_free(scene);
    }
}

/* Who began no pass has none either, however it ended, and cleans nothing up. */
static void who_did_nothing_is_forgotten(void **state)
{
    struct lease_record old = {
        .epoch = 1, .state = LEASE_FAILED, .unused = true, .ttl = LONG_TTL, .began = 990000};
    struct scene *scene = scene_new();
    struct error error;

    (void)state;
    for (int i = 0; i < 2; i++, old.epoch = 5, old.state = LEASE_RELEASED) {
        struct lease *lease = replica(scene, "a");

        old.spans[0] = (struct lease_span){0, 100};
        old.span_count = 1;
        put_record(scene, &old, 1000000);
        scene->store->served = 2000000;
        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(lease->own.span_count, 1);
        assert_int_equal(lease->after_failure, old.state == LEASE_FAILED);
        assert_int_equal(lease->cleaned, 0);
        assert_false(record_of(scene, old.epoch + 1).unused);
        lease_release(lease, true, 1000);
        drop(lease);
    }
    scene_free(scene);
}

/* What overlaps a known span makes that longer, unless that has no beginning. */
static void spans_that_overlap_are_one(void **state)
{
    struct scene *scene = scene_new();
    struct lease *lease = replica(scene, "a");

    (void)state;
    lease_add_span(lease, (struct lease_span){0, 100});
    for (int i = 0; i < 2 * LEASE_SPANS_MAX; i++)
        lease_add_span(lease, (struct lease_span){200, 300 + i});
    assert_int_equal(lease->own.span_count, 2);
    assert_int_equal(lease->own.spans[1].to, 300 + 2 * LEASE_SPANS_MAX - 1);
    lease_add_span(lease, (struct lease_span){90, 150});
    assert_int_equal(lease->own.span_count, 3);
    assert_int_equal(lease->own.spans[0].to, 100);
    lease_add_span(lease, (struct lease_span){500, 600});
    lease_add_span(lease, (struct lease_span){210, 250});
    assert_int_equal(lease->own.span_count, 4);
    assert_false(lease_wrote(lease, 499));
    drop(lease);
    scene_free(scene);
}

/* There is an end to what is remembered: the oldest become one. */
static void old_spans_become_one(void **state)
{
    struct lease_record old = {.epoch = 1, .state = LEASE_RELEASED, .ttl = LONG_TTL, .began = 990000};
    struct scene *scene = scene_new();
    struct lease *lease = replica(scene, "a");
    struct error error;

    (void)state;
    old.span_count = LEASE_SPANS_MAX;
    for (int i = 0; i < LEASE_SPANS_MAX; i++)
        old.spans[i] = (struct lease_span){100 * i + 1, 100 * i + 50};
    put_record(scene, &old, 1000000);
    assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
    assert_int_equal(lease->own.span_count, LEASE_SPANS_MAX);
    assert_true(lease_wrote(lease, 75));
    assert_false(lease_wrote(lease, 175));
    assert_true(lease_wrote(lease, 250));
    assert_true(lease_wrote(lease, 995000));
    assert_false(lease_wrote(lease, 0));
    lease_release(lease, true, 1000);
    drop(lease);
    scene_free(scene);
}

static void keys_sort_as_their_epochs(void **state)
{
    char a[LEASE_KEY_SIZE];
    char b[LEASE_KEY_SIZE];
    uint64_t epoch;

    (void)state;
    lease_key(&shop, 9, a);
    lease_key(&shop, 10, b);
    assert_string_equal(a, PREFIX "lease/0000000000000009");
    assert_true(strcmp(a, b) < 0);
    assert_true(lease_parse_key(&shop, b, &epoch));
    assert_int_equal(epoch, 10);
    assert_false(lease_parse_key(&shop, PREFIX "lease/10", &epoch));
    assert_false(lease_parse_key(&shop, PREFIX "lease/000000000000000x", &epoch));
    assert_false(lease_parse_key(&shop, PREFIX "lease/0000000000000000", &epoch));
    assert_false(lease_parse_key(&shop, "lease/0000000000000001", &epoch));
}

static void backoff_doubles_to_its_limit(void **state)
{
    (void)state;
    assert_int_equal(lease_backoff(0), 0);
    assert_int_equal(lease_backoff(LEASE_FREE_ATTEMPTS - 1), 0);
    assert_int_equal(lease_backoff(LEASE_FREE_ATTEMPTS), LEASE_BACKOFF_BASE);
    assert_int_equal(lease_backoff(LEASE_FREE_ATTEMPTS + 1), 2 * LEASE_BACKOFF_BASE);
    assert_int_equal(lease_backoff(1000000), LEASE_BACKOFF_MAX);
}

/* ---- taking it ---- */

static void the_first_one_wins_at_once(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_true(a->held);
    assert_false(a->advisory);
    assert_int_equal(a->own.epoch, 1);
    assert_string_equal(record_of(scene, 1).owner, "a");
    assert_int_equal(record_of(scene, 1).state, LEASE_HELD);
    /* nobody had it before, so nobody can have done the work */
    assert_int_equal(scene->asked, 0);
    lease_release(a, true, 1000);
    assert_int_equal(record_of(scene, 1).state, LEASE_RELEASED);
    drop(a);
    scene_free(scene);
}

static void the_next_one_takes_the_next_epoch_and_cleans_up(void **state)
{
    struct scene *scene = scene_new();
    struct error error;

    (void)state;
    for (uint64_t i = 1; i <= 5; i++) {
        struct lease *lease = replica(scene, "x");

        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(lease->own.epoch, i);
        clean_up(lease);
        assert_int_equal(scene->store->count, 1);
        lease_release(lease, true, 1000);
        drop(lease);
    }
    assert_int_equal(scene->waits, 0);
    scene_free(scene);
}

static void a_held_lease_is_waited_for_and_not_longer_than_allowed(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "pod-7", .ttl = 60000};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    put_record(scene, &held, CLOCK_UNKNOWN);
    scene->wait.limit = 120;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_non_null(strstr(error.text, "pod-7"));
    assert_int_equal(scene->waits, 1);
    assert_string_equal(scene->holder, "pod-7");
    assert_false(b->held);
    drop(b);
    scene_free(scene);
}

static void a_silent_owner_is_replaced_after_its_ttl(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "dead", .ttl = 2 * TTL};
    struct lease *b = replica(scene, "b");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    put_record(scene, &held, CLOCK_UNKNOWN);
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_true(clock_mono() - began >= 2 * TTL);
    assert_int_equal(b->own.epoch, 4);
    assert_int_equal(scene->asked, 1);
    drop(b);
    scene_free(scene);
}

/* Renews the other's lease a few times, whenever it is looked at. */
static void renew_when_read(struct fake_store *store, enum fake_op op, const char *key)
{
    struct lease_record record;
    struct fake_object *object = fake_get_object(store, key);
    struct buf json;

    if (op != FAKE_READ || object == NULL || store->calls[FAKE_READ] > 4 ||
        !lease_read_record(object->data, object->size, &record))
        return;
    record.renewals++;
    buf_init(&json, 4096);
    lease_write_record(&record, &json);
    fake_put_bytes(store, key, json.data, json.len, CLOCK_UNKNOWN);
    buf_free(&json);
}

static void a_renewed_lease_is_not_stale(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "alive", .ttl = TTL};
    struct lease *b = replica(scene, "b");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    put_record(scene, &held, CLOCK_UNKNOWN);
    scene->store->on_call = renew_when_read;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_true(clock_mono() - began >= 4 * TTL);
    drop(b);
    scene_free(scene);
}

static void a_record_that_nobody_understands_becomes_stale(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    fake_put_bytes(scene->store, PREFIX LEASE_FOLDER "0000000000000002", "garbage", 7, CLOCK_UNKNOWN);
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_int_equal(b->own.epoch, 3);
    drop(b);
    scene_free(scene);
}

/* A version of the future that is alive: what it writes is not understood, but seen to change. */
static void rewrite_when_read(struct fake_store *store, enum fake_op op, const char *key)
{
    char text[64];

    if (op != FAKE_READ || store->calls[FAKE_READ] > 4)
        return;
    snprintf(text, sizeof text, "{\"schema\":2,\"beat\":%d}", store->calls[FAKE_READ]);
    fake_put_bytes(store, key, text, strlen(text), CLOCK_UNKNOWN);
}

static void a_record_of_the_future_that_changes_is_not_stale(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    fake_put_bytes(scene->store, PREFIX LEASE_FOLDER "0000000000000002", "{\"schema\":2}", 12, CLOCK_UNKNOWN);
    scene->store->on_call = rewrite_when_read;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_true(clock_mono() - began >= 4 * TTL);
    drop(b);
    scene_free(scene);
}

static void a_record_that_is_too_large_becomes_stale(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    fake_put_bytes(scene->store, PREFIX LEASE_FOLDER "0000000000000002", "x", 1, CLOCK_UNKNOWN);
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_READ,
                                                 .key = PREFIX LEASE_FOLDER "0000000000000002",
                                                 .times = 999,
                                                 .kind = ERROR_UNSUPPORTED});
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_int_equal(b->own.epoch, 3);
    drop(b);
    scene_free(scene);
}

static void an_epoch_that_nobody_gave_does_not_count(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    fake_put_bytes(scene->store, PREFIX LEASE_FOLDER "9999999999999999", "x", 1, CLOCK_UNKNOWN);
    fake_put_bytes(scene->store, PREFIX LEASE_FOLDER "x", "x", 1, CLOCK_UNKNOWN);
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_int_equal(b->own.epoch, 1);
    assert_true(lease_confirm(b, &error));
    drop(b);
    scene_free(scene);
}

static void the_last_epoch_is_told(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record last = {.epoch = LEASE_EPOCH_MAX, .state = LEASE_RELEASED, .nonce = "n"};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    put_record(scene, &last, CLOCK_UNKNOWN);
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_non_null(strstr(error.text, "remove " PREFIX LEASE_FOLDER));
    assert_int_equal(scene->store->calls[FAKE_WRITE], 0);
    drop(b);
    scene_free(scene);
}

/* ---- the destination's clock ---- */

static enum lease_outcome acquire_aged(struct scene *scene, int64_t age, bool told)
{
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "dead", .ttl = 60000};
    struct lease *b = replica(scene, "b");
    enum lease_outcome outcome;
    struct error error;

    b->own.ttl = 60000;
    put_record(scene, &held, 1000000);
    scene->wait.limit = 0;
    scene->store->now = 1000000 + age;
    scene->store->served = told ? 1000000 + age : 0;
    outcome = lease_acquire(b, &scene->wait, &error);
    assert_int_equal(error.kind, outcome == LEASE_WON ? ERROR_NONE : ERROR_BUSY);
    drop(b);
    return outcome;
}

static void an_old_lease_is_taken_over_at_the_first_look(void **state)
{
    struct scene *scene;

    (void)state;
    for (int told = 0; told < 2; told++) {
        scene = scene_new();
        assert_int_equal(acquire_aged(scene, 60000 + LEASE_CLOCK_MARGIN - 500, told), LEASE_NOT_WON);
        assert_int_equal(acquire_aged(scene, -5000, told), LEASE_NOT_WON);
        assert_int_equal(acquire_aged(scene, 60000 + LEASE_CLOCK_MARGIN + 500, told), LEASE_WON);
        /* only a store that does not say what time it is has to be asked by writing */
        assert_int_equal(fake_get_object(scene->store, PREFIX LEASE_CLOCK) == NULL, told);
        scene_free(scene);
    }
}

static void a_store_that_tells_no_times_is_watched(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "dead", .ttl = TTL};
    struct lease *b = replica(scene, "b");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    put_record(scene, &held, CLOCK_UNKNOWN);
    scene->store->served = clock_wall();
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    assert_true(clock_mono() - began >= TTL);
    drop(b);
    scene_free(scene);
}

static void the_patient_wait_for_a_ttl(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "dead", .ttl = 10 * TTL};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    b->own.ttl = TTL;
    put_record(scene, &held, CLOCK_UNKNOWN);
    scene->wait.limit = 0;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    scene->wait.patient = true;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
    drop(b);
    scene_free(scene);
}

/* ---- listings that lag behind ---- */

static void lag_after_the_create(struct fake_store *store, enum fake_op op, const char *key)
{
    (void)key;
    if (op == FAKE_WRITE && store->calls[FAKE_WRITE] == 1)
        store->lag = 2;
}

static void an_epoch_that_is_listed_late_is_waited_for(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    a->own.ttl = 60000;
    scene->store->on_call = lag_after_the_create;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_int_equal(a->own.epoch, 1);
    assert_int_equal(scene->store->calls[FAKE_LIST], 4);
    assert_true(clock_mono() - began >= 300);
    drop(a);
    scene_free(scene);
}

/* Another replica's epoch, of which the listing shows nothing for a while: no storm of requests meanwhile. */
static void lag_for_ever(struct fake_store *store, enum fake_op op, const char *key)
{
    (void)op;
    (void)key;
    store->lag = 1;
}

static void the_epoch_of_another_that_is_not_listed_is_asked_for_in_peace(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 1, .nonce = "other", .owner = "other", .ttl = 60000};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    put_record(scene, &held, CLOCK_UNKNOWN);
    scene->store->on_call = lag_for_ever;
    stop_at(clock_mono() + 1000);
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_TIMEOUT);
    assert_true(scene->store->calls[FAKE_LIST] <= 6);
    assert_true(scene->store->calls[FAKE_WRITE] <= 2);
    drop(b);
    scene_free(scene);
}

/* ---- the right to remove ---- */

static void old_epochs_that_cannot_be_removed_do_no_harm(void **state)
{
    struct scene *scene = scene_new();
    struct error error;

    (void)state;
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_REMOVE, .times = 999, .kind = ERROR_PERMISSION});
    for (uint64_t i = 1; i <= 3; i++) {
        struct lease *lease = replica(scene, "x");

        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(lease->own.epoch, i);
        clean_up(lease);
        /* refused once, it is not tried for each of them */
        assert_int_equal(scene->store->calls[FAKE_REMOVE], i - 1);
        lease_release(lease, true, 1000);
        drop(lease);
    }
    scene_free(scene);
}

/* Who had given it back when it was asked for last whether there is something to do can have done nothing since. */
static void what_was_known_when_the_last_owner_had_ended_is_not_asked_again(void **state)
{
    static const struct {
        enum lease_state state;
        int64_t modified, needed_at;
        int asked;
    } rows[] = {
        {LEASE_RELEASED, 1000000, 1000000 + LEASE_CLOCK_MARGIN, 0},
        {LEASE_RELEASED, 1000000, 1000000 + LEASE_CLOCK_MARGIN - 1, 1},
        {LEASE_FAILED, 1000000, 1000000 + LEASE_CLOCK_MARGIN, 0},
        {LEASE_HELD, 1000000, 1000000 + LEASE_CLOCK_MARGIN,
         1}, /* it died, and its marker may have been under way */
        {LEASE_RELEASED, 1000000, 0, 1},
        {LEASE_RELEASED, 1000000, CLOCK_UNKNOWN, 1},
        {LEASE_RELEASED, CLOCK_UNKNOWN, 1000000, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct lease_record old = {.epoch = 1, .state = rows[i].state, .ttl = LONG_TTL};
        struct scene *scene = scene_new();
        struct lease *lease = replica(scene, "a");
        struct error error;

        put_record(scene, &old, rows[i].modified);
        scene->store->served = 1000000 + 2 * LONG_TTL;
        scene->wait.needed_at = rows[i].needed_at;
        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(scene->asked, rows[i].asked);
        lease_release(lease, true, 1000);
        drop(lease);
        scene_free(scene);
    }
}

static void what_another_did_meanwhile_is_not_done_again(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record done = {
        .epoch = 1, .state = LEASE_RELEASED, .nonce = "other", .owner = "a", .ttl = TTL};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    put_record(scene, &done, 0);
    scene->need = LEASE_OVER;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_DONE_BY_ANOTHER);
    assert_false(b->held);
    assert_int_equal(record_of(scene, 2).state, LEASE_RELEASED);
    drop(b);
    scene_free(scene);
}

/* So that its successor doubts what it has left. */
static void a_failure_before_is_known(void **state)
{
    static const struct {
        enum lease_state last;
        bool doubted;
    } table[] = {{LEASE_RELEASED, false}, {LEASE_FAILED, true}, {LEASE_HELD, true}};

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct scene *scene = scene_new();
        struct lease_record last = {
            .epoch = 1, .state = table[i].last, .nonce = "other", .owner = "a", .ttl = TTL};
        struct lease *b = replica(scene, "b");
        struct error error;

        b->own.ttl = TTL;
        put_record(scene, &last, 0);
        assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_WON);
        assert_int_equal(b->after_failure, table[i].doubted);
        drop(b);
        scene_free(scene);
    }
}

static void an_unknown_need_gives_the_lease_back(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record done = {
        .epoch = 1, .state = LEASE_RELEASED, .nonce = "other", .owner = "a", .ttl = TTL};
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    put_record(scene, &done, 0);
    scene->need = LEASE_UNKNOWN;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_UNREACHABLE);
    assert_int_equal(record_of(scene, 2).state, LEASE_FAILED);
    drop(b);
    scene_free(scene);
}

/* ---- answers that get lost ---- */

static void a_create_whose_answer_is_lost_counts_if_it_happened(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    fake_fault(scene->store,
               (struct fake_fault){.op = FAKE_WRITE, .times = 1, .kind = ERROR_UNREACHABLE, .happens = true});
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_int_equal(a->own.epoch, 1);
    assert_int_equal(scene->store->count, 1);
    drop(a);
    scene_free(scene);
}

static void a_create_that_did_not_happen_is_tried_again(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_WRITE, .times = 2, .kind = ERROR_TIMEOUT});
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_int_equal(error.kind, ERROR_NONE);
    assert_int_equal(a->own.epoch, 1);
    drop(a);
    scene_free(scene);
}

/* Another replica's create arrives just before ours. */
static void beat_to_it(struct fake_store *store, enum fake_op op, const char *key)
{
    static const char rival[] =
        "{\"schema\":1,\"epoch\":1,\"state\":\"held\",\"owner\":\"rival\",\"nonce\":\"r\",\"ttl\":60000}";

    if (op == FAKE_WRITE && fake_get_object(store, key) == NULL)
        fake_put_bytes(store, key, rival, sizeof rival - 1, CLOCK_UNKNOWN);
}

static void the_loser_of_a_race_waits_for_the_winner(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    scene->store->on_call = beat_to_it;
    scene->wait.limit = 50;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_string_equal(scene->holder, "rival");
    assert_string_equal(record_of(scene, 1).owner, "rival");
    drop(b);
    scene_free(scene);
}

/* Another's create of our epoch arrives first; by the time we look whose it is, its successor has removed it. */
static void beat_to_it_and_go(struct fake_store *store, enum fake_op op, const char *key)
{
    static const char rival[] =
        "{\"schema\":1,\"epoch\":2,\"state\":\"held\",\"owner\":\"rival\",\"nonce\":\"r\",\"ttl\":60000}";

    if (op == FAKE_WRITE && store->calls[FAKE_WRITE] == 1) {
        fake_put_bytes(store, key, rival, sizeof rival - 1, CLOCK_UNKNOWN);
    } else if (op == FAKE_READ && store->calls[FAKE_READ] == 1) {
        fake_drop_object(store, key);
        fake_put_bytes(store, PREFIX LEASE_FOLDER "0000000000000002", rival, sizeof rival - 1, CLOCK_UNKNOWN);
    }
}

static void a_refused_create_whose_epoch_is_gone_means_a_higher_one(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    scene->store->on_call = beat_to_it_and_go;
    scene->wait.limit = 50;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_int_equal(scene->store->calls[FAKE_WRITE], 1);
    assert_int_equal(scene->created, 0);
    assert_string_equal(scene->holder, "rival");
    drop(b);
    scene_free(scene);
}

/* A higher epoch exists by the time our late create of a removed one goes through. */
static void overtake(struct fake_store *store, enum fake_op op, const char *key)
{
    static const char rival[] =
        "{\"schema\":1,\"epoch\":9,\"state\":\"held\",\"owner\":\"rival\",\"nonce\":\"r\",\"ttl\":60000}";

    (void)key;
    if (op == FAKE_WRITE && store->calls[FAKE_WRITE] == 1)
        fake_put_bytes(store, PREFIX LEASE_FOLDER "0000000000000009", rival, sizeof rival - 1, CLOCK_UNKNOWN);
}

static void a_late_create_below_the_highest_epoch_is_no_lease(void **state)
{
    struct scene *scene = scene_new();
    struct lease *b = replica(scene, "b");
    struct error error;

    (void)state;
    scene->store->on_call = overtake;
    scene->wait.limit = 50;
    assert_int_equal(lease_acquire(b, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_string_equal(scene->holder, "rival");
    drop(b);
    scene_free(scene);
}

/* It is told before it is known whether that means anything, and not of an epoch that is another's. */
static void what_is_created_is_told_before_it_is_proven(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        void (*const on_call[])(struct fake_store *, enum fake_op, const char *) = {NULL, beat_to_it,
                                                                                    overtake};
        struct scene *scene = scene_new();
        struct lease *b = replica(scene, "b");
        struct error error;

        scene->store->on_call = on_call[i];
        scene->wait.limit = 50;
        assert_int_equal(lease_acquire(b, &scene->wait, &error), i == 0 ? LEASE_WON : LEASE_NOT_WON);
        assert_int_equal(scene->created, i == 1 ? 0 : 1);
        assert_int_equal(scene->writes, i == 1 ? 0 : 1);
        assert_true(i == 1 || scene->store->calls[FAKE_WRITE] == 2);
        drop(b);
        scene_free(scene);
    }
}

/* A signal arrives when the epoch has just been created. */
static void signal_at_the_listing(struct fake_store *store, enum fake_op op, const char *key)
{
    (void)key;
    if (op == FAKE_LIST && store->calls[FAKE_WRITE] > 0)
        stop_signal(15);
}

static void a_lease_that_is_interrupted_before_its_use_is_given_back(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    scene->store->on_call = signal_at_the_listing;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_INTERRUPTED);
    assert_false(a->held);
    assert_int_equal(record_of(scene, 1).state, LEASE_FAILED);
    drop(a);
    scene_free(scene);
}

/* ---- services without the primitive ---- */

static void a_service_that_ignores_the_condition_is_found_out(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    scene->store->create_is_put = true;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_true(a->advisory);
    drop(a);
    scene_free(scene);
}

/* What it does about a condition is asked once, and not at all where it is known. */
static void a_service_is_proved_once(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        struct scene *scene = scene_new();
        struct error error;

        scene->store->base.traits.if_absent = known != 0;
        for (int i = 0; i < 2; i++) {
            struct lease *a = replica(scene, "a");
            int before = scene->store->calls[FAKE_WRITE];

            assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
            assert_false(a->advisory);
            assert_int_equal(scene->store->calls[FAKE_WRITE] - before, i == 0 && !known ? 2 : 1);
            assert_true(scene->store->base.traits.if_absent);
            lease_release(a, true, 5000);
            drop(a);
        }
        scene_free(scene);
    }
}

static void a_service_that_refuses_the_condition_gets_an_advisory_lease(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_WRITE, .times = 1, .kind = ERROR_UNSUPPORTED});
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_true(a->advisory);
    assert_string_equal(record_of(scene, 1).nonce, a->own.nonce);
    drop(a);
    scene_free(scene);
}

static void the_owner_of_an_advisory_lease_notices_that_it_was_overwritten(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct lease_record rival = {.epoch = 1, .nonce = "rival", .owner = "rival", .ttl = 60000};
    struct error error;

    (void)state;
    scene->store->create_is_put = true;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    put_record(scene, &rival, CLOCK_UNKNOWN);
    assert_false(lease_confirm(a, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_false(a->held);
    assert_string_equal(record_of(scene, 1).nonce, "rival");
    drop(a);
    scene_free(scene);
}

/* One whose highest epoch others may remove: by who slept until they had, nothing is made anew that they have seen to be over. */
static void an_epoch_that_was_removed_is_not_made_anew(void **state)
{
    struct lease_record rival = {.epoch = 1, .nonce = "rival", .owner = "rival", .ttl = 60000};
    char key[LEASE_KEY_SIZE];

    (void)state;
    lease_key(&shop, 1, key);
    for (int removed = 0; removed <= 1; removed++) {
        struct scene *scene = scene_new();
        struct lease *a = replica(scene, "a");
        struct error error;

        a->removable = true;
        assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
        assert_true(lease_confirm(a, &error));
        assert_true(lease_confirm(a, &error));
        assert_int_equal(record_of(scene, 1).renewals, 2);
        if (removed)
            fake_drop_object(scene->store, key);
        else
            put_record(scene, &rival, CLOCK_UNKNOWN); /* it was removed, and the number given again */
        assert_false(lease_confirm(a, &error));
        assert_int_equal(error.kind, ERROR_BUSY);
        assert_false(a->held);
        lease_release(a, false, 5000);
        if (removed)
            assert_null(fake_get_object(scene->store, key));
        else
            assert_string_equal(record_of(scene, 1).nonce, "rival");
        drop(a);
        scene_free(scene);
    }
}

static void what_may_be_anothers_is_not_given_back(void **state)
{
    struct lease_record rival = {.epoch = 1, .nonce = "rival", .owner = "rival", .ttl = 60000};

    (void)state;
    for (int finished = 0; finished <= 1; finished++) {
        struct scene *scene = scene_new();
        struct lease *a = replica(scene, "a");
        struct error error;

        a->removable = true;
        assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
        a->finished = finished != 0;
        a->renewed = clock_mono() - a->own.ttl; /* its last request took so long */
        put_record(scene, &rival, CLOCK_UNKNOWN);
        lease_release(a, true, 5000);
        assert_false(a->held);
        assert_string_equal(record_of(scene, 1).nonce, "rival");
        drop(a);
        scene_free(scene);
    }
}

static void that_it_cannot_be_read_does_not_end_it(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    a->removable = true;
    a->own.ttl = 3600000; /* no renewal is due for long */
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_READ, .times = 1, .kind = ERROR_UNREACHABLE});
    assert_true(lease_confirm(a, &error)); /* again after a pause */
    assert_int_equal(record_of(scene, 1).renewals, 2);
    drop(a);
    scene_free(scene);
}

/* ---- keeping it ---- */

static void it_is_renewed_every_third_of_its_ttl(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    int64_t began = clock_mono();
    struct error error;

    (void)state;
    a->own.ttl = 3000;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    while (record_of(scene, 1).renewals < 2) {
        lease_step(a, &error);
        assert_true(a->held); /* there is no other reason for more than a TTL */
        usleep(500);
    }
    assert_true(clock_mono() - began >= 2 * 3000 / 3);
    drop(a);
    scene_free(scene);
}

static void a_sleeper_loses_it(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    a->own.ttl = TTL;
    pass_time(TTL + 10);
    assert_true(lease_step(a, &error));
    assert_false(a->held);
    assert_int_equal(error.kind, ERROR_BUSY);
    drop(a);
    scene_free(scene);
}

/* However long it is tried: when the lease is over others may change what it says. */
static void a_marker_is_not_waited_for_longer_than_it_is_held(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct report report;
    struct error error;

    (void)state;
    report_init(&report, 0);
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    a->own.ttl = clock_mono() - a->renewed + TTL;
    scene->store->never_answers = true;
    assert_false(marker_commit(&scene->job, "v1", &report, 0, a, &error));
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_false(a->held);
    report_free(&report);
    drop(a);
    scene_free(scene);
}

static void a_higher_epoch_ends_it(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct lease_record rival = {.epoch = 2, .nonce = "rival", .owner = "rival", .ttl = 60000};
    struct error error;

    (void)state;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_true(lease_confirm(a, &error));
    put_record(scene, &rival, CLOCK_UNKNOWN);
    assert_false(lease_confirm(a, &error));
    assert_false(a->held);
    assert_non_null(strstr(error.text, "taken over"));
    /* what is lost is not released: it is not ours to write */
    lease_release(a, true, 1000);
    assert_int_equal(record_of(scene, 1).state, LEASE_HELD);
    drop(a);
    scene_free(scene);
}

static void a_renewal_that_fails_is_tried_again_until_the_ttl(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    int64_t began;
    struct error error;

    (void)state;
    began = clock_mono();
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    a->own.ttl = TTL;
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_WRITE, .times = 999, .kind = ERROR_UNREACHABLE});
    while (a->held) {
        lease_step(a, &error);
        usleep(500);
    }
    assert_true(clock_mono() - began >= TTL);
    assert_int_equal(error.kind, ERROR_BUSY);
    drop(a);
    scene_free(scene);
}

static void release_does_not_wait_for_ever(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    scene->store->never_answers = true;
    lease_release(a, false, 30);
    assert_false(a->held);
    drop(a);
    scene_free(scene);
}

static void who_has_finished_leaves_no_epoch(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;
    char key[LEASE_KEY_SIZE];

    (void)state;
    lease_key(&shop, 1, key);
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    a->finished = true;
    lease_release(a, false, 1000);
    assert_null(fake_get_object(scene->store, key));
    /* Where nothing may be removed nobody waits for it all the same. */
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_REMOVE, .times = 9, .kind = ERROR_PERMISSION});
    lease_release(a, false, 1000);
    assert_int_equal(record_of(scene, 1).state, LEASE_RELEASED);
    drop(a);
    scene_free(scene);
}

/* What is left of an older one, which may be held, would be the highest again. */
static void who_has_finished_stays_where_older_ones_do(void **state)
{
    struct scene *scene = scene_new();
    struct lease_record older = {
        .epoch = 1, .nonce = "other", .owner = "pod-7", .ttl = 60000, .state = LEASE_FAILED};
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    put_record(scene, &older, CLOCK_UNKNOWN);
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    fake_fault(scene->store, (struct fake_fault){.op = FAKE_REMOVE, .times = 1, .kind = ERROR_UNREACHABLE});
    clean_up(a);
    a->finished = true;
    lease_release(a, false, 1000);
    assert_int_equal(record_of(scene, 2).state, LEASE_RELEASED);
    drop(a);
    scene_free(scene);
}

/* ---- two of one owner ---- */

static struct scene *scene_beside(struct lease **own, struct lease **wanted, struct job *elsewhere,
                                  int64_t ttl)
{
    struct scene *scene = scene_new();
    struct lease_record held = {.epoch = 3, .nonce = "other", .owner = "pod-7", .ttl = 60000};
    struct error error;

    put_record(scene, &held, CLOCK_UNKNOWN);
    *elsewhere = (struct job){.store = &scene->store->base, .prefix = OBJECT_STATE_PREFIX "other/"};
    *own = replica(scene, "b");
    (*own)->job = elsewhere;
    (*own)->own.ttl = ttl;
    assert_int_equal(lease_acquire(*own, &scene->wait, &error), LEASE_WON);
    *wanted = replica(scene, "b");
    (*wanted)->beside = *own;
    return scene;
}

static void who_waits_for_a_second_lease_renews_the_first(void **state)
{
    struct job elsewhere;
    struct lease *own, *wanted;
    struct scene *scene = scene_beside(&own, &wanted, &elsewhere, 30000);
    struct error error;

    (void)state;
    own->renewed -= 10000; /* a third of it is over */
    scene->wait.limit = 400;
    assert_int_equal(lease_acquire(wanted, &scene->wait, &error), LEASE_NOT_WON);
    assert_non_null(strstr(error.text, "pod-7"));
    assert_true(own->held);
    assert_int_equal(own->own.renewals, 1);
    drop(wanted);
    drop(own);
    scene_free(scene);
}

static void who_loses_the_first_lease_does_not_wait_for_the_second(void **state)
{
    struct job elsewhere;
    struct lease *own, *wanted;
    struct scene *scene = scene_beside(&own, &wanted, &elsewhere, 30000);
    struct error error;

    (void)state;
    own->renewed -= 30000;
    scene->wait.limit = LONG_TTL;
    assert_int_equal(lease_acquire(wanted, &scene->wait, &error), LEASE_NOT_WON);
    assert_int_equal(error.kind, ERROR_BUSY);
    assert_non_null(strstr(error.text, "the lease is lost"));
    assert_false(own->held);
    drop(wanted);
    drop(own);
    scene_free(scene);
}

/* ---- crash loops ---- */

static void a_deployment_that_keeps_failing_is_slowed_down(void **state)
{
    struct scene *scene = scene_new();
    struct error error;

    (void)state;
    for (int i = 1; i <= LEASE_FREE_ATTEMPTS; i++) {
        struct lease *lease = replica(scene, "x");

        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        assert_int_equal(lease->own.attempts, i);
        lease_release(lease, false, 1000);
        drop(lease);
    }
    {
        struct lease *lease = replica(scene, "x");

        scene->store->now = scene->store->served = clock_wall();
        assert_int_equal(record_of(scene, LEASE_FREE_ATTEMPTS).attempts, LEASE_FREE_ATTEMPTS);
        put_record(scene,
                   &(struct lease_record){.epoch = LEASE_FREE_ATTEMPTS,
                                          .state = LEASE_FAILED,
                                          .deployment = "v1",
                                          .attempts = LEASE_FREE_ATTEMPTS},
                   clock_wall());
        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_NOT_WON);
        assert_int_equal(error.kind, ERROR_BUSY);
        assert_non_null(strstr(error.text, "3 times"));
        /* by hand it may be tried at any time */
        scene->wait.back_off = false;
        assert_int_equal(lease_acquire(lease, &scene->wait, &error), LEASE_WON);
        lease_release(lease, true, 1000);
        drop(lease);
    }
    scene_free(scene);
}

static void another_deployment_starts_counting_anew(void **state)
{
    struct scene *scene = scene_new();
    struct lease *a = replica(scene, "a");
    struct error error;

    (void)state;
    put_record(scene,
               &(struct lease_record){.epoch = 8, .state = LEASE_FAILED, .deployment = "v0", .attempts = 50},
               clock_wall());
    assert_int_equal(lease_acquire(a, &scene->wait, &error), LEASE_WON);
    assert_int_equal(a->own.attempts, 1);
    drop(a);
    scene_free(scene);
}

static int quiet_log(void **state)
{
    (void)state;
    log_to(open("/dev/null", O_WRONLY | O_CLOEXEC));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_round_trips),
        cmocka_unit_test(who_wrote_when_is_handed_on),
        cmocka_unit_test(who_wrote_nothing_is_forgotten),
        cmocka_unit_test(who_did_nothing_is_forgotten),
        cmocka_unit_test(spans_that_overlap_are_one),
        cmocka_unit_test(old_spans_become_one),
        cmocka_unit_test(keys_sort_as_their_epochs),
        cmocka_unit_test(backoff_doubles_to_its_limit),
        cmocka_unit_test(the_first_one_wins_at_once),
        cmocka_unit_test(the_next_one_takes_the_next_epoch_and_cleans_up),
        cmocka_unit_test(a_held_lease_is_waited_for_and_not_longer_than_allowed),
        cmocka_unit_test(a_silent_owner_is_replaced_after_its_ttl),
        cmocka_unit_test(a_renewed_lease_is_not_stale),
        cmocka_unit_test(a_record_that_nobody_understands_becomes_stale),
        cmocka_unit_test(a_record_of_the_future_that_changes_is_not_stale),
        cmocka_unit_test(a_record_that_is_too_large_becomes_stale),
        cmocka_unit_test(an_epoch_that_nobody_gave_does_not_count),
        cmocka_unit_test(the_last_epoch_is_told),
        cmocka_unit_test(an_old_lease_is_taken_over_at_the_first_look),
        cmocka_unit_test(a_store_that_tells_no_times_is_watched),
        cmocka_unit_test(the_patient_wait_for_a_ttl),
        cmocka_unit_test(an_epoch_that_is_listed_late_is_waited_for),
        cmocka_unit_test(the_epoch_of_another_that_is_not_listed_is_asked_for_in_peace),
        cmocka_unit_test(old_epochs_that_cannot_be_removed_do_no_harm),
        cmocka_unit_test(a_failure_before_is_known),
        cmocka_unit_test(what_was_known_when_the_last_owner_had_ended_is_not_asked_again),
        cmocka_unit_test(what_another_did_meanwhile_is_not_done_again),
        cmocka_unit_test(an_unknown_need_gives_the_lease_back),
        cmocka_unit_test(a_create_whose_answer_is_lost_counts_if_it_happened),
        cmocka_unit_test(a_create_that_did_not_happen_is_tried_again),
        cmocka_unit_test(the_loser_of_a_race_waits_for_the_winner),
        cmocka_unit_test(a_refused_create_whose_epoch_is_gone_means_a_higher_one),
        cmocka_unit_test(a_late_create_below_the_highest_epoch_is_no_lease),
        cmocka_unit_test(what_is_created_is_told_before_it_is_proven),
        cmocka_unit_test(a_lease_that_is_interrupted_before_its_use_is_given_back),
        cmocka_unit_test(a_service_that_ignores_the_condition_is_found_out),
        cmocka_unit_test(a_service_is_proved_once),
        cmocka_unit_test(a_service_that_refuses_the_condition_gets_an_advisory_lease),
        cmocka_unit_test(the_owner_of_an_advisory_lease_notices_that_it_was_overwritten),
        cmocka_unit_test(an_epoch_that_was_removed_is_not_made_anew),
        cmocka_unit_test(what_may_be_anothers_is_not_given_back),
        cmocka_unit_test(that_it_cannot_be_read_does_not_end_it),
        cmocka_unit_test(it_is_renewed_every_third_of_its_ttl),
        cmocka_unit_test(a_sleeper_loses_it),
        cmocka_unit_test(a_marker_is_not_waited_for_longer_than_it_is_held),
        cmocka_unit_test(a_higher_epoch_ends_it),
        cmocka_unit_test(a_renewal_that_fails_is_tried_again_until_the_ttl),
        cmocka_unit_test(release_does_not_wait_for_ever),
        cmocka_unit_test(who_has_finished_leaves_no_epoch),
        cmocka_unit_test(who_has_finished_stays_where_older_ones_do),
        cmocka_unit_test(who_waits_for_a_second_lease_renews_the_first),
        cmocka_unit_test(who_loses_the_first_lease_does_not_wait_for_the_second),
        cmocka_unit_test(a_deployment_that_keeps_failing_is_slowed_down),
        cmocka_unit_test(another_deployment_starts_counting_anew),
    };

    return cmocka_run_group_tests(tests, quiet_log, NULL);
}
