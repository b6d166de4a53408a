/* Amazon S3 REST API, "Amazon S3 API Reference", API version 2006-03-01; addressing: "Virtual hosting of
 * buckets", Amazon S3 User Guide. What other services do differently is said where it matters. */
#include "s3_internal.h"

#include "aws.h"
#include "log.h"
#include "page.h"
#include "store_ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"

static const struct store_ops s3_ops;

/* ---- opening ---- */

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_name_char(char c)
{
    return is_lower_or_digit(c) || (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

/* "General purpose bucket naming rules", but looser: other services, and Amazon's oldest buckets, have names
 * with capitals and underscores; RGW's have "tenant:" in front. */
static bool check_bucket(const char *bucket, struct error *error)
{
    size_t len = strlen(bucket);

    if (len == 0)
        return error_set(error, ERROR_CONFIG, "the bucket has no name");
    if (len >= S3_BUCKET_SIZE)
        return error_set(error, ERROR_CONFIG, "the name of the bucket has more than %d bytes",
                         S3_BUCKET_SIZE - 1);
    if (strchr(bucket, '/') != NULL)
        return error_set(
            error, ERROR_CONFIG,
            "\"%s\" is not the name of a bucket: a bucket is given without a prefix; the prefixes to sync are set with public_object_search_paths and private_object_dir",
            bucket);
    for (const char *c = bucket; *c != '\0'; c++)
        if (!is_name_char(*c) && *c != '.' && *c != ':')
            return error_set(
                error, ERROR_CONFIG,
                "\"%s\" is not the name of a bucket: only letters, digits, '.', '-' and '_' can be in it",
                bucket);
    return strspn(bucket, ".") != len ||
           error_set(error, ERROR_CONFIG, "\"%s\" is not the name of a bucket", bucket);
}

/* A label of the DNS, so that it can stand in front of a service's name and its wildcard certificate. */
static bool is_host_label(const char *bucket)
{
    size_t len = strlen(bucket);

    if (len < 3 || len > 63 || bucket[0] == '-' || bucket[len - 1] == '-')
        return false;
    for (; *bucket != '\0'; bucket++)
        if (!is_lower_or_digit(*bucket) && *bucket != '-')
            return false;
    return true;
}

static void describe_service(struct store_s3 *store)
{
    struct buf authority;

    buf_init(&authority, sizeof store->service);
    uri_authority(&store->endpoint, &authority);
    snprintf(store->service, sizeof store->service, "%s://%s%s", store->endpoint.scheme, buf_str(&authority),
             store->endpoint.path);
    buf_free(&authority);
    snprintf(store->base.url, sizeof store->base.url, "s3://%s (%s)", store->bucket, store->service);
}

bool s3_set_region(struct store_s3 *store, const char *region)
{
    size_t len = strlen(region);

    if (len == 0 || len >= sizeof store->region)
        return false;
    for (const char *c = region; *c != '\0'; c++)
        if (!is_name_char(*c))
            return false;
    memcpy(store->region, region, len + 1);
    if (store->amazon) {
        store->endpoint = (struct uri){.scheme = "https"};
        aws_host(AWS_S3, region, creds_variant(store->creds), store->endpoint.host);
    }
    store->base.traits.plain = strcmp(store->endpoint.scheme, "http") == 0;
    describe_service(store);
    return true;
}

static bool set_endpoint(struct store_s3 *store, struct error *error)
{
    const struct side *side = store->side;
    const char *endpoint = side->endpoint[0] != '\0' ? side->endpoint : creds_endpoint(store->creds);
    const char *region = side->region[0] != '\0' ? side->region : creds_region(store->creds);
    bool label = is_host_label(store->bucket);

    if (region[0] == '\0')
        region = DEFAULT_REGION;
    store->amazon = endpoint[0] == '\0';
    if (!store->amazon) {
        if (!uri_parse(endpoint, "endpoint", &store->endpoint, error))
            return false;
        if (strcmp(store->endpoint.scheme, "http") != 0 && strcmp(store->endpoint.scheme, "https") != 0)
            return error_set(error, ERROR_CONFIG, "endpoint: \"%s\" is neither http:// nor https://",
                             endpoint);
        if (store->endpoint.scheme[4] == '\0' && !side->allow_http && !uri_is_loopback(&store->endpoint))
            return error_set(
                error, ERROR_CONFIG,
                "endpoint: \"%s\" is not encrypted, so others on the network could read the data and the session tokens: use https://, or set allow_http = yes for this side",
                endpoint);
        if (creds_variant(store->creds).fips)
            log_warn("use_fips_endpoint says nothing about %s: only AWS has such endpoints", endpoint);
    }
    store->virtual_host = label && (side->path_style == PATH_STYLE_NO ||
                                    (side->path_style == PATH_STYLE_AUTO && store->amazon));
    return s3_set_region(store, region) ||
           error_set(error, ERROR_CONFIG, "\"%s\" is not the name of a region", region);
}

/* A bundle that cannot be used is found before anything is asked. */
static bool check_trust(const struct store_s3 *store, struct error *error)
{
    return strcmp(store->endpoint.scheme, "https") != 0 ||
           http_check_trust(store->http, store->side->ca_file, error);
}

static void s3_close(struct store *base)
{
    struct store_s3 *store = (struct store_s3 *)base;

    creds_close(store->creds);
    explicit_bzero(&store->derived, sizeof store->derived);
    free(store);
}

struct store *store_s3_open(const struct side *side, const char *bucket, struct loop *loop,
                            struct error *error)
{
    struct store_s3 *store;

    if (!check_bucket(bucket, error))
        return NULL;
    store = calloc(1, sizeof *store);
    if (store == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    store->base.ops = &s3_ops;
    store->base.loop = loop;
    store->base.traits.put_max = S3_PUT_LIMIT;
    store->base.traits.copy_max = S3_PUT_LIMIT;
    store->base.traits.part_min = S3_PART_MIN;
    store->base.traits.part_count_max = S3_PART_COUNT_MAX;
    store->base.traits.digests = true;
    store->side = side;
    store->http = loop_http(loop);
    memcpy(store->bucket, bucket, strlen(bucket) + 1);
    memcpy(store->base.name, bucket, strlen(bucket) + 1);
    memcpy(store->told_name, bucket, strlen(bucket) + 1);
    store->creds = creds_open(side, store->http, error);
    if (store->creds == NULL || !set_endpoint(store, error) || !check_trust(store, error)) {
        s3_close(&store->base);
        return NULL;
    }
    return &store->base;
}

static bool same_service(const struct store_s3 *a, const struct store_s3 *b)
{
    if (a->amazon && b->amazon)
        return aws_same_partition(a->region, b->region);
    return strcmp(a->service, b->service) == 0;
}

/* At Amazon a name is one bucket for all accounts of a partition ("General purpose bucket naming rules"). Ceph RGW's tenants,
 * OpenStack's projects and several gateways have buckets of their own under each name. */
static bool s3_sees(const struct store *to, const struct store *from)
{
    const struct store_s3 *left = (const struct store_s3 *)to, *right = (const struct store_s3 *)from;

    return (left->amazon && right->amazon) || creds_same(left->creds, right->creds);
}

static bool s3_same(const struct store *a, const struct store *b)
{
    const struct store_s3 *left = (const struct store_s3 *)a, *right = (const struct store_s3 *)b;

    return same_service(left, right) && strcmp(left->bucket, right->bucket) == 0 && s3_sees(a, b);
}

static bool s3_can_copy(const struct store *from, const struct store *to)
{
    return same_service((const struct store_s3 *)from, (const struct store_s3 *)to);
}

/* ---- the operations ---- */

static void s3_list(struct store *store, struct call *call, const char *prefix, struct store_page *page)
{
    struct s3_call *c = s3_begin(store, call, S3_LIST, prefix);

    if (c == NULL)
        return;
    c->page = page;
    c->page_keys = STORE_PAGE_KEYS;
    s3_submit(c);
}

static void s3_read(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, S3_READ, key);

    if (c != NULL)
        s3_submit(c);
}

static void s3_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
                     const char *content_type, bool create)
{
    struct s3_call *c = s3_begin(store, call, S3_WRITE, key);
    struct error error;

    if (c == NULL)
        return;
    c->create = create;
    if (content_type != NULL && content_type[0] != '\0')
        s3_field(c, "content-type", content_type);
    if (create)
        s3_field(c, "if-none-match", "*");
    if (!buf_append(&c->payload, data, len)) {
        error_set(&error, ERROR_LOCAL, "out of memory");
        s3_refuse(c, &error);
        return;
    }
    s3_submit(c);
}

static void s3_head(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, S3_HEAD, key);

    if (c != NULL)
        s3_submit(c);
}

static void s3_remove(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, S3_REMOVE, key);

    if (c != NULL)
        s3_submit(c);
}

static void s3_tags(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, S3_TAGS, key);

    if (c == NULL)
        return;
    buf_puts(&c->query, "tagging=");
    s3_submit(c);
}

static void s3_get(struct store *store, struct call *call, const char *key, uint64_t offset, uint64_t length,
                   const char *etag, struct pipe *sink)
{
    struct s3_call *c = s3_begin(store, call, S3_GET, key);
    char range[64];

    if (c == NULL)
        return;
    c->pipe = sink;
    sink->held = true;
    snprintf(c->wanted, sizeof c->wanted, "%s", etag);
    c->offset = offset;
    c->length = length;
    /* No range can ask for nothing. */
    c->ranged = (offset > 0 || length != UINT64_MAX) && length > 0;
    if (c->ranged) {
        int used = snprintf(range, sizeof range, "bytes=%llu-", (unsigned long long)offset);

        if (length != UINT64_MAX)
            snprintf(range + used, sizeof range - (size_t)used, "%llu",
                     (unsigned long long)(offset + length - 1));
        s3_field(c, "range", range);
        s3_field_etag(c, "if-match", etag);
    }
    s3_submit(c);
}

static void s3_put(struct store *store, struct call *call, const char *key, uint64_t size, int64_t modified,
                   const struct object_meta *meta, struct pipe *source)
{
    struct s3_call *c = s3_begin(store, call, S3_PUT, key);
    struct error error;

    (void)modified; /* S3 sets it itself */
    if (c == NULL)
        return;
    c->pipe = source;
    c->length = size;
    s3_field_md5(c);
    if (!s3_meta_fields(c, meta, &error))
        s3_refuse(c, &error);
    else
        s3_submit(c);
}

int64_t s3_copy_patience(uint64_t size)
{
    return (int64_t)(size / S3_COPY_RATE);
}

static void s3_copy(struct store *to, struct call *call, struct store *from, const struct object_entry *entry)
{
    struct s3_call *c = s3_begin(to, call, S3_COPY, entry->key);
    struct error error;

    if (c == NULL)
        return;
    c->request.patience = s3_copy_patience(entry->size);
    if (!s3_add_copy_source(c, from, entry->key, entry->etag)) {
        error_set(&error, ERROR_LOCAL, "out of memory");
        s3_refuse(c, &error);
        return;
    }
    s3_submit(c);
}

static void s3_peek(struct store *to, struct call *call, struct store *from, const char *key)
{
    struct s3_call *c = s3_begin(to, call, S3_HEAD, key);

    if (c == NULL)
        return;
    c->named = (const struct store_s3 *)from;
    c->paid |= c->named->side->request_payer == PAYER_REQUESTER;
    s3_submit(c);
}

static const struct store_ops s3_ops = {
    .scheme = "s3",
    .close = s3_close,
    .same = s3_same,
    .can_copy = s3_can_copy,
    .sees = s3_sees,
    .list = s3_list,
    .read = s3_read,
    .write = s3_write,
    .head = s3_head,
    .remove = s3_remove,
    .tags = s3_tags,
    .get = s3_get,
    .put = s3_put,
    .copy = s3_copy,
    .peek = s3_peek,
    .upload_begin = s3_upload_begin,
    .upload_part = s3_upload_part,
    .upload_copy = s3_upload_copy,
    .upload_finish = s3_upload_finish,
    .upload_abort = s3_upload_abort,
    .step = s3_step,
    .cancel = s3_cancel,
    .release = s3_release,
};
