/*
 * "Uploading and copying objects using multipart upload", Amazon S3 User Guide; CreateMultipartUpload,
 * UploadPart, UploadPartCopy, CompleteMultipartUpload and AbortMultipartUpload, Amazon S3 API Reference.
 *
 * To finish may take a second request. When the answer to an attempt was lost and the next attempt finds the
 * upload gone, a HEAD tells whether the object is there that would have come of it: an object in parts has the ETag
 * that follows from theirs. Where those are no MD5s, it must at least be younger than the upload. When the answer came
 * and tells another ETag, or none, the service may have one of its own or may have lost a part: a HEAD tells the size.
 * And RGW forgets the tags that an upload began with, so they are set again.
 */
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"
#include "log.h"
#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RGW's upload ids begin with this (MULTIPART_UPLOAD_ID_PREFIX in Ceph's rgw_multi.h). */
#define RGW_UPLOAD_ID "2~"

/* An upload in parts. */
struct s3_upload {
    struct upload base;
    char key[OBJECT_KEY_MAX + 1];
    char id[1024];
    uint64_t size;
    uint64_t part_size; /* of all but the last */
    int part_count;
    char **etags;                     /* of parts 1 to part_count, NULL for one that is not there yet */
    bool opaque;                      /* not all of them are MD5s */
    int64_t begun;                    /* wall, by the service's clock; CLOCK_UNKNOWN if it did not say */
    char *tagging;                    /* NULL: none */
    char etag[OBJECT_VERSION_SIZE];   /* of the object, as the answer to the finish told it; "" if none did */
    struct store_condition condition; /* on which it may be finished */
    char version[OBJECT_VERSION_SIZE];
};

struct upload_call {
    struct s3_call base;
    struct s3_upload *upload;
    struct store_part part;
};

static struct s3_upload *upload_of(const struct s3_call *c)
{
    return ((const struct upload_call *)c)->upload;
}

static struct s3_call *upload_call_begin(struct store *store, struct call *call,
                                         const struct s3_operation *operation, const char *key,
                                         struct s3_upload *upload)
{
    struct s3_call *c = s3_begin(store, call, operation, key);

    if (c != NULL)
        ((struct upload_call *)c)->upload = upload;
    return c;
}

static bool is_rgw(const struct s3_upload *upload)
{
    return text_begins(upload->id, RGW_UPLOAD_ID);
}

static void upload_free(struct s3_upload *upload)
{
    if (upload == NULL)
        return;
    for (int i = 0; i < upload->part_count; i++)
        free(upload->etags[i]);
    free(upload->etags);
    free(upload->tagging);
    free(upload);
}

static struct s3_upload *upload_new(struct store *to, const struct store_target *target)
{
    struct s3_upload *upload = calloc(1, sizeof *upload);
    const char *tagging = object_meta_get(target->meta, "tagging");

    if (upload == NULL)
        return NULL;
    upload->base.store = to;
    upload->size = target->size;
    upload->begun = CLOCK_UNKNOWN;
    upload->condition = target->condition;
    upload->condition.version = upload->version;
    if (upload->condition.when == STORE_IF_VERSION)
        s3_copy_text(upload->version, sizeof upload->version, target->condition.version);
    s3_copy_text(upload->key, sizeof upload->key, target->key);
    if (tagging != NULL) {
        upload->tagging = strdup(tagging);
        if (upload->tagging == NULL) {
            upload_free(upload);
            return NULL;
        }
    }
    return upload;
}

/* Parts may end in any order. */
static bool upload_set_part(struct s3_upload *upload, int number, const char *etag)
{
    char **slot;

    if (number > upload->part_count) {
        char **etags = realloc(upload->etags, (size_t)number * sizeof *etags);

        if (etags == NULL)
            return false;
        while (upload->part_count < number)
            etags[upload->part_count++] = NULL;
        upload->etags = etags;
    }
    slot = &upload->etags[number - 1];
    free(*slot);
    *slot = strdup(etag);
    return *slot != NULL;
}

/* ---- beginning ---- */

static void begin_prepare(struct s3_call *c)
{
    upload_of(c)->id[0] = '\0';
}

static bool begin_element(struct s3_call *c, const char *path, const char *text, struct error *error)
{
    (void)error;
    if (strcmp(path, "UploadId") == 0)
        s3_copy_text(upload_of(c)->id, sizeof upload_of(c)->id, text);
    return true;
}

static enum http_verdict begin_answered(struct s3_call *c, struct error *error)
{
    upload_of(c)->begun = c->base.head.date;
    if (upload_of(c)->id[0] == '\0')
        error_set(error, ERROR_PROTOCOL, "the service gave the upload no id");
    return HTTP_DONE;
}

/* It is the caller's from now on. */
static void begin_settle(struct s3_call *c)
{
    bool failed = c->base.request.error.kind != ERROR_NONE;

    c->base.call->upload = failed ? NULL : &upload_of(c)->base;
    if (failed)
        upload_free(upload_of(c));
}

static const struct s3_operation begin_operation = {
    .base = {.method = "POST", .doing = "beginning to write"},
    .size = sizeof(struct upload_call),
    .permission = "s3:PutObject",
    .root = "InitiateMultipartUploadResult",
    .prepare = begin_prepare,
    .element = begin_element,
    .answered = begin_answered,
    .settle = begin_settle,
};

void s3_upload_begin(struct store *to, struct call *call, const struct store_target *target)
{
    struct s3_upload *upload = upload_new(to, target);
    struct s3_call *c = upload_call_begin(to, call, &begin_operation, target->key, upload);
    struct error error;

    if (c == NULL) {
        upload_free(upload);
        return;
    }
    buf_puts(&c->query, "uploads=");
    s3_field_acl(c, target->acl);
    if (upload != NULL && !s3_meta_fields(c, target->meta, &error))
        s3_refuse(c, &error);
    else
        s3_submit_if(c, upload != NULL);
}

/* ---- parts ---- */

static enum http_verdict part_answered(struct s3_call *c, struct error *error)
{
    struct s3_upload *upload = upload_of(c);
    enum http_verdict verdict = s3_answered_receipt(c, error);

    if (error->kind != ERROR_NONE)
        return verdict;
    upload->opaque |= s3_md5(&c->base) == NULL;
    if (!upload_set_part(upload, ((struct upload_call *)c)->part.number, c->reply.etag))
        error_set(error, ERROR_LOCAL, "out of memory");
    return HTTP_DONE;
}

static const struct s3_operation part_operation = {
    .base = {.method = "PUT", .doing = "writing a part of"},
    .size = sizeof(struct upload_call),
    .permission = "s3:PutObject",
    .answered = part_answered,
};

/* Not every service that copies parts looks at the range. The last part is shorter than the first one, so it has
 * another MD5. Which of the two is there first is not known. */
static bool is_whole_object(const struct s3_upload *upload)
{
    int last = upload->part_count;

    return last > 1 && upload->size / upload->part_size < (uint64_t)last && !upload->opaque &&
           upload->etags[0] != NULL && upload->etags[last - 1] != NULL &&
           digest_same(upload->etags[0], upload->etags[last - 1]);
}

static enum http_verdict part_copied(struct s3_call *c, struct error *error)
{
    enum http_verdict verdict = part_answered(c, error);

    if (error->kind == ERROR_NONE && is_whole_object(upload_of(c))) {
        c->store->base.traits.whole_parts = true;
        error_set(error, ERROR_UNSUPPORTED, "the service copies the whole object where a part is asked for");
    }
    return verdict;
}

static const struct s3_operation part_copy_operation = {
    .base = {.method = "PUT", .doing = "copying a part to"},
    .size = sizeof(struct upload_call),
    .permission = "s3:PutObject here and s3:GetObject at the source",
    .root = "CopyPartResult",
    .copies = true,
    .element = s3_element_etag,
    .answered = part_copied,
};

static struct s3_call *begin_part(struct upload *base, struct call *call,
                                  const struct s3_operation *operation, const struct store_part *part)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    struct s3_call *c = upload_call_begin(base->store, call, operation, upload->key, upload);
    struct error error;

    if (c == NULL)
        return NULL;
    ((struct upload_call *)c)->part = *part;
    if (part->size > upload->part_size)
        upload->part_size = part->size;
    if (part->number < 1 || part->number > S3_PART_COUNT_MAX) {
        error_set(&error, ERROR_UNSUPPORTED, "more than %d parts", S3_PART_COUNT_MAX);
        s3_refuse(c, &error);
        return NULL;
    }
    buf_printf(&c->query, "partNumber=%d&uploadId=", part->number);
    uri_encode(&c->query, upload->id, "");
    return c;
}

/* Where a part begins follows from the order. */
void s3_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                    struct pipe *source)
{
    struct s3_call *c = begin_part(upload, call, &part_operation, part);

    if (c == NULL)
        return;
    exchange_send(&c->base, source, part->size);
    s3_field_md5(c);
    s3_submit(c);
}

/* Several versions of RGW decode the source of a part twice (and 16 aborts when the second time fails): bytes
 * of another object could end up in this one. */
static bool is_decoded_twice(const struct s3_upload *upload, const char *key)
{
    return is_rgw(upload) && (strchr(key, '%') != NULL || strstr(key, "?versionId=") != NULL);
}

void s3_upload_copy(struct upload *upload, struct call *call, const struct store_part *part,
                    const struct store_source *from)
{
    struct s3_call *c = begin_part(upload, call, &part_copy_operation, part);
    struct error error;
    char range[64];

    if (c == NULL)
        return;
    if (is_decoded_twice(upload_of(c), from->key)) {
        error_set(&error, ERROR_UNSUPPORTED, "Ceph RGW cannot copy parts of an object with such a key");
        s3_refuse(c, &error);
        return;
    }
    s3_allow_for_copy(c, part->size);
    snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)part->offset,
             (unsigned long long)(part->offset + part->size - 1));
    s3_field(c, "x-amz-copy-source-range", range);
    s3_submit_if(c, s3_add_copy_source(c, from));
}

/* ---- finishing ---- */

static void put_xml(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&\"'", *text) != NULL)
            buf_printf(out, "&#%d;", *text);
        else
            buf_putc(out, *text);
    }
}

static bool list_parts(const struct s3_upload *upload, struct buf *out, struct error *error)
{
    buf_puts(out, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for (int i = 0; i < upload->part_count; i++) {
        if (upload->etags[i] == NULL)
            return error_set(error, ERROR_PROTOCOL, "part %d is missing", i + 1);
        buf_printf(out, "<Part><PartNumber>%d</PartNumber><ETag>&#34;", i + 1);
        put_xml(out, upload->etags[i]);
        buf_puts(out, "&#34;</ETag></Part>");
    }
    buf_puts(out, "</CompleteMultipartUpload>");
    return !out->failed || error_set(error, ERROR_LOCAL, "out of memory");
}

/* Once it has succeeded, nobody needs the upload. */
static void finish_settle(struct s3_call *c)
{
    if (c->base.request.error.kind == ERROR_NONE)
        upload_free(upload_of(c));
}

static const struct s3_operation tag_operation = {
    .base = {.method = "PUT", .doing = "tagging"},
    .size = sizeof(struct upload_call),
    .permission = "s3:PutObjectTagging",
    .settle = finish_settle,
};

static void put_tags(struct s3_call *c, struct error *error)
{
    char *tagging = strdup(upload_of(c)->tagging);
    char *rest = tagging, *pair;
    struct buf *payload = &c->base.payload;

    s3_go_on(c, &tag_operation);
    buf_puts(&c->query, "tagging=");
    buf_puts(payload, "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>");
    while (tagging != NULL && (pair = strsep(&rest, "&")) != NULL) {
        char *value = pair + strcspn(pair, "=");

        if (*value != '\0')
            *value++ = '\0';
        uri_decode(pair, true);
        uri_decode(value, true);
        buf_puts(payload, "<Tag><Key>");
        put_xml(payload, pair);
        buf_puts(payload, "</Key><Value>");
        put_xml(payload, value);
        buf_puts(payload, "</Value></Tag>");
    }
    buf_puts(payload, "</TagSet></Tagging>");
    s3_field_payload_md5(c);
    free(tagging);
    if (tagging == NULL || payload->failed)
        error_set(error, ERROR_LOCAL, "out of memory");
}

/* The object is there. RGW takes no notice of the tags that an upload begins with. */
static enum http_verdict upload_finished(struct s3_call *c, struct error *error)
{
    if (upload_of(c)->tagging != NULL && is_rgw(upload_of(c)))
        put_tags(c, error);
    return HTTP_DONE;
}

/* The ETag of an object in parts is the MD5 of their MD5s, and their number ("Checking object integrity", Amazon S3 User
 * Guide). */
static bool has_etag_of_parts(const struct s3_upload *upload, const char *etag)
{
    char hex[DIGEST_HEX_SIZE], expected[DIGEST_HEX_SIZE + 16];
    struct digest digest;

    digest_begin(&digest);
    for (int i = 0; i < upload->part_count; i++)
        digest_add_hex(&digest, upload->etags[i]);
    digest_hex(&digest, hex);
    snprintf(expected, sizeof expected, "%s-%d", hex, upload->part_count);
    return strcasecmp(etag, expected) == 0;
}

/* Encrypted parts have ETags that nothing can be computed from. */
static bool has_number_of_parts(const struct s3_upload *upload, const char *etag)
{
    const char *dash = strrchr(etag, '-');

    return dash != NULL && strtol(dash + 1, NULL, 10) == upload->part_count;
}

/* Amazon dates an object in parts by the beginning of its upload, in whole seconds; others by its end. */
static bool is_of_its_time(const struct s3_upload *upload, int64_t modified)
{
    return modified != CLOCK_UNKNOWN && upload->begun != CLOCK_UNKNOWN && modified >= upload->begun - 1000;
}

/* Does an ETag say that all parts are in the object, and no others? */
static bool is_proven(const struct s3_upload *upload, const char *etag)
{
    return upload->opaque ? has_number_of_parts(upload, etag) : has_etag_of_parts(upload, etag);
}

/* After a finish whose answer was lost, or told an ETag that says nothing: is the object there that should have come of
 * it? */
static bool check_finished(const struct s3_call *c, struct error *error)
{
    const struct s3_upload *upload = upload_of(c);
    bool told = upload->etag[0] != '\0';
    bool own = told ? object_versions_equal(c->reply.etag, upload->etag)
                    : is_proven(upload, c->reply.etag) &&
                          (!upload->opaque || is_of_its_time(upload, c->base.call->info.modified));

    if (own && c->base.head.length_known && c->base.head.content_length == upload->size)
        return true;
    if (!told)
        return error_set(error, ERROR_NOT_FOUND, "the upload is gone, and another object is in its place");
    return error_set(error, ERROR_PROTOCOL,
                     "the service did not make one object of %llu bytes of the %d parts that it was sent",
                     (unsigned long long)upload->size, upload->part_count);
}

static enum http_verdict verify_answered(struct s3_call *c, struct error *error)
{
    return check_finished(c, error) ? upload_finished(c, error) : HTTP_DONE;
}

static const struct s3_operation verify_operation = {
    .base = {.method = "HEAD", .doing = "finishing", .answer = EXCHANGE_HEAD},
    .size = sizeof(struct upload_call),
    .permission = "s3:GetObject",
    .answered = verify_answered,
    .settle = finish_settle,
};

/* The upload is gone, or its condition holds no longer, and an earlier attempt whose answer was lost may have succeeded: look. */
static bool may_be_finished(struct s3_call *c)
{
    bool over = s3_has_code(c, "NoSuchUpload") || s3_has_code(c, "PreconditionFailed");

    if (!c->base.may_have_done || !over)
        return false;
    s3_go_on(c, &verify_operation);
    return true;
}

static enum http_verdict finish_answered(struct s3_call *c, struct error *error)
{
    s3_tell_etag(c);
    memcpy(upload_of(c)->etag, c->reply.etag, sizeof upload_of(c)->etag);
    if (is_proven(upload_of(c), c->reply.etag))
        return upload_finished(c, error);
    s3_go_on(c, &verify_operation);
    return HTTP_DONE;
}

static const struct s3_operation finish_operation = {
    .base = {.method = "POST", .doing = "finishing"},
    .size = sizeof(struct upload_call),
    .permission = "s3:PutObject",
    .root = "CompleteMultipartUploadResult",
    .element = s3_element_etag,
    .forgives = may_be_finished,
    .answered = finish_answered,
    .settle = finish_settle,
};

static void put_upload_id(struct s3_call *c)
{
    buf_puts(&c->query, "uploadId=");
    uri_encode(&c->query, upload_of(c)->id, "");
}

void s3_upload_finish(struct upload *base, struct call *call)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    struct s3_call *c = upload_call_begin(base->store, call, &finish_operation, upload->key, upload);
    struct error error;

    if (c == NULL)
        return;
    s3_allow_for_copy(c, upload->size);
    put_upload_id(c);
    s3_field(c, "content-type", "application/xml");
    s3_field_condition(c, &upload->condition);
    c->base.once = false; /* what became of an attempt is found out */
    if (!list_parts(upload, &c->base.payload, &error)) {
        s3_refuse(c, &error);
        return;
    }
    s3_field_payload_md5(c);
    s3_submit(c);
}

/* ---- aborting ---- */

/* Nobody sees the parts of an upload in a listing, but they cost money ("Aborting a multipart upload", Amazon S3 User
 * Guide). */
static void tell_what_stays(const struct s3_call *c)
{
    log_warn(
        "the upload of \"%.200s\" to %s could not be aborted: its parts stay, and are billed, until it is. Abort upload %.200s, or set a lifecycle rule with AbortIncompleteMultipartUpload. The reason: %.300s",
        upload_of(c)->key, c->store->bucket, upload_of(c)->id, c->base.request.error.text);
}

static bool is_aborted(struct s3_call *c)
{
    return s3_has_code(c, "NoSuchUpload");
}

static void abort_settle(struct s3_call *c)
{
    if (c->base.request.error.kind != ERROR_NONE)
        tell_what_stays(c);
    upload_free(upload_of(c));
}

static const struct s3_operation abort_operation = {
    .base = {.method = "DELETE", .doing = "aborting the upload of"},
    .size = sizeof(struct upload_call),
    .permission = "s3:AbortMultipartUpload",
    .forgives = is_aborted,
    .settle = abort_settle,
};

void s3_upload_abort(struct upload *base, struct call *call)
{
    struct s3_upload *upload = (struct s3_upload *)base;
    struct s3_call *c = upload_call_begin(base->store, call, &abort_operation, upload->key, upload);

    if (c == NULL) {
        upload_free(upload);
        return;
    }
    put_upload_id(c);
    s3_submit(c);
}
