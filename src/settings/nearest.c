#include "nearest.h"

#include <stdio.h>
#include <string.h>

#define NEAREST_PREFIX_MIN 3

void nearest_init(struct nearest *nearest, const char *word)
{
    *nearest = (struct nearest){.word = word};
}

/* One row of the usual matrix is enough: row[j] is the distance between the part of `a` seen so far and the first
 * j bytes of `b`. */
static size_t nearest_distance(const char *a, const char *b)
{
    size_t row[NEAREST_SIZE];
    size_t width = strlen(b);

    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];

        row[0] = i + 1;
        for (size_t j = 1; j <= width; j++) {
            size_t change = diagonal + (a[i] != b[j - 1]);

            diagonal = row[j];
            row[j] = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            if (change < row[j])
                row[j] = change;
        }
    }
    return row[width];
}

void nearest_offer(struct nearest *nearest, const char *candidate, const char *shown)
{
    size_t typed = strlen(nearest->word);
    size_t known = strlen(candidate);
    size_t longer = typed > known ? typed : known;
    size_t distance;

    if (longer >= NEAREST_SIZE || strlen(shown) >= NEAREST_SIZE)
        return;
    if (typed >= NEAREST_PREFIX_MIN && strncmp(candidate, nearest->word, typed) == 0)
        distance = typed != known;
    else
        distance = nearest_distance(nearest->word, candidate);
    if (distance * 5 > longer * 2)
        return;
    if (nearest->best[0] != '\0' && distance >= nearest->distance)
        return;
    nearest->distance = distance;
    snprintf(nearest->best, sizeof nearest->best, "%s", shown);
}

const char *nearest_hint(const struct nearest *nearest, char out[NEAREST_HINT_SIZE])
{
    out[0] = '\0';
    if (nearest->best[0] != '\0')
        snprintf(out, NEAREST_HINT_SIZE, "; did you mean %s?", nearest->best);
    return out;
}
