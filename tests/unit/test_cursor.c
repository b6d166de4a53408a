/*
 * The cursor over a store whose listing is a script: what each page holds, how it ends, or how it fails.
 */
#include "clock.h"
#include "cursor.h"
#include "page.h"
#include "store.h"
#include "store_ops.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct script_page {
    const char *keys[8];
    const char *next;     /* NULL: the last page */
    enum error_kind fail; /* instead of ending the page */
    bool broken_first;    /* an attempt that breaks off comes before the good one */
    uint64_t larger;      /* its objects are, by so much */
    bool timeless;        /* their times are not told */
};

struct script {
    struct store base;
    const struct script_page *pages;
    int listed;  /* calls of list */
    int waiting; /* steps that a page takes */
    int walks;   /* how many *page_walk there are */
    char positions[8][32];
    char afters[8][32]; /* of the range that is asked for */
};

/* call->impl */
struct script_call {
    struct script *script;
    struct store_page *page;
    int index;
    int waiting;
};

static void script_list(struct store *store, struct call *call, const struct store_range *range,
                        struct store_page *page)
{
    struct script *script = (struct script *)store;
    struct script_call *work = calloc(1, sizeof *work);

    assert_non_null(work);
    assert_null(call->impl);
    assert_true(script->listed < 8);
    snprintf(script->afters[script->listed], sizeof script->afters[0], "%s", range->after);
    snprintf(script->positions[script->listed], sizeof script->positions[0], "%s", page_position(page));
    if (*page_walk(page) == NULL) {
        *page_walk(page) = &script->walks;
        script->walks++;
    }
    *work = (struct script_call){script, page, script->listed++, script->waiting};
    call->impl = work;
}

static void script_list_end(void *walk)
{
    (*(int *)walk)--;
}

static void add_keys(struct store_page *page, const char *const *keys, const struct script_page *how)
{
    for (; *keys != NULL; keys++) {
        struct object_entry entry = {.key = *keys, .size = strlen(*keys) + how->larger, .modified = 1000};

        snprintf(entry.version, sizeof entry.version, "version-%s", *keys);
        if (how->timeless)
            entry.modified = CLOCK_UNKNOWN;
        assert_true(page_add(page, &entry));
    }
}

static bool script_step(struct call *call)
{
    struct script_call *work = call->impl;
    const struct script_page *page = &work->script->pages[work->index];

    if (work->waiting-- > 0)
        return true;
    if (page->broken_first) {
        add_keys(work->page, (const char *const[]){"zzz", "yyy", NULL}, page);
        page_reset(work->page);
    }
    add_keys(work->page, page->keys, page);
    if (page->fail != ERROR_NONE)
        error_set(&call->error, page->fail, "scripted");
    else
        page_end(work->page, page->next);
    call->done = true;
    return true;
}

static void script_cancel(struct call *call, const struct error *why)
{
    call->error = *why;
    call->done = true;
}

static void script_release(struct call *call)
{
    free(call->impl);
}

static const struct store_ops script_ops = {
    .scheme = "script",
    .list = script_list,
    .list_end = script_list_end,
    .step = script_step,
    .cancel = script_cancel,
    .release = script_release,
};

static struct script new_script(const struct script_page *pages)
{
    return (struct script){.base = {.ops = &script_ops, .name = "script"}, .pages = pages};
}

/* Steps until there is something to say. */
static enum cursor_state peek(struct cursor *cursor, const struct object_entry **entry)
{
    enum cursor_state state;

    while ((state = cursor_peek(cursor, entry)) == CURSOR_WAIT)
        assert_true(cursor_step(cursor));
    return state;
}

/* All keys that are handed out, with a space behind each, then how it ended. */
static const char *walk_range(struct script *script, struct store_range range, struct error *error)
{
    static char text[512];
    const struct object_entry *entry;
    struct cursor *cursor = cursor_open(&script->base, &range, error);
    enum cursor_state state;

    assert_non_null(cursor);
    text[0] = '\0';
    while ((state = peek(cursor, &entry)) == CURSOR_ENTRY) {
        char version[64];

        snprintf(version, sizeof version, "version-%s", entry->key);
        assert_string_equal(entry->version, version);
        assert_int_equal(entry->size, strlen(entry->key));
        assert_true(entry->modified == 1000 || entry->modified == CLOCK_UNKNOWN);
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s ", entry->key);
        cursor_next(cursor);
    }
    assert_int_equal(cursor_peek(cursor, &entry), state);
    *error = *cursor_error(cursor);
    snprintf(text + strlen(text), sizeof text - strlen(text), "%s", state == CURSOR_END ? "end" : "failed");
    cursor_close(cursor);
    assert_int_equal(script->walks, 0);
    return text;
}

static const char *walk(struct script *script, const char *prefix, struct error *error)
{
    return walk_range(script, (struct store_range){.prefix = prefix}, error);
}

static void pages_in_a_row(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b", "c"}, .next = "one"},
        {.keys = {NULL}, .next = "two"},
        {.keys = {"d"}, .next = "three"},
        {.keys = {"e", "\xff"}},
    };
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    script.waiting = 3;
    assert_string_equal(walk(&script, "", &error), "a b c d e \xff end");
    assert_int_equal(error.kind, ERROR_NONE);
    assert_int_equal(script.listed, 4);
    assert_string_equal(script.positions[0], "");
    assert_string_equal(script.positions[1], "one");
    assert_string_equal(script.positions[3], "three");
}

static void nothing_at_all(void **state)
{
    static const struct script_page pages[] = {{.next = NULL}};
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "p/", &error), "end");
}

/* The store of these tests takes no notice of a range; what lies behind its end is not asked for. */
static void a_range_has_two_ends(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b"}, .next = "one"},
        {.keys = {"b/1", "b/2", "c"}, .next = "two"},
        {.keys = {"d", "e"}, .next = "three"},
        {.keys = {"f"}},
    };
    static const struct {
        struct store_range range;
        const char *keys;
        int pages; /* one more is fetched while the last one is used, unless that is known to be it */
    } table[] = {
        {{"", "", "", NULL, false}, "a b b/1 b/2 c d e f end", 4},
        {{"", NULL, NULL, NULL, false}, "a b b/1 b/2 c d e f end", 4},
        {{"", "b", NULL, NULL, false}, "b/1 b/2 c d e f end", 4},
        {{"", "b/0", "e", NULL, false}, "b/1 b/2 c d end", 3},
        {{"", NULL, "b/2", NULL, false}, "a b b/1 end", 2},
        {{"", "b/1", "b/2", NULL, false}, "end", 2},
        {{"", "a", "a", NULL, false}, "end", 1},
        {{"", "e", "z", NULL, false}, "f end", 4},
        {{"", "z", NULL, NULL, false}, "end", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct script script = new_script(pages);
        struct error error;

        assert_string_equal(walk_range(&script, table[i].range, &error), table[i].keys);
        assert_int_equal(script.listed, table[i].pages);
    }
}

/* Without a request more than there would be otherwise. */
static void a_folder_that_is_not_wanted_is_skipped(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b/1", "b/2"}, .next = "one"},
        {.keys = {"b0", "c/x", "d/1"}, .next = "two"},
        {.keys = {"d/2", "e", "f/1"}, .next = "three"},
        {.keys = {"g"}},
    };
    struct script script = new_script(pages);
    struct filter *filter = filter_new();
    struct error error;

    (void)state;
    assert_null(filter_add(filter, &(struct filter_rule){false, "/b/", ""}));
    assert_null(filter_add(filter, &(struct filter_rule){false, "f/", ""}));
    assert_null(filter_add(filter, &(struct filter_rule){false, "x", ""}));
    assert_string_equal(walk_range(&script, (struct store_range){"", "", "", filter, false}, &error),
                        "a b0 d/1 d/2 e g end");
    assert_int_equal(script.listed, 4);
    assert_string_equal(script.afters[0], "");
    assert_string_equal(script.positions[1], "");
    assert_string_equal(script.afters[1], "b/\xF4\x8F\xBF\xBD");
    assert_string_equal(script.positions[2], "two"); /* of that listing, so with the same range */
    assert_string_equal(script.afters[2], "b/\xF4\x8F\xBF\xBD");
    assert_string_equal(script.positions[3], "");
    assert_string_equal(script.afters[3], "f/\xF4\x8F\xBF\xBD");
    filter_free(filter);
}

/* A service may take no notice of where it is to begin: nothing is handed out twice or lost, and it is not asked that again. */
static void a_listing_that_begins_anew_is_passed_over(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b/1", "b/2"}, .next = "one"},
        {.keys = {NULL}, .next = "none"},
        {.keys = {"a", "b/1", "b/2"}, .next = "two"},
        {.keys = {"b/3", "c", "d/1"}, .next = "three"},
        {.keys = {"d/2", "e"}},
    };
    struct script script = new_script(pages);
    struct filter *filter = filter_new();
    struct error error;

    (void)state;
    assert_null(filter_add(filter, &(struct filter_rule){false, "/b/", ""}));
    assert_null(filter_add(filter, &(struct filter_rule){false, "/d/", ""}));
    assert_string_equal(walk_range(&script, (struct store_range){"", "", "", filter, false}, &error),
                        "a c e end");
    assert_int_equal(script.listed, 5);
    assert_string_equal(script.positions[1], "");
    assert_string_equal(script.positions[2], "none");
    assert_string_equal(script.positions[3], "two");
    assert_string_equal(script.positions[4], "three");
    filter_free(filter);
}

/* What goes back behind the place where a listing began anew is as broken as ever. */
static void order_is_checked_behind_a_skipped_folder(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b/1"}, .next = "one"},
        {.keys = {"a", "b/1", "c"}, .next = "two"},
        {.keys = {"bb"}},
    };
    struct script script = new_script(pages);
    struct filter *filter = filter_new();
    struct error error;

    (void)state;
    assert_null(filter_add(filter, &(struct filter_rule){false, "/b/", ""}));
    assert_string_equal(walk_range(&script, (struct store_range){"", "", "", filter, false}, &error),
                        "a c failed");
    assert_int_equal(error.kind, ERROR_PROTOCOL);
    filter_free(filter);
}

static void state_keys_are_left_out(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"-", ".storsync", ".storsync/last-sync.json", ".storsync/x"}, .next = "one"},
        {.keys = {".storsync0", "a/.storsync/b"}},
    };
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "", &error), "- .storsync .storsync0 a/.storsync/b end");
}

static void order_is_checked(void **state)
{
    static const struct {
        struct script_page pages[2];
        const char *result;
    } cases[] = {
        {{{.keys = {"a", "c", "b"}}}, "a c failed"},
        {{{.keys = {"a", "c"}, .next = "one"}, {.keys = {"b", "c"}}}, "a c failed"},
        {{{.keys = {"a", "c"}, .next = "one"}, {.keys = {"b", "d"}}}, "a c failed"},
        {{{.keys = {"a", ".storsync/x"}}}, "a failed"},
        {{{.keys = {"a\x7f", "a\x80"}}}, "a\x7f a\x80 end"},
        {{{.keys = {"a\x80", "a\x7f"}}}, "a\x80 failed"},
        {{{.keys = {"B", "a"}}}, "B a end"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script = new_script(cases[i].pages);
        struct error error;

        assert_string_equal(walk(&script, "", &error), cases[i].result);
        if (strstr(cases[i].result, "failed") != NULL) {
            assert_int_equal(error.kind, ERROR_PROTOCOL);
            assert_non_null(strstr(error.text, "out of order"));
        }
    }
}

static void what_is_repeated_is_passed_over(void **state)
{
    static const struct {
        struct script_page pages[3];
        const char *result;
    } cases[] = {
        {{{.keys = {"a", "c"}, .next = "one"}, {.keys = {"c", "d"}}}, "a c d end"},
        {{{.keys = {"a"}, .next = "one"}, {.keys = {"a"}, .next = "two"}, {.keys = {"a", "b"}}}, "a b end"},
        {{{.keys = {"a", "a", "a"}}}, "a end"},
        /* a name twice, with other facts: two objects, and their keys are misread */
        {{{.keys = {"a", "c"}, .next = "one"}, {.keys = {"c"}, .larger = 1}}, "a c failed"},
        {{{.keys = {"a", "c"}, .next = "one"}, {.keys = {"c"}, .timeless = true}}, "a c failed"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct script script = new_script(cases[i].pages);
        struct error error;

        assert_string_equal(walk(&script, "", &error), cases[i].result);
        assert_int_equal(script.base.repeats, strstr(cases[i].result, "failed") == NULL);
    }
}

static void a_time_that_is_not_told_is_noticed(void **state)
{
    static const struct script_page pages[] = {{.keys = {"a", "b"}, .timeless = true}};
    static const struct script_page good[] = {{.keys = {"a", "b"}}};
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "", &error), "a b end");
    assert_true(script.base.timeless);
    script = new_script(good);
    assert_string_equal(walk(&script, "", &error), "a b end");
    assert_false(script.base.timeless);
}

static void keys_must_have_the_prefix(void **state)
{
    static const struct script_page pages[] = {{.keys = {"p/a", "p0"}}};
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "p/", &error), "p/a failed");
    assert_int_equal(error.kind, ERROR_PROTOCOL);
}

static void a_failure_comes_after_what_was_listed(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b"}, .next = "one"},
        {.keys = {"c"}, .fail = ERROR_UNREACHABLE},
    };
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "", &error), "a b failed");
    assert_int_equal(error.kind, ERROR_UNREACHABLE);
    assert_string_equal(error.text, "scripted");
}

static void a_listing_that_turns_in_a_circle_ends(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a"}, .next = "one"},
        {.keys = {NULL}, .next = "one"},
    };
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "", &error), "a failed");
    assert_int_equal(error.kind, ERROR_PROTOCOL);
}

static void a_broken_attempt_leaves_nothing(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a"}, .next = "one"},
        {.keys = {"b"}, .broken_first = true},
    };
    struct script script = new_script(pages);
    struct error error;

    (void)state;
    assert_string_equal(walk(&script, "", &error), "a b end");
    assert_string_equal(script.positions[1], "one");
}

static void the_next_page_is_fetched_ahead(void **state)
{
    static const struct script_page pages[] = {
        {.keys = {"a", "b"}, .next = "one"},
        {.keys = {"c"}, .next = "two"},
        {.keys = {"d"}},
    };
    struct script script = new_script(pages);
    struct error error;
    const struct object_entry *entry;
    struct cursor *cursor = cursor_open(&script.base, &(struct store_range){.prefix = ""}, &error);

    (void)state;
    assert_non_null(cursor);
    assert_int_equal(script.listed, 1);
    assert_int_equal(peek(cursor, &entry), CURSOR_ENTRY);
    assert_string_equal(entry->key, "a");
    assert_int_equal(script.listed, 2); /* under way while "a" is in use, */
    while (cursor_step(cursor)) {
    }
    assert_int_equal(script.listed, 2); /* but one page ahead and no further; */
    assert_int_equal(cursor_peek(cursor, &entry), CURSOR_ENTRY);
    assert_string_equal(entry->key, "a"); /* and it has not touched the entry in use */
    cursor_close(cursor);
    assert_int_equal(script.walks, 0);
}

static void closing_cancels(void **state)
{
    static const struct script_page pages[] = {{.keys = {"a"}}};
    struct script script = new_script(pages);
    struct error error;
    struct cursor *cursor = cursor_open(&script.base, &(struct store_range){.prefix = ""}, &error);

    (void)state;
    assert_non_null(cursor);
    cursor_close(cursor);
    assert_int_equal(script.walks, 0);
}

/* ---- a page's own limits, met with a store that fills one ---- */

struct filled {
    int added;
    bool long_keys;
};

static void fill_list(struct store *store, struct call *call, const struct store_range *range,
                      struct store_page *page)
{
    struct filled *filled = (struct filled *)(void *)((struct script *)store)->pages;
    char key[OBJECT_KEY_MAX + 2];
    struct object_entry entry = {.key = key, .size = UINT64_MAX, .modified = INT64_MAX};

    (void)range;
    memset(entry.version, 'v', sizeof entry.version - 1);
    do {
        memset(key, 'k', sizeof key);
        snprintf(key, sizeof key, "%08d", filled->added);
        key[8] = 'k';
        key[filled->long_keys ? OBJECT_KEY_MAX : 20] = '\0';
    } while (page_add(page, &entry) && ++filled->added < 2 * STORE_PAGE_KEYS);
    memset(key, 'k', sizeof key);
    key[sizeof key - 1] = '\0';
    assert_false(page_add(page, &entry)); /* too long a key, or a full page */
    page_end(page, NULL);
    call->done = true;
}

static void a_page_is_bounded_and_holds_the_longest(void **state)
{
    static const struct store_ops ops = {.list = fill_list, .cancel = script_cancel};

    (void)state;
    for (int longest = 0; longest < 2; longest++) {
        struct filled filled = {.long_keys = longest != 0};
        struct script script = {.base = {.ops = &ops}, .pages = (const struct script_page *)(void *)&filled};
        const struct object_entry *entry;
        struct error error;
        int seen = 0;
        struct cursor *cursor = cursor_open(&script.base, &(struct store_range){.prefix = ""}, &error);

        assert_non_null(cursor);
        for (; cursor_peek(cursor, &entry) == CURSOR_ENTRY; cursor_next(cursor), seen++) {
            assert_int_equal(strlen(entry->key), longest ? OBJECT_KEY_MAX : 20);
            assert_int_equal(strtol(entry->key, NULL, 10), seen);
            assert_true(entry->size == UINT64_MAX && entry->modified == INT64_MAX);
            assert_int_equal(strlen(entry->version), OBJECT_VERSION_SIZE - 1);
        }
        assert_in_range(seen, longest ? CURSOR_ROOM / 1300 : STORE_PAGE_KEYS, STORE_PAGE_KEYS - longest);
        assert_int_equal(filled.added, seen);
        cursor_close(cursor);
    }
}

/* A version that is left out because it is the hash comes back as it was. */
static void versions_and_hashes_come_back(void **state)
{
    static const char md5[] = "0cc175b9c0f1b6a831c399e269772661";
    static const struct {
        const char *version, *md5;
        size_t bytes; /* besides numbers and key */
    } table[] = {
        {"0cc175b9c0f1b6a831c399e269772661", md5, 16},
        {"0CC175B9C0F1B6A831C399E269772661", md5, 16 + 33},
        {"1700000000000001", md5, 16 + 17},
        {"", md5, 16 + 1},
        {"0cc175b9c0f1b6a831c399e269772661", "", 33},
        {"0cc175b9c0f1b6a831c399e269772661-2", "", 35},
        {"", "", 1},
    };
    struct object_entry entry = {.key = "k"}, got;
    struct store_page page;
    size_t at = 0, used;

    (void)state;
    page_init(&page, NULL, "");
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        strcpy(entry.version, table[i].version);
        object_hash_md5(&entry.hash, table[i].md5);
        assert_true(page_add(&page, &entry));
    }
    entry.hash = (struct object_hash){OBJECT_HASH_CRC32C, {0x12, 0x34, 0x56, 0x78}};
    strcpy(entry.version, "12345678");
    assert_true(page_add(&page, &entry));
    for (size_t i = 0; i < sizeof table / sizeof *table; i++, at += used) {
        used = page_entry(&page, at, &got);
        assert_int_equal(used, 24 + table[i].bytes + sizeof "k");
        assert_string_equal(got.version, table[i].version);
        object_hash_md5(&entry.hash, table[i].md5);
        assert_int_equal(got.hash.kind, entry.hash.kind);
        assert_int_equal(object_hashes_equal(&got.hash, &entry.hash), table[i].md5[0] != '\0');
        assert_string_equal(got.key, "k");
    }
    used = page_entry(&page, at, &got);
    assert_int_equal(used, 24 + 4 + sizeof "k");
    assert_string_equal(got.version, "12345678");
    assert_int_equal(got.hash.kind, OBJECT_HASH_CRC32C);
    assert_int_equal(at + used, page.arena.len);
    assert_int_equal(got.touched, 0);
    entry = (struct object_entry){.key = "k", .version = "17.2", .touched = 1234567890123};
    assert_true(page_add(&page, &entry));
    assert_int_equal(page_entry(&page, at + used, &got), 24 + 8 + sizeof "17.2" + sizeof "k");
    assert_int_equal(got.touched, 1234567890123);
    assert_string_equal(got.version, "17.2");
    assert_int_equal(got.written, 0);
    at = page.arena.len;
    entry.written = 1700000000123;
    assert_true(page_add(&page, &entry));
    assert_int_equal(page_entry(&page, at, &got), 24 + 8 + 8 + sizeof "17.2" + sizeof "k");
    assert_int_equal(got.touched, 1234567890123);
    assert_int_equal(got.written, 1700000000123);
    assert_string_equal(got.version, "17.2");
    page_free(&page);
}

/* Two positions in turn, or always new ones: no key ever comes. */
static void turn_list(struct store *store, struct call *call, const struct store_range *range,
                      struct store_page *page)
{
    int *pages = (int *)(void *)(store + 1);
    char next[16];

    (void)range;
    snprintf(next, sizeof next, "%d", ++*pages % 2);
    page_end(page, next);
    call->done = true;
}

static void pages_without_keys_end(void **state)
{
    static const struct store_ops ops = {.list = turn_list};
    struct {
        struct store store;
        int pages;
    } turning = {.store = {.ops = &ops}};
    const struct object_entry *entry;
    struct cursor *cursor;
    struct error error;

    (void)state;
    cursor = cursor_open(&turning.store, &(struct store_range){.prefix = "p"}, &error);
    assert_int_equal(cursor_peek(cursor, &entry), CURSOR_FAILED);
    assert_non_null(strstr(cursor_error(cursor)->text, "does not come to an end"));
    assert_in_range(turning.pages, 10000, 10010);
    cursor_close(cursor);
}

static void too_long_a_prefix(void **state)
{
    static const struct script_page pages[] = {{.keys = {"a"}}};
    struct script script = new_script(pages);
    char prefix[OBJECT_KEY_MAX + 2];
    struct error error;

    (void)state;
    memset(prefix, 'p', sizeof prefix);
    prefix[sizeof prefix - 1] = '\0';
    assert_null(cursor_open(&script.base, &(struct store_range){.prefix = prefix}, &error));
    assert_int_equal(error.kind, ERROR_CONFIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pages_in_a_row),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(a_range_has_two_ends),
        cmocka_unit_test(a_folder_that_is_not_wanted_is_skipped),
        cmocka_unit_test(a_listing_that_begins_anew_is_passed_over),
        cmocka_unit_test(order_is_checked_behind_a_skipped_folder),
        cmocka_unit_test(state_keys_are_left_out),
        cmocka_unit_test(order_is_checked),
        cmocka_unit_test(what_is_repeated_is_passed_over),
        cmocka_unit_test(a_time_that_is_not_told_is_noticed),
        cmocka_unit_test(keys_must_have_the_prefix),
        cmocka_unit_test(a_failure_comes_after_what_was_listed),
        cmocka_unit_test(a_listing_that_turns_in_a_circle_ends),
        cmocka_unit_test(a_broken_attempt_leaves_nothing),
        cmocka_unit_test(the_next_page_is_fetched_ahead),
        cmocka_unit_test(closing_cancels),
        cmocka_unit_test(a_page_is_bounded_and_holds_the_longest),
        cmocka_unit_test(versions_and_hashes_come_back),
        cmocka_unit_test(pages_without_keys_end),
        cmocka_unit_test(too_long_a_prefix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
