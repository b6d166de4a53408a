/*
 * pace - how much may happen in a second: a token bucket. Pure, the clock is an argument.
 *
 * What was not used in a tenth of a second is lost, but for one: so nothing comes in bursts, and a process that woke up
 * late loses nothing. Whoever may not wait spends all the same, as does who learns afterwards how much it was: the others
 * wait until that is made up for.
 */
#ifndef STORSYNC_PACE_H
#define STORSYNC_PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PACE_MAX (INT64_C(1) << 40) /* the largest rate */

struct pace {
    int64_t rate;   /* a second; 0: no limit */
    int64_t level;  /* what may be spent, in thousandths; below 0: what was spent beyond that */
    int64_t filled; /* mono; until when `level` counts */
};

void pace_init(struct pace *pace, int64_t rate, int64_t now);

/* May one, or more, be spent? */
bool pace_allows(struct pace *pace, int64_t now);
void pace_spend(struct pace *pace, int64_t amount); /* at most PACE_MAX */

/* When it is allowed again if nothing is spent until then: mono, not later than `now` if it is. */
int64_t pace_wake(struct pace *pace, int64_t now);

#endif
