/*
 * lease_internal - what the files of the lease share; nobody else includes this.
 *
 *     lease_record.c   an epoch's object: its key, and what is in it (lease_record.h)
 *     lease_watch.c    looking: which epochs there are, and whether the lease of the highest is over
 *     lease_keep.c     what we own: writing it, renewing it, making sure of it, removing older ones, giving it back
 *     lease_take.c     making an epoch ours: creating it, and proving that this means something
 *     lease.c          the way to it: waits for others, takes it, and asks whether there is still something to do
 *
 * Each uses only those above it. Looking and taking wait for their answers in lease->call and lease->cursor; renewals and
 * removals go on in lease_step.
 */
#ifndef STORSYNC_LEASE_INTERNAL_H
#define STORSYNC_LEASE_INTERNAL_H

#include "cursor.h"
#include "lease.h"

/* How often the service is asked again for what it does not show although it is there, or must be. */
#define LEASE_LOOKS_MAX 10

/* How long giving back a lease that nobody worked under may take, in ms. */
#define LEASE_RELEASE_UNUSED 500

/* ---- lease_watch.c ---- */

/* The epochs that a listing shows. */
struct lease_epochs {
    uint64_t highest; /* 0: none */
    int64_t written;  /* the highest: when, by the destination's clock */
    uint64_t older[LEASE_OLDER_MAX];
    int older_count; /* as far as they fit */
};

/* Renews what is `beside` meanwhile. False: that is lost, or a stop was requested. */
bool lease_wait_until(const struct lease *lease, int64_t until, struct error *error);

/* Before the service is asked once more: `asked` times it was before. False: a stop was requested. */
bool lease_pause(const struct lease *lease, int asked, struct error *error);

/* Reads an epoch's object: false with lease->call.error. One that cannot be understood, if only for its size, is
 * somebody's nevertheless. */
bool lease_read(struct lease *lease, uint64_t epoch, struct lease_record *out);

/* What lease_begin_look has begun. */
void lease_drop_look(struct lease *lease);
/* Adds what the listing has by now. CURSOR_END: that was all of it. */
enum cursor_state lease_note_epochs(struct lease *lease, struct cursor *cursor, struct lease_epochs *epochs);
/* All of the listing, of the look that was begun last, or of one that begins now. */
bool lease_list(struct lease *lease, struct lease_epochs *epochs, struct error *error);

/* Somebody's lease, as it is seen by who wants to have the next one. */
struct lease_watch {
    struct lease *lease; /* who wants it */
    uint64_t epoch;      /* the highest that is known; 0: none */
    struct lease_record record;
    struct object_info info; /* what the last look said of its object */
    int64_t seen;            /* mono: end of the first look that showed this record */
    int64_t looked;          /* mono: begin of the last look */
    bool clock_asked;
    int64_t clock; /* the destination's clock minus our monotonic one; CLOCK_UNKNOWN */
};

void lease_watch_init(struct lease_watch *watch, struct lease *lease);

/* Finds the highest epoch and looks at it. False with *error. */
bool lease_watch_highest(struct lease_watch *watch, struct error *error);

/* Looks at the watched epoch again. False with *error; its object being gone (its successor removed it) is no error
 * but makes the epoch 0. */
bool lease_watch_look(struct lease_watch *watch, struct error *error);

/* How long the watched record has to stay the same to be stale: the owner's TTL, or ours if that is longer. */
int64_t lease_watch_patience(const struct lease_watch *watch);

/* There is no lease, it was given back, or its owner does not believe in it any more. */
bool lease_watch_is_over(struct lease_watch *watch);

/* When the watched owner ended a clean pass, by the destination's clock; 0: not, or that is not known. */
int64_t lease_watch_cleaned(const struct lease_watch *watch);

/* The deployment's attempts so far that ended without a clean pass. */
int lease_watch_attempts(const struct lease_watch *watch);

/* A deployment that fails again and again, or dies, must not hammer the service: true with *error while it has to
 * wait. */
bool lease_watch_backs_off(struct lease_watch *watch, struct error *error);

/* ---- lease_keep.c ---- */

/* Writes our object; with `create`, only if there is none yet. False with lease->call.error. */
bool lease_write(struct lease *lease, bool create);

/* ---- lease_take.c ---- */

enum lease_taking { LEASE_TAKEN, LEASE_TAKEN_BY_ANOTHER, LEASE_NOT_TAKEN };

/* Takes the epoch after the watched one; wait->created is called. NOT_TAKEN with *error; what was created is given back then. */
enum lease_taking lease_take(struct lease *lease, const struct lease_watch *watch,
                             const struct lease_wait *wait, struct error *error);

#endif
