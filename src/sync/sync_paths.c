#include "clock.h"
#include "sync_internal.h"
#include "text.h"

#include <stdlib.h>

/* A plan is written in the order of the keys, and whoever removes has to know that the source has something before it begins. */
static enum join_order order_of(const struct settings *settings, bool removing)
{
    return removing || (settings->dry_run && *settings->plan != '\0') ? JOIN_IN_ORDER : JOIN_ANY_ORDER;
}

/* Begins its listings. */
static bool open_path(const struct sync_job *job, struct path *path, int number, bool removing,
                      struct error *error)
{
    struct plan_rule rule = {
        .compare = (enum compare)job->settings->compare,
        .doubtful = job->lease != NULL && job->lease->after_failure,
    };
    struct store_range range = {.prefix = settings_part(job->settings, number),
                                .filter = settings_filter(job->settings)};

    *path = (struct path){.asked = clock_mono()};
    if (join_open(&path->join, job->source, job->destination, &range, rule, order_of(job->settings, removing),
                  error))
        return true;
    path->asked = 0;
    return false;
}

void sync_close_path(struct path *path)
{
    join_close(&path->join);
    path->asked = 0;
}

bool sync_is_stale(const struct path *path)
{
    return !path->begun && clock_mono() - path->asked > SYNC_AHEAD_AGE;
}

/* Parts that were asked for may lie within each other. */
static bool is_apart(const struct settings *settings, int number, int other)
{
    const char *a = settings_part(settings, number), *b = settings_part(settings, other);

    return !text_begins(a, b) && !text_begins(b, a);
}

/* The listings of the path after that one, unless it may change what they show. */
static void open_next(const struct sync_job *job, struct path *next, int number)
{
    struct error later; /* it is tried again when its turn has come */

    if (number + 1 < settings_part_count(job->settings) && is_apart(job->settings, number, number + 1))
        open_path(job, next, number + 1, false, &later);
}

bool sync_begin_path(struct sync *sync, int number)
{
    if (sync->next.asked != 0 && sync_is_stale(&sync->next))
        sync_close_path(&sync->next);
    if (sync->next.asked == 0 && !open_path(sync->job, &sync->next, number, sync->removing, &sync->error))
        return false;
    sync->path = sync->next;
    sync->next = sync->later;
    sync->later = (struct path){.asked = 0};
    sync->path.listed = sync->error.kind != ERROR_NONE;
    if (!sync->removing && !sync->path.listed && sync->next.asked == 0)
        open_next(sync->job, &sync->next, number);
    return true;
}

/* ---- before the run ---- */

struct sync_listings {
    struct path first, second;
};

void sync_drop_listings(struct sync_job *job)
{
    if (job->begun == NULL)
        return;
    sync_close_path(&job->begun->first);
    sync_close_path(&job->begun->second);
    free(job->begun);
    job->begun = NULL;
}

void sync_begin_listings(struct sync_job *job)
{
    struct error later; /* sync_run tries again */

    sync_drop_listings(job);
    job->begun = calloc(1, sizeof *job->begun);
    if (job->begun != NULL && open_path(job, &job->begun->first, 0, false, &later))
        open_next(job, &job->begun->second, 0);
}

void sync_take_listings(struct sync *sync)
{
    struct sync_listings *begun = sync->job->begun;

    if (begun == NULL)
        return;
    sync->next = begun->first;
    sync->later = begun->second;
    free(begun);
    sync->job->begun = NULL;
}
