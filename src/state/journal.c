#include "journal.h"

#include "clock.h"
#include "hash.h"
#include "text.h"
#include "uri.h"
#include "version.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define JOURNAL_SCHEMA 1
#define KEY_ENCODED_MAX ((size_t)OBJECT_KEY_MAX * 3)
#define RUN_DIGITS 16
#define ENTRY_DIGITS 12

static const char *const deeds[] = {
    [JOURNAL_CREATE] = "create",
    [JOURNAL_OVERWRITE] = "overwrite",
    [JOURNAL_DELETE] = "delete",
};

static const char *const states[] = {
    [JOURNAL_DIED] = "died",
    [JOURNAL_SYNCED] = "synced",
    [JOURNAL_FAILED] = "failed",
    [JOURNAL_ROLLED_BACK] = "rolled-back",
};

static const char *const hash_names[] = {
    [OBJECT_HASH_NONE] = "",
    [OBJECT_HASH_MD5] = "md5",
    [OBJECT_HASH_CRC32C] = "crc32c",
};

static const char *const keeps[] = {"copies", "versions"};

const char *journal_state_name(enum journal_state state)
{
    return states[state];
}

/* -1: none of them. */
static int index_of(const char *const *names, int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

/* ---- keys ---- */

void journal_prefix(const struct job *job, uint64_t run, const char *below, char out[JOURNAL_KEY_SIZE])
{
    if (run == 0)
        snprintf(out, JOURNAL_KEY_SIZE, "%s" JOURNAL_FOLDER, job->prefix);
    else
        snprintf(out, JOURNAL_KEY_SIZE, "%s" JOURNAL_FOLDER "%016" PRIu64 "/%.20s", job->prefix, run, below);
}

static void make_key(const struct job *job, uint64_t run, const char *name, uint64_t number, const char *tail,
                     char out[JOURNAL_KEY_SIZE])
{
    size_t len;

    journal_prefix(job, run, name, out);
    len = strlen(out);
    snprintf(out + len, JOURNAL_KEY_SIZE - len, "%0*" PRIu64 "%s", ENTRY_DIGITS, number, tail);
}

void journal_chunk_key(const struct job *job, uint64_t run, uint64_t chunk, char out[JOURNAL_KEY_SIZE])
{
    make_key(job, run, "chunk-", chunk, ".json", out);
}

void journal_kept_key(const struct job *job, uint64_t run, uint64_t number, char out[JOURNAL_KEY_SIZE])
{
    make_key(job, run, "kept/", number, "", out);
}

void journal_again_key(const struct job *job, uint64_t run, uint64_t number, char out[JOURNAL_KEY_SIZE])
{
    make_key(job, run, "again/", number, ".json", out);
}

void journal_run_key(const struct job *job, uint64_t run, char out[JOURNAL_KEY_SIZE])
{
    journal_prefix(job, run, "run.json", out);
}

static bool read_digits(const char *text, int count, uint64_t *out)
{
    *out = 0;
    for (int i = 0; i < count; i++) {
        if (!text_is_digit(text[i]))
            return false;
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return true;
}

bool journal_parse_run(const struct job *job, const char *key, uint64_t *run)
{
    char prefix[JOURNAL_KEY_SIZE];

    journal_prefix(job, 0, "", prefix);
    return text_begins(key, prefix) && read_digits(key + strlen(prefix), RUN_DIGITS, run) &&
           key[strlen(prefix) + RUN_DIGITS] == '/' && *run > 0 && *run <= LEASE_EPOCH_MAX;
}

bool journal_parse_again(const struct job *job, uint64_t run, const char *key, uint64_t *number)
{
    char prefix[JOURNAL_KEY_SIZE];

    journal_prefix(job, run, "again/", prefix);
    return text_begins(key, prefix) && read_digits(key + strlen(prefix), ENTRY_DIGITS, number) &&
           strcmp(key + strlen(prefix) + ENTRY_DIGITS, ".json") == 0;
}

/* ---- writing ---- */

static bool add_head(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct journal_head *head)
{
    return yyjson_mut_obj_add_int(doc, root, "schema", JOURNAL_SCHEMA) &&
           json_add_text(doc, root, "version", STORSYNC_VERSION) &&
           yyjson_mut_obj_add_uint(doc, root, "run", head->run) &&
           json_add_text(doc, root, "nonce", head->nonce) &&
           json_add_text(doc, root, "deploymentId", head->deployment) &&
           json_add_text(doc, root, "keep", keeps[head->versions]) &&
           json_add_time(doc, root, "startedAt", head->started);
}

void journal_begin_chunk(const struct journal_head *head, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    if (!add_head(doc, root, head) || !json_write(doc, false, out) || out->failed)
        out->failed = true;
    else
        out->len--; /* what follows replaces the brace */
    buf_puts(out, ",\"entries\":[");
    yyjson_mut_doc_free(doc);
}

static bool add_object(yyjson_mut_doc *doc, yyjson_mut_val *root, const char *name,
                       const struct object_entry *entry)
{
    yyjson_mut_val *object = yyjson_mut_obj_add_obj(doc, root, name);
    char digits[2 * OBJECT_HASH_SIZE + 1];
    bool known = entry->modified != CLOCK_UNKNOWN;
    bool hashed = entry->hash.kind != OBJECT_HASH_NONE;

    hash_hex(entry->hash.bytes, object_hash_size(entry->hash.kind), digits);
    return object != NULL && yyjson_mut_obj_add_uint(doc, object, "size", entry->size) &&
           (!known || yyjson_mut_obj_add_int(doc, object, "modified", entry->modified + entry->touched)) &&
           json_add_text(doc, object, "version", entry->version) &&
           (!hashed || json_add_text(doc, object, hash_names[entry->hash.kind], digits));
}

void journal_add(const struct journal_entry *entry, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    struct buf key;

    buf_init(&key, KEY_ENCODED_MAX);
    yyjson_mut_doc_set_root(doc, root);
    if (out->data[out->len - 1] != '[')
        buf_putc(out, ',');
    bool ok = uri_encode(&key, entry->key, "/") && json_add_text(doc, root, "key", buf_str(&key)) &&
              yyjson_mut_obj_add_uint(doc, root, "n", entry->number) &&
              json_add_text(doc, root, "do", deeds[entry->deed]) &&
              (entry->deed == JOURNAL_CREATE || add_object(doc, root, "before", &entry->before)) &&
              (entry->deed == JOURNAL_DELETE || add_object(doc, root, "after", &entry->after)) &&
              buf_putc(out, '\n') && json_write(doc, false, out);
    if (!ok)
        out->failed = true;
    buf_free(&key);
    yyjson_mut_doc_free(doc);
}

void journal_end_chunk(struct buf *out)
{
    buf_puts(out, "\n]}\n");
}

bool journal_write_run(const struct journal_run *run, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    bool ok = add_head(doc, root, &run->head) && json_add_text(doc, root, "state", states[run->state]) &&
              json_add_time(doc, root, "finishedAt", run->finished) &&
              yyjson_mut_obj_add_uint(doc, root, "chunks", run->chunks) &&
              yyjson_mut_obj_add_uint(doc, root, "created", run->created) &&
              yyjson_mut_obj_add_uint(doc, root, "overwritten", run->overwritten) &&
              yyjson_mut_obj_add_uint(doc, root, "deleted", run->deleted) &&
              yyjson_mut_obj_add_uint(doc, root, "bytesKept", run->bytes) && json_write(doc, false, out) &&
              buf_putc(out, '\n');
    yyjson_mut_doc_free(doc);
    return ok;
}

/* ---- reading ---- */

static bool read_count(yyjson_val *root, const char *name, uint64_t *out)
{
    int64_t number = json_number(root, name, -1);

    *out = number > 0 ? (uint64_t)number : 0;
    return number >= 0;
}

static bool read_head(yyjson_val *root, struct journal_head *head)
{
    int keep = index_of(keeps, 2, json_text(root, "keep", ""));

    *head = (struct journal_head){.started = clock_parse_rfc3339(json_text(root, "startedAt", ""))};
    if (json_number(root, "schema", 0) != JOURNAL_SCHEMA || keep < 0 ||
        !read_count(root, "run", &head->run) || head->run == 0 || head->run > LEASE_EPOCH_MAX)
        return false;
    head->versions = keep == 1;
    snprintf(head->nonce, sizeof head->nonce, "%s", json_text(root, "nonce", ""));
    snprintf(head->deployment, sizeof head->deployment, "%s", json_text(root, "deploymentId", ""));
    return true;
}

static unsigned nibble(char c)
{
    return (unsigned)(text_is_digit(c) ? c - '0' : c - 'a' + 10);
}

static bool read_hash(yyjson_val *object, enum object_hash_kind kind, struct object_hash *hash)
{
    const char *digits = json_text(object, hash_names[kind], "");

    if (strlen(digits) != 2 * object_hash_size(kind) || strspn(digits, "0123456789abcdef") != strlen(digits))
        return false;
    for (size_t i = 0; i < object_hash_size(kind); i++)
        hash->bytes[i] = (unsigned char)(nibble(digits[2 * i]) << 4 | nibble(digits[2 * i + 1]));
    hash->kind = kind;
    return true;
}

static bool read_object(yyjson_val *root, const char *name, struct object_entry *out)
{
    yyjson_val *object = yyjson_obj_get(root, name);
    const char *version = json_text(object, "version", "");

    *out = (struct object_entry){.modified = json_number(object, "modified", CLOCK_UNKNOWN)};
    if (!read_count(object, "size", &out->size) || strlen(version) >= sizeof out->version)
        return false;
    memcpy(out->version, version, strlen(version) + 1);
    if (!read_hash(object, OBJECT_HASH_MD5, &out->hash))
        read_hash(object, OBJECT_HASH_CRC32C, &out->hash);
    return true;
}

static bool read_entry(yyjson_val *value, struct journal_entry *entry)
{
    int deed = index_of(deeds, 3, json_text(value, "do", ""));
    char key[KEY_ENCODED_MAX + 1];

    if (deed < 0 || !read_count(value, "n", &entry->number) || entry->number == 0 ||
        strlen(json_text(value, "key", "")) >= sizeof key)
        return false;
    entry->deed = (enum journal_deed)deed;
    snprintf(key, sizeof key, "%s", json_text(value, "key", ""));
    if (!uri_decode(key, false) || key[0] == '\0' || strlen(key) > OBJECT_KEY_MAX ||
        text_begins(key, OBJECT_STATE_PREFIX))
        return false;
    memcpy(entry->key, key, strlen(key) + 1);
    if ((deed != JOURNAL_CREATE && !read_object(value, "before", &entry->before)) ||
        (deed != JOURNAL_DELETE && !read_object(value, "after", &entry->after)))
        return false;
    entry->before.key = entry->key;
    entry->after.key = entry->key;
    return true;
}

bool journal_open(const char *json, size_t len, struct journal_chunk *chunk)
{
    struct error ignored;
    yyjson_val *root;

    chunk->doc = json_parse(json, len, &ignored);
    root = yyjson_doc_get_root(chunk->doc);
    if (read_head(root, &chunk->head) && yyjson_arr_iter_init(yyjson_obj_get(root, "entries"), &chunk->iter))
        return true;
    journal_close(chunk);
    return false;
}

void journal_close(struct journal_chunk *chunk)
{
    yyjson_doc_free(chunk->doc);
    chunk->doc = NULL;
}

int journal_next(struct journal_chunk *chunk, struct journal_entry *entry)
{
    yyjson_val *value = yyjson_arr_iter_next(&chunk->iter);

    *entry = (struct journal_entry){.number = 0};
    if (value == NULL)
        return 0;
    return read_entry(value, entry) ? 1 : -1;
}

bool journal_read_run(const char *json, size_t len, struct journal_run *run)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(json, len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(doc);
    int state = index_of(states, 4, json_text(root, "state", ""));

    *run = (struct journal_run){.state = state > 0 ? (enum journal_state)state : JOURNAL_DIED};
    run->finished = clock_parse_rfc3339(json_text(root, "finishedAt", ""));
    bool ok = state > 0 && read_head(root, &run->head) && read_count(root, "chunks", &run->chunks) &&
              read_count(root, "created", &run->created) &&
              read_count(root, "overwritten", &run->overwritten) &&
              read_count(root, "deleted", &run->deleted) && read_count(root, "bytesKept", &run->bytes);
    yyjson_doc_free(doc);
    return ok;
}
