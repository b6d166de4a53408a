/* The sync loop and validation against buckets in memory. */
#include "cursor.h"
#include "fake_store.h"
#include "log.h"
#include "loop_fixture.h"
#include "plan.h"
#include "stop.h"
#include "sync.h"
#include "validate.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* In s: by so much every clock is ahead. */
static time_t clock_leap;

int clock_gettime(clockid_t id, struct timespec *time)
{
    long answer = syscall(SYS_clock_gettime, id, time);

    time->tv_sec += clock_leap;
    return (int)answer;
}

struct scene {
    struct loop *loop;
    struct fake_store *from;
    struct fake_store *to;
    struct settings settings;
    struct report report;
    struct sync_job job;
    int ticks;
    struct report_listener listener;
    char told[400]; /* what the report told, in short */
};

static void count_tick(void *ctx)
{
    ((struct scene *)ctx)->ticks++;
}

static struct scene *scene_new(const struct settings_flag *flags, int flag_count)
{
    static const char *const no_environment[] = {NULL};
    struct scene *scene = calloc(1, sizeof *scene);
    struct settings_input input = {.environ_ = no_environment, .flags = flags, .flag_count = flag_count};
    struct error error;

    stop_reset();
    scene->loop = loop_make();
    loop_watch(scene->loop, count_tick, scene);
    scene->from = fake_new("dev", scene->loop);
    scene->to = fake_new("prod", scene->loop);
    assert_true(settings_load(&scene->settings, &input, &error));
    report_init(&scene->report, 0);
    scene->job = (struct sync_job){
        .source = &scene->from->base,
        .destination = &scene->to->base,
        .settings = &scene->settings,
        .report = &scene->report,
    };
    return scene;
}

static void scene_free(struct scene *scene)
{
    assert_int_equal(scene->to->open_uploads, 0);
    store_close(&scene->from->base);
    store_close(&scene->to->base);
    loop_free(scene->loop);
    report_free(&scene->report);
    settings_free(&scene->settings);
    free(scene);
    stop_reset();
}

static void put(struct fake_store *store, const char *key, const char *text, int64_t modified)
{
    fake_put_bytes(store, key, text, strlen(text), modified);
}

static void assert_text(struct fake_store *store, const char *key, const char *text)
{
    struct fake_object *object = fake_get_object(store, key);

    assert_non_null(object);
    assert_int_equal(object->size, strlen(text));
    assert_memory_equal(object->data, text, strlen(text));
}

static void copies_what_is_missing_changed_or_newer_and_nothing_else(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/missing", "m", 10);
    put(scene->from, "public/resized", "longer", 10);
    put(scene->to, "public/resized", "short", 99);
    put(scene->from, "public/newer", "new", 50);
    put(scene->to, "public/newer", "old", 40);
    put(scene->from, "public/same", "abc", 10);
    put(scene->to, "public/same", "xyz", 20 + PLAN_COPY_TIME);
    put(scene->to, "public/extra", "e", 1);
    put(scene->from, "private/p", "p", 10);
    put(scene->from, "elsewhere/x", "x", 10);
    assert_true(sync_run(&scene->job, &error));
    assert_text(scene->to, "public/missing", "m");
    assert_text(scene->to, "public/resized", "longer");
    assert_text(scene->to, "public/newer", "new");
    assert_text(scene->to, "public/same", "xyz");
    assert_text(scene->to, "public/extra", "e");
    assert_text(scene->to, "private/p", "p");
    assert_null(fake_get_object(scene->to, "elsewhere/x"));
    assert_int_equal(scene->report.synced, 4);
    assert_int_equal(scene->report.skipped, 1);
    assert_int_equal(scene->report.failed, 0);
    assert_int_equal(scene->report.extra, 1);
    assert_int_equal(scene->report.total_size, 11);
    assert_true(scene->ticks > 0);
    scene_free(scene);
}

static void a_second_run_copies_nothing(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;
    char key[64];

    (void)state;
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "public/%d/%d", i % 7, i);
        put(scene->from, key, key, i);
    }
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.synced, 500);
    assert_int_equal(scene->to->calls[FAKE_PUT], 500);
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.synced, 500);
    assert_int_equal(scene->report.skipped, 500);
    assert_int_equal(scene->to->calls[FAKE_PUT], 500);
    assert_int_equal(scene->from->calls[FAKE_GET] + scene->from->calls[FAKE_HEAD], 500);
    scene_free(scene);
}

static void a_dry_run_writes_nothing(void **state)
{
    struct settings_flag flags[] = {{"dry-run", "true"}};
    struct scene *scene = scene_new(flags, 1);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "a", 10);
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.synced, 1);
    assert_int_equal(scene->to->count, 0);
    scene_free(scene);
}

static void drop_b_at_its_get(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_GET && strcmp(key, "public/b") == 0)
        fake_drop_object(store, key);
}

static void one_failure_does_not_stop_the_others(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "a", 10);
    put(scene->from, "public/b", "b", 10);
    put(scene->from, "public/c", "c", 10);
    fake_fault(scene->from,
               (struct fake_fault){.op = FAKE_GET, .key = "public/b", .times = 9, .kind = ERROR_PERMISSION});
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.synced, 2);
    assert_int_equal(scene->report.failed, 1);
    assert_int_equal(scene->report.failure_count, 1);
    assert_string_equal(scene->report.failures[0].file, "public/b");
    scene_free(scene);
}

/* The folder b and the object e of one side cannot be looked at. */
static void close_some(struct fake_store *store)
{
    static const char *const closed[] = {"public/b/", "public/e"};

    for (size_t i = 0; i < sizeof closed / sizeof *closed; i++) {
        put(store, closed[i], "", 10);
        fake_get_object(store, closed[i])->unreadable = EACCES;
    }
}

static struct scene *scene_with_closed_folder(bool at_source)
{
    static const char *const keys[] = {"public/a",  "public/b",  "public/b!",
                                       "public/b0", "public/e0", "public/f"};
    struct scene *scene = scene_new(NULL, 0);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(scene->from, keys[i], "new", 10);
    close_some(at_source ? scene->from : scene->to);
    /* What is seen of them from the other side. */
    put(at_source ? scene->to : scene->from, "public/b/1", "1", 10);
    put(at_source ? scene->to : scene->from, "public/b/c/2", "2", 10);
    put(at_source ? scene->to : scene->from, "public/e", "e", 10);
    put(at_source ? scene->to : scene->from, "public/e/1", "e", 10); /* e may be a folder, too */
    return scene;
}

static void what_cannot_be_listed_is_one_failure(void **state)
{
    struct error error;

    (void)state;
    for (int side = 0; side < 2; side++) {
        struct scene *scene = scene_with_closed_folder(side == 0);

        assert_true(sync_run(&scene->job, &error));
        assert_text(scene->to, "public/f", "new");
        assert_text(scene->to, "public/b0", "new");
        assert_int_equal(scene->report.synced, 6);
        assert_int_equal(scene->report.failed, 2);
        assert_int_equal(scene->report.extra, 0);
        assert_string_equal(scene->report.failures[0].file, "public/b/");
        assert_non_null(strstr(scene->report.failures[0].error.text, "Permission denied"));
        assert_non_null(strstr(scene->report.failures[0].error.text, side == 0 ? "dev" : "prod"));
        assert_string_equal(scene->report.failures[1].file, "public/e");
        if (side == 1) {
            assert_null(fake_get_object(scene->to, "public/b/1"));
            assert_null(fake_get_object(scene->to, "public/e/1"));
        }
        scene_free(scene);
    }
}

static void what_cannot_be_listed_is_not_valid(void **state)
{
    struct error error;

    (void)state;
    for (int side = 0; side < 2; side++) {
        struct scene *scene = scene_with_closed_folder(side == 0);

        assert_false(validate_run(&scene->from->base, &scene->to->base, &scene->settings, false,
                                  &scene->report, &error));
        assert_int_equal(error.kind, ERROR_PARTIAL);
        assert_int_equal(scene->report.failed, 2);
        assert_int_equal(scene->report.validation.lists[REPORT_MISSING].count, 6);
        assert_int_equal(scene->report.validation.lists[REPORT_EXTRA].count, 0);
        assert_int_equal(scene->report.validation.lists[REPORT_MISMATCHED].count, 0);
        assert_false(report_valid(&scene->report));
        scene_free(scene);
    }
}

/* Leases and markers cannot be half known. */
static void state_must_be_readable(void **state)
{
    struct fake_store *store = fake_new("prod", NULL);
    struct error error;
    struct cursor *cursor;
    const struct object_entry *entry;
    enum cursor_state found;

    (void)state;
    put(store, ".storsync/x/lease/", "", 10);
    fake_get_object(store, ".storsync/x/lease/")->unreadable = EACCES;
    cursor = cursor_open(&store->base, &(struct store_range){.prefix = ".storsync/x/lease/"}, &error);
    while ((found = cursor_peek(cursor, &entry)) == CURSOR_WAIT)
        cursor_step(cursor);
    assert_int_equal(found, CURSOR_FAILED);
    assert_int_equal(cursor_error(cursor)->kind, ERROR_PERMISSION);
    cursor_close(cursor);
    store_close(&store->base);
}

static void refused_credentials_end_the_run(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;
    char key[64];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "public/%03d", i);
        put(scene->from, key, "x", 1);
    }
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_PUT, .times = 999, .kind = ERROR_CREDENTIALS});
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_CREDENTIALS);
    assert_true(scene->to->calls[FAKE_PUT] <= 32);
    scene_free(scene);
}

/* What every object fails for is the run's error, after a bound that is a setting. */
static void one_reason_for_all_ends_the_run(void **state)
{
    static const struct settings_flag bounds[] = {{"max-failures", "50"}, {"max-failures", "0"}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_new(&bounds[i], 1);
        struct error error = {.kind = ERROR_NONE};
        char key[64];

        for (int n = 0; n < 300; n++) {
            snprintf(key, sizeof key, "public/%03d", n);
            put(scene->from, key, "x", 1);
        }
        fake_fault(scene->to, (struct fake_fault){.op = FAKE_PUT, .times = 999, .kind = ERROR_PERMISSION});
        assert_int_equal(sync_run(&scene->job, &error), i == 1);
        assert_int_equal(error.kind, i == 0 ? ERROR_PERMISSION : ERROR_NONE);
        if (i == 0)
            assert_non_null(
                strstr(error.text, "50 objects in a row failed for one reason (setting max_failures)"));
        assert_int_equal(scene->report.failed, i == 0 ? 50 : 300);
        scene_free(scene);
    }
}

/* One odd request, or one odd server of many: key and bucket are good, as both listings have shown. */
static void one_bad_answer_about_key_or_bucket_is_one_failure(void **state)
{
    static const enum error_kind kinds[] = {ERROR_CREDENTIALS, ERROR_NO_BUCKET};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct scene *scene = scene_new(NULL, 0);
        struct error error;
        char key[64];

        for (int n = 0; n < 60; n++) {
            snprintf(key, sizeof key, "public/%02d", n);
            put(scene->from, key, "x", 1);
        }
        fake_fault(scene->to,
                   (struct fake_fault){
                       .op = FAKE_PUT, .key = "public/00", .times = 9, .kind = kinds[i], .status = 403});
        assert_true(sync_run(&scene->job, &error));
        assert_int_equal(scene->report.synced, 59);
        assert_int_equal(scene->report.failed, 1);
        scene_free(scene);
    }
}

static void a_key_that_is_revoked_ends_the_run(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;
    char key[64];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "public/%03d", i);
        put(scene->from, key, "x", 1);
    }
    fake_fault(scene->to,
               (struct fake_fault){
                   .op = FAKE_PUT, .skip = 100, .times = 999, .kind = ERROR_CREDENTIALS, .status = 403});
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_CREDENTIALS);
    assert_in_range(scene->to->calls[FAKE_PUT], 101, 199);
    scene_free(scene);
}

static void what_is_gone_is_counted_apart(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "a", 10);
    put(scene->from, "public/b", "b", 10);
    put(scene->from, "public/c", "c", 10);
    scene->from->on_call = drop_b_at_its_get;
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.listed, 3);
    assert_int_equal(scene->report.synced, 2);
    assert_int_equal(scene->report.gone, 1);
    assert_int_equal(scene->report.skipped + scene->report.failed, 0);
    scene_free(scene);
}

static void a_service_that_is_gone_ends_the_run(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;
    char key[64];

    (void)state;
    for (int i = 0; i < 300; i++) {
        snprintf(key, sizeof key, "public/%03d", i);
        put(scene->from, key, "x", 1);
    }
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_PUT, .times = 999, .kind = ERROR_UNREACHABLE});
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_UNREACHABLE);
    assert_true(scene->to->calls[FAKE_PUT] < 100);
    scene_free(scene);
}

static void a_broken_listing_decides_nothing_about_the_rest(void **state)
{
    for (int side = 0; side < 2; side++) {
        struct scene *scene = scene_new(NULL, 0);
        struct error error;
        char key[64];

        (void)state;
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "public/%02d", i);
            put(scene->from, key, "x", 1);
            put(scene->to, key, "longer", 9);
        }
        fake_fault(side == 0 ? scene->from : scene->to,
                   (struct fake_fault){
                       .op = FAKE_LIST, .key = "public/", .skip = 2, .times = 99, .kind = ERROR_PROTOCOL});
        assert_false(sync_run(&scene->job, &error));
        assert_int_equal(error.kind, ERROR_PROTOCOL);
        /* two pages were known, and only those were acted upon */
        for (int i = 0; i < 20; i++) {
            snprintf(key, sizeof key, "public/%02d", i);
            assert_text(scene->to, key, i < 2 * FAKE_PAGE ? "x" : "longer");
        }
        scene_free(scene);
    }
}

static void a_signal_ends_it_and_leaves_no_upload(void **state)
{
    struct settings_flag flags[] = {{"part-size", "5MiB"}};
    struct scene *scene = scene_new(flags, 1);
    struct error error;
    char *large = calloc(1, 12 * 1024 * 1024);

    (void)state;
    fake_put_bytes(scene->from, "public/large", large, 12 * 1024 * 1024, 1);
    free(large);
    assert_true(stop_init(&error));
    stop_signal(SIGTERM);
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_INTERRUPTED);
    assert_null(fake_get_object(scene->to, "public/large"));
    assert_int_equal(scene->report.failed, 0);
    stop_close();
    scene_free(scene);
}

static void stop_in_the_middle(void *ctx)
{
    struct scene *scene = ctx;

    if (++scene->ticks == 40)
        stop_signal(SIGTERM);
}

static void a_signal_in_the_middle_aborts_the_upload(void **state)
{
    struct settings_flag flags[] = {{"part-size", "5MiB"}};
    struct scene *scene = scene_new(flags, 1);
    struct error error;
    char *large = calloc(1, 12 * 1024 * 1024);

    (void)state;
    fake_put_bytes(scene->from, "public/large", large, 12 * 1024 * 1024, 1);
    free(large);
    loop_watch(scene->loop, stop_in_the_middle, scene);
    assert_true(stop_init(&error));
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_INTERRUPTED);
    assert_int_equal(scene->to->calls[FAKE_BEGIN], 1);
    assert_int_equal(scene->to->calls[FAKE_ABORT], 1);
    stop_close();
    scene_free(scene);
}

static void the_deadline_ends_what_never_answers(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "a", 10);
    scene->to->never_answers = true;
    stop_at(clock_mono() + 50);
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_TIMEOUT);
    scene_free(scene);
}

/* ---- one path after the other ---- */

static void note_told(void *ctx, const struct report *report, const struct report_event *event)
{
    static const char *const words[] = {
        [REPORT_EVENT_PATH] = "<",    [REPORT_EVENT_PATH_END] = ">", [REPORT_EVENT_SYNCED] = "+",
        [REPORT_EVENT_SKIPPED] = "=", [REPORT_EVENT_KEPT] = "#",     [REPORT_EVENT_FAILED] = "!",
        [REPORT_EVENT_DELETED] = "-", [REPORT_EVENT_GONE] = "?",
    };
    struct scene *scene = ctx;
    size_t len = strlen(scene->told);

    if ((size_t)event->kind >= sizeof words / sizeof *words || words[event->kind] == NULL)
        return;
    snprintf(scene->told + len, sizeof scene->told - len, "%s%s ", words[event->kind],
             event->kind == REPORT_EVENT_PATH ? report->path
             : event->key != NULL             ? event->key
                                              : "");
}

/* The answers about public/a are held back until the test lets it go, for half a minute at most. */
static struct scene *scene_with_slow_path(const struct settings_flag *flags, int flag_count)
{
    struct scene *scene = scene_new(flags, flag_count);
    struct error error;

    assert_true(stop_init(&error));
    put(scene->from, "public/a", "a", 10);
    scene->from->held = "public/a";
    scene->to->peer = scene->from;
    scene->listener = (struct report_listener){.event = note_told, .ctx = scene};
    report_listen(&scene->report, &scene->listener);
    stop_at(clock_mono() + 30000);
    return scene;
}

static void end_slow_path(struct scene *scene, const char *told)
{
    assert_string_equal(scene->told, told);
    stop_close();
    scene_free(scene);
}

static void let_go_at_last_write(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_PUT && strcmp(key, "private/z") == 0)
        store->peer->held = NULL;
}

static void the_next_path_is_begun_when_one_is_listed_and_told_in_its_turn(void **state)
{
    static const struct settings_flag numbers[] = {{"concurrency", "2"}, {"concurrency", "4"}};

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct scene *scene = scene_with_slow_path(&numbers[i % 2], i < 2);
        struct error error;

        put(scene->from, "private/y", "y", 10);
        put(scene->from, "private/z", "z", 10);
        scene->to->on_call = let_go_at_last_write;
        assert_true(sync_run(&scene->job, &error));
        assert_int_equal(scene->report.synced, 3);
        assert_int_equal(scene->report.listed, 3);
        assert_int_equal(scene->report.total_size, 3);
        end_slow_path(scene, "<public/ +public/a > <private/ +private/y +private/z > ");
    }
}

static int count_lists(const struct scene *scene)
{
    return scene->from->calls[FAKE_LIST] + scene->to->calls[FAKE_LIST];
}

/* What is begun before the run costs no request, and is acted upon by nobody but the run. */
static void listings_may_be_begun_before_the_run(void **state)
{
    int lists[4] = {0};

    (void)state;
    for (int i = 0; i < 4; i++) { /* not at all; once; twice; three times, in vain */
        struct scene *scene = scene_new(NULL, 0);
        struct error error;

        put(scene->from, "public/a", "a", 10);
        put(scene->from, "private/p", "p", 10);
        put(scene->to, "private/q", "q", 10);
        for (int n = 0; n < i; n++)
            sync_begin_listings(&scene->job);
        assert_int_equal(count_lists(scene), i * 4);
        if (i == 3)
            sync_drop_listings(&scene->job);
        assert_int_equal(scene->to->count, 1);
        assert_true(sync_run(&scene->job, &error));
        assert_null(scene->job.begun);
        assert_int_equal(scene->report.synced, 2);
        assert_int_equal(scene->report.extra, 1);
        lists[i] = count_lists(scene);
        scene_free(scene);
    }
    assert_int_equal(lists[0], 4);
    assert_int_equal(lists[1], 4);
    assert_int_equal(lists[2], 8);
    assert_int_equal(lists[3], 16);
}

static void give_paths(struct scene *scene, char **parts, int count)
{
    static const char *const no_environment[] = {NULL};
    const struct settings_input input = {.environ_ = no_environment, .parts = parts, .part_count = count};
    struct error error;

    settings_free(&scene->settings);
    assert_true(settings_load(&scene->settings, &input, &error));
}

/* Nobody asks for it so on purpose. */
static void what_is_in_two_parts_is_copied_once(void **state)
{
    static char *parts[] = {"public/img", "public/"};
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    give_paths(scene, parts, 2);
    put(scene->from, "public/img/a", "a", 10);
    put(scene->from, "public/z", "z", 10);
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.synced, 2);
    assert_int_equal(scene->report.skipped, 1);
    assert_int_equal(scene->to->calls[FAKE_PUT], 2);
    scene_free(scene);
}

/* Of a failure, too: it is no failure of the path that still goes on. */
static void a_failure_in_the_next_path_is_told_in_its_turn(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "private/y", "y", 10);
    put(scene->from, "private/z", "z", 10);
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_PUT, .key = "private/y", .times = 9, .kind = ERROR_PERMISSION});
    scene->to->on_call = let_go_at_last_write;
    assert_true(sync_run(&scene->job, &error));
    assert_int_equal(scene->report.failed, 1);
    end_slow_path(scene, "<public/ +public/a > <private/ !private/y +private/z > ");
}

static bool is_after_some_turns(struct scene *scene)
{
    loop_wake(scene->loop, clock_mono());
    return ++scene->ticks >= 40;
}

static void let_go_after_some_turns(void *ctx)
{
    struct scene *scene = ctx;

    if (is_after_some_turns(scene))
        scene->from->held = NULL;
}

static void public_has_to_be_there(struct fake_store *store, enum fake_op op, const char *key)
{
    if ((op == FAKE_PUT || op == FAKE_REMOVE) && strncmp(key, "private/", 8) == 0)
        assert_non_null(fake_get_object(store, "public/a"));
}

/* What is told before anything is copied is told in the order of the keys, and nothing behind it is begun. */
static void what_is_told_at_once_waits_for_its_turn(void **state)
{
    static const struct settings_flag dry[] = {{"dry-run", "true"}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_with_slow_path(dry, i);
        struct error error;

        put(scene->from, "private/x", "x", 10);
        put(scene->to, "private/x", "x", 20);
        put(scene->from, "private/y", "y", 10);
        scene->to->on_call = public_has_to_be_there;
        loop_watch(scene->loop, let_go_after_some_turns, scene);
        assert_true(sync_run(&scene->job, &error));
        end_slow_path(scene, "<public/ +public/a > <private/ =private/x +private/y > ");
    }
}

static int puts_before_public;

static void count_before_public(struct fake_store *store, enum fake_op op, const char *key)
{
    puts_before_public +=
        op == FAKE_PUT && fake_get_object(store, "public/a") == NULL && strcmp(key, "public/a") != 0;
}

static void the_next_path_has_no_more_slots_than_are_spare(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;
    char key[32];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "private/%02d", i);
        put(scene->from, key, "x", 10);
    }
    loop_watch(scene->loop, let_go_after_some_turns, scene);
    scene->to->on_call = count_before_public;
    puts_before_public = 0;
    assert_true(sync_run(&scene->job, &error));
    assert_in_range(puts_before_public, 1, 16);
    assert_int_equal(scene->report.synced, 101);
    stop_close();
    scene_free(scene);
}

static void a_broken_listing_of_the_next_path_waits_for_its_turn(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "private/y", "y", 10);
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_LIST, .key = "private/", .times = 9, .kind = ERROR_NO_BUCKET});
    loop_watch(scene->loop, let_go_after_some_turns, scene);
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_NO_BUCKET);
    assert_null(fake_get_object(scene->to, "private/y"));
    end_slow_path(scene, "<public/ +public/a > <private/ > ");
}

/* Nothing is begun of the path after one that could not be listed. */
static void nothing_is_begun_behind_a_broken_listing(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    for (char last = 'b'; last < 'h'; last++)
        put(scene->from, (char[]){'p', 'u', 'b', 'l', 'i', 'c', '/', last, '\0'}, "x", 10);
    put(scene->from, "private/y", "y", 10);
    fake_fault(scene->from,
               (struct fake_fault){
                   .op = FAKE_LIST, .key = "public/", .skip = 1, .times = 9, .kind = ERROR_PROTOCOL});
    scene->to->on_call = public_has_to_be_there;
    loop_watch(scene->loop, let_go_after_some_turns, scene);
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    assert_null(fake_get_object(scene->to, "private/y"));
    end_slow_path(scene, "<public/ +public/b +public/c +public/a > ");
}

static void stop_after_some_turns(void *ctx)
{
    if (is_after_some_turns(ctx))
        stop_signal(SIGTERM);
}

/* What has been copied is told, whatever becomes of the path before; what is cut short is no failure. */
static void a_stop_ends_both_paths(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_with_slow_path(NULL, 0);
        struct error error;

        put(scene->from, "private/y", "y", 10);
        put(scene->from, "private/z", "z", 10);
        scene->to->held = "private/z";
        if (i == 0)
            loop_watch(scene->loop, stop_after_some_turns, scene);
        else
            stop_at(clock_mono() + 1000);
        assert_false(sync_run(&scene->job, &error));
        assert_int_equal(error.kind, i == 0 ? ERROR_INTERRUPTED : ERROR_TIMEOUT);
        assert_text(scene->to, "private/y", "y");
        assert_int_equal(scene->report.synced, 1);
        assert_int_equal(scene->report.failed, 0);
        end_slow_path(scene, "<public/ > <private/ +private/y > ");
    }
}

static void change_after_a_long_time(void *ctx)
{
    struct scene *scene = ctx;

    if (!is_after_some_turns(scene) || scene->from->held == NULL)
        return;
    clock_leap += 61;
    put(scene->to, "private/y", "new", 60 + PLAN_COPY_TIME);
    scene->from->held = NULL;
}

/* What was listed long before is not acted upon. */
static void listings_that_waited_too_long_are_asked_for_anew(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "private/x", "x", 10);
    put(scene->to, "private/x", "x", 20);
    put(scene->from, "private/y", "yyy", 50);
    put(scene->to, "private/y", "old", 40);
    stop_at(clock_mono() + 200000);
    loop_watch(scene->loop, change_after_a_long_time, scene);
    assert_true(sync_run(&scene->job, &error));
    assert_text(scene->to, "private/y", "new");
    stop_close();
    scene_free(scene);
}

/* Not even where copies were begun by them: those are not begun twice. */
static void listings_that_waited_too_long_go_on_behind_what_was_begun(void **state)
{
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "private/w", "w", 10);
    put(scene->from, "private/x", "x", 10);
    put(scene->to, "private/x", "x", 20);
    put(scene->from, "private/y", "yyy", 50);
    put(scene->to, "private/y", "old", 40);
    put(scene->from, "private/z", "z", 10);
    stop_at(clock_mono() + 400000);
    loop_watch(scene->loop, change_after_a_long_time, scene);
    assert_true(sync_run(&scene->job, &error));
    assert_text(scene->to, "private/y", "new");
    assert_int_equal(scene->report.listed, 5);
    assert_int_equal(scene->to->calls[FAKE_PUT], 3);
    end_slow_path(scene, "<public/ +public/a > <private/ +private/w =private/x =private/y +private/z > ");
}

static void third_is_not_asked_for(struct fake_store *store, enum fake_op op, const char *key)
{
    (void)store;
    assert_false(op == FAKE_LIST && strcmp(key, "private/b/") == 0);
}

/* What has been begun of the path after it is told, and nothing is asked for any more. */
static void a_stop_asks_for_no_more_listings(void **state)
{
    static char *parts[] = {"public/", "private/a/", "private/b/"};
    struct scene *scene = scene_with_slow_path(NULL, 0);
    struct error error;

    (void)state;
    give_paths(scene, parts, 3);
    assert_int_equal(settings_part_count(&scene->settings), 3);
    put(scene->from, "private/a/y", "y", 10);
    put(scene->from, "private/b/z", "z", 10);
    scene->to->on_call = scene->from->on_call = third_is_not_asked_for;
    loop_watch(scene->loop, stop_after_some_turns, scene);
    assert_false(sync_run(&scene->job, &error));
    end_slow_path(scene, "<public/ > <private/a/ +private/a/y > ");
}

static int pages_of_public;

static void public_has_to_be_listed(struct fake_store *store, enum fake_op op, const char *key)
{
    (void)store;
    pages_of_public += op == FAKE_LIST && strcmp(key, "public/") == 0;
    if (op == FAKE_LIST && strcmp(key, "private/") == 0)
        assert_in_range(pages_of_public, 4, 99);
}

/* A listing of a directory takes memory from its beginning on. Its copies are begun before their turn all the same. */
static void of_a_directory_one_path_is_listed_at_a_time(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        struct scene *scene = scene_with_slow_path(NULL, 0);
        struct fake_store *directory = side == 0 ? scene->from : scene->to;
        struct error error;
        char key[32];

        for (int i = 0; i < 10; i++) {
            snprintf(key, sizeof key, "public/b%d", i);
            put(scene->from, key, "x", 10);
        }
        put(scene->from, "private/z", "z", 10);
        directory->base.traits.local = true;
        scene->to->on_call = let_go_at_last_write;
        scene->from->on_call = public_has_to_be_listed;
        pages_of_public = 0;
        assert_true(sync_run(&scene->job, &error));
        assert_int_equal(scene->report.synced, 12);
        stop_close();
        scene_free(scene);
    }
}

/* One reason for all of the next path's objects ends the run, when its turn has come. */
static void what_ends_the_run_in_the_next_path_ends_it_in_its_turn(void **state)
{
    static const struct settings_flag bound[] = {{"max-failures", "3"}};
    struct scene *scene = scene_with_slow_path(bound, 1);
    struct error error;
    char key[32];

    (void)state;
    for (int i = 0; i < 40; i++) {
        snprintf(key, sizeof key, "private/%02d", i);
        put(scene->from, key, "x", 10);
    }
    fake_fault(scene->from,
               (struct fake_fault){.op = FAKE_GET, .skip = 1, .times = 99, .kind = ERROR_PERMISSION});
    loop_watch(scene->loop, let_go_after_some_turns, scene);
    assert_false(sync_run(&scene->job, &error));
    assert_int_equal(error.kind, ERROR_PERMISSION);
    assert_in_range(scene->report.failed, 3, 16);
    assert_text(scene->to, "public/a", "a");
    stop_close();
    scene_free(scene);
}

static void public_has_to_be_there_for_a_removal(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_REMOVE)
        public_has_to_be_there(store, op, "private/");
    (void)key;
}

/* What may be removed is decided upon when all of both paths has gone well. */
static void nothing_is_removed_before_the_next_path_is_through(void **state)
{
    static const struct settings_flag flags[] = {{"delete", "extra"}, {"max-delete", "10"}};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_with_slow_path(flags, 2);
        struct error error;

        put(scene->from, "private/y", "y", 10);
        put(scene->to, "private/zz", "gone", 10);
        put(scene->to, "public/zz", "gone", 10);
        if (i == 1)
            fake_fault(scene->to,
                       (struct fake_fault){
                           .op = FAKE_PUT, .key = "private/y", .times = 9, .kind = ERROR_PERMISSION});
        scene->to->on_call = public_has_to_be_there_for_a_removal;
        loop_watch(scene->loop, let_go_after_some_turns, scene);
        assert_true(sync_run(&scene->job, &error));
        assert_int_equal(scene->report.deleted, i == 0 ? 2 : 0);
        assert_int_equal(scene->report.extra, i == 0 ? 0 : 2);
        end_slow_path(scene, i == 0 ? "<public/ +public/a > <private/ +private/y > -public/zz -private/zz "
                                    : "<public/ +public/a > <private/ !private/y > ");
    }
}

static void validation_counts_every_kind(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;
    const struct report_list *lists = scene->report.validation.lists;

    (void)state;
    put(scene->from, "public/missing", "m", 10);
    put(scene->from, "public/resized", "longer", 10);
    put(scene->to, "public/resized", "short", 99);
    put(scene->from, "public/content", "abc", 10);
    put(scene->to, "public/content", "xyz", 20);
    put(scene->from, "public/same", "abc", 10);
    put(scene->to, "public/same", "abc", 20);
    put(scene->to, "public/extra", "e", 1);
    put(scene->to, "public/extra2", "e", 1);
    assert_true(
        validate_run(&scene->from->base, &scene->to->base, &scene->settings, false, &scene->report, &error));
    assert_int_equal(scene->report.validation.checked, 4);
    assert_int_equal(lists[REPORT_MISSING].count, 1);
    assert_int_equal(lists[REPORT_MISMATCHED].count, 2);
    assert_int_equal(lists[REPORT_EXTRA].count, 2);
    assert_false(report_valid(&scene->report));
    scene_free(scene);
}

static void validation_of_equal_buckets_is_valid(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "abc", 10);
    put(scene->to, "public/a", "abc", 20);
    put(scene->to, "other/a", "abc", 20);
    assert_true(
        validate_run(&scene->from->base, &scene->to->base, &scene->settings, true, &scene->report, &error));
    assert_true(report_valid(&scene->report));
    scene_free(scene);
}

static bool validate_scene(struct scene *scene, struct error *error)
{
    return validate_run(&scene->from->base, &scene->to->base, &scene->settings, false, &scene->report, error);
}

static void extra_objects_count_if_it_is_strict(void **state)
{
    const struct settings_flag strict[] = {{"strict", "true"}};
    struct error error;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_new(strict, i);

        put(scene->to, "public/extra", "e", 1);
        assert_true(validate_scene(scene, &error));
        assert_int_equal(report_valid(&scene->report), i == 0);
        assert_int_equal(scene->report.validation.lists[REPORT_EXTRA].count, 1);
        scene_free(scene);
    }
}

/* ---- the content of both sides ---- */

static const struct settings_flag all_content[] = {{"content", "true"}, {"retries", "3"}};

/* The same object on both sides but for its bytes, which neither has a hash of. */
static struct scene *content_scene(const char *from, const char *to)
{
    struct scene *scene = scene_new(all_content, 2);

    scene->from->hashless = scene->to->hashless = true;
    put(scene->from, "public/a", from, 10);
    put(scene->to, "public/a", to, 20);
    return scene;
}

static void assert_content(const struct scene *scene, uint64_t read, uint64_t mismatched, uint64_t changed)
{
    const struct report_validation *found = &scene->report.validation;

    assert_int_equal(found->read, read);
    assert_int_equal(found->lists[REPORT_MISMATCHED].count, mismatched);
    assert_int_equal(found->changed, changed);
    assert_int_equal(report_valid(&scene->report), mismatched == 0 && scene->report.failed == 0);
}

static void content_is_read_where_no_hash_compares_it(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    put(scene->from, "public/b", "abcdef", 10);
    put(scene->to, "public/b", "abcxef", 20);
    put(scene->from, "public/empty", "", 10);
    put(scene->to, "public/empty", "", 20);
    assert_true(validate_scene(scene, &error));
    assert_content(scene, 3, 1, 0);
    assert_int_equal(scene->report.validation.unhashed, 0);
    assert_int_equal(scene->report.validation.bytes, 24);
    assert_int_equal(scene->from->calls[FAKE_GET], 2);
    assert_int_equal(scene->to->calls[FAKE_GET], 2);
    scene_free(scene);
}

/* Not longer than to the first difference. */
static void a_large_object_is_read_as_far_as_it_is_equal(void **state)
{
    static char from[3 * PIPE_CAPACITY + 7], to[sizeof from];
    struct scene *scene = scene_new(all_content, 2);
    struct error error;

    (void)state;
    scene->from->hashless = scene->to->hashless = true;
    memset(from, 'x', sizeof from);
    memset(to, 'x', sizeof to);
    fake_put_bytes(scene->from, "public/equal", from, sizeof from, 10);
    fake_put_bytes(scene->to, "public/equal", to, sizeof to, 20);
    to[sizeof to - 1] = 'y';
    fake_put_bytes(scene->from, "public/end", from, sizeof from, 10);
    fake_put_bytes(scene->to, "public/end", to, sizeof to, 20);
    to[0] = 'y';
    fake_put_bytes(scene->from, "public/first", from, sizeof from, 10);
    fake_put_bytes(scene->to, "public/first", to, sizeof to, 20);
    assert_true(validate_scene(scene, &error));
    assert_content(scene, 3, 2, 0);
    assert_true(scene->report.validation.bytes >= 4 * sizeof from);
    assert_true(scene->report.validation.bytes <= 4 * sizeof from + 2 * PIPE_CAPACITY);
    scene_free(scene);
}

/* One side's hash is enough: the other side alone is read. */
static void content_is_compared_with_the_hash_of_the_other_side(void **state)
{
    struct error error;

    (void)state;
    for (int i = 0; i < 4; i++) { /* an MD5 at the destination, a CRC32C at the source */
        struct scene *scene = content_scene("abcdef", i % 2 == 0 ? "abcdef" : "abcxef");

        scene->from->sums = i >= 2;
        scene->to->hashless = i >= 2;
        assert_true(validate_scene(scene, &error));
        assert_content(scene, 1, (uint64_t)i % 2, 0);
        assert_int_equal(scene->report.validation.bytes, 6);
        assert_int_equal(scene->from->calls[FAKE_GET], i < 2 ? 1 : 0);
        assert_int_equal(scene->to->calls[FAKE_GET], i < 2 ? 0 : 1);
        scene_free(scene);
    }
}

static void hashes_are_compared_without_reading(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    scene->from->hashless = scene->to->hashless = false;
    put(scene->from, "public/b", "abcdef", 10);
    put(scene->to, "public/b", "abcxef", 20);
    assert_true(validate_scene(scene, &error));
    assert_content(scene, 0, 1, 0);
    assert_int_equal(scene->report.validation.hashed, 2);
    assert_int_equal(scene->from->calls[FAKE_GET] + scene->to->calls[FAKE_GET], 0);
    scene_free(scene);
}

/* With compare=newer hashes that differ are not believed, but looked into. */
static void hashes_that_differ_are_looked_into_where_they_do_not_count(void **state)
{
    const struct settings_flag flags[] = {{"content", "100"}, {"compare", "size"}};
    struct scene *scene = scene_new(flags, 2);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "abcdef", 10);
    put(scene->to, "public/a", "abcdef", 20);
    snprintf(fake_get_object(scene->to, "public/a")->version, DIGEST_HEX_SIZE, "%032d", 1);
    assert_true(validate_scene(scene, &error));
    assert_content(scene, 1, 0, 0);
    scene_free(scene);
}

/* What is large is read in ranges, of which only a broken one is read again. */
static void a_large_object_is_read_in_pieces(void **state)
{
    static char from[1000], to[sizeof from];
    struct error error;

    (void)state;
    memset(from, 'x', sizeof from);
    for (int i = 0; i < 8; i++) { /* both are read, or one for an MD5 or a CRC32C; and in one stream */
        struct scene *scene = scene_new(all_content, 2);
        int pieces = i < 6 ? 4 : 1;

        scene->settings.part_size = 300;
        scene->from->hashless = i < 2 || i >= 6;
        scene->from->sums = i >= 4 && i < 6;
        scene->to->hashless = true;
        memset(to, 'x', sizeof to);
        to[950] = i % 2 == 0 ? 'x' : 'y';
        fake_put_bytes(scene->from, "public/a", from, sizeof from, 10);
        fake_put_bytes(scene->to, "public/a", to, sizeof to, 20);
        if (i >= 6)
            fake_get_object(scene->from, "public/a")->version[0] = '\0';
        fake_fault(scene->to, (struct fake_fault){.op = FAKE_GET,
                                                  .skip = i < 6 ? 2 : 0,
                                                  .times = 1,
                                                  .kind = ERROR_UNREACHABLE,
                                                  .again = true,
                                                  .after = 7});
        assert_true(validate_scene(scene, &error));
        assert_content(scene, 1, (uint64_t)i % 2, 0);
        assert_int_equal(scene->to->calls[FAKE_GET], pieces + 1);
        scene_free(scene);
    }
}

/* Nor is one that a look shows to be none of the content: SSE-KMS. */
static void a_false_hash_is_no_difference(void **state)
{
    struct error error;

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = content_scene("abcdef", i == 0 ? "abcdef" : "abcxef");
        struct fake_object *object = fake_get_object(scene->from, "public/a");

        scene->from->hashless = false;
        object->encrypted = true;
        snprintf(object->version, DIGEST_HEX_SIZE, "%032d", 1);
        assert_true(validate_scene(scene, &error));
        assert_content(scene, 1, (uint64_t)i, 0);
        scene_free(scene);
    }
}

static void change_before_the_look(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_GET && store->changes > 0) {
        store->changes--;
        put(store, key, "other!", 30);
    }
}

static void change_after_the_look(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_HEAD)
        change_before_the_look(store, FAKE_GET, key);
}

static void remove_before_the_look(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_GET)
        fake_drop_object(store, key);
}

static void what_changes_meanwhile_is_told_apart(void **state)
{
    void (*const happens[])(struct fake_store *, enum fake_op, const char *) = {
        change_before_the_look, change_after_the_look, remove_before_the_look};
    struct error error;

    (void)state;
    for (int i = 0; i < 6; i++) {
        struct scene *scene = content_scene("abcdef", "abcxef");
        struct fake_store *store = i < 3 ? scene->from : scene->to;

        store->changes = 1;
        store->on_call = happens[i % 3];
        assert_true(validate_scene(scene, &error));
        assert_content(scene, 0, 0, 1);
        assert_int_equal(scene->report.failed, 0);
        scene_free(scene);
    }
}

/* A key that is listed and is not found is no change. */
static void what_is_listed_and_not_found_is_a_failure(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_GET, .times = 99, .kind = ERROR_NOT_FOUND});
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_HEAD, .times = 99, .kind = ERROR_NOT_FOUND});
    assert_false(validate_scene(scene, &error));
    assert_int_equal(error.kind, ERROR_PARTIAL);
    assert_content(scene, 0, 0, 0);
    assert_int_equal(scene->report.failed, 1);
    scene_free(scene);
}

static void a_read_that_breaks_is_tried_again(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    for (int i = 0; i < 2; i++)
        fake_fault(i == 0 ? scene->from : scene->to,
                   (struct fake_fault){
                       .op = FAKE_GET, .times = 1, .kind = ERROR_UNREACHABLE, .again = true, .after = 3});
    assert_true(validate_scene(scene, &error));
    assert_content(scene, 1, 0, 0);
    assert_true(scene->report.validation.bytes > 12);
    scene_free(scene);
}

static void a_read_that_keeps_breaking_is_a_failure_and_no_difference(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_GET, .times = 99, .kind = ERROR_PERMISSION});
    assert_false(validate_scene(scene, &error));
    assert_int_equal(error.kind, ERROR_PARTIAL);
    assert_content(scene, 0, 0, 0);
    scene_free(scene);
}

/* A million objects are not asked for in vain. */
static void a_content_check_gives_up_where_nothing_answers(void **state)
{
    struct scene *scene = scene_new(all_content, 2);
    struct error error;
    char key[32];

    (void)state;
    scene->from->hashless = scene->to->hashless = true;
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "public/%03d", i);
        put(scene->from, key, "abc", 10);
        put(scene->to, key, "abc", 20);
    }
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_GET, .times = 999, .kind = ERROR_UNREACHABLE});
    assert_false(validate_scene(scene, &error));
    assert_int_equal(error.kind, ERROR_UNREACHABLE);
    assert_in_range(scene->report.failed, 32, 60);
    scene_free(scene);
}

static void a_content_check_ends_when_it_is_told_to(void **state)
{
    struct scene *scene = content_scene("abcdef", "abcdef");
    struct error error;

    (void)state;
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_GET, .times = 999, .kind = ERROR_UNREACHABLE, .again = true});
    stop_at(clock_mono() + 50);
    assert_false(validate_scene(scene, &error));
    assert_int_equal(error.kind, ERROR_TIMEOUT);
    assert_int_equal(scene->report.failed, 0);
    scene_free(scene);
}

/* How many of 500 objects are read, and the first of them that is. */
static uint64_t count_sampled(const char *share, const char *seed, int *first)
{
    const struct settings_flag flags[] = {{"content", share}, {"content-seed", seed}};
    struct scene *scene = scene_new(flags, 2);
    struct error error;
    uint64_t count;
    char key[32];

    scene->from->hashless = scene->to->hashless = true;
    for (int i = 0; i < 500; i++) {
        snprintf(key, sizeof key, "public/%03d", i);
        put(scene->from, key, "abc", 10);
        put(scene->to, key, "xyz", 20);
    }
    assert_true(validate_scene(scene, &error));
    count = scene->report.validation.read;
    assert_int_equal(scene->report.validation.unhashed, 500 - count);
    assert_int_equal(scene->report.validation.lists[REPORT_MISMATCHED].count, count);
    if (count > 0)
        assert_int_equal(sscanf(scene->report.validation.lists[REPORT_MISMATCHED].json.data,
                                "[{\"file\":\"public/%d", first),
                         1);
    scene_free(scene);
    return count;
}

static void a_sample_is_what_share_and_seed_say(void **state)
{
    int first[4] = {0};
    uint64_t ten = count_sampled("10%", "1", &first[0]);

    (void)state;
    assert_in_range(ten, 25, 75);
    assert_int_equal(count_sampled("10%", "1", &first[1]), ten);
    assert_int_equal(first[0], first[1]);
    count_sampled("10%", "2", &first[2]);
    count_sampled("10%", "3", &first[3]);
    assert_true(first[2] != first[0] || first[3] != first[0]);
    assert_in_range(count_sampled("50%", "7", first), 200, 300);
    assert_int_equal(count_sampled("100%", "7", first), 500);
    assert_int_equal(count_sampled("0", "7", first), 0);
}

static void validation_with_a_broken_listing_knows_nothing(void **state)
{
    struct scene *scene = scene_new(NULL, 0);
    struct error error;

    (void)state;
    put(scene->from, "public/a", "abc", 10);
    fake_fault(scene->to, (struct fake_fault){.op = FAKE_LIST, .times = 99, .kind = ERROR_NO_BUCKET});
    assert_false(
        validate_run(&scene->from->base, &scene->to->base, &scene->settings, false, &scene->report, &error));
    assert_int_equal(error.kind, ERROR_NO_BUCKET);
    assert_false(report_valid(&scene->report));
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
        cmocka_unit_test(copies_what_is_missing_changed_or_newer_and_nothing_else),
        cmocka_unit_test(a_second_run_copies_nothing),
        cmocka_unit_test(a_dry_run_writes_nothing),
        cmocka_unit_test(one_failure_does_not_stop_the_others),
        cmocka_unit_test(what_cannot_be_listed_is_one_failure),
        cmocka_unit_test(what_cannot_be_listed_is_not_valid),
        cmocka_unit_test(state_must_be_readable),
        cmocka_unit_test(refused_credentials_end_the_run),
        cmocka_unit_test(one_reason_for_all_ends_the_run),
        cmocka_unit_test(one_bad_answer_about_key_or_bucket_is_one_failure),
        cmocka_unit_test(a_key_that_is_revoked_ends_the_run),
        cmocka_unit_test(what_is_gone_is_counted_apart),
        cmocka_unit_test(a_service_that_is_gone_ends_the_run),
        cmocka_unit_test(a_broken_listing_decides_nothing_about_the_rest),
        cmocka_unit_test(a_signal_ends_it_and_leaves_no_upload),
        cmocka_unit_test(a_signal_in_the_middle_aborts_the_upload),
        cmocka_unit_test(the_deadline_ends_what_never_answers),
        cmocka_unit_test(the_next_path_is_begun_when_one_is_listed_and_told_in_its_turn),
        cmocka_unit_test(listings_may_be_begun_before_the_run),
        cmocka_unit_test(what_is_in_two_parts_is_copied_once),
        cmocka_unit_test(a_failure_in_the_next_path_is_told_in_its_turn),
        cmocka_unit_test(what_is_told_at_once_waits_for_its_turn),
        cmocka_unit_test(the_next_path_has_no_more_slots_than_are_spare),
        cmocka_unit_test(a_broken_listing_of_the_next_path_waits_for_its_turn),
        cmocka_unit_test(nothing_is_begun_behind_a_broken_listing),
        cmocka_unit_test(a_stop_ends_both_paths),
        cmocka_unit_test(listings_that_waited_too_long_are_asked_for_anew),
        cmocka_unit_test(listings_that_waited_too_long_go_on_behind_what_was_begun),
        cmocka_unit_test(a_stop_asks_for_no_more_listings),
        cmocka_unit_test(of_a_directory_one_path_is_listed_at_a_time),
        cmocka_unit_test(what_ends_the_run_in_the_next_path_ends_it_in_its_turn),
        cmocka_unit_test(nothing_is_removed_before_the_next_path_is_through),
        cmocka_unit_test(validation_counts_every_kind),
        cmocka_unit_test(validation_of_equal_buckets_is_valid),
        cmocka_unit_test(validation_with_a_broken_listing_knows_nothing),
        cmocka_unit_test(extra_objects_count_if_it_is_strict),
        cmocka_unit_test(content_is_read_where_no_hash_compares_it),
        cmocka_unit_test(a_large_object_is_read_as_far_as_it_is_equal),
        cmocka_unit_test(content_is_compared_with_the_hash_of_the_other_side),
        cmocka_unit_test(hashes_are_compared_without_reading),
        cmocka_unit_test(hashes_that_differ_are_looked_into_where_they_do_not_count),
        cmocka_unit_test(a_large_object_is_read_in_pieces),
        cmocka_unit_test(a_false_hash_is_no_difference),
        cmocka_unit_test(what_changes_meanwhile_is_told_apart),
        cmocka_unit_test(what_is_listed_and_not_found_is_a_failure),
        cmocka_unit_test(a_read_that_breaks_is_tried_again),
        cmocka_unit_test(a_read_that_keeps_breaking_is_a_failure_and_no_difference),
        cmocka_unit_test(a_content_check_gives_up_where_nothing_answers),
        cmocka_unit_test(a_content_check_ends_when_it_is_told_to),
        cmocka_unit_test(a_sample_is_what_share_and_seed_say),
    };

    return cmocka_run_group_tests(tests, quiet_log, NULL);
}
