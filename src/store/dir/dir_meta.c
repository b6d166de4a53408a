#include "dir_meta.h"

#include "dir_attr.h"
#include "dir_file.h"
#include "error.h"
#include "hash.h"
#include "json.h"
#include "mime.h"
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

/* The directory of a key's sidecars, and the names of the two that there can be. */
struct place {
    char folder[sizeof DIR_META + 3];
    char name[HASH_SIZE + sizeof ".json"];
    char next[HASH_SIZE + sizeof ".next"];
};

static struct place find_place(const char *key)
{
    char hash[HASH_SIZE];
    struct place place;

    hash_sha256(key, strlen(key), hash);
    snprintf(place.folder, sizeof place.folder, "%s/%.2s", DIR_META, hash);
    snprintf(place.name, sizeof place.name, "%s.json", hash);
    snprintf(place.next, sizeof place.next, "%s.next", hash);
    return place;
}

/* A descriptor; -1 with errno if there is none, or it cannot be opened. */
static int open_folder(const struct dir_tree *tree, const struct place *place)
{
    return dir_open(tree->root, place->folder, strlen(place->folder), O_PATH);
}

/* Would reading give it anyway? */
static bool needs_no_sidecar(const char *key, const struct object_meta *meta)
{
    const char *type = mime_guess(key);
    const char *name, *value;
    size_t at = 0;

    while (object_meta_next(meta, &at, &name, &value))
        if (strcmp(name, "content-type") != 0 || type == NULL || strcmp(value, type) != 0)
            return false;
    return true;
}

/* ---- reading ---- */

enum fit {
    FITS_NOT,     /* it is another version's, malformed, or not there */
    FITS_VERSION, /* that is, size and time */
    FITS_FILE,    /* and the inode, too */
};

struct sidecar {
    yyjson_doc *doc; /* NULL: none */
    enum fit fit;
};

/* True with nothing in `out` when there is none. */
static bool read_file(int folder, const char *name, struct buf *out)
{
    int fd = dir_open_file(folder, name, O_RDONLY, &(struct stat){.st_size = 0});
    bool ok;

    if (fd < 0)
        return errno == ENOENT;
    ok = dir_read(fd, out);
    dir_close(fd);
    return ok || errno == EFBIG; /* nothing that we wrote is that long */
}

static bool names_inode(yyjson_val *root, const char *member, const struct stat *status)
{
    yyjson_val *inode = yyjson_obj_get(root, member);

    return inode != NULL && yyjson_get_uint(inode) == (uint64_t)status->st_ino;
}

static enum fit judge_sidecar(yyjson_val *root, const struct stat *status)
{
    char stamp[OBJECT_VERSION_SIZE];

    dir_stamp(status, stamp);
    if (json_number(root, "schema", 0) != SCHEMA || strcmp(json_text(root, "etag", ""), stamp) != 0)
        return FITS_NOT;
    return names_inode(root, "inode", status) ? FITS_FILE : FITS_VERSION;
}

/* Reads a sidecar and sees whether it belongs to the body with this status. */
static bool read_sidecar(int folder, const char *name, const struct stat *status, struct sidecar *sidecar)
{
    struct buf json;
    struct error malformed;
    bool ok;

    *sidecar = (struct sidecar){.fit = FITS_NOT};
    buf_init(&json, SIDECAR_MAX);
    ok = read_file(folder, name, &json);
    if (ok && json.len > 0)
        sidecar->doc = json_parse(json.data, json.len, &malformed);
    buf_free(&json);
    if (sidecar->doc != NULL)
        sidecar->fit = judge_sidecar(yyjson_doc_get_root(sidecar->doc), status);
    return ok;
}

/* Reads the one that belongs to that body; *is_next says which of the two. None: its `fit` is FITS_NOT. */
static bool choose_sidecar(int folder, const struct place *place, const struct stat *status,
                           struct sidecar *chosen, bool *is_next)
{
    struct sidecar next;
    bool ok =
        read_sidecar(folder, place->next, status, &next) && read_sidecar(folder, place->name, status, chosen);

    /* The body that it was to replace, which has the same size and time. */
    if (next.fit == FITS_VERSION && names_inode(yyjson_doc_get_root(next.doc), "replaces", status))
        next.fit = FITS_NOT;
    *is_next = ok && next.fit != FITS_NOT && (next.fit == FITS_FILE || chosen->fit == FITS_NOT);
    if (*is_next) {
        struct sidecar other = *chosen;

        *chosen = next;
        next = other;
    }
    yyjson_doc_free(next.doc);
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

static bool take_metadata(yyjson_val *root, struct object_meta *meta)
{
    yyjson_arr_iter pairs;
    yyjson_val *pair;

    if (!yyjson_arr_iter_init(yyjson_obj_get(root, "metadata"), &pairs))
        return false;
    while ((pair = yyjson_arr_iter_next(&pairs)) != NULL) {
        if (yyjson_arr_size(pair) != 2 || !take_bytes(yyjson_arr_get(pair, 0), &meta->pairs) ||
            !take_bytes(yyjson_arr_get(pair, 1), &meta->pairs))
            return false;
    }
    return true;
}

/* *found: `meta` is what a sidecar says. */
static bool load_sidecar(const struct dir_tree *tree, const char *key, const struct stat *status,
                         struct object_meta *meta, bool *found)
{
    struct place place = find_place(key);
    struct sidecar sidecar;
    bool is_next, ok;
    int folder;

    *found = false;
    folder = open_folder(tree, &place);
    if (folder < 0)
        return dir_is_absent(errno);
    ok = choose_sidecar(folder, &place, status, &sidecar, &is_next);
    dir_close(folder);
    if (ok && sidecar.fit != FITS_NOT)
        *found = take_metadata(yyjson_doc_get_root(sidecar.doc), meta);
    if (ok)
        yyjson_doc_free(sidecar.doc);
    return ok;
}

bool dir_meta_load(const struct dir_tree *tree, const char *key, const struct stat *status,
                   struct object_meta *meta)
{
    const char *type = mime_guess(key);
    bool found;

    if (!load_sidecar(tree, key, status, meta, &found))
        return false;
    if (found)
        return true;
    object_meta_clear(meta);
    errno = ENOMEM;
    return type == NULL || object_meta_add(meta, "content-type", type);
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
    hash_hex(text, len, digits);
    object = yyjson_mut_obj(doc);
    if (!yyjson_mut_obj_add_strcpy(doc, object, "hex", digits))
        object = NULL;
    free(digits);
    return object;
}

static bool compose_sidecar(const char *key, const struct stat *old, const struct stat *status,
                            const struct object_meta *meta, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_arr(doc);
    char stamp[OBJECT_VERSION_SIZE];
    const char *name, *value;
    size_t at = 0;
    bool ok;

    dir_stamp(status, stamp);
    ok = yyjson_mut_obj_add_int(doc, root, "schema", SCHEMA) &&
         yyjson_mut_obj_add_val(doc, root, "key", make_bytes(doc, key)) &&
         yyjson_mut_obj_add_str(doc, root, "etag", stamp) &&
         yyjson_mut_obj_add_uint(doc, root, "inode", (uint64_t)status->st_ino) &&
         (old == NULL || yyjson_mut_obj_add_uint(doc, root, "replaces", (uint64_t)old->st_ino)) &&
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

/* If a crash left the sidecar of the body that is there as the next one, the one after it would take its
 * place. */
static bool settle_old(int folder, const struct place *place, const struct stat *old)
{
    struct sidecar sidecar;
    bool is_next;

    if (!choose_sidecar(folder, place, old, &sidecar, &is_next))
        return false;
    yyjson_doc_free(sidecar.doc);
    return !is_next || (renameat(folder, place->next, folder, place->name) == 0 && dir_sync(folder));
}

static bool remove_name(int folder, const char *name)
{
    if (unlinkat(folder, name, 0) != 0)
        return errno == ENOENT;
    return dir_sync(folder);
}

/* Then the old one's sidecar would do for the new one as well. */
static bool is_same_version(const struct stat *old, const struct stat *next)
{
    return old != NULL && old->st_size == next->st_size && old->st_mtim.tv_sec == next->st_mtim.tv_sec &&
           old->st_mtim.tv_nsec == next->st_mtim.tv_nsec;
}

static bool write_sidecar(struct dir_tree *tree, int folder, const struct place *place,
                          const struct buf *json, struct dir_file *file)
{
    if (dir_file_open(tree, file, place->folder) && dir_file_write(file, json->data, json->len, 0) &&
        dir_attr_protect(file->fd, folder, NULL, OBJECT_MODE_UNKNOWN, true))
        return true;
    dir_file_drop(file);
    return false;
}

bool dir_meta_write(struct dir_tree *tree, const char *key, const struct stat *old, const struct stat *next,
                    const struct object_meta *meta, struct dir_file *file)
{
    struct place place;
    struct buf json;
    int folder;
    bool ok;

    file->fd = -1;
    if (needs_no_sidecar(key, meta) && !is_same_version(old, next))
        return true;
    place = find_place(key);
    folder = dir_folder_make(tree, place.folder, strlen(place.folder));
    if (folder < 0)
        return false;
    buf_init(&json, SIDECAR_MAX);
    errno = ENOMEM;
    ok = compose_sidecar(key, old, next, meta, &json) && write_sidecar(tree, folder, &place, &json, file);
    buf_free(&json);
    dir_close(folder);
    return ok;
}

bool dir_meta_announce(const struct dir_tree *tree, const char *key, const struct stat *old,
                       struct dir_file *file)
{
    struct place place = find_place(key);
    int folder = open_folder(tree, &place);
    bool ok;

    if (folder < 0)
        return file->fd < 0 && dir_is_absent(errno);
    ok = (old == NULL || settle_old(folder, &place, old)) &&
         (file->fd < 0 ? remove_name(folder, place.next) : dir_file_move(file, folder, place.next, false));
    dir_close(folder);
    return ok;
}

unsigned dir_meta_shelf(const char *key)
{
    char hash[HASH_SIZE];

    hash_sha256(key, strlen(key), hash);
    hash[2] = '\0';
    return (unsigned)strtoul(hash, NULL, 16);
}

const char *dir_meta_folder(unsigned shelf, char path[DIR_META_FOLDER])
{
    snprintf(path, DIR_META_FOLDER, "%s/%02x/", DIR_META, shelf % DIR_META_SHELVES);
    return path;
}

bool dir_meta_sync(struct dir_tree *tree, unsigned shelf)
{
    char folder[DIR_META_FOLDER];

    return dir_folder_settle(tree, dir_meta_folder(shelf, folder)) &&
           dir_sync_at(tree->root, folder, DIR_META_FOLDER - 2);
}

bool dir_meta_settle(const struct dir_tree *tree, const char *key, const struct object_meta *meta)
{
    struct place place = find_place(key);
    int folder;
    bool ok;

    folder = open_folder(tree, &place);
    if (folder < 0)
        return dir_is_absent(errno);
    /* ENOENT: another replica, which writes the same, has done it. */
    if (needs_no_sidecar(key, meta))
        ok = remove_name(folder, place.name) && remove_name(folder, place.next);
    else
        ok = renameat(folder, place.next, folder, place.name) == 0 || errno == ENOENT;
    dir_close(folder);
    return ok;
}

void dir_meta_forget(const struct dir_tree *tree, const char *key)
{
    int before = errno;
    struct place place = find_place(key);
    int folder;

    folder = open_folder(tree, &place);
    if (folder >= 0) {
        unlinkat(folder, place.next, 0);
        close(folder);
    }
    errno = before;
}

bool dir_meta_remove(const struct dir_tree *tree, const char *key)
{
    struct place place = find_place(key);
    int folder;
    bool ok;

    folder = open_folder(tree, &place);
    if (folder < 0)
        return dir_is_absent(errno);
    ok = remove_name(folder, place.next) && remove_name(folder, place.name);
    dir_close(folder);
    return ok;
}
