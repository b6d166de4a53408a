#include "parts.h"

#include "clock.h"
#include "cursor.h"
#include "hash.h"
#include "json.h"
#include "log.h"
#include "marker.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define FOLDER LEASE_FOLDER LEASE_SHARDS
#define BEGUN "begun"
#define DONE "done.json"
#define DEPLOYMENT_DIGITS 16
#define PREFIX_MAX ((int)(JOB_PREFIX_SIZE - JOB_SHARD_SIZE))
#define KEY_SIZE (JOB_PREFIX_SIZE + 16)
#define PART_MAX ((size_t)8192)

_Static_assert(sizeof FOLDER + PARTS_GROUP_SIZE + sizeof "/1000/" < JOB_SHARD_SIZE,
               "a shard's prefix has room");
_Static_assert(SHARD_COUNT_MAX < 10000, "a group's name has room");

/* ---- names ---- */

void parts_init(struct parts *parts, const struct job *job, const char *deployment, const struct shard *shard)
{
    char hash[HASH_SIZE];

    *parts = (struct parts){.job = job, .deployment = deployment, .shard = *shard};
    hash_sha256(deployment, strlen(deployment), hash);
    snprintf(parts->group, sizeof parts->group, "%.*s-%d", DEPLOYMENT_DIGITS, hash, shard->count % 10000);
}

void parts_job(const struct job *job, const char *group, int index, struct job *out)
{
    *out = (struct job){.store = job->store};
    snprintf(out->prefix, sizeof out->prefix, "%.*s" FOLDER "%.*s/%d/", PREFIX_MAX, job->prefix,
             PARTS_GROUP_SIZE - 1, group, index % SHARD_COUNT_MAX);
}

static void begun_key(const struct parts *parts, char out[KEY_SIZE])
{
    snprintf(out, KEY_SIZE, "%.*s" FOLDER "%s/" BEGUN, PREFIX_MAX, parts->job->prefix, parts->group);
}

static void done_key(const struct parts *parts, int index, char out[KEY_SIZE])
{
    struct job shard;

    parts_job(parts->job, parts->group, index, &shard);
    snprintf(out, KEY_SIZE, "%s" DONE, shard.prefix);
}

bool parts_same_deployment(const char *group, const char *other)
{
    return strncmp(group, other, DEPLOYMENT_DIGITS) == 0;
}

/* The next segment of a key's rest into `out`, and *rest behind its slash. False: there is none, or no room. */
static bool take_segment(const char **rest, char *out, size_t room)
{
    size_t len = strcspn(*rest, "/");

    if ((*rest)[len] == '\0' || len >= room)
        return false;
    snprintf(out, room, "%.*s", (int)len, *rest);
    *rest += len + 1;
    return true;
}

static void parse_shard_key(const struct job *job, const char *key, const char *rest, struct parts_key *out)
{
    struct job shard;
    char number[8];

    if (!take_segment(&rest, number, sizeof number) ||
        !shard_parse_index(number, SHARD_COUNT_MAX, &out->index))
        return;
    parts_job(job, out->group, out->index, &shard);
    if (strcmp(rest, DONE) == 0)
        out->kind = PARTS_DONE;
    else if (lease_parse_key(&shard, key, &out->epoch))
        out->kind = PARTS_EPOCH;
}

void parts_parse_key(const struct job *job, const char *key, struct parts_key *out)
{
    size_t prefix = strlen(job->prefix);
    const char *rest = key + prefix + sizeof FOLDER - 1;

    *out = (struct parts_key){.kind = PARTS_OTHER};
    if (!text_begins(key, job->prefix) || !text_begins(key + prefix, FOLDER) ||
        !take_segment(&rest, out->group, sizeof out->group))
        return;
    if (strcmp(rest, BEGUN) == 0)
        out->kind = PARTS_BEGUN;
    else
        parse_shard_key(job, key, rest, out);
}

/* ---- all there is ---- */

bool parts_list(const struct job *job,
                bool (*see)(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                            struct error *error),
                void *ctx, struct error *error)
{
    char prefix[KEY_SIZE];
    const struct object_entry *entry;
    enum cursor_state state = CURSOR_END;
    struct parts_key key;
    struct cursor *cursor;
    bool good = true;

    snprintf(prefix, sizeof prefix, "%.*s" FOLDER, PREFIX_MAX, job->prefix);
    cursor = cursor_open(job->store, &(struct store_range){.prefix = prefix, .urgent = true}, error);
    if (cursor == NULL)
        return false;
    while (good && (state = cursor_wait(cursor, &entry, error)) == CURSOR_ENTRY) {
        parts_parse_key(job, entry->key, &key);
        good = see(ctx, &key, entry, error);
        cursor_next(cursor);
    }
    cursor_close(cursor);
    return good && state == CURSOR_END;
}

/* ---- a part ---- */

bool parts_begin(const struct parts *parts, struct error *error)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    char key[KEY_SIZE];
    struct buf json;
    bool ok;

    begun_key(parts, key);
    buf_init(&json, PART_MAX);
    if (!buf_puts(&json, "{}\n"))
        ok = error_set(error, ERROR_LOCAL, "out of memory");
    else
        ok = marker_write(parts->job, key, &json, &absent, error) || error->kind == ERROR_PRECONDITION ||
             (error->kind == ERROR_UNSUPPORTED && marker_write(parts->job, key, &json, NULL, error));
    if (ok)
        error_clear(error);
    buf_free(&json);
    return ok;
}

bool parts_write(const struct parts *parts, const struct report *report, int64_t now, struct error *error)
{
    char key[KEY_SIZE];
    struct buf json;
    bool ok;

    done_key(parts, parts->shard.index, key);
    buf_init(&json, PART_MAX);
    ok = marker_make(parts->job, parts->deployment, report, now, &json)
             ? marker_write(parts->job, key, &json, NULL, error)
             : error_set(error, ERROR_LOCAL, "out of memory");
    buf_free(&json);
    return ok;
}

/* Adds a part's figures. False: it is not that shard's. */
static bool add_figures(const struct parts *parts, int index, const struct buf *json, struct report *sum)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(buf_str(json), json->len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool good = json_number(root, "schema", 0) == MARKER_SCHEMA && json_number(root, "shard", -1) == index &&
                json_number(root, "shards", 0) == parts->shard.count &&
                json_text_is(root, "deploymentId", parts->deployment) &&
                json_text_is(root, "config", parts->job->config);

    if (good) {
        sum->listed += (uint64_t)json_number(root, "listedFiles", 0);
        sum->synced += (uint64_t)json_number(root, "syncedFiles", 0);
        sum->skipped += (uint64_t)json_number(root, "skippedFiles", 0);
        sum->gone += (uint64_t)json_number(root, "goneFiles", 0);
        sum->total_size += (uint64_t)json_number(root, "totalSize", 0);
    }
    yyjson_doc_free(doc);
    return good;
}

/* A part that is not what it should be is a missing one. False with *error. */
static bool count_part(const struct parts *parts, int index, struct parts_done *done, struct report *sum,
                       struct error *error)
{
    char key[KEY_SIZE];
    struct call call;
    bool good;

    done_key(parts, index, key);
    call_init(&call);
    store_read(parts->job->store, &call, key);
    good = store_wait(&call);
    if (good || call.error.kind == ERROR_UNSUPPORTED || call.error.kind == ERROR_NOT_FOUND) {
        if (!good || !add_figures(parts, index, &call.body, sum)) {
            log_warn("%s in the destination is not what shard %d/%d writes: ignored", key, index,
                     parts->shard.count);
            done->done[index] = false;
            done->count--;
        }
        good = true;
    } else {
        *error = call.error;
    }
    call_free(&call);
    return good;
}

/* ---- which are done ---- */

struct look {
    const struct parts *parts;
    struct parts_done *done;
};

static bool note_done(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                      struct error *error)
{
    struct look *look = ctx;

    (void)entry;
    (void)error;
    if (key->kind == PARTS_DONE && strcmp(key->group, look->parts->group) == 0 &&
        key->index < look->parts->shard.count) {
        look->done->done[key->index] = true;
        look->done->count++;
    }
    return true;
}

bool parts_look(const struct parts *parts, const struct report *own, struct parts_done *out,
                struct report *sum, struct error *error)
{
    struct look look = {parts, out};
    int index = parts->shard.index;

    memset(out, 0, sizeof *out);
    sum->listed = sum->synced = sum->skipped = sum->gone = sum->total_size = 0;
    if (!parts_list(parts->job, note_done, &look, error))
        return false;
    if (own != NULL) {
        out->count += !out->done[index];
        out->done[index] = true;
        sum->listed = own->listed;
        sum->synced = own->synced;
        sum->skipped = own->skipped;
        sum->gone = own->gone;
        sum->total_size = own->total_size;
    }
    for (int i = 0; i < parts->shard.count && out->count == parts->shard.count; i++)
        if (!(own != NULL && i == index) && !count_part(parts, i, out, sum, error))
            return false;
    return true;
}

/* ---- the end ---- */

struct removal {
    const struct parts *parts;
    struct lease *lease;
    int64_t began;
    struct call call;
};

static bool remove_key(struct removal *removal, const char *key, struct error *error)
{
    struct lease *lease = removal->lease;

    lease_step(lease, error);
    if (!lease->held)
        return false;
    store_remove(lease->job->store, &removal->call, key);
    if (store_wait(&removal->call))
        return true;
    *error = removal->call.error;
    return false;
}

/* What is so old is nobody's any more: a lease that is held is written again and again. */
static bool is_leftover(const struct removal *removal, const struct object_entry *entry)
{
    return removal->began != CLOCK_UNKNOWN && entry->modified != CLOCK_UNKNOWN &&
           entry->modified + PARTS_KEPT < removal->began;
}

static bool remove_leftover(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                            struct error *error)
{
    const struct removal *removal = ctx;

    return (strcmp(key->group, removal->parts->group) != 0 && !is_leftover(removal, entry)) ||
           remove_key(ctx, entry->key, error);
}

void parts_remove(const struct parts *parts, struct lease *lease, int64_t began)
{
    struct removal removal = {.parts = parts, .lease = lease, .began = began};
    struct error error;

    call_init(&removal.call);
    if (!parts_list(parts->job, remove_leftover, &removal, &error))
        log_warn("what shards have left in %slease/shards/ could not be removed: %s", parts->job->prefix,
                 error.text);
    call_free(&removal.call);
}

static bool remove_part(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                        struct error *error)
{
    return key->kind != PARTS_DONE || remove_key(ctx, entry->key, error);
}

bool parts_forget(struct lease *lease, struct error *error)
{
    struct removal removal = {.lease = lease};
    bool good;

    call_init(&removal.call);
    good = parts_list(lease->job, remove_part, &removal, error);
    call_free(&removal.call);
    return good;
}
