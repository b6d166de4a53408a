/*
 * validate - compares both listings without copying: which keys are missing, mismatched or extra.
 *
 * Mismatched means: the sizes differ, the source is newer, or both ETags are content hashes and differ
 * (COMPARE_ETAG), unless the setting `compare` asks for less. Uses listings only.
 */
#ifndef STORSYNC_VALIDATE_H
#define STORSYNC_VALIDATE_H

#include "error.h"
#include "report.h"
#include "store.h"

#include <stdbool.h>

/* Both stores have one loop. Fills report->validation; with `all` every difference is kept, not only the first ten of each kind. False
 * with *error when a listing broke: then nothing is known. */
bool validate_run(struct store *source, struct store *destination, const struct settings *settings, bool all,
                  struct report *report, struct error *error);

#endif
