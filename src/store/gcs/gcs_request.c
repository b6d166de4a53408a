/* "Request endpoints" and "Encoding URL path parts", Cloud Storage documentation. */
#include "gcs_internal.h"

#include "text.h"

#include <string.h>

/* ---- the target ---- */

void gcs_target(struct gcs_call *c, const char *root, const struct store_gcs *store, const char *key)
{
    if (c->target.len == 0)
        buf_puts(&c->target, store->endpoint.path);
    buf_puts(&c->target, root);
    uri_encode(&c->target, store->bucket, "");
    buf_puts(&c->target, "/o");
    if (key == NULL)
        return;
    buf_putc(&c->target, '/');
    uri_encode(&c->target, key, "");
}

/* "Requester Pays": every request to such a bucket names the project that pays. */
void gcs_target_query(struct gcs_call *c, const struct store_gcs *other)
{
    const char *project = c->store->side->user_project;

    if (project[0] == '\0' && other != NULL)
        project = other->side->user_project;
    buf_puts(&c->target, "?prettyPrint=false");
    if (project[0] != '\0')
        gcs_param(c, "userProject", project);
}

void gcs_param(struct gcs_call *c, const char *name, const char *value)
{
    buf_printf(&c->target, "&%s=", name);
    uri_encode(&c->target, value, "");
}

/* A version is the generation, a dot, and the metageneration, which may be unknown. */
void gcs_param_version(struct gcs_call *c, const char *generation, const char *metageneration,
                       const char *version)
{
    const char *dot = strchr(version, '.');

    if (dot == NULL)
        return;
    buf_printf(&c->target, "&%s=%.*s", generation, (int)(dot - version), version);
    if (metageneration != NULL && dot[1] != '\0')
        gcs_param(c, metageneration, dot + 1);
}

/* "Predefined ACLs": S3's names in another spelling. */
void gcs_param_acl(struct gcs_call *c, const char *name, const struct store_target *target)
{
    const char *acl = target->acl != NULL ? object_meta_get(target->acl, "acl") : NULL;

    if (acl == NULL)
        return;
    buf_printf(&c->target, "&%s=", name);
    for (; *acl != '\0'; acl++)
        buf_putc(&c->target, *acl == '-' ? text_upper(*++acl) : *acl);
}

void gcs_param_condition(struct gcs_call *c, const struct store_condition *condition)
{
    c->when = condition->when;
    c->base.once |= c->when != STORE_ALWAYS;
    if (c->when == STORE_IF_ABSENT)
        gcs_param(c, "ifGenerationMatch", "0");
    if (c->when == STORE_IF_VERSION)
        gcs_param_version(c, "ifGenerationMatch", "ifMetagenerationMatch", condition->version);
}

/* ---- one attempt ---- */

/* The single place where credentials come in. http asks right before gcs_prepare. */
bool gcs_ready(struct exchange *x)
{
    struct gcs_call *c = (struct gcs_call *)x;

    return gcs_operation(c)->by_session || gcp_ready(c->store->gcp);
}

static bool gcs_authorize(struct gcs_call *c, struct buf *headers, struct error *error)
{
    const char *project = gcp_quota_project(c->store->gcp);
    const char *bearer = gcp_bearer(c->store->gcp, &c->bearer, error);

    c->base.elsewhere = bearer == NULL;
    if (bearer == NULL)
        return false;
    if (bearer[0] != '\0')
        buf_printf(headers, "authorization: %s\n", bearer);
    if (project[0] != '\0' && c->store->side->user_project[0] == '\0')
        buf_printf(headers, "x-goog-user-project: %s\n", project);
    return true;
}

static bool gcs_headers(struct gcs_call *c, struct error *error)
{
    struct buf *headers = &c->base.request.headers;
    const char *name, *value;
    size_t at = 0;

    while (object_meta_next(&c->base.fields, &at, &name, &value))
        buf_printf(headers, "%s: %s\n", name, value);
    /* Who does not take gzip is not sent what is stored as gzip ("Transcoding of gzip-compressed files"). */
    if (c->base.operation->answer == EXCHANGE_OBJECT)
        buf_puts(headers, "accept-encoding: gzip\n");
    if (!gcs_operation(c)->by_session && !gcs_authorize(c, headers, error))
        return false;
    if (c->base.bad_field)
        return error_set(error, ERROR_UNSUPPORTED,
                         "a header of the request would have control characters in it");
    return (!headers->failed && !c->base.fields.pairs.failed) ||
           error_set(error, ERROR_LOCAL, "out of memory for the request");
}

static void gcs_forget_answer(struct gcs_call *c)
{
    buf_clear(&c->answer);
    c->reason[0] = c->message[0] = c->session[0] = c->request_id[0] = '\0';
    c->generation[0] = c->metageneration[0] = '\0';
    if (!c->resource_known) {
        c->md5[0] = '\0';
        c->hash.kind = OBJECT_HASH_NONE;
    }
    if (gcs_operation(c)->prepare != NULL)
        gcs_operation(c)->prepare(c);
}

bool gcs_prepare(struct exchange *x, struct error *error)
{
    struct gcs_call *c = (struct gcs_call *)x;
    struct buf *url = &x->request.url;
    struct buf authority;

    gcs_forget_answer(c);
    buf_init(&authority, sizeof c->store->endpoint.host + 8);
    uri_authority(&c->store->endpoint, &authority);
    buf_printf(url, "%s://%s%s", c->store->endpoint.scheme, buf_str(&authority), buf_str(&c->target));
    buf_free(&authority);
    return url->failed ? error_set(error, ERROR_LOCAL, "out of memory for the URL") : gcs_headers(c, error);
}
