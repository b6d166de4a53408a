/*
 * s3_internal - what the files of store_s3 share; nobody else includes this.
 *
 *     store_s3.c     opening a bucket, and what two of them have in common
 *     s3_list.c      listing                              } the operations, each
 *     s3_object.c    one object, in one request           } with all that is
 *     s3_upload.c    one object, in parts                 } its own
 *     s3_acl.c       who may do what with one             }
 *     s3_call.c      a call: what exchange.h has to know of this service
 *     s3_endpoint.c  where requests go: bucket, endpoint, region
 *     s3_meta.c      names of user metadata, of which headers cannot have all
 *     s3_request.c   the URL, headers and signature of one attempt
 *     s3_reply.c     headers and XML of one answer
 *     s3_verdict.c   what follows from it: done, again, or again in another region
 *     s3_error.c     the services' error codes and what each means
 *
 * One call is one S3 request, tried as often as http allows (the end of an upload may need a second one, see
 * s3_upload.c). Each attempt is signed anew, with what earlier answers taught about region and clock.
 *
 * INVARIANT: a host name is never taken from an answer. A redirect is followed only to where Amazon's own
 * naming scheme puts a region, and only when no endpoint was configured.
 */
#ifndef STORSYNC_S3_INTERNAL_H
#define STORSYNC_S3_INTERNAL_H

#include "creds.h"
#include "exchange.h"
#include "sigv4.h"
#include "store_ops.h"
#include "store_s3.h"
#include "uri.h"
#include "xml.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define S3_BUCKET_SIZE 256
#define S3_REGION_SIZE 64
#define S3_TEXT_SIZE 200
#define S3_OWNER_SIZE 128
#define S3_META_NAME_SIZE 300 /* of user metadata, as part of a header's name */
#define S3_PATH_MAX ((size_t)8 * 1024)
#define S3_QUERY_MAX ((size_t)16 * 1024)

struct store_s3 {
    struct store base;
    const struct side *side;
    struct creds *creds;
    char bucket[S3_BUCKET_SIZE];
    bool amazon;         /* no endpoint was configured: it follows from the region */
    bool virtual_host;   /* the bucket is part of the host name, not of the path */
    struct uri endpoint; /* where requests go, without the bucket */
    char service[900];   /* the same, for people */

    /* Learnt from answers. */
    char region[S3_REGION_SIZE];
    struct sigv4_derived derived; /* from the key of this generation */
    unsigned generation;
    int64_t clock_offset;           /* ms to add to clock_wall for the service's time */
    bool plain_keys;                /* it ignores encoding-type=url in listings */
    char told_name[S3_BUCKET_SIZE]; /* what it calls the bucket in listings: `bucket`, but for gateways */
    char owner[S3_OWNER_SIZE];      /* of the bucket, see store_acl */

    struct xml *spare; /* a parser between two answers; to make one costs more than to use it */
};

struct s3_call;

/* One kind of request. What begins with a function may be missing. */
struct s3_operation {
    struct exchange_operation base;
    size_t size;            /* of its call, which begins with a struct s3_call */
    const char *permission; /* what the credentials must be allowed */
    const char *root;       /* element around a good answer's XML; NULL: not XML */
    bool about_bucket;      /* and not about one object in it */
    bool may_be_absent;     /* the object: who may not list the bucket is refused instead of told so */
    bool copies;            /* from an object that may be in another bucket */

    /* An attempt begins: forgets the last answer, and may change the query. */
    void (*prepare)(struct s3_call *c);
    /* An element below the root of a good answer's XML has ended; as xml_on_end. */
    bool (*element)(struct s3_call *c, const char *path, const char *text, struct error *error);
    /* A good answer's XML could not be read; `malformed`: because it is not well-formed, or not complete. True:
     * something was learnt from that, so that it will be another one next time. */
    bool (*misread)(struct s3_call *c, bool malformed);
    /* An answer has an error code. True: it is as good as success. */
    bool (*forgives)(struct s3_call *c);
    /* A good answer is complete, with its XML if there is any. Missing: there is nothing to find in it. */
    enum http_verdict (*answered)(struct s3_call *c, struct error *error);
    /* The call is over, well or badly. */
    void (*settle)(struct s3_call *c);
    /* Frees what its call has beyond struct s3_call. */
    void (*release)(struct s3_call *c);
};

/* What the document of an answer is. */
enum s3_root { S3_ROOT_UNKNOWN, S3_ROOT_ERROR, S3_ROOT_ANSWER, S3_ROOT_OTHER };

/* One answer, as far as it has come: what any of them may have. */
struct s3_reply {
    char region[S3_REGION_SIZE];
    char etag[OBJECT_VERSION_SIZE];
    bool encrypted; /* so that the ETag is no hash of the content, whatever it looks like */
    char request_id[64];

    /* body */
    uint64_t body_len;
    bool body_begun;        /* something else than white space has come */
    enum s3_root root;      /* by the first element that has ended */
    size_t root_len;        /* of its name */
    bool root_closed;       /* the root element is complete */
    bool understood;        /* so much of it that it must be the service's */
    bool senseless;         /* it is XML, but not what the operation can use */
    struct error xml_error; /* why the rest of it is not looked at */
    char code[sizeof((struct error *)0)->code];
    char message[S3_TEXT_SIZE];
    char denied[64]; /* the action that the message names as not allowed */
    char endpoint[S3_TEXT_SIZE];
};

/* What call->impl is. */
struct s3_call {
    struct exchange base;
    struct store_s3 *store;
    const struct store_s3
        *named; /* whose bucket it is about: `store`, but for a look with its key into another */

    /* The same for every attempt. */
    struct buf query;     /* encoded, sorted */
    bool paid;            /* by us, whoever owns a bucket that it is about */
    bool with_acl;        /* it writes an ACL */
    enum store_when when; /* it may write */

    /* What has happened so far. */
    bool clock_learnt;
    bool key_renewed; /* before its time, because the service said that it had expired */

    /* Of this attempt. */
    struct buf path; /* encoded, as signed */
    char signed_region[S3_REGION_SIZE];
    struct creds_key signer; /* of the attempt that begins now, or the generation of the one that was made */
    struct error no_signer;  /* why there is none */
    struct xml *xml;         /* from the first byte of its body to its end */
    struct s3_reply reply;
};

/* s3_endpoint.c */
bool s3_check_bucket(const char *bucket, struct error *error);
bool s3_set_endpoint(struct store_s3 *store, struct error *error);
bool s3_set_region(struct store_s3 *store, const char *region); /* false: that cannot be one */

/* s3_call.c */
/* NULL: it is over. */
struct s3_call *s3_begin(struct store *base, struct call *call, const struct s3_operation *operation,
                         const char *key);
void s3_submit(struct s3_call *c);
void s3_refuse(struct s3_call *c, const struct error *error); /* instead of s3_submit */
/* The same if `ok`, or without memory. */
void s3_submit_if(struct s3_call *c, bool ok);
/* See exchange_go_on. Its call must be of the same size; the query comes anew. */
void s3_go_on(struct s3_call *c, const struct s3_operation *operation);

/* s3_meta.c */
/* Appends what the name is here. False: no room. */
bool s3_meta_name(const char *name, struct buf *out);
/* The name that it has elsewhere, which is never longer. */
void s3_meta_own_name(char *name);

/* s3_request.c */
bool s3_ready(struct exchange *x);
bool s3_prepare(struct exchange *x, struct error *error);
/* See exchange_field; failures show in s3_prepare. */
void s3_field(struct s3_call *c, const char *name, const char *value);
void s3_field_etag(struct s3_call *c, const char *name, const char *etag);
/* False: no memory. */
bool s3_add_copy_source(struct s3_call *c, const struct store_source *from);
/* "How to prevent object overwrites with conditional writes", Amazon S3 User Guide. Other services know some of it, or take no
 * notice. */
void s3_field_condition(struct s3_call *c, const struct store_condition *condition);
/* If the MD5 of the streamed body is known beforehand, the service shall refuse any other. */
void s3_field_md5(struct s3_call *c);
/* The same for what is sent from memory, once it is complete. */
void s3_field_payload_md5(struct s3_call *c);
/* The header fields that carry `meta`; false, naming the pair, for what no header can carry. */
bool s3_meta_fields(struct s3_call *c, const struct object_meta *meta, struct error *error);
/* For how long the service may be busy with copying so many bytes, without a word. */
void s3_allow_for_copy(struct s3_call *c, uint64_t size);

/* s3_reply.c */
const struct s3_operation *s3_operation(const struct s3_call *c);
bool s3_header(struct exchange *x, const char *name, const char *value);
void s3_text(struct exchange *x, const char *data, size_t len);
void s3_reply_reset(struct s3_call *c);
/* The parser is not needed any more. */
void s3_reply_end(struct s3_call *c);
const char *s3_md5(const struct exchange *x); /* the ETag, if that is one */
void s3_copy_etag(char out[OBJECT_VERSION_SIZE], const char *value);
/* The same, and the MD5 that it may be. */
void s3_read_etag(const char *value, char out[OBJECT_VERSION_SIZE], struct object_hash *hash);
void s3_copy_text(char *out, size_t size, const char *text);
/* For operations whose XML has the ETag. */
bool s3_element_etag(struct s3_call *c, const char *path, const char *text, struct error *error);

/* s3_verdict.c */
bool s3_check_version(struct exchange *x, struct error *error);
enum http_verdict s3_judge(struct exchange *x);
bool s3_has_code(const struct s3_call *c, const char *code);
/* For `answered`: the answer is an object, or what the service says when it has taken one. */
enum http_verdict s3_answered_object(struct s3_call *c, struct error *error);
enum http_verdict s3_answered_receipt(struct s3_call *c, struct error *error);
/* Puts what the ETag of the answer says into call->info: version and hash. */
void s3_tell_etag(struct s3_call *c);

/* s3_error.c */
/* Judges a complete answer that is not a success: fills in the request's error. True if another attempt
 * may help. */
bool s3_explain(struct s3_call *c);
void s3_explain_foreign(const struct s3_call *c, struct error *error); /* the answer is not S3's */

/* s3_list.c */
void s3_list(struct store *store, struct call *call, const struct store_range *range,
             struct store_page *page);

/* s3_object.c */
void s3_read(struct store *store, struct call *call, const char *key);
void s3_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
              const struct store_condition *condition);
void s3_head(struct store *store, struct call *call, const char *key);
void s3_look(const struct store_source *from, struct call *call);
void s3_peek(struct store *to, struct call *call, const struct store_source *from);
void s3_remove(struct store *store, struct call *call, const char *key,
               const struct store_condition *condition);
void s3_tags(struct store *store, struct call *call, const char *key);
void s3_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
            struct pipe *sink);
void s3_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source);
void s3_copy(struct store *to, struct call *call, const struct store_target *target,
             const struct store_source *from);

/* s3_past.c */
void s3_keeps_past(struct store *store, struct call *call);
void s3_find_past(struct store *store, struct call *call, const struct object_entry *entry);

/* s3_acl.c */
void s3_acl(struct store *store, struct call *call, const char *key);
/* The header fields that carry the ACL of what is written. */
void s3_field_acl(struct s3_call *c, const struct object_meta *acl);

/* s3_upload.c */
#define S3_PART_COUNT_MAX 10000 /* "Amazon S3 multipart upload limits", Amazon S3 User Guide */

void s3_upload_begin(struct store *to, struct call *call, const struct store_target *target);
void s3_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                    struct pipe *source);
void s3_upload_copy(struct upload *upload, struct call *call, const struct store_part *part,
                    const struct store_source *from);
void s3_upload_finish(struct upload *base, struct call *call);
void s3_upload_abort(struct upload *base, struct call *call);

#endif
