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
    page->passed = page->disordered = false;
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

bool page_add(struct store_page *page, const struct object_entry *entry)
{
    struct numbers numbers = {.size = entry->size,
                              .modified = entry->modified,
                              .unreadable = entry->unreadable,
                              .hash_kind = (uint8_t)entry->hash.kind,
                              .named_by_hash = is_named_by_hash(entry),
                              .touched = entry->touched != 0,
                              .written = entry->written != 0};
    size_t key_len = strnlen(entry->key, OBJECT_KEY_MAX + 1);
    size_t before = page->arena.len;

    if (page->count == STORE_PAGE_KEYS || key_len > OBJECT_KEY_MAX)
        return false;
    if (page->until[0] != '\0' && strcmp(entry->key, page->until) >= 0)
        page->passed = true;
    else if (page->passed)
        page->disordered = true;
    if (page->passed)
        return true;
    if (!buf_append(&page->arena, &numbers, sizeof numbers) ||
        (numbers.touched && !buf_append(&page->arena, &entry->touched, sizeof entry->touched)) ||
        (numbers.written && !buf_append(&page->arena, &entry->written, sizeof entry->written)) ||
        !buf_append(&page->arena, entry->hash.bytes, object_hash_size(entry->hash.kind)) ||
        (!numbers.named_by_hash && !buf_append(&page->arena, entry->version, strlen(entry->version) + 1)) ||
        !buf_append(&page->arena, entry->key, key_len + 1)) {
        page->arena.len = before;
        return false;
    }
    page->tail = page->arena.len - key_len - 1;
    page->count++;
    return true;
}

bool page_passed(const struct store_page *page)
{
    return page->passed;
}

bool page_end(struct store_page *page, const char *next)
{
    buf_clear(&page->next);
    page->last = next == NULL || page->passed;
    page->ended = page->last || buf_puts(&page->next, next);
    return page->ended;
}

void page_init(struct store_page *page, void **walk, const char *until)
{
    *page = (struct store_page){.walk = walk, .until = until};
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

bool page_follow(struct store_page *page, const struct store_page *before)
{
    page_reset(page);
    buf_clear(&page->position);
    return buf_puts(&page->position, buf_str(&before->next));
}

void page_take_over(struct store_page *page, struct store_page *other)
{
    buf_free(&page->arena);
    page->arena = other->arena;
    page->count = 0;
    other->count = 0;
    buf_init(&other->arena, page->arena.max);
}

size_t page_memory(const struct store_page *page)
{
    return page->arena.len;
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
