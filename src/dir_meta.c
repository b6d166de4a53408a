#include "dir_meta.h"

#include "dir_file.h"
#include "error.h"
#include "json.h"
#include "mime.h"
#include "sigv4.h"
#include "utf8.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SCHEMA 1

/* The longest sidecar: metadata and key as hexadecimal digits or JSON escapes (six bytes for one), and the
 * rest. */
#define SIDECAR_MAX (6 * (OBJECT_META_MAX + OBJECT_KEY_MAX) + 1024)

#define SIDECAR_PATH_SIZE (sizeof DIR_META + 4 + SIGV4_HASH_SIZE + sizeof ".json")

static void sidecar_path(const char *key, char path[SIDECAR_PATH_SIZE])
{
    char hash[SIGV4_HASH_SIZE];

    sigv4_hash(key, strlen(key), hash);
    snprintf(path, SIDECAR_PATH_SIZE, "%s/%.2s/%s.json", DIR_META, hash, hash);
}

static bool says_only_the_type(const struct object_meta *meta, const char *type)
{
    const char *name, *value;
    size_t at = 0;

    while (object_meta_next(meta, &at, &name, &value))
        if (strcmp(name, "content-type") != 0 || type == NULL || strcmp(value, type) != 0)
            return false;
    return true;
}

/* ---- writing ---- */

static bool is_utf8(const char *text)
{
    size_t left = strlen(text);
    uint32_t code;

    while (left > 0) {
        size_t len = utf8_decode(text, left, &code);

        if (len == 0)
            return false;
        text += len;
        left -= len;
    }
    return true;
}

static yyjson_mut_val *make_bytes(yyjson_mut_doc *doc, const char *text)
{
    yyjson_mut_val *object;
    char *digits;
    size_t len = strlen(text);

    if (is_utf8(text))
        return yyjson_mut_strncpy(doc, text, len);
    digits = malloc(2 * len + 1);
    if (digits == NULL)
        return NULL;
    dir_hex(text, len, digits);
    object = yyjson_mut_obj(doc);
    if (!yyjson_mut_obj_add_strcpy(doc, object, "hex", digits))
        object = NULL;
    free(digits);
    return object;
}

static bool compose(const char *key, const struct stat *status, const struct object_meta *meta,
                    struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    char etag[OBJECT_ETAG_SIZE];
    const char *name, *value;
    size_t at = 0;
    bool ok;

    dir_etag(status, etag);
    ok = yyjson_mut_obj_add_int(doc, root, "schema", SCHEMA) &&
         yyjson_mut_obj_add_val(doc, root, "key", make_bytes(doc, key)) &&
         yyjson_mut_obj_add_str(doc, root, "etag", etag) &&
         yyjson_mut_obj_add_val(doc, root, "metadata", list);
    while (ok && object_meta_next(meta, &at, &name, &value)) {
        yyjson_mut_val *pair = yyjson_mut_arr_add_arr(doc, list);

        ok = yyjson_mut_arr_append(pair, make_bytes(doc, name)) &&
             yyjson_mut_arr_append(pair, make_bytes(doc, value));
    }
    yyjson_mut_doc_set_root(doc, root);
    ok = ok && json_write(doc, false, out);
    yyjson_mut_doc_free(doc);
    return ok;
}

bool dir_meta_save(struct dir_tree *tree, const char *key, const struct stat *status,
                   const struct object_meta *meta)
{
    char path[SIDECAR_PATH_SIZE];
    struct buf json;
    struct dir_file file = {.fd = -1};
    bool ok;

    if (says_only_the_type(meta, mime_guess(key)))
        return dir_meta_remove(tree, key);
    sidecar_path(key, path);
    buf_init(&json, SIDECAR_MAX);
    errno = ENOMEM;
    ok = compose(key, status, meta, &json) && dir_file_open(tree, &file) &&
         dir_file_write(&file, json.data, json.len, 0) && dir_file_place(tree, &file, path, false);
    dir_file_drop(tree, &file);
    buf_free(&json);
    return ok;
}

bool dir_meta_remove(const struct dir_tree *tree, const char *key)
{
    char path[SIDECAR_PATH_SIZE];
    const char *leaf;
    int parent;
    bool ok;

    sidecar_path(key, path);
    parent = dir_open_parent(tree->root, path, false, &leaf);
    if (parent < 0)
        return dir_is_absent(errno);
    ok = unlinkat(parent, leaf, 0) == 0 || errno == ENOENT;
    close(parent);
    return ok;
}

/* ---- reading ---- */

/* True with nothing in `out` when there is none. */
static bool read_sidecar(const struct dir_tree *tree, const char *key, struct buf *out)
{
    char path[SIDECAR_PATH_SIZE];
    int fd;
    bool ok;

    sidecar_path(key, path);
    fd = dir_open_file(tree->root, path, O_RDONLY, &(struct stat){.st_size = 0});
    if (fd < 0)
        return errno == ENOENT;
    ok = dir_read(fd, out);
    close(fd);
    return ok;
}

/* A text or {"hex":...}, appended to `out` with its NUL. */
static bool take_bytes(yyjson_val *value, struct buf *out)
{
    const char *text = yyjson_get_str(value);
    const char *digits = json_text(value, "hex", NULL);
    char *bytes;
    size_t len;
    bool ok;

    if (text != NULL)
        return buf_append(out, text, strlen(text) + 1);
    if (digits == NULL)
        return false;
    len = strlen(digits);
    bytes = malloc(len / 2 + 1);
    ok = bytes != NULL && dir_unhex(digits, len, bytes) && buf_append(out, bytes, len / 2 + 1);
    free(bytes);
    return ok;
}

static bool take_metadata(yyjson_val *root, const struct stat *status, struct object_meta *meta)
{
    yyjson_val *list = yyjson_obj_get(root, "metadata");
    char etag[OBJECT_ETAG_SIZE];
    yyjson_arr_iter pairs;
    yyjson_val *pair;

    dir_etag(status, etag);
    if (json_number(root, "schema", 0) != SCHEMA || strcmp(json_text(root, "etag", ""), etag) != 0 ||
        !yyjson_arr_iter_init(list, &pairs))
        return false;
    while ((pair = yyjson_arr_iter_next(&pairs)) != NULL) {
        if (yyjson_arr_size(pair) != 2 || !take_bytes(yyjson_arr_get(pair, 0), &meta->pairs) ||
            !take_bytes(yyjson_arr_get(pair, 1), &meta->pairs))
            return false;
    }
    return true;
}

bool dir_meta_load(const struct dir_tree *tree, const char *key, const struct stat *status,
                   struct object_meta *meta)
{
    const char *type = mime_guess(key);
    struct buf json;
    struct error malformed;
    yyjson_doc *doc = NULL;
    bool ok;

    buf_init(&json, SIDECAR_MAX);
    ok = read_sidecar(tree, key, &json);
    if (ok && json.len > 0)
        doc = json_parse(json.data, json.len, &malformed);
    buf_free(&json);
    if (!ok)
        return false;
    ok = doc != NULL && take_metadata(yyjson_doc_get_root(doc), status, meta);
    yyjson_doc_free(doc);
    if (ok)
        return true;
    object_meta_clear(meta);
    errno = ENOMEM;
    return type == NULL || object_meta_add(meta, "content-type", type);
}
