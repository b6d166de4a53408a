#include "dir_batch.h"

#include "clock.h"

#include <sys/resource.h>

/* Of the process's descriptors: what is left over has to do for the two of each object, and for all others of the run. */
#define DESCRIPTORS_PER_COMMIT 8

/* The longest that a flush waits for others, ms. */
#define WINDOW_MAX 100

/* After so long, ms, no further file is flushed before the run has looked at its lease, which it could lose otherwise. */
#define FLUSH_MAX 500

void dir_batch_init(struct dir_batch *batch)
{
    struct rlimit limit;

    *batch = (struct dir_batch){.most = 1};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    if (limit.rlim_cur / DESCRIPTORS_PER_COMMIT > 1000)
        batch->most = 1000;
    else if (limit.rlim_cur >= DESCRIPTORS_PER_COMMIT)
        batch->most = (int)(limit.rlim_cur / DESCRIPTORS_PER_COMMIT);
}

/* ---- lists ---- */

static void append(struct dir_commit **list, struct dir_commit *commit)
{
    while (*list != NULL)
        list = &(*list)->next;
    commit->next = NULL;
    *list = commit;
}

static bool take_out(struct dir_commit **list, struct dir_commit *commit)
{
    while (*list != NULL && *list != commit)
        list = &(*list)->next;
    if (*list == NULL)
        return false;
    *list = commit->next;
    return true;
}

/* ---- the two halves ---- */

/* Takes off what is behind the first `count`. */
static struct dir_commit *cut_off(struct dir_commit **list, int count)
{
    struct dir_commit *rest;

    while (count-- > 0 && *list != NULL)
        list = &(*list)->next;
    rest = *list;
    *list = NULL;
    return rest;
}

/* Back to those that are to be flushed, before all others. */
static void put_back(struct dir_batch *batch, struct dir_commit *list)
{
    struct dir_commit **end = &list;

    for (; *end != NULL; end = &(*end)->next)
        (*end)->stage = DIR_WRITTEN;
    *end = batch->written;
    batch->written = list;
}

/* The leader is the first: one is flushed in any case, and its owner does not step again in this turn. */
static void flush_some(struct dir_batch *batch, struct dir_tree *tree, struct dir_commit *leader)
{
    int64_t begun = clock_mono();

    take_out(&batch->written, leader);
    leader->next = batch->written;
    batch->flushed = batch->leader = leader;
    batch->written = cut_off(&batch->flushed, batch->most);
    put_back(batch, cut_off(&batch->flushed, dir_commits_flush(tree, leader, begun + FLUSH_MAX)));
    batch->took = clock_mono() - begun;
}

static void name_all(struct dir_batch *batch, struct dir_tree *tree)
{
    for (const struct dir_commit *commit = batch->flushed; commit != NULL; commit = commit->next)
        batch->count--;
    dir_commits_name(tree, batch->flushed);
    batch->flushed = NULL;
    batch->leader = NULL;
}

/* ---- */

void dir_batch_add(struct dir_batch *batch, struct dir_commit *commit)
{
    commit->stage = DIR_WRITTEN;
    commit->since = clock_mono();
    append(&batch->written, commit);
    batch->count++;
}

/* Until when the ones that are written wait for those that are being written; 0: for nobody. */
static int64_t window_end(const struct dir_batch *batch)
{
    int64_t window = batch->took < WINDOW_MAX ? batch->took : WINDOW_MAX;

    return batch->writing > 0 && batch->count < batch->most ? batch->written->since + window : 0;
}

bool dir_batch_step(struct dir_batch *batch, struct dir_tree *tree, struct dir_commit *commit, int64_t *wake)
{
    *wake = 0;
    if (commit->stage == DIR_FLUSHED && batch->leader == commit) {
        name_all(batch, tree);
        return true;
    }
    if (commit->stage != DIR_WRITTEN || batch->flushed != NULL)
        return false;
    if (clock_mono() < window_end(batch)) {
        *wake = window_end(batch);
        return false;
    }
    flush_some(batch, tree, commit);
    return true;
}

void dir_batch_leave(struct dir_batch *batch, struct dir_commit *commit)
{
    if (!take_out(&batch->written, commit) && !take_out(&batch->flushed, commit))
        return;
    batch->count--;
    commit->next = NULL;
    if (batch->leader != commit)
        return;
    batch->leader = NULL;
    put_back(batch, batch->flushed);
    batch->flushed = NULL;
}
