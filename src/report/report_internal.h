/*
 * report_internal - what the files of report share.
 */
#ifndef STORSYNC_REPORT_INTERNAL_H
#define STORSYNC_REPORT_INTERNAL_H

#include "json.h"
#include "report.h"

/* Does a status document tell of a run that goes on, and nobody has written it for too long? */
bool report_has_died(yyjson_val *root);

/* What a run that goes on waits for. */
#define REPORT_AWAITED_SIZE 160
const char *report_awaited(const struct report *report, char out[REPORT_AWAITED_SIZE]);

/* Sets `message` to what the state means for a person. */
void report_make_message(struct report *report);

#endif
