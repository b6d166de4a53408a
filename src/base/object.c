#include "object.h"

#include "digest.h"

#include <string.h>

void object_meta_init(struct object_meta *meta)
{
    buf_init(&meta->pairs, OBJECT_META_MAX);
    meta->mode = OBJECT_MODE_UNKNOWN;
    meta->restored = false;
}

void object_meta_free(struct object_meta *meta)
{
    buf_free(&meta->pairs);
}

void object_meta_clear(struct object_meta *meta)
{
    buf_clear(&meta->pairs);
    meta->mode = OBJECT_MODE_UNKNOWN;
    meta->restored = false;
}

bool object_meta_add(struct object_meta *meta, const char *name, const char *value)
{
    size_t before = meta->pairs.len;

    if (buf_append(&meta->pairs, name, strlen(name) + 1) &&
        buf_append(&meta->pairs, value, strlen(value) + 1))
        return true;
    /* A name without its value would make every later pair a wrong one. */
    meta->pairs.len = before;
    return false;
}

bool object_meta_join(struct object_meta *meta, const char *name, const char *value)
{
    const char *before = object_meta_get(meta, name);
    size_t len = strlen(value) + 2;
    size_t end;

    if (before == NULL)
        return object_meta_add(meta, name, value);
    end = (size_t)(before - meta->pairs.data) + strlen(before);
    if (!buf_append(&meta->pairs, ", ", 2))
        return false;
    if (!buf_append(&meta->pairs, value, len - 2)) {
        meta->pairs.len -= 2;
        return false;
    }
    /* What was put at the end belongs where the value ends. */
    memmove(meta->pairs.data + end + len, meta->pairs.data + end, meta->pairs.len - len - end);
    memcpy(meta->pairs.data + end, ", ", 2);
    memcpy(meta->pairs.data + end + 2, value, len - 2);
    return true;
}

const char *object_meta_get(const struct object_meta *meta, const char *name)
{
    const char *each, *value;
    size_t at = 0;

    while (object_meta_next(meta, &at, &each, &value))
        if (strcmp(each, name) == 0)
            return value;
    return NULL;
}

bool object_meta_is_content_header(const char *lower_case_name)
{
    static const char *const names[] = {
        "cache-control",    "content-disposition", "content-encoding",
        "content-language", "content-type",        "expires",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(lower_case_name, names[i]) == 0)
            return true;
    return false;
}

bool object_meta_next(const struct object_meta *meta, size_t *at, const char **name, const char **value)
{
    if (*at >= meta->pairs.len)
        return false;
    *name = meta->pairs.data + *at;
    *value = *name + strlen(*name) + 1;
    *at = (size_t)(*value - meta->pairs.data) + strlen(*value) + 1;
    return true;
}

bool object_versions_equal(const char *version, const char *other)
{
    return strcmp(version, other) == 0 ||
           (digest_is_hex(version) && digest_is_hex(other) && digest_same(version, other));
}

bool object_same_version(const char *version, const char *other)
{
    return version[0] != '\0' && object_versions_equal(version, other);
}

size_t object_hash_size(enum object_hash_kind kind)
{
    switch (kind) {
    case OBJECT_HASH_MD5:
        return DIGEST_SIZE;
    case OBJECT_HASH_CRC32C:
        return sizeof(uint32_t);
    case OBJECT_HASH_NONE:
        break;
    }
    return 0;
}

void object_hash_md5(struct object_hash *hash, const char *hex)
{
    hash->kind = digest_from_hex(hex, hash->bytes) ? OBJECT_HASH_MD5 : OBJECT_HASH_NONE;
}

bool object_hashes_comparable(const struct object_hash *a, const struct object_hash *b)
{
    return a->kind != OBJECT_HASH_NONE && a->kind == b->kind;
}

bool object_hashes_equal(const struct object_hash *a, const struct object_hash *b)
{
    return object_hashes_comparable(a, b) && memcmp(a->bytes, b->bytes, object_hash_size(a->kind)) == 0;
}

bool object_hashes_differ(const struct object_hash *a, const struct object_hash *b)
{
    return object_hashes_comparable(a, b) && !object_hashes_equal(a, b);
}
