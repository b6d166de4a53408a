#include "store.h"

#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * An entry in a page's arena: its numbers, then the ETag and the key, each with its NUL. Packed like this
 * a typical entry takes 110 bytes and not the 170 of a struct object_entry without its key.
 */
struct numbers {
    uint64_t size;
    int64_t modified;
    int unreadable;
};
#define ENTRY_MAX (sizeof(struct numbers) + OBJECT_ETAG_SIZE + OBJECT_KEY_MAX + 1)

/* Ceiling of a position. Continuation tokens are opaque; the longest seen are a little longer than a key. */
#define POSITION_MAX ((size_t)16 * 1024)

/* Pages in a row without a key, as services give them that have many deleted ones. More are a circle. */
#define EMPTY_PAGES_MAX 10000

struct store_page {
    struct buf arena;
    int count;
    struct buf position; /* where the page begins */
    struct buf next;     /* where the one after it begins */
    bool ended, last;    /* page_end was called; with NULL */
    void **walk;
};

struct cursor {
    struct store *store;
    char *prefix;
    struct call call; /* fetches into the page that is not in use */
    struct store_page pages[2];
    int using;     /* index of the page that is handed out */
    int taken;     /* entries of it that are decoded */
    int empty;     /* pages without any, in a row */
    size_t offset; /* in its arena, behind them */
    bool shown;    /* `entry` is the current entry */
    struct object_entry entry;
    char key[OBJECT_KEY_MAX + 1]; /* the last one of the listing, and what entry.key points to */
    void *walk;
    struct error error;
};

/* ---- pages ---- */

void page_reset(struct store_page *page)
{
    buf_clear(&page->arena);
    page->count = 0;
    page->ended = false;
}

const char *page_position(const struct store_page *page)
{
    return buf_str(&page->position);
}

void **page_walk(struct store_page *page)
{
    return page->walk;
}

bool page_add(struct store_page *page, const struct object_entry *entry)
{
    struct numbers numbers = {
        .size = entry->size, .modified = entry->modified, .unreadable = entry->unreadable};
    size_t key_len = strnlen(entry->key, OBJECT_KEY_MAX + 1);
    size_t etag_len = strlen(entry->etag);
    size_t before = page->arena.len;

    if (page->count == STORE_PAGE_KEYS || key_len > OBJECT_KEY_MAX)
        return false;
    if (!buf_append(&page->arena, &numbers, sizeof numbers) ||
        !buf_append(&page->arena, entry->etag, etag_len + 1) ||
        !buf_append(&page->arena, entry->key, key_len + 1)) {
        page->arena.len = before;
        return false;
    }
    page->count++;
    return true;
}

bool page_end(struct store_page *page, const char *next)
{
    buf_clear(&page->next);
    page->last = next == NULL;
    page->ended = next == NULL || buf_puts(&page->next, next);
    return page->ended;
}

static void page_init(struct store_page *page, void **walk)
{
    *page = (struct store_page){.walk = walk};
    buf_init(&page->arena, STORE_PAGE_KEYS * ENTRY_MAX);
    buf_init(&page->position, POSITION_MAX);
    buf_init(&page->next, POSITION_MAX);
}

static void page_free(struct store_page *page)
{
    buf_free(&page->arena);
    buf_free(&page->position);
    buf_free(&page->next);
}

/* ---- fetching ---- */

static struct store_page *other_page(struct cursor *cursor)
{
    return &cursor->pages[1 - cursor->using];
}

/* Begins to fetch what comes after the page in use into the other one. */
static void fetch(struct cursor *cursor)
{
    const struct store_page *current = &cursor->pages[cursor->using];
    struct store_page *page = other_page(cursor);

    page_reset(page);
    buf_clear(&page->position);
    if (!buf_puts(&page->position, buf_str(&current->next)))
        error_set(&cursor->error, ERROR_LOCAL, "out of memory");
    else
        store_list(cursor->store, &cursor->call, cursor->prefix, page);
}

/* What the finished call brought can be used: a page, not the same one again. */
static bool fetched(struct cursor *cursor)
{
    const struct store_page *page = other_page(cursor);
    bool same = strcmp(buf_str(&page->next), buf_str(&page->position)) == 0;

    if (cursor->call.error.kind != ERROR_NONE) {
        cursor->error = cursor->call.error;
        return false;
    }
    cursor->empty = page->count == 0 ? cursor->empty + 1 : 0;
    if (!page->ended || (!page->last && (same || cursor->empty > EMPTY_PAGES_MAX)))
        return error_set(&cursor->error, ERROR_PROTOCOL, "%s: listing \"%s\" does not come to an end",
                         cursor->store->name, cursor->prefix);
    return true;
}

struct cursor *cursor_open(struct store *store, const char *prefix, struct error *error)
{
    struct cursor *cursor;

    if (strnlen(prefix, OBJECT_KEY_MAX + 1) > OBJECT_KEY_MAX) {
        error_set(error, ERROR_CONFIG, "a prefix of more than %d bytes matches no key", OBJECT_KEY_MAX);
        return NULL;
    }
    cursor = calloc(1, sizeof *cursor);
    if (cursor != NULL)
        cursor->prefix = strdup(prefix);
    if (cursor == NULL || cursor->prefix == NULL) {
        free(cursor);
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    cursor->store = store;
    call_init(&cursor->call);
    page_init(&cursor->pages[0], &cursor->walk);
    page_init(&cursor->pages[1], &cursor->walk);
    fetch(cursor);
    return cursor;
}

void cursor_close(struct cursor *cursor)
{
    if (cursor == NULL)
        return;
    call_free(&cursor->call);
    if (cursor->walk != NULL)
        cursor->store->ops->list_end(cursor->walk);
    page_free(&cursor->pages[0]);
    page_free(&cursor->pages[1]);
    free(cursor->prefix);
    free(cursor);
}

bool cursor_step(struct cursor *cursor)
{
    return store_step(&cursor->call);
}

const struct error *cursor_error(const struct cursor *cursor)
{
    return &cursor->error;
}

/* ---- handing out ---- */

/* Some services show the last key of a page once more at the beginning of the next. With other facts it would be another
 * object, whose key we misread. */
static bool is_repeated(struct cursor *cursor, const char *key, const char *etag,
                        const struct numbers *numbers)
{
    if (strcmp(key, cursor->key) != 0 || numbers->size != cursor->entry.size ||
        numbers->modified != cursor->entry.modified || strcmp(etag, cursor->entry.etag) != 0)
        return false;
    if (!cursor->store->repeats)
        log_warn("%s: its listing has \"%.150s\" twice; what is repeated is passed over", cursor->store->name,
                 key);
    cursor->store->repeats = true;
    return true;
}

/* Said once of a bucket: how objects compare is another matter then. */
static void look_at_time(struct cursor *cursor)
{
    if (cursor->entry.modified != CLOCK_UNKNOWN || cursor->entry.unreadable != 0 || cursor->store->timeless)
        return;
    cursor->store->timeless = true;
    log_warn("%s: its listing does not tell when \"%.150s\" was changed: without a time, objects of one size "
             "are compared "
             "by content hash, and copied where there is none",
             cursor->store->name, cursor->key);
}

static bool is_state(const char *key)
{
    return strncmp(key, OBJECT_STATE_PREFIX, sizeof OBJECT_STATE_PREFIX - 1) == 0;
}

/* Decodes the entry at the offset of the page in use; `again`: it is the one before. False, with the error set, for a key
 * out of order. */
static bool take(struct cursor *cursor, bool *again)
{
    const char *at = cursor->pages[cursor->using].arena.data + cursor->offset;
    const char *etag = at + sizeof(struct numbers);
    size_t etag_size = strlen(etag) + 1;
    const char *key = etag + etag_size;
    size_t key_size = strlen(key) + 1;
    struct numbers numbers;

    memcpy(&numbers, at, sizeof numbers);
    *again = is_repeated(cursor, key, etag, &numbers);
    if (!*again && strcmp(key, cursor->key) <= 0)
        return error_set(&cursor->error, ERROR_PROTOCOL,
                         "%s: the listing of \"%s\" is out of order: \"%.150s\" comes after \"%.150s\"",
                         cursor->store->name, cursor->prefix, key, cursor->key);
    if (strncmp(key, cursor->prefix, strlen(cursor->prefix)) != 0)
        return error_set(&cursor->error, ERROR_PROTOCOL,
                         "%s: the listing of \"%s\" has a key that does not begin with it: \"%.150s\"",
                         cursor->store->name, cursor->prefix, key);
    memcpy(cursor->entry.etag, etag, etag_size);
    memcpy(cursor->key, key, key_size);
    cursor->entry.key = cursor->key;
    cursor->entry.size = numbers.size;
    cursor->entry.modified = numbers.modified;
    cursor->entry.unreadable = numbers.unreadable;
    cursor->offset += sizeof numbers + etag_size + key_size;
    cursor->taken++;
    return true;
}

void cursor_explain(const struct cursor *cursor, struct error *error)
{
    int why = cursor->entry.unreadable;
    bool forbidden = why == EACCES || why == EPERM;

    errno = why;
    error_set_errno(error, "%s: what is in %.200s is unknown and left alone%s", cursor->store->name,
                    cursor->key,
                    forbidden ? ": give the user that runs this the rights to read and enter it" : "");
}

/* Of the program's own state all must be known. */
static bool may_show(struct cursor *cursor)
{
    if (cursor->entry.unreadable == 0 || !is_state(cursor->prefix))
        return true;
    cursor_explain(cursor, &cursor->error);
    return false;
}

enum cursor_state cursor_peek(struct cursor *cursor, const struct object_entry **entry)
{
    while (!cursor->shown) {
        struct store_page *page = &cursor->pages[cursor->using];
        bool again;

        if (cursor->error.kind != ERROR_NONE)
            return CURSOR_FAILED;
        if (cursor->taken < page->count) {
            if (take(cursor, &again) && may_show(cursor))
                cursor->shown = !again && (!is_state(cursor->key) || is_state(cursor->prefix));
            continue;
        }
        if (page->last)
            return CURSOR_END;
        if (!cursor->call.done)
            return CURSOR_WAIT;
        if (!fetched(cursor))
            return CURSOR_FAILED;
        cursor->using = 1 - cursor->using;
        cursor->taken = 0;
        cursor->offset = 0;
        if (!cursor->pages[cursor->using].last)
            fetch(cursor);
    }
    look_at_time(cursor);
    *entry = &cursor->entry;
    return CURSOR_ENTRY;
}

void cursor_next(struct cursor *cursor)
{
    cursor->shown = false;
}
