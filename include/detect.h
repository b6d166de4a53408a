/*
 * detect - which environment this is, and which deployment. Pure: looks at environment variables only.
 *
 * Environment, first match: the setting (STORSYNC_ENVIRONMENT, STORSYNC_ENV, INI, flag) >
 * REPL_DEPLOYMENT=true or REPLIT_DEPLOYMENT=1 > a platform that says "preview" (which makes it development) >
 * APP_ENV, RAILS_ENV, RACK_ENV, ASPNETCORE_ENVIRONMENT, DOTNET_ENVIRONMENT, DJANGO_ENV, FLASK_ENV, NODE_ENV >
 * development. "production" and "prod" in any case mean production, every other value development; an empty
 * variable counts as absent.
 *
 * Deployment id: the setting > the platform's own > the generic commit variables > none. White space around
 * it is dropped. One of more than DETECT_ID_MAX bytes, or with control characters, is replaced by "sha256-"
 * and its hash: still one id for one deployment, and one that fits into keys and log lines.
 *
 * Platforms are rows of one table; docs/PLATFORMS.md lists them with the vendors' pages.
 */
#ifndef STORSYNC_DETECT_H
#define STORSYNC_DETECT_H

#include "settings.h"

#include <stdbool.h>

#define DETECT_ID_MAX 256

struct detection {
    bool production;
    char environment_source[96];           /* "NODE_ENV=production", "default" */
    const char *platform;                  /* "Kubernetes", "" if none was recognised; static storage */
    char deployment_id[DETECT_ID_MAX + 1]; /* "" if none */
    char deployment_source[96];            /* the variable or setting it came from; "" if none */
    const char *hint;  /* how to get an id where this platform gave none, else ""; static storage */
    char warning[384]; /* "" or one line: an id that had to be hashed, a value that means nothing */
};

/* `environ_` is NAME=value each, with a NULL at the end. */
void detect(const struct settings *settings, const char *const *environ_, struct detection *out);

#endif
