/* A call: how this service answers what exchange.h asks. */
#include "s3_internal.h"

static void s3_name_endpoint(const struct exchange *x, struct error *error)
{
    const struct side *side = x->peer.side;

    if (side->endpoint[0] != '\0')
        store_name_setting(side, &side->endpoint, error);
}

static void s3_settle(struct exchange *x)
{
    struct s3_call *c = (struct s3_call *)x;

    s3_reply_end(c);
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
    s3_reply_end(c);
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
    .name_endpoint = s3_name_endpoint,
    .settle = s3_settle,
    .release = s3_release,
};

struct s3_call *s3_begin(struct store *base, struct call *call, const struct s3_operation *operation,
                         const char *key)
{
    struct store_s3 *store = (struct store_s3 *)base;
    struct exchange_peer peer = {store->side, store->service, store->bucket};
    struct s3_call *c =
        (struct s3_call *)exchange_new(call, operation->size, &s3_service, &operation->base, &peer);

    if (c == NULL)
        return NULL;
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
    exchange_submit_if(&c->base, ok);
}

void s3_go_on(struct s3_call *c, const struct s3_operation *operation)
{
    buf_clear(&c->query);
    c->when = STORE_ALWAYS;
    exchange_go_on(&c->base, &operation->base);
}
