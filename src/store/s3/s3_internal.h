/*
 * s3_internal - what the files of store_s3 share; nobody else includes this.
 *
 *     store_s3.c    opening; the operations, each as one request
 *     s3_call.c     the life of a call, and what moves between http and pipe
 *     s3_request.c  the URL, headers and signature of one attempt
 *     s3_reply.c    headers and body of one answer
 *     s3_verdict.c  what follows from it: done, again, or again in another region
 *     s3_error.c    the services' error codes and what each means
 *     s3_upload.c   uploads in parts
 *
 * One call is one S3 request, tried as often as http allows (the end of an upload may need a second one, see
 * s3_upload.c). Each attempt is signed anew, with what earlier answers taught about region and clock.
 *
 * INVARIANT: a host name is never taken from an answer. A redirect is followed only to where Amazon's own
 * naming scheme puts a region, and only when no endpoint was configured.
 * INVARIANT: an attempt is repeated below this interface only while no byte has gone into or come out of
 * a pipe.
 */
#ifndef STORSYNC_S3_INTERNAL_H
#define STORSYNC_S3_INTERNAL_H

#include "creds.h"
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
#define S3_PATH_MAX ((size_t)8 * 1024)
#define S3_QUERY_MAX ((size_t)16 * 1024)

/* "Amazon S3 multipart upload limits", Amazon S3 User Guide. */
#define S3_PUT_LIMIT (UINT64_C(5) * 1024 * 1024 * 1024)
#define S3_PART_MIN (UINT64_C(5) * 1024 * 1024)
#define S3_PART_COUNT_MAX 10000

/* What a service copies inside itself a millisecond, in bytes, at the least. Some say nothing until they are done, which
 * takes minutes for several GiB; others send white space. */
#define S3_COPY_RATE 4096

struct store_s3 {
    struct store base;
    const struct side *side;
    struct http *http;
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
};

enum s3_op {
    S3_LIST,
    S3_READ,
    S3_WRITE,
    S3_HEAD,
    S3_REMOVE,
    S3_TAGS,
    S3_GET,
    S3_PUT,
    S3_COPY,
    S3_UPLOAD_BEGIN,
    S3_UPLOAD_PART,
    S3_UPLOAD_COPY,
    S3_UPLOAD_FINISH,
    S3_UPLOAD_ABORT,
    S3_UPLOAD_VERIFY, /* did a finish whose answer was lost succeed? */
    S3_UPLOAD_TAG,    /* for services that forget the tags given when an upload began */
};

struct s3_operation {
    const char *method;
    const char *doing;      /* for error texts: "reading" */
    const char *permission; /* what the credentials must be allowed */
    const char *root;       /* element around a good answer's XML; NULL: not XML */
    bool body_is_object;    /* a good answer's body is the object's */
    bool describes_object;  /* a good answer's headers are about the object */
    bool gives_etag;        /* a good answer has an ETag */
};
const struct s3_operation *s3_operation(enum s3_op op);

/* An upload in parts. */
struct upload {
    struct store_s3 *store;
    char key[OBJECT_KEY_MAX + 1];
    char id[1024];
    uint64_t size;
    int part_count;
    char **etags;                /* of parts 1 to part_count, NULL for one that is not there yet */
    bool opaque;                 /* not all of them are MD5s */
    int64_t begun;               /* wall, by the service's clock; CLOCK_UNKNOWN if it did not say */
    char *tagging;               /* NULL: none */
    char etag[OBJECT_ETAG_SIZE]; /* of the object, as the answer to the finish told it; "" if none did */
};

/* One answer, as far as it has come. */
struct s3_reply {
    /* headers */
    char content_type[64];
    char region[S3_REGION_SIZE];
    char location[S3_TEXT_SIZE];
    int64_t date;
    bool opaque_etag; /* see struct object_info */
    bool length_known;
    uint64_t content_length;
    bool range_known;
    uint64_t range_first, range_last;
    uint64_t range_total; /* OBJECT_SIZE_UNKNOWN if it is "*" */

    /* body */
    uint64_t body_len;
    bool body_begun;        /* something else than white space has come */
    bool root_closed;       /* the root element is complete */
    struct error xml_error; /* why the rest of it is not looked at */
    char code[sizeof((struct error *)0)->code];
    char message[S3_TEXT_SIZE];
    char denied[64]; /* the action that the message names as not allowed */
    char request_id[64];
    char endpoint[S3_TEXT_SIZE];
    char etag[OBJECT_ETAG_SIZE];
    char upload_id[sizeof((struct upload *)0)->id];

    /* of a listing */
    bool url_encoded;     /* it says so */
    bool ends, truncated; /* it says that it is complete, that it is not */
    bool decoded;         /* a key was changed by decoding */
    bool refused;         /* it is XML, but makes no sense */
    bool undecodable;     /* a key could not be decoded */
    int keys;             /* how many have come */
    int safe_keys;        /* how many up to the last one that XML can hold */
    struct object_entry entry;
    bool size_known;
    bool other_prefix;                  /* it says that it is about another one */
    char listed_bucket[S3_BUCKET_SIZE]; /* "" if it does not say which */
};

/* What call->impl is. */
struct s3_call {
    struct call *call;
    struct store_s3 *store;
    const struct store_s3
        *named; /* whose bucket it is about: `store`, but for a look with its key into another */
    enum s3_op op;
    struct http_request request;

    /* The same for every attempt. */
    char key[OBJECT_KEY_MAX + 1];  /* "" for a request about the bucket; of a listing, the prefix */
    struct buf path;               /* encoded, as signed */
    struct buf query;              /* encoded, sorted */
    struct object_meta fields;     /* header fields, names in lower case */
    struct buf payload;            /* body that is sent from memory */
    uint64_t length;               /* of the body that is sent, or of the range that is wanted */
    uint64_t offset;               /* of that range */
    char wanted[OBJECT_ETAG_SIZE]; /* the version that is read; "": any */
    bool ranged;
    bool create;
    bool bad_field;    /* one of `fields` cannot be carried by a header */
    bool paid;         /* by us, whoever owns a bucket that it is about */
    struct pipe *pipe; /* where a streamed body goes, or comes from; NULL: not streamed */
    struct store_page *page;
    int page_keys; /* how many are asked for */
    struct upload *upload;
    int part;
    struct buf entry_key; /* of the listing's current entry */
    struct buf gathered;  /* from the answer: where the listing goes on, or the tags so far */

    /* What has happened so far. */
    bool paused;
    bool again;         /* see struct call */
    bool may_have_done; /* an earlier attempt may have had its effect, its answer was lost */
    bool clock_learnt;
    bool key_renewed;  /* before its time, because the service said that it had expired */
    bool next;         /* `op` is another one than was sent: submit it */
    uint64_t streamed; /* bytes put into or taken from the pipe, in all attempts */
    size_t payload_sent;
    struct error failure;              /* why the rest of an answer's body is thrown away */
    uint64_t wasted;                   /* how much of it that was */
    char strange_name[S3_BUCKET_SIZE]; /* the bucket that a listing was about, if it was not ours */
    char signed_region[S3_REGION_SIZE];
    struct creds_key signer; /* of the attempt that begins now, or the generation of the one that was made */
    struct error no_signer;  /* why there is none */
    struct xml *xml;         /* NULL until needed */
    struct s3_reply reply;
};

/* store_s3.c */
bool s3_set_region(struct store_s3 *store, const char *region); /* false: that cannot be one */
int64_t s3_copy_patience(uint64_t size);                        /* ms: see S3_COPY_RATE */

/* s3_call.c */
extern const struct http_hooks s3_hooks;
struct s3_call *s3_begin(struct store *base, struct call *call, enum s3_op op,
                         const char *key); /* NULL: it is over */
void s3_submit(struct s3_call *c);
void s3_refuse(struct s3_call *c, const struct error *error); /* instead of s3_submit */
bool s3_step(struct call *call);
void s3_cancel(struct call *call, const struct error *why);
void s3_release(struct call *call);

/* s3_request.c */
bool s3_ready(struct http_request *request);
bool s3_prepare(struct http_request *request, struct error *error);
void s3_build_path(struct s3_call *c);
/* Failures show in s3_prepare. A value that no header can carry is one. */
void s3_field(struct s3_call *c, const char *name, const char *value);
void s3_field_etag(struct s3_call *c, const char *name, const char *etag);
/* False: no memory. */
bool s3_add_copy_source(struct s3_call *c, const struct store *from, const char *key, const char *etag);
/* If the MD5 of the streamed body is known beforehand, the service shall refuse any other. */
void s3_field_md5(struct s3_call *c);
/* The header fields that carry `meta`; false, naming the pair, for what no header can carry. */
bool s3_meta_fields(struct s3_call *c, const struct object_meta *meta, struct error *error);

/* s3_reply.c */
void s3_reply_reset(struct s3_call *c);
void s3_on_header(struct http_request *request, const char *name, const char *value);
bool s3_on_body(struct http_request *request, const char *data, size_t len);
bool s3_is_success(const struct http_request *request);
/* The headers of a good answer about an object are complete. Sets `failure` if it is not what was
 * asked for. */
void s3_check_head(struct s3_call *c);
uint64_t
s3_expected_length(const struct s3_call *c);       /* of the object's body; OBJECT_SIZE_UNKNOWN: not known */
bool s3_etag_is_md5(const struct s3_reply *reply); /* of the object's bytes */

/* s3_verdict.c */
enum http_verdict s3_on_finish(struct http_request *request);

/* s3_error.c */
/* Judges a complete answer that is not a success: fills in request.error. True if another attempt
 * may help. */
bool s3_explain(struct s3_call *c);
void s3_explain_foreign(const struct s3_call *c, struct error *error); /* the answer is not S3's */

/* s3_upload.c */
void s3_upload_begin(struct store *store, struct call *call, const char *key, uint64_t size, int64_t modified,
                     const struct object_meta *meta);
void s3_upload_part(struct store *store, struct call *call, struct upload *upload, int number,
                    uint64_t offset, uint64_t size, struct pipe *source);
void s3_upload_copy(struct store *to, struct call *call, struct upload *upload, int number, uint64_t offset,
                    uint64_t size, struct store *from, const char *key, const char *etag);
void s3_upload_finish(struct store *store, struct call *call, struct upload *upload);
void s3_upload_abort(struct store *store, struct call *call, struct upload *upload);
/* A good answer to one of these has come. */
bool s3_upload_answered(struct s3_call *c, struct error *error);
/* The call is over, well or badly: gives the upload to whom it belongs, or frees it. */
void s3_upload_settle(struct s3_call *c);
/* An earlier attempt to finish may have succeeded and the upload is gone: turn the call into one
 * that looks. */
void s3_upload_verify(struct s3_call *c);

#endif
