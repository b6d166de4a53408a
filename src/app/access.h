/*
 * access - --check-access: may the credentials do what a sync needs?
 *
 * Each right is tried at the service itself. At the source: listing every path, reading one object and its tags; nothing is
 * written there. At the destination: listing, then writing, reading, creating only if absent and removing one object,
 * ACCESS_PROBE below the job's prefix, which is always the same one and gone in the end. In a dry run nothing is written
 * there either. A service that does not answer, or does not know who we are, is asked once only.
 *
 * INVARIANT: nothing is written outside the job's prefix. So what the credentials may write below the paths remains to be
 *   seen: a policy can tell prefixes apart.
 */
#ifndef STORSYNC_ACCESS_H
#define STORSYNC_ACCESS_H

#include "buf.h"
#include "error.h"
#include "run.h"

#include <stdbool.h>

#define ACCESS_PROBE "access-check"

enum access_state {
    ACCESS_GRANTED,
    ACCESS_MISSING,     /* refused: error.permission names the right, if the service has names for them */
    ACCESS_FAILED,      /* no answer that would say so */
    ACCESS_NOT_ASKED,   /* see error.text */
    ACCESS_UNSUPPORTED, /* the service has no such thing, which is none of the credentials' */
};

struct access_right {
    const char *name; /* "list" */
    enum access_state state;
    struct error error;
};

#define ACCESS_RIGHTS_MAX 5
struct access_side {
    struct store *store; /* NULL: it was not even opened */
    struct access_right rights[ACCESS_RIGHTS_MAX];
    int count;
};

struct access {
    struct access_side source, destination;
};

/* Opens both stores and asks them. *error is that of the highest exit code among the rights that are missing or failed, or
 * what run_open says. Valid until run_end. */
void access_check(struct run *run, struct access *access, struct error *error);

/* Appends one line a right, or a JSON document with the same. `error` is access_check's. */
void access_put_text(const struct access *access, struct buf *out);
bool access_put_json(const struct access *access, const struct error *error, struct buf *out);

#endif
