/*
 * exchange - an operation of a store as one HTTP request after the other: what all services over HTTP have in common.
 *
 * It sends a body from memory or from a pipe, receives one into a pipe or into call->body, resumes what a pipe had
 * paused, throws away a body that is no use, and knows what an answer must be to have the object in it that was asked
 * for, and whether an attempt may be repeated. What a service has of its own (addresses, names of headers, signatures,
 * lists, errors) comes in through a table of functions.
 *
 * A service's own call begins with a struct exchange, and is what call->impl points to. It is made by exchange_new,
 * filled in, and given to exchange_submit or exchange_refuse. Each attempt begins with `prepare` and ends with `judge`. An
 * operation that takes several requests goes on, in `judge`, with exchange_go_on.
 *
 * The text of an error is what was found out; "doing KEY in BUCKET: " is put in front of it when the call is over.
 *
 * INVARIANT: an attempt is repeated here only while no byte has gone into or come out of a pipe.
 */
#ifndef STORSYNC_EXCHANGE_H
#define STORSYNC_EXCHANGE_H

#include "digest.h"
#include "error.h"
#include "http.h"
#include "object.h"
#include "pipe.h"
#include "store.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct exchange;

/* What a good answer is; any other is EXCHANGE_TEXT. */
enum exchange_answer {
    EXCHANGE_TEXT,   /* what the service says, or nothing */
    EXCHANGE_HEAD,   /* its headers are about the object */
    EXCHANGE_OBJECT, /* the same, and its body is the object's */
};

struct exchange_operation {
    const char *method;
    const char *doing; /* for error texts: "reading" */
    enum exchange_answer answer;
};

/* Whom is asked. Borrowed. */
struct exchange_peer {
    const struct side *side;
    const char *address; /* for people: where the service is */
    const char *bucket;  /* for people: whose object it is */
};

struct exchange_service {
    const char *md5_name; /* for error texts, what it calls the MD5 of an object's bytes: "ETag" */

    /* May an attempt begin? See http.h. */
    bool (*ready)(struct exchange *x);
    /* An attempt begins: forgets the last answer, fills in the request's URL and headers. */
    bool (*prepare)(struct exchange *x, struct error *error);
    /* A header of an answer, name in lower case. False: it is none of the service's own, and means what HTTP says. */
    bool (*header)(struct exchange *x, const char *name, const char *value);
    /* A piece of a body that is no object's. `failure` may be set, then. */
    void (*text)(struct exchange *x, const char *data, size_t len);
    /* The headers of a good answer about an object are complete: is it about the version that is `wanted`? */
    bool (*check_version)(struct exchange *x, struct error *error);
    /* The MD5 of the object's bytes as the headers tell it; NULL if they do not. */
    const char *(*md5)(const struct exchange *x);
    /* A complete answer, of any status. Puts what is wrong with it into the request's error. */
    enum http_verdict (*judge)(struct exchange *x);
    /* The error is that there is no service where it was looked for: says where to change that. */
    void (*name_endpoint)(const struct exchange *x, struct error *error);
    /* The call is over, well or badly. Not called for one that is freed by `release` at once. */
    void (*settle)(struct exchange *x);
    /* Frees what the service's own call has, but not that itself. */
    void (*release)(struct exchange *x);
};

/* The headers of one answer that mean the same everywhere. */
struct exchange_head {
    char content_type[64];
    char location[200];
    int64_t date; /* wall; CLOCK_UNKNOWN if not told */
    bool length_known;
    uint64_t content_length;
    bool range_known;
    uint64_t range_first, range_last;
    uint64_t range_total; /* OBJECT_SIZE_UNKNOWN if it is not told */
};

struct exchange {
    struct call *call;
    const struct exchange_service *service;
    const struct exchange_operation *operation;
    struct http_request request;

    struct exchange_peer peer;

    /* The same for every attempt. */
    char key[OBJECT_KEY_MAX + 1]; /* "" for a request about the bucket; of a listing, the prefix */
    struct object_meta fields;    /* header fields, names in lower case */
    bool cramped;                 /* there was no memory for `sink` */
    bool bad_field;               /* one of them cannot be carried by a header */
    struct buf payload;  /* body that is sent from memory, or what is sent before the one from `source` */
    struct pipe *source; /* where a body that is sent comes from; NULL: from memory, or there is none */
    struct buf tail;     /* what is sent behind that */
    struct pipe *sink;   /* where the object's body goes; NULL: into call->body */
    uint64_t length;     /* of the body from `source`, or of the range that is wanted */
    uint64_t offset;     /* of that range */
    bool ranged;
    char wanted[OBJECT_VERSION_SIZE]; /* the version that is read; "": any */
    bool once;                        /* not to be repeated if an attempt may have had its effect */

    /* What has happened so far. */
    bool paused;
    bool again;         /* see struct call */
    bool may_have_done; /* an earlier attempt may have had its effect, its answer was lost */
    bool next;          /* `operation` is another one than was sent: submit it */
    uint64_t streamed;  /* bytes put into or taken from a pipe, in all attempts */

    /* Of this attempt. */
    size_t payload_sent, tail_sent;
    struct exchange_head head;
    bool elsewhere; /* the service's: an error is not its own, but whoever's that gives the credentials */
    bool refused;   /* the service's: the answer says that it had no effect */
    struct error failure; /* why the rest of the answer's body is thrown away */
    uint64_t wasted;      /* how much of it that was */
};

/* ---- the life of one ---- */

/* `size` zeroed bytes that begin with a struct exchange, for that call. NULL: no memory, and the call is over. */
struct exchange *exchange_new(struct call *call, size_t size, const struct exchange_service *service,
                              const struct exchange_operation *operation, const struct exchange_peer *peer);
/* False: it is too long, and the call is over. */
bool exchange_set_key(struct exchange *x, const char *key);
void exchange_submit(struct exchange *x);
void exchange_submit_if(struct exchange *x, bool ok);                /* or else refuses it, without memory */
void exchange_refuse(struct exchange *x, const struct error *error); /* instead of exchange_submit */
/* Once this request has ended well, the call goes on with another one: without fields, payload and `once`, which come
 * anew. */
void exchange_go_on(struct exchange *x, const struct exchange_operation *operation);

/* For struct store_ops. */
bool exchange_step(struct call *call);
void exchange_cancel(struct call *call, const struct error *why);
void exchange_release(struct call *call);

/* ---- what is asked ---- */

/* Can it be the value of a header? */
bool exchange_is_field_value(const char *text);
/* Adds to `fields`. That it cannot be carried is told by `bad_field`, that memory ran out by fields.pairs.failed. */
void exchange_field(struct exchange *x, const char *name, const char *value);
/* The body that is sent: that many bytes out of a pipe. */
void exchange_send(struct exchange *x, struct pipe *source, uint64_t length);
/* The object's body is wanted in a pipe, all of it or a range: see store_get. */
void exchange_receive(struct exchange *x, struct pipe *sink, uint64_t offset, uint64_t length);

/* ---- what is answered ---- */

bool exchange_is_success(const struct exchange *x);
/* Is this a good answer whose headers are about the object? */
bool exchange_is_about_object(const struct exchange *x);
/* A metadatum of the object, which may have come before. */
void exchange_keep_meta(struct exchange *x, const char *name, const char *value);
/* The whole of `text` as a decimal number. */
bool exchange_number(const char *text, uint64_t *out);

/* ---- what follows from it ---- */

/* Another attempt may help, after a pause or at once: is there a way to one? */
enum http_verdict exchange_retry(struct exchange *x, enum http_verdict how);
/* A good answer of EXCHANGE_HEAD or EXCHANGE_OBJECT is complete: is it what was asked for? */
enum http_verdict exchange_finish_object(struct exchange *x);
/* A body that was sent has been taken. False: the answer tells the MD5 of something else. */
bool exchange_check_stored(const struct exchange *x, struct error *error);

#endif
