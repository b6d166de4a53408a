/*
 * admin_request - what a request to the admin endpoint asks for, and whether it may: nothing here does anything.
 *
 * A browser that somebody has led astray must not get in: Host is an address, localhost or a name that the operator has given, so that
 * nobody's own domain can be made to lead here (DNS rebinding); a request that changes something does not come from another
 * site's page (Origin), and carries the token, which no browser sends by itself.
 *
 * What is not understood does nothing: an argument that is misspelt is an error.
 */
#ifndef STORSYNC_ADMIN_REQUEST_H
#define STORSYNC_ADMIN_REQUEST_H

#include "settings.h"
#include "wire.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIN_BODY_MAX ((size_t)64 * 1024)

enum admin_route {
    ADMIN_PAGE,
    ADMIN_HEALTHZ,
    ADMIN_READYZ,
    ADMIN_STATUS,
    ADMIN_EVENTS,
    ADMIN_METRICS,
    ADMIN_SYNC,
    ADMIN_VALIDATE,
    ADMIN_ROLLBACK,
    ADMIN_RUN,
};

/* The request's head; NULL: it has none of that. `path` is without escapes and arguments. */
struct admin_head {
    const char *method, *path;
    const char *host, *origin, *authorization, *content_type;
};

/* Why a request is refused; begins zeroed. */
struct admin_refusal {
    unsigned status; /* 0: it is not */
    const char *code, *message;
    const char *allow; /* with 405: the methods */
};

/* May it be done? `local`: it came over a socket in the file system, so Host does not matter. False with *refusal. */
bool admin_admit(const struct admin_head *head, const struct wire_admin *guard, bool local,
                 enum admin_route *route, struct admin_refusal *refusal);

/* What a run is to do besides. Begins zeroed. */
#define ADMIN_PATHS_SIZE ((size_t)8 * 1024)
struct admin_order {
    bool dry_run;
    uint64_t run; /* to be taken back, and all after it; 0: the last one */
    int path_count;
    char *paths[SETTINGS_PATHS_MAX]; /* into `text` */
    char text[ADMIN_PATHS_SIZE];
    size_t len;
};

/* An argument of the query, without escapes; `value` NULL: it has none. False: it makes no sense for this route. */
bool admin_order_argument(struct admin_order *order, enum admin_route route, const char *name,
                          const char *value);

/* The body: a JSON object, or nothing. */
bool admin_order_body(struct admin_order *order, enum admin_route route, const char *body, size_t len);

#endif
