/* "Objects", "Resource representations", Cloud Storage JSON API reference. */
#include "gcs_internal.h"

#include "clock.h"
#include "digest.h"
#include "hash.h"
#include "text.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What HTTP has as a header, and the service has no field for. */
#define EXPIRES_NAME "storsync.expires"

static const struct {
    const char *field, *header;
} content_fields[] = {
    {"contentType", "content-type"},         {"contentEncoding", "content-encoding"},
    {"contentLanguage", "content-language"}, {"contentDisposition", "content-disposition"},
    {"cacheControl", "cache-control"},
};
#define CONTENT_FIELDS (sizeof content_fields / sizeof content_fields[0])

/* ---- numbers and versions ---- */

bool gcs_number(yyjson_val *object, const char *name, uint64_t *out)
{
    return exchange_number(json_text(object, name, ""), out);
}

void gcs_version(yyjson_val *resource, char version[OBJECT_VERSION_SIZE])
{
    uint64_t generation, metageneration;

    version[0] = '\0';
    if (gcs_number(resource, "generation", &generation) &&
        gcs_number(resource, "metageneration", &metageneration))
        snprintf(version, OBJECT_VERSION_SIZE, "%llu.%llu", (unsigned long long)generation,
                 (unsigned long long)metageneration);
}

/* ---- hashes ---- */

static int gcs_base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (text_is_digit(c))
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Exactly so many bytes, in RFC 4648's base64. */
static bool gcs_from_base64(const char *text, unsigned char *out, size_t size)
{
    unsigned bits = 0;
    int count = 0;
    size_t done = 0;

    for (; *text != '\0' && *text != '='; text++) {
        int value = gcs_base64_value(*text);

        if (value < 0)
            return false;
        bits = (bits << 6 | (unsigned)value) & 0xffff;
        count += 6;
        if (count < 8)
            continue;
        if (done == size)
            return false;
        count -= 8;
        out[done++] = (unsigned char)(bits >> count);
    }
    return done == size;
}

void gcs_hash(const char *md5, const char *crc32c, struct object_hash *hash)
{
    *hash = (struct object_hash){.kind = OBJECT_HASH_NONE};
    if (md5 != NULL && gcs_from_base64(md5, hash->bytes, DIGEST_SIZE))
        hash->kind = OBJECT_HASH_MD5;
    else if (crc32c != NULL && gcs_from_base64(crc32c, hash->bytes, sizeof(uint32_t)))
        hash->kind = OBJECT_HASH_CRC32C;
}

static void gcs_keep_hash(struct gcs_call *c, const char *md5, const char *crc32c)
{
    gcs_hash(md5, crc32c, &c->hash);
    if (c->hash.kind == OBJECT_HASH_MD5)
        hash_hex(c->hash.bytes, DIGEST_SIZE, c->md5);
}

/* One line has both, or there are two. */
void gcs_hash_header(struct gcs_call *c, const char *value)
{
    char text[100], *rest = text, *each;
    const char *md5 = NULL, *crc32c = NULL;

    snprintf(text, sizeof text, "%s", value);
    while ((each = strsep(&rest, ",")) != NULL) {
        each += strspn(each, " ");
        if (text_begins(each, "md5="))
            md5 = each + strlen("md5=");
        else if (text_begins(each, "crc32c="))
            crc32c = each + strlen("crc32c=");
    }
    if (c->hash.kind != OBJECT_HASH_MD5)
        gcs_keep_hash(c, md5, crc32c);
}

/* ---- what a resource says ---- */

bool gcs_resource_info(struct gcs_call *c, yyjson_val *resource, struct error *error)
{
    struct object_info *info = &c->base.call->info;

    if (strcmp(json_text(resource, "bucket", ""), c->base.peer.bucket) != 0 ||
        strcmp(json_text(resource, "name", ""), c->base.key) != 0)
        return error_set(error, ERROR_PROTOCOL, "the answer is about another object");
    gcs_version(resource, info->version);
    if (info->version[0] == '\0' || !gcs_number(resource, "size", &info->size))
        return error_set(error, ERROR_PROTOCOL, "the answer does not tell size and generation of the object");
    info->modified = clock_parse_rfc3339(json_text(resource, "updated", ""));
    info->served = c->base.head.date;
    c->md5[0] = '\0';
    gcs_keep_hash(c, json_text(resource, "md5Hash", NULL), json_text(resource, "crc32c", NULL));
    info->hash = c->hash;
    return true;
}

static bool gcs_add_meta(struct object_meta *meta, const char *name, yyjson_val *value, struct error *error)
{
    const char *text = yyjson_get_str(value);

    if (text == NULL || strlen(text) != yyjson_get_len(value))
        return error_set(error, ERROR_UNSUPPORTED,
                         "its metadata \"%.100s\" is no text, or one with a NUL in it", name);
    return object_meta_add(meta, name, text) ||
           error_set(error, ERROR_UNSUPPORTED, "its metadata has more than %zu bytes", OBJECT_META_MAX);
}

static bool gcs_add_user_meta(struct object_meta *meta, yyjson_val *key, yyjson_val *value,
                              struct error *error)
{
    const char *name = yyjson_get_str(key);
    struct buf user;
    bool ok;

    if (strlen(name) != yyjson_get_len(key))
        return error_set(error, ERROR_UNSUPPORTED, "the name of a metadatum has a NUL in it");
    if (strcmp(name, EXPIRES_NAME) == 0)
        return gcs_add_meta(meta, "expires", value, error);
    buf_init(&user, OBJECT_META_MAX);
    ok = buf_printf(&user, "user:%s", name) ? gcs_add_meta(meta, user.data, value, error)
                                            : error_set(error, ERROR_LOCAL, "out of memory");
    buf_free(&user);
    return ok;
}

bool gcs_resource_meta(yyjson_val *resource, struct object_meta *meta, struct error *error)
{
    yyjson_obj_iter each = yyjson_obj_iter_with(yyjson_obj_get(resource, "metadata"));
    yyjson_val *key, *value;

    for (size_t i = 0; i < CONTENT_FIELDS; i++) {
        value = yyjson_obj_get(resource, content_fields[i].field);
        if (value != NULL && !gcs_add_meta(meta, content_fields[i].header, value, error))
            return false;
    }
    while ((key = yyjson_obj_iter_next(&each)) != NULL)
        if (!gcs_add_user_meta(meta, key, yyjson_obj_iter_get_val(key), error))
            return false;
    return true;
}

/* ---- what is said of one ---- */

static const char *gcs_field_of(const char *header)
{
    for (size_t i = 0; i < CONTENT_FIELDS; i++)
        if (strcmp(content_fields[i].header, header) == 0)
            return content_fields[i].field;
    return NULL;
}

static bool gcs_put_text(yyjson_mut_doc *doc, yyjson_mut_val *object, const char *name, const char *value)
{
    return yyjson_mut_obj_add(object, yyjson_mut_strcpy(doc, name), yyjson_mut_strcpy(doc, value));
}

/* One pair, where it belongs. False, with the error set, for what the service has no place for. */
static bool gcs_put_pair(yyjson_mut_doc *doc, yyjson_mut_val *metadata, const char *name, const char *value,
                         struct error *error)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc);
    const char *field = gcs_field_of(name);
    bool ok = true;

    if (!utf8_is_text(name) || !utf8_is_text(value))
        return error_set(error, ERROR_UNSUPPORTED,
                         "Google Cloud Storage cannot keep its metadata \"%.100s\": not UTF-8", name);
    if (strcmp(name, "tagging") == 0) {
        error_set(error, ERROR_UNSUPPORTED, "Google Cloud Storage has no tags");
        error->status = 501; /* for who asks whether the tags are to blame */
        return false;
    }
    if (text_begins(name, "user:"))
        ok = gcs_put_text(doc, metadata, name + strlen("user:"), value);
    else if (field != NULL)
        ok = gcs_put_text(doc, root, field, value);
    else if (strcmp(name, "expires") == 0)
        ok = gcs_put_text(doc, metadata, EXPIRES_NAME, value);
    return ok || error_set(error, ERROR_LOCAL, "out of memory");
}

static bool gcs_put_pairs(yyjson_mut_doc *doc, const struct object_meta *meta, struct error *error)
{
    yyjson_mut_val *root = yyjson_mut_doc_get_root(doc), *metadata = yyjson_mut_obj(doc);
    const char *name, *value;
    size_t at = 0;

    while (object_meta_next(meta, &at, &name, &value))
        if (!gcs_put_pair(doc, metadata, name, value, error))
            return false;
    return yyjson_mut_obj_size(metadata) == 0 || yyjson_mut_obj_add_val(doc, root, "metadata", metadata) ||
           error_set(error, ERROR_LOCAL, "out of memory");
}

bool gcs_write_resource(const struct object_meta *meta, const char *md5, struct buf *out, struct error *error)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    char base64[DIGEST_BASE64_SIZE];
    bool ok;

    if (doc == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    yyjson_mut_doc_set_root(doc, yyjson_mut_obj(doc));
    if (md5[0] != '\0') {
        digest_base64(md5, base64);
        gcs_put_text(doc, yyjson_mut_doc_get_root(doc), "md5Hash", base64);
    }
    ok = gcs_put_pairs(doc, meta, error) &&
         (json_write(doc, false, out) || error_set(error, ERROR_LOCAL, "out of memory"));
    yyjson_mut_doc_free(doc);
    return ok;
}
