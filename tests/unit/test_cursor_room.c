/*
 * What a cursor's pages take, over services that send what they like: keys of all lengths, more of them than were asked for, or
 * that cannot begin behind a key. Whatever they do, each key comes once, and in no more memory than was given.
 */
#include "cursor.h"
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

#define KEYS_MAX 3000
#define ENTRY_MAX 1300 /* bytes, of the largest */

enum begins { BEHIND, AT, ANEW }; /* where a listing that is to begin behind a key does */

struct service {
    struct store base;
    char *keys[KEYS_MAX]; /* in order, as it says */
    int count;
    int page;          /* keys it has a page, whatever is asked for if `is_deaf` */
    bool is_deaf;      /* to how many keys are asked for */
    bool whole_tokens; /* a token of its own, not a key */
    enum begins begins;
    int pages, again; /* that were asked for; with fewer keys than the time before, at the same place */
    int last_from, last_keys;
    size_t room; /* that was given */
    struct filter *filter;
    struct store_page *seen[2];
};

struct service_call {
    struct service *service;
    struct store_page *page;
    char after[OBJECT_KEY_MAX + 1];
    int waiting;
};

static uint64_t seed;

static unsigned draw(unsigned below)
{
    seed = seed * 6364136223846793005U + 1442695040888963407U;
    return (unsigned)(seed >> 33) % below;
}

static void service_list(struct store *store, struct call *call, const struct store_range *range,
                         struct store_page *page)
{
    struct service_call *work = calloc(1, sizeof *work);

    assert_non_null(work);
    *work = (struct service_call){.service = (struct service *)store, .page = page, .waiting = (int)draw(3)};
    snprintf(work->after, sizeof work->after, "%s", range->after);
    if (page != work->service->seen[0])
        work->service->seen[1] = page;
    call->impl = work;
}

/* The place of the first key to show. */
static int place_of(const struct service *service, const struct service_call *work)
{
    const char *position = page_position(work->page);
    int at = 0;

    if (position[0] != '\0')
        return (int)strtol(position, NULL, 10);
    if (work->after[0] == '\0' || service->begins == ANEW)
        return 0;
    while (at < service->count &&
           (strcmp(service->keys[at], work->after) < 0 ||
            (service->begins == BEHIND && strcmp(service->keys[at], work->after) == 0)))
        at++;
    return at;
}

static void assert_bounded(const struct service *service)
{
    size_t memory = 0;

    for (int i = 0; i < 2; i++)
        memory += service->seen[i] != NULL ? page_memory(service->seen[i]) : 0;
    assert_in_range(memory, 0, service->room + 2 * (ENTRY_MAX + 1));
}

static bool service_step(struct call *call)
{
    struct service_call *work = call->impl;
    struct service *service = work->service;
    int at = place_of(service, work), keys = page_keys(work->page);
    int end = at + (service->is_deaf || service->page < keys ? service->page : keys);
    char next[16];

    if (work->waiting-- > 0)
        return true;
    service->again += at == service->last_from && keys < service->last_keys;
    service->last_from = at;
    service->last_keys = keys;
    service->pages++;
    end = end < service->count ? end : service->count;
    snprintf(next, sizeof next, "%d", end);
    for (; at < end; at++) {
        struct object_entry entry = {
            .key = service->keys[at], .size = strlen(service->keys[at]), .version = "v"};

        assert_true(page_receive(work->page, &entry));
        assert_bounded(service);
    }
    page_end(work->page, end < service->count ? next : NULL);
    call->done = true;
    return true;
}

static void service_cancel(struct call *call, const struct error *why)
{
    call->error = *why;
    call->done = true;
}

static void service_release(struct call *call)
{
    free(call->impl);
}

static const struct store_ops service_ops = {.scheme = "service",
                                             .list = service_list,
                                             .step = service_step,
                                             .cancel = service_cancel,
                                             .release = service_release};

static int by_key(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Some are short and some are long, in turns or mixed. A hundred are in one folder. */
static struct service *new_service(int count, bool mixed)
{
    struct service *service = calloc(1, sizeof *service);
    unsigned most = 40;

    assert_non_null(service);
    *service = (struct service){.base = {.ops = &service_ops, .name = "service"}, .count = count};
    for (int i = 0; i < count; i++) {
        size_t len;

        if (mixed || draw(200) == 0)
            most = draw(2) == 0 ? 40 : OBJECT_KEY_MAX - 10;
        len = 8 + (most > 40 ? most - draw(30) : draw(most));
        service->keys[i] = malloc(len + 1);
        assert_non_null(service->keys[i]);
        memset(service->keys[i], 'a' + (int)draw(4), len);
        memcpy(service->keys[i],
               (char[]){(char)('a' + i / 100), '/', (char)('a' + i % 100 / 10), (char)('a' + i % 10)}, 4);
        service->keys[i][len] = '\0';
    }
    qsort(service->keys, (size_t)count, sizeof service->keys[0], by_key);
    return service;
}

static void free_service(struct service *service)
{
    filter_free(service->filter);
    for (int i = 0; i < service->count; i++)
        free(service->keys[i]);
    free(service);
}

static struct cursor *open_cursor(struct service *service, size_t room)
{
    struct error error;
    struct cursor *cursor;

    service->seen[0] = service->seen[1] = NULL;
    service->pages = service->again = service->last_from = service->last_keys = 0;
    cursor =
        cursor_open(&service->base, &(struct store_range){.prefix = "", .filter = service->filter}, &error);
    assert_non_null(cursor);
    service->seen[0] = service->seen[1];
    service->seen[1] = NULL;
    service->room = room;
    cursor_share(cursor, room);
    return cursor;
}

/* As join does it: never less than is there. */
static void change_room(struct service *service, struct cursor *cursor, size_t least)
{
    size_t room = least + draw(40000);

    if (draw(20) == 0)
        cursor_spare(cursor);
    if (draw(10) != 0 || room <= cursor_bytes(cursor))
        return;
    service->room = room;
    cursor_share(cursor, room);
    assert_bounded(service);
}

static bool is_wanted(const struct service *service, int at)
{
    return service->filter == NULL || filter_look(service->filter, service->keys[at]).taken;
}

/* Returns at which key it ended: all that are wanted came up to there, in order. */
static int walk(struct service *service, size_t least, enum cursor_state *state, struct error *error)
{
    struct cursor *cursor = open_cursor(service, least + draw(20000));
    const struct object_entry *entry;
    int at = 0;

    for (;;) {
        assert_bounded(service);
        change_room(service, cursor, least);
        *state = cursor_peek(cursor, &entry);
        if (*state == CURSOR_WAIT) {
            assert_true(cursor_step(cursor));
            continue;
        }
        if (*state != CURSOR_ENTRY)
            break;
        while (at < service->count && !is_wanted(service, at))
            at++;
        assert_true(at < service->count);
        assert_string_equal(entry->key, service->keys[at]);
        assert_int_equal(entry->size, strlen(service->keys[at++]));
        cursor_next(cursor);
    }
    while (at < service->count && !is_wanted(service, at))
        at++;
    *error = *cursor_error(cursor);
    assert_true(service->base.repeats == false);
    cursor_close(cursor);
    return at;
}

static void each_key_comes_once(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct service *service;
        enum cursor_state end;
        struct error error;

        seed = round;
        service = new_service(1 + (int)draw(round % 5 == 0 ? 2500 : 300), round % 2 == 0);
        service->page = 1 + (int)draw(round % 3 == 0 ? 20 : 1500);
        service->is_deaf = draw(2) == 0;
        service->begins = (enum begins)draw(service->is_deaf ? 2 : 3);
        if (draw(3) == 0) {
            service->filter = filter_new();
            assert_null(filter_add(service->filter, &(struct filter_rule){false, "/[bcgx]/", ""}));
        }
        assert_int_equal(walk(service, 3 * ENTRY_MAX, &end, &error), service->count);
        assert_int_equal(end, CURSOR_END);
        free_service(service);
    }
}

/* One key at a time, if there is no room for more. */
static void a_key_that_is_larger_than_the_room(void **state)
{
    struct service *service;
    enum cursor_state end;
    struct error error;

    (void)state;
    seed = 5;
    service = new_service(60, true);
    service->page = 1000;
    for (int begins = BEHIND; begins <= ANEW; begins++) {
        service->begins = (enum begins)begins;
        assert_int_equal(walk(service, 1, &end, &error), service->count);
        assert_int_equal(end, CURSOR_END);
    }
    free_service(service);
}

/* Sends what it likes, and always from the beginning: what fits is told, and then that there is no end. */
static void a_service_that_takes_no_notice_of_anything(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct service *service;
        enum cursor_state end;
        struct error error;

        seed = round;
        service = new_service(600, true);
        service->page = 60 + (int)draw(500);
        service->is_deaf = true;
        service->begins = ANEW;
        assert_true(walk(service, 4 * ENTRY_MAX, &end, &error) < service->count);
        assert_int_equal(end, CURSOR_FAILED);
        assert_non_null(strstr(error.text, "does not come to an end"));
        assert_true(service->pages < 100);
        free_service(service);
    }
}

/* Two keys change their places, wherever that is: it is found out, and no key is passed over in silence. */
static void order_is_checked_in_what_does_not_fit(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct service *service;
        enum cursor_state end;
        struct error error;
        int at, come;
        char *key;

        seed = round;
        service = new_service(300, round % 2 == 0);
        service->page = 1 + (int)draw(400);
        service->is_deaf = draw(2) == 0;
        service->begins = (enum begins)draw(2);
        at = (int)draw(299);
        key = service->keys[at];
        service->keys[at] = service->keys[at + 1];
        service->keys[at + 1] = key;
        come = walk(service, 3 * ENTRY_MAX, &end, &error);
        assert_int_equal(end, CURSOR_FAILED);
        assert_non_null(strstr(error.text, "out of order"));
        assert_true(come <= at + 1);
        free_service(service);
    }
}

/* Long keys cost the requests that they have to, and short ones behind them no more than others. */
static void pages_are_as_long_as_there_is_room(void **state)
{
    struct service *service = calloc(1, sizeof *service);
    enum cursor_state end = CURSOR_WAIT;
    const struct object_entry *entry;
    struct cursor *cursor;
    int at = 0, last;

    (void)state;
    assert_non_null(service);
    *service =
        (struct service){.base = {.ops = &service_ops, .name = "service"}, .count = KEYS_MAX, .page = 1000};
    for (int i = 0; i < KEYS_MAX; i++) {
        size_t len = i / 1000 == 1 ? OBJECT_KEY_MAX : 30;

        service->keys[i] = malloc(len + 1);
        assert_non_null(service->keys[i]);
        memset(service->keys[i], 'k', len);
        service->keys[i][len] = '\0';
        memcpy(service->keys[i],
               (char[]){'0' + (char)(i / 1000), '0' + (char)(i / 100 % 10), '0' + (char)(i / 10 % 10),
                        '0' + (char)(i % 10)},
               4);
    }
    cursor = open_cursor(service, CURSOR_ROOM);
    for (last = 0; end != CURSOR_END;) {
        end = cursor_peek(cursor, &entry);
        if (end == CURSOR_WAIT)
            assert_true(cursor_step(cursor));
        else if (end == CURSOR_ENTRY) {
            assert_string_equal(entry->key, service->keys[at++]);
            cursor_next(cursor);
        }
        if (at == 2400 && last == 0)
            last = service->pages;
    }
    assert_int_equal(at, KEYS_MAX);
    assert_in_range(service->pages, 6,
                    9); /* three and what long keys take more, one of them asked for in vain or two */
    assert_in_range(service->again, 1, 2);
    cursor_close(cursor);
    free_service(service);
}

static void add_keys(struct store_page *page, int count, size_t len)
{
    char key[OBJECT_KEY_MAX + 1];

    for (int i = 0; i < count; i++) {
        memset(key, 'k', len);
        snprintf(key + len, sizeof key - len, "%04d", i);
        assert_true(page_receive(page, &(struct object_entry){.key = key, .version = "v"}));
    }
}

/* What pages would take is told by those that have as many keys as they could have, not by the few that are left at the end. */
static void few_keys_tell_nothing_of_whole_pages(void **state)
{
    struct store_page page;
    void *walk = NULL;
    size_t full;

    (void)state;
    page_init(&page, &walk, "");
    page_limit(&page, 50000);
    add_keys(&page, 900, 60);
    full = page_full(&page);
    assert_in_range(full, 64 * 1000, 150 * 1000);
    assert_true(page_asks_too_much(&page));
    page_ask_less(&page);
    add_keys(&page, page_keys(&page), 60);
    assert_in_range(page_full(&page), full - 1000, full + 1000);
    page_reset(&page);
    add_keys(&page, 2, 500);
    assert_true(page_end(&page, NULL));
    assert_int_equal(page_full(&page), page_bytes(&page));
    page_free(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_key_comes_once),
        cmocka_unit_test(a_key_that_is_larger_than_the_room),
        cmocka_unit_test(a_service_that_takes_no_notice_of_anything),
        cmocka_unit_test(order_is_checked_in_what_does_not_fit),
        cmocka_unit_test(pages_are_as_long_as_there_is_room),
        cmocka_unit_test(few_keys_tell_nothing_of_whole_pages),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
