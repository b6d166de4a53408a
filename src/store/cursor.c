#include "cursor.h"

#include "clock.h"
#include "log.h"
#include "page.h"
#include "store_ops.h"
#include "text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Pages in a row without a key, as services give them that have many deleted ones. More are a circle. */
#define EMPTY_PAGES_MAX 10000

/* Behind a folder's name: no key that is likely to be there sorts after this one, U+10FFFD. It is the last character that
 * XML can hold. */
#define FOLDER_END "\xF4\x8F\xBF\xBD"

struct cursor {
    struct store *store;
    struct store_range range; /* that is asked for: in `texts`; no bound is NULL. `after` may be `skip` */
    const char *after;        /* where the keys that are wanted begin */
    struct call call;         /* fetches into the page that is not in use */
    struct store_page pages[2];
    int using;     /* index of the page that is handed out */
    int taken;     /* entries of it that are decoded */
    int empty;     /* pages without any, in a row */
    uint64_t came; /* pages, all together */
    bool fetching; /* the other page comes, or is there */
    bool sparing;  /* it is not asked for before this one is used up */
    bool through;  /* the last key is beyond `bound` */
    bool ended;    /* so is all that would come behind the page in use */
    size_t full;   /* bytes of the largest page that has come, if there had been room enough for all of it */
    size_t room;   /* bytes for the entries of both pages */
    bool skipped;  /* the listing went on behind `skip`, and no entry has come since */
    bool vain;     /* the service took no notice of it: what is not behind it has been there already */
    size_t offset; /* in its arena, behind them */
    bool shown;    /* `entry` is the current entry */
    struct object_entry entry;
    char key[OBJECT_KEY_MAX + 1]; /* the last one of the listing, and what entry.key points to */
    /* Behind which the listing went on: the end of a folder of which nothing is wanted, or the last key for which there was room. */
    char skip[OBJECT_KEY_MAX + 1];
    char bound[OBJECT_KEY_MAX + 2]; /* of cursor_limit: the first key that is not wanted; "": there is none */
    void *walk;
    struct error error;
    char texts[];
};

/* ---- fetching ---- */

static struct store_page *other_page(struct cursor *cursor)
{
    return &cursor->pages[1 - cursor->using];
}

/* The listing goes on behind the first `len` bytes of the page's last key, and `end`. */
static void skip_to(struct cursor *cursor, struct store_page *page, size_t len, const char *end)
{
    memcpy(cursor->skip, page_last_key(page), len);
    memcpy(cursor->skip + len, end, strlen(end) + 1);
    cursor->range.after = cursor->skip;
    cursor->skipped = true;
    page_begin_anew(page);
}

/* Where the page ends in a folder of which nothing is wanted, the rest of that is not asked for. It costs no request that the
 * next page would not. Where there was no room for the rest of the page, that is asked for. */
static void skip_rest(struct cursor *cursor, struct store_page *page)
{
    size_t len = page->count > 0 ? filter_look(cursor->range.filter, page_last_key(page)).folder : 0;

    if (len > 0 && len + sizeof FOLDER_END <= sizeof cursor->skip && !cursor->vain)
        skip_to(cursor, page, len, FOLDER_END);
    else if (page->crowded)
        skip_to(cursor, page, strlen(page_last_key(page)), "");
}

static size_t room_beside(const struct cursor *cursor, size_t bytes)
{
    return bytes < cursor->room ? cursor->room - bytes : 0;
}

/* Gives the page that is to come what the one in use leaves of the room. */
static void share_room(struct cursor *cursor)
{
    struct store_page *current = &cursor->pages[cursor->using];
    struct store_page *page = other_page(cursor);

    page_limit(current, room_beside(cursor, page_bytes(page)));
    page_limit(page, room_beside(cursor, page_memory(current)));
}

/* The same before it is asked for: it takes over that one's memory if it is used up. */
static void prepare_room(struct cursor *cursor)
{
    struct store_page *current = &cursor->pages[cursor->using];

    if (cursor->taken == current->count)
        page_take_over(other_page(cursor), current);
    share_room(cursor);
}

/* May a page be asked for before the one in use is used up? */
static bool has_room_ahead(const struct cursor *cursor)
{
    return !cursor->sparing && page_memory(&cursor->pages[cursor->using]) <= cursor->room / 2;
}

static bool is_beyond(const struct cursor *cursor, const char *key)
{
    return cursor->bound[0] != '\0' && strcmp(key, cursor->bound) >= 0;
}

/* Begins to fetch what comes after the page in use into the other one. */
static void fetch_page(struct cursor *cursor)
{
    struct store_page *current = &cursor->pages[cursor->using];
    struct store_page *page = other_page(cursor);

    skip_rest(cursor, current);
    cursor->ended = cursor->through || (cursor->skipped && is_beyond(cursor, cursor->skip));
    if (cursor->ended)
        return;
    cursor->fetching = true;
    if (!page_follow(page, current, cursor->room)) {
        error_set(&cursor->error, ERROR_LOCAL, "out of memory");
        return;
    }
    prepare_room(cursor);
    store_list(cursor->store, &cursor->call, &cursor->range, page);
}

/* The page that has come is crowded: again with fewer keys, or with the room of the one before it. */
static void fetch_again(struct cursor *cursor)
{
    struct store_page *page = other_page(cursor);

    if (page_memory(&cursor->pages[cursor->using]) > 0)
        page_reset(page);
    else
        page_ask_less(page);
    prepare_room(cursor);
    store_list(cursor->store, &cursor->call, &cursor->range, page);
}

static bool set_endless(struct cursor *cursor)
{
    return error_set(&cursor->error, ERROR_PROTOCOL, "%s: listing \"%s\" does not come to an end",
                     cursor->store->name, cursor->range.prefix);
}

static void note_page(struct cursor *cursor, const struct store_page *page)
{
    size_t full = page_full(page);

    cursor->full = full > cursor->full ? full : cursor->full;
}

/* What the finished call brought can be used: a page, not the same one again. */
static bool fetched_page(struct cursor *cursor)
{
    const struct store_page *page = other_page(cursor);

    if (cursor->call.error.kind != ERROR_NONE) {
        cursor->error = cursor->call.error;
        return false;
    }
    if (page->disordered)
        return error_set(&cursor->error, ERROR_PROTOCOL,
                         "%s: the listing of \"%s\" is out of order: it goes back behind \"%.150s\"",
                         cursor->store->name, cursor->range.prefix,
                         page->passed ? page->until : page_last_key(page));
    cursor->empty = page->count == 0 ? cursor->empty + 1 : 0;
    if (!page->ended ||
        (!page->last && !page->crowded && (page_repeats(page) || cursor->empty > EMPTY_PAGES_MAX)))
        return set_endless(cursor);
    note_page(cursor, page);
    return true;
}

static const char *bound_text(const char *text)
{
    return text != NULL ? text : "";
}

/* Copies the text to *at and moves that behind it. */
static const char *keep_text(char **at, const char *text)
{
    size_t size = strlen(text) + 1;
    char *kept = memcpy(*at, text, size);

    *at += size;
    return kept;
}

struct cursor *cursor_open(struct store *store, const struct store_range *range, struct error *error)
{
    const char *after = bound_text(range->after), *until = bound_text(range->until);
    struct cursor *cursor;
    char *texts;

    if (strnlen(range->prefix, OBJECT_KEY_MAX + 1) > OBJECT_KEY_MAX) {
        error_set(error, ERROR_CONFIG, "a prefix of more than %d bytes matches no key", OBJECT_KEY_MAX);
        return NULL;
    }
    cursor = calloc(1, sizeof *cursor + strlen(range->prefix) + strlen(after) + strlen(until) + 3);
    if (cursor == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    texts = cursor->texts;
    cursor->range.filter = range->filter;
    cursor->range.prefix = keep_text(&texts, range->prefix);
    cursor->range.after = cursor->after = keep_text(&texts, after);
    cursor->range.until = keep_text(&texts, until);
    cursor->store = store;
    cursor->room = CURSOR_ROOM;
    call_init(&cursor->call);
    cursor->call.urgent = range->urgent;
    page_init(&cursor->pages[0], &cursor->walk, cursor->range.until);
    page_init(&cursor->pages[1], &cursor->walk, cursor->range.until);
    fetch_page(cursor);
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

/* Not every store begins behind a key: a listing that was to go on behind one may have begun with it, or anew. */
static void look_at_begin(struct cursor *cursor)
{
    const struct store_page *page = &cursor->pages[cursor->using];
    struct object_entry first;
    size_t used;
    int order;

    if (!cursor->skipped || page->count == 0)
        return;
    used = page_entry(page, 0, &first);
    order = strcmp(first.key, cursor->skip);
    if (order == 0) {
        cursor->offset = used;
        cursor->taken = 1;
    }
    cursor->vain = order < 0;
    cursor->skipped = false;
}

/* Has the page in use been cut short in vain? What did not fit would be asked for behind a key of which the service takes no notice,
 * or behind the same one as before. */
static bool leads_nowhere(const struct cursor *cursor)
{
    const struct store_page *page = &cursor->pages[cursor->using];

    return page->crowded && (cursor->vain || strcmp(page_last_key(page), cursor->skip) <= 0);
}

/* ---- several listings of one bucket ---- */

/* The one that came last. */
static const struct store_page *latest_page(const struct cursor *cursor)
{
    const struct store_page *other = &cursor->pages[1 - cursor->using];

    return cursor->fetching && cursor->call.done && cursor->call.error.kind == ERROR_NONE && other->ended
               ? other
               : &cursor->pages[cursor->using];
}

const char *cursor_reach(const struct cursor *cursor)
{
    const struct store_page *page = latest_page(cursor);

    return page->count > 0 ? page_last_key(page) : cursor->key;
}

enum cursor_state cursor_outlook(const struct cursor *cursor)
{
    const struct store_page *page = latest_page(cursor);
    struct object_entry first;

    if (cursor->error.kind != ERROR_NONE)
        return CURSOR_FAILED;
    if ((page->ended && page->last) || cursor->through || cursor->ended)
        return CURSOR_END;
    if (cursor->came > 0)
        return CURSOR_ENTRY;
    if (!cursor->call.done)
        return CURSOR_WAIT;
    if (page->count > 0)
        page_entry(page, 0, &first);
    return !page->ended || (page->count > 0 && strcmp(first.key, cursor->after) < 0) ? CURSOR_FAILED
                                                                                     : CURSOR_ENTRY;
}

uint64_t cursor_pages(const struct cursor *cursor)
{
    return cursor->came + (latest_page(cursor) != &cursor->pages[cursor->using]);
}

void cursor_limit(struct cursor *cursor, const char *last)
{
    size_t len = strlen(last);

    memcpy(cursor->bound, last, len);
    memcpy(cursor->bound + len, "\x01", 2);
    cursor->pages[0].until = cursor->pages[1].until = cursor->bound;
}

size_t cursor_spare(struct cursor *cursor)
{
    cursor->sparing = true;
    note_page(cursor, latest_page(cursor));
    return cursor->full;
}

size_t cursor_bytes(const struct cursor *cursor)
{
    return page_bytes(&cursor->pages[cursor->using]) +
           (cursor->fetching ? page_bytes(&cursor->pages[1 - cursor->using]) : 0);
}

void cursor_share(struct cursor *cursor, size_t room)
{
    cursor->room = room;
    if (!cursor->fetching)
        page_reset(other_page(cursor));
    share_room(cursor);
}

/* ---- handing out ---- */

/* Some services show the last key of a page once more at the beginning of the next. With other facts than the entry before,
 * whose key it has, it would be another object, whose key we misread. */
static bool is_repeated(struct cursor *cursor, const struct object_entry *entry)
{
    if (entry->size != cursor->entry.size || entry->modified != cursor->entry.modified ||
        strcmp(entry->version, cursor->entry.version) != 0)
        return false;
    if (!cursor->store->repeats)
        log_warn("%s: its listing has \"%.150s\" twice; what is repeated is passed over", cursor->store->name,
                 entry->key);
    cursor->store->repeats = true;
    return true;
}

/* Said once of a bucket: how objects compare is another matter then. */
static void look_at_time(struct cursor *cursor)
{
    if (cursor->entry.modified != CLOCK_UNKNOWN || cursor->entry.unreadable != 0 || cursor->store->timeless)
        return;
    cursor->store->timeless = true;
    log_warn(
        "%s: its listing does not tell when \"%.150s\" was changed: without a time, objects of one size are compared by content hash, and copied where there is none",
        cursor->store->name, cursor->key);
}

static bool is_state(const char *key)
{
    return text_begins(key, OBJECT_STATE_PREFIX);
}

static bool has_been_there(const struct cursor *cursor, const struct object_entry *entry)
{
    return cursor->vain && strcmp(entry->key, cursor->skip) <= 0;
}

/* Decodes the entry at the offset of the page in use; `again`: it has been there before. False, with the error set, for a key
 * out of order. */
static bool take_entry(struct cursor *cursor, bool *again)
{
    struct object_entry entry;
    size_t used = page_entry(&cursor->pages[cursor->using], cursor->offset, &entry);
    int order;

    *again = has_been_there(cursor, &entry);
    if (*again) {
        cursor->offset += used;
        cursor->taken++;
        return true;
    }
    order = strcmp(entry.key, cursor->key);
    *again = order == 0 && is_repeated(cursor, &entry);
    if (!*again && order <= 0)
        return error_set(&cursor->error, ERROR_PROTOCOL,
                         "%s: the listing of \"%s\" is out of order: \"%.150s\" comes after \"%.150s\"",
                         cursor->store->name, cursor->range.prefix, entry.key, cursor->key);
    if (!text_begins(entry.key, cursor->range.prefix))
        return error_set(&cursor->error, ERROR_PROTOCOL,
                         "%s: the listing of \"%s\" has a key that does not begin with it: \"%.150s\"",
                         cursor->store->name, cursor->range.prefix, entry.key);
    cursor->through = is_beyond(cursor, entry.key);
    memcpy(cursor->key, entry.key, strlen(entry.key) + 1);
    entry.key = cursor->key;
    cursor->entry = entry;
    cursor->offset += used;
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

/* Not every store begins behind `after`. What is not known of a folder in which that lies is told. */
static bool is_before(const struct cursor *cursor)
{
    const char *after = cursor->after;
    bool around = cursor->entry.unreadable != 0 && text_begins(after, cursor->key);

    return after[0] != '\0' && strcmp(cursor->key, after) <= 0 && !around;
}

static bool is_wanted(const struct cursor *cursor)
{
    /* A folder that could not be read may have what is wanted in it. */
    bool taken = cursor->entry.unreadable != 0 || filter_look(cursor->range.filter, cursor->key).taken;

    return taken && !is_before(cursor) && !cursor->through &&
           (!is_state(cursor->key) || is_state(cursor->range.prefix));
}

/* Of the program's own state all must be known. */
static bool may_show(struct cursor *cursor)
{
    if (cursor->entry.unreadable == 0 || !is_state(cursor->range.prefix))
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
            if (take_entry(cursor, &again) && may_show(cursor))
                cursor->shown = !again && is_wanted(cursor);
            continue;
        }
        if (page->last || cursor->ended)
            return CURSOR_END;
        if (!cursor->fetching) {
            fetch_page(cursor);
            continue;
        }
        if (!cursor->call.done)
            return CURSOR_WAIT;
        if (!fetched_page(cursor))
            return CURSOR_FAILED;
        if (page_asks_too_much(other_page(cursor))) {
            fetch_again(cursor);
            continue;
        }
        cursor->using = 1 - cursor->using;
        cursor->taken = 0;
        cursor->offset = 0;
        cursor->came++;
        cursor->fetching = false;
        look_at_begin(cursor);
        if (leads_nowhere(cursor))
            set_endless(cursor);
        else if (!cursor->pages[cursor->using].last && has_room_ahead(cursor))
            fetch_page(cursor);
    }
    look_at_time(cursor);
    *entry = &cursor->entry;
    return CURSOR_ENTRY;
}

enum cursor_state cursor_wait(struct cursor *cursor, const struct object_entry **entry, struct error *error)
{
    enum cursor_state state;

    while ((state = cursor_peek(cursor, entry)) == CURSOR_WAIT)
        if (!loop_turn(store_loop(cursor->store), cursor_step(cursor), INT64_MAX, error))
            return CURSOR_FAILED;
    if (state == CURSOR_FAILED)
        *error = *cursor_error(cursor);
    return state;
}

void cursor_next(struct cursor *cursor)
{
    cursor->shown = false;
}
