#include "loop.h"

#include "clock.h"
#include "stop.h"

#include <stdlib.h>

#define SLEEP_MAX 1000 /* ms */

struct loop {
    struct http *http;
    void (*watch)(void *ctx);
    void *ctx;
    int64_t wake_at; /* mono: when the next turn has to be over; INT64_MAX: nobody asked */
};

struct loop *loop_new(const struct http_limits *limits, struct error *error)
{
    struct loop *loop = calloc(1, sizeof *loop);

    if (loop == NULL) {
        error_set(error, ERROR_LOCAL, "out of memory");
        return NULL;
    }
    loop->wake_at = INT64_MAX;
    loop->http = http_new(limits, error);
    if (loop->http != NULL)
        return loop;
    free(loop);
    return NULL;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    http_free(loop->http);
    free(loop);
}

struct http *loop_http(struct loop *loop)
{
    return loop->http;
}

struct retry *loop_retry(struct loop *loop)
{
    return http_retry(loop->http);
}

void loop_watch(struct loop *loop, void (*watch)(void *ctx), void *ctx)
{
    loop->watch = watch;
    loop->ctx = ctx;
}

void loop_wake(struct loop *loop, int64_t at)
{
    if (at < loop->wake_at)
        loop->wake_at = at;
}

/* How long may be slept, in ms. */
static int sleep_until(struct loop *loop, bool moved, int64_t until)
{
    int64_t left = (until < loop->wake_at ? until : loop->wake_at) - clock_mono();

    loop->wake_at = INT64_MAX;
    if (moved || left <= 0)
        return 0;
    return left < SLEEP_MAX ? (int)left : SLEEP_MAX;
}

bool loop_turn(struct loop *loop, bool moved, int64_t until, struct error *why)
{
    if (stop_requested(why))
        return false;
    if (loop->watch != NULL)
        loop->watch(loop->ctx);
    http_step(loop->http, stop_wait(sleep_until(loop, moved, until)));
    return !stop_requested(why);
}

void loop_tidy(struct loop *loop, bool moved, int64_t until)
{
    http_step(loop->http, sleep_until(loop, moved, until));
}
