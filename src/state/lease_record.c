#include "lease_record.h"

#include "json.h"
#include "text.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#define EPOCH_DIGITS 16
#define RECORD_SCHEMA 1

static const char *const state_names[] = {
    [LEASE_HELD] = "held",
    [LEASE_RELEASED] = "released",
    [LEASE_FAILED] = "failed",
};

void lease_key(const struct job *job, uint64_t epoch, char out[LEASE_KEY_SIZE])
{
    snprintf(out, LEASE_KEY_SIZE, "%s" LEASE_FOLDER "%016" PRIu64, job->prefix,
             epoch % UINT64_C(10000000000000000));
}

bool lease_parse_key(const struct job *job, const char *key, uint64_t *epoch)
{
    size_t prefix = strlen(job->prefix);
    const char *digits = key + prefix + sizeof LEASE_FOLDER - 1;

    if (strncmp(key, job->prefix, prefix) != 0 || !text_begins(key + prefix, LEASE_FOLDER) ||
        strlen(digits) != EPOCH_DIGITS || strspn(digits, "0123456789") != EPOCH_DIGITS)
        return false;
    *epoch = 0;
    for (; *digits != '\0'; digits++)
        *epoch = *epoch * 10 + (uint64_t)(*digits - '0');
    return *epoch > 0 && *epoch <= LEASE_EPOCH_MAX;
}

/* As one list of numbers: from, to, from, to ... */
static bool add_spans(yyjson_mut_doc *doc, yyjson_mut_val *root, const struct lease_record *record)
{
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "spans");
    bool ok = list != NULL;

    for (int i = 0; ok && i < record->span_count; i++)
        ok = yyjson_mut_arr_add_int(doc, list, record->spans[i].from) &&
             yyjson_mut_arr_add_int(doc, list, record->spans[i].to);
    return ok;
}

/* Of a list that is too long the rest is left out, and of one that is none everything. */
static void read_spans(yyjson_val *list, struct lease_record *out)
{
    for (size_t i = 0; i + 1 < yyjson_arr_size(list) && out->span_count < LEASE_SPANS_MAX; i += 2)
        out->spans[out->span_count++] = (struct lease_span){yyjson_get_sint(yyjson_arr_get(list, i)),
                                                            yyjson_get_sint(yyjson_arr_get(list, i + 1))};
}

bool lease_write_record(const struct lease_record *record, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);

    yyjson_mut_doc_set_root(doc, root);
    bool ok = yyjson_mut_obj_add_int(doc, root, "schema", RECORD_SCHEMA) &&
              yyjson_mut_obj_add_uint(doc, root, "epoch", record->epoch) &&
              json_add_text(doc, root, "state", state_names[record->state]) &&
              json_add_text(doc, root, "owner", record->owner) &&
              json_add_text(doc, root, "nonce", record->nonce) &&
              json_add_text(doc, root, "deploymentId", record->deployment) &&
              yyjson_mut_obj_add_uint(doc, root, "renewals", record->renewals) &&
              yyjson_mut_obj_add_int(doc, root, "ttl", record->ttl) &&
              yyjson_mut_obj_add_int(doc, root, "attempts", record->attempts) &&
              yyjson_mut_obj_add_bool(doc, root, "idle", record->idle) &&
              yyjson_mut_obj_add_bool(doc, root, "unused", record->unused) &&
              yyjson_mut_obj_add_int(doc, root, "began", record->began) && add_spans(doc, root, record) &&
              json_write(doc, false, out) && buf_putc(out, '\n');
    yyjson_mut_doc_free(doc);
    return ok;
}

static enum lease_state state_of(const char *name)
{
    for (int i = 0; i < (int)(sizeof state_names / sizeof state_names[0]); i++)
        if (strcmp(name, state_names[i]) == 0)
            return (enum lease_state)i;
    return LEASE_HELD; /* whatever it is, it ends by becoming stale */
}

bool lease_read_record(const char *json, size_t len, struct lease_record *out)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(json, len, &ignored);
    yyjson_val *root = yyjson_doc_get_root(doc);
    int64_t epoch = json_number(root, "epoch", 0);
    int64_t ttl = json_number(root, "ttl", 0);
    int64_t renewals = json_number(root, "renewals", 0);
    int64_t attempts = json_number(root, "attempts", 0);
    bool ok = json_number(root, "schema", 0) == RECORD_SCHEMA && ttl >= 0 && ttl <= LEASE_TTL_MAX &&
              renewals >= 0 && attempts >= 0 && attempts < INT_MAX && epoch >= 0;

    *out = (struct lease_record){.state = LEASE_HELD, .strange = !ok, .owner = "unknown"};
    if (ok) {
        out->epoch = (uint64_t)epoch;
        out->state = state_of(json_text(root, "state", ""));
        snprintf(out->owner, sizeof out->owner, "%s", json_text(root, "owner", ""));
        snprintf(out->nonce, sizeof out->nonce, "%s", json_text(root, "nonce", ""));
        snprintf(out->deployment, sizeof out->deployment, "%s", json_text(root, "deploymentId", ""));
        out->renewals = (uint64_t)renewals;
        out->ttl = ttl;
        out->attempts = (int)attempts;
        out->idle = json_flag(root, "idle", false);
        out->unused = json_flag(root, "unused", false);
        out->began = json_number(root, "began", 0);
        read_spans(yyjson_obj_get(root, "spans"), out);
    }
    yyjson_doc_free(doc);
    return ok;
}

int64_t lease_backoff(int attempts)
{
    int64_t wait = LEASE_BACKOFF_BASE;

    if (attempts < LEASE_FREE_ATTEMPTS)
        return 0;
    for (int i = LEASE_FREE_ATTEMPTS; i < attempts && wait < LEASE_BACKOFF_MAX; i++)
        wait *= 2;
    return wait < LEASE_BACKOFF_MAX ? wait : LEASE_BACKOFF_MAX;
}
