/*
 * clock - the two clocks and the ways to write a time down.
 *
 * Every time in the program is an int64_t of milliseconds: `mono` since an arbitrary start, for anything that is
 * waited for; `wall` since 1970-01-01T00:00:00Z, for anything that is shown, signed or compared with what a
 * server says. Wall clocks jump; nothing waits on one.
 */
#ifndef STORSYNC_CLOCK_H
#define STORSYNC_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define CLOCK_UNKNOWN INT64_MIN

int64_t clock_mono(void);
int64_t clock_wall(void);

/* Days since 1970-01-01 in the proleptic Gregorian calendar; months and days count from 1. */
int64_t clock_days(int64_t year, int month, int day);

/* RFC 3339 in UTC with milliseconds: "2026-11-22T15:04:05.678Z". */
#define CLOCK_RFC3339_SIZE 25
void clock_format_rfc3339(int64_t wall, char out[CLOCK_RFC3339_SIZE]);

/* The basic ISO 8601 form that signatures use: "20261122T150405Z". */
#define CLOCK_BASIC_SIZE 17
void clock_format_basic(int64_t wall, char out[CLOCK_BASIC_SIZE]);

/* As a mail's Date has it (RFC 5322, 3.3), in UTC: "Sun, 22 Nov 2026 15:04:05 +0000". */
#define CLOCK_MAIL_SIZE 32
void clock_format_mail(int64_t wall, char out[CLOCK_MAIL_SIZE]);

/* RFC 3339 with any number of decimals, "Z" or an offset. CLOCK_UNKNOWN if it is not one. */
int64_t clock_parse_rfc3339(const char *text);

/* The IMF-fixdate of RFC 9110, 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT". CLOCK_UNKNOWN if it is not one. */
int64_t clock_parse_http(const char *text);

#endif
