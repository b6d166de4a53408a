/* The transfer state machine against buckets in memory: what arrives, what is left behind, what is retried. */
#include "fake_store.h"
#include "loop_fixture.h"
#include "transfer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define LARGE (300 * 1000)

struct scene {
    struct loop *loop;
    struct fake_store *from;
    struct fake_store *to;
    struct transfer_plan plan;
    struct transfer transfer;
    struct transfer others[2]; /* they take parts of what that one has */
    int most;                  /* parts of the destination's under way together */
};

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof *scene);

    scene->loop = loop_make();
    retry_init(loop_retry(scene->loop), 3, 42);
    scene->from = fake_new("dev", scene->loop);
    scene->to = fake_new("prod", scene->loop);
    scene->plan = (struct transfer_plan){
        .source = &scene->from->base,
        .destination = &scene->to->base,
        .part_size = 100 * 1000,
    };
    object_meta_init(&scene->plan.acl);
    transfer_init(&scene->transfer, &scene->plan);
    for (int i = 0; i < 2; i++)
        transfer_init(&scene->others[i], &scene->plan);
    return scene;
}

/* The same where the service can copy. */
static struct scene *scene_copying(void)
{
    struct scene *scene = scene_new();

    scene->plan.server_copy = true;
    scene->plan.seen = true;
    return scene;
}

static void scene_free(struct scene *scene)
{
    transfer_free(&scene->transfer);
    for (int i = 0; i < 2; i++)
        transfer_free(&scene->others[i]);
    object_meta_free(&scene->plan.acl);
    store_close(&scene->from->base);
    store_close(&scene->to->base);
    loop_free(scene->loop);
    free(scene);
}

/* An object whose bytes tell their own offset. */
static struct fake_object *add(struct fake_store *store, const char *key, size_t size)
{
    unsigned char *data = malloc(size + 1);
    struct fake_object *object;

    for (size_t i = 0; i < size; i++)
        data[i] = (unsigned char)(i * 7 + i / 251);
    object = fake_put_bytes(store, key, data, size, 1000);
    object_meta_add(&object->meta, "content-type", "image/png");
    object_meta_add(&object->meta, "user:colour", "blue");
    free(data);
    return object;
}

static void start(struct scene *scene, const char *key)
{
    const struct fake_object *object = fake_get_object(scene->from, key);
    struct object_entry entry = {.key = key, .size = object->size, .modified = object->modified};

    fake_name(scene->from, object, &entry.version, &entry.hash);
    transfer_start(&scene->transfer, &entry);
}

static void step(struct scene *scene)
{
    int busy = !scene->transfer.put.done;

    for (int i = 0; i < 2; i++) {
        struct transfer *other = &scene->others[i];

        if (transfer_idle(other) && transfer_can_lend(&scene->transfer))
            assert_true(transfer_take_part(other, &scene->transfer));
        transfer_step(other);
        busy += !transfer_idle(other) && !other->put.done;
    }
    scene->most = busy > scene->most ? busy : scene->most;
    transfer_step(&scene->transfer);
}

/* Steps until it is idle; backoffs are over at once. */
static enum transfer_result finish(struct scene *scene)
{
    for (int i = 0; i < 100000 && !transfer_idle(&scene->transfer); i++) {
        if (scene->transfer.wake != 0)
            scene->transfer.wake = 1;
        step(scene);
    }
    assert_true(transfer_idle(&scene->transfer));
    assert_true(transfer_idle(&scene->others[0]) && transfer_idle(&scene->others[1]));
    return scene->transfer.result;
}

static void assert_arrived(struct scene *scene, const char *key)
{
    struct fake_object *is = fake_get_object(scene->to, key);
    struct fake_object *should = fake_get_object(scene->from, key);

    assert_non_null(is);
    assert_int_equal(is->size, should->size);
    assert_memory_equal(is->data, should->data, should->size);
    assert_string_equal(object_meta_get(&is->meta, "content-type"), "image/png");
    assert_string_equal(object_meta_get(&is->meta, "user:colour"), "blue");
    assert_int_equal(scene->to->open_uploads, 0);
}

static void relays_a_small_object_with_its_metadata(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 70 * 1000);
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(fake_get_object(scene->to, "a")->modified, 1000);
    assert_int_equal(scene->from->calls[FAKE_HEAD], 0);
    assert_int_equal(scene->from->calls[FAKE_GET], 1);
    assert_int_equal(scene->to->calls[FAKE_PUT], 1);
    scene_free(scene);
}

static void relays_an_empty_object(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "empty", 0);
    start(scene, "empty");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "empty");
    scene_free(scene);
}

static void relays_a_large_object_in_parts_of_one_version(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "large", LARGE + 1);
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "large");
    assert_int_equal(scene->to->calls[FAKE_PART], 4);
    assert_int_equal(scene->from->calls[FAKE_GET], 4);
    assert_int_equal(scene->to->calls[FAKE_FINISH], 1);
    assert_int_equal(scene->to->calls[FAKE_ABORT], 0);
    scene_free(scene);
}

static void tags_travel(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 10)->tags = 1;
    add(scene->from, "large", LARGE)->tags = 1;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_string_equal(object_meta_get(&fake_get_object(scene->to, "a")->meta, "tagging"), "a=b");
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_string_equal(object_meta_get(&fake_get_object(scene->to, "large")->meta, "tagging"), "a=b");
    scene_free(scene);
}

/* Replaced after its head was read: the tags that come now are those of the new version. */
static void tags_are_of_the_version_that_is_copied(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 10)->tags = 1;
    start(scene, "a");
    while (scene->from->calls[FAKE_TAGS] == 0)
        transfer_step(&scene->transfer);
    add(scene->from, "a", 20)->tags = 1;
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->from->calls[FAKE_TAGS], 2);
    scene_free(scene);
}

static void fewer_tags_than_told_are_not_all(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 10)->tags = 2;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_null(fake_get_object(scene->to, "a"));
    scene_free(scene);
}

/* Whichever way an object goes, it is there with its grants at once, or with the one ACL that all get. */
static void acls_travel(void **state)
{
    (void)state;
    for (int shape = 0; shape < 8; shape++) {
        struct scene *scene = (shape & 1) != 0 ? scene_copying() : scene_new();
        bool copied = (shape & 4) != 0;

        scene->to->base.traits.copy_max = LARGE - 1;
        scene->plan.copy_acl = copied;
        if (!copied)
            object_meta_add(&scene->plan.acl, "acl", "public-read");
        snprintf(add(scene->from, "a", (shape & 2) != 0 ? LARGE : 10)->acl, 40, "to you");
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_string_equal(fake_get_object(scene->to, "a")->acl, copied ? "to you" : "public-read");
        assert_int_equal(scene->from->calls[FAKE_ACL], copied);
        assert_int_equal(scene->to->calls[FAKE_ACL], 0);
        add(scene->from, "a", 20)->acl[0] = '\0';
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_string_equal(fake_get_object(scene->to, "a")->acl, copied ? "" : "public-read");
        scene_free(scene);
    }
}

/* Another object takes the place of "a" right after its grants were read. */
static void replace_after_grants(struct fake_store *store, enum fake_op op, const char *key)
{
    struct fake_store *from = store->peer;
    size_t size = fake_get_object(from, "a")->size;

    (void)key;
    if ((op == FAKE_COPY || op == FAKE_HEAD) && from->calls[FAKE_ACL] == 1 && from->changes > 0) {
        from->changes--;
        snprintf(add(from, "a", size + 1)->acl, 40, "private");
    }
}

/* An object whose grants were read just before another took its place. */
static void grants_are_of_the_version_that_is_copied(void **state)
{
    (void)state;
    for (int shape = 0; shape < 8; shape++) {
        struct scene *scene = (shape & 1) != 0 ? scene_copying() : scene_new();
        size_t size = (shape & 2) != 0 ? LARGE : 10;

        scene->to->base.traits.copy_max = LARGE - 1;
        scene->to->ignores_versions = (shape & 4) != 0; /* as Ceph RGW up to 16 does */
        scene->plan.copy_acl = true;
        snprintf(add(scene->from, "a", size)->acl, 40, "public");
        scene->from->peer = scene->to->peer = scene->from;
        scene->from->on_call = scene->to->on_call = replace_after_grants;
        scene->from->changes = 1;
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_int_equal(scene->from->changes, 0);
        assert_arrived(scene, "a");
        assert_string_equal(fake_get_object(scene->to, "a")->acl, "private");
        scene_free(scene);
    }
}

static void copies_inside_one_service(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    scene->plan.server_copy = true;
    scene->plan.seen = true;
    add(scene->from, "a", LARGE);
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->to->calls[FAKE_COPY], 1);
    assert_int_equal(scene->from->calls[FAKE_GET] + scene->to->calls[FAKE_PUT], 0);
    scene_free(scene);
}

static void copies_in_parts_above_the_limit(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    scene->plan.server_copy = true;
    scene->plan.seen = true;
    scene->to->base.traits.copy_max = 1000;
    scene->to->base.traits.part_count_max = 3;
    add(scene->from, "a", LARGE);
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->to->calls[FAKE_COPY], 0);
    assert_int_equal(scene->to->calls[FAKE_PART_COPY], 1);
    scene_free(scene);
}

/* Where a service may ignore the version that a part is asked for by, the source is asked once more before the end. */
static void the_version_of_copied_parts_is_sure(void **state)
{
    (void)state;
    for (int sure = 0; sure <= 1; sure++) {
        struct scene *scene = scene_copying();

        scene->to->base.traits.copy_max = 1000;
        scene->to->base.traits.copies_version = sure;
        add(scene->from, "a", LARGE);
        start(scene, "a");
        while (scene->to->calls[FAKE_PART_COPY] == 0)
            transfer_step(&scene->transfer);
        scene->from->calls[FAKE_HEAD] = 0;
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_int_equal(scene->from->calls[FAKE_HEAD], sure ? 1 : 2);
        scene_free(scene);
    }
}

/* Its real bytes are few: nothing but the length of the parts follows from what is listed. */
static void parts_that_are_the_whole_object_are_not_put_together(void **state)
{
    static const uint64_t sizes[] = {UINT64_C(600) << 20, UINT64_C(1024) << 20, UINT64_C(1026) << 20};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct scene *scene = scene_copying();
        struct fake_object *object = add(scene->from, "a", 10);

        snprintf(object->version, sizeof object->version, "d41d8cd98f00b204e9800998ecf8427e");
        object->size = (size_t)sizes[i];
        scene->to->base.traits.copy_max = 1000;
        scene->to->ignores_ranges = true;
        /* the relay that comes after it */
        fake_fault(scene->to,
                   (struct fake_fault){.op = FAKE_BEGIN, .skip = 1, .times = 1, .kind = ERROR_PERMISSION});
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_FAILED);
        assert_true(scene->plan.parts.off);
        assert_in_range(scene->to->calls[FAKE_PART_COPY], 2, 3);
        assert_int_equal(scene->to->calls[FAKE_FINISH], 0);
        assert_int_equal(scene->to->open_uploads, 0);
        object->size = 10;
        scene_free(scene);
    }
}

/* An ETag has one size. Which of the two is it? */
static void one_version_of_two_sizes_is_not_copied(void **state)
{
    (void)state;
    for (int copying = 0; copying <= 1; copying++) {
        struct scene *scene = copying ? scene_copying() : scene_new();
        struct fake_object *object = add(scene->from, "a", LARGE);

        scene->to->base.traits.copy_max = 1000;
        object->size = 2 * LARGE;
        start(scene, "a");
        object->size = LARGE;
        assert_int_equal(finish(scene), TRANSFER_FAILED);
        assert_non_null(strstr(scene->transfer.error.text, "the same version has 300000"));
        assert_null(fake_get_object(scene->to, "a"));
        scene_free(scene);
    }
}

/* Whole seconds on one side, times kept on the other: two versions of one second and one size look the same. */
static void the_second_version_of_one_second_arrives(void **state)
{
    (void)state;
    for (int fresh = 0; fresh <= 1; fresh++) {
        struct scene *scene = scene_new();

        fake_put_bytes(scene->from, "a", "one", 3, 5000);
        scene->from->served = fresh ? 5000 : 6000;
        scene->to->base.traits.keeps_times = true;
        start(scene, "a");
        while (fake_get_object(scene->to, "a") == NULL)
            transfer_step(&scene->transfer);
        if (!fresh) {
            assert_int_equal(finish(scene), TRANSFER_COPIED);
            assert_int_equal(scene->from->calls[FAKE_HEAD], 0);
            scene_free(scene);
            continue;
        }
        transfer_step(&scene->transfer);
        assert_true(transfer_wake(&scene->transfer) > clock_mono());
        fake_put_bytes(scene->from, "a", "two", 3, 5000);
        scene->from->served = 6000;
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_memory_equal(fake_get_object(scene->to, "a")->data, "two", 3);
        scene_free(scene);
    }
}

static void what_waits_for_the_next_second_is_copied_when_stopped(void **state)
{
    struct scene *scene = scene_new();
    struct error why;

    (void)state;
    fake_put_bytes(scene->from, "a", "one", 3, 5000);
    scene->from->served = 5000;
    scene->to->base.traits.keeps_times = true;
    start(scene, "a");
    while (transfer_wake(&scene->transfer) == INT64_MAX)
        transfer_step(&scene->transfer);
    error_set(&why, ERROR_INTERRUPTED, "stop");
    transfer_stop(&scene->transfer, &why);
    assert_false(transfer_idle(&scene->transfer));
    transfer_step(&scene->transfer);
    assert_true(transfer_idle(&scene->transfer));
    assert_int_equal(scene->transfer.result, TRANSFER_COPIED);
    scene_free(scene);
}

/* Replaces the source object while its parts are being copied, by a service that does not notice. */
static void change_at_second_part_copy(struct fake_store *store, enum fake_op op, const char *key)
{
    struct fake_object *object = fake_get_object(store, key);

    if (op == FAKE_HEAD && store->calls[FAKE_HEAD] == 2)
        fake_put_bytes(store, key, "another version", 15, object->modified + 1);
}

static void a_version_that_changed_unnoticed_is_not_finished(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    scene->plan.server_copy = true;
    scene->plan.seen = true;
    scene->to->base.traits.copy_max = 1000;
    add(scene->from, "a", LARGE);
    scene->from->on_call = change_at_second_part_copy;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_int_equal(fake_get_object(scene->to, "a")->size, 15);
    assert_int_equal(scene->to->calls[FAKE_ABORT], 1);
    assert_int_equal(scene->to->open_uploads, 0);
    scene_free(scene);
}

static void parts_grow_when_there_would_be_too_many(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    scene->to->base.traits.part_count_max = 2;
    add(scene->from, "large", LARGE + 1);
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "large");
    assert_int_equal(scene->to->calls[FAKE_PART], 2);
    scene_free(scene);
}

/* Copies objects "0", "1", ... in a row; all of them must arrive. */
static void copy_in_a_row(struct scene *scene, int count)
{
    char key[16];

    for (int i = 0; i < count; i++) {
        snprintf(key, sizeof key, "%d", i);
        add(scene->from, key, 10);
        start(scene, key);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, key);
    }
}

static void refused_copies_become_relays_and_are_remembered(void **state)
{
    static const struct {
        struct fake_fault fault;
        int tried; /* of ten */
    } table[] = {
        {{.kind = ERROR_PERMISSION, .status = 403, .code = "AccessDenied"}, 3},
        {{.kind = ERROR_NO_BUCKET, .status = 404, .code = "NoSuchBucket"}, 3},
        {{.kind = ERROR_CREDENTIALS, .status = 403, .code = "SignatureDoesNotMatch"}, 3},
        {{.kind = ERROR_PROTOCOL, .status = 400, .code = "InvalidRequest"}, 3},
        {{.kind = ERROR_NOT_FOUND, .status = 404, .code = "NoSuchKey"}, 3},
        {{.kind = ERROR_PRECONDITION, .status = 412, .code = "PreconditionFailed"}, 3},
        /* the service cannot */
        {{.kind = ERROR_UNSUPPORTED, .status = 501, .code = "NotImplemented"}, 1},
        {{.kind = ERROR_UNSUPPORTED, .status = 405, .code = "MethodNotAllowed"}, 1},
        /* about this object, whoever asks */
        {{.kind = ERROR_PERMISSION, .status = 403, .code = "InvalidObjectState"}, 10},
        {{.kind = ERROR_UNSUPPORTED, .status = 400, .code = "EntityTooLarge"}, 10},
        {{.kind = ERROR_UNSUPPORTED}, 10},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct scene *scene = scene_copying();
        struct fake_fault fault = table[i].fault;

        fault.op = FAKE_COPY;
        fault.times = 99;
        fake_fault(scene->to, fault);
        copy_in_a_row(scene, 10);
        assert_int_equal(scene->to->calls[FAKE_COPY], table[i].tried);
        scene_free(scene);
    }
}

static void a_service_that_copies_whole_objects_only(void **state)
{
    struct scene *scene = scene_copying();

    (void)state;
    scene->to->base.traits.copy_max = 1000;
    fake_fault(scene->to, (struct fake_fault){
                              .op = FAKE_PART_COPY, .times = 99, .kind = ERROR_UNSUPPORTED, .status = 501});
    copy_in_a_row(scene, 2);
    for (const char *key = "x\0y\0z\0"; *key != '\0'; key += 2) {
        add(scene->from, key, LARGE);
        start(scene, key);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, key);
    }
    assert_int_equal(scene->to->calls[FAKE_PART_COPY], 1);
    copy_in_a_row(scene, 2);
    assert_int_equal(scene->to->calls[FAKE_COPY], 4);
    scene_free(scene);
}

/* ---- another account, which has a bucket of the same name ---- */

static void another_accounts_bucket_is_not_the_source(void **state)
{
    static const char *const others[] = {NULL, "other bytes of it", "bytes 1000 ms later"};

    (void)state;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct scene *scene = scene_copying();

        scene->plan.seen = false;
        scene->to->ignores_versions = true;
        scene->to->other_view = fake_new("dev of prod's account", NULL);
        for (int n = 0; n < 10 && others[i] != NULL; n++) {
            char key[16];

            snprintf(key, sizeof key, "%d", n);
            if (i == 1)
                fake_put_bytes(scene->to->other_view, key, others[i], 10, 1000);
            else
                add(scene->to->other_view, key, 10)->modified += 1000;
        }
        copy_in_a_row(scene, 10);
        assert_int_equal(scene->to->calls[FAKE_COPY], 0);
        assert_int_equal(scene->to->calls[FAKE_PEEK], 3);
        store_close(&scene->to->other_view->base);
        scene_free(scene);
    }
}

static void an_empty_object_shows_no_bucket(void **state)
{
    struct scene *scene = scene_copying();

    (void)state;
    scene->plan.seen = false;
    scene->to->other_view = fake_new("dev of prod's account", NULL);
    for (int i = 0; i < 5; i++) {
        char key[16];

        snprintf(key, sizeof key, "%d", i);
        add(scene->from, key, 0);
        add(scene->to->other_view, key, 0);
        start(scene, key);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, key);
    }
    assert_false(scene->plan.seen);
    assert_int_equal(scene->to->calls[FAKE_PEEK] + scene->to->calls[FAKE_COPY], 0);
    assert_false(scene->plan.whole.off);
    store_close(&scene->to->other_view->base);
    scene_free(scene);
}

static void another_key_of_the_same_account_copies_once_it_was_seen_to(void **state)
{
    struct scene *scene = scene_copying();

    (void)state;
    scene->plan.seen = false;
    scene->to->other_view = scene->from;
    copy_in_a_row(scene, 10);
    assert_int_equal(scene->to->calls[FAKE_PEEK], 1);
    assert_int_equal(scene->to->calls[FAKE_COPY], 10);
    scene_free(scene);
}

/* Whatever made us believe it: what came of a copy is looked at. */
static void a_copy_of_something_else_is_found_out(void **state)
{
    struct scene *scene = scene_copying();

    (void)state;
    scene->to->ignores_versions = true;
    scene->to->other_view = fake_new("dev of prod's account", NULL);
    fake_put_bytes(scene->to->other_view, "0", "something else", 10, 1000);
    copy_in_a_row(scene, 5);
    assert_int_equal(scene->to->calls[FAKE_COPY], 1);
    assert_false(scene->plan.server_copy);
    store_close(&scene->to->other_view->base);
    scene_free(scene);
}

static void a_copy_of_the_next_version_is_as_good(void **state)
{
    struct scene *scene = scene_copying();
    struct object_entry listed = {.key = "a", .size = 10, .version = "0cc175b9c0f1b6a831c399e269772661"};

    (void)state;
    object_hash_md5(&listed.hash, listed.version);
    scene->to->ignores_versions = true;
    add(scene->from, "a", 20);
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->transfer.entry.size, 20);
    assert_int_equal(scene->to->calls[FAKE_COPY], 1);
    assert_true(scene->plan.server_copy);
    scene_free(scene);
}

/* With SSE-KMS an ETag has 32 digits and is no MD5: each copy has another. That is asked about once. */
static void hashes_of_encrypted_objects_say_nothing(void **state)
{
    struct scene *scene = scene_copying();
    char key[16];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "%d", i);
        add(scene->from, key, 10)->encrypted = true;
        snprintf(fake_get_object(scene->from, key)->version, OBJECT_VERSION_SIZE, "%032d", i + 1);
        start(scene, key);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, key);
    }
    assert_int_equal(scene->from->calls[FAKE_HEAD], 1);
    assert_int_equal(scene->to->calls[FAKE_COPY], 3);
    scene_free(scene);
}

/* ---- not there ---- */

static void what_is_listed_but_not_found_has_failed(void **state)
{
    static const enum fake_op ops[] = {FAKE_GET, FAKE_HEAD};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        struct scene *scene = scene_new();

        scene->plan.server_copy = ops[i] == FAKE_HEAD;
        scene->plan.seen = true;
        add(scene->from, "a b", 10);
        fake_fault(scene->from, (struct fake_fault){.op = ops[i], .times = 99, .kind = ERROR_NOT_FOUND});
        fake_fault(scene->to, (struct fake_fault){.op = FAKE_COPY, .times = 99, .kind = ERROR_NOT_FOUND});
        start(scene, "a b");
        assert_int_equal(finish(scene), TRANSFER_FAILED);
        assert_non_null(strstr(scene->transfer.error.text, "it is listed"));
        scene_free(scene);
    }
}

/* How such a key is to be written is what is in question: it is looked for by what comes before. */
static void a_strange_key_is_looked_for_by_its_plain_beginning(void **state)
{
    struct scene *scene = scene_new();
    struct object_entry listed = {.key = "dir/a%20b", .size = 10};

    (void)state;
    for (const char *key = "dir/a\0dir/a c\0dir/a%2520c\0dir/a2\0dir/b\0"; *key != '\0';
         key += strlen(key) + 1)
        add(scene->from, key, 10);
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_GONE);
    add(scene->from, "dir/a%20b", 10);
    fake_fault(scene->from, (struct fake_fault){.op = FAKE_GET, .times = 99, .kind = ERROR_NOT_FOUND});
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    scene_free(scene);
}

/* One listing may be misread and the next one not: what is listed in another spelling is not gone either. */
static void what_is_listed_in_another_spelling_has_failed(void **state)
{
    static const struct {
        const char *first, *then;
        enum transfer_result result;
    } rows[] = {
        {"a b", "a%20b", TRANSFER_FAILED},
        {"a b", "a+b", TRANSFER_FAILED},
        {"a%20b", "a b", TRANSFER_FAILED},
        {"a+b", "a%2Bb", TRANSFER_FAILED},
        {"a%2Bb", "a+b", TRANSFER_FAILED},
        {"a%20b", "a%2520b", TRANSFER_FAILED},
        {"a%C3%A9", "a\xC3\xA9", TRANSFER_FAILED},
        {"a b", "a c", TRANSFER_GONE},
        {"a b", "a%20bc", TRANSFER_GONE},
        {"a b", "abc", TRANSFER_GONE},
        {"a", "a%", TRANSFER_GONE},
        {"a+b", "a+", TRANSFER_GONE},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct scene *scene = scene_new();
        struct object_entry listed = {.key = rows[i].first, .size = 10};

        add(scene->from, rows[i].then, 10);
        transfer_start(&scene->transfer, &listed);
        if (finish(scene) != rows[i].result)
            fail_msg("%s, then %s", rows[i].first, rows[i].then);
        scene_free(scene);
    }
}

static void what_cannot_be_looked_through_is_not_gone(void **state)
{
    struct scene *scene = scene_new();
    struct object_entry listed = {.key = "dir/~%7E", .size = 1};
    char key[32];

    (void)state;
    for (int i = 0; i <= ABSENCE_KEYS_MAX; i++) {
        snprintf(key, sizeof key, "dir/~ %05d", i);
        add(scene->from, key, 1);
    }
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_non_null(strstr(scene->transfer.error.text, "would take too long"));
    scene_free(scene);
}

static void a_listing_that_breaks_proves_nothing(void **state)
{
    struct scene *scene = scene_new();
    struct object_entry listed = {.key = "a", .size = 10};

    (void)state;
    fake_fault(scene->from, (struct fake_fault){.op = FAKE_LIST, .times = 9, .kind = ERROR_UNREACHABLE});
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_UNREACHABLE);
    scene_free(scene);
}

/* ---- changes that would not show ---- */

/* The ETag of a large object, uploaded in parts. */
static void give_etag(struct fake_store *store, const char *key, int version)
{
    snprintf(fake_get_object(store, key)->version, OBJECT_VERSION_SIZE, "%032d-2", version);
}

static void replace_while_it_is_written(struct fake_store *store, enum fake_op op, const char *key)
{
    struct fake_store *source = store->peer;

    if (op != FAKE_PUT || store->calls[FAKE_PUT] > store->changes)
        return;
    add(source, key, 50)->data[0] = (char)('A' + store->calls[FAKE_PUT]);
    give_etag(source, key, 1 + store->calls[FAKE_PUT]);
}

static void replace_at_the_first_finish(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op != FAKE_FINISH || store->calls[FAKE_FINISH] != 1)
        return;
    add(store->peer, key, LARGE)->data[0] = 'X';
    give_etag(store->peer, key, 7);
}

static void a_change_while_it_is_written_is_copied_too(void **state)
{
    (void)state;
    for (int changes = 0; changes < 9; changes += 4) {
        struct scene *scene = scene_new();

        add(scene->from, "a", 50);
        give_etag(scene->from, "a", 1);
        scene->to->peer = scene->from;
        scene->to->changes = changes / 4;
        scene->to->on_call = replace_while_it_is_written;
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_int_equal(scene->to->calls[FAKE_PUT], changes / 4 + 1);
        scene_free(scene);
    }
}

static void replace_at_the_last_put(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_PUT && store->calls[FAKE_PUT] == store->changes)
        add(store->peer, key, 50)->data[0] = 'X';
    if (op == FAKE_PUT && store->calls[FAKE_PUT] == store->changes)
        give_etag(store->peer, key, 2);
}

/* The write counts as failed, and may have happened: with the version before, later than the change. A look at a file is free. */
static void a_change_during_a_write_that_failed_is_copied_too(void **state)
{
    (void)state;
    for (int file = 0; file < 2; file++) {
        struct scene *scene = scene_new();

        scene->from->base.traits.local = scene->from->hashless = file != 0;
        add(scene->from, "a", 50);
        scene->to->peer = scene->from;
        scene->to->changes = 1 + loop_retry(scene->loop)->limit;
        scene->to->on_call = replace_at_the_last_put;
        fake_fault(scene->to, (struct fake_fault){.op = FAKE_PUT,
                                                  .times = scene->to->changes,
                                                  .after = 50,
                                                  .kind = ERROR_UNREACHABLE,
                                                  .again = true});
        start(scene, "a");
        assert_int_equal(finish(scene), file ? TRANSFER_COPIED : TRANSFER_FAILED);
        if (file)
            assert_arrived(scene, "a");
        assert_int_equal(scene->to->calls[FAKE_PUT], scene->to->changes + file);
        assert_int_equal(scene->from->calls[FAKE_HEAD], file ? 2 : 0); /* that, and the usual last look */
        scene_free(scene);
    }
}

/* A hash at the source, none at the destination: it was uploaded in parts there. */
static void a_change_while_its_parts_are_finished_is_copied_too(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", LARGE);
    scene->to->peer = scene->from;
    scene->to->on_call = replace_at_the_first_finish;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->to->calls[FAKE_FINISH], 2);
    scene_free(scene);
}

static void what_changes_all_the_time_is_copied_all_the_same(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 50);
    give_etag(scene->from, "a", 1);
    scene->to->peer = scene->from;
    scene->to->changes = 99;
    scene->to->on_call = replace_while_it_is_written;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_in_range(scene->to->calls[FAKE_PUT], 2, 5);
    scene_free(scene);
}

/* ---- tags that the destination does not take ---- */

static void tags_are_left_out_where_there_are_none(void **state)
{
    static const int statuses[] = {400, 501};

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct scene *scene = scene_new();

        add(scene->from, "a", 10)->tags = 1;
        add(scene->from, "b", LARGE)->tags = 1;
        fake_fault(scene->to, (struct fake_fault){
                                  .op = FAKE_PUT, .times = 1, .kind = ERROR_PROTOCOL, .status = statuses[i]});
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_null(object_meta_get(&fake_get_object(scene->to, "a")->meta, "tagging"));
        start(scene, "b");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_int_equal(scene->from->calls[FAKE_TAGS], 1);
        scene_free(scene);
    }
}

static void a_refusal_that_was_not_for_the_tags_stays_one(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 10)->tags = 1;
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_PUT, .times = 9, .kind = ERROR_PROTOCOL, .status = 400});
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->to->calls[FAKE_PUT], 2);
    assert_false(scene->plan.tags_dropped);
    scene_free(scene);
}

static void tags_can_be_required_or_ignored(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 10)->tags = 1;
    scene->plan.tags = TAGS_IGNORE;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_int_equal(scene->from->calls[FAKE_TAGS], 0);
    scene->plan.tags = TAGS_REQUIRE;
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_PUT, .times = 1, .kind = ERROR_UNSUPPORTED, .status = 501});
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_string_equal(object_meta_get(&fake_get_object(scene->to, "a")->meta, "tagging"), "a=b");
    scene_free(scene);
}

static void one_refused_copy_among_good_ones_is_relayed_alone(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    scene->plan.server_copy = true;
    scene->plan.seen = true;
    add(scene->from, "a", 10);
    add(scene->from, "b", 10);
    add(scene->from, "c", 10);
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_COPY, .key = "b", .times = 1, .kind = ERROR_PERMISSION});
    for (const char *key = "a\0b\0c\0"; *key != '\0'; key += 2) {
        start(scene, key);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, key);
    }
    assert_int_equal(scene->to->calls[FAKE_COPY], 3);
    assert_int_equal(scene->from->calls[FAKE_GET], 1);
    scene_free(scene);
}

static void a_vanished_object_is_gone(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    for (int copy = 0; copy < 2; copy++) {
        scene->plan.server_copy = copy != 0;
        scene->plan.seen = true;
        for (size_t size = 10; size <= LARGE; size += LARGE - 10) {
            add(scene->from, "a", size);
            {
                struct object_entry entry = {.key = "a", .size = size};

                fake_drop_object(scene->from, "a");
                transfer_start(&scene->transfer, &entry);
            }
            assert_int_equal(finish(scene), TRANSFER_GONE);
            assert_null(fake_get_object(scene->to, "a"));
        }
    }
    scene_free(scene);
}

/* Replaces the source object when its second part is asked for. */
static void change_at_second_get(struct fake_store *store, enum fake_op op, const char *key)
{
    struct fake_object *object;

    if (op != FAKE_GET || store->calls[FAKE_GET] != 2)
        return;
    object = add(store, key, LARGE - 50 * 1000);
    object->data[0] = 'X';
    digest_of(object->data, object->size, object->version);
}

static void a_change_between_parts_starts_over(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "large", LARGE);
    scene->from->on_call = change_at_second_get;
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "large");
    assert_int_equal(scene->to->calls[FAKE_ABORT], 1);
    assert_int_equal(scene->transfer.entry.size, LARGE - 50 * 1000);
    scene_free(scene);
}

static void change_at_every_get(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_GET && store->calls[FAKE_GET] % 2 == 0)
        add(store, key, LARGE + (size_t)store->calls[FAKE_GET]);
}

static void an_object_that_keeps_changing_fails(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "large", LARGE);
    scene->from->on_call = change_at_every_get;
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_PRECONDITION);
    assert_null(fake_get_object(scene->to, "large"));
    assert_int_equal(scene->to->open_uploads, 0);
    scene_free(scene);
}

static void a_changed_object_is_copied_as_it_is_now(void **state)
{
    struct scene *scene = scene_new();
    struct object_entry listed = {.key = "a", .size = 10, .version = "another version"};

    (void)state;
    scene->plan.server_copy = true;
    scene->plan.seen = true;
    add(scene->from, "a", 20);
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    assert_int_equal(scene->from->calls[FAKE_HEAD], 1);
    scene_free(scene);
}

/* Ranges of a source that tells no version could be of two of them. */
static void without_a_version_it_is_read_in_one_stream(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "large", LARGE);
    scene->from->tells_no_version = true;
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "large");
    assert_int_equal(scene->from->calls[FAKE_GET], 1);
    assert_int_equal(scene->to->calls[FAKE_PUT], 1);
    assert_int_equal(scene->to->calls[FAKE_BEGIN], 0);
    /* larger than one put may be: nobody can say that its parts belong together */
    scene->to->base.traits.put_max = LARGE - 1;
    fake_drop_object(scene->to, "large");
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_UNSUPPORTED);
    assert_null(fake_get_object(scene->to, "large"));
    scene_free(scene);
}

/* What is told about another object without its version does not replace what was listed. */
static void a_head_without_a_version_is_not_believed(void **state)
{
    struct scene *scene = scene_new();
    struct object_entry listed = {.key = "large", .size = LARGE + 1, .version = "listed"};

    (void)state;
    add(scene->from, "large", LARGE);
    scene->from->tells_no_version = true;
    transfer_start(&scene->transfer, &listed);
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_PROTOCOL);
    assert_int_equal(scene->from->calls[FAKE_GET], 0);
    scene_free(scene);
}

/* Parts that were damaged on the way show in the hash of them all, before the upload is finished. */
static void damage_a_part(bool sums)
{
    for (int times = 1; times <= 99; times += 98) {
        struct scene *scene = scene_new();

        scene->from->base.traits.plain = !sums;
        scene->from->sums = sums;
        scene->from->damaged_gets = times;
        add(scene->from, "large", LARGE);
        /* a part that is read twice counts once */
        fake_fault(scene->from, (struct fake_fault){.op = FAKE_GET,
                                                    .skip = 1,
                                                    .times = 1,
                                                    .after = 50000,
                                                    .kind = ERROR_UNREACHABLE,
                                                    .again = true});
        start(scene, "large");
        if (times == 1) {
            assert_int_equal(finish(scene), TRANSFER_COPIED);
            assert_arrived(scene, "large");
            assert_int_equal(scene->to->calls[FAKE_ABORT], 1);
        } else {
            assert_int_equal(finish(scene), TRANSFER_FAILED);
            assert_non_null(strstr(scene->transfer.error.text, sums ? "damaged on the way: its CRC32C is not "
                                                                    : "damaged on the way: its MD5 is not "));
            assert_null(fake_get_object(scene->to, "large"));
        }
        assert_int_equal(scene->to->calls[FAKE_FINISH], times == 1 ? 1 : 0);
        assert_int_equal(scene->to->open_uploads, 0);
        scene_free(scene);
    }
}

static void a_damaged_part_starts_over(void **state)
{
    (void)state;
    damage_a_part(false);
    damage_a_part(true);
}

/* Of what has no MD5, what passes the pipe is compared with its CRC32C. */
static void a_sum_is_compared_on_the_way(void **state)
{
    (void)state;
    for (int times = 0; times <= 98; times += 49) {
        struct scene *scene = scene_new();

        scene->from->sums = true;
        scene->from->damaged_gets = times == 49 ? 1 : times;
        add(scene->from, "small", 50 * 1000);
        start(scene, "small");
        assert_int_equal(finish(scene), times == 98 ? TRANSFER_FAILED : TRANSFER_COPIED);
        if (times < 98)
            assert_arrived(scene, "small");
        scene_free(scene);
    }
}

/* The reading half does not wait for a pipe that nobody empties any more. */
static void a_put_that_ends_before_its_body_fails(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "a", 70 * 1000);
    scene->to->puts_early = true;
    start(scene, "a");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_PROTOCOL);
    assert_true(scene->transfer.get.done);
    assert_int_equal(scene->to->calls[FAKE_PUT], 1 + loop_retry(scene->loop)->limit);
    scene_free(scene);
}

/* A cache gives the version before the one that was listed: the listing is right, and nothing is copied. */
static void an_older_version_than_listed_is_no_change(void **state)
{
    (void)state;
    for (int keeps_times = 0; keeps_times < 2; keeps_times++) {
        struct scene *scene = scene_new();
        struct object_entry listed = {.key = "a", .size = 20, .modified = 1999, .version = "another version"};

        scene->plan.server_copy = true;
        scene->plan.seen = true;
        scene->from->base.traits.keeps_times = keeps_times != 0;
        add(scene->from, "a", 20);
        transfer_start(&scene->transfer, &listed);
        assert_int_equal(finish(scene), TRANSFER_COPIED); /* within one second */
        fake_drop_object(scene->to, "a");
        listed.modified = 2000;
        transfer_start(&scene->transfer, &listed);
        assert_int_equal(finish(scene), keeps_times ? TRANSFER_COPIED : TRANSFER_FAILED);
        assert_int_equal(fake_get_object(scene->to, "a") != NULL, keeps_times);
        scene_free(scene);
    }
}

/* A body whose MD5 nobody knows is read twice, once to measure it. */
static void what_must_be_measured_is_read_twice(void **state)
{
    (void)state;
    for (size_t size = 70 * 1000; size <= LARGE; size += LARGE - 70 * 1000) {
        struct scene *scene = scene_new();
        int parts = size == LARGE ? 3 : 1;

        scene->to->demands_md5 = scene->from->hashless = true;
        add(scene->from, "a", size);
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_int_equal(scene->from->calls[FAKE_GET], 1 + 2 * parts); /* the first taught it */
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_int_equal(scene->from->calls[FAKE_GET], 1 + 4 * parts);
        scene_free(scene);
    }
}

/* Without TLS nothing but an MD5 that is told beforehand keeps a damaged file from becoming an object. Parts are none yet. */
static void a_file_is_measured_where_damage_would_show_too_late(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        struct scene *scene = scene_new();
        bool plain = way != 1, file = way != 2, whole = way != 3;

        scene->to->base.traits.checks_md5 = true;
        scene->to->base.traits.plain = plain;
        scene->to->demands_md5 = plain && file && whole; /* it is told at the first attempt */
        scene->from->base.traits.local = scene->from->hashless = file;
        add(scene->from, "a", whole ? 70 * 1000 : LARGE);
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_false(scene->to->base.traits.wants_md5);
        assert_int_equal(scene->from->calls[FAKE_GET], !whole ? 3 : plain && file ? 2 : 1);
        scene_free(scene);
    }
}

/* A broken half, at every kind of place, is tried again and leaves a whole object. */
static void broken_relays_are_tried_again(void **state)
{
    static const struct {
        enum fake_op op;
        size_t size;
        int skip;
        size_t after;
    } table[] = {
        {FAKE_GET, 70000, 0, 0},     {FAKE_GET, 70000, 0, 69999}, {FAKE_PUT, 70000, 0, 0},
        {FAKE_PUT, 70000, 0, 1},     {FAKE_PUT, 70000, 0, 69999}, {FAKE_GET, LARGE, 1, 50000},
        {FAKE_PART, LARGE, 2, 1000}, {FAKE_PART, LARGE, 0, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct scene *scene = scene_new();

        add(scene->from, "a", table[i].size);
        fake_fault(table[i].op == FAKE_GET ? scene->from : scene->to,
                   (struct fake_fault){.op = table[i].op,
                                       .skip = table[i].skip,
                                       .times = 2,
                                       .after = table[i].after,
                                       .kind = ERROR_UNREACHABLE,
                                       .again = true});
        start(scene, "a");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        scene_free(scene);
    }
}

static void retries_end(void **state)
{
    struct scene *scene = scene_new();

    (void)state;
    add(scene->from, "large", LARGE);
    fake_fault(scene->from,
               (struct fake_fault){
                   .op = FAKE_GET, .skip = 1, .times = 99, .kind = ERROR_UNREACHABLE, .again = true});
    start(scene, "large");
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(scene->transfer.error.kind, ERROR_UNREACHABLE);
    assert_int_equal(scene->from->calls[FAKE_GET], 1 + 1 + loop_retry(scene->loop)->limit);
    assert_int_equal(scene->to->open_uploads, 0);
    assert_null(fake_get_object(scene->to, "large"));
    scene_free(scene);
}

/* Whatever call fails for good: the error is told, nothing half-written shows, no upload stays open. */
static void every_failure_leaves_nothing_behind(void **state)
{
    static const enum fake_op ops[] = {FAKE_GET,    FAKE_PUT,  FAKE_HEAD, FAKE_BEGIN, FAKE_PART,
                                       FAKE_FINISH, FAKE_TAGS, FAKE_ACL,  FAKE_COPY,  FAKE_PART_COPY};

    (void)state;
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++)
        for (int shape = 0; shape < 4; shape++) {
            struct scene *scene = scene_new();
            struct fake_fault fault = {.op = ops[i], .times = 99, .kind = ERROR_LOCAL};
            enum transfer_result result;

            scene->plan.copy_acl = true;
            scene->plan.server_copy = (shape & 1) != 0;
            if (scene->plan.server_copy)
                scene->to->base.traits.copy_max = (shape & 2) != 0 ? 100 : LARGE;
            add(scene->from, "a", (shape & 2) != 0 ? LARGE : 500)->tags = 1;
            fake_fault(scene->from, fault);
            fake_fault(scene->to, fault);
            start(scene, "a");
            result = finish(scene);
            if (result == TRANSFER_COPIED) {
                assert_int_equal(scene->from->calls[ops[i]] + scene->to->calls[ops[i]], 0);
            } else {
                assert_int_equal(result, TRANSFER_FAILED);
                assert_int_equal(scene->transfer.error.kind, ERROR_LOCAL);
                assert_null(fake_get_object(scene->to, "a"));
            }
            assert_int_equal(scene->to->open_uploads, 0);
            scene_free(scene);
        }
}

/* Objects of seven parts, relayed, and copied. */
static struct scene *scene_in_parts(bool copies)
{
    struct scene *scene = copies ? scene_copying() : scene_new();

    scene->to->base.traits.checks_md5 = true;
    scene->to->base.traits.copy_max = LARGE / 2;
    scene->to->base.traits.part_copy = LARGE / 7 + 1;
    scene->plan.part_size = LARGE / 7 + 1;
    add(scene->from, "large", LARGE);
    return scene;
}

static void others_take_parts_of_it(void **state)
{
    (void)state;
    for (int copies = 0; copies < 2; copies++) {
        struct scene *scene = scene_in_parts(copies);

        start(scene, "large");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "large");
        assert_int_equal(scene->to->calls[copies ? FAKE_PART_COPY : FAKE_PART], 7);
        assert_int_equal(scene->most, 3);
        assert_int_equal(scene->transfer.moved, LARGE);
        assert_int_equal(scene->others[0].result, TRANSFER_NONE);
        scene_free(scene);
    }
}

/* Where the bytes are looked at in their order, or have to come in it, each part waits for the one before it; and so does what
 * gains nothing. */
static void parts_have_an_order_where_it_matters(void **state)
{
    (void)state;
    for (int why = 0; why < 6; why++) {
        struct scene *scene = scene_in_parts(false);
        struct store_traits *from = &scene->from->base.traits, *to = &scene->to->base.traits;

        from->plain = why == 0;
        to->checks_md5 = why != 1;
        scene->from->sums = why == 2;
        to->in_order = why == 3;
        to->wants_md5 = why == 4;
        from->local = to->local = why == 5;
        start(scene, "large");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "large");
        assert_int_equal(scene->most, 1);
        scene_free(scene);
    }
}

/* Any part, for any reason, once or always, and two together. */
static void a_part_that_fails_elsewhere_is_its_own_affair(void **state)
{
    static const enum error_kind kinds[] = {ERROR_UNREACHABLE, ERROR_NOT_FOUND, ERROR_PRECONDITION,
                                            ERROR_LOCAL};
    static const enum fake_op ops[] = {FAKE_GET, FAKE_PART, FAKE_PART_COPY};

    (void)state;
    for (int i = 0; i < 3 * 4 * 7 * 3; i++) {
        enum fake_op op = ops[i % 3];
        enum error_kind kind = kinds[i / 3 % 4];
        struct scene *scene = scene_in_parts(op == FAKE_PART_COPY);
        struct fake_fault fault = {.op = op,
                                   .skip = i / 12 % 7,
                                   .times = 1 + i / 84,
                                   .kind = kind,
                                   .after = i / 12 % 2 == 0 ? 0 : 1000,
                                   .again = kind == ERROR_UNREACHABLE};
        bool copied;

        retry_init(loop_retry(scene->loop), 4, 42);
        fake_fault(op == FAKE_GET ? scene->from : scene->to, fault);
        start(scene, "large");
        copied = finish(scene) == TRANSFER_COPIED;
        if (copied)
            assert_arrived(scene, "large");
        else
            assert_null(fake_get_object(scene->to, "large"));
        if (kind == ERROR_UNREACHABLE)
            assert_true(copied);
        if (kind == ERROR_LOCAL)
            assert_false(copied);
        assert_int_equal(scene->to->open_uploads, 0);
        assert_int_equal(scene->transfer.lent + scene->transfer.broken, 0);
        scene_free(scene);
    }
}

/* The version that is copied has to be one at any time: another takes its place before each of the requests. */
static int replace_before;
static void replace_before_one(struct fake_store *store, enum fake_op op, const char *key)
{
    struct fake_store *source = store->peer != NULL ? store->peer : store;
    struct fake_object *object;

    if ((op != FAKE_GET && op != FAKE_PART_COPY) || replace_before-- != 0)
        return;
    object = add(source, key, LARGE + 999);
    object->data[LARGE / 2] = 'X';
    digest_of(object->data, object->size, object->version);
}

static void parts_that_others_take_are_of_one_version(void **state)
{
    (void)state;
    for (int i = 0; i < 2 * 7; i++) {
        struct scene *scene = scene_in_parts(i % 2 != 0);

        replace_before = i / 2;
        scene->from->on_call = scene->to->on_call = replace_before_one;
        scene->to->peer = scene->from;
        start(scene, "large");
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "large");
        assert_int_equal(fake_get_object(scene->to, "large")->size, LARGE + 999);
        assert_int_equal(scene->to->calls[FAKE_ABORT], 1);
        scene_free(scene);
    }
}

/* Stopped after any number of steps: it ends, and no upload stays open. */
static void a_stop_at_any_moment_is_clean(void **state)
{
    struct error why;
    int ended_by_itself = 0;

    (void)state;
    error_set(&why, ERROR_INTERRUPTED, "stop");
    for (int steps = 0; ended_by_itself < 3; steps++) {
        struct scene *scene = ended_by_itself == 0 ? scene_new() : scene_in_parts(ended_by_itself == 2);

        scene->plan.copy_acl = true;
        add(scene->from, "large", LARGE)->tags = 1;
        start(scene, "large");
        for (int i = 0; i < steps; i++)
            step(scene);
        if (transfer_idle(&scene->transfer)) {
            ended_by_itself++;
            steps = -1;
        } else {
            bool whole = fake_get_object(scene->to, "large") != NULL;

            transfer_stop(&scene->transfer, &why);
            for (int i = 0; i < 2; i++)
                transfer_stop(&scene->others[i], &why);
            assert_int_equal(finish(scene), whole ? TRANSFER_COPIED : TRANSFER_FAILED);
            assert_int_equal(scene->transfer.error.kind, ERROR_INTERRUPTED);
            assert_int_equal(fake_get_object(scene->to, "large") != NULL, whole);
        }
        assert_int_equal(scene->to->open_uploads, 0);
        scene_free(scene);
    }
}

static void a_stop_cuts_a_backoff_short(void **state)
{
    struct scene *scene = scene_new();
    struct error why;

    (void)state;
    add(scene->from, "a", 10);
    fake_fault(scene->from,
               (struct fake_fault){.op = FAKE_GET, .times = 1, .kind = ERROR_UNREACHABLE, .again = true});
    start(scene, "a");
    while (scene->transfer.wake == 0)
        transfer_step(&scene->transfer);
    assert_true(transfer_wake(&scene->transfer) < INT64_MAX);
    error_set(&why, ERROR_TIMEOUT, "late");
    transfer_stop(&scene->transfer, &why);
    assert_true(transfer_idle(&scene->transfer));
    assert_int_equal(scene->transfer.error.kind, ERROR_TIMEOUT);
    scene_free(scene);
}

/* ---- over a version of the destination's ---- */

/* `there`: what was listed at the destination is there; else nothing was. */
static void start_over_with(struct scene *scene, struct transfer *transfer, const char *key, bool there)
{
    const struct fake_object *object = fake_get_object(scene->from, key);
    struct object_entry entry = {.key = key, .size = object->size, .modified = object->modified};
    struct object_entry listed = {.key = key};

    fake_name(scene->from, object, &entry.version, &entry.hash);
    if (there)
        fake_name(scene->to, fake_get_object(scene->to, key), &listed.version, &listed.hash);
    transfer_start_over(transfer, &entry, there ? &listed : NULL);
}

static void start_over(struct scene *scene, bool there)
{
    start_over_with(scene, &scene->transfer, "a", there);
}

static struct scene *scene_over(size_t size, bool there)
{
    struct scene *scene = scene_new();

    add(scene->from, "a", size);
    if (there)
        fake_put_bytes(scene->to, "a", "old", 3, 500);
    return scene;
}

static void over_what_was_listed(void **state)
{
    static const size_t sizes[] = {1000, LARGE};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct scene *scene = scene_over(sizes[i / 2], i % 2 == 0);

        start_over(scene, i % 2 == 0);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_int_equal(scene->to->calls[FAKE_HEAD], 1 + i / 2); /* parts take long: one more at their end */
        scene_free(scene);
    }
}

static void what_changed_since_it_was_listed_is_left_alone(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct scene *scene = scene_over(1000, there != 0);

        start_over(scene, there != 0);
        fake_put_bytes(scene->to, "a", "production's", 12, 600);
        assert_int_equal(finish(scene), TRANSFER_CONFLICT);
        assert_int_equal(scene->to->calls[FAKE_PUT], 0);
        assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
        scene_free(scene);
    }
}

static void change_peer(struct fake_store *store, enum fake_op op, const char *key)
{
    if (op == FAKE_GET && store->changes++ == 0)
        fake_put_bytes(store->peer, key, "production's", 12, 600);
}

static void what_changes_during_the_copy_is_left_alone(void **state)
{
    static const size_t sizes[] = {1000, LARGE};

    (void)state;
    for (int i = 0; i < 4; i++) {
        struct scene *scene = scene_over(sizes[i / 2], i % 2 == 0);

        scene->from->peer = scene->to;
        scene->from->on_call = change_peer;
        start_over(scene, i % 2 == 0);
        assert_int_equal(finish(scene), TRANSFER_CONFLICT);
        assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
        assert_int_equal(scene->to->open_uploads, 0);
        scene_free(scene);
    }
}

/* Not every service keeps to the condition of a finish, and all the parts take long. */
static void what_changes_while_parts_are_sent_is_seen_before_the_finish(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct scene *scene = scene_over(LARGE, there != 0);

        scene->plan.lacks[STORE_IF_VERSION] = scene->plan.lacks[STORE_IF_ABSENT] = true;
        scene->from->peer = scene->to;
        scene->from->on_call = change_peer;
        start_over(scene, there != 0);
        assert_int_equal(finish(scene), TRANSFER_CONFLICT);
        assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
        assert_int_equal(scene->to->open_uploads, 0);
        scene_free(scene);
    }
}

/* The answer to a copy was none that can be understood: it may have been made, so what is there is nobody else's change. */
static void a_copy_with_a_strange_answer_is_no_conflict(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct scene *scene = scene_over(1000, there != 0);

        scene->plan.server_copy = scene->plan.seen = true;
        fake_fault(scene->to,
                   (struct fake_fault){.op = FAKE_COPY, .times = 1, .kind = ERROR_PROTOCOL, .happens = true});
        start_over(scene, there != 0);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        scene_free(scene);
    }
}

/* A service that does not know copies (501) has said nothing of conditions. */
static void a_copy_that_is_unknown_leaves_the_condition(void **state)
{
    (void)state;
    for (int there = 0; there < 2; there++) {
        struct scene *scene = scene_over(1000, there != 0);

        scene->plan.server_copy = true;
        scene->plan.seen = true;
        fake_fault(scene->to, (struct fake_fault){
                                  .op = FAKE_COPY, .times = 1, .kind = ERROR_UNSUPPORTED, .status = 501});
        scene->from->peer = scene->to;
        scene->from->on_call = change_peer;
        start_over(scene, there != 0);
        assert_int_equal(finish(scene), TRANSFER_CONFLICT);
        assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
        scene_free(scene);
    }
}

static void what_is_gone_meanwhile_is_made_anew(void **state)
{
    struct scene *scene = scene_over(1000, true);

    (void)state;
    start_over(scene, true);
    fake_drop_object(scene->to, "a");
    assert_int_equal(finish(scene), TRANSFER_COPIED);
    assert_arrived(scene, "a");
    scene_free(scene);
}

/* A service that has no conditions says so; one that misjudges them is found out by what it has. */
static void conditions_are_not_everywhere(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct scene *scene = scene_over(1000, true);

        scene->to->misjudges_quotes = i == 1;
        scene->to->misjudges_versions = i == 2;
        if (i == 0)
            fake_fault(scene->to, (struct fake_fault){.op = FAKE_PUT, .times = 1, .kind = ERROR_UNSUPPORTED});
        start_over(scene, true);
        assert_int_equal(finish(scene), TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_int_equal(scene->plan.lacks[STORE_IF_VERSION], i != 1);
        assert_int_equal(scene->plan.bare, i != 0);
        assert_false(scene->plan.lacks[STORE_IF_ABSENT]);
        assert_int_equal(scene->to->calls[FAKE_PUT], i == 2 ? 3 : 2);
        scene_free(scene);
    }
}

/* The condition of a write that is under way is the one that it was begun with, whatever another transfer learns meanwhile. */
static void a_refusal_is_of_the_condition_that_was_sent(void **state)
{
    (void)state;
    for (int i = 0; i < 80; i++) {
        bool judges = i % 2 == 0;
        struct scene *scene = scene_over(1000, true);
        struct transfer other, *transfers[] = {&scene->transfer, &other};

        scene->to->misjudges_quotes = true;
        scene->to->misjudges_versions = !judges;
        transfer_init(&other, &scene->plan);
        start_over(scene, true);
        for (int ahead = 0; ahead < i / 2; ahead++) /* of the other one */
            transfer_step(&scene->transfer);
        add(scene->from, "b", 1000);
        fake_put_bytes(scene->to, "b", "old", 3, 500);
        start_over_with(scene, &other, "b", true);
        for (int step = 0; step < 1000; step++)
            transfer_step(transfers[step % 2]);
        assert_int_equal(scene->transfer.result, TRANSFER_COPIED);
        assert_int_equal(other.result, TRANSFER_COPIED);
        assert_arrived(scene, "a");
        assert_arrived(scene, "b");
        assert_int_equal(scene->plan.lacks[STORE_IF_VERSION], !judges);
        transfer_free(&other);
        scene_free(scene);
    }
}

/* A refusal that cannot be looked into is believed. */
static void a_refusal_is_not_passed_over_blindly(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct scene *scene = scene_over(1000, true);

        scene->from->peer = scene->to;
        scene->from->on_call = change_peer;
        if (i == 0)
            fake_fault(scene->to, (struct fake_fault){
                                      .op = FAKE_HEAD, .skip = 1, .times = 1, .kind = ERROR_UNREACHABLE});
        else
            scene->to->tells_no_version = true;
        start_over(scene, true);
        assert_int_equal(finish(scene), i == 0 ? TRANSFER_FAILED : TRANSFER_CONFLICT);
        assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
        scene_free(scene);
    }
}

/* What stands in the way may be an attempt of ours, as its content tells, which is told where the bucket knows one: else that
 * is no conflict that could be passed over. */
static void an_attempt_without_an_answer_is_looked_for(void **state)
{
    (void)state;
    for (int i = 0; i < 8; i++) {
        bool copies = i % 2 == 1, known = i / 2 % 2 == 1, happens = i / 4 == 1;
        struct scene *scene = scene_over(1000, true);

        scene->plan.server_copy = scene->plan.seen = copies;
        scene->to->hashless = !known;
        fake_fault(scene->to, (struct fake_fault){.op = copies ? FAKE_COPY : FAKE_PUT,
                                                  .times = 1,
                                                  .kind = ERROR_UNREACHABLE,
                                                  .again = true,
                                                  .happens = happens});
        start_over(scene, true);
        assert_int_equal(finish(scene), known || !happens ? TRANSFER_COPIED : TRANSFER_FAILED);
        if (scene->transfer.result == TRANSFER_FAILED)
            assert_int_equal(scene->transfer.error.kind, ERROR_PRECONDITION);
        assert_int_equal(scene->to->calls[copies ? FAKE_COPY : FAKE_PUT], happens ? 1 : 2);
        assert_arrived(scene, "a");
        scene_free(scene);
    }
}

/* What production makes of it after an attempt without an answer is not overwritten. */
static void a_change_after_an_attempt_without_an_answer_stays(void **state)
{
    struct scene *scene = scene_over(1000, true);

    (void)state;
    fake_fault(scene->to,
               (struct fake_fault){.op = FAKE_PUT, .times = 1, .kind = ERROR_UNREACHABLE, .again = true});
    scene->from->peer = scene->to;
    scene->from->on_call = change_peer;
    start_over(scene, true);
    assert_int_equal(finish(scene), TRANSFER_FAILED);
    assert_int_equal(fake_get_object(scene->to, "a")->size, 12);
    assert_int_equal(scene->to->calls[FAKE_PUT], 1);
    scene_free(scene);
}

/* Whoever is on its way by then learns it by itself. */
static void too_large_in_one_piece_goes_in_parts(void **state)
{
    static const int statuses[] = {400, 403, 413};

    (void)state;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        struct scene *scene = scene_new();
        const struct fake_object *object;
        struct object_entry entry = {.key = "b"};
        struct transfer other;

        scene->from->base.traits.plain = scene->to->base.traits.plain = true;
        scene->to->base.traits.checks_md5 = scene->to->base.traits.refuses_md5 = true;
        add(scene->from, "a", LARGE);
        object = add(scene->from, "b", LARGE);
        fake_fault(
            scene->to,
            (struct fake_fault){
                .op = FAKE_PUT, .times = 100, .kind = ERROR_PROTOCOL, .status = statuses[i], .after = 1000});
        transfer_init(&other, &scene->plan);
        entry.size = object->size;
        entry.modified = object->modified;
        fake_name(scene->from, object, &entry.version, &entry.hash);
        start(scene, "a");
        transfer_start(&other, &entry);
        while (!transfer_idle(&scene->transfer) || !transfer_idle(&other)) {
            transfer_step(&scene->transfer);
            transfer_step(&other);
        }
        assert_int_equal(scene->transfer.result, TRANSFER_COPIED);
        assert_int_equal(other.result, TRANSFER_COPIED);
        assert_int_equal(scene->to->calls[FAKE_PUT], 2);
        assert_arrived(scene, "a");
        assert_arrived(scene, "b");
        transfer_free(&other);
        scene_free(scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(too_large_in_one_piece_goes_in_parts),
        cmocka_unit_test(relays_a_small_object_with_its_metadata),
        cmocka_unit_test(relays_an_empty_object),
        cmocka_unit_test(relays_a_large_object_in_parts_of_one_version),
        cmocka_unit_test(tags_travel),
        cmocka_unit_test(acls_travel),
        cmocka_unit_test(grants_are_of_the_version_that_is_copied),
        cmocka_unit_test(tags_are_of_the_version_that_is_copied),
        cmocka_unit_test(fewer_tags_than_told_are_not_all),
        cmocka_unit_test(copies_inside_one_service),
        cmocka_unit_test(copies_in_parts_above_the_limit),
        cmocka_unit_test(the_version_of_copied_parts_is_sure),
        cmocka_unit_test(the_second_version_of_one_second_arrives),
        cmocka_unit_test(what_waits_for_the_next_second_is_copied_when_stopped),
        cmocka_unit_test(parts_that_are_the_whole_object_are_not_put_together),
        cmocka_unit_test(one_version_of_two_sizes_is_not_copied),
        cmocka_unit_test(a_version_that_changed_unnoticed_is_not_finished),
        cmocka_unit_test(parts_grow_when_there_would_be_too_many),
        cmocka_unit_test(others_take_parts_of_it),
        cmocka_unit_test(parts_have_an_order_where_it_matters),
        cmocka_unit_test(a_part_that_fails_elsewhere_is_its_own_affair),
        cmocka_unit_test(parts_that_others_take_are_of_one_version),
        cmocka_unit_test(refused_copies_become_relays_and_are_remembered),
        cmocka_unit_test(a_service_that_copies_whole_objects_only),
        cmocka_unit_test(another_accounts_bucket_is_not_the_source),
        cmocka_unit_test(an_empty_object_shows_no_bucket),
        cmocka_unit_test(another_key_of_the_same_account_copies_once_it_was_seen_to),
        cmocka_unit_test(a_copy_of_something_else_is_found_out),
        cmocka_unit_test(a_copy_of_the_next_version_is_as_good),
        cmocka_unit_test(hashes_of_encrypted_objects_say_nothing),
        cmocka_unit_test(what_is_listed_but_not_found_has_failed),
        cmocka_unit_test(a_strange_key_is_looked_for_by_its_plain_beginning),
        cmocka_unit_test(what_is_listed_in_another_spelling_has_failed),
        cmocka_unit_test(what_cannot_be_looked_through_is_not_gone),
        cmocka_unit_test(a_listing_that_breaks_proves_nothing),
        cmocka_unit_test(a_change_while_it_is_written_is_copied_too),
        cmocka_unit_test(a_change_during_a_write_that_failed_is_copied_too),
        cmocka_unit_test(a_change_while_its_parts_are_finished_is_copied_too),
        cmocka_unit_test(what_changes_all_the_time_is_copied_all_the_same),
        cmocka_unit_test(tags_are_left_out_where_there_are_none),
        cmocka_unit_test(a_refusal_that_was_not_for_the_tags_stays_one),
        cmocka_unit_test(tags_can_be_required_or_ignored),
        cmocka_unit_test(one_refused_copy_among_good_ones_is_relayed_alone),
        cmocka_unit_test(a_vanished_object_is_gone),
        cmocka_unit_test(a_change_between_parts_starts_over),
        cmocka_unit_test(an_object_that_keeps_changing_fails),
        cmocka_unit_test(a_changed_object_is_copied_as_it_is_now),
        cmocka_unit_test(without_a_version_it_is_read_in_one_stream),
        cmocka_unit_test(a_head_without_a_version_is_not_believed),
        cmocka_unit_test(a_damaged_part_starts_over),
        cmocka_unit_test(a_sum_is_compared_on_the_way),
        cmocka_unit_test(a_put_that_ends_before_its_body_fails),
        cmocka_unit_test(an_older_version_than_listed_is_no_change),
        cmocka_unit_test(a_file_is_measured_where_damage_would_show_too_late),
        cmocka_unit_test(what_must_be_measured_is_read_twice),
        cmocka_unit_test(broken_relays_are_tried_again),
        cmocka_unit_test(retries_end),
        cmocka_unit_test(every_failure_leaves_nothing_behind),
        cmocka_unit_test(a_stop_at_any_moment_is_clean),
        cmocka_unit_test(a_stop_cuts_a_backoff_short),
        cmocka_unit_test(over_what_was_listed),
        cmocka_unit_test(what_changed_since_it_was_listed_is_left_alone),
        cmocka_unit_test(a_copy_that_is_unknown_leaves_the_condition),
        cmocka_unit_test(what_changes_during_the_copy_is_left_alone),
        cmocka_unit_test(what_changes_while_parts_are_sent_is_seen_before_the_finish),
        cmocka_unit_test(a_copy_with_a_strange_answer_is_no_conflict),
        cmocka_unit_test(what_is_gone_meanwhile_is_made_anew),
        cmocka_unit_test(conditions_are_not_everywhere),
        cmocka_unit_test(a_refusal_is_not_passed_over_blindly),
        cmocka_unit_test(an_attempt_without_an_answer_is_looked_for),
        cmocka_unit_test(a_change_after_an_attempt_without_an_answer_stays),
        cmocka_unit_test(a_refusal_is_of_the_condition_that_was_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
