/* A call: how this service answers what exchange.h asks. */
#include "gcs_internal.h"

#include "text.h"
#include "utf8.h"

#include <stdio.h>
#include <string.h>

/* Errors say in their first bytes what they are. */
#define ERROR_BODY_MAX ((size_t)16 * 1024)

const struct gcs_operation *gcs_operation(const struct gcs_call *c)
{
    return (const struct gcs_operation *)c->base.operation;
}

static bool gcs_is_good(const struct gcs_call *c)
{
    return exchange_is_success(&c->base) ||
           (gcs_operation(c)->good != 0 && c->base.request.status == gcs_operation(c)->good);
}

/* ---- headers ---- */

static void gcs_copy_header(char *out, size_t size, const char *value)
{
    snprintf(out, size, "%s", value);
}

/* What the media of an object are sent with. Its resource, if that is known, says more. */
static bool gcs_media_header(struct gcs_call *c, const char *name, const char *value)
{
    if (strcmp(name, "x-goog-generation") == 0)
        gcs_copy_header(c->generation, sizeof c->generation, value);
    else if (strcmp(name, "x-goog-metageneration") == 0)
        gcs_copy_header(c->metageneration, sizeof c->metageneration, value);
    else if (strcmp(name, "x-goog-hash") == 0)
        gcs_hash_header(c, value);
    else if (c->resource_known && strcmp(name, "content-type") == 0)
        gcs_copy_header(c->base.head.content_type, sizeof c->base.head.content_type, value);
    else
        return c->resource_known &&
               (object_meta_is_content_header(name) || strcmp(name, "last-modified") == 0);
    return true;
}

static bool gcs_header(struct exchange *x, const char *name, const char *value)
{
    struct gcs_call *c = (struct gcs_call *)x;

    if (exchange_is_about_object(x) && gcs_media_header(c, name, value))
        return true;
    if (strcmp(name, "range") == 0) {
        gcs_copy_header(c->session, sizeof c->session, value);
    } else if (strcmp(name, "x-guploader-uploadid") == 0) {
        gcs_copy_header(c->request_id, sizeof c->request_id, value);
    } else if (strcmp(name, "location") == 0 && c->location != NULL) {
        buf_clear(c->location);
        buf_puts(c->location, value);
    } else {
        return false;
    }
    return true;
}

/* ---- bodies ---- */

static void gcs_text(struct exchange *x, const char *data, size_t len)
{
    struct gcs_call *c = (struct gcs_call *)x;
    const struct gcs_operation *operation = gcs_operation(c);

    if (x->failure.kind != ERROR_NONE)
        return;
    if (!exchange_is_success(x)) {
        size_t room = ERROR_BODY_MAX - c->answer.len;

        buf_append(&c->answer, data, len < room ? len : room);
    } else if (operation->text != NULL) {
        operation->text(c, data, len, &x->failure);
    } else if (!buf_append(&c->answer, data, len)) {
        error_set(&x->failure, ERROR_PROTOCOL, "the answer is too long");
    }
}

/* Are the media of the version that is wanted? Their metageneration counts as well, where they tell it: who changed the
 * metadata alone has them copied, too. */
static bool gcs_is_wanted(const struct gcs_call *c)
{
    const char *wanted = c->base.wanted;
    size_t len = strcspn(wanted, ".");

    if (strlen(c->generation) != len || strncmp(wanted, c->generation, len) != 0)
        return len == 0;
    return c->metageneration[0] == '\0' || wanted[len] == '\0' ||
           strcmp(wanted + len + 1, c->metageneration) == 0;
}

/* The headers of an object's media are complete. */
static bool gcs_check_version(struct exchange *x, struct error *error)
{
    struct gcs_call *c = (struct gcs_call *)x;
    struct object_info *info = &x->call->info;

    if (c->generation[0] == '\0') {
        gcs_explain_foreign(c, error);
        error_prefix(error, "the answer names no generation, so it is not the object: ");
        return false;
    }
    if (!gcs_is_wanted(c))
        return error_set(error, ERROR_PRECONDITION, "it has changed meanwhile");
    if (!c->resource_known) {
        snprintf(info->version, sizeof info->version, "%s.%s", c->generation, c->metageneration);
        info->hash = c->hash;
    }
    return true;
}

static const char *gcs_md5(const struct exchange *x)
{
    const struct gcs_call *c = (const struct gcs_call *)x;

    return c->md5[0] != '\0' ? c->md5 : NULL;
}

/* ---- what follows from it ---- */

/* A token may have been taken back before its time, or the clock is wrong: one renewal a call. */
static bool gcs_renew(struct gcs_call *c)
{
    if (c->base.request.status != 401 || gcs_operation(c)->by_session || c->key_renewed)
        return false;
    c->key_renewed = true;
    return gcp_expired(c->store->gcp, c->bearer);
}

static enum http_verdict gcs_finish_failure(struct gcs_call *c)
{
    const struct gcs_operation *operation = gcs_operation(c);
    bool again = gcs_explain(c);

    if (gcs_renew(c))
        return exchange_retry(&c->base, HTTP_RETRY_NOW);
    if (operation->failed != NULL && operation->failed(c, &c->base.request.error))
        return HTTP_DONE;
    return again ? exchange_retry(&c->base, HTTP_RETRY) : HTTP_DONE;
}

static enum http_verdict gcs_judge(struct exchange *x)
{
    struct gcs_call *c = (struct gcs_call *)x;
    const struct gcs_operation *operation = gcs_operation(c);
    struct error *error = &x->request.error;
    enum http_verdict verdict = HTTP_DONE;
    yyjson_doc *doc = NULL;

    if (!gcs_is_good(c))
        return gcs_finish_failure(c);
    if (operation->json && exchange_is_success(x)) {
        if (x->failure.kind == ERROR_NONE)
            doc = json_parse(buf_str(&c->answer), c->answer.len, error);
        if (doc == NULL || !yyjson_is_obj(yyjson_doc_get_root(doc))) {
            yyjson_doc_free(doc);
            gcs_explain_foreign(c, error);
            return HTTP_DONE;
        }
    }
    if (operation->answered != NULL)
        verdict = operation->answered(c, yyjson_doc_get_root(doc), error);
    yyjson_doc_free(doc);
    return verdict;
}

/* There is one endpoint, unless a variable names another. */
void gcs_name_endpoint(const struct exchange *x, struct error *error)
{
    const struct gcs_call *c = (const struct gcs_call *)x;

    if (gcp_anonymous(c->store->gcp))
        store_name_place(gcp_place(c->store->gcp), error);
}

static void gcs_settle(struct exchange *x)
{
    struct gcs_call *c = (struct gcs_call *)x;

    if (gcs_operation(c)->settle != NULL)
        gcs_operation(c)->settle(c);
}

static void gcs_release(struct exchange *x)
{
    struct gcs_call *c = (struct gcs_call *)x;

    if (gcs_operation(c)->release != NULL)
        gcs_operation(c)->release(c);
    buf_free(&c->target);
    buf_free(&c->answer);
}

static const struct exchange_service gcs_service = {
    .md5_name = "md5Hash",
    .ready = gcs_ready,
    .prepare = gcs_prepare,
    .header = gcs_header,
    .text = gcs_text,
    .check_version = gcs_check_version,
    .md5 = gcs_md5,
    .judge = gcs_judge,
    .name_endpoint = gcs_name_endpoint,
    .settle = gcs_settle,
    .release = gcs_release,
};

/* ---- the life of one ---- */

struct gcs_call *gcs_begin(struct store *base, struct call *call, const struct gcs_operation *operation,
                           const char *key)
{
    struct store_gcs *store = (struct store_gcs *)base;
    struct exchange_peer peer = {store->side, store->service, store->bucket};
    struct gcs_call *c =
        (struct gcs_call *)exchange_new(call, operation->size, &gcs_service, &operation->base, &peer);

    if (c == NULL)
        return NULL;
    c->store = store;
    buf_init(&c->target, HTTP_URL_MAX);
    buf_init(&c->answer, GCS_ANSWER_MAX);
    return exchange_set_key(&c->base, key) ? c : NULL;
}

void gcs_refuse(struct gcs_call *c, const struct error *error)
{
    exchange_refuse(&c->base, error);
}

void gcs_submit(struct gcs_call *c)
{
    exchange_submit_if(&c->base, !c->target.failed && !c->base.payload.failed && !c->base.tail.failed);
}

/* "Object names": UTF-8 without line ends, and neither "." nor "..". */
bool gcs_check_key(struct gcs_call *c)
{
    const char *key = c->base.key;
    struct error error;

    if (utf8_is_text(key) && strpbrk(key, "\r\n") == NULL && strcmp(key, ".") != 0 && strcmp(key, "..") != 0)
        return true;
    error_set(&error, ERROR_UNSUPPORTED, "Google Cloud Storage can have no object of this name");
    gcs_refuse(c, &error);
    return false;
}
