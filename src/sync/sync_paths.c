#include "clock.h"
#include "sync_internal.h"
#include "text.h"

#include <stdlib.h>

/* A plan is written in the order of the keys, and whoever removes has to know that the source has something before it begins. */
static enum join_order order_of(const struct settings *settings, bool removing)
{
    return removing || (settings->dry_run && *settings->plan != '\0') ? JOIN_IN_ORDER : JOIN_ANY_ORDER;
}

/* Begins its listings, behind what was taken from others before. */
static bool open_path(const struct sync_job *job, struct path *path, int number, enum join_order order,
                      struct error *error)
{
    struct plan_rule rule = {
        .compare = (enum compare)job->settings->compare,
        .doubtful = job->lease != NULL && job->lease->after_failure,
    };
    struct store_range range = {.prefix = settings_part(job->settings, number),
                                .after = path->reached[0] != '\0' ? path->reached : NULL,
                                .filter = settings_filter(job->settings)};
    int64_t now = clock_mono();

    if (!join_open(&path->join, job->source, job->destination, &range, rule, order, error))
        return false;
    path->asked = now;
    return true;
}

void sync_close_path(struct path *path)
{
    join_close(&path->join);
    path->asked = 0;
}

bool sync_is_stale(const struct path *path)
{
    return clock_mono() - path->asked > SYNC_AHEAD_AGE;
}

/* Parts that were asked for may lie within each other. */
static bool is_apart(const struct settings *settings, int number, int other)
{
    const char *a = settings_part(settings, number), *b = settings_part(settings, other);

    return !text_begins(a, b) && !text_begins(b, a);
}

/* The path after that one, unless that may change what its listings show; 0: none. */
static int choose_next(const struct settings *settings, int number)
{
    bool is_last = number + 1 == settings_part_count(settings);

    return !is_last && is_apart(settings, number, number + 1) ? number + 1 : 0;
}

static bool is_local(const struct sync_job *job)
{
    return store_traits(job->source)->local || store_traits(job->destination)->local;
}

bool sync_begin_path(struct sync *sync, int number)
{
    enum join_order order = order_of(sync->job->settings, sync->removing);
    struct path *path = &sync->path;
    struct join before = sync->next.join;

    *path = sync->next;
    sync->next = sync->later;
    sync->later = (struct path){.asked = 0};
    if (path->asked != 0 && (sync->error.kind != ERROR_NONE || !sync_is_stale(path))) {
        if (order == JOIN_ANY_ORDER)
            join_loosen(&path->join);
    } else if (open_path(sync->job, path, number, order, &sync->error)) {
        join_close(&before);
    } else if (path->asked != 0) { /* what was begun of it has to be told all the same */
        path->join = before;
    } else {
        return false;
    }
    path->listed = sync->error.kind != ERROR_NONE;
    sync->next_number =
        sync->removing || sync->next.asked != 0 ? 0 : choose_next(sync->job->settings, number);
    return true;
}

/* In order, to be begun anew behind a key. */
bool sync_open_next(struct sync *sync)
{
    struct error later; /* it is tried again when its turn has come */

    if (sync->next_number == 0 || sync->error.kind != ERROR_NONE ||
        (is_local(sync->job) && !sync->path.listed))
        return false;
    open_path(sync->job, &sync->next, sync->next_number, JOIN_IN_ORDER, &later);
    sync->next_number = 0;
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
    int second = is_local(job) ? 0 : choose_next(job->settings, 0);

    sync_drop_listings(job);
    job->begun = calloc(1, sizeof *job->begun);
    if (job->begun != NULL && open_path(job, &job->begun->first, 0, order_of(job->settings, false), &later) &&
        second != 0)
        open_path(job, &job->begun->second, second, JOIN_IN_ORDER, &later);
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
