/* "Exponential Backoff And Jitter", AWS Architecture Blog, 2015: "full jitter".
 * Generator: S. Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled", 2016:
 * xorshift64*, of which the upper half of each number is the better one. */
#include "retry.h"

void retry_init(struct retry *retry, int limit, uint64_t seed)
{
    *retry = (struct retry){
        .limit = limit,
        .tokens = RETRY_BUDGET,
        .random = seed != 0 ? seed : 1,
    };
}

/* Uniform in 0..max. */
static uint32_t retry_random(struct retry *retry, uint32_t max)
{
    uint64_t x = retry->random;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    retry->random = x;
    return (uint32_t)(((x * UINT64_C(0x2545F4914F6CDD1D) >> 32) * ((uint64_t)max + 1)) >> 32);
}

/* RETRY_BASE * 2^attempt, at most RETRY_CAP. */
static uint32_t retry_ceiling(int attempt)
{
    uint32_t ceiling = RETRY_BASE;

    while (attempt-- > 0 && ceiling < RETRY_CAP)
        ceiling *= 2;
    return ceiling < RETRY_CAP ? ceiling : RETRY_CAP;
}

int64_t retry_wait(struct retry *retry, int attempt, int64_t after)
{
    if (attempt > retry->limit || after > RETRY_AFTER_MAX || retry->tokens < RETRY_COST)
        return -1;
    retry->tokens -= RETRY_COST;
    return (after > 0 ? after : 0) + (int64_t)retry_random(retry, retry_ceiling(attempt));
}

void retry_success(struct retry *retry)
{
    if (retry->tokens < RETRY_BUDGET)
        retry->tokens++;
}
