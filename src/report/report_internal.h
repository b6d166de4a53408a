/*
 * report_internal - between report.c and report_message.c.
 */
#ifndef STORSYNC_REPORT_INTERNAL_H
#define STORSYNC_REPORT_INTERNAL_H

#include "report.h"

/* Sets `message` to what the state means for a person. */
void report_make_message(struct report *report);

#endif
