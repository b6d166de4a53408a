#include "pace.h"

#define ONE INT64_C(1000)

static int64_t most(const struct pace *pace)
{
    int64_t tenth = pace->rate * ONE / 10;

    return tenth > ONE ? tenth : ONE;
}

void pace_init(struct pace *pace, int64_t rate, int64_t now)
{
    *pace = (struct pace){.rate = rate, .level = ONE, .filled = now};
}

static int64_t until_allowed(const struct pace *pace)
{
    return (ONE - pace->level + pace->rate - 1) / pace->rate;
}

/* A millisecond brings as many thousandths as a second brings whole ones. */
static void refill(struct pace *pace, int64_t now)
{
    int64_t passed = now - pace->filled;
    int64_t room = most(pace) - pace->level;

    if (passed <= 0)
        return;
    pace->filled = now;
    pace->level += passed < room / pace->rate + 1 ? passed * pace->rate : room;
    if (pace->level > most(pace))
        pace->level = most(pace);
}

bool pace_allows(struct pace *pace, int64_t now)
{
    if (pace->rate == 0)
        return true;
    refill(pace, now);
    return pace->level >= ONE;
}

void pace_spend(struct pace *pace, int64_t amount)
{
    int64_t debt_most = -PACE_MAX * ONE;

    if (pace->rate == 0)
        return;
    pace->level -= amount * ONE;
    if (pace->level < debt_most)
        pace->level = debt_most;
}

int64_t pace_wake(struct pace *pace, int64_t now)
{
    return pace_allows(pace, now) ? now : pace->filled + until_allowed(pace);
}
