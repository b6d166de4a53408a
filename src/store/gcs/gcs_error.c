/* "HTTP status and error codes for JSON", Cloud Storage documentation. Answers about an object's media, and those of
 * what stands before the service, may be no JSON. */
#include "gcs_internal.h"

#include <stdio.h>
#include <string.h>

/* What an error means. The text follows "doing KEY in BUCKET: ". */
struct gcs_rule {
    int status;         /* 0: any */
    const char *reason; /* NULL: any */
    const char *words;  /* in the message; NULL: any */
    enum error_kind kind;
    bool again; /* another attempt may help */
    const char *text;
};

/* The first that fits counts. */
static const struct gcs_rule gcs_rules[] = {
    {400, NULL, "equester pays", ERROR_CONFIG, false,
     "requesters pay for this bucket: set user_project to the project that is to be billed"},
    {400, NULL, "uniform bucket-level access", ERROR_CONFIG, false,
     "the bucket has uniform access and takes no ACLs: set acl = bucket"},
    {400, NULL, "match calculated", ERROR_UNREACHABLE, true, "the body arrived damaged"},
    {400, "metadataTooLarge", NULL, ERROR_UNSUPPORTED, false,
     "there is more metadata than the service takes"},
    {400, "resourceIsEncryptedWithCustomerEncryptionKey", NULL, ERROR_UNSUPPORTED, false,
     "it is encrypted with a key that only a client has: it cannot be copied"},
    {401, NULL, NULL, ERROR_CREDENTIALS, false, "the service does not accept the credentials"},
    {403, "rateLimitExceeded", NULL, ERROR_UNREACHABLE, true, "the service asks for fewer requests"},
    {403, "userRateLimitExceeded", NULL, ERROR_UNREACHABLE, true, "the service asks for fewer requests"},
    {403, "retentionPolicyNotMet", NULL, ERROR_PERMISSION, false,
     "a retention policy protects the object that is there: it cannot be replaced yet"},
    {403, "objectUnderActiveHold", NULL, ERROR_PERMISSION, false,
     "a hold protects the object that is there: release it first"},
    {403, "accountDisabled", NULL, ERROR_CREDENTIALS, false, "the project or its billing is disabled"},
    {403, "UserProjectAccountProblem", NULL, ERROR_CONFIG, false,
     "the project that is to be billed (user_project) cannot be"},
    {404, NULL, "bucket does not exist", ERROR_NO_BUCKET, false, NULL},
    {404, NULL, NULL, ERROR_NOT_FOUND, false, "there is no such object"},
    {405, NULL, NULL, ERROR_UNSUPPORTED, false, "the service cannot do this"},
    {408, NULL, NULL, ERROR_UNREACHABLE, true, "the service waited too long for the request"},
    {410, NULL, NULL, ERROR_UNREACHABLE, false, "what was begun is gone"},
    {412, NULL, NULL, ERROR_PRECONDITION, false, NULL},
    {413, NULL, NULL, ERROR_UNSUPPORTED, false, "the object is larger than the service takes"},
    {416, NULL, NULL, ERROR_PRECONDITION, false, "the object is shorter than it was: it has changed"},
    {429, NULL, NULL, ERROR_UNREACHABLE, true, "the service asks for fewer requests"},
    {501, NULL, NULL, ERROR_UNSUPPORTED, false, "the service cannot do this"},
    {502, NULL, NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"},
    {503, NULL, NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"},
    {504, NULL, NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"},
    {403, NULL, NULL, ERROR_PERMISSION, false, NULL},
};

static bool gcs_rule_fits(const struct gcs_rule *rule, const struct gcs_call *c)
{
    return rule->status == c->base.request.status &&
           (rule->reason == NULL || strcmp(rule->reason, c->reason) == 0) &&
           (rule->words == NULL || strstr(c->message, rule->words) != NULL);
}

static const struct gcs_rule *gcs_find_rule(const struct gcs_call *c)
{
    static const struct gcs_rule broken = {
        .kind = ERROR_UNREACHABLE, .again = true, .text = "the service has a problem of its own"};
    static const struct gcs_rule other = {.kind = ERROR_PROTOCOL, .text = "the service refuses the request"};

    for (size_t i = 0; i < sizeof gcs_rules / sizeof gcs_rules[0]; i++)
        if (gcs_rule_fits(&gcs_rules[i], c))
            return &gcs_rules[i];
    return c->base.request.status >= 500 ? &broken : &other;
}

/* ---- what the answer says ---- */

static void gcs_copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%.*s", (int)strcspn(text, "\r\n"), text);
}

/* {"error": {"message": ..., "errors": [{"reason": ...}]}}, or a text. */
static void gcs_read_error(struct gcs_call *c)
{
    struct error ignored;
    yyjson_doc *doc = json_parse(buf_str(&c->answer), c->answer.len, &ignored);
    yyjson_val *error = yyjson_obj_get(yyjson_doc_get_root(doc), "error");
    yyjson_val *first = yyjson_arr_get_first(yyjson_obj_get(error, "errors"));

    gcs_copy_text(c->reason, sizeof c->reason, json_text(first, "reason", ""));
    gcs_copy_text(c->message, sizeof c->message, json_text(error, "message", ""));
    if (doc == NULL && strncmp(c->base.head.content_type, "text/", 5) == 0 && c->answer.len > 0 &&
        c->answer.data[0] != '<')
        gcs_copy_text(c->message, sizeof c->message, buf_str(&c->answer));
    yyjson_doc_free(doc);
    if (gcp_quoted(c->store->gcp, c->message))
        c->message[0] = '\0';
    if (gcp_quoted(c->store->gcp, c->reason))
        c->reason[0] = '\0';
    if (gcp_quoted(c->store->gcp, c->request_id))
        c->request_id[0] = '\0';
}

/* ---- texts that need more than the table ---- */

/* Says where to change what an error is about; `rule` is the one that it follows from. */
static void gcs_name_cure(const struct gcs_call *c, const struct gcs_rule *rule, struct error *error)
{
    const struct side *side = c->store->side;

    if (rule->kind == ERROR_CREDENTIALS || (rule->kind == ERROR_PERMISSION && rule->text == NULL))
        store_name_place(gcp_place(c->store->gcp), error);
    else if (rule->text != NULL && strstr(rule->text, "user_project") != NULL)
        store_name_setting(side, &side->user_project, error);
    else if (rule->kind == ERROR_NO_BUCKET || rule->kind == ERROR_PROTOCOL)
        gcs_name_endpoint(&c->base, error);
}

/* "(HTTP 500, backendError: message)". */
static void gcs_add_answer(const struct gcs_call *c, const struct gcs_rule *rule, struct error *error)
{
    struct error bare = *error;
    struct buf text;

    gcs_name_cure(c, rule, &bare);
    buf_init(&text, 2 * sizeof error->text);
    buf_printf(&text, "%s (HTTP %d", bare.text, c->base.request.status);
    if (c->reason[0] != '\0')
        buf_printf(&text, ", %s", c->reason);
    if (c->message[0] != '\0')
        buf_printf(&text, ": %s", c->message);
    buf_puts(&text, ")");
    error_set(error, bare.kind, "%s", buf_str(&text));
    buf_free(&text);
    memcpy(error->permission, bare.permission, sizeof error->permission);
    memcpy(error->request_id, c->request_id, sizeof error->request_id);
    error->status = c->base.request.status;
    gcs_copy_text(error->code, sizeof error->code, c->reason);
}

void gcs_explain_foreign(const struct gcs_call *c, struct error *error)
{
    const char *type = gcp_quoted(c->store->gcp, c->base.head.content_type) ? "" : c->base.head.content_type;

    error_set(error, ERROR_PROTOCOL, "%s does not answer like Google Cloud Storage (HTTP %d%s%.40s)",
              c->store->service, c->base.request.status, type[0] != '\0' ? ", " : "", type);
    gcs_name_endpoint(&c->base, error);
    error->status = c->base.request.status;
}

/* What is more likely where a bucket cannot be seen. */
static const char *gcs_hint(const struct gcs_call *c)
{
    return gcp_of_replit(c->store->gcp)
               ? "; at Replit set its id (replit-objstore-...), and attach it to this app"
               : "";
}

/* The message names the right that is missing: "... does not have storage.objects.get access to ...". An object that
 * is not there is answered like this, too, if the bucket may not be listed. */
static void gcs_explain_permission(const struct gcs_call *c, struct error *error)
{
    static const char before[] = "does not have ";
    const char *right = strstr(c->message, before);
    const char *needed = gcs_operation(c)->permission;
    size_t len = strlen(needed);

    if (right != NULL && strncmp(right + strlen(before), "storage.", 8) == 0) {
        needed = right + strlen(before);
        len = strcspn(needed, " ");
    }
    error_set(error, ERROR_PERMISSION, "access denied: the credentials need %.*s%s%s", (int)len, needed,
              gcs_operation(c)->about_bucket ? ", or there is no such bucket" : "", gcs_hint(c));
    snprintf(error->permission, sizeof error->permission, "%.*s", (int)strcspn(needed, ", "), needed);
}

static bool gcs_explain_by_rule(const struct gcs_call *c, const struct gcs_rule *rule, struct error *error)
{
    if (rule->kind == ERROR_NO_BUCKET || (rule->kind == ERROR_NOT_FOUND && gcs_operation(c)->about_bucket))
        return error_set(error, ERROR_NO_BUCKET,
                         "bucket \"%s\" does not exist at %s: create it, or check its name%s",
                         c->store->bucket, c->store->service, gcs_hint(c));
    if (rule->kind == ERROR_PRECONDITION && rule->text == NULL)
        return error_set(error, ERROR_PRECONDITION, "%s",
                         c->when == STORE_IF_ABSENT ? "it exists already" : "it has changed meanwhile");
    if (rule->text != NULL)
        return error_set(error, rule->kind, "%s", rule->text);
    gcs_explain_permission(c, error);
    return false;
}

/* What answers 404 or the like with a page does not know the API. */
static bool gcs_is_foreign(const struct gcs_call *c)
{
    int status = c->base.request.status;

    return status < 500 && status != 429 && status != 408 && status != 413 && c->message[0] == '\0' &&
           c->answer.len > 0 && c->reason[0] == '\0';
}

bool gcs_explain(struct gcs_call *c)
{
    const struct gcs_rule *rule;
    struct error *error = &c->base.request.error;

    gcs_read_error(c);
    rule = gcs_find_rule(c);
    if (gcs_is_foreign(c)) {
        gcs_explain_foreign(c, error);
        return false;
    }
    gcs_explain_by_rule(c, rule, error);
    gcs_add_answer(c, rule, error);
    return rule->again;
}
