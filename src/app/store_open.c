#include "store_open.h"

#include "creds.h"
#include "gcp.h"
#include "store_dir.h"
#include "store_gcs.h"
#include "store_s3.h"
#include "text.h"

#include <string.h>

static const char *after_scheme(const char *bucket, const char *scheme)
{
    size_t len = strlen(scheme);

    return strncmp(bucket, scheme, len) == 0 ? bucket + len : NULL;
}

/* `name` is a bucket's name, from the setting `bucket`; as a URL it may end with a slash. */
static struct store *open_bucket(const struct side *side, const char *name,
                                 struct store *(*open)(const struct side *side, const char *bucket,
                                                       struct loop *loop, struct error *error),
                                 struct loop *loop, struct error *error)
{
    char bucket[256];
    size_t len = strlen(name);

    if (len > 0 && name != side->bucket && name[len - 1] == '/')
        len--;
    if (len == 0 || len >= sizeof bucket || memchr(name, '/', len) != NULL) {
        error_set(
            error, ERROR_CONFIG,
            "bucket \"%s\" is no bucket name: write NAME, s3://NAME, gs://NAME or file:///DIRECTORY, without a key or path",
            side->bucket);
        return NULL;
    }
    memcpy(bucket, name, len);
    bucket[len] = '\0';
    return open(side, bucket, loop, error);
}

/* What Replit calls a bucket, without saying whose it is; and at Replit any name, where nothing speaks for S3. */
static bool is_of_replit(const struct side *side)
{
    return text_begins(side->bucket, SETTINGS_REPLIT_BUCKET) ||
           (strpbrk(side->bucket, ":/") == NULL && gcp_at_replit() && *side->endpoint == '\0' &&
            *side->access_key_id == '\0');
}

struct store *store_open(const struct side *side, struct loop *loop, struct error *error)
{
    const char *name = side->bucket;
    const char *rest;

    if (after_scheme(name, "file:") != NULL)
        return store_dir_open(name, loop, error);
    /* The texts below repeat the name. */
    if (name[0] != '/' && strchr(name, '@') != NULL) {
        error_set(
            error, ERROR_CONFIG,
            "bucket: a user name or password in it is not supported: write NAME, s3://NAME, gs://NAME or file:///DIRECTORY");
        return NULL;
    }
    if ((rest = after_scheme(name, "s3://")) != NULL)
        return open_bucket(side, rest, store_s3_open, loop, error);
    if ((rest = after_scheme(name, "gs://")) != NULL)
        return open_bucket(side, rest, store_gcs_open, loop, error);
    if (name[0] == '/')
        error_set(error, ERROR_CONFIG, "bucket \"%s\" is a path: write file://%s for a directory", name,
                  name);
    else if (strstr(name, "://") != NULL)
        error_set(error, ERROR_CONFIG, "bucket \"%s\": unknown scheme; known are s3://, gs:// and file://",
                  name);
    else if (name[0] == '\0')
        error_set(error, ERROR_CONFIG, "no bucket is set");
    else
        return open_bucket(side, name, is_of_replit(side) ? store_gcs_open : store_s3_open, loop, error);
    return NULL;
}

bool store_needs_network(const struct side *side)
{
    return after_scheme(side->bucket, "file:") == NULL;
}

static bool is_of_google(const struct side *side)
{
    return after_scheme(side->bucket, "gs://") != NULL || is_of_replit(side);
}

bool store_is_s3(const struct side *side)
{
    return store_needs_network(side) && !is_of_google(side);
}

static void describe_google(const struct side *side, struct buf *out)
{
    struct error error = {0};
    struct gcp *gcp = gcp_open(side, NULL, &error);

    if (gcp == NULL)
        buf_puts(out, error.text);
    else
        buf_puts(out, gcp_anonymous(gcp) ? "none are sent" : gcp_source(gcp));
    gcp_close(gcp);
}

static void describe_s3(const struct side *side, struct buf *out)
{
    struct error error = {0};
    struct creds *creds = creds_open(side, NULL, &error);

    buf_puts(out, creds != NULL ? creds_source(creds) : error.text);
    creds_close(creds);
}

void store_describe_credentials(const struct side *side, struct buf *out)
{
    if (!store_needs_network(side))
        buf_puts(out, "none needed");
    else if (is_of_google(side))
        describe_google(side, out);
    else
        describe_s3(side, out);
}
