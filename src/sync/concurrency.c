#include "concurrency.h"

#include <stddef.h>

/* A span is measured when so much time has passed and each slot has been used twice, or in any case after SPAN_MAX. */
#define SPAN_MIN 250    /* ms */
#define SPAN_MAX 10000  /* ms */
#define FALL_PAUSE 1000 /* ms; what was under way at the old limit may be refused as well */

/* An object is as much work as so many bytes of large ones. */
#define OBJECT_BYTES ((uint64_t)4 << 20)

static void begin_span(struct concurrency *c, const struct concurrency_figures *figures, int64_t now)
{
    c->since = now;
    c->then = *figures;
    c->turns = 0;
    c->full = 0;
}

static bool set_limit(struct concurrency *c, int limit, const char *why,
                      const struct concurrency_figures *figures, int64_t now)
{
    c->limit = limit;
    c->why = why;
    c->warming = true;
    begin_span(c, figures, now);
    return true;
}

int concurrency_most(int64_t setting)
{
    return setting != 0 ? (int)setting : CONCURRENCY_MAX;
}

int concurrency_usual(int64_t setting)
{
    return setting != 0 ? (int)setting : CONCURRENCY_START;
}

void concurrency_init(struct concurrency *c, int64_t setting, int64_t now)
{
    const struct concurrency_figures none = {0};

    *c = (struct concurrency){
        .limit = setting != 0 ? (int)setting : CONCURRENCY_START,
        .why = "as set",
        .fixed = setting != 0,
        .warming = true,
        .up_at = now,
        .down_at = now,
    };
    begin_span(c, &none, now);
}

/* What was done a second, in units of which an object that takes a second is 1,000. */
static uint64_t work_rate(const struct concurrency *c, const struct concurrency_figures *figures, int64_t now)
{
    uint64_t work = (figures->finished - c->then.finished) * 1000 +
                    (figures->bytes - c->then.bytes) / (OBJECT_BYTES / 1000);

    return work * 1000 / (uint64_t)(now - c->since);
}

static int next_step(int limit)
{
    int next = limit + limit / 2;

    return next < CONCURRENCY_MAX ? next : CONCURRENCY_MAX;
}

/* Has the step up brought a third of what it could have? */
static bool has_paid(const struct concurrency *c, int below, uint64_t rate)
{
    uint64_t hoped = c->rate * (uint64_t)(c->limit - below) / (uint64_t)below;

    return rate >= c->rate + hoped / 3;
}

static bool judge_span(struct concurrency *c, const struct concurrency_figures *figures, int64_t now)
{
    uint64_t rate = work_rate(c, figures, now);
    bool failing = (figures->failed - c->then.failed) * 8 > figures->finished - c->then.finished;
    int below = c->below;

    c->below = 0;
    if (below != 0 && (failing || !has_paid(c, below, rate))) {
        c->up_at = now + CONCURRENCY_PAUSE;
        return set_limit(c, below, failing ? "objects fail" : "more was no faster", figures, now);
    }
    if (failing || c->limit == CONCURRENCY_MAX || now < c->up_at) {
        begin_span(c, figures, now);
        return false;
    }
    c->below = c->limit;
    c->rate = rate;
    return set_limit(c, next_step(c->limit), "the service may bear more", figures, now);
}

static int greater(int a, int b)
{
    return a > b ? a : b;
}

/* What `slots` at once hold, of which `large` are relays of large objects: does it fit into memory, beside what is kept? */
static bool has_memory_for(const struct concurrency *c, int slots, int large)
{
    if (c->relays == 0)
        return large <= CONCURRENCY_LARGE && slots + 2 * large <= CONCURRENCY_MAX;
    return slots <= c->relays && large <= CONCURRENCY_LARGE_RELAYS &&
           greater(slots, c->peak) + 2 * greater(large, c->peak_large) <=
               c->relays + CONCURRENCY_LARGE_RELAYS;
}

/* Large relays that were begun as copies, and refused, are there without having been let in. They count as far as there is still
 * room for both kinds. */
static void note_large(struct concurrency *c, int large)
{
    int most = (c->relays + CONCURRENCY_LARGE_RELAYS - c->peak) / 2;

    most = most < CONCURRENCY_LARGE_RELAYS ? most : CONCURRENCY_LARGE_RELAYS;
    c->peak_large = greater(c->peak_large, large < most ? large : most);
}

bool concurrency_has_room(struct concurrency *c, bool is_large, int active, int large)
{
    if (c->relays != 0)
        note_large(c, large);
    if (active >= c->limit || (!c->fixed && !has_memory_for(c, active + 1, large + is_large)))
        return false;
    if (c->relays != 0) {
        c->peak = greater(c->peak, active + 1);
        c->peak_large = greater(c->peak_large, large + is_large);
    }
    return true;
}

bool concurrency_step(struct concurrency *c, const struct concurrency_figures *figures, bool full,
                      int64_t now)
{
    uint64_t finished = figures->finished - c->then.finished;

    bool refused = figures->refused > c->refused;

    if (c->fixed)
        return false;
    c->refused = figures->refused;
    if (refused && now >= c->down_at && c->limit > CONCURRENCY_MIN) {
        int half = c->limit / 2;

        c->below = 0;
        c->down_at = now + FALL_PAUSE;
        c->up_at = now + CONCURRENCY_PAUSE;
        return set_limit(c, half > CONCURRENCY_MIN ? half : CONCURRENCY_MIN, "the service asks for less",
                         figures, now);
    }
    c->turns++;
    c->full += full;
    if (now - c->since < SPAN_MAX &&
        (now - c->since < SPAN_MIN || finished < (uint64_t)c->limit * (c->warming ? 1 : 2)))
        return false;
    if (c->warming || c->full * 2 < c->turns) { /* what is not used cannot be judged */
        c->warming = false;
        begin_span(c, figures, now);
        return false;
    }
    return judge_span(c, figures, now);
}
