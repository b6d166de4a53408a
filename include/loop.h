/*
 * loop - the one place where a run waits: for the network, for a moment, or for the request to stop.
 *
 * A run owns one loop, which has what all its waiting shares: the requests (http.h, which starts libcurl when the
 * first of them needs it: a run between two directories never does), the retry budget, and stop_fd(). Stores know the
 * loop that they were opened with. Everything above is a step function that moves what it can and never waits:
 *
 *     while (!done)
 *         if (!loop_turn(loop, step(...), INT64_MAX, &why))
 *             stop what is under way, which ends with `why`
 *
 * A turn sleeps only if nothing has moved, and never past the deadline of the run (stop.h). Nobody else sleeps while a
 * run goes on; tests/layers knows the few who may.
 */
#ifndef STORSYNC_LOOP_H
#define STORSYNC_LOOP_H

#include "error.h"
#include "http.h"
#include "retry.h"

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* NULL with *error: no memory. */
struct loop *loop_new(const struct http_limits *limits, struct error *error);
void loop_free(struct loop *loop); /* cancels what is under way; after the stores that use it */

struct http *loop_http(struct loop *loop); /* never NULL */

/* The shared budget, for retries that only an owner can do (a relay must rewind both of its halves). */
struct retry *loop_retry(struct loop *loop);

/* `watch` is called at every loop_turn, at least once a second. It must not wait, nor turn the loop. NULL: nobody. */
void loop_watch(struct loop *loop, void (*watch)(void *ctx), void *ctx);

/* One turn. Unless `moved`, sleeps until something can move, at most until `until` (mono; INT64_MAX: no time of one's
 * own); then requests go on. False, with *why, when stop_requested(): nothing was begun since that was known. */
bool loop_turn(struct loop *loop, bool moved, int64_t until, struct error *why);

/* The same for tidying up after a stop, which does not end it: `until` has to be near. Nobody is watching. */
void loop_tidy(struct loop *loop, bool moved, int64_t until);

/* For a step that waits for nothing but time: the next turn sleeps until `at` (mono) at most. It holds for that turn only. */
void loop_wake(struct loop *loop, int64_t at);

#endif
