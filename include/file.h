/*
 * file - small files that may hold secrets, whole into memory.
 */
#ifndef STORSYNC_FILE_H
#define STORSYNC_FILE_H

#include "error.h"

#include <stddef.h>

/* A file of at most `max` bytes with a NUL behind them; the caller frees it with file_free. NULL with the error of the
 * system call, or ERROR_CONFIG for a file that is larger, or ERROR_LOCAL. A pipe, named or not, is read to its end, which
 * has to come within 5 s (or it is ERROR_CONFIG). */
char *file_read(const char *path, size_t max, size_t *len, struct error *error);

/* Can others than its owner and group get at it? In words ("can be read by anybody", "can be changed by anybody"), or
 * NULL. What can be read on a file system that is mounted read-only does not count: that is how orchestrators hand secrets
 * in (Docker with mode 0444, Kubernetes with 0644), and no chmod changes it. */
const char *file_exposure(const char *path);

/* Wipes it first. `len` is what file_read said. NULL is fine. */
void file_free(char *text, size_t len);

#endif
