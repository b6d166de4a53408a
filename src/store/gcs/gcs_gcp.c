#include "gcs_gcp.h"

#include "env.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>

struct gcp {
    char endpoint[600];
};

struct gcp *gcp_open(const struct side *side, struct http *http, struct error *error)
{
    const char *host = env_text("STORAGE_EMULATOR_HOST");
    struct gcp *gcp;

    (void)http;
    if (host[0] == '\0') {
        error_set(
            error, ERROR_CONFIG,
            "bucket \"%s\": gs:// is not supported; use s3://%s with endpoint https://storage.googleapis.com and HMAC keys",
            side->bucket, text_begins(side->bucket, "gs://") ? side->bucket + 5 : side->bucket);
        return NULL;
    }
    gcp = calloc(1, sizeof *gcp);
    if (gcp == NULL)
        error_set(error, ERROR_LOCAL, "out of memory");
    else
        snprintf(gcp->endpoint, sizeof gcp->endpoint, "%s%s", text_begins(host, "http") ? "" : "http://",
                 host);
    return gcp;
}

void gcp_close(struct gcp *gcp)
{
    free(gcp);
}

const char *gcp_endpoint(const struct gcp *gcp)
{
    return gcp->endpoint;
}

bool gcp_ready(struct gcp *gcp)
{
    (void)gcp;
    return true;
}

const char *gcp_bearer(struct gcp *gcp, unsigned *generation, struct error *error)
{
    (void)gcp;
    (void)error;
    *generation = 0;
    return "";
}

bool gcp_expired(struct gcp *gcp, unsigned generation)
{
    (void)gcp;
    (void)generation;
    return false;
}

const char *gcp_quota_project(const struct gcp *gcp)
{
    (void)gcp;
    return "";
}

bool gcp_quoted(const struct gcp *gcp, const char *text)
{
    (void)gcp;
    (void)text;
    return false;
}
