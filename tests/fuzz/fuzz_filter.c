/* Anything as patterns and a key: no pattern can make it crash or take long, and what it says of a key holds together. */
#include "filter.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The first rule that matches decides: with those behind it left out it decides the same. */
static void check_first(struct filter *filter, const char *key, const struct filter_verdict *all)
{
    const struct filter_rule *rule;
    size_t index = 0;

    while ((rule = filter_rule(filter, index)) != NULL && rule != all->rule)
        index++;
    if (all->rule != NULL && rule == NULL)
        abort();
    if (all->rule != NULL && all->taken != all->rule->include)
        abort();
    filter_cut(filter, all->rule != NULL ? index + 1 : index);
    struct filter_verdict first = filter_look(filter, key);
    if (first.taken != all->taken || (first.rule == NULL) != (all->rule == NULL))
        abort();
    filter_cut(filter, index);
    if (filter_look(filter, key).rule != NULL)
        abort();
}

/* Of a folder that need not be looked into nothing is taken: not the key itself, nor others that begin so. */
static void check_folder(struct filter *filter, char *key, size_t folder)
{
    static const char *const others[] = {"", "a", "a/b", ".tmp", "b/"};
    char other[1200];

    if (folder > strlen(key) || key[folder - 1] != '/')
        abort();
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        memcpy(other, key, folder);
        memcpy(other + folder, others[i], strlen(others[i]) + 1);
        if (filter_look(filter, other).taken)
            abort();
    }
}

/* A line each: rules, the first of which may be a "!", and last a key. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[1024] = "";
    struct filter *filter = filter_new();
    struct filter_verdict verdict;
    char *line = text, *end;

    if (filter == NULL || size >= sizeof text) {
        filter_free(filter);
        return 0;
    }
    memcpy(text, data, size);
    if (*line == '!') {
        filter_only_included(filter);
        line++;
    }
    while ((end = strchr(line, '\n')) != NULL) {
        *end = '\0';
        struct filter_rule rule = {.include = *line == '+', .pattern = *line != '\0' ? line + 1 : line};
        rule.origin = "fuzz";
        const char *why = filter_add(filter, &rule);
        if (why != NULL && *why == '\0')
            abort();
        line = end + 1;
    }
    verdict = filter_look(filter, line);
    if (verdict.folder > 0)
        check_folder(filter, line, verdict.folder);
    if (verdict.rule == NULL && verdict.taken == filter_is_only_included(filter) &&
        filter_rule(filter, 0) != NULL)
        abort();
    check_first(filter, line, &verdict);
    filter_free(filter);
    return 0;
}
