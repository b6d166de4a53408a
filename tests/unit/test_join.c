/*
 * The join over two buckets that only list: whatever the keys are, and however a listing is cut into ranges, the plan is the same as
 * without. Then services that do not keep their word.
 */
#include "clock.h"
#include "join.h"
#include "page.h"
#include "store_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KEYS_MAX 6000
#define KEY_SIZE 96
#define LONG_KEY 1000

struct lister {
    struct store base;
    char (*keys)[KEY_SIZE]; /* sorted */
    uint64_t *sizes;
    int count;
    int page;              /* keys a page */
    int pages;             /* that were asked for */
    int begun_behind;      /* listings that began behind a key */
    bool ignores_after;    /* begins at the beginning all the same */
    bool is_inclusive;     /* shows that key as well, as Google does */
    bool repeats;          /* shows a page's last key once more */
    bool refuses_after;    /* fails */
    bool empty_after;      /* says that nothing is there */
    const char *breaks_at; /* no page that has this key comes; NULL: none */
    const char *swaps;     /* that key and the one before it; NULL: none */
    int long_from; /* keys that are shown first after so many pages have LONG_KEY bytes; 0: none have */
    bool is_deaf;  /* to how many keys are asked for */
};

/* call->impl */
struct listing {
    struct lister *lister;
    struct store_page *page;
    char after[OBJECT_KEY_MAX + 1];
    int waiting;
};

/* The pages of one cursor, of which *page_walk knows. */
struct shelf {
    struct store_page *pages[2];
};

static struct shelf shelves[4 * JOIN_RANGES_MAX];
static uint64_t seed;
static int round_trip = -1; /* steps that a page takes; -1: now more, now less */

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % below;
}

static void note_page(struct store_page *page)
{
    struct shelf *shelf = *page_walk(page);

    for (size_t i = 0; shelf == NULL; i++) {
        assert_true(i < sizeof shelves / sizeof *shelves);
        if (shelves[i].pages[0] == NULL)
            *page_walk(page) = shelf = &shelves[i];
    }
    shelf->pages[shelf->pages[0] != NULL && shelf->pages[0] != page] = page;
}

static void list_end(void *walk)
{
    *(struct shelf *)walk = (struct shelf){{NULL, NULL}};
}

/* Of all pages, in bytes. */
static size_t page_memory_of_all(void)
{
    size_t memory = 0;

    for (size_t i = 0; i < sizeof shelves / sizeof *shelves; i++)
        for (int page = 0; page < 2; page++)
            memory += shelves[i].pages[page] != NULL ? page_memory(shelves[i].pages[page]) : 0;
    return memory;
}

static void list(struct store *store, struct call *call, const struct store_range *range,
                 struct store_page *page)
{
    struct lister *lister = (struct lister *)store;
    struct listing *listing = calloc(1, sizeof *listing);
    bool first = page_position(page)[0] == '\0';

    assert_non_null(listing);
    assert_null(call->impl);
    *listing = (struct listing){
        .lister = lister, .page = page, .waiting = round_trip < 0 ? (int)draw(6) : round_trip};
    snprintf(listing->after, sizeof listing->after, "%s", first ? range->after : page_position(page));
    note_page(page);
    lister->pages++;
    lister->begun_behind += first && range->after[0] != '\0';
    if (first && range->after[0] != '\0' && lister->refuses_after)
        error_set(&call->error, ERROR_UNSUPPORTED, "no such thing");
    if (first && lister->ignores_after)
        listing->after[0] = '\0';
    call->impl = listing;
}

static bool shows(const struct lister *lister, const char *key, const char *after, bool first)
{
    int order = strcmp(key, after);

    return order > 0 || (order == 0 && (first ? lister->is_inclusive : lister->repeats));
}

/* Which key stands at that place of the listing. */
static int place_of(const struct lister *lister, int at)
{
    if (lister->swaps == NULL)
        return at;
    if (at + 1 < lister->count && strcmp(lister->keys[at + 1], lister->swaps) == 0)
        return at + 1;
    return at > 0 && strcmp(lister->keys[at], lister->swaps) == 0 ? at - 1 : at;
}

static enum { UNDECIDED, SHORT, LONG } lengths[KEYS_MAX];

/* The same for both sides, which have the same keys then, and for each listing of them. */
static bool is_long(const struct lister *lister, int at)
{
    if (lister->long_from > 0 && lengths[at] == UNDECIDED)
        lengths[at] = lister->pages > lister->long_from ? LONG : SHORT;
    return lister->long_from > 0 && lengths[at] == LONG;
}

static void put_entry(const struct lister *lister, int at, struct store_page *page)
{
    char key[LONG_KEY + 1];
    struct object_entry entry = {.key = key, .size = lister->sizes[at], .modified = 1000, .version = "v"};
    size_t len = strlen(lister->keys[at]);

    memset(key, 'x', LONG_KEY);
    memcpy(key, lister->keys[at], len);
    key[is_long(lister, at) ? LONG_KEY : len] = '\0';
    assert_true(page_receive(page, &entry));
}

static bool list_step(struct call *call)
{
    struct listing *listing = call->impl;
    struct lister *lister = listing->lister;
    int most = page_keys(listing->page);
    bool first = page_position(listing->page)[0] == '\0';
    const char *last = NULL;
    int at = 0, put = 0;

    if (listing->waiting-- > 0)
        return true;
    call->done = true;
    if (call->error.kind != ERROR_NONE)
        return true;
    while (at < lister->count && !shows(lister, lister->keys[at], listing->after, first))
        at++;
    if (first && lister->empty_after && listing->after[0] != '\0')
        at = lister->count;
    most = lister->page < most || lister->is_deaf ? lister->page : most;
    for (; at < lister->count && put < most; at++, put++) {
        const char *key = lister->keys[place_of(lister, at)];

        if (lister->breaks_at != NULL && strcmp(key, lister->breaks_at) == 0) {
            error_set(&call->error, ERROR_UNREACHABLE, "it breaks at \"%s\"", key);
            return true;
        }
        last = lister->keys[at];
        put_entry(lister, place_of(lister, at), listing->page);
    }
    page_end(listing->page, at < lister->count ? last : NULL);
    return true;
}

static void list_cancel(struct call *call, const struct error *why)
{
    call->error = *why;
    call->done = true;
}

static void list_release(struct call *call)
{
    free(call->impl);
}

static const struct store_ops lister_ops = {.scheme = "lister",
                                            .list = list,
                                            .list_end = list_end,
                                            .step = list_step,
                                            .cancel = list_cancel,
                                            .release = list_release};

/* ---- keys ---- */

enum shape {
    NUMBERS,
    HASHES,
    WORDS,
    ONE_FOLDER,
    DEEP,
    DATES,
    BYTES,
    UNICODE,
    PREFIXES,
    LONG_START,
    HALF_HASHES,
    SHAPES
};

static void make_key(enum shape shape, int number, char key[KEY_SIZE])
{
    static const char *const words[] = {"assets", "img", "objects", "zz", "user-uploads", "Ä", "0", "_"};
    unsigned drawn[4];
    size_t len;

    for (int i = 0; i < 4; i++) /* in this order, whatever the compiler makes of arguments */
        drawn[i] = draw(UINT32_MAX);
    switch (shape) {
    case NUMBERS:
        snprintf(key, KEY_SIZE, "p/%07d", number);
        break;
    case HASHES:
        snprintf(key, KEY_SIZE, "p/%08x-%04x", 2 * drawn[0], drawn[1] % 65536); /* 31 bits are drawn */
        break;
    case WORDS:
        snprintf(key, KEY_SIZE, "p/%s/%s/%u.jpg", words[drawn[0] % 8], words[drawn[1] % 8],
                 drawn[2] % 100000);
        break;
    case ONE_FOLDER: /* 99 in 100 */
        if (draw(100) == 0)
            snprintf(key, KEY_SIZE, "p/%c/%u", 'a' + (int)(drawn[0] % 26), drawn[1] % 1000);
        else
            snprintf(key, KEY_SIZE, "p/objects/uploads/%06x.png", draw(1 << 24));
        break;
    case DEEP:
        snprintf(key, KEY_SIZE, "p/tenant-1/prod/region/eu/objects/by-hash/v2/%06u", draw(1000000));
        break;
    case DATES:
        snprintf(key, KEY_SIZE, "p/20%02u/%02u/%02u/IMG_%04u", 10 + drawn[0] % 17, 1 + drawn[1] % 12,
                 1 + drawn[2] % 28, drawn[3] % 9999);
        break;
    case BYTES: /* any but NUL, well-formed or not */
        len = 2 + draw(6);
        memcpy(key, "p/", 2);
        for (size_t i = 2; i < len; i++)
            key[i] = (char)(1 + draw(255));
        key[len] = '\0';
        break;
    case UNICODE:
        snprintf(key, KEY_SIZE, "p/\xD0%c\xD0%c\xE4\xB8%c%u", (char)(0x90 + drawn[0] % 32),
                 (char)(0x90 + drawn[1] % 32), (char)(0x80 + drawn[2] % 64), drawn[3] % 10);
        break;
    case PREFIXES: /* of one another */
        len = 2 + draw(60);
        memset(key, draw(9) == 0 ? 'b' : 'a', len);
        memcpy(key, "p/", 2);
        snprintf(key + len, KEY_SIZE - len, "%s", draw(2) == 0 ? "" : "\x01");
        break;
    case LONG_START:
        snprintf(key, KEY_SIZE, "p/AAAAAAAAAAAAAAAAAAAAAAAA%08d", number);
        break;
    case HALF_HASHES: /* the first digit is one of eight */
        snprintf(key, KEY_SIZE, "p/%08x-%04x", drawn[0] & 0x7FFFFFFF, drawn[1] % 65536);
        break;
    case SHAPES:
        break;
    }
}

static int by_key(const void *a, const void *b)
{
    return strcmp(a, b);
}

static char all[KEYS_MAX][KEY_SIZE];

/* Without doubles. Returns how many. */
static int make_keys(enum shape shape, int most)
{
    int count = 0;

    for (int i = 0; i < most; i++)
        make_key(shape, i, all[i]);
    qsort(all, (size_t)most, KEY_SIZE, by_key);
    for (int i = 0; i < most; i++)
        if (count == 0 || strcmp(all[count - 1], all[i]) != 0)
            memmove(all[count++], all[i], KEY_SIZE);
    return count;
}

/* Of all keys, `share` in 100. */
static struct lister *new_lister(int count, unsigned share)
{
    struct lister *lister = calloc(1, sizeof *lister);

    assert_non_null(lister);
    *lister = (struct lister){.base = {.ops = &lister_ops, .name = "lister", .traits.seeks = true},
                              .page = 3 + (int)draw(5)};
    lister->keys = calloc((size_t)count + 1, KEY_SIZE);
    lister->sizes = calloc((size_t)count + 1, sizeof *lister->sizes);
    assert_non_null(lister->keys);
    assert_non_null(lister->sizes);
    for (int i = 0; i < count; i++) {
        if (draw(100) >= share)
            continue;
        memcpy(lister->keys[lister->count], all[i], KEY_SIZE);
        lister->sizes[lister->count++] = draw(10) == 0 ? 2 : 1;
    }
    return lister;
}

static void free_lister(struct lister *lister)
{
    free(lister->keys);
    free(lister->sizes);
    free(lister);
}

/* ---- the plan ---- */

struct line {
    char key[KEY_SIZE];
    enum plan_action action;
    enum plan_reason reason;
};
struct plan {
    struct line lines[2 * KEYS_MAX];
    int count;
    bool ordered;
    int steps;     /* in which nothing had come */
    size_t memory; /* of pages, at most */
    enum join_state state;
};

static int by_line(const void *a, const void *b)
{
    return strcmp(((const struct line *)a)->key, ((const struct line *)b)->key);
}

static void note_step(struct plan *plan, const struct join *join)
{
    struct line *line = &plan->lines[plan->count++];
    const char *key = join->step.take_source ? join->source_entry->key : join->destination_entry->key;

    assert_true(plan->count <= 2 * KEYS_MAX);
    snprintf(line->key, sizeof line->key, "%s", key);
    line->action = join->step.action;
    line->reason = join->step.reason;
    if (plan->count > 1 && strcmp(line[-1].key, line->key) >= 0)
        plan->ordered = false;
}

static bool loosens; /* an order that was asked for counts up to the first key only */

/* Sorted by key, whatever the order was in which it came. */
static void run_join(struct lister *source, struct lister *destination, enum join_order order,
                     struct plan *plan)
{
    struct store_range range = {.prefix = "p/"};
    struct error error;
    struct join join;

    plan->count = plan->steps = 0;
    plan->memory = 0;
    plan->ordered = true;
    source->pages = destination->pages = source->begun_behind = destination->begun_behind = 0;
    assert_true(join_open(&join, &source->base, &destination->base, &range,
                          (struct plan_rule){.compare = COMPARE_SIZE}, order, &error));
    for (;;) {
        plan->state = join_peek(&join);
        if (plan->state == JOIN_END || plan->state == JOIN_FAILED)
            break;
        if (plan->state == JOIN_READY) {
            note_step(plan, &join);
            join_take(&join);
            if (loosens && plan->count == 1)
                join_loosen(&join);
        } else {
            assert_true(join_step(&join)); /* something can always move */
            plan->steps++;
            plan->memory = page_memory_of_all() > plan->memory ? page_memory_of_all() : plan->memory;
        }
    }
    assert_int_equal(plan->state == JOIN_FAILED, join_error(&join)->kind != ERROR_NONE);
    assert_int_equal(join_peek(&join), plan->state);
    join_close(&join);
    qsort(plan->lines, (size_t)plan->count, sizeof plan->lines[0], by_line);
}

static struct plan one, many;

static void assert_same_plan(void)
{
    assert_int_equal(one.state, JOIN_END);
    assert_int_equal(many.state, JOIN_END);
    assert_int_equal(one.count, many.count);
    for (int i = 0; i < one.count; i++) {
        assert_string_equal(one.lines[i].key, many.lines[i].key);
        assert_int_equal(one.lines[i].action, many.lines[i].action);
        assert_int_equal(one.lines[i].reason, many.lines[i].reason);
    }
}

/* ---- tests ---- */

static void every_cut_gives_the_same_plan(void **state)
{
    static const unsigned shares[] = {100, 97, 50, 5, 0};

    (void)state;
    for (int round = 0; round < 60; round++) {
        int count, in_order;
        struct lister *source, *destination;

        seed = (uint64_t)round;
        count = make_keys((enum shape)(round % SHAPES), 1 + (int)draw(round % 7 == 0 ? 40 : 4000));
        source = new_lister(count, shares[draw(5)]);
        destination = new_lister(count, shares[draw(5)]);
        source->is_inclusive = draw(3) == 0;
        destination->repeats = draw(3) == 0;
        run_join(source, destination, JOIN_IN_ORDER, &one);
        assert_true(one.ordered);
        assert_int_equal(source->begun_behind + destination->begun_behind, 0);
        in_order = source->pages + destination->pages;
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_same_plan();
        /* Each cut costs a page or two, and their number is limited. */
        assert_true(source->pages + destination->pages <= in_order + 2 * (JOIN_COST_FIRST + in_order / 50));
        free_lister(source);
        free_lister(destination);
    }
}

static struct lister *source, *destination;

static void set_up_same(enum shape shape, int count)
{
    seed = 7;
    count = make_keys(shape, count);
    source = new_lister(count, 100);
    destination = new_lister(count, 100);
    source->page = destination->page = 5;
}

static int tear_down(void **state)
{
    (void)state;
    free_lister(source);
    free_lister(destination);
    return 0;
}

/* What is long is cut, whatever its keys look like; of bytes, and of what begins with one another, as far as it goes. */
static void what_is_long_is_cut(void **state)
{
    (void)state;
    for (int shape = 0; shape < SHAPES; shape++) {
        set_up_same((enum shape)shape, KEYS_MAX);
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_int_equal(many.count, source->count);
        if (shape != BYTES && shape != PREFIXES)
            assert_true(!many.ordered && destination->begun_behind > 0 && source->begun_behind >= 6);
        tear_down(NULL);
    }
    set_up_same(NUMBERS, 1);
}

/* Where a round trip is all that counts, what is long takes an eighth of the time or less: 1,200 pages a side. */
static void a_long_listing_waits_for_fewer_answers(void **state)
{
    static const enum shape shapes[] = {NUMBERS, HASHES, ONE_FOLDER, DEEP, LONG_START, HALF_HASHES};

    (void)state;
    round_trip = 20;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        set_up_same(shapes[i], KEYS_MAX);
        run_join(source, destination, JOIN_IN_ORDER, &one);
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_same_plan();
        assert_true(many.steps * 8 <= one.steps);
        tear_down(NULL);
    }
    round_trip = -1;
    set_up_same(NUMBERS, 1);
}

static void what_was_in_order_is_cut_from_where_any_will_do(void **state)
{
    (void)state;
    set_up_same(NUMBERS, KEYS_MAX);
    run_join(source, destination, JOIN_IN_ORDER, &one);
    assert_int_equal(source->begun_behind, 0);
    loosens = true;
    run_join(source, destination, JOIN_IN_ORDER, &many);
    loosens = false;
    assert_same_plan();
    assert_true(source->begun_behind > 0);
}

static void what_is_short_costs_nothing_more(void **state)
{
    (void)state;
    for (int pages = 1; pages <= 3; pages++) {
        set_up_same(HASHES, 5 * pages);
        run_join(source, destination, JOIN_IN_ORDER, &one);
        assert_int_equal(source->pages, pages);
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_int_equal(source->pages, pages);
        assert_int_equal(destination->pages, pages);
        assert_same_plan();
        tear_down(NULL);
    }
    set_up_same(NUMBERS, 1);
}

static void a_store_that_does_not_seek_is_listed_in_one(void **state)
{
    (void)state;
    set_up_same(HASHES, 3000);
    destination->base.traits.seeks = false;
    run_join(source, destination, JOIN_ANY_ORDER, &many);
    assert_true(many.ordered);
    assert_int_equal(source->begun_behind, 0);
}

/* The scout sees it. */
static void a_service_that_begins_anew(void **state)
{
    (void)state;
    set_up_same(HASHES, 3000);
    source->ignores_after = true;
    run_join(source, destination, JOIN_IN_ORDER, &one);
    run_join(source, destination, JOIN_ANY_ORDER, &many);
    assert_same_plan();
    assert_true(many.ordered);
    assert_int_equal(source->begun_behind, 1);
    assert_int_equal(destination->begun_behind, 0);
}

/* The first scout is the other side's. */
static void a_destination_that_begins_anew(void **state)
{
    (void)state;
    set_up_same(HASHES, 3000);
    destination->ignores_after = true;
    run_join(source, destination, JOIN_IN_ORDER, &one);
    run_join(source, destination, JOIN_ANY_ORDER, &many);
    assert_same_plan();
    assert_true(many.ordered);
    assert_int_equal(destination->begun_behind, 1);
}

static void a_service_that_refuses_to_begin_there(void **state)
{
    (void)state;
    set_up_same(HASHES, 3000);
    source->refuses_after = true;
    run_join(source, destination, JOIN_IN_ORDER, &one);
    run_join(source, destination, JOIN_ANY_ORDER, &many);
    assert_same_plan();
    assert_int_equal(source->begun_behind, 1);
}

/* All that is said of the other keys is true. */
static void assert_is_part_of_the_truth(void)
{
    int at = 0;

    for (int i = 0; i < many.count; i++) {
        while (at < one.count && strcmp(one.lines[at].key, many.lines[i].key) < 0)
            at++;
        assert_true(at < one.count);
        assert_string_equal(one.lines[at].key, many.lines[i].key);
        assert_int_equal(one.lines[at].action, many.lines[i].action);
    }
}

/* A range breaks for good: the others are read to their ends, and the whole has failed. */
static void a_range_that_breaks(void **state)
{
    (void)state;
    for (int key = 1; key < 3000; key += 97) {
        set_up_same(HASHES, 3000);
        run_join(source, destination, JOIN_IN_ORDER, &one);
        (key % 2 == 0 ? source : destination)->breaks_at = source->keys[key];
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_int_equal(many.state, JOIN_FAILED);
        assert_true(many.count < one.count);
        assert_is_part_of_the_truth();
        tear_down(NULL);
    }
    set_up_same(HASHES, 3000);
    source->breaks_at = source->keys[1700];
    run_join(source, destination, JOIN_ANY_ORDER, &many);
    assert_true(many.count > 2000); /* one chain has 1,700 */
}

/* Keys are short until there are as many ranges as there can be, and long from then on. */
static void pages_are_bounded_together(void **state)
{
    (void)state;
    for (int round = 0; round < 12; round++) {
        set_up_same(HASHES, KEYS_MAX);
        memset(lengths, 0, sizeof lengths);
        source->page = destination->page = round % 3 == 0 ? 100 : 60;
        source->long_from = destination->long_from = 20 + round;
        source->is_deaf = round / 6 == 1;
        destination->is_deaf = round % 4 >= 2;
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_in_range(many.memory, JOIN_MEMORY / 2, JOIN_MEMORY);
        run_join(source, destination, JOIN_IN_ORDER, &one);
        assert_int_equal(one.count, source->count);
        assert_in_range(one.memory, 1, JOIN_MEMORY);
        assert_same_plan();
        tear_down(NULL);
    }
    set_up_same(NUMBERS, 1);
}

/* A service that finds nothing where it is to begin has not shown that there is nothing. */
static void a_service_that_has_nothing_behind_a_key(void **state)
{
    (void)state;
    for (int side = 0; side < 2; side++) {
        set_up_same(HASHES, 3000);
        run_join(source, destination, JOIN_IN_ORDER, &one);
        (side == 0 ? source : destination)->empty_after = true;
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_same_plan();
        tear_down(NULL);
    }
    set_up_same(HASHES, 1);
}

/* Wherever it is, also beyond the end of a range. */
static void keys_out_of_order(void **state)
{
    (void)state;
    for (int key = 1; key < 1500; key += key < 1000 ? 37 : 1) {
        set_up_same(key % 3 == 0 ? NUMBERS : HASHES, 1500);
        (key % 2 == 0 ? source : destination)->swaps = source->keys[key];
        run_join(source, destination, JOIN_ANY_ORDER, &many);
        assert_int_equal(many.state, JOIN_FAILED);
        tear_down(NULL);
    }
    set_up_same(NUMBERS, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cut_gives_the_same_plan),
        cmocka_unit_test_teardown(what_is_long_is_cut, tear_down),
        cmocka_unit_test_teardown(a_long_listing_waits_for_fewer_answers, tear_down),
        cmocka_unit_test_teardown(what_was_in_order_is_cut_from_where_any_will_do, tear_down),
        cmocka_unit_test_teardown(what_is_short_costs_nothing_more, tear_down),
        cmocka_unit_test_teardown(a_store_that_does_not_seek_is_listed_in_one, tear_down),
        cmocka_unit_test_teardown(a_service_that_begins_anew, tear_down),
        cmocka_unit_test_teardown(a_destination_that_begins_anew, tear_down),
        cmocka_unit_test_teardown(a_service_that_refuses_to_begin_there, tear_down),
        cmocka_unit_test_teardown(a_service_that_has_nothing_behind_a_key, tear_down),
        cmocka_unit_test_teardown(a_range_that_breaks, tear_down),
        cmocka_unit_test_teardown(keys_out_of_order, tear_down),
        cmocka_unit_test_teardown(pages_are_bounded_together, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
