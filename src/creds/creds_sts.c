/* "AssumeRoleWithWebIdentity", "AssumeRole" and "Common errors", AWS Security Token Service API Reference, version
 * 2011-06-15. Ceph RGW's errors have no ErrorResponse around them. */
#include "creds_internal.h"

#include "clock.h"
#include "hash.h"
#include "sigv4.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_REGION "us-east-1"
#define TIME_LIMIT 20000 /* ms: RGW asks the identity provider first */
#define CONTENT_TYPE "application/x-www-form-urlencoded; charset=utf-8"
#define AUTHORIZATION_MAX ((size_t)4 * 1024)

/* ---- where it is ---- */

static bool is_region(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

    return len > 0 && len < 64 && text[len] == '\0';
}

/* A token, or who we are, goes over http only to this machine or where the side allows it. */
static bool check_scheme(const struct creds *creds, struct error *error)
{
    const struct uri *uri = &creds->sts;

    if (strcmp(uri->scheme, "https") == 0)
        return true;
    if (strcmp(uri->scheme, "http") != 0)
        return error_set(error, ERROR_CONFIG, "sts_endpoint: neither http:// nor https://");
    return uri_is_loopback(uri) || creds->side->allow_http ||
           error_set(error, ERROR_CONFIG,
                     "sts_endpoint: a token would go over plain http to %s: use https://, or set allow_http",
                     uri->host);
}

bool creds_sts_setup(struct creds *creds, struct error *error)
{
    const char *endpoint = creds->side->sts_endpoint;
    const char *region = creds->side->region;

    if (*region == '\0')
        region = *creds->region != '\0' ? creds->region : DEFAULT_REGION;
    if (!is_region(region))
        return error_set(error, ERROR_CONFIG, "\"%.100s\" is not the name of a region", region);
    snprintf(creds->sts_region, sizeof creds->sts_region, "%s", region);
    if (*endpoint == '\0')
        endpoint = creds->endpoint;
    if (*endpoint != '\0')
        return uri_parse(endpoint, "sts_endpoint", &creds->sts, error) && check_scheme(creds, error);
    creds->sts = (struct uri){.scheme = "https"};
    aws_host(AWS_STS, region, creds_variant(creds), creds->sts.host);
    return true;
}

/* ---- what is asked ---- */

static void add_parameter(struct buf *form, const char *name, const char *value)
{
    if (*value == '\0')
        return;
    buf_printf(form, "&%s=", name);
    uri_encode(form, value, "");
}

static void add_role(struct creds *creds, const char *action)
{
    const struct creds_role *role = &creds->steps[creds->step].role;
    struct buf *form = &creds->form;
    char name[64];

    /* It shows in the account's audit log. */
    snprintf(name, sizeof name, "storsync-init-%lld", (long long)clock_wall());
    buf_printf(form, "Action=%s&Version=2011-06-15", action);
    add_parameter(form, "RoleArn", role->arn);
    add_parameter(form, "RoleSessionName", *role->session_name != '\0' ? role->session_name : name);
    add_parameter(form, "DurationSeconds", role->duration);
    add_parameter(form, "ExternalId", role->external_id);
}

static void put_url(struct creds *creds)
{
    struct buf *url = &creds->request.url;

    buf_printf(url, "%s://", creds->sts.scheme);
    uri_authority(&creds->sts, url);
    buf_printf(url, "%s/", creds->sts.path);
}

static bool prepare_web_identity(struct creds *creds, struct error *error)
{
    struct buf token;
    bool good;

    buf_init_secret(&token, CREDS_TOKEN_MAX);
    good = creds_read_token(creds->steps[creds->step].role.token_file, &token, error);
    if (good) {
        add_role(creds, "AssumeRoleWithWebIdentity");
        buf_puts(&creds->form, "&WebIdentityToken=");
        creds_hide(creds);
        uri_encode(&creds->form, buf_str(&token), "");
        put_url(creds);
        buf_puts(&creds->request.headers, "content-type: " CONTENT_TYPE "\n");
    }
    buf_free(&token);
    return good;
}

static bool sign_form(struct creds *creds, const char *host, struct buf *authorization)
{
    int64_t wall = clock_wall() + creds->clock_offset;
    char stamp[CLOCK_BASIC_SIZE], hash[HASH_SIZE], path[sizeof creds->sts.path + 1];
    struct sigv4_header headers[4] = {{"content-type", CONTENT_TYPE}, {"host", host}, {"x-amz-date", stamp}};
    struct sigv4_key key = {.access_key_id = creds->signer.access_key_id,
                            .secret_access_key = creds->signer.secret_access_key,
                            .region = creds->sts_region,
                            .service = "sts"};
    struct sigv4_request request = {.method = "POST",
                                    .path = path,
                                    .query = "",
                                    .headers = headers,
                                    .header_count = 3,
                                    .payload_hash = hash};
    struct buf *out = &creds->request.headers;

    clock_format_basic(wall, stamp);
    hash_sha256(creds->form.data, creds->form.len, hash);
    snprintf(path, sizeof path, "%s/", creds->sts.path);
    buf_printf(out, "content-type: %s\nx-amz-date: %s\n", CONTENT_TYPE, stamp);
    if (*creds->signer.session_token != '\0') {
        headers[request.header_count++] =
            (struct sigv4_header){"x-amz-security-token", creds->signer.session_token};
        buf_printf(out, "x-amz-security-token: %s\n", creds->signer.session_token);
    }
    if (!sigv4_authorization(&request, &key, wall, authorization))
        return false;
    return buf_printf(out, "authorization: %s\n", buf_str(authorization));
}

static bool prepare_assume_role(struct creds *creds, struct error *error)
{
    struct buf host, authorization;
    bool good;

    buf_init(&host, sizeof creds->sts.host + 8);
    buf_init(&authorization, AUTHORIZATION_MAX);
    uri_authority(&creds->sts, &host);
    add_role(creds, "AssumeRole");
    put_url(creds);
    good = (!host.failed && sign_form(creds, buf_str(&host), &authorization)) ||
           error_set(error, ERROR_LOCAL, "out of memory while signing");
    buf_free(&host);
    buf_free(&authorization);
    return good;
}

/* ---- what is answered ---- */

static bool on_sts_element(void *ctx, const char *path, const char *text, struct error *error)
{
    struct creds_answer *answer = ctx;
    bool fits = true;

    if (text_ends(path, "Result/Credentials/AccessKeyId"))
        fits = creds_copy(answer->id, sizeof answer->id, text);
    else if (text_ends(path, "Result/Credentials/SecretAccessKey"))
        fits = creds_copy(answer->secret, sizeof answer->secret, text);
    else if (text_ends(path, "Result/Credentials/SessionToken"))
        fits = creds_copy(answer->token, sizeof answer->token, text);
    else if (text_ends(path, "Result/Credentials/Expiration"))
        fits = creds_copy(answer->expiration, sizeof answer->expiration, text);
    else if (strcmp(path, "ErrorResponse/Error/Code") == 0 || strcmp(path, "Error/Code") == 0)
        fits = creds_copy(answer->code, sizeof answer->code, text);
    else if (strcmp(path, "ErrorResponse/Error/Message") == 0 || strcmp(path, "Error/Message") == 0)
        snprintf(answer->message, sizeof answer->message, "%.*s", (int)strcspn(text, "\r\n"), text);
    return fits || error_set(error, ERROR_PROTOCOL, "its answer has a text that is too long");
}

bool creds_parse_xml(const char *text, size_t len, struct creds_answer *answer, struct error *error)
{
    struct xml *xml = xml_new(on_sts_element, answer);
    bool good;

    memset(answer, 0, sizeof *answer);
    if (xml == NULL)
        return error_set(error, ERROR_LOCAL, "out of memory");
    good = xml_push(xml, text, len, error) && xml_finish(xml, error);
    xml_free(xml);
    return good;
}

static bool take_session(struct creds *creds, struct error *error)
{
    struct creds_answer answer;
    bool good = creds_parse_xml(creds->answer, creds->answer_len, &answer, error);

    if (!good)
        error_prefix(error, "its answer is not that of an STS service: ");
    else if (answer.token[0] == '\0' || answer.expiration[0] == '\0')
        good = error_set(error, ERROR_PROTOCOL, "its answer has no credentials: check sts_endpoint");
    else
        good = creds_take(creds, &answer, error);
    explicit_bzero(&answer, sizeof answer);
    return good;
}

static const struct {
    const char *code;
    const char *text;
    bool again;
} rules[] = {
    {"AccessDenied", "the role may not be assumed: check its trust policy", false},
    {"ExpiredToken", "the credentials to assume the role with have expired", false},
    {"ExpiredTokenException", "the web identity token has expired: does its file still get a new one?",
     false},
    {"IDPCommunicationError", "the service cannot reach the identity provider", true},
    {"InvalidClientTokenId", "the service does not know the access key", false},
    {"InvalidIdentityToken", "the service does not accept the web identity token", false},
    {"RequestLimitExceeded", "the service asks for fewer requests", true},
    {"RequestThrottled", "the service asks for fewer requests", true},
    {"Throttling", "the service asks for fewer requests", true},
    {"ThrottlingException", "the service asks for fewer requests", true},
    {"TooManyRequestsException", "the service asks for fewer requests", true},
};

static enum http_verdict refused_session(struct creds *creds, struct error *error)
{
    struct creds_answer answer;
    struct error ignored;
    enum http_verdict verdict;
    const char *text = "the service refuses: check role and sts_endpoint";
    bool again = false;

    creds_parse_xml(creds->answer, creds->answer_len, &answer, &ignored);
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strcmp(rules[i].code, answer.code) == 0) {
            text = rules[i].text;
            again = rules[i].again;
        }
    verdict = creds_refuse(creds, text, &answer, error);
    explicit_bzero(&answer, sizeof answer);
    if (creds->steps[creds->step].ops == &creds_assume_role && creds_learn_clock(creds))
        return HTTP_RETRY_NOW;
    if (again) {
        error->kind = ERROR_UNREACHABLE;
        return HTTP_RETRY;
    }
    return verdict;
}

const struct creds_step_ops creds_web_identity = {
    .method = "POST",
    .to_sts = true,
    .time_limit = TIME_LIMIT,
    .prepare = prepare_web_identity,
    .take = take_session,
    .refused = refused_session,
};

const struct creds_step_ops creds_assume_role = {
    .method = "POST",
    .to_sts = true,
    .time_limit = TIME_LIMIT,
    .prepare = prepare_assume_role,
    .take = take_session,
    .refused = refused_session,
};
