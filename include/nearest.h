/*
 * nearest - "did you mean": the known word that is closest to a mistyped one.
 *
 * Closeness is the Levenshtein distance. A word counts as near when at most two fifths of the longer of the two
 * would have to change, or when the mistyped word (three letters or more) is the beginning of it.
 */
#ifndef STORSYNC_NEAREST_H
#define STORSYNC_NEAREST_H

#include <stddef.h>

#define NEAREST_SIZE 64 /* longer words are near to nothing */

struct nearest {
    const char *word; /* borrowed */
    size_t distance;
    char best[NEAREST_SIZE]; /* "" while nothing near was offered */
};

void nearest_init(struct nearest *nearest, const char *word);

/* Offers `candidate`; what is suggested in its place is `shown`. Of equally near ones the first stays. */
void nearest_offer(struct nearest *nearest, const char *candidate, const char *shown);

/* The end of a message: "; did you mean X?", or "" if nothing is near. Returns `out`. */
#define NEAREST_HINT_SIZE (NEAREST_SIZE + 20)
const char *nearest_hint(const struct nearest *nearest, char out[NEAREST_HINT_SIZE]);

#endif
