/* "Virtual hosting of buckets", Amazon S3 User Guide: where requests go. */
#include "s3_internal.h"

#include "aws.h"
#include "log.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"

static bool is_lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || text_is_digit(c);
}

static bool is_name_char(char c)
{
    return text_is_letter(c) || text_is_digit(c) || text_is_one_of(c, "-_");
}

/* "General purpose bucket naming rules", but looser: other services, and Amazon's oldest buckets, have names
 * with capitals and underscores; RGW's have "tenant:" in front. */
bool s3_check_bucket(const char *bucket, struct error *error)
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

/* Services whose consoles show an endpoint with the bucket in it. */
static bool is_shown_with_bucket(const char *host)
{
    static const char *const domains[] = {".amazonaws.com", ".amazonaws.com.cn", ".r2.cloudflarestorage.com",
                                          ".digitaloceanspaces.com"};
    size_t len = strlen(host);

    for (size_t i = 0; i < sizeof domains / sizeof domains[0]; i++)
        if (len > strlen(domains[i]) && strcmp(host + len - strlen(domains[i]), domains[i]) == 0)
            return true;
    return false;
}

/* Takes the bucket out of "https://ACCOUNT.r2.cloudflarestorage.com/bucket" and
 * "https://bucket.s3.eu-west-1.amazonaws.com". Of other services such an address may be meant. */
static void leave_bucket_out(struct store_s3 *store)
{
    struct uri *endpoint = &store->endpoint;
    size_t len = strlen(store->bucket);

    if (!is_shown_with_bucket(endpoint->host))
        return;
    if (endpoint->path[0] == '/' && strcmp(endpoint->path + 1, store->bucket) == 0)
        endpoint->path[0] = '\0';
    if (strncmp(endpoint->host, store->bucket, len) == 0 && endpoint->host[len] == '.' &&
        is_shown_with_bucket(endpoint->host + len + 1))
        memmove(endpoint->host, endpoint->host + len + 1, strlen(endpoint->host + len + 1) + 1);
}

static bool check_endpoint(struct store_s3 *store, const char *text, struct error *error)
{
    const struct uri *endpoint = &store->endpoint;

    if (!uri_parse(text, "endpoint", &store->endpoint, error))
        return false;
    if (strcmp(endpoint->scheme, "http") != 0 && strcmp(endpoint->scheme, "https") != 0)
        return error_set(error, ERROR_CONFIG, "endpoint: \"%s\" is neither http:// nor https://", text);
    if (endpoint->scheme[4] == '\0' && !store->side->allow_http && !uri_is_loopback(endpoint))
        return error_set(
            error, ERROR_CONFIG,
            "endpoint: \"%s\" is not encrypted, so others on the network could read the data and the session tokens: use https://, or set allow_http = yes for this side",
            text);
    if (creds_variant(store->creds).fips)
        log_warn("use_fips_endpoint says nothing about %s: only AWS has such endpoints", text);
    leave_bucket_out(store);
    return true;
}

bool s3_set_endpoint(struct store_s3 *store, struct error *error)
{
    const struct side *side = store->side;
    const char *endpoint = side->endpoint[0] != '\0' ? side->endpoint : creds_endpoint(store->creds);
    const char *region = side->region[0] != '\0' ? side->region : creds_region(store->creds);
    bool label = is_host_label(store->bucket);

    if (region[0] == '\0')
        region = DEFAULT_REGION;
    store->amazon = endpoint[0] == '\0';
    /* x-amz-copy-source-if-match ("UploadPartCopy", Amazon S3 API Reference), which Ceph RGW up to 16 ignores. */
    store->base.traits.copies_version = store->amazon;
    if (!store->amazon && !check_endpoint(store, endpoint, error)) {
        if (endpoint == side->endpoint)
            store_name_setting(side, &side->endpoint, error);
        return false;
    }
    store->virtual_host = label && (side->path_style == PATH_STYLE_NO ||
                                    (side->path_style == PATH_STYLE_AUTO && store->amazon));
    if (s3_set_region(store, region))
        return true;
    error_set(error, ERROR_CONFIG, "\"%s\" is not the name of a region", region);
    store_name_setting(side, &side->region, error);
    return false;
}
