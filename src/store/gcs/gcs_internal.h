/*
 * gcs_internal - what the files of store_gcs share; nobody else includes this.
 *
 *     store_gcs.c      opening a bucket
 *     gcs_list.c       listing                              } the operations, each
 *     gcs_object.c     one object, read, written, removed   } with all that is
 *     gcs_copy.c       one object, inside the service       } its own
 *     gcs_upload.c     one object, in parts                 }
 *     gcs_call.c       a call: what exchange.h has to know of this service
 *     gcs_request.c    the address and the headers of one attempt
 *     gcs_resource.c   what JSON says of an object, and what is said of one in JSON
 *     gcs_error.c      the service's errors and what each means
 *
 * One call is one request after the other, each tried as often as http allows.
 *
 * INVARIANT: a host name is never taken from an answer. Of the address of an upload's session, only what follows the
 * host counts.
 */
#ifndef STORSYNC_GCS_INTERNAL_H
#define STORSYNC_GCS_INTERNAL_H

#include "exchange.h"
#include "gcp.h"
#include "json.h"
#include "store_gcs.h"
#include "store_ops.h"
#include "uri.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GCS_BUCKET_SIZE 223 /* "Bucket names": 222 bytes if dots are in it */

/* An object's resource with 8 KiB of metadata, every byte of which may be written as six. */
#define GCS_ANSWER_MAX ((size_t)96 * 1024)

/* All that is wanted of one. */
#define GCS_FIELDS                                                                                           \
    "name,bucket,size,updated,timeCreated,generation,metageneration,md5Hash,crc32c,contentType,contentEncoding,contentLanguage,contentDisposition,cacheControl,metadata"

struct store_gcs {
    struct store base;
    const struct side *side;
    struct gcp *gcp;
    char bucket[GCS_BUCKET_SIZE];
    struct uri endpoint; /* where requests go */
    char service[900];   /* the same, for people */
};

struct gcs_call;

/* One kind of request. What begins with a function may be missing. */
struct gcs_operation {
    struct exchange_operation base;
    size_t size;            /* of its call, which begins with a struct gcs_call */
    const char *permission; /* what the credentials must be allowed */
    bool about_bucket;      /* and not about one object in it */
    bool json;              /* a good answer is a JSON object */
    bool by_session; /* to the address of an upload, which is all that is needed: no credentials are sent */
    int good;        /* a status that is as good as success; 0: none */

    /* An attempt begins: forgets the last answer. */
    void (*prepare)(struct gcs_call *c);
    /* A piece of a good answer's body. Missing: it is collected in `answer`. */
    bool (*text)(struct gcs_call *c, const char *data, size_t len, struct error *error);
    /* An answer is an error, which the request's tells. True: that is the end of it, with what is left of it. */
    bool (*failed)(struct gcs_call *c, struct error *error);
    /* A good answer is complete; `root` is its JSON, or NULL. Missing: there is nothing to find in it. */
    enum http_verdict (*answered)(struct gcs_call *c, yyjson_val *root, struct error *error);
    /* The call is over, well or badly. */
    void (*settle)(struct gcs_call *c);
    /* Frees what its call has beyond struct gcs_call. */
    void (*release)(struct gcs_call *c);
};

/* What call->impl is. */
struct gcs_call {
    struct exchange base;
    struct store_gcs *store;

    /* The same for every attempt. */
    struct buf target;    /* path and query, encoded */
    enum store_when when; /* what is written may be */

    /* What has happened so far. */
    bool key_renewed;          /* because the service did not take it */
    bool resource_known;       /* what an object's media are sent with does not count */
    unsigned bearer;           /* the generation of the one of this attempt */
    char generation[24];       /* of the object, as its media tell */
    char metageneration[24];   /* the same */
    char md5[DIGEST_HEX_SIZE]; /* of the object's bytes, as the last answer tells; "" if it does not */
    struct object_hash hash;   /* the same */

    /* Of this attempt. */
    struct buf answer;    /* JSON, or the text of an error */
    char reason[48];      /* of an error */
    char message[200];    /* of an error */
    char request_id[64];  /* what the service calls it */
    char session[64];     /* of an upload: how much of it is kept, as Range tells it */
    struct buf *location; /* where the address of an upload goes, if one is expected */
};

/* gcs_call.c */
/* NULL: it is over. */
struct gcs_call *gcs_begin(struct store *base, struct call *call, const struct gcs_operation *operation,
                           const char *key);
void gcs_name_endpoint(const struct exchange *x, struct error *error); /* see exchange.h */
const struct gcs_operation *gcs_operation(const struct gcs_call *c);
void gcs_refuse(struct gcs_call *c, const struct error *error); /* instead of exchange_submit */
/* The same if memory ran out, else exchange_submit. */
void gcs_submit(struct gcs_call *c);
/* For what was read: is it a key that the service can have? False, and the call is over, if not. */
bool gcs_check_key(struct gcs_call *c);

/* gcs_request.c */
bool gcs_ready(struct exchange *x);
bool gcs_prepare(struct exchange *x, struct error *error);
/* The target: `root`, the bucket's objects or (unless NULL) one of them. */
void gcs_target(struct gcs_call *c, const char *root, const struct store_gcs *store, const char *key);
/* Completes it: prettyPrint, and who pays. `other` may be NULL: another bucket that it is about. */
void gcs_target_query(struct gcs_call *c, const struct store_gcs *other);
void gcs_param(struct gcs_call *c, const char *name, const char *value);
/* Only that version. The names are of the parameters for its two numbers. */
void gcs_param_version(struct gcs_call *c, const char *generation, const char *metageneration,
                       const char *version);
/* A canned ACL, by the name that it has here; "publicRead". */
void gcs_param_acl(struct gcs_call *c, const char *name, const struct store_target *target);
/* The condition of a write. */
void gcs_param_condition(struct gcs_call *c, const struct store_condition *condition);

/* gcs_resource.c */
/* What a resource says: `info`, and the metadata. False, with the error set, if it makes no sense. */
bool gcs_resource_info(struct gcs_call *c, yyjson_val *resource, struct error *error);
bool gcs_resource_meta(yyjson_val *resource, struct object_meta *meta, struct error *error);
/* The hash of a resource or of a line "crc32c=...,md5=..."; what is missing is NULL. */
void gcs_hash(const char *md5, const char *crc32c, struct object_hash *hash);
void gcs_hash_header(struct gcs_call *c, const char *value);
/* A whole number that JSON has as a text. */
bool gcs_number(yyjson_val *object, const char *name, uint64_t *out);
/* The version that a resource or an item of a listing has; "" if it tells none. */
void gcs_version(yyjson_val *resource, char version[OBJECT_VERSION_SIZE]);
/* Appends the resource that an object is written with. `md5`, hexadecimal digits, may be "". */
bool gcs_write_resource(const struct object_meta *meta, const char *md5, struct buf *out,
                        struct error *error);

/* gcs_error.c */
/* Judges a complete answer that is not a success: fills in the request's error. True if another attempt
 * may help. */
bool gcs_explain(struct gcs_call *c);
void gcs_explain_foreign(const struct gcs_call *c, struct error *error); /* the answer is not the service's */

/* gcs_list.c */
void gcs_list(struct store *store, struct call *call, const struct store_range *range,
              struct store_page *page);

/* gcs_object.c */
void gcs_read(struct store *store, struct call *call, const char *key);
void gcs_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
               const struct store_condition *condition);
void gcs_head(struct store *store, struct call *call, const char *key);
void gcs_look(const struct store_source *from, struct call *call);
void gcs_keeps_past(struct store *store, struct call *call);
void gcs_find_past(struct store *store, struct call *call, const struct object_entry *entry);
void gcs_remove(struct store *store, struct call *call, const char *key,
                const struct store_condition *condition);
void gcs_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
             struct pipe *sink);
void gcs_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source);
/* For `answered`: the resource is of what has been written. */
enum http_verdict gcs_answered_receipt(struct gcs_call *c, yyjson_val *root, struct error *error);

/* gcs_copy.c */
void gcs_copy(struct store *to, struct call *call, const struct store_target *target,
              const struct store_source *from);

/* gcs_upload.c */
#define GCS_CHUNK (UINT64_C(256) * 1024) /* a part has whole ones of these, but for the last */

void gcs_upload_begin(struct store *to, struct call *call, const struct store_target *target);
void gcs_upload_part(struct upload *base, struct call *call, const struct store_part *part,
                     struct pipe *source);
void gcs_upload_finish(struct upload *base, struct call *call);
void gcs_upload_abort(struct upload *base, struct call *call);
bool gcs_step(struct call *call);

#endif
