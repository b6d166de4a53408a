/* A call: how this service answers what exchange.h asks. */
#include "s3_internal.h"

#include <string.h>

static void s3_settle(struct exchange *x)
{
    struct s3_call *c = (struct s3_call *)x;
    struct error *error = &x->call->error;
    /* Not where the credentials come from, nor a proxy on the way. */
    bool elsewhere = c->no_signer.kind != ERROR_NONE || strstr(error->text, " proxy") != NULL;

    if (x->request.status == 0 && !elsewhere && error->side != NULL && c->store->side->endpoint[0] != '\0' &&
        (error->kind == ERROR_UNREACHABLE || error->kind == ERROR_PROTOCOL || error->kind == ERROR_CONFIG))
        s3_name_setting(c->store, &c->store->side->endpoint, error);
    if (s3_operation(c)->settle != NULL)
        s3_operation(c)->settle(c);
}

static void s3_release(struct exchange *x)
{
    struct s3_call *c = (struct s3_call *)x;

    if (s3_operation(c)->release != NULL)
        s3_operation(c)->release(c);
    buf_free(&c->path);
    buf_free(&c->query);
    xml_free(c->xml);
}

static const struct exchange_service s3_service = {
    .md5_name = "ETag",
    .ready = s3_ready,
    .prepare = s3_prepare,
    .header = s3_header,
    .text = s3_text,
    .check_version = s3_check_version,
    .md5 = s3_md5,
    .judge = s3_judge,
    .settle = s3_settle,
    .release = s3_release,
};

struct s3_call *s3_begin(struct store *base, struct call *call, const struct s3_operation *operation,
                         const char *key)
{
    struct store_s3 *store = (struct store_s3 *)base;
    struct s3_call *c = (struct s3_call *)exchange_new(call, operation->size, &s3_service, &operation->base);

    if (c == NULL)
        return NULL;
    c->base.http = store->http;
    c->base.address = store->service;
    c->base.bucket = store->bucket;
    c->base.request.ca_file = store->side->ca_file[0] != '\0' ? store->side->ca_file : NULL;
    c->store = store;
    c->named = store;
    c->paid = store->side->request_payer == PAYER_REQUESTER;
    buf_init(&c->path, S3_PATH_MAX);
    buf_init(&c->query, S3_QUERY_MAX);
    return exchange_set_key(&c->base, key) ? c : NULL;
}

void s3_submit(struct s3_call *c)
{
    exchange_submit(&c->base);
}

void s3_refuse(struct s3_call *c, const struct error *error)
{
    exchange_refuse(&c->base, error);
}

void s3_submit_if(struct s3_call *c, bool ok)
{
    struct error error;

    if (ok) {
        s3_submit(c);
        return;
    }
    error_set(&error, ERROR_LOCAL, "out of memory");
    s3_refuse(c, &error);
}

void s3_go_on(struct s3_call *c, const struct s3_operation *operation)
{
    buf_clear(&c->query);
    c->when = STORE_ALWAYS;
    exchange_go_on(&c->base, &operation->base);
}
