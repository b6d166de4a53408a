/*
 * report_internal - what the files of report share.
 */
#ifndef STORSYNC_REPORT_INTERNAL_H
#define STORSYNC_REPORT_INTERNAL_H

#include "json.h"
#include "report.h"

/* How one knows that the run which a status document tells of, as one that goes on, has died; NULL: nothing says so. */
const char *report_death(yyjson_val *root);

/* Nothing waited for that run: somebody has started it by hand. */
bool report_is_by_hand(yyjson_val *root);

/* What a run that goes on waits for. */
#define REPORT_AWAITED_SIZE 200
const char *report_awaited(const struct report *report, char out[REPORT_AWAITED_SIZE]);

/* What is done to an object: "Synced", "Would sync". */
const char *report_deed(const struct report *report);

/* Sets `message` to what the state means for a person. */
void report_make_message(struct report *report);

#endif
