/* "Error handling", "Redirects" and "RequestTimeTooSkewed" of the Amazon S3 API Reference and User Guide. */
#include "page.h"
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"
#include "log.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* "RequestTimeTooSkewed": more than this apart is not accepted. */
#define SKEW_MAX (INT64_C(15) * 60 * 1000)

/* May this attempt have had an effect that another would trip over? Part of a body cannot have had one. */
static bool is_ambiguous(const struct s3_call *c)
{
    const struct http_request *request = &c->request;
    const struct s3_reply *reply = &c->reply;

    if (strcmp(reply->code, "SlowDown") == 0 || strcmp(reply->code, "ConditionalRequestConflict") == 0 ||
        request->status == 429)
        return false;
    return c->payload.len == 0 || request->sent >= c->payload.len;
}

/* Another attempt may help. Is there a way to one? */
static enum http_verdict try_again(struct s3_call *c, enum http_verdict how)
{
    if (c->streamed > 0) {
        c->again = true;
        return HTTP_DONE;
    }
    if (how == HTTP_RETRY_NOW || !is_ambiguous(c))
        return how;
    c->may_have_done = true;
    return c->create || (c->op == S3_WRITE && c->call->once) ? HTTP_DONE : HTTP_RETRY;
}

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
    bool redirect = c->request.status == 301 || c->request.status == 307;

    if (c->named != store) /* what it says is about another bucket */
        return false;
    if (!redirect && c->request.status != 400 && c->request.status != 403)
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

    if (c->clock_learnt || c->reply.date == CLOCK_UNKNOWN)
        return false;
    apart = c->reply.date - clock_wall();
    /* A HEAD has no body to say so. */
    if (strcmp(c->reply.code, "RequestTimeTooSkewed") != 0 &&
        (c->request.status != 403 || c->reply.code[0] != '\0' ||
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
    return silent && (c->request.status == 400 || c->request.status == 403) &&
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
    if (c->pipe == NULL || c->pipe->md5[0] != '\0' || c->request.status != 400 ||
        strstr(c->reply.message, "Content-MD5") == NULL)
        return false;
    c->store->base.traits.wants_md5 = true;
    c->again = true;
    return true;
}

/* A page whose end is a key that XML cannot hold: RGW's continuation token is that key, unencoded. Ask for a
 * page that ends with another key. */
static bool shorten_page(struct s3_call *c)
{
    int keys = c->reply.safe_keys > 0 ? c->reply.safe_keys : c->page_keys / 2;

    if (c->op != S3_LIST || c->reply.root_closed || keys == 0 || keys >= c->page_keys)
        return false;
    c->page_keys = keys;
    return true;
}

/* A service that ignores encoding-type does not say that keys are encoded. */
static bool learn_plain_keys(struct s3_call *c)
{
    if (c->op != S3_LIST || c->store->plain_keys || c->reply.url_encoded ||
        (!c->reply.undecodable && !c->reply.decoded))
        return false;
    c->store->plain_keys = true;
    return true;
}

/* Is the answer about our bucket and prefix? Caches that look at too little of a request, and connections on which
 * answers have slipped, give the listing of another, which would make two buckets look alike. A gateway may know
 * the bucket by a name of its own; it says the same when it is asked again. */
static bool is_own_listing(struct s3_call *c)
{
    struct store_s3 *store = c->store;
    const char *told = c->reply.listed_bucket;
    const char *tenant = strrchr(store->bucket, ':'); /* RGW's "tenant:bucket" is told without the tenant */

    if (c->reply.other_prefix)
        return false;
    if (told[0] == '\0' || strcmp(told, store->told_name) == 0 ||
        (tenant != NULL && strcmp(told, tenant + 1) == 0))
        return true;
    if (strcmp(told, c->strange_name) == 0)
        memcpy(store->told_name, told, sizeof store->told_name);
    memcpy(c->strange_name, told, sizeof c->strange_name);
    return strcmp(told, store->told_name) == 0;
}

static enum http_verdict finish_list(struct s3_call *c)
{
    struct http_request *request = &c->request;

    if (!is_own_listing(c)) {
        error_set(&request->error, ERROR_PROTOCOL, "the answer is the listing of another bucket or prefix");
        return try_again(c, HTTP_RETRY);
    }
    if (learn_plain_keys(c)) {
        error_set(&request->error, ERROR_PROTOCOL, "the service URL-encodes keys against its word");
        return HTTP_RETRY_NOW;
    }
    /* What a listing leaves out would look as if it were missing. */
    if (!c->reply.ends && !c->reply.truncated)
        error_set(&request->error, ERROR_PROTOCOL, "the listing does not say whether it is complete");
    else if (c->reply.truncated && c->gathered.len == 0)
        error_set(&request->error, ERROR_PROTOCOL, "the listing goes on, but does not say from where");
    else if (!page_end(c->page, c->reply.truncated ? buf_str(&c->gathered) : NULL))
        error_set(&request->error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

/* The answer should be XML of a certain kind, and is not, or not all of it. */
static enum http_verdict finish_bad_xml(struct s3_call *c)
{
    const struct s3_reply *reply = &c->reply;
    bool malformed = reply->xml_error.kind == ERROR_PROTOCOL && !reply->refused;

    if (reply->xml_error.kind == ERROR_NONE ||
        (malformed && reply->keys == 0 && strstr(reply->content_type, "xml") == NULL)) {
        s3_explain_foreign(c, &c->request.error);
        return HTTP_DONE;
    }
    c->request.error = reply->xml_error;
    if (learn_plain_keys(c) || (malformed && shorten_page(c)))
        return HTTP_RETRY_NOW;
    return malformed ? try_again(c, HTTP_RETRY) : HTTP_DONE;
}

/* The last byte has come. Nobody gets it before all of them are known to be right. */
static enum http_verdict finish_body(struct s3_call *c)
{
    struct error *error = &c->request.error;
    uint64_t expected = s3_expected_length(c);

    if (expected == OBJECT_SIZE_UNKNOWN) {
        error_set(error, ERROR_PROTOCOL, "the answer does not say how large the object is");
        return HTTP_DONE;
    }
    if (c->streamed != expected) {
        error_set(error, ERROR_PROTOCOL, "the body ended after %llu of %llu bytes",
                  (unsigned long long)c->streamed, (unsigned long long)expected);
        return try_again(c, HTTP_RETRY);
    }
    if (c->pipe->hashed && c->pipe->md5[0] != '\0' && pipe_differs(c->pipe, c->pipe->md5)) {
        error_set(error, ERROR_PROTOCOL,
                  "the body is damaged: its MD5 is not the ETag %s; check what is between here and %s",
                  c->pipe->md5, c->store->service);
        return try_again(c, HTTP_RETRY);
    }
    c->pipe->closed = true;
    return HTTP_DONE;
}

static enum http_verdict finish_object(struct s3_call *c)
{
    struct http_request *request = &c->request;

    if (!c->call->head_known)
        s3_check_head(c);
    if (c->failure.kind != ERROR_NONE) {
        request->error = c->failure;
        return HTTP_DONE;
    }
    c->call->head_known = true;
    return c->op == S3_GET ? finish_body(c) : HTTP_DONE;
}

/* Is the ETag that a streamed body was given the MD5 of something else? */
static bool stores_other_bytes(const struct s3_call *c, struct error *error)
{
    const struct pipe *pipe = c->pipe;
    bool differs;

    if (pipe == NULL || !s3_etag_is_md5(&c->reply))
        return false;
    if (pipe->md5[0] != '\0')
        differs = !digest_same(pipe->md5, c->reply.etag);
    else
        differs = pipe->hashed && pipe_differs(pipe, c->reply.etag);
    if (differs)
        error_set(
            error, ERROR_PROTOCOL,
            "the service has other bytes than were sent (ETag %s): they were damaged on the way; check what is between here and %s",
            c->reply.etag, c->store->service);
    return differs;
}

/* Something in between that answers 200 to anything must not pass for a store. Some stores answer with a word; none with a
 * page, and a Content-Type alone (Google's) is none. 202 is a promise (RFC 9110, 15.3.3). */
static bool is_no_receipt(const struct s3_call *c)
{
    const struct s3_reply *reply = &c->reply;
    int status = c->request.status;

    return (status != 200 && status != 201 && status != 204) || reply->etag[0] == '\0' ||
           (reply->body_begun && strncasecmp(reply->content_type, "text/html", 9) == 0);
}

/* The XML is complete, or none was due. */
static enum http_verdict finish_success(struct s3_call *c)
{
    struct http_request *request = &c->request;

    if (s3_operation(c->op)->describes_object && c->op != S3_UPLOAD_VERIFY)
        return finish_object(c);
    if (c->op == S3_LIST)
        return finish_list(c);
    if (c->op == S3_TAGS) {
        if (c->gathered.len > 0 && !object_meta_add(&c->call->meta, "tagging", buf_str(&c->gathered)))
            error_set(&request->error, ERROR_UNSUPPORTED, "its metadata has more than %zu bytes",
                      OBJECT_META_MAX);
    } else if (s3_operation(c->op)->gives_etag && is_no_receipt(c)) {
        s3_explain_foreign(c, &request->error);
    } else if (stores_other_bytes(c, &request->error)) {
        return try_again(c, HTTP_RETRY);
    } else {
        memcpy(c->call->info.etag, c->reply.etag, sizeof c->call->info.etag);
        c->call->info.opaque_etag = c->reply.opaque_etag;
        s3_upload_answered(c, &request->error);
    }
    return HTTP_DONE;
}

static enum http_verdict finish_failure(struct s3_call *c)
{
    struct http_request *request = &c->request;
    bool again = s3_explain(c);
    const char *code = c->reply.code;

    if (learn_region(c) || learn_clock(c) || learn_key(c))
        return try_again(c, HTTP_RETRY_NOW);
    if (learn_md5(c))
        return HTTP_DONE;
    if (c->op == S3_UPLOAD_FINISH && c->may_have_done && strcmp(code, "NoSuchUpload") == 0) {
        s3_upload_verify(c);
        error_clear(&request->error);
        return HTTP_DONE;
    }
    if ((c->op == S3_UPLOAD_ABORT && strcmp(code, "NoSuchUpload") == 0) ||
        (c->op == S3_REMOVE && strcmp(code, "NoSuchKey") == 0) ||
        (c->op == S3_TAGS && strncmp(code, "NoSuchTagSet", 12) == 0)) {
        error_clear(&request->error);
        return HTTP_DONE;
    }
    return again ? try_again(c, HTTP_RETRY) : HTTP_DONE;
}

enum http_verdict s3_on_finish(struct http_request *request)
{
    struct s3_call *c = request->ctx;
    struct s3_reply *reply = &c->reply;
    bool xml_due = s3_is_success(request) && s3_operation(c->op)->root != NULL;

    if (request->error.kind != ERROR_NONE)
        return request->retryable ? try_again(c, HTTP_RETRY) : HTTP_DONE;
    if (reply->body_begun && reply->xml_error.kind == ERROR_NONE)
        xml_finish(c->xml, &reply->xml_error);
    if (!s3_is_success(request) || reply->code[0] != '\0')
        return finish_failure(c);
    if (xml_due && (reply->xml_error.kind != ERROR_NONE || !reply->root_closed))
        return finish_bad_xml(c);
    return finish_success(c);
}
