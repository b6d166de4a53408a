/*
 * breaker - when the failures of some objects mean that all others will fail, too: then the run ends, and does not ask for
 * millions of them in vain.
 */
#ifndef STORSYNC_BREAKER_H
#define STORSYNC_BREAKER_H

#include "error.h"

#include <stdbool.h>
#include <stdint.h>

/* So many in a row that failed for a reason that is not theirs: the service does not answer, refuses who we are, or has no
 * such bucket. */
#define BREAKER_HOPELESS_MAX 32

struct breaker {
    int64_t max;       /* the setting max_failures: so many in a row for one reason; 0: however many */
    int hopeless;      /* failures of that kind since the last success */
    int64_t alike;     /* failures since then, all for the reason of ... */
    struct error last; /* ... the last one */
};

void breaker_success(struct breaker *breaker);

/* An object failed. True: the others will, too, and *why is what the run ends with. */
bool breaker_trips(struct breaker *breaker, const struct error *failure, struct error *why);

#endif
