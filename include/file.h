/*
 * file - small files that may hold secrets, whole into memory.
 */
#ifndef STORSYNC_FILE_H
#define STORSYNC_FILE_H

#include "error.h"

#include <stddef.h>

/* A file of at most `max` bytes with a NUL behind them; the caller frees it with file_free. NULL with the error of the
 * system call, or ERROR_CONFIG for a file that is larger, or ERROR_LOCAL. A pipe is not waited for. */
char *file_read(const char *path, size_t max, size_t *len, struct error *error);

/* Wipes it first. `len` is what file_read said. NULL is fine. */
void file_free(char *text, size_t len);

#endif
