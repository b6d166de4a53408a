/* Which shard this is, and what cannot be done in shards. */
#include "settings_internal.h"

#include "env.h"

#include <string.h>

#define INDEX "JOB_COMPLETION_INDEX" /* Kubernetes, "Job", completionMode Indexed */

/* What looks at all of the bucket, or at who has written there, is nothing for one of several. */
static const char *unsupported(const struct settings *settings)
{
    if (settings->deletion != DELETE_OFF)
        return "delete";
    if (settings->keep_previous != KEEP_OFF)
        return "keep_previous";
    return settings->conflict != CONFLICT_OVERWRITE ? "conflict" : NULL;
}

void settings_check_shard(struct settings *settings, const char *const *environ_)
{
    struct settings_state *state = settings->state;
    const char *index = env_find(environ_, INDEX), *name = unsupported(settings);
    struct shard shard;
    int of_pod = SHARD_UNKNOWN;

    if (!shard_parse(settings->shard, &shard)) {
        if (index != NULL && settings_is_default(settings, &settings->shard))
            settings_add(
                state, &state->notes,
                INDEX
                " is set and shard is not: each pod of the Job is about all objects; shard=/N gives each its share");
        return;
    }
    if (shard.count == 1) /* all of it */
        return;
    if (index != NULL)
        shard_parse_index(index, shard.count, &of_pod);
    if (shard.index == SHARD_UNKNOWN)
        shard.index = of_pod;
    if (shard.index == SHARD_UNKNOWN) {
        settings_add(
            state, &state->refusals,
            "shard=%s takes the shard's number from " INDEX
            ", which is \"%.20s\": it has to be from 0 to %d, as in an Indexed Job of Kubernetes; or give it, shard=I/%d",
            settings->shard, index != NULL ? index : "", shard.count - 1, shard.count);
    } else if (index != NULL && of_pod != shard.index) {
        settings_add(state, &state->refusals,
                     "shard=%s, but " INDEX " is %.20s: shard=/%d takes it from there", settings->shard,
                     index, shard.count);
    } else if (name != NULL) {
        settings_add(state, &state->refusals,
                     "shard: one of several cannot do what %s asks for: leave one of the two out", name);
    } else {
        settings->share = shard;
    }
}
