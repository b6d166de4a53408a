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

static void group_job(const struct job *job, const char *group, struct job *out)
{
    *out = (struct job){.store = job->store};
    snprintf(out->prefix, sizeof out->prefix, "%.*s" FOLDER "%.*s/", PREFIX_MAX, job->prefix,
             PARTS_GROUP_SIZE - 1, group);
}

void parts_job(const struct job *job, const char *group, int index, struct job *out)
{
    size_t len;

    group_job(job, group, out);
    len = strlen(out->prefix);
    snprintf(out->prefix + len, sizeof out->prefix - len, "%d/", index % SHARD_COUNT_MAX);
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
    struct job of_group;

    *out = (struct parts_key){.kind = PARTS_OTHER};
    if (!text_begins(key, job->prefix) || !text_begins(key + prefix, FOLDER) ||
        !take_segment(&rest, out->group, sizeof out->group))
        return;
    group_job(job, out->group, &of_group);
    if (strcmp(rest, BEGUN) == 0)
        out->kind = PARTS_BEGUN;
    else if (lease_parse_key(&of_group, key, &out->epoch))
        out->kind = PARTS_UNDONE;
    else
        parse_shard_key(job, key, rest, out);
}

/* ---- all there is ---- */

bool parts_list(const struct job *job, const char *group,
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

    snprintf(prefix, sizeof prefix, "%.*s" FOLDER "%s%s", PREFIX_MAX, job->prefix, group,
             *group != '\0' ? "/" : "");
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

static bool write_nothing(const struct job *job, const char *key, const struct store_condition *condition,
                          struct error *error)
{
    static char text[] = "{}\n";
    static const struct buf nothing = {.data = text, .len = sizeof text - 1};

    return marker_write(job, key, &nothing, condition, error);
}

bool parts_begin(const struct parts *parts, struct error *error)
{
    static const struct store_condition absent = {.when = STORE_IF_ABSENT};
    struct job group;
    char key[KEY_SIZE];

    group_job(parts->job, parts->group, &group);
    snprintf(key, sizeof key, "%s" BEGUN, group.prefix);
    if (write_nothing(parts->job, key, &absent, error) || error->kind == ERROR_PRECONDITION)
        error_clear(error);
    else if (error->kind == ERROR_UNSUPPORTED)
        write_nothing(parts->job, key, NULL, error);
    return error->kind == ERROR_NONE;
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

/* Adds a part's figures. False: it is not that shard's, or was undone since it began. */
static bool add_figures(const struct parts *parts, int index, uint64_t undone, const struct buf *json,
                        struct report *sum)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(buf_str(json), json->len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(doc);
    bool good = json_number(root, "schema", 0) == MARKER_SCHEMA && json_number(root, "shard", -1) == index &&
                json_number(root, "shards", 0) == parts->shard.count &&
                json_number(root, "undone", -1) == (int64_t)undone &&
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
        if (!good || !add_figures(parts, index, done->undone, &call.body, sum)) {
            log_warn(
                "%s in the destination is not what shard %d/%d writes: ignored, its share counts as not done until it is started again",
                key, index, parts->shard.count);
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

static bool note_done(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                      struct error *error)
{
    struct parts_done *out = ctx;

    (void)entry;
    (void)error;
    if (key->kind == PARTS_DONE && key->index < out->of) {
        out->done[key->index] = true;
        out->count++;
    } else if (key->kind == PARTS_BEGUN) {
        out->begun = true;
    } else if (key->kind == PARTS_UNDONE) {
        out->undone = key->epoch;
    }
    return true;
}

/* Renews it when it is time. */
static bool keeps(struct lease *lease, struct error *error)
{
    lease_step(lease, error);
    return lease->held;
}

bool parts_look(const struct parts *parts, struct lease *lease, struct parts_done *out, struct report *sum,
                struct error *error)
{
    memset(out, 0, sizeof *out);
    out->of = parts->shard.count;
    sum->listed = sum->synced = sum->skipped = sum->gone = sum->total_size = 0;
    if (!parts_list(parts->job, parts->group, note_done, out, error))
        return false;
    for (int i = 0; i < out->of; i++)
        if (out->done[i] && (lease != NULL ? keeps(lease, error) : i == parts->shard.index) &&
            !count_part(parts, i, out, sum, error))
            return false;
    return lease == NULL || lease->held;
}

/* ---- the end ---- */

struct removal {
    struct lease *lease;
    char group
        [PARTS_GROUP_SIZE]; /* of the deployment whose parts are removed; of what is forgotten: the last one */
    struct call call;
};

static bool remove_key(struct removal *removal, const char *key, struct error *error)
{
    struct lease *lease = removal->lease;

    if (!keeps(lease, error))
        return false;
    store_remove(lease->job->store, &removal->call, key);
    if (store_wait(&removal->call))
        return true;
    *error = removal->call.error;
    return false;
}

/* What is so old is nobody's any more: a lease that is held is written again and again. */
static bool is_leftover(const struct lease *lease, const struct object_entry *entry)
{
    return lease->taken != CLOCK_UNKNOWN && entry->modified != CLOCK_UNKNOWN &&
           entry->modified + PARTS_KEPT < lease->taken;
}

static bool remove_leftover(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                            struct error *error)
{
    const struct removal *removal = ctx;

    return (!parts_same_deployment(key->group, removal->group) && !is_leftover(removal->lease, entry)) ||
           remove_key(ctx, entry->key, error);
}

void parts_remove(const char *deployment, struct lease *lease)
{
    struct removal removal = {.lease = lease};
    struct parts parts;
    struct error error;

    parts_init(&parts, lease->job, deployment, &(struct shard){0, 0});
    memcpy(removal.group, parts.group, sizeof removal.group);
    call_init(&removal.call);
    if (!parts_list(lease->job, "", remove_leftover, &removal, &error))
        log_warn("what shards have left in %slease/shards/ could not be removed: %s", lease->job->prefix,
                 error.text);
    call_free(&removal.call);
}

/* The listing is past a group. INVARIANT: who learns from its folder that it was undone has no lease of its shard any more, and what
 * others write of what they did before counts no more. */
static bool mark_undone(struct removal *removal, struct error *error)
{
    struct lease *lease = removal->lease;
    char key[LEASE_KEY_SIZE];
    struct job of_group;

    if (removal->group[0] == '\0')
        return true;
    group_job(lease->job, removal->group, &of_group);
    lease_key(&of_group, lease->own.epoch, key);
    return keeps(lease, error) && write_nothing(lease->job, key, NULL, error);
}

static bool forget_part(void *ctx, const struct parts_key *key, const struct object_entry *entry,
                        struct error *error)
{
    struct removal *removal = ctx;

    if (strcmp(removal->group, key->group) != 0) {
        if (!mark_undone(removal, error))
            return false;
        memcpy(removal->group, key->group, sizeof removal->group);
    }
    return (key->kind != PARTS_DONE && key->kind != PARTS_EPOCH) || remove_key(removal, entry->key, error);
}

bool parts_forget(struct lease *lease, struct error *error)
{
    struct removal removal = {.lease = lease};
    bool good;

    call_init(&removal.call);
    /* The lease's own record has from now on what the times of the parts tell. */
    good = lease_confirm(lease, error) && parts_list(lease->job, "", forget_part, &removal, error) &&
           mark_undone(&removal, error);
    call_free(&removal.call);
    return good;
}
