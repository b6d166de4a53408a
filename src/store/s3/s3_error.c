/* "Error responses", Amazon S3 API Reference; codes of other services from Ceph's rgw_common.cc, MinIO's and
 * Google's documentation. */
#include "s3_internal.h"

#include "text.h"

#include <stdio.h>
#include <string.h>

/* What an error means. The text follows "doing KEY in BUCKET: ". */
struct rule {
    const char *code;
    enum error_kind kind;
    bool again; /* another attempt may help */
    const char *text;
};

#define NO_ACLS "the bucket takes no ACLs: set acl = bucket"
#define WRONG_KEY "check the access key, and that it belongs to this service"

static const struct rule rules_by_code[] = {
    {"AccessControlListNotSupported", ERROR_CONFIG, false, NO_ACLS},
    {"AccessDenied", ERROR_PERMISSION, false, NULL},
    {"AccountProblem", ERROR_CREDENTIALS, false, "the account cannot be used: ask the service's operator"},
    {"AllAccessDisabled", ERROR_CREDENTIALS, false, "the account cannot be used: ask the service's operator"},
    {"AuthorizationHeaderMalformed", ERROR_CONFIG, false, "the service expects another region: set region"},
    {"BadDigest", ERROR_UNREACHABLE, true, "the body arrived damaged"},
    {"ConditionalRequestConflict", ERROR_UNREACHABLE, true, "somebody else is writing it at this moment"},
    {"EntityTooLarge", ERROR_UNSUPPORTED, false, "the object is larger than the service takes"},
    {"EntityTooSmall", ERROR_CONFIG, false, "the service wants larger parts: set part_size"},
    {"ExpiredToken", ERROR_CREDENTIALS, false, "the session token has expired: get new credentials"},
    {"IncompleteBody", ERROR_UNREACHABLE, true, "the body arrived incomplete"},
    {"InternalError", ERROR_UNREACHABLE, true, "the service has a problem of its own"},
    {"InvalidAccessKeyId", ERROR_CREDENTIALS, false, "the service does not know the access key: " WRONG_KEY},
    {"InvalidBucketName", ERROR_CONFIG, false, "the service does not accept this name of a bucket"},
    {"InvalidObjectName", ERROR_UNSUPPORTED, false, "the service does not accept this key"},
    {"InvalidObjectState", ERROR_PERMISSION, false, "the object is archived: restore it first"},
    {"InvalidRange", ERROR_PRECONDITION, false, "the object is shorter than it was: it has changed"},
    {"InvalidToken", ERROR_CREDENTIALS, false, "the session token is not valid: get new credentials"},
    {"InvalidURI", ERROR_UNSUPPORTED, false, "the service does not accept this key"},
    {"KeyTooLong", ERROR_UNSUPPORTED, false, "the key is longer than the service takes"},
    {"KeyTooLongError", ERROR_UNSUPPORTED, false, "the key is longer than the service takes"},
    {"MetadataTooLarge", ERROR_UNSUPPORTED, false, "there is more metadata than the service takes"},
    {"NoSuchBucket", ERROR_NO_BUCKET, false, NULL},
    {"NoSuchKey", ERROR_NOT_FOUND, false, "there is no such object"},
    {"NoSuchUpload", ERROR_NOT_FOUND, false, "the upload is gone: somebody or something has ended it"},
    {"NotImplemented", ERROR_UNSUPPORTED, false, "the service cannot do this"},
    {"NotSignedUp", ERROR_CREDENTIALS, false, "the account cannot be used: ask the service's operator"},
    {"OperationAborted", ERROR_UNREACHABLE, true, "a conflicting operation is under way"},
    {"PermanentRedirect", ERROR_CONFIG, false, NULL},
    {"PreconditionFailed", ERROR_PRECONDITION, false, NULL},
    {"QuotaExceeded", ERROR_PERMISSION, false, "the quota is used up"},
    {"RequestTimeTooSkewed", ERROR_CREDENTIALS, false, "the clock of this machine is wrong: set it"},
    {"RequestTimeout", ERROR_UNREACHABLE, true, "the service waited too long for the body"},
    {"ServiceUnavailable", ERROR_UNREACHABLE, true, "the service is overloaded or down"},
    {"SignatureDoesNotMatch", ERROR_CREDENTIALS, false,
     "the signature is wrong: check the secret access key, and that no proxy changes the request"},
    {"SlowDown", ERROR_UNREACHABLE, true, "the service asks for fewer requests"},
    {"TemporaryRedirect", ERROR_CONFIG, false, NULL},
    {"TokenRefreshRequired", ERROR_CREDENTIALS, false, "the session token has expired: get new credentials"},
    {"TooManyRequests", ERROR_UNREACHABLE, true, "the service asks for fewer requests"},
    {"XAmzContentSHA256Mismatch", ERROR_UNREACHABLE, true, "the body arrived damaged"},
};

/* For codes that are not above, and answers without a body. */
static const struct {
    int status;
    struct rule rule;
} rules_by_status[] = {
    {301, {NULL, ERROR_CONFIG, false, NULL}},
    {302, {NULL, ERROR_CONFIG, false, NULL}},
    {307, {NULL, ERROR_CONFIG, false, NULL}},
    {308, {NULL, ERROR_CONFIG, false, NULL}},
    {401, {NULL, ERROR_CREDENTIALS, false, "the service does not accept the credentials"}},
    {403, {NULL, ERROR_PERMISSION, false, NULL}},
    {404, {NULL, ERROR_NOT_FOUND, false, "there is no such object"}},
    {405, {NULL, ERROR_UNSUPPORTED, false, "the service cannot do this"}},
    {408, {NULL, ERROR_UNREACHABLE, true, "the service waited too long for the request"}},
    {409, {NULL, ERROR_UNREACHABLE, true, "a conflicting operation is under way"}},
    {412, {NULL, ERROR_PRECONDITION, false, NULL}},
    {413,
     {NULL, ERROR_UNSUPPORTED, false,
      "the body is too large for the service, or for a proxy in front of it: raise its limit (nginx: client_max_body_size), or set a smaller part_size"}},
    {416, {NULL, ERROR_PRECONDITION, false, "the object is shorter than it was: it has changed"}},
    {429, {NULL, ERROR_UNREACHABLE, true, "the service asks for fewer requests"}},
    {500, {NULL, ERROR_UNREACHABLE, true, "the service has a problem of its own"}},
    {501, {NULL, ERROR_UNSUPPORTED, false, "the service cannot do this"}},
    {502, {NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"}},
    {503, {NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"}},
    {504, {NULL, ERROR_UNREACHABLE, true, "the service is overloaded or down"}},
};

static const struct rule *find_rule(const char *code, int status)
{
    static const struct rule broken = {NULL, ERROR_UNREACHABLE, true, "the service has a problem of its own"};
    static const struct rule other = {NULL, ERROR_PROTOCOL, false, "the service refuses the request"};

    if (code[0] != '\0')
        for (size_t i = 0; i < sizeof rules_by_code / sizeof rules_by_code[0]; i++)
            if (strcmp(rules_by_code[i].code, code) == 0)
                return &rules_by_code[i];
    for (size_t i = 0; i < sizeof rules_by_status / sizeof rules_by_status[0]; i++)
        if (rules_by_status[i].status == status)
            return &rules_by_status[i].rule;
    return status >= 500 ? &broken : &other;
}

/* ---- texts that need more than the table ---- */

static void explain_no_bucket(const struct s3_call *c, struct error *error)
{
    error_set(error, ERROR_NO_BUCKET,
              "bucket \"%s\"%s does not exist at %s: create it, or check bucket and endpoint",
              c->store->bucket, s3_operation(c)->copies ? ", or the source's," : "", c->store->service);
}

static void explain_permission(const struct s3_call *c, struct error *error)
{
    const char *denied = c->reply.denied;
    const char *needed = denied[0] != '\0' ? denied : s3_operation(c)->permission;

    if (text_begins(denied, "kms:"))
        error_set(error, ERROR_PERMISSION,
                  "access denied: the credentials need %s for the key that the bucket is encrypted with",
                  denied);
    else if (denied[0] != '\0')
        error_set(error, ERROR_PERMISSION, "access denied: the credentials need %s", denied);
    else if (c->with_acl) /* The service may say no more of that it refuses public ones. */
        error_set(
            error, ERROR_PERMISSION,
            "access denied: the credentials need %s and s3:PutObjectAcl, and the bucket must not block such ACLs (setting acl)",
            needed);
    else /* RGW answers this also when it does not know the access key, or the signature is wrong, and Amazon when nobody
            has said that he would pay. */
        error_set(error, ERROR_PERMISSION,
                  "access denied: the credentials need %s%s; if they have it, check key and secret%s", needed,
                  s3_operation(c)->may_be_absent ? " and s3:ListBucket" : "",
                  c->paid ? "" : ", and where requesters pay set request_payer = requester");
    snprintf(error->permission, sizeof error->permission, "%s", needed);
}

static void explain_precondition(const struct s3_call *c, struct error *error)
{
    error_set(error, ERROR_PRECONDITION, "%s",
              c->when == STORE_IF_ABSENT ? "it exists already" : "it has changed meanwhile");
}

/* The endpoint has the bucket in it, which every request names besides. */
static bool explain_endpoint(const struct s3_call *c, struct error *error)
{
    const struct store_s3 *store = c->store;
    const char *last = strrchr(store->endpoint.path, '/');

    if (c->base.request.status != 404 || last == NULL || strcmp(last + 1, store->bucket) != 0)
        return false;
    error_set(error, ERROR_CONFIG, "the endpoint %s ends with the name of the bucket: leave that out",
              store->service);
    return true;
}

static void explain_redirect(const struct s3_call *c, struct error *error)
{
    const struct s3_reply *reply = &c->reply;

    if (reply->region[0] != '\0')
        error_set(error, ERROR_CONFIG, "the bucket is in region %s: set region and endpoint accordingly",
                  reply->region);
    else if (reply->endpoint[0] != '\0')
        error_set(error, ERROR_CONFIG, "the bucket is at %s: set endpoint accordingly", reply->endpoint);
    else
        error_set(error, ERROR_CONFIG, "%s redirects to %s: check endpoint", c->store->service,
                  c->base.head.location[0] != '\0' ? c->base.head.location : "nowhere");
}

/* A service without conditional writes may say so in several ways. */
static bool is_refused_condition(const struct s3_call *c)
{
    const char *code = c->reply.code;

    return c->when != STORE_ALWAYS &&
           (c->base.request.status == 501 ||
            (c->base.request.status == 400 &&
             (strcmp(code, "NotImplemented") == 0 || strcmp(code, "InvalidArgument") == 0 ||
              strcmp(code, "InvalidRequest") == 0)));
}

/* The version on which a write depends is not there, and no other. */
static bool is_version_gone(const struct s3_call *c)
{
    return c->when == STORE_IF_VERSION && strcmp(c->reply.code, "NoSuchKey") == 0;
}

/* Whose credentials these are. */
static void name_credentials(const struct s3_call *c, const void *field, struct error *error)
{
    if (c->store->side->access_key_id[0] != '\0')
        store_name_setting(c->store->side, field, error);
    else
        store_name_place(creds_source(c->store->creds), error);
}

/* Which credential a service's code is about, if it is one of them. */
static const void *credential_of(const struct side *side, const char *code)
{
    if (strcmp(code, "SignatureDoesNotMatch") == 0)
        return &side->secret_access_key;
    if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0 ||
        strcmp(code, "TokenRefreshRequired") == 0)
        return &side->session_token;
    return &side->access_key_id;
}

/* Says where to change what an error is about. */
static void name_cure(const struct s3_call *c, struct error *error)
{
    const struct side *side = c->store->side;
    const char *code = c->reply.code;

    if (side->settings == NULL)
        return;
    if (error->kind == ERROR_CREDENTIALS && strcmp(code, "RequestTimeTooSkewed") != 0)
        name_credentials(c, credential_of(side, code), error);
    else if (error->kind == ERROR_PERMISSION && (code[0] == '\0' || strcmp(code, "AccessDenied") == 0))
        name_credentials(c, &side->access_key_id, error);
    else if (error->kind == ERROR_CONFIG && strstr(error->text, "region") != NULL)
        store_name_setting(side, &side->region, error);
    if ((error->kind == ERROR_NO_BUCKET || error->kind == ERROR_PROTOCOL ||
         (error->kind == ERROR_CONFIG && strstr(error->text, "endpoint") != NULL)) &&
        side->endpoint[0] != '\0')
        store_name_setting(side, &side->endpoint, error);
}

/* "(HTTP 500, InternalError: message, request tx0001)". The number of the request helps where only the
 * service's operator can. */
static void add_service_answer(const struct s3_call *c, struct error *error)
{
    const struct s3_reply *reply = &c->reply;
    bool theirs = error->kind == ERROR_UNREACHABLE || error->kind == ERROR_PROTOCOL;
    struct error bare = *error;
    struct buf text;

    name_cure(c, &bare);
    buf_init(&text, 2 * sizeof error->text);
    buf_printf(&text, "%s (HTTP %d", bare.text, c->base.request.status);
    if (reply->code[0] != '\0')
        buf_printf(&text, ", %s", reply->code);
    if (reply->message[0] != '\0')
        buf_printf(&text, ": %s", reply->message);
    if (theirs && reply->request_id[0] != '\0')
        buf_printf(&text, ", request %s", reply->request_id);
    buf_puts(&text, ")");
    error_set(error, bare.kind, "%s", buf_str(&text));
    buf_free(&text);
    memcpy(error->permission, bare.permission, sizeof error->permission);
    error->status = c->base.request.status;
    memcpy(error->code, reply->code, sizeof error->code);
    memcpy(error->request_id, reply->request_id, sizeof error->request_id);
}

void s3_explain_foreign(const struct s3_call *c, struct error *error)
{
    const char *type =
        creds_quoted(c->store->creds, c->base.head.content_type) ? "" : c->base.head.content_type;

    /* What web servers say to a request without TLS where they speak TLS. */
    bool untold_tls = c->base.request.status == 400 && c->store->base.traits.plain;

    error_set(error, ERROR_PROTOCOL, "%s does not answer like an S3 service (HTTP %d%s%.40s): %s",
              c->store->service, c->base.request.status, type[0] != '\0' ? ", " : "", type,
              untold_tls ? "is it an https:// endpoint?" : "check endpoint");
    name_cure(c, error);
    error->status = c->base.request.status;
    memcpy(error->request_id, c->reply.request_id, sizeof error->request_id);
}

/* An answer with a body that is not S3's. What stands in front of a service that is down is not meant. */
static bool is_foreign(const struct s3_call *c)
{
    const struct s3_reply *reply = &c->reply;
    int status = c->base.request.status;

    if (reply->code[0] != '\0' || status >= 500 || status == 429 || status == 413 || status == 408)
        return false;
    if (status >= 300 && status < 400)
        return c->base.head.location[0] == '\0' && reply->region[0] == '\0';
    return reply->body_begun || (status == 404 && s3_operation(c)->about_bucket);
}

/* A service that quotes what it was sent must not bring a token into log and status, in whatever field. */
static void drop_secrets(struct s3_call *c)
{
    struct s3_reply *reply = &c->reply;
    char *texts[] = {reply->code,   reply->message,        reply->denied,   reply->request_id,
                     reply->region, c->base.head.location, reply->endpoint, c->base.head.content_type};

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (creds_quoted(c->store->creds, texts[i]))
            texts[i][0] = '\0';
}

bool s3_explain(struct s3_call *c)
{
    struct error *error = &c->base.request.error;
    const struct rule *rule;

    drop_secrets(c);
    rule = find_rule(c->reply.code, c->base.request.status);

    if (s3_operation(c)->about_bucket && explain_endpoint(c, error)) {
        add_service_answer(c, error);
        return false;
    }
    if (is_foreign(c)) {
        s3_explain_foreign(c, error);
        return false;
    }
    if (is_refused_condition(c)) {
        error_set(error, ERROR_UNSUPPORTED, "the service has no conditional writes");
        add_service_answer(c, error);
        return false;
    }
    if (c->base.request.status == 400 && strstr(c->reply.message, "Server Side Encryption") != NULL)
        error_set(error, ERROR_UNSUPPORTED,
                  "it is encrypted with a key that only a client has: it cannot be copied");
    else if (c->with_acl && c->base.request.status == 501 && strstr(c->reply.message, "x-amz-") != NULL)
        error_set(error, ERROR_CONFIG, NO_ACLS);
    else if (strcmp(c->reply.code, "AuthorizationHeaderMalformed") == 0 && c->reply.region[0] != '\0')
        error_set(error, rule->kind, "the service expects another region: set region to %s", c->reply.region);
    else if (rule->text != NULL && !is_version_gone(c))
        error_set(error, rule->kind, "%s", rule->text);
    else if (rule->kind == ERROR_NO_BUCKET)
        explain_no_bucket(c, error);
    else if (rule->kind == ERROR_PERMISSION)
        explain_permission(c, error);
    else if (rule->kind == ERROR_PRECONDITION || is_version_gone(c))
        explain_precondition(c, error);
    else
        explain_redirect(c, error);
    add_service_answer(c, error);
    return rule->again;
}
