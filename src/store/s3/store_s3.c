/* Amazon S3 REST API, "Amazon S3 API Reference", API version 2006-03-01. What other services do differently is said where it
 * matters. */
#include "s3_internal.h"

#include "aws.h"

#include <stdlib.h>
#include <string.h>

/* "Amazon S3 multipart upload limits", Amazon S3 User Guide. */
#define PUT_LIMIT (UINT64_C(5) * 1024 * 1024 * 1024)
#define PART_MIN (UINT64_C(5) * 1024 * 1024)

/* A part of a server-side copy costs no traffic, so it is as large as a request may reasonably take. */
#define PART_COPY (UINT64_C(512) * 1024 * 1024)

static const struct store_ops s3_ops;

#ifdef STORSYNC_TEST
/* Only in test builds, as in crash.h: with STORSYNC_COPY_MAX=BYTES not only objects of gigabytes are copied in parts. */
static uint64_t copy_limit(uint64_t usual)
{
    const char *bytes = getenv("STORSYNC_COPY_MAX");

    return bytes != NULL ? strtoull(bytes, NULL, 10) : usual;
}
#else
#define copy_limit(usual) (usual)
#endif

/* A bundle that cannot be used is found before anything is asked. */
static bool check_trust(const struct store_s3 *store, struct error *error)
{
    return strcmp(store->endpoint.scheme, "https") != 0 ||
           http_check_trust(loop_http(store->base.loop), store->side->ca_file, error);
}

static void s3_close(struct store *base)
{
    struct store_s3 *store = (struct store_s3 *)base;

    creds_close(store->creds);
    xml_free(store->spare);
    explicit_bzero(&store->derived, sizeof store->derived);
    free(store);
}

struct store *store_s3_open(const struct side *side, const char *bucket, struct loop *loop,
                            struct error *error)
{
    struct store_s3 *store;

    if (!s3_check_bucket(bucket, error))
        return NULL;
    store = calloc(1, sizeof *store);
    if (store == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    store->base.ops = &s3_ops;
    store->base.loop = loop;
    store->base.traits.put_max = PUT_LIMIT;
    store->base.traits.copy_max = copy_limit(PUT_LIMIT);
    store->base.traits.part_min = PART_MIN;
    store->base.traits.part_copy = copy_limit(PART_COPY);
    store->base.traits.part_count_max = S3_PART_COUNT_MAX;
    store->base.traits.has_acls = true;
    store->base.traits.seeks = true;
    store->base.traits.checks_md5 = true;
    store->side = side;
    memcpy(store->bucket, bucket, strlen(bucket) + 1);
    memcpy(store->base.name, bucket, strlen(bucket) + 1);
    memcpy(store->told_name, bucket, strlen(bucket) + 1);
    store->creds = creds_open(side, loop_http(loop), error);
    if (store->creds == NULL || !s3_set_endpoint(store, error) || !check_trust(store, error)) {
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
    .keeps_past = s3_keeps_past,
    .find_past = s3_find_past,
    .look = s3_look,
    .tags = s3_tags,
    .acl = s3_acl,
    .get = s3_get,
    .put = s3_put,
    .copy = s3_copy,
    .peek = s3_peek,
    .upload_begin = s3_upload_begin,
    .upload_part = s3_upload_part,
    .upload_copy = s3_upload_copy,
    .upload_finish = s3_upload_finish,
    .upload_abort = s3_upload_abort,
    .step = exchange_step,
    .cancel = exchange_cancel,
    .release = exchange_release,
};
