/*
 * env - the environment: NAME=value each, and a NULL at the end.
 */
#ifndef STORSYNC_ENV_H
#define STORSYNC_ENV_H

/* The variable's value in `environ_`, or NULL if it is not set; borrowed. */
const char *env_find(const char *const *environ_, const char *name);

/* The same in that of this process; "" if it is not set. */
const char *env_text(const char *name);

#endif
