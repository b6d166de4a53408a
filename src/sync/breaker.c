#include "breaker.h"

#include <string.h>

/* Is this failure one that every other object will meet too? Both listings have shown that key and bucket are good: what
 * a service says against them once may be about one odd request, or come from one odd server of many. */
static bool dooms_the_run(struct breaker *breaker, const struct error *error)
{
    bool no_key = error->kind == ERROR_CREDENTIALS && error->status == 0;

    if (error->kind != ERROR_UNREACHABLE && error->kind != ERROR_TIMEOUT &&
        error->kind != ERROR_CREDENTIALS && error->kind != ERROR_NO_BUCKET)
        return false;
    return no_key || ++breaker->hopeless >= BREAKER_HOPELESS_MAX;
}

/* Some failures say something of their object only, however many such objects there are. */
static bool is_about_all(const struct error *error)
{
    return error->kind == ERROR_LOCAL || error->kind == ERROR_PROTOCOL || error->kind == ERROR_CONFIG ||
           (error->kind == ERROR_PERMISSION && strcmp(error->code, "InvalidObjectState") != 0);
}

/* Has every object failed for one reason for so long that the others will, too? */
static bool is_all_in_vain(struct breaker *breaker, const struct error *error)
{
    bool same = error->kind == breaker->last.kind && error->status == breaker->last.status &&
                strcmp(error->code, breaker->last.code) == 0;

    if (!is_about_all(error))
        return false;
    breaker->alike = same ? breaker->alike + 1 : 1;
    breaker->last = *error;
    return breaker->max != 0 && breaker->alike >= breaker->max;
}

void breaker_success(struct breaker *breaker)
{
    breaker->hopeless = 0;
    breaker->alike = 0;
}

bool breaker_trips(struct breaker *breaker, const struct error *failure, struct error *why)
{
    *why = *failure;
    if (dooms_the_run(breaker, failure))
        return true;
    if (!is_all_in_vain(breaker, failure))
        return false;
    error_prefix(why, "%lld objects in a row failed for one reason (setting max_failures), the last one: ",
                 (long long)breaker->alike);
    return true;
}
