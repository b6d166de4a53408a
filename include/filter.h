/*
 * filter - rules that say which keys are taken: an ordered list of patterns, of which the first that matches decides.
 *
 * A pattern is a glob over the whole key:
 *
 *     *  **  ?      anything without a '/'; anything at all; one character but '/'
 *     [a-z] [!a-z]  one character of those, or none of them ([^a-z] as well); never a '/'
 *     {a,b}         one of these patterns, which may have such braces of their own
 *     \             before any of these: the character itself
 *     /             at its beginning: matched from the beginning of the key, and not from that of any of its segments
 *     /             at its end: that folder, with all that is in it
 *     **            as a whole segment: any number of folders, none included
 *
 * It is what rclone's and git's users know, as far as both agree. What is special in one of them only (regular expressions,
 * \d, [[:alpha:]], three stars) is no pattern here: a rule that is understood in another way would copy what was not meant.
 *
 * All rules are run together, as one automaton with a set of states: the time for a key is at most its length times
 * FILTER_NODES_MAX, whatever the patterns are.
 */
#ifndef STORSYNC_FILTER_H
#define STORSYNC_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#define FILTER_PATTERN_MAX 1024 /* bytes of one pattern */
#define FILTER_NODES_MAX 16384  /* characters of all patterns, about; each takes 24 bytes */
#define FILTER_DEPTH_MAX 8      /* braces in braces */

struct filter;

struct filter_rule {
    bool include;
    const char *pattern;
    const char *origin; /* for people: "/etc/storsync/storsync.ini:7" */
};

struct filter_verdict {
    bool taken;
    const struct filter_rule *rule; /* which decided; NULL: none matches */
    size_t
        folder; /* so many bytes at the key's beginning are a folder of which nothing is taken; 0: there is none */
};

/* NULL: no memory. */
struct filter *filter_new(void);
void filter_free(struct filter *filter);

/* Adds a rule behind the others, with copies of its texts. Else the reason, which goes on behind the pattern ("is empty"). */
const char *filter_add(struct filter *filter, const struct filter_rule *rule);

/* Keeps the first `count` rules. */
void filter_cut(struct filter *filter, size_t count);

/* What no rule matches is not taken, either. */
void filter_only_included(struct filter *filter);
bool filter_is_only_included(const struct filter *filter);

/* NULL past the last one; a filter of NULL has none. */
const struct filter_rule *filter_rule(const struct filter *filter, size_t index);

/* A filter of NULL takes everything. Not reentrant: the set of states is the filter's. */
struct filter_verdict filter_look(struct filter *filter, const char *key);

#endif
