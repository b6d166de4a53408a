/*
 * Rolling back a run whose journal has two entries for an object: what it wrote first, it has removed then.
 */
#include "fake_store.h"
#include "loop_fixture.h"
#include "undo.h"

#include "clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define RUN ".storsync/j/runs/0000000000000001/"

struct scene {
    struct loop *loop;
    struct fake_store *to;
    struct job job;
    struct report report;
    struct lease lease;
    struct settings settings;
    struct journal_head head;
    struct journal_entry entries[2];
};

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof *scene);

    assert_non_null(scene);
    scene->loop = loop_make();
    retry_init(loop_retry(scene->loop), 3, 42);
    scene->to = fake_new("prod", scene->loop);
    scene->to->copies = true;
    scene->to->now = 5000;
    scene->job.store = &scene->to->base;
    snprintf(scene->job.prefix, sizeof scene->job.prefix, ".storsync/j/");
    lease_init(&scene->lease, &scene->job, "us", "", 1000000);
    scene->lease.held = true;
    scene->lease.renewed = clock_mono();
    scene->head = (struct journal_head){.run = 1, .nonce = "n"};
    return scene;
}

static void put(struct scene *scene, const char *key, const char *text, int64_t modified)
{
    fake_put_bytes(scene->to, key, text, strlen(text), modified);
}

/* The entry with that number; `before` and `after` are what is there now. */
static void note(struct scene *scene, int number, enum journal_deed deed, struct object_entry **now)
{
    struct journal_entry *entry = &scene->entries[number - 1];

    entry->deed = deed;
    entry->number = (uint64_t)number;
    memcpy(entry->key, "a", 2);
    *now = deed == JOURNAL_CREATE ? &entry->after : &entry->before;
}

static void name_now(struct scene *scene, struct object_entry *entry)
{
    const struct fake_object *object = fake_get_object(scene->to, "a");

    entry->size = object->size;
    entry->modified = object->modified;
    fake_name(scene->to, object, &entry->version, &entry->hash);
}

static void write_chunk(struct scene *scene, int number)
{
    char key[80];
    struct buf chunk;

    buf_init(&chunk, 1 << 20);
    journal_begin_chunk(&scene->head, &chunk);
    journal_add(&scene->entries[number - 1], &chunk);
    journal_end_chunk(&chunk);
    snprintf(key, sizeof key, RUN "chunk-%012d.json", number);
    fake_put_bytes(scene->to, key, chunk.data, chunk.len, 1);
    buf_free(&chunk);
}

static void roll_back(struct scene *scene)
{
    struct undo_job undo = {.destination = &scene->to->base,
                            .settings = &scene->settings,
                            .report = &scene->report,
                            .lease = &scene->lease,
                            .state = &scene->job};
    struct journal_run run;
    struct error error;

    assert_true(journal_look(&scene->job, 1, &run, &error));
    assert_true(undo_run(&undo, &run, &error));
    assert_int_equal(scene->report.failed, 0);
    assert_int_equal(scene->report.kept, 0);
}

static void scene_free(struct scene *scene)
{
    store_close(&scene->to->base);
    loop_free(scene->loop);
    lease_free(&scene->lease);
    free(scene);
}

/* The sync has put "ours" there, over what was there or not, and removed it in its second pass. */
static struct scene *written_and_removed(const char *before)
{
    struct scene *scene = scene_new();
    struct object_entry *now;

    if (before != NULL) {
        put(scene, "a", before, 900);
        put(scene, RUN "kept/000000000001", before, 1900);
        note(scene, 1, JOURNAL_OVERWRITE, &now);
        name_now(scene, now);
    } else {
        note(scene, 1, JOURNAL_CREATE, &now);
    }
    put(scene, "a", "ours", 2000);
    name_now(scene, &scene->entries[0].after);
    note(scene, 2, JOURNAL_DELETE, &now);
    name_now(scene, now);
    put(scene, RUN "kept/000000000002", "ours", 2100);
    fake_drop_object(scene->to, "a");
    write_chunk(scene, 1);
    write_chunk(scene, 2);
    return scene;
}

static void made_and_removed(void **state)
{
    struct scene *scene = written_and_removed(NULL);

    (void)state;
    roll_back(scene);
    assert_null(fake_get_object(scene->to, "a"));
    scene_free(scene);
}

static void overwritten_and_removed(void **state)
{
    struct scene *scene = written_and_removed("production's");
    const struct fake_object *object;

    (void)state;
    roll_back(scene);
    object = fake_get_object(scene->to, "a");
    assert_non_null(object);
    assert_int_equal(object->size, strlen("production's"));
    assert_memory_equal(object->data, "production's", object->size);
    scene_free(scene);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_and_removed),
        cmocka_unit_test(overwritten_and_removed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
