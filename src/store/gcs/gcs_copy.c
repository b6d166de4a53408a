/* "Objects: rewrite", Cloud Storage JSON API reference. The service copies for some 30 seconds a request; as long as
 * it is not done, the same is asked again with the token that its answer has. A request without a body keeps all
 * metadata. */
#include "gcs_internal.h"

#include <string.h>

/* How long the service may be silent, in ms, and how often it may say that it is no further than before. */
#define REWRITE_PATIENCE 60000
#define REWRITE_IDLE_MAX 10

struct gcs_copy_call {
    struct gcs_call base;
    uint64_t done; /* so many bytes */
    int idle;      /* answers since there was any progress */
    size_t asked;  /* length of the target without a token */
};

static const struct gcs_operation gcs_copy_operation;

static enum http_verdict gcs_copy_go_on(struct gcs_copy_call *copy, yyjson_val *root, struct error *error)
{
    struct gcs_call *c = &copy->base;
    const char *token = json_text(root, "rewriteToken", "");
    uint64_t done;

    if (token[0] == '\0' || !gcs_number(root, "totalBytesRewritten", &done)) {
        error_set(error, ERROR_PROTOCOL, "the copy goes on, but the service does not say from where");
        return HTTP_DONE;
    }
    copy->idle = done > copy->done ? 0 : copy->idle + 1;
    copy->done = done;
    if (copy->idle > REWRITE_IDLE_MAX) {
        error_set(error, ERROR_UNREACHABLE, "the service makes no progress with copying it");
        return HTTP_DONE;
    }
    exchange_go_on(&c->base, &gcs_copy_operation.base);
    c->base.once = c->when != STORE_ALWAYS;
    c->target.len = copy->asked;
    gcs_param(c, "rewriteToken", token);
    if (c->target.failed)
        error_set(error, ERROR_LOCAL, "out of memory for the request");
    return HTTP_DONE;
}

static enum http_verdict gcs_copy_answered(struct gcs_call *c, yyjson_val *root, struct error *error)
{
    yyjson_val *resource = yyjson_obj_get(root, "resource");

    if (!json_flag(root, "done", false))
        return gcs_copy_go_on((struct gcs_copy_call *)c, root, error);
    gcs_resource_info(c, resource, error);
    return HTTP_DONE;
}

static const struct gcs_operation gcs_copy_operation = {
    .base = {.method = "POST", .doing = "copying to"},
    .size = sizeof(struct gcs_copy_call),
    .permission =
        "storage.objects.create here (and storage.objects.delete to replace one), and storage.objects.get at the source",
    .json = true,
    .answered = gcs_copy_answered,
};

void gcs_copy(struct store *to, struct call *call, const struct store_target *target,
              const struct store_source *from)
{
    struct gcs_call *c = gcs_begin(to, call, &gcs_copy_operation, target->key);
    const struct store_gcs *source = (const struct store_gcs *)from->store;

    if (c == NULL)
        return;
    gcs_target(c, "/storage/v1/b/", source, from->key);
    gcs_target(c, "/rewriteTo/b/", c->store, target->key);
    gcs_target_query(c, source);
    if (from->past != NULL)
        gcs_param(c, "sourceGeneration", from->past);
    gcs_param_version(c, "ifSourceGenerationMatch", "ifSourceMetagenerationMatch", from->version);
    gcs_param_condition(c, &target->condition);
    gcs_param_acl(c, "destinationPredefinedAcl", target);
    ((struct gcs_copy_call *)c)->asked = c->target.len;
    c->base.request.patience = REWRITE_PATIENCE;
    gcs_submit(c);
}
