/*
 * validate - compares both sides without copying: which keys are missing, mismatched or extra.
 *
 * Mismatched means: the sizes differ, the source is newer, or both ETags are content hashes and differ
 * (COMPARE_ETAG), unless the setting `compare` asks for less. That takes the listings only.
 *
 * The setting `content` asks for more: of the objects that the listings leave open, because there are not two hashes to compare
 * or a time is not known, so large a share is read (content.h). Which ones follows from their keys and a seed.
 */
#ifndef STORSYNC_VALIDATE_H
#define STORSYNC_VALIDATE_H

#include "error.h"
#include "report.h"
#include "store.h"

#include <stdbool.h>

/* Both stores have one loop. Fills report->validation; with `all` every difference is kept, not only the first ten of each kind. False
 * with *error when a listing broke, or the run was stopped: then nothing is known. It is ERROR_PARTIAL if something could not be
 * read. */
bool validate_run(struct store *source, struct store *destination, const struct settings *settings, bool all,
                  struct report *report, struct error *error);

#endif
