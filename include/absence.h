/*
 * absence - is an object that was listed, and is not found, really gone?
 *
 * That a key is answered with 404 proves little: we may read the listing's keys in another way than the service means
 * them (URL-encoded or not), its index may be out of date, or something in between may not pass the request on. So the
 * bucket is listed again, around the key, by a prefix that can be spelt in one way only. What is listed still, in whatever
 * spelling, is not gone, and is a failure to be told: to pass over it would leave it out of production without a word.
 */
#ifndef STORSYNC_ABSENCE_H
#define STORSYNC_ABSENCE_H

#include "error.h"
#include "store.h"

#include <stdbool.h>

/* Keys that begin like the one in question and come before it: more are not looked through. */
#define ABSENCE_KEYS_MAX 3000

/* Can the key be spelt in one way only? Then a 404 says what it seems to. */
bool absence_is_plain(const char *key);

struct absence {
    const char *key;       /* borrowed */
    struct cursor *cursor; /* NULL at rest */
    int passed;
};

enum absence_verdict {
    ABSENCE_WAIT,
    ABSENCE_PROVEN, /* it is not listed any more */
    ABSENCE_FAILED, /* *error says why: still listed, too many keys to look through, or the listing broke */
};

/* Begins; false with *error. `key` must stay until absence_end. */
bool absence_begin(struct absence *absence, struct store *store, const char *key, struct error *error);
bool absence_step(struct absence *absence); /* true if anything moved */
enum absence_verdict absence_look(struct absence *absence, struct error *error);
void absence_end(struct absence *absence); /* nothing happens at rest */

#endif
