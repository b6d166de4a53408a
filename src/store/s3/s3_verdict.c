/* "Error handling", "Redirects" and "RequestTimeTooSkewed" of the Amazon S3 API Reference and User Guide. */
#include "s3_internal.h"

#include "clock.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "RequestTimeTooSkewed": more than this apart is not accepted. */
#define SKEW_MAX (INT64_C(15) * 60 * 1000)

/* The region in "bucket.s3.eu-west-1.amazonaws.com" or "s3-eu-west-1.amazonaws.com"; false if there
 * is none. */
static bool region_of_endpoint(const char *endpoint, char out[S3_REGION_SIZE])
{
    const char *end = strstr(endpoint, ".amazonaws.com");
    const char *start = endpoint;
    size_t len;

    if (end == NULL)
        return false;
    for (const char *at = endpoint; (at = strstr(at, "s3")) != NULL && at < end; at += 2)
        if ((at == endpoint || at[-1] == '.') && (at[2] == '.' || at[2] == '-'))
            start = at + 3;
    if (start == endpoint || start >= end)
        return false;
    len = (size_t)(end - start);
    if (len >= S3_REGION_SIZE)
        return false;
    memcpy(out, start, len);
    out[len] = '\0';
    return true;
}

/* Did the answer say that the bucket is in another region than the one that was signed for? Only Amazon's
 * hosts follow from the region; elsewhere it is no more than a word in the signature. */
static bool learn_region(struct s3_call *c)
{
    struct store_s3 *store = c->store;
    struct s3_reply *reply = &c->reply;
    bool redirect = c->base.request.status == 301 || c->base.request.status == 307;

    if (c->named != store) /* what it says is about another bucket */
        return false;
    if (!redirect && c->base.request.status != 400 && c->base.request.status != 403)
        return false;
    if (reply->region[0] == '\0' && redirect)
        region_of_endpoint(reply->endpoint, reply->region);
    if (reply->region[0] == '\0' || strcmp(reply->region, c->signed_region) == 0 ||
        (redirect && !store->amazon))
        return false;
    if (strcmp(reply->region, store->region) == 0) /* another call has learnt it meanwhile */
        return true;
    if (!s3_set_region(store, reply->region))
        return false;
    log_debug("%s is in region %s", store->bucket, store->region);
    return true;
}

static bool learn_clock(struct s3_call *c)
{
    struct store_s3 *store = c->store;
    int64_t apart;

    if (c->clock_learnt || c->base.head.date == CLOCK_UNKNOWN)
        return false;
    apart = c->base.head.date - clock_wall();
    /* A HEAD has no body to say so. */
    if (strcmp(c->reply.code, "RequestTimeTooSkewed") != 0 &&
        (c->base.request.status != 403 || c->reply.code[0] != '\0' ||
         llabs(apart - store->clock_offset) < SKEW_MAX))
        return false;
    if (llabs(apart - store->clock_offset) > SKEW_MAX / 2)
        log_warn(
            "the clock of this machine and that of %s are %lld s apart: requests are signed with the latter",
            store->service, (long long)llabs(apart) / 1000);
    store->clock_offset = apart;
    c->clock_learnt = true;
    return true;
}

/* Is the key at fault, or can it be? "Error responses" has the codes; an answer to HEAD has none, and Ceph RGW says
 * AccessDenied of a session that is over. */
static bool is_expired(const struct s3_call *c)
{
    const char *code = c->reply.code;
    bool silent = code[0] == '\0' || strcmp(code, "AccessDenied") == 0;

    if (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "TokenRefreshRequired") == 0)
        return true;
    return silent && (c->base.request.status == 400 || c->base.request.status == 403) &&
           creds_outlived(c->store->creds, c->signer.generation);
}

/* A service that refuses new keys too gets one renewal out of a call. That another call, or time, has replaced the key
 * that this one was signed with can happen again: http bounds how often. */
static bool learn_key(struct s3_call *c)
{
    bool renew = !c->key_renewed;

    if (!is_expired(c))
        return false;
    c->key_renewed = true;
    return creds_expired(c->store->creds, c->signer.generation, renew);
}

/* "The Content-MD5 or x-amz-sdk-checksum-algorithm header is required for any request to upload an object with a retention
 * period configured using Amazon S3 Object Lock" (PutObject, Amazon S3 API Reference). The owner of the pipe has to read the
 * body once more for that. */
static bool learn_md5(struct s3_call *c)
{
    const struct pipe *source = c->base.source;

    if (source == NULL || source->md5[0] != '\0' || c->base.request.status != 400 ||
        strstr(c->reply.message, "Content-MD5") == NULL)
        return false;
    c->store->base.traits.wants_md5 = true;
    c->base.again = true;
    return true;
}

/* "BadDigest: The Content-MD5 or checksum value that you specified did not match what the server received" ("Error responses", Amazon
 * S3 API Reference). */
static void learn_refusal(const struct s3_call *c)
{
    if (s3_has_code(c, "BadDigest") && c->base.source != NULL && c->base.source->md5[0] != '\0')
        c->store->base.traits.refuses_md5 = true;
}

/* ---- the answer ---- */

bool s3_has_code(const struct s3_call *c, const char *code)
{
    return strcmp(c->reply.code, code) == 0;
}

bool s3_check_version(struct exchange *x, struct error *error)
{
    const struct s3_call *c = (const struct s3_call *)x;
    const char *etag = c->reply.etag;
    /* What is read into memory has one in any case. */
    bool needed = x->wanted[0] != '\0' || (x->operation->answer == EXCHANGE_OBJECT && x->sink == NULL);

    if (etag[0] == '\0' && needed) {
        s3_explain_foreign(c, error);
        error_prefix(error, "the answer has no ETag, so it is not the object: ");
        return false;
    }
    /* Not everybody who is asked for a version by If-Match takes notice. */
    return x->wanted[0] == '\0' || object_versions_equal(etag, x->wanted) ||
           error_set(error, ERROR_PRECONDITION, "it has changed meanwhile");
}

/* The answer should be XML of a certain kind, and is not, or not all of it. */
static enum http_verdict finish_bad_xml(struct s3_call *c)
{
    const struct s3_operation *operation = s3_operation(c);
    const struct s3_reply *reply = &c->reply;
    bool malformed = reply->xml_error.kind == ERROR_PROTOCOL && !reply->senseless;

    if (reply->xml_error.kind == ERROR_NONE ||
        (malformed && !reply->understood && strstr(c->base.head.content_type, "xml") == NULL)) {
        s3_explain_foreign(c, &c->base.request.error);
        return HTTP_DONE;
    }
    c->base.request.error = reply->xml_error;
    if (operation->misread != NULL && operation->misread(c, malformed))
        return HTTP_RETRY_NOW;
    return malformed ? exchange_retry(&c->base, HTTP_RETRY) : HTTP_DONE;
}

enum http_verdict s3_answered_object(struct s3_call *c, struct error *error)
{
    (void)error;
    return exchange_finish_object(&c->base);
}

/* Something in between that answers 200 to anything must not pass for a store. Some stores answer with a word; none with
 * a page, and a Content-Type alone (Google's) is none. 202 is a promise (RFC 9110, 15.3.3). */
static bool is_no_receipt(const struct s3_call *c)
{
    const struct s3_reply *reply = &c->reply;
    int status = c->base.request.status;

    return (status != 200 && status != 201 && status != 204) || reply->etag[0] == '\0' ||
           (reply->body_begun && strncasecmp(c->base.head.content_type, "text/html", 9) == 0);
}

enum http_verdict s3_answered_receipt(struct s3_call *c, struct error *error)
{
    if (is_no_receipt(c)) {
        s3_explain_foreign(c, error);
        return HTTP_DONE;
    }
    if (!exchange_check_stored(&c->base, error))
        return exchange_retry(&c->base, HTTP_RETRY);
    s3_tell_etag(c);
    return HTTP_DONE;
}

static enum http_verdict finish_failure(struct s3_call *c)
{
    const struct s3_operation *operation = s3_operation(c);
    bool again = s3_explain(c);

    learn_refusal(c);
    if (learn_region(c) || learn_clock(c) || learn_key(c))
        return exchange_retry(&c->base, HTTP_RETRY_NOW);
    if (learn_md5(c))
        return HTTP_DONE;
    if (operation->forgives != NULL && operation->forgives(c)) {
        error_clear(&c->base.request.error);
        return HTTP_DONE;
    }
    return again ? exchange_retry(&c->base, HTTP_RETRY) : HTTP_DONE;
}

enum http_verdict s3_judge(struct exchange *x)
{
    struct s3_call *c = (struct s3_call *)x;
    const struct s3_operation *operation = s3_operation(c);
    struct s3_reply *reply = &c->reply;

    if (reply->body_begun && reply->xml_error.kind == ERROR_NONE)
        xml_finish(c->xml, &reply->xml_error);
    s3_reply_end(c);
    if (!exchange_is_success(x) || reply->code[0] != '\0')
        return finish_failure(c);
    if (operation->root != NULL && (reply->xml_error.kind != ERROR_NONE || !reply->root_closed))
        return finish_bad_xml(c);
    return operation->answered != NULL ? operation->answered(c, &x->request.error) : HTTP_DONE;
}
