/*
 * sync_internal - what the files of sync share; nobody else includes this.
 *
 *     sync.c           the run: its paths one after the other, and the loop in which all of it happens
 *     sync_paths.c     when each path's listings are asked for
 *     sync_steps.c     what is done about the heads of the listings; in a dry run, what would be
 *     sync_slots.c     the objects that are under way, and what becomes of each
 *     sync_journal.c   with keep_previous: what was decided upon waits for its entry
 *     sync_extras.c    what only production has: counted in the first pass, removed in a second one
 */
#ifndef STORSYNC_SYNC_INTERNAL_H
#define STORSYNC_SYNC_INTERNAL_H

#include "breaker.h"
#include "concurrency.h"
#include "deed.h"
#include "join.h"
#include "keep.h"
#include "removal.h"
#include "sync.h"
#include "transfer.h"

/* A path's listings that were begun before its turn are begun anew, behind what was taken from them, if that takes longer; in ms. */
#define SYNC_AHEAD_AGE 60000
/* So many of its objects at most are under way or through before its turn. */
#define SYNC_AHEAD_MAX 16

/* One of the paths, from when its listings are begun until the last of its objects is settled. */
struct path {
    struct join join;
    int64_t asked;                    /* mono: when the listings were begun; 0: they are not */
    bool listed;                      /* nothing more to start in it */
    uint64_t seen;                    /* objects of the source, also those that are another shard's */
    uint64_t extra;                   /* objects that only production has and that may be removed */
    char reached[OBJECT_KEY_MAX + 1]; /* the last key that was taken from them in the first pass; "": none */
};

struct slot {
    struct transfer transfer;
    struct removal removal;
    enum plan_reason reason;
    bool
        ahead; /* of the path that comes next: it is settled, and the slot is free, when that one's turn has come */
    bool overwrites;  /* what was changed in production */
    struct deed deed; /* with a journal; it has transfer and removal then */
};

struct sync {
    struct sync_job *job;
    struct transfer_plan plan;
    char trial[JOB_PREFIX_SIZE + 3]; /* the plan's */
    struct keep *keep;               /* NULL: there is no journal */
    struct deed_plan deed_plan;
    struct slot *slots;
    int slot_count;
    struct concurrency concurrency;
    struct concurrency_figures figures;
    bool full;         /* one more slot would have been used */
    struct path path;  /* at hand */
    struct path next;  /* its listings are asked for meanwhile ... */
    int next_number;   /* ... or are to be; 0: they are, or there is none */
    struct path later; /* the one behind it: only where they were asked for before the run */
    struct breaker breaker;
    uint64_t bytes; /* of finished transfers */

    /* What only production has: counted in the first pass, and removed in a second one. */
    bool removing; /* this is the second one */
    bool halted;   /* it ends: not even what is in the journal already is removed */
    struct removal_plan removal_plan;
    uint64_t there;     /* objects of the destination */
    uint64_t own;       /* that only production has, because it made them */
    uint64_t removable; /* that may be removed, in all paths; in the second pass, of those not begun yet */
    uint64_t paths;     /* a bit for each in which something may be removed */
    struct error error; /* why the run is ending */
    int64_t give_up;    /* mono; end of the grace after a stop */
};

/* ---- sync.c ---- */

/* Both listings from their beginnings to their ends, and whatever is to be done about them. */
bool sync_walk_path(struct sync *sync, int number);

/* ---- sync_paths.c ---- */

/* Its turn has come: what was begun of it before is taken over. False, with sync->error: no memory. */
bool sync_begin_path(struct sync *sync, int number);
void sync_close_path(struct path *path);
/* The listings of the path after the one at hand are asked for with its own. Those of a directory take memory, and are not waited for:
 * they are begun when its own are through. True: they are now. */
bool sync_open_next(struct sync *sync);
/* Were its listings begun too long ago to be used now? */
bool sync_is_stale(const struct path *path);
/* What sync_begin_listings has begun is the run's from now on. */
void sync_take_listings(struct sync *sync);

/* ---- sync_steps.c ---- */

/* Acts on everything that is known of both listings, as far as there are free slots. */
bool sync_take_actions(struct sync *sync);
/* Copies of the path that comes next are begun when this one is listed, as far as nothing is to be told of it before. */
bool sync_take_ahead(struct sync *sync);

/* Production has changed the object, which would be copied over. */
void sync_leave_alone(const struct sync *sync, const char *key);
void sync_tell_unreadable(const struct sync *sync);
/* Has the destination an object at these heads that none of our syncs wrote? */
bool sync_is_of_production(const struct sync *sync, const struct join *join);
/* A line of the plan, if there is to be one, about the heads of the listings. */
void sync_put_line(struct sync *sync, enum plan_fate fate, const char *reason, bool changed);

/* ---- sync_slots.c ---- */

/* Starts nothing more; what is under way is cut short. The first reason is the one that is told. */
void sync_stop(struct sync *sync, const struct error *why);

/* NULL: as many are under way as there should be. */
struct slot *sync_free_slot(struct sync *sync, bool for_large);
/* Will the relay of an object of that size be a large one, if it is one? UINT64_MAX: the size is not known. */
bool sync_is_large(const struct sync *sync, uint64_t size);
/* What nothing else needs takes parts of large objects. */
bool sync_lend_slots(struct sync *sync);
/* Moves what is under way and settles what has ended. Returns how many objects are still going. */
int sync_step_slots(struct sync *sync, bool *moved);
/* What has become of the slot's transfer. */
void sync_settle(struct sync *sync, struct slot *slot);
/* May one more object of the path that comes next be begun? There have to be as many slots for this one as it may use. */
bool sync_has_room_ahead(const struct sync *sync);
/* How many objects are going that are of that path. */
int sync_count_ahead(const struct sync *sync);
/* Is there anything of it that was begun? */
bool sync_is_ahead(const struct sync *sync);
/* Its turn has come. */
void sync_settle_ahead(struct sync *sync);
uint64_t sync_bytes_moved(const struct sync *sync);

/* ---- sync_journal.c ---- */

/* The journal, if there is to be one. False: no memory. */
bool sync_begin_journal(struct sync *sync);
/* Tells, in the journal and in the log, how the run went. */
void sync_end_journal(struct sync *sync);
/* Starts what is in the journal, as far as there are free slots, and brings the journal on. */
bool sync_step_journal(struct sync *sync);
/* False: there is no room. */
bool sync_add_to_journal(struct sync *sync, const struct keep_item *item);

/* ---- sync_extras.c ---- */

/* The destination has an object at the heads that the source has not. */
void sync_note_extra(struct sync *sync);
/* What is done about the heads of the listings in the second pass. False: no slot is free for it. */
bool sync_act_again(struct sync *sync);
void sync_settle_removal(struct sync *sync, const struct slot *slot);
/* The second pass, if there is to be one. */
void sync_remove_extras(struct sync *sync);

#endif
