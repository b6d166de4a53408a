/* "Making requests to Amazon S3" and "Common request headers", Amazon S3 API Reference; the signature is
 * sigv4.h's. */
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"
#include "hash.h"
#include "sigv4.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* User metadata may have 2 KiB in all; more fields than this do not fit into any service's limits. */
#define FIELDS_MAX 128
#define AUTHORIZATION_MAX ((size_t)16 * 1024)

/* What a service copies inside itself a millisecond, in bytes, at the least. */
#define COPY_RATE 4096

#define EMPTY_HASH "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

/* ---- the parts that are the same for every attempt ---- */

void s3_field(struct s3_call *c, const char *name, const char *value)
{
    exchange_field(&c->base, name, value);
}

void s3_field_etag(struct s3_call *c, const char *name, const char *etag)
{
    char quoted[OBJECT_VERSION_SIZE + 2];

    if (etag[0] == '\0')
        return;
    snprintf(quoted, sizeof quoted, "\"%s\"", etag);
    s3_field(c, name, quoted);
}

void s3_field_condition(struct s3_call *c, const struct store_condition *condition)
{
    c->when = condition->when;
    c->base.once |= c->when != STORE_ALWAYS;
    if (c->when == STORE_IF_ABSENT)
        s3_field(c, "if-none-match", "*");
    if (c->when == STORE_IF_VERSION && condition->bare)
        s3_field(c, "if-match", condition->version);
    else if (c->when == STORE_IF_VERSION)
        s3_field_etag(c, "if-match", condition->version);
}

bool s3_add_copy_source(struct s3_call *c, const struct store_source *from)
{
    const struct store_s3 *store = (const struct store_s3 *)from->store;
    struct buf source;
    bool ok;

    buf_init(&source, S3_PATH_MAX);
    buf_printf(&source, "/%s/", store->bucket);
    uri_encode(&source, from->key, "/");
    if (from->past != NULL) {
        buf_puts(&source, "?versionId=");
        uri_encode(&source, from->past, "");
    }
    ok = !source.failed;
    if (ok)
        s3_field(c, "x-amz-copy-source", buf_str(&source));
    s3_field_etag(c, "x-amz-copy-source-if-match", from->version);
    c->paid |= store->side->request_payer == PAYER_REQUESTER;
    buf_free(&source);
    return ok;
}

/* Some say nothing until they are done, which takes minutes for several GiB; others send white space. */
void s3_allow_for_copy(struct s3_call *c, uint64_t size)
{
    c->base.request.patience = (int64_t)(size / COPY_RATE);
}

static void field_md5(struct s3_call *c, const char *hex)
{
    char text[DIGEST_BASE64_SIZE];

    digest_base64(hex, text);
    s3_field(c, "content-md5", text);
}

void s3_field_md5(struct s3_call *c)
{
    struct pipe *source = c->base.source;

    if (c->base.length == 0)
        digest_of("", 0, source->md5);
    if (source->md5[0] != '\0')
        field_md5(c, source->md5);
}

/* Buckets with Object Lock demand one ("PutObject", Amazon S3 API Reference), and a hash of so little costs nothing. */
void s3_field_payload_md5(struct s3_call *c)
{
    const struct buf *payload = &c->base.payload;
    char hex[DIGEST_HEX_SIZE];

    digest_of(buf_str(payload), payload->len, hex);
    field_md5(c, hex);
}

static bool add_user_meta(struct s3_call *c, const char *name, const char *value, struct error *error)
{
    struct buf field;
    bool ok;

    buf_init(&field, strlen("x-amz-meta-") + S3_META_NAME_SIZE - 1);
    buf_puts(&field, "x-amz-meta-");
    ok = s3_meta_name(name, &field);
    if (ok)
        s3_field(c, buf_str(&field), value);
    buf_free(&field);
    return ok ||
           error_set(error, ERROR_UNSUPPORTED,
                     "S3 cannot keep its metadata \"%.100s\": a name that no HTTP header can have", name);
}

bool s3_meta_fields(struct s3_call *c, const struct object_meta *meta, struct error *error)
{
    const char *name, *value;
    size_t at = 0;

    while (object_meta_next(meta, &at, &name, &value)) {
        if (!exchange_is_field_value(value))
            return error_set(error, ERROR_UNSUPPORTED,
                             "S3 cannot keep its metadata \"%.100s\": the value has control characters",
                             name);
        if (text_begins(name, "user:")) {
            if (!add_user_meta(c, name + 5, value, error))
                return false;
        } else if (strcmp(name, "tagging") == 0) {
            s3_field(c, "x-amz-tagging", value);
        } else if (object_meta_is_content_header(name)) {
            s3_field(c, name, value);
        }
    }
    return true;
}

/* ---- one attempt ---- */

static void build_path(struct s3_call *c)
{
    const struct store_s3 *store = c->named;
    bool about_bucket = s3_operation(c)->about_bucket;

    buf_clear(&c->path);
    buf_puts(&c->path, store->endpoint.path);
    if (!store->virtual_host) {
        buf_putc(&c->path, '/');
        uri_encode(&c->path, store->bucket, "");
    }
    if (!about_bucket || store->virtual_host)
        buf_putc(&c->path, '/');
    if (!about_bucket)
        uri_encode(&c->path, c->base.key, "/");
}

/* The single place where credentials come in. http asks right before s3_prepare. */
bool s3_ready(struct exchange *x)
{
    struct s3_call *c = (struct s3_call *)x;
    enum creds_state state = creds_get(c->store->creds, &c->signer, &c->no_signer);

    if (state != CREDS_READY)
        c->signer.generation = 0;
    return state != CREDS_PENDING;
}

static bool s3_credentials(struct s3_call *c, struct sigv4_key *key, struct error *error)
{
    struct store_s3 *store = c->store;

    if (c->signer.generation == 0) {
        *error = c->no_signer;
        c->base.elsewhere = true;
        return false;
    }
    if (store->generation != c->signer.generation) {
        explicit_bzero(&store->derived, sizeof store->derived);
        store->generation = c->signer.generation;
    }
    *key = (struct sigv4_key){c->signer.access_key_id, c->signer.secret_access_key, store->region, "s3",
                              &store->derived};
    return true;
}

/* The header fields of one attempt, as they are signed. */
struct fields {
    struct sigv4_header list[FIELDS_MAX];
    size_t count;
    bool failed; /* there are too many */
    bool bad;    /* one cannot be carried */
};

static void add_field(struct fields *fields, const char *name, const char *value)
{
    if (fields->count == FIELDS_MAX)
        fields->failed = true;
    else
        fields->list[fields->count++] = (struct sigv4_header){name, value};
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const struct sigv4_header *)a)->name, ((const struct sigv4_header *)b)->name);
}

static bool sort_fields(struct fields *fields, struct error *error)
{
    if (fields->failed)
        return error_set(error, ERROR_UNSUPPORTED, "it has more metadata than an HTTP request can carry");
    if (fields->bad)
        return error_set(error, ERROR_UNSUPPORTED,
                         "a header of the request would have control characters in it");
    qsort(fields->list, fields->count, sizeof fields->list[0], compare_names);
    for (size_t i = 1; i < fields->count; i++)
        if (strcmp(fields->list[i - 1].name, fields->list[i].name) == 0)
            return error_set(error, ERROR_UNSUPPORTED,
                             "S3 cannot keep two metadata with the same name: \"%.100s\"",
                             fields->list[i].name);
    return true;
}

static void build_host(const struct s3_call *c, struct buf *out)
{
    if (c->named->virtual_host)
        buf_printf(out, "%s.", c->named->bucket);
    uri_authority(&c->store->endpoint, out);
}

static const char *payload_hash(const struct s3_call *c, char out[HASH_SIZE])
{
    const struct buf *payload = &c->base.payload;

    if (c->base.source != NULL)
        return SIGV4_UNSIGNED;
    if (payload->len == 0)
        return EMPTY_HASH;
    hash_sha256(payload->data, payload->len, out);
    return out;
}

/* An object is wanted as it is stored; no field at all would mean any coding (RFC 9110, 12.5.3). Google decompresses
 * what is stored as gzip for whoever does not take gzip, and its front end changes the field, so it is not signed
 * ("Transcoding of gzip-compressed files", Cloud Storage documentation). */
static const char *wanted_coding(const struct s3_call *c)
{
    return strcmp(c->store->endpoint.host, "storage.googleapis.com") == 0 ? "gzip" : "identity";
}

/* Writes the signed fields and the signature as http wants them. Host comes from the URL. */
static bool write_headers(struct s3_call *c, const struct fields *fields, const char *authorization,
                          struct error *error)
{
    struct buf *out = &c->base.request.headers;

    buf_clear(out);
    for (size_t i = 0; i < fields->count; i++)
        if (strcmp(fields->list[i].name, "host") != 0)
            buf_printf(out, "%s: %s\n", fields->list[i].name, fields->list[i].value);
    if (c->base.operation->answer != EXCHANGE_TEXT)
        buf_printf(out, "accept-encoding: %s\n", wanted_coding(c));
    buf_printf(out, "authorization: %s\n", authorization);
    return !out->failed ||
           error_set(error, ERROR_UNSUPPORTED, "it has more metadata than an HTTP request can carry");
}

/* What is signed beside host, date and hash, and then all of it in order. */
static bool collect_fields(const struct s3_call *c, struct fields *fields, struct error *error)
{
    const char *name, *value;
    size_t at = 0;

    if (c->signer.session_token[0] != '\0')
        add_field(fields, "x-amz-security-token", c->signer.session_token);
    if (c->paid) /* "Using Requester Pays general purpose buckets", Amazon S3 User Guide */
        add_field(fields, "x-amz-request-payer", "requester");
    while (object_meta_next(&c->base.fields, &at, &name, &value))
        add_field(fields, name, value);
    fields->failed |= c->base.fields.pairs.failed;
    fields->bad |= c->base.bad_field;
    return sort_fields(fields, error);
}

/* The headers of this attempt, with its time and the key of this moment. */
static bool sign_attempt(struct s3_call *c, const char *host, struct error *error)
{
    int64_t wall = clock_wall() + c->store->clock_offset;
    char stamp[CLOCK_BASIC_SIZE], hash[HASH_SIZE];
    const char *payload = payload_hash(c, hash);
    struct fields fields = {.count = 0};
    struct sigv4_request request;
    struct sigv4_key key;
    struct buf authorization;
    bool ok;

    clock_format_basic(wall, stamp);
    add_field(&fields, "host", host);
    add_field(&fields, "x-amz-date", stamp);
    add_field(&fields, "x-amz-content-sha256", payload);
    if (!s3_credentials(c, &key, error) || !collect_fields(c, &fields, error))
        return false;
    request = (struct sigv4_request){.method = c->base.request.method,
                                     .path = buf_str(&c->path),
                                     .query = buf_str(&c->query),
                                     .headers = fields.list,
                                     .header_count = fields.count,
                                     .payload_hash = payload};
    memcpy(c->signed_region, c->store->region, sizeof c->signed_region);
    buf_init(&authorization, AUTHORIZATION_MAX);
    ok = sigv4_authorization(&request, &key, wall, &authorization)
             ? write_headers(c, &fields, buf_str(&authorization), error)
             : error_set(error, ERROR_LOCAL, "out of memory, or an endless secret, while signing");
    buf_free(&authorization);
    return ok;
}

bool s3_prepare(struct exchange *x, struct error *error)
{
    struct s3_call *c = (struct s3_call *)x;
    struct buf *url = &x->request.url;
    struct buf host;
    bool ok;

    s3_reply_reset(c);
    if (s3_operation(c)->prepare != NULL)
        s3_operation(c)->prepare(c);
    build_path(c);
    buf_init(&host, sizeof c->store->endpoint.host + S3_BUCKET_SIZE + 8);
    build_host(c, &host);
    buf_clear(url);
    buf_printf(url, "%s://%s%s", c->store->endpoint.scheme, buf_str(&host), buf_str(&c->path));
    if (c->query.len > 0)
        buf_printf(url, "?%s", buf_str(&c->query));
    ok = !host.failed && !c->path.failed && !c->query.failed && !url->failed
             ? sign_attempt(c, buf_str(&host), error)
             : error_set(error, ERROR_LOCAL, "out of memory for the URL");
    buf_free(&host);
    return ok;
}
