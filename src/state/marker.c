#include "marker.h"

#include "clock.h"
#include "crash.h"
#include "hash.h"
#include "json.h"
#include "uri.h"
#include "version.h"

#include <stdio.h>
#include <string.h>

#define FOLDER "deployments/"
#define SUFFIX ".json"
#define ENCODED_MAX ((size_t)200)

_Static_assert(JOB_PREFIX_SIZE + sizeof FOLDER + sizeof SUFFIX + 200 < MARKER_KEY_MAX,
               "a marker's key has room");

static const struct marker_finding nothing_found = {
    .verdict = MARKER_DUE, .due_at = CLOCK_UNKNOWN, .looked_at = CLOCK_UNKNOWN};

bool marker_key(const struct job *job, const char *deployment_id, char out[MARKER_KEY_MAX])
{
    struct buf encoded;
    char hash[HASH_SIZE];
    size_t len = strlen(deployment_id);

    buf_init(&encoded, ENCODED_MAX);
    if (len == 0)
        return false;
    if (len > ENCODED_MAX || !uri_encode(&encoded, deployment_id, "")) {
        hash_sha256(deployment_id, len, hash);
        buf_clear(&encoded);
        buf_printf(&encoded, "sha256-%s", hash);
    }
    bool ok = !encoded.failed;
    snprintf(out, MARKER_KEY_MAX, "%s" FOLDER "%s" SUFFIX, job->prefix, buf_str(&encoded));
    buf_free(&encoded);
    return ok;
}

/* What a state file says. */
struct statement {
    int64_t finished; /* wall; CLOCK_UNKNOWN: it is not what marker_commit writes */
    bool of_this;     /* it names the deployment, which has an id */
};

static struct statement read_statement(const char *json, size_t len, const char *deployment_id)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(json, len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(doc);
    struct statement statement = {.finished = CLOCK_UNKNOWN};

    if (json_number(root, "schema", 0) == MARKER_SCHEMA)
        statement.finished = clock_parse_rfc3339(json_text(root, "finishedAt", ""));
    /* An answer may be that to another request, and files get copied: a state file says itself whose it is. */
    statement.of_this = deployment_id[0] != '\0' && json_text_is(root, "deploymentId", deployment_id);
    yyjson_doc_free(doc);
    return statement;
}

static void warn_unreadable(struct marker_finding *out, const char *key)
{
    snprintf(out->warning, sizeof out->warning,
             "%.150s in the destination is not a state file of this program: ignored", key);
}

enum marker_verdict marker_judge(const char *key, const char *last_sync_json, size_t len,
                                 const char *deployment_id, int64_t min_interval, int64_t now,
                                 struct marker_finding *out)
{
    struct statement last = read_statement(last_sync_json, len, deployment_id);
    char text[CLOCK_RFC3339_SIZE];

    *out = nothing_found;
    if (last.finished == CLOCK_UNKNOWN) {
        warn_unreadable(out, key);
    } else if (last.finished > now && last.finished - now > MARKER_SKEW) {
        clock_format_rfc3339(last.finished, text);
        snprintf(out->warning, sizeof out->warning,
                 "%.150s in the destination names a time in the future (%s): ignored", key, text);
    } else if (now - last.finished < min_interval && last.of_this) {
        /* Written first, it is ahead of the marker: for a moment, or if its writer died between the two. */
        out->verdict = MARKER_ALREADY_SYNCED;
    } else if (now - last.finished < min_interval) {
        out->verdict = MARKER_TOO_SOON;
        out->due_at = last.finished + min_interval;
    }
    return out->verdict;
}

/* ---- with the store ---- */

enum presence { ABSENT, PRESENT, UNKNOWN };

/* Reads a state file into call->body. One that is too large is present, and empty: nothing that we wrote. */
static enum presence read_state(const struct job *job, struct call *call, const char *key,
                                struct error *error)
{
    store_read(job->store, call, key);
    if (store_wait(call))
        return PRESENT;
    if (call->error.kind == ERROR_NOT_FOUND)
        return ABSENT;
    if (call->error.kind == ERROR_UNSUPPORTED) {
        buf_clear(&call->body);
        return PRESENT;
    }
    *error = call->error;
    error_prefix(error, "looking whether a sync is due: ");
    return UNKNOWN;
}

/* Has this deployment its marker? UNKNOWN with *error. */
static enum presence check_deployment(const struct job *job, struct call *call, const char *deployment_id,
                                      struct marker_finding *out, struct error *error)
{
    char key[MARKER_KEY_MAX];

    if (!marker_key(job, deployment_id, key)) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return UNKNOWN;
    }
    enum presence presence = read_state(job, call, key, error);
    if (presence != PRESENT)
        return presence;
    struct statement marker = read_statement(buf_str(&call->body), call->body.len, deployment_id);
    if (marker.finished == CLOCK_UNKNOWN) {
        warn_unreadable(out, key);
        return ABSENT;
    }
    if (!marker.of_this) {
        snprintf(out->warning, sizeof out->warning,
                 "%.150s in the destination is the state file of another deployment: ignored", key);
        return ABSENT;
    }
    return PRESENT;
}

static void last_sync_key(const struct job *job, char out[MARKER_KEY_MAX])
{
    snprintf(out, MARKER_KEY_MAX, "%s" MARKER_LAST_SYNC, job->prefix);
}

void marker_check_interval(const struct job *job, const char *deployment_id, int64_t min_interval,
                           int64_t now, struct marker_finding *out, struct error *error)
{
    struct marker_finding judged;
    struct call call;
    char key[MARKER_KEY_MAX];

    call_init(&call);
    last_sync_key(job, key);
    switch (read_state(job, &call, key, error)) {
    case ABSENT:
        break;
    case UNKNOWN:
        out->verdict = MARKER_FAILED;
        break;
    case PRESENT:
        marker_judge(key, buf_str(&call.body), call.body.len, deployment_id, min_interval, now, &judged);
        out->verdict = judged.verdict;
        out->due_at = judged.due_at;
        /* Only one can be told; the deployment's marker was looked at first. */
        if (out->warning[0] == '\0')
            memcpy(out->warning, judged.warning, sizeof out->warning);
        break;
    }
    if (out->looked_at == CLOCK_UNKNOWN)
        out->looked_at = call.info.served;
    call_free(&call);
}

void marker_check_deployment(const struct job *job, const char *deployment_id, struct marker_finding *out,
                             struct error *error)
{
    struct call call;
    enum presence presence;

    *out = nothing_found;
    if (deployment_id[0] == '\0')
        return;
    call_init(&call);
    presence = check_deployment(job, &call, deployment_id, out, error);
    if (presence == PRESENT)
        out->verdict = MARKER_ALREADY_SYNCED;
    else if (presence == UNKNOWN)
        out->verdict = MARKER_FAILED;
    out->looked_at = call.info.served;
    call_free(&call);
}

static bool add_share(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct job *job,
                      const struct report *report)
{
    return json_add_text(doc, root, "config", job->config) &&
           yyjson_mut_obj_add_uint(doc, root, "listedFiles", report->listed) &&
           yyjson_mut_obj_add_uint(doc, root, "goneFiles", report->gone) &&
           yyjson_mut_obj_add_uint(doc, root, "shard", (uint64_t)report->shard.index) &&
           yyjson_mut_obj_add_uint(doc, root, "shards", (uint64_t)report->shard.count) &&
           yyjson_mut_obj_add_uint(doc, root, "undone", report->undone);
}

bool marker_make(const struct job *job, const char *deployment_id, const struct report *report, int64_t now,
                 struct buf *out)
{
    char time[CLOCK_RFC3339_SIZE];
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    clock_format_rfc3339(now, time);
    bool ok = yyjson_mut_obj_add_uint(doc, root, "schema", MARKER_SCHEMA) &&
              json_add_text(doc, root, "version", STORSYNC_VERSION) &&
              json_add_text(doc, root, "deploymentId", deployment_id) &&
              json_add_text(doc, root, "finishedAt", time) &&
              yyjson_mut_obj_add_uint(doc, root, "syncedFiles", report->synced) &&
              yyjson_mut_obj_add_uint(doc, root, "skippedFiles", report->skipped) &&
              yyjson_mut_obj_add_uint(doc, root, "totalSize", report->total_size) &&
              (report->shard.count == 0 || add_share(doc, root, job, report)) &&
              json_write(doc, false, out) && buf_putc(out, '\n');
    yyjson_mut_doc_free(doc);
    return ok;
}

bool marker_write(const struct job *job, const char *key, const struct buf *json,
                  const struct store_condition *condition, struct error *error)
{
    struct call call;

    call_init(&call);
    store_write(job->store, &call, key, json->data, json->len, condition);
    store_wait(&call);
    *error = call.error;
    call_free(&call);
    return error->kind == ERROR_NONE;
}

/* Waits as long as the lease is ours: what is tried again must not arrive when others may have changed what it says. */
static void wait_while_held(struct lease *lease, struct call *call, struct error *why)
{
    while (!call->done) {
        bool moved = lease_step(lease, why);

        if (lease->held)
            moved |= store_step(call);
        if (!lease->held || !loop_turn(call->loop, moved, lease_wake(lease), why))
            call_cancel(call, why);
    }
}

bool marker_commit(const struct job *job, const char *deployment_id, const struct report *report, int64_t now,
                   struct lease *lease, struct error *error)
{
    struct call last_sync, marker;
    char key[MARKER_KEY_MAX];
    struct buf json;
    struct error why;
    bool has_id = deployment_id[0] != '\0';

    /* We may have slept since it was confirmed. */
    lease_step(lease, error);
    if (!lease->held)
        return false;
    call_init(&last_sync);
    call_init(&marker);
    buf_init(&json, STORE_SMALL_MAX);
    if (!marker_make(job, deployment_id, report, now, &json)) {
        error_set(&marker.error, ERROR_LOCAL, "out of memory");
    } else {
        last_sync_key(job, key);
        store_write(job->store, &last_sync, key, json.data, json.len, NULL);
        if (has_id && marker_key(job, deployment_id, key))
            store_write(job->store, &marker, key, json.data, json.len, NULL);
        else if (has_id)
            error_set(&marker.error, ERROR_LOCAL, "out of memory");
    }
    wait_while_held(lease, &last_sync, &why);
    crash_point("between-markers");
    wait_while_held(lease, &marker, &why);
    *error = last_sync.error.kind != ERROR_NONE ? last_sync.error : marker.error;
    call_free(&last_sync);
    call_free(&marker);
    buf_free(&json);
    return error->kind == ERROR_NONE;
}
