/* "GetCallerIdentity", AWS Security Token Service API Reference; "Method: token" (subject_token_type aws4_request),
 * Security Token Service API of Google; AIP-4117. Google sends the request on, and believes who answers it. */
#include "gcp_internal.h"

#include "aws.h"
#include "clock.h"
#include "hash.h"
#include "sigv4.h"

#include <string.h>

#define QUERY "Action=GetCallerIdentity&Version=2011-06-15"
#define AUTHORIZATION_MAX ((size_t)4 * 1024)
#define HEADERS_MAX 5

/* As JSON, with nothing in it that would have to be escaped. */
static bool put_aws_request(const char *host, const struct sigv4_header *headers, size_t count,
                            struct buf *out)
{
    bool good = true;

    buf_printf(out, "{\"url\":\"https://%s/?" QUERY "\",\"method\":\"POST\",\"headers\":[", host);
    for (size_t i = 0; i < count; i++) {
        buf_printf(out, "%s{\"key\":\"%s\",\"value\":\"%s\"}", i > 0 ? "," : "", headers[i].name,
                   headers[i].value);
        good = good && creds_is_clean(headers[i].value) && strpbrk(headers[i].value, "\"\\") == NULL;
    }
    return buf_puts(out, "]}") && good;
}

/* Signs the headers, of which there are `count`, and adds what comes out. */
static bool sign_aws_request(const struct creds *creds, int64_t wall, struct sigv4_header *headers,
                             size_t *count, struct buf *authorization)
{
    const struct sigv4_key key = {.access_key_id = creds->signer.access_key_id,
                                  .secret_access_key = creds->signer.secret_access_key,
                                  .region = creds->sts_region,
                                  .service = "sts"};
    char hash[HASH_SIZE];
    const struct sigv4_request request = {.method = "POST",
                                          .path = "/",
                                          .query = QUERY,
                                          .headers = headers,
                                          .header_count = *count,
                                          .payload_hash = hash};

    hash_sha256("", 0, hash);
    if (!sigv4_authorization(&request, &key, wall, authorization))
        return false;
    headers[(*count)++] = (struct sigv4_header){"authorization", buf_str(authorization)};
    return true;
}

bool gcp_aws_subject(const struct creds *creds, const char *audience, struct buf *out, struct error *error)
{
    int64_t wall = clock_wall() + creds->clock_offset;
    char host[AWS_HOST_SIZE], stamp[CLOCK_BASIC_SIZE];
    struct sigv4_header headers[HEADERS_MAX] = {{"host", host}, {"x-amz-date", stamp}};
    struct buf authorization, json;
    size_t count = 2;
    bool good;

    aws_host(AWS_STS, creds->sts_region, (struct aws_variant){.fips = false}, host);
    clock_format_basic(wall, stamp);
    if (*creds->signer.session_token != '\0')
        headers[count++] = (struct sigv4_header){"x-amz-security-token", creds->signer.session_token};
    headers[count++] = (struct sigv4_header){"x-goog-cloud-target-resource", audience};
    buf_init_secret(&authorization, AUTHORIZATION_MAX);
    buf_init_secret(&json, CREDS_FORM_MAX);
    good = sign_aws_request(creds, wall, headers, &count, &authorization) &&
           put_aws_request(host, headers, count, &json) && uri_encode(out, buf_str(&json), "");
    buf_free(&json);
    buf_free(&authorization);
    return good || error_set(error, ERROR_CREDENTIALS, "audience or key cannot stand in a signed request");
}
