/*
 * store - a bucket, wherever it is: one operations table behind store_s3, store_dir (and later others).
 *
 * An operation is started on a `struct call`, goes on inside loop_turn and store_step, and is over when
 * call->done. A call belongs to its owner, who can use it again once it is done, for any store. Starting
 * never blocks on the network; a directory does its (bounded) file work at once or piece by piece in
 * store_step. Retries, redirects and signatures happen below this interface. What remains visible is
 * `call->error`, with a text that names the store, the operation and the key.
 *
 * Bodies: small ones (state files) live in call->body; large ones stream through a `struct pipe`, at most
 * PIPE_CAPACITY at a time. A streamed operation that breaks after bytes have moved cannot be retried below
 * this interface: it ends with call->again set when a new attempt of both halves makes sense.
 *
 * What an operation is given is borrowed until it has begun; stores, uploads, pipes, ranges and pages until it is over.
 *
 * A write with a condition ends with ERROR_PRECONDITION when that does not hold, and with ERROR_UNSUPPORTED when the service
 * says that it has no such thing. Its answer may be lost (ERROR_UNREACHABLE, ERROR_TIMEOUT): whether it happened is for the
 * caller to find out.
 */
#ifndef STORSYNC_STORE_H
#define STORSYNC_STORE_H

#include "error.h"
#include "filter.h"
#include "loop.h"
#include "object.h"
#include "pipe.h"
#include "settings.h"

#include <stdbool.h>
#include <stdint.h>

/* Ceiling of call->body. */
#define STORE_SMALL_MAX ((size_t)256 * 1024)

#define STORE_URL_SIZE 1400

struct store;
struct store_page;
struct upload; /* a large object being put together, between store_upload_begin and _finish or _abort */

/* One version of an object, where it is. */
struct store_source {
    struct store *store;
    const char *key;
    const char *version; /* "": whichever there is */
    const char *past; /* not the one that is there now, but this (store_find_past); NULL: the present one */
};

#define STORE_PAST_SIZE 200

/* The keys that a listing is about: they begin with `prefix`, come after `after` and before `until`. The latter two may be
 * NULL or "": there is no such bound. A folder of which `filter` takes nothing need not be looked into; NULL takes all. */
struct store_range {
    const char *prefix, *after, *until;
    struct filter *filter;
    bool urgent; /* as in struct call */
};

/* When a write may happen. A service may take no notice of a condition that it does not know: see struct store_traits. */
enum store_when { STORE_ALWAYS, STORE_IF_ABSENT, STORE_IF_VERSION };
struct store_condition {
    enum store_when when;
    const char *version; /* STORE_IF_VERSION: the one that has to be there still; never "" */
    bool bare; /* put to the service without the quotes that belong there: some misjudge it with them */
};

/* An object that is to be written. */
struct store_target {
    const char *key;
    uint64_t size;
    int64_t modified; /* what a store that keeps times sets; CLOCK_UNKNOWN: the time of its writing */
    const struct object_meta *meta;
    const struct object_meta
        *acl;                /* as store_acl tells it, or "acl" with the name of a canned one; NULL: none */
    struct object_hash hash; /* of all of it, if that is known */
    struct store_condition condition;
};

/* A part of one. All but the last have the same size. */
struct store_part {
    int number; /* from 1 */
    uint64_t offset, size;
};

/* What a store can do, and how it differs from others. Fixed once it is open, but for what is learnt. */
struct store_traits {
    uint64_t put_max,
        copy_max;           /* the largest body a single put or copy may have; above it, an upload in parts */
    uint64_t part_min;      /* the smallest part, but for the last */
    uint64_t part_multiple; /* of which each part but the last has whole ones; 0: any size will do */
    uint64_t part_copy;     /* how large a part is best that is copied inside the service */
    int part_count_max;
    bool in_order;    /* a part is taken when those before it are there, and none beside it */
    bool local;       /* to read an object costs no traffic */
    bool seeks;       /* a listing begins behind any key, at no more cost than at its beginning */
    bool keeps_times; /* an object has the time that store_put is given, not that of its writing */
    bool plain;       /* bytes come and go without TLS, which would notice if one were changed on the way */
    bool has_acls;    /* an object has one, which may be a canned one */
    bool checks_md5;  /* it compares a body with the MD5 that it is told, or tells the one of what it has */
    bool refuses_md5; /* learnt: it has refused a body because of its MD5, before that was an object */
    bool if_absent;   /* that condition is known to hold, in one step with the write. Learnt: store_probe */
    bool copies_version; /* what it copies is known to be of the version that is asked for, or nothing */
    bool wants_md5;      /* learnt: it takes no body without being told its MD5 beforehand (Object Lock) */
    bool whole_parts;    /* learnt: it copies the whole object where a part is asked for */
};

/* What an answer said of the object. */
struct object_info {
    uint64_t size;    /* of the whole object, also of a ranged get; OBJECT_SIZE_UNKNOWN if not said */
    int64_t modified; /* CLOCK_UNKNOWN if not said */
    int64_t
        served; /* wall, when it was said, or that there is none, by the same clock; CLOCK_UNKNOWN if not told */
    uint64_t tags;   /* how many it has, as far as is told; fetch them with store_tags */
    bool false_hash; /* its listing shows a hash, which is none of the content: it is encrypted */
    struct object_hash hash;
    char version[OBJECT_VERSION_SIZE]; /* "" if not said */
};

struct call {
    bool once; /* the owner's: a write whose outcome is unknown is not sent again, but ends with that error */
    bool urgent; /* the owner's: it waits for no limit of requests and bytes a second */
    bool done;
    bool again;      /* a streamed half, or a write once only, broke in a way that a new attempt may mend */
    bool lost;       /* with `again`: all parts of the upload are gone, it has to be aborted and begun anew */
    bool head_known; /* get and head: `info` and `meta` are filled in (before the body arrives) */
    struct error error;
    struct object_info info;
    struct object_meta meta;
    struct buf body; /* small gets: the object */
    struct upload
        *upload; /* store_upload_begin: the result, owned by the caller until finish or abort is done */

    const struct store *store;   /* that is using, or last used, this call */
    const struct store_ops *ops; /* the same one's */
    struct loop *loop;           /* the same one's */
    void *impl;                  /* its private part */
};

void call_init(struct call *call);
void call_free(struct call *call); /* cancels what is under way */
void call_cancel(struct call *call, const struct error *why);

/* ---- opening ---- */

void store_close(struct store *store);

const char *store_name(const struct store *store); /* for people: "dedw3n-dev-storage", "file:///srv/dev" */
const char *store_url(const struct store *store);  /* exact: "s3://bucket (https://endpoint)" */

/* It is that side of a sync: what fails there says so, and which setting it comes from. `side` is borrowed. */
void store_take_side(struct store *store, const struct side *side);

const struct store_traits *store_traits(const struct store *store);

struct loop *store_loop(const struct store *store); /* that it was opened with */

/* Are they surely the same bucket? Then there is nothing to sync. Of two accounts each may have a bucket of that name. */
bool store_same(const struct store *a, const struct store *b);
/* Are they one service, so that `to` can copy from `from` without the bytes passing through here? */
bool store_can_copy(const struct store *from, const struct store *to);
/* A copy is made with the credentials of `to`. Is the bucket that these see by the name of `from`'s surely the same one?
 * If not, store_peek shows. */
bool store_sees(const struct store *to, const struct store *from);
/* Can they be the two sides of a sync? False, with ERROR_CONFIG, if one directory lies inside the other:
 * every copy would make something new to copy. (The same bucket twice is harmless, and store_same's
 * affair.) */
bool store_check_pair(const struct store *source, const struct store *destination, struct error *error);

/* ---- operations ---- */

/* Fills `page` with the keys after its position (page.h): for the cursor. */
void store_list(struct store *store, struct call *call, const struct store_range *range,
                struct store_page *page);

/* Reads a small object into call->body. One of more than STORE_SMALL_MAX bytes: ERROR_UNSUPPORTED, call->info told. */
void store_read(struct store *store, struct call *call, const char *key);

/* Writes a small object of JSON. `condition` may be NULL. */
void store_write(struct store *store, struct call *call, const char *key, const char *data, size_t len,
                 const struct store_condition *condition);

/* Does STORE_IF_ABSENT hold here, or does the service take no notice of it? `call` is a write on that condition which is over,
 * of a key that its owner had created just before. That it holds is remembered: traits.if_absent. */
enum store_finding { STORE_HOLDS, STORE_LACKS, STORE_UNSURE };
enum store_finding store_probe(struct store *store, const struct call *call);

void store_head(struct store *store, struct call *call, const char *key);
void store_remove(struct store *store, struct call *call, const char *key); /* absent is success */
/* Only the version of the condition. The services that do not know it remove whatever is there. */
void store_remove_if(struct store *store, struct call *call, const char *key,
                     const struct store_condition *condition);

/* Fills call->meta's "tagging" from the object's tags. */
void store_tags(struct store *store, struct call *call, const char *key);

/* Can the ACLs of `from` be given to what is written to `to`? */
bool store_shares_acls(const struct store *from, const struct store *to);
/* Fills call->meta with the object's grants, as pairs that mean something only to a store of the same kind; none if it has only
 * what every new one has. With a `key` of "" it is learnt who owns the bucket, to whom what an object's owner has is given
 * when it is written there: to be asked of the destination before the first object with grants. */
void store_acl(struct store *store, struct call *call, const char *key);

/* Does the bucket keep what is overwritten or removed? ERROR_UNSUPPORTED, with the remedy, if not. */
void store_keeps_past(struct store *store, struct call *call);
/* The version of the key that was listed as `entry`, wherever it is among those that the bucket has of it: call->body names it, and
 * call->info is about it. ERROR_NOT_FOUND: it is there no longer. */
void store_find_past(struct store *store, struct call *call, const struct object_entry *entry);
/* store_head of the present version, or of a past one. */
void store_look(const struct store_source *from, struct call *call);

/* Streams `length` bytes from `offset` into `sink` (closed at the end). offset 0 and length UINT64_MAX:
 * all of it; then sink->size is the size that it must have, if that is known. If a version is wanted: ERROR_PRECONDITION
 * if it is another by now, and an error if the answer does not say which it is.
 * A body that is shorter or longer than announced or wanted is an error. If sink->hashed and the MD5 of all of it
 * is known, so is one that is damaged. A pipe that was not closed holds no object. */
void store_get(const struct store_source *from, struct call *call, uint64_t offset, uint64_t length,
               struct pipe *sink);

/* Streams exactly target->size bytes from `source` into the object. Becomes visible whole or not at all. What is known of
 * the body (source->md5, or its digest) is compared with what the service says it has: before it is visible where the
 * service can (Content-MD5), else afterwards. */
void store_put(struct store *to, struct call *call, const struct store_target *target, struct pipe *source);

/* Copies inside the service, with all metadata (target->meta does not count, target->acl does); store_can_copy must hold. call->info has
 * version and hash of what came of it. */
void store_copy(struct store *to, struct call *call, const struct store_target *target,
                const struct store_source *from);

/* store_head of the source with the credentials of `to`. Its version does not count. */
void store_peek(struct store *to, struct call *call, const struct store_source *from);

/* In parts. The result is call->upload. */
void store_upload_begin(struct store *to, struct call *call, const struct store_target *target);
void store_upload_part(struct upload *upload, struct call *call, const struct store_part *part,
                       struct pipe *source);
/* A service that copies the whole object instead is found out by first and last part, if that is shorter: ERROR_UNSUPPORTED, and
 * the trait whole_parts. */
void store_upload_copy(struct upload *upload, struct call *call, const struct store_part *part,
                       const struct store_source *from);
/* Frees the upload when it succeeds. The condition of the target is that of this write. */
void store_upload_finish(struct upload *upload, struct call *call);
/* Frees the upload in any case. */
void store_upload_abort(struct upload *upload, struct call *call);

/* Local progress of a call under way: file work, resuming what a pipe had paused. True if anything moved. */
bool store_step(struct call *call);

/* Waits for a call, turning the loop: for the few things that are done one at a time. False if it failed, or
 * if stop_requested() (the call is cancelled then, and its error says why). */
bool store_wait(struct call *call);

/* The same for what has to be tidied up, also after stop_requested(): `limit` ms at most, and STORE_TIDY_MAX from the moment
 * when that asks for an end. */
#define STORE_TIDY_MAX 500 /* ms */
bool store_wait_for(struct call *call, int64_t limit);

#endif
