/* Which source: "How Application Default Credentials works", Google Cloud documentation; AIP-4110 to AIP-4117 for the
 * files. Replit has no document of its sidecar: its own client libraries show it. */
#include "gcp_internal.h"

#include "env.h"
#include "file.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ms: it may come up later than we do, and after a burst of requests it refuses for up to 15 s. */
#define SIDECAR_PAUSE 1000

#define METADATA_HOST "169.254.169.254" /* metadata.google.internal, whatever resolves names here */

void gcp_no_source(struct error *error, const char *why)
{
    char reason[160];

    snprintf(reason, sizeof reason, "%s", why);
    error_set(
        error, ERROR_CREDENTIALS,
        "no credentials for Google Cloud Storage: set GOOGLE_APPLICATION_CREDENTIALS to the path of a key file. There is no application_default_credentials.json of gcloud and no sidecar of Replit either, and as to Google's metadata server: %s",
        reason);
}

void gcp_wipe(yyjson_doc *doc)
{
    if (doc == NULL)
        return;
    if (doc->str_pool != NULL)
        explicit_bzero(doc->str_pool, doc->dat_read);
    yyjson_doc_free(doc);
}

bool gcp_check_url(const char *url, const char *name, bool near, struct error *error)
{
    char plain[sizeof((struct uri *)NULL)->path + 300];
    size_t len = strcspn(url, "?");
    struct uri uri;

    if (len >= sizeof plain || !creds_is_clean(url) || strpbrk(url, " \"<>\\^`{|}#") != NULL)
        return error_set(error, ERROR_CONFIG, "%s is not a URL", name);
    snprintf(plain, sizeof plain, "%.*s", (int)len, url);
    if (!uri_parse(plain, name, &uri, error))
        return false;
    if (strcmp(uri.scheme, "https") == 0)
        return true;
    if (strcmp(uri.scheme, "http") == 0 && (uri_is_loopback(&uri) || (near && uri_is_near(uri.host))))
        return true;
    return error_set(error, ERROR_CONFIG, "%s: a token would go over plain http to %s", name, uri.host);
}

/* Only a chain of roles at Amazon's can leave too little room. */
static bool add_gcp_step(struct gcp *gcp, const struct creds_step_ops *ops, yyjson_val *object,
                         struct error *error)
{
    struct creds *creds = gcp->creds;

    if (creds->step_count == CREDS_STEPS_MAX)
        return error_set(error, ERROR_CONFIG, "the chain of roles is too long");
    gcp->objects[creds->step_count] = object;
    creds->steps[creds->step_count++].ops = ops;
    return true;
}

/* ---- what is in a file ---- */

static bool needs(yyjson_val *object, const char *name, struct error *error)
{
    return *json_text(object, name, "") != '\0' ||
           error_set(error, ERROR_CONFIG, "it is a %s without %s", json_text(object, "type", ""), name);
}

static bool use_service_account(struct gcp *gcp, yyjson_val *object, bool first, struct error *error)
{
    struct buf token;
    bool good;

    if (!needs(object, "client_email", error) || !needs(object, "private_key", error) ||
        !gcp_check_url(json_text(object, "token_uri", gcp->token_url), "token_uri", false, error))
        return false;
    buf_init_secret(&token, XML_TEXT_MAX);
    good = gcp_jwt(object, NULL, 0, &token, error);
    buf_free(&token);
    return good && add_gcp_step(gcp, first ? &gcp_self_signed : &gcp_exchange, object, error);
}

static bool use_authorized_user(struct gcp *gcp, yyjson_val *object, struct error *error)
{
    return needs(object, "client_id", error) && needs(object, "client_secret", error) &&
           needs(object, "refresh_token", error) && add_gcp_step(gcp, &gcp_refresh, object, error);
}

static bool needs_token_url(yyjson_val *object, struct error *error)
{
    return needs(object, "token_url", error) &&
           gcp_check_url(json_text(object, "token_url", ""), "token_url", false, error);
}

static bool use_impersonation(struct gcp *gcp, yyjson_val *object, struct error *error)
{
    return needs(object, "service_account_impersonation_url", error) &&
           gcp_check_url(json_text(object, "service_account_impersonation_url", ""),
                         "service_account_impersonation_url", false, error) &&
           add_gcp_step(gcp, &gcp_impersonate, object, error);
}

/* Who we are at Amazon's, wherever that comes from there. The URLs in the file are those of its services, which are
 * known. */
static bool use_aws(struct gcp *gcp, struct error *error)
{
    struct creds *creds = gcp->creds;
    bool by_instance;

    if (!creds_choose(creds, error) || !creds_sts_setup(creds, error))
        return false;
    creds->no_source = NULL;
    by_instance = creds->step_count > 0 && creds->steps[creds->step_count - 1].ops == &creds_instance[2];
    return !by_instance || *creds->side->region != '\0' || *creds->region != '\0' ||
           add_gcp_step(gcp, &creds_instance_region, NULL, error);
}

/* What has to be asked for the subject token, before it is exchanged. */
static bool use_subject(struct gcp *gcp, yyjson_val *object, struct error *error)
{
    yyjson_val *source = yyjson_obj_get(object, "credential_source");
    const char *url = json_text(source, "url", ""), *kind = "none that is known";

    if (strcmp(json_text(source, "environment_id", ""), "aws1") == 0)
        return use_aws(gcp, error);
    if (*json_text(source, "file", "") != '\0')
        return true;
    if (*url != '\0')
        return gcp_check_url(url, "credential_source", true, error) &&
               add_gcp_step(gcp, &gcp_subject, object, error);
    if (yyjson_obj_get(source, "executable") != NULL)
        kind = "an executable";
    else if (yyjson_obj_get(source, "certificate") != NULL)
        kind = "a certificate";
    return error_set(error, ERROR_CONFIG,
                     "its credential_source is %s: only a file, a url and aws1 are supported", kind);
}

static bool use_external_account(struct gcp *gcp, yyjson_val *object, struct error *error)
{
    return needs(object, "audience", error) && needs(object, "subject_token_type", error) &&
           needs_token_url(object, error) && use_subject(gcp, object, error) &&
           add_gcp_step(gcp, &gcp_sts, object, error) &&
           (yyjson_obj_get(object, "service_account_impersonation_url") == NULL ||
            use_impersonation(gcp, object, error));
}

static bool use_type(struct gcp *gcp, yyjson_val *object, bool first, struct error *error)
{
    const char *type = json_text(object, "type", "");
    const char *universe = json_text(object, "universe_domain", "googleapis.com");

    if (strcmp(universe, "googleapis.com") != 0)
        return error_set(error, ERROR_CONFIG,
                         "its universe_domain is \"%.60s\": only googleapis.com is supported", universe);
    if (strcmp(type, "service_account") == 0)
        return use_service_account(gcp, object, first, error);
    if (strcmp(type, "authorized_user") == 0)
        return use_authorized_user(gcp, object, error);
    if (strcmp(type, "external_account") == 0)
        return use_external_account(gcp, object, error);
    if (strcmp(type, "external_account_authorized_user") == 0)
        return needs_token_url(object, error) && use_authorized_user(gcp, object, error);
    if (strcmp(type, "impersonated_service_account") == 0 && first)
        return use_type(gcp, yyjson_obj_get(object, "source_credentials"), false, error) &&
               use_impersonation(gcp, object, error);
    return error_set(error, ERROR_CONFIG, "its type is \"%.60s\", which is not supported", type);
}

static void take_quota_project(struct gcp *gcp)
{
    const char *project = env_text("GOOGLE_CLOUD_QUOTA_PROJECT");

    if (*project == '\0')
        project = json_text(yyjson_doc_get_root(gcp->file), "quota_project_id", "");
    if (creds_is_clean(project))
        snprintf(gcp->quota_project, sizeof gcp->quota_project, "%s", project);
}

bool gcp_use_text(struct gcp *gcp, const char *text, size_t len, struct error *error)
{
    gcp->file = json_parse(text, len, error);
    return gcp->file != NULL && use_type(gcp, yyjson_doc_get_root(gcp->file), true, error);
}

/* `variable` says that it is there; "": nobody had to. */
static enum creds_found use_file(struct gcp *gcp, const char *variable, const char *path, struct error *error)
{
    struct creds *creds = gcp->creds;
    size_t len;
    bool good;
    char *text = file_read(path, GCP_FILE_MAX, &len, error);

    if (text == NULL)
        return error->kind == ERROR_NOT_FOUND ? CREDS_SILENT : CREDS_WRONG;
    good = gcp_use_text(gcp, text, len, error);
    file_free(text, len);
    if (!good) {
        error_prefix(error, "%.200s: ", path);
        return CREDS_WRONG;
    }
    creds_warn_exposed(path);
    snprintf(creds->source, sizeof creds->source, "%s%s%.300s (%s)", variable, *variable != '\0' ? ": " : "",
             path, json_text(yyjson_doc_get_root(gcp->file), "type", ""));
    return CREDS_GIVES;
}

/* ---- the sources ---- */

static enum creds_found choose_named_file(struct gcp *gcp, struct error *error)
{
    static const char name[] = "GOOGLE_APPLICATION_CREDENTIALS";
    const char *path = env_text(name);

    if (*path == '\0')
        return CREDS_SILENT;
    if (use_file(gcp, name, path, error) == CREDS_GIVES)
        return CREDS_GIVES;
    error->kind = error->kind == ERROR_LOCAL ? ERROR_LOCAL : ERROR_CONFIG;
    error_prefix(error, "%s: ", name);
    return CREDS_WRONG;
}

static enum creds_found choose_gcloud(struct gcp *gcp, struct error *error)
{
    const char *folder = env_text("CLOUDSDK_CONFIG");
    bool home = *folder == '\0';
    char path[1024];
    int len = snprintf(path, sizeof path, "%s%s/application_default_credentials.json",
                       home ? env_text("HOME") : folder, home ? "/.config/gcloud" : "");
    enum creds_found found;

    if ((home && *env_text("HOME") == '\0') || (size_t)len >= sizeof path)
        return CREDS_SILENT;
    found = use_file(gcp, "", path, error);
    if (found == CREDS_SILENT)
        error_clear(error);
    else if (found == CREDS_WRONG && error->kind != ERROR_LOCAL)
        error->kind = ERROR_CONFIG;
    return found;
}

bool gcp_at_replit(void)
{
    static const char *const signs[] = {"REPLIT_DEPLOYMENT", "REPL_DEPLOYMENT", "REPLIT_DEV_DOMAIN",
                                        "REPL_OWNER", "REPL_SLUG"};
    bool seen = false;

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        seen |= *env_text(signs[i]) != '\0';
    return seen && *env_text("REPL_ID") != '\0';
}

static enum creds_found choose_replit(struct gcp *gcp, struct error *error)
{
    if (!gcp_at_replit())
        return CREDS_SILENT;
    add_gcp_step(gcp, &gcp_sidecar_credential, NULL, error);
    add_gcp_step(gcp, &gcp_sidecar_token, NULL, error);
    gcp->creds->pause = SIDECAR_PAUSE;
    snprintf(gcp->creds->source, sizeof gcp->creds->source, "Replit's sidecar");
    return CREDS_GIVES;
}

static enum creds_found choose_metadata(struct gcp *gcp, struct error *error)
{
    const char *host = env_text("GCE_METADATA_HOST");
    char url[sizeof gcp->metadata_host + 8];
    struct uri uri;

    if (strcmp(env_text("NO_GCE_CHECK"), "true") == 0)
        return CREDS_SILENT;
    if (*host == '\0')
        host = env_text("GCE_METADATA_ROOT");
    if (*host == '\0') {
        host = METADATA_HOST;
        gcp->creds->no_source = gcp_no_source;
    }
    snprintf(url, sizeof url, "http://%s", host);
    if (strlen(host) >= sizeof gcp->metadata_host || !uri_parse(url, "GCE_METADATA_HOST", &uri, error) ||
        uri.path[0] != '\0')
        return error_set(error, ERROR_CONFIG, "GCE_METADATA_HOST is not host:port"), CREDS_WRONG;
    snprintf(gcp->metadata_host, sizeof gcp->metadata_host, "%s", host);
    add_gcp_step(gcp, &gcp_metadata, NULL, error);
    snprintf(gcp->creds->source, sizeof gcp->creds->source, "Google's metadata server");
    return CREDS_GIVES;
}

bool gcp_choose(struct gcp *gcp, struct error *error)
{
    static enum creds_found (*const sources[])(struct gcp *, struct error *) = {
        choose_named_file,
        choose_gcloud,
        choose_replit,
        choose_metadata,
    };
    enum creds_found found = CREDS_SILENT;

    for (size_t i = 0; i < sizeof sources / sizeof sources[0] && found == CREDS_SILENT; i++)
        found = sources[i](gcp, error);
    if (found == CREDS_SILENT)
        gcp_no_source(error, "NO_GCE_CHECK is set");
    take_quota_project(gcp);
    return found == CREDS_GIVES;
}
