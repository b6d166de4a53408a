/*
 * transfer - one object on its way from the source to the destination: a state machine with one bounded buffer.
 *
 * The sync loop owns a fixed number of transfers and uses each again for the next object. A transfer never
 * waits: transfer_step moves it as far as it can go now, after each turn of the http loop.
 *
 *     copy     server-side, conditional on the version that was listed; above the single-copy limit in parts
 *     relay    get -> pipe -> put; above part_size in parts, each a ranged get of the same version
 *
 * A copy is made with the destination's credentials, which may see another bucket by the source's name. What they say of
 * the source is never believed: where they are not the source's own, they are first shown to see the same object there;
 * "not there" and "changed" are asked of the source itself; and a copy whose content hash is not the listed one is looked
 * into. Parts that are all the same although the last one is shorter are no parts, but the whole object each: an upload of
 * those is not finished. What cannot be copied is relayed, and refusals are remembered: see struct copy_way.
 *
 * Four files, see transfer_internal.h.
 *
 * Others that are idle take parts of a large object, each its own: of a copy, and of a relay whose bytes need not be looked at in
 * their order (the MD5 or CRC32C of the whole is found from its first byte to its last). A part that fails there is handed
 * over to the transfer of the object, which does with it what it does with its own.
 *
 * An object that changed since it was listed is looked at again and copied as it is now. One that is gone by now is
 * TRANSFER_GONE, if the source says so and does not list it any more (absence.h): there is nothing left to copy. A broken
 * relay (either half) is started again from the part that broke, within the shared retry budget.
 *
 * A source object may be replaced while its bytes are on their way; the copy is later than the change then, and looks up to
 * date. Where both have a content hash the next run sees it (plan.h). Of others the source is asked once more when
 * all bytes are there. A directory's copy has the source's time; where that is whole seconds, an object that was read in the
 * second in which it was written is asked for once more in the next one. A write that counts as failed may have happened
 * all the same: if a file was replaced during it, the new version is copied at once, because the old one would look up to date.
 *
 * An answer with tags does not say of which version they are: where there are any, one more look shows that it is still
 * the version that is copied. The same of its ACL, which the request carries that makes the object at the destination.
 *
 * Over plain http the MD5 of what passes through has to be looked at, and finding it takes more than all else. So, before the first
 * object for which that is worth it, the destination is shown a body with another MD5 than it is told. If it refuses that, it is
 * left to it to compare what it gets with the source's MD5: before it is an object, and from end to end. An object of a few
 * parts then goes in one piece, so that there is one MD5 to be told. What fails once is looked at here, in parts.
 *
 * A source that tells no version of an object is read in one stream, whatever its size: ranges of it could belong to
 * different ones. What can be known of the bytes is compared before the destination gets the last of them, or before an
 * upload is finished; see the table in docs/DESIGN.md. A destination that demands to know the MD5 of a body beforehand
 * (Object Lock) is told the source's where that is known; any other body is read twice, and the first time only
 * measured.
 *
 * INVARIANT: when a transfer ends badly, no upload in parts is left open at the destination: it is aborted first, when no part of
 * it is under way any more.
 * INVARIANT: the parts of one object all come from one version of it (each is asked for by it).
 */
#ifndef STORSYNC_TRANSFER_H
#define STORSYNC_TRANSFER_H

#include "absence.h"
#include "error.h"
#include "object.h"
#include "pipe.h"
#include "store.h"

#include <stdbool.h>
#include <stdint.h>

/* How one of the two ways of copying inside the service (whole objects, parts) is doing. */
struct copy_way {
    bool off;    /* not tried any more */
    bool worked; /* once at least: a refusal is that object's affair */
    int refused; /* how many objects, before that */
};

/* What the transfers of one run have in common. */
struct transfer_plan {
    struct store *source; /* both have one loop, whose budget their retries share */
    struct store *destination;
    uint64_t part_size;
    enum tags tags;
    bool copy_acl;          /* each object with the grants that it has at the source ... */
    struct object_meta acl; /* ... or with this, which may be empty */
    bool tags_dropped; /* the destination has none: an object went through without that did not with them */
    bool restores;     /* files keep their permissions exactly */
    bool exact;        /* what was removed at the destination since it was listed is a change, too */
    bool server_copy;  /* try server-side copies */
    bool seen;         /* the destination's credentials see the source's bucket */
    /* Conditions (enum store_when) that the destination has not, or misjudges: a look before the write has to do. */
    bool lacks[STORE_IF_VERSION + 1];
    bool bare;          /* it misjudges a version in quotes: struct store_condition */
    const char *trial;  /* borrowed: a key that transfer_begin_trial may write; NULL: there is no trial */
    bool trying, tried; /* it has been made */
    bool in_parts;      /* a large object did not get through in one piece */
    bool false_hashes;  /* what the source's listing shows as hashes is none of the content */
    struct copy_way whole, parts;
};

enum transfer_result { TRANSFER_NONE, TRANSFER_COPIED, TRANSFER_GONE, TRANSFER_FAILED, TRANSFER_CONFLICT };

struct transfer {
    /* Valid from transfer_start until the next one. */
    char key[OBJECT_KEY_MAX + 1];
    struct object_entry entry;   /* its key is the one above; the rest follows what is found at the source */
    struct error error;          /* with TRANSFER_FAILED */
    uint64_t moved;              /* bytes of finished parts; for progress */
    enum transfer_result result; /* once idle again */
    bool relay;                  /* the bytes pass through here */

    /* Private. */
    bool one_stream; /* the source tells no version */
    bool whole;      /* it is larger than a part, and goes in one piece all the same */
    bool untagged;   /* without its tags, which may be what the destination refused */
    bool guarded;    /* only over this version of the destination's; "": only if it has none */
    char over[OBJECT_VERSION_SIZE];
    struct store_condition sent; /* with the last write; others may have learnt more since */
    bool stopping;               /* transfer_stop was called */
    bool again_after_abort;
    int attempt;         /* of the object or part at hand */
    int version_changes; /* how often the source changed under us, or all parts were in vain */
    struct transfer_plan *plan;
    const char *to;   /* its key at the destination, borrowed; NULL: the same one */
    const char *past; /* the version of the source's that is copied, borrowed; NULL: the present one */
    void (*state)(struct transfer *transfer); /* what happens at the next step; NULL: idle */
    void (*after_meta)(struct transfer *transfer), (*after_acl)(struct transfer *transfer);
    void (*after_look)(struct transfer *transfer);
    int64_t wake;    /* mono; end of a backoff; 0: none */
    struct call get; /* reading half; also heads */
    struct call put; /* writing half; also copies and tags */
    struct absence absence;
    struct object_meta meta, acl;
    struct pipe pipe;         /* allocated at the first relay */
    struct upload *upload;    /* open at the destination */
    struct store_part part;   /* the one under way */
    uint64_t part_size;       /* of all but the last */
    struct transfer *lead;    /* whose part, and upload, this has; NULL: it has an object of its own */
    struct digest parts;      /* of the parts that are through */
    struct digest parts_more; /* and of the one under way */
    uint32_t sum;             /* the same as a CRC32C */
    int begun;                /* parts: here and by others ... */
    int lent, broken;         /* ... of which so many have one now, and of so many that one has failed */
    char measured[DIGEST_HEX_SIZE]; /* the MD5 of the body at hand, read beforehand; "" if it was not */
};

/* Copies inside one bucket that keep an object as it is, or put it back; the plan's `acl` is to be freed. */
void transfer_plan_within(struct transfer_plan *plan, struct store *store, uint64_t part_size);

void transfer_init(struct transfer *transfer, struct transfer_plan *plan);
void transfer_free(struct transfer *transfer);

/* How large the object is that it relays now; 0: it relays none. */
uint64_t transfer_relayed(const struct transfer *transfer);

/* Begins with a copy of `entry`. The transfer must be idle. */
void transfer_start(struct transfer *transfer, const struct object_entry *entry);

/* The same, but only if the destination still has `there`, or nothing if that is NULL: TRANSFER_CONFLICT if it has anything
 * else. It is looked at before each attempt, and the write is on that condition where the service has those. After an attempt
 * whose answer was lost, what has the content of this object is taken for it; of anything else it is not known whose it is,
 * which is a failure. */
void transfer_start_over(struct transfer *transfer, const struct object_entry *entry,
                         const struct object_entry *there);

/* The same under another key, `to`, or of a `past` version (store_find_past), which is only copied inside the service; each may be
 * NULL, and is borrowed until it is idle. `over` is the version of that key at the destination
 * which it is to replace, "": there must be none, NULL: whatever there is. */
void transfer_start_as(struct transfer *transfer, const struct object_entry *entry, const char *to,
                       const char *past, const char *over);

/* Is there a part of its object which another transfer could take now? */
bool transfer_can_lend(const struct transfer *transfer);
/* An idle one takes it; TRANSFER_NONE when it is idle again. False: no memory. */
bool transfer_take_part(struct transfer *transfer, struct transfer *lead);

/* From now on it is one of that plan. It must be idle. */
void transfer_use(struct transfer *transfer, struct transfer_plan *plan);

/* Will an object of that size pass through here, as far as one can tell beforehand? */
bool transfer_would_relay(const struct transfer_plan *plan, uint64_t size);

bool transfer_idle(const struct transfer *transfer);

/* Moves on; true if anything moved. When transfer_idle holds afterwards, `result` says how it went. */
bool transfer_step(struct transfer *transfer);

/* Ends what is under way as quickly as can be, because of `why`: calls are cancelled; an open upload is being aborted by
 * further steps until idle. */
void transfer_stop(struct transfer *transfer, const struct error *why);

/* Until when nothing will happen by itself (a backoff): mono time, or INT64_MAX. */
int64_t transfer_wake(const struct transfer *transfer);

#endif
