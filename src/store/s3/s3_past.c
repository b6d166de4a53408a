/* "GetBucketVersioning" and "ListObjectVersions", Amazon S3 API Reference: what the bucket keeps of what is overwritten or
 * removed. A listing of objects does not tell the versions' ids, so they are looked up by what it does tell. */
#include "s3_internal.h"

#include "clock.h"

#include <stdlib.h>
#include <string.h>

/* ---- does it keep anything? ---- */

struct keeps_call {
    struct s3_call base;
    bool enabled;
};

static void keeps_prepare(struct s3_call *c)
{
    ((struct keeps_call *)c)->enabled = false;
}

static bool keeps_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    (void)error;
    if (strcmp(path, "Status") == 0)
        ((struct keeps_call *)c)->enabled = strcmp(text, "Enabled") == 0;
    return true;
}

static enum http_verdict keeps_answered(struct s3_call *c, struct error *error)
{
    if (!((struct keeps_call *)c)->enabled)
        store_refuse_past(error);
    return HTTP_DONE;
}

static const struct s3_operation keeps_operation = {
    .base = {.method = "GET", .doing = "asking whether versions are kept"},
    .size = sizeof(struct keeps_call),
    .permission = "s3:GetBucketVersioning",
    .root = "VersioningConfiguration",
    .about_bucket = true,
    .prepare = keeps_prepare,
    .element = keeps_element,
    .answered = keeps_answered,
};

void s3_keeps_past(struct store *store, struct call *call)
{
    struct s3_call *c = s3_begin(store, call, &keeps_operation, "");

    if (c == NULL)
        return;
    buf_puts(&c->query, "versioning=");
    s3_submit(c);
}

/* ---- one version ---- */

struct past_call {
    struct s3_call base;
    struct object_entry wanted; /* without its key */

    /* The version that is coming. */
    bool mine; /* it is of the key */
    struct object_entry is;
    char id[STORE_PAST_SIZE];
};

static void forget_version(struct past_call *past)
{
    past->mine = false;
    past->is = (struct object_entry){.size = OBJECT_SIZE_UNKNOWN, .modified = CLOCK_UNKNOWN};
    past->id[0] = '\0';
}

static void past_prepare(struct s3_call *c)
{
    forget_version((struct past_call *)c);
    buf_clear(&c->base.call->body);
}

/* Plain, or as it was asked for. */
static bool is_own_key(const struct s3_call *c, const char *text)
{
    struct buf key;
    bool same = strcmp(text, c->base.key) == 0;

    buf_init(&key, XML_TEXT_MAX);
    if (!same && buf_puts(&key, text) && uri_decode(key.data, true))
        same = strcmp(key.data, c->base.key) == 0;
    buf_free(&key);
    return same;
}

/* Listings of both kinds may differ in fractions of a second. */
static bool is_wanted_version(const struct past_call *past)
{
    const struct object_entry *is = &past->is, *wanted = &past->wanted;

    return past->mine && past->id[0] != '\0' && is->size == wanted->size &&
           object_same_version(is->version, wanted->version) &&
           (wanted->modified == CLOCK_UNKNOWN ||
            (is->modified != CLOCK_UNKNOWN && llabs(is->modified - wanted->modified) < 1000));
}

static bool end_version(struct past_call *past, struct error *error)
{
    struct call *call = past->base.base.call;
    bool ok = true;

    if (call->body.len == 0 && is_wanted_version(past)) {
        call->info.size = past->is.size;
        call->info.modified = past->is.modified;
        call->info.hash = past->is.hash;
        memcpy(call->info.version, past->is.version, sizeof call->info.version);
        ok = buf_puts(&call->body, past->id) || error_set(error, ERROR_LOCAL, "out of memory");
    }
    forget_version(past);
    return ok;
}

static bool past_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    struct past_call *past = (struct past_call *)c;

    if (strcmp(path, "Version") == 0)
        return end_version(past, error);
    if (strcmp(path, "Version/Key") == 0)
        past->mine = is_own_key(c, text);
    else if (strcmp(path, "Version/VersionId") == 0 && strlen(text) < sizeof past->id)
        memcpy(past->id, text, strlen(text) + 1);
    else if (strcmp(path, "Version/Size") == 0)
        exchange_number(text, &past->is.size);
    else if (strcmp(path, "Version/LastModified") == 0)
        past->is.modified = clock_parse_rfc3339(text);
    else if (strcmp(path, "Version/ETag") == 0) {
        s3_read_etag(text, past->is.version, &past->is.hash);
    }
    return true;
}

static enum http_verdict past_answered(struct s3_call *c, struct error *error)
{
    if (c->base.call->body.len == 0)
        error_set(error, ERROR_NOT_FOUND, "the bucket has that version of it no longer");
    return HTTP_DONE;
}

static const struct s3_operation past_operation = {
    .base = {.method = "GET", .doing = "listing versions of"},
    .size = sizeof(struct past_call),
    .permission = "s3:ListBucketVersions",
    .root = "ListVersionsResult",
    .about_bucket = true,
    .prepare = past_prepare,
    .element = past_element,
    .answered = past_answered,
};

/* Of a key the newest version comes first, and the key itself before all that it begins. */
void s3_find_past(struct store *store, struct call *call, const struct object_entry *entry)
{
    struct s3_call *c = s3_begin(store, call, &past_operation, entry->key);

    if (c == NULL)
        return;
    ((struct past_call *)c)->wanted = *entry;
    buf_puts(&c->query, "encoding-type=url&max-keys=1000&prefix=");
    uri_encode(&c->query, entry->key, "");
    s3_submit_if(c, buf_puts(&c->query, "&versions="));
}
