/* "Common response headers" and "Error responses", Amazon S3 API Reference. */
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"
#include "text.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ERROR_BODY_MAX (UINT64_C(16) * 1024)
#define XML_BODY_MAX                                                                                         \
    (UINT64_C(8) * 1024 * 1024) /* 1,000 keys, three bytes for each of theirs, with room to spare */

const struct s3_operation *s3_operation(const struct s3_call *c)
{
    return (const struct s3_operation *)c->base.operation;
}

void s3_reply_reset(struct s3_call *c)
{
    c->reply = (struct s3_reply){.body_len = 0};
    s3_reply_end(c);
}

void s3_reply_end(struct s3_call *c)
{
    if (c->xml == NULL)
        return;
    if (c->store->spare == NULL)
        c->store->spare = c->xml;
    else
        xml_free(c->xml);
    c->xml = NULL;
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
void s3_read_etag(const char *value, char out[OBJECT_VERSION_SIZE], struct object_hash *hash)
{
    size_t len;

    if (text_begins(value, "W/"))
        value += 2;
    len = strlen(value);
    if (len >= 2 && value[0] == '"' && value[len - 1] == '"') {
        value++;
        len -= 2;
    }
    if (len >= OBJECT_VERSION_SIZE)
        len = 0;
    memcpy(out, value, len);
    out[len] = '\0';
    object_hash_md5(hash, out);
    if (hash->kind == OBJECT_HASH_NONE && has_control(out))
        out[0] = '\0';
}

void s3_copy_etag(char out[OBJECT_VERSION_SIZE], const char *value)
{
    struct object_hash unused;

    s3_read_etag(value, out, &unused);
}

/* ---- headers ---- */

/* "aws-chunked" describes how the body was once sent, not what it is; some services keep it all the same. */
static void keep_encoding(struct s3_call *c, const char *value)
{
    char kept[256] = "";
    size_t used = 0;

    while (*value != '\0') {
        size_t len = strcspn(value, ",");
        struct text_piece coding = text_trim(value, len, " \t");

        if (coding.len > 0 && !(coding.len == 11 && strncasecmp(coding.at, "aws-chunked", 11) == 0) &&
            used + coding.len + 2 < sizeof kept)
            used += (size_t)snprintf(kept + used, sizeof kept - used, "%s%.*s", used > 0 ? "," : "",
                                     (int)coding.len, coding.at);
        value += len + (value[len] == ',');
    }
    if (used > 0)
        exchange_keep_meta(&c->base, "content-encoding", kept);
}

static void keep_user_meta(struct s3_call *c, const char *name, const char *value)
{
    char user[5 + S3_META_NAME_SIZE];

    snprintf(user, sizeof user, "user:%s", name);
    s3_meta_own_name(user + 5);
    exchange_keep_meta(&c->base, user, value);
}

static bool on_object_header(struct s3_call *c, const char *name, const char *value)
{
    struct object_info *info = &c->base.call->info;
    uint64_t count;

    if (strcmp(name, "x-amz-tagging-count") == 0)
        info->tags = exchange_number(value, &count) ? count : 0;
    else if (strcmp(name, "content-encoding") == 0)
        keep_encoding(c, value);
    else if (text_begins(name, "x-amz-meta-"))
        keep_user_meta(c, name + 11, value);
    else
        return false;
    return true;
}

/* "Protecting data with encryption", Amazon S3 User Guide: with SSE-KMS and SSE-C an ETag is no MD5. The same of the
 * keys that Google's customers bring ("Hashes and ETags", Cloud Storage documentation). */
static bool tells_encryption(const char *name, const char *value)
{
    if (strcmp(name, "x-amz-server-side-encryption") == 0)
        return strcmp(value, "AES256") != 0;
    return strcmp(name, "x-amz-server-side-encryption-customer-algorithm") == 0 ||
           text_begins(name, "x-goog-encryption-");
}

const char *s3_md5(const struct exchange *x)
{
    const struct s3_reply *reply = &((const struct s3_call *)x)->reply;

    return !reply->encrypted && digest_is_hex(reply->etag) ? reply->etag : NULL;
}

void s3_tell_etag(struct s3_call *c)
{
    struct object_info *info = &c->base.call->info;

    memcpy(info->version, c->reply.etag, sizeof info->version);
    object_hash_md5(&info->hash, c->reply.etag);
    info->false_hash = c->reply.encrypted && info->hash.kind != OBJECT_HASH_NONE;
    if (info->false_hash)
        info->hash.kind = OBJECT_HASH_NONE;
}

static bool keep_etag(struct s3_call *c, const char *name, const char *value)
{
    if (strcmp(name, "etag") == 0)
        s3_copy_etag(c->reply.etag, value);
    else if (tells_encryption(name, value))
        c->reply.encrypted = true;
    else
        return false;
    if (exchange_is_about_object(&c->base))
        s3_tell_etag(c);
    return true;
}

bool s3_header(struct exchange *x, const char *name, const char *value)
{
    struct s3_call *c = (struct s3_call *)x;
    struct s3_reply *reply = &c->reply;

    if (keep_etag(c, name, value))
        return true;
    if (strcmp(name, "x-amz-bucket-region") == 0)
        s3_copy_text(reply->region, sizeof reply->region, value);
    else if (strcmp(name, "x-amz-request-id") == 0)
        s3_copy_text(reply->request_id, sizeof reply->request_id, value);
    else
        return exchange_is_about_object(x) && on_object_header(c, name, value);
    return true;
}

/* ---- XML ---- */

void s3_copy_text(char *out, size_t size, const char *text)
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
    s3_copy_text(reply->message, sizeof reply->message, text);
    find_denied(reply, text);
}

/* It says that nothing has been done. */
static bool is_refusal(const char *code)
{
    return strcmp(code, "SlowDown") == 0 || strcmp(code, "ConditionalRequestConflict") == 0;
}

static void on_code(struct s3_call *c, const char *text)
{
    s3_copy_text(c->reply.code, sizeof c->reply.code, text);
    c->base.refused = is_refusal(c->reply.code);
}

static bool on_error_leaf(struct s3_call *c, const char *name, const char *text)
{
    struct s3_reply *reply = &c->reply;

    if (strcmp(name, "Code") == 0)
        on_code(c, text);
    else if (strcmp(name, "Message") == 0)
        on_message(reply, text);
    else if (strcmp(name, "Region") == 0)
        s3_copy_text(reply->region, sizeof reply->region, text);
    else if (strcmp(name, "Endpoint") == 0)
        s3_copy_text(reply->endpoint, sizeof reply->endpoint, text);
    else if (strcmp(name, "RequestId") == 0)
        s3_copy_text(reply->request_id, sizeof reply->request_id, text);
    else if (strcmp(name, "ServerTime") == 0 && clock_parse_rfc3339(text) != CLOCK_UNKNOWN)
        c->base.head.date = clock_parse_rfc3339(text);
    return true;
}

bool s3_element_etag(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    (void)error;
    if (strcmp(path, "ETag") == 0)
        s3_copy_etag(c->reply.etag, text);
    return true;
}

static enum s3_root judge_root(const struct s3_call *c, const char *path, size_t len)
{
    const char *root = s3_operation(c)->root;

    if (len == 5 && text_begins(path, "Error"))
        return S3_ROOT_ERROR;
    return root != NULL && exchange_is_success(&c->base) && strlen(root) == len && text_begins(path, root)
               ? S3_ROOT_ANSWER
               : S3_ROOT_OTHER;
}

static bool on_xml(void *ctx, const char *path, const char *text, struct error *error)
{
    struct s3_call *c = ctx;
    struct s3_reply *reply = &c->reply;
    const char *rest;

    if (reply->root == S3_ROOT_UNKNOWN) {
        reply->root_len = strcspn(path, "/");
        reply->root = judge_root(c, path, reply->root_len);
    }
    rest = path + reply->root_len;
    if (reply->root == S3_ROOT_ERROR)
        return *rest == '\0' || on_error_leaf(c, rest + 1, text);
    if (reply->root == S3_ROOT_OTHER)
        return true;
    if (*rest == '\0')
        reply->root_closed = true;
    else if (s3_operation(c)->element != NULL)
        reply->senseless = !s3_operation(c)->element(c, rest + 1, text, error);
    return !reply->senseless;
}

static struct xml *take_xml(struct s3_call *c)
{
    struct xml *xml = c->store->spare;

    if (xml == NULL)
        return xml_new(on_xml, c);
    c->store->spare = NULL;
    xml_reset(xml, c);
    return xml;
}

void s3_text(struct exchange *x, const char *data, size_t len)
{
    struct s3_call *c = (struct s3_call *)x;
    struct s3_reply *reply = &c->reply;
    uint64_t max = exchange_is_success(x) ? XML_BODY_MAX : ERROR_BODY_MAX;

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
        c->xml = take_xml(c);
    if (c->xml == NULL)
        error_set(&reply->xml_error, ERROR_LOCAL, "out of memory");
    else if (reply->body_len > max)
        error_set(&reply->xml_error, ERROR_PROTOCOL, "the answer is too long");
    else
        xml_push(c->xml, data, len, &reply->xml_error);
    if (reply->xml_error.kind != ERROR_NONE)
        x->failure = reply->xml_error;
}
