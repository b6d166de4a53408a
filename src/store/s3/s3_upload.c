/*
 * "Uploading and copying objects using multipart upload", Amazon S3 User Guide; CreateMultipartUpload,
 * UploadPart, UploadPartCopy, CompleteMultipartUpload and AbortMultipartUpload, Amazon S3 API Reference.
 *
 * To finish may take a second request. When the answer to an attempt was lost and the next attempt finds the
 * upload gone, a HEAD tells whether the object is there that would have come of it: an object in parts has the ETag that
 * follows from theirs. Where those are no MD5s, it must at least be younger than the upload. When the answer came and tells
 * another ETag, or none, the service may have one of its own or may have lost a part: a HEAD tells the size. And RGW
 * forgets the tags that an upload began with, so they are set again.
 */
#include "s3_internal.h"

#include "clock.h"
#include "digest.h"
#include "log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* RGW's upload ids begin with this (MULTIPART_UPLOAD_ID_PREFIX in Ceph's rgw_multi.h). */
#define RGW_UPLOAD_ID "2~"

static bool is_rgw(const struct upload *upload)
{
    return strncmp(upload->id, RGW_UPLOAD_ID, strlen(RGW_UPLOAD_ID)) == 0;
}

static void upload_free(struct upload *upload)
{
    if (upload == NULL)
        return;
    for (int i = 0; i < upload->part_count; i++)
        free(upload->etags[i]);
    free(upload->etags);
    free(upload->tagging);
    free(upload);
}

static struct upload *upload_new(struct store *store, const char *key, uint64_t size,
                                 const struct object_meta *meta)
{
    struct upload *upload = calloc(1, sizeof *upload);
    const char *tagging = object_meta_get(meta, "tagging");

    if (upload == NULL)
        return NULL;
    upload->store = (struct store_s3 *)store;
    upload->size = size;
    upload->begun = CLOCK_UNKNOWN;
    snprintf(upload->key, sizeof upload->key, "%s", key);
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
static bool upload_set_part(struct upload *upload, int number, const char *etag)
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

void s3_upload_begin(struct store *store, struct call *call, const char *key, uint64_t size, int64_t modified,
                     const struct object_meta *meta)
{
    struct s3_call *c = s3_begin(store, call, S3_UPLOAD_BEGIN, key);
    struct error error;

    (void)modified; /* S3 sets it itself */
    if (c == NULL)
        return;
    buf_puts(&c->query, "uploads=");
    c->upload = upload_new(store, key, size, meta);
    if (c->upload == NULL) {
        error_set(&error, ERROR_LOCAL, "out of memory");
        s3_refuse(c, &error);
    } else if (!s3_meta_fields(c, meta, &error)) {
        s3_refuse(c, &error);
    } else {
        s3_submit(c);
    }
}

/* ---- parts ---- */

static struct s3_call *begin_part(struct store *store, struct call *call, enum s3_op op,
                                  struct upload *upload, int number)
{
    struct s3_call *c = s3_begin(store, call, op, upload->key);
    struct error error;

    if (c == NULL)
        return NULL;
    c->upload = upload;
    c->part = number;
    if (number < 1 || number > S3_PART_COUNT_MAX) {
        error_set(&error, ERROR_UNSUPPORTED, "more than %d parts", S3_PART_COUNT_MAX);
        s3_refuse(c, &error);
        return NULL;
    }
    buf_printf(&c->query, "partNumber=%d&uploadId=", number);
    uri_encode(&c->query, upload->id, "");
    return c;
}

void s3_upload_part(struct store *store, struct call *call, struct upload *upload, int number,
                    uint64_t offset, uint64_t size, struct pipe *source)
{
    struct s3_call *c = begin_part(store, call, S3_UPLOAD_PART, upload, number);

    (void)offset; /* follows from the order of the parts */
    if (c == NULL)
        return;
    c->pipe = source;
    c->length = size;
    s3_field_md5(c);
    s3_submit(c);
}

/* Several versions of RGW decode the source of a part twice (and 16 aborts when the second time fails): bytes
 * of another object could end up in this one. */
static bool is_decoded_twice(const struct upload *upload, const char *key)
{
    return is_rgw(upload) && (strchr(key, '%') != NULL || strstr(key, "?versionId=") != NULL);
}

void s3_upload_copy(struct store *to, struct call *call, struct upload *upload, int number, uint64_t offset,
                    uint64_t size, struct store *from, const char *key, const char *etag)
{
    struct s3_call *c = begin_part(to, call, S3_UPLOAD_COPY, upload, number);
    struct error error;
    char range[64];

    if (c == NULL)
        return;
    if (is_decoded_twice(upload, key)) {
        error_set(&error, ERROR_UNSUPPORTED, "Ceph RGW cannot copy parts of an object with such a key");
        s3_refuse(c, &error);
        return;
    }
    c->request.patience = s3_copy_patience(size);
    snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)offset,
             (unsigned long long)(offset + size - 1));
    s3_field(c, "x-amz-copy-source-range", range);
    if (!s3_add_copy_source(c, from, key, etag)) {
        error_set(&error, ERROR_LOCAL, "out of memory");
        s3_refuse(c, &error);
        return;
    }
    s3_submit(c);
}

/* ---- the end ---- */

static void put_xml(struct buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("<>&\"'", *text) != NULL)
            buf_printf(out, "&#%d;", *text);
        else
            buf_putc(out, *text);
    }
}

static bool list_parts(const struct upload *upload, struct buf *out, struct error *error)
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

void s3_upload_finish(struct store *store, struct call *call, struct upload *upload)
{
    struct s3_call *c = s3_begin(store, call, S3_UPLOAD_FINISH, upload->key);
    struct error error;

    if (c == NULL)
        return;
    c->upload = upload;
    c->request.patience = s3_copy_patience(upload->size);
    buf_puts(&c->query, "uploadId=");
    uri_encode(&c->query, upload->id, "");
    s3_field(c, "content-type", "application/xml");
    if (!list_parts(upload, &c->payload, &error))
        s3_refuse(c, &error);
    else
        s3_submit(c);
}

void s3_upload_abort(struct store *store, struct call *call, struct upload *upload)
{
    struct s3_call *c = s3_begin(store, call, S3_UPLOAD_ABORT, upload->key);

    if (c == NULL) {
        upload_free(upload);
        return;
    }
    c->upload = upload;
    buf_puts(&c->query, "uploadId=");
    uri_encode(&c->query, upload->id, "");
    s3_submit(c);
}

/* The next request of the same call, about the same object. */
static void go_on_with(struct s3_call *c, enum s3_op op)
{
    c->op = op;
    c->next = true;
    buf_clear(&c->query);
    buf_clear(&c->payload);
    object_meta_clear(&c->fields);
}

void s3_upload_verify(struct s3_call *c)
{
    go_on_with(c, S3_UPLOAD_VERIFY);
}

/* The ETag of an object in parts is the MD5 of their MD5s, and their number ("Checking object integrity", Amazon S3 User
 * Guide). */
static bool has_etag_of_parts(const struct upload *upload, const char *etag)
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
static bool has_number_of_parts(const struct upload *upload, const char *etag)
{
    const char *dash = strrchr(etag, '-');

    return dash != NULL && strtol(dash + 1, NULL, 10) == upload->part_count;
}

/* Amazon dates an object in parts by the beginning of its upload, in whole seconds; others by its end. */
static bool is_of_its_time(const struct upload *upload, int64_t modified)
{
    return modified != CLOCK_UNKNOWN && upload->begun != CLOCK_UNKNOWN && modified >= upload->begun - 1000;
}

/* Does an ETag say that all parts are in the object, and no others? */
static bool is_proven(const struct upload *upload, const char *etag)
{
    return upload->opaque ? has_number_of_parts(upload, etag) : has_etag_of_parts(upload, etag);
}

/* After a finish whose answer was lost, or told an ETag that says nothing: is the object there that should have come of
 * it? */
static bool check_finished(const struct s3_call *c, struct error *error)
{
    const struct upload *upload = c->upload;
    bool told = upload->etag[0] != '\0';
    bool own = told ? object_etags_equal(c->reply.etag, upload->etag)
                    : is_proven(upload, c->reply.etag) &&
                          (!upload->opaque || is_of_its_time(upload, c->call->info.modified));

    if (own && c->reply.length_known && c->reply.content_length == upload->size)
        return true;
    if (!told)
        return error_set(error, ERROR_NOT_FOUND, "the upload is gone, and another object is in its place");
    return error_set(error, ERROR_PROTOCOL,
                     "the service did not make one object of %llu bytes of the %d parts that it was sent",
                     (unsigned long long)upload->size, upload->part_count);
}

static bool put_tags(struct s3_call *c, struct error *error)
{
    char *tagging = strdup(c->upload->tagging);
    char *rest = tagging, *pair;

    go_on_with(c, S3_UPLOAD_TAG);
    buf_puts(&c->query, "tagging=");
    buf_puts(&c->payload, "<Tagging xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><TagSet>");
    while (tagging != NULL && (pair = strsep(&rest, "&")) != NULL) {
        char *value = pair + strcspn(pair, "=");

        if (*value != '\0')
            *value++ = '\0';
        uri_decode(pair, true);
        uri_decode(value, true);
        buf_puts(&c->payload, "<Tag><Key>");
        put_xml(&c->payload, pair);
        buf_puts(&c->payload, "</Key><Value>");
        put_xml(&c->payload, value);
        buf_puts(&c->payload, "</Value></Tag>");
    }
    buf_puts(&c->payload, "</TagSet></Tagging>");
    free(tagging);
    return (tagging != NULL && !c->payload.failed) || error_set(error, ERROR_LOCAL, "out of memory");
}

/* RGW takes no notice of the tags that an upload begins with. */
static bool restore_tags(struct s3_call *c, struct error *error)
{
    return c->upload->tagging == NULL || !is_rgw(c->upload) || put_tags(c, error);
}

static bool answered_finish(struct s3_call *c, struct error *error)
{
    memcpy(c->upload->etag, c->reply.etag, sizeof c->upload->etag);
    if (is_proven(c->upload, c->reply.etag))
        return restore_tags(c, error);
    s3_upload_verify(c);
    return true;
}

bool s3_upload_answered(struct s3_call *c, struct error *error)
{
    switch (c->op) {
    case S3_UPLOAD_BEGIN:
        snprintf(c->upload->id, sizeof c->upload->id, "%s", c->reply.upload_id);
        c->upload->begun = c->reply.date;
        return c->upload->id[0] != '\0' ||
               error_set(error, ERROR_PROTOCOL, "the service gave the upload no id");
    case S3_UPLOAD_PART:
    case S3_UPLOAD_COPY:
        c->upload->opaque |= !s3_etag_is_md5(&c->reply);
        return upload_set_part(c->upload, c->part, c->reply.etag) ||
               error_set(error, ERROR_LOCAL, "out of memory");
    case S3_UPLOAD_VERIFY:
        return check_finished(c, error) && restore_tags(c, error);
    case S3_UPLOAD_FINISH:
        return answered_finish(c, error);
    default:
        return true;
    }
}

/* Nobody sees the parts of an upload in a listing, but they cost money ("Aborting a multipart upload", Amazon S3 User
 * Guide). */
static void tell_what_stays(const struct s3_call *c)
{
    log_warn(
        "the upload of \"%.200s\" to %s could not be aborted: its parts stay, and are billed, until it is. Abort upload %.200s, or set a lifecycle rule with AbortIncompleteMultipartUpload. The reason: %.300s",
        c->upload->key, c->store->bucket, c->upload->id, c->request.error.text);
}

void s3_upload_settle(struct s3_call *c)
{
    bool failed = c->request.error.kind != ERROR_NONE;

    switch (c->op) {
    case S3_UPLOAD_BEGIN:
        c->call->upload = failed ? NULL : c->upload;
        if (failed)
            upload_free(c->upload);
        break;
    case S3_UPLOAD_FINISH:
    case S3_UPLOAD_VERIFY:
    case S3_UPLOAD_TAG:
        if (!failed)
            upload_free(c->upload);
        break;
    case S3_UPLOAD_ABORT:
        if (failed)
            tell_what_stays(c);
        upload_free(c->upload);
        break;
    default:
        break;
    }
    c->upload = NULL;
}
