/* "Using OAuth 2.0 for Server to Server Applications" and "Using OAuth 2.0 for Web Server Applications", Google Identity;
 * "Method: token", Security Token Service API; "Method: serviceAccounts.generateAccessToken", IAM Service Account
 * Credentials API; "About VM metadata", Compute Engine; Replit's client libraries for its sidecar. */
#include "gcp_internal.h"

#include "clock.h"
#include "file.h"
#include "hash.h"
#include "text.h"

#include <stdio.h>
#include <string.h>

#define FORM "content-type: application/x-www-form-urlencoded\n"
#define TOKEN_EXCHANGE "urn:ietf:params:oauth:grant-type:token-exchange"
#define ACCESS_TOKEN "urn:ietf:params:oauth:token-type:access_token"
#define SIDECAR_SCOPE "https://www.googleapis.com/auth/devstorage.full_control"

/* ms. Both are on this machine or its host. They may come up later than we do. */
#define LOCAL_LIMIT 3000
#define METADATA_ATTEMPTS 3
#define SIDECAR_ATTEMPTS 8
#define TIME_LIMIT 20000

static yyjson_val *object_of(const struct creds *creds)
{
    return creds->gcp->objects[creds->step];
}

/* What is `secret`, and all that follows, is not for the log. */
static void put_field(struct creds *creds, const char *name, const char *value, bool secret)
{
    struct buf *form = &creds->form;

    buf_printf(form, "%s%s=", form->len > 0 ? "&" : "", name);
    if (secret && creds->form_secret == 0)
        creds_hide(creds);
    uri_encode(form, value, "");
}

static enum http_verdict refused(struct creds *creds, const char *text, struct error *error)
{
    static const char *const passing[] = {"internal_failure", "server_error", "temporarily_unavailable"};
    struct creds_answer answer;
    struct error ignored;
    bool again = creds->request.status == 408;

    gcp_parse(creds->answer, creds->answer_len, &answer, &ignored);
    creds_refuse(creds, text, &answer, error);
    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        again = again || strcmp(answer.code, passing[i]) == 0;
    explicit_bzero(&answer, sizeof answer);
    if (again)
        error->kind = ERROR_UNREACHABLE;
    return error->kind == ERROR_UNREACHABLE ? HTTP_RETRY : HTTP_DONE;
}

/* ---- Replit's sidecar ---- */

static bool prepare_sidecar_credential(struct creds *creds, struct error *error)
{
    (void)error;
    buf_printf(&creds->request.url, "%s/credential", creds->gcp->sidecar);
    return true;
}

/* Before a bucket is attached, and for seconds after a burst of requests, it is a JWT that nobody has signed. */
static bool take_sidecar_credential(struct creds *creds, struct error *error)
{
    struct buf none;
    bool empty;

    if (!gcp_take(creds, error))
        return false;
    buf_init(&none, 64);
    hash_base64(&none, "{\"alg\":\"none\"", 12, true);
    empty = text_begins(creds->next.session_token, buf_str(&none));
    buf_free(&none);
    return !empty ||
           error_set(
               error, ERROR_UNREACHABLE,
               "it gives no credential: attach the bucket to this app (in Object Storage), then deploy again");
}

static bool prepare_sidecar_token(struct creds *creds, struct error *error)
{
    (void)error;
    buf_printf(&creds->request.url, "%s/token", creds->gcp->sidecar);
    buf_puts(&creds->request.headers, FORM);
    put_field(creds, "grant_type", TOKEN_EXCHANGE, false);
    put_field(creds, "audience", "replit", false);
    put_field(creds, "scope", SIDECAR_SCOPE, false);
    put_field(creds, "requested_token_type", ACCESS_TOKEN, false);
    put_field(creds, "subject_token_type", "access_token", false);
    put_field(creds, "subject_token", creds->signer.session_token, true);
    return true;
}

static enum http_verdict refused_sidecar(struct creds *creds, struct error *error)
{
    enum http_verdict verdict = refused(
        creds, "it gives no token: attach the bucket to this app (in Object Storage), then deploy again",
        error);

    return creds->request.status == 401 ? HTTP_RETRY : verdict;
}

const struct creds_step_ops gcp_sidecar_credential = {
    .method = "GET",
    .direct = true,
    .time_limit = LOCAL_LIMIT,
    .attempts = SIDECAR_ATTEMPTS,
    .prepare = prepare_sidecar_credential,
    .take = take_sidecar_credential,
    .refused = refused_sidecar,
};

const struct creds_step_ops gcp_sidecar_token = {
    .method = "POST",
    .direct = true,
    .time_limit = TIME_LIMIT,
    .attempts = SIDECAR_ATTEMPTS,
    .prepare = prepare_sidecar_token,
    .take = gcp_take,
    .refused = refused_sidecar,
};

/* ---- the metadata server ---- */

static bool prepare_metadata(struct creds *creds, struct error *error)
{
    (void)error;
    buf_printf(&creds->request.url, "http://%s/computeMetadata/v1/instance/service-accounts/default/token",
               creds->gcp->metadata_host);
    buf_puts(&creds->request.headers, "metadata-flavor: Google\n");
    return true;
}

static const char no_server[] =
    "what answers is not Google's metadata server: set GOOGLE_APPLICATION_CREDENTIALS to the path of a key file";

static bool take_google(struct creds *creds, struct error *error)
{
    return creds->by_google ? gcp_take(creds, error) : error_set(error, ERROR_PROTOCOL, "%s", no_server);
}

static enum http_verdict refused_metadata(struct creds *creds, struct error *error)
{
    if (!creds->by_google)
        return refused(creds, no_server, error);
    return refused(creds,
                   creds->request.status == 404 ? "no service account is attached to this machine: attach one"
                                                : "the service refuses",
                   error);
}

const struct creds_step_ops gcp_metadata = {
    .method = "GET",
    .direct = true,
    .time_limit = LOCAL_LIMIT,
    .attempts = METADATA_ATTEMPTS,
    .prepare = prepare_metadata,
    .take = take_google,
    .refused = refused_metadata,
};

/* ---- a service account ---- */

static bool make_token(struct creds *creds, struct error *error)
{
    struct buf token;
    bool good;

    buf_init_secret(&token, XML_TEXT_MAX);
    good = gcp_jwt(object_of(creds), NULL, clock_wall() + creds->clock_offset, &token, error);
    if (good)
        memcpy(creds->next.session_token, token.data, token.len + 1);
    buf_free(&token);
    creds->next.expires = clock_wall() + GCP_LIFE;
    return good;
}

const struct creds_step_ops gcp_self_signed = {.make = make_token};

static bool prepare_exchange(struct creds *creds, struct error *error)
{
    const char *url = json_text(object_of(creds), "token_uri", creds->gcp->token_url);

    buf_puts(&creds->request.url, url);
    buf_puts(&creds->request.headers, FORM);
    put_field(creds, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer", false);
    put_field(creds, "assertion", "", true);
    /* Nothing in a JWT would be encoded. */
    return gcp_jwt(object_of(creds), url, clock_wall() + creds->clock_offset, &creds->form, error);
}

static enum http_verdict refused_exchange(struct creds *creds, struct error *error)
{
    enum http_verdict verdict = refused(
        creds, "the key of the service account is not accepted: is it deleted, or the account?", error);

    return creds_learn_clock(creds) ? HTTP_RETRY_NOW : verdict;
}

const struct creds_step_ops gcp_exchange = {
    .method = "POST",
    .time_limit = TIME_LIMIT,
    .prepare = prepare_exchange,
    .take = gcp_take,
    .refused = refused_exchange,
};

/* ---- a user ---- */

/* Of a client that the pool knows; most need none. */
static void add_client(struct creds *creds)
{
    const char *id = json_text(object_of(creds), "client_id", "");
    struct buf pair;

    if (*id == '\0')
        return;
    buf_init_secret(&pair, CREDS_TOKEN_MAX);
    buf_printf(&pair, "%s:%s", id, json_text(object_of(creds), "client_secret", ""));
    buf_puts(&creds->request.headers, "authorization: Basic ");
    hash_base64(&creds->request.headers, pair.data, pair.len, false);
    buf_putc(&creds->request.headers, '\n');
    buf_free(&pair);
}

static bool prepare_refresh(struct creds *creds, struct error *error)
{
    yyjson_val *user = object_of(creds);
    bool external = text_begins(json_text(user, "type", ""), "external_");

    (void)error;
    buf_puts(&creds->request.url, external ? json_text(user, "token_url", "") : creds->gcp->token_url);
    buf_puts(&creds->request.headers, FORM);
    put_field(creds, "grant_type", "refresh_token", false);
    if (external) {
        add_client(creds);
    } else {
        put_field(creds, "client_id", json_text(user, "client_id", ""), false);
        put_field(creds, "client_secret", json_text(user, "client_secret", ""), true);
    }
    put_field(creds, "refresh_token", json_text(user, "refresh_token", ""), true);
    return true;
}

static enum http_verdict refused_refresh(struct creds *creds, struct error *error)
{
    return refused(creds, "the login is over: log in again with gcloud auth application-default login",
                   error);
}

const struct creds_step_ops gcp_refresh = {
    .method = "POST",
    .time_limit = TIME_LIMIT,
    .prepare = prepare_refresh,
    .take = gcp_take,
    .refused = refused_refresh,
};

/* ---- somebody whom another provider knows ---- */

static bool prepare_subject(struct creds *creds, struct error *error)
{
    yyjson_val *source = yyjson_obj_get(object_of(creds), "credential_source");
    yyjson_val *headers = yyjson_obj_get(source, "headers"), *name;
    yyjson_obj_iter iter;

    buf_puts(&creds->request.url, json_text(source, "url", ""));
    yyjson_obj_iter_init(headers, &iter);
    while ((name = yyjson_obj_iter_next(&iter)) != NULL) {
        const char *value = json_text(headers, yyjson_get_str(name), "");

        if (!creds_is_clean(yyjson_get_str(name)) || !creds_is_clean(value))
            return error_set(error, ERROR_CONFIG, "a header of credential_source has control characters");
        buf_printf(&creds->request.headers, "%s: %s\n", yyjson_get_str(name), value);
    }
    return true;
}

static bool take_subject(struct creds *creds, struct error *error)
{
    struct buf token;
    bool good;

    buf_init_secret(&token, XML_TEXT_MAX);
    good = gcp_take_subject(object_of(creds), creds->answer, creds->answer_len, &token, error);
    if (good)
        memcpy(creds->next.session_token, token.data, token.len + 1);
    buf_free(&token);
    return good;
}

static enum http_verdict refused_subject(struct creds *creds, struct error *error)
{
    return refused(creds, "the url of credential_source refuses", error);
}

const struct creds_step_ops gcp_subject = {
    .method = "GET",
    .time_limit = TIME_LIMIT,
    .prepare = prepare_subject,
    .take = take_subject,
    .refused = refused_subject,
};

static bool read_subject(yyjson_val *account, const char *path, struct buf *out, struct error *error)
{
    size_t len;
    char *text = file_read(path, CREDS_TOKEN_MAX, &len, error);
    bool good = text != NULL && gcp_take_subject(account, text, len, out, error);

    if (text == NULL)
        error->kind = ERROR_CREDENTIALS;
    file_free(text, len);
    return good;
}

/* From the file, anew each time; or made of the key at Amazon's, or what the step before has brought. */
static bool add_subject(struct creds *creds, struct error *error)
{
    yyjson_val *account = object_of(creds), *source = yyjson_obj_get(account, "credential_source");
    const char *path = json_text(source, "file", "");
    struct buf token;
    bool good;

    buf_init_secret(&token, CREDS_FORM_MAX);
    if (yyjson_obj_get(source, "environment_id") != NULL)
        good = gcp_aws_subject(creds, json_text(account, "audience", ""), &token, error);
    else if (*path != '\0')
        good = read_subject(account, path, &token, error);
    else
        good = buf_puts(&token, creds->signer.session_token);
    if (good)
        put_field(creds, "subject_token", buf_str(&token), true);
    buf_free(&token);
    return good;
}

static bool prepare_sts(struct creds *creds, struct error *error)
{
    yyjson_val *account = object_of(creds);

    buf_puts(&creds->request.url, json_text(account, "token_url", ""));
    buf_puts(&creds->request.headers, FORM);
    add_client(creds);
    put_field(creds, "grant_type", TOKEN_EXCHANGE, false);
    put_field(creds, "audience", json_text(account, "audience", ""), false);
    put_field(creds, "scope", GCP_SCOPE, false);
    put_field(creds, "requested_token_type", ACCESS_TOKEN, false);
    put_field(creds, "subject_token_type", json_text(account, "subject_token_type", ""), false);
    return add_subject(creds, error);
}

static enum http_verdict refused_sts(struct creds *creds, struct error *error)
{
    enum http_verdict verdict =
        refused(creds, "the subject token is not accepted: check audience and the pool's provider", error);

    return creds_learn_clock(creds) ? HTTP_RETRY_NOW : verdict;
}

const struct creds_step_ops gcp_sts = {
    .method = "POST",
    .time_limit = TIME_LIMIT,
    .prepare = prepare_sts,
    .take = gcp_take,
    .refused = refused_sts,
};

/* ---- in the name of a service account ---- */

static bool put_impersonation(yyjson_val *object, struct buf *out)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc), *scopes = yyjson_mut_arr(doc);
    yyjson_val *delegates = yyjson_obj_get(object, "delegates");
    yyjson_val *options = yyjson_obj_get(object, "service_account_impersonation");
    char lifetime[32];
    bool good;

    snprintf(lifetime, sizeof lifetime, "%llds",
             (long long)json_number(options, "token_lifetime_seconds", GCP_LIFE / 1000));
    yyjson_mut_doc_set_root(doc, root);
    good = yyjson_mut_arr_add_str(doc, scopes, GCP_SCOPE) &&
           yyjson_mut_obj_add_val(doc, root, "scope", scopes) &&
           json_add_text(doc, root, "lifetime", lifetime) &&
           (!yyjson_is_arr(delegates) ||
            yyjson_mut_obj_add_val(doc, root, "delegates", yyjson_val_mut_copy(doc, delegates))) &&
           json_write(doc, false, out);
    yyjson_mut_doc_free(doc);
    return good;
}

static bool prepare_impersonate(struct creds *creds, struct error *error)
{
    yyjson_val *object = object_of(creds);

    buf_puts(&creds->request.url, json_text(object, "service_account_impersonation_url", ""));
    buf_printf(&creds->request.headers, "content-type: application/json\nauthorization: Bearer %s\n",
               creds->signer.session_token);
    return put_impersonation(object, &creds->form) || error_set(error, ERROR_LOCAL, "out of memory");
}

static enum http_verdict refused_impersonate(struct creds *creds, struct error *error)
{
    return refused(
        creds,
        "the service account may not be impersonated: give the role roles/iam.serviceAccountTokenCreator on it",
        error);
}

const struct creds_step_ops gcp_impersonate = {
    .method = "POST",
    .time_limit = TIME_LIMIT,
    .prepare = prepare_impersonate,
    .take = gcp_take,
    .refused = refused_impersonate,
};
