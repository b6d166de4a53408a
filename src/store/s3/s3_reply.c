/* "Common response headers", "ListObjectsV2", "CopyObject", "GetObject" and "Error responses", Amazon S3 API
 * Reference. */
#include "page.h"
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ERROR_BODY_MAX (UINT64_C(16) * 1024)
#define XML_BODY_MAX                                                                                         \
    (UINT64_C(8) * 1024 * 1024) /* 1,000 keys, three bytes for each of theirs, with room to spare */

bool s3_is_success(const struct http_request *request)
{
    return request->status >= 200 && request->status <= 299;
}

void s3_reply_reset(struct s3_call *c)
{
    struct call *call = c->call;

    c->reply = (struct s3_reply){
        .date = CLOCK_UNKNOWN, .range_total = OBJECT_SIZE_UNKNOWN, .entry = {.modified = CLOCK_UNKNOWN}};
    error_clear(&c->failure);
    c->wasted = 0;
    if (c->xml != NULL)
        xml_reset(c->xml);
    if (c->page != NULL)
        page_reset(c->page);
    buf_clear(&c->entry_key);
    buf_clear(&c->gathered);
    if (s3_operation(c->op)->describes_object) {
        call->head_known = false;
        call->info = (struct object_info){
            .size = OBJECT_SIZE_UNKNOWN, .modified = CLOCK_UNKNOWN, .served = CLOCK_UNKNOWN};
        object_meta_clear(&call->meta);
    }
    if (c->op == S3_READ)
        buf_clear(&call->body);
}

/* The whole of `text` as a decimal number. */
static bool parse_number(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    if (*text == '\0')
        return false;
    for (; *text != '\0'; text++) {
        unsigned digit = (unsigned)(*text - '0');

        if (*text < '0' || *text > '9' || number > (UINT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    *out = number;
    return true;
}

/* ETags go into header fields of later requests: nothing may be in them that ends one. */
static bool has_control(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

/* ETags come quoted, unquoted (RGW 16 after a copy) and weak. One too long, or with control characters, is as good as
 * none. */
static void copy_etag(char out[OBJECT_ETAG_SIZE], const char *value)
{
    size_t len;

    if (strncmp(value, "W/", 2) == 0)
        value += 2;
    len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value++;
        len -= 2;
    }
    if (len >= OBJECT_ETAG_SIZE || has_control(value))
        len = 0;
    memcpy(out, value, len);
    out[len] = '\0';
}

/* ---- headers ---- */

/* "bytes 0-99/1234", or "bytes 0-99/" and a star (RFC 9110, 14.4). */
static void parse_range(struct s3_reply *reply, const char *value)
{
    char text[80];
    char *first = text + strlen("bytes "), *dash, *slash;

    if (strncmp(value, "bytes ", 6) != 0 || strlen(value) >= sizeof text)
        return;
    memcpy(text, value, strlen(value) + 1);
    dash = strchr(first, '-');
    slash = strchr(first, '/');
    if (dash == NULL || slash == NULL || dash > slash)
        return;
    *dash = *slash = '\0';
    reply->range_known = parse_number(first, &reply->range_first) &&
                         parse_number(dash + 1, &reply->range_last) &&
                         (strcmp(slash + 1, "*") == 0 || parse_number(slash + 1, &reply->range_total));
}

/* A field that came before: RFC 9110, 5.3. Only lists and the owner's own are joined; of the others, "text/html, text/html"
 * would be nonsense, and the first one counts. */
static bool is_list(const char *name)
{
    return strncmp(name, "user:", 5) == 0 || strcmp(name, "cache-control") == 0 ||
           strcmp(name, "content-encoding") == 0 || strcmp(name, "content-language") == 0;
}

static void keep_meta(struct s3_call *c, const char *name, const char *value)
{
    if (!is_list(name) && object_meta_get(&c->call->meta, name) != NULL)
        return;
    if (!object_meta_join(&c->call->meta, name, value) && c->failure.kind == ERROR_NONE)
        error_set(&c->failure, ERROR_UNSUPPORTED, "its metadata has more than %zu bytes", OBJECT_META_MAX);
}

/* "aws-chunked" describes how the body was once sent, not what it is; some services keep it all the same. */
static void keep_encoding(struct s3_call *c, const char *value)
{
    char kept[256] = "";
    size_t used = 0;

    while (*value != '\0') {
        size_t len;

        value += strspn(value, ", \t");
        len = strcspn(value, ",");
        while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
            len--;
        if (len > 0 && !(len == 11 && strncasecmp(value, "aws-chunked", 11) == 0) &&
            used + len + 2 < sizeof kept)
            used += (size_t)snprintf(kept + used, sizeof kept - used, "%s%.*s", used > 0 ? "," : "", (int)len,
                                     value);
        value += strcspn(value, ",");
    }
    if (used > 0)
        keep_meta(c, "content-encoding", kept);
}

static void on_object_header(struct s3_call *c, const char *name, const char *value)
{
    struct object_info *info = &c->call->info;
    char user[300];
    uint64_t count;

    if (strcmp(name, "last-modified") == 0) {
        info->modified = clock_parse_http(value);
    } else if (strcmp(name, "date") == 0) {
        info->served = clock_parse_http(value);
    } else if (strcmp(name, "x-amz-tagging-count") == 0) {
        info->tags = parse_number(value, &count) ? count : 0;
    } else if (strcmp(name, "content-encoding") == 0) {
        keep_encoding(c, value);
    } else if (object_meta_is_content_header(name)) {
        keep_meta(c, name, value);
    } else if (strncmp(name, "x-amz-meta-", 11) == 0) {
        snprintf(user, sizeof user, "user:%s", name + 11);
        keep_meta(c, user, value);
    }
}

/* "Protecting data with encryption", Amazon S3 User Guide: with SSE-KMS and SSE-C an ETag is no MD5. The same of the
 * keys that Google's customers bring ("Hashes and ETags", Cloud Storage documentation). */
static bool tells_encryption(const char *name, const char *value)
{
    if (strcmp(name, "x-amz-server-side-encryption") == 0)
        return strcmp(value, "AES256") != 0;
    return strcmp(name, "x-amz-server-side-encryption-customer-algorithm") == 0 ||
           strncmp(name, "x-goog-encryption-", 18) == 0;
}

bool s3_etag_is_md5(const struct s3_reply *reply)
{
    return !reply->opaque_etag && digest_is_hex(reply->etag);
}

void s3_on_header(struct http_request *request, const char *name, const char *value)
{
    struct s3_call *c = request->ctx;
    struct s3_reply *reply = &c->reply;

    if (strcmp(name, "content-type") == 0)
        snprintf(reply->content_type, sizeof reply->content_type, "%s", value);
    else if (strcmp(name, "content-length") == 0)
        reply->length_known = parse_number(value, &reply->content_length);
    else if (strcmp(name, "content-range") == 0)
        parse_range(reply, value);
    else if (strcmp(name, "etag") == 0)
        copy_etag(reply->etag, value);
    else if (strcmp(name, "date") == 0)
        reply->date = clock_parse_http(value);
    else if (strcmp(name, "location") == 0)
        snprintf(reply->location, sizeof reply->location, "%s", value);
    else if (strcmp(name, "x-amz-bucket-region") == 0)
        snprintf(reply->region, sizeof reply->region, "%s", value);
    else if (strcmp(name, "x-amz-request-id") == 0)
        snprintf(reply->request_id, sizeof reply->request_id, "%s", value);
    else if (tells_encryption(name, value))
        reply->opaque_etag = true;
    if (s3_operation(c->op)->describes_object && s3_is_success(request))
        on_object_header(c, name, value);
}

/* ---- is it what was asked for? ---- */

/* 200 is the whole object, 206 the range that it names (RFC 9110, 15.3.1 and 15.3.7). Anything else that is good has no
 * object in it. */
static bool check_status(const struct s3_call *c, struct error *error)
{
    const struct s3_reply *reply = &c->reply;
    int status = c->request.status;

    if (!c->ranged && status == 200)
        return true;
    if (c->ranged && status == 206 && reply->range_known && reply->range_first == c->offset &&
        (c->length == UINT64_MAX || reply->range_last == c->offset + (c->length - 1)))
        return true;
    if (status == 200 || status == 206)
        return error_set(error, ERROR_PROTOCOL, "another range came than was asked for (HTTP %d)", status);
    return error_set(error, ERROR_PROTOCOL, "HTTP %d came where an object was asked for", status);
}

static bool check_version(const struct s3_call *c, struct error *error)
{
    const char *etag = c->reply.etag;

    if (c->wanted[0] == '\0' && (c->op != S3_READ || etag[0] != '\0'))
        return true;
    if (etag[0] == '\0') {
        s3_explain_foreign(c, error);
        error_prefix(error, "the answer has no ETag, so it is not the object: ");
        return false;
    }
    /* Not everybody who is asked for a version by If-Match takes notice. */
    return object_etags_equal(etag, c->wanted) || c->wanted[0] == '\0' ||
           error_set(error, ERROR_PRECONDITION, "it has changed meanwhile");
}

static bool check_length(const struct s3_call *c, struct error *error)
{
    uint64_t expected = s3_expected_length(c);

    if (!c->reply.length_known || c->reply.content_length == expected)
        return true;
    if (c->wanted[0] == '\0')
        return error_set(error, ERROR_PRECONDITION, "it has another size meanwhile");
    return error_set(
        error, ERROR_PROTOCOL,
        "the answer has %llu bytes where this version has %llu: something between here and %s changes bodies (it may compress them), or the service lies",
        (unsigned long long)c->reply.content_length, (unsigned long long)expected, c->store->service);
}

void s3_check_head(struct s3_call *c)
{
    const struct s3_reply *reply = &c->reply;
    struct object_info *info = &c->call->info;

    memcpy(info->etag, reply->etag, sizeof info->etag);
    info->opaque_etag = reply->opaque_etag;
    if (c->ranged)
        info->size = reply->range_total;
    else if (reply->length_known)
        info->size = reply->content_length;
    if (c->failure.kind != ERROR_NONE || !check_status(c, &c->failure) || !check_version(c, &c->failure))
        return;
    if (c->op != S3_GET || !check_length(c, &c->failure))
        return;
    if (!c->ranged && s3_etag_is_md5(reply))
        memcpy(c->pipe->md5, reply->etag, sizeof c->pipe->md5);
}

/* ---- XML ---- */

static void copy_text(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
}

/* "... is not authorized to perform: kms:GenerateDataKey on resource: ..." ("Troubleshoot access denied (403 Forbidden)
 * errors", Amazon S3 User Guide): the one word that helps, and it stands far behind. */
static void find_denied(struct s3_reply *reply, const char *message)
{
    static const char before[] = "not authorized to perform: ";
    const char *action = strstr(message, before);
    size_t len;

    if (action == NULL)
        return;
    action += strlen(before);
    len = strcspn(action, " ,.");
    if (len < sizeof reply->denied && memchr(action, ':', len) != NULL)
        snprintf(reply->denied, sizeof reply->denied, "%.*s", (int)len, action);
}

static void on_message(struct s3_reply *reply, const char *text)
{
    copy_text(reply->message, sizeof reply->message, text);
    find_denied(reply, text);
}

static bool on_error_leaf(struct s3_reply *reply, const char *name, const char *text)
{
    if (strcmp(name, "Code") == 0)
        copy_text(reply->code, sizeof reply->code, text);
    else if (strcmp(name, "Message") == 0)
        on_message(reply, text);
    else if (strcmp(name, "Region") == 0)
        copy_text(reply->region, sizeof reply->region, text);
    else if (strcmp(name, "Endpoint") == 0)
        copy_text(reply->endpoint, sizeof reply->endpoint, text);
    else if (strcmp(name, "RequestId") == 0)
        copy_text(reply->request_id, sizeof reply->request_id, text);
    else if (strcmp(name, "ServerTime") == 0 && clock_parse_rfc3339(text) != CLOCK_UNKNOWN)
        reply->date = clock_parse_rfc3339(text);
    return true;
}

/* Does XML 1.0 have a way to write this key? */
static bool is_xml_safe(const char *key)
{
    for (; *key != '\0'; key++)
        if ((unsigned char)*key < 0x20 && *key != '\t' && *key != '\n' && *key != '\r')
            return false;
    return true;
}

/* The key of the current entry, decoded where the service encodes them. A space is "+" from Amazon and "%20"
 * from RGW; both write a plus sign as "%2B". */
static bool decode_key(struct s3_call *c, struct error *error)
{
    struct buf *key = &c->entry_key;
    bool encoded = !c->store->plain_keys && key->len > 0 && strpbrk(key->data, "%+") != NULL;

    if (encoded && !uri_decode(key->data, true)) {
        c->reply.undecodable = true;
        return error_set(error, ERROR_PROTOCOL, "a key in the listing is not URL-encoded as was asked for");
    }
    c->reply.decoded |= encoded;
    c->reply.entry.key = buf_str(key);
    if (c->reply.entry.key[0] == '\0' || strlen(c->reply.entry.key) > OBJECT_KEY_MAX)
        return error_set(error, ERROR_PROTOCOL, "the listing has a key of %zu bytes",
                         strlen(c->reply.entry.key));
    return true;
}

static bool on_entry_end(struct s3_call *c, struct error *error)
{
    struct s3_reply *reply = &c->reply;
    bool known = reply->size_known;

    if (!decode_key(c, error))
        return false;
    if (!known)
        return error_set(error, ERROR_PROTOCOL, "the listing does not say how large \"%.100s\" is",
                         reply->entry.key);
    if (!page_add(c->page, &reply->entry))
        return error_set(error, ERROR_PROTOCOL, "the listing has more than %d keys a page, or memory ran out",
                         STORE_PAGE_KEYS);
    reply->keys++;
    if (is_xml_safe(reply->entry.key))
        reply->safe_keys = reply->keys;
    buf_clear(&c->entry_key);
    reply->entry = (struct object_entry){.modified = CLOCK_UNKNOWN};
    reply->size_known = false;
    return true;
}

static bool on_entry_leaf(struct s3_call *c, const char *name, const char *text, struct error *error)
{
    struct s3_reply *reply = &c->reply;

    if (strcmp(name, "Key") == 0) {
        buf_clear(&c->entry_key);
        return buf_puts(&c->entry_key, text) || error_set(error, ERROR_LOCAL, "out of memory");
    }
    if (strcmp(name, "Size") == 0)
        reply->size_known = parse_number(text, &reply->entry.size);
    else if (strcmp(name, "LastModified") == 0)
        reply->entry.modified = clock_parse_rfc3339(text);
    else if (strcmp(name, "ETag") == 0)
        copy_etag(reply->entry.etag, text);
    return true;
}

/* Is this the prefix that was asked for, plain or encoded? Where none is told, nothing is said. */
static bool is_own_prefix(struct s3_call *c, const char *text)
{
    struct buf *decoded = &c->entry_key; /* between two entries nobody needs it */
    bool same = text[0] == '\0' || strcmp(text, c->key) == 0;

    if (!same) {
        buf_clear(decoded);
        same =
            buf_puts(decoded, text) && uri_decode(decoded->data, true) && strcmp(decoded->data, c->key) == 0;
    }
    buf_clear(decoded);
    return same;
}

static bool on_list_leaf(struct s3_call *c, const char *name, const char *text, struct error *error)
{
    if (strncmp(name, "Contents/", 9) == 0)
        return on_entry_leaf(c, name + 9, text, error);
    if (strcmp(name, "Contents") == 0)
        return on_entry_end(c, error);
    if (strcmp(name, "IsTruncated") == 0) {
        c->reply.truncated = strcmp(text, "true") == 0;
        c->reply.ends = strcmp(text, "false") == 0;
    } else if (strcmp(name, "EncodingType") == 0) {
        c->reply.url_encoded = strcmp(text, "url") == 0;
    } else if (strcmp(name, "Prefix") == 0) {
        c->reply.other_prefix = !is_own_prefix(c, text);
    } else if (strcmp(name, "Name") == 0) {
        copy_text(c->reply.listed_bucket, sizeof c->reply.listed_bucket, text);
    } else if (strcmp(name, "NextContinuationToken") == 0) {
        return buf_puts(&c->gathered, text) || error_set(error, ERROR_LOCAL, "out of memory");
    }
    return true;
}

/* Collects the tag set in the form in which it is sent again: "key=value&key=value". */
static bool on_tag_leaf(struct s3_call *c, const char *name, const char *text)
{
    if (strcmp(name, "Key") == 0) {
        if (c->gathered.len > 0)
            buf_putc(&c->gathered, '&');
        return uri_encode(&c->gathered, text, "");
    }
    if (strcmp(name, "Value") == 0)
        return buf_putc(&c->gathered, '=') && uri_encode(&c->gathered, text, "");
    return true;
}

static bool on_xml(void *ctx, const char *path, const char *text, struct error *error)
{
    struct s3_call *c = ctx;
    const char *slash = strchr(path, '/');
    size_t root_len = slash != NULL ? (size_t)(slash - path) : strlen(path);
    const char *root = s3_operation(c->op)->root;

    if (root_len == 5 && strncmp(path, "Error", 5) == 0)
        return slash == NULL || on_error_leaf(&c->reply, slash + 1, text);
    if (root == NULL || !s3_is_success(&c->request) || root_len != strlen(root) ||
        strncmp(path, root, root_len) != 0)
        return true;
    if (slash == NULL) {
        c->reply.root_closed = true;
        return true;
    }
    if (c->op == S3_LIST) {
        c->reply.refused = !on_list_leaf(c, slash + 1, text, error);
        return !c->reply.refused;
    }
    if (strncmp(slash, "/TagSet/Tag/", 12) == 0)
        return on_tag_leaf(c, slash + 12, text);
    if (strcmp(slash, "/ETag") == 0)
        copy_etag(c->reply.etag, text);
    else if (strcmp(slash, "/UploadId") == 0)
        copy_text(c->reply.upload_id, sizeof c->reply.upload_id, text);
    return true;
}

static void push_xml(struct s3_call *c, const char *data, size_t len)
{
    struct s3_reply *reply = &c->reply;
    uint64_t max = s3_is_success(&c->request) ? XML_BODY_MAX : ERROR_BODY_MAX;

    if (reply->xml_error.kind != ERROR_NONE)
        return;
    /* A long copy is answered with white space first, to keep the connection alive; XML does not allow it
     * there. */
    while (!reply->body_begun && len > 0 && strchr(" \t\r\n", *data) != NULL && *data != '\0') {
        data++;
        len--;
    }
    reply->body_begun |= len > 0;
    reply->body_len += len;
    if (c->xml == NULL)
        c->xml = xml_new(on_xml, c);
    if (c->xml == NULL)
        error_set(&reply->xml_error, ERROR_LOCAL, "out of memory");
    else if (reply->body_len > max)
        error_set(&reply->xml_error, ERROR_PROTOCOL, "the answer is too long");
    else
        xml_push(c->xml, data, len, &reply->xml_error);
    if (reply->xml_error.kind != ERROR_NONE)
        c->failure = reply->xml_error;
}

/* ---- the object's body ---- */

uint64_t s3_expected_length(const struct s3_call *c)
{
    if (c->length != UINT64_MAX)
        return c->length;
    if (c->op == S3_GET && c->pipe->size != PIPE_SIZE_UNKNOWN)
        return c->pipe->size;
    return c->reply.length_known ? c->reply.content_length : OBJECT_SIZE_UNKNOWN;
}

static bool stream_body(struct s3_call *c, const char *data, size_t len)
{
    if (c->failure.kind == ERROR_NONE && c->streamed == 0)
        s3_check_head(c);
    if (c->failure.kind == ERROR_NONE && len > s3_expected_length(c) - c->streamed)
        error_set(&c->failure, ERROR_PROTOCOL, "the body is longer than the %llu bytes asked for",
                  (unsigned long long)s3_expected_length(c));
    if (c->failure.kind != ERROR_NONE)
        return true;
    if (pipe_room(c->pipe) < len) {
        c->paused = true;
        return false;
    }
    c->call->head_known = true;
    c->streamed += pipe_write(c->pipe, data, len);
    return true;
}

bool s3_on_body(struct http_request *request, const char *data, size_t len)
{
    struct s3_call *c = request->ctx;

    if (c->failure.kind != ERROR_NONE)
        c->wasted += len;
    if (!s3_is_success(request) || !s3_operation(c->op)->body_is_object) {
        push_xml(c, data, len);
        return true;
    }
    if (c->op == S3_GET)
        return stream_body(c, data, len);
    if (c->failure.kind == ERROR_NONE && !buf_append(&c->call->body, data, len))
        error_set(&c->failure, ERROR_UNSUPPORTED, "the object has more than %zu bytes", STORE_SMALL_MAX);
    return true;
}
