/*
 * answer - the modes that only look and print: help, version, settings, the status.
 *
 * Each writes to standard output and returns the process's exit code.
 */
#ifndef STORSYNC_ANSWER_H
#define STORSYNC_ANSWER_H

#include "buf.h"
#include "error.h"
#include "options.h"
#include "settings.h"

#include <stdint.h>

/* Prints and frees `out`; `code`, or 1 if it could not be written. */
int answer_print(struct buf *out, int code);

/* The same, but waits for who reads it no longer than `patience` ms (OUTPUT_FOREVER of output.h: without a limit). */
int answer_print_within(struct buf *out, int64_t patience, int code);

int answer_help(bool all);
int answer_version(void);

/* `error`: what settings_load said. To check is to do all that a run does before it asks a service, and to tell all of it that is
 * wrong, not only the first; directories are looked at. 0, or 78. */
int answer_check_config(const struct options *options, const struct settings *settings, struct error *error);
int answer_print_config(const struct settings *settings, bool json, const struct error *error);

/* Is an object of this key synced, and which setting decides that? 0 if it is, else 1; 78 if the settings cannot be used. */
int answer_explain(const struct settings *settings, const char *key, bool json, struct error *error);

int answer_status(const struct settings *settings, bool json);
int answer_health(const struct settings *settings, bool json);

#endif
