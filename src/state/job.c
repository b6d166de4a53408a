#include "job.h"

#include "hash.h"
#include "object.h"

#include <stdio.h>
#include <string.h>

#define NAME_DIGITS 16

_Static_assert(FILTER_PATTERN_MAX <= STORE_URL_SIZE, "a pattern fits into a line of the hash");

/* Takes one more line into the hash. A chain, so that no list has to be put together; no value has a line break in it. */
static void add_line(char hash[HASH_SIZE], const char *word, const char *value)
{
    char line[HASH_SIZE + 16 + STORE_URL_SIZE + OBJECT_KEY_MAX];
    int len = snprintf(line, sizeof line, "%s\n%s %s\n", hash, word, value);

    hash_sha256(line, (size_t)len, hash);
}

/* The first path after `last` in byte order; NULL: none. */
static const char *next_path(const struct settings *settings, const char *last)
{
    const char *next = NULL;

    for (int i = 0; i < settings_path_count(settings); i++) {
        const char *path = settings_path(settings, i);

        if ((last == NULL || strcmp(path, last) > 0) && (next == NULL || strcmp(path, next) < 0))
            next = path;
    }
    return next;
}

void job_init(struct job *job, const struct settings *settings, const struct store *source,
              struct store *destination)
{
    struct filter *filter = settings_filter(settings);
    const struct filter_rule *rule;
    const char *path = NULL;

    *job = (struct job){.store = destination};
    add_line(job->config, "source", store_url(source));
    while ((path = next_path(settings, path)) != NULL)
        add_line(job->config, "path", path);
    for (size_t i = 0; (rule = filter_rule(filter, i)) != NULL; i++)
        add_line(job->config, rule->include ? "include" : "exclude", rule->pattern);
    if (filter_is_only_included(filter))
        add_line(job->config, "only", "included");
    snprintf(job->prefix, sizeof job->prefix, OBJECT_STATE_PREFIX "%.*s/",
             *settings->job != '\0' ? SETTINGS_SEGMENT_MAX : NAME_DIGITS,
             *settings->job != '\0' ? settings->job : job->config);
}
