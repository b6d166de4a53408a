/*
 * retry - how often, and after how long, something is tried again.
 *
 * Exponential backoff with full jitter: the wait before attempt n+1 is uniform in [0, base * 2^n], at most
 * `cap` (see "Exponential Backoff And Jitter", AWS Architecture Blog, 2015). A server's Retry-After is a
 * lower bound, to which the same is added: otherwise all that it turned away would come back at once.
 *
 * One budget is shared by everything in flight, so that an outage costs a bounded number of extra requests
 * and not one series per object: a retry takes RETRY_COST tokens, a success gives one back (the token bucket
 * of the AWS SDKs' "standard" retry mode).
 *
 * Pure: the clock and the random numbers are arguments or part of the struct.
 */
#ifndef STORSYNC_RETRY_H
#define STORSYNC_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define RETRY_BASE 200        /* ms */
#define RETRY_CAP 20000       /* ms */
#define RETRY_AFTER_MAX 60000 /* ms; a server that asks for more is not waited for */
#define RETRY_QUIET 2000      /* ms; who waits longer says so */
#define RETRY_BUDGET 500      /* tokens at the start, and at most */
#define RETRY_COST 5          /* tokens a retry */

struct retry {
    int limit; /* retries of one thing, beyond its first attempt */
    int tokens;
    uint64_t random; /* state of xorshift64*; not 0 */
};

/* `seed` should differ between processes that start together; any value will do. */
void retry_init(struct retry *retry, int limit, uint64_t seed);

/* After failed attempt number `attempt` (1 is the first): milliseconds to wait before the next, or -1 to give
 * up. `after` is what the server asked for in milliseconds, or 0. */
int64_t retry_wait(struct retry *retry, int attempt, int64_t after);

void retry_success(struct retry *retry);

#endif
