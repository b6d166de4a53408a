#include "clock.h"

#include "text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MS_PER_SECOND INT64_C(1000)
#define SECONDS_PER_DAY INT64_C(86400)

static int64_t clock_read(clockid_t which)
{
    struct timespec now;

    clock_gettime(which, &now);
    return (int64_t)now.tv_sec * MS_PER_SECOND + now.tv_nsec / 1000000;
}

int64_t clock_mono(void)
{
    /* Counts while the machine is suspended, too: a lease must not look young because its owner slept. */
    return clock_read(CLOCK_BOOTTIME);
}

#ifdef STORSYNC_TEST
/* Only in test builds, as in crash.h: STORSYNC_CLOCK_JUMP=SECONDS sets the wall clock by that much, half a second
 * after it was read for the first time. */
static int64_t clock_jump(void)
{
    static int64_t first;
    const char *seconds = getenv("STORSYNC_CLOCK_JUMP");

    if (first == 0)
        first = clock_mono();
    return seconds != NULL && clock_mono() - first >= 500 ? strtoll(seconds, NULL, 10) * MS_PER_SECOND : 0;
}
#else
#define clock_jump() 0
#endif

int64_t clock_wall(void)
{
    return clock_read(CLOCK_REALTIME) + clock_jump();
}

/* Years are counted from March, so that the leap day
 * is the last of its year, and in eras of 400 years, which all have 146,097 days. */
int64_t clock_days(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static bool clock_civil(int64_t wall, struct tm *out)
{
    int64_t seconds = wall / MS_PER_SECOND - (wall % MS_PER_SECOND < 0 ? 1 : 0);
    time_t when = (time_t)seconds;

    return gmtime_r(&when, out) != NULL && out->tm_year >= -1900 && out->tm_year <= 9999 - 1900;
}

void clock_format_rfc3339(int64_t wall, char out[CLOCK_RFC3339_SIZE])
{
    int64_t rest = wall % MS_PER_SECOND;
    int ms = (int)(rest < 0 ? rest + MS_PER_SECOND : rest);
    char text[80];
    struct tm t;

    if (!clock_civil(wall, &t))
        t = (struct tm){.tm_year = 70, .tm_mday = 1};
    snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1,
             t.tm_mday, t.tm_hour, t.tm_min, t.tm_sec, ms);
    memcpy(out, text, CLOCK_RFC3339_SIZE);
}

void clock_format_basic(int64_t wall, char out[CLOCK_BASIC_SIZE])
{
    char text[80];
    struct tm t;

    if (!clock_civil(wall, &t))
        t = (struct tm){.tm_year = 70, .tm_mday = 1};
    snprintf(text, sizeof text, "%04d%02d%02dT%02d%02d%02dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
             t.tm_hour, t.tm_min, t.tm_sec);
    memcpy(out, text, CLOCK_BASIC_SIZE);
}

/* Takes what looks like `form`, in which a 0 stands for any digit: a number for each row of them. */
static bool take_form(const char **text, const char *form, int *numbers)
{
    const char *at = *text;

    *numbers = 0;
    for (; *form != '\0'; form++, at++) {
        unsigned digit = (unsigned)*at - '0';

        if (*form == '0' ? digit > 9 : *at != *form)
            return false;
        if (*form == '0')
            *numbers = *numbers * 10 + (int)digit;
        else
            *++numbers = 0;
    }
    *text = at;
    return true;
}

static bool take_char(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

/* Decimals after the seconds, of which milliseconds are kept. */
static int take_milliseconds(const char **text)
{
    int ms = 0;
    int scale = 100;

    if (!take_char(text, '.'))
        return 0;
    if (!text_is_digit(**text))
        return -1;
    for (; text_is_digit(**text); (*text)++) {
        ms += (**text - '0') * scale;
        scale /= 10;
    }
    return ms;
}

/* "Z" or +hh:mm, in minutes east of UTC. */
static bool take_offset(const char **text, int *minutes)
{
    int sign = 1;
    int time[2];

    *minutes = 0;
    if (take_char(text, 'Z') || take_char(text, 'z'))
        return true;
    if (take_char(text, '-'))
        sign = -1;
    else if (!take_char(text, '+'))
        return false;
    if (!take_form(text, "00:00", time) || time[0] > 23 || time[1] > 59)
        return false;
    *minutes = sign * (time[0] * 60 + time[1]);
    return true;
}

static bool take_hms(const char **text, int64_t *seconds)
{
    int time[3];

    /* 60: a leap second */
    if (!take_form(text, "00:00:00", time) || time[0] > 23 || time[1] > 59 || time[2] > 60)
        return false;
    *seconds = time[0] * INT64_C(3600) + time[1] * INT64_C(60) + time[2];
    return true;
}

static bool date_exists(int month, int day)
{
    return month >= 1 && month <= 12 && day >= 1 && day <= 31;
}

int64_t clock_parse_rfc3339(const char *text)
{
    int date[3];
    int64_t seconds;
    int ms;
    int offset;

    if (!take_form(&text, "0000-00-00", date) || !date_exists(date[1], date[2]) ||
        !(take_char(&text, 'T') || take_char(&text, 't')) || !take_hms(&text, &seconds))
        return CLOCK_UNKNOWN;
    ms = take_milliseconds(&text);
    if (ms < 0 || !take_offset(&text, &offset) || *text != '\0')
        return CLOCK_UNKNOWN;
    seconds += clock_days(date[0], date[1], date[2]) * SECONDS_PER_DAY - offset * INT64_C(60);
    return seconds * MS_PER_SECOND + ms;
}

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void clock_format_mail(int64_t wall, char out[CLOCK_MAIL_SIZE])
{
    char text[80];
    struct tm t;

    if (!clock_civil(wall, &t))
        t = (struct tm){.tm_year = 70, .tm_mday = 1, .tm_wday = 4};
    snprintf(text, sizeof text, "%.3s, %02d %.3s %04d %02d:%02d:%02d +0000",
             "SunMonTueWedThuFriSat" + (size_t)t.tm_wday * 3, t.tm_mday, month_names + (size_t)t.tm_mon * 3,
             t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    memcpy(out, text, CLOCK_MAIL_SIZE);
}

static int take_month_name(const char **text)
{
    for (int i = 0; i < 12; i++)
        if (strncmp(*text, month_names + (size_t)i * 3, 3) == 0) {
            *text += 3;
            return i + 1;
        }
    return -1;
}

int64_t clock_parse_http(const char *text)
{
    const char *comma = strchr(text, ',');
    int64_t seconds;
    int day;
    int month;
    int year;

    if (comma == NULL || comma - text != 3)
        return CLOCK_UNKNOWN;
    text = comma + 1;
    if (!take_char(&text, ' ') || !take_form(&text, "00", &day) || !take_char(&text, ' '))
        return CLOCK_UNKNOWN;
    month = take_month_name(&text);
    if (!take_char(&text, ' ') || !take_form(&text, "0000", &year) || !date_exists(month, day) ||
        !take_char(&text, ' ') || !take_hms(&text, &seconds) || strcmp(text, " GMT") != 0)
        return CLOCK_UNKNOWN;
    return (clock_days(year, month, day) * SECONDS_PER_DAY + seconds) * MS_PER_SECOND;
}
