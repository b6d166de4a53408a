/* "Cloud Storage JSON API overview", version v1, Cloud Storage documentation. */
#include "gcs_internal.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* "Quotas and limits": an object has at most 5 TiB, whichever way it is made. */
#define GCS_OBJECT_MAX (UINT64_C(5) * 1024 * 1024 * 1024 * 1024)

static const struct store_ops gcs_ops;

/* "Bucket names", but looser, as old ones have capitals. */
static bool gcs_check_bucket(const char *bucket, struct error *error)
{
    size_t len = strlen(bucket);

    if (len < 3 || len >= GCS_BUCKET_SIZE)
        return error_set(error, ERROR_CONFIG, "the name of a bucket has 3 to %d bytes, not %zu",
                         GCS_BUCKET_SIZE - 1, len);
    for (const char *c = bucket; *c != '\0'; c++)
        if (!text_is_digit(*c) && !text_is_letter(*c) && !text_is_one_of(*c, "._-"))
            return error_set(
                error, ERROR_CONFIG,
                "\"%s\" is not the name of a bucket: only letters, digits, '.', '-' and '_' can be in it",
                bucket);
    return strspn(bucket, ".") != len ||
           error_set(error, ERROR_CONFIG, "\"%s\" is not the name of a bucket", bucket);
}

static bool gcs_set_endpoint(struct store_gcs *store, struct error *error)
{
    struct uri *endpoint = &store->endpoint;
    struct buf authority;

    if (!uri_parse(gcp_endpoint(store->gcp), "STORAGE_EMULATOR_HOST", endpoint, error))
        return false;
    if (strcmp(endpoint->scheme, "http") != 0 && strcmp(endpoint->scheme, "https") != 0)
        return error_set(error, ERROR_CONFIG, "STORAGE_EMULATOR_HOST is neither http:// nor https://");
    store->base.traits.plain = endpoint->scheme[4] == '\0';
    buf_init(&authority, sizeof store->service);
    uri_authority(endpoint, &authority);
    snprintf(store->service, sizeof store->service, "%s://%s%s", endpoint->scheme, buf_str(&authority),
             endpoint->path);
    buf_free(&authority);
    snprintf(store->base.url, sizeof store->base.url, "gs://%s (%s)", store->bucket, store->service);
    return store->base.traits.plain ||
           http_check_trust(loop_http(store->base.loop), store->side->ca_file, error);
}

static void gcs_close(struct store *base)
{
    struct store_gcs *store = (struct store_gcs *)base;

    gcp_close(store->gcp);
    free(store);
}

struct store *store_gcs_open(const struct side *side, const char *bucket, struct loop *loop,
                             struct error *error)
{
    struct store_gcs *store;

    if (!gcs_check_bucket(bucket, error))
        return NULL;
    store = calloc(1, sizeof *store);
    if (store == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    store->base.ops = &gcs_ops;
    store->base.loop = loop;
    store->base.traits = (struct store_traits){.put_max = GCS_OBJECT_MAX,
                                               .copy_max = UINT64_MAX,
                                               .part_min = GCS_CHUNK,
                                               .part_multiple = GCS_CHUNK,
                                               .in_order = true,
                                               .part_count_max = INT32_MAX,
                                               .seeks = true,
                                               .has_acls = true,
                                               .checks_md5 = true,
                                               .if_absent = true,
                                               .copies_version = true};
    store->side = side;
    memcpy(store->bucket, bucket, strlen(bucket) + 1);
    memcpy(store->base.name, bucket, strlen(bucket) + 1);
    store->gcp = gcp_open(side, loop_http(loop), error);
    if (store->gcp == NULL || !gcs_set_endpoint(store, error)) {
        gcs_close(&store->base);
        return NULL;
    }
    return &store->base;
}

static bool gcs_can_copy(const struct store *from, const struct store *to)
{
    const struct store_gcs *left = (const struct store_gcs *)from, *right = (const struct store_gcs *)to;

    return strcmp(left->service, right->service) == 0;
}

/* A name is one bucket for the whole service ("Bucket names"). */
static const struct store_ops gcs_ops = {
    .scheme = "gs",
    .close = gcs_close,
    .can_copy = gcs_can_copy,
    .list = gcs_list,
    .read = gcs_read,
    .write = gcs_write,
    .head = gcs_head,
    .remove = gcs_remove,
    .keeps_past = gcs_keeps_past,
    .find_past = gcs_find_past,
    .look = gcs_look,
    .get = gcs_get,
    .put = gcs_put,
    .copy = gcs_copy,
    .upload_begin = gcs_upload_begin,
    .upload_part = gcs_upload_part,
    .upload_finish = gcs_upload_finish,
    .upload_abort = gcs_upload_abort,
    .step = gcs_step,
    .cancel = exchange_cancel,
    .release = exchange_release,
};
