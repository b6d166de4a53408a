#include "page.h"

#include "hash.h"

#include <stdint.h>
#include <string.h>

/*
 * An entry in a page's arena: its numbers, then the bytes of the hash, the version and the key, both of these with their NUL.
 * A version that is the hash in hexadecimal digits, as S3's mostly is, is left out. Packed like this a typical entry takes
 * 100 bytes and not the 180 of a struct object_entry without its key.
 */
struct numbers {
    uint64_t size;
    int64_t modified;
    int unreadable;
    uint8_t hash_kind;
    bool named_by_hash; /* the version is left out */
    bool touched;       /* a number follows that says by how much */
    bool written;       /* another one says when */
};
#define ENTRY_MAX                                                                                            \
    (sizeof(struct numbers) + 2 * sizeof(int64_t) + OBJECT_HASH_SIZE + OBJECT_VERSION_SIZE +                 \
     OBJECT_KEY_MAX + 1)

/* Ceiling of a position. Continuation tokens are opaque; the longest seen are a little longer than a key. */
#define POSITION_MAX ((size_t)16 * 1024)

void page_reset(struct store_page *page)
{
    buf_clear(&page->arena);
    page->count = 0;
    page->passed = page->disordered = page->crowded = false;
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

static bool is_named_by_hash(const struct object_entry *entry)
{
    return entry->hash.kind != OBJECT_HASH_NONE &&
           hash_is_hex(entry->hash.bytes, object_hash_size(entry->hash.kind), entry->version);
}

static size_t entry_size(const struct object_entry *entry, const struct numbers *numbers, size_t key_len)
{
    return sizeof *numbers + (numbers->touched ? sizeof entry->touched : 0) +
           (numbers->written ? sizeof entry->written : 0) + object_hash_size(entry->hash.kind) +
           (numbers->named_by_hash ? 0 : strlen(entry->version) + 1) + key_len + 1;
}

enum taken { TAKEN, FULL, REFUSED };

static enum taken place_entry(struct store_page *page, const struct object_entry *entry)
{
    struct numbers numbers = {.size = entry->size,
                              .modified = entry->modified,
                              .unreadable = entry->unreadable,
                              .hash_kind = (uint8_t)entry->hash.kind,
                              .named_by_hash = is_named_by_hash(entry),
                              .touched = entry->touched != 0,
                              .written = entry->written != 0};
    size_t key_len = strlen(entry->key), size = entry_size(entry, &numbers, key_len);
    char *at;

    if (key_len > OBJECT_KEY_MAX)
        return REFUSED;
    if (page->until[0] != '\0' && strcmp(entry->key, page->until) >= 0)
        page->passed = true;
    else if (page->passed)
        page->disordered = true;
    if (page->passed)
        return TAKEN;
    if (page->count == STORE_PAGE_KEYS || size > page->arena.max - page->arena.len)
        return FULL;
    at = buf_extend(&page->arena, size);
    if (at == NULL)
        return REFUSED;
    at = mempcpy(at, &numbers, sizeof numbers);
    if (numbers.touched)
        at = mempcpy(at, &entry->touched, sizeof entry->touched);
    if (numbers.written)
        at = mempcpy(at, &entry->written, sizeof entry->written);
    at = mempcpy(at, entry->hash.bytes, object_hash_size(entry->hash.kind));
    if (!numbers.named_by_hash)
        at = mempcpy(at, entry->version, strlen(entry->version) + 1);
    memcpy(at, entry->key, key_len + 1);
    page->tail = page->arena.len - key_len - 1;
    page->count++;
    return TAKEN;
}

bool page_add(struct store_page *page, const struct object_entry *entry)
{
    return place_entry(page, entry) == TAKEN;
}

/* What is left out is not looked at, but for one thing: it does not go back. */
bool page_receive(struct store_page *page, const struct object_entry *entry)
{
    enum taken taken = page->crowded ? FULL : place_entry(page, entry);

    if (taken != FULL)
        return taken == TAKEN;
    page->crowded = true;
    page->disordered |= strcmp(entry->key, page_last_key(page)) < 0;
    return true;
}

int page_keys(const struct store_page *page)
{
    return page->keys;
}

bool page_passed(const struct store_page *page)
{
    return page->passed;
}

bool page_end(struct store_page *page, const char *next)
{
    buf_clear(&page->next);
    page->last = page->passed || (next == NULL && !page->crowded);
    page->ended = page->last || page->crowded || buf_puts(&page->next, next);
    return page->ended;
}

void page_init(struct store_page *page, void **walk, const char *until)
{
    *page = (struct store_page){.walk = walk, .until = until, .keys = STORE_PAGE_KEYS};
    buf_init(&page->arena, STORE_PAGE_KEYS * ENTRY_MAX);
    buf_init(&page->position, POSITION_MAX);
    buf_init(&page->next, POSITION_MAX);
}

void page_free(struct store_page *page)
{
    buf_free(&page->arena);
    buf_free(&page->position);
    buf_free(&page->next);
}

bool page_follow(struct store_page *page, const struct store_page *before, size_t room)
{
    page_reset(page);
    page->keys = before->keys;
    if (page->keys < STORE_PAGE_KEYS && before->arena.len < room / 2)
        page->keys = page->keys < STORE_PAGE_KEYS / 2 ? 2 * page->keys : STORE_PAGE_KEYS;
    buf_clear(&page->position);
    return buf_puts(&page->position, buf_str(&before->next));
}

void page_limit(struct store_page *page, size_t room)
{
    buf_limit(&page->arena, room > ENTRY_MAX ? room - 1 : ENTRY_MAX);
}

bool page_asks_too_much(const struct store_page *page)
{
    return page->crowded && page->count < page->keys;
}

void page_ask_less(struct store_page *page)
{
    page->keys = page->count > 1 ? page->count - (page->count + 7) / 8 : 1;
    page_reset(page);
}

void page_take_over(struct store_page *page, struct store_page *other)
{
    buf_free(&page->arena);
    page->arena = other->arena;
    buf_clear(&page->arena);
    page->count = 0;
    other->count = 0;
    buf_init(&other->arena, page->arena.max);
}

size_t page_bytes(const struct store_page *page)
{
    return page->arena.len;
}

size_t page_memory(const struct store_page *page)
{
    return page->arena.cap;
}

/* One that has fewer than were asked for tells nothing of others, say the last one with its few keys. */
size_t page_full(const struct store_page *page)
{
    bool cut_short = page->crowded || (page->keys < STORE_PAGE_KEYS && page->count >= page->keys);

    return cut_short && page->count > 0 ? page->arena.len / (size_t)page->count * STORE_PAGE_KEYS
                                        : page->arena.len;
}

bool page_repeats(const struct store_page *page)
{
    return strcmp(buf_str(&page->next), buf_str(&page->position)) == 0;
}

const char *page_last_key(const struct store_page *page)
{
    return page->arena.data + page->tail;
}

void page_begin_anew(struct store_page *page)
{
    buf_clear(&page->next);
}

size_t page_entry(const struct store_page *page, size_t offset, struct object_entry *entry)
{
    const char *at = page->arena.data + offset;
    struct numbers numbers;
    size_t hash_size;

    memcpy(&numbers, at, sizeof numbers);
    at += sizeof numbers;
    entry->size = numbers.size;
    entry->modified = numbers.modified;
    entry->touched = 0;
    entry->written = 0;
    entry->unreadable = numbers.unreadable;
    entry->hash.kind = (enum object_hash_kind)numbers.hash_kind;
    if (numbers.touched) {
        memcpy(&entry->touched, at, sizeof entry->touched);
        at += sizeof entry->touched;
    }
    if (numbers.written) {
        memcpy(&entry->written, at, sizeof entry->written);
        at += sizeof entry->written;
    }
    hash_size = object_hash_size(entry->hash.kind);
    memcpy(entry->hash.bytes, at, hash_size);
    at += hash_size;
    if (numbers.named_by_hash) {
        hash_hex(entry->hash.bytes, hash_size, entry->version);
    } else {
        size_t len = strlen(at) + 1;

        memcpy(entry->version, at, len);
        at += len;
    }
    entry->key = at;
    return (size_t)(at - page->arena.data) - offset + strlen(at) + 1;
}
