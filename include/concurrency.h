/*
 * concurrency - how many transfers go on at once: the number that is set, or what the service is found to bear.
 *
 * "auto" begins with CONCURRENCY_START and goes up by halves to CONCURRENCY_MAX. What is measured is the time from one change to
 * the next, but only while every slot is in use: the work that gets done in it. A step up stays if it has brought at least a
 * third of what it could have brought had each transfer taken as long as before, which bounds what latency may grow
 * by; else it is taken back, and none is tried for CONCURRENCY_PAUSE, nor while objects fail. As soon as the service asks for less (429, 503) the
 * limit is halved, once a second at most, down to CONCURRENCY_MIN.
 *
 * Measured over https a copy inside the service holds 40 KiB, a relay of a small object up to 130 KiB, most of which stays with its two
 * connections when it is over (80 over http), and one of a large object 250 KiB more. So of the latter "auto" has CONCURRENCY_LARGE at
 * most, and each takes the room of three. Of relays there are fewer, and each kind shares its room with the most that there were of the
 * other before. That keeps the process below 8 MiB. A number that is set counts for everything, and never changes.
 *
 * Pure: the clock and the figures are arguments.
 */
#ifndef STORSYNC_CONCURRENCY_H
#define STORSYNC_CONCURRENCY_H

#include <stdbool.h>
#include <stdint.h>

#define CONCURRENCY_START 16
#define CONCURRENCY_MAX 64
#define CONCURRENCY_MIN 4
#define CONCURRENCY_LARGE 16
#define CONCURRENCY_PLAIN 52        /* relays, between stores over http ... */
#define CONCURRENCY_TLS 32          /* ... or https */
#define CONCURRENCY_LARGE_RELAYS 12 /* those of large objects among them */
#define CONCURRENCY_SMALL 16384     /* bytes of an object whose relay is a small one */
#define CONCURRENCY_PAUSE 20000     /* ms */

/* Since the run began: none of them ever falls. */
struct concurrency_figures {
    uint64_t finished; /* transfers that ended well */
    uint64_t bytes;    /* that have arrived, also of those that are under way */
    uint64_t failed;   /* transfers */
    uint64_t refused;  /* answers 429 and 503 */
};

struct concurrency {
    int limit;       /* so many transfers at once, at most */
    const char *why; /* the limit is another one than before */
    int relays; /* the owner's: relays go on, CONCURRENCY_PLAIN or CONCURRENCY_TLS at most; 0: copies, or files */

    /* Private. */
    bool fixed;
    int peak;       /* so many were under way at once with `relays`: most of what they held is still there */
    int peak_large; /* the same of relays of large objects */
    bool warming;   /* the span under way is not measured: what began before the last change ends in it */
    int64_t since;  /* mono; when it began ... */
    struct concurrency_figures then; /* ... with these */
    uint64_t refused;                /* what was reacted to */
    uint64_t turns, full;            /* steps in it, and those in which every slot was in use */
    int below;                       /* what the limit was before a step up that is on trial; 0: none is */
    uint64_t rate;                   /* the work per second then */
    int64_t up_at;                   /* mono; no step up before */
    int64_t down_at;                 /* nor one down */
};

/* `setting`: 0 is "auto". */
void concurrency_init(struct concurrency *concurrency, int64_t setting, int64_t now);

/* How many slots and connections to have: the limit never gets above. */
int concurrency_most(int64_t setting);
/* With how many each may have its share of memory. */
int concurrency_usual(int64_t setting);

/* May one more begin, a relay of a large object or anything else, beside `active` of which `large` are such relays? */
bool concurrency_has_room(struct concurrency *concurrency, bool is_large, int active, int large);

/* `full`: more could have been started by now if there were more slots. True if the limit is another one now. */
bool concurrency_step(struct concurrency *concurrency, const struct concurrency_figures *figures, bool full,
                      int64_t now);

#endif
