/*
 * env - the environment, as this process was given it.
 */
#ifndef STORSYNC_ENV_H
#define STORSYNC_ENV_H

const char *env_text(const char *name); /* "" if it is not set; borrowed */

#endif
