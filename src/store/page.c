#include "page.h"

#include <stdint.h>
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

void page_init(struct store_page *page, void **walk)
{
    *page = (struct store_page){.walk = walk};
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

bool page_repeats(const struct store_page *page)
{
    return strcmp(buf_str(&page->next), buf_str(&page->position)) == 0;
}

size_t page_entry(const struct store_page *page, size_t offset, struct object_entry *entry, const char **etag)
{
    const char *at = page->arena.data + offset + sizeof(struct numbers);
    struct numbers numbers;

    memcpy(&numbers, page->arena.data + offset, sizeof numbers);
    *etag = at;
    entry->key = at + strlen(at) + 1;
    entry->size = numbers.size;
    entry->modified = numbers.modified;
    entry->unreadable = numbers.unreadable;
    return (size_t)(entry->key - page->arena.data) - offset + strlen(entry->key) + 1;
}
