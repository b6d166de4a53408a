/* "GetObject", "HeadObject", "PutObject", "DeleteObject", "CopyObject" and "GetObjectTagging", Amazon S3 API Reference: an
 * object in one request. */
#include "s3_internal.h"

#include "text.h"

#include <string.h>

/* ---- reading ---- */

static const struct s3_operation read_operation = {
    .base = {.method = "GET", .doing = "reading", .answer = EXCHANGE_OBJECT},
    .size = sizeof(struct s3_call),
    .permission = "s3:GetObject",
    .may_be_absent = true,
    .answered = s3_answered_object,
};

void s3_read(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, &read_operation, key);

    if (c != NULL)
        s3_submit(c);
}

void s3_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
            struct pipe *sink)
{
    struct s3_call *c = s3_begin(from->store, call, &read_operation, from->key);

    if (c == NULL)
        return;
    s3_copy_text(c->base.wanted, sizeof c->base.wanted, from->version);
    exchange_receive(&c->base, sink, offset, length);
    if (c->base.ranged)
        s3_field_etag(c, "if-match", from->version);
    s3_submit(c);
}

/* ---- looking ---- */

static const struct s3_operation head_operation = {
    .base = {.method = "HEAD", .doing = "looking at", .answer = EXCHANGE_HEAD},
    .size = sizeof(struct s3_call),
    .permission = "s3:GetObject",
    .answered = s3_answered_object,
};

void s3_head(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, &head_operation, key);

    if (c != NULL)
        s3_submit(c);
}

void s3_look(const struct store_source *from, struct call *call)
{
    struct s3_call *c = s3_begin(from->store, call, &head_operation, from->key);

    if (c == NULL)
        return;
    buf_puts(&c->query, "versionId=");
    s3_submit_if(c, uri_encode(&c->query, from->past, ""));
}

void s3_peek(struct store *to, struct call *call, const struct store_source *from)
{
    struct s3_call *c = s3_begin(to, call, &head_operation, from->key);

    if (c == NULL)
        return;
    c->named = (const struct store_s3 *)from->store;
    c->base.peer.bucket = c->named->bucket;
    c->paid |= c->named->side->request_payer == PAYER_REQUESTER;
    s3_submit(c);
}

/* ---- writing ---- */

static const struct s3_operation write_operation = {
    .base = {.method = "PUT", .doing = "writing"},
    .size = sizeof(struct s3_call),
    .permission = "s3:PutObject",
    .answered = s3_answered_receipt,
};

void s3_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
              const struct store_condition *condition)
{
    struct s3_call *c = s3_begin(store, call, &write_operation, key);
    bool ok;

    if (c == NULL)
        return;
    c->base.once = call->once;
    s3_field(c, "content-type", "application/json");
    s3_field_condition(c, condition);
    ok = buf_append(&c->base.payload, data, len);
    s3_field_payload_md5(c);
    s3_submit_if(c, ok);
}

void s3_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source)
{
    struct s3_call *c = s3_begin(to, call, &write_operation, target->key);
    struct error error;

    if (c == NULL)
        return;
    exchange_send(&c->base, source, target->size);
    s3_field_md5(c);
    s3_field_condition(c, &target->condition);
    s3_field_acl(c, target->acl);
    if (!s3_meta_fields(c, target->meta, &error))
        s3_refuse(c, &error);
    else
        s3_submit(c);
}

/* ---- copying ---- */

static const struct s3_operation copy_operation = {
    .base = {.method = "PUT", .doing = "copying to"},
    .size = sizeof(struct s3_call),
    .permission = "s3:PutObject here and s3:GetObject at the source",
    .root = "CopyObjectResult",
    .copies = true,
    .element = s3_element_etag,
    .answered = s3_answered_receipt,
};

void s3_copy(struct store *to, struct call *call, const struct store_target *target,
             const struct store_source *from)
{
    struct s3_call *c = s3_begin(to, call, &copy_operation, target->key);

    if (c == NULL)
        return;
    s3_allow_for_copy(c, target->size);
    s3_field_condition(c, &target->condition);
    s3_field_acl(c, target->acl);
    s3_submit_if(c, s3_add_copy_source(c, from));
}

/* ---- removing ---- */

/* Amazon calls it a success. */
static bool is_removed(struct s3_call *c)
{
    return s3_has_code(c, "NoSuchKey");
}

static const struct s3_operation remove_operation = {
    .base = {.method = "DELETE", .doing = "removing"},
    .size = sizeof(struct s3_call),
    .permission = "s3:DeleteObject",
    .forgives = is_removed,
};

/* That it was removed already is no reason against trying again. Conditional deletes: "DeleteObject", Amazon S3 API Reference. */
void s3_remove(struct store *store, struct call *call, const char *key,
               const struct store_condition *condition)
{
    struct s3_call *c = s3_begin(store, call, &remove_operation, key);

    if (c == NULL)
        return;
    s3_field_condition(c, condition);
    c->base.once = false;
    s3_submit(c);
}

/* ---- tags ---- */

struct tags_call {
    struct s3_call base;
    struct buf tagging; /* so far */
};

static void tags_prepare(struct s3_call *c)
{
    buf_clear(&((struct tags_call *)c)->tagging);
}

/* Collects the tag set in the form in which it is sent again: "key=value&key=value". */
static bool tags_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    struct buf *tagging = &((struct tags_call *)c)->tagging;

    (void)error;
    if (strcmp(path, "TagSet/Tag/Key") == 0) {
        if (tagging->len > 0)
            buf_putc(tagging, '&');
        return uri_encode(tagging, text, "");
    }
    if (strcmp(path, "TagSet/Tag/Value") == 0)
        return buf_putc(tagging, '=') && uri_encode(tagging, text, "");
    return true;
}

/* Amazon's NoSuchTagSet is NoSuchTagSetError elsewhere. */
static bool has_no_tags(struct s3_call *c)
{
    return text_begins(c->reply.code, "NoSuchTagSet");
}

static enum http_verdict tags_answered(struct s3_call *c, struct error *error)
{
    const struct buf *tagging = &((struct tags_call *)c)->tagging;

    if (tagging->len > 0 && !object_meta_add(&c->base.call->meta, "tagging", buf_str(tagging)))
        error_set(error, ERROR_UNSUPPORTED, "its metadata has more than %zu bytes", OBJECT_META_MAX);
    return HTTP_DONE;
}

static void tags_release(struct s3_call *c)
{
    buf_free(&((struct tags_call *)c)->tagging);
}

static const struct s3_operation tags_operation = {
    .base = {.method = "GET", .doing = "reading the tags of"},
    .size = sizeof(struct tags_call),
    .permission = "s3:GetObjectTagging",
    .root = "Tagging",
    .prepare = tags_prepare,
    .element = tags_element,
    .forgives = has_no_tags,
    .answered = tags_answered,
    .release = tags_release,
};

void s3_tags(struct store *store, struct call *call, const char *key)
{
    struct s3_call *c = s3_begin(store, call, &tags_operation, key);

    if (c == NULL)
        return;
    buf_init(&((struct tags_call *)c)->tagging, S3_QUERY_MAX);
    buf_puts(&c->query, "tagging=");
    s3_submit(c);
}
