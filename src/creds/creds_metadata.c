/* "Container credential provider" and "IMDS credential provider", AWS SDKs and Tools Reference Guide; "Use IMDSv2",
 * Amazon EC2 User Guide. */
#include "creds_internal.h"

#include "env.h"
#include "json.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CONTAINER_HOST "http://169.254.170.2"
#define INSTANCE_URL "http://169.254.169.254"
#define INSTANCE_URL_IPV6 "http://[fd00:ec2::254]"
#define ROLES "iam/security-credentials/"

/* ms. Both are on this machine or its host. One that does not exist must be found out soon. */
#define CONTAINER_LIMIT 3000
#define INSTANCE_LIMIT 1000
#define INSTANCE_ATTEMPTS 2

/* ---- the document that both answer with ---- */

static bool copy_member(yyjson_val *object, const char *name, char *out, size_t size)
{
    yyjson_val *value = yyjson_obj_get(object, name);
    const char *text = yyjson_get_str(value);

    return text == NULL || (strlen(text) == yyjson_get_len(value) && creds_copy(out, size, text));
}

/* The document's own memory is about to be free. */
static void wipe_member(yyjson_val *object, const char *name)
{
    yyjson_val *value = yyjson_obj_get(object, name);

    if (yyjson_is_str(value))
        explicit_bzero((char *)(uintptr_t)yyjson_get_str(value), yyjson_get_len(value));
}

bool creds_parse_json(const char *text, size_t len, struct creds_answer *answer, struct error *error)
{
    yyjson_doc *doc = json_parse(text, len, error);
    yyjson_val *root = yyjson_doc_get_root(doc);
    const char *message;
    bool good;

    memset(answer, 0, sizeof *answer);
    if (doc == NULL)
        return false;
    good = copy_member(root, "AccessKeyId", answer->id, sizeof answer->id) &&
           copy_member(root, "SecretAccessKey", answer->secret, sizeof answer->secret) &&
           copy_member(root, "Token", answer->token, sizeof answer->token) &&
           copy_member(root, "Expiration", answer->expiration, sizeof answer->expiration);
    if (!good)
        error_set(error, ERROR_PROTOCOL, "its answer has a text that is too long");
    snprintf(answer->code, sizeof answer->code, "%s", json_text(root, "Code", json_text(root, "code", "")));
    message = json_text(root, "Message", json_text(root, "message", ""));
    snprintf(answer->message, sizeof answer->message, "%s", message);
    wipe_member(root, "SecretAccessKey");
    wipe_member(root, "Token");
    yyjson_doc_free(doc);
    return good;
}

static bool take_key(struct creds *creds, struct error *error)
{
    struct creds_answer answer;
    bool good = creds_parse_json(creds->answer, creds->answer_len, &answer, error);

    if (!good) {
        error_prefix(error, "its answer is not what it should be: ");
    } else if (answer.code[0] != '\0' && strcmp(answer.code, "Success") != 0) {
        creds_refuse(creds, "it has no credentials", &answer, error);
        good = false;
    } else {
        good = creds_take(creds, &answer, error);
    }
    explicit_bzero(&answer, sizeof answer);
    return good;
}

static enum http_verdict refused_because(struct creds *creds, const char *text, struct error *error)
{
    struct creds_answer answer;
    struct error ignored;
    enum http_verdict verdict;

    creds_parse_json(creds->answer, creds->answer_len, &answer, &ignored);
    verdict = creds_refuse(creds, text, &answer, error);
    explicit_bzero(&answer, sizeof answer);
    return verdict;
}

/* ---- a container's endpoint ---- */

/* Over http, nowhere but where such an endpoint can be: it gets a token, and whoever answers is believed. */
static bool is_allowed(const struct uri *uri)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23"};
    struct in6_addr six, eks;
    char inner[INET6_ADDRSTRLEN];

    if (strcmp(uri->scheme, "https") == 0)
        return true;
    if (strcmp(uri->scheme, "http") != 0)
        return false;
    for (size_t i = 0; i < sizeof hosts / sizeof hosts[0]; i++)
        if (strcmp(uri->host, hosts[i]) == 0)
            return true;
    if (uri->host[0] == '[' && strlen(uri->host) < sizeof inner + 2) {
        snprintf(inner, sizeof inner, "%.*s", (int)strlen(uri->host) - 2, uri->host + 1);
        if (inet_pton(AF_INET6, inner, &six) == 1 && inet_pton(AF_INET6, "fd00:ec2::23", &eks) == 1 &&
            memcmp(&six, &eks, sizeof six) == 0)
            return true;
    }
    return uri_is_loopback(uri);
}

enum creds_found creds_container_setup(struct creds *creds, struct error *error)
{
    const char *relative = env_text("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = env_text("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *name =
        *relative != '\0' ? "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI" : "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    char plain[sizeof creds->metadata_url];
    struct uri uri;
    int len;

    if (*relative == '\0' && *full == '\0')
        return CREDS_SILENT;
    if (*relative != '\0' && *relative != '/')
        return error_set(error, ERROR_CONFIG, "%s does not begin with /", name), CREDS_WRONG;
    len = snprintf(creds->metadata_url, sizeof creds->metadata_url, "%s%s",
                   *relative != '\0' ? CONTAINER_HOST : "", *relative != '\0' ? relative : full);
    if ((size_t)len >= sizeof creds->metadata_url || !creds_is_clean(creds->metadata_url) ||
        strpbrk(creds->metadata_url, " \"<>\\^`{|}#") != NULL)
        return error_set(error, ERROR_CONFIG, "%s is not a URL", name), CREDS_WRONG;
    /* Its query is its own business. */
    snprintf(plain, sizeof plain, "%.*s", (int)strcspn(creds->metadata_url, "?"), creds->metadata_url);
    if (!uri_parse(plain, name, &uri, error))
        return CREDS_WRONG;
    if (is_allowed(&uri))
        return CREDS_GIVES;
    error_set(
        error, ERROR_CONFIG,
        "%s: plain http goes only to this machine, 169.254.170.2, 169.254.170.23 and [fd00:ec2::23], not to %s",
        name, uri.host);
    return CREDS_WRONG;
}

/* The file first, and anew each time: Kubernetes replaces it. */
static bool add_authorization(struct creds *creds, struct error *error)
{
    const char *path = env_text("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    const char *token = env_text("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    struct buf *headers = &creds->request.headers;

    if (*path == '\0' && *token == '\0')
        return true;
    if (*path == '\0' && !creds_is_clean(token))
        return error_set(error, ERROR_CONFIG, "AWS_CONTAINER_AUTHORIZATION_TOKEN has control characters");
    buf_puts(headers, "authorization: ");
    if (*path == '\0')
        buf_puts(headers, token);
    else if (!creds_read_token(path, headers, error))
        return false;
    buf_putc(headers, '\n');
    return true;
}

static bool prepare_container(struct creds *creds, struct error *error)
{
    buf_puts(&creds->request.url, creds->metadata_url);
    buf_puts(&creds->request.headers, "accept: application/json\n");
    return add_authorization(creds, error);
}

static enum http_verdict refused_container(struct creds *creds, struct error *error)
{
    return refused_because(creds, "the container's endpoint refuses", error);
}

const struct creds_step_ops creds_container = {
    .method = "GET",
    .direct = true,
    .time_limit = CONTAINER_LIMIT,
    .prepare = prepare_container,
    .take = take_key,
    .refused = refused_container,
};

/* ---- EC2's metadata service ---- */

enum creds_found creds_instance_setup(struct creds *creds, struct error *error)
{
    static const char name[] = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
    const char *url = env_text(name);
    struct uri uri;
    struct buf authority;

    if (strcasecmp(env_text("AWS_EC2_METADATA_DISABLED"), "true") == 0)
        return CREDS_SILENT;
    if (*url == '\0')
        url = strcasecmp(env_text("AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE"), "IPv6") == 0 ? INSTANCE_URL_IPV6
                                                                                          : INSTANCE_URL;
    if (!uri_parse(url, name, &uri, error))
        return CREDS_WRONG;
    if (strcmp(uri.scheme, "http") != 0 && strcmp(uri.scheme, "https") != 0)
        return error_set(error, ERROR_CONFIG, "%s: neither http:// nor https://", name), CREDS_WRONG;
    buf_init(&authority, sizeof uri.host + 8);
    uri_authority(&uri, &authority);
    snprintf(creds->metadata_url, sizeof creds->metadata_url, "%s://%s%s", uri.scheme, buf_str(&authority),
             uri.path);
    buf_free(&authority);
    return CREDS_GIVES;
}

static bool prepare_token(struct creds *creds, struct error *error)
{
    (void)error;
    buf_printf(&creds->request.url, "%s/latest/api/token", creds->metadata_url);
    buf_puts(&creds->request.headers, "x-aws-ec2-metadata-token-ttl-seconds: 21600\n");
    return true;
}

static void put_request(struct creds *creds, const char *what)
{
    buf_printf(&creds->request.url, "%s/latest/meta-data/%s", creds->metadata_url, what);
    buf_printf(&creds->request.headers, "x-aws-ec2-metadata-token: %s\n", creds->metadata_token);
}

static bool prepare_role(struct creds *creds, struct error *error)
{
    (void)error;
    put_request(creds, ROLES);
    return true;
}

static bool prepare_key(struct creds *creds, struct error *error)
{
    (void)error;
    put_request(creds, ROLES);
    uri_encode(&creds->request.url, creds->role_name, "");
    return true;
}

static bool prepare_region(struct creds *creds, struct error *error)
{
    (void)error;
    put_request(creds, "placement/region");
    return true;
}

/* The first line of a text. */
static bool take_first_line(struct creds *creds, char *out, size_t size, struct error *error)
{
    size_t len = 0;

    while (len < creds->answer_len && creds->answer[len] != '\r' && creds->answer[len] != '\n')
        len++;
    if (len == 0 || len >= size || memchr(creds->answer, '\0', len) != NULL)
        return error_set(error, ERROR_PROTOCOL, "its answer is not that of EC2's metadata service");
    memcpy(out, creds->answer, len);
    out[len] = '\0';
    return creds_is_clean(out) ||
           error_set(error, ERROR_PROTOCOL, "its answer is not that of EC2's metadata service");
}

static bool take_token(struct creds *creds, struct error *error)
{
    return take_first_line(creds, creds->metadata_token, sizeof creds->metadata_token, error);
}

static bool take_role(struct creds *creds, struct error *error)
{
    return take_first_line(creds, creds->role_name, sizeof creds->role_name, error);
}

static bool take_region(struct creds *creds, struct error *error)
{
    return take_first_line(creds, creds->sts_region, sizeof creds->sts_region, error);
}

static enum http_verdict refused_token(struct creds *creds, struct error *error)
{
    return refused_because(creds, "the service gives no token: is it switched on for this instance?", error);
}

static enum http_verdict refused_role(struct creds *creds, struct error *error)
{
    return refused_because(
        creds,
        creds->request.status == 404
            ? "no role is attached to this instance: attach one, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            : "the service refuses",
        error);
}

const struct creds_step_ops creds_instance[3] = {
    {"PUT", true, false, INSTANCE_LIMIT, INSTANCE_ATTEMPTS, NULL, prepare_token, take_token, refused_token},
    {"GET", true, false, INSTANCE_LIMIT, INSTANCE_ATTEMPTS, NULL, prepare_role, take_role, refused_role},
    {"GET", true, false, INSTANCE_LIMIT, INSTANCE_ATTEMPTS, NULL, prepare_key, take_key, refused_role},
};

const struct creds_step_ops creds_instance_region = {
    "GET", true, false, INSTANCE_LIMIT, INSTANCE_ATTEMPTS, NULL, prepare_region, take_region, refused_role};
